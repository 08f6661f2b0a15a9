"""The command line, as its users meet it: real processes, real sockets, real peers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from cli_processes import (
    TIMEOUT,
    Running,
    Server,
    command,
    environment,
    read_all,
    run_client,
    serving,
    stdlib_client,
    stdlib_connect,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import fasths
from fasths.cli import channel, main, options, report, server

REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="the curl command is not installed"
)


# Certificates


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


# Usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["client", "server", "examples", "exit codes"]),
        (["client", "--help"], ["HOST[:PORT]", "--connect-only", "--keylog", "examples"]),
        (["server", "--help"], ["--www", "--verify", "--password-env", "examples"]),
    ],
)
def test_help_explains(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words)
    assert not re.search(r"%\(|%%", shown)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["dance"], "invalid choice"),
        (["client"], "HOST[:PORT]"),
        (["client", "localhost:http"], "not a port number"),
        (["client", "localhost:65536"], "not a port number"),
        (["client", "localhost:0"], "port 0"),
        (["client", "[::1"], "not [IPV6]"),
        (["client", "[::1]443"], "not [IPV6]"),
        (["client", ":443"], "names no host"),
        (["client", "--groups", "x25519,P-256", "localhost"], "secp256r1"),
        (["client", "--cipher-suites", "RC4", "localhost"], "TLS_AES_128_GCM_SHA256"),
        (["client", "--signature-schemes", "dsa", "localhost"], "ed25519"),
        (["client", "--min-version", "ssl3", "localhost"], "TLSv1.3"),
        (["client", "--alpn", "h2,,", "localhost"], "empty"),
        (["client", "--alpn", "x" * 256, "localhost"], "255"),
        (["client", "--server-name", "exa mple", "localhost"], "not a host name"),
        (["client", "--timeout", "never", "localhost"], "seconds"),
        (["client", "--no-server-name", "localhost"], "--no-check-hostname"),
        (["client", "--ca-file", "/nowhere/ca.pem", "localhost"], "/nowhere/ca.pem: No such"),
        (["client", "--ca-file", "a", "--certifi", "localhost"], "not allowed with"),
        (["client", "--groups", "x25519", "--key-share-groups", "secp256r1", "localhost"], ""),
        (["client", "--password-env", "NO_SUCH_NAME", "--cert", "a", "localhost"], "NO_SUCH_NAME"),
        (["server"], "--cert"),
        (["server", "--cert", "/nowhere/a.pem"], "/nowhere/a.pem: No such"),
        (["server", "--cert", "a", "--cert", "b", "--key", "c"], "each --cert needs its --key"),
        (["server", "--cert", "a", "--port", "-1"], ""),
        (["server", "--cert", "a", "--max-connections", "0"], "above 0"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert "error: " in shown
    assert "Traceback" not in shown


def test_names_in_any_case_are_taken() -> None:
    parse = options.name_list(fasths.NamedGroup, "group")
    assert parse("X25519, SECP256R1,x25519") == (
        fasths.NamedGroup.x25519,
        fasths.NamedGroup.secp256r1,
    )
    for text in ("TLSv1.3", "tls1.3", "1.3", "tlsv1_3"):
        assert options.tls_version(text) is fasths.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", ("example.com", 443)),
        ("example.com:8443", ("example.com", 8443)),
        ("127.0.0.1:4433", ("127.0.0.1", 4433)),
        ("[::1]:4433", ("::1", 4433)),
        ("[::1]", ("::1", 443)),
        ("::1", ("::1", 443)),
    ],
)
def test_targets(text: str, expected: tuple[str, int]) -> None:
    assert options.target(text) == expected


def test_key_that_does_not_belong_to_the_certificate_is_refused(
    pki: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["server", "--cert", str(pki.server_cert), "--key", str(pki.client_key)]) == 2
    assert str(pki.server_cert) in capsys.readouterr().err


def test_address_in_use(pki: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["server", *map(str, pki.server), "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in capsys.readouterr().err


def test_text_of_a_peer_cannot_reach_the_terminal_raw() -> None:
    assert report.printable("a\x1b[2J\nb\u202ec") == "a\\x1b[2J\\nb\\u202ec"
    assert len(report.printable("\x00" * 5000)) < 400


# Our client and our server


def test_client_shows_what_was_negotiated(www: Server, pki: SimpleNamespace) -> None:
    done = run_client("--ca-file", pki.ca, "--connect-only", "--alpn", "http/1.1", www.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    shown = done.stderr.decode()
    for line in (
        r"^Connected to 127\.0\.0\.1:\d+$",
        r"^Version: +TLSv1\.3$",
        r"^Cipher suite: +TLS_AES_\d+_GCM_SHA\d+$",
        r"^Group: +(X25519MLKEM768|x25519)$",
        r"^Signature scheme: +ecdsa_secp256r1_sha256$",
        r"^ALPN: +http/1\.1$",
        r"^Server name: +localhost$",
        r"^Verification: +ok, name matches, root .*trustme",
        r"^  0 subject: .*trustme",
        r"^    issuer: .*trustme",
        r"^    valid: +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$",
        r"^    key: +EC secp256r1$",
        r"^    names: +localhost, 127\.0\.0\.1, ::1$",
    ):
        assert re.search(line, shown, re.MULTILINE), (line, shown)


def test_client_prints_the_page_and_nothing_else_to_stdout(
    www: Server, pki: SimpleNamespace
) -> None:
    done = run_client(
        "--ca-file", pki.ca, "--quiet", "--alpn", "http/1.1", "--ignore-eof", www.address,
        data=REQUEST,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head
    for line in (
        rb"Version: +TLSv1\.3",
        rb"ALPN: +http/1\.1",
        rb"Server name: +localhost",
        rb"Client certificate: +none",
    ):
        assert re.search(line, body), body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", b"200 OK"),
        (b"hello\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000, b"431 "),
    ],
)
def test_page_for_other_requests(
    www: Server, pki: SimpleNamespace, request_bytes: bytes, status: bytes
) -> None:
    with stdlib_connect(stdlib_client(pki), www.port) as sock:
        sock.sendall(request_bytes)
        assert read_all(sock).startswith(b"HTTP/1.1 " + status)


def test_head_gets_no_body(www: Server, pki: SimpleNamespace) -> None:
    with stdlib_connect(stdlib_client(pki), www.port) as sock:
        sock.sendall(b"HEAD / HTTP/1.1\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")


def test_answer_is_one_record_then_close_notify(www: Server, pki: SimpleNamespace) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = stdlib_client(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
    received = bytearray()
    with socket.create_connection(("127.0.0.1", www.port), TIMEOUT) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        tls.write(REQUEST)
        sock.sendall(outgoing.read())
        while data := sock.recv(65536):
            received += data
            incoming.write(data)
    lengths = []
    while received:  # records: type, version, length
        content_type, _, length = struct.unpack_from("!BHH", received)
        assert content_type == 23
        lengths.append(length)
        del received[: 5 + length]
    page = tls.read(65536)
    overhead = 1 + 16  # the inner content type and the tag
    assert len(page) + overhead in lengths
    assert lengths[-1] == 2 + overhead  # close_notify
    assert tls.read() == b""  # what the standard library makes of close_notify


@pytest.mark.parametrize("size", [0, 1, 16384, 3_000_000])
def test_echo(echo: Server, pki: SimpleNamespace, size: int) -> None:
    data = os.urandom(size)
    done = run_client("--ca-file", pki.ca, "--quiet", echo.address, data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


def test_stdin_may_be_a_file_or_closed(echo: Server, pki: SimpleNamespace, tmp_path: Path) -> None:
    data = os.urandom(200_000)
    (tmp_path / "input").write_bytes(data)
    arguments = command("client", "--quiet", "--ca-file", pki.ca, echo.address)
    with open(tmp_path / "input", "rb") as file:
        done = subprocess.run(
            arguments, stdin=file, capture_output=True, timeout=TIMEOUT, env=environment(),
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *arguments],
        capture_output=True, timeout=TIMEOUT, env=environment(), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_conversation_line_by_line(echo: Server, pki: SimpleNamespace) -> None:
    with subprocess.Popen(
        command("client", "--quiet", "--crlf", "--ca-file", pki.ca, echo.address),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        killer = threading.Timer(TIMEOUT, process.kill)
        killer.start()
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line.replace(b"\n", b"\r\n")
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(TIMEOUT) == 0
        killer.cancel()


def test_stdout_that_is_gone_is_a_failure(echo: Server, pki: SimpleNamespace) -> None:
    with subprocess.Popen(
        command("client", "--quiet", "--ca-file", pki.ca, echo.address),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(b"data", timeout=TIMEOUT)
    assert process.returncode == 1
    assert errors.decode().splitlines() == [
        "fasths: cannot write to stdout: Broken pipe (origin: local, no alert)"
    ]


def test_trace_shows_each_message(www: Server, pki: SimpleNamespace) -> None:
    done = run_client("--ca-file", pki.ca, "--connect-only", "--trace", www.address)
    shown = re.findall(r"^(>>>|<<<) (.*), \d+ bytes$", done.stderr.decode(), re.MULTILINE)
    assert [line for line in shown if "change_cipher_spec" not in line[1]][:7] == [
        (">>>", "handshake client_hello"),
        ("<<<", "handshake server_hello"),
        ("<<<", "handshake encrypted_extensions"),
        ("<<<", "handshake certificate"),
        ("<<<", "handshake certificate_verify"),
        ("<<<", "handshake finished"),
        (">>>", "handshake finished"),
    ]
    assert (">>>", "alert warning close_notify") in shown
    done = run_client("--ca-file", pki.ca, "--connect-only", "--trace-bytes", www.address)
    assert re.search(rb"^    0000  01 [0-9a-f ]{44}  .{16}$", done.stderr, re.MULTILINE)


def test_wrong_ca(www: Server, pki: SimpleNamespace) -> None:
    start = len(www.lines)
    done = run_client("--ca-file", pki.other_ca, "--quiet", www.address)
    assert done.returncode == 1
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert re.fullmatch(
        r"fasths: handshake failed: .+ \(origin: local, alert sent: unknown_ca\)", line
    )
    # The server learns it too, after it took our side of the handshake or instead of that.
    www.wait_for(r"\(origin: peer, alert received: unknown_ca\)$", start)


def test_wrong_name_and_its_flags(www: Server, pki: SimpleNamespace) -> None:
    wrong = ("--ca-file", pki.ca, "--server-name", "example.org", "--connect-only")
    done = run_client(*wrong, www.address)
    assert done.returncode == 1
    assert b"origin: local, alert sent: " in done.stderr
    assert b"names:" in done.stderr  # the chain that was refused is shown
    done = run_client(*wrong, "--no-check-hostname", www.address)
    assert done.returncode == 0
    assert b"ok, name not checked" in done.stderr
    done = run_client(*wrong[2:], "--insecure", www.address)
    assert done.returncode == 0
    assert b"not done (--insecure)" in done.stderr
    done = run_client(
        "--ca-file", pki.ca, "--no-server-name", "--no-check-hostname", "--connect-only",
        www.address,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(rb"Server name: +none", done.stderr)


def test_address_as_name(www: Server, pki: SimpleNamespace) -> None:
    done = run_client("--ca-file", pki.ca, "--connect-only", f"127.0.0.1:{www.port}")
    assert done.returncode == 0, done.stderr
    assert b"name matches" in done.stderr


def test_ipv6(pki: SimpleNamespace) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    running = Running(command("server", *pki.server, "--host", "::1", "--port", 0))
    try:
        address = running.wait_for(r"^listening on (\[::1\]:\d+)$")[1]
        done = run_client("--ca-file", pki.ca, "--quiet", address, data=b"six")
        assert (done.returncode, done.stdout) == (0, b"six"), done.stderr
    finally:
        assert running.stop() == 0


def test_preferences_reach_the_connection(www: Server, pki: SimpleNamespace) -> None:
    done = run_client(
        "--ca-file", pki.ca, "--connect-only", "--trace",
        "--ciphers", "tls_chacha20_poly1305_sha256", "--groups", "x25519,secp521r1",
        "--key-share-groups", "secp521r1", "--signature-schemes", "ecdsa_secp256r1_sha256",
        "--min-version", "1.3", "--max-version", "1.3", www.address,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(rb"Cipher suite: +TLS_CHACHA20_POLY1305_SHA256", done.stderr)
    assert re.search(rb"Group: +(x25519|secp521r1)\n", done.stderr)


def test_hello_retry_request_between_ours(pki: SimpleNamespace) -> None:
    with serving(*pki.server, "--www", "--groups", "secp384r1") as running:
        done = run_client("--ca-file", pki.ca, "--connect-only", "--trace", running.address)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b">>> handshake client_hello") == 2
    assert re.search(rb"Group: +secp384r1\n", done.stderr)


def test_client_certificates(pki: SimpleNamespace) -> None:
    with serving(*pki.server, "--www", "--verify", "required", "--ca-file", pki.ca) as running:
        arguments = ("--ca-file", pki.ca, "--quiet", "--ignore-eof")
        done = run_client(*arguments, *pki.client, running.address, data=REQUEST)
        assert done.returncode == 0, done.stderr
        # The page is HTML: what a certificate says cannot become markup.
        assert re.search(rb"Client certificate subject: +\S*CN=.*someone", done.stdout)
        assert b"<someone>" not in done.stdout
        assert re.search(rb"Client certificate verified: +yes", done.stdout)
        for flags in ((), ("--connect-only",)):
            done = run_client(*arguments, *flags, running.address, data=REQUEST)
            assert done.returncode == 1
            assert b"alert received: certificate_required" in done.stderr
        running.wait_for("alert sent: certificate_required")


def test_client_certificate_of_a_ca_that_is_not_trusted(pki: SimpleNamespace) -> None:
    trust = ("--verify", "optional", "--ca-file", pki.other_ca)
    with serving(*pki.server, "--www", *trust) as running:
        done = run_client("--ca-file", pki.ca, "--connect-only", running.address)
        assert done.returncode == 0, done.stderr
        done = run_client("--ca-file", pki.ca, "--connect-only", *pki.client, running.address)
        assert done.returncode == 1
        assert b"alert received: unknown_ca" in done.stderr


def test_password_of_a_key(pki: SimpleNamespace, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pki.server_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    both = tmp_path / "both.pem"
    both.write_bytes(
        pki.server_cert.read_bytes()
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    (tmp_path / "password").write_text("open sesame\n")
    with serving("--cert", both, "--password-file", tmp_path / "password") as running:
        done = run_client("--ca-file", pki.ca, "--quiet", running.address, data=b"in")
        assert (done.returncode, done.stdout) == (0, b"in")
    with serving("--cert", both, "--password-env", "KEY_PW", env=environment(KEY_PW="open sesame")):
        pass
    assert main(["server", "--cert", str(both)]) == 2


# Key logs


def keylog_labels(path: Path) -> set[str]:
    lines = path.read_text().splitlines()
    assert all(
        re.fullmatch(r"[A-Z0-9_]+ [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96})", x) for x in lines
    )
    return {line.split()[0] for line in lines}


def test_keylog(pki: SimpleNamespace, tmp_path: Path) -> None:
    flag, variable, server_side = tmp_path / "flag", tmp_path / "variable", tmp_path / "server"
    env = environment(SSLKEYLOGFILE=str(variable))
    with serving(*pki.server, env=environment(SSLKEYLOGFILE=str(server_side))) as running:
        arguments = ("--ca-file", pki.ca, "--connect-only", running.address)
        assert run_client(*arguments, "--keylog", flag, env=env).returncode == 0
        assert not variable.exists()  # the flag wins
        assert run_client(*arguments, env=env).returncode == 0
    expected = {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    }
    assert keylog_labels(flag) >= expected
    # Both sides of both connections logged the same secrets.
    logged = set(server_side.read_text().splitlines())
    assert set(flag.read_text().splitlines() + variable.read_text().splitlines()) == logged


def test_keylog_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "--keylog", "/nowhere/keys", "localhost:1"]) == 2
    assert "/nowhere/keys" in capsys.readouterr().err


# The client and transports that fail


def test_connection_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = unused.getsockname()[1]
        done = run_client(f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        f"fasths: cannot connect to 127.0.0.1:{port}: Connection refused "
        "(origin: transport, no alert)"
    ]


@contextmanager
def tcp_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does `behave` with its first connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(TIMEOUT)
                behave(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_server_that_says_nothing() -> None:
    with tcp_server(read_all) as port:
        done = run_client("--quiet", "--timeout", 0.3, "--insecure", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert b"handshake failed: the peer took too long" in done.stderr


def test_server_that_is_no_tls_server() -> None:
    def behave(sock: socket.socket) -> None:
        sock.sendall(b"220 mail.example.com ESMTP\r\n")
        read_all(sock)

    with tcp_server(behave) as port:
        done = run_client("--quiet", "--insecure", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert re.match(rb"fasths: handshake failed: .* alert sent: \w+\)\n$", done.stderr)


def test_server_that_ends_in_the_handshake() -> None:
    with tcp_server(lambda sock: None) as port:
        done = run_client("--quiet", "--insecure", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert re.match(rb"fasths: handshake failed: .*origin: transport, no alert", done.stderr)


def test_truncation_is_no_clean_end(pki: SimpleNamespace) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_cert, pki.server_key)

    def behave(sock: socket.socket) -> None:
        tls = context.wrap_socket(sock, server_side=True)
        tls.sendall(b"half of it")
        raw = socket.socket(fileno=tls.detach())
        raw.settimeout(TIMEOUT)
        raw.shutdown(socket.SHUT_WR)  # without close_notify
        read_all(raw)
        raw.close()

    with tcp_server(behave) as port:
        done = run_client("--quiet", "--ca-file", pki.ca, "--ignore-eof", f"localhost:{port}")
    assert (done.returncode, done.stdout) == (1, b"half of it")
    assert re.match(rb"fasths: reading failed: .*origin: transport, no alert", done.stderr)


def test_server_that_sends_all_before_it_reads(pki: SimpleNamespace) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_cert, pki.server_key)
    data = os.urandom(12_000_000)  # more than the buffers of both sockets hold
    taken = []

    def behave(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(data)
            taken.append(read_all(tls))
            tls.unwrap().close()

    with tcp_server(behave) as port:
        done = run_client("--quiet", "--ca-file", pki.ca, f"localhost:{port}", data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data
    assert taken == [data]


def test_idle_timeout(echo: Server, pki: SimpleNamespace) -> None:
    done = run_client(
        "--quiet", "--ca-file", pki.ca, "--ignore-eof", "--idle-timeout", 0.3, echo.address
    )
    assert done.returncode == 1
    assert b"nothing moved for 0.3 s" in done.stderr


# The server and clients that fail


def alert_of(data: bytes) -> bytes:
    """The two bytes of the unprotected alert record at the end of `data`."""
    assert data[-7:-2] in (b"\x15\x03\x03\x00\x02", b"\x15\x03\x01\x00\x02"), data
    return data[-2:]


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_garbage_gets_an_alert_and_no_reset(echo: Server, size: int) -> None:
    with socket.create_connection(("127.0.0.1", echo.port), TIMEOUT) as sock:
        sock.sendall(b"\xff" * size)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)  # raises ConnectionResetError if the alert could be lost
    if size > 1:
        assert alert_of(answer)[:1] == b"\x02"


def test_plain_http_gets_an_alert(www: Server) -> None:
    start = len(www.lines)
    with socket.create_connection(("127.0.0.1", www.port), TIMEOUT) as sock:
        sock.sendall(REQUEST)
        assert alert_of(read_all(sock))[:1] == b"\x02"
    www.wait_for(r"handshake failed: .*origin: local, alert sent: ", start)


def test_client_that_resets(echo: Server, pki: SimpleNamespace) -> None:
    abort = struct.pack("ii", 1, 0)
    for first in (b"", b"\x16\x03\x01", None):
        if first is None:
            tls = stdlib_connect(stdlib_client(pki), echo.port)
            sock = socket.socket(fileno=tls.detach())
        else:
            sock = socket.create_connection(("127.0.0.1", echo.port), TIMEOUT)
            sock.sendall(first)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
        sock.close()
    done = run_client("--quiet", "--ca-file", pki.ca, echo.address, data=b"still here")
    assert (done.returncode, done.stdout) == (0, b"still here")


def test_slow_handshake_is_ended(pki: SimpleNamespace) -> None:
    with (
        serving(*pki.server, "--timeout", 0.5) as running,
        socket.create_connection(("127.0.0.1", running.port), TIMEOUT) as sock,
    ):
        began = time.monotonic()
        with suppress(ConnectionError):  # the server is gone at last
            for byte in b"\x16\x03\x01\x02\x00" + bytes(500):
                sock.sendall(bytes([byte]))
                time.sleep(0.05)
        running.wait_for("handshake failed: the peer took too long")
        assert time.monotonic() - began < 10


def test_request_that_never_ends(pki: SimpleNamespace) -> None:
    with (
        serving(*pki.server, "--www", "--timeout", 0.5) as running,
        stdlib_connect(stdlib_client(pki), running.port) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\n")
        running.wait_for("reading failed: the peer took too long")


def test_many_clients_at_once(www: Server, pki: SimpleNamespace) -> None:
    context = stdlib_client(pki)
    together = threading.Barrier(30, timeout=TIMEOUT)

    def visit(_: int) -> bytes:
        with socket.create_connection(("127.0.0.1", www.port), TIMEOUT) as sock:
            together.wait()
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                tls.sendall(REQUEST)
                return read_all(tls)

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(visit, range(30)))
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)


def test_more_connections_than_allowed_wait(pki: SimpleNamespace) -> None:
    context = stdlib_client(pki)
    with serving(*pki.server, "--max-connections", 1) as running:
        with stdlib_connect(context, running.port) as first:
            late = socket.create_connection(("127.0.0.1", running.port), TIMEOUT)
            first.sendall(b"first")
            assert first.recv(100) == b"first"
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                context.wrap_socket(late, server_hostname="localhost")
            late.close()
        with stdlib_connect(context, running.port) as second:
            second.sendall(b"second")
            assert second.recv(100) == b"second"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_alert_reaches_the_peer(www: Server, pki: SimpleNamespace) -> None:
    context = stdlib_client(pki)
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        stdlib_connect(context, www.port)
    context = stdlib_client(pki)
    context.set_ecdh_curve("X448")  # a group that fasths has not
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        stdlib_connect(context, www.port)
    context = stdlib_client(pki)
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        stdlib_connect(context, www.port)


# The end of the server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server(pki: SimpleNamespace, number: signal.Signals) -> None:
    running = Server(*pki.server, "--idle-timeout", 60)
    try:
        with stdlib_connect(stdlib_client(pki), running.port) as held:
            held.sendall(b"x")
            assert held.recv(1) == b"x"
            began = time.monotonic()
            assert running.stop(number) == 0
            assert time.monotonic() - began < 8
    finally:
        running.stop()
    assert not any("Traceback" in line for line in running.lines)


def test_server_in_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def enter() -> None:
        with server.stopped_by_signals(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is before

    with ThreadPoolExecutor(1) as pool:
        pool.submit(enter).result(TIMEOUT)


def test_wait_gives_up_at_its_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not channel.wait(ours, 1, time.monotonic() + 0.05)
        assert not channel.wait(ours, 2, time.monotonic() - 1)


# OpenSSL's tools and curl


def s_client(server: Server, pki: SimpleNamespace, *flags: str, data: bytes = REQUEST) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", str(pki.ca),
         "-servername", "localhost", "-verify_return_error", "-ign_eof", *flags],
        input=data, capture_output=True, timeout=TIMEOUT, env=environment(), check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")


@needs_openssl
def test_s_client_gets_the_page(www: Server, pki: SimpleNamespace) -> None:
    shown = s_client(www, pki, "-alpn", "http/1.1")
    assert "HTTP/1.1 200 OK" in shown
    assert "ALPN protocol: http/1.1" in shown
    assert "Verify return code: 0 (ok)" in shown
    assert re.search(r"Server name: +localhost\n", shown)


@needs_openssl
@pytest.mark.parametrize(
    ("group", "ours"),
    [("P-256", "secp256r1"), ("P-384", "secp384r1"), ("P-521", "secp521r1"), ("X25519", "x25519")],
)
def test_s_client_with_each_group(www: Server, pki: SimpleNamespace, group: str, ours: str) -> None:
    assert re.search(rf"Group: +{ours}\n", s_client(www, pki, "-groups", group))


@needs_openssl
def test_s_client_is_asked_to_retry(pki: SimpleNamespace) -> None:
    with serving(*pki.server, "--www", "--groups", "secp384r1") as running:
        shown = s_client(running, pki, "-groups", "P-256:P-384", "-msg")
    assert len(re.findall(r">>> .*ClientHello", shown)) == 2
    assert re.search(r"Group: +secp384r1\n", shown)


@needs_openssl
def test_s_client_with_a_certificate(pki: SimpleNamespace) -> None:
    with serving(*pki.server, "--www", "--verify", "required", "--ca-file", pki.ca) as running:
        shown = s_client(running, pki, "-cert", str(pki.client_cert), "-key", str(pki.client_key))
        assert re.search(r"Client certificate verified: +yes", shown)
        assert "certificate required" in s_client(running, pki)


@contextmanager
def s_server(pki: SimpleNamespace, *flags: str) -> Iterator[int]:
    # s_server takes no port 0 by that name in every version, so a free one is looked for.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(pki.server_cert),
         "-key", str(pki.server_key), *flags],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment(),
    )  # fmt: skip
    killer = threading.Timer(2 * TIMEOUT, process.kill)
    killer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"ACCEPT"):
                break
        yield port
    finally:
        killer.cancel()
        process.kill()
        process.communicate(timeout=TIMEOUT)


@needs_openssl
@pytest.mark.parametrize("flags", [(), ("-groups", "P-521")], ids=["first try", "retry"])
def test_client_with_s_server(pki: SimpleNamespace, flags: tuple[str, ...]) -> None:
    with s_server(pki, "-www", "-tls1_3", *flags) as port:
        done = run_client("--ca-file", pki.ca, "--ignore-eof", f"localhost:{port}", data=REQUEST)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"HTTP/1.0 200 ok")
    assert b"TLSv1.3" in done.stdout
    if flags:
        assert re.search(rb"Group: +secp521r1\n", done.stderr)


@needs_openssl
def test_client_hears_the_alert_of_s_server(pki: SimpleNamespace) -> None:
    with s_server(pki, "-www", "-tls1_2") as port:
        done = run_client("--ca-file", pki.ca, "--quiet", f"localhost:{port}")
    assert done.returncode == 1
    assert b"(origin: peer, alert received: protocol_version)" in done.stderr


@needs_curl
def test_curl_gets_the_page(www: Server, pki: SimpleNamespace) -> None:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--http1.1", "--noproxy", "*",
         "--cacert", str(pki.ca), f"https://localhost:{www.port}/"],
        capture_output=True, timeout=TIMEOUT, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(rb"Version: +TLSv1\.3\n", done.stdout)


# Messages in words


def test_messages_in_words() -> None:
    kinds = fasths.ContentType
    assert report.message_name(kinds.handshake, b"\x01\0\0\0") == "handshake client_hello"
    assert report.message_name(kinds.handshake, b"\x63\0\0\0") == "handshake unknown (99)"
    assert report.message_name(kinds.alert, b"\x02\x30") == "alert fatal unknown_ca"
    assert report.message_name(kinds.alert, b"\x07\xff") == "alert 7 unknown (255)"
    assert report.message_name(kinds.change_cipher_spec, b"\x01") == "change_cipher_spec"


def test_what_is_no_certificate_is_shown_as_such() -> None:
    assert "cannot be parsed" in report.subject(b"")
    assert "cannot be parsed" in report.certificate_lines(b"")[0][1]
