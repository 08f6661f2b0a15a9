"""What binds an authentication inside of a connection to the connection's certificate."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes


def tls_server_end_point(certificate: bytes) -> bytes:
    """The channel binding tls-server-end-point of a server's certificate in DER (RFC 5929, 4.1).

    It is the hash of the certificate, made with the hash of the certificate's own signature:
    SHA-256 in place of MD5 and SHA-1; of RSASSA-PSS, the one that its parameters give for the
    content (as OpenSSL's X509_get_signature_info() has it, and so PostgreSQL's libpq).

    ValueError: it is no certificate, or its signature has no hash of its own: the RFC leaves the
    binding undefined for Ed25519 and Ed448, and libpq has none for them either.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None:
        raise ValueError(
            "tls-server-end-point is not defined for a certificate that is signed with "
            f"{parsed.signature_algorithm_oid.dotted_string}"
        )
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return parsed.fingerprint(algorithm)
