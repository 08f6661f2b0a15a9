"""requests and urllib3 over fasths.ssl, directly and through proxies."""

from __future__ import annotations

import contextlib
import hashlib
import select
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from interop.processes import TIMEOUT

from fasths import ssl as fasths_ssl

from .contexts import ADDRESS, HOST, OTHER_HOST, Certificates, Sides, library
from .http_servers import LARGE, ProxyServer, TLSServer, https_server, running

requests = library("requests")
adapters = library("requests.adapters")
urllib3 = library("urllib3")
ssltransport = library("urllib3.util.ssltransport")


class ContextAdapter(adapters.HTTPAdapter):  # type: ignore[misc, name-defined]
    """requests' way to a context of one's own."""

    def __init__(self, context: Any, **settings: Any) -> None:
        self._context = context
        super().__init__(**settings)

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **settings)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        settings.update(ssl_context=self._context, proxy_ssl_context=self._context)
        return super().proxy_manager_for(proxy, **settings)


@contextlib.contextmanager
def session_with(context: Any) -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", ContextAdapter(context))
        yield session


@contextlib.contextmanager
def pool_with(context: Any, **settings: Any) -> Iterator[Any]:
    with urllib3.PoolManager(
        ssl_context=context, timeout=TIMEOUT, retries=False, **settings
    ) as pool:
        yield pool


def idle_connections(pool_manager: Any) -> list[Any]:
    """The sockets that the pools of a manager keep for the next request."""
    pools = [pool_manager.pools[key] for key in pool_manager.pools.keys()]  # noqa: SIM118
    connections = [each for pool in pools for each in list(pool.pool.queue) if each is not None]
    return [each.sock for each in connections]


def only_socket(session: Any) -> Any:
    (sock,) = idle_connections(session.get_adapter("https://").poolmanager)
    return sock


def test_requests_keeps_a_connection(sides: Sides, certificates: Certificates) -> None:
    with https_server(sides) as port, session_with(sides.client_context()) as session:
        session.verify = str(certificates.authority)
        url = f"https://{HOST}:{port}"
        assert session.get(f"{url}/", timeout=TIMEOUT).content == b"hello"
        first = only_socket(session)
        sides.check_client(first)
        assert session.get(f"{url}/large", timeout=TIMEOUT).content == LARGE
        assert session.post(url, data=LARGE, timeout=TIMEOUT).content == LARGE
        chunks = session.get(f"{url}/large", timeout=TIMEOUT, stream=True).iter_content(10_000)
        assert b"".join(chunks) == LARGE
        assert only_socket(session) is first
        del chunks  # or the pool, and with it the connection, stays


def test_requests_shows_a_certificate(sides: Sides, certificates: Certificates) -> None:
    """By requests' own argument, which loads the files into the context."""
    with (
        https_server(sides, wants_certificate=True) as port,
        session_with(sides.client_context()) as session,
    ):
        session.verify = str(certificates.authority)
        session.cert = (str(certificates.client.chain), str(certificates.client.key))
        seen = session.get(f"https://{HOST}:{port}/peer", timeout=TIMEOUT).json()
        assert seen["subject"] == [[["commonName", "the client"]]]


@pytest.mark.parametrize("what", ["host", "authority"])
def test_requests_says_why_it_does_not_believe(
    sides: Sides, certificates: Certificates, what: str
) -> None:
    is_host = what == "host"
    server_context = sides.server_context(identity=certificates.other_server if is_host else None)
    authority = certificates.authority if is_host else certificates.other_authority
    with (
        running(TLSServer(server_context)) as port,
        session_with(sides.client_context(authority=authority)) as session,
    ):
        session.verify = str(authority)
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED") as why:
            session.get(f"https://{HOST}:{port}/", timeout=TIMEOUT)
        expected = "Hostname mismatch" if is_host else "unable to get local issuer certificate"
        assert expected in str(why.value)


def test_requests_believes_anybody_if_told_to(sides: Sides, certificates: Certificates) -> None:
    """verify=False: urllib3 switches verify_mode of the context off."""
    context = sides.client_context(authority=certificates.other_authority)
    context.check_hostname = False
    with https_server(sides) as port, session_with(context) as session:
        session.verify = False
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert session.get(f"https://{HOST}:{port}/", timeout=TIMEOUT).content == b"hello"
        sides.check_client(only_socket(session))
    assert context.verify_mode == ssl.CERT_NONE


def test_urllib3_makes_its_own_context(
    both: Sides, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """create_urllib3_context() with our class, as it is where it is in the place of ssl's."""
    monkeypatch.setattr(urllib3.util.ssl_, "SSLContext", fasths_ssl.SSLContext)
    with (
        https_server(both) as port,
        urllib3.PoolManager(
            ca_certs=str(certificates.authority),
            cert_file=str(certificates.client.chain),
            key_file=str(certificates.client.key),
            ssl_minimum_version=both.version,
            ssl_maximum_version=both.version,
            timeout=TIMEOUT,
            retries=False,
        ) as pool,
    ):
        assert pool.request("GET", f"https://{ADDRESS}:{port}/large").data == LARGE
        (sock,) = idle_connections(pool)
        both.check_client(sock)


def test_urllib3_with_a_fingerprint(sides: Sides, certificates: Certificates) -> None:
    """assert_fingerprint looks at the certificate itself, and nowhere else."""
    der = ssl.PEM_cert_to_DER_cert(
        certificates.server.chain.read_text().partition("-----END CERTIFICATE-----\n")[0]
        + "-----END CERTIFICATE-----\n"
    )
    fingerprint = hashlib.sha256(der).hexdigest()
    with https_server(sides) as port:
        url = f"https://{ADDRESS}:{port}/"
        for expected, is_right in ((fingerprint, True), ("0" * 64, False)):
            with pool_with(sides.client_context(), assert_fingerprint=expected) as pool:
                if is_right:
                    assert pool.request("GET", url).data == b"hello"
                else:
                    with pytest.raises(urllib3.exceptions.SSLError, match="did not match"):
                        pool.request("GET", url)


def test_urllib3_with_another_server_hostname(sides: Sides, certificates: Certificates) -> None:
    with (
        https_server(sides, identity=certificates.other_server) as port,
        pool_with(sides.client_context(), server_hostname=OTHER_HOST) as pool,
    ):
        assert pool.request("GET", f"https://{ADDRESS}:{port}/").data == b"hello"


def test_urllib3_from_many_threads(sides: Sides) -> None:
    context = sides.client_context()
    with https_server(sides) as port, pool_with(context, maxsize=5, block=True) as pool:
        url = f"https://{HOST}:{port}/"

        def post(number: int) -> bool:
            body = b"%d" % number * 30_000
            return pool.request("POST", url, body=body).data == body

        with ThreadPoolExecutor(5) as threads:
            assert all(threads.map(post, range(40)))
        for sock in idle_connections(pool):
            sides.check_client(sock)


def test_urllib3_makes_another_connection_where_one_has_ended(sides: Sides) -> None:
    """It asks with select(), so nothing may wait inside of an idle connection."""
    with https_server(sides) as port, pool_with(sides.client_context(), num_pools=1) as pool:
        url = f"https://{HOST}:{port}/"
        assert pool.request("GET", url).data == b"hello"
        (first,) = idle_connections(pool)
        assert pool.request("GET", url, headers={"Connection": "close"}).data == b"hello"
        assert select.select([first], [], [], TIMEOUT)[0]  # the server's end has arrived
        assert pool.request("GET", url).data == b"hello"
        (second,) = idle_connections(pool)
        assert second is not first


@contextlib.contextmanager
def proxy(context: Any = None) -> Iterator[tuple[ProxyServer, str]]:
    server = ProxyServer(context)
    with running(server) as port:
        yield server, f"{'http' if context is None else 'https'}://{HOST}:{port}"


def test_requests_through_a_proxy(sides: Sides, certificates: Certificates) -> None:
    with (
        https_server(sides) as port,
        proxy() as (server, proxy_url),
        session_with(sides.client_context()) as session,
    ):
        session.verify = str(certificates.authority)
        session.proxies = {"https": proxy_url}
        url = f"https://{HOST}:{port}"
        assert session.post(url, data=LARGE, timeout=TIMEOUT).content == LARGE
        assert session.get(url, timeout=TIMEOUT).content == b"hello"
    assert server.targets == [f"{HOST}:{port}"]


def test_tls_in_tls(sides: Sides) -> None:
    """The outer connection is an SSLSocket, the inner one an SSLObject over memory BIOs."""
    context = sides.client_context()
    with (
        https_server(sides) as port,
        proxy(sides.server_context()) as (server, proxy_url),
        urllib3.ProxyManager(
            proxy_url,
            proxy_ssl_context=context,
            ssl_context=context,
            timeout=TIMEOUT,
            retries=False,
        ) as manager,
    ):
        url = f"https://{HOST}:{port}"
        assert manager.request("GET", f"{url}/large").data == LARGE
        assert manager.request("POST", url, body=LARGE).data == LARGE
        (transport,) = idle_connections(manager)
        assert isinstance(transport, ssltransport.SSLTransport)
        for each in (transport.sslobj, transport.socket):
            sides.check_client(each)
    assert server.targets == [f"{HOST}:{port}"]
    assert server.views == [sides.server_view]


def test_requests_through_a_proxy_with_tls(sides: Sides, certificates: Certificates) -> None:
    with (
        https_server(sides) as port,
        proxy(sides.server_context()) as (server, proxy_url),
        session_with(sides.client_context()) as session,
    ):
        session.verify = str(certificates.authority)
        session.proxies = {"https": proxy_url}
        assert session.get(f"https://{HOST}:{port}/large", timeout=TIMEOUT).content == LARGE
    assert server.views == [sides.server_view]


def test_tls_in_tls_refuses_the_inner_server(sides: Sides, certificates: Certificates) -> None:
    inner = sides.server_context(identity=certificates.other_server)
    context = sides.client_context()
    with (
        running(TLSServer(inner)) as port,
        proxy(sides.server_context()) as (_, proxy_url),
        urllib3.ProxyManager(
            proxy_url,
            proxy_ssl_context=context,
            ssl_context=context,
            timeout=TIMEOUT,
            retries=False,
        ) as manager,
        pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        manager.request("GET", f"https://{HOST}:{port}/")
