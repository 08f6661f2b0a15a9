"""Session tickets that only the holders of a key can read, and rings of such keys.

A ticket is the name of its key, a random nonce, and what AES-256-GCM makes of the state; name and
format are authenticated with it. RFC 5077, 4 recommends such a construction. One key of a ring
seals. A rotation puts a new one in its place, and the old one opens tickets for a while longer, so
that sessions outlive it.

Deadlines inside a process are those of the monotonic clock, so a wall clock that is set neither
prolongs nor ends the life of a key. An export holds wall-clock times, because other machines read
it; no key lives longer by an import than a ring of this process would have let it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha256
from itertools import count
from os import urandom
from threading import Lock
from time import monotonic, time
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_KEYS: Final = 64
# NIST SP 800-38D, 8.3: at most 2**32 messages under one key where nonces are random. A ring cannot
# see what others seal with the same key; sixteen of them together stay within that.
SEALS_PER_KEY: Final = 1 << 28
_NIST_LIMIT = 1 << 32

_NAME_LENGTH = 16
_KEY_LENGTH = 32
_NONCE_LENGTH = 12
_TAG_LENGTH = 16
_CIPHERTEXT_AT = _NAME_LENGTH + _NONCE_LENGTH
_MINIMUM_TICKET = _CIPHERTEXT_AT + _TAG_LENGTH
_TICKET_FORMAT = b"fasths session ticket, version 1"

# An export: magic and version, the number of keys, each key, the SHA-256 of all that. A key is its
# name, the secret, when it was made and when it was retired (milliseconds since 1970, uint64; the
# first key is the one that seals, and has 0 there).
_EXPORT_MAGIC = b"fasths ticket keys\x01"
_EXPORT_KEY_LENGTH = _NAME_LENGTH + _KEY_LENGTH + 8 + 8
_CHECKSUM_LENGTH = 32


class _Exported(NamedTuple):
    """What an export says of one key; it knows how to stay out of messages."""

    name: bytes
    secret: bytes
    created: int
    retired: int

    def __repr__(self) -> str:
        return "<an exported ticket key>"


class _Key:
    """A key in use.

    created, retired: wall clock, in milliseconds; retired is 0 for the key that seals.
    deadline: monotonic clock, in seconds; from then on the key is an old one. until: from then on
    it opens nothing. uses: counts what it has sealed here.
    """

    __slots__ = (
        "associated_data",
        "created",
        "deadline",
        "decrypt",
        "encrypt",
        "name",
        "retired",
        "secret",
        "until",
        "uses",
    )

    def __init__(self, exported: _Exported, deadline: float, until: float) -> None:
        self.name, self.secret, self.created, self.retired = exported
        self.deadline = deadline
        self.until = until
        self.uses = count()
        self.associated_data = _TICKET_FORMAT + self.name
        cipher = AESGCM(self.secret)
        self.encrypt = cipher.encrypt
        self.decrypt = cipher.decrypt

    def export(self) -> _Exported:
        return _Exported(self.name, self.secret, self.created, self.retired)


class TicketKeys:
    """A ring of keys that seals session tickets; any number of threads may use it.

    rotate_every: seconds that a key seals for, after which the next seal() takes a new one. None:
        keys change only by rotate() and load().
    accept_for: seconds that an old key still opens tickets for. It has to cover the lifetime of
        the sessions, or they end early.
    seals_per_key: how many tickets this ring seals with one key before it takes a new one by
        itself. NIST SP 800-38D allows 2**32; rings that share their keys share that number too.

    Machines and processes share tickets by sharing keys: one of them rotates and hands out
    to_bytes(), the others take it over with from_bytes() and then load(), and leave rotate_every
    at None. Processes that are forked go on with the keys there were, each for itself.

    A ring keeps at most MAX_KEYS keys; rotations by hand beyond that drop the oldest early.

    Raises TypeError for values of a wrong type; ValueError for values out of range, and for a
    rotation so frequent that accept_for would need more than MAX_KEYS keys.
    """

    __slots__ = ("_keys", "_lock", "_sealing", "accept_for", "rotate_every", "seals_per_key")

    rotate_every: Final[float | None]
    accept_for: Final[float]
    seals_per_key: Final[int]
    _keys: dict[bytes, _Key]
    _sealing: _Key

    def __init__(
        self,
        *,
        rotate_every: float | None = 43200.0,
        accept_for: float = 86400.0,
        seals_per_key: int = SEALS_PER_KEY,
    ) -> None:
        self.rotate_every = None if rotate_every is None else _seconds(rotate_every, "rotate_every")
        self.accept_for = _seconds(accept_for, "accept_for")
        if not isinstance(seals_per_key, int) or isinstance(seals_per_key, bool):
            raise TypeError("seals_per_key must be an int")
        if not 1 <= seals_per_key <= _NIST_LIMIT:
            raise ValueError("seals_per_key must be between 1 and 2**32")
        self.seals_per_key = seals_per_key
        # One key seals, and one may be half way through its time.
        if rotate_every is not None and self.accept_for / rotate_every > MAX_KEYS - 2:
            raise ValueError("accept_for is too long for keys that are rotated so often")
        self._lock = Lock()
        self._keys = {}
        self._install(self._new_key(), ())

    def seal(self, plaintext: bytes) -> bytes:
        """A ticket that open() gives plaintext back for."""
        key = self._sealing
        if monotonic() >= key.deadline:
            key = self._replace(key)
        while next(key.uses) >= self.seals_per_key:
            key = self._replace(key)
        nonce = urandom(_NONCE_LENGTH)
        return key.name + nonce + key.encrypt(nonce, plaintext, key.associated_data)

    def open(self, ticket: bytes) -> tuple[bytes, bool] | None:
        """(what was sealed, whether to renew the ticket), or None for what cannot be opened.

        To renew is to send a new ticket: this one's key no longer seals. None is the answer to
        all that is not a ticket of a key in the ring, whatever is wrong with it.
        """
        if len(ticket) < _MINIMUM_TICKET:
            return None
        key = self._keys.get(ticket[:_NAME_LENGTH])
        if key is None:
            return None
        now = monotonic()
        if now >= key.until:
            return None
        try:
            plaintext = key.decrypt(
                ticket[_NAME_LENGTH:_CIPHERTEXT_AT], ticket[_CIPHERTEXT_AT:], key.associated_data
            )
        except InvalidTag:
            return None
        return plaintext, now >= key.deadline

    def rotate(self) -> None:
        """Seal with a new key from now on; the old one becomes one that only opens."""
        with self._lock:
            self._rotate()

    def to_bytes(self) -> bytes:
        """The ring for from_bytes() and load(), here or elsewhere. It holds the secrets.

        A rotation that is due is done first, so a process that only hands out keys needs no other
        call.
        """
        with self._lock:
            if monotonic() >= self._sealing.deadline:
                self._rotate()
            now = monotonic()
            keys = [key.export() for key in self._keys.values() if key.until > now]
        return _encode(keys)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        rotate_every: float | None = None,
        accept_for: float = 86400.0,
        seals_per_key: int = SEALS_PER_KEY,
    ) -> TicketKeys:
        """The ring that to_bytes() exported; it seals with that ring's key.

        The other arguments are those of TicketKeys(). ValueError, TypeError: also for data that is
        not a whole, unaltered export.
        """
        exported = _decode(data)
        ring = cls(rotate_every=rotate_every, accept_for=accept_for, seals_per_key=seals_per_key)
        # Nothing was sealed with the key that a new ring starts with.
        ring._keys = {}
        ring._take_over(exported)
        return ring

    def load(self, data: bytes) -> None:
        """Go on with an exported ring in place of this one, while this one is in use.

        The export's key seals from now on. Keys that the export lacks open their tickets for as
        long as they would have after a rotation.

        ValueError, TypeError: as from_bytes(); nothing is changed then.
        """
        exported = _decode(data)
        with self._lock:
            self._take_over(exported)

    def __repr__(self) -> str:
        return f"<fasths.TicketKeys with {len(self._keys)} keys>"

    # What follows needs the lock. A key that is in the ring never changes, and _keys and _sealing
    # are only replaced as a whole: that is why seal() and open() need none.

    def _replace(self, key: _Key) -> _Key:
        """The key to seal with instead of this one."""
        with self._lock:
            if self._sealing is key:
                self._rotate()
            return self._sealing

    def _rotate(self) -> None:
        self._install(self._new_key(), self._as_old_keys())

    def _new_key(self) -> _Key:
        exported = _Exported(urandom(_NAME_LENGTH), urandom(_KEY_LENGTH), _wall_clock(), 0)
        return self._key_from(exported)

    def _key_from(self, exported: _Exported) -> _Key:
        """Wall-clock times become deadlines, at most as far away as if now were the time."""
        now, wall = monotonic(), time()
        if exported.retired:
            left = exported.retired / 1000 + self.accept_for - wall
            return _Key(exported, -math.inf, now + min(left, self.accept_for))
        if self.rotate_every is None:
            return _Key(exported, math.inf, math.inf)
        left = exported.created / 1000 + self.rotate_every - wall
        deadline = now + min(left, self.rotate_every)
        return _Key(exported, deadline, deadline + self.accept_for)

    def _as_old_keys(self) -> list[_Key]:
        """The keys of the ring once none of them seals."""
        return [self._retired(key) if not key.retired else key for key in self._keys.values()]

    def _retired(self, key: _Key) -> _Key:
        now = monotonic()
        # Where nothing was sealed for a while, the key's time may have ended long before now.
        ended = min(now, key.deadline)
        retired = max(_wall_clock() - int((now - ended) * 1000), key.created, 1)
        return _Key(
            _Exported(key.name, key.secret, key.created, retired),
            -math.inf,
            ended + self.accept_for,
        )

    def _take_over(self, exported: list[_Exported]) -> None:
        keys = [self._key_from(each) for each in exported]
        for key in keys:
            known = self._keys.get(key.name)
            if known is not None and known.secret == key.secret:
                # What was sealed here counts on.
                key.uses = known.uses
        names = {key.name for key in keys}
        own = [key for key in self._as_old_keys() if key.name not in names]
        self._install(keys[0], [*keys[1:], *own])

    def _install(self, sealing: _Key, others: Iterable[_Key]) -> None:
        now = monotonic()
        kept = sorted(
            (key for key in others if key.until > now), key=lambda key: key.until, reverse=True
        )
        # What is sealed from now on can be opened from now on.
        self._keys = {key.name: key for key in (sealing, *kept[: MAX_KEYS - 1])}
        self._sealing = sealing


def _seconds(value: float, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite")
    return float(value)


def _wall_clock() -> int:
    return max(int(time() * 1000), 0)


def _encode(keys: list[_Exported]) -> bytes:
    body = b"".join(
        (
            _EXPORT_MAGIC,
            len(keys).to_bytes(1, "big"),
            *(
                key.name
                + key.secret
                + key.created.to_bytes(8, "big")
                + key.retired.to_bytes(8, "big")
                for key in keys
            ),
        )
    )
    return body + sha256(body).digest()


def _decode(data: bytes) -> list[_Exported]:
    """The keys of an export, the sealing one first. TypeError, ValueError: it is none."""
    if not isinstance(data, bytes):
        raise TypeError("exported ticket keys must be bytes")
    if not data.startswith(_EXPORT_MAGIC):
        raise ValueError("these are not exported ticket keys of a known version")
    body, checksum = data[:-_CHECKSUM_LENGTH], data[-_CHECKSUM_LENGTH:]
    at = len(_EXPORT_MAGIC) + 1
    if len(body) < at or sha256(body).digest() != checksum:
        raise ValueError("the exported ticket keys are damaged")
    number = body[at - 1]
    if not 1 <= number <= MAX_KEYS or len(body) != at + number * _EXPORT_KEY_LENGTH:
        raise ValueError("the exported ticket keys have a wrong length")
    keys = [
        _decode_key(body[start : start + _EXPORT_KEY_LENGTH])
        for start in range(at, len(body), _EXPORT_KEY_LENGTH)
    ]
    if len({key.name for key in keys}) != number:
        raise ValueError("two of the exported ticket keys have the same name")
    if keys[0].retired or not all(key.retired for key in keys[1:]):
        raise ValueError("the first of the exported ticket keys has to be the only one that seals")
    if any(key.retired < key.created for key in keys[1:]):
        raise ValueError("an exported ticket key was retired before it was made")
    return keys


def _decode_key(data: bytes) -> _Exported:
    secret_at = _NAME_LENGTH
    created_at = secret_at + _KEY_LENGTH
    retired_at = created_at + 8
    return _Exported(
        data[:secret_at],
        data[secret_at:created_at],
        int.from_bytes(data[created_at:retired_at], "big"),
        int.from_bytes(data[retired_at:], "big"),
    )
