"""fasths: a fast TLS 1.3 engine with OpenSSL's do_handshake()/get_error() contract."""

from fasths.bio import BufferedBIO, MemoryBIO, SocketBIO, bio_pair
from fasths.connection import Connection
from fasths.context import Context
from fasths.crypto.identity import Identity
from fasths.crypto.trust import TrustStore
from fasths.wire.codes import (
    AlertDescription,
    CipherSuite,
    ContentType,
    ExtensionType,
    HandshakeType,
    NamedGroup,
    SignatureScheme,
    SSLErrorCode,
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

__version__ = "0.1.0"

__all__ = [
    "AlertDescription",
    "BufferedBIO",
    "CertificateError",
    "CipherSuite",
    "Connection",
    "ContentType",
    "Context",
    "DecodeError",
    "ExtensionType",
    "HandshakeType",
    "Identity",
    "Limits",
    "MemoryBIO",
    "NamedGroup",
    "Origin",
    "PeerAlert",
    "SSLErrorCode",
    "SignatureScheme",
    "SocketBIO",
    "TLSError",
    "TLSVersion",
    "TransportError",
    "TrustStore",
    "Verify",
    "__version__",
    "bio_pair",
]
