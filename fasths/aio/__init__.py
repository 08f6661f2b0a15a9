"""An asyncio transport over the engine, on every loop with add_reader() and add_writer().

create_connection(), create_server(), start_tls(), open_connection() and start_server() have the
parameters of asyncio's, but for the loop, which is the running one; ssl is a fasths.Context.
docs/aio.md explains them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from fasths.aio._connecting import connect, connected, timeouts
from fasths.aio._server import Server, listening_sockets
from fasths.aio._taking_over import require_usable, take_over
from fasths.aio._transport import Transport
from fasths.aio._waits import awaiting
from fasths.context import Context

__all__ = [
    "Server",
    "Transport",
    "awaiting",
    "create_connection",
    "create_server",
    "open_connection",
    "start_server",
    "start_tls",
    "upgrade_streams",
]

P = TypeVar("P", bound=asyncio.BaseProtocol)
ClientConnected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

# How much a StreamReader holds before it pauses the transport, as in asyncio.
_LIMIT = 1 << 16


def _require_context(context: object) -> Context:
    if not isinstance(context, Context):
        raise TypeError(f"a fasths.Context is needed, not {type(context).__name__}")
    return context


async def create_connection(
    protocol_factory: Callable[[], P],
    host: str | None = None,
    port: int | str | None = None,
    *,
    ssl: Context,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: tuple[str, int] | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[Transport, P]:
    """loop.create_connection() with a fasths.Context: the transport and the protocol, once the
    handshake is done.

    server_hostname: the name that is verified; None: host. "": none, for a Context that does not
    check it. A sock is the transport's, also where this raises.

    Raises OSError or fasths.TLSError for why there is no connection.
    """
    loop = asyncio.get_running_loop()
    context = _require_context(ssl)
    limits = timeouts(ssl_handshake_timeout, ssl_shutdown_timeout)
    if server_hostname is None:
        if not host:
            raise ValueError("You must set server_hostname when using ssl without a host")
        server_hostname = host
    if sock is None:
        if host is None and port is None:
            raise ValueError("host and port was not specified and no sock specified")
        sock = await connect(
            loop,
            host,
            port,
            family=family,
            proto=proto,
            flags=flags,
            local_addr=local_addr,
            happy_eyeballs_delay=happy_eyeballs_delay,
            interleave=interleave,
            all_errors=all_errors,
        )
    elif host is not None or port is not None:
        raise ValueError("host/port and sock can not be specified at the same time")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    return await connected(
        loop,
        sock,
        protocol_factory,
        context,
        server_side=False,
        server_hostname=server_hostname,
        timeouts=limits,
    )


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | Sequence[str] | None = None,
    port: int | str | None = None,
    *,
    ssl: Context,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    sock: socket.socket | None = None,
    backlog: int = 100,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
) -> Server:
    """loop.create_server() with a fasths.Context.

    A protocol hears of a connection once its handshake is done, and nothing of one that fails.
    """
    loop = asyncio.get_running_loop()
    context = _require_context(ssl)
    if not context._has_server_credentials:
        raise ValueError("a server needs a Context with an identity")
    limits = timeouts(ssl_handshake_timeout, ssl_shutdown_timeout)
    if sock is None:
        if host is None and port is None:
            raise ValueError("Neither host/port nor sock were specified")
        sockets = await listening_sockets(
            loop,
            host,
            port,
            family=family,
            flags=flags,
            reuse_address=reuse_address,
            reuse_port=reuse_port,
        )
    elif host is not None or port is not None:
        raise ValueError("host/port and sock can not be specified at the same time")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    else:
        sockets = [sock]
    for each in sockets:
        each.setblocking(False)
    server = Server(loop, sockets, protocol_factory, context, backlog, limits)
    if start_serving:
        try:
            await server.start_serving()
        except BaseException:
            server.close()
            raise
    return server


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    sslcontext: Context,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    received: bytes = b"",
) -> Transport:
    """loop.start_tls() with a fasths.Context: a new transport, once the handshake is done.

    The old one is given up; the protocol goes on with the new one, without another
    connection_made(). If the old one had another protocol, that loses its connection.
    received: bytes of the peer's handshake that the protocol has got already.

    Raises TypeError for a transport that is not over a socket, or has TLS already; OSError or
    fasths.TLSError for why there is no connection, which is closed then.
    """
    context = _require_context(sslcontext)
    limits = timeouts(ssl_handshake_timeout, ssl_shutdown_timeout)
    require_usable(context, server_side, server_hostname)
    sock = await take_over(transport, protocol)
    return (
        await connected(
            asyncio.get_running_loop(),
            sock,
            lambda: protocol,
            context,
            server_side=server_side,
            server_hostname=server_hostname,
            calls_connection_made=False,
            received=received,
            timeouts=limits,
        )
    )[0]


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Streams that can be half closed, as those over TCP: the end of one direction is not the end
    of the other."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    limit: int = _LIMIT,
    **options: Any,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """asyncio.open_connection(); options are those of create_connection()."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = _StreamProtocol(reader, loop=loop)
    transport, _ = await create_connection(lambda: protocol, host, port, **options)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: str | Sequence[str] | None = None,
    port: int | str | None = None,
    *,
    limit: int = _LIMIT,
    **options: Any,
) -> Server:
    """asyncio.start_server(); options are those of create_server()."""
    loop = asyncio.get_running_loop()

    def factory() -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        return _StreamProtocol(reader, client_connected_cb, loop=loop)

    return await create_server(factory, host, port, **options)


async def upgrade_streams(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    sslcontext: Context,
    *,
    limit: int = _LIMIT,
    **options: Any,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """start_tls() for plain streams: others in their place; options are those of start_tls().

    What the reader has got and nobody has read counts as part of the peer's handshake.
    """
    loop = asyncio.get_running_loop()
    new_reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = _StreamProtocol(new_reader, loop=loop)
    # A StreamReader has no other way to say what nobody has read.
    received = bytes(reader._buffer)  # type: ignore[attr-defined]
    transport = await start_tls(
        cast(asyncio.Transport, writer.transport),
        protocol,
        sslcontext,
        received=received,
        **options,
    )
    protocol.connection_made(transport)
    return new_reader, asyncio.StreamWriter(transport, protocol, new_reader, loop)
