"""TLS without sockets: you carry the bytes: python examples/memory.py

With a MemoryBIO a Connection never does I/O. What it wants sent is taken out with bio.read(), what
arrived is given to it with bio.write(). WANT_READ says that it needs more of the peer's bytes.
"""

from throwaway import make_certificates

import fasths


def carry(sender: fasths.MemoryBIO, receiver: fasths.MemoryBIO, what: str) -> None:
    """Be the network: move what one side wants sent to the other side."""
    data = sender.read()
    receiver.write(data)
    print(f"{what:<16} {len(data):>5} bytes")


def step(connection: fasths.Connection) -> bool:
    """Go on with the handshake; True when it is complete, False when it needs more bytes."""
    result = connection.do_handshake()
    if result == 1:
        return True
    if connection.get_error(result) != fasths.SSLErrorCode.WANT_READ:
        raise connection.last_error or RuntimeError("the handshake failed")
    return False


def main() -> None:
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    trust = fasths.TrustStore.from_pem(certificates.ca)

    client_bio, server_bio = fasths.MemoryBIO(), fasths.MemoryBIO()
    client = fasths.Connection(fasths.Context(trust=trust), client_bio, server_hostname="localhost")
    server = fasths.Connection(fasths.Context(identities=[identity]), server_bio)
    client.set_connect_state()
    server.set_accept_state()

    while True:
        client_done = step(client)
        if client_bio.pending:
            carry(client_bio, server_bio, "client to server")
        server_done = step(server)
        if client_done and server_done:
            break
        carry(server_bio, client_bio, "server to client")
    print(f"established: {client.cipher_suite!r}, {client.group!r}")

    client.write(b"nobody but the server reads this")
    carry(client_bio, server_bio, "client to server")
    print("the server read:", server.read())

    # Both ends can derive secrets of their own from the session (RFC 8446, 7.5).
    secret = client.export_keying_material("EXPORTER-example", None, 32)
    assert secret == server.export_keying_material("EXPORTER-example", None, 32)

    client.shutdown()
    carry(client_bio, server_bio, "close_notify")
    print("the server sees the end:", server.read() == b"")


if __name__ == "__main__":
    main()
