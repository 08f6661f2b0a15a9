"""Connections over memory and over BIOs that users write, and whatever bytes arrive."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
from helpers import (
    HOST,
    NOT_TLS,
    SSL,
    WANT_READ,
    WANT_WRITE,
    client_context,
    connections,
    default_contexts,
    outcome,
    server_context,
    transfer,
    turns,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import fasths
from fasths import Connection, MemoryBIO

# --- Memory


def test_memory_bios() -> None:
    client_bio, server_bio = MemoryBIO(), MemoryBIO()
    client, server = connections(client_bio, server_bio)
    for _ in range(3):
        # The caller writes the peer's bytes into it, and takes ours out.
        assert client.do_handshake() == 1 or client.get_error(-1) is WANT_READ
        server_bio.write(client_bio.read())
        assert server.do_handshake() == 1 or server.get_error(-1) is WANT_READ
        client_bio.write(server_bio.read())
    assert client.write(b"data") == 4
    size = client_bio.pending
    taken = client_bio.read(10)
    assert (len(taken), client_bio.pending) == (10, size - 10)
    server_bio.write(taken)
    assert server_bio.wpending == 10
    assert server.read() is None
    assert server_bio.wpending == 0
    server_bio.write(memoryview(client_bio.read()))
    server_bio.write_eof()
    assert not server_bio.eof
    assert server.read() == b"data"
    assert server_bio.eof
    assert server.read() is None
    assert server.get_error(-1) is SSL
    with pytest.raises(BrokenPipeError):
        server_bio.write(b"more")


def test_an_empty_memory_bio_after_write_eof_is_the_end() -> None:
    bio = MemoryBIO()
    _, server = connections(MemoryBIO(), bio)
    assert outcome(server, server.do_handshake()) == (-1, WANT_READ)
    bio.write_eof()
    assert outcome(server, server.do_handshake()) == (-1, SSL)
    assert server.last_error.origin is fasths.Origin.TRANSPORT


class StandardStream:
    """The four methods of the standard library's MemoryBIO, and a bound that it does not have."""

    def __init__(self, size: int = 50, refusal: int | None = None) -> None:
        self.data = bytearray()
        self.size = size
        self.refusal = refusal
        self.ended = False

    @property
    def pending(self) -> int:
        return len(self.data)

    @property
    def eof(self) -> bool:
        return self.ended and not self.data

    def read(self, size: int = -1) -> bytes:
        size = len(self.data) if size < 0 else size
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    def write(self, data: bytes) -> int | None:
        taken = data[: self.size - len(self.data)]
        if not taken:
            return self.refusal
        self.data += taken
        return len(taken)

    def write_eof(self) -> None:
        self.ended = True


@pytest.mark.parametrize(
    "make",
    [
        ssl.MemoryBIO,
        StandardStream,
        lambda: StandardStream(1),
        lambda: StandardStream(50, -1),
        MemoryBIO,
    ],
    ids=["ssl.MemoryBIO", "bounded", "one byte", "bounded, with -1", "fasths.MemoryBIO"],
)
def test_two_streams_as_of_the_standard_library(make: Callable[[], Any]) -> None:
    """Connection(ctx, incoming, outgoing), the way ssl's wrap_bio() takes them."""
    to_client, from_client, to_server, from_server = (make() for _ in range(4))
    client, server = connections((to_client, from_client), (to_server, from_server))

    def pump() -> None:
        for source, target in ((from_client, to_server), (from_server, to_client)):
            while source.pending:
                rest = source.read()
                while rest:
                    # The target is drained by its connection, so no bound is in the way here.
                    if isinstance(target, StandardStream):
                        target.data += rest
                        break
                    rest = rest[target.write(rest) :]

    for _ in range(5000):
        done = [client.do_handshake(), server.do_handshake()]
        pump()
        if done == [1, 1]:
            break
    assert client.established
    assert server.established
    data = bytes(range(200))
    sent, received = 0, b""
    for _ in range(5000):
        if sent < len(data):
            count = client.write(data[sent:])
            assert count > 0 or client.get_error(count) is WANT_WRITE
            sent += max(count, 0)
        # A read that waits for data wants to read, whatever the writes wanted before.
        assert client.read() is None
        pump()
        received += server.read() or b""
        if received == data:
            break
    assert (sent, received) == (200, data)
    assert client.read() is None
    assert client.get_error(-1) is WANT_READ
    to_server.write_eof()
    assert server.read() is None
    assert (server.get_error(-1), server.last_error.origin) == (SSL, fasths.Origin.TRANSPORT)


def test_streams_shared_by_both_ends() -> None:
    """What one end writes to a stream, the other reads from it."""
    for make in (ssl.MemoryBIO, StandardStream):
        there, back = make(), make()
        client, server = connections((back, there), (there, back))
        turns(client.do_handshake, server.do_handshake)
        transfer(client, server, bytes(1000))


# --- BIOs that users write


class MinimalBIO:
    """The three methods and the two attributes, nothing else."""

    def __init__(self, there: bytearray, back: bytearray) -> None:
        self.there, self.back = there, back
        self.should_read = self.should_write = False

    def read_into(self, buffer: Any) -> int:
        count = min(len(buffer), len(self.back), 100)
        buffer[:count] = self.back[:count]
        del self.back[:count]
        self.should_read = not count
        return count or -1

    def write(self, data: Any) -> int:
        self.should_read = False
        self.there += data
        return len(data)

    def flush(self) -> int:
        return 1


def test_a_minimal_bio() -> None:
    there, back = bytearray(), bytearray()
    client, server = connections(MinimalBIO(there, back), MinimalBIO(back, there))
    turns(client.do_handshake, server.do_handshake)
    transfer(client, server, bytes(30_000))


def test_a_bio_that_does_not_say_what_it_waits_for() -> None:
    class Silent(MinimalBIO):
        should_read = should_write = False

        def __init__(self) -> None:
            pass

        def read_into(self, buffer: Any) -> int:
            return -1

        def write(self, data: Any) -> int:
            return -1

    client, server = connections(Silent(), Silent())
    assert outcome(client, client.do_handshake()) == (-1, WANT_WRITE)
    assert outcome(server, server.do_handshake()) == (-1, WANT_READ)


def test_a_bio_that_reads_to_write_and_writes_to_read() -> None:
    """A BIO may itself be a protocol, which waits for the other direction."""

    class Crossed(MinimalBIO):
        def read_into(self, buffer: Any) -> int:
            self.should_read, self.should_write = False, True
            return -1

        def write(self, data: Any) -> int:
            self.should_read, self.should_write = True, False
            return -1

    client, server = connections(Crossed(*[bytearray()] * 2), Crossed(*[bytearray()] * 2))
    assert outcome(client, client.do_handshake()) == (-1, WANT_READ)
    assert outcome(server, server.do_handshake()) == (-1, WANT_WRITE)


def test_a_bio_that_fails_with_what_is_no_os_error_is_misuse() -> None:
    class Wrong(MinimalBIO):
        def write(self, data: Any) -> int:
            raise LookupError("no such transport")

    client, _ = connections(Wrong(bytearray(), bytearray()), MemoryBIO())
    with pytest.raises(LookupError):
        client.do_handshake()


def test_a_bio_that_returns_more_than_there_is_room_for() -> None:
    class Wrong(MinimalBIO):
        def read_into(self, buffer: Any) -> int:
            return len(buffer) + 1

    _, server = connections(MemoryBIO(), Wrong(bytearray(), bytearray()))
    with pytest.raises(ValueError, match="more than it was asked for"):
        server.do_handshake()


def test_two_bios_for_two_directions() -> None:
    there, back = bytearray(), bytearray()
    client, server = connections(
        (MinimalBIO(bytearray(), back), MinimalBIO(there, bytearray())),
        MinimalBIO(back, there),
    )
    turns(client.do_handshake, server.do_handshake)
    transfer(client, server, b"there")
    transfer(server, client, b"and back")


# --- Any bytes


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_arbitrary_bytes_end_in_a_defined_error(pieces: list[bytes]) -> None:
    for by_server in (False, True):
        bio = MemoryBIO()
        conn = Connection(
            server_context() if by_server else client_context(), bio, server_hostname=HOST
        )
        start = conn.accept if by_server else conn.connect
        start()
        for piece in pieces:
            bio.write(piece)
            assert outcome(conn, conn.do_handshake()) in ((-1, WANT_READ), (-1, SSL), (0, 6))
        bio.write_eof()
        if conn.do_handshake() == -1:
            assert conn.get_error(-1) is SSL
            assert conn.last_error.alert is not fasths.AlertDescription.internal_error


def test_what_is_not_tls_is_named() -> None:
    bio = MemoryBIO()
    server = Connection(default_contexts()[1], bio)
    bio.write(NOT_TLS)
    assert outcome(server, server.accept()) == (-1, SSL)
    assert "plain HTTP" in server.last_error.reason
