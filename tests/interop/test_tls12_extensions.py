"""Extensions of TLS 1.2 with the peers that have them: names, protocols, staples, SCTs, sizes.

The extended master secret is in test_tls12_secrets.py.
"""

import itertools

import pki
import pytest

import fasths
from fasths import StaplePolicy, Verify
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import FasthsServer, connect
from .feature_peers import OTHER_STAPLE, FeaturePeer, FeatureStdlib, with_peers
from .matrix import (
    DATA,
    LINE,
    assert_peer_alert,
    assert_refused_chain,
    public_key,
    refused,
    serve,
    talk_to,
)
from .peers import Credential, Go, Settings, StdlibEndpoint, go_report
from .tls12 import ALL_PEERS, our_client, our_server, peer_serves, peer_visits, refuse

pytestmark = pytest.mark.timeout(300)
STAPLING_PEERS = with_peers("openssl", "gnutls", "go", "pyopenssl")
TIMESTAMPS = (bytes(range(100)), b"another one")


@ALL_PEERS
class TestNames:
    """Of servers (RFC 6066, 3) and of protocols (RFC 7301)."""

    def test_server_name(self, peer: FeaturePeer, certificates: Certificates) -> None:
        served = serve(peer, peer_visits(certificates), our_server(certificates))
        assert served.conn.server_name == "localhost"
        assert served.conn.alpn_protocol is None

    def test_client_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_serves(certificates, alpn=("second",))
        endpoint = talk_to(peer, settings, our_client(certificates, alpn=["first", "second"]))
        assert endpoint.conn.alpn_protocol == "second"

    def test_server_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, alpn=("first", "second"))
        served = serve(peer, settings, our_server(certificates, alpn=["second"]))
        assert served.conn.alpn_protocol == "second"

    def test_server_alpn_without_overlap(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        settings = peer_visits(certificates, alpn=("theirs",))
        context = our_server(certificates, alpn=["ours"])
        error = refuse(peer, settings, context, "no_application_protocol")
        assert isinstance(error, errors.NoApplicationProtocol), error


@pytest.mark.parametrize("peer", ["openssl", "go", "tlslite"], indirect=True)
def test_client_alpn_without_overlap(peer: FeaturePeer, certificates: Certificates) -> None:
    """The others go on without a protocol."""
    settings = peer_serves(certificates, alpn=("theirs",))
    context = our_client(certificates, alpn=["ours"])
    with peer.server(settings) as server, connect(context, server.port) as endpoint:
        assert_peer_alert(refused(endpoint), "no_application_protocol")


def test_server_name_is_seen(stdlib: FeatureStdlib, certificates: Certificates) -> None:
    seen = []

    def serve_nothing(endpoint: StdlibEndpoint) -> None:
        endpoint.finish()

    with stdlib.server(peer_serves(certificates), serve_nothing) as server:
        server.context.sni_callback = lambda _socket, name, _context: seen.append(name)
        for name in ("localhost", "127.0.0.1"):
            with connect(our_client(certificates), server.port, name) as endpoint:
                endpoint.handshake()
                endpoint.close()
    # RFC 6066, 3: no literal addresses.
    assert seen == ["localhost", None]


@STAPLING_PEERS
class TestStaplesOfThePeer:
    """CertificateStatus (RFC 6066, 8); the client is fasths."""

    def settings(
        self, certificates: Certificates, status=pki.GOOD, kind: str = "ecdsa"
    ) -> Settings:
        return peer_serves(certificates, staple=certificates.authority.staple(kind, status))

    def test_good(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = self.settings(certificates)
        context = our_client(certificates, staple_policy=StaplePolicy.REQUIRE)
        endpoint = talk_to(peer, settings, context)
        assert endpoint.conn.ocsp_response == settings.staple.read_bytes()
        assert endpoint.count("received", "certificate_status") == 1

    def test_revoked_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        with peer.server(self.settings(certificates, pki.REVOKED)) as server:
            with connect(our_client(certificates), server.port) as endpoint:
                assert_refused_chain(refused(endpoint), "certificate_revoked")
            server.log.wait_for(peer.alert_pattern("certificate_revoked"))

    def test_of_another_certificate_is_refused(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        peer.need(OTHER_STAPLE)
        settings = self.settings(certificates, kind="ed25519")
        with (
            peer.server(settings) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            assert_refused_chain(refused(endpoint), "bad_certificate_status_response")

    def test_missing_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_client(certificates, staple_policy=StaplePolicy.REQUIRE)
        settings = peer_serves(certificates)
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_refused_chain(refused(endpoint), "bad_certificate_status_response")


class TestOurStaples:
    """The server is fasths."""

    def context(self, certificates: Certificates, kind: str, staple: bytes) -> fasths.Context:
        credential = certificates.authority.leaf(kind)
        ours = fasths.Identity.from_pem(credential.chain, credential.key, ocsp_response=staple)
        return our_server(certificates, identities=[ours])

    @STAPLING_PEERS
    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_good(self, peer: FeaturePeer, certificates: Certificates, kind: str) -> None:
        staple = certificates.authority.staple(kind).read_bytes()
        settings = peer_visits(certificates, ask_for_staple=True)
        with (
            FasthsServer(self.context(certificates, kind, staple)) as server,
            peer.staple_client(server.port, settings) as client,
        ):
            client.finish()
            peer.find_staple(client, staple)
            served = server.served()
        assert served.error is None
        assert served.endpoint.count("sent", "certificate_status") == 1

    def test_client_that_does_not_ask(
        self, stdlib: FeatureStdlib, certificates: Certificates
    ) -> None:
        staple = certificates.authority.staple("ecdsa").read_bytes()
        context = self.context(certificates, "ecdsa", staple)
        served = serve(stdlib, peer_visits(certificates), context)
        assert served.endpoint.count("sent", "certificate_status") == 0

    def test_revoked_is_refused_by_the_peer(
        self, gnutls: FeaturePeer, certificates: Certificates
    ) -> None:
        staple = certificates.authority.staple("ecdsa", pki.REVOKED).read_bytes()
        context = self.context(certificates, "ecdsa", staple)
        with (
            FasthsServer(context) as server,
            gnutls.client(server.port, peer_visits(certificates)) as client,
        ):
            client.log.wait_for("The certificate chain is revoked")
            assert_peer_alert(server.served().error, "bad_certificate", "certificate_revoked")


class TestTimestamps:
    """Signed certificate timestamps in the ServerHello (RFC 6962, 3.3.1)."""

    def test_of_the_peer(self, go: Go, certificates: Certificates) -> None:
        settings = peer_serves(certificates, timestamps=TIMESTAMPS)
        endpoint = talk_to(go, settings, our_client(certificates))
        assert endpoint.conn.signed_certificate_timestamps == TIMESTAMPS

    def test_ours(self, go: Go, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("ecdsa")
        ours = fasths.Identity.from_pem(
            credential.chain, credential.key, signed_certificate_timestamps=TIMESTAMPS
        )
        context = our_server(certificates, identities=[ours])
        settings = peer_visits(certificates)
        with FasthsServer(context) as server, go.client(server.port, settings) as client:
            expected = ",".join(each.hex() for each in TIMESTAMPS)
            assert go_report(client.log)["timestamps"] == expected
            client.finish()
            assert server.served().error is None


class TestRawPublicKeys:
    """RFC 7250; of the peers only GnuTLS has them."""

    def context(self, ours: Credential, theirs: Credential, **options) -> fasths.Context:
        return fasths.Context(
            identities=[fasths.Identity.from_raw_public_key(ours.key)],
            trusted_public_keys=[public_key(theirs)],
            **options,
        )

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    @pytest.mark.parametrize("both", [False, True])
    def test_client(
        self, gnutls: FeaturePeer, certificates: Certificates, kind: str, both: bool
    ) -> None:
        """both: the client shows a key, too."""
        ours, theirs = certificates.stranger.leaf("ecdsa"), certificates.authority.leaf(kind)
        settings = peer_serves(certificates, kind, raw_public_key=True, ask_client_certificate=both)
        endpoint = talk_to(gnutls, settings, self.context(ours, theirs))
        assert endpoint.conn.peer_raw_public_key == public_key(theirs)
        assert endpoint.conn.peer_certificates == ()
        assert endpoint.count("sent", "certificate_verify") == both

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    @pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
    def test_server(
        self, gnutls: FeaturePeer, certificates: Certificates, kind: str, verify: Verify
    ) -> None:
        ours, theirs = certificates.authority.leaf(kind), certificates.stranger.leaf("ecdsa")
        settings = peer_visits(certificates, credential=theirs, raw_public_key=True, trust=None)
        conn = serve(gnutls, settings, self.context(ours, theirs, verify=verify)).conn
        expected = public_key(theirs) if verify is Verify.REQUIRED else None
        assert conn.peer_raw_public_key == expected


class TestUnknownExtensions:
    """They are offered in vain."""

    def test_gnutls(self, gnutls: FeaturePeer, certificates: Certificates) -> None:
        srtp = "--srtp-profiles=SRTP_AES128_CM_HMAC_SHA1_80"
        settings = peer_visits(certificates, extra=("--heartbeat", srtp))
        serve(gnutls, settings, our_server(certificates))

    def test_openssl(self, openssl: FeaturePeer, certificates: Certificates) -> None:
        """SRTP, NPN, max_fragment_length, and one without a name."""
        options = {
            "-use_srtp": "SRTP_AES128_CM_SHA1_80",
            "-nextprotoneg": "http/1.1",
            "-maxfraglen": "512",
            "-serverinfo": "12345",
        }
        extra = tuple(itertools.chain(*options.items()))
        serve(openssl, peer_visits(certificates, extra=extra), our_server(certificates))


@with_peers("gnutls", "tlslite")
@pytest.mark.parametrize("limit", [512, 1024])
def test_ticket_and_record_size_limit(
    peer: FeaturePeer, certificates: Certificates, limit: int
) -> None:
    """A ticket with a client's chain is longer, and goes unprotected before ChangeCipherSpec.

    RFC 8449, 4 limits protected records; these clients do not take longer ones at that point.
    """
    credential = certificates.authority.leaf("rsa")
    settings = peer_visits(certificates, credential=credential, record_size_limit=limit)
    served = serve(peer, settings, our_server(certificates, verify=Verify.REQUIRED), DATA[:LINE])
    (ticket,) = [
        data
        for way, _, data in served.endpoint.messages
        if way == "sent" and data[0] == fasths.HandshakeType.new_session_ticket
    ]
    assert len(ticket) > limit
