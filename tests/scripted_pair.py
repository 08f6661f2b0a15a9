"""Two scripted peers that face each other, to find out whether they agree.

    pair = ScriptedPair({"psks": [psk]}, {"psks": [psk]})
    pair.handshake()
    pair.client.send_data(b"x")

Each takes its half of the pair for a connection and its BIO. A script cannot wait, so that they run
in two threads, of which one runs at a time: a call of do_handshake() lets the other go on until it
calls do_handshake() as well, or its script is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from refusals import credential
from scripted_peer import ScriptedClient, ScriptedServer, Silence

from fasths import SSLErrorCode


class Half:
    """What one peer sees of the other."""

    established = False

    def __init__(self, switch: Callable[[], None]) -> None:
        self.switch = switch
        self.other: Half
        self.received = b""

    def write(self, data: bytes) -> None:
        self.other.received += data

    def read(self) -> bytes:
        data, self.received = self.received, b""
        return data

    def do_handshake(self) -> int:
        # What is already there comes first.
        if not self.received:
            self.switch()
        return -1

    def get_error(self, result: int) -> SSLErrorCode:
        return SSLErrorCode.WANT_READ

    def read_early_data(self) -> None:
        """A scripted server keeps it by itself."""


class ScriptedPair:
    def __init__(
        self, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None
    ) -> None:
        """client, server: the options of the peers. The server has a credential."""
        self.running = [False, False]
        self.turns = [threading.Semaphore(0), threading.Semaphore(0)]
        halves = [Half(lambda side=side: self.switch(side)) for side in range(2)]
        halves[0].other, halves[1].other = halves[1], halves[0]
        self.client = ScriptedClient(halves[0], halves[0], **(client or {}))
        self.server = ScriptedServer(
            halves[1], halves[1], **{"credential": credential(), **(server or {})}
        )

    def switch(self, side: int) -> None:
        if self.running[1 - side]:
            self.turns[1 - side].release()
            self.turns[side].acquire()

    def play(self, client: Callable[[], object], server: Callable[[], object]) -> None:
        """Run the two scripts; raises what either raises, and Silence only if nothing else."""
        errors: list[BaseException] = []

        def run(side: int, script: Callable[[], object]) -> None:
            try:
                script()
            except BaseException as error:
                errors.append(error)
            finally:
                self.running[side] = False
                self.turns[1 - side].release()

        def run_server() -> None:
            self.turns[1].acquire()
            run(1, server)

        self.running = [True, True]
        self.turns = [threading.Semaphore(0), threading.Semaphore(0)]
        thread = threading.Thread(target=run_server)
        thread.start()
        run(0, client)
        thread.join()
        for error in sorted(errors, key=lambda each: isinstance(each, Silence)):
            raise error

    def handshake(self) -> ScriptedPair:
        """Both scripts, and then data in both directions."""
        self.play(self.client.handshake, self.server.handshake)
        self.exchange()
        return self

    def exchange(self) -> None:
        before = len(self.client.data), len(self.server.data)
        self.client.send_data(b"of the client")
        self.server.send_data(b"of the server")
        self.settle()
        assert self.client.data[before[0] :] == b"of the server"
        assert self.server.data[before[1] :] == b"of the client"
        assert not self.client.alerts
        assert not self.server.alerts

    def settle(self) -> None:
        """Deliver everything, and take what comes after the handshake."""
        for peer in (self.client, self.server, self.client):
            peer.settle()
