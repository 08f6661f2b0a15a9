"""Raw public keys (RFC 7250): what is taken for one, and which schemes it can make."""

from __future__ import annotations

import pki
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from pki import Credential, contents, elements, tlv

from fasths.crypto.certificates import signature_schemes
from fasths.crypto.raw_public_keys import RawPublicKey, public_key_of
from fasths.wire.codes import AlertDescription, SignatureScheme
from fasths.wire.errors import CertificateError

S = SignatureScheme
PSS_SCHEMES = (S.rsa_pss_pss_sha256, S.rsa_pss_pss_sha384, S.rsa_pss_pss_sha512)
SCHEMES = {
    "ecdsa": (S.ecdsa_secp256r1_sha256,),
    "ecdsa384": (S.ecdsa_secp384r1_sha384,),
    "ecdsa521": (S.ecdsa_secp521r1_sha512,),
    "rsa": (S.rsa_pss_rsae_sha256, S.rsa_pss_rsae_sha384, S.rsa_pss_rsae_sha512),
    # Too short for a hash of 64 bytes, and as long a salt.
    "rsa1024": (S.rsa_pss_rsae_sha256, S.rsa_pss_rsae_sha384),
    "rsa-pss": PSS_SCHEMES,
    "rsa-pss-sha256": PSS_SCHEMES[:1],
    "rsa-pss-sha512": PSS_SCHEMES[2:],
    "ed25519": (S.ed25519,),
    "ed448": (S.ed448,),
}
EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
P256 = bytes.fromhex("06082a8648ce3d030107")


def info_of(leaf: Credential) -> bytes:
    """The subjectPublicKeyInfo of a certificate."""
    return elements(contents(leaf.certificate.tbs_certificate_bytes))[6]


def encoded(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]


def key_info(algorithm: bytes, key: bytes) -> bytes:
    return tlv(0x30, tlv(0x30, algorithm), tlv(0x03, b"\0", key))


@pytest.mark.parametrize("key_type", SCHEMES)
def test_raw_public_key(key_type: str) -> None:
    leaf = pki.make_leaf(key_type=key_type)
    der = info_of(leaf)
    key = RawPublicKey(der)
    assert key.der == der
    assert key.public_key == leaf.key.public_key()
    assert key.signature_schemes == SCHEMES[key_type]
    # A certificate with this key can make the same.
    assert signature_schemes(leaf.certificate) == SCHEMES[key_type]


@pytest.mark.parametrize("key_type", ["ecdsa", "ecdsa384", "ecdsa521", "rsa", "ed25519", "ed448"])
def test_public_key_of(key_type: str) -> None:
    leaf = pki.make_leaf(key_type=key_type)
    der = public_key_of(leaf.key)
    assert der == info_of(leaf)
    assert RawPublicKey(der).signature_schemes == SCHEMES[key_type]


def test_public_key_of_a_pss_key() -> None:
    """The library knows it as any other RSA key."""
    leaf = pki.make_leaf(key_type="rsa-pss")
    key = load_pem_private_key(leaf.key_pem, None)
    assert RawPublicKey(public_key_of(key)).signature_schemes == SCHEMES["rsa"]


@pytest.mark.parametrize(
    "key",
    [
        x25519.X25519PrivateKey.generate(),
        x448.X448PrivateKey.generate(),
        dsa.generate_private_key(1024),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
    ],
    ids=["x25519", "x448", "dsa", "secp256k1", "brainpool"],
)
def test_key_of_another_kind_is_refused(key: object) -> None:
    der = encoded(key.public_key())  # type: ignore[attr-defined]
    with pytest.raises(CertificateError, match="cannot use") as refusal:
        RawPublicKey(der)
    assert refusal.value.alert == AlertDescription.unsupported_certificate
    with pytest.raises(ValueError, match="no signature scheme"):
        public_key_of(key)  # type: ignore[arg-type]


def test_unknown_algorithm_is_refused() -> None:
    with pytest.raises(CertificateError, match="cannot use") as refusal:
        RawPublicKey(key_info(bytes.fromhex("06032a0304"), b"x"))
    assert refusal.value.alert == AlertDescription.unsupported_certificate


def test_rsa_key_that_is_too_short_is_refused() -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << 511) + 1).public_key()
    with pytest.raises(CertificateError, match="cannot use") as refusal:
        RawPublicKey(encoded(key))
    assert refusal.value.alert == AlertDescription.unsupported_certificate


def pss_info(*fields: bytes) -> bytes:
    _, key = elements(contents(info_of(pki.make_leaf(key_type="rsa"))))
    oid = contents(pki.RSA_PSS_ALGORITHM)
    return tlv(0x30, tlv(0x30, oid, tlv(0x30, *fields)), key)


SHA1 = bytes.fromhex("300906052b0e03021a0500")
SHA256 = bytes.fromhex("300d06096086480165030402010500")
SHA384 = bytes.fromhex("300d06096086480165030402020500")


def mgf1(digest: bytes) -> bytes:
    return tlv(0xA1, tlv(0x30, bytes.fromhex("06092a864886f70d010108"), digest))


def test_pss_with_another_mask_is_refused() -> None:
    for parameters in (b"", SHA256):
        mask = tlv(0xA1, tlv(0x30, bytes.fromhex("06032a0304"), parameters))
        with pytest.raises(CertificateError):
            RawPublicKey(pss_info(tlv(0xA0, SHA256), mask))
    with pytest.raises(CertificateError):
        RawPublicKey(pss_info(tlv(0xA0, SHA256), mgf1(b"")))


def test_pss_parameters() -> None:
    fields = (tlv(0xA0, SHA384), mgf1(SHA384))
    key = RawPublicKey(pss_info(*fields))  # the salt has 20 bytes at least
    assert key.signature_schemes == (S.rsa_pss_pss_sha384,)
    key = RawPublicKey(pss_info(*fields, tlv(0xA2, b"\2\1\x30")))
    assert key.signature_schemes == (S.rsa_pss_pss_sha384,)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (tlv(0xA0, SHA256),),
        (mgf1(SHA256),),
        (tlv(0xA0, SHA256), mgf1(SHA384)),
        (tlv(0xA0, SHA384), mgf1(SHA384), tlv(0xA2, b"\2\1\x31")),
    ],
    ids=["SHA-1", "SHA-1 for the mask", "SHA-1 but for the mask", "two hashes", "a long salt"],
)
def test_pss_parameters_that_no_scheme_has_are_refused(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(CertificateError) as refusal:
        RawPublicKey(pss_info(*fields))
    assert refusal.value.alert == AlertDescription.unsupported_certificate


RSA_INFO = encoded(pki.make_key("rsa").public_key())
P256_INFO = encoded(pki.make_key().public_key())


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"junk",
        b"\x30",
        b"\x30\0",
        P256_INFO[:-1],
        P256_INFO + b"\0",
        b"\x31" + P256_INFO[1:],
        pki.make_key("rsa").public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
        pki.make_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key_info(EC_PUBLIC_KEY + P256, b""),
        key_info(EC_PUBLIC_KEY + P256, b"\4" + bytes(64)),
        key_info(bytes.fromhex("06032b6570"), bytes(31)),
        pki.make_leaf().chain_der[0],
    ],
    ids=[
        "empty",
        "junk",
        "a tag",
        "an empty sequence",
        "truncated",
        "trailing",
        "another tag",
        "PKCS #1",
        "PEM",
        "no point",
        "not on the curve",
        "short",
        "a certificate",
    ],
)
def test_what_is_no_public_key_is_refused(der: bytes) -> None:
    with pytest.raises(CertificateError, match="cannot be parsed") as refusal:
        RawPublicKey(der)
    assert refusal.value.alert == AlertDescription.bad_certificate


@pytest.mark.parametrize("info", [RSA_INFO, P256_INFO], ids=["rsa", "ecdsa"])
def test_corrupted_keys_are_other_keys_or_refused(info: bytes) -> None:
    for at in range(len(info)):
        changed = bytearray(info)
        changed[at] ^= 0x21
        try:
            key = RawPublicKey(bytes(changed))
        except CertificateError:
            continue
        assert key != RawPublicKey(info)


def test_keys_are_equal_by_their_der() -> None:
    one, other = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
    key = RawPublicKey(public_key_of(one))
    same = RawPublicKey(bytes(bytearray(public_key_of(one))))
    assert key == same
    assert len({key, same, RawPublicKey(public_key_of(other))}) == 2
    assert key != key.der
    assert "of 44 bytes" in repr(key)
