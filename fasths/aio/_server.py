"""Listening sockets whose connections are transports."""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from fasths.aio._connecting import Timeouts, set_up
from fasths.aio._transport import Transport
from fasths.context import Context

# Seconds to wait where there are no descriptors or no memory for another connection.
_EXHAUSTED_DELAY = 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server(asyncio.AbstractServer):
    """What create_server() returns; an asyncio.Server in all that it does."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.BaseProtocol],
        context: Context,
        backlog: int,
        timeouts: Timeouts,
    ) -> None:
        self._loop = loop
        self._sockets: list[socket.socket] | None = list(sockets)
        self._make_protocol = make_protocol
        self._context = context
        self._backlog = backlog
        self._timeouts = timeouts
        self._serving = False
        self._transports: set[Transport] = set()
        # Of wait_closed(), and of serve_forever().
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<fasths.aio.Server sockets={self.sockets!r}>"

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The listening sockets; none once it is closed."""
        return tuple(TransportSocket(sock) for sock in self._sockets or ())

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._serving

    async def start_serving(self) -> None:
        """Begin to accept connections."""
        self._start()
        # So that the first connections find the loop where it waits for them.
        await asyncio.sleep(0)

    def _start(self) -> None:
        if self._serving or self._sockets is None:
            return
        self._serving = True
        for sock in self._sockets:
            sock.listen(self._backlog)
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    async def serve_forever(self) -> None:
        """Accept connections until it is cancelled, and close then."""
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._start()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Accept nothing more. Connections go on."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        for sock in sockets:
            if self._serving:
                self._loop.remove_reader(sock.fileno())
            sock.close()
        self._serving = False
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake_up()

    def close_clients(self) -> None:
        """Close all connections."""
        for transport in tuple(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """Close all connections at once; what was not sent is lost."""
        for transport in tuple(self._transports):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until close() was called and the last connection is gone."""
        if self._sockets is None and not self._transports:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _attach(self, transport: Transport) -> None:
        self._transports.add(transport)

    def _detach(self, transport: Transport, error: BaseException | None) -> None:
        """error: why a handshake failed. Any client can cause that, so it is for debugging."""
        self._transports.discard(transport)
        if error is not None and self._loop.get_debug():
            self._loop.call_exception_handler(
                {
                    "message": "The handshake of an incoming connection failed",
                    "exception": error,
                    "transport": transport,
                }
            )
        self._wake_up()

    def _wake_up(self) -> None:
        if self._sockets is None and not self._transports:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _accept(self, listening: socket.socket) -> None:
        """Take the connections that wait."""
        # A backlog of 0 has room for one.
        for _ in range(max(self._backlog, 1)):
            if self._sockets is None:
                return
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(listening, error)
                return
            try:
                set_up(sock)
                transport = Transport(
                    self._loop,
                    sock,
                    self._make_protocol(),
                    self._context,
                    server_side=True,
                    server_hostname=None,
                    server=self,
                    peername=address,
                    timeouts=self._timeouts,
                )
            except BaseException as error:
                sock.close()
                self._report("Error on transport creation for incoming connection", error)
                if not isinstance(error, Exception):
                    raise
                continue
            transport._begin()

    def _report(self, message: str, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        self._report("socket.accept() out of system resource", error)
        self._loop.remove_reader(listening.fileno())
        self._loop.call_later(_EXHAUSTED_DELAY, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if self._serving and listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept, listening)


async def listening_sockets(
    loop: asyncio.AbstractEventLoop,
    host: str | Sequence[str] | None,
    port: int | str | None,
    *,
    family: int,
    flags: int,
    reuse_address: bool | None,
    reuse_port: bool | None,
) -> list[socket.socket]:
    """Bound sockets, one for each address."""
    hosts: Sequence[str | None] = (
        [None] if host is None or host == "" else [host] if isinstance(host, str) else host
    )
    found = await asyncio.gather(
        *(
            loop.getaddrinfo(each, port, family=family, type=socket.SOCK_STREAM, flags=flags)
            for each in hosts
        )
    )
    addresses = dict.fromkeys(address for each in found for address in each)
    sockets: list[socket.socket] = []
    try:
        for address_family, kind, proto, _, address in addresses:
            try:
                sock = socket.socket(address_family, kind, proto)
            except OSError:
                # A family that getaddrinfo() knows, and the kernel does not.
                continue
            sockets.append(sock)
            _bind(sock, address, reuse_address=reuse_address, reuse_port=reuse_port)
        if not sockets:
            raise OSError(f"no sockets can be made for {host!r}")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(
    sock: socket.socket, address: Any, *, reuse_address: bool | None, reuse_port: bool | None
) -> None:
    if reuse_address is None or reuse_address:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        with suppress(AttributeError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind(address)
    except OSError as error:
        raise OSError(
            error.errno, f"error while attempting to bind on address {address!r}: {error.strerror}"
        ) from None
