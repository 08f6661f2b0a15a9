"""BoringSSL, as browsers set it up: what curl_cffi sends is what Chrome, Firefox and Safari send.

That is GREASE, extensions in any order, a compressed certificate, and two key shares.
"""

import contextlib
from collections.abc import Iterator

import pytest

import fasths
from fasths import NamedGroup

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served
from .matrix import server_context
from .processes import TIMEOUT

curl_cffi = pytest.importorskip("curl_cffi")
requests = pytest.importorskip("curl_cffi.requests")

pytestmark = pytest.mark.parametrize("browser", ["chrome", "firefox", "safari"])

ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nanswer"


def handler(endpoint: Endpoint) -> None:
    assert endpoint.receive_some().startswith(b"GET / HTTP/1.1\r\n")
    endpoint.send(ANSWER)
    endpoint.close()


@contextlib.contextmanager
def session(browser: str, certificates: Certificates) -> Iterator:
    with requests.Session(
        impersonate=browser,
        verify=str(certificates.authority.file),
        timeout=TIMEOUT,
        curl_options={curl_cffi.CurlOpt.NOPROXY: "*"},
    ) as made:
        yield made


def visits(
    browser: str,
    certificates: Certificates,
    context: fasths.Context,
    later: fasths.Context | None = None,
) -> list[Served]:
    """Two of them, by one session of the browser."""
    served = []
    with (
        FasthsServer(context, handler, later=later) as server,
        session(browser, certificates) as client,
    ):
        for _ in range(2):
            answer = client.get(f"https://localhost:{server.port}/")
            assert (answer.status_code, answer.content) == (200, b"answer")
            served.append(server.served())
            assert served[-1].error is None
    return served


def test_resumption(browser: str, certificates: Certificates) -> None:
    first, second = visits(browser, certificates, server_context(certificates, alpn=["http/1.1"]))
    assert not first.conn.session_reused
    assert second.conn.session_reused
    for served in (first, second):
        assert served.conn.group == NamedGroup.X25519MLKEM768
        assert served.conn.alpn_protocol == "http/1.1"
        assert served.conn.server_name == "localhost"


@pytest.mark.parametrize("retry_with_cookie", [False, True])
def test_hello_retry_request(
    browser: str, certificates: Certificates, retry_with_cookie: bool
) -> None:
    """With a certificate, and with a session."""
    if browser == "firefox" and retry_with_cookie:
        pytest.skip("in curl-impersonate's list of Firefox's extensions there is no cookie")
    context = server_context(
        certificates, groups=["secp384r1"], retry_with_cookie=retry_with_cookie
    )
    first, second = visits(browser, certificates, context)
    assert second.conn.session_reused
    for served in (first, second):
        assert served.endpoint.hello_retried
        assert served.conn.group == NamedGroup.secp384r1


def test_certificate_compression(browser: str, certificates: Certificates) -> None:
    context = server_context(certificates, certificate_compression=["brotli", "zlib"])
    first, second = visits(browser, certificates, context)
    assert first.endpoint.count("sent", "compressed_certificate") == 1
    assert second.conn.session_reused


def test_early_data_is_not_offered(browser: str, certificates: Certificates) -> None:
    """curl does not, but keeps the sessions that permit it."""
    context = server_context(certificates, max_early_data_size=1000)
    second = visits(browser, certificates, context)[1]
    assert second.conn.session_reused
    assert second.conn.early_data_accepted is None


def test_staple(browser: str, certificates: Certificates) -> None:
    """Which every browser asks for."""
    credential = certificates.authority.leaf("ecdsa")
    staple = certificates.authority.staple("ecdsa").read_bytes()
    ours = fasths.Identity.from_pem(credential.chain, credential.key, ocsp_response=staple)
    first = visits(browser, certificates, server_context(certificates, identities=[ours]))[0]
    (sent,) = [
        data
        for direction, _, data in first.endpoint.messages
        if direction == "sent" and data[0] == fasths.HandshakeType.certificate
    ]
    assert staple in sent
