"""The command line of the comparison: `python -m bench`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench.cases import AIO_NAMES, ROWS, Row, select_rows
from bench.certificates import Credentials, make_credentials
from bench.environment import busy, environment
from bench.job import Job, run_worker
from bench.report import preamble, table
from bench.results import Result
from bench.stacks import NAMES

_EPILOGUE = (
    "rows: "
    + ", ".join(row.name for row in ROWS)
    + "; a kind (handshake, bulk) names all \
of its rows, asyncio those on asyncio."
)


# Those on asyncio are only in the rows there.
_STACKS = tuple(dict.fromkeys([*NAMES, *AIO_NAMES]))


class Effort(NamedTuple):
    """How much is measured; see Job."""

    rounds: int
    batch: int
    megabytes: float
    pairs: int


# By kind of row, in full and quick; a socket's batch takes long, a memory round has own processes.
_FULL = {
    "handshake": Effort(200, 10, 0, 0),
    "client-hello": Effort(100, 2000, 0, 0),
    "bulk": Effort(80, 0, 4, 0),
    "memory": Effort(5, 0, 0, 400),
    "sockets": Effort(12, 100, 0, 0),
    "asyncio-echo": Effort(40, 400, 0, 0),
    "asyncio-connections": Effort(30, 40, 0, 0),
    "asyncio-memory": Effort(3, 0, 0, 200),
}
_QUICK = {
    "handshake": Effort(30, 10, 0, 0),
    "client-hello": Effort(20, 500, 0, 0),
    "bulk": Effort(12, 0, 2, 0),
    "memory": Effort(2, 0, 0, 200),
    "sockets": Effort(3, 80, 0, 0),
    "asyncio-echo": Effort(6, 200, 0, 0),
    "asyncio-connections": Effort(5, 20, 0, 0),
    "asyncio-memory": Effort(1, 0, 0, 100),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures fasths beside the standard library's ssl and pyOpenSSL, in turns, "
        "a handshake also beside the crypto floor: its cryptographic primitives alone, and "
        "asyncio also beside aiofastnet, all on uvloop, too.",
        epilog=_EPILOGUE,
    )
    parser.add_argument(
        "--rows", metavar="ROW[,ROW]", default="", help="measure only these rows (default: all)"
    )
    parser.add_argument(
        "--stacks",
        metavar="NAME[,NAME]",
        default=",".join(_STACKS),
        help=f"compare only these stacks (default: {','.join(_STACKS)})",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of every row")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds: seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    parser.add_argument("--quiet", action="store_true", help="print nothing (for use with --json)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    stacks = tuple(options.stacks.split(","))
    try:
        rows = select_rows(options.rows.split(",") if options.rows else [])
    except ValueError as error:
        parser.error(str(error))
    if unknown := set(stacks) - set(_STACKS):
        parser.error(f"no stack is called {', '.join(sorted(unknown))}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds takes a positive number")

    def say(text: str = "") -> None:
        if not options.quiet:
            print(text, flush=True)

    facts, warning = environment(), busy()
    say(preamble(facts, warning))
    credentials = {leaf: make_credentials(leaf) for leaf in sorted({row.leaf for row in rows})}
    results: list[tuple[Row, Result]] = []
    known_notes: set[str] = set()
    failed = False
    for row in rows:
        job = _job(row, stacks, credentials[row.leaf], options.quick, options.rounds)
        try:
            result = Result.from_json(run_worker(job))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{row.title}: {error}", file=sys.stderr)
            failed = True
            continue
        results.append((row, result))
        say("\n" + table(row, result, known_notes))
    if options.json is not None:
        written = {
            "environment": facts,
            "warning": warning,
            "quick": options.quick,
            "rows": {
                row.name: {"title": row.title, "differs": row.differs, **result.to_json()}
                for row, result in results
            },
        }
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return 1 if failed else 0


def _job(
    row: Row, stacks: tuple[str, ...], credentials: Credentials, quick: bool, rounds: int | None
) -> Job:
    effort = (_QUICK if quick else _FULL)[row.kind]
    if rounds is not None:
        effort = effort._replace(rounds=rounds)
    names = AIO_NAMES if row.is_on_asyncio else NAMES
    stacks = tuple(name for name in names if name in stacks)
    return Job(row.name, stacks, credentials, **effort._asdict())


if __name__ == "__main__":
    sys.exit(main())
