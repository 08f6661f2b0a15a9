"""The crypto floor: every primitive of a full TLS 1.3 handshake in a row, and nothing else.

Both sides work on each other's real outputs, so keys agree, signatures verify and records open;
but nothing is encoded, parsed or decided, and there are no states. The calls are the cheapest that
`cryptography` and hashlib offer for each purpose:

- a secret keys one HMAC; each further label works on a copy of it, which costs less than half;
- what is the same in every handshake (the early secret, labels, parameter objects, the trust
  store) is made beforehand;
- signatures are made over a digest from hashlib, which is quicker than handing over the message;
- each side makes its four AEAD contexts, and seals and opens one record.

The exporter and resumption secrets are left out: they can wait until somebody asks for them.
"""

import hashlib
import os
from dataclasses import dataclass
from hmac import compare_digest
from time import perf_counter_ns
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import DNSName, load_der_x509_certificate, load_pem_x509_certificate
from cryptography.x509.verification import PolicyBuilder, Store

from bench.cases import X25519MLKEM768, Row
from bench.certificates import HOSTNAME, Credentials

_SHA256 = hashes.SHA256()
_ECDSA = (ec.ECDSA(Prehashed(_SHA256)),)
_RSA_PSS = (padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size), Prehashed(_SHA256))
_ZEROS = bytes(32)
_NONCE = bytes(12)
_CONTENT_PREFIX = b" " * 64 + b"TLS 1.3, server CertificateVerify\x00"
# ML-KEM-768 and X25519 sizes, as the hybrid group concatenates them.
_ENCAPSULATION_KEY, _CIPHERTEXT = 1184, 1088


def _label(name: bytes, length: int, context_length: int = 0) -> bytes:
    """HkdfLabel up to its context; a label without context gets HKDF-Expand's counter too."""
    head = length.to_bytes(2, "big") + bytes([6 + len(name)]) + b"tls13 " + name
    return head + bytes([context_length]) + (b"" if context_length else b"\x01")


_KEY, _IV, _FINISHED = _label(b"key", 16), _label(b"iv", 12), _label(b"finished", 32)
_DERIVED = _label(b"derived", 32, 32) + hashlib.sha256().digest() + b"\x01"
_CLIENT_HANDSHAKE = _label(b"c hs traffic", 32, 32)
_SERVER_HANDSHAKE = _label(b"s hs traffic", 32, 32)
_CLIENT_APPLICATION = _label(b"c ap traffic", 32, 32)
_SERVER_APPLICATION = _label(b"s ap traffic", 32, 32)


def _mac(key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, _SHA256)
    mac.update(data)
    return mac.finalize()


def _expand(keyed: HMAC, info: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(info)
    return mac.finalize()


_HANDSHAKE_EXTRACT = HMAC(_mac(_mac(_ZEROS, _ZEROS), _DERIVED), _SHA256)


@dataclass(slots=True)
class _HandshakeKeys:
    client: AESGCM
    server: AESGCM
    client_finished: bytes
    server_finished: bytes
    derived: bytes


def _handshake_keys(shared_secret: bytes, transcript_hash: bytes) -> _HandshakeKeys:
    keyed = HMAC(_expand(_HANDSHAKE_EXTRACT, shared_secret), _SHA256)
    client = HMAC(_expand(keyed, _CLIENT_HANDSHAKE + transcript_hash + b"\x01"), _SHA256)
    server = HMAC(_expand(keyed, _SERVER_HANDSHAKE + transcript_hash + b"\x01"), _SHA256)
    keyed.update(_DERIVED)
    _expand(client, _IV)
    _expand(server, _IV)
    return _HandshakeKeys(
        client=AESGCM(_expand(client, _KEY)[:16]),
        server=AESGCM(_expand(server, _KEY)[:16]),
        client_finished=_last(client, _FINISHED),
        server_finished=_last(server, _FINISHED),
        derived=keyed.finalize(),
    )


def _last(keyed: HMAC, info: bytes) -> bytes:
    """The last output that a keyed HMAC is needed for: no copy."""
    keyed.update(info)
    return keyed.finalize()


def _application_keys(derived: bytes, transcript_hash: bytes) -> tuple[AESGCM, AESGCM]:
    keyed = HMAC(_mac(derived, _ZEROS), _SHA256)
    client = HMAC(_expand(keyed, _CLIENT_APPLICATION + transcript_hash + b"\x01"), _SHA256)
    server = HMAC(_last(keyed, _SERVER_APPLICATION + transcript_hash + b"\x01"), _SHA256)
    _expand(client, _IV)
    _expand(server, _IV)
    return AESGCM(_last(client, _KEY)[:16]), AESGCM(_last(server, _KEY)[:16])


class Floor:
    """Both sides' primitives for one row; `handshake` runs and times them."""

    def __init__(self, row: Row, credentials: Credentials) -> None:
        self._hybrid = row.group == X25519MLKEM768
        # Any: which signature arguments a key takes depends on its type.
        self._key: Any = load_pem_private_key(credentials.key.encode(), None)
        self._signature_arguments = _RSA_PSS if row.leaf == "rsa" else _ECDSA
        ca = load_pem_x509_certificate(credentials.ca.encode())
        self._leaf = load_pem_x509_certificate(credentials.leaf.encode()).public_bytes(Encoding.DER)
        self._policy = PolicyBuilder().store(Store([ca]))
        self._hostname = DNSName(HOSTNAME)
        # Messages of the sizes that a handshake has; what they say does not matter to a hash.
        share = _CIPHERTEXT + 32 if self._hybrid else 32
        self._client_hello = bytes(180 + (_ENCAPSULATION_KEY + 32 if self._hybrid else 32))
        self._server_hello = bytes(90 + share)
        self._certificate = bytes(len(self._leaf) + 13 + 6)
        self._certificate_verify = bytes(264 if row.leaf == "rsa" else 79)
        self._flight = self._certificate + self._certificate_verify + bytes(36 + 1)

    def handshake(self) -> tuple[int, int]:
        """One handshake's primitives: (the client's nanoseconds, the server's)."""
        start = perf_counter_ns()
        private, share = self._client_start()
        client_started = perf_counter_ns()
        server_share, server_keys, signature, server_application, flight = self._server(share)
        server_answered = perf_counter_ns()
        finished, client_application = self._client_finish(private, server_share, signature, flight)
        client_finished = perf_counter_ns()
        server_keys.client.decrypt(_NONCE, finished, b"aad__")
        expected = _mac(server_keys.client_finished, _ZEROS)
        compare_digest(expected, expected)
        server_finished = perf_counter_ns()
        probe = client_application[0].encrypt(_NONCE, b"probe", b"")
        if server_application[0].decrypt(_NONCE, probe, b"") != b"probe":
            raise RuntimeError("the two sides of the floor do not agree on the keys")
        return (
            client_started - start + client_finished - server_answered,
            server_answered - client_started + server_finished - client_finished,
        )

    def _client_start(self) -> tuple[tuple[X25519PrivateKey, MLKEM768PrivateKey | None], bytes]:
        os.urandom(64)  # random and legacy_session_id
        private = X25519PrivateKey.generate()
        share = private.public_key().public_bytes_raw()
        if not self._hybrid:
            return (private, None), share
        hybrid = MLKEM768PrivateKey.generate()
        return (private, hybrid), hybrid.public_key().public_bytes_raw() + share

    def _server(
        self, client_share: bytes
    ) -> tuple[bytes, _HandshakeKeys, bytes, tuple[AESGCM, AESGCM], bytes]:
        os.urandom(32)  # random
        transcript = hashlib.sha256(self._client_hello)
        shared_secret, server_share = b"", b""
        if self._hybrid:
            encapsulation_key = MLKEM768PublicKey.from_public_bytes(
                client_share[:_ENCAPSULATION_KEY]
            )
            shared_secret, server_share = encapsulation_key.encapsulate()
            client_share = client_share[_ENCAPSULATION_KEY:]
        private = X25519PrivateKey.generate()
        server_share += private.public_key().public_bytes_raw()
        shared_secret += private.exchange(X25519PublicKey.from_public_bytes(client_share))
        transcript.update(self._server_hello)
        keys = _handshake_keys(shared_secret, transcript.digest())
        transcript.update(self._certificate)
        digest = hashlib.sha256(_CONTENT_PREFIX + transcript.digest()).digest()
        signature = self._key.sign(digest, *self._signature_arguments)
        transcript.update(self._certificate_verify)
        transcript.update(_mac(keys.server_finished, transcript.digest()))
        flight = keys.server.encrypt(_NONCE, self._flight, b"aad__")
        application = _application_keys(keys.derived, transcript.digest())
        return server_share, keys, signature, application, flight

    def _client_finish(
        self,
        private: tuple[X25519PrivateKey, MLKEM768PrivateKey | None],
        server_share: bytes,
        signature: bytes,
        flight: bytes,
    ) -> tuple[bytes, tuple[AESGCM, AESGCM]]:
        transcript = hashlib.sha256(self._client_hello)
        shared_secret = b""
        if private[1] is not None:
            shared_secret = private[1].decapsulate(server_share[:_CIPHERTEXT])
            server_share = server_share[_CIPHERTEXT:]
        shared_secret += private[0].exchange(X25519PublicKey.from_public_bytes(server_share))
        transcript.update(self._server_hello)
        keys = _handshake_keys(shared_secret, transcript.digest())
        keys.server.decrypt(_NONCE, flight, b"aad__")
        leaf = load_der_x509_certificate(self._leaf)
        self._policy.build_server_verifier(self._hostname).verify(leaf, [])
        public_key: Any = leaf.public_key()
        transcript.update(self._certificate)
        digest = hashlib.sha256(_CONTENT_PREFIX + transcript.digest()).digest()
        public_key.verify(signature, digest, *self._signature_arguments)
        transcript.update(self._certificate_verify)
        verify_data = _mac(keys.server_finished, transcript.digest())
        compare_digest(verify_data, verify_data)
        transcript.update(verify_data)
        application = _application_keys(keys.derived, transcript.digest())
        finished = _mac(keys.client_finished, transcript.digest()) + bytes(5)
        return keys.client.encrypt(_NONCE, finished, b"aad__"), application
