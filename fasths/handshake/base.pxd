cimport cython

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport ExporterSecret, HandshakeSecret, Transcript, TrafficSecret
from fasths.handshake.configuration cimport Configuration

# What a step waits for next: numbers of SSLErrorCode.
cdef enum Wait:
    WAIT_NOTHING = 0
    WAIT_MESSAGE = 2

# Who protects with a secret, and from when on.
cdef enum:
    READ_KEY = 0
    WRITE_KEY = 1

cdef enum Level:
    LEVEL_HANDSHAKE = 2
    LEVEL_APPLICATION = 3


@cython.final
cdef class KeyChange:
    """An event: from here on one direction uses a new traffic secret."""

    cdef int direction
    cdef int level
    cdef Suite suite
    cdef TrafficSecret secret


@cython.final
cdef class Outcome:
    """What a handshake negotiated."""

    cdef Suite suite
    cdef int group
    cdef int signature_scheme
    cdef bytes protocol_name
    cdef str server_name
    cdef tuple peer_certificates
    # DER of what the peer sent, parsed certificates of the trust store.
    cdef list verified_chain
    cdef ExporterSecret exporter_secret


ctypedef int (*Step)(Handshake, bytes) except -1


cdef struct Transition:
    int state
    int message_type
    Step step


cdef class Handshake:
    cdef Configuration config
    cdef Outcome outcome
    cdef int state
    # Messages (bytes), KeyChange, CHANGE_CIPHER_SPEC and SKIP_EARLY_DATA, for the carrier to carry
    # out in order.
    cdef list output
    # The table of this role's steps.
    cdef const Transition* transitions
    cdef int transition_count
    cdef Suite suite
    cdef Transcript transcript
    cdef HandshakeSecret handshake_secret
    cdef TrafficSecret client_secret
    cdef TrafficSecret server_secret
    cdef bytes client_random
    # The peer's leaf, from Certificate to CertificateVerify.
    cdef object peer_certificate

    cdef int start(self) except -1
    cdef int step(self, bytes message) except -1
    cdef Handshake successor(self)
    cdef int send(self, bytes message) except -1
    cdef int change_key(self, int direction, int level, TrafficSecret secret) except -1
    cdef int log_secret(self, str label, bytes secret) except -1
    cdef int restart_transcript(self, bytes client_hello, bytes hello_retry_request) except -1
    cdef int derive_handshake_secrets(self, bytes shared_secret) except -1
    cdef tuple derive_application_secrets(self)
    cdef tuple choose_identity(self, bytes signature_algorithms, bytes signature_algorithms_cert)
    cdef int send_certificate_verify(self, object identity, int scheme, bint by_server) except -1
    cdef list read_peer_chain(self, tuple certificates)
    cdef int keep_verified_chain(self, list verified, list chain) except -1
    cdef int read_peer_signature(self, bytes message, bint by_server) except -1
    cdef int read_peer_finished(self, bytes message, TrafficSecret secret) except -1


cdef object CHANGE_CIPHER_SPEC
cdef object SKIP_EARLY_DATA
