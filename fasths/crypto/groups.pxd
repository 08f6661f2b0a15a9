cimport cython


@cython.final
cdef class KeyExchange:
    cdef object x25519
    cdef object mlkem768
    cdef dict elliptic_curve

    cpdef bytes generate(self, int group)
    cpdef bytes shared_secret(self, int group, bytes server_share)


cpdef tuple respond(int group, bytes client_share)
cpdef bint is_supported(int group)
