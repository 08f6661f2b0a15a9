"""What a client refuses of a server that resumes, or says so (RFC 8446, 4.2.8 to 4.2.11 and 4.6.1).

And what it leaves alone: it goes on in full where the server does not resume.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from helpers import HOST, TLS13_SUITES
from refusals import Case, assert_established, assert_refuses, case, changed, credential
from resumptions import (
    KEY,
    assert_resumed,
    assert_resumes,
    client_context,
    client_with,
    session_with,
)
from scripted_keys import generate
from scripted_messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
    key_share_entry,
    offered_psks,
    protocol_names,
    u16,
    u32,
    vector,
)
from scripted_peer import (
    all_of,
    before,
    cut,
    instead,
    put,
    twice,
    with_extension,
    without_extension,
)
from scripted_psk import PSK_KE, external_psk

from fasths import CipherSuite, ContentType, ExtensionType, ExternalPSK, Limits, NamedGroup
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    DecryptError,
    IllegalParameter,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
SHA256, SHA384, CHACHA20 = 0x1301, 0x1302, 0x1303
P256, X25519 = NamedGroup.secp256r1, NamedGroup.x25519
ALPN = E.application_layer_protocol_negotiation
MAXIMUM = 1000
SELECTED = with_extension(E.pre_shared_key, u16(0))


def resuming_client(
    settings: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    *,
    alpn: bytes | None = None,
    early_data: bytes = b"",
) -> Any:
    """A client with a session, whose scripted server knows it. alpn: of the first connection."""
    context = client_context(**(settings or {}))
    ticket = {"max_early_data_size": MAXIMUM}
    session, psk = session_with(context, ticket=ticket, alpn=alpn)
    return client_with(
        context, session, early_data=early_data, **{"psks": [psk], **(options or {})}
    )


def check(case: Case, **options: Any) -> Any:
    peer = resuming_client(case.context, {"at": case.at, **case.options}, **options)
    assert_refuses(peer, case.error, peer.handshake)
    return peer


# --- ServerHello (RFC 8446, 4.2.8, 4.2.9 and 4.2.11)


def server_hello(name: str, error: Any, *edits: Any, **options: Any) -> Any:
    return case(name, error, "server_hello", all_of(*edits), **options)


PSK_ALONE = {"context": {"psk_key_exchange_modes": ("psk_ke",)}}
SERVER_HELLO = [
    *(
        server_hello(
            f"selected_identity {number}",
            IllegalParameter,
            with_extension(E.pre_shared_key, u16(number)),
        )
        for number in (1, 2, 0x100, 0xFFFF)
    ),
    *(
        server_hello(
            f"pre_shared_key of {len(data)} bytes",
            DecodeError,
            with_extension(E.pre_shared_key, data),
        )
        for data in (b"", b"\0", b"\0\0\0", offered_psks())
    ),
    server_hello("pre_shared_key twice", IllegalParameter, twice(E.pre_shared_key)),
    server_hello("suite of another hash", IllegalParameter, SELECTED, suite=SHA384),
    server_hello("no key_share", IllegalParameter, without_extension(E.key_share)),
    server_hello(
        "no key_share, and another hash",
        IllegalParameter,
        SELECTED,
        without_extension(E.key_share),
        suite=SHA384,
    ),
    server_hello(
        "key_share with psk_ke",
        IllegalParameter,
        with_extension(E.key_share, key_share_entry(X25519, generate(X25519)[1])),
        **PSK_ALONE,
    ),
    server_hello(
        "psk_key_exchange_modes",
        IllegalParameter,
        with_extension(E.psk_key_exchange_modes, vector(1, b"\1")),
    ),
    server_hello("early_data", IllegalParameter, with_extension(E.early_data)),
    server_hello(
        "key_share of another group",
        IllegalParameter,
        with_extension(E.key_share, key_share_entry(P256, b"\4" + bytes(64))),
    ),
]


@pytest.mark.parametrize("case", SERVER_HELLO)
def test_server_hello(case):
    peer = check(case)
    assert peer.records[-1].outer_type == ContentType.alert


@pytest.mark.parametrize("suite", [SHA256, SHA384, CHACHA20])
@pytest.mark.parametrize("mode", ["psk_dhe_ke", "psk_ke"])
@pytest.mark.parametrize("retry", [0, P256])
def test_resumption(suite, mode, retry):
    context = client_context(psk_key_exchange_modes=(mode,))
    session, psk = session_with(context, suite=suite)
    peer = client_with(context, session, psks=[psk], retry=retry)
    assert_resumes(peer)
    assert peer.connection.cipher_suite == suite
    assert (peer.psk_mode == PSK_KE) is (mode == "psk_ke")


def test_another_suite_of_the_same_hash():
    peer = resuming_client(options={"suite": CHACHA20})
    assert_resumes(peer)
    assert peer.connection.cipher_suite == CHACHA20


@pytest.mark.parametrize("options", [{"psks": ()}, {"psk_modes": ()}, {"suite": SHA384}])
def test_server_that_does_not_resume(options):
    peer = resuming_client(options=options)
    assert_resumes(peer, False)
    assert peer.connection.peer_certificates == tuple(credential().chain_der)


@pytest.mark.parametrize("retry", [0, P256], ids=["", "after-retry"])
def test_psk_that_was_not_offered_is_refused(retry):
    peer = client_with(client_context(), at={"server_hello": SELECTED}, retry=retry)
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


def test_server_that_does_not_know_the_key_is_refused():
    peer = resuming_client(options={"psks": (), "at": {"server_hello": SELECTED}})
    # Neither side can open what the other one says, not even the alert.
    with pytest.raises(InvalidTag):
        peer.handshake()
    assert type(peer.connection.last_error) is BadRecordMac
    assert not peer.connection.established
    assert not peer.connection.session_reused


# --- HelloRetryRequest (RFC 8446, 4.1.4)


@pytest.mark.parametrize("options", [{"retry": P256}, {"cookie": b"cookie"}])
def test_hello_retry_request_of_another_hash(options):
    """The session does not fit any more, and is not offered again."""
    peer = resuming_client(options={"suite": SHA384, **options})
    assert_resumes(peer, False)
    assert peer.first_hello.extension(E.pre_shared_key) is not None
    assert peer.hello.extension(E.pre_shared_key) is None


def test_psk_of_another_hash_than_hello_retry_request_is_refused():
    peer = resuming_client(
        options={"suite": SHA384, "retry": P256, "at": {"server_hello": SELECTED}}
    )
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


def test_hello_retry_request_with_a_psk_is_refused():
    peer = resuming_client(options={"retry": P256, "at": {"hello_retry_request": SELECTED}})
    assert_refuses(peer, IllegalParameter, peer.handshake)


def test_selected_identity_after_hello_retry_request():
    for number, error in ((0, None), (1, IllegalParameter)):
        edit = with_extension(E.pre_shared_key, u16(number))
        peer = resuming_client(options={"retry": P256, "at": {"server_hello": edit}})
        if error is None:
            assert_resumes(peer)
        else:
            assert_refuses(peer, error, peer.handshake)


def test_hello_retry_request_drops_one_of_two_psks():
    context = client_context(
        external_psks=(ExternalPSK(b"external", KEY, hash="sha384"),),
    )
    session, psk = session_with(context)
    psks = [psk, external_psk(b"external", KEY, "sha384")]
    peer = client_with(context, session, psks=psks, suite=SHA384, retry=P256)
    assert_resumes(peer)
    assert len(peer.offered.identities) == 1
    # What was the second one is the first one now.
    out_of_range = {"server_hello": with_extension(E.pre_shared_key, u16(1))}
    session, psk = session_with(context)
    peer = client_with(
        context, session, psks=[psk, psks[1]], suite=SHA384, retry=P256, at=out_of_range
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- The encrypted flight of a resumed handshake (RFC 8446, 4.3 and 4.4)


def in_place_of_finished(message: Any) -> Any:
    return case(
        f"{type(message).__name__} in place of Finished",
        UnexpectedMessage,
        "finished",
        instead(message),
    )


FLIGHT = [
    *map(
        in_place_of_finished,
        (
            Certificate(certificate_list=[(credential().chain_der[0], [])]),
            Certificate(),
            CertificateRequest(extensions=[(E.signature_algorithms, vector(2, u16(0x0403)))]),
            CertificateVerify(),
            CompressedCertificate(),
            EncryptedExtensions(),
            EndOfEarlyData(),
            KeyUpdate(),
            NewSessionTicket(),
            ServerHello(),
        ),
    ),
    case("Finished changed", DecryptError, "finished", put(verify_data=changed)),
    case("Finished of zeros", DecryptError, "finished", put(verify_data=bytes(32))),
    case("Finished cut", DecodeError, "finished", cut(31)),
    case("EncryptedExtensions left out", UnexpectedMessage, "encrypted_extensions", instead()),
    # RFC 8446, 4.2.10
    case(
        "early_data that was not offered",
        UnsupportedExtension,
        "encrypted_extensions",
        with_extension(E.early_data),
    ),
    case(
        "pre_shared_key in EncryptedExtensions",
        IllegalParameter,
        "encrypted_extensions",
        SELECTED,
    ),
    case(
        "protocol that was not offered",
        UnsupportedExtension,
        "encrypted_extensions",
        with_extension(ALPN, protocol_names(b"h2")),
    ),
]


@pytest.mark.parametrize("case", FLIGHT)
def test_flight(case):
    peer = check(case)
    assert peer.records[-1].outer_type == ContentType.application_data


def test_certificate_of_a_full_handshake_is_not_left_out():
    """A server cannot make a resumption of what is none."""
    context = client_context()
    session, _ = session_with(context)
    for point in ("certificate", "certificate_verify"):
        peer = client_with(context, session, at={point: instead()})
        assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Early data (RFC 8446, 4.2.10)

EARLY = b"early data"


def early(name: str, error: Any, *edits: Any, alpn: bytes | None = None, **options: Any) -> Any:
    """alpn: of the first connection; options: those of the second one."""
    param = case(name, error, "encrypted_extensions", all_of(*edits), **options)
    param.values[0].options["first_alpn"] = alpn
    return param


ACCEPTED = with_extension(E.early_data)
TWO_PROTOCOLS = {"alpn": ("h2", "http/1.1")}
H2 = with_extension(ALPN, protocol_names(b"h2"))
HTTP1 = with_extension(ALPN, protocol_names(b"http/1.1"))
EARLY_DATA = [
    # The server knows the session, and does not use it.
    early("accepted without the PSK", IllegalParameter, ACCEPTED, psk_modes=()),
    early("accepted with another hash", IllegalParameter, ACCEPTED, suite=SHA384),
    early("accepted with another suite", IllegalParameter, ACCEPTED, suite=CHACHA20),
    early("accepted with another protocol", IllegalParameter, ACCEPTED, HTTP1,
          alpn=b"h2", context=TWO_PROTOCOLS),
    early("accepted without the protocol", IllegalParameter, ACCEPTED,
          alpn=b"h2", context=TWO_PROTOCOLS),
    early("accepted with a new protocol", IllegalParameter, ACCEPTED, H2, context=TWO_PROTOCOLS),
    early("accepted after HelloRetryRequest", UnsupportedExtension, ACCEPTED, retry=P256),
    early("accepted after a cookie", UnsupportedExtension, ACCEPTED, cookie=b"cookie"),
    early("accepted with a size", DecodeError, with_extension(E.early_data, u32(MAXIMUM))),
    early("accepted twice", IllegalParameter, ACCEPTED, twice(E.early_data)),
]  # fmt: skip


@pytest.mark.parametrize("case", EARLY_DATA)
def test_early_data(case):
    alpn = case.options.pop("first_alpn")
    check(case, alpn=alpn, early_data=EARLY)


def test_early_data_accepted_with_another_psk_is_refused():
    # RFC 8446, 4.2.11: only with the first identity.
    context = client_context(external_psks=(ExternalPSK(b"external", KEY),))
    session, psk = session_with(context, ticket={"max_early_data_size": MAXIMUM})

    def second(peer, message):
        peer.psk, peer.selected_identity = peer.psks[1], 1
        message.set(E.pre_shared_key, u16(1))

    options = {"psks": [psk, external_psk(b"external", KEY)], "early_data": EARLY}
    at = {"server_hello": second}
    peer = client_with(context, session, at={**at, "encrypted_extensions": ACCEPTED}, **options)
    assert_refuses(peer, IllegalParameter, peer.handshake)
    session, options["psks"][0] = session_with(context, ticket={"max_early_data_size": MAXIMUM})
    assert_rejected(client_with(context, session, at=at, **options))


def assert_rejected(peer: Any, resumed: bool = True) -> None:
    """The application hears of it once, and the handshake comes about."""
    peer.handshake()
    assert_resumed(peer, resumed)
    assert peer.early_data_rejections == 1
    assert peer.connection.early_data_accepted is False


REJECTED = {
    "not accepted": ({}, True),
    "full handshake": ({"psk_modes": ()}, False),
    "unknown PSK": ({"psks": ()}, False),
    "another hash": ({"suite": SHA384}, False),
    "another suite": ({"suite": CHACHA20, "accept_early_data": True}, True),
    "HelloRetryRequest": ({"retry": P256, "accept_early_data": True}, True),
    "HelloRetryRequest and another hash": ({"retry": P256, "suite": SHA384}, False),
    "cookie": ({"cookie": b"cookie"}, True),
}


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize("compatibility", [True, False])
def test_early_data_is_rejected(name, compatibility):
    options, resumed = REJECTED[name]
    peer = resuming_client(options={**options, "compatibility": compatibility}, early_data=EARLY)
    assert_rejected(peer, resumed)
    assert peer.skipped_records if name == "unknown PSK" else peer.early_data_read == EARLY


@pytest.mark.parametrize("suite", TLS13_SUITES, ids=lambda each: each.name)
@pytest.mark.parametrize("alpn", [None, b"h2"])
@pytest.mark.parametrize("size", [1, MAXIMUM])
def test_early_data_is_accepted(suite, alpn, size):
    settings = TWO_PROTOCOLS if alpn else {}
    context = client_context(**settings)
    ticket = {"max_early_data_size": MAXIMUM}
    session, psk = session_with(context, ticket=ticket, alpn=alpn, suite=suite)
    peer = client_with(
        context,
        session,
        early_data=b"x" * size,
        psks=[psk],
        alpn=alpn,
        accept_early_data=True,
    )
    assert_resumes(peer)
    assert peer.early_data_accepted is True
    assert peer.connection.early_data_accepted is True
    assert peer.early_data_read == b"x" * size
    assert peer.early_data_rejections == 0
    secret = peer.early_exporter_secret
    exported = peer.connection.export_early_keying_material("label", b"context", 40)
    assert exported == peer.suite.export(secret, b"label", b"context", 40)


def test_data_of_the_server_before_the_clients_finished():
    peer = resuming_client(options={"accept_early_data": True}, early_data=EARLY)
    peer.read_client_hello()
    peer.send_server_hello()
    peer.send_encrypted_flight()
    peer.send_data(b"answer")
    peer.read_client_flight()
    peer.settle()
    assert peer.delivered == b"answer"
    assert peer.early_data_read == EARLY


# What is wrong with the server's flight is refused with early data as it is without it.
WITH_EARLY_DATA = [
    case("ServerHello cut", DecodeError, "server_hello", cut(40)),
    case("selected_identity", IllegalParameter, "server_hello",
         with_extension(E.pre_shared_key, u16(1))),
    case("EncryptedExtensions cut", DecodeError, "encrypted_extensions", cut(1)),
    case("EndOfEarlyData", UnexpectedMessage, "finished", instead(EndOfEarlyData())),
    case("Certificate", UnexpectedMessage, "finished", instead(Certificate())),
    case("Finished changed", DecryptError, "finished", put(verify_data=changed)),
    case("data before Finished", UnexpectedMessage, "finished",
         before(lambda peer: peer.send_data(b"x"))),
]  # fmt: skip


@pytest.mark.parametrize("accept", [True, False], ids=["accepted", "rejected"])
@pytest.mark.parametrize("case", WITH_EARLY_DATA)
def test_fault_in_a_handshake_with_early_data(case, accept):
    case = Case(case.error, case.at, options={"accept_early_data": accept})
    peer = check(case, early_data=EARLY)
    assert not peer.connection.established


# --- NewSessionTicket (RFC 8446, 4.6.1); what is malformed is in test_post_handshake.py


def ticketed(ticket: NewSessionTicket, **settings: Any) -> Any:
    """The connection after a handshake and this ticket."""
    peer = client_with(client_context(**settings))
    peer.handshake()
    peer.queue(ticket)
    assert_established(peer)
    return peer.connection


def test_ticket_without_a_lifetime_is_not_kept():
    assert ticketed(NewSessionTicket(ticket_lifetime=0)).session is None


@pytest.mark.parametrize("lifetime", [604801, 0x7FFFFFFF, 0xFFFFFFFF])
def test_ticket_for_more_than_seven_days_is_refused(lifetime):
    peer = client_with(client_context())
    peer.handshake()
    peer.queue(NewSessionTicket(ticket_lifetime=lifetime))
    assert_refuses(peer, IllegalParameter)
    assert peer.connection.session is None


def test_empty_ticket_is_refused():
    peer = client_with(client_context())
    peer.handshake()
    peer.queue(NewSessionTicket(ticket=b""))
    assert_refuses(peer, DecodeError)


def test_what_a_ticket_says():
    session = ticketed(
        NewSessionTicket(ticket_lifetime=604800, extensions=[(E.early_data, u32(0xFFFFFFFF))])
    ).session
    assert session.lifetime == 604800
    assert session.max_early_data_size == 0xFFFFFFFF
    assert session.server_name == HOST
    assert session.cipher_suite is CipherSuite.TLS_AES_128_GCM_SHA256
    assert abs(session.created - time.time()) < 60
    assert ticketed(NewSessionTicket()).session.max_early_data_size == 0


def test_expired_session_is_not_offered():
    context = client_context()
    session, psk = session_with(context, ticket={"ticket_lifetime": 1})
    time.sleep(1.1)
    peer = client_with(context, session, psks=[psk])
    assert_resumes(peer, False)
    assert peer.hello.extension(E.pre_shared_key) is None


def test_ticket_flood_is_refused():
    peer = client_with(client_context(limits=Limits(max_session_tickets=20)))
    peer.handshake()
    for _ in range(20):
        last = peer.send_ticket()
    assert_established(peer)
    # A few are enough, and the newest is the last.
    assert 1 <= len(peer.connection.sessions) < 20
    session = peer.connection.session
    assert session == peer.connection.sessions[-1]
    peer.send_ticket()
    assert_refuses(peer, UnexpectedMessage)
    again = client_with(client_context(), session, psks=[last])
    assert_resumes(again)


def test_session_of_another_hash_is_not_offered():
    session, psk = session_with(client_context(), suite=SHA384)
    context = client_context(cipher_suites=("TLS_AES_128_GCM_SHA256",))
    peer = client_with(context, session, psks=[psk])
    assert_resumes(peer, False)
    assert peer.hello.extension(E.pre_shared_key) is None


def test_session_of_another_name_is_refused():
    session, _ = session_with(client_context())
    for hostname in ("other.test", None):
        with pytest.raises(ValueError, match="server_hostname"):
            client_with(client_context(), session, hostname=hostname)
