cimport cython

from fasths.crypto.key_schedule cimport Hash


@cython.final
cdef class Suite:
    cdef readonly int code
    cdef readonly Hash hash
    cdef readonly Py_ssize_t key_length
    cdef readonly long long records_per_key
    cdef object new

    cdef object aead(self, bytes key)


cpdef Suite find_suite(int code)
