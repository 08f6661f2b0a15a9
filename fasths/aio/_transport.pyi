import asyncio
import socket
from typing import Any

from typing_extensions import Buffer

from fasths.aio._connecting import Timeouts
from fasths.aio._server import Server
from fasths.context import Context

class Transport(asyncio.Transport):
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        context: Context,
        *,
        server_side: bool,
        server_hostname: str | None,
        timeouts: Timeouts,
        waiter: asyncio.Future[None] | None = None,
        server: Server | None = None,
        peername: Any = None,
        calls_connection_made: bool = True,
    ) -> None: ...
    def _begin(self, received: Buffer = b"") -> None: ...
