"""gnutls-cli and gnutls-serv."""

import pytest

from fasths import Verify

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer
from .matrix import DATA, FasthsClient, FasthsServes, serve, server_context
from .peers import GnuTLS


@pytest.fixture
def peer(gnutls: GnuTLS) -> GnuTLS:
    return gnutls


class TestFasthsClient(FasthsClient):
    """Nothing more than the matrix."""


class TestFasthsServes(FasthsServes):
    @pytest.mark.parametrize(
        ("command", "requested"),
        [
            pytest.param(b"^rekey1^\n", False, id="not-requested"),
            pytest.param(b"^rekey^\n", True, id="requested"),
        ],
    )
    def test_key_update_received(
        self, peer: GnuTLS, certificates: Certificates, command: bytes, requested: bool
    ) -> None:
        settings = self.settings(certificates, extra=("--inline-commands",))
        with (
            FasthsServer(server_context(certificates)) as server,
            peer.client(server.port, settings) as client,
        ):
            endpoint = server.established()
            for times in (1, 2):
                client.send(command)
                endpoint.seen("key_update", times)
                client.send(DATA)
                assert client.receive(len(DATA)) == DATA
            client.finish()
            served = server.served()
        assert served.error is None
        assert served.endpoint.count("received", "key_update") == 2
        assert served.endpoint.count("sent", "key_update") == 2 * requested

    def test_half_close(self, peer: GnuTLS, certificates: Certificates) -> None:
        """gnutls-cli goes on reading after its own close_notify."""

        def handler(endpoint: Endpoint) -> None:
            received = endpoint.receive(len(DATA) + 1)
            endpoint.send(received)
            endpoint.close()

        with (
            FasthsServer(server_context(certificates), handler) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            client.send(DATA)
            client.end_input()
            assert client.receive(len(DATA) + 1) == DATA
            assert client.wait() == 0
            assert server.served().error is None

    def test_what_the_peer_says(self, peer: GnuTLS, certificates: Certificates) -> None:
        settings = self.settings(
            certificates, suite="TLS_CHACHA20_POLY1305_SHA256", groups=("secp384r1",)
        )
        with (
            FasthsServer(server_context(certificates, "rsa")) as server,
            peer.client(server.port, settings) as client,
        ):
            client.finish()  # which is when its log is flushed
            description = client.log.wait_for(r"- Description: (\S+)")[1]
        assert description == (
            "(TLS1.3-X.509)-(ECDHE-SECP384R1)-(RSA-PSS-RSAE-SHA256)-(CHACHA20-POLY1305)"
        )

    def test_unknown_extensions(self, peer: GnuTLS, certificates: Certificates) -> None:
        """Heartbeat, record_size_limit, post_handshake_auth and SRTP are offered in vain."""
        settings = self.settings(
            certificates,
            credential=certificates.authority.leaf("rsa"),
            extra=(
                "--heartbeat",
                "--recordsize=1024",
                "--post-handshake-auth",
                "--srtp-profiles=SRTP_AES128_CM_HMAC_SHA1_80",
            ),
        )
        serve(peer, settings, server_context(certificates, verify=Verify.REQUIRED))
