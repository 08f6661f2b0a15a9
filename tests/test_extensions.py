"""Extensions, one by one: what each decodes to, what is refused, and where each may stand."""

from __future__ import annotations

import pki
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_format import (
    GREASE,
    extension,
    extensions,
    join,
    message,
    u8,
    u16,
    u32,
    vector,
    with_lengths_off_by_one,
)

import fasths
from fasths._core import Engine
from fasths.crypto.aead import find_suite
from fasths.crypto.groups import respond
from fasths.crypto.key_schedule import EarlySecret, Transcript
from fasths.record.protection import sealing_key
from fasths.wire import messages
from fasths.wire.codes import AlertDescription, ContentType, ExtensionType, HandshakeType
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    IllegalParameter,
    TLSError,
    UnsupportedExtension,
)
from fasths.wire.limits import MAX_KEY_SHARES

X = ExtensionType
ALPN = X.application_layer_protocol_negotiation


def name_list(*names):
    return vector(2, *(join(u8(kind), vector(2, name)) for kind, name in names))


def protocol_list(*names):
    return vector(2, *(vector(1, name) for name in names))


def share_list(*shares):
    return vector(2, *(join(u16(group), vector(2, share)) for group, share in shares))


def offered_psks(identities=(b"identity",), binders=(bytes(32),)):
    return join(
        vector(2, *(join(vector(2, identity), u32(7)) for identity in identities)),
        vector(2, *(vector(1, binder) for binder in binders)),
    )


def authority_list(*names):
    return vector(2, *(vector(2, name) for name in names))


def status_request(responders=(), request_extensions=b""):
    """CertificateStatusRequest of type ocsp (RFC 6066, 8)."""
    return join(
        u8(1),
        vector(2, *(vector(2, responder) for responder in responders)),
        vector(2, request_extensions),
    )


def client_hello(*each):
    return bytes(
        message(
            HandshakeType.client_hello,
            u16(0x0303),
            bytes(32),
            vector(1),
            vector(2, u16(0x1301)),
            vector(1, b"\0"),
            extensions(*each),
        )
    )


def decode(code, data):
    return messages.decode_client_hello(client_hello(extension(code, data)))


LONG_NAME = b"a" * 255
SHARES = [(1000 + i, b"x") for i in range(MAX_KEY_SHARES)]

# name: (code, data, field of ClientHello, its value)
VALID = {
    "server_name": (X.server_name, name_list((0, b"example.com")), "server_name", "example.com"),
    "upper case": (X.server_name, name_list((0, b"A.Example")), "server_name", "a.example"),
    "name of 255 bytes": (X.server_name, name_list((0, LONG_NAME)), "server_name", "a" * 255),
    "every visible octet": (
        X.server_name,
        name_list((0, bytes(range(0x21, 0x7F)))),
        "server_name",
        bytes(range(0x21, 0x7F)).decode().lower(),
    ),
    "unknown name type": (
        X.server_name,
        name_list((7, b"\xff."), (0, b"a.b"), (8, b"x")),
        "server_name",
        "a.b",
    ),
    "only an unknown name type": (X.server_name, name_list((7, b"x")), "server_name", None),
    "supported_versions": (
        X.supported_versions,
        vector(1, u16(0x0304)),
        "supported_versions",
        u16(0x0304),
    ),
    "127 versions": (
        X.supported_versions,
        vector(1, u16(*range(127))),
        "supported_versions",
        u16(*range(127)),
    ),
    "supported_groups": (
        X.supported_groups,
        vector(2, u16(GREASE[3], 0x001D)),
        "supported_groups",
        u16(GREASE[3], 0x001D),
    ),
    "signature_algorithms": (
        X.signature_algorithms,
        vector(2, u16(GREASE[4], 0x0403)),
        "signature_algorithms",
        u16(GREASE[4], 0x0403),
    ),
    "signature_algorithms_cert": (
        X.signature_algorithms_cert,
        vector(2, u16(0x0401)),
        "signature_algorithms_cert",
        u16(0x0401),
    ),
    "32000 schemes": (
        X.signature_algorithms,
        vector(2, u16(*range(32000))),
        "signature_algorithms",
        u16(*range(32000)),
    ),
    "no key share": (X.key_share, vector(2), "key_shares", b""),
    "GREASE key share": (
        X.key_share,
        share_list((GREASE[5], b"\0"), (0x001D, bytes(32))),
        "key_shares",
        share_list((GREASE[5], b"\0"), (0x001D, bytes(32)))[2:],
    ),
    "MAX_KEY_SHARES": (X.key_share, share_list(*SHARES), "key_shares", share_list(*SHARES)[2:]),
    "one protocol": (ALPN, protocol_list(b"h2"), "protocol_names", (b"h2",)),
    "protocol of 255 bytes": (
        ALPN,
        protocol_list(bytes(255), b"\xff"),
        "protocol_names",
        (bytes(255), b"\xff"),
    ),
    "cookie": (X.cookie, vector(2, b"c"), "cookie", b"c"),
    "psk_key_exchange_modes": (
        X.psk_key_exchange_modes,
        vector(1, u8(1, 0, 0x0B)),
        "psk_key_exchange_modes",
        b"\1\0\x0b",
    ),
    "certificate_authorities": (
        X.certificate_authorities,
        authority_list(b"a", b"bc"),
        "certificate_authorities",
        authority_list(b"a", b"bc")[2:],
    ),
    "pre_shared_key": (X.pre_shared_key, offered_psks(), "psk_identities", [(b"identity", 7)]),
    "binder": (X.pre_shared_key, offered_psks(), "psk_binders", [bytes(32)]),
    "size of a binder": (X.pre_shared_key, offered_psks(), "psk_binders_size", 2 + 1 + 32),
    "two PSKs": (
        X.pre_shared_key,
        offered_psks((b"a", b"bc"), (bytes(32), bytes(255))),
        "psk_identities",
        [(b"a", 7), (b"bc", 7)],
    ),
    "two binders": (
        X.pre_shared_key,
        offered_psks((b"a", b"bc"), (bytes(32), bytes(255))),
        "psk_binders",
        [bytes(32), bytes(255)],
    ),
    "size of two binders": (
        X.pre_shared_key,
        offered_psks((b"a", b"bc"), (bytes(32), bytes(255))),
        "psk_binders_size",
        2 + 1 + 32 + 1 + 255,
    ),
    "identity that fills its vector": (
        X.pre_shared_key,
        offered_psks((bytes(0xFFFF - 6 - 500),)),
        "psk_identities",
        [(bytes(0xFFFF - 6 - 500), 7)],
    ),
    "greatest obfuscated_ticket_age": (
        X.pre_shared_key,
        join(vector(2, vector(2, b"i"), u32(0xFFFFFFFF)), vector(2, vector(1, bytes(48)))),
        "psk_identities",
        [(b"i", 0xFFFFFFFF)],
    ),
    "status_request": (X.status_request, status_request(), "status_request", True),
    "status_request with responders": (
        X.status_request,
        status_request((b"one", b"other"), b"extensions"),
        "status_request",
        True,
    ),
    "signed_certificate_timestamp": (
        X.signed_certificate_timestamp,
        b"",
        "signed_certificate_timestamp",
        True,
    ),
    "compress_certificate": (
        X.compress_certificate,
        vector(1, u16(GREASE[6], 2, 1)),
        "compress_certificate",
        u16(GREASE[6], 2, 1),
    ),
    "client_certificate_type": (
        X.client_certificate_type,
        vector(1, u8(2, 0)),
        "client_certificate_types",
        b"\2\0",
    ),
    "server_certificate_type": (
        X.server_certificate_type,
        vector(1, bytes(range(255))),
        "server_certificate_types",
        bytes(range(255)),
    ),
    **{
        f"record_size_limit {limit}": (X.record_size_limit, u16(limit), "record_size_limit", limit)
        # RFC 8449, 4: more than the protocol allows is no error of a client.
        for limit in (64, 16385, 16386, 0xFFFF)
    },
    "extended_master_secret": (X.extended_master_secret, b"", "extended_master_secret", True),
    "renegotiation_info": (X.renegotiation_info, vector(1), "renegotiation_info", b""),
    "renegotiated_connection of 255 bytes": (
        X.renegotiation_info,
        vector(1, bytes(range(255))),
        "renegotiation_info",
        bytes(range(255)),
    ),
    "ec_point_formats": (X.ec_point_formats, vector(1, u8(0)), "ec_point_formats", b"\0"),
    "255 point formats": (
        X.ec_point_formats,
        vector(1, bytes(range(255))),
        "ec_point_formats",
        bytes(range(255)),
    ),
    "early_data": (X.early_data, b"", "early_data", True),
    "post_handshake_auth": (X.post_handshake_auth, b"", "post_handshake_auth", True),
}
of_valid = pytest.mark.parametrize(("code", "data", "field", "value"), VALID.values(), ids=VALID)


@of_valid
def test_extension(code, data, field, value):
    hello = decode(code, data)
    assert getattr(hello, field) == value
    assert hello.extension_types == bit(code)


def bit(code):
    return 1 << code if code < 64 else 0


@pytest.mark.parametrize(
    "code",
    [*GREASE, 63, 64, 0xFFFF, X.padding, X.use_srtp, X.heartbeat, X.encrypt_then_mac],
)
def test_extension_without_a_decoder_is_ignored(code):
    hello = decode(code, b"\xff" * 9)
    assert hello.extension_types == bit(code)


@pytest.mark.parametrize("data", [b"\0", b"\2", b"\xff" + status_request()[1:], b"\2anything"])
def test_status_request_of_another_type_is_ignored(data):
    """RFC 6066, 8: what follows depends on the type."""
    assert decode(X.status_request, data).status_request is False


@of_valid
def test_truncated_extension_is_refused(code, data, field, value):
    for size in range(min(len(data), 100)):
        with pytest.raises(DecodeError):
            decode(code, data[:size])


@of_valid
def test_extension_with_trailing_bytes_is_refused(code, data, field, value):
    for extra in (b"\0", bytes(5)):
        with pytest.raises(DecodeError):
            decode(code, data + extra)


@of_valid
def test_length_in_an_extension_off_by_one_is_refused(code, data, field, value):
    for at, change, changed in with_lengths_off_by_one(join(data)):
        with pytest.raises(TLSError) as refusal:
            pytest.fail(f"{at} by {change}: {getattr(decode(code, changed), field)}")
        assert refusal.value.alert in (
            AlertDescription.decode_error,
            AlertDescription.illegal_parameter,
        )


REFUSED = {
    # server_name (RFC 6066, 3)
    "empty server_name": (X.server_name, b"", DecodeError),
    "empty server_name list": (X.server_name, name_list(), DecodeError),
    "empty host name": (X.server_name, name_list((0, b"")), DecodeError),
    "empty name of an unknown type": (X.server_name, name_list((9, b"")), DecodeError),
    "two host names": (X.server_name, name_list((0, b"a"), (0, b"b")), IllegalParameter),
    "host name of 256 bytes": (X.server_name, name_list((0, b"a" * 256)), IllegalParameter),
    "host name with a trailing dot": (X.server_name, name_list((0, b"a.")), IllegalParameter),
    "host name of one dot": (X.server_name, name_list((0, b".")), IllegalParameter),
    **{
        f"host name with octet {octet}": (
            X.server_name,
            name_list((0, b"a" + u8(octet) + b"b")),
            IllegalParameter,
        )
        for octet in (0, 9, 10, 0x1F, 0x20, 0x7F, 0x80, 0xFF)
    },
    # Lists of codes (RFC 8446, 4.2.1, 4.2.3 and 4.2.7)
    **{
        f"{code.name} of {size} bytes": (code, vector(length_size, bytes(size)), DecodeError)
        for code, length_size in (
            (X.supported_versions, 1),
            (X.supported_groups, 2),
            (X.signature_algorithms, 2),
            (X.signature_algorithms_cert, 2),
            # RFC 8879, 3
            (X.compress_certificate, 1),
        )
        for size in (0, 1, 3, 255)
    },
    # key_share (RFC 8446, 4.2.8)
    "empty key_share extension": (X.key_share, b"", DecodeError),
    "empty share": (X.key_share, share_list((29, b"")), DecodeError),
    "group without a share": (X.key_share, vector(2, u16(29)), DecodeError),
    "two shares for one group": (
        X.key_share,
        share_list((29, b"a"), (23, b"b"), (29, b"c")),
        IllegalParameter,
    ),
    "more than MAX_KEY_SHARES": (X.key_share, share_list(*SHARES, (29, b"x")), DecodeError),
    # application_layer_protocol_negotiation (RFC 7301, 3.1)
    "empty protocol list": (ALPN, protocol_list(), DecodeError),
    "empty protocol name": (ALPN, protocol_list(b""), DecodeError),
    "empty second protocol name": (ALPN, protocol_list(b"h2", b""), DecodeError),
    # cookie, psk_key_exchange_modes, certificate_authorities
    "empty cookie": (X.cookie, vector(2), DecodeError),
    "no PSK mode": (X.psk_key_exchange_modes, vector(1), DecodeError),
    "no authority": (X.certificate_authorities, authority_list(), DecodeError),
    "empty authority": (X.certificate_authorities, authority_list(b"", b"a"), DecodeError),
    # pre_shared_key (RFC 8446, 4.2.11)
    "no PSK": (X.pre_shared_key, offered_psks((), ()), DecodeError),
    "PSK without identities": (X.pre_shared_key, offered_psks(()), DecodeError),
    "PSK without binders": (X.pre_shared_key, offered_psks((b"i",), ()), DecodeError),
    "empty PSK identity": (X.pre_shared_key, offered_psks((b"", b"i")), DecodeError),
    "binder of 31 bytes": (X.pre_shared_key, offered_psks(binders=(bytes(31),)), DecodeError),
    "second binder of 31 bytes": (
        X.pre_shared_key,
        offered_psks((b"a", b"b"), (bytes(32), bytes(31))),
        DecodeError,
    ),
    "more PSKs than binders": (X.pre_shared_key, offered_psks((b"a", b"b")), IllegalParameter),
    "more binders than PSKs": (
        X.pre_shared_key,
        offered_psks(binders=(bytes(32), bytes(32))),
        IllegalParameter,
    ),
    "identity without an age": (
        X.pre_shared_key,
        join(vector(2, vector(2, b"identity")), vector(2, vector(1, bytes(32)))),
        DecodeError,
    ),
    "second identity without an age": (
        X.pre_shared_key,
        join(
            vector(2, vector(2, b"identity"), u32(7), vector(2, b"second")),
            vector(2, vector(1, bytes(32)), vector(1, bytes(32))),
        ),
        DecodeError,
    ),
    "identities without binders behind them": (
        X.pre_shared_key,
        vector(2, vector(2, b"identity"), u32(7)),
        DecodeError,
    ),
    # client_certificate_type, server_certificate_type (RFC 7250, 3)
    **{
        f"{code.name} of {name}": (code, data, DecodeError)
        for code in (X.client_certificate_type, X.server_certificate_type)
        for name, data in {"no bytes": b"", "no types": vector(1), "a server": b"\2"}.items()
    },
    # record_size_limit (RFC 8449, 4)
    **{
        f"record_size_limit of {size} bytes": (X.record_size_limit, bytes([64] * size), DecodeError)
        for size in (0, 1, 3, 4)
    },
    **{
        f"record_size_limit {limit}": (X.record_size_limit, u16(limit), IllegalParameter)
        for limit in (0, 1, 63)
    },
    # status_request (RFC 6066, 8)
    "empty status_request": (X.status_request, b"", DecodeError),
    "status_request of its type alone": (X.status_request, b"\1", DecodeError),
    "status_request without extensions": (X.status_request, b"\1\0\0", DecodeError),
    # renegotiation_info (RFC 5746, 3.2) and ec_point_formats (RFC 8422, 5.1.2)
    "empty renegotiation_info": (X.renegotiation_info, b"", DecodeError),
    "empty ec_point_formats": (X.ec_point_formats, b"", DecodeError),
    "no point format": (X.ec_point_formats, vector(1), DecodeError),
    # Empty by definition
    "extended_master_secret with data": (X.extended_master_secret, b"\0", DecodeError),
    "signed_certificate_timestamp with data": (
        X.signed_certificate_timestamp,
        vector(2, vector(2, b"timestamp")),
        DecodeError,
    ),
    "early_data with data": (X.early_data, b"\0", DecodeError),
    "post_handshake_auth with data": (X.post_handshake_auth, b"\0", DecodeError),
}


@pytest.mark.parametrize(("code", "data", "error"), REFUSED.values(), ids=REFUSED)
def test_extension_is_refused(code, data, error):
    with pytest.raises(error) as refusal:
        decode(code, data)
    assert type(refusal.value) is error
    assert refusal.value.alert == error.default_alert


@pytest.mark.parametrize("code", sorted({row[0] for row in VALID.values()}), ids=lambda c: c.name)
@given(data=st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_arbitrary_extension_decodes_or_is_refused(code, data):
    try:
        decode(code, data)
    except TLSError as error:
        assert error.alert in (  # noqa: PT017
            AlertDescription.decode_error,
            AlertDescription.illegal_parameter,
        )


# --- Where an extension may stand (RFC 8446, 4.2)

CH, SH, HRR, EE, CT, CR, NST = ("CH", "SH", "HRR", "EE", "CT", "CR", "NST")
TABLE = {
    X.server_name: {CH, EE},
    X.max_fragment_length: {CH, EE},
    X.status_request: {CH, CR, CT},
    X.supported_groups: {CH, EE},
    X.signature_algorithms: {CH, CR},
    X.use_srtp: {CH, EE},
    X.heartbeat: {CH, EE},
    ALPN: {CH, EE},
    X.signed_certificate_timestamp: {CH, CR, CT},
    X.client_certificate_type: {CH, EE},
    X.server_certificate_type: {CH, EE},
    X.padding: {CH},
    # RFC 8879, 3, and RFC 8449, 4
    X.compress_certificate: {CH, CR},
    X.record_size_limit: {CH, EE},
    X.key_share: {CH, SH, HRR},
    X.pre_shared_key: {CH, SH},
    X.psk_key_exchange_modes: {CH},
    X.early_data: {CH, EE, NST},
    X.cookie: {CH, HRR},
    X.supported_versions: {CH, SH, HRR},
    X.certificate_authorities: {CH, CR},
    X.oid_filters: {CR},
    X.post_handshake_auth: {CH},
    X.signature_algorithms_cert: {CH, CR},
    # Of TLS 1.2: where they may stand in TLS 1.3.
    X.ec_point_formats: {CH},
    X.encrypt_then_mac: {CH},
    X.extended_master_secret: {CH},
    X.session_ticket: {CH},
    X.renegotiation_info: {CH},
}


def codes_not_in(where):
    codes = [code for code, allowed in TABLE.items() if where not in allowed]
    return pytest.mark.parametrize("code", codes, ids=lambda code: code.name)


@codes_not_in(CH)
def test_extension_that_does_not_belong_into_client_hello_is_refused(code):
    with pytest.raises(IllegalParameter):
        decode(code, b"")


@codes_not_in(CR)
def test_extension_that_does_not_belong_into_certificate_request_is_refused(code):
    schemes = extension(X.signature_algorithms, vector(2, u16(0x0403)))
    data = message(
        HandshakeType.certificate_request, vector(1), extensions(schemes, extension(code))
    )
    with pytest.raises(IllegalParameter):
        messages.decode_certificate_request(bytes(data))


@codes_not_in(NST)
def test_extension_that_does_not_belong_into_new_session_ticket_is_refused(code):
    data = message(
        HandshakeType.new_session_ticket,
        bytes(8),
        vector(1),
        vector(2, b"ticket"),
        extensions(extension(code)),
    )
    with pytest.raises(IllegalParameter):
        messages.decode_new_session_ticket(bytes(data))


# The answers to a client, where it also counts what was offered.

CONTEXT = fasths.Context(
    verify=fasths.Verify.NONE,
    cipher_suites=["TLS_AES_128_GCM_SHA256"],
    groups=["x25519", "secp256r1"],
    key_share_groups=["x25519"],
    alpn=["h2"],
)
SUITE = find_suite(0x1301)


class Client:
    """A client of the product, and a server that answers what a test wants."""

    def __init__(self, server_name=b"localhost", context=CONTEXT):
        self.engine = Engine(context._configuration, False, server_name, None, None)
        self.engine.do_handshake()
        self.client_hello = bytes(self.engine.output())[5:]
        self.hello = messages.decode_client_hello(self.client_hello)
        self.transcript = Transcript(SUITE.hash)
        self.transcript.update(self.client_hello)

    def receive(self, record):
        with memoryview(self.engine.space()) as space:
            space[: len(record)] = record
        self.engine.filled(len(record))
        self.engine.do_handshake()

    def answer(self, *each, random=bytes(32)):
        """A ServerHello or HelloRetryRequest with these extensions."""
        data = message(
            HandshakeType.server_hello,
            u16(0x0303),
            random,
            vector(1, self.hello.legacy_session_id),
            u16(0x1301),
            u8(0),
            extensions(*each),
        )
        self.receive(u8(ContentType.handshake) + u16(0x0303) + vector(2, data))
        return data

    def answer_well(self):
        """A good ServerHello; what follows is sealed by send()."""
        client_share = self.hello.key_shares[4:]
        share, shared_secret = respond(0x001D, client_share)
        key_share = extension(X.key_share, u16(0x001D), vector(2, share))
        self.transcript.update(bytes(self.answer(SELECTED_VERSION, key_share)))
        secret = EarlySecret(SUITE.hash).handshake_secret(shared_secret)
        secret = secret.server_handshake_traffic_secret(self.transcript.digest())
        self.key = sealing_key(SUITE, secret, 1)

    def send(self, data):
        self.receive(self.key.seal_record(ContentType.handshake, bytes(data)))

    def require_error(self, error):
        assert type(self.engine.error) is error, self.engine.error


RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SELECTED_VERSION = extension(X.supported_versions, u16(0x0304))
OFFERED = {
    X.server_name,
    X.supported_groups,
    X.signature_algorithms,
    X.signature_algorithms_cert,
    ALPN,
    X.key_share,
    X.supported_versions,
    X.psk_key_exchange_modes,
    X.status_request,
    X.signed_certificate_timestamp,
}
MINIMAL = {
    X.key_share: u16(23),
    X.supported_versions: u16(0x0304),
    X.cookie: vector(2, b"c"),
    X.pre_shared_key: u16(0),
    ALPN: protocol_list(b"h2"),
    X.supported_groups: vector(2, u16(29)),
    X.client_certificate_type: u8(2),
    X.server_certificate_type: u8(2),
    X.record_size_limit: u16(64),
}
MINIMAL_IN_CERTIFICATE = {
    X.status_request: join(u8(1), vector(3, b"response")),
    X.signed_certificate_timestamp: vector(2, vector(2, b"timestamp")),
}


def test_client_offers_what_its_context_says():
    """What write_*() make, decode_*() take apart."""
    hello = Client().hello
    assert hello.extension_types == sum(1 << code for code in OFFERED)
    assert hello.server_name == "localhost"
    assert hello.supported_versions == u16(0x0304)
    assert hello.supported_groups == u16(0x001D, 0x0017)
    assert hello.signature_algorithms.startswith(u16(*CONTEXT.signature_schemes))
    assert u16(0x0401) in hello.signature_algorithms_cert
    assert hello.protocol_names == (b"h2",)
    assert hello.key_shares[:4] == u16(0x001D, 32)
    assert len(hello.key_shares) == 36
    assert hello.psk_key_exchange_modes == b"\1"
    assert hello.status_request is hello.signed_certificate_timestamp is True
    assert hello.post_handshake_auth is hello.early_data is False
    assert hello.psk_identities is hello.compress_certificate is None
    assert hello.client_certificate_types is hello.server_certificate_types is None
    assert hello.record_size_limit == -1
    assert Client(server_name=None).hello.server_name is None


def test_client_offers_all_that_its_context_can_say():
    key = pki.make_leaf()
    raw = fasths.Identity.from_raw_public_key(key.key_pem)
    context = fasths.Context(
        identities=[raw, fasths.Identity.from_pem(key.chain_pem, key.key_pem)],
        trust=fasths.TrustStore.from_pem(key.pem),
        trusted_public_keys=raw.certificates,
        certificate_compression=["zlib"],
        psk_key_exchange_modes=["psk_ke", "psk_dhe_ke"],
        external_psks=[fasths.ExternalPSK(b"first", bytes(32))],
        record_size_limit=1000,
        post_handshake_auth=True,
        staple_policy=fasths.StaplePolicy.IGNORE,
    )
    client = Client(context=context)
    hello = client.hello
    assert hello.compress_certificate == u16(1)
    assert hello.client_certificate_types == hello.server_certificate_types == b"\2\0"
    assert hello.psk_key_exchange_modes == b"\0\1"
    assert hello.record_size_limit == 1000
    assert hello.post_handshake_auth is True
    assert hello.status_request is hello.signed_certificate_timestamp is False
    # RFC 8446, 4.2.11: 0 as the age of a key that is no ticket's.
    assert hello.psk_identities == [(b"first", 0)]
    assert [len(binder) for binder in hello.psk_binders] == [32]
    assert client.client_hello[-32:] == hello.psk_binders[0]
    assert hello.psk_binders_size == 2 + 1 + 32
    assert hello.early_data is False


@pytest.mark.parametrize("takes_certificates", [True, False])
def test_client_that_knows_keys_takes_certificates_only_with_trust(takes_certificates):
    key = pki.make_leaf()
    raw = fasths.Identity.from_raw_public_key(key.key_pem)
    trust = fasths.TrustStore.from_pem(key.pem) if takes_certificates else None
    context = fasths.Context(trusted_public_keys=raw.certificates, trust=trust)
    hello = Client(context=context).hello
    assert hello.server_certificate_types == (b"\2\0" if takes_certificates else b"\2")
    assert hello.client_certificate_types is None


def test_cookie_comes_back_as_it_was():
    client = Client()
    client.answer(SELECTED_VERSION, extension(X.cookie, vector(2, b"cookie")), random=RETRY_RANDOM)
    sent = bytes(client.engine.output())
    second = sent[sent.rindex(b"\x16\3\3") + 5 :]
    assert messages.decode_client_hello(second).cookie == b"cookie"


def expected_refusal(code, where):
    if where not in TABLE[code]:
        return IllegalParameter
    return None if code in OFFERED or code == X.cookie else UnsupportedExtension


@pytest.mark.parametrize(
    ("where", "code"),
    [(where, code) for where in (SH, HRR) for code in TABLE if expected_refusal(code, where)],
)
def test_server_hello_with_what_it_must_not_have_is_refused(where, code):
    each = {X.supported_versions: SELECTED_VERSION}
    if where == HRR:
        each[X.cookie] = extension(X.cookie, vector(2, b"c"))
    each[code] = extension(code, MINIMAL.get(code, b""))
    client = Client()
    client.answer(*each.values(), random=RETRY_RANDOM if where == HRR else bytes(32))
    client.require_error(expected_refusal(code, where))


@pytest.mark.parametrize("code", TABLE, ids=lambda code: code.name)
def test_encrypted_extensions_with_what_they_must_not_have_are_refused(code):
    client = Client()
    client.answer_well()
    data = extension(code, MINIMAL.get(code, b""))
    client.send(message(HandshakeType.encrypted_extensions, extensions(data)))
    error = expected_refusal(code, EE)
    client.require_error(type(None) if error is None else error)


@pytest.mark.parametrize("code", TABLE, ids=lambda code: code.name)
def test_certificate_with_what_it_must_not_have_is_refused(code):
    client = Client()
    client.answer_well()
    client.send(message(HandshakeType.encrypted_extensions, extensions()))
    data = MINIMAL_IN_CERTIFICATE.get(code, b"")
    entry = join(vector(3, b"leaf"), extensions(extension(code, data)))
    client.send(message(HandshakeType.certificate, vector(1), vector(3, entry)))
    # Where the extension is welcome, what is refused is a leaf that is no certificate.
    client.require_error(expected_refusal(code, CT) or CertificateError)


@pytest.mark.parametrize("code", MINIMAL_IN_CERTIFICATE, ids=lambda code: code.name)
def test_extension_of_a_certificate_that_was_not_offered_is_refused(code):
    context = fasths.Context(
        verify=fasths.Verify.NONE,
        cipher_suites=["TLS_AES_128_GCM_SHA256"],
        groups=["x25519"],
        staple_policy=fasths.StaplePolicy.IGNORE,
    )
    client = Client(context=context)
    client.answer_well()
    client.send(message(HandshakeType.encrypted_extensions, extensions()))
    entry = join(vector(3, b"leaf"), extensions(extension(code, MINIMAL_IN_CERTIFICATE[code])))
    client.send(message(HandshakeType.certificate, vector(1), vector(3, entry)))
    client.require_error(UnsupportedExtension)


@pytest.mark.parametrize("code", [*GREASE, 64, 0x4A4B, 0xFFFF])
@pytest.mark.parametrize("where", [SH, HRR, EE, CT])
def test_unknown_answer_is_refused(where, code):
    """RFC 8446, 4.2: unknown to the client is the same as not offered by it."""
    client = Client()
    if where in (SH, HRR):
        random = RETRY_RANDOM if where == HRR else bytes(32)
        client.answer(SELECTED_VERSION, extension(code), random=random)
    else:
        client.answer_well()
        block = extensions(extension(code))
        client.send(
            message(HandshakeType.encrypted_extensions, block if where == EE else vector(2))
        )
    if where == CT:
        entry = join(vector(3, b"leaf"), block)
        client.send(message(HandshakeType.certificate, vector(1), vector(3, entry)))
    client.require_error(UnsupportedExtension)


def test_server_name_answer_to_a_client_that_sent_none_is_refused():
    client = Client(server_name=None)
    client.answer_well()
    data = extension(X.server_name)
    client.send(message(HandshakeType.encrypted_extensions, extensions(data)))
    client.require_error(UnsupportedExtension)


# Zero is a value like any other, and not the same as an extension that is absent.


def test_selected_version_zero_is_refused_as_not_offered():
    """RFC 8446, 4.2.1: a version that was not offered is illegal_parameter."""
    client = Client()
    client.answer(extension(X.supported_versions, u16(0)))
    client.require_error(IllegalParameter)


def test_retry_for_group_zero_is_refused():
    """RFC 8446, 4.2.8: selected_group is one that was offered, with a cookie as without."""
    client = Client()
    cookie = extension(X.cookie, vector(2, b"cookie"))
    client.answer(SELECTED_VERSION, extension(X.key_share, u16(0)), cookie, random=RETRY_RANDOM)
    client.require_error(IllegalParameter)
