"""pyOpenSSL: Connection with its own pair of memory BIOs, or over a socket."""

import socket

from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL, crypto

from bench.cases import OPENSSL_SUITES, SUITE, TLS_1_2, Row
from bench.certificates import HOSTNAME, Credentials

# Takes a whole flight or a whole record in one bio_read.
_READ_SIZE = 18 * 1024


class PyOpenSSLEndpoint:
    """A Connection without a socket."""

    __slots__ = ("connection", "established", "keeps_session")

    def __init__(
        self,
        context: SSL.Context,
        hostname: bytes | None,
        session: SSL.Session | None = None,
        *,
        keeps_session: bool = False,
    ) -> None:
        self.keeps_session = keeps_session
        self.connection = SSL.Connection(context, None)
        if hostname is None:
            self.connection.set_accept_state()
        else:
            self.connection.set_tlsext_host_name(hostname)
            self.connection.set_connect_state()
        if session is not None:
            self.connection.set_session(session)
        self.established = False

    def advance(self, incoming: bytes) -> bytes:
        if incoming:
            self.connection.bio_write(incoming)
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            pass
        else:
            self.established = True
            if self.keeps_session:
                self._keep_session()
        try:
            return self.connection.bio_read(_READ_SIZE)
        except SSL.WantReadError:
            return b""

    def receive(self, incoming: bytes) -> None:
        if incoming:
            self.connection.bio_write(incoming)
        try:
            self.connection.recv(1)
        except SSL.WantReadError:
            return
        raise RuntimeError("the server sent something else than session tickets")

    def session(self) -> SSL.Session | None:
        self._keep_session()
        return self.connection.get_session()

    def _keep_session(self) -> None:
        # Without this, freeing the connection would make its session one that cannot be resumed.
        self.connection.set_shutdown(SSL.SENT_SHUTDOWN)

    def peer_certificate(self) -> object:
        return self.connection.get_peer_certificate()


class PyOpenSSLStack:
    """A client and a server Context."""

    version = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    deviations: tuple[str, ...] = (
        "pyOpenSSL verifies the chain, but not the host name (it has no call for that)",
    )

    def __init__(self, row: Row, credentials: Credentials) -> None:
        self.client_context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self.server_context = SSL.Context(SSL.TLS_SERVER_METHOD)
        for context in (self.client_context, self.server_context):
            context.set_min_proto_version(row.version)
            context.set_max_proto_version(row.version)
            if row.version == TLS_1_2:
                context.set_cipher_list(OPENSSL_SUITES[row.suite].encode())
            else:
                context.set_tls13_ciphersuites(SUITE.encode())
        self._clients_keep_sessions = row.resumed and row.version == TLS_1_2
        self._servers_keep_sessions = row.session_ids
        if row.version == TLS_1_2 and not row.session_tickets:
            self.server_context.set_options(SSL.OP_NO_TICKET)
            if not row.session_ids:
                self.server_context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        _trust(self.client_context, credentials.ca)
        self.client_context.set_verify(SSL.VERIFY_PEER)
        _use_identity(self.server_context, credentials.leaf, credentials.key)
        if row.mutual:
            _trust(self.server_context, credentials.ca)
            self.server_context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
            _use_identity(self.client_context, credentials.client_leaf, credentials.client_key)

    def client(self, session: SSL.Session | None = None) -> PyOpenSSLEndpoint:
        return PyOpenSSLEndpoint(
            self.client_context,
            HOSTNAME.encode(),
            session,
            keeps_session=self._clients_keep_sessions,
        )

    def server(self) -> PyOpenSSLEndpoint:
        return PyOpenSSLEndpoint(
            self.server_context, None, keeps_session=self._servers_keep_sessions
        )

    def transfer(
        self, sender: PyOpenSSLEndpoint, receiver: PyOpenSSLEndpoint, data: bytes, count: int
    ) -> None:
        write, drain = sender.connection.send, sender.connection.bio_read
        feed, read_into = receiver.connection.bio_write, receiver.connection.recv_into
        size = len(data)
        buffer = bytearray(size)
        for _ in range(count):
            write(data)
            feed(drain(_READ_SIZE))
            unread = size
            while unread:
                unread -= read_into(buffer, unread)

    def handshake_on(self, sock: socket.socket, *, server: bool) -> None:
        connection = SSL.Connection(self.server_context if server else self.client_context, sock)
        if server:
            connection.set_accept_state()
        else:
            connection.set_tlsext_host_name(HOSTNAME.encode())
            connection.set_connect_state()
        connection.do_handshake()
        sock.close()


def _trust(context: SSL.Context, ca: str) -> None:
    store = context.get_cert_store()
    if store is None:
        raise RuntimeError("this Context has no certificate store")
    store.add_cert(crypto.X509.from_cryptography(load_pem_x509_certificate(ca.encode())))


def _use_identity(context: SSL.Context, leaf: str, key: str) -> None:
    context.use_certificate(load_pem_x509_certificate(leaf.encode()))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, key.encode()))


def make(row: Row, credentials: Credentials) -> PyOpenSSLStack:
    return PyOpenSSLStack(row, credentials)
