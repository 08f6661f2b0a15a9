"""What a refusal looks like in TLS 1.2: tables of cases as in refusals.py, played by the scripted
peer of that version.

    case("another suite", IllegalParameter, "server_hello", put(cipher_suite=0xC02C))
    case("without it", HandshakeFailure, "server_hello", ..., resumed="ticket")

resumed: the case is one of a resumption, by "ticket" or by "id", of a session that an honest
handshake has made before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from helpers import HOST, trust
from refusals import Case, assert_established, assert_refuses, credential, identity
from scripted12_messages import ChangeCipherSpec
from scripted12_peer import ScriptedClient12, ScriptedServer12
from scripted_messages import Message
from scripted_records import At

import fasths
from fasths import TLSVersion, Verify
from fasths.wire.errors import InternalError

TLS12_ALONE = {
    "minimum_version": TLSVersion.TLSv1_2,
    "maximum_version": TLSVersion.TLSv1_2,
}
BOTH_VERSIONS = {**TLS12_ALONE, "maximum_version": TLSVersion.TLSv1_3}
CLIENT12: dict[str, Any] = {
    "verify": Verify.NONE,
    "groups": ("x25519", "secp256r1"),
    **TLS12_ALONE,
}
SERVER12: dict[str, Any] = {"groups": ("x25519", "secp256r1"), **TLS12_ALONE}
FIRST = {
    ("client", "ticket"): {"tickets": True},
    ("client", "id"): {"session_id": b"\x5a" * 32},
    ("server", "ticket"): {"tickets": True},
    ("server", "id"): {},
}


def context_of(role: str, context: dict[str, Any] | fasths.Context | None = None) -> fasths.Context:
    """context: changes of CLIENT12 or SERVER12, or all of it."""
    if isinstance(context, fasths.Context):
        return context
    if role == "client":
        settings = {"trust": trust(), **CLIENT12, **(context or {})}
    else:
        settings = {"identities": [identity()], "trust": trust(), **SERVER12, **(context or {})}
    return fasths.Context(**settings)


def peer_with(
    role: str,
    context: fasths.Context,
    *,
    session: fasths.Session | None = None,
    hostname: str | None = HOST,
    **options: Any,
) -> Any:
    """The scripted peer of a fasths connection with this role; options: of the peer, but for a
    client's session (a scripted client's is in the options as well)."""
    bio = fasths.MemoryBIO()
    if role == "client":
        connection = fasths.Connection(context, bio, server_hostname=hostname)
        connection.set_connect_state()
        if session is not None:
            connection.set_session(session)
        return ScriptedServer12(connection, bio, **{"credential": credential(), **options})
    connection = fasths.Connection(context, bio)
    connection.set_accept_state()
    return ScriptedClient12(connection, bio, session=session, **options)


def peer_of(
    role: str,
    context: dict[str, Any] | fasths.Context | None = None,
    *,
    resumed: str | None = None,
    first: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """The same, for changes of a context. first: options of the handshake that is resumed."""
    settings = context_of(role, context)
    if resumed is None:
        return peer_with(role, settings, **options)
    same = ("credential", "suite", "hostname", "name", "suites", "alpn", "request_certificate")
    earlier = {key: options[key] for key in same if key in options}
    earlier |= FIRST[role, resumed] | (first or {})
    peer = peer_with(role, settings, **earlier)
    peer.handshake()
    assert peer.connection.established, peer.connection.last_error
    assert peer.session is not None
    if role == "client":
        session = peer.connection.session
        assert session is not None
        known = {"sessions": [peer.session], "session_id": os.urandom(32)}
        return peer_with(role, settings, session=session, **{**known, **options})
    return peer_with(role, settings, session=peer.session, **options)


def client_of(*arguments: Any, **options: Any) -> ScriptedServer12:
    """A fasths client, seen from a scripted server."""
    return peer_of("client", *arguments, **options)  # type: ignore[no-any-return]


def server_of(*arguments: Any, **options: Any) -> ScriptedClient12:
    """A fasths server, seen from a scripted client."""
    return peer_of("server", *arguments, **options)  # type: ignore[no-any-return]


def established(role: str, *arguments: Any, **options: Any) -> Any:
    """The peer after the handshake, which did what it was to do."""
    peer = peer_of(role, *arguments, **options)
    peer.handshake()
    assert peer.resumed is (options.get("resumed") is not None)
    assert peer.connection.session_reused is peer.resumed
    assert peer.connection.version is TLSVersion.TLSv1_2
    assert_established(peer)
    return peer


def check(case: Case, role: str) -> Any:
    """Play the case against a connection of this role; returns the peer."""
    peer = peer_of(role, case.context, at=case.at, **case.options)
    assert_refuses(peer, case.error, peer.handshake, alert=case.alert)
    return peer


def assert_not_established(peer: Any, script: Callable[[], object]) -> None:
    """Where neither side may come to an end, whichever of them notices first."""
    # The peer may notice it, or lose its way.
    with contextlib.suppress(Exception):
        script()
    connection = peer.connection
    assert not connection.established
    assert not isinstance(connection.last_error, InternalError), connection.last_error


def swapped(first: str, second: str) -> dict[str, At]:
    """Two neighbours of the script change their places."""
    held: list[Message | ChangeCipherSpec] = []

    def hold(peer: Any, message: Any) -> list[Any]:
        held.append(message)
        return []

    return {first: hold, second: lambda peer, message: [message, *held]}
