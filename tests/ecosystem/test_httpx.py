"""httpx, blocking and asynchronous, HTTP/1.1 and HTTP/2, with verify= a context."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from interop.processes import TIMEOUT

from .asgi_servers import connection_of, hypercorn_service, knows
from .contexts import HOST, OTHER_HOST, library
from .servers import CONNECTIONS, LARGE, all_of, in_thread

httpx = library("httpx")
library("h2")

HTTP = pytest.mark.parametrize("http2", [False, True], ids=["http1.1", "h2"])
# Never a proxy out of the environment.
OPTIONS = {"trust_env": False, "timeout": TIMEOUT}
ALPN = ("h2", "http/1.1")


def service(sides):
    return hypercorn_service(sides.server_context(alpn=ALPN))


def check(sides, response, http2):
    assert response.status_code == 200
    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    connection = connection_of(response)
    sides.check_client(connection)
    assert connection.selected_alpn_protocol() == ("h2" if http2 else "http/1.1")
    subject = dict(attribute for (attribute,) in connection.getpeercert()["subject"])
    assert subject == {"commonName": "the server"}


@HTTP
def test_blocking(sides, http2):
    with in_thread(lambda: service(sides)) as port:
        url = f"https://{HOST}:{port}"
        with httpx.Client(verify=sides.client_context(), http2=http2, **OPTIONS) as client:
            for path in ("/", "/again"):
                with client.stream("GET", url + path) as response:
                    check(sides, response, http2)
                    response.read()
                assert response.json() == knows("2" if http2 else "1.1", path)
            assert client.get(f"{url}/large").content == LARGE
            assert client.post(url, content=LARGE).content == LARGE


@HTTP
def test_asynchronous(sides, http2):
    async def main():
        client = httpx.AsyncClient(verify=sides.client_context(), http2=http2, **OPTIONS)
        async with service(sides) as port, client:
            url = f"https://{HOST}:{port}"
            async with client.stream("GET", url) as response:
                check(sides, response, http2)
                await response.aread()
            assert response.json() == knows("2" if http2 else "1.1")
            assert (await client.get(f"{url}/large")).content == LARGE
            assert (await client.post(url, content=LARGE)).content == LARGE

    asyncio.run(main())


@HTTP
def test_many_at_once(both, http2):
    """As many connections in HTTP/1.1, as many streams of one in HTTP/2."""

    async def main():
        client = httpx.AsyncClient(verify=both.client_context(), http2=http2, **OPTIONS)
        async with service(both) as port, client:

            async def get(number):
                path = f"/{number}"
                response = await client.get(f"https://{HOST}:{port}{path}")
                answers[number] = response.json()["path"]

            await all_of(get)

    answers = {}
    asyncio.run(main())
    assert answers == {number: f"/{number}" for number in range(CONNECTIONS)}


def test_client_certificate(sides):
    with in_thread(
        lambda: hypercorn_service(sides.server_context(wants_certificate=True, alpn=ALPN))
    ) as port:
        url = f"https://{HOST}:{port}"
        context = sides.client_context(identity=sides.certificates.client)
        with httpx.Client(verify=context, **OPTIONS) as client:
            assert client.get(url).status_code == 200
        with (
            httpx.Client(verify=sides.client_context(), **OPTIONS) as client,
            pytest.raises(httpx.TransportError),
        ):
            client.get(url)


def get_blocking(url, context):
    with httpx.Client(verify=context, **OPTIONS) as client:
        client.get(url, extensions={"sni_hostname": OTHER_HOST})


def get_asynchronous(url, context):
    async def main():
        async with httpx.AsyncClient(verify=context, **OPTIONS) as client:
            await client.get(url, extensions={"sni_hostname": OTHER_HOST})

    asyncio.run(main())


@pytest.mark.parametrize("get", [get_blocking, get_asynchronous])
def test_wrong_name_is_refused(sides, get):
    with (
        in_thread(lambda: service(sides)) as port,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED") as caught,
    ):
        get(f"https://{HOST}:{port}", sides.client_context())
    assert any(isinstance(each, ssl.SSLCertVerificationError) for each in causes(caught.value))


def causes(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
