cimport cython
from libc.stdint cimport uint64_t

from fasths.crypto.groups cimport KeyExchange
from fasths.crypto.key_schedule cimport EarlySecret
from fasths.handshake.base cimport Handshake
from fasths.handshake.handshake13 cimport Handshake13
from fasths.handshake.configuration cimport Configuration
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport EncryptedExtensions, ServerHello
from fasths.wire.writer cimport Writer


@cython.final
cdef class OfferedPsk:
    """A pre-shared key that a client offers."""

    cdef bytes identity
    cdef EarlySecret early_secret
    cdef bytes binder_label
    # Where the key is a session's: it, and the peer's chain as it was verified again.
    cdef Session session
    cdef tuple verified_chain


@cython.final
cdef class ClientHandshake(Handshake13):
    cdef bytes server_name
    cdef KeyExchange key_exchange
    cdef tuple shared_groups
    cdef bytes client_hello
    # ClientHellos to be sent instead of one's own; see start_with().
    cdef list given
    cdef bytes legacy_session_id
    cdef uint64_t offered
    cdef int retry_group
    cdef bint retried
    cdef bint sent_change_cipher_spec
    cdef tuple application_secrets
    # What is offered for resumption.
    cdef Session session
    cdef list psks
    # One of TLS 1.2, and the server's chain as it was verified again.
    cdef Session session12
    cdef tuple session12_chain
    cdef OfferedPsk selected_psk
    cdef bint wants_early_data
    cdef bint server_sends_raw_public_key

    cdef int begin(self) except -1
    cdef bint may_resume(self, Session session) except -1
    cdef int offer_session(self, Session session) except -1
    cdef int send_first_flight(self) except -1
    cdef bint permits_early_data(self, OfferedPsk psk) except -1
    cdef int send_client_hello(self, bytes cookie) except -1
    cdef Py_ssize_t write_psks(self, Writer w) except -1
    cdef bytes with_binders(self, bytes client_hello, Py_ssize_t size)
    cdef int send_change_cipher_spec(self) except -1
    cdef int send_early_data_key(self) except -1
    cdef long long early_data_limit(self) except -1
    cdef bytes choose_session_id(self, bytes random)
    cdef int check_lower_version(self, ServerHello hello) except -1
    cdef int check_server_hello(self, ServerHello hello) except -1
    cdef int check_selected_psk(self, ServerHello hello) except -1
    cdef int retry(self, ServerHello hello, bytes message) except -1
    cdef int read_early_data_answer(self, EncryptedExtensions extensions) except -1


cdef Handshake client_handshake(
    Configuration config, bytes server_name, str hostname, object user_data
)
