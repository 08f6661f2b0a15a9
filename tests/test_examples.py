"""Every example runs from beginning to end, as a newcomer would run it, and the documentation shows
nothing else."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
EXPECTED = {
    "echo.py": "closed cleanly: True",
    "memory.py": "the server sees the end: True",
    "nonblocking.py": "client 4 got back b'message 4'",
    "demo.py": "unknown_ca, peer",
    "resumption.py": "the same again: b'', then b'GET /weather'",
    "external_psk.py": "found by a callback: True",
    "authentication.py": "after a renewal, resumed: True",
    "waits.py": "shop.example: waited for WANT_CLIENT_HELLO_CB, WANT_ASYNC; established",
    "proxy.py": "shop.example: ours, t13d",
    "aio_echo.py": "upgraded: b'in private",
    "tls12.py": "devices.example: <TLSVersion.TLSv1_2: 771>",
    "ssl_switch.py": "hello over TLSv1.3\nCERTIFICATE_VERIFY_FAILED: unable to get local issuer",
    "injected_requests.py": "hello over X25519MLKEM768\nrefused: True",
    "ssl_additions.py": "without certificates: TLSv1.3, None",
    "trio_connection.py": "read while writing: 1000000 bytes",
    "anyio_connection.py": "closed on trio",
}
# What the examples have in common.
HELPERS = {"throwaway.py", "in_memory.py", "async_stream.py"}
# Whose code is taken from the examples.
QUOTING = (
    "resumption.md",
    "authentication.md",
    "requests.md",
    "proxies.md",
    "tls12.md",
    "aio.md",
    "ssl.md",
    "connection.md",
)


def run_example(name: str) -> str:
    """What the example prints; fails if it fails or hangs."""
    example = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
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
    examples = {path.name for path in EXAMPLES.glob("*.py")}
    assert examples - HELPERS == set(EXPECTED)


def test_output_without_a_terminal_has_no_colours() -> None:
    assert "\x1b" not in run_example("echo.py")


@pytest.mark.parametrize("name", QUOTING)
def test_code_in_the_documentation_is_from_an_example(name: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)
    assert blocks
    sources = [(EXAMPLES / example).read_text() for example in (*EXPECTED, *sorted(HELPERS))]
    for block in blocks:
        indented = [textwrap.indent(block, " " * width) for width in (0, 4, 8, 12)]
        assert any(text in source for text in indented for source in sources), block


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", *sorted(os.listdir(ROOT / "docs"))])
def test_links_lead_to_files(page: str) -> None:
    path = ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page
    for link in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link
