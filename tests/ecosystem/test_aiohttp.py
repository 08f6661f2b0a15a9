"""aiohttp, client and server, over contexts of fasths.ssl."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
from pathlib import Path

import pytest
from interop.processes import TIMEOUT

from .contexts import ADDRESS, HOST, library
from .servers import CONNECTIONS, LARGE, all_of, loop_fixture

aiohttp = library("aiohttp")
web = library("aiohttp.web")

run = loop_fixture()


async def index(request):
    connection = request.transport.get_extra_info("ssl_object")
    request.app[CONNECTIONS_SEEN].append(connection)
    return web.json_response({"scheme": request.scheme, "secure": request.secure})


async def large(request):
    return web.Response(body=LARGE)


async def echo(request):
    return web.Response(body=await request.read())


async def file(request):
    return web.FileResponse(request.app[FILE])


async def messages(request):
    connection = web.WebSocketResponse()
    await connection.prepare(request)
    async for message in connection:
        if message.type == aiohttp.WSMsgType.TEXT:
            await connection.send_str(message.data)
        else:
            await connection.send_bytes(message.data)
    return connection


CONNECTIONS_SEEN = web.AppKey("connections", list)
FILE = web.AppKey("file", Path)


def make_application(path=None):
    application = web.Application(client_max_size=len(LARGE))
    application[CONNECTIONS_SEEN] = []
    application[FILE] = path
    application.router.add_get("/", index)
    application.router.add_get("/large", large)
    application.router.add_get("/file", file)
    application.router.add_post("/", echo)
    application.router.add_get("/messages", messages)
    return application


def tcp_site(runner, context):
    return web.TCPSite(runner, ADDRESS, 0, ssl_context=context), None


def socket_site(runner, context):
    listener = socket.create_server((ADDRESS, 0))
    return web.SockSite(runner, listener, ssl_context=context), listener


@contextlib.asynccontextmanager
async def serving(application, context, make_site=tcp_site):
    runner = web.AppRunner(application, shutdown_timeout=2)
    await runner.setup()
    site, listener = make_site(runner, context)
    try:
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        if listener is not None:
            listener.close()


@contextlib.asynccontextmanager
async def client(context, **options):
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(ssl=context, **options)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session
        # Those that are only closing are not waited for otherwise.
        await connector.close()
    await asyncio.sleep(0)


def test_requests(run, sides, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(LARGE)

    async def main():
        application = make_application(path)
        async with (
            serving(application, sides.server_context(alpn=["http/1.1"])) as port,
            client(sides.client_context(alpn=["http/1.1"])) as session,
        ):
            url = f"https://{HOST}:{port}"
            async with session.get(url) as response:
                assert response.status == 200
                transport = response.connection and response.connection.transport
                if transport is not None:
                    sides.check_client(transport.get_extra_info("ssl_object"))
                    assert transport.get_extra_info("peercert")["subject"]
                assert await response.json() == {"scheme": "https", "secure": True}
            (connection,) = application[CONNECTIONS_SEEN]
            sides.check_server(connection)
            assert connection.selected_alpn_protocol() == "http/1.1"
            for target in ("/large", "/file"):
                async with session.get(url + target) as response:
                    assert await response.read() == LARGE
            async with session.post(url, data=io.BytesIO(LARGE)) as response:
                assert await response.read() == LARGE

    run(main)


def test_socket_site(run, both):
    async def main():
        async with (
            serving(make_application(), both.server_context(), socket_site) as port,
            client(both.client_context()) as session,
            session.get(f"https://{HOST}:{port}") as response,
        ):
            assert await response.json() == {"scheme": "https", "secure": True}

    run(main)


def test_many_connections(run, both):
    async def main():
        application = make_application()
        async with (
            serving(application, both.server_context()) as port,
            client(both.client_context(), force_close=True) as session,
        ):

            async def talk(number):
                body = b"%d" % number * 10_000
                async with session.post(f"https://{HOST}:{port}", data=body) as response:
                    assert await response.read() == body
                    done.append(number)

            await all_of(talk)

    done = []
    run(main)
    assert sorted(done) == list(range(CONNECTIONS))


def test_websocket(run, sides):
    async def main():
        async with (
            serving(make_application(), sides.server_context()) as port,
            client(sides.client_context()) as session,
            session.ws_connect(f"https://{HOST}:{port}/messages", max_msg_size=0) as connection,
        ):
            await connection.send_str("text")
            assert await connection.receive_str() == "text"
            await connection.send_bytes(LARGE[:1_000_000])
            assert await connection.receive_bytes() == LARGE[:1_000_000]
            assert await connection.close()
            assert connection.close_code == aiohttp.WSCloseCode.OK

    run(main)


def test_wrong_name_is_refused(run, sides):
    async def main():
        context = sides.server_context(identity=sides.certificates.other_server)
        async with (
            serving(make_application(), context) as port,
            client(sides.client_context()) as session,
        ):
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
                await session.get(f"https://{HOST}:{port}")
            error = caught.value.certificate_error
            assert isinstance(error, ssl.SSLCertVerificationError)
            assert error.verify_code == 62

    run(main)
    run.reported.clear()
