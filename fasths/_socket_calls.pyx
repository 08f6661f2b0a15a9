# recv() and send() that never wait, without an exception for "not ready"; and poll().

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport ceil

from time import monotonic

cdef extern from "<sys/socket.h>" nogil:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    ssize_t recv(int descriptor, void* buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void* buffer, size_t size, int flags)
    int shutdown(int descriptor, int how)
    int SHUT_WR
    int MSG_DONTWAIT
    int MSG_NOSIGNAL

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* descriptors, unsigned long count, int timeout)
    short POLLIN
    short POLLOUT

cdef enum:
    # The longest time to wait at once, in milliseconds.
    LONGEST = 1 << 30
    # What close_for_writing() drops at most: pieces of this size.
    DROPPED_SIZE = 1 << 14
    DROPPED_PIECES = 16


cdef Py_ssize_t receive(int descriptor, char* buffer, Py_ssize_t size) except -2:
    """How many bytes arrived, 0 at the end, or NOT_READY. Raises OSError."""
    cdef ssize_t count
    while True:
        count = recv(descriptor, buffer, size, MSG_DONTWAIT)
        if count >= 0:
            return count
        if errno == EAGAIN:
            return NOT_READY
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)


cdef Py_ssize_t send_from(int descriptor, object data) except -2:
    """How many bytes the socket took, or NOT_READY. Raises OSError."""
    cdef Py_buffer view
    cdef ssize_t count
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        while True:
            count = send(descriptor, view.buf, view.len, MSG_DONTWAIT | MSG_NOSIGNAL)
            if count >= 0:
                return count
            if errno == EAGAIN:
                return NOT_READY
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
    finally:
        PyBuffer_Release(&view)


cdef int close_for_writing(int descriptor) except -1:
    """Say that nothing follows, and drop what has arrived.

    Unread bytes would turn the end into a reset, which takes the alert from the peer before it is
    read.
    """
    cdef bytearray dropped = bytearray(DROPPED_SIZE)
    shutdown(descriptor, SHUT_WR)
    for _ in range(DROPPED_PIECES):
        if receive(descriptor, PyByteArray_AS_STRING(dropped), DROPPED_SIZE) <= 0:
            break
    return 0


cdef bint wait_until_ready(
    int descriptor, bint for_reading, bint for_writing, double deadline
) except -1:
    """Let other threads run until the socket is ready; False: the deadline has passed.

    deadline: as monotonic() counts; infinite for none. Raises OSError, and what handlers of signals
    raise.
    """
    cdef pollfd waited
    cdef double remaining
    cdef int milliseconds, count
    waited.fd = descriptor
    waited.events = (POLLIN if for_reading else 0) | (POLLOUT if for_writing else 0)
    while True:
        remaining = ceil((deadline - <double> monotonic()) * 1000)
        milliseconds = LONGEST if remaining > LONGEST else 0 if remaining < 0 else <int> remaining
        with nogil:
            count = poll(&waited, 1, milliseconds)
        if count > 0:
            return True
        if count < 0:
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
        elif remaining <= milliseconds:
            return False
