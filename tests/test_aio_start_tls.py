"""fasths.aio.start_tls(): plain transports of asyncio and uvloop that go on with TLS."""

import asyncio
import ssl

import pytest
from aio_peers import (
    ADDRESS,
    VERSIONS,
    Listening,
    Log,
    Peer,
    loop_fixture,
    tcp_connection,
)
from helpers import HOST, authority, client_context, server_context

import fasths
from fasths import aio

run = loop_fixture()
MEGABYTE = bytes(1 << 20)


class Upgrading(Log):
    """A server that begins TLS when it is asked to, and echoes from then on."""

    context = None
    received = b""

    def data_received(self, data):
        super().data_received(data)
        if self.data.startswith(b"STARTTLS\n") and self.context is not None:
            context, self.context = self.context, None
            del self.data[:9]
            received = bytes(self.data)
            self.data.clear()
            self.transport.write(b"go ahead\n")
            self.task = asyncio.ensure_future(self.upgrade(context, received))
        elif self.context is None:
            self.transport.write(data)

    async def upgrade(self, context, received):
        self.transport = await aio.start_tls(
            self.transport, self, context, server_side=True, received=received
        )


class Server:
    """A plain server of the loop's own."""

    def __init__(self, context):
        self.context = context
        self.protocols = []

    def _factory(self):
        protocol = Upgrading()
        protocol.context = self.context
        self.protocols.append(protocol)
        return protocol

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self._factory, ADDRESS, 0)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for protocol in self.protocols:
            if not protocol.lost.done():
                protocol.transport.abort()
                await protocol.lost

    async def connect(self):
        transport, protocol = await asyncio.get_running_loop().create_connection(Log, *self.address)
        transport.write(b"STARTTLS\n")
        assert await protocol.received(9) == b"go ahead\n"
        protocol.data.clear()
        return protocol


@VERSIONS
def test_both_sides_of_a_plain_connection(run, version):
    async def main():
        async with Server(server_context(**version)) as server:
            client = await server.connect()
            plain = client.transport
            transport = await aio.start_tls(plain, client, client_context(), server_hostname=HOST)
            assert isinstance(transport, aio.Transport)
            assert plain.is_closing()
            assert transport.get_protocol() is client
            transport.write(MEGABYTE)
            assert await client.received(len(MEGABYTE)) == MEGABYTE
            transport.close()
            assert await client.lost is None
            assert await server.protocols[0].lost is None
            # One connection_made(), one connection_lost().
            assert client.calls == ["made", "lost"]
            assert server.protocols[0].calls == ["made", "eof", "lost"]

    run(main)


def test_plain_data_is_sent_before(run):
    """What was written before goes before, also where the socket does not take it at once."""

    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            total = 16 * len(MEGABYTE)
            transport.write(bytes(total))
            assert transport.get_write_buffer_size()
            starting = asyncio.ensure_future(
                aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            )
            loop = asyncio.get_running_loop()
            received = b""
            while total:
                received = await loop.sock_recv(sock, min(total, 1 << 20))
                assert received == bytes(len(received))
                total -= len(received)
            peer = await Peer.server(sock).handshake()
            await peer.write(b"hello")
            tls = await starting
            assert await client.received(5) == b"hello"
            tls.abort()
            await client.lost
            peer.close()

    run(main)


@VERSIONS
def test_what_was_read_already(run, version):
    """A client that does not wait for the answer before it sends its ClientHello."""

    async def main():
        async with Server(server_context(**version)) as server:
            peer = Peer.client(await tcp_connection(server.address))
            peer.connection.do_handshake()
            hello = peer.bio.read()
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(peer.sock, b"STARTTLS\n" + hello)
            assert await loop.sock_recv(peer.sock, 9) == b"go ahead\n"
            await peer.handshake()
            await peer.write(b"hello")
            assert await peer.read() == b"hello"
            await peer.close_notify()
            assert await server.protocols[0].lost is None
            peer.close()

    run(main)


def test_more_was_read_already_than_is_kept(run):
    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            # A record that goes on for longer than what was received.
            received = b"\x16\x03\x01\x40\x00" + bytes(100)
            starting = asyncio.ensure_future(
                aio.start_tls(
                    transport, client, server_context(), server_side=True, received=received
                )
            )
            await asyncio.sleep(0.01)
            assert not starting.done()
            sock.close()
            with pytest.raises(fasths.TransportError):
                await starting
            assert isinstance(await client.lost, fasths.TransportError)

    run(main)


def test_handshake_that_fails(run):
    async def main():
        async with Server(server_context()) as server:
            client = await server.connect()
            with pytest.raises(fasths.CertificateError):
                await aio.start_tls(
                    client.transport, client, client_context(), server_hostname="other.example"
                )
            # The protocol had a connection, and has lost it.
            assert isinstance(await client.lost, fasths.CertificateError)
            with pytest.raises(fasths.PeerAlert):
                await server.protocols[0].task

    run(main)


@pytest.mark.parametrize("turns", range(6))
def test_cancelled(run, turns):
    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            starting = asyncio.ensure_future(
                aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            transport.abort()
            await client.lost
            sock.close()

    run(main)


def test_cancelled_while_plain_data_is_not_taken(run):
    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            transport.write(16 * MEGABYTE)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            await client.lost
            sock.close()

    run(main)


def test_connection_that_is_gone(run):
    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            transport.close()
            with pytest.raises(ConnectionResetError):
                await aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            await client.lost
            sock.close()

    run(main)


def test_what_cannot_be_upgraded(run):
    async def main():
        async with Server(server_context()) as server:
            client = await server.connect()
            with pytest.raises(TypeError, match="Context is needed"):
                await aio.start_tls(client.transport, client, ssl.create_default_context())
            with pytest.raises(ValueError, match="server_hostname"):
                await aio.start_tls(client.transport, client, client_context())
            with pytest.raises(ValueError, match="identity"):
                await aio.start_tls(client.transport, client, client_context(), server_side=True)
            tls = await aio.start_tls(
                client.transport, client, client_context(), server_hostname=HOST
            )
            with pytest.raises(TypeError, match="not supported by start_tls"):
                await aio.start_tls(tls, client, client_context(), server_hostname=HOST)
            with pytest.raises(TypeError, match="not supported by start_tls"):
                await aio.start_tls(
                    asyncio.Transport(), client, client_context(), server_hostname=HOST
                )
            tls.close()
            await client.lost

        async with Server(server_context()) as server:
            client = await server.connect()
            context = ssl.create_default_context(cadata=authority().pem.decode())
            loop = asyncio.get_running_loop()
            tls = await loop.start_tls(client.transport, client, context, server_hostname=HOST)
            with pytest.raises(TypeError, match="not supported by start_tls"):
                await aio.start_tls(tls, client, client_context(), server_hostname=HOST)
            tls.close()
            await client.lost

    run(main)


def test_connection_that_goes_while_plain_data_is_sent(run):
    async def main():
        with Listening() as listening:
            transport, client = await asyncio.get_running_loop().create_connection(
                Log, *listening.address
            )
            sock = await listening.accept()
            transport.write(16 * MEGABYTE)
            starting = asyncio.ensure_future(
                aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            )
            await asyncio.sleep(0)
            sock.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await starting
            assert isinstance(await client.lost, OSError)
            assert client.calls.count("lost") == 1

    run(main)


def test_streams_of_a_server_that_has_read_too_much(run):
    done = []

    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        reader, writer = await aio.upgrade_streams(
            reader, writer, server_context(), server_side=True
        )
        writer.write(await reader.readexactly(5))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        done.append(True)

    async def main():
        server = await asyncio.start_server(serve, ADDRESS, 0)
        peer = Peer.client(await tcp_connection(server.sockets[0].getsockname()))
        peer.connection.do_handshake()
        hello = peer.bio.read()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(peer.sock, b"STARTTLS\n" + hello)
        assert await loop.sock_recv(peer.sock, 9) == b"go ahead\n"
        await peer.handshake()
        await peer.write(b"hello")
        assert await peer.read() == b"hello"
        await peer.close_notify()
        assert await peer.read() == b""
        peer.close()
        server.close()
        while not done:
            await asyncio.sleep(0.001)

    run(main)


def test_streams(run):
    """They are replaced."""

    async def main():
        async with Server(server_context()) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            reader, writer = await aio.upgrade_streams(
                reader, writer, client_context(), server_hostname=HOST
            )
            writer.write(MEGABYTE)
            await writer.drain()
            assert await reader.readexactly(len(MEGABYTE)) == MEGABYTE
            writer.close()
            await writer.wait_closed()

    run(main)


@pytest.mark.parametrize("size", [1 << 14, 1 << 20], ids=["between the limits", "above"])
def test_protocol_that_may_not_write_may_write_again(run, size):
    """What it has written before is gone once TLS begins."""

    async def main():
        with Listening() as listening:
            loop = asyncio.get_running_loop()
            transport, client = await loop.create_connection(Log, *listening.address)
            sock = await listening.accept()
            while transport.get_write_buffer_size() < size:
                transport.write(bytes(1 << 13))
            # Paused or not: each pause is followed by its end.
            starting = asyncio.ensure_future(
                aio.start_tls(transport, client, client_context(), server_hostname=HOST)
            )
            peer = Peer.server(sock)
            received = bytearray()
            while not received.endswith(b"\0") or not received.lstrip(b"\0"):
                received += await loop.sock_recv(sock, 1 << 16)
                if received[-200:].lstrip(b"\0"):
                    break
            start = len(received) - len(received.lstrip(b"\0"))
            peer.bio.write(bytes(received[start:]))
            await peer.handshake()
            tls = await starting
            assert client.calls == ["made", "pause", "resume"]
            tls.abort()
            await client.lost
            peer.close()

    run(main)


@pytest.mark.parametrize("succeeds", [True, False], ids=["succeeds", "fails"])
def test_old_streams_are_over(run, succeeds):
    """Who waits for them does not wait forever, whatever becomes of TLS."""

    async def main():
        async with Server(server_context()) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            reading = asyncio.ensure_future(reader.read())
            name = HOST if succeeds else "other.example"
            upgrading = aio.upgrade_streams(reader, writer, client_context(), server_hostname=name)
            if succeeds:
                _, new = await upgrading
            else:
                with pytest.raises(fasths.CertificateError):
                    await upgrading
                with pytest.raises(fasths.PeerAlert):
                    await server.protocols[0].task
            assert await asyncio.wait_for(reading, 2) == b""
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), 2)
            if succeeds:
                new.close()
                await new.wait_closed()

    run(main)
