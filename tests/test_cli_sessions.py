"""Sessions, early data and pre-shared keys on the command line: real processes, files and peers."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_processes import REQUEST, TIMEOUT, Running, Server, command, run_client, serving

import fasths
from fasths.cli import main

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)
KEY = "00112233445566778899aabbccddeeff"
FIRST = b"this goes first"


@pytest.fixture(scope="module")
def early(pki: SimpleNamespace) -> Iterator[Server]:
    """Sends back what arrives, and takes early data."""
    with serving(*pki.server, "--early-data", 1000) as running:
        yield running


def connect(pki: SimpleNamespace, address: str, *flags: object, data: bytes = b"") -> str:
    """What a client shows that does not fail, and what it received."""
    done = run_client("--ca-file", pki.ca, *flags, address, data=data)
    assert done.returncode == 0, done.stderr
    return (done.stderr + done.stdout).decode()


def session_of(pki: SimpleNamespace, address: str, file: Path) -> Path:
    shown = connect(pki, address, "--connect-only", "--session-out", file)
    assert re.search(r"^Handshake: +full$", shown, re.MULTILINE)
    return file


def value(name: str, shown: str) -> str:
    found = re.search(rf"^{name}: +(.*)$", shown, re.MULTILINE)
    assert found, shown
    return found[1]


# Sessions in files


def test_session_is_kept_and_resumed(pki: SimpleNamespace, www: Server, tmp_path: Path) -> None:
    file = session_of(pki, www.address, tmp_path / "session")
    assert file.stat().st_mode & 0o777 == 0o600
    start = len(www.lines)
    flags = ("--connect-only", "--session-in", file, "--session-out", file)
    for _ in range(2):  # what the resumed connection got resumes the next one
        before = file.read_bytes()
        shown = connect(pki, www.address, *flags)
        assert value("Handshake", shown) == "resumed"
        # The certificate of the first connection was verified anew.
        assert value("Verification", shown).startswith("ok, name matches")
        assert "names:" in shown
        assert file.read_bytes() != before
    www.wait_for(r"connected: TLSv1\.3 \S+ \S+ none yes none localhost resumed none t13d", start)
    assert list(tmp_path.iterdir()) == [file]


def test_page_says_that_a_session_was_resumed(
    pki: SimpleNamespace, www: Server, tmp_path: Path
) -> None:
    file = session_of(pki, www.address, tmp_path / "session")
    page = connect(pki, www.address, "--quiet", "--ignore-eof", "--session-in", file, data=REQUEST)
    assert value("Handshake", page) == "resumed"
    assert re.fullmatch("t13d[0-9a-z]{6}_[0-9a-f]{12}_[0-9a-f]{12}", value("JA4", page))


def test_other_trust_means_a_full_handshake(
    pki: SimpleNamespace, www: Server, tmp_path: Path
) -> None:
    file = session_of(pki, www.address, tmp_path / "session")
    done = run_client(
        "--ca-file", pki.other_ca, "--connect-only", "--session-in", file, www.address
    )
    assert done.returncode == 1
    assert b"alert sent: unknown_ca" in done.stderr


def test_server_without_tickets_leaves_no_session(pki: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "session"
    with serving(*pki.server, "--tickets", 0) as running:
        shown = connect(pki, running.address, "--connect-only", "--session-out", file)
    assert "nothing arrived to resume this with" in shown
    assert not file.exists()


@pytest.mark.parametrize("count", [1, 5])
def test_number_of_tickets(pki: SimpleNamespace, count: int) -> None:
    with serving(*pki.server, "--tickets", count) as running:
        shown = connect(pki, running.address, "--connect-only", "--trace")
    assert shown.count("<<< handshake new_session_ticket") == count


def test_session_that_cannot_be_written_is_a_failure(pki: SimpleNamespace, www: Server) -> None:
    done = run_client(
        "--ca-file", pki.ca, "--quiet", "--connect-only", "--session-out", "/nowhere/session",
        www.address,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"fasths: cannot write the session: ")


# Servers that share files


def test_servers_that_share_ticket_keys_resume_each_others_sessions(
    pki: SimpleNamespace, tmp_path: Path
) -> None:
    ring, file = tmp_path / "ring", tmp_path / "session"
    with (
        serving(*pki.server, "--ticket-keys", ring) as one,
        serving(*pki.server, "--ticket-keys", ring) as other,
        serving(*pki.server) as stranger,
    ):
        assert ring.stat().st_mode & 0o777 == 0o600
        assert fasths.TicketKeys.from_bytes(ring.read_bytes())
        session_of(pki, one.address, file)
        for running, expected in ((other, "resumed"), (stranger, "full")):
            shown = connect(pki, running.address, "--connect-only", "--session-in", file)
            assert value("Handshake", shown) == expected
    assert [path.name for path in tmp_path.iterdir() if path != file] == ["ring"]


def test_servers_that_start_at_once_agree_on_the_keys(pki: SimpleNamespace, tmp_path: Path) -> None:
    ring, file = tmp_path / "ring", tmp_path / "session"
    flags = ("server", "--port", 0, *pki.server, "--ticket-keys", ring)
    servers = [Running(command(*flags)) for _ in range(3)]
    try:
        addresses = [
            f"localhost:{each.wait_for(r'^listening on 127.0.0.1:([0-9]+)$')[1]}"
            for each in servers
        ]
        session_of(pki, addresses[0], file)
        for address in addresses[1:]:
            shown = connect(pki, address, "--connect-only", "--session-in", file)
            assert value("Handshake", shown) == "resumed"
    finally:
        assert [each.stop() for each in servers] == [0, 0, 0]


def test_session_in_a_store_is_used_up(pki: SimpleNamespace, tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "session"
    with serving(*pki.server, "--session-store", store) as running:
        session_of(pki, running.address, file)
    assert store.stat().st_mode & 0o777 == 0o600
    # The file outlives the process.
    with serving(*pki.server, "--session-store", store) as running:
        flags = ("--connect-only", "--session-in", file)
        handshakes = [value("Handshake", connect(pki, running.address, *flags)) for _ in range(2)]
    assert handshakes == ["resumed", "full"]


# Early data


@pytest.fixture
def first(tmp_path: Path) -> Path:
    file = tmp_path / "first"
    file.write_bytes(FIRST)
    return file


def test_early_data_is_accepted_once(
    pki: SimpleNamespace, early: Server, tmp_path: Path, first: Path
) -> None:
    file = session_of(pki, early.address, tmp_path / "session")
    flags = ("--session-in", file, "--early-data", first)
    for expected in ("accepted", "rejected"):
        start = len(early.lines)
        shown = connect(pki, early.address, *flags, data=b", and this later")
        assert value("Handshake", shown) == "resumed"
        assert value("Early data", shown) == expected
        # What was rejected is sent again.
        assert shown.endswith(FIRST.decode() + ", and this later")
        early.wait_for(rf"localhost resumed {expected} t13d", start)


def test_more_early_data_than_is_permitted_follows_later(
    pki: SimpleNamespace, early: Server, tmp_path: Path
) -> None:
    file, much = session_of(pki, early.address, tmp_path / "session"), tmp_path / "much"
    much.write_bytes(bytes(range(256)) * 1000)
    done = run_client(
        "--ca-file", pki.ca, "--session-in", file, "--early-data", much, early.address, data=b"end"
    )
    assert done.returncode == 0, done.stderr
    assert value("Early data", done.stderr.decode()) == "accepted"
    assert done.stdout == much.read_bytes() + b"end"


def test_much_early_data_that_is_rejected_follows_later(
    pki: SimpleNamespace, tmp_path: Path
) -> None:
    much = tmp_path / "much"
    much.write_bytes(bytes(range(256)) * 1000)
    with serving(*pki.server, "--early-data", 300_000) as running:
        file = session_of(pki, running.address, tmp_path / "session")
        flags = ("--ca-file", pki.ca, "--session-in", file, "--early-data", much)
        for expected in ("accepted", "rejected"):
            done = run_client(*flags, running.address)
            assert done.returncode == 0, done.stderr
            assert value("Early data", done.stderr.decode()) == expected
            assert done.stdout == much.read_bytes()


def test_early_data_without_permission_follows_later(
    pki: SimpleNamespace, echo: Server, tmp_path: Path, first: Path
) -> None:
    file = session_of(pki, echo.address, tmp_path / "session")
    shown = connect(pki, echo.address, "--session-in", file, "--early-data", first)
    assert value("Handshake", shown) == "resumed"
    assert value("Early data", shown) == "none"
    assert shown.endswith(FIRST.decode())


def test_request_as_early_data(pki: SimpleNamespace, tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_bytes(REQUEST)
    with serving(*pki.server, "--www", "--early-data", 1000) as running:
        file = session_of(pki, running.address, tmp_path / "session")
        page = connect(
            pki, running.address, "--quiet", "--ignore-eof", "--session-in", file,
            "--early-data", request,
        )  # fmt: skip
    assert page.startswith("HTTP/1.1 200 OK")
    assert value("Early data", page) == "accepted"


def test_replay_at_another_server_is_rejected(
    pki: SimpleNamespace, tmp_path: Path, first: Path
) -> None:
    shared = (
        "--ticket-keys", tmp_path / "ring", "--session-store", tmp_path / "marks",
        "--early-data", 1000,
    )  # fmt: skip
    with serving(*pki.server, *shared) as one, serving(*pki.server, *shared) as other:
        file = session_of(pki, one.address, tmp_path / "session")
        flags = ("--connect-only", "--session-in", file, "--early-data", first)
        results = [
            value("Early data", connect(pki, running.address, *flags))
            for running in (other, one, other)
        ]
    assert results == ["accepted", "rejected", "rejected"]


def test_early_data_for_shared_keys_without_a_store_is_refused(
    pki: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*map(str, pki.server), "--ticket-keys", str(tmp_path / "ring")]
    assert main(["server", *flags, "--early-data", "1000"]) == 2
    assert "needs a --session-store" in capsys.readouterr().err
    assert not (tmp_path / "ring").exists()


# Pre-shared keys


@pytest.mark.parametrize(
    ("hash", "suite"), [("sha256", "TLS_AES_128_GCM_SHA256"), ("sha384", "TLS_AES_256_GCM_SHA384")]
)
def test_psk_in_place_of_certificates(hash: str, suite: str) -> None:
    flags = ("--psk", f"unit:7:{KEY}", "--psk-hash", hash)
    with serving(*flags) as running:
        done = run_client(*flags, running.address, data=b"it works")
        assert (done.returncode, done.stdout) == (0, b"it works"), done.stderr
        shown = done.stderr.decode()
        assert value("Cipher suite", shown) == suite
        assert value("Verification", shown) == "by the pre-shared key"
        assert "Certificate chain" not in shown
        done = run_client("--psk", f"unit:7:{KEY[::-1]}", "--psk-hash", hash, running.address)
        assert done.returncode == 1
        assert b"alert received: decrypt_error" in done.stderr
        done = run_client("--psk", f"somebody:{KEY}", "--insecure", running.address)
        assert done.returncode == 1
        assert b"alert received: handshake_failure" in done.stderr


# With openssl


def openssl(port: int, *arguments: object) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    return done.stdout.decode(errors="replace")


@contextmanager
def openssl_server(*arguments: object) -> Iterator[SimpleNamespace]:
    """`openssl s_server` on a free port. What it receives is among its lines."""
    running = Running(
        # Its stdout, where it says its port, joins the stderr that is watched.
        ["sh", "-c", 'exec "$@" >&2', "sh", "openssl", "s_server", "-accept", "127.0.0.1:0",
         *map(str, arguments)],
    )  # fmt: skip
    try:
        port = running.wait_for(r"^ACCEPT 127\.0\.0\.1:(\d+)$")[1]
        yield SimpleNamespace(running=running, address=f"localhost:{port}")
    finally:
        running.stop()


@needs_openssl
def test_openssl_resumes_with_early_data(
    pki: SimpleNamespace, early: Server, tmp_path: Path, first: Path
) -> None:
    session, arguments = tmp_path / "session", ("-CAfile", pki.ca, "-servername", "localhost")
    start = len(early.lines)
    # It reads until it is told to quit, and so sees the tickets.
    with subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{early.port}", *map(str, arguments),
         "-sess_out", str(session)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        early.wait_for("connected: .* full none t13d", start)
        wait_for_file(session)
        process.stdin.write(b"Q\n")
        process.stdin.close()
        assert process.wait(TIMEOUT) == 0
    shown = openssl(early.port, *arguments, "-sess_in", session, "-early_data", first)
    assert "Reused, TLSv1.3" in shown
    assert "Early data was accepted" in shown
    shown = openssl(early.port, *arguments, "-sess_in", session, "-early_data", first)
    assert "Early data was rejected" in shown


def wait_for_file(path: Path) -> None:
    for _ in range(200):
        if path.exists() and path.stat().st_size:
            return
        time.sleep(0.02)
    pytest.fail(f"there is no {path}")


@needs_openssl
def test_early_data_to_openssl(pki: SimpleNamespace, tmp_path: Path, first: Path) -> None:
    flags = ("-cert", pki.server_cert, "-key", pki.server_key, "-early_data")
    with openssl_server(*flags) as peer:
        file = session_of(pki, peer.address, tmp_path / "session")
        shown = connect(
            pki, peer.address, "--connect-only", "--session-in", file, "--early-data", first
        )
        assert value("Handshake", shown) == "resumed"
        assert value("Early data", shown) == "accepted"
        peer.running.wait_for(FIRST.decode())


@needs_openssl
def test_psk_with_openssl() -> None:
    with serving("--psk", f"me:{KEY}") as running:
        shown = openssl(running.port, "-psk_identity", "me", "-psk", KEY)
        assert "Reused, TLSv1.3" in shown
        running.wait_for("connected: .* resumed none t13i")
    with openssl_server("-nocert", "-psk_identity", "me", "-psk", KEY, "-rev") as peer:
        done = run_client("--psk", f"me:{KEY}", peer.address, data=b"abc\n")
    assert done.stdout == b"cba\n"


# Usage


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["client", "--session-in", "/nowhere/s", "localhost"], "/nowhere/s: No such file"),
        (["client", "--session-in", __file__, "localhost"], "this is not a session"),
        (["client", "--early-data", __file__, "localhost"], "needs the --session-in"),
        (["client", "--psk", "me", "localhost"], "IDENTITY:HEX"),
        (["client", "--psk", "me:xyz", "localhost"], "IDENTITY:HEX"),
        (["client", "--psk", ":00", "localhost"], "IDENTITY:HEX"),
        (["client", "--psk", "me:", "localhost"], "IDENTITY:HEX"),
        (["client", "--psk", "me:00", "--psk", "me:01", "localhost"], "one identity"),
        (["client", "--psk-hash", "md5", "localhost"], "invalid choice"),
        (["server", "--psk", "me:00", "--tickets", "many"], "not a whole number"),
        (["server", "--psk", "me:00", "--tickets", "256"], "session_tickets"),
        (["server", "--psk", "me:00", "--early-data", "5000000000"], "max_early_data_size"),
        (["server", "--psk", "me:00", "--ticket-keys", "/nowhere/ring"], "No such file"),
        (["server", "--psk", "me:00", "--ticket-keys", __file__], "not exported ticket keys"),
        (["server", "--psk", "me:00", "--session-store", "/nowhere/store"], "No such file"),
        (["server", "--psk", "me:00", "--session-store", __file__], "not a database"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert "Traceback" not in shown


def test_session_of_another_name_is_refused(
    pki: SimpleNamespace, www: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = session_of(pki, www.address, tmp_path / "session")
    assert main(["client", "--session-in", str(file), f"127.0.0.1:{www.port}"]) == 2
    assert "of another server_hostname" in capsys.readouterr().err


def test_key_is_not_repeated_in_a_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "--psk", f"me:{KEY}0", "localhost"]) == 2
    assert KEY not in capsys.readouterr().err
