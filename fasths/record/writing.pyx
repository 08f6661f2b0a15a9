# The outbound half: contents to records to the bytes that the transport is to take.
#
# Handshake messages gather in `flight` until the flight is closed (at its end, at a change of
# keys, or before a record of another type), so that several messages share a record. Records are
# built in `bytes` objects of their final size and sealed there before anybody else sees them; a
# transport may keep such an object without a copy.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fasths.record.protection cimport SealingKey
from fasths.wire.constants cimport *

cdef bytes CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"


cdef class RecordWriter:

    def __cinit__(self):
        self.legacy_record_version = VERSION_TLSv1_2

    cdef int add_handshake(self, bytes message) except -1:
        if self.flight is None:
            self.flight = [message]
        else:
            self.flight.append(message)
        return 0

    cdef int close_flight(self) except -1:
        """Put the gathered handshake messages into records under the current key."""
        cdef bytes messages
        if self.flight is None:
            return 0
        messages = self.flight[0] if len(self.flight) == 1 else b"".join(self.flight)
        self.flight = None
        return self.add_record(
            CONTENT_handshake,
            <const uint8_t*> PyBytes_AS_STRING(messages),
            PyBytes_GET_SIZE(messages),
        )

    cdef int set_key(self, SealingKey key) except -1:
        """Protect everything that comes now with a new key."""
        # RFC 8446, 5.1: what belongs to the old key ends its record before the key changes.
        self.close_flight()
        self.key = key
        return 0

    cdef int add_record(self, int content_type, const uint8_t* data, Py_ssize_t size) except -1:
        """Put `size` bytes, at least one, into as few records as can hold them."""
        cdef Py_ssize_t count, overhead, length
        cdef bytes records
        cdef uint8_t* at
        if content_type != CONTENT_handshake:
            self.close_flight()
        overhead = RECORD_HEADER if self.key is None else RECORD_HEADER + 1 + TAG_LENGTH
        count = (size + MAX_PLAINTEXT - 1) // MAX_PLAINTEXT
        records = PyBytes_FromStringAndSize(NULL, size + count * overhead)
        at = <uint8_t*> PyBytes_AS_STRING(records)
        while size > 0:
            length = min(size, <Py_ssize_t> MAX_PLAINTEXT)
            memcpy(at + RECORD_HEADER, data, length)
            if self.key is None:
                at[0] = <uint8_t> content_type
                at[1] = <uint8_t> (self.legacy_record_version >> 8)
                at[2] = <uint8_t> self.legacy_record_version
                at[3] = <uint8_t> (length >> 8)
                at[4] = <uint8_t> length
            else:
                self.key.seal(at, content_type, length)
            at += length + overhead
            data += length
            size -= length
        return self.append(records)

    cdef int add_change_cipher_spec(self) except -1:
        """The record of middlebox compatibility (RFC 8446, D.4), never protected."""
        self.close_flight()
        return self.append(CHANGE_CIPHER_SPEC)

    cdef int append(self, bytes records) except -1:
        if self.outgoing is None:
            self.outgoing = records
            self.taken = 0
        elif self.queued is None:
            self.queued = [records]
        else:
            self.queued.append(records)
        return 0

    cdef int discard(self) except -1:
        """Drop all that the transport has not taken."""
        self.flight = None
        self.outgoing = None
        self.queued = None
        self.taken = 0
        return 0

    cdef bint is_empty(self) noexcept:
        return self.outgoing is None

    cdef object pending(self):
        """All that the transport has not taken, in one piece, or None."""
        if self.queued is not None:
            self.outgoing = self.outgoing[self.taken:] + b"".join(self.queued)
            self.queued = None
            self.taken = 0
        if self.taken:
            return memoryview(self.outgoing)[self.taken:]
        return self.outgoing

    cdef int take(self, Py_ssize_t size) except -1:
        """The transport has taken `size` bytes of what pending() returned."""
        if (
            size < 0
            or self.outgoing is None
            or size > PyBytes_GET_SIZE(self.outgoing) - self.taken
        ):
            raise ValueError("a BIO took more than it was given")
        self.taken += size
        if self.taken == PyBytes_GET_SIZE(self.outgoing):
            self.outgoing = None
            self.taken = 0
        return 0
