# The client's side of a TLS 1.2 handshake (RFC 5246, 7.3), from ServerHello on. ClientHello is
# client13's: it offers all versions at once.

import time

from libc.stdint cimport uint64_t

from fasths.crypto.aead cimport find_suite
from fasths.crypto.groups cimport respond
from fasths.crypto.key_schedule cimport Transcript
from fasths.crypto.key_schedule12 cimport master_secret_of
from fasths.crypto.signatures cimport authentication_of
from fasths.handshake.base cimport *
from fasths.handshake.client cimport choose_certificate_types
from fasths.handshake.configuration cimport *
from fasths.handshake.handshake12 cimport *
from fasths.handshake.session cimport MAX_TICKET_LIFETIME, Session
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport IN_SERVER_HELLO_12, contains_u16, require_allowed
from fasths.wire.messages cimport CertificateRequest, encode_certificate_verify
from fasths.wire.messages12 cimport *

from fasths.wire.errors import (
    DecodeError,
    HandshakeFailure,
    IllegalParameter,
    ProtocolVersion,
    UnsupportedExtension,
)

cdef enum:
    # A longer ticket is dropped.
    MAX_TICKET_SIZE = 1 << 14


cdef class ClientHandshake12(Handshake12):

    cdef int step(self, bytes message) except -1:
        # RFC 5246, 7.4.1.1: a client that negotiates already ignores it, and no hash has it.
        if message[0] == HANDSHAKE_hello_request:
            decode_hello_request(message)
            self.count_renegotiation_request()
            return WAIT_MESSAGE
        return Handshake.step(self, message)

    cdef int read_server_hello(self, bytes message) except -1:
        cdef ServerHello12 hello = decode_server_hello_12(message)
        self.check_server_hello(hello)
        self.server_random = hello.random
        self.transcript = Transcript(self.suite.hash)
        self.messages = []
        self.add(self.client_hello)
        self.add(message)
        self.client_hello = None
        self.outcome.suite = self.suite
        self.outcome.version = VERSION_TLSv1_2
        self.read_extensions(hello)
        self.expects_ticket = hello.session_ticket
        # RFC 5246, 7.4.1.3; RFC 5077, 3.4: the id of ClientHello says that it is resumed.
        if hello.session_id and hello.session_id == self.offered_session_id:
            return self.resume_session(hello)
        self.offered_session = None
        self.session_id = hello.session_id
        self.expects_status = hello.status_request
        self.signed_certificate_timestamps = hello.signed_certificate_timestamps
        self.sends_raw_public_key = choose_certificate_types(
            self, hello.client_certificate_type, hello.server_certificate_type
        )
        self.state = WAIT_CERTIFICATE
        return WAIT_MESSAGE

    cdef int check_server_hello(self, ServerHello12 hello) except -1:
        cdef int type
        if hello.server_version != VERSION_TLSv1_2:
            raise ProtocolVersion("the server has no version that is allowed here")
        if hello.compression_method != 0:
            raise IllegalParameter("the server selected a compression method")
        for type in hello.extension_types:
            # RFC 5246, 7.4.1.4. renegotiation_info is in every ClientHello for TLS 1.2.
            if type != EXTENSION_renegotiation_info and (
                type >= 64 or not self.offered >> type & 1
            ):
                raise UnsupportedExtension(f"the extension {type} was not offered")
            require_allowed(type, IN_SERVER_HELLO_12)
        if not contains_u16(self.config.hello_cipher_suites, hello.cipher_suite):
            raise IllegalParameter("the server selected a cipher suite that was not offered")
        self.suite = find_suite(hello.cipher_suite)
        if self.suite.version != VERSION_TLSv1_2:
            raise IllegalParameter("the server selected a cipher suite of TLS 1.3 in TLS 1.2")
        # RFC 5746, 3.4 and 4.1: without it the server's data may be for another connection.
        if hello.renegotiation_info is None:
            raise HandshakeFailure("the server has no secure renegotiation")
        if hello.renegotiation_info:
            raise HandshakeFailure("renegotiation_info is not empty in a first handshake")
        # RFC 8422, 5.2.
        if hello.ec_point_formats is not None and 0 not in hello.ec_point_formats:
            raise IllegalParameter("the server does not take uncompressed points")
        self.outcome.extended_master_secret = hello.extended_master_secret
        if self.config.require_extended_master_secret and not hello.extended_master_secret:
            raise HandshakeFailure("the server has no extended_master_secret")
        return 0

    cdef int read_extensions(self, ServerHello12 hello) except -1:
        # RFC 7301, 3.2: the choice is one of what was offered.
        if (
            hello.protocol_name is not None
            and hello.protocol_name not in self.config.protocol_names
        ):
            raise IllegalParameter("the server chose an application protocol that was not offered")
        self.outcome.protocol_name = hello.protocol_name
        if hello.record_size_limit >= 0:
            # RFC 8449, 4: no more than the protocol allows.
            if hello.record_size_limit > MAX_PLAINTEXT:
                raise IllegalParameter("the server's record_size_limit is above the protocol's")
            self.limit_records(
                hello.record_size_limit, min(self.config.record_size_limit, MAX_PLAINTEXT)
            )
        return 0

    cdef int resume_session(self, ServerHello12 hello) except -1:
        cdef Session session = self.offered_session
        if session is None:
            raise IllegalParameter("the server resumes a session that was not offered")
        # RFC 5246, 7.4.1.3.
        if session.suite_code != hello.cipher_suite:
            raise IllegalParameter("the server resumes a session with another cipher suite")
        # RFC 7627, 5.3: all sessions that are kept have it.
        if not hello.extended_master_secret:
            raise HandshakeFailure("the server resumes a session without extended_master_secret")
        self.session = session
        self.messages = None
        self.master = master_secret_of(self.suite.hash, session.psk())
        self.derive_keys()
        self.state = WAIT_NEW_SESSION_TICKET if self.expects_ticket else WAIT_CHANGE_CIPHER_SPEC
        return WAIT_MESSAGE

    # --- The second flight

    cdef Signers client_signers(self, CertificateRequest request):
        return self.config.signers_of_kinds(kinds_in(request.certificate_types))

    cdef int show_identity(self, object identity) except -1:
        """Certificate, ClientKeyExchange and CertificateVerify; None: an empty one of the first,
        and none of the last (RFC 5246, 7.4.6 and 7.4.8)."""
        cdef CertificateRequest request = self.certificate_request
        self.certificate_request = None
        if identity is None:
            self.send(encode_certificate_12(()))
            return self.send_client_key_exchange()
        if not kind_of(identity) & kinds_in(request.certificate_types):
            raise HandshakeFailure("the chosen identity has a key that the server does not take")
        if identity.is_raw_public_key:
            self.send(encode_raw_public_key_12(identity.certificates[0]))
        else:
            self.send(self.config.certificate_message_12(identity))
        self.identity = identity
        return self.send_client_key_exchange()

    cdef int send_client_key_exchange(self) except -1:
        cdef bytes share, secret
        share, secret = respond(self.server_key_exchange.group, self.server_key_exchange.public)
        self.server_key_exchange = None
        self.send(encode_client_key_exchange(share))
        self.derive_master_secret(secret)
        if self.identity is None:
            return finish_flight(self, None)
        return self.ask_for_signature(
            b"".join(self.messages), <Continuation> send_certificate_verify
        )

    cdef int keep_session(self) except -1:
        """What the connection can be resumed with: the ticket or the session id that the server
        gave, or where it gave none, the session that was resumed."""
        cdef Outcome outcome = self.outcome
        cdef Session session = Session.__new__(Session)
        if self.ticket or self.session_id:
            # RFC 7627, 5.3: without it a session is not to be resumed.
            if not outcome.extended_master_secret or len(self.ticket or b"") > MAX_TICKET_SIZE:
                return 0
            session.version_code = VERSION_TLSv1_2
            session.suite_code = self.suite.code
            session.secret = self.master.secret
            session.created = time.time()
            session.authenticated = outcome.authenticated or session.created
            # RFC 5077, 3.3: 0 says nothing.
            session.lifetime = min(self.ticket_lifetime_hint, MAX_TICKET_LIFETIME)
            if session.lifetime == 0:
                session.lifetime = self.config.session_lifetime
            session.server_name = outcome.hostname
            session.protocol_name = outcome.protocol_name
            remember_peer(session, outcome)
            session.identity_digest = outcome.identity_digest
            # RFC 5077, 3.4: a ticket comes before a session id.
            if self.ticket:
                session.ticket = self.ticket
            else:
                session.session_id = self.session_id
        elif self.session is not None:
            session = self.session
        else:
            return 0
        outcome.sessions = [session]
        return self.put_into_cache(session)


cdef int kinds_in(bytes certificate_types) except -1:
    """The kinds of keys that a server takes (RFC 5246, 7.4.4)."""
    cdef int kinds = 0
    if CLIENTCERTIFICATETYPE_rsa_sign in certificate_types:
        kinds |= KIND_RSA
    # RFC 8422, 3: this is for EdDSA, too.
    if CLIENTCERTIFICATETYPE_ecdsa_sign in certificate_types:
        kinds |= KIND_EDDSA | KIND_SECP256R1 | KIND_SECP384R1 | KIND_SECP521R1
    return kinds


cdef int go_on_as_client_12(
    Handshake before,
    bytes client_hello,
    bytes offered_session_id,
    uint64_t offered,
    Session session,
    tuple verified_chain,
    bytes message,
) except -1:
    """Go on in place of the handshake that has sent ClientHello and got a ServerHello."""
    cdef ClientHandshake12 handshake = ClientHandshake12.__new__(ClientHandshake12)
    handshake.go_on_in_place_of(before)
    handshake.outcome.post_handshake_auth = False
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.client_hello = client_hello
    handshake.offered_session_id = offered_session_id
    handshake.offered = offered
    handshake.offered_session = session
    handshake.offered_chain = verified_chain
    return handshake.read_server_hello(message)


cdef int read_certificate(ClientHandshake12 self, bytes message) except -1:
    if self.sends_raw_public_key:
        self.certificate = decode_raw_public_key_12(message)
    else:
        self.certificate = decode_certificate_12(
            message, self.config.max_certificate_chain_length
        )
    # RFC 5246, 7.4.2: a server's chain is never empty.
    if not self.certificate.certificates:
        raise DecodeError("the server sent no certificate")
    self.certificate.signed_certificate_timestamps = self.signed_certificate_timestamps
    self.add(message)
    self.state = WAIT_CERTIFICATE_STATUS if self.expects_status else WAIT_SERVER_KEY_EXCHANGE
    return WAIT_MESSAGE


cdef int read_certificate_status(ClientHandshake12 self, bytes message) except -1:
    self.certificate.ocsp_response = decode_certificate_status_message(message)
    self.add(message)
    self.state = WAIT_SERVER_KEY_EXCHANGE
    return WAIT_MESSAGE


cdef int read_server_key_exchange(ClientHandshake12 self, bytes message) except -1:
    """Also where a CertificateStatus could come: a server may leave it out (RFC 6066, 8)."""
    cdef ServerKeyExchange key_exchange = decode_server_key_exchange(message)
    # RFC 8422, 5.4: a group that was offered, by its name.
    if key_exchange.group < 0:
        raise IllegalParameter("the server describes a curve instead of naming one")
    if key_exchange.group not in self.config.groups12:
        raise IllegalParameter("the server uses a group that was not offered")
    # RFC 5246, 7.4.3: the signature fits the key that the cipher suite asks for.
    if authentication_of(key_exchange.algorithm) != self.suite.authentication:
        raise IllegalParameter("the server's signature does not fit the cipher suite")
    self.server_key_exchange = key_exchange
    self.add(message)
    return self.judge_peer(
        self.certificate, self.sends_raw_public_key, <Continuation> server_judged
    )


cdef int server_judged(ClientHandshake12 self, object _) except -1:
    cdef ServerKeyExchange key_exchange = self.server_key_exchange
    self.check_signature(
        key_exchange.algorithm,
        key_exchange.signature,
        self.signed_parameters(key_exchange.params),
    )
    self.accept_peer()
    self.certificate = None
    self.outcome.group = key_exchange.group
    self.outcome.signature_scheme = key_exchange.algorithm
    self.state = WAIT_CERTIFICATE_REQUEST_OR_DONE
    return WAIT_MESSAGE


cdef int read_certificate_request(ClientHandshake12 self, bytes message) except -1:
    self.certificate_request = decode_certificate_request_12(message)
    self.add(message)
    self.state = WAIT_SERVER_HELLO_DONE
    return WAIT_MESSAGE


cdef int read_server_hello_done(ClientHandshake12 self, bytes message) except -1:
    decode_server_hello_done(message)
    self.add(message)
    if self.certificate_request is not None:
        return self.authenticate_client(self.certificate_request, <Continuation> finish_flight)
    return self.send_client_key_exchange()


cdef int send_certificate_verify(ClientHandshake12 self, object signature) except -1:
    self.send(encode_certificate_verify(self.signature_scheme, signature))
    return finish_flight(self, None)


cdef int finish_flight(ClientHandshake12 self, object _) except -1:
    self.messages = None
    self.derive_keys()
    self.send_finished()
    self.state = WAIT_NEW_SESSION_TICKET if self.expects_ticket else WAIT_CHANGE_CIPHER_SPEC
    return WAIT_MESSAGE


cdef int read_new_session_ticket(ClientHandshake12 self, bytes message) except -1:
    self.ticket_lifetime_hint, self.ticket = decode_new_session_ticket_12(message)
    self.add(message)
    self.state = WAIT_CHANGE_CIPHER_SPEC
    return WAIT_MESSAGE


cdef int read_finished(ClientHandshake12 self, bytes message) except -1:
    self.check_finished(message)
    if self.session is not None:
        self.outcome.verified_chain = self.offered_chain
        self.resume_peer(self.session)
        self.send_finished()
    self.keep_session()
    return self.conclude()


cdef Transition[9] TRANSITIONS
TRANSITIONS[0] = Transition(WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate)
TRANSITIONS[1] = Transition(
    WAIT_CERTIFICATE_STATUS, HANDSHAKE_certificate_status, <Step> read_certificate_status
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE_STATUS, HANDSHAKE_server_key_exchange, <Step> read_server_key_exchange
)
TRANSITIONS[3] = Transition(
    WAIT_SERVER_KEY_EXCHANGE, HANDSHAKE_server_key_exchange, <Step> read_server_key_exchange
)
TRANSITIONS[4] = Transition(
    WAIT_CERTIFICATE_REQUEST_OR_DONE,
    HANDSHAKE_certificate_request,
    <Step> read_certificate_request,
)
TRANSITIONS[5] = Transition(
    WAIT_CERTIFICATE_REQUEST_OR_DONE, HANDSHAKE_server_hello_done, <Step> read_server_hello_done
)
TRANSITIONS[6] = Transition(
    WAIT_SERVER_HELLO_DONE, HANDSHAKE_server_hello_done, <Step> read_server_hello_done
)
TRANSITIONS[7] = Transition(
    WAIT_NEW_SESSION_TICKET, HANDSHAKE_new_session_ticket, <Step> read_new_session_ticket
)
TRANSITIONS[8] = Transition(WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished)
