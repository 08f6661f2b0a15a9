"""An authority, its leaf, and OCSP responses about it with anything changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pki import Credential, elements, ocsp_response, tlv

from fasths.crypto.ocsp import (
    check_staple,
)
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

CERT_REVOKED = 23
CERT_UNKNOWN = 75
INVALID = 96
SIGNATURE = 97
NOT_YET_VALID = 98
HAS_EXPIRED = 99
NO_RESPONSE = 100

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

ROOT = pki.make_ca()
CA = pki.make_ca(issuer=ROOT)
LEAF = pki.make_leaf(issuer=CA)
PATH = LEAF.full_chain
RESPONDER = pki.make_responder(CA)
UNKNOWN_OID = x509.ObjectIdentifier("1.2.3.4")

KEY_TYPES = ["ecdsa", "ecdsa384", "rsa", "ed25519", "ed448"]


def staple(**options) -> bytes:
    return ocsp_response(LEAF, **{"this_update": NOW - HOUR, **options})


def assert_refused(
    response: bytes,
    verify_code: int,
    reason: str,
    *,
    path: Sequence[x509.Certificate] = PATH,
    now: datetime = NOW,
) -> None:
    with pytest.raises(CertificateError, match=reason) as refusal:
        check_staple(response, path, now=now)
    error = refusal.value
    expected = (
        AlertDescription.certificate_revoked
        if verify_code == CERT_REVOKED
        else AlertDescription.bad_certificate_status_response
    )
    assert (error.alert, error.verify_code) == (expected, verify_code)
    assert error.verify_message
    assert error.reason.startswith(error.verify_message)


OID_OF_HASH = {
    "sha256": "608648016503040201",
    "sha384": "608648016503040202",
    "sha512": "608648016503040203",
}


def answers_of(response: bytes) -> list[bytes]:
    found: list[bytes] = []

    def keep(answers: list[bytes]) -> list[bytes]:
        found.extend(answers)
        return answers

    pki.amended_ocsp_response(response, CA.key, answers=keep)
    return found


def with_answers(edit: Callable[[list[bytes]], list[bytes]], **options) -> bytes:
    return pki.amended_ocsp_response(staple(**options), CA.key, answers=edit)


def with_fields(edit: Callable[[list[bytes]], list[bytes]], **options) -> bytes:
    return pki.amended_ocsp_response(staple(**options), CA.key, fields=edit)


def with_cert_id(edit: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """edit: the fields of CertID: hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber."""

    def change(answers: list[bytes]) -> list[bytes]:
        cert_id, *rest = elements(pki.contents(answers[0]))
        return [tlv(0x30, tlv(0x30, *edit(elements(pki.contents(cert_id)))), *rest)]

    return with_answers(change)


def pss_response(
    leaf: Credential,
    digest: hashes.HashAlgorithm,
    mask: hashes.HashAlgorithm | None = None,
    salt_length: int | None = None,
) -> bytes:
    mask = mask or digest
    salt_length = digest.digest_size if salt_length is None else salt_length
    key = leaf.above[0].key
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(mask), salt_length)
    # The algorithm as a certificate has it.
    parts = [
        tlv(0x30, tlv(0x06, bytes.fromhex(OID_OF_HASH[each.name])), b"\5\0")
        for each in (digest, mask)
    ]
    mgf1 = tlv(0x30, tlv(0x06, bytes.fromhex("2a864886f70d010108")), parts[1])
    fields = (tlv(0xA0, parts[0]), tlv(0xA1, mgf1), tlv(0xA2, tlv(2, bytes((salt_length,)))))
    algorithm = tlv(0x30, pki.contents(pki.RSA_PSS_ALGORITHM), tlv(0x30, *fields))
    return pki.amended_ocsp_response(
        ocsp_response(leaf),
        key,
        algorithm=algorithm,
        signature=lambda tbs: key.sign(tbs, pss, digest),
    )


def generalized_time(time: datetime) -> bytes:
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ").encode())
