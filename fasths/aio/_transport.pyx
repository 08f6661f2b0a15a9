# The transport of one connection: a socket on one side, a protocol on the other, the engine in
# between.
#
# It works on add_reader() and add_writer() of the loop, so on every loop that has them. What
# arrives is received into the engine's buffer and opened there; what the protocol writes while it
# is being called is gathered, protected and sent once, when it returns. Outside of that the first
# write is sent at once, and those that follow it in the same iteration of the loop are gathered.
#
# The engine raises nothing for what a peer does. All that ends a connection comes through fatal()
# or end(), and from there to connection_lost(), or to who waits for the handshake.

import asyncio
import threading
from asyncio.trsock import TransportSocket
from contextlib import suppress

from cpython.bytes cimport PyBytes_GET_SIZE

from fasths._socket_calls cimport NOT_READY, close_for_writing, receive, send_from
from fasths.aio._backlog cimport WRITE_SIZE, Backlog

from fasths.aio._information import ABOUT_TLS, about_tls
from fasths.aio._waits import cancel
from fasths.wire.errors import TransportError

# SSLErrorCode.
cdef enum:
    NONE = 0
    SSL = 1
    WANT_READ = 2
    ZERO_RETURN = 6

# States, in order.
cdef enum:
    HANDSHAKE
    OPEN
    # close() was called: what was written is sent, what arrives is dropped.
    CLOSING
    LOST

cdef enum:
    DEFAULT_HIGH_WATER = 1 << 16
    # How often one connection reads its socket before others have their turn.
    READS_AT_ONCE = 16

cdef object get_ident = threading.get_ident


cdef class TransportBIO:
    # For what a program calls of the Connection itself, such as key_update(). Reading is the
    # transport's.

    def read_into(self, buffer, /):
        self.should_read, self.should_write = True, False
        return -1

    def write(self, data, /):
        cdef Py_ssize_t count
        self.should_read = self.should_write = False
        if self.transport is None:
            return 0
        count = self.transport.send(data)
        if count == NOT_READY:
            self.should_write = True
            self.transport.start_writing()
        return count

    def flush(self):
        return 1


cdef class Transport:
    """One TLS connection over a socket."""

    def __cinit__(
        self,
        loop,
        sock,
        protocol,
        context,
        *,
        bint server_side,
        server_hostname,
        timeouts,
        waiter=None,
        server=None,
        peername=None,
        bint calls_connection_made=True,
    ):
        """The socket is the transport's from now on, unless this raises."""
        self._bio = TransportBIO.__new__(TransportBIO)
        self._connection = Connection(
            context, self._bio, server_hostname=server_hostname or None, user_data=self
        )
        if server_side:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self._engine = self._connection._engine
        self._bio.transport = self
        self._loop = loop
        self._ends_watching = not isinstance(loop, asyncio.SelectorEventLoop)
        self._socket = sock
        self._descriptor = sock.fileno()
        self._state = HANDSHAKE
        self._peername = peername
        if peername is None:
            # Nobody knows any more once the peer has reset the connection.
            with suppress(OSError):
                self._peername = sock.getpeername()
        self._waiter = waiter
        self._server = server
        self._handshake_timeout, self._shutdown_timeout = timeouts
        self._calls_connection_made = calls_connection_made
        self._made = not calls_connection_made
        self._thread = get_ident()
        self._backlog = Backlog.__new__(Backlog)
        self._high_water = DEFAULT_HIGH_WATER
        self._low_water = DEFAULT_HIGH_WATER // 4
        self.set_protocol(protocol)

    def _begin(self, received=b""):
        """Begin the handshake. received: what was read from the socket before."""
        cdef Py_ssize_t size
        cdef object view = memoryview(received)
        if self._server is not None:
            self._server._attach(self)
        self.start_timer(self._handshake_timeout)
        self.start_reading()
        self._corked = True
        try:
            if not self._engine.by_server:
                self.advance()
            while len(view) and self._state != LOST and not self._engine.available():
                space = self._engine.space()
                size = min(len(space), len(view))
                if size == 0:
                    break
                space[:size] = view[:size]
                space.release()
                view = view[size:]
                self._engine.filled(size)
                self.advance()
            if len(view) and self._state != LOST:
                raise ValueError("more was received before the handshake than can be kept")
        finally:
            self._corked = False
        self.flush()

    # --- Reading

    def _readable(self):
        """The loop says that the socket can be read."""
        cdef long long sent = self._sent
        self._sent_at_once = False
        self.read_corked()
        self.flush()
        if self._ends_watching and self._has_reader and self._sent == sent:
            # Nothing was sent, which would have met the error.
            self.read_corked()
            self.flush()

    cdef int read_corked(self) except -1:
        self._corked = True
        try:
            self.read_socket()
        finally:
            self._corked = False
        return 0

    cdef int read_socket(self) except -1:
        cdef Py_ssize_t count, room
        cdef char* at
        for _ in range(READS_AT_ONCE):
            if self._engine.available():
                # What lies in the buffer has to be read first.
                return self.stop_reading()
            room = self._engine.room_at(&at)
            if room == 0:
                # A request is open, and the peer has sent as much as is kept meanwhile.
                return self.stop_reading()
            try:
                count = receive(self._descriptor, at, room)
            except OSError as error:
                return self.socket_failed(error)
            if count <= 0:
                self._engine.nothing_arrived()
                return self.socket_ended() if count == 0 else 0
            self._engine.filled(count)
            self.advance()
            if count < room or not self._has_reader:
                return 0
        if self._ends_watching:
            # An error may lie behind what is left.
            self.stop_reading()
            self.start_reading()
        return 0

    cdef int socket_ended(self) except -1:
        """The peer sends nothing any more."""
        self._at_end = True
        self.stop_reading()
        if self._state == CLOSING:
            # Nobody wants to read, so it does not matter how the peer ended.
            if not self._backlog.size and not self._engine.has_output():
                return self.end(None)
            return 0
        if self._broken is not None:
            # The socket has told its error once, to who wanted to write.
            return self.socket_failed(self._broken)
        self._engine.end_of_transport()
        if self._engine.error is not None:
            return self.fatal(self._engine.error)
        return 0

    cdef int socket_failed(self, error) except -1:
        """Reading has failed."""
        if self._state == CLOSING and not self._backlog.size and not self._engine.has_output():
            return self.end(None)
        self._engine.transport_raised(error)
        return self.fatal(error)

    cdef int advance(self) except -1:
        """Go on with what has arrived."""
        cdef int code
        if self._state == HANDSHAKE:
            code = self._engine.do_handshake()
            if code == WANT_READ:
                return 0
            if code == SSL:
                return self.fatal(self._engine.error)
            if code == ZERO_RETURN:
                return self.fatal(TransportError("the peer closed during the handshake"))
            if code != NONE:
                return self.suspend()
            if self._state == LOST:
                # A callback of the Context has given it up.
                return 0
            self.established()
        return self.deliver()

    cdef int established(self) except -1:
        cdef object waiter = self._waiter
        self.stop_timer()
        self._state = OPEN
        self._made = True
        if self._calls_connection_made:
            # Whatever it does with the transport, the handshake is done.
            self._waiter = None
            try:
                self._protocol.connection_made(self)
            except BaseException as error:
                self._waiter = waiter
                return self.protocol_failed("connection_made", error)
        else:
            # Nothing is delivered before somebody has this transport to answer with.
            self._paused = True
            self.stop_reading()
        self._waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return 0

    cdef int suspend(self) except -1:
        """The engine waits for the application."""
        cdef object request = self._engine.request
        if self._state == LOST:
            # A callback of the Context has given it up, and asked for time to answer.
            return self.forget(request)
        if request is not self._request:
            self._request = request
            request.add_done_callback(self._answered)
        if self._state == CLOSING and not self._backlog.size and not self._engine.has_output():
            return self.end(None)
        return 0

    cdef int forget(self, request) except -1:
        """Nobody waits for the answer any more."""
        if self._engine.error is None:
            self._engine.transport_raised(ConnectionAbortedError("the connection was closed"))
        cancel(request)
        return 0

    def _answered(self, request):
        """The application has answered; called in whatever thread did."""
        if self._state == LOST:
            return
        if self._thread == get_ident():
            self._loop.call_soon(self._go_on, request)
            return
        try:
            self._loop.call_soon_threadsafe(self._go_on, request)
        except RuntimeError:
            # The loop is closed, and nobody waits for the answer.
            if not self._loop.is_closed():
                raise

    def _go_on(self, request):
        if self._state != LOST and self._request is request:
            self._request = None
            self.resume()

    cdef int resume(self) except -1:
        """Go on with what has arrived while nobody wanted it."""
        self._corked = True
        try:
            self.advance()
            if not self._paused:
                self.start_reading()
        finally:
            self._corked = False
        return self.flush()

    cdef int deliver(self) except -1:
        """Pass on application data, as far as it is wanted."""
        cdef int code
        while self._state == CLOSING or (self._state == OPEN and not self._paused):
            code = self._engine.fetch()
            if code == NONE:
                if self._state == CLOSING:
                    self._engine.take(self._engine.available())
                elif self._state == OPEN:
                    self.hand_over()
            elif code == WANT_READ:
                return 0
            elif code == ZERO_RETURN:
                return self.peer_closed()
            elif code == SSL:
                return self.fatal(self._engine.error)
            else:
                return self.suspend()
        return 0

    cdef int hand_over(self) except -1:
        cdef Py_ssize_t size = self._engine.available()
        cdef str method
        try:
            if self._receive is not None:
                method = "data_received"
                self._receive(self._engine.take(size))
                return 0
            method = "get_buffer"
            size = self._engine.copy_into(self._protocol.get_buffer(size), False)
            if size == 0:
                raise RuntimeError("get_buffer() returned an empty buffer")
            method = "buffer_updated"
            self._protocol.buffer_updated(size)
        except BaseException as error:
            return self.protocol_failed(method, error)
        return 0

    cdef int peer_closed(self) except -1:
        """The peer's close_notify has arrived."""
        cdef object stays_open
        # Nothing is to follow but the end of the socket.
        self.stop_reading()
        if self._at_end:
            return 0
        self._at_end = True
        if self._state >= CLOSING:
            return 0
        try:
            stays_open = self._protocol.eof_received()
        except BaseException as error:
            return self.protocol_failed("eof_received", error)
        if not stays_open:
            self.close()
        return 0

    cdef int start_reading(self) except -1:
        if not self._has_reader and not self._at_end and self._state != LOST:
            self._has_reader = True
            self._loop.add_reader(self._descriptor, self._readable)
        return 0

    cdef int stop_reading(self) except -1:
        if self._has_reader:
            self._has_reader = False
            self._loop.remove_reader(self._descriptor)
        return 0

    def pause_reading(self):
        """No data_received() until resume_reading()."""
        if self._state == OPEN and not self._paused:
            self._paused = True
            self.stop_reading()

    def resume_reading(self):
        if self._paused and self._state == OPEN:
            self._paused = False
            self._loop.call_soon(self._deliver_again)

    def _deliver_again(self):
        if self._state == OPEN and not self._paused:
            self.resume()

    def is_reading(self):
        return self._state == OPEN and not self._paused

    # --- Writing

    @property
    def _sendfile_compatible(self):
        # asyncio's loop.sendfile() asks for it. Programs fall back to write() for this exception.
        raise NotImplementedError("loop.sendfile() does not take this transport")

    def write(self, data):
        """Send data; what the socket does not take now is kept."""
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._state >= CLOSING or self._broken is not None:
            return
        if (
            self._state == OPEN
            and not self._corked
            and not self._sent_at_once
            and not self._blocked
            and self._backlog.size == 0
        ):
            self._sent_at_once = True
            self.write_now(data)
        else:
            self.queue(bytes(data) if type(data) is not bytes else data)
        if self._backlog.size + self._unsent > self._high_water:
            self.pause_protocol()

    def writelines(self, list_of_data):
        self.write(b"".join(list_of_data))

    cdef int write_now(self, data) except -1:
        """Protect and send, with nothing queued before it."""
        cdef Py_ssize_t done = 0, size
        if type(data) is bytes:
            size = PyBytes_GET_SIZE(data)
        else:
            data = memoryview(data)
            if not data.c_contiguous:
                data = memoryview(bytes(data))
            size = data.nbytes
        while done < size:
            done += self._engine.write(data, done)
            if self._engine.error is not None:
                return self.fatal(self._engine.error)
            self.send_output()
            if self._broken is not None:
                return 0
            if self._blocked:
                # The socket is full. The caller may change its buffer.
                if done < size:
                    self._backlog.add_rest(data, done)
                return 0
        return 0

    cdef int queue(self, bytes data) except -1:
        self._backlog.add(data)
        if self._blocked or self._state == HANDSHAKE:
            return 0
        if self._backlog.size >= WRITE_SIZE:
            return self.flush()
        if not self._corked and not self._flush_is_scheduled:
            self._flush_is_scheduled = True
            self._loop.call_soon(self._flush_soon)
        return 0

    def _flush_soon(self):
        self._flush_is_scheduled = False
        self._sent_at_once = False
        self.flush()

    cdef Py_ssize_t send(self, object data) except -2:
        """How many bytes the socket took, or NOT_READY."""
        cdef Py_ssize_t count
        if self._descriptor < 0:
            return 0
        count = send_from(self._descriptor, data)
        if count > 0:
            self._sent += count
        return count

    cdef int send_output(self) except -1:
        """Send what is protected; what is left waits for the loop."""
        cdef object data = self._engine.output()
        cdef Py_ssize_t count, size
        while data is not None:
            size = len(data)
            try:
                count = self.send(data)
            except OSError as error:
                return self.sending_failed(error)
            if count == NOT_READY:
                count = 0
            else:
                self._engine.output_taken(count)
            if count < size:
                self._unsent = size - count
                return self.start_writing()
            data = self._engine.output()
        self._unsent = 0
        return 0

    cdef int flush(self) except -1:
        """Protect and send all that the socket takes."""
        while self._state != LOST and self._broken is None:
            if not self._blocked and self._engine.has_output():
                self.send_output()
            if self._blocked or self._broken is not None or self._state == LOST:
                return 0
            if self._state == HANDSHAKE:
                # What was written, and its end, waits until it is done.
                return 0
            if self._backlog.size:
                self._backlog.protect(self._engine)
            elif (self._eof_written or self._state == CLOSING) and (
                not self._engine.close_notify_sent
            ):
                self._engine.send_close_notify()
            else:
                return self.all_sent()
            if self._engine.error is not None:
                return self.fatal(self._engine.error)
        return 0

    cdef int all_sent(self) except -1:
        cdef bint closing = self._state == CLOSING
        if self._writing_paused:
            self.resume_protocol()
        if not closing or self._state == LOST:
            # What was written in resume_writing(), or its close(), has a flush of its own.
            return 0
        if self._at_end or self._engine.close_notify_received or self._request is not None:
            return self.end(None)
        if self._has_writer:
            # It was not sent at once: only now the peer can be waited for.
            self.stop_timer()
            self.start_timer(self._shutdown_timeout)
        return 0

    def _writable(self):
        """The loop says that the socket can be written to."""
        self._sent_at_once = self._blocked = False
        self.flush()
        if self._state == LOST:
            return
        if not self._blocked:
            self.stop_writing()
        if self._writing_paused and self._backlog.size + self._unsent <= self._low_water:
            self.resume_protocol()

    cdef int sending_failed(self, error) except -1:
        """The socket takes no more.

        What the peer sent before is still delivered, but not to a protocol that is writing.
        """
        self._backlog.clear()
        self._unsent = 0
        self._engine.drop_output()
        if self._state == CLOSING and self._engine.close_notify_sent:
            return self.end(None)
        self._broken = error
        self._loop.call_soon(self._end_broken)
        return 0

    def _end_broken(self):
        """An alert that the peer has sent tells more than the error of a write."""
        if self._state == LOST:
            return
        if self._has_reader:
            self.read_corked()
        self._engine.drop_output()
        if self._state != LOST:
            self._engine.transport_raised(self._broken)
            self.fatal(self._broken)

    cdef int start_writing(self) except -1:
        self._blocked = True
        if not self._has_writer and self._state != LOST:
            self._has_writer = True
            self._loop.add_writer(self._descriptor, self._writable)
        return 0

    cdef int stop_writing(self) except -1:
        if self._has_writer:
            self._has_writer = False
            self._loop.remove_writer(self._descriptor)
        return 0

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Send close_notify behind what was written; reading goes on."""
        if self._eof_written or self._state >= CLOSING:
            return
        self._eof_written = True
        if not self._corked:
            self.flush()

    # --- Flow control

    def get_write_buffer_size(self):
        """Bytes that were written and not taken by the socket."""
        return self._backlog.size + self._unsent

    def get_write_buffer_limits(self):
        return self._low_water, self._high_water

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high_water = high
        self._low_water = low
        if self._backlog.size + self._unsent > self._high_water:
            self.pause_protocol()

    cdef int pause_protocol(self) except -1:
        if self._writing_paused or self._state == LOST:
            return 0
        self._writing_paused = True
        return self.tell_protocol("pause_writing")

    cdef int resume_protocol(self) except -1:
        self._writing_paused = False
        return self.tell_protocol("resume_writing")

    cdef int tell_protocol(self, str method) except -1:
        try:
            getattr(self._protocol, method)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report(method, error)
        return 0

    # --- The end

    def is_closing(self):
        return self._state >= CLOSING

    def close(self):
        """Send what was written and close_notify, wait for the peer's, and close."""
        if self._state == HANDSHAKE:
            self.abort()
            return
        if self._state != OPEN:
            return
        self._state = CLOSING
        self._paused = False
        self.start_timer(self._shutdown_timeout)
        if self._corked:
            # The callback of the loop that is going on flushes at its end.
            self.start_reading()
            return
        self.flush()
        if self._state == CLOSING:
            # What has arrived already may be all that is waited for.
            self.deliver()
            self.start_reading()
            self.flush()

    def abort(self):
        """Close at once; what was not sent is lost."""
        self.end(None)

    cdef int start_timer(self, double seconds) except -1:
        self._sent_before = self._sent
        self._timer = self._loop.call_later(seconds, self._timed_out)
        return 0

    cdef int stop_timer(self) except -1:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return 0

    def _timed_out(self):
        self._timer = None
        if self._state == HANDSHAKE:
            self._engine.send_close_notify()
            reason = f"the TLS handshake is not done after {self._handshake_timeout} seconds"
            self.fatal(ConnectionAbortedError(reason))
        elif self._blocked and self._sent != self._sent_before:
            # A slow peer takes what was written, but it takes it.
            self.start_timer(self._shutdown_timeout)
        else:
            reason = f"the peer did not close within {self._shutdown_timeout} seconds"
            self.fatal(TimeoutError(reason))

    cdef int protocol_failed(self, str method, error) except -1:
        """A method of the protocol has raised, and loses its connection."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise error
        self.report(method, error)
        return self.fatal(error)

    cdef int report(self, str method, error) except -1:
        self._loop.call_exception_handler({
            "message": f"protocol.{method}() failed",
            "exception": error,
            "transport": self,
            "protocol": self._protocol,
        })
        return 0

    cdef int fatal(self, error) except -1:
        """The connection ends with an error."""
        if self._state == LOST:
            return 0
        if isinstance(error, TransportError) and error.os_error is not None:
            error = error.os_error
        if self._engine.has_output():
            # Perhaps an alert. It is sent if it can be sent now.
            try:
                self.send(self._engine.output())
                self._engine.drop_output()
                close_for_writing(self._descriptor)
            except OSError:
                pass
        return self.end(error)

    cdef int end(self, error) except -1:
        """Nothing is read or written any more."""
        cdef object waiter = self._waiter
        if self._state == LOST:
            return 0
        self._state = LOST
        self.stop_reading()
        self.stop_writing()
        self.stop_timer()
        self._backlog.clear()
        self._unsent = 0
        self._waiter = None
        if self._request is not None:
            self.forget(self._request)
            self._request = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(
                error or ConnectionAbortedError("the connection was closed during the handshake")
            )
        if self._made:
            self._loop.call_soon(self._lost, error)
        else:
            self._release(error)
        return 0

    def _lost(self, error):
        try:
            self._protocol.connection_lost(error)
        finally:
            self._release()

    def _release(self, error=None):
        """Nothing that costs anything is kept. error: what no protocol is told."""
        self._descriptor = -1
        self._socket.close()
        self._bio.transport = None
        self._protocol = self._receive = None
        if self._engine.handshake is not None:
            self._engine.handshake.user_data = None
        if self._server is not None:
            self._server._detach(self, error)
            self._server = None

    # --- Information

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol
        self._receive = (
            None if isinstance(protocol, asyncio.BufferedProtocol) else protocol.data_received
        )

    def get_extra_info(self, name, default=None):
        if name == "fasths_connection":
            return self._connection
        if name in ABOUT_TLS:
            hostname = self._connection._hostname
            hostname = None if hostname is None else hostname[0]
            return about_tls(name, self._connection, self._engine.by_server, hostname)
        if name == "socket":
            return TransportSocket(self._socket)
        if name == "peername":
            return default if self._peername is None else self._peername
        if name == "sockname":
            with suppress(OSError):
                return self._socket.getsockname()
        return default

    def __repr__(self):
        state = ("handshake", "open", "closing", "closed")[self._state]
        return f"<fasths.aio.Transport fd={self._descriptor} {state}>"
