cimport cython

from fasths._core cimport Engine
from fasths.aio._backlog cimport Backlog
from fasths.connection cimport Connection


@cython.final
cdef class TransportBIO:
    """What the Connection of a Transport writes to."""

    # None once the connection is lost.
    cdef Transport transport
    cdef readonly bint should_read
    cdef readonly bint should_write


@cython.final
cdef class Transport:
    # --- For as long as the connection lasts
    cdef object __weakref__
    cdef object _loop
    # Whether the loop calls _readable() no more once the socket has had an error, as uvloop does,
    # though what arrived before the error was not read to its end.
    cdef bint _ends_watching
    cdef object _socket
    cdef object _protocol
    cdef Connection _connection
    cdef Engine _engine
    cdef TransportBIO _bio
    cdef int _descriptor
    cdef int _state
    cdef object _thread
    cdef object _peername
    # The Server that accepted it, or None.
    cdef object _server
    # --- While the handshake goes on
    # The Future of who waits for its end, or None.
    cdef object _waiter
    # Whether connection_made() is called at its end; whether the protocol knows this transport.
    cdef bint _calls_connection_made
    cdef bint _made
    cdef double _handshake_timeout
    # --- Waits
    cdef double _shutdown_timeout
    # Of the handshake, then of closing.
    cdef object _timer
    # Bytes that were sent, and as many when the timer was started.
    cdef long long _sent
    cdef long long _sent_before
    # The Request that the application has not answered.
    cdef object _request
    # --- Reading
    # data_received(), or None for a BufferedProtocol.
    cdef object _receive
    cdef bint _has_reader
    cdef bint _paused
    # Inside of a callback of the loop that flushes at its end.
    cdef bint _corked
    # The socket has reached its end.
    cdef bint _at_end
    # --- Writing
    cdef Backlog _backlog
    # Protected bytes that the socket has not taken.
    cdef Py_ssize_t _unsent
    # The socket is full; the loop says when it is not.
    cdef bint _blocked
    cdef bint _has_writer
    # Why the socket cannot be written to.
    cdef object _broken
    # A write went to the socket at once, and the loop may not have come by since.
    cdef bint _sent_at_once
    cdef bint _flush_is_scheduled
    cdef bint _eof_written
    cdef Py_ssize_t _high_water
    cdef Py_ssize_t _low_water
    cdef bint _writing_paused

    cdef int read_corked(self) except -1
    cdef int read_socket(self) except -1
    cdef int socket_ended(self) except -1
    cdef int socket_failed(self, error) except -1
    cdef int advance(self) except -1
    cdef int established(self) except -1
    cdef int suspend(self) except -1
    cdef int forget(self, request) except -1
    cdef int resume(self) except -1
    cdef int deliver(self) except -1
    cdef int hand_over(self) except -1
    cdef int peer_closed(self) except -1
    cdef int start_reading(self) except -1
    cdef int stop_reading(self) except -1
    cdef int write_now(self, data) except -1
    cdef int queue(self, bytes data) except -1
    cdef Py_ssize_t send(self, object data) except -2
    cdef int send_output(self) except -1
    cdef int flush(self) except -1
    cdef int all_sent(self) except -1
    cdef int sending_failed(self, error) except -1
    cdef int start_writing(self) except -1
    cdef int stop_writing(self) except -1
    cdef int pause_protocol(self) except -1
    cdef int resume_protocol(self) except -1
    cdef int tell_protocol(self, str method) except -1
    cdef int start_timer(self, double seconds) except -1
    cdef int stop_timer(self) except -1
    cdef int protocol_failed(self, str method, error) except -1
    cdef int report(self, str method, error) except -1
    cdef int fatal(self, error) except -1
    cdef int end(self, error) except -1
