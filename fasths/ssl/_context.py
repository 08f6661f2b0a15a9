"""SSLContext: the settings of the standard library's, and the fasths.Context that is made of them.

The OpenSSL context inside keeps the settings and checks them, so their values and errors are the
standard library's own. Nothing of it ever speaks to a peer.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import fasths
from fasths.crypto.certificates import chain_among
from fasths.ssl._ciphers import cipher_suites, is_known, tls13_names
from fasths.ssl._connection import TLSConnection, TLSSocketConnection
from fasths.ssl._errors import misuse, reasoned
from fasths.ssl._names import GROUPS, groups_of, signature_schemes_of
from fasths.ssl._trust import (
    anchors_in,
    certificates_in_directory,
    default_anchors,
    demands_beyond_validity,
)
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import HandshakeFailure

if TYPE_CHECKING:
    import socket

    from fasths.ssl._connection import SSLSession
    from fasths.ssl._sockets import SSLObject, SSLSocket

_VERIFY = {
    ssl.CERT_NONE: fasths.Verify.NONE,
    ssl.CERT_OPTIONAL: fasths.Verify.OPTIONAL,
    ssl.CERT_REQUIRED: fasths.Verify.REQUIRED,
}
# inject() puts another one in its place.
_StandardContext: Any = ssl.SSLContext
# What the old constants for a protocol leave.
_ONLY_VERSION: dict[int, int] = {
    ssl.PROTOCOL_TLSv1: 0x0301,
    ssl.PROTOCOL_TLSv1_1: 0x0302,
    ssl.PROTOCOL_TLSv1_2: 0x0303,
}
# The most tickets that a fasths.Context sends.
_MAX_TICKETS = 255

_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Password = str | bytes | bytearray | Callable[[], str | bytes | bytearray] | None
SNICallback = Callable[[Any, Any, Any], int | None]
PSKClientCallback = Callable[[str | None], tuple[str | None, bytes]]
PSKServerCallback = Callable[[str | None], bytes]


class _LoadedIdentity(fasths.Identity):
    """An identity that may have expired: the standard library loads it all the same."""

    __slots__ = ()

    def check_usable(self) -> None:
        pass


class KindOfContext(type):
    # Whether SSLContext is in the place of the standard library's, as inject() puts it. Then
    # contexts that were made before are instances, too.
    stands_for_all = False

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (
            cls is SSLContext and cls.stands_for_all and isinstance(instance, _StandardContext)
        )


class SSLContext(ssl.SSLContext, metaclass=KindOfContext):
    """The standard library's SSLContext; its connections are fasths's."""

    # aiofastnet looks for OpenSSL's context inside, unless it is told not to.
    _aiofastnet_force_fallback_ssl = True

    # Each fasths.Context, by whether it is a server's, and has ALPN, until a setting changes.
    _made: _Made
    # Those for contexts that the sni_callback chooses, with what `_made` was there.
    _chosen: WeakKeyDictionary[SSLContext, tuple[_Made, _Made]]
    _identities: list[fasths.Identity]
    _anchors: dict[Any, None]
    _directories: dict[str, None]
    # Those of the directories, and the times at which they changed.
    _in_directories: tuple[tuple[int, ...], tuple[Any, ...]]
    _found_anchors: set[bytes]
    _system: fasths.TrustStore | None
    _alpn: tuple[str, ...]
    _groups: tuple[str, ...] | None
    _tls13_suites: tuple[str, ...] | None
    _signature_schemes: dict[str, tuple[str, ...]]
    _sni_callback: SNICallback | None
    _psk_client_callback: PSKClientCallback | None
    _psk_server_callback: PSKServerCallback | None
    _ticket_keys: fasths.TicketKeys
    _statistics: Counter[str]

    def __new__(cls, protocol: int | None = None, *args: Any, **kwargs: Any) -> SSLContext:
        self = super().__new__(cls, protocol, *args, **kwargs)
        self._identities = []
        self._anchors = {}
        self._directories = {}
        self._in_directories = ((), ())
        self._found_anchors = set()
        self._system = None
        self._alpn = ()
        self._groups = None
        self._tls13_suites = None
        self._signature_schemes = {}
        self._sni_callback = None
        self._psk_client_callback = None
        self._psk_server_callback = None
        self._ticket_keys = fasths.TicketKeys()
        self._statistics = Counter()
        return self

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        self._settings_changed()

    def _settings_changed(self) -> None:
        self.__dict__["_made"] = {}
        self.__dict__["_chosen"] = WeakKeyDictionary()

    # --- Certificates

    def load_cert_chain(
        self,
        certfile: _Path,
        keyfile: _Path | None = None,
        password: Password = None,
    ) -> None:
        given = [] if password is None or callable(password) else [password]

        def ask() -> str | bytes | bytearray:
            assert callable(password)
            given.append(password())
            return given[0]

        super().load_cert_chain(certfile, keyfile, ask if callable(password) else password)
        with open(certfile, "rb") as file:
            chain = file.read()
        key = chain
        if keyfile is not None:
            with open(keyfile, "rb") as file:
                key = file.read()
        # OpenSSL does not mind a password for a key that has none.
        secret = given[0] if given and b"ENCRYPTED" in key else None
        try:
            identity = _LoadedIdentity.from_pem(
                chain, key, bytes(secret) if isinstance(secret, bytearray) else secret
            )
        except (ValueError, TypeError) as error:
            raise ssl.SSLError(f"fasths cannot use this certificate: {error}") from error
        # As OpenSSL: one for each kind of key.
        kind = _kind_of_key(identity)
        others = [each for each in self._identities if _kind_of_key(each) != kind]
        self._identities = [*others, identity]

    def load_verify_locations(
        self,
        cafile: _Path | None = None,
        capath: _Path | None = None,
        cadata: Any = None,
    ) -> None:
        super().load_verify_locations(cafile, capath, cadata)
        if cafile is not None:
            with open(cafile, "rb") as file:
                self._trust(anchors_in(file.read()))
        if capath is not None:
            self._directories[os.fsdecode(capath)] = None
        if cadata is not None:
            self._trust(
                anchors_in(cadata.encode() if isinstance(cadata, str) else _pem_of(bytes(cadata)))
            )
        self._settings_changed()

    def _trust(self, anchors: Iterable[Any]) -> None:
        self._anchors.update(dict.fromkeys(anchors))

    def set_default_verify_paths(self) -> None:
        super().set_default_verify_paths()
        store, anchors, directories = default_anchors()
        self._system = store
        self._trust(anchors)
        self._directories.update(dict.fromkeys(directories))
        self._settings_changed()

    # --- What is offered

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        protocols = tuple(alpn_protocols)
        super().set_alpn_protocols(protocols)
        self._alpn = protocols

    def get_ciphers(self) -> list[Any]:
        """As the standard library's, without the suites that fasths does not have."""
        ciphers = [each for each in super().get_ciphers() if is_known(each)]
        if self._tls13_suites is None:
            return ciphers
        of_name = {each["name"]: each for each in ciphers}
        return [of_name[name] for name in self._tls13_suites if name in of_name] + [
            each for each in ciphers if each["name"] not in tls13_names()
        ]

    def set_ciphers(self, cipherlist: str, /) -> None:
        """OpenSSL's cipher strings, for the suites of TLS 1.2.

        ssl.SSLError: fasths has none of those that the string selects, and minimum_version permits
        TLS 1.2.
        """
        before = [each["name"] for each in super().get_ciphers()]
        try:
            super().set_ciphers(cipherlist)
            if self.minimum_version != ssl.TLSVersion.TLSv1_3 and all(
                each["name"] in tls13_names() for each in self.get_ciphers()
            ):
                raise ssl.SSLError(
                    "No cipher can be selected: for TLS 1.2, fasths has ECDHE with AES-GCM and"
                    " ChaCha20"
                )
        except ssl.SSLError:
            super().set_ciphers(":".join(before))
            raise
        self._settings_changed()

    def set_ciphersuites(self, ciphersuites: str, /) -> None:
        """The suites of TLS 1.3, joined by colons, in order of preference (Python 3.15)."""
        names = tuple(ciphersuites.split(":"))
        if not ciphersuites or not set(names) <= set(tls13_names()):
            raise ssl.SSLError(f"No cipher suite can be selected: {ciphersuites!r}")
        self._tls13_suites = names

    def set_ecdh_curve(self, name: str, /) -> None:
        super().set_ecdh_curve(name)
        self._groups = groups_of(name if isinstance(name, str) else os.fsdecode(name))

    def set_groups(self, groups: str, /) -> None:
        """Groups under OpenSSL's names, joined by colons; unknown ones behind a question mark are
        passed over (Python 3.15). ssl.SSLError: fasths does not have one."""
        self._groups = groups_of(groups)

    def get_groups(self, *, include_aliases: bool = False) -> list[str]:
        """The groups that there are (Python 3.15)."""
        return list(GROUPS) if include_aliases else list(dict.fromkeys(GROUPS.values()))

    def set_client_sigalgs(self, sigalgs: str, /) -> None:
        """Signature algorithms of client authentication, joined by colons (Python 3.15).

        fasths has one list for both sides' signatures: what set_server_sigalgs() does not name
        either is not used. ssl.SSLError: fasths does not have one.
        """
        self._signature_schemes["client"] = signature_schemes_of(sigalgs)
        self._settings_changed()

    def set_server_sigalgs(self, sigalgs: str, /) -> None:
        """Signature algorithms of servers; as set_client_sigalgs()."""
        self._signature_schemes["server"] = signature_schemes_of(sigalgs)
        self._settings_changed()

    # --- Questions to the application

    @property
    def sni_callback(self) -> SNICallback | None:
        return self._sni_callback

    @sni_callback.setter
    def sni_callback(self, callback: SNICallback | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError("not a callable object")
        self._sni_callback = callback

    def set_psk_client_callback(self, callback: PSKClientCallback | None) -> None:
        """The function that a client's pre-shared key comes from: called with None, it returns an
        identity and a key, or (None, b"") (Python 3.13). TLS 1.3 only."""
        if self.protocol == ssl.PROTOCOL_TLS_SERVER:
            raise misuse("Cannot add PSK client callback to a PROTOCOL_TLS_SERVER context")
        self._psk_client_callback = _callable_or_none(callback)

    def set_psk_server_callback(
        self, callback: PSKServerCallback | None, identity_hint: str | None = None
    ) -> None:
        """The function that gives a server the key for a client's identity, or b"" (Python 3.13).

        TLS 1.3 only, which has no identity_hint.
        """
        if self.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise misuse("Cannot add PSK server callback to a PROTOCOL_TLS_CLIENT context")
        self._psk_server_callback = _callable_or_none(callback)

    # --- What there was

    def session_stats(self) -> dict[str, int]:
        return {name: self._statistics[name] for name in super().session_stats()}

    def _note_handshake(self, connection: TLSConnection) -> None:
        """Count a handshake that is done."""
        side = "accept" if connection.server_side else "connect"
        self._statistics[side] += 1
        self._statistics[f"{side}_good"] += 1
        if connection.session_reused:
            self._statistics["hits"] += 1
        chain = connection.verified_chain if self._directories else None
        if chain and chain[-1] not in self._found_anchors:
            # get_ca_certs() tells what was found in directories.
            self._found_anchors.add(chain[-1])
            super().load_verify_locations(cadata=chain[-1])

    # --- Connections

    if TYPE_CHECKING:

        def wrap_socket(  # type: ignore[override]
            self,
            sock: socket.socket,
            server_side: bool = False,
            do_handshake_on_connect: bool = True,
            suppress_ragged_eofs: bool = True,
            server_hostname: str | bytes | None = None,
            session: SSLSession | None = None,
        ) -> SSLSocket: ...

        def wrap_bio(  # type: ignore[override]
            self,
            incoming: ssl.MemoryBIO,
            outgoing: ssl.MemoryBIO,
            server_side: bool = False,
            server_hostname: str | bytes | None = None,
            session: SSLSession | None = None,
        ) -> SSLObject: ...

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> TLSConnection:
        return TLSSocketConnection(self, sock, server_side, server_hostname, owner, session)

    def _wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> TLSConnection:
        return TLSConnection.over_bios(
            self, incoming, outgoing, server_side, server_hostname, owner, session
        )

    def _fasths_context(self, server_side: bool) -> fasths.Context:
        """The fasths.Context of the settings as they are now."""
        if self._psk_client_callback is not None and not server_side:
            # The application gives a key for each connection.
            return self._make_context(False)
        self._look_into_directories()
        # A setting that another thread changes meanwhile begins a new dict.
        cache = self._made
        made = cache.get((server_side, True))
        if made is None:
            made = cache[server_side, True] = self._make_context(server_side)
        return made

    def _server_context(self, chosen: SSLContext, with_alpn: bool) -> fasths.Context:
        """The fasths.Context of a server for which the sni_callback has chosen a context."""
        chosen._look_into_directories()
        settings = cache = chosen._made
        if chosen is not self:
            known, cache = self._chosen.get(chosen, (None, {}))
            if known is not settings:
                cache = {}
                self._chosen[chosen] = (settings, cache)
        made = cache.get((True, with_alpn))
        if made is None:
            made = chosen._make_context(True, with_alpn=with_alpn, first=self)
            cache[True, with_alpn] = made
        return made

    def _make_context(
        self, server_side: bool, *, with_alpn: bool = True, first: SSLContext | None = None
    ) -> fasths.Context:
        """first: the context that a server's connection began with. As with OpenSSL, it goes on to
        decide about all but certificates, trust, suites and ALPN."""
        first = first or self
        minimum, maximum = first._versions()
        # Nobody is verified less than both of them say.
        verify_mode = max(first.verify_mode, self.verify_mode)
        flags = first.verify_flags | self.verify_flags
        trust = fasths.TrustStore()
        demands = None
        if verify_mode != ssl.CERT_NONE:
            trust = self._trust_store()
            demands = demands_beyond_validity(flags, trust, check_hostname=self.check_hostname)
        tickets = 0 if first.options & ssl.OP_NO_TICKET else min(first.num_tickets, _MAX_TICKETS)
        callback = first._psk_server_callback
        try:
            return fasths.Context(
                identities=[self._completed(each) for each in self._identities],
                trust=trust,
                verify=_VERIFY[verify_mode],
                alpn=self._alpn if with_alpn else (),
                minimum_version=minimum,
                maximum_version=maximum,
                cipher_suites=cipher_suites(self.get_ciphers()),
                groups=first._groups,
                signature_schemes=self._schemes(),
                check_hostname=self.check_hostname,
                keylog=self.keylog_filename,
                post_handshake_auth=first.post_handshake_auth,
                session_tickets=tickets,
                session_tickets_with_data=True,
                ticket_keys=self._ticket_keys,
                external_psks=[] if server_side else self._psk_of_client(),
                psk_callback=None if callback is None else _finder_of_psk(callback),
                client_hello_callback=_choose_context if server_side else None,
                verify_callback=demands,
            )
        except ValueError as error:
            raise ssl.SSLError(f"fasths cannot use these settings: {error}") from error

    def _versions(self) -> tuple[fasths.TLSVersion, fasths.TLSVersion]:
        """The versions that are left, of those that there are."""
        lowest, highest = self.minimum_version, self.maximum_version
        versions = [
            version
            for version, option in (
                (fasths.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
                (fasths.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
            )
            if not self.options & option
            and (lowest <= version or lowest == ssl.TLSVersion.MINIMUM_SUPPORTED)
            and (version <= highest or highest == ssl.TLSVersion.MAXIMUM_SUPPORTED)
            and (lowest != ssl.TLSVersion.MAXIMUM_SUPPORTED or version == 0x0304)
            and highest != ssl.TLSVersion.MINIMUM_SUPPORTED
            and _ONLY_VERSION.get(self.protocol, version) == version
        ]
        if not versions:
            raise reasoned("NO_PROTOCOLS_AVAILABLE", "fasths has TLS 1.2 and 1.3")
        return versions[0], versions[-1]

    def _schemes(self) -> tuple[str, ...] | None:
        lists = list(self._signature_schemes.values())
        return tuple(each for each in lists[0] if each in lists[-1]) if lists else None

    def _look_into_directories(self) -> None:
        """OpenSSL looks for certificates in directories when it needs them."""
        if not self._directories:
            return
        times = tuple(map(_time_of_change, self._directories))
        if times != self._in_directories[0]:
            found = [each for path in self._directories for each in certificates_in_directory(path)]
            self._in_directories = (times, tuple(found))

    def _trust_store(self) -> fasths.TrustStore:
        self._look_into_directories()
        others = (*self._anchors, *self._in_directories[1])
        if self._system is None:
            return fasths.TrustStore(others)
        # What is made of a store for verifying, contexts share.
        return fasths.TrustStore((*self._system, *others)) if others else self._system

    def _completed(self, identity: fasths.Identity) -> fasths.Identity:
        """OpenSSL sends trusted issuers after a certificate that came alone."""
        if len(identity.certificates) != 1:
            return identity
        chain = chain_among(identity.certificates[0], self._anchors)
        return identity if len(chain) == 1 else _LoadedIdentity(chain, identity.private_key)

    def _has_alpn_in_common(self, offered: tuple[bytes, ...]) -> bool:
        return not offered or any(each.encode() in offered for each in self._alpn)

    def _ask_sni_callback(
        self, callback: SNICallback, connection: TLSConnection, server_name: str | None
    ) -> None:
        try:
            result = callback(connection.owner, server_name, self)
        except Exception as error:
            _tell(error, callback)
            raise HandshakeFailure("the sni_callback raised an exception") from error
        if result is None:
            return
        try:
            alert = AlertDescription(result)
        except ValueError:
            text = "the sni_callback must return the number of an alert, or None"
            _tell(TypeError(text), callback)
            raise HandshakeFailure(text, alert=AlertDescription.internal_error) from None
        raise HandshakeFailure("the sni_callback refused the connection", alert=alert)

    def _psk_of_client(self) -> list[fasths.ExternalPSK]:
        callback = self._psk_client_callback
        if callback is None:
            return []
        try:
            identity, key = callback(None)
            return [fasths.ExternalPSK(identity.encode(), bytes(key))] if identity and key else []
        except Exception as error:
            _tell(error, callback)
            return []


_Made = dict[tuple[bool, bool], fasths.Context]


def _choose_context(request: Any) -> fasths.Context | None:
    """At a ClientHello: ask the sni_callback, as OpenSSL does then."""
    connection: TLSConnection | None = request.user_data()
    if connection is None:
        raise HandshakeFailure("the connection is gone")
    hello = request.client_hello
    connection.offered_cipher_suites = hello.cipher_suites
    first = connection.first_context
    if first._sni_callback is not None:
        first._ask_sni_callback(first._sni_callback, connection, hello.server_name)
    context = connection.context
    # The standard library goes on without a protocol, where RFC 7301, 3.2, does not.
    with_alpn = not context._alpn or context._has_alpn_in_common(hello.alpn_protocols)
    if context is first and with_alpn:
        return None
    return first._server_context(context, with_alpn)


def _finder_of_psk(callback: PSKServerCallback) -> Callable[[Any], fasths.ExternalPSK | None]:
    def find(request: Any) -> fasths.ExternalPSK | None:
        try:
            key = callback(request.identity.decode())
            return fasths.ExternalPSK(request.identity, bytes(key)) if key else None
        except UnicodeDecodeError:
            return None
        except Exception as error:
            _tell(error, callback)
            return None

    return find


def _kind_of_key(identity: fasths.Identity) -> object:
    schemes = identity.signature_schemes
    # A curve makes no other kind of it.
    return "EC" if fasths.SignatureScheme(schemes[0]).name.startswith("ecdsa") else schemes


def _time_of_change(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0


def _tell(error: Exception, origin: object) -> None:
    """Pass on an exception that nobody can be raised to."""
    sys.unraisablehook(
        SimpleNamespace(
            exc_type=type(error),
            exc_value=error,
            exc_traceback=error.__traceback__,
            err_msg=None,
            object=origin,
        )
    )


def _callable_or_none(callback: Any) -> Any:
    if callback is not None and not callable(callback):
        raise TypeError("callback must be callable or None")
    return callback


def _pem_of(der: bytes) -> bytes:
    """One certificate after the other, in PEM."""
    pem = []
    at = 0
    while at + 4 <= len(der):
        first = der[at + 1]
        size = first & 0x7F if first & 0x80 else 0
        length = int.from_bytes(der[at + 2 : at + 2 + size], "big") if size else first
        end = at + 2 + size + length
        pem.append(ssl.DER_cert_to_PEM_cert(der[at:end]))
        at = end
    return "".join(pem).encode("ascii")
