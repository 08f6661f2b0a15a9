"""Peers that are Python packages: pyOpenSSL, which brings a newer OpenSSL, and tlslite-ng.

Their connections have the methods of StdlibEndpoint. Neither checks host names; tlslite-ng, an
implementation in Python alone, verifies no chains.
"""

import abc
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Self

import pytest

import fasths

from .feature_peers import (
    LINE,
    NO_TICKETS,
    OTHER_STAPLE,
    POST_HANDSHAKE_OFFER,
    POST_HANDSHAKE_REFUSAL,
    AskingServer,
    FeaturePeer,
    exchange_line,
    send_line,
)
from .peers import (
    OP_NO_EXTENDED_MASTER_SECRET,
    OPENSSL_CIPHERS,
    TLS12,
    TLS13,
    Settings,
    StdlibServer,
)
from .processes import TIMEOUT, Log

# Of a read that TIMEOUT ends.
_TIMEVAL = struct.pack("@ll", int(TIMEOUT), 0)


class PackageEndpoint(abc.ABC):
    """One connection; errors go to the log. `connection` is the package's, or None."""

    def __init__(self, log: Log, errors: tuple[type[Exception], ...], sock: socket.socket) -> None:
        self.log = log
        self.connection: Any = None
        self._errors = (*errors, OSError)
        self._socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The packages want a socket that blocks.
        sock.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            self.log.add(f"{error!r}\n")

    @abc.abstractmethod
    def read(self, count: int) -> bytes:
        """At most so many bytes; none at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        if self.connection is not None:
            with self.logged():
                self.connection.sendall(data)

    def receive(self, count: int) -> bytes:
        received = bytearray()
        if self.connection is not None:
            with self.logged():
                while len(received) < count and (data := self.read(count - len(received))):
                    received += data
        return bytes(received)

    def echo(self, _settings: Settings) -> None:
        with self.logged():
            while data := self.read(65536):
                self.send(data)
        self.finish()

    @abc.abstractmethod
    def finish(self) -> None:
        """Close it as the protocol wants."""


class PackageServer(StdlibServer):
    """Makes an endpoint of each socket, and serves it in a thread."""

    def __init__(
        self,
        make: Callable[[socket.socket, Log], PackageEndpoint],
        serve: Callable[[PackageEndpoint], None],
    ) -> None:
        self._make = make
        super().__init__(None, serve)  # type: ignore[arg-type]

    def _handle(self, sock: socket.socket) -> None:
        with self._make(sock, self.log) as endpoint:
            if endpoint.connection is not None:
                self._serve(endpoint)  # type: ignore[arg-type]


class PackagePeer(FeaturePeer):
    can_choose_scheme = False

    @abc.abstractmethod
    def endpoint(
        self,
        shared: Any,
        settings: Settings,
        sock: socket.socket,
        log: Log,
        *,
        server_side: bool,
        session: Any = None,
        early_data: bytes = b"",
    ) -> PackageEndpoint:
        """A connection after its handshake. shared: what shared() made."""

    def shared(self, settings: Settings, *, server_side: bool) -> Any:
        """What the connections of a server, or of a client that comes back, have in common."""
        return None

    def session(self, endpoint: Any) -> Any:
        return endpoint.connection.session

    def client(self, port: int, settings: Settings) -> PackageEndpoint:
        shared = self.shared(settings, server_side=False)
        return self._connect(port, shared, settings)

    def _connect(self, port: int, shared: Any, settings: Settings, **options) -> PackageEndpoint:
        sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        return self.endpoint(shared, settings, sock, Log(), server_side=False, **options)

    @contextlib.contextmanager
    def returning(self, port: int, settings: Settings, early_data: bytes = b""):
        shared = self.shared(settings, server_side=False)
        with self._connect(port, shared, settings) as first:
            exchange_line(first)
            session = self.session(first)
            first.finish()
        with self._connect(
            port, shared, settings, session=session, early_data=early_data
        ) as client:
            yield client

    def server(
        self, settings: Settings, serve: Callable[[PackageEndpoint], None] | None = None
    ) -> PackageServer:
        shared = self.shared(settings, server_side=True)
        return PackageServer(
            lambda sock, log: self.endpoint(shared, settings, sock, log, server_side=True),
            serve or (lambda endpoint: endpoint.echo(settings)),
        )

    @contextlib.contextmanager
    def asking_server(self, settings: Settings):
        def serve(endpoint: Any) -> None:
            with endpoint.logged():
                endpoint.receive(len(LINE))
                self.ask(endpoint.connection)
                endpoint.send(LINE)
                endpoint.receive(len(LINE))
                endpoint.log.add(f"certificate: {self.has_certificate(endpoint.connection)}\n")
            endpoint.finish()

        with self.server(replace(settings, post_handshake_auth=True), serve) as server:
            yield AskingServer(server.port, server.log, send_line, "certificate: True")

    @abc.abstractmethod
    def ask(self, connection: Any) -> None:
        """Asks for a certificate after the handshake."""

    @abc.abstractmethod
    def has_certificate(self, connection: Any) -> bool:
        """Whether the client has answered with one."""


# --- pyOpenSSL --------------------------------------------------------------------------------


class PyOpenSSLEndpoint(PackageEndpoint):
    def read(self, count: int) -> bytes:
        try:
            return self.connection.recv(min(count, 65536))
        except self.zero_return:
            return b""

    def finish(self) -> None:
        if self.connection is not None:
            with self.logged():
                if not self.connection.shutdown():
                    while self.read(65536):
                        pass
                    self.connection.shutdown()


class PyOpenSSL(PackagePeer):
    name = "pyOpenSSL"
    missing = frozenset(
        {
            NO_TICKETS,
            OTHER_STAPLE,
        }
    )
    always_starts_with = frozenset()
    single_use_tickets = True
    GROUPS: ClassVar[dict[str, str]] = {
        "x25519": "X25519",
        "secp256r1": "P-256",
        "secp384r1": "P-384",
        "secp521r1": "P-521",
        "X25519MLKEM768": "X25519MLKEM768",
    }
    ALLOW_NO_DHE_KEX = 1 << 10
    SEND_FALLBACK_SCSV = 0x80

    def __init__(self) -> None:
        self.ssl = pytest.importorskip("OpenSSL.SSL")
        # What the package has no method for.
        util = pytest.importorskip("OpenSSL._util")
        self.lib, self.ffi = util.lib, util.ffi
        context = self.ssl.Context(self.ssl.TLS_METHOD)
        if self.lib.SSL_CTX_set1_curves_list(context._context, b"X25519MLKEM768") != 1:
            self.missing |= {"X25519MLKEM768"}

    def alert_pattern(self, alert: str) -> str:
        return rf"(?i)alert {alert.replace('_', ' ')}"

    def shared(self, settings: Settings, *, server_side: bool) -> Any:
        ssl = self.ssl
        context = ssl.Context(ssl.TLS_SERVER_METHOD if server_side else ssl.TLS_CLIENT_METHOD)
        lowest, highest = settings.versions
        context.set_min_proto_version(lowest)
        context.set_max_proto_version(highest)
        context.set_session_id(b"fasths")
        if settings.credential is not None:
            context.use_certificate_chain_file(str(settings.credential.chain_file))
            context.use_privatekey_file(str(settings.credential.key_file))
        if settings.trust is not None:
            context.load_verify_locations(str(settings.trust))
        verify = ssl.VERIFY_NONE
        if settings.require_client_certificate:
            verify = ssl.VERIFY_PEER | ssl.VERIFY_FAIL_IF_NO_PEER_CERT
        elif settings.ask_client_certificate or (settings.trust is not None and not server_side):
            verify = ssl.VERIFY_PEER
        if settings.post_handshake_auth:
            self.lib.SSL_CTX_set_post_handshake_auth(context._context, 1)
            if server_side:
                verify = ssl.VERIFY_PEER | self.lib.SSL_VERIFY_POST_HANDSHAKE
        context.set_verify(verify)
        if settings.suite in OPENSSL_CIPHERS:
            context.set_cipher_list(OPENSSL_CIPHERS[settings.suite].encode())
        elif settings.suite is not None:
            context.set_tls13_ciphersuites(settings.suite.encode())
        elif highest < TLS12:
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
        if settings.scheme is not None:
            schemes = settings.scheme.encode()
            assert self.lib.SSL_CTX_set1_sigalgs_list(context._context, schemes) == 1
        if settings.tickets == 0 and highest < TLS13:
            context.set_options(ssl.OP_NO_TICKET)
        if not settings.extended_master_secret:
            context.set_options(OP_NO_EXTENDED_MASTER_SECRET)
        if settings.fallback:
            context.set_mode(self.SEND_FALLBACK_SCSV)
        if settings.groups:
            names = ":".join(self.GROUPS[group] for group in settings.groups)
            assert self.lib.SSL_CTX_set1_curves_list(context._context, names.encode()) == 1
        if settings.psk_ke:
            context.set_options(self.ALLOW_NO_DHE_KEX)
        if settings.alpn:
            protocols = [protocol.encode() for protocol in settings.alpn]
            if server_side:
                context.set_alpn_select_callback(
                    lambda _connection, offered: next(each for each in protocols if each in offered)
                )
            else:
                context.set_alpn_protos(protocols)
        if settings.max_early_data:
            self.lib.SSL_CTX_set_max_early_data(context._context, settings.max_early_data)
        if settings.staple is not None:
            staple = settings.staple.read_bytes()
            context.set_ocsp_server_callback(lambda _connection, _data: staple)
        if settings.ask_for_staple:
            context.set_ocsp_client_callback(self._log_staple)
        return context

    @staticmethod
    def _log_staple(connection: Any, staple: bytes, _data: object) -> bool:
        connection.get_app_data().add(f"OCSP response: {staple.hex()}\n")
        return True

    def session(self, endpoint: Any) -> Any:
        return endpoint.connection.get_session()

    def endpoint(
        self, shared, settings, sock, log, *, server_side, session=None, early_data=b""
    ) -> PyOpenSSLEndpoint:
        endpoint = PyOpenSSLEndpoint(log, (self.ssl.Error,), sock)
        endpoint.zero_return = self.ssl.ZeroReturnError
        connection = self.ssl.Connection(shared, sock)
        connection.set_app_data(log)
        with endpoint.logged():
            if server_side:
                connection.set_accept_state()
                if settings.max_early_data and not settings.refuse_early_data:
                    log.add(f"early data: {self._read_early_data(connection)!r}\n")
            else:
                connection.set_connect_state()
                connection.set_tlsext_host_name(settings.server_name.encode())
                if settings.ask_for_staple:
                    connection.request_ocsp()
                if session is not None:
                    connection.set_session(session)
                if early_data:
                    self._write_early_data(connection, early_data)
            connection.do_handshake()
            endpoint.connection = connection
        return endpoint

    def ask(self, connection: Any) -> None:
        assert self.lib.SSL_verify_client_post_handshake(connection._ssl) == 1
        connection.do_handshake()

    def has_certificate(self, connection: Any) -> bool:
        return connection.get_peer_certificate() is not None

    def find_staple(self, client: Any, staple: bytes) -> None:
        assert f"OCSP response: {staple.hex()}\n" in client.log.text

    def _write_early_data(self, connection: Any, data: bytes) -> None:
        count = self.ffi.new("size_t *")
        result = self.lib.SSL_write_early_data(connection._ssl, data, len(data), count)
        assert (result, count[0]) == (1, len(data))

    def _read_early_data(self, connection: Any) -> bytes:
        received = b""
        buffer = self.ffi.new("char[]", 16384)
        count = self.ffi.new("size_t *")
        while True:
            result = self.lib.SSL_read_early_data(connection._ssl, buffer, len(buffer), count)
            if result == 0:
                connection._raise_ssl_error(connection._ssl, -1)
            received += self.ffi.buffer(buffer, count[0])[:]
            if result == 2:
                return received

    def received_early_data(self, data: bytes) -> str | None:
        return f"early data: {data!r}".replace("\\", "\\\\")


# --- tlslite-ng -------------------------------------------------------------------------------


class TlsliteEndpoint(PackageEndpoint):
    def read(self, count: int) -> bytes:
        return self.connection.read(max=count)

    def finish(self) -> None:
        if self.connection is not None:
            with self.logged():
                self.connection.close()


class Tlslite(PackagePeer):
    name = "tlslite-ng"
    missing = frozenset(
        {
            "X25519MLKEM768",
            POST_HANDSHAKE_OFFER,
            POST_HANDSHAKE_REFUSAL,
        }
    )
    CIPHERS: ClassVar[dict[str, str]] = {
        "AES_128_GCM_SHA256": "aes128gcm",
        "AES_256_GCM_SHA384": "aes256gcm",
        "CHACHA20_POLY1305_SHA256": "chacha20-poly1305",
        "AES_128_CBC_SHA256": "aes128",
    }

    def __init__(self) -> None:
        self.api = pytest.importorskip("tlslite.api")
        self.errors = pytest.importorskip("tlslite.errors")

    def alert_pattern(self, alert: str) -> str:
        return rf"RemoteAlert\(.*description={fasths.AlertDescription[alert]:d}\)"

    def shared(self, settings: Settings, *, server_side: bool) -> Any:
        options = self.api.HandshakeSettings()
        lowest, highest = (divmod(version, 256) for version in settings.versions)
        options.minVersion, options.maxVersion = lowest, highest
        if highest < (3, 3):  # or it would choose TLS 1.2 from a list of the client's
            options.versions = [highest]
        if settings.suite is not None:
            # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, or without the key exchange.
            exchange, _, cipher = settings.suite.removeprefix("TLS_").rpartition("_WITH_")
            options.cipherNames = [self.CIPHERS[cipher.removeprefix("TLS_")]]
            if exchange:
                options.keyExchangeNames = [exchange.lower()]
        if settings.scheme is not None:
            self.choose_scheme(options, settings.scheme)
        options.useExtendedMasterSecret = settings.extended_master_secret
        options.sendFallbackSCSV = settings.fallback
        if settings.groups:
            options.eccCurves = list(settings.groups)
            options.keyShares = [settings.groups[0]]
        else:
            options.keyShares = ["x25519"]
        if settings.psk is not None:
            psk = settings.psk
            options.pskConfigs = [(psk.identity, psk.key, psk.hash)]
        options.psk_modes = ["psk_ke" if settings.psk_ke else "psk_dhe_ke"]
        if server_side and settings.tickets != 0:
            options.ticketKeys = [os.urandom(32)]
        options.sessions = self.api.SessionCache()
        options.record_size_limit = settings.record_size_limit
        # Its client compresses its certificate if it offers that itself (0.8.2), asked or not.
        options.certificate_compression_send = list(settings.compression)
        if settings.compression:
            options.certificate_compression_receive = list(settings.compression)
        return options

    def endpoint(
        self, shared, settings, sock, log, *, server_side, session=None, early_data=b""
    ) -> TlsliteEndpoint:
        assert not early_data
        endpoint = TlsliteEndpoint(log, (self.errors.BaseTLSException,), sock)
        connection = self.api.TLSConnection(sock)
        connection.closeSocket = False
        chain = key = None
        if settings.credential is not None:
            chain = self.api.X509CertChain()
            chain.parsePemList(settings.credential.chain.decode())
            key = self.api.parsePEMKey(settings.credential.key.decode(), private=True)
        alpn = [protocol.encode() for protocol in settings.alpn] or None
        with endpoint.logged():
            if server_side:
                asks = settings.require_client_certificate or settings.ask_client_certificate
                connection.handshakeServer(
                    certChain=chain,
                    privateKey=key,
                    reqCert=asks,
                    # Which TLS 1.3 does not use.
                    sessionCache=shared.sessions,
                    settings=shared,
                    alpn=alpn,
                )
            else:
                connection.handshakeClientCert(
                    certChain=chain,
                    privateKey=key,
                    session=session,
                    settings=shared,
                    serverName=settings.server_name,
                    alpn=alpn,
                )
            endpoint.connection = connection
        return endpoint

    @staticmethod
    def choose_scheme(options: Any, scheme: str) -> None:
        kind, _, hash_name = scheme.rpartition("_")
        options.ecdsaSigHashes = options.rsaSigHashes = options.more_sig_schemes = []
        if kind.startswith("ecdsa"):
            options.ecdsaSigHashes = [hash_name]
        elif kind.startswith("rsa"):
            options.rsaSigHashes = [hash_name]
            options.rsaSchemes = ["pkcs1" if kind == "rsa_pkcs1" else "pss"]
        else:
            options.more_sig_schemes = [scheme.capitalize()]

    def ask(self, connection: Any) -> None:
        for _ in connection.request_post_handshake_auth():
            pass

    def has_certificate(self, connection: Any) -> bool:
        return connection.session.clientCertChain is not None
