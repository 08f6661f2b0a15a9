"""The sockets of plain transports, for connections that begin without TLS."""

from __future__ import annotations

import asyncio
import os
import socket

from fasths.bio import MemoryBIO
from fasths.connection import Connection
from fasths.context import Context


def require_usable(context: Context, server_side: bool, server_hostname: str | None) -> None:
    """ValueError where a connection cannot be made of these; known before anything is given up."""
    connection = Connection(context, MemoryBIO(), server_hostname=server_hostname or None)
    if server_side:
        connection.set_accept_state()
    else:
        connection.set_connect_state()


class _Meanwhile(asyncio.Protocol):
    """In place of the protocol of a transport while what was written before TLS is being sent."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self.lost = False
        self.error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.error = exc
        self._wake_up()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        # The next transport begins with a protocol that may write.
        try:
            self._protocol.resume_writing()
        finally:
            self._wake_up()

    def _wake_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def sent(self, transport: asyncio.Transport) -> None:
        while transport.get_write_buffer_size() and not self.lost:
            self._waiter = asyncio.get_running_loop().create_future()
            transport.set_write_buffer_limits(high=0)
            await self._waiter


async def take_over(transport: asyncio.Transport, successor: asyncio.BaseProtocol) -> socket.socket:
    """The socket of a plain transport, which is given up.

    Nothing is read any more at once; what was written is sent first. Where that fails the protocol
    loses its connection as ever, and also where its successor is another one.
    """
    original = transport.get_extra_info("socket")
    if (
        original is None
        or not hasattr(transport, "pause_reading")
        or transport.get_extra_info("sslcontext") is not None
    ):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    if transport.is_closing():
        raise ConnectionResetError("the connection was lost before TLS began")
    protocol = transport.get_protocol()
    meanwhile = _Meanwhile(protocol)
    transport.pause_reading()
    transport.set_protocol(meanwhile)
    try:
        await meanwhile.sent(transport)
        if meanwhile.lost:
            raise meanwhile.error or ConnectionResetError("the connection was lost")
        sock = _duplicate(original.fileno())
    except BaseException:
        if meanwhile.lost:
            protocol.connection_lost(meanwhile.error)
        else:
            transport.set_protocol(protocol)
            transport.abort()
        raise
    if protocol is not successor:
        transport.set_protocol(protocol)
    # Closes its descriptor, not the connection.
    transport.abort()
    return sock


def _duplicate(descriptor: int) -> socket.socket:
    descriptor = os.dup(descriptor)
    try:
        return socket.socket(fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
