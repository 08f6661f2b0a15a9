cimport cython

from fasths.crypto.key_schedule cimport TrafficSecret
from fasths.handshake.base cimport Handshake


@cython.final
cdef class PostHandshake(Handshake):
    cdef TrafficSecret read_secret
    cdef TrafficSecret write_secret
    # An answer to a KeyUpdate waits for the transport; the engine says when it does not.
    cdef bint answer_unsent
    cdef long long unanswered_requests
    cdef int key_updates
    cdef int session_tickets

    cdef int update_write_key(self, bint request_update) except -1
