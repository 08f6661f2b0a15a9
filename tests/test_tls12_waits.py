"""What the application is asked in TLS 1.2, and what its answers mean there.

That it can answer at once, later and from other threads is in test_waits, and all its waits
together in test_waits_together, beside those of TLS 1.3.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from helpers import (
    BOTH_ROLES,
    HOST,
    SSL,
    authority,
    client_context,
    count_alerts,
    identity,
    outcome,
    records,
    server_context,
    trust,
)
from refusals import changed
from refusals12 import TLS12_ALONE
from scripted12_keys import schemes_of
from test_requests import (
    ERRORS,
    Unraisable,
    assert_failed,
    failed_at_once,
    failed_later,
    raised,
    sent_client_hello,
    unraisable,
)
from test_resumption_policies import Judge
from test_waits import (
    QUESTIONS12,
    Application,
    AskingStore,
    Question,
    Scene,
    Setup,
    remote_identity,
    resumed,
    session_of,
    sign,
)
from test_waits_together import identity_of, refused_by

import fasths
from fasths import (
    LATER,
    CertificateError,
    CipherSuite,
    Identity,
    NamedGroup,
    SignatureScheme,
    TLSError,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import (
    BadRecordMac,
    DecryptError,
    HandshakeFailure,
    InternalError,
    ProtocolVersion,
)

__all__ = ["unraisable"]

V12, V13 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
VERSIONS: dict[str, dict[str, Any]] = {
    "1.2": TLS12_ALONE,
    "1.3": {"minimum_version": V13},
    "both": {},
}
OPTIONAL = ("session get", "session cache")
NEEDED = [name for name in QUESTIONS12 if name not in OPTIONAL]
EVERY_WAY = pytest.mark.parametrize("way", [raised, failed_at_once, failed_later])


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


# --- The Context that a client_hello_callback chooses


def chosen_scene(
    first: str, chosen: str, offered: str, later: bool, **options: Any
) -> tuple[Scene, Application]:
    """A server that begins with one Context and goes on with another, of these versions."""
    context = server_context(**VERSIONS[chosen], **options)
    application = answering(LATER if later else context)
    server = server_context(client_hello_callback=application, identities=[], **VERSIONS[first])
    scene = Scene(Setup(client_context(**VERSIONS[offered]), server, lambda request: context))
    if later:
        scene.until(lambda: scene.server.request)
        assert scene.server.version is None
        assert application.requests[0].answer(context) is True
    return scene, application


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("offered", VERSIONS)
@pytest.mark.parametrize("chosen", VERSIONS)
@pytest.mark.parametrize("first", VERSIONS)
def test_the_chosen_context_decides_on_the_version(
    first: str, chosen: str, offered: str, later: bool
) -> None:
    """Whatever the Context before it would have allowed."""
    scene, application = chosen_scene(first, chosen, offered, later)
    if {chosen, offered} == {"1.2", "1.3"}:
        refused_by(True, scene, ProtocolVersion)
    else:
        scene.finish()
        expected = V12 if "1.2" in (chosen, offered) else V13
        assert scene.client.version is scene.server.version is expected
        assert scene.server.context is not scene.setup.server
    assert len(application.requests) == 1


@pytest.mark.parametrize("chosen", ["1.2", "both"])
def test_the_chosen_context_decides_on_the_downgrade_sentinel(chosen: str) -> None:
    """RFC 8446, 4.1.3: a client that has TLS 1.3 refuses what looks like a downgrade."""
    scene, _ = chosen_scene("both", chosen, "1.2", False)
    scene.finish()
    # A Setup makes the client the side that is looked at first.
    [hello, *_] = messages_of(scene.peer_bio.written)
    random = hello[6:38]
    assert (random[-8:] == b"DOWNGRD\x01") is (chosen == "both")


CHOSEN = identity_of([HOST])
CHOICES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Scene], object], object]] = {
    "identities": (
        {},
        {"identities": [CHOSEN]},
        lambda scene: scene.client.peer_certificates,
        CHOSEN.certificates,
    ),
    "alpn": ({"alpn": ["one", "two"]}, {"alpn": ["two"]}, lambda s: s.client.alpn_protocol, "two"),
    "cipher suites": (
        {},
        {"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]},
        lambda scene: scene.client.cipher_suite,
        CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    "groups": (
        {"groups": ["x25519", "secp256r1"]},
        {"groups": ["secp256r1"]},
        lambda scene: scene.client.group,
        NamedGroup.secp256r1,
    ),
    "verify": (
        {"identities": [identity()]},
        {"verify": Verify.REQUIRED},
        lambda scene: scene.server.peer_certificates,
        identity().certificates,
    ),
    "no tickets": ({}, {"session_tickets": 0}, lambda scene: scene.client.session, None),
}


@pytest.mark.parametrize("name", CHOICES)
def test_what_the_chosen_context_says_counts(name: str) -> None:
    client, server, found, expected = CHOICES[name]
    application = answering(server_of(**server))
    first = server_of(client_hello_callback=application, alpn=["one"])
    scene = Scene(Setup(client_of(**client), first))
    scene.finish()
    assert found(scene) == expected
    assert len(application.requests) == 1


def test_secrets_are_logged_where_the_chosen_context_says() -> None:
    first: list[str] = []
    chosen: list[str] = []
    application = answering(server_of(keylog=chosen.append))
    server = server_of(client_hello_callback=application, keylog=first.append)
    Scene(Setup(client_of(), server)).finish()
    assert first == []
    assert [line.split()[0] for line in chosen] == ["CLIENT_RANDOM"]


@pytest.mark.parametrize("again", [True, False])
def test_sessions_are_of_the_chosen_context(again: bool) -> None:
    context = server_of()
    first = Scene(Setup(client_of(), server_of(client_hello_callback=answering(context))))
    first.finish()
    server = server_of(client_hello_callback=answering(context if again else None))
    scene = Scene(Setup(client_of(), server, session=first.client.session))
    scene.finish()
    assert scene.server.session_reused is again


# --- What the requests tell


def test_an_identity_request_of_a_server_has_what_the_client_offers() -> None:
    scene = Scene(QUESTIONS12["server identity"])
    request = scene.until_asked()
    assert (request.by_server, request.server_name) == (True, HOST)
    assert request.client_hello.raw == sent_client_hello(scene)
    assert request.signature_schemes == request.client_hello.signature_algorithms
    assert tuple(request.signature_schemes) == scene.setup.client.signature_schemes
    assert SignatureScheme.rsa_pkcs1_sha256 in request.signature_schemes
    assert request.certificate_authorities == ()


def test_an_identity_request_of_a_client_has_what_the_server_asks_for() -> None:
    authorities = tuple(trust().subjects())
    schemes = ("ed25519", "rsa_pkcs1_sha256")
    application = answering(LATER)
    server = server_of(
        verify=Verify.REQUIRED, certificate_authorities=authorities, signature_schemes=schemes
    )
    scene = Scene(Setup(client_of(identity_callback=application), server))
    scene.until(lambda: scene.client.request)
    [request] = application.requests
    assert (request.by_server, request.server_name) == (False, HOST)
    assert request.client_hello is None
    assert [SignatureScheme(each).name for each in request.signature_schemes] == list(schemes)
    assert request.certificate_authorities == authorities != ()


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


@pytest.mark.parametrize("name", ["client verification", "server verification"])
def test_a_verification_request_has_the_engine_s_verdict(name: str) -> None:
    request = Scene(QUESTIONS12[name]).until_asked()
    by_server = QUESTIONS12[name].by_server
    assert (request.by_server, request.on_resumption) == (by_server, False)
    assert request.hostname == (None if by_server else HOST)
    assert request.certificates == identity().certificates
    anchor = authority().certificate.public_bytes(Encoding.DER)
    assert request.verified_chain == (*identity().certificates, anchor)
    assert request.error is None
    assert request.raw_public_key is None


def test_a_session_request_has_the_id() -> None:
    scene = Scene(QUESTIONS12["session get"])
    request = scene.until_asked()
    assert (request.operation, request.key) == ("get", b"session:" + scene.setup.session.session_id)


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


def test_no_identity_of_a_server_is_refused() -> None:
    server = server_of(identity_callback=answering(None))
    refused_by(True, Scene(Setup(client_of(), server)), HandshakeFailure)


def test_no_identity_of_a_client_is_no_certificate() -> None:
    client = client_of(identity_callback=answering(None), identities=[identity()])
    scene = Scene(Setup(client, server_of(verify=Verify.OPTIONAL)))
    scene.finish()
    assert scene.server.peer_certificates == ()
    # RFC 5246, 7.4.6
    refused_by(True, Scene(Setup(client, server_of(verify=Verify.REQUIRED))), HandshakeFailure)


@BOTH_ROLES
def test_the_callback_s_identity_comes_before_those_of_the_context(by_server: bool) -> None:
    asking = {"identities": [identity()], "identity_callback": answering(CHOSEN)}
    client = client_of(**({} if by_server else asking))
    server = server_of(verify=Verify.OPTIONAL, **(asking if by_server else {}))
    scene = Scene(Setup(client, server))
    scene.finish()
    other = scene.client if by_server else scene.server
    assert other.peer_certificates == CHOSEN.certificates


@BOTH_ROLES
def test_an_identity_that_cannot_sign_for_the_peer_is_refused(by_server: bool) -> None:
    chosen = identity_of([HOST], key_type="rsa")
    asking, other = {"identity_callback": answering(chosen)}, {"signature_schemes": ["ed25519"]}
    client = client_of(**(other if by_server else asking))
    server = server_of(verify=Verify.REQUIRED, **(asking if by_server else other))
    refused_by(by_server, Scene(Setup(client, server)), HandshakeFailure)


def test_an_identity_that_no_suite_in_common_is_for_is_refused() -> None:
    chosen = identity_of([HOST], key_type="rsa")
    client = client_of(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    scene = Scene(Setup(client, server_of(identity_callback=answering(chosen))))
    refused_by(True, scene, HandshakeFailure)


@BOTH_ROLES
def test_a_raw_public_key_that_was_not_negotiated_is_refused(by_server: bool) -> None:
    raw = Identity.from_raw_public_key(pki.make_leaf(key_type="ed25519").key_pem)
    asking = {"identity_callback": answering(raw)}
    client = client_of(**({} if by_server else asking))
    server = server_of(verify=Verify.REQUIRED, **(asking if by_server else {}))
    refused_by(by_server, Scene(Setup(client, server)), HandshakeFailure)


# --- Signatures of others

KEY_TYPES = ["ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa-pss", "ed25519", "ed448"]
SIGNED = [(key_type, scheme) for key_type in KEY_TYPES for scheme in schemes_of(key_type)]


def scene_signed_by(by_server: bool, signer: Identity, scheme: str) -> Scene:
    """One side signs, and the other one verifies this scheme alone."""
    if by_server:
        client = client_of(signature_schemes=[scheme], groups=["x25519", *CURVES])
        return Scene(Setup(client, server_of(identities=[signer], groups=["x25519", *CURVES])))
    server = server_of(
        identities=[identity_of([HOST], key_type="ed448")],
        verify=Verify.REQUIRED,
        signature_schemes=dict.fromkeys([scheme, "ed448"]),
    )
    return Scene(Setup(client_of(identities=[signer]), server))


CURVES = ["secp256r1", "secp384r1", "secp521r1"]


@BOTH_ROLES
@pytest.mark.parametrize(
    ("key_type", "scheme"), SIGNED, ids=[f"{key}-{scheme.name}" for key, scheme in SIGNED]
)
def test_a_signer_signs_with_every_scheme(
    by_server: bool, key_type: str, scheme: SignatureScheme
) -> None:
    """RFC 5246, 7.4.1.4.1: a curve is not bound to a hash, and PKCS #1 v1.5 may sign."""
    application = Application()
    remote, leaf = remote_identity(application, key_type)
    application.reply = lambda request: sign(leaf, request)
    scene = scene_signed_by(by_server, remote, scheme.name)
    scene.finish()
    [request] = application.requests
    assert request.scheme is scheme
    if by_server:
        assert scene.client.signature_scheme is scene.server.signature_scheme is scheme
    assert (scene.client if by_server else scene.server).peer_certificates == remote.certificates


def of_other_content(leaf: pki.Credential, request: Any) -> bytes:
    asked = SimpleNamespace(content=changed(request.content), scheme=request.scheme)
    return sign(leaf, asked)


WRONG_SIGNATURES: dict[str, tuple[str, Callable[[pki.Credential, Any], bytes]]] = {
    "empty": ("ed25519", lambda leaf, request: b""),
    "cut": ("ed25519", lambda leaf, request: sign(leaf, request)[:-1]),
    "longer": ("ed25519", lambda leaf, request: sign(leaf, request) + b"\0"),
    "longest": ("ed25519", lambda leaf, request: bytes(65535)),
    "changed ed25519": ("ed25519", lambda leaf, request: changed(sign(leaf, request))),
    "changed ecdsa": ("ecdsa", lambda leaf, request: changed(sign(leaf, request))),
    "changed rsa": ("rsa", lambda leaf, request: changed(sign(leaf, request))),
    "another content": ("ed25519", of_other_content),
    "another key": ("ecdsa", lambda leaf, request: sign(pki.make_leaf(), request)),
}


def signed_by(by_server: bool, key_type: str, signer: Callable[..., object]) -> Scene:
    remote, leaf = remote_identity(lambda request: signer(leaf, request), key_type)
    groups = ["x25519", "secp256r1"]
    if by_server:
        return Scene(Setup(client_of(groups=groups), server_of(identities=[remote])))
    server = server_of(verify=Verify.REQUIRED)
    return Scene(Setup(client_of(identities=[remote]), server))


@BOTH_ROLES
@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_a_wrong_signature_of_a_signer_is_refused(by_server: bool, name: str) -> None:
    refused_by(not by_server, signed_by(by_server, *WRONG_SIGNATURES[name]), DecryptError)


@BOTH_ROLES
def test_a_signature_that_fits_into_no_message_is_refused(by_server: bool) -> None:
    """opaque signature<0..2^16-1>."""
    scene = signed_by(by_server, "ed25519", lambda leaf, request: bytes(65536))
    refused_by(by_server, scene, InternalError)


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
        (of_tls12, client_context(minimum_version=V13, session_cache=Cache(of_tls12))),
    ):
        scene = Scene(Setup(client, server_context()))
        scene.finish()
        assert not resumed(scene)
        assert session.ticket not in bytes(scene.bio.written)


# --- Failures


@pytest.mark.parametrize("name", NEEDED)
@EVERY_WAY
@pytest.mark.parametrize("kind", ERRORS)
def test_a_failure_is_one_alert_and_sticks(name: str, way: Any, kind: str) -> None:
    make_error, alert = ERRORS[kind]
    error, before = make_error(), []

    def reply(scene: Scene, request: Any) -> object:
        before.append(len(scene.bio.written))
        return way(request, error)

    scene = Scene(QUESTIONS12[name], reply=reply)
    if way is failed_later:
        assert scene.until_asked().fail(error) is True
        assert outcome(scene.conn, scene.step(scene.conn)) == (-1, SSL)
    else:
        scene.until_failed()
    if isinstance(error, TLSError):
        assert scene.conn.last_error is error
    else:
        assert type(scene.conn.last_error) is InternalError
        assert scene.conn.last_error.__cause__ is error
    sent = bytes(scene.bio.written[before[0] :])
    assert len(list(records(sent))) == count_alerts(sent) == 1
    assert_failed(scene, alert)


@pytest.mark.parametrize("name", NEEDED)
def test_a_callback_that_returns_a_wrong_type_fails(name: str) -> None:
    question: Question = QUESTIONS12[name]
    scene = Scene(question, reply=lambda scene, request: question.wrong)
    scene.until_failed()
    assert type(scene.conn.last_error) is InternalError
    assert isinstance(scene.conn.last_error.__cause__, TypeError)
    assert_failed(scene, fasths.AlertDescription.internal_error)


@pytest.mark.parametrize("name", OPTIONAL)
@EVERY_WAY
@pytest.mark.parametrize("kind", ERRORS)
def test_a_failure_of_a_store_costs_a_full_handshake(
    name: str, way: Any, kind: str, unraisable: Unraisable
) -> None:
    error = ERRORS[kind][0]()
    scene = Scene(QUESTIONS12[name], reply=lambda scene, request: way(request, error))
    if way is failed_later:
        assert scene.until_asked().fail(error) is True
    scene.finish()
    assert unraisable == [error]
    assert not scene.setup.agreed(scene)
    assert scene.client.peer_certificates == identity().certificates


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_store_that_returns_a_wrong_type_costs_a_full_handshake(
    name: str, unraisable: Unraisable
) -> None:
    question: Question = QUESTIONS12[name]
    scene = Scene(question, reply=lambda scene, request: question.wrong)
    scene.finish()
    assert [type(each) for each in unraisable] == [TypeError]
    assert not scene.setup.agreed(scene)
