"""The stacks that are compared on asyncio, and the loops that they run on.

All take the same protocols and the same calls: create_server(), create_connection(), and those for
streams. What differs is whose calls they are, and what goes in as `ssl`.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from bench.cases import LOOPS, OPENSSL_GROUPS, Row
from bench.certificates import HOSTNAME, Credentials
from bench.stacks import Unavailable
from bench.stacks.stdlib import StdlibStack

LOCAL = "127.0.0.1"


class AioStack:
    """Both roles of one TLS implementation on asyncio, set up for one row.

    calls: from a loop to its create_server, create_connection, start_server and open_connection.
    """

    def __init__(
        self, client_context: Any, server_context: Any, calls: Callable[[Any], Any]
    ) -> None:
        self._client_context = client_context
        self._server_context = server_context
        self._calls = calls

    async def create_server(self, factory: Callable[[], asyncio.BaseProtocol]) -> Any:
        """A server on a port of its own."""
        return await self._called().create_server(factory, LOCAL, 0, ssl=self._server_context)

    async def create_connection(
        self, factory: Callable[[], asyncio.BaseProtocol], port: int
    ) -> tuple[Any, Any]:
        """(transport, protocol) of a client that has verified its server."""
        pair: tuple[Any, Any] = await self._called().create_connection(
            factory, LOCAL, port, ssl=self._client_context, server_hostname=HOSTNAME
        )
        return pair

    async def start_server(self, callback: Any) -> Any:
        return await self._called().start_server(callback, LOCAL, 0, ssl=self._server_context)

    async def open_connection(self, port: int) -> tuple[Any, Any]:
        streams: tuple[Any, Any] = await self._called().open_connection(
            LOCAL, port, ssl=self._client_context, server_hostname=HOSTNAME
        )
        return streams

    def _called(self) -> Any:
        return self._calls(asyncio.get_running_loop())


class _FasthsSSLStack(StdlibStack):
    """The standard library's calls with the contexts of fasths.ssl."""

    def __init__(self, row: Row, credentials: Credentials) -> None:
        self.context_class = import_module("fasths.ssl").SSLContext
        super().__init__(row, credentials)
        for context in (self.client_context, self.server_context):
            # The suite comes from OpenSSL's configuration, as that of ssl does; groups do not.
            context.set_groups(  # type: ignore[attr-defined]
                ":".join(OPENSSL_GROUPS[group] for group in row.groups)
            )


def make_aio_stack(name: str, row: Row, credentials: Credentials) -> AioStack:
    """The stack called `name`, one of AIO_NAMES; Unavailable where it cannot be."""
    stack: Any
    try:
        if name == "fasths.aio":
            from bench.stacks.fasths import FasthsStack

            aio = import_module("fasths.aio")
            stack, calls = FasthsStack(row, credentials), lambda loop: aio
        elif name == "fasths.ssl":
            stack, calls = _FasthsSSLStack(row, credentials), _calls_of_the_loop
        else:
            stack = StdlibStack(row, credentials)
            calls = _calls_of_aiofastnet() if name == "aiofastnet" else _calls_of_the_loop
    except ImportError as error:
        raise Unavailable(f"cannot be imported: {error}") from error
    except ssl.SSLError as error:
        raise Unavailable(f"refuses the settings: {error}") from error
    return AioStack(stack.client_context, stack.server_context, calls)


def _calls_of_the_loop(loop: asyncio.AbstractEventLoop) -> Any:
    return SimpleNamespace(
        create_server=loop.create_server,
        create_connection=loop.create_connection,
        start_server=asyncio.start_server,
        open_connection=asyncio.open_connection,
    )


def _calls_of_aiofastnet() -> Callable[[Any], Any]:
    module = import_module("aiofastnet")
    names = ("create_server", "create_connection", "start_server", "open_connection")

    def calls(loop: asyncio.AbstractEventLoop) -> Any:
        return SimpleNamespace(**{name: partial(getattr(module, name), loop) for name in names})

    return calls


def make_runner(loop_name: str) -> asyncio.Runner:
    """A new loop, one of LOOPS, in what runs it; Unavailable where it is not installed."""
    if loop_name not in LOOPS:
        raise ValueError(f"no loop is called {loop_name!r}")
    if loop_name == "asyncio":
        return asyncio.Runner(loop_factory=asyncio.new_event_loop)
    try:
        return asyncio.Runner(loop_factory=import_module("uvloop").new_event_loop)
    except ImportError as error:
        raise Unavailable(f"uvloop cannot be imported: {error}") from error
