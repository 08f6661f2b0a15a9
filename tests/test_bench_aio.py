"""The rows on asyncio run, and compare what they say.

How fast anything is, is not tested: machines differ.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import aio, aio_memory
from bench.aio import Caller, Echo
from bench.aio_check import check_settings
from bench.aio_stacks import make_aio_stack, make_runner
from bench.cases import AIO_NAMES, LOOPS, ROWS, TLS_1_2, X25519MLKEM768, Row, select_rows
from bench.certificates import Credentials, make_credentials
from bench.job import Job, run_worker
from bench.results import Column, Result
from bench.stacks import Unavailable

ROOT = Path(__file__).resolve().parent.parent
OURS = ("fasths.aio", "fasths.ssl")
ECHOES = select_rows(["asyncio-echo"])


def installed(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        assert not os.environ.get("CI"), f"{name} is not installed"
        return False
    return True


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return make_credentials("ecdsa")


def row_called(name: str) -> Row:
    (row,) = (row for row in ROWS if row.name == name)
    return row


def job_for(name: str, credentials: Credentials, stacks: tuple[str, ...] = OURS) -> Job:
    return Job(name, stacks, credentials, rounds=1, batch=8, megabytes=0, pairs=4)


def expected(stacks: tuple[str, ...]) -> dict[str, set[str]]:
    loops = {loop for loop in LOOPS if loop == "asyncio" or installed(loop)}
    return {name: loops for name in stacks if name != "aiofastnet" or installed(name)}


def test_report_of_the_connections_row(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--quick", "--rounds", "2"),
            *("--rows", "asyncio-connections-cached", "--json", str(path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    (row,) = json.loads(path.read_text())["rows"].values()
    measured = {name: set(columns) for name, columns in row["stacks"].items()}
    assert measured == expected(AIO_NAMES)
    for columns in row["stacks"].values():
        for figures in columns.values():
            assert len(figures["rounds"]) == 2
            assert 1 < figures["median"] <= figures["best"] == max(figures["rounds"])
    for name in OURS:
        assert row[f"{name}_is_better_by"]["ssl"]["asyncio"]["best"] > 0
        assert f"{name} is" in finished.stdout
    assert "connections per second" in finished.stdout
    assert "verified-chain cache" in finished.stdout


@pytest.mark.parametrize("name", [row.name for row in ECHOES])
def test_echo_rows_have_all_figures(name: str, credentials: Credentials) -> None:
    job = replace(job_for(name, credentials, AIO_NAMES), batch=50)
    result = Result.from_json(run_worker(job))
    measured = {stack: set(columns) for stack, columns in result.samples.items()}
    assert measured == expected(AIO_NAMES)
    assert {column.unit for column in result.columns} == {"trips/s"}


def test_afresh_is_not_for_who_always_caches(credentials: Credentials) -> None:
    result = aio.measure(job_for("asyncio-connections", credentials))
    assert list(result.samples) == ["fasths.aio"]
    assert "verified-chain cache" in result.skipped["fasths.ssl"]


def test_memory_row_has_all_figures(credentials: Credentials) -> None:
    result = aio_memory.measure(job_for("asyncio-memory", credentials, ("fasths.aio",)))
    assert {stack: set(columns) for stack, columns in result.samples.items()} == expected(
        ("fasths.aio",)
    )


def test_memory_of_buffers_is_counted(credentials: Credentials) -> None:
    """asyncio's own transport holds 256 KiB on either side."""
    job = replace(job_for("asyncio-memory", credentials, ("ssl",)), loop="asyncio", pairs=8)
    # In a process of its own: what this one has freed would be used again.
    assert run_worker(job, "bench.aio_memory") > 400


def checked(row: Row, made_for: Row, credentials: Credentials) -> None:
    stack = make_aio_stack("fasths.aio", made_for, credentials)
    with make_runner("asyncio") as runner:
        runner.run(check_settings(stack, row, Echo, Caller))


@pytest.mark.parametrize(
    "change",
    [{"group": X25519MLKEM768}, {"version": TLS_1_2}],
    ids=["group", "version"],
)
def test_settings_of_another_row_are_refused(
    change: dict[str, Any], credentials: Credentials
) -> None:
    row = row_called("asyncio-echo-1k")
    with pytest.raises(Unavailable, match="negotiated"):
        checked(row, replace(row, **change), credentials)


def test_tickets_are_noticed(credentials: Credentials) -> None:
    row = row_called("asyncio-echo-1k")
    with pytest.raises(Unavailable, match="session tickets"):
        checked(row, replace(row, resumed=True), credentials)


def test_settings_are_what_the_row_says(credentials: Credentials) -> None:
    checked(row_called("asyncio-echo-1k"), row_called("asyncio-echo-1k"), credentials)


def test_a_stack_that_does_not_answer_is_named(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Echo):
        def data_received(self, data: bytes) -> None:
            pass

    monkeypatch.setattr("bench.aio_check._TIMEOUT", 0.05)
    row = row_called("asyncio-echo-1k")
    stack = make_aio_stack("fasths.aio", row, credentials)
    with make_runner("asyncio") as runner, pytest.raises(Unavailable, match="not answered"):
        runner.run(check_settings(stack, row, Deaf, Caller))


def test_no_such_loop() -> None:
    with pytest.raises(ValueError, match="no loop"):
        make_runner("twisted")


def test_all_on_asyncio_are_chosen_together() -> None:
    rows = select_rows(["asyncio"])
    assert {"asyncio-echo-1k", "asyncio-connections", "asyncio-memory"} < {r.name for r in rows}
    assert rows == [row for row in ROWS if row.name.startswith("asyncio-")]


def test_ratios_are_those_of_each_reference() -> None:
    columns = [Column(loop, "trips/s", lower_is_better=False) for loop in LOOPS]
    result = Result("row", columns, references=OURS)
    for stack, figures in (("fasths.aio", (8.0, 6.0)), ("fasths.ssl", (2.0,)), ("ssl", (4.0, 3.0))):
        result.add(stack, **dict(zip(LOOPS, figures, strict=False)))
    again = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert again == result
    written = result.to_json()
    assert written["fasths.aio_is_better_by"]["ssl"]["uvloop"] == {"best": 2.0, "median": 2.0}
    assert written["fasths.ssl_is_better_by"]["ssl"]["asyncio"] == {"best": 0.5, "median": 0.5}
    assert written["fasths.ssl_is_better_by"]["ssl"]["uvloop"] is None


def test_a_caller_hears_of_the_end() -> None:
    async def call() -> None:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, caller = await asyncio.get_running_loop().create_connection(
            Caller, "127.0.0.1", port
        )
        answer = caller.call(b"x", 1)
        transport.close()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(answer, 5)
        server.close()

    asyncio.run(call())
