"""Small servers of POP3, IMAP and FTP in threads, with TLS at once or after a command."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
from collections.abc import Callable
from typing import Any

from interop.processes import TIMEOUT

from .contexts import ADDRESS, View

MESSAGE = b"Subject: a message\r\n\r\n" + b"A line of it.\r\n" * 5_000
PASSWORD = "a password"


class LineServer(socketserver.ThreadingTCPServer):
    """`is_implicit`: TLS comes first, and not after a command."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, handler: type[LineHandler], context: Any, *, is_implicit: bool) -> None:
        self.context = context
        self.is_implicit = is_implicit
        self.views: list[View] = []
        self.uploads: list[bytes] = []
        self.errors: list[BaseException | None] = []
        super().__init__((ADDRESS, 0), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """For the test to see, which expects none."""
        self.errors.append(sys.exception())


class LineHandler(socketserver.StreamRequestHandler):
    """Answers lines with lines; a method per command."""

    timeout = TIMEOUT
    disable_nagle_algorithm = True
    server: LineServer
    greeting = ""

    def setup(self) -> None:
        if self.server.is_implicit:
            self.request.settimeout(TIMEOUT)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()
        if self.server.is_implicit:
            self.server.views.append(View.of(self.connection))

    def handle(self) -> None:
        self.say(self.greeting)
        while line := self.rfile.readline().decode("ascii").rstrip("\r\n"):
            if not self.answer(line):
                break

    def answer(self, line: str) -> bool:
        """Whether to go on."""
        # Abstract: each protocol has its answers.
        raise NotImplementedError

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode("ascii"))

    def start_tls(self) -> None:
        self.request = self.server.context.wrap_socket(self.connection, server_side=True)
        super().setup()
        self.server.views.append(View.of(self.connection))


class POP3Handler(LineHandler):
    greeting = "+OK ready"

    def answer(self, line: str) -> bool:
        command, _, argument = line.partition(" ")
        if command == "STLS":
            self.say("+OK begin")
            self.start_tls()
        elif command == "PASS" and argument != PASSWORD:
            self.say("-ERR no")
        elif command == "CAPA":
            self.say("+OK", "STLS", ".")
        elif command == "RETR":
            self.say("+OK")
            self.wfile.write(MESSAGE)
            self.say(".")
        else:
            self.say("+OK")
        return command != "QUIT"


class IMAPHandler(LineHandler):
    greeting = "* OK ready"

    def answer(self, line: str) -> bool:
        tag, command, *arguments = line.split(" ", 2)
        if command == "CAPABILITY":
            self.say("* CAPABILITY IMAP4rev1 STARTTLS")
        elif command == "SELECT":
            self.say("* 1 EXISTS")
        elif command == "FETCH":
            self.say(f"* 1 FETCH (RFC822 {{{len(MESSAGE)}}}")
            self.wfile.write(MESSAGE)
            self.say(")")
        elif command == "LOGOUT":
            self.say("* BYE")
        is_refused = command == "LOGIN" and PASSWORD not in arguments[0]
        self.say(f"{tag} {'NO' if is_refused else 'OK'} done")
        if command == "STARTTLS":
            self.start_tls()
        return command != "LOGOUT"


class FTPHandler(LineHandler):
    """RFC 4217: AUTH TLS, PBSZ and PROT P; and passive transfers, each a TLS connection."""

    greeting = "220 ready"
    _listener: socket.socket | None = None
    _is_private = False

    def answer(self, line: str) -> bool:
        command, _, argument = line.partition(" ")
        answers: dict[str, Callable[[], None]] = {
            "AUTH": self._auth,
            "PASV": self._passive,
            "RETR": self._retrieve,
            "STOR": self._store,
            "CCC": self._clear_command_channel,
        }
        simple = {
            "USER": "331 password",
            "PASS": "230 welcome" if argument == PASSWORD else "530 no",
            "QUIT": "221 bye",
        }
        if command == "PROT":
            self._is_private = argument == "P"
        if command in answers:
            answers[command]()
        else:
            self.say(simple.get(command, "200 done"))
        return command != "QUIT"

    def _auth(self) -> None:
        self.say("234 begin")
        self.start_tls()

    def _clear_command_channel(self) -> None:
        """RFC 4217, 12.3: close_notify from both, and the connection goes on without TLS."""
        self.say("200 clear")
        self.request = self.connection.unwrap()
        super().setup()

    def _passive(self) -> None:
        self._listener = socket.create_server((ADDRESS, 0))
        self._listener.settimeout(TIMEOUT)
        port = self._listener.getsockname()[1]
        self.say(f"227 here ({ADDRESS.replace('.', ',')},{port >> 8},{port & 0xFF})")

    @contextlib.contextmanager
    def _transfer(self) -> Any:
        assert self._listener is not None
        with self._listener:
            self.say("150 begins")
            data, _ = self._listener.accept()
        data.settimeout(TIMEOUT)
        with data:
            if not self._is_private:
                yield data
            else:
                with self.server.context.wrap_socket(data, server_side=True) as secure:
                    self.server.views.append(View.of(secure))
                    yield secure
                    secure.unwrap()
        self.say("226 done")

    def _retrieve(self) -> None:
        with self._transfer() as data:
            data.sendall(MESSAGE)

    def _store(self) -> None:
        upload = b""
        with self._transfer() as data:
            while chunk := data.recv(1 << 16):
                upload += chunk
        self.server.uploads.append(upload)
