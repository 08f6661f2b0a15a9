"""Application data from a client to a server, in memory, one write at a time."""

import gc
from time import perf_counter_ns

from bench.handshake import usable_stacks
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
    for round_number in range(job.rounds + 1):
        for name, stack in stacks.items():
            gc.collect()
            start = perf_counter_ns()
            stack.transfer(*pairs[name], data, count)
            elapsed = perf_counter_ns() - start
            if round_number > 0:  # the first one warms up
                result.add(name, both=count * size / elapsed)
    return result
