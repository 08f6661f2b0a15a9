"""What arrives in any pieces arrives; what arrives damaged, cut or repeated ends in an error.

A whole conversation (handshake, a request, an answer, both close_notify) is played again and again,
with each flight handed to a function that may cut it into pieces or change it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from helpers import (
    HOST,
    NONE,
    SSL,
    WANT_READ,
    ZERO_RETURN,
    client_context,
    count_alerts,
    identity,
    server_context,
)
from refusals12 import TLS12_ALONE
from resumed_pairs import session_of

import fasths
from fasths import (
    AlertDescription,
    Connection,
    ContentType,
    MemoryBIO,
    MemorySessionStore,
    Origin,
    Session,
    Verify,
)

REQUEST, ANSWER = b"a request", b"an answer"

# Takes the number of the flight and its bytes; yields what arrives, piece by piece.
Delivery = Callable[[int, bytes], Iterable[bytes]]

QUIET: dict[str, Any] = {"verify": Verify.NONE}


class Variant(NamedTuple):
    """session: makes what the client offers, for each conversation anew."""

    client: fasths.Context
    server: fasths.Context
    session: Callable[[], Session | None] = lambda: None
    is_tls12: bool = False


def in_tls12(
    client: dict[str, Any], server: dict[str, Any], *, both_versions: bool = False
) -> Variant:
    """both_versions: whether the client offers TLS 1.3 as well."""
    settings = {} if both_versions else TLS12_ALONE
    return Variant(
        client_context(**{**settings, **client}),
        server_context(**{**TLS12_ALONE, **server}),
        is_tls12=True,
    )


def with_ticket() -> Variant:
    variant = in_tls12(QUIET, {})
    return variant._replace(
        session=functools.cache(lambda: session_of(variant.client, variant.server))
    )


def with_session_id() -> Variant:
    store = MemorySessionStore()
    variant = in_tls12(QUIET, {"session_store": store})

    @functools.cache
    def first() -> tuple[Session, bytes, bytes]:
        session = session_of(variant.client, variant.server)
        key = b"session:" + session.session_id
        return session, key, store.get(key)

    def again() -> Session:
        # A conversation that failed has removed it (RFC 5246, 7.2.2).
        session, key, state = first()
        store.put(key, state, 100)
        return session

    return variant._replace(session=again)


VARIANTS = {
    "plain": Variant(client_context(**QUIET), server_context()),
    "retry": Variant(
        client_context(groups=("secp256r1", "x25519"), key_share_groups=("secp256r1",), **QUIET),
        server_context(retry_with_cookie=True),
    ),
    "client certificate": Variant(
        client_context(identities=[identity()]),
        server_context(verify=Verify.REQUIRED),
    ),
    "1.2": in_tls12(QUIET, {}),
    "1.2 of both": in_tls12(QUIET, {"session_tickets": 0}, both_versions=True),
    "1.2 client certificate": in_tls12({"identities": [identity()]}, {"verify": Verify.REQUIRED}),
    "1.2 ticket": with_ticket(),
    "1.2 session id": with_session_id(),
}
VARIANT = pytest.mark.parametrize("variant", VARIANTS)


def at_once(_number: int, flight: bytes) -> Iterator[bytes]:
    yield flight


class Side:
    """One end of the conversation, which does what is due and checks every result."""

    def __init__(self, context: fasths.Context) -> None:
        self.bio = MemoryBIO()
        self.conn = Connection(context, self.bio, server_hostname=HOST)
        self.heard = bytearray()
        self.sent = bytearray()
        self.said = self.closed = False

    def step(self) -> None:
        conn = self.conn
        ret = conn.do_handshake()
        if ret == 1 and not self.said and self.is_its_turn():
            ret = conn.write(self.words)
            self.said = True
        if ret > 0:
            data = conn.read()
            self.heard += data or b""
            ret = -1 if data is None else len(data)
        if conn.established and conn.last_error is None and self.is_done(ret):
            ret = conn.shutdown()
            self.closed = ret == 1
        code = conn.get_error(ret)
        assert (ret, code) in ((ret, NONE), (-1, WANT_READ), (-1, SSL), (0, ZERO_RETURN))
        assert (code is SSL) == (conn.last_error is not None)

    def take_output(self) -> bytes:
        data = self.bio.read()
        self.sent += data
        return data

    def check(self) -> None:
        """However it ended, it is defined how."""
        error, alerts = self.conn.last_error, count_alerts(self.sent)
        if error is None:
            # Ours is the only alert then: close_notify, which a handshake does not have.
            assert alerts <= 1
            assert self.closed or self.conn.do_handshake() == 0
            return
        assert error.reason
        assert error.alert is not AlertDescription.internal_error
        if error.origin is Origin.LOCAL:
            assert error.alert is not None
            assert alerts == 1
        else:
            assert (error.origin is Origin.PEER) == (error.alert is not None)
            assert alerts == int(self.has_shut_down)
        sent = len(self.sent)
        self.step()
        self.take_output()
        assert (len(self.sent), self.conn.last_error) == (sent, error)


class Client(Side):
    words = REQUEST
    has_shut_down = False

    def is_its_turn(self) -> bool:
        return True

    def is_done(self, ret: int) -> bool:
        self.has_shut_down = self.heard == ANSWER
        return self.has_shut_down


class Server(Side):
    words = ANSWER
    has_shut_down = False

    def is_its_turn(self) -> bool:
        return self.heard == REQUEST

    def is_done(self, ret: int) -> bool:
        self.has_shut_down = ret == 0
        return self.has_shut_down


class Conversation:
    """The client's flights have even numbers, the server's odd ones."""

    def __init__(self, variant: str, deliver: Delivery = at_once) -> None:
        chosen = VARIANTS[variant]
        self.client, self.server = Client(chosen.client), Server(chosen.server)
        session = chosen.session()
        if session is not None:
            self.client.conn.set_session(session)
        self.is_resumed = session is not None
        self.client.conn.set_connect_state()
        self.server.conn.set_accept_state()
        self.flights: list[bytes] = []
        self.server.step()
        idle = 0
        for number in range(20):
            side, peer = self.sides(number)
            side.step()
            if not (flight := side.take_output()):
                self.flights.append(b"")
                idle += 1
                if idle == 2:
                    break
                continue
            idle = 0
            self.flights.append(flight)
            for piece in deliver(number, flight):
                peer.bio.write(piece)
                peer.step()
        else:
            raise AssertionError("the conversation does not come to an end")
        self.ended = self.client.closed and self.server.closed

    def sides(self, number: int) -> tuple[Side, Side]:
        """(who sends this flight, who receives it)."""
        return (self.server, self.client) if number % 2 else (self.client, self.server)

    def check_end(self) -> None:
        assert self.ended, (self.client.conn.last_error, self.server.conn.last_error)
        assert (self.client.heard, self.server.heard) == (ANSWER, REQUEST)
        assert self.client.conn.session_reused is self.is_resumed
        for side in (self.client, self.server):
            assert side.conn.last_error is None
            assert count_alerts(side.sent) == 1

    def check_failure(self) -> None:
        """One of them has seen it; who still waits gets the end of the transport."""
        for side, peer in (self.sides(0), self.sides(1)):
            peer.bio.write(side.take_output())
        for side in (self.client, self.server):
            side.bio.write_eof()
            side.step()
            side.take_output()
            side.check()
        errors = [self.client.conn.last_error, self.server.conn.last_error]
        assert any(errors)


def flights_of(variant: str) -> list[bytes]:
    conversation = Conversation(variant)
    conversation.check_end()
    return [flight for flight in conversation.flights if flight]


def explain(problems: dict[Any, BaseException]) -> str:
    lines = [f"{where}: {problem!r}" for where, problem in list(problems.items())[:10]]
    return f"{len(problems)} runs went wrong:\n" + "\n".join(lines)


def every(runs: Iterable[Any], run: Callable[..., None]) -> None:
    """Do all the runs, and report those that went wrong together."""
    problems: dict[Any, BaseException] = {}
    for each in runs:
        try:
            run(*each)
        except Exception as problem:
            problems[each] = problem
    assert not problems, explain(problems)


# --- In any pieces


@VARIANT
def test_at_once(variant: str) -> None:
    Conversation(variant).check_end()


@VARIANT
@pytest.mark.parametrize("size", [1, 2, 5, 6, 100])
def test_a_few_bytes_at_a_time(variant: str, size: int) -> None:
    Conversation(
        variant,
        lambda _, flight: (flight[at : at + size] for at in range(0, len(flight), size)),
    ).check_end()


@VARIANT
def test_cut_at_every_offset(variant: str) -> None:
    """Each run cuts every flight of both directions at one offset."""

    def run(cut: int) -> None:
        Conversation(variant, lambda _, flight: (flight[:cut], flight[cut:])).check_end()

    every(((cut,) for cut in range(max(map(len, flights_of(variant))))), run)


@VARIANT
def test_record_by_record(variant: str) -> None:
    def deliver(_: int, flight: bytes) -> Iterator[bytes]:
        yield from (flight[start:end] for start, end in record_bounds(flight))

    Conversation(variant, deliver).check_end()


# --- Damaged


def record_bounds(flight: bytes) -> list[tuple[int, int]]:
    bounds, at = [], 0
    while at < len(flight):
        end = at + 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
        bounds.append((at, end))
        at = end
    return bounds


def is_of_no_importance(variant: str, number: int, flight: bytes, offset: int) -> bool:
    """RFC 8446, 5.1 and 5.2: legacy_record_version is ignored where it is not authenticated.

    In TLS 1.2 only until the version is negotiated, in the first record of each side
    (RFC 5246, E.1).
    """
    bounds = record_bounds(flight)
    if VARIANTS[variant].is_tls12:
        return number < 2 and 0 < offset < 3
    return any(
        start < offset < start + 3 and flight[start] != ContentType.application_data
        for start, _ in bounds
    )


def is_dropped_anyway(variant: str, flight: bytes, bounds: tuple[int, int]) -> bool:
    """RFC 8446, D.4: change_cipher_spec means nothing there."""
    is_change = flight[bounds[0]] == ContentType.change_cipher_spec
    return is_change and not VARIANTS[variant].is_tls12


@pytest.mark.parametrize(
    ("variant", "damage", "step"),
    [
        ("plain", "flip", 1),
        ("plain", 0, 1),
        ("plain", 255, 1),
        ("retry", "flip", 3),
        ("client certificate", "flip", 3),
        ("client certificate", 255, 7),
        ("1.2", "flip", 1),
        ("1.2", 0, 1),
        ("1.2", 255, 1),
        ("1.2 of both", "flip", 3),
        ("1.2 client certificate", "flip", 1),
        ("1.2 ticket", "flip", 1),
        ("1.2 session id", "flip", 1),
    ],
)
def test_every_byte_damaged(variant: str, damage: str | int, step: int) -> None:
    flights = flights_of(variant)

    def run(number: int, offset: int) -> None:
        unchanged = False

        def deliver(at: int, flight: bytes) -> Iterator[bytes]:
            nonlocal unchanged
            if at == number:
                changed = bytearray(flight)
                changed[offset] = changed[offset] ^ 1 << offset % 8 if damage == "flip" else damage
                unchanged = changed == flight or is_of_no_importance(
                    variant, number, flight, offset
                )
                flight = bytes(changed)
            yield flight

        conversation = Conversation(variant, deliver)
        if unchanged:
            conversation.check_end()
        else:
            assert not conversation.ended
            conversation.check_failure()

    every(
        (
            (number, offset)
            for number, flight in enumerate(flights)
            for offset in range(number % step, len(flight), step)
        ),
        run,
    )


@VARIANT
@pytest.mark.parametrize("how", ["dropped", "repeated", "behind the next"])
def test_every_record(variant: str, how: str) -> None:
    """A record that is missing, repeated or late is noticed."""
    flights = flights_of(variant)

    def run(number: int, which: int) -> None:
        skipped = harmless = False

        def deliver(at: int, flight: bytes) -> Iterator[bytes]:
            nonlocal skipped, harmless
            if at == number:
                bounds = record_bounds(flight)
                pieces = [flight[start:end] for start, end in bounds]
                harmless = is_dropped_anyway(variant, flight, bounds[which])
                if how == "dropped":
                    del pieces[which]
                elif how == "repeated":
                    pieces.insert(which, pieces[which])
                    # Nothing behind close_notify is looked at.
                    harmless = harmless or number >= len(flights) - 2
                elif which + 1 < len(pieces):
                    pieces[which], pieces[which + 1] = pieces[which + 1], pieces[which]
                    skipped = any(is_dropped_anyway(variant, flight, each) for each in bounds)
                else:
                    skipped = True
                flight = b"".join(pieces)
            if flight:
                yield flight

        conversation = Conversation(variant, deliver)
        if skipped:
            return
        if harmless:
            conversation.check_end()
        else:
            assert not conversation.ended
            conversation.check_failure()

    every(
        (
            (number, which)
            for number, flight in enumerate(flights)
            for which in range(len(record_bounds(flight)))
        ),
        run,
    )


# --- Cut off


@pytest.mark.parametrize(
    ("variant", "step"),
    [
        ("plain", 1),
        ("retry", 5),
        ("client certificate", 5),
        ("1.2", 1),
        ("1.2 of both", 5),
        ("1.2 client certificate", 1),
        ("1.2 ticket", 1),
        ("1.2 session id", 1),
    ],
)
def test_cut_off_at_every_offset(variant: str, step: int) -> None:
    """The transport ends within a flight: an error of the transport, without an alert."""
    flights = flights_of(variant)

    def run(number: int, offset: int) -> None:
        def deliver(at: int, flight: bytes) -> Iterator[bytes]:
            if at == number:
                yield flight[:offset]
            elif at < number:
                yield flight

        conversation = Conversation(variant, deliver)
        receiver = conversation.sides(number)[1]
        before = len(receiver.sent)
        receiver.bio.write_eof()
        receiver.step()
        receiver.take_output()
        error = receiver.conn.last_error
        assert isinstance(error, fasths.TransportError)
        assert error.origin is Origin.TRANSPORT
        assert (error.alert, error.os_error) == (None, None)
        assert len(receiver.sent) == before
        receiver.check()

    every(
        (
            (number, offset)
            for number, flight in enumerate(flights)
            for offset in range(number % step, len(flight), step)
        ),
        run,
    )
