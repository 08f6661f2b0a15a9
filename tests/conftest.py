"""What the tests of the command line share: certificates in files, and servers that run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from cli_processes import Server, serving


def write_identity(folder: Path, name: str, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return chain, key


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("pki")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")
    server_cert, server_key = write_identity(
        folder, "server", ca.issue_cert("localhost", "127.0.0.1", "::1")
    )
    client_cert, client_key = write_identity(
        folder, "client", ca.issue_cert("someone@example.com", common_name="<someone> & co")
    )
    return SimpleNamespace(
        folder=folder,
        ca=folder / "ca.pem",
        other_ca=folder / "other.pem",
        server=("--cert", server_cert, "--key", server_key),
        server_cert=server_cert,
        server_key=server_key,
        client=("--cert", client_cert, "--key", client_key),
        client_cert=client_cert,
        client_key=client_key,
    )


@pytest.fixture(scope="module")
def www(pki: SimpleNamespace) -> Iterator[Server]:
    with serving(*pki.server, "--www", "--alpn", "h2,http/1.1") as running:
        yield running


@pytest.fixture(scope="module")
def echo(pki: SimpleNamespace) -> Iterator[Server]:
    with serving(*pki.server, "--timeout", 2) as running:
        yield running
