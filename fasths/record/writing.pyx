# The outbound half: contents to records to the bytes that the transport is to take.
#
# Handshake messages gather in `flight` until the flight is closed (at its end, at a change of
# keys, or before a record of another type), so that several messages share a record. Records are
# built in `bytes` objects of their final size and sealed there before anybody else sees them; a
# transport may keep such an object without a copy.

from time import monotonic

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fasths.record.protection cimport SealingKey
from fasths.wire.constants cimport *

cdef bytes CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"


cdef enum:
    # Dynamic record sizing: records that fit into a packet, for the first bytes after an idle time.
    SMALL_RECORD = 1369
    BURST_SIZE = 1 << 17

# Seconds without a write after which records begin small again.
cdef double BURST_IDLE = 1.0


cdef class RecordWriter:

    def __cinit__(self):
        self.legacy_record_version = VERSION_TLSv1_2
        self.max_content = MAX_PLAINTEXT

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

    cdef Py_ssize_t record_size(self, Py_ssize_t size) except -1:
        """How much the next record may hold, where records begin small.

        While the peer's window is small a record that fits into one packet can be read at once;
        later, large records cost less.
        """
        cdef double now = monotonic()
        if now - self.last_write > BURST_IDLE:
            self.burst = 0
        self.last_write = now
        if self.burst >= BURST_SIZE:
            return size
        size = min(size, <Py_ssize_t> SMALL_RECORD)
        self.burst += size
        return size

    cdef int add_record(self, int content_type, const uint8_t* data, Py_ssize_t size) except -1:
        """Put `size` bytes, at least one, into as few records as can hold them."""
        return self.add_records(content_type, data, size, self.max_content)

    cdef int add_records(
        self, int content_type, const uint8_t* data, Py_ssize_t size, Py_ssize_t max_content
    ) except -1:
        """add_record() with at most max_content bytes in each."""
        cdef Py_ssize_t count, overhead = RECORD_HEADER, start = RECORD_HEADER, length
        cdef bytes records
        cdef uint8_t* at
        if content_type != CONTENT_handshake:
            self.close_flight()
        # RFC 8449, 4: the limit is for protected records. But in TLS 1.2 NewSessionTicket is not
        # protected, and some peers refuse it where it is longer: so there it holds for all.
        if self.key is not None:
            if self.padding:
                return self.add_padded_records(content_type, data, size, max_content)
            overhead = self.key.overhead
            start += self.key.prefix
        count = (size + max_content - 1) // max_content
        records = PyBytes_FromStringAndSize(NULL, size + count * overhead)
        at = <uint8_t*> PyBytes_AS_STRING(records)
        while size > 0:
            length = min(size, max_content)
            memcpy(at + start, data, length)
            if self.key is None:
                at[0] = <uint8_t> content_type
                at[1] = <uint8_t> (self.legacy_record_version >> 8)
                at[2] = <uint8_t> self.legacy_record_version
                at[3] = <uint8_t> (length >> 8)
                at[4] = <uint8_t> length
            else:
                self.key.seal(at, content_type, length, 0)
            at += length + overhead
            data += length
            size -= length
        return self.append(records)

    cdef int add_padded_records(
        self, int content_type, const uint8_t* data, Py_ssize_t size, Py_ssize_t max_content
    ) except -1:
        """Protected records whose content, type and padding are a multiple of `padding` long.

        RFC 8446, 5.4: but for what would be longer than a record may be.
        """
        cdef Py_ssize_t length, zeros
        cdef bytes record
        cdef uint8_t* at
        while size > 0:
            length = min(size, max_content)
            zeros = min(-(length + 1) % self.padding, self.max_content - length)
            record = PyBytes_FromStringAndSize(
                NULL, RECORD_HEADER + length + 1 + zeros + TAG_LENGTH
            )
            at = <uint8_t*> PyBytes_AS_STRING(record)
            memcpy(at + RECORD_HEADER, data, length)
            self.key.seal(at, content_type, length, zeros)
            self.append(record)
            data += length
            size -= length
        return 0

    cdef int add_change_cipher_spec(self) except -1:
        """The change_cipher_spec of middlebox compatibility (RFC 8446, D.4), or of TLS 1.2 before
        there are keys (RFC 5246, 7.1): never protected."""
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
        self.held = False
        return 0

    cdef int discard(self) except -1:
        """Drop all that the transport has not taken."""
        self.flight = None
        self.outgoing = None
        self.queued = None
        self.taken = 0
        self.held = False
        return 0

    cdef int hold(self) except -1:
        """Keep what there is until more is added."""
        self.held = self.outgoing is not None
        return 0

    cdef bint is_empty(self) noexcept:
        """Whether there is nothing that the transport is to take now."""
        return self.outgoing is None or self.held

    cdef object pending(self):
        """All that the transport is to take, in one piece, or None."""
        if self.held:
            return None
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
