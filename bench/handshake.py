"""Handshakes in memory, full or resumed, the client's time apart from the server's."""

import gc
from collections.abc import Iterator
from functools import partial
from time import perf_counter_ns
from typing import Any, TypeVar

from bench.cases import GROUP_NAMES, SUITE_CODES, TLS_1_2, TLS_1_3, Row
from bench.floor import Floor
from bench.floor12 import Floor12
from bench.job import Job
from bench.results import FLOOR, Column, Result
from bench.server_hello import (
    Negotiated,
    offers_ticket,
    read_server_hello,
    tickets_in_the_clear,
)
from bench.stacks import Stack, Unavailable, fresh_session, make_stack

T = TypeVar("T")
COLUMNS = [Column(name, "us", lower_is_better=True) for name in ("both", "client", "server")]
_VERSIONS = {TLS_1_2: "TLS 1.2", TLS_1_3: "TLS 1.3"}


def usable_stacks(job: Job, result: Result) -> dict[str, Stack[Any]]:
    """The stacks that can do this row with exactly its settings; result notes the others."""
    stacks = {}
    for name in job.stacks:
        try:
            stack = make_stack(name, job.row, job.credentials)
            tickets = check_settings(stack, job)
        except Unavailable as reason:
            result.skipped[name] = str(reason)
            continue
        stacks[name] = stack
        result.notes.extend(stack.deviations)
        # In TLS 1.2 a ticket need not be renewed when it is used.
        if tickets and not (job.row.resumed and job.row.version == TLS_1_3):
            result.notes.append(f"{name}'s server sends {tickets} bytes of session tickets")
    return stacks


def check_settings(stack: Stack[Any], job: Job) -> int:
    """One handshake, checked on the wire; returns how many bytes of tickets the server sent.

    Unavailable: it is not the handshake that the row asks for.
    """
    row = job.row
    try:
        client = stack.client(fresh_session(stack) if row.resumed else None)
        server = stack.server()
        hello = client.advance(b"")
        flight = server.advance(hello)
        rest: bytes = server.advance(client.advance(flight))
        if row.round_trips == 2:
            client.advance(rest)
    except Exception as error:
        raise Unavailable(f"not possible with this row's settings: {error}") from error
    negotiated = read_server_hello(flight)
    group = row.group if row.key_exchange else None
    asked = Negotiated(row.version, SUITE_CODES[row.suite], group, row.resumed)
    if negotiated[:2] != asked[:2]:
        differs = f"{negotiated.version:#x}, {negotiated.suite:#x} instead of "
        differs += f"{_VERSIONS[row.version]}, {row.suite}"
        raise Unavailable(f"not possible: {stack.version} negotiated {differs}")
    if negotiated.resumed != asked.resumed:
        raise Unavailable("the server did not resume the session")
    if negotiated.group != asked.group:
        differs = f"{_group_name(negotiated.group)} instead of {_group_name(asked.group)}"
        raise Unavailable(f"not possible: {stack.version} negotiated {differs}")
    if row.resumed and offers_ticket(hello) == row.session_ids:
        raise Unavailable(f"the session {'is' if row.session_ids else 'is not'} in a ticket")
    if not (client.established and server.established):
        raise Unavailable(f"the handshake needs more round trips than {row.round_trips}")
    if bool(server.peer_certificate()) != row.mutual:
        wrongly = "not authenticated itself" if row.mutual else "authenticated itself unasked"
        raise Unavailable(f"the client has {wrongly}")
    if row.version == TLS_1_2:
        return tickets_in_the_clear(flight) + tickets_in_the_clear(rest)
    return len(rest)


def _group_name(group: int | None) -> str:
    return "no group" if group is None else GROUP_NAMES.get(group, hex(group))


def measure(job: Job) -> Result:
    """Every stack's handshakes and the floor's, in turns."""
    result = Result(job.row_name, COLUMNS)
    stacks = usable_stacks(job, result)
    row = job.row
    floor = (Floor12 if row.version == TLS_1_2 else Floor)(row, job.credentials)
    turns = {name: partial(_time_handshakes, stack, row) for name, stack in stacks.items()}
    turns[FLOOR] = partial(_time_floor, floor)
    for turn in turns.values():
        turn(job.batch)  # warm up
    gc.collect()
    gc.freeze()  # what is there now need not be looked at by each round's collection
    for name in rotating(list(turns), job.rounds):
        result.add(name, **turns[name](job.batch))
    return result


def rotating(names: list[T], rounds: int) -> Iterator[T]:
    """All names in each round, each round beginning with the next: no stack always follows another
    that leaves it the caches in the same state."""
    for number in range(rounds):
        first = number % max(1, len(names))
        yield from names[first:] + names[:first]


def _time_handshakes(stack: Stack[Any], row: Row, count: int) -> dict[str, float]:
    """Mean microseconds over `count` handshakes.

    A side's time is that of making its endpoint and of its calls. "both" is the whole loop: the
    two sides, freeing their connections, and the loop itself.
    """
    clock = perf_counter_ns
    make_client, make_server = stack.client, stack.server
    client_time = server_time = 0
    resumed, round_trips = row.resumed, row.round_trips
    new_sessions = resumed and row.version == TLS_1_3
    session = fresh_session(stack) if resumed else None
    flights = []
    gc.collect()
    start = clock()
    for _ in range(count):
        at_start = clock()
        client = make_client(session)
        hello = client.advance(b"")
        client_started = clock()
        server = make_server()
        flight = server.advance(hello)
        server_answered = clock()
        finished = client.advance(flight)
        client_finished = clock()
        last = server.advance(finished)
        server_finished = clock()
        if new_sessions:
            client.receive(last)
            session = client.session()
            client_time += clock() - server_finished
        elif round_trips == 2:
            client.advance(last)
            client_time += clock() - server_finished
        client_time += client_started - at_start + client_finished - server_answered
        server_time += server_answered - client_started + server_finished - client_finished
        if not (client.established and server.established):
            raise RuntimeError("a handshake did not complete")
        flights.append(flight)
        del client, server  # freed here, in nobody's time but that of both
    both = clock() - start
    if any(read_server_hello(flight).resumed != resumed for flight in flights):
        raise RuntimeError("a handshake was resumed that should be full, or the other way round")
    scale = 1000 * count
    return {"both": both / scale, "client": client_time / scale, "server": server_time / scale}


def _time_floor(floor: Floor | Floor12, count: int) -> dict[str, float]:
    gc.collect()
    client_time = server_time = 0
    for _ in range(count):
        client, server = floor.handshake()
        client_time += client
        server_time += server
    scale = 1000 * count
    return {"client": client_time / scale, "server": server_time / scale}
