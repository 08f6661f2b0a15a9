"""Certificates in TLS 1.2 that are optional, absent, wrong, or not believed."""

import pytest

import fasths
from fasths import Verify

from .conftest import Certificates
from .endpoints import FasthsServer, connect
from .feature_peers import FeatureOpenSSL, FeaturePeer
from .matrix import (
    assert_peer_alert,
    assert_refused_chain,
    identity,
    refused,
    serve,
    talk_to,
)
from .peers import Settings
from .tls12 import (
    ALL_PEERS,
    assert_refused,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
    refuse,
)

pytestmark = pytest.mark.timeout(300)


@ALL_PEERS
class TestFasthsClient:
    def requiring(self, certificates: Certificates) -> Settings:
        return peer_serves(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )

    @pytest.mark.parametrize("shown", [False, True])
    def test_peer_asks(self, peer: FeaturePeer, certificates: Certificates, shown: bool) -> None:
        """And goes on without a certificate."""
        settings = peer_serves(
            certificates, trust=certificates.authority.file, ask_client_certificate=True
        )
        context = our_server(certificates) if shown else our_client(certificates)
        endpoint = talk_to(peer, settings, context)
        assert endpoint.count("received", "certificate_request") == 1
        assert endpoint.count("sent", "certificate") == 1
        assert endpoint.count("sent", "certificate_verify") == shown

    def test_peer_requires_a_certificate(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng requires none")
        context = our_client(certificates)
        with (
            peer.server(self.requiring(certificates)) as server,
            connect(context, server.port) as endpoint,
        ):
            error = refused(endpoint)
        assert endpoint.count("sent", "certificate") == 1
        # RFC 5246, 7.4.6; GnuTLS says the other.
        assert_peer_alert(error, "handshake_failure", "decode_error")

    def test_peer_refuses_the_certificate(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng verifies no chains")
        stranger = identity(certificates.stranger.leaf("ecdsa"))
        context = our_client(certificates, identities=[stranger])
        with (
            peer.server(self.requiring(certificates)) as server,
            connect(context, server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), peer.server_refusal)

    def test_unknown_authority(self, peer: FeaturePeer, certificates: Certificates) -> None:
        trust = fasths.TrustStore.from_pem(certificates.stranger.pem)
        with peer.server(peer_serves(certificates)) as server:
            with connect(our_client(certificates, trust=trust), server.port) as endpoint:
                assert_refused_chain(refused(endpoint), "unknown_ca")
            server.log.wait_for(peer.alert_pattern("unknown_ca"))

    def test_wrong_host_name(self, peer: FeaturePeer, certificates: Certificates) -> None:
        with peer.server(peer_serves(certificates)) as server:
            with connect(our_client(certificates), server.port, "other.example") as endpoint:
                error = refused(endpoint)
                assert_refused_chain(error, "bad_certificate")
                assert error.verify_code == 62  # X509_V_ERR_HOSTNAME_MISMATCH
            server.log.wait_for(peer.alert_pattern("bad_certificate"))


@ALL_PEERS
class TestFasthsServes:
    def test_client_certificate_is_required(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        context = our_server(certificates, verify=Verify.REQUIRED)
        # RFC 5246, 7.4.6
        error = refuse(peer, peer_visits(certificates), context, "handshake_failure")
        assert_refused(error, "handshake_failure")

    def test_client_certificate_is_optional(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        context = our_server(certificates, verify=Verify.OPTIONAL)
        served = serve(peer, peer_visits(certificates), context)
        assert served.endpoint.count("sent", "certificate_request") == 1
        assert served.endpoint.count("received", "certificate") == 1
        assert served.conn.peer_certificates == ()
        assert served.conn.verified_chain is None

    def test_client_certificate_that_is_not_asked_for(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        settings = peer_visits(certificates, credential=certificates.authority.leaf("ecdsa"))
        served = serve(peer, settings, our_server(certificates))
        assert served.endpoint.count("received", "certificate") == 0

    def test_client_certificate_of_an_unknown_authority(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        context = our_server(certificates, verify=Verify.REQUIRED)
        settings = peer_visits(certificates, credential=certificates.stranger.leaf("ecdsa"))
        error = refuse(peer, settings, context, "unknown_ca")
        assert_refused_chain(error, "unknown_ca")

    def test_peer_does_not_know_the_authority(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng verifies no chains")
        settings = peer_visits(certificates, trust=certificates.stranger.file)
        with FasthsServer(our_server(certificates)) as server:
            with peer.client(server.port, settings) as client:
                client.finish()
            assert_peer_alert(server.served().error, peer.client_refusal)


def test_certificate_authorities(openssl: FeatureOpenSSL, certificates: Certificates) -> None:
    """The names in a CertificateRequest (RFC 5246, 7.4.4), and what else it says."""
    names = fasths.TrustStore.from_pem(certificates.authority.pem).subjects
    context = our_server(certificates, verify=Verify.OPTIONAL, certificate_authorities=names())
    with (
        FasthsServer(context) as server,
        openssl.client(server.port, peer_visits(certificates), mode=()) as client,
    ):
        text = client.wait_for_data(rb"(?s)Acceptable client certificate CA names\n.*Shared Req")[0]
        client.finish()
        assert server.served().error is None
    assert b"O = fasths tests, CN = authority root\nClient Certificate Types: " in text
    assert b"ECDSA sign" in text
    assert b"RSA sign" in text
    assert b"ed25519" in text


@pytest.mark.parametrize("peer", ["openssl", "gnutls", "go"], indirect=True)
def test_certificate_authorities_of_the_peer(peer: FeaturePeer, certificates: Certificates) -> None:
    """The client has two certificates, and shows the one that the server asks for."""
    settings = peer_serves(
        certificates, trust=certificates.authority.file, require_client_certificate=True
    )
    identities = [
        identity(authority.leaf("ecdsa"))
        for authority in (certificates.stranger, certificates.authority)
    ]
    endpoint = talk_to(peer, settings, our_client(certificates, identities=identities))
    assert endpoint.count("sent", "certificate_verify") == 1
