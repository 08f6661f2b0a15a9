"""trio's SSLStream, and anyio's TLSStream on trio and on asyncio, over contexts of fasths.ssl."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from interop.processes import TIMEOUT

from .contexts import ADDRESS, HOST, OTHER_HOST, is_of_fasths, library
from .servers import CONNECTIONS, LARGE, run_python

trio = library("trio")
library("trio.testing")
anyio = library("anyio")
anyio_tls = library("anyio.streams.tls")

SIZE = 1 << 16
BACKENDS = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


# --- trio ---------------------------------------------------------------------------------------


def run_trio(function):
    async def limited():
        with trio.fail_after(2 * TIMEOUT):
            await function()

    trio.run(limited)


@contextlib.asynccontextmanager
async def trio_pair(sides, *, hostname=HOST, **options):
    """A client and a server over a connection of TCP, before their handshakes."""
    listeners = await trio.open_tcp_listeners(0, host=ADDRESS)
    async with listeners[0] as listener:
        port = listener.socket.getsockname()[1]
        plain = await trio.open_tcp_stream(ADDRESS, port)
        accepted = await listener.accept()
    client = trio.SSLStream(
        plain, sides.client_context(alpn=["x", "echo"]), server_hostname=hostname, **options
    )
    server = trio.SSLStream(
        accepted, sides.server_context(alpn=["echo"]), server_side=True, **options
    )
    try:
        yield client, server
    finally:
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(server)


async def trio_echo(server):
    async for data in server:
        await server.send_all(data)
    await server.aclose()


async def trio_receive(stream, count):
    received = bytearray()
    while len(received) < count:
        data = await stream.receive_some(SIZE)
        assert data
        received += data
    return bytes(received)


def test_trio(sides):
    async def main():
        async with trio_pair(sides) as (client, server), trio.open_nursery() as nursery:
            nursery.start_soon(trio_echo, server)
            await client.send_all(b"hello")
            assert await client.receive_some() == b"hello"
            for stream, of_fasths in (
                (client, sides.client is not ssl),
                (server, sides.server is not ssl),
            ):
                assert is_of_fasths(stream._ssl_object) == of_fasths
                assert stream.version() == sides.version_name
                assert stream.selected_alpn_protocol() == "echo"
                assert stream.pending() == 0
                assert stream.compression() is None
            assert client.cipher() == server.cipher()
            assert client.getpeercert()["subject"] == ((("commonName", "the server"),),)
            assert server.getpeercert() is None
            nursery.start_soon(client.send_all, LARGE)
            assert await trio_receive(client, len(LARGE)) == LARGE
            # close_notify of both sides.
            await client.aclose()

    run_trio(main)


def test_trio_closed_by_the_peer(sides):
    async def main():
        async with trio_pair(sides) as (client, server), trio.open_nursery() as nursery:

            async def serve():
                await server.send_all(b"the end")
                await server.aclose()

            nursery.start_soon(serve)
            assert await client.receive_some() == b"the end"
            assert await client.receive_some() == b""

    run_trio(main)


def test_trio_end_without_close_notify(sides):
    async def main():
        async with trio_pair(sides) as (client, server), trio.open_nursery() as nursery:

            async def serve():
                await server.send_all(b"not the end")
                await server.transport_stream.send_eof()

            nursery.start_soon(serve)
            assert await client.receive_some() == b"not the end"
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.receive_some()
            assert isinstance(caught.value.__cause__, ssl.SSLEOFError)

    run_trio(main)


def test_trio_end_that_http_allows(both):
    """https_compatible: an end without close_notify is an end of data."""

    async def main():
        async with (
            trio_pair(both, https_compatible=True) as (client, server),
            trio.open_nursery() as nursery,
        ):

            async def serve():
                await server.send_all(b"the end")
                await server.aclose()

            nursery.start_soon(serve)
            assert await client.receive_some() == b"the end"
            assert await client.receive_some() == b""

    run_trio(main)


def test_trio_unwrap(sides):
    """What follows close_notify is the plain stream's, also what has already arrived."""

    async def main():
        async with trio_pair(sides) as (client, server), trio.open_nursery() as nursery:
            finished = trio.Event()

            async def serve():
                assert await server.receive_some() == b"enough"
                plain, rest = await server.unwrap()
                received.append(rest)
                await plain.send_all(b"plain answer")
                await plain.aclose()
                finished.set()

            nursery.start_soon(serve)
            await client.send_all(b"enough")
            plain, rest = await client.unwrap()
            await finished.wait()
            while len(rest) < len(b"plain answer"):
                rest += await plain.receive_some()
            assert rest == b"plain answer"
            await plain.aclose()

    received = []
    run_trio(main)
    assert received == [b""]


def test_trio_plain_bytes_behind_close_notify(both):
    """They come in one piece with it, and are given back."""

    async def main():
        left, right = trio.testing.memory_stream_pair()
        client = trio.SSLStream(left, both.client_context(), server_hostname=HOST)
        server = trio.SSLStream(right, both.server_context(), server_side=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            await server.do_handshake()
        sent = []
        send_all = left.send_all

        async def keep(data):
            sent.append(bytes(data))

        async with trio.open_nursery() as nursery:
            left.send_all = keep

            async def unwrap():
                plain, rest = await client.unwrap()
                assert (plain, rest) == (left, b"")

            nursery.start_soon(unwrap)
            await trio.testing.wait_all_tasks_blocked()
            await send_all(b"".join(sent) + b"plain")
            plain, rest = await server.unwrap()
            assert (plain, rest) == (right, b"plain")

    run_trio(main)


def test_trio_wrong_name_is_refused(sides):
    async def main():
        async with (
            trio_pair(sides, hostname=OTHER_HOST) as (client, server),
            trio.open_nursery() as nursery,
        ):

            async def serve():
                # In TLS 1.3 the handshake is over for the server when the alert comes.
                with contextlib.suppress(trio.BrokenResourceError):
                    await server.do_handshake()
                with pytest.raises(trio.BrokenResourceError):
                    await server.receive_some()

            nursery.start_soon(serve)
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.do_handshake()
            error = caught.value.__cause__
            assert isinstance(error, ssl.SSLCertVerificationError)
            assert error.verify_code == 62
            await client.transport_stream.send_eof()

    run_trio(main)


def test_trio_many_connections(sides):
    async def main():
        listeners = await trio.open_ssl_over_tcp_listeners(0, sides.server_context(), host=ADDRESS)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        context = sides.client_context()

        async def talk(number):
            stream = await trio.open_ssl_over_tcp_stream(HOST, port, ssl_context=context)
            async with stream:
                body = b"%d" % number * 1000
                await stream.send_all(body)
                assert await trio_receive(stream, len(body)) == body
                done.append(number)

        async with trio.open_nursery() as serving:
            await serving.start(trio.serve_listeners, trio_echo, listeners)
            async with trio.open_nursery() as talking:
                for number in range(CONNECTIONS):
                    talking.start_soon(talk, number)
            serving.cancel_scope.cancel()

    done = []
    run_trio(main)
    assert sorted(done) == list(range(CONNECTIONS))


# --- anyio --------------------------------------------------------------------------------------


@pytest.fixture(params=BACKENDS)
def run_anyio(request):
    def run(function):
        async def limited():
            with anyio.fail_after(2 * TIMEOUT):
                await function()

        anyio.run(limited, **BACKENDS[request.param])

    return run


@contextlib.asynccontextmanager
async def anyio_serving(sides, handler, **options):
    plain = await anyio.create_tcp_listener(local_host=ADDRESS)
    listener = anyio_tls.TLSListener(plain, sides.server_context(alpn=["echo"]), **options)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handler)
        yield plain.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def anyio_receive(stream, count):
    received = bytearray()
    while len(received) < count:
        received += await stream.receive(SIZE)
    return bytes(received)


def test_anyio(run_anyio, sides):
    seen = []

    async def echo(stream):
        async with stream:
            seen.append(stream.extra(anyio_tls.TLSAttribute.ssl_object))
            async for data in stream:
                await stream.send(data)

    async def main():
        async with anyio_serving(sides, echo) as port:
            stream = await anyio.connect_tcp(
                ADDRESS,
                port,
                ssl_context=sides.client_context(alpn=["echo"]),
                tls_hostname=HOST,
            )
            async with stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
                attributes = anyio_tls.TLSAttribute
                sides.check_client(stream.extra(attributes.ssl_object))
                sides.check_server(seen[0])
                assert stream.extra(attributes.alpn_protocol) == "echo"
                assert stream.extra(attributes.tls_version) == sides.version_name
                assert stream.extra(attributes.cipher) == seen[0].cipher()
                assert stream.extra(attributes.peer_certificate)["subject"]
                assert stream.extra(attributes.peer_certificate_binary)
                # RFC 8446, C.5: TLS 1.3 has none; OpenSSL gives something all the same.
                if sides.version_name == "TLSv1.2":
                    unique = stream.extra(attributes.channel_binding_tls_unique)
                    assert unique
                    assert unique == seen[0].get_channel_binding("tls-unique")
                async with anyio.create_task_group() as group:
                    group.start_soon(stream.send, LARGE)
                    assert await anyio_receive(stream, len(LARGE)) == LARGE

    run_anyio(main)


def test_anyio_ends(run_anyio, both):
    """close_notify is an end of data; what ends without it is broken."""

    async def serve(stream):
        how = await stream.receive()
        await stream.send(b"data")
        if how == b"close":
            await stream.aclose()
        else:
            await stream.transport_stream.aclose()

    async def connect(port):
        return await anyio.connect_tcp(
            ADDRESS, port, ssl_context=both.client_context(), tls_hostname=HOST
        )

    async def main():
        async with anyio_serving(both, serve) as port:
            stream = await connect(port)
            await stream.send(b"close")
            assert await stream.receive() == b"data"
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            await stream.aclose()
            stream = await connect(port)
            await stream.send(b"cut")
            assert await stream.receive() == b"data"
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ssl.SSLEOFError)
            await anyio.aclose_forcefully(stream)

    run_anyio(main)


def test_anyio_wrap(run_anyio, both):
    """TLSStream.wrap() over any stream, and unwrap()."""

    async def main():
        async with await anyio.create_tcp_listener(local_host=ADDRESS) as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)

            async def serve(plain):
                stream = await anyio_tls.TLSStream.wrap(
                    plain, server_side=True, ssl_context=both.server_context()
                )
                assert await stream.receive() == b"hello"
                plain, rest = await stream.unwrap()
                assert rest == b""
                await plain.send(b"plain answer")
                await plain.aclose()
                served.set()

            served = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, serve)
                plain = await anyio.connect_tcp(ADDRESS, port)
                stream = await anyio_tls.TLSStream.wrap(
                    plain, hostname=HOST, ssl_context=both.client_context()
                )
                both.check_client(stream.extra(anyio_tls.TLSAttribute.ssl_object))
                await stream.send(b"hello")
                plain, answer = await stream.unwrap()
                while len(answer) < len(b"plain answer"):
                    answer += await plain.receive()
                assert answer == b"plain answer"
                await served.wait()
                await plain.aclose()
                group.cancel_scope.cancel()

    run_anyio(main)


def test_anyio_many_connections(run_anyio, both):
    async def echo(stream):
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def main():
        context = both.client_context()

        async def talk(port, number):
            stream = await anyio.connect_tcp(ADDRESS, port, ssl_context=context, tls_hostname=HOST)
            async with stream:
                body = b"%d" % number * 1000
                await stream.send(body)
                assert await anyio_receive(stream, len(body)) == body
                done.append(number)

        async with anyio_serving(both, echo) as port, anyio.create_task_group() as group:
            for number in range(CONNECTIONS):
                group.start_soon(talk, port, number)

    done = []
    run_anyio(main)
    assert sorted(done) == list(range(CONNECTIONS))


def test_anyio_wrong_name_is_refused(run_anyio, both):
    async def handler(stream):
        """With TLS 1.3 a server may be done before the client refuses it."""
        await stream.aclose()

    async def main():
        async with anyio_serving(both, handler) as port:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await anyio.connect_tcp(
                    ADDRESS, port, ssl_context=both.client_context(), tls_hostname=OTHER_HOST
                )
            assert caught.value.verify_code == 62

    run_anyio(main)


REPLACED = """
import sys
import fasths.ssl
sys.modules["ssl"] = fasths.ssl
import ssl, trio, anyio
from anyio.streams.tls import TLSAttribute
library, authority, chain, key = sys.argv[1:]

serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
serving.load_cert_chain(chain, key)
context = ssl.create_default_context(cafile=authority)

async def echo(stream):
    async for data in stream:
        await stream.send_all(data)

async def with_trio():
    listeners = await trio.open_ssl_over_tcp_listeners(0, serving, host="127.0.0.1")
    port = listeners[0].transport_listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, echo, listeners)
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=context)
        async with stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            print(type(stream._ssl_object._sslobj).__module__, stream.version())
        nursery.cancel_scope.cancel()

async def with_anyio():
    from anyio.streams.tls import TLSListener
    async def handle(stream):
        async with stream:
            async for data in stream:
                await stream.send(data)
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(anyio.abc.SocketAttribute.local_port)
    async with TLSListener(plain, serving) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        stream = await anyio.connect_tcp("localhost", port, ssl_context=context)
        async with stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            found = stream.extra(TLSAttribute.ssl_object)
            print(type(found._sslobj).__module__, found.version())
        group.cancel_scope.cancel()

if library == "trio":
    trio.run(with_trio)
else:
    anyio.run(with_anyio)
"""


@pytest.mark.parametrize("name", ["trio", "anyio"])
def test_replaced_before_all_imports(certificates, name):
    server = certificates.server
    printed = run_python(REPLACED, name, certificates.authority, server.chain, server.key)
    assert printed.split() == ["fasths.ssl._connection", "TLSv1.3"]
