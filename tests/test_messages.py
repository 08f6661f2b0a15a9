"""Handshake messages: what decodes to what, and what they are encoded to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_samples import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CIPHER_SUITES,
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    NEW_SESSION_TICKET,
    RANDOM,
    RETRY,
    RETRY_RANDOM,
    SELECTED_VERSION,
    SERVER_HELLO,
    SESSION_ID,
    SIGNATURE_ALGORITHMS,
    UNKNOWN,
    VERIFY_DATA,
    X,
    certificate,
    certificate_request,
    certificate_status,
    certificate_verify,
    client_hello,
    compressed_certificate,
    decode_certificate,
    decode_certificate_request,
    decode_certificate_verify,
    decode_client_hello,
    decode_compressed_certificate,
    decode_encrypted_extensions,
    decode_end_of_early_data,
    decode_finished,
    decode_key_update,
    decode_new_session_ticket,
    decode_server_hello,
    encrypted_extensions,
    end_of_early_data,
    entry,
    fields,
    finished,
    hello_retry_request,
    key_update,
    new_session_ticket,
    of_extension_blocks,
    server_hello,
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

from fasths.wire import messages
from fasths.wire.codes import HandshakeType

# --- Valid messages, field by field


def test_client_hello():
    codes = (
        0,
        43,
        10,
        13,
        50,
        51,
        16,
        44,
        47,
        5,
        18,
        27,
        19,
        20,
        28,
        49,
        42,
        21,
        35,
        23,
        11,
        45,
        41,
    )
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
        "status_request": True,
        "signed_certificate_timestamp": True,
        "compress_certificate": u16(2, 1),
        "client_certificate_types": b"\0",
        "server_certificate_types": b"\2\0",
        "record_size_limit": 0x4001,
        "session_ticket": b"ticket",
        "extended_master_secret": True,
        "renegotiation_info": b"",
        "ec_point_formats": b"\0\1",
        "psk_identities": [(b"identity", 7)],
        "psk_binders": [bytes(32)],
        "psk_binders_size": 2 + 1 + 32,
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
    assert decoded.pop("record_size_limit") == -1
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
        "early_data": True,
        "client_certificate_type": 0,
        "server_certificate_type": 2,
        "record_size_limit": 0x0400,
        "extension_types": [0, 10, 16, 42, 19, 20, 28],
    }
    assert fields(decode_encrypted_extensions(encrypted_extensions())) == {
        "protocol_name": None,
        "server_name": False,
        "supported_groups": None,
        "early_data": False,
        "client_certificate_type": -1,
        "server_certificate_type": -1,
        "record_size_limit": -1,
        "extension_types": [],
    }


def test_certificate_request():
    assert fields(decode_certificate_request(CERTIFICATE_REQUEST)) == {
        "certificate_request_context": b"context",
        "certificate_types": None,
        "signature_algorithms": u16(0x0403, 0x0804),
        "signature_algorithms_cert": u16(0x0401),
        "certificate_authorities": vector(2, b"name"),
        "compress_certificate": u16(3),
        "status_request": True,
        "signed_certificate_timestamp": True,
    }
    assert fields(decode_certificate_request(certificate_request(SIGNATURE_ALGORITHMS))) == {
        "certificate_request_context": b"",
        "certificate_types": None,
        "signature_algorithms": u16(0x0403, 0x0804),
        "signature_algorithms_cert": None,
        "certificate_authorities": None,
        "compress_certificate": None,
        "status_request": False,
        "signed_certificate_timestamp": False,
    }


def test_certificate():
    assert fields(decode_certificate(CERTIFICATE)) == {
        "certificate_request_context": b"context",
        "certificates": (b"leaf", b"issuer"),
        "extension_types": [5, 18],
        "ocsp_response": b"response",
        "signed_certificate_timestamps": (b"first", b"second"),
    }
    assert fields(decode_certificate(certificate())) == {
        "certificate_request_context": b"",
        "certificates": (),
        "extension_types": [],
        "ocsp_response": None,
        "signed_certificate_timestamps": None,
    }


def test_certificate_with_the_same_extensions_in_two_entries():
    """The fields are those of the leaf."""
    leaf = entry(b"leaf", certificate_status(b"of the leaf"), timestamps(b"leaf's"))
    issuer = entry(b"issuer", certificate_status(b"of the issuer"), timestamps(b"issuer's"))
    decoded = decode_certificate(certificate(leaf, issuer))
    assert decoded.extension_types == [5, 18, 5, 18]
    assert decoded.ocsp_response == b"of the leaf"
    assert decoded.signed_certificate_timestamps == (b"leaf's",)
    decoded = decode_certificate(certificate(entry(b"leaf"), issuer))
    assert decoded.extension_types == [5, 18]
    assert decoded.ocsp_response is decoded.signed_certificate_timestamps is None


@pytest.mark.parametrize("compressed", [b"c", b"compressed", bytes(1 << 17)], ids=len)
def test_compressed_certificate(compressed):
    assert fields(decode_compressed_certificate(compressed_certificate(compressed))) == {
        "algorithm": 1,
        "uncompressed_length": 0x012345,
        "compressed_certificate_message": compressed,
    }
    greatest = decode_compressed_certificate(compressed_certificate(b"c", 0xFFFF, 0xFFFFFF))
    assert (greatest.algorithm, greatest.uncompressed_length) == (0xFFFF, 0xFFFFFF)


@pytest.mark.parametrize("signature", [b"", b"signature", bytes(0xFFFF)], ids=len)
def test_certificate_verify(signature):
    decoded = decode_certificate_verify(certificate_verify(signature))
    assert fields(decoded) == {"algorithm": 0x0403, "signature": signature}


@pytest.mark.parametrize("length", [32, 48])
def test_finished(length):
    assert decode_finished(finished(bytes(length)), length) == bytes(length)


def test_end_of_early_data():
    assert decode_end_of_early_data(end_of_early_data()) == 0


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
    decoded = decode_new_session_ticket(
        new_session_ticket(
            extension(X.early_data, u32(0xFFFFFFFF)), nonce=bytes(255), ticket=bytes(0xFFFF)
        )
    )
    assert decoded.max_early_data_size == 0xFFFFFFFF
    assert (len(decoded.ticket_nonce), len(decoded.ticket)) == (255, 0xFFFF)


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
        (
            messages.encode_server_hello(RANDOM, SESSION_ID, 0x1301, 0x001D, b"share", 3),
            server_hello(
                extension(X.key_share, u16(0x001D), vector(2, b"share")),
                SELECTED_VERSION,
                extension(X.pre_shared_key, u16(3)),
            ),
        ),
        # psk_ke: a key without a key exchange.
        (
            messages.encode_server_hello(RANDOM, SESSION_ID, 0x1301, 0, b"", 0),
            server_hello(SELECTED_VERSION, extension(X.pre_shared_key, u16(0))),
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
            messages.encode_encrypted_extensions(b"h2", True, 0, 2, 0x4001),
            encrypted_extensions(
                extension(X.application_layer_protocol_negotiation, vector(2, vector(1, b"h2"))),
                extension(X.early_data),
                extension(X.client_certificate_type, u8(0)),
                extension(X.server_certificate_type, u8(2)),
                extension(X.record_size_limit, u16(0x4001)),
            ),
        ),
        (
            messages.encode_certificate_request(
                b"", (0x0403, 0x0804), (), (b"name", b"other"), (2, 1), True
            ),
            certificate_request(
                SIGNATURE_ALGORITHMS,
                extension(
                    X.certificate_authorities, vector(2, vector(2, b"name"), vector(2, b"other"))
                ),
                extension(X.compress_certificate, vector(1, u16(2, 1))),
                extension(X.status_request),
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
        (
            messages.encode_certificate(
                b"context", [b"leaf", b"issuer"], b"response", (b"first", b"second")
            ),
            CERTIFICATE,
        ),
        (
            messages.encode_certificate(b"", [b"leaf"], None, [b"timestamp"]),
            certificate(entry(b"leaf", timestamps(b"timestamp"))),
        ),
        (
            messages.encode_compressed_certificate(1, 0x012345, b"compressed"),
            compressed_certificate(),
        ),
        (messages.certificate_message(bytes(CERTIFICATE[4:])), CERTIFICATE),
        (messages.encode_end_of_early_data(), end_of_early_data()),
        (
            messages.encode_new_session_ticket(7200, 0xFEDCBA98, b"\0\1", b"ticket", 0x4000),
            NEW_SESSION_TICKET,
        ),
        (
            messages.encode_new_session_ticket(7200, 0xFEDCBA98, b"\0\1", b"ticket", 0),
            new_session_ticket(),
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
    numbers=st.tuples(*[st.integers(0, 0xFFFFFFFF)] * 3),
)
@settings(deadline=None)
def test_what_was_encoded_decodes(session_id, share, group, certificates, numbers):
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
    if certificates:
        decoded = decode_certificate(
            messages.encode_certificate(b"", certificates, share, certificates)
        )
        assert decoded.ocsp_response == share
        assert decoded.signed_certificate_timestamps == tuple(certificates)
    lifetime, age_add, max_early_data_size = numbers
    ticket = decode_new_session_ticket(
        messages.encode_new_session_ticket(
            lifetime, age_add, session_id, share, max_early_data_size
        )
    )
    assert (ticket.ticket_lifetime, ticket.ticket_age_add) == (lifetime, age_add)
    assert (ticket.ticket_nonce, ticket.ticket) == (session_id, share)
    assert ticket.max_early_data_size == max_early_data_size


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
        lambda: messages.encode_certificate(b"", [b"leaf"], bytes(1 << 16)),
        lambda: messages.encode_certificate(b"", [b"leaf"], None, [bytes(1 << 16)]),
        lambda: messages.encode_certificate(b"", [b"leaf"], None, [bytes(1 << 15)] * 2),
        lambda: messages.encode_certificate_request(b"", (1,), (), [bytes(1 << 16)]),
        lambda: messages.encode_certificate_request(b"", (1,), (), (), range(128)),
        lambda: messages.encode_compressed_certificate(1, 5, bytes(1 << 24)),
        lambda: messages.certificate_message(bytes(1 << 24)),
        lambda: messages.encode_new_session_ticket(1, 1, bytes(256), b"ticket", 0),
        lambda: messages.encode_new_session_ticket(1, 1, b"", bytes(1 << 16), 0),
        lambda: messages.encode_certificate_verify(0x0403, bytes(1 << 16)),
        lambda: messages.encode_finished(bytes(1 << 24)),
    ],
)
def test_encoding_what_its_length_field_cannot_say_is_refused(encode):
    with pytest.raises(ValueError, match="longer than its length field"):
        encode()
