"""Runs tests of one module in this process and writes one JSON line per event to a file.

Patterns of the tests to run come as a JSON list on standard input. Each line is written before the
next test starts, so a test that takes the process with it loses only itself.
"""

from __future__ import annotations

import argparse
import faulthandler
import fnmatch
import importlib
import json
import os
import sys
import time
import types
import unittest
from collections.abc import Iterator
from typing import Any, TextIO

# What a test may need besides the processor. Not in it: network.
RESOURCES = ["cpu", "walltime"]


def replace_ssl(name: str) -> types.ModuleType:
    """Puts the module of that name, or a copy of ssl ("copy"), in the place of ssl."""
    import ssl

    if name == "copy":
        replacement = types.ModuleType("ssl", ssl.__doc__)
        vars(replacement).update(vars(ssl))
    else:
        replacement = importlib.import_module(name)
    for holder, module in list(sys.modules.items()):
        if holder.startswith("asyncio.") and getattr(module, "ssl", None) is ssl:
            raise SystemExit(f"{holder} has imported the standard ssl module already")
    sys.modules["ssl"] = replacement
    return replacement


class Recorder(unittest.TestResult):
    """Writes a line when a test starts and one with its outcome when it ends."""

    def __init__(self, out: TextIO, hung: TextIO, limit: float) -> None:
        super().__init__()
        self.out = out
        self.hung = hung
        self.limit = limit
        self.outcome = "passed"
        self.detail: list[str] = []
        self.started: float | None = None

    def line(self, **fields: object) -> None:
        self.out.write(json.dumps(fields) + "\n")
        self.out.flush()

    def note(self, outcome: str, test: Any, detail: str) -> None:
        if self.started is None:
            # setUpModule or setUpClass: what they stand before is not run.
            self.line(event="outside", test=test.id(), outcome=outcome, detail=detail)
            return
        if self.outcome in ("passed", "skipped"):
            self.outcome = outcome
        self.detail.append(detail)

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome, self.detail = "passed", []
        self.line(event="start", test=test.id())
        self.started = time.perf_counter()
        # From a thread without the GIL: it ends a process that hangs in C, too.
        faulthandler.dump_traceback_later(self.limit, exit=True, file=self.hung)

    def stopTest(self, test: unittest.TestCase) -> None:
        faulthandler.cancel_dump_traceback_later()
        assert self.started is not None
        self.line(
            event="end",
            test=test.id(),
            outcome=self.outcome,
            detail="\n".join(self.detail),
            seconds=round(time.perf_counter() - self.started, 3),
        )
        self.started = None
        super().stopTest(test)

    def addError(self, test: Any, err: Any) -> None:
        self.note("error", test, self._exc_info_to_string(err, test))

    def addFailure(self, test: Any, err: Any) -> None:
        self.note("failed", test, self._exc_info_to_string(err, test))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            outcome = "failed" if issubclass(err[0], test.failureException) else "error"
            text = self._exc_info_to_string(err, test)
            self.note(outcome, subtest, f"{text}with {subtest._subDescription()}")

    def addSkip(self, test: Any, reason: str) -> None:
        if self.started is None or self.outcome == "passed":
            self.note("skipped", test, reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        pass

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.note("failed", test, "Unexpected success")


def flattened(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flattened(test)
        else:
            yield test


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("out", help="file for the events")
    parser.add_argument("hung", help="file for where all threads are if a test hangs")
    parser.add_argument("--ssl", help="what to import in place of ssl")
    parser.add_argument("--limit", type=float, required=True, help="seconds for one test")
    args = parser.parse_args()
    patterns = json.load(sys.stdin)

    with open(args.out, "w", encoding="utf-8") as out, open(args.hung, "w") as hung:
        recorder = Recorder(out, hung, args.limit)
        replacement = replace_ssl(args.ssl) if args.ssl else importlib.import_module("ssl")
        support = importlib.import_module("test.support")
        support.use_resources = RESOURCES
        support.verbose = False
        module = importlib.import_module(args.module)
        used = getattr(module, "ssl", replacement)
        if used is not replacement:
            raise SystemExit(f"{args.module} uses {used!r}")
        tests = [
            test
            for test in flattened(unittest.defaultTestLoader.loadTestsFromModule(module))
            if any(fnmatch.fnmatchcase(test.id(), pattern) for pattern in patterns)
        ]
        recorder.line(event="tests", tests=[test.id() for test in tests])
        unittest.TestSuite(tests).run(recorder)
        recorder.line(event="done")
    # A failed test may have left a thread that never ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
