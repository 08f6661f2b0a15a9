"""TLS for trio and anyio, or whatever else has tasks: what two of the examples have in common.

A Connection over a MemoryBIO does no I/O, so nothing in it has to be told apart by library: a
transport has coroutines send() and recv(), as trio's sockets have, and a lock comes along.
"""

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import fasths


class Transport(Protocol):
    """A call that is cancelled has done nothing."""

    def send(self, data: bytes, /) -> Awaitable[int]: ...
    def recv(self, size: int, /) -> Awaitable[bytes]: ...


class TLSStream:
    """One connection. A task may read while another one writes."""

    def __init__(
        self,
        transport: Transport,
        lock: AbstractAsyncContextManager[Any],
        context: fasths.Context,
        *,
        server_hostname: str | None = None,
        server_side: bool = False,
    ) -> None:
        self._transport = transport
        self._lock = lock
        self._bio = fasths.MemoryBIO()
        self._unsent = bytearray()
        self.connection = fasths.Connection(context, self._bio, server_hostname=server_hostname)
        if server_side:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    async def do_handshake(self) -> None:
        while (result := self.connection.do_handshake()) != 1:
            await self.flush()
            await self._receive(result)
        await self.flush()

    async def read(self) -> bytes:
        """What there is, at least one byte; b"" is the peer's close_notify. Sends nothing."""
        while (data := self.connection.read()) is None:
            await self._receive(-1)
        return data

    async def write(self, data: bytes) -> None:
        """Once this was called the data is taken; cancelled, it goes with the next write()."""
        while (result := self.connection.write(data)) < 0:
            await self._receive(result)
        await self.flush()

    async def send_close_notify(self) -> None:
        """Writing is over; reading goes on."""
        self.connection.shutdown()
        await self.flush()

    async def flush(self) -> None:
        """Send what the connection has for the peer."""
        async with self._lock:
            while self._unsent or self._bio.pending:
                self._unsent += self._bio.read()
                count = await self._transport.send(bytes(self._unsent[:65536]))
                del self._unsent[:count]

    async def _receive(self, result: int) -> None:
        """Wait for more of the peer's bytes; raise what else has stopped the connection."""
        code = self.connection.get_error(result)
        if code is not fasths.SSLErrorCode.WANT_READ:
            await self.flush()  # It may be an alert.
            raise self.connection.last_error or RuntimeError(f"not expected here: {code.name}")
        received = await self._transport.recv(16384)
        if received:
            self._bio.write(received)
        else:
            self._bio.write_eof()
