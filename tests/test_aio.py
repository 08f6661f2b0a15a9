"""fasths.aio: connections over real sockets, on asyncio's loop and on uvloop's."""

import asyncio
import socket
import ssl

import pki
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
from helpers import HOST, authority, client_context, identity, server_context

import fasths
from fasths import aio

run = loop_fixture()
MEGABYTE = bytes(range(256)) * 4096


@VERSIONS
def test_echo(run, version):
    async def main():
        async with Serving(Echo, ssl=server_context(**version)) as serving:
            client = await serving.connect()
            assert client.calls == ["made"]
            client.transport.write(b"hello")
            assert await client.received(5) == b"hello"
            client.transport.close()
            assert await client.lost is None
            server = serving.protocols[0]
            assert await server.lost is None
            assert client.calls == ["made", "lost"]
            assert server.calls == ["made", "eof", "lost"]

    run(main)


@VERSIONS
@pytest.mark.parametrize("size", [1, 16384, 16385, len(MEGABYTE)])
def test_echo_of_a_size(run, version, size):
    async def main():
        async with Serving(Echo, ssl=server_context(**version)) as serving:
            client = await serving.connect()
            client.transport.write(MEGABYTE[:size])
            assert await client.received(size) == MEGABYTE[:size]
            client.transport.close()
            await client.lost

    run(main)


@VERSIONS
def test_streams(run, version):
    async def serve(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write(b"the end")
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await aio.start_server(serve, ADDRESS, 0, ssl=server_context(**version))
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await aio.open_connection(
                ADDRESS, port, ssl=client_context(), server_hostname=HOST
            )
            writer.write(MEGABYTE)
            assert await reader.readexactly(len(MEGABYTE)) == MEGABYTE
            writer.write_eof()
            assert await reader.read() == b"the end"
            writer.close()
            await writer.wait_closed()
        await server.wait_closed()

    run(main)


@VERSIONS
def test_client_of_the_standard_library(run, version):
    async def main():
        async with Serving(Echo, ssl=server_context(**version)) as serving:
            context = ssl.create_default_context(cadata=authority().pem.decode())
            reader, writer = await asyncio.open_connection(
                *serving.address, ssl=context, server_hostname=HOST
            )
            writer.write(MEGABYTE)
            assert await reader.readexactly(len(MEGABYTE)) == MEGABYTE
            writer.close()
            await writer.wait_closed()
            assert await serving.protocols[0].lost is None

    run(main)


@VERSIONS
def test_server_of_the_standard_library(run, version, tmp_path):
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")
    (tmp_path / "chain.pem").write_bytes(leaf.chain_pem)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")

    async def main():
        made = []

        def factory():
            made.append(Echo())
            return made[0]

        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, ADDRESS, 0, ssl=context)
        address = server.sockets[0].getsockname()
        transport, client = await aio.create_connection(
            Log, *address, ssl=client_context(**version), server_hostname=HOST
        )
        transport.write(MEGABYTE)
        assert await client.received(len(MEGABYTE)) == MEGABYTE
        transport.close()
        assert await client.lost is None
        assert await made[0].lost is None
        server.close()
        await server.wait_closed()

    run(main)


# --- What is said about a connection


def test_extra_info(run):
    async def main():
        async with Serving(ssl=server_context(alpn=["h2", "http/1.1"])) as serving:
            context = client_context(alpn=["http/1.1"])
            client = await serving.connect(ssl=context)
            get = client.transport.get_extra_info
            assert get("fasths_connection").version is fasths.TLSVersion.TLSv1_3
            assert get("sslcontext") is context
            assert get("cipher") == ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)
            assert get("compression") is None
            assert get("peername") == serving.address
            assert get("socket").getsockname() == get("sockname")
            assert get("no such thing") is None
            assert get("no such thing", 7) == 7
            assert ("DNS", HOST) in get("peercert")["subjectAltName"]
            view = get("ssl_object")
            assert view.selected_alpn_protocol() == "http/1.1"
            assert view.version() == "TLSv1.3"
            assert view.server_hostname == HOST
            assert not view.server_side
            assert not view.session_reused
            assert view.context is context
            assert view.getpeercert(True) == identity().certificates[0]
            assert len(view.get_channel_binding("tls-exporter")) == 32
            server = (await serving.protocol()).transport
            assert server.get_extra_info("peername") == get("sockname")
            assert server.get_extra_info("peercert") is None
            assert server.get_extra_info("ssl_object").server_side
            client.transport.close()
            await client.lost

    run(main)


def test_protocol_can_be_replaced(run):
    async def main():
        async with Serving() as serving:
            client = await serving.connect()
            other = Log()
            client.transport.set_protocol(other)
            assert client.transport.get_protocol() is other
            (await serving.protocol()).transport.write(b"for the other")
            assert await other.received(13) == b"for the other"
            client.transport.close()
            assert await other.lost is None
            assert client.calls == ["made"]

    run(main)


def test_first_write_in_connection_made_goes_with_the_handshake(run):
    class Eager(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"a greeting")

    async def main():
        with Listening() as listening:
            accepted = asyncio.ensure_future(listening.accept())
            connecting = asyncio.ensure_future(
                aio.create_connection(
                    Eager, *listening.address, ssl=client_context(), server_hostname=HOST
                )
            )
            peer = Peer.server(await accepted)
            peer.connection.do_handshake()
            await peer.receive()
            peer.connection.do_handshake()
            await peer.send()
            # One segment: what the socket gives at once.
            await peer.receive()
            assert peer.connection.do_handshake() == 1
            assert peer.connection.read() == b"a greeting"
            transport, _ = await connecting
            transport.abort()
            peer.close()

    run(main)


# --- Failures


def test_client_that_does_not_trust_the_server(run):
    async def main():
        async with Serving() as serving:
            other = fasths.TrustStore.from_pem(pki.make_ca(key_type="ed25519").pem)
            with pytest.raises(fasths.CertificateError):
                await serving.connect(ssl=client_context(trust=other))
            # Nobody tells the protocol of the server.
            assert serving.protocols[0].calls == []

    run(main)


def test_server_that_refuses(run):
    async def main():
        async with Serving(ssl=server_context(alpn=["h2"])) as serving:
            with pytest.raises(fasths.PeerAlert) as raised:
                await serving.connect(ssl=client_context(alpn=["http/1.1"]))
            assert raised.value.alert is fasths.AlertDescription.no_application_protocol

    run(main)


@pytest.mark.parametrize("debug", [True, False], ids=["debug", "not-debug"])
def test_failed_handshakes_at_a_server_are_reported_for_debugging(run, debug):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        async with Serving(ssl=server_context(alpn=["h2"])) as serving:
            with pytest.raises(fasths.PeerAlert):
                await serving.connect(ssl=client_context(alpn=["http/1.1"]))
        assert len(run.reported) == debug
        for context in run.reported:
            assert context["message"] == "The handshake of an incoming connection failed"
            assert "no application protocol" in str(context["exception"])
        run.reported.clear()

    run(main)


def test_name_that_does_not_match(run):
    async def main():
        async with Serving() as serving:
            with pytest.raises(fasths.CertificateError, match=r"other\.example"):
                await serving.connect(server_hostname="other.example")

    run(main)


def test_client_without_certificate_reads_the_alert(run):
    """In TLS 1.3 it is done before the server is: the alert is the end of the connection."""

    async def main():
        async with Serving(ssl=server_context(verify=fasths.Verify.REQUIRED)) as serving:
            client = await serving.connect(ssl=client_context())
            client.transport.write(b"x" * 100_000)
            error = await client.lost
            assert isinstance(error, fasths.PeerAlert), error
            assert error.alert is fasths.AlertDescription.certificate_required

    run(main)


def test_connection_refused(run):
    async def main():
        with Listening() as listening:
            address = listening.address
        with pytest.raises(ConnectionRefusedError):
            await aio.create_connection(Log, *address, ssl=client_context(), server_hostname=HOST)
        with pytest.raises(ExceptionGroup):
            await aio.create_connection(
                Log, *address, ssl=client_context(), server_hostname=HOST, all_errors=True
            )

    run(main)


@pytest.mark.parametrize("delay", [None, 0.05], ids=["in turn", "staggered"])
def test_the_address_that_answers_is_taken(run, delay):
    """localhost is ::1 for some, and nothing listens there."""

    async def main():
        async with Serving() as serving:
            client = await aio.create_connection(
                Log,
                "localhost",
                serving.address[1],
                ssl=client_context(),
                happy_eyeballs_delay=delay,
            )
            client[0].close()
            assert await client[1].lost is None

    run(main)


def test_local_address(run):
    async def main():
        async with Serving() as serving:
            client = await serving.connect(local_addr=("127.0.0.1", 0))
            assert client.transport.get_extra_info("sockname")[0] == "127.0.0.1"
            client.transport.close()
            await client.lost
            with pytest.raises(OSError, match="no matching local address"):
                await serving.connect(local_addr=("::1", 0))

    run(main)


def test_truncation_is_an_error(run):
    async def main():
        async with Serving() as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            await peer.write(b"all of it?")
            peer.close()
            server = await serving.protocol()
            error = await server.lost
            assert isinstance(error, fasths.TransportError)
            assert "close_notify" in error.reason
            assert server.data == b"all of it?"
            assert server.calls == ["made", "lost"]

    run(main)


def test_reset_is_the_oserror(run):
    async def main():
        async with Serving() as serving:
            peer = await Peer.client(await tcp_connection(serving.address)).handshake()
            await peer.write(b"x")
            server = await serving.protocol()
            await server.received(1)
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            assert isinstance(await server.lost, ConnectionResetError)

    run(main)


def test_peer_that_speaks_no_tls(run):
    async def main():
        async with Serving() as serving:
            sock = await tcp_connection(serving.address)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\n\r\n")
            # An alert, and the end.
            alert = await loop.sock_recv(sock, 100)
            assert alert == bytes((21, 3, 3, 0, 2, 2, 10))
            assert await loop.sock_recv(sock, 100) == b""
            sock.close()

    run(main)


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received"])
def test_protocol_that_raises(run, method):
    """It loses its connection, and the loop's exception handler hears of it."""

    class Broken(Log):
        pass

    def fail(*_):
        raise ZeroDivisionError(method)

    setattr(Broken, method, fail)

    async def main():
        async with Serving(Broken) as serving:
            client = await serving.connect(lambda: Log(keeps_open=True))
            client.transport.write(b"x")
            client.transport.write_eof()
            await client.lost
            server = serving.protocols[0]
            assert isinstance(await server.lost, ZeroDivisionError)
        (context,) = run.reported
        assert context["protocol"] is server
        assert isinstance(context["exception"], ZeroDivisionError)
        run.reported.clear()

    run(main)


# --- Arguments


def test_arguments(run):
    async def main():
        for context in (None, True, ssl.create_default_context()):
            with pytest.raises(TypeError, match="Context is needed"):
                await aio.create_connection(Log, ADDRESS, 1, ssl=context)
            with pytest.raises(TypeError, match="Context is needed"):
                await aio.create_server(Log, ADDRESS, 0, ssl=context)
        client, server = client_context(), server_context()
        with pytest.raises(ValueError, match="with an identity"):
            await aio.create_server(Log, ADDRESS, 0, ssl=client)
        with pytest.raises(ValueError, match="Neither host/port nor sock"):
            await aio.create_server(Log, ssl=server)
        with pytest.raises(ValueError, match="no sock specified"):
            await aio.create_connection(Log, ssl=client, server_hostname=HOST)
        with pytest.raises(ValueError, match="You must set server_hostname"):
            await aio.create_connection(Log, None, 1, ssl=client)
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            with pytest.raises(ValueError, match=name):
                await aio.create_connection(Log, ADDRESS, 1, ssl=client, **{name: 0})
        with socket.socket() as sock, pytest.raises(ValueError, match="at the same time"):
            await aio.create_connection(Log, ADDRESS, 1, ssl=client, sock=sock)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            with pytest.raises(ValueError, match="Stream Socket"):
                await aio.create_connection(Log, ssl=client, sock=sock, server_hostname=HOST)
            with pytest.raises(ValueError, match="Stream Socket"):
                await aio.create_server(Log, ssl=server, sock=sock)

    run(main)


def test_write_takes_bytes_alone(run):
    async def main():
        async with Serving(Echo) as serving:
            client = await serving.connect()
            transport = client.transport
            for wrong in ("text", 7, None):
                with pytest.raises(TypeError):
                    transport.write(wrong)
            data = bytearray(b"0123456789")
            transport.write(data)
            transport.write(memoryview(data)[2:4])
            data[:] = b"changed it"
            transport.write(memoryview(b"abcdef")[::2])
            transport.write(b"")
            transport.writelines([b"x", bytearray(b"y"), memoryview(b"z")])
            assert await client.received(18) == b"012345678923acexyz"
            transport.close()
            transport.write(b"nobody minds")
            await client.lost
            transport.write(b"nobody minds")

    run(main)


def test_given_sockets(run):
    async def main():
        listening = socket.create_server((ADDRESS, 0))
        server = await aio.create_server(Echo, sock=listening, ssl=server_context())
        sock = await tcp_connection(listening.getsockname())
        transport, client = await aio.create_connection(
            Log, sock=sock, ssl=client_context(), server_hostname=HOST
        )
        transport.write(b"hello")
        await client.received(5)
        transport.close()
        await client.lost
        server.close()
        await server.wait_closed()

    run(main)


def test_unix_sockets(run, tmp_path):
    async def main():
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "socket"))
        server = await aio.create_server(Echo, sock=listening, ssl=server_context())
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(tmp_path / "socket"))
        transport, client = await aio.create_connection(
            Log, sock=sock, ssl=client_context(), server_hostname=HOST
        )
        transport.write(b"hello")
        await client.received(5)
        transport.close()
        await client.lost
        server.close()
        await server.wait_closed()

    run(main)
