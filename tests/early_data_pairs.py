"""Two fasths connections, the first of which sends 0-RTT data.

client, server = early_contexts()
pair = early_pair(client, server)          # with a session of an earlier connection
send_early(pair, b"early")
receive_early(pair.server)                 # b"early"
"""

from __future__ import annotations

from typing import Any

from helpers import (
    NONE,
    WAITS,
    WANT_READ,
    ConnectionPair,
    client_context,
    outcome,
    server_context,
    transfer,
    turns,
)
from resumed_pairs import assert_resumed, connected, joined

import fasths
from fasths import Connection, Context, MemorySessionStore, Session, SSLErrorCode, TicketKeys

EARLY_DATA_REJECTED = SSLErrorCode.EARLY_DATA_REJECTED
MAXIMUM = 1000


def early_contexts(
    client: dict[str, Any] | None = None, server: dict[str, Any] | None = None
) -> tuple[Context, Context]:
    return (
        client_context(**(client or {})),
        server_context(**{"max_early_data_size": MAXIMUM, **(server or {})}),
    )


def shared() -> dict[str, Any]:
    """Settings of servers that know each other's tickets, and what they were used for."""
    return {"ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}


def early_session(client: Context, server: Context, **options: Any) -> Session:
    session = connected(client, server, **options).client.session
    assert session is not None
    return session


def early_pair(
    client: Context, server: Context, session: Session | None = None, **options: Any
) -> ConnectionPair:
    """A pair before its handshake. session: None for one of these Contexts."""
    if session is None:
        session = early_session(client, server)
    return joined(client, server, session, **options)


def send_early(pair: ConnectionPair, *pieces: bytes) -> None:
    for piece in pieces:
        assert pair.client.write_early_data(piece) == len(piece)
        assert pair.client.get_error(len(piece)) is NONE


def receive_early(server: Connection, size: int = 16384) -> tuple[bytes, bool]:
    """(what has arrived, whether that is all of it)."""
    received = b""
    while True:
        piece = server.read_early_data(size)
        if piece is None:
            assert server.get_error(-1) is WANT_READ, server.last_error
            return received, False
        assert server.get_error(-1) is NONE
        if not piece:
            return received, True
        assert len(piece) <= size
        received += piece


def rejected_handshake(pair: ConnectionPair) -> None:
    """The handshake of a client whose early data is not taken, and who is told so once."""
    reports = []

    def shake() -> int:
        ret = pair.client.do_handshake()
        if pair.client.get_error(ret) is EARLY_DATA_REJECTED:
            reports.append(ret)
            assert pair.client.established
            ret = pair.client.do_handshake()
        return ret

    shake.__self__ = pair.client  # type: ignore[attr-defined]
    turns(shake, pair.server.do_handshake)
    assert reports == [-1]
    for _ in range(3):
        assert outcome(pair.client, pair.client.do_handshake()) == (1, NONE)
    for conn in (pair.client, pair.server):
        assert conn.early_data_accepted is False
        assert conn.max_early_data == 0


def assert_accepted(pair: ConnectionPair, data: bytes = b"early data") -> None:
    """All of it arrives once, apart from the data that follows."""
    send_early(pair, data)
    received, whole = receive_early(pair.server)
    assert received == data
    assert not whole
    pair.handshake()
    assert pair.server.read_early_data() == b""
    for conn in (pair.client, pair.server):
        assert conn.early_data_accepted is True
    assert_resumed(pair)


def assert_rejected(
    pair: ConnectionPair, data: bytes = b"early data", *, resumed: bool = True
) -> None:
    """The client is told so, sends the data again, and it arrives once."""
    send_early(pair, data)
    received, _ = receive_early(pair.server)
    assert received == b""
    rejected_handshake(pair)
    assert pair.server.read_early_data() == b""
    transfer(pair.client, pair.server, data)
    assert_resumed(pair, resumed)
    assert pair.server.read_early_data() == b""


def waits(conn: Connection, ret: int | None) -> bool:
    """Whether the call is to be repeated; any other failure is an error of the test."""
    failed = ret is None or ret < 0
    if failed:
        assert conn.get_error(-1) in WAITS, (conn, conn.get_error(-1), conn.last_error)
    return failed


def client_hello(pair: ConnectionPair) -> fasths.ClientHello:
    """What the client has sent first, while the handshake is not done."""
    hello = fasths.parse_client_hello(bytes(pair.client_bio.written))
    assert hello is not None
    return hello
