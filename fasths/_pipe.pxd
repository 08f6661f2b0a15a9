cimport cython


@cython.final
cdef class Pipe:
    # What is being read, from `start` on, and what comes after it.
    cdef bytes chunk
    cdef Py_ssize_t start
    cdef object more
    # Bytes in the pipe, and how many it takes at most.
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t capacity
    # Whether nothing more will be written.
    cdef public bint eof
    # How many bytes the last reader asked for in vain.
    cdef readonly Py_ssize_t requested

    cpdef Py_ssize_t room(self) noexcept
    cpdef int write(self, bytes data) except -1
    cdef int next_chunk(self) except -1
    cpdef bytes read(self, Py_ssize_t size)
    cpdef Py_ssize_t read_into(self, object buffer) except -1
    cdef int move(self, char* target, Py_ssize_t size) except -1
