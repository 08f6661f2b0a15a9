"""Contexts of both modules, in each direction; which of them a socket is of; libraries to test.

    def test_something(sides):
        with a_server(sides.server_context()) as port:
            with sides.client_context().wrap_socket(...) as sock:
                sides.check_client(sock)

`sides` runs a test in TLS 1.3 and 1.2, with fasths as the client, as the server, and as both.
"""

from __future__ import annotations

import importlib
import os
import ssl as real_ssl
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pki
import pytest

from fasths import ssl as fasths_ssl

HOST = "localhost"
ADDRESS = "127.0.0.1"
OTHER_HOST = "elsewhere.example"
VERSIONS = {"1.3": real_ssl.TLSVersion.TLSv1_3, "1.2": real_ssl.TLSVersion.TLSv1_2}
VERSION_NAMES = {
    real_ssl.TLSVersion.TLSv1_3: "TLSv1.3",
    real_ssl.TLSVersion.TLSv1_2: "TLSv1.2",
}
# Which side fasths is: the modules of the client and of the server.
MODULES: dict[str, tuple[ModuleType, ModuleType]] = {
    "client": (fasths_ssl, real_ssl),
    "server": (real_ssl, fasths_ssl),
    "both": (fasths_ssl, fasths_ssl),
}


def library(name: str) -> Any:
    """A library to test, for the top of a module; the module is skipped where there is none.

    Continuous integration installs all of them, so there it fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports itself
            return importlib.import_module(name)
    except ImportError as error:
        if "CI" in os.environ or error.name != name.partition(".")[0]:
            raise
        pytest.skip(f"{name} is not installed", allow_module_level=True)


@dataclass(frozen=True)
class Identity:
    """A certificate chain and its key, as files."""

    chain: Path
    key: Path


class Certificates:
    """An authority that both sides know, with its leaves; and one that nobody knows."""

    def __init__(self, directory: Path) -> None:
        root = pki.make_ca("ecosystem root")
        self._issuer = pki.make_ca("ecosystem intermediate", issuer=root)
        self._directory = directory
        self.authority = directory / "authority.pem"
        self.authority.write_bytes(root.pem)
        self.other_authority = directory / "other-authority.pem"
        self.other_authority.write_bytes(pki.make_ca("another root").pem)
        self.server = self.identity("server", (HOST, ADDRESS))
        self.other_server = self.identity("other-server", (OTHER_HOST,))
        self.client = self.identity("client", ("client@example.com",))

    def identity(self, stem: str, names: Sequence[str]) -> Identity:
        """A leaf for these names, in files that are called so."""
        leaf = pki.make_leaf(names, issuer=self._issuer, subject=pki.name(f"the {stem}"))
        identity = Identity(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        identity.chain.write_bytes(leaf.chain_pem)
        identity.key.write_bytes(leaf.key_pem)
        identity.key.chmod(0o600)
        return identity


@dataclass(frozen=True)
class View:
    """What there is to see of a connection: whether fasths is inside, and its version."""

    is_of_fasths: bool
    version: str | None

    @classmethod
    def of(cls, connection: Any) -> View:
        """Of an SSLSocket or SSLObject of either module."""
        return cls(is_of_fasths(connection), connection.version())


def is_of_fasths(connection: Any) -> bool:
    return type(connection._sslobj).__module__.startswith("fasths.")


@dataclass(frozen=True)
class Sides:
    """The module and the version of each side, and contexts of them."""

    client: ModuleType
    server: ModuleType
    version: real_ssl.TLSVersion
    certificates: Certificates

    @property
    def version_name(self) -> str:
        """What SSLSocket.version() gives."""
        return VERSION_NAMES[self.version]

    def client_context(
        self,
        *,
        identity: Identity | None = None,
        authority: Path | None = None,
        alpn: Iterable[str] = (),
    ) -> Any:
        """Trusts the authority and nobody else. identity: what the client shows."""
        context = self.client.SSLContext(real_ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority or self.certificates.authority)
        return self._set(context, identity, alpn)

    def server_context(
        self,
        *,
        identity: Identity | None = None,
        wants_certificate: bool = False,
        alpn: Iterable[str] = (),
    ) -> Any:
        context = self.server.SSLContext(real_ssl.PROTOCOL_TLS_SERVER)
        if wants_certificate:
            context.load_verify_locations(self.certificates.authority)
            context.verify_mode = real_ssl.CERT_REQUIRED
        return self._set(context, identity or self.certificates.server, alpn)

    def _set(self, context: Any, identity: Identity | None, alpn: Iterable[str]) -> Any:
        context.minimum_version = context.maximum_version = self.version
        if identity is not None:
            context.load_cert_chain(identity.chain, identity.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    @property
    def client_view(self) -> View:
        """What a connection of the client has to be."""
        return View(self.client is fasths_ssl, self.version_name)

    @property
    def server_view(self) -> View:
        return View(self.server is fasths_ssl, self.version_name)

    def check_client(self, connection: Any) -> None:
        assert View.of(connection) == self.client_view

    def check_server(self, connection: Any) -> None:
        assert View.of(connection) == self.server_view
