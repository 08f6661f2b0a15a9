"""What is measured, and under which settings: one table of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
SUITE = "TLS_AES_128_GCM_SHA256"
# TLS 1.2 names its suites after the key of the leaf, too.
_TLS12_SUITES = {
    "ecdsa": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "rsa": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
}
SUITE_CODES = {SUITE: 0x1301, _TLS12_SUITES["ecdsa"]: 0xC02B, _TLS12_SUITES["rsa"]: 0xC02F}
# The suites of TLS 1.2 under the names that OpenSSL's calls take.
OPENSSL_SUITES = {
    _TLS12_SUITES["ecdsa"]: "ECDHE-ECDSA-AES128-GCM-SHA256",
    _TLS12_SUITES["rsa"]: "ECDHE-RSA-AES128-GCM-SHA256",
}
P256, X25519 = 0x0017, 0x001D
X25519MLKEM768 = 0x11EC
GROUP_NAMES = {X25519: "x25519", X25519MLKEM768: "X25519MLKEM768"}
# The same groups under the names that OpenSSL's configuration takes.
OPENSSL_GROUPS = {P256: "P-256", X25519: "X25519", X25519MLKEM768: "X25519MLKEM768"}
# Who is compared on asyncio, and on which loops.
AIO_NAMES = ("fasths.aio", "fasths.ssl", "ssl", "aiofastnet")
LOOPS = ("asyncio", "uvloop")


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    kind: which measurement (handshake, client-hello, bulk, memory, sockets, asyncio-echo,
    asyncio-connections, asyncio-memory). differs: what is not as the report's preamble says.
    leaf: the key of the server's certificate. mutual: the server requires a certificate of its
    clients. resumed: each handshake resumes the one before, or under TLS 1.2 one that all of a
    round resume; with session_ids the server keeps that session, otherwise it comes in a ticket.
    cached_chains: fasths has its verified-chain cache, which it has by default, and its peers lack.
    write_size: bytes per write of a bulk row, or per message of an echo on asyncio. connections:
    how many echo at once. streams: they are asyncio's streams instead of protocols.
    """

    name: str
    kind: str
    title: str
    differs: str = ""
    leaf: str = "ecdsa"
    version: int = TLS_1_3
    group: int = X25519
    mutual: bool = False
    resumed: bool = False
    session_ids: bool = False
    cached_chains: bool = False
    write_size: int = 0
    connections: int = 1
    streams: bool = False

    @property
    def is_on_asyncio(self) -> bool:
        return self.kind.startswith("asyncio-")

    @property
    def suite(self) -> str:
        return SUITE if self.version == TLS_1_3 else _TLS12_SUITES[self.leaf]

    @property
    def groups(self) -> tuple[int, ...]:
        """What a Context gets, the one that is used first.

        Under TLS 1.2 a client that takes an ECDSA leaf on a curve has to list it as a group, too
        (RFC 8422, 5.1).
        """
        if self.version == TLS_1_2 and self.leaf == "ecdsa":
            return self.group, P256
        return (self.group,)

    @property
    def session_tickets(self) -> int:
        """How many a server sends, after a handshake of TLS 1.3 or in a full one of TLS 1.2."""
        return 1 if self.resumed and not self.session_ids else 0

    @property
    def key_exchange(self) -> bool:
        """Whether keys are exchanged in the handshake that is measured."""
        return self.version == TLS_1_3 or not self.resumed

    @property
    def round_trips(self) -> int:
        """After how many a client has completed the handshake."""
        return 2 if self.version == TLS_1_2 and not self.resumed else 1


_CACHED = (
    "fasths finds each chain in its verified-chain cache, as it does by default where it has "
    "verified it before; its peers have no such cache and verify it afresh; the floor is without "
    "parsing and verifying it"
)
_MUTUAL = "the server requires a client certificate, ECDSA P-256 under the same CA"
_RESUMED = (
    "PSK with (EC)DHE: each handshake resumes with the newest session of the one before, the first "
    "of a round with that of a full handshake outside of the time; each server sends one ticket, "
    "in its own time, and its client takes it in, in the client's; nobody verifies a chain afresh: "
    "fasths finds that of the session in its verified-chain cache, which it has by default, and "
    "its peers do not look at it"
)
_MEMORY = (
    "fasths has its verified-chain cache, as it does by default: connections with one server share "
    "its certificates"
)
_AIO_CACHED = (
    "fasths finds each chain in its verified-chain cache, as it does by default where it has "
    "verified it before; its peers have no such cache and verify it afresh"
)
_TLS12 = f"TLS 1.2, {_TLS12_SUITES['ecdsa']}"
_TLS12_RSA = f"TLS 1.2, {_TLS12_SUITES['rsa']}"
_TLS12_RESUMED = (
    "the handshakes of a round resume one session, that of a full handshake outside of the time; "
    "keys are not exchanged, and nobody verifies a chain afresh: fasths finds that of the session "
    "in its verified-chain cache, which it has by default, and its peers do not look at it"
)


ROWS = (
    Row("handshake-ecdsa", "handshake", "Full handshake, ECDSA P-256 leaf under one CA"),
    Row(
        "handshake-ecdsa-cached",
        "handshake",
        "Full handshake, ECDSA P-256 leaf under one CA, chain known",
        _CACHED,
        cached_chains=True,
    ),
    Row("handshake-rsa", "handshake", "Full handshake, RSA-2048 leaf under one CA", leaf="rsa"),
    Row(
        "handshake-rsa-cached",
        "handshake",
        "Full handshake, RSA-2048 leaf under one CA, chain known",
        _CACHED,
        leaf="rsa",
        cached_chains=True,
    ),
    Row(
        "handshake-mlkem",
        "handshake",
        "Full handshake, ECDSA P-256 leaf under one CA, X25519MLKEM768",
        group=X25519MLKEM768,
    ),
    Row(
        "handshake-mlkem-cached",
        "handshake",
        "Full handshake, ECDSA P-256 leaf under one CA, X25519MLKEM768, chain known",
        _CACHED,
        group=X25519MLKEM768,
        cached_chains=True,
    ),
    Row(
        "mutual-ecdsa",
        "handshake",
        "Full handshake with a client certificate, ECDSA P-256",
        _MUTUAL,
        mutual=True,
    ),
    Row(
        "mutual-ecdsa-cached",
        "handshake",
        "Full handshake with a client certificate, ECDSA P-256, chains known",
        f"{_MUTUAL}; {_CACHED}",
        mutual=True,
        cached_chains=True,
    ),
    Row(
        "resumption",
        "handshake",
        "Resumption with a session ticket",
        _RESUMED,
        resumed=True,
        cached_chains=True,
    ),
    Row(
        "tls12-ecdsa",
        "handshake",
        "TLS 1.2: full handshake, ECDSA P-256 leaf under one CA",
        _TLS12,
        version=TLS_1_2,
    ),
    Row(
        "tls12-ecdsa-cached",
        "handshake",
        "TLS 1.2: full handshake, ECDSA P-256 leaf under one CA, chain known",
        f"{_TLS12}; {_CACHED}",
        version=TLS_1_2,
        cached_chains=True,
    ),
    Row(
        "tls12-rsa",
        "handshake",
        "TLS 1.2: full handshake, RSA-2048 leaf under one CA",
        _TLS12_RSA,
        leaf="rsa",
        version=TLS_1_2,
    ),
    Row(
        "tls12-rsa-cached",
        "handshake",
        "TLS 1.2: full handshake, RSA-2048 leaf under one CA, chain known",
        f"{_TLS12_RSA}; {_CACHED}",
        leaf="rsa",
        version=TLS_1_2,
        cached_chains=True,
    ),
    Row(
        "tls12-resumption",
        "handshake",
        "TLS 1.2: resumption with a session ticket",
        f"{_TLS12}; {_TLS12_RESUMED}",
        version=TLS_1_2,
        resumed=True,
        cached_chains=True,
    ),
    Row(
        "tls12-resumption-id",
        "handshake",
        "TLS 1.2: resumption with a session id",
        f"{_TLS12}; servers keep sessions themselves and send no tickets; {_TLS12_RESUMED}",
        version=TLS_1_2,
        resumed=True,
        session_ids=True,
        cached_chains=True,
    ),
    Row("client-hello", "client-hello", "Parsing a browser's ClientHello of 517 bytes"),
    Row(
        "client-hello-mlkem",
        "client-hello",
        "Parsing a browser's ClientHello of 1,821 bytes, with X25519MLKEM768",
        group=X25519MLKEM768,
    ),
    Row("bulk-16k", "bulk", "Bulk, 16 KiB writes", write_size=16 * 1024),
    Row("bulk-1k", "bulk", "Bulk, 1 KiB writes", write_size=1024),
    Row(
        "bulk-tls12-16k",
        "bulk",
        "TLS 1.2: bulk, 16 KiB writes",
        _TLS12,
        version=TLS_1_2,
        write_size=16 * 1024,
    ),
    Row(
        "memory",
        "memory",
        "Memory of an idle, established pair of connections",
        _MEMORY,
        cached_chains=True,
    ),
    Row("sockets", "sockets", "Full handshakes over loopback TCP, one process a side"),
    Row(
        "asyncio-echo-1k",
        "asyncio-echo",
        "asyncio: echo of 1 KiB messages, one connection",
        write_size=1024,
    ),
    Row(
        "asyncio-echo-1k-many",
        "asyncio-echo",
        "asyncio: echo of 1 KiB messages, 20 connections at once",
        write_size=1024,
        connections=20,
    ),
    Row(
        "asyncio-echo-64k",
        "asyncio-echo",
        "asyncio: echo of 64 KiB messages, one connection",
        write_size=64 * 1024,
    ),
    Row(
        "asyncio-streams-1k",
        "asyncio-echo",
        "asyncio: echo of 1 KiB messages, one connection, streams",
        write_size=1024,
        streams=True,
    ),
    Row(
        "asyncio-connections",
        "asyncio-connections",
        "asyncio: connect, full handshake, one byte each way, close",
    ),
    Row(
        "asyncio-connections-cached",
        "asyncio-connections",
        "asyncio: connect, full handshake, one byte each way, close, chain known",
        _AIO_CACHED,
        cached_chains=True,
    ),
    Row(
        "asyncio-memory",
        "asyncio-memory",
        "asyncio: memory of an idle pair of connections",
        _MEMORY,
        cached_chains=True,
    ),
)


def select_rows(patterns: Sequence[str]) -> list[Row]:
    """The rows that `patterns` name; all for none.

    A pattern is a whole name ("bulk-1k"), a kind ("bulk"), or "asyncio" for all kinds there.
    """
    for pattern in patterns:
        if not any(_is_meant(row, pattern) for row in ROWS):
            known = ", ".join(dict.fromkeys([*(r.kind for r in ROWS), *(r.name for r in ROWS)]))
            raise ValueError(f"no row is called {pattern!r}; there are: {known}")
    return [row for row in ROWS if not patterns or any(_is_meant(row, each) for each in patterns)]


def _is_meant(row: Row, pattern: str) -> bool:
    return pattern in (row.name, row.kind) or (pattern == "asyncio" and row.is_on_asyncio)
