cimport cython

from fasths.crypto.key_schedule cimport Hash
from fasths.handshake.base cimport Handshake
from fasths.handshake.handshake13 cimport Handshake13
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport ClientHello


@cython.final
cdef class ServerHandshake(Handshake13):
    # The ClientHello that is being answered.
    cdef ClientHello hello
    cdef bytes message
    # Of the first ClientHello, once a HelloRetryRequest was sent.
    cdef bint retried
    cdef bytes constant_part
    cdef bytes first_key_shares
    cdef int retry_group
    cdef bytes cookie
    cdef tuple application_secrets
    # The pre-shared key that was chosen: its place in the ClientHello (-1: none), what the client
    # calls it, and the session that it is from. early_secret has the key itself.
    cdef int psk_index
    cdef bytes psk_identity
    cdef bytes psk_binder_label
    cdef Session session
    # Whether it is used without a key exchange.
    cdef bint psk_alone
    cdef bytes key_share
    cdef bytes protocol_name
    cdef bint accepts_early_data
    cdef bint asks_for_certificate

    cdef int negotiate(self) except -1
    cdef int check_client_hello(self, ClientHello hello) except -1
    cdef int check_retried_client_hello(self, ClientHello hello) except -1
    cdef int find_psk(self) except -1
    cdef int try_next_psk(self) except -1
    cdef bint find_psk_again(self) except -1
    cdef bint use_external_psk(self, object external_psk) except -1
    cdef bint can_resume(self, Session session) except -1
    cdef int try_session(self, bytes state) except -1
    cdef int ask_for_external_psk(self) except -1
    cdef bint choose_suite_of_hash(self, Hash hash, int preferred) except -1
    cdef int check_binder(self) except -1
    cdef int go_on_with_psk(self) except -1
    cdef int choose_suite(self, ClientHello hello) except -1
    cdef int choose_group(self, ClientHello hello) except -1
    cdef int send_hello_retry_request(self, int group) except -1
    cdef int begin_flight(self) except -1
    cdef bint can_accept_early_data(self) except -1
    cdef bint store_knows_replays(self) except -1
    cdef bint is_fresh(self) except -1
    cdef long long early_data_limit(self) except -1
    cdef int choose_server_identity(self) except -1
    cdef int plan_client_authentication(self) except -1
    cdef int send_flight(self) except -1
    cdef bytes encrypted_extensions(self)


cdef int go_on_as_server_13(Handshake before, ClientHello hello, bytes message) except -1
