"""A certificate in words, for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from fasths.crypto.describe import describe_certificate


def self_signed(key: object, *names: x509.GeneralName) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "someone, of somewhere")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(0x1234)
        .not_valid_before(datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = builder.sign(key, None if edwards else hashes.SHA256())  # type: ignore[arg-type]
    return certificate.public_bytes(serialization.Encoding.DER)


def test_certificate_in_words() -> None:
    described = describe_certificate(
        self_signed(
            ec.generate_private_key(ec.SECP384R1()),
            x509.DNSName("*.example.com"),
            x509.IPAddress(ip_address("2001:db8::1")),
            x509.RFC822Name("a@example.com"),
            x509.UniformResourceIdentifier("https://example.com/"),
            x509.DirectoryName(x509.Name([])),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        )
    )
    assert described.subject == described.issuer == "CN=someone\\, of somewhere"
    assert described.serial == 0x1234
    assert described.not_before == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert described.not_after == datetime(2040, 1, 1, tzinfo=UTC)
    assert described.names == (
        "*.example.com",
        "2001:db8::1",
        "a@example.com",
        "https://example.com/",
        "",
    )
    assert described.key_type == "EC secp384r1"


@pytest.mark.parametrize(
    ("make", "key_type"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
        (ed448.Ed448PrivateKey.generate, "Ed448"),
    ],
)
def test_key_types_in_words(make: Callable[[], object], key_type: str) -> None:
    described = describe_certificate(self_signed(make()))
    assert described.key_type == key_type
    assert described.names == ()


def test_certificate_with_a_key_of_an_unknown_kind_is_described() -> None:
    der = self_signed(ed25519.Ed25519PrivateKey.generate())
    spki_oid, unknown = bytes.fromhex("06032b6570032100"), bytes.fromhex("06032b6579032100")
    assert der.count(spki_oid) == 1
    described = describe_certificate(der.replace(spki_oid, unknown))
    assert described.key_type == "unknown (1.3.101.121)"


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        describe_certificate(b"\x30\x03\x02\x01\x00")
