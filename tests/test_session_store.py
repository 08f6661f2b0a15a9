"""Session stores and caches: bounds, lifetimes, and that of many only one is the first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
import time

import pytest

from fasths.session_store import (
    MemorySessionStore,
    SQLiteSessionStore,
)

# Long enough for a slow machine to do what a test does in between.
SHORT = 0.4
LONG = 1000.0


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    """make(maximum): a store of either kind."""
    stores = []

    def make_store(maximum=1000):
        if request.param == "memory":
            return MemorySessionStore(maximum)
        stores.append(SQLiteSessionStore(tmp_path / "sessions", maximum=maximum))
        return stores[-1]

    yield make_store
    for each in stores:
        each.close()


@pytest.fixture
def store(make):
    return make()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions"


def key(number):
    return b"key %d" % number


# --- Values


@pytest.mark.parametrize("value", [b"", b"\0", b"a value", bytes(100_000)], ids=len)
@pytest.mark.parametrize("name", [b"", b"\0\xff", b"a key", bytes(1000)], ids=len)
def test_a_value_is_kept(store, name, value):
    store.put(name, value, LONG)
    assert store.get(name) == value
    assert store.get(name) == value
    assert store.get(name + b"\0") is None


def test_a_value_replaces_the_one_before(store):
    store.put(b"a", b"1", LONG)
    store.put(b"a", b"2", LONG)
    assert store.get(b"a") == b"2"
    assert len(store) == 1


def test_a_value_is_taken_once(store):
    store.put(b"a", b"1", LONG)
    store.put(b"b", b"2", LONG)
    assert store.take(b"a") == b"1"
    assert store.take(b"a") is store.get(b"a") is store.take(b"c") is None
    assert store.get(b"b") == b"2"
    assert len(store) == 1


def test_a_removed_value_is_gone(store):
    store.put(b"a", b"1", LONG)
    store.remove(b"a")
    store.remove(b"a")
    assert store.get(b"a") is None
    assert store.take(b"a") is None
    assert len(store) == 0


def test_an_expired_value_is_gone(store):
    store.put(b"a", b"1", SHORT)
    store.put(b"b", b"2", SHORT)
    assert (store.get(b"a"), store.get(b"b")) == (b"1", b"2")
    time.sleep(SHORT)
    assert store.get(b"a") is None
    assert store.take(b"b") is None


def test_a_replaced_value_lasts_as_long_as_the_new_one(store):
    store.put(b"a", b"1", SHORT)
    store.put(b"b", b"1", LONG)
    store.put(b"a", b"2", LONG)
    store.put(b"b", b"2", SHORT)
    time.sleep(SHORT)
    store.put(b"c", b"3", LONG)
    assert store.get(b"a") == b"2"
    assert store.get(b"b") is None


@pytest.mark.parametrize("lifetime", [0, -1.0, float("nan")])
def test_a_value_without_a_lifetime_is_not_kept(store, lifetime):
    store.put(b"a", b"1", LONG)
    store.put(b"a", b"2", lifetime)
    assert store.get(b"a") is None
    assert len(store) == 0


def test_expired_values_are_removed_in_passing(store):
    for i in range(200):
        store.put(key(i), b"1", SHORT)
    time.sleep(SHORT)
    for i in range(200, 210):
        store.put(key(i), b"2", LONG)
    assert len(store) == 10
    assert all(store.get(key(i)) == b"2" for i in range(200, 210))


def test_a_full_store_drops_a_value_for_another(make):
    store = make(10)
    for i in range(30):
        store.put(key(i), b"%d" % i, LONG + i)
    assert len(store) == 10
    assert [store.get(key(i)) for i in range(20)] == [None] * 20
    assert [store.get(key(i)) for i in range(20, 30)] == [b"%d" % i for i in range(20, 30)]


def test_a_full_store_needs_no_room_to_replace_a_value(make):
    store = make(3)
    for value in (b"1", b"2"):
        for i in range(3):
            store.put(key(i), value, LONG)
    assert [store.get(key(i)) for i in range(3)] == [b"2"] * 3


def test_expired_values_make_room_first(make):
    store = make(3)
    store.put(b"a", b"1", LONG)
    store.put(b"b", b"2", SHORT)
    store.put(b"c", b"3", LONG)
    time.sleep(SHORT)
    store.put(b"d", b"4", LONG)
    assert [store.get(each) for each in (b"a", b"b", b"c", b"d")] == [b"1", None, b"3", b"4"]


def test_in_memory_the_value_used_longest_ago_makes_room():
    store = MemorySessionStore(2)
    store.put(b"a", b"1", LONG)
    store.put(b"b", b"2", LONG)
    store.get(b"a")
    store.put(b"c", b"3", LONG)
    assert [store.get(each) for each in (b"a", b"b", b"c")] == [b"1", None, b"3"]


def test_in_a_file_the_value_that_expires_first_makes_room(path):
    store = SQLiteSessionStore(path, maximum=2)
    store.put(b"a", b"1", LONG)
    store.put(b"b", b"2", LONG / 2)
    store.put(b"c", b"3", LONG)
    assert [store.get(each) for each in (b"a", b"b", b"c")] == [b"1", None, b"3"]


def test_a_smaller_maximum_drops_what_is_too_much(path):
    store = SQLiteSessionStore(path, maximum=100)
    for i in range(100):
        store.put(key(i), b"1", LONG + i)
    smaller = SQLiteSessionStore(path, maximum=10)
    smaller.put(b"a", b"1", LONG)
    assert len(store) == 10
    assert store.get(b"a") == b"1"
    assert store.get(key(99)) == b"1"


# --- Marks


def test_only_the_first_adds_a_mark(store):
    assert store.add(b"a", LONG) is True
    assert store.add(b"a", LONG) is False
    assert store.add(b"a", 2 * LONG) is False
    assert store.add(b"b", LONG) is True
    assert len(store) == 2


def test_a_mark_expires(store):
    assert store.add(b"a", SHORT) is True
    assert store.add(b"a", LONG) is False
    time.sleep(SHORT)
    assert store.add(b"a", LONG) is True
    time.sleep(SHORT / 2)
    assert store.add(b"b", LONG) is True
    assert store.add(b"a", LONG) is False
    assert len(store) == 2


def test_an_expired_mark_that_is_not_yet_removed_counts_for_nothing(store):
    # More of them than one call removes; the last of them is looked at first.
    for i in range(200):
        assert store.add(key(i), SHORT) is True
    time.sleep(SHORT)
    assert store.add(key(199), LONG) is True
    assert store.add(key(199), LONG) is False
    for i in range(300, 310):
        assert store.add(key(i), LONG) is True
    assert store.add(key(199), LONG) is False
    assert len(store) == 11


@pytest.mark.parametrize("lifetime", [0, -1.0, float("nan")])
def test_a_mark_without_a_lifetime_is_refused(store, lifetime):
    assert store.add(b"a", lifetime) is False
    assert store.add(b"a", LONG) is True
    assert store.add(b"a", lifetime) is False


def test_a_mark_in_a_full_store_is_refused(make):
    store = make(3)
    store.put(b"value", b"1", LONG)
    assert store.add(b"a", LONG) is True
    assert store.add(b"b", LONG) is True
    assert store.get(b"value") == b"1"
    # A value makes room for a mark, and no mark does.
    assert store.add(b"c", LONG) is True
    assert store.get(b"value") is None
    assert store.add(b"d", LONG) is False
    assert store.add(b"d", LONG) is False
    assert store.add(b"a", LONG) is False
    assert len(store) == 3


def test_a_full_store_takes_marks_again_when_some_have_expired(make):
    store = make(200)
    for i in range(200):
        assert store.add(key(i), SHORT if i % 2 else LONG) is True
    assert store.add(b"a", LONG) is False
    time.sleep(SHORT)
    assert store.add(b"a", LONG) is True
    for i in range(0, 200, 2):
        assert store.add(key(i), LONG) is False


def test_no_value_takes_the_room_of_a_mark(make):
    store = make(3)
    store.put(b"value", b"1", LONG)
    for i in range(2):
        assert store.add(key(i), LONG) is True
    for i in range(10):
        store.put(b"value %d" % i, b"2", LONG)
    assert store.take(b"value 9") == b"2"
    assert store.add(key(2), LONG) is True
    store.put(b"value", b"3", LONG)
    assert store.get(b"value") is None
    for i in range(3):
        assert store.add(key(i), LONG) is False
    assert len(store) == 3


def test_marks_and_values_know_nothing_of_each_other(store):
    assert store.add(b"a", LONG) is True
    assert store.get(b"a") is store.take(b"a") is None
    store.put(b"a", b"1", LONG)
    assert store.get(b"a") == b"1"
    store.remove(b"a")
    assert store.add(b"a", LONG) is False
    store.put(b"b", b"2", LONG)
    assert store.add(b"b", LONG) is True
    assert store.take(b"b") == b"2"
    assert store.add(b"b", LONG) is False


def test_complete_since_is_when_the_file_was_made(tmp_path):
    before = time.time()
    store = SQLiteSessionStore(tmp_path / "store")
    assert before <= store.complete_since <= time.time()


def test_a_store_in_memory_has_a_scope_of_its_own():
    store = MemorySessionStore()
    assert store.complete_since == 0.0
    assert len(store.scope) == 8
    assert store.scope == store.scope != MemorySessionStore().scope


def test_what_was_taken_or_replaced_takes_no_memory():
    store = MemorySessionStore()
    for i in range(10_000):
        store.put(key(i), b"1", LONG)
        store.put(b"the same", b"1", LONG)
        store.take(key(i))
    assert len(store) == 1
    assert len(store._expiries) < 100
    # What is left still expires.
    store.put(b"the same", b"1", SHORT)
    store.add(b"a", SHORT)
    for _ in range(1000):
        store.put(b"another", b"1", LONG)
    time.sleep(SHORT)
    store.put(b"another", b"1", LONG)
    assert len(store) == 1


# --- Threads and processes


def at_once(count, function):
    """The results of so many threads that begin together."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(i):
        barrier.wait()
        try:
            results[i] = function()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def added(store, keys):
    return [each for each in keys if store.add(each, LONG)]


def taken(store, keys):
    return [(each, value) for each in keys if (value := store.take(each)) is not None]


def joined(results):
    return sorted(each for result in results for each in result)


KEYS = [key(i) for i in range(300)]
VALUES = [(each, b"value of " + each) for each in KEYS]


def test_of_many_threads_one_adds_a_mark(store):
    results = at_once(8, lambda: added(store, KEYS))
    assert joined(results) == sorted(KEYS)


def test_of_many_threads_one_takes_a_value(store):
    for each, value in VALUES:
        store.put(each, value, LONG)
    results = at_once(8, lambda: taken(store, KEYS))
    assert joined(results) == sorted(VALUES)
    assert len(store) == 0


def test_threads_that_do_everything_at_once(make):
    store = make(50)

    def use():
        for i in range(300):
            store.put(key(i % 70), b"%d" % (i % 70), LONG)
            assert store.get(key(i % 60)) in (None, b"%d" % (i % 60))
            assert store.take(key(i % 50)) in (None, b"%d" % (i % 50))
            store.add(key(i % 30), 0.01)
            store.remove(key(i % 20))

    at_once(6, use)
    assert len(store) <= 50


RACES = KEYS[:100]


def add_in_process(folder, barrier):
    store = SQLiteSessionStore(folder / "marks")
    return [each for each in RACES if barrier.wait() >= 0 and store.add(each, LONG)]


def take_in_process(folder, barrier):
    store = SQLiteSessionStore(folder / "values")
    return [each for each in RACES if barrier.wait() >= 0 and store.take(each)]


def fill_in_process(folder, barrier):
    found = []
    for i in range(30):
        barrier.wait()
        # The file does not exist yet: they also make it at once.
        store = SQLiteSessionStore(folder / str(i), maximum=1)
        barrier.wait()
        if store.add(b"mark of %d" % os.getpid(), LONG):
            found.append(i)
    return found


def race(folder, barrier, results):
    results.put(
        [each(folder, barrier) for each in (add_in_process, take_in_process, fill_in_process)]
    )


def end(processes):
    for each in processes:
        each.join(10)
        # Only where something has failed already.
        each.kill()
        each.join()


def in_processes(count, function, folder):
    """The results of so many new processes that begin together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count, timeout=30), context.Queue()
    processes = [
        context.Process(target=function, args=(folder, barrier, results)) for _ in range(count)
    ]
    for each in processes:
        each.start()
    try:
        found = [results.get(timeout=60) for _ in processes]
    finally:
        end(processes)
    assert [each.exitcode for each in processes] == [0] * count
    return found


def test_of_many_processes_one_is_the_first(tmp_path):
    """To add a mark, to take a value, and to fill a store that has a maximum."""
    values = SQLiteSessionStore(tmp_path / "values")
    for each in RACES:
        values.put(each, b"1", LONG)
    marks_added, values_taken, stores_filled = zip(*in_processes(5, race, tmp_path), strict=True)
    assert joined(marks_added) == joined(values_taken) == sorted(RACES)
    assert joined(stores_filled) == list(range(30))
    for won in (marks_added, values_taken, stores_filled):
        # Not always the same one, or this test shows nothing.
        assert sum(bool(each) for each in won) > 1
    assert len(values) == 0
    assert [len(SQLiteSessionStore(tmp_path / str(i))) for i in range(30)] == [1] * 30


def add_until_killed(path, ready):
    store = SQLiteSessionStore(path)
    for i in range(1 << 30):
        store.add(key(i), LONG)
        if i == 100:
            ready.set()


def test_a_process_that_is_killed_while_it_writes_does_no_harm(path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=add_until_killed, args=(path, ready))
    process.start()
    assert ready.wait(60)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    store = SQLiteSessionStore(path)
    count = len(store)
    assert count > 100
    assert added(store, [key(i) for i in range(count)]) == []
    assert store.add(key(count), LONG) is True
    assert len(store) == count + 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_store_goes_on_after_a_fork(path):
    store = SQLiteSessionStore(path)
    keys = [key(i) for i in range(2000)]
    before = added(store, keys[:100])
    ends = threading.Event()
    by_thread = []

    def write():
        # Something is under way in another thread, and locks are held, whenever a fork is made.
        while not ends.is_set():
            by_thread.extend(added(store, [b"thread %d" % len(by_thread)]))

    thread = threading.Thread(target=write)
    thread.start()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = []

    def use():
        results.put(added(store, keys))
        results.put(taken(store, [b"a"]))

    store.put(b"a", b"1", LONG)
    try:
        for _ in range(4):
            processes.append(context.Process(target=use))
            processes[-1].start()
        mine = added(store, keys)
        found = [results.get(timeout=60) for _ in range(2 * len(processes))]
    finally:
        ends.set()
        thread.join()
        end(processes)
    assert [each.exitcode for each in processes] == [0] * 4
    assert [each for result in found for each in result if isinstance(each, tuple)] == [
        (b"a", b"1")
    ]
    marks = [each for result in found for each in result if isinstance(each, bytes)]
    assert sorted([*before, *mine, *marks]) == sorted(keys)
    assert len(by_thread) > 0
    assert added(store, by_thread) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_no_open_file_is_carried_into_a_fork(path):
    store = SQLiteSessionStore(path)
    store.add(b"a", LONG)

    def open_files():
        links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
        return [os.readlink(each) for each in links if os.path.lexists(each)]

    assert os.fspath(path) in open_files()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(open_files()))
    process.start()
    found = results.get()
    end([process])
    assert [each for each in found if each.startswith(os.fspath(path))] == []
    assert store.add(b"a", LONG) is False


# --- The file


def test_a_file_outlives_its_store(path):
    store = SQLiteSessionStore(path)
    store.put(b"a", b"1", LONG)
    store.add(b"b", LONG)
    store.close()
    again = SQLiteSessionStore(path)
    assert again.complete_since == store.complete_since
    assert again.add(b"b", LONG) is False
    assert again.take(b"a") == b"1"
    # A closed store can be used again.
    assert store.take(b"a") is None


def test_a_relative_path_is_that_of_the_beginning(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = SQLiteSessionStore("sessions")
    store.close()
    monkeypatch.chdir("/")
    assert store.add(b"a", LONG) is True
    assert path.exists()


def test_the_files_are_for_their_owner_only(path, tmp_path):
    before = os.umask(0)
    try:
        store = SQLiteSessionStore(path)
        store.put(b"a", b"1", LONG)
        files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert files == {"sessions": 0o600, "sessions-wal": 0o600, "sessions-shm": 0o600}


def test_a_file_that_exists_keeps_its_mode(path):
    path.touch()
    path.chmod(0o640)
    SQLiteSessionStore(path).put(b"a", b"1", LONG)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_was_taken_is_not_left_in_the_file(path):
    store = SQLiteSessionStore(path)
    secret = os.urandom(500)
    store.put(b"a", secret, LONG)
    store.close()
    assert secret in path.read_bytes()
    store.take(b"a")
    store.close()
    assert secret not in path.read_bytes()


def test_the_count_of_entries_is_right(path):
    store = SQLiteSessionStore(path, maximum=30)
    for i in range(100):
        store.put(key(i % 40), b"1", SHORT if i % 2 else LONG)
        store.add(key(i % 20), SHORT)
        store.take(key(i % 15))
        store.remove(key(i % 35))
    time.sleep(SHORT)
    store.put(b"a", b"1", LONG)
    connection = sqlite3.connect(path)
    [(sessions,)] = connection.execute("SELECT count(*) FROM session")
    [(marks,)] = connection.execute("SELECT count(*) FROM mark")
    connection.close()
    assert sessions > 1
    assert len(store) == sessions + marks


def test_another_database_is_refused(path):
    sqlite3.connect(path).execute("CREATE TABLE other (x)").connection.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a session store"):
        SQLiteSessionStore(path)
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(path):
    SQLiteSessionStore(path).close()
    sqlite3.connect(path).execute("PRAGMA user_version = 2").connection.close()
    with pytest.raises(ValueError, match="not a session store"):
        SQLiteSessionStore(path)


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        SQLiteSessionStore(path)
    assert path.read_bytes() == b"something else" * 1000


def test_a_directory_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        SQLiteSessionStore(tmp_path / "missing" / "sessions")


def test_a_directory_as_file_is_refused(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        SQLiteSessionStore(tmp_path)


def every_call(store):
    yield lambda: store.put(b"a", b"1", LONG)
    yield lambda: store.get(b"a")
    yield lambda: store.take(b"a")
    yield lambda: store.add(b"a", LONG)
    yield lambda: store.remove(b"a")


def test_a_file_that_was_damaged_is_an_error_of_every_call(path):
    store = SQLiteSessionStore(path)
    for call in every_call(store):
        store.close()
        path.write_bytes(b"something else" * 1000)
        with pytest.raises(sqlite3.DatabaseError):
            call()


def test_who_cannot_write_in_time_gets_an_error_and_no_answer(path):
    store = SQLiteSessionStore(path, timeout=0.1)
    store.put(b"a", b"1", LONG)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    put, get, take, add, remove = every_call(store)
    for call in (put, take, add, remove):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            call()
    assert get() == b"1"
    other.execute("ROLLBACK")
    other.close()
    # Nothing is left of the calls that failed.
    assert add() is True
    assert take() == b"1"


def test_who_can_write_in_time_waits(path):
    store = SQLiteSessionStore(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(SHORT, lambda: other.execute("COMMIT"))
    timer.start()
    assert store.add(b"a", LONG) is True
    timer.join()
    other.close()


@pytest.mark.parametrize("value", [b"bytes", 1.5, None, 7], ids=repr)
def test_a_path_of_a_wrong_type_is_refused(value):
    with pytest.raises(TypeError):
        SQLiteSessionStore(value)


def test_a_timeout_out_of_range_is_refused(path):
    for timeout in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            SQLiteSessionStore(path, timeout=timeout)


def test_a_timeout_of_a_wrong_type_is_refused(path):
    for timeout in (True, "1", None):
        with pytest.raises(TypeError, match="timeout"):
            SQLiteSessionStore(path, timeout=timeout)
