"""fasths: Connection over MemoryBIO, or over SocketBIO."""

import socket
from typing import Any

import fasths
from bench.cases import Row
from bench.certificates import HOSTNAME, Credentials

_DEFAULT_CHAINS = 1024


class FasthsEndpoint:
    """A Connection and its MemoryBIO."""

    __slots__ = ("bio", "connection", "established")

    def __init__(
        self,
        context: fasths.Context,
        hostname: str | None,
        session: fasths.Session | None = None,
    ) -> None:
        self.bio = fasths.MemoryBIO()
        self.connection = fasths.Connection(context, self.bio, server_hostname=hostname)
        if hostname is None:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()
        if session is not None:
            self.connection.set_session(session)
        self.established = False

    def advance(self, incoming: bytes) -> bytes:
        if incoming:
            self.bio.write(incoming)
        result = self.connection.do_handshake()
        if result == 1:
            self.established = True
        elif self.connection.get_error(result) != fasths.SSLErrorCode.WANT_READ:
            raise RuntimeError(f"the handshake failed: {self.connection.last_error}")
        return self.bio.read()

    def receive(self, incoming: bytes) -> None:
        if incoming:
            self.bio.write(incoming)
        if self.connection.read() is not None or self.connection.last_error is not None:
            raise RuntimeError("the server sent something else than session tickets")

    def session(self) -> fasths.Session | None:
        return self.connection.session

    def peer_certificate(self) -> object:
        return self.connection.peer_certificates or None


class FasthsStack:
    """A client and a server Context."""

    version = fasths.__version__
    deviations: tuple[str, ...] = ()

    def __init__(self, row: Row, credentials: Credentials) -> None:
        trust = fasths.TrustStore.from_pem(credentials.ca.encode())
        shared: dict[str, Any] = {
            "trust": trust,
            "minimum_version": fasths.TLSVersion(row.version),
            "maximum_version": fasths.TLSVersion(row.version),
            "cipher_suites": [row.suite],
            "groups": [fasths.NamedGroup(group) for group in row.groups],
            "verified_chain_cache": _DEFAULT_CHAINS if row.cached_chains else 0,
        }
        identity = _identity(credentials.leaf, credentials.key)
        client_identity = _identity(credentials.client_leaf, credentials.client_key)
        self.client_context = fasths.Context(
            identities=[client_identity] if row.mutual else [], **shared
        )
        self.server_context = fasths.Context(
            identities=[identity],
            verify=fasths.Verify.REQUIRED if row.mutual else fasths.Verify.NONE,
            session_tickets=1 if row.resumed else 0,
            session_store=fasths.MemorySessionStore() if row.session_ids else None,
            **shared,
        )

    def client(self, session: fasths.Session | None = None) -> FasthsEndpoint:
        return FasthsEndpoint(self.client_context, HOSTNAME, session)

    def server(self) -> FasthsEndpoint:
        return FasthsEndpoint(self.server_context, None)

    def transfer(
        self, sender: FasthsEndpoint, receiver: FasthsEndpoint, data: bytes, count: int
    ) -> None:
        write, drain = sender.connection.write, sender.bio.read
        feed, read_into = receiver.bio.write, receiver.connection.read_into
        size = len(data)
        buffer = bytearray(size)
        view = memoryview(buffer)
        for _ in range(count):
            if write(data) != size:
                raise RuntimeError("a write into memory was not taken whole")
            feed(drain())
            unread = size
            while unread:
                received = read_into(buffer if unread == size else view[:unread])
                if received <= 0:
                    raise RuntimeError("data was lost on its way through memory")
                unread -= received

    def handshake_on(self, sock: socket.socket, *, server: bool) -> None:
        context = self.server_context if server else self.client_context
        connection = fasths.Connection(
            context, fasths.SocketBIO(sock), server_hostname=None if server else HOSTNAME
        )
        result = connection.accept() if server else connection.connect()
        if result != 1:
            raise RuntimeError(f"the handshake failed: {connection.last_error}")
        sock.close()


def _identity(leaf: str, key: str) -> fasths.Identity:
    return fasths.Identity.from_pem(leaf.encode(), key.encode())


def make(row: Row, credentials: Credentials) -> FasthsStack:
    return FasthsStack(row, credentials)
