"""The command line: its arguments, and what it says in words."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace

import pytest

import fasths
from fasths.cli import main, options, report

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
        older = text.replace("3", "2")
        assert options.tls_version(older) is fasths.TLSVersion.TLSv1_2


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


# Messages in words


def test_messages_in_words() -> None:
    kinds = fasths.ContentType
    assert report.message_name(kinds.handshake, b"\x01\0\0\0") == "handshake client_hello"
    assert report.message_name(kinds.handshake, b"\x63\0\0\0") == "handshake unknown (99)"
    assert report.message_name(kinds.handshake, b"\x0e\0\0\0") == "handshake server_hello_done"
    assert report.message_name(kinds.alert, b"\x02\x30") == "alert fatal unknown_ca"
    assert report.message_name(kinds.alert, b"\x01\x64") == "alert warning no_renegotiation"
    assert report.message_name(kinds.alert, b"\x07\xff") == "alert 7 unknown (255)"
    assert report.message_name(kinds.change_cipher_spec, b"\x01") == "change_cipher_spec"


def test_what_is_no_certificate_is_shown_as_such() -> None:
    assert "cannot be parsed" in report.subject(b"")
    assert "cannot be parsed" in report.certificate_lines(b"")[0][1]
