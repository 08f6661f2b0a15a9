"""gunicorn with its certificates in its own settings, and fasths.ssl by inject() or by its hook."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from interop.processes import TIMEOUT, Process

from .contexts import ADDRESS, MODULES, Certificates, Sides, library
from .http_servers import LARGE, connect_to

library("gunicorn")

PROGRAMS = Path(__file__).with_name("programs")
WORKERS = ("sync", "gthread")
# What stands in the configuration file, beside the certificates.
HOW = {
    "inject": """
import fasths.ssl

fasths.ssl.inject()
""",
    "hook": """
from fasths import ssl

def ssl_context(config, default_ssl_context_factory):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.certfile, config.keyfile)
    return context
""",
    "none": "",
}


class Gunicorn:
    """One server, on its port."""

    def __init__(self, process: Process) -> None:
        self.process = process
        found = process.log.wait_for(r"Listening at: https://127\.0\.0\.1:(\d+)")
        self.port = int(found[1])


@contextlib.contextmanager
def gunicorn(directory: Path, certificates: Certificates, how: str, worker: str) -> Iterator[Any]:
    settings = {
        "bind": f"{ADDRESS}:0",
        "worker_class": worker,
        "workers": 1,
        "threads": 4 if worker == "gthread" else 1,
        "certfile": str(certificates.server.chain),
        "keyfile": str(certificates.server.key),
        "graceful_timeout": 2,
        "worker_tmp_dir": str(directory),
        "control_socket_disable": True,  # it would be in the home directory
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    configuration = directory / "gunicorn.conf.py"
    configuration.write_text("\n".join([*lines, HOW[how]]))
    arguments = ("-c", configuration, "--chdir", PROGRAMS, "wsgi_application:application")
    with Process(sys.executable, "-m", "gunicorn", *arguments) as process:
        yield Gunicorn(process)


@pytest.fixture(scope="module", params=[f"{how}-{worker}" for how in HOW for worker in WORKERS])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
) -> Iterator[tuple[Gunicorn, bool]]:
    """A server, and whether fasths is in it."""
    how, worker = request.param.split("-")
    directory = tmp_path_factory.mktemp("gunicorn")
    with gunicorn(directory, certificates, how, worker) as running:
        yield running, how != "none"


@pytest.fixture
def clients(
    server: tuple[Gunicorn, bool], version: ssl.TLSVersion, certificates: Certificates
) -> list[Sides]:
    """Of both modules where fasths is in the server, and else of fasths alone."""
    names = ("server", "both") if server[1] else ("client",)
    return [Sides(*MODULES[name], version, certificates) for name in names]


def post(context: Any, port: int, bodies: list[bytes]) -> list[http.client.HTTPResponse]:
    """Posts them over one connection if the server keeps it, and returns the responses, read."""
    connection = http.client.HTTPSConnection(ADDRESS, port, timeout=TIMEOUT, context=context)
    responses = []
    try:
        for body in bodies:
            connection.request("POST", "/", body)
            response = connection.getresponse()
            assert response.read() == body
            responses.append(response)
    finally:
        connection.close()
    return responses


def test_requests_and_answers(clients: list[Sides], server: tuple[Gunicorn, bool]) -> None:
    running, is_fasths = server
    expected = "fasths" if is_fasths else "_ssl"
    for sides in clients:
        for response in post(sides.client_context(), running.port, [b"small", LARGE, b""]):
            assert response.headers["X-Class"].partition(".")[0] == expected
            assert response.headers["X-Version"] == sides.version_name
            assert response.headers["X-Scheme"] == "https"


def test_clients_at_the_same_time(clients: list[Sides], server: tuple[Gunicorn, bool]) -> None:
    contexts = [sides.client_context() for sides in clients]

    def post_twice(number: int) -> int:
        body = b"%d" % number * 20_000
        return len(post(contexts[number % len(contexts)], server[0].port, [body, body]))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(post_twice, range(12))) == {2}


def test_what_does_not_speak_tls_stops_nobody(
    clients: list[Sides], server: tuple[Gunicorn, bool]
) -> None:
    port = server[0].port
    with connect_to(ADDRESS, port) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while plain.recv(1000):
                pass
    for sides in clients:
        assert len(post(sides.client_context(), port, [b"still there"])) == 1
    assert "Worker exiting" not in server[0].process.log.text
