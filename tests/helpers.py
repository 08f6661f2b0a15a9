"""Two connections joined in memory, BIOs that watch and disturb, and contexts to make them from.

    pair = ConnectionPair()
    pair.handshake()
    pair.client.write(b"hello")
    pair.server.read()  # b"hello"

The transports in between are SpyBIOs: they log what the connection calls, and block or raise where
a test says so.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pki
import pytest

import fasths
from fasths import SSLErrorCode
from fasths.bio import as_bio

NONE = SSLErrorCode.NONE
SSL = SSLErrorCode.SSL
WANT_READ = SSLErrorCode.WANT_READ
WANT_WRITE = SSLErrorCode.WANT_WRITE
SYSCALL = SSLErrorCode.SYSCALL
ZERO_RETURN = SSLErrorCode.ZERO_RETURN
WAITS = (WANT_READ, WANT_WRITE)

BOTH_ROLES = pytest.mark.parametrize("by_server", [False, True], ids=["client", "server"])
NOT_TLS = b"GET / HTTP/1.1\r\n\r\n"
FATAL_ALERT = bytes((21, 3, 3, 0, 2, 2, fasths.AlertDescription.handshake_failure))
CLOSE_NOTIFY = bytes((21, 3, 3, 0, 2, 1, fasths.AlertDescription.close_notify))
RESET = ConnectionResetError(errno.ECONNRESET, "reset")
BROKEN = BrokenPipeError(errno.EPIPE, "broken")

HOST = "localhost"
# Small messages of a constant size, and quick.
QUICK: dict[str, Any] = {"groups": ("x25519",)}
PLENTY = 1 << 20
# What tests of TLS 1.3 go through, and the settings of those that are for it alone.
TLS13_SUITES = tuple(suite for suite in fasths.CipherSuite if suite >> 8 == 0x13)
TLS13_ALONE: dict[str, Any] = {"minimum_version": fasths.TLSVersion.TLSv1_3}


@functools.cache
def authority() -> pki.Credential:
    return pki.make_ca(key_type="ed25519")


@functools.cache
def identity(name: str = HOST) -> fasths.Identity:
    leaf = pki.make_leaf([name], issuer=authority(), key_type="ed25519")
    return fasths.Identity.from_pem(leaf.chain_pem, leaf.key_pem)


@functools.cache
def trust() -> fasths.TrustStore:
    return fasths.TrustStore.from_pem(authority().pem)


def client_context(**options: Any) -> fasths.Context:
    return fasths.Context(**{"trust": trust(), **QUICK, **options})


def server_context(**options: Any) -> fasths.Context:
    return fasths.Context(**{"identities": [identity()], "trust": trust(), **QUICK, **options})


@functools.cache
def default_contexts() -> tuple[fasths.Context, fasths.Context]:
    return client_context(), server_context()


@functools.cache
def unverified_contexts() -> tuple[fasths.Context, fasths.Context]:
    """Where only the protocol is of interest, and no ticket follows the handshake."""
    return client_context(verify=fasths.Verify.NONE), server_context(session_tickets=0)


class SpyBIO:
    """A BIO written by a user, around another one.

    calls: ("read", count), ("write", count) and ("flush", count) as they happened. blocked: nothing
    is taken. block_after_write: each write that takes something blocks it. max_read, max_write: the
    most that one call moves. read_error, write_error: raised instead. written: all that was taken.
    """

    def __init__(self, bio: object) -> None:
        self.inner = as_bio(bio)
        self.should_read = self.should_write = False
        self.calls: list[tuple[str, int]] = []
        self.written = bytearray()
        self.blocked = self.block_after_write = False
        self.max_read = self.max_write = PLENTY
        self.read_error: OSError | None = None
        self.write_error: OSError | None = None

    def read_into(self, buffer: Any) -> int:
        count = -1
        try:
            if self.read_error is not None:
                raise self.read_error
            count = self.inner.read_into(memoryview(buffer)[: self.max_read])
        finally:
            self._log("read", count)
        return count

    def write(self, data: Any) -> int:
        count = -1
        try:
            if self.write_error is not None:
                raise self.write_error
            if not self.blocked:
                count = self.inner.write(bytes(data[: self.max_write]))
                self.written += data[: max(count, 0)]
                self.blocked = self.block_after_write
        finally:
            self._log("write", count)
        return count

    def flush(self) -> int:
        count = -1 if self.blocked else self.inner.flush()
        self._log("flush", count)
        return count

    def _log(self, name: str, count: int) -> None:
        self.calls.append((name, count))
        self.should_read = name == "read" and count < 0
        self.should_write = name != "read" and count < 0

    def count(self, name: str) -> int:
        return sum(call == name for call, _ in self.calls)

    def writes(self) -> list[int]:
        """The counts of the writes that took something, since the last look."""
        taken = [count for call, count in self.calls if call == "write" and count > 0]
        self.calls.clear()
        return taken


class ConnectionPair:
    """A client and a server over a bio_pair()."""

    def __init__(
        self,
        size: int = PLENTY,
        *,
        contexts: tuple[fasths.Context, fasths.Context] | None = None,
        message_callback: Callable[..., None] | None = None,
        roles: bool = True,
        wrap: Callable[[Any], Any] | None = None,
    ) -> None:
        """wrap: what to put between each SpyBIO and its connection."""
        client, server = default_contexts() if contexts is None else contexts
        left, right = fasths.bio_pair(size)
        self.client_bio, self.server_bio = SpyBIO(left), SpyBIO(right)
        transports = [self.client_bio, self.server_bio]
        if wrap is not None:
            transports = [wrap(each) for each in transports]
        self.client = fasths.Connection(
            client, transports[0], server_hostname=HOST, message_callback=message_callback
        )
        self.server = fasths.Connection(server, transports[1])
        if roles:
            self.client.set_connect_state()
            self.server.set_accept_state()

    def handshake(self) -> ConnectionPair:
        turns(self.client.do_handshake, self.server.do_handshake)
        assert self.client.established
        assert self.server.established
        self.forget_calls()
        return self

    def forget_calls(self) -> None:
        for bio in (self.client_bio, self.server_bio):
            bio.calls.clear()
            bio.written.clear()

    def sides(self, by_server: bool) -> tuple[fasths.Connection, SpyBIO, fasths.Connection, SpyBIO]:
        """(this connection, its BIO, the peer, the peer's BIO)."""
        sides = (self.client, self.client_bio, self.server, self.server_bio)
        return sides[2:] + sides[:2] if by_server else sides

    def end(self, by_server: bool) -> None:
        """What this side sends ends here."""
        bio = self.server_bio if by_server else self.client_bio
        bio.inner.shutdown_write()  # type: ignore[attr-defined]


def connections(client_bio: Any, server_bio: Any) -> tuple[fasths.Connection, fasths.Connection]:
    """A client and a server over two BIOs, or pairs of BIOs."""
    made = []
    for context, bios in zip(unverified_contexts(), (client_bio, server_bio), strict=True):
        bios = bios if isinstance(bios, tuple) else (bios,)
        made.append(fasths.Connection(context, *bios, server_hostname=HOST))
    client, server = made
    client.set_connect_state()
    server.set_accept_state()
    return client, server


def outcome(conn: fasths.Connection, ret: int) -> tuple[int, SSLErrorCode]:
    return ret, conn.get_error(ret)


def turns(*calls: Callable[[], int], limit: int = 100_000) -> None:
    """Repeat the calls in turn until each has returned 1; every other result must be a wait."""
    waiting = list(calls)
    for _ in range(limit):
        for call in tuple(waiting):
            ret = call()
            if ret == 1:
                waiting.remove(call)
                continue
            conn = call.__self__  # type: ignore[attr-defined]
            assert ret == -1, (ret, conn)
            assert conn.get_error(ret) in WAITS, (conn, conn.last_error)
        if not waiting:
            return
    raise AssertionError("the calls do not come to an end")


def transfer(sender: fasths.Connection, receiver: fasths.Connection, data: bytes) -> None:
    """Send data, and check that it arrives."""
    received = bytearray()
    sent = 0
    for _ in range(100 * len(data) + 100):
        if sent < len(data):
            count = sender.write(data[sent:])
            if count < 0:
                assert sender.get_error(count) in WAITS, sender.last_error
            sent += max(count, 0)
        piece = receiver.read()
        if piece is None:
            assert receiver.get_error(-1) in WAITS, receiver.last_error
        received += piece or b""
        if len(received) >= len(data):
            break
    assert received == data
    assert sent == len(data)


def records(stream: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """(content type, fragment) of each whole record."""
    at = 0
    while at + 5 <= len(stream):
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        if at + 5 + size > len(stream):
            return
        yield stream[at], bytes(stream[at + 5 : at + 5 + size])
        at += 5 + size


def count_alerts(stream: bytes | bytearray) -> int:
    """Alert records; a protected one has two bytes, its type and a tag."""
    return sum(
        kind == fasths.ContentType.alert
        or (kind == fasths.ContentType.application_data and len(fragment) == 2 + 1 + 16)
        for kind, fragment in records(stream)
    )
