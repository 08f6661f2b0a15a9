"""BIOs: where the bytes of a connection come from and go to.

A BIO has `read_into(buffer) -> int` (a count, 0 at the end of the transport, -1 to be retried),
`write(data) -> int` (a count, -1 to be retried), `flush() -> int` (1, or -1 to be retried), and
says with `should_read` and `should_write` what a retry waits for. `pending` bytes are readable now,
`wpending` are written and not passed on yet, `eof` is true once the end was reached. An OSError
that a BIO raises ends the connection with SYSCALL.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from fasths._pipe import Pipe

if TYPE_CHECKING:
    from typing_extensions import Buffer

# One record and a little: what half of a bio_pair() holds by default, in bytes.
DEFAULT_PAIR_SIZE = 17 * 1024
# What a BufferedBIO gathers before it writes by itself, in bytes.
DEFAULT_BUFFER_SIZE = 17 * 1024


class BIO(Protocol):
    """What a Connection asks of a transport."""

    should_read: bool
    should_write: bool

    def read_into(self, buffer: Buffer, /) -> int: ...
    def write(self, data: bytes | memoryview, /) -> int: ...
    def flush(self) -> int: ...


class SocketBIO:
    """A connected socket: blocking, with a time-out, or non-blocking, as it is set at each call.

    A time-out, like a non-blocking socket that is not ready, is a retry. The socket stays the
    caller's: closing it is not done here.
    """

    pending = 0
    wpending = 0

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.eof = False
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        """Receive into buffer; its length is the most that is taken."""
        self.should_write = False
        try:
            count = self._socket.recv_into(buffer)
        except (BlockingIOError, TimeoutError) as error:
            if not _is_retry(error):
                raise
            self.should_read = True
            return -1
        self.should_read = False
        if count == 0:
            self.eof = True
        return count

    def read_available(self, buffer: Buffer, /) -> int:
        """As read_into(), but never waiting, whatever the socket is set to."""
        try:
            return self._socket.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return -1

    def write(self, data: bytes | memoryview, /) -> int:
        """Send what the socket takes at once."""
        self.should_read = False
        try:
            count = self._socket.send(data)
        except (BlockingIOError, TimeoutError) as error:
            if not _is_retry(error):
                raise
            self.should_write = True
            return -1
        self.should_write = False
        return count

    def flush(self) -> int:
        return 1

    def fileno(self) -> int:
        """The socket's file descriptor, so that a BIO can be given to a selector."""
        return self._socket.fileno()


def _is_retry(error: OSError) -> bool:
    # A socket's own time-out has no errno; ETIMEDOUT of the network is an end, not a retry.
    return isinstance(error, BlockingIOError) or error.errno is None


class PairHalf:
    """One half of bio_pair(): what is written into one can be read from the other.

    write_guarantee: how many bytes write() takes now. read_request: how many bytes the other half
    failed to read last, 0 where it was served since.
    """

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        """Read what there is; -1 while there is nothing, 0 once the other half is shut."""
        pipe = self._incoming
        count = pipe.read_into(buffer)
        self.should_write = False
        self.should_read = count == 0 and not pipe.size and not pipe.eof
        return -1 if self.should_read else count

    def write(self, data: Buffer, /) -> int:
        """Take as much as there is room for; -1 where there is none.

        BrokenPipeError: shutdown_write() was called.
        """
        self.should_read = False
        pipe = self._outgoing
        if pipe.eof:
            raise BrokenPipeError("written to a BIO pair after shutdown_write()")
        chunk = data if type(data) is bytes else bytes(data)
        room = pipe.room()
        if room < len(chunk):
            if room == 0:
                self.should_write = True
                return -1
            chunk = chunk[:room]
        self.should_write = False
        pipe.write(chunk)
        return len(chunk)

    def flush(self) -> int:
        return 1

    def shutdown_write(self) -> None:
        """Nothing more is written here: the other half reads what is left, then the end."""
        self._outgoing.eof = True

    @property
    def pending(self) -> int:
        return self._incoming.size

    @property
    def wpending(self) -> int:
        return self._outgoing.size

    @property
    def eof(self) -> bool:
        return self._incoming.eof and not self._incoming.size

    @property
    def write_guarantee(self) -> int:
        return 0 if self._outgoing.eof else self._outgoing.room()

    @property
    def read_request(self) -> int:
        return self._outgoing.requested


def bio_pair(size: int = DEFAULT_PAIR_SIZE) -> tuple[PairHalf, PairHalf]:
    """Two halves of a transport in memory that holds at most `size` bytes in each direction.

    ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError("a BIO pair needs a size of at least 1 byte")
    there, back = Pipe(size), Pipe(size)
    return PairHalf(back, there), PairHalf(there, back)


class MemoryBIO:
    """The application's side of a transport in memory, without a bound.

    write() gives the connection the peer's bytes, read() takes what the connection wrote. A
    Connection that gets two of them reads what was given to the first, and writes to the second.
    """

    def __init__(self) -> None:
        self._incoming = Pipe(0)
        self._outgoing = Pipe(0)

    def write(self, data: Buffer, /) -> int:
        """Give the connection bytes of its peer. BrokenPipeError: after write_eof()."""
        if self._incoming.eof:
            raise BrokenPipeError("written to a MemoryBIO after write_eof()")
        chunk = data if type(data) is bytes else bytes(data)
        self._incoming.write(chunk)
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        """Take at most `size` bytes that the connection wrote, all of them by default."""
        return self._outgoing.read(size)

    def write_eof(self) -> None:
        """The peer's bytes end here."""
        self._incoming.eof = True

    @property
    def pending(self) -> int:
        """Bytes that read() can take."""
        return self._outgoing.size

    @property
    def wpending(self) -> int:
        """Bytes that were given, and not consumed by the connection yet."""
        return self._incoming.size

    @property
    def eof(self) -> bool:
        """Whether write_eof() was called and everything before it was consumed."""
        return self._incoming.eof and not self._incoming.size

    def connection_half(self) -> PairHalf:
        """The half that a Connection works on."""
        return PairHalf(self._incoming, self._outgoing)


class BufferedBIO:
    """Gathers what is written, and passes it to another BIO once it is full or flushed."""

    def __init__(self, bio: object, size: int = DEFAULT_BUFFER_SIZE) -> None:
        """bio: any BIO. size: how many bytes are gathered at most. ValueError: a size below 1."""
        if size < 1:
            raise ValueError("a buffering BIO needs a size of at least 1 byte")
        self._bio = as_bio(bio)
        self._buffer = bytearray()
        self._size = size
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        count = self._bio.read_into(buffer)
        self._copy_retry()
        return count

    def write(self, data: Buffer, /) -> int:
        """Gather as much as fits; where it is full, what the BIO below says if it takes nothing."""
        self.should_read = self.should_write = False
        if len(self._buffer) >= self._size and (count := self._pass_on()) <= 0:
            return count
        chunk = memoryview(data)[: self._size - len(self._buffer)]
        self._buffer += chunk
        return len(chunk)

    def flush(self) -> int:
        """Pass everything on, and flush the BIO below; what that says if it does not take all."""
        self.should_read = self.should_write = False
        while self._buffer:
            if (count := self._pass_on()) <= 0:
                return count
        result = self._bio.flush()
        self._copy_retry()
        return result

    def _pass_on(self) -> int:
        count = self._bio.write(bytes(self._buffer))
        if count <= 0:
            self._copy_retry()
            return count
        del self._buffer[:count]
        return count

    def _copy_retry(self) -> None:
        self.should_read = self._bio.should_read
        self.should_write = self._bio.should_write

    @property
    def should_connect(self) -> bool:
        return bool(getattr(self._bio, "should_connect", False))

    @property
    def should_accept(self) -> bool:
        return bool(getattr(self._bio, "should_accept", False))

    @property
    def pending(self) -> int:
        count: int = getattr(self._bio, "pending", 0)
        return count

    @property
    def wpending(self) -> int:
        below: int = getattr(self._bio, "wpending", 0)
        return len(self._buffer) + below

    @property
    def eof(self) -> bool:
        return bool(getattr(self._bio, "eof", False))


class StreamBIO:
    """An object with the read, write, pending and eof of the standard library's MemoryBIO."""

    def __init__(self, stream: object) -> None:
        self.stream = stream
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        self.should_read = self.should_write = False
        data = self.stream.read(len(view))  # type: ignore[attr-defined]
        if data:
            view[: len(data)] = data
            return len(data)
        if getattr(self.stream, "eof", False):
            return 0
        self.should_read = True
        return -1

    def write(self, data: bytes | memoryview, /) -> int:
        self.should_read = self.should_write = False
        count = self.stream.write(data)  # type: ignore[attr-defined]
        if count is None or count < 0:
            self.should_write = True
            return -1
        return int(count)

    def flush(self) -> int:
        return 1

    @property
    def pending(self) -> int:
        return int(getattr(self.stream, "pending", 0))

    @property
    def wpending(self) -> int:
        return 0

    @property
    def eof(self) -> bool:
        return bool(getattr(self.stream, "eof", False))


# BIOs that pass on what is written at once, so that flushing them does nothing.
UNBUFFERED = (SocketBIO, PairHalf, StreamBIO)


def as_bio(transport: object) -> BIO:
    """The BIO for what a program passed: itself, or an adapter.

    TypeError: it has neither a BIO's methods nor those of the standard library's MemoryBIO.
    """
    if isinstance(transport, MemoryBIO):
        return transport.connection_half()
    if hasattr(transport, "read_into") or (
        hasattr(transport, "flush") and not hasattr(transport, "read")
    ):
        return transport  # type: ignore[return-value]
    if hasattr(transport, "read") and hasattr(transport, "write"):
        return StreamBIO(transport)
    raise TypeError(
        f"{type(transport).__name__} is not a BIO: it has neither read_into and write, nor the "
        "read and write of ssl.MemoryBIO (a socket is passed as fasths.SocketBIO(sock))"
    )
