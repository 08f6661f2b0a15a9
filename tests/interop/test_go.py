"""Go's crypto/tls, in the program of go/."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fasths import NamedGroup, Verify

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .matrix import (
    DATA,
    MEBIBYTE,
    FasthsClient,
    FasthsServes,
    client_context,
    payload,
    server_context,
)
from .peers import Go, Settings, go_report
from .processes import Log

# The first use builds the program, which takes a while where nothing of it was built before.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def peer(go: Go) -> Go:
    return go


def assert_agreed(log: Log, endpoint: Endpoint) -> None:
    """Both sides say the same about their connection."""
    report = go_report(log)
    conn = endpoint.conn
    assert report["version"] == "TLS 1.3"
    assert report["suite"] == conn.cipher_suite.name
    assert report.get("group", conn.group.name) == conn.group.name
    exported = conn.export_keying_material("EXPORTER-fasths", b"context", 32)
    assert report["exported"] == exported.hex()


class TestFasthsClient(FasthsClient):
    def test_agreement(self, peer: Go, certificates: Certificates) -> None:
        settings = self.settings(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        with peer.server(settings) as server:
            context = server_context(certificates)
            with connect(context, server.port) as endpoint:
                endpoint.handshake()
                assert_agreed(server.log, endpoint)
                endpoint.close()
            report = go_report(server.log)
            assert report["server_name"] == "localhost"
            assert report["certificates"] == 2
            assert endpoint.conn.group == NamedGroup.X25519MLKEM768
            go_report(server.log, "closed")

    def test_half_close(self, peer: Go, certificates: Certificates) -> None:
        data = payload(MEBIBYTE)
        with (
            peer.server(self.settings(certificates)) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(data)
            assert endpoint.shutdown() == 0
            assert endpoint.receive(len(data) + 1) == data
            assert endpoint.shutdown() == 1
            go_report(server.log, "closed")


class TestFasthsServes(FasthsServes):
    def test_agreement(self, peer: Go, certificates: Certificates) -> None:
        context = server_context(certificates, verify=Verify.REQUIRED)
        settings = self.settings(certificates, credential=certificates.authority.leaf("ecdsa384"))
        with (
            FasthsServer(context) as server,
            peer.client(server.port, settings) as client,
        ):
            endpoint = server.established()
            assert_agreed(client.log, endpoint)
            client.finish()
            assert endpoint.conn.group == NamedGroup.X25519MLKEM768
            assert go_report(client.log, "closed")
            assert server.served().error is None

    def test_half_close(self, peer: Go, certificates: Certificates) -> None:
        """The client's close_notify ends what it sends, and it reads on."""

        def handler(endpoint: Endpoint) -> None:
            received = endpoint.receive(MEBIBYTE + 1)
            endpoint.send(received)
            endpoint.close()

        data = payload(MEBIBYTE)
        with (
            FasthsServer(server_context(certificates), handler) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            client.send(data)
            client.end_input()
            assert client.receive(len(data) + 1) == data
            assert client.wait() == 0
            assert server.served().error is None

    def test_concurrent_clients(self, peer: Go, certificates: Certificates) -> None:
        def visit(settings: Settings) -> bytes:
            with peer.client(server.port, settings) as client:
                client.send(DATA)
                received = client.receive(len(DATA))
                client.finish()
                return received

        with (
            FasthsServer(server_context(certificates)) as server,
            ThreadPoolExecutor(8) as pool,
        ):
            visits = list(pool.map(visit, [self.settings(certificates)] * 24))
            assert visits == [DATA] * 24
            assert [server.served().error for _ in visits] == [None] * 24
