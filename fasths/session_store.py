"""Where servers keep sessions and the marks against replays, and where clients keep sessions.

A server's SessionStore has two kinds of entries that know nothing of each other. Values are put,
looked at and taken: stateful sessions, of which those of TLS 1.3 are given out once each, and those
of TLS 1.2 again and again. Marks are added: the first to add one is told so, everybody after it is
not, and that is what keeps early data from being accepted twice (RFC 8446, 8). To lose a value
costs a full handshake, so a full store drops the oldest ones. To lose a mark would let a replay in,
so a mark stays for all its lifetime, and a store that is full of marks says of another one that it
is not the first.

Stores that are shared by machines count lifetimes by the wall clock. Whose marks are not shared, as
those in memory, has a `scope`: tickets carry it, and early data is accepted only where the marks
are that know of it.
"""

from __future__ import annotations

import heapq
import math
import os
import sqlite3
import stat
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from fasths.handshake.requests import Later, SessionCacheRequest, SessionRequest

# What a call that writes removes of what expired. Each entry is added and removed once, so more
# than one keeps up with them, and no call has to clear away all that expired in a quiet hour.
_EXPIRED_AT_A_TIME = 64


@runtime_checkable
class SessionStore(Protocol):
    """What a server needs of a store; any number of threads call it.

    Keys and values are bytes, lifetimes are seconds. get(), take() and add() are given the request
    they answer: where that needs time, they return LATER and request.answer() gets the result. What
    they raise is a failure of the store, and the handshake goes on as if the entry were missing or
    the mark could not be kept.
    """

    @property
    def complete_since(self) -> float:
        """Since when (time.time()) all marks are known; earlier ones may have been lost.

        0.0 for a store that outlives processes and has never lost any.
        """

    def put(self, key: bytes, value: bytes, lifetime: float) -> None:
        """Keep a value, in place of one with the same key. A store may drop it early."""

    def get(self, key: bytes, request: SessionRequest) -> bytes | Later | None:
        """The value, or None where there is none."""

    def take(self, key: bytes, request: SessionRequest) -> bytes | Later | None:
        """Get and remove at once: of all who take a value, one gets it, and the others None."""

    def add(self, key: bytes, lifetime: float, request: SessionRequest) -> bool | Later:
        """Make a mark. True exactly for the first who adds this key within its lifetime.

        False where the mark is there, and where it cannot be kept for its lifetime.
        """

    def remove(self, key: bytes) -> None:
        """Forget a value, if there is one. Marks stay."""


@runtime_checkable
class SessionCache(Protocol):
    """What a client needs of a cache of its sessions; any number of threads call it.

    A name says where a session leads to. take() may return LATER, as those of SessionStore. Where
    there is a remove(name, session), it is called for a session of TLS 1.2 whose connection ended
    with a fatal alert (RFC 5246, 7.2.2).
    """

    def put(self, name: str, session: Any) -> None:
        """Keep a Session for later connections. A cache may drop it early."""

    def take(self, name: str, request: SessionCacheRequest) -> Any | Later | None:
        """A Session that has not expired, or None. Each is given out once (RFC 8446, C.4)."""


class MemorySessionStore:
    """A SessionStore in the memory of one process.

    maximum: entries, of both kinds together. Where a value has no room, those used longest ago
    make it, but no mark does.

    Raises TypeError or ValueError for a maximum that is not a whole number of 1 or more.
    """

    __slots__ = (
        "_expiries",
        "_lock",
        "_marks",
        "_maximum",
        "_process",
        "_scope",
        "_values",
        "complete_since",
    )

    complete_since: Final[float]

    def __init__(self, maximum: int = 20000) -> None:
        self._maximum = _whole_number(maximum, "maximum")
        self._lock = threading.Lock()
        # By key: (when it expires, value), the one used last at the end.
        self._values: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        # By key: when it expires.
        self._marks: dict[bytes, float] = {}
        # A heap of (when it expires, key, whether a mark). Values that were taken or replaced stay
        # in it until their time or until too many of them are there.
        self._expiries: list[tuple[float, bytes, bool]] = []
        self.complete_since = 0.0
        self._scope = os.urandom(8)
        self._process = os.getpid()

    @property
    def scope(self) -> bytes:
        """What tells this store from others, in other processes and in forked ones."""
        if self._process != os.getpid():
            self._scope = os.urandom(8)
            self._process = os.getpid()
        return self._scope

    def put(self, key: bytes, value: bytes, lifetime: float) -> None:
        """Keep a value for so many seconds. It is dropped where only marks could make room."""
        now = monotonic()
        with self._lock:
            self._drop_expired(now)
            self._values.pop(key, None)
            if not lifetime > 0:
                return
            if self._make_room():
                self._expire_at(now + lifetime, key, False)
                self._values[key] = now + lifetime, value

    def get(self, key: bytes, request: SessionRequest | None = None) -> bytes | None:
        """The value, which counts as used."""
        with self._lock:
            found = self._values.get(key)
            if found is None or found[0] <= monotonic():
                return None
            self._values.move_to_end(key)
            return found[1]

    def take(self, key: bytes, request: SessionRequest | None = None) -> bytes | None:
        """The value, which is then gone."""
        with self._lock:
            found = self._values.pop(key, None)
            return None if found is None or found[0] <= monotonic() else found[1]

    def add(self, key: bytes, lifetime: float, request: SessionRequest | None = None) -> bool:
        """Whether this is the first mark of its key; False where it has no room."""
        now = monotonic()
        with self._lock:
            self._drop_expired(now)
            if self._marks.get(key, now) > now or not lifetime > 0 or not self._make_room():
                return False
            self._expire_at(now + lifetime, key, True)
            self._marks[key] = now + lifetime
            return True

    def remove(self, key: bytes) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(key, None)

    def __len__(self) -> int:
        """Entries, among them some that expired."""
        return len(self._values) + len(self._marks)

    # What follows needs the lock.

    def _make_room(self) -> bool:
        """Drop values for one more entry; False where there are marks only."""
        while len(self._values) + len(self._marks) >= self._maximum:
            if not self._values:
                return False
            self._values.popitem(last=False)
        return True

    def _expire_at(self, expires: float, key: bytes, is_mark: bool) -> None:
        if len(self._expiries) > 2 * len(self) + 64:
            self._expiries = [(at, key, False) for key, (at, _) in self._values.items()]
            self._expiries += [(at, key, True) for key, at in self._marks.items()]
            heapq.heapify(self._expiries)
        heapq.heappush(self._expiries, (expires, key, is_mark))

    def _drop_expired(self, now: float) -> None:
        for _ in range(_EXPIRED_AT_A_TIME):
            if not self._expiries or self._expiries[0][0] > now:
                return
            expires, key, is_mark = heapq.heappop(self._expiries)
            # What is there may have been put later, and last longer.
            if is_mark:
                if self._marks.get(key, math.inf) <= expires:
                    del self._marks[key]
            elif self._values.get(key, (math.inf, b""))[0] <= expires:
                del self._values[key]


class SQLiteSessionStore:
    """A SessionStore in a file, for all processes of one machine.

    path: of the file, which is made where it does not exist, for its owner only. It has to be on a
        local disk; beside it are files whose names end in -wal and -shm.
    maximum: entries, of both kinds together. Where a value has no room, those that expire first
        make it, but no mark does.
    timeout: seconds to wait while other processes write.

    A process may be killed at any time. The last moments before the whole machine fails may be
    lost, because nothing waits for the disk.

    All methods raise sqlite3.Error where the file cannot be used. The constructor raises OSError,
    too, and ValueError for a file that is something else. TypeError, ValueError: an argument of a
    wrong type or out of range.
    """

    # One connection for all threads: whoever writes waits for all other writers anyway.
    __slots__ = (
        "__weakref__",
        "_connection",
        "_lock",
        "_maximum",
        "_path",
        "_timeout",
        "complete_since",
    )

    complete_since: Final[float]
    _connection: sqlite3.Connection | None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        maximum: int = 200_000,
        timeout: float = 5.0,
    ) -> None:
        self._path = os.path.abspath(os.fspath(path))
        if not isinstance(self._path, str):
            raise TypeError("path must be a str or a path")
        self._maximum = _whole_number(maximum, "maximum")
        if not isinstance(timeout, int | float) or isinstance(timeout, bool):
            raise TypeError("timeout must be a number of seconds")
        if not 0 <= timeout < math.inf:
            raise ValueError("timeout must be 0 or more, and finite")
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection = None
        _open_stores.add(self)
        with self._lock:
            [(complete_since,)] = self._connected().execute("SELECT created FROM store")
        self.complete_since = complete_since

    def put(self, key: bytes, value: bytes, lifetime: float) -> None:
        """Keep a value for so many seconds. It is dropped where only marks could make room."""
        now = time()
        with self._lock, self._connected() as connection:
            # The transaction ends where the connection's block ends.
            connection.execute("BEGIN IMMEDIATE")
            _delete_expired(connection, now)
            connection.execute("DELETE FROM session WHERE key = ?", (key,))
            if not lifetime > 0:
                return
            if self._make_room(connection):
                connection.execute(
                    "INSERT INTO session VALUES (?, ?, ?)", (key, value, now + lifetime)
                )

    def get(self, key: bytes, request: SessionRequest | None = None) -> bytes | None:
        """The value."""
        with self._lock:
            return _find(self._connected(), key)

    def take(self, key: bytes, request: SessionRequest | None = None) -> bytes | None:
        """The value, which is then gone, in all processes."""
        with self._lock:
            connection = self._connected()
            # Keys that a peer has made up shall not stop those who write.
            if _find(connection, key) is None:
                return None
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                value = _find(connection, key)
                connection.execute("DELETE FROM session WHERE key = ?", (key,))
                return value

    def add(self, key: bytes, lifetime: float, request: SessionRequest | None = None) -> bool:
        """Whether this is the first mark of its key in any process; False where it has no room."""
        now = time()
        with self._lock, self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            _delete_expired(connection, now)
            connection.execute("DELETE FROM mark WHERE key = ? AND expires <= ?", (key, now))
            if not lifetime > 0 or not self._make_room(connection):
                return False
            added = connection.execute(
                "INSERT OR IGNORE INTO mark VALUES (?, ?)", (key, now + lifetime)
            )
            return added.rowcount == 1

    def remove(self, key: bytes) -> None:
        """Forget a value."""
        with self._lock, self._connected() as connection:
            connection.execute("DELETE FROM session WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the file. It is opened again when the store is used again."""
        with self._lock:
            self._disconnect()

    def __len__(self) -> int:
        """Entries, among them some that expired."""
        with self._lock:
            return _count(self._connected())

    # What follows needs the lock.

    def _make_room(self, connection: sqlite3.Connection) -> bool:
        """Drop values for one more entry; False where there are marks only."""
        excess = _count(connection) + 1 - self._maximum
        if excess > 0:
            connection.execute(
                "DELETE FROM session WHERE key IN "
                "(SELECT key FROM session ORDER BY expires LIMIT ?)",
                (excess,),
            )
        return _count(connection) < self._maximum

    def _connected(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is None:
            connection = self._connection = _connect(self._path, self._timeout)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


# SQLite keeps the locks that a process has in the memory of that process. After a fork the child
# would believe that it holds what its parent holds. So no file is open in that moment: a fork waits
# for the calls that are under way, and each process opens its files again when it needs them.

_open_stores: weakref.WeakSet[SQLiteSessionStore] = weakref.WeakSet()
_forking = threading.Lock()
_paused: list[SQLiteSessionStore] = []


def _before_fork() -> None:
    _forking.acquire()
    for store in list(_open_stores):
        store._lock.acquire()
        _paused.append(store)
        with suppress(sqlite3.Error):
            store._disconnect()


def _after_fork() -> None:
    while _paused:
        _paused.pop()._lock.release()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)

_SCHEMA_VERSION = 1
_SCHEMA = (
    "CREATE TABLE session (key BLOB PRIMARY KEY, value BLOB NOT NULL, expires REAL NOT NULL)",
    "CREATE INDEX session_expires ON session (expires)",
    "CREATE TABLE mark (key BLOB PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX mark_expires ON mark (expires)",
    # One row; entries is how many the other tables have, for count(*) would go through them all.
    "CREATE TABLE store (created REAL NOT NULL, entries INTEGER NOT NULL)",
    *(
        f"CREATE TRIGGER {table}_{event} AFTER {event} ON {table} "
        f"BEGIN UPDATE store SET entries = entries {change}; END"
        for table in ("session", "mark")
        for event, change in (("insert", "+ 1"), ("delete", "- 1"))
    ),
)


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    # Not open(): to close a file again would drop the locks that other connections of this process
    # have on it.
    with suppress(FileExistsError):
        os.mknod(path, 0o600 | stat.S_IFREG)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        _check_version(connection)
        _use_write_ahead_log(connection, timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        # What was removed is overwritten, for the sake of forward secrecy.
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            # Somebody else may have been faster.
            if not _check_version(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO store VALUES (?, 0)", (time(),))
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there. ValueError: other tables are."""
    # In this order, because somebody else may make them in between.
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master")
    [(version,)] = connection.execute("PRAGMA user_version")
    if version == _SCHEMA_VERSION:
        return True
    if version or tables:
        raise ValueError("the file is a database, but not a session store of this version")
    return False


def _use_write_ahead_log(connection: sqlite3.Connection, timeout: float) -> None:
    # SQLite itself does not wait here while others make the same change.
    deadline = monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                raise
        sleep(0.005)


def _find(connection: sqlite3.Connection, key: bytes) -> bytes | None:
    row = connection.execute(
        "SELECT value FROM session WHERE key = ? AND expires > ?", (key, time())
    ).fetchone()
    if row is None:
        return None
    value: bytes = row[0]
    return value


def _count(connection: sqlite3.Connection) -> int:
    [(entries,)] = connection.execute("SELECT entries FROM store")
    count: int = entries
    return count


def _delete_expired(connection: sqlite3.Connection, now: float) -> None:
    for table in ("session", "mark"):
        connection.execute(
            f"DELETE FROM {table} WHERE key IN "
            f"(SELECT key FROM {table} WHERE expires <= ? ORDER BY expires LIMIT ?)",
            (now, _EXPIRED_AT_A_TIME),
        )


class MemorySessionCache:
    """A SessionCache in the memory of one process; of each name, the newest session comes first.

    maximum: names; the one used longest ago makes room. per_name: sessions of each name; the
    oldest makes room.

    Raises TypeError or ValueError for a limit that is not a whole number of 1 or more.
    """

    __slots__ = ("_lock", "_maximum", "_per_name", "_sessions")

    def __init__(self, maximum: int = 1000, per_name: int = 4) -> None:
        self._maximum = _whole_number(maximum, "maximum")
        self._per_name = _whole_number(per_name, "per_name")
        self._lock = threading.Lock()
        # By name: its sessions, the newest at the end; the name used last is at the end.
        self._sessions: OrderedDict[str, list[Any]] = OrderedDict()

    def put(self, name: str, session: Any) -> None:
        """Keep a Session."""
        with self._lock:
            sessions = self._sessions.setdefault(name, [])
            self._sessions.move_to_end(name)
            sessions.append(session)
            del sessions[: -self._per_name]
            if len(self._sessions) > self._maximum:
                self._sessions.popitem(last=False)

    def take(self, name: str, request: SessionCacheRequest | None = None) -> Any | None:
        """The newest Session that has not expired, which is then gone."""
        now = time()
        with self._lock:
            sessions = self._sessions.get(name)
            if sessions is None:
                return None
            self._sessions.move_to_end(name)
            found = None
            while found is None and sessions:
                session = sessions.pop()
                if session.expires > now:
                    found = session
            if not sessions:
                del self._sessions[name]
            return found

    def remove(self, name: str, session: Any) -> None:
        """Forget a Session, if it is there."""
        with self._lock:
            sessions = self._sessions.get(name, [])
            if session in sessions:
                sessions.remove(session)
            if not sessions:
                self._sessions.pop(name, None)

    def __len__(self) -> int:
        """Names, among them some whose sessions expired."""
        return len(self._sessions)


def _whole_number(value: int, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more")
    return value
