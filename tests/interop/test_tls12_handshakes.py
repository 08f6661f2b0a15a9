"""Full handshakes of TLS 1.2: every suite, key, signature scheme and group, in both roles."""

import pytest

import fasths
from fasths import CipherSuite, NamedGroup, SignatureScheme, Verify

from .conftest import Certificates
from .endpoints import Endpoint, connect
from .feature_peers import FeaturePeer
from .matrix import DATA, identity, serve, talk_to
from .tls12 import (
    ALL_PEERS,
    GROUPS,
    KINDS_AND_SCHEMES,
    SCHEMES,
    SUITES,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
)

# Go's program is built with its first use.
pytestmark = [pytest.mark.timeout(300), ALL_PEERS]

SUITE_AND_KIND = pytest.mark.parametrize(
    ("suite", "kind"), [(suite, kind) for suite, kinds in SUITES.items() for kind in kinds]
)
KIND_AND_SCHEME = pytest.mark.parametrize(("kind", "scheme"), KINDS_AND_SCHEMES)


def assert_full(endpoint: Endpoint) -> None:
    """The messages of RFC 5246, 7.3."""
    conn = endpoint.conn
    assert conn.extended_master_secret is True
    assert conn.session_reused is False
    assert not endpoint.hello_retried
    for direction in ("sent", "received"):
        assert endpoint.change_cipher_specs(direction) == 1
        assert endpoint.count(direction, "finished") == 1
    messages = ("server_key_exchange", "server_hello_done", "client_key_exchange")
    counts = [
        endpoint.count("sent", message) + endpoint.count("received", message)
        for message in messages
    ]
    assert counts == [1, 1, 1]


def certificate_verify(endpoint: Endpoint, direction: str) -> SignatureScheme:
    """The scheme of the client's CertificateVerify."""
    (message,) = [
        data
        for way, _, data in endpoint.messages
        if way == direction and data[0] == fasths.HandshakeType.certificate_verify
    ]
    return SignatureScheme(int.from_bytes(message[4:6]))


def with_authority(scheme: str) -> list[str]:
    """The scheme, and that of the authority's own signatures."""
    return list(dict.fromkeys([scheme, "ecdsa_secp256r1_sha256"]))


class TestFasthsClient:
    @SUITE_AND_KIND
    def test_cipher_suite(
        self, peer: FeaturePeer, certificates: Certificates, suite: str, kind: str
    ) -> None:
        """The peer chooses."""
        peer.need(kind)
        settings = peer_serves(certificates, kind, suite=suite)
        endpoint = talk_to(peer, settings, our_client(certificates))
        assert_full(endpoint)
        assert endpoint.conn.cipher_suite == CipherSuite[suite]
        assert endpoint.conn.signature_scheme.name in SCHEMES[kind]
        assert len(endpoint.conn.verified_chain) == 3

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_cipher_suites_of_the_client(
        self, peer: FeaturePeer, certificates: Certificates, kind: str
    ) -> None:
        with peer.server(peer_serves(certificates, kind)) as server:
            for suite, kinds in SUITES.items():
                if kind not in kinds:
                    continue
                context = our_client(certificates, cipher_suites=[suite])
                with connect(context, server.port) as endpoint:
                    endpoint.handshake()
                    assert endpoint.exchange(DATA, server.window) == DATA
                    endpoint.close()
                assert endpoint.conn.cipher_suite == CipherSuite[suite]

    @pytest.mark.parametrize("group", GROUPS)
    def test_group(self, peer: FeaturePeer, certificates: Certificates, group: str) -> None:
        settings = peer_serves(certificates, "rsa", groups=(group,))
        endpoint = talk_to(peer, settings, our_client(certificates))
        assert endpoint.conn.group == NamedGroup[group]

    @pytest.mark.parametrize("group", GROUPS)
    def test_groups_of_the_client(
        self, peer: FeaturePeer, certificates: Certificates, group: str
    ) -> None:
        context = our_client(certificates, groups=[group])
        endpoint = talk_to(peer, peer_serves(certificates, "rsa"), context)
        assert endpoint.conn.group == NamedGroup[group]

    @KIND_AND_SCHEME
    def test_signature_scheme(
        self, peer: FeaturePeer, certificates: Certificates, kind: str, scheme: str
    ) -> None:
        peer.need(kind)
        if peer.can_choose_scheme:
            context = our_client(certificates)
            settings = peer_serves(certificates, kind, scheme=scheme)
        else:
            context = our_client(certificates, signature_schemes=with_authority(scheme))
            settings = peer_serves(certificates, kind)
        endpoint = talk_to(peer, settings, context)
        assert endpoint.conn.signature_scheme == SignatureScheme[scheme]
        assert_full(endpoint)

    @KIND_AND_SCHEME
    def test_client_certificate(
        self, peer: FeaturePeer, certificates: Certificates, kind: str, scheme: str
    ) -> None:
        peer.need(kind)
        settings = peer_serves(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        context = our_client(
            certificates,
            identities=[identity(certificates.authority.leaf(kind))],
            signature_schemes=with_authority(scheme),
        )
        endpoint = talk_to(peer, settings, context)
        assert endpoint.count("received", "certificate_request") == 1
        assert certificate_verify(endpoint, "sent") == SignatureScheme[scheme]


class TestFasthsServes:
    @SUITE_AND_KIND
    def test_cipher_suite(
        self, peer: FeaturePeer, certificates: Certificates, suite: str, kind: str
    ) -> None:
        """The client offers that one."""
        peer.need(kind)
        context = our_server(certificates, kind)
        served = serve(peer, peer_visits(certificates, suite=suite), context)
        assert_full(served.endpoint)
        assert served.conn.cipher_suite == CipherSuite[suite]
        assert served.conn.signature_scheme.name in SCHEMES[kind]

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suites_of_the_server(
        self, peer: FeaturePeer, certificates: Certificates, suite: str
    ) -> None:
        """It has a certificate of each kind."""
        identities = [identity(certificates.authority.leaf(kind)) for kind in ("rsa", "ecdsa")]
        context = our_server(certificates, identities=identities, cipher_suites=[suite])
        served = serve(peer, peer_visits(certificates), context)
        assert served.conn.cipher_suite == CipherSuite[suite]

    @pytest.mark.parametrize("group", GROUPS)
    def test_group(self, peer: FeaturePeer, certificates: Certificates, group: str) -> None:
        settings = peer_visits(certificates, groups=(group,))
        served = serve(peer, settings, our_server(certificates, "rsa"))
        assert served.conn.group == NamedGroup[group]

    @pytest.mark.parametrize("group", GROUPS)
    def test_groups_of_the_server(
        self, peer: FeaturePeer, certificates: Certificates, group: str
    ) -> None:
        context = our_server(certificates, "rsa", groups=[group])
        served = serve(peer, peer_visits(certificates), context)
        assert served.conn.group == NamedGroup[group]

    @KIND_AND_SCHEME
    def test_signature_scheme(
        self, peer: FeaturePeer, certificates: Certificates, kind: str, scheme: str
    ) -> None:
        peer.need(kind)
        if peer.can_choose_scheme:
            context = our_server(certificates, kind)
            settings = peer_visits(certificates, scheme=scheme)
        else:
            context = our_server(certificates, kind, signature_schemes=[scheme])
            settings = peer_visits(certificates)
        served = serve(peer, settings, context)
        assert served.conn.signature_scheme == SignatureScheme[scheme]

    @KIND_AND_SCHEME
    def test_client_certificate(
        self, peer: FeaturePeer, certificates: Certificates, kind: str, scheme: str
    ) -> None:
        peer.need(kind)
        credential = certificates.authority.leaf(kind)
        schemes = with_authority(scheme)
        if peer.name == "tlslite-ng" and not scheme.startswith("rsa_pkcs1"):
            schemes.append("rsa_pkcs1_sha256")  # without which it gives up (0.8.2)
        context = our_server(certificates, verify=Verify.REQUIRED, signature_schemes=schemes)
        served = serve(peer, peer_visits(certificates, credential=credential), context)
        assert served.conn.peer_certificates == identity(credential).certificates
        assert len(served.conn.verified_chain) == 3
        assert certificate_verify(served.endpoint, "received") == SignatureScheme[scheme]
