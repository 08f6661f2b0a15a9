"""Questions that a handshake puts to the application.

A callback of the Context gets a Request and returns its answer, or LATER. After LATER the handshake
is suspended (Connection.get_error gives Request.code) until somebody, in any thread, calls answer()
or fail(); a repeated call of the Connection then goes on. An answer that comes once the connection
is over is ignored.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Final

from fasths.crypto.external_psk import ExternalPSK
from fasths.crypto.identity import Identity
from fasths.handshake.configuration import Configuration
from fasths.handshake.session import Session
from fasths.wire.client_hello import ClientHello, parse_client_hello_message
from fasths.wire.codes import SignatureScheme, SSLErrorCode
from fasths.wire.errors import CertificateError


class Later(Enum):
    """The type of LATER."""

    LATER = "LATER"

    def __repr__(self) -> str:
        return "fasths.LATER"


LATER: Final = Later.LATER
"""What a callback returns that answers later."""


class Request(ABC):
    """One question, to be answered once.

    code: what Connection.get_error says meanwhile. user_data: what the Connection was made with.
    """

    code: ClassVar[SSLErrorCode]
    # Whether a handshake goes on without an answer where there is a failure in its place.
    is_optional: ClassVar[bool] = False

    def __init__(self, user_data: object) -> None:
        self.user_data = user_data
        self._lock = threading.Lock()
        self._answered = False
        self._over = False
        self._value: object = None
        self._error: Exception | None = None
        self._callbacks: list[Callable[[Request], object]] = []

    @property
    def answered(self) -> bool:
        """Whether answer() or fail() was called."""
        return self._answered

    def answer(self, value: object) -> bool:
        """Give the answer, from any thread.

        Returns True, or False where the connection has failed and nobody will ask for it.
        TypeError: the value is of a wrong type; the request stays open. RuntimeError: it was
        answered before. What a done callback raises comes out, too; the answer counts.
        """
        if not self.accepts(value):
            raise TypeError(f"{type(value).__name__} is no answer to a {type(self).__name__}")
        return self._settle(value, None)

    def fail(self, error: Exception) -> bool:
        """Let the handshake fail: with the alert of a TLSError, or with internal_error.

        A callback that raises does the same. Requests to session stores and caches are not so
        important: the error goes to sys.unraisablehook, and the handshake on without a session or
        early data. Returns and raises as answer() does.
        """
        if not isinstance(error, Exception):
            raise TypeError("fail() needs an exception")
        return self._settle(None, error)

    def add_done_callback(self, function: Callable[[Request], object]) -> None:
        """Call function(request) once it is answered, in the thread that does, or at once.

        It is not called where the connection ends without an answer.
        """
        with self._lock:
            if not self._answered:
                self._callbacks.append(function)
                return
        function(self)

    @abstractmethod
    def accepts(self, value: object) -> bool:
        """Whether the value is of a type that answers this request."""

    @property
    def nothing(self) -> object:
        """What an optional request is answered with where there is a failure in its place."""
        return None

    def _settle(self, value: object, error: Exception | None) -> bool:
        with self._lock:
            if self._answered:
                raise RuntimeError("the request was answered before")
            self._value, self._error = value, error
            self._answered = True
            callbacks, self._callbacks = self._callbacks, []
        failure: Exception | None = None
        for function in callbacks:
            try:
                function(self)
            except Exception as raised:
                failure = failure or raised
        if failure is not None:
            raise failure
        return not self._over

    def _end(self) -> None:
        """The connection is over."""
        self._over = True

    def _result(self) -> object:
        """What was answered; raises what fail() was given."""
        if self._error is not None:
            raise self._error
        return self._value

    def __repr__(self) -> str:
        return f"<fasths.{type(self).__name__}, {'answered' if self._answered else 'open'}>"


class ClientHelloRequest(Request):
    """A ClientHello has arrived, and nothing is decided. Answer: the Context to go on with, or
    None for the one that the Connection has."""

    code = SSLErrorCode.WANT_CLIENT_HELLO_CB

    def __init__(self, user_data: object, message: bytes) -> None:
        super().__init__(user_data)
        self._message = message
        self._client_hello: ClientHello | None = None

    @property
    def client_hello(self) -> ClientHello:
        """What the client offers."""
        if self._client_hello is None:
            self._client_hello = parse_client_hello_message(self._message)
        return self._client_hello

    def accepts(self, value: object) -> bool:
        return value is None or isinstance(getattr(value, "_configuration", None), Configuration)


class IdentityRequest(Request):
    """Which identity is to be shown to the peer? Answer: an Identity; or None, with which a server
    refuses the handshake and a client shows no certificate.

    server_name: the name that the client asked for, or None. signature_schemes: what the peer can
    verify. certificate_authorities: DER of the names that the peer trusts, where it said so.
    by_server: whether this side is the server. client_hello: what the client offers, at a server;
    in TLS 1.2 its cipher suites say for which keys, too.
    """

    code = SSLErrorCode.WANT_X509_LOOKUP

    def __init__(
        self,
        user_data: object,
        *,
        by_server: bool,
        server_name: str | None,
        signature_schemes: bytes,
        certificate_authorities: tuple[bytes, ...],
        client_hello: bytes | None,
    ) -> None:
        super().__init__(user_data)
        self.by_server = by_server
        self.server_name = server_name
        self.certificate_authorities = certificate_authorities
        self._signature_schemes = signature_schemes
        self._client_hello = client_hello

    @property
    def signature_schemes(self) -> tuple[int, ...]:
        codes = self._signature_schemes
        return tuple(codes[i] << 8 | codes[i + 1] for i in range(0, len(codes), 2))

    @property
    def client_hello(self) -> ClientHello | None:
        if self._client_hello is None:
            return None
        return parse_client_hello_message(self._client_hello)

    def accepts(self, value: object) -> bool:
        return value is None or isinstance(value, Identity)


class SignatureRequest(Request):
    """A signature by a key that is kept elsewhere. Answer: the signature, as bytes.

    identity: whose key. scheme: how to sign (RFC 8446, 4.2.3); in TLS 1.2 an ecdsa_* scheme names
    the hash alone, and it may be rsa_pkcs1_*. content: what to sign, all of it, before any hashing.
    """

    code = SSLErrorCode.WANT_ASYNC

    def __init__(self, user_data: object, identity: Identity, scheme: int, content: bytes) -> None:
        super().__init__(user_data)
        self.identity = identity
        self.scheme = SignatureScheme(scheme)
        self.content = content

    def accepts(self, value: object) -> bool:
        return isinstance(value, bytes)


class VerificationRequest(Request):
    """The verdict on the peer. Answer: True to accept it whatever the engine found, False or a
    CertificateError to refuse it, None for the engine's own verdict.

    certificates: what the peer sent, in DER, leaf first. verified_chain: the path to an anchor, in
    DER, where there is one. error: why the engine would refuse, or None. hostname: what the chain
    was verified for, at a client. by_server: whether this side is the server. raw_public_key: the
    peer's SubjectPublicKeyInfo where it sent that in place of certificates (RFC 7250).
    on_resumption: whether the peer showed all this in an earlier connection, whose session is to be
    resumed: to refuse means a full handshake then.
    """

    code = SSLErrorCode.WANT_RETRY_VERIFY

    def __init__(
        self,
        user_data: object,
        *,
        by_server: bool,
        hostname: str | None,
        certificates: tuple[bytes, ...],
        raw_public_key: bytes | None,
        verified_chain: tuple[bytes, ...] | None,
        error: CertificateError | None,
        on_resumption: bool = False,
    ) -> None:
        super().__init__(user_data)
        self.by_server = by_server
        self.hostname = hostname
        self.certificates = certificates
        self.raw_public_key = raw_public_key
        self.verified_chain = verified_chain
        self.error = error
        self.on_resumption = on_resumption

    def accepts(self, value: object) -> bool:
        return value is None or isinstance(value, bool | CertificateError)


class SessionRequest(Request):
    """What a SessionStore has for a key. Answer: what its method `operation` returns.

    key: as the method got it. operation: "get", "take" or "add".
    """

    code = SSLErrorCode.PENDING_SESSION
    is_optional = True

    def __init__(self, user_data: object, operation: str, key: bytes) -> None:
        super().__init__(user_data)
        self.operation = operation
        self.key = key

    @property
    def nothing(self) -> object:
        return False if self.operation == "add" else None

    def accepts(self, value: object) -> bool:
        if self.operation == "add":
            return isinstance(value, bool)
        return value is None or isinstance(value, bytes)


class SessionCacheRequest(Request):
    """A session to resume with a server, out of a SessionCache. Answer: a Session, or None.

    name: the server's, as Connection got it.
    """

    code = SSLErrorCode.PENDING_SESSION
    is_optional = True

    def __init__(self, user_data: object, name: str) -> None:
        super().__init__(user_data)
        self.name = name

    def accepts(self, value: object) -> bool:
        return value is None or isinstance(value, Session)


class PSKRequest(Request):
    """The external PSK that a client offers. Answer: an ExternalPSK, or None where it is unknown.

    identity: what the client calls it.
    """

    code = SSLErrorCode.PENDING_SESSION

    def __init__(self, user_data: object, identity: bytes) -> None:
        super().__init__(user_data)
        self.identity = identity

    def accepts(self, value: object) -> bool:
        return value is None or isinstance(value, ExternalPSK)
