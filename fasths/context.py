"""Context: what connections may use, checked once and shared by all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TypeVar

from fasths.crypto.groups import is_supported
from fasths.crypto.identity import Identity
from fasths.crypto.trust import TrustStore
from fasths.crypto.verification import ChainVerifier
from fasths.handshake.configuration import Configuration
from fasths.wire.codes import CipherSuite, NamedGroup, SignatureScheme, TLSVersion, Verify
from fasths.wire.limits import Limits

Code = TypeVar("Code", bound=IntEnum)

DEFAULT_CIPHER_SUITES = (
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_AES_256_GCM_SHA384,
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
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
# RFC 8446, 4.2.3: these sign certificates only, never a handshake.
_CERTIFICATE_ONLY_SCHEMES = (
    SignatureScheme.rsa_pkcs1_sha256,
    SignatureScheme.rsa_pkcs1_sha384,
    SignatureScheme.rsa_pkcs1_sha512,
)

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
    minimum_version, maximum_version: TLS 1.3 is the only version so far.
    cipher_suites, groups, signature_schemes: members of the enums or their IANA names, in order
        of preference.
    key_share_groups: the groups that a client sends key shares for in its first message; None:
        X25519MLKEM768 and x25519 as far as they are among groups, else the first group.
    check_hostname: whether a client checks that the chain is for server_hostname.
    retry_with_cookie: whether a server answers every first ClientHello with a HelloRetryRequest
        that has a cookie, which proves that the client gets its answers (RFC 8446, 4.2.2).
    keylog: where secrets are written for debuggers, in the format of SSLKEYLOGFILE: a path to
        append to, or a function that gets each line. None: nowhere.
    limits: see Limits.

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
        "signature_schemes",
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
        minimum_version: TLSVersion = TLSVersion.TLSv1_3,
        maximum_version: TLSVersion = TLSVersion.TLSv1_3,
        cipher_suites: Iterable[CipherSuite | str] | None = None,
        groups: Iterable[NamedGroup | str] | None = None,
        key_share_groups: Iterable[NamedGroup | str] | None = None,
        signature_schemes: Iterable[SignatureScheme | str] | None = None,
        check_hostname: bool = True,
        retry_with_cookie: bool = False,
        keylog: str | os.PathLike[str] | KeyLog | None = None,
        limits: Limits | None = None,
    ) -> None:
        set_once = super().__setattr__
        set_once("identities", _instances(identities, Identity, "identities"))
        if trust is not None and not isinstance(trust, TrustStore):
            raise TypeError("trust must be a TrustStore or None")
        set_once("trust", trust)
        set_once("verify", None if verify is None else _member(verify, Verify, "verify"))
        set_once("alpn", _protocol_names(alpn))
        set_once("minimum_version", _version(minimum_version, "minimum_version"))
        set_once("maximum_version", _version(maximum_version, "maximum_version"))
        set_once("cipher_suites", _codes(cipher_suites, CipherSuite, DEFAULT_CIPHER_SUITES))
        set_once("groups", _groups(groups))
        set_once("key_share_groups", _key_share_groups(key_share_groups, self.groups))
        set_once(
            "signature_schemes",
            _codes(signature_schemes, SignatureScheme, DEFAULT_SIGNATURE_SCHEMES),
        )
        for scheme in self.signature_schemes:
            if scheme in _CERTIFICATE_ONLY_SCHEMES:
                raise ValueError(f"{scheme.name} cannot sign a TLS 1.3 handshake")
        set_once("check_hostname", _flag(check_hostname, "check_hostname"))
        limits = Limits() if limits is None else limits
        if not isinstance(limits, Limits):
            raise TypeError("limits must be a fasths.Limits")
        set_once("limits", limits)
        set_once(
            "_configuration",
            Configuration(
                cipher_suites=self.cipher_suites,
                groups=self.groups,
                key_share_groups=self.key_share_groups,
                signature_schemes=self.signature_schemes,
                certificate_signature_schemes=(
                    *DEFAULT_SIGNATURE_SCHEMES,
                    *_CERTIFICATE_ONLY_SCHEMES,
                ),
                certificate_only_schemes=_CERTIFICATE_ONLY_SCHEMES,
                protocol_names=self.alpn,
                identities=self.identities,
                chain_verifier=_LazyChainVerifier(trust, self.check_hostname, limits),
                client_verify=Verify.REQUIRED if self.verify is None else self.verify,
                server_verify=Verify.NONE if self.verify is None else self.verify,
                retry_with_cookie=_flag(retry_with_cookie, "retry_with_cookie"),
                keylog=_key_log(keylog),
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
    _configuration: Configuration

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Context does not change once it is made")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Context does not change once it is made")

    def __repr__(self) -> str:
        return f"<fasths.Context with {len(self.identities)} identities>"


class _LazyChainVerifier:
    """Makes the ChainVerifier when a first chain is to be verified."""

    def __init__(self, trust: TrustStore | None, check_hostname: bool, limits: Limits) -> None:
        self._trust = trust
        self._check_hostname = check_hostname
        self._limits = limits
        self._verifier: ChainVerifier | None = None
        self._lock = threading.Lock()

    def __call__(self) -> ChainVerifier:
        verifier = self._verifier
        if verifier is None:
            with self._lock:
                verifier = self._verifier
                if verifier is None:
                    trust = TrustStore.system() if self._trust is None else self._trust
                    verifier = self._verifier = ChainVerifier(
                        trust,
                        check_hostname=self._check_hostname,
                        max_chain_depth=self._limits.max_chain_depth,
                    )
        return verifier


def _instances(values: Iterable[Identity], kind: type[Identity], name: str) -> tuple[Identity, ...]:
    result = tuple(values)
    for value in result:
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {kind.__name__} objects")
    return result


def _member(value: Code, kind: type[Code], name: str) -> Code:
    """A member of an enum, from itself or its number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a fasths.{kind.__name__}")
    return kind(value)


def _flag(value: bool, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool")
    return value


def _version(version: TLSVersion, name: str) -> TLSVersion:
    version = _member(version, TLSVersion, name)
    if version is not TLSVersion.TLSv1_3:
        raise ValueError(f"{name}: {version.name} is not supported, only TLSv1_3 is so far")
    return version


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
