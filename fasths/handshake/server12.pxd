cimport cython

from fasths.crypto.groups cimport KeyExchange
from fasths.handshake.base cimport Handshake
from fasths.handshake.handshake12 cimport Handshake12
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport ClientHello


@cython.final
cdef class ServerHandshake12(Handshake12):
    # The ClientHello that is being answered, and the message that it came in.
    cdef ClientHello hello
    cdef bytes message
    cdef KeyExchange key_exchange
    cdef bytes params
    cdef bytes protocol_name
    # How the connection can be resumed: with a ticket, or by this id.
    cdef bint sends_ticket
    cdef bytes session_id
    # Where the session is kept that the client asked for by its id.
    cdef bytes stored_key
    cdef bint renews_ticket
    cdef bint asks_for_certificate

    cdef int negotiate(self) except -1
    cdef int check_client_hello(self) except -1
    cdef int find_session(self) except -1
    cdef int try_session(self, bytes state) except -1
    cdef int send_resumed_flight(self) except -1
    cdef int negotiate_in_full(self) except -1
    cdef int choose_group(self) except -1
    cdef int kinds_of_keys(self) except -1
    cdef int choose_suite(self) except -1
    cdef int send_flight(self) except -1
    cdef bytes extensions(self)
    cdef Session make_session(self)
    cdef int send_ticket(self) except -1
    cdef int store_session(self) except -1


cdef int go_on_as_server_12(Handshake before, ClientHello hello, bytes message) except -1
