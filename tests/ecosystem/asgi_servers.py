"""An ASGI application, and the servers that serve it over a context: uvicorn and hypercorn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

from interop.processes import TIMEOUT

from .contexts import ADDRESS, library
from .servers import LARGE

uvicorn = library("uvicorn")
hypercorn = library("hypercorn")
hypercorn_asyncio = library("hypercorn.asyncio")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """GET: what the server knows of the request, or at /large 5 MiB. POST: the body's echo."""
    if scope["type"] == "websocket":
        await echo_messages(receive, send)
        return
    if scope["method"] == "POST":
        body = await whole_body(receive)
    elif scope["path"] == "/large":
        body = LARGE
    else:
        known = {name: scope[name] for name in ("scheme", "http_version", "path")}
        body = json.dumps(known).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive: Any) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return bytes(body)


async def echo_messages(receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        kind = "text" if event.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: event[kind]})


def knows(http_version: str, path: str = "/") -> dict[str, str]:
    """What the application answers to GET."""
    return {"scheme": "https", "http_version": http_version, "path": path}


def connection_of(response: Any) -> Any:
    """The SSLSocket or SSLObject of a response of httpx that is still open."""
    stream = response.extensions["network_stream"]
    sock = stream.get_extra_info("socket")
    return sock if isinstance(sock, ssl.SSLSocket) else stream.get_extra_info("ssl_object")


class Uvicorn(uvicorn.Server):
    """uvicorn's server, which says when it has started."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """They are pytest's."""
        yield


@contextlib.asynccontextmanager
async def uvicorn_service(
    context: Any, app: Any = application, **options: Any
) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        ADDRESS,
        0,
        ssl_context_factory=lambda config, default: context,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=2,
        **options,
    )
    server = Uvicorn(config)
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(server.ready.wait(), TIMEOUT)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, TIMEOUT)


class HypercornConfig(hypercorn.Config):
    """hypercorn's settings, with a context that is made elsewhere."""

    ssl_enabled = True
    ssl_context: Any = None

    def create_ssl_context(self) -> Any:
        return self.ssl_context


@contextlib.asynccontextmanager
async def hypercorn_service(context: Any, app: Any = application) -> AsyncIterator[int]:
    listener = socket.create_server((ADDRESS, 0))
    port = listener.getsockname()[1]
    config = HypercornConfig()
    config.ssl_context = context
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 2
    config.loglevel = "CRITICAL"
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn_asyncio.serve(app, config, shutdown_trigger=stopping.wait, mode="asgi")
    )
    try:
        yield port
    finally:
        stopping.set()
        await asyncio.wait_for(serving, TIMEOUT)
