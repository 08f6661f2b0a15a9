"""Identities: a certificate chain with its private key."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import SignatureAlgorithmOID

from fasths.crypto.certificates import signature_schemes
from fasths.crypto.identity_names import check_usable, names_of
from fasths.crypto.raw_public_keys import RawPublicKey, public_key_of
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


# Called with a fasths.SignatureRequest; gives the signature, or fasths.LATER.
Signer = Callable[[Any], object]


class Identity:
    """A certificate chain and the private key of its leaf, ready to be used by any Context.

    certificates: the chain in DER, leaf first; or, where is_raw_public_key, the one
    SubjectPublicKeyInfo (RFC 7250). signature_schemes: codes of the schemes that the key can sign
    with in TLS 1.3. chain_signature_schemes: codes of those that the chain is signed with, as far
    as TLS has codes for them; a self-signed certificate's is not among them. names,
    wildcard_domains: the DNS names of the leaf, and the domains of its wildcards. ocsp_response: a
    stapled OCSP response in DER, or None. signed_certificate_timestamps: as RFC 6962, 3.2 has them.
    """

    __slots__ = (
        "certificates",
        "chain_signature_schemes",
        "digest",
        "is_raw_public_key",
        "issuers",
        "names",
        "ocsp_response",
        "private_key",
        "signature_schemes",
        "signed_certificate_timestamps",
        "signer",
        "wildcard_domains",
    )

    certificates: tuple[bytes, ...]
    chain_signature_schemes: tuple[int, ...]
    is_raw_public_key: bool
    names: tuple[str, ...]
    ocsp_response: bytes | None
    signature_schemes: tuple[int, ...]
    signed_certificate_timestamps: tuple[bytes, ...]
    wildcard_domains: tuple[str, ...]

    def __init__(
        self,
        certificates: list[x509.Certificate],
        private_key: object,
        *,
        signer: Signer | None = None,
        ocsp_response: bytes | None = None,
        signed_certificate_timestamps: Iterable[bytes] = (),
    ) -> None:
        """Use from_pem(), from_files() or from_signer().

        ValueError: no certificate, a key that is not the leaf's, or one that TLS cannot use.
        """
        if not certificates:
            raise ValueError("an identity needs at least one certificate")
        leaf = certificates[0]
        try:
            public_key = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"the certificate's key cannot be used: {error}") from error
        if signer is None:
            own_key = getattr(private_key, "public_key", lambda: None)()
            if own_key is None or _subject_public_key(own_key) != _subject_public_key(public_key):
                raise ValueError("the private key is not the one of the first certificate")
        self._set_up(
            tuple(each.public_bytes(Encoding.DER) for each in certificates),
            signature_schemes(leaf),
            private_key,
            signer,
        )
        self.is_raw_public_key = False
        self.names, self.wildcard_domains = names_of(leaf)
        self.issuers = frozenset(each.issuer.public_bytes() for each in certificates)
        self.chain_signature_schemes = tuple(
            {
                _SCHEME_OF_SIGNATURE[each.signature_algorithm_oid]
                for each in certificates
                if each.issuer != each.subject
                and each.signature_algorithm_oid in _SCHEME_OF_SIGNATURE
            }
        )
        if ocsp_response is not None and not isinstance(ocsp_response, bytes):
            raise TypeError("ocsp_response must be bytes or None")
        self.ocsp_response = ocsp_response
        self.signed_certificate_timestamps = tuple(signed_certificate_timestamps)
        for timestamp in self.signed_certificate_timestamps:
            # RFC 6962, 3.3: opaque SerializedSCT<1..2^16-1>.
            if not isinstance(timestamp, bytes) or not 1 <= len(timestamp) <= 0xFFFF:
                raise ValueError("a signed certificate timestamp is 1 to 65535 bytes")

    def _set_up(
        self,
        certificates: tuple[bytes, ...],
        schemes: tuple[int, ...],
        private_key: object,
        signer: Signer | None,
    ) -> None:
        if not schemes:
            raise ValueError("TLS has no signature scheme for this kind of key")
        self.certificates = certificates
        self.digest = sha256(certificates[0]).digest()
        self.signature_schemes = schemes
        self.private_key = private_key
        self.signer = signer

    def check_usable(self) -> None:
        """Whether a handshake could succeed with it now.

        ValueError: a certificate is expired or not yet valid, or the chain does not fit together.
        """
        if not self.is_raw_public_key:
            check_usable([x509.load_der_x509_certificate(der) for der in self.certificates])

    def is_issued_by(self, names: tuple[bytes, ...]) -> bool:
        """Whether an authority with one of these names (DER) issued a certificate of the chain."""
        return not self.issuers.isdisjoint(names)

    @classmethod
    def from_pem(
        cls,
        chain_pem: bytes | str,
        key_pem: bytes | str,
        password: bytes | str | None = None,
        *,
        ocsp_response: bytes | None = None,
        signed_certificate_timestamps: Iterable[bytes] = (),
    ) -> Identity:
        """From PEM text: the chain with its leaf first, and the key.

        ocsp_response: a DER OCSP response to be stapled. signed_certificate_timestamps: SCTs to be
        sent with the leaf (RFC 6962). ValueError: text that cannot be parsed, a wrong password, or
        a key that does not fit. TypeError: a password for a key without one, or none for a key that
        needs one.
        """
        return cls(
            _load_chain(chain_pem),
            _load_key(key_pem, password),
            ocsp_response=ocsp_response,
            signed_certificate_timestamps=signed_certificate_timestamps,
        )

    @classmethod
    def from_files(
        cls,
        chain_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str],
        password: bytes | str | None = None,
        *,
        ocsp_response: bytes | None = None,
        signed_certificate_timestamps: Iterable[bytes] = (),
    ) -> Identity:
        """From PEM files; the two paths may be one. Raises what from_pem() does, and OSError."""
        return cls.from_pem(
            Path(chain_path).read_bytes(),
            Path(key_path).read_bytes(),
            password=password,
            ocsp_response=ocsp_response,
            signed_certificate_timestamps=signed_certificate_timestamps,
        )

    @classmethod
    def from_signer(
        cls,
        chain_pem: bytes | str,
        signer: Signer,
        *,
        ocsp_response: bytes | None = None,
        signed_certificate_timestamps: Iterable[bytes] = (),
    ) -> Identity:
        """With a key that is kept elsewhere: in an HSM, by a KMS, in another process.

        signer: called with a SignatureRequest; returns the signature, or LATER. ValueError: as
        from_pem(). TypeError: signer cannot be called.
        """
        if not callable(signer):
            raise TypeError("signer must be callable")
        return cls(
            _load_chain(chain_pem),
            None,
            signer=signer,
            ocsp_response=ocsp_response,
            signed_certificate_timestamps=signed_certificate_timestamps,
        )

    @classmethod
    def from_raw_public_key(
        cls, key_pem: bytes | str, password: bytes | str | None = None
    ) -> Identity:
        """A key alone, without a certificate (RFC 7250), for peers that know its public key.

        Raises what from_pem() does.
        """
        private_key = _load_key(key_pem, password)
        public_key = RawPublicKey(public_key_of(private_key))
        identity = cls.__new__(cls)
        identity._set_up((public_key.der,), public_key.signature_schemes, private_key, None)
        identity.is_raw_public_key = True
        identity.names = identity.wildcard_domains = ()
        identity.issuers = frozenset()
        identity.chain_signature_schemes = ()
        identity.ocsp_response = None
        identity.signed_certificate_timestamps = ()
        return identity

    def __repr__(self) -> str:
        if self.is_raw_public_key:
            return "<fasths.Identity, a raw public key>"
        return f"<fasths.Identity of {len(self.certificates)} certificates>"


def _load_chain(chain_pem: bytes | str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_as_bytes(chain_pem))
    except (UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ValueError(f"the certificate cannot be used: {error}") from error


def _load_key(key_pem: bytes | str, password: bytes | str | None) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(
            _as_bytes(key_pem), None if password is None else _as_bytes(password)
        )
    except UnsupportedAlgorithm as error:
        raise ValueError(f"the key cannot be used: {error}") from error


def _as_bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _subject_public_key(key: object) -> bytes:
    public_bytes = getattr(key, "public_bytes", None)
    if public_bytes is None:
        return b""
    encoded: bytes = public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
