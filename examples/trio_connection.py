"""fasths on trio, with cancel scopes: python examples/trio_connection.py

The connection itself is in async_stream.py. Explained in docs/connection.md.
"""

import trio
from async_stream import TLSStream
from throwaway import make_certificates

import fasths


async def echo(plain: trio.SocketStream, context: fasths.Context) -> None:
    stream = TLSStream(plain.socket, trio.Lock(), context, server_side=True)
    async with plain:
        with trio.fail_after(10):
            await stream.do_handshake()
        while data := await stream.read():
            await stream.write(data)
        await stream.send_close_notify()


async def client(port: int, context: fasths.Context) -> None:
    plain = await trio.open_tcp_stream("127.0.0.1", port)
    stream = TLSStream(plain.socket, trio.Lock(), context, server_hostname="localhost")
    async with plain:
        with trio.fail_after(10):
            await stream.do_handshake()
        with trio.move_on_after(0.01) as scope:
            await stream.read()
        print(f"nothing to read: {scope.cancelled_caught}")
        await stream.write(b"hello")
        print(f"the same connection: {await stream.read()!r}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, bytes(1_000_000))
            received = 0
            while received < 1_000_000:
                received += len(await stream.read())
        print(f"read while writing: {received} bytes")
        await stream.send_close_notify()
        assert await stream.read() == b""


async def main() -> None:
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    serving = fasths.Context(identities=[identity])
    asking = fasths.Context(trust=fasths.TrustStore.from_pem(certificates.ca))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:

        async def serve(plain: trio.SocketStream) -> None:
            await echo(plain, serving)

        nursery.start_soon(trio.serve_listeners, serve, [listener])
        await client(port, asking)
        nursery.cancel_scope.cancel()
    print("closed")


if __name__ == "__main__":
    trio.run(main)
