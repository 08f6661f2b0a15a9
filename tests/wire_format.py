"""Messages made by hand, for the tests of the decoders.

A `Wire` is bytes that remember where their length fields are, so that a test can change each:

    hello = message(HandshakeType.finished, vector(1, b"abc"))
    hello.lengths == ((1, 3), (4, 1))
"""

from __future__ import annotations

from collections.abc import Iterator

# RFC 8701, 2: values that stand for whatever a peer does not know.
GREASE = tuple(0x0A0A + 0x1010 * i for i in range(16))


class Wire(bytes):
    """lengths: (offset, size) of each length field."""

    lengths: tuple[tuple[int, int], ...] = ()


def join(*parts: bytes) -> Wire:
    wire = Wire(b"".join(parts))
    lengths = []
    offset = 0
    for part in parts:
        lengths += [(offset + at, size) for at, size in getattr(part, "lengths", ())]
        offset += len(part)
    wire.lengths = tuple(lengths)
    return wire


def u8(*values: int) -> bytes:
    return bytes(values)


def u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def vector(size: int, *parts: bytes) -> Wire:
    """A vector whose length field has `size` bytes."""
    body = join(*parts)
    field = Wire(len(body).to_bytes(size, "big"))
    field.lengths = ((0, size),)
    return join(field, body)


def extension(code: int, *parts: bytes) -> Wire:
    return join(u16(code), vector(2, *parts))


def extensions(*each: bytes) -> Wire:
    return vector(2, *each)


def message(code: int, *parts: bytes) -> Wire:
    return join(u8(code), vector(3, *parts))


def refitted(data: bytes) -> bytes:
    """A handshake message whose header says the length that it has now."""
    return data[:1] + (len(data) - 4).to_bytes(3, "big") + data[4:]


def with_lengths_off_by_one(wire: Wire) -> Iterator[tuple[int, int, bytes]]:
    """(offset, change, bytes) with one length field changed by one, in either direction."""
    for at, size in wire.lengths:
        value = int.from_bytes(wire[at : at + size], "big")
        for change in (-1, 1):
            if 0 <= value + change < 1 << 8 * size:
                field = (value + change).to_bytes(size, "big")
                yield at, change, wire[:at] + field + wire[at + size :]
