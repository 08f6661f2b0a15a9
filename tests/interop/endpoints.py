"""The fasths side of the interoperation tests: a client, and a server in threads."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

import fasths
from fasths import SSLErrorCode

TIMEOUT = 10.0
# RFC 8446, 4.1.3: the random of a ServerHello that is a HelloRetryRequest.
HELLO_RETRY_REQUEST_RANDOM = bytes.fromhex(
    "CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C"
)


class Endpoint:
    """A fasths connection over a socket, with what went over it in `messages`.

    The methods raise `conn.last_error` where the connection failed, and TimeoutError where the peer
    does nothing.
    """

    def __init__(
        self,
        context: fasths.Context,
        sock: socket.socket,
        *,
        server_hostname: str | None = None,
    ) -> None:
        self.socket = sock
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.messages: list[tuple[str, fasths.ContentType, bytes]] = []
        self.conn = fasths.Connection(
            context,
            fasths.SocketBIO(sock),
            server_hostname=server_hostname,
            message_callback=self._record,
        )
        self._buffer = bytearray(65536)

    def _record(self, direction: str, content_type: fasths.ContentType, data: bytes) -> None:
        self.messages.append((direction, content_type, bytes(data)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes without a TCP reset, which could overtake an alert: waits for the peer's end."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(2)
            while self.socket.recv(65536):
                pass
        self.socket.close()

    def count(self, direction: str, message: str) -> int:
        """How many handshake messages of that name went in that direction."""
        return sum(
            1
            for way, content_type, data in self.messages
            if way == direction
            and content_type == fasths.ContentType.handshake
            and data[0] == fasths.HandshakeType[message]
        )

    def seen(self, message: str, times: int) -> None:
        """Waits until another thread has received that handshake message that many times."""
        deadline = time.monotonic() + TIMEOUT
        while self.count("received", message) < times:
            assert time.monotonic() < deadline, f"the peer sent no {message}"
            time.sleep(0.005)

    def change_cipher_specs(self, direction: str) -> int:
        return sum(
            1
            for way, content_type, _ in self.messages
            if way == direction and content_type == fasths.ContentType.change_cipher_spec
        )

    def alerts(self, direction: str) -> list[fasths.AlertDescription]:
        return [
            fasths.AlertDescription(data[1])
            for way, content_type, data in self.messages
            if way == direction and content_type == fasths.ContentType.alert
        ]

    @property
    def hello_retried(self) -> bool:
        return any(
            content_type == fasths.ContentType.handshake
            and data[0] == fasths.HandshakeType.server_hello
            and data[6:38] == HELLO_RETRY_REQUEST_RANDOM
            for _, content_type, data in self.messages
        )

    def _check(self, ret: int) -> SSLErrorCode:
        code = self.conn.get_error(ret)
        if code in (SSLErrorCode.SSL, SSLErrorCode.SYSCALL):
            assert self.conn.last_error is not None
            raise self.conn.last_error
        if code in (SSLErrorCode.WANT_READ, SSLErrorCode.WANT_WRITE):
            raise TimeoutError(f"the peer did nothing ({code.name})")
        return code

    def handshake(self) -> None:
        ret = self.conn.do_handshake()
        if ret != 1:
            code = self._check(ret)
            raise AssertionError(f"do_handshake() = {ret}, {code.name}")

    def send_early(self, data: bytes) -> None:
        """A client's 0-RTT data, with the ClientHello or after it."""
        written = self.conn.write_early_data(data)
        assert written == len(data), self.conn.get_error(written)

    def receive_early(self) -> bytes:
        """All of the client's 0-RTT data, at a server."""
        received = bytearray()
        while data := self.conn.read_early_data():
            received += data
        if data is None:
            self._check(-1)
        return bytes(received)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self.conn.write(view)
            if written <= 0:
                code = self._check(written)
                raise AssertionError(f"write() = {written}, {code.name}")
            view = view[written:]

    def receive_some(self) -> bytes:
        """What comes next; nothing after the peer's close_notify."""
        count = self.conn.read_into(self._buffer)
        if count <= 0:
            code = self._check(count)
            assert code == SSLErrorCode.ZERO_RETURN
            return b""
        return bytes(self._buffer[:count])

    def receive(self, count: int) -> bytes:
        """That many bytes; fewer where close_notify comes before."""
        received = bytearray()
        while len(received) < count:
            data = self.receive_some()
            if not data:
                break
            received += data
        return bytes(received)

    def wait_for(self, message: str, times: int) -> None:
        """Reads until that handshake message was received that many times; no data must come."""
        deadline = time.monotonic() + TIMEOUT
        self.socket.settimeout(0.02)
        while self.count("received", message) < times:
            assert time.monotonic() < deadline, f"the peer sent no {message}"
            ret = self.conn.read_into(self._buffer)
            assert ret == -1
            if self.conn.get_error(ret) != SSLErrorCode.WANT_READ:
                self._check(ret)
        self.socket.settimeout(TIMEOUT)

    def shutdown(self) -> int:
        ret = self.conn.shutdown()
        if ret < 0:
            self._check(ret)
        return ret

    def close(self) -> None:
        """close_notify in both directions; what the peer still sends is read and dropped."""
        if self.shutdown() == 0:
            while self.receive_some():
                pass
            assert self.shutdown() == 1

    def exchange(self, payload: bytes, window: int) -> bytes:
        """Sends to an echoing peer, at most a window ahead of what came back."""
        received = bytearray()
        for start in range(0, len(payload), window):
            piece = payload[start : start + window]
            self.send(piece)
            received += self.receive(len(piece))
        return bytes(received)


def connect(
    context: fasths.Context, port: int, server_hostname: str | None = "localhost"
) -> Endpoint:
    """A client that has not begun its handshake."""
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    endpoint = Endpoint(context, sock, server_hostname=server_hostname)
    endpoint.conn.set_connect_state()
    return endpoint


Handler = Callable[[Endpoint], None]


def echo(endpoint: Endpoint) -> None:
    while data := endpoint.receive_some():
        endpoint.send(data)
    endpoint.close()


def echo_after(count: int) -> Handler:
    """Echoes once it has that many bytes, so that the peer need not read while it writes."""

    def handler(endpoint: Endpoint) -> None:
        endpoint.send(endpoint.receive(count))
        echo(endpoint)

    return handler


class Served:
    """A connection that the server is done with; error is what ended it, if anything did.

    number: 0 is that of the first that came.
    """

    def __init__(self, endpoint: Endpoint, error: BaseException | None, number: int) -> None:
        self.number = number
        self.endpoint = endpoint
        self.conn = endpoint.conn
        self.error = error


class FasthsServer:
    """Accepts on a free port of 127.0.0.1 and handles each connection in a thread.

    later: the Context of the connections after the first. before: done before the handshake.
    """

    def __init__(
        self,
        context: fasths.Context,
        handler: Handler = echo,
        *,
        later: fasths.Context | None = None,
        before: Handler | None = None,
    ) -> None:
        self._context = context
        self._later = later or context
        self._handler = handler
        self._before = before
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._served: queue.Queue[Served] = queue.Queue()
        self._handshaken: queue.Queue[Endpoint] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(2 * TIMEOUT)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            context = self._later if self._threads else self._context
            number = len(self._threads)
            thread = threading.Thread(
                target=self._handle, args=(sock, context, number), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _handle(self, sock: socket.socket, context: fasths.Context, number: int) -> None:
        error: BaseException | None = None
        with Endpoint(context, sock) as endpoint:
            try:
                endpoint.conn.set_accept_state()
                if self._before is not None:
                    self._before(endpoint)
                endpoint.handshake()
                self._handshaken.put(endpoint)
                self._handler(endpoint)
            except Exception as caught:
                error = caught
            self._served.put(Served(endpoint, error, number))

    def established(self) -> Endpoint:
        """The next connection whose handshake is complete; its handler may still run."""
        return self._handshaken.get(timeout=TIMEOUT)

    def served(self) -> Served:
        """The next connection that is done."""
        return self._served.get(timeout=TIMEOUT)

    def all_served(self, count: int) -> list[Served]:
        """So many connections, in the order in which they came."""
        return sorted((self.served() for _ in range(count)), key=lambda each: each.number)
