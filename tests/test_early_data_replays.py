"""Early data is taken once, whatever clocks, forks and stores do (RFC 8446, 8), and sent once.

A replay is the first flight of another client, byte for byte.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import pytest
from early_data_pairs import (
    MAXIMUM,
    WANT_READ,
    assert_accepted,
    assert_rejected,
    early_contexts,
    early_pair,
    early_session,
    receive_early,
    rejected_handshake,
    send_early,
    shared,
)
from helpers import (
    WANT_WRITE,
    ConnectionPair,
    client_context,
    outcome,
    server_context,
    transfer,
)
from resumed_pairs import (
    AT_SERVER,
    EVERYWHERE,
    Clock,
    assert_resumed,
    connected,
    finish,
    joined,
    take_tickets,
)

import fasths
from fasths import (
    LATER,
    AlertDescription,
    Context,
    MemorySessionStore,
    Session,
    SQLiteSessionStore,
    SSLErrorCode,
    TicketKeys,
)
from fasths.handshake import client13, post_handshake, server13
from fasths.session_store import SessionStore

PENDING_SESSION = SSLErrorCode.PENDING_SESSION
BIG = 1 << 17
FORKS = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def first_flight(pair: ConnectionPair, data: bytes = b"pay them") -> bytes:
    send_early(pair, data)
    return bytes(pair.client_bio.written)


def taken(server: Context, flight: bytes) -> bytes:
    """The early data that a server takes of these bytes."""
    pair = joined(client_context(), server)
    pair.client_bio.inner.write(flight)  # type: ignore[attr-defined]
    data, _ = receive_early(pair.server)
    assert pair.server.early_data_accepted is bool(data)
    return data


def in_a_fork(function: Callable[[], Any]) -> Any:
    """What the function returns in a process that has all that this one has."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        sender.send(function())

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        assert receiver.poll(30), "the process does not answer"
        return receiver.recv()
    finally:
        process.join(30)
        assert process.exitcode == 0


# --- Whose marks count


@FORKS
@pytest.mark.parametrize("store", ["own", "given"])
def test_fork_does_not_take_early_data_of_its_parents_tickets(store):
    """It has the same keys, and a copy of the marks which nobody else's are added to."""
    client, server = early_contexts(server=shared() if store == "given" else None)
    flight = first_flight(early_pair(client, server))
    for _ in range(2):
        assert in_a_fork(lambda: taken(server, flight)) == b""
    assert taken(server, flight) == b"pay them"
    assert taken(server, flight) == b""


@FORKS
def test_fork_takes_early_data_of_its_own_tickets():
    client, server = early_contexts()
    early_session(client, server)

    def use() -> bytes:
        session = early_session(client, server)
        assert_accepted(early_pair(client, server, session))
        assert_rejected(early_pair(client, server, session))
        return session.to_bytes()

    session = Session.from_bytes(in_a_fork(use))
    # Nor does its parent those of a fork; to resume the session is no harm.
    assert_rejected(early_pair(client, server, session))


@FORKS
def test_fork_that_shares_a_file_takes_early_data(tmp_path):
    store = SQLiteSessionStore(tmp_path / "marks")
    settings = {"ticket_keys": TicketKeys(), "session_store": store}
    client, server = early_contexts(server=settings)
    flights = [
        first_flight(early_pair(client, server, each))
        for each in connected(client, server).client.sessions
    ]
    assert in_a_fork(lambda: taken(server, flights[0])) == b"pay them"
    assert taken(server, flights[0]) == b""
    assert taken(server, flights[1]) == b"pay them"
    assert in_a_fork(lambda: taken(server, flights[1])) == b""
    store.close()


def test_servers_with_one_ring_and_two_stores():
    keys = TicketKeys()
    # Both stores are older than all tickets.
    first, second = (
        server_context(
            max_early_data_size=MAXIMUM, ticket_keys=keys, session_store=MemorySessionStore()
        )
        for _ in range(2)
    )
    client = client_context()
    for server, other in ((first, second), (second, first)):
        flight = first_flight(early_pair(client, server))
        assert taken(other, flight) == b""
        assert taken(server, flight) == b"pay them"
        assert taken(server, flight) == b""
        assert_rejected(early_pair(client, other, early_session(client, server)))


def test_scope_is_of_one_store():
    stores = [MemorySessionStore() for _ in range(3)]
    assert len({store.scope for store in stores}) == 3
    assert all(store.scope and store.scope == store.scope for store in stores)


@FORKS
def test_scope_is_another_one_in_a_fork():
    store = MemorySessionStore()
    scopes = {store.scope, *(in_a_fork(lambda: store.scope) for _ in range(2))}
    assert len(scopes) == 3
    assert store.scope in scopes
    assert in_a_fork(lambda: store.scope == store.scope)


def test_early_data_with_a_ring_and_no_store_is_refused():
    """Whoever shares the ring has to share the marks."""
    with pytest.raises(ValueError, match="session_store"):
        server_context(ticket_keys=TicketKeys(), max_early_data_size=1)
    # Each of these is enough to go without.
    assert server_context(ticket_keys=TicketKeys())
    assert server_context(max_early_data_size=1)
    assert server_context(max_early_data_size=1, **shared())


# --- How long marks count


class Recorded(MemorySessionStore):
    """Knows how long marks were to live."""

    def __init__(self) -> None:
        super().__init__()
        self.lifetimes: list[float] = []

    def add(self, key: bytes, lifetime: float, request: Any = None) -> bool:
        self.lifetimes.append(lifetime)
        return super().add(key, lifetime, request)


@pytest.mark.parametrize("window", [1.0, 10.0, 60.0])
def test_lifetime_of_marks(window):
    """Twice the window and twice the minute by which clocks of servers may differ."""
    store = Recorded()
    client, server = early_contexts(
        server={
            "ticket_keys": TicketKeys(),
            "session_store": store,
            "early_data_window": window,
        }
    )
    assert_accepted(early_pair(client, server))
    assert store.lifetimes == [2 * window + 120]


def test_replay_to_a_machine_whose_clock_is_slow(clock, tmp_path):
    """To it, the ClientHello is fresh long after the one that was first has seen it."""
    store = SQLiteSessionStore(tmp_path / "marks")
    settings = {"ticket_keys": TicketKeys(), "session_store": store, "early_data_window": 2.0}
    client, server = early_contexts(server=settings)
    # The first machine is 30 seconds ahead, and dates its tickets so.
    clock.ahead(30, server13, post_handshake)
    used, unused = connected(client, server).client.sessions
    # An honest client, 10 seconds later. Both sides date tickets by one clock here.
    clock.ahead(10 + 30, client13, server13)
    clock.ahead(10, fasths.session_store)
    flight = first_flight(early_pair(client, server, used))
    other = first_flight(early_pair(client, server, unused))
    assert taken(server, flight) == b"pay them"
    # 30 seconds later, at the other machine.
    clock.ahead(40, server13, fasths.session_store)
    assert taken(server, flight) == b""
    # Indeed it is the mark that tells it.
    assert taken(server, other) == b"pay them"
    store.close()


class Slow(MemorySessionStore):
    """Marks are made at once, and the answer comes later."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[fasths.SessionRequest] = []

    def add(self, key: bytes, lifetime: float, request: Any = None) -> Any:
        self.requests.append(request)
        return LATER


@pytest.mark.parametrize(("seconds", "accepted"), [(0, True), (1, True), (3, False), (-3, False)])
def test_store_that_answers_when_the_client_hello_is_old(clock, seconds, accepted):
    store = Slow()
    client, server = early_contexts(
        server={"ticket_keys": TicketKeys(), "session_store": store, "early_data_window": 2.0}
    )
    pair = early_pair(client, server)
    send_early(pair, b"early")
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, PENDING_SESSION)
    clock.ahead(seconds, *AT_SERVER)
    [request] = store.requests
    assert request.answer(True)
    if accepted:
        finish(pair)
        assert receive_early(pair.server) == (b"early", True)
    else:
        rejected_handshake(pair)
        assert receive_early(pair.server) == (b"", True)
    take_tickets(pair)
    assert_resumed(pair)
    assert pair.server.early_data_accepted is accepted


@pytest.mark.parametrize("jump", [3600, -3600])
def test_clock_that_jumps_does_not_forget_marks(clock, jump):
    """It is set and set back, as when a machine is resumed; the first flight is fresh again."""
    client, server = early_contexts()
    used, unused = connected(client, server).client.sessions
    flight = first_flight(early_pair(client, server, used))
    assert taken(server, flight) == b"pay them"
    clock.ahead(jump, *EVERYWHERE)
    # Whoever makes a mark may clear away others.
    if jump > 0:
        assert_accepted(early_pair(client, server, unused))
    assert_accepted(early_pair(client, server, early_session(client, server)))
    clock.ahead(0, *EVERYWHERE)
    assert taken(server, flight) == b""


# --- Stores that fail


class Failing(MemorySessionStore):
    """The time since when marks are known, or the scope, cannot be had, or no mark be made."""

    fails = ""

    def __getattribute__(self, name: str) -> Any:
        if name in ("complete_since", "scope"):
            self.fail(name)
        return super().__getattribute__(name)

    def add(self, key: bytes, lifetime: float, request: Any = None) -> bool:
        self.fail("add")
        return super().add(key, lifetime, request)

    def fail(self, name: str) -> None:
        if name == self.fails:
            raise ConnectionError("the store is gone")


@pytest.mark.parametrize("name", ["complete_since", "scope", "add"])
def test_store_that_fails_costs_the_early_data_and_nothing_else(monkeypatch, name):
    failures: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", failures.append)
    store = Failing()
    client, server = early_contexts(server={"ticket_keys": TicketKeys(), "session_store": store})
    used, unused = connected(client, server).client.sessions
    store.fails = name
    pair = early_pair(client, server, used)
    send_early(pair, b"early")
    assert receive_early(pair.server) == (b"", True)
    assert [type(each.exc_value) for each in failures] == [ConnectionError]
    # What the store is asked for new tickets is not the question here.
    store.fails = ""
    rejected_handshake(pair)
    take_tickets(pair)
    assert_resumed(pair)
    assert_accepted(early_pair(client, server, unused))
    assert len(failures) == 1


def test_store_of_the_protocol_needs_no_scope():
    """A store that machines share has none; all that it was told of counts."""

    class Shared:
        complete_since = 0.0

        def __init__(self) -> None:
            self.inner = MemorySessionStore()

        def put(self, key: bytes, value: bytes, lifetime: float) -> None:
            self.inner.put(key, value, lifetime)

        def get(self, key: bytes, request: Any) -> Any:
            return self.inner.get(key)

        def take(self, key: bytes, request: Any) -> Any:
            return self.inner.take(key)

        def add(self, key: bytes, lifetime: float, request: Any) -> Any:
            return self.inner.add(key, lifetime)

        def remove(self, key: bytes) -> None:
            self.inner.remove(key)

    store = Shared()
    assert isinstance(store, SessionStore)
    client, server = early_contexts(server={"ticket_keys": TicketKeys(), "session_store": store})
    session = early_session(client, server)
    assert_accepted(early_pair(client, server, session))
    assert_rejected(early_pair(client, server, session))


# --- Early data that is skipped


class Down(MemorySessionStore):
    def add(self, key: bytes, lifetime: float, request: Any = None) -> bool:
        return False


def big_contexts(**server: Any) -> tuple[Context, Context]:
    return early_contexts(server={"max_early_data_size": BIG, **shared(), **server})


@pytest.mark.parametrize("size", [4, 16384])
@pytest.mark.parametrize("name", ["store", "switched off", "lowered"])
def test_rejected_early_data_is_skipped_as_far_as_the_ticket_permits(name, size):
    """RFC 8446, 4.2.10: more than Limits.max_skipped_early_data, where the ticket said so."""
    settings = shared()
    if name == "store":
        settings["session_store"] = Down()
    client, server = big_contexts(**settings)
    session = early_session(client, server)
    if name != "store":
        maximum = {"switched off": 0, "lowered": 1}[name]
        server = server_context(max_early_data_size=maximum, **settings)
    pair = early_pair(client, server, session, size=1 << 22)
    assert fasths.Limits().max_skipped_early_data < BIG
    # Small records weigh more on the wire; a ticket counts what is in them.
    count = BIG // 16384 if size == 16384 else 1000
    send_early(pair, *[bytes(size)] * count)
    rejected_handshake(pair)
    take_tickets(pair)
    assert_resumed(pair)


def test_early_data_of_a_ticket_that_cannot_be_opened_is_not_skipped_for_ever():
    client, server = big_contexts()
    session = early_session(client, server)
    pair = early_pair(client, server_context(), session, size=1 << 22)
    send_early(pair, *[bytes(16384)] * (BIG // 16384))
    assert pair.server.do_handshake() == -1
    assert pair.server.last_error.alert is AlertDescription.unexpected_message


# --- What is sent once


class Pending:
    """A SpyBIO that says what can be read at once, as the BIOs of fasths do."""

    def __init__(self, bio: Any) -> None:
        self._bio = bio

    @property
    def pending(self) -> int:
        return int(self._bio.inner.pending)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bio, name)


def test_repeated_early_data_does_not_disturb_data_that_is_not_read_yet():
    client, server = early_contexts()
    session = early_session(client, server)
    pair = ConnectionPair(contexts=(client, server), roles=False, wrap=Pending)
    pair.client.set_session(session)
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    send_early(pair, b"first")
    pair.client_bio.blocked = True
    assert outcome(pair.client, pair.client.write_early_data(b"second")) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    finish(pair)
    assert receive_early(pair.server) == (b"firstsecond", True)
    unread = bytes(range(100))
    pair.server.write(unread)
    pair.server.write(b"B" * 4000)
    assert pair.client.read(10) == unread[:10]
    pair.client_bio.blocked = True
    assert outcome(pair.client, pair.client.write(b"x")) == (-1, WANT_WRITE)
    assert pair.client.write_early_data(b"second") == -1
    assert pair.client.read() == unread[10:]
    assert pair.client.read() == b"B" * 4000
    pair.client_bio.blocked = False
    assert pair.client.write(b"x") == 1
    assert pair.server.read() == b"x"
    assert pair.server.read() is None
    assert pair.server.get_error(-1) is WANT_READ


@pytest.mark.parametrize("data", [b"hello", b"long" * 10_000], ids=["short", "long"])
def test_early_data_of_a_server_that_is_repeated_after_the_handshake(data):
    """It waits for the transport, and the handshake comes to its end in between."""
    pair = ConnectionPair(contexts=(client_context(), server_context(session_tickets=0)))
    pair.client.do_handshake()
    while pair.server.write_early_data(b"") != 0:
        assert pair.server.get_error(-1) is WANT_WRITE, pair.server.last_error
    pair.server_bio.blocked = True
    assert outcome(pair.server, pair.server.write_early_data(data)) == (-1, WANT_WRITE)
    pair.server_bio.blocked = False
    finish(pair)
    sent = pair.server.write_early_data(data)
    assert sent > 0, pair.server.last_error
    received = b""
    while (piece := pair.client.read()) is not None:
        received += piece
    assert pair.client.get_error(-1) is WANT_READ, pair.client.last_error
    assert received == data[:sent]
    transfer(pair.server, pair.client, b"what follows")
    transfer(pair.client, pair.server, b"and back")


@pytest.mark.parametrize("scope", ["raises", "text", bytes(256)], ids=["raises", "text", "long"])
def test_store_with_a_scope_that_is_none_sends_no_tickets(monkeypatch, scope):
    failures: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", failures.append)
    store = Failing()
    if scope == "raises":
        store.fails = "scope"
    else:
        monkeypatch.setattr(MemorySessionStore, "scope", scope)
    client, server = early_contexts(server={"ticket_keys": TicketKeys(), "session_store": store})
    pair = connected(client, server)
    assert pair.client.sessions == ()
    assert len(failures) == 1
    assert pair.server.write(b"data") == 4
    assert pair.client.read() == b"data"
