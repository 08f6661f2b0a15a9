"""Sockets for clients, and what makes a transport of a socket."""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, TypeVar

from fasths.aio._transport import Transport
from fasths.context import Context

P = TypeVar("P", bound=asyncio.BaseProtocol)
# Seconds; those of asyncio.
HANDSHAKE_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0

Attempt = Callable[[], Coroutine[Any, Any, socket.socket]]
# A socket, or None, and what went wrong before.
Outcome = tuple[socket.socket | None, list[OSError]]
# What getaddrinfo() gives.
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Timeouts(NamedTuple):
    """Seconds that a handshake may take, and a peer to close."""

    handshake: float
    shutdown: float


def timeouts(handshake: float | None, shutdown: float | None) -> Timeouts:
    """The time-outs of a Transport. ValueError: one that is not positive."""
    for name, value in (("ssl_handshake_timeout", handshake), ("ssl_shutdown_timeout", shutdown)):
        if value is not None and value <= 0:
            raise ValueError(f"{name} should be a positive number, got {value!r}")
    return Timeouts(
        HANDSHAKE_TIMEOUT if handshake is None else handshake,
        SHUTDOWN_TIMEOUT if shutdown is None else shutdown,
    )


def set_up(sock: socket.socket) -> None:
    """What every socket of a transport is set to."""
    sock.setblocking(False)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def connected(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    make_protocol: Callable[[], P],
    context: Context,
    *,
    received: bytes = b"",
    calls_connection_made: bool = True,
    **options: Any,
) -> tuple[Transport, P]:
    """A transport over a connected socket, once the handshake is done.

    The socket is closed where this raises, or is cancelled.
    """
    try:
        set_up(sock)
        protocol = make_protocol()
        waiter: asyncio.Future[None] = loop.create_future()
        transport = Transport(
            loop,
            sock,
            protocol,
            context,
            waiter=waiter,
            calls_connection_made=calls_connection_made,
            **options,
        )
    except BaseException:
        sock.close()
        raise
    try:
        transport._begin(received)
        await waiter
        if not calls_connection_made:
            # start_tls() begins to deliver once its caller has gone on.
            transport.resume_reading()
        return transport, protocol
    except BaseException:
        transport.abort()
        raise
    finally:
        # Both know the error, whose traceback knows what is here: freed without the collector.
        del transport, waiter


async def connect(
    loop: asyncio.AbstractEventLoop,
    host: str | None,
    port: int | str | None,
    *,
    family: int,
    proto: int,
    flags: int,
    local_addr: tuple[str, int] | None,
    happy_eyeballs_delay: float | None,
    interleave: int | None,
    all_errors: bool,
) -> socket.socket:
    """A socket that is connected to one of a host's addresses."""
    addresses = await _addresses(loop, host, port, family=family, proto=proto, flags=flags)
    local = None
    if local_addr is not None:
        local = await _addresses(loop, *local_addr, family=family, proto=proto, flags=flags)
    if interleave is None and happy_eyeballs_delay is not None:
        interleave = 1
    if interleave:
        addresses = _interleaved(addresses, interleave)
    attempts = (functools.partial(_connect_to, loop, address, local) for address in addresses)
    if happy_eyeballs_delay is None:
        sock, errors = await _first_in_turn(attempts)
    else:
        sock, errors = await _first_staggered(attempts, happy_eyeballs_delay)
    if sock is not None:
        return sock
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        if len({str(error) for error in errors}) == 1:
            raise errors[0]
        raise OSError("Multiple exceptions: " + ", ".join(str(error) for error in errors))
    finally:
        # Tracebacks know this list, too: freed without the collector.
        errors.clear()


async def _addresses(
    loop: asyncio.AbstractEventLoop, host: str | None, port: int | str | None, **options: int
) -> list[Address]:
    try:
        # What is a number already needs no resolver, and no thread to ask it in.
        flags = options["flags"] | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        numeric = {**options, "flags": flags}
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, **numeric)  # type: ignore[return-value]
    except socket.gaierror:
        pass
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, **options)
    if not found:
        raise OSError("getaddrinfo() returned empty list")
    return found  # type: ignore[return-value]


def _interleaved(addresses: Iterable[Address], first: int) -> list[Address]:
    """RFC 8305, 4: families in turn, after `first` addresses of the first one."""
    by_family: dict[int, list[Address]] = collections.OrderedDict()
    for address in addresses:
        by_family.setdefault(address[0], []).append(address)
    families = list(by_family.values())
    result = families[0][: first - 1]
    del families[0][: first - 1]
    turns = itertools.zip_longest(*families)
    result.extend(address for turn in turns for address in turn if address is not None)
    return result


async def _connect_to(
    loop: asyncio.AbstractEventLoop, address: Address, local: list[Address] | None
) -> socket.socket:
    family, kind, proto, _, target = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if local is not None:
            _bind(sock, [each for each in local if each[0] == family])
        await _connect_socket(loop, sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_socket(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Any
) -> None:
    """loop.sock_connect() for what getaddrinfo() gave; uvloop's asks that again, in a thread."""
    try:
        sock.connect(address)
    except (BlockingIOError, InterruptedError):
        pass
    else:
        return
    descriptor = sock.fileno()
    connected: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _set_result, connected)
    try:
        await connected
    finally:
        loop.remove_writer(descriptor)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")


def _set_result(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _bind(sock: socket.socket, local: list[Address]) -> None:
    failure = OSError("no matching local address was found")
    for address in local:
        try:
            sock.bind(address[4])
        except OSError as error:
            failure = error
        else:
            return
    raise failure


async def _first_in_turn(attempts: Iterable[Attempt]) -> Outcome:
    """The socket of the attempt that succeeds first; each begins once the one before has failed."""
    errors: list[OSError] = []
    for attempt in attempts:
        try:
            return await attempt(), errors
        except OSError as error:
            errors.append(error)
    return None, errors


async def _first_staggered(attempts: Iterable[Attempt], delay: float) -> Outcome:
    """As _first_in_turn(), but each begins `delay` seconds after the one before at the latest
    (RFC 8305, 5)."""
    errors: list[OSError] = []
    waiting = collections.deque(attempts)
    running: set[asyncio.Task[socket.socket]] = set()
    winner: socket.socket | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(waiting.popleft()()))
            done, running = await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if error is None and winner is None:
                    winner = task.result()
                elif error is None:
                    task.result().close()
                elif isinstance(error, OSError):
                    errors.append(error)
                else:
                    raise error
            if winner is not None:
                return winner, errors
    except BaseException:
        if winner is not None:
            winner.close()
        raise
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()
    return None, errors


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    """What an attempt connected that nobody needs any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
