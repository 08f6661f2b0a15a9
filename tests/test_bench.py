"""The comparison runs, and its JSON has the shape that other programs may rely on.

How fast anything is, is not tested: machines differ.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cases import ROWS, select_rows
from bench.results import FLOOR, Column, Result
from bench.server_hello import read_server_hello

ROOT = Path(__file__).resolve().parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The text and the JSON of a short run over the handshake rows."""
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    finished = bench("--quick", "--rounds", "2", "--rows", "handshake", "--json", str(path))
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, json.loads(path.read_text())


def test_handshake_rows_have_all_figures(report: tuple[str, dict[str, Any]]) -> None:
    rows = report[1]["rows"]
    assert list(rows) == ["handshake-ecdsa", "handshake-rsa", "handshake-mlkem"]
    for row in rows.values():
        assert {"fasths", FLOOR} <= set(row["stacks"])
        for stack, columns in row["stacks"].items():
            for figures in columns.values():
                assert len(figures["rounds"]) == 2
                assert 10 < figures["best"] == min(figures["rounds"]) <= figures["median"] < 1e6
            if stack == FLOOR:
                assert set(columns) == {"client", "server"}
            else:
                assert columns["both"]["best"] > columns["client"]["best"]
        for name in ("client", "server"):
            assert row["fasths_over_floor_percent"][name]["best"] > -20


def test_peers_are_compared_or_named_with_a_reason(report: tuple[str, dict[str, Any]]) -> None:
    text, written = " ".join(report[0].split()), report[1]
    for row in written["rows"].values():
        for peer in ("ssl", "pyOpenSSL"):
            assert (peer in row["stacks"]) != (peer in row["skipped"])
            if peer in row["stacks"]:
                assert row["fasths_is_better_by"][peer]["both"]["best"] > 0
            else:
                assert f"{peer}: {row['skipped'][peer]}" in text
    assert "ssl" in written["rows"]["handshake-ecdsa"]["stacks"]


def test_text_names_settings_and_every_row(report: tuple[str, dict[str, Any]]) -> None:
    text = " ".join(report[0].split())  # wherever lines were wrapped
    assert "TLS_AES_128_GCM_SHA256" in text
    assert "no session tickets" in text
    for row in select_rows(["handshake"]):
        assert row.title in text
    assert text.count("fasths over floor") == 3


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


def test_server_hello_is_read_from_the_wire() -> None:
    extensions = bytes.fromhex("002b00020304 003300 24 001d0020".replace(" ", "")) + bytes(32)
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    flight = b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message
    assert read_server_hello(flight) == (0x0304, 0x1301, 0x001D)
    with pytest.raises(ValueError, match="ServerHello"):
        read_server_hello(b"\x15\x03\x03\x00\x02\x02\x28")
