"""Coroutines as callbacks of a Context: a task finds the answer; it ends where nobody waits."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from fasths.handshake.requests import LATER, Later, Request
from fasths.wire.errors import TLSError

_tasks: dict[Request, asyncio.Task[object]] = {}


def awaiting(function: Callable[..., Coroutine[Any, Any, object]]) -> Callable[..., Later]:
    """A callback for a Context, or a method of a session store, out of an `async def`.

    The function gets what the callback gets, a Request among it, and runs as a task of the running
    loop; what it returns is the answer, what it raises lets the request fail. The task is cancelled
    when the connection ends.

        @fasths.aio.awaiting
        async def find_identity(request: fasths.IdentityRequest) -> fasths.Identity: ...

        context = fasths.Context(identity_callback=find_identity)
    """

    @functools.wraps(function)
    def callback(*arguments: Any, **named: Any) -> Later:
        request = _request_of(arguments, named)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(function(*arguments, **named))
        _tasks[request] = task
        task.add_done_callback(functools.partial(_answer, request))
        return LATER

    return callback


def cancel(request: Request) -> None:
    """Nobody waits for the answer any more."""
    if (task := _tasks.pop(request, None)) is not None:
        task.cancel()


def _request_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> Request:
    for argument in (*arguments, *named.values()):
        if isinstance(argument, Request):
            return argument
    raise TypeError("a function that is awaited for an answer has to be called with a Request")


def _answer(request: Request, task: asyncio.Task[object]) -> None:
    _tasks.pop(request, None)
    if request.answered:
        # The function has seen to it by itself; but its error shall not be lost.
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        return
    if task.cancelled():
        request.fail(TLSError("the task that was to answer was cancelled"))
        return
    error = task.exception()
    if error is not None:
        failure = error if isinstance(error, Exception) else TLSError("the task was ended")
        request.fail(failure)
        return
    try:
        request.answer(task.result())
    except TypeError as wrong:
        request.fail(wrong)
