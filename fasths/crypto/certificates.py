"""Certificates of a peer, from DER."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fasths.wire.errors import CertificateError


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse one certificate. CertificateError: it is not one."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("a certificate of the peer cannot be parsed") from None


def encode_chain(chain: list[x509.Certificate]) -> tuple[bytes, ...]:
    """The DER of each certificate."""
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
