"""Child processes, and the logs of what they say; tools, and ports for them."""

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

TIMEOUT = 10.0
_random = random.SystemRandom()
_given_ports: set[int] = set()
# Tools that distributions keep outside an ordinary user's PATH.
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/local/go/bin", "/usr/lib/go/bin")


def find_tool(name: str) -> str | None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *EXTRA_PATH))
    return shutil.which(name, path=path)


def require(name: str) -> str:
    """The path of a tool; where there is none, the test is skipped and says so."""
    path = find_tool(name)
    if path is None:
        # Peers are Debian's packages, which not every developer's machine has.
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    """A port that is free, and below those that the system gives to whoever asks for any."""
    for _ in range(1000):
        port = _random.randrange(20000, 32000)
        if port not in _given_ports:
            _given_ports.add(port)
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
                return port
    raise OSError("no free port")


def wait_until_accepting(port: int, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and alive():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise TimeoutError(f"no server on port {port}")


class Log:
    """Text that threads add to and tests wait on."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._text = ""
        self._ended = False

    def add(self, text: str) -> None:
        with self._condition:
            self._text += text
            self._condition.notify_all()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    @property
    def text(self) -> str:
        with self._condition:
            return self._text

    def wait_for(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[str]:
        with self._condition:
            self._condition.wait_for(lambda: self._ended or re.search(pattern, self._text), timeout)
            found = re.search(pattern, self._text)
            assert found, f"{pattern!r} is not in the peer's log:\n{self._text}"
            return found


class Process:
    """A child process: standard input and output are data, standard error is the log."""

    def __init__(self, *argv: str | Path, env: dict[str, str] | None = None) -> None:
        self.log = Log()
        self._data = bytearray()
        self._data_ended = False
        self._condition = threading.Condition()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and not name.startswith("SSL")
        }
        self._child = subprocess.Popen(
            [str(argument) for argument in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**inherited, "LC_ALL": "C", **(env or {})},
        )
        self._threads = [
            threading.Thread(target=self._gather_data, daemon=True),
            threading.Thread(target=self._gather_log, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _gather_data(self) -> None:
        assert self._child.stdout is not None
        while chunk := self._child.stdout.read(65536):
            with self._condition:
                self._data += chunk
                self._condition.notify_all()
        with self._condition:
            self._data_ended = True
            self._condition.notify_all()

    def _gather_log(self) -> None:
        assert self._child.stderr is not None
        while chunk := self._child.stderr.read(65536):
            self.log.add(chunk.decode(errors="replace"))
        self.log.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def send(self, data: bytes) -> None:
        assert self._child.stdin is not None
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[self._child.stdin.write(view) :]

    def receive(self, count: int, timeout: float = TIMEOUT) -> bytes:
        """That many bytes; fewer where the output ends before."""
        with self._condition:
            enough = self._condition.wait_for(
                lambda: len(self._data) >= count or self._data_ended, timeout
            )
            assert enough, f"{len(self._data)} of {count} bytes; log:\n{self.log.text}"
            taken = bytes(self._data[:count])
            del self._data[:count]
            return taken

    def receive_some(self) -> bytes:
        with self._condition:
            self._condition.wait_for(lambda: self._data or self._data_ended, 10 * TIMEOUT)
            taken = bytes(self._data)
            self._data.clear()
            return taken

    def wait_for_data(self, pattern: bytes, timeout: float = TIMEOUT) -> re.Match[bytes]:
        """Finds the pattern in what came and was not received yet, and leaves it there."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._data_ended or re.search(pattern, self._data), timeout
            )
            found = re.search(pattern, bytes(self._data))
            assert found, f"{pattern!r} is not in {bytes(self._data)!r}; log:\n{self.log.text}"
            return found

    def end_input(self) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()

    def wait(self, timeout: float = TIMEOUT) -> int:
        """The exit status, once everything the process wrote is gathered."""
        status = self._child.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return status

    def finish(self) -> None:
        self.end_input()
        self.wait()

    def kill(self) -> None:
        self._child.kill()

    def stop(self) -> None:
        if self.alive:
            self._child.terminate()  # nginx stops its workers itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(2)
        if self.alive:
            self._child.kill()
        self.wait()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
