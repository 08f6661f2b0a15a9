"""Cipher suites and the key schedule, against the text of RFC 8446, 7.1 and RFC 5869."""

from __future__ import annotations

import hashlib
import hmac
import os

import pytest

from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule import (
    HASHES,
    EarlySecret,
    ExporterSecret,
    ResumptionSecret,
    TrafficSecret,
    Transcript,
    equal_in_constant_time,
)
from fasths.wire.codes import CipherSuite

# --- Cipher suites


def test_suites():
    for code, name, key_length in (
        (CipherSuite.TLS_AES_128_GCM_SHA256, "sha256", 16),
        (CipherSuite.TLS_AES_256_GCM_SHA384, "sha384", 32),
        (CipherSuite.TLS_CHACHA20_POLY1305_SHA256, "sha256", 32),
    ):
        suite = find_suite(code)
        assert (suite.code, suite.hash.name, suite.key_length) == (code, name, key_length)
        # RFC 8446, 5.5: 2^24.5 records for AES-GCM.
        assert (suite.records_per_key <= 2**24.5) == ("AES" in code.name)
    with pytest.raises(KeyError):
        find_suite(0x1304)


# --- The key schedule, from RFC 8446, 7.1 and RFC 5869 with nothing but hmac and hashlib


class ByHand:
    def __init__(self, name):
        self.name = name
        self.length = hashlib.new(name).digest_size

    def digest(self, data=b""):
        return hashlib.new(self.name, data).digest()

    def extract(self, salt, keying_material):
        return hmac.digest(salt, keying_material, self.name)

    def expand(self, key, info, length):
        output = block = b""
        counter = 1
        while len(output) < length:
            block = hmac.digest(key, block + info + bytes((counter,)), self.name)
            output += block
            counter += 1
        return output[:length]

    def expand_label(self, secret, label, context, length):
        label = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes((len(label),)) + label
        return self.expand(secret, info + bytes((len(context),)) + context, length)

    def derive_secret(self, secret, label, transcript_hash):
        return self.expand_label(secret, label, transcript_hash, self.length)


of_hashes = pytest.mark.parametrize("name", HASHES)


def test_hkdf_by_hand_is_that_of_rfc_5869():
    """RFC 5869, A.1."""
    by_hand = ByHand("sha256")
    key = by_hand.extract(bytes(range(13)), b"\x0b" * 22)
    assert key.hex().startswith("077709362c2e32df0ddc3f0dc47bba63")
    output = by_hand.expand(key, bytes(range(0xF0, 0xFA)), 42)
    assert output.hex().startswith("3cb25f25faacd57a90434f64d0362f2a")


@of_hashes
@pytest.mark.parametrize("size", [32, 48, 64, 66])
def test_key_schedule(name, size):
    by_hand = ByHand(name)
    zeros = bytes(by_hand.length)
    shared_secret, first, second = os.urandom(size), *(by_hand.digest(x) for x in (b"1", b"2"))

    early = by_hand.extract(zeros, zeros)
    salt = by_hand.derive_secret(early, b"derived", by_hand.digest())
    handshake = by_hand.extract(salt, shared_secret)
    salt = by_hand.derive_secret(handshake, b"derived", by_hand.digest())
    master = by_hand.extract(salt, zeros)

    made = EarlySecret(HASHES[name]).handshake_secret(shared_secret)
    made_master = made.master_secret()
    for secret, key, label, transcript_hash in (
        (made.client_handshake_traffic_secret(first), handshake, b"c hs traffic", first),
        (made.server_handshake_traffic_secret(first), handshake, b"s hs traffic", first),
        (made_master.client_application_traffic_secret_0(second), master, b"c ap traffic", second),
        (made_master.server_application_traffic_secret_0(second), master, b"s ap traffic", second),
        (made_master.exporter_master_secret(second), master, b"exp master", second),
    ):
        assert secret.reveal() == by_hand.derive_secret(key, label, transcript_hash), label


@of_hashes
@pytest.mark.parametrize("size", [1, 32, 48, 200])
def test_key_schedule_with_a_psk(name, size):
    by_hand = ByHand(name)
    zeros = bytes(by_hand.length)
    psk, transcript_hash = os.urandom(size), by_hand.digest(b"ClientHello")
    shared_secret = os.urandom(32)

    early = by_hand.extract(zeros, psk)
    salt = by_hand.derive_secret(early, b"derived", by_hand.digest())
    handshake = by_hand.extract(salt, shared_secret)

    made = EarlySecret(HASHES[name], psk)
    for label in (b"res binder", b"ext binder", b"imp binder"):
        binder_key = by_hand.derive_secret(early, label, by_hand.digest())
        finished_key = by_hand.expand_label(binder_key, b"finished", b"", by_hand.length)
        expected = by_hand.extract(finished_key, transcript_hash)
        assert made.binder(label, transcript_hash) == expected
    for secret, label in (
        (made.client_early_traffic_secret(transcript_hash), b"c e traffic"),
        (made.early_exporter_master_secret(transcript_hash), b"e exp master"),
    ):
        assert secret.reveal() == by_hand.derive_secret(early, label, transcript_hash)
    secret = made.handshake_secret(shared_secret).client_handshake_traffic_secret(transcript_hash)
    assert secret.reveal() == by_hand.derive_secret(handshake, b"c hs traffic", transcript_hash)


def test_binder_with_another_label_is_refused():
    with pytest.raises(KeyError):
        EarlySecret(HASHES["sha256"], b"key").binder(b"any binder", bytes(32))


@of_hashes
def test_resumption_secret(name):
    """RFC 8446, 4.6.1: a PSK for each ticket_nonce."""
    by_hand = ByHand(name)
    zeros = bytes(by_hand.length)
    shared_secret, transcript_hash = os.urandom(32), by_hand.digest(b"up to Finished")
    early = by_hand.extract(zeros, zeros)
    salt = by_hand.derive_secret(early, b"derived", by_hand.digest())
    handshake = by_hand.extract(salt, shared_secret)
    salt = by_hand.derive_secret(handshake, b"derived", by_hand.digest())
    secret = by_hand.derive_secret(by_hand.extract(salt, zeros), b"res master", transcript_hash)

    master = EarlySecret(HASHES[name]).handshake_secret(shared_secret).master_secret()
    for made in (
        master.resumption_master_secret(transcript_hash),
        ResumptionSecret(HASHES[name], secret),
    ):
        for nonce in (b"", b"\0", b"\0\0\0\1", bytes(255)):
            expected = by_hand.expand_label(secret, b"resumption", nonce, by_hand.length)
            assert made.psk(nonce) == expected


@of_hashes
def test_traffic_secret(name):
    by_hand = ByHand(name)
    secret = os.urandom(by_hand.length)
    made = TrafficSecret(HASHES[name], secret)
    for _ in range(3):
        for length in (16, 32):
            assert made.key(length) == by_hand.expand_label(secret, b"key", b"", length)
        assert made.iv() == by_hand.expand_label(secret, b"iv", b"", 12)
        key = by_hand.expand_label(secret, b"finished", b"", by_hand.length)
        transcript_hash = by_hand.digest(secret)
        assert made.finished(transcript_hash) == by_hand.extract(key, transcript_hash)
        made = made.next()
        secret = by_hand.expand_label(secret, b"traffic upd", b"", by_hand.length)
        assert made.reveal() == secret


@pytest.mark.parametrize("length", [-1, 33])
def test_key_longer_than_its_hash_is_refused(length):
    """More than one hash cannot come out of one HMAC."""
    with pytest.raises(ValueError, match="length"):
        TrafficSecret(HASHES["sha256"], bytes(32)).key(length)


@of_hashes
@pytest.mark.parametrize("length", [1, 12, 32, 48, 100, 255 * 32])
@pytest.mark.parametrize("context", [b"", b"context", bytes(1000)], ids=len)
@pytest.mark.parametrize("label", [b"l", b"EXPORTER-test", b"x" * 249], ids=len)
def test_exporter(name, label, context, length):
    by_hand = ByHand(name)
    secret = os.urandom(by_hand.length)
    derived = by_hand.derive_secret(secret, label, by_hand.digest())
    expected = by_hand.expand_label(derived, b"exporter", by_hand.digest(context), length)
    assert ExporterSecret(HASHES[name], secret).export(label, context, length) == expected


@pytest.mark.parametrize(
    ("label", "length"), [(b"x" * 250, 32), (b"label", 255 * 32 + 1), (b"label", 1 << 16)]
)
def test_export_that_hkdf_cannot_make_is_refused(label, length):
    with pytest.raises((ValueError, OverflowError)):
        ExporterSecret(HASHES["sha256"], bytes(32)).export(label, b"", length)


@of_hashes
def test_transcript(name):
    transcript, parts = Transcript(HASHES[name]), [b"one", b"", b"three" * 100]
    assert transcript.digest() == ByHand(name).digest()
    for at, part in enumerate(parts):
        transcript.update(part)
        assert transcript.digest() == ByHand(name).digest(b"".join(parts[: at + 1]))


@of_hashes
def test_a_copy_of_a_transcript_goes_its_own_way(name):
    transcript = Transcript(HASHES[name])
    transcript.update(b"one")
    copy = transcript.copy()
    copy.update(b"two")
    assert copy.hash is transcript.hash
    assert transcript.digest() == ByHand(name).digest(b"one")
    assert copy.digest() == ByHand(name).digest(b"onetwo")


def test_equal_in_constant_time():
    assert equal_in_constant_time(b"abc", b"abc")
    for other in (b"abd", b"ab", b"abcd", b""):
        assert not equal_in_constant_time(b"abc", other)
