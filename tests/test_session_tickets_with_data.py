"""session_tickets_with_data: a server's tickets go with what it sends first (RFC 8446, 4.6.1)."""

from __future__ import annotations

import socket

import pytest
from helpers import (
    HOST,
    SSL,
    SYSCALL,
    WANT_READ,
    WANT_WRITE,
    client_context,
    outcome,
    server_context,
    turns,
)
from resumed_pairs import assert_resumes, connected, joined, take_tickets

import fasths
from fasths import Connection, TLSVersion
from fasths.wire.errors import BadRecordMac


def held(**options):
    return server_context(session_tickets_with_data=True, **options)


def test_tickets_wait_for_data():
    client, server = client_context(), held()
    pair = joined(client, server).handshake()
    take_tickets(pair)
    assert not pair.client.sessions
    # Reading sends nothing either.
    assert pair.client.write(b"question") == 8
    assert pair.server.read() == b"question"
    assert pair.server.read() is None
    assert pair.server_bio.count("write") == 0
    assert pair.server.write(b"answer") == 6
    assert len(pair.server_bio.writes()) == 1
    assert pair.client.read() == b"answer"
    assert len(pair.client.sessions) == 2
    assert_resumes(client, server, pair.client.session)


@pytest.mark.parametrize("what", ["shutdown", "key_update", "send_session_tickets"])
def test_tickets_go_with_whatever_is_sent(what):
    pair = joined(client_context(), held()).handshake()
    getattr(pair.server, what)()
    assert len(pair.server_bio.writes()) == 1
    assert not pair.client.read()
    assert len(pair.client.sessions) == (3 if what == "send_session_tickets" else 2)


def test_tickets_go_with_an_alert():
    pair = joined(client_context(), held()).handshake()
    pair.client_bio.inner.write(bytes.fromhex("170303001000000000000000000000000000000000"))
    assert pair.server.read() is None
    assert isinstance(pair.server.last_error, BadRecordMac)
    assert len(pair.server_bio.writes()) == 1
    assert pair.client.read() is None
    assert isinstance(pair.client.last_error, fasths.PeerAlert)


def test_tickets_go_with_the_answer_to_a_key_update():
    pair = joined(client_context(), held()).handshake()
    assert pair.client.key_update(request_peer=True) == 1
    assert pair.server.read() is None
    assert len(pair.server_bio.writes()) == 1
    take_tickets(pair)
    assert len(pair.client.sessions) == 2


def test_a_full_transport():
    """WANT_WRITE, and the call repeated: tickets and data, each once."""
    pair = joined(client_context(), held()).handshake()
    pair.server_bio.blocked = True
    assert outcome(pair.server, pair.server.write(b"data")) == (-1, WANT_WRITE)
    pair.server_bio.blocked = False
    assert pair.server.write(b"data") == 4
    assert pair.client.read() == b"data"
    assert pair.client.read() is None
    assert len(pair.client.sessions) == 2


def test_a_resumed_connection_gets_its_one_ticket_with_data():
    client, server = client_context(), held()
    first = joined(client, server).handshake()
    assert first.server.write(b"data") == 4
    assert first.client.read() == b"data"
    second = connected(client, server, first.client.session)
    assert second.client.session_reused
    assert second.server.write(b"data") == 4
    assert second.client.read() == b"data"
    assert len(second.client.sessions) == 1


def test_tls12_has_them_in_the_handshake():
    client = client_context(maximum_version=TLSVersion.TLSv1_2)
    pair = joined(client, held()).handshake()
    assert len(pair.client.sessions) == 1


def test_without_it_they_go_at_once():
    pair = joined(client_context(), server_context()).handshake()
    take_tickets(pair)
    assert len(pair.client.sessions) == 2


@pytest.mark.parametrize("waits", [True, False], ids=["with-data", "at-once"])
def test_a_client_that_only_sends_and_goes(waits):
    """Tickets that nobody has read make a reset of a close()."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    with theirs:
        client = Connection(client_context(), fasths.SocketBIO(ours), server_hostname=HOST)
        server = Connection(
            server_context(session_tickets_with_data=waits), fasths.SocketBIO(theirs)
        )
        ours.setblocking(False)
        theirs.setblocking(False)
        client.set_connect_state()
        server.set_accept_state()
        while client.do_handshake() != 1:
            assert client.get_error(-1) is WANT_READ
            server.do_handshake()
        turns(server.do_handshake)
        assert client.write(b"all that there is") == 17
        # Without reading.
        ours.close()
        assert server.read() == b"all that there is"
        assert server.read() is None
        assert server.get_error(-1) is (SSL if waits else SYSCALL)
