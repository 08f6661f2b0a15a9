"""`python -m fasths client`, as its users meet it: real processes, sockets and peers."""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_processes import (
    REQUEST,
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

from fasths.cli import main

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
        r"^Extended master secret: +yes$",
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
