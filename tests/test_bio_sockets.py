"""Connections over sockets, blocking and not, and SocketBIO by itself."""

from __future__ import annotations

import errno
import random
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from helpers import (
    BOTH_ROLES,
    SSL,
    SYSCALL,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    connections,
    outcome,
    turns,
)

import fasths
from fasths import Connection, SocketBIO


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
