"""An echo server and its clients on asyncio: python examples/aio_echo.py

The server finds its certificate with a coroutine, as it would in a database. One client is made of
streams, one of a protocol, and one begins without TLS. Explained in docs/aio.md.
"""

import asyncio

from throwaway import Certificates, make_certificates

import fasths
import fasths.aio


class Echo(asyncio.Protocol):
    """Sends back what it receives; at the peer's close_notify the transport closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, fasths.aio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def server_context(certificates: Certificates) -> fasths.Context:
    @fasths.aio.awaiting
    async def find_identity(request: fasths.IdentityRequest) -> fasths.Identity:
        await asyncio.sleep(0.01)  # a database, say
        print(f"server: a certificate for {request.server_name}")
        return fasths.Identity.from_pem(certificates.chain, certificates.key)

    return fasths.Context(identity_callback=find_identity, alpn=["echo"])


async def with_streams(port: int, context: fasths.Context) -> None:
    reader, writer = await fasths.aio.open_connection("localhost", port, ssl=context)
    connection = writer.get_extra_info("fasths_connection")
    print(f"streams: {connection.version.name}, {connection.alpn_protocol}")
    writer.write(b"hello")
    writer.write_eof()  # Our close_notify; the answer is still read.
    print(f"streams: {await reader.read()!r}")
    writer.close()
    await writer.wait_closed()


class Question(asyncio.Protocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.answer.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        # An OSError, or a fasths.TLSError.
        if not self.answer.done():
            self.answer.set_exception(exc or EOFError())


async def with_a_protocol(port: int, context: fasths.Context) -> None:
    transport, question = await fasths.aio.create_connection(
        Question, "localhost", port, ssl=context
    )
    transport.write(b"hello again")
    print(f"protocol: {await question.answer!r}")
    transport.close()


async def refused(port: int) -> None:
    try:
        await fasths.aio.open_connection("localhost", port, ssl=fasths.Context())
    except fasths.CertificateError as error:
        print(f"refused: {error.verify_message}")


async def upgraded(context: fasths.Context, server: fasths.Context) -> None:
    """A connection that begins without TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        reader, writer = await fasths.aio.upgrade_streams(reader, writer, server, server_side=True)
        writer.write(await reader.readline())
        writer.close()

    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = plain.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go ahead\n"
    reader, writer = await fasths.aio.upgrade_streams(
        reader, writer, context, server_hostname="localhost"
    )
    writer.write(b"in private\n")
    print(f"upgraded: {await reader.readline()!r}")
    writer.close()
    await writer.wait_closed()
    plain.close()
    await plain.wait_closed()


async def main() -> None:
    certificates = make_certificates()
    context = fasths.Context(trust=fasths.TrustStore.from_pem(certificates.ca), alpn=["echo"])
    serving = server_context(certificates)
    server = await fasths.aio.create_server(Echo, "127.0.0.1", 0, ssl=serving)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await with_streams(port, context)
        await with_a_protocol(port, context)
        await refused(port)
    await upgraded(context, serving)
    print("closed")


if __name__ == "__main__":
    asyncio.run(main())
