"""What the application is asked in TLS 1.2, and what its answers mean, where it is not as in 1.3.

What is the same is in test_waits, test_requests and test_waits_together, for both versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    client_context,
    identity,
    records,
    server_context,
)
from refusals12 import TLS12_ALONE
from test_resumption_policies import Judge
from test_waits import (
    QUESTIONS12,
    Application,
    AskingStore,
    Scene,
    Setup,
    resumed,
    session_of,
)
from test_waits_together import identity_of, refused_by

import fasths
from fasths import (
    LATER,
    CertificateError,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    BadRecordMac,
    HandshakeFailure,
)


def client_of(**options: Any) -> fasths.Context:
    return client_context(**{**TLS12_ALONE, **options})


def server_of(**options: Any) -> fasths.Context:
    return server_context(**{**TLS12_ALONE, **options})


def answering(answer: object) -> Application:
    application = Application()
    application.reply = lambda request: answer
    return application


def messages_of(stream: bytes | bytearray) -> list[bytes]:
    """The handshake messages in front of the first change_cipher_spec."""
    content = b""
    for kind, fragment in records(stream):
        if kind != fasths.ContentType.handshake:
            break
        content += fragment
    messages = []
    while content:
        size = 4 + int.from_bytes(content[1:4], "big")
        messages.append(content[:size])
        content = content[size:]
    return messages


# --- What the requests tell


def test_a_signature_request_of_a_server_has_randoms_and_parameters() -> None:
    """RFC 5246, 7.4.3."""
    scene = Scene(QUESTIONS12["server signature"])
    request = scene.until_asked()
    assert request.identity is scene.setup.server.identities[0]
    request.answer(scene.right(request))
    scene.finish()
    client_hello = messages_of(scene.peer_bio.written)[0]
    server_hello, _, key_exchange, *_ = messages_of(scene.bio.written)
    # ServerECDHParams: a named curve, and a public key with its length.
    params = key_exchange[4 : 4 + 3 + 1 + 32]
    assert request.content == client_hello[6:38] + server_hello[6:38] + params


def test_a_signature_request_of_a_client_has_all_messages() -> None:
    """RFC 5246, 7.4.8: the messages themselves, up to CertificateVerify."""
    scene = Scene(QUESTIONS12["client signature"])
    request = scene.until_asked()
    assert request.identity is scene.setup.client.identities[0]
    request.answer(scene.right(request))
    scene.finish()
    hello, *own, verify = messages_of(scene.bio.written)
    assert verify[0] == fasths.HandshakeType.certificate_verify
    *flight, ticket = messages_of(scene.peer_bio.written)
    assert ticket[0] == fasths.HandshakeType.new_session_ticket
    assert request.content == b"".join((hello, *flight, *own))


# --- What the answers mean


@pytest.mark.parametrize("way", ["at once", "later"])
@BOTH_ROLES
@pytest.mark.parametrize("answer", [True, False, None, CertificateError("no")], ids=str)
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_the_application_has_the_last_word(
    by_server: bool, answer: object, trusted: bool, way: str
) -> None:
    application = answering(LATER if way == "later" else answer)
    other = fasths.TrustStore.from_pem(pki.make_ca().pem)
    judging = {"verify_callback": application, **({} if trusted else {"trust": other})}
    client = client_of(identities=[identity()], **({} if by_server else judging))
    server = server_of(verify=Verify.REQUIRED, **(judging if by_server else {}))
    scene = Scene(Setup(client, server))
    conn = scene.server if by_server else scene.client
    if way == "later":
        scene.until(lambda: conn.request)
        assert conn.peer_certificates == ()
        assert application.requests[0].answer(answer) is True
    if not (answer is True or (answer is None and trusted)):
        error = refused_by(by_server, scene, CertificateError)
        assert (error is answer) is isinstance(answer, CertificateError)
        assert conn.peer_certificates == ()
        return
    scene.finish()
    [request] = application.requests
    assert (request.error is None) is trusted
    assert conn.peer_certificates == identity().certificates
    assert (conn.verified_chain is not None) is trusted


def test_an_identity_that_no_suite_in_common_is_for_is_refused() -> None:
    chosen = identity_of([HOST], key_type="rsa")
    client = client_of(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    scene = Scene(Setup(client, server_of(identity_callback=answering(chosen))))
    refused_by(True, scene, HandshakeFailure)


# --- Resumption


def judged_contexts(by_server: bool, judge: Judge) -> tuple[fasths.Context, fasths.Context]:
    judging = {"verify_callback": judge}
    client = client_of(identities=[identity()], **({} if by_server else judging))
    return client, server_of(verify=Verify.REQUIRED, **(judging if by_server else {}))


@BOTH_ROLES
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("answer", [True, False, None, CertificateError("no")], ids=str)
def test_the_application_is_asked_about_a_session(
    by_server: bool, later: bool, answer: object
) -> None:
    judge = Judge(LATER if later else answer)
    client, server = judged_contexts(by_server, judge)
    session = session_of(client, server)
    assert judge.asked() == [False]
    scene = Scene(Setup(client, server, session=session))
    conn = scene.server if by_server else scene.client
    if later:
        scene.until(lambda: conn.request)
        written = (scene.peer_bio if by_server else scene.bio).written
        assert written == b""
        assert conn.request.on_resumption
        assert conn.request.answer(answer) is True
    scene.finish()
    resumes = answer is True or answer is None
    assert resumed(scene) is resumes
    [request, *_] = judge.requests
    assert request.verified_chain is not None
    assert judge.asked() == ([True] if resumes else [True, False])


def stored_scene(answer: object) -> tuple[Scene, Application]:
    application = answering(answer)
    store = AskingStore(application)
    client, server = client_of(), server_of(session_store=store)
    session = session_of(client, server)
    store.armed = True
    scene = Scene(
        Setup(client, server, lambda request: store.memory.get(request.key), resumed, session)
    )
    return scene, application


def state_of_tls13() -> bytes:
    """What a server keeps of a session of the other version."""
    store = fasths.MemorySessionStore()
    session = session_of(client_context(), server_context(session_store=store))
    state = store.get(b"ticket:" + session.ticket)
    assert state is not None
    return state


NO_SESSIONS: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "empty": lambda: b"",
    "junk": lambda: b"junk",
    "of TLS 1.3": state_of_tls13,
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("name", NO_SESSIONS)
def test_a_store_without_the_session_makes_a_full_handshake(name: str, later: bool) -> None:
    answer = NO_SESSIONS[name]()
    scene, application = stored_scene(LATER if later else answer)
    if later:
        scene.until(lambda: scene.server.request)
        application.requests[0].answer(answer)
    scene.finish()
    assert not resumed(scene)
    assert scene.client.peer_certificates == identity().certificates


def test_a_store_that_is_asked_for_another_session() -> None:
    """It may answer with the wrong one: the keys differ then, and nobody is let in."""
    scene, application = stored_scene(LATER)
    store = fasths.MemorySessionStore()
    other = session_of(client_of(), server_of(session_store=store))
    scene.until(lambda: scene.server.request)
    application.requests[0].answer(store.get(b"session:" + other.session_id))
    refused_by(False, scene, BadRecordMac)


class Cache(fasths.MemorySessionCache):
    """Answers with one session, whatever it is asked for."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def take(self, name: str, request: Any = None) -> Any:
        return self.answer


def test_a_cache_that_gives_a_session_of_the_other_version() -> None:
    """It is not offered by a client that does not have that version."""
    of_tls13 = session_of(client_context(), server_context())
    of_tls12 = session_of(client_of(), server_of())
    for session, client in (
        (of_tls13, client_of(session_cache=Cache(of_tls13))),
        (
            of_tls12,
            client_context(minimum_version=TLSVersion.TLSv1_3, session_cache=Cache(of_tls12)),
        ),
    ):
        scene = Scene(Setup(client, server_context()))
        scene.finish()
        assert not resumed(scene)
        assert session.ticket not in bytes(scene.bio.written)
