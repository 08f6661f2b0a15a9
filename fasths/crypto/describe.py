"""A certificate in words, for people.

Nothing here decides anything: a certificate that cannot be trusted is described as well as one
that can. Verification is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa


@dataclass(frozen=True, slots=True)
class CertificateDescription:
    """What a person wants to know of a certificate. Times are aware, in UTC."""

    subject: str
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    key_type: str


def describe_certificate(der: bytes) -> CertificateDescription:
    """Describe one certificate; ValueError if it cannot be parsed."""
    certificate = x509.load_der_x509_certificate(der)
    return CertificateDescription(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=_names(certificate),
        key_type=_key_type(certificate),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names in their order; none where there are none to be read."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    names = []
    for name in extension.value:
        if isinstance(name, x509.DirectoryName):
            names.append(name.value.rfc4514_string())
        elif isinstance(
            name,
            x509.DNSName | x509.IPAddress | x509.RFC822Name | x509.UniformResourceIdentifier,
        ):
            names.append(str(name.value))
    return tuple(names)


def _key_type(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return f"unknown ({certificate.public_key_algorithm_oid.dotted_string})"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448"
    return type(key).__name__.removesuffix("PublicKey")
