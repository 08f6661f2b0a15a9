"""A Context without TLS 1.2: it says nothing of it, and none of its code runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from client_hellos import client_hello, record, supported_versions
from helpers import TLS13_ALONE, TLS13_SUITES, client_context, server_context
from resumed_pairs import offered, session_of
from session_bytes import TLS12

import fasths
from fasths import AlertDescription, ExtensionType, MemorySessionStore, TLSVersion
from fasths.wire.errors import ProtocolVersion

E = ExtensionType
TLS12_EXTENSIONS = {
    E.ec_point_formats,
    E.extended_master_secret,
    E.session_ticket,
    E.renegotiation_info,
}
# RFC 5746, 3.3, and RFC 7507, 2.
SIGNALLING_SUITES = {0x00FF, 0x5600}
# How TLS 1.2 is turned off.
ALONE = {
    "version": TLS13_ALONE,
    "suites": {"cipher_suites": TLS13_SUITES},
    "groups": {"groups": ["X25519MLKEM768"]},
}
each_way = pytest.mark.parametrize("alone", ALONE.values(), ids=ALONE)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(__file__).with_name("without_tls12.py")
    return subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, timeout=100
    )


@pytest.mark.skipif(sys.platform != "linux", reason="pages are taken away with Linux's means")
def test_no_code_of_tls12_runs() -> None:
    """In any kind of handshake, nor where a peer comes with TLS 1.2."""
    from without_tls12 import SCENES

    result = run()
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [scene.__name__ for scene in SCENES]


@pytest.mark.skipif(sys.platform != "linux", reason="pages are taken away with Linux's means")
def test_where_code_of_tls12_is_needed_the_process_ends() -> None:
    """So the test above means something."""
    result = run("broken")
    assert result.returncode not in (0, 1)
    assert not result.stdout
    assert "Traceback" not in result.stderr
    if "Sanitizer" not in result.stderr:
        assert result.returncode == -signal.SIGSEGV


@each_way
def test_client_hello_has_nothing_of_tls12(alone: dict[str, Any]) -> None:
    hello = offered(client_context(**alone), server_context(), None)
    assert hello.supported_versions == (TLSVersion.TLSv1_3,)
    assert hello.cipher_suites == TLS13_SUITES
    both = offered(client_context(), server_context(), None)
    assert both.supported_versions == (TLSVersion.TLSv1_3, TLSVersion.TLSv1_2)
    assert both.cipher_suites == tuple(client_context().cipher_suites)
    assert set(both.extension_types) - set(hello.extension_types) == TLS12_EXTENSIONS
    assert set(hello.extension_types) < set(both.extension_types)
    # Certificates may be signed with what signs no handshake here.
    assert hello.signature_algorithms == both.signature_algorithms
    for each in (hello, both):
        assert not SIGNALLING_SUITES & set(each.cipher_suites)
        # RFC 8446, D.4.
        assert each.legacy_version == TLSVersion.TLSv1_2
        assert len(each.legacy_session_id) == 32


@each_way
@pytest.mark.parametrize("kind", ["ticket", "session id"])
def test_session_of_tls12_is_not_offered(alone: dict[str, Any], kind: str) -> None:
    before = client_context(maximum_version=TLSVersion.TLSv1_2)
    store = {"session_store": MemorySessionStore()} if kind == "session id" else {}
    session = session_of(before, server_context(**store))
    hello = offered(client_context(**alone), server_context(), session)
    assert not TLS12_EXTENSIONS & set(hello.extension_types)
    assert not hello.pre_shared_key
    assert hello.legacy_session_id != session.session_id
    # It would be, were it not for the version.
    hello = offered(client_context(), server_context(), session)
    tickets = dict(hello.extensions)[E.session_ticket]
    assert (tickets, hello.legacy_session_id)[kind == "session id"] == (
        session.session_id or session.ticket
    )


@each_way
@pytest.mark.parametrize("legacy_version", [0x0303, 0x0304])
def test_client_of_tls12_is_refused(alone: dict[str, Any], legacy_version: int) -> None:
    for extensions in ((), (supported_versions(TLS12),)):
        bio = fasths.MemoryBIO()
        server = fasths.Connection(server_context(**alone), bio)
        server.set_accept_state()
        bio.write(record(client_hello(*extensions, legacy_version=legacy_version)))
        assert server.do_handshake() == -1
        assert type(server.last_error) is ProtocolVersion
        assert bio.read() == bytes((21, 3, 3, 0, 2, 2, AlertDescription.protocol_version))
