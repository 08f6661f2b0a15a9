"""Resumption in TLS 1.2 (RFC 5246, F.1.4; RFC 5077): when it happens, and when not.

By a ticket, which the server has sealed, or by a session id, under which it keeps the session.
"""

from __future__ import annotations

import pickle

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    SSL,
    authority,
    client_context,
    identity,
    outcome,
    server_context,
)
from refusals import assert_refuses
from refusals12 import TLS12_ALONE, client_of, server_of
from resumed_pairs import (
    AT_CLIENT,
    AT_SERVER,
    Clock,
    assert_resumes,
    connected,
    joined,
    session_of,
)
from resumed_pairs12 import (
    EVERY_KIND,
    SEVEN_DAYS,
    SUITES,
    Servers,
    client_with,
    is_kept_as,
)

import fasths
from fasths import (
    AlertDescription,
    CipherSuite,
    Connection,
    Identity,
    MemorySessionStore,
    NamedGroup,
    Session,
    TicketKeys,
    TLSVersion,
    Verify,
    session_store,
)
from fasths.crypto.groups import is_supported
from fasths.crypto.tickets import MAX_KEYS
from fasths.wire.errors import HandshakeFailure

ECDSA_SUITES = [suite for suite in SUITES if "_ECDSA_" in suite.name]
GROUPS = [
    each for each in NamedGroup if is_supported(each) and each is not NamedGroup.X25519MLKEM768
]
DAY = 24 * 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# --- What a client gets


@EVERY_KIND
@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
@pytest.mark.parametrize("group", GROUPS, ids=[group.name for group in GROUPS])
def test_resumption(kind: str, suite: CipherSuite, group: NamedGroup) -> None:
    key_type = "rsa" if "_RSA_" in suite.name else "ed25519"
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type=key_type)
    server = Servers(kind)(
        identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem)], groups=[group]
    )
    client = client_with(cipher_suites=[suite], groups=[group])
    session = session_of(client, server)
    assert is_kept_as(session) == kind
    assert session.version is TLSVersion.TLSv1_2
    assert session.cipher_suite is suite
    for _ in range(2):
        pair = assert_resumes(client, server, session)
        for conn in (pair.client, pair.server):
            assert conn.cipher_suite is suite
            assert conn.version is TLSVersion.TLSv1_2
            assert conn.extended_master_secret is True
            # There is no key exchange in it.
            assert conn.group is None
        session = pair.client.session


@EVERY_KIND
def test_a_session_is_used_again_and_again(kind: str) -> None:
    client, server = client_with(), Servers(kind)()
    session = session_of(client, server)
    exported = set()
    for _ in range(5):
        pair = assert_resumes(client, server, session)
        # The server gave no other one.
        assert pair.client.session == session
        assert pair.client.sessions == (pair.client.session,)
        exported.add(pair.client.export_keying_material("label", b"", 32))
    assert len(exported) == 5


@EVERY_KIND
def test_a_session_is_there_with_the_handshake(kind: str) -> None:
    """Before anything is read, and at the client alone."""
    pair = joined(client_with(), Servers(kind)())
    assert pair.client.session is None
    pair.handshake()
    assert pair.client.session is not None
    assert pair.server.session is None


@EVERY_KIND
@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_session_however_many_tickets(kind: str, count: int) -> None:
    pair = connected(client_with(), Servers(kind)(session_tickets=count))
    assert len(pair.client.sessions) == 1


@EVERY_KIND
def test_no_tickets_no_resumption(kind: str) -> None:
    servers = Servers(kind)
    pair = connected(client_with(), servers(session_tickets=0))
    assert pair.client.session is None
    # Nor does such a server resume what others have given.
    session = session_of(client_with(), servers())
    pair = assert_resumes(client_with(), servers(session_tickets=0), session, False)
    assert pair.client.session is None
    assert_resumes(client_with(), servers(), session)


def test_a_client_without_session_ticket_gets_a_session_id() -> None:
    """RFC 5077, 3.1: with ticket keys, too."""
    store = MemorySessionStore()
    peer = server_of({"ticket_keys": TicketKeys(), "session_store": store})
    peer.handshake()
    assert not peer.session.ticket
    assert len(peer.session.session_id) == 32
    assert len(store) == 1


@EVERY_KIND
def test_pickled_and_saved_sessions(kind: str) -> None:
    client, server = client_with(), Servers(kind)()
    session = session_of(client, server)
    for again in (
        pickle.loads(pickle.dumps(session)),
        Session.from_bytes(session.to_bytes()),
    ):
        assert again == session
        assert hash(again) == hash(session)
        assert again.version is TLSVersion.TLSv1_2
        assert again.session_id == session.session_id
        assert_resumes(client, server, again)


def test_info_callback_and_key_log_of_a_resumption() -> None:
    lines: dict[str, list[str]] = {"client": [], "server": []}
    client = client_with(keylog=lines["client"].append)
    server = Servers("ticket")(keylog=lines["server"].append)
    session = session_of(client, server)
    full = lines["client"].pop()
    lines["server"].clear()
    events: list[tuple[str, str]] = []
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
    assert events == [("handshake started", "client"), ("handshake done", "resumed")]
    assert lines["client"] == lines["server"]
    [line] = lines["client"]
    # RFC 5246, 8.1: the master secret is that of the session, the randoms are new.
    assert line.split()[0] == full.split()[0] == "CLIENT_RANDOM"
    assert line.split()[1] != full.split()[1]
    assert line.split()[2] == full.split()[2]


# --- Suites, protocols, names


@EVERY_KIND
@pytest.mark.parametrize("suite", ECDSA_SUITES, ids=[suite.name for suite in ECDSA_SUITES])
def test_the_session_decides_on_the_suite(kind: str, suite: CipherSuite) -> None:
    """RFC 5246, 7.4.1.3: whatever the server prefers."""
    servers = Servers(kind)
    session = session_of(client_with(cipher_suites=[suite]), servers())
    for suites in (SUITES, SUITES[::-1]):
        pair = assert_resumes(client_with(), servers(cipher_suites=suites), session)
        assert pair.client.cipher_suite is pair.server.cipher_suite is suite


@EVERY_KIND
@BOTH_ROLES
def test_a_suite_that_was_removed_makes_a_full_handshake(kind: str, by_server: bool) -> None:
    first, *others = ECDSA_SUITES
    servers = Servers(kind)
    session = session_of(client_with(cipher_suites=[first]), servers())
    client = client_with(cipher_suites=SUITES if by_server else others)
    server = servers(cipher_suites=others if by_server else SUITES)
    pair = assert_resumes(client, server, session, False)
    assert pair.client.cipher_suite in others
    # The new session takes its place.
    assert_resumes(client, server, pair.client.session)


@EVERY_KIND
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["h2"], ["http/1.1"], "http/1.1"),
        (["h2"], [], None),
        ([], ["h2"], "h2"),
        (["h2"], ["http/1.1", "h2"], "h2"),
    ],
)
def test_protocol_is_negotiated_anew(
    kind: str, before: list[str], after: list[str], expected: str | None
) -> None:
    # RFC 7301, 3.1: it is no property of the session.
    server = Servers(kind)(alpn=["h2", "http/1.1"])
    session = session_of(client_with(alpn=before), server)
    assert session.alpn_protocol == (before[0] if before else None)
    pair = assert_resumes(client_with(alpn=after), server, session)
    assert pair.client.alpn_protocol == pair.server.alpn_protocol == expected


@EVERY_KIND
def test_resumption_without_a_protocol_in_common_is_refused(kind: str) -> None:
    server = Servers(kind)(alpn=["h2"])
    session = session_of(client_with(alpn=["h2"]), server)
    pair = joined(client_with(alpn=["other"]), server, session)
    pair.client.do_handshake()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert pair.server.last_error.alert is AlertDescription.no_application_protocol


@EVERY_KIND
def test_session_of_another_name_is_refused(kind: str) -> None:
    server = Servers(kind)()
    session = session_of(client_with(), server)
    for name in ("other.test", "127.0.0.1", None):
        with pytest.raises(ValueError, match="another server_hostname"):
            joined(client_with(check_hostname=False), server, session, hostname=name)
    assert_resumes(client_with(), server, session, hostname=HOST.upper())


@EVERY_KIND
@pytest.mark.parametrize("name", ["127.0.0.1", "::1", None])
def test_session_without_server_name(kind: str, name: str | None) -> None:
    client, server = client_with(check_hostname=False), Servers(kind)()
    session = session_of(client, server, hostname=name)
    assert_resumes(client, server, session, hostname=name)


@pytest.mark.parametrize("resumed", ["ticket", "id"])
@pytest.mark.parametrize("name", [None, "other.test"])
def test_server_does_not_resume_for_another_name(resumed: str, name: str | None) -> None:
    """RFC 6066, 3: not even for a client that offers it."""
    peer = server_of(
        {"identities": [identity(), identity("other.test")]},
        resumed=resumed,
        first={"name": HOST},
        name=name,
    )
    peer.handshake()
    assert not peer.resumed
    assert not peer.connection.session_reused
    assert peer.connection.server_name == name


# --- Lifetimes


@EVERY_KIND
def test_client_does_not_offer_what_has_expired(kind: str, clock: Clock) -> None:
    client, server = client_with(), Servers(kind)(session_lifetime=100)
    session = session_of(client, server)
    # RFC 5077, 3.3: a ticket comes with a lifetime; a session id is kept as long as this client
    # would keep one.
    lifetime = session.lifetime
    assert lifetime == (7200 if kind == "session id" else pytest.approx(100, abs=1))
    clock.ahead(lifetime - 2, *AT_CLIENT)
    assert_resumes(client, server, session)
    clock.ahead(lifetime, *AT_CLIENT)
    pair = joined(client, server, session)
    pair.client.do_handshake()
    hello = bytes(pair.client_bio.written)
    assert (session.ticket or session.session_id) not in hello
    clock.ahead(-60, *AT_CLIENT)
    pair = joined(client, server, session)
    pair.client.do_handshake()
    assert (session.ticket or session.session_id) not in bytes(pair.client_bio.written)


@EVERY_KIND
@pytest.mark.parametrize("lifetime", [100, 7200])
def test_server_does_not_take_what_has_expired(kind: str, lifetime: int, clock: Clock) -> None:
    client, server = client_with(), Servers(kind)(session_lifetime=lifetime)
    session = session_of(client, server)
    clock.ahead(lifetime - 10, *AT_SERVER)
    assert_resumes(client, server, session)
    clock.ahead(lifetime + 1, *AT_SERVER)
    assert_resumes(client, server, session, False)


def test_stored_session_that_has_expired(clock: Clock) -> None:
    client, server = client_with(), Servers("session id")(session_lifetime=100)
    session = session_of(client, server)
    clock.ahead(90, *AT_SERVER, session_store)
    assert_resumes(client, server, session)
    clock.ahead(101, *AT_SERVER, session_store)
    assert_resumes(client, server, session, False)


@EVERY_KIND
def test_server_does_not_take_what_is_of_the_future(kind: str, clock: Clock) -> None:
    client, server = client_with(), Servers(kind)()
    session = session_of(client, server)
    clock.ahead(-55, *AT_SERVER)
    assert_resumes(client, server, session)
    clock.ahead(-65, *AT_SERVER)
    assert_resumes(client, server, session, False)


def test_renewed_tickets_do_not_prolong_a_session(clock: Clock) -> None:
    """The seven days begin with the handshake that all the keys come from."""
    client = client_with()
    keys = TicketKeys(rotate_every=None, accept_for=8 * DAY)
    server = server_context(**TLS12_ALONE, ticket_keys=keys, session_lifetime=SEVEN_DAYS)
    first = session = session_of(client, server)
    for day in range(1, 7):
        clock.ahead(day * DAY, *AT_CLIENT, *AT_SERVER)
        keys.rotate()
        session = assert_resumes(client, server, session).client.session
        assert session.ticket != first.ticket
        assert session.authenticated == pytest.approx(first.authenticated, abs=2)
        assert session.lifetime == pytest.approx(SEVEN_DAYS - day * DAY, abs=10)
    clock.ahead(SEVEN_DAYS + 1, *AT_CLIENT, *AT_SERVER)
    assert_resumes(client, server, session, False)
    # And a server does not take it from a client that does not count.
    clock.ahead(0, *AT_CLIENT)
    assert_resumes(client, server, session, False)


# --- Ticket keys


def key_name(session: Session) -> bytes:
    return session.ticket[:16]


def test_rotation_renews_the_ticket() -> None:
    """RFC 5077, 3.3: a ticket of an old key is taken, and another one is given for it."""
    client, server = client_with(), server_context(**TLS12_ALONE)
    old = session_of(client, server)
    assert assert_resumes(client, server, old).client.session == old
    server.ticket_keys.rotate()
    new = assert_resumes(client, server, old).client.session
    assert key_name(new) != key_name(old)
    assert_resumes(client, server, new)
    assert_resumes(client, server, old)


def test_key_that_is_not_accepted_any_more() -> None:
    client, server = client_with(), server_context(**TLS12_ALONE)
    old = session_of(client, server)
    for _ in range(MAX_KEYS - 1):
        server.ticket_keys.rotate()
    assert_resumes(client, server, old)
    server.ticket_keys.rotate()
    assert_resumes(client, server, old, False)


def test_ring_shared_by_two_contexts() -> None:
    client, servers = client_with(), Servers("ticket")
    session = session_of(client, servers())
    session = assert_resumes(client, servers(), session).client.session
    assert_resumes(client, server_context(**TLS12_ALONE), session, False)


def test_ring_shared_by_export_and_import() -> None:
    client, keys = client_with(), TicketKeys()
    one = server_context(**TLS12_ALONE, ticket_keys=keys)
    other_keys = TicketKeys.from_bytes(keys.to_bytes())
    other = server_context(**TLS12_ALONE, ticket_keys=other_keys)
    session = session_of(client, one)
    assert_resumes(client, other, session)
    keys.rotate()
    session = session_of(client, one)
    assert_resumes(client, other, session, False)
    other_keys.load(keys.to_bytes())
    assert_resumes(client, other, session)


def test_ticket_that_is_changed_or_cut_makes_a_full_handshake() -> None:
    client, server = client_with(), server_context(**TLS12_ALONE)
    session = session_of(client, server)
    data = session.to_bytes()
    at = data.index(session.ticket)
    for offset in range(0, len(session.ticket), 7):
        changed = bytearray(data)
        changed[at + offset] ^= 1
        assert_resumes(client, server, Session.from_bytes(bytes(changed)), False)


def test_ticket_that_is_too_long_is_none() -> None:
    """RFC 5077, 3.3: an empty one stands for it, and nothing can be resumed."""
    leaf = pki.make_leaf(
        ["client.test", *(f"{number:060}.test" for number in range(300))],
        issuer=authority(),
        key_type="ed25519",
    )
    limits = fasths.Limits(max_handshake_message_size=1 << 17)
    large = Identity.from_pem(leaf.chain_pem, leaf.key_pem)
    client = client_with(identities=[large], limits=limits)
    pair = connected(client, Servers("ticket")(verify=Verify.REQUIRED, limits=limits))
    assert pair.server.peer_certificates == large.certificates
    assert pair.client.session is None
    # Nor does a client fill a store.
    server = Servers("session id")(verify=Verify.REQUIRED, limits=limits)
    assert_resumes(client, server, session_of(client, server), False)


# --- extended_master_secret (RFC 7627)


@pytest.mark.parametrize("role", ["client", "server"])
def test_no_session_without_extended_master_secret(role: str) -> None:
    make = client_of if role == "client" else server_of
    options = {"tickets": True} if role == "client" else {}
    peer = make(extended_master_secret=False, **options)
    peer.handshake()
    conn = peer.connection
    assert conn.established
    assert conn.extended_master_secret is False
    assert conn.session is None
    # A scripted client keeps what it is given; a scripted server has given something.
    assert (peer.session is None) is (role == "server")


@pytest.mark.parametrize("resumed", ["ticket", "id"])
@pytest.mark.parametrize("role", ["client", "server"])
def test_resumption_without_extended_master_secret_is_refused(role: str, resumed: str) -> None:
    make = client_of if role == "client" else server_of
    peer = make(
        resumed=resumed, first={"extended_master_secret": True}, extended_master_secret=False
    )
    assert_refuses(peer, HandshakeFailure, peer.handshake)


# --- The versions apart


@pytest.mark.parametrize("offers", ["1.2", "1.3"])
def test_session_of_the_other_version_is_not_resumed(offers: str) -> None:
    """Although both servers have the same keys."""
    keys = TicketKeys()
    of_version = {
        "1.2": server_context(**TLS12_ALONE, ticket_keys=keys),
        "1.3": server_context(minimum_version=TLSVersion.TLSv1_3, ticket_keys=keys),
    }
    client = client_context()
    session = session_of(client, of_version[offers])
    other = "1.3" if offers == "1.2" else "1.2"
    pair = assert_resumes(client, of_version[other], session, False)
    assert pair.client.version.name == f"TLSv{other.replace('.', '_')}"
    assert_resumes(client, of_version[offers], session)


def test_cached_session_is_forgotten_after_a_fatal_alert() -> None:
    """RFC 5246, 7.2.2: what ended so is not resumed; a cache forgets it where it can."""
    cache = fasths.MemorySessionCache()
    client, server = client_with(session_cache=cache), Servers("ticket")()
    pair = connected(client, server)
    assert len(cache) == 1
    pair.client_bio.inner.write(b"\x16\x03\x03\x00\x01\x00")
    assert pair.server.read() is None
    assert pair.client.read() is None
    assert pair.client.session is None
    assert len(cache) == 0
    with pytest.raises(RuntimeError, match="has failed"):
        pair.client.export_keying_material("EXPORTER-label", b"", 16)
    with pytest.raises(RuntimeError, match="has failed"):
        pair.client.channel_binding("tls-unique")
    assert not connected(client, server).client.session_reused
