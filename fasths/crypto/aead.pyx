# The cipher suites of TLS 1.3: an AEAD and a hash each (RFC 8446, B.4).

from cryptography.exceptions import InvalidTag  # no-cython-lint: for fasths.record
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from fasths.crypto.key_schedule cimport SHA256, SHA384, Hash
from fasths.wire.codes import CipherSuite

# RFC 8446, 5.5: up to 2^24.5 full-size records under one AES-GCM key keep the safety margin.
# ChaCha20-Poly1305 is limited by the sequence number alone.
cdef long long AES_GCM_RECORDS = 23_726_566
cdef long long CHACHA20_POLY1305_RECORDS = 1LL << 62


cdef class Suite:
    """A cipher suite; records_per_key is how many records one key may protect."""

    def __cinit__(
        self, int code, Hash hash, Py_ssize_t key_length, long long records_per_key, object new
    ):
        self.code = code
        self.hash = hash
        self.key_length = key_length
        self.records_per_key = records_per_key
        self.new = new

    cdef object aead(self, bytes key):
        return self.new(key)


cdef dict SUITES = {
    suite.code: suite
    for suite in (
        Suite(CipherSuite.TLS_AES_128_GCM_SHA256, SHA256, 16, AES_GCM_RECORDS, AESGCM),
        Suite(CipherSuite.TLS_AES_256_GCM_SHA384, SHA384, 32, AES_GCM_RECORDS, AESGCM),
        Suite(
            CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
            SHA256,
            32,
            CHACHA20_POLY1305_RECORDS,
            ChaCha20Poly1305,
        ),
    )
}


cpdef Suite find_suite(int code):
    """The suite with this code. KeyError: fasths does not have it."""
    return SUITES[code]
