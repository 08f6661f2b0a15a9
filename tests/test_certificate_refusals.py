"""What both roles refuse of their peer's certificates and signatures (RFC 8446, 4.4.2, 4.4.3)."""

from __future__ import annotations

import pki
import pytest
from refusals import (
    assert_refuses,
    case,
    changed,
    check,
    client_of,
    credential,
    identity,
    in_certificate,
    server_of,
)
from scripted_keys import CLIENT_CONTEXT, SERVER_CONTEXT
from scripted_messages import CertificateVerify, vector
from scripted_peer import all_of, cut, instead, put

from fasths import (
    AlertDescription,
    ContentType,
    ExtensionType,
    Limits,
    SignatureScheme,
    StaplePolicy,
    Verify,
)
from fasths.wire.errors import (
    CertificateError,
    CertificateRequired,
    DecodeError,
    DecryptError,
    IllegalParameter,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
UNKNOWN = 0xFAFA

# --- Certificate of a server (RFC 8446, 4.4.2)


def certificates(*ders):
    return put(certificate_list=[(der, []) for der in ders])


def certificate(name, error, *edits, **options):
    return case(name, error, "certificate", all_of(*edits), **options)


LEAF = credential().chain_der[0]
CERTIFICATE = [
    certificate("empty", DecodeError, certificates()),
    certificate("certificate of no bytes", DecodeError, certificates(b"")),
    certificate("second certificate of no bytes", DecodeError, certificates(LEAF, b"")),
    certificate("context", IllegalParameter, put(certificate_request_context=b"1")),
    certificate("chain too long", CertificateError, certificates(*[LEAF] * 17)),
    certificate(
        "chain longer than the limit",
        CertificateError,
        certificates(LEAF, LEAF),
        limits={"max_certificate_chain_length": 1},
    ),
    certificate("not DER", CertificateError, certificates(b"certificate")),
    certificate("DER cut", CertificateError, certificates(LEAF[:-1])),
    certificate("DER with more behind", CertificateError, certificates(LEAF + b"\0")),
    certificate("second certificate not DER", CertificateError, certificates(LEAF, b"\x30\0")),
    case(
        "larger than the limit",
        IllegalParameter,
        limits={"max_handshake_message_size": 200},
        credential=credential("rsa"),
    ),
]


@pytest.mark.parametrize("case", CERTIFICATE)
def test_certificate(case):
    peer = check(case, "client")
    if case.error is CertificateError:
        assert peer.connection.last_error.alert is AlertDescription.bad_certificate
        assert peer.connection.last_error.verify_code
    assert peer.records[-1].outer_type == ContentType.application_data


def test_certificate_that_is_not_trusted():
    root = pki.make_ca()
    peer = client_of({"verify": Verify.REQUIRED}, credential=pki.make_leaf(issuer=root))
    assert_refuses(peer, CertificateError, peer.handshake, alert=AlertDescription.unknown_ca)


# --- CertificateVerify of a server (RFC 8446, 4.2.3 and 4.4.3)


def signed(scheme, context=SERVER_CONTEXT, claimed=None, **options):
    """CertificateVerify with any scheme, context or key. claimed: the scheme that it names."""

    def edit(peer, message):
        message.algorithm = scheme if claimed is None else claimed
        message.signature = peer.sign(scheme, context, **options)

    return edit


def certificate_verify(name, error, key_type, *edits, **options):
    return case(
        name,
        error,
        "certificate_verify",
        all_of(*edits),
        credential=credential(key_type),
        **options,
    )


S = SignatureScheme
OTHER_KEY = pki.make_leaf(["localhost"])


def signed_too_early(context):
    def edit(peer, message):
        whole, peer.transcript = peer.transcript, peer.before
        message.signature = peer.sign(message.algorithm, context)
        peer.transcript = whole

    return edit


CERTIFICATE_VERIFY = [
    # RFC 8446, 4.4.3: of those offered, and of the key's.
    certificate_verify(
        "scheme not offered",
        IllegalParameter,
        "ecdsa",
        context={"signature_schemes": ("ed25519",)},
    ),
    *(
        certificate_verify(
            f"{scheme} for {key}", IllegalParameter, key, signed(used, claimed=scheme)
        )
        for key, used, schemes in (
            ("rsa", S.rsa_pkcs1_sha256, (S.rsa_pkcs1_sha256,)),
            ("rsa", S.rsa_pkcs1_sha512, (S.rsa_pkcs1_sha512,)),
            ("rsa", S.rsa_pss_rsae_sha256, (S.rsa_pss_pss_sha256, S.ed25519, 0x0201, UNKNOWN)),
            ("rsa-pss", S.rsa_pss_pss_sha256, (S.rsa_pss_rsae_sha256, S.rsa_pkcs1_sha256)),
            ("ecdsa", S.ecdsa_secp256r1_sha256, (0x0203, S.ed25519, S.rsa_pss_rsae_sha256, 0)),
            ("ecdsa", S.ecdsa_secp384r1_sha384, (S.ecdsa_secp384r1_sha384,)),
            ("ecdsa384", S.ecdsa_secp256r1_sha256, (S.ecdsa_secp256r1_sha256,)),
            ("ecdsa521", S.ecdsa_secp384r1_sha384, (S.ecdsa_secp384r1_sha384,)),
            ("ed25519", S.ed25519, (S.ed448, S.ecdsa_secp256r1_sha256)),
            ("ed448", S.ed448, (S.ed25519,)),
        )
        for scheme in schemes
    ),
    certificate_verify(
        "key that TLS cannot use",
        CertificateError,
        "secp256k1",
        alert=AlertDescription.unsupported_certificate,
        scheme=S.ecdsa_secp256r1_sha256,
    ),
    *(
        case_
        for key in ("ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa-pss", "ed25519", "ed448")
        for case_ in (
            certificate_verify(
                f"{key} signature changed", DecryptError, key, put(signature=changed)
            ),
            certificate_verify(
                f"{key} signature cut", DecryptError, key, put(signature=lambda old: old[:-1])
            ),
            certificate_verify(f"{key} without a signature", DecryptError, key, put(signature=b"")),
            certificate_verify(
                f"{key} signature longer", DecryptError, key, put(signature=lambda old: old + b"\0")
            ),
        )
    ),
    certificate_verify(
        "context of a client",
        DecryptError,
        "ecdsa",
        signed(S.ecdsa_secp256r1_sha256, CLIENT_CONTEXT),
    ),
    certificate_verify("no context", DecryptError, "ecdsa", signed(S.ecdsa_secp256r1_sha256, b"")),
    certificate_verify(
        "another key", DecryptError, "ecdsa", signed(S.ecdsa_secp256r1_sha256, credential=OTHER_KEY)
    ),
    certificate_verify(
        "another transcript", DecryptError, "ecdsa", signed_too_early(SERVER_CONTEXT)
    ),
    # RFC 8446, 4.2.3: the salt is as long as the digest.
    *(
        certificate_verify(
            f"salt of {size} bytes",
            DecryptError,
            "rsa",
            signed(S.rsa_pss_rsae_sha256, salt_length=size),
        )
        for size in (0, 20, 31, 33, 64)
    ),
    certificate_verify(
        "other hash", DecryptError, "rsa", signed(S.rsa_pss_rsae_sha384, claimed=0x0804)
    ),
    # The key is too short for the scheme, so that no signature can be right.
    certificate_verify(
        "short RSA key", IllegalParameter, "rsa1024", put(algorithm=S.rsa_pss_rsae_sha512)
    ),
]


@pytest.mark.parametrize("case", CERTIFICATE_VERIFY)
def test_certificate_verify(case):
    check(case, "client")


# --- Client certificates (RFC 8446, 4.4.2 and 4.4.3)

REQUIRED = {"verify": Verify.REQUIRED}
OPTIONAL = {"verify": Verify.OPTIONAL}


def client(name, error, point=None, *edits, key_type="ecdsa", verify=REQUIRED, **options):
    edit = all_of(*edits) if edits else None
    options.setdefault("credential", key_type and credential(key_type))
    context = {**verify, **options.pop("context", {})}
    return case(name, error, point, edit, context=context, **options)


CERT, VERIFY = "certificate", "certificate_verify"
CLIENT_CERTIFICATE = [
    client("none", CertificateRequired, key_type=None),
    client("context", IllegalParameter, CERT, put(certificate_request_context=b"1")),
    client("context and none", IllegalParameter, CERT, put(certificate_request_context=b"1"),
           key_type=None, verify=OPTIONAL),
    client("certificate of no bytes", DecodeError, CERT, certificates(b"")),
    client("chain too long", CertificateError, CERT, certificates(*[LEAF] * 17)),
    client("not DER", CertificateError, CERT, certificates(b"certificate")),
    client("DER with more behind", CertificateError, CERT, certificates(LEAF + b"\0")),
    client("not DER, optional", CertificateError, CERT, certificates(b"x"), verify=OPTIONAL),
    *(client(f"extension {code}", UnsupportedExtension, CERT, in_certificate((code, data)),
             context={"staple_policy": policy})
      for policy, code, data in (
          # CertificateRequest asks for nothing but an OCSP response, and that only with a policy.
          (StaplePolicy.CHECK, E.signed_certificate_timestamp, vector(2, vector(2, b"timestamp"))),
          (StaplePolicy.IGNORE, E.status_request, b"\1" + vector(3, b"response")),
          (StaplePolicy.CHECK, UNKNOWN, b""),
      )),
    *(client(f"extension {code} in the wrong message", IllegalParameter, CERT,
             in_certificate((code, b"")))
      for code in (E.server_name, E.signature_algorithms, E.compress_certificate)),
    client("OCSP response cut", DecodeError, CERT, in_certificate((E.status_request, b""))),
    client("extension twice", IllegalParameter, CERT,
           in_certificate((UNKNOWN, b""), (UNKNOWN, b""))),
    client("certificate of a stranger", CertificateError,
           credential=pki.make_leaf(issuer=pki.make_ca()), alert=AlertDescription.unknown_ca),
    client("certificate of a stranger, optional", CertificateError, verify=OPTIONAL,
           credential=pki.make_leaf(issuer=pki.make_ca()), alert=AlertDescription.unknown_ca),
    client("certificate cut", DecodeError, CERT, cut(-1)),
    client("certificate without a body", DecodeError, CERT, cut(0)),
    client("certificate with a trailing byte", DecodeError, CERT, put(trailing=b"\0")),
    # RFC 8446, 4.4.3
    client("scheme not offered", IllegalParameter, context={"signature_schemes": ("ed25519",),
           "identities": [identity("ed25519")]}),
    client("PKCS #1 v1.5", IllegalParameter, VERIFY,
           signed(S.rsa_pkcs1_sha256, CLIENT_CONTEXT), key_type="rsa"),
    client("scheme of another key", IllegalParameter, VERIFY, put(algorithm=S.ed25519)),
    client("scheme of another curve", IllegalParameter, VERIFY,
           signed(S.ecdsa_secp384r1_sha384, CLIENT_CONTEXT)),
    client("unknown scheme", IllegalParameter, VERIFY, put(algorithm=UNKNOWN)),
    client("SHA-1", IllegalParameter, VERIFY, put(algorithm=0x0203)),
    client("signature changed", DecryptError, VERIFY, put(signature=changed)),
    client("signature empty", DecryptError, VERIFY, put(signature=b"")),
    client("context of a server", DecryptError, VERIFY,
           signed(S.ecdsa_secp256r1_sha256, SERVER_CONTEXT)),
    client("signed by another key", DecryptError, VERIFY,
           signed(S.ecdsa_secp256r1_sha256, CLIENT_CONTEXT, credential=OTHER_KEY)),
    client("signed too early", DecryptError, VERIFY, signed_too_early(CLIENT_CONTEXT)),
    client("CertificateVerify cut", DecodeError, VERIFY, cut(-1)),
    client("CertificateVerify with a trailing byte", DecodeError, VERIFY, put(trailing=b"\0")),
    client("certificate larger than the limit", IllegalParameter, key_type="rsa",
           context={"limits": Limits(max_handshake_message_size=600)}),
]  # fmt: skip


@pytest.mark.parametrize("case", CLIENT_CERTIFICATE)
def test_client_certificate(case):
    peer = check(case, "server")
    # RFC 8446, 4.4.4: alerts about it are under the application key.
    assert peer.records[-1].outer_type == ContentType.application_data
    assert peer.connection.peer_certificates == () or peer.credential is not None


def test_no_certificate_verify_for_no_certificate():
    peer = server_of(OPTIONAL, at={"finished": instead(CertificateVerify())})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)
