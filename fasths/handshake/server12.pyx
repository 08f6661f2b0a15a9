# The server's side of a TLS 1.2 handshake (RFC 5246, 7.3), from the ClientHello on.
#
# A ClientHello is answered in a row of decisions, any of which the application may be asked for:
# which session, which identity, and the signature. Nothing is sent before all of them are made.

import os
import time
from functools import partial

from fasths.crypto.aead cimport AUTHENTICATION_RSA, Suite, find_suite
from fasths.crypto.groups cimport KeyExchange
from fasths.crypto.key_schedule cimport Transcript
from fasths.crypto.key_schedule12 cimport master_secret_of
from fasths.crypto.signatures cimport authentication_of
from fasths.handshake.base cimport *
from fasths.handshake.configuration cimport *
from fasths.handshake.handshake12 cimport *
from fasths.handshake.server cimport *
from fasths.handshake.session cimport Session, session_of
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport *
from fasths.wire.messages cimport (
    Certificate,
    CertificateVerify,
    ClientHello,
    decode_certificate_verify,
)
from fasths.wire.messages12 cimport *
from fasths.wire.writer cimport Writer

from fasths.handshake.requests import SessionRequest
from fasths.wire.codes import Verify
from fasths.wire.errors import HandshakeFailure, IllegalParameter

cdef enum:
    # RFC 5746, 3.3: TLS_EMPTY_RENEGOTIATION_INFO_SCSV.
    RENEGOTIATION_INFO_SCSV = 0x00FF
    # A client's whole chain may be in a ticket.
    MAX_TICKET_SIZE = 1 << 14

cdef int VERIFY_NONE = Verify.NONE
cdef int VERIFY_REQUIRED = Verify.REQUIRED

# RFC 8446, 4.1.3: how the random of a server ends that could have negotiated TLS 1.3.
cdef bytes DOWNGRADE_SENTINEL = b"DOWNGRD\x01"


cdef class ServerHandshake12(Handshake12):

    cdef int negotiate(self) except -1:
        cdef ClientHello hello = self.hello
        self.check_client_hello()
        self.client_random = hello.random
        if self.config.has_tls13:
            self.server_random = os.urandom(24) + DOWNGRADE_SENTINEL
        else:
            self.server_random = os.urandom(32)
        self.outcome.server_name = hello.server_name
        self.outcome.extended_master_secret = hello.extended_master_secret
        self.outcome.version = VERSION_TLSv1_2
        return self.find_session()

    cdef int check_client_hello(self) except -1:
        cdef ClientHello hello = self.hello
        # RFC 5246, 7.4.1.2: every client has the null method.
        if 0 not in hello.legacy_compression_methods:
            raise IllegalParameter("the client does not do without compression")
        # RFC 5746, 3.6.
        if hello.renegotiation_info:
            raise HandshakeFailure("renegotiation_info is not empty in a first handshake")
        # RFC 8422, 5.1.2.
        if hello.ec_point_formats is not None and 0 not in hello.ec_point_formats:
            raise IllegalParameter("the client does not take uncompressed points")
        if self.config.require_extended_master_secret and not hello.extended_master_secret:
            raise HandshakeFailure("the client has no extended_master_secret")
        return 0

    # --- Resumption (RFC 5246, 7.4.1.2; RFC 5077)

    cdef int find_session(self) except -1:
        cdef ClientHello hello = self.hello
        cdef bytes key
        if self.config.session_tickets == 0:
            return self.negotiate_in_full()
        if hello.session_ticket:
            # RFC 5077, 3.4: then the session id is none.
            if self.config.ticket_keys is not None:
                opened = self.config.ticket_keys.open(hello.session_ticket)
                if opened is not None:
                    self.renews_ticket = opened[1]
                    return self.try_session(opened[0])
        elif hello.legacy_session_id and (
            hello.session_ticket is None or self.config.ticket_keys is None
        ):
            key = self.stored_key = b"session:" + hello.legacy_session_id
            return self.ask(
                SessionRequest(self.user_data, "get", key),
                partial(self.config.session_store.get, key),
                <Continuation> stored_session_found,
            )
        return self.negotiate_in_full()

    cdef int try_session(self, bytes state) except -1:
        """Resume the session that the client offers, unless something forbids it."""
        cdef Session session = session_of(state)
        if session is None or session.version_code != VERSION_TLSv1_2:
            return self.negotiate_in_full()
        # RFC 7627, 5.3: all sessions that are kept have it.
        if not self.hello.extended_master_secret:
            raise HandshakeFailure("the client resumes a session without extended_master_secret")
        self.suite = find_suite(session.suite_code)
        if (
            not may_resume(self, session, self.hello, False)
            or self.suite not in self.config.suites12
            or not contains_u16(self.hello.cipher_suites, session.suite_code)
        ):
            return self.negotiate_in_full()
        self.session = session
        return self.judge_session(session, <Continuation> client_judged)

    cdef int send_resumed_flight(self) except -1:
        """ServerHello to Finished of a handshake that resumes a session."""
        self.protocol_name = choose_protocol(self, self.hello)
        # RFC 5077, 3.4: the id that came with a ticket says that it is resumed.
        self.session_id = self.hello.legacy_session_id
        self.sends_ticket = self.renews_ticket and self.hello.session_ticket is not None
        self.outcome.suite = self.suite
        self.outcome.protocol_name = self.protocol_name
        self.master = master_secret_of(self.suite.hash, self.session.psk())
        self.transcript = Transcript(self.suite.hash)
        self.add(self.message)
        self.send(
            encode_server_hello_12(
                self.server_random, self.session_id, self.suite.code, self.extensions()
            )
        )
        if self.sends_ticket:
            self.send_ticket()
        self.derive_keys()
        self.send_finished()
        self.hello = None
        self.message = None
        self.state = WAIT_CHANGE_CIPHER_SPEC
        return WAIT_MESSAGE

    # --- Parameters

    cdef int negotiate_in_full(self) except -1:
        cdef int kinds
        self.session = None
        self.stored_key = None
        self.renews_ticket = False
        if self.hello.signature_algorithms is None:
            # RFC 5246, 7.4.1.4.1: that means SHA-1.
            raise HandshakeFailure("the client has no signature_algorithms")
        kinds = self.kinds_of_keys()
        self.protocol_name = choose_protocol(self, self.hello)
        self.outcome.group = self.choose_group()
        return choose_server_identity(
            self,
            self.hello,
            self.message,
            self.config.signers_of_kinds(kinds),
            <Continuation> server_identity_chosen,
        )

    cdef int kinds_of_keys(self) except -1:
        """The kinds of keys that there are cipher suites and curves in common for."""
        cdef Suite suite
        cdef bytes groups = self.hello.supported_groups
        cdef int kinds = 0
        for suite in self.config.suites12:
            if not contains_u16(self.hello.cipher_suites, suite.code):
                continue
            if suite.authentication == AUTHENTICATION_RSA:
                kinds |= KIND_RSA
                continue
            kinds |= KIND_EDDSA
            # RFC 8422, 5.1: the curves are those of certificates, too.
            if groups is None or contains_u16(groups, GROUP_secp256r1):
                kinds |= KIND_SECP256R1
            if groups is None or contains_u16(groups, GROUP_secp384r1):
                kinds |= KIND_SECP384R1
            if groups is None or contains_u16(groups, GROUP_secp521r1):
                kinds |= KIND_SECP521R1
        if not kinds:
            raise HandshakeFailure("no cipher suite in common with the client")
        return kinds

    cdef int choose_group(self) except -1:
        cdef int group
        cdef bytes groups = self.hello.supported_groups
        for group in self.config.groups12:
            # RFC 8422, 4: a client that names no groups takes any; this is what all have.
            if (group == GROUP_secp256r1) if groups is None else contains_u16(groups, group):
                return group
        raise HandshakeFailure("no group in common with the client")

    cdef int choose_suite(self) except -1:
        """The first in common that goes with the chosen scheme."""
        cdef Suite suite
        cdef int authentication = authentication_of(self.signature_scheme)
        for suite in self.config.suites12:
            if suite.authentication == authentication and contains_u16(
                self.hello.cipher_suites, suite.code
            ):
                self.suite = suite
                return 0
        raise HandshakeFailure("no cipher suite in common with the client for the chosen identity")

    # --- The flight

    cdef bytes extensions(self):
        """What ServerHello says of ClientHello's extensions."""
        cdef ClientHello hello = self.hello
        cdef object identity = self.identity
        cdef Writer w = Writer.__new__(Writer)
        cdef int limit
        # RFC 5746, 3.6.
        if hello.renegotiation_info is not None or contains_u16(
            hello.cipher_suites, RENEGOTIATION_INFO_SCSV
        ):
            write_renegotiation_info(w, b"")
        if hello.extended_master_secret:
            write_empty(w, EXTENSION_extended_master_secret)
        if self.sends_ticket:
            write_empty(w, EXTENSION_session_ticket)
        if self.protocol_name is not None:
            write_protocol_names(w, (self.protocol_name,))
        if hello.record_size_limit >= 0:
            # RFC 8449, 4: what is above the protocol's own limit does not raise it.
            limit = min(self.config.record_size_limit or MAX_PLAINTEXT, MAX_PLAINTEXT)
            write_record_size_limit(w, limit)
            self.limit_records(min(hello.record_size_limit, MAX_PLAINTEXT), limit)
        if identity is None:
            return w.finish()
        # RFC 6066, 3: the name was looked at.
        if hello.server_name is not None:
            write_empty(w, EXTENSION_server_name)
        if hello.ec_point_formats is not None:
            write_ec_point_formats(w)
        if hello.status_request and identity.ocsp_response is not None:
            write_empty(w, EXTENSION_status_request)
        if hello.signed_certificate_timestamp and identity.signed_certificate_timestamps:
            write_signed_certificate_timestamps(w, identity.signed_certificate_timestamps)
        if hello.client_certificate_types is not None and self.asks_for_certificate:
            write_certificate_type(
                w, EXTENSION_client_certificate_type, self.outcome.client_certificate_type
            )
        if hello.server_certificate_types is not None:
            write_certificate_type(
                w, EXTENSION_server_certificate_type, certificate_type_of(identity)
            )
        return w.finish()

    cdef int send_flight(self) except -1:
        """ServerHello, and all up to the signature."""
        cdef ClientHello hello = self.hello
        cdef object identity = self.identity
        cdef bint resumable = hello.extended_master_secret and self.config.session_tickets > 0
        self.asks_for_certificate = self.config.server_verify != VERIFY_NONE
        if self.asks_for_certificate:
            choose_client_certificate_type(self, hello)
            self.messages = []
        # RFC 5077, 3.4: with a ticket there is no session id.
        self.session_id = b""
        if resumable and hello.session_ticket is not None and self.config.ticket_keys is not None:
            self.sends_ticket = True
        elif resumable:
            self.session_id = os.urandom(32)
        self.transcript = Transcript(self.suite.hash)
        self.add(self.message)
        self.send(
            encode_server_hello_12(
                self.server_random, self.session_id, self.suite.code, self.extensions()
            )
        )
        if identity.is_raw_public_key:
            self.send(encode_raw_public_key_12(identity.certificates[0]))
        else:
            self.send(self.config.certificate_message_12(identity))
            if hello.status_request and identity.ocsp_response is not None:
                self.send(encode_certificate_status_message(identity.ocsp_response))
        self.key_exchange = KeyExchange.__new__(KeyExchange)
        self.params = encode_server_ecdh_params(
            self.outcome.group, self.key_exchange.generate(self.outcome.group)
        )
        self.outcome.signature_scheme = self.signature_scheme
        return self.ask_for_signature(
            self.signed_parameters(self.params), <Continuation> finish_flight
        )

    # --- What the client can resume

    cdef Session make_session(self):
        cdef Session session = Session.__new__(Session)
        cdef Outcome outcome = self.outcome
        session.version_code = VERSION_TLSv1_2
        session.suite_code = self.suite.code
        session.secret = self.master.secret
        session.created = session.authenticated = time.time()
        session.lifetime = self.config.session_lifetime
        session.server_name = outcome.server_name
        session.protocol_name = self.protocol_name
        remember_peer(session, outcome)
        return session

    cdef int send_ticket(self) except -1:
        """NewSessionTicket (RFC 5077, 3.3): of this handshake, or for one that was resumed."""
        cdef Session session = self.session
        cdef bytes ticket
        cdef long long lifetime
        if session is None:
            session = self.make_session()
        lifetime = <long long> (session.created + session.lifetime - time.time())
        ticket = self.config.ticket_keys.seal(session.encode())
        # One was announced; an empty one is none.
        if len(ticket) > MAX_TICKET_SIZE:
            ticket = b""
        return self.send(encode_new_session_ticket_12(max(lifetime, 1), ticket))

    cdef int store_session(self) except -1:
        cdef Session session = self.make_session()
        cdef bytes state = session.encode()
        # So that a client does not decide how much there is to be kept.
        if len(state) > MAX_TICKET_SIZE:
            return 0
        self.session_key = b"session:" + self.session_id
        try:
            self.config.session_store.put(self.session_key, state, session.lifetime)
        except Exception as error:
            report_unraisable(error)
        return 0


cdef int go_on_as_server_12(Handshake before, ClientHello hello, bytes message) except -1:
    """Go on in place of the handshake that has read ClientHello."""
    cdef ServerHandshake12 handshake = ServerHandshake12.__new__(ServerHandshake12)
    handshake.go_on_in_place_of(before)
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.hello = hello
    handshake.message = message
    return handshake.negotiate()


cdef int stored_session_found(ServerHandshake12 self, object state) except -1:
    return self.negotiate_in_full() if state is None else self.try_session(state)


cdef int client_judged(ServerHandshake12 self, object is_believed) except -1:
    return self.send_resumed_flight() if is_believed else self.negotiate_in_full()


cdef int server_identity_chosen(ServerHandshake12 self, object identity) except -1:
    if self.identity is None:
        use_chosen_identity(self, self.hello, identity)
        if not kind_of(identity) & self.kinds_of_keys():
            raise HandshakeFailure("the chosen identity has a key that the client does not take")
    self.choose_suite()
    return self.send_flight()


cdef int finish_flight(ServerHandshake12 self, object signature) except -1:
    self.send(encode_server_key_exchange(self.params, self.signature_scheme, signature))
    if self.asks_for_certificate:
        self.send(self.config.certificate_request_12)
    self.send(encode_server_hello_done())
    self.outcome.suite = self.suite
    self.outcome.protocol_name = self.protocol_name
    self.hello = None
    self.message = None
    self.state = WAIT_CERTIFICATE if self.asks_for_certificate else WAIT_CLIENT_KEY_EXCHANGE
    return WAIT_MESSAGE


cdef int read_certificate(ServerHandshake12 self, bytes message) except -1:
    cdef Certificate certificate
    cdef bint raw = self.outcome.client_certificate_type == CERTIFICATETYPE_RawPublicKey
    if raw:
        certificate = decode_raw_public_key_12(message)
    else:
        certificate = decode_certificate_12(message, self.config.max_certificate_chain_length)
    self.add(message)
    self.state = WAIT_CLIENT_KEY_EXCHANGE
    if certificate.certificates:
        return self.judge_peer(certificate, raw, <Continuation> wait_for_message)
    # RFC 5246, 7.4.6.
    if self.config.server_verify == VERIFY_REQUIRED:
        raise HandshakeFailure("the client sent no certificate")
    self.messages = None
    return WAIT_MESSAGE


cdef int read_client_key_exchange(ServerHandshake12 self, bytes message) except -1:
    cdef bytes public = decode_client_key_exchange(message)
    cdef bytes secret = self.key_exchange.shared_secret(self.outcome.group, public)
    self.key_exchange = None
    self.add(message)
    self.derive_master_secret(secret)
    self.derive_keys()
    # RFC 5246, 7.4.8: whoever shows a certificate has to prove that it has the key.
    self.state = WAIT_CHANGE_CIPHER_SPEC if self.shown is None else WAIT_CERTIFICATE_VERIFY
    return WAIT_MESSAGE


cdef int read_certificate_verify(ServerHandshake12 self, bytes message) except -1:
    cdef CertificateVerify certificate_verify = decode_certificate_verify(message)
    self.check_signature(
        certificate_verify.algorithm, certificate_verify.signature, b"".join(self.messages)
    )
    self.outcome.client_signature_scheme = certificate_verify.algorithm
    self.accept_peer()
    self.messages = None
    self.add(message)
    self.state = WAIT_CHANGE_CIPHER_SPEC
    return WAIT_MESSAGE


cdef int read_finished(ServerHandshake12 self, bytes message) except -1:
    self.check_finished(message)
    if self.session is not None:
        self.outcome.verified_chain = self.shown_chain
        self.resume_peer(self.session)
        # From now on it is the client that it was, and not just anybody who has seen the id.
        self.session_key = self.stored_key
    else:
        if self.sends_ticket:
            self.send_ticket()
        self.send_finished()
        if self.session_id:
            self.store_session()
    return self.conclude()


cdef Transition[4] TRANSITIONS
TRANSITIONS[0] = Transition(WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate)
TRANSITIONS[1] = Transition(
    WAIT_CLIENT_KEY_EXCHANGE, HANDSHAKE_client_key_exchange, <Step> read_client_key_exchange
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[3] = Transition(WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished)
