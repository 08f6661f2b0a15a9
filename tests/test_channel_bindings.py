"""Channel bindings of certificates (RFC 5929, 4), against the openssl command's fingerprints."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pki
import pytest
from cryptography.hazmat.primitives import hashes
from pki import contents, elements, tlv

from fasths.crypto.channel_bindings import tls_server_end_point

DIGESTS = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
CASES = [("ecdsa", False), ("rsa", False), ("rsa", True), ("rsa-pss", True)]
of_keys = pytest.mark.parametrize(
    ("key_type", "pss"), CASES, ids=["ecdsa", "rsa", "rsa with PSS", "rsa-pss"]
)


def signed(key_type: str, pss: bool, digest: str) -> bytes:
    issuer = pki.make_ca(key_type=key_type)
    # The key of the certificate itself does not matter.
    leaf = pki.make_leaf(issuer=issuer, key_type="ecdsa384", algorithm=DIGESTS[digest], pss=pss)
    return leaf.chain_der[0]


@of_keys
@pytest.mark.parametrize("digest", DIGESTS)
def test_hash_of_the_signature(key_type: str, pss: bool, digest: str) -> None:
    certificate = signed(key_type, pss, digest)
    assert tls_server_end_point(certificate) == hashlib.new(digest, certificate).digest()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
@of_keys
@pytest.mark.parametrize("digest", DIGESTS)
def test_fingerprint_of_openssl(key_type: str, pss: bool, digest: str) -> None:
    certificate = signed(key_type, pss, digest)
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-fingerprint", f"-{digest}"]
    process = subprocess.run(
        command, input=certificate, capture_output=True, check=True, timeout=30
    )
    fingerprint = process.stdout.decode().partition("=")[2].strip()
    assert tls_server_end_point(certificate).hex(":").upper() == fingerprint


def test_sha1_is_replaced() -> None:
    """RFC 5929, 4.1: by SHA-256."""
    certificate = pki.amended(pki.make_leaf(issuer=pki.make_ca()), sha1=True).chain_der[0]
    assert tls_server_end_point(certificate) == hashlib.sha256(certificate).digest()


def with_signature_algorithm(oid: str) -> bytes:
    """A certificate that says so of its signature, which nobody verifies here."""
    tbs, _, signature = elements(contents(pki.make_leaf().chain_der[0]))
    algorithm = tlv(0x30, tlv(6, bytes.fromhex(oid)), b"\5\0")
    version, serial, _, *rest = elements(contents(tbs))
    return tlv(0x30, tlv(0x30, version, serial, algorithm, *rest), algorithm, signature)


def test_md5_is_replaced() -> None:
    certificate = with_signature_algorithm("2a864886f70d010104")
    assert tls_server_end_point(certificate) == hashlib.sha256(certificate).digest()


@pytest.mark.parametrize("key_type", ["ed25519", "ed448"])
def test_signature_without_a_hash_of_its_own_is_refused(key_type: str) -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type=key_type))
    with pytest.raises(ValueError, match=r"not defined .* signed with 1\.3\.101"):
        tls_server_end_point(leaf.chain_der[0])


def test_unknown_signature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"signed with 1\.2\.3\.4"):
        tls_server_end_point(with_signature_algorithm("2a0304"))


@pytest.mark.parametrize("junk", [b"", b"junk", pki.make_leaf().chain_der[0][:-1]])
def test_what_is_no_certificate_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        tls_server_end_point(junk)


def test_certificate_of_another_version_is_refused() -> None:
    version_3, version_4 = (bytes.fromhex(f"a00302010{n}") for n in (2, 3))
    certificate = pki.make_leaf().chain_der[0].replace(version_3, version_4, 1)
    with pytest.raises(ValueError, match="version"):
        tls_server_end_point(certificate)
