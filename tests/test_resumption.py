"""Resumption between two fasths connections (RFC 8446, 2.2): when it happens, and when not.

Which messages make it is in the tests of the scripted peers. Who is believed to be at the other
end, once nobody shows a certificate, is in test_resumed_peers.py; stores and caches in use are in
test_resumption_stores.py, external keys in test_external_psk_handshakes.py.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest
from helpers import (
    HOST,
    NONE,
    SSL,
    TLS13_SUITES,
    WANT_READ,
    WANT_WRITE,
    client_context,
    outcome,
    server_context,
    transfer,
    turns,
)
from resumed_pairs import (
    AT_CLIENT,
    AT_SERVER,
    EVERYWHERE,
    Clock,
    assert_resumed,
    assert_resumes,
    connected,
    joined,
    offered,
    session_of,
    take_tickets,
)
from session_bytes import session_bytes

import fasths
from fasths import (
    CipherSuite,
    Connection,
    HandshakeType,
    NamedGroup,
    Session,
    TicketKeys,
    Verify,
)
from fasths.crypto.groups import is_supported
from fasths.crypto.tickets import MAX_KEYS

DAY = 24 * 3600.0
SEVEN_DAYS = 604800
SHA256_SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_CHACHA20_POLY1305_SHA256)
SHA384_SUITE = CipherSuite.TLS_AES_256_GCM_SHA384


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def key_name(session):
    """The name of the key that sealed a ticket."""
    return session.ticket[:16]


# --- Tickets


class Counted:
    """A pair that counts the tickets that arrive."""

    def __init__(self, client, server, session=None):
        self.messages = Counter()
        self.pair = joined(client, server, session, roles=False)
        self.pair.client = Connection(
            client,
            self.pair.client_bio,
            server_hostname=HOST,
            message_callback=self.count,
        )
        if session is not None:
            self.pair.client.set_session(session)
        self.pair.client.set_connect_state()
        self.pair.server.set_accept_state()
        self.pair.handshake()

    def count(self, direction, content_type, data):
        if content_type == fasths.ContentType.handshake:
            self.messages[direction, data[0]] += 1

    @property
    def tickets(self):
        return self.messages["received", HandshakeType.new_session_ticket]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_tickets_after_a_full_handshake(count):
    client, server = client_context(), server_context(session_tickets=count)
    counted = Counted(client, server)
    conn = counted.pair.client
    # They are behind the handshake: a read takes them.
    assert counted.tickets == 0
    assert (conn.sessions, conn.session) == ((), None)
    take_tickets(counted.pair)
    assert counted.tickets == count
    # Up to four are kept, the newest last.
    assert len(conn.sessions) == min(count, 4)
    assert conn.session is (conn.sessions[-1] if count else None)
    assert len({each.ticket for each in conn.sessions}) == len(conn.sessions)
    for session in conn.sessions:
        assert_resumes(client, server, session)


def test_the_newest_tickets_are_kept():
    pair = connected(client_context(), server_context(session_tickets=3))
    oldest = pair.client.sessions[0]
    for _ in range(3):
        before = pair.client.sessions
        assert pair.server.send_session_tickets() == 1
        take_tickets(pair)
        assert pair.client.sessions[:-1] == before[-3:]
    assert len(pair.client.sessions) == 4
    assert oldest not in pair.client.sessions


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_one_ticket_replaces_the_one_that_was_used(count):
    client, issuer = client_context(), server_context(ticket_keys=TicketKeys())
    server = server_context(session_tickets=count, ticket_keys=issuer.ticket_keys)
    counted = Counted(client, server, session_of(client, issuer))
    assert_resumed(counted.pair)
    assert counted.tickets == min(count, 1)


def test_tickets_are_sent_with_the_handshake():
    """They are in the transport before the server says that it is done."""
    pair = joined(client_context(), server_context(session_tickets=2))
    turns(pair.client.do_handshake, pair.server.do_handshake)
    assert pair.client_bio.inner.pending > 0
    take_tickets(pair)
    assert len(pair.client.sessions) == 2


@pytest.mark.parametrize("read", ["read", "read_into", "peek_into", "shutdown"])
def test_tickets_arrive_with_whatever_reads(read):
    pair = joined(client_context(), server_context()).handshake()
    assert pair.client.sessions == ()
    if read == "read":
        assert pair.client.read() is None
    elif read == "shutdown":
        assert pair.client.shutdown() == 0
        assert outcome(pair.client, pair.client.shutdown()) == (-1, WANT_READ)
    else:
        assert outcome(pair.client, getattr(pair.client, read)(bytearray(9))) == (-1, WANT_READ)
    assert len(pair.client.sessions) == 2


def test_tickets_arrive_in_front_of_data():
    pair = joined(client_context(), server_context()).handshake()
    assert pair.server.write(b"data") == 4
    assert pair.client.read() == b"data"
    assert len(pair.client.sessions) == 2


def test_no_tickets_for_a_client_that_cannot_use_them():
    # RFC 8446, 4.2.9
    for modes in (["psk_ke"], ["psk_dhe_ke"]):
        other = ["psk_dhe_ke" if modes == ["psk_ke"] else "psk_ke"]
        pair = connected(
            client_context(psk_key_exchange_modes=modes),
            server_context(psk_key_exchange_modes=other),
        )
        assert pair.client.sessions == ()


@pytest.mark.parametrize("count", [1, 2, 4, 20])
def test_tickets_on_demand(count):
    client, server = client_context(), server_context(session_tickets=0)
    counted = Counted(client, server)
    pair = counted.pair
    assert pair.server.send_session_tickets(count) == 1
    assert pair.server.get_error(1) is NONE
    transfer(pair.server, pair.client, b"behind them")
    assert counted.tickets == count
    assert len(pair.client.sessions) == min(count, 4)
    assert_resumes(client, server, pair.client.session)
    assert pair.server.send_session_tickets() == 1
    take_tickets(pair)
    assert counted.tickets == count + 1


def test_tickets_on_demand_over_a_full_transport():
    """WANT_WRITE, and the call repeated: what was asked for is sent once."""
    client, server = client_context(), server_context(session_tickets=0)
    counted = Counted(client, server)
    pair = counted.pair
    pair.server_bio.blocked = True
    for _ in range(3):
        ret = pair.server.send_session_tickets(3)
        assert outcome(pair.server, ret) == (-1, WANT_WRITE)
        take_tickets(pair)
        assert counted.tickets == 0
    pair.server_bio.blocked = False
    pair.server_bio.max_write = 100
    pair.server_bio.block_after_write = True
    waits = 0
    while (ret := pair.server.send_session_tickets(3)) != 1:
        assert outcome(pair.server, ret) == (-1, WANT_WRITE)
        pair.server_bio.blocked = False
        waits += 1
    assert waits > 3
    take_tickets(pair)
    assert counted.tickets == 3
    assert_resumes(client, server, pair.client.session)


def test_tickets_on_demand_interrupted_by_data():
    """A write in between sends both, and nothing twice."""
    counted = Counted(client_context(), server_context(session_tickets=0))
    pair = counted.pair
    pair.server_bio.blocked = True
    assert outcome(pair.server, pair.server.send_session_tickets()) == (-1, WANT_WRITE)
    pair.server_bio.blocked = False
    transfer(pair.server, pair.client, b"data")
    assert counted.tickets == 1


@pytest.mark.parametrize("count", [0, -1, 256, 1000])
def test_number_of_tickets_out_of_range_is_refused(count):
    pair = connected(client_context(), server_context())
    with pytest.raises(ValueError, match="255"):
        pair.server.send_session_tickets(count)
    assert_resumed(pair, False)


def test_tickets_of_a_client_or_before_the_handshake_are_refused():
    pair = joined(client_context(), server_context(), roles=False)
    for conn in (pair.client, pair.server):
        with pytest.raises(RuntimeError, match="established server"):
            conn.send_session_tickets()
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    with pytest.raises(RuntimeError, match="established server"):
        pair.server.send_session_tickets()
    pair.handshake()
    with pytest.raises(RuntimeError, match="established server"):
        pair.client.send_session_tickets()
    assert_resumed(pair, False)


def test_tickets_after_shutdown_are_refused():
    pair = connected(client_context(), server_context())
    assert pair.server.shutdown() == 0
    with pytest.raises(RuntimeError, match="after shutdown"):
        pair.server.send_session_tickets()


def test_tickets_of_a_connection_that_failed():
    pair = connected(client_context(), server_context())
    pair.client_bio.inner.write(b"\x17\x03\x03\0\x20" + bytes(32))
    assert pair.server.read() is None
    assert outcome(pair.server, pair.server.send_session_tickets()) == (-1, SSL)


# --- Resumption


@pytest.mark.parametrize("group", [each for each in NamedGroup if is_supported(each)])
@pytest.mark.parametrize("suite", TLS13_SUITES)
def test_resumption(suite, group):
    client = client_context(cipher_suites=[suite], groups=[group])
    server = server_context(groups=[group])
    session = session_of(client, server)
    assert session.cipher_suite is suite
    # The tickets of a resumed connection are as good.
    for _ in range(2):
        pair = assert_resumes(client, server, session)
        session = pair.client.session
        for conn in (pair.client, pair.server):
            assert conn.cipher_suite is suite
            assert conn.group is group
            assert conn.version is fasths.TLSVersion.TLSv1_3


def test_a_ticket_can_be_used_again():
    # RFC 8446, C.4 advises against it: whoever watches sees that it is the same client.
    client, server = client_context(), server_context()
    session = session_of(client, server)
    assert assert_resumes(client, server, session).client.session != session
    assert_resumes(client, server, session)


def test_resumption_with_another_suite_of_the_same_hash():
    client, server = client_context(cipher_suites=SHA256_SUITES[:1]), server_context()
    session = session_of(client, server)
    other = client_context(cipher_suites=SHA256_SUITES[1:])
    pair = assert_resumes(other, server, session)
    assert pair.client.cipher_suite is pair.server.cipher_suite is SHA256_SUITES[1]
    assert pair.client.session.cipher_suite is SHA256_SUITES[1]
    assert_resumes(client, server, pair.client.session)


@pytest.mark.parametrize("suite", TLS13_SUITES)
def test_the_session_decides_on_the_suite(suite):
    """Whatever the server prefers, the suite is the session's where both still have it."""
    server = server_context()
    session = session_of(client_context(cipher_suites=[suite]), server)
    for suites in (TLS13_SUITES, TLS13_SUITES[::-1]):
        other = server_context(ticket_keys=server.ticket_keys, cipher_suites=suites)
        pair = assert_resumes(client_context(), other, session)
        assert pair.client.cipher_suite is suite


@pytest.mark.parametrize("changed", ["client", "server"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(SHA256_SUITES, (SHA384_SUITE,)), ((SHA384_SUITE,), SHA256_SUITES)],
    ids=["to SHA-384", "to SHA-256"],
)
def test_another_hash_makes_a_full_handshake(changed, before, after):
    # RFC 8446, 4.2.11
    keys = TicketKeys()
    session = session_of(client_context(cipher_suites=before), server_context(ticket_keys=keys))
    client = client_context(cipher_suites=after if changed == "client" else TLS13_SUITES)
    server = server_context(
        ticket_keys=keys, cipher_suites=after if changed == "server" else TLS13_SUITES
    )
    assert offered(client, server, session).pre_shared_key == (changed == "server")
    pair = assert_resumes(client, server, session, False)
    assert pair.client.cipher_suite in after


@pytest.mark.parametrize("before", [NamedGroup.x25519, NamedGroup.secp256r1])
@pytest.mark.parametrize("after", [NamedGroup.x25519, NamedGroup.secp256r1])
def test_resumption_with_another_group(before, after):
    server = server_context(groups=["x25519", "secp256r1"])
    session = session_of(client_context(groups=[before]), server)
    pair = assert_resumes(client_context(groups=[after]), server, session)
    assert pair.client.group is pair.server.group is after


def test_info_callback_says_that_it_is_resumed():
    client, server = client_context(), server_context()
    session = session_of(client, server)
    events = []
    pair = joined(client, server, roles=False)
    pair.client = Connection(
        client,
        pair.client_bio,
        server_hostname=HOST,
        info_callback=lambda *event: events.append(event),
    )
    pair.client.set_session(session)
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    pair.handshake()
    assert events[-1] == ("handshake done", "resumed")
    assert events[0] == ("handshake started", "client")


def test_key_log_of_a_resumed_connection():
    lines = {"client": [], "server": []}
    client = client_context(keylog=lines["client"].append)
    server = server_context(keylog=lines["server"].append)
    session = session_of(client, server)
    full = lines["client"][:]
    for log in lines.values():
        log.clear()
    assert_resumes(client, server, session)
    assert lines["client"] == lines["server"]
    assert [line.split()[0] for line in lines["client"]] == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    (client_random,) = {line.split()[1] for line in lines["client"]}
    assert client_random != full[0].split()[1]
    secrets = {line.split()[2] for line in lines["client"]}
    assert len(secrets) == 5
    assert not secrets & {line.split()[2] for line in full}


def test_resumed_connections_have_keys_of_their_own():
    client, server = client_context(), server_context()
    session = session_of(client, server)
    exported = {
        assert_resumes(client, server, session).client.export_keying_material("label", b"", 32)
        for _ in range(3)
    }
    assert len(exported) == 3


# --- HelloRetryRequest (RFC 8446, 4.1.4)

RETRIES = {
    "group": ({"groups": ["x25519", "secp256r1"]}, {"groups": ["secp256r1"]}),
    "no share": ({"groups": ["secp256r1"], "key_share_groups": []}, {"groups": ["secp256r1"]}),
    "cookie": ({}, {"retry_with_cookie": True}),
    "both": (
        {"groups": ["x25519", "secp256r1"]},
        {"groups": ["secp256r1"], "retry_with_cookie": True},
    ),
}


@pytest.mark.parametrize("suite", [SHA256_SUITES[0], SHA384_SUITE])
@pytest.mark.parametrize("name", RETRIES)
def test_resumption_after_hello_retry_request(name, suite):
    of_client, of_server = RETRIES[name]
    client = client_context(cipher_suites=[suite], **of_client)
    server = server_context(**of_server)
    counted = Counted(client, server, session_of(client, server))
    assert counted.messages["sent", HandshakeType.client_hello] == 2
    assert_resumed(counted.pair)


@pytest.mark.parametrize("name", RETRIES)
def test_full_handshake_after_hello_retry_request(name):
    """With a session that the server does not know."""
    of_client, of_server = RETRIES[name]
    client = client_context(**of_client)
    session = session_of(client, server_context(**of_server))
    counted = Counted(client, server_context(**of_server), session)
    assert counted.messages["sent", HandshakeType.client_hello] == 2
    assert_resumed(counted.pair, False)


# --- Modes (RFC 8446, 4.2.9)

KE, DHE = "psk_ke", "psk_dhe_ke"


@pytest.mark.parametrize("of_client", [(KE,), (DHE,), (KE, DHE), (DHE, KE)])
@pytest.mark.parametrize("of_server", [(KE,), (DHE,), (KE, DHE), (DHE, KE)])
def test_mode_of_key_exchange(of_client, of_server):
    client = client_context(psk_key_exchange_modes=of_client)
    keys = TicketKeys()
    session = session_of(
        client_context(psk_key_exchange_modes=(KE, DHE)),
        server_context(ticket_keys=keys, psk_key_exchange_modes=(KE, DHE)),
    )
    server = server_context(ticket_keys=keys, psk_key_exchange_modes=of_server)
    common = set(of_client) & set(of_server)
    pair = assert_resumes(client, server, session, bool(common))
    # Forward secrecy comes first, whatever the order.
    expected = None if common == {KE} else NamedGroup.x25519
    assert pair.client.group is pair.server.group is expected


# --- Lifetimes (RFC 8446, 4.6.1)


def test_session_ends_with_its_lifetime():
    client, server = client_context(), server_context(session_lifetime=1)
    session = session_of(client, server)
    assert session.lifetime == 1
    assert_resumes(client, server, session)
    time.sleep(max(0.0, session.expires - time.time()) + 0.05)
    assert_resumes(client, server, session, False)


@pytest.mark.parametrize("lifetime", [100, 7200, SEVEN_DAYS])
def test_client_does_not_offer_what_has_expired(clock, lifetime):
    client, server = client_context(), server_context(session_lifetime=lifetime)
    session = session_of(client, server)
    # The seven days begin with the handshake, a moment earlier.
    assert lifetime - 1 <= session.lifetime <= lifetime
    lifetime = session.lifetime
    assert offered(client, server, session).pre_shared_key
    clock.ahead(lifetime - 10, *AT_CLIENT)
    assert offered(client, server, session).pre_shared_key
    clock.ahead(lifetime, *AT_CLIENT)
    assert not offered(client, server, session).pre_shared_key
    assert_resumes(client, server, session, False)


def test_client_does_not_offer_what_is_of_the_future(clock):
    client, server = client_context(), server_context()
    session = session_of(client, server)
    clock.ahead(-60, *AT_CLIENT)
    assert not offered(client, server, session).pre_shared_key


@pytest.mark.parametrize("lifetime", [100, 7200])
def test_server_does_not_take_what_has_expired(clock, lifetime):
    client, server = client_context(), server_context(session_lifetime=lifetime)
    session = session_of(client, server)
    clock.ahead(lifetime - 10, *AT_SERVER)
    assert_resumes(client, server, session)
    clock.ahead(lifetime, *AT_SERVER)
    assert offered(client, server, session).pre_shared_key
    assert_resumes(client, server, session, False)


def test_server_does_not_take_what_is_of_the_future(clock):
    client, server = client_context(), server_context()
    session = session_of(client, server)
    # The clocks of two servers may differ a little.
    clock.ahead(-55, *AT_SERVER)
    assert_resumes(client, server, session)
    clock.ahead(-65, *AT_SERVER)
    assert_resumes(client, server, session, False)


def test_seven_days_from_one_handshake_and_no_longer(clock):
    """RFC 8446, 4.6.1: tickets for tickets do not prolong what the first handshake proved."""
    client = client_context()
    server = server_context(
        session_lifetime=SEVEN_DAYS,
        ticket_keys=TicketKeys(rotate_every=None, accept_for=8 * DAY),
    )
    first = session = session_of(client, server)
    for day in range(1, 7):
        clock.ahead(day * DAY, *EVERYWHERE)
        session = assert_resumes(client, server, session).client.session
        assert session.authenticated == pytest.approx(first.authenticated, abs=1)
        assert session.created == pytest.approx(first.created + day * DAY, abs=10)
        # What is left of the seven days.
        assert session.lifetime == pytest.approx(SEVEN_DAYS - day * DAY, abs=10)
        assert session.expires <= first.authenticated + SEVEN_DAYS + 1
    # The last moments: it is resumed, but there is nothing left for another ticket.
    clock.ahead(SEVEN_DAYS - 20, *EVERYWHERE)
    last = assert_resumes(client, server, session).client.session
    assert last.lifetime <= 20
    clock.ahead(SEVEN_DAYS + 1, *EVERYWHERE)
    for each in (first, session, last):
        assert not offered(client, server, each).pre_shared_key
    # And a server does not take them from clients that do not count.
    clock.ahead(0, *AT_CLIENT)
    assert offered(client, server, first).pre_shared_key
    pair = assert_resumes(client, server, first, False)
    assert pair.client.session.lifetime >= SEVEN_DAYS - 5


def test_server_counts_the_seven_days_whatever_a_ticket_says():
    """One that is sealed well, and says more of its lifetime than of its age."""
    client, server = client_context(verify=Verify.NONE), server_context()
    now = time.time()
    for age, resumes in ((SEVEN_DAYS - 60, True), (SEVEN_DAYS + 60, False)):
        fields = {"created": now, "authenticated": now - age}
        ticket = server.ticket_keys.seal(bytes(session_bytes(**fields, ticket=b"")))
        session = Session.from_bytes(bytes(session_bytes(**fields, ticket=ticket)))
        assert_resumes(client, server, session, resumes)


def test_connection_older_than_seven_days_sends_no_more_tickets(clock):
    counted = Counted(client_context(), server_context(session_tickets=0))
    server = counted.pair.server
    clock.ahead(SEVEN_DAYS - 5, *EVERYWHERE)
    assert server.send_session_tickets() == 1
    clock.ahead(SEVEN_DAYS + 5, *EVERYWHERE)
    assert server.send_session_tickets(3) == 1
    take_tickets(counted.pair)
    assert counted.tickets == 1
    assert counted.pair.client.session.lifetime <= 5


# --- Names and protocols


def test_session_of_another_name_is_refused():
    client, server = client_context(), server_context()
    session = session_of(client, server)
    for name in ("other.test", "127.0.0.1", None, f"{HOST}.test"):
        for roles in (False, True):
            pair = joined(client_context(check_hostname=False), server, hostname=name, roles=roles)
            with pytest.raises(ValueError, match="another server_hostname"):
                pair.client.set_session(session)
    # However it is written.
    assert_resumes(client, server, session, hostname=HOST.upper())


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", None])
def test_session_without_server_name(name):
    client, server = client_context(check_hostname=False), server_context()
    session = session_of(client, server, hostname=name)
    assert session.server_name == name
    assert_resumes(client, server, session, hostname=name)
    with pytest.raises(ValueError, match="another server_hostname"):
        joined(client, server, session)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["h2"], ["http/1.1"], "http/1.1"),
        (["h2"], [], None),
        ([], ["h2"], "h2"),
        (["h2"], ["http/1.1", "h2"], "h2"),
    ],
)
def test_protocol_is_negotiated_anew(before, after, expected):
    # RFC 7301, 3.1: it is no property of the session.
    server = server_context(alpn=["h2", "http/1.1"])
    session = session_of(client_context(alpn=before), server)
    assert session.alpn_protocol == (before[0] if before else None)
    pair = assert_resumes(client_context(alpn=after), server, session)
    assert pair.client.alpn_protocol == pair.server.alpn_protocol == expected
    assert pair.client.session.alpn_protocol == expected


def test_resumption_without_a_protocol_in_common_is_refused():
    server = server_context(alpn=["h2"])
    session = session_of(client_context(alpn=["h2"]), server)
    pair = joined(client_context(alpn=["other"]), server, session)
    assert pair.client.do_handshake() == -1
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert pair.server.last_error.alert == fasths.AlertDescription.no_application_protocol


# --- set_session()


def test_what_is_no_session_is_refused():
    pair = joined(client_context(), server_context())
    session = session_of(client_context(), server_context())
    for value in (None, session.to_bytes(), session.ticket, object()):
        with pytest.raises(TypeError, match="Session"):
            pair.client.set_session(value)


def test_session_for_a_server_or_too_late_is_refused():
    client, server = client_context(), server_context()
    session = session_of(client, server)
    pair = joined(client, server)
    pair.server = Connection(server, pair.server_bio, server_hostname=HOST)
    pair.server.set_accept_state()
    with pytest.raises(RuntimeError, match="by a client"):
        pair.server.set_session(session)
    assert pair.client.do_handshake() == -1
    with pytest.raises(RuntimeError, match="before its handshake"):
        pair.client.set_session(session)
    pair.handshake()
    with pytest.raises(RuntimeError, match="before its handshake"):
        pair.client.set_session(session)
    assert_resumed(pair, False)


def test_the_last_session_that_was_set_counts():
    client, server = client_context(), server_context()
    unknown = session_of(client, server_context())
    known = session_of(client, server)
    for first, second, resumed in ((unknown, known, True), (known, unknown, False)):
        pair = joined(client, server, first, roles=False)
        pair.client.set_connect_state()
        pair.server.set_accept_state()
        pair.client.set_session(second)
        pair.handshake()
        assert_resumed(pair, resumed)


def test_a_ticket_of_a_server_is_no_session_to_offer():
    """A server's own Session, which is in its tickets, has none to show."""
    client, server = client_context(), server_context()
    state, _ = server.ticket_keys.open(session_of(client, server).ticket)
    own = Session.from_bytes(state)
    assert own.ticket is None
    assert not offered(client, server, own).pre_shared_key


# --- Ticket keys


def test_ticket_of_another_ring_makes_a_full_handshake():
    client = client_context()
    session = session_of(client, server_context())
    server = server_context(ticket_keys=TicketKeys())
    assert_resumes(client, server, session, False)


def test_ring_shared_by_two_contexts():
    client, keys = client_context(), TicketKeys()
    servers = [server_context(ticket_keys=keys) for _ in range(2)]
    session = session_of(client, servers[0])
    session = assert_resumes(client, servers[1], session).client.session
    assert_resumes(client, servers[0], session)


def test_ring_shared_by_export_and_import():
    client, keys = client_context(), TicketKeys()
    one = server_context(ticket_keys=keys)
    other_keys = TicketKeys.from_bytes(keys.to_bytes())
    other = server_context(ticket_keys=other_keys)
    session = session_of(client, one)
    session = assert_resumes(client, other, session).client.session
    # After a rotation by one of them, the other has to hear of it.
    keys.rotate()
    assert_resumes(client, one, session)
    session = session_of(client, one)
    assert_resumes(client, other, session, False)
    other_keys.load(keys.to_bytes())
    assert_resumes(client, other, session)


def test_rotation_of_the_ring():
    """Tickets of an old key are accepted, and the new ones are under the new key."""
    client, server = client_context(), server_context()
    old, unused = connected(client, server).client.sessions
    assert key_name(old) == key_name(unused)
    server.ticket_keys.rotate()
    new = assert_resumes(client, server, old).client.session
    assert key_name(new) != key_name(old)
    assert_resumes(client, server, new)
    assert_resumes(client, server, unused)


def test_key_that_is_not_accepted_any_more():
    client, server = client_context(), server_context()
    old = session_of(client, server)
    for _ in range(MAX_KEYS - 1):
        server.ticket_keys.rotate()
    assert_resumes(client, server, old)
    server.ticket_keys.rotate()
    assert_resumes(client, server, old, False)
