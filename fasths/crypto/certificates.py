"""Certificates: from DER and to DER, and which signature schemes their keys can make."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import PublicKeyAlgorithmOID

from fasths.wire.codes import SignatureScheme
from fasths.wire.errors import CertificateError

_SCHEMES_OF_CURVE = {
    SECP256R1.name: (int(SignatureScheme.ecdsa_secp256r1_sha256),),
    SECP384R1.name: (int(SignatureScheme.ecdsa_secp384r1_sha384),),
    SECP521R1.name: (int(SignatureScheme.ecdsa_secp521r1_sha512),),
}
_RSAE_SCHEMES = {
    SignatureScheme.rsa_pss_rsae_sha256: 32,
    SignatureScheme.rsa_pss_rsae_sha384: 48,
    SignatureScheme.rsa_pss_rsae_sha512: 64,
}
_PSS_SCHEMES = {
    SignatureScheme.rsa_pss_pss_sha256: 32,
    SignatureScheme.rsa_pss_pss_sha384: 48,
    SignatureScheme.rsa_pss_pss_sha512: 64,
}
# id-sha256, id-sha384 and id-sha512 in DER (RFC 4055, 2.1).
_PSS_SCHEME_OF_HASH = {
    bytes.fromhex("608648016503040201"): SignatureScheme.rsa_pss_pss_sha256,
    bytes.fromhex("608648016503040202"): SignatureScheme.rsa_pss_pss_sha384,
    bytes.fromhex("608648016503040203"): SignatureScheme.rsa_pss_pss_sha512,
}


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse one certificate. CertificateError: it is not one."""
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:
        # The parser has several classes of errors, and warnings that a program may turn into some.
        raise CertificateError("a certificate of the peer cannot be parsed") from None


def encode_chain(chain: list[x509.Certificate | bytes]) -> tuple[bytes, ...]:
    """The DER of each certificate, of which some may be in DER already."""
    return tuple(
        each if isinstance(each, bytes) else each.public_bytes(Encoding.DER) for each in chain
    )


def signature_schemes(certificate: x509.Certificate) -> tuple[int, ...]:
    """Codes of the schemes that the certificate's key can make (RFC 8446, 4.2.3).

    None for a key that TLS 1.3 cannot use.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return ()
    if isinstance(key, EllipticCurvePublicKey):
        return _SCHEMES_OF_CURVE.get(key.curve.name, ())
    if isinstance(key, RSAPublicKey):
        schemes = _RSAE_SCHEMES
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            schemes = schemes_of_pss_key(certificate)
        # RFC 8017, 9.1.1: the encoded message holds the hash, as long a salt, and two octets.
        room = (key.key_size - 1 + 7) // 8
        return tuple(int(scheme) for scheme, size in schemes.items() if 2 * size + 2 <= room)
    if isinstance(key, Ed25519PublicKey):
        return (int(SignatureScheme.ed25519),)
    if isinstance(key, Ed448PublicKey):
        return (int(SignatureScheme.ed448),)
    return ()


def schemes_of_pss_key(certificate: x509.Certificate) -> dict[SignatureScheme, int]:
    """What the parameters of an RSASSA-PSS key allow (RFC 4055, 3.1), with the hashes' lengths."""
    try:
        parameters = _key_parameters(certificate.tbs_certificate_bytes)
        if parameters is None:
            return _PSS_SCHEMES
        fields = dict(_elements(parameters))
        # hashAlgorithm [0], SHA-1 by default; saltLength [2], 20 by default.
        (_, algorithm) = next(_elements(fields[0xA0]))
        (_, oid) = next(_elements(algorithm))
        salt_length = 20
        if 0xA2 in fields:
            (_, integer) = next(_elements(fields[0xA2]))
            salt_length = int.from_bytes(integer, "big")
    except (KeyError, IndexError, StopIteration):
        return {}
    scheme = _PSS_SCHEME_OF_HASH.get(oid)
    if scheme is None or salt_length > _PSS_SCHEMES[scheme]:
        return {}
    return {scheme: _PSS_SCHEMES[scheme]}


def _key_parameters(tbs_certificate: bytes) -> bytes | None:
    """The parameters of subjectPublicKeyInfo's algorithm (RFC 5280, 4.1), None where absent."""
    (_, tbs) = next(_elements(tbs_certificate))
    fields = [content for tag, content in _elements(tbs) if tag != 0xA0]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo.
    (_, algorithm) = next(_elements(fields[5]))
    _, *parameters = _elements(algorithm)
    return parameters[0][1] if parameters else None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in DER that the library has already parsed."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        yield tag, der[at : at + length]
        at += length
