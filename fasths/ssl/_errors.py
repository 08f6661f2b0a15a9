"""The standard library's exceptions for what stopped a connection.

Programs look at the class, at errno, and at `reason`, where OpenSSL has a name for everything that
goes wrong. Here each error gets the name that OpenSSL would have for it; what exactly it was, is
the TLSError that is the exception's __cause__.
"""

from __future__ import annotations

import ssl
from typing import TypeVar

from fasths.connection import Connection
from fasths.wire.codes import AlertDescription, SSLErrorCode, TLSVersion
from fasths.wire.errors import (
    BadRecordMac,
    CertificateError,
    CertificateRequired,
    DecodeError,
    DecryptError,
    IllegalParameter,
    InappropriateFallback,
    MissingExtension,
    NoApplicationProtocol,
    Origin,
    PeerAlert,
    ProtocolVersion,
    RecordOverflow,
    TLSError,
    TransportError,
    UnexpectedMessage,
    UnsupportedExtension,
    forget_places,
)

_Kind = TypeVar("_Kind", bound=ssl.SSLError)

# Every message of the standard library ends in a line of its source.
_PLACE = "(_ssl.c:1000)"

_WANT_READ = f"The operation did not complete (read) {_PLACE}"
_WANT_WRITE = f"The operation did not complete (write) {_PLACE}"
_CLOSED = f"TLS/SSL connection has been closed (EOF) {_PLACE}"
_END = "EOF occurred in violation of protocol"
_END_REASON = "UNEXPECTED_EOF_WHILE_READING"

# The module's numbers, as plain ones: 1 to 7 are OpenSSL's.
_SSL = int(ssl.SSL_ERROR_SSL)
_EOF = int(ssl.SSL_ERROR_EOF)
_INVALID_ERROR_CODE = int(ssl.SSL_ERROR_INVALID_ERROR_CODE)

_UNSPECIFIED = 1  # X509_V_ERR_UNSPECIFIED

_OTHER_WAITS = {
    SSLErrorCode.WANT_X509_LOOKUP: (4, "X509 lookup"),
    SSLErrorCode.WANT_CONNECT: (7, "connect"),
}

# OpenSSL's words for alerts begin with the version of the protocol that had them first.
_ALERTS: dict[int, str] = {
    AlertDescription.unexpected_message: "SSLV3_ALERT_UNEXPECTED_MESSAGE",
    AlertDescription.bad_record_mac: "SSLV3_ALERT_BAD_RECORD_MAC",
    AlertDescription.decryption_failed: "TLSV1_ALERT_DECRYPTION_FAILED",
    AlertDescription.record_overflow: "TLSV1_ALERT_RECORD_OVERFLOW",
    AlertDescription.decompression_failure: "SSLV3_ALERT_DECOMPRESSION_FAILURE",
    AlertDescription.handshake_failure: "SSLV3_ALERT_HANDSHAKE_FAILURE",
    AlertDescription.no_certificate: "SSLV3_ALERT_NO_CERTIFICATE",
    AlertDescription.bad_certificate: "SSLV3_ALERT_BAD_CERTIFICATE",
    AlertDescription.unsupported_certificate: "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    AlertDescription.certificate_revoked: "SSLV3_ALERT_CERTIFICATE_REVOKED",
    AlertDescription.certificate_expired: "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    AlertDescription.certificate_unknown: "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    AlertDescription.illegal_parameter: "SSLV3_ALERT_ILLEGAL_PARAMETER",
    AlertDescription.unknown_ca: "TLSV1_ALERT_UNKNOWN_CA",
    AlertDescription.access_denied: "TLSV1_ALERT_ACCESS_DENIED",
    AlertDescription.decode_error: "TLSV1_ALERT_DECODE_ERROR",
    AlertDescription.decrypt_error: "TLSV1_ALERT_DECRYPT_ERROR",
    AlertDescription.export_restriction: "TLSV1_ALERT_EXPORT_RESTRICTION",
    AlertDescription.protocol_version: "TLSV1_ALERT_PROTOCOL_VERSION",
    AlertDescription.insufficient_security: "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    AlertDescription.internal_error: "TLSV1_ALERT_INTERNAL_ERROR",
    AlertDescription.inappropriate_fallback: "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
    AlertDescription.user_canceled: "TLSV1_ALERT_USER_CANCELLED",
    AlertDescription.no_renegotiation: "TLSV1_ALERT_NO_RENEGOTIATION",
    AlertDescription.missing_extension: "TLSV13_ALERT_MISSING_EXTENSION",
    AlertDescription.unsupported_extension: "TLSV1_UNSUPPORTED_EXTENSION",
    AlertDescription.certificate_unobtainable: "TLSV1_CERTIFICATE_UNOBTAINABLE",
    AlertDescription.unrecognized_name: "TLSV1_UNRECOGNIZED_NAME",
    AlertDescription.bad_certificate_status_response: "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE",
    AlertDescription.bad_certificate_hash_value: "TLSV1_BAD_CERTIFICATE_HASH_VALUE",
    AlertDescription.certificate_required: "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    # OpenSSL 3.0 has words for these two, but the standard library may have no names.
    AlertDescription.unknown_psk_identity: "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY",
    AlertDescription.no_application_protocol: "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
}

# The names stayed as they were when the words changed.
_SSLV3_ALERT = "sslv3 alert"
if ssl.OPENSSL_VERSION_INFO >= (4,):
    _SSLV3_ALERT = "tls alert"
elif ssl.OPENSSL_VERSION_INFO >= (3, 2):
    _SSLV3_ALERT = "ssl/tls alert"

# What OpenSSL says for most errors of a kind; where it has no name, the engine's sentence is told.
_KINDS: dict[type[TLSError], str] = {
    DecodeError: "LENGTH_MISMATCH",
    UnexpectedMessage: "UNEXPECTED_MESSAGE",
    BadRecordMac: "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    RecordOverflow: "DATA_LENGTH_TOO_LONG",
    IllegalParameter: "BAD_EXTENSION",
    DecryptError: "BAD_SIGNATURE",
    ProtocolVersion: "UNSUPPORTED_PROTOCOL",
    InappropriateFallback: "INAPPROPRIATE_FALLBACK",
    MissingExtension: "BAD_EXTENSION",
    UnsupportedExtension: "UNSOLICITED_EXTENSION",
    NoApplicationProtocol: "NO_APPLICATION_PROTOCOL",
    CertificateRequired: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
}

# And what it says for some alone, by the engine's sentence.
_SENTENCES: dict[str, str] = {
    "the peer speaks plain HTTP instead of TLS": "HTTP_REQUEST",
    "the peer answers in plain HTTP instead of TLS": "WRONG_VERSION_NUMBER",
    "a record has an unknown content type; the peer may not speak TLS": "WRONG_VERSION_NUMBER",
    "a record is not of the version that was negotiated": "WRONG_VERSION_NUMBER",
    "a record is longer than the protocol allows": "PACKET_LENGTH_TOO_LONG",
    "a record that should be protected is not": "BAD_RECORD_TYPE",
    "a handshake message is longer than is allowed here": "EXCESSIVE_MESSAGE_SIZE",
    "a handshake message reaches over a change of keys": "NOT_ON_RECORD_BOUNDARY",
    "an alert record does not hold exactly one alert": "INVALID_ALERT",
    "an alert has an unknown level": "UNKNOWN_ALERT_TYPE",
    "too many warning alerts": "TOO_MANY_WARN_ALERTS",
    "too many empty records": "RECORD_TOO_SMALL",
    "too many KeyUpdates without data between them": "TOO_MANY_KEY_UPDATES",
    "change_cipher_spec is not the one octet that it must be": "BAD_CHANGE_CIPHER_SPEC",
    "no cipher suite in common with the client": "NO_SHARED_CIPHER",
    "no cipher suite in common with the client for the chosen identity": "NO_SHARED_CIPHER",
    "the peer cannot verify signatures of the identity that was chosen": (
        "NO_SUITABLE_SIGNATURE_ALGORITHM"
    ),
    "no group in common with the client": "NO_SUITABLE_KEY_SHARE",
    "no certificate that the client can check signatures of": "NO_SUITABLE_SIGNATURE_ALGORITHM",
    "the application has no identity for this client": "NO_CERTIFICATE_SET",
    "the client sent no certificate": "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "the client has no extended_master_secret": "INCONSISTENT_EXTMS",
    "the server has no extended_master_secret": "INCONSISTENT_EXTMS",
    "the client resumes a session without extended_master_secret": "INCONSISTENT_EXTMS",
    "the server resumes a session without extended_master_secret": "INCONSISTENT_EXTMS",
    "the server has no secure renegotiation": "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
    "renegotiation_info is not empty in a first handshake": "RENEGOTIATION_MISMATCH",
    "too many requests to renegotiate": "NO_RENEGOTIATION",
    "the server was made to downgrade the version": "INAPPROPRIATE_FALLBACK",
    "the server selected a version that was not offered": "UNSUPPORTED_PROTOCOL",
    "the server selected a cipher suite that was not offered": "WRONG_CIPHER_RETURNED",
    "the server selected a cipher suite of TLS 1.2 in TLS 1.3": "WRONG_CIPHER_RETURNED",
    "the server selected a cipher suite of TLS 1.3 in TLS 1.2": "WRONG_CIPHER_RETURNED",
    "the cipher suite changed after HelloRetryRequest": "CIPHERSUITE_DIGEST_HAS_CHANGED",
    "the server resumes a session with another cipher suite": "OLD_SESSION_CIPHER_NOT_RETURNED",
    "the server selected a compression method": "UNSUPPORTED_COMPRESSION_ALGORITHM",
    "the client does not do without compression": "NO_COMPRESSION_SPECIFIED",
    "legacy_compression_methods is not the null method alone": "INVALID_COMPRESSION_ALGORITHM",
    "legacy_session_id_echo is not what was sent": "INVALID_SESSION_ID",
    "the server uses a group that was not offered": "WRONG_CURVE",
    "the server's key share is in a group without one of ours": "BAD_KEY_SHARE",
    "the key share is not a point on its curve": "BAD_ECPOINT",
    "the key share is not an uncompressed point of its curve": "BAD_ECPOINT",
    "the x25519 key share is invalid": "BAD_ECPOINT",
    "ServerHello has no key_share": "NO_SUITABLE_KEY_SHARE",
    "the peer signed with a scheme that was not offered": "WRONG_SIGNATURE_TYPE",
    "the signature scheme does not fit the certificate's key": "WRONG_SIGNATURE_TYPE",
    "the server's signature does not fit the cipher suite": "WRONG_CERTIFICATE_TYPE",
    "the verify_data of Finished is wrong": "DIGEST_CHECK_FAILED",
    "the binder of a pre-shared key is wrong": "BINDER_DOES_NOT_VERIFY",
    "ClientHello has no signature_algorithms": "MISSING_SIGALGS_EXTENSION",
    "CertificateRequest has no signature_algorithms": "MISSING_SIGALGS_EXTENSION",
    "ClientHello has no supported_groups": "MISSING_SUPPORTED_GROUPS_EXTENSION",
    "ClientHello has no key_share": "NO_SUITABLE_KEY_SHARE",
    "the sni_callback raised an exception": "CALLBACK_FAILED",
    "the sni_callback refused the connection": "CALLBACK_FAILED",
    "the sni_callback must return the number of an alert, or None": "CALLBACK_FAILED",
    # The two that are no failures of the connection.
    "shutdown() while there is application data to be read": "APPLICATION_DATA_AFTER_CLOSE_NOTIFY",
    "the connection type is not set": "CONNECTION_TYPE_NOT_SET",
}


# In TLS 1.2 a suite says how the server proves who it is, and needs a curve (RFC 8422, 2 and 4).
_NO_SHARED_CIPHER = (
    "no group in common with the client",
    "no certificate that the client can check signatures of",
    "the peer cannot verify signatures of the identity that was chosen",
    "the chosen identity has a key that the client does not take",
)


def failure(
    connection: Connection,
    ret: int,
    *,
    server_hostname: str | None = None,
) -> OSError:
    """The exception for what get_error(ret) says after a call that returned `ret`.

    server_hostname: as _wrap_socket() got it, for the message of a certificate that is not valid
    for it; by default as the connection has it.
    """
    code = connection.get_error(ret)
    if code is SSLErrorCode.WANT_READ:
        return _without_reason(ssl.SSLWantReadError(2, _WANT_READ))
    if code is SSLErrorCode.WANT_WRITE:
        return _without_reason(ssl.SSLWantWriteError(3, _WANT_WRITE))
    if code is SSLErrorCode.ZERO_RETURN:
        return _without_reason(ssl.SSLZeroReturnError(6, _CLOSED))
    error = connection.last_error
    if code not in (SSLErrorCode.SSL, SSLErrorCode.SYSCALL) or error is None:
        number, what = _OTHER_WAITS.get(code, (_INVALID_ERROR_CODE, code.name))
        message = f"The operation did not complete ({what}) {_PLACE}"
        return _without_reason(ssl.SSLError(number, message))
    return _exception_for(error, connection.version, server_hostname)


class _WantRead(ssl.SSLWantReadError):
    # What every instance would have to be told.
    reason = library = None  # type: ignore[assignment]


_WantRead.__name__ = _WantRead.__qualname__ = "SSLWantReadError"


def want_read() -> ssl.SSLError:
    """What says that the operation goes on once there is more to read."""
    return _WantRead(2, _WANT_READ)


def misuse(text: str) -> ssl.SSLError:
    """An error of the program's, for which OpenSSL has no name."""
    error = ssl.SSLError(0, f"{text} {_PLACE}")
    error.library = error.reason = None  # type: ignore[assignment]
    return error


def reasoned(reason: str, details: str | None = None, number: int = _SSL) -> ssl.SSLError:
    """An error that is no failure of the connection, under OpenSSL's name for it."""
    text = reason_text(reason) + (f": {details}" if details else "")
    error = ssl.SSLError(number, f"[SSL: {reason}] {text} {_PLACE}")
    error.library, error.reason = "SSL", reason
    return error


def _without_reason(error: ssl.SSLError) -> ssl.SSLError:
    error.reason = error.library = None  # type: ignore[assignment]
    return error


def _exception_for(
    error: TLSError, version: TLSVersion | None, server_hostname: str | None
) -> OSError:
    # Those of an InternalError as well, which the engine leaves for debugging.
    forget_places(error)
    if isinstance(error, TransportError):
        if error.os_error is not None:
            # Another one each time: the connection has it, and it would have the connection.
            return type(error.os_error)(*error.os_error.args)
        return _failed(ssl.SSLEOFError, _EOF, error, _END_REASON, _END)
    if isinstance(error, CertificateError):
        return _verification_failed(error, server_hostname)
    reason = _reason(error, version)
    text = error.reason if reason is None else reason_text(reason)
    return _failed(ssl.SSLError, _SSL, error, reason, text)


def _verification_failed(error: CertificateError, server_hostname: str | None) -> OSError:
    message = error.verify_message
    if server_hostname is not None:
        start, found, _ = message.partition("certificate is not valid for ")
        if found:
            message = f"{start}{found}'{server_hostname}'."
    reason = "CERTIFICATE_VERIFY_FAILED"
    # Where OpenSSL would only say that it does not say it.
    told = error.reason if error.verify_code == _UNSPECIFIED else message
    text = f"{reason_text(reason)}: {told}"
    made: ssl.SSLCertVerificationError = _failed(
        ssl.SSLCertVerificationError, _SSL, error, reason, text
    )
    made.verify_code = error.verify_code
    made.verify_message = message
    return made


def _failed(
    kind: type[_Kind], number: int, error: TLSError, reason: str | None, text: str
) -> _Kind:
    name = "SSL" if reason is None else f"SSL: {reason}"
    made = kind(number, f"[{name}] {text} {_PLACE}")
    made.reason = reason  # type: ignore[assignment]
    made.library = "SSL"
    made.__cause__ = error
    return made


def _reason(error: TLSError, version: TLSVersion | None) -> str | None:
    """OpenSSL's name for an error, or None where it has none that fits."""
    if isinstance(error, PeerAlert):
        return _ALERTS.get(error.code)
    if version == TLSVersion.TLSv1_2 and error.reason in _NO_SHARED_CIPHER:
        return "NO_SHARED_CIPHER"
    reason = _SENTENCES.get(error.reason)
    if reason is None and error.origin is Origin.LOCAL:
        reason = _KINDS.get(type(error))
    return reason


def reason_text(reason: str) -> str:
    """OpenSSL's words for one of its names."""
    text = reason.lower().replace("_", " ")
    return text.replace("sslv3 alert", _SSLV3_ALERT)
