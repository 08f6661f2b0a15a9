# Whole handshake messages out of the contents of records (RFC 8446, 5.1): a message may be spread
# over several records, and a record may have several messages.

from cpython.bytearray cimport (
    PyByteArray_AS_STRING,
    PyByteArray_FromStringAndSize,
    PyByteArray_GET_SIZE,
    PyByteArray_Resize,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fasths.wire.constants cimport HANDSHAKE_HEADER

from fasths.wire.errors import IllegalParameter


cdef class HandshakeFraming:

    def __cinit__(self, Py_ssize_t max_message_size):
        self.max_message_size = max_message_size

    cdef bint is_empty(self) noexcept:
        """Whether every byte so far belonged to a message that was taken."""
        return self.pending is None

    cdef int feed(self, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t have
        if self.pending is None:
            self.pending = PyByteArray_FromStringAndSize(<const char*> data, size)
            self.start = 0
            return 0
        if self.start:
            del self.pending[:self.start]
            self.start = 0
        have = PyByteArray_GET_SIZE(self.pending)
        PyByteArray_Resize(self.pending, have + size)
        memcpy(PyByteArray_AS_STRING(self.pending) + have, data, size)
        return 0

    cdef bytes next_message(self):
        """The next whole message with its header, or None. IllegalParameter: it is too long."""
        cdef const uint8_t* at
        cdef Py_ssize_t have, size
        cdef bytes message
        if self.pending is None:
            return None
        have = PyByteArray_GET_SIZE(self.pending) - self.start
        if have < HANDSHAKE_HEADER:
            return None
        at = <const uint8_t*> PyByteArray_AS_STRING(self.pending) + self.start
        size = (at[1] << 16) | (at[2] << 8) | at[3]
        if size > self.max_message_size:
            raise IllegalParameter("a handshake message is longer than is allowed here")
        size += HANDSHAKE_HEADER
        if have < size:
            return None
        message = PyBytes_FromStringAndSize(<const char*> at, size)
        self.start += size
        if have == size:
            self.pending = None
        return message
