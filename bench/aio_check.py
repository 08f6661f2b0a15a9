"""Whether a stack does on asyncio what its row says: one connection, looked at on its way."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from bench.aio_stacks import LOCAL, AioStack
from bench.cases import SUITE_CODES, Row
from bench.server_hello import Negotiated, read_server_hello
from bench.stacks import Unavailable

_BYTE = b"\x01"
_TIMEOUT = 5.0
# A byte in a record of TLS 1.3: header, the byte, its content type, tag (RFC 8446, 5.2).
_RECORD_OF_A_BYTE = 5 + 1 + 1 + 16


class _Relay:
    """Passes on what a client and a server send, and keeps the server's."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.from_server = b""
        # How much of that came before the client's second flight.
        self.first_flight = 0
        self._flights = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOCAL, self._port)
        await asyncio.gather(
            _pass_on(reader, back, self._client_sent),
            _pass_on(there, writer, self._server_sent),
        )
        self.ended.set()

    def _client_sent(self, _: bytes) -> None:
        self._flights += 1
        if self._flights == 2:
            self.first_flight = len(self.from_server)

    def _server_sent(self, data: bytes) -> None:
        self.from_server += data


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
) -> None:
    try:
        while data := await reader.read(1 << 16):
            note(data)
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def check_settings(
    stack: AioStack, row: Row, server_protocol: type[Any], client_protocol: type[Any]
) -> None:
    """Unavailable: the connection is not the one that the row asks for."""
    accepted: list[Any] = []

    def accept() -> Any:
        accepted.append(server_protocol())
        return accepted[-1]

    server = await stack.create_server(accept)
    relay = _Relay(server.sockets[0].getsockname()[1])
    between = await asyncio.start_server(relay.serve, LOCAL, 0)
    port = between.sockets[0].getsockname()[1]
    try:
        transport, client = await stack.create_connection(client_protocol, port)
    except Exception as error:
        raise Unavailable(f"not possible with this row's settings: {error}") from error
    try:
        await asyncio.wait_for(client.call(_BYTE, 1), _TIMEOUT)
        check_negotiated(relay.from_server, row)
        if len(relay.from_server) - relay.first_flight != _RECORD_OF_A_BYTE:
            raise Unavailable("the server sends session tickets")
        for each in (transport, accepted[0].transport):
            sock = each.get_extra_info("socket")
            if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY):
                raise Unavailable("TCP_NODELAY is not set")
    except TimeoutError as error:
        raise Unavailable("what a client sends is not answered") from error
    finally:
        transport.abort()
        between.close()
        server.close()
        await asyncio.wait_for(relay.ended.wait(), _TIMEOUT)


def check_negotiated(from_server: bytes, row: Row) -> None:
    """Unavailable: a server's bytes do not begin with the ServerHello that the row asks for."""
    negotiated = read_server_hello(from_server)
    asked = Negotiated(row.version, SUITE_CODES[row.suite], row.group, False)
    if negotiated != asked:
        raise Unavailable(f"negotiated {negotiated} instead of {asked}")
