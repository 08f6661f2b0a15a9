"""What is measured, and under which settings: one table of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

SUITE = "TLS_AES_128_GCM_SHA256"
X25519 = 0x001D
X25519MLKEM768 = 0x11EC
GROUP_NAMES = {X25519: "x25519", X25519MLKEM768: "X25519MLKEM768"}
# The same groups under the names that OpenSSL's configuration takes.
OPENSSL_GROUPS = {X25519: "X25519", X25519MLKEM768: "X25519MLKEM768"}


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    kind: which measurement (handshake, bulk, memory, sockets). leaf: the key of the server's
    certificate. write_size: bytes per write of a bulk row.
    """

    name: str
    kind: str
    title: str
    leaf: str = "ecdsa"
    group: int = X25519
    write_size: int = 0


ROWS = (
    Row("handshake-ecdsa", "handshake", "Full handshake, ECDSA P-256 leaf under one CA"),
    Row("handshake-rsa", "handshake", "Full handshake, RSA-2048 leaf under one CA", leaf="rsa"),
    Row(
        "handshake-mlkem",
        "handshake",
        "Full handshake, ECDSA P-256 leaf under one CA, X25519MLKEM768",
        group=X25519MLKEM768,
    ),
    Row("bulk-16k", "bulk", "Bulk, 16 KiB writes", write_size=16 * 1024),
    Row("bulk-1k", "bulk", "Bulk, 1 KiB writes", write_size=1024),
    Row("memory", "memory", "Memory of an idle, established pair of connections"),
    Row("sockets", "sockets", "Full handshakes over loopback TCP, one process a side"),
)


def select_rows(patterns: Sequence[str]) -> list[Row]:
    """The rows that `patterns` name, whole ("bulk-1k") or by kind ("bulk"); all for none."""
    for pattern in patterns:
        if not any(pattern in (row.name, row.kind) for row in ROWS):
            known = ", ".join(dict.fromkeys([*(r.kind for r in ROWS), *(r.name for r in ROWS)]))
            raise ValueError(f"no row is called {pattern!r}; there are: {known}")
    return [row for row in ROWS if not patterns or row.name in patterns or row.kind in patterns]
