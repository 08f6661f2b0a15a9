cimport cython

from fasths.crypto.key_schedule cimport TrafficSecret, Transcript
from fasths.handshake.base cimport Handshake
from fasths.handshake.handshake13 cimport Handshake13
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport NewSessionTicket


@cython.final
cdef class PostHandshake(Handshake13):
    # Secrets stay as bytes for as long as they are not used: a connection is idle most of the time.
    cdef bytes read_secret
    cdef bytes write_secret
    cdef bytes resumption_secret
    # KeyUpdate: an answer waits for the transport; the engine says when it does not.
    cdef bint answer_unsent
    cdef long long unanswered_requests
    cdef int key_updates
    # Tickets: how many were received, or sent.
    cdef int session_tickets
    cdef double authenticated
    # Authentication after the handshake: the transcript that it continues, where there can be any;
    # the transcripts of unanswered requests by their context, or the contexts that were used.
    cdef Transcript handshake_transcript
    cdef dict certificate_requests

    cdef int take_over(
        self, Handshake13 handshake, TrafficSecret read_secret, TrafficSecret write_secret
    ) except -1
    cdef int update_write_key(self, bint request_update) except -1
    cdef int send_session_tickets(self, int count) except -1
    cdef int send_session_ticket(self) except -1
    cdef int keep_session(self, NewSessionTicket ticket) except -1
    cdef int request_certificate(self) except -1
