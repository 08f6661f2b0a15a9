"""Pre-shared keys from outside TLS (RFC 8446, 4.2.11) with the peers that have them."""

import pytest

import fasths
from fasths import AlertDescription, CipherSuite, NamedGroup

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .feature_peers import PSK_KE, SHA384_PSK, UNKNOWN_PSK, FeaturePeer, with_peers
from .matrix import (
    DATA,
    assert_peer_alert,
    client_context,
    refused,
    serve,
    server_context,
    talk_to,
    visit,
)
from .peers import Settings

pytestmark = with_peers("openssl", "gnutls", "tlslite")


KEYS = {
    name: fasths.ExternalPSK(b"friend", bytes(range(32)), hash=name)
    for name in ("sha256", "sha384")
}
WRONG = fasths.ExternalPSK(b"friend", bytes(32))
STRANGE = fasths.ExternalPSK(b"stranger", bytes(range(32)))
SUITES = {
    "sha256": CipherSuite.TLS_AES_128_GCM_SHA256,
    "sha384": CipherSuite.TLS_AES_256_GCM_SHA384,
}
BOTH_HASHES = pytest.mark.parametrize("hash_name", KEYS)


def assert_psk(endpoint: Endpoint, hash_name: str) -> None:
    conn = endpoint.conn
    assert conn.session_reused
    assert conn.cipher_suite == SUITES[hash_name]
    assert conn.peer_certificates == ()
    assert conn.verified_chain is None


class TestFasthsClient:
    def settings(self, psk: fasths.ExternalPSK, **options) -> Settings:
        """A server that has nothing else to show."""
        return Settings(psk=psk, suite=SUITES[psk.hash].name, **options)

    @BOTH_HASHES
    def test_external_psk(
        self, peer: FeaturePeer, certificates: Certificates, hash_name: str
    ) -> None:
        if hash_name == "sha384":
            peer.need(SHA384_PSK)
        psk = KEYS[hash_name]
        context = client_context(certificates, external_psks=[psk])
        assert_psk(talk_to(peer, self.settings(psk), context), hash_name)

    def test_one_of_many(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Keys for both hashes are offered, and only one is known."""
        peer.need(UNKNOWN_PSK)
        offered = [
            fasths.ExternalPSK(b"other", b"other key" * 4, hash="sha384"),
            STRANGE,
            KEYS["sha256"],
        ]
        context = client_context(certificates, external_psks=offered)
        assert_psk(talk_to(peer, self.settings(KEYS["sha256"]), context), "sha256")

    def test_hello_retry_request(self, peer: FeaturePeer, certificates: Certificates) -> None:
        psk = KEYS["sha256"]
        context = client_context(certificates, external_psks=[psk], key_share_groups=["x25519"])
        endpoint = talk_to(peer, self.settings(psk, groups=("secp384r1",)), context)
        assert_psk(endpoint, "sha256")
        assert endpoint.hello_retried
        assert endpoint.conn.group == NamedGroup.secp384r1

    def test_session_of_a_psk_connection(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        psk = KEYS["sha256"]
        context = client_context(certificates, external_psks=[psk])
        with peer.server(self.settings(psk)) as server:
            session = None
            for _ in range(2):
                endpoint = visit(server, context, session)
                assert_psk(endpoint, "sha256")
                session = endpoint.conn.session
                assert session is not None

    def test_psk_ke(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(PSK_KE)
        psk = KEYS["sha256"]
        context = client_context(
            certificates, external_psks=[psk], psk_key_exchange_modes=["psk_ke"]
        )
        endpoint = talk_to(peer, self.settings(psk, psk_ke=True), context)
        assert_psk(endpoint, "sha256")
        assert endpoint.conn.group is None

    def test_unknown_identity(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The server shows its certificate."""
        peer.need(UNKNOWN_PSK)
        credential = certificates.authority.leaf("ecdsa")
        context = client_context(certificates, external_psks=[STRANGE])
        settings = self.settings(KEYS["sha256"], credential=credential)
        endpoint = talk_to(peer, settings, context)
        assert not endpoint.conn.session_reused
        assert len(endpoint.conn.verified_chain) == 3

    def test_wrong_key_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = client_context(certificates, external_psks=[WRONG])
        with (
            peer.server(self.settings(KEYS["sha256"])) as server,
            connect(context, server.port) as endpoint,
        ):
            # RFC 8446, 4.2.11 says "abort", and 6.2 decrypt_error.
            assert_peer_alert(refused(endpoint), "decrypt_error", "illegal_parameter")


class TestFasthsServes:
    def settings(self, psk: fasths.ExternalPSK, **options) -> Settings:
        return Settings(psk=psk, suite=SUITES[psk.hash].name, **options)

    @BOTH_HASHES
    def test_external_psk(self, peer: FeaturePeer, hash_name: str) -> None:
        """By a server that has no certificate."""
        if hash_name == "sha384":
            peer.need(SHA384_PSK)
        context = fasths.Context(external_psks=[KEYS[hash_name]])
        assert_psk(serve(peer, self.settings(KEYS[hash_name]), context).endpoint, hash_name)

    @BOTH_HASHES
    def test_callback(self, peer: FeaturePeer, hash_name: str) -> None:
        if hash_name == "sha384":
            peer.need(SHA384_PSK)
        asked = []

        def find(request: fasths.PSKRequest) -> fasths.ExternalPSK:
            asked.append(request.identity)
            return KEYS[hash_name]

        context = fasths.Context(psk_callback=find)
        assert_psk(serve(peer, self.settings(KEYS[hash_name]), context).endpoint, hash_name)
        assert asked == [b"friend"]

    @pytest.mark.parametrize("retry_with_cookie", [False, True])
    def test_hello_retry_request(self, peer: FeaturePeer, retry_with_cookie: bool) -> None:
        psk = KEYS["sha256"]
        context = fasths.Context(
            external_psks=[psk], groups=["secp384r1"], retry_with_cookie=retry_with_cookie
        )
        endpoint = serve(peer, self.settings(psk, groups=("x25519", "secp384r1")), context).endpoint
        assert_psk(endpoint, "sha256")
        assert endpoint.hello_retried

    def test_psk_ke(self, peer: FeaturePeer) -> None:
        peer.need(PSK_KE)
        psk = KEYS["sha256"]
        context = fasths.Context(external_psks=[psk], psk_key_exchange_modes=["psk_ke"])
        endpoint = serve(peer, self.settings(psk, psk_ke=True), context).endpoint
        assert_psk(endpoint, "sha256")
        assert endpoint.conn.group is None

    def test_unknown_identity(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The server shows its certificate."""
        context = server_context(certificates, external_psks=[KEYS["sha256"]])
        endpoint = serve(peer, self.settings(STRANGE), context).endpoint
        assert not endpoint.conn.session_reused
        assert endpoint.count("sent", "certificate") == 1

    def test_unknown_identity_is_refused(self, peer: FeaturePeer) -> None:
        """By a server that has no certificate."""
        self.refuse(peer, STRANGE, "handshake_failure")

    def test_wrong_key_is_refused(self, peer: FeaturePeer) -> None:
        self.refuse(peer, WRONG, "decrypt_error")

    def refuse(self, peer: FeaturePeer, psk: fasths.ExternalPSK, alert: str) -> None:
        context = fasths.Context(external_psks=[KEYS["sha256"]])
        with (
            FasthsServer(context) as server,
            peer.client(server.port, self.settings(psk)) as client,
        ):
            client.send(DATA)
            assert client.receive(1) == b""
            client.log.wait_for(peer.alert_pattern(alert))
            error = server.served().error
        assert isinstance(error, fasths.TLSError), error
        assert error.origin == fasths.Origin.LOCAL
        assert error.alert == AlertDescription[alert]
