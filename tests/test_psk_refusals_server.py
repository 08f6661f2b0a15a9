"""What a server refuses of pre-shared keys (RFC 8446, 4.2.9 and 4.2.11; RFC 9258).

And what it does not refuse: a key that cannot be used makes a full handshake. Early data is in
test_early_data_refusals.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pki
import pytest
from helpers import HOST
from refusals import (
    Case,
    assert_established,
    assert_no_internal_error,
    assert_refuses,
    case,
    changed,
    credential,
)
from resumptions import KEY, assert_resumes, psk_with, server_context, server_with
from scripted_messages import (
    ClientHello,
    server_name,
)
from scripted_peer import (
    all_of,
    put,
    twice,
    with_extension,
    without_extension,
)
from scripted_psk import (
    EXTERNAL,
    IMPORTED,
    PSK_DHE_KE,
    PSK_KE,
    RESUMPTION,
    OfferedPsks,
    Psk,
    external_psk,
    imported_psk,
)

from fasths import (
    ContentType,
    ExtensionType,
    ExternalPSK,
    Limits,
    MemorySessionStore,
    NamedGroup,
    TicketKeys,
    TrustStore,
    Verify,
)
from fasths.wire.errors import (
    DecodeError,
    DecryptError,
    IllegalParameter,
    MissingExtension,
)

E = ExtensionType
UNKNOWN = 0xFAFA
SHA256, SHA384, CHACHA20 = 0x1301, 0x1302, 0x1303
P256 = NamedGroup.secp256r1


# --- ClientHello with a PSK that the server knows


def offer(name: str, error: Any, point: str, *edits: Any, count: int = 1, **options: Any) -> Any:
    """count: how many PSKs are offered."""
    param = case(name, error, point, all_of(*edits), **options)
    param.values[0].options["count"] = count
    return param


def check(case: Case) -> Any:
    context = server_context(**case.context)
    psks = [psk_with(context) for _ in range(case.options.pop("count"))]
    peer = server_with(context, psks=psks, at=case.at, **case.options)
    assert_refuses(peer, case.error, peer.handshake)
    return peer


def binders(change: Callable[[list[bytes]], list[bytes]]) -> Any:
    return put(binders=change)


def binder_over(transcript: Callable[[Any], bytes]) -> Any:
    """A binder of the right key over another transcript."""

    def edit(peer: Any, offered: OfferedPsks) -> None:
        offered.binders = [peer.psks[0].binder(transcript(peer))]

    return edit


def changed_hello(peer: Any, offered: OfferedPsks) -> None:
    """Once the binder is computed."""
    peer.hello.random = bytes(32)


def not_last(peer: Any, message: Any) -> None:
    message.extensions.append((UNKNOWN, b""))


def first(peer: Any, message: Any) -> None:
    message.extensions.insert(0, message.extensions.pop())


CLIENT_HELLO = [
    # RFC 8446, 4.2.11
    offer("not the last extension", IllegalParameter, "client_hello", not_last),
    offer("the first extension", IllegalParameter, "client_hello", first),
    offer("twice", IllegalParameter, "client_hello", twice(E.pre_shared_key)),
    offer("no modes", MissingExtension, "client_hello",
          without_extension(E.psk_key_exchange_modes)),
    offer("no mode", DecodeError, "client_hello",
          with_extension(E.psk_key_exchange_modes, b"\0")),
    # RFC 8446, 9.2
    offer("groups without shares", MissingExtension, "client_hello",
          without_extension(E.key_share)),
    offer("shares without groups", MissingExtension, "client_hello",
          without_extension(E.supported_groups)),
    offer("no identity", DecodeError, "binders", put(identities=[], binders=[])),
    offer("identity of no bytes", DecodeError, "binders", put(identities=[(b"", 0)])),
    offer("second identity of no bytes", DecodeError, "binders",
          put(identities=lambda old: [old[0], (b"", 0)]), count=2),
    offer("no binder", DecodeError, "binders", put(binders=[])),
    offer("fewer binders", IllegalParameter, "binders", binders(lambda old: old[:1]), count=2),
    offer("more binders", IllegalParameter, "binders", binders(lambda old: old * 2)),
    offer("empty binder", DecodeError, "binders", binders(lambda old: [b""])),
    offer("binder of 31 bytes", DecodeError, "binders", binders(lambda old: [old[0][:31]])),
    offer("second binder of 31 bytes", DecodeError, "binders",
          binders(lambda old: [old[0], old[1][:31]]), count=2),
    # RFC 8446, 4.2.11.2
    offer("binder changed", DecryptError, "binders", binders(lambda old: [changed(old[0])])),
    offer("binder changed in front", DecryptError, "binders",
          binders(lambda old: [changed(old[0], 0)])),
    offer("binder of zeros", DecryptError, "binders", binders(lambda old: [bytes(32)])),
    offer("binder with more behind", DecryptError, "binders",
          binders(lambda old: [old[0] + b"\0"])),
    offer("binder of another hash's length", DecryptError, "binders",
          binders(lambda old: [bytes(48)])),
    offer("binder of 255 bytes", DecryptError, "binders", binders(lambda old: [bytes(255)])),
    offer("binders in another order", DecryptError, "binders",
          binders(lambda old: old[::-1]), count=2),
    offer("binder over nothing", DecryptError, "binders", binder_over(lambda peer: b"")),
    offer("binder over the whole message", DecryptError, "binders",
          binder_over(lambda peer: peer.hello.encode())),
    offer("binder over the message without pre_shared_key", DecryptError, "binders",
          binder_over(lambda peer: ClientHello(
              legacy_session_id=peer.hello.legacy_session_id,
              random=peer.hello.random,
              cipher_suites=peer.hello.cipher_suites,
              extensions=peer.hello.extensions[:-1]).encode())),
    offer("changed behind the binder's back", DecryptError, "binders", changed_hello),
]  # fmt: skip


@pytest.mark.parametrize("case", CLIENT_HELLO)
def test_client_hello(case):
    peer = check(case)
    assert [record.outer_type for record in peer.records] == [ContentType.alert]


WRONG_KEYS = {
    "another key": {"key": bytes(32)},
    "a shorter key": {"key": KEY[:31]},
    "the label of external PSKs": {"binder_label": EXTERNAL},
    "the label of imported PSKs": {"binder_label": IMPORTED},
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_binder_of_a_wrong_key_is_refused(name):
    context = server_context()
    psk = replace(psk_with(context), **WRONG_KEYS[name])
    peer = server_with(context, psks=[psk])
    assert_refuses(peer, DecryptError, peer.handshake)


def test_binder_of_another_connections_ticket_is_refused():
    # Both tickets are good, but each has a key of its own.
    context = server_context()
    one, other = psk_with(context), psk_with(context)
    peer = server_with(context, psks=[replace(one, key=other.key)])
    assert_refuses(peer, DecryptError, peer.handshake)


KNOWN = ExternalPSK(b"known", KEY)
IMPORTS = ExternalPSK.import_key(b"imported", KEY, context=b"context")
EXTERNALS = {
    "an external PSK as a resumption PSK": replace(
        external_psk(b"known", KEY), binder_label=RESUMPTION
    ),
    "an external PSK as an imported one": replace(
        external_psk(b"known", KEY), binder_label=IMPORTED
    ),
    "an imported PSK as an external one": replace(
        imported_psk(b"imported", KEY, b"context"), binder_label=EXTERNAL
    ),
    "the key of an external PSK": external_psk(b"known", changed(KEY)),
    "the key that was imported": replace(imported_psk(b"imported", KEY, b"context"), key=KEY),
    "the key for another hash": replace(
        imported_psk(b"imported", KEY, b"context"),
        key=imported_psk(b"imported", KEY, b"context", target="sha384").key,
    ),
}


@pytest.mark.parametrize("name", EXTERNALS)
def test_wrong_external_psk_is_refused(name):
    context = server_context(external_psks=(KNOWN, *IMPORTS))
    peer = server_with(context, psks=[EXTERNALS[name]])
    assert_refuses(peer, DecryptError, peer.handshake)


@pytest.mark.parametrize("suite", [SHA256, SHA384, CHACHA20])
@pytest.mark.parametrize("modes", [(PSK_DHE_KE,), (PSK_KE,)], ids=["psk_dhe_ke", "psk_ke"])
def test_external_psks_are_used(suite, modes):
    context = server_context(
        external_psks=(KNOWN, *IMPORTS), psk_key_exchange_modes=("psk_dhe_ke", "psk_ke")
    )
    target = "sha384" if suite == SHA384 else "sha256"
    psk = imported_psk(b"imported", KEY, b"context", target=target)
    assert_resumes(server_with(context, psks=[psk], suites=(suite,), psk_modes=modes))
    is_usable = target == "sha256"
    peer = server_with(
        context, psks=[external_psk(b"known", KEY)], suites=(suite,), psk_modes=modes
    )
    assert_resumes(peer, is_usable)


# --- ClientHello after HelloRetryRequest (RFC 8446, 4.1.2 and 4.2.11.2)


def replaced(peer: Any, message: Any) -> None:
    """Another ticket, which is good, and its binder."""
    peer.psks = [peer.other]
    message.set(E.pre_shared_key, OfferedPsks.of(peer.psks).encode())


SECOND_CLIENT_HELLO = [
    offer("binder changed", DecryptError, "second_binders",
          binders(lambda old: [changed(old[0])])),
    offer("binder over the second message alone", DecryptError, "second_binders",
          binder_over(lambda peer: peer.truncated_client_hello(peer.hello))),
    offer("binder over the messages themselves", DecryptError, "second_binders",
          binder_over(lambda peer: peer.first_message + peer.retry.encode()
                      + peer.truncated_client_hello(peer.hello))),
    offer("binder without HelloRetryRequest", DecryptError, "second_binders",
          binder_over(lambda peer: peer.transcript[:36]
                      + peer.truncated_client_hello(peer.hello))),
    offer("PSK replaced", IllegalParameter, "second_client_hello", replaced),
    offer("PSK left out", IllegalParameter, "second_client_hello",
          without_extension(E.pre_shared_key)),
    offer("modes left out", IllegalParameter, "second_client_hello",
          without_extension(E.pre_shared_key, E.psk_key_exchange_modes)),
    offer("PSK not last", IllegalParameter, "second_client_hello", not_last),
    offer("fewer binders", IllegalParameter, "second_binders",
          binders(lambda old: old[:1]), count=2),
    offer("early_data", IllegalParameter, "second_client_hello",
          lambda peer, message: message.extensions.insert(0, (E.early_data, b""))),
]  # fmt: skip


@pytest.mark.parametrize("with_cookie", [False, True], ids=["group", "cookie"])
@pytest.mark.parametrize("case", SECOND_CLIENT_HELLO)
def test_second_client_hello(case, with_cookie):
    context = server_context(retry_with_cookie=with_cookie, **case.context)
    psks = [psk_with(context) for _ in range(case.options["count"])]
    shares = (NamedGroup.x25519,) if with_cookie else ()
    peer = server_with(context, psks=psks, at=case.at, shares=shares)
    peer.other = psk_with(context)
    assert_refuses(peer, case.error, peer.handshake)
    assert peer.retry is not None


def test_binder_of_the_first_client_hello_is_refused_in_the_second():
    kept = []

    def keep(peer, offered):
        kept[:] = offered.binders

    context = server_context()
    again = {
        "binders": keep,
        "second_binders": lambda peer, offered: put(binders=kept)(peer, offered),
    }
    peer = server_with(context, psks=[psk_with(context)], at=again, shares=())
    assert_refuses(peer, DecryptError, peer.handshake)


@pytest.mark.parametrize("with_cookie", [False, True], ids=["group", "cookie"])
def test_resumption_after_hello_retry_request(with_cookie):
    context = server_context(retry_with_cookie=with_cookie)
    shares = (NamedGroup.x25519,) if with_cookie else ()
    peer = server_with(context, psks=[psk_with(context)], shares=shares)
    assert_resumes(peer)
    assert peer.retry is not None


def test_psk_of_the_second_client_hello_alone_is_not_used():
    context = server_context()
    psk = psk_with(context)

    def added(peer, message):
        peer.psks = [psk]
        message.set(E.pre_shared_key, OfferedPsks.of(peer.psks).encode())

    peer = server_with(
        context, psk_modes=(PSK_DHE_KE,), shares=(), at={"second_client_hello": added}
    )
    assert_resumes(peer, False)


# --- PSKs that cannot be used: a full handshake (RFC 8446, 4.2.11)


def tampered(at: int) -> Callable[[Psk], Psk]:
    return lambda psk: replace(psk, identity=changed(psk.identity, at))


TICKETS: dict[str, Callable[[Psk], Psk]] = {
    **{f"changed at {at}": tampered(at) for at in (0, 1, 15, 16, 27, 28, -17, -16, -1)},
    "cut": lambda psk: replace(psk, identity=psk.identity[:-1]),
    "cut in front": lambda psk: replace(psk, identity=psk.identity[1:]),
    "of one byte": lambda psk: replace(psk, identity=psk.identity[:1]),
    "with more behind": lambda psk: replace(psk, identity=psk.identity + b"\0"),
    "doubled": lambda psk: replace(psk, identity=psk.identity * 2),
    "of zeros": lambda psk: replace(psk, identity=bytes(len(psk.identity))),
    "of the greatest length": lambda psk: replace(psk, identity=bytes(60000)),
}


@pytest.mark.parametrize("name", TICKETS)
@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_unknown_ticket_makes_a_full_handshake(name, stateful):
    context = server_context(**({"session_store": MemorySessionStore()} if stateful else {}))
    peer = server_with(context, psks=[TICKETS[name](psk_with(context))])
    assert_resumes(peer, False)
    # Whoever changes tickets learns nothing from it, and a binder that is wrong says nothing.
    peer = server_with(
        context,
        psks=[TICKETS[name](psk_with(context))],
        at={"binders": put(binders=[bytes(32)])},
    )
    assert_resumes(peer, False)


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # name: (the first server and its client, the second server and its client)
    "another hash": ({}, {"suites": (SHA256,)}, {}, {"suites": (SHA384,)}),
    "another hash, the other way round": ({}, {"suites": (SHA384,)}, {}, {"suites": (CHACHA20,)}),
    "suites of the server": (
        {}, {"suites": (SHA256,)}, {"cipher_suites": ("TLS_AES_256_GCM_SHA384",)}, {}
    ),
    "another name": ({}, {"name": HOST}, {}, {"name": "other.test"}),
    "no name": ({}, {"name": HOST}, {}, {}),
    "a name at last": ({}, {}, {}, {"name": HOST}),
    "psk_ke alone": ({}, {}, {}, {"psk_modes": (PSK_KE,)}),
    "unknown modes": ({}, {}, {}, {"psk_modes": (0x7F, 0xFF)}),
    "psk_dhe_ke where the server wants psk_ke": (
        {}, {}, {"psk_key_exchange_modes": ("psk_ke",)}, {}
    ),
    "client that was not asked for a certificate": (
        {}, {}, {"verify": Verify.REQUIRED}, {"credential": credential()}
    ),
    "client that had no certificate": (
        {"verify": Verify.OPTIONAL}, {}, {"verify": Verify.REQUIRED}, {"credential": credential()}
    ),
    "client with a certificate that is not asked for": (
        {"verify": Verify.REQUIRED}, {"credential": credential()}, {}, {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_ticket_of_another_connection_makes_a_full_handshake(name):
    first_settings, first_options, settings, options = OTHERS[name]
    keys = {"ticket_keys": TicketKeys()}
    psk = psk_with(server_context(**keys, **first_settings), **first_options)
    peer = server_with(server_context(**keys, **settings), psks=[psk], **options)
    assert_resumes(peer, False)


def test_client_certificate_that_is_not_trusted_any_more_makes_a_full_handshake():
    keys = {"ticket_keys": TicketKeys(), "verify": Verify.OPTIONAL}
    psk = psk_with(server_context(**keys), credential=credential())
    others = TrustStore.from_pem(pki.make_ca().pem)
    peer = server_with(server_context(**keys, trust=others), psks=[psk])
    assert_resumes(peer, False)


def test_ticket_of_another_server_makes_a_full_handshake():
    peer = server_with(server_context(), psks=[psk_with(server_context())])
    assert_resumes(peer, False)


@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_expired_ticket_makes_a_full_handshake(stateful):
    store = {"session_store": MemorySessionStore()} if stateful else {}
    context = server_context(session_lifetime=1, **store)
    psk = psk_with(context)
    time.sleep(1.1)
    # Whatever age the client tells.
    assert_resumes(server_with(context, psks=[replace(psk, age=0)]), False)


def test_stored_ticket_is_used_once():
    context = server_context(session_store=MemorySessionStore())
    psk = psk_with(context)
    assert_resumes(server_with(context, psks=[psk]))
    assert_resumes(server_with(context, psks=[psk]), False)


def test_psks_beyond_the_limit_are_not_looked_at():
    context = server_context(limits=Limits(max_psk_identities=2))
    psk = psk_with(context)
    unknown = [replace(psk, identity=os.urandom(50)) for _ in range(2)]
    assert_resumes(server_with(context, psks=[*unknown[:1], psk]))
    assert_resumes(server_with(context, psks=[*unknown, psk]), False)


def test_unknown_psk_without_what_a_full_handshake_needs_is_refused():
    # RFC 8446, 9.2: signature_algorithms may be left out with a PSK, and then that has to be used.
    context = server_context()
    left_out = {"client_hello": without_extension(E.signature_algorithms)}
    assert_resumes(server_with(context, psks=[psk_with(context)], at=left_out))
    peer = server_with(context, psks=[psk_with(server_context())], at=left_out)
    assert_refuses(peer, MissingExtension, peer.handshake)


def test_psk_alone():
    # RFC 8446, 4.2.9: psk_ke needs neither groups nor shares.
    context = server_context(psk_key_exchange_modes=("psk_ke",))
    psk = psk_with(context)
    options = {"psk_modes": (PSK_KE,), "groups": (), "shares": ()}
    left_out = without_extension(E.supported_groups, E.key_share, E.signature_algorithms)
    assert_resumes(server_with(context, psks=[psk], at={"client_hello": left_out}, **options))
    unknown = replace(psk, identity=b"unknown")
    peer = server_with(context, psks=[unknown], at={"client_hello": left_out}, **options)
    assert_refuses(peer, MissingExtension, peer.handshake)


def test_another_suite_of_the_same_hash_resumes():
    context = server_context()
    psk = psk_with(context, suites=(SHA256,))
    assert_resumes(server_with(context, psks=[psk], suites=(CHACHA20,)))


def test_known_psk_behind_an_unknown_one():
    context = server_context()
    psks = [psk_with(server_context()), psk_with(context)]
    peer = server_with(context, psks=psks)
    assert_resumes(peer)
    assert peer.selected_identity == 1


def test_binder_of_another_psk_is_not_looked_at():
    # RFC 8446, 4.2.11: solely the binder that corresponds to the chosen PSK.
    context = server_context()
    psks = [psk_with(context), psk_with(context)]
    wrong = {"binders": binders(lambda old: [old[0], changed(old[1])])}
    peer = server_with(context, psks=psks, at=wrong)
    assert_resumes(peer)
    assert peer.selected_identity == 0


# --- What does not fit together


def test_name_changed_behind_the_binder_is_refused():
    def edit(peer, offered):
        peer.hello.set(E.server_name, server_name("other.test"))

    context = server_context()
    psk = psk_with(context, name=HOST)
    # The ticket is for another name: there is a full handshake, and the binder is nobody's.
    assert_resumes(server_with(context, psks=[psk], name=HOST, at={"binders": edit}), False)


def test_modes_are_what_tickets_are_for():
    # RFC 8446, 4.2.9: there are no tickets for a client that could not use them.
    context = server_context()
    for modes, expected in (((), 0), ((PSK_KE,), 0), ((0x7F,), 0), ((PSK_DHE_KE,), 2)):
        peer = server_with(context, psk_modes=modes)
        peer.handshake()
        assert_established(peer)
        assert len(peer.tickets) == expected


def test_identities_with_equal_names():
    context = server_context()
    psk = psk_with(context)
    peer = server_with(context, psks=[psk, psk])
    assert_resumes(peer)
    assert peer.selected_identity == 0


@pytest.mark.parametrize("seed", range(40))
def test_garbled_client_hello_does_not_resume(seed):
    """Whatever is changed once the binder is there: nobody resumes with it."""

    def edit(peer, message):
        message.set(E.pre_shared_key, peer.with_binders(message).encode())
        data = message.encode()
        return changed(data, 4 + seed * (len(data) - 4) // 40)

    context = server_context()
    peer = server_with(context, psks=[psk_with(context)], at={"client_hello": edit})
    assert_no_internal_error(peer)
    assert not peer.connection.session_reused
