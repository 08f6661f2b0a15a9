"""A blocking echo server and its client, over loopback sockets: python examples/echo.py

Connection returns numbers where other libraries raise: 1 or a count for success, 0 for the peer's
close_notify, -1 for "not now" or "failed", which get_error() and last_error tell apart.
"""

import socket
import threading

from throwaway import make_certificates

import fasths


def established(connection: fasths.Connection) -> fasths.Connection:
    """Complete the handshake, or raise what was wrong with it."""
    if connection.do_handshake() != 1:
        raise connection.last_error or TimeoutError("the peer is silent")
    return connection


def send_all(connection: fasths.Connection, data: bytes) -> None:
    """Write everything; a single write() may take less."""
    while data:
        count = connection.write(data)
        if count < 0:
            raise connection.last_error or TimeoutError("the peer does not read")
        data = data[count:]


def serve(listener: socket.socket, context: fasths.Context) -> None:
    """Accept one client and send back what it says, until it closes."""
    sock, _ = listener.accept()
    with sock:
        sock.settimeout(10)
        connection = fasths.Connection(context, fasths.SocketBIO(sock))
        connection.set_accept_state()
        established(connection)
        while data := connection.read():  # b"" is close_notify, None a failure
            send_all(connection, data)
        connection.shutdown()


def main() -> None:
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    server_context = fasths.Context(identities=[identity])
    client_context = fasths.Context(trust=fasths.TrustStore.from_pem(certificates.ca))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        server = threading.Thread(target=serve, args=(listener, server_context))
        server.start()
        with socket.create_connection(listener.getsockname(), timeout=10) as sock:
            connection = fasths.Connection(
                client_context, fasths.SocketBIO(sock), server_hostname="localhost"
            )
            connection.set_connect_state()
            established(connection)
            print(f"connected: {connection.version!r}, {connection.cipher_suite!r}")
            for line in (b"hello", b"and goodbye"):
                send_all(connection, line)
                print(f"sent {line!r}, received {connection.read()!r}")
            connection.shutdown()  # says close_notify; 0: the server has not answered with its own
            print("closed cleanly:", connection.shutdown() == 1)
        server.join(10)


if __name__ == "__main__":
    main()
