"""Which hosts an identity is for, and whether its chain is fit to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import SignatureAlgorithmOID

from fasths.crypto.certificates import certificate_fields, elements, extension_values
from fasths.crypto.host_names import host_matches, normalize_hostname

_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
# Signatures that the library verifies; of SHA-1 it wants to know nothing.
_VERIFIABLE = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA224,
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSASSA_PSS,
        SignatureAlgorithmOID.ECDSA_WITH_SHA224,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
        SignatureAlgorithmOID.ED448,
    }
)
# Places among certificate_fields().
_ISSUER, _SUBJECT = 2, 4
# RFC 5280, 4.2.1.6: dNSName [2] IMPLICIT IA5String.
_DNS_NAME = 0x82


def names_of(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hosts that a certificate is for, by the DNS names of its subjectAltName.

    Returns the exact names, in lower case and as A-labels, and the parents of the wildcards:
    "example.com" for "*.example.com", which is for each name of one label more. In the order of
    the certificate, each once.

    Left out is what no client would take for the name of a host: addresses, wildcards of another
    form or right below a top-level domain, other characters, a dot at the end. Names that cannot
    be read, or are of other kinds, do not matter to the others. The common name is not looked at.
    """
    exact: dict[str, None] = {}
    parents: dict[str, None] = {}
    for name in _dns_names(certificate):
        parent = name.removeprefix("*.")
        # What host_matches() says of it is what counts: any label will do for the wildcard's.
        if parent != name:
            if _is_for(name, f"a.{parent}"):
                parents[parent] = None
        elif _is_for(name, name):
            exact[name] = None
    return tuple(exact), tuple(parents)


def check_usable(
    identity_certificates: Sequence[x509.Certificate], now: datetime | None = None
) -> None:
    """Check the chain of an identity, leaf first: each certificate is valid, and the next one has
    issued it. The root may be missing, and nothing else may follow.

    now: an aware datetime, the clock's by default. ValueError: a sentence that says which
    certificate is wrong and why.
    """
    now = now or datetime.now(UTC)
    for position, certificate in enumerate(identity_certificates):
        if now < certificate.not_valid_before_utc:
            raise ValueError(
                f"{_place(position, certificate)} is not valid before "
                f"{certificate.not_valid_before_utc}"
            )
        if now > certificate.not_valid_after_utc:
            raise ValueError(
                f"{_place(position, certificate)} has expired: it was valid until "
                f"{certificate.not_valid_after_utc}"
            )
    # RFC 8446, 4.4.2: each following certificate should certify the one before it.
    for position, issuer in enumerate(identity_certificates[1:], 1):
        certificate = identity_certificates[position - 1]
        place = _place(position - 1, certificate)
        if certificate_fields(certificate)[_ISSUER].encoded != (
            certificate_fields(issuer)[_SUBJECT].encoded
        ):
            raise ValueError(
                f"{place} is not issued by the one behind it, which is {_subject(issuer)}"
            )
        if certificate.signature_algorithm_oid not in _VERIFIABLE:
            continue  # whether it is signed with that key is for the peers to find out
        try:
            certificate.verify_directly_issued_by(issuer)
        except UnsupportedAlgorithm:
            continue  # nor does the library know the key
        except (InvalidSignature, ValueError, TypeError):
            raise ValueError(
                f"{place} is not signed with the key of the one behind it, {_subject(issuer)}"
            ) from None


def _place(position: int, certificate: x509.Certificate) -> str:
    return f"certificate {position + 1} of the identity's chain ({_subject(certificate)})"


def _subject(certificate: x509.Certificate) -> str:
    try:
        return ascii(certificate.subject.rfc4514_string())
    except (ValueError, TypeError):
        return "of a name that cannot be read"


def _is_for(pattern: str, host: str) -> bool:
    try:
        normal, is_address = normalize_hostname(host)
    except ValueError:
        return False
    return not is_address and normal == host and host_matches(host, [x509.DNSName(pattern)])


def _dns_names(certificate: x509.Certificate) -> Iterator[str]:
    """The DNS names in lower case, as far as they are ASCII.

    The library reads all names or none, and no other extensions where one is malformed.
    """
    for value in extension_values(certificate, _SUBJECT_ALTERNATIVE_NAME):
        try:
            (names,) = elements(value)
            for name in elements(names.content):
                if name.tag == _DNS_NAME and name.content.isascii():
                    yield name.content.decode("ascii").lower()
        except ValueError:
            continue  # what is cut off has no more names
