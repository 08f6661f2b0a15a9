"""Whom a resumed TLS 1.2 connection believes to be at the other end.

Each side asks again whether it would still believe what was shown in the full handshake.
"""

from __future__ import annotations

from typing import Any

import pki
import pytest
from helpers import (
    HOST,
    authority,
    identity,
)
from resumed_pairs import (
    assert_resumes,
    client_credential,
    client_identity,
    connected,
    session_of,
)
from resumed_pairs12 import (
    EVERY_KIND,
    Servers,
    assert_refused,
    client_with,
)

import fasths
from fasths import (
    AlertDescription,
    CertificateError,
    Identity,
    StaplePolicy,
    TrustStore,
    Verify,
)
from fasths.crypto.raw_public_keys import public_key_of

CHAIN = client_identity().certificates
OTHER = pki.make_ca()


def certified(**options: Any) -> fasths.Context:
    """A client with a certificate."""
    return client_with(identities=[client_identity()], **options)


def other_trust() -> TrustStore:
    return TrustStore.from_pem(OTHER.pem)


@EVERY_KIND
@pytest.mark.parametrize("verified_chain_cache", [0, 1024])
def test_both_know_their_peers(kind: str, verified_chain_cache: int) -> None:
    client = certified(verified_chain_cache=verified_chain_cache)
    server = Servers(kind)(verify=Verify.REQUIRED, verified_chain_cache=verified_chain_cache)
    pair = connected(client, server)
    anchor = authority().chain_der[0]
    for _ in range(3):
        assert pair.client.peer_certificates == identity().certificates
        assert pair.client.verified_chain == (*identity().certificates, anchor)
        assert pair.server.peer_certificates == CHAIN
        assert pair.server.verified_chain == (*CHAIN, anchor)
        pair = assert_resumes(client, server, pair.client.session)


@EVERY_KIND
def test_client_with_another_trust_does_not_resume(kind: str) -> None:
    server = Servers(kind)()
    session = session_of(client_with(), server)
    suspicious = client_with(trust=other_trust())
    error = assert_refused(suspicious, server, session, by_server=False)
    assert isinstance(error, CertificateError)
    both = TrustStore.from_pem(OTHER.pem + authority().pem)
    assert_resumes(client_with(trust=both), server, session_of(client_with(), server))


@EVERY_KIND
def test_client_that_verifies_from_now_on(kind: str) -> None:
    server = Servers(kind)()
    careless = client_with(verify=Verify.NONE, trust=other_trust())
    session = session_of(careless, server)
    pair = assert_resumes(client_with(), server, session)
    assert pair.client.verified_chain is not None
    pair = assert_resumes(careless, server, session)
    assert pair.client.verified_chain is None


@EVERY_KIND
@pytest.mark.parametrize("before", [Verify.NONE, Verify.OPTIONAL])
def test_server_that_requires_certificates_does_not_resume_without(
    kind: str, before: Verify
) -> None:
    servers = Servers(kind)
    session = session_of(client_with(), servers(verify=before))
    strict = servers(verify=Verify.REQUIRED)
    pair = assert_resumes(certified(), strict, session, False)
    assert pair.server.peer_certificates == CHAIN
    session = session_of(client_with(), servers(verify=before))
    error = assert_refused(client_with(), strict, session, by_server=True)
    assert error.alert is AlertDescription.handshake_failure


@EVERY_KIND
@pytest.mark.parametrize("before", [Verify.OPTIONAL, Verify.REQUIRED])
@pytest.mark.parametrize("after", [Verify.OPTIONAL, Verify.REQUIRED])
def test_server_that_asks_for_certificates_resumes_with_one(
    kind: str, before: Verify, after: Verify
) -> None:
    servers = Servers(kind)
    session = session_of(certified(), servers(verify=before))
    pair = assert_resumes(certified(), servers(verify=after), session)
    assert pair.server.peer_certificates == CHAIN


@EVERY_KIND
def test_server_that_does_not_ask_any_more(kind: str) -> None:
    servers = Servers(kind)
    session = session_of(certified(), servers(verify=Verify.REQUIRED))
    pair = assert_resumes(certified(), servers(), session, False)
    assert pair.server.peer_certificates == ()


@EVERY_KIND
def test_server_with_another_trust_does_not_resume(kind: str) -> None:
    servers = Servers(kind)
    session = session_of(certified(), servers(verify=Verify.REQUIRED))
    strict = servers(verify=Verify.REQUIRED, trust=other_trust())
    error = assert_refused(certified(), strict, session, by_server=True)
    assert isinstance(error, CertificateError)


def stranger() -> Identity:
    leaf = pki.make_leaf(["stranger.test"], issuer=authority(), key_type="ed25519")
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


@EVERY_KIND
@pytest.mark.parametrize("identities", [[], [stranger()]], ids=["none", "another"])
def test_session_of_an_identity_that_is_gone_is_not_offered(
    kind: str, identities: list[Identity]
) -> None:
    server = Servers(kind)(verify=Verify.OPTIONAL)
    session = session_of(certified(), server)
    assert session.identity_digest
    pair = assert_resumes(client_with(identities=identities), server, session, False)
    assert pair.server.peer_certificates != CHAIN
    assert (session.ticket or session.session_id) not in pair.client_bio.written
    # Renewed or not, it stands for its own identity.
    again = Identity.from_pem(client_credential().chain_pem, client_credential().key_pem)
    assert_resumes(client_with(identities=[stranger(), again]), server, session)


@EVERY_KIND
def test_raw_public_keys_of_both_sides(kind: str) -> None:
    server_key = pki.make_leaf(key_type="ed25519")
    keys = [public_key_of(each.key) for each in (server_key, client_credential())]
    raw = Identity.from_raw_public_key
    client = client_with(
        identities=[raw(client_credential().key_pem)], trust=None, trusted_public_keys=keys[:1]
    )
    servers = Servers(kind)
    options = {"identities": [raw(server_key.key_pem)], "verify": Verify.REQUIRED, "trust": None}
    server = servers(trusted_public_keys=keys[1:], **options)
    pair = connected(client, server)
    for _ in range(3):
        assert pair.client.peer_raw_public_key == keys[0]
        assert pair.server.peer_raw_public_key == keys[1]
        session = pair.client.session
        pair = assert_resumes(client, server, session)
    # Not trusted any more, by either side.
    other = public_key_of(pki.make_leaf(key_type="ed25519").key)
    fresh = session_of(client, server)
    error = assert_refused(client, servers(trusted_public_keys=[other], **options), fresh, True)
    assert isinstance(error, CertificateError)
    suspicious = client_with(
        identities=[raw(client_credential().key_pem)], trust=None, trusted_public_keys=[other]
    )
    fresh = session_of(client, server)
    assert isinstance(assert_refused(suspicious, server, fresh, False), CertificateError)


LEAF = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")


@EVERY_KIND
def test_staple_of_a_session_counts(kind: str) -> None:
    """It is kept with the session, and judged again."""
    servers = Servers(kind)

    def showing(staple: bytes | None) -> fasths.Context:
        shown = Identity.from_pem(LEAF.chain_pem, LEAF.key_pem, ocsp_response=staple)
        return servers(identities=[shown])

    good = pki.ocsp_response(LEAF)
    strict = client_with(staple_policy=StaplePolicy.REQUIRE)
    session = session_of(strict, showing(good))
    assert session.ocsp_response == good
    pair = assert_resumes(strict, showing(good), session)
    assert pair.client.ocsp_response == good
    without = session_of(client_with(), showing(None))
    assert_resumes(strict, showing(good), without, False)
    revoked = pki.ocsp_response(LEAF, status=pki.REVOKED)
    bad = session_of(client_with(verify=Verify.NONE), showing(revoked))
    assert_resumes(client_with(), showing(good), bad, False)
