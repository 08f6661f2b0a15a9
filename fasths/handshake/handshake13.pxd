from fasths.crypto.key_schedule cimport (
    EarlySecret,
    HandshakeSecret,
    MasterSecret,
    TrafficSecret,
)
from fasths.handshake.base cimport Continuation, Handshake
from fasths.wire.messages cimport Certificate


cdef class Handshake13(Handshake):
    cdef EarlySecret early_secret
    cdef HandshakeSecret handshake_secret
    cdef MasterSecret master_secret
    cdef TrafficSecret client_secret
    cdef TrafficSecret server_secret
    # Where it goes on when it has signed.
    cdef Continuation after_signature

    cdef int change_key(self, int direction, int level, TrafficSecret secret) except -1
    cdef int restart_transcript(self, bytes client_hello, bytes hello_retry_request) except -1
    cdef int derive_handshake_secrets(self, bytes shared_secret) except -1
    cdef int derive_early_secrets(self, bytes transcript_hash) except -1
    cdef tuple derive_application_secrets(self)
    cdef int send_certificate(
        self,
        bytes certificate_request_context,
        bint with_ocsp_response,
        bint with_timestamps,
        bytes compress_certificate,
    ) except -1
    cdef int sign_certificate_verify(self, Continuation continuation) except -1
    cdef Certificate read_certificate_message(self, bytes message)
    cdef int judge_client(self, Certificate certificate) except -1
    cdef int read_peer_signature(self, bytes message) except -1
    cdef int read_peer_finished(self, bytes message, TrafficSecret secret) except -1
