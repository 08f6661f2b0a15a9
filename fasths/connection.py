"""Connection: the loop "flush what is ready, step, read more" over a BIO, and its integer contract.

A call returns a number, and get_error() says what the number means; what a peer or a network does
never raises. Every call passes what the engine has to send to the BIO before it waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fasths._core import Engine
from fasths.bio import BIO, UNBUFFERED, StreamBIO, as_bio
from fasths.context import Context
from fasths.crypto.verification import normalize_hostname
from fasths.handshake.requests import Request
from fasths.handshake.session import Session
from fasths.negotiated import Negotiated
from fasths.wire.codes import (
    ContentType,
    SSLErrorCode,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import Origin, TLSError, TransportError

if TYPE_CHECKING:
    from typing_extensions import Buffer

NONE = SSLErrorCode.NONE
SSL = SSLErrorCode.SSL
WANT_READ = SSLErrorCode.WANT_READ
WANT_WRITE = SSLErrorCode.WANT_WRITE
SYSCALL = SSLErrorCode.SYSCALL
ZERO_RETURN = SSLErrorCode.ZERO_RETURN
EARLY_DATA_REJECTED = SSLErrorCode.EARLY_DATA_REJECTED

# What the engine answers with, as plain numbers: comparing those is quicker.
_NONE = int(NONE)
_SSL = int(SSL)
_WANT_READ = int(WANT_READ)
_ZERO_RETURN = int(ZERO_RETURN)
_TLSv1_3 = int(TLSVersion.TLSv1_3)

# Stands for the error of a BIO that ended for writing without raising one.
_TAKES_NO_MORE = OSError()

# How often the transport is read for an alert once it refuses to be written to.
_READS_FOR_ALERT = 8

MessageCallback = Callable[[str, ContentType, bytes], None]
InfoCallback = Callable[[str, str], None]


class Connection(Negotiated):
    """One TLS connection over a BIO, without a role until it is given one.

    context: what may be used. bio: where bytes come from and go to. write_bio: where they go to, if
    elsewhere. server_hostname: the name or address that a client connects to; it is sent as
    server_name where it is a name, and the server's chain is verified for it. message_callback:
    called with ("sent" or "received", the content type, the bytes) of each handshake message,
    alert and change_cipher_spec. info_callback: called with an event and its details, as the
    connection goes on: ("handshake started", "client" or "server"), ("suspended", the name of the
    code that waits for the application), ("resumed", ""), ("handshake done", "full" or "resumed"),
    ("alert sent" or "alert received", its name). user_data: what Requests of this connection carry.
    read_ahead: whether as much is taken out of the transport as there is. Without it, as with
    OpenSSL by default, it is one record at a time, in two reads: for programs that wait until the
    transport has more, or that go on with it in the clear after shutdown().

    A Connection may be used by one thread at a time.

    Raises TypeError or ValueError for arguments that cannot be used.
    """

    def __init__(
        self,
        context: Context,
        bio: object,
        write_bio: object = None,
        *,
        server_hostname: str | bytes | None = None,
        message_callback: MessageCallback | None = None,
        info_callback: InfoCallback | None = None,
        user_data: object = None,
        read_ahead: bool = True,
    ) -> None:
        if not isinstance(context, Context):
            raise TypeError("context must be a fasths.Context")
        self._context = context
        self._read_bio: BIO = as_bio(bio)
        self._write_bio: BIO = self._read_bio if write_bio is None else as_bio(write_bio)
        self._stream = self._read_bio.stream if type(self._read_bio) is StreamBIO else None
        self._holds_writes = type(self._write_bio) not in UNBUFFERED
        self._hostname = None if server_hostname is None else normalize_hostname(server_hostname)
        self._message_callback = message_callback
        self._info_callback = info_callback
        self._user_data = user_data
        self._read_ahead = bool(read_ahead)
        self._session: Session | None = None
        self._engine: Engine | None = None
        # The code of the last call, and an error that is the program's own and does not stick.
        self._code = NONE
        self._misuse: TLSError | None = None
        # Why the BIO cannot be written to, where that showed while reading.
        self._broken: OSError | None = None
        self._flushing = False
        # Written to the BIO but not flushed; taken by write() but not reported yet.
        self._unflushed = False
        self._write_pending = 0
        # The method whose message or data is queued, but was not taken by the BIO.
        self._unsent: str | None = None
        # do_handshake() has said whether early data was accepted.
        self._early_data_settled = False
        # shutdown() has returned 0 once.
        self._close_notify_flushed = False

    # --- Roles

    def set_connect_state(self) -> None:
        """Make this the client.

        RuntimeError: there is a role already. ValueError: the chain is to be verified for a host
        name, and there is no server_hostname.
        """
        self._require_no_role()
        context = self._context
        if self._hostname is None and context.check_hostname and context.verify is not Verify.NONE:
            raise ValueError("a client that checks host names needs server_hostname")
        hostname = server_name = None
        if self._hostname is not None:
            hostname, is_address = self._hostname
            # RFC 6066, 3: addresses are not sent as server_name.
            server_name = None if is_address else hostname.encode("ascii")
        self._make_engine(False, server_name, hostname)

    def set_accept_state(self) -> None:
        """Make this the server.

        RuntimeError: there is a role already. ValueError: the Context has nothing that a server
        could show: no identity, no callback that finds one, and no pre-shared keys.
        """
        self._require_no_role()
        if not self._context._has_server_credentials:
            raise ValueError("a server needs a Context with an identity")
        self._make_engine(True, None, None)

    def _make_engine(
        self, by_server: bool, server_name: bytes | None, hostname: str | None
    ) -> None:
        self._engine = Engine(
            self._context._configuration,
            by_server,
            server_name,
            hostname,
            self._message_callback,
            self._info_callback,
            self._user_data,
        )
        self._message_callback = self._info_callback = self._user_data = None
        if self._session is not None and not by_server:
            self._engine.set_session(self._session)
        self._session = None

    def _require_no_role(self) -> None:
        if self._engine is not None:
            raise RuntimeError("the connection has a role already")
        self._misuse = None

    def connect(self) -> int:
        """set_connect_state(), the first time, and do_handshake()."""
        if self._engine is None:
            self.set_connect_state()
        elif self._engine.by_server:
            raise RuntimeError("connect() on a connection that is a server")
        return self.do_handshake()

    def accept(self) -> int:
        """set_accept_state(), the first time, and do_handshake()."""
        if self._engine is None:
            self.set_accept_state()
        elif not self._engine.by_server:
            raise RuntimeError("accept() on a connection that is a client")
        return self.do_handshake()

    # --- The handshake

    def do_handshake(self) -> int:
        """Go on with the handshake (RFC 8446, 2; RFC 5246, 7.3) as far as the BIO allows.

        Returns 1 when the connection is established, 0 when the peer closed it in a controlled way,
        else -1; get_error() tells more. Never raises for what a peer or a network does.
        """
        if self._engine is None:
            return self._without_role()
        while True:
            code = self._progress()
            if code == _NONE:
                self._code = NONE
                return 1
            if code == _WANT_READ:
                if not self._fill():
                    return -1
            else:
                return 0 if code == _ZERO_RETURN else -1

    def _progress(self) -> int:
        """Step through what has arrived, and pass on what is to be sent.

        The engine's code NONE, WANT_READ or ZERO_RETURN; -1 with the code set for all others.
        """
        engine = self._engine
        assert engine is not None
        code = engine.do_handshake()
        if code == _SSL:
            return self._failed()
        # A TLS 1.3 server that is established sends tickets at most, and a client that does not
        # want them may be gone: what it has sent can still be read.
        if (engine.has_output() or self._unflushed) and not self._flush(
            code == _NONE and engine.by_server and engine.outcome.version == _TLSv1_3
        ):
            return -1
        if code == _NONE:
            if engine.early_data_sent and not self._early_data_settled:
                self._early_data_settled = True
                if not engine.outcome.early_data_accepted:
                    self._code = EARLY_DATA_REJECTED
                    return -1
        elif code == _ZERO_RETURN:
            self._code = ZERO_RETURN
        elif code != _WANT_READ:
            self._code = SSLErrorCode(code)
            return -1
        return code

    def key_update(self, request_peer: bool = False) -> int:
        """Change the key for what is sent (RFC 8446, 4.6.3); request_peer: the peer's as well.

        Returns 1, or -1 as do_handshake() does. Repeated after WANT_WRITE it only goes on sending.
        RuntimeError: the connection is not established, or closed for writing, or of TLS 1.2.
        """
        engine = self._engine
        if engine is None or not engine.established:
            raise RuntimeError("key_update() before the connection is established")
        if self.version != TLSVersion.TLSv1_3:
            raise RuntimeError("key_update() needs TLS 1.3")
        if self._may_send("key_update()"):
            engine.update_write_key(request_peer)
        return self._send("key_update()")

    def _may_send(self, method: str) -> bool:
        """Whether a method queues its message now: not when it is called again to go on."""
        engine = self._engine
        assert engine is not None
        if engine.error is not None:
            return False
        if engine.close_notify_sent:
            raise RuntimeError(f"{method} after shutdown()")
        return self._unsent != method

    def _send(self, method: str) -> int:
        """Pass on what a method has queued: 1, or -1 after which it is called again to go on."""
        engine = self._engine
        assert engine is not None
        if engine.error is not None:
            return self._failed()
        if not self._flush():
            self._unsent = method
            return -1
        self._unsent = None
        self._code = NONE
        return 1

    # --- Resumption and early data

    def set_session(self, session: Session) -> None:
        """Offer a session of an earlier connection to the server, before the handshake.

        It is offered where the Context still allows all of it: otherwise, or where the server does
        not know it any more, there is a full handshake. TypeError: not a Session. ValueError: it is
        of another server_hostname. RuntimeError: this is a server, or the handshake has begun.
        """
        if not isinstance(session, Session):
            raise TypeError("a fasths.Session is needed")
        if session.server_name != (None if self._hostname is None else self._hostname[0]):
            raise ValueError("the session is of another server_hostname")
        if self._engine is None:
            self._session = session
        elif self._engine.by_server or self._engine.started:
            raise RuntimeError("a session is set by a client, before its handshake")
        else:
            self._engine.set_session(session)

    def send_session_tickets(self, count: int = 1) -> int:
        """Send a client more tickets (RFC 8446, 4.6.1), by a server that is established.

        Returns 1, or -1 as do_handshake() does. Repeated after WANT_WRITE it only goes on sending.
        RuntimeError: the connection is not an established server, or closed for writing, or of
        TLS 1.2, or the client has no use for tickets (RFC 8446, 4.2.9).
        """
        engine = self._engine
        if engine is None or not engine.by_server or not engine.established:
            raise RuntimeError("send_session_tickets() needs an established server")
        if self.version != TLSVersion.TLSv1_3:
            raise RuntimeError("send_session_tickets() needs TLS 1.3")
        if not engine.outcome.takes_tickets:
            raise RuntimeError("the client has no use for tickets")
        if not 1 <= count <= 255:
            raise ValueError("1 to 255 tickets can be sent at once")
        if self._may_send("send_session_tickets()"):
            engine.send_session_tickets(count)
        return self._send("send_session_tickets()")

    def write_early_data(self, data: Buffer) -> int:
        """Send data before the handshake is done.

        A client's is 0-RTT data (RFC 8446, 2.3): with the first flight, under a session that
        permits it. It can be replayed, and is not forward secret. A server's is for a client that
        has not proved anything yet. TLS 1.2 has neither.

        Returns len(data), or -1: after WANT_WRITE, or a code that waits for the application, the
        call is repeated; after EARLY_DATA_REJECTED the data was not sent, as it is more than is
        permitted, or as there is no session, or as it is too late for it, or the version is
        TLS 1.2: write() takes it. Where the server does not accept what was sent, do_handshake()
        says so.
        """
        method = "write_early_data()"
        engine = self._engine
        if engine is None:
            return self._without_role()
        if engine.established and engine.by_server and self._unsent != method:
            return self.write(data)
        view = memoryview(data)
        if not view.c_contiguous:
            raise TypeError("write_early_data() needs a contiguous buffer")
        if self._may_send(method):
            if not engine.started and not engine.by_server:
                engine.want_early_data()
            while not engine.can_send_early_data and not engine.established:
                code = self._progress()
                if code == _ZERO_RETURN or code < 0:
                    return -1
                if not engine.by_server or engine.can_send_early_data:
                    break
                if code == _WANT_READ and not self._fill():
                    return -1
            if engine.established and engine.by_server and not engine.can_send_early_data:
                # The handshake is done: always in TLS 1.2, which has no earlier time for it.
                return self.write(data)
            if not engine.write_early_data(view) and engine.error is None:
                self._code = EARLY_DATA_REJECTED
                return -1
        if self._send(method) == 1:
            return view.nbytes
        if engine.error is None:
            self._take_in()
        return -1

    def _take_in(self) -> None:
        """Read what is there, while nothing can be written: the peer may wait for that, too."""
        engine = self._engine
        assert engine is not None
        # What was opened and is still to be read lies in the same buffer.
        if not self._read_ahead or engine.available() or not getattr(self._read_bio, "pending", 0):
            return
        space = engine.space()
        if not space:
            return
        try:
            count = self._read_bio.read_into(space)
        except OSError:
            return
        if count > 0:
            engine.filled(count)

    def read_early_data(self, size: int = 16384) -> bytes | None:
        """Receive at most `size` bytes of a client's 0-RTT data, by a server.

        Returns b"" where there is none, or no more, and None for -1. The data stands apart from
        what read() returns: it may be a replay (RFC 8446, 8). It can still be read once the
        handshake is done. RuntimeError: this is a client. ValueError: size is below 1.
        """
        engine = self._engine
        if size < 1:
            raise ValueError("size must be 1 or more")
        if engine is None:
            self._without_role()
            return None
        if not engine.by_server:
            raise RuntimeError("read_early_data() is for servers")
        blocked = False
        while True:
            data: bytes = engine.take_early_data_received(size)
            if data or engine.established or engine.early_data_is_over:
                if not data and engine.error is not None:
                    self._failed()
                    return None
                self._code = NONE
                return data
            if blocked:
                return None
            code = self._progress()
            if code == _ZERO_RETURN and not engine.has_early_data:
                return b""
            # What has arrived by now is returned before anything else is waited for.
            blocked = code < 0
            if code == _WANT_READ and not engine.has_early_data and not engine.early_data_is_over:
                blocked = not self._fill()

    # --- Authentication of clients

    def verify_client_post_handshake(self) -> int:
        """Ask the client for a certificate (RFC 8446, 4.6.2), by a server that is established.

        The answer is taken by a later read. Returns 1, or -1 as do_handshake() does. Repeated after
        WANT_WRITE it only goes on sending. RuntimeError: the connection is not an established
        server, or of TLS 1.2, the Context has no post_handshake_auth or verifies nothing, the
        client cannot do it, or Limits.max_certificate_requests are unanswered.
        """
        method = "verify_client_post_handshake()"
        engine = self._engine
        if engine is None or not engine.by_server or not engine.established:
            raise RuntimeError(f"{method} needs an established server")
        if self.version != TLSVersion.TLSv1_3:
            raise RuntimeError(f"{method} needs TLS 1.3")
        if self._may_send(method):
            if not engine.outcome.post_handshake_auth:
                raise RuntimeError("authentication after the handshake was not negotiated")
            if not engine.request_certificate():
                raise RuntimeError("too many requests for a certificate are unanswered")
        return self._send(method)

    @property
    def request(self) -> Request | None:
        """What the application is asked while a call reports one of the codes that wait for it."""
        request: Request | None = None if self._engine is None else self._engine.request
        return request

    # --- Data

    def write(self, data: Buffer) -> int:
        """Send data (RFC 8446, 5.2); does the handshake first where it is not done.

        Returns how many bytes were sent, which is all of them, or -1. After WANT_WRITE the call is
        repeated with the same bytes, or more behind them; they need not be the same object.
        TypeError: data is not a contiguous buffer. ValueError: a repeated call has fewer bytes than
        were already taken. RuntimeError: shutdown() was called before.
        """
        engine = self._engine
        if (
            engine is None
            or not engine.established
            or (engine.early_data_sent and not self._early_data_settled)
        ):
            if self.do_handshake() != 1:
                return -1
            engine = self._engine
            assert engine is not None
        if engine.error is not None:
            return self._failed()
        if engine.close_notify_sent:
            raise RuntimeError("write() after shutdown()")
        # What an earlier call took counts once the BIO has taken all of it.
        sent = self._write_pending
        if (sent or engine.has_output() or self._unflushed) and not self._flush():
            return -1
        if type(data) is bytes:
            total = len(data)
        else:
            view = memoryview(data)
            if not view.c_contiguous:
                raise TypeError("write() needs a contiguous buffer")
            total = view.nbytes
        if sent > total:
            raise ValueError("a repeated write() has fewer bytes than the one before")
        while sent < total:
            sent += engine.write(data, sent)
            if engine.error is not None:
                return self._failed()
            if not self._flush():
                self._write_pending = sent
                return -1
        self._write_pending = 0
        self._code = NONE
        return sent

    def read_into(self, buffer: Buffer) -> int:
        """Receive data into a writable buffer; does the handshake first where it is not done.

        Returns how many bytes there are, 0 where the peer has sent close_notify (get_error() says
        ZERO_RETURN), or -1. A buffer without room gives 0 and NONE.
        """
        return self._copy_into(buffer, False)

    def peek_into(self, buffer: Buffer) -> int:
        """As read_into(), but the data can be read again."""
        return self._copy_into(buffer, True)

    def _copy_into(self, buffer: Buffer, peek: bool) -> int:
        if type(buffer) is bytearray:
            size = len(buffer)
        else:
            view = memoryview(buffer)
            if view.readonly or not view.c_contiguous:
                raise TypeError("read_into() and peek_into() need a writable, contiguous buffer")
            size = view.nbytes
        if size == 0:
            return self._nothing()
        result = self._fetch()
        if result <= 0:
            return result
        assert self._engine is not None
        return self._engine.copy_into(buffer, peek)

    def read(self, size: int = 16384) -> bytes | None:
        """Receive at most `size` bytes; b"" where the peer has sent close_notify, None for -1."""
        if size <= 0:
            if size < 0:
                raise ValueError("size must not be negative")
            return b"" if self._nothing() == 0 else None
        result = self._fetch()
        if result <= 0:
            return b"" if result == 0 else None
        assert self._engine is not None
        return self._engine.take(size)

    def _nothing(self) -> int:
        """The result of a read that asks for nothing."""
        if self._engine is None:
            return self._without_role()
        if self._engine.error is not None:
            return self._failed()
        self._code = NONE
        return 0

    def _fetch(self) -> int:
        """Make application data available: 1, 0 after close_notify, or -1."""
        engine = self._engine
        if (
            engine is None
            or not engine.established
            or (engine.early_data_sent and not self._early_data_settled)
        ):
            if (result := self.do_handshake()) != 1:
                return result
            engine = self._engine
            assert engine is not None
        while True:
            code = engine.fetch()
            if code == _NONE:
                # What the engine answered on the way is passed on as far as the BIO takes it now.
                if engine.has_output():
                    self._flush(True)
                self._code = NONE
                return 1
            if code == _SSL:
                return self._failed()
            blocked = (engine.has_output() or self._unflushed) and not self._flush(True)
            if code == _WANT_READ:
                # Reading goes on while the BIO takes nothing, or two peers that both write would
                # wait for each other; but what is unsent is what a caller has to wait for first.
                code_of_write = self._code
                if not self._fill():
                    if blocked and engine.error is None:
                        self._code = code_of_write
                    return -1
            elif code == _ZERO_RETURN:
                self._code = ZERO_RETURN
                return 0
            else:
                # What is unsent comes first.
                if not blocked:
                    self._code = SSLErrorCode(code)
                return -1

    # --- The end

    def shutdown(self) -> int:
        """Send close_notify (RFC 8446, 6.1), and with a second call wait for the peer's.

        Returns 1 when both are through, 0 when ours is sent and the peer's has not arrived, else
        -1. Reading goes on after 0. Data that was not read makes the second call fail with SSL;
        it can still be read.
        """
        engine = self._engine
        if engine is None:
            return self._without_role()
        self._misuse = None
        if engine.error is not None:
            return self._failed()
        engine.send_close_notify()
        if engine.error is not None:
            return self._failed()
        if not self._flush():
            return -1
        if not self._close_notify_flushed and not engine.close_notify_received:
            self._close_notify_flushed = True
            self._code = NONE
            return 0
        while not engine.close_notify_received:
            code = engine.fetch() if engine.established else engine.do_handshake()
            if code == _NONE:
                if not engine.available():
                    continue
                self._misuse = TLSError("shutdown() while there is application data to be read")
                self._code = SSL
                return -1
            if code == _WANT_READ:
                if not self._fill():
                    return -1
            elif code == _SSL:
                return self._failed()
            elif code != _ZERO_RETURN:
                self._code = SSLErrorCode(code)
                return -1
        self._code = NONE
        return 1

    # --- The BIO

    def _flush(self, reading: bool = False) -> bool:
        """Pass all output to the BIO; False with the code set where it does not take all.

        reading: a BIO that failed for writing is kept in mind for the next call that writes; what
        has arrived can still be read.
        """
        engine = self._engine
        assert engine is not None
        bio = self._write_bio
        if self._flushing:
            raise RuntimeError("the connection is in use by another thread, or by its own BIO")
        if self._broken is not None:
            return self._write_failed(self._broken, reading)
        self._flushing = True
        try:
            data = engine.output()
            while data is not None:
                self._unflushed = self._holds_writes
                count = bio.write(data)
                if count < 0:
                    self._want(bio, WANT_WRITE)
                    return False
                if count == 0:
                    return self._write_failed(_TAKES_NO_MORE, reading)
                engine.output_taken(count)
                data = engine.output()
            if self._unflushed:
                count = bio.flush()
                if count < 0:
                    self._want(bio, WANT_WRITE)
                    return False
                if count == 0:
                    return self._write_failed(_TAKES_NO_MORE, reading)
                self._unflushed = False
        except OSError as error:
            return self._write_failed(error, reading)
        finally:
            self._flushing = False
        return True

    def _write_failed(self, error: OSError, reading: bool) -> bool:
        """The transport is closed for writing, for the reason given."""
        engine = self._engine
        assert engine is not None
        if reading:
            self._broken = error
            self._unflushed = False
            engine.drop_output()
            return True
        self._look_for_alert()
        if engine.error is None:
            if error is _TAKES_NO_MORE:
                engine.transport_takes_no_more()
            else:
                engine.transport_raised(error)
        self._set_error_code()
        return False

    def _look_for_alert(self) -> None:
        """What the peer said before it closed tells more than the error of a write."""
        engine = self._engine
        assert engine is not None
        bio = self._read_bio
        # Where a read could wait, there is none: nobody may be left to send anything.
        read = getattr(bio, "read_available", bio.read_into)
        for _ in range(_READS_FOR_ALERT):
            code = engine.fetch() if engine.established else engine.do_handshake()
            if code != _WANT_READ:
                return
            if read == bio.read_into and not getattr(bio, "pending", 0):
                return
            try:
                count = read(self._space())
            except OSError:
                return
            if count <= 0:
                return
            engine.filled(count)

    def _fill(self) -> bool:
        """Read more into the engine; False with the code set where there is nothing now."""
        if self._stream is not None:
            return self._fill_from_stream()
        engine = self._engine
        assert engine is not None
        bio = self._read_bio
        try:
            count = bio.read_into(self._space())
            if count > 0 and not self._read_ahead:
                engine.filled(count)
                if not engine.missing_content() or (count := bio.read_into(self._space())) < 0:
                    return True
        except OSError as error:
            engine.transport_raised(error)
            self._set_error_code()
            return False
        if count > 0:
            engine.filled(count)
            return True
        if count == 0:
            engine.end_of_transport()
            self._code = SSL
            return False
        engine.nothing_arrived()
        self._want(bio, WANT_READ)
        return False

    def _space(self) -> memoryview:
        engine = self._engine
        assert engine is not None
        return engine.space() if self._read_ahead else engine.space()[: engine.missing()]

    def _fill_from_stream(self) -> bool:
        """_fill() from what gives bytes, without buffers in between."""
        engine = self._engine
        assert engine is not None
        stream: Any = self._stream
        try:
            data = stream.read(engine.room() if self._read_ahead else engine.missing())
            if data:
                engine.append(data)
                missing = 0 if self._read_ahead else engine.missing_content()
                if missing and (data := stream.read(missing)):
                    engine.append(data)
                return True
        except OSError as error:
            engine.transport_raised(error)
            self._set_error_code()
            return False
        if getattr(stream, "eof", False):
            engine.end_of_transport()
            self._code = SSL
            return False
        engine.nothing_arrived()
        self._code = WANT_READ
        return False

    def _want(self, bio: BIO, otherwise: SSLErrorCode) -> None:
        """Set the code for an operation that the BIO asks to be retried."""
        if bio.should_read:
            self._code = WANT_READ
        elif bio.should_write:
            self._code = WANT_WRITE
        elif getattr(bio, "should_connect", False):
            self._code = SSLErrorCode.WANT_CONNECT
        elif getattr(bio, "should_accept", False):
            self._code = SSLErrorCode.WANT_ACCEPT
        else:
            self._code = otherwise

    # --- Errors

    def _set_error_code(self) -> None:
        assert self._engine is not None
        error = self._engine.error
        if error is not None and error.origin is not Origin.LOCAL:
            self._unflushed = False
        raised = isinstance(error, TransportError) and error.os_error is not None
        self._code = SYSCALL if raised else SSL

    def _failed(self) -> int:
        """-1 for an error that sticks; an alert that the BIO did not take yet is offered again."""
        engine = self._engine
        assert engine is not None
        assert engine.error is not None
        if engine.error.origin is Origin.LOCAL and (engine.has_output() or self._unflushed):
            self._flush()
        self._set_error_code()
        return -1

    def _without_role(self) -> int:
        self._misuse = TLSError("the connection type is not set")
        self._code = SSL
        return -1

    def get_error(self, ret: int) -> SSLErrorCode:
        """What the result `ret` of the last call means; see docs/contract.md."""
        return NONE if ret > 0 else self._code

    def want(self) -> SSLErrorCode:
        """What the last call waits for: WANT_READ, WANT_WRITE, ..., or NONE.

        After a fatal error WANT_WRITE says that the BIO has not taken the alert yet.
        """
        code = self._code
        engine = self._engine
        if engine is not None and engine.error is not None and engine.has_output():
            return WANT_WRITE
        return NONE if code in (SSL, SYSCALL, ZERO_RETURN) else code

    @property
    def last_error(self) -> TLSError | None:
        """Why the connection failed, or None."""
        if self._engine is not None and self._engine.error is not None:
            error: TLSError = self._engine.error
            return error
        return self._misuse

    def __repr__(self) -> str:
        role = "no role"
        if self._engine is not None:
            role = "server" if self._engine.by_server else "client"
        state = "established" if self.established else "not established"
        return f"<fasths.Connection, {role}, {state}>"
