"""websockets over contexts of fasths.ssl: its clients and servers on asyncio, and in threads."""

from __future__ import annotations

import contextlib
import threading

from interop.processes import TIMEOUT

from .contexts import ADDRESS, HOST, library
from .servers import CONNECTIONS, LARGE, all_of, loop_fixture

websockets = library("websockets")
aio_client = library("websockets.asyncio.client")
aio_server = library("websockets.asyncio.server")
sync_client = library("websockets.sync.client")
sync_server = library("websockets.sync.server")

run = loop_fixture()
CLIENT = {"proxy": None, "max_size": None, "open_timeout": TIMEOUT, "close_timeout": TIMEOUT}
SERVER = {"max_size": None, "close_timeout": TIMEOUT}
MESSAGES = ("text", b"bytes", LARGE)


class AioEcho:
    """Echoes messages; the connections as the server sees them."""

    def __init__(self):
        self.connections = []

    async def __call__(self, connection):
        self.connections.append(connection.transport.get_extra_info("ssl_object"))
        async for message in connection:
            await connection.send(message)


def test_asyncio(run, sides):
    async def main():
        echo = AioEcho()
        async with aio_server.serve(
            echo, ADDRESS, 0, ssl=sides.server_context(alpn=["http/1.1"]), **SERVER
        ) as server:
            port = server.sockets[0].getsockname()[1]
            async with aio_client.connect(
                f"wss://{HOST}:{port}", ssl=sides.client_context(alpn=["http/1.1"]), **CLIENT
            ) as connection:
                sides.check_client(connection.transport.get_extra_info("ssl_object"))
                for message in MESSAGES:
                    await connection.send(message)
                    assert await connection.recv() == message
                sides.check_server(echo.connections[0])
                assert echo.connections[0].selected_alpn_protocol() == "http/1.1"
            assert connection.close_code == 1000

    run(main)


def test_many_connections(run, both):
    async def main():
        async with aio_server.serve(
            AioEcho(), ADDRESS, 0, ssl=both.server_context(), **SERVER
        ) as server:
            port = server.sockets[0].getsockname()[1]
            context = both.client_context()

            async def talk(number):
                async with aio_client.connect(
                    f"wss://{HOST}:{port}", ssl=context, **CLIENT
                ) as connection:
                    await connection.send(str(number))
                    answers.append(await connection.recv())

            await all_of(talk)

    answers = []
    run(main)
    assert sorted(map(int, answers)) == list(range(CONNECTIONS))


@contextlib.contextmanager
def serving_in_threads(handler, context):
    with sync_server.serve(handler, ADDRESS, 0, ssl=context, **SERVER) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def test_threads(sides):
    """One thread waits for messages while another one sends."""
    connections = []

    def echo(connection):
        connections.append(connection.socket)
        for message in connection:
            connection.send(message)

    with serving_in_threads(echo, sides.server_context()) as port:
        with sync_client.connect(
            f"wss://{HOST}:{port}", ssl=sides.client_context(), **CLIENT
        ) as connection:
            sides.check_client(connection.socket)
            for message in MESSAGES:
                connection.send(message)
                assert connection.recv(TIMEOUT) == message
            sides.check_server(connections[0])
        assert connection.close_code == 1000


def test_many_in_threads(both):
    answers = []

    def echo(connection):
        for message in connection:
            connection.send(message)

    with serving_in_threads(echo, both.server_context()) as port:
        context = both.client_context()

        def talk(number):
            with sync_client.connect(f"wss://{HOST}:{port}", ssl=context, **CLIENT) as connection:
                connection.send(str(number))
                answers.append(connection.recv(TIMEOUT))

        threads = [threading.Thread(target=talk, args=(n,)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert sorted(map(int, answers)) == list(range(CONNECTIONS))
