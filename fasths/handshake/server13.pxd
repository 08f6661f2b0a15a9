cimport cython

from fasths.handshake.base cimport Handshake
from fasths.handshake.configuration cimport Configuration
from fasths.wire.messages cimport ClientHello


@cython.final
cdef class ServerHandshake(Handshake):
    # Of the first ClientHello, once a HelloRetryRequest was sent.
    cdef bytes constant_part
    cdef bytes first_key_shares
    cdef int retry_group
    cdef bytes cookie
    cdef tuple application_secrets

    cdef int check_client_hello(self, ClientHello hello) except -1
    cdef int check_retried_client_hello(self, ClientHello hello, bytes message) except -1
    cdef int choose_suite(self, ClientHello hello) except -1
    cdef int choose_group(self, ClientHello hello) except -1
    cdef bytes choose_protocol(self, ClientHello hello)
    cdef int send_hello_retry_request(self, ClientHello hello, bytes message, int group) except -1
    cdef int send_flight(self, ClientHello hello, bytes message, bytes client_share) except -1


cdef Handshake server_handshake(Configuration config)
