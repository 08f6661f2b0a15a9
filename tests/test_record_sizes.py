"""How much records hold: padding (RFC 8446, 5.4), record_size_limit (RFC 8449), and records that
begin small."""

from __future__ import annotations

import time

import pytest
from both_versions import IN_BOTH_VERSIONS, TLS12, chosen_version
from helpers import BOTH_ROLES, ConnectionPair, client_context, records, server_context

import fasths
from fasths import SSLErrorCode

__all__ = ["chosen_version"]

MAX_PLAINTEXT = 1 << 14
# What fits into a packet of 1500 bytes, behind the headers of IPv6 and TCP.
SMALL = 1369


def pair_of(client: dict[str, object], server: dict[str, object]) -> ConnectionPair:
    contexts = client_context(**client), server_context(session_tickets=0, **server)
    return ConnectionPair(contexts=contexts).handshake()


def overhead_of(conn: fasths.Connection) -> int:
    """The tag, and in TLS 1.3 the type, or else what there is of a nonce."""
    if conn.version is not TLS12:
        return 1 + 16
    return 16 if "CHACHA20" in conn.cipher_suite.name else 8 + 16


def lengths_of(pair: ConnectionPair, data: bytes, by_server: bool) -> list[int]:
    """How much of the data each of its records holds; it arrives."""
    sender, bio, receiver, _ = pair.sides(by_server)
    bio.written.clear()
    assert sender.write(data) == len(data)
    received = b""
    while len(received) < len(data):
        piece = receiver.read(1 << 16)
        assert piece, receiver.last_error
        received += piece
    assert received == data
    return [len(fragment) - overhead_of(sender) for _, fragment in records(bio.written)]


@BOTH_ROLES
@pytest.mark.parametrize("block", [1, 2, 64, 1000, MAX_PLAINTEXT])
@pytest.mark.parametrize("size", [1, 62, 63, 64, 999, 16000, MAX_PLAINTEXT, 40_000])
def test_records_are_padded_to_a_multiple(by_server: bool, block: int, size: int) -> None:
    settings = {"record_padding": block}
    pair = pair_of({} if by_server else settings, settings if by_server else {})
    lengths = lengths_of(pair, bytes(size), by_server)
    assert len(lengths) == -(-size // MAX_PLAINTEXT)
    for length in lengths:
        # The type counts, too; and no record is longer than the longest.
        assert (length + 1) % block == 0 or length == MAX_PLAINTEXT


def test_handshake_is_padded() -> None:
    contexts = client_context(), server_context(record_padding=512)
    pair = ConnectionPair(contexts=contexts)
    pair.client.do_handshake()
    pair.server.do_handshake()
    flight = [fragment for kind, fragment in records(pair.server_bio.written) if kind == 23]
    assert flight
    assert all((len(fragment) - 16) % 512 == 0 for fragment in flight)


@BOTH_ROLES
@pytest.mark.parametrize("limit", [64, 65, 1000, MAX_PLAINTEXT, MAX_PLAINTEXT + 1])
def test_records_keep_to_the_peers_limit(by_server: bool, limit: int) -> None:
    """RFC 8449, 4: the limit counts the type."""
    announced = {"record_size_limit": limit}
    offered = {"record_size_limit": MAX_PLAINTEXT + 1}
    pair = pair_of(announced if by_server else offered, {} if by_server else announced)
    lengths = lengths_of(pair, bytes(40_000), by_server)
    assert max(lengths) == limit - 1
    assert len(lengths) == -(-40_000 // (limit - 1))


def test_padding_keeps_to_the_peers_limit() -> None:
    pair = pair_of({"record_size_limit": 100}, {"record_padding": 64})
    lengths = lengths_of(pair, bytes(1000), True)
    assert {length + 1 for length in lengths} <= {64, 100}


@IN_BOTH_VERSIONS
@BOTH_ROLES
def test_records_begin_small_and_grow(by_server: bool) -> None:
    settings = {"dynamic_record_sizing": True}
    pair = pair_of({} if by_server else settings, settings if by_server else {})
    lengths = lengths_of(pair, bytes(1 << 18), by_server)
    small = lengths.index(MAX_PLAINTEXT)
    # Others end where write() hands 64 KiB on.
    assert set(lengths[:small]) == {SMALL, (1 << 16) % SMALL}
    assert 1 << 17 <= sum(lengths[:small]) < (1 << 17) + SMALL
    assert set(lengths[small:-1]) == {MAX_PLAINTEXT}
    # They stay large as long as there is traffic.
    assert lengths_of(pair, bytes(20_000), by_server)[0] == MAX_PLAINTEXT


@IN_BOTH_VERSIONS
def test_records_are_small_again_after_a_pause() -> None:
    pair = pair_of({"dynamic_record_sizing": True}, {"dynamic_record_sizing": True})
    for by_server in (False, True):
        lengths_of(pair, bytes(1 << 18), by_server)
    time.sleep(1.1)
    for by_server in (False, True):
        assert set(lengths_of(pair, bytes(10 * SMALL), by_server)) == {SMALL}


@IN_BOTH_VERSIONS
def test_records_are_large_by_default() -> None:
    assert lengths_of(pair_of({}, {}), bytes(40_000), False) == [MAX_PLAINTEXT] * 2 + [7232]


def test_events_are_told() -> None:
    events: dict[str, list[tuple[str, str]]] = {"client": [], "server": []}
    a, b = fasths.bio_pair(1 << 16)
    contexts = client_context(identity_callback=lambda _: None), server_context()
    client = fasths.Connection(
        contexts[0],
        a,
        server_hostname="localhost",
        info_callback=lambda *event: events["client"].append(event),
    )
    asked: list[fasths.ClientHelloRequest] = []

    def later(request: fasths.ClientHelloRequest) -> object:
        asked.append(request)
        return fasths.LATER

    server = fasths.Connection(
        server_context(client_hello_callback=later),
        b,
        info_callback=lambda *event: events["server"].append(event),
    )
    client.connect()
    assert server.get_error(server.accept()) is SSLErrorCode.WANT_CLIENT_HELLO_CB
    server.do_handshake()
    asked[0].answer(None)
    server.do_handshake()
    assert client.do_handshake() == server.do_handshake() == 1
    assert client.shutdown() == 0
    assert server.read() == b""
    assert events["client"] == [
        ("handshake started", "client"),
        ("handshake done", "full"),
        ("alert sent", "close_notify"),
    ]
    assert events["server"] == [
        ("handshake started", "server"),
        ("suspended", "WANT_CLIENT_HELLO_CB"),
        ("resumed", ""),
        ("handshake done", "full"),
        ("alert received", "close_notify"),
    ]


def test_channel_bindings() -> None:
    pair = ConnectionPair().handshake()
    exported = pair.client.export_keying_material("EXPORTER-Channel-Binding", b"", 32)
    assert pair.client.channel_binding("tls-exporter") == exported
    assert pair.server.channel_binding("tls-exporter") == exported
    for kind in ("tls-unique ", "tls-exporter ", ""):
        with pytest.raises(ValueError, match="no channel binding"):
            pair.client.channel_binding(kind)
    # RFC 8446, C.5.
    with pytest.raises(ValueError, match=r"tls-unique is not defined for TLS 1\.3"):
        pair.client.channel_binding("tls-unique")
    with pytest.raises(RuntimeError, match="before"):
        ConnectionPair().client.channel_binding("tls-exporter")
