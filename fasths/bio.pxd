cimport cython


@cython.final
cdef class Pipe:
    cdef bytes chunk
    cdef Py_ssize_t start
    cdef object more
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef bint eof
    cdef Py_ssize_t requested

    cdef Py_ssize_t room(self) except -1
    cdef write(self, bytes data)
    cdef next_chunk(self)
    cdef bytes read(self, Py_ssize_t size)
    cdef Py_ssize_t read_into(self, buffer) except -1


cdef class SocketBIO:
    cdef object _socket
    cdef readonly bint eof
    cdef readonly bint should_read
    cdef readonly bint should_write


cdef class PairHalf:
    cdef Pipe _incoming
    cdef Pipe _outgoing
    cdef readonly bint should_read
    cdef readonly bint should_write


cdef class MemoryBIO:
    cdef Pipe _incoming
    cdef Pipe _outgoing


cdef class BufferedBIO:
    cdef object _bio
    cdef bytearray _buffer
    cdef Py_ssize_t _size
    cdef readonly bint should_read
    cdef readonly bint should_write


cdef class StreamBIO:
    cdef object _stream
    cdef readonly bint should_read
    cdef readonly bint should_write
