"""Stapled OCSP responses: what the issuer of a server's certificate says of it today (RFC 6960).

A server fetches the response from time to time, and sends it with its certificate (RFC 6066, 8;
RFC 8446, 4.4.2.1). It is worth as much as its signature: nothing in it is believed before that,
but for what leads to a refusal anyway. The order here is

- what it is: a basic response to a request that succeeded, of a reasonable size;
- whom it is about: the leaf, by its serial number and by hashes of its issuer's name and key;
- who signed it: the issuer, or a responder that has a certificate for it from the issuer itself;
- what it says: not that the certificate is revoked, nor with an extension that is critical, for
  none is known here, nor too early or too late, nor that the responder knows nothing.

Whether the responder's own certificate is revoked is not asked; RFC 6960, 4.2.2.2.1 leaves it to
the authority, and most say id-pkix-ocsp-nocheck. Of the authorities above the issuer, no response
is looked at.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID

from fasths.crypto.certificates import (
    Element,
    certificate_fields,
    elements,
    extension_values,
    may_sign_with,
    pss_parameters,
    public_key_info_of,
)
from fasths.crypto.chain_examination import check_leaf_key
from fasths.crypto.verify_errors import Refusal
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

# A response has some 300 bytes, and some thousands where certificates come with it.
MAX_RESPONSE = 1 << 16
# Certificates that a response may bring along; mostly it is none, or the responder's.
MAX_RESPONSE_CERTIFICATES = 8

# How far the responder's clock and this one may be apart.
MAX_CLOCK_SKEW = timedelta(minutes=5)
# For an answer without nextUpdate: newer ones can be had at any time (RFC 6960, 4.2.2.1).
LIFETIME_WITHOUT_NEXT_UPDATE = timedelta(days=1)
# How long a StapleChecker believes what it has checked.
MAX_REMEMBERED = timedelta(hours=1)

# OpenSSL's numbers (X509_V_ERR_*) and words, as of OpenSSL 3.6.
CERT_REVOKED = 23
OCSP_CERT_UNKNOWN = 75
OCSP_RESP_INVALID = 96
OCSP_SIGNATURE_FAILURE = 97
OCSP_NOT_YET_VALID = 98
OCSP_HAS_EXPIRED = 99
OCSP_NO_RESPONSE = 100

_MESSAGES = {
    CERT_REVOKED: "certificate revoked",
    OCSP_CERT_UNKNOWN: "OCSP unknown cert",
    OCSP_RESP_INVALID: "OCSP response(s) invalid",
    OCSP_SIGNATURE_FAILURE: "OCSP response signature verification failure",
    OCSP_NOT_YET_VALID: "OCSP response not yet valid (contains a date in the future)",
    OCSP_HAS_EXPIRED: "OCSP response has expired",
    OCSP_NO_RESPONSE: "no OCSP response available for certificate",
}

# RFC 7633, 4: id-pe-tlsfeature (1.3.6.1.5.5.7.1.24), a list of extensions of TLS.
_TLS_FEATURE = bytes.fromhex("2b06010505070118")
_STATUS_REQUEST = 5

# Of CertIDs (RFC 6960, 4.3). SHA-1 is what responders know best, and need not withstand collisions
# here: the issuer is known, and signs.
_CERT_ID_HASHES = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512"})

_Oid = SignatureAlgorithmOID
_RSA_PKCS1_DIGESTS: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    _Oid.RSA_WITH_SHA224: hashes.SHA224(),
    _Oid.RSA_WITH_SHA256: hashes.SHA256(),
    _Oid.RSA_WITH_SHA384: hashes.SHA384(),
    _Oid.RSA_WITH_SHA512: hashes.SHA512(),
}
_ECDSA_DIGESTS: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    _Oid.ECDSA_WITH_SHA224: hashes.SHA224(),
    _Oid.ECDSA_WITH_SHA256: hashes.SHA256(),
    _Oid.ECDSA_WITH_SHA384: hashes.SHA384(),
    _Oid.ECDSA_WITH_SHA512: hashes.SHA512(),
}
_EDWARDS_KEYS: dict[x509.ObjectIdentifier, type] = {
    _Oid.ED25519: ed25519.Ed25519PublicKey,
    _Oid.ED448: ed448.Ed448PublicKey,
}
_SHA2 = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)

# Critical extensions of a responder's certificate that are honoured, or say nothing about it.
_KNOWN_EXTENSIONS = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.OCSP_NO_CHECK,
    }
)


def check_staple(
    response: bytes, path: Sequence[x509.Certificate], *, now: datetime | None = None
) -> datetime:
    """Check the OCSP response (DER) that a peer sent with its certificate.

    path: the verified chain: leaf, issuer, and up to the anchor. A leaf that is itself trusted is
    a path of one: then only what that certificate, self-issued, signed of itself is accepted; no
    other issuer is known to be the right one. now: an aware datetime, the clock's by default.

    Returns until when the answer is valid: its nextUpdate, or a day after its thisUpdate where
    there is none; not longer than the certificate of its responder.

    CertificateError: the certificate is revoked (certificate_revoked, verify code 23), or the
    response is not to be believed or says nothing (bad_certificate_status_response; the verify
    codes are OpenSSL's for OCSP).
    """
    if not path:
        raise ValueError("a verified chain has at least its leaf")
    try:
        return _Check(response, path, now or datetime.now(UTC)).run()
    except CertificateError:
        raise
    except Exception as error:
        # The library has many exceptions for what it cannot read, some of them only when a field
        # is asked for. What they say may quote the peer.
        sentence = ascii(str(error))[1:-1][:200]
        raise _refusal(OCSP_RESP_INVALID, f"it cannot be read: {sentence}") from None


def requires_staple(certificate: x509.Certificate) -> bool:
    """Whether the certificate is only good with a stapled response ("must staple", RFC 7633).

    Also where it has a TLS feature extension that cannot be read.
    """
    for value in extension_values(certificate, _TLS_FEATURE):
        try:
            (features,) = elements(value)
            numbers = [int.from_bytes(each.content, "big") for each in elements(features.content)]
        except ValueError:
            return True
        if _STATUS_REQUEST in numbers:
            return True
    return False


def missing_staple() -> CertificateError:
    """What a peer fails with that sent no response although one is needed."""
    return _refusal(OCSP_NO_RESPONSE, "the peer stapled none to its certificate")


class StapleChecker:
    """check_staple() that remembers good answers, for any number of threads.

    maximum: so many answers are remembered, those that were of use last, each until it ends and
    for an hour at most. Zero remembers nothing.
    """

    def __init__(self, maximum: int = 256) -> None:
        self._maximum = maximum
        # By response, leaf and issuer: until when to believe it, and what check_staple() said.
        # The response by its hash, for a peer may put what it likes behind the signature.
        self._good: dict[
            tuple[bytes, x509.Certificate, x509.Certificate], tuple[datetime, datetime]
        ] = {}
        self._lock = threading.Lock()

    def check(
        self, response: bytes, path: Sequence[x509.Certificate], *, now: datetime | None = None
    ) -> datetime:
        """What check_staple() returns or raises."""
        if not path:
            raise ValueError("a verified chain has at least its leaf")
        now = now or datetime.now(UTC)
        # Certificates are equal if their DER is.
        key = (hashlib.sha256(response).digest(), path[0], path[min(1, len(path) - 1)])
        with self._lock:
            known = self._good.pop(key, None)
            if known is not None and now < known[0]:
                self._good[key] = known  # the last one that was of use
                return known[1]
        valid_until = check_staple(response, path, now=now)
        if self._maximum > 0:
            with self._lock:
                self._good[key] = (min(valid_until, now + MAX_REMEMBERED), valid_until)
                while len(self._good) > self._maximum:
                    del self._good[next(iter(self._good))]
        return valid_until


class _Check:
    """One response, checked from the outside in."""

    def __init__(self, response: bytes, path: Sequence[x509.Certificate], now: datetime) -> None:
        self._der = bytes(response)
        self._path = path
        self._leaf = path[0]
        self._issuer = path[min(1, len(path) - 1)]
        self._now = now
        # RFC 6960, 4.1.1: the name as it is in the certificate that is checked.
        self._issuer_name = certificate_fields(self._leaf)[2].encoded
        self._issuer_key = _public_key_bits(self._issuer)

    def run(self) -> datetime:
        if len(self._path) == 1 and self._leaf.issuer != self._leaf.subject:
            raise _refusal(
                OCSP_NO_RESPONSE,
                "the certificate is itself trusted, so that no issuer can speak of it",
            )
        if len(self._der) > MAX_RESPONSE:
            raise _refusal(OCSP_RESP_INVALID, f"it is longer than {MAX_RESPONSE} bytes")
        response = ocsp.load_der_ocsp_response(self._der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            status = response.response_status.name
            raise _refusal(OCSP_RESP_INVALID, f"the responder had no answer: {status}")
        encoded = _Encoded(self._der)
        answers = [
            (answer, has_critical_extension)
            for answer, has_critical_extension in zip(
                response.responses, encoded.answers_with_critical_extension, strict=True
            )
            if self._is_about_leaf(answer)
        ]
        if not answers:
            raise _refusal(OCSP_NO_RESPONSE, "it is about other certificates")
        responder = self._responder(response, encoded)
        for answer, _ in answers:
            # First, whatever else is wrong: a certificate does not recover from it.
            _refuse_revoked(answer)
        # RFC 6960, 4.4: what is critical must be understood. Nothing is, here: a staple answers no
        # request of this side, so that there is no nonce to compare either.
        if encoded.has_critical_extension or any(critical for _, critical in answers):
            raise _refusal(OCSP_RESP_INVALID, "it has a critical extension")
        valid_until = min(self._valid_until(answer) for answer, _ in answers)
        return min(valid_until, responder.not_valid_after_utc)

    # Whom it is about

    def _is_about_leaf(self, answer: ocsp.OCSPSingleResponse) -> bool:
        if answer.serial_number != self._leaf.serial_number:
            return False
        try:
            hash_name = answer.hash_algorithm.name
        except UnsupportedAlgorithm:
            return False
        return (
            hash_name in _CERT_ID_HASHES
            and _hash(hash_name, self._issuer_name) == answer.issuer_name_hash
            and _hash(hash_name, self._issuer_key) == answer.issuer_key_hash
        )

    # Who signed it

    def _responder(self, response: ocsp.OCSPResponse, encoded: _Encoded) -> x509.Certificate:
        """The certificate whose key made the signature, and may make it."""
        if encoded.certificate_count > MAX_RESPONSE_CERTIFICATES:
            raise _refusal(
                OCSP_RESP_INVALID,
                f"there are more than {MAX_RESPONSE_CERTIFICATES} certificates with it",
            )
        try:
            algorithm = _signature_algorithm(response, encoded)
        except _Unfit as unfit:
            raise _refusal(OCSP_SIGNATURE_FAILURE, str(unfit)) from None
        reason = "its signer is neither the issuer nor in a certificate that came with it"
        for certificate in (self._issuer, *response.certificates):
            if not _is_named(certificate, response):
                continue
            try:
                if certificate != self._issuer:
                    self._check_delegated(certificate)
                algorithm.verify(certificate, encoded.signature, encoded.tbs_response_data)
                return certificate
            except _Unfit as unfit:
                reason = str(unfit)
        raise _refusal(OCSP_SIGNATURE_FAILURE, reason)

    def _check_delegated(self, responder: x509.Certificate) -> None:
        """Raise _Unfit unless the issuer made this certificate for a responder, valid now.

        RFC 6960, 4.2.2.2.
        """
        extensions = responder.extensions
        values = [each.value for each in extensions]
        # anyExtendedKeyUsage does not do: a server's certificate may have it.
        if not any(
            isinstance(each, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.OCSP_SIGNING in each
            for each in values
        ):
            raise _Unfit("the certificate of its signer is not one for OCSP")
        # RFC 5280, 4.2.1.12: what is consistent with OCSPSigning.
        if any(
            isinstance(each, x509.KeyUsage)
            and not (each.digital_signature or each.content_commitment)
            for each in values
        ):
            raise _Unfit("the key of its signer is not for signatures")
        if any(each.critical and each.oid not in _KNOWN_EXTENSIONS for each in extensions):
            raise _Unfit("the certificate of its signer has an unknown critical extension")
        if not responder.not_valid_before_utc <= self._now <= responder.not_valid_after_utc:
            raise _Unfit("the certificate of its signer is not valid now")
        try:
            check_leaf_key(responder)
        except Refusal as refusal:
            raise _Unfit(f"the certificate of its signer: {refusal}") from None
        oid, digest = responder.signature_algorithm_oid, responder.signature_hash_algorithm
        if oid not in _EDWARDS_KEYS and not isinstance(digest, _SHA2):
            raise _Unfit("the certificate of its signer is signed with a weak digest")
        if not may_sign_with(self._issuer, oid, digest):
            raise _Unfit("the key of the issuer makes no such signatures as its signer has")
        try:
            responder.verify_directly_issued_by(self._issuer)
        except (InvalidSignature, ValueError, TypeError):
            raise _Unfit("the issuer did not make the certificate of its signer") from None

    # What it says

    def _valid_until(self, answer: ocsp.OCSPSingleResponse) -> datetime:
        this_update, next_update = answer.this_update_utc, answer.next_update_utc
        # RFC 6960, 4.2.2.1.
        if this_update > self._now + MAX_CLOCK_SKEW:
            raise _refusal(OCSP_NOT_YET_VALID, f"its thisUpdate is {this_update}")
        if next_update is None:
            next_update = this_update + LIFETIME_WITHOUT_NEXT_UPDATE
        elif next_update < this_update:
            raise _refusal(OCSP_RESP_INVALID, "its nextUpdate is before its thisUpdate")
        if next_update < self._now - MAX_CLOCK_SKEW:
            raise _refusal(OCSP_HAS_EXPIRED, f"it was valid until {next_update}")
        if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
            raise _refusal(OCSP_CERT_UNKNOWN, "the responder does not know the certificate")
        return next_update


class _Unfit(Exception):
    """A signature, or a signer, that is not to be believed; another one may be."""


class _Encoded:
    """What the library does not tell of a response that it has parsed (RFC 6960, 4.2.1)."""

    def __init__(self, der: bytes) -> None:
        (response,) = elements(der)
        _, response_bytes = elements(response.content)
        (sequence,) = elements(response_bytes.content)
        _, octets = elements(sequence.content)
        (basic,) = elements(octets.content)
        tbs, algorithm, signature, *certificates = elements(basic.content)
        self.tbs_response_data = tbs.encoded
        self.signature_parameters = [each.content for each in elements(algorithm.content)][1:]
        unused_bits, self.signature = signature.content[0], signature.content[1:]
        if unused_bits:
            raise ValueError("a signature of a broken octet")
        # The innermost is the SEQUENCE OF Certificate.
        self.certificate_count = sum(
            len(list(elements(of.content)))
            for each in certificates
            for of in elements(each.content)
        )
        first, *fields = elements(tbs.content)
        # Not every version of the library looks at it; version 1 is not encoded.
        if first.tag == 0xA0:
            raise ValueError("a version other than 1")
        _, responses, *extensions = fields
        self.has_critical_extension = _any_critical(extensions)
        # singleExtensions comes last, behind certID, certStatus, thisUpdate and nextUpdate.
        self.answers_with_critical_extension = [
            _any_critical(
                [field for field in list(elements(each.content))[3:] if field.tag == 0xA1]
            )
            for each in elements(responses.content)
        ]


def _any_critical(fields: list[Element]) -> bool:
    """Whether there is a critical extension in one of these fields, [n] EXPLICIT Extensions."""
    return any(
        part.tag == 0x01  # critical BOOLEAN DEFAULT FALSE
        for field in fields
        for extensions in elements(field.content)
        for extension in elements(extensions.content)
        for part in elements(extension.content)
    )


@dataclass(frozen=True)
class _SignatureAlgorithm:
    """arguments: what verify() of the key takes behind signature and content."""

    oid: x509.ObjectIdentifier
    key_type: type[Any]
    digest: hashes.HashAlgorithm | None = None
    arguments: tuple[object, ...] = ()

    def verify(self, certificate: x509.Certificate, signature: bytes, content: bytes) -> None:
        """Raise _Unfit unless the key of the certificate made the signature."""
        key: Any = certificate.public_key()
        if not isinstance(key, self.key_type) or not may_sign_with(
            certificate, self.oid, self.digest
        ):
            raise _Unfit("the key of its signer makes no such signatures")
        try:
            key.verify(signature, content, *self.arguments)
        except InvalidSignature:
            raise _Unfit("its signature is wrong") from None


def _signature_algorithm(response: ocsp.OCSPResponse, encoded: _Encoded) -> _SignatureAlgorithm:
    oid = response.signature_algorithm_oid
    if oid in _EDWARDS_KEYS:
        return _SignatureAlgorithm(oid, _EDWARDS_KEYS[oid])
    if oid in _ECDSA_DIGESTS:
        digest = _ECDSA_DIGESTS[oid]
        return _SignatureAlgorithm(oid, ec.EllipticCurvePublicKey, digest, (ec.ECDSA(digest),))
    pad: padding.AsymmetricPadding
    if oid in _RSA_PKCS1_DIGESTS:
        digest, pad = _RSA_PKCS1_DIGESTS[oid], padding.PKCS1v15()
    elif oid == _Oid.RSASSA_PSS and encoded.signature_parameters:
        try:
            digest, salt_length = pss_parameters(encoded.signature_parameters[0])
        except ValueError as error:
            raise _Unfit(f"it is signed with {error}") from None
        pad = padding.PSS(padding.MGF1(digest), salt_length)
    else:
        raise _Unfit("it is signed with an algorithm that is not supported")
    return _SignatureAlgorithm(oid, rsa.RSAPublicKey, digest, (pad, digest))


def _is_named(certificate: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    """Whether the ResponderID is the one of a certificate (RFC 6960, 4.2.1)."""
    if response.responder_name is not None:
        return certificate.subject == response.responder_name
    return _hash("sha1", _public_key_bits(certificate)) == response.responder_key_hash


def _hash(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _public_key_bits(certificate: x509.Certificate) -> bytes:
    """subjectPublicKey without the octet that counts its unused bits."""
    (info,) = elements(public_key_info_of(certificate))
    _, key = elements(info.content)
    return key.content[1:]


def _refuse_revoked(answer: ocsp.OCSPSingleResponse) -> None:
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        why = "" if answer.revocation_reason is None else f" ({answer.revocation_reason.value})"
        raise _refusal(CERT_REVOKED, f"since {answer.revocation_time_utc}{why}")


def _refusal(verify_code: int, sentence: str) -> CertificateError:
    revoked = verify_code == CERT_REVOKED
    message = _MESSAGES[verify_code]
    return CertificateError(
        f"{message}: {sentence}",
        alert=AlertDescription.certificate_revoked
        if revoked
        else AlertDescription.bad_certificate_status_response,
        verify_code=verify_code,
        verify_message=message,
    )
