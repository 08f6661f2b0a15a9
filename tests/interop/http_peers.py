"""HTTP, with curl and nginx: how they are run, and the other side in fasths."""

import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fasths

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .matrix import MEBIBYTE
from .processes import TIMEOUT, Process, free_port, wait_until_accepting


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


def assert_large_data_of_curl(
    client: Curl, context: fasths.Context, upload: Path, *options: str
) -> None:
    """In both directions; upload: a file to be made."""
    body = os.urandom(MEBIBYTE)
    upload.write_bytes(body)
    with FasthsServer(context, serve_http) as server:
        done = client.run(server.port, *options, "--data-binary", f"@{upload}")
        assert done.stdout.decode() == sha256(body), done.stderr
        done = client.run(server.port, *options, path=f"/{MEBIBYTE}")
        assert done.stdout == b"x" * MEBIBYTE
        assert [server.served().error for _ in range(2)] == [None, None]


# --- nginx ------------------------------------------------------------------------------------

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
    ssl_protocols {protocols};
    {sites}
}}
"""
CERTIFICATE = """
        ssl_certificate {chain};
        ssl_certificate_key {key};
"""
SITE = """
    server {{
        listen 127.0.0.1:{port} ssl;
        root {directory}/root;
        {certificates}
        {more}
        location = /about {{
            return 200 "$ssl_protocol $ssl_cipher $ssl_server_name $ssl_client_verify";
        }}
        location = /reused {{
            return 200 "$ssl_session_reused";
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


@contextlib.contextmanager
def serving(
    nginx: str,
    certificates: Certificates,
    directory: Path,
    sites: dict[str, tuple[str, str]],
    protocols: str,
) -> Iterator[Nginx]:
    """sites: each is a server on a port of its own: the kinds of its keys, and what it is told."""
    root = directory / "root"
    (root / "put").mkdir(parents=True)
    (root / "large").write_bytes(os.urandom(MEBIBYTE))
    ports = {}
    texts = []
    for name, (key_types, more) in sites.items():
        ports[name] = free_port()
        texts.append(
            SITE.format(
                port=ports[name],
                directory=directory,
                certificates="".join(
                    CERTIFICATE.format(chain=credential.chain_file, key=credential.key_file)
                    for credential in map(certificates.authority.leaf, key_types.split())
                ),
                more=more.format(authority=certificates.authority.file),
            )
        )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            directory=directory,
            protocols=protocols,
            sites="".join(texts),
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


def assert_large_data_of_nginx(server: Nginx, port: int, context: fasths.Context) -> None:
    body = os.urandom(MEBIBYTE)
    with connect(context, port) as endpoint:
        endpoint.handshake()
        # On one connection, which is kept.
        downloaded = request(endpoint, "GET", "/large")
        request(endpoint, "PUT", "/put/large", body)
        assert endpoint.shutdown() == 0  # which nginx does not answer
    assert sha256(downloaded) == sha256((server.root / "large").read_bytes())
    assert sha256((server.root / "put" / "large").read_bytes()) == sha256(body)
