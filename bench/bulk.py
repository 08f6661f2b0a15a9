"""Application data from a client to a server, in memory, one write at a time."""

import gc
from time import perf_counter_ns

from bench.handshake import rotating, usable_stacks
from bench.job import Job
from bench.results import Column, Result
from bench.stacks import established_pair

COLUMNS = [Column("both", "GB/s", lower_is_better=False)]


def measure(job: Job) -> Result:
    """Every stack's throughput through both ends, in turns."""
    result = Result(job.row_name, COLUMNS)
    stacks = usable_stacks(job, result)
    pairs = {name: established_pair(stack) for name, stack in stacks.items()}
    size = job.row.write_size
    data = bytes(range(256)) * (size // 256)
    count = max(1, int(job.megabytes * 1e6 / size))
    for stack_name, pair in pairs.items():
        stacks[stack_name].transfer(*pair, data, count)  # warm up
    for name in rotating(list(stacks), job.rounds):
        gc.collect()
        start = perf_counter_ns()
        stacks[name].transfer(*pairs[name], data, count)
        elapsed = perf_counter_ns() - start
        result.add(name, both=count * size / elapsed)
    return result
