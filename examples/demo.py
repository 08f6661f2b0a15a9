"""A guided tour in half a minute: python examples/demo.py (or: make demo)

Real handshakes over loopback sockets, fasths with itself and with the standard library's ssl, shown
message by message; one that has to fail; then how fast all of it is.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from throwaway import Certificates, make_certificates

import fasths

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 10
BENCH_ROWS = "handshake-ecdsa,bulk,memory"
COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "blue": "36"}
MEANING = {
    "ClientHello": "what the client can do, and its half of the key exchange",
    "ServerHello": "what the server chose, and its half; what follows is encrypted",
    "ChangeCipherSpec": "means nothing; old middleboxes expect to see it",
    "EncryptedExtensions": "answers that nobody else may see, such as ALPN's",
    "Certificate": "who the server is: a chain to a CA that the client trusts",
    "CertificateVerify": "a signature over all of the above: the key is the server's",
    "Finished": "a MAC over all of the above: nobody changed a byte",
    "NewSessionTicket": "an offer to resume this session, left unused here",
    "alert close_notify": "the end, said aloud: nobody cut the connection off",
    "alert unknown_ca": "no CA that the client trusts has signed this",
}


# --- Printing --------------------------------------------------------------------------------


def paint(text: str, colour: str) -> str:
    """The text in a colour, on a terminal that wants colours (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def section(title: str, text: str) -> None:
    print(f"\n{paint(title, 'bold')}\n{text}\n")


def fact(name: str, value: object) -> None:
    print(f"  {paint(f'{name:<16}', 'dim')}{value}")


class Narrator:
    """A message_callback that prints each message as its connection sends or receives it."""

    def __init__(self, sent: str, received: str) -> None:
        self.arrows = {"sent": paint(sent, "green"), "received": paint(received, "blue")}

    def __call__(self, direction: str, content_type: int, data: bytes) -> None:
        message = message_name(content_type, data)
        explanation = paint(MEANING.get(message, ""), "dim")
        print(
            f"  {self.arrows[direction]} {message:<19}{len(data):>5} bytes  {explanation}".rstrip()
        )


def message_name(content_type: int, data: bytes) -> str:
    """A message as the RFC calls it."""
    if content_type == fasths.ContentType.alert:
        return f"alert {fasths.AlertDescription(data[1]).name}"
    if content_type == fasths.ContentType.handshake:
        code: IntEnum = fasths.HandshakeType(data[0])
    else:
        code = fasths.ContentType(content_type)
    return "".join(word.capitalize() for word in code.name.split("_"))


def name(code: IntEnum | None) -> str:
    """What a code is called; None: not negotiated."""
    return "-" if code is None else code.name


def show_negotiated(connection: fasths.Connection) -> None:
    print()
    fact("version", name(connection.version))
    fact("cipher suite", name(connection.cipher_suite))
    fact("key exchange", name(connection.group))
    fact("signature", name(connection.signature_scheme))
    fact("ALPN", connection.alpn_protocol)


# --- The two sides ---------------------------------------------------------------------------


@contextmanager
def server_thread(serve: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """Run serve(sock) in a thread for one connection; give the client's socket."""

    def run() -> None:
        sock, _ = listener.accept()
        sock.settimeout(TIMEOUT)
        with sock:
            serve(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), TIMEOUT) as sock:
                yield sock
        finally:
            thread.join(TIMEOUT)


def check(connection: fasths.Connection, result: int) -> int:
    """A call's result, or its error raised: -1 is the only value that says "not so"."""
    if result < 0:
        raise connection.last_error or TimeoutError("the peer is silent")
    return result


def fasths_client(
    sock: socket.socket, context: fasths.Context, narrator: Narrator | None
) -> fasths.Connection:
    connection = fasths.Connection(
        context, fasths.SocketBIO(sock), server_hostname="localhost", message_callback=narrator
    )
    connection.set_connect_state()
    return connection


def fasths_server(context: fasths.Context) -> Callable[[socket.socket], None]:
    """Serve one client: answer each message in capitals, until it says close_notify."""

    def serve(sock: socket.socket) -> None:
        connection = fasths.Connection(context, fasths.SocketBIO(sock))
        connection.set_accept_state()
        check(connection, connection.do_handshake())
        while data := connection.read():
            check(connection, connection.write(data.upper()))
        connection.shutdown()

    return serve


def stdlib_server(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """The same with the standard library."""

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as connection:
            while data := connection.recv(1024):
                connection.sendall(data.upper())
            connection.unwrap()

    return serve


def talk_and_close(connection: fasths.Connection) -> None:
    """The client's part of the conversation after the handshake."""
    print()
    check(connection, connection.write(b"hello over there"))
    fact("data", f"sent b'hello over there', received {connection.read()!r}")
    connection.shutdown()
    fact("closed", "with close_notify both ways" if connection.shutdown() == 1 else "one way only")


# --- The tour --------------------------------------------------------------------------------


def fasths_with_itself(client: fasths.Context, server: fasths.Context) -> None:
    section(
        "1. fasths and fasths",
        "A client and a server in this process, as the client sees it: --> sent, <-- received.",
    )
    with server_thread(fasths_server(server)) as sock:
        connection = fasths_client(sock, client, Narrator("-->", "<--"))
        check(connection, connection.do_handshake())
        show_negotiated(connection)
        talk_and_close(connection)


def fasths_with_stdlib_server(client: fasths.Context, certificates: Certificates) -> None:
    section(
        "2. fasths client, ssl server",
        f"The same client; the server is Python's own ssl module ({ssl.OPENSSL_VERSION}).",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as directory:
        chain, key = Path(directory, "chain.pem"), Path(directory, "key.pem")
        chain.write_bytes(certificates.chain)
        key.write_bytes(certificates.key)
        context.load_cert_chain(chain, key)
    with server_thread(stdlib_server(context)) as sock:
        connection = fasths_client(sock, client, Narrator("-->", "<--"))
        check(connection, connection.do_handshake())
        show_negotiated(connection)
        talk_and_close(connection)


def stdlib_with_fasths_server(server: fasths.Context, certificates: Certificates) -> None:
    section("3. ssl client, fasths server", "The other way round, as the client, ssl, reports it.")
    context = ssl.create_default_context(cadata=certificates.ca.decode())
    context.set_alpn_protocols(["http/1.1"])
    with (
        server_thread(fasths_server(server)) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as connection,
    ):
        fact("version", connection.version())
        fact("cipher suite", (connection.cipher() or "-")[0])
        fact("ALPN", connection.selected_alpn_protocol())
        connection.sendall(b"hello over there")
        fact("data", f"sent b'hello over there', received {connection.recv(1024)!r}")
        connection.unwrap()
        fact("closed", "with close_notify both ways")


def wrong_ca(server: fasths.Context) -> None:
    section(
        "4. A handshake that has to fail",
        "The client trusts another CA only. An alert says so, and each side knows why it ended.",
    )
    stranger = make_certificates("Somebody else's CA")
    context = fasths.Context(trust=fasths.TrustStore.from_pem(stranger.ca))
    errors: list[fasths.TLSError | None] = []

    def serve(sock: socket.socket) -> None:
        connection = fasths.Connection(server, fasths.SocketBIO(sock))
        connection.set_accept_state()
        connection.do_handshake()
        errors.append(connection.last_error)

    with server_thread(serve) as sock:
        connection = fasths_client(sock, context, Narrator("-->", "<--"))
        result = connection.do_handshake()
        code = connection.get_error(result)
    print()
    fact("do_handshake()", f"{result}, and get_error() says {code.name}")
    for side, error in (("client", connection.last_error), ("server", errors[0])):
        if error is None or error.alert is None:
            raise RuntimeError(f"the {side} did not notice")
        print(f"  {paint(side, 'red')}.last_error")
        fact("  reason", error.reason)
        fact("  alert, origin", f"{error.alert.name}, {error.origin.value}")


def comparison() -> None:
    section(
        "5. How fast is it?",
        "fasths and ssl in turns, in memory, equal settings: a short version of python -m bench.",
    )
    with tempfile.TemporaryDirectory() as directory:
        figures = Path(directory, "figures.json")
        options = f"--quick --quiet --stacks fasths,ssl --rows {BENCH_ROWS} --json {figures}"
        subprocess.run(
            [sys.executable, "-m", "bench", *options.split()],
            cwd=ROOT,
            check=True,
            timeout=120,
        )
        rows: dict[str, Any] = json.loads(figures.read_text())["rows"]
    print(f"  {'':<42}{'fasths':>12}{'ssl':>12}")
    for side in ("client", "server"):
        compare(f"handshakes per second, {side}", rows["handshake-ecdsa"], side, 1e6)
    compare("GB/s through both ends, 16 KiB writes", rows["bulk-16k"], "both")
    compare("GB/s through both ends, 1 KiB writes", rows["bulk-1k"], "both")
    compare("KB per idle pair of connections", rows["memory"], "pair")


def compare(what: str, row: dict[str, Any], column: str, inverse_of: float = 0.0) -> None:
    """Print a line: each stack's figure, or what it takes of `inverse_of`, and the ratio."""
    best = {stack: row["stacks"][stack][column]["best"] for stack in ("fasths", "ssl")}
    if inverse_of:
        best = {stack: inverse_of / figure for stack, figure in best.items()}
    digits = 0 if inverse_of else 2
    ratio = row["fasths_is_better_by"]["ssl"][column]["best"]
    shown = "".join(f"{figure:>12,.{digits}f}" for figure in best.values())
    verdict = paint(f"{ratio:.2f} times as good", "green" if ratio > 1 else "red")
    print(f"  {what:<42}{shown}   {verdict}")


def main() -> None:
    print(paint("fasths: a TLS 1.3 engine for Python", "bold"))
    print("First, a certificate authority to throw away, and a certificate for localhost.")
    certificates = make_certificates()
    identity = fasths.Identity.from_pem(certificates.chain, certificates.key)
    server = fasths.Context(identities=[identity], alpn=("http/1.1",))
    trust = fasths.TrustStore.from_pem(certificates.ca)
    client = fasths.Context(trust=trust, alpn=("h2", "http/1.1"))
    fasths_with_itself(client, server)
    fasths_with_stdlib_server(client, certificates)
    stdlib_with_fasths_server(server, certificates)
    wrong_ca(server)
    comparison()


if __name__ == "__main__":
    main()
