"""A client and a server in one process, joined by a bio_pair: what several examples begin with."""

import fasths

FAILED = (fasths.SSLErrorCode.SSL, fasths.SSLErrorCode.SYSCALL)


def pair(
    client: fasths.Context, server: fasths.Context, name: str = "localhost"
) -> tuple[fasths.Connection, fasths.Connection]:
    """A client and a server that know of each other, before their handshake."""
    near, far = fasths.bio_pair()
    asking = fasths.Connection(client, near, server_hostname=name)
    serving = fasths.Connection(server, far)
    asking.set_connect_state()
    serving.set_accept_state()
    return asking, serving


def establish(*connections: fasths.Connection) -> None:
    """Let both sides go on in turns until they are done; raise what one of them failed with."""
    while not all(connection.established for connection in connections):
        for connection in connections:
            code = connection.get_error(connection.do_handshake())
            if code in FAILED:
                raise connection.last_error or RuntimeError(code.name)


def connect(
    client: fasths.Context, server: fasths.Context, name: str = "localhost"
) -> tuple[fasths.Connection, fasths.Connection]:
    """The same, established, and the client has read what the server sent behind its handshake."""
    asking, serving = pair(client, server, name)
    establish(asking, serving)
    asking.read()
    return asking, serving
