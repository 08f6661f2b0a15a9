"""The standard library's ssl: SSLObject over MemoryBIO, SSLSocket over sockets.

Before Python 3.15 ssl has no setter for TLS 1.3 suites and groups; OpenSSL's configuration file
(job.py) pins both. There is one for the suites of TLS 1.2.
"""

import socket
import ssl

from bench.cases import OPENSSL_SUITES, TLS_1_2, Row
from bench.certificates import HOSTNAME, Credentials, leaf_files
from bench.stacks import Unavailable

_NOTES_SESSIONS = (
    "ssl's server notes each session of TLS 1.2, though none is resumed (it has no call to turn "
    "that off)"
)
_KEEPS_CONNECTIONS = (
    "ssl's server forgets a session when its connection is freed without a close_notify: each "
    "round's are freed after it, in nobody's time"
)


class StdlibEndpoint:
    """An SSLObject and its two MemoryBIOs."""

    __slots__ = ("established", "incoming", "object", "outgoing")

    def __init__(
        self,
        context: ssl.SSLContext,
        server_side: bool,
        hostname: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side, hostname, session)
        self.established = False

    def advance(self, incoming: bytes) -> bytes:
        if incoming:
            self.incoming.write(incoming)
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            self.established = True
        return self.outgoing.read()

    def receive(self, incoming: bytes) -> None:
        if incoming:
            self.incoming.write(incoming)
        try:
            self.object.read(1)
        except ssl.SSLWantReadError:
            return
        raise RuntimeError("the server sent something else than session tickets")

    def session(self) -> ssl.SSLSession | None:
        return self.object.session

    def peer_certificate(self) -> object:
        return self.object.getpeercert(binary_form=True)


class StdlibStack:
    """A client and a server SSLContext."""

    version = ssl.OPENSSL_VERSION
    # A module that stands in for ssl has its own.
    context_class: type[ssl.SSLContext] = ssl.SSLContext
    deviations: tuple[str, ...] = ()

    def __init__(self, row: Row, credentials: Credentials) -> None:
        self.client_context = self.context_class(ssl.PROTOCOL_TLS_CLIENT)
        self.server_context = self.context_class(ssl.PROTOCOL_TLS_SERVER)
        for context in (self.client_context, self.server_context):
            context.minimum_version = ssl.TLSVersion(row.version)
            context.maximum_version = ssl.TLSVersion(row.version)
            if row.version == TLS_1_2:
                context.set_ciphers(OPENSSL_SUITES[row.suite])
        self.client_context.load_verify_locations(cadata=credentials.ca)
        self.server_context.num_tickets = row.session_tickets
        if row.version == TLS_1_2 and not row.session_tickets:
            self.server_context.options |= ssl.OP_NO_TICKET
            self.deviations = (_KEEPS_CONNECTIONS if row.session_ids else _NOTES_SESSIONS,)
        self._keeps_connections = row.session_ids
        self._kept: list[StdlibEndpoint] = []
        with leaf_files(credentials.leaf, credentials.key) as files:
            self.server_context.load_cert_chain(*files)
        if row.mutual:
            self.server_context.verify_mode = ssl.CERT_REQUIRED
            self.server_context.load_verify_locations(cadata=credentials.ca)
            with leaf_files(credentials.client_leaf, credentials.client_key) as files:
                self.client_context.load_cert_chain(*files)

    def client(self, session: ssl.SSLSession | None = None) -> StdlibEndpoint:
        if session is None:  # a round's first
            self._kept.clear()
        return StdlibEndpoint(self.client_context, False, HOSTNAME, session)

    def server(self) -> StdlibEndpoint:
        server = StdlibEndpoint(self.server_context, True, None)
        if self._keeps_connections:
            self._kept.append(server)
        return server

    def transfer(
        self, sender: StdlibEndpoint, receiver: StdlibEndpoint, data: bytes, count: int
    ) -> None:
        write, drain = sender.object.write, sender.outgoing.read
        feed, read = receiver.incoming.write, receiver.object.read
        size = len(data)
        buffer = bytearray(size)
        for _ in range(count):
            write(data)
            feed(drain())
            unread = size
            while unread:
                # The stubs know only the form of read() that returns bytes.
                unread -= read(unread, buffer)  # type: ignore[operator]

    def handshake_on(self, sock: socket.socket, *, server: bool) -> None:
        if server:
            connection = self.server_context.wrap_socket(sock, server_side=True)
        else:
            connection = self.client_context.wrap_socket(sock, server_hostname=HOSTNAME)
        connection.close()


def make(row: Row, credentials: Credentials) -> StdlibStack:
    try:
        return StdlibStack(row, credentials)
    except ssl.SSLError as error:
        raise Unavailable(f"{ssl.OPENSSL_VERSION} refuses the settings: {error}") from error
