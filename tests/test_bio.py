"""Connections over each kind of BIO, and the BIOs by themselves."""

from __future__ import annotations

import errno
import random
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    NOT_TLS,
    PLENTY,
    SSL,
    SYSCALL,
    WAITS,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    ConnectionPair,
    client_context,
    default_contexts,
    outcome,
    server_context,
    transfer,
    turns,
    unverified_contexts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fasths
from fasths import BufferedBIO, Connection, MemoryBIO, SocketBIO, bio_pair

SIZES = [1, 2, 3, 5, 22, 100, 1000, 16 * 1024, 17 * 1024, 1 << 20]


def connections(client_bio: Any, server_bio: Any) -> tuple[Connection, Connection]:
    """A client and a server over two BIOs, or pairs of BIOs."""
    made = []
    for context, bios in zip(unverified_contexts(), (client_bio, server_bio), strict=True):
        bios = bios if isinstance(bios, tuple) else (bios,)
        made.append(Connection(context, *bios, server_hostname=HOST))
    client, server = made
    client.set_connect_state()
    server.set_accept_state()
    return client, server


# --- Sockets


def socket_pair(kind: str) -> tuple[socket.socket, socket.socket]:
    if kind == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        server, _ = listener.accept()
    return client, server


@pytest.fixture(params=["unix", "tcp"])
def sockets(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket_pair(request.param)
    with client, server:
        yield client, server


def echo_until_close_notify(server: Connection) -> None:
    assert server.do_handshake() == 1
    while data := server.read():
        while data:
            data = data[max(server.write(data), 0) :]
    assert server.get_error(0) is ZERO_RETURN
    assert server.shutdown() == 1


@pytest.mark.parametrize("timeout", [None, 20.0], ids=["blocking", "with time-out"])
def test_blocking_sockets(
    sockets: tuple[socket.socket, socket.socket], timeout: float | None
) -> None:
    for each in sockets:
        each.settimeout(timeout)
    client, server = connections(*map(SocketBIO, sockets))
    thread = threading.Thread(target=echo_until_close_notify, args=(server,), daemon=True)
    thread.start()
    # It returns only when the handshake is finished.
    assert client.do_handshake() == 1
    data = bytes(range(256)) * 1000
    received = bytearray()
    for start in range(0, len(data), 16_000):
        piece = data[start : start + 16_000]
        assert client.write(piece) == len(piece)
        end = len(received) + len(piece)
        while len(received) < end:
            received += client.read() or pytest.fail(str(client.last_error))
    assert received == data
    assert client.shutdown() == 0
    assert client.shutdown() == 1
    thread.join(20)
    assert not thread.is_alive()


def test_non_blocking_sockets(sockets: tuple[socket.socket, socket.socket]) -> None:
    for each in sockets:
        each.setblocking(False)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client, server = connections(*map(SocketBIO, sockets))
    data = random.Random(1).randbytes(1_000_000)
    turns(client.do_handshake, server.do_handshake)
    sent, received, wants = 0, bytearray(), set()
    for _ in range(100_000):
        if sent < len(data):
            count = client.write(data[sent : sent + 100_000])
            sent += max(count, 0)
            wants.add(client.get_error(count))
        received += server.read() or b""
        if len(received) == len(data):
            break
        if server.want() is WANT_READ and client.want() is WANT_WRITE:
            select.select([sockets[1]], [sockets[0]], [], 1)
    assert received == data
    assert wants >= {WANT_WRITE}
    assert client.shutdown() == 0
    while server.read() is None:
        assert select.select([sockets[1]], [], [], 5)[0]
    assert server.shutdown() == 1


@BOTH_ROLES
def test_a_time_out_is_a_retry(by_server: bool) -> None:
    sockets = socket_pair("unix")
    with sockets[0], sockets[1]:
        for each in sockets:
            each.settimeout(0.01)
        conn, peer = connections(*map(SocketBIO, sockets))
        if by_server:
            conn, peer = peer, conn
        for _ in range(3):
            assert outcome(conn, conn.do_handshake()) == (-1, WANT_READ)
        turns(conn.do_handshake, peer.do_handshake)
        assert conn.read() is None
        assert conn.get_error(-1) is WANT_READ
        data = bytes(50_000_000)
        sent = 0
        while (count := conn.write(data[sent : sent + 60_000])) > 0:
            sent += count
        # The socket is full: a retry, and nothing is lost by it.
        assert conn.get_error(count) is WANT_WRITE
        received = 0
        for _ in range(10_000):
            received += len(peer.read(1 << 20) or b"")
            if received == sent:
                break
        count = conn.write(bytes(60_000))
        assert count == 60_000
        while received < sent + count:
            received += len(peer.read(1 << 20) or pytest.fail("lost"))


class ScriptedSocket:
    """A socket whose calls raise."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        raise self.error

    def send(self, data: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "is_retry"),
    [
        (TimeoutError("timed out"), True),
        (BlockingIOError(errno.EAGAIN, "again"), True),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), False),
        (OSError(errno.ETIMEDOUT, "timed out"), False),
        (ConnectionResetError(errno.ECONNRESET, "reset"), False),
        (BrokenPipeError(errno.EPIPE, "broken"), False),
        (OSError(errno.EBADF, "closed"), False),
        (OSError(errno.EHOSTUNREACH, "unreachable"), False),
    ],
)
@BOTH_ROLES
def test_errors_of_a_socket(error: OSError, is_retry: bool, by_server: bool) -> None:
    """The client fails to send, the server to receive."""
    conn = connections(*[SocketBIO(ScriptedSocket(error))] * 2)[by_server]  # type: ignore[arg-type]
    if is_retry:
        wanted = WANT_READ if by_server else WANT_WRITE
        for _ in range(2):
            assert outcome(conn, conn.do_handshake()) == (-1, wanted)
        assert conn.last_error is None
        return
    assert outcome(conn, conn.do_handshake()) == (-1, SYSCALL)
    assert isinstance(conn.last_error, fasths.TransportError)
    assert conn.last_error.os_error is error
    assert conn.last_error.alert is None


def test_a_reset_is_a_transport_error() -> None:
    client_socket, server_socket = socket_pair("tcp")
    with server_socket:
        client, server = connections(SocketBIO(client_socket), SocketBIO(server_socket))
        thread = threading.Thread(target=client.do_handshake, daemon=True)
        thread.start()
        assert server.do_handshake() == 1
        thread.join(10)
        client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client_socket.close()
        assert server.read() is None
        assert server.get_error(-1) is SYSCALL
        assert isinstance(server.last_error.os_error, ConnectionResetError)


def test_a_write_that_fails_does_not_wait_for_the_peer() -> None:
    """A blocking socket that cannot be written to, and whose peer says nothing."""
    client_socket, server_socket = socket_pair("unix")
    with client_socket, server_socket:
        client, _ = connections(SocketBIO(client_socket), SocketBIO(server_socket))
        client_socket.shutdown(socket.SHUT_WR)
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.append(client.connect()), daemon=True)
        thread.start()
        thread.join(2)
        returned = list(results)
        server_socket.shutdown(socket.SHUT_WR)
        thread.join(10)
    assert returned == [-1]
    assert client.get_error(-1) is SYSCALL


def test_a_closed_socket() -> None:
    client_socket, server_socket = socket_pair("unix")
    client, server = connections(SocketBIO(client_socket), SocketBIO(server_socket))
    client_socket.close()
    server_socket.settimeout(5)
    assert outcome(client, client.do_handshake()) == (-1, SYSCALL)
    assert outcome(server, server.do_handshake()) == (-1, SSL)
    server_socket.close()


def test_a_socket_bio_by_itself() -> None:
    left, right = socket_pair("unix")
    with left, right:
        right.setblocking(False)
        bio = SocketBIO(right)
        assert (bio.pending, bio.wpending, bio.eof, bio.flush()) == (0, 0, False, 1)
        assert bio.fileno() == right.fileno()
        buffer = bytearray(10)
        assert bio.read_into(buffer) == -1
        assert (bio.should_read, bio.should_write) == (True, False)
        assert bio.write(b"out") == 3
        assert (bio.should_read, bio.should_write) == (False, False)
        while bio.write(bytes(10_000)) > 0:
            pass
        assert (bio.should_read, bio.should_write) == (False, True)
        left.send(b"in")
        assert bio.read_into(memoryview(buffer)[:1]) == 1
        assert (bio.should_read, bio.should_write) == (False, False)
        assert bio.read_into(buffer) == 1
        left.shutdown(socket.SHUT_WR)
        assert bio.read_into(buffer) == 0
        assert bio.eof


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


# --- Pairs


@pytest.mark.parametrize("size", SIZES)
@BOTH_ROLES
def test_a_pair_of_any_size(size: int, by_server: bool) -> None:
    conn, _, peer, _ = ConnectionPair(size).handshake().sides(by_server)
    amount = 300 if size < 100 else 40_000
    transfer(conn, peer, random.Random(size).randbytes(amount))
    transfer(peer, conn, random.Random(size).randbytes(amount))
    for _ in range(200):
        conn.shutdown()
        if peer.read() == b"":
            break
    turns(peer.shutdown, conn.shutdown)


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
    pair = ConnectionPair(size, contexts=unverified_contexts())
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
