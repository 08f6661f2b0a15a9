"""BIOs: where the bytes of a connection come from and go to.

A BIO has `read_into(buffer) -> int` (a count, 0 at the end of the transport, -1 to be retried),
`write(data) -> int` (a count, -1 to be retried), `flush() -> int` (1, or -1 to be retried), and
says with `should_read` and `should_write` what a retry waits for. `pending` bytes are readable now,
`wpending` are written and not passed on yet, `eof` is true once the end was reached. An OSError
that a BIO raises ends the connection with SYSCALL.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Protocol

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

    __slots__ = ("_socket", "eof", "should_read", "should_write")

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


class _Pipe:
    """Bytes on their way in one direction: chunks, the first of them read up to `start`."""

    __slots__ = ("chunks", "eof", "size", "start")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.start = 0
        self.size = 0
        self.eof = False

    def write(self, data: bytes) -> None:
        if data:
            self.chunks.append(data)
            self.size += len(data)

    def read(self, count: int) -> bytes:
        chunks = self.chunks
        if not chunks:
            return b""
        if count < 0 or count >= self.size:
            first = chunks.popleft() if not self.start else chunks.popleft()[self.start :]
            self.start = self.size = 0
            if not chunks:
                return first
            data = first + b"".join(chunks)
            chunks.clear()
            return data
        buffer = bytearray(count)
        self.read_into(buffer)
        return bytes(buffer)

    def read_into(self, buffer: Buffer) -> int:
        chunks = self.chunks
        view = memoryview(buffer)
        room = len(view)
        done = 0
        while chunks and done < room:
            chunk = chunks[0]
            start = self.start
            count = min(len(chunk) - start, room - done)
            if start or count < len(chunk):
                view[done : done + count] = memoryview(chunk)[start : start + count]
            else:
                view[done : done + count] = chunk
            done += count
            if start + count == len(chunk):
                chunks.popleft()
                self.start = 0
            else:
                self.start = start + count
        self.size -= done
        return done


class PairHalf:
    """One half of bio_pair(): what is written into one can be read from the other.

    write_guarantee: how many bytes write() takes now. read_request: how many bytes the other half
    failed to read last, 0 where it was served since.
    """

    __slots__ = ("_incoming", "_outgoing", "_requested", "_size", "other", "should_read", "should_write")

    other: PairHalf

    def __init__(self, incoming: _Pipe, outgoing: _Pipe, size: int | None) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._size = size
        self._requested = 0
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        """Read what there is; -1 while there is nothing, 0 once the other half is shut."""
        self.should_write = False
        pipe = self._incoming
        if pipe.size:
            self.should_read = False
            self._requested = 0
            return pipe.read_into(buffer)
        if pipe.eof:
            self.should_read = False
            return 0
        self.should_read = True
        self._requested = memoryview(buffer).nbytes
        return -1

    def write(self, data: Buffer, /) -> int:
        """Take as much as there is room for; -1 where there is none.

        BrokenPipeError: shutdown_write() was called.
        """
        self.should_read = False
        pipe = self._outgoing
        if pipe.eof:
            raise BrokenPipeError("written to a BIO pair after shutdown_write()")
        chunk = data if type(data) is bytes else bytes(data)
        if self._size is not None:
            room = self._size - pipe.size
            if room <= 0 and chunk:
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
        if self._outgoing.eof:
            return 0
        if self._size is None:
            return 1 << 62
        return self._size - self._outgoing.size

    @property
    def read_request(self) -> int:
        return 0 if self._outgoing.size else self.other._requested


def _connected_halves(size: int | None) -> tuple[PairHalf, PairHalf]:
    there, back = _Pipe(), _Pipe()
    one, two = PairHalf(back, there, size), PairHalf(there, back, size)
    one.other, two.other = two, one
    return one, two


def bio_pair(size: int = DEFAULT_PAIR_SIZE) -> tuple[PairHalf, PairHalf]:
    """Two halves of a transport in memory that holds at most `size` bytes in each direction.

    ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError("a BIO pair needs a size of at least 1 byte")
    return _connected_halves(size)


class MemoryBIO:
    """The application's side of a transport in memory, without a bound.

    write() gives the connection the peer's bytes, read() takes what the connection wrote. Where a
    Connection gets two of them, it reads from the first and writes to the second, so they serve as
    the standard library's do.
    """

    __slots__ = ("_application", "_connection")

    def __init__(self) -> None:
        self._application, self._connection = _connected_halves(None)

    def write(self, data: Buffer, /) -> int:
        """Give the connection bytes of its peer. BrokenPipeError: after write_eof()."""
        return self._application.write(data)

    def read(self, size: int = -1, /) -> bytes:
        """Take at most `size` bytes that the connection wrote, all of them by default."""
        return self._application._incoming.read(size)

    def write_eof(self) -> None:
        """The peer's bytes end here."""
        self._application.shutdown_write()

    @property
    def pending(self) -> int:
        """Bytes that read() can take."""
        return self._application.pending

    @property
    def wpending(self) -> int:
        """Bytes that were given, and not consumed by the connection yet."""
        return self._application.wpending

    @property
    def eof(self) -> bool:
        """Whether write_eof() was called and everything before it was consumed."""
        return self._connection.eof

    def connection_half(self) -> PairHalf:
        """The half that a Connection works on."""
        return self._connection


class BufferedBIO:
    """Gathers what is written, and passes it to another BIO once it is full or flushed."""

    __slots__ = ("_bio", "_buffer", "_size", "should_read", "should_write")

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
        """Gather as much as fits; -1 where it is full and the BIO below takes nothing."""
        self.should_read = self.should_write = False
        if len(self._buffer) >= self._size and self._pass_on() == 0:
            return -1
        chunk = memoryview(data)[: self._size - len(self._buffer)]
        self._buffer += chunk
        return len(chunk)

    def flush(self) -> int:
        """Pass everything on, and flush the BIO below; -1 where it does not take all."""
        self.should_read = self.should_write = False
        while self._buffer:
            if self._pass_on() == 0:
                return -1
        result = self._bio.flush()
        self._copy_retry()
        return result

    def _pass_on(self) -> int:
        count = self._bio.write(bytes(self._buffer))
        if count <= 0:
            self._copy_retry()
            return 0
        del self._buffer[:count]
        return count

    def _copy_retry(self) -> None:
        self.should_read = self._bio.should_read
        self.should_write = self._bio.should_write

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


class _StreamBIO:
    """An object with the read, write, pending and eof of the standard library's MemoryBIO."""

    __slots__ = ("_stream", "should_read", "should_write")

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self.should_read = False
        self.should_write = False

    def read_into(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))  # type: ignore[attr-defined]
        if data:
            view[: len(data)] = data
            return len(data)
        if getattr(self._stream, "eof", False):
            return 0
        self.should_read = True
        return -1

    def write(self, data: bytes | memoryview, /) -> int:
        count = self._stream.write(data)  # type: ignore[attr-defined]
        if count is None or count < 0:
            self.should_write = True
            return -1
        return int(count)

    def flush(self) -> int:
        return 1

    @property
    def pending(self) -> int:
        return int(getattr(self._stream, "pending", 0))

    @property
    def wpending(self) -> int:
        return 0

    @property
    def eof(self) -> bool:
        return bool(getattr(self._stream, "eof", False))


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
        return _StreamBIO(transport)
    raise TypeError(
        f"{type(transport).__name__} is not a BIO: it has neither read_into and write, nor the read "
        "and write of ssl.MemoryBIO (a socket is passed as fasths.SocketBIO(sock))"
    )
