# The key schedule of TLS 1.2 (RFC 5246, 5, 6.3, 7.4.9 and 8.1; RFC 7627, 4; RFC 5705, 4):
#
#     master = extended_master_secret(hash, pre_master_secret, session_hash)
#     keys = master.key_block(client_random, server_random, key_length, iv_length)
#     verify_data = master.finished(by_server, transcript_hash)
#
# All of it is the PRF. A secret keys an HMAC once, and what is made with the secret works on
# copies of that.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from fasths.crypto.key_schedule cimport Hash


cdef bytes p_hash(object keyed, bytes seed, Py_ssize_t length, bint for_the_last_time):
    """P_hash (RFC 5246, 5): HMAC(A(1) + seed), HMAC(A(2) + seed), ...

    for_the_last_time: keyed itself takes part in the end, which saves a copy of it.
    """
    cdef bytes output, block, a = seed
    cdef Py_ssize_t made = 0, size
    cdef object mac
    if length < 0:
        raise ValueError("the length of an output is negative")
    output = PyBytes_FromStringAndSize(NULL, length)
    while made < length:
        mac = keyed.copy()
        mac.update(a)
        a = mac.finalize()
        size = min(PyBytes_GET_SIZE(a), length - made)
        mac = keyed if for_the_last_time and made + size == length else keyed.copy()
        mac.update(a + seed)
        block = mac.finalize()
        memcpy(PyBytes_AS_STRING(output) + made, PyBytes_AS_STRING(block), size)
        made += size
    return output


cpdef bytes prf(Hash hash, bytes secret, bytes label, bytes seed, Py_ssize_t length):
    """PRF(secret, label, seed) (RFC 5246, 5)."""
    return p_hash(hash.keyed(secret), label + seed, length, True)


cpdef MasterSecret12 master_secret(
    Hash hash, bytes pre_master_secret, bytes client_random, bytes server_random
):
    """The master secret without extended_master_secret (RFC 5246, 8.1)."""
    cdef bytes seed = client_random + server_random
    return MasterSecret12(
        hash, prf(hash, pre_master_secret, b"master secret", seed, MASTER_SECRET_LENGTH)
    )


cpdef MasterSecret12 extended_master_secret(
    Hash hash, bytes pre_master_secret, bytes session_hash
):
    """The master secret with extended_master_secret (RFC 7627, 4).

    session_hash: of ClientHello to ClientKeyExchange.
    """
    return MasterSecret12(hash, prf(
        hash, pre_master_secret, b"extended master secret", session_hash, MASTER_SECRET_LENGTH
    ))


cpdef MasterSecret12 master_secret_of(Hash hash, bytes secret):
    """The master secret of a session that is resumed."""
    return MasterSecret12(hash, secret)


cdef class MasterSecret12:
    """A master secret, with all that a connection makes of it."""

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.secret = secret

    cdef bytes expand(self, bytes seed, Py_ssize_t length):
        """PRF(master_secret, label, seed), of label and seed together."""
        if self.keyed is None:
            self.keyed = self.hash.keyed(self.secret)
        return p_hash(self.keyed, seed, length, False)

    cpdef bytes finished(self, bint by_server, bytes transcript_hash):
        """verify_data of Finished (RFC 5246, 7.4.9)."""
        cdef bytes label = b"server finished" if by_server else b"client finished"
        return self.expand(label + transcript_hash, VERIFY_DATA_LENGTH)

    cpdef tuple key_block(
        self,
        bytes client_random,
        bytes server_random,
        Py_ssize_t key_length,
        Py_ssize_t iv_length,
    ):
        """client_write_key, server_write_key, client_write_IV, server_write_IV (RFC 5246, 6.3)."""
        cdef bytes block = self.expand(
            b"key expansion" + server_random + client_random, 2 * (key_length + iv_length)
        )
        cdef const char* at = PyBytes_AS_STRING(block)
        return (
            PyBytes_FromStringAndSize(at, key_length),
            PyBytes_FromStringAndSize(at + key_length, key_length),
            PyBytes_FromStringAndSize(at + 2 * key_length, iv_length),
            PyBytes_FromStringAndSize(at + 2 * key_length + iv_length, iv_length),
        )

    cpdef bytes export(
        self,
        bytes label,
        object context,
        bytes client_random,
        bytes server_random,
        Py_ssize_t length,
    ):
        """Keying material (RFC 5705, 4). context: bytes or None, and b"" is not None.

        ValueError: the context is longer than 65535 bytes.
        """
        cdef bytes seed = label + client_random + server_random
        if context is not None:
            if len(context) > 0xFFFF:
                raise ValueError("the context of an exporter exceeds 65535 bytes")
            seed += len(context).to_bytes(2, "big") + context
        return self.expand(seed, length)

    def reveal(self):
        """The secret itself, for a key log."""
        return self.secret
