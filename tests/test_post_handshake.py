"""What happens once a connection is established (RFC 8446, 4.6, 5.5, 6.1 and 7.2)."""

from __future__ import annotations

import pytest
from refusals import assert_established, assert_refuses, client_of, established, server_of
from scripted_messages import (
    CertificateRequest,
    KeyUpdate,
    NewSessionTicket,
    Raw,
    ServerHello,
    key_share_entry,
    u16,
    u32,
    vector,
)
from scripted_peer import FATAL, MAX_PLAINTEXT, WARNING, Alert

from fasths import (
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
    Limits,
    Origin,
    SSLErrorCode,
    TransportError,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    IllegalParameter,
    UnexpectedMessage,
)

E = ExtensionType
CT = ContentType
both_roles = pytest.mark.parametrize("role", ["client", "server"])
CLOSE_NOTIFY = Alert(WARNING, AlertDescription.close_notify)
USER_CANCELED = Alert(WARNING, AlertDescription.user_canceled)
REQUESTED, NOT_REQUESTED = 1, 0


# --- KeyUpdate (RFC 8446, 4.6.3 and 7.2)


@both_roles
def test_key_update_of_the_peer(role):
    peer = established(role)
    for _ in range(3):
        peer.update_write_key()
        assert_established(peer)
    assert peer.key_updates == []


@both_roles
def test_key_update_on_request(role):
    """It is answered once, asks for nothing, and the keys of both directions change."""
    peer = established(role)
    for i in range(3):
        keys = peer.write_key.secret, peer.read_key.secret
        peer.update_write_key(REQUESTED)
        peer.settle()
        assert peer.key_updates == [NOT_REQUESTED] * (i + 1)
        assert keys[0] != peer.write_key.secret
        assert keys[1] != peer.read_key.secret
        assert_established(peer)
        assert peer.key_updates == [NOT_REQUESTED] * (i + 1)


@both_roles
def test_one_answer_for_requests_that_came_together(role):
    # RFC 8446, 4.6.3
    peer = established(role)
    for _ in range(3):
        peer.update_write_key(REQUESTED)
    assert_established(peer)
    assert peer.key_updates == [NOT_REQUESTED]
    peer.update_write_key(REQUESTED)
    assert_established(peer)
    assert peer.key_updates == [NOT_REQUESTED] * 2


@both_roles
def test_answer_comes_before_data(role):
    # RFC 8446, 4.6.3: prior to the next application data.
    peer = established(role)
    peer.update_write_key(REQUESTED)
    peer.send_data(b"question")
    peer.turn()
    assert peer.connection.write(b"answer") == 6
    seen = len(peer.records)
    peer.settle()
    kinds = [record.content_type for record in peer.records[seen:]]
    assert kinds == [CT.handshake, CT.application_data]


@both_roles
@pytest.mark.parametrize("request_peer", [True, False])
def test_key_update_of_ones_own(role, request_peer):
    peer = established(role)
    for i in range(3):
        assert peer.connection.key_update(request_peer) == 1
        peer.settle()
        assert peer.key_updates == [request_peer] * (i + 1)
        if request_peer:
            peer.update_write_key(NOT_REQUESTED)
        assert_established(peer)


@both_roles
def test_key_updates_that_cross(role):
    peer = established(role)
    assert peer.connection.key_update(True) == 1
    peer.update_write_key(REQUESTED)
    peer.settle()
    peer.update_write_key(NOT_REQUESTED)
    assert_established(peer)
    assert peer.key_updates == [REQUESTED, NOT_REQUESTED]


@both_roles
@pytest.mark.parametrize("fragment", [1, 4, 5])
def test_key_update_in_fragments(role, fragment):
    peer = established(role, fragment=fragment)
    peer.update_write_key(REQUESTED)
    assert_established(peer)
    assert peer.key_updates == [NOT_REQUESTED]


def behind_key_update(data):
    """Something in the record of a KeyUpdate (RFC 8446, 5.1)."""

    def action(peer):
        peer.queue(KeyUpdate())
        peer.queue(data)

    return action


def message(code, content):
    return lambda peer: peer.queue(Raw(code, content))


def key_update_without_new_key(peer):
    peer.queue(KeyUpdate())
    peer.send_data(b"under the old key")


def new_key_without_key_update(peer):
    peer.set_write_key(peer.write_key.next())
    peer.send_data(b"under the new key")


def unprotected_key_update(peer):
    peer.send_record(CT.handshake, KeyUpdate().encode(), key=None)


def key_update_under_the_new_key(peer):
    peer.set_write_key(peer.write_key.next())
    peer.queue(KeyUpdate())


KEY_UPDATES = {
    "request_update 2": (IllegalParameter, message(HandshakeType.key_update, b"\2")),
    "request_update 255": (IllegalParameter, message(HandshakeType.key_update, b"\xff")),
    "empty": (DecodeError, message(HandshakeType.key_update, b"")),
    "2 bytes": (DecodeError, message(HandshakeType.key_update, b"\0\0")),
    "part of a header behind it": (UnexpectedMessage, behind_key_update(b"\x18")),
    "part of a message behind it": (UnexpectedMessage, behind_key_update(b"\x18\0\0\1")),
    "another behind it": (UnexpectedMessage, behind_key_update(KeyUpdate())),
    "a ticket behind it": (UnexpectedMessage, behind_key_update(NewSessionTicket())),
    "old key kept": (BadRecordMac, key_update_without_new_key),
    "new key without it": (BadRecordMac, new_key_without_key_update),
    "under the new key": (BadRecordMac, key_update_under_the_new_key),
    "unprotected": (UnexpectedMessage, unprotected_key_update),
}


@both_roles
@pytest.mark.parametrize("name", KEY_UPDATES)
def test_bad_key_update(role, name):
    error, action = KEY_UPDATES[name]
    peer = established(role)
    action(peer)
    assert_refuses(peer, error)


@both_roles
@pytest.mark.parametrize("request_update", [REQUESTED, NOT_REQUESTED])
@pytest.mark.parametrize("between", [None, b""], ids=["alone", "empty data between"])
def test_key_update_flood(role, request_update, between):
    peer = established(role, {"limits": Limits(max_key_updates=5)})
    for _ in range(6):
        peer.update_write_key(request_update)
        if between is not None:
            peer.send_data(between)
    assert_refuses(peer, UnexpectedMessage)
    assert len(peer.key_updates) <= 5


@both_roles
def test_key_updates_with_data_between(role):
    peer = established(role, {"limits": Limits(max_key_updates=2)})
    for _ in range(20):
        peer.update_write_key()
        peer.update_write_key()
        peer.send_data(b"x")
    assert_established(peer)


@both_roles
def test_no_answer_after_close_notify(role):
    # RFC 8446, 6.1: nothing follows it.
    peer = established(role)
    assert peer.connection.shutdown() == 0
    peer.update_write_key(REQUESTED)
    peer.send_data(b"late")
    peer.settle()
    assert peer.alerts == [CLOSE_NOTIFY]
    assert peer.key_updates == []
    assert peer.delivered.endswith(b"late")


# --- Keys that are used up (RFC 8446, 5.5)


def records_per_key(peer):
    """How many records each key of the connection has protected, since the last look."""
    counts = [0]
    for record in peer.records[peer.seen :]:
        counts[-1] += 1
        if record.content_type == CT.handshake:
            counts.append(0)
    peer.seen = len(peer.records)
    return counts


@both_roles
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_key_is_updated_by_itself(role, limit):
    peer = established(role, {"limits": Limits(max_records_per_key=limit)})
    peer.seen = len(peer.records)
    start, total = len(peer.data), b""
    for i in range(30):
        data = b"%d " % i
        total += data
        assert peer.connection.write(data) == len(data)
    peer.settle()
    assert peer.data[start:] == total
    assert set(peer.key_updates) == {NOT_REQUESTED}
    # The KeyUpdate itself is one record more.
    assert max(records_per_key(peer)) <= limit + 1
    assert len(peer.key_updates) >= 29 // limit
    assert_established(peer)


@both_roles
@pytest.mark.parametrize("limit", [1, 3, 4, 6])
def test_key_is_updated_within_large_writes(role, limit):
    peer = established(role, {"limits": Limits(max_records_per_key=limit)})
    peer.seen = len(peer.records)
    start, data = len(peer.data), b"x" * (20 * MAX_PLAINTEXT)
    sent = 0
    while sent < len(data):
        sent += peer.connection.write(data[sent:])
    peer.settle()
    assert len(peer.data) - start == len(data)
    assert max(records_per_key(peer)) <= limit + 1
    assert_established(peer)


# --- NewSessionTicket (RFC 8446, 4.6.1)

TICKETS = {
    "lives longer than seven days": (IllegalParameter, NewSessionTicket(ticket_lifetime=604801)),
    "lives for ever": (IllegalParameter, NewSessionTicket(ticket_lifetime=0xFFFFFFFF)),
    "is empty": (DecodeError, NewSessionTicket(ticket=b"")),
    "has no extensions": (DecodeError, NewSessionTicket(extensions=None)),
    "has a trailing byte": (DecodeError, NewSessionTicket(trailing=b"\0")),
    "has an extension twice": (IllegalParameter, NewSessionTicket(extensions=[(0xFAFA, b"")] * 2)),
    "has short early_data": (DecodeError, NewSessionTicket(extensions=[(E.early_data, b"\0\0")])),
    "has empty early_data": (DecodeError, NewSessionTicket(extensions=[(E.early_data, b"")])),
    "has long early_data": (
        DecodeError,
        NewSessionTicket(extensions=[(E.early_data, u32(1) + b"\0")]),
    ),
    "has a key_share": (
        IllegalParameter,
        NewSessionTicket(extensions=[(E.key_share, key_share_entry(29, bytes(32)))]),
    ),
    "has a server_name": (IllegalParameter, NewSessionTicket(extensions=[(E.server_name, b"")])),
    **{
        f"is cut to {size}": (
            DecodeError,
            Raw(HandshakeType.new_session_ticket, NewSessionTicket().body()[:size]),
        )
        for size in (0, 4, 8, 9, 10, 12, 17, 18, 19)
    },
}


@pytest.mark.parametrize("name", TICKETS)
def test_bad_session_ticket(name):
    error, ticket = TICKETS[name]
    peer = established("client")
    peer.queue(ticket)
    assert_refuses(peer, error)


@pytest.mark.parametrize(
    "ticket",
    [
        NewSessionTicket(ticket_lifetime=0),
        NewSessionTicket(ticket_lifetime=604800),
        NewSessionTicket(ticket_nonce=b""),
        NewSessionTicket(ticket_nonce=bytes(255), ticket=bytes(60000)),
        NewSessionTicket(extensions=[(E.early_data, u32(0xFFFFFFFF)), (0x0A0A, b"x")]),
    ],
)
@pytest.mark.parametrize("fragment", [100, MAX_PLAINTEXT])
def test_session_ticket_is_taken(ticket, fragment):
    peer = established("client", fragment=fragment)
    peer.queue(ticket)
    assert_established(peer)


def test_session_ticket_flood():
    peer = established("client", {"limits": Limits(max_session_tickets=5)})
    for _ in range(5):
        peer.queue(NewSessionTicket())
        peer.send_data(b"x")
    assert_established(peer)
    peer.queue(NewSessionTicket())
    assert_refuses(peer, UnexpectedMessage)


def test_server_takes_no_session_ticket():
    peer = established("server")
    peer.queue(NewSessionTicket())
    assert_refuses(peer, UnexpectedMessage)


# --- Post-handshake authentication (RFC 8446, 4.6.2), which fasths does not offer


@pytest.mark.parametrize("context", [b"", b"context"])
def test_post_handshake_certificate_request(context):
    peer = established("client", request_certificate=True)
    peer.queue(
        CertificateRequest(
            certificate_request_context=context,
            extensions=[(E.signature_algorithms, vector(2, u16(0x0403)))],
        )
    )
    assert_refuses(peer, UnexpectedMessage)


# --- The end (RFC 8446, 6.1)


@both_roles
@pytest.mark.parametrize("level", [WARNING, FATAL])
@pytest.mark.parametrize("together", [True, False])
def test_data_behind_close_notify_is_ignored(role, level, together):
    peer = established(role)
    peer.send_data(b"last")
    peer.send_alert(AlertDescription.close_notify, level)
    if not together:
        peer.settle()
    peer.send_data(b"ignored")
    peer.send_alert(AlertDescription.internal_error)
    peer.send_raw(b"\xff" * 100)
    peer.settle()
    connection = peer.connection
    assert peer.delivered.endswith(b"last")
    assert peer.closed
    assert connection.read() == b""
    assert connection.read_into(bytearray(1)) == 0
    assert connection.get_error(0) is SSLErrorCode.ZERO_RETURN
    # This direction is still open.
    assert connection.write(b"still here") == 10
    peer.settle()
    assert peer.data.endswith(b"still here")
    assert peer.alerts == []
    assert connection.shutdown() == 1
    peer.settle()
    assert peer.alerts == [CLOSE_NOTIFY]
    assert connection.last_error is None


@both_roles
def test_data_behind_ones_own_close_notify_is_read(role):
    peer = established(role)
    connection = peer.connection
    assert connection.shutdown() == 0
    peer.send_data(b"still here")
    peer.settle()
    assert peer.alerts == [CLOSE_NOTIFY]
    assert peer.delivered.endswith(b"still here")
    with pytest.raises(RuntimeError):
        connection.write(b"x")
    peer.send_alert(AlertDescription.close_notify, WARNING)
    peer.settle()
    assert connection.shutdown() == 1
    assert peer.alerts == [CLOSE_NOTIFY]
    assert connection.last_error is None


@both_roles
def test_error_behind_ones_own_close_notify(role):
    # RFC 8446, 6.1: it was the last thing to be sent, so that no alert follows it.
    peer = established(role)
    assert peer.connection.shutdown() == 0
    peer.send_record(CT.handshake, Raw(99).encode())
    peer.settle()
    assert peer.alerts == [CLOSE_NOTIFY]
    error = peer.connection.last_error
    assert type(error) is UnexpectedMessage
    assert error.origin is Origin.LOCAL


@both_roles
def test_close_notify_inside_a_message(role):
    peer = established(role)
    peer.queue(b"\x18\0")
    peer.send_alert(AlertDescription.close_notify, WARNING)
    assert_refuses(peer, UnexpectedMessage)


def assert_canceled(peer, error=None):
    """user_canceled, then close_notify (RFC 8446, 6.1), and whatever came then, nothing more."""
    peer.settle()
    assert peer.alerts == [USER_CANCELED, CLOSE_NOTIFY]
    assert [record.content_type for record in peer.records[-2:]] == [CT.alert] * 2
    assert not peer.connection.established
    assert type(peer.connection.last_error) is (error or type(None))
    assert peer.delivered == b""


@pytest.mark.parametrize("behind", ["nothing", "handshake", "fault"])
def test_client_shuts_down_during_the_handshake(behind):
    peer = client_of()
    peer.read_client_hello()
    assert peer.connection.shutdown() == 0
    peer.settle()
    if behind == "handshake":
        peer.send_server_hello()
        peer.send_encrypted_flight()
        peer.send_data(b"data")
    elif behind == "fault":
        peer.send_record(99, b"x")
    assert_canceled(peer, UnexpectedMessage if behind == "fault" else None)


@pytest.mark.parametrize("behind", ["nothing", "handshake", "fault"])
def test_server_shuts_down_during_the_handshake(behind):
    peer = server_of()
    peer.send_client_hello()
    peer.turn()
    assert peer.connection.shutdown() == 0
    peer.read_server_hello(peer.receive(ServerHello))
    peer.read_encrypted_flight()
    peer.settle()
    if behind == "handshake":
        peer.send_client_flight()
        peer.send_data(b"data")
    elif behind == "fault":
        peer.send_data(b"too early")
    assert_canceled(peer, UnexpectedMessage if behind == "fault" else None)
    assert all(record.outer_type == CT.application_data for record in peer.records[-2:])


@both_roles
def test_transport_ends_without_close_notify(role):
    peer = established(role)
    peer.send_data(b"last")
    peer.settle()
    peer.bio.write_eof()
    connection = peer.connection
    assert connection.read() is None
    error = connection.last_error
    assert type(error) is TransportError
    assert error.origin is Origin.TRANSPORT
    assert (error.alert, error.os_error) == (None, None)
    assert connection.get_error(-1) is SSLErrorCode.SSL
    assert connection.write(b"x") == -1
    # RFC 8446, 6.1: there is nobody to tell.
    assert peer.bio.pending == 0


@both_roles
def test_transport_ends_after_close_notify(role):
    peer = established(role)
    peer.send_alert(AlertDescription.close_notify, WARNING)
    peer.settle()
    peer.bio.write_eof()
    assert peer.connection.read() == b""
    assert peer.connection.last_error is None


@both_roles
def test_refusal_drops_unread_data(role):
    """What came before the fault in the same read is delivered, what comes after is not."""
    peer = established(role)
    peer.send_data(b"before")
    peer.send_record(99, b"x", key=None)
    peer.send_data(b"after")
    assert_refuses(peer, UnexpectedMessage)
    assert peer.delivered == b"to the connection" + b"before"
