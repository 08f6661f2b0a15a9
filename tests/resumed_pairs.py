"""Two fasths connections in memory, the second of which resumes what the first one left.

first = connected(client, server)       # Contexts
session = first.client.session
second = connected(client, server, session)
assert_resumed(second)
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pki
import pytest
from helpers import HOST, PLENTY, WANT_READ, ConnectionPair, authority, transfer, turns

import fasths
from fasths import (
    Connection,
    Context,
    MemorySessionStore,
    Session,
    SQLiteSessionStore,
    session_store,
)
from fasths.handshake import client12, client13, post_handshake, server, server12, server13


@functools.cache
def client_credential() -> pki.Credential:
    return pki.make_leaf(["client.test"], issuer=authority(), key_type="ed25519")


@functools.cache
def client_identity() -> fasths.Identity:
    leaf = client_credential()
    return fasths.Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def joined(
    client: Context,
    server: Context,
    session: Session | None = None,
    *,
    hostname: str | None = HOST,
    size: int = PLENTY,
    roles: bool = True,
) -> ConnectionPair:
    """A pair that offers a session, before its handshake."""
    pair = ConnectionPair(size, contexts=(client, server), roles=False)
    pair.client = Connection(client, pair.client_bio, server_hostname=hostname)
    if session is not None:
        pair.client.set_session(session)
    if roles:
        pair.client.set_connect_state()
        pair.server.set_accept_state()
    return pair


def connected(
    client: Context, server: Context, session: Session | None = None, **options: Any
) -> ConnectionPair:
    """The same, after the handshake, with the tickets that came with it."""
    pair = joined(client, server, session, **options).handshake()
    take_tickets(pair)
    return pair


def take_tickets(pair: ConnectionPair) -> None:
    """Let the client read what is there, which is tickets alone."""
    assert pair.client.read() is None
    assert pair.client.get_error(-1) is WANT_READ, pair.client.last_error


def session_of(client: Context, server: Context, **options: Any) -> Session:
    """The newest session of a full handshake."""
    pair = connected(client, server, **options)
    assert not pair.client.session_reused
    assert pair.client.session is not None
    return pair.client.session


def assert_resumed(pair: ConnectionPair, resumed: bool = True) -> None:
    """Both sides agree on that and on their keys, and data goes both ways."""
    for conn in (pair.client, pair.server):
        assert conn.established, conn.last_error
        assert conn.session_reused is resumed
        assert (conn.signature_scheme is None) is resumed
    exported = [
        conn.export_keying_material("label", b"context", 40) for conn in (pair.client, pair.server)
    ]
    assert exported[0] == exported[1]
    transfer(pair.client, pair.server, b"from the client")
    transfer(pair.server, pair.client, b"from the server")


def assert_resumes(
    client: Context,
    server: Context,
    session: Session | None,
    resumes: bool = True,
    **options: Any,
) -> ConnectionPair:
    pair = connected(client, server, session, **options)
    assert_resumed(pair, resumes)
    return pair


def finish(pair: ConnectionPair) -> None:
    """The rest of the handshake, where the client is not told of rejected early data."""
    turns(pair.client.do_handshake, pair.server.do_handshake)


def offered(
    client: Context, server: Context, session: Session | None, **options: Any
) -> fasths.ClientHello:
    """The ClientHello with which this session is offered, or is not."""
    pair = joined(client, server, session, **options)
    assert pair.client.do_handshake() == -1
    hello = fasths.parse_client_hello(bytes(pair.client_bio.written))
    assert hello is not None
    return hello


class Clock:
    """What time.time() says in some modules: it can be set ahead or back.

    A module that has imported the function itself is told as well.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self._monkeypatch = monkeypatch

    def ahead(self, seconds: float, *modules: Any) -> None:
        def moved() -> float:
            return time.time() + seconds

        for module in modules:
            clock = moved if module is session_store else SimpleNamespace(time=moved)
            self._monkeypatch.setattr(module, "time", clock)


# The modules that look at the clock: at a client, at a server, and after the handshake at both.
AT_CLIENT = (client13, client12)
AT_SERVER = (server, server13, server12)
EVERYWHERE = (*AT_CLIENT, *AT_SERVER, post_handshake, session_store)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: Any, tmp_path: Any) -> Iterator[Any]:
    """A SessionStore of either kind."""
    if request.param == "memory":
        yield MemorySessionStore()
        return
    store = SQLiteSessionStore(tmp_path / "sessions")
    yield store
    store.close()
