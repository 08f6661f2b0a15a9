"""Servers of the page in web_page.py, on each face of fasths, with what they see of a client.

    with ThreadingServer(settings) as server:
        ...  # visit server.port
    server.connections, server.errors

The servers with HTTP/2 run on a loop in a thread. Nobody is told of a handshake that fails in a
server of asyncio; with tells_errors they do each handshake by themselves, and have its error.
"""

from __future__ import annotations

import asyncio
import http.server
import queue
import socket
import ssl as real_ssl
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import fasths
import fasths.aio
from fasths import ssl

from .contexts import Identity
from .h2_server import H2Protocol
from .web_page import answer

TIMEOUT = 10.0


@dataclass(frozen=True)
class Settings:
    """group: the only one that the server has. early_data: how many bytes, for fasths.aio."""

    identity: Identity
    version: real_ssl.TLSVersion = real_ssl.TLSVersion.TLSv1_3
    group: str | None = None
    early_data: int = 0

    def ssl_context(self, alpn: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity.chain, self.identity.key)
        context.minimum_version = context.maximum_version = self.version
        context.set_alpn_protocols([alpn])
        if self.group is not None:
            context.set_ecdh_curve(self.group)
        return context

    def fasths_context(self, alpn: str) -> fasths.Context:
        version = fasths.TLSVersion(self.version)
        chain, key = (Path(each).read_bytes() for each in (self.identity.chain, self.identity.key))
        return fasths.Context(
            identities=[fasths.Identity.from_pem(chain, key)],
            minimum_version=version,
            maximum_version=version,
            alpn=[alpn],
            max_early_data_size=self.early_data,
            groups=None if self.group is None else [self.group],
        )


@dataclass
class Connection:
    """What a server knows about one whose handshake is done, and the paths that were asked for."""

    version: str | None
    group: str | None
    alpn: str | None
    server_name: str | None
    session_reused: bool
    early_data: bytes = b""
    paths: list[str] = field(default_factory=list)


class Server:
    """What all of them share."""

    ALPN: ClassVar[str]

    def __init__(self, settings: Settings, *, tells_errors: bool = False) -> None:
        self.settings = settings
        self.tells_errors = tells_errors
        self.port = 0
        self.connections: list[Connection] = []
        self.errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        # What the sni_callback was told, by SSLSocket or SSLObject.
        self._server_names: dict[Any, str | None] = {}

    def ssl_context(self) -> ssl.SSLContext:
        def keep(connection: Any, server_name: str | None, _context: object) -> None:
            self._server_names[connection] = server_name

        context = self.settings.ssl_context(self.ALPN)
        context.sni_callback = keep
        return context

    def made(self, connection: Any) -> Connection:
        """One that is an SSLSocket or an SSLObject of fasths.ssl."""
        made = Connection(
            connection.version(),
            connection.group(),
            connection.selected_alpn_protocol(),
            self._server_names.pop(connection),
            connection.session_reused,
        )
        self.connections.append(made)
        return made


class ThreadingServer(Server):
    """HTTP/1.1 by http.server over fasths.ssl."""

    ALPN = "http/1.1"

    def __init__(self, settings: Settings, *, tells_errors: bool = False) -> None:
        super().__init__(settings, tells_errors=tells_errors)
        self._server = _HTTPServer(self)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join(TIMEOUT)
        self._server.server_close()  # Waits for the connections' threads.


class _HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = False  # They are waited for.

    def __init__(self, owner: ThreadingServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner
        # The handshake is for the thread of the connection.
        self.socket = owner.ssl_context().wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        assert error is not None
        self.owner.errors.put(error)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    server: _HTTPServer
    connection: Any

    def setup(self) -> None:
        super().setup()
        self.connection.do_handshake()
        self._connection = self.server.owner.made(self.connection)

    def do_GET(self) -> None:
        self._connection.paths.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = answer(self.command, self.path, body)
        self.send_response(given.status)
        self.send_header("Content-Type", given.content_type)
        self.send_header("Content-Length", str(len(given.body)))
        if given.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(given.body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


class LoopServer(Server):
    """HTTP/2 on asyncio's loop."""

    ALPN = "h2"

    def __init__(self, settings: Settings, *, tells_errors: bool = False) -> None:
        super().__init__(settings, tells_errors=tells_errors)
        self._made: dict[H2Protocol, Connection] = {}
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop, self._stop = self._started.result(TIMEOUT)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(2 * TIMEOUT)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        stop = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            try:
                close = await self._serve(listener)
                self._started.set_result((asyncio.get_running_loop(), stop))
            except Exception as error:
                self._started.set_exception(error)
                raise
            await stop.wait()
            close()
        for protocol in self._made:
            protocol.transport.close()
        async with asyncio.timeout(TIMEOUT):
            for protocol in self._made:
                await protocol.lost

    async def _serve(self, listener: socket.socket) -> Callable[[], object]:
        if self.tells_errors:
            return asyncio.create_task(self._accept(listener)).cancel
        return (await self._listen(listener)).close

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            try:
                await self._do_handshake(sock)
            except Exception as error:
                self.errors.put(error)

    def _protocol(self) -> H2Protocol:
        return H2Protocol(answer, self._connection_made, self._requested)

    def _connection_made(self, protocol: H2Protocol, transport: asyncio.Transport) -> bytes:
        made = self._made[protocol] = self._look(transport)
        return made.early_data

    def _requested(self, protocol: H2Protocol, path: str) -> None:
        self._made[protocol].paths.append(path)

    # Abstract: the two ways to serve on asyncio differ in these.

    async def _listen(self, listener: socket.socket) -> asyncio.AbstractServer:
        raise NotImplementedError

    async def _do_handshake(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def _look(self, transport: asyncio.Transport) -> Connection:
        raise NotImplementedError


class AsyncioServer(LoopServer):
    """fasths.ssl in asyncio's own transports."""

    async def _listen(self, listener: socket.socket) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._protocol, sock=listener, ssl=self.ssl_context())

    async def _do_handshake(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(self._protocol, sock, ssl=self.ssl_context())

    def _look(self, transport: asyncio.Transport) -> Connection:
        return self.made(transport.get_extra_info("ssl_object"))


class AioServer(LoopServer):
    """fasths.aio."""

    def _context(self) -> fasths.Context:
        return self.settings.fasths_context(self.ALPN)

    async def _listen(self, listener: socket.socket) -> asyncio.AbstractServer:
        return await fasths.aio.create_server(self._protocol, sock=listener, ssl=self._context())

    async def _do_handshake(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        await fasths.aio.upgrade_streams(reader, writer, self._context(), server_side=True)

    def _look(self, transport: asyncio.Transport) -> Connection:
        connection: fasths.Connection = transport.get_extra_info("fasths_connection")
        made = Connection(
            None if connection.version is None else connection.version.name.replace("_", "."),
            None if connection.group is None else connection.group.name,
            connection.alpn_protocol,
            connection.server_name,
            connection.session_reused,
            b"".join(iter(connection.read_early_data, b"")),
        )
        self.connections.append(made)
        return made
