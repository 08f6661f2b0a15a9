"""The runner itself: every way in which a test can end, with a suite made for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
SUITE = """
import os, ssl, time, unittest

# The functions of a copy are still those of the module that it is of.
COPIED = ssl.create_default_context.__globals__ is not vars(ssl)

class Endings(unittest.TestCase):
    def test_a_passes(self):
        pass

    def test_b_fails(self):
        self.assertFalse(COPIED)

    def test_c_raises(self):
        if COPIED:
            raise LookupError("nothing there")

    def test_d_crashes(self):
        if COPIED:
            os.abort()

    def test_e_hangs(self):
        while COPIED:
            time.sleep(1)

    def test_f_skips(self):
        if COPIED:
            self.skipTest("not with this")

    def test_g_has_subtests(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertFalse(COPIED and number == 1)

    @unittest.expectedFailure
    def test_h_fails_as_expected(self):
        self.fail()

    def test_i_fails_everywhere(self):
        self.fail()

    def test_j_passes_after_all_that(self):
        pass

class Fixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if COPIED:
            raise LookupError("no fixture")

    def test_k_needs_the_fixture(self):
        pass
"""
LISTED = """
[[exception]]
tests = [
    "endings.Endings.test_b_fails",
    "endings.Endings.test_c_raises",
    "endings.Endings.test_d_crashes",
    "endings.Endings.test_e_hangs",
    "endings.Endings.test_f_skips",
    "endings.Endings.test_g_has_subtests",
    "endings.Fixture.test_k_needs_the_fixture",
]
reason = "They are made so."
"""


def run(folder: Path, exceptions: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "endings.py").write_text(SUITE)
    (folder / "exceptions.toml").write_text(exceptions)
    command = [sys.executable, str(RUN), "endings", "--ssl", "copy", "--limit", "2"]
    command += ["--once", "--exceptions", str(folder / "exceptions.toml"), *arguments]
    return subprocess.run(
        command, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )


def test_each_ending_is_told_from_the_others(tmp_path):
    finished = run(tmp_path, LISTED, "--results", str(tmp_path / "results.json"))
    results = json.loads((tmp_path / "results.json").read_text())
    assert {name.rpartition("test_")[2]: each["outcome"] for name, each in results.items()} == {
        "a_passes": "passed",
        "b_fails": "failed",
        "c_raises": "error",
        "d_crashes": "crashed",
        "e_hangs": "hung",
        "f_skips": "skipped",
        "g_has_subtests": "failed",
        "h_fails_as_expected": "passed",
        "i_fails_everywhere": "failed",
        "j_passes_after_all_that": "passed",
        "k_needs_the_fixture": "missing",
    }
    assert "number=1" in results["endings.Endings.test_g_has_subtests"]["detail"]
    assert (
        "LookupError: no fixture" in results["endings.Fixture.test_k_needs_the_fixture"]["detail"]
    )
    assert "3 of the 10 tests that pass with ssl pass with a copy of ssl" in finished.stdout
    assert "7: They are made so." in finished.stdout
    assert (
        "failed: endings.Endings.test_i_fails_everywhere: AssertionError: None" in finished.stdout
    )
    assert finished.returncode == 0


def test_what_is_not_listed_fails_the_suite(tmp_path):
    finished = run(tmp_path, "", "--only", "*test_c_raises")
    assert "1 fail and are not in exceptions.toml:" in finished.stdout
    assert "error: endings.Endings.test_c_raises: LookupError: nothing there" in finished.stdout
    assert finished.returncode == 1


def test_what_is_listed_and_passes_is_reported(tmp_path):
    listed = LISTED.replace("test_b_fails", "test_a_passes")
    finished = run(tmp_path, listed, "--only", "*test_a_passes")
    assert "1 are in exceptions.toml and pass:\n  endings.Endings.test_a_passes" in finished.stdout
    assert finished.returncode == 0


def test_a_module_that_cannot_be_imported_is_one_line(tmp_path):
    finished = run(tmp_path, "", "--only", "*", "--ssl", "there_is_no_such_module")
    assert "all of endings: ModuleNotFoundError: No module named" in finished.stdout
    assert finished.returncode == 1


@pytest.mark.parametrize(
    ("exceptions", "what_is_wrong"),
    [
        ('[[exception]]\ntests = ["a"]\nreason = " "', "no reason for"),
        ('[[exception]]\ntests = ["a", "a"]\nreason = "So."', "a is listed twice"),
    ],
    ids=["no-reason", "twice"],
)
def test_wrong_exceptions_are_refused(tmp_path, exceptions, what_is_wrong):
    finished = run(tmp_path, exceptions)
    assert what_is_wrong in finished.stderr
    assert finished.returncode != 0
