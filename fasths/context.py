"""Context: what connections may use, checked once and shared by all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TypeVar

from fasths.crypto.aead import find_suite
from fasths.crypto.external_psk import ExternalPSK
from fasths.crypto.groups import is_supported
from fasths.crypto.identity import Identity
from fasths.crypto.ocsp import StapleChecker
from fasths.crypto.peer_verification import PeerVerifier
from fasths.crypto.raw_public_keys import RawPublicKey
from fasths.crypto.signatures import tls12_schemes
from fasths.crypto.tickets import TicketKeys
from fasths.crypto.trust import TrustStore
from fasths.crypto.verification import ChainVerifier
from fasths.handshake.configuration import Configuration
from fasths.handshake.requests import (
    ClientHelloRequest,
    IdentityRequest,
    PSKRequest,
    VerificationRequest,
)
from fasths.session_store import MemorySessionStore, SessionCache, SessionStore
from fasths.wire.codes import (
    CertificateCompressionAlgorithm,
    CipherSuite,
    NamedGroup,
    PskKeyExchangeMode,
    SignatureScheme,
    StaplePolicy,
    TLSVersion,
    Verify,
)
from fasths.wire.compression import available
from fasths.wire.errors import CertificateError
from fasths.wire.limits import MAX_PLAINTEXT, Limits

Code = TypeVar("Code", bound=IntEnum)
T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., object] | None)

DEFAULT_CIPHER_SUITES = (
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_AES_256_GCM_SHA384,
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
)
DEFAULT_GROUPS = (
    NamedGroup.X25519MLKEM768,
    NamedGroup.x25519,
    NamedGroup.secp256r1,
    NamedGroup.secp384r1,
    NamedGroup.secp521r1,
)
DEFAULT_KEY_SHARE_GROUPS = (NamedGroup.X25519MLKEM768, NamedGroup.x25519)
DEFAULT_SIGNATURE_SCHEMES = (
    SignatureScheme.ecdsa_secp256r1_sha256,
    SignatureScheme.ed25519,
    SignatureScheme.rsa_pss_rsae_sha256,
    SignatureScheme.rsa_pss_pss_sha256,
    SignatureScheme.ecdsa_secp384r1_sha384,
    SignatureScheme.rsa_pss_rsae_sha384,
    SignatureScheme.rsa_pss_pss_sha384,
    SignatureScheme.ecdsa_secp521r1_sha512,
    SignatureScheme.rsa_pss_rsae_sha512,
    SignatureScheme.rsa_pss_pss_sha512,
    SignatureScheme.ed448,
)
# RFC 8446, 4.2.3: these sign certificates, and handshakes of TLS 1.2 alone.
_PKCS1_SCHEMES = (
    SignatureScheme.rsa_pkcs1_sha256,
    SignatureScheme.rsa_pkcs1_sha384,
    SignatureScheme.rsa_pkcs1_sha512,
)

# Seconds: RFC 8446, 4.6.1 permits tickets to live for seven days.
_MAX_SESSION_LIFETIME = 604800
# RFC 8449, 4: content and type of a record.
_MIN_RECORD_SIZE_LIMIT = 64
_MAX_RECORD_SIZE_LIMIT = MAX_PLAINTEXT + 1

KeyLog = Callable[[str], None]


class Context:
    """The settings of any number of connections, of either role.

    A Context never changes once it is made, and may be shared by threads.

    identities: certificates with their keys; a server needs one, a client shows one where it is
        asked to. The first that the peer can use is taken.
    trust: the anchors that chains are verified against; None: TrustStore.system(), loaded when it
        is first needed.
    verify: see Verify; None: a client REQUIRED, a server NONE.
    alpn: application protocols in order of preference, as str or bytes (RFC 7301).
    minimum_version, maximum_version: the versions that are allowed, TLS 1.2 and 1.3 by default;
        the highest that both sides have is used.
    cipher_suites, groups, signature_schemes: members of the enums or their IANA names, in order
        of preference, those of all versions in one list. A version without any cipher suite, group
        or scheme in them is turned off. rsa_pkcs1_* sign in TLS 1.2 only; an identity needs another
        scheme, too, where TLS 1.3 is on.
    require_extended_master_secret: whether a peer that has TLS 1.2 without RFC 7627 is refused.
        Without it sessions cannot be resumed, and nothing can be bound to the connection.
    key_share_groups: the groups that a client sends key shares for in its first message; None:
        X25519MLKEM768 and x25519 as far as they are among groups, else the first group. TLS 1.3.
    check_hostname: whether a client checks that the chain is for server_hostname.
    retry_with_cookie: whether a server answers every first ClientHello with a HelloRetryRequest
        that has a cookie, which proves that the client gets its answers (RFC 8446, 4.2.2). In
        TLS 1.2 there is none.
    keylog: where secrets are written for debuggers, in the format of SSLKEYLOGFILE: a path to
        append to, or a function that gets each line. None: nowhere.
    limits: see Limits.

    Authentication:

    certificate_authorities: DER names of authorities that a server asks clients for certificates
        of (RFC 8446, 4.2.4), such as TrustStore.subjects().
    post_handshake_auth: whether a client can be asked for a certificate after the handshake
        (RFC 8446, 4.6.2); a server with it asks then (verify_client_post_handshake) only. In
        TLS 1.2 it asks in the handshake.
    staple_policy: see StaplePolicy.
    certificate_compression: CertificateCompressionAlgorithm members or names, in order of
        preference, that chains may be compressed with (RFC 8879; TLS 1.3).
    trusted_public_keys: SubjectPublicKeyInfo (DER) of peers that show a raw public key in place
        of a certificate (RFC 7250). A client with some takes certificates only where `trust` is
        given, too.
    verified_chain_cache: how many verified chains are remembered, for 5 minutes each; 0: none.

    Resumption:

    session_tickets: how many tickets a server sends after a full handshake; in TLS 1.2 that is one,
        or a session id. 0: nothing is resumed.
    session_tickets_with_data: whether in TLS 1.3 a server's tickets go with what it sends first
        after the handshake, be it close_notify, and not by themselves. That is one send less; and a
        client that closes without reading does not answer them with a reset.
    session_lifetime: how many seconds they can be used for; ticket_keys must accept them as long.
    ticket_keys: the keys that seal them; None: keys of this Context alone.
    session_store: where a server's sessions are kept, if there are no ticket_keys; with them, what
        remembers early data against replays, and has the sessions of TLS 1.2 for clients without
        tickets. None: in memory.
    session_cache: where a client's sessions are kept, and looked for. None: the application does.
    psk_key_exchange_modes: "psk_dhe_ke", and "psk_ke" where a session or key may be used without
        a key exchange, and so without forward secrecy, in TLS 1.3. TLS 1.2 resumes so always.
    external_psks: ExternalPSK objects that a client offers, and a server knows; TLS 1.3.
    max_early_data_size: how many bytes of 0-RTT data a server takes with a ticket; 0: none. They
        can be trusted less than other data (RFC 8446, 8 and E.5). With ticket_keys, the
        session_store has to be given, and be the one of all servers that use these keys. TLS 1.3.
    early_data_window: by how many seconds a ClientHello with early data may be late.

    Records:

    record_size_limit: the most that the peer may put into a record (RFC 8449), 64 to 16385 bytes
        of content and type, in TLS 1.2 of content; None: no wish.
    record_padding: a multiple of bytes that records are padded to; 0: no padding. TLS 1.3.
    dynamic_record_sizing: whether records begin small, so that the peer can read the first bytes
        of an answer early.

    Questions to the application: functions that get a Request and return the answer, or LATER.

    client_hello_callback: a server's, with a ClientHelloRequest, before anything is decided.
    identity_callback: with an IdentityRequest, instead of choosing among identities.
    verify_callback: with a VerificationRequest, once the peer's certificates were examined.
    psk_callback: a server's, with a PSKRequest, for identities that external_psks lacks.

    Raises TypeError for values of a wrong type, ValueError for values that cannot be used.
    """

    __slots__ = (
        "_configuration",
        "alpn",
        "check_hostname",
        "cipher_suites",
        "groups",
        "identities",
        "key_share_groups",
        "limits",
        "maximum_version",
        "minimum_version",
        "session_cache",
        "session_store",
        "signature_schemes",
        "ticket_keys",
        "trust",
        "verify",
    )

    def __init__(
        self,
        *,
        identities: Iterable[Identity] = (),
        trust: TrustStore | None = None,
        verify: Verify | None = None,
        alpn: Iterable[str | bytes] = (),
        minimum_version: TLSVersion = TLSVersion.TLSv1_2,
        maximum_version: TLSVersion = TLSVersion.TLSv1_3,
        cipher_suites: Iterable[CipherSuite | str] | None = None,
        groups: Iterable[NamedGroup | str] | None = None,
        key_share_groups: Iterable[NamedGroup | str] | None = None,
        signature_schemes: Iterable[SignatureScheme | str] | None = None,
        require_extended_master_secret: bool = False,
        check_hostname: bool = True,
        retry_with_cookie: bool = False,
        keylog: str | os.PathLike[str] | KeyLog | None = None,
        limits: Limits | None = None,
        certificate_authorities: Iterable[bytes] = (),
        post_handshake_auth: bool = False,
        staple_policy: StaplePolicy = StaplePolicy.CHECK,
        certificate_compression: Iterable[CertificateCompressionAlgorithm | str] = (),
        trusted_public_keys: Iterable[bytes] = (),
        verified_chain_cache: int = 1024,
        session_tickets: int = 2,
        session_tickets_with_data: bool = False,
        session_lifetime: int = 7200,
        ticket_keys: TicketKeys | None = None,
        session_store: SessionStore | None = None,
        session_cache: SessionCache | None = None,
        psk_key_exchange_modes: Iterable[PskKeyExchangeMode | str] = ("psk_dhe_ke",),
        external_psks: Iterable[ExternalPSK] = (),
        max_early_data_size: int = 0,
        early_data_window: float = 10.0,
        record_size_limit: int | None = None,
        record_padding: int = 0,
        dynamic_record_sizing: bool = False,
        client_hello_callback: Callable[[ClientHelloRequest], object] | None = None,
        identity_callback: Callable[[IdentityRequest], object] | None = None,
        verify_callback: Callable[[VerificationRequest], object] | None = None,
        psk_callback: Callable[[PSKRequest], object] | None = None,
    ) -> None:
        set_once = super().__setattr__
        set_once("identities", _instances(identities, Identity, "identities"))
        if trust is not None and not isinstance(trust, TrustStore):
            raise TypeError("trust must be a TrustStore or None")
        set_once("trust", trust)
        set_once("verify", None if verify is None else _member(verify, Verify, "verify"))
        set_once("alpn", _protocol_names(alpn))
        set_once("minimum_version", _member(minimum_version, TLSVersion, "minimum_version"))
        set_once("maximum_version", _member(maximum_version, TLSVersion, "maximum_version"))
        set_once("cipher_suites", _codes(cipher_suites, CipherSuite, DEFAULT_CIPHER_SUITES))
        set_once("groups", _groups(groups))
        set_once("key_share_groups", _key_share_groups(key_share_groups, self.groups))
        all_schemes = (*DEFAULT_SIGNATURE_SCHEMES, *_PKCS1_SCHEMES)
        schemes = _codes(signature_schemes, SignatureScheme, all_schemes)
        versions = _versions(
            self.minimum_version, self.maximum_version, self.cipher_suites, self.groups, schemes
        )
        has_tls12 = TLSVersion.TLSv1_2 in versions
        if signature_schemes is None and not has_tls12:
            schemes = DEFAULT_SIGNATURE_SCHEMES
        set_once("signature_schemes", schemes)
        for scheme in schemes:
            if scheme in _PKCS1_SCHEMES and not has_tls12:
                raise ValueError(f"{scheme.name} cannot sign a TLS 1.3 handshake")
        set_once("check_hostname", _flag(check_hostname, "check_hostname"))
        limits = Limits() if limits is None else limits
        if not isinstance(limits, Limits):
            raise TypeError("limits must be a fasths.Limits")
        set_once("limits", limits)
        for identity in self.identities:
            identity.check_usable()
            possible = set(identity.signature_schemes)
            if has_tls12:
                possible.update(tls12_schemes(identity.signature_schemes))
            if not possible & set(self.signature_schemes):
                raise ValueError("an identity can sign with none of the signature_schemes")
        keys = _public_keys(trusted_public_keys)
        if max_early_data_size and ticket_keys is not None and session_store is None:
            # RFC 8446, 8: a replay must not find a server that has the keys, but not the marks.
            raise ValueError(
                "early data with ticket_keys needs a session_store of all who use them"
            )
        lifetime = _whole(session_lifetime, "session_lifetime", 1, _MAX_SESSION_LIFETIME)
        if ticket_keys is None and session_store is None:
            ticket_keys = TicketKeys(accept_for=lifetime)
        set_once("ticket_keys", _optional(ticket_keys, TicketKeys, "ticket_keys"))
        if self.ticket_keys is not None and self.ticket_keys.accept_for < lifetime:
            raise ValueError("ticket_keys.accept_for is shorter than session_lifetime")
        store = MemorySessionStore() if session_store is None else session_store
        set_once("session_store", _optional(store, SessionStore, "session_store"))
        set_once("session_cache", _optional(session_cache, SessionCache, "session_cache"))
        set_once(
            "_configuration",
            Configuration(
                versions=versions,
                cipher_suites=self.cipher_suites,
                groups=self.groups,
                key_share_groups=self.key_share_groups,
                signature_schemes=self.signature_schemes,
                certificate_signature_schemes=all_schemes,
                # In TLS 1.2 these could sign the handshake, too.
                certificate_only_schemes=() if has_tls12 else _PKCS1_SCHEMES,
                protocol_names=self.alpn,
                identities=self.identities,
                peer_verifier=_LazyPeerVerifier(
                    trust,
                    self.check_hostname,
                    limits,
                    _whole(verified_chain_cache, "verified_chain_cache", 0, 1 << 24),
                ),
                staple_checker=StapleChecker(),
                staple_policy=_member(staple_policy, StaplePolicy, "staple_policy"),
                client_verify=Verify.REQUIRED if self.verify is None else self.verify,
                server_verify=Verify.NONE if self.verify is None else self.verify,
                trusted_public_keys=keys,
                takes_certificates=trust is not None,
                certificate_authorities=_byte_strings(
                    certificate_authorities, "certificate_authorities"
                ),
                certificate_compression=_compression(certificate_compression),
                post_handshake_auth=_flag(post_handshake_auth, "post_handshake_auth"),
                retry_with_cookie=_flag(retry_with_cookie, "retry_with_cookie"),
                keylog=_key_log(keylog),
                client_hello_callback=_callback(client_hello_callback, "client_hello_callback"),
                identity_callback=_callback(identity_callback, "identity_callback"),
                verify_callback=_callback(verify_callback, "verify_callback"),
                psk_callback=_callback(psk_callback, "psk_callback"),
                session_tickets=_whole(session_tickets, "session_tickets", 0, 255),
                session_tickets_with_data=_flag(
                    session_tickets_with_data, "session_tickets_with_data"
                ),
                ticket_keys=ticket_keys,
                session_store=self.session_store,
                session_cache=session_cache,
                session_lifetime=lifetime,
                external_psks=_external_psks(external_psks),
                psk_key_exchange_modes=_codes(psk_key_exchange_modes, PskKeyExchangeMode, ()),
                max_early_data_size=_whole(
                    max_early_data_size, "max_early_data_size", 0, 0xFFFFFFFF
                ),
                early_data_window=_seconds(early_data_window, "early_data_window"),
                record_size_limit=0
                if record_size_limit is None
                else _whole(
                    record_size_limit,
                    "record_size_limit",
                    _MIN_RECORD_SIZE_LIMIT,
                    _MAX_RECORD_SIZE_LIMIT,
                ),
                record_padding=_whole(record_padding, "record_padding", 0, _MAX_RECORD_SIZE_LIMIT),
                dynamic_record_sizing=_flag(dynamic_record_sizing, "dynamic_record_sizing"),
                require_extended_master_secret=_flag(
                    require_extended_master_secret, "require_extended_master_secret"
                ),
                limits=limits,
            ),
        )

    # Set once in __init__, for readers and type checkers.
    identities: tuple[Identity, ...]
    trust: TrustStore | None
    verify: Verify | None
    alpn: tuple[bytes, ...]
    minimum_version: TLSVersion
    maximum_version: TLSVersion
    cipher_suites: tuple[CipherSuite, ...]
    groups: tuple[NamedGroup, ...]
    key_share_groups: tuple[NamedGroup, ...]
    signature_schemes: tuple[SignatureScheme, ...]
    check_hostname: bool
    limits: Limits
    ticket_keys: TicketKeys | None
    session_store: SessionStore
    session_cache: SessionCache | None
    _configuration: Configuration

    @property
    def _has_server_credentials(self) -> bool:
        """Whether a server could show anything to its clients."""
        config = self._configuration
        return bool(
            self.identities
            or config.external_psks
            or config.identity_callback
            or config.client_hello_callback
            or config.psk_callback
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Context does not change once it is made")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Context does not change once it is made")

    def __repr__(self) -> str:
        return f"<fasths.Context with {len(self.identities)} identities>"


class _LazyPeerVerifier:
    """Makes the PeerVerifier when a first chain is to be verified."""

    def __init__(
        self, trust: TrustStore | None, check_hostname: bool, limits: Limits, maximum: int
    ) -> None:
        self._trust = trust
        self._check_hostname = check_hostname
        self._limits = limits
        self._maximum = maximum
        self._verifier: PeerVerifier | None = None
        self._lock = threading.Lock()

    def __call__(self) -> PeerVerifier:
        verifier = self._verifier
        if verifier is None:
            with self._lock:
                verifier = self._verifier
                if verifier is None:
                    trust = TrustStore.system() if self._trust is None else self._trust
                    verifier = self._verifier = PeerVerifier(
                        ChainVerifier(
                            trust,
                            check_hostname=self._check_hostname,
                            max_chain_depth=self._limits.max_chain_depth,
                        ),
                        maximum=self._maximum,
                    )
        return verifier


def _instances(values: Iterable[T], kind: type[T], name: str) -> tuple[T, ...]:
    result = tuple(values)
    for value in result:
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {kind.__name__} objects")
    return result


def _optional(value: T | None, kind: type[T], name: str) -> T | None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__} or None")
    return value


def _whole(value: int, name: str, minimum: int, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must be between {minimum} and {maximum}")
    return value


def _seconds(value: float, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds")
    if not 0 < value <= _MAX_SESSION_LIFETIME:
        raise ValueError(f"{name} must be above 0, and at most seven days")
    return float(value)


def _callback(function: Function, name: str) -> Function:
    if function is not None and not callable(function):
        raise TypeError(f"{name} must be callable")
    return function


def _byte_strings(values: Iterable[bytes], name: str) -> tuple[bytes, ...]:
    result = _instances(values, bytes, name)
    for value in result:
        if not 1 <= len(value) <= 0xFFFF:
            raise ValueError(f"{name} must have 1 to 65535 bytes each")
    return result


def _public_keys(values: Iterable[bytes]) -> tuple[bytes, ...]:
    try:
        return tuple(RawPublicKey(der).der for der in _instances(values, bytes, "keys"))
    except CertificateError as error:
        raise ValueError(f"trusted_public_keys: {error.reason}") from None


def _compression(
    values: Iterable[CertificateCompressionAlgorithm | str],
) -> tuple[CertificateCompressionAlgorithm, ...]:
    if isinstance(values, str):
        raise TypeError("certificate_compression must be a sequence, not one str")
    algorithms = tuple(values)
    if not algorithms:
        return ()
    members = _codes(algorithms, CertificateCompressionAlgorithm, ())
    for member in members:
        if member not in available():
            raise ValueError(f"no library for {member.name} is installed")
    return members


def _external_psks(values: Iterable[ExternalPSK]) -> tuple[ExternalPSK, ...]:
    psks = _instances(values, ExternalPSK, "external_psks")
    if len({psk.identity for psk in psks}) != len(psks):
        raise ValueError("two external_psks have one identity")
    return psks


def _member(value: Code, kind: type[Code], name: str) -> Code:
    """A member of an enum, from itself or its number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a fasths.{kind.__name__}")
    return kind(value)


def _flag(value: bool, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool")
    return value


def _versions(
    minimum: TLSVersion,
    maximum: TLSVersion,
    cipher_suites: tuple[CipherSuite, ...],
    groups: tuple[NamedGroup, ...],
    signature_schemes: tuple[SignatureScheme, ...],
) -> tuple[TLSVersion, ...]:
    """The versions that can be used, the highest first."""
    if minimum > maximum:
        raise ValueError("minimum_version is above maximum_version")
    usable = {find_suite(code).version for code in cipher_suites}
    if groups == (NamedGroup.X25519MLKEM768,):
        usable.discard(TLSVersion.TLSv1_2)
    if set(signature_schemes) <= set(_PKCS1_SCHEMES):
        usable.discard(TLSVersion.TLSv1_3)
    versions = tuple(
        version
        for version in (TLSVersion.TLSv1_3, TLSVersion.TLSv1_2)
        if minimum <= version <= maximum and version in usable
    )
    if not versions:
        raise ValueError("no version is left that the suites, groups and signature schemes are for")
    return versions


def _codes(
    values: Iterable[Code | str] | None, kind: type[Code], default: tuple[Code, ...]
) -> tuple[Code, ...]:
    """Members of an enum from members, their names in any case, or None for the default."""
    if values is None:
        return default
    if isinstance(values, str):
        raise TypeError(f"a sequence of {kind.__name__} is needed, not one str")
    by_name = {member.name.lower(): member for member in kind}
    result: list[Code] = []
    for value in values:
        if isinstance(value, str):
            if value.lower() not in by_name:
                known = ", ".join(member.name for member in kind)
                raise ValueError(f"{value!r} is not a {kind.__name__}; known are {known}")
            value = by_name[value.lower()]
        elif not isinstance(value, int):
            raise TypeError(f"{value!r} is neither a {kind.__name__} nor a name")
        member = kind(value)
        if member in result:
            raise ValueError(f"{member.name} is listed twice")
        result.append(member)
    if not result:
        raise ValueError(f"at least one {kind.__name__} is needed")
    return tuple(result)


def _groups(values: Iterable[NamedGroup | str] | None) -> tuple[NamedGroup, ...]:
    groups = _codes(values, NamedGroup, DEFAULT_GROUPS)
    supported = tuple(group for group in groups if is_supported(group))
    if values is not None and supported != groups:
        raise ValueError("the installed cryptography package does not have all of these groups")
    return supported


def _key_share_groups(
    values: Iterable[NamedGroup | str] | None, groups: tuple[NamedGroup, ...]
) -> tuple[NamedGroup, ...]:
    if values is None:
        shared = tuple(group for group in DEFAULT_KEY_SHARE_GROUPS if group in groups)
        return shared or groups[:1]
    if isinstance(values, str):
        raise TypeError("key_share_groups must be a sequence, not one str")
    key_share_groups = tuple(values)
    if not key_share_groups:
        # A client may leave the choice to a HelloRetryRequest (RFC 8446, 4.2.8).
        return ()
    shared = _codes(key_share_groups, NamedGroup, ())
    for group in shared:
        if group not in groups:
            raise ValueError(f"{group.name} is among key_share_groups, but not among groups")
    # RFC 8446, 4.2.8: the shares stand in the order of supported_groups.
    return tuple(group for group in groups if group in shared)


def _protocol_names(names: Iterable[str | bytes]) -> tuple[bytes, ...]:
    if isinstance(names, str | bytes):
        raise TypeError("alpn must be a sequence of protocol names, not one name")
    result = []
    for name in names:
        if not isinstance(name, str | bytes):
            raise TypeError("a protocol name must be str or bytes")
        encoded = name.encode("ascii") if isinstance(name, str) else name
        # RFC 7301, 3.1: opaque ProtocolName<1..2^8-1>.
        if not 1 <= len(encoded) <= 255:
            raise ValueError("a protocol name must have 1 to 255 bytes")
        result.append(encoded)
    return tuple(result)


def _key_log(keylog: str | os.PathLike[str] | KeyLog | None) -> KeyLog | None:
    if keylog is None or callable(keylog):
        return keylog
    path = os.fspath(keylog)
    lock = threading.Lock()
    # Readable by its owner alone; opened now, so that a wrong path is known at once.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    file = open(descriptor, "a", encoding="ascii", buffering=1)  # noqa: SIM115

    def write_line(line: str) -> None:
        with lock:
            file.write(line + "\n")

    return write_line
