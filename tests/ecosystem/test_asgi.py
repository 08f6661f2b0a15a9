"""uvicorn and hypercorn over contexts of fasths.ssl: httpx and curl as their clients."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from interop.processes import TIMEOUT, find_tool, require

from .asgi_servers import connection_of, hypercorn_service, knows, uvicorn_service
from .contexts import HOST, library
from .servers import LARGE, in_thread

httpx = library("httpx")
library("httptools")
library("h2")
websockets_client = library("websockets.sync.client")

# Server, and the HTTP versions that it has.
SERVICES = {
    "uvicorn-h11": (lambda context: uvicorn_service(context, http="h11"), ("1.1",)),
    "uvicorn-httptools": (lambda context: uvicorn_service(context, http="httptools"), ("1.1",)),
    "hypercorn": (hypercorn_service, ("1.1", "2")),
}
CASES = [(name, version) for name, (_, versions) in SERVICES.items() for version in versions]
EVERY_SERVICE = pytest.mark.parametrize(
    ("service", "http"), CASES, ids=[f"{name}-http{version}" for name, version in CASES]
)


def serving(sides, service):
    make, versions = SERVICES[service]
    alpn = ("h2", "http/1.1") if "2" in versions else ("http/1.1",)
    context = sides.server_context(alpn=alpn)
    return in_thread(lambda: make(context))


@pytest.mark.parametrize("service", ["uvicorn-h11", "uvicorn-httptools"])
def test_uvicorn_and_httpx(sides, service):
    """test_httpx.py has hypercorn."""
    with serving(sides, service) as port:
        url = f"https://{HOST}:{port}"
        with httpx.Client(
            verify=sides.client_context(), trust_env=False, timeout=TIMEOUT
        ) as client:
            with client.stream("GET", url) as response:
                sides.check_client(connection_of(response))
                response.read()
            assert response.json() == knows("1.1")
            assert client.get(f"{url}/large").content == LARGE
            assert client.post(url, content=LARGE).content == LARGE


@EVERY_SERVICE
def test_curl(both, tmp_path, service, http):
    if "CI" in os.environ:
        assert find_tool("curl"), "curl is not installed"
    curl = require("curl")
    upload = tmp_path / "upload"
    upload.write_bytes(LARGE)
    with serving(both, service) as port:

        def run(*options, path="/"):
            done = subprocess.run(
                [
                    curl,
                    *("--disable", "--silent", "--show-error", "--noproxy", "*"),
                    *("--max-time", str(TIMEOUT), "--cacert", both.certificates.authority),
                    *("--http2" if http == "2" else "--http1.1", *options),
                    f"https://{HOST}:{port}{path}",
                ],
                capture_output=True,
                timeout=2 * TIMEOUT,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        body, version = run("--write-out", "\n%{http_version}").splitlines()
        assert json.loads(body) == knows(http)
        assert version.decode() == http
        assert run(path="/large") == LARGE
        assert run("--data-binary", f"@{upload}") == LARGE


@pytest.mark.parametrize("service", SERVICES)
def test_websockets(both, service):
    with (
        serving(both, service) as port,
        websockets_client.connect(
            f"wss://{HOST}:{port}",
            ssl=both.client_context(),
            proxy=None,
            open_timeout=TIMEOUT,
            close_timeout=TIMEOUT,
        ) as connection,
    ):
        both.check_client(connection.socket)
        for message in ("text", b"bytes", b"x" * 500_000):
            connection.send(message)
            assert connection.recv(TIMEOUT) == message
