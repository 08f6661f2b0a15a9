"""Stapled OCSP responses (RFC 6066, 8; RFC 8446, 4.4.2.1) of the peers, and ours."""

import pki
import pytest

import fasths
from fasths import StaplePolicy

from .conftest import Certificates
from .endpoints import FasthsServer, connect
from .feature_peers import OTHER_STAPLE, FeaturePeer, with_peers
from .matrix import (
    assert_peer_alert,
    assert_refused_chain,
    client_context,
    refused,
    server_context,
    talk_to,
)
from .peers import Settings

pytestmark = pytest.mark.timeout(300)
PEERS = with_peers("openssl", "gnutls", "go", "pyopenssl")


@PEERS
class TestStaplesOfThePeer:
    """RFC 6066, 8; the client is fasths."""

    def settings(
        self, certificates: Certificates, status=pki.GOOD, kind: str = "ecdsa"
    ) -> Settings:
        return Settings(
            credential=certificates.authority.leaf("ecdsa"),
            staple=certificates.authority.staple(kind, status),
        )

    def test_good(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = self.settings(certificates)
        context = client_context(certificates, staple_policy=StaplePolicy.REQUIRE)
        endpoint = talk_to(peer, settings, context)
        assert endpoint.conn.ocsp_response == settings.staple.read_bytes()

    @pytest.mark.parametrize("policy", [StaplePolicy.CHECK, StaplePolicy.REQUIRE])
    def test_revoked_is_refused(
        self, peer: FeaturePeer, certificates: Certificates, policy: StaplePolicy
    ) -> None:
        context = client_context(certificates, staple_policy=policy)
        with peer.server(self.settings(certificates, pki.REVOKED)) as server:
            with connect(context, server.port) as endpoint:
                assert_refused_chain(refused(endpoint), "certificate_revoked")
            server.log.wait_for(peer.alert_pattern("certificate_revoked"))

    def test_revoked_is_ignored(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = client_context(certificates, staple_policy=StaplePolicy.IGNORE)
        talk_to(peer, self.settings(certificates, pki.REVOKED), context)

    def test_of_another_certificate_is_refused(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        peer.need(OTHER_STAPLE)
        context = client_context(certificates)
        settings = self.settings(certificates, kind="ed25519")
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_refused_chain(refused(endpoint), "bad_certificate_status_response")

    def test_missing_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = client_context(certificates, staple_policy=StaplePolicy.REQUIRE)
        settings = Settings(credential=certificates.authority.leaf("ecdsa"))
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_refused_chain(refused(endpoint), "bad_certificate_status_response")


class TestOurStaples:
    """The server is fasths."""

    @PEERS
    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_good(self, peer: FeaturePeer, certificates: Certificates, kind: str) -> None:
        credential = certificates.authority.leaf(kind)
        staple = certificates.authority.staple(kind).read_bytes()
        ours = fasths.Identity.from_pem(credential.chain, credential.key, ocsp_response=staple)
        context = server_context(certificates, identities=[ours])
        settings = Settings(trust=certificates.authority.file, ask_for_staple=True)
        with (
            FasthsServer(context) as server,
            peer.staple_client(server.port, settings) as client,
        ):
            client.finish()
            peer.find_staple(client, staple)
            assert server.served().error is None

    def test_revoked_is_refused_by_the_peer(
        self, gnutls: FeaturePeer, certificates: Certificates
    ) -> None:
        credential = certificates.authority.leaf("ecdsa")
        staple = certificates.authority.staple("ecdsa", pki.REVOKED).read_bytes()
        ours = fasths.Identity.from_pem(credential.chain, credential.key, ocsp_response=staple)
        context = server_context(certificates, identities=[ours])
        settings = Settings(trust=certificates.authority.file)
        with FasthsServer(context) as server, gnutls.client(server.port, settings) as client:
            client.log.wait_for("The certificate chain is revoked")
            assert_peer_alert(server.served().error, "bad_certificate", "certificate_revoked")
