"""External pre-shared keys between two fasths connections (RFC 8446, 2.2; RFC 9257 and RFC 9258).

The keys by themselves are in test_external_psk.py.
"""

from __future__ import annotations

import pytest
from helpers import HOST, SSL, client_context, identity, outcome, server_context
from resumed_pairs import (
    assert_resumed,
    assert_resumes,
    client_identity,
    connected,
    joined,
    offered,
    session_of,
)

import fasths
from fasths import (
    AlertDescription,
    CipherSuite,
    ExternalPSK,
    Limits,
    NamedGroup,
    PSKRequest,
    Verify,
)

KEY = bytes(range(32))
PLAIN = {
    "sha256": ExternalPSK(b"plain of SHA-256", KEY),
    "sha384": ExternalPSK(b"plain of SHA-384", KEY, hash="sha384"),
}
IMPORTED = ExternalPSK.import_key(b"imported", KEY, context=b"a client and a server")
SUITES = {
    "sha256": ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    "sha384": ("TLS_AES_256_GCM_SHA384",),
}
HASHES = tuple(SUITES)
SUITES_AND_HASHES = [(suite, hash) for hash in HASHES for suite in SUITES[hash]]


def contexts(of_client, of_server, client=None, server=None):
    return (
        client_context(external_psks=of_client, **(client or {})),
        server_context(external_psks=of_server, **(server or {})),
    )


def assert_uses(client, server, psk, **options):
    """The handshake is by this PSK, out of those that are offered."""
    pair = assert_resumes(client, server, None, **options)
    assert pair.client.cipher_suite.name in SUITES[psk.hash]
    for conn in (pair.client, pair.server):
        assert conn.peer_certificates == ()
        assert conn.verified_chain is None
        assert conn.signature_scheme is None
    return pair


# --- Known to both


@pytest.mark.parametrize(("suite", "hash"), SUITES_AND_HASHES)
def test_plain_key(suite, hash):
    suites = {"cipher_suites": [suite]}
    assert_uses(*contexts([PLAIN[hash]], [PLAIN[hash]], client=suites), PLAIN[hash])
    assert_uses(*contexts([PLAIN[hash]], [PLAIN[hash]], server=suites), PLAIN[hash])


@pytest.mark.parametrize(("suite", "hash"), SUITES_AND_HASHES)
def test_imported_key(suite, hash):
    """RFC 9258: one key for each hash, and both are offered."""
    psk = IMPORTED[HASHES.index(hash)]
    assert_uses(*contexts(IMPORTED, IMPORTED, server={"cipher_suites": [suite]}), psk)
    assert_uses(*contexts([psk], IMPORTED, client={"cipher_suites": [suite]}), psk)


@pytest.mark.parametrize("hash", HASHES)
def test_key_with_suites_of_another_hash_is_not_used(hash):
    (other,) = set(HASHES) - {hash}
    psks = [PLAIN[hash]], [PLAIN[hash]]
    suites = {"cipher_suites": SUITES[other]}
    for changes in ({"client": suites}, {"server": suites}):
        client, server = contexts(*psks, **changes)
        assert_resumes(client, server, None, False)


def test_key_decides_on_the_suite():
    """The server prefers a suite of another hash, where there is no key."""
    suites = {"cipher_suites": [*SUITES["sha256"], *SUITES["sha384"]]}
    client, server = contexts([PLAIN["sha384"]], [PLAIN["sha384"]], suites, suites)
    pair = connected(client, server_context(**suites))
    assert pair.client.cipher_suite.name in SUITES["sha256"]
    assert_uses(client, server, PLAIN["sha384"])


@pytest.mark.parametrize("length", [1, 16, 64, 200])
def test_keys_of_any_length(length):
    psk = ExternalPSK(b"identity", bytes(length))
    assert_uses(*contexts([psk], [psk]), psk)


@pytest.mark.parametrize("size", [1, 32, 1000, 60000])
def test_identities_of_any_length(size):
    """One of 32 bytes is as long as a ticket whose session is in a store."""
    psk = ExternalPSK(bytes(size), KEY)
    assert_uses(*contexts([psk], [psk]), psk)
    store = {"session_store": fasths.MemorySessionStore()}
    assert_uses(*contexts([psk], [psk], server=store), psk)


@pytest.mark.parametrize("modes", [("psk_ke",), ("psk_dhe_ke",), ("psk_ke", "psk_dhe_ke")])
def test_modes(modes):
    psk = PLAIN["sha256"]
    both = {"psk_key_exchange_modes": modes}
    pair = assert_uses(*contexts([psk], [psk], both, both), psk)
    expected = None if modes == ("psk_ke",) else NamedGroup.x25519
    assert pair.client.group is pair.server.group is expected


def test_hello_retry_request_leaves_the_keys_of_the_hash():
    """RFC 8446, 4.1.4: what does not go with the suite by now is not offered again."""
    client, server = contexts(
        [PLAIN["sha384"], PLAIN["sha256"], *IMPORTED],
        [PLAIN["sha256"]],
        client={"groups": ["x25519", "secp256r1"]},
        server={"groups": ["secp256r1"]},
    )
    pair = joined(client, server)
    assert pair.client.do_handshake() == -1
    assert pair.server.do_handshake() == -1
    first = bytes(pair.client_bio.written)
    pair.client_bio.written.clear()
    assert pair.client.do_handshake() == -1
    second = bytes(pair.client_bio.written)
    of_sha256 = PLAIN["sha256"].identity, IMPORTED[0].identity
    of_sha384 = PLAIN["sha384"].identity, IMPORTED[1].identity
    assert all(each in first for each in of_sha256 + of_sha384)
    assert all(each in second for each in of_sha256)
    assert not any(each in second for each in of_sha384)
    pair.handshake()
    assert_resumed(pair)
    assert pair.server.group is NamedGroup.secp256r1


def test_neither_side_has_certificates():
    psk = PLAIN["sha256"]
    client = client_context(trust=None, external_psks=[psk])
    server = fasths.Context(external_psks=[psk], groups=("x25519",))
    assert_uses(client, server, psk)


def test_a_client_that_verifies_names_takes_the_key_for_the_proof():
    psk = PLAIN["sha256"]
    client, server = contexts([psk], [psk], server={"identities": [identity("other.test")]})
    assert_uses(client, server, psk)
    # Without the key it would not.
    pair = joined(client_context(), server)
    pair.client.do_handshake()
    pair.server.do_handshake()
    assert outcome(pair.client, pair.client.do_handshake()) == (-1, SSL)


# --- Several, and unknown ones


def test_the_first_key_that_the_server_knows_is_used():
    psks = [*IMPORTED, *PLAIN.values()]
    for known in range(4):
        # The order is the client's.
        client, server = contexts(psks, psks[known:][::-1])
        assert_uses(client, server, psks[known])


def test_client_with_a_wrong_key_is_refused():
    """It is one that the server knows by its name; no other is tried then."""
    wrong = ExternalPSK(PLAIN["sha256"].identity, bytes(32))
    client, server = contexts([wrong, *IMPORTED], [PLAIN["sha256"], *IMPORTED])
    pair = joined(client, server)
    pair.client.do_handshake()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert pair.server.last_error.alert == AlertDescription.decrypt_error


def test_unknown_keys_make_a_full_handshake():
    client, server = contexts([*PLAIN.values(), *IMPORTED], [])
    pair = assert_resumes(client, server, None, False)
    assert pair.client.peer_certificates == identity().certificates
    other_context = ExternalPSK.import_key(b"imported", KEY, context=b"others")
    client, server = contexts(IMPORTED, other_context)
    assert_resumes(client, server, None, False)


def test_unknown_key_and_no_certificate_is_refused():
    client = client_context(external_psks=IMPORTED)
    server = fasths.Context(external_psks=[PLAIN["sha256"]], groups=("x25519",))
    pair = joined(client, server)
    pair.client.do_handshake()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, SSL)
    assert pair.server.last_error.alert == AlertDescription.handshake_failure


def test_only_so_many_keys_are_looked_at():
    psks = [ExternalPSK(b"number %d" % i, KEY) for i in range(10)]
    for limit, resumes in ((9, False), (10, True)):
        limits = {"limits": Limits(max_psk_identities=limit)}
        client, server = contexts(psks, psks[-1:], server=limits)
        assert_resumes(client, server, None, resumes)


@pytest.mark.parametrize("sizes", [(65535,), (40000, 40000), (65535, 65535, 100)])
def test_keys_that_do_not_fit_into_a_client_hello_are_not_offered(sizes):
    """RFC 8446, 4.2.11: all identities together have less than 65536 bytes.

    A server may know more; a client offers what fits.
    """
    psks = [ExternalPSK(bytes((i + 1,)) * size, KEY) for i, size in enumerate(sizes)]
    psk = PLAIN["sha256"]
    client, server = contexts([psk, *psks], [psk, *psks])
    assert_uses(client, server, psk)
    assert_resumes(client_context(external_psks=psks[:1]), server_context(), None, False)


# --- psk_callback


def test_psk_callback_finds_keys():
    asked = []

    def find(request):
        assert isinstance(request, PSKRequest)
        asked.append((request.identity, request.user_data))
        return {psk.identity: psk for psk in IMPORTED}.get(request.identity)

    server = server_context(psk_callback=find, external_psks=[PLAIN["sha384"]])
    assert_uses(client_context(external_psks=IMPORTED), server, IMPORTED[0])
    assert asked == [(IMPORTED[0].identity, None)]
    asked.clear()
    # What is in external_psks is not asked for, nor what comes behind it.
    client = client_context(external_psks=[PLAIN["sha256"], PLAIN["sha384"], *IMPORTED])
    assert_uses(client, server, PLAIN["sha384"])
    assert asked == [(PLAIN["sha256"].identity, None)]
    asked.clear()
    assert_resumes(client_context(external_psks=[PLAIN["sha256"]]), server, None, False)
    assert len(asked) == 1
    assert_resumes(client_context(), server, None, False)
    assert len(asked) == 1


def test_psk_callback_is_not_asked_for_tickets():
    asked = []
    server = server_context(psk_callback=lambda request: asked.append(request.identity))
    client = client_context()
    session = session_of(client, server)
    assert_resumes(client, server, session)
    assert asked == []
    # A ticket that nobody can open could be anything.
    other = server_context(psk_callback=lambda request: asked.append(request.identity))
    assert_resumes(client, other, session, False)
    assert asked == [session.ticket]


# --- Together with sessions


def test_a_session_comes_before_external_keys():
    psk = PLAIN["sha256"]
    client, server = contexts([psk], [psk])
    session = session_of(client_context(), server)
    pair = assert_resumes(client, server, session)
    # It was the session: it knows the certificate.
    assert pair.client.peer_certificates == identity().certificates


def test_external_key_where_the_session_is_unknown():
    client, server = contexts([PLAIN["sha384"], PLAIN["sha256"]], [PLAIN["sha256"]])
    session = session_of(client_context(), server_context())
    hello = offered(client, server, session)
    assert session.ticket in hello.raw
    assert hello.raw.index(session.ticket) < hello.raw.index(PLAIN["sha384"].identity)
    pair = assert_resumes(client, server, session)
    assert pair.client.peer_certificates == ()


def test_external_key_of_the_hash_that_the_session_has_not():
    psk = PLAIN["sha384"]
    client, server = contexts([psk], [psk])
    keys = server.ticket_keys
    session = session_of(
        client_context(cipher_suites=SUITES["sha256"]), server_context(ticket_keys=keys)
    )
    only = server_context(external_psks=[psk], ticket_keys=keys, cipher_suites=SUITES["sha384"])
    pair = assert_resumes(client, only, session)
    assert pair.client.peer_certificates == ()
    assert pair.client.cipher_suite is CipherSuite.TLS_AES_256_GCM_SHA384


@pytest.mark.parametrize("hash", HASHES)
def test_tickets_of_a_connection_by_external_key(hash):
    """A client that verifies certificates offers its key again: the session has nothing to show."""
    psk = PLAIN[hash]
    client, server = contexts([psk], [psk])
    session = assert_uses(client, server, psk).client.session
    assert session.peer_certificates == ()
    hello = offered(client, server, session)
    assert session.ticket not in hello.raw
    assert psk.identity in hello.raw
    assert_uses(client, server, psk)
    # One that verifies nothing goes on with the ticket.
    careless = client_context(verify=Verify.NONE)
    assert session.ticket in offered(careless, server, session).raw
    assert_resumes(careless, server, session)


def test_server_that_requires_certificates_takes_the_key_for_one():
    """The key proves who the client is; but a ticket of such a connection is no certificate."""
    psk = PLAIN["sha256"]
    client, server = contexts([psk], [psk], server={"verify": Verify.REQUIRED})
    session = assert_uses(client, server, psk).client.session
    careless = client_context(verify=Verify.NONE, identities=[client_identity()])
    pair = assert_resumes(careless, server, session, False)
    assert pair.server.peer_certificates == client_identity().certificates


def test_key_log():
    logs = {"client": [], "server": []}
    psk = PLAIN["sha256"]
    client, server = contexts(
        [psk], [psk], {"keylog": logs["client"].append}, {"keylog": logs["server"].append}
    )
    assert_uses(client, server, psk)
    assert logs["client"] == logs["server"]
    assert len(logs["client"]) == 5
    assert not any(KEY.hex() in line for line in logs["client"])


def test_keys_are_offered_to_every_name():
    """They are the Context's: it is for the application to use one Context for each server."""
    client = client_context(external_psks=IMPORTED)
    for name in (HOST, "other.test"):
        assert IMPORTED[0].identity in offered(client, server_context(), None, hostname=name).raw
