"""How connections of fasths.ssl end, beside those of the standard library, and what is left."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import weakref
from contextlib import suppress

import pytest
from ssl_peers import (
    HOST,
    WANTS,
    Pair,
    alike,
    connected,
    contexts,
    file_of,
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


@alike
@BOTH_VERSIONS
def test_unwrap_and_go_on_in_the_clear(server, client, version):
    with connected(*contexts(server, client, version)) as (server_side, client_side):
        clear = []

        def serve():
            server_side.sendall(b"last")
            with server_side.unwrap() as raw:
                raw.sendall(b"clear ")
                clear.append(raw.recv(10))

        with running(serve):
            received = receive_all(client_side, 4)
            # The peer's close_notify, and the clear text behind it, may be there by now.
            with client_side.unwrap() as raw:
                raw.sendall(b"more")
                clear.append(receive_all(raw, 6))
        return received, sorted(clear), client_side.version(), result_of(client_side.unwrap)


@alike
@BOTH_VERSIONS
def test_close_notify(server, client, version):
    pair = Pair(*contexts(server, client, version)).connect()
    pair.client.write(b"bye")
    results = [result_of(pair.client.unwrap), result_of(pair.client.write, b"more")]
    results += [pair.server.read(), pair.server.read(), pair.server.read(5, bytearray(5))]
    # Half-closed: the other direction is open.
    pair.server.write(b"still here")
    results.append(result_of(pair.server.unwrap))
    results.append(pair.client.read())
    results.append(result_of(pair.client.unwrap))
    results.append(result_of(pair.client.read))
    return results, result_of(pair.server.read)[0]


@alike
@BOTH_VERSIONS
def test_an_end_without_close_notify(server, client, version):
    results = []
    for suppresses in (True, False):
        answering, asking = contexts(server, client, version)
        with connected(answering, asking, suppress_ragged_eofs=suppresses) as sides:
            server_side, client_side = sides
            server_side.sendall(b"data")
            assert client_side.recv(10) == b"data"
            server_side.close()
            results.append(result_of(client_side.recv, 10))
            results.append(result_of(client_side.recv_into, bytearray(10)))
    # What it is called at the second time, differs.
    results[3] = results[3][:2]
    assert results == [b"", 0, RAGGED, RAGGED[:2]]
    return results


@alike
@BOTH_VERSIONS
def test_an_end_over_memory_bios(server, client, version):
    results = []
    for option in (0, ssl.OP_IGNORE_UNEXPECTED_EOF):
        answering, asking = contexts(server, client, version)
        asking.options |= option
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sslobject = asking.wrap_bio(incoming, outgoing, server_hostname=HOST)
        peer = answering.wrap_bio(outgoing, incoming, server_side=True)
        pending = [sslobject, peer]
        while pending:
            for each in list(pending):
                try:
                    each.do_handshake()
                except WANTS:
                    continue
                pending.remove(each)
        peer.write(b"data")
        incoming.write_eof()
        results.append([result_of(sslobject.read), result_of(sslobject.read)])
        if option:
            results.append(result_of(sslobject.read, 5, bytearray(5)))
            results.append(sslobject.unwrap() is None)
        else:
            results.append(result_of(sslobject.read, 5, bytearray(5))[:2])
    assert results[0] == [b"data", RAGGED]
    assert results[2] == [b"data", b""]
    return results


@alike
def test_an_end_in_the_handshake(server, client):
    """However ragged ends are treated: it is an error."""
    results = []
    for option in (0, ssl.OP_IGNORE_UNEXPECTED_EOF):
        answering, asking = contexts(server, client)
        asking.options |= option
        with sockets(answering, asking) as (server_side, client_side):
            server_side.close()
            results.append(result_of(client_side.do_handshake)[0])
    assert "None" not in map(str, results)
    # The hello may meet a socket that is closed already.
    return {each in ("SSLEOFError", "BrokenPipeError", "ConnectionResetError") for each in results}


@alike
def test_sockets_that_are_closed(server, client):
    with connected(*contexts(server, client)) as (_, client_side):
        client_side.close()
        return [
            result_of(getattr(client_side, name), *arguments)
            for name, *arguments in (
                ("recv", 1), ("send", b"x"), ("do_handshake",), ("unwrap",), ("read",),
                ("fileno",), ("getpeername",), ("dup",), ("version",), ("cipher",),
            )
        ]  # fmt: skip


@alike
def test_a_socket_that_is_detached(server, client):
    with connected(*contexts(server, client)) as (_, client_side):
        results = [result_of(client_side.dup), result_of(client_side.shutdown, 99)[0]]
        os.close(client_side.detach())
        results.append(result_of(client_side.send, b"x")[0])
        results.append(result_of(client_side.recv, 1)[0])
        return results


# --- What is left


@pytest.fixture
def uncollected():
    """Without the garbage collector; what it finds in the end."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_nothing_is_left_of_connections():
    answering, asking = contexts(fasths_ssl, fasths_ssl)
    asking.load_cert_chain(file_of(leaf("someone")))
    answering.sni_callback = lambda *_: None
    seen = []
    for _ in range(100):
        pair = Pair(answering, asking).connect().exchange()
        seen += [weakref.ref(each) for each in (pair.client, pair.server, pair.client._sslobj)]
    with connected(answering, asking) as sides:
        seen += [weakref.ref(each) for each in (*sides, sides[0]._sslobj)]
    seen += [weakref.ref(each) for each in (answering, asking)]
    del pair, answering, asking, sides
    assert [each() for each in seen if each() is not None] == []


@pytest.mark.usefixtures("uncollected")
def test_nothing_is_left_of_connections_that_failed():
    """Their errors do not keep them."""
    answering, asking = contexts(fasths_ssl, fasths_ssl)
    seen = []
    for _ in range(20):
        pair = Pair(answering, asking, "example.org")
        for _ in range(4):
            for side in (pair.client, pair.server):
                with suppress(ssl.SSLError):
                    side.do_handshake()
        seen += [weakref.ref(each) for each in (pair.client, pair.server)]
        left, right = socket.socketpair()
        right.close()
        with asking.wrap_socket(
            left, server_hostname=HOST, do_handshake_on_connect=False
        ) as wrapped:
            for _ in range(2):
                with suppress(OSError):
                    wrapped.do_handshake()
        seen.append(weakref.ref(wrapped))
    del pair, side, wrapped
    assert [each() for each in seen if each() is not None] == []


@pytest.mark.usefixtures("uncollected")
def test_nothing_is_left_of_contexts_that_were_chosen():
    answering, asking = contexts(fasths_ssl, fasths_ssl)
    seen = []
    for _ in range(5):
        chosen = server_context(fasths_ssl, num_tickets=1)
        answering.sni_callback = lambda side, *_, chosen=chosen: setattr(side, "context", chosen)
        Pair(answering, asking).connect()
        seen.append(weakref.ref(chosen))
    answering.sni_callback = None
    del chosen
    assert [each() for each in seen if each() is not None] == []


def test_errors_of_the_transport_are_raised_again():
    left, right = socket.socketpair()
    _, asking = contexts(fasths_ssl, fasths_ssl)
    with (
        left,
        asking.wrap_socket(right, server_hostname=HOST, do_handshake_on_connect=False) as wrapped,
    ):
        left.close()
        errors = []
        for _ in range(2):
            with pytest.raises(OSError, match=r"Broken pipe|reset") as caught:
                wrapped.do_handshake()
            errors.append(caught.value)
        assert errors[0] is not errors[1]
        assert type(errors[0]) is type(errors[1])
        assert errors[0].errno == errors[1].errno
