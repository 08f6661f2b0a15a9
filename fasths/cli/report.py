"""What was negotiated, and each message on the way, in words.

Much of it comes from the peer, so every such text goes through `printable` before a terminal
or a log sees it.
"""

from __future__ import annotations

import sys
import threading
from enum import IntEnum

import fasths
from fasths import AlertDescription, CertificateError, ContentType, HandshakeType
from fasths.cli.channel import MessageCallback
from fasths.cli.options import version_name
from fasths.crypto.certificates import load_certificate
from fasths.crypto.describe import describe_certificate
from fasths.crypto.ocsp import check_staple

NONE = "none"
LONGEST = 300  # characters of one text that a peer chose

_stderr_lock = threading.Lock()


def say(text: str) -> None:
    """One or more whole lines to stderr, at once; a stderr that is gone stops nobody."""
    with _stderr_lock:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):
            pass


def printable(text: str) -> str:
    """`text` without control characters and line ends, and not longer than LONGEST."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text[: LONGEST + 1]
    )
    return shown if len(shown) <= LONGEST else shown[:LONGEST] + "..."


def member_name(member: IntEnum | None) -> str:
    return member.name if member is not None else NONE


def yes_or_no(value: bool | None) -> str:
    return NONE if value is None else "yes" if value else "no"


def negotiated(conn: fasths.Connection) -> list[tuple[str, str]]:
    """Name and value of what the handshake settled, in the order in which one asks."""
    version = conn.version
    return [
        ("Version", version_name(version) if version is not None else NONE),
        ("Cipher suite", member_name(conn.cipher_suite)),
        ("Group", member_name(conn.group)),
        ("Signature scheme", member_name(conn.signature_scheme)),
        ("Extended master secret", yes_or_no(conn.extended_master_secret)),
        ("ALPN", printable(conn.alpn_protocol) if conn.alpn_protocol is not None else NONE),
        ("Server name", printable(conn.server_name) if conn.server_name is not None else NONE),
        ("Handshake", "resumed" if conn.session_reused else "full"),
    ]


def early_data(conn: fasths.Connection) -> str:
    """What became of a client's early data, in a word."""
    if conn.early_data_accepted is None:
        return NONE
    return "accepted" if conn.early_data_accepted else "rejected"


def revocation(
    conn: fasths.Connection, policy: fasths.StaplePolicy | None
) -> list[tuple[str, str]]:
    """What came with the peer's certificate; more of it where a policy is given."""
    response = conn.ocsp_response
    rows = [("Staple", NONE if response is None else f"{len(response)} bytes")]
    if policy is not None:
        rows.append(("Staple policy", policy.name.lower()))
        if response is not None:
            rows.append(("Staple verdict", staple_verdict(response, conn.verified_chain)))
    return [*rows, ("SCTs", str(len(conn.signed_certificate_timestamps)))]


def staple_verdict(response: bytes, chain: tuple[bytes, ...] | None) -> str:
    if chain is None:
        return "not checked, because the chain is not"
    try:
        until = check_staple(response, [load_certificate(der) for der in chain])
    except CertificateError as error:
        return printable(error.reason)
    return f"good until {until:%Y-%m-%d %H:%M:%S} UTC"


def subject(der: bytes) -> str:
    """The subject of a certificate, in one line."""
    try:
        return printable(describe_certificate(der).subject) or "(empty subject)"
    except ValueError as error:
        return f"(cannot be parsed: {printable(str(error))})"


def certificate_lines(der: bytes) -> list[tuple[str, str]]:
    """Name and value of what a person wants to know of a certificate."""
    try:
        certificate = describe_certificate(der)
    except ValueError as error:
        return [("subject", f"(cannot be parsed: {printable(str(error))})")]
    lines = [
        ("subject", printable(certificate.subject) or "(empty)"),
        ("issuer", printable(certificate.issuer) or "(empty)"),
        ("valid", f"{certificate.not_before:%Y-%m-%d %H:%M:%S} to "
                  f"{certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"),
        ("key", certificate.key_type),
        ("serial", f"{certificate.serial:x}"),
    ]  # fmt: skip
    if certificate.names:
        lines.append(("names", printable(", ".join(certificate.names))))
    return lines


def chain_text(certificates: tuple[bytes, ...]) -> str:
    """A chain as the peer sent it, leaf first."""
    lines = ["Certificate chain:"]
    for number, der in enumerate(certificates):
        for position, (name, value) in enumerate(certificate_lines(der)):
            lines.append(f"  {number if position == 0 else ' '} {name + ':':<9}{value}")
    return "\n".join(lines)


def columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name + ':':<{width}}{value}" for name, value in rows)


def tracer(prefix: str, *, with_bytes: bool) -> MessageCallback:
    """A message callback that shows each message on stderr."""

    def trace(direction: str, content_type: fasths.ContentType, data: bytes) -> None:
        arrow = ">>>" if direction == "sent" else "<<<"
        lines = [f"{prefix}{arrow} {message_name(content_type, data)}, {len(data)} bytes"]
        if with_bytes:
            lines += [f"{prefix}    {line}" for line in hex_dump(data)]
        say("\n".join(lines))

    return trace


def message_name(content_type: int, data: bytes) -> str:
    """`handshake client_hello`, `alert fatal unknown_ca`, `change_cipher_spec`."""
    if content_type == ContentType.handshake and data:
        return f"handshake {enum_name(HandshakeType, data[0])}"
    if content_type == ContentType.alert and len(data) == 2:
        level = {1: "warning", 2: "fatal"}.get(data[0], str(data[0]))
        return f"alert {level} {enum_name(AlertDescription, data[1])}"
    return enum_name(ContentType, content_type)


def enum_name(kind: type[IntEnum], value: int) -> str:
    try:
        return kind(value).name
    except ValueError:
        return f"unknown ({value})"


def hex_dump(data: bytes) -> list[str]:
    lines = []
    for offset in range(0, len(data), 16):
        part = data[offset : offset + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{offset:04x}  {part.hex(' '):<47}  {text}")
    return lines
