cimport cython
from libc.stdint cimport uint8_t


@cython.final
cdef class HandshakeFraming:
    cdef bytearray pending
    cdef Py_ssize_t start
    cdef Py_ssize_t max_message_size

    cdef int feed(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef bytes next_message(self)
    cdef bint is_empty(self) noexcept
