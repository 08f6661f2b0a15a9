"""Which version is agreed on, and the refusal of what is too old."""

import pytest

import fasths
from fasths import TLSVersion

from .conftest import Certificates
from .endpoints import FasthsServer, connect
from .feature_peers import FeaturePeer, with_peers
from .matrix import DATA, assert_peer_alert, refused, serve, talk_to
from .peers import ONLY_TLS11, TLS12_OR_TLS13, Settings
from .tls12 import (
    ALL_PEERS,
    OTHER_SUITES,
    assert_refused,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
    refuse,
)

pytestmark = pytest.mark.timeout(300)

TLSv1_2, TLSv1_3 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
# What fasths has, and what is agreed on with a peer of both versions.
OURS = pytest.mark.parametrize(
    ("ours", "version"),
    [
        ({"maximum_version": TLSv1_2}, TLSv1_2),
        ({}, TLSv1_3),
        ({"minimum_version": TLSv1_3}, TLSv1_3),
    ],
    ids=["tls12", "both", "tls13"],
)
BOTH_OR_TLS12 = pytest.mark.parametrize(
    "ours", [{}, {"maximum_version": TLSv1_2}], ids=["both", "tls12"]
)


@ALL_PEERS
class TestVersions:
    """With the peers of TLS 1.2 alone in the other modules, these are all the ways to agree."""

    @OURS
    def test_client(
        self, peer: FeaturePeer, certificates: Certificates, ours: dict, version: TLSVersion
    ) -> None:
        with (
            peer.server(peer_serves(certificates, versions=TLS12_OR_TLS13)) as server,
            connect(our_client(certificates, **ours), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.exchange(DATA, server.window) == DATA
            endpoint.close()
        assert endpoint.conn.version == version

    @OURS
    def test_server(
        self, peer: FeaturePeer, certificates: Certificates, ours: dict, version: TLSVersion
    ) -> None:
        settings = peer_visits(certificates, versions=TLS12_OR_TLS13)
        with (
            FasthsServer(our_server(certificates, **ours)) as server,
            peer.client(server.port, settings) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA, client.log.text
            client.finish()
            served = server.served()
        assert served.error is None
        assert served.conn.version == version

    def test_client_of_tls12_alone(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_client(certificates, maximum_version=TLSv1_2)
        talk_to(peer, peer_serves(certificates), context)

    def test_server_of_tls12_alone(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_server(certificates, maximum_version=TLSv1_2)
        serve(peer, peer_visits(certificates), context)

    def test_client_of_tls13_alone(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_client(certificates, minimum_version=TLSv1_3)
        with (
            peer.server(peer_serves(certificates)) as server,
            connect(context, server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), peer.version_refusal, "protocol_version")

    def test_server_of_tls13_alone(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_server(certificates, minimum_version=TLSv1_3)
        error = refuse(peer, peer_visits(certificates), context, "protocol_version")
        assert_refused(error, "protocol_version")


# What only TLS 1.3 has.
OF_TLS13 = pytest.mark.parametrize(
    "options",
    [
        {"record_padding": 512},
        {"certificate_compression": ["zlib"]},
        {"post_handshake_auth": True},
        {"max_early_data_size": 1000},
        {"psk_key_exchange_modes": ["psk_ke"]},
        {"external_psks": [fasths.ExternalPSK(b"friend", bytes(32))]},
        {"retry_with_cookie": True},
    ],
    ids=lambda each: next(iter(each)),
)


@with_peers("openssl", "gnutls", "go", "tlslite")
class TestOptionsOfTLS13:
    """With a peer of TLS 1.2 they have no effect."""

    @OF_TLS13
    def test_client(self, peer: FeaturePeer, certificates: Certificates, options: dict) -> None:
        talk_to(peer, peer_serves(certificates), our_client(certificates, **options))

    @OF_TLS13
    def test_server(self, peer: FeaturePeer, certificates: Certificates, options: dict) -> None:
        serve(peer, peer_visits(certificates), our_server(certificates, **options))


def test_early_data_for_a_server_of_tls12(openssl: FeaturePeer, certificates: Certificates) -> None:
    """RFC 8446, D.3: the server cannot skip it, and is refused."""
    context = our_client(certificates)
    credential = certificates.authority.leaf("ecdsa")
    with (
        openssl.server(Settings(credential=credential, max_early_data=1000)) as server,
        connect(context, server.port) as endpoint,
    ):
        endpoint.handshake()
        assert endpoint.exchange(DATA, server.window) == DATA
        endpoint.close()
        session = endpoint.conn.session
    with (
        openssl.server(peer_serves(certificates)) as server,
        connect(context, server.port) as endpoint,
    ):
        endpoint.conn.set_session(session)
        endpoint.send_early(DATA)
        assert_refused(refused(endpoint), "protocol_version")


# The standard library's ssl has the version of openssl.
@with_peers("openssl", "gnutls", "go", "pyopenssl", "tlslite")
class TestTLS11:
    @BOTH_OR_TLS12
    def test_client_is_refused(
        self, peer: FeaturePeer, certificates: Certificates, ours: dict
    ) -> None:
        settings = peer_visits(certificates, versions=ONLY_TLS11)
        context = our_server(certificates, "rsa", **ours)
        assert_refused(refuse(peer, settings, context, "protocol_version"), "protocol_version")

    @BOTH_OR_TLS12
    def test_server_refuses(
        self, peer: FeaturePeer, certificates: Certificates, ours: dict
    ) -> None:
        """There are neither its version nor suites for it."""
        settings = peer_serves(certificates, "rsa", versions=ONLY_TLS11)
        context = our_client(certificates, **ours)
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_peer_alert(refused(endpoint), "protocol_version", "handshake_failure")


@ALL_PEERS
@pytest.mark.parametrize("suite", OTHER_SUITES)
class TestOtherSuites:
    """CBC, and key exchange with RSA and finite fields."""

    @BOTH_OR_TLS12
    def test_client_is_refused(
        self, peer: FeaturePeer, certificates: Certificates, suite: str, ours: dict
    ) -> None:
        peer.need(suite)
        kind = "ecdsa" if "ECDSA" in suite else "rsa"
        context = our_server(certificates, kind, **ours)
        settings = peer_visits(certificates, suite=suite)
        assert_refused(refuse(peer, settings, context, "handshake_failure"), "handshake_failure")

    def test_server_refuses(
        self, peer: FeaturePeer, certificates: Certificates, suite: str
    ) -> None:
        peer.need(suite)
        kind = "ecdsa" if "ECDSA" in suite else "rsa"
        with (
            peer.server(peer_serves(certificates, kind, suite=suite)) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), "handshake_failure")


@ALL_PEERS
class TestNothingInCommon:
    def test_certificate_for_another_suite(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        settings = peer_visits(certificates, suite=suite)
        error = refuse(peer, settings, our_server(certificates), "handshake_failure")
        assert_refused(error, "handshake_failure")

    def test_groups_of_the_client(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, groups=("secp384r1",))
        context = our_server(certificates, "rsa", groups=["x25519"])
        assert_refused(refuse(peer, settings, context, "handshake_failure"), "handshake_failure")

    def test_groups_of_the_server(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_serves(certificates, "rsa", groups=("secp384r1",))
        context = our_client(certificates, groups=["x25519"])
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_peer_alert(refused(endpoint), "handshake_failure")

    def test_curve_of_the_certificate(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """RFC 8422, 5.3: that, too, has to be a group of the client's."""
        settings = peer_visits(certificates, groups=("x25519",))
        error = refuse(peer, settings, our_server(certificates), "handshake_failure")
        assert_refused(error, "handshake_failure")


@with_peers("openssl", "gnutls", "pyopenssl", "tlslite")
class TestFallback:
    """TLS_FALLBACK_SCSV (RFC 7507)."""

    def test_fallback_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, fallback=True)
        error = refuse(peer, settings, our_server(certificates), "inappropriate_fallback")
        assert_refused(error, "inappropriate_fallback")

    def test_fallback_to_the_highest_version(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        context = our_server(certificates, maximum_version=TLSv1_2)
        serve(peer, peer_visits(certificates, fallback=True), context)
