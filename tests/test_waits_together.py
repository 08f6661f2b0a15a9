"""What the application's answers mean for a handshake, and many of its waits together."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pki
import pytest
from both_versions import IN_BOTH_VERSIONS, TLS12, TLS13, chosen_version
from helpers import (
    BOTH_ROLES,
    HOST,
    WAITS,
    authority,
    client_context,
    identity,
    outcome,
    records,
    server_context,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import assert_established, server_of
from refusals12 import TLS12_ALONE
from scripted_messages import vector
from scripted_peer import with_extension
from test_waits import (
    EARLY_DATA,
    PSK,
    Application,
    AskingCache,
    AskingStore,
    Scene,
    Setup,
    remote_identity,
    session_of,
    sign,
)

import fasths
from fasths import (
    LATER,
    AlertDescription,
    CipherSuite,
    Identity,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import CertificateRequired, HandshakeFailure

__all__ = ["chosen_version"]

# --- All of them in one handshake

# Which request, and whether the server asks it.
FULL: list[tuple[type[fasths.Request], bool]] = [
    (fasths.SessionCacheRequest, False),
    (fasths.ClientHelloRequest, True),
    (fasths.PSKRequest, True),
    (fasths.IdentityRequest, True),
    (fasths.SignatureRequest, True),
    (fasths.VerificationRequest, False),
    (fasths.IdentityRequest, False),
    (fasths.SignatureRequest, False),
    (fasths.VerificationRequest, True),
]
RESUMED = [
    FULL[0],
    (fasths.VerificationRequest, False),
    FULL[1],
    (fasths.SessionRequest, True),
    (fasths.SessionRequest, True),
]
# In TLS 1.2 there are neither external PSKs nor early data.
FULL12 = [each for each in FULL if each[0] is not fasths.PSKRequest]
RESUMED12 = RESUMED[:-1]
BY_VERSION = pytest.mark.parametrize("tls12", [False, True], ids=["1.3", "1.2"])


class Everything:
    """Contexts that ask for all there is, and the answers. resumes: whether with a session."""

    def __init__(self, resumes: bool = False, tls12: bool = False) -> None:
        self.resumes, self.tls12 = resumes, tls12
        settings = TLS12_ALONE if tls12 else {}
        self.application = Application()
        self.store, self.cache = AskingStore(self.application), AskingCache(self.application)
        self.remotes = dict(remote_identity(self.application) for _ in range(2))
        self.of_server, self.of_client = self.remotes
        asking = self.application
        self.client = client_context(
            session_cache=self.cache,
            external_psks=() if resumes or tls12 else [PSK],
            verify_callback=asking,
            identity_callback=asking,
            **settings,
        )
        self.server = server_context(
            identities=[],
            client_hello_callback=asking,
            psk_callback=asking,
            identity_callback=asking,
            verify=Verify.NONE if resumes else Verify.REQUIRED,
            verify_callback=asking,
            session_store=self.store,
            max_early_data_size=100,
            **settings,
        )
        full, resumed = (FULL12, RESUMED12) if tls12 else (FULL, RESUMED)
        self.order = resumed if resumes else full
        if resumes:
            asking.reply = self.right
            self.cache.put(HOST, session_of(client_context(**settings), self.server))
            self.store.armed = True
            asking.reply = lambda request: LATER
            asking.requests.clear()

    def right(self, request: Any) -> object:
        match request:
            case fasths.SignatureRequest():
                return sign(self.remotes[request.identity], request)
            case fasths.IdentityRequest():
                return self.of_server if request.by_server else self.of_client
            case fasths.SessionRequest() if request.operation == "take":
                return self.store.memory.take(request.key)
            case fasths.SessionRequest() if request.operation == "get":
                return self.store.memory.get(request.key)
            case fasths.SessionRequest():
                return self.store.memory.add(request.key, 10)
            case fasths.SessionCacheRequest():
                return self.cache.memory.take(request.name)
        return None

    def scene(self, **options: Any) -> Scene:
        early_data = EARLY_DATA if self.resumes and not self.tls12 else b""
        return Scene(Setup(self.client, self.server, self.right, early_data=early_data), **options)

    def check(self, scene: Scene) -> None:
        """The handshake went as the answers wanted it."""
        asked = [type(each) for each in self.application.requests]
        assert asked == [kind for kind, _ in self.order]
        assert scene.client.session_reused is self.resumes
        version = TLS12 if self.tls12 else TLS13
        assert scene.client.version is scene.server.version is version
        if self.resumes and self.tls12:
            assert scene.client.peer_certificates == self.of_server.certificates
        elif self.resumes:
            assert scene.client.early_data_accepted is True
            assert scene.server.read_early_data() == EARLY_DATA
        else:
            assert scene.client.peer_certificates == self.of_server.certificates
            assert scene.server.peer_certificates == self.of_client.certificates


def play(everything: Everything, delays: Sequence[int], turns: Sequence[bool]) -> None:
    """Each request is answered at once (0), or when its code was reported so many times.

    turns: which side goes on, over and over.
    """
    asked = everything.application.requests
    everything.application.reply = lambda request: (
        LATER if delays[len(asked) - 1] else everything.right(request)
    )
    scene = everything.scene()
    reports: list[Any] = []
    for by_server in itertools.islice(itertools.cycle(turns), 1000):
        conn = scene.server if by_server else scene.client
        ret = scene.step(conn)
        request = conn.request
        if request is None:
            assert ret == 1 or conn.get_error(ret) in WAITS, conn.last_error
        else:
            assert outcome(conn, ret) == (-1, request.code)
            assert (type(request), by_server) == everything.order[len(asked) - 1]
            reports.append(request)
            if reports.count(request) == delays[len(asked) - 1]:
                assert request.answer(everything.right(request)) is True
        if scene.client.established and scene.server.established:
            break
    scene.finish()
    everything.check(scene)
    assert len(reports) == sum(delays)


def delays_of(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 4), min_size=count, max_size=count)


TURNS = st.lists(st.booleans(), max_size=8).map(lambda turns: [*turns, False, True])


@BY_VERSION
@given(delays=st.permutations(range(9)) | delays_of(9), turns=TURNS)
@settings(max_examples=80, deadline=None)
def test_all_waits_of_a_full_handshake(tls12: bool, delays: list[int], turns: list[bool]) -> None:
    everything = Everything(tls12=tls12)
    play(everything, delays[: len(everything.order)], turns)


@BY_VERSION
@given(delays=st.permutations(range(5)) | delays_of(5), turns=TURNS)
@settings(max_examples=60, deadline=None)
def test_all_waits_of_a_resumed_handshake(
    tls12: bool, delays: list[int], turns: list[bool]
) -> None:
    everything = Everything(resumes=True, tls12=tls12)
    play(everything, delays[: len(everything.order)], turns)


@BY_VERSION
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_connections_of_the_same_contexts_are_answered_in_any_order(
    order: Any, tls12: bool
) -> None:
    """Three connections ask at once, each with its own identities."""
    everything = Everything(tls12=tls12)
    scenes = [everything.scene(user_data=number) for number in range(3)]
    identities = [[remote_identity(everything.application) for _ in range(2)] for _ in range(3)]
    for remotes in identities:
        everything.remotes.update(remotes)
    for kind, by_server in everything.order:
        conns = [each.server if by_server else each.client for each in scenes]
        for scene, conn in zip(scenes, conns, strict=True):
            scene.until(lambda conn=conn: conn.request)
        requests = [conn.request for conn in conns]
        assert [type(each) for each in requests] == [kind] * 3
        assert [each.user_data for each in requests] == [0, 1, 2]
        for number in order:
            right = everything.right(requests[number])
            if kind is fasths.IdentityRequest:
                right = identities[number][by_server][0]
            assert requests[number].answer(right) is True
        for number in reversed(order):
            scenes[number].step(conns[number])
    for scene, remotes in zip(scenes, identities, strict=True):
        scene.finish()
        assert scene.client.peer_certificates == remotes[True][0].certificates
        assert scene.server.peer_certificates == remotes[False][0].certificates


@pytest.mark.parametrize("server_first", [False, True])
def test_both_sides_ask_at_the_same_time(server_first: bool) -> None:
    """The server judges the first answer while the client chooses an identity for the second."""
    choosing, judging = Application(), Application()
    client = client_context(identity_callback=choosing, post_handshake_auth=True)
    server = server_context(
        verify=Verify.REQUIRED, verify_callback=judging, post_handshake_auth=True
    )
    scene = Scene(Setup(client, server))
    scene.finish()
    for _ in range(2):
        assert scene.server.verify_client_post_handshake() == 1
    stranger = pki.make_leaf([HOST], key_type="ed25519")
    one, two = identity(), Identity.from_pem(stranger.chain_pem, stranger.key_pem)
    assert scene.client.read() is None
    choosing.requests[0].answer(one)
    for conn, code in ((scene.client, 4), (scene.server, 12)):
        assert conn.read() is None
        assert conn.get_error(-1) == code
    answers = [(choosing.requests[1], two), (judging.requests[0], True)]
    for request, answer in reversed(answers) if server_first else answers:
        assert request.answer(answer) is True
    for conn in (scene.server, scene.client) if server_first else (scene.client, scene.server):
        assert conn.read() is None
    assert scene.client.get_error(-1) is fasths.SSLErrorCode.WANT_READ
    if server_first:
        assert scene.server.read() is None
    assert scene.server.get_error(-1) is fasths.SSLErrorCode.WANT_RETRY_VERIFY
    assert scene.server.peer_certificates == one.certificates
    assert scene.server.verified_chain == judging.requests[0].verified_chain is not None
    assert judging.requests[1].certificates == two.certificates
    assert judging.requests[1].verified_chain is None
    assert judging.requests[1].answer(True) is True
    scene.finish()
    assert scene.server.peer_certificates == two.certificates
    assert scene.server.verified_chain is None


@BY_VERSION
def test_many_connections_whose_answers_come_from_many_threads(tls12: bool) -> None:
    """Blocking sockets; who is told to wait sleeps until a done callback wakes it."""
    everything = Everything(tls12=tls12)
    pace = random.Random(8446)
    errors: list[BaseException] = []

    def later(request: Any) -> object:
        delay = pace.random() / 200
        threading.Timer(delay, lambda: request.answer(everything.right(request))).start()
        return LATER

    def serve(conn: fasths.Connection) -> None:
        try:
            while (ret := conn.do_handshake()) != 1:
                request = conn.request
                assert request is not None, conn.last_error
                assert outcome(conn, ret) == (-1, request.code)
                answered = threading.Event()
                request.add_done_callback(lambda _, answered=answered: answered.set())
                assert answered.wait(10)
        except BaseException as error:
            errors.append(error)

    everything.application.reply = later
    with ExitStack() as stack:
        scenes = []
        for _ in range(6):
            pair = [stack.enter_context(sock) for sock in socket.socketpair()]
            scenes.append(everything.scene(bios=tuple(map(fasths.SocketBIO, pair))))
            for sock in pair:
                sock.settimeout(20)
        conns = [conn for each in scenes for conn in (each.client, each.server)]
        threads = [threading.Thread(target=serve, args=(conn,)) for conn in conns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert errors == []
    assert len(everything.application.requests) == 6 * len(everything.order)
    for scene in scenes:
        assert scene.client.peer_certificates == everything.of_server.certificates
        assert scene.server.peer_certificates == everything.of_client.certificates


# --- The Context that a client_hello_callback chooses


def chosen_scene(
    chosen: fasths.Context | None, client: fasths.Context | None = None, **base: Any
) -> tuple[Scene, Application]:
    """A server that goes on with another Context than the one that it began with."""
    application = Application()
    application.reply = lambda request: chosen
    setup = Setup(
        client_context() if client is None else client,
        server_context(client_hello_callback=application, **base),
    )
    return Scene(setup), application


def test_until_another_one_is_chosen_the_context_is_the_first() -> None:
    application, chosen = Application(), server_context()
    scene = Scene(Setup(client_context(), server_context(client_hello_callback=application)))
    scene.until(lambda: scene.server.request)
    assert application.requests[0].answer(chosen) is True
    assert scene.server.context is scene.setup.server
    scene.finish()
    assert scene.server.context is chosen
    assert scene.client.context is scene.setup.client


def test_none_keeps_the_context() -> None:
    scene, application = chosen_scene(None, alpn=["kept"], client=client_context(alpn=["kept"]))
    scene.finish()
    assert len(application.requests) == 1
    assert scene.server.context is scene.setup.server
    assert scene.client.alpn_protocol == "kept"


def identity_of(
    names: Sequence[str], issuer: pki.Credential | None = None, key_type: str = "ed25519"
) -> Identity:
    leaf = pki.make_leaf(names, issuer=issuer or authority(), key_type=key_type)
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def client_hellos(scene: Scene) -> int:
    return sum(kind == fasths.ContentType.handshake for kind, _ in records(scene.bio.written))


def server_record(scene: Scene) -> int:
    before = len(scene.peer_bio.written)
    assert scene.server.write(b"data") == 4
    return len(scene.peer_bio.written) - before


CHOSEN = identity_of([HOST])
CHACHA20 = {
    TLS12: CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13: CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
}
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
        {"cipher_suites": CHACHA20.values()},
        lambda scene: scene.client.cipher_suite is CHACHA20[scene.client.version],
        True,
    ),
    "groups": (
        {"groups": ["x25519", "secp256r1"], "key_share_groups": ["x25519"]},
        {"groups": ["secp256r1"]},
        lambda scene: (scene.server.group, scene.client.group),
        (fasths.NamedGroup.secp256r1, fasths.NamedGroup.secp256r1),
    ),
    "verify": (
        {"identities": [identity()]},
        {"verify": Verify.REQUIRED},
        lambda scene: scene.server.peer_certificates,
        identity().certificates,
    ),
    "no tickets": (
        {},
        {"session_tickets": 0},
        lambda scene: (scene.client.session, len(scene.client.sessions)),
        (None, 0),
    ),
}
CHOICES13 = {
    "a cookie": ({}, {"retry_with_cookie": True}, client_hellos, 2),
    "padding": ({}, {"record_padding": 512}, server_record, 5 + 512 + 16),
}


@IN_BOTH_VERSIONS
@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_what_the_chosen_context_says_counts(choice: Any) -> None:
    assert_counts(*choice)


@pytest.mark.parametrize("choice", CHOICES13.values(), ids=CHOICES13)
def test_what_the_chosen_context_says_counts_in_tls13(choice: Any) -> None:
    assert_counts(*choice)


def assert_counts(client: Any, server: Any, found: Any, expected: object) -> None:
    scene, application = chosen_scene(
        server_context(**server), client_context(**client), alpn=["one"], session_tickets=1
    )
    scene.finish()
    assert found(scene) == expected
    # Once, and not again behind a HelloRetryRequest.
    assert len(application.requests) == 1


def test_the_chosen_context_is_asked_from_then_on() -> None:
    applications = [Application() for _ in range(4)]
    for each in applications:
        each.reply = lambda request: None
    first, hello, chosen, verify = applications
    chosen.reply = lambda request: identity()
    asking = {"identity_callback": chosen, "verify_callback": verify, "verify": Verify.REQUIRED}
    scene, application = chosen_scene(
        server_context(client_hello_callback=hello, **asking),
        client_context(identities=[identity()]),
        identity_callback=first,
        verify_callback=first,
    )
    scene.finish()
    asked = [len(each.requests) for each in (application, first, hello, chosen, verify)]
    assert asked == [1, 0, 0, 1, 1]


@IN_BOTH_VERSIONS
def test_secrets_are_logged_where_the_chosen_context_says(version: TLSVersion) -> None:
    first: list[str] = []
    chosen: list[str] = []
    scene, _ = chosen_scene(server_context(keylog=chosen.append), keylog=first.append)
    scene.finish()
    assert first == []
    labels = [line.split()[0] for line in chosen]
    if version is TLS12:
        assert labels == ["CLIENT_RANDOM"]
    else:
        assert "SERVER_HANDSHAKE_TRAFFIC_SECRET" in labels


@IN_BOTH_VERSIONS
@pytest.mark.parametrize("again", [True, False])
def test_sessions_are_of_the_chosen_context(again: bool) -> None:
    chosen = server_context()
    scene, _ = chosen_scene(chosen)
    scene.finish()
    assert scene.client.session is not None
    choice = chosen if again else None
    application = Application()
    application.reply = lambda request: choice
    server = server_context(client_hello_callback=application)
    scene = Scene(Setup(client_context(), server, session=scene.client.session))
    scene.finish()
    assert scene.server.session_reused is again


def refused_by(by_server: bool, scene: Scene, error: type[fasths.TLSError]) -> Any:
    """One side refuses, and its alert tells the other; the error."""
    conn, peer = (scene.server, scene.client) if by_server else (scene.client, scene.server)
    scene.until(lambda: conn.last_error)
    assert type(conn.last_error) is error
    scene.until_over(peer)
    assert type(peer.last_error) is fasths.PeerAlert
    assert peer.last_error.alert is conn.last_error.alert
    return conn.last_error


@pytest.mark.parametrize("chosen", [fasths.Context(), client_context(identities=[])])
def test_a_chosen_context_without_an_identity_is_refused(chosen: fasths.Context) -> None:
    scene, _ = chosen_scene(chosen)
    refused_by(True, scene, HandshakeFailure)
    assert scene.client.last_error.alert is AlertDescription.handshake_failure


# --- Identities

NAMES = {"exact": ["a.example.org"], "wildcard": ["*.example.org"], "other": ["other.test"]}


@IN_BOTH_VERSIONS
@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("a.example.org", "exact"),
        ("A.Example.ORG", "exact"),
        ("b.example.org", "wildcard"),
        ("other.test", "other"),
        # RFC 6125, 6.4.3: a wildcard is for one label.
        ("x.b.example.org", None),
        ("example.org", None),
        ("unknown.test", None),
        ("127.0.0.1", None),
        (None, None),
    ],
)
def test_the_name_chooses_the_identity(order: Any, hostname: Any, expected: str | None) -> None:
    """An exact name before a wildcard, and the first identity for names that none has."""
    identities = {name: identity_of(NAMES[name]) for name in order}
    server = server_context(identities=identities.values())
    scene = Scene(Setup(client_context(check_hostname=False), server), hostname=hostname)
    scene.finish()
    assert scene.client.peer_certificates == identities[expected or order[0]].certificates


KEYS = {
    "ecdsa": "ecdsa_secp256r1_sha256",
    "ecdsa384": "ecdsa_secp384r1_sha384",
    "ed25519": "ed25519",
    "rsa": "rsa_pss_rsae_sha256",
}


@BOTH_ROLES
@pytest.mark.parametrize("key_type", KEYS)
def test_what_the_peer_can_verify_chooses_the_identity(by_server: bool, key_type: str) -> None:
    identities = {each: identity_of([HOST], key_type=each) for each in KEYS}
    scene = verified_by(by_server, KEYS[key_type], *identities.values())
    scene.finish()
    other = scene.client if by_server else scene.server
    assert other.peer_certificates == identities[key_type].certificates


def verified_by(by_server: bool, scheme: str, *identities: Identity, **options: Any) -> Scene:
    """One side has these identities, and the other one verifies this scheme alone.

    options: of both.
    """
    if by_server:
        client = client_context(signature_schemes=[scheme], **options)
        return Scene(Setup(client, server_context(identities=identities, **options)))
    # A server signs as well.
    server = server_context(
        identities=[identity_of([HOST], key_type="ed448")],
        verify=Verify.REQUIRED,
        signature_schemes=dict.fromkeys([scheme, "ed448"]),
        **options,
    )
    return Scene(Setup(client_context(identities=identities, **options), server))


def test_a_name_does_not_choose_what_the_client_cannot_verify() -> None:
    named = identity_of(["a.example.org"], key_type="ecdsa")
    other = identity_of(["other.test"], key_type="ed25519")
    client = client_context(check_hostname=False, signature_schemes=["ed25519"])
    setup = Setup(client, server_context(identities=[named, other]))
    scene = Scene(setup, hostname="a.example.org")
    scene.finish()
    assert scene.client.peer_certificates == other.certificates


def test_no_identity_that_the_client_can_verify_is_refused() -> None:
    client = client_context(signature_schemes=["ecdsa_secp384r1_sha384"])
    refused_by(True, Scene(Setup(client, server_context())), HandshakeFailure)


AUTHORITIES = [pki.make_ca(key_type="ed25519") for _ in range(3)]
OF_AUTHORITIES = [identity_of([HOST], issuer) for issuer in AUTHORITIES]
SUBJECTS = [issuer.certificate.subject.public_bytes() for issuer in AUTHORITIES]
SUBJECTS.append(pki.name("unknown").public_bytes())
# Which authorities are named, and which identity is chosen.
NAMED = [((), 0), ((0,), 0), ((1,), 1), ((2,), 2), ((2, 1), 1), ((3,), 0)]
ALL_TRUSTED = fasths.TrustStore.from_pem(b"".join(issuer.pem for issuer in AUTHORITIES))


@pytest.mark.parametrize(("named", "expected"), NAMED)
def test_the_server_s_authorities_choose_the_client_s_identity(named: Any, expected: int) -> None:
    names = [SUBJECTS[each] for each in named]
    server = server_context(
        verify=Verify.REQUIRED, trust=ALL_TRUSTED, certificate_authorities=names
    )
    scene = Scene(Setup(client_context(identities=OF_AUTHORITIES), server))
    scene.finish()
    assert scene.server.peer_certificates == OF_AUTHORITIES[expected].certificates


@pytest.mark.parametrize(("named", "expected"), NAMED)
def test_the_client_s_authorities_choose_the_server_s_identity(named: Any, expected: int) -> None:
    """RFC 8446, 4.2.4."""
    names = vector(2, *(vector(2, SUBJECTS[each]) for each in named))
    extension = with_extension(fasths.ExtensionType.certificate_authorities, names)
    peer = server_of(
        {"identities": OF_AUTHORITIES}, at={"client_hello": extension} if named else {}
    )
    peer.handshake()
    assert_established(peer)
    assert tuple(peer.peer_chain) == OF_AUTHORITIES[expected].certificates


def identity_scene(by_server: bool, answer: Identity | None, **other: Any) -> Scene:
    """An identity_callback with this answer, beside an identity that would do.

    other: options of the other side.
    """
    asking: dict[str, Any] = {"identities": [identity()], "identity_callback": lambda _: answer}
    if by_server:
        return Scene(Setup(client_context(**other), server_context(**asking)))
    server = server_context(**{"verify": Verify.REQUIRED, **other})
    return Scene(Setup(client_context(**asking), server))


@IN_BOTH_VERSIONS
@BOTH_ROLES
def test_the_callback_s_identity_comes_before_those_of_the_context(by_server: bool) -> None:
    chosen = identity_of([HOST])
    scene = identity_scene(by_server, chosen)
    scene.finish()
    other = scene.client if by_server else scene.server
    assert other.peer_certificates == chosen.certificates


@IN_BOTH_VERSIONS
def test_no_identity_of_a_server_is_refused() -> None:
    refused_by(True, identity_scene(True, None), HandshakeFailure)


@IN_BOTH_VERSIONS
def test_no_identity_of_a_client_is_no_certificate(version: TLSVersion) -> None:
    scene = identity_scene(False, None, verify=Verify.OPTIONAL)
    scene.finish()
    assert scene.server.peer_certificates == ()
    # RFC 5246, 7.4.6; RFC 8446, 4.4.2.4
    error = HandshakeFailure if version is TLS12 else CertificateRequired
    refused_by(True, identity_scene(False, None), error)


@IN_BOTH_VERSIONS
@BOTH_ROLES
def test_an_identity_that_cannot_sign_for_the_peer_is_refused(by_server: bool) -> None:
    chosen = identity_of([HOST], key_type="rsa")
    other = {"signature_schemes": ["ed25519"]}
    refused_by(by_server, identity_scene(by_server, chosen, **other), HandshakeFailure)


@IN_BOTH_VERSIONS
@BOTH_ROLES
def test_a_raw_public_key_that_was_not_negotiated_is_refused(by_server: bool) -> None:
    """RFC 7250, 4: certificates are X.509 where nothing else was agreed on."""
    raw = Identity.from_raw_public_key(pki.make_leaf(key_type="ed25519").key_pem)
    scene = identity_scene(by_server, raw)
    refused_by(by_server, scene, HandshakeFailure)
