cimport cython
from libc.stdint cimport uint8_t


@cython.final
cdef class Writer:
    """A growing buffer of bytes in wire order.

    A length-prefixed vector is written as `at = w.open(2)`, its body, `w.close(at, 2)`.
    """

    cdef uint8_t* data
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity

    cdef int reserve(self, Py_ssize_t size) except -1
    cdef int u8(self, int value) except -1
    cdef int u16(self, int value) except -1
    cdef int u24(self, int value) except -1
    cdef int u32(self, long long value) except -1
    cdef int raw(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int blob(self, bytes data) except -1
    cdef Py_ssize_t open(self, int size) except -1
    cdef int close(self, Py_ssize_t at, int size) except -1
    cdef int vector(self, bytes data, int size) except -1
    cdef bytes finish(self)
