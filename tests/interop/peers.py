"""Other TLS implementations, each behind the same few words, so that one matrix of tests fits all.

A peer makes clients and servers out of `Settings`. A client is a pipe: what is sent goes to the
server, what comes back is received, and `finish` ends it. A server echoes. Both keep a log, where
the tests look for what the peer says about the connection. Everything stops with its `with` block,
and everything has a time-out.
"""

import abc
import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pytest

import fasths

from .processes import TIMEOUT, Log, Process, free_port, require, wait_until_accepting

LOOPBACK_SOURCE = Path(__file__).with_name("loopback.c")
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
# Numbers of versions, and what is between them.
TLS11, TLS12, TLS13 = 0x0302, 0x0303, 0x0304
ONLY_TLS11, ONLY_TLS12, ONLY_TLS13 = (TLS11, TLS11), (TLS12, TLS12), (TLS13, TLS13)
TLS12_OR_TLS13 = (TLS12, TLS13)
# The names that OpenSSL has for the suites of TLS 1.2: ours, and some that we do not have.
OPENSSL_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256": "DHE-RSA-AES128-GCM-SHA256",
}
GROUPS = ("X25519MLKEM768", "x25519", "secp256r1", "secp384r1", "secp521r1")
# Server certificate's key, by the scheme that it signs with.
SCHEMES = {
    "ecdsa_secp256r1_sha256": "ecdsa",
    "ecdsa_secp384r1_sha384": "ecdsa384",
    "ecdsa_secp521r1_sha512": "ecdsa521",
    "rsa_pss_rsae_sha256": "rsa",
    "rsa_pss_rsae_sha384": "rsa",
    "rsa_pss_rsae_sha512": "rsa",
    "rsa_pss_pss_sha256": "rsa-pss",
    "rsa_pss_pss_sha384": "rsa-pss",
    "rsa_pss_pss_sha512": "rsa-pss",
    "ed25519": "ed25519",
    "ed448": "ed448",
}


def reset_on_close(sock: socket.socket) -> None:
    """Makes close() send a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@dataclass(frozen=True)
class Credential:
    """A certificate chain and its key, in memory and as files."""

    chain: bytes
    key: bytes
    chain_file: Path
    above_file: Path  # the chain without its leaf
    key_file: Path


@dataclass(frozen=True)
class Settings:
    """What a peer is told; what is left out keeps the peer's default."""

    credential: Credential | None = None
    trust: Path | None = None  # None: whatever the other side presents is taken
    server_name: str = "localhost"  # a client's: sent, and verified where there is trust
    suite: str | None = None
    groups: tuple[str, ...] = ()
    scheme: str | None = None
    alpn: tuple[str, ...] = ()
    require_client_certificate: bool = False
    versions: tuple[int, int] = ONLY_TLS13  # the lowest and the highest
    middlebox: bool = True
    echo_after: int = 0  # a server's: it echoes once it has that many bytes
    extra: tuple[str, ...] = ()  # more command-line options
    # For the peers of feature_peers.py and in_process_peers.py.
    ask_client_certificate: bool = False
    post_handshake_auth: bool = False
    tickets: int | None = None  # a server's: how many it sends
    max_early_data: int = 0  # a server's: what its tickets permit
    refuse_early_data: bool = False
    psk: fasths.ExternalPSK | None = None
    psk_ke: bool = False  # without a key exchange, where the other side wants that
    staple: Path | None = None  # a server's: an OCSP response in DER
    ask_for_staple: bool = False
    timestamps: tuple[bytes, ...] = ()  # a server's: RFC 6962
    raw_public_key: bool = False  # its own, of the credential, and the other side's
    compression: tuple[str, ...] = ()  # of certificates
    record_size_limit: int | None = None
    # For TLS 1.2.
    extended_master_secret: bool = True
    fallback: bool = False  # a client's: RFC 7507


class Server:
    """A peer's server: `window` is how many bytes a client may send before it reads the echo."""

    window = 16 * 1024

    def __init__(self, port: int, log: Log) -> None:
        self.port = port
        self.log = log


class Peer(abc.ABC):
    """A TLS implementation other than fasths."""

    name: str
    missing: frozenset[str] = frozenset()  # suites, groups and schemes that it does not have
    can_choose_suite = True
    can_choose_scheme = True
    always_starts_with: frozenset[str] = frozenset()  # its client, if it has these at all
    takes_cookie_alone = True  # its client, in a HelloRetryRequest
    alpn_mismatch_is_fatal = True  # for its server
    # The alerts that it sends for a chain that it does not trust.
    client_refusal = "unknown_ca"
    server_refusal = "unknown_ca"
    # The alert of its server, without TLS 1.3, for a client without TLS 1.2.
    version_refusal = "protocol_version"

    def need(self, feature: str) -> None:
        if feature in self.missing:
            pytest.skip(f"this {self.name} has no {feature}")

    @abc.abstractmethod
    def alert_pattern(self, alert: str) -> str:
        """What its log has when it received that alert."""

    @abc.abstractmethod
    def client(self, port: int, settings: Settings) -> contextlib.AbstractContextManager: ...

    @abc.abstractmethod
    def server(self, settings: Settings) -> contextlib.AbstractContextManager[Server]: ...


# SSL_OP_NO_EXTENDED_MASTER_SECRET; the ssl module does not name it.
OP_NO_EXTENDED_MASTER_SECRET = 1

# --- the standard library's ssl ---------------------------------------------------------------


class StdlibEndpoint:
    """One connection of the standard library's; errors go to the log."""

    def __init__(
        self,
        context: ssl.SSLContext,
        sock: socket.socket,
        server_name: str | None,
        log: Log,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.log = log
        self.socket: ssl.SSLSocket | None = None
        sock.settimeout(TIMEOUT)
        with self._logged():
            self.socket = context.wrap_socket(
                sock,
                server_side=server_name is None,
                server_hostname=server_name,
                session=session,
                suppress_ragged_eofs=False,
            )
        if self.socket is None:
            sock.close()

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except (ssl.SSLError, OSError) as error:
            self.log.add(f"{error!r}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.socket is not None:
            self.socket.close()

    def send(self, data: bytes) -> None:
        if self.socket is not None:
            with self._logged():
                self.socket.sendall(data)

    def receive(self, count: int) -> bytes:
        received = bytearray()
        if self.socket is not None:
            with self._logged():
                while len(received) < count:
                    data = self.socket.recv(min(65536, count - len(received)))
                    if not data:
                        break
                    received += data
        return bytes(received)

    def finish(self) -> None:
        if self.socket is not None:
            with self._logged():
                self.socket.unwrap().close()

    def truncate(self) -> None:
        """Ends the transport without close_notify."""
        assert self.socket is not None
        socket.socket(fileno=self.socket.detach()).close()


class StdlibServer(Server):
    """Serves each connection in a thread of its own; `serve` is what is done with it."""

    window = 1 << 20

    def __init__(
        self,
        context: ssl.SSLContext,
        serve: Callable[[StdlibEndpoint], None],
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(self._listener.getsockname()[1], Log())
        self.context = context
        self._serve = serve
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._handle, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self, sock: socket.socket) -> None:
        with StdlibEndpoint(self.context, sock, None, self.log) as endpoint:
            if endpoint.socket is not None:
                self._serve(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(2 * TIMEOUT)


class Stdlib(Peer):
    name = "standard library's ssl"
    can_choose_suite = False
    can_choose_scheme = False
    always_starts_with = frozenset({"x25519"})
    alpn_mismatch_is_fatal = False
    missing = frozenset() if ssl.OPENSSL_VERSION_INFO >= (3, 5) else frozenset({"X25519MLKEM768"})
    GROUPS: ClassVar[dict[str, str]] = {
        "x25519": "X25519",
        "secp256r1": "prime256v1",
        "secp384r1": "secp384r1",
        "secp521r1": "secp521r1",
    }

    def alert_pattern(self, alert: str) -> str:
        return rf"(?i)alert[_ ]{alert.replace('_', '[_ ]')}"

    def context(self, settings: Settings, server_side: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(
            ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
        )
        context.minimum_version, context.maximum_version = map(ssl.TLSVersion, settings.versions)
        if settings.suite in OPENSSL_CIPHERS:
            context.set_ciphers(OPENSSL_CIPHERS[settings.suite])
        # The client's order of signature schemes counts, which its server could not be told.
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if not settings.extended_master_secret:
            context.options |= OP_NO_EXTENDED_MASTER_SECRET
        if settings.credential is not None:
            context.load_cert_chain(settings.credential.chain_file, settings.credential.key_file)
        if settings.trust is not None:
            context.load_verify_locations(settings.trust)
        elif not server_side:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if settings.require_client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
        if len(settings.groups) == 1:
            group = settings.groups[0]
            if group in self.GROUPS:
                context.set_ecdh_curve(self.GROUPS[group])
        if settings.alpn:
            context.set_alpn_protocols(list(settings.alpn))
        return context

    def client(self, port: int, settings: Settings) -> StdlibEndpoint:
        context = self.context(settings, server_side=False)
        return StdlibEndpoint(context, self.tcp(port), settings.server_name, Log())

    def tcp(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), TIMEOUT)

    def server(
        self, settings: Settings, serve: Callable[[StdlibEndpoint], None] | None = None
    ) -> StdlibServer:
        def echo(endpoint: StdlibEndpoint) -> None:
            assert endpoint.socket is not None
            with endpoint._logged():
                endpoint.send(endpoint.receive(settings.echo_after))
                while data := endpoint.socket.recv(65536):
                    endpoint.socket.sendall(data)
            endpoint.finish()

        return StdlibServer(self.context(settings, server_side=True), serve or echo)


# --- openssl ----------------------------------------------------------------------------------


class EchoingProcess(Server):
    """A server process whose standard output is sent back through its standard input."""

    window = 1 << 20

    def __init__(self, port: int, process: Process, echo_after: int) -> None:
        super().__init__(port, process.log)
        self.process = process
        self._echo_after = echo_after
        self._thread = threading.Thread(target=self._echo, daemon=True)
        self._thread.start()

    def _echo(self) -> None:
        if self._echo_after:
            self.process.send(self.process.receive(self._echo_after))
        while data := self.process.receive_some():
            self.process.send(data)

    def join(self) -> None:
        self._thread.join(TIMEOUT)


class OpenSSL(Peer):
    name = "openssl"
    GROUPS: ClassVar[dict[str, str]] = {
        "x25519": "X25519",
        "secp256r1": "P-256",
        "secp384r1": "P-384",
        "secp521r1": "P-521",
        "X25519MLKEM768": "X25519MLKEM768",
    }

    def __init__(self) -> None:
        self.path = require("openssl")
        version = subprocess.run(
            [self.path, "version"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        ).stdout
        number = re.match(r"OpenSSL (\d+)\.(\d+)", version)
        if number is None:
            pytest.skip(f"openssl is {version.strip()}, not OpenSSL")
        if (int(number[1]), int(number[2])) < (3, 5):
            self.missing = frozenset({"X25519MLKEM768"})

    def alert_pattern(self, alert: str) -> str:
        return rf"SSL alert number {fasths.AlertDescription[alert]:d}\b"

    def options(self, settings: Settings) -> list[str | Path]:
        lowest, highest = (f"TLSv1.{version - 0x0301}" for version in settings.versions)
        options: list[str | Path] = ["-min_protocol", lowest, "-max_protocol", highest]
        if settings.credential is not None:
            options += ["-cert", settings.credential.chain_file]
            options += ["-cert_chain", settings.credential.above_file]
            options += ["-key", settings.credential.key_file]
        if settings.trust is not None:
            options += ["-CAfile", settings.trust, "-no-CApath", "-verify_return_error"]
        if settings.suite in OPENSSL_CIPHERS:
            options += ["-cipher", OPENSSL_CIPHERS[settings.suite]]
        elif settings.suite is not None:
            options += ["-ciphersuites", settings.suite]
        elif settings.versions[1] < TLS12:
            options += ["-cipher", "ALL:@SECLEVEL=0"]
        if settings.groups:
            options += ["-groups", ":".join(self.GROUPS[group] for group in settings.groups)]
        if settings.scheme is not None:
            options += ["-sigalgs", settings.scheme]
        if settings.alpn:
            options += ["-alpn", ",".join(settings.alpn)]
        if not settings.middlebox:
            options += ["-no_middlebox"]
        if settings.fallback:
            options += ["-fallback_scsv"]
        return [*options, *settings.extra]

    def client(
        self, port: int, settings: Settings, mode: Sequence[str] = ("-brief", "-nocommands")
    ) -> Process:
        options = self.options(settings)
        if settings.trust is not None:
            options += ["-verify", "5", "-verify_hostname", settings.server_name]
        return Process(
            self.path,
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-servername",
            settings.server_name,
            *mode,
            *options,
        )

    @contextlib.contextmanager
    def server_process(self, settings: Settings, *mode: str) -> Iterator[tuple[int, Process]]:
        options = self.options(settings)
        if settings.require_client_certificate:
            options += ["-Verify", "5"]
        port = free_port()
        with Process(
            self.path, "s_server", "-accept", f"127.0.0.1:{port}", *mode, *options
        ) as process:
            wait_until_accepting(port, lambda: process.alive)
            yield port, process

    @contextlib.contextmanager
    def server(self, settings: Settings) -> Iterator[EchoingProcess]:
        with self.server_process(settings, "-quiet") as (port, process):
            server = EchoingProcess(port, process, settings.echo_after)
            yield server
            process.stop()
            server.join()


# --- GnuTLS -----------------------------------------------------------------------------------


class GnuTLS(Peer):
    name = "GnuTLS"
    takes_cookie_alone = False
    alpn_mismatch_is_fatal = False
    client_refusal = "bad_certificate"
    server_refusal = "access_denied"
    version_refusal = "handshake_failure"
    GROUPS: ClassVar[dict[str, str]] = {
        "x25519": "GROUP-X25519",
        "secp256r1": "GROUP-SECP256R1",
        "secp384r1": "GROUP-SECP384R1",
        "secp521r1": "GROUP-SECP521R1",
        "X25519MLKEM768": "GROUP-X25519-MLKEM768",
    }
    SCHEMES: ClassVar[dict[str, str]] = {
        # The second name is for TLS 1.2, where any curve goes with any hash.
        "ecdsa_secp256r1_sha256": "SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256",
        "ecdsa_secp384r1_sha384": "SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384",
        "ecdsa_secp521r1_sha512": "SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512",
        "rsa_pss_rsae_sha256": "SIGN-RSA-PSS-RSAE-SHA256",
        "rsa_pss_rsae_sha384": "SIGN-RSA-PSS-RSAE-SHA384",
        "rsa_pss_rsae_sha512": "SIGN-RSA-PSS-RSAE-SHA512",
        "rsa_pss_pss_sha256": "SIGN-RSA-PSS-SHA256",
        "rsa_pss_pss_sha384": "SIGN-RSA-PSS-SHA384",
        "rsa_pss_pss_sha512": "SIGN-RSA-PSS-SHA512",
        "ed25519": "SIGN-EDDSA-ED25519",
        "ed448": "SIGN-EDDSA-ED448",
        "rsa_pkcs1_sha256": "SIGN-RSA-SHA256",
        "rsa_pkcs1_sha384": "SIGN-RSA-SHA384",
        "rsa_pkcs1_sha512": "SIGN-RSA-SHA512",
    }

    def __init__(self, directory: Path) -> None:
        """directory: for what keeps the server on the loopback."""
        self.client_path = require("gnutls-cli")
        self.server_path = require("gnutls-serv")
        self.loopback = directory / "loopback.so"
        subprocess.run(
            [require("cc"), "-shared", "-fPIC", "-o", self.loopback, LOOPBACK_SOURCE, "-ldl"],
            timeout=TIMEOUT,
            check=True,
        )
        listed = subprocess.run(
            [self.client_path, "-l"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        ).stdout
        self.missing = frozenset(
            name for name, its_name in self.GROUPS.items() if its_name not in listed
        )

    def alert_pattern(self, alert: str) -> str:
        number = int(fasths.AlertDescription[alert])
        return rf"Received alert \[{number}\]|Alert\[2\|{number}\] - .* - was received"

    def priority(self, settings: Settings) -> str:
        lowest, highest = settings.versions
        versions = [f"+VERS-TLS1.{version - 0x0301}" for version in range(highest, lowest - 1, -1)]
        words = ["NORMAL", "-VERS-ALL", *versions]
        if settings.suite is not None:
            # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, or without the key exchange.
            exchange, _, cipher = settings.suite.removeprefix("TLS_").rpartition("_WITH_")
            name = cipher.removeprefix("TLS_").rpartition("_")[0].replace("_", "-")
            words += ["-CIPHER-ALL", f"+{name}"]
            if exchange:
                words += ["-KX-ALL", f"+{exchange.replace('_', '-')}", "+SHA256"]
        if settings.groups:
            words += ["-GROUP-ALL", *(f"+{self.GROUPS[group]}" for group in settings.groups)]
        if settings.scheme is not None:
            words += ["-SIGN-ALL", f"+{self.SCHEMES[settings.scheme]}"]
        if not settings.extended_master_secret:
            words += ["%NO_SESSION_HASH"]
        if settings.fallback:
            words += ["%FALLBACK_SCSV"]
        return ":".join(words)

    def options(self, settings: Settings) -> list[str | Path]:
        options: list[str | Path] = ["--priority", self.priority(settings)]
        if settings.credential is not None:
            options += ["--x509certfile", settings.credential.chain_file]
            options += ["--x509keyfile", settings.credential.key_file]
        if settings.trust is not None:
            options += ["--x509cafile", settings.trust]
        options += [f"--alpn={protocol}" for protocol in settings.alpn]
        return [*options, *settings.extra]

    def client(self, port: int, settings: Settings) -> Process:
        options = self.options(settings)
        if settings.trust is not None:
            options += ["--verify-hostname", settings.server_name]
        else:
            options += ["--insecure", "--no-ca-verification"]
        if len(settings.groups) > 1:
            options += ["--single-key-share"]
        return Process(
            self.client_path,
            "--logfile=/dev/stderr",
            "--sni-hostname",
            settings.server_name,
            "--port",
            str(port),
            *options,
            "127.0.0.1",
        )

    @contextlib.contextmanager
    def server(self, settings: Settings) -> Iterator[Server]:
        options = self.options(settings)
        if settings.require_client_certificate:
            options += ["--require-client-cert", "--verify-client-cert"]
        elif settings.ask_client_certificate:
            options += [] if settings.raw_public_key else ["--verify-client-cert"]
        else:
            options += ["--disable-client-cert"]
        port = free_port()
        with Process(
            # Its own output comes late, the library's debug output at once.
            *(self.server_path, "--debug", "5", "--echo", "--port", str(port)),
            *options,
            env={"LD_PRELOAD": str(self.loopback)},
        ) as process:
            wait_until_accepting(port, lambda: process.alive)
            yield Server(port, process.log)


# --- Go ---------------------------------------------------------------------------------------


class Go(Peer):
    """The program in go/, made of Go's crypto/tls, which chooses suites and schemes by itself."""

    name = "Go"
    client_refusal = "bad_certificate"
    always_starts_with = frozenset({"x25519", "X25519MLKEM768"})
    can_choose_suite = False
    can_choose_scheme = False
    missing = frozenset(
        {
            *("ed448", "rsa-pss", *(scheme for scheme in SCHEMES if "pss_pss" in scheme)),
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        }
    )
    ALERTS: ClassVar[dict[str, str]] = {
        "bad_certificate": "bad certificate",
        "certificate_revoked": "revoked certificate",
        "unknown_ca": "unknown certificate authority",
        "certificate_required": "certificate required",
        "protocol_version": "protocol version not supported",
        "no_application_protocol": "no application protocol",
        "handshake_failure": "handshake failure",
        "decrypt_error": "error decrypting message",
    }

    def __init__(self, program: Path) -> None:
        self.program = program

    def alert_pattern(self, alert: str) -> str:
        return rf"remote error: tls: {self.ALERTS[alert]}"

    def options(self, settings: Settings) -> list[str | Path]:
        options: list[str | Path] = []
        if settings.credential is not None:
            options += ["-cert", settings.credential.chain_file]
            options += ["-key", settings.credential.key_file]
        if settings.trust is not None:
            options += ["-ca", settings.trust]
        if settings.groups:
            options += ["-groups", ",".join(settings.groups)]
        if settings.alpn:
            options += ["-alpn", ",".join(settings.alpn)]
        if settings.require_client_certificate:
            options += ["-require"]
        if settings.suite in OPENSSL_CIPHERS:
            options += ["-suite", settings.suite]
        lowest, highest = settings.versions
        options += ["-lowest", str(lowest), "-highest", str(highest)]
        return [*options, *settings.extra]

    def client(self, port: int, settings: Settings) -> Process:
        options = [*self.options(settings), "-name", settings.server_name]
        return Process(self.program, "client", "-addr", f"127.0.0.1:{port}", *options)

    @contextlib.contextmanager
    def server(self, settings: Settings) -> Iterator[Server]:
        with Process(self.program, "server", *self.options(settings)) as process:
            found = process.log.wait_for(r'\{"event":"listen".*\}\n')
            server = Server(json.loads(found[0])["port"], process.log)
            server.window = 1 << 20
            yield server


def go_report(log: Log, event: str = "handshake") -> dict:
    """What Go's side says of an event, once it has happened."""
    return json.loads(log.wait_for(rf'\{{"event":"{event}".*\}}\n')[0])
