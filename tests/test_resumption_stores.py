"""Sessions that a server keeps in a SessionStore, and those that a client keeps in a SessionCache.

What the stores and caches do by themselves is in test_session_store.py.
"""

from __future__ import annotations

import sys
import threading

import pki
import pytest
from helpers import HOST, client_context, identity, server_context, turns
from resumed_pairs import (
    AT_SERVER,
    Clock,
    assert_resumed,
    assert_resumes,
    connected,
    joined,
    offered,
    session_of,
    store,
    take_tickets,
)

import fasths
from fasths import (
    ExternalPSK,
    MemorySessionCache,
    MemorySessionStore,
    SQLiteSessionStore,
    TicketKeys,
    session_store,
)

__all__ = ["store"]

OTHER = pki.make_ca()


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


# --- Stateful tickets


def test_each_stored_session_is_used_once(store):
    client, server = client_context(), server_context(session_store=store)
    first, second = connected(client, server).client.sessions
    # A name for what the server keeps, and nothing else.
    assert len(first.ticket) == len(second.ticket) == 32
    assert len(store) == 2
    new = assert_resumes(client, server, first).client.session
    for _ in range(2):
        assert_resumes(client, server, first, False)
    assert_resumes(client, server, second)
    assert_resumes(client, server, new)


def test_stored_session_is_used_up_by_a_handshake_that_goes_wrong(store):
    """Forward secrecy: the key is gone as soon as somebody has named it."""
    client, server = client_context(), server_context(session_store=store, session_tickets=1)
    session = session_of(client, server)
    pair = joined(client, server, session)
    assert pair.client.do_handshake() == -1
    assert pair.server.do_handshake() == -1
    assert len(store) == 0
    assert_resumes(client, server, session, False)


def test_two_servers_with_one_store(store):
    client = client_context()
    one, other = (server_context(session_store=store) for _ in range(2))
    first, second = connected(client, one).client.sessions
    session = assert_resumes(client, other, first).client.session
    assert_resumes(client, one, first, False)
    assert_resumes(client, one, session)
    assert_resumes(client, other, second)


def test_store_of_another_server_makes_a_full_handshake(store):
    client = client_context()
    session = session_of(client, server_context(session_store=store))
    assert_resumes(client, server_context(session_store=MemorySessionStore()), session, False)
    assert_resumes(client, server_context(), session, False)
    assert_resumes(client, server_context(session_store=store), session)


def test_sessions_outlive_a_server_with_a_file(tmp_path):
    client = client_context()
    store = SQLiteSessionStore(tmp_path / "sessions")
    session = session_of(client, server_context(session_store=store))
    store.close()
    again = server_context(session_store=SQLiteSessionStore(tmp_path / "sessions"))
    assert_resumes(client, again, session)


def test_stored_session_that_has_expired(clock):
    client = client_context()
    server = server_context(session_store=MemorySessionStore(), session_lifetime=100)
    first, second = connected(client, server).client.sessions
    clock.ahead(90, *AT_SERVER, session_store)
    assert_resumes(client, server, first)
    clock.ahead(101, *AT_SERVER, session_store)
    assert_resumes(client, server, second, False)


def test_stored_session_that_was_removed(store):
    client, server = client_context(), server_context(session_store=store)
    session = session_of(client, server)
    store.remove(b"ticket:" + session.ticket)
    assert_resumes(client, server, session, False)


def test_store_that_had_no_room(store):
    client = client_context()
    full = MemorySessionStore(maximum=2)
    server = server_context(session_store=full, session_tickets=3)
    sessions = connected(client, server).client.sessions
    # Of three, the last two are there; each handshake puts others in their place.
    assert_resumes(client, server, sessions[0], False)
    assert_resumes(client, server, sessions[2], False)


def test_stored_sessions_that_many_threads_use_at_once(store):
    """Of those who come with the same ticket, one resumes."""
    client, server = client_context(), server_context(session_store=store, session_tickets=1)
    threads_count = 6
    for _ in range(5):
        session = session_of(client, server)
        pairs = [joined(client, server, session) for _ in range(threads_count)]
        barrier = threading.Barrier(threads_count)

        def run(pair, barrier=barrier):
            pair.client.do_handshake()
            barrier.wait()
            turns(pair.client.do_handshake, pair.server.do_handshake)

        threads = [threading.Thread(target=run, args=(pair,)) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reused = [pair.client.session_reused for pair in pairs]
        assert sorted(reused) == [False] * (threads_count - 1) + [True]
        for pair in pairs:
            take_tickets(pair)
            assert_resumed(pair, pair.client.session_reused)


def test_sealed_tickets_leave_the_store_alone(store):
    """With a ring and a store, the store has marks of early data only."""
    client = client_context()
    server = server_context(session_store=store, ticket_keys=TicketKeys())
    session = session_of(client, server)
    assert len(session.ticket) > 100
    assert len(store) == 0
    for _ in range(2):
        assert_resumes(client, server, session)
    assert len(store) == 0


def test_contexts_without_a_store_have_their_own():
    one, other = server_context(), server_context()
    assert isinstance(one.session_store, MemorySessionStore)
    assert one.session_store is not other.session_store
    assert one.ticket_keys is not other.ticket_keys
    assert server_context(session_store=MemorySessionStore()).ticket_keys is None


# --- The client's cache


def test_cache_gives_sessions_without_being_asked():
    cache = MemorySessionCache()
    client, server = client_context(session_cache=cache), server_context()
    pair = connected(client, server)
    assert not pair.client.session_reused
    assert len(cache) == 1
    for _ in range(5):
        assert_resumes(client, server, None)


def test_cache_gives_each_session_out_once():
    # RFC 8446, C.4
    cache = MemorySessionCache(per_name=4)
    client, server = client_context(session_cache=cache), server_context(session_tickets=3)
    sessions = connected(client, server).client.sessions
    seen = set()
    # Nothing comes back from these, which go no further than their ClientHello.
    for _ in range(3):
        hello = offered(client, server, None)
        assert hello.pre_shared_key
        (ticket,) = [each.ticket for each in sessions if each.ticket in hello.raw]
        seen.add(ticket)
    assert seen == {each.ticket for each in sessions}
    assert not offered(client, server, None).pre_shared_key
    assert len(cache) == 0


def test_cache_gives_the_newest_session_first():
    client = client_context(session_cache=MemorySessionCache())
    server = server_context(session_tickets=2)
    newest = connected(client, server).client.session
    assert newest.ticket in offered(client, server, None).raw


def test_cache_is_by_name():
    cache = MemorySessionCache()
    client = client_context(session_cache=cache)
    server = server_context(identities=[identity(), identity("other.test")])
    connected(client, server)
    assert not offered(client, server, None, hostname="other.test").pre_shared_key
    pair = connected(client, server, hostname="other.test")
    assert_resumed(pair, False)
    assert len(cache) == 2
    for name in (HOST, "other.test", "LOCALHOST"):
        assert offered(client, server, None, hostname=name).pre_shared_key


def test_cache_is_not_used_without_a_name():
    cache = MemorySessionCache()
    client = client_context(session_cache=cache, check_hostname=False)
    server = server_context()
    pair = connected(client, server, hostname=None)
    assert pair.client.session is not None
    assert len(cache) == 0
    assert_resumed(connected(client, server, hostname=None), False)


def test_session_that_was_set_comes_before_the_cache():
    cache = MemorySessionCache()
    client, server = client_context(session_cache=cache), server_context(session_tickets=1)
    own = session_of(client_context(), server)
    connected(client, server)
    raw = offered(client, server, own).raw
    assert own.ticket in raw
    # The one in the cache is still there.
    hello = offered(client, server, None)
    assert hello.pre_shared_key
    assert own.ticket not in hello.raw


def test_session_of_a_cache_that_is_not_known_makes_a_full_handshake():
    client = client_context(session_cache=MemorySessionCache())
    connected(client, server_context())
    other = server_context()
    pair = connected(client, other)
    assert_resumed(pair, False)
    assert_resumes(client, other, None)


def test_session_of_a_cache_that_has_expired(clock):
    client = client_context(session_cache=MemorySessionCache())
    server = server_context(session_lifetime=100)
    connected(client, server)
    clock.ahead(101, session_store)
    assert not offered(client, server, None).pre_shared_key


class Mistaken(MemorySessionCache):
    """Gives any session for any name."""

    def put(self, name, session):
        super().put("", session)

    def take(self, name, request=None):
        return super().take("", request)


def test_session_of_another_name_that_a_cache_gives_is_not_offered():
    # Not even by a client that does not look at certificates.
    client = client_context(session_cache=Mistaken(), verify=fasths.Verify.NONE)
    server = server_context()
    connected(client, server)
    assert not offered(client, server, None, hostname="other.test").pre_shared_key
    connected(client, server)
    assert offered(client, server, None).pre_shared_key


def test_cache_together_with_external_psks():
    psk = ExternalPSK(b"external", bytes(32))
    client = client_context(session_cache=MemorySessionCache(), external_psks=[psk])
    server = server_context()
    assert_resumed(connected(client, server), False)
    for _ in range(2):
        raw = offered(client, server, None).raw
        assert b"external" in raw
    assert_resumes(client, server_context(external_psks=[psk]), None)


def test_two_contexts_with_one_cache():
    cache = MemorySessionCache()
    one, other = (client_context(session_cache=cache) for _ in range(2))
    server = server_context()
    connected(one, server)
    assert_resumes(other, server, None)


def test_session_of_a_cache_that_is_not_trusted_any_more():
    cache = MemorySessionCache()
    server = server_context()
    connected(client_context(session_cache=cache, verify=fasths.Verify.NONE), server)
    suspicious = client_context(session_cache=cache, trust=fasths.TrustStore.from_pem(OTHER.pem))
    pair = joined(suspicious, server)
    assert pair.client.do_handshake() == -1
    assert not fasths.parse_client_hello(bytes(pair.client_bio.written)).pre_shared_key
    assert pair.server.do_handshake() == -1
    assert pair.client.do_handshake() == -1
    assert isinstance(pair.client.last_error, fasths.CertificateError)


class Broken(MemorySessionStore):
    def put(self, key, value, lifetime):
        raise OSError("the store is gone")


class BrokenCache(MemorySessionCache):
    def put(self, name, session):
        raise OSError("the cache is gone")


def test_store_or_cache_that_fails_costs_the_sessions_and_nothing_else(monkeypatch):
    failures = []
    monkeypatch.setattr(sys, "unraisablehook", failures.append)
    pair = connected(client_context(), server_context(session_store=Broken()))
    assert pair.client.session is None
    assert_resumed(pair, False)
    assert [type(each.exc_value) for each in failures] == [OSError]
    failures.clear()
    pair = connected(client_context(session_cache=BrokenCache()), server_context())
    assert len(pair.client.sessions) == 2
    assert_resumed(pair, False)
    assert [type(each.exc_value) for each in failures] == [OSError] * 2
