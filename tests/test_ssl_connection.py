"""SSLSocket and SSLObject of fasths.ssl, beside those of the standard library."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest
from ssl_peers import (
    HOST,
    SECONDS,
    alike,
    connected,
    contexts,
    described,
    leaf,
    receive_all,
    result_of,
    running,
    server_context,
    sockets,
)

from fasths import ssl as fasths_ssl

TLSv1_2, TLSv1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLSv1_2, TLSv1_3], ids=["1.2", "1.3"])
RAGGED = ("SSLEOFError", 8, "SSL", "UNEXPECTED_EOF_WHILE_READING")
QUESTIONS = (
    "version", "cipher", "compression", "selected_alpn_protocol", "shared_ciphers", "pending",
    "getpeercert", "get_channel_binding",
)  # fmt: skip


# --- Before, during and after the handshake


@alike
def test_before_the_handshake(server, client):
    with sockets(*contexts(server, client)) as sides:
        return [
            [result_of(getattr(side, question)) for question in QUESTIONS]
            + [side.session, side.session_reused, side.server_side, side.server_hostname]
            for side in sides
        ]


@alike
@BOTH_VERSIONS
def test_after_the_handshake(server, client, version):
    with connected(*contexts(server, client, version)) as sides:
        server_side, client_side = sides
        for side in sides:
            assert side.version() == version.name.replace("_", ".")
            assert side.cipher()[0] in {each[0] for each in server_side.shared_ciphers()}
        assert client_side.shared_ciphers() is None
        der = client_side.getpeercert(binary_form=True)
        assert der == leaf().chain_der[0]
        if version is TLSv1_2:
            bindings = [side.get_channel_binding("tls-unique") for side in sides]
            assert bindings[0] == bindings[1] != None  # noqa: E711
        assert result_of(client_side.get_channel_binding, "other")[0] == "ValueError"
        return client_side.getpeercert(), server_side.getpeercert(), client_side.compression()


@BOTH_VERSIONS
def test_chains(version):
    """Methods of later versions of Python are there on what the sockets work with."""
    with connected(*contexts(ssl, fasths_ssl, version)) as (_, client_side):
        inner = client_side._sslobj
        verified, shown = inner.get_verified_chain(), inner.get_unverified_chain()
        assert [each.public_bytes(ssl._ssl.ENCODING_DER) for each in shown] == leaf().chain_der
        assert verified[0] == shown[0]
        assert [each.get_info()["subject"] for each in verified][1] == (
            client_side.context.get_ca_certs()[0]["subject"]
        )
        bindings = [inner.get_channel_binding(each) for each in ("tls-exporter", "tls-unique")]
        assert all(bindings) == (version is TLSv1_2)
        assert bindings[0]
        assert inner.group() in inner.context.get_groups()


@alike
def test_data_makes_a_handshake_that_was_not_made(server, client):
    with (
        sockets(*contexts(server, client)) as (server_side, client_side),
        running(lambda: server_side.sendall(server_side.recv(10))),
    ):
        client_side.write(b"hello")
        return client_side.recv(10), client_side.version()


@alike
def test_a_listening_socket(server, client):
    """Its children are wrapped."""
    answering, asking = contexts(server, client)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        with answering.wrap_socket(listening, server_side=True) as wrapped:

            def serve():
                child, _ = wrapped.accept()
                with child:
                    child.settimeout(SECONDS)
                    child.sendall(child.recv(10))
                    results.append((type(child) is type(wrapped), child.server_side))

            results = [result_of(wrapped.getpeercert), wrapped.version()]
            with running(serve):
                address = wrapped.getsockname()
                with asking.wrap_socket(socket.socket(), server_hostname=HOST) as client_side:
                    # It was not connected; its handshake comes with connect().
                    client_side.settimeout(SECONDS)
                    results.append(result_of(client_side.getpeercert))
                    results.append(result_of(client_side.do_handshake)[0])
                    results.append(result_of(client_side.recv, 1)[0])
                    client_side.connect(address)
                    results.append(client_side.version())
                    client_side.sendall(b"hello")
                    results.append(client_side.recv(10))
    return results


@alike
def test_what_cannot_be_wrapped(server, client):
    answering, asking = contexts(server, client)
    left, right = socket.socketpair()
    with left, right, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        return [
            result_of(answering.wrap_socket, left, server_hostname=HOST),
            result_of(asking.wrap_socket, left, server_side=True),
            result_of(asking.wrap_socket, left),
            result_of(asking.wrap_socket, datagrams, server_hostname=HOST),
            result_of(asking.wrap_bio, left, right, server_hostname=HOST)[0],
            result_of(answering.wrap_bio, ssl.MemoryBIO(), ssl.MemoryBIO(), False),
            result_of(asking.wrap_bio, ssl.MemoryBIO(), ssl.MemoryBIO(), True),
        ]


@alike
def test_a_peer_that_does_not_speak_tls(server, client):
    outcomes = []
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01\x02"):
        left, right = socket.socketpair()
        with (
            right,
            server_context(server).wrap_socket(
                left, server_side=True, do_handshake_on_connect=False
            ) as side,
        ):
            side.settimeout(SECONDS)
            right.sendall(sent)
            right.shutdown(socket.SHUT_WR)
            outcomes.append(result_of(side.do_handshake))
    assert outcomes[0][3] == "HTTP_REQUEST"
    return outcomes


# --- Data


@alike
@BOTH_VERSIONS
def test_ways_to_read(server, client, version):
    with connected(*contexts(server, client, version)) as (server_side, client_side):
        server_side.sendall(b"0123456789" * 5)
        buffer = bytearray(8)
        results = [
            client_side.recv(3),
            client_side.pending(),
            client_side.recv_into(buffer),
            bytes(buffer),
            client_side.recv_into(memoryview(buffer)[:3], 100),
            client_side.recv_into(buffer, 2),
            bytes(buffer),
            client_side.read(4),
            client_side.read(2, buffer),
            client_side.read(0, buffer),
            bytes(buffer),
            client_side.recv_into(bytearray(0)),
            client_side.recv(0),
            result_of(client_side.recv, -1),
            result_of(client_side.read, -1),
            result_of(client_side.recv, 1, socket.MSG_PEEK),
            result_of(client_side.recv_into, buffer, 1, socket.MSG_PEEK),
            result_of(client_side.recvfrom, 1),
            result_of(client_side.recvmsg, 1),
            result_of(client_side.recv_into, b"read-only")[0],
            client_side.pending(),
        ]
        return [*results, client_side.read(), client_side.pending()]


@alike
def test_ways_to_write(server, client):
    with connected(*contexts(server, client)) as (server_side, client_side):
        pieces = [b"abc", bytearray(b"def"), memoryview(b"0g1h2i")[1:], b""]
        results = [server_side.send(each) for each in pieces]
        results += [server_side.write(each) for each in pieces]
        results += [server_side.sendall(each) for each in pieces]
        results.append(result_of(server_side.send, "text")[0])
        results.append(result_of(server_side.send, b"x", 1))
        results.append(result_of(server_side.sendto, b"x", ("127.0.0.1", 1)))
        results.append(result_of(server_side.sendmsg, [b"x"]))
        return [*results, receive_all(client_side, 33)]


@alike
def test_files(server, client, tmp_path_factory):
    path = tmp_path_factory.mktemp("sent") / "file"
    path.write_bytes(os.urandom(300_000))
    with connected(*contexts(server, client)) as (server_side, client_side):

        def send():
            with path.open("rb") as file:
                results.append(server_side.sendfile(file))
                results.append(server_side.sendfile(file, offset=10, count=20))
            with server_side.makefile("wb") as file:
                file.write(b"one line\nand another\n")

        results = []
        with running(send):
            assert receive_all(client_side, 300_020)[:300_000] == path.read_bytes()
            with client_side.makefile("rb") as file:
                results += [file.readline(), file.readline()]
        server_side.setblocking(False)
        with path.open("rb") as file:
            results.append(result_of(server_side.sendfile, file))
        return results


@alike
@BOTH_VERSIONS
def test_sockets_that_do_not_wait(server, client, version):
    with sockets(*contexts(server, client, version)) as sides:
        for side in sides:
            side.setblocking(False)
        first = [result_of(sides[1].do_handshake), result_of(sides[1].recv, 10)]
        waiting = {side: side.do_handshake for side in sides}
        until = time.monotonic() + SECONDS
        while waiting:
            assert time.monotonic() < until
            for side in list(waiting):
                try:
                    waiting[side]()
                except ssl.SSLWantReadError:
                    select.select([side], [], [], 0.01)
                else:
                    del waiting[side]
        server_side, client_side = sides
        empty = [result_of(client_side.recv, 10), result_of(client_side.recv_into, bytearray(9))]
        data, sent, received = os.urandom(3_000_000), 0, b""
        while len(received) < len(data):
            assert time.monotonic() < until
            with suppress(ssl.SSLWantWriteError):
                sent += server_side.send(memoryview(data)[sent:]) if sent < len(data) else 0
            try:
                received += client_side.recv(100_000)
            except ssl.SSLWantReadError:
                select.select([client_side], [], [], 0.01)
        assert received == data
        return first, empty


@alike
def test_time_outs(server, client):
    results = []
    with sockets(*contexts(server, client)) as (_, client_side):
        client_side.settimeout(0.05)
        results.append(result_of(client_side.do_handshake))
    with connected(*contexts(server, client)) as (server_side, client_side):
        client_side.settimeout(0.05)
        results.append(result_of(client_side.recv, 10))
        results.append(result_of(client_side.read, 10))
        # It can go on.
        server_side.sendall(b"late")
        results.append(client_side.recv(10))
        results.append(result_of(client_side.sendall, bytes(20_000_000)))
    with connected(*contexts(server, client)) as (_, client_side):
        client_side.settimeout(0.05)
        results.append(result_of(client_side.unwrap))
    assert [each[0] == "TimeoutError" for each in results] == [True, True, True, False, True, True]
    return results


@pytest.mark.parametrize("version", [TLSv1_2, TLSv1_3], ids=["1.2", "1.3"])
def test_a_record_that_arrives_in_pieces_has_one_time_out(version):
    """A peer that sends a byte now and then holds nobody up for longer."""
    with connected(*contexts(fasths_ssl, fasths_ssl, version)) as (server_side, client_side):
        raw = socket.socket(fileno=os.dup(server_side.fileno()))
        with raw:

            def drip():
                for octet in b"\x17\x03\x03\x40\x00" + bytes(30):
                    raw.send(bytes([octet]))
                    if done.wait(0.03):
                        return

            done = threading.Event()
            client_side.settimeout(0.3)
            with running(drip):
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    client_side.recv(10)
                assert 0.25 < time.monotonic() - began < 0.8
                done.set()


def test_a_write_that_goes_on_has_time():
    """The time-out is for what OpenSSL sends at once, not for all of a large write()."""
    with connected(*contexts(fasths_ssl, fasths_ssl)) as (server_side, client_side):
        for side in (server_side, client_side):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        size = 60 * 16384
        client_side.settimeout(0.3)

        def read_slowly():
            left = size
            while left:
                left -= len(server_side.recv(16384))
                time.sleep(0.01)

        began = time.monotonic()
        with running(read_slowly):
            client_side.sendall(bytes(size))
        assert time.monotonic() - began > 0.35


def test_other_data_after_a_write_that_was_not_sent():
    with connected(*contexts(ssl, fasths_ssl)) as (server_side, client_side):
        client_side.setblocking(False)
        with pytest.raises(ssl.SSLWantWriteError):
            client_side.send(bytes(10_000_000))
        # What is unsent keeps nobody from reading.
        with pytest.raises(ssl.SSLWantReadError):
            client_side.recv(10)
        server_side.setblocking(False)
        with suppress(ssl.SSLWantReadError):
            while True:
                server_side.recv(100_000)
        with pytest.raises(ssl.SSLError) as caught:
            client_side.send(b"less")
        assert caught.value.reason == "BAD_WRITE_RETRY"


def test_errors_are_described():
    """What the comparisons look at differs where the errors do."""
    assert described(ssl.SSLError(1, "x")) != described(ssl.SSLEOFError(8, "x"))
    assert result_of(int, "x")[0] == "ValueError"
