"""Cipher suites and the key schedule of TLS 1.2, against published vectors and the RFCs by hand.

By hand is scripted12_keys.py, with nothing but hmac and hashlib; vectors/README.md says where the
vectors come from.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st
from scripted12_keys import CLIENT, SERVER, SUITES12

from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule import HASHES, Hash
from fasths.crypto.key_schedule12 import (
    extended_master_secret,
    master_secret,
    master_secret_of,
    prf,
)
from fasths.wire.codes import CipherSuite, TLSVersion

PUBLISHED = json.loads(
    (Path(__file__).parent / "vectors" / "tls12_key_schedule.json").read_text("utf-8")
)
# TLS 1.2 has no cipher suite with it, but the PRF has vectors.
EVERY_HASH = {**HASHES, "sha512": Hash("sha512", hashes.SHA512())}
BY_HAND = {
    "sha256": SUITES12[CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
    "sha384": SUITES12[CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384],
}
CLIENT_RANDOM, SERVER_RANDOM = bytes(range(32)), bytes(range(32, 64))

of_hashes = pytest.mark.parametrize("name", BY_HAND)
every_suite = pytest.mark.parametrize("code", SUITES12, ids=lambda code: code.name)


def published(kind):
    return pytest.mark.parametrize(
        "vector",
        [
            pytest.param(
                {
                    name: bytes.fromhex(value)
                    if isinstance(value, str) and name not in ("source", "hash")
                    else value
                    for name, value in vector.items()
                },
                id=f"{vector['hash']}-{number}",
            )
            for number, vector in enumerate(PUBLISHED[kind])
        ],
    )


def split(block, key_length, iv_length):
    """RFC 5246, 6.3: the keys, and then the IVs; the client's first."""
    ends = (key_length, 2 * key_length, 2 * key_length + iv_length, 2 * (key_length + iv_length))
    return tuple(block[start:end] for start, end in zip((0, *ends), ends, strict=False))


# --- Cipher suites


@every_suite
def test_suite(code):
    suite, by_hand = find_suite(code), SUITES12[code]
    assert (suite.code, suite.version) == (code, TLSVersion.TLSv1_2)
    assert (suite.hash.name, suite.key_length) == (by_hand.hash, by_hand.key_length)
    assert suite.iv_length == by_hand.iv_length
    assert suite.explicit_nonce_length == by_hand.explicit_nonce_length
    assert suite.authentication == {"ecdsa": 1, "rsa": 2}[by_hand.authentication]
    # Without KeyUpdate a limit could only end connections.
    assert suite.records_per_key >= 1 << 62


@pytest.mark.parametrize(
    "code", [each for each in CipherSuite if each not in SUITES12], ids=lambda code: code.name
)
def test_suites_of_tls_1_3_have_no_parts_of_tls_1_2(code):
    suite = find_suite(code)
    assert suite.version == TLSVersion.TLSv1_3
    assert (suite.iv_length, suite.explicit_nonce_length, suite.authentication) == (12, 0, 0)


def test_every_suite_is_of_one_version():
    assert {find_suite(code).version for code in CipherSuite} == set(TLSVersion)


# --- Published vectors


@published("prf")
def test_prf(vector):
    made = prf(
        EVERY_HASH[vector["hash"]],
        vector["secret"],
        vector["label"],
        vector["seed"],
        len(vector["output"]),
    )
    assert made == vector["output"]


@published("master_secret")
def test_master_secret(vector):
    made = master_secret(
        HASHES[vector["hash"]],
        vector["pre_master_secret"],
        vector["client_hello_random"],
        vector["server_hello_random"],
    )
    assert made.reveal() == vector["master_secret"]


@published("extended_master_secret")
def test_extended_master_secret(vector):
    made = extended_master_secret(
        HASHES[vector["hash"]], vector["pre_master_secret"], vector["session_hash"]
    )
    assert made.reveal() == vector["master_secret"]


@pytest.mark.parametrize("lengths", [(16, 4), (32, 4), (32, 12), (60, 4)])
@pytest.mark.parametrize("kind", ["master_secret", "extended_master_secret"])
def test_key_block(kind, lengths):
    """The vectors are 128 octets of key block, longer than any suite's."""
    for vector in PUBLISHED[kind]:
        secret, block, *randoms = (
            bytes.fromhex(vector[name])
            for name in ("master_secret", "key_block", "client_random", "server_random")
        )
        master = master_secret_of(HASHES[vector["hash"]], secret)
        assert master.key_block(*randoms, *lengths) == split(block, *lengths)


@published("exporter")
def test_exporter(vector):
    made = master_secret_of(HASHES[vector["hash"]], vector["master_secret"]).export(
        vector["label"],
        vector["context"],
        vector["client_random"],
        vector["server_random"],
        len(vector["output"]),
    )
    assert made == vector["output"]


# --- By hand


@of_hashes
@given(
    secret=st.binary(max_size=200),
    label=st.binary(max_size=40),
    seed=st.binary(max_size=200),
    length=st.integers(0, 300),
)
def test_prf_by_hand(name, secret, label, seed, length):
    expected = BY_HAND[name].prf(secret, label, seed, length)
    assert prf(HASHES[name], secret, label, seed, length) == expected


@of_hashes
@given(premaster=st.binary(min_size=1, max_size=66), transcript=st.binary(max_size=100))
def test_master_secrets_by_hand(name, premaster, transcript):
    by_hand, hash = BY_HAND[name], HASHES[name]
    made = master_secret(hash, premaster, CLIENT_RANDOM, SERVER_RANDOM)
    assert made.hash is hash
    assert made.reveal() == by_hand.master_secret(premaster, CLIENT_RANDOM, SERVER_RANDOM)
    made = extended_master_secret(hash, premaster, by_hand.digest(transcript))
    assert made.hash is hash
    assert made.reveal() == by_hand.extended_master_secret(premaster, transcript)


@every_suite
@given(secret=st.binary(min_size=48, max_size=48), randoms=st.binary(min_size=64, max_size=64))
def test_keys_by_hand(code, secret, randoms):
    suite, by_hand = find_suite(code), SUITES12[code]
    randoms = (randoms[:32], randoms[32:])
    made = master_secret_of(suite.hash, secret).key_block(
        *randoms, suite.key_length, suite.iv_length
    )
    block = by_hand.prf(
        secret, b"key expansion", randoms[1] + randoms[0], sum(len(each) for each in made)
    )
    assert made == split(block, by_hand.key_length, by_hand.iv_length)


@of_hashes
@given(secret=st.binary(min_size=48, max_size=48), transcript=st.binary(max_size=100))
def test_finished_by_hand(name, secret, transcript):
    """RFC 5246, 7.4.9."""
    by_hand = BY_HAND[name]
    master, digest = master_secret_of(HASHES[name], secret), by_hand.digest(transcript)
    of_client, of_server = master.finished(False, digest), master.finished(True, digest)
    assert of_client == by_hand.verify_data(secret, CLIENT, transcript)
    assert of_server == by_hand.verify_data(secret, SERVER, transcript)
    assert len(of_client) == len(of_server) == 12
    assert of_client != of_server


@of_hashes
@given(
    label=st.binary(max_size=40),
    context=st.none() | st.binary(max_size=100),
    length=st.integers(0, 200),
)
def test_exporter_by_hand(name, label, context, length):
    randoms, secret = (CLIENT_RANDOM, SERVER_RANDOM), bytes(range(48))
    made = master_secret_of(HASHES[name], secret).export(label, context, *randoms, length)
    assert made == BY_HAND[name].export(secret, label, context, *randoms, length)


@of_hashes
def test_a_master_secret_is_used_for_everything_in_any_order(name):
    """Each use works on a copy of what is keyed with it."""
    secret, digest, randoms = bytes(range(48)), bytes(32), (CLIENT_RANDOM, SERVER_RANDOM)
    uses = [
        lambda master: master.key_block(*randoms, 32, 12),
        lambda master: master.finished(True, digest),
        lambda master: master.finished(False, digest),
        lambda master: master.export(b"label", b"", *randoms, 100),
        lambda master: master.reveal(),
    ]
    alone = [use(master_secret_of(HASHES[name], secret)) for use in uses]
    master = master_secret_of(HASHES[name], secret)
    assert [use(master) for use in uses] == alone
    assert [use(master) for use in reversed(uses)] == alone[::-1]


# --- Edges


def test_no_context_is_not_an_empty_one():
    """RFC 5705, 4."""
    master = master_secret_of(HASHES["sha256"], bytes(48))
    without, empty = (
        master.export(b"label", context, CLIENT_RANDOM, SERVER_RANDOM, 32)
        for context in (None, b"")
    )
    assert without != empty


@pytest.mark.parametrize("context", ["", 0])
def test_context_that_is_not_bytes_is_refused(context):
    master = master_secret_of(HASHES["sha256"], bytes(48))
    with pytest.raises(TypeError):
        master.export(b"label", context, CLIENT_RANDOM, SERVER_RANDOM, 32)


def test_context_without_a_length_in_16_bits_is_refused():
    """RFC 5705, 4: its length is a uint16."""
    master, secret = master_secret_of(HASHES["sha256"], bytes(48)), bytes(48)
    arguments = (CLIENT_RANDOM, SERVER_RANDOM, 32)
    longest = bytes(0xFFFF)
    expected = BY_HAND["sha256"].export(secret, b"label", longest, *arguments)
    assert master.export(b"label", longest, *arguments) == expected
    with pytest.raises(ValueError, match="65535"):
        master.export(b"label", longest + b"\0", *arguments)


def test_negative_length_is_refused():
    with pytest.raises(ValueError, match="negative"):
        prf(HASHES["sha256"], b"secret", b"label", b"seed", -1)
    with pytest.raises(ValueError, match="negative"):
        master_secret_of(HASHES["sha256"], bytes(48)).export(
            b"label", None, CLIENT_RANDOM, SERVER_RANDOM, -1
        )
