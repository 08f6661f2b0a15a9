"""Handshakes in memory, full or resumed, the client's time apart from the server's."""

import gc
from collections.abc import Iterator
from functools import partial
from time import perf_counter_ns
from typing import Any

from bench.cases import GROUP_NAMES, SUITE
from bench.floor import Floor
from bench.job import Job
from bench.results import FLOOR, Column, Result
from bench.server_hello import Negotiated, read_server_hello
from bench.stacks import Stack, Unavailable, fresh_session, make_stack

COLUMNS = [Column(name, "us", lower_is_better=True) for name in ("both", "client", "server")]
_TLS_1_3, _AES_128_GCM_SHA256 = 0x0304, 0x1301


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
        if tickets and not job.row.session_tickets:
            result.notes.append(f"{name}'s server sends {tickets} bytes of session tickets")
    return stacks


def check_settings(stack: Stack[Any], job: Job) -> int:
    """One handshake, checked on the wire; returns how many bytes the server sent after it.

    Unavailable: it is not the handshake that the row asks for.
    """
    try:
        client = stack.client(fresh_session(stack) if job.row.resumed else None)
        server = stack.server()
        flight = server.advance(client.advance(b""))
        rest: bytes = server.advance(client.advance(flight))
    except Exception as error:
        raise Unavailable(f"not possible with this row's settings: {error}") from error
    negotiated = read_server_hello(flight)
    asked = Negotiated(_TLS_1_3, _AES_128_GCM_SHA256, job.row.group, job.row.resumed)
    if negotiated.resumed != asked.resumed:
        raise Unavailable("the server did not resume the session")
    if negotiated != asked:
        group = GROUP_NAMES.get(negotiated.group, hex(negotiated.group))
        differs = f"{group} instead of {GROUP_NAMES[asked.group]}"
        if negotiated[:2] != asked[:2]:
            differs = f"{negotiated.version:#x}, {negotiated.suite:#x} instead of TLS 1.3, {SUITE}"
        raise Unavailable(f"not possible: {stack.version} negotiated {differs}")
    if not (client.established and server.established):
        raise Unavailable("the handshake needs more than one round trip")
    if bool(server.peer_certificate()) != job.row.mutual:
        wrongly = "not authenticated itself" if job.row.mutual else "authenticated itself unasked"
        raise Unavailable(f"the client has {wrongly}")
    return len(rest)


def measure(job: Job) -> Result:
    """Every stack's handshakes and the floor's, in turns."""
    result = Result(job.row_name, COLUMNS)
    stacks = usable_stacks(job, result)
    floor = Floor(job.row, job.credentials)
    turns = {
        name: partial(_time_handshakes, stack, job.row.resumed) for name, stack in stacks.items()
    }
    turns[FLOOR] = partial(_time_floor, floor)
    for turn in turns.values():
        turn(job.batch)  # warm up
    gc.collect()
    gc.freeze()  # what is there now need not be looked at by each round's collection
    for name in rotating(list(turns), job.rounds):
        result.add(name, **turns[name](job.batch))
    return result


def rotating(names: list[str], rounds: int) -> Iterator[str]:
    """All names in each round, each round beginning with the next: no stack always follows another
    that leaves it the caches in the same state."""
    for number in range(rounds):
        first = number % max(1, len(names))
        yield from names[first:] + names[:first]


def _time_handshakes(stack: Stack[Any], resumed: bool, count: int) -> dict[str, float]:
    """Mean microseconds over `count` handshakes.

    A side's time is that of making its endpoint and of its calls. "both" is the whole loop: the
    two sides, freeing their connections, and the loop itself.
    """
    clock = perf_counter_ns
    make_client, make_server = stack.client, stack.server
    client_time = server_time = 0
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
        tickets = server.advance(finished)
        server_finished = clock()
        if resumed:
            session = client.receive_session(tickets)
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


def _time_floor(floor: Floor, count: int) -> dict[str, float]:
    gc.collect()
    client_time = server_time = 0
    for _ in range(count):
        client, server = floor.handshake()
        client_time += client
        server_time += server
    scale = 1000 * count
    return {"client": client_time / scale, "server": server_time / scale}
