"""`python -m fasths client`: connect, show what was negotiated, then carry data both ways.

Data goes to stdout, everything else to stderr. After the handshake one thread serves stdin and
the socket with a selector: a Connection belongs to one thread at a time. The end of stdin
half-closes (our close_notify goes out, reading goes on until the peer's).
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import sys
import threading
import time

import fasths
from fasths import Origin, SSLErrorCode
from fasths.cli import options, report, resumption
from fasths.cli.channel import CHUNK, Channel, Failure, format_address

# How long --connect-only waits for what the server has to say about our last flight.
# A TLS 1.3 client is done before the server has looked at the client's certificate.
VERDICT_SECONDS = 2.0

EPILOG = """\
examples:
  python -m fasths client example.com
      connect to port 443, show the connection, then type to the server
  python -m fasths client --connect-only --alpn h2,http/1.1 example.com
      show what is negotiated and close
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | python -m fasths client --quiet example.com
      send a request and print the answer
  python -m fasths client --ca-file ca.pem --groups secp384r1 --trace localhost:4433
      trust one CA only, offer one group only, show every message
  python -m fasths client --connect-only --max-version 1.2 example.com
      see what a server does with clients that have TLS 1.2 only
  python -m fasths client --cert me.pem --key me.key [::1]:4433
      answer a server that asks for a certificate
  python -m fasths client --connect-only --session-out session example.com
  python -m fasths client --connect-only --session-in session --early-data request example.com
      connect, and resume that session with a first request on board
  python -m fasths client --connect-only --status --staple-policy require example.com
      insist on a stapled OCSP response, and say what it is worth

exit codes: 0 clean, 1 TLS or connection failure (one line says why), 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "client",
        help="connect to a TLS server",
        description="Connect to a TLS server, show what was negotiated (on stderr), then copy "
        "stdin to the\nserver and the server to stdout until one of them ends.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument(
        "target",
        type=options.target,
        metavar="HOST[:PORT]",
        help=f"where to connect to; an IPv6 address in brackets, [::1]:{options.DEFAULT_PORT} "
        f"(default port: {options.DEFAULT_PORT})",
    )
    group = parser.add_argument_group("how the connection is used")
    group.add_argument(
        "--connect-only",
        action="store_true",
        help="handshake, show it, close; stdin is not read",
    )
    group.add_argument(
        "--ignore-eof",
        action="store_true",
        help="at the end of stdin, say nothing and wait for the server to close (default: send "
        "close_notify and print the rest; some servers drop a request then)",
    )
    group.add_argument(
        "--crlf", action="store_true", help="send each line end as CR LF: for typing HTTP and SMTP"
    )
    group.add_argument(
        "--timeout",
        type=options.seconds,
        default=15.0,
        metavar="SECONDS",
        help="for connecting and again for the handshake (default: 15)",
    )
    group.add_argument(
        "--idle-timeout",
        type=options.seconds,
        default=None,
        metavar="SECONDS",
        help="give up when nothing moved for so long after the handshake (default: never)",
    )
    options.add_output_flags(parser).add_argument(
        "--status",
        action="store_true",
        help="show what is to be said of the stapled OCSP response",
    )
    options.add_trust_flags(parser, client=True)
    options.add_protocol_flags(parser, client=True)
    options.add_identity_flags(parser, client=True)
    resumption.add_client_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    check(arguments)
    context = options.build_context(
        arguments,
        client=True,
        verify_callback=None if arguments.quiet else show_refused,
        **resumption.client_settings(arguments),
    )
    session = resumption.load_session(arguments)
    early_data = resumption.load_early_data(arguments)
    try:  # a name that cannot be a host name is found out before anything is sent
        connection = fasths.Connection(
            context, fasths.MemoryBIO(), server_hostname=name_to_check(arguments)
        )
        if session is not None:
            connection.set_session(session)
    except ValueError as error:
        options.usage_error(arguments, str(error))
    try:
        host, port = arguments.target
        with connect(host, port, arguments.timeout) as sock:
            channel = start(context, sock, arguments)
            try:
                use(channel, arguments, session, early_data)
                save_session(channel.conn, arguments)
            except Failure:
                channel.close()
                raise
            channel.close()
    except Failure as failure:
        report.say(f"fasths: {report.printable(str(failure))}")
        return 1
    return 0


def check(arguments: argparse.Namespace) -> None:
    if not arguments.no_server_name:
        return
    if arguments.server_name is not None:
        options.usage_error(arguments, "--server-name and --no-server-name exclude each other")
    if not (arguments.no_check_hostname or arguments.insecure):
        options.usage_error(
            arguments,
            "--no-server-name leaves no name to check: add --no-check-hostname or --insecure",
        )


def show_refused(request: fasths.VerificationRequest) -> None:
    """A verify_callback that leaves the verdict to the engine."""
    if request.error is not None:
        report.say(report.chain_text(request.certificates))


def name_to_check(arguments: argparse.Namespace) -> str | None:
    """The name to ask the server for, and to look for in its certificate."""
    if arguments.no_server_name:
        return None
    name: str = arguments.server_name or arguments.target[0]
    return name


def connect(host: str, port: int, timeout: float) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.getpeername()  # raises if the peer is gone already
        return sock
    except (OSError, UnicodeError) as error:
        reason = options.describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise Failure(f"cannot connect to {format_address((host, port))}", reason) from None


def start(context: fasths.Context, sock: socket.socket, arguments: argparse.Namespace) -> Channel:
    callback = None
    if arguments.trace or arguments.trace_bytes:
        callback = report.tracer("", with_bytes=arguments.trace_bytes)
    if not arguments.quiet:
        report.say(f"Connected to {format_address(sock.getpeername())}")
    channel = Channel(
        context, sock, server_hostname=name_to_check(arguments), message_callback=callback
    )
    channel.conn.set_connect_state()
    return channel


def use(
    channel: Channel,
    arguments: argparse.Namespace,
    session: fasths.Session | None,
    early_data: bytes,
) -> None:
    """Handshake, show it, and do what the flags say with the connection."""
    unsent = handshake(channel, time.monotonic() + arguments.timeout, session, early_data)
    if not arguments.quiet:
        report.say(describe(channel.conn, arguments))
    if arguments.connect_only:
        channel.write(unsent, time.monotonic() + arguments.timeout)
        close_at_once(channel)
    else:
        Relay(channel, arguments, unsent).run()


def handshake(
    channel: Channel, deadline: float, session: fasths.Session | None, early_data: bytes
) -> bytes:
    """Returns what is left of the early data, to be sent in the ordinary way."""
    size = 0
    if session is not None:
        channel.conn.set_session(session)
        size = min(len(early_data), session.max_early_data_size)
        if size:
            channel.write_early_data(early_data[:size], deadline)
    channel.handshake(deadline)
    return early_data[size:] if channel.conn.early_data_accepted else early_data


def save_session(conn: fasths.Connection, arguments: argparse.Namespace) -> None:
    path = arguments.session_out
    if path is None:
        return
    if conn.session is None:
        if not arguments.quiet:
            report.say(f"nothing arrived to resume this with; {path} is not written")
        return
    try:
        resumption.save_session(path, conn.session)
    except OSError as error:
        reason = options.describe_os_error(error)
        raise Failure("cannot write the session", reason, origin=Origin.LOCAL) from None


def describe(conn: fasths.Connection, arguments: argparse.Namespace) -> str:
    if arguments.insecure:
        verification = "not done (--insecure)"
    elif conn.verified_chain:
        name = "name not checked" if arguments.no_check_hostname else "name matches"
        verification = f"ok, {name}, root {report.subject(conn.verified_chain[-1])}"
    elif conn.session_reused:
        verification = "by the pre-shared key"
    else:
        verification = "not done"
    rows = report.negotiated(conn)
    if arguments.early_data is not None:
        told = report.early_data(conn)
        if conn.version == fasths.TLSVersion.TLSv1_2:
            told = "none, because TLS 1.2 has none"
        rows.append(("Early data", told))
    rows.append(("Verification", verification))
    policy = fasths.StaplePolicy[arguments.staple_policy.upper()] if arguments.status else None
    text = report.columns([*rows, *report.revocation(conn, policy)])
    if not conn.peer_certificates:
        return text
    return f"{text}\n{report.chain_text(conn.peer_certificates)}"


def close_at_once(channel: Channel) -> None:
    """Send close_notify, and wait a moment for an alert: the server may yet refuse us."""
    deadline = time.monotonic() + VERDICT_SECONDS
    channel.send_close_notify(deadline)
    try:
        while channel.read(deadline):
            pass
    except Failure as failure:
        if failure.origin is not Origin.TRANSPORT:
            raise


class Relay:
    """Stdin to the peer and the peer to stdout, until both directions have ended."""

    def __init__(self, channel: Channel, arguments: argparse.Namespace, unsent: bytes) -> None:
        self.channel = channel
        self.conn = channel.conn
        self.crlf: bool = arguments.crlf
        self.ignore_eof: bool = arguments.ignore_eof
        self.idle_timeout: float | None = arguments.idle_timeout
        self.selector = selectors.DefaultSelector()
        self.input = StandardInput()
        self.buffer = bytearray(CHUNK)
        self.unsent = memoryview(unsent)
        self.input_ended = False  # nothing more will be sent
        self.sent_close_notify = False
        self.peer_closed = False
        self.wanted = 0  # what the connection waits for, as selector events

    def run(self) -> None:
        with self.selector, self.input:
            while not (self.peer_closed and self.sent_close_notify):
                # Always ready to read: a peer may send without end before it reads.
                self.wanted = 0 if self.peer_closed else selectors.EVENT_READ
                moved = self.receive()
                moved = self.send() or moved
                self.wait(moved)

    def receive(self) -> bool:
        """At most one record to stdout; whether there was something."""
        if self.peer_closed:
            return False
        count = self.conn.read_into(self.buffer)
        if count < 0:
            self.note("reading failed", count)
            return False
        if count == 0:  # close_notify: what we have not sent yet has no reader any more
            self.peer_closed = self.input_ended = True
            self.unsent = memoryview(b"")
        else:
            put_out(bytes(memoryview(self.buffer)[:count]))
        return True

    def send(self) -> bool:
        """Some of what came from stdin, or close_notify after it; whether something went."""
        if self.unsent:
            count = self.conn.write(self.unsent)
            if count < 0:
                self.note("writing failed", count)
                return False
            self.unsent = self.unsent[count:]
            return True
        if self.input_ended and not self.sent_close_notify:
            if self.ignore_eof and not self.peer_closed:
                return False
            ret = self.conn.shutdown()
            if ret < 0:
                self.note("closing failed", ret)
                return False
            self.sent_close_notify = True
            return True
        return False

    def note(self, trying: str, ret: int) -> None:
        code = self.conn.get_error(ret)
        if code == SSLErrorCode.WANT_READ:
            self.wanted |= selectors.EVENT_READ
        elif code == SSLErrorCode.WANT_WRITE:
            self.wanted |= selectors.EVENT_WRITE
        else:
            raise self.channel.failure(trying, code)

    def wait(self, moved: bool) -> None:
        """Until the socket or stdin is ready; not at all if there may be more to do at once."""
        watched: dict[socket.socket | int, int] = {self.channel.sock: self.wanted}
        if not self.unsent and not self.input_ended:
            watched[self.input.source] = selectors.EVENT_READ
        self.watch(watched)
        if not self.selector.get_map() and not moved:
            raise Failure("waiting failed", "nothing to wait for", origin=Origin.LOCAL)
        ready = self.selector.select(0 if moved else self.idle_timeout)
        if not ready and not moved and self.idle_timeout is not None:
            raise Failure("waiting failed", f"nothing moved for {self.idle_timeout:g} s")
        for key, _ in ready:
            if key.fileobj is self.input.source:
                self.take_input()

    def watch(self, watched: dict[socket.socket | int, int]) -> None:
        registered = self.selector.get_map()
        for source, events in watched.items():
            if source in registered and registered[source].events != events:
                self.selector.unregister(source)
            if events and source not in registered:
                self.selector.register(source, events)
        if self.input.source not in watched and self.input.source in registered:
            self.selector.unregister(self.input.source)

    def take_input(self) -> None:
        data = self.input.read()
        if data is None:
            return
        if not data:
            self.input_ended = True
        if self.crlf:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self.unsent = memoryview(data)


class StandardInput:
    """Stdin as something that a selector takes.

    Pipes and terminals are taken as they are. Files are not (nor is anything but a socket on
    Windows): a thread copies them into a socket pair, at the pace at which that is emptied.
    """

    source: socket.socket | int

    def __init__(self) -> None:
        try:
            self.descriptor = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):  # closed, or no file at all
            self.descriptor = os.open(os.devnull, os.O_RDONLY)
        self.source = self.descriptor
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.descriptor, selectors.EVENT_READ)
        except (OSError, ValueError):
            self.source, far_end = socket.socketpair()
            threading.Thread(target=self.copy_to, args=(far_end,), daemon=True).start()

    def __enter__(self) -> StandardInput:
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.source, socket.socket):
            self.source.close()

    def copy_to(self, far_end: socket.socket) -> None:
        try:
            with far_end:
                while data := os.read(self.descriptor, CHUNK):
                    far_end.sendall(data)
        except OSError:
            pass  # stdin cannot be read, or nobody wants it any more

    def read(self) -> bytes | None:
        """What there is, once the selector says so; b"" at the end, None if there is none yet."""
        try:
            if isinstance(self.source, socket.socket):
                return self.source.recv(CHUNK)
            return os.read(self.source, CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # a terminal that hung up
            return b""


def put_out(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except (AttributeError, OSError, ValueError) as error:
        # The interpreter flushes stdout once more when it ends; let it find a place to do so.
        if isinstance(error, OSError) and sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        reason = options.describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise Failure("cannot write to stdout", reason, origin=Origin.LOCAL) from None
