cimport cython
from libc.stdint cimport uint64_t

from fasths.handshake.base cimport Handshake
from fasths.handshake.handshake12 cimport Handshake12
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport Certificate
from fasths.wire.messages12 cimport ServerHello12, ServerKeyExchange


@cython.final
cdef class ClientHandshake12(Handshake12):
    # What ClientHello said: itself, its legacy_session_id, and the extensions in it.
    cdef bytes client_hello
    cdef bytes offered_session_id
    cdef uint64_t offered
    # The session that it offered, and the server's chain as it was verified again.
    cdef Session offered_session
    cdef tuple offered_chain
    # What the server announced, and what it has shown.
    cdef bytes session_id
    cdef bint expects_ticket
    cdef bint expects_status
    cdef bint sends_raw_public_key
    cdef tuple signed_certificate_timestamps
    cdef Certificate certificate
    cdef ServerKeyExchange server_key_exchange
    cdef bytes ticket
    cdef long long ticket_lifetime_hint

    cdef int read_server_hello(self, bytes message) except -1
    cdef int check_server_hello(self, ServerHello12 hello) except -1
    cdef int read_extensions(self, ServerHello12 hello) except -1
    cdef int resume_session(self, ServerHello12 hello) except -1
    cdef int send_client_key_exchange(self) except -1
    cdef int keep_session(self) except -1


cdef int go_on_as_client_12(
    Handshake before,
    bytes client_hello,
    bytes offered_session_id,
    uint64_t offered,
    Session session,
    tuple verified_chain,
    bytes message,
) except -1
