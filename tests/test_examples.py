"""Every example runs from beginning to end, as a newcomer would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = {
    "echo.py": "closed cleanly: True",
    "memory.py": "the server sees the end: True",
    "nonblocking.py": "client 4 got back b'message 4'",
    "demo.py": "unknown_ca, peer",
}


def run_example(name: str) -> str:
    """What the example prints; fails if it fails or hangs."""
    example = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert example.returncode == 0, example.stdout
    return example.stdout


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name: str) -> None:
    assert EXPECTED[name] in run_example(name)


def test_every_example_is_tested() -> None:
    examples = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert examples - {"throwaway.py"} == set(EXPECTED)


def test_output_without_a_terminal_has_no_colours() -> None:
    assert "\x1b" not in run_example("echo.py")
