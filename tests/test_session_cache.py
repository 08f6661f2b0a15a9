"""Where clients keep sessions."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from test_session_store import at_once, joined

from fasths.session_store import (
    MemorySessionCache,
    MemorySessionStore,
    SessionCache,
    SessionStore,
    SQLiteSessionStore,
)

# Long enough for a slow machine to do what a test does in between.
SHORT = 0.4
LONG = 1000.0


def session(lifetime=LONG):
    """All that a cache looks at of a Session."""
    return SimpleNamespace(expires=time.time() + lifetime)


def test_the_newest_session_comes_first_and_each_once():
    cache = MemorySessionCache()
    a, b, c = session(), session(), session()
    cache.put("one", a)
    cache.put("two", b)
    cache.put("one", c)
    assert [cache.take("one") for _ in range(3)] == [c, a, None]
    assert cache.take("two") is b
    assert cache.take("three") is None
    assert len(cache) == 0


def test_an_expired_session_is_not_given_out():
    cache = MemorySessionCache()
    kept = session()
    for each in (session(-1), kept, session(0), session(-5)):
        cache.put("name", each)
    assert cache.take("name") is kept
    assert cache.take("name") is None
    assert len(cache) == 0


def test_a_name_has_a_bounded_number_of_sessions():
    cache = MemorySessionCache(per_name=2)
    sessions = [session() for _ in range(5)]
    for each in sessions:
        cache.put("name", each)
    assert [cache.take("name") for _ in range(3)] == [sessions[4], sessions[3], None]


def test_a_cache_has_a_bounded_number_of_names():
    cache = MemorySessionCache(maximum=3)
    for name in "abcd":
        cache.put(name, session())
        cache.put(name, session())
    assert len(cache) == 3
    assert cache.take("a") is None
    assert cache.take("b") is not None
    # "b" is used now, so the next to go is "c".
    cache.put("e", session())
    assert cache.take("c") is None
    assert [cache.take(name) is not None for name in "bde"] == [True] * 3


def test_of_many_threads_one_takes_a_session():
    cache = MemorySessionCache(per_name=1000)
    sessions = [session() for _ in range(1000)]
    for each in sessions:
        cache.put("name", each)
    results = at_once(8, lambda: [id(cache.take("name")) for _ in range(125)])
    assert joined(results) == sorted(map(id, sessions))


def test_the_protocols(tmp_path):
    assert isinstance(MemorySessionStore(), SessionStore)
    assert isinstance(SQLiteSessionStore(tmp_path / "sessions"), SessionStore)
    assert isinstance(MemorySessionCache(), SessionCache)
    assert not isinstance(MemorySessionCache(), SessionStore)


LIMITS = pytest.mark.parametrize(
    "limited",
    [
        lambda value, tmp_path: MemorySessionStore(value),
        lambda value, tmp_path: SQLiteSessionStore(tmp_path, maximum=value),
        lambda value, tmp_path: MemorySessionCache(value),
        lambda value, tmp_path: MemorySessionCache(per_name=value),
    ],
    ids=["memory", "sqlite", "cache", "per_name"],
)


@LIMITS
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_out_of_range_is_refused(limited, value, tmp_path):
    with pytest.raises(ValueError, match="1 or more"):
        limited(value, tmp_path)


@LIMITS
@pytest.mark.parametrize("value", [True, 1.5, "7", None], ids=repr)
def test_a_limit_of_a_wrong_type_is_refused(limited, value, tmp_path):
    with pytest.raises(TypeError, match="must be an int"):
        limited(value, tmp_path)
