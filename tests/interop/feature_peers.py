"""The peers with what not all of them have: sessions, pre-shared keys, early data, staples, ...

They take the further fields of `Settings`. with_peers() says who has a feature at all, and
`missing` what a peer lacks of it. Not there are:

- openssl 3.0: certificate compression and raw public keys (both since 3.2), record_size_limit.
- GnuTLS 3.7: external PSKs for SHA-384, SCTs; compression, which Debian builds without.
- Go: 0-RTT other than over QUIC, external PSKs, psk_ke, authentication after the handshake.
- The standard library's ssl: 0-RTT, external PSKs, psk_ke, staples, SCTs.
"""

import abc
import base64
import contextlib
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import ocsp
from pki import tlv

import fasths

from .endpoints import Endpoint
from .peers import (
    ONLY_TLS12,
    TLS13,
    GnuTLS,
    Go,
    OpenSSL,
    Peer,
    Settings,
    Stdlib,
    StdlibEndpoint,
    go_report,
)
from .processes import Log

# What not every peer has: the words for Peer.need().
EARLY_DATA_REFUSAL = "server that permits 0-RTT data and refuses it"
RETRIED_EARLY_DATA = "HelloRetryRequest with 0-RTT data"
SHA384_PSK = "external PSK for SHA-384"
UNKNOWN_PSK = "server that ignores an external PSK it does not know"
PSK_KE = "psk_ke"
NO_TICKETS = "server that sends no tickets"
SESSION_IDS = "sessions of TLS 1.2 without tickets"
POST_HANDSHAKE_AUTH = "post-handshake authentication"
POST_HANDSHAKE_OFFER = "offer of post-handshake authentication without a certificate"
POST_HANDSHAKE_REFUSAL = "server that refuses a certificate after the handshake alone"
OTHER_STAPLE = "server that staples a response about another certificate"

LINE = b"an earlier visit\n"


def with_peers(*names: str) -> pytest.MarkDecorator:
    """Runs tests with each of these fixtures as `peer`."""
    return pytest.mark.parametrize("peer", names, indirect=True)


class AskingServer:
    """A server that asks for a certificate after the handshake.

    ask: makes it ask, and gives what it then sends. evidence: what its log has after that.
    """

    def __init__(
        self, port: int, log: Log, ask: Callable[[Endpoint], bytes], evidence: str
    ) -> None:
        self.port = port
        self.log = log
        self.ask = ask
        self.evidence = evidence


class FeaturePeer(Peer):
    """A peer whose clients come back."""

    _numbers: ClassVar[Iterator[int]] = itertools.count()
    directory: Path
    single_use_tickets = False  # its server takes each ticket once where 0-RTT data is permitted
    echoes_early_data = False

    @abc.abstractmethod
    def returning(
        self, port: int, settings: Settings, early_data: bytes = b""
    ) -> contextlib.AbstractContextManager:
        """A client that was there before, sent LINE or nothing, and offers the session it got."""

    def received_early_data(self, data: bytes) -> str | None:
        """What its server's log has then, or None."""
        return None

    def staple_client(self, port: int, settings: Settings):
        """A client that says what is stapled."""
        return self.client(port, settings)

    # Not every peer has these two; with_peers() and need() keep tests away from those without.

    def asking_server(self, settings: Settings) -> contextlib.AbstractContextManager[AskingServer]:
        """A server that asks for a certificate after the handshake."""
        raise NotImplementedError

    def find_staple(self, client, staple: bytes) -> None:
        """In what the client said."""
        raise NotImplementedError

    def file(self, name: str, content: bytes = b"") -> Path:
        """A new file, with that content if there is any."""
        path = self.directory / f"{next(self._numbers)}-{name}"
        if content:
            path.write_bytes(content)
        return path


def exchange_line(client) -> None:
    """After it, the client has the tickets that a server sends at first."""
    client.send(LINE)
    assert client.receive(len(LINE)) == LINE, client.log.text


def visit(client) -> None:
    with client:
        exchange_line(client)
        client.finish()


class FeatureOpenSSL(OpenSSL, FeaturePeer):
    single_use_tickets = True
    echoes_early_data = True

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    def options(self, settings: Settings) -> list[str | Path]:
        options = super().options(settings)
        if settings.ask_client_certificate:
            options += ["-verify", "5"]
        if settings.post_handshake_auth:
            options += ["-enable_pha"]
        if settings.tickets == 0 and settings.versions == ONLY_TLS12:
            options += ["-no_ticket"]
        elif settings.tickets is not None:
            options += ["-num_tickets", str(settings.tickets)]
        if settings.max_early_data:
            options += ["-max_early_data", str(settings.max_early_data)]
            options += [] if settings.refuse_early_data else ["-early_data"]
        if settings.psk_ke:
            options += ["-allow_no_dhe_kex"]
        if settings.psk is not None:
            options += ["-psk_identity", settings.psk.identity.decode()]
            if settings.psk.hash == "sha256":
                options += ["-psk", settings.psk.key.hex()]
            else:
                options += ["-psk_session", self.file("psk.pem", session_pem(settings.psk))]
        if settings.staple is not None:
            options += ["-status_file", settings.staple]
        if settings.ask_for_staple:
            options += ["-status"]
        return options

    @contextlib.contextmanager
    def server_process(self, settings: Settings, *mode: str):
        if settings.credential is None:
            mode += ("-nocert",)
        with super().server_process(settings, *mode) as started:
            yield started

    @contextlib.contextmanager
    def returning(self, port: int, settings: Settings, early_data: bytes = b""):
        session = self.file("session.pem")
        first = replace(settings, extra=(*settings.extra, "-sess_out", str(session)))
        visit(self.client(port, first))
        options = ["-sess_in", str(session)] if session.exists() else []
        if early_data:
            options += ["-early_data", str(self.file("early-data", early_data))]
        second = replace(settings, extra=(*settings.extra, *options))
        with self.client(port, second) as client:
            yield client

    def staple_client(self, port: int, settings: Settings):
        return self.client(port, settings, mode=())

    def find_staple(self, client, staple: bytes) -> None:
        serial = ocsp.load_der_ocsp_response(staple).serial_number
        client.wait_for_data(b"OCSP Response Status: successful")
        client.wait_for_data(b"Serial Number: 0*%X\n" % serial)
        client.wait_for_data(b"Cert Status: good")

    @contextlib.contextmanager
    def asking_server(self, settings: Settings):
        def ask(endpoint: Endpoint) -> bytes:
            endpoint.send(LINE)
            process.wait_for_data(LINE)
            process.send(b"c\n")
            endpoint.wait_for("certificate_request", 1)
            process.send(LINE)
            return LINE

        with self.server_process(settings) as (port, process):
            yield AskingServer(port, process.log, ask, r"depth=0 .*\nverify return:1")


def session_pem(psk: fasths.ExternalPSK) -> bytes:
    """A PSK as one of OpenSSL's sessions, which have a cipher suite and so a hash."""
    suite = fasths.CipherSuite.TLS_AES_256_GCM_SHA384
    fields = (
        tlv(2, b"\1"),
        tlv(2, b"\3\4"),
        tlv(4, suite.to_bytes(2)),
        tlv(4),  # session id
        tlv(4, psk.key),
        tlv(0xA1, tlv(2, int(time.time()).to_bytes(4))),
        tlv(0xA2, tlv(2, (7200).to_bytes(2))),  # seconds that it lives
    )
    text = base64.encodebytes(tlv(0x30, *fields))
    label = b"SSL SESSION PARAMETERS"
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, text, label)


class FeatureGnuTLS(GnuTLS, FeaturePeer):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory
        # After a HelloRetryRequest its client encrypts the second ClientHello with the keys of its
        # early data, and its server decrypts what is not (3.7.9).
        self.missing |= {EARLY_DATA_REFUSAL, RETRIED_EARLY_DATA}
        # It does not tell an unknown user from one with a wrong key, and asks for a certificate
        # after the handshake only if it has done so before.
        self.missing |= {UNKNOWN_PSK, POST_HANDSHAKE_REFUSAL}
        self.missing |= {SHA384_PSK}

    def priority(self, settings: Settings) -> str:
        words = [super().priority(settings)]
        if settings.psk_ke:
            words += ["+PSK"]
        elif settings.psk is not None:
            words += ["+PSK", "+DHE-PSK", "+ECDHE-PSK"]
        if settings.raw_public_key:
            words += ["-CTYPE-ALL", "+CTYPE-CLI-RAWPK", "+CTYPE-SRV-RAWPK"]
        if settings.tickets == 0:
            words += ["%NO_TICKETS"]  # a client of TLS 1.2 needs it beside --noticket
        return ":".join(words)

    def options(self, settings: Settings) -> list[str | Path]:
        if settings.raw_public_key:
            assert settings.credential is not None
            key = load_pem_private_key(settings.credential.key, None).public_key()
            pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            options = super().options(replace(settings, credential=None))
            options += ["--rawpkkeyfile", settings.credential.key_file]
            options += ["--rawpkfile", self.file("public.pem", pem)]
        else:
            options = super().options(settings)
        if settings.tickets == 0:
            options += ["--noticket"]
        if settings.record_size_limit is not None:
            # Without the octet of TLS 1.3's content type.
            size = settings.record_size_limit - (settings.versions[1] == TLS13)
            options += [f"--recordsize={size}"]
        return options

    def client(self, port: int, settings: Settings):
        extra: list[str] = []
        if settings.post_handshake_auth:
            extra += ["--post-handshake-auth"]
        if settings.psk is not None:
            extra += ["--pskusername", settings.psk.identity.decode()]
            extra += ["--pskkey", settings.psk.key.hex()]
        elif settings.psk_ke:
            # It would ask for a name.
            extra += ["--pskusername", "nobody", "--pskkey", bytes(32).hex()]
        return super().client(port, replace(settings, extra=(*settings.extra, *extra)))

    def server(self, settings: Settings):
        extra: list[str] = []
        if settings.max_early_data:
            extra += [f"--maxearlydata={settings.max_early_data}"]
            extra += [] if settings.refuse_early_data else ["--earlydata"]
        if settings.psk is not None:
            line = b"%b:%b\n" % (settings.psk.identity, settings.psk.key.hex().encode())
            extra += ["--pskpasswd", str(self.file("psk", line))]
        if settings.staple is not None:
            extra += ["--ocsp-response", str(settings.staple)]
            extra += ["--ignore-ocsp-response-errors"]
        return super().server(replace(settings, extra=(*settings.extra, *extra)))

    def staple_client(self, port: int, settings: Settings):
        self.saved_staple = self.file("staple")
        extra = (*settings.extra, f"--save-ocsp={self.saved_staple}")
        return self.client(port, replace(settings, extra=extra))

    def find_staple(self, client, staple: bytes) -> None:
        assert self.saved_staple.read_bytes() == staple

    @contextlib.contextmanager
    def asking_server(self, settings: Settings):
        """It asks during the handshake, too."""

        def ask(endpoint: Endpoint) -> bytes:
            endpoint.send(b"**REAUTH**\n")
            return b"Successfully executed command\n"

        with self.server(replace(settings, ask_client_certificate=True)) as server:
            evidence = r"(?s)re-auth request.*verifying TLS 1.3.*FINISHED \(20\) was received"
            yield AskingServer(server.port, server.log, ask, evidence)

    def returning(self, port: int, settings: Settings, early_data: bytes = b""):
        options = ["--resume", "--waitresumption"]
        if early_data:
            options += [f"--earlydata={self.file('early-data', early_data)}"]
        return self.client(port, replace(settings, extra=(*settings.extra, *options)))

    def received_early_data(self, data: bytes) -> str | None:
        return f"decrypted early data with length: {len(data)}"


class FeatureGo(Go, FeaturePeer):
    missing = Go.missing | {
        PSK_KE,
        SESSION_IDS,
        POST_HANDSHAKE_AUTH,
        POST_HANDSHAKE_OFFER,
        POST_HANDSHAKE_REFUSAL,
    }

    def __init__(self, program: Path, directory: Path) -> None:
        super().__init__(program)
        self.directory = directory

    def options(self, settings: Settings) -> list[str | Path]:
        options = super().options(settings)
        if settings.ask_client_certificate:
            options += ["-ask"]
        if settings.tickets == 0:
            options += ["-no-tickets"]
        if settings.staple is not None:
            options += ["-staple", settings.staple]
        if settings.timestamps:
            options += ["-timestamps", ",".join(each.hex() for each in settings.timestamps)]
        return options

    def find_staple(self, client, staple: bytes) -> None:
        assert go_report(client.log)["staple"] == staple.hex()

    @contextlib.contextmanager
    def returning(self, port: int, settings: Settings, early_data: bytes = b""):
        extra = (*settings.extra, "-session", str(self.file("session.json")))
        settings = replace(settings, extra=extra)
        visit(self.client(port, settings))
        with self.client(port, settings) as client:
            yield client


class FeatureStdlib(Stdlib, FeaturePeer):
    missing = Stdlib.missing | {PSK_KE}

    def context(self, settings: Settings, server_side: bool):
        context = super().context(settings, server_side)
        if settings.ask_client_certificate:
            context.verify_mode = ssl.CERT_OPTIONAL
        if settings.post_handshake_auth:
            context.post_handshake_auth = True
        if settings.tickets == 0 and settings.versions == ONLY_TLS12:
            context.options |= ssl.OP_NO_TICKET
        elif settings.tickets is not None:
            context.num_tickets = settings.tickets
        return context

    @contextlib.contextmanager
    def returning(self, port: int, settings: Settings, early_data: bytes = b""):
        context = self.context(settings, server_side=False)
        with StdlibEndpoint(context, self.tcp(port), settings.server_name, Log()) as first:
            exchange_line(first)
            assert first.socket is not None
            session = first.socket.session
            first.finish()
        with StdlibEndpoint(
            context, self.tcp(port), settings.server_name, Log(), session
        ) as client:
            yield client

    @contextlib.contextmanager
    def asking_server(self, settings: Settings):
        def serve(endpoint: StdlibEndpoint) -> None:
            assert endpoint.socket is not None
            endpoint.receive(len(LINE))
            endpoint.socket.verify_client_post_handshake()
            endpoint.send(LINE)
            if endpoint.receive(len(LINE)) == LINE:
                shown = endpoint.socket.getpeercert(binary_form=True) is not None
                endpoint.log.add(f"certificate: {shown}\n")
                endpoint.finish()

        settings = replace(settings, ask_client_certificate=True, post_handshake_auth=True)
        with self.server(settings, serve) as server:
            yield AskingServer(server.port, server.log, send_line, "certificate: True")


def send_line(endpoint: Endpoint) -> bytes:
    endpoint.send(LINE)
    return LINE
