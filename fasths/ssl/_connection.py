"""What the standard library's SSLSocket and SSLObject work with: its _ssl._SSLSocket, by fasths."""

from __future__ import annotations

import ssl
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import fasths
from fasths import SSLErrorCode
from fasths.crypto.host_names import normalize_hostname
from fasths.ssl._certificates import Certificate, certificate_dict
from fasths.ssl._ciphers import cipher_tuple
from fasths.ssl._errors import failure, misuse, reasoned, want_read
from fasths.ssl._socket_bio import SSLSocketBIO
from fasths.wire.errors import TransportError

if TYPE_CHECKING:
    from fasths.ssl._context import SSLContext

# inject() puts another one in its place.
_StandardContext: Any = ssl.SSLContext
# What OpenSSL sends at once.
_RECORD = 1 << 14
_WANT_READ = SSLErrorCode.WANT_READ
_END = (SSLErrorCode.ZERO_RETURN, SSLErrorCode.NONE)
_VERSIONS = {fasths.TLSVersion.TLSv1_2: "TLSv1.2", fasths.TLSVersion.TLSv1_3: "TLSv1.3"}


class SSLSession:
    """A session of the standard library's shape: id, time, timeout, ticket_lifetime_hint,
    has_ticket. It comes from the attribute `session` of a connection."""

    def __init__(self) -> None:
        raise TypeError("cannot create 'SSLSession' instances")

    _session: fasths.Session
    _context: SSLContext

    @classmethod
    def _of(cls, session: fasths.Session, context: SSLContext) -> SSLSession:
        self = cls.__new__(cls)
        self._session = session
        self._context = context
        return self

    @property
    def id(self) -> bytes:
        return self._session.session_id or (self._session.ticket or b"")[:32]

    @property
    def time(self) -> int:
        return int(self._session.created)

    @property
    def timeout(self) -> int:
        return int(self._session.lifetime)

    @property
    def ticket_lifetime_hint(self) -> int:
        return int(self._session.lifetime) if self.has_ticket else 0

    @property
    def has_ticket(self) -> bool:
        return self._session.ticket is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SSLSession):
            return NotImplemented
        return self._session == other._session

    def __hash__(self) -> int:
        return hash(self._session)


class TLSConnection:
    """One connection over memory BIOs, with the methods of _ssl._SSLSocket."""

    @classmethod
    def over_bios(
        cls,
        context: SSLContext,
        incoming: Any,
        outgoing: Any,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        session: Any,
    ) -> TLSConnection:
        if not isinstance(incoming, ssl.MemoryBIO) or not isinstance(outgoing, ssl.MemoryBIO):
            raise TypeError("incoming and outgoing must be ssl.MemoryBIO objects")
        return cls(context, server_side, server_hostname, owner, incoming, outgoing, session)

    def __init__(
        self,
        context: SSLContext,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        incoming: Any,
        outgoing: Any,
        session: Any,
    ) -> None:
        if server_side and context.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise misuse("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and context.protocol == ssl.PROTOCOL_TLS_SERVER:
            raise misuse("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")
        if server_hostname is not None and "\0" in server_hostname:
            raise TypeError("embedded null character in server_hostname")
        if server_hostname is not None and (not server_hostname or server_hostname.startswith(".")):
            raise ValueError(
                "server_hostname cannot be an empty string or start with a leading dot."
            )
        self.server_side = server_side
        self.server_hostname = server_hostname
        self.first_context = self._context = context
        self._owner = None if owner is None else weakref.ref(owner)
        # The private hook by which the standard library's programs look at messages.
        observer = super(_StandardContext, context)._msg_callback  # type: ignore[misc]
        made = context._fasths_context(server_side)
        self._connection = fasths.Connection(
            made,
            incoming,
            outgoing,
            server_hostname=None if server_side else _name_for(made, server_hostname),
            # Weak, or a connection that is forgotten would wait for the collector.
            user_data=weakref.ref(self),
            message_callback=None if observer is None else _teller(observer, weakref.ref(self)),
            # Programs wait with select() for what is not read, or look for it in the MemoryBIO.
            read_ahead=False,
        )
        self._role_taken = False
        self._has_shut_down = False
        # What the client offers, told to a server.
        self.offered_cipher_suites: tuple[int, ...] | None = None
        if session is not None:
            self.session = session

    # --- What the application sets

    @property
    def owner(self) -> Any:
        return None if self._owner is None else self._owner()

    @owner.setter
    def owner(self, owner: Any) -> None:
        self._owner = None if owner is None else weakref.ref(owner)

    @property
    def context(self) -> SSLContext:
        return self._context

    @context.setter
    def context(self, context: SSLContext) -> None:
        if not hasattr(context, "_fasths_context"):
            raise TypeError("The value must be a SSLContext of fasths.ssl")
        self._context = context

    @property
    def session(self) -> SSLSession | None:
        session = self._connection.session
        return None if session is None else SSLSession._of(session, self._context)

    @session.setter
    def session(self, session: Any) -> None:
        if not isinstance(session, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if session._context is not self._context:
            raise ValueError("Session refers to a different SSLContext.")
        if self.server_side:
            raise ValueError("Cannot set session for server-side SSLSocket.")
        if self._role_taken:
            raise ValueError("Cannot set session after handshake.")
        # ValueError: it is for another name; sessions are for the server that they come from.
        with suppress(ValueError):
            self._connection.set_session(session._session)

    # --- The connection

    def _failure(self, ret: int) -> OSError:
        connection = self._connection
        if connection.get_error(ret) is _WANT_READ:
            return want_read()
        return failure(connection, ret, server_hostname=self.server_hostname)

    def _take_role(self) -> None:
        self._role_taken = True
        if self.server_side:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()

    def do_handshake(self) -> None:
        connection = self._connection
        if not self._role_taken:
            self._take_role()
        was_established = connection.established
        ret = connection.do_handshake()
        if ret != 1:
            raise self._failure(ret)
        if not was_established:
            self._context._note_handshake(self)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        if not self._role_taken:
            self.do_handshake()
        if buffer is not None:
            return self._read_into(buffer, size)
        if size <= 0:
            if size == 0:
                return b""
            raise ValueError("size should not be negative")
        data = self._connection.read(size)
        if data:
            return data
        self._require_end(-1 if data is None else 0)
        return b""

    def _read_into(self, buffer: Any, size: int) -> int:
        view = memoryview(buffer).cast("B")
        if 0 < size < len(view):
            view = view[:size]
        if not len(view):
            return 0
        count = self._connection.read_into(view)
        if count > 0:
            return count
        self._require_end(count)
        return 0

    def _require_end(self, ret: int) -> None:
        """Raise what a read without data has stopped for, unless it is the end of the data.

        The peer's close_notify is that, but behind one's own it is an exception.
        """
        code = self._connection.get_error(ret)
        if code is _WANT_READ:
            raise want_read()
        is_end = self._may_just_end() if ret else code in _END and not self._has_shut_down
        if not is_end:
            raise self._failure(ret)

    def _may_just_end(self) -> bool:
        """Whether the transport has ended without close_notify, and OP_IGNORE_UNEXPECTED_EOF."""
        error = self._connection.last_error
        return (
            isinstance(error, TransportError)
            and error.os_error is None
            and self._connection.established
            and bool(self._context.options & ssl.OP_IGNORE_UNEXPECTED_EOF)
        )

    def write(self, data: Any) -> int:
        if not self._role_taken:
            self.do_handshake()
        try:
            count = self._connection.write(data)
        except RuntimeError:
            if not self._has_shut_down:
                raise
            raise reasoned("PROTOCOL_IS_SHUTDOWN") from None
        except ValueError as error:
            # Other data than a call before, of which a part was sent.
            raise reasoned("BAD_WRITE_RETRY", str(error)) from None
        if count < 0:
            raise self._failure(count)
        return count

    def pending(self) -> int:
        return self._connection.pending()

    def shutdown(self) -> Any:
        connection = self._connection
        if not connection.established:
            raise reasoned("UNINITIALIZED")
        self._has_shut_down = True
        ret = connection.shutdown() or connection.shutdown()
        if ret != 1 and not self._may_just_end():
            raise self._failure(ret)

    def verify_client_post_handshake(self) -> None:
        connection = self._connection
        if self.server_side and self.version() == "TLSv1.3" and connection.peer_certificates:
            # It was asked in the handshake, and has nothing else to show.
            return
        try:
            ret = connection.verify_client_post_handshake()
        except RuntimeError as error:
            reason, number = _post_handshake_reason(self)
            raise reasoned(reason, str(error), number) from None
        if ret != 1:
            raise self._failure(ret)

    # --- What was negotiated

    def getpeercert(self, binary_form: bool = False) -> Any:
        connection = self._connection
        if not connection.established:
            raise ValueError("handshake not done yet")
        certificates = connection.peer_certificates
        if not certificates:
            return None
        if binary_form:
            return certificates[0]
        if self._context.verify_mode == ssl.CERT_NONE:
            return {}
        return certificate_dict(certificates[0])

    def get_unverified_chain(self) -> list[Certificate] | None:
        certificates = self._connection.peer_certificates
        return [Certificate(der) for der in certificates] or None

    def get_verified_chain(self) -> list[Certificate] | None:
        chain = self._connection.verified_chain
        return None if chain is None else [Certificate(der) for der in chain]

    @property
    def verified_chain(self) -> tuple[bytes, ...] | None:
        return self._connection.verified_chain

    def version(self) -> str | None:
        version = self._connection.version
        return None if version is None else _VERSIONS[version]

    def cipher(self) -> tuple[str, str, int] | None:
        suite = self._connection.cipher_suite
        return None if suite is None else cipher_tuple(suite)

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        offered = self.offered_cipher_suites
        if offered is None:
            return None
        return [
            cipher_tuple(each) for each in self._connection.context.cipher_suites if each in offered
        ]

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> str | None:
        return self._connection.alpn_protocol

    def group(self) -> str | None:
        """The group of the key exchange (Python 3.15)."""
        group = self._connection.group
        return None if group is None else group.name

    def client_sigalg(self) -> str | None:
        """The scheme that the client signed with, or None (Python 3.15)."""
        scheme = self._connection.client_signature_scheme
        return None if scheme is None else scheme.name

    def server_sigalg(self) -> str | None:
        """The scheme that the server signed with, or None (Python 3.15)."""
        scheme = self._connection.signature_scheme
        return None if scheme is None else scheme.name

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        if cb_type not in ("tls-unique", "tls-exporter", "tls-server-end-point"):
            raise ValueError(f"'{cb_type}' channel binding type not implemented")
        try:
            return self._connection.channel_binding(cb_type)
        except (RuntimeError, ValueError):
            return None

    @property
    def session_reused(self) -> bool:
        return self._connection.session_reused


class TLSSocketConnection(TLSConnection):
    """One connection over a socket: methods wait as the socket's do.

    Programs read and write in two threads: one lock is held while the connection works, but not
    while a thread waits for the socket; the other one until all of a write() is sent.
    """

    def __init__(
        self,
        context: SSLContext,
        sock: Any,
        server_side: bool,
        server_hostname: str | None,
        owner: Any,
        session: Any,
    ) -> None:
        self._bio = SSLSocketBIO(sock)
        self._lock = threading.RLock()
        self._write_lock = threading.RLock()
        # Whether there is a part of a write() that was not sent.
        self._is_writing = False
        super().__init__(
            context, server_side, server_hostname, owner, self._bio, self._bio, session
        )

    def _waiting(self, doing: str, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method again whenever the socket is ready, until the socket's time-out."""
        bio = self._bio
        deadline = None
        sent = 0
        while True:
            with self._lock:
                try:
                    return method(*arguments)
                except ssl.SSLWantReadError:
                    if not bio.waits():
                        raise
                    for_reading, for_writing = True, False
                except ssl.SSLWantWriteError:
                    # A peer that writes may read nothing before its data was read.
                    for_reading, for_writing = doing == "read", True
                    if not bio.waits():
                        if for_reading and self._is_writing:
                            raise want_read() from None
                        raise
                if deadline is None or (doing == "write" and bio.sent - sent >= _RECORD):
                    # Of a write() that is long, as much as OpenSSL sends at once has this time.
                    timeout = bio.socket.gettimeout()
                    deadline = inf if timeout is None else monotonic() + timeout
                    sent = bio.sent
            if not bio.wait(for_reading, for_writing, deadline):
                if doing == "handshake":
                    raise TimeoutError("_ssl.c:1000: The handshake operation timed out")
                waited_for = "write" if for_writing and doing != "read" else "read"
                raise TimeoutError(f"The {waited_for} operation timed out")

    def do_handshake(self) -> None:
        self._waiting("handshake", super().do_handshake)

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        return self._waiting("read", super().read, size, buffer)

    def write(self, data: Any) -> int:
        with self._write_lock:
            self._is_writing = True
            count: int = self._waiting("write", super().write, data)
            self._is_writing = False
        return count

    def pending(self) -> int:
        with self._lock:
            return super().pending()

    def shutdown(self) -> Any:
        with self._write_lock:
            self._waiting("shutdown", super().shutdown)
        return self._bio.socket

    def verify_client_post_handshake(self) -> None:
        with self._write_lock:
            self._waiting("write", super().verify_client_post_handshake)


def _name_for(context: fasths.Context, server_hostname: str | None) -> str | None:
    """The name to be sent, and checked; what is neither can be anything."""
    if server_hostname is not None and not context.check_hostname:
        try:
            normalize_hostname(server_hostname)
        except ValueError:
            return None
    return server_hostname


def _teller(observer: Any, reference: weakref.ref[TLSConnection]) -> Any:
    """What tells SSLContext._msg_callback of handshake messages, alerts and change_cipher_spec."""

    def tell(direction: str, content_type: int, data: bytes) -> None:
        connection = reference()
        if connection is None:
            return
        if content_type == fasths.ContentType.alert:
            kind = data[1]
        elif content_type == fasths.ContentType.change_cipher_spec:
            kind = 0x101  # OpenSSL's own number: it is no handshake message.
        else:
            kind = data[0]
        observer(
            connection.owner,
            "write" if direction == "sent" else "read",
            int(connection._connection.version or 0x0303),
            int(content_type),
            kind,
            data,
        )

    return tell


def _post_handshake_reason(connection: TLSConnection) -> tuple[str, int]:
    """OpenSSL's name, and its number, which is the errno here."""
    if connection.version() == "TLSv1.2":
        return "WRONG_SSL_VERSION", 266
    if not connection.server_side:
        return "NOT_SERVER", 284
    return "EXTENSION_NOT_RECEIVED", 279
