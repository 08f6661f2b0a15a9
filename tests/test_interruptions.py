"""What happens when something raises, re-enters or fails in the middle of a call."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading

import pytest
from both_versions import FOR_TLS13, version
from helpers import (
    BROKEN,
    HOST,
    SSL,
    SYSCALL,
    WANT_READ,
    ConnectionPair,
    client_context,
    outcome,
    records,
    server_context,
    transfer,
    turns,
)

import fasths
from fasths import AlertDescription

__all__ = ["version"]

HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, AlertDescription.handshake_failure))


class Boom(Exception):
    pass


class Fuse:
    """A message_callback that raises once, when it is armed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.armed = False

    def __call__(self, direction: str, content_type: fasths.ContentType, data: bytes) -> None:
        if self.armed:
            self.armed = False
            raise self.error


def fused_pair(error: BaseException, **client: object) -> tuple[ConnectionPair, Fuse]:
    fuse = Fuse(error)
    contexts = (client_context(**client), server_context())
    pair = ConnectionPair(contexts=contexts, message_callback=fuse).handshake()
    fuse.armed = True
    return pair, fuse


CALLS = ["do_handshake", "read", "write", "shutdown", "key_update"]


@FOR_TLS13
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("followed_by", [b"", HANDSHAKE_FAILURE])
def test_a_key_log_that_uses_its_connection(call, followed_by):
    """A call within a step is refused; what would have freed the step's state has not happened."""
    errors = []

    def keylog(line: str) -> None:
        try:
            getattr(pair.server, call)(*([b"data"] if call == "write" else []))
        except RuntimeError as error:
            errors.append(error)

    contexts = (client_context(), server_context(keylog=keylog))
    pair = ConnectionPair(contexts=contexts)
    pair.client.do_handshake()
    pair.client_bio.inner.write(followed_by)
    ret = pair.server.do_handshake()
    assert errors
    assert ret == -1
    assert pair.server.get_error(ret) is (SSL if followed_by else WANT_READ)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("by_server", [False, True])
def test_a_key_log_that_uses_its_connection_and_goes_on(call, by_server):
    errors = []

    def keylog(line: str) -> None:
        try:
            conn = pair.server if by_server else pair.client
            getattr(conn, call)(*([b"data"] if call == "write" else []))
        except RuntimeError as error:
            errors.append(error)

    logged = {"keylog": keylog}
    client = client_context(**({} if by_server else logged))
    pair = ConnectionPair(contexts=(client, server_context(**(logged if by_server else {}))))
    pair.handshake()
    transfer(pair.client, pair.server, b"data")
    assert errors


def test_a_signal_handler_that_uses_the_connection_while_a_chain_is_verified():
    pair = ConnectionPair()
    errors = []

    def handler(number: int, frame: object) -> None:
        try:
            pair.client.do_handshake()
        except RuntimeError as error:
            errors.append(error)

    def callback(*_: object) -> None:
        signal.raise_signal(signal.SIGUSR1)

    pair = ConnectionPair(message_callback=callback)
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        turns(pair.client.do_handshake, pair.server.do_handshake)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert errors
    assert pair.client.established


def test_two_threads_in_one_connection_get_an_error_and_no_crash():
    for _ in range(20):
        pair = ConnectionPair()
        pair.client.do_handshake()
        pair.server.do_handshake()

        def advance(conn: fasths.Connection = pair.client) -> None:
            with contextlib.suppress(RuntimeError, ValueError):
                conn.do_handshake()

        threads = [threading.Thread(target=advance) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


@FOR_TLS13
@pytest.mark.parametrize(
    "call",
    [
        lambda conn: conn.key_update(),
        lambda conn: conn.shutdown(),
        lambda conn: conn.write(b"A" * 16384 + b"B" * 16384),
    ],
    ids=["key_update", "shutdown", "write"],
)
def test_a_callback_that_raises_while_something_is_sent_ends_the_connection(call):
    limits = fasths.Limits(max_records_per_key=1)
    pair, _ = fused_pair(Boom("secret"), limits=limits)
    assert outcome(pair.client, call(pair.client)) == (-1, SSL)
    error = pair.client.last_error
    assert error.alert is AlertDescription.internal_error
    assert isinstance(error.__cause__, Boom)
    assert "secret" not in str(error)
    assert outcome(pair.client, call(pair.client)) == (-1, SSL)
    assert pair.client.last_error is error
    # The peer can read all of what was sent: keys and messages fit each other.
    while data := pair.server.read():
        assert set(data) <= set(b"AB")
    assert pair.server.last_error is None or isinstance(pair.server.last_error, fasths.PeerAlert)
    close_notifies = [each for each in records(pair.client_bio.written) if len(each[1]) == 19]
    assert len(close_notifies) <= 2


@pytest.mark.parametrize("point", range(7))
def test_an_interrupt_in_the_middle_of_a_handshake_is_raised_and_is_its_end(point):
    calls = itertools.count()

    def callback(*_: object) -> None:
        if next(calls) == point + 1:
            raise KeyboardInterrupt

    pair = ConnectionPair(message_callback=callback)
    pair.client.do_handshake()
    pair.server.do_handshake()
    with pytest.raises(KeyboardInterrupt):
        pair.client.do_handshake()
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, SSL)
    assert pair.client.last_error.alert is AlertDescription.internal_error
    # It may have got the whole flight before the alert.
    assert pair.server.read() is None
    assert isinstance(pair.server.last_error, fasths.PeerAlert)


@FOR_TLS13
def test_an_interrupt_while_a_key_update_is_read_is_raised_and_is_the_end():
    pair, _ = fused_pair(KeyboardInterrupt())
    pair.server.key_update()
    with pytest.raises(KeyboardInterrupt):
        pair.client.read()
    assert pair.client.read() is None
    assert pair.client.last_error.alert is AlertDescription.internal_error


@FOR_TLS13
@pytest.mark.parametrize("requests", [False, True])
def test_data_of_a_peer_that_has_closed_is_read_although_no_answer_can_be_sent(requests):
    """RFC 8446, 6.1: the answers to KeyUpdates meet a closed socket; the data is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        near.settimeout(10)
        client = fasths.Connection(client_context(), fasths.SocketBIO(near), server_hostname=HOST)
        server = fasths.Connection(server_context(), fasths.SocketBIO(far))
        client.set_connect_state()
        server.set_accept_state()
        near.setblocking(False)
        far.setblocking(False)
        turns(client.do_handshake, server.do_handshake)
        for _ in range(4):
            if requests:
                assert server.key_update(request_peer=True) == 1
            assert server.write(bytes(20_000)) == 20_000
        assert server.shutdown() == 0
        far.close()
        near.setblocking(True)
        near.settimeout(10)
        received = 0
        while data := client.read():
            received += len(data)
        assert received == 80_000
        assert data == b""
        if requests:
            assert outcome(client, client.write(b"more")) == (-1, SYSCALL)


@FOR_TLS13
def test_a_write_that_failed_while_reading_fails_the_next_write():
    pair = ConnectionPair().handshake()
    pair.server.key_update(request_peer=True)
    pair.server.write(b"data")
    pair.client_bio.write_error = BROKEN
    assert pair.client.read() == b"data"
    pair.client_bio.write_error = None
    assert outcome(pair.client, pair.client.write(b"more")) == (-1, SYSCALL)
    assert pair.client.last_error.os_error is BROKEN


@FOR_TLS13
def test_each_request_for_a_key_update_that_follows_a_sent_answer_is_answered():
    """RFC 8446, 4.6.3, also while data is waiting for the transport."""
    pair = ConnectionPair().handshake()
    pair.server.key_update(request_peer=True)
    assert pair.client.read() is None
    pair.client_bio.blocked = True
    assert pair.client.write(b"D1") == -1
    pair.server.key_update(request_peer=True)
    assert pair.client.read() is None
    pair.client_bio.written.clear()
    pair.client_bio.blocked = False
    assert pair.client.write(b"D1") == 2
    assert pair.client.write(b"D2") == 2
    sizes = [len(content) for _, content in records(pair.client_bio.written)]
    assert sizes == [2 + 17, 5 + 17, 2 + 17]
    assert pair.server.read(2) == b"D1"
    assert pair.server.read(2) == b"D2"


@FOR_TLS13
def test_answers_to_requests_of_ones_own_do_not_count_as_a_flood():
    limits = fasths.Limits(max_key_updates=3)
    contexts = (client_context(limits=limits), server_context())
    pair = ConnectionPair(contexts=contexts).handshake()
    for _ in range(10):
        assert pair.client.key_update(request_peer=True) == 1
        assert pair.client.write(b"data") == 4
        assert pair.server.read() == b"data"
        assert outcome(pair.client, -1 if pair.client.read() is None else 1) == (-1, WANT_READ)
    assert pair.client.last_error is None


@pytest.mark.parametrize("buffered", [False, True])
def test_a_bio_that_ended_for_writing(buffered):
    class Ended:
        should_read = should_write = False

        def read_into(self, buffer: object) -> int:
            self.should_read = True
            return -1

        def write(self, data: object) -> int:
            return 0

        def flush(self) -> int:
            return 1

    bio = fasths.BufferedBIO(Ended()) if buffered else Ended()
    conn = fasths.Connection(client_context(), bio, server_hostname=HOST)
    assert outcome(conn, conn.connect()) == (-1, SSL)
    assert conn.last_error.origin is fasths.Origin.TRANSPORT


def test_a_bio_that_shrinks_the_receive_buffer_is_refused():
    class Shrinking:
        should_read = True
        should_write = False
        kept = None
        incoming = b""

        def read_into(self, buffer: memoryview) -> int:
            if not self.incoming:
                return -1
            size = min(200, len(self.incoming))
            buffer[:size] = self.incoming[:size]
            self.incoming = self.incoming[size:]
            self.kept = buffer.obj
            return size

        def write(self, data: object) -> int:
            return len(data)

        def flush(self) -> int:
            return 1

    bio = Shrinking()
    conn = fasths.Connection(client_context(), bio, server_hostname=HOST)
    conn.connect()
    bio.incoming = bytes((22, 3, 3, 0x10, 0)) + bytes(100)
    assert conn.do_handshake() == -1
    bio.kept.clear()
    bio.incoming = bytes(100)
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert isinstance(conn.last_error.__cause__, ValueError)


def test_reading_nothing_from_a_pair_with_data():
    one, two = fasths.bio_pair()
    one.write(b"x")
    assert two.read_into(bytearray(0)) == 0
    assert not two.should_read
