"""Early data that a server does not take, and what its client does then (RFC 8446, 4.2.10 and 8).

The handshake goes on. The client is told once, by EARLY_DATA_REJECTED, and sends the data again.
"""

from __future__ import annotations

import time

import pytest
from early_data_pairs import (
    EARLY_DATA_REJECTED,
    MAXIMUM,
    assert_accepted,
    assert_rejected,
    client_hello,
    early_contexts,
    early_pair,
    early_session,
    receive_early,
    rejected_handshake,
    send_early,
    shared,
    waits,
)
from helpers import (
    HOST,
    NONE,
    TLS13_SUITES,
    WANT_READ,
    WANT_WRITE,
    client_context,
    identity,
    outcome,
    server_context,
    transfer,
)
from resumed_pairs import AT_CLIENT, AT_SERVER, Clock, assert_resumed, connected, joined

import fasths
from fasths import (
    ExternalPSK,
    MemorySessionStore,
    SQLiteSessionStore,
    TicketKeys,
    Verify,
)

BIG = 1 << 20
AES_128, AES_256, CHACHA20 = TLS13_SUITES
ALPN = ["h2", "http/1.1"]


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


# --- Settings that changed

# name: (settings of the client and of the server at first, and then), whether it is resumed
CHANGED = {
    "no early data any more": (({}, {}), ({}, {"max_early_data_size": 0}), True),
    "another protocol": (
        ({"alpn": ALPN}, {"alpn": ALPN}), ({"alpn": ALPN}, {"alpn": ALPN[1:]}), True
    ),
    "no protocol any more": (({"alpn": ALPN}, {"alpn": ALPN}), ({"alpn": ALPN}, {}), True),
    "a protocol at last": (({}, {"alpn": ALPN}), ({"alpn": ALPN}, {"alpn": ALPN}), True),
    "another suite": (
        ({"cipher_suites": [AES_128, CHACHA20]}, {"cipher_suites": [AES_128]}),
        ({"cipher_suites": [AES_128, CHACHA20]}, {"cipher_suites": [CHACHA20]}),
        True,
    ),
    "another hash": (
        ({}, {"cipher_suites": [AES_128]}), ({}, {"cipher_suites": [AES_256]}), False
    ),
    "group": (
        ({"groups": ["x25519", "secp256r1"]}, {}),
        ({"groups": ["x25519", "secp256r1"]}, {"groups": ["secp256r1"]}),
        True,
    ),
    "cookie": (({}, {}), ({}, {"retry_with_cookie": True}), True),
    "group and cookie": (
        ({"groups": ["x25519", "secp256r1"]}, {}),
        (
            {"groups": ["x25519", "secp256r1"]},
            {"groups": ["secp256r1"], "retry_with_cookie": True},
        ),
        True,
    ),
    "other keys": (({}, {}), ({}, {"ticket_keys": TicketKeys()}), False),
    "other keys and a cookie": (
        ({}, {}), ({}, {"ticket_keys": TicketKeys(), "retry_with_cookie": True}), False
    ),
    "certificates of clients": (({}, {}), ({}, {"verify": Verify.OPTIONAL}), True),
}  # fmt: skip
ACCEPTED = "certificates of clients"


@pytest.mark.parametrize("name", CHANGED)
def test_server_that_has_changed(name):
    (first_client, first_server), (of_client, of_server), resumed = CHANGED[name]
    settings = shared()
    session = early_session(
        *early_contexts(first_client, {**settings, **first_server}),
    )
    client, server = early_contexts(of_client, {**settings, **of_server})
    pair = early_pair(client, server, session)
    if name == ACCEPTED:
        # Of what changed, nothing has to do with early data: the table tells the difference.
        assert_accepted(pair)
    else:
        assert_rejected(pair, resumed=resumed)


# name: settings of the client at first, and then
CLIENTS = {
    "without the protocol": ({"alpn": ALPN}, {"alpn": ALPN[1:]}),
    "without any protocol": ({"alpn": ALPN}, {}),
    "without the suite": ({"cipher_suites": [AES_128]}, {"cipher_suites": [CHACHA20]}),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_client_that_has_changed_does_not_offer_early_data(name):
    before, after = CLIENTS[name]
    server = server_context(max_early_data_size=MAXIMUM, alpn=ALPN)
    session = early_session(client_context(**before), server)
    pair = early_pair(client_context(**after), server, session)
    ret = pair.client.write_early_data(b"early")
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert client_hello(pair).pre_shared_key
    assert not client_hello(pair).early_data
    pair.handshake()
    assert pair.client.early_data_accepted is None
    assert_resumed(pair)


def test_protocol_that_the_client_offers_for_the_first_time():
    """RFC 8446, 4.2.10: the session is one without any."""
    client, server = early_contexts(server={"alpn": ALPN})
    session = early_session(client, server)
    assert_rejected(early_pair(client_context(alpn=ALPN), server, session))


def test_session_of_another_name():
    """Of the server that has the name now; set_session() takes no other."""
    settings = shared()
    client, server = early_contexts(server=settings)
    session = early_session(client, server)
    with pytest.raises(ValueError, match="another server_hostname"):
        early_pair(client, server, session, hostname="other.test")


def test_tickets_without_early_data():
    settings = shared()
    client = client_context()
    session = connected(client, server_context(**settings)).client.session
    pair = early_pair(client, server_context(max_early_data_size=MAXIMUM, **settings), session)
    ret = pair.client.write_early_data(b"early")
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert not client_hello(pair).early_data
    pair.handshake()
    assert_resumed(pair)


def test_server_that_has_taken_another_key():
    """RFC 8446, 4.2.10: early data is under the first that was offered."""
    psk = ExternalPSK(b"external", bytes(32))
    client, server = early_contexts({"external_psks": [psk]}, {"external_psks": [psk]})
    session = early_session(client_context(), server_context(max_early_data_size=MAXIMUM))
    assert_rejected(early_pair(client, server, session))


# --- Replays (RFC 8446, 8)


def assert_once(client, servers, session):
    """One of the servers accepts it, and nobody does again."""
    assert_accepted(early_pair(client, servers[0], session))
    for server in (*servers, *servers):
        assert_rejected(early_pair(client, server, session))


def test_ticket_is_good_for_early_data_once():
    client, server = early_contexts()
    assert_once(client, [server], early_session(client, server))


def test_ticket_that_was_resumed_without_early_data():
    """It has left no mark."""
    client, server = early_contexts()
    session = early_session(client, server)
    connected(client, server, session)
    assert_once(client, [server], session)


def test_two_servers_with_one_store():
    settings = shared()
    client, one = early_contexts(server=settings)
    other = server_context(max_early_data_size=MAXIMUM, **settings)
    assert_once(client, [one, other], early_session(client, one))
    assert_once(client, [other, one], early_session(client, one))


def test_two_servers_with_one_file(tmp_path):
    """As in two processes: each has opened the file, and has the keys from the other."""
    path, keys = tmp_path / "marks", TicketKeys()
    stores = [SQLiteSessionStore(path) for _ in range(2)]
    rings = keys, TicketKeys.from_bytes(keys.to_bytes())
    client = client_context()
    servers = [
        server_context(max_early_data_size=MAXIMUM, session_store=store, ticket_keys=ring)
        for store, ring in zip(stores, rings, strict=True)
    ]
    assert_once(client, servers, early_session(client, servers[0]))
    assert_once(client, servers[::-1], early_session(client, servers[0]))
    for store in stores:
        store.close()


@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_replayed_flight(stateful):
    """Byte for byte what another client has sent."""
    settings = {"session_store": MemorySessionStore()} if stateful else shared()
    client, server = early_contexts(server=settings)
    pair = early_pair(client, server)
    send_early(pair, b"pay them")
    flight = bytes(pair.client_bio.written)
    assert receive_early(pair.server) == (b"pay them", False)
    for time_of_replay in range(2):
        replay = joined(client, server)
        replay.client_bio.inner.write(flight)
        assert replay.server.read_early_data() == b""
        assert replay.server.early_data_accepted is False
        # A stored session is gone with its first use; a sealed one is resumed, in vain.
        assert replay.server.session_reused is not stateful
        assert not replay.server.established
        if time_of_replay == 0:
            pair.handshake()
            assert_resumed(pair)


def test_store_that_is_younger_than_the_ticket():
    """What it has not seen, it cannot know: after a restart, early data has to wait."""
    settings = shared()
    client, server = early_contexts(server=settings)
    session = early_session(client, server)
    time.sleep(0.01)
    settings["session_store"] = MemorySessionStore()
    restarted = server_context(max_early_data_size=MAXIMUM, **settings)
    assert_rejected(early_pair(client, restarted, session))
    # With a ticket that it has made itself, it is as ever.
    assert_once(client, [restarted], early_session(client, restarted))


def test_store_that_outlives_its_server(tmp_path):
    keys = TicketKeys()
    client = client_context()

    def started():
        store = SQLiteSessionStore(tmp_path / "marks")
        return store, server_context(
            max_early_data_size=MAXIMUM, session_store=store, ticket_keys=keys
        )

    store, server = started()
    used, unused = connected(client, server).client.sessions
    assert_accepted(early_pair(client, server, used))
    store.close()
    time.sleep(0.01)
    store, server = started()
    assert_rejected(early_pair(client, server, used))
    assert_accepted(early_pair(client, server, unused))
    store.close()


def test_store_without_room():
    settings = {"ticket_keys": TicketKeys(), "session_store": MemorySessionStore(maximum=1)}
    client, server = early_contexts(server=settings)
    first, second = connected(client, server).client.sessions
    assert_accepted(early_pair(client, server, first))
    # A mark is not given up for another one.
    assert_rejected(early_pair(client, server, second))
    assert_rejected(early_pair(client, server, first))


# --- Age (RFC 8446, 8.3)


@pytest.mark.parametrize("window", [5.0, 10.0, 60.0])
@pytest.mark.parametrize("who", [AT_SERVER, AT_CLIENT], ids=["late", "early"])
def test_client_hello_that_was_long_on_its_way(clock, window, who):
    """Or whose client counts another time: what counts is the difference."""
    client, server = early_contexts(server={"early_data_window": window})
    first, second = connected(client, server).client.sessions
    clock.ahead(window * 0.8, *who)
    assert_accepted(early_pair(client, server, first))
    clock.ahead(window * 1.2, *who)
    assert_rejected(early_pair(client, server, second))


def test_time_that_passes_for_both_does_not_matter(clock):
    client, server = early_contexts()
    session = early_session(client, server)
    clock.ahead(3600, *AT_SERVER, *AT_CLIENT)
    assert_accepted(early_pair(client, server, session))


def test_real_delay():
    client, server = early_contexts(server={"early_data_window": 0.2})
    pair = early_pair(client, server)
    send_early(pair, b"early data")
    time.sleep(0.3)
    assert receive_early(pair.server) == (b"", True)
    rejected_handshake(pair)
    assert_resumed(pair)


# --- How a client hears of it


def rejecting_pair(**options):
    settings = shared()
    client, issuer = early_contexts(server=settings)
    session = early_session(client, issuer)
    return early_pair(client, server_context(**settings), session, **options)


def test_rejection_is_reported_once_and_the_data_sent_again():
    pair = rejecting_pair()
    send_early(pair, b"one", b"two")
    assert pair.server.do_handshake() == -1
    # The server's answer is there; until the client reads it, it cannot know.
    assert pair.client.early_data_accepted is False
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, EARLY_DATA_REJECTED)
    assert pair.client.want() is EARLY_DATA_REJECTED
    assert pair.client.established
    assert pair.client.last_error is None
    assert outcome(pair.client, pair.client.do_handshake()) == (1, NONE)
    assert pair.client.write(b"onetwo") == 6
    assert pair.server.do_handshake() == 1
    assert pair.server.read_early_data() == b""
    assert pair.server.read() == b"onetwo"
    assert pair.server.read() is None
    assert_resumed(pair)


@pytest.mark.parametrize("call", ["write", "read", "read_into", "peek_into"])
def test_rejection_is_reported_by_whatever_does_the_handshake(call):
    pair = rejecting_pair()
    arguments = {"write": [b"data"], "read": []}.get(call, [bytearray(9)])
    send_early(pair, b"early")
    assert pair.server.do_handshake() == -1
    ret = getattr(pair.client, call)(*arguments)
    assert ret in (-1, None)
    assert pair.client.get_error(-1) is EARLY_DATA_REJECTED
    # Then the same call does what it is for.
    ret = getattr(pair.client, call)(*arguments)
    if call == "write":
        assert ret == 4
    else:
        assert pair.client.get_error(-1) is WANT_READ
    assert pair.client.do_handshake() == 1
    assert pair.server.do_handshake() == 1
    assert_resumed_after(pair, b"data" if call == "write" else b"")


def assert_resumed_after(pair, data):
    if data:
        assert pair.server.read() == data
    assert_resumed(pair)


@pytest.mark.parametrize("call", ["do_handshake", "write", "read"])
def test_rejection_is_reported_behind_a_wait_for_the_transport(call):
    """The client's Finished has to wait; what is to be repeated says it then, whatever it is."""
    pair = rejecting_pair()
    send_early(pair, b"early")
    assert pair.server.do_handshake() == -1
    pair.client_bio.blocked = True
    arguments = [b"data"] if call == "write" else []
    for _ in range(2):
        assert getattr(pair.client, call)(*arguments) in (-1, None)
        assert pair.client.get_error(-1) is WANT_WRITE
    pair.client_bio.blocked = False
    assert getattr(pair.client, call)(*arguments) in (-1, None)
    assert pair.client.get_error(-1) is EARLY_DATA_REJECTED
    assert getattr(pair.client, call)(*arguments) in (1, 4, None)
    assert pair.client.get_error(-1) is not EARLY_DATA_REJECTED


def test_early_data_behind_the_rejection():
    """Once the server's answer was read, no more is sent; write() takes it."""
    pair = rejecting_pair()
    send_early(pair, b"early")
    assert pair.server.do_handshake() == -1
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, EARLY_DATA_REJECTED)
    ret = pair.client.write_early_data(b"more")
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert outcome(pair.client, pair.client.do_handshake()) == (1, NONE)
    transfer(pair.client, pair.server, b"earlymore")


def test_early_data_that_crosses_the_rejection():
    """The client does not know yet, and sends; the server skips that as well."""
    pair = rejecting_pair()
    send_early(pair, b"one")
    assert pair.server.read_early_data() == b""
    send_early(pair, b"two", b"three")
    assert pair.server.do_handshake() == -1
    rejected_handshake(pair)
    transfer(pair.client, pair.server, b"onetwothree")
    assert pair.server.read_early_data() == b""


def test_client_that_offers_early_data_and_sends_none():
    """There is nothing to be sent again, so there is nothing to be told."""
    pair = rejecting_pair()
    ret = pair.client.write_early_data(bytes(MAXIMUM + 1))
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert client_hello(pair).early_data
    pair.handshake()
    assert pair.client.early_data_accepted is False
    assert_resumed(pair)


def test_rejected_early_data_after_hello_retry_request_is_not_sent_any_more():
    settings = shared()
    client, issuer = early_contexts(server=settings)
    session = early_session(client, issuer)
    server = server_context(max_early_data_size=MAXIMUM, retry_with_cookie=True, **settings)
    pair = early_pair(client, server, session)
    send_early(pair, b"early")
    assert pair.server.do_handshake() == -1
    assert pair.client.do_handshake() == -1
    assert pair.client.get_error(-1) is WANT_READ
    assert pair.client.max_early_data == 0
    ret = pair.client.write_early_data(b"more")
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    rejected_handshake(pair)
    assert_resumed(pair)


def test_no_early_exporter_of_rejected_early_data():
    """What was bound to it has to be bound to something else."""
    pair = rejecting_pair()
    send_early(pair, b"early")
    assert len(pair.client.export_early_keying_material("label", b"", 32)) == 32
    assert pair.server.do_handshake() == -1
    rejected_handshake(pair)
    for conn in (pair.client, pair.server):
        with pytest.raises(RuntimeError, match="early"):
            conn.export_early_keying_material("label", b"", 32)


def test_key_log():
    """Only the client has secrets of early data that nobody takes."""
    logs = {"client": [], "server": []}
    settings = shared()
    client, issuer = early_contexts({"keylog": logs["client"].append}, settings)
    session = early_session(client, issuer)
    logs["client"].clear()
    server = server_context(keylog=logs["server"].append, **settings)
    pair = early_pair(client, server, session)
    send_early(pair, b"early")
    rejected_handshake(pair)
    assert [line.split()[0] for line in logs["client"][:2]] == [
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "EARLY_EXPORTER_SECRET",
    ]
    assert logs["client"][2:] == logs["server"]
    assert len(logs["server"]) == 5


def test_rejected_early_data_of_many_records():
    """A server that takes none skips as much as Limits.max_skipped_early_data."""
    settings = shared()
    client, issuer = early_contexts(server={**settings, "max_early_data_size": BIG})
    session = early_session(client, issuer)
    server = server_context(**settings)
    # Or as the ticket permits, where the server can open it.
    for size in (60_000, 70_000):
        assert_rejected(early_pair(client, server, session), bytes(size))
    stranger = server_context()
    pair = early_pair(client, stranger, session)
    send_early(pair, bytes(70_000))
    assert pair.server.do_handshake() == -1
    assert pair.server.last_error.alert == fasths.AlertDescription.unexpected_message


def test_rejected_early_data_of_as_many_bytes_as_tickets_permit():
    """RFC 8446, 4.2.10: what is skipped is up to the configured max_early_data_size."""
    client, server = early_contexts(server={"max_early_data_size": BIG})
    session = early_session(client, server)
    assert_accepted(early_pair(client, server, session))
    for pieces in ([bytes(BIG)], [bytes(100)] * 1000, [b"x"] * 1000):
        pair = early_pair(client, server, session, size=4 * BIG)
        send_early(pair, *pieces)
        rejected_handshake(pair)
        assert_resumed(pair)


def test_client_that_is_refused_is_not_told_of_early_data():
    """The handshake fails for another reason; that is what is to be known."""
    settings = shared()
    client, issuer = early_contexts(server=settings)
    session = early_session(client, issuer)
    stranger = server_context(identities=[identity("other.test")])
    pair = early_pair(client, stranger, session)
    assert session.server_name == HOST
    send_early(pair, b"early")
    assert waits(pair.server, pair.server.do_handshake())
    for _ in range(2):
        assert pair.client.do_handshake() == -1
        assert isinstance(pair.client.last_error, fasths.CertificateError)
        assert pair.client.get_error(-1) is fasths.SSLErrorCode.SSL
