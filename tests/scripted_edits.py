"""What a scripted peer's `at` is made of: what happens at one point of its script."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from scripted_messages import Message, u8, vector
from scripted_records import At


def put(**fields: Any) -> At:
    """Set fields of the message; a function stands for what it makes of the old value."""

    def edit(peer: Any, message: Any) -> None:
        for name, value in fields.items():
            old = getattr(message, name)
            setattr(message, name, value(old) if callable(value) else value)

    return edit


def with_extension(code: int, data: bytes | Callable[[bytes], bytes] = b"") -> At:
    """Replace an extension of the message, or add it; a function makes it from the old data."""

    def edit(peer: Any, message: Any) -> None:
        message.set(code, data(message.extension(code)) if callable(data) else data)

    return edit


def without_extension(*codes: int) -> At:
    def edit(peer: Any, message: Any) -> None:
        for code in codes:
            message.remove(code)

    return edit


def twice(code: int) -> At:
    """The extension a second time."""

    def edit(peer: Any, message: Any) -> None:
        message.extensions.append((code, message.extension(code) or b""))

    return edit


def all_of(*edits: At) -> At:
    """Several changes of one message."""

    def edit(peer: Any, message: Any) -> Any:
        result = None
        for each in edits:
            assert result is None, "only the last change may replace the message"
            result = each(peer, message)
        return result

    return edit


def instead(*messages: Message | bytes) -> At:
    """Other messages, or none, in the place of this one."""
    return lambda peer, message: list(messages)


def followed_by(*messages: Message | bytes) -> At:
    """Other messages, or parts of some, behind this one and in its record."""

    def edit(peer: Any, message: Any) -> Any:
        peer.send(message)
        for each in messages:
            peer.queue(each)
        return []

    return edit


def cut(size: int) -> At:
    """The message without the bytes behind `size` of its body; its length says so."""

    def edit(peer: Any, message: Any) -> bytes:
        data: bytes = message.encode()
        return data[:1] + vector(3, data[4:][:size])

    return edit


def mutated(seed: int) -> At:
    """The message with a few bytes changed, left out or put in; its length fits."""
    random = Random(seed)

    def edit(peer: Any, message: Any) -> bytes:
        body = bytearray(message.encode()[4:])
        for _ in range(random.choice((1, 1, 2, 4))):
            at = random.randrange(len(body) + 1)
            body[at : at + random.randrange(2)] = random.randbytes(random.randrange(2))
        return u8(message.type) + vector(3, body)

    return edit


def before(action: Callable[[Any], Any]) -> At:
    """Something that the peer does before the message."""

    def edit(peer: Any, message: Any) -> None:
        action(peer)

    return edit


def inside(action: Callable[[Any], Any]) -> At:
    """Something that the peer does in the middle of the message, between two records of it."""

    def edit(peer: Any, message: Any) -> bytes:
        data: bytes = message.encode()
        peer.send(data[:3])
        action(peer)
        return data[3:]

    return edit
