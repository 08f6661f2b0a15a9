"""What TLS 1.2 negotiates beside the keys: as in TLS 1.3, wherever both have it.

Who shows what to whom, and how it is chosen, is in test_tls12_identities.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    NONE,
    SSL,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    ConnectionPair,
    authority,
    client_context,
    identity,
    outcome,
    records,
    server_context,
    transfer,
)
from refusals import assert_refuses
from refusals12 import TLS12_ALONE, client_of, server_of
from resumed_pairs import assert_resumed, connected, joined, session_of
from resumed_pairs12 import EVERY_KIND, SUITES, Servers, client_with, refusal_of
from scripted12_keys import SUITES12
from test_record_sizes import MAX_PLAINTEXT, lengths_of
from wire_format import u16

import fasths
from fasths import (
    AlertDescription,
    CipherSuite,
    Connection,
    ContentType,
    HandshakeType,
    Identity,
    Limits,
    NamedGroup,
    SSLErrorCode,
    TLSVersion,
    Verify,
)
from fasths.crypto.channel_bindings import tls_server_end_point
from fasths.wire.errors import HandshakeFailure

V12 = TLSVersion.TLSv1_2
EVERY_SUITE = pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])


def server_with(**options: Any) -> fasths.Context:
    return server_context(**{**TLS12_ALONE, **options})


def pair_of(client: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> Any:
    contexts = client_with(**(client or {})), server_with(**(server or {}))
    return ConnectionPair(contexts=contexts).handshake()


@EVERY_SUITE
def test_what_is_negotiated(suite: CipherSuite) -> None:
    key_type = "rsa" if "_RSA_" in suite.name else "ecdsa"
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type=key_type)
    groups = {"groups": ["secp384r1", "secp256r1"]}
    server = {"identities": [Identity.from_pem(leaf.chain_pem, leaf.key_pem)], **groups}
    contexts = client_with(cipher_suites=[suite], **groups), server_with(**server)
    pair = ConnectionPair(contexts=contexts)
    for conn in (pair.client, pair.server):
        assert conn.version is conn.cipher_suite is conn.group is None
        assert conn.signature_scheme is conn.extended_master_secret is None
        with pytest.raises(RuntimeError, match="before"):
            conn.export_keying_material("label", None, 1)
    pair.handshake()
    for conn in (pair.client, pair.server):
        assert conn.version is V12
        assert conn.cipher_suite is suite
        assert conn.group is NamedGroup.secp384r1
        assert conn.extended_master_secret is True
        assert conn.session_reused is False
        assert conn.early_data_accepted is None
        assert conn.signature_scheme.name.startswith(key_type)
    assert list(pair.client.peer_certificates) == leaf.chain_der
    assert pair.client.server_name == pair.server.server_name == HOST
    assert_resumed(pair, False)


# --- ALPN (RFC 7301) and server_name (RFC 6066, 3)


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        ([], [], None),
        (["h2"], [], None),
        ([], ["h2"], None),
        (["h2", "http/1.1"], ["http/1.1", "h2"], "http/1.1"),
        (["h2", "http/1.1"], ["http/1.1"], "http/1.1"),
        ([b"\xff\x00"], [b"\xff\x00"], "\\xff\x00"),
    ],
)
def test_application_protocol(client: list[Any], server: list[Any], expected: str | None) -> None:
    pair = pair_of({"alpn": client}, {"alpn": server})
    assert pair.client.alpn_protocol == pair.server.alpn_protocol == expected


def test_no_application_protocol_in_common_is_refused() -> None:
    error = refusal_of(client_with(alpn=["h2"]), server_with(alpn=["http/1.1"]), True)
    assert error.alert is AlertDescription.no_application_protocol


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [(HOST, HOST), ("LocalHost.", HOST), ("bücher.test", "xn--bcher-kva.test"), ("::1", None)],
)
def test_server_name(hostname: str, expected: str | None) -> None:
    pair = joined(client_with(check_hostname=False), server_with(), hostname=hostname).handshake()
    assert pair.client.server_name == pair.server.server_name == expected


# --- Key log


@EVERY_SUITE
def test_key_log_opens_the_records(suite: CipherSuite, tmp_path: Path) -> None:
    """Of both directions, with an implementation of its own."""
    key_type = "rsa" if "_RSA_" in suite.name else "ed25519"
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type=key_type)
    lines: list[str] = []
    client = client_with(cipher_suites=[suite], keylog=lines.append)
    server = server_with(
        identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem)], keylog=tmp_path / "keys"
    )
    pair = ConnectionPair(contexts=(client, server))
    for _ in range(2):
        pair.client.do_handshake()
        pair.server.do_handshake()
    assert pair.client.do_handshake() == 1
    transfer(pair.client, pair.server, b"to the server")
    transfer(pair.server, pair.client, b"to the client")
    [line] = lines
    assert (tmp_path / "keys").read_text() == f"{line}\n"
    label, client_random, secret = line.split(" ")
    sent = [list(records(bio.written)) for bio in (pair.client_bio, pair.server_bio)]
    hellos = [flight[0][1] for flight in sent]
    assert (label, bytes.fromhex(client_random)) == ("CLIENT_RANDOM", hellos[0][6:38])
    assert line == line.lower().replace("client_random", "CLIENT_RANDOM")
    master_secret = bytes.fromhex(secret)
    assert len(master_secret) == 48
    keys = SUITES12[suite].record_keys(master_secret, hellos[0][6:38], hellos[1][6:38])
    for key, flight, data in zip(keys, sent, (b"to the server", b"to the client"), strict=True):
        kinds = [kind for kind, _ in flight]
        protected = flight[kinds.index(ContentType.change_cipher_spec) + 1 :]
        opened = [
            key.open(bytes((kind, 3, 3)) + u16(len(fragment)) + fragment)
            for kind, fragment in protected
        ]
        (first, finished), *rest = opened
        assert (first, finished[0]) == (ContentType.handshake, HandshakeType.finished)
        assert rest == [(ContentType.application_data, data)]


def test_no_key_log_unless_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    pair_of()
    assert not (tmp_path / "keys").exists()


# --- Exporters and channel bindings


@BOTH_ROLES
@pytest.mark.parametrize("extended", [True, False], ids=["extended", "not extended"])
def test_exporters_and_tls_unique(by_server: bool, extended: bool) -> None:
    """RFC 5705, 4, and RFC 7627, 5.4: only of an extended master secret."""
    peer = (server_of if by_server else client_of)(extended_master_secret=extended)
    peer.handshake()
    conn = peer.connection
    assert conn.extended_master_secret is extended
    calls: list[Callable[[], object]] = [
        lambda: conn.export_keying_material("label", None, 20),
        lambda: conn.channel_binding("tls-exporter"),
        lambda: conn.channel_binding("tls-unique"),
    ]
    if not extended:
        for call in calls:
            with pytest.raises(RuntimeError, match="without extended_master_secret"):
                call()
        return
    for context in (None, b"", b"context", bytes(65535)):
        for length in (1, 32, 100, 8160):
            exported = conn.export_keying_material("label", context, length)
            assert exported == peer.export(b"label", context, length)
    assert conn.export_keying_material(b"label", None, 9) == peer.export(b"label", None, 9)
    without, empty = (conn.export_keying_material("label", each, 32) for each in (None, b""))
    assert without != empty


def test_exporter_of_what_is_not_to_be_exported_is_refused() -> None:
    conn = pair_of().client
    for label in ("client finished", "server finished", "master secret", "key expansion"):
        with pytest.raises(ValueError, match="protocol's own"):
            conn.export_keying_material(label, None, 12)
    for label, length in (("", 1), ("label", 0), ("label", 8161), ("l" * 250, 1)):
        with pytest.raises(ValueError, match="must"):
            conn.export_keying_material(label, None, length)
    with pytest.raises(ValueError, match=r"context|65535"):
        conn.export_keying_material("label", bytes(65536), 1)
    with pytest.raises(RuntimeError, match="early data"):
        conn.export_early_keying_material("label", None, 1)


def finished_of(conn_messages: list[tuple[str, bytes]], direction: str) -> bytes:
    [verify_data] = [
        message[4:]
        for way, message in conn_messages
        if way == direction and message[0] == HandshakeType.finished
    ]
    return verify_data


class Watched:
    """A pair whose client tells of all that it sends and receives."""

    def __init__(
        self,
        client: fasths.Context,
        server: fasths.Context,
        session: fasths.Session | None = None,
    ) -> None:
        self.seen: list[tuple[str, ContentType, bytes]] = []
        self.events: list[tuple[str, str]] = []
        self.pair = joined(client, server, roles=False)
        self.pair.client = Connection(
            client,
            self.pair.client_bio,
            server_hostname=HOST,
            message_callback=lambda *each: self.seen.append(each),
            info_callback=lambda *event: self.events.append(event),
        )
        if session is not None:
            self.pair.client.set_session(session)
        self.pair.client.set_connect_state()
        self.pair.server.set_accept_state()

    def names(self) -> list[str]:
        """What happened, as "> client_hello" and the like."""
        told = []
        for direction, kind, data in self.seen:
            if kind == ContentType.handshake:
                assert len(data) == 4 + int.from_bytes(data[1:4], "big")
                name = HandshakeType(data[0]).name
            elif kind == ContentType.alert:
                name = AlertDescription(data[1]).name
            else:
                assert data == b"\1"
                name = kind.name
            told.append(f"{'>' if direction == 'sent' else '<'} {name}")
        return told

    def finished(self, direction: str) -> bytes:
        messages = [(way, data) for way, kind, data in self.seen if kind == ContentType.handshake]
        return finished_of(messages, direction)


@EVERY_KIND
def test_tls_unique_is_the_first_finished(kind: str) -> None:
    """RFC 5929, 3.1: the client's in a full handshake, the server's in a resumed one."""
    client, server = client_with(), Servers(kind)()
    full = Watched(client, server)
    full.pair.handshake()
    resumed = Watched(client, server, full.pair.client.session)
    resumed.pair.handshake()
    for watched, direction in ((full, "sent"), (resumed, "received")):
        binding = watched.pair.client.channel_binding("tls-unique")
        assert binding == watched.finished(direction)
        assert len(binding) == 12
        assert watched.pair.server.channel_binding("tls-unique") == binding
    assert_resumed(resumed.pair)


def test_channel_bindings() -> None:
    leaf = pki.make_leaf([HOST], issuer=pki.make_ca())
    server = {"identities": [Identity.from_pem(leaf.chain_pem, leaf.key_pem)]}
    # RFC 8422, 5.1: the groups are the curves of certificates, too.
    pair = pair_of({"verify": Verify.NONE, "groups": ["x25519", "secp256r1"]}, server)
    for kind in ("tls-exporter", "tls-server-end-point", "tls-unique"):
        assert pair.client.channel_binding(kind) == pair.server.channel_binding(kind)
        with pytest.raises(RuntimeError, match="before"):
            ConnectionPair().client.channel_binding(kind)
    exported = pair.client.export_keying_material("EXPORTER-Channel-Binding", b"", 32)
    assert pair.client.channel_binding("tls-exporter") == exported
    end_point = tls_server_end_point(leaf.chain_der[0])
    assert pair.client.channel_binding("tls-server-end-point") == end_point
    with pytest.raises(ValueError, match="no channel binding"):
        pair.client.channel_binding("tls-other")
    with pytest.raises(ValueError, match="not defined"):
        ConnectionPair().handshake().client.channel_binding("tls-unique")


@BOTH_ROLES
@pytest.mark.parametrize("extended", [True, False], ids=["extended", "not extended"])
def test_extended_master_secret_can_be_required(by_server: bool, extended: bool) -> None:
    peer = (server_of if by_server else client_of)(
        {"require_extended_master_secret": True}, extended_master_secret=extended
    )
    if extended:
        peer.handshake()
        assert peer.connection.established
        return
    assert_refuses(peer, HandshakeFailure, peer.handshake)


# --- Records


@BOTH_ROLES
@EVERY_KIND
@pytest.mark.parametrize("limit", [64, 65, 1000, MAX_PLAINTEXT, MAX_PLAINTEXT + 1])
@pytest.mark.parametrize("suite", ["AES_128_GCM_SHA256", "CHACHA20_POLY1305_SHA256"])
def test_records_keep_to_the_peers_limit(
    by_server: bool, kind: str, limit: int, suite: str
) -> None:
    """RFC 8449, 4: in TLS 1.2 there is no type to count; in a resumed connection, too."""
    announced = {"record_size_limit": limit}
    offered = {"record_size_limit": MAX_PLAINTEXT + 1}
    suites = {"cipher_suites": [f"TLS_ECDHE_ECDSA_WITH_{suite}"]}
    client = client_with(**(announced if by_server else offered), **suites)
    server = Servers(kind)(**({} if by_server else announced))
    session = session_of(client, server)
    for pair in (connected(client, server), connected(client, server, session)):
        lengths = lengths_of(pair, bytes(40_000), by_server)
        most = min(limit, MAX_PLAINTEXT)
        assert max(lengths) == most
        assert len(lengths) == -(-40_000 // most)
        assert max(lengths_of(pair, bytes(40_000), not by_server)) == MAX_PLAINTEXT


def test_protected_handshake_messages_keep_to_the_limit() -> None:
    """A Finished of 16 bytes always fits; what is not protected does not count."""
    pair = pair_of({"record_size_limit": 64}, {"record_size_limit": 64})
    transfer(pair.client, pair.server, bytes(1000))
    transfer(pair.server, pair.client, bytes(1000))


def test_a_limit_that_is_not_answered_does_not_count() -> None:
    pair = pair_of({}, {"record_size_limit": 64})
    assert lengths_of(pair, bytes(20_000), False) == [MAX_PLAINTEXT, 20_000 - MAX_PLAINTEXT]


def test_padding_is_for_tls_1_3_alone() -> None:
    pair = pair_of({"record_padding": 512}, {"record_padding": 512})
    for by_server in (False, True):
        assert lengths_of(pair, bytes(100), by_server) == [100]


# --- What there is not


@pytest.mark.parametrize("early", [False, True], ids=["session", "session with early data"])
def test_client_hello_of_tls_1_2_alone_has_nothing_of_tls_1_3(early: bool) -> None:
    """Whatever the session is that it was given."""
    server = server_context(max_early_data_size=1000 if early else 0)
    session = session_of(client_context(), server)
    pair = joined(client_with(), server, session)
    if early:
        assert outcome(pair.client, pair.client.write_early_data(b"early")) == (
            -1,
            SSLErrorCode.EARLY_DATA_REJECTED,
        )
    assert pair.client.do_handshake() == -1
    [(kind, _)] = records(pair.client_bio.written)
    assert kind == ContentType.handshake
    hello = fasths.parse_client_hello(bytes(pair.client_bio.written))
    assert set(hello.cipher_suites) == set(SUITES)
    assert hello.supported_versions == ()
    assert not hello.pre_shared_key
    assert session.ticket not in hello.raw
    pair.handshake()
    assert_resumed(pair, False)


def test_what_tls_1_2_does_not_have_is_misuse() -> None:
    options = {"post_handshake_auth": True}
    pair = pair_of({"identities": [identity()], **options}, {"verify": Verify.OPTIONAL, **options})
    # It asks in the handshake, as it cannot ask later.
    assert pair.server.peer_certificates == identity().certificates
    for conn in (pair.client, pair.server):
        for request_peer in (False, True):
            with pytest.raises(RuntimeError, match=r"TLS 1\.3"):
                conn.key_update(request_peer)
    with pytest.raises(RuntimeError, match="tickets"):
        pair.server.send_session_tickets()
    with pytest.raises(RuntimeError, match=r".+"):
        pair.server.verify_client_post_handshake()
    for conn in (pair.client, pair.server):
        assert conn.last_error is None
    assert_resumed(pair, False)


@pytest.mark.parametrize("limit", [1, 3])
def test_keys_are_not_updated_after_many_records(limit: int) -> None:
    """There is no KeyUpdate, whatever Limits say."""
    limits = {"limits": Limits(max_records_per_key=limit)}
    pair = pair_of(limits, limits)
    for _ in range(10):
        transfer(pair.client, pair.server, b"data")
        transfer(pair.server, pair.client, b"data")


@pytest.mark.parametrize("versions", ["1.2 alone", "both"])
def test_early_data_of_a_client_is_rejected(versions: str) -> None:
    server = server_with(max_early_data_size=1000)
    client = client_with() if versions == "1.2 alone" else client_context()
    session = session_of(client, server)
    assert session.max_early_data_size == 0
    pair = joined(client, server, session)
    assert outcome(pair.client, pair.client.write_early_data(b"early")) == (
        -1,
        SSLErrorCode.EARLY_DATA_REJECTED,
    )
    assert pair.client.max_early_data == 0
    pair.handshake()
    assert pair.client.early_data_accepted is None
    assert pair.server.read_early_data() == b""
    assert_resumed(pair)


def test_a_server_has_no_early_data_to_read_and_none_to_send() -> None:
    pair = ConnectionPair(contexts=(client_with(), server_with(max_early_data_size=1000)))
    pair.client.do_handshake()
    assert pair.server.read_early_data() is None
    assert pair.server.get_error(-1) is WANT_READ
    # RFC 5246, 7.4.9: nothing is sent before both Finished, and then it is data as any.
    assert outcome(pair.server, pair.server.write_early_data(b"early")) == (-1, WANT_READ)
    assert pair.client.do_handshake() == -1
    assert outcome(pair.server, pair.server.write_early_data(b"early")) == (5, NONE)
    assert pair.server.established
    assert pair.server.read_early_data() == b""
    assert pair.server.write_early_data(b"late") == 4
    assert [pair.client.read(5), pair.client.read(4)] == [b"early", b"late"]


# --- What is told


FULL = [
    "> client_hello",
    "< server_hello",
    "< certificate",
    "< server_key_exchange",
    "< server_hello_done",
    "> client_key_exchange",
    "> change_cipher_spec",
    "> finished",
    "< new_session_ticket",
    "< change_cipher_spec",
    "< finished",
]
RESUMED = [
    "> client_hello",
    "< server_hello",
    "< change_cipher_spec",
    "< finished",
    "> change_cipher_spec",
    "> finished",
]
DONE = [("handshake started", "client"), ("handshake done", "full")]


@EVERY_KIND
def test_messages_and_events(kind: str) -> None:
    client, servers = client_with(), Servers(kind)
    watched = Watched(client, servers())
    watched.pair.handshake()
    expected = [each for each in FULL if kind == "ticket" or "ticket" not in each]
    assert watched.names() == expected
    assert watched.events == DONE
    session = watched.pair.client.session
    watched = Watched(client, servers(), session)
    watched.pair.handshake()
    assert watched.names() == RESUMED
    assert watched.events == [DONE[0], ("handshake done", "resumed")]
    assert watched.pair.client.shutdown() == 0
    assert watched.pair.server.shutdown() == 0
    assert watched.pair.client.shutdown() == 1
    assert watched.names()[-2:] == ["> close_notify", "< close_notify"]
    assert watched.events[-2:] == [
        ("alert sent", "close_notify"),
        ("alert received", "close_notify"),
    ]


def test_messages_with_a_client_s_certificate_and_a_renewed_ticket() -> None:
    client = client_with(identities=[identity()])
    server = server_with(verify=Verify.REQUIRED)
    watched = Watched(client, server)
    watched.pair.handshake()
    names = watched.names()
    assert names[4:6] == ["< certificate_request", "< server_hello_done"]
    assert names[6:9] == ["> certificate", "> client_key_exchange", "> certificate_verify"]
    server.ticket_keys.rotate()
    watched = Watched(client, server, watched.pair.client.session)
    watched.pair.handshake()
    assert watched.names() == [*RESUMED[:2], "< new_session_ticket", *RESUMED[2:]]


def test_messages_that_are_told_are_those_that_are_sent() -> None:
    """Each of them whole, in their order, whatever the records are."""
    watched = Watched(client_with(), server_with())
    pair = watched.pair
    pair.client_bio.max_read = pair.client_bio.max_write = 3
    for _ in range(5000):
        if pair.client.do_handshake() == pair.server.do_handshake() == 1:
            break
    assert watched.names() == FULL
    plain = {"sent": b"", "received": b""}
    for direction, kind, data in watched.seen:
        if kind == ContentType.handshake and data[0] != HandshakeType.finished:
            plain[direction] += data
    for bio, direction in ((pair.client_bio, "sent"), (pair.server_bio, "received")):
        content = b""
        for kind, fragment in records(bio.written):
            if kind == ContentType.change_cipher_spec:
                break
            content += fragment
        assert content == plain[direction]


# --- close_notify


@BOTH_ROLES
def test_close_notify_both_ways(by_server: bool) -> None:
    pair = pair_of()
    conn, bio, peer, _ = pair.sides(by_server)
    bio.written.clear()
    assert conn.write(b"the last words") == 14
    assert outcome(conn, conn.shutdown()) == (0, NONE)
    kinds = [kind for kind, _ in records(bio.written)]
    assert kinds == [ContentType.application_data, ContentType.alert]
    assert peer.read() == b"the last words"
    assert peer.read() == b""
    # RFC 5246, 7.2.1, had it answered at once; as in TLS 1.3 the other half stays open.
    assert peer.write(b"an answer") == 9
    assert conn.read() == b"an answer"
    assert outcome(conn, conn.shutdown()) == (-1, WANT_READ)
    assert outcome(peer, peer.shutdown()) == (1, NONE)
    assert outcome(conn, conn.shutdown()) == (1, NONE)
    with pytest.raises(RuntimeError, match=r"after shutdown"):
        conn.write(b"more")
    assert conn.last_error is peer.last_error is None


@BOTH_ROLES
def test_close_notify_during_the_handshake(by_server: bool) -> None:
    pair = ConnectionPair(contexts=(client_with(), server_with()))
    pair.client.do_handshake()
    pair.server.do_handshake()
    conn, _, peer, _ = pair.sides(by_server)
    assert conn.shutdown() == 0
    while (ret := peer.do_handshake()) == -1 and peer.get_error(ret) is WANT_WRITE:
        pass
    assert outcome(peer, ret) == (0, ZERO_RETURN)
    assert peer.last_error is None


@BOTH_ROLES
def test_an_end_without_close_notify_is_an_error(by_server: bool) -> None:
    pair = pair_of()
    conn, _, _, _ = pair.sides(by_server)
    pair.end(not by_server)
    assert conn.read() is None
    assert conn.get_error(-1) is SSL
    assert isinstance(conn.last_error, fasths.TransportError)


# --- Memory


def grown(turn: Callable[[], object], count: int) -> float:
    """Bytes that each further turn leaves behind."""
    for _ in range(20):
        turn()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            turn()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / count


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("how", ["full", "resumed", "failing", "client certificate"])
def test_connections_leave_nothing_behind(how: str) -> None:
    asking = how == "client certificate"
    client = client_with(identities=[identity()] if asking else [])
    server = server_with(verify=Verify.REQUIRED if asking else Verify.NONE)
    session = session_of(client, server) if how == "resumed" else None

    def turn() -> None:
        if how == "failing":
            refusal_of(client_with_no_suite, server, True)
            return
        pair = connected(client, server, session)
        transfer(pair.client, pair.server, bytes(20_000))
        pair.client.shutdown()
        pair.server.shutdown()

    client_with_no_suite = client_with(cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])
    assert grown(turn, 100) < 100


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_the_process_does_not_grow() -> None:
    """Also by what is allocated outside of Python."""
    client, server = client_with(), server_with()

    def turns(count: int) -> None:
        for _ in range(count):
            pair = connected(client, server)
            transfer(pair.client, pair.server, bytes(20_000))

    turns(100)
    before = resident()
    turns(200)
    assert resident() - before < 4 << 20


def test_sessions_in_a_store_are_bounded() -> None:
    store = fasths.MemorySessionStore(maximum=50)
    client, server = client_with(), server_with(session_store=store)
    for _ in range(200):
        connected(client, server)
    assert len(store) <= 50
