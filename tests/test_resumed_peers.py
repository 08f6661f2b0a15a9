"""Whom a resumed connection believes to be at the other end, though nobody shows a certificate.

What was shown in the first handshake is kept with the session. Each side asks again whether it
would still believe it, and else makes a full handshake (RFC 8446, 2.2 and 4.6.1).
"""

from __future__ import annotations

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    SSL,
    authority,
    client_context,
    identity,
    outcome,
    server_context,
)
from resumed_pairs import (
    assert_resumed,
    assert_resumes,
    client_credential,
    client_identity,
    connected,
    joined,
    offered,
    session_of,
)

import fasths
from fasths import (
    CertificateError,
    Identity,
    MemorySessionStore,
    Session,
    TicketKeys,
    TrustStore,
    Verify,
)
from fasths.crypto.raw_public_keys import public_key_of

OTHER = pki.make_ca()
CHAIN = client_identity().certificates


def certified(**options):
    """A client with a certificate."""
    return client_context(identities=[client_identity()], **options)


def asking(verify=Verify.REQUIRED, **options):
    """A server that asks for one."""
    return server_context(verify=verify, **options)


def other_trust():
    return TrustStore.from_pem(OTHER.pem)


def both_trusts():
    return TrustStore.from_pem(OTHER.pem + authority().pem)


def assert_refused(client, server, session, by_server=False):
    """There is a full handshake, and the peer is not believed."""
    pair = joined(client, server, session)
    conn, _, peer, _ = pair.sides(by_server)
    for _ in range(3):
        pair.client.do_handshake()
        pair.server.do_handshake()
    assert outcome(conn, conn.do_handshake()) == (-1, SSL)
    assert isinstance(conn.last_error, CertificateError)
    assert not conn.session_reused
    assert not peer.session_reused


# --- What is known of the peer afterwards


@pytest.mark.parametrize("verified_chain_cache", [0, 1024])
@pytest.mark.parametrize("stateful", [False, True], ids=["sealed", "stored"])
def test_both_know_their_peers(verified_chain_cache, stateful):
    stores = {"session_store": MemorySessionStore()} if stateful else {}
    client = certified(verified_chain_cache=verified_chain_cache)
    server = asking(verified_chain_cache=verified_chain_cache, **stores)
    pair = connected(client, server)
    assert_resumed(pair, False)
    anchor = authority().chain_der[0]
    for _ in range(3):
        assert pair.client.peer_certificates == identity().certificates
        assert pair.client.verified_chain == (*identity().certificates, anchor)
        assert pair.server.peer_certificates == CHAIN
        assert pair.server.verified_chain == (*CHAIN, anchor)
        assert pair.client.signature_scheme is None or not pair.client.session_reused
        pair = assert_resumes(client, server, pair.client.session)


def test_chain_of_several_certificates():
    leaf = pki.make_leaf(["client.test"], issuer=authority(), intermediate=True)
    client = client_context(identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem)])
    server = asking()
    pair = assert_resumes(client, server, session_of(client, server))
    assert list(pair.server.peer_certificates) == leaf.chain_der
    assert list(pair.server.verified_chain) == [*leaf.chain_der, authority().chain_der[0]]


@BOTH_ROLES
def test_nobody_is_verified_who_was_not(by_server):
    client, server = client_context(verify=Verify.NONE), server_context()
    pair = assert_resumes(client, server, session_of(client, server))
    conn = pair.server if by_server else pair.client
    assert conn.verified_chain is None
    assert conn.peer_certificates == (() if by_server else identity().certificates)


def test_client_does_not_resume_what_it_is_no_more():
    """A session shows whom it once was for: a client without that certificate does not offer it."""
    server = asking()
    session = session_of(certified(), server)
    pair = joined(client_context(), server, session)
    with pytest.raises(AssertionError, match="no certificate"):
        pair.handshake()
    assert_resumes(certified(), server, session)


def test_certificate_in_a_ticket_survives_another_process():
    server = asking()
    session = session_of(certified(), server)
    again = asking(ticket_keys=TicketKeys.from_bytes(server.ticket_keys.to_bytes()))
    pair = assert_resumes(certified(), again, Session.from_bytes(session.to_bytes()))
    assert pair.server.peer_certificates == CHAIN
    assert pair.server.verified_chain is not None


def test_channel_bindings_after_resumption():
    # RFC 5929, 4.1: it is not defined for all signatures.
    leaf = pki.make_leaf([HOST], issuer=OTHER)
    client = client_context(trust=other_trust())
    server = server_context(identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem)])
    pair = connected(client, server)
    binding = pair.client.channel_binding("tls-server-end-point")
    pair = assert_resumes(client, server, pair.client.session)
    assert pair.client.channel_binding("tls-server-end-point") == binding
    assert pair.client.channel_binding("tls-exporter") == pair.server.channel_binding(
        "tls-exporter"
    )


# --- The client asks again


def test_client_with_another_trust_does_not_resume():
    server = server_context()
    session = session_of(client_context(), server)
    suspicious = client_context(trust=other_trust())
    assert not offered(suspicious, server, session).pre_shared_key
    assert_refused(suspicious, server, session)


def test_client_with_more_trust_resumes():
    server = server_context()
    session = session_of(client_context(), server)
    pair = assert_resumes(client_context(trust=both_trusts()), server, session)
    assert pair.client.verified_chain[-1] == authority().chain_der[0]


@pytest.mark.parametrize("verified_chain_cache", [0, 1024])
def test_client_that_verifies_from_now_on(verified_chain_cache):
    """The session was made without; whether it counts is decided when it is used."""
    server = server_context()
    session = session_of(client_context(verify=Verify.NONE, trust=other_trust()), server)
    careful = client_context(verified_chain_cache=verified_chain_cache)
    pair = assert_resumes(careful, server, session)
    assert pair.client.verified_chain is not None
    suspicious = client_context(trust=other_trust(), verified_chain_cache=verified_chain_cache)
    assert not offered(suspicious, server, session).pre_shared_key
    assert_refused(suspicious, server, session)


def test_client_that_does_not_verify_any_more():
    server = server_context()
    session = session_of(client_context(), server)
    careless = client_context(verify=Verify.NONE, trust=other_trust())
    pair = assert_resumes(careless, server, session)
    assert pair.client.peer_certificates == identity().certificates
    assert pair.client.verified_chain is None


def test_client_that_checks_names_from_now_on():
    """Its session is with a server whose certificate is for another name."""
    server = server_context(identities=[identity("other.test")])
    lenient = client_context(check_hostname=False)
    session = session_of(lenient, server)
    assert session.server_name == HOST
    assert_resumes(lenient, server, session)
    assert not offered(client_context(), server, session).pre_shared_key
    assert_refused(client_context(), server, session)


def test_session_of_a_server_that_has_another_certificate_now():
    """Resumption is with whom the session is; the full handshake shows the new certificate."""
    keys = TicketKeys()
    client = client_context()
    session = session_of(client, server_context(ticket_keys=keys))
    leaf = pki.make_leaf([HOST], issuer=authority())
    renewed = Identity.from_pem(leaf.chain_pem, leaf.key_pem)
    server = server_context(identities=[renewed], ticket_keys=keys)
    pair = assert_resumes(client, server, session)
    assert pair.client.peer_certificates == identity().certificates
    assert connected(client, server).client.peer_certificates == renewed.certificates


# --- The server asks again


@pytest.mark.parametrize("before", [Verify.NONE, Verify.OPTIONAL])
def test_server_that_requires_certificates_does_not_resume_without(before):
    keys = TicketKeys()
    # Without a certificate at first; the client has one by now.
    session = session_of(client_context(), asking(before, ticket_keys=keys))
    server = asking(ticket_keys=keys)
    pair = assert_resumes(certified(), server, session, False)
    assert pair.server.peer_certificates == CHAIN
    # And a client that still has none is refused, not resumed.
    pair = joined(client_context(), server, session)
    assert pair.client.do_handshake() == -1
    assert pair.server.do_handshake() == -1
    assert pair.client.do_handshake() == 1
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert pair.server.last_error.alert == fasths.AlertDescription.certificate_required


@pytest.mark.parametrize("before", [Verify.NONE, Verify.OPTIONAL])
@pytest.mark.parametrize("after", [Verify.NONE, Verify.OPTIONAL])
def test_server_that_does_not_require_certificates_resumes_without(before, after):
    keys = TicketKeys()
    session = session_of(client_context(), asking(before, ticket_keys=keys))
    pair = assert_resumes(client_context(), asking(after, ticket_keys=keys), session)
    assert pair.server.peer_certificates == ()
    assert pair.server.verified_chain is None


@pytest.mark.parametrize("before", [Verify.OPTIONAL, Verify.REQUIRED])
@pytest.mark.parametrize("after", [Verify.OPTIONAL, Verify.REQUIRED])
def test_server_that_asks_for_certificates_resumes_with_one(before, after):
    keys = TicketKeys()
    session = session_of(certified(), asking(before, ticket_keys=keys))
    pair = assert_resumes(certified(), asking(after, ticket_keys=keys), session)
    assert pair.server.peer_certificates == CHAIN
    assert pair.server.verified_chain is not None


def test_server_that_does_not_ask_any_more():
    """It would not know what to make of a certificate that it cannot verify."""
    keys = TicketKeys()
    session = session_of(certified(), asking(ticket_keys=keys))
    pair = assert_resumes(certified(), server_context(ticket_keys=keys), session, False)
    assert pair.server.peer_certificates == ()


@pytest.mark.parametrize("verify", [Verify.OPTIONAL, Verify.REQUIRED])
@pytest.mark.parametrize("verified_chain_cache", [0, 1024])
def test_server_with_another_trust_does_not_resume(verify, verified_chain_cache):
    keys = TicketKeys()
    client = certified()
    options = {"ticket_keys": keys, "verified_chain_cache": verified_chain_cache}
    session = session_of(client, asking(verify, **options))
    server = asking(verify, trust=other_trust(), **options)
    assert_refused(client, server, session, by_server=True)
    # Where it is optional, a client without a certificate is let in, but as nobody.
    if verify is Verify.OPTIONAL:
        pair = assert_resumes(client_context(), server, session, False)
        assert pair.server.peer_certificates == ()


def test_server_with_more_trust_resumes():
    keys = TicketKeys()
    client = certified()
    session = session_of(client, asking(ticket_keys=keys))
    pair = assert_resumes(client, asking(trust=both_trusts(), ticket_keys=keys), session)
    assert pair.server.verified_chain[-1] == authority().chain_der[0]


def test_session_of_another_client_is_not_offered():
    server = asking()
    session = session_of(certified(), server)
    stranger_leaf = pki.make_leaf(["stranger.test"], issuer=authority())
    stranger = client_context(
        identities=[Identity.from_pem(stranger_leaf.chain_pem, stranger_leaf.key_pem)]
    )
    pair = assert_resumes(stranger, server, session, False)
    assert pair.server.peer_certificates == tuple(stranger_leaf.chain_der)


# --- Authentication after the handshake (RFC 8446, 4.6.2)


def test_resumed_client_authenticates_itself_after_the_handshake():
    client = certified(post_handshake_auth=True)
    server = asking(post_handshake_auth=True)
    session = session_of(client, server)
    pair = assert_resumes(client, server, session)
    assert pair.server.peer_certificates == ()
    assert pair.server.verify_client_post_handshake() == 1
    assert pair.client.read() is None
    assert pair.server.read() is None
    assert pair.server.peer_certificates == CHAIN
    assert pair.server.verified_chain is not None
    # Tickets from now on know of it; those from before do not.
    assert pair.server.send_session_tickets() == 1
    assert pair.client.read() is None
    again = assert_resumes(client, server, pair.client.session)
    assert again.server.peer_certificates == CHAIN
    assert again.server.verified_chain is not None
    again = assert_resumes(client, server, session)
    assert again.server.peer_certificates == ()


# --- Raw public keys (RFC 7250)


def raw(credential):
    """(an identity that is a key alone, the key)."""
    return Identity.from_raw_public_key(credential.key_pem), public_key_of(credential.key)


SERVER_KEY = raw(pki.make_leaf(key_type="ed25519"))
CLIENT_KEY = raw(client_credential())
OTHER_KEY = raw(pki.make_leaf(key_type="ed25519"))


def keyed_client(*trusted, **options):
    options = {"trust": None, "trusted_public_keys": trusted or [SERVER_KEY[1]], **options}
    return client_context(**options)


def keyed_server(*trusted, **options):
    return server_context(
        **{"identities": [SERVER_KEY[0]], "trust": None, "trusted_public_keys": trusted, **options}
    )


def test_raw_public_key_of_the_server():
    client, server = keyed_client(), keyed_server()
    pair = connected(client, server)
    for _ in range(3):
        assert pair.client.peer_raw_public_key == SERVER_KEY[1]
        assert pair.client.peer_certificates == ()
        assert pair.client.verified_chain is None
        pair = assert_resumes(client, server, pair.client.session)
    session = Session.from_bytes(pair.client.session.to_bytes())
    assert session.raw_public_key
    assert session.peer_certificates == (SERVER_KEY[1],)
    assert_resumes(client, server, session)


def test_raw_public_key_of_the_client():
    client = keyed_client(identities=[CLIENT_KEY[0]])
    server = keyed_server(CLIENT_KEY[1], verify=Verify.REQUIRED)
    pair = connected(client, server)
    for _ in range(3):
        assert pair.server.peer_raw_public_key == CLIENT_KEY[1]
        assert pair.server.peer_certificates == ()
        pair = assert_resumes(client, server, pair.client.session)


def test_raw_public_key_of_the_server_that_is_not_trusted_any_more():
    server = keyed_server()
    session = session_of(keyed_client(), server)
    for client in (keyed_client(OTHER_KEY[1]), client_context()):
        assert not offered(client, server, session).pre_shared_key
    assert_refused(keyed_client(OTHER_KEY[1]), server, session)
    assert_resumes(keyed_client(OTHER_KEY[1], SERVER_KEY[1]), server, session)
    careless = keyed_client(OTHER_KEY[1], verify=Verify.NONE)
    assert_resumes(careless, server, session)


def test_raw_public_key_of_the_client_that_is_not_trusted_any_more():
    keys = TicketKeys()
    client = keyed_client(identities=[CLIENT_KEY[0]])
    options = {"verify": Verify.REQUIRED, "ticket_keys": keys}
    session = session_of(client, keyed_server(CLIENT_KEY[1], **options))
    server = keyed_server(OTHER_KEY[1], **options)
    assert_refused(client, server, session, by_server=True)
    both = keyed_server(OTHER_KEY[1], CLIENT_KEY[1], **options)
    assert_resumes(client, both, session)


def test_raw_public_key_is_no_certificate():
    """A session with one does not count for a client that now takes certificates only."""
    server = server_context(identities=[SERVER_KEY[0], identity()])
    session = session_of(keyed_client(), server)
    pair = assert_resumes(client_context(), server, session, False)
    assert pair.client.peer_certificates == identity().certificates
    assert pair.client.peer_raw_public_key is None


# --- What else belongs to a certificate


def test_timestamps_are_not_part_of_a_session():
    client = client_context()
    leaf = pki.make_leaf([HOST], issuer=authority())
    server = server_context(
        identities=[
            Identity.from_pem(
                leaf.chain_pem, leaf.key_pem, signed_certificate_timestamps=[b"timestamp"]
            )
        ]
    )
    pair = connected(client, server)
    assert pair.client.signed_certificate_timestamps == (b"timestamp",)
    pair = assert_resumes(client, server, pair.client.session)
    assert pair.client.signed_certificate_timestamps == ()
    assert pair.client.ocsp_response is None


def test_trust_is_the_only_reason_to_refuse():
    """Else nothing above means anything."""
    assert_refused(client_context(trust=other_trust()), server_context(), None)
    assert_refused(certified(), asking(trust=other_trust()), None, by_server=True)
    assert_resumed(connected(certified(), asking()), False)
