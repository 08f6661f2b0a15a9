"""A chain examined link by link, in OpenSSL's order, after the library's verifier refused it.

The library says no in words that are not part of its interface, and it says no to some chains that
the standard library accepts because they are outside of what it can judge: issuers with Ed25519 or
RSASSA-PSS keys, name constraints, version 1, and what else cannot_be_judged() lists. So a refused
chain is walked once more here. Mostly that finds what is wrong, and its number (X509_V_ERR_*). A
chain in which nothing is wrong is accepted if the library could not judge it; where it could, both
must agree, and the chain stays refused.

All rules are in this file and in name_constraints.py, in the order of RFC 5280, 6.1 as OpenSSL
applies it: a path to an anchor; extensions, authority and purpose from the leaf up; strength; the
host's name; validity and signatures from the anchor down; name constraints.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import (
    ExtendedKeyUsageOID,
    ExtensionOID,
    PublicKeyAlgorithmOID,
    SignatureAlgorithmOID,
)

from fasths.crypto.certificates import schemes_of_pss_key
from fasths.crypto.host_names import host_matches, parse_address
from fasths.crypto.name_constraints import ChainConstraints
from fasths.crypto.trust import TrustStore
from fasths.crypto.verify_errors import (
    CA_KEY_TOO_SMALL,
    CA_MD_TOO_WEAK,
    CERT_CHAIN_TOO_LONG,
    CERT_HAS_EXPIRED,
    CERT_NOT_YET_VALID,
    CERT_SIGNATURE_FAILURE,
    DEPTH_ZERO_SELF_SIGNED_CERT,
    EE_KEY_TOO_SMALL,
    HOSTNAME_MISMATCH,
    INVALID_CA,
    INVALID_EXTENSION,
    INVALID_PURPOSE,
    IP_ADDRESS_MISMATCH,
    PATH_LENGTH_EXCEEDED,
    SELF_SIGNED_CERT_IN_CHAIN,
    UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY,
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
    UNHANDLED_CRITICAL_EXTENSION,
    Refusal,
)
from fasths.wire.codes import AlertDescription

# The strength of OpenSSL's security level 2, which the standard library has by default: 112 bits.
MIN_RSA_BITS = 2048
MIN_EC_BITS = 224

# Signatures tried to tell issuers of one name apart.
MAX_TRIED_SIGNATURES = 32

# Names that an error lists of a certificate for somebody else.
MAX_NAMES_TOLD = 5

# Critical extensions that the checks below honour, and those that may be ignored as OpenSSL does:
# policies restrict nothing until an application asks for one, and there are no CRLs.
_HONOURED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
_IGNORED = frozenset(
    {
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.OCSP_NO_CHECK,
    }
)

_ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

# Of other keys (DSA) neither the strength nor a signature is looked at.
_KEYS = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
)
_Key = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
)

_DIGESTS = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)
_SIGNATURES_WITHOUT_DIGEST = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})

# What cryptography's verifier permits, after the CA/Browser Forum's rules.
_LIBRARY_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_LIBRARY_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

# What the library raises for certificates that it can load, but not read.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def check_leaf_key(certificate: x509.Certificate) -> None:
    """Raise Refusal if the key is too weak, or of a kind that is not known."""
    key = _public_key(certificate)
    if key is None:
        raise Refusal(
            EE_KEY_TOO_SMALL,
            "the key is of a kind that is not supported",
            AlertDescription.unsupported_certificate,
        )
    if _is_weak(key):
        raise Refusal(EE_KEY_TOO_SMALL, "the key of the certificate")


def _public_key(certificate: x509.Certificate) -> _Key | None:
    """None: of a kind that is not supported."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, _KEYS) else None


def _is_weak(key: _Key) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size < MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS


def serves(usages: x509.ExtendedKeyUsage, purpose: x509.ObjectIdentifier) -> bool:
    """Whether an extended key usage allows a purpose (RFC 5280, 4.2.1.12)."""
    return purpose in usages or _ANY_PURPOSE in usages


class ChainExamination:
    """One chain under examination. Make one, call examine(), then ask cannot_be_judged()."""

    def __init__(
        self,
        certificates: Sequence[x509.Certificate],
        trust: TrustStore,
        *,
        purpose: x509.ObjectIdentifier,
        host: str | None,
        max_chain_depth: int,
    ) -> None:
        self._sent = certificates
        self._trust = trust
        self._purpose = purpose
        self._host = host
        self._max_chain_depth = max_chain_depth
        self._now = datetime.now(UTC)
        self._signatures_left = MAX_TRIED_SIGNATURES
        self._path: list[_Certificate] = []

    def examine(self) -> list[x509.Certificate]:
        """The path from the leaf to an anchor in which nothing is wrong. Refusal: there is none."""
        check_leaf_key(self._sent[0])
        self._build_path()
        self._check_extensions()
        self._check_strength()
        self._check_host()
        self._check_signatures_and_times()
        self._check_name_constraints()
        return [each.certificate for each in self._path]

    def cannot_be_judged(self) -> bool:
        """Whether the library's verifier has no say in a chain like this one."""
        path = self._path
        issuers = path[1:]
        return (
            any(each.is_version_1 for each in path)
            or not all(each.issuer.rdns for each in path)
            or any(each.critical_oids & _IGNORED for each in path)
            or any(each.basic_constraints is None for each in issuers)
            or any(each.name_constraints is not None for each in path)
            # Issued by itself to itself: does not count for the length of a path.
            or any(each.is_self_issued for each in issuers[:-1])
            or any(_is_foreign_issuer(each.certificate) for each in issuers)
            or any(_is_foreign_signature(each.certificate) for each in path[:-1])
        )

    # The path: from each certificate to its issuer, trusted ones first.

    def _build_path(self) -> None:
        path = self._path = [_Certificate(self._sent[0])]
        while path[-1].certificate not in self._trust:
            if len(path) > self._max_chain_depth + 1:
                raise Refusal(
                    CERT_CHAIN_TOO_LONG,
                    f"more than {self._max_chain_depth} authorities below a trust anchor",
                )
            name = path[-1].issuer
            issuer = self._issuer_among(self._trust.issuers_named(name))
            if issuer is None:
                issuer = self._issuer_among(self._sent_named(name))
            if issuer is None:
                raise self._without_anchor()
            path.append(issuer)

    def _sent_named(self, name: x509.Name) -> list[x509.Certificate]:
        found = []
        for certificate in self._sent[1:]:
            try:
                if certificate.subject == name:
                    found.append(certificate)
            except _UNREADABLE:
                continue  # a certificate without a readable name issues nothing
        return found

    def _issuer_among(self, candidates: Sequence[x509.Certificate]) -> _Certificate | None:
        child = self._path[-1]
        in_path = [each.certificate for each in self._path]
        likely = [
            each
            for each in map(_Certificate, dict.fromkeys(candidates))
            if each.certificate not in in_path and each.may_have_issued(child)
        ]
        if len(likely) < 2:
            return likely[0] if likely else None
        likely.sort(key=lambda each: not self._is_in_time(each.certificate))
        for each in likely:
            if self._signatures_left == 0:
                break
            self._signatures_left -= 1
            if _is_signed_by(child.certificate, each.certificate):
                return each
        return likely[0]

    def _without_anchor(self) -> Refusal:
        last = len(self._path) - 1
        if not self._path[last].is_self_issued:
            return Refusal(
                UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                f"the issuer of {self._place(last)} is neither sent nor trusted",
            )
        if last == 0:
            return Refusal(DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is not itself trusted")
        return Refusal(
            SELF_SIGNED_CERT_IN_CHAIN, f"the chain ends at {self._place(last)}, which no one trusts"
        )

    # What the certificates say of themselves, from the leaf up.

    def _check_extensions(self) -> None:
        path_length = 0  # as RFC 5280, 4.2.1.9 counts
        for depth, each in enumerate(self._path):
            unknown = each.critical_oids - _HONOURED - _IGNORED
            if unknown:
                raise Refusal(
                    UNHANDLED_CRITICAL_EXTENSION,
                    f"{min(oid.dotted_string for oid in unknown)} of {self._place(depth)}",
                )
            is_anchor = depth == len(self._path) - 1
            if depth and not each.may_be_authority(is_anchor):
                raise Refusal(INVALID_CA, f"{self._place(depth)} must not issue certificates")
            if depth == 0 and not each.may_sign_handshakes():
                raise Refusal(INVALID_PURPOSE, "the key usage lacks digitalSignature")
            if not each.has_purpose(self._purpose):
                raise Refusal(
                    INVALID_PURPOSE,
                    f"the extended key usage of {self._place(depth)} lacks what it is used for",
                )
            if depth == 0:
                continue
            limit = None if each.basic_constraints is None else each.basic_constraints.path_length
            if limit is not None and path_length > limit:
                raise Refusal(
                    PATH_LENGTH_EXCEEDED,
                    f"{self._place(depth)} allows no more than {limit} authorities below itself",
                )
            path_length += not each.is_self_issued

    def _check_strength(self) -> None:
        for depth, each in enumerate(self._path):
            if depth:
                key = _public_key(each.certificate)
                if key is None:
                    raise Refusal(
                        UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY,
                        f"the key of {self._place(depth)} is of a kind that is not supported",
                        AlertDescription.unsupported_certificate,
                    )
                if _is_weak(key):
                    raise Refusal(CA_KEY_TOO_SMALL, f"the key of {self._place(depth)}")
            if depth < len(self._path) - 1:  # an anchor is not believed for its signature
                self._check_digest(depth)

    def _check_digest(self, depth: int) -> None:
        certificate = self._path[depth].certificate
        if certificate.signature_algorithm_oid in _SIGNATURES_WITHOUT_DIGEST:
            return
        try:
            digest = certificate.signature_hash_algorithm
        except (ValueError, UnsupportedAlgorithm):
            digest = None
        if isinstance(digest, hashes.MD5 | hashes.SHA1):
            raise Refusal(CA_MD_TOO_WEAK, f"{self._place(depth)} is signed with {digest.name}")
        if not isinstance(digest, _DIGESTS):
            raise Refusal(
                CERT_SIGNATURE_FAILURE,
                f"{self._place(depth)} is signed with an algorithm that is not supported",
                AlertDescription.unsupported_certificate,
            )

    def _check_host(self) -> None:
        host = self._host
        names = self._path[0].names
        if host is None or host_matches(host, names):
            return
        code = HOSTNAME_MISMATCH if parse_address(host) is None else IP_ADDRESS_MISMATCH
        raise Refusal(code, _valid_for(names))

    # Whether it is so, from the anchor down.

    def _check_signatures_and_times(self) -> None:
        for depth in reversed(range(len(self._path))):
            certificate = self._path[depth].certificate
            if depth < len(self._path) - 1:
                issuer = self._path[depth + 1].certificate
                if not _is_signed_by(certificate, issuer):
                    place = self._place(depth)
                    raise Refusal(CERT_SIGNATURE_FAILURE, f"the signature of {place}")
            if self._now < certificate.not_valid_before_utc:
                raise Refusal(
                    CERT_NOT_YET_VALID,
                    f"{self._place(depth)} is valid from {certificate.not_valid_before_utc}",
                )
            if self._now > certificate.not_valid_after_utc:
                raise Refusal(
                    CERT_HAS_EXPIRED,
                    f"{self._place(depth)} was valid until {certificate.not_valid_after_utc}",
                )

    def _is_in_time(self, certificate: x509.Certificate) -> bool:
        return certificate.not_valid_before_utc <= self._now <= certificate.not_valid_after_utc

    def _check_name_constraints(self) -> None:
        above = ChainConstraints()
        for depth in reversed(range(len(self._path))):
            each = self._path[depth]
            # RFC 5280, 4.2.1.10: not for what is issued by itself, unless it is the leaf.
            if depth == 0 or not each.is_self_issued:
                above.check(each.subject, each.names, is_leaf=depth == 0)
            if depth and each.name_constraints is not None:
                above.add(each.certificate, each.name_constraints)

    def _place(self, depth: int) -> str:
        if depth == 0:
            return "the certificate"
        if self._path[depth].certificate in self._trust:
            return "the trust anchor"
        return "its issuer" if depth == 1 else f"the authority {depth} steps above it"


def _valid_for(names: Sequence[x509.GeneralName]) -> str:
    """The first names of a certificate, in a form that is safe to print."""
    texts = [str(each.value) for each in names if isinstance(each, x509.DNSName | x509.IPAddress)]
    if not texts:
        return "it names no host"
    more = f" and {len(texts) - MAX_NAMES_TOLD} more" if len(texts) > MAX_NAMES_TOLD else ""
    return "it is for " + ", ".join(f"{each[:253]!a}" for each in texts[:MAX_NAMES_TOLD]) + more


_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class _Certificate:
    """A certificate with its extensions, parsed once. Refusal: they cannot be."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        try:
            self.is_version_1 = certificate.version is x509.Version.v1
            self.subject = certificate.subject
            self.issuer = certificate.issuer
            self.extensions = certificate.extensions
        except _UNREADABLE as error:
            raise Refusal(INVALID_EXTENSION, f"a certificate cannot be read: {error!a}") from None
        self.is_self_issued = self.subject == self.issuer
        self.basic_constraints = self._get(x509.BasicConstraints)
        self.key_usage = self._get(x509.KeyUsage)
        self.extended_key_usage = self._get(x509.ExtendedKeyUsage)
        self.name_constraints = self._get(x509.NameConstraints)
        names = self._get(x509.SubjectAlternativeName)
        self.names: list[x509.GeneralName] = [] if names is None else list(names)

    @property
    def critical_oids(self) -> frozenset[x509.ObjectIdentifier]:
        return frozenset(each.oid for each in self.extensions if each.critical)

    def may_have_issued(self, child: _Certificate) -> bool:
        """Whether the key identifiers agree, or leave it open."""
        wanted = child._get(x509.AuthorityKeyIdentifier)
        if wanted is None:
            return True
        own = self._get(x509.SubjectKeyIdentifier)
        if own is not None and wanted.key_identifier not in (None, own.digest):
            return False
        number = wanted.authority_cert_serial_number
        return number is None or number == self.certificate.serial_number

    def may_be_authority(self, is_anchor: bool) -> bool:
        if self.key_usage is not None and not self.key_usage.key_cert_sign:
            return False
        if self.basic_constraints is not None:
            return self.basic_constraints.ca
        # Made before there were basic constraints: only where it is trusted as it stands.
        if not is_anchor:
            return False
        return self.key_usage is not None or (self.is_version_1 and self.is_self_issued)

    def may_sign_handshakes(self) -> bool:
        # RFC 8446, 4.4.2.2: digitalSignature, where there is a key usage.
        return self.key_usage is None or self.key_usage.digital_signature

    def has_purpose(self, purpose: x509.ObjectIdentifier) -> bool:
        return self.extended_key_usage is None or serves(self.extended_key_usage, purpose)

    def _get(self, kind: type[_Extension]) -> _Extension | None:
        try:
            return self.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def _is_signed_by(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        if issuer.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            # RFC 4055, 1.2 and 3.1: such a key makes no other signatures, and may name its hash.
            if child.signature_algorithm_oid != SignatureAlgorithmOID.RSASSA_PSS:
                return False
            digest = child.signature_hash_algorithm
            allowed = schemes_of_pss_key(issuer).values()
            if digest is None or digest.digest_size not in allowed:
                return False
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _is_foreign_issuer(certificate: x509.Certificate) -> bool:
    """Whether the library permits no issuer with such a key."""
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        return True
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return not isinstance(key.curve, _LIBRARY_CURVES)
    return not isinstance(key, rsa.RSAPublicKey)


def _is_foreign_signature(certificate: x509.Certificate) -> bool:
    """Whether the library permits no such signature. Of RSASSA-PSS it permits some salts only."""
    return (
        certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        or not isinstance(certificate.signature_hash_algorithm, _LIBRARY_DIGESTS)
    )
