cimport cython
from libc.stdint cimport uint8_t, uint64_t

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport TrafficSecret


cdef class SealingKey:
    cdef object aead
    cdef uint64_t sequence_number
    cdef uint64_t limit
    cdef uint8_t iv[12]
    # What stands between header and content, and all that a record is longer than its content.
    cdef readonly Py_ssize_t prefix
    cdef readonly Py_ssize_t overhead

    cdef uint64_t remaining(self) noexcept
    cdef int seal(
        self, uint8_t* record, int content_type, Py_ssize_t size, Py_ssize_t zeros
    ) except -1


@cython.final
cdef class SealingKey12(SealingKey):
    """Of TLS 1.2."""


cdef class OpeningKey:
    cdef object aead
    cdef uint64_t sequence_number
    cdef uint8_t iv[12]
    cdef readonly Py_ssize_t prefix
    # Whether the type of the content stands behind it; in TLS 1.2 it is that of the record.
    cdef readonly bint has_inner_type

    cdef Py_ssize_t open(self, uint8_t* record, Py_ssize_t size) except -1


@cython.final
cdef class OpeningKey12(OpeningKey):
    """Of TLS 1.2."""

    # The latest explicit nonces that follow each other.
    cdef uint64_t first_nonce
    cdef uint64_t last_nonce
    cdef bint has_nonces

    cdef int check_nonce(self, uint64_t nonce) except -1


cpdef SealingKey sealing_key(Suite suite, TrafficSecret secret, long long limit)
cpdef OpeningKey opening_key(Suite suite, TrafficSecret secret)
cpdef SealingKey sealing_key_12(Suite suite, bytes key, bytes iv)
cpdef OpeningKey opening_key_12(Suite suite, bytes key, bytes iv)
