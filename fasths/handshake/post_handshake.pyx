# What may happen once a TLS 1.3 handshake is done (RFC 8446, 4.6): tickets, authentication of the
# client, and updates of keys.

import os
import time

from fasths.crypto.key_schedule cimport TrafficSecret, Transcript
from fasths.handshake.base cimport *
from fasths.handshake.handshake13 cimport *
from fasths.handshake.session cimport MAX_TICKET_LIFETIME, Session
from fasths.wire.constants cimport *
from fasths.wire.messages cimport (
    Certificate,
    CertificateRequest,
    NewSessionTicket,
    decode_certificate_request,
    decode_key_update,
    decode_new_session_ticket,
    encode_finished,
    encode_key_update,
    encode_new_session_ticket,
)

from fasths.wire.codes import Verify
from fasths.wire.errors import CertificateRequired, IllegalParameter, UnexpectedMessage

cdef enum State:
    CONNECTED_CLIENT
    CONNECTED_SERVER
    WAIT_CERTIFICATE_VERIFY
    WAIT_FINISHED

cdef enum:
    # Tickets that a client keeps of one connection, and how long one may be; others are dropped.
    MAX_KEPT_SESSIONS = 4
    MAX_TICKET_SIZE = 1 << 14

cdef int VERIFY_REQUIRED = Verify.REQUIRED


cdef class PostHandshake(Handshake13):

    cdef int take_over(
        self, Handshake13 handshake, TrafficSecret read_secret, TrafficSecret write_secret
    ) except -1:
        """Become the successor of a handshake whose last message is in its transcript."""
        self.config = handshake.config
        self.outcome = handshake.outcome
        self.user_data = handshake.user_data
        self.by_server = handshake.by_server
        self.suite = handshake.suite
        self.read_secret = read_secret.secret
        self.write_secret = write_secret.secret
        self.state = CONNECTED_SERVER if self.by_server else CONNECTED_CLIENT
        self.transitions = TRANSITIONS
        self.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
        self.resumption_secret = handshake.master_secret.resumption_master_secret(
            handshake.transcript.digest()
        ).secret
        self.authenticated = self.outcome.authenticated or time.time()
        if self.outcome.post_handshake_auth:
            self.handshake_transcript = handshake.transcript
            self.certificate_requests = {}
        return 0

    # --- KeyUpdate (RFC 8446, 4.6.3)

    cdef int update_write_key(self, bint request_update) except -1:
        """Queue a KeyUpdate and the change to the next key for what is sent (RFC 8446, 7.2)."""
        if self.output is None:
            self.output = []
        if request_update:
            self.unanswered_requests += 1
        self.output.append(encode_key_update(request_update))
        cdef TrafficSecret secret = TrafficSecret(self.suite.hash, self.write_secret).next()
        self.write_secret = secret.secret
        return self.change_key(WRITE_KEY, LEVEL_APPLICATION, secret)

    cdef int data_received(self, Py_ssize_t size) except -1:
        # RFC 8446, 4.6.2: nothing stands between the messages of an authentication.
        if self.state == WAIT_CERTIFICATE_VERIFY or self.state == WAIT_FINISHED:
            raise UnexpectedMessage("data between the messages of the client's authentication")
        if size:
            self.key_updates = 0
        return 0

    cdef int output_taken(self) except -1:
        # Any answer to a KeyUpdate was in what the transport has now.
        self.answer_unsent = False
        return 0

    # --- Tickets (RFC 8446, 4.6.1)

    cdef int send_session_tickets(self, int count) except -1:
        if self.output is None:
            self.output = []
        while count > 0 and self.send_session_ticket():
            count -= 1
        return 0

    cdef int send_session_ticket(self) except -1:
        """Queue one ticket; 0 where there is none to be had."""
        cdef Outcome outcome = self.outcome
        cdef Session session = Session.__new__(Session)
        cdef bytes nonce = self.session_tickets.to_bytes(4, "big"), ticket, state
        cdef double now = time.time()
        session.created = now
        session.authenticated = self.authenticated
        # RFC 8446, 4.6.1: tickets for tickets do not prolong a key's life without end.
        session.lifetime = min(
            self.config.session_lifetime,
            <long long> (self.authenticated + MAX_TICKET_LIFETIME - now),
        )
        if session.lifetime <= 0:
            return 0
        session.version_code = VERSION_TLSv1_3
        session.suite_code = self.suite.code
        session.resumption_secret = self.resumption_secret
        session.ticket_nonce = nonce
        session.ticket_age_add = int.from_bytes(os.urandom(4), "big")
        session.max_early_data_size = self.config.max_early_data_size
        session.server_name = outcome.server_name
        session.protocol_name = outcome.protocol_name
        remember_peer(session, outcome)
        try:
            if session.max_early_data_size:
                session.replay_scope = getattr(self.config.session_store, "scope", b"")
            state = session.encode()
        except Exception as error:
            # A store whose scope is none.
            report_unraisable(error)
            return 0
        if self.config.ticket_keys is not None:
            ticket = self.config.ticket_keys.seal(state)
            # A client's whole chain may be in it.
            if len(ticket) > MAX_TICKET_SIZE:
                return 0
        else:
            # So that a client does not decide how much there is to be kept.
            if len(state) > MAX_TICKET_SIZE:
                return 0
            ticket = os.urandom(32)
            try:
                self.config.session_store.put(b"ticket:" + ticket, state, session.lifetime)
            except Exception as error:
                report_unraisable(error)
                return 0
        self.session_tickets += 1
        self.output.append(encode_new_session_ticket(
            session.lifetime, session.ticket_age_add, nonce, ticket, session.max_early_data_size
        ))
        return 1

    cdef int keep_session(self, NewSessionTicket ticket) except -1:
        """Make a Session of a ticket, for the application and for the Context's cache."""
        cdef Outcome outcome = self.outcome
        cdef Session session = Session.__new__(Session)
        session.created = time.time()
        session.authenticated = self.authenticated
        session.lifetime = ticket.ticket_lifetime
        session.version_code = VERSION_TLSv1_3
        session.suite_code = self.suite.code
        session.resumption_secret = self.resumption_secret
        session.ticket_nonce = ticket.ticket_nonce
        session.ticket = ticket.ticket
        session.ticket_age_add = ticket.ticket_age_add
        session.max_early_data_size = ticket.max_early_data_size
        session.server_name = outcome.hostname
        session.protocol_name = outcome.protocol_name
        remember_peer(session, outcome)
        session.identity_digest = outcome.identity_digest
        if outcome.sessions is None:
            outcome.sessions = []
        outcome.sessions.append(session)
        if len(outcome.sessions) > MAX_KEPT_SESSIONS:
            del outcome.sessions[0]
        return self.put_into_cache(session)

    # --- Authentication of the client (RFC 8446, 4.6.2)

    cdef int request_certificate(self) except -1:
        """Queue a CertificateRequest; the caller knows that the client can answer it."""
        cdef bytes context = os.urandom(16)
        cdef bytes message = self.config.post_handshake_certificate_request(context)
        cdef Transcript transcript = self.handshake_transcript.copy()
        if self.output is None:
            self.output = []
        transcript.update(message)
        self.certificate_requests[context] = transcript
        self.output.append(message)
        return 0


cdef int read_key_update(PostHandshake self, bytes message) except -1:
    cdef bint requested = decode_key_update(message)
    cdef TrafficSecret secret
    if self.unanswered_requests and not requested:
        # What one asked for oneself does not count.
        self.unanswered_requests -= 1
    else:
        self.key_updates += 1
    if self.key_updates > self.config.max_key_updates:
        raise UnexpectedMessage("too many KeyUpdates without data between them")
    if self.output is None:
        self.output = []
    secret = TrafficSecret(self.suite.hash, self.read_secret).next()
    self.read_secret = secret.secret
    self.change_key(READ_KEY, LEVEL_APPLICATION, secret)
    # RFC 8446, 4.6.3: answer with one's own, which asks for none; one answers all that arrive
    # before it is sent.
    if requested and not self.answer_unsent:
        self.answer_unsent = True
        self.update_write_key(False)
    return WAIT_NOTHING


cdef int read_new_session_ticket(PostHandshake self, bytes message) except -1:
    cdef NewSessionTicket ticket = decode_new_session_ticket(message)
    # RFC 8446, 4.6.1: no server may give a ticket a longer life.
    if ticket.ticket_lifetime > MAX_TICKET_LIFETIME:
        raise IllegalParameter("a session ticket lives longer than seven days")
    self.session_tickets += 1
    if self.session_tickets > self.config.max_session_tickets:
        raise UnexpectedMessage("too many session tickets")
    # RFC 8446, 4.6.1: with a lifetime of 0 it is to be discarded immediately.
    if ticket.ticket_lifetime and len(ticket.ticket) <= MAX_TICKET_SIZE:
        self.keep_session(ticket)
    return WAIT_NOTHING


cdef int read_certificate_request(PostHandshake self, bytes message) except -1:
    cdef CertificateRequest request
    cdef bytes context
    # RFC 8446, 4.6.2: only with post_handshake_auth.
    if self.certificate_requests is None:
        raise UnexpectedMessage("a CertificateRequest although post_handshake_auth was not sent")
    request = decode_certificate_request(message)
    context = request.certificate_request_context
    # RFC 8446, 4.3.2: unique within the connection.
    if context in self.certificate_requests:
        raise IllegalParameter("a CertificateRequest has the context of another one")
    if len(self.certificate_requests) >= self.config.max_certificate_requests:
        raise UnexpectedMessage("too many CertificateRequests")
    self.certificate_requests[context] = None
    if self.output is None:
        self.output = []
    self.transcript = self.handshake_transcript.copy()
    self.transcript.update(message)
    return self.authenticate_client(request, <Continuation> send_finished)


cdef int send_finished(PostHandshake self, object _) except -1:
    # RFC 8446, 4.4.4: keyed with client_application_traffic_secret_N.
    cdef TrafficSecret secret = TrafficSecret(self.suite.hash, self.write_secret)
    self.send(encode_finished(secret.finished(self.transcript.digest())))
    self.transcript = None
    return WAIT_NOTHING


cdef int read_certificate(PostHandshake self, bytes message) except -1:
    cdef Certificate certificate = self.read_certificate_message(message)
    cdef Transcript transcript = None
    if self.certificate_requests is not None:
        transcript = self.certificate_requests.pop(certificate.certificate_request_context, None)
    # RFC 8446, 4.4.2: in answer to a request.
    if transcript is None:
        raise UnexpectedMessage("a Certificate that was not asked for")
    self.transcript = transcript
    self.transcript.update(message)
    if certificate.certificates:
        self.state = WAIT_CERTIFICATE_VERIFY
        return self.judge_client(certificate)
    if self.config.server_verify == VERIFY_REQUIRED:
        raise CertificateRequired("the client sent no certificate")
    self.state = WAIT_FINISHED
    return WAIT_NOTHING


cdef int read_certificate_verify(PostHandshake self, bytes message) except -1:
    self.outcome.client_signature_scheme = self.read_peer_signature(message)
    self.state = WAIT_FINISHED
    return WAIT_NOTHING


cdef int read_finished(PostHandshake self, bytes message) except -1:
    self.read_peer_finished(message, TrafficSecret(self.suite.hash, self.read_secret))
    if self.shown is not None:
        self.accept_peer()
    self.transcript = None
    self.state = CONNECTED_SERVER
    return WAIT_NOTHING


cdef Transition[8] TRANSITIONS
TRANSITIONS[0] = Transition(CONNECTED_CLIENT, HANDSHAKE_key_update, <Step> read_key_update)
TRANSITIONS[1] = Transition(CONNECTED_SERVER, HANDSHAKE_key_update, <Step> read_key_update)
TRANSITIONS[2] = Transition(
    CONNECTED_CLIENT, HANDSHAKE_new_session_ticket, <Step> read_new_session_ticket
)
TRANSITIONS[3] = Transition(
    CONNECTED_CLIENT, HANDSHAKE_certificate_request, <Step> read_certificate_request
)
TRANSITIONS[4] = Transition(CONNECTED_SERVER, HANDSHAKE_certificate, <Step> read_certificate)
TRANSITIONS[5] = Transition(
    CONNECTED_SERVER, HANDSHAKE_compressed_certificate, <Step> read_certificate
)
TRANSITIONS[6] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[7] = Transition(WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished)
