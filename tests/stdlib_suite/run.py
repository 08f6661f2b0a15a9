"""CPython's own tests of ssl, with the standard module and with fasths.ssl in its place.

What passes with the standard module has to pass with fasths.ssl, or stand with a reason in
exceptions.toml. Exit status 1: something fails that is not in the list. See README.md beside this.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = ("test.test_ssl", "test.test_asyncio.test_ssl", "test.test_asyncio.test_sslproto")
# A process that gets no further outside its tests: in an import or a fixture.
PROCESS_LIMIT = 1200
# How much is kept of what a process wrote before it crashed or hung.
TAIL = 6000
# How much of an exception is shown; --results has all.
LINE = 250
EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """outcome: passed, skipped, failed, error, hung, crashed, or missing (never started)."""

    outcome: str
    detail: str = ""
    seconds: float = 0.0
    # It failed among the others and passed in a process of its own.
    again: bool = False

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def cause(self) -> str:
        """The line of the exception, or the first of the detail."""
        _, _, traceback = self.detail.partition("Traceback (most recent call last):\n")
        lines: list[str] = EXCEPTION.findall(traceback.partition("\nwith ")[0])
        line = lines[-1] if lines else self.detail.partition("\n")[0]
        return line if len(line) <= LINE else f"{line[:LINE]}..."


def read_exceptions(path: Path) -> dict[str, str]:
    """From the name of each test that is known not to pass to the reason."""
    reasons: dict[str, str] = {}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("exception", []):
        reason = " ".join(entry["reason"].split())
        if not reason:
            raise ValueError(f"no reason for {entry['tests']}")
        if version not in entry.get("python", [version]):
            continue
        for test in entry["tests"]:
            if test in reasons:
                raise ValueError(f"{test} is listed twice")
            reasons[test] = reason
    return reasons


@dataclass(frozen=True)
class Suite:
    """One module's tests with one ssl module, over as many processes as it takes."""

    module: str
    replacement: str | None
    limit: float

    def process(self, patterns: list[str]) -> tuple[list[dict[str, Any]], bool, str]:
        """The events of one process, whether it hung, and its last words."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            out, hung, log, cwd = (Path(folder, n) for n in ("events", "hung", "log", "cwd"))
            cwd.mkdir()
            # -P: the tests do not import from the folder of worker.py.
            command = [sys.executable, "-P", "-W", "ignore", str(HERE / "worker.py")]
            command += [self.module, str(out), str(hung), "--limit", str(self.limit)]
            if self.replacement:
                command += ["--ssl", self.replacement]
            status: int | None = None
            with log.open("wb") as words:
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=words, stderr=words, cwd=cwd
                )
                try:
                    process.communicate(json.dumps(patterns).encode(), PROCESS_LIMIT)
                    status = process.returncode
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            text = out.read_text(encoding="utf-8") if out.exists() else ""
            # The last line may be cut.
            lines = text.split("\n")[:-1]
            words_at_end = [f"exit status {status}", read_tail(hung), read_tail(log)]
            has_hung = status is None or read_tail(hung) != ""
            return [json.loads(line) for line in lines], has_hung, "\n".join(words_at_end)

    def run(self, patterns: list[str]) -> dict[str, Result]:
        results: dict[str, Result] = {}
        while True:
            events, hung, why = self.process(patterns)
            before = len(results)
            names: list[str] = []
            running: str | None = None
            for event in events:
                match event["event"]:
                    case "tests":
                        names = event["tests"]
                    case "outside":
                        why = f"{event['outcome']} in {event['test']}\n{event['detail']}"
                    case "start":
                        running = event["test"]
                    case "end":
                        running = None
                        results[event["test"]] = Result(
                            event["outcome"], event["detail"], event["seconds"]
                        )
            if running is not None:
                results[running] = Result("hung" if hung else "crashed", why)
            rest = [name for name in names if name not in results]
            if not rest or len(results) == before:
                results.update((name, Result("missing", why)) for name in rest)
                if not events:
                    # Nothing was imported: this stands for all tests of the module.
                    results[self.module] = Result("missing", why)
                return results
            patterns = rest

    def run_again(self, results: dict[str, Result], listed: Iterable[str]) -> None:
        """Runs what failed once more, each alone: a busy machine fails tests of time limits."""
        for name, result in list(results.items()):
            if result.outcome in ("failed", "error", "hung", "crashed") and name not in listed:
                second = self.run([name]).get(name, result)
                if second.passed:
                    results[name] = replace(second, detail=result.detail, again=True)


def run_all(
    modules: list[str], replacement: str | None, listed: Iterable[str], args: argparse.Namespace
) -> dict[str, Result]:
    def run(module: str) -> dict[str, Result]:
        suite = Suite(module, replacement, args.limit)
        results = suite.run(args.only or ["*"])
        if not args.once:
            suite.run_again(results, listed)
        return results

    merged: dict[str, Result] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        for results in pool.map(run, modules):
            merged.update(results)
    return merged


def read_tail(path: Path) -> str:
    return path.read_bytes()[-TAIL:].decode(errors="replace") if path.exists() else ""


def result_of(test: str, results: dict[str, Result]) -> Result:
    if test in results:
        return results[test]
    whole = [result for name, result in results.items() if test.startswith(f"{name}.")]
    return whole[0] if whole else Result("missing", "it has no such test")


def counts(results: dict[str, Result]) -> str:
    found = Counter(result.outcome for result in results.values())
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))


def report(
    modules: list[str],
    baseline: dict[str, Result],
    ours: dict[str, Result],
    reasons: dict[str, str],
    name: str,
) -> int:
    expected = [test for test, result in baseline.items() if result.passed]
    outcomes = {test: result_of(test, ours) for test in expected}
    passed = [test for test in expected if outcomes[test].passed]
    again = [test for test in passed if outcomes[test].again]
    known = [test for test in expected if test in reasons and not outcomes[test].passed]
    stale = [test for test in passed if test in reasons]
    new = [test for test in expected if test not in reasons and not outcomes[test].passed]

    print(f"Python {sys.version.split()[0]}")
    print(f"ssl: {counts(baseline)}")
    for test, result in baseline.items():
        if result.outcome not in ("passed", "skipped"):
            print(f"  {result.outcome}: {test}: {result.cause}")
    print(f"{name}: {counts(ours)}")
    print(f"{len(passed)} of the {len(expected)} tests that pass with ssl pass with {name}")
    for module in modules:
        of = [test for test in expected if test.startswith(f"{module}.")]
        if of:
            print(f"  {module}: {sum(outcomes[test].passed for test in of)} of {len(of)}")
    if known:
        print(f"{len(known)} fail and are in exceptions.toml:")
        by_reason: dict[str, list[str]] = defaultdict(list)
        for test in known:
            by_reason[reasons[test]].append(test)
        for reason, tests in by_reason.items():
            print(f"  {len(tests)}: {reason}")
    if again:
        print(f"{len(again)} passed only alone:")
        for test in again:
            print(f"  {test}: {outcomes[test].cause}")
    if stale:
        print(f"{len(stale)} are in exceptions.toml and pass:")
        for test in stale:
            print(f"  {test}")
    if new:
        print(f"{len(new)} fail and are not in exceptions.toml:")
        for module in (module for module in modules if module in ours):
            print(f"  all of {module}: {ours[module].cause}")
        for test in (test for test in new if test in ours):
            print(f"  {outcomes[test].outcome}: {test}: {outcomes[test].cause}")
    if not expected:
        print("no test passes with ssl: there is nothing to compare")
    return 1 if new or not expected else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="default: CPython's three")
    parser.add_argument("--ssl", default="fasths.ssl", help="what stands in; copy: a copy of ssl")
    parser.add_argument("--only", action="append", help="a pattern of tests; may be repeated")
    parser.add_argument("--limit", type=float, default=60, help="seconds for each test")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--once", action="store_true", help="do not run again what failed")
    parser.add_argument("--exceptions", type=Path, default=HERE / "exceptions.toml")
    parser.add_argument("--baseline", type=Path, help="results to use, or to write if not there")
    parser.add_argument("--results", type=Path, help="where to write all results as JSON")
    args = parser.parse_args()
    modules = list(args.modules)
    reasons = read_exceptions(args.exceptions)

    if args.baseline and args.baseline.exists():
        saved = json.loads(args.baseline.read_text(encoding="utf-8"))
        baseline = {test: Result(**fields) for test, fields in saved.items()}
    else:
        baseline = run_all(modules, None, (), args)
    if args.baseline and not args.baseline.exists():
        write(args.baseline, baseline)
    ours = run_all(modules, args.ssl, reasons, args)
    if args.results:
        write(args.results, ours)
    name = "a copy of ssl" if args.ssl == "copy" else args.ssl
    return report(modules, baseline, ours, reasons, name)


def write(path: Path, results: dict[str, Result]) -> None:
    text = json.dumps({test: asdict(result) for test, result in results.items()}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
