"""`python -m fasths server`: serve TLS connections, a thread for each, until a signal comes.

The main thread accepts; it takes no connection above --max-connections. Whatever a client does
costs its own thread a bounded time and ends in at most one line of the log.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import re
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import fasths
from fasths.cli import options, report, resumption
from fasths.cli.channel import CHUNK, Channel, Failure, format_address

LONGEST_REQUEST = 16 * 1024
EMPTY_LINE = re.compile(rb"\n\r?\n")
SHUTDOWN_SECONDS = 1.0  # for connections still open when a signal ends the server
ACCEPT_PAUSE_SECONDS = 0.1  # after a failed accept: out of descriptors, for one

EPILOG = """\
examples:
  python -m fasths server --cert server.pem --key server.key --www
      answer each HTTP request on 127.0.0.1:4433 with a page that shows what was negotiated
  python -m fasths server --cert server.pem --key server.key --port 0
      send back what arrives, on a free port (the first line on stderr says which)
  python -m fasths server --cert ec.pem --key ec.key --cert rsa.pem --key rsa.key --host 0.0.0.0
      two certificates, every IPv4 address of this machine
  python -m fasths server --cert server.pem --key server.key --www \\
      --verify required --ca-file clients-ca.pem
      insist on a client certificate from one CA
  python -m fasths server --cert server.pem --key server.key \\
      --ticket-keys keys --session-store marks --early-data 16384
      take 0-RTT data; further servers of this machine may share both files

SIGINT and SIGTERM end it.
exit codes: 0 ended by a signal, 1 cannot listen, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "server",
        help="serve TLS connections",
        description="Serve TLS connections: with --www answer each request with a page that shows "
        "what was\nnegotiated, without it send back what arrives.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    group = parser.add_argument_group("what is served")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1; 0.0.0.0 or :: for all)",
    )
    group.add_argument(
        "--port",
        type=options.port_number,
        default=options.DEFAULT_SERVER_PORT,
        metavar="N",
        help=f"port to listen on, 0 for any that is free (default: {options.DEFAULT_SERVER_PORT})",
    )
    group.add_argument(
        "--www",
        action="store_true",
        help="read an HTTP request, answer with a page about the connection, close",
    )
    group.add_argument(
        "--timeout",
        type=options.seconds,
        default=10.0,
        metavar="SECONDS",
        help="for each handshake, and again for each request with --www (default: 10)",
    )
    group.add_argument(
        "--idle-timeout",
        type=options.seconds,
        default=60.0,
        metavar="SECONDS",
        help="without --www: end a connection that is silent for so long (default: 60)",
    )
    group.add_argument(
        "--max-connections",
        type=options.positive,
        default=100,
        metavar="N",
        help="served at the same time; further ones wait (default: 100)",
    )
    options.add_identity_flags(parser, client=False)
    options.add_output_flags(parser)
    options.add_trust_flags(parser, client=False)
    options.add_protocol_flags(parser, client=False)
    resumption.add_server_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    context = options.build_context(
        arguments,
        client=False,
        client_hello_callback=note_client_hello,
        **resumption.server_settings(arguments),
    )
    try:
        listener = listen(arguments.host, arguments.port)
    except (OSError, UnicodeError) as error:
        reason = options.describe_os_error(error) if isinstance(error, OSError) else str(error)
        where = format_address((arguments.host, arguments.port))
        report.say(f"fasths: cannot listen on {where}: {reason}")
        return 1
    service = Service(context, arguments)
    with (
        Acceptor(listener, service.serve, arguments.max_connections) as acceptor,
        stopped_by_signals(acceptor.stop),
    ):
        report.say(f"listening on {format_address(listener.getsockname())}")
        acceptor.run()
    return 0


def listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `stop`, where this thread may say what signals do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Acceptor:
    """Accepts connections and gives each a thread, up to a number of them, until `stop`."""

    def __init__(
        self,
        listener: socket.socket,
        serve: Callable[[socket.socket], None],
        max_connections: int,
    ) -> None:
        self.listener = listener
        self.serve = serve
        self.max_connections = max_connections
        self.stopping = False
        # Threads that end, and signal handlers, wake the main thread with a byte in here.
        self.alarm, self.alarm_bell = socket.socketpair()
        self.alarm.setblocking(False)
        self.alarm_bell.setblocking(False)
        self.lock = threading.Lock()
        self.active: dict[threading.Thread, socket.socket] = {}  # guarded by lock

    def __enter__(self) -> Acceptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.end_connections()
        # The bell stays open for a thread that outlives its time.
        self.alarm.close()

    def stop(self) -> None:
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: then it is awake already
            self.alarm_bell.send(b"!")

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.alarm, selectors.EVENT_READ)
            while not self.stopping:
                with self.lock:
                    room = len(self.active) < self.max_connections
                if room and self.listener not in selector.get_map():
                    selector.register(self.listener, selectors.EVENT_READ)
                elif not room and self.listener in selector.get_map():
                    selector.unregister(self.listener)
                for key, _ in selector.select():
                    if key.fileobj is self.listener:
                        self.accept()
                    else:
                        with contextlib.suppress(BlockingIOError):
                            self.alarm.recv(4096)

    def accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it went away before it was accepted
        except OSError as error:
            report.say(f"fasths: cannot accept: {options.describe_os_error(error)}")
            time.sleep(ACCEPT_PAUSE_SECONDS)
            return
        thread = threading.Thread(target=self.serve_one, args=(sock,), daemon=True)
        with self.lock:
            self.active[thread] = sock
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            report.say(f"fasths: cannot serve: {error}")
            self.forget(thread)
            sock.close()

    def serve_one(self, sock: socket.socket) -> None:
        try:
            self.serve(sock)
        finally:
            self.forget(threading.current_thread())
            sock.close()
            self.wake()

    def forget(self, thread: threading.Thread) -> None:
        with self.lock:
            self.active.pop(thread, None)

    def end_connections(self) -> None:
        """Give what is open a moment, then cut it; its threads notice and end."""
        for cut in (False, True):
            with self.lock:
                threads = dict(self.active)
                if cut:
                    for sock in threads.values():
                        with contextlib.suppress(OSError):
                            sock.shutdown(socket.SHUT_RDWR)
            deadline = time.monotonic() + SHUTDOWN_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))


class Visit:
    """What a connection is remembered by: user_data of its Requests."""

    ja4 = report.NONE


def note_client_hello(request: fasths.ClientHelloRequest) -> None:
    """A client_hello_callback that only looks."""
    visit = request.user_data
    assert isinstance(visit, Visit)
    visit.ja4 = request.client_hello.ja4


class Service:
    """What happens on one connection. Its `serve` is called by many threads."""

    def __init__(self, context: fasths.Context, arguments: argparse.Namespace) -> None:
        self.context = context
        self.www: bool = arguments.www
        self.timeout: float = arguments.timeout
        self.idle_timeout: float = arguments.idle_timeout
        self.quiet: bool = arguments.quiet
        self.trace: bool = arguments.trace or arguments.trace_bytes
        self.trace_bytes: bool = arguments.trace_bytes

    def serve(self, sock: socket.socket) -> None:
        peer = "(unknown)"
        try:
            peer = format_address(sock.getpeername())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.converse(sock, peer)
        except Failure as failure:
            report.say(f"{peer} {report.printable(str(failure))}")
        except OSError as error:  # it was gone before it was served
            report.say(f"{peer} {options.describe_os_error(error)}")
        except Exception as error:  # a fault of this program: the other connections go on
            report.say(f"{peer} internal error: {report.printable(repr(error))}")

    def converse(self, sock: socket.socket, peer: str) -> None:
        callback = None
        if self.trace:
            callback = report.tracer(f"{peer} ", with_bytes=self.trace_bytes)
        visit = Visit()
        channel = Channel(self.context, sock, message_callback=callback, user_data=visit)
        channel.conn.set_accept_state()
        try:
            channel.handshake(time.monotonic() + self.timeout)
            rows = [
                *report.negotiated(channel.conn),
                ("Early data", report.early_data(channel.conn)),
                ("JA4", visit.ja4),
            ]
            if not self.quiet:
                report.say(f"{peer} connected: {' '.join(value for _, value in rows)}")
            if self.www:
                self.answer(channel, rows)
            else:
                self.echo(channel)
            channel.send_close_notify(time.monotonic() + self.timeout)
        finally:
            channel.close()

    def echo(self, channel: Channel) -> None:
        channel.write(channel.read_early_data(), time.monotonic() + self.idle_timeout)
        while data := channel.read(time.monotonic() + self.idle_timeout):
            channel.write(data, time.monotonic() + self.idle_timeout)

    def answer(self, channel: Channel, rows: list[tuple[str, str]]) -> None:
        deadline = time.monotonic() + self.timeout
        request = read_request(channel, deadline)
        if request is not None:
            rows = [*rows, *client_certificate_rows(channel.conn)]
            channel.write(response(request, rows), deadline)


def read_request(channel: Channel, deadline: float) -> bytes | None:
    """A request up to its empty line; b"" if it is too long, None if the client ended before."""
    # It may come early: a page that only shows something can be asked for twice.
    request = bytearray(channel.read_early_data())
    unseen = 0
    while not EMPTY_LINE.search(request, unseen):
        if len(request) > LONGEST_REQUEST:
            return b""
        data = channel.read(deadline)
        if not data:
            return None
        unseen = max(0, len(request) - len(b"\r\n\r"))
        request += data
    return bytes(request)


def response(request: bytes, rows: list[tuple[str, str]]) -> bytes:
    """The whole answer, short enough for one record."""
    words = request.partition(b"\n")[0].split()
    if not request:
        status, page = "431 Request Header Fields Too Large", "The request is too long.\n"
    elif len(words) != 3 or not words[2].startswith(b"HTTP/"):
        status, page = "400 Bad Request", "This is not an HTTP request.\n"
    else:
        status, page = "200 OK", connection_page(rows)
    body = page.encode()
    kind = "text/html" if page.startswith("<") else "text/plain"
    head = (
        f"HTTP/1.1 {status}\r\n"
        f"Content-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
        "\r\n"
    ).encode()
    if words[:1] == [b"HEAD"]:
        return head
    assert len(head) + len(body) <= CHUNK  # every text in it is bounded
    return head + body


def connection_page(rows: list[tuple[str, str]]) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n'
        '<head><meta charset="utf-8"><title>fasths</title></head>\n'
        "<body>\n<h1>This connection</h1>\n"
        f"<pre>\n{html.escape(report.columns(rows))}\n</pre>\n</body>\n</html>\n"
    )


def client_certificate_rows(conn: fasths.Connection) -> list[tuple[str, str]]:
    if not conn.peer_certificates:
        return [("Client certificate", report.NONE)]
    rows = [
        (f"Client certificate {name}", value)
        for name, value in report.certificate_lines(conn.peer_certificates[0])
    ]
    return [*rows, ("Client certificate verified", "yes" if conn.verified_chain else "no")]
