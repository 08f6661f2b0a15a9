"""Flags for sessions, early data and pre-shared keys, and the files that go with them.

What is written holds secrets: it is made for its owner alone, and put in its place as a whole, so
that nobody reads half of it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import fasths
from fasths.cli import options

Content = TypeVar("Content")


def psk(text: str) -> tuple[bytes, bytes]:
    """`IDENTITY:HEX`; the identity may have colons."""
    identity, colon, digits = text.rpartition(":")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if not (colon and identity and key):
        # The key is not repeated: what is said here may end in a log.
        raise argparse.ArgumentTypeError("a pre-shared key is IDENTITY:HEX")
    return identity.encode(), key


# The flags


def add_client_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("resumption and pre-shared keys")
    group.add_argument(
        "--session-in", metavar="FILE", help="offer to resume the session in FILE, once"
    )
    group.add_argument(
        "--session-out",
        metavar="FILE",
        help="write the newest session to FILE at the end; who has it can read what is resumed, "
        "and in TLS 1.2 the connection that it is from, too",
    )
    group.add_argument(
        "--early-data",
        metavar="FILE",
        help="send FILE with the first message of a resumed connection (0-RTT), where that can "
        "be, and after the handshake where not, as always in TLS 1.2. It can be replayed",
    )
    _add_psk_flags(group)


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("resumption and pre-shared keys")
    group.add_argument(
        "--tickets",
        type=options.whole,
        metavar="N",
        help="session tickets after a full handshake (default: 2). In TLS 1.2 it is one, or a "
        "session id. 0: none of either",
    )
    group.add_argument(
        "--ticket-keys",
        metavar="FILE",
        help="the keys that seal tickets, made where FILE does not exist; servers that share it "
        "resume each other's sessions",
    )
    group.add_argument(
        "--session-store",
        metavar="FILE",
        help="an SQLite file, made where it does not exist, for all servers of this machine: it "
        "has the sessions, or with --ticket-keys what keeps early data from being replayed",
    )
    group.add_argument(
        "--early-data",
        type=options.whole,
        metavar="BYTES",
        help="take so much 0-RTT data from a client that resumes; TLS 1.3 (default: none). It can "
        "be replayed where servers do not share a --session-store",
    )
    _add_psk_flags(group)


def _add_psk_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--psk",
        action="append",
        type=psk,
        default=[],
        metavar="IDENTITY:HEX",
        help="a pre-shared key from elsewhere, for TLS 1.3; may be repeated. For tests: others on "
        "this machine can see it",
    )
    group.add_argument(
        "--psk-hash",
        choices=("sha256", "sha384"),
        default="sha256",
        help="hash of the cipher suites that it is for (default: sha256)",
    )


# What becomes of them


def client_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a client's Context gets."""
    if arguments.early_data is not None and arguments.session_in is None:
        options.usage_error(arguments, "--early-data needs the --session-in that permits it")
    return {"external_psks": _external_psks(arguments)}


def server_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a server's Context gets."""
    settings: dict[str, Any] = {"external_psks": _external_psks(arguments)}
    if arguments.early_data and arguments.ticket_keys and not arguments.session_store:
        options.usage_error(
            arguments,
            "--early-data with --ticket-keys needs a --session-store, too: a replay could go to "
            "another server that has the keys",
        )
    if arguments.tickets is not None:
        settings["session_tickets"] = arguments.tickets
    if arguments.early_data is not None:
        settings["max_early_data_size"] = arguments.early_data
        # A client to whom it was permitted must not fail where it is rejected.
        skipped = max(fasths.Limits().max_skipped_early_data, 2 * arguments.early_data)
        settings["limits"] = fasths.Limits(max_skipped_early_data=min(skipped, 0x7FFFFFFF))
    if arguments.ticket_keys is not None:
        settings["ticket_keys"] = _load(arguments, arguments.ticket_keys, _ticket_keys)
    if arguments.session_store is not None:
        settings["session_store"] = _load(
            arguments, arguments.session_store, fasths.SQLiteSessionStore
        )
    return settings


def load_session(arguments: argparse.Namespace) -> fasths.Session | None:
    """The session of --session-in."""
    if arguments.session_in is None:
        return None
    return _load(
        arguments, arguments.session_in, lambda path: fasths.Session.from_bytes(_read(path))
    )


def load_early_data(arguments: argparse.Namespace) -> bytes:
    """What is in the file of a client's --early-data."""
    if arguments.early_data is None:
        return b""
    return _load(arguments, arguments.early_data, _read)


def save_session(path: str, session: fasths.Session) -> None:
    """OSError: it cannot be written."""
    _put_in_place(path, session.to_bytes(), os.replace)


def _external_psks(arguments: argparse.Namespace) -> list[fasths.ExternalPSK]:
    try:
        return [
            fasths.ExternalPSK(identity, key, hash=arguments.psk_hash)
            for identity, key in arguments.psk
        ]
    except ValueError as error:
        options.usage_error(arguments, f"--psk: {error}")


def _ticket_keys(path: str) -> fasths.TicketKeys:
    if not os.path.exists(path):
        # Another server may do the same now; the first one's keys stay.
        with contextlib.suppress(FileExistsError):
            _put_in_place(path, fasths.TicketKeys().to_bytes(), os.link)
    return fasths.TicketKeys.from_bytes(_read(path))


def _load(arguments: argparse.Namespace, path: str, load: Callable[[str], Content]) -> Content:
    """load(path); what is wrong with the file is a usage error."""
    try:
        return load(path)
    except OSError as error:
        options.usage_error(arguments, options.describe_os_error(error))
    except Exception as error:  # ValueError, and those of SQLite
        options.usage_error(arguments, f"{path}: {error}")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _put_in_place(path: str, data: bytes, put: Callable[[str, str], None]) -> None:
    """Write a file beside its place, and put(temporary, path)."""
    path = os.path.abspath(path)
    # Readable by its owner alone.
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        put(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
