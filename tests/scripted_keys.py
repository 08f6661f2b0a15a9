"""The cryptography of TLS 1.3 (RFC 8446, 4.2.8, 4.4.3, 5.2 and 7), in plain Python for tests."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from scripted_messages import TLS12, u8, u16, vector

from fasths import CipherSuite, ContentType, NamedGroup, SignatureScheme

# --- Cipher suites and the key schedule (RFC 8446, 7.1 to 7.3)


class Suite(NamedTuple):
    code: int
    hash: str
    key_length: int
    aead: Any

    @property
    def hash_length(self) -> int:
        return hashlib.new(self.hash).digest_size

    def digest(self, data: bytes) -> bytes:
        return hashlib.new(self.hash, data).digest()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.hash)

    def expand_label(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """HKDF-Expand-Label."""
        info = u16(length) + vector(1, b"tls13 ", label) + vector(1, context)
        output = block = b""
        for counter in range(1, -(-length // self.hash_length) + 1):
            block = self.hmac(secret, block + info + u8(counter))
            output += block
        return output[:length]

    def derive_secret(self, secret: bytes, label: bytes, transcript: bytes) -> bytes:
        return self.expand_label(secret, label, self.digest(transcript), self.hash_length)

    def export(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """TLS-Exporter with exporter_master_secret, or the early one (RFC 8446, 7.5)."""
        secret = self.derive_secret(secret, label, b"")
        return self.expand_label(secret, b"exporter", self.digest(context), length)


SUITES = {
    suite.code: suite
    for suite in (
        Suite(CipherSuite.TLS_AES_128_GCM_SHA256, "sha256", 16, AESGCM),
        Suite(CipherSuite.TLS_AES_256_GCM_SHA384, "sha384", 32, AESGCM),
        Suite(CipherSuite.TLS_CHACHA20_POLY1305_SHA256, "sha256", 32, ChaCha20Poly1305),
    )
}


class TrafficKey:
    """Protects or opens the records of one direction (RFC 8446, 5.2 and 5.3)."""

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self.suite = suite
        self.secret = secret
        self.aead = suite.aead(suite.expand_label(secret, b"key", b"", suite.key_length))
        self.iv = suite.expand_label(secret, b"iv", b"", 12)
        self.sequence_number = 0

    def nonce(self) -> bytes:
        number = int.from_bytes(self.iv, "big") ^ self.sequence_number
        self.sequence_number += 1
        return number.to_bytes(12, "big")

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """A whole record."""
        return self.seal_inner(content + u8(content_type) + bytes(padding))

    def seal_inner(self, inner: bytes) -> bytes:
        """A whole record around any TLSInnerPlaintext."""
        header = u8(ContentType.application_data) + u16(TLS12, len(inner) + 16)
        return header + self.aead.encrypt(self.nonce(), inner, header)

    def open(self, record: bytes) -> tuple[int, bytes]:
        """(content type, content). InvalidTag: another key sealed it; it does not count."""
        try:
            inner = self.aead.decrypt(self.nonce(), record[5:], record[:5]).rstrip(b"\0")
        except InvalidTag:
            self.sequence_number -= 1
            raise
        return inner[-1], inner[:-1]

    def next(self) -> TrafficKey:
        """RFC 8446, 7.2."""
        label = b"traffic upd"
        return TrafficKey(
            self.suite, self.suite.expand_label(self.secret, label, b"", self.suite.hash_length)
        )

    def finished(self, transcript: bytes) -> bytes:
        """The verify_data of whoever sends with this key (RFC 8446, 4.4.4)."""
        suite = self.suite
        key = suite.expand_label(self.secret, b"finished", b"", suite.hash_length)
        return suite.hmac(key, suite.digest(transcript))


# --- Key exchange (RFC 8446, 4.2.8; X25519MLKEM768: the ML-KEM part comes first)

CURVES: dict[int, Any] = {
    NamedGroup.secp256r1: ec.SECP256R1(),
    NamedGroup.secp384r1: ec.SECP384R1(),
    NamedGroup.secp521r1: ec.SECP521R1(),
}
ENCAPSULATION_KEY, CIPHERTEXT = 1184, 1088
HYBRID = NamedGroup.X25519MLKEM768


def generate(group: int) -> tuple[Any, bytes]:
    """A client's (private key, share)."""
    if group == HYBRID:
        decapsulation_key = mlkem.MLKEM768PrivateKey.generate()
        private, share = generate(NamedGroup.x25519)
        encapsulation_key = decapsulation_key.public_key().public_bytes_raw()
        return (decapsulation_key, private), encapsulation_key + share
    if group == NamedGroup.x25519:
        key = x25519.X25519PrivateKey.generate()
        return key, key.public_key().public_bytes_raw()
    key = ec.generate_private_key(CURVES[group])
    return key, key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def exchange(group: int, private: Any, share: bytes) -> bytes:
    """The shared secret of a private key and the other side's share."""
    if group == HYBRID:
        return private[0].decapsulate(share[:CIPHERTEXT]) + exchange(
            NamedGroup.x25519, private[1], share[CIPHERTEXT:]
        )
    if group == NamedGroup.x25519:
        return private.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], share)
    return private.exchange(ec.ECDH(), public)


def respond(group: int, share: bytes) -> tuple[bytes, bytes]:
    """A server's (share, shared secret) for a client's share."""
    if group == HYBRID:
        key = mlkem.MLKEM768PublicKey.from_public_bytes(share[:ENCAPSULATION_KEY])
        secret, ciphertext = key.encapsulate()
        own, other_secret = respond(NamedGroup.x25519, share[ENCAPSULATION_KEY:])
        return ciphertext + own, secret + other_secret
    private, own = generate(group)
    return own, exchange(group, private, share)


# --- Signatures (RFC 8446, 4.2.3 and 4.4.3)

SERVER_CONTEXT = b"TLS 1.3, server CertificateVerify"
CLIENT_CONTEXT = b"TLS 1.3, client CertificateVerify"
_HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384()}
_HASHES["sha512"] = hashes.SHA512()


def signature_arguments(scheme: int, salt_length: int | None = None) -> tuple[Any, ...]:
    """What sign() and verify() of a key take behind the content."""
    name = {0x0201: "rsa_pkcs1_sha1", 0x0203: "ecdsa_sha1"}.get(scheme)
    name = name or SignatureScheme(scheme).name
    if name.startswith("ed"):
        return ()
    algorithm = _HASHES[name.rpartition("_")[2]]
    if name.startswith("ecdsa"):
        return (ec.ECDSA(algorithm),)
    if name.startswith("rsa_pkcs1"):
        return PKCS1v15(), algorithm
    return PSS(MGF1(algorithm), algorithm.digest_size if salt_length is None else salt_length), (
        algorithm
    )


DEFAULT_SCHEMES = {
    "ecdsa": SignatureScheme.ecdsa_secp256r1_sha256,
    "ecdsa384": SignatureScheme.ecdsa_secp384r1_sha384,
    "ecdsa521": SignatureScheme.ecdsa_secp521r1_sha512,
    "rsa": SignatureScheme.rsa_pss_rsae_sha256,
    "rsa1024": SignatureScheme.rsa_pss_rsae_sha256,
    "rsa-pss": SignatureScheme.rsa_pss_pss_sha256,
    "ed25519": SignatureScheme.ed25519,
    "ed448": SignatureScheme.ed448,
}
# Everything that may sign a handshake, and one that may only sign certificates.
ALL_SCHEMES = (
    *(each for each in SignatureScheme if "pkcs1" not in each.name),
    SignatureScheme.rsa_pkcs1_sha256,
)
