"""Non-blocking connections in one thread, with selectors: python examples/nonblocking.py

A call that cannot go on returns -1 at once, and get_error() says WANT_READ or WANT_WRITE: wait for
that, and repeat the call. Here each side of a connection is a generator of the events it waits for.
"""

import selectors
import socket
from collections.abc import Iterator

from throwaway import make_certificates

import fasths

EVENTS = {
    fasths.SSLErrorCode.WANT_READ: selectors.EVENT_READ,
    fasths.SSLErrorCode.WANT_WRITE: selectors.EVENT_WRITE,
}


def wanted(connection: fasths.Connection, result: int) -> int:
    """The event to wait for; raises the connection's error if it failed instead."""
    if (event := EVENTS.get(connection.get_error(result))) is None:
        raise connection.last_error or RuntimeError("nothing to wait for")
    return event


def echo_server(connection: fasths.Connection) -> Iterator[int]:
    buffer = bytearray(4096)
    while (result := connection.accept()) != 1:
        yield wanted(connection, result)
    while (count := connection.read_into(buffer)) != 0:  # 0 is close_notify
        if count < 0:
            yield wanted(connection, count)
            continue
        while (result := connection.write(buffer[:count])) < 0:
            yield wanted(connection, result)


def client(connection: fasths.Connection, number: int) -> Iterator[int]:
    buffer = bytearray(4096)
    while (result := connection.connect()) != 1:
        yield wanted(connection, result)
    while (result := connection.write(b"message %d" % number)) < 0:
        yield wanted(connection, result)
    while (count := connection.read_into(buffer)) < 0:
        yield wanted(connection, count)
    print(f"client {number} got back {bytes(buffer[:count])!r}")
    while (result := connection.shutdown()) < 0:
        yield wanted(connection, result)


def main() -> None:
    pem = make_certificates()
    serving = fasths.Context(identities=[fasths.Identity.from_pem(pem.chain, pem.key)])
    asking = fasths.Context(trust=fasths.TrustStore.from_pem(pem.ca))
    with selectors.DefaultSelector() as selector:
        for number in range(5):
            here, there = socket.socketpair()
            bio = fasths.SocketBIO(here)
            one = client(fasths.Connection(asking, bio, server_hostname="localhost"), number)
            other = echo_server(fasths.Connection(serving, fasths.SocketBIO(there)))
            for sock, side in ((here, one), (there, other)):
                sock.setblocking(False)
                selector.register(sock, next(side), (sock, side))  # runs it to its first wait
        while selector.get_map():
            if not (ready := selector.select(timeout=10)):
                raise TimeoutError("nothing happened for ten seconds")
            for key, _ in ready:
                sock, side = key.data
                if event := next(side, 0):
                    selector.modify(sock, event, key.data)
                else:
                    selector.unregister(sock)
                    sock.close()


if __name__ == "__main__":
    main()
