"""One SSLSocket in several threads: both directions at once, closing, time-outs and signals."""

from __future__ import annotations

import hashlib
import itertools
import os
import select
import signal
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest
from ssl_peers import (
    HOST,
    SECONDS,
    WANTS,
    Pair,
    alike,
    client_context,
    connected,
    file_of,
    leaf,
    running,
    server_context,
    sockets,
)

from fasths import ssl as fasths_ssl

TLSv1_2, TLSv1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLSv1_2, TLSv1_3], ids=["1.2", "1.3"])
MEGABYTE = 1 << 20


def contexts(server=fasths_ssl, client=fasths_ssl, version=TLSv1_3):
    how = {"minimum_version": version, "maximum_version": version}
    return server_context(server, **how), client_context(client, **how)


def digest_of(sock, size):
    """Of so many bytes that arrive."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 16))
    while size:
        count = sock.recv_into(buffer[: min(size, len(buffer))])
        assert count
        digest.update(buffer[:count])
        size -= count
    return digest.digest()


def send_pieces(sock, data, after_each=None):
    # Sizes that fit neither records nor buffers.
    for at in range(0, len(data), 100_003):
        sock.sendall(data[at : at + 100_003])
        if after_each is not None:
            after_each(sock)


def update_key(sock):
    inner = sock._sslobj
    with inner._lock:
        # Further ones follow while this is in flight.
        assert inner._connection.key_update(True) == 1 or inner._connection.want()


@pytest.mark.parametrize(
    ("version", "after_each"),
    [(TLSv1_2, None), (TLSv1_3, None), (TLSv1_3, update_key)],
    ids=["1.2", "1.3", "1.3 with KeyUpdates"],
)
def test_both_directions_at_once(version, after_each):
    data = [os.urandom(4 * MEGABYTE) for _ in range(2)]
    with connected(*contexts(version=version)) as sides:
        found = [None, None]

        def receive(side):
            found[side] = digest_of(sides[side], len(data[side]))

        with (
            running(send_pieces, sides[0], data[1], after_each),
            running(send_pieces, sides[1], data[0], after_each),
            running(receive, 0),
        ):
            receive(1)
        assert found == [hashlib.sha256(each).digest() for each in data]


def test_keys_change_meanwhile():
    """The peer, in one thread, has to answer each KeyUpdate."""
    data = os.urandom(3 * MEGABYTE)
    with (
        connected(*contexts(ssl, fasths_ssl)) as (server_side, client_side),
        running(echo, server_side),
    ):
        with running(send_pieces, client_side, data, update_key):
            assert digest_of(client_side, len(data)) == hashlib.sha256(data).digest()
        client_side.shutdown(socket.SHUT_WR)


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
@BOTH_VERSIONS
def test_a_peer_that_writes_before_it_reads(version, blocking):
    """With both directions full, whoever reads must go on reading."""
    size = 8 * MEGABYTE
    with connected(*contexts(ssl, fasths_ssl, version)) as (server_side, client_side):
        data = os.urandom(size)
        with running(echo, server_side):
            if blocking:
                with running(send_pieces, client_side, data):
                    assert digest_of(client_side, size) == hashlib.sha256(data).digest()
            else:
                client_side.setblocking(False)
                assert exchanged_without_waiting(client_side, data) == data
                client_side.settimeout(SECONDS)
            client_side.shutdown(socket.SHUT_WR)


def exchanged_without_waiting(sock, data):
    """What comes back; a call that says what it waits for is repeated only then."""
    sent, received = 0, bytearray()
    until = time.monotonic() + SECONDS
    waits = {"send": None, "recv": None}
    while len(received) < len(data):
        assert time.monotonic() < until
        for what in [each for each, wait in waits.items() if wait is None]:
            try:
                if what == "recv":
                    received += sock.recv(65536)
                elif sent < len(data):
                    sent += sock.send(memoryview(data)[sent:])
            except WANTS as error:
                waits[what] = isinstance(error, ssl.SSLWantReadError)
        if waits["recv"] is None or (waits["send"] is None and sent < len(data)):
            continue
        wanted = list(waits.values())
        ready = select.select([sock] * (True in wanted), [sock] * (False in wanted), [], 1)
        for what, wait in waits.items():
            if wait is not None and ready[0 if wait else 1]:
                waits[what] = None
    return bytes(received)


def test_writes_of_two_threads_are_not_mixed():
    with connected(*contexts(ssl, fasths_ssl)) as (server_side, client_side):
        each = 300_000

        def send(octet):
            for _ in range(10):
                client_side.send(octet * each)

        with running(send, b"a"), running(send, b"b"):
            received = bytearray()
            while len(received) < 20 * each:
                received += server_side.recv(65536)
        runs = [len(list(run)) for _, run in itertools.groupby(bytes(received))]
        assert all(run % each == 0 for run in runs), runs


def test_a_handshake_in_two_threads():
    with sockets(*contexts(ssl, fasths_ssl)) as (server_side, client_side):
        with running(client_side.do_handshake), running(client_side.do_handshake):
            server_side.do_handshake()
        assert client_side.context.session_stats()["connect_good"] == 1
        assert client_side.version() == server_side.version()


def test_a_reader_has_its_time_out_while_another_thread_writes():
    with connected(*contexts()) as (server_side, client_side):
        client_side.settimeout(0.3)
        over = threading.Event()

        def write():
            while not over.is_set():
                client_side.sendall(bytes(50_000))

        def take():
            left, last = 15, time.monotonic()
            while server_side.recv(65536):
                # Now and then the reader has something to do, but nothing to return.
                if left and time.monotonic() > last + 0.08:
                    left, last = left - 1, time.monotonic()
                    update_key(server_side)

        with running(take):
            with running(write):
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    client_side.recv(1)
                assert 0.25 < time.monotonic() - began < 1.2
                over.set()
            client_side.settimeout(SECONDS)
            client_side.shutdown(socket.SHUT_WR)


# --- Closing


@contextmanager
def a_reader(sock, results):
    """A thread that waits in recv()."""

    def read():
        waiting.set()
        try:
            results.append(sock.recv(10))
        except OSError as error:
            results.append(type(error).__name__)

    waiting = threading.Event()
    with running(read):
        assert waiting.wait(SECONDS)
        time.sleep(0.05)
        yield


@alike
def test_shutdown_by_another_thread(server, client):
    results = []
    with (
        connected(*contexts(server, client)) as (_, client_side),
        a_reader(client_side, results),
    ):
        client_side.shutdown(socket.SHUT_RDWR)
    # The standard library forgets that it is encrypted, and may read the end in the clear.
    assert len(results) == 1
    return results[0] in (b"", "SSLEOFError", "OSError")


@pytest.mark.parametrize("timeout", [None, SECONDS], ids=["blocking", "time-out"])
def test_close_by_another_thread(timeout):
    """Whoever gets the file descriptor next loses nothing to the reader."""
    results = []
    with connected(*contexts()) as (server_side, client_side):
        client_side.settimeout(timeout)
        with a_reader(client_side, results):
            descriptor = client_side.fileno()
            client_side.close()
            left, right = socket.socketpair()
            with left, right:
                others = [right, left] if right.fileno() == descriptor else [left, right]
                others[1].sendall(b"of somebody else")
                # What the reader waits for.
                server_side.sendall(b"data")
                for _ in range(100):
                    if results:
                        break
                    time.sleep(0.01)
                assert others[0].recv(100) == b"of somebody else"
    assert results == ["SSLError"]


def test_close_by_another_thread_while_one_writes():
    results = []
    with connected(*contexts()) as (server_side, client_side):

        def write():
            try:
                while True:
                    client_side.sendall(bytes(MEGABYTE))
            except (OSError, ValueError) as error:
                results.append(type(error).__name__)

        with running(write):
            server_side.recv(1)
            client_side.shutdown(socket.SHUT_RDWR)
            client_side.close()
    assert len(results) == 1


# --- Contexts


def test_a_setting_that_changes_while_a_context_is_made():
    class Context(fasths_ssl.SSLContext):
        def _make_context(self, *arguments, **others):
            made = super()._make_context(*arguments, **others)
            # As another thread could.
            self.verify_mode = ssl.CERT_REQUIRED
            return made

    answering = Context(ssl.PROTOCOL_TLS_SERVER)
    answering.load_cert_chain(file_of(leaf()))
    asking = client_context(ssl)
    assert Pair(answering, asking).handshake() == (None, None)
    assert Pair(answering, asking).handshake()[1] is not None


def test_settings_that_change_while_others_connect():
    """A context that demands verification verifies from then on, whatever was going on."""
    answering, asking = contexts()
    answering.load_verify_locations(cadata=leaf().above[0].pem.decode())
    over = threading.Event()

    def connect():
        while not over.is_set():
            Pair(answering, asking).handshake()

    with running(connect), running(connect):
        for _ in range(30):
            answering.verify_mode = ssl.CERT_NONE
            time.sleep(0.001)
            answering.verify_mode = ssl.CERT_REQUIRED
            outcome = Pair(answering, asking).handshake()
            if outcome[1] is None:
                over.set()
            assert outcome[1] is not None
        over.set()


def test_certificates_that_change_while_others_connect():
    names = [HOST, "other.example"]
    answering, asking = contexts(fasths_ssl, ssl)
    over = threading.Event()

    def connect():
        while not over.is_set():
            context = client_context(ssl, check_hostname=False)
            pair = Pair(answering, context)
            assert pair.handshake() == (None, None)
            seen.add(pair.client.getpeercert()["subjectAltName"][0][1])

    seen = set()
    with running(connect):
        for name in names * 10:
            answering.load_cert_chain(file_of(leaf(name)))
            assert (Pair(answering, asking).handshake() == (None, None)) == (name == HOST)
        over.set()
    assert seen <= set(names)


# --- Signals


class _Interrupted(Exception):
    pass


@contextmanager
def alarm(handler, after):
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@alike
def test_a_signal_ends_a_wait_where_its_handler_raises(server, client):
    def handler(*_):
        raise _Interrupted

    with connected(*contexts(server, client)) as (server_side, client_side):
        with alarm(handler, 0.05), pytest.raises(_Interrupted):
            client_side.recv(10)
        server_side.sendall(b"data")
        return client_side.recv(10)


@alike
def test_a_signal_does_not_end_a_wait_else(server, client):
    with connected(*contexts(server, client)) as (_, client_side):
        client_side.settimeout(0.3)
        began = time.monotonic()
        with alarm(lambda *_: None, 0.05), pytest.raises(TimeoutError):
            client_side.recv(10)
        return 0.25 < time.monotonic() - began < 3
