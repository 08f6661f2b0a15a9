"""Full handshakes over loopback TCP: the worker is the client, one server process per stack.

Wall-clock handshakes per second tell what one client gets from one server; on a machine with few
cores they also depend on what else runs. Handshakes per second of each side's own processor time,
kernel included, tell how many a core of that side can do.
"""

import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from time import perf_counter, process_time
from typing import Any

from bench.handshake import usable_stacks
from bench.job import ROOT, Job
from bench.results import Column, Result
from bench.stacks import Stack, make_stack

COLUMNS = [
    Column("wall", "/s", lower_is_better=False),
    Column("client", "/s", lower_is_better=False),
    Column("server", "/s", lower_is_better=False),
]
_NOTE = (
    "wall: handshakes per second of one client with one server; client, server: handshakes per "
    "second of that process's own processor time, accept, connect and close included"
)
_TIMEOUT = 20


class _Server:
    """A server process; its standard input tells it how many connections to serve next."""

    def __init__(self, name: str, job: Job) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sockets", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._say(job.to_json())
        self.port = int(self._hear())

    def __enter__(self) -> "_Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def start(self, count: int) -> None:
        """Begin to serve `count` connections."""
        self._say(str(count))

    def processor_time(self) -> float:
        """The seconds that those connections took of the server's processor time."""
        return float(self._hear())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a server process ended early")
        return line


def measure(job: Job) -> Result:
    """Every stack against itself, in turns."""
    result = Result(job.row_name, COLUMNS)
    stacks = usable_stacks(job, result)
    result.notes.append(_NOTE)
    with ExitStack() as servers:
        running = {name: servers.enter_context(_Server(name, job)) for name in stacks}
        for round_number in range(job.rounds + 1):
            for name, stack in stacks.items():
                figures = _connect(stack, running[name], job.batch)
                if round_number > 0:  # the first one warms up
                    result.add(name, **figures)
    return result


def _connect(stack: Stack[Any], server: _Server, count: int) -> dict[str, float]:
    server.start(count)
    wall, client = perf_counter(), process_time()
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", server.port))
        stack.handshake_on(_prepared(sock), server=False)
    client = process_time() - client
    processor_time = server.processor_time()
    wall = perf_counter() - wall
    return {"wall": count / wall, "client": count / client, "server": count / processor_time}


def _prepared(sock: socket.socket) -> socket.socket:
    # A blocking socket with a time limit of the kernel's: with settimeout() Python would make it
    # non-blocking inside, which pyOpenSSL does not hide.
    limit = struct.pack("ll", _TIMEOUT, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def serve(name: str) -> None:
    """The server process: a job on the first line of stdin, then counts of connections."""
    job = Job.from_json(sys.stdin.readline())
    stack = make_stack(name, job.row, job.credentials)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_TIMEOUT)
        print(listener.getsockname()[1], flush=True)
        for line in sys.stdin:
            start = process_time()
            for _ in range(int(line)):
                stack.handshake_on(_prepared(listener.accept()[0]), server=True)
            print(process_time() - start, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
