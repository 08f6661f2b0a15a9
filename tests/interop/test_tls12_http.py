"""TLS 1.2 with curl, with nginx, and with BoringSSL as browsers set it up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import fasths
from fasths import (
    CipherSuite,
    MemorySessionStore,
    NamedGroup,
    SignatureScheme,
    TicketKeys,
    TLSVersion,
    Verify,
)
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served, connect
from .http_peers import (
    Curl,
    Nginx,
    assert_large_data_of_curl,
    assert_large_data_of_nginx,
    request,
    serve_http,
    serving,
    sha256,
)
from .matrix import assert_peer_alert, identity, refused
from .peers import OPENSSL_CIPHERS
from .processes import TIMEOUT
from .tls12 import OTHER_SUITES, SUITES, assert_refused, our_client, our_server

TLSv1_2 = TLSVersion.TLSv1_2

# --- curl -------------------------------------------------------------------------------------


class TestCurl:
    @pytest.fixture
    def client(self, curl: str, certificates: Certificates) -> Curl:
        return Curl(curl, certificates.authority.file)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, client: Curl, certificates: Certificates, suite: str) -> None:
        context = our_server(certificates, SUITES[suite][0])
        with FasthsServer(context, serve_http) as server:
            done = client.run(server.port, "--tls-max", "1.2", "--ciphers", OPENSSL_CIPHERS[suite])
            assert done.stdout.decode() == sha256(b""), done.stderr
            served = server.served()
        assert served.error is None
        assert served.conn.cipher_suite == CipherSuite[suite]
        assert served.conn.server_name == "localhost"

    def test_server_of_tls12(self, client: Curl, certificates: Certificates) -> None:
        context = our_server(certificates, maximum_version=TLSv1_2, alpn=["h2", "http/1.1"])
        with FasthsServer(context, serve_http) as server:
            assert client.run(server.port, path="/1 /20 /300").stdout == b"x" * 321
            served = server.served()
        assert served.error is None
        assert served.conn.version == TLSv1_2
        assert served.conn.alpn_protocol == "http/1.1"

    @pytest.mark.parametrize("suite", OTHER_SUITES)
    def test_other_suite_is_refused(
        self, client: Curl, certificates: Certificates, suite: str
    ) -> None:
        options = "--tls-max", "1.2", "--ciphers", OPENSSL_CIPHERS[suite]
        with FasthsServer(our_server(certificates), serve_http) as server:
            assert b"alert handshake failure" in client.run(server.port, *options).stderr
            assert_refused(server.served().error, "handshake_failure")

    def test_large_data(self, client: Curl, certificates: Certificates, tmp_path: Path) -> None:
        context = our_server(certificates, "rsa")
        assert_large_data_of_curl(client, context, tmp_path / "upload", "--tls-max", "1.2")

    def test_client_certificate(self, client: Curl, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("rsa")
        context = our_server(certificates, verify=Verify.REQUIRED)
        options = "--tls-max", "1.2"
        with FasthsServer(context, serve_http) as server:
            shown = "--cert", credential.chain_file, "--key", credential.key_file
            done = client.run(server.port, *options, *shown)
            assert done.returncode == 0, done.stderr
            assert len(server.served().conn.verified_chain) == 3
            assert b"alert handshake failure" in client.run(server.port, *options).stderr
            assert_refused(server.served().error, "handshake_failure")

    @pytest.mark.parametrize(
        "options",
        [{"ticket_keys": TicketKeys()}, {"session_store": MemorySessionStore()}],
        ids=["ticket", "session-id"],
    )
    def test_resumption(self, client: Curl, certificates: Certificates, options: dict) -> None:
        """Three connections of one process."""

        def serve_once(endpoint: Endpoint) -> None:
            assert endpoint.receive_some()
            endpoint.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            endpoint.close()

        with FasthsServer(our_server(certificates, **options), serve_once) as server:
            done = client.run(server.port, "--tls-max", "1.2", path="/1 /2 /3")
            assert done.stdout == b"xxx", done.stderr
            served = server.all_served(3)
        assert [each.error for each in served] == [None] * 3
        assert [each.conn.session_reused for each in served] == [False, True, True]

    def test_version_is_refused(self, client: Curl, certificates: Certificates) -> None:
        context = our_server(certificates, minimum_version=TLSVersion.TLSv1_3)
        with FasthsServer(context, serve_http) as server:
            done = client.run(server.port, "--tls-max", "1.2")
            assert b"alert protocol version" in done.stderr
            assert isinstance(server.served().error, errors.ProtocolVersion)


# --- nginx ------------------------------------------------------------------------------------

SITES = {
    **{suite: ("ecdsa rsa", f"ssl_ciphers {cipher};") for suite, cipher in OPENSSL_CIPHERS.items()},
    "x25519": ("rsa", "ssl_ecdh_curve X25519;"),
    "secp256r1": ("rsa", "ssl_ecdh_curve prime256v1;"),
    "secp384r1": ("rsa", "ssl_ecdh_curve secp384r1;"),
    "secp521r1": ("rsa", "ssl_ecdh_curve secp521r1;"),
    "rsa_pss_rsae_sha384": (
        "rsa",
        "ssl_conf_command SignatureAlgorithms RSA-PSS+SHA384;",
    ),
    "rsa_pkcs1_sha512": ("rsa", "ssl_conf_command SignatureAlgorithms RSA+SHA512;"),
    "ed25519": ("ed25519", ""),
    "verify": (
        "ecdsa",
        "ssl_verify_client optional; ssl_verify_depth 3; ssl_client_certificate {authority};",
    ),
    "plain": ("ecdsa", "ssl_conf_command Options -ExtendedMasterSecret;"),
    "ids": ("ecdsa", "ssl_session_cache shared:ids:1m; ssl_session_tickets off;"),
    "both": ("ecdsa", "ssl_protocols TLSv1.2 TLSv1.3;"),
    "tls11": ("rsa", "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"),
}


@pytest.fixture(scope="module")
def server(
    nginx: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("nginx")
    with serving(nginx, certificates, directory, SITES, "TLSv1.2") as running:
        yield running


class TestNginx:
    def get(
        self,
        server: Nginx,
        site: str,
        context: fasths.Context,
        path: str = "/about",
        session: fasths.Session | None = None,
    ) -> tuple[Endpoint, str]:
        with connect(context, server.ports[site]) as endpoint:
            if session is not None:
                endpoint.conn.set_session(session)
            endpoint.handshake()
            told = request(endpoint, "GET", path).decode()
            endpoint.shutdown()
        return endpoint, told

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, server: Nginx, certificates: Certificates, suite: str) -> None:
        endpoint, told = self.get(server, suite, our_client(certificates))
        assert endpoint.conn.cipher_suite == CipherSuite[suite]
        assert told == f"TLSv1.2 {OPENSSL_CIPHERS[suite]} localhost NONE"

    @pytest.mark.parametrize("suite", OTHER_SUITES)
    def test_other_suite(self, server: Nginx, certificates: Certificates, suite: str) -> None:
        with connect(our_client(certificates), server.ports[suite]) as endpoint:
            assert_peer_alert(refused(endpoint), "handshake_failure")

    @pytest.mark.parametrize("group", ["x25519", "secp256r1", "secp384r1", "secp521r1"])
    def test_group(self, server: Nginx, certificates: Certificates, group: str) -> None:
        endpoint, _ = self.get(server, group, our_client(certificates))
        assert endpoint.conn.group == NamedGroup[group]

    @pytest.mark.parametrize("scheme", ["rsa_pss_rsae_sha384", "rsa_pkcs1_sha512", "ed25519"])
    def test_signature_scheme(self, server: Nginx, certificates: Certificates, scheme: str) -> None:
        endpoint, _ = self.get(server, scheme, our_client(certificates))
        assert endpoint.conn.signature_scheme == SignatureScheme[scheme]

    @pytest.mark.parametrize("key_type", [None, "ecdsa", "rsa", "ed448"])
    def test_client_certificate(
        self, server: Nginx, certificates: Certificates, key_type: str | None
    ) -> None:
        identities = [identity(certificates.authority.leaf(key_type))] if key_type else []
        _, told = self.get(server, "verify", our_client(certificates, identities=identities))
        assert told.endswith("SUCCESS" if key_type else "NONE")

    @pytest.mark.parametrize("site", ["x25519", "ids"], ids=["ticket", "session-id"])
    def test_resumption(self, server: Nginx, certificates: Certificates, site: str) -> None:
        context = our_client(certificates)
        session = None
        for expected in (".", "r", "r"):
            endpoint, told = self.get(server, site, context, "/reused", session)
            session = endpoint.conn.session
            assert endpoint.conn.session_reused is (expected == "r")
            assert told == expected

    def test_without_extended_master_secret(
        self, server: Nginx, certificates: Certificates
    ) -> None:
        endpoint, _ = self.get(server, "plain", our_client(certificates))
        assert endpoint.conn.extended_master_secret is False
        assert endpoint.conn.session is None
        context = our_client(certificates, require_extended_master_secret=True)
        with connect(context, server.ports["plain"]) as endpoint:
            assert_refused(refused(endpoint), "handshake_failure")

    @pytest.mark.parametrize(
        ("ours", "version"),
        [({"maximum_version": TLSv1_2}, TLSv1_2), ({}, TLSVersion.TLSv1_3)],
        ids=["tls12", "both"],
    )
    def test_versions(
        self, server: Nginx, certificates: Certificates, ours: dict, version: TLSVersion
    ) -> None:
        endpoint, _ = self.get(server, "both", our_client(certificates, **ours))
        assert endpoint.conn.version == version

    def test_version_that_is_too_old(self, server: Nginx, certificates: Certificates) -> None:
        with connect(our_client(certificates), server.ports["tls11"]) as endpoint:
            assert_peer_alert(refused(endpoint), "protocol_version")

    def test_large_data(self, server: Nginx, certificates: Certificates) -> None:
        context = our_client(certificates)
        assert_large_data_of_nginx(server, server.ports["x25519"], context)


# --- BoringSSL --------------------------------------------------------------------------------


@pytest.mark.parametrize("browser", ["chrome", "firefox", "safari"])
class TestBrowsers:
    """They offer both versions; the server has TLS 1.2 alone."""

    def visits(
        self, browser: str, certificates: Certificates, context: fasths.Context
    ) -> list[Served]:
        """Two of them, by one session of the browser."""
        curl_cffi = pytest.importorskip("curl_cffi")
        requests = pytest.importorskip("curl_cffi.requests")

        def handler(endpoint: Endpoint) -> None:
            assert endpoint.receive_some().startswith(b"GET / HTTP/1.1\r\n")
            endpoint.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            endpoint.close()

        with (
            FasthsServer(context, handler) as server,
            requests.Session(
                impersonate=browser,
                verify=str(certificates.authority.file),
                timeout=TIMEOUT,
                curl_options={curl_cffi.CurlOpt.NOPROXY: "*"},
            ) as session,
        ):
            for _ in range(2):
                assert session.get(f"https://localhost:{server.port}/").content == b"x"
            served = server.all_served(2)
        assert [each.error for each in served] == [None, None]
        assert [each.conn.version for each in served] == [TLSv1_2] * 2
        assert [each.conn.extended_master_secret for each in served] == [True] * 2
        return served

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_handshake(self, browser: str, certificates: Certificates, kind: str) -> None:
        context = our_server(
            certificates, kind, maximum_version=TLSv1_2, alpn=["http/1.1"], session_tickets=0
        )
        for served in self.visits(browser, certificates, context):
            assert served.conn.group == NamedGroup.x25519
            assert served.conn.alpn_protocol == "http/1.1"
            assert served.conn.server_name == "localhost"
            assert not served.conn.session_reused

    @pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "session-id"])
    def test_resumption(self, browser: str, certificates: Certificates, tickets: bool) -> None:
        options = {} if tickets else {"session_store": MemorySessionStore()}
        context = our_server(certificates, maximum_version=TLSv1_2, **options)
        first, second = self.visits(browser, certificates, context)
        assert not first.conn.session_reused
        assert second.conn.session_reused
        # Safari does not offer tickets.
        expected = tickets and browser != "safari"
        assert first.endpoint.count("sent", "new_session_ticket") == expected

    def test_staple(self, browser: str, certificates: Certificates) -> None:
        """Which every browser asks for."""
        credential = certificates.authority.leaf("ecdsa")
        ours = fasths.Identity.from_pem(
            credential.chain,
            credential.key,
            ocsp_response=certificates.authority.staple("ecdsa").read_bytes(),
        )
        context = our_server(certificates, maximum_version=TLSv1_2, identities=[ours])
        first, _ = self.visits(browser, certificates, context)
        assert first.endpoint.count("sent", "certificate_status") == 1
