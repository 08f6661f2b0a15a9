"""The command line: `python -m fasths client`, `server` and `hello`.

It is a face like any other: it uses the public interface of fasths and nothing behind it.
`options` turns flags into a Context, `resumption` has those for sessions and keys and their files,
`channel` drives one Connection over a socket with a deadline on every wait, `report` puts what was
negotiated into words, `capture` reads captured traffic, and `client`, `server` and `hello` are the
commands.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fasths.cli import client, hello, server

EPILOG = """\
examples:
  python -m fasths client example.com
  python -m fasths server --cert server.pem --key server.key --port 4433 --www
  python -m fasths hello --listen 4433

Each command explains itself: python -m fasths client --help

exit codes: 0 clean, 1 TLS or connection failure, 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 clean, 1 failure, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m fasths",
        description="Looks at TLS connections from either end.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    client.add_command(commands)
    server.add_command(commands)
    hello.add_command(commands)
    try:
        arguments = parser.parse_args(argv)
        code: int = arguments.run(arguments)
        return code
    except SystemExit as stop:  # argparse: --help is 0, wrong usage is 2
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return 130  # what a shell reports for a program that SIGINT ended
