"""Extensions that few peers have: SCTs, raw public keys, compression, record sizes."""

import pytest
from helpers import records

import fasths
from fasths import NamedGroup, Verify

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect, echo, echo_after
from .feature_peers import FeatureGnuTLS, FeatureOpenSSL, FeaturePeer, with_peers
from .in_process_peers import PyOpenSSL, Tlslite
from .matrix import (
    DATA,
    MEBIBYTE,
    client_context,
    identity,
    payload,
    public_key,
    refused,
    serve,
    server_context,
    talk_to,
)
from .peers import ONLY_TLS12, Credential, Go, Settings, go_report
from .relay import Relay
from .tls12 import our_client, our_server

pytestmark = pytest.mark.timeout(300)


class TestTimestamps:
    """Signed certificate timestamps in TLS (RFC 6962, 3.3)."""

    TIMESTAMPS = (bytes(range(100)), b"another one")

    def test_of_the_peer(self, go: Go, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("ecdsa")
        settings = Settings(credential=credential, timestamps=self.TIMESTAMPS)
        endpoint = talk_to(go, settings, client_context(certificates))
        assert endpoint.conn.signed_certificate_timestamps == self.TIMESTAMPS

    def test_ours(self, go: Go, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("ecdsa")
        ours = fasths.Identity.from_pem(
            credential.chain, credential.key, signed_certificate_timestamps=self.TIMESTAMPS
        )
        context = server_context(certificates, identities=[ours])
        settings = Settings(trust=certificates.authority.file)
        with FasthsServer(context) as server, go.client(server.port, settings) as client:
            assert go_report(client.log)["timestamps"] == ",".join(
                each.hex() for each in self.TIMESTAMPS
            )
            client.finish()
            assert server.served().error is None


class TestRawPublicKeys:
    """RFC 7250; of the peers only GnuTLS has them."""

    def settings(self, credential: Credential, **options) -> Settings:
        return Settings(credential=credential, raw_public_key=True, **options)

    def context(self, ours: Credential, theirs: Credential, **options) -> fasths.Context:
        return fasths.Context(
            identities=[fasths.Identity.from_raw_public_key(ours.key)],
            trusted_public_keys=[public_key(theirs)],
            **options,
        )

    @pytest.mark.parametrize("kind", ["ecdsa", "ed25519", "rsa"])
    @pytest.mark.parametrize("both", [False, True])
    def test_client(
        self, gnutls: FeaturePeer, certificates: Certificates, kind: str, both: bool
    ) -> None:
        """both: the client shows a key, too."""
        ours, theirs = certificates.stranger.leaf("ecdsa"), certificates.authority.leaf(kind)
        settings = self.settings(theirs, ask_client_certificate=both)
        endpoint = talk_to(gnutls, settings, self.context(ours, theirs))
        assert endpoint.conn.peer_raw_public_key == public_key(theirs)
        assert endpoint.conn.peer_certificates == ()
        assert endpoint.count("sent", "certificate_verify") == both

    @pytest.mark.parametrize("kind", ["ecdsa", "ed25519", "rsa"])
    @pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
    def test_server(
        self, gnutls: FeaturePeer, certificates: Certificates, kind: str, verify: Verify
    ) -> None:
        ours, theirs = certificates.authority.leaf(kind), certificates.stranger.leaf("ecdsa")
        conn = serve(gnutls, self.settings(theirs), self.context(ours, theirs, verify=verify)).conn
        expected = public_key(theirs) if verify is Verify.REQUIRED else None
        assert conn.peer_raw_public_key == expected

    def test_unknown_key_is_refused(self, gnutls: FeaturePeer, certificates: Certificates) -> None:
        theirs, others = certificates.authority.leaf("ecdsa"), certificates.stranger.leaf("ecdsa")
        context = self.context(others, others)
        with (
            gnutls.server(self.settings(theirs)) as server,
            connect(context, server.port) as endpoint,
        ):
            error = refused(endpoint)
            assert isinstance(error, fasths.CertificateError)
            assert error.origin == fasths.Origin.LOCAL

    def test_unknown_key_of_a_client_is_refused(
        self, gnutls: FeaturePeer, certificates: Certificates
    ) -> None:
        ours = certificates.authority.leaf("ecdsa")
        context = self.context(ours, ours, verify=Verify.REQUIRED)
        settings = self.settings(certificates.stranger.leaf("ecdsa"))
        with FasthsServer(context) as server, gnutls.client(server.port, settings) as client:
            assert client.receive(1) == b""
            error = server.served().error
        assert isinstance(error, fasths.CertificateError)


@pytest.mark.parametrize("algorithm", ["zlib", "brotli", "zstd"])
class TestCertificateCompression:
    """RFC 8879; of the peers only tlslite-ng has it."""

    def test_client(self, tlslite: Tlslite, certificates: Certificates, algorithm: str) -> None:
        settings = Settings(
            credential=certificates.authority.leaf("ecdsa"), compression=(algorithm,)
        )
        context = client_context(certificates, certificate_compression=[algorithm])
        endpoint = talk_to(tlslite, settings, context)
        assert endpoint.count("received", "compressed_certificate") == 1
        assert len(endpoint.conn.verified_chain) == 3

    def test_client_certificate(
        self, tlslite: Tlslite, certificates: Certificates, algorithm: str
    ) -> None:
        settings = Settings(
            credential=certificates.authority.leaf("ecdsa"),
            compression=(algorithm,),
            require_client_certificate=True,
        )
        context = server_context(certificates, certificate_compression=[algorithm])
        endpoint = talk_to(tlslite, settings, context)
        assert endpoint.count("sent", "compressed_certificate") == 1

    @pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
    def test_server(
        self, tlslite: Tlslite, certificates: Certificates, algorithm: str, verify: Verify
    ) -> None:
        settings = Settings(
            credential=certificates.authority.leaf("ecdsa"), compression=(algorithm,)
        )
        context = server_context(certificates, certificate_compression=[algorithm], verify=verify)
        served = serve(tlslite, settings, context)
        assert served.endpoint.count("sent", "compressed_certificate") == 1
        assert served.endpoint.count("received", "compressed_certificate") == (
            verify is Verify.REQUIRED
        )

    def test_no_common_algorithm(
        self, tlslite: Tlslite, certificates: Certificates, algorithm: str
    ) -> None:
        other = "zlib" if algorithm != "zlib" else "zstd"
        settings = Settings(credential=certificates.authority.leaf("ecdsa"), compression=(other,))
        context = client_context(certificates, certificate_compression=[algorithm])
        endpoint = talk_to(tlslite, settings, context)
        assert endpoint.count("received", "certificate") == 1


def largest(stream: bytearray, overhead: int) -> int:
    """The most plaintext (in TLS 1.3 with the content type) in one protected record."""
    return max(len(fragment) for kind, fragment in records(stream) if kind == 23) - overhead


@with_peers("gnutls", "tlslite")
@pytest.mark.parametrize(
    ("options", "overhead"),
    [
        pytest.param({}, 16, id="1.3"),
        pytest.param(
            {"versions": ONLY_TLS12, "suite": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
            8 + 16,
            id="1.2-AES_128_GCM_SHA256",
        ),
        pytest.param(
            {"versions": ONLY_TLS12, "suite": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
            16,
            id="1.2-CHACHA20_POLY1305_SHA256",
        ),
    ],
)
class TestRecordSizeLimit:
    """RFC 8449, where both sides say what they want to receive."""

    OURS = 700
    THEIRS = 1024

    def test_client(
        self, peer: FeaturePeer, certificates: Certificates, options: dict, overhead: int
    ) -> None:
        credential = certificates.authority.leaf("ecdsa")
        settings = Settings(credential=credential, record_size_limit=self.THEIRS, **options)
        context = our_client(certificates, record_size_limit=self.OURS)
        data = payload(MEBIBYTE // 16)
        with (
            peer.server(settings) as server,
            Relay(server.port) as relay,
            connect(context, relay.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.exchange(data, 4096) == data
            endpoint.close()
            ((sent, received),) = relay.streams
        assert largest(sent, overhead) == self.THEIRS
        assert largest(received, overhead) == self.OURS

    def test_server(
        self, peer: FeaturePeer, certificates: Certificates, options: dict, overhead: int
    ) -> None:
        """gnutls-cli drops what does not go into one record, so the client sends little."""
        data = payload(MEBIBYTE // 16)

        def handler(endpoint: Endpoint) -> None:
            assert endpoint.receive(len(DATA)) == DATA
            endpoint.send(data)
            echo(endpoint)

        settings = Settings(
            record_size_limit=self.THEIRS, **{"trust": certificates.authority.file, **options}
        )
        context = our_server(certificates, record_size_limit=self.OURS)
        with (
            FasthsServer(context, handler) as server,
            Relay(server.port) as relay,
            peer.client(relay.port, settings) as client,
        ):
            client.send(DATA)
            assert client.receive(len(data)) == data, client.log.text
            client.finish()
            assert server.served().error is None
            ((sent, received),) = relay.streams
        assert largest(sent, overhead) <= self.OURS
        assert largest(received, overhead) == self.THEIRS


@with_peers("openssl", "gnutls", "go", "stdlib", "pyopenssl", "tlslite")
@pytest.mark.parametrize(
    "options",
    [{"record_padding": 512}, {"dynamic_record_sizing": True}],
    ids=lambda each: next(iter(each)),
)
class TestRecords:
    """Which our side makes as it wants to."""

    DATA = payload(MEBIBYTE // 16)

    def test_client(self, peer: FeaturePeer, certificates: Certificates, options: dict) -> None:
        settings = Settings(
            credential=certificates.authority.leaf("ecdsa"), echo_after=len(self.DATA)
        )
        with (
            peer.server(settings) as server,
            Relay(server.port) as relay,
            connect(client_context(certificates, **options), relay.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.exchange(self.DATA, server.window) == self.DATA
            endpoint.close()
            self.check(relay.streams[0][0], options)

    def test_server(self, peer: FeaturePeer, certificates: Certificates, options: dict) -> None:
        context = server_context(certificates, **options)
        settings = Settings(trust=certificates.authority.file)
        with (
            FasthsServer(context, echo_after(len(self.DATA))) as server,
            Relay(server.port) as relay,
            peer.client(relay.port, settings) as client,
        ):
            client.send(self.DATA)
            assert client.receive(len(self.DATA)) == self.DATA, client.log.text
            client.finish()
            assert server.served().error is None
            self.check(relay.streams[0][1], options)

    def check(self, stream: bytearray, options: dict) -> None:
        sizes = [len(fragment) - 16 for kind, fragment in records(stream) if kind == 23]
        if "record_padding" in options:
            # A record that is full takes no padding.
            assert all(size % 512 == 0 or size == 16385 for size in sizes)
        else:
            assert max(sizes) < 1500


class TestX25519MLKEM768:
    """With the newer OpenSSL of pyOpenSSL; test_go.py has it with Go."""

    GROUP = "X25519MLKEM768"

    def settings(self, certificates: Certificates, *groups: str) -> Settings:
        return Settings(
            credential=certificates.authority.leaf("ecdsa"),
            trust=certificates.authority.file,
            groups=groups,
        )

    @pytest.mark.parametrize("first", ["X25519MLKEM768", "secp256r1"])
    def test_client(self, pyopenssl: PyOpenSSL, certificates: Certificates, first: str) -> None:
        pyopenssl.need(self.GROUP)
        groups = list(dict.fromkeys([first, self.GROUP]))
        context = client_context(certificates, groups=groups, key_share_groups=[first])
        endpoint = talk_to(pyopenssl, self.settings(certificates, self.GROUP), context)
        assert endpoint.conn.group == NamedGroup[self.GROUP]
        assert endpoint.hello_retried is (first != self.GROUP)

    @pytest.mark.parametrize("first", ["X25519MLKEM768", "secp256r1"])
    def test_server(self, pyopenssl: PyOpenSSL, certificates: Certificates, first: str) -> None:
        pyopenssl.need(self.GROUP)
        groups = dict.fromkeys([first, self.GROUP])
        context = server_context(certificates, groups=[self.GROUP])
        served = serve(pyopenssl, self.settings(certificates, *groups), context)
        assert served.conn.group == NamedGroup[self.GROUP]
        assert served.endpoint.hello_retried is (first != self.GROUP)


class TestKeyUpdateOfTlslite:
    """What openssl and gnutls-cli do in their own modules."""

    @pytest.mark.parametrize("requested", [False, True])
    def test_client(self, tlslite: Tlslite, certificates: Certificates, requested: bool) -> None:
        def serve_with_updates(endpoint) -> None:
            for _ in range(2):
                data = endpoint.receive(len(DATA))
                for _ in endpoint.connection.send_keyupdate_request(int(requested)):
                    pass
                endpoint.send(data)
            endpoint.echo(settings)

        settings = Settings(credential=certificates.authority.leaf("ecdsa"))
        with (
            tlslite.server(settings, serve_with_updates) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            for _ in range(3):
                assert endpoint.exchange(DATA, server.window) == DATA
            endpoint.close()
        assert endpoint.count("received", "key_update") == 2
        assert endpoint.count("sent", "key_update") == 2 * requested

    @pytest.mark.parametrize("requested", [False, True])
    def test_server(self, tlslite: Tlslite, certificates: Certificates, requested: bool) -> None:
        with (
            FasthsServer(server_context(certificates)) as server,
            tlslite.client(server.port, Settings()) as client,
        ):
            for _ in range(2):
                for _ in client.connection.send_keyupdate_request(int(requested)):
                    pass
                client.send(DATA)
                assert client.receive(len(DATA)) == DATA
            client.finish()
            served = server.served()
        assert served.error is None
        assert served.endpoint.count("received", "key_update") == 2
        assert served.endpoint.count("sent", "key_update") == 2 * requested


class TestCertificateAuthorities:
    """RFC 8446, 4.2.4."""

    @with_peers("openssl", "gnutls", "go")
    def test_of_the_peer(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The client has two certificates, and shows the one that the server asks for."""
        settings = Settings(
            credential=certificates.authority.leaf("ecdsa"),
            trust=certificates.authority.file,
            require_client_certificate=True,
        )
        identities = [
            identity(authority.leaf("ecdsa"))
            for authority in (certificates.stranger, certificates.authority)
        ]
        endpoint = talk_to(peer, settings, client_context(certificates, identities=identities))
        assert endpoint.count("sent", "certificate_verify") == 1

    def test_ours(self, openssl: FeatureOpenSSL, certificates: Certificates) -> None:
        names = fasths.TrustStore.from_pem(certificates.authority.pem).subjects
        context = server_context(
            certificates, verify=Verify.OPTIONAL, certificate_authorities=names()
        )
        settings = Settings(trust=certificates.authority.file)
        with (
            FasthsServer(context) as server,
            openssl.client(server.port, settings, mode=()) as client,
        ):
            client.wait_for_data(
                rb"Acceptable client certificate CA names\nO = fasths tests, CN = authority root\n"
            )
            client.finish()
            assert server.served().error is None


def test_channel_binding(gnutls: FeatureGnuTLS, certificates: Certificates) -> None:
    """tls-exporter (RFC 9266), as gnutls-cli has it."""
    settings = Settings(trust=certificates.authority.file, extra=("--verbose",))
    with (
        FasthsServer(server_context(certificates)) as server,
        gnutls.client(server.port, settings) as client,
    ):
        client.finish()
        theirs = client.log.wait_for("'tls-exporter': ([0-9a-f]+)")[1]
        assert server.served().conn.channel_binding("tls-exporter").hex() == theirs
