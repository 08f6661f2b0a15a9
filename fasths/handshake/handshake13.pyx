# What both sides of TLS 1.3 have in common: keys, and authentication (RFC 8446, 4.4 and 7).

from fasths.crypto.key_schedule cimport EarlySecret, MasterSecret, TrafficSecret, Transcript
from fasths.crypto.signatures cimport certificate_verify_content
from fasths.handshake.base cimport *
from fasths.wire.constants cimport (
    CERTIFICATETYPE_RawPublicKey,
    EXTENSION_status_request,
    HANDSHAKE_compressed_certificate,
)
from fasths.wire.extensions cimport IN_CERTIFICATE, contains_u16, require_allowed
from fasths.wire.messages cimport (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    certificate_message,
    decode_certificate,
    decode_certificate_verify,
    decode_compressed_certificate,
    decode_finished,
    encode_certificate,
    encode_certificate_verify,
    encode_message_hash,
)

from fasths.crypto.key_schedule import equal_in_constant_time
from fasths.wire.codes import StaplePolicy
from fasths.wire.compression import decompress
from fasths.wire.errors import (
    DecryptError,
    IllegalParameter,
    UnexpectedMessage,
    UnsupportedExtension,
)

cdef int STAPLE_IGNORE = StaplePolicy.IGNORE


cdef class Handshake13(Handshake):

    # --- Keys

    cdef int change_key(self, int direction, int level, TrafficSecret secret) except -1:
        cdef KeyChange change = KeyChange.__new__(KeyChange)
        change.direction = direction
        change.level = level
        change.suite = self.suite
        change.secret = secret
        self.output.append(change)
        return 0

    cdef int restart_transcript(self, bytes client_hello, bytes hello_retry_request) except -1:
        """RFC 8446, 4.4.1: after a HelloRetryRequest a hash stands for the first ClientHello."""
        self.transcript = Transcript(self.suite.hash)
        self.transcript.update(encode_message_hash(self.suite.hash.digest(client_hello)))
        self.transcript.update(hello_retry_request)
        return 0

    cdef int derive_handshake_secrets(self, bytes shared_secret) except -1:
        """Once the transcript ends in ServerHello."""
        cdef EarlySecret early = self.early_secret
        cdef bytes transcript_hash = self.transcript.digest()
        if early is None:
            early = EarlySecret(self.suite.hash)
        self.handshake_secret = early.handshake_secret(shared_secret)
        self.early_secret = None
        self.client_secret = self.handshake_secret.client_handshake_traffic_secret(transcript_hash)
        self.server_secret = self.handshake_secret.server_handshake_traffic_secret(transcript_hash)
        if self.config.keylog is not None:
            self.log_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self.client_secret.secret)
            self.log_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", self.server_secret.secret)
        return 0

    cdef int derive_early_secrets(self, bytes transcript_hash) except -1:
        """The client's secret for early data; transcript_hash: of ClientHello."""
        cdef TrafficSecret client = self.early_secret.client_early_traffic_secret(transcript_hash)
        self.client_secret = client
        self.outcome.early_exporter_secret = self.early_secret.early_exporter_master_secret(
            transcript_hash
        ).secret
        if self.config.keylog is not None:
            self.log_secret("CLIENT_EARLY_TRAFFIC_SECRET", client.secret)
            self.log_secret("EARLY_EXPORTER_SECRET", self.outcome.early_exporter_secret)
        return 0

    cdef tuple derive_application_secrets(self):
        """(client's, server's) secrets, once the transcript ends in the server's Finished."""
        cdef MasterSecret master = self.handshake_secret.master_secret()
        self.master_secret = master
        self.handshake_secret = None
        cdef bytes transcript_hash = self.transcript.digest()
        cdef TrafficSecret client, server
        client = master.client_application_traffic_secret_0(transcript_hash)
        server = master.server_application_traffic_secret_0(transcript_hash)
        self.outcome.exporter_secret = master.exporter_master_secret(transcript_hash).secret
        if self.config.keylog is not None:
            self.log_secret("CLIENT_TRAFFIC_SECRET_0", client.secret)
            self.log_secret("SERVER_TRAFFIC_SECRET_0", server.secret)
            self.log_secret("EXPORTER_SECRET", self.outcome.exporter_secret)
        return client, server

    # --- This side's identity

    cdef int send_certificate(
        self,
        bytes certificate_request_context,
        bint with_ocsp_response,
        bint with_timestamps,
        bytes compress_certificate,
    ) except -1:
        """Certificate of the chosen identity, with what the peer asked for and there is.

        compress_certificate: algorithms that the peer has (RFC 8879), or None.
        """
        cdef object identity = self.identity
        cdef int algorithm, chosen = 0
        with_ocsp_response = with_ocsp_response and identity.ocsp_response is not None
        with_timestamps = with_timestamps and bool(identity.signed_certificate_timestamps)
        if certificate_request_context:
            return self.send(encode_certificate(
                certificate_request_context,
                identity.certificates,
                identity.ocsp_response if with_ocsp_response else None,
                identity.signed_certificate_timestamps if with_timestamps else (),
            ))
        if compress_certificate is not None:
            for algorithm in self.config.certificate_compression:
                if contains_u16(compress_certificate, algorithm):
                    chosen = algorithm
                    break
        return self.send(
            self.config.certificate_message(identity, with_ocsp_response, with_timestamps, chosen)
        )

    cdef int show_identity(self, object identity) except -1:
        """A client's Certificate and CertificateVerify (RFC 8446, 4.4.2); None: an empty one."""
        cdef CertificateRequest request = self.certificate_request
        self.certificate_request = None
        if identity is None:
            self.send(encode_certificate(request.certificate_request_context, ()))
            return self.after_authentication(self, None)
        self.send_certificate(
            request.certificate_request_context,
            request.status_request,
            request.signed_certificate_timestamp,
            request.compress_certificate,
        )
        return self.sign_certificate_verify(self.after_authentication)

    cdef int sign_certificate_verify(self, Continuation continuation) except -1:
        """CertificateVerify (RFC 8446, 4.4.3) by the chosen identity; then go on."""
        self.after_signature = continuation
        return self.ask_for_signature(
            certificate_verify_content(self.by_server, self.transcript.digest()),
            <Continuation> send_certificate_verify,
        )

    # --- The peer's

    cdef Certificate read_certificate_message(self, bytes message):
        """Certificate, or what CompressedCertificate holds (RFC 8879, 4)."""
        cdef CompressedCertificate compressed
        cdef bytes body
        if message[0] == HANDSHAKE_compressed_certificate:
            if not self.config.certificate_compression:
                raise UnexpectedMessage("a CompressedCertificate although none was offered")
            compressed = decode_compressed_certificate(message)
            # RFC 8879, 4: an algorithm that was not offered is illegal_parameter.
            if compressed.algorithm not in self.config.certificate_compression:
                raise IllegalParameter("the peer compressed with an algorithm that was not offered")
            body = decompress(
                compressed.algorithm,
                compressed.compressed_certificate_message,
                compressed.uncompressed_length,
                self.config.max_handshake_message_size,
            )
            message = certificate_message(body)
        return decode_certificate(message, self.config.max_certificate_chain_length)

    cdef int judge_client(self, Certificate certificate) except -1:
        """judge_peer() for a client, which shows what CertificateRequest asked for."""
        cdef int type
        for type in certificate.extension_types:
            # RFC 8446, 4.4.2: extensions answer those of CertificateRequest.
            if type != EXTENSION_status_request or self.config.staple_policy == STAPLE_IGNORE:
                require_allowed(type, IN_CERTIFICATE)
                raise UnsupportedExtension("the client's Certificate has an unwanted extension")
        return self.judge_peer(
            certificate,
            self.outcome.client_certificate_type == CERTIFICATETYPE_RawPublicKey,
            <Continuation> wait_for_message,
        )

    cdef int read_peer_signature(self, bytes message) except -1:
        """Check CertificateVerify (RFC 8446, 4.4.3) against the transcript before it."""
        cdef CertificateVerify certificate_verify = decode_certificate_verify(message)
        self.check_signature(
            certificate_verify.algorithm,
            certificate_verify.signature,
            certificate_verify_content(not self.by_server, self.transcript.digest()),
        )
        self.transcript.update(message)
        return certificate_verify.algorithm

    cdef int read_peer_finished(self, bytes message, TrafficSecret secret) except -1:
        """Check Finished (RFC 8446, 4.4.4) against the transcript before it."""
        cdef bytes verify_data = decode_finished(message, self.suite.hash.length)
        if not equal_in_constant_time(secret.finished(self.transcript.digest()), verify_data):
            raise DecryptError("the verify_data of Finished is wrong")
        self.transcript.update(message)
        return 0


cdef int send_certificate_verify(Handshake13 self, object signature) except -1:
    self.send(encode_certificate_verify(self.signature_scheme, signature))
    return self.after_signature(self, None)
