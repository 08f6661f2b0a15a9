"""What a server refuses of early data, and what it skips (RFC 8446, 4.2.10, 4.5 and 8)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from helpers import HOST
from refusals import assert_established, assert_refuses, case, changed
from resumptions import KEY, assert_resumed, assert_resumes, psk_with, server_context, server_with
from scripted_keys import TrafficKey
from scripted_messages import (
    Certificate,
    CertificateVerify,
    ClientHello,
    CompressedCertificate,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    NewSessionTicket,
)
from scripted_peer import before, followed_by, inside, instead, put, with_extension
from scripted_psk import external_psk

from fasths import (
    ContentType,
    ExtensionType,
    ExternalPSK,
    Limits,
    MemorySessionStore,
    NamedGroup,
    TicketKeys,
)
from fasths.wire.errors import BadRecordMac, DecodeError, IllegalParameter, UnexpectedMessage

E = ExtensionType
SHA256, SHA384, CHACHA20 = 0x1301, 0x1302, 0x1303


# --- Early data that is accepted, and what goes wrong then

MAXIMUM = 1000
EARLY = {"max_early_data_size": MAXIMUM}


def early_peer(case_options: dict[str, Any], settings: dict[str, Any] | None = None) -> Any:
    context = server_context(**EARLY, **(settings or {}))
    psk = psk_with(context)
    assert psk.max_early_data_size == MAXIMUM
    return server_with(context, **{"psks": [psk], "early_data": [b"early"], **case_options})


@pytest.mark.parametrize("suite", [SHA256, SHA384, CHACHA20])
@pytest.mark.parametrize("compatibility", [True, False])
@pytest.mark.parametrize("early_data", [[b"early"], [b"x" * MAXIMUM], [b"", b"x" * 10] * 20])
def test_early_data_is_accepted(suite, compatibility, early_data):
    context = server_context(**EARLY)
    options = {"suites": (suite,), "compatibility": compatibility}
    peer = server_with(
        context, psks=[psk_with(context, **options)], early_data=early_data, **options
    )
    assert_resumes(peer)
    assert peer.early_data_accepted is True
    assert peer.connection.early_data_accepted is True
    assert peer.early_data_delivered == b"".join(early_data)
    secret = peer.early_exporter_secret
    exported = peer.connection.export_early_keying_material("label", b"context", 40)
    assert exported == peer.suite.export(secret, b"label", b"context", 40)


def test_padding_of_early_data_does_not_count():
    # RFC 8446, 4.6.1: only the payload does.
    peer = early_peer({"early_data": [b"x" * (MAXIMUM // 4)] * 4, "padding": 500})
    assert_resumes(peer)
    assert len(peer.early_data_delivered) == MAXIMUM


def early_key(data: bytes) -> Any:
    return before(lambda peer: peer.send_data(data, key=peer.client_early))


def junk(peer: Any) -> None:
    peer.send_data(b"x" * 20, key=TrafficKey(peer.suite, os.urandom(32)))


def under_handshake_key(peer: Any, message: Any) -> Any:
    peer.set_write_key(peer.client_handshake)
    return message


def unprotected(peer: Any, message: Any) -> Any:
    peer.transcript += message.encode()
    peer.send_record(ContentType.handshake, message.encode(), key=None)
    return []


def doubled(peer: Any, message: Any) -> Any:
    return [message, message]


EOED = "end_of_early_data"
END_OF_EARLY_DATA = [
    # Finished is under another key then.
    case("missing", BadRecordMac, EOED, instead()),
    case("twice in a record", UnexpectedMessage, EOED, doubled),
    case("twice in two records", BadRecordMac, EOED, doubled, coalesce=False),
    case("again before Finished", UnexpectedMessage, "finished",
         lambda peer, message: [EndOfEarlyData(), message]),
    case("under the handshake key", BadRecordMac, EOED, under_handshake_key),
    case("unprotected", UnexpectedMessage, EOED, unprotected),
    case("with a body", DecodeError, EOED, put(trailing=b"\0")),
    case("with part of a message behind", UnexpectedMessage, EOED, followed_by(b"\x14\0")),
    case("with Finished behind", UnexpectedMessage, EOED,
         followed_by(Finished(verify_data=bytes(32)))),
    case("with early data inside", UnexpectedMessage, EOED,
         inside(lambda peer: peer.send_data(b"x", key=peer.client_early))),
    case("early data behind it", BadRecordMac, "finished", early_key(b"late")),
    case("data of the handshake behind it", UnexpectedMessage, "finished",
         before(lambda peer: peer.send_data(b"too early"))),
    case("empty data of the handshake behind it", UnexpectedMessage, "finished",
         before(lambda peer: peer.send_data(b""))),
    case("data of the application key behind it", BadRecordMac, "finished",
         before(lambda peer: peer.send_data(b"x", key=peer.client_application))),
    # RFC 8446, 4.2.10: no record is skipped once early data is accepted.
    case("early data under a wrong key", BadRecordMac, EOED, before(junk)),
    case("early data under the handshake key", BadRecordMac, EOED,
         before(lambda peer: peer.send_data(b"x", key=peer.client_handshake))),
    case("early data that is changed", BadRecordMac, EOED,
         before(lambda peer: peer.send_raw(changed(peer.client_early.seal(23, b"early"))))),
    case("unprotected data", BadRecordMac, EOED,
         before(lambda peer: peer.send_data(b"x" * 20, key=None))),
]  # fmt: skip


@pytest.mark.parametrize("case", END_OF_EARLY_DATA)
def test_end_of_early_data(case):
    peer = early_peer({"at": case.at, **case.options})
    assert_refuses(peer, case.error, peer.handshake)


OTHER_MESSAGES = [
    Certificate(),
    CertificateVerify(),
    ClientHello(),
    CompressedCertificate(),
    Finished(verify_data=bytes(32)),
    KeyUpdate(),
    NewSessionTicket(),
]


@pytest.mark.parametrize("message", OTHER_MESSAGES, ids=lambda each: type(each).__name__)
def test_other_message_under_the_early_key_is_refused(message):
    peer = early_peer({"at": {EOED: instead(message)}})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def test_finished_under_the_early_key_is_refused():
    def edit(peer, message):
        peer.step("", Finished(verify_data=peer.client_handshake.finished(peer.transcript)))
        return []

    peer = early_peer({"at": {EOED: edit}})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


TOO_MUCH = {
    "one byte": [b"x" * (MAXIMUM + 1)],
    "one byte by itself": [b"x" * MAXIMUM, b"x"],
    "in many records": [b"x" * 10] * 200,
    "records without content": [b""] * 100,
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_early_data_is_refused(name):
    peer = early_peer({"early_data": TOO_MUCH[name]})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)
    assert len(peer.early_data_delivered) <= MAXIMUM


def test_too_much_early_data_behind_the_servers_flight_is_refused():
    peer = early_peer({"at": {EOED: early_key(b"x" * MAXIMUM)}})
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def test_early_data_behind_the_servers_flight():
    peer = early_peer({"at": {EOED: early_key(b", and late")}})
    assert_resumes(peer)
    assert peer.early_data_delivered == b"early, and late"


def test_early_data_without_a_psk_is_refused():
    # RFC 8446, 4.2.10: both extensions must be there.
    peer = server_with(server_context(**EARLY), at={"client_hello": with_extension(E.early_data)})
    assert_refuses(peer, IllegalParameter, peer.handshake)


UNASKED = {
    "not offered": ({}, {"early_data": []}),
    "rejected": ({"max_early_data_size": 0}, {}),
    "rejected by HelloRetryRequest": ({}, {"shares": ()}),
}


@pytest.mark.parametrize("name", UNASKED)
def test_end_of_early_data_is_refused_where_none_was_accepted(name):
    # RFC 8446, 4.5
    settings, options = UNASKED[name]
    keys = {"ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}
    psk = psk_with(server_context(**keys, **EARLY))
    peer = server_with(
        server_context(**keys, **{**EARLY, **settings}),
        **{
            "psks": [psk],
            "early_data": [b"early"],
            "at": {"finished": lambda peer, message: [EndOfEarlyData(), message]},
            **options,
        },
    )
    assert_refuses(peer, UnexpectedMessage, peer.handshake)
    assert not peer.early_data_accepted


# --- Early data that is not accepted, and a handshake that goes on (RFC 8446, 4.2.10 and 8)


def assert_rejects_early_data(peer: Any, *, resumes: bool = True) -> None:
    assert_resumes(peer, resumes)
    assert peer.early_data_accepted is False
    assert peer.connection.early_data_accepted is False
    assert peer.early_data_delivered == b""


AGES = {
    "too old": 60_000,
    "too young": -60_000,
    "of no age": -(1 << 31),
    "of seven days": 7 * 24 * 3600 * 1000,
}


@pytest.mark.parametrize("name", AGES)
def test_early_data_of_a_stale_client_hello_is_rejected(name):
    # RFC 8446, 4.2.10 and 8.3
    context = server_context(**EARLY)
    psk = replace(psk_with(context), age=AGES[name])
    assert_rejects_early_data(server_with(context, psks=[psk], early_data=[b"early"]))


def test_early_data_of_a_fresh_client_hello_is_accepted():
    context = server_context(**EARLY, early_data_window=5.0)
    for age in (0, 1000, 4000):
        peer = server_with(
            context, psks=[replace(psk_with(context), age=age)], early_data=[b"early"]
        )
        assert_resumes(peer)
        assert peer.early_data_accepted


ALPN = {"alpn": ("h2", "http/1.1")}
H2, HTTP1 = (b"h2",), (b"http/1.1",)
# name: (settings of the server and options of its client, the first time and the second), resumed
REJECTED: dict[str, tuple[Any, Any, Any, Any, bool]] = {
    "another protocol": (ALPN, {"alpn": H2}, ALPN, {"alpn": HTTP1}, True),
    "no protocol": (ALPN, {"alpn": H2}, ALPN, {}, True),
    "a protocol at last": (ALPN, {}, ALPN, {"alpn": H2}, True),
    "a protocol that the server prefers now": (
        ALPN, {"alpn": HTTP1}, ALPN, {"alpn": (*HTTP1, *H2)}, True
    ),
    "another suite": ({}, {"suites": (SHA256,)}, {}, {"suites": (CHACHA20,)}, True),
    "another hash": ({}, {"suites": (SHA256,)}, {}, {"suites": (SHA384,)}, False),
    "another name": ({}, {"name": HOST}, {}, {"name": "other.test"}, False),
    "no early data any more": ({}, {}, {"max_early_data_size": 0}, {}, True),
    "no early data yet": ({"max_early_data_size": 0}, {}, {}, {}, True),
    "HelloRetryRequest": ({}, {}, {}, {"shares": ()}, True),
    "cookie": ({}, {}, {"retry_with_cookie": True}, {}, True),
    "a store that is too young": ({}, {}, {"session_store": None}, {}, True),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_early_data_is_rejected(name):
    first_settings, first_options, settings, options, resumes = REJECTED[name]
    shared = {**EARLY, "ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}
    psk = psk_with(server_context(**{**shared, **first_settings}), **first_options)
    if "session_store" in settings:
        time.sleep(0.01)
        settings = {"session_store": MemorySessionStore()}
    peer = server_with(
        server_context(**{**shared, **settings}),
        **{"psks": [psk], "early_data": [b"early"] * 3, **options},
    )
    assert_rejects_early_data(peer, resumes=resumes)


def test_early_data_of_an_unknown_psk_is_rejected():
    context = server_context(**EARLY)
    unknown = psk_with(server_context(**EARLY))
    assert_rejects_early_data(
        server_with(context, psks=[unknown], early_data=[b"early"]), resumes=False
    )
    # RFC 8446, 4.2.10: it is for the first one.
    peer = server_with(context, psks=[unknown, psk_with(context)], early_data=[b"early"])
    assert_rejects_early_data(peer)
    assert peer.selected_identity == 1


def test_early_data_of_an_external_psk_is_rejected():
    # RFC 8446, 4.2.10: nothing says for which suite and protocol it would be.
    context = server_context(**EARLY, external_psks=(ExternalPSK(b"known", KEY),))
    peer = server_with(context, psks=[external_psk(b"known", KEY)], early_data=[b"early"])
    assert_rejects_early_data(peer)


@pytest.mark.parametrize("shares", [(NamedGroup.x25519,), ()], ids=["skipped", "retry"])
def test_too_much_rejected_early_data_is_refused(shares):
    context = server_context(limits=Limits(max_skipped_early_data=1000))
    options = {"psks": [psk_with(context)], "shares": shares}
    assert_rejects_early_data(server_with(context, early_data=[b"x" * 200] * 4, **options))
    peer = server_with(context, early_data=[b"x" * 200] * 10, **options)
    assert_refuses(peer, UnexpectedMessage, peer.handshake)


def test_record_that_does_not_open_behind_rejected_early_data_is_refused():
    # RFC 8446, 4.2.10: the first record that opens ends it. The second Finished is under a key
    # that is over.
    peer = server_with(
        server_context(),
        psks=[psk_with(server_context())],
        early_data=[b"early"],
        at={"finished": doubled},
        coalesce=False,
    )
    assert_refuses(peer, BadRecordMac, peer.handshake)


# --- Replays (RFC 8446, 8)


def replay(context: Any, original: Any) -> Any:
    """The first flight of another client, byte for byte, by somebody who even has its keys."""
    peer = server_with(context, psks=original.psks, early_data=original.early_data)
    peer.hello, peer.private_keys = original.hello, original.private_keys
    peer.send(original.first_message)
    peer.first_message = original.first_message
    peer.derive_early_keys(peer.psks[0])
    peer.send_early_data(*peer.early_data)
    return peer


def assert_replay_is_rejected(peer: Any) -> None:
    peer.finish_handshake()
    assert_established(peer)
    assert peer.early_data_accepted is False
    assert peer.connection.early_data_accepted is False
    assert peer.early_data_delivered == b""


def shared_settings() -> dict[str, Any]:
    return {**EARLY, "ticket_keys": TicketKeys(), "session_store": MemorySessionStore()}


@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_replay_is_rejected(stateful):
    settings = {**EARLY, "session_store": MemorySessionStore()} if stateful else EARLY
    context = server_context(**settings)
    original = server_with(context, psks=[psk_with(context)], early_data=[b"pay", b" them"])
    assert_resumes(original)
    assert original.early_data_delivered == b"pay them"
    for _ in range(3):
        assert_replay_is_rejected(replay(context, original))


def test_replay_before_the_original_is_done_is_rejected():
    context = server_context(**EARLY)
    original = server_with(context, psks=[psk_with(context)], early_data=[b"pay"])
    original.send_client_hello()
    original.turn()
    assert original.early_data_delivered == b"pay"
    assert_replay_is_rejected(replay(context, original))
    original.finish_handshake()
    assert_resumed(original)
    assert original.early_data_accepted is True


def test_replay_to_another_server_is_rejected():
    settings = shared_settings()
    one, other = server_context(**settings), server_context(**settings)
    original = server_with(one, psks=[psk_with(one)], early_data=[b"pay"])
    assert_resumes(original)
    assert_replay_is_rejected(replay(other, original))


def test_replay_to_a_server_that_started_again_is_rejected():
    # It does not know what the one before it has seen.
    settings = shared_settings()
    context = server_context(**settings)
    original = server_with(context, psks=[psk_with(context)], early_data=[b"pay"])
    assert_resumes(original)
    time.sleep(0.01)
    restarted = server_context(**{**settings, "session_store": MemorySessionStore()})
    assert_replay_is_rejected(replay(restarted, original))


def test_early_data_with_a_ticket_that_was_used_for_it_is_rejected():
    context = server_context(**EARLY)
    psk = psk_with(context)
    assert_resumes(server_with(context, psks=[psk], early_data=[b"once"]))
    peer = server_with(context, psks=[psk], early_data=[b"twice"])
    peer.handshake()
    assert_established(peer)
    assert peer.early_data_accepted is False
    assert peer.early_data_delivered == b""


class BrokenStore(MemorySessionStore):
    """It has no marks to give."""

    def add(self, key, lifetime, request=None):
        raise OSError("the store is gone")


class FullStore(MemorySessionStore):
    def add(self, key, lifetime, request=None):
        return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("store", [BrokenStore, FullStore])
def test_early_data_that_cannot_be_marked_is_rejected(store):
    context = server_context(**EARLY, ticket_keys=TicketKeys(), session_store=store())
    peer = server_with(context, psks=[psk_with(context)], early_data=[b"early"])
    assert_rejects_early_data(peer)
