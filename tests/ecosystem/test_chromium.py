"""Headless Chromium loads pages from servers of fasths: HTTP/1.1 and HTTP/2, TLS 1.3 and 1.2."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pki
import pytest

import fasths

from .chromium import DOMAIN, Chromium, Response
from .contexts import VERSION_NAMES, Identity
from .page_servers import (
    TIMEOUT,
    AioServer,
    AsyncioServer,
    Server,
    Settings,
    ThreadingServer,
)
from .web_page import EXPECTED_REPORT, PATHS, REPORT

HOST = f"www.{DOMAIN}"
# One browser is enough for all of these.
pytestmark = pytest.mark.xdist_group("chromium")

SERVERS = {"threads": ThreadingServer, "asyncio": AsyncioServer, "aio": AioServer}


class Certificates:
    """An authority that the browser trusts, and certificates that it accepts or does not."""

    def __init__(self, directory: Path) -> None:
        root = pki.make_ca("trusted root")
        issuer = pki.make_ca("trusted intermediate", issuer=root)
        self.authority = directory / "authority.pem"
        self.authority.write_bytes(root.pem)
        leaves = {
            "ecdsa": pki.make_leaf([HOST], issuer=issuer),
            "rsa": pki.make_leaf([HOST], issuer=issuer, key_type="rsa"),
            "untrusted": pki.make_leaf([HOST], issuer=pki.make_ca("unknown root")),
            "other-name": pki.make_leaf([f"other.{DOMAIN}"], issuer=issuer),
        }
        self.identities = {}
        for name, leaf in leaves.items():
            chain, key = directory / f"{name}.pem", directory / f"{name}.key"
            chain.write_bytes(leaf.chain_pem)
            key.write_bytes(leaf.key_pem)
            self.identities[name] = Identity(chain, key)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, pages: Certificates) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium"), pages.authority) as running:
        yield running


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> type[Server]:
    return SERVERS[request.param]


@pytest.fixture(scope="module")
def identities(pages: Certificates) -> dict[str, Identity]:
    return pages.identities


def url(server: Server, path: str = "/") -> str:
    return f"https://{HOST}:{server.port}{path}"


def visit_page(browser: Chromium, server: Server) -> list[Response]:
    with browser.window() as window:
        assert window.visit(url(server)) is None
        assert json.loads(window.evaluate(REPORT)) == EXPECTED_REPORT
        return window.responses()


def check_connections(server: Server, group: str) -> None:
    """Every one is of this version and group, and all that belongs to the page was asked for."""
    version = VERSION_NAMES[server.settings.version]
    assert server.connections
    for connection in server.connections:
        assert connection.version == version
        # A resumed connection of TLS 1.2 has no key exchange.
        is_exchanged = version == "TLSv1.3" or not connection.session_reused
        assert connection.group == (group if is_exchanged else None)
        assert connection.alpn == server.ALPN
        assert connection.server_name == HOST
    paths = [path for connection in server.connections for path in connection.paths]
    assert sorted(paths) == PATHS
    assert server.errors.empty()


def test_page(
    browser: Chromium,
    identities: dict[str, Identity],
    kind: type[Server],
    version: ssl.TLSVersion,
) -> None:
    group = {"TLSv1.3": "X25519MLKEM768", "TLSv1.2": "x25519"}[VERSION_NAMES[version]]
    with kind(Settings(identities["ecdsa"], version)) as server:
        responses = visit_page(browser, server)
    check_connections(server, group)
    # The browser sees it as the server does.
    assert sorted(each.path for each in responses) == PATHS
    assert {each.protocol for each in responses} == {server.ALPN}
    assert {each.version for each in responses} == {VERSION_NAMES[version].replace("v", " ")}
    assert {each.group.lower() for each in responses} == {group.lower()}


def test_hello_retry_request(
    browser: Chromium, identities: dict[str, Identity], kind: type[Server]
) -> None:
    """The browser has this group, and no key share of it in its first ClientHello."""
    settings = Settings(identities["ecdsa"], group="secp384r1")
    with kind(settings) as server:
        responses = visit_page(browser, server)
    check_connections(server, "secp384r1")
    assert {each.group for each in responses} == {"P-384"}


def test_resumption(
    browser: Chromium,
    identities: dict[str, Identity],
    kind: type[Server],
    version: ssl.TLSVersion,
) -> None:
    """Each visit has a connection of its own, and all but the first resume a session."""
    with kind(Settings(identities["rsa"], version)) as server, browser.window() as window:
        for _ in range(3):
            assert window.visit(url(server, "/last")) is None
            assert window.evaluate("document.body.textContent") == "last"
    visits = [each for each in server.connections if each.paths]
    assert [each.paths for each in visits] == [["/last"]] * 3
    assert [each.session_reused for each in visits] == [False, True, True]
    assert server.errors.empty()


def test_early_data(browser: Chromium, identities: dict[str, Identity]) -> None:
    """The browser begins to speak HTTP/2 before the handshake is done.

    It does so if it is faster than the server's answer, so it gets a few chances.
    """
    settings = Settings(identities["ecdsa"], early_data=16384)
    with AioServer(settings) as server, browser.window() as window:
        for _ in range(30):
            assert window.visit(url(server, "/last")) is None
            assert window.evaluate("document.body.textContent") == "last"
            if any(each.early_data for each in server.connections):
                break
    first, *_, last = (each for each in server.connections if each.paths)
    assert not first.session_reused
    assert not first.early_data
    assert last.session_reused
    assert last.early_data.startswith(b"PRI * HTTP/2.0\r\n")


REFUSALS = {
    "untrusted": "ERR_CERT_AUTHORITY_INVALID",
    "other-name": "ERR_CERT_COMMON_NAME_INVALID",
}


@pytest.mark.parametrize("identity", REFUSALS)
def test_refused_certificate(
    browser: Chromium,
    identities: dict[str, Identity],
    kind: type[Server],
    version: ssl.TLSVersion,
    identity: str,
) -> None:
    """The browser shows why, and its alert is the server's error."""
    with kind(Settings(identities[identity], version), tells_errors=True) as server:
        with browser.window() as window:
            assert window.visit(url(server)) == f"net::{REFUSALS[identity]}"
            assert REFUSALS[identity] in window.evaluate("document.body.innerText")
        error = server.errors.get(timeout=TIMEOUT)
    if isinstance(error, ssl.SSLError):
        assert error.reason == "SSLV3_ALERT_CERTIFICATE_UNKNOWN"
        error = error.__cause__
    assert isinstance(error, fasths.PeerAlert)
    assert error.alert == fasths.AlertDescription.certificate_unknown
    assert not server.connections
