"""TLS 1.2 on the command line: real processes, files and peers."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_processes import (
    REQUEST,
    TIMEOUT,
    Running,
    Server,
    read_all,
    run_client,
    serving,
    stdlib_client,
    stdlib_connect,
)

import fasths
from fasths.cli import main

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)
TLS12 = ("--max-version", "1.2")
SUITE = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"


@pytest.fixture(scope="module")
def only12(pki: SimpleNamespace) -> Iterator[Server]:
    """Has no TLS 1.3, and shows what was negotiated."""
    with serving(*pki.server, "--www", *TLS12) as running:
        yield running


def connect(pki: SimpleNamespace, address: str, *flags: object, data: bytes = b"") -> str:
    """What a client shows that does not fail, and what it received."""
    done = run_client("--ca-file", pki.ca, *flags, address, data=data)
    assert done.returncode == 0, done.stderr
    return (done.stderr + done.stdout).decode()


def refused(pki: SimpleNamespace, address: str, *flags: object) -> str:
    """The last line of a client that fails."""
    done = run_client("--ca-file", pki.ca, "--quiet", *flags, address)
    assert done.returncode == 1
    return done.stderr.decode().splitlines()[-1]


def value(name: str, shown: str) -> str:
    found = re.search(rf"^{name}: +(.*)$", shown, re.MULTILINE)
    assert found, shown
    return found[1]


# What is negotiated


def test_client_and_server_show_what_was_negotiated(pki: SimpleNamespace, only12: Server) -> None:
    start = len(only12.lines)
    flags = ("--ignore-eof", "--cipher-suites", f"TLS_AES_128_GCM_SHA256,{SUITE}")
    shown = connect(pki, only12.address, *flags, data=REQUEST)
    client, _, page = shown.partition("HTTP/1.1 200 OK")
    for side in (client, page):
        assert value("Version", side) == "TLSv1.2"
        assert value("Cipher suite", side) == SUITE
        assert value("Group", side) == "x25519"
        assert value("Signature scheme", side) == "ecdsa_secp256r1_sha256"
        assert value("Extended master secret", side) == "yes"
        assert value("Handshake", side) == "full"
    assert value("Verification", client).startswith("ok, name matches")
    assert re.fullmatch("t13d[0-9a-z]{6}_[0-9a-f]{12}_[0-9a-f]{12}", value("JA4", page))
    only12.wait_for(
        rf"connected: TLSv1\.2 {SUITE} x25519 ecdsa_secp256r1_sha256 yes none localhost full none",
        start,
    )


@pytest.mark.parametrize(
    ("flags", "version"),
    [
        ((), "TLSv1.3"),
        (("--max-version", "1.2"), "TLSv1.2"),
        (("--min-version", "1.3"), "TLSv1.3"),
        # A version without suites is turned off.
        (("--cipher-suites", SUITE), "TLSv1.2"),
    ],
    ids=["by default", "maximum", "minimum", "suites"],
)
def test_flags_choose_the_version(
    pki: SimpleNamespace, www: Server, flags: tuple[str, ...], version: str
) -> None:
    assert value("Version", connect(pki, www.address, "--connect-only", *flags)) == version


def test_versions_without_one_in_common(pki: SimpleNamespace, only12: Server) -> None:
    line = refused(pki, only12.address, "--min-version", "1.3")
    assert "(origin: peer, alert received: protocol_version)" in line
    with serving(*pki.server, "--min-version", "1.3") as only13:
        line = refused(pki, only13.address, *TLS12)
    assert "(origin: peer, alert received: protocol_version)" in line


def test_trace_shows_each_message(pki: SimpleNamespace, only12: Server) -> None:
    shown = connect(pki, only12.address, "--connect-only", "--trace")
    assert re.findall(r"^(>>>|<<<) (.*), \d+ bytes$", shown, re.MULTILINE)[:12] == [
        (">>>", "handshake client_hello"),
        ("<<<", "handshake server_hello"),
        ("<<<", "handshake certificate"),
        ("<<<", "handshake server_key_exchange"),
        ("<<<", "handshake server_hello_done"),
        (">>>", "handshake client_key_exchange"),
        (">>>", "change_cipher_spec"),
        (">>>", "handshake finished"),
        ("<<<", "handshake new_session_ticket"),
        ("<<<", "change_cipher_spec"),
        ("<<<", "handshake finished"),
        (">>>", "alert warning close_notify"),
    ]


def test_keylog_has_the_master_secret(pki: SimpleNamespace, only12: Server, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    connect(pki, only12.address, "--connect-only", "--keylog", file)
    assert re.fullmatch(r"CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n", file.read_text())


def test_client_certificate(pki: SimpleNamespace) -> None:
    flags = ("--www", "--verify", "required", "--ca-file", pki.ca, *TLS12)
    with serving(*pki.server, *flags) as running:
        page = connect(pki, running.address, "--ignore-eof", *pki.client, data=REQUEST)
        assert value("Client certificate verified", page) == "yes"
        # Unlike in TLS 1.3, the client hears of it in the handshake (RFC 5246, 7.4.6).
        line = refused(pki, running.address, "--connect-only")
    assert line.startswith("fasths: handshake failed: ")
    assert "alert received: handshake_failure" in line


# Extended master secret

# SSL_OP_NO_EXTENDED_MASTER_SECRET, for which the ssl module has no name.
NO_EXTENDED_MASTER_SECRET = 1
needs_openssl_3 = pytest.mark.skipif(
    ssl.OPENSSL_VERSION_INFO < (3,), reason="OpenSSL below 3.0 always has it"
)
REQUIRE = "--require-extended-master-secret"


@contextmanager
def server_without_it(pki: SimpleNamespace, connections: int) -> Iterator[str]:
    """A server of the standard library, for so many connections; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_cert, pki.server_key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= NO_EXTENDED_MASTER_SECRET

    def serve() -> None:
        for _ in range(connections):
            sock, _ = listener.accept()
            sock.settimeout(TIMEOUT)
            with suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True) as tls:
                read_all(tls)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"localhost:{listener.getsockname()[1]}"
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@needs_openssl_3
def test_server_without_extended_master_secret(pki: SimpleNamespace, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with server_without_it(pki, 2) as address:
        shown = connect(pki, address, "--connect-only", "--session-out", session)
        assert value("Extended master secret", shown) == "no"
        # RFC 7627, 5.3: what is not bound to the handshake is not resumed.
        assert not session.exists()
        line = refused(pki, address, "--connect-only", REQUIRE)
    assert "no extended_master_secret (origin: local, alert sent: handshake_failure)" in line


@needs_openssl_3
def test_client_without_extended_master_secret(pki: SimpleNamespace, only12: Server) -> None:
    context = stdlib_client(pki)
    context.options |= NO_EXTENDED_MASTER_SECRET
    with stdlib_connect(context, only12.port) as tls:
        tls.sendall(REQUEST)
        assert value("Extended master secret", read_all(tls).decode()) == "no"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(*pki.server, REQUIRE) as strict:
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
            stdlib_connect(context, strict.port)
        strict.wait_for("no extended_master_secret .*alert sent: handshake_failure")


# Sessions


def resume(pki: SimpleNamespace, running: Server, file: Path) -> tuple[list[str], list[bytes]]:
    """How four handshakes in a row went with a session, and what the file had after each."""
    handshakes, contents = [], []
    for _ in range(4):
        offered = ("--session-in", file) if contents else ()
        shown = connect(pki, running.address, "--connect-only", "--session-out", file, *offered)
        handshakes.append(value("Handshake", shown))
        contents.append(file.read_bytes())
        assert value("Verification", shown).startswith("ok, name matches")
    return handshakes, contents


@pytest.mark.parametrize("store", [False, True], ids=["ticket", "session id"])
def test_session_is_used_again_and_again(pki: SimpleNamespace, tmp_path: Path, store: bool) -> None:
    flags = ("--session-store", tmp_path / "store") if store else ()
    with serving(*pki.server, *TLS12, *flags) as running:
        handshakes, contents = resume(pki, running, tmp_path / "session")
        running.wait_for(r"TLSv1\.2 \S+ none none yes none localhost resumed none t13d")
    assert handshakes == ["full", "resumed", "resumed", "resumed"]
    # Nothing new comes with a resumption: it is one and the same session.
    assert len(set(contents)) == 1
    session = fasths.Session.from_bytes(contents[0])
    assert session.version is fasths.TLSVersion.TLSv1_2


def test_session_in_a_store_outlives_the_server(pki: SimpleNamespace, tmp_path: Path) -> None:
    flags = (*TLS12, "--session-store", tmp_path / "store")
    session = tmp_path / "session"
    with serving(*pki.server, *flags) as running:
        connect(pki, running.address, "--connect-only", "--session-out", session)
    with serving(*pki.server, *flags) as running:
        shown = connect(pki, running.address, "--connect-only", "--session-in", session)
    assert value("Handshake", shown) == "resumed"


def test_server_without_sessions_leaves_none(pki: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "session"
    with serving(*pki.server, *TLS12, "--tickets", 0) as running:
        shown = connect(pki, running.address, "--connect-only", "--session-out", file)
    assert "nothing arrived to resume this with" in shown
    assert not file.exists()


@pytest.mark.parametrize("first", ["1.2", "1.3"])
def test_session_of_another_version_means_a_full_handshake(
    pki: SimpleNamespace, www: Server, tmp_path: Path, first: str
) -> None:
    file = tmp_path / "session"
    version = ("--min-version", first, "--max-version", first)
    connect(pki, www.address, "--connect-only", "--session-out", file, *version)
    session = fasths.Session.from_bytes(file.read_bytes())
    assert session.version.name == "TLSv1_" + first[-1]
    other = ("--min-version", "1.3") if first == "1.2" else TLS12
    shown = connect(pki, www.address, "--connect-only", "--session-in", file, *other)
    assert value("Handshake", shown) == "full"


def test_early_data_follows_later(pki: SimpleNamespace, tmp_path: Path) -> None:
    file, first = tmp_path / "session", tmp_path / "first"
    first.write_bytes(b"this goes first")
    with serving(*pki.server, *TLS12) as running:
        connect(pki, running.address, "--connect-only", "--session-out", file)
        flags = ("--session-in", file, "--early-data", first)
        shown = connect(pki, running.address, *flags, data=b", and this later")
    assert value("Handshake", shown) == "resumed"
    assert value("Early data", shown) == "none, because TLS 1.2 has none"
    assert shown.endswith("this goes first, and this later")


# With openssl


def s_client(running: Server, pki: SimpleNamespace, *flags: object) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", "-CAfile", str(pki.ca),
         "-servername", "localhost", "-verify_return_error", "-ign_eof", *map(str, flags)],
        input=REQUEST, capture_output=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")


@contextmanager
def s_server(pki: SimpleNamespace, *flags: str) -> Iterator[str]:
    """`openssl s_server` on a free port; its address."""
    running = Running(
        # Its stdout, where it says its port, joins the stderr that is watched.
        ["sh", "-c", 'exec "$@" >&2', "sh", "openssl", "s_server", "-accept", "127.0.0.1:0",
         "-cert", str(pki.server_cert), "-key", str(pki.server_key), *flags],
    )  # fmt: skip
    try:
        port = running.wait_for(r"^ACCEPT 127\.0\.0\.1:(\d+)$")[1]
        yield f"localhost:{port}"
    finally:
        running.stop()


@needs_openssl
def test_s_client_gets_the_page(pki: SimpleNamespace, www: Server) -> None:
    shown = s_client(www, pki, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "Verify return code: 0 (ok)" in shown
    assert re.search("Extended master secret: yes", shown)
    page = shown[shown.index("HTTP/1.1 200 OK") :]
    assert value("Version", page) == "TLSv1.2"
    assert value("Cipher suite", page) == SUITE
    assert value("Extended master secret", page) == "yes"
    assert value("JA4", page).startswith("t12d")


@needs_openssl
@pytest.mark.parametrize("flags", [(), ("-no_ticket",)], ids=["ticket", "session id"])
def test_s_client_resumes(
    pki: SimpleNamespace, www: Server, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    session = tmp_path / "session"
    assert "New, TLSv1.2" in s_client(www, pki, "-tls1_2", *flags, "-sess_out", session)
    for _ in range(2):
        shown = s_client(www, pki, "-tls1_2", *flags, "-sess_in", session)
        assert "Reused, TLSv1.2" in shown
        assert value("Handshake", shown[shown.index("HTTP/1.1 200 OK") :]) == "resumed"


@needs_openssl
def test_s_client_without_a_suite_in_common(pki: SimpleNamespace, www: Server) -> None:
    start = len(www.lines)
    assert "handshake failure" in s_client(www, pki, "-tls1_2", "-cipher", "AES128-SHA")
    www.wait_for("handshake failed: .*alert sent: handshake_failure", start)


@needs_openssl
@pytest.mark.parametrize("flags", [(), ("-no_ticket",)], ids=["ticket", "session id"])
def test_client_with_s_server(pki: SimpleNamespace, tmp_path: Path, flags: tuple[str, ...]) -> None:
    session = tmp_path / "session"
    with s_server(pki, "-www", "-tls1_2", *flags) as address:
        for expected, offered in (("full", ()), ("resumed", ("--session-in", session))):
            shown = connect(
                pki, address, "--ignore-eof", "--session-out", session, *offered, data=REQUEST
            )
            assert value("Version", shown) == "TLSv1.2"
            assert value("Handshake", shown) == expected
            assert value("Extended master secret", shown) == "yes"
            assert "HTTP/1.0 200 ok" in shown


# Usage


@pytest.mark.parametrize("command", ["client", "server"])
def test_help_tells_what_tls12_lacks(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1.2 or 1.3 (default: 1.2)" in shown
    assert "--require-extended-master-secret" in shown
    assert re.search(r"0-RTT\S*,? [^.]*TLS 1\.[23]", shown)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["client", *TLS12, "--session-in", "s", "--early-data", "f"], "no early data"),
        (["client", *TLS12, "--post-handshake-auth"], "no authentication after the handshake"),
        (["client", *TLS12, "--key-share-groups", "x25519"], "no key shares"),
        (["client", *TLS12, "--certificate-compression", "zlib"], "no compressed certificates"),
        (["client", "--cipher-suites", SUITE, "--padding", "64"], "no padding"),
        (["client", *TLS12, "--psk", "me:00"], "no pre-shared keys"),
        (["server", *TLS12, "--psk", "me:00"], "no pre-shared keys"),
        (["server", *TLS12, "--cert", "a", "--early-data", "9"], "no early data"),
        (["client", "--min-version", "1.3", "--max-version", "1.2"], "above maximum_version"),
        (["client", "--min-version", "1.3", "--cipher-suites", SUITE], "no version is left"),
        (["client", "--max-version", "1.1"], "TLSv1.2, TLSv1.3"),
        (["client", *TLS12, "--cipher-suites", "TLS_RSA_WITH_AES_128_CBC_SHA"], SUITE),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["localhost"] if arguments[0] == "client" else []
    assert main([*arguments, *target]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert "Traceback" not in shown
