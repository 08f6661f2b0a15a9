# Record protection (RFC 8446, 5.2 and 5.3): one key, one direction, in place.
#
# A record lies in memory as header | content | content type | tag. seal() and open() work where it
# lies; the views they hand to the AEAD live no longer than the call.

from cpython.buffer cimport PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport TrafficSecret
from fasths.wire.constants cimport *

from fasths.crypto.aead import InvalidTag
from fasths.wire.errors import BadRecordMac, InternalError


cdef inline bytes nonce(const uint8_t* iv, uint64_t sequence_number):
    """RFC 8446, 5.3: the sequence number, left-padded, xor the IV."""
    cdef bytes result = PyBytes_FromStringAndSize(<const char*> iv, 12)
    cdef uint8_t* at = <uint8_t*> PyBytes_AS_STRING(result)
    cdef int i
    for i in range(8):
        at[11 - i] ^= <uint8_t> (sequence_number >> (8 * i))
    return result


cdef inline object view(uint8_t* data, Py_ssize_t size):
    return PyMemoryView_FromMemory(<char*> data, size, PyBUF_WRITE)


cpdef SealingKey sealing_key(Suite suite, TrafficSecret secret, long long limit):
    """The key that protects what is sent under a traffic secret, for up to `limit` records."""
    cdef SealingKey key = SealingKey.__new__(SealingKey)
    key.aead = suite.aead(secret.key(suite.key_length))
    memcpy(key.iv, PyBytes_AS_STRING(secret.iv()), 12)
    key.limit = min(limit, suite.records_per_key)
    return key


cpdef OpeningKey opening_key(Suite suite, TrafficSecret secret):
    """The key that opens what was sent under a traffic secret."""
    cdef OpeningKey key = OpeningKey.__new__(OpeningKey)
    key.aead = suite.aead(secret.key(suite.key_length))
    memcpy(key.iv, PyBytes_AS_STRING(secret.iv()), 12)
    return key


cdef class SealingKey:
    """Protects records of one direction, in order."""

    cdef uint64_t remaining(self) noexcept:
        """How many records the key may still protect before it is to be updated."""
        return self.limit - self.sequence_number if self.sequence_number < self.limit else 0

    cdef int seal(
        self, uint8_t* record, int content_type, Py_ssize_t size, Py_ssize_t zeros
    ) except -1:
        """Write the header, the type, `zeros` bytes of padding and the tag around `size` bytes of
        content at record + 5.

        The room behind the content must be 17 bytes and the padding.
        """
        cdef Py_ssize_t length = size + 1 + zeros + TAG_LENGTH
        cdef uint8_t* content = record + RECORD_HEADER
        if self.sequence_number == <uint64_t> -1:
            # RFC 8446, 5.3: sequence numbers do not wrap.
            raise InternalError("the sequence number of a key is spent")
        record[0] = CONTENT_application_data
        record[1] = 3
        record[2] = 3
        record[3] = <uint8_t> (length >> 8)
        record[4] = <uint8_t> length
        content[size] = <uint8_t> content_type
        if zeros:
            memset(content + size + 1, 0, zeros)
        self.aead.encrypt_into(
            nonce(self.iv, self.sequence_number),
            view(content, length - TAG_LENGTH),
            PyBytes_FromStringAndSize(<const char*> record, RECORD_HEADER),
            view(content, length),
        )
        self.sequence_number += 1
        return 0

    def seal_record(self, int content_type, bytes content):
        """One protected record with this content, for tools that work on single records."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(content)
        cdef bytes record
        if size > MAX_PLAINTEXT:
            raise ValueError("a record holds at most 16384 bytes")
        record = PyBytes_FromStringAndSize(NULL, RECORD_HEADER + size + 1 + TAG_LENGTH)
        memcpy(PyBytes_AS_STRING(record) + RECORD_HEADER, PyBytes_AS_STRING(content), size)
        self.seal(<uint8_t*> PyBytes_AS_STRING(record), content_type, size, 0)
        return record


cdef class OpeningKey:
    """Opens records of one direction, in order."""

    cdef Py_ssize_t open(self, uint8_t* record, Py_ssize_t size) except -1:
        """Open the record whose `size` bytes of ciphertext lie at record + 5.

        Returns the length of TLSInnerPlaintext, which then lies there. BadRecordMac: it does not
        open; the ciphertext is lost.
        """
        cdef uint8_t* content = record + RECORD_HEADER
        cdef Py_ssize_t length = size - TAG_LENGTH
        if length < 0:
            raise BadRecordMac("a protected record is too short")
        if self.sequence_number == <uint64_t> -1:
            raise InternalError("the sequence number of a key is spent")
        try:
            self.aead.decrypt_into(
                nonce(self.iv, self.sequence_number),
                view(content, size),
                PyBytes_FromStringAndSize(<const char*> record, RECORD_HEADER),
                view(content, length),
            )
        except InvalidTag:
            raise BadRecordMac("a record does not decrypt") from None
        self.sequence_number += 1
        return length

    def open_record(self, bytes record):
        """TLSInnerPlaintext of one whole protected record. BadRecordMac: it does not open."""
        cdef bytes copy = PyBytes_FromStringAndSize(
            PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record)
        )
        cdef Py_ssize_t length
        if PyBytes_GET_SIZE(record) < RECORD_HEADER:
            raise BadRecordMac("a protected record is too short")
        length = self.open(
            <uint8_t*> PyBytes_AS_STRING(copy), PyBytes_GET_SIZE(copy) - RECORD_HEADER
        )
        return copy[RECORD_HEADER:RECORD_HEADER + length]
