"""Connections of fasths.ssl and of the standard library's ssl, side by side.

    @alike
    def test_something(server, client):
        pair = Pair(server_context(server), client_context(client))
        return pair.handshake()

runs with each module as server and as client, and compares what is returned with what the standard
library's alone gives.
"""

from __future__ import annotations

import functools
import inspect
import re
import socket
import ssl
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pki
import pytest

from fasths import ssl as fasths_ssl

HOST = "localhost"
# No test waits longer.
SECONDS = 20
WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
COMBINATIONS = [(fasths_ssl, ssl), (ssl, fasths_ssl), (fasths_ssl, fasths_ssl)]


def name_of(module):
    return "fasths" if module is fasths_ssl else "ssl"


def alike(test):
    """Run a test with each combination of modules; the results are those of ssl alone."""
    names = list(inspect.signature(test).parameters)[2:]

    @functools.wraps(test)
    def run(server, client, **others):
        expected = test(ssl, ssl, **others)
        assert expected is not None, "the test returns nothing to compare"
        found = test(server, client, **others)
        assert found == expected, f"ssl: {expected}\n{server.__name__}, {client.__name__}: {found}"

    parameters = [
        inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for each in ["server", "client", *names]
    ]
    run.__signature__ = inspect.Signature(parameters)
    ids = [f"{name_of(server)}-{name_of(client)}" for server, client in COMBINATIONS]
    return pytest.mark.parametrize(("server", "client"), COMBINATIONS, ids=ids)(run)


# What is in the files of one run.


@functools.cache
def authority():
    return pki.make_ca("authority")


@functools.cache
def leaf(name=HOST, key_type="ecdsa"):
    return pki.make_leaf([name, "127.0.0.1", "::1"], issuer=authority(), key_type=key_type)


@functools.cache
def _folder():
    # It is removed with the process.
    folder = tempfile.TemporaryDirectory()
    return folder, Path(folder.name)


@functools.cache
def file_of(made):
    """A file with the chain and the key."""
    path = _folder()[1] / f"{made.certificate.serial_number:x}.pem"
    path.write_bytes(made.chain_pem + made.key_pem)
    return path


def server_context(module, made=None, **settings):
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file_of(made or leaf()))
    return with_settings(context, settings)


def client_context(module, root=None, **settings):
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=(root or authority()).pem.decode())
    return with_settings(context, settings)


def with_settings(context, settings):
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def described(error):
    """What programs look at in an exception; None where there is none."""
    if error is None:
        return None
    found = [type(error).__name__]
    if isinstance(error, OSError):
        # But not the line of _ssl.c.
        found.append(
            re.sub(r"_ssl\.c:\d+", "_ssl.c", error.args[0])
            if isinstance(error, TimeoutError)
            else error.args[0]
        )
    if isinstance(error, ssl.SSLError):
        found += [getattr(error, "library", None), getattr(error, "reason", None)]
    if isinstance(error, ssl.SSLCertVerificationError):
        found += [error.verify_code, error.verify_message]
    return tuple(found)


def result_of(function, *arguments, **others):
    """What a call returns, or what its exception looks like."""
    try:
        return function(*arguments, **others)
    except Exception as error:
        return described(error)


class Pair:
    """A client and a server over memory BIOs."""

    def __init__(self, server, client, host=HOST, session=None):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, server_hostname=host, session=session)
        self.server = server.wrap_bio(to_server, to_client, server_side=True)

    def handshake(self):
        """What stopped the client and the server, both None where nothing did."""
        waiting = {"client": self.client, "server": self.server}
        stopped = {}
        for _ in range(10):
            for side, sslobject in list(waiting.items()):
                try:
                    sslobject.do_handshake()
                except WANTS:
                    continue
                except Exception as error:
                    stopped[side] = error
                del waiting[side]
        if stopped.keys() == {"server"} and "client" not in waiting:
            # In TLS 1.3 a client learns it afterwards.
            with suppress(*WANTS):
                stopped["client"] = _raised_by(self.client.read)
        return described(stopped.get("client")), described(stopped.get("server"))

    def connect(self):
        assert self.handshake() == (None, None)
        return self

    def exchange(self):
        """Data in both directions, which brings tickets, too."""
        self.client.write(b"ping")
        assert self.server.read() == b"ping"
        self.server.write(b"pong")
        assert self.client.read() == b"pong"
        return self


def _raised_by(method):
    try:
        method()
    except Exception as error:
        if isinstance(error, WANTS):
            raise
        return error
    return None


@contextmanager
def sockets(server, client, host=HOST, **options):
    """The two SSLSockets of a connection over a socket pair, with time-outs."""
    left, right = socket.socketpair()
    for each in (left, right):
        each.settimeout(SECONDS)
    options.setdefault("do_handshake_on_connect", False)
    with (
        client.wrap_socket(left, server_hostname=host, **options) as client_side,
        server.wrap_socket(right, server_side=True, **options) as server_side,
    ):
        yield server_side, client_side


@contextmanager
def running(function, *arguments):
    """A function in a thread, which has to end; its exception is raised here."""
    raised = []

    def run():
        try:
            function(*arguments)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(SECONDS)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


@contextmanager
def connected(server, client, **options):
    with sockets(server, client, **options) as (server_side, client_side):
        with running(server_side.do_handshake):
            client_side.do_handshake()
        yield server_side, client_side


def contexts(server, client, version=None):
    """A server's and a client's context of these two modules, of one version or of both."""
    made = server_context(server), client_context(client)
    if version is not None:
        for each in made:
            each.minimum_version = each.maximum_version = version
    return made


def receive_all(sock, size):
    received = b""
    while len(received) < size:
        data = sock.recv(size - len(received))
        assert data, f"an end after {len(received)} of {size} bytes"
        received += data
    return received
