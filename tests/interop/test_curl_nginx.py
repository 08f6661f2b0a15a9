"""HTTP: curl against a fasths server, a fasths client against nginx."""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fasths
from fasths import CipherSuite, NamedGroup, SignatureScheme, Verify
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .matrix import (
    MEBIBYTE,
    assert_peer_alert,
    assert_refused_chain,
    client_context,
    identity,
    refused,
    server_context,
)
from .peers import SUITES, TIMEOUT, Process, free_port, wait_until_accepting


def read_head(endpoint: Endpoint) -> tuple[bytes, bytes]:
    """An HTTP head, and what came after it in the same reads."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        data = endpoint.receive_some()
        if not data:
            return b"", b""
        received += data
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    return head, rest


def read_body(endpoint: Endpoint, head: bytes, begun: bytes) -> bytes:
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    total = int(length[1]) if length else 0
    return begun + endpoint.receive(total - len(begun))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- curl -------------------------------------------------------------------------------------


def serve_http(endpoint: Endpoint) -> None:
    """Answers every request with the hash of its body; GET /N with N bytes."""
    while True:
        head, begun = read_head(endpoint)
        if not head:
            break
        if b"100-continue" in head:
            endpoint.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(endpoint, head, begun)
        size = re.match(rb"GET /(\d+) ", head)
        answer = b"x" * int(size[1]) if size else sha256(body).encode()
        endpoint.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    endpoint.close()


@dataclass
class Curl:
    path: str
    authority: Path

    def run(self, port: int, *options: str | Path, path: str = "/", host: str = "localhost"):
        command = [
            self.path,
            "--disable",
            "--silent",
            "--show-error",
            "--http1.1",
            *("--noproxy", "*"),
            *("--max-time", str(int(TIMEOUT))),
            *("--connect-to", f"::127.0.0.1:{port}"),
            *("--cacert", self.authority),
            *options,
            *(f"https://{host}:{port}{one}" for one in path.split()),
        ]
        return subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            timeout=2 * TIMEOUT,
            check=False,
            env={**os.environ, "HOME": "/nonexistent"},
        )


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
        body = os.urandom(MEBIBYTE)
        upload = tmp_path / "upload"
        upload.write_bytes(body)
        with FasthsServer(server_context(certificates, "rsa"), serve_http) as server:
            done = client.run(server.port, "--data-binary", f"@{upload}")
            assert done.stdout.decode() == sha256(body), done.stderr
            done = client.run(server.port, path=f"/{MEBIBYTE}")
            assert done.stdout == b"x" * MEBIBYTE
            assert [server.served().error for _ in range(2)] == [None, None]

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
CONFIGURATION = """
daemon off;
worker_processes 1;
error_log stderr info;
pid {directory}/nginx.pid;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 4m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    keepalive_timeout 10;
    ssl_protocols TLSv1.3;
    {sites}
}}
"""
SITE = """
    server {{
        listen 127.0.0.1:{port} ssl;
        root {directory}/root;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        {more}
        location = /about {{
            return 200 "$ssl_protocol $ssl_cipher $ssl_server_name $ssl_client_verify";
        }}
        location /put {{
            dav_methods PUT;
        }}
    }}
"""


@dataclass
class Nginx:
    ports: dict[str, int]
    root: Path
    process: Process


@pytest.fixture(scope="module")
def server(
    nginx: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("nginx")
    root = directory / "root"
    (root / "put").mkdir(parents=True)
    (root / "large").write_bytes(os.urandom(MEBIBYTE))
    ports = {}
    sites = []
    for name, (key_type, more) in SITES.items():
        ports[name] = free_port()
        credential = certificates.authority.leaf(key_type)
        sites.append(
            SITE.format(
                port=ports[name],
                directory=directory,
                chain=credential.chain_file,
                key=credential.key_file,
                more=more.format(authority=certificates.authority.file),
            )
        )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            directory=directory,
            sites="".join(sites),
            # As root, its workers would change to a user who may not read the files.
            user="user root root;" if os.geteuid() == 0 else "",
        )
    )
    with Process(nginx, "-p", directory, "-c", configuration, "-e", "stderr") as process:
        for port in ports.values():
            wait_until_accepting(port, lambda: process.alive)
        yield Nginx(ports, root, process)


def request(endpoint: Endpoint, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    endpoint.send(head.encode() + body)
    answer, begun = read_head(endpoint)
    assert answer.split()[1] in (b"200", b"201", b"204"), answer
    return read_body(endpoint, answer, begun)


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
        body = os.urandom(MEBIBYTE)
        with connect(client_context(certificates), server.ports["x25519"]) as endpoint:
            endpoint.handshake()
            # On one connection, which is kept.
            downloaded = request(endpoint, "GET", "/large")
            request(endpoint, "PUT", "/put/large", body)
            assert endpoint.shutdown() == 0  # which nginx does not answer
        assert sha256(downloaded) == sha256((server.root / "large").read_bytes())
        assert sha256((server.root / "put" / "large").read_bytes()) == sha256(body)

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
