"""Connections that resume a session, and the scripted peers that they face.

    context = server_context()
    psk = psk_with(context)                            # of a ticket that the server sent
    peer = server_with(context, psks=[psk])            # a scripted client that offers it

    context = client_context()
    session, psk = session_with(context)               # of a ticket that the scripted server sent
    peer = client_with(context, session, psks=[psk])   # which knows it, the next time

Both connections share a Context, as those of a program do.
"""

from __future__ import annotations

import time
from typing import Any

from helpers import HOST, trust
from refusals import CLIENT, SERVER, assert_established, credential, identity
from scripted_peer import ScriptedClient, ScriptedServer
from scripted_psk import PSK_DHE_KE, PSK_KE, Psk

import fasths

KEY = bytes(range(32))


def client_context(**settings: Any) -> fasths.Context:
    return fasths.Context(**{"trust": trust(), **CLIENT, **settings})


def server_context(**settings: Any) -> fasths.Context:
    context = fasths.Context(**{"identities": [identity()], "trust": trust(), **SERVER, **settings})
    # Early data is for tickets that are younger than the store of the marks against replays, and
    # tickets are dated in whole milliseconds.
    time.sleep(0.002)
    return context


def client_with(
    context: fasths.Context,
    session: Any = None,
    *,
    early_data: bytes = b"",
    hostname: str | None = HOST,
    **options: Any,
) -> ScriptedServer:
    """A fasths client, seen from a scripted server. early_data: what the client sends of it."""
    bio = fasths.MemoryBIO()
    connection = fasths.Connection(context, bio, server_hostname=hostname)
    connection.set_connect_state()
    if session is not None:
        connection.set_session(session)
    if early_data:
        assert connection.write_early_data(early_data) == len(early_data)
    return ScriptedServer(connection, bio, **{"credential": credential(), **options})


def server_with(context: fasths.Context, **options: Any) -> ScriptedClient:
    """A fasths server, seen from a scripted client."""
    bio = fasths.MemoryBIO()
    connection = fasths.Connection(context, bio)
    connection.set_accept_state()
    return ScriptedClient(connection, bio, **options)


def session_with(
    context: fasths.Context, *, hostname: str | None = HOST, ticket: Any = None, **options: Any
) -> tuple[Any, Psk]:
    """A client's session of a full handshake. ticket: options of send_ticket()."""
    peer = client_with(context, hostname=hostname, **options)
    peer.handshake()
    psk = peer.send_ticket(**(ticket or {}))
    assert_established(peer)
    assert peer.connection.session is not None
    return peer.connection.session, psk


def psk_with(context: fasths.Context, **options: Any) -> Psk:
    """What the first ticket of a full handshake with this server stands for."""
    peer = server_with(context, psk_modes=(PSK_DHE_KE, PSK_KE), **options)
    peer.handshake()
    assert_established(peer)
    assert not peer.connection.session_reused
    assert peer.tickets, "the server sent no ticket"
    return peer.resumption_psks()[0]


def assert_resumes(peer: Any, resumes: bool = True) -> None:
    """The handshake comes about: with a PSK, or in full."""
    peer.handshake()
    assert_resumed(peer, resumes)


def assert_resumed(peer: Any, resumed: bool = True) -> None:
    assert_established(peer)
    assert (peer.psk is not None) is resumed
    assert peer.connection.session_reused is resumed
