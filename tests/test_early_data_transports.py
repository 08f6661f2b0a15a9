"""Early data over each kind of BIO: calls are repeated until they are done, all arrives once."""

from __future__ import annotations

import functools
import select
import socket
import threading

import pytest
from early_data_pairs import (
    EARLY_DATA_REJECTED,
    early_contexts,
    early_session,
    shared,
)
from helpers import HOST, WAITS, WANT_READ, server_context

from fasths import BufferedBIO, Connection, MemoryBIO, SocketBIO, bio_pair

MAXIMUM = 50_000
PIECES = (b"early", b"x" * 1000, b"", b"y" * 20_000, b"z")
LATE = b"late" * 500
ANSWER = b"answer" * 500
# A server's answer to rejected early data, which the client does not read while it still sends.
FLIGHT = 400
SIZES = [1, 2, 5, 22, 100, 255, FLIGHT, 1000, 17 * 1024]

both_outcomes = pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "rejected"])


@functools.cache
def contexts():
    """(the client's, one of a server that issues tickets; two that know them, and issue none: one
    that accepts early data, and one that does not).

    Tickets would have to be read before the server is done with the handshake.
    """
    settings = shared()
    client, issuer = early_contexts(server={**settings, "max_early_data_size": MAXIMUM})
    accepting = server_context(**settings, max_early_data_size=MAXIMUM, session_tickets=0)
    return client, issuer, accepting, server_context(**settings, session_tickets=0)


def connections(client_bio, server_bio, accepted):
    client, issuer, accepting, rejecting = contexts()
    session = early_session(client, issuer)
    of_client = Connection(client, client_bio, server_hostname=HOST)
    of_client.set_session(session)
    of_client.set_connect_state()
    of_server = Connection(accepting if accepted else rejecting, server_bio)
    of_server.set_accept_state()
    return of_client, of_server


def repeated(conn, call, *arguments):
    """Repeat a call until it is done: a generator that yields what it waits for."""
    while True:
        ret = call(*arguments)
        if ret is not None and ret != -1:
            return ret
        code = conn.get_error(-1)
        if code is EARLY_DATA_REJECTED:
            return code
        assert code in WAITS, (conn, code, conn.last_error)
        yield code


class Client:
    """Sends early data, hears whether it was taken, sends all that was not, and reads.

    at_once: it reads the answer to its early data before it sends anything else.
    """

    def __init__(self, conn, pieces=PIECES, *, at_once=False):
        self.conn = conn
        self.pieces = pieces
        self.at_once = at_once
        self.rejections = 0
        self.received = b""

    def script(self):
        conn = self.conn
        for piece in self.pieces:
            assert (yield from repeated(conn, conn.write_early_data, piece)) == len(piece)
        while (yield from repeated(conn, conn.do_handshake)) is EARLY_DATA_REJECTED:
            self.rejections += 1
        again = b"".join(self.pieces) if self.rejections else b""
        data = again + LATE
        if self.at_once:
            yield from self.read_answer()
        assert (yield from repeated(conn, conn.write, data)) == len(data)
        if not self.at_once:
            yield from self.read_answer()

    def read_answer(self):
        while len(self.received) < len(ANSWER):
            self.received += yield from repeated(self.conn, self.conn.read, 700)


class Server:
    """Reads early data to its end, and then what follows.

    at_once: it answers before it knows that the client has finished.
    """

    def __init__(self, conn, expected, *, at_once=False, size=300):
        self.conn = conn
        self.expected = expected
        self.at_once = at_once
        self.size = size
        self.early = self.received = b""

    def script(self):
        conn = self.conn
        while piece := (yield from repeated(conn, conn.read_early_data, self.size)):
            self.early += piece
        if self.at_once:
            assert (yield from repeated(conn, conn.write_early_data, ANSWER)) == len(ANSWER)
        assert (yield from repeated(conn, conn.do_handshake)) == 1
        while len(self.received) < self.expected:
            self.received += yield from repeated(conn, conn.read, 700)
        if not self.at_once:
            assert (yield from repeated(conn, conn.write, ANSWER)) == len(ANSWER)


def play(*scripts):
    """Let them take turns, until all are done."""
    waiting = list(scripts)
    for _ in range(200_000):
        for script in tuple(waiting):
            try:
                next(script)
            except StopIteration:
                waiting.remove(script)
        if not waiting:
            return
    raise AssertionError("they wait for each other")


def sides_of(bios, accepted, *, pieces=PIECES, at_once=False):
    early = b"".join(pieces)
    expected = len(LATE) if accepted else len(early + LATE)
    of_client, of_server = connections(*bios, accepted)
    return Client(of_client, pieces, at_once=at_once), Server(of_server, expected, at_once=at_once)


def check(client, server, accepted):
    early = b"".join(client.pieces)
    assert client.rejections == (not accepted)
    assert server.early == (early if accepted else b"")
    assert server.received == (LATE if accepted else early + LATE)
    assert client.received == ANSWER
    for side in (client, server):
        assert side.conn.session_reused
        assert side.conn.early_data_accepted is accepted
    assert server.conn.read_early_data() == b""


@pytest.mark.parametrize("size", SIZES)
def test_over_bounded_pairs(size):
    """A server that reads early data goes on reading while its own flight has no room."""
    client, server = sides_of(bio_pair(size), True)
    play(client.script(), server.script())
    check(client, server, True)


@pytest.mark.parametrize("size", [each for each in SIZES if each >= 100])
def test_answer_at_once_over_bounded_pairs(size):
    """There has to be room for the client's last flight, as the server does not read meanwhile."""
    client, server = sides_of(bio_pair(size), True, at_once=True)
    play(client.script(), server.script())
    check(client, server, True)


@pytest.mark.parametrize("size", [each for each in SIZES if each >= FLIGHT])
def test_rejection_over_bounded_pairs(size):
    client, server = sides_of(bio_pair(size), False)
    play(client.script(), server.script())
    check(client, server, False)


@pytest.mark.parametrize("turns", [(1, 5), (5, 1), (1, 50), (50, 1)])
@both_outcomes
def test_over_a_bounded_pair_with_one_side_in_a_hurry(accepted, turns):
    client, server = sides_of(bio_pair(FLIGHT), accepted)
    scripts = [client.script(), server.script()]

    def hurried(script, times):
        for each in script:
            for _ in range(times - 1):
                next(script, None)
            yield each

    play(*(hurried(*each) for each in zip(scripts, turns, strict=True)))
    check(client, server, accepted)


@both_outcomes
def test_over_buffered_bios(accepted):
    bios = [BufferedBIO(bio, 100) for bio in bio_pair(FLIGHT)]
    client, server = sides_of(bios, accepted)
    play(client.script(), server.script())
    check(client, server, accepted)


@both_outcomes
def test_over_memory_bios(accepted):
    bios = MemoryBIO(), MemoryBIO()
    client, server = sides_of(bios, accepted)
    scripts = [client.script(), server.script()]

    def carrying(script):
        for each in script:
            for source, target in (bios, bios[::-1]):
                target.write(source.read())
            yield each

    def flushing(script):
        """What is left in the BIO when a side is done."""
        yield from carrying(script)
        for source, target in (bios, bios[::-1]):
            target.write(source.read())

    play(*map(flushing, scripts))
    check(client, server, accepted)


def socket_pair(buffer_size):
    left, right = socket.socketpair()
    for each in (left, right):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            each.setsockopt(socket.SOL_SOCKET, option, buffer_size)
    return left, right


@pytest.mark.parametrize("buffer_size", [4096, 1 << 18])
@both_outcomes
def test_over_blocking_sockets(accepted, buffer_size):
    sockets = socket_pair(buffer_size)
    sides = sides_of([SocketBIO(each) for each in sockets], accepted)
    failures = []

    def run(side, sock):
        try:
            assert list(side.script()) == []
        except BaseException as error:
            failures.append(error)
            sock.close()

    threads = [threading.Thread(target=run, args=each) for each in zip(sides, sockets, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for each in sockets:
        each.close()
    assert failures == []
    check(*sides, accepted)


@pytest.mark.parametrize("buffer_size", [4096, 1 << 18])
@both_outcomes
def test_over_non_blocking_sockets(accepted, buffer_size):
    """Each side waits with select() for what get_error() says."""
    sockets = socket_pair(buffer_size)
    for each in sockets:
        each.setblocking(False)
    sides = sides_of([SocketBIO(each) for each in sockets], accepted)
    running = {sock: side.script() for sock, side in zip(sockets, sides, strict=True)}
    wants = dict.fromkeys(running, None)
    while running:
        readable, writable, _ = select.select(
            [sock for sock in running if wants[sock] is WANT_READ],
            [sock for sock in running if wants[sock] not in (WANT_READ, None)],
            [],
            10 if all(wants[sock] is not None for sock in running) else 0,
        )
        ready = {*readable, *writable, *(sock for sock in running if wants[sock] is None)}
        assert ready, "they wait for each other"
        for sock in ready:
            try:
                wants[sock] = next(running[sock])
            except StopIteration:
                del running[sock]
    for each in sockets:
        each.close()
    check(*sides, accepted)


def test_client_that_writes_until_the_server_has_answered():
    """Early data and the server's answer fill both directions, and go on all the same."""
    pieces = (b"x" * 10_000,) * 5
    client, server = sides_of(bio_pair(1000), True, pieces=pieces, at_once=True)
    play(client.script(), server.script())
    check(client, server, True)
