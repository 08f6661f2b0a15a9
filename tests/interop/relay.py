"""A TCP relay that keeps what goes through it."""

import contextlib
import socket
import threading
from typing import Self

from .processes import TIMEOUT


class Relay:
    """Between clients and the servers on these ports: the first connection goes to the first.

    The last port is that of all further connections, too. streams: (what the client sent, what the
    server sent) of each connection, as they grow.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = list(ports)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.streams: list[tuple[bytearray, bytearray]] = []
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            port = self._ports.pop(0) if len(self._ports) > 1 else self._ports[0]
            server = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            streams = bytearray(), bytearray()
            self.streams.append(streams)
            ends = (client, server)
            self._sockets += ends
            threads = [
                threading.Thread(target=self._carry, args=(*pair, stream), daemon=True)
                for pair, stream in zip((ends, ends[::-1]), streams, strict=True)
            ]
            for end in ends:
                end.settimeout(TIMEOUT)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for thread in threads:
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _carry(source: socket.socket, destination: socket.socket, stream: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                stream += data
                destination.sendall(data)
        with contextlib.suppress(OSError):
            destination.shutdown(socket.SHUT_WR)
