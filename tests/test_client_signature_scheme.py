"""Connection.client_signature_scheme: what a client proved its certificate with."""

from __future__ import annotations

import functools

import pki
import pytest
from both_versions import FOR_TLS13
from both_versions import version as version
from helpers import WANT_READ, authority, client_context, server_context, trust
from resumed_pairs import connected

import fasths
from fasths import SignatureScheme, TLSVersion, Verify

P384 = SignatureScheme.ecdsa_secp384r1_sha384


@functools.cache
def client_identity() -> fasths.Identity:
    leaf = pki.make_leaf(["client.test"], issuer=authority(), key_type="ecdsa384")
    return fasths.Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def verifying(verify: Verify, **options: object) -> fasths.Context:
    return server_context(verify=verify, trust=trust(), **options)


def schemes(pair):
    return pair.client.client_signature_scheme, pair.server.client_signature_scheme


@pytest.mark.parametrize("verify", [Verify.OPTIONAL, Verify.REQUIRED], ids=lambda each: each.name)
def test_in_the_handshake(verify, version):
    pair = connected(client_context(identities=[client_identity()]), verifying(verify))
    # RFC 5246, 7.4.1.4.1: there the hash is not bound to the curve.
    expected = P384 if version is TLSVersion.TLSv1_3 else SignatureScheme.ecdsa_secp256r1_sha256
    assert schemes(pair) == (expected, expected)
    # And apart from the server's own.
    assert pair.server.signature_scheme is pair.client.signature_scheme
    assert pair.server.signature_scheme is SignatureScheme.ed25519


def test_without_a_certificate():
    client = client_context()
    conn = fasths.Connection(client, fasths.MemoryBIO(), server_hostname="example.com")
    assert conn.client_signature_scheme is None
    assert schemes(connected(client, server_context())) == (None, None)
    assert schemes(connected(client, verifying(Verify.OPTIONAL))) == (None, None)


def test_resumed():
    client = client_context(identities=[client_identity()])
    server = verifying(Verify.REQUIRED)
    pair = connected(client, server, connected(client, server).client.session)
    assert pair.client.session_reused
    assert schemes(pair) == (None, None)


@FOR_TLS13
def test_after_the_handshake():
    client = client_context(identities=[client_identity()], post_handshake_auth=True)
    server = verifying(Verify.OPTIONAL, post_handshake_auth=True)
    pair = connected(client, server)
    assert schemes(pair) == (None, None)
    assert pair.server.verify_client_post_handshake() == 1
    assert pair.client.read() is None
    assert pair.client.get_error(-1) is WANT_READ
    assert pair.server.read() is None
    assert schemes(pair) == (P384, P384)
