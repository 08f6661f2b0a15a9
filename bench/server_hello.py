"""What was really negotiated, read from hellos on the wire: no stack is taken at its word.

Only as much of a parser as that needs; the bytes come from stacks under test, not from a peer.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from bench.cases import TLS_1_2

_HANDSHAKE = 22
_CLIENT_HELLO, _SERVER_HELLO, _NEW_SESSION_TICKET, _SERVER_KEY_EXCHANGE = 1, 2, 4, 12
_SESSION_TICKET, _PRE_SHARED_KEY, _SUPPORTED_VERSIONS, _KEY_SHARE = 35, 41, 43, 51


class Negotiated(NamedTuple):
    """Code points, and whether the server resumes a session; group: None where it needs none."""

    version: int
    suite: int
    group: int | None
    resumed: bool


def read_server_hello(flight: bytes) -> Negotiated:
    """The parameters in the ServerHello that a server's first flight starts with.

    With TLS 1.2 also those in the ServerKeyExchange, which is there unless a session is resumed.
    """
    messages = dict(_messages(flight))
    if next(iter(messages), None) != _SERVER_HELLO:
        raise ValueError("the server's first flight does not start with a ServerHello")
    hello = messages[_SERVER_HELLO]
    (version,) = struct.unpack_from("!H", hello)
    at = 2 + 32  # legacy_version, random
    at += 1 + hello[at]  # legacy_session_id_echo
    suite, _compression = struct.unpack_from("!HB", hello, at)
    extensions = dict(_extensions(hello[at + 3 :]))
    if _SUPPORTED_VERSIONS in extensions:
        (version,) = struct.unpack("!H", extensions[_SUPPORTED_VERSIONS])
    group, resumed = None, _PRE_SHARED_KEY in extensions
    if version == TLS_1_2:
        resumed = _SERVER_KEY_EXCHANGE not in messages
        if not resumed:
            (group,) = struct.unpack_from("!H", messages[_SERVER_KEY_EXCHANGE], 1)
    elif _KEY_SHARE in extensions:
        (group,) = struct.unpack_from("!H", extensions[_KEY_SHARE])
    return Negotiated(version, suite, group, resumed)


def offers_ticket(flight: bytes) -> bool:
    """Whether the ClientHello offers a session by a ticket, in the way of TLS 1.2 or TLS 1.3."""
    hello = dict(_messages(flight))[_CLIENT_HELLO]
    at = 2 + 32  # legacy_version, random
    at += 1 + hello[at]  # legacy_session_id
    at += 2 + struct.unpack_from("!H", hello, at)[0]  # cipher_suites
    at += 1 + hello[at]  # legacy_compression_methods
    extensions = dict(_extensions(hello[at:]))
    return bool(extensions.get(_SESSION_TICKET)) or _PRE_SHARED_KEY in extensions


def tickets_in_the_clear(flight: bytes) -> int:
    """How many bytes of NewSessionTicket a server's flight of TLS 1.2 has."""
    return sum(len(body) for kind, body in _messages(flight) if kind == _NEW_SESSION_TICKET)


def _messages(flight: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and bodies of a flight's handshake messages, up to the first other record."""
    fragments = []
    while flight[:1] == bytes([_HANDSHAKE]):
        end = 5 + int.from_bytes(flight[3:5], "big")
        fragments.append(flight[5:end])
        flight = flight[end:]
    data = b"".join(fragments)
    while data:
        end = 4 + int.from_bytes(data[1:4], "big")
        yield data[0], data[4:end]
        data = data[end:]


def _extensions(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at < len(block):
        extension, size = struct.unpack_from("!HH", block, at)
        at += 4
        yield extension, block[at : at + size]
        at += size
