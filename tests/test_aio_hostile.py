"""fasths.aio: peers, systems and programs that make it hard."""

import asyncio
import contextlib
import gc
import os
import resource
import socket

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
# RFC 8446, 4: the type of the message.
KEY_UPDATE = bytes([fasths.HandshakeType.key_update])


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


# --- Resets, which some loops tell once, and then never again


def test_reset_right_behind_a_record(run):
    async def main():
        with Listening() as listening:
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Log, *listening.address, ssl=client_context(), server_hostname=HOST
                )
            )
            sock = await listening.accept()
            peer = await Peer.server(sock, server_context(session_tickets=0)).handshake()
            _, client = await connecting
            await peer.write(b"hello")
            reset(peer)
            assert isinstance(await client.lost, ConnectionResetError)
            assert client.data == b"hello"

    run(main)


def test_reset_behind_more_than_is_read_at_once(run):
    async def main():
        with Listening() as listening:
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Log, *listening.address, ssl=client_context(), server_hostname=HOST
                )
            )
            peer = await Peer.server(await listening.accept()).handshake()
            transport, client = await connecting
            # The window grows.
            for _ in range(8):
                await peer.write(MEGABYTE)
            await client.received(8 * len(MEGABYTE))
            transport.pause_reading()
            client.data.clear()
            peer.connection.write(4 * MEGABYTE)
            data = peer.bio.read()
            with contextlib.suppress(BlockingIOError):
                while data:
                    data = data[peer.sock.send(data) :]
            reset(peer)
            transport.resume_reading()
            assert isinstance(await client.lost, ConnectionResetError)
            assert len(client.data) > 1 << 18

    run(main)


# --- Peers that do not read


def test_peer_that_asks_for_much_and_reads_nothing(run):
    """Its KeyUpdates have one answer, however many there are (RFC 8446, 4.6.3)."""
    answers = []

    def note(direction, kind, data):
        if direction == "received" and data[:1] == KEY_UPDATE:
            answers.append(data)

    async def main():
        async with Serving() as serving:
            bio = fasths.MemoryBIO()
            connection = fasths.Connection(
                client_context(), bio, server_hostname=HOST, message_callback=note
            )
            connection.set_connect_state()
            peer = Peer(await tcp_connection(serving.address), connection, bio)
            await peer.handshake()
            server = await serving.protocol()
            written = 0
            while "pause" not in server.calls:
                server.transport.write(MEGABYTE)
                written += len(MEGABYTE)
            for count in range(100):
                peer.connection.key_update(True)
                peer.connection.write(b"x")
                await peer.send()
                await server.received(count + 1)
            while written:
                written -= len(await peer.read())
            assert len(answers) == 1
            peer.close()

    run(main)


def test_half_closed_peer_that_goes_on_sending(run):
    """Nothing behind its close_notify is read, and nothing of it is kept."""

    async def main():
        async with Serving(lambda: Log(keeps_open=True)) as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            server = await serving.protocol()
            await peer.close_notify()
            await server.until(lambda: "eof" in server.calls)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 << 20:
                    async with asyncio.timeout(0.2):
                        await asyncio.get_running_loop().sock_sendall(peer.sock, MEGABYTE)
                    sent += len(MEGABYTE)
            assert sent < 64 << 20
            assert server.calls == ["made", "eof"]
            server.transport.write(b"still here")
            assert await peer.read() == b"still here"
            server.transport.close()
            assert await server.lost is None
            peer.close()

    run(main)


def test_busy_connection_does_not_starve_others(run):
    async def main():
        async with Serving(Echo) as serving:
            busy = await Peer.client(await tcp_connection(serving.address)).handshake()
            loop = asyncio.get_running_loop()
            other = await serving.connect()
            server = await serving.protocol()
            busy.connection.write(8 * MEGABYTE)
            flood = asyncio.ensure_future(loop.sock_sendall(busy.sock, busy.bio.read()))
            for _ in range(20):
                before = len(server.data)
                del other.data[:]
                other.transport.write(b"x")
                await other.received(1)
                # A few turns of the loop, each with a bounded part of what has arrived.
                assert len(server.data) - before < 4 << 20
            flood.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flood
            busy.close()
            other.transport.abort()
            await other.lost

    run(main)


# --- Handshakes


@VERSIONS
def test_client_that_sends_octet_by_octet(run, version):
    """However regularly: the time-out is for the whole handshake."""

    async def main():
        async with Serving(ssl=server_context(**version), ssl_handshake_timeout=0.1) as serving:
            peer = Peer.client(await tcp_connection(serving.address))
            peer.connection.do_handshake()
            hello = peer.bio.read()

            async def send():
                for octet in hello:
                    await asyncio.get_running_loop().sock_sendall(peer.sock, bytes([octet]))
                    await asyncio.sleep(0.01)

            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await send()
            peer.close()
            assert serving.protocols[0].calls == []

    run(main)


def test_server_closes_while_handshakes_go_on(run):
    async def main():
        server = await aio.create_server(Log, ADDRESS, 0, ssl=server_context())
        socks = [await tcp_connection(server.sockets[0].getsockname()) for _ in range(5)]
        await asyncio.sleep(0.01)
        server.close()
        server.close_clients()
        await asyncio.wait_for(server.wait_closed(), 1)
        loop = asyncio.get_running_loop()
        for sock in socks:
            assert await loop.sock_recv(sock, 1) == b""
            sock.close()

    run(main)


# --- Listening


@pytest.mark.parametrize("backlog", [0, 1])
def test_short_backlog(run, backlog):
    async def main():
        async with Serving(Echo, backlog=backlog) as serving:
            client = await asyncio.wait_for(serving.connect(), 2)
            client.transport.write(b"hello")
            assert await client.received(5) == b"hello"
            client.transport.close()
            await client.lost

    run(main)


def test_no_descriptors_for_another_connection(run):
    """Accepting pauses, and does not spin."""

    async def main():
        async with Serving(Echo) as serving:
            sock = await tcp_connection(serving.address)
            others = await serving.connect()
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            highest = max(int(name) for name in os.listdir("/proc/self/fd"))
            waiting = socket.socket()
            waiting.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, limits[1]))
            fill = []
            try:
                with contextlib.suppress(OSError):
                    while True:
                        fill.append(os.dup(0))
                connected = asyncio.ensure_future(
                    asyncio.get_running_loop().sock_connect(waiting, serving.address)
                )
                for _ in range(200):
                    await asyncio.sleep(0.001)
                await connected
                assert len(run.reported) == 1
                assert run.reported[0]["exception"].errno == 24
                # Other connections go on.
                others.transport.write(b"hello")
                await others.received(5)
            finally:
                for descriptor in fill:
                    os.close(descriptor)
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            run.reported.clear()
            # And then it goes on.
            peer = await Peer.client(waiting).handshake()
            await peer.write(b"hello")
            assert await peer.read() == b"hello"
            peer.close()
            sock.close()
            others.transport.abort()
            await others.lost

    run(main)


# --- Cancellation, after any number of steps of the loop


async def cancelled_after(turns, coroutine):
    """Its result, or None where it was cancelled."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


OPTIONS = {
    "address": {},
    "name": {"host": "localhost"},
    "staggered": {"host": "localhost", "happy_eyeballs_delay": 0.001},
    "local address": {"local_addr": ("127.0.0.1", 0)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_connecting_is_cancelled_anywhere(run, options):
    async def main():
        async with Serving() as serving:
            host, port = serving.address
            options.setdefault("host", host)
            turns = done = 0
            while done < 3:
                made = []
                found = await cancelled_after(
                    turns,
                    aio.create_connection(
                        lambda made=made: made.append(Log()) or made[0],
                        port=port,
                        ssl=client_context(),
                        server_hostname=HOST,
                        **options,
                    ),
                )
                turns += 1
                if found is not None:
                    done += 1
                    found[0].abort()
                for protocol in made:
                    if protocol.calls:
                        assert await protocol.lost is None
                        assert protocol.calls == ["made", "lost"]
                assert turns < 1000

    run(main)


@pytest.mark.parametrize("streams", [False, True], ids=["transport", "streams"])
def test_start_tls_is_cancelled_anywhere(run, streams):
    async def serve(reader, writer):
        with contextlib.suppress(OSError, fasths.TLSError):
            _, writer = await aio.upgrade_streams(
                reader, writer, server_context(), server_side=True
            )
        writer.close()
        with contextlib.suppress(OSError, fasths.TLSError):
            await writer.wait_closed()

    async def main():
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks()
        server = await asyncio.start_server(serve, ADDRESS, 0)
        address = server.sockets[0].getsockname()
        turns = done = 0
        while done < 3:
            if streams:
                reader, writer = await asyncio.open_connection(*address)
                found = await cancelled_after(
                    turns,
                    aio.upgrade_streams(reader, writer, client_context(), server_hostname=HOST),
                )
                if found is not None:
                    found[1].transport.abort()
                writer.close()
                with contextlib.suppress(OSError):
                    await asyncio.wait_for(writer.wait_closed(), 2)
            else:
                transport, client = await loop.create_connection(Log, *address)
                found = await cancelled_after(
                    turns,
                    aio.start_tls(transport, client, client_context(), server_hostname=HOST),
                )
                (transport if found is None else found).abort()
                await client.lost
                assert (client.calls[0], client.calls[-1]) == ("made", "lost")
            done += found is not None
            turns += 1
            assert turns < 1000
        server.close()
        while asyncio.all_tasks() != tasks:
            await asyncio.sleep(0.001)

    run(main)


@pytest.mark.parametrize("happy_eyeballs_delay", [None, 0.01], ids=["in turn", "staggered"])
def test_name_that_nobody_has(run, happy_eyeballs_delay):
    async def main():
        with pytest.raises(OSError, match=r"."):
            await aio.create_connection(
                Log,
                "nobody.invalid",
                1,
                ssl=client_context(),
                happy_eyeballs_delay=happy_eyeballs_delay,
            )

    run(main)


# --- What failed


def kept():
    """Errors and transports that are not freed."""
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, OSError | fasths.TLSError | aio.Transport)
    ]


async def is_refused(serving, **options):
    with Listening() as listening:
        port = listening.address[1]
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await aio.create_connection(Log, "localhost", port, ssl=client_context(), **options)


async def does_not_trust(serving):
    with pytest.raises(fasths.CertificateError):
        await serving.connect(server_hostname="other.example")


async def does_not_trust_later(serving):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(asyncio.Protocol, *serving.address)
    with pytest.raises(fasths.CertificateError):
        await aio.start_tls(transport, protocol, client_context(), server_hostname="other.example")


FAILURES = {
    "refused": is_refused,
    "refused, staggered": lambda serving: is_refused(serving, happy_eyeballs_delay=0.01),
    "handshake": does_not_trust,
    "start_tls": does_not_trust_later,
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_failures_leave_nothing_for_the_collector(run, fail):
    async def main():
        async with Serving() as serving:
            await fail(serving)
            gc.collect()
            before = len(kept())
            gc.disable()
            try:
                for _ in range(3):
                    await fail(serving)
                    await asyncio.sleep(0.01)
                assert len(kept()) <= before
            finally:
                gc.enable()

    run(main)
