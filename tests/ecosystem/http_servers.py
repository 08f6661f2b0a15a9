"""HTTP servers of the standard library in threads, and a proxy that knows CONNECT."""

from __future__ import annotations

import contextlib
import http.server
import json
import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

from interop.processes import TIMEOUT

from .contexts import ADDRESS, Sides, View

LARGE = bytes(range(256)) * (5 * 4096)  # 5 MiB
CHUNK = 1 << 16


@contextlib.contextmanager
def running(server: socketserver.BaseServer) -> Iterator[int]:
    """Serves in a thread, gives the port, and waits for all connections in the end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[index]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


class HTTPHandler(http.server.BaseHTTPRequestHandler):
    """GET /large gives 5 MiB, GET /peer what the client showed; POST gives back what it got."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    disable_nagle_algorithm = True
    server: TLSServer

    def do_GET(self) -> None:
        if self.path == "/large":
            self._answer(LARGE)
        elif self.path == "/peer":
            self._answer(json.dumps(self.connection.getpeercert()).encode())
        else:
            self._answer(b"hello")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.views.append(View.of(self.connection))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


class TLSServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Wraps its listening socket, so that accept() gives SSLSockets.

    `views` has one of the connection for each answer.
    """

    daemon_threads = False
    request_queue_size = 64

    def __init__(
        self, context: Any, handler: type[socketserver.BaseRequestHandler] = HTTPHandler
    ) -> None:
        self.views: list[View] = []
        super().__init__((ADDRESS, 0), handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer looks its name up, too

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes in the middle of an answer is no error of the tests."""


class ChildWrappingServer(TLSServer):
    """Wraps what accept() gives; the handshake comes with the first read, in its thread."""

    def __init__(self, context: Any) -> None:
        self.views = []
        http.server.HTTPServer.__init__(self, (ADDRESS, 0), HTTPHandler)
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        child, address = self.socket.accept()
        wrapped = self._context.wrap_socket(child, server_side=True, do_handshake_on_connect=False)
        return wrapped, address


@contextlib.contextmanager
def https_server(
    sides: Sides, server_class: type[TLSServer] = TLSServer, **settings: Any
) -> Iterator[int]:
    """An HTTPS server; all that it has answered must have come over what it shall be."""
    server = server_class(sides.server_context(**settings))
    with running(server) as port:
        yield port
    assert set(server.views) == {sides.server_view}


def connect_to(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), TIMEOUT)


class ProxyHandler(socketserver.StreamRequestHandler):
    """CONNECT host:port, and from then on bytes in both directions.

    The name is not looked up: everything is on the loopback.
    """

    timeout = TIMEOUT
    disable_nagle_algorithm = True
    server: ProxyServer

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode("ascii").split()
        while self.rfile.readline().strip():
            pass
        assert method == "CONNECT"
        self.server.targets.append(target)
        if self.server.is_tls:
            self.server.views.append(View.of(self.connection))
        with connect_to(ADDRESS, int(target.rpartition(":")[2])) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._relay(self.connection, upstream)

    @staticmethod
    def _relay(one: socket.socket, other: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(one, selectors.EVENT_READ, other)
            selector.register(other, selectors.EVENT_READ, one)
            while True:
                for key, _ in selector.select(TIMEOUT):
                    source: Any = key.fileobj
                    data = source.recv(CHUNK)
                    # What a TLS connection has decrypted already, no selector shows.
                    while hasattr(source, "pending") and source.pending():
                        data += source.recv(CHUNK)
                    if not data:
                        return
                    key.data.sendall(data)


class ProxyServer(socketserver.ThreadingTCPServer):
    """Without a context it speaks plain HTTP to its clients."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, context: Any = None) -> None:
        self.targets: list[str] = []
        self.views: list[View] = []
        self.is_tls = context is not None
        super().__init__((ADDRESS, 0), ProxyHandler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes is no error of the tests."""
