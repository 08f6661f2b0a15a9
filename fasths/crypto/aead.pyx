# The cipher suites: an AEAD and a hash each, of TLS 1.3 (RFC 8446, B.4) and TLS 1.2 (RFC 5289, 3.2;
# RFC 7905, 2).

from cryptography.exceptions import InvalidTag  # no-cython-lint: for fasths.record
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from fasths.crypto.key_schedule cimport SHA256, SHA384, Hash
from fasths.wire.constants cimport VERSION_TLSv1_2, VERSION_TLSv1_3

from fasths.wire.codes import CipherSuite

# RFC 8446, 5.5: up to 2^24.5 full-size records under one AES-GCM key keep the safety margin.
# ChaCha20-Poly1305 is limited by the sequence number alone.
cdef long long AES_GCM_RECORDS = 23_726_566
cdef long long UNLIMITED = 1LL << 62


cdef class Suite:
    """A cipher suite.

    iv_length: of what the key schedule derives. explicit_nonce_length: of what stands in front of
    each record's ciphertext. authentication: the kind of key that the server must have, in TLS 1.2.
    records_per_key: how many records one key may protect.
    """

    def __cinit__(self, int code, Hash hash, Py_ssize_t key_length, object new):
        self.code = code
        self.version = VERSION_TLSv1_3
        self.hash = hash
        self.key_length = key_length
        self.iv_length = 12
        self.explicit_nonce_length = 0
        self.authentication = 0
        self.records_per_key = AES_GCM_RECORDS if new is AESGCM else UNLIMITED
        self.new = new

    cdef object aead(self, bytes key):
        return self.new(key)


cdef Suite tls12(int code, int authentication, Hash hash, Py_ssize_t key_length, object new):
    """A cipher suite of TLS 1.2."""
    cdef Suite suite = Suite(code, hash, key_length, new)
    suite.version = VERSION_TLSv1_2
    suite.authentication = authentication
    if new is AESGCM:
        # RFC 5288, 3: the key schedule gives the salt, and the record the rest of the nonce.
        suite.iv_length = 4
        suite.explicit_nonce_length = 8
    # TLS 1.2 has no KeyUpdate: a limit could only end the connection.
    suite.records_per_key = UNLIMITED
    return suite


cdef dict SUITES = {
    suite.code: suite
    for suite in (
        Suite(CipherSuite.TLS_AES_128_GCM_SHA256, SHA256, 16, AESGCM),
        Suite(CipherSuite.TLS_AES_256_GCM_SHA384, SHA384, 32, AESGCM),
        Suite(CipherSuite.TLS_CHACHA20_POLY1305_SHA256, SHA256, 32, ChaCha20Poly1305),
        tls12(
            CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            AUTHENTICATION_ECDSA, SHA256, 16, AESGCM,
        ),
        tls12(
            CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            AUTHENTICATION_ECDSA, SHA384, 32, AESGCM,
        ),
        tls12(
            CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            AUTHENTICATION_RSA, SHA256, 16, AESGCM,
        ),
        tls12(
            CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            AUTHENTICATION_RSA, SHA384, 32, AESGCM,
        ),
        tls12(
            CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            AUTHENTICATION_RSA, SHA256, 32, ChaCha20Poly1305,
        ),
        tls12(
            CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            AUTHENTICATION_ECDSA, SHA256, 32, ChaCha20Poly1305,
        ),
    )
}


cpdef Suite find_suite(int code):
    """The suite with this code. KeyError: fasths does not have it."""
    return SUITES[code]
