cimport cython

from fasths.handshake.base cimport Handshake
from fasths.handshake.configuration cimport Configuration
from fasths.wire.messages cimport ClientHello


@cython.final
cdef class VersionNegotiation(Handshake):
    """A server until it knows the version."""

    cdef ClientHello hello
    cdef bytes message

    cdef int negotiate(self) except -1


cdef Handshake server_handshake(Configuration config, object user_data)
