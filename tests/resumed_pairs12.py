"""Pairs of TLS 1.2 connections that resume, by a ticket or by a session id.

servers = Servers("ticket")
session = session_of(client_with(), servers())
assert_resumes(client_with(), servers(verify=Verify.OPTIONAL), session)
"""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    SSL,
    client_context,
    outcome,
    server_context,
)
from refusals12 import TLS12_ALONE
from resumed_pairs import (
    joined,
)

import fasths
from fasths import (
    CipherSuite,
    MemorySessionStore,
    Session,
    TicketKeys,
)

KINDS = ["ticket", "session id"]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
SUITES = [suite for suite in CipherSuite if "_ECDHE_" in suite.name]
SEVEN_DAYS = 604800


def client_with(**options: Any) -> fasths.Context:
    return client_context(**{**TLS12_ALONE, **options})


class Servers:
    """Contexts that know each other's sessions."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.shared: dict[str, Any] = (
            {"ticket_keys": TicketKeys(accept_for=SEVEN_DAYS)}
            if kind == "ticket"
            else {"session_store": MemorySessionStore()}
        )

    def __call__(self, **options: Any) -> fasths.Context:
        return server_context(**{**TLS12_ALONE, **self.shared, **options})


def is_kept_as(session: Session) -> str:
    assert (session.ticket is None) is not (session.session_id is None)
    return "session id" if session.ticket is None else "ticket"


def assert_refused(
    client: fasths.Context, server: fasths.Context, session: Session | None, by_server: bool
) -> Any:
    """There is a full handshake, and it fails at this side; the error."""
    pair = joined(client, server, session)
    for _ in range(3):
        pair.client.do_handshake()
        pair.server.do_handshake()
    conn = pair.server if by_server else pair.client
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert not pair.client.session_reused
    assert not pair.server.session_reused
    return conn.last_error


def refusal_of(
    client: fasths.Context, server: fasths.Context, by_server: bool, **options: Any
) -> Any:
    """What the handshake fails with at this side; the other one hears of it."""
    pair = joined(client, server, **options)
    for _ in range(3):
        pair.client.do_handshake()
        pair.server.do_handshake()
    conn, _, peer, _ = pair.sides(by_server)
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert isinstance(peer.last_error, fasths.PeerAlert)
    assert peer.last_error.alert is conn.last_error.alert
    assert not peer.established
    return conn.last_error
