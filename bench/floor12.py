"""The crypto floor of TLS 1.2: every primitive of its handshakes in a row, and nothing else.

As for TLS 1.3 (floor), the two sides work on each other's real outputs, and the calls are the
cheapest for each purpose. The PRF (RFC 5246, 5) keys one HMAC with a secret, and works on copies of
it: four for the master secret, two for each 32 bytes of the key block, two for each Finished. A
side makes its two AEAD contexts, and seals and opens one record. What the session hash covers is
also all that the client's Finished covers, so that one hash does for both (RFC 7627, 4).

A handshake that resumes has no key exchange and no signature. The session's secret comes out of a
ticket, which the server opens under a key that is always there, and does not renew; or, with
session ids, out of a dictionary.
"""

import hashlib
import os
from dataclasses import dataclass
from hmac import compare_digest
from time import perf_counter_ns
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from bench.cases import Row
from bench.certificates import Credentials
from bench.floor import SHA256, Certificate, expand, last, shown_certificates

# Of AES-128-GCM, and of what the key block has of its nonces (RFC 5288, 3).
_KEY, _SALT = 16, 4
_EXPLICIT_NONCE = bytes(8)
_ADDITIONAL_DATA = bytes(13)
_FINISHED = 4 + 12
# Messages of the sizes that a handshake has; what they say does not matter to a hash.
_CLIENT_HELLO = bytes(160)
_SERVER_HELLO = bytes(70)
_CLIENT_KEY_EXCHANGE = bytes(4 + 1 + 32)
_SERVER_HELLO_DONE = bytes(4)
_PARAMS_HEAD = bytes(4)  # curve type, group and length before the server's public key
# Beside the master secret, what a server has to know of a session.
_TICKET_STATE = bytes(48)


def _prf(keyed: HMAC, seed: bytes) -> bytes:
    """P_SHA256's first 32 bytes; seed: label and seed."""
    return expand(keyed, expand(keyed, seed) + seed)


def _long_prf(keyed: HMAC, seed: bytes) -> bytes:
    """P_SHA256's first 64 bytes."""
    first = expand(keyed, seed)
    second = expand(keyed, first)
    return expand(keyed, first + seed) + expand(keyed, second + seed)


def _master_secret(pre_master_secret: bytes, session_hash: bytes) -> bytes:
    """RFC 7627, 4."""
    seed = b"extended master secret" + session_hash
    keyed = HMAC(pre_master_secret, SHA256)
    first = expand(keyed, seed)
    second = expand(keyed, first)
    return expand(keyed, first + seed) + last(keyed, second + seed)[:16]


@dataclass(slots=True)
class _Keys:
    """One side's: `keyed` with the master secret."""

    keyed: HMAC
    client: AESGCM
    server: AESGCM
    client_nonce: bytes
    server_nonce: bytes


def _keys(master_secret: bytes, client_random: bytes, server_random: bytes) -> _Keys:
    keyed = HMAC(master_secret, SHA256)
    block = _long_prf(keyed, b"key expansion" + server_random + client_random)
    salts = block[2 * _KEY :]
    return _Keys(
        keyed,
        AESGCM(block[:_KEY]),
        AESGCM(block[_KEY : 2 * _KEY]),
        salts[:_SALT] + _EXPLICIT_NONCE,
        salts[_SALT : 2 * _SALT] + _EXPLICIT_NONCE,
    )


def _client_finished(keys: _Keys, transcript_hash: bytes) -> bytes:
    return bytes(4) + _prf(keys.keyed, b"client finished" + transcript_hash)[:12]


def _server_finished(keys: _Keys, transcript_hash: bytes) -> bytes:
    return bytes(4) + _prf(keys.keyed, b"server finished" + transcript_hash)[:12]


def _same(expected: bytes, received: bytes) -> None:
    if len(received) != _FINISHED or not compare_digest(expected, received):
        raise RuntimeError("the two sides of the floor do not agree on Finished")


@dataclass(slots=True)
class _Side:
    """Of a client or a server, between its flights."""

    random: bytes
    transcript: Any
    private: X25519PrivateKey | None = None
    keys: _Keys | None = None


class _ServerFlight(NamedTuple):
    random: bytes
    share: bytes
    signature: bytes


class Floor12:
    """Both sides' primitives for one row; `handshake` runs and times them."""

    def __init__(self, row: Row, credentials: Credentials) -> None:
        certificate, _ = shown_certificates(row, credentials)
        self._certificate = certificate
        self._master_secret = bytes(48)  # of the session that is resumed
        self._ticket_key = AESGCM(bytes(32))
        state = self._master_secret + _TICKET_STATE
        nonce = os.urandom(12)
        self._session_id = os.urandom(32) if row.session_ids else b""
        self._sessions = {self._session_id: state}
        self._ticket = b""
        if row.resumed and not row.session_ids:
            self._ticket = nonce + self._ticket_key.encrypt(nonce, state, b"")

    def handshake(self) -> tuple[int, int]:
        """One handshake's primitives: (the client's nanoseconds, the server's)."""
        return self._resume() if self._certificate is None else self._full(self._certificate)

    def _full(self, certificate: Certificate) -> tuple[int, int]:
        start = perf_counter_ns()
        client = _Side(os.urandom(32), hashlib.sha256(_CLIENT_HELLO))
        client_started = perf_counter_ns()
        server, flight = _server_answer(certificate, client.random)
        server_answered = perf_counter_ns()
        share, record = _client_answer(certificate, client, flight)
        client_answered = perf_counter_ns()
        last_record = _server_finish(server, client.random, share, record)
        server_finished = perf_counter_ns()
        _client_finish(client, last_record)
        client_finished = perf_counter_ns()
        return (
            client_started
            - start
            + client_answered
            - server_answered
            + client_finished
            - server_finished,
            server_answered - client_started + server_finished - client_answered,
        )

    def _resume(self) -> tuple[int, int]:
        start = perf_counter_ns()
        client = _Side(os.urandom(32), hashlib.sha256(_CLIENT_HELLO + self._ticket))
        if self._ticket:
            os.urandom(32)  # the session id that tells whether the ticket was taken
        client_started = perf_counter_ns()
        server, record = self._server_resumes(client.random)
        server_answered = perf_counter_ns()
        last_record = self._client_resumes(client, server.random, record)
        client_finished = perf_counter_ns()
        _server_takes_finished(server, last_record)
        server_finished = perf_counter_ns()
        return (
            client_started - start + client_finished - server_answered,
            server_answered - client_started + server_finished - client_finished,
        )

    def _server_resumes(self, client_random: bytes) -> tuple[_Side, bytes]:
        random = os.urandom(32)
        transcript = hashlib.sha256(_CLIENT_HELLO + self._ticket)
        transcript.update(_SERVER_HELLO)
        if self._ticket:
            state = self._ticket_key.decrypt(self._ticket[:12], self._ticket[12:], b"")
        else:
            state = self._sessions[self._session_id]
        keys = _keys(state[:48], client_random, random)
        finished = _server_finished(keys, transcript.digest())
        transcript.update(finished)
        record = keys.server.encrypt(keys.server_nonce, finished, _ADDITIONAL_DATA)
        return _Side(random, transcript, keys=keys), record

    def _client_resumes(self, client: _Side, server_random: bytes, record: bytes) -> bytes:
        transcript = client.transcript
        transcript.update(_SERVER_HELLO)
        keys = _keys(self._master_secret, client.random, server_random)
        finished = keys.server.decrypt(keys.server_nonce, record, _ADDITIONAL_DATA)
        _same(_server_finished(keys, transcript.digest()), finished)
        transcript.update(finished)
        finished = _client_finished(keys, transcript.digest())
        return keys.client.encrypt(keys.client_nonce, finished, _ADDITIONAL_DATA)


def _server_answer(certificate: Certificate, client_random: bytes) -> tuple[_Side, _ServerFlight]:
    random = os.urandom(32)
    private = X25519PrivateKey.generate()
    share = private.public_key().public_bytes_raw()
    signature = certificate.sign(client_random + random + _PARAMS_HEAD + share)
    transcript = hashlib.sha256(_CLIENT_HELLO)
    transcript.update(_server_messages(certificate, share, signature))
    return _Side(random, transcript, private), _ServerFlight(random, share, signature)


def _server_messages(certificate: Certificate, share: bytes, signature: bytes) -> bytes:
    server_key_exchange = bytes(4) + _PARAMS_HEAD + share + bytes(4) + signature
    return _SERVER_HELLO + certificate.message + server_key_exchange + _SERVER_HELLO_DONE


def _client_answer(
    certificate: Certificate, client: _Side, flight: _ServerFlight
) -> tuple[bytes, bytes]:
    """The client's public key, and the record of its Finished."""
    transcript = client.transcript
    transcript.update(_server_messages(certificate, flight.share, flight.signature))
    certificate.verify(
        flight.signature, client.random + flight.random + _PARAMS_HEAD + flight.share
    )
    private = X25519PrivateKey.generate()
    share = private.public_key().public_bytes_raw()
    pre_master_secret = private.exchange(X25519PublicKey.from_public_bytes(flight.share))
    transcript.update(_CLIENT_KEY_EXCHANGE)
    session_hash = transcript.digest()
    master_secret = _master_secret(pre_master_secret, session_hash)
    client.keys = keys = _keys(master_secret, client.random, flight.random)
    finished = _client_finished(keys, session_hash)
    transcript.update(finished)
    return share, keys.client.encrypt(keys.client_nonce, finished, _ADDITIONAL_DATA)


def _server_finish(server: _Side, client_random: bytes, share: bytes, record: bytes) -> bytes:
    assert server.private is not None
    pre_master_secret = server.private.exchange(X25519PublicKey.from_public_bytes(share))
    transcript = server.transcript
    transcript.update(_CLIENT_KEY_EXCHANGE)
    session_hash = transcript.digest()
    master_secret = _master_secret(pre_master_secret, session_hash)
    keys = _keys(master_secret, client_random, server.random)
    finished = keys.client.decrypt(keys.client_nonce, record, _ADDITIONAL_DATA)
    _same(_client_finished(keys, session_hash), finished)
    transcript.update(finished)
    finished = _server_finished(keys, transcript.digest())
    return keys.server.encrypt(keys.server_nonce, finished, _ADDITIONAL_DATA)


def _client_finish(client: _Side, record: bytes) -> None:
    keys = client.keys
    assert keys is not None
    finished = keys.server.decrypt(keys.server_nonce, record, _ADDITIONAL_DATA)
    _same(_server_finished(keys, client.transcript.digest()), finished)


def _server_takes_finished(server: _Side, record: bytes) -> None:
    keys = server.keys
    assert keys is not None
    finished = keys.client.decrypt(keys.client_nonce, record, _ADDITIONAL_DATA)
    _same(_client_finished(keys, server.transcript.digest()), finished)
