from fasths._pipe cimport Pipe


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
    cdef readonly object stream
    cdef readonly bint should_read
    cdef readonly bint should_write
