"""Certificates of clients that are optional, or asked for after the handshake (RFC 8446, 4.6.2)."""

import pytest

import fasths
from fasths import Verify
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served, connect, echo
from .feature_peers import (
    LINE,
    POST_HANDSHAKE_AUTH,
    POST_HANDSHAKE_OFFER,
    POST_HANDSHAKE_REFUSAL,
    AskingServer,
    FeaturePeer,
    with_peers,
)
from .matrix import (
    DATA,
    assert_peer_alert,
    assert_refused_chain,
    client_context,
    identity,
    server_context,
)
from .peers import Settings

pytestmark = [
    pytest.mark.timeout(300),
    with_peers("openssl", "gnutls", "go", "stdlib", "pyopenssl", "tlslite"),
]


class TestFasthsClient:
    def settings(self, certificates: Certificates, **options) -> Settings:
        return Settings(
            credential=certificates.authority.leaf("ecdsa"),
            trust=certificates.authority.file,
            **options,
        )

    def context(self, certificates: Certificates, kind: str = "ed25519") -> fasths.Context:
        """A client that shows a certificate after the handshake, too."""
        credential = certificates.authority.leaf(kind)
        return client_context(
            certificates, identities=[identity(credential)], post_handshake_auth=True
        )

    @pytest.mark.parametrize("shown", [False, True])
    def test_peer_asks(self, peer: FeaturePeer, certificates: Certificates, shown: bool) -> None:
        """And goes on without a certificate."""
        context = self.context(certificates) if shown else client_context(certificates)
        settings = self.settings(certificates, ask_client_certificate=True)
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            endpoint.handshake()
            assert endpoint.exchange(DATA, server.window) == DATA
            endpoint.close()
        assert endpoint.count("received", "certificate_request") == 1
        assert endpoint.count("sent", "certificate") == 1
        assert endpoint.count("sent", "certificate_verify") == shown

    def test_peer_asks_after_the_handshake(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        peer.need(POST_HANDSHAKE_AUTH)
        with (
            peer.asking_server(self.settings(certificates)) as server,
            connect(self.context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            before = endpoint.count("sent", "certificate_verify")
            answer = server.ask(endpoint)
            assert endpoint.receive(len(answer)) == answer
            assert endpoint.count("sent", "certificate_verify") == before + 1
            endpoint.send(LINE)
            server.log.wait_for(server.evidence)

    def test_peer_refuses_the_certificate_after_the_handshake(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        peer.need(POST_HANDSHAKE_REFUSAL)
        stranger = identity(certificates.stranger.leaf("ecdsa"))
        context = client_context(certificates, identities=[stranger], post_handshake_auth=True)
        with (
            peer.asking_server(self.settings(certificates)) as server,
            connect(context, server.port) as endpoint,
        ):
            endpoint.handshake()
            with pytest.raises(fasths.PeerAlert) as refusal:
                self.answer(server, endpoint)
            assert_peer_alert(refusal.value, "unknown_ca")

    @staticmethod
    def answer(server: AskingServer, endpoint: Endpoint) -> None:
        """Goes on until the peer has the certificate, and has said what it says of it."""
        answer = server.ask(endpoint)
        endpoint.receive(len(answer))
        endpoint.send(LINE)
        endpoint.receive(1)


class TestFasthsServes:
    def settings(self, certificates: Certificates, **options) -> Settings:
        trust = certificates.authority.file
        return Settings(**{"trust": trust, "post_handshake_auth": True, **options})

    def talk(self, peer: FeaturePeer, settings: Settings, context: fasths.Context) -> Served:
        """The server asks when it has a line."""

        def handler(endpoint: Endpoint) -> None:
            line = endpoint.receive(len(LINE))
            assert endpoint.count("sent", "certificate_request") == 0
            assert endpoint.conn.verify_client_post_handshake() == 1
            endpoint.send(line)
            echo(endpoint)

        with FasthsServer(context, handler) as server:
            with peer.client(server.port, settings) as client:
                for data in (LINE, DATA):
                    client.send(data)
                    if client.receive(len(data)) != data:
                        break
                client.finish()
            served = server.served()
        assert served.endpoint.count("sent", "certificate_request") == 1
        return served

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
    def test_post_handshake_authentication(
        self, peer: FeaturePeer, certificates: Certificates, kind: str
    ) -> None:
        peer.need(POST_HANDSHAKE_AUTH)
        credential = certificates.authority.leaf(kind)
        context = server_context(certificates, post_handshake_auth=True, verify=Verify.REQUIRED)
        served = self.talk(peer, self.settings(certificates, credential=credential), context)
        assert served.error is None
        assert served.conn.peer_certificates == identity(credential).certificates
        assert len(served.conn.verified_chain) == 3

    def test_no_certificate(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(POST_HANDSHAKE_OFFER)
        context = server_context(certificates, post_handshake_auth=True, verify=Verify.OPTIONAL)
        served = self.talk(peer, self.settings(certificates), context)
        assert served.error is None
        assert served.endpoint.count("received", "certificate") == 1
        assert served.conn.peer_certificates == ()

    def test_no_certificate_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(POST_HANDSHAKE_OFFER)
        context = server_context(certificates, post_handshake_auth=True, verify=Verify.REQUIRED)
        error = self.talk(peer, self.settings(certificates), context).error
        assert isinstance(error, errors.CertificateRequired), error

    def test_unknown_authority_is_refused(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        peer.need(POST_HANDSHAKE_AUTH)
        credential = certificates.stranger.leaf("ecdsa")
        context = server_context(certificates, post_handshake_auth=True, verify=Verify.REQUIRED)
        error = self.talk(peer, self.settings(certificates, credential=credential), context).error
        assert_refused_chain(error, "unknown_ca")

    def test_client_that_cannot(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """It is not asked."""
        asked = []

        def handler(endpoint: Endpoint) -> None:
            with pytest.raises(RuntimeError, match="not negotiated"):
                endpoint.conn.verify_client_post_handshake()
            asked.append(False)
            echo(endpoint)

        context = server_context(certificates, post_handshake_auth=True, verify=Verify.REQUIRED)
        settings = self.settings(certificates, post_handshake_auth=False)
        with FasthsServer(context, handler) as server:
            with peer.client(server.port, settings) as client:
                client.send(DATA)
                assert client.receive(len(DATA)) == DATA
                client.finish()
            assert server.served().error is None
        assert asked == [False]
