"""Throw-away certificates for the examples: an authority of their own, and what it signs."""

import datetime
import ipaddress
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


class Certificates(NamedTuple):
    """PEM: the CA that clients trust, and the chain and key that servers show."""

    ca: bytes
    chain: bytes
    key: bytes


def make_certificates(ca_name: str = "Throw-away CA") -> Certificates:
    """A new CA, and a certificate for localhost and 127.0.0.1 that it signed. Valid for a day."""
    return Authority(ca_name).issue("localhost", "127.0.0.1")


class Authority:
    """A certificate authority, valid for a day."""

    def __init__(self, name: str = "Throw-away CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        public_key = self._key.public_key()
        builder = _builder(self._name, self._name, public_key, public_key, is_ca=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def issue(self, *names: str) -> Certificates:
        """A new key, and a certificate for these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _name(names[0]), self._name, key.public_key(), self._key.public_key(), is_ca=False
        )
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        leaf = builder.add_extension(alternatives, critical=False)
        return Certificates(
            ca=self.pem,
            chain=leaf.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def ocsp_response(self, chain: bytes) -> bytes:
        """What an OCSP responder says of a certificate that is in good order, in DER."""
        now = datetime.datetime.now(datetime.UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=x509.load_pem_x509_certificate(chain),
                issuer=self._certificate,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now - HOUR,
                next_update=now + DAY,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
            .sign(self._key, hashes.SHA256())
        )
        return response.public_bytes(Encoding.DER)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    *,
    is_ca: bool,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(key_identifier, critical=False)
        .add_extension(authority, critical=False)
    )
