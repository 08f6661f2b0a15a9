cimport cython

from fasths._core cimport Engine

cdef enum:
    # How much is gathered before it is protected.
    WRITE_SIZE = 1 << 16


@cython.final
cdef class Backlog:
    # chunk[start:], then what is in `more`.
    cdef bytes chunk
    cdef Py_ssize_t start
    cdef object more
    # Bytes altogether.
    cdef Py_ssize_t size

    cdef int add(self, bytes data) except -1
    cdef int add_rest(self, object data, Py_ssize_t start) except -1
    cdef int protect(self, Engine engine) except -1
    cdef int clear(self) except -1
