"""A row's worker process: a job on standard input, its result as JSON on standard output."""

import json
import sys

from bench import aio, aio_memory, bulk, client_hello, handshake, memory, sockets
from bench.job import Job

MEASURES = {
    "handshake": handshake.measure,
    "client-hello": client_hello.measure,
    "bulk": bulk.measure,
    "memory": memory.measure,
    "sockets": sockets.measure,
    "asyncio-echo": aio.measure,
    "asyncio-connections": aio.measure,
    "asyncio-memory": aio_memory.measure,
}


def main() -> None:
    """Measure what the job names."""
    job = Job.from_json(sys.stdin.read())
    json.dump(MEASURES[job.row.kind](job).to_json(), sys.stdout)


if __name__ == "__main__":
    main()
