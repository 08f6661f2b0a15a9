"""Handshake messages made by hand: builders, and a full message of each type with its decoder."""

from __future__ import annotations

import pytest
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

from fasths.wire import messages, messages12
from fasths.wire.codes import ExtensionType, HandshakeType

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


def certificate_status(response=b"response", status_type=1):
    """CertificateStatus (RFC 6066, 8), an extension of a certificate."""
    return extension(X.status_request, u8(status_type), vector(3, response))


def timestamps(*each):
    """SignedCertificateTimestampList (RFC 6962, 3.3)."""
    return extension(X.signed_certificate_timestamp, vector(2, *(vector(2, sct) for sct in each)))


def compressed_certificate(compressed=b"compressed", algorithm=1, uncompressed_length=0x012345):
    return message(
        HandshakeType.compressed_certificate,
        u16(algorithm),
        uncompressed_length.to_bytes(3, "big"),
        vector(3, compressed),
    )


def certificate_verify(signature=b"signature", algorithm=0x0403):
    return message(HandshakeType.certificate_verify, u16(algorithm), vector(2, signature))


def finished(verify_data=VERIFY_DATA):
    return message(HandshakeType.finished, verify_data)


def end_of_early_data():
    return message(HandshakeType.end_of_early_data)


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


# The messages of TLS 1.2 that are other than those above.


def server_hello_12(*each, version=0x0303, session_id=SESSION_ID, compression=0, block=None):
    return message(
        HandshakeType.server_hello,
        u16(version),
        RANDOM,
        vector(1, session_id),
        u16(0xC02B),
        u8(compression),
        extensions(*each) if block is None else block,
    )


def certificate_12(*certificates):
    return message(
        HandshakeType.certificate, vector(3, *(vector(3, each) for each in certificates))
    )


def raw_public_key_12(public_key_info=b"public key"):
    return message(HandshakeType.certificate, vector(3, public_key_info))


def certificate_status_message(response=b"response", status_type=1):
    return message(HandshakeType.certificate_status, u8(status_type), vector(3, response))


def server_ecdh_params(group=0x001D, public=b"share"):
    return join(u8(3), u16(group), vector(1, public))


def server_key_exchange(params=None, algorithm=0x0403, signature=b"signature"):
    params = server_ecdh_params() if params is None else params
    return message(HandshakeType.server_key_exchange, params, u16(algorithm), vector(2, signature))


def certificate_request_12(types=b"\x40\1", algorithms=(0x0403, 0x0401), authorities=(b"name",)):
    return message(
        HandshakeType.certificate_request,
        vector(1, types),
        vector(2, u16(*algorithms)),
        vector(2, *(vector(2, name) for name in authorities)),
    )


def server_hello_done():
    return message(HandshakeType.server_hello_done)


def client_key_exchange(public=b"share"):
    return message(HandshakeType.client_key_exchange, vector(1, public))


def new_session_ticket_12(ticket=b"ticket", ticket_lifetime_hint=7200):
    return message(HandshakeType.new_session_ticket, u32(ticket_lifetime_hint), vector(2, ticket))


def hello_request():
    return message(HandshakeType.hello_request)


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


def decode_compressed_certificate(data):
    return messages.decode_compressed_certificate(bytes(data))


def decode_certificate_verify(data):
    return messages.decode_certificate_verify(bytes(data))


def decode_finished(data, hash_length=32):
    return messages.decode_finished(bytes(data), hash_length)


def decode_end_of_early_data(data):
    return messages.decode_end_of_early_data(bytes(data))


def decode_new_session_ticket(data):
    return messages.decode_new_session_ticket(bytes(data))


def decode_key_update(data):
    return messages.decode_key_update(bytes(data))


def decode_server_hello_12(data):
    return messages12.decode_server_hello_12(bytes(data))


def decode_certificate_12(data, maximum=10):
    return messages12.decode_certificate_12(bytes(data), maximum)


def decode_raw_public_key_12(data):
    return messages12.decode_raw_public_key_12(bytes(data))


def decode_certificate_status_message(data):
    return messages12.decode_certificate_status_message(bytes(data))


def decode_server_key_exchange(data):
    return messages12.decode_server_key_exchange(bytes(data))


def decode_certificate_request_12(data):
    return messages12.decode_certificate_request_12(bytes(data))


def decode_server_hello_done(data):
    return messages12.decode_server_hello_done(bytes(data))


def decode_client_key_exchange(data):
    return messages12.decode_client_key_exchange(bytes(data))


def decode_new_session_ticket_12(data):
    return messages12.decode_new_session_ticket_12(bytes(data))


def decode_hello_request(data):
    return messages12.decode_hello_request(bytes(data))


UNKNOWN = [extension(code, b"anything") for code in (*GREASE, 0x4A4B, X.quic_transport_parameters)]
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
    extension(X.status_request, u8(1), vector(2), vector(2)),
    extension(X.signed_certificate_timestamp),
    extension(X.compress_certificate, vector(1, u16(2, 1))),
    extension(X.client_certificate_type, vector(1, u8(0))),
    extension(X.server_certificate_type, vector(1, u8(2, 0))),
    extension(X.record_size_limit, u16(0x4001)),
    extension(X.post_handshake_auth),
    extension(X.early_data),
    extension(X.padding, bytes(20)),
    extension(X.session_ticket, b"ticket"),
    extension(X.extended_master_secret),
    extension(X.renegotiation_info, vector(1)),
    extension(X.ec_point_formats, vector(1, u8(0, 1))),
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
    extension(X.early_data),
    extension(X.client_certificate_type, u8(0)),
    extension(X.server_certificate_type, u8(2)),
    extension(X.record_size_limit, u16(0x0400)),
)
CERTIFICATE_REQUEST = certificate_request(
    SIGNATURE_ALGORITHMS,
    extension(X.signature_algorithms_cert, vector(2, u16(0x0401))),
    extension(X.certificate_authorities, vector(2, vector(2, b"name"))),
    extension(X.compress_certificate, vector(1, u16(3))),
    extension(X.status_request),
    extension(X.signed_certificate_timestamp),
    context=b"context",
)
CERTIFICATE = certificate(
    entry(b"leaf", certificate_status(), timestamps(b"first", b"second")),
    entry(b"issuer"),
    context=b"context",
)
NEW_SESSION_TICKET = new_session_ticket(extension(X.early_data, u32(0x4000)))
SERVER_HELLO_12 = server_hello_12(
    extension(X.renegotiation_info, vector(1, b"connection")),
    extension(X.server_name),
    extension(X.extended_master_secret),
    extension(X.session_ticket),
    extension(X.status_request),
    extension(X.ec_point_formats, vector(1, u8(0, 1, 2))),
    extension(X.application_layer_protocol_negotiation, vector(2, vector(1, b"h2"))),
    timestamps(b"first", b"second"),
    extension(X.record_size_limit, u16(0x0400)),
    extension(X.client_certificate_type, u8(0)),
    extension(X.server_certificate_type, u8(2)),
)

# A full message of each type, with its decoder.
FULL = {
    "ClientHello": (decode_client_hello, CLIENT_HELLO),
    "ServerHello": (decode_server_hello, SERVER_HELLO),
    "HelloRetryRequest": (decode_server_hello, RETRY),
    "EncryptedExtensions": (decode_encrypted_extensions, ENCRYPTED_EXTENSIONS),
    "CertificateRequest": (decode_certificate_request, CERTIFICATE_REQUEST),
    "Certificate": (decode_certificate, CERTIFICATE),
    "CompressedCertificate": (decode_compressed_certificate, compressed_certificate()),
    "CertificateVerify": (decode_certificate_verify, certificate_verify()),
    "Finished": (decode_finished, finished()),
    "EndOfEarlyData": (decode_end_of_early_data, end_of_early_data()),
    "NewSessionTicket": (decode_new_session_ticket, NEW_SESSION_TICKET),
    "KeyUpdate": (decode_key_update, key_update(1)),
    "ServerHello of TLS 1.2": (decode_server_hello_12, SERVER_HELLO_12),
    "Certificate of TLS 1.2": (decode_certificate_12, certificate_12(b"leaf", b"issuer")),
    "raw public key of TLS 1.2": (decode_raw_public_key_12, raw_public_key_12()),
    "CertificateStatus": (decode_certificate_status_message, certificate_status_message()),
    "ServerKeyExchange": (decode_server_key_exchange, server_key_exchange()),
    "CertificateRequest of TLS 1.2": (decode_certificate_request_12, certificate_request_12()),
    "ServerHelloDone": (decode_server_hello_done, server_hello_done()),
    "ClientKeyExchange": (decode_client_key_exchange, client_key_exchange()),
    "NewSessionTicket of TLS 1.2": (decode_new_session_ticket_12, new_session_ticket_12()),
    "HelloRequest": (decode_hello_request, hello_request()),
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
