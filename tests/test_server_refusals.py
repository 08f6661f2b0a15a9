"""What a server refuses, and with which alert (RFC 8446, 4; see refusals.py)."""

from __future__ import annotations

import os

import pytest
from refusals import (
    assert_established,
    assert_no_internal_error,
    assert_refuses,
    case,
    changed,
    check,
    credential,
    established,
    identity,
    server_of,
)
from scripted_keys import (
    TrafficKey,
)
from scripted_messages import (
    MESSAGES,
    TLS12,
    TLS13,
    Certificate,
    ClientHello,
    EncryptedExtensions,
    KeyUpdate,
    Raw,
    key_share_entry,
    offered_psks,
    protocol_names,
    server_name,
    u8,
    u16,
    u32,
    vector,
)
from scripted_peer import (
    Refused,
    Silence,
    all_of,
    before,
    cut,
    followed_by,
    inside,
    instead,
    mutated,
    put,
    twice,
    with_extension,
    without_extension,
)
from test_client_refusals import MESSAGE_TYPES, SMALL_ORDER, bad_shares

from fasths import (
    ContentType,
    ExtensionType,
    HandshakeType,
    Limits,
    NamedGroup,
    SignatureScheme,
    Verify,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    MissingExtension,
    NoApplicationProtocol,
    ProtocolVersion,
    UnexpectedMessage,
)

E = ExtensionType
S = SignatureScheme
ALPN = E.application_layer_protocol_negotiation
UNKNOWN = 0xFAFA
X25519, P256, P384 = NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1


# --- ClientHello (RFC 8446, 4.1.2, 4.2 and 9.2)


def hello(name, error, *edits, **options):
    return case(name, error, "client_hello", all_of(*edits), **options)


def versions(*codes):
    return with_extension(E.supported_versions, vector(1, u16(*codes)))


def extension(name, error, code, *data, **options):
    """The ClientHello has this extension, with each of these data."""
    for i, each in enumerate(data):
        number = f" {i}" if len(data) > 1 else ""
        yield hello(f"{name}{number}", error, with_extension(code, each), **options)


def u16_lists(code, length_size=2):
    """What is wrong with a list of 16-bit codes."""
    zeros, more = bytes(length_size - 1), (3, 4)
    return extension(
        f"bad {code.name}",
        DecodeError,
        code,
        b"",
        zeros + b"\0",
        zeros + bytes([3, *more, 3]),
        zeros + bytes([4, *more]),
        zeros + bytes([2, *more, 0]),
        zeros + bytes([1, 3]),
    )


def psk_not_last(peer, message):
    message.extensions.insert(0, (E.pre_shared_key, offered_psks()))


MODES = with_extension(E.psk_key_exchange_modes, vector(1, b"\1"))
TLS12_CLIENT = all_of(without_extension(E.supported_versions, E.key_share))

CLIENT_HELLO = [
    hello("no supported_versions", ProtocolVersion, without_extension(E.supported_versions)),
    hello("TLS 1.2", ProtocolVersion, TLS12_CLIENT),
    hello("TLS 1.0", ProtocolVersion, TLS12_CLIENT, put(legacy_version=0x0301)),
    hello("no extensions", ProtocolVersion, put(extensions=None)),
    hello("no extension", ProtocolVersion, put(extensions=[])),
    hello("versions without TLS 1.3", ProtocolVersion, versions(TLS12, 0x0302)),
    hello("unknown versions", ProtocolVersion, versions(UNKNOWN, 0x7F1C, 0x0305)),
    # RFC 8446, D.5
    hello("SSL 3.0", ProtocolVersion, TLS12_CLIENT, put(legacy_version=0x0300)),
    hello("SSL 3.0 as legacy_version", ProtocolVersion, put(legacy_version=0x0300)),
    hello("session id of 33 bytes", DecodeError, put(legacy_session_id=bytes(33))),
    hello("session id of 255 bytes", DecodeError, put(legacy_session_id=bytes(255))),
    hello("no suites", DecodeError, put(cipher_suites=[])),
    hello("no suite in common", HandshakeFailure, put(cipher_suites=[0x00FF, 0x1304, 0xC02F])),
    hello(
        "no suite that the server wants",
        HandshakeFailure,
        put(cipher_suites=[0x1302, 0x1303]),
        context={"cipher_suites": ("TLS_AES_128_GCM_SHA256",)},
    ),
    hello("compression as well", IllegalParameter, put(legacy_compression_methods=b"\1\0")),
    hello("null compression twice", IllegalParameter, put(legacy_compression_methods=b"\0\0")),
    hello("another compression", IllegalParameter, put(legacy_compression_methods=b"\1")),
    hello("no compression method", DecodeError, put(legacy_compression_methods=b"")),
    hello("extension twice", IllegalParameter, twice(E.supported_versions)),
    hello(
        "unknown extension twice", IllegalParameter, with_extension(UNKNOWN), twice(UNKNOWN)
    ),
    hello(
        "very many extensions",
        DecodeError,
        put(extensions=lambda old: old + [(0x5000 + i, b"") for i in range(130)]),
    ),
    hello("oid_filters", IllegalParameter, with_extension(E.oid_filters, vector(2))),
    hello("cookie", IllegalParameter, with_extension(E.cookie, vector(2, b"cookie"))),
    # RFC 8446, 9.2
    hello("no signature_algorithms", MissingExtension, without_extension(E.signature_algorithms)),
    hello("no supported_groups", MissingExtension, without_extension(E.supported_groups)),
    hello("no key_share", MissingExtension, without_extension(E.key_share)),
    hello(
        "neither groups nor shares",
        MissingExtension,
        without_extension(E.supported_groups, E.key_share),
    ),
    *u16_lists(E.supported_versions, 1),
    *u16_lists(E.supported_groups),
    *u16_lists(E.signature_algorithms),
    *u16_lists(E.signature_algorithms_cert),
    # RFC 8446, 4.1.1
    hello("no group in common", HandshakeFailure, groups=(P384, UNKNOWN), shares=()),
    hello("a share, but no group in common", HandshakeFailure, groups=(P384,), shares=(P384,)),
    hello("no scheme in common", HandshakeFailure, schemes=(S.ed448, 0x0203, UNKNOWN)),
    hello(
        "PKCS #1 v1.5 alone",
        HandshakeFailure,
        schemes=(S.rsa_pkcs1_sha256, S.rsa_pkcs1_sha512),
        context={"identities": [identity("rsa")]},
    ),
    hello(
        "schemes of another curve",
        HandshakeFailure,
        schemes=(S.ecdsa_secp384r1_sha384, S.ecdsa_secp521r1_sha512),
    ),
    # RFC 8446, 4.2.8
    hello("share of a group not offered", IllegalParameter, groups=(P256,), shares=(X25519,)),
    hello(
        "share of an unknown group not offered",
        IllegalParameter,
        with_extension(
            E.key_share, lambda old: vector(2, old[2:], key_share_entry(UNKNOWN, b"share"))
        ),
    ),
    hello(
        "two shares of a group",
        IllegalParameter,
        with_extension(E.key_share, lambda old: vector(2, old[2:], old[2:])),
    ),
    hello(
        "two shares of an unknown group",
        IllegalParameter,
        with_extension(
            E.key_share, lambda old: vector(2, old[2:], *[key_share_entry(UNKNOWN, b"1")] * 2)
        ),
    ),
    hello(
        "very many shares",
        DecodeError,
        with_extension(
            E.key_share,
            lambda old: vector(2, *(key_share_entry(0x5000 + i, b"1") for i in range(17))),
        ),
    ),
    *extension(
        "bad key_share",
        DecodeError,
        E.key_share,
        b"",
        b"\0\1",
        b"\0\2\0\x1d",
        vector(2, u16(X25519, 0)),
        vector(2, u16(X25519, 32), bytes(31)),
        vector(2, key_share_entry(X25519, bytes(32))) + b"\0",
        vector(2, key_share_entry(X25519, bytes(32)) + b"\0"),
    ),
    # RFC 6066, 3
    *extension(
        "bad server_name",
        DecodeError,
        E.server_name,
        b"",
        b"\0\0",
        b"\0\1\0",
        b"\0\3\0\0\0",
        server_name(b"localhost") + b"\0",
        vector(2, u8(0) + u16(10) + b"localhost"),
    ),
    *extension(
        "name that is none",
        IllegalParameter,
        E.server_name,
        server_name(b"local host"),
        server_name(b"localhost\0"),
        server_name("löcalhost"),
        server_name(b"localhost."),
        server_name(b"x" * 256),
    ),
    hello(
        "two host names",
        IllegalParameter,
        with_extension(E.server_name, vector(2, *[server_name(b"localhost")[2:]] * 2)),
    ),
    # RFC 7301, 3.1 and 3.2
    *extension(
        "bad ALPN",
        DecodeError,
        ALPN,
        b"",
        b"\0\0",
        b"\0\1\0",
        protocol_names(b"h2", b""),
        b"\0\3\3h2",
        protocol_names(b"h2") + b"\0",
    ),
    hello(
        "no protocol in common",
        NoApplicationProtocol,
        alpn=(b"h3", b"H2"),
        context={"alpn": ("h2", "http/1.1")},
    ),
    # RFC 8446, 4.2.2, 4.2.4, 4.2.6, 4.2.9, 4.2.10 and 4.2.11
    *extension("bad cookie", DecodeError, E.cookie, b"", b"\0\0", b"\0\2c", b"\0\1cc"),
    *extension(
        "bad certificate_authorities",
        DecodeError,
        E.certificate_authorities,
        b"",
        b"\0\0",
        b"\0\2\0\0",
        b"\0\3\0\2x",
        b"\0\3\0\1x\0",
    ),
    *extension("data in post_handshake_auth", DecodeError, E.post_handshake_auth, b"\0"),
    *extension("data in early_data", DecodeError, E.early_data, b"\0", u32(100)),
    *extension(
        "bad PSK modes", DecodeError, E.psk_key_exchange_modes, b"", b"\0", b"\2\1", b"\1\1\0"
    ),
    hello(
        "PSK without modes", MissingExtension, with_extension(E.pre_shared_key, offered_psks())
    ),
    hello("PSK not last", IllegalParameter, MODES, psk_not_last),
    *(
        hello(name, error, MODES, with_extension(E.pre_shared_key, data))
        for name, error, data in (
            ("more identities than binders", IllegalParameter, offered_psks(2, 1)),
            ("more binders than identities", IllegalParameter, offered_psks(1, 2)),
            ("no identity", DecodeError, offered_psks(0, 1)),
            ("no binder", DecodeError, offered_psks(1, 0)),
            ("short binder", DecodeError, offered_psks(1, 2, 31)),
            ("empty PSK", DecodeError, b""),
            ("PSK with more behind", DecodeError, offered_psks() + b"\0"),
            ("PSK as a server answers", DecodeError, u16(0)),
            (
                "identity of no bytes",
                DecodeError,
                vector(2, vector(2), u32(0), b"x") + vector(2, vector(1, bytes(32))),
            ),
        )
    ),
    *(
        hello(f"cut to {size}", DecodeError, cut(size))
        for size in (0, 1, 2, 33, 34, 35, 66, 67, 68, 73, 74, 76, 78, 80, 100, -1)
    ),
    hello("trailing byte", DecodeError, put(trailing=b"\0")),
    hello("trailing byte without extensions", DecodeError, put(extensions=None, trailing=b"\0")),
]  # fmt: skip


@pytest.mark.parametrize("case", CLIENT_HELLO)
def test_client_hello(case):
    peer = check(case, "server")
    assert [record.outer_type for record in peer.records] == [ContentType.alert]


def test_odd_cipher_suites():
    def edit(peer, message):
        data = message.encode()
        suites = vector(2, u16(*message.cipher_suites))
        body = data[4:].replace(suites, vector(2, suites[2:] + b"\0"), 1)
        return data[:1] + vector(3, body)

    peer = server_of(at={"client_hello": edit})
    assert_refuses(peer, DecodeError, peer.handshake)


# A server's share of the hybrid is shorter than a client's; its own cases stand here.
def client_shares(group):
    if group is not NamedGroup.X25519MLKEM768:
        yield from bad_shares(group)
        return
    yield "of x25519 alone", lambda old: old[-32:]
    yield "of ML-KEM alone", lambda old: old[:-32]
    yield "as a server's", lambda old: old[: 1088 + 32]
    yield "too short", lambda old: old[:-1]
    yield "too long", lambda old: old + b"\0"
    # FIPS 203, 7.2: the coefficients of an encapsulation key are below 3329.
    yield "not reduced", lambda old: b"\xff" * 1152 + old[1152:]
    for name, point in SMALL_ORDER.items():
        yield f"with the point {name}", lambda old, point=point: old[:-32] + point


@pytest.mark.parametrize("retry", [False, True], ids=["", "after-retry"])
@pytest.mark.parametrize(
    ("group", "change"),
    [
        pytest.param(group, change, id=f"{group.name} {name}")
        for group in NamedGroup
        for name, change in client_shares(group)
    ],
)
def test_malformed_share(group, change, retry):
    edit = with_extension(E.key_share, lambda old: old and malformed(old, change))
    peer = server_of(
        {"groups": (group,)},
        groups=(group,),
        shares=() if retry else (group,),
        at={"second_client_hello" if retry else "client_hello": edit},
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)


def malformed(shares, change):
    return vector(2, shares[2:4] + vector(2, change(shares[6:])))


# --- ClientHello after HelloRetryRequest (RFC 8446, 4.1.2, 4.2.2 and 4.2.8)


def of_group(*groups):
    """New key shares for these groups."""

    def edit(peer, message):
        message.set(E.key_share, peer.make_key_shares(groups))

    return edit


# Extensions that the first ClientHello has, so that they can be missing in the second.
FIRST = all_of(
    with_extension(E.post_handshake_auth),
    with_extension(E.signature_algorithms_cert, vector(2, u16(0x0403))),
    with_extension(E.certificate_authorities, vector(2, vector(2, b"\x30\0"))),
    with_extension(E.status_request, bytes.fromhex("0100000000")),
    with_extension(UNKNOWN, b"unknown"),
    MODES,
)
NAMED = {"name": "localhost", "alpn": (b"h2", b"http/1.1")}


def second(name, /, *edits, error=IllegalParameter, **options):
    """A change of the second ClientHello, where the first one had no share (or other options)."""
    at = {"client_hello": FIRST, "second_client_hello": all_of(*edits)}
    param = case(name, error, **{"shares": (), **NAMED, **options})
    param.values[0].at.update(at)
    return param


COOKIE = {"context": {"retry_with_cookie": True}, "shares": (X25519,)}
SECOND_CLIENT_HELLO = [
    second("random", put(random=changed)),
    second("session id", put(legacy_session_id=changed)),
    second("no session id", put(legacy_session_id=b"")),
    second("legacy_version", put(legacy_version=0x0301)),
    second("suites fewer", put(cipher_suites=lambda old: old[:1])),
    second("suites in another order", put(cipher_suites=lambda old: old[::-1])),
    second("suites without the chosen one", put(cipher_suites=[0x1302, 0x1303])),
    second("compression", put(legacy_compression_methods=b"\1\0")),
    second("versions", with_extension(E.supported_versions, vector(1, u16(TLS13, TLS12)))),
    second("groups", with_extension(E.supported_groups, vector(2, u16(X25519)))),
    second("groups reordered", with_extension(E.supported_groups, vector(2, u16(P256, X25519)))),
    second("signature_algorithms", with_extension(E.signature_algorithms, vector(2, u16(0x0403)))),
    second("signature_algorithms_cert",
           with_extension(E.signature_algorithms_cert, vector(2, u16(0x0804)))),
    second("no signature_algorithms_cert", without_extension(E.signature_algorithms_cert)),
    second("server_name", with_extension(E.server_name, server_name(b"other.test"))),
    second("no server_name", without_extension(E.server_name)),
    second("ALPN", with_extension(ALPN, protocol_names(b"h2"))),
    second("no ALPN", without_extension(ALPN)),
    second("PSK modes", with_extension(E.psk_key_exchange_modes, vector(1, b"\0"))),
    second("no PSK modes", without_extension(E.psk_key_exchange_modes)),
    second("no post_handshake_auth", without_extension(E.post_handshake_auth)),
    second("certificate_authorities",
           with_extension(E.certificate_authorities, vector(2, vector(2, b"\x31\0")))),
    second("no certificate_authorities", without_extension(E.certificate_authorities)),
    second("no status_request", without_extension(E.status_request)),
    second("unknown extension", with_extension(UNKNOWN, b"changed")),
    second("no unknown extension", without_extension(UNKNOWN)),
    second("another unknown extension", with_extension(0x5A5A)),
    second("early_data", with_extension(E.early_data)),
    second("early_data after a cookie", with_extension(E.early_data), **COOKIE),
    second("no supported_versions", without_extension(E.supported_versions)),
    second("no key_share", without_extension(E.key_share), error=MissingExtension),
    second("key_share of no shares", with_extension(E.key_share, vector(2))),
    second("share of another group", of_group(P256)),
    second("share of another group as well", of_group(X25519, P256)),
    second("share of another group first", of_group(P256, X25519)),
    second("unknown share as well",
           with_extension(
               E.key_share, lambda old: vector(2, old[2:], key_share_entry(UNKNOWN, b"1")))),
    second("cookie that was not sent", with_extension(E.cookie, vector(2, b"cookie"))),
    second("no cookie", without_extension(E.cookie), **COOKIE),
    second("another cookie", with_extension(E.cookie, changed), **COOKIE),
    second("cookie cut", with_extension(E.cookie, lambda old: vector(2, old[2:-1])), **COOKIE),
    second("empty cookie", with_extension(E.cookie, vector(2)), error=DecodeError, **COOKIE),
    second("no cookie with a group", without_extension(E.cookie), **{**COOKIE, "shares": ()}),
    second("key_share after a cookie", of_group(X25519), **COOKIE),
    second("more shares after a cookie", of_group(X25519, P256), **COOKIE),
    second("no share after a cookie", with_extension(E.key_share, vector(2)), **COOKIE),
    second("random after a cookie", put(random=changed), **COOKIE),
]  # fmt: skip


@pytest.mark.parametrize("case", SECOND_CLIENT_HELLO)
def test_second_client_hello(case):
    check(case, "server")


REQUIRED = {"verify": Verify.REQUIRED}
OPTIONAL = {"verify": Verify.OPTIONAL}


# --- Finished (RFC 8446, 4.4.4)


def of_server(peer, message):
    message.verify_data = peer.server_handshake.finished(peer.transcript)


FINISHED = [
    case("changed", DecryptError, "finished", put(verify_data=changed)),
    case("zeros", DecryptError, "finished", put(verify_data=bytes(32))),
    case("of the server", DecryptError, "finished", of_server),
    case("shorter", DecodeError, "finished", put(verify_data=lambda old: old[:-1])),
    case("longer", DecodeError, "finished", put(verify_data=lambda old: old + b"\0")),
    case("empty", DecodeError, "finished", put(verify_data=b"")),
    case("of SHA-256", DecodeError, "finished", put(verify_data=bytes(32)), suites=(0x1302,)),
]


@pytest.mark.parametrize("case", FINISHED)
@pytest.mark.parametrize("verify", Verify, ids=lambda each: each.name)
def test_finished(case, verify):
    case.context = {"verify": verify}
    case.options = {**case.options, "credential": credential()}
    check(case, "server")


# --- Every message in every state (RFC 8446, 4 and A.2)

HELLO, FINISHED_ONLY = {HandshakeType.client_hello}, {HandshakeType.finished}
# The point at which a state is left, the messages that it takes, and how it is reached.
STATES = {
    "WAIT_CLIENT_HELLO": ("client_hello", HELLO, Verify.NONE, True),
    "WAIT_RETRIED_CLIENT_HELLO": ("second_client_hello", HELLO, Verify.NONE, True),
    "WAIT_CERTIFICATE": ("certificate", {HandshakeType.certificate}, Verify.REQUIRED, True),
    "WAIT_CERTIFICATE_VERIFY": (
        "certificate_verify",
        {HandshakeType.certificate_verify},
        Verify.REQUIRED,
        True,
    ),
    "WAIT_FINISHED": ("finished", FINISHED_ONLY, Verify.NONE, True),
    "WAIT_FINISHED after CertificateVerify": ("finished", FINISHED_ONLY, Verify.REQUIRED, True),
    "WAIT_FINISHED after no certificate": ("finished", FINISHED_ONLY, Verify.OPTIONAL, False),
    "CONNECTED": (None, {HandshakeType.key_update}, Verify.REQUIRED, True),
}


@pytest.mark.parametrize("state", STATES)
def test_every_message_in_the_wrong_state(state):
    point, welcome, verify, with_certificate = STATES[state]
    context = {"verify": verify}
    options = {"credential": credential() if with_certificate else None}
    if point == "second_client_hello":
        options["shares"] = ()
    for code in sorted(MESSAGE_TYPES - welcome):
        message = MESSAGES[code]() if code in MESSAGES else Raw(code)
        if point is None:
            peer = established("server", context, **options)
            peer.send(message)
            assert_refuses(peer, UnexpectedMessage)
        else:
            peer = server_of(context, at={point: instead(message)}, **options)
            assert_refuses(peer, UnexpectedMessage, peer.handshake)


@pytest.mark.parametrize("point", ["certificate", "certificate_verify", "finished"])
def test_message_left_out_or_doubled(point):
    options = {"credential": credential()}
    doubled = server_of(REQUIRED, at={point: lambda peer, message: [message, message]}, **options)
    assert_refuses(doubled, UnexpectedMessage, doubled.handshake)
    if point != "finished":
        left_out = server_of(REQUIRED, at={point: instead()}, **options)
        assert_refuses(left_out, UnexpectedMessage, left_out.handshake)
    else:
        waiting = server_of(REQUIRED, at={point: instead()}, **options)
        waiting.handshake()
        # What follows is under a key that is not the one awaited.
        waiting.send_data(b"x")
        assert_refuses(waiting, BadRecordMac)


def test_unasked_certificate():
    peer = server_of(at={"finished": lambda peer, message: [Certificate(), message]})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Messages over a change of keys (RFC 8446, 5.1)

ACROSS = [
    case(f"{name} behind {point}", UnexpectedMessage, point, followed_by(data), **options)
    for point, options in {
        "client_hello": {},
        "second_client_hello": {"shares": ()},
        "finished": {},
    }.items()
    for name, data in {
        "part of a header": b"\x14",
        "part of a message": b"\x14\0\0\x20\0",
        "ClientHello": ClientHello().encode(),
        "Finished": Raw(HandshakeType.finished, bytes(32)).encode(),
        "KeyUpdate": KeyUpdate().encode(),
        "EncryptedExtensions": EncryptedExtensions().encode(),
    }.items()
]


@pytest.mark.parametrize("case", ACROSS)
def test_message_over_a_change_of_keys(case):
    check(case, "server")


# --- Early data (RFC 8446, 4.2.10)

SKIPPED = {"limits": Limits(max_skipped_early_data=1000)}


@pytest.mark.parametrize("shares", [(X25519,), ()], ids=["skipped", "retry"])
@pytest.mark.parametrize("contents", [[b"x" * 2000], [b"x" * 100] * 20], ids=["one", "many"])
def test_too_much_early_data(shares, contents):
    peer = server_of(SKIPPED, shares=shares, early_data=contents)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@pytest.mark.parametrize("shares", [(X25519,), ()], ids=["skipped", "retry"])
def test_early_data_up_to_the_limit(shares):
    established("server", SKIPPED, shares=shares, early_data=[b"x" * 200] * 4)


def then(action):
    """Something that the client does behind its message."""

    def edit(peer, message):
        peer.send(message)
        action(peer)
        return []

    return edit


@pytest.mark.parametrize("record", [b"\x17\3\3\0\0", b"\x17\3\3\0\1x"], ids=["empty", "short"])
@pytest.mark.parametrize("shares", [(X25519,), ()], ids=["skipped", "retry"])
def test_early_data_of_tiny_records(shares, record):
    """Nothing is skipped without end."""
    at = {"client_hello": then(lambda peer: peer.send_raw(record * 2000))}
    peer = server_of(SKIPPED, shares=shares, early_data=[b"x"], at=at)
    with pytest.raises(Refused):
        peer.handshake()
    assert type(peer.connection.last_error) in (UnexpectedMessage, BadRecordMac)


@pytest.mark.parametrize("shares", [(X25519,), ()], ids=["share", "retry"])
def test_early_data_that_was_not_announced(shares):
    at = {"client_hello": then(lambda peer: peer.send_early_data(b"x"))}
    peer = server_of(shares=shares, at=at)
    assert_refuses(peer, BadRecordMac if shares else UnexpectedMessage, peer.handshake)


def junk(peer):
    peer.send_data(b"x" * 20, key=TrafficKey(peer.suite, os.urandom(32)))


@pytest.mark.parametrize("shares", [(X25519,), ()], ids=["skipped", "retry"])
@pytest.mark.parametrize("point", ["certificate_verify", "finished"])
def test_early_data_behind_a_protected_record(shares, point):
    # RFC 8446, 4.2.10: the first record that opens ends it.
    peer = server_of(
        REQUIRED,
        shares=shares,
        early_data=[b"early"],
        credential=credential(),
        at={point: before(junk)},
    )
    assert_refuses(peer, BadRecordMac, peer.handshake)


def test_early_data_behind_the_second_client_hello():
    # RFC 8446, 4.2.10: with a HelloRetryRequest, the second ClientHello ends it.
    peer = server_of(
        REQUIRED,
        shares=(),
        early_data=[b"early"],
        credential=credential(),
        at={"certificate": before(junk)},
    )
    assert_refuses(peer, BadRecordMac, peer.handshake)


def test_early_data_inside_the_second_client_hello():
    # RFC 8446, 5.1: nothing stands between the parts of a message.
    at = {"second_client_hello": inside(junk)}
    peer = server_of(shares=(), early_data=[b"early"], at=at)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def test_early_data_and_other_records():
    """Skipping is for what does not open; everything else is judged as ever."""
    peer = server_of(early_data=[b"early"], at={"finished": instead(EncryptedExtensions())})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- Nothing left over


def test_silence_before_client_hello():
    peer = server_of()
    with pytest.raises(Silence):
        peer.receive()
    assert peer.connection.last_error is None
    peer.handshake()
    assert_established(peer)


# --- Anything else


@pytest.mark.parametrize(
    "point",
    ["client_hello", "second_client_hello", "certificate", "certificate_verify", "finished"],
)
def test_mutated_message(point):
    """Whatever comes, the fault is the peer's."""
    for seed in range(40):
        peer = server_of(
            {"verify": Verify.REQUIRED, "alpn": ("h2",)},
            at={point: mutated(seed)},
            shares=() if point == "second_client_hello" else (X25519,),
            credential=credential(),
            **NAMED,
        )
        assert_no_internal_error(peer)
