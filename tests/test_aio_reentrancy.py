"""fasths.aio: transports that are called from inside of callbacks."""

import asyncio

import pytest
from aio_peers import (
    VERSIONS,
    Listening,
    Log,
    Peer,
    Serving,
    loop_fixture,
    tcp_connection,
)
from helpers import HOST, client_context, identity, server_context

import fasths
from fasths import aio

run = loop_fixture()
MEGABYTE = bytes(1 << 20)


def take(run, kind):
    """The one report to the loop's exception handler, which is of this kind."""
    (context,) = run.reported
    run.reported.clear()
    assert type(context["exception"]) is kind
    return context


async def silent_peer(serving):
    """A client that has sent its close_notify and reads nothing, and the protocol of the server."""
    peer = await Peer.client(await tcp_connection(serving.address)).handshake()
    server = await serving.protocol()
    await peer.close_notify()
    await server.until(lambda: "eof" in server.calls)
    return peer, server


# --- Writing inside of resume_writing()


def test_last_write_of_a_half_closed_connection(run):
    """The peer waits for the answer alone: close() does not take away what was written before."""

    class Answering(Log):
        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("resume") == 1:
                self.transport.write(16 * MEGABYTE)
                self.transport.write(b"the end")
                self.transport.close()

    async def main():
        async with Serving(lambda: Answering(keeps_open=True)) as serving:
            peer, server = await silent_peer(serving)
            server.transport.write(16 * MEGABYTE)
            assert server.calls[-1] == "pause"
            received = 0
            while data := await peer.read():
                received += len(data)
            assert received == 32 * len(MEGABYTE) + 7
            assert await server.lost is None
            peer.close()

    run(main)


def test_protocol_that_writes_whenever_it_may(run):
    """It does not keep the loop from others, however quickly the peer reads."""

    class Endless(Log):
        def resume_writing(self):
            self.go_on()

        def go_on(self):
            self.resumed = getattr(self, "resumed", 0) + 1
            self.transport.write(b"one")
            self.transport.write(b"two")

    async def main():
        async with Serving(Endless) as serving:
            client = await serving.connect()
            server = await serving.protocol()
            server.transport.set_write_buffer_limits(high=0)
            server.go_on()
            for turns in range(1, 100):
                await asyncio.sleep(0)
                assert server.resumed <= turns + 2
            client.transport.abort()
            await client.lost

    run(main)


# --- Ending inside of callbacks


@pytest.mark.parametrize("by_server", [False, True], ids=["client", "server"])
def test_abort_inside_of_connection_made(run, by_server):
    class Unwilling(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.abort()

    async def main():
        async with Serving(Unwilling if by_server else Log) as serving:
            # The handshake was done: who connects gets the transport.
            client = await serving.connect(Log if by_server else Unwilling)
            error = await client.lost
            assert isinstance(error, fasths.TransportError | OSError) if by_server else not error
            assert client.calls == ["made", "lost"]
            if by_server:
                assert await serving.protocols[0].lost is None
                assert serving.protocols[0].calls == ["made", "lost"]

    run(main)


@VERSIONS
@pytest.mark.parametrize("method", ["close", "abort"])
def test_server_gives_up_inside_of_its_handshake(run, version, method):
    """In a callback of its Context. Its protocol never hears of the connection."""

    def refuse(request):
        getattr(request.user_data, method)()
        return identity()

    async def main():
        context = server_context(identities=[], identity_callback=refuse, **version)
        async with Serving(ssl=context) as serving:
            with pytest.raises((fasths.TransportError, fasths.PeerAlert, OSError)):
                await serving.connect()
            assert serving.protocols[0].calls == []

    run(main)


@VERSIONS
@pytest.mark.parametrize("method", ["close", "abort"])
def test_client_gives_up_inside_of_its_handshake(run, version, method):
    def refuse(request):
        getattr(request.user_data, method)()
        return True

    made = []

    def factory():
        made.append(Log())
        return made[0]

    async def main():
        async with Serving(ssl=server_context(**version)) as serving:
            with pytest.raises(ConnectionAbortedError, match="closed during the handshake"):
                await serving.connect(factory, ssl=client_context(verify_callback=refuse))
            await asyncio.sleep(0.01)
            assert made[0].calls == []

    run(main)


def test_task_of_a_handshake_that_was_given_up_in_its_callback(run):
    """It is cancelled, though the connection was over before it was waited for."""

    async def decide(request):
        await asyncio.sleep(3600)

    awaited = aio.awaiting(decide)

    def refuse(request):
        request.user_data.abort()
        return awaited(request)

    async def main():
        async with Serving(ssl=server_context(identity_callback=refuse, identities=[])) as serving:
            tasks = asyncio.all_tasks()
            with pytest.raises((fasths.TransportError, OSError)):
                await serving.connect()
            await asyncio.sleep(0.01)
            assert asyncio.all_tasks() == tasks

    run(main)


def test_nothing_is_delivered_behind_an_abort(run):
    """Also where a callback of the Context has called it, and data is in the same flight."""

    def find(request):
        request.user_data.abort()

    async def main():
        with Listening() as listening:
            context = client_context(post_handshake_auth=True, identity_callback=find)
            connecting = asyncio.ensure_future(
                aio.create_connection(Log, *listening.address, ssl=context, server_hostname=HOST)
            )
            serving = server_context(
                verify=fasths.Verify.REQUIRED, post_handshake_auth=True, session_tickets=0
            )
            peer = await Peer.server(await listening.accept(), serving).handshake()
            _, client = await connecting
            peer.connection.write(b"before")
            assert peer.connection.verify_client_post_handshake() == 1
            peer.connection.write(b"behind")
            await peer.send()
            assert await client.lost is None
            assert client.data == b"before"
            peer.close()

    run(main)


def test_write_eof_before_the_handshake_is_done(run):
    """It ends what is written, not the handshake."""

    def find(request):
        request.user_data.write(b"hello")
        request.user_data.write_eof()
        return identity()

    async def main():
        context = server_context(identities=[], identity_callback=find)
        async with Serving(ssl=context) as serving:
            client = await serving.connect(lambda: Log(keeps_open=True))
            await client.until(lambda: "eof" in client.calls)
            assert client.data == b"hello"
            client.transport.write(b"answer")
            server = await serving.protocol()
            assert await server.received(6) == b"answer"
            client.transport.close()
            assert await server.lost is None

    run(main)


# --- Callbacks that raise


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_flow_control_that_raises(run, error):
    """Who writes does not get to see it."""

    class Broken(Log):
        def pause_writing(self):
            raise error("pause")

        def resume_writing(self):
            self.calls.append("resume")
            raise error("resume")

    async def main():
        async with Serving(Broken) as serving:
            client = await serving.connect()
            server = await serving.protocol()
            total = 0
            while not run.reported:
                server.transport.write(MEGABYTE)
                total += len(MEGABYTE)
            context = take(run, error)
            assert context["message"] == "protocol.pause_writing() failed"
            assert context["transport"] is server.transport
            await client.received(total)
            while "resume" not in server.calls:
                await asyncio.sleep(0.001)
            take(run, error)
            server.transport.close()
            assert await server.lost is None
            assert await client.lost is None

    run(main)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@pytest.mark.parametrize(
    ("name", "get_buffer"),
    [
        ("get_buffer", lambda _: 1 / 0),
        ("get_buffer", lambda _: bytearray()),
        ("get_buffer", lambda _: None),
        ("get_buffer", lambda _: bytes(10)),
        ("buffer_updated", lambda _: bytearray(10)),
    ],
    ids=["raises", "empty", "none", "read-only", "updated"],
)
def test_buffered_protocol_that_fails(run, name, get_buffer):
    class Broken(Buffered):
        def get_buffer(self, sizehint):
            return get_buffer(sizehint)

        def buffer_updated(self, nbytes):
            raise ZeroDivisionError

    async def main():
        async with Serving(Broken) as serving:
            client = await serving.connect()
            client.transport.write(b"x")
            await client.lost
            error = await serving.protocols[0].lost
            (context,) = run.reported
            assert context["message"] == f"protocol.{name}() failed"
            assert context["exception"] is error
            run.reported.clear()

    run(main)


# --- What is known at the end


def test_addresses_of_a_connection_that_was_reset(run):
    class Last(Log):
        def connection_lost(self, exc):
            self.addresses = [self.transport.get_extra_info(n) for n in ("peername", "sockname")]
            super().connection_lost(exc)

    async def main():
        with Listening() as listening:
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Last, *listening.address, ssl=client_context(), server_hostname=HOST
                )
            )
            sock = await listening.accept()
            peername = sock.getpeername()
            peer = await Peer.server(sock).handshake()
            transport, client = await connecting
            peer.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            peer.close()
            assert isinstance(await client.lost, ConnectionResetError)
            assert client.addresses == [listening.address, peername]
            assert transport.get_extra_info("peername") == listening.address

    run(main)
