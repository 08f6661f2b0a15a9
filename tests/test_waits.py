"""Every wait for the application, over every transport: answered at once, later, and by others.

A row of QUESTIONS makes two connections of which one will ask, once. What a test says of one of
them it says of all. What becomes of failures is in test_requests, what answers mean and how they
go together in test_waits_together.
"""

from __future__ import annotations

import functools
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pki
import pytest
from helpers import (
    HOST,
    NONE,
    PLENTY,
    SSL,
    WAITS,
    WANT_READ,
    WANT_WRITE,
    SpyBIO,
    authority,
    client_context,
    identity,
    outcome,
    records,
    server_context,
    transfer,
)
from refusals12 import TLS12_ALONE
from scripted_keys import signature_arguments

import fasths
from fasths import LATER, Connection, Request, SSLErrorCode, Verify

C = SSLErrorCode
EARLY_DATA = b"early data"
PSK = fasths.ExternalPSK(b"an external PSK", bytes(range(32)))


# --- The application


class Application:
    """Is asked, and answers with what `reply` makes of a Request. requests: all of them."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.reply: Callable[[Any], object] = lambda request: LATER

    def __call__(self, request: Request) -> object:
        self.requests.append(request)
        return self.reply(request)


class AskingStore:
    """A SessionStore in memory; once it is armed, the application says what it gives."""

    complete_since = 0.0

    def __init__(self, application: Callable[[Any], object]) -> None:
        self.memory = fasths.MemorySessionStore()
        self.application = application
        self.armed = False

    def put(self, key: bytes, value: bytes, lifetime: float) -> None:
        self.memory.put(key, value, lifetime)

    def get(self, key: bytes, request: Request) -> Any:
        return self.application(request) if self.armed else self.memory.get(key)

    def take(self, key: bytes, request: Request) -> Any:
        return self.application(request) if self.armed else self.memory.take(key)

    def add(self, key: bytes, lifetime: float, request: Request) -> Any:
        return self.application(request) if self.armed else self.memory.add(key, lifetime)

    def remove(self, key: bytes) -> None:
        self.memory.remove(key)


class AskingCache:
    """A SessionCache whose take() is answered by the application."""

    def __init__(self, application: Callable[[Any], object]) -> None:
        self.memory = fasths.MemorySessionCache()
        self.application = application

    def put(self, name: str, session: fasths.Session) -> None:
        self.memory.put(name, session)

    def take(self, name: str, request: Request) -> Any:
        return self.application(request)


def remote_identity(
    signer: Callable[[Any], object], key_type: str = "ed25519", name: str = HOST
) -> tuple[fasths.Identity, pki.Credential]:
    """An identity whose key somebody else has, and the certificate with the key."""
    leaf = pki.make_leaf([name], issuer=authority(), key_type=key_type)
    return fasths.Identity.from_signer(leaf.chain_pem, signer), leaf


def sign(leaf: pki.Credential, request: Any) -> bytes:
    """What the owner of the key answers to a SignatureRequest."""
    signature: bytes = leaf.key.sign(  # type: ignore[union-attr]
        request.content, *signature_arguments(request.scheme)
    )
    return signature


def session_of(client: fasths.Context, server: fasths.Context) -> fasths.Session:
    """What a client can resume a full handshake of these two with."""
    scene = Scene(Setup(client, server))
    scene.finish()
    assert scene.client.session is not None
    return scene.client.session


# --- The waits


class Setup(NamedTuple):
    """Contexts of which one asks, and the right answer. agreed: whether that one was followed."""

    client: fasths.Context
    server: fasths.Context
    right: Callable[[Any], object] = lambda request: None
    agreed: Callable[[Scene], bool] = lambda scene: True
    session: fasths.Session | None = None
    early_data: bytes = b""


class Question(NamedTuple):
    """late: whether it happens in authentication after the handshake. wrong: no answer to it."""

    code: SSLErrorCode
    request: type[Request]
    by_server: bool
    make: Callable[[Application], Setup]
    wrong: object = "text"
    late: bool = False


class Scene:
    """A client and a server, over a bio_pair() unless bios says otherwise.

    conn is the side that asks, bio what it writes to; peer is the other side.
    """

    def __init__(
        self,
        what: Question | Setup,
        *,
        reply: Callable[[Scene, Any], object] | None = None,
        size: int = PLENTY,
        bios: tuple[object, object] | None = None,
        hostname: str | None = HOST,
        **options: Any,
    ) -> None:
        """reply: what the callback does with a Request. options: of both connections."""
        self.application = Application()
        if reply is not None:
            self.application.reply = lambda request: reply(self, request)
        self.setup = what.make(self.application) if isinstance(what, Question) else what
        self.late = isinstance(what, Question) and what.late
        self.code = what.code if isinstance(what, Question) else None
        spies = [SpyBIO(bio) for bio in bios or fasths.bio_pair(size)]
        self.client = Connection(self.setup.client, spies[0], server_hostname=hostname, **options)
        self.server = Connection(self.setup.server, spies[1], **options)
        self.client.set_connect_state()
        self.server.set_accept_state()
        if self.setup.session is not None:
            self.client.set_session(self.setup.session)
        self.early_data = self.setup.early_data
        sides = (self.client, spies[0], self.server, spies[1])
        if isinstance(what, Question) and what.by_server:
            sides = sides[2:] + sides[:2]
        self.conn, self.bio, self.peer, self.peer_bio = sides

    def right(self, request: Any) -> object:
        return self.setup.right(request)

    def step(self, conn: Connection) -> int:
        """Go on with one side."""
        if conn is self.client and self.early_data:
            ret = conn.write_early_data(self.early_data)
            if ret < 0:
                return ret
            self.early_data = b""
        if conn.established:
            data = conn.read()
            return -1 if data is None else len(data)
        return conn.do_handshake()

    def until(self, reached: Callable[[], object]) -> tuple[Connection, int]:
        """Go on with both sides until it is so; which side went last, and its result."""
        for _ in range(10_000):
            for conn in (self.client, self.server):
                ret = self.step(conn)
                if reached():
                    return conn, ret
                code = conn.get_error(ret)
                assert ret == 1 or code in (*WAITS, C.EARLY_DATA_REJECTED), conn.last_error
            if self.late and self.client.established and self.server.established:
                self.late = False
                assert self.server.verify_client_post_handshake() == 1
        raise AssertionError("it does not come to that")

    def until_asked(self) -> Any:
        """Go on until the application has a Request to answer, which is returned."""
        conn, ret = self.until(lambda: self.client.request or self.server.request)
        assert conn is self.conn
        assert outcome(conn, ret) == (-1, self.code)
        return conn.request

    def until_failed(self) -> None:
        """Go on until the side that asks has failed."""
        assert outcome(*self.until(lambda: self.conn.last_error)) == (-1, SSL)

    def until_over(self, conn: Connection) -> tuple[int, SSLErrorCode]:
        """Go on with one side until it waits, or for nothing any more."""
        ret = 1
        while conn.get_error(ret) in (NONE, WANT_WRITE):
            ret = self.step(conn)
        return outcome(conn, ret)

    def finish(self) -> None:
        """Go on to the end, without another question, and use the connection."""
        self.until(lambda: self.client.established and self.server.established and not self.late)
        for conn in (self.client, self.server) * 2:
            assert conn.read() is None, conn.last_error
        assert self.client.request is self.server.request is None
        transfer(self.client, self.server, b"to the server")
        transfer(self.server, self.client, b"to the client")


def client_hello(application: Application, **options: Any) -> Setup:
    chosen = server_context(alpn=["chosen"], **options)
    return Setup(
        client_context(alpn=["chosen"], **options),
        server_context(identities=[], client_hello_callback=application, **options),
        lambda request: chosen,
        lambda scene: scene.server.context is chosen and scene.client.alpn_protocol == "chosen",
    )


def server_identity(application: Application, **options: Any) -> Setup:
    return Setup(
        client_context(**options),
        server_context(identities=[], identity_callback=application, **options),
        lambda request: identity(),
        lambda scene: scene.client.peer_certificates == identity().certificates,
    )


def server_signature(application: Application, **options: Any) -> Setup:
    remote, leaf = remote_identity(application)
    return Setup(
        client_context(**options),
        server_context(identities=[remote], **options),
        lambda request: sign(leaf, request),
        lambda scene: scene.client.peer_certificates == remote.certificates,
    )


def server_verification(application: Application, late: bool = False, **options: Any) -> Setup:
    return Setup(
        client_context(identities=[identity()], post_handshake_auth=late, **options),
        server_context(
            verify=Verify.REQUIRED, verify_callback=application, post_handshake_auth=late, **options
        ),
        lambda request: True,
        lambda scene: scene.server.peer_certificates == identity().certificates,
    )


def client_verification(application: Application, **options: Any) -> Setup:
    return Setup(
        client_context(verify_callback=application, **options),
        server_context(**options),
        lambda request: True,
        lambda scene: scene.client.verified_chain is not None,
    )


def client_identity(application: Application, late: bool = False, **options: Any) -> Setup:
    return Setup(
        client_context(identity_callback=application, post_handshake_auth=late, **options),
        server_context(verify=Verify.REQUIRED, post_handshake_auth=late, **options),
        lambda request: identity(),
        lambda scene: scene.server.peer_certificates == identity().certificates,
    )


def client_signature(application: Application, late: bool = False, **options: Any) -> Setup:
    remote, leaf = remote_identity(application)
    return Setup(
        client_context(identities=[remote], post_handshake_auth=late, **options),
        server_context(verify=Verify.REQUIRED, post_handshake_auth=late, **options),
        lambda request: sign(leaf, request),
        lambda scene: scene.server.peer_certificates == remote.certificates,
    )


def resumed(scene: Scene) -> bool:
    return scene.client.session_reused and scene.server.session_reused


def session_take(application: Application) -> Setup:
    store = AskingStore(application)
    client, server = client_context(), server_context(session_store=store)
    session = session_of(client, server)
    store.armed = True
    return Setup(client, server, lambda request: store.memory.take(request.key), resumed, session)


def session_get(application: Application, **options: Any) -> Setup:
    """In TLS 1.2 a session can be resumed again, by its id."""
    store = AskingStore(application)
    client, server = client_context(**options), server_context(session_store=store, **options)
    session = session_of(client, server)
    store.armed = True
    return Setup(client, server, lambda request: store.memory.get(request.key), resumed, session)


def replay_mark(application: Application) -> Setup:
    store = AskingStore(application)
    client = client_context()
    server = server_context(
        session_store=store, ticket_keys=fasths.TicketKeys(), max_early_data_size=100
    )
    session = session_of(client, server)
    store.armed = True
    return Setup(
        client,
        server,
        lambda request: True,
        lambda scene: (
            scene.client.early_data_accepted is True
            and scene.server.read_early_data() == EARLY_DATA
        ),
        session,
        EARLY_DATA,
    )


def session_cache(application: Application, **options: Any) -> Setup:
    cache = AskingCache(application)
    client, server = client_context(session_cache=cache, **options), server_context(**options)
    cache.put(HOST, session_of(client_context(**options), server))
    return Setup(client, server, lambda request: cache.memory.take(request.name), resumed)


def external_psk(application: Application) -> Setup:
    return Setup(
        client_context(external_psks=[PSK]),
        server_context(identities=[], psk_callback=application),
        lambda request: PSK,
        resumed,
    )


QUESTIONS = {
    "client hello": Question(
        C.WANT_CLIENT_HELLO_CB, fasths.ClientHelloRequest, True, client_hello, identity()
    ),
    "server identity": Question(C.WANT_X509_LOOKUP, fasths.IdentityRequest, True, server_identity),
    "server signature": Question(
        C.WANT_ASYNC, fasths.SignatureRequest, True, server_signature, None
    ),
    "server verification": Question(
        C.WANT_RETRY_VERIFY, fasths.VerificationRequest, True, server_verification, 1
    ),
    "session take": Question(C.PENDING_SESSION, fasths.SessionRequest, True, session_take),
    "replay mark": Question(C.PENDING_SESSION, fasths.SessionRequest, True, replay_mark, None),
    "external PSK": Question(C.PENDING_SESSION, fasths.PSKRequest, True, external_psk, PSK.key),
    "session cache": Question(C.PENDING_SESSION, fasths.SessionCacheRequest, False, session_cache),
    "client verification": Question(
        C.WANT_RETRY_VERIFY, fasths.VerificationRequest, False, client_verification, 0
    ),
    "client identity": Question(C.WANT_X509_LOOKUP, fasths.IdentityRequest, False, client_identity),
    "client signature": Question(
        C.WANT_ASYNC, fasths.SignatureRequest, False, client_signature, None
    ),
    "late identity": Question(
        C.WANT_X509_LOOKUP,
        fasths.IdentityRequest,
        False,
        lambda application: client_identity(application, True),
        late=True,
    ),
    "late signature": Question(
        C.WANT_ASYNC,
        fasths.SignatureRequest,
        False,
        lambda application: client_signature(application, True),
        late=True,
    ),
    "late verification": Question(
        C.WANT_RETRY_VERIFY,
        fasths.VerificationRequest,
        True,
        lambda application: server_verification(application, True),
        late=True,
    ),
}
# Those of TLS 1.2, by the same names; there is nothing after the handshake, and no external PSK.
QUESTIONS12 = {
    name: question._replace(make=functools.partial(question.make, **TLS12_ALONE))
    for name, question in QUESTIONS.items()
    if not question.late and name not in ("session take", "replay mark", "external PSK")
}
QUESTIONS12["session get"] = QUESTIONS["session take"]._replace(
    make=functools.partial(session_get, **TLS12_ALONE)
)
OF_BOTH_VERSIONS = QUESTIONS | {f"{name} of TLS 1.2": each for name, each in QUESTIONS12.items()}
EVERY_QUESTION = pytest.mark.parametrize(
    "question", OF_BOTH_VERSIONS.values(), ids=OF_BOTH_VERSIONS
)
IN_HANDSHAKE = {name: each for name, each in OF_BOTH_VERSIONS.items() if not each.late}
LATE = {name: each for name, each in QUESTIONS.items() if each.late}
EVERY_QUESTION_IN_HANDSHAKE = pytest.mark.parametrize(
    "question", IN_HANDSHAKE.values(), ids=IN_HANDSHAKE
)
EVERY_LATE_WAIT = pytest.mark.parametrize("question", LATE.values(), ids=LATE)


def at_once(scene: Scene, request: Any) -> object:
    return scene.right(request)


def in_the_callback(scene: Scene, request: Any) -> object:
    assert request.answer(scene.right(request)) is True
    return LATER


# --- Answers


@EVERY_QUESTION
@pytest.mark.parametrize("reply", [at_once, in_the_callback])
def test_an_answer_at_once_is_no_wait(question: Question, reply: Any) -> None:
    scene = Scene(question, reply=reply)
    scene.finish()
    [request] = scene.application.requests
    assert type(request) is question.request
    assert request.answered
    assert scene.setup.agreed(scene)


@EVERY_QUESTION
def test_an_answer_later(question: Question) -> None:
    """The code comes again and again, and nothing is read or written, until there is an answer."""
    scene = Scene(question)
    assert scene.conn.request is None
    request = scene.until_asked()
    assert type(request) is question.request
    assert request.code is question.code
    assert scene.application.requests == [request]
    assert not request.answered
    scene.bio.calls.clear()
    for _ in range(3):
        assert outcome(scene.conn, scene.step(scene.conn)) == (-1, question.code)
        assert scene.conn.get_error(0) is scene.conn.want() is question.code
        assert scene.conn.get_error(1) is NONE
        assert scene.conn.request is request
        assert scene.conn.last_error is None
    assert scene.bio.calls == []
    assert outcome(scene.peer, scene.step(scene.peer)) == (-1, WANT_READ)
    assert request.answer(scene.right(request)) is True
    assert scene.conn.request is request
    scene.finish()
    assert scene.application.requests == [request]
    assert scene.setup.agreed(scene)


@EVERY_QUESTION
def test_an_answer_of_another_thread(question: Question) -> None:
    """It comes while this one repeats its call."""
    scene = Scene(question)
    request = scene.until_asked()
    results = []
    thread = threading.Timer(0.01, lambda: results.append(request.answer(scene.right(request))))
    thread.start()
    while (ret := scene.step(scene.conn)) == -1 and scene.conn.get_error(ret) is question.code:
        pass
    thread.join(10)
    assert results == [True]
    scene.finish()
    assert scene.setup.agreed(scene)


@EVERY_QUESTION
def test_nothing_of_a_suspended_step_is_sent(question: Question) -> None:
    scene = Scene(question)
    before: list[bytes] = []

    def later(request: Any) -> object:
        before.append(bytes(scene.bio.written))
        return LATER

    scene.application.reply = later
    request = scene.until_asked()
    scene.step(scene.conn)
    [written] = before
    assert scene.bio.written == written
    has_spoken = not question.by_server or question.late or question.code is C.WANT_RETRY_VERIFY
    assert bool(written) is (has_spoken and question.request is not fasths.SessionCacheRequest)
    request.answer(scene.right(request))
    scene.step(scene.conn)
    # This verdict alone has nothing to be sent.
    assert (scene.bio.written != written) is (question is not QUESTIONS["late verification"])


@EVERY_QUESTION
def test_an_answer_of_a_wrong_type_leaves_the_request_open(question: Question) -> None:
    scene = Scene(question)
    request = scene.until_asked()
    for wrong in (question.wrong, LATER):
        with pytest.raises(TypeError):
            request.answer(wrong)
        assert outcome(scene.conn, scene.step(scene.conn)) == (-1, question.code)
    assert request.answer(scene.right(request)) is True
    for again in (request.answer, request.fail):
        with pytest.raises(RuntimeError):
            again(scene.right(request) if again == request.answer else ValueError())
    scene.finish()
    assert scene.setup.agreed(scene)


# --- Calls


HANDSHAKE_CALLS: dict[str, Callable[[Connection], Any]] = {
    "do_handshake": lambda conn: conn.do_handshake(),
    "write": lambda conn: conn.write(b"data"),
    "read": lambda conn: -1 if conn.read() is None else 1,
    "read_into": lambda conn: conn.read_into(bytearray(10)),
    "peek_into": lambda conn: conn.peek_into(bytearray(10)),
}


@EVERY_QUESTION_IN_HANDSHAKE
@pytest.mark.parametrize("name", HANDSHAKE_CALLS)
def test_every_call_drives_the_handshake_and_reports_the_wait(
    question: Question, name: str
) -> None:
    call = HANDSHAKE_CALLS[name]
    scene = Scene(question)
    scene.step = lambda conn: (  # type: ignore[method-assign]
        call(conn) if conn is scene.conn and not scene.early_data else Scene.step(scene, conn)
    )
    request = scene.until_asked()
    scene.bio.calls.clear()
    for other in HANDSHAKE_CALLS.values():
        assert outcome(scene.conn, other(scene.conn)) == (-1, question.code)
    assert scene.bio.calls == []
    assert request.answer(scene.right(request)) is True
    sent = False
    for _ in range(5):
        ret = call(scene.conn)
        if ret > 0:
            break
        assert scene.conn.get_error(ret) is WANT_READ
        sent = sent or scene.peer.write(b"to be read") > 0
    assert (name, ret) in {("do_handshake", 1), ("write", 4), ("read", 1)} or ret == 10
    assert scene.conn.established
    scene.step(scene.peer)
    assert scene.setup.agreed(scene)


@EVERY_LATE_WAIT
def test_after_the_handshake_reading_waits_and_writing_does_not(question: Question) -> None:
    scene = Scene(question)
    request = scene.until_asked()
    for name, call in HANDSHAKE_CALLS.items():
        expected = {"do_handshake": (1, NONE), "write": (4, NONE)}.get(name, (-1, question.code))
        assert outcome(scene.conn, call(scene.conn)) == expected
        assert scene.conn.request is request
    assert scene.peer.read() == b"data"
    assert scene.peer.write(b"behind it") == 9
    assert outcome(scene.conn, scene.step(scene.conn)) == (-1, question.code)
    assert request.answer(scene.right(request)) is True
    assert scene.conn.read() == b"behind it"
    scene.finish()
    assert scene.setup.agreed(scene)


@EVERY_LATE_WAIT
def test_data_before_the_question_is_read_before_it(question: Question) -> None:
    """A call that has data returns it, and the next one says what is awaited."""
    scene = Scene(question)
    while not (scene.client.established and scene.server.established):
        scene.step(scene.client)
        scene.step(scene.server)
    scene.client.read()
    if scene.conn is scene.server:
        assert scene.server.verify_client_post_handshake() == 1
        assert scene.client.write(b"before") == 6
        assert scene.client.read() is None
    else:
        assert scene.server.write(b"before") == 6
        assert scene.server.verify_client_post_handshake() == 1
    buffer = bytearray(100)
    assert outcome(scene.conn, scene.conn.read_into(buffer)) == (6, NONE)
    assert buffer[:6] == b"before"
    assert outcome(scene.conn, scene.conn.read_into(buffer)) == (-1, question.code)
    [request] = scene.application.requests
    assert scene.conn.request is request
    assert request.answer(scene.right(request)) is True
    scene.late = False
    scene.finish()
    assert scene.setup.agreed(scene)


# --- Transports


def script(scene: Scene, conn: Connection) -> Iterator[SSLErrorCode]:
    """Play one side to the end, and answer its questions; gives what the transport must do."""

    def repeat(call: Callable[[], Any]) -> Iterator[SSLErrorCode]:
        while (ret := call()) in (-1, None):
            code = conn.get_error(-1)
            if conn.request is None:
                assert code in WAITS, conn.last_error
                yield code
            else:
                assert code is scene.code
                if not conn.request.answered:
                    conn.request.answer(scene.right(conn.request))
        received.append(ret)

    received: list[object] = []
    if conn is scene.client:
        if scene.early_data:
            yield from repeat(lambda: conn.write_early_data(scene.early_data))
        yield from repeat(conn.do_handshake)
        yield from repeat(conn.read)
        assert received[-1] == b"from the server"
        yield from repeat(lambda: conn.write(b"from the client"))
    else:
        yield from repeat(conn.do_handshake)
        if scene.late:
            yield from repeat(conn.verify_client_post_handshake)
        yield from repeat(lambda: conn.write(b"from the server"))
        yield from repeat(conn.read)
        assert received[-1] == b"from the client"


def in_turns(scene: Scene, between: Callable[[], object] = lambda: None) -> None:
    scripts = [script(scene, scene.client), script(scene, scene.server)]
    for _ in range(100_000):
        scripts = [each for each in scripts if next(each, None) is not None]
        between()
        if not scripts:
            return
    raise AssertionError("the scripts do not come to an end")


def over_sockets(question: Question, blocking: bool) -> Scene:
    """Each side in a thread of its own."""
    errors: list[BaseException] = []

    def play(conn: Connection, sock: socket.socket) -> None:
        try:
            for code in script(scene, conn):
                assert not blocking, f"a blocking socket says {code}"
                reads, writes = ([sock], []) if code is WANT_READ else ([], [sock])
                assert any(select.select(reads, writes, [], 10)), "the socket does not get ready"
        except BaseException as error:
            errors.append(error)
            sock.shutdown(socket.SHUT_RDWR)

    left, right = socket.socketpair()
    with left, right:
        left.setblocking(blocking)
        right.setblocking(blocking)
        scene = Scene(question, bios=(fasths.SocketBIO(left), fasths.SocketBIO(right)))
        threads = [
            threading.Thread(target=play, args=(scene.client, left)),
            threading.Thread(target=play, args=(scene.server, right)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    for error in errors:
        raise error
    return scene


def over_memory(question: Question) -> Scene:
    near, far = fasths.MemoryBIO(), fasths.MemoryBIO()
    scene = Scene(question, bios=(near, far))
    in_turns(scene, lambda: (near.write(far.read()), far.write(near.read())))
    return scene


def over_a_pair(
    question: Question, size: int, wrap: Callable[[Any], Any] = lambda bio: bio
) -> Scene:
    scene = Scene(question, bios=tuple(wrap(half) for half in fasths.bio_pair(size)))
    in_turns(scene)
    return scene


TRANSPORTS: dict[str, Callable[[Question], Scene]] = {
    "blocking socket": lambda question: over_sockets(question, True),
    "non-blocking socket": lambda question: over_sockets(question, False),
    "MemoryBIO": over_memory,
    "bio_pair of 100 bytes": lambda question: over_a_pair(question, 100),
    "BufferedBIO": lambda question: over_a_pair(question, 1000, fasths.BufferedBIO),
}


@EVERY_QUESTION
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_over_every_transport(question: Question, transport: str) -> None:
    scene = TRANSPORTS[transport](question)
    [request] = scene.application.requests
    assert request.answered
    assert scene.setup.agreed(scene)


# --- Between the question and the answer


WHILE_IT_WAITS = [
    pytest.param(name, call, id=f"{name}-{call}")
    for name in LATE
    for call in ("key_update", "key_update of both", "write under many keys")
]
MAKERS = {
    "late identity": client_identity,
    "late signature": client_signature,
    "late verification": server_verification,
}


@pytest.mark.parametrize(("name", "call"), WHILE_IT_WAITS)
def test_keys_change_while_a_request_is_open(name: str, call: str) -> None:
    """RFC 8446, 4.4: Certificate, CertificateVerify and Finished stay together all the same."""
    limits = fasths.Limits(max_records_per_key=2 if "many" in call else 1 << 20)
    make = functools.partial(MAKERS[name], late=True, limits=limits)
    scene = Scene(QUESTIONS[name]._replace(make=make))
    request = scene.until_asked()
    before = len(list(records(scene.bio.written)))
    if call == "write under many keys":
        for _ in range(5):
            assert scene.conn.write(b"x") == 1
    else:
        assert scene.conn.key_update(call == "key_update of both") == 1
        # The KeyUpdate and nothing else.
        assert len(list(records(scene.bio.written))) == before + 1
    request.answer(scene.right(request))
    scene.step(scene.conn)
    while scene.peer.read():
        pass
    scene.finish()
    assert scene.setup.agreed(scene)
