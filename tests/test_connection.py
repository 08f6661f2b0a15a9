"""What each call of a connection does beyond the handshake: data, ends, keys, misuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    NONE,
    NOT_TLS,
    PLENTY,
    SSL,
    TLS13_SUITES,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    ConnectionPair,
    SpyBIO,
    client_context,
    count_alerts,
    default_contexts,
    outcome,
    records,
    server_context,
    transfer,
    turns,
    unverified_contexts,
)

import fasths
from fasths import AlertDescription, Connection, ContentType

READS: tuple[Callable[[Connection], Any], ...] = (
    lambda conn: conn.read_into(bytearray(10)),
    lambda conn: conn.peek_into(bytearray(10)),
    lambda conn: -1 if conn.read() is None else 0,
)


# --- write()


@pytest.mark.parametrize("size", [1, 100, 16384, 16385, 65536, 200_000])
def test_a_retried_write_may_have_another_object_and_more(size: int) -> None:
    pair = ConnectionPair().handshake()
    data = bytes(i * 7 & 0xFF for i in range(size + 50))
    pair.client_bio.blocked = True
    for kind in (bytes, bytearray, memoryview):
        assert outcome(pair.client, pair.client.write(kind(data[:size]))) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    with pytest.raises(ValueError, match="fewer"):
        pair.client.write(b"")
    count = pair.client.write(bytearray(data))
    assert 0 < count <= len(data)
    received = b""
    while len(received) < count:
        received += pair.server.read() or pytest.fail("the data is not all there")
    assert received == data[:count]
    transfer(pair.client, pair.server, data[count:])
    assert pair.server.read() is None


@pytest.mark.parametrize("size", [100, 60_000, 70_000])
def test_a_positive_result_counts_what_is_sent(size: int) -> None:
    """Not less: what follows a positive result is another write, with other bytes."""
    pair = ConnectionPair(size, contexts=unverified_contexts()).handshake()
    received = bytearray()
    for number in range(3):
        data = bytes([number]) * 140_000
        for _ in range(20_000):
            if (count := pair.client.write(data)) > 0:
                break
            assert pair.client.get_error(count) is WANT_WRITE
            received += pair.server.read() or b""
        assert count > 0
        while piece := pair.server.read():
            received += piece
        assert received == data[:count]
        received.clear()


def test_an_empty_write_is_nothing() -> None:
    pair = ConnectionPair().handshake()
    assert outcome(pair.client, pair.client.write(b"")) == (0, NONE)
    assert pair.client_bio.calls == []


@pytest.mark.parametrize("max_records_per_key", [1, 3])
def test_keys_are_updated_on_the_way(max_records_per_key: int) -> None:
    limits = fasths.Limits(max_records_per_key=max_records_per_key)
    pair = ConnectionPair(contexts=(client_context(limits=limits), server_context(limits=limits)))
    pair.handshake()
    for number in range(100):
        transfer(pair.client, pair.server, b"%d" % number)
        transfer(pair.server, pair.client, b"%d" % number)


# --- read_into(), peek_into(), read(), pending()


def test_reading() -> None:
    pair = ConnectionPair().handshake()
    client, server = pair.client, pair.server
    assert client.write(b"first record") == 12
    assert client.write(b"second") == 6
    assert server.pending() == 0
    buffer = bytearray(5)
    assert outcome(server, server.peek_into(buffer)) == (5, NONE)
    assert buffer == b"first"
    assert server.pending() == 12
    assert server.peek_into(bytearray(100)) == 12
    assert server.read_into(buffer) == 5
    assert server.pending() == 7
    assert server.read(1) == b" "
    assert server.read(0) == b""
    assert outcome(server, server.read_into(bytearray())) == (0, NONE)
    rest = bytearray()
    while server.pending():
        rest += server.read() or b""
    rest += server.read() or b""
    assert rest == b"recordsecond"
    assert server.pending() == 0
    for call in READS:
        assert outcome(server, call(server)) == (-1, WANT_READ)


def test_data_that_arrives_with_the_last_flight() -> None:
    pair = ConnectionPair()
    pair.client.do_handshake()
    pair.server.do_handshake()
    assert pair.client.write(b"early bird") == 10
    assert pair.server.do_handshake() == 1
    assert pair.server.read() == b"early bird"


# --- The end of the transport


def test_an_end_behind_close_notify_is_none() -> None:
    pair = ConnectionPair().handshake()
    assert pair.client.shutdown() == 0
    pair.end(by_server=False)
    for _ in range(2):
        assert pair.server.read() == b""
        assert pair.server.get_error(0) is ZERO_RETURN
    assert pair.server.write(b"still open") == 10
    assert pair.server.shutdown() == 1
    assert pair.server.last_error is None


@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_transport_that_ended_for_writing(method: str) -> None:
    """0 is the end of the transport for write() and flush(), too; nothing is to be repeated."""
    pair = ConnectionPair().handshake()
    setattr(pair.client_bio, method, lambda *_: 0)
    assert outcome(pair.client, pair.client.write(b"data")) == (-1, SSL)
    assert isinstance(pair.client.last_error, fasths.TransportError)


# --- shutdown()


@BOTH_ROLES
def test_shutdown_has_two_steps(by_server: bool) -> None:
    pair = ConnectionPair().handshake()
    conn, bio, peer, _ = pair.sides(by_server)
    assert outcome(conn, conn.shutdown()) == (0, NONE)
    assert count_alerts(bio.written) == 1
    for _ in range(2):
        assert outcome(conn, conn.shutdown()) == (-1, WANT_READ)
    assert peer.read() == b""
    assert outcome(peer, peer.shutdown()) == (1, NONE)
    for _ in range(2):
        assert outcome(conn, conn.shutdown()) == (1, NONE)
        assert outcome(peer, peer.shutdown()) == (1, NONE)
    assert len(list(records(bio.written))) == 1
    assert conn.last_error is None


def test_shutdown_by_both_at_once() -> None:
    pair = ConnectionPair().handshake()
    assert (pair.client.shutdown(), pair.server.shutdown()) == (0, 0)
    assert (pair.client.shutdown(), pair.server.shutdown()) == (1, 1)


def test_after_a_half_close_the_peer_goes_on() -> None:
    pair = ConnectionPair().handshake()
    assert pair.client.shutdown() == 0
    with pytest.raises(RuntimeError):
        pair.client.write(b"data")
    assert pair.server.read() == b""
    assert pair.server.key_update(request_peer=True) == 1
    transfer(pair.server, pair.client, bytes(50_000))
    assert pair.server.write(b"unread") == 6
    # Data that was not read makes the second step fail, but not for good.
    assert outcome(pair.client, pair.client.shutdown()) == (-1, SSL)
    assert pair.client.read() == b"unread"
    assert pair.server.shutdown() == 1
    assert pair.client.shutdown() == 1
    assert pair.client.read() == b""
    # RFC 8446, 6.1: nothing follows our close_notify.
    assert len(list(records(pair.client_bio.written))) == 1


def test_nothing_is_sent_after_close_notify_for_the_peer_s_faults() -> None:
    pair = ConnectionPair().handshake()
    assert pair.client.shutdown() == 0
    pair.server_bio.inner.write(NOT_TLS)
    assert pair.client.read() is None
    assert pair.client.get_error(-1) is SSL
    assert len(list(records(pair.client_bio.written))) == 1


@pytest.mark.parametrize("max_write", [1, PLENTY])
def test_the_first_step_of_shutdown_may_be_retried(max_write: int) -> None:
    pair = ConnectionPair().handshake()
    pair.client_bio.blocked = True
    pair.client_bio.max_write = max_write
    for _ in range(3):
        assert outcome(pair.client, pair.client.shutdown()) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    # close_notify is sent now, and the peer's not seen yet.
    assert outcome(pair.client, pair.client.shutdown()) == (0, NONE)
    assert pair.server.read() == b""
    assert len(list(records(pair.client_bio.written))) == 1


def test_shutdown_sends_what_was_written_first() -> None:
    pair = ConnectionPair().handshake()
    pair.client_bio.blocked = True
    assert outcome(pair.client, pair.client.write(b"data")) == (-1, WANT_WRITE)
    assert outcome(pair.client, pair.client.shutdown()) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    pair.client.shutdown()
    assert pair.server.read() == b"data"
    assert pair.server.read() == b""


@BOTH_ROLES
def test_shutdown_during_the_handshake(by_server: bool) -> None:
    """RFC 8446, 6.1: user_canceled, close_notify, and nothing behind it, whatever comes."""
    pair = ConnectionPair()
    conn, bio, peer, _ = pair.sides(by_server)
    pair.client.do_handshake()
    if by_server:
        pair.server.do_handshake()
    assert conn.shutdown() == 0
    size = len(bio.written)
    for _ in range(3):
        peer.do_handshake()
        if not peer.established:
            peer.shutdown()
        conn.shutdown()
        conn.do_handshake()
        assert len(bio.written) == size
    assert conn.last_error is None


# --- key_update()


@BOTH_ROLES
@pytest.mark.parametrize("request_peer", [False, True])
def test_key_update(by_server: bool, request_peer: bool) -> None:
    pair = ConnectionPair().handshake()
    conn, bio, peer, peer_bio = pair.sides(by_server)
    for _ in range(5):
        assert outcome(conn, conn.key_update(request_peer)) == (1, NONE)
        transfer(conn, peer, b"there")
        transfer(peer, conn, b"and back")
    assert len(list(records(bio.written))) == 10
    assert len(list(records(peer_bio.written))) == (10 if request_peer else 5)


def test_key_update_when_it_cannot_be() -> None:
    pair = ConnectionPair()
    with pytest.raises(RuntimeError):
        pair.client.key_update()
    pair.handshake()
    pair.client.shutdown()
    with pytest.raises(RuntimeError):
        pair.client.key_update()


def test_an_early_repeated_key_update_is_harmless() -> None:
    pair = ConnectionPair().handshake()
    pair.client_bio.blocked = True
    for _ in range(50):
        assert outcome(pair.client, pair.client.key_update()) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    assert pair.client.key_update() == 1
    transfer(pair.client, pair.server, b"data")


def test_answers_to_key_updates_do_not_pile_up() -> None:
    """RFC 8446, 4.6.3: one answer serves any number of requests that came while it was unsent."""
    pair = ConnectionPair().handshake()
    pair.client_bio.blocked = True
    for _ in range(200):
        assert pair.server.key_update(request_peer=True) == 1
        assert pair.server.write(b"data") == 4
        assert pair.client.read() == b"data"
    pair.client_bio.blocked = False
    assert pair.client.write(b"back") == 4
    assert len(list(records(pair.client_bio.written))) <= 3
    assert pair.server.read() == b"back"


# --- export_keying_material()


@pytest.mark.parametrize("suite", TLS13_SUITES)
@pytest.mark.parametrize("length", [1, 32, 255, 8160])
@pytest.mark.parametrize("context", [None, b"", b"context", bytes(1000)])
def test_both_sides_export_the_same(
    suite: fasths.CipherSuite, length: int, context: bytes | None
) -> None:
    pair = ConnectionPair(
        contexts=(
            client_context(cipher_suites=[suite], verify=fasths.Verify.NONE),
            server_context(),
        )
    ).handshake()
    for label in ("EXPORTER-test", b"x", "l" * 249):
        exported = pair.client.export_keying_material(label, context, length)
        assert len(exported) == length
        assert exported == pair.server.export_keying_material(label, context, length)
        if length > 8:
            assert exported != pair.client.export_keying_material("other", context, length)


@pytest.mark.parametrize(
    ("label", "context", "length", "error"),
    [
        ("", None, 32, ValueError),
        ("l" * 250, None, 32, ValueError),
        ("ü" * 125, None, 32, ValueError),
        ("label", None, 0, ValueError),
        ("label", None, -1, ValueError),
        ("label", None, 8161, ValueError),
        (7, None, 32, TypeError),
        ("label", "text", 32, TypeError),
        ("label", None, "32", TypeError),
        ("label", None, 2.5, TypeError),
    ],
)
def test_what_cannot_be_exported(
    label: Any, context: Any, length: Any, error: type[Exception]
) -> None:
    pair = ConnectionPair().handshake()
    with pytest.raises(error):
        pair.client.export_keying_material(label, context, length)


def test_nothing_is_exported_before_the_end_of_the_handshake() -> None:
    pair = ConnectionPair()
    pair.client.do_handshake()
    pair.server.do_handshake()
    for side in (pair.client, pair.server):
        with pytest.raises(RuntimeError):
            side.export_keying_material("label", None, 32)


# --- Misuse


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: Connection(None, fasths.MemoryBIO()),  # type: ignore[arg-type]
        lambda: Connection(client_context(), None),
        lambda: Connection(client_context(), object()),
        lambda: Connection(client_context(), fasths.MemoryBIO(), object()),
        lambda: fasths.BufferedBIO(object()),
    ],
)
def test_a_connection_of_the_wrong_things_is_a_type_error(misuse: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        misuse()


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("write", "text"),
        ("write", None),
        ("write", 5),
        ("write", memoryview(bytes(10))[::2]),
        ("read_into", b"bytes"),
        ("read_into", memoryview(b"bytes")),
        ("read_into", memoryview(bytearray(10))[::2]),
        ("read_into", 5),
        ("peek_into", b"bytes"),
        ("peek_into", None),
        ("read", "5"),
        ("read", -1),
        ("get_error", "1"),
    ],
)
def test_misuse_raises_and_changes_nothing(name: str, argument: object) -> None:
    pair = ConnectionPair().handshake()
    assert pair.client.write(b"data") == 4
    assert pair.server.write(b"data") == 4
    with pytest.raises((TypeError, ValueError)):
        getattr(pair.client, name)(argument)
    assert pair.client.read() == b"data"
    assert pair.server.read() == b"data"
    transfer(pair.client, pair.server, b"more")


def test_a_bio_that_takes_more_than_it_was_given() -> None:
    class Greedy(SpyBIO):
        def write(self, data: bytes) -> int:
            return len(data) + 7

    client = Connection(client_context(), Greedy(fasths.MemoryBIO()), server_hostname=HOST)
    with pytest.raises(ValueError, match="more than it was given"):
        client.connect()


# --- message_callback


@BOTH_ROLES
def test_messages_are_reported(by_server: bool) -> None:
    seen: list[tuple[str, ContentType, bytes]] = []
    pair = ConnectionPair(roles=False, contexts=default_contexts())
    _, bio, _, _ = pair.sides(by_server)
    context = default_contexts()[by_server]
    conn = Connection(
        context, bio, server_hostname=HOST, message_callback=lambda *each: seen.append(each)
    )
    (conn.set_accept_state if by_server else conn.set_connect_state)()
    peer = pair.client if by_server else pair.server
    (peer.set_connect_state if by_server else peer.set_accept_state)()
    turns(conn.do_handshake, peer.do_handshake)
    for each in (conn, peer):
        # The client takes its tickets.
        assert each.read() is None
    transfer(conn, peer, b"data is no message")
    assert conn.key_update() == 1
    conn.shutdown()
    assert peer.read() == b""
    peer.shutdown()
    assert conn.shutdown() == 1
    here, there = ("received", "sent") if by_server else ("sent", "received")
    flow = [
        (here, "client_hello"),
        (there, "server_hello"),
        (there, "change_cipher_spec"),
        (there, "encrypted_extensions"),
        (there, "certificate"),
        (there, "certificate_verify"),
        (there, "finished"),
        (here, "change_cipher_spec"),
        (here, "finished"),
        (there, "new_session_ticket"),
        (there, "new_session_ticket"),
        ("sent", "key_update"),
        ("sent", "close_notify"),
        ("received", "close_notify"),
    ]
    assert [(direction, _name_of(kind, data)) for direction, kind, data in seen] == flow


def _name_of(kind: ContentType, data: bytes) -> str:
    assert type(data) is bytes
    if kind is ContentType.handshake:
        assert len(data) == 4 + int.from_bytes(data[1:4], "big")
        return fasths.HandshakeType(data[0]).name
    if kind is ContentType.alert:
        assert len(data) == 2
        return AlertDescription(data[1]).name
    assert data == b"\x01"
    return kind.name


def test_fatal_alerts_are_reported() -> None:
    seen: list[tuple[str, ContentType, bytes]] = []
    pair = ConnectionPair(message_callback=lambda *each: seen.append(each)).handshake()
    assert pair.client.read() is None
    assert seen.pop()[2][0] == fasths.HandshakeType.new_session_ticket
    seen.clear()
    pair.server_bio.inner.write(NOT_TLS)
    assert pair.client.read() is None
    alert = bytes((2, AlertDescription.unexpected_message))
    assert seen == [("sent", ContentType.alert, alert)]


# --- Threads


def test_a_context_serves_several_threads() -> None:
    contexts = default_contexts()
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            start.wait(10)
            for turn in range(15):
                pair = ConnectionPair(contexts=contexts).handshake()
                transfer(pair.client, pair.server, b"%d %d" % (number, turn))
                transfer(pair.server, pair.client, bytes(20_000))
                assert pair.client.verified_chain
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []


def test_both_ends_in_threads_of_their_own() -> None:
    """Each connection stays with its thread; only the transport between them is shared."""
    import socket

    client_socket, server_socket = socket.socketpair()
    client_context_, server_context_ = default_contexts()
    results: dict[str, bytes | None] = {}

    def serve() -> None:
        server_socket.settimeout(10)
        server = Connection(server_context_, fasths.SocketBIO(server_socket))
        assert server.accept() == 1
        results["server"] = server.read()
        server.write(b"pong")

    thread = threading.Thread(target=serve)
    thread.start()
    with client_socket, server_socket:
        client_socket.settimeout(10)
        client = Connection(client_context_, fasths.SocketBIO(client_socket), server_hostname=HOST)
        assert client.connect() == 1
        client.write(b"ping")
        results["client"] = client.read()
        thread.join(10)
    assert results == {"server": b"ping", "client": b"pong"}


# --- What an error keeps


def refused(error: fasths.CertificateError, raises: bool) -> fasths.TLSError | None:
    """The last_error of a client whose verify_callback has this one."""

    def verdict(_request: object) -> fasths.CertificateError:
        if raises:
            raise error from error.__cause__
        return error

    contexts = client_context(verify_callback=verdict), server_context()
    pair = ConnectionPair(contexts=contexts)
    for call in (pair.client.do_handshake, pair.server.do_handshake, pair.client.do_handshake):
        call()
    return pair.client.last_error


@pytest.mark.parametrize("raises", [False, True], ids=["returned", "raised"])
def test_errors_keep_no_frames(raises: bool) -> None:
    """The frames of the callers have the connection, which keeps the error."""
    cause = ValueError("why")
    error = fasths.CertificateError("not this one")
    for each in (cause, error):
        try:
            raise each
        except ValueError:
            error.__cause__ = cause
        except fasths.CertificateError:
            pass
    assert error.__traceback__ is not None
    assert cause.__traceback__ is not None
    assert refused(error, raises) is error
    assert error.__cause__ is cause
    assert (error.__traceback__, cause.__traceback__) == (None, None)


@pytest.mark.parametrize("longer", [False, True], ids=["itself", "in-a-ring"])
def test_an_error_that_is_its_own_cause(longer: bool) -> None:
    error = fasths.CertificateError("not this one")
    error.__cause__ = ValueError("why") if longer else error
    if longer:
        error.__cause__.__cause__ = error
    assert refused(error, False) is error
