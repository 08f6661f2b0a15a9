"""The standard library's ssl, in this process: always there."""

import ssl

import pytest

import fasths
from fasths import Origin, SSLErrorCode

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .matrix import (
    DATA,
    MEBIBYTE,
    FasthsClient,
    FasthsServes,
    assert_truncated,
    client_context,
    payload,
    server_context,
)
from .peers import Settings, Stdlib, StdlibEndpoint, reset_on_close


@pytest.fixture
def peer(stdlib: Stdlib) -> Stdlib:
    return stdlib


@pytest.fixture
def settings(certificates: Certificates) -> Settings:
    """For either role of the peer."""
    return Settings(credential=certificates.authority.leaf("ecdsa"))


class TestFasthsClient(FasthsClient):
    def test_server_name_is_seen(
        self, peer: Stdlib, certificates: Certificates, settings: Settings
    ) -> None:
        seen = []

        def serve(endpoint: StdlibEndpoint) -> None:
            endpoint.finish()

        with peer.server(settings, serve) as server:
            server.context.sni_callback = lambda _socket, name, _context: seen.append(name)
            for name in ("localhost", "127.0.0.1"):
                with connect(client_context(certificates), server.port, name) as endpoint:
                    endpoint.handshake()
                    endpoint.close()
        # RFC 6066, 3: no literal addresses.
        assert seen == ["localhost", None]

    def test_half_close(self, peer: Stdlib, certificates: Certificates, settings: Settings) -> None:
        """The peer answers after it has read the end of what the client sends."""

        def serve(endpoint: StdlibEndpoint) -> None:
            received = endpoint.receive(MEBIBYTE + 1)
            endpoint.send(received)
            endpoint.finish()

        data = payload(MEBIBYTE)
        with (
            peer.server(settings, serve) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(data)
            assert endpoint.shutdown() == 0
            assert endpoint.receive(len(data) + 1) == data
            assert endpoint.shutdown() == 1

    def test_peer_closes_first(
        self, peer: Stdlib, certificates: Certificates, settings: Settings
    ) -> None:
        results = []

        def serve(endpoint: StdlibEndpoint) -> None:
            endpoint.send(DATA)
            results.append(endpoint.finish())

        with peer.server(settings, serve) as server:
            with connect(client_context(certificates), server.port) as endpoint:
                endpoint.handshake()
                assert endpoint.receive(len(DATA) + 1) == DATA
                assert endpoint.conn.get_error(0) == SSLErrorCode.ZERO_RETURN
                assert endpoint.shutdown() == 1
            assert server.log.text == ""

    def test_truncation(self, peer: Stdlib, certificates: Certificates, settings: Settings) -> None:
        def serve(endpoint: StdlibEndpoint) -> None:
            endpoint.send(DATA)
            endpoint.truncate()

        with (
            peer.server(settings, serve) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.receive(len(DATA)) == DATA
            assert_truncated(endpoint)

    def test_reset(self, peer: Stdlib, certificates: Certificates, settings: Settings) -> None:
        def serve(endpoint: StdlibEndpoint) -> None:
            assert endpoint.socket is not None
            endpoint.receive(1)
            reset_on_close(endpoint.socket)
            endpoint.truncate()

        with (
            peer.server(settings, serve) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(b"x")
            ret = endpoint.conn.read_into(bytearray(1))
            assert ret == -1
            assert endpoint.conn.get_error(ret) == SSLErrorCode.SYSCALL
            error = endpoint.conn.last_error
            assert isinstance(error, fasths.TransportError)
            assert isinstance(error.os_error, ConnectionResetError)


class TestFasthsServes(FasthsServes):
    def test_half_close(self, peer: Stdlib, certificates: Certificates) -> None:
        """The peer goes on sending after it has read the server's close_notify."""

        def handler(endpoint: Endpoint) -> None:
            endpoint.send(DATA)
            assert endpoint.shutdown() == 0
            assert endpoint.receive(MEBIBYTE + 1) == data
            assert endpoint.shutdown() == 1

        data = payload(MEBIBYTE)
        with (
            FasthsServer(server_context(certificates), handler) as server,
            peer.client(server.port, Settings(trust=certificates.authority.file)) as client,
        ):
            assert client.receive(len(DATA) + 1) == DATA
            client.send(data)
            client.finish()
            assert server.served().error is None

    def test_truncation(self, peer: Stdlib, certificates: Certificates) -> None:
        def handler(endpoint: Endpoint) -> None:
            assert endpoint.receive(len(DATA)) == DATA
            assert_truncated(endpoint)

        # A ticket that the client has not read would make its end a TCP reset.
        context = server_context(certificates, session_tickets=0)
        with (
            FasthsServer(context, handler) as server,
            peer.client(server.port, Settings(trust=certificates.authority.file)) as client,
        ):
            client.send(DATA)
            client.truncate()
            assert server.served().error is None

    def test_truncated_handshake(self, peer: Stdlib, certificates: Certificates) -> None:
        """The client goes away when it has the server's flight."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = peer.context(Settings(trust=certificates.authority.file), server_side=False)
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with FasthsServer(server_context(certificates)) as server:
            sock = peer.tcp(server.port)
            sock.sendall(outgoing.read())
            assert sock.recv(65536)
            sock.close()
            served = server.served()
        assert isinstance(served.error, fasths.TransportError), served.error
        assert served.error.origin == Origin.TRANSPORT
