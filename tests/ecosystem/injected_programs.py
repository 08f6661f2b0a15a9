"""Starts programs that have never heard of fasths, with fasths.ssl in the place of ssl."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from interop.processes import TIMEOUT, Process

PROGRAMS = Path(__file__).with_name("programs")
# How fasths.ssl gets to the program, and which package its connections are of then.
HOW = {
    "before": "fasths",
    "after": "fasths",
    "replaced": "fasths",
    "none": "_ssl",
    "extracted": "_ssl",
}


# In which version of TLS each is tried: not in both, as processes take their time.
IN_VERSIONS = [
    ("before", "1.3"),
    ("before", "1.2"),
    ("after", "1.3"),
    ("after", "1.2"),
    ("replaced", "1.3"),
    ("none", "1.3"),
    ("extracted", "1.3"),
]
EACH_WAY = pytest.mark.parametrize(("how", "version"), IN_VERSIONS, indirect=["version"])


def launch(how: str, libraries: str, program: str, *arguments: object) -> Process:
    launcher = str(PROGRAMS / "launcher.py")
    texts = map(str, (how, libraries, PROGRAMS / program, *arguments))
    return Process(sys.executable, launcher, *texts)


def output_of(how: str, libraries: str, program: str, *arguments: object) -> list[str]:
    """The words that a program prints, of the first one the package; it has to end well."""
    with launch(how, libraries, program, *arguments) as process:
        status = process.wait(3 * TIMEOUT)
        assert status == 0, process.log.text
        module, *others = process.receive_some().decode().split()
        return [module.partition(".")[0], *others]
