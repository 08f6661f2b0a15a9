"""What both roles refuse in the record layer, in every phase (RFC 8446, 5, 6 and D.4)."""

from __future__ import annotations

import functools

import pytest
from refusals import (
    assert_closed,
    assert_peer_alert,
    assert_refuses,
    credential,
    established,
    peer_of,
    play_to,
)
from scripted_keys import TrafficKey
from scripted_messages import Raw
from scripted_peer import FATAL, MAX_PLAINTEXT, WARNING, before, inside

from fasths import (
    AlertDescription,
    ContentType,
    HandshakeType,
    Limits,
    NamedGroup,
    Verify,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    IllegalParameter,
    RecordOverflow,
    UnexpectedMessage,
)

CT = ContentType
# The points of the scripts at which a connection waits for plain, and for protected records.
PLAIN_POINTS = [
    ("client", "server_hello"),
    ("client", "hello_retry_request"),
    ("server", "client_hello"),
    ("server", "second_client_hello"),
]
PROTECTED_POINTS = [
    ("client", "encrypted_extensions"),
    ("client", "certificate_verify"),
    ("client", "finished"),
    ("server", "certificate"),
    ("server", "certificate_verify"),
    ("server", "finished"),
]
ESTABLISHED = [("client", None), ("server", None)]


def peer_at(role, point, edit, context=None, **options):
    """The peer of a connection, with something to happen at a point of its script."""
    context = dict(context or {})
    if role == "client":
        options |= {"request_certificate": True}
        if point == "hello_retry_request":
            options |= {"retry": NamedGroup.secp256r1}
    else:
        context |= {"verify": Verify.REQUIRED}
        options |= {"credential": credential()}
        if point == "second_client_hello":
            options |= {"shares": ()}
    at = {} if point is None else {point: edit}
    return peer_of(role, context, at=at, **options)


def assert_refuses_at(role, point, error, action, **options):
    """The action is refused when it happens at this point, or (None) after the handshake."""
    peer = peer_at(role, point, before(action), **options)
    if point is not None:
        assert_refuses(peer, error, peer.handshake)
    else:
        peer.handshake()
        action(peer)
        assert_refuses(peer, error)


def on(places, table):
    """Each row of a table (name, error, action) at each place (role, point)."""
    return pytest.mark.parametrize(
        ("role", "point", "error", "action"),
        [
            pytest.param(role, point, error, action, id=f"{role}-{point or 'established'}-{name}")
            for name, error, action in table
            for role, point in places
        ],
    )


def record(content_type, content=b"", **options):
    return lambda peer: peer.send_record(content_type, content, **options)


def plain(content_type, content=b""):
    return record(content_type, content, key=None)


def raw(data):
    return lambda peer: peer.send_raw(data)


def sealed(peer, data):
    peer.end_flight()
    return peer.write_key.seal_inner(data)


def inner(data):
    """A protected record around this TLSInnerPlaintext."""
    return lambda peer: peer.send_raw(sealed(peer, data))


def under_another_key(peer):
    peer.send_data(b"x", key=TrafficKey(peer.suite, b"another"))


def behind_a_lost_record(peer):
    peer.end_flight()
    peer.write_key.nonce()
    peer.send_data(b"x")


def replayed(peer):
    data = sealed(peer, b"\1\x5a\x15")
    peer.send_raw(data + data)


def tampered(at):
    """A record with one bit of one byte changed."""

    def action(peer):
        data = bytearray(sealed(peer, b"data\x17"))
        data[at] ^= 0x40
        peer.send_raw(bytes(data))

    return action


# --- Refused whatever is waited for

ANYWHERE = [
    ("unknown content type 0", UnexpectedMessage, plain(0, b"x")),
    ("unknown content type 19", UnexpectedMessage, plain(19, b"x")),
    ("unknown content type 24", UnexpectedMessage, plain(24, b"x")),
    ("unknown content type 255", UnexpectedMessage, plain(255, b"x")),
    ("SSL 2.0", UnexpectedMessage, raw(b"\x80\x2e\1\0\2\0\0")),
    ("HTTP response", UnexpectedMessage, raw(b"HTTP/1.1 400 Bad Request\r\n")),
    ("HTTP request", UnexpectedMessage, raw(b"GET / HTTP/1.1\r\n")),
    ("change_cipher_spec 0", UnexpectedMessage, plain(CT.change_cipher_spec, b"\0")),
    ("change_cipher_spec 2", UnexpectedMessage, plain(CT.change_cipher_spec, b"\2")),
    ("empty change_cipher_spec", UnexpectedMessage, plain(CT.change_cipher_spec)),
    ("long change_cipher_spec", UnexpectedMessage, plain(CT.change_cipher_spec, b"\1\1")),
    ("empty unprotected handshake record", UnexpectedMessage, plain(CT.handshake)),
    ("empty unprotected alert record", UnexpectedMessage, plain(CT.alert)),
    # RFC 8446, 5.1 and 5.2: refused by the header alone.
    ("data of 2^14 + 257 bytes", RecordOverflow, raw(b"\x17\3\3\x41\1")),
    ("data of 65535 bytes", RecordOverflow, raw(b"\x17\3\3\xff\xff")),
    ("handshake record of 2^14 + 1 bytes", RecordOverflow, raw(b"\x16\3\3\x40\1")),
    ("alert record of 2^14 + 1 bytes", RecordOverflow, raw(b"\x15\3\3\x40\1")),
    ("change_cipher_spec of 2^14 + 1 bytes", RecordOverflow, raw(b"\x14\3\3\x40\1")),
]


@on(PLAIN_POINTS + PROTECTED_POINTS + ESTABLISHED, ANYWHERE)
def test_refused_anywhere(role, point, error, action):
    assert_refuses_at(role, point, error, action)


# --- Refused while there are no keys

PLAIN = [
    ("data", UnexpectedMessage, plain(CT.application_data, b"x")),
    ("empty data", UnexpectedMessage, plain(CT.application_data)),
    ("protected record", UnexpectedMessage, under_another_key),
    ("data of 2^14 + 1 bytes", RecordOverflow, raw(b"\x17\3\3\x40\1")),
    ("alert of 1 byte", DecodeError, plain(CT.alert, b"\2")),
    ("alert of 3 bytes", DecodeError, plain(CT.alert, b"\1\x5a\0")),
    ("two alerts", DecodeError, plain(CT.alert, b"\1\x5a\1\0")),
]


@on(PLAIN_POINTS, PLAIN)
def test_refused_before_keys(role, point, error, action):
    assert_refuses_at(role, point, error, action)


# --- Refused under keys

PROTECTED = [
    ("unprotected message", UnexpectedMessage, plain(CT.handshake, b"\x18\0\0\1\0")),
    ("unprotected data", BadRecordMac, plain(CT.application_data, b"x" * 17)),
    ("record of 16 bytes", BadRecordMac, plain(CT.application_data, b"x" * 16)),
    ("record of no bytes", BadRecordMac, plain(CT.application_data)),
    ("another key", BadRecordMac, under_another_key),
    ("lost record", BadRecordMac, behind_a_lost_record),
    ("replayed record", BadRecordMac, replayed),
    ("tampered tag", BadRecordMac, tampered(-1)),
    ("tampered type", BadRecordMac, tampered(9)),
    ("tampered content", BadRecordMac, tampered(5)),
    ("tampered version", BadRecordMac, tampered(2)),
    ("no inner type", UnexpectedMessage, inner(b"")),
    ("zeros alone", UnexpectedMessage, inner(bytes(100))),
    ("as many zeros as there can be", UnexpectedMessage, inner(bytes(MAX_PLAINTEXT + 1))),
    ("protected change_cipher_spec", UnexpectedMessage, record(CT.change_cipher_spec, b"\1")),
    ("unknown inner type 1", UnexpectedMessage, record(1, b"x")),
    ("unknown inner type 19", UnexpectedMessage, record(19, b"x")),
    ("unknown inner type 24", UnexpectedMessage, record(24, b"x")),
    ("unknown inner type 255", UnexpectedMessage, record(255, b"x")),
    ("empty handshake record", UnexpectedMessage, record(CT.handshake)),
    ("empty padded handshake record", UnexpectedMessage, record(CT.handshake, padding=99)),
    ("empty alert record", UnexpectedMessage, record(CT.alert)),
    ("empty padded alert record", UnexpectedMessage, record(CT.alert, padding=99)),
    ("alert of 1 byte", DecodeError, record(CT.alert, b"\2")),
    ("alert of 3 bytes", DecodeError, record(CT.alert, b"\1\x5a\0")),
    ("two alerts", DecodeError, record(CT.alert, b"\1\x5a\1\0")),
    # RFC 8446, 5.4 and 6.2: 2^14 bytes and a type are the most that there may be inside.
    ("content of 2^14 + 1 bytes", RecordOverflow, inner(b"x" * MAX_PLAINTEXT + b"x\x17")),
    ("content of 2^14 + 239 bytes", RecordOverflow, inner(b"x" * (MAX_PLAINTEXT + 239) + b"\x17")),
    ("too much padding", RecordOverflow, inner(b"x\x17" + bytes(MAX_PLAINTEXT))),
]


@on(PROTECTED_POINTS + ESTABLISHED, PROTECTED)
def test_refused_under_keys(role, point, error, action):
    assert_refuses_at(role, point, error, action)


# --- Data and change_cipher_spec where they do not belong (RFC 8446, 5)

EARLY = [
    ("data", UnexpectedMessage, record(CT.application_data, b"x")),
    ("empty data", UnexpectedMessage, record(CT.application_data)),
    ("padding alone", UnexpectedMessage, record(CT.application_data, padding=20)),
]


@on(PROTECTED_POINTS, EARLY)
def test_data_before_finished(role, point, error, action):
    assert_refuses_at(role, point, error, action)


CHANGE_CIPHER_SPEC = [
    ("change_cipher_spec", UnexpectedMessage, plain(CT.change_cipher_spec, b"\1"))
]


@on([("server", "client_hello"), *ESTABLISHED], CHANGE_CIPHER_SPEC)
def test_change_cipher_spec_out_of_place(role, point, error, action):
    assert_refuses_at(role, point, error, action)


@pytest.mark.parametrize("place", [*PLAIN_POINTS, *PROTECTED_POINTS], ids="-".join)
def test_change_cipher_spec_flood(place):
    def action(peer):
        for _ in range(10):
            peer.send_change_cipher_spec()

    assert_refuses_at(*place, UnexpectedMessage, action)


# --- Records between the parts of a handshake message (RFC 8446, 5.1)

BETWEEN = [
    ("user_canceled", UnexpectedMessage, record(CT.alert, b"\1\x5a")),
    ("close_notify", UnexpectedMessage, record(CT.alert, b"\1\0")),
    ("fatal alert", UnexpectedMessage, record(CT.alert, b"\2\x28")),
    ("change_cipher_spec", UnexpectedMessage, plain(CT.change_cipher_spec, b"\1")),
    ("data", UnexpectedMessage, record(CT.application_data, b"x")),
    ("empty data", UnexpectedMessage, record(CT.application_data)),
]


@on(PLAIN_POINTS + PROTECTED_POINTS, BETWEEN)
def test_record_inside_message(role, point, error, action):
    peer = peer_at(role, point, inside(action))
    assert_refuses(peer, error, peer.handshake)


@on(ESTABLISHED, BETWEEN)
def test_record_inside_later_message(role, point, error, action):
    peer = established(role)
    peer.queue(b"\x18\0\0")
    action(peer)
    assert_refuses(peer, error)


# --- Messages that are too large


@pytest.mark.parametrize("place", PLAIN_POINTS + PROTECTED_POINTS + ESTABLISHED, ids=str)
@pytest.mark.parametrize("size", [1 << 17 | 1, 0xFFFFFF])
def test_oversized_message(place, size):
    # RFC 8446 leaves the alert open; the header alone is enough.
    def action(peer):
        kind = HandshakeType.certificate if place[1] else HandshakeType.key_update
        peer.queue(bytes([kind]) + size.to_bytes(3, "big"))

    assert_refuses_at(*place, IllegalParameter, action)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("excess", [0, 1])
def test_limit_of_message_size(role, excess):
    context = {"limits": Limits(max_handshake_message_size=3000)}
    peer = established(role, context)
    peer.queue(Raw(HandshakeType.client_hello, bytes(3000 + excess)))
    assert_refuses(peer, IllegalParameter if excess else UnexpectedMessage)


# --- Floods


def test_warning_alert_flood():
    for role, point in PLAIN_POINTS + PROTECTED_POINTS + ESTABLISHED:

        def action(peer):
            for _ in range(5):
                peer.send_alert(AlertDescription.user_canceled, WARNING)

        assert_refuses_at(role, point, UnexpectedMessage, action)


def test_warning_alerts_over_a_connection():
    """The limit is not one of alerts in a row."""
    peer = established("server")
    for _ in range(4):
        peer.send_alert(AlertDescription.user_canceled, WARNING)
        peer.send_data(b"x")
        peer.settle()
    peer.send_alert(AlertDescription.user_canceled, WARNING)
    assert_refuses(peer, UnexpectedMessage)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("padding", [0, 100])
def test_empty_record_flood(role, padding):
    peer = established(role, {"limits": Limits(max_empty_records=5)})
    for _ in range(3):
        for _ in range(5):
            peer.send_data(b"", padding=padding)
        peer.send_data(b"x")
    peer.settle()
    assert peer.delivered == b"to the connection" + b"xxx"
    for _ in range(6):
        peer.send_data(b"", padding=padding)
    assert_refuses(peer, UnexpectedMessage)


# --- Alerts of the peer (RFC 8446, 6)

FATAL_ALERTS = sorted(
    {*map(int, AlertDescription), 1, 66, 200, 255}
    - {AlertDescription.close_notify, AlertDescription.user_canceled}
)


@pytest.mark.parametrize("level", [WARNING, FATAL, 0])
@pytest.mark.parametrize("role", ["client", "server"])
def test_every_alert_is_fatal(role, level):
    # RFC 8446, 6: whatever its level, and whether it is known or not.
    for description in FATAL_ALERTS:
        peer = established(role)
        peer.send_alert(description, level)
        peer.send_data(b"ignored")
        assert_peer_alert(peer, description)
        assert peer.delivered == b"to the connection"


@pytest.mark.parametrize("place", PLAIN_POINTS + PROTECTED_POINTS, ids="-".join)
def test_alert_during_handshake(place):
    def action(peer):
        peer.send_alert(AlertDescription.handshake_failure)

    peer = play_to(action, functools.partial(peer_at, *place))
    assert_peer_alert(peer, AlertDescription.handshake_failure)


@pytest.mark.parametrize("place", PLAIN_POINTS + PROTECTED_POINTS, ids="-".join)
def test_close_notify_during_handshake(place):
    def action(peer):
        peer.send_alert(AlertDescription.user_canceled, WARNING)
        peer.send_alert(AlertDescription.close_notify, WARNING)
        peer.send_raw(b"rubbish")

    assert_closed(play_to(action, functools.partial(peer_at, *place)))


@pytest.mark.parametrize("place", [*PLAIN_POINTS, *PROTECTED_POINTS, *ESTABLISHED], ids=str)
@pytest.mark.parametrize("level", [WARNING, FATAL])
def test_user_canceled_is_ignored(place, level):
    def action(peer):
        peer.send_alert(AlertDescription.user_canceled, level)

    peer = peer_at(*place, before(action))
    peer.handshake()
    if place[1] is None:
        action(peer)
        peer.settle()
    assert peer.connection.established
    assert peer.connection.last_error is None


# --- Alerts without protection (RFC 8446, 6): from a client that has no keys yet, but from nobody
# else


@pytest.mark.parametrize(
    "place", [place for place in PROTECTED_POINTS + ESTABLISHED if "certificate" not in place]
)
@pytest.mark.parametrize("description", [0, 40, 90])
def test_unprotected_alert(place, description):
    assert_refuses_at(*place, UnexpectedMessage, plain(CT.alert, bytes([2, description])))


@pytest.mark.parametrize("early_data", [[], [b"early"]])
def test_unprotected_alert_of_a_client_that_refuses_server_hello(early_data):
    peer = peer_of("server", early_data=early_data)
    peer.send_client_hello()
    peer.send_alert(AlertDescription.illegal_parameter)
    peer.turn()
    error = peer.connection.last_error
    assert error.alert is AlertDescription.illegal_parameter
    assert error.origin == "peer"
