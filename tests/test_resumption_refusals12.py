"""What is refused when a session of TLS 1.2 is resumed, by its ticket or by its id.

RFC 5246, 7.3 and 7.4.1; RFC 5077, 3; RFC 5746, 3.4 and 3.6; RFC 7627, 5.3.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from refusals import assert_refuses, case, changed
from refusals12 import check, client_of, server_of
from scripted12_messages import NewSessionTicket12, ServerHelloDone, any_message12
from scripted_messages import server_name
from scripted_peer import (
    all_of,
    before,
    cut,
    followed_by,
    instead,
    put,
    with_extension,
    without_extension,
)

from fasths import ExtensionType
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    ProtocolVersion,
    UnexpectedMessage,
)

E = ExtensionType
ECDSA_256, RSA_128 = 0xC02C, 0xC02F
RESUMPTIONS = ("ticket", "id")


def server_hello(name, error, *edits, **options):
    return case(name, error, "server_hello", all_of(*edits), **options)


def hello(name, error, *edits, **options):
    return case(name, error, "client_hello", all_of(*edits), **options)


# --- What a client refuses


OF_A_SERVER = [
    server_hello("another suite", IllegalParameter, put(cipher_suite=ECDSA_256)),
    server_hello("a suite of another key", IllegalParameter, put(cipher_suite=RSA_128)),
    server_hello("a suite of TLS 1.3", IllegalParameter, put(cipher_suite=0x1301)),
    server_hello("a suite not offered", IllegalParameter, put(cipher_suite=0xC009)),
    server_hello("another version", ProtocolVersion, put(legacy_version=0x0302)),
    server_hello("compression", IllegalParameter, put(legacy_compression_method=1)),
    server_hello(
        "no extended_master_secret", HandshakeFailure, without_extension(E.extended_master_secret)
    ),
    server_hello(
        "no renegotiation_info", HandshakeFailure, without_extension(E.renegotiation_info)
    ),
    server_hello(
        "renegotiation_info", HandshakeFailure, with_extension(E.renegotiation_info, b"\1x")
    ),
    server_hello(
        "extended_master_secret with data",
        DecodeError,
        with_extension(E.extended_master_secret, b"\0"),
    ),
    server_hello("session_ticket with data", DecodeError, with_extension(E.session_ticket, b"\0")),
    # A session id that is not ClientHello's means a full handshake.
    server_hello(
        "another session id", UnexpectedMessage, put(legacy_session_id_echo=changed)
    ),
    server_hello("no session id", UnexpectedMessage, put(legacy_session_id_echo=b"")),
    server_hello(
        "a shorter session id", UnexpectedMessage, put(legacy_session_id_echo=lambda old: old[:-1])
    ),
    case("no ChangeCipherSpec", UnexpectedMessage, "change_cipher_spec", instead()),
    case("no Finished", UnexpectedMessage, "finished", instead(ServerHelloDone())),
    case("Finished changed", DecryptError, "finished", put(verify_data=changed)),
    case("Finished of zeros", DecryptError, "finished", put(verify_data=bytes(12))),
    case("Finished of TLS 1.3", DecodeError, "finished", put(verify_data=bytes(32))),
    case(
        "a full handshake all the same",
        UnexpectedMessage,
        "change_cipher_spec",
        before(lambda peer: peer.send_certificate()),
    ),
    case("ServerHello twice", UnexpectedMessage, "server_hello", followed_by(any_message12(2))),
    case(
        "ServerHelloDone", UnexpectedMessage, "change_cipher_spec", before(
            lambda peer: peer.send(ServerHelloDone()))
    ),
    # RFC 5077, 3.3: sent if and only if it was announced.
    case("a ticket that was announced, and is not sent", UnexpectedMessage, "new_session_ticket",
         instead(), tickets=True),
    case("a ticket that was not announced", UnexpectedMessage, "change_cipher_spec",
         before(lambda peer: peer.send(NewSessionTicket12()))),
    case("two tickets", UnexpectedMessage, "new_session_ticket",
         followed_by(NewSessionTicket12()), tickets=True),
    case("ticket cut", DecodeError, "new_session_ticket", cut(-1), tickets=True),
    case("ticket with more behind", DecodeError, "new_session_ticket", put(trailing=b"x"),
         tickets=True),
]  # fmt: skip


@pytest.mark.parametrize("case", OF_A_SERVER)
@pytest.mark.parametrize("resumed", RESUMPTIONS)
def test_client(case, resumed):
    case.options = {**case.options, "resumed": resumed}
    peer = check(case, "client")
    # The client has not changed to its keys yet.
    assert not any(record.content_type == 20 for record in peer.records)


@pytest.mark.parametrize("resumed", RESUMPTIONS)
def test_session_with_another_master_secret(resumed):
    """A server that does not know the session cannot pretend to."""
    peer = client_of(resumed=resumed)
    peer.sessions = [replace(each, master_secret=bytes(48)) for each in peer.sessions]
    assert_refuses(peer, BadRecordMac, peer.handshake)


# --- What a server refuses

OF_A_CLIENT = [
    hello("no extended_master_secret", HandshakeFailure,
          without_extension(E.extended_master_secret)),
    hello("renegotiation_info with data", HandshakeFailure,
          with_extension(E.renegotiation_info, b"\1x")),
    hello("another version", ProtocolVersion, put(legacy_version=0x0302)),
    hello("no null compression", IllegalParameter, put(legacy_compression_methods=b"\1")),
]  # fmt: skip


@pytest.mark.parametrize("case", OF_A_CLIENT)
@pytest.mark.parametrize("resumed", RESUMPTIONS)
def test_server(case, resumed):
    case.options = {**case.options, "resumed": resumed}
    check(case, "server")


FULL = {
    "another suite": put(cipher_suites=[0xC02C, 0xCCA9]),
    "another server_name": with_extension(E.server_name, server_name("other.test")),
}


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("resumed", RESUMPTIONS)
def test_session_that_does_not_fit(name, resumed):
    """There is a full handshake instead."""

    def forget(peer, message):
        peer.offered_session = None

    peer = server_of(resumed=resumed, at={"client_hello": all_of(FULL[name], forget)})
    peer.handshake()
    assert not peer.resumed
    assert not peer.connection.session_reused
    assert peer.connection.established


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_ticket_that_was_changed(at):
    def edit(peer, message):
        ticket = message.extension(E.session_ticket)
        message.set(E.session_ticket, changed(ticket, at % len(ticket)))
        peer.offered_session = None

    peer = server_of(resumed="ticket", at={"client_hello": edit})
    peer.handshake()
    assert not peer.resumed
    assert peer.connection.established
