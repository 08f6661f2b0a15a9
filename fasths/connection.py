"""Connection: the loop "flush what is ready, step, read more" over a BIO, and its integer contract.

A call returns a number, and get_error() says what the number means; what a peer or a network does
never raises. Every call passes what the engine has to send to the BIO before it waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fasths._core import Engine
from fasths.bio import BIO, UNBUFFERED, as_bio
from fasths.context import Context
from fasths.crypto.certificates import encode_chain
from fasths.crypto.verification import normalize_hostname
from fasths.wire.codes import (
    CipherSuite,
    ContentType,
    NamedGroup,
    SignatureScheme,
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

# What the engine answers with, as plain numbers: comparing those is quicker.
_NONE = int(NONE)
_SSL = int(SSL)
_WANT_READ = int(WANT_READ)
_ZERO_RETURN = int(ZERO_RETURN)

# Stands for the error of a BIO that ended for writing without raising one.
_TAKES_NO_MORE = OSError()

# How often the transport is read for an alert once it refuses to be written to.
_READS_FOR_ALERT = 8

MessageCallback = Callable[[str, ContentType, bytes], None]


class Connection:
    """One TLS connection over a BIO, without a role until it is given one.

    context: what may be used. bio: where bytes come from and go to. write_bio: where they go to, if
    elsewhere. server_hostname: the name or address that a client connects to; it is sent as
    server_name where it is a name, and the server's chain is verified for it. message_callback:
    called with ("sent" or "received", the content type, the bytes) of each handshake message,
    alert and change_cipher_spec.

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
    ) -> None:
        if not isinstance(context, Context):
            raise TypeError("context must be a fasths.Context")
        self._context = context
        self._read_bio: BIO = as_bio(bio)
        self._write_bio: BIO = self._read_bio if write_bio is None else as_bio(write_bio)
        self._holds_writes = type(self._write_bio) not in UNBUFFERED
        self._hostname = None if server_hostname is None else normalize_hostname(server_hostname)
        self._message_callback = message_callback
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
        self._key_update_unsent = False
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
        self._engine = Engine(
            context._configuration, False, server_name, hostname, self._message_callback
        )
        self._message_callback = None

    def set_accept_state(self) -> None:
        """Make this the server.

        RuntimeError: there is a role already. ValueError: the Context has no identity.
        """
        self._require_no_role()
        if not self._context.identities:
            raise ValueError("a server needs a Context with an identity")
        self._engine = Engine(
            self._context._configuration, True, None, None, self._message_callback
        )
        self._message_callback = None

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
        """Go on with the handshake (RFC 8446, 2) as far as the BIO allows.

        Returns 1 when the connection is established, 0 when the peer closed it in a controlled way,
        else -1; get_error() tells more. Never raises for what a peer or a network does.
        """
        engine = self._engine
        if engine is None:
            return self._without_role()
        while True:
            code = engine.do_handshake()
            if code == _SSL:
                return self._failed()
            if (engine.has_output() or self._unflushed) and not self._flush():
                return -1
            if code == _NONE:
                self._code = NONE
                return 1
            if code == _WANT_READ:
                if not self._fill():
                    return -1
            else:
                self._code = ZERO_RETURN
                return 0

    def key_update(self, request_peer: bool = False) -> int:
        """Change the key for what is sent (RFC 8446, 4.6.3); request_peer: the peer's as well.

        Returns 1, or -1 as do_handshake() does. Repeated after WANT_WRITE it only goes on sending.
        RuntimeError: the connection is not established, or closed for writing.
        """
        engine = self._engine
        if engine is None or not engine.established:
            raise RuntimeError("key_update() before the connection is established")
        if engine.error is not None:
            return self._failed()
        if engine.close_notify_sent:
            raise RuntimeError("key_update() after shutdown()")
        if not self._key_update_unsent:
            engine.update_write_key(request_peer)
            if engine.error is not None:
                return self._failed()
        self._key_update_unsent = not self._flush()
        if self._key_update_unsent:
            return -1
        self._code = NONE
        return 1

    # --- Data

    def write(self, data: Buffer) -> int:
        """Send data (RFC 8446, 5.2); does the handshake first where it is not done.

        Returns how many bytes were sent, which is all of them, or -1. After WANT_WRITE the call is
        repeated with the same bytes, or more behind them; they need not be the same object.
        TypeError: data is not a contiguous buffer. ValueError: a repeated call has fewer bytes than
        were already taken. RuntimeError: shutdown() was called before.
        """
        engine = self._engine
        if engine is None or not engine.established:
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
        if engine is None or not engine.established:
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
            else:
                self._code = ZERO_RETURN
                return 0

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
            elif code != _ZERO_RETURN:
                return self._failed()
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
                count = read(engine.space())
            except OSError:
                return
            if count <= 0:
                return
            engine.filled(count)

    def _fill(self) -> bool:
        """Read more into the engine; False with the code set where there is nothing now."""
        engine = self._engine
        assert engine is not None
        bio = self._read_bio
        try:
            count = bio.read_into(engine.space())
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

    # --- What was negotiated

    @property
    def established(self) -> bool:
        """Whether the handshake is complete."""
        return self._engine is not None and self._engine.established

    def pending(self) -> int:
        """Bytes that a read returns without asking the BIO."""
        return 0 if self._engine is None else self._engine.available()

    @property
    def version(self) -> TLSVersion | None:
        """The protocol version, once it is negotiated."""
        return None if self.cipher_suite is None else TLSVersion.TLSv1_3

    @property
    def cipher_suite(self) -> CipherSuite | None:
        """The cipher suite, once it is negotiated."""
        code = 0 if self._engine is None else self._engine.cipher_suite
        return CipherSuite(code) if code else None

    @property
    def group(self) -> NamedGroup | None:
        """The group of the key exchange, once it is negotiated."""
        code = 0 if self._engine is None else self._engine.group
        return NamedGroup(code) if code else None

    @property
    def signature_scheme(self) -> SignatureScheme | None:
        """The scheme of the server's signature."""
        code = 0 if self._engine is None else self._engine.signature_scheme
        return SignatureScheme(code) if code else None

    @property
    def alpn_protocol(self) -> str | None:
        """The application protocol (RFC 7301), or None."""
        name = None if self._engine is None else self._engine.protocol_name
        return None if name is None else name.decode("ascii", "backslashreplace")

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The peer's chain as it was sent, in DER, leaf first; empty where there is none."""
        return () if self._engine is None else self._engine.peer_certificates or ()

    @property
    def verified_chain(self) -> tuple[bytes, ...] | None:
        """The peer's chain as it was verified, in DER, leaf to anchor; None where it was not."""
        chain = None if self._engine is None else self._engine.verified_chain
        return None if chain is None else encode_chain(chain)

    @property
    def server_name(self) -> str | None:
        """The server_name (RFC 6066, 3): what a client sends, or what a server received."""
        if self._engine is not None and self._engine.by_server:
            name: str | None = self._engine.server_name
            return name
        if self._hostname is None or self._hostname[1]:
            return None
        return self._hostname[0]

    def export_keying_material(
        self, label: str | bytes, context: bytes | None, length: int
    ) -> bytes:
        """TLS-Exporter (RFC 8446, 7.5): `length` bytes bound to this connection.

        RuntimeError: the handshake is not that far. ValueError: a label or length that HKDF
        cannot take.
        """
        secret = None if self._engine is None else self._engine.exporter_secret
        if secret is None or not self.established:
            raise RuntimeError("export_keying_material() before the connection is established")
        encoded = label.encode() if isinstance(label, str) else label
        # RFC 8446, 7.1: HkdfLabel holds "tls13 " and the label in 255 bytes.
        if not 1 <= len(encoded) <= 249:
            raise ValueError("a label must have 1 to 249 bytes")
        if not 1 <= length <= 8160:
            raise ValueError("length must be 1 to 8160 bytes")
        material: bytes = secret.export(encoded, context or b"", length)
        return material

    def __repr__(self) -> str:
        role = "no role"
        if self._engine is not None:
            role = "server" if self._engine.by_server else "client"
        state = "established" if self.established else "not established"
        return f"<fasths.Connection, {role}, {state}>"
