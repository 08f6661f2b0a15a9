"""The command line as processes whose stderr is watched, and peers from the standard library."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import fasths

TIMEOUT = 20.0
REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"


def environment(**extra: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name != "SSLKEYLOGFILE"}
    env["PYTHONPATH"] = str(Path(fasths.__file__).parents[1])
    return env | extra


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fasths", *map(str, arguments)]


def run_client(
    *arguments: object, data: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command("client", *arguments),
        input=data,
        capture_output=True,
        timeout=TIMEOUT,
        env=env or environment(),
        check=False,
    )


class Running:
    """A process whose stderr is collected line by line."""

    def __init__(
        self,
        arguments: list[str],
        env: dict[str, str] | None = None,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
    ) -> None:
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=env or environment(),
        )
        self.lines: list[str] = []
        self.arrived = threading.Condition()
        self.collector = threading.Thread(target=self.collect, daemon=True)
        self.collector.start()

    def collect(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.arrived:
                self.lines.append(line.decode().rstrip("\n"))
                self.arrived.notify_all()
        with self.arrived:
            self.lines.append("(end)")
            self.arrived.notify_all()

    def wait_for(self, pattern: str, start: int = 0) -> re.Match[str]:
        """The first line from `start` on that matches."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(filter(None, (re.search(pattern, line) for line in self.lines[start:])))
            return bool(found) or "(end)" in self.lines

        with self.arrived:
            self.arrived.wait_for(look, TIMEOUT)
        assert found, f"no {pattern!r} in {self.lines[start:]}"
        return found[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self.collector.join(TIMEOUT)
            assert self.process.stdin is not None
            assert self.process.stderr is not None
            self.process.stdin.close()
            self.process.stderr.close()


class Server(Running):
    """Our server; its port is known once this is made."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        super().__init__(command("server", "--port", 0, *arguments), env)
        try:
            self.port = int(self.wait_for(r"^listening on 127\.0\.0\.1:(\d+)$")[1])
        except AssertionError:
            self.stop()
            raise

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"


@contextmanager
def serving(*arguments: object, env: dict[str, str] | None = None) -> Iterator[Server]:
    running = Server(*arguments, env=env)
    try:
        yield running
    finally:
        assert running.stop() == 0
    assert not any("Traceback" in line or "internal error" in line for line in running.lines)


def stdlib_client(pki: SimpleNamespace) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pki.ca))


def stdlib_connect(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    try:
        return context.wrap_socket(sock, server_hostname="localhost")
    except BaseException:
        sock.close()
        raise


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(65536):
        data += part
    return data
