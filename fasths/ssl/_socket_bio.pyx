"""A BIO over an SSLSocket, past the methods by which that encrypts."""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from fasths._socket_calls cimport NOT_READY, receive, send_from, wait_until_ready

import ssl
from weakref import ref


@cython.final
cdef class SSLSocketBIO:
    """It never waits in a read or a write, whatever the socket's time-out is: wait() does.

    It holds the socket weakly, as the socket holds the connection.
    """

    cdef object reference
    cdef readonly bint should_read
    cdef readonly bint should_write
    # How many bytes the socket took.
    cdef readonly Py_ssize_t sent

    def __init__(self, sock):
        self.reference = ref(sock)

    @property
    def socket(self):
        """The socket, or None where it is gone."""
        return self.reference()

    cdef int descriptor(self) except -1:
        cdef object sock = self.reference()
        cdef int descriptor = -1 if sock is None else sock.fileno()
        if descriptor < 0:
            raise ssl.SSLError("Underlying socket connection gone")
        return descriptor

    def read_into(self, buffer, /):
        cdef int descriptor = self.descriptor()
        cdef Py_buffer view
        cdef Py_ssize_t count
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            count = receive(descriptor, <char*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        self.should_read = count == NOT_READY
        self.should_write = False
        return count

    def write(self, data, /):
        cdef Py_ssize_t count = send_from(self.descriptor(), data)
        self.should_write = count == NOT_READY
        self.should_read = False
        if count > 0:
            self.sent += count
        return count

    def flush(self):
        return 1

    def waits(self):
        """Whether the socket's methods wait, for a time at least."""
        cdef object sock = self.reference()
        return sock is not None and sock.gettimeout() != 0

    def wait(self, bint for_reading, bint for_writing, double deadline):
        """Wait until the socket is ready; False: the deadline, of monotonic(), has passed."""
        return wait_until_ready(self.descriptor(), for_reading, for_writing, deadline)
