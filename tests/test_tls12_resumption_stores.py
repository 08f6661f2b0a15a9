"""TLS 1.2 sessions that a server keeps in a SessionStore, and a client in a SessionCache."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from helpers import (
    BOTH_ROLES,
    NONE,
    NOT_TLS,
    SSL,
    WANT_READ,
    client_context,
    outcome,
    server_context,
    turns,
)
from refusals12 import TLS12_ALONE
from resumed_pairs import (
    assert_resumed,
    assert_resumes,
    connected,
    joined,
    session_of,
    store,
)
from resumed_pairs12 import (
    EVERY_KIND,
    Servers,
    client_with,
    is_kept_as,
)

import fasths
from fasths import (
    AlertDescription,
    MemorySessionCache,
    MemorySessionStore,
    SQLiteSessionStore,
    TicketKeys,
    TLSVersion,
)

__all__ = ["store"]

# --- Stores


def stored(store: Any, **options: Any) -> fasths.Context:
    return server_context(**TLS12_ALONE, session_store=store, **options)


def test_stored_session_is_used_more_than_once(store: Any) -> None:
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    assert len(session.session_id) == 32
    assert len(store) == 1
    for _ in range(3):
        assert_resumes(client, server, session)
    assert len(store) == 1


def test_two_servers_with_one_store(store: Any) -> None:
    client = client_with()
    session = session_of(client, stored(store))
    assert_resumes(client, stored(store), session)
    assert_resumes(client, stored(MemorySessionStore()), session, False)
    assert_resumes(client, server_context(**TLS12_ALONE), session, False)


def test_sessions_outlive_a_server_with_a_file(tmp_path: Any) -> None:
    client, store = client_with(), SQLiteSessionStore(tmp_path / "sessions")
    session = session_of(client, stored(store))
    store.close()
    assert_resumes(client, stored(SQLiteSessionStore(tmp_path / "sessions")), session)


def test_stored_session_that_was_removed(store: Any) -> None:
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    store.remove(b"session:" + session.session_id)
    assert_resumes(client, server, session, False)


def test_sealed_tickets_leave_the_store_alone(store: Any) -> None:
    client, server = client_with(), stored(store, ticket_keys=TicketKeys())
    session = session_of(client, server)
    assert is_kept_as(session) == "ticket"
    assert_resumes(client, server, session)
    assert len(store) == 0


def test_stored_session_that_many_threads_use_at_once(store: Any) -> None:
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    pairs = [joined(client, server, session) for _ in range(8)]
    threads = [
        threading.Thread(target=turns, args=(pair.client.do_handshake, pair.server.do_handshake))
        for pair in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for pair in pairs:
        assert_resumed(pair)


class Broken(MemorySessionStore):
    """Some of its methods raise."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.methods: tuple[str, ...] = methods

    def check(self, method: str) -> None:
        if method in self.methods:
            raise OSError(f"{method}: the store is gone")

    def put(self, key: bytes, value: bytes, lifetime: float) -> None:
        self.check("put")
        super().put(key, value, lifetime)

    def get(self, key: bytes, request: Any = None) -> Any:
        self.check("get")
        return super().get(key)

    def remove(self, key: bytes) -> None:
        self.check("remove")
        super().remove(key)


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was given to sys.unraisablehook."""
    given: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: given.append(each.exc_value))
    return given


def test_store_that_cannot_put_costs_the_session_and_nothing_else(failures: list[Any]) -> None:
    client, server = client_with(), stored(Broken("put"))
    pair = connected(client, server)
    assert_resumed(pair, False)
    assert [str(each) for each in failures] == ["put: the store is gone"]
    assert_resumes(client, server, pair.client.session, False)


def test_store_that_cannot_get_costs_a_full_handshake(failures: list[Any]) -> None:
    store = Broken()
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    store.methods = ("get",)
    assert_resumes(client, server, session, False)
    assert [str(each) for each in failures] == ["get: the store is gone"]
    store.methods = ()
    assert_resumes(client, server, session)


def test_store_that_cannot_remove_is_no_other_error(failures: list[Any]) -> None:
    client, server = client_with(), stored(Broken("remove"))
    pair = connected(client, server)
    pair.client_bio.inner.write(NOT_TLS)
    assert pair.server.read() is None
    assert pair.server.last_error.alert is AlertDescription.unexpected_message
    assert [str(each) for each in failures] == ["remove: the store is gone"]


# --- After a fatal alert (RFC 5246, 7.2.2)


@BOTH_ROLES
@pytest.mark.parametrize("resumed", [False, True], ids=["full", "resumed"])
def test_session_is_forgotten_after_a_fatal_alert(
    store: Any, by_server: bool, resumed: bool
) -> None:
    """Whoever sends it: the other one hears of it."""
    client, server = client_with(), stored(store)
    session = session_of(client, server) if resumed else None
    pair = connected(client, server, session)
    session = pair.client.session
    assert len(store) == 1
    bio = pair.client_bio if by_server else pair.server_bio
    bio.inner.write(NOT_TLS)
    for conn in (pair.server, pair.client) if by_server else (pair.client, pair.server):
        assert conn.read() is None
        assert conn.get_error(-1) is SSL
    assert len(store) == 0
    assert pair.client.session is None
    assert_resumes(client, server, session, False)


def test_session_is_kept_where_its_resumption_fails(store: Any) -> None:
    """Whoever has seen the id can name it; the client is known by its Finished."""
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    pair = joined(client, server, session)
    pair.client.do_handshake()
    pair.server.do_handshake()
    pair.client_bio.inner.write(NOT_TLS)
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert len(store) == 1
    assert_resumes(client, server, session)


@pytest.mark.parametrize("how", ["close_notify", "end"])
def test_session_is_kept_where_nothing_was_wrong(store: Any, how: str) -> None:
    """RFC 5246, 7.2.1: a close without close_notify does not forbid it."""
    client, server = client_with(), stored(store)
    pair = connected(client, server)
    session = pair.client.session
    if how == "close_notify":
        assert pair.client.shutdown() == 0
        assert pair.server.read() == b""
        assert outcome(pair.server, pair.server.shutdown()) == (1, NONE)
    else:
        pair.end(by_server=False)
        assert pair.server.read() is None
    assert len(store) == 1
    assert_resumes(client, server, session)


def test_session_of_a_resumption_that_ends_early_is_kept(store: Any) -> None:
    client, server = client_with(), stored(store)
    session = session_of(client, server)
    pair = joined(client, server, session)
    pair.client.do_handshake()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, WANT_READ)
    pair.end(by_server=False)
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert_resumes(client, server, session)


# --- The client's cache


@EVERY_KIND
def test_cache_gives_sessions_without_being_asked(kind: str) -> None:
    cache = MemorySessionCache()
    client, server = client_with(session_cache=cache), Servers(kind)()
    assert_resumed(connected(client, server), False)
    for _ in range(5):
        assert len(cache) == 1
        assert_resumes(client, server, None)


def test_cache_of_both_versions() -> None:
    """A client that has both offers either, and the server decides."""
    cache = MemorySessionCache()
    client, keys = client_context(session_cache=cache), TicketKeys()
    old = server_context(**TLS12_ALONE, ticket_keys=keys)
    new = server_context(ticket_keys=keys)
    assert_resumed(connected(client, old), False)
    assert_resumes(client, old, None)
    # The newest session is of TLS 1.2, and this server speaks TLS 1.3.
    pair = assert_resumes(client, new, None, False)
    assert pair.client.version is TLSVersion.TLSv1_3
    assert_resumes(client, new, None)


@EVERY_KIND
def test_cache_of_a_client_that_failed_gets_nothing(kind: str) -> None:
    cache = MemorySessionCache()
    client, server = client_with(session_cache=cache), Servers(kind)()
    pair = joined(client, server)
    pair.client.do_handshake()
    pair.server.do_handshake()
    pair.client.do_handshake()
    pair.server_bio.inner.write(NOT_TLS)
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, SSL)
    assert len(cache) == 0
    assert pair.client.session is None
