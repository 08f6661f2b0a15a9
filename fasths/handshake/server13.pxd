cimport cython

from fasths.handshake.base cimport Handshake
from fasths.wire.messages cimport ClientHello


@cython.final
cdef class ServerHandshake(Handshake):
    cdef ClientHello client_hello
    cdef int retry_group
    cdef bytes cookie
    cdef tuple application_secrets

    cdef int check_client_hello(self, ClientHello hello) except -1
    cdef int check_retried_client_hello(self, ClientHello hello) except -1
    cdef int choose_suite(self, ClientHello hello) except -1
    cdef int choose_group(self, ClientHello hello) except -1
    cdef bytes choose_protocol(self, ClientHello hello)
    cdef int send_hello_retry_request(self, ClientHello hello, bytes message, int group) except -1
    cdef int send_flight(self, ClientHello hello, bytes message, bytes client_share) except -1


cpdef Handshake server_handshake(config)
