"""The stacks that are compared, behind one small interface.

A `Stack` is made once per row and holds the contexts of both roles; an `Endpoint` is one side of
one connection in memory. Every stack is driven the way its own documentation shows, by the same
few kinds of call: make an endpoint, advance its handshake, take its session, transfer data, hand
over a socket.
"""

import socket
from importlib import import_module
from typing import Any, Protocol, TypeVar

from bench.cases import Row
from bench.certificates import Credentials

NAMES = ("fasths", "ssl", "pyOpenSSL")
_MODULES = {"fasths": "fasths", "ssl": "stdlib", "pyOpenSSL": "pyopenssl"}


class Unavailable(Exception):
    """This stack cannot do this row here; the text says why."""


class Endpoint(Protocol):
    """One side of one connection, whose transport is two ends of memory."""

    established: bool

    def advance(self, incoming: bytes) -> bytes:
        """Take the peer's bytes, go on with the handshake, return what to send."""

    def receive(self, incoming: bytes) -> None:
        """Take what a server sends after the handshake."""

    def session(self) -> Any:
        """The newest session, for another client; None without one."""

    def peer_certificate(self) -> object:
        """The certificate that the peer authenticated itself with, or None."""


E = TypeVar("E", bound=Endpoint)


class Stack(Protocol[E]):
    """Both roles of one TLS implementation, set up for one row."""

    version: str
    # How this stack's settings differ from the others', where they have to.
    deviations: tuple[str, ...]

    def client(self, session: Any = None) -> E:
        """A new client's side of a connection to HOSTNAME, which resumes `session`."""

    def server(self) -> E:
        """A new server's side."""

    def transfer(self, sender: E, receiver: E, data: bytes, count: int) -> None:
        """Write `data` into sender `count` times, each time reading all of it out of receiver."""

    def handshake_on(self, sock: socket.socket, *, server: bool) -> None:
        """Complete a handshake over a blocking, connected socket, and close the socket."""


def make_stack(name: str, row: Row, credentials: Credentials) -> Stack[Any]:
    """The stack called `name`, with contexts for this row; Unavailable where it cannot be."""
    try:
        module = import_module(f"bench.stacks.{_MODULES[name]}")
    except (ImportError, AttributeError) as error:
        raise Unavailable(f"cannot be imported: {error}") from error
    stack: Stack[Any] = module.make(row, credentials)
    return stack


def established_pair(stack: Stack[Any]) -> tuple[Any, Any]:
    """A client's and a server's endpoint after their handshake."""
    client, server = stack.client(), stack.server()
    to_server = client.advance(b"")
    for _ in range(3):
        to_server = client.advance(server.advance(to_server))
        if client.established and server.established:
            return client, server
    raise RuntimeError("a handshake did not complete")


def fresh_session(stack: Stack[Any]) -> Any:
    """What a client can resume after a full handshake."""
    client, _server = established_pair(stack)
    client.receive(b"")
    return client.session()
