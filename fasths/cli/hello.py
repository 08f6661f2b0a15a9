"""`python -m fasths hello`: show ClientHellos from a file, a capture, or a socket.

What was found goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, BinaryIO

import fasths
from fasths.cli import capture, options, report
from fasths.cli.channel import CHUNK, Failure, format_address, linger, wait
from fasths.cli.client import put_out
from fasths.cli.server import Acceptor, listen, stopped_by_signals

MAX_CONNECTIONS = 100
# Versions that fasths has no name for, because it does not speak them.
OLD_VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1.0", 0x0302: "TLSv1.1"}
COMPRESSION_METHODS = {0: "null", 1: "deflate"}
EC_POINT_FORMATS = {
    0: "uncompressed",
    1: "ansiX962_compressed_prime",
    2: "ansiX962_compressed_char2",
}

EPILOG = """\
examples:
  python -m fasths hello --listen 4433
      show each ClientHello that arrives at 127.0.0.1:4433, until a signal comes
  python -m fasths hello --listen 4433 --count 1 --json | jq -r .ja4
      the fingerprint of the next client
  python -m fasths hello --pcap traffic.pcapng
      show every ClientHello in captured traffic (needs dpkt: pip install 'fasths[pcap]')
  python -m fasths hello first-bytes.bin
      show what a client sent, from the first bytes of its connection

exit codes: 0 shown, 1 no ClientHello, or a malformed one, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "hello",
        help="show what a TLS client offers",
        description="Show ClientHellos, with their JA3 and JA4 fingerprints: from a file, from "
        "captured traffic,\nor from whoever connects.",
        epilog=EPILOG,
        usage="%(prog)s [options] (FILE | --pcap FILE | --listen PORT)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="the first bytes that a client sent, records as they were on the wire; - for stdin",
    )
    source.add_argument(
        "--pcap", metavar="FILE", help="a pcap or pcapng capture; - for stdin; all are shown"
    )
    source.add_argument(
        "--listen",
        type=options.port_number,
        metavar="PORT",
        help="accept connections, read a ClientHello from each, close; 0 for any port that is free",
    )
    group = parser.add_argument_group("with --listen")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1; 0.0.0.0 or :: for all)",
    )
    group.add_argument(
        "--count",
        type=options.positive,
        metavar="N",
        help="end after N connections (default: when SIGINT or SIGTERM comes)",
    )
    group.add_argument(
        "--timeout",
        type=options.seconds,
        default=10.0,
        metavar="SECONDS",
        help="for each client to send its ClientHello (default: 10)",
    )
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "--json", action="store_true", help="one JSON object per line for each ClientHello"
    )
    group.add_argument("--quiet", "-q", action="store_true", help="on stderr, say only errors")


def run(arguments: argparse.Namespace) -> int:
    printer = Printer(as_json=arguments.json)
    try:
        if arguments.listen is not None:
            return show_connections(arguments, printer)
        if arguments.pcap is not None:
            return show_capture(arguments, printer)
        return show_file(arguments, printer)
    except Failure as failure:
        report.say(f"fasths: {failure.trying}: {report.printable(failure.reason)}")
        return 1


# Where they come from


def show_file(arguments: argparse.Namespace, printer: Printer) -> int:
    with opened(arguments, arguments.file) as file:
        data = file.read()
    if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a"):
        options.usage_error(arguments, f"{arguments.file} is a capture; it is read with --pcap")
    where = "stdin" if arguments.file == "-" else arguments.file
    at = 0
    while True:
        try:
            hello = fasths.parse_client_hello(data[at:])
        except fasths.TLSError as error:
            raise Failure(where, error.reason) from None
        if hello is None:
            raise Failure(where, "it ends before the ClientHello does")
        printer.show(hello)
        at += hello.size
        # A client sends a second one after a HelloRetryRequest (RFC 8446, 4.1.4).
        if not capture.begins_client_hello(data[at:]):
            break
        at += capture.change_cipher_specs(data[at:])
    if at < len(data) and not arguments.quiet:
        report.say(f"{where}: {len(data) - at} bytes behind the ClientHello are not shown")
    return 0


def show_capture(arguments: argparse.Namespace, printer: Printer) -> int:
    where = "stdin" if arguments.pcap == "-" else arguments.pcap
    shown = malformed = 0
    try:
        with opened(arguments, arguments.pcap) as file:
            for source, destination, moment, found in capture.sightings(file):
                if isinstance(found, fasths.TLSError):
                    malformed += 1
                    report.say(f"{source} to {destination}: {report.printable(found.reason)}")
                    continue
                shown += 1
                printer.show(found, source=source, destination=destination, time=moment)
    except ImportError:
        options.usage_error(
            arguments, "reading captures needs the dpkt package: pip install 'fasths[pcap]'"
        )
    except capture.Unreadable as error:
        if not shown:
            options.usage_error(arguments, f"{where}: {error}")
        raise Failure(where, str(error)) from None
    if not shown and not malformed:
        raise Failure(where, "there is no ClientHello in this capture")
    return 1 if malformed else 0


def show_connections(arguments: argparse.Namespace, printer: Printer) -> int:
    try:
        listener = listen(arguments.host, arguments.listen)
    except (OSError, UnicodeError) as error:
        reason = options.describe_os_error(error) if isinstance(error, OSError) else str(error)
        where = format_address((arguments.host, arguments.listen))
        raise Failure(f"cannot listen on {where}", reason) from None
    service = Service(arguments, printer)
    with (
        Acceptor(listener, service.serve, MAX_CONNECTIONS) as acceptor,
        stopped_by_signals(acceptor.stop),
    ):
        service.stop = acceptor.stop
        if not arguments.quiet:
            report.say(f"listening on {format_address(listener.getsockname())}")
        acceptor.run()
    if service.failure is not None:
        raise service.failure
    return 0


class Service:
    """What happens on each connection. Its `serve` is called by many threads."""

    def __init__(self, arguments: argparse.Namespace, printer: Printer) -> None:
        self.printer = printer
        self.timeout: float = arguments.timeout
        self.lock = threading.Lock()
        self.left: int | None = arguments.count  # guarded by lock
        self.failure: Failure | None = None
        self.stop: Callable[[], None] = lambda: None

    def serve(self, sock: socket.socket) -> None:
        peer = "(unknown)"
        hello = None
        try:
            peer = format_address(sock.getpeername())
            sock.setblocking(False)
            hello = read_hello(sock, time.monotonic() + self.timeout)
        except fasths.TLSError as error:
            report.say(f"{peer} {report.printable(error.reason)}")
        except Failure as failure:
            report.say(f"{peer} {failure.trying}: {failure.reason}")
        except OSError as error:
            report.say(f"{peer} {options.describe_os_error(error)}")
        self.finish(hello, peer)
        with contextlib.suppress(OSError):  # the client was faster
            linger(sock)

    def finish(self, hello: fasths.ClientHello | None, peer: str) -> None:
        with self.lock:
            if self.left == 0:
                return
            if self.left is not None:
                self.left -= 1
            try:
                if hello is not None:
                    self.printer.show(hello, source=peer)
            except Failure as failure:
                self.failure = failure
            if self.left == 0 or self.failure is not None:
                self.stop()


def read_hello(sock: socket.socket, deadline: float) -> fasths.ClientHello:
    data = bytearray()
    while (hello := fasths.parse_client_hello(data)) is None:
        if not wait(sock, selectors.EVENT_READ, deadline):
            raise Failure("no ClientHello", "the peer took too long")
        try:
            part = sock.recv(CHUNK)
        except BlockingIOError:
            continue
        if not part:
            raise Failure("no ClientHello", f"the connection ended after {len(data)} bytes")
        data += part
    return hello


@contextlib.contextmanager
def opened(arguments: argparse.Namespace, name: str) -> Iterator[BinaryIO]:
    """FILE or stdin; a pipe is read at once, since a capture's format takes two looks."""
    try:
        if name == "-":
            yield io.BytesIO(sys.stdin.buffer.read())
            return
        with open(name, "rb") as file:
            yield file if file.seekable() else io.BytesIO(file.read())
    except OSError as error:
        options.usage_error(arguments, options.describe_os_error(error))


# How they are shown


class Printer:
    """Writes ClientHellos to stdout, one after the other."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.separator = ""

    def show(self, hello: fasths.ClientHello, **where: Any) -> None:
        """where: source, destination, time (seconds since the epoch), as far as they are known.

        Failure: stdout takes no more.
        """
        if self.as_json:
            text = json.dumps({**where, **as_json(hello)}) + "\n"
        else:
            text = self.separator + as_text(hello, **where) + "\n"
            self.separator = "\n"
        put_out(text.encode())


def as_json(hello: fasths.ClientHello) -> dict[str, Any]:
    """All there is: codes as numbers, bytes in hexadecimal."""
    return {
        "size": hello.size,
        "legacy_version": hello.legacy_version,
        "random": hello.random.hex(),
        "legacy_session_id": hello.legacy_session_id.hex(),
        "cipher_suites": hello.cipher_suites,
        "compression_methods": hello.compression_methods,
        "server_name": hello.server_name,
        "alpn_protocols": [protocol_name(each) for each in hello.alpn_protocols],
        "supported_versions": hello.supported_versions,
        "supported_groups": hello.supported_groups,
        "signature_algorithms": hello.signature_algorithms,
        "ec_point_formats": hello.ec_point_formats,
        "key_shares": [
            {"group": group, "key_exchange": key_exchange.hex()}
            for group, key_exchange in hello.key_shares
        ],
        "pre_shared_key": hello.pre_shared_key,
        "early_data": hello.early_data,
        "extensions": [{"type": type, "data": data.hex()} for type, data in hello.extensions],
        "ja3": hello.ja3,
        "ja3_hash": hello.ja3_hash,
        "ja4": hello.ja4,
        "ja4_raw": hello.ja4_raw,
        "raw": hello.raw.hex(),
    }


def as_text(hello: fasths.ClientHello, **where: Any) -> str:
    """Aligned lines, one for each code, for people."""
    groups, schemes = fasths.NamedGroup, fasths.SignatureScheme
    offers = {"pre_shared_key": hello.pre_shared_key, "early_data": hello.early_data}
    rows = [
        *location(**where),
        ("Size", [f"{hello.size} bytes"]),
        ("Legacy version", [version_name(hello.legacy_version)]),
        ("Random", [hello.random.hex()]),
        ("Session id", [hello.legacy_session_id.hex()]),
        ("Server name", [report.printable(hello.server_name or "")]),
        ("ALPN", [report.printable(protocol_name(each)) for each in hello.alpn_protocols]),
        ("Versions", [version_name(each) for each in hello.supported_versions]),
        ("Cipher suites", [code_name(fasths.CipherSuite, each) for each in hello.cipher_suites]),
        ("Compression", [octet_name(COMPRESSION_METHODS, x) for x in hello.compression_methods]),
        ("Groups", [code_name(groups, each) for each in hello.supported_groups]),
        (
            "Key shares",
            [f"{code_name(groups, group)} ({len(key)} bytes)" for group, key in hello.key_shares],
        ),
        ("Signature schemes", [code_name(schemes, each) for each in hello.signature_algorithms]),
        ("Point formats", [octet_name(EC_POINT_FORMATS, each) for each in hello.ec_point_formats]),
        ("Resumption", [name for name, offered in offers.items() if offered]),
        (
            "Extensions",
            [
                f"{code_name(fasths.ExtensionType, type)} ({len(data)} bytes)"
                for type, data in hello.extensions
            ],
        ),
        ("JA3", [hello.ja3_hash, hello.ja3]),
        ("JA4", [hello.ja4, hello.ja4_raw]),
    ]
    lines = []
    for name, values in rows:
        label = f"{name}:"
        for value in [each for each in values if each] or [report.NONE]:
            lines.append(f"{label:<20}{value}")
            label = ""
    return "\n".join(lines)


def location(
    source: str | None = None, destination: str | None = None, time: float | None = None
) -> list[tuple[str, list[str]]]:
    rows = []
    if source is not None:
        rows.append(("From", [source]))
    if destination is not None:
        rows.append(("To", [destination]))
    if time is not None:
        moment = datetime.datetime.fromtimestamp(time, datetime.UTC)
        rows.append(("Time", [f"{moment:%Y-%m-%d %H:%M:%S.%f} UTC"]))
    return rows


def code_name(kind: type[IntEnum], code: int) -> str:
    """`0x1301 TLS_AES_128_GCM_SHA256`; the number alone where it has no name here."""
    if code & 0x0F0F == 0x0A0A and code >> 8 == code & 0xFF:  # RFC 8701, 2
        return f"0x{code:04x} GREASE"
    try:
        return f"0x{code:04x} {kind(code).name}"
    except ValueError:
        return f"0x{code:04x}"


def version_name(code: int) -> str:
    if code in OLD_VERSIONS:
        return f"0x{code:04x} {OLD_VERSIONS[code]}"
    return code_name(fasths.TLSVersion, code).replace("_", ".")


def octet_name(names: dict[int, str], code: int) -> str:
    return f"0x{code:02x} {names.get(code, '')}".rstrip()


def protocol_name(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
