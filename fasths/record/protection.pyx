# Record protection (RFC 8446, 5.2 and 5.3; RFC 5246, 6.2.3.3): one key, one direction, in place.
#
# A record lies in memory as header | content | content type | tag, and in TLS 1.2 as
# header | explicit nonce, with AES-GCM | content | tag. seal() and open() work where it lies; the
# views they hand to the AEAD live no longer than the call.

from cpython.buffer cimport PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport TrafficSecret
from fasths.wire.constants cimport *

from fasths.crypto.aead import InvalidTag
from fasths.wire.errors import BadRecordMac, IllegalParameter, InternalError

cdef enum:
    # RFC 5246, 6.2.3.3: seq_num, type, version and length.
    ADDITIONAL_DATA = 13


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
    key.overhead = RECORD_HEADER + 1 + TAG_LENGTH
    return key


cpdef OpeningKey opening_key(Suite suite, TrafficSecret secret):
    """The key that opens what was sent under a traffic secret."""
    cdef OpeningKey key = OpeningKey.__new__(OpeningKey)
    key.aead = suite.aead(secret.key(suite.key_length))
    memcpy(key.iv, PyBytes_AS_STRING(secret.iv()), 12)
    key.has_inner_type = True
    return key


cpdef SealingKey sealing_key_12(Suite suite, bytes key, bytes iv):
    """The key that protects what is sent in TLS 1.2; iv: as much of the nonce as is derived."""
    cdef SealingKey12 result = SealingKey12.__new__(SealingKey12)
    result.aead = suite.aead(key)
    copy_iv(result.iv, suite, iv)
    # There is no KeyUpdate in TLS 1.2.
    result.limit = suite.records_per_key
    result.prefix = suite.explicit_nonce_length
    result.overhead = RECORD_HEADER + result.prefix + TAG_LENGTH
    return result


cpdef OpeningKey opening_key_12(Suite suite, bytes key, bytes iv):
    """The key that opens what was sent in TLS 1.2; iv: as much of the nonce as is derived."""
    cdef OpeningKey12 result = OpeningKey12.__new__(OpeningKey12)
    result.aead = suite.aead(key)
    copy_iv(result.iv, suite, iv)
    result.prefix = suite.explicit_nonce_length
    return result


cdef int copy_iv(uint8_t* to, Suite suite, bytes iv) except -1:
    if PyBytes_GET_SIZE(iv) != suite.iv_length:
        raise ValueError("the iv has not the length that goes with the cipher suite")
    memcpy(to, PyBytes_AS_STRING(iv), suite.iv_length)
    return 0


cdef int write_u64(uint8_t* at, uint64_t value) noexcept:
    cdef int i
    for i in range(8):
        at[i] = <uint8_t> (value >> (56 - 8 * i))
    return 0


cdef bytes additional_data(uint64_t sequence_number, uint8_t content_type, Py_ssize_t length):
    """RFC 5246, 6.2.3.3; length: of the content."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, ADDITIONAL_DATA)
    cdef uint8_t* at = <uint8_t*> PyBytes_AS_STRING(result)
    write_u64(at, sequence_number)
    at[8] = content_type
    at[9] = 3
    at[10] = 3
    at[11] = <uint8_t> (length >> 8)
    at[12] = <uint8_t> length
    return result


cdef bytes explicit_nonce(const uint8_t* salt, const uint8_t* explicit):
    """RFC 5288, 3: the derived salt, then what the record says."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, 12)
    cdef char* at = PyBytes_AS_STRING(result)
    memcpy(at, salt, 4)
    memcpy(at + 4, explicit, 8)
    return result


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

        The room behind the content must be 17 bytes and the padding. TLS 1.2 has neither type nor
        padding: there it is 16 bytes, and the content lies at record + 5 + prefix.
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
        record = PyBytes_FromStringAndSize(NULL, size + self.overhead)
        memcpy(
            PyBytes_AS_STRING(record) + RECORD_HEADER + self.prefix,
            PyBytes_AS_STRING(content),
            size,
        )
        self.seal(<uint8_t*> PyBytes_AS_STRING(record), content_type, size, 0)
        return record


cdef class SealingKey12(SealingKey):

    cdef int seal(
        self, uint8_t* record, int content_type, Py_ssize_t size, Py_ssize_t zeros
    ) except -1:
        cdef Py_ssize_t length = self.prefix + size + TAG_LENGTH
        cdef uint8_t* content = record + RECORD_HEADER + self.prefix
        cdef bytes record_nonce
        if self.sequence_number == <uint64_t> -1:
            # RFC 5246, 6.1: sequence numbers do not wrap.
            raise InternalError("the sequence number of a key is spent")
        record[0] = <uint8_t> content_type
        record[1] = 3
        record[2] = 3
        record[3] = <uint8_t> (length >> 8)
        record[4] = <uint8_t> length
        if self.prefix:
            # RFC 5288, 3: no explicit nonce twice under a key.
            write_u64(record + RECORD_HEADER, self.sequence_number)
            record_nonce = explicit_nonce(self.iv, record + RECORD_HEADER)
        else:
            # RFC 7905, 2.
            record_nonce = nonce(self.iv, self.sequence_number)
        self.aead.encrypt_into(
            record_nonce,
            view(content, size),
            additional_data(self.sequence_number, record[0], size),
            view(content, size + TAG_LENGTH),
        )
        self.sequence_number += 1
        return 0


cdef class OpeningKey:
    """Opens records of one direction, in order."""

    cdef Py_ssize_t open(self, uint8_t* record, Py_ssize_t size) except -1:
        """Open the record whose `size` bytes of ciphertext lie at record + 5.

        Returns the length of TLSInnerPlaintext, which then lies there, and in TLS 1.2 that of the
        content at record + 5 + prefix. BadRecordMac: it does not open; the ciphertext is lost.
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
        """TLSInnerPlaintext of one whole protected record, or its content in TLS 1.2.

        BadRecordMac: it does not open.
        """
        cdef bytes copy = PyBytes_FromStringAndSize(
            PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record)
        )
        cdef Py_ssize_t length
        if PyBytes_GET_SIZE(record) < RECORD_HEADER:
            raise BadRecordMac("a protected record is too short")
        length = self.open(
            <uint8_t*> PyBytes_AS_STRING(copy), PyBytes_GET_SIZE(copy) - RECORD_HEADER
        )
        return copy[RECORD_HEADER + self.prefix:RECORD_HEADER + self.prefix + length]


cdef class OpeningKey12(OpeningKey):

    cdef Py_ssize_t open(self, uint8_t* record, Py_ssize_t size) except -1:
        cdef uint8_t* content = record + RECORD_HEADER + self.prefix
        cdef Py_ssize_t length = size - self.prefix - TAG_LENGTH
        cdef bytes record_nonce
        cdef uint64_t explicit = 0
        cdef int i
        if length < 0:
            raise BadRecordMac("a protected record is too short")
        if self.sequence_number == <uint64_t> -1:
            raise InternalError("the sequence number of a key is spent")
        if self.prefix:
            for i in range(8):
                explicit = explicit << 8 | record[RECORD_HEADER + i]
            record_nonce = explicit_nonce(self.iv, record + RECORD_HEADER)
        else:
            record_nonce = nonce(self.iv, self.sequence_number)
        try:
            self.aead.decrypt_into(
                record_nonce,
                view(content, length + TAG_LENGTH),
                additional_data(self.sequence_number, record[0], length),
                view(content, length),
            )
        except InvalidTag:
            raise BadRecordMac("a record does not decrypt") from None
        if self.prefix:
            self.check_nonce(explicit)
        self.sequence_number += 1
        return length

    cdef int check_nonce(self, uint64_t nonce) except -1:
        """RFC 5288, 3: a nonce that is used again gives the key away.

        Peers count, or draw at random. All nonces since a peer began to count are known here, and
        of random ones the last.
        """
        # A peer that counts may pass the end of the numbers; the differences wrap as well.
        if self.has_nonces and nonce - self.first_nonce <= self.last_nonce - self.first_nonce:
            raise IllegalParameter("the peer used an explicit nonce again")
        if not self.has_nonces or nonce != self.last_nonce + 1:
            self.first_nonce = nonce
            self.has_nonces = True
        self.last_nonce = nonce
        return 0
