"""Pre-shared keys that come from outside TLS (RFC 8446, 4.2.11), and their import (RFC 9258)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256, SHA384, Hash, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_HASHES: dict[str, HashAlgorithm] = {"sha256": SHA256(), "sha384": SHA384()}
# RFC 9258, 10: the TLS KDF Identifiers, which are HKDF_SHA256 and HKDF_SHA384.
_TARGET_KDFS = {"sha256": 0x0001, "sha384": 0x0002}
_TARGET_PROTOCOL = 0x0304
_MAX_OPAQUE = 0xFFFF


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ExternalPSK:
    """A key that both sides have from elsewhere, and the identity that a client names it by.

    identity: 1 to 65535 bytes; everybody on the path can read them.
    key: at least one byte. Guesses can be tried out on what is sent, so it has to be derived from
        128 bits of entropy or more, and must not be a password (RFC 9257, 6).
    hash: "sha256" or "sha384"; the key is used only with cipher suites of that hash
        (RFC 8446, 4.2.11).
    imported: whether import_key() made this.

    A key should be known to one client and one server, in these roles, and to nobody else
    (RFC 9257, 6).

    Raises TypeError for values of a wrong type, ValueError for values out of range.
    """

    identity: bytes
    key: bytes
    hash: str = field(default="sha256", kw_only=True)
    imported: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _check(self.identity, self.key, self.hash)

    @classmethod
    def import_key(
        cls, identity: bytes, key: bytes, *, context: bytes = b"", hash: str = "sha256"
    ) -> tuple[ExternalPSK, ...]:
        """The keys that RFC 9258 derives from this one, each for the cipher suites of one hash.

        identity and key: as above.
        context: bytes that say what the key is for, such as the names of both sides; a client
            sends them in the clear.
        hash: the one that belongs to `key` itself, whatever the cipher suites are; "sha256" where
            it has none.

        Both sides have to import the key, with the same arguments. It must not be used in any
        other way then (RFC 9258, 4).

        Raises TypeError for values of a wrong type; ValueError for values out of range, and for
        an identity and a context that together are too long for one identity.
        """
        _check(identity, key, hash)
        if not isinstance(context, bytes):
            raise TypeError("context must be bytes")
        extracted = _hkdf_extract(hash, key)
        imported = []
        for target, target_kdf in _TARGET_KDFS.items():
            imported_identity = _imported_identity(identity, context, target_kdf)
            length = _HASHES[target].digest_size
            psk = cls(
                imported_identity, _derive(extracted, hash, imported_identity, length), hash=target
            )
            object.__setattr__(psk, "imported", True)
            imported.append(psk)
        return tuple(imported)

    def __repr__(self) -> str:
        kind = "imported ExternalPSK" if self.imported else "ExternalPSK"
        return f"<fasths.{kind} {self.identity!r} for {self.hash}>"


def _check(identity: bytes, key: bytes, hash: str) -> None:
    for name, value in (("identity", identity), ("key", key)):
        if not isinstance(value, bytes):
            raise TypeError(f"{name} must be bytes")
    if not isinstance(hash, str):
        raise TypeError("hash must be a str")
    # RFC 8446, 4.2.11: opaque identity<1..2^16-1>.
    if not 1 <= len(identity) <= _MAX_OPAQUE:
        raise ValueError("identity must have 1 to 65535 bytes")
    if not key:
        raise ValueError("key must not be empty")
    if hash not in _HASHES:
        raise ValueError('hash must be "sha256" or "sha384"')


def _imported_identity(external_identity: bytes, context: bytes, target_kdf: int) -> bytes:
    """struct ImportedIdentity (RFC 9258, 5.1)."""
    if len(external_identity) + len(context) + 8 > _MAX_OPAQUE:
        raise ValueError("identity and context are too long for an ImportedIdentity")
    return b"".join(
        (
            len(external_identity).to_bytes(2, "big"),
            external_identity,
            len(context).to_bytes(2, "big"),
            context,
            _TARGET_PROTOCOL.to_bytes(2, "big"),
            target_kdf.to_bytes(2, "big"),
        )
    )


def _hkdf_extract(hash: str, key: bytes) -> bytes:
    """HKDF-Extract(0, key) (RFC 5869, 2.2)."""
    algorithm = _HASHES[hash]
    mac = HMAC(bytes(algorithm.digest_size), algorithm)
    mac.update(key)
    return mac.finalize()


def _derive(extracted: bytes, hash: str, imported_identity: bytes, length: int) -> bytes:
    """HKDF-Expand-Label(epskx, "derived psk", Hash(ImportedIdentity), L) (RFC 9258, 5.1)."""
    algorithm = _HASHES[hash]
    digest = Hash(algorithm)
    digest.update(imported_identity)
    label, context = b"tls13 derived psk", digest.finalize()
    # struct HkdfLabel (RFC 8446, 7.1).
    info = b"".join(
        (length.to_bytes(2, "big"), bytes((len(label),)), label, bytes((len(context),)), context)
    )
    return HKDFExpand(algorithm, length, info).derive(extracted)
