cimport cython
from libc.stdint cimport uint8_t, uint64_t

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport TrafficSecret


@cython.final
cdef class SealingKey:
    cdef object aead
    cdef uint64_t sequence_number
    cdef uint64_t limit
    cdef uint8_t iv[12]

    cdef uint64_t remaining(self) noexcept
    cdef int seal(
        self, uint8_t* record, int content_type, Py_ssize_t size, Py_ssize_t zeros
    ) except -1


@cython.final
cdef class OpeningKey:
    cdef object aead
    cdef uint64_t sequence_number
    cdef uint8_t iv[12]

    cdef Py_ssize_t open(self, uint8_t* record, Py_ssize_t size) except -1


cpdef SealingKey sealing_key(Suite suite, TrafficSecret secret, long long limit)
cpdef OpeningKey opening_key(Suite suite, TrafficSecret secret)
