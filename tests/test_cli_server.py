"""`python -m fasths server` with clients of all kinds: real processes, sockets and peers."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from cli_processes import (
    REQUEST,
    TIMEOUT,
    Server,
    environment,
    read_all,
    run_client,
    serving,
    stdlib_client,
    stdlib_connect,
)

from fasths.cli import channel, server

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="the curl command is not installed"
)


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
        done = run_client(
            "--ca-file", pki.ca, "--quiet", "--min-version", "1.3", f"localhost:{port}"
        )
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
