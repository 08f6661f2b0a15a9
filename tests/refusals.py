"""What a refusal looks like from outside: one alert, one error, and both stick.

A table has a row for each thing that a peer may do wrong:

    case("another suite", IllegalParameter, "server_hello", put(cipher_suite=0x1304))

and `check(case, role)` plays it: the scripted peer follows its script with that one change, and the
connection has to answer with that error's alert and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pki
import pytest
from helpers import HOST, TLS13_ALONE, authority, trust
from scripted_peer import FATAL, At, Peer, Refused, ScriptedClient, ScriptedServer, Silence

import fasths
from fasths import AlertDescription, Limits, Origin, SSLErrorCode, TLSError, Verify
from fasths.wire.errors import InternalError

CLIENT: dict[str, Any] = {
    "verify": Verify.NONE,
    "groups": ("x25519", "secp256r1"),
    "key_share_groups": ("x25519",),
    **TLS13_ALONE,
}
SERVER: dict[str, Any] = {"groups": ("x25519", "secp256r1"), **TLS13_ALONE}


@functools.cache
def credential(key_type: str = "ecdsa") -> pki.Credential:
    return pki.make_leaf([HOST], issuer=authority(), key_type=key_type)


@functools.cache
def identity(key_type: str = "ecdsa") -> fasths.Identity:
    leaf = credential(key_type)
    return fasths.Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def client_of(
    context: dict[str, Any] | None = None, *, hostname: str | None = HOST, **options: Any
) -> ScriptedServer:
    """A fasths client, seen from a scripted server. context: changes of CLIENT."""
    bio = fasths.MemoryBIO()
    settings = fasths.Context(**{"trust": trust(), **CLIENT, **(context or {})})
    connection = fasths.Connection(settings, bio, server_hostname=hostname)
    connection.set_connect_state()
    return ScriptedServer(connection, bio, **{"credential": credential(), **options})


def server_of(context: dict[str, Any] | None = None, **options: Any) -> ScriptedClient:
    """A fasths server, seen from a scripted client. context: changes of SERVER."""
    bio = fasths.MemoryBIO()
    settings = {"identities": [identity()], "trust": trust(), **SERVER, **(context or {})}
    connection = fasths.Connection(fasths.Context(**settings), bio)
    connection.set_accept_state()
    return ScriptedClient(connection, bio, **options)


def peer_of(role: str, *arguments: Any, **options: Any) -> Any:
    """The scripted peer of a fasths connection with this role."""
    return (client_of if role == "client" else server_of)(*arguments, **options)


def established(role: str, *arguments: Any, **options: Any) -> Any:
    """The same, after the handshake."""
    peer = peer_of(role, *arguments, **options)
    peer.handshake()
    assert_established(peer)
    return peer


def assert_established(peer: Peer) -> None:
    """Both sides have the same keys for both directions."""
    connection = peer.connection
    assert connection.established, connection.last_error
    assert connection.last_error is None
    peer.settle()
    assert not peer.alerts
    before = len(peer.delivered), len(peer.data)
    peer.send_data(b"to the connection")
    assert connection.write(b"from the connection") == 19
    peer.settle()
    assert peer.delivered[before[0] :] == b"to the connection"
    assert peer.data[before[1] :] == b"from the connection"


@dataclass
class Case:
    """alert: None is the error's own. context, options: of the connection, and of the peer."""

    error: type[TLSError]
    at: dict[str, At] = field(default_factory=dict)
    alert: AlertDescription | None = None
    context: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def case(
    name: str,
    error: type[TLSError],
    point: str | None = None,
    edit: At | None = None,
    /,
    *,
    alert: AlertDescription | None = None,
    context: dict[str, Any] | None = None,
    limits: dict[str, int] | None = None,
    **options: Any,
) -> Any:
    """One row of a table; point and edit: what goes wrong where (see scripted_peer)."""
    at = {} if point is None or edit is None else {point: edit}
    context = dict(context or {})
    if limits is not None:
        context["limits"] = Limits(**limits)
    return pytest.param(Case(error, at, alert, context, options), id=name)


def check(case: Case, role: str) -> Any:
    """Play the case against a connection of this role; returns the peer."""
    peer = peer_of(role, case.context, at=case.at, **case.options)
    assert_refuses(peer, case.error, peer.handshake, alert=case.alert)
    return peer


def assert_refuses(
    peer: Any,
    error: type[TLSError],
    script: Callable[[], object] | None = None,
    *,
    alert: AlertDescription | None = None,
) -> None:
    """The connection answers the script with one alert, fails with this error, and stays so."""
    refused = False
    try:
        if script is not None:
            script()
        peer.settle()
    except Refused:
        refused = True
    except Silence:
        pass
    last = peer.connection.last_error
    assert refused, f"not refused: {last!r}"
    assert type(last) is error, f"{last!r} of {type(last)}"
    assert last.alert == (error.default_alert if alert is None else alert)
    assert last.origin is Origin.LOCAL
    assert last.reason
    assert [each for each in peer.alerts if each.level == FATAL] == [(FATAL, last.alert)]
    assert peer.records[-1].content == bytes(peer.alerts[-1])
    assert not peer.incoming
    assert not peer.messages
    assert_sticks(peer)


def assert_no_internal_error(peer: Any) -> None:
    """Whether the script succeeds or not: at fault is the peer, if anybody."""
    # The peer may lose its way as well, where a change makes the two disagree about keys.
    with contextlib.suppress(Exception):
        peer.handshake()
    error = peer.connection.last_error
    assert not isinstance(error, InternalError), error


def assert_sticks(peer: Any) -> None:
    """Every later call fails in the same way, reads nothing and writes nothing."""
    connection, bio = peer.connection, peer.bio
    error, code = connection.last_error, connection.get_error(-1)
    assert code is SSLErrorCode.SSL
    bio.write(b"more")
    unread = bio.wpending
    for call in (
        connection.do_handshake,
        lambda: connection.read_into(bytearray(10)),
        lambda: connection.peek_into(bytearray(10)),
        lambda: connection.write(b"data"),
        connection.shutdown,
    ):
        assert call() == -1
        assert connection.get_error(-1) is code
        assert connection.last_error is error
    assert connection.read() is None
    assert connection.pending() == 0
    assert (bio.wpending, bio.pending) == (unread, 0)


def assert_peer_alert(peer: Any, description: int) -> None:
    """The connection took the peer's alert as the end, and says nothing more."""
    peer.turn()
    error = peer.connection.last_error
    assert type(error) is fasths.PeerAlert, repr(error)
    assert error.origin is Origin.PEER
    assert error.code == description
    assert not peer.alerts
    assert_sticks(peer)


def assert_closed(peer: Any) -> None:
    """The connection took the peer's close_notify as the end, before it was established."""
    peer.turn()
    connection = peer.connection
    for _ in range(2):
        assert connection.do_handshake() == 0
        assert connection.get_error(0) is SSLErrorCode.ZERO_RETURN
    assert connection.last_error is None
    assert not connection.established


class Aborted(Exception):
    """The script goes no further."""


def play_to(action: Callable[[Any], object], make: Callable[[At], Any]) -> Any:
    """The peer, which make() gives an edit, after it has done this and has stopped there."""

    def edit(peer: Any, message: Any) -> None:
        action(peer)
        raise Aborted

    peer = make(edit)
    with pytest.raises(Aborted):
        peer.handshake()
    return peer


# --- Changes that several tables use


def changed(data: bytes, at: int = -1) -> bytes:
    """With one bit of one byte changed."""
    array = bytearray(data)
    array[at] ^= 1
    return bytes(array)


def in_certificate(*extensions: tuple[int, bytes]) -> At:
    """Extensions of the first entry of Certificate."""

    def edit(peer: Peer, message: Any) -> None:
        message.certificate_list[0][1].extend(extensions)

    return edit
