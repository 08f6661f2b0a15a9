# What may arrive once a TLS 1.3 handshake is done (RFC 8446, 4.6).

from fasths.crypto.key_schedule cimport TrafficSecret
from fasths.handshake.base cimport *
from fasths.handshake.configuration cimport Configuration
from fasths.wire.constants cimport *
from fasths.wire.messages cimport (
    NewSessionTicket,
    decode_key_update,
    decode_new_session_ticket,
    encode_key_update,
)

from fasths.wire.errors import IllegalParameter, UnexpectedMessage

cdef enum State:
    CONNECTED_CLIENT
    CONNECTED_SERVER

cdef enum:
    # RFC 8446, 4.6.1: seven days, in seconds.
    MAX_TICKET_LIFETIME = 604800


cdef class PostHandshake(Handshake):

    def __cinit__(
        self,
        Configuration config,
        Outcome outcome,
        TrafficSecret read_secret,
        TrafficSecret write_secret,
        bint by_server,
    ):
        self.config = config
        self.outcome = outcome
        self.suite = outcome.suite
        self.read_secret = read_secret
        self.write_secret = write_secret
        self.state = CONNECTED_SERVER if by_server else CONNECTED_CLIENT
        self.transitions = TRANSITIONS
        self.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)

    cdef int update_write_key(self, bint request_update) except -1:
        """Queue a KeyUpdate and the change to the next key for what is sent (RFC 8446, 7.2)."""
        if self.output is None:
            self.output = []
        self.output.append(encode_key_update(request_update))
        self.unanswered_requests += request_update
        self.write_secret = self.write_secret.next()
        return self.change_key(WRITE_KEY, LEVEL_APPLICATION, self.write_secret)


cdef int read_key_update(PostHandshake self, bytes message) except -1:
    cdef bint requested = decode_key_update(message)
    if self.unanswered_requests and not requested:
        # What one asked for oneself does not count.
        self.unanswered_requests -= 1
    else:
        self.key_updates += 1
    if self.key_updates > self.config.max_key_updates:
        raise UnexpectedMessage("too many KeyUpdates without data between them")
    if self.output is None:
        self.output = []
    self.read_secret = self.read_secret.next()
    self.change_key(READ_KEY, LEVEL_APPLICATION, self.read_secret)
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
    return WAIT_NOTHING


cdef Transition[3] TRANSITIONS
TRANSITIONS[0] = Transition(CONNECTED_CLIENT, HANDSHAKE_key_update, <Step> read_key_update)
TRANSITIONS[1] = Transition(CONNECTED_SERVER, HANDSHAKE_key_update, <Step> read_key_update)
TRANSITIONS[2] = Transition(
    CONNECTED_CLIENT, HANDSHAKE_new_session_ticket, <Step> read_new_session_ticket
)
