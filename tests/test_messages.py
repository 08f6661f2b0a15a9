"""Handshake messages: what decodes to what, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_format import (
    GREASE,
    extension,
    extensions,
    join,
    message,
    refitted,
    u8,
    u16,
    u32,
    vector,
    with_lengths_off_by_one,
)

from fasths.wire import messages
from fasths.wire.codes import AlertDescription, ExtensionType, HandshakeType
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    IllegalParameter,
    MissingExtension,
    TLSError,
    UnexpectedMessage,
)
from fasths.wire.limits import MAX_EXTENSIONS

X = ExtensionType
RANDOM = bytes(range(32))
SESSION_ID = bytes(range(100, 132))
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
CIPHER_SUITES = u16(0x1301, 0x1302)
VERIFY_DATA = bytes(range(32))
SELECTED_VERSION = extension(X.supported_versions, u16(0x0304))
SIGNATURE_ALGORITHMS = extension(X.signature_algorithms, vector(2, u16(0x0403, 0x0804)))


def client_hello(
    *each,
    legacy_version=0x0303,
    random=RANDOM,
    session_id=SESSION_ID,
    cipher_suites=CIPHER_SUITES,
    compression=b"\0",
    block=None,
):
    return message(
        HandshakeType.client_hello,
        u16(legacy_version),
        random,
        vector(1, session_id),
        vector(2, cipher_suites),
        vector(1, compression),
        extensions(*each) if block is None else block,
    )


def server_hello(*each, random=RANDOM, session_id=SESSION_ID, block=None):
    return message(
        HandshakeType.server_hello,
        u16(0x0303),
        random,
        vector(1, session_id),
        u16(0x1301),
        u8(0),
        extensions(*each) if block is None else block,
    )


def hello_retry_request(*each, **fields):
    return server_hello(*each, random=RETRY_RANDOM, **fields)


def encrypted_extensions(*each):
    return message(HandshakeType.encrypted_extensions, extensions(*each))


def certificate_request(*each, context=b""):
    return message(HandshakeType.certificate_request, vector(1, context), extensions(*each))


def entry(der=b"certificate", *each):
    return join(vector(3, der), extensions(*each))


def certificate(*entries, context=b""):
    return message(HandshakeType.certificate, vector(1, context), vector(3, *entries))


def certificate_verify(signature=b"signature", algorithm=0x0403):
    return message(HandshakeType.certificate_verify, u16(algorithm), vector(2, signature))


def finished(verify_data=VERIFY_DATA):
    return message(HandshakeType.finished, verify_data)


def new_session_ticket(*each, nonce=b"\0\1", ticket=b"ticket"):
    return message(
        HandshakeType.new_session_ticket,
        u32(7200),
        u32(0xFEDCBA98),
        vector(1, nonce),
        vector(2, ticket),
        extensions(*each),
    )


def key_update(request_update=0):
    return message(HandshakeType.key_update, u8(request_update))


# The decoders take bytes and nothing derived from them.


def decode_client_hello(data):
    return messages.decode_client_hello(bytes(data))


def decode_server_hello(data):
    return messages.decode_server_hello(bytes(data))


def decode_encrypted_extensions(data):
    return messages.decode_encrypted_extensions(bytes(data))


def decode_certificate_request(data):
    return messages.decode_certificate_request(bytes(data))


def decode_certificate(data, maximum=10):
    return messages.decode_certificate(bytes(data), maximum)


def decode_certificate_verify(data):
    return messages.decode_certificate_verify(bytes(data))


def decode_finished(data, hash_length=32):
    return messages.decode_finished(bytes(data), hash_length)


def decode_new_session_ticket(data):
    return messages.decode_new_session_ticket(bytes(data))


def decode_key_update(data):
    return messages.decode_key_update(bytes(data))


UNKNOWN = [extension(code, b"anything") for code in (*GREASE, 0x4A4B, X.ec_point_formats)]
CLIENT_HELLO = client_hello(
    extension(X.server_name, vector(2, u8(0), vector(2, b"Example.COM"))),
    extension(GREASE[0]),
    extension(X.supported_versions, vector(1, u16(GREASE[1], 0x0304, 0x0303))),
    extension(X.supported_groups, vector(2, u16(0x001D, 0x0017))),
    SIGNATURE_ALGORITHMS,
    extension(X.signature_algorithms_cert, vector(2, u16(0x0401))),
    extension(X.key_share, vector(2, u16(0x001D), vector(2, b"share"))),
    extension(
        X.application_layer_protocol_negotiation,
        vector(2, vector(1, b"h2"), vector(1, b"http/1.1")),
    ),
    extension(X.cookie, vector(2, b"cookie")),
    extension(X.certificate_authorities, vector(2, vector(2, b"name"))),
    extension(X.post_handshake_auth),
    extension(X.early_data),
    extension(X.padding, bytes(20)),
    extension(X.psk_key_exchange_modes, vector(1, u8(1, 0))),
    extension(
        X.pre_shared_key,
        vector(2, vector(2, b"identity"), u32(7)),
        vector(2, vector(1, bytes(32))),
    ),
)
SERVER_HELLO = server_hello(
    extension(X.key_share, u16(0x001D), vector(2, b"share")), SELECTED_VERSION
)
RETRY = hello_retry_request(
    extension(X.key_share, u16(0x0017)), extension(X.cookie, vector(2, b"cookie")), SELECTED_VERSION
)
ENCRYPTED_EXTENSIONS = encrypted_extensions(
    extension(X.server_name),
    extension(X.supported_groups, vector(2, u16(0x001D, 0x0017))),
    extension(X.application_layer_protocol_negotiation, vector(2, vector(1, b"h2"))),
)
CERTIFICATE_REQUEST = certificate_request(
    SIGNATURE_ALGORITHMS,
    extension(X.signature_algorithms_cert, vector(2, u16(0x0401))),
    extension(X.certificate_authorities, vector(2, vector(2, b"name"))),
    context=b"context",
)
CERTIFICATE = certificate(
    entry(b"leaf", extension(X.status_request, b"ocsp")), entry(b"issuer"), context=b"context"
)
NEW_SESSION_TICKET = new_session_ticket(extension(X.early_data, u32(0x4000)))

# A full message of each type, with its decoder.
FULL = {
    "ClientHello": (decode_client_hello, CLIENT_HELLO),
    "ServerHello": (decode_server_hello, SERVER_HELLO),
    "HelloRetryRequest": (decode_server_hello, RETRY),
    "EncryptedExtensions": (decode_encrypted_extensions, ENCRYPTED_EXTENSIONS),
    "CertificateRequest": (decode_certificate_request, CERTIFICATE_REQUEST),
    "Certificate": (decode_certificate, CERTIFICATE),
    "CertificateVerify": (decode_certificate_verify, certificate_verify()),
    "Finished": (decode_finished, finished()),
    "NewSessionTicket": (decode_new_session_ticket, NEW_SESSION_TICKET),
    "KeyUpdate": (decode_key_update, key_update(1)),
}
of_full_messages = pytest.mark.parametrize(("decode", "data"), FULL.values(), ids=FULL)

# A message of each type with room for extensions, that decodes without any (or with one that must
# be there), and its decoder.
WITH_EXTENSIONS = {
    "ClientHello": (decode_client_hello, client_hello),
    "ServerHello": (decode_server_hello, server_hello),
    "HelloRetryRequest": (decode_server_hello, hello_retry_request),
    "EncryptedExtensions": (decode_encrypted_extensions, encrypted_extensions),
    "CertificateRequest": (
        decode_certificate_request,
        lambda *each: certificate_request(SIGNATURE_ALGORITHMS, *each),
    ),
    "Certificate": (decode_certificate, lambda *each: certificate(entry(b"leaf", *each))),
    "NewSessionTicket": (decode_new_session_ticket, new_session_ticket),
}
of_extension_blocks = pytest.mark.parametrize(
    ("decode", "make"), WITH_EXTENSIONS.values(), ids=WITH_EXTENSIONS
)


def fields(decoded):
    names = [name for name in dir(decoded) if not name.startswith("_")]
    return {name: getattr(decoded, name) for name in names}


# --- Valid messages, field by field


def test_client_hello():
    codes = (0, 43, 10, 13, 50, 51, 16, 44, 47, 49, 42, 21, 45, 41)
    assert fields(decode_client_hello(CLIENT_HELLO)) == {
        "legacy_version": 0x0303,
        "random": RANDOM,
        "legacy_session_id": SESSION_ID,
        "cipher_suites": CIPHER_SUITES,
        "legacy_compression_methods": b"\0",
        "server_name": "example.com",
        "supported_versions": u16(GREASE[1], 0x0304, 0x0303),
        "supported_groups": u16(0x001D, 0x0017),
        "signature_algorithms": u16(0x0403, 0x0804),
        "signature_algorithms_cert": u16(0x0401),
        "key_shares": join(u16(0x001D), vector(2, b"share")),
        "protocol_names": (b"h2", b"http/1.1"),
        "cookie": b"cookie",
        "psk_key_exchange_modes": b"\1\0",
        "certificate_authorities": vector(2, b"name"),
        "pre_shared_key": True,
        "early_data": True,
        "post_handshake_auth": True,
        "extension_types": sum(1 << code for code in codes),
    }


@pytest.mark.parametrize("block", [b"", extensions()], ids=["none", "empty"])
def test_client_hello_without_extensions(block):
    decoded = fields(decode_client_hello(client_hello(block=block, session_id=b"")))
    assert decoded.pop("legacy_version") == 0x0303
    assert decoded.pop("random") == RANDOM
    assert decoded.pop("legacy_session_id") == b""
    assert decoded.pop("cipher_suites") == CIPHER_SUITES
    assert decoded.pop("legacy_compression_methods") == b"\0"
    assert not any(decoded.values())


def test_client_hello_with_more_than_is_known():
    """RFC 8446, 4.1.2: unknown cipher suites and compression methods are not the decoder's."""
    suites = u16(GREASE[2], 0x00FF, 0x1301)
    hello = decode_client_hello(
        client_hello(legacy_version=0x0304, cipher_suites=suites, compression=b"\1\0")
    )
    assert hello.legacy_version == 0x0304
    assert hello.cipher_suites == suites
    assert hello.legacy_compression_methods == b"\1\0"


SERVER_HELLO_FIELDS = {
    "legacy_version": 0x0303,
    "random": RANDOM,
    "legacy_session_id_echo": SESSION_ID,
    "cipher_suite": 0x1301,
    "legacy_compression_method": 0,
    "is_hello_retry_request": False,
    "selected_version": 0x0304,
    "group": 0x001D,
    "key_exchange": b"share",
    "cookie": None,
    "selected_identity": -1,
    "extension_types": [51, 43],
}


def test_server_hello():
    assert fields(decode_server_hello(SERVER_HELLO)) == SERVER_HELLO_FIELDS


def test_hello_retry_request():
    assert fields(decode_server_hello(RETRY)) == SERVER_HELLO_FIELDS | {
        "random": RETRY_RANDOM,
        "is_hello_retry_request": True,
        "group": 0x0017,
        "key_exchange": None,
        "cookie": b"cookie",
        "extension_types": [51, 44, 43],
    }


def test_server_hello_with_a_psk():
    decoded = decode_server_hello(server_hello(extension(X.pre_shared_key, u16(0))))
    assert decoded.selected_identity == 0
    assert decoded.extension_types == [41]


@pytest.mark.parametrize("block", [b"", extensions()], ids=["none", "empty"])
def test_server_hello_of_an_earlier_version(block):
    decoded = decode_server_hello(server_hello(block=block))
    assert fields(decoded) == SERVER_HELLO_FIELDS | {
        "selected_version": -1,
        "group": -1,
        "key_exchange": None,
        "extension_types": [],
    }


def test_encrypted_extensions():
    assert fields(decode_encrypted_extensions(ENCRYPTED_EXTENSIONS)) == {
        "protocol_name": b"h2",
        "server_name": True,
        "supported_groups": u16(0x001D, 0x0017),
        "extension_types": [0, 10, 16],
    }
    assert fields(decode_encrypted_extensions(encrypted_extensions())) == {
        "protocol_name": None,
        "server_name": False,
        "supported_groups": None,
        "extension_types": [],
    }


def test_certificate_request():
    assert fields(decode_certificate_request(CERTIFICATE_REQUEST)) == {
        "certificate_request_context": b"context",
        "signature_algorithms": u16(0x0403, 0x0804),
        "signature_algorithms_cert": u16(0x0401),
        "certificate_authorities": vector(2, b"name"),
    }


def test_certificate():
    assert fields(decode_certificate(CERTIFICATE)) == {
        "certificate_request_context": b"context",
        "certificates": (b"leaf", b"issuer"),
        "extension_types": [5],
    }
    assert decode_certificate(certificate()).certificates == ()


def test_certificate_with_the_same_extension_in_two_entries():
    status = extension(X.status_request, b"ocsp")
    decoded = decode_certificate(certificate(entry(b"leaf", status), entry(b"issuer", status)))
    assert decoded.extension_types == [5, 5]


@pytest.mark.parametrize("signature", [b"", b"signature", bytes(0xFFFF)], ids=len)
def test_certificate_verify(signature):
    decoded = decode_certificate_verify(certificate_verify(signature))
    assert fields(decoded) == {"algorithm": 0x0403, "signature": signature}


@pytest.mark.parametrize("length", [32, 48])
def test_finished(length):
    assert decode_finished(finished(bytes(length)), length) == bytes(length)


def test_new_session_ticket():
    assert fields(decode_new_session_ticket(NEW_SESSION_TICKET)) == {
        "ticket_lifetime": 7200,
        "ticket_age_add": 0xFEDCBA98,
        "ticket_nonce": b"\0\1",
        "ticket": b"ticket",
        "max_early_data_size": 0x4000,
    }
    decoded = decode_new_session_ticket(new_session_ticket(nonce=b""))
    assert decoded.ticket_nonce == b""
    assert decoded.max_early_data_size == 0


@pytest.mark.parametrize("request_update", [0, 1])
def test_key_update(request_update):
    assert decode_key_update(key_update(request_update)) == request_update


@of_extension_blocks
def test_unknown_extensions_are_ignored(decode, make):
    with_unknown, without = fields(decode(make(*UNKNOWN))), fields(decode(make()))
    # Where an answer must not have what was not offered, the handshake looks at the types.
    with_unknown.pop("extension_types", None)
    without.pop("extension_types", None)
    assert with_unknown == without


# --- Encoding


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            messages.encode_server_hello(RANDOM, SESSION_ID, 0x1301, 0x001D, b"share"),
            SERVER_HELLO,
        ),
        (messages.encode_hello_retry_request(SESSION_ID, 0x1301, 0x0017, b"cookie"), RETRY),
        (
            messages.encode_hello_retry_request(b"", 0x1301, 0, b"cookie"),
            hello_retry_request(
                extension(X.cookie, vector(2, b"cookie")), SELECTED_VERSION, session_id=b""
            ),
        ),
        (
            messages.encode_hello_retry_request(SESSION_ID, 0x1301, 0x0017, None),
            hello_retry_request(extension(X.key_share, u16(0x0017)), SELECTED_VERSION),
        ),
        (messages.encode_encrypted_extensions(None), encrypted_extensions()),
        (
            messages.encode_encrypted_extensions(b"h2"),
            encrypted_extensions(
                extension(X.application_layer_protocol_negotiation, vector(2, vector(1, b"h2")))
            ),
        ),
        (
            messages.encode_certificate_request(b"context", (0x0403, 0x0804), (0x0401,)),
            certificate_request(
                SIGNATURE_ALGORITHMS,
                extension(X.signature_algorithms_cert, vector(2, u16(0x0401))),
                context=b"context",
            ),
        ),
        (
            messages.encode_certificate_request(b"", (0x0403, 0x0804), ()),
            certificate_request(SIGNATURE_ALGORITHMS),
        ),
        (messages.encode_certificate(b"", ()), certificate()),
        (
            messages.encode_certificate(b"context", [b"leaf", b"issuer"]),
            certificate(entry(b"leaf"), entry(b"issuer"), context=b"context"),
        ),
        (messages.encode_certificate_verify(0x0403, b"signature"), certificate_verify()),
        (messages.encode_finished(VERIFY_DATA), finished()),
        (messages.encode_key_update(False), key_update(0)),
        (messages.encode_key_update(True), key_update(1)),
        (messages.encode_message_hash(bytes(32)), message(HandshakeType.message_hash, bytes(32))),
    ],
)
def test_encode(made, expected):
    assert made == expected


@given(
    session_id=st.binary(max_size=32),
    share=st.binary(min_size=1, max_size=1200),
    group=st.integers(1, 0xFFFF),
    certificates=st.lists(st.binary(min_size=1, max_size=700), max_size=10),
)
@settings(deadline=None)
def test_what_was_encoded_decodes(session_id, share, group, certificates):
    encoded = messages.encode_server_hello(RANDOM, session_id, 0x1303, group, share)
    hello = decode_server_hello(encoded)
    assert (hello.legacy_session_id_echo, hello.cipher_suite) == (session_id, 0x1303)
    assert (hello.group, hello.key_exchange) == (group, share)
    encoded = messages.encode_hello_retry_request(session_id, 0x1303, group, share)
    request = decode_server_hello(encoded)
    assert (request.group, request.cookie, request.key_exchange) == (group, share, None)
    decoded = decode_certificate(messages.encode_certificate(share[:255], certificates))
    assert decoded.certificate_request_context == share[:255]
    assert decoded.certificates == tuple(certificates)


@pytest.mark.parametrize(
    "encode",
    [
        lambda: messages.encode_server_hello(RANDOM, bytes(256), 0x1301, 29, b"share"),
        lambda: messages.encode_server_hello(RANDOM, b"", 0x1301, 29, bytes(1 << 16)),
        lambda: messages.encode_server_hello(RANDOM, b"", 0x1301, 29, bytes(0xFFFF - 4)),
        lambda: messages.encode_hello_retry_request(b"", 0x1301, 29, bytes(1 << 16)),
        lambda: messages.encode_encrypted_extensions(bytes(256)),
        lambda: messages.encode_certificate_request(bytes(256), (1,), ()),
        lambda: messages.encode_certificate_request(b"", [1] * (1 << 15), ()),
        lambda: messages.encode_certificate(bytes(256), ()),
        lambda: messages.encode_certificate(b"", [bytes(1 << 24)]),
        lambda: messages.encode_certificate_verify(0x0403, bytes(1 << 16)),
        lambda: messages.encode_finished(bytes(1 << 24)),
    ],
)
def test_encoding_what_its_length_field_cannot_say_is_refused(encode):
    with pytest.raises(ValueError, match="longer than its length field"):
        encode()


# --- Wrong lengths, in every message


@of_full_messages
def test_truncated_message_is_refused(decode, data):
    for size in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:size])


@of_full_messages
def test_message_that_ends_early_is_refused(decode, data):
    """Its header says the length that it has."""
    may_end = set()
    if data[0] in (HandshakeType.client_hello, HandshakeType.server_hello):
        # In TLS 1.2 and earlier both may end where the extensions begin.
        may_end = {4 + 2 + 32 + 33 + (8 if data[0] == HandshakeType.client_hello else 3)}
    for size in range(4, len(data)):
        if size in may_end:
            assert decode(refitted(data[:size])).random == data[6:38]
            continue
        with pytest.raises(DecodeError):
            decode(refitted(data[:size]))


@of_full_messages
def test_trailing_bytes_are_refused(decode, data):
    for extra in (b"\0", b"\0\0\0\0", b"\xff" * 40):
        for changed in (data + extra, refitted(data + extra)):
            with pytest.raises(DecodeError):
                decode(changed)


@of_full_messages
def test_length_off_by_one_is_refused(decode, data):
    assert data.lengths
    for at, change, changed in with_lengths_off_by_one(data):
        with pytest.raises(TLSError) as refusal:
            pytest.fail(f"length at {at} changed by {change}: {fields(decode(changed))}")
        assert refusal.value.alert in (
            AlertDescription.decode_error,
            AlertDescription.illegal_parameter,
        )


@of_full_messages
def test_message_of_another_type_is_refused(decode, data):
    for code in set(range(256)) - {data[0]}:
        with pytest.raises(UnexpectedMessage):
            decode(u8(code) + data[1:])


# --- What else is refused


@of_extension_blocks
@pytest.mark.parametrize("code", [0x4A4B, X.status_request, X.early_data])
def test_duplicate_extension_is_refused(decode, make, code):
    once = extension(code, u32(1) if decode is decode_new_session_ticket else b"")
    with pytest.raises(IllegalParameter):
        decode(make(once, extension(GREASE[0]), once))


@of_extension_blocks
def test_more_extensions_than_the_limit_are_refused(decode, make):
    have = 1 if decode is decode_certificate_request else 0
    each = [extension(1000 + i) for i in range(MAX_EXTENSIONS + 1 - have)]
    decode(make(*each[:-1]))
    with pytest.raises(DecodeError):
        decode(make(*each))


ALPN_TWICE = extension(
    X.application_layer_protocol_negotiation, vector(2, vector(1, b"h2"), vector(1, b"h3"))
)
REFUSED = {
    "legacy_session_id of 33 bytes": (
        decode_client_hello,
        client_hello(session_id=bytes(33)),
        DecodeError,
    ),
    "no cipher_suites": (
        decode_client_hello,
        client_hello(cipher_suites=b""),
        DecodeError,
    ),
    "cipher_suites of one byte": (
        decode_client_hello,
        client_hello(cipher_suites=b"\x13"),
        DecodeError,
    ),
    "cipher_suites of three bytes": (
        decode_client_hello,
        client_hello(cipher_suites=b"\x13\1\x13"),
        DecodeError,
    ),
    "no compression method": (
        decode_client_hello,
        client_hello(compression=b""),
        DecodeError,
    ),
    "pre_shared_key that is not last": (
        decode_client_hello,
        client_hello(
            extension(
                X.pre_shared_key,
                vector(2, vector(2, b"identity"), u32(7)),
                vector(2, vector(1, bytes(32))),
            ),
            extension(GREASE[0]),
        ),
        IllegalParameter,
    ),
    "legacy_session_id_echo of 33 bytes": (
        decode_server_hello,
        server_hello(session_id=bytes(33)),
        DecodeError,
    ),
    "ServerHello with an empty share": (
        decode_server_hello,
        server_hello(extension(X.key_share, u16(29), vector(2))),
        DecodeError,
    ),
    "ServerHello with two shares": (
        decode_server_hello,
        server_hello(
            extension(X.key_share, u16(29), vector(2, b"a"), u16(23), vector(2, b"b")),
        ),
        DecodeError,
    ),
    "ServerHello with only a group": (
        decode_server_hello,
        server_hello(extension(X.key_share, u16(29))),
        DecodeError,
    ),
    "HelloRetryRequest with a share": (
        decode_server_hello,
        hello_retry_request(extension(X.key_share, u16(29), vector(2, b"share"))),
        DecodeError,
    ),
    "HelloRetryRequest with an empty cookie": (
        decode_server_hello,
        hello_retry_request(extension(X.cookie, vector(2))),
        DecodeError,
    ),
    "selected_version of three bytes": (
        decode_server_hello,
        server_hello(extension(X.supported_versions, b"\3\4\0")),
        DecodeError,
    ),
    "selected_identity of three bytes": (
        decode_server_hello,
        server_hello(extension(X.pre_shared_key, b"\0\0\0")),
        DecodeError,
    ),
    "server_name answer with data": (
        decode_encrypted_extensions,
        encrypted_extensions(extension(X.server_name, b"\0")),
        DecodeError,
    ),
    "two chosen application protocols": (
        decode_encrypted_extensions,
        encrypted_extensions(ALPN_TWICE),
        DecodeError,
    ),
    "no chosen application protocol": (
        decode_encrypted_extensions,
        encrypted_extensions(extension(X.application_layer_protocol_negotiation, vector(2))),
        DecodeError,
    ),
    "empty chosen application protocol": (
        decode_encrypted_extensions,
        encrypted_extensions(
            extension(X.application_layer_protocol_negotiation, vector(2, vector(1)))
        ),
        DecodeError,
    ),
    "CertificateRequest without extensions": (
        decode_certificate_request,
        certificate_request(),
        MissingExtension,
    ),
    "CertificateRequest without signature_algorithms": (
        decode_certificate_request,
        certificate_request(extension(X.signature_algorithms_cert, vector(2, u16(0x0401)))),
        MissingExtension,
    ),
    "empty certificate": (
        decode_certificate,
        certificate(entry(b"leaf"), entry(b"")),
        DecodeError,
    ),
    "Finished of another hash": (decode_finished, finished(bytes(48)), DecodeError),
    "empty Finished": (decode_finished, finished(b""), DecodeError),
    "empty ticket": (
        decode_new_session_ticket,
        new_session_ticket(ticket=b""),
        DecodeError,
    ),
    "max_early_data_size of three bytes": (
        decode_new_session_ticket,
        new_session_ticket(extension(X.early_data, bytes(3))),
        DecodeError,
    ),
    "max_early_data_size of five bytes": (
        decode_new_session_ticket,
        new_session_ticket(extension(X.early_data, bytes(5))),
        DecodeError,
    ),
    "request_update 2": (decode_key_update, key_update(2), IllegalParameter),
    "request_update 255": (decode_key_update, key_update(255), IllegalParameter),
    "empty KeyUpdate": (
        decode_key_update,
        message(HandshakeType.key_update),
        DecodeError,
    ),
    "KeyUpdate of two bytes": (
        decode_key_update,
        message(HandshakeType.key_update, b"\0\0"),
        DecodeError,
    ),
}


@pytest.mark.parametrize(("decode", "data", "error"), REFUSED.values(), ids=REFUSED)
def test_is_refused(decode, data, error):
    with pytest.raises(error) as refusal:
        decode(data)
    assert type(refusal.value) is error
    assert refusal.value.alert == error.default_alert


@pytest.mark.parametrize("maximum", [1, 3])
def test_chain_longer_than_the_limit_is_refused(maximum):
    entries = [entry()] * (maximum + 1)
    assert len(decode_certificate(certificate(*entries[1:]), maximum).certificates) == maximum
    with pytest.raises(CertificateError) as refusal:
        decode_certificate(certificate(*entries), maximum)
    assert refusal.value.alert == AlertDescription.bad_certificate
    assert refusal.value.verify_code == 22


# --- Anything at all

PROPER_ALERTS = {
    AlertDescription.decode_error,
    AlertDescription.illegal_parameter,
    AlertDescription.missing_extension,
    AlertDescription.unexpected_message,
    AlertDescription.bad_certificate,
}


def decodes_or_is_refused(decode, data):
    try:
        decode(data)
    except TLSError as error:
        assert error.alert in PROPER_ALERTS  # noqa: PT017


@of_full_messages
@given(body=st.binary(max_size=300), correct=st.booleans())
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_decode_or_are_refused(decode, data, body, correct):
    decodes_or_is_refused(decode, message(data[0], body) if correct else body)


@of_full_messages
@given(draw=st.data())
@settings(max_examples=100, deadline=None)
def test_mutated_messages_decode_or_are_refused(decode, data, draw):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(4, len(changed) - 1))
        size = draw.draw(st.integers(0, 3))
        changed[at : at + size] = draw.draw(st.binary(max_size=3))
        if len(changed) < 5:
            break
    decodes_or_is_refused(decode, refitted(bytes(changed)))
