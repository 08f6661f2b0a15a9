"""fasths.aio: flow control, coalescing, half-close, and protocols that bring their own buffers."""

import asyncio

import pytest
from aio_peers import (
    TLS12,
    VERSIONS,
    Echo,
    Listening,
    Log,
    Peer,
    Serving,
    loop_fixture,
    tcp_connection,
)
from helpers import HOST, client_context, records, server_context

import fasths
from fasths import aio

run = loop_fixture()
APPLICATION_DATA = fasths.ContentType.application_data
MEGABYTE = bytes(range(256)) * 4096


async def connected_peer(serving, **version):
    """A client that does as it is told, and the protocol of the server that it is connected to."""
    peer = Peer.client(await tcp_connection(serving.address), client_context(**version))
    await peer.handshake()
    return peer, await serving.protocol()


async def ciphertext(peer):
    """What has arrived in the socket, as it was sent."""
    return await asyncio.get_running_loop().sock_recv(peer.sock, 1 << 20)


def record_count(data):
    return sum(kind == APPLICATION_DATA for kind, _ in records(data))


# --- Coalescing


@VERSIONS
def test_writes_of_one_callback_are_one_record(run, version):
    class Answering(Log):
        def data_received(self, data):
            for _ in range(100):
                self.transport.write(b"0123456789")

    async def main():
        context = server_context(session_tickets=0, **version)
        async with Serving(Answering, ssl=context) as serving:
            peer, _ = await connected_peer(serving)
            await peer.write(b"x")
            data = await ciphertext(peer)
            peer.bio.write(data)
            assert record_count(data) == 1
            assert await peer.read() == b"0123456789" * 100
            peer.close()

    run(main)


def test_writes_outside_of_callbacks_are_two_records(run):
    """The first is sent at once, all others of that iteration of the loop together."""

    async def main():
        async with Serving(ssl=server_context(session_tickets=0)) as serving:
            peer, server = await connected_peer(serving)
            for _ in range(100):
                server.transport.write(b"0123456789")
            assert server.transport.get_write_buffer_size() == 990
            await asyncio.sleep(0.01)
            assert server.transport.get_write_buffer_size() == 0
            data = await ciphertext(peer)
            assert record_count(data) == 2
            peer.close()

    run(main)


def test_much_is_sent_before_the_callback_ends(run):
    """What is gathered has a bound."""
    sizes = []

    class Answering(Log):
        def data_received(self, data):
            for _ in range(1000):
                self.transport.write(bytes(1000))
                sizes.append(self.transport.get_write_buffer_size())

    async def main():
        async with Serving(Answering) as serving:
            client = await serving.connect()
            client.transport.write(b"x")
            await client.received(1_000_000)
            client.transport.close()
            await client.lost
        assert max(sizes) > 10_000

    run(main)


# --- Flow control


@VERSIONS
def test_protocol_is_paused_while_the_peer_does_not_read(run, version):
    async def main():
        async with Serving(ssl=server_context(**version)) as serving:
            peer, server = await connected_peer(serving)
            transport = server.transport
            assert transport.get_write_buffer_limits() == (16384, 65536)
            written = 0
            while "pause" not in server.calls:
                transport.write(MEGABYTE)
                written += len(MEGABYTE)
            assert transport.get_write_buffer_size() > 65536
            transport.write(b"the end")
            received = 0
            while received < written + 7:
                received += len(await peer.read())
            assert received == written + 7
            assert server.calls == ["made", "pause", "resume"]
            assert transport.get_write_buffer_size() == 0
            peer.close()

    run(main)


def test_write_buffer_limits(run):
    async def main():
        async with Serving() as serving:
            client = await serving.connect()
            transport = client.transport
            transport.set_write_buffer_limits(high=100)
            assert transport.get_write_buffer_limits() == (25, 100)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits()
            assert transport.get_write_buffer_limits() == (16384, 65536)
            for high, low in ((1, 2), (1, -1)):
                with pytest.raises(ValueError, match="must be"):
                    transport.set_write_buffer_limits(high=high, low=low)
            transport.abort()
            await client.lost

    run(main)


def test_no_limit_at_all(run):
    """With a limit of 0 the protocol is paused while anything is left."""

    async def main():
        async with Serving(Echo) as serving:
            client = await serving.connect()
            client.transport.set_write_buffer_limits(high=0)
            client.transport.write(MEGABYTE * 8)
            assert "pause" in client.calls
            await client.received(8 * len(MEGABYTE))
            assert client.calls == ["made", "pause", "resume"]
            client.transport.close()
            await client.lost

    run(main)


def test_buffers_of_the_caller_may_change(run):
    async def main():
        async with Serving() as serving:
            peer, server = await connected_peer(serving)
            data = bytearray(MEGABYTE * 8)
            server.transport.write(data)
            server.transport.write(memoryview(data)[:100])
            assert server.transport.get_write_buffer_size() > 0
            data[:] = bytes(len(data))
            received = bytearray()
            while len(received) < len(data) + 100:
                received += await peer.read()
            assert received == MEGABYTE * 8 + MEGABYTE[:100]
            peer.close()

    run(main)


@VERSIONS
def test_reading_is_paused(run, version):
    class Pausing(Log):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def main():
        async with Serving(Pausing, ssl=server_context(**version)) as serving:
            peer, server = await connected_peer(serving)
            for _ in range(10):
                await peer.write(b"one record")
            await server.received(10)
            await asyncio.sleep(0.02)
            assert server.data == b"one record"
            assert not server.transport.is_reading()
            server.transport.pause_reading()
            for count in range(2, 11):
                server.transport.resume_reading()
                assert server.transport.is_reading()
                await server.received(10 * count)
                assert len(server.data) == 10 * count
            # Also what comes behind it.
            await peer.close_notify()
            server.transport.resume_reading()
            assert await server.lost is None
            peer.close()

    run(main)


def test_reading_is_paused_from_the_beginning(run):
    class Unready(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def main():
        async with Serving(Unready) as serving:
            client = await serving.connect(Unready)
            server = await serving.protocol()
            client.transport.write(b"hello")
            server.transport.write(b"hello")
            await asyncio.sleep(0.02)
            assert client.data == server.data == b""
            client.transport.resume_reading()
            server.transport.resume_reading()
            await client.received(5)
            await server.received(5)
            client.transport.close()
            assert await client.lost is None

    run(main)


def test_a_paused_side_stops_the_other(run):
    async def main():
        async with Serving() as serving:
            client = await serving.connect()
            server = await serving.protocol()
            server.transport.pause_reading()
            total = 0
            while "pause" not in client.calls:
                client.transport.write(MEGABYTE)
                total += len(MEGABYTE)
            await asyncio.sleep(0.05)
            assert server.data == b""
            server.transport.resume_reading()
            await server.received(total)
            assert "resume" in client.calls
            client.transport.close()
            assert await client.lost is None
            assert await server.lost is None

    run(main)


@VERSIONS
def test_closing_while_reading_is_paused(run, version):
    """What is left to be read does not stop the end."""

    async def main():
        async with Serving(ssl=server_context(**version)) as serving:
            peer, server = await connected_peer(serving)
            server.transport.pause_reading()
            for _ in range(20):
                await peer.write(bytes(10_000))
            await peer.close_notify()
            await asyncio.sleep(0.02)
            server.transport.close()
            assert await server.lost is None
            assert server.data == b""
            peer.close()

    run(main)


# --- Half-close


@VERSIONS
def test_write_eof(run, version):
    """Our close_notify ends what we write, and nothing else."""

    async def main():
        async with Serving(lambda: Log(keeps_open=True), ssl=server_context(**version)) as serving:
            client = await serving.connect()
            transport = client.transport
            assert transport.can_write_eof()
            transport.write(b"the question")
            transport.write_eof()
            transport.write_eof()
            with pytest.raises(RuntimeError, match="after write_eof"):
                transport.write(b"more")
            server = await serving.protocol()
            await server.until(lambda: "eof" in server.calls)
            assert server.data == b"the question"
            assert not server.transport.is_closing()
            server.transport.write(b"the answer")
            assert await client.received(10) == b"the answer"
            assert not transport.is_closing()
            server.transport.close()
            assert await client.lost is None
            assert await server.lost is None

    run(main)


def test_write_eof_behind_much(run):
    async def main():
        async with Serving(lambda: Log(keeps_open=True)) as serving:
            client = await serving.connect()
            client.transport.write(MEGABYTE * 4)
            client.transport.write_eof()
            server = await serving.protocol()
            await server.until(lambda: "eof" in server.calls)
            assert server.data == MEGABYTE * 4
            server.transport.close()
            assert await client.lost is None

    run(main)


def test_truncation_after_write_eof_is_an_error(run):
    async def main():
        async with Serving(lambda: Log(keeps_open=True)) as serving:
            peer, server = await connected_peer(serving)
            server.transport.write_eof()
            assert await peer.read() == b""
            await peer.write(b"half of it")
            peer.close()
            assert isinstance(await server.lost, fasths.TransportError)
            assert server.data == b"half of it"

    run(main)


def test_streams_can_be_half_closed_from_either_side(run):
    async def serve(reader, writer):
        writer.write(b"first the server")
        writer.write_eof()
        assert await reader.read() == b"then the client"
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await aio.start_server(serve, "127.0.0.1", 0, ssl=server_context()) as server:
            reader, writer = await aio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_context(), server_hostname=HOST
            )
            assert await reader.read() == b"first the server"
            writer.write(b"then the client")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        await server.wait_closed()

    run(main)


# --- Buffers of the protocol


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size=4096):
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.hints = []
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()
        self.transport = None

    def connection_made(self, transport):
        self.calls.append("made")
        self.transport = transport

    def get_buffer(self, sizehint):
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.data += self.buffer[:nbytes]
        self.transport.write(bytes(self.buffer[:nbytes]))

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@VERSIONS
@pytest.mark.parametrize("size", [1, 4096, 1 << 18])
def test_buffered_protocol(run, version, size):
    total = 1000 if size == 1 else len(MEGABYTE)

    async def main():
        async with Serving(lambda: Buffered(size), ssl=server_context(**version)) as serving:
            client = await serving.connect()
            client.transport.write(MEGABYTE[:total])
            assert await client.received(total) == MEGABYTE[:total]
            client.transport.close()
            server = serving.protocols[0]
            assert await server.lost is None
            assert server.data == MEGABYTE[:total]
            assert all(hint > 0 for hint in server.hints)

    run(main)


def test_several_records_fill_one_buffer(run):
    async def main():
        async with Serving(lambda: Buffered(1 << 18)) as serving:
            peer, server = await connected_peer(serving)
            for _ in range(50):
                peer.connection.write(b"0123456789")
            await peer.send()
            assert await peer.read()
            assert len(server.hints) < 10
            peer.close()

    run(main)


def test_buffer_without_room(run):
    async def main():
        async with Serving(lambda: Buffered(0)) as serving:
            client = await serving.connect()
            client.transport.write(b"x")
            await client.lost
            error = await serving.protocols[0].lost
            assert isinstance(error, RuntimeError)
        assert len(run.reported) == 1
        run.reported.clear()

    run(main)


def test_from_one_kind_of_protocol_to_the_other(run):
    async def main():
        async with Serving() as serving:
            peer, server = await connected_peer(serving)
            buffered = Buffered()
            buffered.transport = server.transport
            await peer.write(b"first")
            await server.received(5)
            server.transport.set_protocol(buffered)
            await peer.write(b"second")
            assert await peer.read() == b"second"
            server.transport.set_protocol(server)
            await peer.write(b"third")
            assert await server.received(10) == b"firstthird"
            await peer.close_notify()
            await server.lost
            peer.close()

    run(main)


# --- Messages after the handshake


def test_key_update_of_the_peer_is_answered(run):
    async def main():
        async with Serving(Echo) as serving:
            peer, _ = await connected_peer(serving)
            for count in range(5):
                peer.connection.key_update(True)
                await peer.write(b"%d" % count)
                assert await peer.read() == b"%d" % count
            peer.close()

    run(main)


def test_key_update_of_the_connection(run):
    """What a program calls of the Connection goes to the socket, too."""

    async def main():
        async with Serving(Echo) as serving:
            client = await serving.connect()
            connection = client.transport.get_extra_info("fasths_connection")
            assert connection.key_update(True) == 1
            client.transport.write(b"hello")
            assert await client.received(5) == b"hello"
            client.transport.close()
            await client.lost
            with pytest.raises(RuntimeError, match="after shutdown"):
                connection.key_update()
            client = await serving.connect()
            connection = client.transport.get_extra_info("fasths_connection")
            client.transport.abort()
            await client.lost
            assert connection.key_update() == -1

    run(main)


def test_sessions_are_resumed(run):
    async def main():
        for version in ({}, TLS12):
            context = client_context(session_cache=fasths.MemorySessionCache(), **version)
            async with Serving(Echo) as serving:
                for resumed in (False, True):
                    client = await serving.connect(ssl=context)
                    client.transport.write(b"hello")
                    await client.received(5)
                    view = client.transport.get_extra_info("ssl_object")
                    assert view.session_reused is resumed
                    client.transport.close()
                    await client.lost

    run(main)


def test_server_that_is_slow_to_answer(run):
    """A client that gets the server's flight byte by byte."""

    async def main():
        with Listening() as listening:
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Log, *listening.address, ssl=client_context(), server_hostname=HOST
                )
            )
            peer = Peer.server(await listening.accept())
            while not peer.connection.established:
                peer.connection.do_handshake()
                for octet in peer.bio.read():
                    await asyncio.get_running_loop().sock_sendall(peer.sock, bytes([octet]))
                    await asyncio.sleep(0)
                if not peer.connection.established:
                    await peer.receive()
            transport, client = await connecting
            await peer.write(b"hello")
            assert await client.received(5) == b"hello"
            transport.abort()
            peer.close()

    run(main)
