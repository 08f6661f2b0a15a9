# What the state machines of both roles share.
#
# A handshake takes whole messages and answers with `output`: messages to send, changes of keys, and
# the place of the compatibility change_cipher_spec, in the order in which they are to happen. It
# knows no records, so another carrier (QUIC's CRYPTO frames) could drive it.
#
# A step is found in the role's table by (state, message type). What the table omits is
# unexpected_message.

from fasths.crypto.key_schedule cimport (
    EarlySecret,
    MasterSecret,
    TrafficSecret,
    Transcript,
)
from fasths.crypto.signatures cimport certificate_verify_content, sign, verify
from fasths.wire.extensions cimport contains_u16
from fasths.wire.messages cimport (
    CertificateVerify,
    decode_certificate_verify,
    decode_finished,
    encode_certificate_verify,
    encode_message_hash,
)

from fasths.crypto.certificates import load_certificate
from fasths.crypto.key_schedule import equal_in_constant_time
from fasths.wire.codes import HandshakeType
from fasths.wire.errors import DecryptError, IllegalParameter, UnexpectedMessage


# Events: the place of the change_cipher_spec record (RFC 8446, D.4), and the news that the client
# may send early data that is not accepted (RFC 8446, 4.2.10).
CHANGE_CIPHER_SPEC = "change_cipher_spec"
SKIP_EARLY_DATA = "skip early data"


cdef class KeyChange:
    pass


cdef class Outcome:
    pass


cdef str message_name(int type):
    try:
        return HandshakeType(type).name
    except ValueError:
        return f"of type {type}"


cdef class Handshake:

    cdef int start(self) except -1:
        """The first step of this role; returns what is awaited (Wait)."""
        return WAIT_MESSAGE

    cdef int step(self, bytes message) except -1:
        """Take one whole message; returns what is awaited next (Wait)."""
        cdef int message_type = message[0], i
        for i in range(self.transition_count):
            if (
                self.transitions[i].state == self.state
                and self.transitions[i].message_type == message_type
            ):
                return self.transitions[i].step(self, message)
        raise UnexpectedMessage(
            f"the handshake message {message_name(message_type)} does not belong here"
        )

    cdef Handshake successor(self):
        """What takes the messages that arrive after this one is done: by default itself."""
        return self

    cdef int send(self, bytes message) except -1:
        self.transcript.update(message)
        self.output.append(message)
        return 0

    cdef int change_key(self, int direction, int level, TrafficSecret secret) except -1:
        cdef KeyChange change = KeyChange.__new__(KeyChange)
        change.direction = direction
        change.level = level
        change.suite = self.suite
        change.secret = secret
        self.output.append(change)
        return 0

    cdef int log_secret(self, str label, bytes secret) except -1:
        """One line of the key log (SSLKEYLOGFILE), if the Context asks for it."""
        self.config.keylog(f"{label} {self.client_random.hex()} {secret.hex()}")
        return 0

    cdef int restart_transcript(self, bytes client_hello, bytes hello_retry_request) except -1:
        """RFC 8446, 4.4.1: after a HelloRetryRequest a hash stands for the first ClientHello."""
        self.transcript = Transcript(self.suite.hash)
        self.transcript.update(encode_message_hash(self.suite.hash.digest(client_hello)))
        self.transcript.update(hello_retry_request)
        return 0

    cdef int derive_handshake_secrets(self, bytes shared_secret) except -1:
        """Once the transcript ends in ServerHello."""
        cdef EarlySecret early = EarlySecret(self.suite.hash)
        cdef bytes transcript_hash = self.transcript.digest()
        self.handshake_secret = early.handshake_secret(shared_secret)
        self.client_secret = self.handshake_secret.client_handshake_traffic_secret(transcript_hash)
        self.server_secret = self.handshake_secret.server_handshake_traffic_secret(transcript_hash)
        if self.config.keylog is not None:
            self.log_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self.client_secret.secret)
            self.log_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", self.server_secret.secret)
        return 0

    cdef tuple derive_application_secrets(self):
        """(client's, server's) secrets, once the transcript ends in the server's Finished."""
        cdef MasterSecret master = self.handshake_secret.master_secret()
        cdef bytes transcript_hash = self.transcript.digest()
        cdef TrafficSecret client, server
        client = master.client_application_traffic_secret_0(transcript_hash)
        server = master.server_application_traffic_secret_0(transcript_hash)
        self.outcome.exporter_secret = master.exporter_master_secret(transcript_hash)
        if self.config.keylog is not None:
            self.log_secret("CLIENT_TRAFFIC_SECRET_0", client.secret)
            self.log_secret("SERVER_TRAFFIC_SECRET_0", server.secret)
            self.log_secret("EXPORTER_SECRET", self.outcome.exporter_secret.secret)
        return client, server

    cdef tuple choose_identity(self, bytes signature_algorithms, bytes signature_algorithms_cert):
        """(the first identity that can sign for the peer, the scheme for it), or None.

        RFC 8446, 4.4.2.2: one whose chain is also signed in ways that the peer accepts comes
        before one whose chain is not, and such a chain is better than none.
        """
        cdef int scheme, chain_scheme
        cdef tuple fallback = None
        cdef bytes for_chain = signature_algorithms_cert
        if for_chain is None:
            for_chain = signature_algorithms
        for identity, schemes in self.config.signers:
            for scheme in schemes:
                if contains_u16(signature_algorithms, scheme):
                    break
            else:
                continue
            for chain_scheme in identity.chain_signature_schemes:
                if not contains_u16(for_chain, chain_scheme):
                    break
            else:
                return identity, scheme
            if fallback is None:
                fallback = identity, scheme
        return fallback

    cdef int send_certificate_verify(self, object identity, int scheme, bint by_server) except -1:
        cdef bytes content = certificate_verify_content(by_server, self.transcript.digest())
        return self.send(
            encode_certificate_verify(scheme, sign(identity.private_key, scheme, content))
        )

    cdef list read_peer_chain(self, tuple certificates):
        """Parse the peer's chain. CertificateError: some certificate cannot be parsed."""
        self.outcome.peer_certificates = certificates
        return [load_certificate(der) for der in certificates]

    cdef int keep_verified_chain(self, list verified, list chain) except -1:
        """Keep a verified path for the application: the peer's certificates as they were sent.

        Parsed certificates are many times as large; a connection keeps those of anchors only,
        which all connections share.
        """
        cdef Py_ssize_t i, position
        for position in range(len(verified)):
            for i in range(len(chain)):
                if verified[position] is chain[i]:
                    verified[position] = self.outcome.peer_certificates[i]
                    break
        self.outcome.verified_chain = verified
        return 0

    cdef int read_peer_signature(self, bytes message, bint by_server) except -1:
        """Check CertificateVerify (RFC 8446, 4.4.3) against the transcript before it."""
        cdef CertificateVerify certificate_verify = decode_certificate_verify(message)
        # RFC 8446, 4.4.3: the scheme is one that was offered.
        if certificate_verify.algorithm not in self.config.signature_schemes:
            raise IllegalParameter("the peer signed with a scheme that was not offered")
        verify(
            self.peer_certificate,
            certificate_verify.algorithm,
            certificate_verify.signature,
            certificate_verify_content(by_server, self.transcript.digest()),
        )
        self.peer_certificate = None
        self.transcript.update(message)
        return certificate_verify.algorithm

    cdef int read_peer_finished(self, bytes message, TrafficSecret secret) except -1:
        """Check Finished (RFC 8446, 4.4.4) against the transcript before it."""
        cdef bytes verify_data = decode_finished(message, self.suite.hash.length)
        if not equal_in_constant_time(secret.finished(self.transcript.digest()), verify_data):
            raise DecryptError("the verify_data of Finished is wrong")
        self.transcript.update(message)
        return 0
