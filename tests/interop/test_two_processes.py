"""Servers in processes of their own that share ticket keys and a session store.

RFC 8446, 8.1: a client can resume at each of them, and 0-RTT data is taken by one of them, once.
"""

import contextlib
import functools
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import records

import fasths

from .conftest import Certificates
from .feature_peers import FeatureOpenSSL, FeaturePeer, with_peers
from .matrix import DATA
from .peers import Settings
from .processes import TIMEOUT, Process
from .relay import Relay

pytestmark = pytest.mark.timeout(300)

EARLY = "early data\n"


class ServerProcess(Process):
    """ticket_server.py, which listens on `port`."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(
            *(sys.executable, "-m", "interop.ticket_server", json.dumps(options)),
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        self._told = 0

    @functools.cached_property
    def port(self) -> int:
        return json.loads(self.log.wait_for(r'{"event": "listening".*}\n')[0])["port"]

    def served(self) -> dict[str, Any]:
        """What it says of the next connection that is done."""
        line = r'{"event": "served".*}\n'
        self._told += 1
        self.log.wait_for(rf"(?:{line}){{{self._told}}}")
        return json.loads(re.findall(line, self.log.text)[self._told - 1])


def start(
    stack: contextlib.ExitStack, certificates: Certificates, **options: object
) -> ServerProcess:
    credential = certificates.authority.leaf("ecdsa")
    files = {"chain": str(credential.chain_file), "key": str(credential.key_file)}
    options = {name: str(value) for name, value in options.items()}
    return stack.enter_context(ServerProcess({**files, **options}))


@pytest.fixture(scope="module")
def with_keys(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProcess]]:
    """Three servers that share ticket keys. Two share a store, and the last has its own."""
    directory = tmp_path_factory.mktemp("processes")
    keys = directory / "ticket-keys"
    keys.write_bytes(fasths.TicketKeys().to_bytes())
    with contextlib.ExitStack() as stack:
        servers = [
            start(stack, certificates, ticket_keys=keys, store=directory / store)
            for store in ("shared", "shared", "alone")
        ]
        # A store takes no early data of sessions that are older than itself.
        assert all(server.port for server in servers)
        yield servers


@pytest.fixture(scope="module")
def with_store(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProcess]]:
    """Two servers that share a store, which has the sessions."""
    store = tmp_path_factory.mktemp("processes") / "sessions"
    with contextlib.ExitStack() as stack:
        yield [start(stack, certificates, store=store) for _ in range(2)]


@with_peers("openssl", "gnutls", "go", "stdlib", "pyopenssl", "tlslite")
@pytest.mark.parametrize("shared", ["with_keys", "with_store"])
def test_resumption_at_the_other_process(
    peer: FeaturePeer, certificates: Certificates, request: pytest.FixtureRequest, shared: str
) -> None:
    first, second, *_ = request.getfixturevalue(shared)
    settings = Settings(trust=certificates.authority.file)
    with (
        Relay(first.port, second.port) as relay,
        peer.returning(relay.port, settings) as client,
    ):
        client.send(DATA)
        assert client.receive(len(DATA)) == DATA, client.log.text
        client.finish()
        before, after = first.served(), second.served()
    assert (before["resumed"], before["error"]) == (False, None)
    assert (after["resumed"], after["error"]) == (True, None)


def send(port: int, data: bytes) -> None:
    """Sends bytes that another client has sent, and waits for the server's end."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass


@with_peers("openssl", "gnutls", "pyopenssl")
def test_replayed_early_data_is_refused(
    peer: FeaturePeer, certificates: Certificates, with_keys: list[ServerProcess]
) -> None:
    first = with_keys[0]
    settings = Settings(trust=certificates.authority.file)
    with Relay(first.port) as relay:
        with peer.returning(relay.port, settings, EARLY.encode()) as client:
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA, client.log.text
            client.finish()
        first.served()
        original = first.served()
        flight = bytes(relay.streams[1][0])
    assert original["early_data"] == EARLY
    assert (original["accepted"], original["error"]) == (True, None)
    replays = []
    for server in with_keys:
        send(server.port, flight)
        replays.append(server.served())
    assert [each["early_data"] for each in replays[:2]] == ["", ""]
    assert [each["accepted"] for each in replays[:2]] == [False, False]
    # The server that has the keys, and not the store, takes it: it was as good as the original.
    assert replays[2]["early_data"] == EARLY
    assert all(each["error"] for each in replays)


def test_early_data_at_two_processes_at_once(
    openssl: FeatureOpenSSL, certificates: Certificates, with_keys: list[ServerProcess]
) -> None:
    """A flight that was held back, and is then sent to both of them many times."""
    settings = Settings(trust=certificates.authority.file)
    servers = with_keys[:2]
    with (
        socket.create_server(("127.0.0.1", 0)) as nobody,
        Relay(servers[0].port, nobody.getsockname()[1]) as relay,
        openssl.returning(relay.port, settings, EARLY.encode()) as client,
    ):
        flight = whole_flight(relay)
        client.kill()
        nobody.accept()[0].close()
    servers[0].served()
    attempts = [threading.Thread(target=send, args=(server.port, flight)) for server in servers * 5]
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join(TIMEOUT)
    reports = [server.served() for server in servers * 5]
    assert sorted(each["early_data"] for each in reports) == [""] * 9 + [EARLY]
    assert [each["accepted"] for each in reports].count(True) == 1


def whole_flight(relay: Relay) -> bytes:
    """The ClientHello, change_cipher_spec and early data of the second connection."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if len(relay.streams) == 2 and len(list(records(relay.streams[1][0]))) == 3:
            return bytes(relay.streams[1][0])
        time.sleep(0.01)
    raise TimeoutError("the client sent no early data")
