"""Throw-away certificates: one ECDSA P-256 CA, and leaves for localhost and a client under it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTNAME = "localhost"
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Credentials:
    """What everybody trusts, and what a server and a client show, as PEM text."""

    ca: str
    leaf: str
    key: str
    client_leaf: str
    client_key: str


def make_credentials(kind: str) -> Credentials:
    """A CA, a server's leaf of `kind`, "ecdsa" (P-256) or "rsa" (2048 bits), a client's "ecdsa"."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fasths bench CA")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    client_key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(HOSTNAME), x509.IPAddress(IPv4Address("127.0.0.1"))]
    client_names = [x509.DNSName("client.example")]
    leaf = _leaf(names, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, ca, ca_key)
    client_leaf = _leaf(
        client_names, client_key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, ca, ca_key
    )
    return Credentials(
        ca=ca.public_bytes(_PEM).decode(),
        leaf=leaf,
        key=_key_text(key),
        client_leaf=client_leaf,
        client_key=_key_text(client_key),
    )


@contextmanager
def leaf_files(leaf: str, key: str) -> Iterator[tuple[Path, Path]]:
    """A leaf and its key as files, for interfaces that take nothing else."""
    with TemporaryDirectory(prefix="fasths-bench-") as directory:
        leaf_file, key_file = Path(directory, "leaf.pem"), Path(directory, "key.pem")
        leaf_file.write_text(leaf)
        key_file.write_text(key)
        yield leaf_file, key_file


def _leaf(
    names: Sequence[x509.GeneralName],
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    purpose: x509.ObjectIdentifier,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0].value)])
    leaf = (
        _builder(subject, ca.subject, key, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return leaf.public_bytes(_PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
