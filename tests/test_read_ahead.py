"""read_ahead=False: a Connection takes no byte out of the transport behind the record it awaits."""

from __future__ import annotations

import ssl
from typing import Any

import helpers
import pytest
from both_versions import version as version
from helpers import (
    HOST,
    PLENTY,
    SSL,
    SYSCALL,
    WANT_READ,
    ZERO_RETURN,
    SpyBIO,
    outcome,
    records,
    transfer,
    turns,
)

import fasths
from fasths import Connection
from fasths.wire.errors import RecordOverflow


class RecordSpy(SpyBIO):
    """Checks what every read asks for against the records that lie in the transport."""

    def __init__(self, bio: object) -> None:
        super().__init__(bio)
        self.stream = bytearray()
        self.position = 0

    def read_into(self, buffer: Any) -> int:
        self.check(len(buffer))
        count = super().read_into(buffer)
        self.position += max(count, 0)
        return count

    def check(self, size: int) -> None:
        """A header's rest is asked for at most, or a record's."""
        at = 0
        while self.position >= at + 5:
            end = at + 5 + int.from_bytes(self.stream[at + 3 : at + 5], "big")
            if self.position < end:
                assert size == end - self.position
                return
            at = end
        assert size == at + 5 - self.position


class RecordPair:
    """Two connections that do not read ahead."""

    def __init__(self) -> None:
        left, right = fasths.bio_pair(PLENTY)
        self.client_bio, self.server_bio = RecordSpy(left), RecordSpy(right)
        # What the one writes is what the other one reads.
        self.client_bio.stream = self.server_bio.written
        self.server_bio.stream = self.client_bio.written
        client, server = helpers.default_contexts()
        self.client = Connection(client, self.client_bio, server_hostname=HOST, read_ahead=False)
        self.server = Connection(server, self.server_bio, read_ahead=False)
        self.client.set_connect_state()
        self.server.set_accept_state()

    def handshake(self) -> RecordPair:
        turns(self.client.do_handshake, self.server.do_handshake)
        return self


def test_no_read_reaches_behind_a_record() -> None:
    pair = RecordPair().handshake()
    transfer(pair.client, pair.server, bytes(100_000))
    transfer(pair.server, pair.client, bytes(100_000))
    assert len(list(records(pair.client_bio.written))) > 7


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 1000])
def test_pieces(size: int) -> None:
    """Whatever a read brings, the next one asks for the rest of the same record."""
    pair = RecordPair()
    pair.client_bio.max_read = pair.server_bio.max_read = size
    pair.handshake()
    transfer(pair.client, pair.server, b"data" * 1000)
    transfer(pair.server, pair.client, b"data" * 1000)


def test_records_stay_in_the_transport_until_they_are_read() -> None:
    pair = RecordPair().handshake()
    while pair.client.read() is not None:
        pass
    behind = 0
    for data in (b"one", b"two", b"three"):
        assert pair.client.write(data) == len(data)
    for data in (b"one", b"two", b"three"):
        assert pair.server.read() == data
        left = len(pair.client_bio.written) - pair.server_bio.position
        assert (left > behind) is (data != b"three")
    assert pair.server.read() is None
    assert pair.server.get_error(-1) is WANT_READ


def test_what_follows_close_notify_stays_in_the_transport() -> None:
    """A program goes on in the clear there."""
    contexts = helpers.default_contexts()
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = Connection(contexts[0], back, there, server_hostname=HOST, read_ahead=False)
    server = Connection(contexts[1], there, back, read_ahead=False)
    client.set_connect_state()
    server.set_accept_state()
    turns(client.do_handshake, server.do_handshake)
    assert client.shutdown() == 0
    there.write(b"in the clear")
    assert server.read() == b""
    assert server.get_error(0) is ZERO_RETURN
    assert there.read() == b"in the clear"


def test_end_between_header_and_content() -> None:
    pair = RecordPair().handshake()
    assert pair.client.write(b"data") == 4
    record = bytes(pair.client_bio.written)[-30:]
    assert record
    incoming = fasths.MemoryBIO()
    conn = Connection(helpers.default_contexts()[1], incoming, read_ahead=False)
    conn.set_accept_state()
    incoming.write(bytes.fromhex("1603010100"))
    incoming.write_eof()
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert isinstance(conn.last_error, fasths.TransportError)


def test_error_between_header_and_content() -> None:
    """It is told at once: a record that has begun will not be whole."""
    pair = RecordPair().handshake()
    while pair.server.read() is not None:
        pass
    assert pair.client.write(b"data") == 4
    reset = ConnectionResetError(104, "reset")
    reads = 0

    class Broken(type(pair.server_bio)):  # type: ignore[misc]
        def read_into(self, buffer: Any) -> int:
            nonlocal reads
            reads += 1
            if reads == 2:
                raise reset
            return super().read_into(buffer)

    pair.server_bio.__class__ = Broken
    assert pair.server.read() is None
    assert pair.server.get_error(-1) is SYSCALL
    assert reads == 2
    assert pair.server.last_error is not None
    assert pair.server.last_error.os_error is reset  # type: ignore[attr-defined]


def test_lengths_of_records_are_checked() -> None:
    incoming = fasths.MemoryBIO()
    conn = Connection(helpers.default_contexts()[1], incoming, read_ahead=False)
    conn.set_accept_state()
    incoming.write(bytes.fromhex("160301ffff") + bytes(20_000))
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert isinstance(conn.last_error, RecordOverflow)


def test_empty_records_do_not_confuse() -> None:
    """An empty record has no content to wait for."""
    pair = RecordPair()
    incoming = fasths.MemoryBIO()
    conn = Connection(helpers.default_contexts()[1], incoming, read_ahead=False)
    conn.set_accept_state()
    assert pair.client.do_handshake() == -1
    incoming.write(bytes(pair.client_bio.written)[:5])
    assert outcome(conn, conn.do_handshake()) == (-1, WANT_READ)
    incoming.write(bytes(pair.client_bio.written)[5:])
    assert outcome(conn, conn.do_handshake()) == (-1, WANT_READ)
    # RFC 8446, 5.1: no empty records of handshake messages.
    incoming.write(bytes.fromhex("1603030000"))
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
