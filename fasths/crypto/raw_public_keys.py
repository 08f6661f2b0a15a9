"""Raw public keys in place of certificates (RFC 7250; RFC 8446, 4.4.2).

Such a key is believed because somebody said beforehand that it is the peer's. It has no name, no
issuer and no end, and two are the same if their DER is.
"""

from __future__ import annotations

from typing import Final, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from fasths.crypto.certificates import schemes_of_key, schemes_of_public_key_info
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError


@final
class RawPublicKey:
    """A public key that signs handshakes. Equal to others with the same DER.

    der: its SubjectPublicKeyInfo (RFC 5280, 4.1). public_key: what the library makes of it.
    signature_schemes: codes of the schemes that it can make, at least one (RFC 8446, 4.2.3).
    """

    __slots__ = ("der", "public_key", "signature_schemes")

    der: Final[bytes]
    public_key: Final[PublicKeyTypes]
    signature_schemes: Final[tuple[int, ...]]

    def __init__(self, der: bytes) -> None:
        """From a SubjectPublicKeyInfo.

        CertificateError: it cannot be parsed (bad_certificate), or the key is of a kind that
        TLS cannot use (unsupported_certificate).
        """
        der = bytes(der)
        try:
            key = load_der_public_key(der)
            # The library takes RSAPublicKey of PKCS #1 as well.
            schemes = schemes_of_public_key_info(der, key)
        except UnsupportedAlgorithm:
            schemes = ()
        except Exception:
            # The parser may have more kinds of errors than it says.
            raise CertificateError("the peer's public key cannot be parsed") from None
        if not schemes:
            raise CertificateError(
                "the peer's public key is of a kind that TLS cannot use",
                alert=AlertDescription.unsupported_certificate,
            )
        self.der = der
        self.public_key = key
        self.signature_schemes = schemes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RawPublicKey) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<fasths raw public key of {len(self.der)} bytes>"


def public_key_of(private_key: PrivateKeyTypes) -> bytes:
    """The SubjectPublicKeyInfo of a private key, in DER.

    The library does not tell an RSASSA-PSS key from other RSA keys once it is loaded: it becomes
    one of the latter, and signs with the rsa_pss_rsae schemes.

    ValueError: TLS has no signature scheme for this kind of key.
    """
    public_key = private_key.public_key()
    if not schemes_of_key(public_key):
        raise ValueError("TLS has no signature scheme for this kind of key")
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
