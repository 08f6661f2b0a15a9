"""One row's work order, and the process that carries it out.

A worker is a fresh interpreter, because OpenSSL reads its configuration once per process: the
configuration that the parent gives it pins the suite, the group and the number of session tickets
for every OpenSSL in the process, which ssl before Python 3.15 and pyOpenSSL do not have calls for.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.cases import OPENSSL_GROUPS, ROWS, SUITE, Row
from bench.certificates import Credentials

ROOT = Path(__file__).resolve().parent.parent
_OPENSSL_CONFIGURATION = """\
openssl_conf = bench
[bench]
ssl_conf = bench_ssl
[bench_ssl]
system_default = bench_defaults
[bench_defaults]
Ciphersuites = {suite}
NumTickets = {tickets}
Groups = {groups}
"""


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    rounds: how often the stacks take turns. batch: handshakes, or ClientHellos, in a round.
    Or round trips, or connections. megabytes: data in a bulk round. pairs: connections that a
    memory round holds at once. loop: of a process that has only one.
    """

    row_name: str
    stacks: tuple[str, ...]
    credentials: Credentials
    rounds: int
    batch: int
    megabytes: float
    pairs: int
    loop: str = ""

    @property
    def row(self) -> Row:
        return next(row for row in ROWS if row.name == self.row_name)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        data = json.loads(text)
        data["credentials"] = Credentials(**data["credentials"])
        data["stacks"] = tuple(data["stacks"])
        return cls(**data)


def run_worker(job: Job, module: str = "bench.worker", timeout: float = 300) -> Any:
    """Run `module` in a fresh interpreter with this job; return the JSON it answers with."""
    with TemporaryDirectory(prefix="fasths-bench-") as directory:
        configuration = Path(directory, "openssl.cnf")
        configuration.write_text(
            _OPENSSL_CONFIGURATION.format(
                suite=SUITE,
                groups=":".join(OPENSSL_GROUPS[group] for group in job.row.groups),
                tickets=job.row.session_tickets,
            )
        )
        worker = subprocess.run(
            [sys.executable, "-m", module],
            input=job.to_json(),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OPENSSL_CONF": str(configuration)},
            timeout=timeout,
            check=False,
        )
    if worker.returncode != 0:
        raise RuntimeError(f"the worker for {job.row_name} ended with {worker.returncode}")
    return json.loads(worker.stdout)
