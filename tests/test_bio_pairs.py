"""Connections over bounded pairs and buffering BIOs, and these by themselves."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from helpers import (
    BOTH_ROLES,
    PLENTY,
    WAITS,
    WANT_READ,
    WANT_WRITE,
    ConnectionPair,
    connections,
    outcome,
    transfer,
    turns,
    unverified_contexts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fasths import BufferedBIO, Connection, MemoryBIO, bio_pair

SIZES = [1, 2, 3, 5, 22, 100, 1000, 16 * 1024, 17 * 1024, 1 << 20]

# --- Pairs


@pytest.mark.parametrize("size", SIZES)
@BOTH_ROLES
def test_a_pair_of_any_size(size: int, by_server: bool) -> None:
    pair = ConnectionPair(size, contexts=unverified_contexts()).handshake()
    conn, _, peer, _ = pair.sides(by_server)
    amount = 300 if size < 100 else 40_000
    transfer(conn, peer, random.Random(size).randbytes(amount))
    transfer(peer, conn, random.Random(size).randbytes(amount))
    for _ in range(200):
        conn.shutdown()
        if peer.read() == b"":
            break
    turns(peer.shutdown, conn.shutdown)


@pytest.mark.parametrize("size", SIZES)
def test_tickets_pass_a_pair_of_any_size(size: int) -> None:
    pair = ConnectionPair(size)
    for _ in range(20_000):
        # Reading does the handshake first.
        assert pair.client.read() is None
        assert pair.client.get_error(-1) in WAITS
        if pair.server.do_handshake() == 1:
            break
        assert pair.server.get_error(-1) in WAITS
    assert pair.client.read() is None
    assert len(pair.client.sessions) == 2
    transfer(pair.server, pair.client, bytes(300))


def test_a_full_pair_wants_to_write_and_an_empty_one_to_read() -> None:
    left, right = bio_pair(100)
    client, server = connections(left, right)
    assert outcome(client, client.do_handshake()) == (-1, WANT_WRITE)
    assert (left.wpending, right.pending, left.write_guarantee) == (100, 100, 0)
    assert outcome(client, client.do_handshake()) == (-1, WANT_WRITE)
    assert right.pending == 100
    assert outcome(server, server.do_handshake()) == (-1, WANT_READ)
    assert (left.wpending, left.write_guarantee) == (0, 100)
    # What is left of the flight is kept for the next call.
    turns(client.do_handshake, server.do_handshake)


def test_a_pair_by_itself() -> None:
    left, right = bio_pair(10)
    buffer = bytearray(4)
    assert (left.write_guarantee, left.read_request, left.eof) == (10, 0, False)
    assert right.read_into(buffer) == -1
    assert (right.should_read, right.should_write) == (True, False)
    assert left.read_request == 4
    assert left.write(b"0123456") == 7
    assert (left.write_guarantee, left.wpending, left.read_request) == (3, 7, 0)
    assert left.write(bytearray(b"789abc")) == 3
    assert left.write(b"c") == -1
    assert (left.should_read, left.should_write) == (False, True)
    assert right.pending == 10
    assert right.read_into(buffer) == 4
    assert (right.should_read, bytes(buffer)) == (False, b"0123")
    assert left.write_guarantee == 4
    assert left.write(b"xyz") == 3
    assert not left.should_write
    left.shutdown_write()
    assert left.write_guarantee == 0
    with pytest.raises(BrokenPipeError):
        left.write(b"more")
    big = bytearray(20)
    assert right.read_into(big) == 9
    assert big[:9] == b"456789xyz"
    assert right.eof
    assert right.read_into(big) == 0
    assert left.read_request == 0
    # The other direction is still open.
    assert right.write(b"back") == 4
    assert left.read_into(buffer) == 4
    assert (left.flush(), right.flush()) == (1, 1)


def test_a_read_request_is_never_more_than_the_pair_holds() -> None:
    """As BIO_ctrl_get_read_request() has it: what one write can deliver."""
    left, right = bio_pair(10)
    assert right.read_into(bytearray(100)) == -1
    assert left.read_request == 10


def test_a_read_request_ends_with_the_transport() -> None:
    left, right = bio_pair(10)
    assert right.read_into(bytearray(5)) == -1
    left.shutdown_write()
    assert right.read_into(bytearray(5)) == 0
    assert left.read_request == 0


def test_a_default_pair_holds_one_record_and_a_little() -> None:
    left, _ = bio_pair()
    assert left.write_guarantee == 17 * 1024
    for size in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            bio_pair(size)


@given(
    st.integers(1, 20),
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.binary(max_size=30), st.integers(0, 30)),
        max_size=40,
    ),
)
@settings(max_examples=100, deadline=None)
def test_a_pair_is_two_bounded_queues(
    size: int, operations: list[tuple[bool, bool, bytes, int]]
) -> None:
    halves = bio_pair(size)
    queues = [bytearray(), bytearray()]
    for to_right, is_write, data, count in operations:
        writer, reader = halves if to_right else halves[::-1]
        queue = queues[to_right]
        if is_write:
            room = size - len(queue)
            expected = min(room, len(data)) if room or not data else -1
            assert writer.write(data) == expected
            queue += data[: max(expected, 0)]
        else:
            buffer = bytearray(count)
            expected = min(count, len(queue)) if queue else -1
            assert reader.read_into(buffer) == expected
            assert buffer[: max(expected, 0)] == queue[: max(expected, 0)]
            del queue[: max(expected, 0)]
        assert (reader.pending, writer.wpending) == (len(queue), len(queue))
        assert writer.write_guarantee == size - len(queue)


# --- Buffering


@pytest.mark.parametrize("buffer_size", [1, 50, 17 * 1024])
@pytest.mark.parametrize("pair_size", [1, 10, 300, 17 * 1024])
def test_buffered_pairs(buffer_size: int, pair_size: int) -> None:
    left, right = bio_pair(pair_size)
    client, server = connections(BufferedBIO(left, buffer_size), BufferedBIO(right, buffer_size))
    turns(client.do_handshake, server.do_handshake)
    transfer(client, server, bytes(range(250)))
    transfer(server, client, bytes(range(250)))


def test_a_flight_ends_in_a_flush_that_may_be_retried() -> None:
    left, right = bio_pair(100)
    buffered = BufferedBIO(left)
    client, server = connections(buffered, right)
    assert outcome(client, client.do_handshake()) == (-1, WANT_WRITE)
    size = buffered.wpending
    assert size > right.pending == 100
    for _ in range(3):
        assert outcome(client, client.do_handshake()) == (-1, WANT_WRITE)
        assert (buffered.wpending, right.pending) == (size, 100)
    server.do_handshake()
    turns(client.do_handshake, server.do_handshake)
    assert (left.wpending, buffered.wpending) == (0, 0)


def test_a_buffering_bio_by_itself() -> None:
    left, right = bio_pair(10)
    bio = BufferedBIO(left, 4)
    buffer = bytearray(20)
    assert bio.write(b"ab") == 2
    assert (right.pending, bio.wpending) == (0, 2)
    assert bio.write(memoryview(b"cdef")) == 2
    assert right.pending == 0
    assert bio.write(b"ef") == 2
    assert (right.pending, bio.wpending) == (4, 6)
    assert bio.flush() == 1
    assert (right.pending, bio.wpending) == (6, 6)
    for _ in range(2):
        assert bio.write(b"ghij") == 4
    assert bio.write(b"klmn") == -1
    assert (bio.should_read, bio.should_write) == (False, True)
    assert bio.flush() == -1
    assert (bio.should_read, bio.should_write) == (False, True)
    assert right.read_into(buffer) == 10
    assert buffer[:10] == b"abcdefghij"
    assert bio.flush() == 1
    assert not bio.should_write
    assert right.read_into(buffer) == 4
    assert bio.read_into(buffer) == -1
    assert (bio.should_read, bio.should_write, bio.eof) == (True, False, False)
    right.write(b"in")
    assert (bio.pending, bio.read_into(buffer)) == (2, 2)
    assert not bio.should_read
    right.shutdown_write()
    assert bio.read_into(buffer) == 0
    assert bio.eof
    with pytest.raises(ValueError, match="at least 1"):
        BufferedBIO(left, 0)


@pytest.mark.parametrize("make", [MemoryBIO, ssl.MemoryBIO])
def test_buffering_over_memory(make: Callable[[], Any]) -> None:
    stream = make()
    bio = BufferedBIO(stream, 10)
    assert bio.write(b"data") == 4
    assert stream.read() == b""
    assert bio.flush() == 1
    assert stream.read() == b"data"


# --- Any schedule


class Side:
    """One end under a random schedule: what it has sent and received so far."""

    def __init__(self, conn: Connection, bio: Any, data: bytes) -> None:
        self.conn, self.bio, self.data = conn, bio, data
        self.sent = self.offered = 0
        self.received = bytearray()

    def act(self, action: int, amount: int) -> None:
        conn = self.conn
        if action == 0:
            ret = conn.do_handshake()
        elif action == 1:
            buffer = bytearray(amount)
            # Peeking, and reading early or twice, change nothing.
            ret = conn.peek_into(buffer)
            peeked = bytes(buffer[: max(ret, 0)])
            if ret > 0:
                ret = conn.read_into(buffer)
                assert buffer[: len(peeked)] == peeked
                self.received += buffer[:ret]
        elif action == 2:
            # A retry may offer more than the call before.
            self.offered = max(self.offered, min(self.sent + amount, len(self.data)))
            ret = conn.write(bytearray(self.data[self.sent : self.offered]))
            self.sent += max(ret, 0)
        else:
            self.bio.blocked = bool(amount % 3)
            self.bio.max_write = amount
            self.bio.max_read = 1 + amount // 2
            return
        if ret < 0:
            assert conn.get_error(ret) in WAITS, conn.last_error

    def finish(self) -> int:
        """Go on without anything in the way; how many bytes have moved so far."""
        self.bio.blocked = False
        self.bio.max_write = self.bio.max_read = PLENTY
        self.act(2, PLENTY)
        self.act(1, PLENTY)
        return len(self.bio.written) + len(self.received)


@given(
    st.randoms(use_true_random=False),
    st.sampled_from([1, 7, 100, 1000, 17 * 1024]),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.integers(1, 5000)), min_size=1, max_size=60
    ),
)
@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_schedule_loses_or_reorders_data(
    random: random.Random,
    size: int,
    from_client: int,
    from_server: int,
    schedule: list[tuple[bool, int, int]],
) -> None:
    pair = ConnectionPair(size)
    sides = (
        Side(pair.client, pair.client_bio, random.randbytes(from_client)),
        Side(pair.server, pair.server_bio, random.randbytes(from_server)),
    )
    for which, action, amount in schedule:
        sides[which].act(action, amount)
    moved, idle = -1, 0
    while idle < 3:
        now = sides[0].finish() + sides[1].finish()
        moved, idle = now, idle + 1 if now == moved else 0
    assert sides[0].received == sides[1].data
    assert sides[1].received == sides[0].data
    assert [side.sent for side in sides] == [from_client, from_server]
