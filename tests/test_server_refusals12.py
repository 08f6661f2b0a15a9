"""What a server refuses in TLS 1.2, and with which alert (RFC 5246, 7; see refusals12.py)."""

from __future__ import annotations

import pki
import pytest
from helpers import HOST
from refusals import (
    assert_no_internal_error,
    assert_refuses,
    case,
    changed,
    credential,
    identity,
)
from refusals12 import BOTH_VERSIONS, TLS12_ALONE, check, established, server_of
from scripted12_keys import SERVER
from scripted12_messages import Certificate12, ServerHelloDone
from scripted_messages import (
    TLS12,
    TLS13,
    CertificateVerify,
    Finished,
    Raw,
    protocol_names,
    server_name,
    u8,
    u16,
    vector,
)
from scripted_peer import (
    all_of,
    before,
    cut,
    followed_by,
    instead,
    mutated,
    put,
    twice,
    with_extension,
    without_extension,
)
from test_client_refusals import bad_shares

from fasths import (
    AlertDescription,
    ExtensionType,
    NamedGroup,
    SignatureScheme,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    InappropriateFallback,
    NoApplicationProtocol,
    ProtocolVersion,
    UnexpectedMessage,
)

E = ExtensionType
S = SignatureScheme
ALPN = E.application_layer_protocol_negotiation
UNKNOWN = 0xFAFA
FALLBACK_SCSV, RENEGOTIATION_SCSV = 0x5600, 0x00FF
X25519, P256, P384, P521 = (
    NamedGroup.x25519,
    NamedGroup.secp256r1,
    NamedGroup.secp384r1,
    NamedGroup.secp521r1,
)
RESUMPTIONS = ("ticket", "id")
REQUIRED = {"verify": Verify.REQUIRED}
TLS13_ALONE = {**BOTH_VERSIONS, "minimum_version": TLSVersion.TLSv1_3}


def hello(name, error, *edits, **options):
    return case(name, error, "client_hello", all_of(*edits), **options)


def malformed(code, *data, error=DecodeError, **options):
    """The ClientHello has this extension, with each of these data."""
    for each in data:
        yield hello(
            f"{code.name} of {each.hex() or 'nothing'}",
            error,
            with_extension(code, each),
            **options,
        )


def with_suite(code):
    return put(cipher_suites=lambda old: [*old, code])


# --- ClientHello (RFC 5246, 7.4.1.2 and E.1)

CLIENT_HELLO = [
    *(
        hello(f"version {version:#06x}", ProtocolVersion, put(legacy_version=version))
        for version in (0, 0x0002, 0x0200, 0x0300, 0x0301, 0x0302)
    ),
    *(
        hello(f"versions {' '.join(map(hex, versions))}", ProtocolVersion, versions=versions)
        for versions in ((TLS13,), (0x0302, 0x0301), (UNKNOWN,), (TLS13, 0x0302, 0x0305))
    ),
    hello("TLS 1.2 at a server of TLS 1.3", ProtocolVersion, context=TLS13_ALONE),
    hello(
        "TLS 1.2 in supported_versions at a server of TLS 1.3",
        ProtocolVersion,
        versions=(TLS12,),
        context=TLS13_ALONE,
    ),
    # RFC 7507, 3
    hello("fallback", InappropriateFallback, with_suite(FALLBACK_SCSV), context=BOTH_VERSIONS),
    hello(
        "fallback by supported_versions",
        InappropriateFallback,
        with_suite(FALLBACK_SCSV),
        versions=(TLS12,),
        context=BOTH_VERSIONS,
    ),
    hello("session id of 33 bytes", DecodeError, put(legacy_session_id=bytes(33))),
    hello("session id of 255 bytes", DecodeError, put(legacy_session_id=bytes(255))),
    hello("no suites", DecodeError, put(cipher_suites=[])),
    *(
        hello(f"{name} alone", HandshakeFailure, put(cipher_suites=suites))
        for name, suites in {
            "suites of TLS 1.3": [0x1301, 0x1302, 0x1303],
            "CBC": [0xC009, 0xC00A, 0xC023, 0xC024],
            "RSA key exchange": [0x009C, 0x009D, 0x002F],
            "finite fields": [0x009E, 0xCCAA],
            "static ECDH": [0xC02D, 0xC031],
            "a signalling value": [RENEGOTIATION_SCSV],
            "suites of RSA": [0xC02F, 0xC030, 0xCCA8],
            "unknown suites": [UNKNOWN, 0x0A0A],
        }.items()
    ),
    *(
        hello(
            f"suites of ECDSA at a server with {key_type}",
            HandshakeFailure,
            put(cipher_suites=[0xC02B, 0xC02C, 0xCCA9]),
            context={"identities": [identity(key_type)]},
        )
        for key_type in ("rsa", "rsa-pss")
    ),
    hello("no null compression", IllegalParameter, put(legacy_compression_methods=b"\1")),
    hello("two methods, none null", IllegalParameter, put(legacy_compression_methods=b"\1\x40")),
    hello("no compression method", DecodeError, put(legacy_compression_methods=b"")),
    hello("extension twice", IllegalParameter, twice(E.supported_groups)),
    hello("extension twice, empty", IllegalParameter, twice(E.extended_master_secret)),
    hello("renegotiation_info twice", IllegalParameter, twice(E.renegotiation_info)),
    hello("unknown extension twice", IllegalParameter, with_extension(UNKNOWN), twice(UNKNOWN)),
    hello("no extensions", HandshakeFailure, put(extensions=None)),
    hello("no extension", HandshakeFailure, put(extensions=[])),
    # RFC 5246, 7.4.1.4.1: that means SHA-1.
    hello("no signature_algorithms", HandshakeFailure, without_extension(E.signature_algorithms)),
    hello("no scheme in common", HandshakeFailure, schemes=(S.ed448, 0x0203, UNKNOWN)),
    hello("SHA-1 alone", HandshakeFailure, schemes=(0x0201, 0x0203)),
    hello("schemes of RSA alone", HandshakeFailure, schemes=(S.rsa_pkcs1_sha256, 0x0804)),
    hello("no group in common", HandshakeFailure, groups=(P384, UNKNOWN)),
    hello("the hybrid alone", HandshakeFailure, groups=(NamedGroup.X25519MLKEM768,),
          context={"groups": ("X25519MLKEM768", "x25519")}),
    # RFC 8422, 5.3: the curve of the key has to be among them as well.
    hello("no group of the certificate", HandshakeFailure, groups=(X25519,)),
    hello("no group of the certificate but a larger one", HandshakeFailure,
          context={"identities": [identity("ecdsa384")]}),
    *(
        hello(
            f"renegotiation_info of {len(data)} bytes",
            HandshakeFailure,
            with_extension(E.renegotiation_info, vector(1, data)),
        )
        for data in (b"\0", bytes(12), bytes(255))
    ),
    hello("both signals, and renegotiation_info with data", HandshakeFailure,
          with_suite(RENEGOTIATION_SCSV), with_extension(E.renegotiation_info, b"\1x")),
    hello("no extended_master_secret where it is required", HandshakeFailure,
          extended_master_secret=False, context={"require_extended_master_secret": True}),
    *malformed(E.renegotiation_info, b"", b"\1", b"\0\0"),
    *malformed(E.extended_master_secret, b"\0"),
    *malformed(E.ec_point_formats, b"", b"\0", b"\2\0", b"\1\0\0"),
    *malformed(E.ec_point_formats, b"\1\1", b"\2\1\2", error=IllegalParameter),
    *malformed(E.supported_groups, b"", b"\0\0", b"\0\1\0", b"\0\2\0", b"\0\3\0\x1d\0"),
    *malformed(E.signature_algorithms, b"", b"\0\0", b"\0\1\4", b"\0\2\4", b"\0\3\4\3\4"),
    *malformed(E.supported_versions, b"", b"\0", b"\1\3", b"\2\3", b"\2\3\3\0"),
    *malformed(E.server_name, b"", b"\0\0", b"\0\1\0", b"\0\3\0\0\0", server_name(b"x") + b"\0"),
    *malformed(E.server_name, server_name(b"local host"), server_name(b"x\0"),
               error=IllegalParameter),
    *malformed(E.status_request, b"", b"\1", b"\1\0\0\0", b"\1\0\0\0\0\0"),
    *malformed(E.signed_certificate_timestamp, b"\0"),
    *malformed(ALPN, b"", b"\0\0", b"\0\1\0", b"\0\3\3h2", protocol_names(b"h2") + b"\0"),
    *malformed(E.record_size_limit, b"", b"\1", b"\1\0\0"),
    *malformed(E.record_size_limit, u16(0), u16(63), error=IllegalParameter),
    hello("no protocol in common", NoApplicationProtocol, alpn=(b"h3", b"H2"),
          context={"alpn": ("h2", "http/1.1")}),
    hello("trailing byte", DecodeError, put(trailing=b"\0")),
    hello("trailing byte without extensions", DecodeError, put(extensions=None, trailing=b"\0")),
]  # fmt: skip


@pytest.mark.parametrize("case", CLIENT_HELLO)
def test_client_hello(case):
    peer = check(case, "server")
    assert [record.content_type for record in peer.records] == [21]


def test_odd_cipher_suites():
    def edit(peer, message):
        suites = u16(*message.cipher_suites)
        data = message.encode()[4:].replace(vector(2, suites), vector(2, suites, b"\0"), 1)
        return u8(message.type) + vector(3, data)

    peer = server_of(at={"client_hello": edit})
    assert_refuses(peer, DecodeError, peer.handshake)


ACCEPTED = {
    # RFC 5246, E.1: a server answers with what it has.
    "version of TLS 1.3": put(legacy_version=TLS13),
    "version to come": put(legacy_version=0x7F00),
    # RFC 7507, 3: this is the server's best.
    "fallback": with_suite(FALLBACK_SCSV),
    "other compression as well": put(legacy_compression_methods=b"\1\0"),
    "compressed points as well": with_extension(E.ec_point_formats, b"\3\1\0\2"),
    "no point formats": without_extension(E.ec_point_formats),
    "unknown extension": with_extension(UNKNOWN, b"?"),
    "session id": put(legacy_session_id=b"id"),
    "long session id": put(legacy_session_id=bytes(32)),
    "a ticket that nobody knows": with_extension(E.session_ticket, b"ticket"),
    "both signals": with_suite(RENEGOTIATION_SCSV),
    "encrypt_then_mac": with_extension(E.encrypt_then_mac),
    "heartbeat": with_extension(E.heartbeat, b"\1"),
    "max_fragment_length": with_extension(E.max_fragment_length, b"\1"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_client_hello(name):
    established("server", at={"client_hello": ACCEPTED[name]})


def test_record_size_limit_of_tls13():
    # RFC 8449, 4: a client may say what is for another version.
    established("server", record_size_limit=16385)


@pytest.mark.parametrize("versions", [None, (TLS12,), (UNKNOWN, TLS12, 0x0302)], ids=str)
@pytest.mark.parametrize("context", [TLS12_ALONE, BOTH_VERSIONS], ids=["alone", "both"])
def test_downgrade_sentinel(versions, context):
    # RFC 8446, 4.1.3
    peer = established("server", context, versions=versions)
    assert peer.server_random.endswith(b"DOWNGRD\1") is (context is BOTH_VERSIONS)


# --- Certificate and CertificateVerify (RFC 5246, 7.4.6 and 7.4.8)


def certificate(name, error, *edits, alert=None, **options):
    return case(name, error, "certificate", all_of(*edits), alert=alert, **options)


def verification(name, error, *edits, **options):
    return case(name, error, "certificate_verify", all_of(*edits), **options)


def chain_of(*certificates):
    return put(certificate_list=list(certificates))


def signed_over(change):
    def edit(peer, message):
        message.signature = peer.sign(change(peer))

    return edit


def as_in_tls13(peer):
    content = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"
    return content + peer.suite.digest(peer.transcript)


RSA = {"credential": credential("rsa")}
BAD, UNKNOWN_CA = AlertDescription.bad_certificate, AlertDescription.unknown_ca
CLIENT_CERTIFICATE = [
    certificate("empty", HandshakeFailure, chain_of(), credential=None),
    certificate("an empty one", DecodeError, chain_of(b"")),
    certificate("an empty one behind", DecodeError, put(certificate_list=lambda old: [*old, b""])),
    certificate("no certificate at all", CertificateError, chain_of(b"certificate"), alert=BAD),
    certificate("too many", CertificateError, put(certificate_list=lambda old: old * 4), alert=BAD,
                limits={"max_certificate_chain_length": 3}),
    certificate("of nobody known", CertificateError, alert=UNKNOWN_CA,
                credential=pki.make_leaf([HOST])),
    certificate("trailing byte", DecodeError, put(trailing=b"\0")),
    certificate("as in TLS 1.3", DecodeError, instead(
        Raw(11, b"\0" + vector(3, vector(3, b"certificate"), vector(2))))),
    certificate("missing", UnexpectedMessage, instead()),
    certificate("twice", UnexpectedMessage, followed_by(Certificate12())),
    verification("missing", UnexpectedMessage, instead()),
    verification("twice", UnexpectedMessage, followed_by(CertificateVerify())),
    verification("signature changed", DecryptError, put(signature=changed)),
    verification("signature cut", DecryptError, put(signature=lambda old: old[:-1])),
    verification("signature empty", DecryptError, put(signature=b"")),
    verification("RSA signature changed", DecryptError, put(signature=changed), **RSA),
    verification("another hash", DecryptError, put(algorithm=S.ecdsa_secp384r1_sha384)),
    verification("another hash by RSA", DecryptError, put(algorithm=S.rsa_pss_rsae_sha384), **RSA),
    verification("PKCS #1 said to be PSS", DecryptError, put(algorithm=S.rsa_pss_rsae_sha256),
                 scheme=S.rsa_pkcs1_sha256, **RSA),
    *(verification(f"scheme {code:#06x}", IllegalParameter, put(algorithm=code))
      for code in (0, 0x0203, 0x0303, 0x0201, 0x0401, 0x0804, 0x0807, 0x0809, UNKNOWN)),
    verification("scheme not asked for", IllegalParameter, scheme=S.ecdsa_secp384r1_sha384,
                 context={"signature_schemes": (S.ecdsa_secp256r1_sha256,), **REQUIRED}),
    verification("over nothing", DecryptError, signed_over(lambda peer: b"")),
    verification("over the hash alone", DecryptError,
                 signed_over(lambda peer: peer.suite.digest(peer.transcript))),
    verification("over another transcript", DecryptError,
                 signed_over(lambda peer: changed(peer.transcript, 50))),
    verification("without ClientKeyExchange", DecryptError,
                 signed_over(lambda peer: peer.transcript[: -4 - 1 - len(peer.public)])),
    verification("as in TLS 1.3", DecryptError, signed_over(as_in_tls13)),
    verification("by another key", DecryptError, lambda peer, message: put(
        signature=peer.sign(peer.transcript, credential=pki.make_leaf([HOST])))(peer, message)),
    verification("trailing byte", DecodeError, put(trailing=b"\0")),
]  # fmt: skip


@pytest.mark.parametrize("case", CLIENT_CERTIFICATE)
def test_client_certificate(case):
    case.context = {**REQUIRED, **case.context}
    case.options = {"credential": credential(), **case.options}
    check(case, "server")


def an_own_verification(peer):
    peer.credential = credential()
    peer.scheme = S.ecdsa_secp256r1_sha256
    peer.send(peer.certificate_verify())


WITHOUT_CERTIFICATE = [
    case("CertificateVerify", UnexpectedMessage, "change_cipher_spec", before(an_own_verification)),
    case("CertificateVerify before ClientKeyExchange", UnexpectedMessage, "client_key_exchange",
         before(an_own_verification)),
]  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_CERTIFICATE)
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.OPTIONAL], ids=["not asked", "empty"])
def test_verification_without_certificate(case, verify):
    case.context = {"verify": verify}
    check(case, "server")


def test_certificate_that_was_not_asked_for():
    def edit(peer):
        peer.credential = credential()
        peer.send_certificate()

    peer = server_of(at={"client_key_exchange": before(edit)})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- ClientKeyExchange (RFC 8422, 5.7)


def key_exchange(name, error, edit):
    return case(name, error, "client_key_exchange", edit)


KEY_EXCHANGE = [
    # RFC 8422, 5.7: an implicit one is of a client's certificate.
    key_exchange("implicit", DecodeError, put(public=b"")),
    key_exchange("trailing byte", DecodeError, put(trailing=b"\0")),
    key_exchange("of RSA", DecodeError, instead(Raw(16, vector(2, bytes(256))))),
    key_exchange("missing", UnexpectedMessage, instead()),
    key_exchange("twice", UnexpectedMessage, lambda peer, message: [message, message]),
]


@pytest.mark.parametrize("case", KEY_EXCHANGE)
@pytest.mark.parametrize("verify", Verify, ids=lambda each: each.name)
def test_client_key_exchange(case, verify):
    case.context = {"verify": verify}
    case.options = {"credential": credential()}
    check(case, "server")


@pytest.mark.parametrize(
    ("group", "change"),
    [
        pytest.param(group, change, id=f"{group.name} {name}")
        for group in (X25519, P256, P384, P521)
        for name, change in bad_shares(group)
    ],
)
def test_malformed_point(group, change):
    peer = server_of(
        {"groups": (group,), "identities": [identity("ed25519")]},
        groups=(group,),
        at={"client_key_exchange": put(public=change)},
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- Finished (RFC 5246, 7.4.9)


def of_server(peer, message):
    message.verify_data = peer.suite.verify_data(peer.master_secret, SERVER, peer.transcript)


def under(label):
    def edit(peer, message):
        message.verify_data = peer.suite.prf(
            peer.master_secret, label, peer.suite.digest(peer.transcript), 12
        )

    return edit


def of_another_transcript(peer, message):
    message.verify_data = peer.suite.verify_data(
        peer.master_secret, b"client", changed(peer.transcript, 20)
    )


FINISHED = [
    case("changed", DecryptError, "finished", put(verify_data=changed)),
    case("zeros", DecryptError, "finished", put(verify_data=bytes(12))),
    case("of the server", DecryptError, "finished", of_server),
    case("under a label of TLS 1.3", DecryptError, "finished", under(b"finished")),
    case("under no label", DecryptError, "finished", under(b"")),
    case("of another transcript", DecryptError, "finished", of_another_transcript),
    case("empty", DecodeError, "finished", put(verify_data=b"")),
    case("shorter", DecodeError, "finished", put(verify_data=lambda old: old[:-1])),
    case("longer", DecodeError, "finished", put(verify_data=lambda old: old + b"\0")),
    case("of TLS 1.3", DecodeError, "finished", put(verify_data=bytes(32))),
    case("of SSL 3.0", DecodeError, "finished", put(verify_data=bytes(36))),
    case("another message", UnexpectedMessage, "finished", instead(ServerHelloDone())),
    case("twice", UnexpectedMessage, "finished", followed_by(Finished())),
    case("no ChangeCipherSpec", UnexpectedMessage, "change_cipher_spec", instead()),
]


@pytest.mark.parametrize("case", FINISHED)
@pytest.mark.parametrize("resumed", [None, *RESUMPTIONS])
def test_finished(case, resumed):
    case.options = {**case.options, "resumed": resumed}
    check(case, "server")


@pytest.mark.parametrize("case", FINISHED)
def test_finished_of_a_client_with_a_certificate(case):
    case.context = REQUIRED
    case.options = {**case.options, "credential": credential()}
    check(case, "server")


# --- Messages that do not parse

POINTS = ("client_hello", "certificate", "client_key_exchange", "certificate_verify", "finished")


@pytest.mark.parametrize("point", POINTS)
def test_every_truncation(point):
    """At each byte; the message's length says so."""
    sizes = []
    # Ed25519: its signatures all have the same length.
    options = {"credential": credential("ed25519"), "name": HOST, "alpn": (b"h2", b"http/1.1")}
    server_of(
        REQUIRED,
        at={point: lambda peer, message: sizes.append(len(message.encode()) - 4)},
        **options,
    ).handshake()
    for size in range(sizes[0]):
        peer = server_of(REQUIRED, at={point: cut(size)}, **options)
        # RFC 5246, 7.4.1.2: a ClientHello without extensions is whole, but not enough.
        whole = point == "client_hello" and size == 2 + 32 + 1 + 2 + 2 * len(peer.suites) + 2
        assert_refuses(peer, HandshakeFailure if whole else DecodeError, peer.handshake)


# --- Anything else


@pytest.mark.parametrize("point", POINTS)
def test_mutated_message(point):
    """Whatever comes, the fault is the peer's."""
    for seed in range(40):
        peer = server_of(
            {"verify": Verify.REQUIRED, "alpn": ("h2",)},
            at={point: mutated(seed)},
            credential=credential(),
            name=HOST,
            alpn=(b"h2", b"http/1.1"),
        )
        assert_no_internal_error(peer)
