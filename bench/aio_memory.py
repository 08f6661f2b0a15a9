"""Resident memory of idle pairs of connections on asyncio: transports, TLS, and what they buffer.

As for the pairs in memory (memory.py), each round is a fresh process per stack and loop, which
makes some pairs before it counts.
"""

import asyncio
import sys
from dataclasses import replace
from typing import Any

from bench.aio import REFERENCES, Caller, Echo, usable_pairs
from bench.aio_stacks import AioStack, make_aio_stack, make_runner
from bench.cases import LOOPS
from bench.job import Job, run_worker
from bench.memory import STATM, resident_bytes
from bench.results import Column, Result
from bench.stacks import Unavailable

COLUMNS = [Column(loop, "KB", lower_is_better=True) for loop in LOOPS]
_MESSAGE = b"ping"
_TIMEOUT = 30.0
_NOTE = (
    "1 KB is 1024 bytes of resident set; a pair is a client and a server on one loop, with their "
    "sockets in Python, and has exchanged one small message either way"
)


def measure(job: Job) -> Result:
    """Every stack on every loop in processes of its own, in turns."""
    result = Result(job.row_name, COLUMNS, references=REFERENCES, notes=[_NOTE])
    if not STATM.exists():
        result.skipped = dict.fromkeys(job.stacks, "needs /proc/self/statm, which Linux has")
        return result
    pairs = usable_pairs(job, result)
    for _ in range(job.rounds):
        for name, loop in pairs:
            work = replace(job, stacks=(name,), loop=loop)
            result.add(name, **{loop: run_worker(work, "bench.aio_memory")})
    return result


def kilobytes_per_pair(job: Job) -> float:
    """The growth of this process's resident set for each further pair."""
    stack = make_aio_stack(job.stacks[0], job.row, job.credentials)
    with make_runner(job.loop) as runner:
        return runner.run(asyncio.wait_for(_kilobytes_per_pair(stack, job.pairs), _TIMEOUT))


async def _kilobytes_per_pair(stack: AioStack, count: int) -> float:
    server = await stack.create_server(Echo)
    port = server.sockets[0].getsockname()[1]
    callers = await _established(stack, port, count // 4)
    before = resident_bytes()
    callers += await _established(stack, port, count)
    growth = resident_bytes() - before
    for caller in callers:
        caller.transport.abort()
    server.close()
    return growth / count / 1024


async def _established(stack: AioStack, port: int, count: int) -> list[Any]:
    callers = []
    for _ in range(count):
        _, caller = await stack.create_connection(Caller, port)
        await caller.call(_MESSAGE, 1)
        callers.append(caller)
    return callers


if __name__ == "__main__":
    try:
        print(kilobytes_per_pair(Job.from_json(sys.stdin.read())))
    except Unavailable as reason:
        sys.exit(str(reason))
