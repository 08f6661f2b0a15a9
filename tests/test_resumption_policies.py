"""A session is no way around what a Context asks of a full handshake.

Sessions travel: through a cache that Contexts share, a ring of ticket keys that servers share, or
to_bytes(). So whoever resumes one asks of it what it would ask of its peer and of itself now.
"""

from __future__ import annotations

import os
from typing import Any

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    QUICK,
    SSL,
    WANT_READ,
    authority,
    client_context,
    identity,
    outcome,
    server_context,
    trust,
)
from refusals import CLIENT
from resumed_pairs import (
    assert_resumed,
    assert_resumes,
    client_credential,
    client_identity,
    connected,
    finish,
    joined,
    offered,
    session_of,
    take_tickets,
)
from resumptions import server_with, session_with
from scripted_psk import PSK_DHE_KE, PSK_KE, OfferedPsks

import fasths
from fasths import (
    LATER,
    CertificateError,
    Connection,
    Context,
    ExtensionType,
    ExternalPSK,
    Identity,
    MemoryBIO,
    MemorySessionCache,
    MemorySessionStore,
    Session,
    SSLErrorCode,
    StaplePolicy,
    TicketKeys,
    TrustStore,
    Verify,
)
from fasths.crypto.raw_public_keys import public_key_of
from fasths.wire.errors import HandshakeFailure

ANCHOR = authority().chain_der[0]
CHAIN = client_identity().certificates
OTHER = pki.make_ca()
SERVER_KEY = pki.make_leaf(key_type="ed25519")


class Judge:
    """A verify_callback: one answer for sessions, and another one for peers."""

    def __init__(self, on_resumption: Any, otherwise: Any = None) -> None:
        self.answers = {True: on_resumption, False: otherwise}
        self.requests: list[fasths.VerificationRequest] = []

    def __call__(self, request: fasths.VerificationRequest) -> Any:
        self.requests.append(request)
        return self.answers[request.on_resumption]

    def asked(self) -> list[bool]:
        """on_resumption of each request, since the last look."""
        asked = [request.on_resumption for request in self.requests]
        self.requests.clear()
        return asked


def judged_contexts(by_server: bool, judge: Any, **options: Any) -> tuple[Context, Context]:
    """A client with a certificate and a server that wants it; one of them asks the judge."""
    client: dict[str, Any] = {"identities": [client_identity()]}
    server: dict[str, Any] = {"verify": Verify.REQUIRED}
    (server if by_server else client).update(options, verify_callback=judge)
    return client_context(**client), server_context(**server)


def other_trust() -> TrustStore:
    return TrustStore.from_pem(OTHER.pem)


def offers_psk(client: Context, server: Context, session: Session | None = None) -> bool:
    return offered(client, server, session).pre_shared_key


def fails(client: Context, server: Context, session: Session | None, by_server: bool) -> Any:
    """What the full handshake fails with, at this side."""
    pair = joined(client, server, session)
    conn, _, peer, _ = pair.sides(by_server)
    for _ in range(3):
        pair.client.do_handshake()
        pair.server.do_handshake()
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert not conn.session_reused
    assert not peer.session_reused
    return conn.last_error


# --- The application is asked again


@BOTH_ROLES
@pytest.mark.parametrize("answer", [None, True])
def test_application_is_asked_about_a_session(by_server, answer):
    judge = Judge(answer)
    client, server = judged_contexts(by_server, judge)
    session = session_of(client, server)
    assert judge.asked() == [False]
    for _ in range(2):
        pair = assert_resumes(client, server, session)
        [request] = judge.requests
        assert judge.asked() == [True]
        assert request.by_server is by_server
        assert request.hostname == (None if by_server else HOST)
        shown = CHAIN if by_server else identity().certificates
        assert request.certificates == shown
        assert request.verified_chain == (*shown, ANCHOR)
        assert request.error is None
        assert request.raw_public_key is None
        session = pair.client.session


@BOTH_ROLES
@pytest.mark.parametrize("answer", [False, CertificateError("revoked")], ids=["False", "error"])
def test_session_that_the_application_refuses_is_not_resumed(by_server, answer):
    judge = Judge(answer)
    client, server = judged_contexts(by_server, judge)
    session = session_of(client, server)
    judge.asked()
    assert_resumes(client, server, session, False)
    assert judge.asked() == [True, False]
    judge.answers[True] = None
    assert_resumes(client, server, session)


@BOTH_ROLES
def test_peer_that_the_application_has_come_to_refuse(by_server):
    """Renewed tickets do not keep it in."""
    judge = Judge(None)
    client, server = judged_contexts(by_server, judge)
    session = session_of(client, server)
    session = assert_resumes(client, server, session).client.session
    judge.answers = {True: False, False: False}
    error = fails(client, server, session, by_server)
    assert isinstance(error, CertificateError)
    assert "application refused" in str(error)


@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
def test_session_of_a_context_without_a_callback_is_judged(verify):
    """A client's, through a shared cache."""
    server, cache = server_context(), MemorySessionCache()
    session_of(client_context(verify=verify, session_cache=cache), server)
    judge = Judge(False, False)
    careful = client_context(verify=verify, session_cache=cache, verify_callback=judge)
    assert isinstance(fails(careful, server, None, False), CertificateError)
    assert judge.asked() == [True, False]


def test_ticket_of_a_server_without_a_callback_is_judged():
    keys, client = TicketKeys(), client_context(identities=[client_identity()])
    options = {"verify": Verify.REQUIRED, "ticket_keys": keys}
    session = session_of(client, server_context(**options))
    careful = server_context(verify_callback=Judge(False, False), **options)
    assert isinstance(fails(client, careful, session, True), CertificateError)
    assert_resumes(client, server_context(verify_callback=Judge(None, False), **options), session)


@BOTH_ROLES
def test_application_hears_what_is_wrong_with_a_session(by_server):
    """It has the last word, as it has in a full handshake."""
    keys = TicketKeys()
    client = client_context(identities=[client_identity()])
    server = server_context(verify=Verify.REQUIRED, ticket_keys=keys)
    session = session_of(client, server)
    judge = Judge(True)
    if by_server:
        server = server_context(
            verify=Verify.REQUIRED, ticket_keys=keys, trust=other_trust(), verify_callback=judge
        )
    else:
        client = client_context(
            identities=[client_identity()], trust=other_trust(), verify_callback=judge
        )
    pair = assert_resumes(client, server, session)
    [request] = judge.requests
    assert isinstance(request.error, CertificateError)
    assert request.verified_chain is None
    assert pair.sides(by_server)[0].verified_chain is None
    # With the engine's own verdict, neither a session nor a full handshake does.
    judge.answers[True] = None
    judge.asked()
    assert isinstance(fails(client, server, session, by_server), CertificateError)
    assert judge.asked() == [True, False]


@pytest.mark.parametrize("answer", [True, False, None])
def test_client_waits_for_the_verdict_before_it_says_hello(answer):
    judge = Judge(LATER)
    client, server = judged_contexts(False, judge)
    pair = joined(client, server, session_of(client, server))
    judge.asked()
    for _ in range(2):
        assert outcome(pair.client, pair.client.do_handshake()) == (
            -1,
            SSLErrorCode.WANT_RETRY_VERIFY,
        )
        assert pair.client_bio.written == b""
    assert judge.asked() == [True]
    assert pair.client.request.answer(answer)
    finish(pair)
    take_tickets(pair)
    assert_resumed(pair, answer is not False)


@pytest.mark.parametrize("answer", [True, False, None])
def test_server_waits_for_the_verdict(answer):
    judge = Judge(LATER)
    client, server = judged_contexts(True, judge)
    pair = joined(client, server, session_of(client, server))
    judge.asked()
    assert pair.client.do_handshake() == -1
    for _ in range(2):
        assert outcome(pair.server, pair.server.do_handshake()) == (
            -1,
            SSLErrorCode.WANT_RETRY_VERIFY,
        )
        assert pair.server_bio.written == b""
    assert judge.asked() == [True]
    assert pair.server.request.answer(answer)
    finish(pair)
    take_tickets(pair)
    assert_resumed(pair, answer is not False)


@BOTH_ROLES
def test_callback_that_raises_on_resumption(by_server):
    def judge(request: fasths.VerificationRequest) -> None:
        if request.on_resumption:
            raise LookupError("no list of revoked certificates")

    client, server = judged_contexts(by_server, judge)
    error = fails(client, server, session_of(client, server), by_server)
    assert error.alert is fasths.AlertDescription.internal_error
    assert isinstance(error.__cause__, LookupError)


def test_application_is_asked_about_raw_public_keys():
    key = public_key_of(SERVER_KEY.key)
    judge = Judge(None)
    client = client_context(trust=None, trusted_public_keys=[key], verify_callback=judge)
    server = server_context(
        identities=[Identity.from_raw_public_key(SERVER_KEY.key_pem)],
    )
    session = session_of(client, server)
    judge.asked()
    assert_resumes(client, server, session)
    [request] = judge.requests
    assert request.on_resumption
    assert request.raw_public_key == key
    assert request.certificates == ()
    judge.answers[True] = False
    assert_resumes(client, server, session, False)


# --- The client's own identity


def stranger() -> Identity:
    leaf = pki.make_leaf(["stranger.test"], issuer=authority(), key_type="ed25519")
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


@pytest.mark.parametrize("identities", [[], [stranger()]], ids=["none", "another"])
def test_session_of_an_identity_that_is_gone_is_not_offered(identities):
    cache, server = MemorySessionCache(), server_context(verify=Verify.OPTIONAL)
    session = session_of(
        client_context(identities=[client_identity()], session_cache=cache), server
    )
    assert session.identity_digest
    other = client_context(identities=identities, session_cache=cache)
    assert not offers_psk(other, server, session)
    pair = connected(other, server)
    assert_resumed(pair, False)
    assert pair.server.peer_certificates != CHAIN


def test_session_of_the_same_identity_is_offered():
    """In another Context, from the same files, and beside others."""
    leaf, server = client_credential(), server_context(verify=Verify.OPTIONAL)
    session = session_of(client_context(identities=[client_identity()]), server)
    again = Identity.from_pem(leaf.chain_pem, leaf.key_pem)
    client = client_context(identities=[stranger(), again])
    for _ in range(3):
        pair = assert_resumes(client, server, Session.from_bytes(session.to_bytes()))
        assert pair.server.peer_certificates == CHAIN
        session = pair.client.session
        # Renewed tickets stand for it, too.
        assert not offers_psk(client_context(), server, session)


def test_session_in_which_no_identity_was_shown_is_offered_by_all():
    server = server_context()
    session = session_of(client_context(identities=[client_identity()]), server)
    assert session.identity_digest == b""
    assert_resumes(client_context(), server, session)


def test_identity_shown_after_the_handshake_counts():
    server = server_context(verify=Verify.REQUIRED, post_handshake_auth=True)
    client = client_context(identities=[client_identity()], post_handshake_auth=True)
    nobody = client_context(post_handshake_auth=True)
    pair = connected(client, server)
    before = pair.client.session
    assert pair.server.verify_client_post_handshake() == 1
    take_tickets(pair)
    assert pair.server.read() is None
    assert pair.server.peer_certificates == CHAIN
    assert pair.server.send_session_tickets() == 1
    take_tickets(pair)
    assert pair.client.session is not before
    assert not offers_psk(nobody, server, pair.client.session)
    assert offers_psk(nobody, server, before)


# --- What the client asks of the server


LEAF = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")


def stapled(keys: TicketKeys, staple: bytes | None) -> Context:
    """A server with the same certificate and ring each time, and this staple."""
    shown = Identity.from_pem(LEAF.chain_pem, LEAF.key_pem, ocsp_response=staple)
    return server_context(identities=[shown], ticket_keys=keys)


def good() -> bytes:
    return pki.ocsp_response(LEAF)


def test_session_without_a_staple_is_not_resumed_where_one_is_required():
    keys = TicketKeys()
    session = session_of(client_context(), stapled(keys, None))
    client = client_context(staple_policy=StaplePolicy.REQUIRE)
    assert not offers_psk(client, stapled(keys, good()), session)
    assert_resumes(client, stapled(keys, good()), session, False)
    error = fails(client, stapled(keys, None), session, False)
    assert error.alert is fasths.AlertDescription.bad_certificate_status_response


@pytest.mark.parametrize("policy", [StaplePolicy.CHECK, StaplePolicy.REQUIRE])
def test_session_with_a_good_staple_is_resumed(policy):
    """And the tickets that come then, though no staple comes with them."""
    client, server = client_context(staple_policy=policy), stapled(TicketKeys(), good())
    session = session_of(client, server)
    for _ in range(3):
        pair = assert_resumes(client, server, Session.from_bytes(session.to_bytes()))
        session = pair.client.session


BAD_STAPLES = {
    "revoked": pki.ocsp_response(LEAF, status=pki.ocsp.OCSPCertStatus.REVOKED),
    "expired": pki.ocsp_response(LEAF, next_update=pki.timedelta(minutes=30)),
}


@pytest.mark.parametrize("policy", [StaplePolicy.CHECK, StaplePolicy.REQUIRE])
@pytest.mark.parametrize("name", BAD_STAPLES)
def test_session_with_a_bad_staple_is_not_resumed(policy, name):
    keys = TicketKeys()
    # The first client does not look at it, but keeps it.
    session = session_of(client_context(verify=Verify.NONE), stapled(keys, BAD_STAPLES[name]))
    assert session.ocsp_response == BAD_STAPLES[name]
    server = stapled(keys, good())
    assert_resumes(client_context(staple_policy=policy), server, session, False)
    # Nothing else stands in the way.
    assert_resumes(client_context(staple_policy=StaplePolicy.IGNORE), server, session)


def test_session_with_certificates_is_not_resumed_by_a_client_of_raw_public_keys(
    monkeypatch, tmp_path
):
    """Even where the platform trusts the certificates."""
    (tmp_path / "roots.pem").write_bytes(authority().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    key = public_key_of(SERVER_KEY.key)
    server = server_context(
        identities=[identity(), Identity.from_raw_public_key(SERVER_KEY.key_pem)]
    )
    session = session_of(client_context(trust=None), server)
    client = client_context(trust=None, trusted_public_keys=[key])
    assert not offers_psk(client, server, session)
    pair = assert_resumes(client, server, session, False)
    assert pair.client.peer_raw_public_key == key
    assert_resumes(client, server, pair.client.session)
    # A client that takes both resumes either.
    both = client_context(trust=trust(), trusted_public_keys=[key])
    assert_resumes(both, server, session)
    assert_resumes(both, server, pair.client.session)


# --- Servers with external keys alone


def test_anonymous_session_is_not_resumed_by_a_server_with_external_keys_alone():
    keys, psk = TicketKeys(), ExternalPSK(b"client-1", os.urandom(32))
    private = Context(external_psks=[psk], ticket_keys=keys, **QUICK)
    public = server_context(ticket_keys=keys)
    session = session_of(client_context(), public)
    assert isinstance(fails(client_context(), private, session, True), HandshakeFailure)
    # Nothing is wrong with the ticket.
    assert_resumes(client_context(), public, session)


def test_session_of_an_external_key_is_resumed_by_a_server_with_external_keys_alone():
    psk = ExternalPSK(b"client-1", os.urandom(32))
    server = Context(external_psks=[psk], **QUICK)
    client = client_context(external_psks=[psk], verify=Verify.NONE)
    session = connected(client, server).client.session
    assert session is not None
    # Without the key itself, nothing but the session can be the reason that they agree.
    client = client_context(verify=Verify.NONE)
    for _ in range(3):
        pair = connected(client, server, session)
        assert_resumed(pair)
        session = pair.client.session


@pytest.mark.parametrize("size", [31, 32, 33])
@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_application_is_asked_for_keys_with_identities_as_long_as_tickets(size, stateful):
    asked = []
    psk = ExternalPSK(b"i" * size, os.urandom(32))
    store = {"session_store": MemorySessionStore()} if stateful else {}

    def find(request: fasths.PSKRequest) -> ExternalPSK | None:
        asked.append(request.identity)
        return psk if request.identity == psk.identity else None

    server = Context(psk_callback=find, **QUICK, **store)
    client = client_context(external_psks=[psk], verify=Verify.NONE)
    pair = connected(client, server)
    assert_resumed(pair)
    assert asked == [psk.identity]
    # A ticket is found where it is, and nobody asked.
    session = pair.client.session
    assert session is not None
    assert_resumed(connected(client_context(verify=Verify.NONE), server, session))
    assert asked == [psk.identity]


def test_ticket_and_external_key_that_are_too_large_together():
    """RFC 8446, 4.2.11: all identities are in a vector of 65535 bytes. The session comes first."""
    context = Context(**{**CLIENT, "trust": trust(), "verify": Verify.NONE})
    session, _ = session_with(context, ticket={"ticket": os.urandom(10_000)})
    for size, count in ((50_000, 2), (60_000, 1)):
        psk = ExternalPSK(bytes(size), os.urandom(32))
        bio = MemoryBIO()
        conn = Connection(
            Context(**{**CLIENT, "trust": trust(), "verify": Verify.NONE, "external_psks": [psk]}),
            bio,
            server_hostname=HOST,
        )
        conn.set_connect_state()
        conn.set_session(session)
        assert outcome(conn, conn.do_handshake()) == (-1, WANT_READ), conn.last_error
        hello = fasths.parse_client_hello(bio.read())
        assert hello is not None
        offer = OfferedPsks.parse(dict(hello.extensions)[ExtensionType.pre_shared_key])
        identities = [each for each, _ in offer.identities]
        assert len(identities[0]) == 10_000
        assert identities[1:] == [psk.identity][: count - 1]


# --- Connections


def test_set_session_after_a_failure_is_harmless():
    def callback(*arguments: Any) -> None:
        raise ValueError("callback")

    client, server = client_context(), server_context()
    session = session_of(client, server)
    for _ in range(100):
        conn = Connection(client, MemoryBIO(), server_hostname=HOST, message_callback=callback)
        conn.set_connect_state()
        assert outcome(conn, conn.shutdown()) == (-1, SSL)
        conn.set_session(session)
        assert outcome(conn, conn.do_handshake()) == (-1, SSL)
        assert not conn.session_reused
    # None is as it was.
    assert_resumes(client, server, session)


@pytest.mark.parametrize("resumed", [False, True], ids=["full", "resumed"])
def test_raw_public_key_after_the_handshake(resumed):
    """RFC 7250, 4.2: the server's client_certificate_type counts whatever the handshake was."""
    key = public_key_of(client_credential().key)
    client = client_context(
        identities=[Identity.from_raw_public_key(client_credential().key_pem)],
        post_handshake_auth=True,
    )
    server = server_context(
        verify=Verify.REQUIRED, post_handshake_auth=True, trusted_public_keys=[key]
    )
    session = session_of(client, server) if resumed else None
    pair = assert_resumes(client, server, session, resumed)
    assert pair.server.peer_raw_public_key is None
    assert pair.server.verify_client_post_handshake() == 1
    assert pair.client.read() is None
    assert outcome(pair.client, -1) == (-1, WANT_READ), pair.client.last_error
    assert pair.server.read() is None
    assert pair.server.get_error(-1) is WANT_READ, pair.server.last_error
    assert pair.server.peer_raw_public_key == key


@pytest.mark.parametrize(
    ("modes", "allowed"),
    [((), "psk_dhe_ke"), ((PSK_KE,), "psk_dhe_ke"), ((PSK_DHE_KE,), "psk_ke"), ((9,), "psk_ke")],
)
def test_tickets_for_a_client_without_a_use_for_them_are_refused(modes, allowed):
    """RFC 8446, 4.2.9: nor are they sent unasked."""
    peer = server_with(
        server_context(psk_key_exchange_modes=(allowed,)), psk_modes=modes, groups=(0x001D,)
    )
    peer.handshake()
    assert peer.connection.established
    assert not peer.tickets
    with pytest.raises(RuntimeError, match="no use for tickets"):
        peer.connection.send_session_tickets()


@pytest.mark.parametrize(("mode", "allowed"), [(PSK_DHE_KE, "psk_dhe_ke"), (PSK_KE, "psk_ke")])
def test_tickets_for_a_client_that_can_use_them(mode, allowed):
    peer = server_with(
        server_context(psk_key_exchange_modes=(allowed,)), psk_modes=(9, mode), groups=(0x001D,)
    )
    peer.handshake()
    assert peer.tickets
    assert peer.connection.send_session_tickets() == 1
