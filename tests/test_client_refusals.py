"""What a client refuses, and with which alert (RFC 8446, 4 and 5; see refusals.py)."""

from __future__ import annotations

import pytest
from refusals import (
    assert_no_internal_error,
    assert_refuses,
    case,
    changed,
    check,
    client_of,
    established,
    in_certificate,
)
from scripted_messages import (
    HELLO_RETRY_REQUEST,
    MESSAGES,
    TLS12,
    KeyUpdate,
    NewSessionTicket,
    Raw,
    key_share_entry,
    protocol_names,
    u8,
    u16,
    vector,
)
from scripted_peer import (
    all_of,
    cut,
    followed_by,
    instead,
    mutated,
    put,
    twice,
    with_extension,
    without_extension,
)

from fasths import (
    ContentType,
    ExtensionType,
    HandshakeType,
    NamedGroup,
    StaplePolicy,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    DecodeError,
    DecryptError,
    IllegalParameter,
    MissingExtension,
    ProtocolVersion,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
UNKNOWN = 0xFAFA
SENTINELS = {"TLS 1.2": b"DOWNGRD\1", "TLS 1.1": b"DOWNGRD\0"}
X25519, P256, P384 = NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1
ONE_SUITE = {"cipher_suites": ("TLS_AES_128_GCM_SHA256",)}


# --- Extensions by message (RFC 8446, 4.2)

# Where the table of RFC 8446, 4.2 lists an extension. The rest of ExtensionType stands in no TLS
# 1.3 message but ClientHello, so that it is just not asked for.
PLACES = {
    E.server_name: "CH EE",
    E.max_fragment_length: "CH EE",
    E.status_request: "CH CR CT",
    E.supported_groups: "CH EE",
    E.signature_algorithms: "CH CR",
    E.use_srtp: "CH EE",
    E.heartbeat: "CH EE",
    E.application_layer_protocol_negotiation: "CH EE",
    E.signed_certificate_timestamp: "CH CR CT",
    E.client_certificate_type: "CH EE",
    E.server_certificate_type: "CH EE",
    E.padding: "CH",
    E.key_share: "CH SH HRR",
    E.pre_shared_key: "CH SH",
    E.psk_key_exchange_modes: "CH",
    E.early_data: "CH EE NST",
    E.cookie: "CH HRR",
    E.supported_versions: "CH SH HRR",
    E.certificate_authorities: "CH CR",
    E.oid_filters: "CR",
    E.post_handshake_auth: "CH",
    E.signature_algorithms_cert: "CH CR",
    # RFC 8879, 3, and RFC 8449, 4.
    E.compress_certificate: "CH CR",
    E.record_size_limit: "CH EE",
    # Of TLS 1.2 alone: the answers to them do not belong into any message of TLS 1.3.
    E.ec_point_formats: "CH",
    E.encrypt_then_mac: "CH",
    E.extended_master_secret: "CH",
    E.session_ticket: "CH",
    E.renegotiation_info: "CH",
    UNKNOWN: "",
}
TLS12_EXTENSIONS = (
    E.ec_point_formats,
    E.encrypt_then_mac,
    E.extended_master_secret,
    E.session_ticket,
    E.renegotiation_info,
)
# Something well-formed, where an extension is not empty.
DATA = {
    E.supported_groups: vector(2, u16(X25519)),
    E.signature_algorithms: vector(2, u16(0x0403)),
    E.signature_algorithms_cert: vector(2, u16(0x0403)),
    E.application_layer_protocol_negotiation: protocol_names(b"h2"),
    E.key_share: key_share_entry(X25519, bytes(32)),
    E.pre_shared_key: u16(0),
    E.cookie: vector(2, b"cookie"),
    E.supported_versions: u16(0x0304),
    E.certificate_authorities: vector(2, vector(2, b"\x30\0")),
    E.oid_filters: vector(2),
    E.client_certificate_type: u8(2),
    E.server_certificate_type: u8(2),
    E.record_size_limit: u16(1000),
    E.ec_point_formats: vector(1, b"\0"),
    E.renegotiation_info: vector(1),
}
IN_CERTIFICATE = {
    E.status_request: u8(1) + vector(3, b"response"),
    E.signed_certificate_timestamp: vector(2, vector(2, b"timestamp")),
}
POINTS = {
    "SH": "server_hello",
    "HRR": "hello_retry_request",
    "EE": "encrypted_extensions",
    "CR": "certificate_request",
    "CT": "certificate",
}


def extension_cases():
    """Each extension in each message where it must not be."""
    # What the client below asks for; it gives no server_name.
    asked = {
        E.supported_groups,
        E.signature_algorithms,
        E.signature_algorithms_cert,
        E.supported_versions,
        E.key_share,
        E.status_request,
        E.signed_certificate_timestamp,
    }
    for short, point in POINTS.items():
        for code, places in PLACES.items():
            known = bool(places)
            fits = short in places.split()
            if (fits and code in asked) or (short == "CR" and (fits or not known)):
                continue
            if short == "HRR" and code == E.cookie:
                continue
            data = DATA.get(code, b"")
            edit = with_extension(code, data)
            if short == "CT":
                edit = in_certificate((code, IN_CERTIFICATE.get(code, data)))
            name = f"{getattr(code, 'name', code)} in {short}"
            yield case(
                name,
                UnsupportedExtension if fits or not known else IllegalParameter,
                point,
                edit,
                retry=P256 if short == "HRR" else 0,
                request_certificate=True,
            )
        if short == "CT":
            double = in_certificate(*IN_CERTIFICATE.items(), *IN_CERTIFICATE.items())
        else:
            code = {"EE": E.supported_groups, "CR": E.signature_algorithms}.get(
                short, E.supported_versions
            )
            double = all_of(
                with_extension(code, DATA[code]),
                twice(code),
            )
        yield case(
            f"twice in {short}",
            IllegalParameter,
            point,
            double,
            retry=P256 if short == "HRR" else 0,
            request_certificate=True,
        )


@pytest.mark.parametrize("case", list(extension_cases()))
def test_extension_in_the_wrong_place(case):
    peer = client_of(case.context, hostname=None, at=case.at, **case.options)
    assert_refuses(peer, case.error, peer.handshake)


@pytest.mark.parametrize("code", TLS12_EXTENSIONS, ids=lambda code: code.name)
@pytest.mark.parametrize("point", POINTS.values())
def test_answer_in_tls13_to_what_was_offered_for_tls12_is_refused(point, code):
    """RFC 8446, 4.2: where they are offered for the sake of another version, too."""
    data = DATA.get(code, b"")
    edit = in_certificate((code, data)) if point == "certificate" else with_extension(code, data)
    peer = client_of(
        {"minimum_version": TLSVersion.TLSv1_2},
        at={point: edit},
        retry=P256 if point == "hello_retry_request" else 0,
        request_certificate=True,
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)
    # The others are: what fasths does not have itself, it does not offer.
    assert (peer.hello.extension(code) is None) == (code == E.encrypt_then_mac)


@pytest.mark.parametrize("code", IN_CERTIFICATE, ids=lambda code: code.name)
def test_extension_of_a_certificate_that_was_not_asked_for_is_refused(code):
    peer = client_of(
        {"staple_policy": StaplePolicy.IGNORE},
        at={"certificate": in_certificate((code, IN_CERTIFICATE[code]))},
    )
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


# --- Messages that do not parse (RFC 8446, 6: decode_error)


def shape_cases():
    for point, sizes in {
        "hello_retry_request": (0, 1, 33, 34, 40, 69, 71, 73, 75, -1),
        "server_hello": (0, 1, 33, 34, 40, 69, 71, 73, 75, 90, -1),
        "encrypted_extensions": (0, 1, 3, -1),
        "certificate_request": (0, 1, 2, 4, -1),
        "certificate": (0, 1, 3, 5, 100, -1),
        "certificate_verify": (0, 1, 3, 10, -1),
        "finished": (0, 1, 12, 31, -1),
    }.items():
        options = {
            "retry": P256 if point == "hello_retry_request" else 0,
            "request_certificate": True,
            "alpn": b"h2",
            "context": {"alpn": ("h2",)},
        }
        for size in sizes:
            yield case(f"{point} cut to {size}", DecodeError, point, cut(size), **options)
        yield case(
            f"{point} with a trailing byte", DecodeError, point, put(trailing=b"\0"), **options
        )


@pytest.mark.parametrize("case", list(shape_cases()))
def test_malformed_message(case):
    check(case, "client")


# --- ServerHello (RFC 8446, 4.1.3, 4.2.1 and 4.2.8)


def server_hello(name, error, *edits, **options):
    return case(name, error, "server_hello", all_of(*edits), **options)


def of_version(version, random=None):
    """A ServerHello of TLS 1.2 or below."""
    edits = [without_extension(E.supported_versions, E.key_share), put(legacy_version=version)]
    if random is not None:
        edits.append(put(random=random))
    return all_of(*edits)


def selected(version):
    return with_extension(E.supported_versions, u16(version))


SERVER_HELLO = [
    server_hello("no supported_versions", ProtocolVersion, without_extension(E.supported_versions)),
    server_hello("TLS 1.2", ProtocolVersion, of_version(TLS12)),
    server_hello("TLS 1.1", ProtocolVersion, of_version(0x0302)),
    server_hello("TLS 1.0", ProtocolVersion, of_version(0x0301)),
    # RFC 8446, D.5
    server_hello("SSL 3.0", ProtocolVersion, of_version(0x0300)),
    server_hello("SSL 3.0 as legacy_version", ProtocolVersion, put(legacy_version=0x0300)),
    server_hello("no extensions", ProtocolVersion, put(extensions=None)),
    *(
        server_hello(
            f"{name} with the sentinel of {kind}",
            IllegalParameter,
            of_version(version, bytes(24) + sentinel),
        )
        for name, version in {"TLS 1.2": TLS12, "TLS 1.1": 0x0302, "TLS 1.0": 0x0301}.items()
        for kind, sentinel in SENTINELS.items()
    ),
    *(
        server_hello(f"selected_version {version:#06x}", IllegalParameter, selected(version))
        for version in (0x0000, 0x0300, 0x0301, 0x0302, TLS12, 0x0305, 0x7F1C, UNKNOWN)
    ),
    *(
        server_hello(
            f"legacy_version {version:#06x}", IllegalParameter, put(legacy_version=version)
        )
        for version in (0x0301, 0x0302, 0x0304)
    ),
    *(
        server_hello(
            f"supported_versions of {len(data)} bytes",
            DecodeError,
            with_extension(E.supported_versions, data),
        )
        for data in (b"", b"\3", b"\2\3\4", b"\3\4\0\0")
    ),
    server_hello("no session id", IllegalParameter, put(legacy_session_id_echo=b"")),
    server_hello("other session id", IllegalParameter, put(legacy_session_id_echo=changed)),
    server_hello(
        "shorter session id", IllegalParameter, put(legacy_session_id_echo=lambda old: old[:31])
    ),
    server_hello(
        "session id of 33 bytes", DecodeError, put(legacy_session_id_echo=lambda old: old + b"\0")
    ),
    server_hello("compression", IllegalParameter, put(legacy_compression_method=1)),
    *(
        server_hello(
            f"cipher suite {suite:#06x}",
            IllegalParameter,
            put(cipher_suite=suite),
            context=ONE_SUITE,
        )
        for suite in (0x0000, 0x00FF, 0x1302, 0x1303, 0x1304, 0xC02F, UNKNOWN)
    ),
    server_hello("no key_share", MissingExtension, without_extension(E.key_share)),
    *(
        server_hello(
            f"key_share in group {group:#06x}",
            IllegalParameter,
            with_extension(E.key_share, key_share_entry(group, bytes(65))),
        )
        for group in (0, P256, P384, 0x0100, 0x001E, UNKNOWN)
    ),
    server_hello(
        "key_share without a key", DecodeError, with_extension(E.key_share, u16(X25519, 0))
    ),
    server_hello("key_share of a retry", DecodeError, with_extension(E.key_share, u16(X25519))),
    server_hello("empty key_share", DecodeError, with_extension(E.key_share)),
    server_hello(
        "two key shares",
        DecodeError,
        with_extension(E.key_share, lambda old: old + old),
    ),
    server_hello(
        "list of key shares", DecodeError, with_extension(E.key_share, lambda old: vector(2, old))
    ),
]


@pytest.mark.parametrize("case", SERVER_HELLO)
def test_server_hello(case):
    peer = check(case, "client")
    assert peer.records[-1].outer_type == ContentType.alert


# The points of small order of Curve25519, and one that is not reduced.
SMALL_ORDER = {
    "0": bytes(32),
    "1": b"\1" + bytes(31),
    "order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "other of order 8": bytes.fromhex(
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
    ),
    "p - 1": b"\xec" + b"\xff" * 30 + b"\x7f",
    "p": b"\xed" + b"\xff" * 30 + b"\x7f",
    "p + 1": b"\xee" + b"\xff" * 30 + b"\x7f",
}


def bad_shares(group):
    """(name, function of a good share) of a server's share for the group."""
    if group is NamedGroup.X25519MLKEM768:
        yield "of x25519 alone", lambda old: old[-32:]
        yield "of ML-KEM alone", lambda old: old[:-32]
        yield "the other way round", lambda old: old[-32:] + old[:-1]
        for name, point in SMALL_ORDER.items():
            yield f"with the point {name}", lambda old, point=point: old[:-32] + point
    elif group is X25519:
        for name, point in SMALL_ORDER.items():
            yield f"the point {name}", lambda old, point=point: point
    else:
        yield "not on the curve", changed
        yield "of a wrong form", lambda old: b"\3" + old[1:]
        yield "compressed", lambda old: b"\2" + old[1 : len(old) // 2 + 1]
        yield "hybrid", lambda old: bytes([6 + (old[-1] & 1)]) + old[1:]
        yield "at infinity", lambda old: b"\0"
        yield "zeros", lambda old: b"\4" + bytes(len(old) - 1)
        yield "beyond the field", lambda old: b"\4" + b"\xff" * (len(old) - 1)
        yield "without the form", lambda old: old[1:]
    yield "too short", lambda old: old[:-1]
    yield "too long", lambda old: old + b"\0"
    yield "of one byte", lambda old: old[:1]


@pytest.mark.parametrize(
    ("group", "change"),
    [
        pytest.param(group, change, id=f"{group.name} {name}")
        for group in NamedGroup
        for name, change in bad_shares(group)
    ],
)
def test_malformed_share(group, change):
    def edit(share):
        return share[:2] + vector(2, change(share[4:]))

    peer = client_of(
        {"groups": (group,), "key_share_groups": (group,)},
        group=group,
        at={"server_hello": with_extension(E.key_share, edit)},
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- HelloRetryRequest (RFC 8446, 4.1.4, 4.2.2 and 4.2.8)


def retry(name, error, *edits, group=P256, **options):
    return case(name, error, "hello_retry_request", all_of(*edits), retry=group, **options)


def after_retry(name, error, *edits, group=P256, **options):
    return case(name, error, "server_hello", all_of(*edits), retry=group, **options)


RETRY = [
    retry("group with a share", IllegalParameter, group=X25519),
    retry("group with a share, and a cookie", IllegalParameter, group=X25519, cookie=b"cookie"),
    retry("group not offered", IllegalParameter, group=P384),
    retry("group not offered, and a cookie", IllegalParameter, group=P384, cookie=b"cookie"),
    retry("unknown group", IllegalParameter, group=UNKNOWN),
    retry("group 0", IllegalParameter, with_extension(E.key_share, u16(0))),
    retry("group 0 and a cookie", IllegalParameter, with_extension(E.key_share, u16(0)),
          cookie=b"c"),
    retry("nothing changed", IllegalParameter, without_extension(E.key_share)),
    retry("no key_share at all", DecodeError, with_extension(E.key_share)),
    retry(
        "key_share with a share",
        DecodeError,
        with_extension(E.key_share, key_share_entry(P256, bytes(65))),
    ),
    retry("empty cookie", DecodeError, cookie=b""),
    retry("cookie cut", DecodeError, with_extension(E.cookie, b"\0\2c")),
    retry("cookie with more behind", DecodeError, with_extension(E.cookie, b"\0\1cc")),
    retry("no supported_versions", ProtocolVersion, without_extension(E.supported_versions)),
    retry("no extensions", ProtocolVersion, put(extensions=None)),
    retry("selected_version of TLS 1.2", IllegalParameter, selected(TLS12)),
    retry("legacy_version of TLS 1.1", IllegalParameter, put(legacy_version=0x0302)),
    retry("legacy_version of SSL 3.0", ProtocolVersion, put(legacy_version=0x0300)),
    retry("other session id", IllegalParameter, put(legacy_session_id_echo=changed)),
    retry("no session id", IllegalParameter, put(legacy_session_id_echo=b"")),
    retry("compression", IllegalParameter, put(legacy_compression_method=1)),
    retry("suite not offered", IllegalParameter, put(cipher_suite=0x1302), context=ONE_SUITE),
    retry("unknown suite", IllegalParameter, put(cipher_suite=UNKNOWN)),
    after_retry("other suite", IllegalParameter, put(cipher_suite=0x1302)),
    after_retry("other suite after a cookie", IllegalParameter, put(cipher_suite=0x1302), group=0,
                cookie=b"cookie"),
    after_retry("other version", IllegalParameter, selected(TLS12)),
    after_retry("TLS 1.2", ProtocolVersion, of_version(TLS12)),
    after_retry("other session id afterwards", IllegalParameter, put(legacy_session_id_echo=b"")),
    after_retry("second", UnexpectedMessage, put(random=HELLO_RETRY_REQUEST), selected(0x0304),
                with_extension(E.key_share, u16(P256))),
    after_retry("second with another group", UnexpectedMessage, put(random=HELLO_RETRY_REQUEST),
                with_extension(E.key_share, u16(X25519))),
    after_retry("second with a cookie alone", UnexpectedMessage, put(random=HELLO_RETRY_REQUEST),
                without_extension(E.key_share), with_extension(E.cookie, vector(2, b"c"))),
    after_retry("share in the first group", IllegalParameter,
                with_extension(E.key_share, key_share_entry(X25519, bytes(range(32))))),
    after_retry("share in a third group", IllegalParameter,
                with_extension(E.key_share, key_share_entry(P384, b"\4" + bytes(96)))),
    after_retry("cookie in ServerHello", IllegalParameter,
                with_extension(E.cookie, vector(2, b"c"))),
]  # fmt: skip


@pytest.mark.parametrize("case", RETRY)
def test_hello_retry_request(case):
    peer = check(case, "client")
    assert peer.records[-1].outer_type == ContentType.alert


# --- EncryptedExtensions (RFC 8446, 4.3.1; RFC 7301, 3.1; RFC 6066, 3)

ALPN = E.application_layer_protocol_negotiation


def encrypted_extensions(name, error, *edits, **options):
    options.setdefault("context", {"alpn": ("h2",)})
    return case(name, error, "encrypted_extensions", all_of(*edits), **options)


# --- CertificateRequest (RFC 8446, 4.3.2)


def certificate_request(name, error, *edits, **options):
    return case(
        name, error, "certificate_request", all_of(*edits), request_certificate=True, **options
    )


def list_cases(make, code):
    """What is wrong with a list of 16-bit codes."""
    for name, data in {
        "of no bytes": b"",
        "that is empty": b"\0\0",
        "of odd length": b"\0\3\4\3\4",
        "that is cut": b"\0\4\4\3",
        "with more behind": b"\0\2\4\3\0",
    }.items():
        yield make(f"{code.name} {name}", DecodeError, with_extension(code, data))


ENCRYPTED = [
    encrypted_extensions("protocol not offered", IllegalParameter, alpn=b"http/1.1"),
    encrypted_extensions("protocol in capitals", IllegalParameter, alpn=b"H2"),
    encrypted_extensions(
        "two protocols", DecodeError, with_extension(ALPN, protocol_names(b"h2", b"h2"))
    ),
    encrypted_extensions("no protocol", DecodeError, with_extension(ALPN, protocol_names())),
    encrypted_extensions("empty protocol", DecodeError, with_extension(ALPN, protocol_names(b""))),
    encrypted_extensions("protocol cut", DecodeError, with_extension(ALPN, b"\0\3\3h2")),
    encrypted_extensions("empty ALPN", DecodeError, with_extension(ALPN)),
    encrypted_extensions(
        "server_name with data", DecodeError, with_extension(E.server_name, b"\0")
    ),
    *list_cases(encrypted_extensions, E.supported_groups),
    certificate_request("context", IllegalParameter, put(certificate_request_context=b"1")),
    certificate_request(
        "no signature_algorithms", MissingExtension, without_extension(E.signature_algorithms)
    ),
    certificate_request("no extension block", DecodeError, put(extensions=None)),
    *list_cases(certificate_request, E.signature_algorithms),
    *list_cases(certificate_request, E.signature_algorithms_cert),
    *(
        certificate_request(
            f"certificate_authorities {data.hex()}",
            DecodeError,
            with_extension(E.certificate_authorities, data),
        )
        for data in (b"", b"\0\0", b"\0\2\0\0", b"\0\3\0\2x", b"\0\3\0\1xx")
    ),
]


@pytest.mark.parametrize("case", ENCRYPTED)
def test_encrypted_extensions_and_request(case):
    peer = check(case, "client")
    assert peer.records[-1].outer_type == ContentType.application_data


# --- Finished (RFC 8446, 4.4.4)


def of_client(peer, message):
    message.verify_data = peer.client_handshake.finished(peer.transcript)


FINISHED = [
    case("changed", DecryptError, "finished", put(verify_data=changed)),
    case("zeros", DecryptError, "finished", put(verify_data=bytes(32))),
    case("of the client", DecryptError, "finished", of_client),
    case("shorter", DecodeError, "finished", put(verify_data=lambda old: old[:-1])),
    case("as in TLS 1.2", DecodeError, "finished", put(verify_data=lambda old: old[:12])),
    case("longer", DecodeError, "finished", put(verify_data=lambda old: old + b"\0")),
    case("of SHA-256", DecodeError, "finished", put(verify_data=bytes(32)), suite=0x1302),
    case("of SHA-384", DecodeError, "finished", put(verify_data=bytes(48)), suite=0x1303),
]


@pytest.mark.parametrize("case", FINISHED)
def test_finished(case):
    check(case, "client")


# --- Every message in every state (RFC 8446, 4 and A.1)

# The point of the script at which a state is left, and the messages that it takes.
STATES = {
    "WAIT_SERVER_HELLO": ("server_hello", {HandshakeType.server_hello}),
    "WAIT_ENCRYPTED_EXTENSIONS": ("encrypted_extensions", {HandshakeType.encrypted_extensions}),
    "WAIT_CERTIFICATE_OR_REQUEST": (
        "certificate_request",
        {HandshakeType.certificate_request, HandshakeType.certificate},
    ),
    "WAIT_CERTIFICATE": ("certificate", {HandshakeType.certificate}),
    "WAIT_CERTIFICATE_VERIFY": ("certificate_verify", {HandshakeType.certificate_verify}),
    "WAIT_FINISHED": ("finished", {HandshakeType.finished}),
    "CONNECTED": (None, {HandshakeType.new_session_ticket, HandshakeType.key_update}),
}
MESSAGE_TYPES = {*map(int, HandshakeType), 3, 6, 7, 9, 21, 67, 203, 255}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("retry", [0, P256], ids=["", "after-retry"])
def test_every_message_in_the_wrong_state(state, retry):
    point, welcome = STATES[state]
    for code in sorted(MESSAGE_TYPES - welcome):
        message = MESSAGES[code]() if code in MESSAGES else Raw(code)
        if point is None:
            peer = established("client", retry=retry)
            peer.send(message)
            assert_refuses(peer, UnexpectedMessage)
        else:
            peer = client_of(retry=retry, request_certificate=True, at={point: instead(message)})
            assert_refuses(peer, UnexpectedMessage, peer.handshake)


@pytest.mark.parametrize(
    "point", [point for point, _ in STATES.values() if point not in (None, "certificate_request")]
)
@pytest.mark.parametrize("request_certificate", [True, False])
def test_message_left_out_or_doubled(point, request_certificate):
    options = {"request_certificate": request_certificate}
    # A second Finished reaches over a change of keys, and is unexpected as well. So is a second
    # ServerHello, but with that in its transcript the peer could not read the alert: see ACROSS.
    if point != "server_hello":
        doubled = client_of(at={point: lambda peer, message: [message, message]}, **options)
        assert_refuses(doubled, UnexpectedMessage, doubled.handshake)
    if point != "finished":
        left_out = client_of(at={point: instead()}, **options)
        assert_refuses(left_out, UnexpectedMessage, left_out.handshake)


# --- Messages over a change of keys (RFC 8446, 5.1)

ACROSS = [
    case(f"{name} behind {point}", UnexpectedMessage, point, followed_by(data))
    for point in ("server_hello", "finished")
    for name, data in {
        "ServerHello": b"\x02\0\0\1\0",
        "EncryptedExtensions": b"\x08\0\0\2\0\0",
        "part of a header": b"\x08",
        "part of a message": b"\x08\0\0\2\0",
        "NewSessionTicket": NewSessionTicket().encode(),
        "KeyUpdate": KeyUpdate().encode(),
    }.items()
]


@pytest.mark.parametrize("case", ACROSS)
def test_message_over_a_change_of_keys(case):
    check(case, "client")


# --- Anything else


@pytest.mark.parametrize(
    "point",
    [
        "hello_retry_request",
        "server_hello",
        "encrypted_extensions",
        "certificate_request",
        "certificate",
        "certificate_verify",
        "finished",
    ],
)
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
def test_mutated_message(point, verify):
    """Whatever comes, the fault is the peer's."""
    for seed in range(40):
        peer = client_of(
            {"alpn": ("h2",), "verify": verify},
            at={point: mutated(seed)},
            alpn=b"h2",
            retry=P256 if point == "hello_retry_request" else 0,
            request_certificate=True,
        )
        assert_no_internal_error(peer)
