"""Connections of TLS 1.3 alone in a process where the code of TLS 1.2 cannot run.

    python without_tls12.py        # names each scene once it is through
    python without_tls12.py broken # a scene of TLS 1.2, which ends the process

The pages that hold the instructions of these modules are taken away, so that whoever steps into
one of them ends with SIGSEGV.
"""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client_hellos import RANDOM, SESSION_ID, client_hello, record, supported_versions
from early_data_pairs import assert_accepted, assert_rejected, early_pair
from helpers import (
    HOST,
    PLENTY,
    TLS13_ALONE,
    TLS13_SUITES,
    ConnectionPair,
    client_context,
    server_context,
    transfer,
)
from refusals import assert_refuses, established
from resumed_pairs import assert_resumes, client_identity, connected, session_of
from session_bytes import TLS12, session_bytes
from wire_format import extension, extensions, message, u16, vector

import fasths
from fasths import ExtensionType, ExternalPSK, MemorySessionStore, Session, Verify
from fasths.wire.errors import (
    InappropriateFallback,
    ProtocolVersion,
    TLSError,
    UnexpectedMessage,
)

MODULES = {"client12", "server12", "handshake12", "messages12", "key_schedule12"}


def take_away() -> None:
    """The right to read or execute the instructions of the modules of TLS 1.2."""
    libc = ctypes.CDLL(None, use_errno=True)
    taken = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        name = Path(fields[5]).name.partition(".")[0] if len(fields) > 5 else ""
        if name not in MODULES or "x" not in fields[1]:
            continue
        start, end = (int(each, 16) for each in fields[0].split("-"))
        if libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
        taken.add(name)
    assert taken == MODULES, taken


def client(**options: Any) -> fasths.Context:
    return client_context(**TLS13_ALONE, **options)


def server(**options: Any) -> fasths.Context:
    return server_context(**TLS13_ALONE, **options)


def full_handshakes() -> None:
    for suite in TLS13_SUITES:
        pair = connected(client(cipher_suites=[suite]), server())
        transfer(pair.client, pair.server, b"question")
        transfer(pair.server, pair.client, bytes(PLENTY))
        for conn in (pair.client, pair.server):
            assert conn.key_update() == 1
            conn.export_keying_material("label", b"", 32)
        transfer(pair.client, pair.server, b"under other keys")
        for result in (0, 1):
            assert pair.client.shutdown() == pair.server.shutdown() == result


def retries() -> None:
    groups = {"groups": ["secp256r1", "x25519"], "key_share_groups": ["x25519"]}
    connected(client(**groups), server(groups=["secp256r1"]))
    connected(client(), server(retry_with_cookie=True))


def client_certificates() -> None:
    context = client(identities=[client_identity()], post_handshake_auth=True)
    required = {"verify": Verify.REQUIRED, "alpn": ["h2"], "session_tickets": 0}
    assert connected(context, server(**required)).server.peer_certificates
    late = connected(context, server(**required, post_handshake_auth=True))
    assert late.server.verify_client_post_handshake() == 1
    transfer(late.client, late.server, b"who I am")


def resumption() -> None:
    for options in ({}, {"session_store": MemorySessionStore()}):
        contexts = client(), server(**options)
        assert_resumes(*contexts, session_of(*contexts))


def early_data() -> None:
    contexts = client(), server(max_early_data_size=1000)
    assert_accepted(early_pair(*contexts))
    session = connected(*contexts).client.session
    other = server(ticket_keys=contexts[1].ticket_keys, session_store=MemorySessionStore())
    assert_rejected(early_pair(contexts[0], other, session))


def external_keys() -> None:
    psk = {"external_psks": [ExternalPSK(b"identity", bytes(32))]}
    assert_resumes(client(**psk), server(**psk), None)


def session_of_tls12() -> None:
    """It is not offered."""
    data = session_bytes(version=TLS12, suite=0xC02B, secret=bytes(48), session_id=bytes(32))
    assert_resumes(client(verify=Verify.NONE), server(), Session.from_bytes(bytes(data)), False)


def refused(
    context: fasths.Context, by_server: bool, message: bytes, error: type[TLSError]
) -> None:
    """A connection whose peer's first message is this one."""
    bio = fasths.MemoryBIO()
    conn = fasths.Connection(context, bio, server_hostname=HOST)
    conn.set_accept_state() if by_server else conn.set_connect_state()
    assert conn.do_handshake() == -1
    assert conn.last_error is None
    bio.read()
    bio.write(record(message))
    assert conn.do_handshake() == -1
    assert type(conn.last_error) is error, conn.last_error
    assert bio.read()[-2:] == bytes((2, error.default_alert))


def clients_of_tls12() -> None:
    for context in (server(), server(verify=Verify.REQUIRED, session_store=MemorySessionStore())):
        refused(context, True, client_hello(), ProtocolVersion)
        refused(context, True, client_hello(supported_versions(TLS12)), ProtocolVersion)
        tickets = extension(ExtensionType.session_ticket, b"ticket")
        refused(context, True, client_hello(tickets), ProtocolVersion)
        scsv = (0xC02B, 0x5600)
        refused(context, True, client_hello(cipher_suites=scsv), InappropriateFallback)


def servers_of_tls12() -> None:
    renegotiation_info = extension(ExtensionType.renegotiation_info, b"\0")
    for each in (b"", b"\0\0", extensions(renegotiation_info)):
        hello = message(2, u16(TLS12), RANDOM, vector(1, SESSION_ID), u16(0xC02B), b"\0", each)
        refused(client(), False, hello, ProtocolVersion)


def hello_requests() -> None:
    refused(client(), False, bytes(4), UnexpectedMessage)
    peer = established("client")
    assert_refuses(peer, UnexpectedMessage, lambda: peer.send(bytes(4)))


SCENES: tuple[Callable[[], None], ...] = (
    full_handshakes,
    retries,
    client_certificates,
    resumption,
    early_data,
    external_keys,
    session_of_tls12,
    clients_of_tls12,
    servers_of_tls12,
    hello_requests,
)


def tls12() -> None:
    ConnectionPair(contexts=(client_context(), server_context())).handshake()


def main() -> None:
    take_away()
    for scene in (tls12,) if sys.argv[1:] == ["broken"] else SCENES:
        try:
            scene()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        print(scene.__name__, flush=True)
    # What the modules do at the end of the process is nobody's connection.
    os._exit(0)


if __name__ == "__main__":
    main()
