"""The crypto floor: every primitive of a TLS 1.3 handshake in a row, and nothing else.

floor12 is that of TLS 1.2, with this module's certificates and keyed HMACs.

Both sides work on each other's real outputs, so keys agree, signatures verify and records open;
but nothing is encoded, parsed or decided, and there are no states. The calls are the cheapest that
`cryptography` and hashlib offer for each purpose:

- a secret keys one HMAC; each further label works on a copy of it, which costs less than half;
- what is the same in every handshake (the early secret, labels, parameter objects, the trust
  store) is made beforehand;
- signatures are made over a digest from hashlib, which is quicker than handing over the message;
- each side makes its four AEAD contexts, and seals and opens one record;
- with a session there are the binder, one ticket, and the record that it arrives in: the server
  opens the old ticket and seals the new one under a key that is always there.

The exporter secret is left out, and where there are no tickets the resumption secret, too: they can
wait until somebody asks for them.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from time import perf_counter_ns
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import DNSName, load_der_x509_certificate, load_pem_x509_certificate
from cryptography.x509.verification import (
    ClientVerifier,
    PolicyBuilder,
    ServerVerifier,
    Store,
)

from bench.cases import TLS_1_3, X25519MLKEM768, Row
from bench.certificates import HOSTNAME, Credentials

SHA256 = hashes.SHA256()
_ECDSA = (ec.ECDSA(Prehashed(SHA256)),)
_RSA_PSS = (padding.PSS(padding.MGF1(SHA256), SHA256.digest_size), Prehashed(SHA256))
_ZEROS = bytes(32)
_NONCE = bytes(12)
_SERVER_CONTENT = b" " * 64 + b"TLS 1.3, server CertificateVerify\x00"
_CLIENT_CONTENT = b" " * 64 + b"TLS 1.3, client CertificateVerify\x00"
# ML-KEM-768 and X25519 sizes, as the hybrid group concatenates them.
_ENCAPSULATION_KEY, _CIPHERTEXT = 1184, 1088
# Beside the secret, what a server has to know of a session.
_TICKET_STATE = bytes(48)


def _label(name: bytes, length: int, context_length: int = 0) -> bytes:
    """HkdfLabel up to its context; a label without context gets HKDF-Expand's counter too."""
    head = length.to_bytes(2, "big") + bytes([6 + len(name)]) + b"tls13 " + name
    return head + bytes([context_length]) + (b"" if context_length else b"\x01")


_KEY, _IV, _FINISHED = _label(b"key", 16), _label(b"iv", 12), _label(b"finished", 32)
_DERIVED = _label(b"derived", 32, 32) + hashlib.sha256().digest() + b"\x01"
_BINDER = _label(b"res binder", 32, 32) + hashlib.sha256().digest() + b"\x01"
_RESUMPTION = _label(b"res master", 32, 32)
_TICKET_PSK = _label(b"resumption", 32, 4) + b"\x00\x00\x00\x00\x01"
_CLIENT_HANDSHAKE = _label(b"c hs traffic", 32, 32)
_SERVER_HANDSHAKE = _label(b"s hs traffic", 32, 32)
_CLIENT_APPLICATION = _label(b"c ap traffic", 32, 32)
_SERVER_APPLICATION = _label(b"s ap traffic", 32, 32)


def _mac(key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, SHA256)
    mac.update(data)
    return mac.finalize()


def expand(keyed: HMAC, info: bytes) -> bytes:
    """An output of a keyed HMAC that is needed again."""
    mac = keyed.copy()
    mac.update(info)
    return mac.finalize()


_EARLY_EXTRACT = HMAC(_ZEROS, SHA256)
_HANDSHAKE_EXTRACT = HMAC(_mac(_mac(_ZEROS, _ZEROS), _DERIVED), SHA256)


@dataclass(slots=True)
class _HandshakeKeys:
    client: AESGCM
    server: AESGCM
    client_finished: bytes
    server_finished: bytes
    derived: bytes


def _psk_binder(psk: bytes, transcript_hash: bytes) -> tuple[bytes, HMAC]:
    """The binder, and what the handshake secret is extracted with."""
    keyed = HMAC(expand(_EARLY_EXTRACT, psk), SHA256)
    finished_key = _mac(expand(keyed, _BINDER), _FINISHED)
    return _mac(finished_key, transcript_hash), HMAC(last(keyed, _DERIVED), SHA256)


def _handshake_keys(extract: HMAC, shared_secret: bytes, transcript_hash: bytes) -> _HandshakeKeys:
    keyed = HMAC(expand(extract, shared_secret), SHA256)
    client = HMAC(expand(keyed, _CLIENT_HANDSHAKE + transcript_hash + b"\x01"), SHA256)
    server = HMAC(expand(keyed, _SERVER_HANDSHAKE + transcript_hash + b"\x01"), SHA256)
    keyed.update(_DERIVED)
    expand(client, _IV)
    expand(server, _IV)
    return _HandshakeKeys(
        client=AESGCM(expand(client, _KEY)[:16]),
        server=AESGCM(expand(server, _KEY)[:16]),
        client_finished=last(client, _FINISHED),
        server_finished=last(server, _FINISHED),
        derived=keyed.finalize(),
    )


class _ApplicationKeys(NamedTuple):
    client: AESGCM
    server: AESGCM
    master: HMAC


def last(keyed: HMAC, info: bytes) -> bytes:
    """The last output that a keyed HMAC is needed for: no copy."""
    keyed.update(info)
    return keyed.finalize()


def _application_keys(derived: bytes, transcript_hash: bytes) -> _ApplicationKeys:
    keyed = HMAC(_mac(derived, _ZEROS), SHA256)
    client = HMAC(expand(keyed, _CLIENT_APPLICATION + transcript_hash + b"\x01"), SHA256)
    server = HMAC(expand(keyed, _SERVER_APPLICATION + transcript_hash + b"\x01"), SHA256)
    expand(client, _IV)
    expand(server, _IV)
    return _ApplicationKeys(AESGCM(last(client, _KEY)[:16]), AESGCM(last(server, _KEY)[:16]), keyed)


def _ticket_psk(master: HMAC, transcript_hash: bytes) -> bytes:
    return _mac(last(master, _RESUMPTION + transcript_hash + b"\x01"), _TICKET_PSK)


class Certificate:
    """What one side signs and the other verifies."""

    def __init__(
        self,
        leaf: str,
        key: str,
        content_prefix: bytes,
        verifier: Callable[[], ServerVerifier | ClientVerifier] | None,
    ) -> None:
        """verifier: None where the chain and its key are known."""
        # Any: which signature arguments a key takes depends on its type.
        self._key: Any = load_pem_private_key(key.encode(), None)
        is_rsa = isinstance(self._key, rsa.RSAPrivateKey)
        self._signature_arguments = _RSA_PSS if is_rsa else _ECDSA
        certificate = load_pem_x509_certificate(leaf.encode())
        self._der = certificate.public_bytes(Encoding.DER)
        self._public_key: Any = certificate.public_key()
        self._content_prefix = content_prefix
        self._verifier = verifier
        # Messages of the sizes that a handshake has; what they say does not matter to a hash.
        self.message = bytes(len(self._der) + 13 + 6)
        self.verify_message = bytes(264 if is_rsa else 79)

    def sign(self, content: bytes) -> bytes:
        signature: bytes = self._key.sign(self._digest(content), *self._signature_arguments)
        return signature

    def verify(self, signature: bytes, content: bytes) -> None:
        public_key = self._public_key
        if self._verifier is not None:
            leaf = load_der_x509_certificate(self._der)
            self._verifier().verify(leaf, [])
            public_key = leaf.public_key()
        public_key.verify(signature, self._digest(content), *self._signature_arguments)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self._content_prefix + content).digest()


def shown_certificates(
    row: Row, credentials: Credentials
) -> tuple[Certificate | None, Certificate | None]:
    """The server's and the client's: None where the handshake shows none."""
    policy = PolicyBuilder().store(Store([load_pem_x509_certificate(credentials.ca.encode())]))
    hostname = DNSName(HOSTNAME)
    server = client = None
    if not row.resumed:
        server = Certificate(
            credentials.leaf,
            credentials.key,
            _SERVER_CONTENT if row.version == TLS_1_3 else b"",
            None if row.cached_chains else lambda: policy.build_server_verifier(hostname),
        )
    if row.mutual:
        client = Certificate(
            credentials.client_leaf,
            credentials.client_key,
            _CLIENT_CONTENT,
            None if row.cached_chains else policy.build_client_verifier,
        )
    return server, client


class _Hello(NamedTuple):
    share: bytes
    ticket: bytes
    binder: bytes


@dataclass(slots=True)
class _Client:
    x25519: X25519PrivateKey
    mlkem: MLKEM768PrivateKey | None
    extract: HMAC
    transcript: Any


@dataclass(slots=True)
class _Server:
    keys: _HandshakeKeys
    application: _ApplicationKeys
    transcript: Any


class Floor:
    """Both sides' primitives for one row; `handshake` runs and times them."""

    def __init__(self, row: Row, credentials: Credentials) -> None:
        self._hybrid = row.group == X25519MLKEM768
        self._server_certificate, self._client_certificate = shown_certificates(row, credentials)
        share = _CIPHERTEXT + 32 if self._hybrid else 32
        self._client_hello = bytes(180 + (_ENCAPSULATION_KEY + 32 if self._hybrid else 32))
        self._server_hello = bytes(90 + share)
        # With a session: the client's copy of the secret, the server's in a ticket.
        self._psk: bytes | None = bytes(32) if row.resumed else None
        self._ticket_key = AESGCM(bytes(32))
        self._ticket = self._seal_ticket(bytes(32)) if row.resumed else b""

    def handshake(self) -> tuple[int, int]:
        """One handshake's primitives: (the client's nanoseconds, the server's)."""
        start = perf_counter_ns()
        client, hello = self._client_start()
        client_started = perf_counter_ns()
        server, server_share, signature, flight = self._server_answer(hello)
        server_answered = perf_counter_ns()
        application, client_signature, client_flight = self._client_finish(
            client, server_share, signature, flight
        )
        client_finished = perf_counter_ns()
        ticket = self._server_finish(server, client_signature, client_flight)
        server_finished = perf_counter_ns()
        if ticket:
            self._client_takes_ticket(client, application, ticket)
        client_done = perf_counter_ns()
        probe = application.client.encrypt(_NONCE, b"probe", b"")
        if server.application.client.decrypt(_NONCE, probe, b"") != b"probe":
            raise RuntimeError("the two sides of the floor do not agree on the keys")
        return (
            client_started
            - start
            + client_finished
            - server_answered
            + client_done
            - server_finished,
            server_answered - client_started + server_finished - client_finished,
        )

    def _client_start(self) -> tuple[_Client, _Hello]:
        os.urandom(64)  # random and legacy_session_id
        x25519 = X25519PrivateKey.generate()
        share = x25519.public_key().public_bytes_raw()
        mlkem = None
        if self._hybrid:
            mlkem = MLKEM768PrivateKey.generate()
            share = mlkem.public_key().public_bytes_raw() + share
        transcript = hashlib.sha256(self._client_hello)
        extract, binder = _HANDSHAKE_EXTRACT, b""
        if self._psk is not None:
            transcript.update(self._ticket)
            binder, extract = _psk_binder(self._psk, transcript.digest())
            transcript.update(binder)
        return _Client(x25519, mlkem, extract, transcript), _Hello(share, self._ticket, binder)

    def _server_answer(self, hello: _Hello) -> tuple[_Server, bytes, bytes, bytes]:
        os.urandom(32)  # random
        transcript = hashlib.sha256(self._client_hello)
        extract = _HANDSHAKE_EXTRACT
        if hello.ticket:
            state = self._ticket_key.decrypt(hello.ticket[:12], hello.ticket[12:], b"")
            transcript.update(hello.ticket)
            binder, extract = _psk_binder(state[:32], transcript.digest())
            if not compare_digest(binder, hello.binder):
                raise RuntimeError("the two sides of the floor do not agree on the session")
            transcript.update(binder)
        shared_secret, server_share, client_share = b"", b"", hello.share
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
        keys = _handshake_keys(extract, shared_secret, transcript.digest())
        signature, authentication = _authenticate(self._server_certificate, transcript)
        finished = _mac(keys.server_finished, transcript.digest())
        transcript.update(finished)
        flight = keys.server.encrypt(_NONCE, authentication + bytes(4 + 1) + finished, b"aad__")
        application = _application_keys(keys.derived, transcript.digest())
        return _Server(keys, application, transcript), server_share, signature, flight

    def _client_finish(
        self, client: _Client, server_share: bytes, signature: bytes, flight: bytes
    ) -> tuple[_ApplicationKeys, bytes, bytes]:
        transcript = client.transcript
        shared_secret = b""
        if client.mlkem is not None:
            shared_secret = client.mlkem.decapsulate(server_share[:_CIPHERTEXT])
            server_share = server_share[_CIPHERTEXT:]
        shared_secret += client.x25519.exchange(X25519PublicKey.from_public_bytes(server_share))
        transcript.update(self._server_hello)
        keys = _handshake_keys(client.extract, shared_secret, transcript.digest())
        finished = keys.server.decrypt(_NONCE, flight, b"aad__")[-32:]
        _check_peer(self._server_certificate, signature, transcript)
        if not compare_digest(_mac(keys.server_finished, transcript.digest()), finished):
            raise RuntimeError("the two sides of the floor do not agree on Finished")
        transcript.update(finished)
        application = _application_keys(keys.derived, transcript.digest())
        client_signature, authentication = _authenticate(self._client_certificate, transcript)
        finished = _mac(keys.client_finished, transcript.digest())
        transcript.update(finished)
        client_flight = keys.client.encrypt(
            _NONCE, authentication + bytes(4 + 1) + finished, b"aad__"
        )
        return application, client_signature, client_flight

    def _server_finish(self, server: _Server, signature: bytes, flight: bytes) -> bytes:
        """The record of a ticket, where there are sessions."""
        transcript = server.transcript
        finished = server.keys.client.decrypt(_NONCE, flight, b"aad__")[-32:]
        _check_peer(self._client_certificate, signature, transcript)
        if not compare_digest(_mac(server.keys.client_finished, transcript.digest()), finished):
            raise RuntimeError("the two sides of the floor do not agree on Finished")
        if self._psk is None:
            return b""
        transcript.update(finished)
        os.urandom(4)  # ticket_age_add
        ticket = self._seal_ticket(_ticket_psk(server.application.master, transcript.digest()))
        return server.application.server.encrypt(_NONCE, ticket + bytes(22), b"aad__")

    def _client_takes_ticket(
        self, client: _Client, application: _ApplicationKeys, record: bytes
    ) -> None:
        self._ticket = application.server.decrypt(_NONCE, record, b"aad__")[:-22]
        self._psk = _ticket_psk(application.master, client.transcript.digest())

    def _seal_ticket(self, psk: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._ticket_key.encrypt(nonce, psk + _TICKET_STATE, b"")


def _authenticate(certificate: Certificate | None, transcript: Any) -> tuple[bytes, bytes]:
    """(the signature, both messages): none where this side shows no certificate."""
    if certificate is None:
        return b"", b""
    transcript.update(certificate.message)
    signature = certificate.sign(transcript.digest())
    transcript.update(certificate.verify_message)
    return signature, certificate.message + certificate.verify_message


def _check_peer(certificate: Certificate | None, signature: bytes, transcript: Any) -> None:
    if certificate is not None:
        transcript.update(certificate.message)
        certificate.verify(signature, transcript.digest())
        transcript.update(certificate.verify_message)
