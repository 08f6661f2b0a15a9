cimport cython
from libc.stdint cimport uint64_t

from fasths.crypto.groups cimport KeyExchange
from fasths.handshake.base cimport Handshake
from fasths.handshake.configuration cimport Configuration
from fasths.wire.messages cimport CertificateRequest, ServerHello


@cython.final
cdef class ClientHandshake(Handshake):
    cdef bytes server_name
    cdef str hostname
    cdef KeyExchange key_exchange
    cdef tuple shared_groups
    cdef bytes client_hello
    # ClientHellos to be sent instead of one's own; see start_with().
    cdef list given
    cdef bytes legacy_session_id
    cdef uint64_t offered
    cdef int retry_group
    cdef bint retried
    cdef CertificateRequest certificate_request
    cdef tuple application_secrets

    cdef int send_client_hello(self, bytes cookie) except -1
    cdef int check_server_hello(self, ServerHello hello) except -1
    cdef int retry(self, ServerHello hello, bytes message) except -1
    cdef int send_client_certificate(self) except -1


cdef Handshake client_handshake(Configuration config, bytes server_name, str hostname)
