"""The records of TLS 1.2 (RFC 5246, 6.2.3.3; RFC 5288, 3; RFC 7905, 2), by hand and as published.

By hand is RecordKey of scripted12_keys.py, which asks AESGCM and ChaCha20Poly1305 directly.
vectors/README.md says where the vectors come from. What the header says is the reader's to judge,
but for the content type.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from scripted12_keys import SUITES12, RecordKey
from wire_format import u8, u16, vector

from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule12 import master_secret_of
from fasths.record.protection import opening_key_12, sealing_key_12
from fasths.wire.codes import AlertDescription, CipherSuite, ContentType
from fasths.wire.errors import BadRecordMac, IllegalParameter
from fasths.wire.limits import MAX_PLAINTEXT

PUBLISHED = json.loads(
    (Path(__file__).parent / "vectors" / "tls12_records.json").read_text("utf-8")
)
DATA, HANDSHAKE = ContentType.application_data, ContentType.handshake
# One suite for each AEAD.
AES_128_GCM = CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
AES_256_GCM = CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
CHACHA20_POLY1305 = CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
LAST = (1 << 64) - 1

every_suite = pytest.mark.parametrize("code", SUITES12, ids=lambda code: code.name)
every_aead = pytest.mark.parametrize(
    "code", [AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305], ids=lambda code: code.name
)
with_explicit_nonces = pytest.mark.parametrize(
    "code", [AES_128_GCM, AES_256_GCM], ids=lambda code: code.name
)


def keys(code):
    """One key, to seal and to open with, and by hand for either."""
    suite, by_hand = find_suite(code), SUITES12[code]
    made = os.urandom(suite.key_length), os.urandom(suite.iv_length)
    return (
        sealing_key_12(suite, *made),
        opening_key_12(suite, *made),
        RecordKey(by_hand, *made),
        RecordKey(by_hand, *made),
    )


def assert_bad_record_mac(opening, record):
    with pytest.raises(BadRecordMac) as refusal:
        opening.open_record(record)
    assert refusal.value.alert == AlertDescription.bad_record_mac


# --- Published vectors


@pytest.mark.parametrize("published", PUBLISHED["records"], ids=lambda each: each["cipher_suite"])
def test_published_record(published):
    suite = find_suite(CipherSuite[published["cipher_suite"]])
    secret, client_random, server_random, content, record = (
        bytes.fromhex(published[name])
        for name in ("master_secret", "client_random", "server_random", "content", "record")
    )
    client_key, _, client_iv, _ = master_secret_of(suite.hash, secret).key_block(
        client_random, server_random, suite.key_length, suite.iv_length
    )
    # The first record of its key, and the client's.
    assert (published["sender"], published["sequence_number"]) == ("client", 0)
    sealing = sealing_key_12(suite, client_key, client_iv)
    assert sealing.seal_record(published["content_type"], content) == record
    assert opening_key_12(suite, client_key, client_iv).open_record(record) == content


# --- Nonces and additional data


@every_suite
def test_seals_and_opens_what_the_rfcs_say(code):
    sealing, opening, by_hand, _ = keys(code)
    for size in (0, 1, 15, 16, 17, 1000, MAX_PLAINTEXT, 5):
        content = os.urandom(size)
        sealed = sealing.seal_record(DATA, content)
        assert sealed == by_hand.seal(DATA, content)
        assert opening.open_record(sealed) == content


@every_aead
@pytest.mark.parametrize("content_type", ContentType, ids=lambda each: each.name)
def test_content_type_stands_in_the_header(code, content_type):
    sealing, opening, by_hand, _ = keys(code)
    sealed = sealing.seal_record(content_type, b"content")
    assert sealed[0] == content_type
    assert sealed == by_hand.seal(content_type, b"content")
    assert opening.open_record(sealed) == b"content"


@every_aead
def test_sequence_number_beyond_one_octet(code):
    sealing, opening, by_hand, _ = keys(code)
    for number in range(300):
        sealed = sealing.seal_record(HANDSHAKE, u16(number))
        assert sealed == by_hand.seal(HANDSHAKE, u16(number))
        assert opening.open_record(sealed) == u16(number)


@every_aead
def test_content_beyond_a_record_is_not_sealed(code):
    sealing, _, by_hand, _ = keys(code)
    with pytest.raises(ValueError, match="16384"):
        sealing.seal_record(DATA, bytes(MAX_PLAINTEXT + 1))
    assert sealing.seal_record(DATA, b"next") == by_hand.seal(DATA, b"next")


@with_explicit_nonces
def test_explicit_nonce_is_the_sequence_number(code):
    """RFC 5288, 3: it may be, and so none comes twice."""
    sealing, *_ = keys(code)
    for number in range(3):
        assert sealing.seal_record(DATA, b"")[5:13] == number.to_bytes(8, "big")


@every_aead
def test_changed_record_is_refused_and_counts_for_nothing(code):
    sealing, opening, _, _ = keys(code)
    sealed = sealing.seal_record(DATA, b"content")
    for at in (0, *range(5, len(sealed))):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        assert_bad_record_mac(opening, bytes(changed))
    assert opening.open_record(sealed) == b"content"


@every_aead
def test_short_record_is_refused(code):
    """Also one without room for nonce and tag."""
    sealing, opening, _, _ = keys(code)
    sealed = sealing.seal_record(DATA, b"content")
    for size in range(len(sealed)):
        assert_bad_record_mac(opening, sealed[:size])
    assert_bad_record_mac(opening, sealed + b"\0")
    assert opening.open_record(sealed) == b"content"


@every_aead
def test_record_out_of_order_is_refused(code):
    """The sequence number is authenticated, whatever the explicit nonce says."""
    sealing, opening, _, _ = keys(code)
    first, second = (sealing.seal_record(DATA, content) for content in (b"1", b"2"))
    assert_bad_record_mac(opening, second)
    assert opening.open_record(first) == b"1"
    assert_bad_record_mac(opening, first)
    assert opening.open_record(second) == b"2"


@every_aead
@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0304])
def test_record_that_was_sealed_for_another_version_is_refused(code, version):
    """RFC 5246, 6.2.3.3: the version is authenticated."""
    _, opening, by_hand, _ = keys(code)
    sealed = by_hand.seal(DATA, b"content", version=version)
    assert_bad_record_mac(opening, sealed[:1] + u16(0x0303) + sealed[3:])


@every_aead
def test_record_that_was_sealed_with_another_length_is_refused(code):
    """RFC 5246, 6.2.3.3: that of the content is authenticated; not that of the record."""
    _, opening, by_hand, _ = keys(code)
    explicit = bytes(by_hand.suite.explicit_nonce_length)
    header = u8(DATA) + u16(0x0303)
    for length in (0, 6, 8, 7 + 16, 7 + 16 + len(explicit)):
        additional = by_hand.additional_data(header, length)
        sealed = by_hand.aead.encrypt(by_hand.nonce(explicit), b"content", additional)
        assert_bad_record_mac(opening, header + vector(2, explicit, sealed))
    assert opening.open_record(by_hand.seal(DATA, b"content")) == b"content"


@every_aead
def test_record_of_another_key_is_refused(code):
    _, opening, _, _ = keys(code)
    sealing, *_ = keys(code)
    assert_bad_record_mac(opening, sealing.seal_record(DATA, b"content"))


@every_aead
def test_both_directions_have_a_key_of_their_own(code):
    suite = find_suite(code)
    master = master_secret_of(suite.hash, os.urandom(48))
    client_key, server_key, client_iv, server_iv = master.key_block(
        os.urandom(32), os.urandom(32), suite.key_length, suite.iv_length
    )
    sealed = sealing_key_12(suite, client_key, client_iv).seal_record(DATA, b"content")
    for key, iv in ((server_key, server_iv), (client_key, server_iv), (server_key, client_iv)):
        assert_bad_record_mac(opening_key_12(suite, key, iv), sealed)
    assert opening_key_12(suite, client_key, client_iv).open_record(sealed) == b"content"


# --- Explicit nonces of a peer (RFC 5288, 3)


class Peer:
    """Seals with explicit nonces of the test's choice."""

    def __init__(self, code):
        _, self.opening, self.by_hand, _ = keys(code)

    def send(self, number):
        sealed = self.by_hand.seal(DATA, b"content", explicit_nonce=number.to_bytes(8, "big"))
        assert self.opening.open_record(sealed) == b"content"

    def assert_refused(self, number):
        sealed = self.by_hand.seal(DATA, b"content", explicit_nonce=number.to_bytes(8, "big"))
        with pytest.raises(IllegalParameter) as refusal:
            self.opening.open_record(sealed)
        assert refusal.value.alert == AlertDescription.illegal_parameter


NONCES_OF_PEERS = {
    "from zero": range(4),
    "from one": range(1, 4),
    "from anywhere": range(0x123456789ABCDEF0, 0x123456789ABCDEF4),
    "up to the last": range(LAST - 3, LAST + 1),
    "past the last": (LAST - 1, LAST, 0, 1),
    "with gaps": (0, 1, 5, 6, 100),
    "down": (9, 8, 7),
    "at random": (77, 3, 1 << 63, 4, 900, 901, 78),
}
NONCES_USED_AGAIN = {
    "at once": ((7,), 7),
    "zero": ((0,), 0),
    "the last": ((LAST,), LAST),
    "in a run": ((5, 6, 7), 7),
    "back in a run": ((5, 6, 7), 6),
    "the first of a run": ((5, 6, 7), 5),
    "in a later run": ((5, 6, 100, 101, 102), 100),
    "at once after a gap": ((5, 6, 100), 100),
    "at random": ((77, 3, 1 << 63), 1 << 63),
    "past the last": ((LAST - 1, LAST, 0), 0),
    "before the last": ((LAST - 1, LAST, 0), LAST - 1),
}


@with_explicit_nonces
@pytest.mark.parametrize("numbers", NONCES_OF_PEERS.values(), ids=NONCES_OF_PEERS)
def test_explicit_nonces_are_the_choice_of_a_peer(code, numbers):
    peer = Peer(code)
    for number in numbers:
        peer.send(number)


@with_explicit_nonces
@pytest.mark.parametrize(("numbers", "again"), NONCES_USED_AGAIN.values(), ids=NONCES_USED_AGAIN)
def test_explicit_nonce_that_is_used_again_is_refused(code, numbers, again):
    peer = Peer(code)
    for number in numbers:
        peer.send(number)
    peer.assert_refused(again)


@with_explicit_nonces
def test_record_that_does_not_open_says_nothing_about_nonces(code):
    """Somebody else may have sent it."""
    peer = Peer(code)
    peer.send(1)
    forged = u8(DATA) + u16(0x0303)
    assert_bad_record_mac(peer.opening, forged + vector(2, (1).to_bytes(8, "big"), bytes(30)))
    assert_bad_record_mac(peer.opening, forged + vector(2, (2).to_bytes(8, "big"), bytes(30)))
    peer.send(2)
    peer.assert_refused(2)
