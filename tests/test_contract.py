"""The contract of do_handshake() and get_error(), sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from both_versions import FOR_TLS13, TLS12, version
from helpers import (
    BOTH_ROLES,
    BROKEN,
    CLOSE_NOTIFY,
    FATAL_ALERT,
    HOST,
    NONE,
    NOT_TLS,
    PLENTY,
    RESET,
    SSL,
    SYSCALL,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    ConnectionPair,
    client_context,
    count_alerts,
    outcome,
    records,
    server_context,
    transfer,
    turns,
)

import fasths
from fasths import AlertDescription, Connection, ContentType, Origin, SSLErrorCode, TLSVersion

# Everything here is the same in both versions.
__all__ = ["version"]

# Every call that follows the contract, and what it returns for "not now".
CALLS: dict[str, tuple[Callable[[Connection], Any], int | None]] = {
    "do_handshake": (lambda conn: conn.do_handshake(), -1),
    "write": (lambda conn: conn.write(b"data"), -1),
    "read_into": (lambda conn: conn.read_into(bytearray(10)), -1),
    "peek_into": (lambda conn: conn.peek_into(bytearray(10)), -1),
    "read": (lambda conn: conn.read(), None),
    "shutdown": (lambda conn: conn.shutdown(), -1),
}
EVERY_CALL = pytest.mark.parametrize("name", CALLS)


# --- Roles


@EVERY_CALL
def test_without_a_role_nothing_happens(name: str) -> None:
    pair = ConnectionPair(roles=False)
    call, refused = CALLS[name]
    for conn, bio in ((pair.client, pair.client_bio), (pair.server, pair.server_bio)):
        for _ in range(2):
            assert call(conn) == refused
            assert conn.get_error(-1) is SSL
            assert conn.last_error is not None
            assert conn.last_error.reason == "the connection type is not set"
        assert bio.calls == []
    # The connection is still usable once it has a role.
    turns(pair.client.connect, pair.server.accept)
    assert pair.client.last_error is None
    transfer(pair.client, pair.server, b"usable")


def test_connect_and_accept_give_the_role_and_go_on() -> None:
    pair = ConnectionPair(roles=False)
    assert outcome(pair.client, pair.client.connect()) == (-1, WANT_READ)
    assert outcome(pair.server, pair.server.accept()) == (-1, WANT_READ)
    turns(pair.client.connect, pair.server.accept)


def test_the_first_call_of_each_role() -> None:
    pair = ConnectionPair()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, WANT_READ)
    assert pair.server_bio.writes() == []
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, WANT_READ)
    ((kind, fragment),) = records(pair.client_bio.written)
    assert kind == ContentType.handshake
    assert fragment[0] == fasths.HandshakeType.client_hello


@BOTH_ROLES
def test_a_role_is_set_once(by_server: bool) -> None:
    conn, bio, _, _ = ConnectionPair().sides(by_server)
    for again in (
        conn.set_connect_state,
        conn.set_accept_state,
        conn.connect if by_server else conn.accept,
    ):
        with pytest.raises(RuntimeError):
            again()
    assert bio.calls == []


def test_a_role_that_the_context_does_not_allow_is_misuse() -> None:
    conn = Connection(client_context(), fasths.MemoryBIO())
    for call in (conn.set_accept_state, conn.accept):
        with pytest.raises(ValueError, match="identity"):
            call()
    for call in (conn.set_connect_state, conn.connect):
        with pytest.raises(ValueError, match="server_hostname"):
            call()
    for options in ({"verify": fasths.Verify.NONE}, {"check_hostname": False}):
        conn = Connection(client_context(**options), fasths.MemoryBIO())
        assert outcome(conn, conn.connect()) == (-1, WANT_READ)


# --- Return values: 1


@BOTH_ROLES
def test_1_is_returned_again_and_touches_nothing(by_server: bool) -> None:
    conn, bio, _, _ = ConnectionPair().handshake().sides(by_server)
    for call in (conn.do_handshake, conn.accept if by_server else conn.connect):
        assert outcome(conn, call()) == (1, NONE)
    assert bio.calls == []
    assert conn.want() is NONE
    assert conn.last_error is None


def test_1_is_returned_only_once_the_flight_is_written(version: TLSVersion) -> None:
    pair = ConnectionPair()
    pair.client.do_handshake()
    pair.server.do_handshake()
    # RFC 8446, 2: the client's flight is the last; RFC 5246, 7.3: the server's.
    if version is TLS12:
        pair.client.do_handshake()
    last, bio, other, _ = pair.sides(by_server=version is TLS12)
    bio.blocked = True
    for _ in range(2):
        assert outcome(last, last.do_handshake()) == (-1, WANT_WRITE)
    bio.blocked = False
    assert last.do_handshake() == 1
    assert other.do_handshake() == 1


# --- Return values: 0


@pytest.mark.parametrize("when", ["client waits", "server waits", "server has sent its flight"])
@pytest.mark.parametrize("by_shutdown", [False, True], ids=["alone", "by shutdown()"])
def test_close_notify_during_the_handshake_is_0(when: str, by_shutdown: bool) -> None:
    pair = ConnectionPair()
    by_server = when != "client waits"
    conn, bio, peer, peer_bio = pair.sides(by_server)
    if when != "server waits":
        pair.client.do_handshake()
    if when == "server has sent its flight":
        pair.server.do_handshake()
    if by_shutdown:
        assert peer.shutdown() == 0
    else:
        peer_bio.inner.write(CLOSE_NOTIFY)
    if when == "server waits":
        assert peer_bio.written[:1] in (b"", b"\x15")
    for _ in range(2):
        assert outcome(conn, conn.do_handshake()) == (0, ZERO_RETURN)
    assert conn.read() == b""
    assert conn.read_into(bytearray(1)) == 0
    assert conn.write(b"data") == -1
    assert conn.get_error(-1) is ZERO_RETURN
    assert not conn.established
    assert conn.last_error is None
    bio.calls.clear()
    conn.do_handshake()
    assert bio.calls == []


# --- Return values: -1


def failed_pair(kind: str, by_server: bool, established: bool) -> ConnectionPair:
    """A pair in which one side is about to fail: it will in its next read, or write."""
    pair = ConnectionPair()
    _, bio, peer, peer_bio = pair.sides(by_server)
    if established:
        pair.handshake()
    elif by_server or kind != "write error":
        pair.client.do_handshake()
        if by_server and kind != "write error":
            pair.server.do_handshake()
    if kind == "refused here":
        peer_bio.inner.write(NOT_TLS)
    elif kind == "peer's alert" and not established:
        peer_bio.inner.write(FATAL_ALERT)
    elif kind == "peer's alert":
        bio.inner.write(NOT_TLS)
        assert peer.read() is None
    elif kind == "end":
        pair.end(not by_server)
    elif kind == "read error":
        bio.read_error = RESET
    elif kind == "write error":
        bio.write_error = BROKEN
    bio.calls.clear()
    return pair


FAILURES = {
    "refused here": (SSL, Origin.LOCAL, AlertDescription.unexpected_message),
    "peer's alert": (SSL, Origin.PEER, None),
    "end": (SSL, Origin.TRANSPORT, None),
    "read error": (SYSCALL, Origin.TRANSPORT, None),
    "write error": (SYSCALL, Origin.TRANSPORT, None),
}


@pytest.mark.parametrize("established", [False, True], ids=["handshake", "established"])
@BOTH_ROLES
@pytest.mark.parametrize("kind", FAILURES)
def test_a_fatal_error_sticks(kind: str, by_server: bool, established: bool) -> None:
    code, origin, alert = FAILURES[kind]
    conn, bio, _, _ = failed_pair(kind, by_server, established).sides(by_server)
    call = "do_handshake"
    if established:
        call = "write" if kind == "write error" else "read_into"
    assert CALLS[call][0](conn) == -1
    assert conn.get_error(-1) is code
    error = conn.last_error
    assert error is not None
    assert error.reason
    assert error.origin is origin
    if alert is not None:
        assert error.alert is alert
    if code is SYSCALL:
        assert isinstance(error, fasths.TransportError)
        assert error.os_error is (BROKEN if kind == "write error" else RESET)
    bio.calls.clear()
    for name, (later, refused) in CALLS.items():
        assert later(conn) == refused, name
        assert conn.get_error(-1) is code, name
        assert conn.last_error is error, name
        assert conn.get_error(1) is NONE
        assert conn.want() is NONE
    assert bio.calls == []


@BOTH_ROLES
def test_a_fatal_error_sticks_where_there_is_nothing_to_do(by_server: bool) -> None:
    conn, _, _, _ = failed_pair("end", by_server, True).sides(by_server)
    assert conn.read() is None
    for call in (
        lambda: conn.read_into(bytearray()),
        lambda: conn.peek_into(bytearray()),
        lambda: conn.write(b""),
    ):
        assert outcome(conn, call()) == (-1, SSL)
    assert conn.read(0) is None


@pytest.mark.parametrize("established", [False, True], ids=["handshake", "established"])
@BOTH_ROLES
def test_the_alert_is_sent_once_before_the_failing_call_returns(
    by_server: bool, established: bool
) -> None:
    conn, bio, peer, _ = failed_pair("refused here", by_server, established).sides(by_server)
    bio.written.clear()
    assert conn.read_into(bytearray(10)) == -1
    assert count_alerts(bio.written) == 1
    assert bio.count("write") == 1
    for call, _ in CALLS.values():
        call(conn)
    assert count_alerts(bio.written) == 1
    assert peer.read() is None
    assert isinstance(peer.last_error, fasths.PeerAlert) or not by_server
    if established:
        assert peer.last_error is not None
        assert peer.last_error.alert is AlertDescription.unexpected_message


@EVERY_CALL
@pytest.mark.parametrize("max_write", [1, 3, PLENTY])
@pytest.mark.parametrize("buffered", [False, True], ids=["direct", "buffered"])
def test_the_alert_is_sent_by_the_next_call_that_can_write(
    name: str, max_write: int, buffered: bool, version: TLSVersion
) -> None:
    pair = ConnectionPair(wrap=fasths.BufferedBIO if buffered else None).handshake()
    pair.server_bio.inner.write(NOT_TLS)
    pair.client_bio.blocked = True
    pair.client_bio.max_write = max_write
    call, refused = CALLS[name]
    for _ in range(3):
        assert pair.client.read() is None
        assert pair.client.get_error(-1) is SSL
    error = pair.client.last_error
    assert not pair.client_bio.written
    pair.client_bio.blocked = False
    for _ in range(2):
        assert call(pair.client) == refused
        assert pair.client.get_error(-1) is SSL
        assert pair.client.last_error is error
    # With its type, or with an explicit nonce (RFC 5288, 3).
    assert len(pair.client_bio.written) == 5 + 2 + (8 if version is TLS12 else 1) + 16
    assert pair.server.read() is None
    assert isinstance(pair.server.last_error, fasths.PeerAlert)
    pair.client_bio.calls.clear()
    call(pair.client)
    assert pair.client_bio.calls == []


def test_what_is_left_of_a_flight_is_not_sent_after_the_peer_s_alert() -> None:
    pair = ConnectionPair()
    pair.client.do_handshake()
    pair.client_bio.inner.write(FATAL_ALERT)
    pair.server_bio.max_write, pair.server_bio.blocked = 100, True
    assert pair.server.do_handshake() == -1
    pair.server.do_handshake()
    assert isinstance(pair.server.last_error, fasths.PeerAlert)
    pair.server_bio.blocked = False
    pair.server_bio.calls.clear()
    pair.server.do_handshake()
    assert pair.server_bio.calls == []


@FOR_TLS13
def test_a_transport_error_is_not_the_end_of_the_peer_s_data() -> None:
    """A KeyUpdate that cannot be answered, with data behind it: the call fails, or has the data."""
    pair = ConnectionPair().handshake()
    assert pair.server.key_update(request_peer=True) == 1
    assert pair.server.write(b"data") == 4
    pair.client_bio.write_error = BROKEN
    buffer = bytearray(10)
    ret = pair.client.read_into(buffer)
    assert (ret, bytes(buffer[:4])) == (4, b"data") or outcome(pair.client, ret) == (-1, SYSCALL)


@pytest.mark.parametrize("established", [False, True], ids=["handshake", "established"])
@BOTH_ROLES
def test_an_end_without_close_notify_is_an_error(by_server: bool, established: bool) -> None:
    conn, _, _, _ = failed_pair("end", by_server, established).sides(by_server)
    assert conn.read() is None
    assert conn.get_error(-1) is SSL
    assert isinstance(conn.last_error, fasths.TransportError)
    assert conn.last_error.os_error is None
    assert ("during the handshake" in conn.last_error.reason) is not established


@pytest.mark.parametrize("established", [False, True], ids=["handshake", "established"])
@pytest.mark.parametrize(
    "waiting",
    [FATAL_ALERT, CLOSE_NOTIFY, b"", None],
    ids=["alert", "close_notify", "nothing", "end"],
)
def test_a_write_error_with_something_left_to_read(
    waiting: bytes | None, established: bool
) -> None:
    """The peer's alert tells more than the error; nothing else that is left hides the error."""
    pair = ConnectionPair()
    if established:
        pair.handshake()
    pair.client_bio.write_error = BROKEN
    if waiting is None:
        pair.end(by_server=True)
    elif waiting == FATAL_ALERT and established:
        pair.client_bio.inner.write(NOT_TLS)
        assert pair.server.read() is None
    elif waiting and established:
        assert pair.server.shutdown() == 0
    else:
        pair.server_bio.inner.write(waiting)
    assert pair.client.write(b"data") == -1
    error = pair.client.last_error
    assert error is not None
    if isinstance(error, fasths.PeerAlert):
        assert waiting == FATAL_ALERT
        assert pair.client.get_error(-1) is SSL
    else:
        assert isinstance(error, fasths.TransportError)
        assert error.os_error is BROKEN
        assert pair.client.get_error(-1) is SYSCALL
    pair.client_bio.calls.clear()
    for later, refused in CALLS.values():
        assert later(pair.client) == refused
        assert pair.client.last_error is error
    assert pair.client_bio.calls == []


# --- get_error()


def test_codes_have_their_numbers() -> None:
    names = (
        "NONE SSL WANT_READ WANT_WRITE WANT_X509_LOOKUP SYSCALL ZERO_RETURN WANT_CONNECT "
        "WANT_ACCEPT WANT_ASYNC WANT_ASYNC_JOB WANT_CLIENT_HELLO_CB WANT_RETRY_VERIFY"
    )
    assert [code.name for code in SSLErrorCode if code <= 12] == names.split()
    assert (SSLErrorCode.PENDING_SESSION, SSLErrorCode.EARLY_DATA_REJECTED) == (64, 65)


def test_a_positive_result_is_always_none() -> None:
    pair = ConnectionPair()
    pair.client.do_handshake()
    assert pair.client.want() is WANT_READ
    for ret in (1, 5, 1 << 40):
        assert pair.client.get_error(ret) is NONE
    assert pair.client.get_error(-1) is WANT_READ


def test_codes_are_the_state_of_one_connection() -> None:
    one, two = ConnectionPair(), ConnectionPair()
    two.client_bio.blocked = True
    assert one.client.do_handshake() == two.client.do_handshake() == -1
    assert one.client.get_error(-1) is WANT_READ
    assert two.client.get_error(-1) is two.client.want() is WANT_WRITE


@pytest.mark.parametrize("name", [name for name in CALLS if name != "shutdown"])
@BOTH_ROLES
def test_every_call_does_the_handshake_first(name: str, by_server: bool) -> None:
    pair = ConnectionPair()
    conn, bio, peer, _ = pair.sides(by_server)
    call, refused = CALLS[name]
    bio.blocked = True
    wants = set()
    for _ in range(6):
        peer.do_handshake()
        result = call(conn)
        if result != refused:
            break
        wants.add(conn.get_error(-1))
        bio.blocked = False
    # Any of them may want either direction.
    assert wants == {WANT_READ, WANT_WRITE} or (by_server and wants == {WANT_READ})
    assert conn.established


@FOR_TLS13
@pytest.mark.parametrize("name", ["read", "read_into", "peek_into"])
def test_a_read_may_want_to_write(name: str) -> None:
    pair = ConnectionPair().handshake()
    assert pair.server.key_update(request_peer=True) == 1
    pair.client_bio.blocked = True
    call, refused = CALLS[name]
    for _ in range(3):
        assert call(pair.client) == refused
        assert pair.client.get_error(-1) is pair.client.want() is WANT_WRITE
    pair.client_bio.blocked = False
    assert call(pair.client) == refused
    assert pair.client.get_error(-1) is WANT_READ
    transfer(pair.client, pair.server, b"under the new key")


@pytest.mark.parametrize(
    ("attribute", "code"),
    [("should_connect", SSLErrorCode.WANT_CONNECT), ("should_accept", SSLErrorCode.WANT_ACCEPT)],
)
@pytest.mark.parametrize("buffered", [False, True], ids=["direct", "buffered"])
def test_a_bio_that_is_not_ready(attribute: str, code: SSLErrorCode, buffered: bool) -> None:
    pair = ConnectionPair(roles=False)

    class Connecting:
        should_read = should_write = should_connect = should_accept = False

        def read_into(self, buffer: bytearray) -> int:
            return self._forward(pair.client_bio.read_into, buffer)

        def write(self, data: bytes) -> int:
            return self._forward(pair.client_bio.write, data)

        def flush(self) -> int:
            return 1

        def _forward(self, method: Callable[..., int], argument: object) -> int:
            if getattr(self, attribute):
                return -1
            count = method(argument)
            self.should_read = pair.client_bio.should_read
            return count

    bio = Connecting()
    setattr(bio, attribute, True)
    wrapped = fasths.BufferedBIO(bio) if buffered else bio
    client = Connection(client_context(), wrapped, server_hostname=HOST)
    for _ in range(2):
        assert outcome(client, client.connect()) == (-1, code)
        assert client.want() is code
    setattr(bio, attribute, False)
    turns(client.connect, pair.server.accept)


# --- Output


FLIGHTS = {
    "plain": ({}, {}, 2, 1),
    "client certificate": ({"identities": True}, {"verify": fasths.Verify.REQUIRED}, 2, 1),
    "retry for a group": (
        {"groups": ("secp256r1", "x25519"), "key_share_groups": ("secp256r1",)},
        {},
        3,
        2,
    ),
    "retry for a cookie": ({}, {"retry_with_cookie": True}, 3, 2),
}


def contexts_of(flights: str, tickets: int) -> tuple[fasths.Context, fasths.Context]:
    client, server, _, _ = FLIGHTS[flights]
    if client.pop("identities", False):
        client["identities"] = server_context().identities
    return client_context(**client), server_context(session_tickets=tickets, **server)


@pytest.mark.parametrize("flights", FLIGHTS)
@pytest.mark.parametrize("tickets", [0, 1, 2, 20])
def test_each_flight_is_one_write(flights: str, tickets: int, version: TLSVersion) -> None:
    """All tickets together are one, which follows the client's Finished.

    In TLS 1.2 a ticket is in the server's second flight, and there is no other first one.
    """
    pair = ConnectionPair(contexts=contexts_of(flights, tickets))
    turns(pair.client.do_handshake, pair.server.do_handshake)
    _, _, of_client, of_server = FLIGHTS[flights]
    if version is TLS12:
        assert len(pair.client_bio.writes()) == len(pair.server_bio.writes()) == 2
        return
    assert len(pair.client_bio.writes()) == of_client
    assert len(pair.server_bio.writes()) == of_server + (tickets > 0)


@pytest.mark.parametrize("flights", FLIGHTS)
@pytest.mark.parametrize("tickets", [0, 2])
@pytest.mark.parametrize("max_write", [1, 2, 7, 100])
def test_flights_are_written_in_parts(flights: str, tickets: int, max_write: int) -> None:
    pair = ConnectionPair(contexts=contexts_of(flights, tickets))
    pair.client_bio.max_write = pair.server_bio.max_write = max_write
    pair.client_bio.max_read = pair.server_bio.max_read = max_write + 1
    turns(pair.client.do_handshake, pair.server.do_handshake)
    transfer(pair.client, pair.server, bytes(1000))


@BOTH_ROLES
def test_output_goes_first(by_server: bool) -> None:
    """While the BIO takes nothing, or takes a part, a call never reports WANT_READ."""
    pair = ConnectionPair()
    conn, bio, peer, _ = pair.sides(by_server)
    bio.max_write, bio.block_after_write = 40, True
    for _ in range(1000):
        # It takes one part, then nothing for a while.
        bio.blocked = False
        ret = conn.do_handshake()
        if ret == 1:
            break
        if conn.get_error(ret) is WANT_READ:
            bio.blocked = False
            bio.calls.clear()
            assert outcome(conn, conn.do_handshake()) == (-1, WANT_READ)
            assert bio.writes() == []
            peer.do_handshake()
        else:
            assert conn.get_error(ret) is WANT_WRITE
    assert conn.established
    assert peer.do_handshake() == 1


@pytest.mark.parametrize("blocked", [False, True])
def test_repeating_a_call_early_is_harmless(blocked: bool) -> None:
    pair = ConnectionPair()
    pair.client_bio.blocked = blocked
    for _ in range(10):
        assert pair.client.do_handshake() == -1
        assert pair.client.get_error(-1) is (WANT_WRITE if blocked else WANT_READ)
    pair.client_bio.blocked = False
    pair.client.do_handshake()
    assert len(list(records(pair.client_bio.written))) == 1
    pair.handshake()
    for side in (pair.client, pair.server):
        for _ in range(10):
            assert side.read() is None
            assert side.get_error(-1) is WANT_READ
    assert pair.client_bio.writes() == pair.server_bio.writes() == []


@FOR_TLS13
def test_tickets_wait_for_a_client_that_reads() -> None:
    """They are the end of the server's do_handshake(); no handshake waits for them."""
    pair = ConnectionPair(100)
    for _ in range(1000):
        if pair.client.do_handshake() == 1 and pair.server.established:
            break
        pair.server.do_handshake()
    for _ in range(3):
        assert outcome(pair.client, pair.client.do_handshake()) == (1, NONE)
        assert outcome(pair.server, pair.server.do_handshake()) == (-1, WANT_WRITE)
    for _ in range(100):
        assert pair.client.read() is None
        assert pair.client.get_error(-1) is WANT_READ
        if pair.server.do_handshake() == 1:
            break
        assert pair.server.want() is WANT_WRITE
    assert pair.client.read() is None
    assert len(pair.client.sessions) == 2
    assert outcome(pair.server, pair.server.do_handshake()) == (1, NONE)
    transfer(pair.server, pair.client, bytes(1000))


def test_both_sides_may_send_at_once() -> None:
    """Full pipes in both directions: reading makes room, so it goes on while output waits."""
    contexts = client_context(), server_context(session_tickets=0)
    pair = ConnectionPair(100, contexts=contexts).handshake()
    data = bytes(range(250)) * 20
    received = {pair.client: bytearray(), pair.server: bytearray()}
    sent = dict.fromkeys(received, 0)
    for _ in range(10_000):
        for conn, got in received.items():
            if sent[conn] < len(data):
                sent[conn] += max(conn.write(data[sent[conn] :]), 0)
            got += conn.read() or b""
        if all(len(got) == len(data) for got in received.values()):
            break
    assert [bytes(got) == data for got in received.values()] == [True, True]
