"""ClientHellos made by hand, in records of any sizes, and those of vectors/client_hellos.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wire_format import GREASE, Wire, extension, extensions, message, u8, u16, u32, vector

from fasths.wire.codes import ContentType, ExtensionType, HandshakeType

X = ExtensionType
RANDOM = bytes(range(32))
SESSION_ID = bytes(range(100, 132))
CIPHER_SUITES = (GREASE[0], 0x1301, 0xC02B, 0x00FF)
MLKEM_SHARE = bytes(range(256)) * 4 + bytes(192)


def client_hello(
    *each: bytes,
    legacy_version: int = 0x0303,
    session_id: bytes = SESSION_ID,
    cipher_suites: Iterable[int] = CIPHER_SUITES,
    compression: bytes = b"\0",
    block: bytes | None = None,
) -> Wire:
    """block: what stands in place of the extensions."""
    return message(
        HandshakeType.client_hello,
        u16(legacy_version),
        RANDOM,
        vector(1, session_id),
        vector(2, u16(*cipher_suites)),
        vector(1, compression),
        extensions(*each) if block is None else block,
    )


def record(content: bytes, content_type: int = ContentType.handshake) -> Wire:
    return Wire(u8(content_type) + u16(0x0301) + vector(2, content))


def records(content: bytes, *sizes: int) -> bytes:
    """Handshake records of these sizes, and one for the rest."""
    parts = []
    for size in sizes:
        parts.append(content[:size])
        content = content[size:]
    return b"".join(record(part) for part in [*parts, content] if part)


def server_name(name: bytes) -> Wire:
    return extension(X.server_name, vector(2, u8(0), vector(2, name)))


def protocol_names(*names: bytes) -> Wire:
    return extension(
        X.application_layer_protocol_negotiation, vector(2, *(vector(1, name) for name in names))
    )


def u16_list(code: int, *values: int, length_size: int = 2) -> Wire:
    return extension(code, vector(length_size, u16(*values)))


def supported_versions(*versions: int) -> Wire:
    return u16_list(X.supported_versions, *versions, length_size=1)


def key_share(*shares: tuple[int, bytes]) -> Wire:
    return extension(
        X.key_share,
        vector(2, *(part for group, key in shares for part in (u16(group), vector(2, key)))),
    )


PRE_SHARED_KEY = extension(
    X.pre_shared_key,
    vector(2, vector(2, b"identity"), u32(7)),
    vector(2, vector(1, bytes(32))),
)
# What a client sends that knows everything, in the order of a browser that shuffles.
FULL = client_hello(
    extension(GREASE[1]),
    u16_list(X.signature_algorithms, 0x0403, 0x0804),
    supported_versions(GREASE[2], 0x0304, 0x0303),
    server_name(b"Example.COM"),
    extension(X.ec_point_formats, vector(1, u8(0, 1))),
    extension(X.early_data),
    u16_list(X.supported_groups, GREASE[3], 0x11EC, 0x001D),
    protocol_names(b"h2", b"http/1.1"),
    key_share((GREASE[3], b"\0"), (0x11EC, MLKEM_SHARE), (0x001D, RANDOM)),
    extension(0x4A4B, b"unknown"),
    PRE_SHARED_KEY,
)
EXTENSION_TYPES = (GREASE[1], 13, 43, 0, 11, 42, 10, 16, 51, 0x4A4B, 41)


def vectors() -> Iterator[dict[str, Any]]:
    """Published ClientHellos with their fingerprints; see vectors/README.md."""
    path = Path(__file__).with_name("vectors") / "client_hellos.json"
    for each in json.loads(path.read_text())["hellos"]:
        yield {**each, "records": bytes.fromhex(each["records"])}
