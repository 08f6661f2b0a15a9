"""Echoes and connections on asyncio, over loopback TCP.

A client and its server are of the same stack and share a loop, so one thread does all the work of
both, and nothing of it waits for another process: processor time, kernel included, is what a round
trip or a connection costs. Every stack has a loop of its own on each kind of loop, with its server
and its connections on it, and they take turns in one process.

The protocols are the same for all. Nobody sets socket options: TCP_NODELAY is on by default in all
of them, which is checked.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from time import process_time
from typing import Any

from bench.aio_check import check_settings
from bench.aio_stacks import AioStack, make_aio_stack, make_runner
from bench.cases import LOOPS, Row
from bench.handshake import rotating
from bench.job import Job
from bench.results import Column, Result
from bench.stacks import Unavailable

REFERENCES = ("fasths.aio", "fasths.ssl")
_ECHO = [Column(loop, "trips/s", lower_is_better=False) for loop in LOOPS]
_CONNECTIONS = [Column(loop, "conn/s", lower_is_better=False) for loop in LOOPS]
_NOTE = (
    "client and server are of the same stack, in one process, on one loop: a figure counts the "
    "processor time of both ends, kernel included; a column is a kind of loop"
)
_CACHE_STAYS = "cannot do this row: it always has its verified-chain cache"
_TIMEOUT = 20.0
# A message that is larger takes a part of the batch's round trips.
_SMALL = 8 * 1024
_CHUNK = 64 * 1024

# One turn: how many round trips or connections to make.
Turn = Callable[[int], Coroutine[Any, Any, None]]


class Echo(asyncio.Protocol):
    """The server's side: sends back what arrives."""

    def __init__(self, on_end: Callable[[], None] | None = None) -> None:
        self._on_end = on_end

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._on_end is not None:
            self._on_end()


class Caller(asyncio.Protocol):
    """The client's side: sends a message, and again whenever all of it has come back."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._done: asyncio.Future[None] | None = None

    def call(self, message: bytes, count: int) -> asyncio.Future[None]:
        """`count` round trips, from now until the future is done."""
        self._message = message
        self._missing = len(message)
        self._count = count
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing > 0:
            return
        self._count -= 1
        if self._count:
            self._missing = len(self._message)
            self.transport.write(self._message)
        elif self._done is not None:
            self._done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error or ConnectionError("the connection was closed"))


class OneByte(asyncio.Protocol):
    """The client's side of a short connection: a byte each way, and the end."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answered = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(b"?")

    def data_received(self, data: bytes) -> None:
        self._answered = True
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if error is None and self._answered:
            self.lost.set_result(None)
        else:
            self.lost.set_exception(error or ConnectionError("the connection was closed"))


async def _echoes(stack: AioStack, row: Row) -> Turn:
    server = await stack.create_server(Echo)
    port = server.sockets[0].getsockname()[1]
    callers = [(await stack.create_connection(Caller, port))[1] for _ in range(row.connections)]
    message = bytes(range(256)) * (row.write_size // 256)

    async def turn(count: int) -> None:
        share = max(1, count // len(callers))
        await asyncio.gather(*[caller.call(message, share) for caller in callers])

    return turn


async def _stream_echoes(stack: AioStack, row: Row) -> Turn:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await stack.start_server(serve)
    port = server.sockets[0].getsockname()[1]
    streams = [await stack.open_connection(port) for _ in range(row.connections)]
    message = bytes(range(256)) * (row.write_size // 256)

    async def call(reader: Any, writer: Any, count: int) -> None:
        for _ in range(count):
            writer.write(message)
            await writer.drain()
            await reader.readexactly(len(message))

    async def turn(count: int) -> None:
        share = max(1, count // len(streams))
        await asyncio.gather(*[call(*each, share) for each in streams])

    return turn


async def _connections(stack: AioStack) -> Turn:
    ended = asyncio.Semaphore(0)
    server = await stack.create_server(lambda: Echo(ended.release))
    port = server.sockets[0].getsockname()[1]

    async def turn(count: int) -> None:
        for _ in range(count):
            _, protocol = await stack.create_connection(OneByte, port)
            await protocol.lost
            await ended.acquire()

    return turn


async def _prepared(stack: AioStack, row: Row) -> Turn:
    if row.kind == "asyncio-connections":
        return await _connections(stack)
    return await (_stream_echoes if row.streams else _echoes)(stack, row)


class _Contender:
    """One stack on one loop, with its server and its connections."""

    def __init__(self, stack: AioStack, loop_name: str, row: Row) -> None:
        self._runner = make_runner(loop_name)
        try:
            self._within(check_settings(stack, row, Echo, Caller))
            self._turn: Turn = self._within(_prepared(stack, row))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        # What is still open goes with the process.
        self._runner.get_loop().set_exception_handler(lambda *_: None)
        self._runner.close()

    def per_second(self, count: int) -> float:
        """How many of `count` round trips or connections a second of processor time is good for."""
        gc.collect()
        seconds: float = self._within(self._timed(count))
        return count / seconds

    async def _timed(self, count: int) -> float:
        start = process_time()
        await self._turn(count)
        return process_time() - start

    def _within(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(asyncio.wait_for(coroutine, _TIMEOUT))


def measure(job: Job) -> Result:
    """Every stack on every loop, in turns."""
    row = job.row
    result = Result(
        job.row_name,
        _CONNECTIONS if row.kind == "asyncio-connections" else _ECHO,
        references=REFERENCES,
        notes=[_NOTE],
    )
    count = job.batch // (1 if row.write_size <= _SMALL else row.write_size // _SMALL)
    # Whole turns of all connections.
    count = max(1, count // row.connections) * row.connections
    with ExitStack() as running:
        contenders = {}
        for name, loop_name in usable_pairs(job, result):
            try:
                stack = make_aio_stack(name, row, job.credentials)
                contender = _Contender(stack, loop_name, row)
            except Unavailable as reason:
                result.skipped[f"{name} on {loop_name}"] = str(reason)
                continue
            running.callback(contender.close)
            contender.per_second(count)  # warm up
            contenders[name, loop_name] = contender
        gc.collect()
        gc.freeze()  # what is there now need not be looked at by each round's collection
        for name, loop_name in rotating(list(contenders), job.rounds):
            figure = contenders[name, loop_name].per_second(count)
            result.add(name, **{loop_name: figure})
    return result


def usable_pairs(job: Job, result: Result) -> list[tuple[str, str]]:
    """Stacks and loops that are there; result notes the others."""
    loops = []
    for loop_name in LOOPS:
        try:
            make_runner(loop_name).close()
        except Unavailable as reason:
            result.skipped[loop_name] = str(reason)
        else:
            loops.append(loop_name)
    names = []
    for name in job.stacks:
        try:
            if job.row.kind == "asyncio-connections" and not job.row.cached_chains:
                _require_no_cache(name)
            make_aio_stack(name, job.row, job.credentials)
        except Unavailable as reason:
            result.skipped[name] = str(reason)
        else:
            names.append(name)
    return [(name, loop_name) for loop_name in loops for name in names]


def _require_no_cache(name: str) -> None:
    if name == "fasths.ssl":
        raise Unavailable(_CACHE_STAYS)
