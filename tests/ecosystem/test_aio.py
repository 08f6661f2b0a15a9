"""Libraries over fasths.aio: their protocols and streams on its transports, in both roles."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aio_peers import Runner
from interop.processes import TIMEOUT

import fasths
from fasths import aio

from .asgi_servers import application, connection_of, knows
from .contexts import ADDRESS, HOST, Certificates, library
from .servers import CONNECTIONS, LARGE, all_of, closing_port, loop_fixture

aiohttp = library("aiohttp")
web = library("aiohttp.web")
httpcore = library("httpcore")
httpx = library("httpx")
hypercorn = library("hypercorn")
tcp_server = library("hypercorn.asyncio.tcp_server")
worker_context = library("hypercorn.asyncio.worker_context")
hypercorn_utils = library("hypercorn.utils")
uvicorn = library("uvicorn")
uvicorn_server = library("uvicorn.server")
aio_client = library("websockets.asyncio.client")
aio_server = library("websockets.asyncio.server")

VERSIONS = {
    "1.3": (ssl.TLSVersion.TLSv1_3, fasths.TLSVersion.TLSv1_3),
    "1.2": (ssl.TLSVersion.TLSv1_2, fasths.TLSVersion.TLSv1_2),
}


@dataclass(frozen=True)
class Contexts:
    """Contexts of the engine, and of the real ssl module."""

    name: str
    certificates: Certificates

    def server(self, *alpn: str) -> fasths.Context:
        _, version = VERSIONS[self.name]
        identity = self.certificates.server
        return fasths.Context(
            identities=[
                fasths.Identity.from_pem(identity.chain.read_bytes(), identity.key.read_bytes())
            ],
            alpn=alpn,
            minimum_version=version,
            maximum_version=version,
        )

    def client(self, *alpn: str) -> fasths.Context:
        _, version = VERSIONS[self.name]
        return fasths.Context(
            trust=fasths.TrustStore.from_pem(self.certificates.authority.read_bytes()),
            alpn=alpn,
            minimum_version=version,
            maximum_version=version,
        )

    def real_client(self, *alpn: str) -> ssl.SSLContext:
        return self._real(ssl.PROTOCOL_TLS_CLIENT, alpn)

    def real_server(self, *alpn: str) -> ssl.SSLContext:
        context = self._real(ssl.PROTOCOL_TLS_SERVER, alpn)
        context.load_cert_chain(self.certificates.server.chain, self.certificates.server.key)
        return context

    def _real(self, protocol: int, alpn: tuple[str, ...]) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = context.maximum_version = VERSIONS[self.name][0]
        context.load_verify_locations(self.certificates.authority)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture(params=VERSIONS)
def contexts(request, certificates):
    return Contexts(request.param, certificates)


run = loop_fixture()


# --- Servers ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def uvicorn_over_aio(context, http):
    """uvicorn's protocols."""
    config = uvicorn.Config(application, http=http, lifespan="off", log_config=None)
    config.load()
    state = uvicorn_server.ServerState()
    make_protocol = functools.partial(
        config.http_protocol_class, config=config, server_state=state, app_state={}
    )
    async with closing_port(
        await aio.create_server(make_protocol, ADDRESS, 0, ssl=context)
    ) as port:
        yield port
        for connection in tuple(state.connections):
            connection.shutdown()


@contextlib.asynccontextmanager
async def hypercorn_over_aio(context):
    """hypercorn's server of one connection, over streams."""
    config = hypercorn.Config()
    app = hypercorn_utils.wrap_app(application, config.wsgi_max_body_size, "asgi")
    worker = worker_context.WorkerContext(None)

    async def serve(reader, writer):
        loop = asyncio.get_running_loop()
        await tcp_server.TCPServer(app, loop, config, worker, {}, reader, writer)

    async with closing_port(await aio.start_server(serve, ADDRESS, 0, ssl=context)) as port:
        yield port
        await worker.terminated.set()


SERVICES = {
    "uvicorn-h11": (functools.partial(uvicorn_over_aio, http="h11"), "1.1"),
    "uvicorn-httptools": (functools.partial(uvicorn_over_aio, http="httptools"), "1.1"),
    "hypercorn-http1.1": (hypercorn_over_aio, "1.1"),
    "hypercorn-http2": (hypercorn_over_aio, "2"),
}
EVERY_SERVICE = pytest.mark.parametrize(("make_service", "http"), SERVICES.values(), ids=SERVICES)


def alpn_of(http):
    return ("h2", "http/1.1") if http == "2" else ("http/1.1",)


@EVERY_SERVICE
def test_asgi_servers(run, contexts, make_service, http):
    """httpx on the real ssl module is the client."""

    async def main():
        client = httpx.AsyncClient(
            verify=contexts.real_client(), http2=http == "2", trust_env=False, timeout=TIMEOUT
        )
        async with make_service(contexts.server(*alpn_of(http))) as port, client:
            url = f"https://{HOST}:{port}"
            async with client.stream("GET", url) as response:
                connection = connection_of(response)
                assert connection.version() == f"TLSv{contexts.name}"
                assert connection.selected_alpn_protocol() == alpn_of(http)[0]
                await response.aread()
            assert response.json() == knows(http)
            assert (await client.get(f"{url}/large")).content == LARGE
            assert (await client.post(url, content=LARGE)).content == LARGE

            async def get(number):
                answers.append((await client.get(f"{url}/{number}")).json())

            await all_of(get)

    answers = []
    run(main)
    paths = sorted(int(answer["path"][1:]) for answer in answers)
    assert paths == list(range(CONNECTIONS))


FILE = web.AppKey("file", Path)


async def describe(request):
    transport = request.transport
    assert isinstance(transport, aio.Transport)
    connection = transport.get_extra_info("fasths_connection")
    return web.json_response(
        {"scheme": request.scheme, "version": connection.version.name, "path": request.path}
    )


async def send_file(request):
    return web.FileResponse(request.app[FILE])


async def echo_body(request):
    return web.Response(body=await request.read())


async def echo_messages(request):
    connection = web.WebSocketResponse(max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        await connection.send_bytes(message.data)
    return connection


@contextlib.asynccontextmanager
async def aiohttp_over_aio(context, path=None):
    """aiohttp's web.Server as the factory of protocols."""
    app = web.Application(client_max_size=len(LARGE))
    app[FILE] = path
    app.router.add_get("/", describe)
    app.router.add_get("/file", send_file)
    app.router.add_post("/", echo_body)
    app.router.add_get("/messages", echo_messages)
    runner = web.AppRunner(app, shutdown_timeout=2)
    await runner.setup()
    async with closing_port(
        await aio.create_server(runner.server, ADDRESS, 0, ssl=context)
    ) as port:
        try:
            yield port
        finally:
            await runner.cleanup()


def test_aiohttp_server(run, contexts, tmp_path):
    """aiohttp's client, on the real ssl module."""
    path = tmp_path / "large"
    path.write_bytes(LARGE)

    async def main():
        connector = aiohttp.TCPConnector(ssl=contexts.real_client())
        async with (
            aiohttp_over_aio(contexts.server(), path) as port,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            url = f"https://{HOST}:{port}"
            async with session.get(url) as response:
                assert await response.json() == {
                    "scheme": "https",
                    "version": f"TLSv{contexts.name.replace('.', '_')}",
                    "path": "/",
                }
            async with session.get(f"{url}/file") as response:
                assert await response.read() == LARGE
            async with session.post(url, data=io.BytesIO(LARGE)) as response:
                assert await response.read() == LARGE
            async with session.ws_connect(f"{url}/messages", max_msg_size=0) as connection:
                await connection.send_bytes(LARGE)
                assert await connection.receive_bytes() == LARGE
            await connector.close()

    run(main)


# --- Clients ------------------------------------------------------------------------------------


class AioStream(httpcore.AsyncNetworkStream):
    """A connection of httpcore, which httpx is made of, that becomes one of fasths.aio."""

    def __init__(self, backend, reader, writer):
        self._backend = backend
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes, timeout=None):
        return await asyncio.wait_for(self._reader.read(max_bytes), timeout)

    async def write(self, buffer, timeout=None):
        self._writer.write(buffer)
        await asyncio.wait_for(self._writer.drain(), timeout)

    async def aclose(self):
        # Nobody waits here: hypercorn answers close_notify only after its keep-alive time-out.
        self._writer.close()

    async def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        reader, writer = await aio.upgrade_streams(
            self._reader, self._writer, self._backend.context, server_hostname=server_hostname
        )
        self._backend.writers.append(writer)
        return AioStream(self._backend, reader, writer)

    def get_extra_info(self, info: str) -> Any:
        return self._writer.get_extra_info(info)


class AioBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, context):
        self.context = context
        self.writers = []

    async def connect_tcp(self, host, port, **options):
        return AioStream(self, *await asyncio.open_connection(ADDRESS, port))


@EVERY_SERVICE
def test_httpcore(run, contexts, make_service, http):
    """Both sides are of fasths.aio."""

    async def main():
        backend = AioBackend(contexts.client(*alpn_of(http)))
        pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            http2=http == "2",
            max_connections=CONNECTIONS,
            network_backend=backend,
        )
        async with make_service(contexts.server(*alpn_of(http))) as port, pool:
            url = f"https://{HOST}:{port}"
            response = await pool.request("GET", f"{url}/large")
            assert response.content == LARGE
            assert response.extensions["http_version"] == b"HTTP/" + http.encode()
            response = await pool.request("POST", url, content=LARGE)
            assert response.content == LARGE
            await all_of(lambda number: pool.request("GET", f"{url}/{number}"))
        for writer in backend.writers:
            assert isinstance(writer.transport, aio.Transport)
            await writer.wait_closed()
        assert (len(backend.writers) == 1) == (http == "2")

    run(main)


# --- websockets ---------------------------------------------------------------------------------


class WithEngine:
    """A loop on which ssl= may be a fasths.Context, too, for libraries that ask the loop."""

    async def create_server(self, factory, host=None, port=None, *, ssl=None, **options):
        if isinstance(ssl, fasths.Context):
            return await aio.create_server(factory, host, port, ssl=ssl, **options)
        return await super().create_server(factory, host, port, ssl=ssl, **options)

    async def create_connection(self, factory, host=None, port=None, *, ssl=None, **options):
        if isinstance(ssl, fasths.Context):
            return await aio.create_connection(factory, host, port, ssl=ssl, **options)
        return await super().create_connection(factory, host, port, ssl=ssl, **options)


class EngineLoop(WithEngine, asyncio.SelectorEventLoop):
    pass


class EngineUvloop(WithEngine, uvloop.Loop):
    pass


SIDES = {
    "client": ("client", "real_server"),
    "server": ("real_client", "server"),
    "both": ("client", "server"),
}


@pytest.mark.parametrize("loop", [EngineLoop, EngineUvloop])
@pytest.mark.parametrize(("client", "server"), SIDES.values(), ids=SIDES)
def test_websockets(contexts, loop, client, server):
    options = {"max_size": None, "close_timeout": TIMEOUT}
    connected = []

    async def echo(connection):
        connected.append(connection.transport)
        async for message in connection:
            await connection.send(message)

    async def main():
        client_context = getattr(contexts, client)("http/1.1")
        server_context = getattr(contexts, server)("http/1.1")
        async with aio_server.serve(echo, ADDRESS, 0, ssl=server_context, **options) as serving:
            port = serving.sockets[0].getsockname()[1]
            connecting = functools.partial(
                aio_client.connect,
                f"wss://{HOST}:{port}",
                ssl=client_context,
                proxy=None,
                **options,
            )
            async with connecting() as connection:
                assert isinstance(connection.transport, aio.Transport) == (client == "client")
                for message in ("text", b"bytes", LARGE):
                    await connection.send(message)
                    assert await connection.recv() == message
                assert isinstance(connected[0], aio.Transport) == (server == "server")
            assert connection.close_code == 1000

            async def talk(number):
                async with connecting() as connection:
                    await connection.send(str(number))
                    answers.append(int(await connection.recv()))

            await all_of(talk)

    answers = []
    Runner(loop)(main)
    assert sorted(answers) == list(range(CONNECTIONS))
