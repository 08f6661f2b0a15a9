"""Identities: a certificate chain with its private key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import SignatureAlgorithmOID

from fasths.crypto.certificates import signature_schemes
from fasths.wire.codes import SignatureScheme

# RFC 8446, 4.2.3; inside certificates the curve of an ECDSA signature is not told by its OID.
_SCHEME_OF_SIGNATURE = {
    SignatureAlgorithmOID.RSA_WITH_SHA256: int(SignatureScheme.rsa_pkcs1_sha256),
    SignatureAlgorithmOID.RSA_WITH_SHA384: int(SignatureScheme.rsa_pkcs1_sha384),
    SignatureAlgorithmOID.RSA_WITH_SHA512: int(SignatureScheme.rsa_pkcs1_sha512),
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: int(SignatureScheme.ecdsa_secp256r1_sha256),
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: int(SignatureScheme.ecdsa_secp384r1_sha384),
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: int(SignatureScheme.ecdsa_secp521r1_sha512),
    SignatureAlgorithmOID.ED25519: int(SignatureScheme.ed25519),
    SignatureAlgorithmOID.ED448: int(SignatureScheme.ed448),
}


class Identity:
    """A certificate chain and the private key of its leaf, ready to be used by any Context.

    certificates: the chain in DER, leaf first. signature_schemes: codes of the schemes that the
    key can sign with. chain_signature_schemes: codes of those that the chain is signed with, as
    far as TLS has codes for them; a self-signed certificate's is not among them.
    """

    __slots__ = ("certificates", "chain_signature_schemes", "private_key", "signature_schemes")

    certificates: Final[tuple[bytes, ...]]
    chain_signature_schemes: Final[tuple[int, ...]]
    signature_schemes: Final[tuple[int, ...]]

    def __init__(self, certificates: list[x509.Certificate], private_key: object) -> None:
        """Use from_pem() or from_files().

        ValueError: no certificate, a key that is not the leaf's, or one that TLS cannot use.
        """
        if not certificates:
            raise ValueError("an identity needs at least one certificate")
        leaf = certificates[0]
        try:
            public_key = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"the certificate's key cannot be used: {error}") from error
        own_key = getattr(private_key, "public_key", lambda: None)()
        if own_key is None or _subject_public_key(own_key) != _subject_public_key(public_key):
            raise ValueError("the private key is not the one of the first certificate")
        schemes = signature_schemes(leaf)
        if not schemes:
            raise ValueError("TLS 1.3 has no signature scheme for this kind of key")
        self.private_key = private_key
        self.certificates = tuple(each.public_bytes(Encoding.DER) for each in certificates)
        self.signature_schemes = schemes
        self.chain_signature_schemes = tuple(
            {
                _SCHEME_OF_SIGNATURE[each.signature_algorithm_oid]
                for each in certificates
                if each.issuer != each.subject
                and each.signature_algorithm_oid in _SCHEME_OF_SIGNATURE
            }
        )

    @classmethod
    def from_pem(
        cls, chain_pem: bytes | str, key_pem: bytes | str, password: bytes | str | None = None
    ) -> Identity:
        """From PEM text: the chain with its leaf first, and the key.

        ValueError: text that cannot be parsed, a wrong password, or a key that does not fit.
        TypeError: a password for a key without one, or none for a key that needs one.
        """
        try:
            certificates = x509.load_pem_x509_certificates(_as_bytes(chain_pem))
            key = load_pem_private_key(
                _as_bytes(key_pem), None if password is None else _as_bytes(password)
            )
        except (UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise ValueError(f"the certificate or key cannot be used: {error}") from error
        return cls(certificates, key)

    @classmethod
    def from_files(
        cls,
        chain_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str],
        password: bytes | str | None = None,
    ) -> Identity:
        """From PEM files; the two paths may be one. Raises what from_pem() does, and OSError."""
        return cls.from_pem(
            Path(chain_path).read_bytes(), Path(key_path).read_bytes(), password=password
        )

    def __repr__(self) -> str:
        return f"<fasths.Identity of {len(self.certificates)} certificates>"


def _as_bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _subject_public_key(key: object) -> bytes:
    public_bytes = getattr(key, "public_bytes", None)
    if public_bytes is None:
        return b""
    encoded: bytes = public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
