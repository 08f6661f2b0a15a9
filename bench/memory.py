"""Resident memory of idle, established pairs of connections.

Each round is a fresh process per stack. It makes some pairs first, so that what a first connection
alone costs (lazy imports, caches, arenas) is paid, then as many again and more, and divides the
growth of the resident set by the number of the latter. Nothing is trimmed: this is what a process
really holds.
"""

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path

from bench.handshake import usable_stacks
from bench.job import Job, run_worker
from bench.results import Column, Result
from bench.stacks import Unavailable, established_pair, make_stack

COLUMNS = [Column("pair", "KB", lower_is_better=True)]
STATM = Path("/proc/self/statm")
_MESSAGE = b"ping"
_NOTE = "1 KB is 1024 bytes of resident set; each pair has exchanged one small message either way"


def measure(job: Job) -> Result:
    """Every stack in processes of its own, in turns."""
    result = Result(job.row_name, COLUMNS)
    if not STATM.exists():
        result.skipped = dict.fromkeys(job.stacks, "needs /proc/self/statm, which Linux has")
        return result
    for name in usable_stacks(job, result):
        result.samples[name] = {}
    result.notes.append(_NOTE)
    for _ in range(job.rounds):
        for name in result.samples:
            result.add(name, pair=run_worker(_for_one_stack(job, name), "bench.memory"))
    return result


def _for_one_stack(job: Job, name: str) -> Job:
    return replace(job, stacks=(name,))


def resident_bytes() -> int:
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kilobytes_per_pair(job: Job) -> float:
    """The growth of this process's resident set for each further pair."""
    stack = make_stack(job.stacks[0], job.row, job.credentials)
    pairs = []
    before = 0
    first = job.pairs // 4
    for number in range(first + job.pairs):
        if number == first:
            before = resident_bytes()
        client, server = pair = established_pair(stack)
        stack.transfer(client, server, _MESSAGE, 1)
        stack.transfer(server, client, _MESSAGE, 1)
        pairs.append(pair)
    return (resident_bytes() - before) / job.pairs / 1024


if __name__ == "__main__":
    try:
        print(kilobytes_per_pair(Job.from_json(sys.stdin.read())))
    except Unavailable as reason:
        sys.exit(str(reason))
