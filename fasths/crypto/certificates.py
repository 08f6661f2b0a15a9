"""Certificates: from DER and to DER, and which signature schemes their keys can make.

The library's parser decides what a certificate is. Of what it has parsed, it does not show every
field, and not as it was encoded; elements() takes such fields out of the DER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
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
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

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
_SCHEME_OF_DIGEST_SIZE = {size: scheme for scheme, size in _PSS_SCHEMES.items()}
# id-sha256, id-sha384 and id-sha512 in DER (RFC 4055, 2.1).
_PSS_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
_ID_RSASSA_PSS = bytes.fromhex("2a864886f70d01010a")
_ID_MGF1 = bytes.fromhex("2a864886f70d010108")

_VERSION = 0xA0
_EXTENSIONS = 0xA3


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


def chain_among(der: bytes, authorities: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """A certificate in DER, its issuer, and so on as far as they are among the authorities.

    It ends with a self-issued one. CertificateError: the first cannot be parsed.
    """
    by_subject: dict[bytes, list[x509.Certificate]] = {}
    for each in authorities:
        by_subject.setdefault(each.subject.public_bytes(), []).append(each)
    chain = [load_certificate(der)]
    while chain[-1].issuer != chain[-1].subject:
        issuer = _issuer_among(by_subject.get(chain[-1].issuer.public_bytes(), ()), chain[-1])
        if issuer is None or issuer in chain:
            break
        chain.append(issuer)
    return chain


def _issuer_among(
    candidates: Iterable[x509.Certificate], certificate: x509.Certificate
) -> x509.Certificate | None:
    for each in candidates:
        try:
            certificate.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return each
    return None


# Signature schemes


def signature_schemes(certificate: x509.Certificate) -> tuple[int, ...]:
    """Codes of the schemes that the certificate's key can make in TLS 1.3 (RFC 8446, 4.2.3).

    None for a key that TLS cannot use.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return ()
    if (
        isinstance(key, RSAPublicKey)
        and certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
    ):
        return schemes_of_key(key, schemes_of_pss_key(certificate))
    return schemes_of_key(key)


def schemes_of_key(
    key: object, rsa_schemes: Mapping[SignatureScheme, int] = _RSAE_SCHEMES
) -> tuple[int, ...]:
    """Codes of the schemes that a public key can make in TLS 1.3; none for one of no use in TLS.

    rsa_schemes: those of an RSA key that has room for them, with the lengths of their hashes.
    """
    if isinstance(key, EllipticCurvePublicKey):
        return _SCHEMES_OF_CURVE.get(key.curve.name, ())
    if isinstance(key, RSAPublicKey):
        # RFC 8017, 9.1.1: the encoded message holds the hash, as long a salt, and two octets.
        room = (key.key_size - 1 + 7) // 8
        return tuple(int(scheme) for scheme, size in rsa_schemes.items() if 2 * size + 2 <= room)
    if isinstance(key, Ed25519PublicKey):
        return (int(SignatureScheme.ed25519),)
    if isinstance(key, Ed448PublicKey):
        return (int(SignatureScheme.ed448),)
    return ()


def schemes_of_public_key_info(public_key_info: bytes, key: object) -> tuple[int, ...]:
    """The same for a key in the SubjectPublicKeyInfo that it was loaded from.

    ValueError: that is no SubjectPublicKeyInfo.
    """
    oid, parameters = _key_algorithm(public_key_info)
    if oid == _ID_RSASSA_PSS:
        return schemes_of_key(key, _schemes_of_pss_parameters(parameters))
    return schemes_of_key(key)


def schemes_of_pss_key(certificate: x509.Certificate) -> dict[SignatureScheme, int]:
    """What the parameters of an RSASSA-PSS key allow (RFC 4055, 3.1), with the hashes' lengths."""
    _, parameters = _key_algorithm(public_key_info_of(certificate))
    return _schemes_of_pss_parameters(parameters)


def may_sign_with(
    certificate: x509.Certificate,
    algorithm: x509.ObjectIdentifier,
    digest: hashes.HashAlgorithm | None,
) -> bool:
    """Whether an RSASSA-PSS key in a certificate allows a signature; True for any other key."""
    if certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSASSA_PSS:
        return True
    # RFC 4055, 1.2 and 3.1: such a key makes no other signatures, and may name its hash.
    return (
        algorithm == SignatureAlgorithmOID.RSASSA_PSS
        and digest is not None
        and digest.digest_size in schemes_of_pss_key(certificate).values()
    )


def pss_parameters(parameters: bytes) -> tuple[hashes.HashAlgorithm, int]:
    """Hash and length of the salt, of the content of RSASSA-PSS-params (RFC 4055, 3.1).

    ValueError: a hash other than SHA-256, SHA-384 or SHA-512, or another one for the mask.
    """
    fields = {each.tag: each.content for each in elements(parameters)}
    # hashAlgorithm [0] and maskGenAlgorithm [1] have SHA-1 by default, saltLength [2] is then 20.
    if 0xA0 not in fields or 0xA1 not in fields:
        raise ValueError("RSASSA-PSS with SHA-1")
    hash_oid = _algorithm_identifier(fields[0xA0])[0]
    mask_oid, mask_parameters = _algorithm_identifier(fields[0xA1])
    if mask_oid != _ID_MGF1 or mask_parameters is None:
        raise ValueError("RSASSA-PSS with another mask than MGF1")
    mask_hash_oid, _ = _algorithm_identifier(mask_parameters.encoded)
    if hash_oid not in _PSS_HASHES or mask_hash_oid != hash_oid:
        raise ValueError("RSASSA-PSS with unsupported hashes")
    salt_length = 20
    if 0xA2 in fields:
        (integer,) = elements(fields[0xA2])
        salt_length = int.from_bytes(integer.content, "big")
    return _PSS_HASHES[hash_oid], salt_length


def _schemes_of_pss_parameters(parameters: Element | None) -> dict[SignatureScheme, int]:
    if parameters is None:
        return _PSS_SCHEMES
    try:
        digest, salt_length = pss_parameters(parameters.content)
    except ValueError:
        return {}
    if salt_length > digest.digest_size:
        return {}
    return {_SCHEME_OF_DIGEST_SIZE[digest.digest_size]: digest.digest_size}


# Fields as they are encoded


class Element(NamedTuple):
    """One element of DER. encoded: with tag and length."""

    tag: int
    content: bytes
    encoded: bytes


def elements(der: bytes) -> Iterator[Element]:
    """The elements that stand one after the other. ValueError: the last one is cut off."""
    at = 0
    while at < len(der):
        start = at
        header = der[at : at + 2]
        at += 2
        length = header[-1]
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        end = at + length
        if len(header) < 2 or end > len(der):
            raise ValueError("an element of DER is cut off")
        yield Element(header[0], der[at:end], der[start:end])
        at = end


def certificate_fields(certificate: x509.Certificate) -> list[Element]:
    """The fields of TBSCertificate without the version (RFC 5280, 4.1): serialNumber, signature,
    issuer, validity, subject, subjectPublicKeyInfo, and what else there is."""
    (tbs,) = elements(certificate.tbs_certificate_bytes)
    return [each for each in elements(tbs.content) if each.tag != _VERSION]


def public_key_info_of(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, in DER."""
    return certificate_fields(certificate)[5].encoded


def extension_values(certificate: x509.Certificate, oid: bytes) -> list[bytes]:
    """The extnValue of each extension with this OID (the content of its DER); one, mostly.

    Other extensions may be as malformed as they like, as well as these values.
    """
    # Most certificates do not have it, and this is asked for each connection.
    if oid not in certificate.tbs_certificate_bytes:
        return []
    last = certificate_fields(certificate)[-1]
    if last.tag != _EXTENSIONS:
        return []
    (extensions,) = elements(last.content)
    values = []
    for extension in elements(extensions.content):
        extn_id, *_, extn_value = elements(extension.content)
        if extn_id.content == oid:
            values.append(extn_value.content)
    return values


def _key_algorithm(public_key_info: bytes) -> tuple[bytes, Element | None]:
    """OID and parameters of a key's algorithm. ValueError: it is no SubjectPublicKeyInfo."""
    (info,) = elements(public_key_info)
    algorithm, key = elements(info.content)
    # RFC 5280, 4.1: SEQUENCE { AlgorithmIdentifier, BIT STRING }.
    if (info.tag, algorithm.tag, key.tag) != (0x30, 0x30, 0x03):
        raise ValueError("not a SubjectPublicKeyInfo")
    return _algorithm_identifier(algorithm.encoded)


def _algorithm_identifier(der: bytes) -> tuple[bytes, Element | None]:
    """OID and parameters of an AlgorithmIdentifier."""
    (algorithm,) = elements(der)
    oid, *parameters = elements(algorithm.content)
    return oid.content, parameters[0] if parameters else None
