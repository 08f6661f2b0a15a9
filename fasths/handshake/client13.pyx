# The client's side of a full TLS 1.3 handshake (RFC 8446, 2 and A.1).

import os

from libc.stdint cimport uint64_t

from fasths.crypto.groups cimport KeyExchange
from fasths.crypto.key_schedule cimport TrafficSecret, Transcript
from fasths.handshake.base cimport *
from fasths.handshake.post_handshake cimport PostHandshake
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport *
from fasths.wire.messages cimport *
from fasths.wire.writer cimport Writer

from fasths.crypto.aead import find_suite
from fasths.wire.errors import (
    DecodeError,
    IllegalParameter,
    MissingExtension,
    ProtocolVersion,
    UnexpectedMessage,
)

cdef enum State:
    WAIT_SERVER_HELLO
    WAIT_ENCRYPTED_EXTENSIONS
    WAIT_CERTIFICATE_OR_REQUEST
    WAIT_CERTIFICATE
    WAIT_CERTIFICATE_VERIFY
    WAIT_FINISHED
    CONNECTED

# RFC 8446, 4.1.3: how the random of a server ends that can do more than it negotiates.
cdef tuple DOWNGRADE_SENTINELS = (b"DOWNGRD\x01", b"DOWNGRD\x00")


cdef class ClientHandshake(Handshake):

    cdef int start(self) except -1:
        self.send_client_hello(None)
        self.state = WAIT_SERVER_HELLO
        return WAIT_MESSAGE

    cdef int send_client_hello(self, bytes cookie) except -1:
        """Queue a ClientHello; a second one repeats the first but for shares and cookie."""
        cdef Writer w = Writer.__new__(Writer)
        cdef list shares = []
        cdef bytes entropy
        cdef int group
        if self.given:
            self.client_hello = self.given.pop(0)
            self.output.append(self.client_hello)
            return 0
        if not self.retried:
            # One draw for random and for legacy_session_id, which is not empty so that
            # middleboxes take this for a resumption (RFC 8446, D.4).
            entropy = os.urandom(64)
            self.client_random = entropy[:32]
            self.legacy_session_id = entropy[32:]
        w.blob(self.config.hello_extensions)
        if self.server_name is not None:
            write_server_name(w, self.server_name)
        for group in self.shared_groups:
            shares.append((group, self.key_exchange.generate(group)))
        write_key_shares(w, shares)
        if cookie is not None:
            write_cookie(w, cookie)
        self.client_hello = encode_client_hello(
            self.client_random,
            self.legacy_session_id,
            self.config.hello_cipher_suites,
            w.finish(),
        )
        self.output.append(self.client_hello)
        return 0

    cdef Handshake successor(self):
        cdef TrafficSecret client, server
        client, server = self.application_secrets
        return PostHandshake(self.config, self.outcome, server, client, False)

    def start_with(self, list client_hellos, dict private_keys):
        """Send these ClientHellos (a second one after HelloRetryRequest) instead of one's own, as
        published traces do. private_keys: those of their shares, by group."""
        cdef ClientHello hello = decode_client_hello(client_hellos[0])
        for group, private_key in private_keys.items():
            self.key_exchange.use_private_key(group, private_key)
        self.shared_groups = tuple(
            [group for group in private_keys if find_key_share(hello.key_shares, group) is not None]
        )
        self.client_random = hello.random
        self.legacy_session_id = hello.legacy_session_id
        self.offered = hello.extension_types
        self.given = list(client_hellos)

    cdef int check_server_hello(self, ServerHello hello) except -1:
        """What holds for ServerHello and HelloRetryRequest (RFC 8446, 4.1.3 and 4.1.4)."""
        cdef int where, type
        # RFC 8446, D.5.
        if hello.legacy_version == VERSION_SSLv3:
            raise ProtocolVersion("the server speaks SSL 3.0")
        if hello.selected_version < 0:
            # RFC 8446, 4.1.3: a server that negotiates less but can do more was tampered with.
            if hello.random[24:] in DOWNGRADE_SENTINELS:
                raise IllegalParameter("the server was made to downgrade the version")
            raise ProtocolVersion("the server has no version that is allowed here")
        # RFC 8446, 4.2.1: a version that was offered, and legacy_version stays that of TLS 1.2.
        if hello.selected_version != VERSION_TLSv1_3 or hello.legacy_version != VERSION_TLSv1_2:
            raise IllegalParameter("the server selected a version that was not offered")
        if hello.legacy_session_id_echo != self.legacy_session_id:
            raise IllegalParameter("legacy_session_id_echo is not what was sent")
        if hello.legacy_compression_method != 0:
            raise IllegalParameter("the server selected a compression method")
        where = IN_HELLO_RETRY_REQUEST if hello.is_hello_retry_request else IN_SERVER_HELLO
        for type in hello.extension_types:
            # RFC 8446, 4.2: a cookie is the one extension that comes without having been offered.
            if type == EXTENSION_cookie:
                require_allowed(type, where)
            else:
                require_offered(type, where, self.offered)
        if not contains_u16(self.config.hello_cipher_suites, hello.cipher_suite):
            raise IllegalParameter("the server selected a cipher suite that was not offered")
        # RFC 8446, 4.1.4: the suite stays what HelloRetryRequest said.
        if self.retried and hello.cipher_suite != self.suite.code:
            raise IllegalParameter("the cipher suite changed after HelloRetryRequest")
        self.suite = find_suite(hello.cipher_suite)
        return 0

    cdef int retry(self, ServerHello hello, bytes message) except -1:
        """Answer a HelloRetryRequest (RFC 8446, 4.1.4)."""
        if self.retried:
            raise UnexpectedMessage("a second HelloRetryRequest")
        if hello.group >= 0:
            # RFC 8446, 4.2.8: a group that was offered, and has no share yet.
            if hello.group not in self.config.groups or hello.group in self.shared_groups:
                raise IllegalParameter("HelloRetryRequest asks for a group that it must not")
            self.shared_groups = (hello.group,)
        elif hello.cookie is None:
            raise IllegalParameter("HelloRetryRequest changes nothing")
        self.retried = True
        self.retry_group = max(hello.group, 0)
        self.restart_transcript(self.client_hello, message)
        # RFC 8446, D.4: only with the legacy_session_id that asks for compatibility.
        if self.legacy_session_id:
            self.output.append(CHANGE_CIPHER_SPEC)
        try:
            self.send_client_hello(hello.cookie)
        except ValueError:
            raise IllegalParameter("the cookie does not fit into a ClientHello") from None
        self.transcript.update(self.client_hello)
        self.client_hello = None
        return WAIT_MESSAGE

    cdef int send_client_certificate(self) except -1:
        """Certificate and CertificateVerify, as the server asked (RFC 8446, 4.4.2)."""
        cdef tuple choice = self.choose_identity(
            self.certificate_request.signature_algorithms,
            self.certificate_request.signature_algorithms_cert,
        )
        if choice is None:
            return self.send(encode_certificate(b"", ()))
        identity, scheme = choice
        self.send(self.config.certificate_messages[identity])
        return self.send_certificate_verify(identity, scheme, False)


cdef Handshake client_handshake(Configuration config, bytes server_name, str hostname):
    """server_name: what the extension says, or None. hostname: what the chain is verified for."""
    cdef ClientHandshake handshake = ClientHandshake.__new__(ClientHandshake)
    handshake.config = config
    handshake.outcome = Outcome.__new__(Outcome)
    handshake.output = []
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.server_name = server_name
    handshake.hostname = hostname
    handshake.key_exchange = KeyExchange.__new__(KeyExchange)
    handshake.shared_groups = handshake.config.key_share_groups
    handshake.offered = (
        <uint64_t> 1 << EXTENSION_supported_versions
        | <uint64_t> 1 << EXTENSION_supported_groups
        | <uint64_t> 1 << EXTENSION_signature_algorithms
        | <uint64_t> 1 << EXTENSION_signature_algorithms_cert
        | <uint64_t> 1 << EXTENSION_key_share
    )
    if server_name is not None:
        handshake.offered |= <uint64_t> 1 << EXTENSION_server_name
    if handshake.config.protocol_names:
        handshake.offered |= <uint64_t> 1 << EXTENSION_application_layer_protocol_negotiation
    return handshake


cdef int read_server_hello(ClientHandshake self, bytes message) except -1:
    cdef ServerHello hello = decode_server_hello(message)
    self.check_server_hello(hello)
    if hello.is_hello_retry_request:
        return self.retry(hello, message)
    if hello.key_exchange is None:
        raise MissingExtension("ServerHello has no key_share")
    # RFC 8446, 4.2.8: the share is in a group that has a share here, after HelloRetryRequest the
    # one that it named.
    if hello.group not in self.shared_groups or (
        self.retry_group and hello.group != self.retry_group
    ):
        raise IllegalParameter("the server's key share is in a group without one of ours")
    if not self.retried:
        self.transcript = Transcript(self.suite.hash)
        self.transcript.update(self.client_hello)
        self.client_hello = None
    self.transcript.update(message)
    self.derive_handshake_secrets(
        self.key_exchange.shared_secret(hello.group, hello.key_exchange)
    )
    self.key_exchange = None
    self.outcome.suite = self.suite
    self.outcome.group = hello.group
    self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.client_secret)
    self.change_key(READ_KEY, LEVEL_HANDSHAKE, self.server_secret)
    self.state = WAIT_ENCRYPTED_EXTENSIONS
    return WAIT_MESSAGE


cdef int read_encrypted_extensions(ClientHandshake self, bytes message) except -1:
    cdef EncryptedExtensions extensions = decode_encrypted_extensions(message)
    cdef int type
    for type in extensions.extension_types:
        require_offered(type, IN_ENCRYPTED_EXTENSIONS, self.offered)
    # RFC 7301, 3.2: the choice is one of what was offered.
    if (
        extensions.protocol_name is not None
        and extensions.protocol_name not in self.config.protocol_names
    ):
        raise IllegalParameter("the server chose an application protocol that was not offered")
    self.outcome.protocol_name = extensions.protocol_name
    self.transcript.update(message)
    self.state = WAIT_CERTIFICATE_OR_REQUEST
    return WAIT_MESSAGE


cdef int read_certificate_request(ClientHandshake self, bytes message) except -1:
    self.certificate_request = decode_certificate_request(message)
    # RFC 8446, 4.3.2: the context is empty in the handshake.
    if self.certificate_request.certificate_request_context:
        raise IllegalParameter("CertificateRequest has a context in the handshake")
    self.transcript.update(message)
    self.state = WAIT_CERTIFICATE
    return WAIT_MESSAGE


cdef int read_certificate(ClientHandshake self, bytes message) except -1:
    cdef Certificate certificate = decode_certificate(
        message, self.config.max_certificate_chain_length
    )
    cdef list chain
    cdef int type
    if certificate.certificate_request_context:
        raise IllegalParameter("the server's Certificate has a context")
    # RFC 8446, 4.4.2.4: a server's chain is never empty.
    if not certificate.certificates:
        raise DecodeError("the server sent no certificate")
    for type in certificate.extension_types:
        require_offered(type, IN_CERTIFICATE, self.offered)
    chain = self.read_peer_chain(certificate.certificates)
    if self.config.client_verify:
        self.keep_verified_chain(
            self.config.chain_verifier().verify_server(chain, self.hostname), chain
        )
    self.peer_certificate = chain[0]
    self.transcript.update(message)
    self.state = WAIT_CERTIFICATE_VERIFY
    return WAIT_MESSAGE


cdef int read_certificate_verify(ClientHandshake self, bytes message) except -1:
    self.outcome.signature_scheme = self.read_peer_signature(message, True)
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_finished(ClientHandshake self, bytes message) except -1:
    self.read_peer_finished(message, self.server_secret)
    self.application_secrets = self.derive_application_secrets()
    self.change_key(READ_KEY, LEVEL_APPLICATION, self.application_secrets[1])
    # RFC 8446, D.4: before the second flight, unless HelloRetryRequest brought it earlier.
    if self.legacy_session_id and not self.retried:
        self.output.append(CHANGE_CIPHER_SPEC)
    if self.certificate_request is not None:
        self.send_client_certificate()
    self.send(encode_finished(self.client_secret.finished(self.transcript.digest())))
    self.change_key(WRITE_KEY, LEVEL_APPLICATION, self.application_secrets[0])
    self.state = CONNECTED
    return WAIT_NOTHING


cdef Transition[7] TRANSITIONS
TRANSITIONS[0] = Transition(
    WAIT_SERVER_HELLO, HANDSHAKE_server_hello, <Step> read_server_hello
)
TRANSITIONS[1] = Transition(
    WAIT_ENCRYPTED_EXTENSIONS, HANDSHAKE_encrypted_extensions, <Step> read_encrypted_extensions
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE_OR_REQUEST, HANDSHAKE_certificate_request, <Step> read_certificate_request
)
TRANSITIONS[3] = Transition(
    WAIT_CERTIFICATE_OR_REQUEST, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[4] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[5] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[6] = Transition(
    WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished
)
