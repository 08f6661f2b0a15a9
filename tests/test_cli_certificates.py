"""Certificates, staples and records on the command line: real processes, files and peers."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_processes import REQUEST, TIMEOUT, Running, Server, command, run_client, serving
from pki import REVOKED, Credential, make_ca, make_leaf, ocsp_response

import fasths
from fasths.cli import main

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)


@pytest.fixture(scope="module")
def ca() -> Credential:
    return make_ca("test authority of the command line")


@pytest.fixture(scope="module")
def files(ca: Credential, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Certificates for two names and a person, and OCSP responses."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "ca.pem").write_bytes(ca.pem)
    made = SimpleNamespace(ca=folder / "ca.pem")
    for name in ("localhost", "shop.example", "somebody.example"):
        leaf = make_leaf([name], issuer=ca)
        # The key is looked for in the file of the certificate.
        path = folder / f"{name}.pem"
        path.write_bytes(leaf.chain_pem + leaf.key_pem)
        setattr(made, name.partition(".")[0], path)
        if name == "localhost":
            made.staple, made.revoked = folder / "good.der", folder / "revoked.der"
            made.staple.write_bytes(ocsp_response(leaf))
            made.revoked.write_bytes(ocsp_response(leaf, status=REVOKED))
    return made


@pytest.fixture(scope="module")
def stapled(files: SimpleNamespace) -> Iterator[Server]:
    """Has certificates for two names, and a staple to the first."""
    with serving(
        "--cert", files.localhost, "--cert", files.shop, "--status-file", files.staple, "--www",
        "--certificate-compression", "zlib",
    ) as running:  # fmt: skip
        yield running


def connect(files: SimpleNamespace, running: Server, *flags: object) -> str:
    """What a client shows that does not fail."""
    done = run_client("--ca-file", files.ca, "--connect-only", *flags, running.address)
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()


def refusal(files: SimpleNamespace, running: Server, *flags: object) -> str:
    """What a client says last that fails."""
    done = run_client("--ca-file", files.ca, "--connect-only", *flags, running.address)
    assert done.returncode == 1
    return done.stderr.decode().splitlines()[-1]


def test_name_decides_about_the_certificate(files: SimpleNamespace, stapled: Server) -> None:
    for name in ("localhost", "shop.example"):
        shown = connect(files, stapled, "--server-name", name)
        assert re.search(rf"^    names: +{name}$", shown, re.MULTILINE)


# Staples


def test_staple_is_shown(files: SimpleNamespace, stapled: Server) -> None:
    size = files.staple.stat().st_size
    shown = connect(files, stapled)
    assert re.search(rf"^Staple: +{size} bytes\nSCTs: +0$", shown, re.MULTILINE)
    shown = connect(files, stapled, "--status")
    assert re.search(
        rf"^Staple: +{size} bytes\n"
        r"Staple policy: +check\n"
        r"Staple verdict: +good until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n",
        shown,
        re.MULTILINE,
    )
    shown = connect(files, stapled, "--status", "--insecure")
    assert "not checked, because the chain is not" in shown


def test_staple_that_is_missing(files: SimpleNamespace, stapled: Server) -> None:
    name = ("--server-name", "shop.example")
    shown = connect(files, stapled, "--status", *name)
    assert re.search(r"^Staple: +none\nStaple policy: +check\nSCTs", shown, re.MULTILINE)
    required = ("--staple-policy", "require")
    connect(files, stapled, *required)
    assert "alert sent: bad_certificate_status_response" in refusal(
        files, stapled, *required, *name
    )


def test_revoked_certificate_is_refused_unless_staples_are_ignored(files: SimpleNamespace) -> None:
    with serving("--cert", files.localhost, "--status-file", files.revoked) as running:
        assert "alert sent: certificate_revoked" in refusal(files, running)
        shown = connect(files, running, "--status", "--staple-policy", "ignore")
    # It was not asked for.
    assert re.search(r"^Staple: +none\nStaple policy: +ignore$", shown, re.MULTILINE)


@needs_openssl
def test_staple_for_openssl(files: SimpleNamespace, stapled: Server) -> None:
    shown = openssl_client(stapled, "-CAfile", files.ca, "-servername", "localhost", "-status")
    assert "OCSP Response Status: successful" in shown
    assert "Cert Status: good" in shown


# Certificates of clients


def openssl_client(running: Server, *arguments: object) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    return done.stdout.decode(errors="replace")


@needs_openssl
@pytest.mark.parametrize("told", [False, True])
def test_names_of_authorities(files: SimpleNamespace, told: bool) -> None:
    flags = ("--cert", files.localhost, "--verify", "optional", "--ca-file", files.ca)
    with serving(*flags, *(["--client-ca-names"] if told else [])) as running:
        shown = openssl_client(running)
    assert ("Acceptable client certificate CA names" in shown) is told
    assert ("CN = test authority of the command line\n" in shown.partition("CA names")[2]) is told


def test_client_takes_the_certificate_of_a_named_authority(
    files: SimpleNamespace, pki: SimpleNamespace
) -> None:
    with serving(
        "--cert", files.localhost, "--www", "--verify", "required", "--ca-file", files.ca,
        "--client-ca-names",
    ) as running:  # fmt: skip
        done = run_client(
            "--ca-file", files.ca, "--quiet", "--ignore-eof", running.address,
            *pki.client, "--cert", files.somebody, "--key", files.somebody, data=REQUEST,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(rb"Client certificate names: +somebody\.example\n", done.stdout)


@needs_openssl
def test_certificate_after_the_handshake(files: SimpleNamespace) -> None:
    running = Running(
        # Its stdout joins the stderr that is watched.
        ["sh", "-c", 'exec "$@" >&2', "sh", "openssl", "s_server", "-accept", "127.0.0.1:0",
         "-cert", str(files.localhost), "-CAfile", str(files.ca)],
    )  # fmt: skip
    client = None
    try:
        port = running.wait_for(r"^ACCEPT 127\.0\.0\.1:(\d+)$")[1]
        own = ("--cert", files.somebody, "--key", files.somebody, "--post-handshake-auth")
        client = Running(
            command("client", "--ca-file", files.ca, *own, "--trace", f"localhost:{port}")
        )
        client.wait_for("^Handshake: +full$")
        assert running.process.stdin is not None
        running.process.stdin.write(b"c\n")  # "send a certificate request to the client"
        running.process.stdin.flush()
        client.wait_for("^>>> handshake certificate_verify")
        # It names who issued what it verified.
        running.wait_for("^depth=0 .*test leaf")
    finally:
        for process in (client, running):
            if process is not None:
                process.stop()


# What is sent, and how


def test_certificates_are_compressed(files: SimpleNamespace, stapled: Server) -> None:
    shown = connect(files, stapled, "--trace", "--certificate-compression", "zlib")
    assert "<<< handshake compressed_certificate" in shown
    assert "<<< handshake compressed_certificate" not in connect(files, stapled, "--trace")


def records(running: Server, context: fasths.Context, data: bytes) -> list[int]:
    """The lengths of the server's records behind the handshake, as it answers."""
    bio, received = fasths.MemoryBIO(), b""
    connection = fasths.Connection(context, bio, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT) as sock:
        while connection.connect() != 1:
            sock.sendall(bio.read())
            bio.write(sock.recv(65536))
        connection.write(data)
        sock.sendall(bio.read())
        count = 0
        while count < len(data):
            part = sock.recv(65536)
            received += part
            bio.write(part)
            while answer := connection.read():
                count += len(answer)
    lengths = []
    while received:
        size = int.from_bytes(received[3:5], "big")
        lengths.append(size)
        received = received[5 + size :]
    return lengths


def test_limit_and_padding_of_records(files: SimpleNamespace) -> None:
    context = fasths.Context(
        trust=fasths.TrustStore.from_file(files.ca), record_size_limit=500, groups=["x25519"]
    )
    with serving("--cert", files.localhost, "--tickets", 0, "--padding", 100) as running:
        lengths = records(running, context, bytes(1001))
    tag = 16
    # 499 bytes and their type fit into a record; what is left is padded.
    assert lengths == [500 + tag, 500 + tag, 100 + tag]


def test_limit_of_the_client_is_kept_by_the_server(files: SimpleNamespace, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    with serving("--cert", files.localhost, "--record-size-limit", 64) as running:
        done = run_client(
            "--ca-file", files.ca, "--quiet", "--record-size-limit", 100, "--padding", 16,
            running.address, data=data,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, data), done.stderr


# Usage


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["client", "--staple-policy", "maybe", "localhost"], "invalid choice"),
        (["client", "--certificate-compression", "lzma", "localhost"], "zlib, brotli, zstd"),
        (["client", "--record-size-limit", "63", "localhost"], "record_size_limit"),
        (["client", "--record-size-limit", "-1", "localhost"], "not a whole number"),
        (["client", "--padding", "16386", "localhost"], "record_padding"),
        (["server", "--status-file", "a"], "--cert"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


def test_wrong_usage_of_files_is_explained(
    files: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = ["server", "--cert", str(files.localhost)]
    staple = ["--status-file", str(files.staple)]
    for flags, complaint in (
        ([*staple, *staple], "more --status-file than --cert"),
        (["--status-file", "/nowhere/a"], "/nowhere/a: No such file"),
        (["--client-ca-names"], "--client-ca-names needs --verify"),
    ):
        assert main([*certificate, *flags]) == 2
        assert complaint in capsys.readouterr().err
