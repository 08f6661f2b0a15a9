"""What a client refuses in TLS 1.2, and with which alert (RFC 5246, 7; see refusals12.py)."""

from __future__ import annotations

import pki
import pytest
from helpers import HOST, authority
from refusals import (
    assert_no_internal_error,
    assert_refuses,
    case,
    changed,
    credential,
    identity,
)
from refusals12 import (
    BOTH_VERSIONS,
    check,
    client_of,
    context_of,
    established,
)
from scripted12_keys import CLIENT, SUITES12
from scripted12_messages import (
    CertificateRequest12,
    CertificateStatus,
    NewSessionTicket12,
    ServerHelloDone,
)
from scripted12_peer import ScriptedServer12, signed
from scripted_certificates import timestamp_list
from scripted_messages import Finished, Raw, key_share_entry, protocol_names, u8, u16, vector
from scripted_peer import (
    ScriptedServer,
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

import fasths
from fasths import (
    AlertDescription,
    CipherSuite,
    ExtensionType,
    HandshakeType,
    NamedGroup,
    SignatureScheme,
    StaplePolicy,
    Verify,
)
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    ProtocolVersion,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
H = HandshakeType
S = SignatureScheme
ALPN = E.application_layer_protocol_negotiation
UNKNOWN = 0xFAFA
X25519, P256, P384, P521 = (
    NamedGroup.x25519,
    NamedGroup.secp256r1,
    NamedGroup.secp384r1,
    NamedGroup.secp521r1,
)
ECDSA_128, ECDSA_256, RSA_128 = 0xC02B, 0xC02C, 0xC02F
RESUMPTIONS = ("ticket", "id")
# Those that a message passes.
POINTS = (
    "server_hello",
    "certificate",
    "certificate_status",
    "server_key_exchange",
    "certificate_request",
    "server_hello_done",
    "new_session_ticket",
    "finished",
)


def server_hello(name, error, *edits, **options):
    return case(name, error, "server_hello", all_of(*edits), **options)


def echoing(peer, message):
    """The session id that is in a ClientHello for the sake of middleboxes (RFC 8446, D.4)."""
    assert len(peer.hello.legacy_session_id) == 32
    message.legacy_session_id_echo = peer.hello.legacy_session_id


# --- ServerHello (RFC 5246, 7.4.1.3; RFC 8446, 4.1.3)

SERVER_HELLO = [
    *(
        server_hello(f"version {version:#06x}", ProtocolVersion, put(legacy_version=version))
        for version in (0, 0x0200, 0x0300, 0x0301, 0x0302, 0x0304, 0x7F1C, UNKNOWN)
    ),
    server_hello("session id of 33 bytes", DecodeError, put(legacy_session_id_echo=bytes(33))),
    server_hello("session id of 255 bytes", DecodeError, put(legacy_session_id_echo=bytes(255))),
    *(
        server_hello(f"compression {code}", IllegalParameter, put(legacy_compression_method=code))
        for code in (1, 64, 255)
    ),
    # Signalling values, suites of TLS 1.3, CBC, RSA and DHE key exchange, and none at all.
    *(
        server_hello(f"cipher suite {suite:#06x}", IllegalParameter, put(cipher_suite=suite))
        for suite in (0, 0x00FF, 0x5600, 0x1301, 0xC009, 0xC023, 0x009C, 0x009E, 0xC02D, UNKNOWN)
    ),
    *(
        server_hello(
            f"cipher suite {suite:#06x} of both versions",
            IllegalParameter,
            put(cipher_suite=suite),
            context=BOTH_VERSIONS,
        )
        for suite in (0x1301, 0x1302, 0x1303)
    ),
    *(
        server_hello(
            f"cipher suite {suite:#06x} that was not offered",
            IllegalParameter,
            put(cipher_suite=suite),
            context={"cipher_suites": (CipherSuite(ECDSA_128),)},
        )
        for suite in sorted(set(SUITES12) - {ECDSA_128})
    ),
    *(
        server_hello(
            f"sentinel of {name}", IllegalParameter, put(random=bytes(24) + sentinel),
            context=BOTH_VERSIONS,
        )
        for name, sentinel in {"TLS 1.2": b"DOWNGRD\1", "TLS 1.1": b"DOWNGRD\0"}.items()
    ),
    server_hello(
        "session id of ClientHello",
        IllegalParameter,
        echoing,
        context=BOTH_VERSIONS,
    ),
    # RFC 5746, 3.4
    server_hello(
        "no renegotiation_info", HandshakeFailure, without_extension(E.renegotiation_info)
    ),
    server_hello("no extensions", HandshakeFailure, put(extensions=None)),
    server_hello("an empty block of extensions", HandshakeFailure, put(extensions=[])),
    *(
        server_hello(
            f"renegotiation_info of {len(data)} bytes",
            HandshakeFailure,
            with_extension(E.renegotiation_info, vector(1, data)),
        )
        for data in (b"\0", bytes(12), bytes(24), bytes(255))
    ),
    # RFC 7627, 5.2
    server_hello(
        "no extended_master_secret where it is required",
        HandshakeFailure,
        without_extension(E.extended_master_secret),
        context={"require_extended_master_secret": True},
    ),
    *(
        server_hello(f"{code.name} of {data!r}", DecodeError, with_extension(code, data))
        for code, data in (
            (E.renegotiation_info, b""),
            (E.renegotiation_info, b"\1"),
            (E.renegotiation_info, b"\0\0"),
            (E.extended_master_secret, b"\0"),
            (E.server_name, b"\0"),
            (E.server_name, vector(2, u8(0), vector(2, b"localhost"))),
            (E.ec_point_formats, b""),
            (E.ec_point_formats, b"\0"),
            (E.ec_point_formats, b"\2\0"),
            (E.ec_point_formats, b"\1\0\0"),
        )
    ),
    # RFC 8422, 5.2
    server_hello(
        "compressed points alone", IllegalParameter, with_extension(E.ec_point_formats, b"\2\1\2")
    ),
    *(
        server_hello(
            f"ALPN {data!r}", error, with_extension(ALPN, data), context={"alpn": ("h2", "h3")}
        )
        for data, error in {
            protocol_names(b"http/1.1"): IllegalParameter,
            protocol_names(b"h2", b"h3"): DecodeError,
            protocol_names(b"h2", b"h2"): DecodeError,
            protocol_names(): DecodeError,
            protocol_names(b""): DecodeError,
            protocol_names(b"h2") + b"\0": DecodeError,
            b"": DecodeError,
            b"\0\3\3h2": DecodeError,
        }.items()
    ),
    *(
        server_hello(
            f"record_size_limit {data.hex()}",
            error,
            with_extension(E.record_size_limit, data),
            context={"record_size_limit": 2000},
        )
        for data, error in {
            # RFC 8449, 4
            u16(0): IllegalParameter,
            u16(63): IllegalParameter,
            u16(16385): IllegalParameter,
            u16(65535): IllegalParameter,
            b"": DecodeError,
            b"\1": DecodeError,
            b"\1\0\0": DecodeError,
        }.items()
    ),
    *(
        server_hello(
            f"{code.name} of {data!r}",
            DecodeError,
            with_extension(code, data),
            context={"staple_policy": StaplePolicy.CHECK},
        )
        for code, data in (
            (E.status_request, b"\1"),
            (E.status_request, u8(1) + vector(3, b"response")),
            (E.signed_certificate_timestamp, b""),
            (E.signed_certificate_timestamp, timestamp_list()),
            (E.signed_certificate_timestamp, timestamp_list(b"")),
            (E.signed_certificate_timestamp, timestamp_list(b"x") + b"\0"),
        )
    ),
    server_hello("trailing byte", DecodeError, put(trailing=b"\0")),
    server_hello("trailing byte for extensions", DecodeError, put(extensions=None, trailing=b"x")),
]  # fmt: skip


@pytest.mark.parametrize("case", SERVER_HELLO)
def test_server_hello(case):
    peer = check(case, "client")
    assert [record.content_type for record in peer.records] == [22, 21]


@pytest.mark.parametrize("random", [bytes(24) + b"DOWNGRD\1"], ids=["sentinel"])
def test_sentinel_says_nothing_to_a_client_of_this_version_alone(random):
    # RFC 8446, 4.1.3
    established("client", at={"server_hello": put(random=random)})


def test_tls12_after_hello_retry_request():
    # RFC 8446, 4.1.4: the version stays.
    edit = all_of(
        without_extension(E.supported_versions, E.key_share),
        put(cipher_suite=ECDSA_128),
        with_extension(E.renegotiation_info, b"\0"),
    )
    peer = client_of(BOTH_VERSIONS)
    tls13 = ScriptedServer(
        peer.connection,
        peer.bio,
        credential=credential(),
        retry=P256,
        suite=0x1301,
        at={"server_hello": edit},
    )
    assert_refuses(tls13, IllegalParameter, tls13.handshake)


# --- The extensions of ServerHello (RFC 5246, 7.4.1.4)

# What a ServerHello of TLS 1.2 may have, where it was asked for.
IN_SERVER_HELLO = {
    E.server_name,
    E.max_fragment_length,
    E.status_request,
    E.supported_groups,
    E.ec_point_formats,
    E.use_srtp,
    E.heartbeat,
    ALPN,
    E.signed_certificate_timestamp,
    E.client_certificate_type,
    E.server_certificate_type,
    E.encrypt_then_mac,
    E.extended_master_secret,
    E.record_size_limit,
    E.session_ticket,
    E.renegotiation_info,
}
DATA = {
    E.max_fragment_length: b"\1",
    E.supported_groups: vector(2, u16(X25519)),
    E.ec_point_formats: b"\1\0",
    E.signature_algorithms: vector(2, u16(0x0403)),
    E.signature_algorithms_cert: vector(2, u16(0x0403)),
    E.use_srtp: vector(2, u16(1)) + b"\0",
    E.heartbeat: b"\1",
    ALPN: protocol_names(b"h2"),
    E.signed_certificate_timestamp: timestamp_list(b"timestamp"),
    E.client_certificate_type: b"\2",
    E.server_certificate_type: b"\2",
    E.record_size_limit: u16(1000),
    E.key_share: key_share_entry(X25519, bytes(32)),
    E.pre_shared_key: u16(0),
    E.cookie: vector(2, b"cookie"),
    E.supported_versions: u16(0x0303),
    E.certificate_authorities: vector(2, vector(2, b"\x30\0")),
    E.oid_filters: vector(2),
    E.renegotiation_info: b"\0",
}
# What the client below asks for, of these.
ASKED = {
    E.supported_groups,
    E.ec_point_formats,
    E.extended_master_secret,
    E.session_ticket,
    E.renegotiation_info,
}
UNKNOWN_TYPES = (UNKNOWN, 9999, 0xFE00)


def extension_cases():
    for code in (*ExtensionType, *UNKNOWN_TYPES):
        if code in ASKED:
            continue
        # RFC 5246, 7.4.1.4: what was not offered; what was, but stands in the wrong message.
        misplaced = code in {E.signature_algorithms, E.signature_algorithms_cert}
        yield server_hello(
            f"{getattr(code, 'name', code)}",
            IllegalParameter if misplaced else UnsupportedExtension,
            with_extension(code, DATA.get(code, b"")),
        )
    for code in (*sorted(ASKED), E.server_name, UNKNOWN):
        yield server_hello(
            f"{getattr(code, 'name', code)} twice",
            IllegalParameter,
            with_extension(code, DATA.get(code, b"")),
            twice(code),
        )


@pytest.mark.parametrize("case", list(extension_cases()))
@pytest.mark.parametrize("resumed", [None, *RESUMPTIONS])
def test_extension_that_was_not_asked_for(case, resumed):
    peer = client_of(
        {"staple_policy": StaplePolicy.IGNORE},
        hostname=None,
        at=case.at,
        resumed=resumed,
        first={"hostname": None},
    )
    assert_refuses(peer, case.error, peer.handshake)
    asked = {code for code, _ in peer.hello.extensions}
    assert asked & IN_SERVER_HELLO == ASKED


@pytest.mark.parametrize(
    "code",
    [E.key_share, E.supported_versions, E.psk_key_exchange_modes, E.signature_algorithms],
    ids=lambda code: code.name,
)
def test_extension_that_was_asked_for_in_tls13(code):
    """What a ClientHello of both versions has is no more welcome in a ServerHello of this one."""
    edit = with_extension(code, DATA.get(code, b""))
    peer = client_of(BOTH_VERSIONS, at={"server_hello": edit})
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- Certificate and CertificateStatus (RFC 5246, 7.4.2; RFC 6066, 8)


def certificate(name, error, *edits, **options):
    return case(name, error, "certificate", all_of(*edits), **options)


def chain_of(*certificates):
    return put(certificate_list=list(certificates))


BAD = AlertDescription.bad_certificate
RSA = {"credential": credential("rsa")}
CERTIFICATE = [
    certificate("none", DecodeError, chain_of()),
    certificate("an empty one", DecodeError, chain_of(b"")),
    certificate(
        "an empty one behind it", DecodeError, put(certificate_list=lambda old: [*old, b""])
    ),
    certificate("no certificate at all", CertificateError, chain_of(b"certificate"), alert=BAD),
    certificate(
        "too many", CertificateError, put(certificate_list=lambda old: old * 4), alert=BAD,
        limits={"max_certificate_chain_length": 3},
    ),
    certificate("trailing byte", DecodeError, put(trailing=b"\0")),
    certificate("the length is too small", DecodeError, instead(
        Raw(H.certificate, b"\0\0\4\0\0\2xx"))),
    certificate("as in TLS 1.3", DecodeError, instead(
        Raw(H.certificate, b"\0" + vector(3, vector(3, b"certificate"), vector(2))))),
    # Of another kind than the suite, with a signature by its key.
    certificate("ECDSA with a suite of RSA", IllegalParameter, suite=RSA_128),
    certificate("RSA with a suite of ECDSA", IllegalParameter, suite=ECDSA_128, **RSA),
    certificate("RSA-PSS with a suite of ECDSA", IllegalParameter, suite=ECDSA_128,
                credential=credential("rsa-pss")),
    certificate("Ed25519 with a suite of RSA", IllegalParameter, suite=RSA_128,
                credential=credential("ed25519")),
    # Of another kind than the signature, which fits the suite.
    certificate("RSA with a signature by ECDSA", IllegalParameter,
                chain_of(*credential("rsa").chain_der)),
    certificate("Ed25519 with a signature by ECDSA", IllegalParameter,
                chain_of(*credential("ed25519").chain_der)),
    certificate("ECDSA with a signature by RSA", IllegalParameter,
                chain_of(*credential().chain_der), **RSA),
    certificate("RSA-PSS with a signature by RSA", IllegalParameter,
                chain_of(*credential("rsa-pss").chain_der), **RSA),
    certificate("of another key", DecryptError,
                chain_of(*pki.make_leaf([HOST], issuer=authority()).chain_der)),
    case("status that was not asked for", UnexpectedMessage, "server_key_exchange",
         before(lambda peer: peer.send(CertificateStatus())),
         context={"staple_policy": StaplePolicy.IGNORE}),
    case("status that was not announced", UnexpectedMessage, "server_key_exchange",
         before(lambda peer: peer.send(CertificateStatus())),
         context={"staple_policy": StaplePolicy.CHECK}),
]  # fmt: skip


@pytest.mark.parametrize("case", CERTIFICATE)
def test_certificate(case):
    check(case, "client")


STATUS = {"ocsp_response": b"response", "context": {"staple_policy": StaplePolicy.CHECK}}


def status(name, error, edit):
    return case(name, error, "certificate_status", edit, **STATUS)


CERTIFICATE_STATUS = [
    status("of another type", DecodeError, put(status_type=2)),
    status("empty", DecodeError, put(response=b"")),
    status("trailing byte", DecodeError, put(trailing=b"\0")),
    status("twice", UnexpectedMessage, followed_by(CertificateStatus())),
]


@pytest.mark.parametrize("case", CERTIFICATE_STATUS)
def test_certificate_status(case):
    check(case, "client")


# --- ServerKeyExchange (RFC 8422, 5.4)


def key_exchange(name, error, *edits, **options):
    return case(name, error, "server_key_exchange", all_of(*edits), **options)


def over_other_randoms(change):
    """A signature over these randoms in place of those of the hellos."""

    def edit(peer, message):
        randoms = change(peer.client_random, peer.server_random)
        message.signature = peer.sign(randoms + message.signed_params())

    return edit


def of_the_client(peer, message):
    """A signature as CertificateVerify has it."""
    message.signature = peer.sign(peer.transcript + message.signed_params())


def by_another_key(peer, message):
    message.signature = peer.sign_key_exchange(message, credential=pki.make_leaf([HOST]))


def as_in_tls13(peer, message):
    content = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
    message.signature = peer.sign(content + peer.suite.digest(peer.transcript))


ONE_SCHEME = {"signature_schemes": (S.ecdsa_secp256r1_sha256, S.rsa_pss_rsae_sha256)}
EXPLICIT_PRIME = (
    b"\1" + vector(1, b"\xff" * 32) + vector(1, b"\1") + vector(1, b"\2") + vector(1, b"\4" * 65)
)
SERVER_KEY_EXCHANGE = [
    key_exchange("explicit_prime", IllegalParameter, signed(curve_type=1)),
    key_exchange("explicit_char2", IllegalParameter, signed(curve_type=2)),
    key_exchange("explicit_prime in full", IllegalParameter, signed(params=EXPLICIT_PRIME)),
    *(
        key_exchange(f"curve type {code}", IllegalParameter, signed(curve_type=code))
        for code in (0, 4, 248, 255)
    ),
    *(
        key_exchange(f"group {code:#06x}", IllegalParameter, signed(group=code))
        for code in (0, 1, 19, 22, P384, P521, 26, 30, 256, 4588, 0xFF01, UNKNOWN)
    ),
    *(
        key_exchange(f"group {group.name} with its point", IllegalParameter, group=group)
        for group in (P384, P521)
    ),
    key_exchange("point of another group", IllegalParameter, signed(group=P256)),
    key_exchange("no point", DecodeError, signed(public=b"")),
    *(
        key_exchange(f"scheme {code:#06x}", IllegalParameter, put(algorithm=code))
        for code in (0, 0x0203, 0x0303, 0x0201, 0x0840, 0x0401, 0x0804, 0x0809, UNKNOWN)
    ),
    key_exchange("scheme of another key of this suite", IllegalParameter, put(algorithm=S.ed25519)),
    *(
        key_exchange(
            f"{scheme.name} that was not offered",
            IllegalParameter,
            scheme=scheme,
            context=ONE_SCHEME,
            **options,
        )
        for scheme, options in (
            (S.ecdsa_secp384r1_sha384, {}),
            (S.ecdsa_secp521r1_sha512, {}),
            (S.ed25519, {"credential": credential("ed25519")}),
            (S.rsa_pss_rsae_sha384, RSA),
            (S.rsa_pkcs1_sha256, RSA),
        )
    ),
    key_exchange("RSA-PSS said to be PKCS #1", DecryptError, put(algorithm=S.rsa_pkcs1_sha256),
                 **RSA),
    # RFC 8446, 4.2.3: which of the two it is, the certificate's key says.
    key_exchange("RSA-PSS by a key for all of RSA", IllegalParameter,
                 put(algorithm=S.rsa_pss_pss_sha256), **RSA),
    *(key_exchange(f"{scheme.name} by a key for RSA-PSS alone", IllegalParameter,
                   put(algorithm=scheme), credential=credential("rsa-pss"))
      for scheme in (S.rsa_pss_rsae_sha256, S.rsa_pkcs1_sha256)),
    key_exchange("another hash", DecryptError, put(algorithm=S.rsa_pss_rsae_sha512), **RSA),
    key_exchange("another hash by ECDSA", DecryptError, put(algorithm=S.ecdsa_secp384r1_sha384)),
    key_exchange("signature changed", DecryptError, put(signature=changed)),
    key_exchange("signature cut", DecryptError, put(signature=lambda old: old[:-1])),
    key_exchange("signature longer", DecryptError, put(signature=lambda old: old + b"\0")),
    key_exchange("empty signature", DecryptError, put(signature=b"")),
    key_exchange("RSA signature changed", DecryptError, put(signature=changed), **RSA),
    key_exchange("RSA signature cut", DecryptError, put(signature=lambda old: old[:-1]), **RSA),
    key_exchange("public key changed", DecryptError, put(public=changed)),
    key_exchange("randoms of zeros", DecryptError, over_other_randoms(lambda c, s: bytes(64))),
    key_exchange("no randoms", DecryptError, over_other_randoms(lambda c, s: b"")),
    key_exchange("another client's", DecryptError, over_other_randoms(lambda c, s: bytes(32) + s)),
    key_exchange("of another connection", DecryptError,
                 over_other_randoms(lambda c, s: c + bytes(32))),
    key_exchange("randoms swapped", DecryptError, over_other_randoms(lambda c, s: s + c)),
    key_exchange("signature over the messages", DecryptError, of_the_client),
    key_exchange("signature of TLS 1.3", DecryptError, as_in_tls13),
    key_exchange("signed by another key", DecryptError, by_another_key),
    key_exchange("trailing byte", DecodeError, put(trailing=b"\0")),
]  # fmt: skip


@pytest.mark.parametrize("case", SERVER_KEY_EXCHANGE)
def test_server_key_exchange(case):
    check(case, "client")


@pytest.mark.parametrize(
    ("group", "change"),
    [
        pytest.param(group, change, id=f"{group.name} {name}")
        for group in (X25519, P256, P384, P521)
        for name, change in bad_shares(group)
    ],
)
def test_malformed_point(group, change):
    peer = client_of(
        {"groups": (group,)},
        group=group,
        at={"server_key_exchange": signed(public=change)},
        credential=credential("ed25519"),
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)


# --- CertificateRequest and ServerHelloDone (RFC 5246, 7.4.4 and 7.4.5)


def request(name, error, *edits, **options):
    options = {"request_certificate": True, **options}
    return case(name, error, "certificate_request", all_of(*edits), **options)


REQUEST = [
    request("no types", DecodeError, put(certificate_types=b"")),
    request("no schemes", DecodeError, put(supported_signature_algorithms=[])),
    request("empty authority", DecodeError, put(certificate_authorities=[b""])),
    request("twice", UnexpectedMessage, followed_by(CertificateRequest12())),
    request("of TLS 1.3", DecodeError, instead(
        Raw(H.certificate_request, b"\0" + vector(2, u16(13), vector(2, vector(2, u16(0x0403))))))),
    request("half a scheme", DecodeError, instead(
        Raw(H.certificate_request, b"\1\1\0\3\4\3\4\0\0"))),
    request("authorities cut", DecodeError, instead(
        Raw(H.certificate_request, b"\1\1\0\2\4\3\0\3\0\2x"))),
    request("trailing byte", DecodeError, put(trailing=b"\0")),
    # RFC 5246, 7.4.4: a server that does not authenticate itself must not ask.
    case("of a server without Certificate", UnexpectedMessage, "certificate",
         instead(CertificateRequest12(supported_signature_algorithms=[0x0403]))),
    case("before ServerKeyExchange", UnexpectedMessage, "server_key_exchange", before(
        lambda peer: peer.send(CertificateRequest12(supported_signature_algorithms=[0x0403])))),
    case("ServerHelloDone with a body", DecodeError, "server_hello_done", put(trailing=b"\0")),
    case("no ServerKeyExchange", UnexpectedMessage, "server_key_exchange", instead()),
]  # fmt: skip


@pytest.mark.parametrize("case", REQUEST)
@pytest.mark.parametrize("identities", [[], [identity()]], ids=["", "identity"])
def test_certificate_request(case, identities):
    case.context = {"identities": identities}
    check(case, "client")


# --- NewSessionTicket and Finished (RFC 5077, 3.3; RFC 5246, 7.4.9)


def of_client(peer, message):
    message.verify_data = peer.suite.verify_data(peer.master_secret, CLIENT, peer.transcript)


def under(label):
    def edit(peer, message):
        message.verify_data = peer.suite.prf(
            peer.master_secret, label, peer.suite.digest(peer.transcript), 12
        )

    return edit


def before_the_clients(peer, message):
    """As if the client's Finished were no part of it."""
    transcript = peer.before
    message.verify_data = peer.suite.verify_data(peer.master_secret, b"server", transcript)


TICKETS = {"tickets": True}
LAST_FLIGHT = [
    case("ticket that was announced, and is not sent", UnexpectedMessage, "new_session_ticket",
         instead(), **TICKETS),
    case("ticket that was not announced", UnexpectedMessage, "change_cipher_spec",
         before(lambda peer: peer.send(NewSessionTicket12()))),
    case("two tickets", UnexpectedMessage, "new_session_ticket",
         followed_by(NewSessionTicket12()), **TICKETS),
    case("ticket after ChangeCipherSpec", UnexpectedMessage, "finished",
         before(lambda peer: peer.send(NewSessionTicket12())), **TICKETS),
    case("ticket with a trailing byte", DecodeError, "new_session_ticket", put(trailing=b"\0"),
         **TICKETS),
    case("ticket of TLS 1.3", DecodeError, "new_session_ticket", instead(
        Raw(H.new_session_ticket, bytes(8) + vector(1, b"\0") + vector(2, b"t") + vector(2))),
        **TICKETS),
    case("Finished changed", DecryptError, "finished", put(verify_data=changed)),
    case("Finished of zeros", DecryptError, "finished", put(verify_data=bytes(12))),
    case("Finished of the client", DecryptError, "finished", of_client),
    case("Finished under a label of TLS 1.3", DecryptError, "finished", under(b"finished")),
    case("Finished under no label", DecryptError, "finished", under(b"")),
    case("Finished without the client's", DecryptError, "finished", before_the_clients),
    case("Finished empty", DecodeError, "finished", put(verify_data=b"")),
    case("Finished shorter", DecodeError, "finished", put(verify_data=lambda old: old[:-1])),
    case("Finished longer", DecodeError, "finished", put(verify_data=lambda old: old + b"\0")),
    case("Finished of TLS 1.3", DecodeError, "finished", put(verify_data=bytes(32))),
    case("Finished of SSL 3.0", DecodeError, "finished", put(verify_data=bytes(36))),
    case("no Finished", UnexpectedMessage, "finished", instead(ServerHelloDone())),
    case("Finished twice", UnexpectedMessage, "finished", followed_by(Finished())),
    case("HelloRequest with a body", DecodeError, "certificate",
         before(lambda peer: peer.queue(Raw(H.hello_request, b"x")))),
]  # fmt: skip


@pytest.mark.parametrize("case", LAST_FLIGHT)
def test_last_flight(case):
    check(case, "client")


# --- A client that has begun to speak TLS 1.3


def test_early_data_is_not_for_a_server_of_tls12():
    # RFC 8446, D.3
    context = context_of("client", BOTH_VERSIONS)

    def connection():
        bio = fasths.MemoryBIO()
        made = fasths.Connection(context, bio, server_hostname=HOST)
        made.set_connect_state()
        return made, bio

    first = ScriptedServer(*connection(), credential=credential())
    first.handshake()
    first.send_ticket(max_early_data_size=1000)
    first.settle()
    client, bio = connection()
    client.set_session(first.connection.session)
    assert client.write_early_data(b"early") == 5
    peer = ScriptedServer12(client, bio, credential=credential())
    peer.read_client_hello()
    peer.incoming = b""
    peer.send_server_hello()
    peer.end_flight()
    bio.write(peer.outgoing)
    assert client.do_handshake() == -1
    assert type(client.last_error) is ProtocolVersion
    assert not client.established


@pytest.mark.parametrize("suite", SUITES12)
def test_suite_of_this_version_in_tls13(suite):
    peer = client_of(BOTH_VERSIONS)
    edit = put(cipher_suite=suite)
    tls13 = ScriptedServer(
        peer.connection, peer.bio, credential=credential(), at={"server_hello": edit}
    )
    assert_refuses(tls13, IllegalParameter, tls13.handshake)


def test_hello_request_in_tls13():
    """Ignored where the version is open still, and nowhere else."""

    def ask(peer):
        peer.queue(Raw(H.hello_request))

    for point, error in {
        "hello_retry_request": None,
        "server_hello": UnexpectedMessage,
        "encrypted_extensions": UnexpectedMessage,
        "certificate": UnexpectedMessage,
        "finished": UnexpectedMessage,
    }.items():
        peer = client_of(BOTH_VERSIONS)
        tls13 = ScriptedServer(
            peer.connection,
            peer.bio,
            credential=credential(),
            retry=P256,
            at={point: before(ask)},
        )
        if error is None:
            tls13.handshake()
            assert tls13.connection.established
        else:
            assert_refuses(tls13, error, tls13.handshake)


# --- Messages that do not parse


@pytest.mark.parametrize("point", POINTS)
def test_every_truncation(point):
    """At each byte; the message's length says so."""
    sizes = []
    # Ed25519: its signatures all have the same length.
    everything = {
        "request_certificate": True,
        "ocsp_response": b"response",
        "tickets": True,
        "credential": credential("ed25519"),
    }
    client_of(
        at={point: lambda peer, message: sizes.append(len(message.encode()) - 4)}, **everything
    ).handshake()
    for size in range(sizes[0]):
        peer = client_of(at={point: cut(size)}, **everything)
        # RFC 5246, 7.4.1.3: a ServerHello without extensions is whole, but not enough.
        whole = point == "server_hello" and size == 2 + 32 + 1 + 2 + 1
        assert_refuses(peer, HandshakeFailure if whole else DecodeError, peer.handshake)


# --- Anything else


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
def test_mutated_message(point, verify):
    """Whatever comes, the fault is the peer's."""
    # With a certificate that is looked at, so is the response, which is none.
    staple = point == "certificate_status" or verify is Verify.NONE
    policy = StaplePolicy.CHECK if staple else StaplePolicy.IGNORE
    for seed in range(40):
        peer = client_of(
            {"alpn": ("h2",), "verify": verify, "staple_policy": policy},
            at={point: mutated(seed)},
            alpn=b"h2",
            request_certificate=True,
            ocsp_response=b"response",
            tickets=True,
        )
        assert_no_internal_error(peer)
