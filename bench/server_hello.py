"""What was really negotiated, read from the ServerHello on the wire: no stack is taken at its word.

Only as much of a parser as that needs; the bytes come from stacks under test, not from a peer.
"""

import struct
from typing import NamedTuple

_PRE_SHARED_KEY, _SUPPORTED_VERSIONS, _KEY_SHARE = 41, 43, 51


class Negotiated(NamedTuple):
    """Code points of RFC 8446, and whether the server took a pre-shared key."""

    version: int
    suite: int
    group: int
    resumed: bool


def read_server_hello(flight: bytes) -> Negotiated:
    """The parameters in the ServerHello that a server's first flight starts with."""
    if flight[:1] != b"\x16" or flight[5:6] != b"\x02":
        raise ValueError("the server's first flight does not start with a ServerHello")
    at = 5 + 4  # behind the record's and the message's header
    (version,) = struct.unpack_from("!H", flight, at)
    at += 2 + 32  # legacy_version, random
    at += 1 + flight[at]  # legacy_session_id_echo
    suite, _compression, length = struct.unpack_from("!HBH", flight, at)
    at += 5
    end = at + length
    group, resumed = 0, False
    while at < end:
        extension, size = struct.unpack_from("!HH", flight, at)
        if extension == _SUPPORTED_VERSIONS:
            (version,) = struct.unpack_from("!H", flight, at + 4)
        elif extension == _KEY_SHARE:
            (group,) = struct.unpack_from("!H", flight, at + 4)
        elif extension == _PRE_SHARED_KEY:
            resumed = True
        at += 4 + size
    return Negotiated(version, suite, group, resumed)
