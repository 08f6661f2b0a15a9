"""fasths with anyio, on asyncio and on trio: python examples/anyio_connection.py

The connection itself is in async_stream.py. Explained in docs/connection.md.
"""

import socket

import anyio
from async_stream import TLSStream
from throwaway import make_certificates

import fasths


class Socket:
    """A non-blocking socket, as async_stream.py wants it."""

    def __init__(self, plain: socket.socket) -> None:
        plain.setblocking(False)
        self._plain = plain

    async def send(self, data: bytes, /) -> int:
        while True:
            try:
                return self._plain.send(data)
            except BlockingIOError:
                await anyio.wait_writable(self._plain)

    async def recv(self, size: int, /) -> bytes:
        while True:
            try:
                return self._plain.recv(size)
            except BlockingIOError:
                await anyio.wait_readable(self._plain)


async def echo(plain: socket.socket, context: fasths.Context) -> None:
    stream = TLSStream(Socket(plain), anyio.Lock(), context, server_side=True)
    with plain:
        with anyio.fail_after(10):
            await stream.do_handshake()
        while data := await stream.read():
            await stream.write(data)
        await stream.send_close_notify()


async def client(plain: socket.socket, context: fasths.Context) -> None:
    stream = TLSStream(Socket(plain), anyio.Lock(), context, server_hostname="localhost")
    with plain:
        with anyio.fail_after(10):
            await stream.do_handshake()
        with anyio.move_on_after(0.01) as scope:
            await stream.read()
        print(f"nothing to read: {scope.cancelled_caught}")
        await stream.write(b"hello")
        print(f"the same connection: {await stream.read()!r}")
        await stream.send_close_notify()
        assert await stream.read() == b""


async def main() -> None:
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    here, there = socket.socketpair()
    async with anyio.create_task_group() as group:
        group.start_soon(echo, there, fasths.Context(identities=[identity]))
        trust = fasths.TrustStore.from_pem(certificates.ca)
        group.start_soon(client, here, fasths.Context(trust=trust))


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
        print(f"closed on {backend}")
