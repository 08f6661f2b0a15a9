"""The record layer: framing, protection, limits, and handshake messages across records.

Protection has methods of its own. Reading, writing and handshake framing are driven through an
Engine (see record_peers.py).
"""

from __future__ import annotations

import os

import pytest
from helpers import TLS13_SUITES
from hypothesis import given, settings
from hypothesis import strategies as st
from record_peers import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CLOSE_NOTIFY,
    DATA,
    HANDSHAKE,
    KEY_UPDATE,
    TICKET,
    Endpoint,
    Peers,
    Sealer,
    context,
    record,
    secrets_in,
    split,
    waiting_client,
    waiting_server,
)
from wire_format import extension, message, u8, u16, vector

from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule import TrafficSecret
from fasths.record.protection import opening_key, sealing_key
from fasths.wire import messages
from fasths.wire.codes import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    SSLErrorCode,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    DecryptError,
    IllegalParameter,
    InternalError,
    PeerAlert,
    RecordOverflow,
    TLSError,
    UnexpectedMessage,
)
from fasths.wire.limits import MAX_CIPHERTEXT, MAX_PLAINTEXT

of_roles = pytest.mark.parametrize("by_server", [False, True], ids=["client", "server"])
of_waiting = pytest.mark.parametrize("waiting", [waiting_client, waiting_server])


# --- Protection


@pytest.mark.parametrize("code", TLS13_SUITES, ids=lambda code: code.name)
class TestProtection:
    def keys(self, code):
        suite = find_suite(code)
        secret = os.urandom(suite.hash.length)
        traffic_secret = TrafficSecret(suite.hash, secret)
        return (
            sealing_key(suite, traffic_secret, 1 << 20),
            opening_key(suite, traffic_secret),
            Sealer(secret, suite),
        )

    def test_seals_and_opens_what_the_rfc_says(self, code):
        sealing, opening, by_hand = self.keys(code)
        for size in (0, 1, 15, 16, 17, 1000, MAX_PLAINTEXT, 5):
            content = os.urandom(size)
            sealed = sealing.seal_record(DATA, content)
            assert sealed == by_hand.seal(DATA, content)
            assert opening.open_record(sealed) == content + b"\x17"

    def test_sequence_number_beyond_one_octet(self, code):
        sealing, opening, by_hand = self.keys(code)
        for number in range(300):
            sealed = by_hand.seal(HANDSHAKE, u16(number))
            assert opening.open_record(sealed) == u16(number) + b"\x16"
            assert sealing.seal_record(HANDSHAKE, u16(number)) == sealed

    def test_padding_is_opened_with_the_content(self, code):
        _, opening, by_hand = self.keys(code)
        assert opening.open_record(by_hand.seal(ALERT, b"\1\0", 7)) == b"\1\0\x15" + bytes(7)
        assert opening.open_record(by_hand.seal_inner(b"")) == b""

    def test_content_beyond_a_record_is_refused(self, code):
        sealing, _, by_hand = self.keys(code)
        with pytest.raises(ValueError, match="16384"):
            sealing.seal_record(DATA, bytes(MAX_PLAINTEXT + 1))
        assert sealing.seal_record(DATA, b"next") == by_hand.seal(DATA, b"next")

    def test_changed_record_is_refused_and_counts_for_nothing(self, code):
        sealing, opening, _ = self.keys(code)
        sealed = sealing.seal_record(DATA, b"content")
        for at in range(len(sealed)):
            changed = bytearray(sealed)
            changed[at] ^= 1 << at % 8
            with pytest.raises(BadRecordMac) as refusal:
                opening.open_record(bytes(changed))
            assert refusal.value.alert == AlertDescription.bad_record_mac
        assert opening.open_record(sealed) == b"content\x17"

    def test_truncated_record_is_refused(self, code):
        sealing, opening, _ = self.keys(code)
        sealed = sealing.seal_record(DATA, b"content")
        for size in range(len(sealed)):
            with pytest.raises(BadRecordMac):
                opening.open_record(sealed[:size])
        with pytest.raises(BadRecordMac):
            opening.open_record(sealed + b"\0")
        assert opening.open_record(sealed) == b"content\x17"

    def test_record_out_of_order_is_refused(self, code):
        sealing, opening, _ = self.keys(code)
        first, second = (sealing.seal_record(DATA, content) for content in (b"1", b"2"))
        with pytest.raises(BadRecordMac):
            opening.open_record(second)
        opening.open_record(first)
        with pytest.raises(BadRecordMac):
            opening.open_record(first)
        assert opening.open_record(second) == b"2\x17"

    def test_record_of_another_key_is_refused(self, code):
        (sealing, _, _), (_, opening, _) = self.keys(code), self.keys(code)
        with pytest.raises(BadRecordMac):
            opening.open_record(sealing.seal_record(DATA, b"content"))

    def test_opening_leaves_the_record_as_it_was(self, code):
        sealing, opening, _ = self.keys(code)
        sealed = sealing.seal_record(DATA, b"content")
        before = bytes(bytearray(sealed))
        opening.open_record(sealed)
        assert sealed == before


# --- Reading before there are keys


@of_waiting
@pytest.mark.parametrize("content_type", [*range(20), *range(24, 256)])
def test_unknown_content_type_is_refused(waiting, content_type):
    endpoint = waiting()
    endpoint.receive(u8(content_type, 3, 3, 0, 1))
    endpoint.require_alert(UnexpectedMessage)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "speaks plain HTTP"),
        (b"POST /", "speaks plain HTTP"),
        (b"CONNECT a:443", "speaks plain HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "answers in plain HTTP"),
        (b"SSH-2.0-x\r\n", "unknown content type"),
        (b"\x80\x2e\1\0\2", "unknown content type"),
    ],
)
def test_what_is_not_tls_is_refused(greeting, reason):
    server = waiting_server()
    server.receive(greeting)
    assert reason in server.engine.error.reason
    server.require_alert(UnexpectedMessage)


@of_waiting
@pytest.mark.parametrize("content_type", [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA])
def test_plaintext_record_beyond_2_to_14_is_refused_by_its_header(waiting, content_type):
    for length, refused in ((MAX_PLAINTEXT, False), (MAX_PLAINTEXT + 1, True), (0xFFFF, True)):
        endpoint = waiting()
        endpoint.receive(u8(content_type, 3, 3) + u16(length))
        assert (endpoint.engine.error is not None) == refused
        if refused:
            endpoint.require_alert(RecordOverflow)


def test_plaintext_record_of_2_to_14_is_taken():
    server = waiting_server(max_handshake_message_size=1 << 15)
    start = u8(HandshakeType.client_hello, 0, 0x7F, 0)
    server.receive(record(HANDSHAKE, start + bytes(MAX_PLAINTEXT - 4)))
    assert server.engine.error is None


@pytest.mark.parametrize("version", [0, 0x0300, 0x0301, 0x0304, 0xFFFF], ids=hex)
def test_legacy_record_version_is_ignored(version):
    server = waiting_server()
    ((content_type, hello, _),) = split(waiting_client().hello)
    server.receive(record(content_type, hello, version))
    assert server.engine.error is None
    assert server.sent()


@of_waiting
@pytest.mark.parametrize("content_type", [ALERT, HANDSHAKE], ids=lambda each: each.name)
def test_empty_plaintext_record_is_refused(waiting, content_type):
    endpoint = waiting()
    endpoint.receive(record(content_type, b""))
    endpoint.require_alert(UnexpectedMessage)


@of_waiting
@pytest.mark.parametrize("content", [b"", b"data"])
def test_application_data_before_keys_is_refused(waiting, content):
    endpoint = waiting()
    endpoint.receive(record(DATA, content))
    endpoint.require_alert(UnexpectedMessage)


@pytest.mark.parametrize("content", [b"", b"\0", b"\2", b"\1\1", bytes(MAX_PLAINTEXT)], ids=len)
def test_change_cipher_spec_that_is_not_one_octet_1_is_refused(content):
    client = waiting_client()
    client.receive(record(CHANGE_CIPHER_SPEC, content))
    client.require_alert(UnexpectedMessage)


def test_change_cipher_spec_before_client_hello_is_refused():
    server = waiting_server()
    server.receive(record(CHANGE_CIPHER_SPEC, b"\1"))
    server.require_alert(UnexpectedMessage)


def test_more_change_cipher_specs_than_the_limit_are_refused():
    client = waiting_client(max_change_cipher_specs=3)
    client.receive(record(CHANGE_CIPHER_SPEC, b"\1") * 3)
    assert client.engine.error is None
    client.receive(record(CHANGE_CIPHER_SPEC, b"\1"))
    client.require_alert(UnexpectedMessage)


@of_waiting
@pytest.mark.parametrize("content", [b"\2", b"\2\x28\0", CLOSE_NOTIFY * 2])
def test_alert_record_that_is_not_one_alert_is_refused(waiting, content):
    endpoint = waiting()
    endpoint.receive(record(ALERT, content))
    endpoint.require_alert(DecodeError)


@of_waiting
@pytest.mark.parametrize("level", [0, 1, 2, 255])
@pytest.mark.parametrize("description", [10, 40, 41, 100, 255])
def test_alert_ends_the_connection_at_any_level(waiting, level, description):
    endpoint = waiting()
    endpoint.receive(record(ALERT, u8(level, description)))
    assert type(endpoint.engine.error) is PeerAlert
    assert endpoint.engine.error.code == description
    assert endpoint.sent() == b""


@of_waiting
def test_more_warnings_than_the_limit_are_refused(waiting):
    endpoint = waiting(max_warning_alerts=2)
    user_canceled = record(ALERT, u8(1, AlertDescription.user_canceled))
    endpoint.receive(user_canceled * 2)
    assert endpoint.engine.error is None
    endpoint.receive(user_canceled)
    endpoint.require_alert(UnexpectedMessage)


def test_what_follows_close_notify_is_ignored():
    client = waiting_client()
    client.receive(record(ALERT, CLOSE_NOTIFY) + b"\xff" * 50)
    assert client.engine.error is None
    assert client.engine.do_handshake() == SSLErrorCode.ZERO_RETURN


# --- Handshake messages across records


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_handshake_message_in_fragments(size):
    client, server = waiting_client(), waiting_server()
    ((_, hello, _),) = split(client.hello)
    fragments = [hello[at : at + size] for at in range(0, len(hello), size)]
    for fragment in fragments[:-1]:
        server.receive(record(HANDSHAKE, fragment))
        assert server.sent() == b""
    server.receive(record(HANDSHAKE, fragments[-1]))
    client.receive(server.sent())
    assert client.engine.established


@of_waiting
@pytest.mark.parametrize("size", [1, 3, 4, 50])
@pytest.mark.parametrize(
    "between",
    [record(CHANGE_CIPHER_SPEC, b"\1"), record(ALERT, b"\1\0"), record(ALERT, b"\2\x28")],
    ids=["change_cipher_spec", "close_notify", "fatal"],
)
def test_record_between_fragments_is_refused(waiting, size, between):
    endpoint = waiting()
    ((_, hello, _),) = split(waiting_client().hello)
    endpoint.receive(record(HANDSHAKE, hello[:size]))
    endpoint.receive(between)
    endpoint.require_alert(UnexpectedMessage)


@pytest.mark.parametrize("extra", [b"\1", b"\x14\0\0\x20", b"\x14\0\0\1\0"])
def test_message_that_reaches_over_a_change_of_keys_is_refused(extra):
    server = waiting_server()
    ((_, hello, _),) = split(waiting_client().hello)
    server.receive(record(HANDSHAKE, hello + extra))
    assert type(server.engine.error) is UnexpectedMessage


@of_waiting
def test_message_longer_than_the_limit_is_refused_by_its_header(waiting):
    for length, refused in ((100, False), (101, True), (0xFFFFFF, True)):
        endpoint = waiting(max_handshake_message_size=100)
        endpoint.receive(record(HANDSHAKE, u8(2) + length.to_bytes(3, "big")))
        assert (endpoint.engine.error is not None) == refused
        if refused:
            endpoint.require_alert(IllegalParameter)


def test_message_as_long_as_the_limit_is_taken():
    ((_, hello, _),) = split(waiting_client().hello)
    for limit, error in ((len(hello) - 4, type(None)), (len(hello) - 5, IllegalParameter)):
        server = waiting_server(max_handshake_message_size=limit)
        server.receive(record(HANDSHAKE, hello))
        assert type(server.engine.error) is error


def test_messages_in_one_record_and_one_message_in_many():
    peers = Peers(max_session_tickets=4)
    peers.receive(peers.sealer.seal(HANDSHAKE, TICKET * 2 + TICKET[:3]))
    for octet in TICKET[3:-1]:
        peers.receive(peers.sealer.seal(HANDSHAKE, u8(octet)))
    peers.receive(peers.sealer.seal(HANDSHAKE, TICKET[-1:] + TICKET))
    assert peers.receive(peers.sealer.seal(DATA, b"data")) == b"data"
    peers.receive(peers.sealer.seal(HANDSHAKE, TICKET))
    peers.require_alert(UnexpectedMessage)


@of_roles
def test_data_between_fragments_is_refused(by_server):
    peers = Peers(by_server)
    peers.receive(peers.sealer.seal(HANDSHAKE, KEY_UPDATE[:4]))
    assert peers.receive(peers.sealer.seal(DATA, b"data")) == b""
    peers.require_alert(UnexpectedMessage)


@of_roles
def test_message_behind_key_update_in_its_record_is_refused(by_server):
    peers = Peers(by_server)
    peers.receive(peers.sealer.seal(HANDSHAKE, KEY_UPDATE + KEY_UPDATE))
    assert type(peers.engine.error) is UnexpectedMessage


# --- Reading with keys


@of_roles
@pytest.mark.parametrize("size", [1, 100, MAX_PLAINTEXT - 1, MAX_PLAINTEXT])
def test_data_and_padding(by_server, size):
    peers = Peers(by_server)
    content = os.urandom(size)
    for padding in {0, min(3, MAX_PLAINTEXT - size), MAX_PLAINTEXT - size}:
        assert peers.receive(peers.sealer.seal(DATA, content, padding)) == content
    assert peers.engine.error is None


@of_roles
@pytest.mark.parametrize(
    ("size", "padding"),
    [(MAX_PLAINTEXT + 1, 0), (MAX_PLAINTEXT + 239, 0), (MAX_PLAINTEXT, 1), (1, MAX_PLAINTEXT)],
)
def test_inner_plaintext_beyond_2_to_14_and_1_is_refused(by_server, size, padding):
    """RFC 8446, 5.1 and 5.4: the limit of the content, and of the content with its padding."""
    peers = Peers(by_server)
    assert peers.receive(peers.sealer.seal(DATA, bytes(size), padding)) == b""
    peers.require_alert(RecordOverflow)


@of_roles
def test_protected_record_beyond_2_to_14_and_256_is_refused_by_its_header(by_server):
    for length, refused in ((MAX_CIPHERTEXT, False), (MAX_CIPHERTEXT + 1, True), (0xFFFF, True)):
        peers = Peers(by_server)
        peers.receive(b"\x17\3\3" + u16(length))
        assert (peers.engine.error is not None) == refused
        if refused:
            peers.require_alert(RecordOverflow)


@of_roles
@pytest.mark.parametrize("content_type", [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE])
def test_plaintext_record_after_keys_is_refused(by_server, content_type):
    content = {CHANGE_CIPHER_SPEC: b"\1", ALERT: CLOSE_NOTIFY, HANDSHAKE: KEY_UPDATE}[content_type]
    peers = Peers(by_server)
    peers.receive(record(content_type, content))
    peers.require_alert(UnexpectedMessage)


@of_roles
@pytest.mark.parametrize("size", [0, 1, 15])
def test_protected_record_shorter_than_its_tag_is_refused(by_server, size):
    peers = Peers(by_server)
    peers.receive(record(DATA, bytes(size)))
    peers.require_alert(BadRecordMac)


@of_roles
@pytest.mark.parametrize("size", [16, 17, 1000, MAX_CIPHERTEXT])
def test_record_that_does_not_open_is_refused(by_server, size):
    peers = Peers(by_server)
    peers.receive(record(DATA, os.urandom(size)))
    peers.require_alert(BadRecordMac)


@of_roles
@pytest.mark.parametrize("at", [0, 1, 2, 5, 8, -16, -1])
def test_changed_record_is_refused(by_server, at):
    peers = Peers(by_server)
    sealed = bytearray(peers.sealer.seal(DATA, b"data"))
    sealed[at] ^= 1
    peers.receive(bytes(sealed))
    # A changed content type is refused as what it then is.
    peers.require_alert(BadRecordMac if at else UnexpectedMessage)


@of_roles
def test_replayed_record_is_refused(by_server):
    peers = Peers(by_server)
    sealed = peers.sealer.seal(DATA, b"data")
    assert peers.receive(sealed) == b"data"
    peers.receive(sealed)
    peers.require_alert(BadRecordMac)


@of_roles
def test_record_that_skips_one_is_refused(by_server):
    peers = Peers(by_server)
    peers.sealer.seal(DATA, b"lost")
    peers.receive(peers.sealer.seal(DATA, b"data"))
    peers.require_alert(BadRecordMac)


@of_roles
@pytest.mark.parametrize("size", [0, 1, 100, MAX_PLAINTEXT + 1])
def test_protected_record_without_a_content_type_is_refused(by_server, size):
    peers = Peers(by_server)
    peers.receive(peers.sealer.seal_inner(bytes(size)))
    peers.require_alert(UnexpectedMessage)


@pytest.mark.parametrize("content_type", [*range(1, 21), 24, 25, 128, 255])
def test_protected_record_of_an_unexpected_type_is_refused(content_type):
    peers = Peers()
    peers.receive(peers.sealer.seal(content_type, b"\1", padding=2))
    peers.require_alert(UnexpectedMessage)


@of_roles
@pytest.mark.parametrize("content_type", [ALERT, HANDSHAKE], ids=lambda each: each.name)
@pytest.mark.parametrize("padding", [0, 5])
def test_empty_protected_record_is_refused(by_server, content_type, padding):
    peers = Peers(by_server)
    peers.receive(peers.sealer.seal(content_type, b"", padding))
    peers.require_alert(UnexpectedMessage)


@of_roles
def test_more_empty_records_than_the_limit_are_refused(by_server):
    peers = Peers(by_server, max_empty_records=3)
    for _ in range(3):
        for padding in (0, 9, 0):
            assert peers.receive(peers.sealer.seal(DATA, b"", padding)) == b""
        assert peers.receive(peers.sealer.seal(DATA, b"data")) == b"data"
    for _ in range(3):
        peers.receive(peers.sealer.seal(DATA, b""))
    assert peers.engine.error is None
    peers.receive(peers.sealer.seal(DATA, b""))
    peers.require_alert(UnexpectedMessage)


@pytest.mark.parametrize("content", [b"\1", CLOSE_NOTIFY * 2, b"\2\x28\0"])
def test_protected_alert_record_that_is_not_one_alert_is_refused(content):
    peers = Peers()
    peers.receive(peers.sealer.seal(ALERT, content))
    peers.require_alert(DecodeError)


def test_server_takes_an_alert_without_keys_from_a_client_that_has_none():
    """And no other record: the client may have failed before it had keys."""
    for content_type, error in ((ALERT, PeerAlert), (HANDSHAKE, UnexpectedMessage)):
        server = waiting_server()
        server.receive(waiting_client().hello)
        server.receive(record(content_type, u8(2, AlertDescription.protocol_version)))
        assert type(server.engine.error) is error


def test_server_takes_no_alert_without_keys_behind_a_protected_record():
    lines = []
    both = context(lines.append)
    client, server = Endpoint(both, False), Endpoint(both, True)
    server.receive(client.sent())
    sealer = Sealer(secrets_in(lines)["CLIENT_HANDSHAKE_TRAFFIC_SECRET"])
    server.receive(sealer.seal(HANDSHAKE, b"\x14\0\0\x20"))
    server.receive(record(ALERT, u8(2, AlertDescription.protocol_version)))
    assert type(server.engine.error) is UnexpectedMessage


# --- Early data that is skipped (RFC 8446, 4.2.10)


def server_with_early_data(**limits):
    """A server that has answered a ClientHello with early_data, and what the client sends then."""
    lines = []
    server = Endpoint(context(lines.append, **limits), True)
    ((_, hello, _),) = split(waiting_client().hello)
    at = 4 + 2 + 32 + 1 + 32 + 2 + 2 + 2
    # RFC 8446, 4.2.10: early_data comes with a PSK; it is one that the server does not know.
    early_data = extension(ExtensionType.early_data)
    identity = vector(2, vector(2, b"identity"), bytes(4))
    pre_shared_key = extension(
        ExtensionType.pre_shared_key, identity, vector(2, vector(1, bytes(32)))
    )
    block = vector(2, hello[at + 2 :], early_data, pre_shared_key)
    server.receive(record(HANDSHAKE, message(1, hello[4:at], block)))
    assert server.sent()
    return server, Sealer(secrets_in(lines)["CLIENT_HANDSHAKE_TRAFFIC_SECRET"])


# Lengths of records whose data, behind type and tag, is so many bytes.
@pytest.mark.parametrize("sizes", [(117,), (57, 77), (33,) * 6 + (21,), (18,) * 100])
def test_early_data_up_to_the_limit_is_skipped(sizes):
    server, sealer = server_with_early_data(max_skipped_early_data=100)
    for size in sizes:
        server.receive(record(DATA, bytes(size)))
        assert server.engine.error is None
    # The client's own flight opens, though its Finished cannot be right here.
    server.receive(sealer.seal(HANDSHAKE, messages.encode_finished(bytes(32))))
    assert type(server.engine.error) is DecryptError


@pytest.mark.parametrize("sizes", [(118,), (67, 68), (18,) * 101, (17,) * 33, (1,) * 33])
def test_early_data_beyond_the_limit_is_refused(sizes):
    server, _ = server_with_early_data(max_skipped_early_data=100)
    for size in sizes:
        assert server.engine.error is None
        server.receive(record(DATA, bytes(size)))
    assert type(server.engine.error) is UnexpectedMessage


def test_early_data_of_a_full_protected_record_is_skipped():
    server, _ = server_with_early_data()
    server.receive(record(DATA, bytes(MAX_CIPHERTEXT)))
    assert server.engine.error is None
    server.receive(u8(DATA, 3, 3) + u16(MAX_CIPHERTEXT + 1))
    assert type(server.engine.error) is RecordOverflow


def test_endless_empty_early_data_is_refused():
    server, _ = server_with_early_data(max_skipped_early_data=100, max_empty_records=4)
    server.receive(record(DATA, b"") * 1000)
    assert type(server.engine.error) is UnexpectedMessage


def test_early_data_behind_a_protected_record_is_refused():
    server, sealer = server_with_early_data()
    server.receive(record(DATA, bytes(50)))
    server.receive(sealer.seal(HANDSHAKE, b"\x14\0\0\x20"))
    server.receive(record(DATA, bytes(50)))
    assert type(server.engine.error) is BadRecordMac


def test_early_data_without_the_extension_is_refused():
    server = waiting_server()
    server.receive(waiting_client().hello)
    server.receive(record(DATA, bytes(50)))
    assert type(server.engine.error) is BadRecordMac


# --- Writing


def test_record_versions_and_flights():
    lines = []
    both = context(lines.append)
    client, server = Endpoint(both, False), Endpoint(both, True)
    hello = client.sent()
    assert [(kind, whole[1:3]) for kind, _, whole in split(hello)] == [(HANDSHAKE, b"\3\1")]
    server.receive(hello)
    flight = server.sent()
    # RFC 8446, D.4: behind ServerHello the record of middlebox compatibility, then one of all
    # that the handshake keys protect.
    kinds = [HANDSHAKE, CHANGE_CIPHER_SPEC, DATA]
    assert [(kind, whole[1:3]) for kind, _, whole in split(flight)] == [(k, b"\3\3") for k in kinds]
    sealed = list(split(flight))[2][2]
    secrets = secrets_in(lines)
    content_type, content = Sealer(secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"]).open(sealed)
    assert content_type == HANDSHAKE
    types = []
    while content:
        types.append(content[0])
        content = content[4 + int.from_bytes(content[1:4], "big") :]
    assert types == [8, 11, 15, 20]
    client.receive(flight)
    change, finished = split(client.sent())
    assert change[2] == record(CHANGE_CIPHER_SPEC, b"\1")
    content_type, content = Sealer(secrets["CLIENT_HANDSHAKE_TRAFFIC_SECRET"]).open(finished[2])
    assert (content_type, content[0]) == (HANDSHAKE, HandshakeType.finished)


@of_roles
@pytest.mark.parametrize(
    "size", [1, MAX_PLAINTEXT, MAX_PLAINTEXT + 1, 2 * MAX_PLAINTEXT, 4 * MAX_PLAINTEXT]
)
def test_written_data_fills_its_records(by_server, size):
    peers = Peers(by_server)
    data = os.urandom(size)
    assert peers.engine.write(data, 0) == size
    opened = [peers.opener.open(whole) for _, _, whole in split(peers.sent())]
    full, rest = divmod(size, MAX_PLAINTEXT)
    assert [len(content) for _, content in opened] == [MAX_PLAINTEXT] * full + [rest] * bool(rest)
    assert {content_type for content_type, _ in opened} == {DATA}
    assert b"".join(content for _, content in opened) == data


def test_write_takes_a_bounded_part_of_any_buffer():
    peers = Peers()
    data = os.urandom(5 * MAX_PLAINTEXT)
    count = peers.engine.write(bytearray(data), 0)
    assert 0 < count < len(data)
    assert peers.engine.write(memoryview(data), count) == len(data) - count
    assert peers.engine.write(data, len(data)) == 0
    assert peers.engine.write(b"", 0) == 0
    sent = peers.sent()
    opened = [peers.opener.open(whole)[1] for _, _, whole in split(sent)]
    assert b"".join(opened) == data
    assert peers.other.receive(sent) == data
    for wrong in ("text", 5, memoryview(data)[::2]):
        with pytest.raises((TypeError, BufferError)):
            peers.engine.write(wrong, 0)
    assert peers.sent() == b""


def test_output_is_taken_in_parts():
    peers = Peers()
    parts, taken = [os.urandom(30) for _ in range(5)], b""
    for part in parts:
        peers.engine.write(part, 0)
        output = bytes(peers.engine.output())
        assert peers.engine.has_output()
        peers.engine.output_taken(21)
        taken += output[:21]
    taken += peers.sent()
    assert not peers.engine.has_output()
    assert peers.engine.output() is None
    assert [peers.opener.open(whole)[1] for _, _, whole in split(taken)] == parts


@pytest.mark.parametrize("size", [1, MAX_PLAINTEXT, 4 * MAX_PLAINTEXT])
def test_no_key_protects_more_data_than_its_limit(size):
    peers = Peers(max_records_per_key=3)
    data = os.urandom(size)
    for _ in range(8):
        assert peers.engine.write(data, 0) == size
    sent = peers.sent()
    assert peers.other.receive(sent) == data * 8
    under_first_key = 0
    for _, _, whole in split(sent):
        content_type, _ = peers.opener.open(whole)
        if content_type == HANDSHAKE:
            break
        under_first_key += 1
    assert 1 <= under_first_key <= 3


# --- A transport that misbehaves


@pytest.mark.parametrize("count", [-1, 17 * 1024 + 1, 1 << 40])
def test_more_received_bytes_than_there_was_room_for_are_refused(count):
    client = waiting_client()
    client.engine.space()
    with pytest.raises(ValueError, match="more than it was asked for"):
        client.engine.filled(count)


def test_received_bytes_beyond_the_rest_of_the_room_are_refused():
    client = waiting_client()
    client.receive(b"\x16\3\3\x40\0")
    room = len(client.engine.space())
    with pytest.raises(ValueError, match="more than it was asked for"):
        client.engine.filled(room + 1)


def test_room_for_received_bytes_cannot_change_its_size():
    """What a BIO does with its buffer must not move what the record layer reads."""
    space = waiting_client().engine.space()
    with pytest.raises((BufferError, ValueError, AttributeError, TypeError)):
        space[:] = b"a few bytes"
    with pytest.raises((BufferError, ValueError, AttributeError, TypeError)):
        space.clear()


@pytest.mark.parametrize("count", [-1, 1 << 20])
def test_more_taken_bytes_than_there_were_are_refused(count):
    peers = Peers()
    peers.engine.write(b"data", 0)
    peers.engine.output()
    with pytest.raises(ValueError, match="more than it was given"):
        peers.engine.output_taken(count)


# --- Anything at all


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 300)), max_size=8), st.data())
@settings(max_examples=50, deadline=None)
def test_how_the_bytes_arrive_makes_no_difference(contents, draw):
    peers = Peers()
    stream = b"".join(peers.sealer.seal(DATA, content, padding) for content, padding in contents)
    received = b""
    while stream:
        count = draw.draw(st.integers(1, len(stream)))
        received += peers.receive(stream[:count])
        stream = stream[count:]
    assert received == b"".join(content for content, _ in contents)
    assert peers.engine.error is None


def ends_well(endpoint):
    """Nothing went wrong, or one TLSError that is not a fault of this side's own."""
    error = endpoint.engine.error
    assert error is None or (isinstance(error, TLSError) and not isinstance(error, InternalError))


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(ContentType),
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda kind, body: bytes(message(kind, body)),
                st.sampled_from(HandshakeType),
                st.binary(max_size=60),
            ),
        ),
    ),
    max_size=6,
).map(b"".join)


@of_waiting
@given(data=st.one_of(st.binary(max_size=400), RECORDS))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_of_a_peer_are_taken_or_refused(waiting, data):
    endpoint = waiting()
    endpoint.receive(data)
    ends_well(endpoint)


@of_roles
@given(data=st.lists(st.tuples(st.sampled_from(ContentType), st.binary(max_size=40)), max_size=6))
@settings(max_examples=50, deadline=None)
def test_arbitrary_contents_of_a_peer_are_taken_or_refused(by_server, data):
    peers = Peers(by_server)
    for content_type, content in data:
        peers.receive(peers.sealer.seal(content_type, content))
    ends_well(peers)
