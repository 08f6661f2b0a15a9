"""The comparison runs, and its JSON has the shape that other programs may rely on.

How fast anything is, is not tested: machines differ.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import fasths
from bench import floor12
from bench.cases import ROWS, TLS_1_2, TLS_1_3, X25519, X25519MLKEM768, Row, select_rows
from bench.certificates import Credentials, make_credentials
from bench.client_hello import browser_hello
from bench.floor import Floor
from bench.handshake import check_settings
from bench.job import Job
from bench.results import FLOOR, Column, Result
from bench.server_hello import offers_ticket, read_server_hello, tickets_in_the_clear
from bench.stacks import Unavailable, make_stack
from fasths.crypto.key_schedule import HASHES
from fasths.crypto.key_schedule12 import extended_master_secret

ROOT = Path(__file__).resolve().parent.parent
HANDSHAKES = select_rows(["handshake"])


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_report_of_the_handshake_rows(tmp_path: Path) -> None:
    """All that is said of one short run, which takes its time."""
    path = tmp_path / "figures.json"
    finished = bench("--quick", "--rounds", "2", "--rows", "handshake", "--json", str(path))
    assert finished.returncode == 0, finished.stderr
    text, written = " ".join(finished.stdout.split()), json.loads(path.read_text())
    assert_rows_have_all_figures(written["rows"])
    assert_peers_are_compared_or_named_with_a_reason(text, written["rows"])
    assert_text_names_settings_and_every_row(text, written["rows"])


def assert_rows_have_all_figures(rows: dict[str, Any]) -> None:
    assert list(rows) == [row.name for row in HANDSHAKES]
    assert {"handshake-ecdsa-cached", "mutual-ecdsa", "resumption", "tls12-ecdsa"} < set(rows)
    for row in rows.values():
        assert {"fasths", FLOOR} <= set(row["stacks"])
        for stack, columns in row["stacks"].items():
            for figures in columns.values():
                assert len(figures["rounds"]) == 2
                assert 1 < figures["best"] == min(figures["rounds"]) <= figures["median"] < 1e6
            if stack == FLOOR:
                assert set(columns) == {"client", "server"}
            else:
                assert columns["both"]["best"] > columns["client"]["best"]
        for name in ("client", "server"):
            ours, floor = (row["stacks"][stack][name]["best"] for stack in ("fasths", FLOOR))
            over = row["fasths_over_floor_percent"][name]["best"]
            assert over == pytest.approx(100 * (ours / floor - 1))


def assert_peers_are_compared_or_named_with_a_reason(text: str, rows: dict[str, Any]) -> None:
    for row in rows.values():
        for peer in ("ssl", "pyOpenSSL"):
            assert (peer in row["stacks"]) != (peer in row["skipped"])
            if peer in row["stacks"]:
                assert row["fasths_is_better_by"][peer]["both"]["best"] > 0
            else:
                assert f"{peer}: {row['skipped'][peer]}" in text
    for name in ("handshake-ecdsa", "tls12-ecdsa", "tls12-resumption", "tls12-resumption-id"):
        assert "ssl" in rows[name]["stacks"]


def assert_text_names_settings_and_every_row(text: str, rows: dict[str, Any]) -> None:
    assert "TLS_AES_128_GCM_SHA256" in text
    assert "no session tickets" in text
    for row in HANDSHAKES:
        group = ", x25519" if row.group == X25519 and row.key_exchange else ""
        _, _, rest = text.partition(f"{row.title}{group} --")
        assert rest.lstrip("- ").startswith(row.differs or "microseconds"), row.name
        assert row.cached_chains == ("verified-chain cache" in row.differs)
        assert (row.version == TLS_1_2) == row.differs.startswith(f"TLS 1.2, {row.suite}")
        assert rows[row.name]["differs"] == row.differs
    assert text.count("fasths over floor") == len(HANDSHAKES)


def test_client_hello_rows_have_all_figures(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    finished = bench("--quick", "--rounds", "2", "--rows", "client-hello", "--json", str(path))
    assert finished.returncode == 0, finished.stderr
    assert "fasths is" not in finished.stdout  # there is nobody to compare with
    rows = json.loads(path.read_text())["rows"]
    assert list(rows) == ["client-hello", "client-hello-mlkem"]
    for row in rows.values():
        (figures,) = row["stacks"].values()
        assert list(figures) == ["server_name", "all fields", "JA4"]
        assert figures["server_name"]["best"] < figures["all fields"]["best"]


@pytest.mark.parametrize("group", [X25519, X25519MLKEM768])
def test_client_hello_rows_say_how_large_it_is(group: int) -> None:
    data = browser_hello(group)
    hello = fasths.parse_client_hello(data)
    assert hello is not None
    assert hello.size == len(data)
    assert group in dict(hello.key_shares)
    (row,) = (each for each in select_rows(["client-hello"]) if each.group == group)
    assert f"{len(data):,} bytes" in row.title


def test_help_explains_the_options() -> None:
    finished = bench("--help")
    assert finished.returncode == 0
    for word in ("--rows", "--rounds", "--quick", "--json", "--stacks", ROWS[-1].name):
        assert word in finished.stdout


@pytest.mark.parametrize(
    "arguments", [("--rows", "bulge"), ("--stacks", "rustls"), ("--rounds", "0")]
)
def test_wrong_options_are_refused(arguments: tuple[str, ...]) -> None:
    finished = bench(*arguments)
    assert finished.returncode == 2
    assert arguments[0].removeprefix("--")[:4] in finished.stderr


def test_result_survives_json() -> None:
    result = Result("row", [Column("both", "us", lower_is_better=True)], skipped={"x": "absent"})
    for stack, figures in (("fasths", (2.0, 3.0)), ("ssl", (4.0, 7.0)), (FLOOR, (1.0, 2.0))):
        for figure in figures:
            result.add(stack, both=figure)
    again = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert again == result
    assert again.advantage("both", over="ssl") == {"best": 2.0, "median": pytest.approx(13 / 6)}
    assert again.over_floor("both") == {"best": 100.0, "median": pytest.approx(75.0)}


def test_rates_are_better_when_higher() -> None:
    result = Result("row", [Column("both", "GB/s", lower_is_better=False)])
    result.add("fasths", both=3.0)
    result.add("ssl", both=1.5)
    assert result.advantage("both", over="ssl") == {"best": 2.0, "median": 2.0}
    assert result.advantage("both", over="pyOpenSSL") is None


def server_hello(extensions: bytes) -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


def test_server_hello_is_read_from_the_wire() -> None:
    extensions = bytes.fromhex("002b00020304 003300 24 001d0020".replace(" ", "")) + bytes(32)
    flight = server_hello(extensions)
    selected_identity = bytes.fromhex("002900020000")
    assert read_server_hello(server_hello(extensions + selected_identity)).resumed
    assert read_server_hello(flight) == (TLS_1_3, 0x1301, X25519, False)
    with pytest.raises(ValueError, match="ServerHello"):
        read_server_hello(b"\x15\x03\x03\x00\x02\x02\x28")


def record(content_type: int, content: bytes) -> bytes:
    return bytes([content_type, 3, 3]) + len(content).to_bytes(2, "big") + content


def message(handshake_type: int, body: bytes) -> bytes:
    return bytes([handshake_type]) + len(body).to_bytes(3, "big") + body


def test_flight_of_tls_1_2_is_read_from_the_wire() -> None:
    hello = message(2, b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2b\x00" + b"\x00\x00")
    key_exchange = message(12, b"\x03\x00\x1d\x20" + bytes(32) + b"\x04\x03\x00\x00")
    end = record(20, b"\x01") + record(22, bytes(40))
    in_one = record(22, hello + message(11, bytes(3)) + key_exchange + message(14, b""))
    in_two = record(22, hello + key_exchange[:7]) + record(22, key_exchange[7:])
    for flight in (in_one, in_two):
        assert read_server_hello(flight) == (TLS_1_2, 0xC02B, X25519, False)
        assert tickets_in_the_clear(flight) == 0
    ticket = message(4, bytes(6 + 90))
    assert read_server_hello(record(22, hello) + end) == (TLS_1_2, 0xC02B, None, True)
    assert tickets_in_the_clear(record(22, hello + ticket) + end) == 96


@pytest.mark.parametrize(
    ("extension", "offered"), [("00230000", False), ("00230003616263", True), ("", False)]
)
def test_ticket_is_found_in_a_client_hello(extension: str, offered: bool) -> None:
    extensions = bytes.fromhex("00170000" + extension)
    body = b"\x03\x03" + bytes(32) + b"\x02id" + b"\x00\x02\xc0\x2b" + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    assert offers_ticket(record(22, message(1, body))) == offered


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return make_credentials("ecdsa")


def row_called(name: str) -> Row:
    (row,) = (row for row in ROWS if row.name == name)
    return row


def job_for(name: str, credentials: Credentials) -> Job:
    return Job(name, ("fasths",), credentials, rounds=1, batch=1, megabytes=0, pairs=0)


@pytest.mark.parametrize("name", [row.name for row in HANDSHAKES if row.leaf == "ecdsa"])
def test_handshake_is_what_its_row_says(name: str, credentials: Credentials) -> None:
    stack = make_stack("fasths", row_called(name), credentials)
    ticket_size = check_settings(stack, job_for(name, credentials))
    assert (ticket_size > 0) == (name == "resumption")


@pytest.mark.parametrize("name", [row.name for row in HANDSHAKES if row.version == TLS_1_2])
def test_handshake_of_ssl_is_what_its_row_says(name: str) -> None:
    row = row_called(name)
    credentials = make_credentials(row.leaf)
    assert check_settings(make_stack("ssl", row, credentials), job_for(name, credentials)) == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resumption", "did not resume"),
        ("mutual-ecdsa", "authenticated itself"),
        ("handshake-mlkem", "x25519 instead of X25519MLKEM768"),
        ("tls12-ecdsa", "0x304, 0x1301 instead of TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_128_GCM"),
    ],
)
def test_handshake_with_settings_of_another_row_is_refused(
    name: str, reason: str, credentials: Credentials
) -> None:
    stack = make_stack("fasths", row_called("handshake-ecdsa"), credentials)
    with pytest.raises(Unavailable, match=reason):
        check_settings(stack, job_for(name, credentials))


@pytest.mark.parametrize(
    ("made_for", "checked_for", "reason"),
    [
        ("tls12-ecdsa", "handshake-ecdsa", "0x303, 0xc02b instead of TLS 1.3, TLS_AES_128_GCM"),
        ("tls12-ecdsa", "tls12-resumption", "did not resume"),
        ("tls12-resumption", "tls12-resumption-id", "is in a ticket"),
        ("tls12-resumption-id", "tls12-resumption", "is not in a ticket"),
    ],
)
@pytest.mark.parametrize("peer", ["fasths", "ssl"])
def test_handshake_of_tls_1_2_with_settings_of_another_row_is_refused(
    made_for: str, checked_for: str, reason: str, peer: str, credentials: Credentials
) -> None:
    stack = make_stack(peer, row_called(made_for), credentials)
    with pytest.raises(Unavailable, match=reason):
        check_settings(stack, job_for(checked_for, credentials))


def test_floor_of_tls_1_2_derives_what_fasths_derives() -> None:
    pre_master_secret, session_hash, *randoms = (bytes([number]) * 32 for number in range(1, 5))
    secret = extended_master_secret(HASHES["sha256"], pre_master_secret, session_hash)
    assert floor12._master_secret(pre_master_secret, session_hash) == secret.reveal()
    keys = floor12._keys(secret.reveal(), *randoms)
    client_key, server_key, client_iv, server_iv = secret.key_block(*randoms, 16, 4)
    assert (keys.client_nonce[:4], keys.server_nonce[:4]) == (client_iv, server_iv)
    for ours, key in ((keys.client, client_key), (keys.server, server_key)):
        assert ours.encrypt(bytes(12), b"", b"") == AESGCM(key).encrypt(bytes(12), b"", b"")
    assert floor12._client_finished(keys, session_hash)[4:] == secret.finished(False, session_hash)
    assert floor12._server_finished(keys, session_hash)[4:] == secret.finished(True, session_hash)


def test_floor_of_resumption_goes_on_with_its_own_ticket(credentials: Credentials) -> None:
    floor = Floor(row_called("resumption"), credentials)
    tickets = set()
    for _ in range(3):
        floor.handshake()
        tickets.add(floor._ticket)
    assert len(tickets) == 3
