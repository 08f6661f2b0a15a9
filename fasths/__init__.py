"""fasths: a fast engine of TLS 1.3 and 1.2 with OpenSSL's do_handshake()/get_error() contract."""

from fasths.bio import BufferedBIO, MemoryBIO, SocketBIO, bio_pair
from fasths.connection import Connection
from fasths.context import Context
from fasths.crypto.external_psk import ExternalPSK
from fasths.crypto.identity import Identity
from fasths.crypto.tickets import TicketKeys
from fasths.crypto.trust import TrustStore
from fasths.handshake.requests import (
    LATER,
    ClientHelloRequest,
    IdentityRequest,
    PSKRequest,
    Request,
    SessionCacheRequest,
    SessionRequest,
    SignatureRequest,
    VerificationRequest,
)
from fasths.handshake.session import Session
from fasths.session_store import (
    MemorySessionCache,
    MemorySessionStore,
    SessionCache,
    SessionStore,
    SQLiteSessionStore,
)
from fasths.wire.client_hello import ClientHello, parse_client_hello
from fasths.wire.codes import (
    AlertDescription,
    CertificateCompressionAlgorithm,
    CipherSuite,
    ContentType,
    ExtensionType,
    HandshakeType,
    NamedGroup,
    PskKeyExchangeMode,
    SignatureScheme,
    SSLErrorCode,
    StaplePolicy,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    Origin,
    PeerAlert,
    TLSError,
    TransportError,
)
from fasths.wire.limits import Limits

__version__ = "0.3.0"

__all__ = [
    "LATER",
    "AlertDescription",
    "BufferedBIO",
    "CertificateCompressionAlgorithm",
    "CertificateError",
    "CipherSuite",
    "ClientHello",
    "ClientHelloRequest",
    "Connection",
    "ContentType",
    "Context",
    "DecodeError",
    "ExtensionType",
    "ExternalPSK",
    "HandshakeType",
    "Identity",
    "IdentityRequest",
    "Limits",
    "MemoryBIO",
    "MemorySessionCache",
    "MemorySessionStore",
    "NamedGroup",
    "Origin",
    "PSKRequest",
    "PeerAlert",
    "PskKeyExchangeMode",
    "Request",
    "SQLiteSessionStore",
    "SSLErrorCode",
    "Session",
    "SessionCache",
    "SessionCacheRequest",
    "SessionRequest",
    "SessionStore",
    "SignatureRequest",
    "SignatureScheme",
    "SocketBIO",
    "StaplePolicy",
    "TLSError",
    "TLSVersion",
    "TicketKeys",
    "TransportError",
    "TrustStore",
    "VerificationRequest",
    "Verify",
    "__version__",
    "bio_pair",
    "parse_client_hello",
]
