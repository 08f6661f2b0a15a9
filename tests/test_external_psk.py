"""External PSKs, and their import against a calculation with hmac and hashlib alone."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import FrozenInstanceError

import pytest

from fasths.crypto.external_psk import ExternalPSK

IDENTITY = b"client 7"
KEY = bytes(range(32))
SECRET = b"\x00\x01 never shown \xfe\xff" + KEY


def test_a_key_as_it_is():
    psk = ExternalPSK(IDENTITY, KEY)
    assert (psk.identity, psk.key, psk.hash, psk.imported) == (IDENTITY, KEY, "sha256", False)
    assert ExternalPSK(IDENTITY, KEY, hash="sha384").hash == "sha384"


@pytest.mark.parametrize("length", [1, 0xFFFF])
def test_the_shortest_and_the_longest_identity(length):
    assert ExternalPSK(bytes(length), b"k").identity == bytes(length)


# --- RFC 9258


def hkdf_expand_label(hash, secret, label, context, length):
    """RFC 8446, 7.1, with HKDF-Expand of RFC 5869, 2.3."""
    label = b"tls13 " + label
    info = struct.pack(f">HB{len(label)}sB", length, len(label), label, len(context)) + context
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes((counter,)), hash)
        output += block
        counter += 1
    return output[:length]


def imported_by_hand(identity, key, context, hash, kdf, length):
    imported_identity = struct.pack(
        f">H{len(identity)}sH{len(context)}sHH",
        *(len(identity), identity, len(context), context, 0x0304, kdf),
    )
    epskx = hmac.digest(bytes(hashlib.new(hash).digest_size), key, hash)
    digest = hashlib.new(hash, imported_identity).digest()
    return imported_identity, hkdf_expand_label(hash, epskx, b"derived psk", digest, length)


@pytest.mark.parametrize("hash", ["sha256", "sha384"])
@pytest.mark.parametrize("key", [b"k", KEY, bytes(200)], ids=len)
@pytest.mark.parametrize("context", [b"", b"client 7 to server 2", bytes(0x8000)], ids=len)
@pytest.mark.parametrize("identity", [b"\0", IDENTITY, bytes(0x7000)], ids=len)
def test_an_import_is_what_rfc_9258_says(identity, context, key, hash):
    psks = ExternalPSK.import_key(identity, key, context=context, hash=hash)
    # HKDF_SHA256 and HKDF_SHA384 are the KDFs of TLS 1.3's cipher suites (RFC 9258, 10).
    for psk, (target, kdf, length) in zip(
        psks, [("sha256", 1, 32), ("sha384", 2, 48)], strict=True
    ):
        expected = imported_by_hand(identity, key, context, hash, kdf, length)
        assert (psk.identity, psk.key) == expected
        assert psk.hash == target
        assert psk.imported is True


def test_an_imported_identity_byte_for_byte():
    first, second = ExternalPSK.import_key(b"id", KEY, context=b"abc")
    assert first.identity.hex(" ") == "00 02 69 64 00 03 61 62 63 03 04 00 01"
    assert second.identity.hex(" ") == "00 02 69 64 00 03 61 62 63 03 04 00 02"


def test_the_defaults_are_no_context_and_sha256():
    default = ExternalPSK.import_key(IDENTITY, KEY)
    same = ExternalPSK.import_key(IDENTITY, KEY, context=b"", hash="sha256")
    other = ExternalPSK.import_key(IDENTITY, KEY, hash="sha384")
    assert [psk.key for psk in default] == [psk.key for psk in same]
    assert [psk.identity for psk in default] == [psk.identity for psk in other]
    assert not {psk.key for psk in default} & {psk.key for psk in other}


def test_the_boundary_of_identity_and_context_is_part_of_the_key():
    left = ExternalPSK.import_key(b"ab", KEY, context=b"c")
    right = ExternalPSK.import_key(b"a", KEY, context=b"bc")
    assert not {psk.key for psk in left} & {psk.key for psk in right}


def test_an_identity_and_context_too_long_for_an_imported_identity_are_refused():
    for identity, context in ((0xFFFF - 8, 0), (1, 0xFFFF - 9), (0x8000, 0x7FF7)):
        [first, _] = ExternalPSK.import_key(bytes(identity), KEY, context=bytes(context))
        assert len(first.identity) == 0xFFFF
        with pytest.raises(ValueError, match="too long"):
            ExternalPSK.import_key(bytes(identity), KEY, context=bytes(context + 1))


# --- What is refused, and what is shown

both = pytest.mark.parametrize("make", [ExternalPSK, ExternalPSK.import_key])


@both
def test_an_empty_identity_is_refused(make):
    with pytest.raises(ValueError, match="identity"):
        make(b"", KEY)


@both
def test_an_identity_of_65536_bytes_is_refused(make):
    with pytest.raises(ValueError, match="identity"):
        make(bytes(0x10000), KEY)


@both
def test_an_empty_key_is_refused(make):
    with pytest.raises(ValueError, match="key"):
        make(IDENTITY, b"")


@both
@pytest.mark.parametrize("hash", ["", "sha1", "SHA256", "sha512", "md5"])
def test_another_hash_is_refused(make, hash):
    with pytest.raises(ValueError, match="hash"):
        make(IDENTITY, KEY, hash=hash)


@both
@pytest.mark.parametrize("value", [None, "text", 7, bytearray(b"bytes"), [1]], ids=repr)
def test_a_value_of_a_wrong_type_is_refused(make, value):
    with pytest.raises(TypeError, match="identity"):
        make(value, KEY)
    with pytest.raises(TypeError, match="key"):
        make(IDENTITY, value)
    if not isinstance(value, str):
        with pytest.raises(TypeError, match="hash"):
            make(IDENTITY, KEY, hash=value)


@pytest.mark.parametrize("value", [None, "text", 7, bytearray(b"bytes")], ids=repr)
def test_a_context_of_a_wrong_type_is_refused(value):
    with pytest.raises(TypeError, match="context"):
        ExternalPSK.import_key(IDENTITY, KEY, context=value)


def test_imported_cannot_be_claimed():
    with pytest.raises(TypeError):
        ExternalPSK(IDENTITY, KEY, imported=True)


@pytest.mark.parametrize("name", ["identity", "key", "hash", "imported"])
def test_nothing_can_be_changed(name):
    for psk in (ExternalPSK(IDENTITY, KEY), *ExternalPSK.import_key(IDENTITY, KEY)):
        with pytest.raises(FrozenInstanceError):
            setattr(psk, name, getattr(psk, name))
        with pytest.raises(FrozenInstanceError):
            delattr(psk, name)


def test_no_secret_is_shown():
    psk = ExternalPSK(IDENTITY, SECRET)
    imported = ExternalPSK.import_key(IDENTITY, SECRET)
    assert repr(psk) == "<fasths.ExternalPSK b'client 7' for sha256>"
    assert "imported" in repr(imported[0])
    shown = repr((psk, imported)) + str(psk)
    assert "never shown" not in shown
    for each in (psk, *imported):
        assert repr(each.key)[2:-1] not in shown
        assert each.key.hex() not in shown


def test_no_error_shows_the_key():
    for arguments in ((b"", SECRET), (bytes(0x10000), SECRET)):
        with pytest.raises(ValueError, match="identity") as caught:
            ExternalPSK(*arguments)
        assert "never shown" not in str(caught.value)
