"""The cryptography of TLS 1.2 (RFC 5246, 5, 6 and 8), in plain Python for tests.

Key exchange and signatures are those of TLS 1.3, in scripted_keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from scripted_keys import DEFAULT_SCHEMES
from scripted_messages import TLS12, u8, u16, vector

from fasths import CipherSuite, SignatureScheme

MASTER_SECRET_LENGTH = 48
VERIFY_DATA_LENGTH = 12
CLIENT, SERVER = b"client", b"server"


class Suite12(NamedTuple):
    """authentication: "ecdsa" or "rsa"; explicit_nonce_length: of each record's nonce."""

    code: int
    authentication: str
    hash: str
    key_length: int
    aead: Any
    iv_length: int
    explicit_nonce_length: int

    def digest(self, data: bytes) -> bytes:
        return hashlib.new(self.hash, data).digest()

    def prf(self, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
        """RFC 5246, 5."""
        seed = label + seed
        output, a = b"", seed
        while len(output) < length:
            a = hmac.digest(secret, a, self.hash)
            output += hmac.digest(secret, a + seed, self.hash)
        return output[:length]

    def master_secret(self, premaster: bytes, client_random: bytes, server_random: bytes) -> bytes:
        """RFC 5246, 8.1."""
        seed = client_random + server_random
        return self.prf(premaster, b"master secret", seed, MASTER_SECRET_LENGTH)

    def extended_master_secret(self, premaster: bytes, transcript: bytes) -> bytes:
        """RFC 7627, 4; the transcript ends in ClientKeyExchange."""
        label = b"extended master secret"
        return self.prf(premaster, label, self.digest(transcript), MASTER_SECRET_LENGTH)

    def verify_data(self, master_secret: bytes, role: bytes, transcript: bytes) -> bytes:
        """RFC 5246, 7.4.9; role: CLIENT or SERVER."""
        label = role + b" finished"
        return self.prf(master_secret, label, self.digest(transcript), VERIFY_DATA_LENGTH)

    def record_keys(
        self, master_secret: bytes, client_random: bytes, server_random: bytes
    ) -> tuple[RecordKey, RecordKey]:
        """Those that the client and the server write with (RFC 5246, 6.3)."""
        key, iv = self.key_length, self.iv_length
        seed = server_random + client_random
        block = self.prf(master_secret, b"key expansion", seed, 2 * (key + iv))
        ivs = block[2 * key :]
        return (
            RecordKey(self, block[:key], ivs[:iv]),
            RecordKey(self, block[key : 2 * key], ivs[iv:]),
        )

    def export(
        self,
        master_secret: bytes,
        label: bytes,
        context: bytes | None,
        client_random: bytes,
        server_random: bytes,
        length: int,
    ) -> bytes:
        """RFC 5705, 4: no context and an empty one differ."""
        seed = client_random + server_random
        if context is not None:
            seed += vector(2, context)
        return self.prf(master_secret, label, seed, length)


def _suites() -> dict[int, Suite12]:
    S = CipherSuite
    aes_128, aes_256 = ("sha256", 16, AESGCM, 4, 8), ("sha384", 32, AESGCM, 4, 8)
    chacha = ("sha256", 32, ChaCha20Poly1305, 12, 0)
    return {
        suite.code: suite
        for suite in (
            Suite12(S.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ecdsa", *aes_128),
            Suite12(S.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ecdsa", *aes_256),
            Suite12(S.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ecdsa", *chacha),
            Suite12(S.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "rsa", *aes_128),
            Suite12(S.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "rsa", *aes_256),
            Suite12(S.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "rsa", *chacha),
        )
    }


SUITES12 = _suites()


class RecordKey:
    """Protects or opens the records of one direction (RFC 5246, 6.2.3.3).

    explicit_nonce: makes the explicit part of a nonce from the sequence number.
    """

    def __init__(self, suite: Suite12, key: bytes, iv: bytes) -> None:
        self.suite = suite
        self.aead = suite.aead(key)
        self.iv = iv
        self.sequence_number = 0
        self.explicit_nonce: Callable[[int], bytes] = lambda number: number.to_bytes(8, "big")
        # Those of the records that were opened.
        self.explicit_nonces: set[bytes] = set()

    def nonce(self, explicit: bytes) -> bytes:
        if self.suite.explicit_nonce_length:
            # RFC 5288, 3
            return self.iv + explicit
        # RFC 7905, 2
        number = int.from_bytes(self.iv, "big") ^ self.sequence_number
        return number.to_bytes(12, "big")

    def additional_data(self, header: bytes, length: int) -> bytes:
        return self.sequence_number.to_bytes(8, "big") + header + u16(length)

    def seal(
        self,
        content_type: int,
        content: bytes,
        *,
        version: int = TLS12,
        explicit_nonce: bytes | None = None,
    ) -> bytes:
        """A whole record."""
        explicit = explicit_nonce
        if explicit is None:
            explicit = self.explicit_nonce(self.sequence_number)
        explicit = explicit[: self.suite.explicit_nonce_length]
        header = u8(content_type) + u16(version)
        additional = self.additional_data(header, len(content))
        sealed = self.aead.encrypt(self.nonce(explicit), content, additional)
        self.sequence_number += 1
        return header + vector(2, explicit, sealed)

    def open(self, record: bytes) -> tuple[int, bytes]:
        """(content type, content). InvalidTag: another key sealed it; it does not count."""
        size = self.suite.explicit_nonce_length
        explicit, sealed = record[5 : 5 + size], record[5 + size :]
        if len(explicit) < size or len(sealed) < 16:
            raise InvalidTag
        additional = self.additional_data(record[:3], len(sealed) - 16)
        content = self.aead.decrypt(self.nonce(explicit), sealed, additional)
        # RFC 5288, 3: unique for each record under a key.
        assert not size or explicit not in self.explicit_nonces, "a nonce is used again"
        self.explicit_nonces.add(explicit)
        self.sequence_number += 1
        return record[0], content


# --- Signatures (RFC 5246, 7.4.1.4.1; RFC 8446, 4.2.3; RFC 8422, 5.4)


def authentication_of(scheme: int) -> str:
    """What a suite must have that is authenticated with this scheme."""
    return "rsa" if SignatureScheme(scheme).name.startswith("rsa") else "ecdsa"


def schemes_of(key_type: str) -> tuple[SignatureScheme, ...]:
    """What a key may sign with; curves are not bound to hashes, and PKCS #1 v1.5 may sign."""
    family = {"ecdsa": ("ecdsa_",), "rsa-pss": ("rsa_pss_pss_",)}.get(key_type)
    if family is None and key_type.startswith("ecdsa"):
        family = ("ecdsa_",)
    elif family is None and key_type.startswith("rsa"):
        family = ("rsa_pss_rsae_", "rsa_pkcs1_")
    elif family is None:
        return (DEFAULT_SCHEMES[key_type],)
    return tuple(each for each in SignatureScheme if each.name.startswith(family))
