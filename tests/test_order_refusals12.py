"""Messages of TLS 1.2 out of order, which both roles refuse (RFC 5246, 7.1, 7.3 and 7.4).

RFC 5077, 3.1 has the order with tickets, RFC 6066, 8 that with CertificateStatus.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from refusals import assert_established, assert_refuses, credential
from refusals12 import BOTH_VERSIONS, TLS12_ALONE, established, peer_of, swapped
from scripted12_messages import (
    CertificateRequest12,
    HelloRequest,
    NewSessionTicket12,
    ServerHelloDone,
    any_message12,
)
from scripted_messages import ClientHello, Finished, Raw
from scripted_peer import before, followed_by, instead
from scripted_records import WARNING, Silence
from test_client_refusals import MESSAGE_TYPES

from fasths import AlertDescription, HandshakeType, Limits, Verify
from fasths.wire.errors import DecodeError, UnexpectedMessage

H = HandshakeType
RESUMPTIONS = (None, "ticket", "id")
both_roles = pytest.mark.parametrize("role", ["client", "server"])
cut_in_two_ways = pytest.mark.parametrize("coalesce", [True, False], ids=["coalesced", "apart"])

# All points of the scripts that a full handshake can have, and those of a resumption.
FULL = {
    "client": (
        "server_hello",
        "certificate",
        "certificate_status",
        "server_key_exchange",
        "certificate_request",
        "server_hello_done",
        "new_session_ticket",
        "change_cipher_spec",
        "finished",
    ),
    "server": (
        "client_hello",
        "certificate",
        "client_key_exchange",
        "certificate_verify",
        "change_cipher_spec",
        "finished",
    ),
}
ABBREVIATED = {
    "client": ("server_hello", "new_session_ticket", "change_cipher_spec", "finished"),
    "server": ("client_hello", "change_cipher_spec", "finished"),
}
# What makes a handshake have them.
EVERYTHING = {
    "client": {"request_certificate": True, "ocsp_response": b"response", "tickets": True},
    "server": {"credential": credential()},
}
CONTEXT = {"client": {}, "server": {"verify": Verify.REQUIRED}}
# What each state takes; no state takes what begins another handshake.
WELCOME = {
    ("client", "server_hello"): {H.server_hello},
    ("client", "certificate"): {H.certificate},
    # RFC 6066, 8: a server may have announced a status that it does not have then.
    ("client", "certificate_status"): {H.certificate_status, H.server_key_exchange},
    ("client", "server_key_exchange"): {H.server_key_exchange},
    ("client", "certificate_request"): {H.certificate_request, H.server_hello_done},
    ("client", "server_hello_done"): {H.server_hello_done},
    ("client", "new_session_ticket"): {H.new_session_ticket},
    ("client", "change_cipher_spec"): set(),
    ("client", "finished"): {H.finished},
    # Answered with an alert.
    ("client", None): {H.hello_request},
    ("server", "client_hello"): {H.client_hello},
    ("server", "certificate"): {H.certificate},
    ("server", "client_key_exchange"): {H.client_key_exchange},
    ("server", "certificate_verify"): {H.certificate_verify},
    ("server", "change_cipher_spec"): set(),
    ("server", "finished"): {H.finished},
    ("server", None): {H.client_hello},
}


def everything(role, versions=TLS12_ALONE, **options):
    """The peer of a connection in whose handshake there is everything."""
    return peer_of(role, {**CONTEXT[role], **versions}, **{**EVERYTHING[role], **options})


# --- Every message in every state


def states():
    for role in ("client", "server"):
        for resumed in RESUMPTIONS:
            for point in (*(ABBREVIATED if resumed else FULL)[role], None):
                name = f"{role}-{resumed or 'full'}-{point or 'connected'}"
                yield pytest.param(role, resumed, point, id=name)


@pytest.mark.parametrize(("role", "resumed", "point"), list(states()))
@pytest.mark.parametrize("versions", [TLS12_ALONE, BOTH_VERSIONS], ids=["alone", "both"])
def test_every_message_in_the_wrong_state(role, resumed, point, versions):
    welcome = set(WELCOME[role, point])
    if role == "client":
        # RFC 5246, 7.4.1.1: ignored in a handshake.
        welcome.add(H.hello_request)
    for code in sorted(MESSAGE_TYPES | set(map(int, HandshakeType))):
        if code in welcome:
            continue
        message = any_message12(code)
        if point is None:
            peer = everything(role, versions, resumed=resumed)
            peer.handshake()
            assert_established(peer)
            peer.send(message)
            assert_refuses(peer, UnexpectedMessage)
        else:
            peer = everything(role, versions, resumed=resumed, at={point: instead(message)})
            assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Left out, twice, and in another order

OPTIONAL = ("certificate_status", "certificate_request")


def places(*, without=()):
    for role in ("client", "server"):
        for resumed in RESUMPTIONS:
            for point in (ABBREVIATED if resumed else FULL)[role]:
                if point not in without:
                    yield pytest.param(
                        role, resumed, point, id=f"{role}-{resumed or 'full'}-{point}"
                    )


@pytest.mark.parametrize(("role", "resumed", "point"), list(places(without=("finished",))))
@cut_in_two_ways
def test_message_left_out(role, resumed, point, coalesce):
    peer = everything(role, resumed=resumed, coalesce=coalesce, at={point: instead()})
    if point in OPTIONAL:
        peer.request_certificate = point != "certificate_request"
        peer.handshake()
        assert_established(peer)
    elif point in ("server_hello_done", "client_hello"):
        # The end of a flight: the connection waits for it.
        with pytest.raises(Silence):
            peer.handshake()
        assert peer.connection.last_error is None
        assert not peer.connection.established
    else:
        assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
@pytest.mark.parametrize("resumed", RESUMPTIONS, ids=str)
def test_finished_left_out(role, resumed):
    peer = everything(role, resumed=resumed, at={"finished": instead()})
    if role == "client" and resumed is not None:
        # The client has the last word.
        with pytest.raises(Silence):
            peer.handshake()
    elif role == "server" and resumed is None:
        with pytest.raises(Silence):
            peer.handshake()
    else:
        peer.handshake()
    assert peer.connection.last_error is None
    assert not peer.connection.established
    peer.send_data(b"data that came too early")
    assert_refuses(peer, UnexpectedMessage)
    assert peer.delivered == b""


@pytest.mark.parametrize(
    ("role", "resumed", "point"), list(places(without=("change_cipher_spec",)))
)
@cut_in_two_ways
def test_message_twice(role, resumed, point, coalesce):
    peer = everything(
        role,
        resumed=resumed,
        coalesce=coalesce,
        # The second one is in nobody's transcript.
        at={point: lambda peer, message: followed_by(message)(peer, message)},
    )
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def pairs():
    for role in ("client", "server"):
        for resumed in RESUMPTIONS:
            for first, second in pairwise((ABBREVIATED if resumed else FULL)[role]):
                # The other side speaks in between, or as soon as the second one comes first.
                if {first, second} & {"server_hello_done", "client_hello"}:
                    continue
                yield pytest.param(
                    role, resumed, first, second, id=f"{role}-{resumed or 'full'}-{second}-{first}"
                )


@pytest.mark.parametrize(("role", "resumed", "first", "second"), list(pairs()))
@cut_in_two_ways
def test_neighbours_swapped(role, resumed, first, second, coalesce):
    peer = everything(role, resumed=resumed, coalesce=coalesce, at=swapped(first, second))
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@cut_in_two_ways
def test_certificate_request_behind_server_hello_done(coalesce):
    request = CertificateRequest12(supported_signature_algorithms=[0x0403])
    peer = peer_of("client", coalesce=coalesce, at={"server_hello_done": followed_by(request)})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@cut_in_two_ways
@pytest.mark.parametrize("point", FULL["client"][:5])
def test_message_behind_server_hello_done(point, coalesce):
    """What the client has left behind, or has done without."""
    held = []

    def hold(peer, message):
        held.append(message)

    def again(peer, message):
        return followed_by(*held)(peer, message)

    at = {point: hold, "server_hello_done": again}
    peer = everything("client", coalesce=coalesce, at=at)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Messages over a change of keys

ACROSS = {
    "part of a header": b"\x14",
    "part of a message": b"\x14\0\0\x0c\0",
    "ServerHelloDone": ServerHelloDone().encode(),
    "Finished": Finished(verify_data=bytes(12)).encode(),
    "NewSessionTicket": NewSessionTicket12().encode(),
}


@both_roles
@pytest.mark.parametrize("name", ACROSS)
@pytest.mark.parametrize("resumed", RESUMPTIONS, ids=str)
@cut_in_two_ways
def test_message_before_change_cipher_spec(role, name, resumed, coalesce):
    def edit(peer):
        peer.send(ACROSS[name])

    peer = everything(
        role, resumed=resumed, coalesce=coalesce, at={"change_cipher_spec": before(edit)}
    )
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
@pytest.mark.parametrize("name", [name for name in ACROSS if not name.startswith("part")])
@pytest.mark.parametrize("resumed", RESUMPTIONS, ids=str)
def test_message_behind_finished(role, name, resumed):
    peer = everything(role, resumed=resumed, at={"finished": followed_by(ACROSS[name])})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Requests to negotiate again (RFC 5246, 7.4.1.1; RFC 5746, 4.2 and 4.4)

AGAIN = {"client": HelloRequest().encode(), "server": ClientHello().encode()}


@pytest.mark.parametrize(
    ("point", "resumed"),
    [
        *((point, None) for point in FULL["client"]),
        *((point, resumed) for point in ABBREVIATED["client"] for resumed in RESUMPTIONS[1:]),
    ],
)
def test_hello_request_in_a_handshake_is_ignored(point, resumed):
    peer = everything(
        "client", resumed=resumed, at={point: before(lambda peer: peer.queue(HelloRequest()))}
    )
    peer.handshake()
    assert_established(peer)


@both_roles
@pytest.mark.parametrize("resumed", RESUMPTIONS, ids=str)
def test_renegotiation_is_declined(role, resumed):
    peer = established(role, {"limits": Limits(max_renegotiation_requests=3)}, resumed=resumed)
    delivered = peer.delivered
    for number in range(1, 4):
        peer.queue(AGAIN[role])
        peer.settle()
        assert peer.alerts == [(WARNING, AlertDescription.no_renegotiation)] * number
        peer.send_data(b"x")
        peer.settle()
    assert peer.delivered == delivered + b"xxx"
    assert_refuses_one_more(peer, role)


def assert_refuses_one_more(peer, role):
    peer.alerts.clear()
    peer.queue(AGAIN[role])
    assert_refuses(peer, UnexpectedMessage)


@both_roles
def test_many_renegotiations_in_one_record(role):
    peer = established(role)
    peer.queue(AGAIN[role] * 50)
    assert_refuses(peer, UnexpectedMessage)


def test_too_many_hello_requests_in_a_handshake():
    limits = Limits(max_renegotiation_requests=5)
    at = {"certificate": before(lambda peer: peer.queue(HelloRequest().encode() * 6))}
    peer = peer_of("client", {"limits": limits}, at=at)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def test_hello_requests_in_and_after_a_handshake_count_together():
    limits = Limits(max_renegotiation_requests=5)
    at = {"certificate": before(lambda peer: peer.queue(HelloRequest().encode() * 5))}
    peer = established("client", {"limits": limits}, at=at)
    peer.queue(HelloRequest())
    assert_refuses(peer, UnexpectedMessage)


@pytest.mark.parametrize("point", ["server_hello", "certificate", "finished"])
def test_hello_request_with_a_body(point):
    request = Raw(H.hello_request, b"x")
    peer = everything("client", at={point: before(lambda peer: peer.queue(request))})
    assert_refuses(peer, DecodeError, peer.handshake)
