"""What OpenSSL's X509_V_FLAG_X509_STRICT asks of a chain beyond its being valid.

These are demands of RFC 5280, 4.1.2 and 4.2.1, on authorities that issue certificates, which
verifiers may pass over; verification.py does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography import x509

from fasths.crypto.certificates import load_certificate
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

_INVALID_CA = 79
_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN = 81
_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA = 82
_ISSUER_NAME_EMPTY = 83
_SUBJECT_NAME_EMPTY = 84
_MISSING_AUTHORITY_KEY_IDENTIFIER = 85
_MISSING_SUBJECT_KEY_IDENTIFIER = 86
_EMPTY_SUBJECT_SAN_NOT_CRITICAL = 88
_CA_BCONS_NOT_CRITICAL = 89
_AUTHORITY_KEY_IDENTIFIER_CRITICAL = 90
_SUBJECT_KEY_IDENTIFIER_CRITICAL = 91
_CA_CERT_MISSING_KEY_USAGE = 92
_EXTENSIONS_REQUIRE_VERSION_3 = 93

_MESSAGES = {
    _INVALID_CA: "invalid CA certificate",
    _PATHLEN_WITHOUT_KU_KEY_CERT_SIGN: "Path length given without key usage keyCertSign",
    _KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA: "Key usage keyCertSign invalid for non-CA cert",
    _ISSUER_NAME_EMPTY: "Issuer name empty",
    _SUBJECT_NAME_EMPTY: "Subject name empty",
    _MISSING_AUTHORITY_KEY_IDENTIFIER: "Missing Authority Key Identifier",
    _MISSING_SUBJECT_KEY_IDENTIFIER: "Missing Subject Key Identifier",
    _EMPTY_SUBJECT_SAN_NOT_CRITICAL: "Subject empty and Subject Alt Name extension not critical",
    _CA_BCONS_NOT_CRITICAL: "Basic Constraints of CA cert not marked critical",
    _AUTHORITY_KEY_IDENTIFIER_CRITICAL: "Authority Key Identifier marked critical",
    _SUBJECT_KEY_IDENTIFIER_CRITICAL: "Subject Key Identifier marked critical",
    _CA_CERT_MISSING_KEY_USAGE: "CA cert does not include key usage extension",
    _EXTENSIONS_REQUIRE_VERSION_3: "Using cert extension requires at least X509v3",
}


def strict_profile_error(chain: tuple[bytes, ...]) -> CertificateError | None:
    """Why a verified chain, leaf first and in DER, does not comply; None: it does."""
    last = len(chain) - 1
    for position, der in enumerate(chain):
        # RFC 5280 is not for one that is trusted itself (RFC 6818, 2), but for what OpenSSL means
        # by an authority.
        code = _violation_of_kind(der, position > 0)
        if not code and last:
            code = _violation(der, position == last)
        if code:
            return CertificateError(
                f"the chain does not comply with RFC 5280: {_MESSAGES[code]}",
                alert=AlertDescription.unknown_ca
                if code == _INVALID_CA
                else AlertDescription.certificate_unknown,
                verify_code=code,
                verify_message=_MESSAGES[code],
            )
    return None


_Extensions = Mapping[type, x509.Extension[Any]]


@lru_cache(maxsize=1024)
def _parsed(der: bytes) -> tuple[x509.Certificate, _Extensions]:
    certificate = load_certificate(der)
    return certificate, {each.value.__class__: each for each in certificate.extensions}


def _violation_of_kind(der: bytes, is_issuer: bool) -> int:
    """Whether only BasicConstraints make an authority (RFC 5280, 4.2.1.9), or nothing does."""
    certificate, extensions = _parsed(der)
    if x509.BasicConstraints in extensions:
        return 0
    usage = extensions.get(x509.KeyUsage)
    seems_authority = (
        certificate.issuer == certificate.subject
        if certificate.version is x509.Version.v1
        else usage is not None and usage.value.key_cert_sign
    )
    return _INVALID_CA if is_issuer or seems_authority else 0


def _violation(der: bytes, is_last: bool) -> int:
    """OpenSSL's number for what is wrong with a certificate, or 0. The last one's issuer is not
    looked for, so it needs no identifier of its key."""
    certificate, extensions = _parsed(der)
    return (
        _violation_of_authority(extensions)
        or _violation_of_names(certificate, extensions)
        or _violation_of_identifiers(certificate, extensions, is_last)
    )


def _violation_of_authority(extensions: _Extensions) -> int:
    constraints = extensions.get(x509.BasicConstraints)
    usage = extensions.get(x509.KeyUsage)
    may_sign_certificates = usage is not None and usage.value.key_cert_sign
    if constraints is None or not constraints.value.ca:
        return _KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA if may_sign_certificates else 0
    if constraints.value.path_length is not None and not may_sign_certificates:
        return _PATHLEN_WITHOUT_KU_KEY_CERT_SIGN
    if not constraints.critical:
        return _CA_BCONS_NOT_CRITICAL
    return _CA_CERT_MISSING_KEY_USAGE if usage is None else 0


def _violation_of_names(certificate: x509.Certificate, extensions: _Extensions) -> int:
    if not list(certificate.issuer):
        return _ISSUER_NAME_EMPTY
    if list(certificate.subject):
        return 0
    names = extensions.get(x509.SubjectAlternativeName)
    usage = extensions.get(x509.KeyUsage)
    signs_lists = usage is not None and usage.value.crl_sign
    if names is None or signs_lists or _is_authority(extensions):
        return _SUBJECT_NAME_EMPTY
    return 0 if names.critical else _EMPTY_SUBJECT_SAN_NOT_CRITICAL


def _violation_of_identifiers(
    certificate: x509.Certificate, extensions: _Extensions, is_last: bool
) -> int:
    authority = extensions.get(x509.AuthorityKeyIdentifier)
    subject = extensions.get(x509.SubjectKeyIdentifier)
    if authority is not None and authority.critical:
        return _AUTHORITY_KEY_IDENTIFIER_CRITICAL
    if subject is not None and subject.critical:
        return _SUBJECT_KEY_IDENTIFIER_CRITICAL
    if certificate.version is not x509.Version.v3:
        return _EXTENSIONS_REQUIRE_VERSION_3 if extensions else 0
    if not is_last and (authority is None or authority.value.key_identifier is None):
        return _MISSING_AUTHORITY_KEY_IDENTIFIER
    if _is_authority(extensions) and subject is None:
        return _MISSING_SUBJECT_KEY_IDENTIFIER
    return 0


def _is_authority(extensions: _Extensions) -> bool:
    constraints = extensions.get(x509.BasicConstraints)
    return constraints is not None and constraints.value.ca
