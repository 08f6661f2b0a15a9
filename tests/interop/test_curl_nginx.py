"""HTTP: curl against a fasths server, a fasths client against nginx."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import fasths
from fasths import CipherSuite, NamedGroup, SignatureScheme, Verify
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .http_peers import (
    Curl,
    Nginx,
    assert_large_data_of_curl,
    assert_large_data_of_nginx,
    read_head,
    request,
    serve_http,
    serving,
    sha256,
)
from .matrix import (
    assert_peer_alert,
    assert_refused_chain,
    client_context,
    identity,
    refused,
    server_context,
)
from .peers import SUITES

# --- curl -------------------------------------------------------------------------------------


class TestCurl:
    @pytest.fixture
    def client(self, curl: str, certificates: Certificates) -> Curl:
        return Curl(curl, certificates.authority.file)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, client: Curl, certificates: Certificates, suite: str) -> None:
        with FasthsServer(server_context(certificates), serve_http) as server:
            done = client.run(server.port, "--tlsv1.3", "--tls13-ciphers", suite)
            assert done.stdout.decode() == sha256(b""), done.stderr
            served = server.served()
        assert served.error is None
        assert served.conn.cipher_suite == CipherSuite[suite]
        assert served.conn.server_name == "localhost"

    @pytest.mark.parametrize(
        ("curves", "group", "retried"),
        [
            ("P-256", "secp256r1", False),
            ("X25519", "x25519", False),
            ("X25519:P-384", "secp384r1", True),
            ("X25519:P-521", "secp521r1", True),
        ],
    )
    def test_group(
        self, client: Curl, certificates: Certificates, curves: str, group: str, retried: bool
    ) -> None:
        with FasthsServer(server_context(certificates, groups=[group]), serve_http) as server:
            done = client.run(server.port, "--curves", curves)
            assert done.returncode == 0, done.stderr
            served = server.served()
        assert served.conn.group == NamedGroup[group]
        assert served.endpoint.hello_retried == retried

    def test_large_data(self, client: Curl, certificates: Certificates, tmp_path: Path) -> None:
        context = server_context(certificates, "rsa")
        assert_large_data_of_curl(client, context, tmp_path / "upload")

    def test_connection_is_kept(self, client: Curl, certificates: Certificates) -> None:
        with FasthsServer(server_context(certificates), serve_http) as server:
            done = client.run(server.port, path="/1 /20 /300")
            assert done.stdout == b"x" * 321
            assert server.served().error is None

    def test_alpn(self, client: Curl, certificates: Certificates) -> None:
        context = server_context(certificates, alpn=["h2", "http/1.1"])
        with FasthsServer(context, serve_http) as server:
            assert client.run(server.port).returncode == 0
            assert server.served().conn.alpn_protocol == "http/1.1"

    def test_client_certificate(self, client: Curl, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("ed25519")
        context = server_context(certificates, verify=Verify.REQUIRED)
        with FasthsServer(context, serve_http) as server:
            done = client.run(
                server.port, "--cert", credential.chain_file, "--key", credential.key_file
            )
            assert done.returncode == 0, done.stderr
            assert len(server.served().conn.verified_chain) == 3
            done = client.run(server.port)
            assert b"alert certificate required" in done.stderr
            assert isinstance(server.served().error, errors.CertificateRequired)

    @pytest.mark.parametrize(
        ("known", "host", "alert"),
        [(False, "localhost", "unknown_ca"), (True, "other.example", "bad_certificate")],
        ids=["unknown-authority", "other-host-name"],
    )
    def test_curl_refuses(
        self, client: Curl, certificates: Certificates, known: bool, host: str, alert: str
    ) -> None:
        if not known:
            client = Curl(client.path, certificates.stranger.file)
        with FasthsServer(server_context(certificates), serve_http) as server:
            assert client.run(server.port, host=host).returncode == 60
            served = server.served()
        if known:
            # curl compares the names itself, when TLS is done, and just closes.
            assert served.error is None or isinstance(served.error, fasths.TLSError)
        else:
            assert_peer_alert(served.error, alert)

    def test_curl_without_tls13(self, client: Curl, certificates: Certificates) -> None:
        with FasthsServer(server_context(certificates), serve_http) as server:
            done = client.run(server.port, "--tls-max", "1.2")
            assert b"alert protocol version" in done.stderr
            assert isinstance(server.served().error, errors.ProtocolVersion)


# --- nginx ------------------------------------------------------------------------------------

# Each is a server of its own, on its own port: its certificate, and what else it is told.
SITES = {
    **{suite: ("ecdsa", f"ssl_conf_command Ciphersuites {suite};") for suite in SUITES},
    "x25519": ("ecdsa", "ssl_ecdh_curve X25519;"),
    "secp256r1": ("ecdsa", "ssl_ecdh_curve prime256v1;"),
    "secp384r1": ("ecdsa384", "ssl_ecdh_curve secp384r1;"),
    "secp521r1": ("ecdsa521", "ssl_ecdh_curve secp521r1;"),
    "rsa_pss_rsae_sha256": ("rsa", ""),
    "ed25519": ("ed25519", ""),
    "verify": (
        "ecdsa",
        "ssl_verify_client optional; ssl_verify_depth 3; ssl_client_certificate {authority};",
    ),
    "tls12": ("ecdsa", "ssl_protocols TLSv1.2;"),
}


@pytest.fixture(scope="module")
def server(
    nginx: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("nginx")
    with serving(nginx, certificates, directory, SITES, "TLSv1.3") as running:
        yield running


class TestNginx:
    def about(self, server: Nginx, site: str, context: fasths.Context) -> tuple[Endpoint, str]:
        with connect(context, server.ports[site]) as endpoint:
            endpoint.handshake()
            told = request(endpoint, "GET", "/about").decode()
            endpoint.shutdown()
        assert told.startswith("TLSv1.3 ")
        return endpoint, told

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, server: Nginx, certificates: Certificates, suite: str) -> None:
        endpoint, told = self.about(server, suite, client_context(certificates))
        assert endpoint.conn.cipher_suite == CipherSuite[suite]
        assert told == f"TLSv1.3 {suite} localhost NONE"

    @pytest.mark.parametrize("group", ["x25519", "secp256r1", "secp384r1", "secp521r1"])
    @pytest.mark.parametrize("retried", [False, True])
    def test_group(
        self, server: Nginx, certificates: Certificates, group: str, retried: bool
    ) -> None:
        other = "secp256r1" if group == "x25519" else "x25519"
        context = client_context(
            certificates, groups=[other, group], key_share_groups=[other if retried else group]
        )
        endpoint, _ = self.about(server, group, context)
        assert endpoint.conn.group == NamedGroup[group]
        assert endpoint.hello_retried == retried

    @pytest.mark.parametrize("scheme", ["rsa_pss_rsae_sha256", "ed25519"])
    def test_server_certificate(
        self, server: Nginx, certificates: Certificates, scheme: str
    ) -> None:
        schemes = [scheme, "ecdsa_secp256r1_sha256"]
        context = client_context(certificates, signature_schemes=schemes)
        endpoint, _ = self.about(server, scheme, context)
        assert endpoint.conn.signature_scheme == SignatureScheme[scheme]

    @pytest.mark.parametrize("key_type", [None, "ecdsa", "rsa", "ed448"])
    def test_client_certificate(
        self, server: Nginx, certificates: Certificates, key_type: str | None
    ) -> None:
        identities = [identity(certificates.authority.leaf(key_type))] if key_type else []
        context = client_context(certificates, identities=identities)
        _, told = self.about(server, "verify", context)
        assert told.endswith("SUCCESS" if key_type else "NONE")

    def test_alpn(self, server: Nginx, certificates: Certificates) -> None:
        context = client_context(certificates, alpn=["http/1.1"])
        endpoint, _ = self.about(server, "x25519", context)
        assert endpoint.conn.alpn_protocol == "http/1.1"

    def test_alpn_without_overlap(self, server: Nginx, certificates: Certificates) -> None:
        context = client_context(certificates, alpn=["ours"])
        with connect(context, server.ports["x25519"]) as endpoint:
            assert_peer_alert(refused(endpoint), "no_application_protocol")

    def test_large_data(self, server: Nginx, certificates: Certificates) -> None:
        context = client_context(certificates)
        assert_large_data_of_nginx(server, server.ports["x25519"], context)

    def test_nginx_closes(self, server: Nginx, certificates: Certificates) -> None:
        with connect(client_context(certificates), server.ports["x25519"]) as endpoint:
            endpoint.handshake()
            endpoint.send(b"GET /about HTTP/1.0\r\n\r\n")
            head, body = read_head(endpoint)
            assert head.startswith(b"HTTP/1.1 200")
            while data := endpoint.receive_some():  # until close_notify
                body += data
            assert body.startswith(b"TLSv1.3")
            assert endpoint.shutdown() == 1

    def test_unknown_authority(self, server: Nginx, certificates: Certificates) -> None:
        trust = fasths.TrustStore.from_pem(certificates.stranger.pem)
        context = client_context(certificates, trust=trust)
        with connect(context, server.ports["x25519"]) as endpoint:
            assert_refused_chain(refused(endpoint), "unknown_ca")
        server.process.log.wait_for("alert unknown ca")

    def test_nginx_without_tls13(self, server: Nginx, certificates: Certificates) -> None:
        with connect(client_context(certificates), server.ports["tls12"]) as endpoint:
            assert_peer_alert(refused(endpoint), "protocol_version")
