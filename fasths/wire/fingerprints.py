"""Fingerprints of TLS clients: JA3 and JA4.

JA3 (https://github.com/salesforce/ja3) joins five lists of a ClientHello in the client's order, so
a client that shuffles its extensions, as browsers do, gets another one each time. JA4
(https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md; only the TLS client method, which is
BSD-licensed) sorts them. Both leave out the GREASE values of RFC 8701.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fasths.wire.codes import ExtensionType

if TYPE_CHECKING:
    from fasths.wire.client_hello import ClientHello

# RFC 8701, 2.
GREASE = frozenset(0x0A0A + 0x1010 * i for i in range(16))

# Plain numbers: comparing with members of an enum takes several times as long.
SERVER_NAME = int(ExtensionType.server_name)
ALPN = int(ExtensionType.application_layer_protocol_negotiation)
TRANSPORTS = ("t", "q", "d")
VERSIONS = {
    0x0304: "13",
    0x0303: "12",
    0x0302: "11",
    0x0301: "10",
    0x0300: "s3",
    0x0002: "s2",
    0xFEFF: "d1",
    0xFEFD: "d2",
    0xFEFC: "d3",
}
UNKNOWN_VERSION = "00"
NO_ALPN = "00"
NOTHING = "000000000000"


def ja3(hello: ClientHello) -> str:
    """The JA3 string: version, cipher suites, extensions, groups, point formats, in decimal."""
    return ",".join(
        (
            str(hello.legacy_version),
            _decimal(hello.cipher_suites),
            _decimal(hello.extension_types),
            _decimal(hello.supported_groups),
            _decimal(hello.ec_point_formats),
        )
    )


def ja3_hash(hello: ClientHello) -> str:
    """The JA3 fingerprint: MD5 of the JA3 string, 32 hexadecimal digits."""
    return hashlib.md5(ja3(hello).encode(), usedforsecurity=False).hexdigest()


def ja4(hello: ClientHello, transport: str = "t") -> str:
    """The JA4 fingerprint. transport: "t" for TLS over TCP, "q" for QUIC, "d" for DTLS."""
    prefix, cipher_suites, extensions = _ja4_parts(hello, transport)
    return f"{prefix}_{_hash(cipher_suites)}_{_hash(extensions)}"


def ja4_raw(hello: ClientHello, transport: str = "t") -> str:
    """JA4 with its lists in place of their hashes (JA4_r)."""
    return "_".join(_ja4_parts(hello, transport))


def _decimal(codes: tuple[int, ...]) -> str:
    return "-".join([str(code) for code in codes if code not in GREASE])


def _hexadecimal(codes: tuple[int, ...]) -> list[str]:
    return [f"{code:04x}" for code in codes if code not in GREASE]


def _ja4_parts(hello: ClientHello, transport: str) -> tuple[str, str, str]:
    """JA4_a, and what JA4_b and JA4_c are hashes of."""
    if transport not in TRANSPORTS:
        raise ValueError(f"transport must be one of {', '.join(TRANSPORTS)}")
    types = hello.extension_types
    cipher_suites = _hexadecimal(hello.cipher_suites)
    extensions = _hexadecimal(types)
    prefix = (
        f"{transport}{_version(hello)}{'d' if SERVER_NAME in types else 'i'}"
        f"{min(len(cipher_suites), 99):02}{min(len(extensions), 99):02}"
        f"{_first_and_last(hello.alpn_protocols)}"
    )
    # JA4_a has said whether these are there.
    for type, name in ((SERVER_NAME, "0000"), (ALPN, "0010")):
        if type in types:
            extensions.remove(name)
    last = ",".join(sorted(extensions))
    if schemes := _hexadecimal(hello.signature_algorithms):
        last += "_" + ",".join(schemes)
    return prefix, ",".join(sorted(cipher_suites)), last


def _version(hello: ClientHello) -> str:
    offered = [version for version in hello.supported_versions if version not in GREASE]
    if hello.supported_versions:
        return VERSIONS.get(max(offered, default=0), UNKNOWN_VERSION)
    return VERSIONS.get(hello.legacy_version, UNKNOWN_VERSION)


def _first_and_last(protocols: tuple[bytes, ...]) -> str:
    """Two characters for the first ALPN protocol; of its hexadecimal form if they are no letters
    and digits."""
    if not protocols:
        return NO_ALPN
    name = protocols[0]
    ends = name[:1] + name[-1:]
    if ends.isalnum():  # of ASCII only, as for every bytes object
        return ends.decode("ascii")
    digits = name.hex()
    return digits[0] + digits[-1]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else NOTHING
