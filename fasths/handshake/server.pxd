from fasths.handshake.base cimport Continuation, Handshake
from fasths.handshake.configuration cimport Signers
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport ClientHello

cdef enum:
    # Seconds by which the clocks of machines that share ticket keys may differ.
    MAX_CLOCK_SKEW = 60


cdef bytes choose_protocol(Handshake self, ClientHello hello)
cdef bint may_resume(Handshake self, Session session, ClientHello hello, bint asks_later) except -1
cdef int choose_client_certificate_type(Handshake self, ClientHello hello) except -1
cdef int choose_server_identity(
    Handshake self,
    ClientHello hello,
    bytes message,
    Signers signers,
    Continuation continuation,
) except -1
cdef int use_chosen_identity(Handshake self, ClientHello hello, object identity) except -1
cdef int certificate_type_of(object identity) except -1
