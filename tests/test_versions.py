"""Both versions at once: which one is negotiated, and that nobody is talked into the lower one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import (
    TLS13_SUITES,
    ConnectionPair,
    client_context,
    records,
    server_context,
)
from refusals import (
    assert_established,
    assert_peer_alert,
    assert_refuses,
    client_of,
    credential,
    server_of,
)
from refusals12 import client_of as client_of_12
from refusals12 import server_of as server_of_12
from resumed_pairs import assert_resumed, joined, offered, session_of
from scripted12_peer import Session12
from scripted_keys import SUITES
from scripted_messages import parse_message, u8, u16, vector
from scripted_peer import (
    Refused,
    Silence,
    all_of,
    before,
    put,
    with_extension,
    without_extension,
)
from scripted_psk import Psk

import fasths
from fasths import (
    LATER,
    AlertDescription,
    CipherSuite,
    ContentType,
    ExtensionType,
    HandshakeType,
    MemorySessionStore,
    NamedGroup,
    PeerAlert,
    TicketKeys,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    InappropriateFallback,
    ProtocolVersion,
    TLSError,
    UnsupportedExtension,
)

E = ExtensionType
TLS12, TLS13 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
TLS12_SUITES = tuple(each for each in CipherSuite if each not in TLS13_SUITES)
FALLBACK_SCSV = 0x5600
# RFC 8446, 4.1.3: of a server with TLS 1.3 that negotiates TLS 1.2, or even less.
SENTINEL, OLDER_SENTINEL = b"DOWNGRD\1", b"DOWNGRD\0"
# RFC 8701, 2, and versions that nobody has: drafts of TLS 1.3, and what may come.
GREASE = (0x0A0A, 0x1A1A, 0x7A7A, 0xFAFA)
UNKNOWN = (0x7F1C, 0x0305, 0x0400, 0xFEFD, 0xFFFF, 0)

RANGES = {"1.2": (TLS12,), "1.3": (TLS13,), "1.2 and 1.3": (TLS12, TLS13)}


def allowed(versions: str) -> dict[str, Any]:
    """The settings for one of RANGES."""
    return {"minimum_version": RANGES[versions][0], "maximum_version": RANGES[versions][-1]}


def allowed_by_suites(versions: str) -> dict[str, Any]:
    suites = {TLS12: TLS12_SUITES, TLS13: TLS13_SUITES}
    return {"cipher_suites": [each for version in RANGES[versions] for each in suites[version]]}


each_client = pytest.mark.parametrize("client", RANGES)
each_server = pytest.mark.parametrize("server", RANGES)
by_settings = pytest.mark.parametrize(
    "settings", [allowed, allowed_by_suites], ids=["by version", "by suites"]
)


def in_common(client: str, server: str) -> TLSVersion | None:
    return max(set(RANGES[client]) & set(RANGES[server]), default=None)


def play(pair: ConnectionPair) -> None:
    """Both handshakes, until neither goes on."""
    for _ in range(20):
        for conn in (pair.client, pair.server):
            if not conn.established and conn.last_error is None:
                conn.do_handshake()


def assert_agreed(pair: ConnectionPair, version: TLSVersion, resumed: bool = False) -> None:
    suites = TLS13_SUITES if version == TLS13 else TLS12_SUITES
    for conn in (pair.client, pair.server):
        assert conn.established, conn.last_error
        assert conn.version is version
        assert conn.cipher_suite in suites
        assert conn.extended_master_secret is True
    assert_resumed(pair, resumed)


def assert_refused_by_server(pair: ConnectionPair, error: type[TLSError]) -> None:
    """The server says why with an alert, and the client takes it for the end."""
    assert type(pair.server.last_error) is error, pair.server.last_error
    assert type(pair.client.last_error) is PeerAlert
    assert pair.client.last_error.code == error.default_alert
    for conn in (pair.client, pair.server):
        assert not conn.established
        assert conn.version is None


def server_random(pair: ConnectionPair) -> bytes:
    """Of the last ServerHello that is in the clear and no HelloRetryRequest (RFC 8446, 4.1.3)."""
    hellos = [
        fragment
        for kind, fragment in records(pair.server_bio.written)
        if kind == 22 and fragment[0] == HandshakeType.server_hello
    ]
    return hellos[-1][6:38]


def negotiated(client: fasths.Context, server: fasths.Context, session: Any = None) -> Any:
    """A pair after its handshake, with all that was sent still known."""
    pair = joined(client, server, session)
    play(pair)
    return pair


# --- Which version


@by_settings
@each_server
@each_client
def test_highest_version_of_both(client: str, server: str, settings: Callable[..., Any]) -> None:
    pair = negotiated(client_context(**settings(client)), server_context(**settings(server)))
    version = in_common(client, server)
    if version is None:
        assert_refused_by_server(pair, ProtocolVersion)
    else:
        assert_agreed(pair, version)


def test_order_of_suites_says_nothing_of_versions() -> None:
    mixed = {"cipher_suites": TLS12_SUITES + TLS13_SUITES}
    assert_agreed(negotiated(client_context(**mixed), server_context(**mixed)), TLS13)


def test_group_of_tls13_alone_turns_tls12_off() -> None:
    hybrid = {"groups": ["X25519MLKEM768"]}
    both = {"groups": ["X25519MLKEM768", "x25519"]}
    assert_agreed(negotiated(client_context(**hybrid), server_context(**both)), TLS13)
    pair = negotiated(client_context(**both, **allowed("1.2")), server_context(**hybrid))
    assert_refused_by_server(pair, ProtocolVersion)
    pair = negotiated(client_context(**hybrid), server_context(**both, **allowed("1.2")))
    assert_refused_by_server(pair, ProtocolVersion)


def test_version_without_a_group_in_common_is_not_left() -> None:
    """RFC 8446, 4.1.1: what is missing in TLS 1.3 is no reason for TLS 1.2."""
    pair = negotiated(client_context(groups=["x25519"]), server_context(groups=["secp256r1"]))
    assert pair.client.last_error.code == fasths.AlertDescription.handshake_failure
    suites = {"cipher_suites": (TLS13_SUITES[0], *TLS12_SUITES)}
    others = {"cipher_suites": (TLS13_SUITES[1], *TLS12_SUITES)}
    pair = negotiated(client_context(**suites), server_context(**others))
    assert pair.client.last_error.code == fasths.AlertDescription.handshake_failure


# --- What a ClientHello says (RFC 8446, 4.1.2 and 4.2.1)

VERSIONS = {
    "TLS 1.3": (TLS13,),
    "TLS 1.2": (TLS12,),
    "both": (TLS13, TLS12),
    "both, the lower first": (TLS12, TLS13),
    "TLS 1.3 twice": (TLS13, TLS13),
    "GREASE first": (GREASE[0], TLS13, TLS12),
    "GREASE all over": (GREASE[0], TLS12, GREASE[1], TLS13, *GREASE[2:]),
    "GREASE and TLS 1.2": (*GREASE, TLS12),
    "unknown and TLS 1.3": (*UNKNOWN, TLS13),
    "unknown and TLS 1.2": (*UNKNOWN, TLS12, 0x0302, 0x0301),
    "TLS 1.2 at the end of 127": (*(0x0A0A for _ in range(126)), TLS12),
    "TLS 1.3 at the end of 127": (*(0x0A0A for _ in range(126)), TLS13),
    "GREASE": GREASE,
    "unknown": UNKNOWN,
    "older ones": (0x0302, 0x0301, 0x0300),
    # Octets that make a version only across the border of two.
    "none, but out of step": (0x0A03, 0x0403, 0x030A),
}


def say(*versions: int) -> Any:
    return with_extension(E.supported_versions, vector(1, u16(*versions)))


def client_with(
    version: TLSVersion | None, server: str, *edits: Any, versions: tuple[int, ...] | None = None
) -> Any:
    """A scripted client that goes on in this version; None: it expects to be refused."""
    context = allowed(server)
    if version == TLS13:
        edit = all_of(say(*(versions or (TLS13,))), *edits)
        return server_of(context, at={"client_hello": edit})
    edit = all_of(*edits) if edits else put()
    return server_of_12(context, at={"client_hello": edit}, versions=versions)


def assert_goes_on(
    peer: Any, version: TLSVersion | None, error: type[TLSError] | None = None
) -> None:
    """In this version, or else it refuses the peer."""
    if version is None:
        error = error or ProtocolVersion
    if error is not None:
        assert_refuses(peer, error, peer.handshake)
        return
    peer.handshake()
    assert peer.connection.version is version
    assert_established(peer)


@each_server
@pytest.mark.parametrize("name", VERSIONS)
def test_supported_versions(name: str, server: str) -> None:
    """Those that are known count, in any order, and no others stand in the way."""
    versions = VERSIONS[name]
    version = max(set(versions) & set(RANGES[server]), default=None)
    peer = client_with(version, server, versions=versions)
    assert_goes_on(peer, version)


# RFC 8446, D.5: SSL 3.0 is refused in any case.
LEGACY_VERSIONS = (0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0305, 0x03FF, 0x0400, 0x7F1C, 0xFFFF)


@each_server
@pytest.mark.parametrize("legacy_version", LEGACY_VERSIONS, ids=hex)
def test_legacy_version_without_supported_versions(legacy_version: int, server: str) -> None:
    """RFC 5246, E.1: a higher one is answered with TLS 1.2, which is the highest by this way."""
    takes = legacy_version >= TLS12 and TLS12 in RANGES[server]
    version = TLS12 if takes else None
    assert_goes_on(client_with(version, server, put(legacy_version=legacy_version)), version)


@each_server
@pytest.mark.parametrize("versions", [(TLS12,), (TLS13,), (0x0305, TLS12), (0x0302,)], ids=str)
@pytest.mark.parametrize("legacy_version", LEGACY_VERSIONS, ids=hex)
def test_supported_versions_alone_count(
    legacy_version: int, versions: tuple[int, ...], server: str
) -> None:
    """RFC 8446, 4.2.1: whatever legacy_version is, but for SSL 3.0."""
    version = max(set(versions) & set(RANGES[server]), default=None)
    if legacy_version == 0x0300:
        version = None
    edit = put(legacy_version=legacy_version)
    peer = client_with(version, server, edit, versions=versions)
    assert_goes_on(peer, version)


@each_client
def test_what_a_client_says(client: str) -> None:
    hello = offered(client_context(**allowed(client)), server_context(), None)
    # RFC 8446, 4.2.1: in order of preference; a client of TLS 1.2 alone has no such extension.
    expected = () if client == "1.2" else tuple(reversed(RANGES[client]))
    assert hello.supported_versions == expected
    assert (E.supported_versions in hello.extension_types) is (client != "1.2")
    assert hello.legacy_version == TLS12
    # RFC 8446, D.4: against middleboxes.
    assert len(hello.legacy_session_id) == (0 if client == "1.2" else 32)
    of_tls13 = {E.key_share, E.psk_key_exchange_modes}
    assert of_tls13 & set(hello.extension_types) == (set() if client == "1.2" else of_tls13)
    suites = {TLS12: set(TLS12_SUITES), TLS13: set(TLS13_SUITES)}
    assert set(hello.cipher_suites) == set().union(*(suites[each] for each in RANGES[client]))


# --- What a ServerHello says (RFC 8446, 4.1.3 and 4.2.1)


@each_client
@pytest.mark.parametrize("selected", [TLS12, 0x0302, 0x0305, 0x0300, 0, *GREASE[:2]], ids=hex)
def test_selected_version_that_is_not_tls13_is_refused(client: str, selected: int) -> None:
    """RFC 8446, 4.2.1: TLS 1.2 as well, as this extension is for what comes behind it."""
    edit = with_extension(E.supported_versions, u16(selected))
    error: type[TLSError] = IllegalParameter
    of_version: Callable[..., Any] = client_of
    if client == "1.2":
        # It did not ask.
        of_version, error = client_of_12, UnsupportedExtension
    peer = of_version(allowed(client), at={"server_hello": edit})
    assert_refuses(peer, error, peer.handshake)


@pytest.mark.parametrize("suite", TLS12_SUITES, ids=lambda each: each.name)
@pytest.mark.parametrize("retry", [0, NamedGroup.secp256r1], ids=["ServerHello", "retry"])
def test_suite_of_tls12_in_tls13_is_refused(suite: CipherSuite, retry: int) -> None:
    """It was offered, but not for this version."""
    point = "hello_retry_request" if retry else "server_hello"
    peer = client_of(allowed("1.2 and 1.3"), at={point: put(cipher_suite=suite)}, retry=retry)
    assert_refuses(peer, IllegalParameter, peer.handshake)


@pytest.mark.parametrize("suite", TLS13_SUITES, ids=lambda each: each.name)
def test_suite_of_tls13_in_tls12_is_refused(suite: CipherSuite) -> None:
    edit = put(cipher_suite=suite)
    peer = client_of_12(allowed("1.2 and 1.3"), at={"server_hello": edit})
    assert_refuses(peer, IllegalParameter, peer.handshake)


@each_server
@pytest.mark.parametrize("suites", [TLS12_SUITES, TLS13_SUITES], ids=["1.2", "1.3"])
def test_suites_are_those_of_the_version(server: str, suites: tuple[int, ...]) -> None:
    """A ClientHello for one version with the suites of the other has none in common."""
    if suites is TLS13_SUITES:
        peer: Any = server_of_12(allowed(server), suites=suites)
    else:
        peer = server_of(allowed(server), suites=suites)
    version = TLS12 if suites is TLS13_SUITES else TLS13
    error = HandshakeFailure if version in RANGES[server] else ProtocolVersion
    assert_refuses(peer, error, peer.handshake)


# Schemes that sign in TLS 1.2 alone (RFC 8446, 4.2.3): with this key, this is refused.
TLS12_SCHEMES = {
    "rsa_pkcs1_sha256": "rsa",
    "rsa_pkcs1_sha512": "rsa",
    "ecdsa_secp384r1_sha384": "ecdsa",
    "ecdsa_secp256r1_sha256": "ecdsa384",
}


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("name", TLS12_SCHEMES)
def test_signature_of_tls12_in_tls13_is_refused(name: str, role: str) -> None:
    """All of them are offered for the sake of TLS 1.2, and the signature itself is right."""
    scheme = fasths.SignatureScheme[name]
    options = {"credential": credential(TLS12_SCHEMES[name]), "scheme": scheme}
    if role == "client":
        peer: Any = client_of(allowed("1.2 and 1.3"), **options)
    else:
        peer = server_of({**allowed("1.2 and 1.3"), "verify": Verify.REQUIRED}, **options)
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- Downgrades (RFC 8446, 4.1.3)


@by_settings
@pytest.mark.parametrize(
    ("client", "server"),
    [(client, server) for client in RANGES for server in RANGES if in_common(client, server)],
)
def test_sentinel_where_it_is_due(client: str, server: str, settings: Callable[..., Any]) -> None:
    version = in_common(client, server)
    assert version is not None
    contexts = client_context(**allowed(client)), server_context(**settings(server))
    for _ in range(3):
        pair = negotiated(*contexts)
        assert_agreed(pair, version)
        random = server_random(pair)
        due = version == TLS12 and TLS13 in RANGES[server]
        assert random.endswith(SENTINEL) is due
        assert not random.endswith(OLDER_SENTINEL)
        # The rest of it is random all the same.
        assert len(set(random)) > 10


@pytest.mark.parametrize("server", ["1.2", "1.2 and 1.3"])
@pytest.mark.parametrize("kind", ["ticket", "session id"])
def test_sentinel_where_a_session_is_resumed(server: str, kind: str) -> None:
    store = {"session_store": MemorySessionStore()} if kind == "session id" else {}
    contexts = client_context(**allowed("1.2")), server_context(**store, **allowed(server))
    pair = negotiated(*contexts, session_of(*contexts))
    assert_agreed(pair, TLS12, resumed=True)
    assert server_random(pair).endswith(SENTINEL) is (server != "1.2")


def test_no_sentinel_after_hello_retry_request() -> None:
    server = server_context(groups=["secp256r1"])
    pair = negotiated(client_context(groups=["x25519", "secp256r1"]), server)
    assert_agreed(pair, TLS13)
    assert b"DOWNGRD" not in pair.server_bio.written


@each_client
@pytest.mark.parametrize("sentinel", [SENTINEL, OLDER_SENTINEL], ids=["1.2", "1.1"])
def test_client_that_has_tls13_refuses_sentinels(client: str, sentinel: bytes) -> None:
    edit = put(random=lambda old: old[:24] + sentinel)
    if client == "1.3":
        # It refuses the version in any case, but says the worse of the two.
        edit = all_of(edit, without_extension(E.supported_versions, E.key_share))
        peer: Any = client_of(allowed(client), at={"server_hello": edit})
        assert_refuses(peer, IllegalParameter, peer.handshake)
        return
    peer = client_of_12(allowed(client), at={"server_hello": edit})
    if client == "1.2":
        peer.handshake()
        assert_established(peer)
    else:
        assert_refuses(peer, IllegalParameter, peer.handshake)


@pytest.mark.parametrize("sentinel", [SENTINEL, OLDER_SENTINEL], ids=["1.2", "1.1"])
@pytest.mark.parametrize("client", ["1.3", "1.2 and 1.3"])
def test_sentinel_in_tls13_means_nothing(client: str, sentinel: bytes) -> None:
    edit = put(random=lambda old: old[:24] + sentinel)
    peer = client_of(allowed(client), at={"server_hello": edit})
    peer.handshake()
    assert_established(peer)


class Between:
    """Whoever sits between a client and a server, and changes what they say in the clear.

    change: of a handshake message, from the client or not.
    """

    def __init__(self, change: Callable[[bytes, bool], bytes]) -> None:
        self.change = change
        self.bios = fasths.MemoryBIO(), fasths.MemoryBIO()
        self.client = fasths.Connection(client_context(), self.bios[0], server_hostname="localhost")
        self.server = fasths.Connection(server_context(), self.bios[1])
        self.client.set_connect_state()
        self.server.set_accept_state()

    def play(self) -> None:
        for _ in range(6):
            for conn, by_client in ((self.client, True), (self.server, False)):
                if not conn.established:
                    conn.do_handshake()
                stream = self.bios[not by_client].read()
                self.bios[by_client].write(b"".join(self.changed(stream, by_client)))

    def changed(self, stream: bytes, by_client: bool) -> Iterator[bytes]:
        for kind, fragment in records(stream):
            if kind == 22:
                # An honest flight has whole messages in its first record.
                size = 4 + int.from_bytes(fragment[1:4], "big")
                first = self.change(fragment[:size], by_client)
                fragment = u8(first[0]) + vector(3, first[4:]) + fragment[size:]
            yield u8(kind) + b"\3\3" + vector(2, fragment)


def without_tls13(message: bytes) -> bytes:
    """The ClientHello as it would be of a client that has TLS 1.2 alone."""
    hello = parse_message(message)
    for code in (E.supported_versions, E.key_share, E.psk_key_exchange_modes):
        hello.remove(code)
    encoded: bytes = hello.encode()
    return encoded


def test_downgrade_by_somebody_between_is_noticed() -> None:
    """The server takes the client for an older one, and says so with its random."""

    def change(message: bytes, by_client: bool) -> bytes:
        return without_tls13(message) if message[0] == HandshakeType.client_hello else message

    between = Between(change)
    between.play()
    assert type(between.client.last_error) is IllegalParameter
    assert "downgrade" in between.client.last_error.reason
    assert not between.server.established


def test_sentinel_cannot_be_taken_out() -> None:
    """The server's signature is over its random (RFC 5246, 7.4.3)."""

    def change(message: bytes, by_client: bool) -> bytes:
        if message[0] == HandshakeType.client_hello:
            return without_tls13(message)
        if message[0] == HandshakeType.server_hello:
            assert message[30:38] == SENTINEL
            return message[:30] + os.urandom(8) + message[38:]
        return message

    between = Between(change)
    between.play()
    assert type(between.client.last_error) is DecryptError
    assert not between.server.established


# --- A client that has begun to speak TLS 1.3


AS_TLS12 = all_of(
    without_extension(E.supported_versions, E.key_share, E.cookie),
    put(cipher_suite=0xC02B),
    with_extension(E.renegotiation_info, b"\0"),
)
RETRIES = {"group": {"retry": NamedGroup.secp256r1}, "cookie": {"cookie": b"cookie"}}


@pytest.mark.parametrize("kind", RETRIES)
def test_tls12_after_hello_retry_request_is_refused(kind: str) -> None:
    # RFC 8446, 4.1.4
    peer = client_of(allowed("1.2 and 1.3"), at={"server_hello": AS_TLS12}, **RETRIES[kind])
    assert_refuses(peer, IllegalParameter, peer.handshake)


@pytest.mark.parametrize("kind", RETRIES)
@pytest.mark.parametrize("client", ["1.3", "1.2 and 1.3"])
def test_hello_retry_request_without_a_version_is_refused(client: str, kind: str) -> None:
    """Its random alone does not make it a message of TLS 1.3."""
    edit = without_extension(E.supported_versions)
    peer = client_of(allowed(client), at={"hello_retry_request": edit}, **RETRIES[kind])
    assert_refuses(peer, ProtocolVersion, peer.handshake)


def test_server_that_forgets_about_early_data() -> None:
    """RFC 8446, D.3: it had TLS 1.3 when it made the ticket, and is put back to TLS 1.2."""
    keys = {"ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}
    client = client_context()
    session = session_of(client, server_context(max_early_data_size=1000, **keys))
    pair = joined(client, server_context(**keys, **allowed("1.2")), session)
    assert pair.client.write_early_data(b"pay them") == 8
    play(pair)
    assert type(pair.client.last_error) is ProtocolVersion, pair.client.last_error
    assert not pair.client.established
    assert not pair.server.established
    assert pair.server.read() is None
    # Whoever is told so tries again without it (RFC 8446, 4.2.10).
    pair = negotiated(client, server_context(**keys, **allowed("1.2")), session)
    assert_agreed(pair, TLS12)


def test_client_of_tls12_alone_sends_no_early_data() -> None:
    """It has a session of TLS 1.3 that would permit it, from before that was turned off."""
    server = server_context(max_early_data_size=1000)
    session = session_of(client_context(), server)
    pair = joined(client_context(**allowed("1.2")), server, session)
    assert pair.client.write_early_data(b"pay them") == -1
    assert pair.client.get_error(-1) is fasths.SSLErrorCode.EARLY_DATA_REJECTED
    play(pair)
    assert_agreed(pair, TLS12)


# --- TLS_FALLBACK_SCSV (RFC 7507)

FALLBACKS: dict[str, tuple[tuple[int, ...] | None, int, int]] = {
    # name: supported_versions, legacy_version, the highest of the two.
    "TLS 1.3": ((TLS13,), TLS12, TLS13),
    "both": ((TLS13, TLS12), TLS12, TLS13),
    "TLS 1.2 in supported_versions": ((TLS12,), TLS12, TLS12),
    "TLS 1.2": (None, TLS12, TLS12),
    "beyond TLS 1.2": (None, 0x0304, TLS12),
    "TLS 1.1 in supported_versions": ((0x0302,), TLS12, 0x0302),
    "TLS 1.1": (None, 0x0302, 0x0302),
    "TLS 1.0": (None, 0x0301, 0x0301),
}


@each_server
@pytest.mark.parametrize("name", FALLBACKS)
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_fallback_scsv(name: str, server: str, place: int) -> None:
    versions, legacy_version, highest = FALLBACKS[name]
    version = max(set(versions or (highest,)) & set(RANGES[server]), default=None)

    def with_scsv(old: list[int]) -> list[int]:
        return [FALLBACK_SCSV, *old] if place == 0 else [*old, FALLBACK_SCSV]

    edit = put(legacy_version=legacy_version, cipher_suites=with_scsv)
    if highest < max(RANGES[server]):
        error: type[TLSError] | None = InappropriateFallback
    else:
        error = ProtocolVersion if version is None else None
    peer = client_with(None if error else version, server, edit, versions=versions)
    assert_goes_on(peer, version, error)


@each_client
def test_client_never_falls_back(client: str) -> None:
    """It is the application that tries again with less, if at all."""
    hello = offered(client_context(**allowed(client)), server_context(), None)
    assert FALLBACK_SCSV not in hello.cipher_suites


# --- A Context that is chosen by the ClientHello


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("after", RANGES)
@pytest.mark.parametrize("before", RANGES)
@each_client
def test_chosen_context_decides_on_the_version(
    client: str, before: str, after: str, late: bool
) -> None:
    """Nothing of the first one is left, neither its versions nor its sentinel."""
    chosen = server_context(**allowed(after))
    requests: list[Any] = []

    def choose(request: Any) -> Any:
        requests.append(request)
        return LATER if late else chosen

    first = server_context(**allowed(before), client_hello_callback=choose)
    pair = joined(client_context(**allowed(client)), first)
    play(pair)
    assert len(requests) == 1
    if late:
        assert not pair.server.established
        assert pair.server.version is None
        assert requests[0].answer(chosen)
        play(pair)
    version = in_common(client, after)
    if version is None:
        assert_refused_by_server(pair, ProtocolVersion)
        return
    assert_agreed(pair, version)
    assert pair.server.context is chosen
    due = version == TLS12 and TLS13 in RANGES[after]
    assert server_random(pair).endswith(SENTINEL) is due


@pytest.mark.parametrize("before", RANGES)
def test_fallback_is_judged_by_the_chosen_context(before: str) -> None:
    """So a server can have an application that needs TLS 1.2."""
    scsv = put(cipher_suites=lambda old: [*old, FALLBACK_SCSV])
    for after in RANGES:
        chosen = server_context(**allowed(after))
        context = {**allowed(before), "client_hello_callback": lambda _, chosen=chosen: chosen}
        peer = server_of_12(context, at={"client_hello": scsv})
        if after != "1.2":
            assert_refuses(peer, InappropriateFallback, peer.handshake)
            continue
        peer.schemes = [fasths.SignatureScheme.ed25519]
        peer.handshake()
        assert_established(peer)


# --- A session is of one version

KINDS = ("sealed", "stored")
each_kind = pytest.mark.parametrize("kind", KINDS)


def shared(kind: str) -> dict[str, Any]:
    """What two servers have in common so that either takes the other's sessions."""
    if kind == "stored":
        return {"session_store": MemorySessionStore()}
    return {"ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}


@each_kind
@pytest.mark.parametrize("first", RANGES)
@pytest.mark.parametrize("second", RANGES)
def test_session_is_for_its_version_alone(first: str, second: str, kind: str) -> None:
    """A client of both versions comes back to servers that share all they know."""
    same = shared(kind)
    client = client_context()
    session = session_of(client, server_context(**same, **allowed(first)))
    assert session.version is max(RANGES[first])
    pair = negotiated(client, server_context(**same, **allowed(second)), session)
    version = max(RANGES[second])
    assert_agreed(pair, version, resumed=session.version is version)


@each_kind
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@each_client
def test_session_is_offered_by_a_client_of_its_version(
    client: str, version: str, kind: str
) -> None:
    same = shared(kind)
    session = session_of(client_context(**allowed(version)), server_context(**same))
    context = client_context(**allowed(client))
    hello = offered(context, server_context(**same), session)
    extensions = dict(hello.extensions)
    fits = session.version in RANGES[client]
    assert hello.pre_shared_key is (fits and session.version is TLS13)
    ticket = session.ticket if fits and session.version is TLS12 else None
    assert extensions.get(E.session_ticket, b"") == (ticket or b"")
    assert (hello.legacy_session_id == session.session_id) is (
        fits and session.version is TLS12 and kind == "stored"
    )
    pair = negotiated(context, server_context(**same), session)
    assert_agreed(pair, max(RANGES[client]), resumed=session.version is max(RANGES[client]))


def ticket_of(version: TLSVersion, same: dict[str, Any]) -> fasths.Session:
    """A session of a server with these secrets, by its ticket or, of TLS 1.2, by its id."""
    client = client_context(maximum_version=version)
    return session_of(client, server_context(**same))


@each_kind
@pytest.mark.parametrize("server", ["1.2", "1.2 and 1.3"])
def test_ticket_of_tls13_does_not_resume_tls12(server: str, kind: str) -> None:
    """A client that sends it as a ticket or as a session id gets a full handshake."""
    same = shared(kind)
    session = ticket_of(TLS13, same)
    assert session.ticket is not None
    for options in (
        {"session": Session12(0xC02B, bytes(48), ticket=session.ticket)},
        {"session": Session12(0xC02B, bytes(48), session_id=session.ticket[:32])},
    ):
        peer = server_of_12({**same, **allowed(server)}, **options)
        peer.handshake()
        assert not peer.resumed
        assert peer.connection.version is TLS12
        assert peer.connection.session_reused is False
        assert_established(peer)


@each_kind
@pytest.mark.parametrize("server", ["1.3", "1.2 and 1.3"])
def test_ticket_of_tls12_does_not_resume_tls13(server: str, kind: str) -> None:
    """Neither it nor a session id is a pre-shared key."""
    same = shared(kind)
    session = ticket_of(TLS12, same)
    name = session.ticket or session.session_id
    assert name is not None
    for key in (bytes(32), session.to_bytes()[6:38]):
        psk = Psk(name, key, SUITES[TLS13_SUITES[0]])
        peer = server_of({**same, **allowed(server)}, psks=[psk])
        peer.handshake()
        assert peer.psk is None
        assert peer.connection.version is TLS13
        assert peer.connection.session_reused is False
        assert_established(peer)


def test_warning_is_none_once_a_hello_retry_request_has_said_the_version() -> None:
    """RFC 8446, 6.2: in TLS 1.3 the level of an alert says nothing."""

    def warn(peer: Any) -> None:
        peer.send_record(ContentType.alert, bytes((1, AlertDescription.unrecognized_name)))

    peer = client_of(
        allowed("1.2 and 1.3"),
        at={"server_hello": before(warn)},
        retry=int(NamedGroup.secp256r1),
    )
    with contextlib.suppress(Refused, Silence):
        peer.handshake()
    assert_peer_alert(peer, AlertDescription.unrecognized_name)
