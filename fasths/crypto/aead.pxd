cimport cython

from fasths.crypto.key_schedule cimport Hash


# The key that a cipher suite of TLS 1.2 asks of the server; those of TLS 1.3 have 0.
cdef enum:
    AUTHENTICATION_ECDSA = 1
    AUTHENTICATION_RSA = 2


@cython.final
cdef class Suite:
    cdef readonly int code
    cdef readonly int version
    cdef readonly Hash hash
    cdef readonly Py_ssize_t key_length
    cdef readonly Py_ssize_t iv_length
    cdef readonly Py_ssize_t explicit_nonce_length
    cdef readonly int authentication
    cdef readonly long long records_per_key
    cdef object new

    cdef object aead(self, bytes key)


cpdef Suite find_suite(int code)
