"""What both roles refuse in the record layer of TLS 1.2, in every phase (RFC 5246, 6 and 7)."""

from __future__ import annotations

import copy
import functools

import pytest
from refusals import (
    assert_closed,
    assert_established,
    assert_peer_alert,
    assert_refuses,
    credential,
    play_to,
)
from refusals12 import BOTH_VERSIONS, established, peer_of
from scripted12_keys import RecordKey
from scripted12_messages import ChangeCipherSpec
from scripted_messages import Raw
from scripted_peer import before, inside, instead, put
from scripted_records import FATAL, MAX_PLAINTEXT, WARNING, Refused, Silence

from fasths import (
    AlertDescription,
    CipherSuite,
    ContentType,
    Limits,
    Verify,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    IllegalParameter,
    ProtocolVersion,
    RecordOverflow,
    TransportError,
    UnexpectedMessage,
)

CT = ContentType
RESUMPTIONS = ("ticket", "id")
both_roles = pytest.mark.parametrize("role", ["client", "server"])
full_and_resumed = pytest.mark.parametrize("resumed", [None, *RESUMPTIONS], ids=str)
# (role, point, resumed): where a connection waits before there is a ServerHello, for unprotected
# records, and for protected ones.
FIRST = [("client", "server_hello", None), ("server", "client_hello", None)]
PLAIN = [
    ("client", "certificate", None),
    ("client", "server_key_exchange", None),
    ("client", "server_hello_done", None),
    ("client", "new_session_ticket", None),
    ("client", "change_cipher_spec", None),
    ("client", "change_cipher_spec", "ticket"),
    ("client", "change_cipher_spec", "id"),
    ("server", "certificate", None),
    ("server", "client_key_exchange", None),
    ("server", "certificate_verify", None),
    ("server", "change_cipher_spec", None),
    ("server", "change_cipher_spec", "ticket"),
    ("server", "change_cipher_spec", "id"),
]
PROTECTED = [
    (role, "finished", resumed)
    for role in ("client", "server")
    for resumed in (None, "ticket", "id")
]
ESTABLISHED = [
    ("client", None, None),
    ("server", None, None),
    ("client", None, "ticket"),
    ("server", None, "id"),
]


def peer_at(role, point, resumed, edit, context=None, **options):
    """The peer of a connection, with something to happen at a point of its script."""
    context = dict(context or {})
    if role == "server":
        context = {"verify": Verify.REQUIRED, **context}
        options = {"credential": credential(), **options}
    elif resumed is None:
        options = {"tickets": True, **options}
    at = {} if point is None else {point: edit}
    return peer_of(role, context, resumed=resumed, at=at, **options)


def assert_refuses_at(place, error, action, **options):
    """The action is refused when it happens at this point, or (None) after the handshake."""
    peer = peer_at(*place, before(action), **options)
    if place[1] is not None:
        assert_refuses(peer, error, peer.handshake)
    else:
        peer.handshake()
        assert_established(peer)
        action(peer)
        assert_refuses(peer, error)


def name_of(place):
    role, point, resumed = place
    return f"{role}-{point or 'established'}" + (f"-{resumed}" if resumed else "")


def on(places, table):
    """Each row of a table (name, error, action) at each place."""
    return pytest.mark.parametrize(
        ("place", "error", "action"),
        [
            pytest.param(place, error, action, id=f"{name_of(place)}-{name}")
            for name, error, action in table
            for place in places
        ],
    )


def at_each(places):
    return pytest.mark.parametrize(
        "place", [pytest.param(each, id=name_of(each)) for each in places]
    )


def record(content_type, content=b"", **options):
    return lambda peer: peer.send_record(content_type, content, **options)


def plain(content_type, content=b"", **options):
    return record(content_type, content, key=None, **options)


def raw(data):
    return lambda peer: peer.send_raw(data)


def sealed(peer, content_type, content, **options):
    peer.end_flight()
    return peer.write_key.seal(content_type, content, **options)


# --- Refused whatever is waited for

ANYWHERE = [
    ("unknown content type 0", UnexpectedMessage, plain(0, b"x")),
    ("unknown content type 19", UnexpectedMessage, plain(19, b"x")),
    ("unknown content type 24", UnexpectedMessage, plain(24, b"x")),
    ("unknown content type 255", UnexpectedMessage, plain(255, b"x")),
    ("SSL 2.0", UnexpectedMessage, raw(b"\x80\x2e\1\0\2\0\0")),
    ("HTTP response", UnexpectedMessage, raw(b"HTTP/1.1 400 Bad Request\r\n")),
    ("HTTP request", UnexpectedMessage, raw(b"GET / HTTP/1.1\r\n")),
    # Refused by the header alone.
    ("data of 65535 bytes", RecordOverflow, raw(b"\x17\3\3\xff\xff")),
    ("data of 2^14 + 2049 bytes", RecordOverflow, raw(b"\x17\3\3\x48\1")),
    ("handshake record of 2^14 + 2049 bytes", RecordOverflow, raw(b"\x16\3\3\x48\1")),
    ("alert of 2^14 + 2049 bytes", RecordOverflow, raw(b"\x15\3\3\x48\1")),
    ("change_cipher_spec of 2^14 + 2049 bytes", RecordOverflow, raw(b"\x14\3\3\x48\1")),
]


@on([*FIRST, *PLAIN, *PROTECTED, *ESTABLISHED], ANYWHERE)
def test_refused_anywhere(place, error, action):
    assert_refuses_at(place, error, action)


# --- Refused while there are no keys

UNPROTECTED = [
    ("data", UnexpectedMessage, plain(CT.application_data, b"x")),
    ("empty data", UnexpectedMessage, plain(CT.application_data)),
    ("empty handshake record", UnexpectedMessage, plain(CT.handshake)),
    ("empty alert", UnexpectedMessage, plain(CT.alert)),
    ("empty change_cipher_spec", UnexpectedMessage, plain(CT.change_cipher_spec)),
    ("change_cipher_spec 0", UnexpectedMessage, plain(CT.change_cipher_spec, b"\0")),
    ("change_cipher_spec 2", UnexpectedMessage, plain(CT.change_cipher_spec, b"\2")),
    ("change_cipher_spec of 2 bytes", UnexpectedMessage, plain(CT.change_cipher_spec, b"\1\1")),
    ("data of 2^14 + 1 bytes", RecordOverflow, raw(b"\x17\3\3\x40\1")),
    ("handshake record of 2^14 + 1 bytes", RecordOverflow, raw(b"\x16\3\3\x40\1")),
    ("alert of 2^14 + 1 bytes", RecordOverflow, raw(b"\x15\3\3\x40\1")),
    ("alert of 1 byte", DecodeError, plain(CT.alert, b"\2")),
    ("alert of 3 bytes", DecodeError, plain(CT.alert, b"\1\x5a\0")),
    ("two alerts", DecodeError, plain(CT.alert, b"\1\x5a\1\0")),
]


@on([*FIRST, *PLAIN], UNPROTECTED)
def test_refused_before_keys(place, error, action):
    assert_refuses_at(place, error, action)


@at_each([*PLAIN, *PROTECTED, *ESTABLISHED])
@pytest.mark.parametrize("description", [0, 40, 90, 100, 200])
def test_alert_of_an_unknown_level(place, description):
    # RFC 5246, 7.2
    for level in (0, 3, 255):
        assert_refuses_at(place, DecodeError, record(CT.alert, bytes((level, description))))


# --- Refused under keys


def under_another_key(peer):
    key = RecordKey(peer.suite, bytes(peer.suite.key_length), bytes(peer.suite.iv_length))
    peer.send_data(b"x", key=key)


def behind_a_lost_record(peer):
    peer.end_flight()
    peer.write_key.sequence_number += 1
    peer.send_data(b"x")


def replayed(peer):
    data = sealed(peer, CT.alert, b"\1\x5a")
    peer.send_raw(data + data)


def reordered(peer):
    first = sealed(peer, CT.alert, b"\1\x5a")
    peer.send_raw(sealed(peer, CT.alert, b"\1\x5a") + first)


def reflected(peer):
    """What the connection itself has sent, or would: the key of the other direction."""
    key = copy.copy(peer.read_key or peer.next_read_key)
    peer.send_raw(key.seal(CT.application_data, b"x"))


def tampered(at):
    """A record with one bit of one byte changed."""

    def action(peer):
        data = bytearray(sealed(peer, CT.application_data, b"data"))
        data[at] ^= 0x40
        peer.send_raw(bytes(data))

    return action


def of_another_type(peer):
    data = sealed(peer, CT.application_data, b"\1\x5a")
    peer.send_raw(b"\x15" + data[1:])


def of_length(size):
    return raw(b"\x17\3\3" + size.to_bytes(2, "big") + b"x" * size)


UNDER_KEYS = [
    ("unprotected message", BadRecordMac, plain(CT.handshake, b"\x14\0\0\x0c" + bytes(12))),
    ("unprotected data", BadRecordMac, plain(CT.application_data, b"x" * 40)),
    ("unprotected warning", BadRecordMac, plain(CT.alert, b"\1\x5a")),
    ("unprotected close_notify", BadRecordMac, plain(CT.alert, b"\1\0")),
    ("unprotected fatal alert", BadRecordMac, plain(CT.alert, b"\2\x28")),
    *((f"record of {size} bytes", BadRecordMac, of_length(size)) for size in (0, 1, 7, 8, 15, 16)),
    *((f"record of {size} bytes", BadRecordMac, of_length(size)) for size in (17, 23, 24, 25, 500)),
    ("another key", BadRecordMac, under_another_key),
    ("key of the other direction", BadRecordMac, reflected),
    ("lost record", BadRecordMac, behind_a_lost_record),
    ("replayed record", BadRecordMac, replayed),
    ("reordered records", BadRecordMac, reordered),
    ("tampered tag", BadRecordMac, tampered(-1)),
    ("tampered nonce or content", BadRecordMac, tampered(5)),
    ("tampered content", BadRecordMac, tampered(-17)),
    ("another type", BadRecordMac, of_another_type),
    ("empty handshake record", UnexpectedMessage, record(CT.handshake)),
    ("empty alert", UnexpectedMessage, record(CT.alert)),
    ("alert of 1 byte", DecodeError, record(CT.alert, b"\2")),
    ("alert of 3 bytes", DecodeError, record(CT.alert, b"\1\x5a\0")),
    ("two alerts", DecodeError, record(CT.alert, b"\1\x5a\1\0")),
    ("content of 2^14 + 1 bytes", RecordOverflow, record(CT.handshake, b"x" * (MAX_PLAINTEXT + 1))),
    ("data of 2^14 + 1 bytes", RecordOverflow,
     record(CT.application_data, b"x" * (MAX_PLAINTEXT + 1))),
    ("data of 2^14 + 200 bytes", RecordOverflow,
     record(CT.application_data, b"x" * (MAX_PLAINTEXT + 200))),
]  # fmt: skip


@on([*PROTECTED, *ESTABLISHED], UNDER_KEYS)
@pytest.mark.parametrize("suite", [0xC02B, 0xCCA9], ids=["gcm", "chacha20"])
def test_refused_under_keys(place, error, action, suite):
    options = {"suites": (suite,)} if place[0] == "server" else {"suite": suite}
    assert_refuses_at(place, error, action, **options)


@at_each(PROTECTED)
@pytest.mark.parametrize("content", [b"x", b"", b"x" * MAX_PLAINTEXT], ids=len)
def test_data_before_finished(place, content):
    peer = peer_at(*place, before(record(CT.application_data, content)))
    assert_refuses(peer, UnexpectedMessage, peer.handshake)
    assert peer.delivered == b""


# --- Explicit nonces (RFC 5288, 3)


@at_each(ESTABLISHED)
@pytest.mark.parametrize("suite", [0xC02B, 0xC02C], ids=lambda code: CipherSuite(code).name)
def test_nonce_that_is_used_again(place, suite):
    options = {"suites": (suite,)} if place[0] == "server" else {"suite": suite}

    def action(peer):
        peer.send_data(b"once", explicit_nonce=b"\xff" * 8)
        peer.settle()
        peer.send_data(b"again", explicit_nonce=b"\xff" * 8)

    assert_refuses_at(place, IllegalParameter, action, **options)


@both_roles
def test_nonce_of_finished_is_used_again(role):
    peer = peer_of(role, explicit_nonce=lambda number: b"constant")
    peer.handshake()
    peer.send_data(b"again")
    assert_refuses(peer, IllegalParameter)


@both_roles
@pytest.mark.parametrize("start", [2, 77, (1 << 64) - 9], ids=hex)
@pytest.mark.parametrize("back", [1, 2, 5, 8])
def test_nonce_of_a_counter_that_goes_back(role, start, back):
    """All of a counter are known, also where it begins anywhere."""
    peer = established(role)
    for number in range(start, start + 8):
        peer.send_data(b"x", explicit_nonce=number.to_bytes(8, "big"))
    peer.settle()
    assert peer.delivered.endswith(b"x" * 8)
    peer.send_data(b"x", explicit_nonce=(start + 8 - back).to_bytes(8, "big"))
    assert_refuses(peer, IllegalParameter)


# --- The version of records (RFC 5246, 6.2.1)

VERSIONS = (0x0000, 0x0300, 0x0301, 0x0302, 0x0304, 0x0203, 0x0403, 0xFFFF)


@at_each(PLAIN)
@pytest.mark.parametrize("version", VERSIONS, ids=hex)
def test_version_of_unprotected_records(place, version):
    def edit(peer, message):
        if isinstance(message, ChangeCipherSpec):
            peer.send_record(CT.change_cipher_spec, b"\1", version=version)
        else:
            peer.transcript += message.encode()
            peer.send_record(CT.handshake, message.encode(), version=version)
        return []

    peer = peer_at(*place, edit)
    assert_refuses(peer, ProtocolVersion, peer.handshake)


@at_each([*PROTECTED, *ESTABLISHED])
@pytest.mark.parametrize("version", VERSIONS, ids=hex)
@pytest.mark.parametrize("content_type", [CT.alert, CT.application_data, CT.handshake])
def test_version_of_protected_records(place, version, content_type):
    assert_refuses_at(place, ProtocolVersion, record(content_type, b"\1\0", version=version))


@pytest.mark.parametrize("version", VERSIONS, ids=hex)
def test_version_of_the_first_record_is_ignored(version):
    # RFC 5246, E.1
    def edit(peer, message):
        peer.transcript += message.encode()
        peer.send_record(CT.handshake, message.encode(), version=version)
        return []

    peer = established("server", at={"client_hello": edit})
    assert peer.connection.established


# --- ChangeCipherSpec (RFC 5246, 7.1)

CCS = record(CT.change_cipher_spec, b"\1")
OUT_OF_PLACE = [
    each for each in [*FIRST, *PLAIN] if each[1] not in ("change_cipher_spec", "new_session_ticket")
]


@at_each([*OUT_OF_PLACE, ("client", "new_session_ticket", None)])
def test_change_cipher_spec_out_of_place(place):
    assert_refuses_at(place, UnexpectedMessage, CCS)


@at_each([each for each in OUT_OF_PLACE if each not in FIRST])
def test_change_cipher_spec_with_what_follows_under_its_key(place):
    """As in CVE-2014-0224: keys of a master secret that is not there yet."""

    def action(peer):
        peer.send_change_cipher_spec()
        key = RecordKey(peer.suite, bytes(16), bytes(4))
        peer.set_write_key(key)

    assert_refuses_at(place, UnexpectedMessage, action)


@pytest.mark.parametrize("count", [1, 2])
def test_change_cipher_spec_before_server_hello_of_a_client_of_both_versions(count):
    """TLS 1.3 would drop it (RFC 8446, 5), but this server speaks TLS 1.2."""

    def action(peer):
        for _ in range(count):
            peer.send_change_cipher_spec()

    peer = peer_of("client", BOTH_VERSIONS, at={"server_hello": before(action)})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
def test_change_cipher_spec_before_client_hello(role):
    context = BOTH_VERSIONS if role == "server" else {}
    point = "client_hello" if role == "server" else "server_hello"
    peer = peer_of(role, context, at={point: before(CCS)})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@at_each([*PROTECTED, *ESTABLISHED])
@pytest.mark.parametrize("content", [b"\1", b"\0", b"\1\1"], ids=["1", "0", "2 bytes"])
def test_change_cipher_spec_under_keys(place, content):
    assert_refuses_at(place, UnexpectedMessage, record(CT.change_cipher_spec, content))


@at_each([*PROTECTED, *ESTABLISHED])
def test_unprotected_change_cipher_spec_under_keys(place):
    assert_refuses_at(place, UnexpectedMessage, plain(CT.change_cipher_spec, b"\1"))


@both_roles
@full_and_resumed
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\2", b"\xff", b"\1\1", b"\1\0", b"\0\1"], ids=repr
)
def test_change_cipher_spec_with_other_content(role, resumed, content):
    at = {"change_cipher_spec": put(content=content)}
    peer = peer_of(role, resumed=resumed, at=at)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
@full_and_resumed
def test_change_cipher_spec_twice(role, resumed):
    def edit(peer, message):
        return [ChangeCipherSpec(changes_key=False), message]

    peer = peer_of(role, resumed=resumed, at={"change_cipher_spec": edit})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
@full_and_resumed
def test_finished_without_change_cipher_spec(role, resumed):
    """In the clear, and under the key that it would have changed to."""
    peer = peer_of(role, resumed=resumed, at={"change_cipher_spec": instead()})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)

    def edit(peer, message):
        peer.end_flight()
        peer.change_write_key()
        return []

    peer = peer_of(role, resumed=resumed, at={"change_cipher_spec": edit})
    with pytest.raises((Refused, Silence)):
        peer.handshake()
    assert not peer.connection.established


@both_roles
@full_and_resumed
def test_finished_in_the_clear(role, resumed):
    """Behind ChangeCipherSpec, but without a change of keys."""
    at = {"change_cipher_spec": put(changes_key=False)}
    peer = peer_of(role, resumed=resumed, at=at)
    assert_refuses(peer, BadRecordMac, peer.handshake)


# --- Records between the parts of a handshake message

BETWEEN = [
    ("change_cipher_spec", UnexpectedMessage, record(CT.change_cipher_spec, b"\1")),
    ("user_canceled", UnexpectedMessage, record(CT.alert, b"\1\x5a")),
    ("close_notify", UnexpectedMessage, record(CT.alert, b"\1\0")),
    ("fatal alert", UnexpectedMessage, record(CT.alert, b"\2\x28")),
    ("data", UnexpectedMessage, record(CT.application_data, b"x")),
]
MESSAGES = [each for each in [*FIRST, *PLAIN, *PROTECTED] if each[1] != "change_cipher_spec"]


@on(MESSAGES, BETWEEN)
def test_record_inside_message(place, error, action):
    peer = peer_at(*place, inside(action))
    assert_refuses(peer, error, peer.handshake)


@on(ESTABLISHED, BETWEEN)
def test_record_inside_later_message(place, error, action):
    peer = peer_at(*place, None)
    peer.handshake()
    peer.queue(b"\0\0\0" if place[0] == "client" else b"\1\0\0")
    action(peer)
    assert_refuses(peer, error)


# --- Messages that are too large


@at_each([*FIRST, *PLAIN, *PROTECTED, *ESTABLISHED])
@pytest.mark.parametrize("size", [1 << 17 | 1, 0xFFFFFF])
def test_oversized_message(place, size):
    def action(peer):
        peer.queue(b"\x0b" + size.to_bytes(3, "big"))

    assert_refuses_at(place, IllegalParameter, action)


@both_roles
@pytest.mark.parametrize("excess", [0, 1])
def test_limit_of_message_size(role, excess):
    peer = established(role, {"limits": Limits(max_handshake_message_size=3000)})
    peer.queue(Raw(11, bytes(3000 + excess)))
    assert_refuses(peer, IllegalParameter if excess else UnexpectedMessage)


# --- record_size_limit (RFC 8449, 4: in TLS 1.2 it is that of the plaintext)


@both_roles
def test_records_up_to_the_limit(role):
    peer = established(role, {"record_size_limit": 100}, record_size_limit=200)
    assert peer.fragment <= 100
    before = len(peer.delivered)
    peer.send_data(b"x" * 100)
    peer.settle()
    assert len(peer.delivered) == before + 100
    peer.data = b""
    assert peer.connection.write(b"y" * 1000) == 1000
    peer.settle()
    assert peer.data == b"y" * 1000
    assert max(record.size for record in peer.records[-5:]) == 200
    peer.send_data(b"x" * 101)
    assert_refuses(peer, RecordOverflow)


# --- Floods


# Nobody has something to say to a server before its ClientHello.
WARNED = [FIRST[0], *PLAIN, *PROTECTED, *ESTABLISHED]


@at_each(WARNED)
@pytest.mark.parametrize(
    "description",
    [AlertDescription.user_canceled, AlertDescription.no_renegotiation, AlertDescription(112), 200],
    ids=int,
)
def test_warning_alert_flood(place, description):
    def action(peer):
        for _ in range(5):
            peer.send_alert(description, WARNING)

    assert_refuses_at(place, UnexpectedMessage, action)


@at_each(WARNED)
def test_warning_alerts_are_ignored(place):
    # RFC 5246, 7.2: it is the level that says whether one is fatal.
    def action(peer):
        for description in (90, 100, 112, 200):
            peer.send_alert(description, WARNING)

    peer = peer_at(*place, before(action))
    peer.handshake()
    if place[1] is None:
        action(peer)
    assert_established(peer)


@both_roles
def test_warning_alerts_over_a_connection(role):
    """The limit is not one of alerts in a row."""
    peer = established(role)
    for _ in range(4):
        peer.send_alert(AlertDescription.user_canceled, WARNING)
        peer.send_data(b"x")
        peer.settle()
    peer.send_alert(AlertDescription.user_canceled, WARNING)
    assert_refuses(peer, UnexpectedMessage)


@both_roles
def test_empty_record_flood(role):
    peer = established(role, {"limits": Limits(max_empty_records=5)})
    for _ in range(3):
        for _ in range(5):
            peer.send_data(b"")
        peer.send_data(b"x")
    peer.settle()
    assert peer.delivered == b"to the connection" + b"xxx"
    for _ in range(6):
        peer.send_data(b"")
    assert_refuses(peer, UnexpectedMessage)


# --- Alerts of the peer (RFC 5246, 7.2)

FATAL_ALERTS = sorted({*map(int, AlertDescription), 1, 66, 200, 255} - {0})


@both_roles
@pytest.mark.parametrize("description", FATAL_ALERTS)
def test_every_fatal_alert(role, description):
    peer = established(role)
    peer.send_alert(description, FATAL)
    peer.send_data(b"ignored")
    assert_peer_alert(peer, description)
    assert peer.delivered == b"to the connection"


@at_each([*FIRST, *PLAIN, *PROTECTED])
def test_alert_during_handshake(place):
    def action(peer):
        peer.send_alert(AlertDescription.handshake_failure)

    peer = play_to(action, functools.partial(peer_at, *place))
    assert_peer_alert(peer, AlertDescription.handshake_failure)


@at_each([*FIRST, *PLAIN, *PROTECTED])
@pytest.mark.parametrize("level", [WARNING, FATAL])
def test_close_notify_during_handshake(place, level):
    def action(peer):
        peer.send_alert(AlertDescription.close_notify, level)
        peer.send_raw(b"rubbish")

    assert_closed(play_to(action, functools.partial(peer_at, *place)))


@both_roles
def test_end_without_close_notify(role):
    peer = established(role)
    peer.bio.write_eof()
    assert peer.connection.read() is None
    assert type(peer.connection.last_error) is TransportError


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0304])
def test_alert_in_another_version_before_there_are_keys(version):
    """A peer that fails while it negotiates may say so in a version of its own."""

    def action(peer):
        alert = bytes((FATAL, AlertDescription.handshake_failure))
        peer.send_record(ContentType.alert, alert, version=version)

    peer = play_to(action, functools.partial(peer_at, *PLAIN[0]))
    assert_peer_alert(peer, AlertDescription.handshake_failure)
