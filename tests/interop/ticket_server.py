"""A fasths server as a process of its own, for test_two_processes.py.

    python -m interop.ticket_server '{"chain": FILE, "key": FILE, ...}'

It serves on a free port until its standard input ends, and describes what happens in lines of JSON
on standard error.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from pathlib import Path

import fasths

from .endpoints import Endpoint, FasthsServer, Served

# What the client's 0-RTT data was, as far as it was read.
early_data: dict[fasths.Connection, bytes] = {}


def read_early_data(endpoint: Endpoint) -> None:
    conn = endpoint.conn
    early_data[conn] = b""
    while data := conn.read_early_data():
        early_data[conn] += data


def tell(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), file=sys.stderr, flush=True)


def report(served: Served) -> None:
    tell(
        "served",
        resumed=served.conn.session_reused,
        early_data=early_data.pop(served.conn).decode(),
        accepted=served.conn.early_data_accepted,
        error=None if served.error is None else str(served.error),
    )


def end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    options = json.loads(sys.argv[1])
    keys = options.get("ticket_keys")
    store = options.get("store")
    context = fasths.Context(
        identities=[fasths.Identity.from_files(options["chain"], options["key"])],
        ticket_keys=None if keys is None else fasths.TicketKeys.from_bytes(Path(keys).read_bytes()),
        session_store=None if store is None else fasths.SQLiteSessionStore(store),
        max_early_data_size=1000,
    )
    threading.Thread(target=end_with_input, daemon=True).start()
    with FasthsServer(context, before=read_early_data) as server:
        tell("listening", port=server.port)
        while True:
            with contextlib.suppress(queue.Empty):
                report(server.served())


if __name__ == "__main__":
    main()
