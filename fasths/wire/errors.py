"""What can go wrong, by meaning; each class has the alert that tells the peer (RFC 8446, 6.2).

These are raised inside the engine and stored in `Connection.last_error`. What a peer or a network
does is never raised out of a Connection.
"""

from enum import StrEnum
from typing import ClassVar

from fasths.wire.codes import AlertDescription


class Origin(StrEnum):
    """Who found, or caused, the end of a connection."""

    LOCAL = "local"
    PEER = "peer"
    TRANSPORT = "transport"


class TLSError(Exception):
    """A fatal error of one connection.

    reason: a sentence. alert: the alert sent (origin local) or received (origin peer), or None.
    origin: who ended the connection: this side's checks, the peer's alert, or the transport.
    """

    default_alert: ClassVar[AlertDescription | None] = None

    def __init__(
        self,
        reason: str,
        *,
        alert: AlertDescription | None = None,
        origin: Origin = Origin.LOCAL,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alert = self.default_alert if alert is None else alert
        self.origin = origin

    def __str__(self) -> str:
        name = f" [{self.alert.name}]" if self.alert is not None else ""
        return f"{self.reason}{name}"


class DecodeError(TLSError):
    """A message could not be parsed: some field or length is out of its range."""

    default_alert = AlertDescription.decode_error


class UnexpectedMessage(TLSError):
    """A record or message that does not belong here."""

    default_alert = AlertDescription.unexpected_message


class BadRecordMac(TLSError):
    """A record that does not decrypt."""

    default_alert = AlertDescription.bad_record_mac


class RecordOverflow(TLSError):
    """A record longer than the protocol allows."""

    default_alert = AlertDescription.record_overflow


class HandshakeFailure(TLSError):
    """No set of parameters that both sides accept."""

    default_alert = AlertDescription.handshake_failure


class IllegalParameter(TLSError):
    """A field that parses, but is wrong or inconsistent with others."""

    default_alert = AlertDescription.illegal_parameter


class DecryptError(TLSError):
    """A handshake signature or Finished that does not verify."""

    default_alert = AlertDescription.decrypt_error


class ProtocolVersion(TLSError):
    """The peer has no version that is allowed here."""

    default_alert = AlertDescription.protocol_version


class InappropriateFallback(TLSError):
    """The client was made to try again with a lower version than both sides have (RFC 7507)."""

    default_alert = AlertDescription.inappropriate_fallback


class InternalError(TLSError):
    """A fault of this side, unrelated to the peer."""

    default_alert = AlertDescription.internal_error


class MissingExtension(TLSError):
    """An extension that is mandatory for what the peer asks is absent."""

    default_alert = AlertDescription.missing_extension


class UnsupportedExtension(TLSError):
    """The peer answered with an extension that was not offered."""

    default_alert = AlertDescription.unsupported_extension


class NoApplicationProtocol(TLSError):
    """No ALPN protocol in common (RFC 7301, 3.2)."""

    default_alert = AlertDescription.no_application_protocol


class CertificateRequired(TLSError):
    """The client sent no certificate although one is required."""

    default_alert = AlertDescription.certificate_required


class CertificateError(TLSError):
    """The peer's certificate chain was refused.

    verify_code: OpenSSL's X509_V_ERR number. verify_message: the text that goes with it.
    """

    default_alert = AlertDescription.bad_certificate

    def __init__(
        self,
        reason: str,
        *,
        alert: AlertDescription | None = None,
        verify_code: int = 1,
        verify_message: str = "unspecified certificate verification error",
    ) -> None:
        super().__init__(reason, alert=alert)
        self.verify_code = verify_code
        self.verify_message = verify_message


class PeerAlert(TLSError):
    """The peer sent a fatal alert."""

    def __init__(self, alert: int) -> None:
        try:
            description = AlertDescription(alert)
            reason = f"the peer sent the alert {description.name}"
        except ValueError:
            description = None
            reason = f"the peer sent the unknown alert {alert}"
        super().__init__(reason, alert=description, origin=Origin.PEER)
        self.code = alert

    def __str__(self) -> str:
        return self.reason


def forget_places(error: BaseException) -> None:
    """Drop the tracebacks of an error that is kept, and of those that it comes from.

    They hold the frames of whoever called, and so the connection that keeps the error.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        each.__traceback__ = None
        each = each.__cause__ or each.__context__


class TransportError(TLSError, ConnectionResetError):
    """The transport ended without close_notify, or raised.

    Programs expect an OSError where a peer just goes; most of them name this one.

    os_error: the OSError that a BIO raised, or None where the transport just ended.
    """

    def __init__(self, reason: str, os_error: OSError | None = None) -> None:
        super().__init__(reason, origin=Origin.TRANSPORT)
        self.os_error = os_error
