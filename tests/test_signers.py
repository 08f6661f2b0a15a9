"""Signatures that the application makes, right and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pki
import pytest
from both_versions import IN_BOTH_VERSIONS, chosen_version
from helpers import BOTH_ROLES, client_context, server_context
from refusals import changed
from refusals12 import TLS12_ALONE
from scripted12_keys import schemes_of
from test_waits import Application, Scene, Setup, remote_identity, sign
from test_waits_together import refused_by, verified_by

from fasths import SignatureScheme, Verify
from fasths.wire.errors import DecryptError, InternalError

__all__ = ["chosen_version"]

KEY_TYPES = {
    "ecdsa_secp256r1": "ecdsa",
    "ecdsa_secp384r1": "ecdsa384",
    "ecdsa_secp521r1": "ecdsa521",
    "rsa_pss_rsae": "rsa",
    "rsa_pss_pss": "rsa-pss",
    "ed25519": "ed25519",
    "ed448": "ed448",
}


@BOTH_ROLES
@pytest.mark.parametrize("scheme", [each for each in SignatureScheme if "pkcs1" not in each.name])
def test_a_signer_signs_with_every_scheme(by_server: bool, scheme: SignatureScheme) -> None:
    assert_signs(by_server, KEY_TYPES[scheme.name.partition("_sha")[0]], scheme)


SIGNED12 = [
    (key_type, scheme) for key_type in KEY_TYPES.values() for scheme in schemes_of(key_type)
]


@BOTH_ROLES
@pytest.mark.parametrize(
    ("key_type", "scheme"), SIGNED12, ids=[f"{key}-{scheme.name}" for key, scheme in SIGNED12]
)
def test_a_signer_signs_with_every_scheme_in_tls12(
    by_server: bool, key_type: str, scheme: SignatureScheme
) -> None:
    """RFC 5246, 7.4.1.4.1: a curve is not bound to a hash, and PKCS #1 v1.5 may sign."""
    groups = ["x25519", "secp256r1", "secp384r1", "secp521r1"]
    assert_signs(by_server, key_type, scheme, groups=groups, **TLS12_ALONE)


def assert_signs(by_server: bool, key_type: str, scheme: SignatureScheme, **options: Any) -> None:
    application = Application()
    application.reply = lambda request: sign(leaf, request)
    remote, leaf = remote_identity(application, key_type)
    scene = verified_by(by_server, scheme.name, remote, **options)
    scene.finish()
    [request] = application.requests
    assert request.scheme is scheme
    if by_server:
        assert scene.client.signature_scheme is scene.server.signature_scheme is scheme
    assert (scene.client if by_server else scene.server).peer_certificates == remote.certificates


def sign_other(leaf: pki.Credential, request: Any, **fields: Any) -> bytes:
    """With something else than what was asked for."""
    asked = {"content": request.content, "scheme": request.scheme}
    return sign(leaf, SimpleNamespace(**{**asked, **fields}))


def other_side(content: bytes) -> bytes:
    """RFC 8446, 4.4.3: with the other side's context string."""
    parts = content.partition(b"server" if b"server" in content else b"client")
    return parts[0] + (b"client" if parts[1] == b"server" else b"server") + parts[2]


WRONG_SIGNATURES: dict[str, tuple[str, Callable[[pki.Credential, Any], bytes]]] = {
    "empty": ("ed25519", lambda leaf, request: b""),
    "one byte": ("ed25519", lambda leaf, request: b"\0"),
    "cut": ("ed25519", lambda leaf, request: sign(leaf, request)[:-1]),
    "longer": ("ed25519", lambda leaf, request: sign(leaf, request) + b"\0"),
    "longest": ("ed25519", lambda leaf, request: bytes(65535)),
    "changed ed25519": ("ed25519", lambda leaf, request: changed(sign(leaf, request))),
    "changed ecdsa": ("ecdsa", lambda leaf, request: changed(sign(leaf, request))),
    "changed rsa": ("rsa", lambda leaf, request: changed(sign(leaf, request))),
    "another content": (
        "ed25519",
        lambda leaf, request: sign_other(leaf, request, content=changed(request.content)),
    ),
    "another key": ("ecdsa", lambda leaf, request: sign(pki.make_leaf(), request)),
    "another hash": (
        "rsa",
        lambda leaf, request: sign_other(leaf, request, scheme=request.scheme + 1),
    ),
}


def signed_by(by_server: bool, key_type: str, signer: Callable[..., object]) -> Scene:
    remote, leaf = remote_identity(lambda request: signer(leaf, request), key_type)
    # RFC 8422, 5.1.1: in TLS 1.2 the client's groups are the curves of its peer's keys as well.
    client = {"groups": ["x25519", "secp256r1"]}
    if by_server:
        return Scene(Setup(client_context(**client), server_context(identities=[remote])))
    server = server_context(verify=Verify.REQUIRED)
    return Scene(Setup(client_context(identities=[remote], **client), server))


@IN_BOTH_VERSIONS
@BOTH_ROLES
@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_a_wrong_signature_of_a_signer_is_refused(by_server: bool, name: str) -> None:
    refused_by(not by_server, signed_by(by_server, *WRONG_SIGNATURES[name]), DecryptError)


@BOTH_ROLES
def test_a_signature_for_the_other_side_is_refused(by_server: bool) -> None:
    def signer(leaf: pki.Credential, request: Any) -> bytes:
        return sign_other(leaf, request, content=other_side(request.content))

    refused_by(not by_server, signed_by(by_server, "ed25519", signer), DecryptError)


@IN_BOTH_VERSIONS
@BOTH_ROLES
def test_a_signature_that_fits_into_no_message_is_refused(by_server: bool) -> None:
    """opaque signature<0..2^16-1>."""
    scene = signed_by(by_server, "ed25519", lambda leaf, request: bytes(65536))
    refused_by(by_server, scene, InternalError)
