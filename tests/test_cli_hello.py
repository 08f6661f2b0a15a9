"""`python -m fasths hello`: files, captures that dpkt wrote, and real clients on real sockets."""

from __future__ import annotations

import io
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from captures import (
    ACK,
    CLIENT,
    CLIENT6,
    FIN,
    LINKS,
    RST,
    SERVER,
    SERVER6,
    START,
    SYN,
    TIME,
    packet,
    syn,
    write_capture,
)
from cli_processes import TIMEOUT, Running, command, environment
from client_hellos import (
    FULL,
    GREASE,
    X,
    client_hello,
    protocol_names,
    record,
    records,
    server_name,
    vectors,
)
from wire_format import extension

import fasths
from fasths.cli import capture, main

CHANGE_CIPHER_SPEC = bytes.fromhex("140303000101")
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
A, B = (record(client_hello(server_name(name))) for name in (b"a.example", b"b.example"))
LONG = records(client_hello(server_name(b"a.example"), extension(X.padding, bytes(5000))), 100)
VECTORS = list(vectors())

Lines = list[dict[str, Any]]


def run(*arguments: object) -> int:
    return main(["hello", *map(str, arguments)])


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs the command with --json: (exit code, objects on stdout, stderr)."""

    def show(*arguments: object) -> tuple[int, Lines, str]:
        code = run("--json", *arguments)
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return show


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: bytes) -> Path:
        path = tmp_path / "client.bin"
        path.write_bytes(content)
        return path

    return write


def names(objects: Lines) -> list[str | None]:
    return [each["server_name"] for each in objects]


# --- Usage


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    help = capsys.readouterr().out
    for word in (
        "FILE",
        "--pcap",
        "--listen",
        "--count",
        "--json",
        "JA4",
        "examples",
        "exit codes",
    ):
        assert word in help
    assert main(["--help"]) == 0
    assert "what a TLS client offers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "required"),
        (("a.bin", "--listen", "4433"), "not allowed with"),
        (("--pcap", "a.pcap", "--listen", "4433"), "not allowed with"),
        (("--listen", "https"), "not a port number"),
        (("--listen", "0", "--count", "0"), "above 0"),
        (("--listen", "0", "--timeout", "-1"), "seconds"),
        (("/nowhere/a.bin",), "/nowhere/a.bin: No such"),
        (("--pcap", "/nowhere/a.pcap"), "/nowhere/a.pcap: No such"),
        (("/",), "Is a directory"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert "Traceback" not in error


# --- A file


@pytest.mark.parametrize("published", VECTORS, ids=[each["name"] for each in VECTORS])
def test_published_client_hello(published: dict[str, Any], shown: Any, file: Any) -> None:
    code, (hello,), error = shown(file(published["records"]))
    assert (code, error) == (0, "")
    for name in ("server_name", "ja3", "ja3_hash", "ja4", "ja4_raw"):
        assert hello[name] == published.get(name, hello[name])


def test_json_has_every_field(shown: Any, file: Any) -> None:
    """As the attributes of ClientHello have them."""
    stream = records(FULL, 10, 300)
    code, (hello,), _ = shown(file(stream))
    parsed = fasths.parse_client_hello(stream)
    assert parsed is not None
    assert code == 0
    fields = {name for name in dir(parsed) if not name.startswith("_")}
    assert set(hello) == fields - {"extension_types"}
    assert bytes.fromhex(hello["raw"]) == FULL
    assert hello["size"] == len(stream)
    for name in ("cipher_suites", "supported_versions", "supported_groups", "signature_algorithms"):
        assert tuple(hello[name]) == getattr(parsed, name)
    assert hello["alpn_protocols"] == ["h2", "http/1.1"]
    assert hello["pre_shared_key"] is hello["early_data"] is True
    assert [each["type"] for each in hello["extensions"]] == list(parsed.extension_types)
    assert [bytes.fromhex(each["data"]) for each in hello["extensions"]] == [
        data for _, data in parsed.extensions
    ]
    shares = [(each["group"], bytes.fromhex(each["key_exchange"])) for each in hello["key_shares"]]
    assert tuple(shares) == parsed.key_shares


def test_text_names_what_has_a_name(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    assert run(file(record(FULL))) == 0
    lines = capsys.readouterr().out.splitlines()
    parsed = fasths.parse_client_hello(record(FULL))
    assert parsed is not None
    expected = [
        f"Size:               {len(FULL) + 5} bytes",
        "Legacy version:     0x0303 TLSv1.2",
        "Server name:        example.com",
        "ALPN:               h2",
        "                    http/1.1",
        "                    0x0304 TLSv1.3",
        f"Cipher suites:      0x{GREASE[0]:04x} GREASE",
        "                    0x1301 TLS_AES_128_GCM_SHA256",
        "                    0x00ff",
        "Compression:        0x00 null",
        "                    0x11ec X25519MLKEM768",
        f"Key shares:         0x{GREASE[3]:04x} GREASE (1 bytes)",
        "                    0x001d x25519 (32 bytes)",
        "Signature schemes:  0x0403 ecdsa_secp256r1_sha256",
        "Point formats:      0x00 uncompressed",
        "Resumption:         pre_shared_key",
        "                    early_data",
        "                    0x4a4b (7 bytes)",
        f"JA3:                {parsed.ja3_hash}",
        f"JA4:                {parsed.ja4}",
        f"                    {parsed.ja4_raw}",
    ]
    assert [line for line in expected if line not in lines] == []


def test_text_of_the_least_there_can_be(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    hello = client_hello(block=b"", session_id=b"", legacy_version=0x0301)
    assert run(file(record(hello))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Legacy version:     0x0301 TLSv1.0" in lines
    for name in ("Session id", "Server name", "ALPN", "Versions", "Groups", "Extensions"):
        assert f"{name + ':':<20}none" in lines


def test_text_of_a_client_cannot_reach_the_terminal_raw(
    capsys: pytest.CaptureFixture[str], file: Any
) -> None:
    path = file(record(client_hello(protocol_names(b"\x1b[2J", b"\xff\n"))))
    assert run(path) == 0
    captured = capsys.readouterr().out
    assert "\\x1b[2J" in captured
    assert "\\xff\\n" in captured
    assert "\x1b" not in captured


def test_stdin(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for source, arguments in ((A, ("-",)), (b"", ("-",))):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source)))
        code, objects, _ = shown(*arguments)
        assert (code, len(objects)) == ((0, 1) if source else (1, 0))


def test_a_pipe_is_a_file(tmp_path: Path) -> None:
    """As a process, whose stdin really is one."""
    packets = write_capture(tmp_path / "a.pcapng", packet(A), pcapng=True).read_bytes()
    for arguments, source in (
        (("-",), A),
        (("/dev/stdin",), A),
        (("--pcap", "-"), packets),
        (("--pcap", "/dev/stdin"), packets),
    ):
        finished = subprocess.run(
            command("hello", "--json", *arguments),
            input=source,
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(),
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout)["server_name"] == "a.example"


def test_second_client_hello(shown: Any, file: Any) -> None:
    """After a HelloRetryRequest, with and without middlebox compatibility mode."""
    for between in (b"", CHANGE_CIPHER_SPEC):
        code, objects, error = shown(file(A + between + B))
        assert (code, names(objects), error) == (0, ["a.example", "b.example"], "")


def test_what_follows_is_mentioned(shown: Any, file: Any) -> None:
    path = file(A + record(b"secret", 23))
    code, objects, error = shown(path)
    assert (code, names(objects)) == (0, ["a.example"])
    assert error == f"{path}: 11 bytes behind the ClientHello are not shown\n"
    assert shown("--quiet", path)[2] == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends before the ClientHello does"),
        (A[:-1], "ends before the ClientHello does"),
        (HTTP, "plain HTTP"),
        (record(b"", 22), "empty"),
        (CHANGE_CIPHER_SPEC + A, "type 20"),
        (record(client_hello(extension(0), extension(0))), "length"),
        (record(client_hello(extension(9), extension(9))), "twice"),
    ],
)
def test_a_file_without_one_is_refused(content: bytes, reason: str, shown: Any, file: Any) -> None:
    code, objects, error = shown(file(content))
    assert (code, objects) == (1, [])
    assert error.startswith("fasths: ")
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("pcapng", [False, True])
def test_a_capture_without_the_flag_is_refused(pcapng: bool, shown: Any, tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a", packet(A), pcapng=pcapng)
    code, _, error = shown(path)
    assert code == 2
    assert "--pcap" in error


# --- A capture


@pytest.fixture
def found(shown: Any, tmp_path: Path) -> Any:
    """A function that captures these packets: server names in the order in which they are shown."""

    def find(*packets: bytes, **options: Any) -> list[str | None]:
        code, objects, error = shown("--pcap", write_capture(tmp_path / "a", *packets, **options))
        if objects:
            assert (code, error) == (0, "")
        else:
            assert code == 1
            assert "no ClientHello in this capture" in error
        return names(objects)

    return find


@pytest.mark.parametrize("pcapng", [False, True], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("version", [4, 6])
def test_every_kind_of_capture(
    version: int, link: str, pcapng: bool, shown: Any, tmp_path: Path
) -> None:
    source, destination = (CLIENT, SERVER) if version == 4 else (CLIENT6, SERVER6)
    ends = {"source": source, "destination": destination}
    packets = [
        syn(**ends),
        packet(A, **ends),
        packet(b"answer", source=destination, destination=source),
    ]
    path = write_capture(tmp_path / "a", *packets, link=link, pcapng=pcapng)
    code, (hello,), _ = shown("--pcap", path)
    assert code == 0
    assert hello["server_name"] == "a.example"
    assert hello["source"] == ("10.0.0.1:50000" if version == 4 else "[fd00::1]:50000")
    assert hello["destination"] == ("10.0.0.2:443" if version == 4 else "[fd00::2]:443")
    assert hello["time"] == pytest.approx(TIME + 1)


def test_text_says_where_and_when(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    packets = [packet(A), packet(B, source=("10.0.0.3", 50000))]
    assert run("--pcap", write_capture(tmp_path / "a", *packets)) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[:3] == [
        "From:               10.0.0.1:50000",
        "To:                 10.0.0.2:443",
        "Time:               2023-11-14 22:13:20.250000 UTC",
    ]
    assert second.startswith("From:               10.0.0.3:50000\n")


def test_segments_of_any_size(found: Any) -> None:
    for size in (1, 5, 6, 100, 1460):
        parts = [packet(LONG[at : at + size], at) for at in range(0, len(LONG), size)]
        assert found(syn(), *parts) == ["a.example"]
        assert found(*parts) == ["a.example"]


def test_segments_in_any_order(found: Any) -> None:
    parts = [packet(LONG[at : at + 500], at) for at in range(0, len(LONG), 500)]
    assert found(syn(), *reversed(parts)) == ["a.example"]
    assert found(syn(), *parts[1::2], *parts[::2]) == ["a.example"]
    # Without the connection's first packet, a few may come too early.
    assert found(parts[2], parts[1], parts[0], *parts[3:]) == ["a.example"]


def test_numbers_wrap_around(found: Any) -> None:
    """RFC 9293, 3.4: the sequence number after 2**32 - 1 is 0."""
    before = (1 << 32) - START - 50
    parts = [packet(A[at : at + 20], before + at) for at in range(0, len(A), 20)]
    first = packet(at=before - 1, flags=SYN)
    assert found(first, *parts) == ["a.example"]
    assert found(first, *reversed(parts)) == ["a.example"]


def test_repeated_and_overlapping_segments(found: Any) -> None:
    parts = [packet(LONG[at : at + 700], at) for at in range(0, len(LONG), 500)]
    assert found(syn(), syn(), *(part for part in parts for _ in range(2))) == ["a.example"]
    assert found(syn(), *reversed(parts), *parts) == ["a.example"]
    # The same number with more data replaces what waits.
    longer = [packet(LONG[1:10], 1), packet(LONG[1:], 1), packet(LONG[1:20], 1), packet(LONG[:1])]
    assert found(syn(), *longer) == ["a.example"]


def test_data_with_the_first_packet(found: Any) -> None:
    """TCP Fast Open (RFC 7413)."""
    assert found(packet(A[:50], -1, SYN), packet(A[50:], 50)) == ["a.example"]


def test_connections_that_interleave(found: Any) -> None:
    others = [{"source": ("10.0.0.1", 50000 + number)} for number in range(3)]
    packets = [syn(**each) for each in others]
    for at in range(0, len(A), 30):
        packets += [packet((A, B, A)[n][at : at + 30], at, **each) for n, each in enumerate(others)]
    assert found(*packets) == ["a.example", "b.example", "a.example"]


def test_a_port_that_is_used_again(found: Any) -> None:
    for end in (FIN, RST, 0):
        packets = [syn(), packet(A), packet(at=len(A), flags=ACK | end)]
        assert found(*packets, *packets) == ["a.example", "a.example"]
    # What was begun does not go on in the next connection.
    assert found(syn(), packet(A[:50]), syn(), packet(A)) == ["a.example"]


def test_second_client_hello_of_a_connection(found: Any) -> None:
    """After a HelloRetryRequest; in one segment with change_cipher_spec, or behind it."""
    first, at = packet(A), len(A)
    assert found(syn(), first, packet(CHANGE_CIPHER_SPEC + B, at)) == ["a.example", "b.example"]
    assert found(syn(), first, packet(CHANGE_CIPHER_SPEC, at), packet(B, at + 6)) == [
        "a.example",
        "b.example",
    ]
    assert found(packet(A + CHANGE_CIPHER_SPEC + B)) == ["a.example", "b.example"]


def test_tls_that_begins_later(found: Any) -> None:
    """Behind a proxy's CONNECT, or STARTTLS."""
    words = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n"
    assert found(syn(), packet(words), packet(A, len(words))) == ["a.example"]
    assert found(syn(), packet(b"\x16"), packet(A, 1)) == ["a.example"]


def test_a_lost_segment(found: Any) -> None:
    """What comes later is still looked at; the ClientHello with the gap is not made up."""
    gap = [packet(b"x" * 100, 1000 + 100 * number) for number in range(70)]
    assert found(syn(), packet(A[:50]), *gap, packet(B, 8000)) == ["b.example"]


def test_a_capture_that_begins_in_the_middle(found: Any) -> None:
    middle = [packet(b"x" * 1000, 1000 * number) for number in range(20)]
    assert found(*middle, packet(A, 20000)) == ["a.example"]
    assert found(*middle) == []


@pytest.mark.parametrize(
    "content",
    [
        HTTP,
        record(b"\2" + FULL[1:]),
        record(bytes(40), 23),
        record(b"\1\0\0\7" + bytes(40)),
        record(b"\1\0\1\7\5" + bytes(40)),
    ],
    ids=["http", "server_hello", "application_data", "too short", "another version"],
)
def test_other_traffic_is_passed_over(content: bytes, found: Any) -> None:
    assert found(syn(), packet(content)) == []
    assert found(syn(), packet(content), packet(A, len(content))) == ["a.example"]


def test_other_packets_are_passed_over(shown: Any, tmp_path: Path) -> None:
    fragments = [packet(A, mf=1), packet(A, offset=8)]
    udp = bytearray(packet(A))
    udp[9] = 17
    others = [*fragments, bytes(udp), b"", b"\x45", b"\x60" + bytes(50), bytes(100), b"\xff" * 100]
    path = write_capture(tmp_path / "a", *others, packet(B), link="raw")
    code, objects, _ = shown("--pcap", path)
    assert (code, names(objects)) == (0, ["b.example"])


def test_a_malformed_client_hello_is_reported(shown: Any, tmp_path: Path) -> None:
    malformed = record(client_hello(extension(9), extension(9)))
    other = {"source": ("10.0.0.9", 1)}
    path = write_capture(tmp_path / "a", packet(malformed), packet(A, **other))
    code, objects, error = shown("--pcap", path)
    assert (code, names(objects)) == (1, ["a.example"])
    assert error == "10.0.0.1:50000 to 10.0.0.2:443: the extension 9 appears twice\n"


def test_little_is_kept() -> None:
    """Whatever passes by: of a flow, only a ClientHello that has begun, and what waits for it."""
    flow = capture.Flow()
    flow.synchronise(0)
    for number in range(1000):
        assert list(flow.segment(number * 1000, record(bytes(995), 23))) == []
        assert not flow.begun
        assert not flow.waiting
    for number in range(1000):
        assert list(flow.segment(2_000_000 + number * 1000, bytes(900))) == []
        assert len(flow.waiting) <= capture.MAX_WAITING


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3\xb2\xa1", HTTP * 10, b"\x0a\x0d\x0d\x0a" * 9])
def test_a_file_that_is_no_capture_is_refused(content: bytes, shown: Any, file: Any) -> None:
    code, _, error = shown("--pcap", file(content))
    assert code == 2
    assert "no pcap or pcapng capture" in error


def test_an_unknown_link_type_is_refused(shown: Any, tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a", packet(A))
    content = bytearray(path.read_bytes())
    content[20] = 147
    path.write_bytes(content)
    code, _, error = shown("--pcap", path)
    assert code == 2
    assert "link type 147" in error


def test_a_capture_that_is_cut_short(shown: Any, tmp_path: Path) -> None:
    """What was there is shown."""
    path = write_capture(tmp_path / "a", packet(A), packet(B, source=("10.0.0.9", 1)))
    end = path.read_bytes().index(packet(B, source=("10.0.0.9", 1))) - 14
    path.write_bytes(path.read_bytes()[: end - 10])
    code, objects, error = shown("--pcap", path)
    assert (code, names(objects)) == (1, ["a.example"])
    assert "cut short" in error


def test_a_missing_dpkt_is_explained(
    shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_capture(tmp_path / "a", packet(A))
    monkeypatch.setitem(sys.modules, "dpkt", None)
    code, _, error = shown("--pcap", path)
    assert code == 2
    assert "pip install 'fasths[pcap]'" in error


# --- A socket


class Listener(Running):
    """The command with --listen; its stdout goes to a file."""

    def __init__(self, output: Path, *arguments: object) -> None:
        self.output = output
        with output.open("wb") as file:
            super().__init__(command("hello", "--listen", 0, *arguments), stdout=file)
        self.port = int(self.wait_for(r"^listening on 127\.0\.0\.1:(\d+)$")[1])

    def objects(self) -> Lines:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def wait_for_objects(self, count: int) -> Lines:
        deadline = time.monotonic() + TIMEOUT
        while len(objects := self.objects()) < count:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)
        return objects

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT)


@contextmanager
def listening(tmp_path: Path, *arguments: object) -> Iterator[Listener]:
    running = Listener(tmp_path / "shown", *arguments)
    try:
        yield running
    finally:
        assert running.stop() == 0
    assert not any("Traceback" in line for line in running.lines)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with listening(tmp_path, "--json", "--timeout", 1) as running:
        yield running


def test_the_standard_library_as_the_client(listener: Listener) -> None:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with listener.connect() as sock:
        address = "{}:{}".format(*sock.getsockname())
        with pytest.raises(OSError):  # noqa: PT011 (SSLError or a reset: it is never answered)
            context.wrap_socket(sock, server_hostname="stdlib.example")
    (hello,) = listener.wait_for_objects(1)
    assert hello["source"] == address
    assert hello["server_name"] == "stdlib.example"
    assert hello["alpn_protocols"] == ["h2", "http/1.1"]
    assert fasths.TLSVersion.TLSv1_3 in hello["supported_versions"]
    suites = {each["id"] & 0xFFFF for each in context.get_ciphers()}
    assert suites <= set(hello["cipher_suites"])
    assert hello["ja4"].startswith(f"t13d{len(hello['cipher_suites']):02}")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_openssl_as_the_client(version: str, listener: Listener) -> None:
    subprocess.run(
        (
            *("openssl", "s_client", f"-{version}", "-connect", f"127.0.0.1:{listener.port}"),
            *("-servername", "openssl.example", "-alpn", "h2"),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    (hello,) = listener.wait_for_objects(1)
    assert hello["server_name"] == "openssl.example"
    assert hello["ja4"].startswith("t12d" if version == "tls1_2" else "t13d")
    assert hello["ja4"][8:10] == "h2"
    assert (fasths.CipherSuite.TLS_AES_128_GCM_SHA256 in hello["cipher_suites"]) == (
        version == "tls1_3"
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_as_the_client(listener: Listener) -> None:
    finished = subprocess.run(
        (
            *("curl", "--silent", "--resolve", f"curl.example:{listener.port}:127.0.0.1"),
            f"https://curl.example:{listener.port}/",
        ),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert finished.returncode != 0
    (hello,) = listener.wait_for_objects(1)
    assert hello["server_name"] == "curl.example"
    assert "http/1.1" in hello["alpn_protocols"]


def test_fasths_as_the_client(listener: Listener) -> None:
    with listener.connect() as sock:
        context = fasths.Context(verify=fasths.Verify.NONE, alpn=("h2",), groups=("x25519",))
        conn = fasths.Connection(context, fasths.SocketBIO(sock), server_hostname="fasths.example")
        assert conn.connect() == -1
    (hello,) = listener.wait_for_objects(1)
    assert hello["server_name"] == "fasths.example"
    assert hello["alpn_protocols"] == ["h2"]
    assert [each["group"] for each in hello["key_shares"]] == [fasths.NamedGroup.x25519]


def test_a_client_that_sends_byte_by_byte(listener: Listener) -> None:
    with listener.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in A:
            sock.sendall(bytes([byte]))
        (hello,) = listener.wait_for_objects(1)
        assert hello["server_name"] == "a.example"
        assert sock.recv(1) == b""


def test_clients_that_send_none(listener: Listener) -> None:
    """Each costs a line, and nobody else anything."""
    silent = listener.connect()
    with listener.connect() as sock:
        sock.sendall(HTTP)
        listener.wait_for(r"^127\.0\.0\.1:\d+ this looks like plain HTTP")
    with listener.connect() as sock:
        sock.sendall(A[:7])
        sock.shutdown(socket.SHUT_WR)
        listener.wait_for("the connection ended after 7 bytes")
    with listener.connect() as sock:
        sock.sendall(A)
        listener.wait_for_objects(1)
    with silent:
        listener.wait_for("no ClientHello: the peer took too long")
    assert len(listener.objects()) == 1


def test_a_client_that_resets(listener: Listener) -> None:
    sock = listener.connect()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.sendall(A[:7])
    sock.close()
    listener.wait_for("Connection reset|endpoint is not connected|no ClientHello")
    with listener.connect() as sock:
        sock.sendall(B)
        assert names(listener.wait_for_objects(1)) == ["b.example"]


def test_count(tmp_path: Path) -> None:
    """It ends by itself after so many connections, whatever they brought."""
    with listening(tmp_path, "--json", "--count", 3) as running:
        for content in (A, HTTP, B):
            with running.connect() as sock:
                sock.sendall(content)
                with suppress(OSError):
                    sock.recv(1)
        assert running.process.wait(TIMEOUT) == 0
        assert names(running.objects()) == ["a.example", "b.example"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    with listening(tmp_path) as running:
        with running.connect() as sock:
            sock.sendall(A)
            sock.recv(1)
        assert running.stop(number) == 0
        assert "Server name:        a.example" in running.output.read_text()


def test_clients_at_the_same_time(listener: Listener) -> None:
    """Whole lines, one for each."""
    threads = []
    for number in range(20):
        hello = record(client_hello(server_name(b"%d.example" % number)))

        def send(hello: bytes = hello) -> None:
            with listener.connect() as sock:
                sock.sendall(hello)
                sock.recv(1)

        threads.append(threading.Thread(target=send))
        threads[-1].start()
    for thread in threads:
        thread.join(TIMEOUT)
    objects = listener.wait_for_objects(20)
    assert sorted(names(objects)) == sorted(f"{number}.example" for number in range(20))


def test_an_address_in_use(shown: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, error = shown("--listen", port)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in error


def test_a_stdout_that_is_gone(tmp_path: Path) -> None:
    path = write_capture(
        tmp_path / "a", *(packet(A, source=("10.0.0.1", n)) for n in range(1, 500))
    )
    process = subprocess.Popen(
        command("hello", "--pcap", path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert error.startswith(b"fasths: cannot write to stdout: Broken pipe")
    assert b"Traceback" not in error
