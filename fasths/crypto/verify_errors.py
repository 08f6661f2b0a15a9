"""Why a chain is refused: OpenSSL's numbers and words for it, and the alert that goes out.

Programs compare verify_code and verify_message with what the standard library's
SSLCertVerificationError has (X509_V_ERR_*, as of OpenSSL 3).
"""

from __future__ import annotations

from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

UNSPECIFIED = 1
UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY = 6
CERT_SIGNATURE_FAILURE = 7
CERT_NOT_YET_VALID = 9
CERT_HAS_EXPIRED = 10
DEPTH_ZERO_SELF_SIGNED_CERT = 18
SELF_SIGNED_CERT_IN_CHAIN = 19
UNABLE_TO_GET_ISSUER_CERT_LOCALLY = 20
CERT_CHAIN_TOO_LONG = 22
PATH_LENGTH_EXCEEDED = 25
INVALID_PURPOSE = 26
UNHANDLED_CRITICAL_EXTENSION = 34
INVALID_EXTENSION = 41
PERMITTED_VIOLATION = 47
EXCLUDED_VIOLATION = 48
SUBTREE_MINMAX = 49
UNSUPPORTED_CONSTRAINT_TYPE = 51
UNSUPPORTED_CONSTRAINT_SYNTAX = 52
UNSUPPORTED_NAME_SYNTAX = 53
HOSTNAME_MISMATCH = 62
IP_ADDRESS_MISMATCH = 64
EE_KEY_TOO_SMALL = 66
CA_KEY_TOO_SMALL = 67
CA_MD_TOO_WEAK = 68
INVALID_CA = 79

# RFC 8446, 6.2 leaves much to choose: unknown_ca is what leads to no anchor that may issue, and
# certificate_unknown what none of the others describes.
_BAD = AlertDescription.bad_certificate
_UNKNOWN_CA = AlertDescription.unknown_ca
_UNKNOWN = AlertDescription.certificate_unknown

_ERRORS: dict[int, tuple[str, AlertDescription]] = {
    UNSPECIFIED: ("unspecified certificate verification error", _UNKNOWN),
    UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: ("unable to decode issuer public key", _BAD),
    CERT_SIGNATURE_FAILURE: ("certificate signature failure", _BAD),
    CERT_NOT_YET_VALID: ("certificate is not yet valid", _BAD),
    CERT_HAS_EXPIRED: ("certificate has expired", AlertDescription.certificate_expired),
    DEPTH_ZERO_SELF_SIGNED_CERT: ("self-signed certificate", _UNKNOWN_CA),
    SELF_SIGNED_CERT_IN_CHAIN: ("self-signed certificate in certificate chain", _UNKNOWN_CA),
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ("unable to get local issuer certificate", _UNKNOWN_CA),
    CERT_CHAIN_TOO_LONG: ("certificate chain too long", _UNKNOWN_CA),
    PATH_LENGTH_EXCEEDED: ("path length constraint exceeded", _UNKNOWN_CA),
    INVALID_PURPOSE: (
        "unsuitable certificate purpose",
        AlertDescription.unsupported_certificate,
    ),
    UNHANDLED_CRITICAL_EXTENSION: ("unhandled critical extension", _UNKNOWN),
    INVALID_EXTENSION: ("invalid or inconsistent certificate extension", _BAD),
    PERMITTED_VIOLATION: ("permitted subtree violation", _UNKNOWN),
    EXCLUDED_VIOLATION: ("excluded subtree violation", _UNKNOWN),
    SUBTREE_MINMAX: ("name constraints minimum and maximum not supported", _UNKNOWN),
    UNSUPPORTED_CONSTRAINT_TYPE: ("unsupported name constraint type", _UNKNOWN),
    UNSUPPORTED_CONSTRAINT_SYNTAX: (
        "unsupported or invalid name constraint syntax",
        _UNKNOWN,
    ),
    UNSUPPORTED_NAME_SYNTAX: ("unsupported or invalid name syntax", _UNKNOWN),
    HOSTNAME_MISMATCH: ("hostname mismatch", _BAD),
    IP_ADDRESS_MISMATCH: ("IP address mismatch", _BAD),
    EE_KEY_TOO_SMALL: ("EE certificate key too weak", _BAD),
    CA_KEY_TOO_SMALL: ("CA certificate key too weak", _BAD),
    CA_MD_TOO_WEAK: ("CA signature digest algorithm too weak", _BAD),
    INVALID_CA: ("invalid CA certificate", _UNKNOWN_CA),
}


class Refusal(Exception):
    """A chain is not accepted: OpenSSL's number, a sentence, and an alert if not the usual one."""

    def __init__(
        self, verify_code: int, sentence: str, alert: AlertDescription | None = None
    ) -> None:
        super().__init__(sentence)
        self.verify_code = verify_code
        self.alert = alert

    def as_error(self, host: str | None = None) -> CertificateError:
        message, alert = _ERRORS[self.verify_code]
        if self.verify_code == HOSTNAME_MISMATCH:
            message = f"Hostname mismatch, certificate is not valid for {host!r}."
        elif self.verify_code == IP_ADDRESS_MISMATCH:
            message = f"IP address mismatch, certificate is not valid for {host!r}."
        return CertificateError(
            f"{message.removesuffix('.')}: {self}",
            alert=self.alert or alert,
            verify_code=self.verify_code,
            verify_message=message,
        )
