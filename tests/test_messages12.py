"""Handshake messages of TLS 1.2: what decodes to what, what is refused, and their encoding.

What is refused in every message, such as wrong lengths, is in test_message_refusals.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_samples import (
    CERTIFICATE,
    RANDOM,
    SERVER_HELLO_12,
    SESSION_ID,
    UNKNOWN,
    X,
    certificate_12,
    certificate_request,
    certificate_request_12,
    certificate_status_message,
    certificate_verify,
    client_hello,
    client_key_exchange,
    decode_certificate_12,
    decode_certificate_request_12,
    decode_certificate_status_message,
    decode_certificate_verify,
    decode_client_hello,
    decode_client_key_exchange,
    decode_finished,
    decode_hello_request,
    decode_new_session_ticket_12,
    decode_raw_public_key_12,
    decode_server_hello_12,
    decode_server_hello_done,
    decode_server_key_exchange,
    fields,
    finished,
    hello_request,
    new_session_ticket,
    new_session_ticket_12,
    raw_public_key_12,
    server_ecdh_params,
    server_hello_12,
    server_hello_done,
    server_key_exchange,
    timestamps,
)
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
)

from fasths.wire import messages12
from fasths.wire.codes import AlertDescription, HandshakeType
from fasths.wire.errors import CertificateError, DecodeError, IllegalParameter
from fasths.wire.limits import MAX_EXTENSIONS

ALPN = X.application_layer_protocol_negotiation


# --- Valid messages, field by field

SERVER_HELLO_12_FIELDS = {
    "server_version": 0x0303,
    "random": RANDOM,
    "session_id": SESSION_ID,
    "cipher_suite": 0xC02B,
    "compression_method": 0,
    "extension_types": [],
    "protocol_name": None,
    "status_request": False,
    "extended_master_secret": False,
    "session_ticket": False,
    "renegotiation_info": None,
    "ec_point_formats": None,
    "signed_certificate_timestamps": None,
    "record_size_limit": -1,
    "client_certificate_type": -1,
    "server_certificate_type": -1,
}


def test_server_hello():
    assert fields(decode_server_hello_12(SERVER_HELLO_12)) == SERVER_HELLO_12_FIELDS | {
        "extension_types": [65281, 0, 23, 35, 5, 11, 16, 18, 28, 19, 20],
        "protocol_name": b"h2",
        "status_request": True,
        "extended_master_secret": True,
        "session_ticket": True,
        "renegotiation_info": b"connection",
        "ec_point_formats": b"\0\1\2",
        "signed_certificate_timestamps": (b"first", b"second"),
        "record_size_limit": 0x0400,
        "client_certificate_type": 0,
        "server_certificate_type": 2,
    }


@pytest.mark.parametrize("block", [b"", extensions()], ids=["none", "empty"])
def test_server_hello_without_extensions(block):
    decoded = decode_server_hello_12(server_hello_12(block=block))
    assert fields(decoded) == SERVER_HELLO_12_FIELDS


# name: (extension, field of ServerHello12, its value)
ONE_EXTENSION = {
    "status_request": (extension(X.status_request), "status_request", True),
    "extended_master_secret": (
        extension(X.extended_master_secret),
        "extended_master_secret",
        True,
    ),
    "session_ticket": (extension(X.session_ticket), "session_ticket", True),
    "empty renegotiated_connection": (
        extension(X.renegotiation_info, vector(1)),
        "renegotiation_info",
        b"",
    ),
    "renegotiated_connection of 255 bytes": (
        extension(X.renegotiation_info, vector(1, bytes(255))),
        "renegotiation_info",
        bytes(255),
    ),
    "one point format": (extension(X.ec_point_formats, b"\1\0"), "ec_point_formats", b"\0"),
    "protocol of 255 bytes": (
        extension(ALPN, vector(2, vector(1, bytes(255)))),
        "protocol_name",
        bytes(255),
    ),
    "one timestamp": (timestamps(b"a"), "signed_certificate_timestamps", (b"a",)),
    **{
        f"record_size_limit {limit}": (
            extension(X.record_size_limit, u16(limit)),
            "record_size_limit",
            limit,
        )
        # RFC 8449, 4: whether it is too great is not the decoder's.
        for limit in (64, 16385, 0xFFFF)
    },
    "client_certificate_type": (
        extension(X.client_certificate_type, u8(255)),
        "client_certificate_type",
        255,
    ),
    "server_certificate_type": (
        extension(X.server_certificate_type, u8(0)),
        "server_certificate_type",
        0,
    ),
}


@pytest.mark.parametrize(("each", "field", "value"), ONE_EXTENSION.values(), ids=ONE_EXTENSION)
def test_extension_of_server_hello(each, field, value):
    expected = {"extension_types": [int.from_bytes(each[:2], "big")], field: value}
    decoded = decode_server_hello_12(server_hello_12(each))
    assert fields(decoded) == SERVER_HELLO_12_FIELDS | expected


@pytest.mark.parametrize(
    "code",
    [X.supported_groups, X.max_fragment_length, X.use_srtp, X.heartbeat, X.encrypt_then_mac],
    ids=lambda code: code.name,
)
def test_extension_of_server_hello_without_a_decoder_is_only_listed(code):
    decoded = decode_server_hello_12(server_hello_12(extension(code, b"\xff" * 9)))
    assert fields(decoded) == SERVER_HELLO_12_FIELDS | {"extension_types": [code]}


def test_unknown_extensions_of_server_hello_are_listed():
    """The handshake refuses what was not offered."""
    decoded = decode_server_hello_12(server_hello_12(*UNKNOWN))
    codes = [int.from_bytes(each[:2], "big") for each in UNKNOWN]
    assert fields(decoded) == SERVER_HELLO_12_FIELDS | {"extension_types": codes}


def test_server_hello_that_chooses_what_is_not_there():
    """Versions, suites and compression methods are looked at by the handshake."""
    decoded = decode_server_hello_12(server_hello_12(version=0x0301, compression=1))
    expected = {"server_version": 0x0301, "compression_method": 1}
    assert fields(decoded) == SERVER_HELLO_12_FIELDS | expected


@pytest.mark.parametrize("size", [0, 1, 32])
def test_session_id(size):
    assert decode_server_hello_12(server_hello_12(session_id=bytes(size))).session_id == bytes(size)


def test_certificate():
    expected = {
        "certificate_request_context": b"",
        "certificates": (b"leaf", b"issuer"),
        "extension_types": [],
        "ocsp_response": None,
        "signed_certificate_timestamps": None,
    }
    assert fields(decode_certificate_12(certificate_12(b"leaf", b"issuer"))) == expected
    assert fields(decode_certificate_12(certificate_12())) == expected | {"certificates": ()}
    assert decode_raw_public_key_12(raw_public_key_12(b"")).certificates == ()
    decoded = decode_raw_public_key_12(raw_public_key_12(b"key"))
    assert fields(decoded) == expected | {"certificates": (b"key",)}


@pytest.mark.parametrize("response", [b"r", b"response", bytes(1 << 17)], ids=len)
def test_certificate_status(response):
    assert decode_certificate_status_message(certificate_status_message(response)) == response


@pytest.mark.parametrize("signature", [b"", b"signature", bytes(0xFFFF)], ids=len)
@pytest.mark.parametrize("public", [b"p", b"share", bytes(255)], ids=len)
def test_server_key_exchange(public, signature):
    params = server_ecdh_params(0x0017, public)
    decoded = decode_server_key_exchange(server_key_exchange(params, 0x0804, signature))
    assert fields(decoded) == {
        "curve_type": 3,
        "group": 0x0017,
        "public": public,
        "params": params,
        "algorithm": 0x0804,
        "signature": signature,
    }


def test_server_key_exchange_of_unknown_group_and_algorithm():
    """The handshake refuses what was not offered."""
    decoded = decode_server_key_exchange(server_key_exchange(server_ecdh_params(0xFFFF), 0xFFFF))
    assert (decoded.group, decoded.algorithm) == (0xFFFF, 0xFFFF)


@pytest.mark.parametrize("behind", [b"", b"\1", bytes(300)], ids=len)
@pytest.mark.parametrize("curve_type", [0, 1, 2, 4, 248, 255])
def test_server_key_exchange_of_another_curve_type(curve_type, behind):
    """RFC 8422, 5.4: what is behind the type of an explicit curve depends on it."""
    data = message(HandshakeType.server_key_exchange, u8(curve_type), behind)
    assert fields(decode_server_key_exchange(data)) == {
        "curve_type": curve_type,
        "group": -1,
        "public": None,
        "params": None,
        "algorithm": -1,
        "signature": None,
    }


def test_certificate_request():
    expected = {
        "certificate_request_context": b"",
        "certificate_types": b"\x40\1",
        "signature_algorithms": u16(0x0403, 0x0401),
        "signature_algorithms_cert": None,
        "certificate_authorities": join(vector(2, b"name"), vector(2, b"other")),
        "compress_certificate": None,
        "status_request": False,
        "signed_certificate_timestamp": False,
    }
    data = certificate_request_12(authorities=(b"name", b"other"))
    assert fields(decode_certificate_request_12(data)) == expected
    data = certificate_request_12(authorities=())
    expected["certificate_authorities"] = None
    assert fields(decode_certificate_request_12(data)) == expected


def test_certificate_request_that_fills_its_vectors():
    names = (bytes(0xFFFF - 2 - 3), b"n")
    data = certificate_request_12(bytes(255), range(0x7FFF), names)
    decoded = decode_certificate_request_12(data)
    assert decoded.certificate_types == bytes(255)
    assert decoded.signature_algorithms == u16(*range(0x7FFF))
    assert decoded.certificate_authorities == join(*(vector(2, name) for name in names))
    assert len(decoded.certificate_authorities) == 0xFFFF


def test_server_hello_done_and_hello_request():
    assert decode_server_hello_done(server_hello_done()) == 0
    assert decode_hello_request(hello_request()) == 0


@pytest.mark.parametrize("public", [b"p", b"share", bytes(255)], ids=len)
def test_client_key_exchange(public):
    assert decode_client_key_exchange(client_key_exchange(public)) == public


@pytest.mark.parametrize("ticket_lifetime_hint", [0, 7200, 0xFFFFFFFF])
@pytest.mark.parametrize("ticket", [b"", b"ticket", bytes(0xFFFF)], ids=len)
def test_new_session_ticket(ticket, ticket_lifetime_hint):
    """RFC 5077, 3.3: an empty one where the server has none after all."""
    decoded = decode_new_session_ticket_12(new_session_ticket_12(ticket, ticket_lifetime_hint))
    assert decoded == (ticket_lifetime_hint, ticket)


# --- Messages that serve both versions


def test_client_hello_of_tls_12():
    """As a client sends it that has no TLS 1.3."""
    hello = decode_client_hello(
        client_hello(
            extension(X.server_name, vector(2, u8(0), vector(2, b"a.example"))),
            extension(X.ec_point_formats, vector(1, u8(0))),
            extension(X.supported_groups, vector(2, u16(0x001D))),
            extension(X.session_ticket),
            extension(X.encrypt_then_mac),
            extension(X.extended_master_secret),
            extension(X.signature_algorithms, vector(2, u16(0x0403))),
            extension(X.renegotiation_info, vector(1)),
            cipher_suites=u16(0xC02B, 0x00FF),
        )
    )
    assert (hello.server_name, hello.cipher_suites) == ("a.example", u16(0xC02B, 0x00FF))
    assert (hello.ec_point_formats, hello.supported_groups) == (b"\0", u16(0x001D))
    assert hello.session_ticket == hello.renegotiation_info == b""
    assert hello.extended_master_secret is True
    assert hello.supported_versions is hello.key_shares is None


def test_client_hello_without_the_extensions_of_tls_12():
    hello = decode_client_hello(client_hello(extension(X.encrypt_then_mac)))
    assert hello.session_ticket is hello.renegotiation_info is hello.ec_point_formats is None
    assert hello.extended_master_secret is False


@pytest.mark.parametrize("ticket", [b"", b"\0", b"ticket", bytes(range(256)) * 100], ids=len)
def test_session_ticket_of_client_hello(ticket):
    """RFC 5077, 3.2: it has no length of its own, so none can be wrong."""
    hello = decode_client_hello(client_hello(extension(X.session_ticket, ticket)))
    assert hello.session_ticket == ticket
    assert hello.extension_types == 1 << X.session_ticket


def test_finished_of_tls_12():
    """RFC 5246, 7.4.9: 12 bytes with every suite."""
    assert decode_finished(finished(bytes(range(12))), 12) == bytes(range(12))
    for size in (0, 11, 13, 32, 48):
        with pytest.raises(DecodeError):
            decode_finished(finished(bytes(size)), 12)


def test_certificate_verify_of_tls_12():
    decoded = decode_certificate_verify(certificate_verify(b"signature", 0x0401))
    assert (decoded.algorithm, decoded.signature) == (0x0401, b"signature")


# --- What is refused

REFUSED = {
    "session_id of 33 bytes": (
        decode_server_hello_12,
        server_hello_12(session_id=bytes(33)),
        DecodeError,
    ),
    **{
        f"{code.name} answer with data": (
            decode_server_hello_12,
            server_hello_12(extension(code, b"\0")),
            DecodeError,
        )
        for code in (X.server_name, X.status_request, X.extended_master_secret, X.session_ticket)
    },
    **{
        f"{code.name} answer of no bytes": (
            decode_server_hello_12,
            server_hello_12(extension(code)),
            DecodeError,
        )
        for code in (
            X.renegotiation_info,
            X.ec_point_formats,
            ALPN,
            X.signed_certificate_timestamp,
            X.record_size_limit,
            X.client_certificate_type,
            X.server_certificate_type,
        )
    },
    **{
        f"{code.name} answer with more behind": (
            decode_server_hello_12,
            server_hello_12(extension(code, data, b"\0")),
            DecodeError,
        )
        for code, data in {
            X.renegotiation_info: vector(1, b"connection"),
            X.ec_point_formats: vector(1, b"\0"),
            ALPN: vector(2, vector(1, b"h2")),
            X.signed_certificate_timestamp: vector(2, vector(2, b"timestamp")),
            X.record_size_limit: u16(0x4000),
            X.client_certificate_type: b"\0",
            X.server_certificate_type: b"\0",
        }.items()
    },
    "no point format": (
        decode_server_hello_12,
        server_hello_12(extension(X.ec_point_formats, vector(1))),
        DecodeError,
    ),
    "two chosen application protocols": (
        decode_server_hello_12,
        server_hello_12(extension(ALPN, vector(2, vector(1, b"h2"), vector(1, b"h3")))),
        DecodeError,
    ),
    "no chosen application protocol": (
        decode_server_hello_12,
        server_hello_12(extension(ALPN, vector(2))),
        DecodeError,
    ),
    "empty chosen application protocol": (
        decode_server_hello_12,
        server_hello_12(extension(ALPN, vector(2, vector(1)))),
        DecodeError,
    ),
    "no timestamps": (decode_server_hello_12, server_hello_12(timestamps()), DecodeError),
    "empty timestamp": (decode_server_hello_12, server_hello_12(timestamps(b"")), DecodeError),
    **{
        f"record_size_limit {limit}": (
            decode_server_hello_12,
            server_hello_12(extension(X.record_size_limit, u16(limit))),
            IllegalParameter,
        )
        for limit in (0, 63)
    },
    "empty certificate": (decode_certificate_12, certificate_12(b"leaf", b""), DecodeError),
    "chain in a chain of TLS 1.3": (decode_certificate_12, CERTIFICATE, DecodeError),
    "Certificate without a list": (
        decode_certificate_12,
        message(HandshakeType.certificate),
        DecodeError,
    ),
    **{
        f"certificate status of type {status_type}": (
            decode_certificate_status_message,
            certificate_status_message(status_type=status_type),
            DecodeError,
        )
        for status_type in (0, 2, 255)
    },
    "empty OCSP response": (
        decode_certificate_status_message,
        certificate_status_message(b""),
        DecodeError,
    ),
    "empty ServerKeyExchange": (
        decode_server_key_exchange,
        message(HandshakeType.server_key_exchange),
        DecodeError,
    ),
    "ServerKeyExchange without a point": (
        decode_server_key_exchange,
        server_key_exchange(server_ecdh_params(public=b"")),
        DecodeError,
    ),
    "ServerKeyExchange without a signature": (
        decode_server_key_exchange,
        message(HandshakeType.server_key_exchange, server_ecdh_params()),
        DecodeError,
    ),
    "CertificateRequest without types": (
        decode_certificate_request_12,
        certificate_request_12(types=b""),
        DecodeError,
    ),
    "CertificateRequest without algorithms": (
        decode_certificate_request_12,
        certificate_request_12(algorithms=()),
        DecodeError,
    ),
    **{
        f"supported_signature_algorithms of {size} bytes": (
            decode_certificate_request_12,
            message(
                HandshakeType.certificate_request,
                vector(1, b"\1"),
                vector(2, bytes(size)),
                vector(2),
            ),
            DecodeError,
        )
        for size in (1, 3)
    },
    "CertificateRequest without authorities": (
        decode_certificate_request_12,
        message(HandshakeType.certificate_request, vector(1, b"\1"), vector(2, u16(0x0403))),
        DecodeError,
    ),
    **{
        f"empty name {place}": (
            decode_certificate_request_12,
            certificate_request_12(authorities=names),
            DecodeError,
        )
        for place, names in {
            "alone": (b"",),
            "first": (b"", b"name"),
            "last": (b"name", b""),
        }.items()
    },
    "authorities that end in a length": (
        decode_certificate_request_12,
        message(
            HandshakeType.certificate_request,
            vector(1, b"\1"),
            vector(2, b"\4\3"),
            vector(2, b"\0"),
        ),
        DecodeError,
    ),
    "CertificateRequest of TLS 1.3": (
        decode_certificate_request_12,
        certificate_request(extension(X.signature_algorithms, vector(2, u16(0x0403)))),
        DecodeError,
    ),
    "ServerHelloDone of one byte": (
        decode_server_hello_done,
        message(HandshakeType.server_hello_done, b"\0"),
        DecodeError,
    ),
    "ClientKeyExchange without a point": (
        decode_client_key_exchange,
        client_key_exchange(b""),
        DecodeError,
    ),
    "empty ClientKeyExchange": (
        decode_client_key_exchange,
        message(HandshakeType.client_key_exchange),
        DecodeError,
    ),
    "NewSessionTicket without a ticket": (
        decode_new_session_ticket_12,
        message(HandshakeType.new_session_ticket, u32(7200)),
        DecodeError,
    ),
    "NewSessionTicket of TLS 1.3": (
        decode_new_session_ticket_12,
        new_session_ticket(),
        DecodeError,
    ),
    "HelloRequest of one byte": (
        decode_hello_request,
        message(HandshakeType.hello_request, b"\0"),
        DecodeError,
    ),
}


@pytest.mark.parametrize(("decode", "data", "error"), REFUSED.values(), ids=REFUSED)
def test_is_refused(decode, data, error):
    with pytest.raises(error) as refusal:
        decode(data)
    assert type(refusal.value) is error
    assert refusal.value.alert == error.default_alert


@pytest.mark.parametrize("each", [each for each, _, _ in ONE_EXTENSION.values()], ids=ONE_EXTENSION)
def test_duplicate_extension_of_server_hello_is_refused(each):
    with pytest.raises(IllegalParameter):
        decode_server_hello_12(server_hello_12(each, extension(GREASE[0]), each))


def test_more_extensions_of_server_hello_than_the_limit_are_refused():
    each = [extension(1000 + i) for i in range(MAX_EXTENSIONS + 1)]
    assert (
        len(decode_server_hello_12(server_hello_12(*each[:-1])).extension_types) == MAX_EXTENSIONS
    )
    with pytest.raises(DecodeError):
        decode_server_hello_12(server_hello_12(*each))


@pytest.mark.parametrize("maximum", [1, 3])
def test_chain_longer_than_the_limit_is_refused(maximum):
    chain = [b"certificate"] * (maximum + 1)
    decoded = decode_certificate_12(certificate_12(*chain[1:]), maximum)
    assert len(decoded.certificates) == maximum
    with pytest.raises(CertificateError) as refusal:
        decode_certificate_12(certificate_12(*chain), maximum)
    assert refusal.value.alert == AlertDescription.bad_certificate
    assert refusal.value.verify_code == 22


# --- Encoding


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            messages12.encode_server_hello_12(
                RANDOM, SESSION_ID, 0xC02B, bytes(extension(X.extended_master_secret))
            ),
            server_hello_12(extension(X.extended_master_secret)),
        ),
        (
            messages12.encode_server_hello_12(RANDOM, b"", 0xC02B, b""),
            server_hello_12(session_id=b"", block=b""),
        ),
        (messages12.encode_certificate_12(()), certificate_12()),
        (
            messages12.encode_certificate_12([b"leaf", b"issuer"]),
            certificate_12(b"leaf", b"issuer"),
        ),
        (messages12.encode_raw_public_key_12(b"key"), raw_public_key_12(b"key")),
        (messages12.encode_certificate_status_message(b"response"), certificate_status_message()),
        (messages12.encode_server_ecdh_params(0x001D, b"share"), server_ecdh_params()),
        (
            messages12.encode_server_key_exchange(
                bytes(server_ecdh_params()), 0x0403, b"signature"
            ),
            server_key_exchange(),
        ),
        (
            messages12.encode_certificate_request_12(b"\x40\1", (0x0403, 0x0401), [b"name"]),
            certificate_request_12(),
        ),
        (
            messages12.encode_certificate_request_12(b"\1", [0x0804], (b"name", b"other")),
            certificate_request_12(b"\1", (0x0804,), (b"name", b"other")),
        ),
        (
            messages12.encode_certificate_request_12(b"\1", [0x0804], ()),
            certificate_request_12(b"\1", (0x0804,), ()),
        ),
        (messages12.encode_server_hello_done(), server_hello_done()),
        (messages12.encode_client_key_exchange(b"share"), client_key_exchange()),
        (messages12.encode_new_session_ticket_12(7200, b"ticket"), new_session_ticket_12()),
        (
            messages12.encode_new_session_ticket_12(0xFFFFFFFF, b""),
            new_session_ticket_12(b"", 0xFFFFFFFF),
        ),
        (messages12.encode_hello_request(), hello_request()),
    ],
)
def test_encode(made, expected):
    assert made == expected


@given(
    session_id=st.binary(max_size=32),
    suite=st.integers(0, 0xFFFF),
    public=st.binary(min_size=1, max_size=255),
    numbers=st.tuples(*[st.integers(0, 0xFFFF)] * 2),
    blob=st.binary(max_size=1200),
    names=st.lists(st.binary(min_size=1, max_size=700), max_size=10),
    algorithms=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40),
    lifetime=st.integers(0, 0xFFFFFFFF),
)
@settings(deadline=None)
def test_what_was_encoded_decodes(
    session_id, suite, public, numbers, blob, names, algorithms, lifetime
):
    encoded = messages12.encode_server_hello_12(RANDOM, session_id, suite, b"")
    hello = decode_server_hello_12(encoded)
    assert (hello.random, hello.session_id, hello.cipher_suite) == (RANDOM, session_id, suite)
    decoded = decode_certificate_12(messages12.encode_certificate_12(names))
    assert decoded.certificates == tuple(names)
    encoded = messages12.encode_raw_public_key_12(public)
    assert decode_raw_public_key_12(encoded).certificates == (public,)
    encoded = messages12.encode_certificate_status_message(public)
    assert decode_certificate_status_message(encoded) == public
    group, algorithm = numbers
    params = messages12.encode_server_ecdh_params(group, public)
    encoded = messages12.encode_server_key_exchange(params, algorithm, blob)
    exchange = decode_server_key_exchange(encoded)
    assert (exchange.group, exchange.public, exchange.params) == (group, public, params)
    assert (exchange.algorithm, exchange.signature) == (algorithm, blob)
    encoded = messages12.encode_certificate_request_12(public, algorithms, names)
    request = decode_certificate_request_12(encoded)
    assert request.certificate_types == public
    assert request.signature_algorithms == u16(*algorithms)
    authorities = b"".join(vector(2, name) for name in names)
    assert request.certificate_authorities == (authorities or None)
    assert decode_client_key_exchange(messages12.encode_client_key_exchange(public)) == public
    encoded = messages12.encode_new_session_ticket_12(lifetime, blob)
    assert decode_new_session_ticket_12(encoded) == (lifetime, blob)


@pytest.mark.parametrize(
    "encode",
    [
        lambda: messages12.encode_server_hello_12(RANDOM, bytes(256), 0xC02B, b""),
        lambda: messages12.encode_server_hello_12(RANDOM, b"", 0xC02B, bytes(1 << 16)),
        lambda: messages12.encode_certificate_12([bytes(1 << 24)]),
        lambda: messages12.encode_certificate_12([bytes(1 << 23)] * 2),
        lambda: messages12.encode_raw_public_key_12(bytes(1 << 24)),
        lambda: messages12.encode_certificate_status_message(bytes(1 << 24)),
        lambda: messages12.encode_server_ecdh_params(29, bytes(256)),
        lambda: messages12.encode_server_key_exchange(b"params", 0x0403, bytes(1 << 16)),
        lambda: messages12.encode_certificate_request_12(bytes(256), (1,), ()),
        lambda: messages12.encode_certificate_request_12(b"\1", [1] * (1 << 15), ()),
        lambda: messages12.encode_certificate_request_12(b"\1", (1,), [bytes(1 << 16)]),
        lambda: messages12.encode_certificate_request_12(b"\1", (1,), [bytes(1 << 15)] * 2),
        lambda: messages12.encode_client_key_exchange(bytes(256)),
        lambda: messages12.encode_new_session_ticket_12(1, bytes(1 << 16)),
    ],
)
def test_encoding_what_its_length_field_cannot_say_is_refused(encode):
    with pytest.raises(ValueError, match="longer than its length field"):
        encode()
