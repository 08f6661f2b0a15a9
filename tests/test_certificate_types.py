"""Raw public keys (RFC 7250): what is taken, and what is refused."""

from __future__ import annotations

from typing import Any

import pki
import pytest
import refusals
import refusals12
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from refusals import assert_established, assert_refuses, credential
from scripted_certificates import RAW_PUBLIC_KEY, X509, public_key_info
from scripted_keys import CLIENT_CONTEXT, SERVER_CONTEXT
from scripted_messages import Raw, vector
from scripted_peer import instead, put, with_extension

import fasths
from fasths import AlertDescription, ExtensionType, Verify
from fasths.wire.errors import (
    CertificateError,
    CertificateRequired,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
A = AlertDescription
OTHER = pki.make_leaf(["localhost"])
SPKI = public_key_info(credential())
X25519_SPKI = (
    x25519.X25519PrivateKey.generate()
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
LEAF = credential().chain_der[0]
TRUSTED = {"trusted_public_keys": (SPKI,), "verify": Verify.REQUIRED}
OWN = {
    "client": {"raw_public_key": True},
    "server": {
        "raw_public_key": True,
        "credential": credential(),
        "client_certificate_types": (RAW_PUBLIC_KEY, X509),
    },
}
both_roles = pytest.mark.parametrize("role", ["client", "server"])
# Where the peers of a version come from.
both_versions = pytest.mark.parametrize("tls", [refusals, refusals12], ids=["1.3", "1.2"])
# Where a server says what it has chosen.
CHOSEN_IN = {refusals: "encrypted_extensions", refusals12: "server_hello"}
CODES = pytest.mark.parametrize(
    "code", [E.server_certificate_type, E.client_certificate_type], ids=lambda each: each.name
)


def raw_identity(key_type: str = "ecdsa") -> fasths.Identity:
    return fasths.Identity.from_raw_public_key(credential(key_type).key_pem)


def raw_peer(tls: Any, role: str, **options: Any) -> Any:
    """A peer that shows its raw public key to a connection which trusts it."""
    return tls.peer_of(role, TRUSTED, **{**OWN[role], **options})


def instead_of_the_key(tls: Any, info: bytes) -> dict[str, Any]:
    edit = put(certificate_list=[(info, [])]) if tls is refusals else put(public_key_info=info)
    return {"certificate": edit}


# --- Taken


@both_versions
@both_roles
def test_raw_public_key_of_the_peer(tls, role):
    peer = raw_peer(tls, role)
    peer.handshake()
    assert_established(peer)
    assert peer.connection.peer_raw_public_key == SPKI
    assert peer.own_certificate_type == RAW_PUBLIC_KEY


@both_roles
@pytest.mark.parametrize("resumed", ["ticket", "id"])
def test_raw_public_key_of_a_resumed_peer(role, resumed):
    first = {key: value for key, value in OWN[role].items() if key != "credential"}
    peer = raw_peer(refusals12, role, resumed=resumed, first=first)
    peer.handshake()
    assert_established(peer)
    assert peer.connection.peer_raw_public_key == SPKI
    assert peer.own_certificate_type != RAW_PUBLIC_KEY


@both_versions
@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
def test_raw_public_key_of_ones_own(tls, key_type):
    context = {"identities": [raw_identity(key_type)]}
    info = public_key_info(credential(key_type))
    server = tls.established("server", context, server_certificate_types=(RAW_PUBLIC_KEY,))
    assert server.peer_chain == [info]
    client = tls.established(
        "client", context, request_certificate=True, client_certificate_type=RAW_PUBLIC_KEY
    )
    assert client.peer_chain == [info]


# --- Certificate


@both_versions
@both_roles
@pytest.mark.parametrize(
    ("key", "alert"),
    [
        pytest.param(LEAF, A.bad_certificate, id="certificate"),
        pytest.param(b"key", A.bad_certificate, id="junk"),
        pytest.param(SPKI[:-1], A.bad_certificate, id="cut"),
        pytest.param(SPKI + b"\0", A.bad_certificate, id="more behind"),
        pytest.param(public_key_info(OTHER), A.certificate_unknown, id="untrusted"),
        pytest.param(X25519_SPKI, A.unsupported_certificate, id="key exchange"),
        pytest.param(vector(3, SPKI), A.bad_certificate, id="list"),
    ],
)
def test_wrong_raw_public_key_is_refused(tls, role, key, alert):
    peer = raw_peer(tls, role, at=instead_of_the_key(tls, key))
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


@both_roles
@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"\0\0", b"\0\0\2x", vector(3, SPKI) + b"\0"],
    ids=["empty", "1 byte", "2 bytes", "cut", "more behind"],
)
def test_malformed_raw_public_key_is_refused(role, body):
    peer = raw_peer(refusals12, role, at={"certificate": instead(Raw(11, body))})
    assert_refuses(peer, DecodeError, peer.handshake)


@both_roles
@pytest.mark.parametrize("keys", [[SPKI, SPKI], [b""]], ids=["two", "empty"])
def test_wrong_number_of_raw_public_keys_in_tls13_is_refused(role, keys):
    # RFC 8446, 4.4.2
    at = {"certificate": put(certificate_list=[(key, []) for key in keys])}
    peer = raw_peer(refusals, role, at=at)
    assert_refuses(peer, DecodeError, peer.handshake)


@both_versions
def test_server_without_its_raw_public_key_is_refused(tls):
    edit = put(certificate_list=[]) if tls is refusals else instead(Raw(11, vector(3)))
    peer = raw_peer(tls, "client", at={"certificate": edit})
    assert_refuses(peer, DecodeError, peer.handshake)


@both_versions
@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.OPTIONAL], ids=lambda each: each.name)
def test_client_without_its_raw_public_key(tls, verify):
    """It has said that it has some, but not for what is asked (RFC 5246, 7.4.6)."""
    options = {**OWN["server"], "credential": None}
    peer = tls.peer_of("server", {**TRUSTED, "verify": verify}, **options)
    if verify is Verify.REQUIRED:
        error = CertificateRequired if tls is refusals else HandshakeFailure
        assert_refuses(peer, error, peer.handshake)
    else:
        peer.handshake()
        assert_established(peer)
        assert peer.connection.peer_raw_public_key is None


@both_versions
@both_roles
def test_signature_of_another_raw_public_key_is_refused(tls, role):
    point = "certificate_verify"
    if tls is refusals12 and role == "client":
        point = "server_key_exchange"

    def edit(peer, message):
        if tls is refusals:
            context = SERVER_CONTEXT if role == "client" else CLIENT_CONTEXT
            message.signature = peer.sign(message.algorithm, context, credential=OTHER)
        elif role == "client":
            message.signature = peer.sign_key_exchange(message, credential=OTHER)
        else:
            message.signature = peer.sign(peer.transcript, credential=OTHER)

    peer = raw_peer(tls, role, at={point: edit})
    assert_refuses(peer, DecryptError, peer.handshake)


@both_versions
@both_roles
def test_raw_public_key_that_was_not_negotiated_is_refused(tls, role):
    entry = (SPKI, []) if tls is refusals else SPKI
    at = {"certificate": put(certificate_list=[entry])}
    peer = tls.peer_of(role, {"verify": Verify.REQUIRED}, at=at, credential=credential())
    assert_refuses(peer, CertificateError, peer.handshake)


@both_roles
def test_raw_public_key_in_place_of_a_list_is_refused(role):
    at = {"certificate": instead(Raw(11, vector(3, SPKI)))}
    context = {"verify": Verify.REQUIRED}
    peer = refusals12.peer_of(role, context, at=at, credential=credential())
    assert_refuses(peer, DecodeError, peer.handshake)


@both_versions
def test_certificate_type_without_its_certificate_is_refused(tls):
    # The server says that it is a raw public key, and it is a certificate.
    edit = {CHOSEN_IN[tls]: with_extension(E.server_certificate_type, b"\2")}
    peer = tls.client_of(TRUSTED, at=edit)
    assert_refuses(peer, CertificateError, peer.handshake)


@both_roles
def test_message_of_tls13_is_refused(role):
    """CompressedCertificate (RFC 8879) is not for TLS 1.2."""
    peer = raw_peer(refusals12, role, at={"certificate": instead(Raw(25, b"\0\1\0\0\1\0\0\1x"))})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


# --- The types that are offered and chosen (RFC 7250, 4.1 and 4.2)

SIDES = {
    "server": (E.server_certificate_type, lambda: TRUSTED, {}),
    "client": (
        E.client_certificate_type,
        lambda: {"identities": [raw_identity()]},
        {"request_certificate": True},
    ),
}


@both_versions
@pytest.mark.parametrize(
    ("side", "chosen"),
    # A client whose only identity is a raw public key has no certificate.
    [*((side, chosen) for side in SIDES for chosen in (1, 3, 224, 255)), ("client", X509)],
)
def test_certificate_type_that_was_not_offered_is_refused(tls, side, chosen):
    code, context, options = SIDES[side]
    edit = {CHOSEN_IN[tls]: with_extension(code, bytes([chosen]))}
    peer = tls.client_of(context(), at=edit, **options)
    assert_refuses(peer, IllegalParameter, peer.handshake)
    assert RAW_PUBLIC_KEY in peer.hello.extension(code)[1:]
    assert chosen not in peer.hello.extension(code)[1:]


@both_versions
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("wrong", [b"", b"\2\0", vector(1, b"\2")], ids=["empty", "two", "list"])
def test_malformed_certificate_type_is_refused(tls, side, wrong):
    code, context, options = SIDES[side]
    edit = {CHOSEN_IN[tls]: with_extension(code, wrong)}
    peer = tls.client_of(context(), at=edit, **options)
    assert_refuses(peer, DecodeError, peer.handshake)


@both_versions
@CODES
@pytest.mark.parametrize("chosen", [X509, RAW_PUBLIC_KEY])
def test_certificate_type_that_nobody_offered_is_refused(tls, code, chosen):
    edit = {CHOSEN_IN[tls]: with_extension(code, bytes([chosen]))}
    peer = tls.client_of(at=edit, request_certificate=True)
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


@both_versions
@CODES
@pytest.mark.parametrize("wrong", [b"", b"\0", b"\2\2", b"\1\2\0"])
def test_malformed_certificate_types_are_refused(tls, code, wrong):
    peer = tls.server_of(TRUSTED, at={"client_hello": with_extension(code, wrong)})
    assert_refuses(peer, DecodeError, peer.handshake)


@both_versions
@pytest.mark.parametrize("types", [(1,), (RAW_PUBLIC_KEY,), (3, 255)])
def test_types_that_the_server_has_not_are_refused(tls, types):
    # RFC 7250, 4.2
    peer = tls.server_of(server_certificate_types=types)
    assert_refuses(peer, CertificateError, peer.handshake, alert=A.unsupported_certificate)


@both_versions
@pytest.mark.parametrize("types", [(1,), (3, 255)])
def test_types_that_the_client_has_and_nobody_takes_are_refused(tls, types):
    peer = tls.server_of(TRUSTED, client_certificate_types=types, credential=credential())
    assert_refuses(peer, CertificateError, peer.handshake, alert=A.unsupported_certificate)


@both_versions
def test_client_that_takes_no_raw_public_keys_is_refused(tls):
    peer = tls.server_of({"identities": [raw_identity()]})
    assert_refuses(peer, HandshakeFailure, peer.handshake)


@both_versions
def test_server_that_has_no_raw_public_key_is_refused(tls):
    """Where nothing but the key is trusted, a certificate is nothing."""
    peer = tls.client_of({**TRUSTED, "trust": None})
    assert_refuses(peer, CertificateError, peer.handshake, alert=A.unsupported_certificate)
