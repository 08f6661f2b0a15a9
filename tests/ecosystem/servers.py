"""What the tests of asynchronous libraries share: data, servers in threads, other processes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aio_peers import LOOPS, Runner
from interop.processes import TIMEOUT

MEBIBYTE = 1 << 20
LARGE = bytes(range(256)) * (5 * MEBIBYTE // 256)
CONNECTIONS = 20
TESTS = Path(__file__).parents[1]

# Something that serves while it is entered, and gives its port.
Service = Callable[[], AbstractAsyncContextManager[int]]


def loop_fixture() -> Any:
    """As that of aio_peers; its collections of garbage need not look at all that is imported."""

    @pytest.fixture(params=LOOPS)
    def run(request: pytest.FixtureRequest) -> Iterator[Runner]:
        gc.freeze()
        try:
            yield Runner(LOOPS[request.param])
        finally:
            gc.unfreeze()

    return run


@contextlib.contextmanager
def in_thread(service: Service) -> Iterator[int]:
    """Runs a service on a loop of asyncio in a thread, for clients that block."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    errors: list[BaseException] = []
    ports: list[int] = []

    async def serve() -> None:
        async with service() as port:
            ports.append(port)
            started.set()
            await stopping.wait()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())
        except BaseException as error:
            errors.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert started.wait(TIMEOUT)
        if ports:
            yield ports[0]
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopping.set)
        thread.join(TIMEOUT)
    if errors:
        raise errors[0]
    assert not thread.is_alive()


async def all_of(function: Callable[[int], Awaitable[None]], count: int = CONNECTIONS) -> None:
    """Calls it with 0, 1, ... at the same time."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(function(number))


@contextlib.asynccontextmanager
async def closing_port(server: Any) -> AsyncIterator[int]:
    """A server of asyncio, or of fasths.aio, that is closed at the end; its port."""
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), TIMEOUT)


def run_python(program: str, *arguments: object) -> str:
    """The standard output of a program in a process of its own, where it succeeds."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=3 * TIMEOUT,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
