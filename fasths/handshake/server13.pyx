# The server's side of a full TLS 1.3 handshake (RFC 8446, 2 and A.2).

import os

from fasths.crypto.groups cimport respond
from fasths.crypto.key_schedule cimport TrafficSecret, Transcript
from fasths.handshake.base cimport *
from fasths.handshake.post_handshake cimport PostHandshake
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport contains_u16, find_key_share
from fasths.wire.messages cimport *
from fasths.wire.reader cimport Reader, read_u16, read_vector16, reader_over_bytes, remaining

from fasths.wire.codes import Verify
from fasths.wire.errors import (
    CertificateRequired,
    HandshakeFailure,
    IllegalParameter,
    MissingExtension,
    NoApplicationProtocol,
    ProtocolVersion,
    UnsupportedExtension,
)

cdef enum State:
    WAIT_CLIENT_HELLO
    WAIT_RETRIED_CLIENT_HELLO
    WAIT_CERTIFICATE
    WAIT_CERTIFICATE_VERIFY
    WAIT_FINISHED
    CONNECTED

cdef int VERIFY_NONE = Verify.NONE
cdef int VERIFY_REQUIRED = Verify.REQUIRED


cdef class ServerHandshake(Handshake):

    cdef Handshake successor(self):
        cdef TrafficSecret client, server
        client, server = self.application_secrets
        return PostHandshake(self.config, self.outcome, client, server, True)

    cdef int check_client_hello(self, ClientHello hello) except -1:
        """What a ClientHello for TLS 1.3 without a PSK must be (RFC 8446, 4.1.2 and 9.2)."""
        cdef Reader shares, share
        cdef int group
        # RFC 8446, D.5.
        if hello.legacy_version == VERSION_SSLv3:
            raise ProtocolVersion("the client speaks SSL 3.0")
        if hello.supported_versions is None or not contains_u16(
            hello.supported_versions, VERSION_TLSv1_3
        ):
            raise ProtocolVersion("the client has no version that is allowed here")
        if hello.legacy_compression_methods != b"\x00":
            raise IllegalParameter("legacy_compression_methods is not the null method alone")
        if hello.signature_algorithms is None:
            raise MissingExtension("ClientHello has no signature_algorithms")
        # RFC 8446, 9.2: these two stand together.
        if hello.supported_groups is None:
            raise MissingExtension("ClientHello has no supported_groups")
        if hello.key_shares is None:
            raise MissingExtension("ClientHello has no key_share")
        if hello.pre_shared_key and hello.psk_key_exchange_modes is None:
            raise MissingExtension("ClientHello has pre_shared_key without its modes")
        # RFC 8446, 4.2.8: no share for a group that is not in supported_groups.
        reader_over_bytes(&shares, hello.key_shares, 0)
        while remaining(&shares):
            group = read_u16(&shares)
            read_vector16(&shares, &share, 1)
            if not contains_u16(hello.supported_groups, group):
                raise IllegalParameter("key_share has a group that supported_groups lacks")
        return 0

    cdef int check_retried_client_hello(self, ClientHello hello, bytes message) except -1:
        """RFC 8446, 4.1.2: what may have changed in a ClientHello after HelloRetryRequest."""
        if constant_part(message) != self.constant_part:
            raise IllegalParameter("ClientHello changed after HelloRetryRequest")
        if hello.early_data:
            raise IllegalParameter("early_data after HelloRetryRequest")
        if hello.cookie != self.cookie:
            raise IllegalParameter("the cookie is not the one of HelloRetryRequest")
        return 0

    cdef int choose_suite(self, ClientHello hello) except -1:
        for suite in self.config.suites:
            if contains_u16(hello.cipher_suites, suite.code):
                self.suite = suite
                return 0
        raise HandshakeFailure("no cipher suite in common with the client")

    cdef int choose_group(self, ClientHello hello) except -1:
        """The group, or its negative where the client has to send a share for it first.

        Any group in common that comes with a share spares a round trip, so it comes first.
        """
        cdef int group, wanted = 0
        for group in self.config.groups:
            if not contains_u16(hello.supported_groups, group):
                continue
            if find_key_share(hello.key_shares, group) is not None:
                return group
            if not wanted:
                wanted = group
        if wanted:
            return -wanted
        raise HandshakeFailure("no group in common with the client")

    cdef bytes choose_protocol(self, ClientHello hello):
        """The application protocol (RFC 7301, 3.2), or None where either side has none."""
        cdef bytes name
        if hello.protocol_names is None or not self.config.protocol_names:
            return None
        for name in self.config.protocol_names:
            if name in hello.protocol_names:
                return name
        raise NoApplicationProtocol("no application protocol in common with the client")

    cdef int send_hello_retry_request(self, ClientHello hello, bytes message, int group) except -1:
        """Ask for a share in `group`, or with 0 just for the cookie (RFC 8446, 4.1.4)."""
        cdef bytes request
        if self.config.retry_with_cookie:
            self.cookie = os.urandom(32)
        request = encode_hello_retry_request(
            hello.legacy_session_id, self.suite.code, group, self.cookie
        )
        self.restart_transcript(message, request)
        self.output.append(request)
        if hello.legacy_session_id:
            self.output.append(CHANGE_CIPHER_SPEC)
        self.first_key_shares = hello.key_shares
        self.constant_part = constant_part(message)
        self.retry_group = group
        self.state = WAIT_RETRIED_CLIENT_HELLO
        return WAIT_MESSAGE

    cdef int send_flight(self, ClientHello hello, bytes message, bytes client_share) except -1:
        """ServerHello to Finished; what cannot be agreed on is refused before anything is sent."""
        cdef int group = self.outcome.group
        cdef bytes share, shared_secret
        cdef bytes protocol_name = self.choose_protocol(hello)
        cdef tuple choice = self.choose_identity(
            hello.signature_algorithms, hello.signature_algorithms_cert
        )
        if choice is None:
            raise HandshakeFailure("no certificate that the client can check signatures of")
        identity, self.outcome.signature_scheme = choice
        share, shared_secret = respond(group, client_share)
        if self.transcript is None:
            self.transcript = Transcript(self.suite.hash)
        self.transcript.update(message)
        self.send(
            encode_server_hello(
                os.urandom(32), hello.legacy_session_id, self.suite.code, group, share
            )
        )
        self.derive_handshake_secrets(shared_secret)
        # RFC 8446, D.4: only for a client that asked for it, and once.
        if hello.legacy_session_id and self.constant_part is None:
            self.output.append(CHANGE_CIPHER_SPEC)
        self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.server_secret)
        self.change_key(READ_KEY, LEVEL_HANDSHAKE, self.client_secret)
        self.send(self.config.encrypted_extensions[protocol_name])
        if self.config.server_verify != VERIFY_NONE:
            self.send(self.config.certificate_request)
        self.send(self.config.certificate_messages[identity])
        self.send_certificate_verify(identity, self.outcome.signature_scheme, True)
        self.send(encode_finished(self.server_secret.finished(self.transcript.digest())))
        self.application_secrets = self.derive_application_secrets()
        self.change_key(WRITE_KEY, LEVEL_APPLICATION, self.application_secrets[1])
        self.outcome.suite = self.suite
        self.outcome.protocol_name = protocol_name
        self.state = WAIT_FINISHED if self.config.server_verify == VERIFY_NONE else WAIT_CERTIFICATE
        return WAIT_MESSAGE


cdef Handshake server_handshake(Configuration config):
    cdef ServerHandshake handshake = ServerHandshake.__new__(ServerHandshake)
    handshake.config = config
    handshake.outcome = Outcome.__new__(Outcome)
    handshake.output = []
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.state = WAIT_CLIENT_HELLO
    return handshake


cdef int read_client_hello(ServerHandshake self, bytes message) except -1:
    cdef ClientHello hello = decode_client_hello(message)
    cdef int group
    self.check_client_hello(hello)
    # RFC 8446, 4.2.2: a cookie answers a HelloRetryRequest.
    if hello.cookie is not None:
        raise IllegalParameter("a cookie in the first ClientHello")
    self.client_random = hello.random
    if hello.early_data:
        self.output.append(SKIP_EARLY_DATA)
    self.outcome.server_name = hello.server_name
    self.choose_suite(hello)
    group = self.choose_group(hello)
    if group < 0:
        return self.send_hello_retry_request(hello, message, -group)
    if self.config.retry_with_cookie:
        return self.send_hello_retry_request(hello, message, 0)
    self.outcome.group = group
    return self.send_flight(hello, message, find_key_share(hello.key_shares, group))


cdef int read_retried_client_hello(ServerHandshake self, bytes message) except -1:
    cdef ClientHello hello = decode_client_hello(message)
    cdef bytes share
    self.check_client_hello(hello)
    self.check_retried_client_hello(hello, message)
    if self.retry_group:
        # RFC 8446, 4.2.8: exactly one share, for the group that was asked for.
        share = find_key_share(hello.key_shares, self.retry_group)
        if share is None or len(share) + 4 != len(hello.key_shares):
            raise IllegalParameter("the key_share is not the one that HelloRetryRequest asked for")
        self.outcome.group = self.retry_group
    else:
        self.outcome.group = self.choose_group(hello)
        if hello.key_shares != self.first_key_shares:
            raise IllegalParameter("key_share changed after HelloRetryRequest")
        share = find_key_share(hello.key_shares, self.outcome.group)
    return self.send_flight(hello, message, share)


cdef int read_certificate(ServerHandshake self, bytes message) except -1:
    cdef Certificate certificate = decode_certificate(
        message, self.config.max_certificate_chain_length
    )
    cdef list chain
    if certificate.certificate_request_context:
        raise IllegalParameter("the client's Certificate has a context that was not asked for")
    # RFC 8446, 4.4.2: extensions answer those of CertificateRequest, which asks for none.
    if certificate.extension_types:
        raise UnsupportedExtension("the client's Certificate has an extension")
    if certificate.certificates:
        chain = self.read_peer_chain(certificate.certificates)
        self.keep_verified_chain(self.config.chain_verifier().verify_client(chain), chain)
        self.peer_certificate = chain[0]
        self.state = WAIT_CERTIFICATE_VERIFY
    elif self.config.server_verify == VERIFY_REQUIRED:
        raise CertificateRequired("the client sent no certificate")
    else:
        self.state = WAIT_FINISHED
    self.transcript.update(message)
    return WAIT_MESSAGE


cdef int read_certificate_verify(ServerHandshake self, bytes message) except -1:
    self.read_peer_signature(message, False)
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_finished(ServerHandshake self, bytes message) except -1:
    self.read_peer_finished(message, self.client_secret)
    self.change_key(READ_KEY, LEVEL_APPLICATION, self.application_secrets[0])
    self.state = CONNECTED
    return WAIT_NOTHING


cdef Transition[5] TRANSITIONS
TRANSITIONS[0] = Transition(
    WAIT_CLIENT_HELLO, HANDSHAKE_client_hello, <Step> read_client_hello
)
TRANSITIONS[1] = Transition(
    WAIT_RETRIED_CLIENT_HELLO, HANDSHAKE_client_hello, <Step> read_retried_client_hello
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[3] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[4] = Transition(
    WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished
)
