"""Non-blocking connections in one thread, with selectors: python examples/nonblocking.py

A call that cannot go on returns -1 at once. get_error() then says WANT_READ or WANT_WRITE: wait
for that, and repeat the same call. Here every side of every connection is a generator that yields
the event it waits for.
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
    code = connection.get_error(result)
    if code not in EVENTS:
        raise connection.last_error or RuntimeError(f"{code.name} was not expected")
    return EVENTS[code]


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
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    serving = fasths.Context(identities=[identity])
    asking = fasths.Context(trust=fasths.TrustStore.from_pem(certificates.ca))
    with selectors.DefaultSelector() as selector:
        for number in range(5):
            here, there = socket.socketpair()
            bio = fasths.SocketBIO(here)
            ours = client(fasths.Connection(asking, bio, server_hostname="localhost"), number)
            theirs = echo_server(fasths.Connection(serving, fasths.SocketBIO(there)))
            for sock, side in ((here, ours), (there, theirs)):
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
