cimport cython

from fasths.crypto.key_schedule cimport Hash

cdef enum:
    # RFC 5246, 8.1 and 7.4.9.
    MASTER_SECRET_LENGTH = 48
    VERIFY_DATA_LENGTH = 12


cpdef bytes prf(Hash hash, bytes secret, bytes label, bytes seed, Py_ssize_t length)


@cython.final
cdef class MasterSecret12:
    cdef readonly Hash hash
    cdef bytes secret
    # Keyed with the secret, once it is needed.
    cdef object keyed

    cdef bytes expand(self, bytes seed, Py_ssize_t length)
    cpdef bytes finished(self, bint by_server, bytes transcript_hash)
    cpdef tuple key_block(
        self,
        bytes client_random,
        bytes server_random,
        Py_ssize_t key_length,
        Py_ssize_t iv_length,
    )
    cpdef bytes export(
        self,
        bytes label,
        object context,
        bytes client_random,
        bytes server_random,
        Py_ssize_t length,
    )


cpdef MasterSecret12 master_secret(
    Hash hash, bytes pre_master_secret, bytes client_random, bytes server_random
)
cpdef MasterSecret12 extended_master_secret(
    Hash hash, bytes pre_master_secret, bytes session_hash
)
cpdef MasterSecret12 master_secret_of(Hash hash, bytes secret)
