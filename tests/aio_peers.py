"""What the tests of fasths.aio share: loops, protocols that log, and an obedient peer.

async def test(loop): ...
run(test)  # on asyncio's loop or uvloop's, and nothing may be left behind
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from helpers import HOST, client_context, server_context

import fasths
from fasths import aio

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
LIMIT = 20.0
ADDRESS = "127.0.0.1"
TLS13 = {"minimum_version": fasths.TLSVersion.TLSv1_3}
TLS12 = {"maximum_version": fasths.TLSVersion.TLSv1_2}
VERSIONS = pytest.mark.parametrize("version", [TLS13, TLS12], ids=["TLSv1.3", "TLSv1.2"])


class Runner:
    """Runs a coroutine function on a new loop, and sees to it that it leaves nothing behind.

    reported: what the loop's exception handler was called with; what a test does not take out of it
    is a failure.
    """

    def __init__(self, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._factory = factory
        self.reported: list[dict[str, Any]] = []

    def __call__(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        # What there is already is not looked at: the collections of a large process take long.
        gc.freeze()
        try:
            self._run(function, *arguments)
        finally:
            gc.unfreeze()

    def _run(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        before = sockets()
        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: self.note(context))
            runner.run(self._main(function, *arguments))
        gc.collect()
        assert sockets() <= before
        assert self.reported == []

    def note(self, context: dict[str, Any]) -> None:
        self.reported.append(context)

    async def _main(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        await asyncio.wait_for(function(*args), LIMIT)
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


def sockets() -> set[str]:
    """The sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {target for target in found if target.startswith("socket:")}


def loop_fixture() -> Any:
    @pytest.fixture(params=LOOPS)
    def run(request: pytest.FixtureRequest) -> Iterator[Runner]:
        return Runner(LOOPS[request.param])

    return run


class Log(asyncio.Protocol):
    """Logs the calls of its transport; keeps_open: what eof_received() returns."""

    def __init__(self, *, keeps_open: bool = False) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.pieces: list[bytes] = []
        self.keeps_open = keeps_open
        self.error: BaseException | None = None
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()
        self._arrived = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        self.pieces.append(data)
        self._arrived.set()

    def eof_received(self) -> bool:
        self.calls.append("eof")
        self._arrived.set()
        return self.keeps_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.error = exc
        self._arrived.set()
        self.lost.set_result(exc)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._arrived.clear()
            await self._arrived.wait()

    async def received(self, count: int) -> bytes:
        await self.until(lambda: len(self.data) >= count)
        return bytes(self.data)


class Echo(Log):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Serving:
    """A server of ours, with the protocols that it made."""

    def __init__(self, make_protocol: Callable[[], Any] = Log, **options: Any) -> None:
        self._make_protocol = make_protocol
        self._options = options
        self.protocols: list[Any] = []

    def _factory(self) -> Any:
        protocol = self._make_protocol()
        self.protocols.append(protocol)
        return protocol

    async def __aenter__(self) -> Serving:
        self._options.setdefault("ssl", server_context())
        self.server = await aio.create_server(self._factory, ADDRESS, 0, **self._options)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.server.abort_clients()
        await self.server.wait_closed()

    async def protocol(self) -> Any:
        """The first protocol, once its handshake is done."""
        while not (self.protocols and self.protocols[0].calls):
            await asyncio.sleep(0.001)
        return self.protocols[0]

    async def connect(self, make_protocol: Callable[[], Any] = Log, **options: Any) -> Any:
        options = {"ssl": client_context(), "server_hostname": HOST, **options}
        _, protocol = await aio.create_connection(make_protocol, *self.address, **options)
        return protocol


class Peer:
    """A Connection in memory, over a socket that only does what a test asks for."""

    def __init__(self, sock: socket.socket, connection: fasths.Connection, bio: Any) -> None:
        self.sock = sock
        self.connection = connection
        self.bio = bio

    @classmethod
    def client(cls, sock: socket.socket, context: fasths.Context | None = None) -> Peer:
        bio = fasths.MemoryBIO()
        context = client_context() if context is None else context
        connection = fasths.Connection(context, bio, server_hostname=HOST)
        connection.set_connect_state()
        return cls(sock, connection, bio)

    @classmethod
    def server(cls, sock: socket.socket, context: fasths.Context | None = None) -> Peer:
        bio = fasths.MemoryBIO()
        connection = fasths.Connection(server_context() if context is None else context, bio)
        connection.set_accept_state()
        return cls(sock, connection, bio)

    async def send(self) -> None:
        """Send what the connection has written."""
        if self.bio.pending:
            await asyncio.get_running_loop().sock_sendall(self.sock, self.bio.read())

    async def receive(self) -> bool:
        """Give the connection some bytes; False at the end of the socket."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        if data:
            self.bio.write(data)
        else:
            self.bio.write_eof()
        return bool(data)

    async def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Repeat a call of the connection until it does not wait any more."""
        while True:
            result = method(*arguments)
            waits = result in (-1, None) and (
                self.connection.get_error(-1) is fasths.SSLErrorCode.WANT_READ
            )
            await self.send()
            if not waits:
                return result
            await self.receive()

    async def handshake(self) -> Peer:
        assert await self.call(self.connection.do_handshake) == 1, self.connection.last_error
        return self

    async def read(self) -> bytes:
        data = await self.call(self.connection.read)
        assert data is not None, self.connection.last_error
        return bytes(data)

    async def write(self, data: bytes) -> None:
        assert await self.call(self.connection.write, data) == len(data)

    async def close_notify(self) -> None:
        self.connection.shutdown()
        await self.send()

    def close(self) -> None:
        self.sock.close()


async def tcp_connection(address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address[:2])
    except BaseException:
        sock.close()
        raise
    return sock


class Listening:
    """A plain listening socket, for peers that are servers."""

    def __enter__(self) -> Listening:
        self.sock = socket.create_server((ADDRESS, 0))
        self.sock.setblocking(False)
        self.address = self.sock.getsockname()
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def accept(self) -> socket.socket:
        sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
        return sock
