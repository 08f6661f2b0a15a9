"""fasths.aio: time-outs, cancellation, closing, servers; nothing is left behind."""

import asyncio
import gc
import socket
import sys
import weakref

import pytest
from aio_peers import (
    ADDRESS,
    VERSIONS,
    Echo,
    Listening,
    Log,
    Peer,
    Serving,
    loop_fixture,
    tcp_connection,
)
from helpers import HOST, client_context, server_context

import fasths
from fasths import aio

run = loop_fixture()
MEGABYTE = bytes(1 << 20)
ALERT = fasths.ContentType.alert


# --- Time-outs


def test_server_that_never_answers(run):
    async def main():
        with Listening() as listening:
            with pytest.raises(ConnectionAbortedError, match="handshake is not done after"):
                await aio.create_connection(
                    Log,
                    *listening.address,
                    ssl=client_context(),
                    server_hostname=HOST,
                    ssl_handshake_timeout=0.05,
                )
            # It has said goodbye.
            peer = Peer.server(await listening.accept())
            while await peer.receive():
                pass
            peer.connection.do_handshake()
            peer.close()

    run(main)


def test_client_that_never_speaks(run):
    async def main():
        async with Serving(ssl_handshake_timeout=0.05) as serving:
            sock = await tcp_connection(serving.address)
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(sock, 100):
                pass
            sock.close()
            assert serving.protocols[0].calls == []

    run(main)


def test_peer_that_does_not_answer_close_notify(run):
    async def main():
        async with Serving(ssl_shutdown_timeout=0.05) as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            server.transport.close()
            assert server.transport.is_closing()
            assert isinstance(await server.lost, TimeoutError)
            assert await peer.read() == b""
            peer.close()

    run(main)


def test_peer_that_does_not_read_what_was_written(run):
    async def main():
        async with Serving(ssl_shutdown_timeout=0.05) as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            server.transport.write(MEGABYTE * 16)
            server.transport.close()
            assert isinstance(await server.lost, TimeoutError)
            peer.close()

    run(main)


def test_slow_peer_gets_all_that_was_written(run):
    """The time-out of closing is for a peer that takes nothing, not for one that takes its time."""

    async def main():
        async with Serving(ssl_shutdown_timeout=0.3) as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            total = 24 * len(MEGABYTE)
            server.transport.write(bytes(total))
            server.transport.close()
            received = 0
            while data := await peer.read():
                if received // len(MEGABYTE) != (received + len(data)) // len(MEGABYTE):
                    await asyncio.sleep(0.02)
                received += len(data)
            assert received == total
            await peer.close_notify()
            assert await server.lost is None
            peer.close()

    run(main)


# --- Cancellation


@pytest.mark.parametrize("turns", range(12))
def test_connecting_is_cancelled(run, turns):
    """After any number of iterations of the loop."""

    async def main():
        async with Serving() as serving:
            connecting = asyncio.ensure_future(serving.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            if connecting.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await connecting
            else:
                connecting.result().transport.abort()
                await connecting.result().lost

    run(main)


@pytest.mark.parametrize("turns", range(8))
def test_staggered_attempts_are_cancelled(run, turns):
    async def main():
        async with Serving() as serving:
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Log,
                    "localhost",
                    serving.address[1],
                    ssl=client_context(),
                    happy_eyeballs_delay=0.001,
                )
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main)


def test_time_out_of_the_application(run):
    async def main():
        with Listening() as listening, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await aio.open_connection(
                    *listening.address, ssl=client_context(), server_hostname=HOST
                )

    run(main)


def test_factory_that_raises(run):
    def factory():
        raise ZeroDivisionError

    async def main():
        async with Serving(factory) as serving:
            with pytest.raises(ZeroDivisionError):
                await serving.connect(factory)
            sock = await tcp_connection(serving.address)
            assert await asyncio.get_running_loop().sock_recv(sock, 1) == b""
            sock.close()
        assert {type(each["exception"]) for each in run.reported} == {ZeroDivisionError}
        run.reported.clear()

    run(main)


# --- Closing


@VERSIONS
def test_close_sends_what_was_written(run, version):
    async def main():
        async with Serving(ssl=server_context(**version)) as serving:
            client = await serving.connect()
            client.transport.write(MEGABYTE * 4)
            client.transport.close()
            client.transport.close()
            assert await client.lost is None
            server = serving.protocols[0]
            assert await server.lost is None
            assert len(server.data) == 4 * len(MEGABYTE)

    run(main)


def test_close_inside_of_data_received(run):
    class Last(Log):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"the last word")
            self.transport.close()

    async def main():
        async with Serving(Last) as serving:
            client = await serving.connect()
            client.transport.write(b"one")
            assert await client.received(13) == b"the last word"
            assert await client.lost is None
            assert await serving.protocols[0].lost is None

    run(main)


def test_close_inside_of_connection_made(run):
    class Unwilling(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.close()

    async def main():
        async with Serving(Unwilling) as serving:
            client = await serving.connect()
            assert await client.lost is None
            assert client.calls == ["made", "eof", "lost"]
            client = await serving.connect(Unwilling)
            assert await client.lost is None

    run(main)


def test_abort_inside_of_data_received(run):
    class Rude(Log):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"nobody reads this")
            self.transport.abort()

    async def main():
        async with Serving(Rude) as serving:
            client = await serving.connect()
            client.transport.write(b"one")
            assert await client.lost is not None
            server = serving.protocols[0]
            assert await server.lost is None
            assert client.data == b""
            assert server.pieces == [b"one"]

    run(main)


def test_nothing_is_called_after_connection_lost(run):
    async def main():
        async with Serving() as serving:
            client = await serving.connect()
            transport = client.transport
            transport.abort()
            assert client.calls == ["made"]
            assert await client.lost is None
            transport.abort()
            transport.close()
            transport.write(b"x")
            transport.write_eof()
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
            assert transport.get_extra_info("sockname") is None
            assert repr(transport) == "<fasths.aio.Transport fd=-1 closed>"
            await asyncio.sleep(0.01)
            assert client.calls == ["made", "lost"]

    run(main)


def test_end_without_close_notify_is_no_error_once_we_have_closed(run):
    async def main():
        async with Serving() as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            server.transport.close()
            assert await peer.read() == b""
            peer.close()
            assert await server.lost is None

    run(main)


def test_data_before_the_end_of_a_peer_that_does_not_read(run):
    """A write fails, but what the peer has sent before is delivered."""

    async def main():
        async with Serving() as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            server.transport.write(b"x")
            await asyncio.sleep(0.01)
            peer.connection.write(b"sorry, ")
            peer.connection.write(b"no")
            await peer.send()
            # With something unread that is a reset.
            peer.close()
            for _ in range(10):
                server.transport.write(b"more")
            error = await server.lost
            assert isinstance(error, OSError)
            assert server.data == b"sorry, no"

    run(main)


def test_alert_tells_more_than_a_broken_pipe(run):
    async def main():
        async with Serving() as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            # A record that does not open: it fails, and says so.
            peer.bio.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            assert peer.connection.read() is None
            await peer.send()
            peer.close()
            for _ in range(10):
                server.transport.write(b"more")
            error = await server.lost
            assert isinstance(error, fasths.PeerAlert)
            assert error.alert is fasths.AlertDescription.bad_record_mac

    run(main)


# --- Memory


def test_transports_are_freed_without_the_collector(run):
    async def main():
        gc.collect()
        gc.disable()
        try:
            async with Serving(Echo) as serving:
                client = await serving.connect()
                client.transport.write(b"hello")
                await client.received(5)
                server = serving.protocols[0]
                gone = [weakref.ref(client.transport), weakref.ref(server.transport)]
                client.transport.close()
                await client.lost
                await server.lost
                client.transport = server.transport = None
                await asyncio.sleep(0.01)
                assert [reference() for reference in gone] == [None, None]
        finally:
            gc.enable()

    run(main)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_idle_connection_holds_little(run):
    async def main():
        async with Serving(Echo) as serving:
            clients = [await serving.connect() for _ in range(20)]
            for client in clients:
                client.transport.write(bytes(100_000))
            for client in clients:
                await client.received(100_000)
                client.data.clear()
                client.pieces.clear()
            gc.collect()
            buffers = [
                each
                for each in gc.get_objects()
                if isinstance(each, bytearray) and len(each) > 10_000
            ]
            assert buffers == []
            for client in clients:
                client.transport.abort()
                await client.lost

    run(main)


# --- Servers


def test_server(run):
    async def main():
        server = await aio.create_server(
            Echo, ADDRESS, 0, ssl=server_context(), start_serving=False
        )
        assert not server.is_serving()
        assert server.get_loop() is asyncio.get_running_loop()
        address = server.sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError):
            await tcp_connection(address)
        await server.start_serving()
        await server.start_serving()
        assert server.is_serving()
        transport, client = await aio.create_connection(
            Log, *address, ssl=client_context(), server_hostname=HOST
        )
        server.close()
        server.close()
        assert not server.is_serving()
        assert server.sockets == ()
        # Connections go on.
        transport.write(b"hello")
        await client.received(5)
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        server.close_clients()
        assert await client.lost is None
        await waiting
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main)


def test_serve_forever(run):
    async def main():
        server = await aio.create_server(
            Echo, ADDRESS, 0, ssl=server_context(), start_serving=False
        )
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()

    run(main)


def test_server_is_a_context_manager(run):
    async def main():
        async with await aio.create_server(Echo, ADDRESS, 0, ssl=server_context()) as server:
            assert server.is_serving()
        assert not server.is_serving()

    run(main)


def test_several_hosts(run):
    async def main():
        server = await aio.create_server(Echo, ["127.0.0.1", "127.0.0.2"], 0, ssl=server_context())
        hosts = {sock.getsockname()[0] for sock in server.sockets}
        assert hosts == {"127.0.0.1", "127.0.0.2"}
        server.close()
        server = await aio.create_server(Echo, None, 0, ssl=server_context())
        assert server.sockets
        server.close()

    run(main)


def test_address_in_use(run):
    async def main():
        async with Serving() as serving:
            with pytest.raises(OSError, match="attempting to bind"):
                await aio.create_server(Log, *serving.address, ssl=server_context())
            server = await aio.create_server(
                Log, ADDRESS, 0, ssl=server_context(), reuse_address=False, start_serving=False
            )
            server.close()

    run(main)


def test_port_is_shared(run):
    async def main():
        servers = []
        port = 0
        for _ in range(2):
            server = await aio.create_server(
                Echo, ADDRESS, port, ssl=server_context(), reuse_port=True
            )
            servers.append(server)
            port = server.sockets[0].getsockname()[1]
        for server in servers:
            server.close()

    run(main)


def test_many_connections_at_once(run):
    async def main():
        async with Serving(Echo) as serving:

            async def one(number):
                client = await serving.connect()
                client.transport.write(b"%d" % number)
                await client.received(1)
                client.transport.close()
                return await client.lost

            assert set(await asyncio.gather(*map(one, range(100)))) == {None}

    run(main)


def test_sockets_are_closed_where_they_cannot_be_used(run):
    async def main():
        sock = socket.socket()
        sock.setblocking(False)
        with pytest.raises(OSError, match="not connected"):
            await aio.create_connection(Log, sock=sock, ssl=client_context(), server_hostname=HOST)
        assert sock.fileno() == -1

    run(main)


def test_nothing_is_delivered_inside_of_a_write(run):
    """Also where the write fails, and something to be read is found."""
    inside = []

    class Careful(Log):
        writing = False

        def data_received(self, data):
            inside.append(self.writing)
            super().data_received(data)
            self.writing = True
            for _ in range(200):
                self.transport.write(bytes(1000))
            self.writing = False

    async def main():
        async with Serving(Careful) as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            server.transport.write(b"unread, so that it is a reset")
            await asyncio.sleep(0.01)
            for _ in range(5):
                await peer.write(bytes(16_000))
            peer.close()
            assert await server.lost is not None
        assert inside
        assert not any(inside)

    run(main)
