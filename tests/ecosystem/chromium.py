"""Headless Chromium, spoken to in the DevTools protocol over its standard input and output."""

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from interop.processes import Process, find_tool

# A first start may have to read half a gigabyte from a disk.
TIMEOUT = 30.0
DOMAIN = "fasths.test"
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-features=EnableTLS13EarlyData",
    "--no-proxy-server",
    f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1, MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
# The protocol's descriptors are 3 and 4.
_SHELL = 'exec "$@" 3<&0 4>&1 </dev/null >&2'


def tool(*names: str) -> str:
    """The path of the first of these programs that is installed.

    The test is skipped where there is none; continuous integration installs all of them.
    """
    for name in names:
        if path := find_tool(name):
            return path
    message = f"{' or '.join(names)} is not installed"
    if "CI" in os.environ:
        pytest.fail(message)
    pytest.skip(message)


def trust(home: Path, authority: Path) -> None:
    """Make an authority one of those that the user with this home directory trusts."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = (tool("certutil"), "-d", f"sql:{database}")
    for arguments in (
        ("-N", "--empty-password"),
        ("-A", "-n", "authority", "-t", "C,,", "-i", authority),
    ):
        subprocess.run(
            [*certutil, *arguments], check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
        )


@dataclass(frozen=True)
class Response:
    """What the browser says about a response: of HTTP, and of TLS."""

    path: str
    protocol: str
    version: str
    group: str


class Chromium:
    """A running browser."""

    def __init__(self, directory: Path, authority: Path) -> None:
        program = tool("chromium", "chromium-browser", "google-chrome")
        trust(directory, authority)
        command = (program, *OPTIONS, f"--user-data-dir={directory / 'profile'}")
        self._process = Process(
            "/bin/sh",
            "-c",
            _SHELL,
            "sh",
            *command,
            env={"HOME": str(directory), "TMPDIR": str(directory)},
        )
        self._numbers = itertools.count(1)
        # By session; the browser's own is "".
        self._events: dict[str, list[dict[str, Any]]] = {"": []}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(TIMEOUT)
        finally:
            self._process.stop()

    def _receive(self) -> dict[str, Any]:
        end = self._process.wait_for_data(rb"\0", TIMEOUT).start()
        message: dict[str, Any] = json.loads(self._process.receive(end + 1)[:-1])
        return message

    def _keep(self, event: dict[str, Any]) -> None:
        self._events.setdefault(event.get("sessionId", ""), []).append(event)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        request: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        self._process.send(json.dumps(request).encode() + b"\0")
        while (message := self._receive()).get("id") != number:
            self._keep(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def events(self, session: str, method: str) -> list[dict[str, Any]]:
        """The parameters of the events so far."""
        events = self._events.get(session, [])
        return [each["params"] for each in events if each["method"] == method]

    def wait_for(self, session: str, method: str, **parameters: Any) -> None:
        """Until there is such an event with these parameters."""
        while not any(parameters.items() <= each.items() for each in self.events(session, method)):
            self._keep(self._receive())

    @contextlib.contextmanager
    def window(self) -> Iterator["Window"]:
        """One with its own cookies, caches and TLS sessions, and connections that end with it."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        try:
            yield Window(self, attached["sessionId"])
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)
            self._events.pop(attached["sessionId"], None)


class Window:
    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self._call("Page.enable")
        self._call("Page.setLifecycleEventsEnabled", enabled=True)
        self._call("Network.enable")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def visit(self, url: str) -> str | None:
        """Load a page with all that belongs to it. Gives the error, if there is one."""
        navigated = self._call("Page.navigate", url=url)
        if "errorText" in navigated:
            # The error page is there; its text follows.
            self._browser.wait_for(self._session, "Page.loadEventFired")
            error: str = navigated["errorText"]
            return error
        self._browser.wait_for(
            self._session, "Page.lifecycleEvent", loaderId=navigated["loaderId"], name="load"
        )
        return None

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in JavaScript, or that of its promise."""
        evaluated = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in evaluated, evaluated
        return evaluated["result"]["value"]

    def responses(self) -> list[Response]:
        """Those so far that came from a server."""
        received = (
            each["response"]
            for each in self._browser.events(self._session, "Network.responseReceived")
        )
        return [
            Response(
                "/" + each["url"].split("/", 3)[3],
                each["protocol"],
                each["securityDetails"]["protocol"],
                each["securityDetails"]["keyExchangeGroup"],
            )
            for each in received
            if each["url"].startswith("https:")
        ]
