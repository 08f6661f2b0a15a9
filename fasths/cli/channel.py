"""One connection over one socket, with a deadline on every wait.

The socket does not block. A call of the Connection that cannot go on says so (WANT_READ,
WANT_WRITE); this module waits for the socket, never past the deadline, and repeats the call.
A blocking socket with a time-out would not do: a peer that sends a byte now and then keeps each
single read alive, and so the whole handshake for as long as it likes.

What a Connection stores in `last_error` is raised here as a Failure, which reads as one line.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial

import fasths
from fasths import AlertDescription, Origin, SSLErrorCode

CHUNK = 16384  # the plaintext of one record

# How long and how much is read from a peer after the last byte was sent to it; see `linger`.
LINGER_SECONDS = 2.0
LINGER_BYTES = 256 * 1024

MessageCallback = Callable[[str, fasths.ContentType, bytes], None]


class Failure(Exception):
    """Why a connection came to nothing: what was tried, the reason, who ended it, the alert."""

    def __init__(
        self,
        trying: str,
        reason: str,
        *,
        origin: Origin = Origin.TRANSPORT,
        alert: AlertDescription | None = None,
    ) -> None:
        super().__init__(reason)
        self.trying = trying
        self.reason = reason
        self.origin = origin
        self.alert = alert

    def __str__(self) -> str:
        if self.alert is None:
            alert = "no alert"
        elif self.origin is Origin.PEER:
            alert = f"alert received: {self.alert.name}"
        else:
            alert = f"alert sent: {self.alert.name}"
        return f"{self.trying}: {self.reason} (origin: {self.origin.value}, {alert})"


class Channel:
    """A Connection and its socket. Used by one thread."""

    def __init__(
        self,
        context: fasths.Context,
        sock: socket.socket,
        *,
        server_hostname: str | None = None,
        message_callback: MessageCallback | None = None,
        user_data: object = None,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.conn = fasths.Connection(
            context,
            fasths.SocketBIO(sock),
            server_hostname=server_hostname,
            message_callback=message_callback,
            user_data=user_data,
        )
        self._buffer = bytearray(CHUNK)

    def handshake(self, deadline: float) -> None:
        """Complete the handshake, in the role that the connection was given."""
        ret = 0
        while ret < 1:  # that early data was rejected is said once; early_data_accepted stays
            ret = self._complete("handshake failed", self.conn.do_handshake, deadline, done=1)

    def write_early_data(self, data: bytes, deadline: float) -> None:
        """Send a client's first data with its first message, if that can be."""
        write = partial(self.conn.write_early_data, data)
        self._complete("handshake failed", write, deadline)

    def read_early_data(self) -> bytes:
        """All that a client sent so, once the handshake is done."""
        received = b""
        while data := self.conn.read_early_data():
            received += data
        return received

    def read(self, deadline: float) -> bytes:
        """Some application data; b"" after the peer's close_notify."""
        read = partial(self.conn.read_into, self._buffer)
        count = self._complete("reading failed", read, deadline)
        return bytes(memoryview(self._buffer)[:count])

    def write(self, data: bytes, deadline: float) -> None:
        """All of `data`, in as few records as it takes."""
        rest = memoryview(data)
        while rest:
            count = self._complete("writing failed", partial(self.conn.write, rest), deadline)
            rest = rest[count:]

    def send_close_notify(self, deadline: float) -> None:
        """Say that nothing more comes; the peer's close_notify is not waited for."""
        self._complete("closing failed", self.conn.shutdown, deadline)

    def failure(self, trying: str, code: SSLErrorCode) -> Failure:
        """What `code`, which is no WANT code, and `last_error` mean together."""
        error = self.conn.last_error
        if error is not None:
            return Failure(trying, error.reason, origin=error.origin, alert=error.alert)
        if code == SSLErrorCode.ZERO_RETURN:
            return Failure(trying, "the peer closed the connection", origin=Origin.PEER)
        return Failure(trying, f"unexpected result {code.name}", origin=Origin.LOCAL)

    def close(self) -> None:
        """Close the socket so that what was sent last still arrives."""
        with contextlib.suppress(OSError):
            self._send_rest()
            linger(self.sock)
        self.sock.close()

    def _complete(
        self, trying: str, call: Callable[[], int], deadline: float, done: int = 0
    ) -> int:
        """Repeat `call` while it wants the socket; its first result from `done` up.

        -1: early data was rejected, and nothing else is wrong.
        """
        while (ret := call()) < done:
            code = self.conn.get_error(ret)
            if code == SSLErrorCode.EARLY_DATA_REJECTED:
                return -1
            if code == SSLErrorCode.WANT_READ:
                ready = wait(self.sock, selectors.EVENT_READ, deadline)
            elif code == SSLErrorCode.WANT_WRITE:
                ready = wait(self.sock, selectors.EVENT_WRITE, deadline)
            else:
                raise self.failure(trying, code)
            if not ready:
                raise Failure(trying, "the peer took too long")
        return ret

    def _send_rest(self) -> None:
        """An alert that the socket did not take is sent by the next call that can write."""
        error = self.conn.last_error
        if error is None or error.alert is None or error.origin is not Origin.LOCAL:
            return
        if wait(self.sock, selectors.EVENT_WRITE, time.monotonic() + LINGER_SECONDS):
            self.conn.do_handshake()


def wait(sock: socket.socket, events: int, deadline: float) -> bool:
    """Whether `sock` became ready for `events` before the deadline."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, events)
        remaining = deadline - time.monotonic()
        return remaining > 0 and bool(selector.select(remaining))


def linger(sock: socket.socket) -> None:
    """End our direction, then read the peer's for a bounded time and amount.

    A socket that is closed with bytes unread sends a TCP reset, and a reset destroys what the
    peer has not yet read: our last alert, our last data. So the end goes out first, and the peer
    gets a moment to see it and to close.
    """
    sock.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + LINGER_SECONDS
    taken = 0
    while taken < LINGER_BYTES and wait(sock, selectors.EVENT_READ, deadline):
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            continue
        if not data:
            return
        taken += len(data)


def format_address(address: tuple[object, ...]) -> str:
    """`HOST:PORT`, with brackets around an IPv6 address."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
