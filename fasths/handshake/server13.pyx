# The server's side of a TLS 1.3 handshake (RFC 8446, 2 and A.2), with pre-shared keys and early
# data.
#
# A ClientHello is answered in a row of decisions, any of which the application may be asked for:
# which session, whether early data is a replay, which identity, and the signature.
# Nothing is sent before all of them are made.

import hashlib
import os
import time
from functools import partial

from fasths.crypto.aead cimport Suite, find_suite
from fasths.crypto.groups cimport respond
from fasths.crypto.key_schedule cimport EarlySecret, Hash, TrafficSecret, Transcript, find_hash
from fasths.handshake.base cimport *
from fasths.handshake.handshake13 cimport *
from fasths.handshake.post_handshake cimport PostHandshake
from fasths.handshake.server cimport *
from fasths.handshake.session cimport Session, session_of
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport contains_u16, find_key_share
from fasths.wire.messages cimport *
from fasths.wire.reader cimport Reader, read_u16, read_vector16, reader_over_bytes, remaining

from fasths.crypto.key_schedule import equal_in_constant_time
from fasths.handshake.requests import PSKRequest, SessionRequest
from fasths.wire.codes import Verify
from fasths.wire.errors import (
    CertificateRequired,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    MissingExtension,
)

cdef enum State:
    WAIT_RETRIED_CLIENT_HELLO
    WAIT_END_OF_EARLY_DATA
    WAIT_CERTIFICATE
    WAIT_CERTIFICATE_VERIFY
    WAIT_FINISHED
    CONNECTED

cdef int VERIFY_NONE = Verify.NONE
cdef int VERIFY_REQUIRED = Verify.REQUIRED


cdef class ServerHandshake(Handshake13):

    cdef Handshake successor(self):
        cdef TrafficSecret client, server
        cdef PostHandshake after = PostHandshake.__new__(PostHandshake)
        client, server = self.application_secrets
        after.take_over(self, client, server)
        if self.outcome.takes_tickets:
            # RFC 8446, 4.6.1. A resumed client used one, and gets one in its place.
            after.send_session_tickets(
                min(self.config.session_tickets, 1) if self.session is not None
                else self.config.session_tickets
            )
        return after

    # --- ClientHello

    cdef int negotiate(self) except -1:
        """Answer the first ClientHello."""
        self.check_client_hello(self.hello)
        # RFC 8446, 4.2.2: a cookie answers a HelloRetryRequest.
        if self.hello.cookie is not None:
            raise IllegalParameter("a cookie in the first ClientHello")
        self.client_random = self.hello.random
        self.outcome.server_name = self.hello.server_name
        self.outcome.early_data_offered = self.hello.early_data
        return self.find_psk()

    cdef int check_client_hello(self, ClientHello hello) except -1:
        """What a ClientHello for TLS 1.3 must be (RFC 8446, 4.1.2 and 9.2)."""
        cdef Reader shares, share
        cdef int group
        if hello.legacy_compression_methods != b"\x00":
            raise IllegalParameter("legacy_compression_methods is not the null method alone")
        if hello.psk_identities is None:
            if hello.signature_algorithms is None:
                raise MissingExtension("ClientHello has no signature_algorithms")
            if hello.supported_groups is None:
                raise MissingExtension("ClientHello has no supported_groups")
            # RFC 8446, 4.2.10: early data is under the first pre-shared key.
            if hello.early_data:
                raise IllegalParameter("early_data without a pre-shared key")
        elif hello.psk_key_exchange_modes is None:
            raise MissingExtension("ClientHello has pre_shared_key without its modes")
        # RFC 8446, 9.2: these two stand together.
        if hello.supported_groups is None and hello.key_shares is not None:
            raise MissingExtension("ClientHello has no supported_groups")
        if hello.key_shares is None:
            if hello.supported_groups is not None:
                raise MissingExtension("ClientHello has no key_share")
            return 0
        # RFC 8446, 4.2.8: no share for a group that is not in supported_groups.
        reader_over_bytes(&shares, hello.key_shares, 0)
        while remaining(&shares):
            group = read_u16(&shares)
            read_vector16(&shares, &share, 1)
            if not contains_u16(hello.supported_groups, group):
                raise IllegalParameter("key_share has a group that supported_groups lacks")
        return 0

    cdef int check_retried_client_hello(self, ClientHello hello) except -1:
        """RFC 8446, 4.1.2: what may have changed in a ClientHello after HelloRetryRequest."""
        if constant_part(self.message) != self.constant_part:
            raise IllegalParameter("ClientHello changed after HelloRetryRequest")
        if hello.early_data:
            raise IllegalParameter("early_data after HelloRetryRequest")
        if hello.cookie != self.cookie:
            raise IllegalParameter("the cookie is not the one of HelloRetryRequest")
        return 0

    # --- Pre-shared keys (RFC 8446, 4.2.11)

    cdef int find_psk(self) except -1:
        """Find the first key of the client's that can be used; the application may be asked."""
        cdef bytes modes = self.hello.psk_key_exchange_modes, allowed
        cdef bint with_exchange, alone
        self.psk_index = -1
        if modes is not None:
            allowed = self.config.psk_modes
            with_exchange = PSKMODE_psk_dhe_ke in modes and PSKMODE_psk_dhe_ke in allowed
            alone = PSKMODE_psk_ke in modes and PSKMODE_psk_ke in allowed
            self.outcome.takes_tickets = with_exchange or alone
            self.psk_alone = not with_exchange or self.hello.key_shares is None
            if self.hello.psk_identities is not None and (
                alone if self.psk_alone else with_exchange
            ):
                return self.try_next_psk()
        return self.go_on_with_psk()

    cdef int try_next_psk(self) except -1:
        cdef bytes identity
        cdef object external_psk, request
        while True:
            self.psk_index += 1
            if self.psk_index == min(
                len(self.hello.psk_identities), self.config.max_psk_identities
            ):
                self.psk_index = -1
                return self.go_on_with_psk()
            identity = self.hello.psk_identities[self.psk_index][0]
            external_psk = self.config.external_psk_by_identity.get(identity)
            if external_psk is not None:
                if self.use_external_psk(external_psk):
                    return self.go_on_with_psk()
                continue
            if self.config.ticket_keys is not None:
                opened = self.config.ticket_keys.open(identity)
                if opened is not None:
                    return self.try_session(opened[0])
            elif len(identity) == STORED_TICKET_SIZE:
                # Whatever comes of it: a stored session is used up by being taken.
                identity = b"ticket:" + identity
                request = SessionRequest(self.user_data, "take", identity)
                return self.ask(
                    request,
                    partial(self.config.session_store.take, identity),
                    <Continuation> stored_session_found,
                )
            if self.config.psk_callback is not None:
                return self.ask_for_external_psk()

    cdef bint find_psk_again(self) except -1:
        """After HelloRetryRequest: the key that was chosen before, wherever it stands now."""
        cdef int i
        if self.psk_index < 0 or self.hello.psk_identities is None:
            return False
        for i in range(len(self.hello.psk_identities)):
            if self.hello.psk_identities[i][0] == self.psk_identity:
                self.psk_index = i
                return True
        return False

    cdef bint use_external_psk(self, object external_psk) except -1:
        cdef Hash hash = find_hash(external_psk.hash)
        if not self.choose_suite_of_hash(hash, 0):
            return False
        self.early_secret = EarlySecret(hash, external_psk.key)
        self.psk_binder_label = b"imp binder" if external_psk.imported else b"ext binder"
        return True

    cdef bint can_resume(self, Session session) except -1:
        """Whether a session can be resumed, as far as it is not for its client's certificate."""
        if session is None or session.version_code != VERSION_TLSv1_3:
            return False
        self.outcome.max_early_data_size = session.max_early_data_size
        if not may_resume(self, session, self.hello, self.config.post_handshake_auth):
            return False
        return self.choose_suite_of_hash(
            find_suite(session.suite_code).hash, session.suite_code
        )

    cdef int try_session(self, bytes state) except -1:
        """Resume the session that a ticket stands for, unless something forbids it."""
        cdef Session session = session_of(state)
        if not self.can_resume(session):
            return self.try_next_psk()
        self.session = session
        return self.judge_session(session, <Continuation> client_judged)

    cdef int ask_for_external_psk(self) except -1:
        """Whether the application knows the key that is looked at; then go on."""
        if self.config.psk_callback is None:
            return self.try_next_psk()
        return self.ask(
            PSKRequest(self.user_data, self.hello.psk_identities[self.psk_index][0]),
            self.config.psk_callback,
            <Continuation> external_psk_found,
        )

    cdef bint choose_suite_of_hash(self, Hash hash, int preferred) except -1:
        """RFC 8446, 4.2.11: a key goes with suites of its hash; best with the same suite again."""
        self.suite = None
        for suite in self.config.suites:
            if (<Suite> suite).hash is hash and contains_u16(self.hello.cipher_suites, suite.code):
                if self.suite is None or suite.code == preferred:
                    self.suite = suite
        return self.suite is not None

    cdef int check_binder(self) except -1:
        """RFC 8446, 4.2.11.2: the binder of the chosen key covers the transcript so far."""
        cdef bytes truncated = self.message[:len(self.message) - self.hello.psk_binders_size]
        cdef Transcript transcript
        if self.transcript is None:
            transcript = Transcript(self.suite.hash)
        else:
            transcript = self.transcript.copy()
        transcript.update(truncated)
        if not equal_in_constant_time(
            self.early_secret.binder(self.psk_binder_label, transcript.digest()),
            self.hello.psk_binders[self.psk_index],
        ):
            raise DecryptError("the binder of a pre-shared key is wrong")
        return 0

    cdef int go_on_with_psk(self) except -1:
        """Choose the parameters, with a pre-shared key or without one."""
        cdef ClientHello hello = self.hello
        cdef int group = 0
        if self.psk_index < 0:
            self.session = None
            self.early_secret = None
            self.psk_alone = False
            self.choose_suite(hello)
            # RFC 8446, 9.2: a full handshake needs these.
            if hello.signature_algorithms is None or hello.key_shares is None:
                raise MissingExtension("ClientHello has pre-shared keys alone, and none is known")
        else:
            self.psk_identity = hello.psk_identities[self.psk_index][0]
        if not self.psk_alone:
            group = self.choose_group(hello)
        if group < 0:
            return self.send_hello_retry_request(-group)
        if self.config.retry_with_cookie:
            return self.send_hello_retry_request(0)
        self.outcome.group = group
        if group:
            self.key_share = find_key_share(hello.key_shares, group)
        return self.begin_flight()

    # --- Parameters

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

    cdef int send_hello_retry_request(self, int group) except -1:
        """Ask for a share in `group`, or with 0 just for the cookie (RFC 8446, 4.1.4)."""
        cdef bytes request
        if self.config.retry_with_cookie:
            self.cookie = os.urandom(32)
        request = encode_hello_retry_request(
            self.hello.legacy_session_id, self.suite.code, group, self.cookie
        )
        self.restart_transcript(self.message, request)
        self.output.append(request)
        if self.hello.legacy_session_id:
            self.output.append(CHANGE_CIPHER_SPEC)
        # RFC 8446, 4.2.10: early data is rejected, and skipped.
        if self.hello.early_data:
            self.output.append(SKIP_EARLY_DATA)
        self.first_key_shares = self.hello.key_shares
        self.constant_part = constant_part(self.message)
        self.retried = True
        self.retry_group = group
        self.hello = None
        self.message = None
        self.state = WAIT_RETRIED_CLIENT_HELLO
        return WAIT_MESSAGE

    # --- The flight: decisions, then ServerHello to Finished

    cdef int begin_flight(self) except -1:
        cdef bytes mark
        if self.psk_index >= 0:
            self.check_binder()
        self.protocol_name = choose_protocol(self, self.hello)
        if self.hello.early_data and self.can_accept_early_data():
            # RFC 8446, 8: only the first to come with this ticket is believed to be no replay.
            mark = b"early data:" + hashlib.sha256(self.psk_identity).digest()
            return self.ask(
                SessionRequest(self.user_data, "add", mark),
                # As long as any machine may take the ClientHello for a fresh one.
                partial(
                    self.config.session_store.add,
                    mark,
                    2 * self.config.early_data_window + 2 * MAX_CLOCK_SKEW,
                ),
                <Continuation> replay_excluded,
            )
        return self.choose_server_identity()

    cdef bint can_accept_early_data(self) except -1:
        """RFC 8446, 4.2.10: with the first key, its suite and protocol, and a fresh ClientHello."""
        cdef Session session = self.session
        if (
            session is None
            or self.psk_index != 0
            or self.retried
            or session.max_early_data_size == 0
            # RFC 8446, 4.6.1: it is the ticket that says how much; more than is taken now.
            or session.max_early_data_size > self.config.max_early_data_size
            or session.suite_code != self.suite.code
            or session.protocol_name != self.protocol_name
        ):
            return False
        return self.store_knows_replays() and self.is_fresh()

    cdef bint store_knows_replays(self) except -1:
        """Whether a use of the session's early data would have left a mark in this store."""
        cdef object store = self.config.session_store
        try:
            return (
                self.session.replay_scope == getattr(store, "scope", b"")
                # A session's time is cut to milliseconds.
                and self.session.created + 0.001 >= store.complete_since
            )
        except Exception as error:
            report_unraisable(error)
            return False

    cdef bint is_fresh(self) except -1:
        """RFC 8446, 8.3: the age that the client tells is the one that is measured here."""
        cdef double age = time.time() - self.session.created
        cdef double claimed = <double> (
            (<long long> self.hello.psk_identities[0][1] - self.session.ticket_age_add)
            & 0xFFFFFFFF
        ) / 1000
        return -self.config.early_data_window <= age - claimed <= self.config.early_data_window

    cdef long long early_data_limit(self) except -1:
        """How many bytes of early data the resumed session permits."""
        return self.session.max_early_data_size

    cdef int choose_server_identity(self) except -1:
        """Choose whom to be, where no pre-shared key says it; the application may be asked."""
        cdef ClientHello hello = self.hello
        if self.psk_index >= 0:
            return self.send_flight()
        return choose_server_identity(
            self, hello, self.message, self.config.signers, <Continuation> server_identity_chosen
        )

    cdef int plan_client_authentication(self) except -1:
        """Whether the client is asked for a certificate, now or later, and of which type."""
        cdef bint later = self.config.post_handshake_auth
        if self.config.server_verify == VERIFY_NONE:
            return 0
        self.asks_for_certificate = self.psk_index < 0 and not later
        self.outcome.post_handshake_auth = self.hello.post_handshake_auth and later
        if self.asks_for_certificate or self.outcome.post_handshake_auth:
            choose_client_certificate_type(self, self.hello)
        return 0

    cdef bytes encrypted_extensions(self):
        cdef ClientHello hello = self.hello
        cdef int client_type = -1, server_type = -1, limit = -1
        if hello.client_certificate_types is not None and (
            self.asks_for_certificate or self.outcome.post_handshake_auth
        ):
            client_type = self.outcome.client_certificate_type
        if hello.server_certificate_types is not None and self.psk_index < 0:
            server_type = certificate_type_of(self.identity)
        if hello.record_size_limit >= 0:
            limit = self.config.record_size_limit or MAX_PLAINTEXT + 1
            # RFC 8449, 4: what is above the protocol's own limit does not raise it.
            self.limit_records(min(hello.record_size_limit, MAX_PLAINTEXT + 1) - 1, limit - 1)
        if not self.accepts_early_data and client_type < 0 and server_type < 0 and limit < 0:
            return self.config.encrypted_extensions[self.protocol_name]
        return encode_encrypted_extensions(
            self.protocol_name, self.accepts_early_data, client_type, server_type, limit
        )

    cdef int send_flight(self) except -1:
        """ServerHello and all that follows, up to the signature or Finished."""
        cdef ClientHello hello = self.hello
        cdef bytes share = None, shared_secret = None
        cdef int group = self.outcome.group
        cdef TrafficSecret early = None
        if group:
            share, shared_secret = respond(group, self.key_share)
        if self.transcript is None:
            self.transcript = Transcript(self.suite.hash)
        self.transcript.update(self.message)
        if self.accepts_early_data:
            self.derive_early_secrets(self.transcript.digest())
            early = self.client_secret
        self.send(
            encode_server_hello(
                os.urandom(32),
                hello.legacy_session_id,
                self.suite.code,
                group,
                share,
                self.psk_index,
            )
        )
        self.derive_handshake_secrets(shared_secret)
        # RFC 8446, D.4: only for a client that asked for it, and once.
        if hello.legacy_session_id and not self.retried:
            self.output.append(CHANGE_CIPHER_SPEC)
        self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.server_secret)
        if early is not None:
            self.change_key(READ_KEY, LEVEL_EARLY_DATA, early)
        else:
            if hello.early_data and not self.retried:
                self.output.append(SKIP_EARLY_DATA)
            self.change_key(READ_KEY, LEVEL_HANDSHAKE, self.client_secret)
        self.plan_client_authentication()
        self.send(self.encrypted_extensions())
        if self.psk_index >= 0:
            return finish_flight(self, None)
        if self.asks_for_certificate:
            self.send(self.config.certificate_request)
        self.outcome.signature_scheme = self.signature_scheme
        self.send_certificate(
            b"",
            hello.status_request,
            hello.signed_certificate_timestamp,
            hello.compress_certificate,
        )
        return self.sign_certificate_verify(<Continuation> finish_flight)


cdef enum:
    STORED_TICKET_SIZE = 32


cdef int go_on_as_server_13(Handshake before, ClientHello hello, bytes message) except -1:
    """Go on in place of the handshake that has read ClientHello."""
    cdef ServerHandshake handshake = ServerHandshake.__new__(ServerHandshake)
    handshake.go_on_in_place_of(before)
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.hello = hello
    handshake.message = message
    return handshake.negotiate()


cdef int stored_session_found(ServerHandshake self, object state) except -1:
    return self.ask_for_external_psk() if state is None else self.try_session(state)


cdef int client_judged(ServerHandshake self, object is_believed) except -1:
    cdef Session session = self.session
    if not is_believed:
        self.session = None
        return self.try_next_psk()
    self.outcome.verified_chain = self.shown_chain
    self.early_secret = EarlySecret(self.suite.hash, session.psk())
    self.psk_binder_label = b"res binder"
    return self.go_on_with_psk()


cdef int external_psk_found(ServerHandshake self, object external_psk) except -1:
    if external_psk is not None and self.use_external_psk(external_psk):
        return self.go_on_with_psk()
    return self.try_next_psk()


cdef int replay_excluded(ServerHandshake self, object is_first) except -1:
    # The answer may have taken so long that the mark does not outlive the freshness.
    self.accepts_early_data = is_first and self.is_fresh()
    self.outcome.early_data_accepted = self.accepts_early_data
    return self.choose_server_identity()


cdef int server_identity_chosen(ServerHandshake self, object identity) except -1:
    if self.identity is None:
        use_chosen_identity(self, self.hello, identity)
    return self.send_flight()


cdef int finish_flight(ServerHandshake self, object _) except -1:
    cdef Outcome outcome = self.outcome
    self.send(encode_finished(self.server_secret.finished(self.transcript.digest())))
    self.application_secrets = self.derive_application_secrets()
    self.change_key(WRITE_KEY, LEVEL_APPLICATION, self.application_secrets[1])
    outcome.suite = self.suite
    outcome.version = VERSION_TLSv1_3
    outcome.protocol_name = self.protocol_name
    if self.psk_index >= 0:
        outcome.resumed = True
        if self.session is not None:
            self.resume_peer(self.session)
        else:
            outcome.by_external_psk = True
    self.hello = None
    self.message = None
    if self.accepts_early_data:
        self.state = WAIT_END_OF_EARLY_DATA
    else:
        self.state = WAIT_CERTIFICATE if self.asks_for_certificate else WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_retried_client_hello(ServerHandshake self, bytes message) except -1:
    cdef ClientHello hello = decode_client_hello(message)
    cdef int group = 0
    self.hello = hello
    self.message = message
    self.check_client_hello(hello)
    self.check_retried_client_hello(hello)
    if not self.find_psk_again() and self.psk_index >= 0:
        # RFC 8446, 4.1.4: the client may only drop keys that do not go with the suite.
        raise IllegalParameter("pre_shared_key changed after HelloRetryRequest")
    if self.retry_group:
        # RFC 8446, 4.2.8: exactly one share, for the group that was asked for.
        group = self.retry_group
        self.key_share = find_key_share(hello.key_shares, group)
        if self.key_share is None or len(self.key_share) + 4 != len(hello.key_shares):
            raise IllegalParameter("the key_share is not the one that HelloRetryRequest asked for")
    else:
        if hello.key_shares != self.first_key_shares:
            raise IllegalParameter("key_share changed after HelloRetryRequest")
        if not self.psk_alone:
            group = self.choose_group(hello)
            self.key_share = find_key_share(hello.key_shares, group)
    self.outcome.group = group
    return self.begin_flight()


cdef int read_end_of_early_data(ServerHandshake self, bytes message) except -1:
    decode_end_of_early_data(message)
    self.transcript.update(message)
    self.change_key(READ_KEY, LEVEL_HANDSHAKE, self.client_secret)
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_certificate(ServerHandshake self, bytes message) except -1:
    cdef Certificate certificate = self.read_certificate_message(message)
    self.transcript.update(message)
    if certificate.certificate_request_context:
        raise IllegalParameter("the client's Certificate has a context that was not asked for")
    if certificate.certificates:
        self.state = WAIT_CERTIFICATE_VERIFY
        return self.judge_client(certificate)
    if self.config.server_verify == VERIFY_REQUIRED:
        raise CertificateRequired("the client sent no certificate")
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_certificate_verify(ServerHandshake self, bytes message) except -1:
    self.outcome.client_signature_scheme = self.read_peer_signature(message)
    self.accept_peer()
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_finished(ServerHandshake self, bytes message) except -1:
    self.read_peer_finished(message, self.client_secret)
    self.change_key(READ_KEY, LEVEL_APPLICATION, self.application_secrets[0])
    self.state = CONNECTED
    return WAIT_NOTHING


cdef Transition[6] TRANSITIONS
TRANSITIONS[0] = Transition(
    WAIT_RETRIED_CLIENT_HELLO, HANDSHAKE_client_hello, <Step> read_retried_client_hello
)
TRANSITIONS[1] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[3] = Transition(
    WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished
)
TRANSITIONS[4] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_compressed_certificate, <Step> read_certificate
)
TRANSITIONS[5] = Transition(
    WAIT_END_OF_EARLY_DATA, HANDSHAKE_end_of_early_data, <Step> read_end_of_early_data
)
