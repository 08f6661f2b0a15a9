"""What both roles refuse of what goes with certificates.

Compression (RFC 8879), OCSP responses and timestamps (RFC 8446, 4.4.2.1; RFC 6066, 8; RFC 6962,
3.3) and record_size_limit (RFC 8449). Raw public keys are in test_certificate_types.
"""

from __future__ import annotations

import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import pki
import pytest
from refusals import (
    assert_established,
    assert_refuses,
    case,
    changed,
    check,
    client_of,
    credential,
    established,
    identity,
    in_certificate,
    server_of,
)
from scripted_certificates import (
    BROTLI,
    ZLIB,
    certificate_status,
    compressed,
    timestamp_list,
)
from scripted_keys import CLIENT_CONTEXT, SERVER_CONTEXT
from scripted_messages import Certificate, CompressedCertificate, u16, vector
from scripted_peer import (
    MAX_PLAINTEXT,
    Refused,
    Silence,
    all_of,
    before,
    cut,
    instead,
    put,
    with_extension,
)

import fasths
from fasths import AlertDescription, ExtensionType, Limits, StaplePolicy, Verify
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    DecryptError,
    IllegalParameter,
    RecordOverflow,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
UNKNOWN = 0xFAFA
REQUIRED = {"verify": Verify.REQUIRED}
LEAF = credential().chain_der[0]
both_roles = pytest.mark.parametrize("role", ["client", "server"])

CERTIFICATE_ALERTS = {
    AlertDescription.bad_certificate,
    AlertDescription.unsupported_certificate,
    AlertDescription.certificate_unknown,
    AlertDescription.unknown_ca,
}


def options_of(role: str, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(settings, options of the peer) with which the peer's Certificate is asked for."""
    if role == "client":
        return settings, {}
    return {**REQUIRED, **settings}, {"credential": credential()}


def check_either(case: Any, role: str, **settings: Any) -> Any:
    """Play the case against a connection of this role that asks for a certificate."""
    case.context, options = options_of(role, {**case.context, **settings})
    case.options = {**options, **case.options}
    return check(case, role)


def assert_refuses_certificate(peer: Any) -> None:
    """With any of the alerts that mean a certificate (RFC 8446, 6.2)."""
    with suppress(Refused, Silence):
        peer.handshake()
    alert = peer.connection.last_error.alert
    assert alert in CERTIFICATE_ALERTS
    assert_refuses(peer, CertificateError, alert=alert)


# --- CompressedCertificate (RFC 8879, 4)

ZLIB_ONLY = {"certificate_compression": ("zlib",)}


def of(message: Certificate, **changes: Any) -> CompressedCertificate:
    """The message, compressed, with changes."""
    made = compressed(ZLIB, message)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def compression(name: str, error: Any, *edits: Any, **options: Any) -> Any:
    """A change of what is compressed well."""
    return case(name, error, "compressed_certificate", all_of(*edits), compress=ZLIB, **options)


def data(change: Any) -> Any:
    return put(compressed_certificate_message=change)


def recompressed(change: Any) -> Any:
    """Another Certificate message inside, of another length."""

    def edit(peer: Any, message: Any) -> None:
        body = change(zlib.decompress(message.compressed_certificate_message))
        message.uncompressed_length = len(body)
        message.compressed_certificate_message = zlib.compress(body)

    return edit


COMPRESSION = [
    *(
        compression(f"algorithm {code:#06x}", IllegalParameter, put(algorithm=code))
        for code in (0, BROTLI, 3, 4, UNKNOWN)
    ),
    compression("length too small", CertificateError,
                put(uncompressed_length=lambda old: old - 1)),
    compression("length too great", CertificateError,
                put(uncompressed_length=lambda old: old + 1)),
    compression("length of 0", CertificateError, put(uncompressed_length=0)),
    compression("length beyond the limit", CertificateError,
                put(uncompressed_length=(1 << 24) - 1)),
    compression("not compressed", CertificateError,
                data(lambda old: zlib.decompress(old))),
    compression("changed", CertificateError, data(lambda old: changed(old, len(old) // 2))),
    compression("checksum changed", CertificateError, data(changed)),
    compression("cut", CertificateError, data(lambda old: old[:-1])),
    compression("cut in the middle", CertificateError, data(lambda old: old[: len(old) // 2])),
    compression("with more behind", CertificateError, data(lambda old: old + b"\0")),
    compression("doubled", CertificateError, data(lambda old: old + old)),
    compression("deflate without a header", CertificateError, data(lambda old: old[2:-4])),
    compression("of one byte", CertificateError, data(b"x")),
    compression("of no bytes", DecodeError, data(b"")),
    *(compression(f"message cut to {size}", DecodeError, cut(size)) for size in (0, 1, 4, 7, 20)),
    compression("with a trailing byte", DecodeError, put(trailing=b"\0")),
    # RFC 8879, 5: what is inside is judged as if it had not been compressed.
    compression("Certificate cut", DecodeError, recompressed(lambda body: body[:-1])),
    compression("Certificate with more behind", DecodeError,
                recompressed(lambda body: body + b"\0")),
    compression("Certificate with a header", DecodeError,
                recompressed(lambda body: b"\x0b" + vector(3, body))),
    compression("Certificate with a context", IllegalParameter,
                recompressed(lambda body: b"\1c" + body[1:])),
    compression("compressed twice", DecodeError, recompressed(zlib.compress)),
]  # fmt: skip


@both_roles
@pytest.mark.parametrize("case", COMPRESSION)
def test_compressed_certificate(case, role):
    context, options = options_of(role, {**case.context, **ZLIB_ONLY})
    peer = (client_of if role == "client" else server_of)(
        context, at=case.at, **{**options, **case.options}
    )
    assert_refuses(peer, case.error, peer.handshake)


@both_roles
def test_compressed_certificate_beyond_the_limit_is_refused(role):
    # RFC 8879, 5: the limit is the one of a Certificate that is not compressed.
    limits = Limits(max_handshake_message_size=1000)
    context, options = options_of(role, {**ZLIB_ONLY, "limits": limits})
    for count, error in ((5, CertificateError), (1, None)):
        peer = (client_of if role == "client" else server_of)(
            context,
            compress=ZLIB,
            at={"certificate": put(certificate_list=[(LEAF, [])] * count)},
            **options,
        )
        if error is None:
            peer.handshake()
            assert_established(peer)
        else:
            assert_refuses(peer, error, peer.handshake)


def test_empty_compressed_certificate_of_a_server_is_refused():
    # RFC 8446, 4.4.2.4
    empty = {"certificate": put(certificate_list=[])}
    peer = client_of(ZLIB_ONLY, compress=ZLIB, at=empty)
    assert_refuses(peer, DecodeError, peer.handshake)


@both_roles
@pytest.mark.parametrize("algorithm", [0, ZLIB, BROTLI])
def test_compression_that_was_not_offered_is_refused(role, algorithm):
    # RFC 8879, 4
    context, options = options_of(role, {})
    edit = {"compressed_certificate": put(algorithm=algorithm)}
    peer = (client_of if role == "client" else server_of)(
        context, compress=ZLIB, at=edit, **options
    )
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


@both_roles
@pytest.mark.parametrize("announced", [1 << 10, 1 << 16, 1 << 17])
def test_zlib_bomb_is_refused(role, announced):
    """A few kilobytes that become 64 MiB do not take that memory."""
    bomb = CompressedCertificate(
        uncompressed_length=announced,
        compressed_certificate_message=zlib.compress(bytes(1 << 26)),
    )
    assert len(bomb.compressed_certificate_message) < 1 << 17
    context, options = options_of(role, ZLIB_ONLY)
    peer = (client_of if role == "client" else server_of)(
        context, at={"certificate": instead(bomb)}, **options
    )
    tracemalloc.start()
    try:
        assert_refuses(peer, CertificateError, peer.handshake)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


@both_roles
@pytest.mark.parametrize("point", ["certificate", "certificate_verify"])
def test_signature_covers_what_was_sent(role, point):
    # RFC 8879, 4: the transcript has the CompressedCertificate.
    context, options = options_of(role, ZLIB_ONLY)
    where = SERVER_CONTEXT if role == "client" else CLIENT_CONTEXT
    kept = {}

    def keep(peer: Any, message: Any) -> None:
        kept["certificate"], kept["before"] = message, peer.transcript

    def edit(peer: Any, message: Any) -> None:
        whole = peer.transcript
        if point == "certificate":
            peer.transcript = kept["before"] + kept["certificate"].encode()
        else:
            peer.transcript = kept["before"]
        message.signature = peer.sign(message.algorithm, where)
        peer.transcript = whole

    peer = (client_of if role == "client" else server_of)(
        context, compress=ZLIB, at={"certificate": keep, "certificate_verify": edit}, **options
    )
    assert_refuses(peer, DecryptError, peer.handshake)


LISTS = {
    "empty": b"",
    "of no algorithms": b"\0",
    "of odd length": b"\3\0\1\0",
    "cut": b"\4\0\1",
    "with more behind": b"\2\0\1\0",
}


@both_roles
@pytest.mark.parametrize("name", LISTS)
def test_malformed_compress_certificate_is_refused(role, name):
    edit = with_extension(E.compress_certificate, LISTS[name])
    if role == "client":
        peer = client_of(ZLIB_ONLY, request_certificate=True, at={"certificate_request": edit})
    else:
        peer = server_of(ZLIB_ONLY, at={"client_hello": edit})
    assert_refuses(peer, DecodeError, peer.handshake)


@pytest.mark.parametrize("point", ["server_hello", "encrypted_extensions", "certificate"])
def test_compress_certificate_in_the_wrong_message_is_refused(point):
    # RFC 8879, 3
    code, listed = E.compress_certificate, vector(1, u16(ZLIB))
    edit = (
        in_certificate((code, listed)) if point == "certificate" else with_extension(code, listed)
    )
    peer = client_of(ZLIB_ONLY, at={point: edit})
    assert_refuses(peer, IllegalParameter, peer.handshake)


@both_roles
def test_compressed_certificate_is_taken(role):
    context, options = options_of(role, {**ZLIB_ONLY, **REQUIRED})
    peer = established(role, context, compress=ZLIB, **options)
    assert peer.connection.peer_certificates == tuple(credential().chain_der)


# --- OCSP responses and timestamps (RFC 8446, 4.4.2.1)

IGNORE = {"staple_policy": StaplePolicy.IGNORE}
CHECK = {"staple_policy": StaplePolicy.CHECK}
STATUS = (E.status_request, certificate_status(b"response"))
TIMESTAMPS = (E.signed_certificate_timestamp, timestamp_list(b"timestamp"))


def in_second_entry(*extensions: tuple[int, bytes]) -> Any:
    def edit(peer: Any, message: Any) -> None:
        message.certificate_list.append((LEAF, list(extensions)))

    return edit


@both_roles
@pytest.mark.parametrize("extension", [STATUS, TIMESTAMPS], ids=["status", "timestamps"])
@pytest.mark.parametrize("place", [in_certificate, in_second_entry])
def test_unasked_certificate_extension_is_refused(role, extension, place):
    context, options = options_of(role, IGNORE)
    at = {"certificate": place(extension)}
    peer = (client_of if role == "client" else server_of)(context, at=at, **options)
    assert_refuses(peer, UnsupportedExtension, peer.handshake)
    if role == "client":
        assert peer.hello.extension(extension[0]) is None
    else:
        assert peer.request.extension(extension[0]) is None


@pytest.mark.parametrize("place", [in_certificate, in_second_entry])
def test_timestamps_of_a_client_are_refused(place):
    # A server asks for none.
    at = {"certificate": place(TIMESTAMPS)}
    peer = server_of({**REQUIRED, **CHECK}, at=at, credential=credential())
    assert_refuses(peer, UnsupportedExtension, peer.handshake)
    assert peer.request.extension(E.signed_certificate_timestamp) is None


@both_roles
@pytest.mark.parametrize(
    ("extension", "error"),
    [
        ((UNKNOWN, b""), UnsupportedExtension),
        ((E.supported_groups, vector(2, u16(29))), IllegalParameter),
        ((E.server_name, b""), IllegalParameter),
        ((E.early_data, b""), IllegalParameter),
        ((E.record_size_limit, u16(64)), IllegalParameter),
    ],
    ids=["unknown", "supported_groups", "server_name", "early_data", "record_size_limit"],
)
@pytest.mark.parametrize("place", [in_certificate, in_second_entry])
def test_other_certificate_extension_is_refused(role, extension, error, place):
    context, options = options_of(role, CHECK)
    at = {"certificate": place(extension)}
    peer = (client_of if role == "client" else server_of)(context, at=at, **options)
    assert_refuses(peer, error, peer.handshake)


@both_roles
def test_certificate_extension_twice_is_refused(role):
    context, options = options_of(role, CHECK)
    at = {"certificate": in_certificate(STATUS, STATUS)}
    peer = (client_of if role == "client" else server_of)(context, at=at, **options)
    assert_refuses(peer, IllegalParameter, peer.handshake)


MALFORMED_STATUS = {
    "empty": b"",
    "type alone": b"\1",
    "of an unknown type": b"\2\0\0\1x",
    "of ocsp_multi": b"\2" + vector(3, vector(3, b"x")),
    "without a response": b"\1\0\0\0",
    "cut": b"\1\0\0\2x",
    "with more behind": b"\1\0\0\1xx",
    "as a client asks": b"\1\0\0\0\0",
}
MALFORMED_TIMESTAMPS = {
    "empty": b"",
    "of none": b"\0\0",
    "with an empty one": b"\0\2\0\0",
    "with an empty one behind": b"\0\5\0\1x\0\0",
    "cut": b"\0\3\0\2x",
    "with more behind": b"\0\3\0\1xx",
}


@both_roles
@pytest.mark.parametrize("name", MALFORMED_STATUS)
@pytest.mark.parametrize("place", [in_certificate, in_second_entry])
def test_malformed_certificate_status_is_refused(role, name, place):
    context, options = options_of(role, CHECK)
    at = {"certificate": place((E.status_request, MALFORMED_STATUS[name]))}
    peer = (client_of if role == "client" else server_of)(context, at=at, **options)
    assert_refuses(peer, DecodeError, peer.handshake)


@pytest.mark.parametrize("name", MALFORMED_TIMESTAMPS)
@pytest.mark.parametrize("place", [in_certificate, in_second_entry])
def test_malformed_timestamps_are_refused(name, place):
    at = {"certificate": place((E.signed_certificate_timestamp, MALFORMED_TIMESTAMPS[name]))}
    peer = client_of(CHECK, at=at)
    assert_refuses(peer, DecodeError, peer.handshake)


@both_roles
def test_staple_that_is_no_ocsp_response_is_refused(role):
    context, options = options_of(role, {**REQUIRED, **CHECK})
    peer = (client_of if role == "client" else server_of)(
        context, ocsp_response=b"response", **options
    )
    alert = AlertDescription.bad_certificate_status_response
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


def test_missing_staple_is_refused():
    peer = client_of({**REQUIRED, "staple_policy": StaplePolicy.REQUIRE})
    alert = AlertDescription.bad_certificate_status_response
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


def test_revoked_certificate_is_refused():
    response = pki.ocsp_response(credential(), status=pki.REVOKED)
    peer = client_of({**REQUIRED, **CHECK}, ocsp_response=response)
    alert = AlertDescription.certificate_revoked
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


def test_staple_of_another_certificate_is_refused():
    other = pki.make_leaf(issuer=credential().above[0])
    peer = client_of({**REQUIRED, **CHECK}, ocsp_response=pki.ocsp_response(other))
    alert = AlertDescription.bad_certificate_status_response
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


@both_roles
def test_good_staple_is_taken(role):
    context, options = options_of(role, {**REQUIRED, **CHECK})
    response = pki.ocsp_response(credential())
    peer = established(role, context, ocsp_response=response, **options)
    assert peer.connection.ocsp_response == response


def test_timestamps_are_taken():
    peer = established("client", CHECK, timestamps=(b"one", b"two"))
    assert peer.connection.signed_certificate_timestamps == (b"one", b"two")


@pytest.mark.parametrize(
    "wrong", [b"", b"\1", b"\1\0", b"\1\0\0\0", b"\1\0\1\0\0", b"\1\0\0\0\0\0"]
)
def test_malformed_status_request_is_refused(wrong):
    # RFC 6066, 8
    peer = server_of(at={"client_hello": with_extension(E.status_request, wrong)})
    assert_refuses(peer, DecodeError, peer.handshake)


def test_signed_certificate_timestamp_with_data_is_refused():
    edit = with_extension(E.signed_certificate_timestamp, b"\0")
    peer = server_of(at={"client_hello": edit})
    assert_refuses(peer, DecodeError, peer.handshake)


# --- record_size_limit (RFC 8449, 4)

LIMIT = {"record_size_limit": 100}


def limited(role: str, **options: Any) -> Any:
    """After a handshake in which the connection announced 100."""
    return established(role, LIMIT, record_size_limit=MAX_PLAINTEXT + 1, **options)


@pytest.mark.parametrize("limit", [0, 1, 63])
@both_roles
def test_record_size_limit_below_64_is_refused(role, limit):
    point = "encrypted_extensions" if role == "client" else "client_hello"
    at = {point: with_extension(E.record_size_limit, u16(limit))}
    peer = (client_of if role == "client" else server_of)(LIMIT, at=at)
    assert_refuses(peer, IllegalParameter, peer.handshake)


@pytest.mark.parametrize("limit", [MAX_PLAINTEXT + 2, 0xFFFF])
def test_record_size_limit_of_a_server_above_the_protocols_is_refused(limit):
    at = {"encrypted_extensions": with_extension(E.record_size_limit, u16(limit))}
    peer = client_of(LIMIT, at=at)
    assert_refuses(peer, IllegalParameter, peer.handshake)


@pytest.mark.parametrize("limit", [MAX_PLAINTEXT + 1, MAX_PLAINTEXT + 2, 0xFFFF])
def test_record_size_limit_of_a_client_above_the_protocols_is_ignored(limit):
    # RFC 8449, 4: a server must not enforce it.
    peer = established("server", LIMIT, record_size_limit=limit)
    assert peer.encrypted_extensions.extension(E.record_size_limit) == u16(100)


@both_roles
@pytest.mark.parametrize("wrong", [b"", b"\1", b"\1\0\0"])
def test_malformed_record_size_limit_is_refused(role, wrong):
    point = "encrypted_extensions" if role == "client" else "client_hello"
    at = {point: with_extension(E.record_size_limit, wrong)}
    peer = (client_of if role == "client" else server_of)(LIMIT, at=at)
    assert_refuses(peer, DecodeError, peer.handshake)


def test_record_size_limit_that_was_not_offered_is_refused():
    at = {"encrypted_extensions": with_extension(E.record_size_limit, u16(100))}
    peer = client_of(at=at)
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


@both_roles
@pytest.mark.parametrize(
    ("size", "padding"), [(100, 0), (99, 1), (0, 100), (50, 50), (MAX_PLAINTEXT, 0)]
)
def test_record_above_the_limit_is_refused(role, size, padding):
    # RFC 8449, 4: the limit is for content, content type and padding.
    peer = limited(role)
    peer.send_data(b"x" * size, padding=padding)
    assert_refuses(peer, RecordOverflow)


@both_roles
@pytest.mark.parametrize(("size", "padding"), [(99, 0), (98, 1), (0, 99), (1, 98)])
def test_record_of_the_limit_is_taken(role, size, padding):
    peer = limited(role)
    before_it = len(peer.delivered)
    peer.send_data(b"x" * size, padding=padding)
    peer.settle()
    assert peer.delivered[before_it:] == b"x" * size
    assert_established(peer)


def unlimited(peer: Any) -> None:
    peer.fragment = MAX_PLAINTEXT


@both_roles
def test_handshake_record_above_the_limit_is_refused(role):
    context, options = options_of(role, {**LIMIT, "trust": pki_trust()})
    peer = (client_of if role == "client" else server_of)(
        context,
        record_size_limit=MAX_PLAINTEXT + 1,
        coalesce=False,
        at={"certificate": before(unlimited)},
        **options,
    )
    assert_refuses(peer, RecordOverflow, peer.handshake)


def pki_trust() -> fasths.TrustStore:
    return fasths.TrustStore.from_pem(credential().above[-1].pem)


@both_roles
def test_limit_that_was_not_negotiated_does_not_count(role):
    # The other side said nothing of its own.
    peer = established(role, LIMIT)
    peer.send_data(b"x" * MAX_PLAINTEXT)
    assert_established(peer)


@both_roles
@pytest.mark.parametrize("limit", [64, 65, 1000, MAX_PLAINTEXT, MAX_PLAINTEXT + 1])
@pytest.mark.parametrize("padding", [0, 7, 256])
def test_limit_of_the_peer_is_kept(role, limit, padding):
    """The scripted peer looks at every record."""
    context = {"record_size_limit": 16385, "record_padding": padding, **REQUIRED}
    options = {"credential": credential("rsa"), "record_size_limit": limit}
    if role == "client":
        context["identities"] = [identity("rsa")]
        options["request_certificate"] = True
    peer = established(role, context, **options)
    sent = 0
    start = len(peer.data)
    while sent < 40000:
        sent += peer.connection.write(b"x" * (40000 - sent))
    peer.settle()
    assert len(peer.data) - start == 40000
    assert peer.read_limit == limit


def test_limits_of_a_context():
    for limit in (63, MAX_PLAINTEXT + 2):
        with pytest.raises(ValueError, match="record_size_limit"):
            fasths.Context(record_size_limit=limit)
    assert Limits().max_certificate_chain_length == 16
