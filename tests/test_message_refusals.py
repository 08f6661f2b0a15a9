"""Handshake messages that do not parse, or say what they must not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_samples import (
    SIGNATURE_ALGORITHMS,
    X,
    certificate,
    certificate_request,
    certificate_status,
    client_hello,
    compressed_certificate,
    decode_certificate,
    decode_certificate_request,
    decode_client_hello,
    decode_compressed_certificate,
    decode_encrypted_extensions,
    decode_end_of_early_data,
    decode_finished,
    decode_key_update,
    decode_new_session_ticket,
    decode_server_hello,
    encrypted_extensions,
    entry,
    fields,
    finished,
    hello_retry_request,
    key_update,
    new_session_ticket,
    of_extension_blocks,
    of_full_messages,
    server_hello,
    timestamps,
)
from wire_format import (
    GREASE,
    extension,
    message,
    refitted,
    u8,
    u16,
    u32,
    vector,
    with_lengths_off_by_one,
)

from fasths.wire.codes import AlertDescription, HandshakeType
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    IllegalParameter,
    MissingExtension,
    TLSError,
    UnexpectedMessage,
)
from fasths.wire.limits import MAX_EXTENSIONS

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


# What an extension holds where it is not empty.
STATUS_REQUEST = extension(X.status_request, u8(1), vector(2), vector(2))
NOT_EMPTY = {
    (decode_client_hello, X.status_request): STATUS_REQUEST,
    (decode_certificate, X.status_request): certificate_status(),
    (decode_certificate, X.signed_certificate_timestamp): timestamps(b"timestamp"),
    (decode_new_session_ticket, X.early_data): extension(X.early_data, u32(1)),
}


@of_extension_blocks
@pytest.mark.parametrize(
    "code", [0x4A4B, X.status_request, X.signed_certificate_timestamp, X.early_data]
)
def test_duplicate_extension_is_refused(decode, make, code):
    once = NOT_EMPTY.get((decode, code), extension(code))
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
    "early_data answer with data": (
        decode_encrypted_extensions,
        encrypted_extensions(extension(X.early_data, u32(1))),
        DecodeError,
    ),
    **{
        f"{code.name} answer of {size} bytes": (
            decode_encrypted_extensions,
            encrypted_extensions(extension(code, bytes([0x40] * size))),
            DecodeError,
        )
        for code, sizes in {
            X.client_certificate_type: (0, 2),
            X.server_certificate_type: (0, 2),
            X.record_size_limit: (0, 1, 3),
        }.items()
        for size in sizes
    },
    **{
        f"record_size_limit {limit} in EncryptedExtensions": (
            decode_encrypted_extensions,
            encrypted_extensions(extension(X.record_size_limit, u16(limit))),
            IllegalParameter,
        )
        for limit in (0, 63)
    },
    **{
        f"compress_certificate of {size} bytes in CertificateRequest": (
            decode_certificate_request,
            certificate_request(
                SIGNATURE_ALGORITHMS, extension(X.compress_certificate, vector(1, bytes(size)))
            ),
            DecodeError,
        )
        for size in (0, 1, 3)
    },
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
    **{
        f"certificate status of type {status_type}": (
            decode_certificate,
            certificate(entry(b"leaf", certificate_status(status_type=status_type))),
            DecodeError,
        )
        for status_type in (0, 2, 255)
    },
    "empty certificate status": (
        decode_certificate,
        certificate(entry(b"leaf", extension(X.status_request))),
        DecodeError,
    ),
    "empty OCSP response": (
        decode_certificate,
        certificate(entry(b"leaf", certificate_status(b""))),
        DecodeError,
    ),
    "OCSP response with more behind": (
        decode_certificate,
        certificate(entry(b"leaf", extension(X.status_request, u8(1), vector(3, b"a"), b"\0"))),
        DecodeError,
    ),
    "empty OCSP response of an issuer": (
        decode_certificate,
        certificate(entry(b"leaf"), entry(b"issuer", certificate_status(b""))),
        DecodeError,
    ),
    "no list of timestamps": (
        decode_certificate,
        certificate(entry(b"leaf", extension(X.signed_certificate_timestamp))),
        DecodeError,
    ),
    "no timestamps": (decode_certificate, certificate(entry(b"leaf", timestamps())), DecodeError),
    "empty timestamp": (
        decode_certificate,
        certificate(entry(b"leaf", timestamps(b"first", b""))),
        DecodeError,
    ),
    "timestamps with more behind": (
        decode_certificate,
        certificate(
            entry(
                b"leaf",
                extension(X.signed_certificate_timestamp, vector(2, vector(2, b"a")), b"\0"),
            )
        ),
        DecodeError,
    ),
    "CompressedCertificate of no bytes": (
        decode_compressed_certificate,
        compressed_certificate(b""),
        DecodeError,
    ),
    "empty CompressedCertificate": (
        decode_compressed_certificate,
        message(HandshakeType.compressed_certificate),
        DecodeError,
    ),
    "EndOfEarlyData of one byte": (
        decode_end_of_early_data,
        message(HandshakeType.end_of_early_data, b"\0"),
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
        at = draw.draw(st.integers(4, len(changed)))
        size = draw.draw(st.integers(0, 3))
        changed[at : at + size] = draw.draw(st.binary(max_size=3))
    decodes_or_is_refused(decode, refitted(bytes(changed)))
