"""asyncio's streams and transports over contexts of fasths.ssl, on asyncio's loop and uvloop's."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
import ssl

import pytest

from .contexts import ADDRESS, HOST, OTHER_HOST, Sides
from .servers import CONNECTIONS, LARGE, all_of, closing_port, loop_fixture, run_python

run = loop_fixture()
ALPN = ("echo", "other")


def ssl_object(writer):
    return writer.get_extra_info("ssl_object")


class EchoServer:
    """Echoes what comes, to its end. `writers`: of all connections; `results`: how they ended."""

    def __init__(self, sides: Sides, **options) -> None:
        options.setdefault("alpn", ALPN)
        self.context = sides.server_context(**options)
        self.writers: list[asyncio.StreamWriter] = []
        self.results: list[BaseException | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        result = None
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (OSError, ssl.SSLError) as error:
            result = error
        self.results.append(result)

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self.serve, ADDRESS, 0, ssl=self.context)
        async with closing_port(server) as port:
            yield port


async def connect(port, context, server_hostname=HOST):
    return await asyncio.open_connection(
        ADDRESS, port, ssl=context, server_hostname=server_hostname
    )


async def close(writer):
    writer.close()
    await writer.wait_closed()


def test_echo(run, sides):
    async def main():
        echo = EchoServer(sides)
        async with echo.running() as port:
            reader, writer = await connect(port, sides.client_context(alpn=["none", "echo"]))
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            mine, its = ssl_object(writer), ssl_object(echo.writers[0])
            sides.check_client(mine)
            sides.check_server(its)
            assert mine.selected_alpn_protocol() == its.selected_alpn_protocol() == "echo"
            assert mine.cipher() == its.cipher()
            assert writer.get_extra_info("cipher") == mine.cipher()
            assert writer.get_extra_info("compression") is None
            await close(writer)
        assert echo.results == [None]

    run(main)


def test_certificates_of_both(run, sides):
    client = sides.certificates.client

    async def main():
        echo = EchoServer(sides, wants_certificate=True)
        async with echo.running() as port:
            _, writer = await connect(port, sides.client_context(identity=client))
            writer.write(b"hello")
            await writer.drain()
            await _.readexactly(5)
            for each, identity in (
                (writer, sides.certificates.server),
                (echo.writers[0], client),
            ):
                der = ssl.PEM_cert_to_DER_cert(first_certificate(identity.chain.read_text()))
                assert ssl_object(each).getpeercert(binary_form=True) == der
                peer = each.get_extra_info("peercert")
                assert peer == ssl_object(each).getpeercert()
                # What the real module makes of the same certificate.
                assert peer == ssl._ssl._test_decode_cert(str(identity.chain))
            await close(writer)

    run(main)


def first_certificate(pem: str) -> str:
    end = "-----END CERTIFICATE-----\n"
    return pem[: pem.index(end) + len(end)]


def test_large_data(run, sides):
    async def main():
        echo = EchoServer(sides)
        async with echo.running() as port:
            reader, writer = await connect(port, sides.client_context())

            async def send():
                writer.write(LARGE)
                await writer.drain()

            sending = asyncio.create_task(send())
            assert await reader.readexactly(len(LARGE)) == LARGE
            await sending
            await close(writer)
        assert echo.results == [None]

    run(main)


def test_many_connections(run, both):
    async def main():
        context = both.client_context()
        echo = EchoServer(both)

        async def talk(number: int) -> None:
            reader, writer = await connect(port, context)
            line = b"%d\n" % number * 1000
            writer.write(line)
            assert await reader.readexactly(len(line)) == line
            await close(writer)

        async with echo.running() as port:
            await all_of(talk)
        assert echo.results == [None] * CONNECTIONS

    run(main)


def test_close_notify_is_an_end_of_data(run, both):
    async def main():
        async def serve(reader, writer):
            writer.write(b"the end")
            await close(writer)

        server = await asyncio.start_server(serve, ADDRESS, 0, ssl=both.server_context())
        async with closing_port(server) as port:
            reader, writer = await connect(port, both.client_context())
            assert await reader.read() == b"the end"
            assert reader.at_eof()
            await close(writer)

    run(main)


def test_wrong_name_is_refused(run, sides):
    async def main():
        echo = EchoServer(sides)
        async with echo.running() as port:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await connect(port, sides.client_context(), OTHER_HOST)
            assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
            assert caught.value.verify_code == 62
            assert caught.value.verify_message == (
                f"Hostname mismatch, certificate is not valid for '{OTHER_HOST}'."
            )
        assert echo.writers == []

    run(main)
    run.reported.clear()


def test_unknown_authority_is_refused(run, both):
    async def main():
        async with EchoServer(both).running() as port:
            context = both.client_context(authority=both.certificates.other_authority)
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await connect(port, context)
            assert caught.value.verify_code in (19, 20)

    run(main)


def test_start_tls_of_streams(run, sides):
    """StreamWriter.start_tls(), in both roles."""
    server_context = sides.server_context()
    seen = []

    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.drain()
        await writer.start_tls(server_context)
        seen.append(ssl_object(writer))
        writer.write(await reader.readline())
        await close(writer)

    async def main():
        server = await asyncio.start_server(serve, ADDRESS, 0)
        async with closing_port(server) as port:
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(sides.client_context(), server_hostname=HOST)
            sides.check_client(ssl_object(writer))
            writer.write(b"in private\n")
            assert await reader.readline() == b"in private\n"
            assert await reader.read() == b""
            sides.check_server(seen[0])
            await close(writer)

    run(main)


class Collector(asyncio.Protocol):
    """What comes, and how it ends."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data) -> None:
        self.data += data

    def connection_lost(self, error) -> None:
        self.ended.set_result(error)


class BufferedCollector(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.data = bytearray()
        self.buffer = bytearray(10_000)
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int):
        # asyncio takes slices of it.
        return memoryview(self.buffer)

    def buffer_updated(self, count: int) -> None:
        self.data += self.buffer[:count]

    def connection_lost(self, error) -> None:
        self.ended.set_result(error)


@pytest.mark.parametrize("protocol", [Collector, BufferedCollector])
def test_protocols_over_accepted_sockets(run, both, protocol):
    """loop.connect_accepted_socket(), and protocols of both kinds."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((ADDRESS, 0)) as listener:
            listener.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(listener))
            connecting = asyncio.create_task(
                loop.create_connection(
                    protocol,
                    *listener.getsockname(),
                    ssl=both.client_context(),
                    server_hostname=HOST,
                )
            )
            sock, _ = await accepting
            server = protocol()
            serving, _ = await loop.connect_accepted_socket(
                lambda: server, sock, ssl=both.server_context()
            )
            transport, client = await connecting
        both.check_client(transport.get_extra_info("ssl_object"))
        both.check_server(serving.get_extra_info("ssl_object"))
        transport.writelines([b"a" * 100_000, bytearray(b"b"), memoryview(b"c")])
        transport.close()
        assert await server.ended is None
        assert server.data == b"a" * 100_000 + b"bc"
        assert await client.ended is None

    run(main)


def test_start_tls_of_transports(run, sides):
    """loop.start_tls(), with another protocol afterwards."""

    async def main():
        loop = asyncio.get_running_loop()
        upgraded = loop.create_future()

        class Upgraded(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                assert data == b"now"
                self.transport.pause_reading()
                self.transport.write(b"yes")
                self.task = asyncio.create_task(self.upgrade())

            async def upgrade(self):
                protocol = Collector()
                protocol.transport = await loop.start_tls(
                    self.transport, protocol, sides.server_context(), server_side=True
                )
                upgraded.set_result(protocol)

        class Client(Collector):
            def data_received(self, data):
                self.answered.set_result(data)

        server = await loop.create_server(Upgraded, ADDRESS, 0)
        async with closing_port(server) as port:
            transport, plain = await loop.create_connection(Client, ADDRESS, port)
            plain.answered = loop.create_future()
            transport.write(b"now")
            assert await plain.answered == b"yes"
            client = Collector()
            transport = await loop.start_tls(
                transport, client, sides.client_context(), server_hostname=HOST
            )
            protocol = await upgraded
            sides.check_client(transport.get_extra_info("ssl_object"))
            sides.check_server(protocol.transport.get_extra_info("ssl_object"))
            transport.write(LARGE[:100_000])
            transport.close()
            assert await protocol.ended is None
            assert protocol.data == LARGE[:100_000]
            assert await client.ended is None

    run(main)


def test_handshake_without_a_client(run, both):
    """A peer that does not speak TLS, and one that says nothing."""

    async def main():
        async with EchoServer(both).running() as port:
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            # The server goes on.
            reader, writer = await connect(port, both.client_context())
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await close(writer)

    run(main)
    run.reported.clear()


@pytest.mark.parametrize("data", [b"", b"not the end"], ids=["nothing", "data"])
def test_end_without_close_notify(run, both, data):
    """The loops differ in what they make of it; fasths is as the real module there."""
    first, second = both, dataclasses.replace(both, client=ssl)

    async def outcome(sides):
        async def serve(reader, writer):
            writer.write(data)
            await reader.readexactly(4)
            # Past TLS: a FIN, and no alert.
            sock = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
            sock.shutdown(socket.SHUT_WR)
            sock.close()
            with contextlib.suppress(OSError):
                await reader.read()
            writer.transport.abort()

        server = await asyncio.start_server(serve, ADDRESS, 0, ssl=both.server_context())
        async with closing_port(server) as port:
            transport, protocol = await asyncio.get_running_loop().create_connection(
                Collector, ADDRESS, port, ssl=sides.client_context(), server_hostname=HOST
            )
            transport.write(b"done")
            return type(await protocol.ended), bytes(protocol.data)

    async def main():
        found = await outcome(first)
        assert found == await outcome(second)
        assert found[1] == data

    run(main)
    run.reported.clear()


# In a process where nothing knows any other ssl module.
REPLACED = """
import sys
assert not {"asyncio", "ssl", "uvloop"} & set(sys.modules), sorted(sys.modules)
import fasths.ssl
sys.modules["ssl"] = fasths.ssl
assert "asyncio" not in sys.modules

import asyncio, ssl
loop, authority, chain, key = sys.argv[1:]
if loop == "uvloop":
    import uvloop
    new_event_loop = uvloop.new_event_loop
else:
    new_event_loop = asyncio.new_event_loop
assert asyncio.sslproto.ssl is ssl is fasths.ssl

async def serve(reader, writer):
    first = await reader.readline()
    if first == b"STARTTLS\\n":
        writer.write(b"go ahead\\n")
        await writer.start_tls(serving)
        first = await reader.readline()
    writer.write(first + await reader.readexactly(1000000))
    await writer.drain()
    writer.close()
    await writer.wait_closed()

async def talk(reader, writer):
    found = writer.get_extra_info("ssl_object")
    assert type(found) is ssl.SSLObject
    assert type(found._sslobj).__module__ == "fasths.ssl._connection"
    writer.write(b"line\\n" + bytes(1000000))
    assert await reader.read() == b"line\\n" + bytes(1000000)
    writer.close()
    await writer.wait_closed()
    print(found.version(), found.getpeercert()["subject"][0][0][1])

async def main():
    context = ssl.create_default_context(cafile=authority)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    await talk(*await asyncio.open_connection("localhost", port, ssl=context))
    server.close()
    await server.wait_closed()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"STARTTLS\\n")
    assert await reader.readline() == b"go ahead\\n"
    await writer.start_tls(context, server_hostname="localhost")
    await talk(reader, writer)
    server.close()
    await server.wait_closed()
    try:
        await asyncio.open_connection("127.0.0.1", port, ssl=True)
    except ConnectionRefusedError:
        print("closed")

serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
serving.load_cert_chain(chain, key)
with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(asyncio.wait_for(main(), 20))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_replaced_before_all_imports(certificates, loop):
    server = certificates.server
    printed = run_python(REPLACED, loop, certificates.authority, server.chain, server.key)
    assert printed.splitlines() == ["TLSv1.3 the server"] * 2 + ["closed"]
