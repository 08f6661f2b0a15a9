"""Raw public keys in TLS 1.2 (RFC 7250): what is taken, and what is refused."""

from __future__ import annotations

from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from refusals import assert_established, assert_refuses, credential
from refusals12 import CLIENT12, client_of, established, peer_of, peer_with, server_of
from scripted12_messages import Certificate12
from scripted_certificates import RAW_PUBLIC_KEY, X509, public_key_info
from scripted_messages import Raw, vector
from scripted_peer import instead, put, with_extension

import fasths
from fasths import AlertDescription, ExtensionType, Verify
from fasths.wire.errors import (
    CertificateError,
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


def raw_identity(key_type: str = "ecdsa") -> fasths.Identity:
    return fasths.Identity.from_raw_public_key(credential(key_type).key_pem)


def raw_peer(role: str, **options: Any) -> Any:
    """A peer that shows its raw public key to a connection which trusts it."""
    return peer_of(role, TRUSTED, **{**OWN[role], **options})


# --- Taken


@both_roles
@pytest.mark.parametrize("resumed", [None, "ticket", "id"], ids=str)
def test_raw_public_key_of_the_peer(role, resumed):
    first = {key: value for key, value in OWN[role].items() if key != "credential"}
    peer = raw_peer(role, resumed=resumed, first=first)
    peer.handshake()
    assert_established(peer)
    assert peer.connection.peer_raw_public_key == SPKI
    assert (peer.own_certificate_type == RAW_PUBLIC_KEY) is (resumed is None)


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
def test_raw_public_key_of_ones_own(key_type):
    context = {"identities": [raw_identity(key_type)]}
    info = public_key_info(credential(key_type))
    server = established("server", context, server_certificate_types=(RAW_PUBLIC_KEY,))
    assert server.peer_chain == [info]
    client = established(
        "client", context, request_certificate=True, client_certificate_type=RAW_PUBLIC_KEY
    )
    assert client.peer_chain == [info]


# --- Certificate


def instead_of_the_key(info: bytes) -> dict[str, Any]:
    return {"certificate": put(public_key_info=info)}


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
def test_wrong_raw_public_key(role, key, alert):
    peer = raw_peer(role, at=instead_of_the_key(key))
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


@both_roles
@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"\0\0", b"\0\0\2x", vector(3, SPKI) + b"\0"],
    ids=["empty", "1 byte", "2 bytes", "cut", "more behind"],
)
def test_malformed_raw_public_key(role, body):
    peer = raw_peer(role, at={"certificate": instead(Raw(11, body))})
    assert_refuses(peer, DecodeError, peer.handshake)


def test_server_without_its_raw_public_key():
    peer = raw_peer("client", at={"certificate": instead(Raw(11, vector(3)))})
    assert_refuses(peer, DecodeError, peer.handshake)


@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.OPTIONAL], ids=lambda each: each.name)
def test_client_without_its_raw_public_key(verify):
    """It has said that it has some, but not for what is asked (RFC 5246, 7.4.6)."""
    peer = peer_of("server", {**TRUSTED, "verify": verify}, **{**OWN["server"], "credential": None})
    if verify is Verify.REQUIRED:
        assert_refuses(peer, HandshakeFailure, peer.handshake)
    else:
        peer.handshake()
        assert_established(peer)
        assert peer.connection.peer_raw_public_key is None


@both_roles
def test_signature_of_another_raw_public_key(role):
    def edit(peer, message):
        if role == "client":
            message.signature = peer.sign_key_exchange(message, credential=OTHER)
        else:
            message.signature = peer.sign(peer.transcript, credential=OTHER)

    point = "server_key_exchange" if role == "client" else "certificate_verify"
    peer = raw_peer(role, at={point: edit})
    assert_refuses(peer, DecryptError, peer.handshake)


@both_roles
def test_raw_public_key_that_was_not_negotiated(role):
    at = {"certificate": instead(Certificate12(certificate_list=[SPKI]))}
    context = {"verify": Verify.REQUIRED}
    options = {"credential": credential()}
    peer = peer_of(role, context, at=at, **options)
    assert_refuses(peer, CertificateError, peer.handshake)
    at = {"certificate": instead(Raw(11, vector(3, SPKI)))}
    peer = peer_of(role, context, at=at, **options)
    assert_refuses(peer, DecodeError, peer.handshake)


def test_certificate_type_without_its_certificate():
    edit = {"server_hello": with_extension(E.server_certificate_type, b"\2")}
    peer = client_of(TRUSTED, at=edit)
    assert_refuses(peer, CertificateError, peer.handshake)


# --- The types in the hellos

CODES = {
    "server": (E.server_certificate_type, lambda: TRUSTED, {}),
    "client": (
        E.client_certificate_type,
        lambda: {"identities": [raw_identity()]},
        {"request_certificate": True},
    ),
}


@pytest.mark.parametrize(
    ("side", "chosen"),
    # A client whose only identity is a raw public key has no certificate.
    [*((side, chosen) for side in CODES for chosen in (1, 3, 224, 255)), ("client", X509)],
)
def test_certificate_type_that_was_not_offered(side, chosen):
    code, context, options = CODES[side]
    peer = client_of(
        context(), at={"server_hello": with_extension(code, bytes([chosen]))}, **options
    )
    assert_refuses(peer, IllegalParameter, peer.handshake)
    assert RAW_PUBLIC_KEY in peer.hello.extension(code)[1:]
    assert chosen not in peer.hello.extension(code)[1:]


@pytest.mark.parametrize("side", CODES)
@pytest.mark.parametrize("wrong", [b"", b"\2\0", vector(1, b"\2")], ids=["empty", "two", "list"])
def test_malformed_certificate_type(side, wrong):
    code, context, options = CODES[side]
    peer = client_of(context(), at={"server_hello": with_extension(code, wrong)}, **options)
    assert_refuses(peer, DecodeError, peer.handshake)


@pytest.mark.parametrize("code", [E.server_certificate_type, E.client_certificate_type])
@pytest.mark.parametrize("chosen", [X509, RAW_PUBLIC_KEY])
def test_certificate_type_that_nobody_offered(code, chosen):
    edit = {"server_hello": with_extension(code, bytes([chosen]))}
    peer = client_of(at=edit, request_certificate=True)
    assert_refuses(peer, UnsupportedExtension, peer.handshake)


@pytest.mark.parametrize("code", [E.server_certificate_type, E.client_certificate_type])
@pytest.mark.parametrize("wrong", [b"", b"\0", b"\2\2", b"\1\2\0"])
def test_malformed_certificate_types(code, wrong):
    peer = server_of(TRUSTED, at={"client_hello": with_extension(code, wrong)})
    assert_refuses(peer, DecodeError, peer.handshake)


@pytest.mark.parametrize("types", [(1,), (RAW_PUBLIC_KEY,), (3, 255)])
def test_types_that_the_server_has_not(types):
    # RFC 7250, 4.2
    peer = server_of(server_certificate_types=types)
    alert = A.unsupported_certificate
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


@pytest.mark.parametrize("types", [(1,), (3, 255)])
def test_types_that_the_client_has_and_nobody_takes(types):
    peer = server_of(TRUSTED, client_certificate_types=types, credential=credential())
    alert = A.unsupported_certificate
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


def test_client_that_takes_no_raw_public_keys():
    peer = server_of({"identities": [raw_identity()]})
    assert_refuses(peer, HandshakeFailure, peer.handshake)


def test_server_that_has_no_raw_public_key():
    """Where nothing but the key is trusted, a certificate is nothing."""
    # Without `trust`, which would take certificates as well.
    context = fasths.Context(**{**CLIENT12, **TRUSTED})
    peer = peer_with("client", context)
    alert = A.unsupported_certificate
    assert_refuses(peer, CertificateError, peer.handshake, alert=alert)


@both_roles
def test_message_of_tls13(role):
    """CompressedCertificate (RFC 8879) is not for this version."""
    peer = raw_peer(role, at={"certificate": instead(Raw(25, b"\0\1\0\0\1\0\0\1x"))})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)
