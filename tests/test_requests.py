"""Requests: what they tell, what answers them, and what becomes of those that fail or stay open.

A Request here is a real one, of a connection that waits for it (see test_waits).
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from helpers import (
    BROKEN,
    HOST,
    NONE,
    SSL,
    SYSCALL,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    authority,
    client_context,
    count_alerts,
    identity,
    outcome,
    records,
    server_context,
    trust,
)
from refusals import server_of
from scripted_messages import vector
from scripted_peer import with_extension
from test_waits import (
    EVERY_QUESTION,
    EVERY_QUESTION_IN_HANDSHAKE,
    OF_BOTH_VERSIONS,
    PSK,
    QUESTIONS,
    QUESTIONS12,
    Application,
    Question,
    Scene,
    Setup,
)

import fasths
from fasths import (
    LATER,
    AlertDescription,
    CertificateError,
    Origin,
    SignatureScheme,
    TLSError,
    Verify,
)
from fasths.wire.errors import HandshakeFailure, InternalError

# What a store does not answer costs the session, and no more.
OF_STORES = (fasths.SessionRequest, fasths.SessionCacheRequest)
OPTIONAL = {name: each for name, each in OF_BOTH_VERSIONS.items() if each.request in OF_STORES}
EVERY_OPTIONAL_ANSWER = pytest.mark.parametrize("question", OPTIONAL.values(), ids=OPTIONAL)
NEEDED = {name: each for name, each in OF_BOTH_VERSIONS.items() if name not in OPTIONAL}
EVERY_NEEDED_ANSWER = pytest.mark.parametrize("question", NEEDED.values(), ids=NEEDED)


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns much more often than they do by default."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def request_of(name: str) -> Any:
    """An open one."""
    return Scene(QUESTIONS[name]).until_asked()


# --- What they tell


@EVERY_QUESTION
def test_a_request_carries_the_user_data_of_its_connection(question: Question) -> None:
    assert Scene(question).until_asked().user_data is None
    user_data = object()
    assert Scene(question, user_data=user_data).until_asked().user_data is user_data


def sent_client_hello(scene: Scene) -> bytes:
    [(_, fragment)] = records(scene.peer_bio.written)
    return fragment


def test_a_client_hello_request_has_the_client_hello() -> None:
    scene = Scene(QUESTIONS["client hello"])
    request = scene.until_asked()
    hello = request.client_hello
    assert request.client_hello is hello
    assert hello.raw == sent_client_hello(scene)
    assert (hello.server_name, hello.alpn_protocols) == (HOST, (b"chosen",))


@pytest.mark.parametrize("questions", [QUESTIONS, QUESTIONS12], ids=["1.3", "1.2"])
def test_an_identity_request_of_a_server_has_what_the_client_offers(questions: Any) -> None:
    scene = Scene(questions["server identity"])
    request = scene.until_asked()
    assert request.by_server is True
    assert request.server_name == HOST
    assert request.client_hello.raw == sent_client_hello(scene)
    assert request.signature_schemes == request.client_hello.signature_algorithms
    assert request.signature_schemes == scene.setup.client.signature_schemes
    assert SignatureScheme.rsa_pkcs1_sha256 in request.signature_schemes
    assert request.certificate_authorities == ()


@pytest.mark.parametrize("name", ["client identity", "late identity", "client identity of TLS 1.2"])
def test_an_identity_request_of_a_client_has_what_the_server_asks_for(name: str) -> None:
    question = OF_BOTH_VERSIONS[name]
    authorities = tuple(trust().subjects())
    schemes = ["ed25519", "ecdsa_secp256r1_sha256", "rsa_pkcs1_sha256"]

    def make(application: Application) -> Setup:
        server = server_context(
            verify=Verify.REQUIRED,
            post_handshake_auth=question.late,
            certificate_authorities=authorities,
            signature_schemes=schemes,
        )
        return question.make(application)._replace(server=server)

    request = Scene(question._replace(make=make)).until_asked()
    assert request.by_server is False
    assert request.server_name == HOST
    assert request.client_hello is None
    named = [SignatureScheme(each).name for each in request.signature_schemes]
    assert named == schemes
    assert request.certificate_authorities == authorities != ()


def test_an_identity_request_of_a_server_has_the_client_s_authorities() -> None:
    """RFC 8446, 4.2.4."""
    application = Application()
    application.reply = lambda request: identity()
    authorities = tuple(pki.name(each).public_bytes() for each in ("one", "two"))
    names = vector(2, *(vector(2, each) for each in authorities))
    peer = server_of(
        {"identity_callback": application},
        at={"client_hello": with_extension(fasths.ExtensionType.certificate_authorities, names)},
    )
    peer.handshake()
    assert application.requests[0].certificate_authorities == authorities


@pytest.mark.parametrize("name", ["server signature", "client signature", "late signature"])
@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
def test_a_signature_request_has_all_that_is_signed(name: str, suite: str) -> None:
    def make(application: Application) -> Setup:
        setup = QUESTIONS[name].make(application)
        late = QUESTIONS[name].late
        server = setup.server
        if name != "server signature":
            server = server_context(
                verify=Verify.REQUIRED, cipher_suites=[suite], post_handshake_auth=late
            )
            return setup._replace(server=server)
        return setup._replace(client=client_context(cipher_suites=[suite]))

    scene = Scene(QUESTIONS[name]._replace(make=make))
    request = scene.until_asked()
    assert request.scheme is SignatureScheme.ed25519
    side = b"server" if scene.conn is scene.server else b"client"
    prefix = b" " * 64 + b"TLS 1.3, " + side + b" CertificateVerify" + bytes(1)
    # RFC 8446, 4.4.3: and the hash of the transcript.
    assert request.content.startswith(prefix)
    assert len(request.content) - len(prefix) == int(suite[-3:]) // 8
    context = scene.setup.server if scene.conn is scene.server else scene.setup.client
    assert request.identity is context.identities[0]


VERIFICATIONS = {name: each for name, each in OF_BOTH_VERSIONS.items() if "verification" in name}


@pytest.mark.parametrize("question", VERIFICATIONS.values(), ids=VERIFICATIONS)
def test_a_verification_request_has_the_engine_s_verdict(question: Question) -> None:
    request = Scene(question).until_asked()
    by_server = question.by_server
    assert (request.by_server, request.on_resumption) == (by_server, False)
    assert request.hostname == (None if by_server else HOST)
    assert request.certificates == identity().certificates
    anchor = authority().certificate.public_bytes(Encoding.DER)
    assert request.verified_chain == (*identity().certificates, anchor)
    assert request.error is None
    assert request.raw_public_key is None


def test_requests_to_stores_have_what_is_looked_for() -> None:
    request = Scene(QUESTIONS["session take"]).until_asked()
    assert request.operation == "take"
    assert isinstance(request.key, bytes)
    mark = Scene(QUESTIONS["replay mark"]).until_asked()
    assert mark.operation == "add"
    assert isinstance(mark.key, bytes)
    assert mark.key != Scene(QUESTIONS["replay mark"]).until_asked().key
    scene = Scene(QUESTIONS12["session get"])
    request = scene.until_asked()
    assert request.operation == "get"
    assert request.key == b"session:" + scene.setup.session.session_id
    assert Scene(QUESTIONS["session cache"]).until_asked().name == HOST
    assert Scene(QUESTIONS["external PSK"]).until_asked().identity == PSK.identity


# --- Answers


NOT_ALLOWED = CertificateError("not allowed")
ANSWERS: dict[str, tuple[list[object], list[object]]] = {
    "client hello": ([None, server_context()], [False, identity(), "context", fasths.Context]),
    "server identity": ([None, identity()], [False, b"", HOST, server_context(), fasths.Identity]),
    "client identity": ([None, identity()], [False, b"", HOST, server_context(), fasths.Identity]),
    "server signature": ([b"", b"signature"], [None, "signature", bytearray(64), memoryview(b"x")]),
    "server verification": (
        [None, True, False, NOT_ALLOWED],
        [0, 1, "no", TLSError("no"), ValueError("no"), CertificateError],
    ),
    "session take": ([None, b"", b"state"], [True, "state", bytearray(9)]),
    "replay mark": ([True, False], [None, 0, 1, b""]),
    "session cache": ([None], [False, b"session", fasths.Session]),
    "external PSK": ([None, PSK], [False, PSK.key, fasths.ExternalPSK, (PSK,)]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_an_answer(name: str) -> None:
    rights, wrongs = ANSWERS[name]
    for right in rights:
        request = request_of(name)
        for wrong in (*wrongs, LATER):
            with pytest.raises(TypeError):
                request.answer(wrong)
            assert not request.answered
        assert request.answer(right) is True
        assert request.answered


def test_a_session_answers_a_cache() -> None:
    scene = Scene(QUESTIONS["session cache"])
    session = scene.right(scene.until_asked())
    assert isinstance(session, fasths.Session)
    assert request_of("session cache").answer(session) is True


@pytest.mark.parametrize("error", ["text", None, ValueError, KeyboardInterrupt()])
def test_fail_takes_exceptions_only(error: Any) -> None:
    request = request_of("server identity")
    with pytest.raises(TypeError):
        request.fail(error)
    assert not request.answered
    assert request.fail(ValueError()) is True


GIVEN: dict[str, Callable[[Any], object]] = {
    "answer": lambda request: request.answer(None),
    "fail": lambda request: request.fail(ValueError()),
}


@pytest.mark.parametrize("second", GIVEN)
@pytest.mark.parametrize("first", GIVEN)
def test_a_second_answer_is_refused(first: str, second: str) -> None:
    """And the first one counts."""
    scene = Scene(QUESTIONS["server verification"])
    request = scene.until_asked()
    assert GIVEN[first](request) is True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="before"):
            GIVEN[second](request)
    ret = scene.step(scene.conn)
    assert outcome(scene.conn, ret) == ((1, NONE) if first == "answer" else (-1, SSL))
    with pytest.raises(RuntimeError, match="before"):
        GIVEN[second](request)


def test_of_many_threads_one_answers(often: None) -> None:
    scenes = [Scene(QUESTIONS["server identity"]) for _ in range(200)]
    requests = [scene.until_asked() for scene in scenes]
    winners: list[Any] = []
    losers: list[Any] = []
    barrier = threading.Barrier(4)

    def answer_all() -> None:
        barrier.wait(10)
        for request in requests:
            try:
                assert request.answer(identity()) is True
                winners.append(request)
            except RuntimeError:
                losers.append(request)

    threads = [threading.Thread(target=answer_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(map(id, winners)) == sorted(map(id, requests))
    assert len(losers) == 3 * len(requests)
    scenes[0].finish()


def test_repr_says_whether_it_is_open_and_nothing_else() -> None:
    scene = Scene(QUESTIONS["external PSK"])
    request = scene.until_asked()
    assert repr(request) == "<fasths.PSKRequest, open>"
    request.answer(PSK)
    assert repr(request) == "<fasths.PSKRequest, answered>"
    assert repr(LATER) == "fasths.LATER"


def test_a_request_does_not_keep_its_connection() -> None:
    scene = Scene(QUESTIONS["server identity"])
    request = scene.until_asked()
    gone = weakref.ref(scene.client), weakref.ref(scene.server)
    del scene
    assert [each() for each in gone] == [None, None]
    request.answer(identity())


# --- Done callbacks


@pytest.mark.parametrize("given", GIVEN)
def test_done_callbacks_are_called_once_in_their_order_by_who_answers(given: str) -> None:
    request = request_of("server identity")
    calls: list[tuple[object, ...]] = []
    for number in range(3):
        request.add_done_callback(
            lambda *arguments, number=number: calls.append(
                (number, threading.current_thread(), request.answered, *arguments)
            )
        )
    with pytest.raises(TypeError):
        request.answer("wrong")
    assert calls == []
    thread = threading.Thread(target=GIVEN[given], args=(request,))
    thread.start()
    thread.join(10)
    assert calls == [(number, thread, True, request) for number in range(3)]
    calls.clear()
    with pytest.raises(RuntimeError):
        request.answer(None)
    assert calls == []
    request.add_done_callback(lambda each: calls.append((threading.current_thread(), each)))
    assert calls == [(threading.current_thread(), request)]


def test_a_done_callback_may_add_one_and_answer_another_request() -> None:
    one, two = request_of("server identity"), request_of("client identity")
    calls: list[object] = []
    one.add_done_callback(lambda request: request.add_done_callback(calls.append))
    one.add_done_callback(lambda request: calls.append(two.answer(None)))
    two.add_done_callback(calls.append)
    assert one.answer(None) is True
    assert calls == [one, two, True]


def test_a_done_callback_may_go_on_with_the_connection() -> None:
    scene = Scene(QUESTIONS["server identity"])
    request = scene.until_asked()
    results: list[object] = []
    request.add_done_callback(lambda _: results.append(scene.server.do_handshake()))
    assert request.answer(identity()) is True
    assert outcome(scene.server, results[0]) == (-1, WANT_READ)
    assert scene.client.do_handshake() == 1
    scene.finish()


def test_done_callbacks_that_are_added_while_it_is_answered_are_called_once(often: None) -> None:
    for _ in range(50):
        request = request_of("server verification")
        calls: list[object] = []
        barrier = threading.Barrier(2)

        def add(request: Any = request, calls: Any = calls, barrier: Any = barrier) -> None:
            barrier.wait(10)
            for number in range(20):
                request.add_done_callback(lambda _, number=number: calls.append(number))

        thread = threading.Thread(target=add)
        thread.start()
        barrier.wait(10)
        request.answer(True)
        thread.join(10)
        assert sorted(calls) == list(range(20))


# --- Failing


class Unraisable(list[BaseException]):
    """What was given to sys.unraisablehook."""

    def __call__(self, unraisable: Any) -> None:
        self.append(unraisable.exc_value)


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Unraisable:
    hook = Unraisable()
    monkeypatch.setattr(sys, "unraisablehook", hook)
    return hook


def raised(request: Any, error: Exception) -> object:
    raise error


def failed_at_once(request: Any, error: Exception) -> object:
    assert request.fail(error) is True
    return LATER


def failed_later(request: Any, error: Exception) -> object:
    return LATER


EVERY_WAY = pytest.mark.parametrize("way", [raised, failed_at_once, failed_later])
ERRORS: dict[str, tuple[Callable[[], Exception], AlertDescription]] = {
    "with an alert": (
        lambda: TLSError("secret", alert=AlertDescription.access_denied),
        AlertDescription.access_denied,
    ),
    "of a meaning": (lambda: HandshakeFailure("secret"), AlertDescription.handshake_failure),
    "of a certificate": (
        lambda: CertificateError("secret", alert=AlertDescription.certificate_revoked),
        AlertDescription.certificate_revoked,
    ),
    "without an alert": (lambda: TLSError("secret"), AlertDescription.internal_error),
    "of Python": (lambda: ValueError("secret"), AlertDescription.internal_error),
}


def assert_failed(scene: Scene, alert: AlertDescription) -> None:
    """The side that asked has failed for good, and has said so once; the peer knows."""
    conn, peer, error = scene.conn, scene.peer, scene.conn.last_error
    assert conn.request is None
    scene.bio.calls.clear()
    for call in (conn.do_handshake, lambda: conn.write(b"data"), conn.shutdown):
        assert outcome(conn, call()) == (-1, SSL)
        assert conn.last_error is error
    assert scene.bio.calls == []
    assert scene.until_over(peer) == (-1, SSL)
    assert isinstance(peer.last_error, fasths.PeerAlert)
    assert peer.last_error.alert is alert


@EVERY_NEEDED_ANSWER
@EVERY_WAY
@pytest.mark.parametrize("kind", ERRORS)
def test_a_failure_is_one_alert_and_sticks(question: Question, way: Any, kind: str) -> None:
    make_error, alert = ERRORS[kind]
    error, before = make_error(), []

    def reply(scene: Scene, request: Any) -> object:
        before.append(len(scene.bio.written))
        return way(request, error)

    scene = Scene(question, reply=reply)
    if way is failed_later:
        assert scene.until_asked().fail(error) is True
        assert outcome(scene.conn, scene.step(scene.conn)) == (-1, SSL)
    else:
        # The call that asks is the one that fails.
        scene.until_failed()
    if isinstance(error, TLSError):
        assert scene.conn.last_error is error
    else:
        assert type(scene.conn.last_error) is InternalError
        assert scene.conn.last_error.__cause__ is error
        assert "secret" not in str(scene.conn.last_error)
    sent = bytes(scene.bio.written[before[0] :])
    assert len(list(records(sent))) == count_alerts(sent) == 1
    assert_failed(scene, alert)
    [request] = scene.application.requests
    with pytest.raises(RuntimeError):
        request.answer(scene.right(request))


@EVERY_NEEDED_ANSWER
@pytest.mark.parametrize("origin", [Origin.PEER, Origin.TRANSPORT])
def test_a_failure_of_another_connection_is_an_alert(question: Question, origin: Origin) -> None:
    """A callback that asks elsewhere, over TLS: its error is not one of this connection's peer."""
    error = TLSError("the other side ended it", origin=origin)
    scene = Scene(question, reply=lambda scene, request: raised(request, error))
    scene.until_failed()
    assert scene.conn.last_error.origin is Origin.LOCAL
    assert_failed(scene, AlertDescription.internal_error)


@EVERY_OPTIONAL_ANSWER
@EVERY_WAY
@pytest.mark.parametrize("kind", ERRORS)
def test_a_failure_of_a_store_costs_a_full_handshake(
    question: Question, way: Any, kind: str, unraisable: Unraisable
) -> None:
    error = ERRORS[kind][0]()
    scene = Scene(question, reply=lambda scene, request: way(request, error))
    if way is failed_later:
        assert scene.until_asked().fail(error) is True
    scene.finish()
    assert unraisable == [error]
    assert_went_on_without(scene, question)


def assert_went_on_without(scene: Scene, question: Question) -> None:
    """Without the session; where that is not in question, without early data."""
    assert not scene.setup.agreed(scene)
    if question is QUESTIONS["replay mark"]:
        assert scene.server.session_reused
        assert scene.client.early_data_accepted is False
        assert scene.server.read_early_data() == b""
    else:
        assert not scene.server.session_reused
        assert scene.client.peer_certificates == identity().certificates


@EVERY_NEEDED_ANSWER
def test_a_callback_that_returns_a_wrong_type_fails(question: Question) -> None:
    scene = Scene(question, reply=lambda scene, request: question.wrong)
    scene.until_failed()
    assert type(scene.conn.last_error) is InternalError
    assert isinstance(scene.conn.last_error.__cause__, TypeError)
    assert_failed(scene, AlertDescription.internal_error)


@EVERY_OPTIONAL_ANSWER
def test_a_store_that_returns_a_wrong_type_costs_a_full_handshake(
    question: Question, unraisable: Unraisable
) -> None:
    scene = Scene(question, reply=lambda scene, request: question.wrong)
    scene.finish()
    assert [type(each) for each in unraisable] == [TypeError]
    assert_went_on_without(scene, question)


@EVERY_QUESTION
def test_a_callback_that_answers_and_returns_an_answer_fails(question: Question) -> None:
    """Only LATER goes with an answer that was given within the callback."""

    def reply(scene: Scene, request: Any) -> object:
        right = scene.right(request)
        assert request.answer(right) is True
        return right

    scene = Scene(question, reply=reply)
    scene.until_failed()
    assert isinstance(scene.conn.last_error.__cause__, RuntimeError)
    assert_failed(scene, AlertDescription.internal_error)


@EVERY_QUESTION
def test_an_interrupt_in_a_callback_is_raised_and_is_the_end(question: Question) -> None:
    scene = Scene(question, reply=lambda scene, request: raised(request, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        scene.finish()
    assert outcome(scene.conn, scene.step(scene.conn)) == (-1, SSL)
    assert_failed(scene, AlertDescription.internal_error)
    # Nobody has answered so far, and nobody is left to take an answer.
    [request] = scene.application.requests
    assert not request.answered
    assert request.answer(scene.right(request)) is False


# --- What a callback may do


OWN_CALLS: dict[str, Callable[[Any], object]] = {
    "do_handshake": lambda conn: conn.do_handshake(),
    "write": lambda conn: conn.write(b"data"),
    "read": lambda conn: conn.read(),
    "peek_into": lambda conn: conn.peek_into(bytearray(10)),
    "key_update": lambda conn: conn.key_update(),
    "shutdown": lambda conn: conn.shutdown(),
}


@EVERY_QUESTION
@pytest.mark.parametrize("call", OWN_CALLS)
def test_a_callback_that_uses_its_own_connection_is_refused(question: Question, call: str) -> None:
    """With a RuntimeError, and nothing comes of it."""
    errors: list[Exception] = []

    def reply(scene: Scene, request: Any) -> object:
        written = bytes(scene.bio.written)
        try:
            OWN_CALLS[call](scene.conn)
        except RuntimeError as error:
            errors.append(error)
        assert scene.bio.written == written
        assert scene.conn.request is request
        return scene.right(request)

    scene = Scene(question, reply=reply)
    scene.finish()
    assert scene.setup.agreed(scene)
    assert len(errors) == 1


@EVERY_QUESTION
def test_a_callback_may_use_other_connections(question: Question) -> None:
    """Even of the same Contexts: one that asks the same, in the middle of the question."""
    depths: list[int] = []

    def reply(scene: Scene, request: Any) -> object:
        if len(depths) < 3:
            depths.append(len(depths))
            other = Scene(question, reply=reply)
            other.finish()
            assert other.setup.agreed(other)
        return scene.right(request)

    scene = Scene(question, reply=reply)
    scene.finish()
    assert scene.setup.agreed(scene)
    assert depths == [0, 1, 2]


# --- Never answered, or too late


def die(scene: Scene) -> None:
    """The connection that asks ends while its Request is open: it cannot send its close_notify."""
    scene.bio.write_error = BROKEN
    assert outcome(scene.conn, scene.conn.shutdown()) == (-1, SYSCALL)


@EVERY_QUESTION
@pytest.mark.parametrize("given", ["answer", "fail"])
def test_an_answer_after_the_end_is_ignored(question: Question, given: str) -> None:
    scene = Scene(question)
    request = scene.until_asked()
    calls: list[object] = []
    request.add_done_callback(calls.append)
    die(scene)
    error = scene.conn.last_error
    assert scene.conn.request is None
    assert calls == []
    with pytest.raises(TypeError):
        request.answer(question.wrong)
    right = scene.right(request)
    assert (request.answer(right) if given == "answer" else request.fail(ValueError())) is False
    assert calls == [request]
    with pytest.raises(RuntimeError):
        request.answer(right)
    scene.bio.calls.clear()
    assert outcome(scene.conn, scene.step(scene.conn)) == (-1, SYSCALL)
    assert scene.conn.last_error is error
    assert scene.bio.calls == []


SHUTDOWNS = [
    pytest.param(question, given, id=f"{name}-{given}")
    for name, question in QUESTIONS.items()
    for given in ("nothing", "answer", "fail")
]


@pytest.mark.parametrize(("question", "given"), SHUTDOWNS)
def test_shutdown_while_a_request_is_open(
    question: Question, given: str, unraisable: Unraisable
) -> None:
    """The peer gets a close_notify at once. To read the peer's, the answer has to be there."""
    scene = Scene(question)
    request = scene.until_asked()
    conn, peer, before = scene.conn, scene.peer, len(scene.bio.written)
    assert outcome(conn, conn.shutdown()) == (0, NONE)
    closed = bytes(scene.bio.written)
    # RFC 8446, 6.1: during the handshake behind user_canceled.
    sent = closed[before:]
    assert len(list(records(sent))) == count_alerts(sent) == (1 if question.late else 2)
    assert scene.until_over(peer) == (0, ZERO_RETURN)
    assert peer.shutdown() == 1
    for _ in range(3):
        assert outcome(conn, conn.shutdown()) == (-1, question.code)
        assert conn.request is request
    if given == "answer":
        assert request.answer(scene.right(request)) is True
        assert conn.shutdown() == 1
        assert conn.last_error is None
    elif given == "fail":
        assert request.fail(ValueError()) is True
        expected = (1, NONE) if question.request in OF_STORES else (-1, SSL)
        if question is QUESTIONS["replay mark"]:
            # The client's close_notify is under the key of early data, which is skipped now.
            expected = (-1, WANT_READ)
        assert outcome(conn, conn.shutdown()) == expected
    # RFC 8446, 6.1: nothing follows a close_notify.
    assert scene.bio.written == closed


@EVERY_QUESTION
def test_a_peer_that_closes_while_a_request_is_open(question: Question) -> None:
    """It is noticed behind the answer, and what the answer leads to is still sent."""
    scene = Scene(question)
    request = scene.until_asked()
    conn = scene.conn
    assert scene.peer.shutdown() == 0
    scene.bio.calls.clear()
    assert outcome(conn, scene.step(conn)) == (-1, question.code)
    assert scene.bio.calls == []
    assert request.answer(scene.right(request)) is True
    assert scene.until_over(conn) == (0, ZERO_RETURN)
    assert conn.last_error is None


@EVERY_QUESTION
def test_a_transport_that_ends_while_a_request_is_open(question: Question) -> None:
    scene = Scene(question)
    request = scene.until_asked()
    conn = scene.conn
    scene.peer_bio.inner.shutdown_write()
    scene.bio.calls.clear()
    for _ in range(3):
        assert outcome(conn, scene.step(conn)) == (-1, question.code)
    assert scene.bio.calls == []
    assert request.answer(scene.right(request)) is True
    assert scene.until_over(conn) == (-1, SSL)
    assert isinstance(conn.last_error, fasths.TransportError)
    assert conn.last_error.os_error is None


@EVERY_QUESTION_IN_HANDSHAKE
def test_an_answer_whose_flight_cannot_be_sent(question: Question) -> None:
    scene = Scene(question)
    request = scene.until_asked()
    scene.bio.blocked = True
    assert outcome(scene.conn, scene.step(scene.conn)) == (-1, question.code)
    assert request.answer(scene.right(request)) is True
    for _ in range(3):
        assert outcome(scene.conn, scene.step(scene.conn)) == (-1, WANT_WRITE)
    assert scene.conn.request is None
    scene.bio.blocked = False
    scene.finish()
