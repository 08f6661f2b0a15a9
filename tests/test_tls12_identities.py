"""Who shows what to whom in TLS 1.2, and how it is chosen: certificates, staples, raw keys."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    ConnectionPair,
    authority,
    identity,
    server_context,
)
from refusals import assert_refuses
from refusals12 import TLS12_ALONE, client_of
from resumed_pairs import assert_resumed, joined
from resumed_pairs12 import client_with, refusal_of
from scripted12_keys import schemes_of

import fasths
from fasths import (
    AlertDescription,
    CertificateError,
    CipherSuite,
    Identity,
    NamedGroup,
    SignatureScheme,
    StaplePolicy,
    TrustStore,
    Verify,
)
from fasths.crypto.raw_public_keys import public_key_of
from fasths.wire.codes import ClientCertificateType
from fasths.wire.errors import HandshakeFailure

CURVES = {"ecdsa": "secp256r1", "ecdsa384": "secp384r1", "ecdsa521": "secp521r1"}
KEY_TYPES = [*CURVES, "rsa", "rsa-pss", "ed25519", "ed448"]
ALL_GROUPS = ("x25519", *CURVES.values())
ANY = {"groups": ALL_GROUPS}
S = CipherSuite
ECDSA = (
    S.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    S.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    S.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
)
RSA = (
    S.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    S.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    S.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
)


@functools.cache
def credential(key_type: str, name: str = HOST) -> pki.Credential:
    return pki.make_leaf([name], issuer=authority(), key_type=key_type)


@functools.cache
def certified(key_type: str, name: str = HOST) -> Identity:
    leaf = credential(key_type, name)
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def server_with(**options: Any) -> fasths.Context:
    return server_context(**{**TLS12_ALONE, **ANY, **options})


def any_client(**options: Any) -> fasths.Context:
    return client_with(**{**ANY, **options})


def pair_of(client: fasths.Context, server: fasths.Context, **options: Any) -> ConnectionPair:
    return joined(client, server, **options).handshake()


# --- Keys of every type


@pytest.mark.parametrize("client_key", KEY_TYPES)
@pytest.mark.parametrize("server_key", KEY_TYPES)
def test_keys_of_every_type(server_key: str, client_key: str) -> None:
    client = any_client(identities=[certified(client_key, "client.test")])
    server = server_with(identities=[certified(server_key)], verify=Verify.REQUIRED)
    pair = pair_of(client, server)
    assert pair.client.peer_certificates == certified(server_key).certificates
    assert pair.server.peer_certificates == certified(client_key, "client.test").certificates
    assert pair.client.verified_chain[-1] == authority().chain_der[0]
    assert pair.server.verified_chain[-1] == authority().chain_der[0]
    assert pair.client.signature_scheme in schemes_of(server_key)
    # RFC 8422, 5.10: EdDSA goes with the suites of ECDSA.
    assert pair.client.cipher_suite in (RSA if server_key.startswith("rsa") else ECDSA)
    assert_resumed(pair, False)


SIGNED = [(key_type, scheme) for key_type in KEY_TYPES for scheme in schemes_of(key_type)]
EVERY_SCHEME = pytest.mark.parametrize(
    ("key_type", "scheme"), SIGNED, ids=[f"{key}-{scheme.name}" for key, scheme in SIGNED]
)


@EVERY_SCHEME
def test_every_scheme_of_a_server(key_type: str, scheme: SignatureScheme) -> None:
    client = any_client(signature_schemes=[scheme])
    pair = pair_of(client, server_with(identities=[certified(key_type)]))
    assert pair.client.signature_scheme is pair.server.signature_scheme is scheme


@EVERY_SCHEME
def test_every_scheme_of_a_client(key_type: str, scheme: SignatureScheme) -> None:
    client = any_client(identities=[certified(key_type)])
    server = server_with(
        verify=Verify.REQUIRED, signature_schemes=dict.fromkeys([scheme, SignatureScheme.ed25519])
    )
    assert pair_of(client, server).server.peer_certificates == certified(key_type).certificates


def test_the_server_s_order_of_schemes_counts() -> None:
    for schemes in (
        ["rsa_pkcs1_sha384", "rsa_pss_rsae_sha256"],
        ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha384"],
    ):
        server = server_with(identities=[certified("rsa")], signature_schemes=schemes)
        assert pair_of(any_client(), server).client.signature_scheme.name == schemes[0]


# --- Client certificates


@pytest.mark.parametrize("verify", [Verify.OPTIONAL, Verify.REQUIRED])
@pytest.mark.parametrize("shown", [True, False])
def test_certificate_of_a_client(verify: Verify, shown: bool) -> None:
    client = client_with(identities=[identity()] if shown else [])
    server = server_with(verify=verify)
    if shown or verify is Verify.OPTIONAL:
        pair = pair_of(client, server)
        expected = identity().certificates if shown else ()
        assert pair.server.peer_certificates == expected
        assert (pair.server.verified_chain is not None) is shown
        assert_resumed(pair, False)
        return
    # RFC 5246, 7.4.6
    error = refusal_of(client, server, by_server=True)
    assert error.alert is AlertDescription.handshake_failure


def test_certificate_that_nobody_asked_for_is_not_shown() -> None:
    pair = pair_of(client_with(identities=[identity()]), server_with())
    assert pair.server.peer_certificates == ()


@pytest.mark.parametrize("verify", [Verify.OPTIONAL, Verify.REQUIRED])
def test_certificate_of_a_client_that_is_not_trusted_is_refused(verify: Verify) -> None:
    stranger = pki.make_leaf(["client.test"], key_type="ed25519")
    client = client_with(identities=[Identity.from_pem(stranger.chain_pem, stranger.key_pem)])
    error = refusal_of(client, server_with(verify=verify), by_server=True)
    assert isinstance(error, CertificateError)


def test_certificate_of_a_client_for_another_purpose_is_refused() -> None:
    leaf = pki.make_leaf(issuer=authority(), key_type="ed25519", eku=[pki.SERVER_AUTH])
    client = client_with(identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem)])
    error = refusal_of(client, server_with(verify=Verify.REQUIRED), by_server=True)
    assert isinstance(error, CertificateError)


@pytest.mark.parametrize("name", ["other.test", "127.0.0.1"])
def test_certificate_of_a_server_for_another_name_is_refused(name: str) -> None:
    error = refusal_of(client_with(), server_with(), by_server=False, hostname=name)
    assert isinstance(error, CertificateError)


# --- Which identity (RFC 5246, 7.4.2; RFC 8422, 5.1 and 5.3)


@pytest.mark.parametrize("key_type", KEY_TYPES)
@BOTH_ROLES
def test_what_the_peer_can_verify_chooses_the_identity(by_server: bool, key_type: str) -> None:
    shown = [certified(each) for each in KEY_TYPES]
    # In TLS 1.2 one scheme is for keys of all curves; the curve is chosen by the groups.
    scheme = schemes_of(key_type)[0]
    asked = {"signature_schemes": dict.fromkeys([scheme, SignatureScheme.ed448])}
    if by_server:
        groups = ["x25519", CURVES.get(key_type, "x25519")]
        client = client_with(**asked, groups=dict.fromkeys(groups))
        pair = pair_of(client, server_with(identities=shown))
        found = pair.client.peer_certificates
    else:
        server = server_with(identities=[certified("ed448")], verify=Verify.REQUIRED, **asked)
        client = any_client(identities=[certified(key_type), certified("ed448")])
        found = pair_of(client, server).server.peer_certificates
    assert found == certified(key_type).certificates


@pytest.mark.parametrize("suites", [ECDSA, RSA], ids=["ECDSA", "RSA"])
@pytest.mark.parametrize("order", [1, -1], ids=["ECDSA first", "RSA first"])
@pytest.mark.parametrize("by_server", [False, True], ids=["client's suites", "server's suites"])
def test_the_suites_choose_the_identity(
    suites: Sequence[CipherSuite], order: int, by_server: bool
) -> None:
    identities = [certified("ecdsa"), certified("rsa")][::order]
    limited = {"cipher_suites": suites}
    client = any_client(**({} if by_server else limited))
    server = server_with(identities=identities, **(limited if by_server else {}))
    pair = pair_of(client, server)
    expected = certified("rsa" if suites is RSA else "ecdsa")
    assert pair.client.peer_certificates == expected.certificates
    assert pair.client.cipher_suite is suites[0]


@pytest.mark.parametrize("curve", CURVES)
def test_the_client_s_curves_choose_the_identity(curve: str) -> None:
    """RFC 8422, 5.1.1: they are those of certificates, too."""
    identities = [certified(each) for each in CURVES]
    client = client_with(groups=["x25519", CURVES[curve]])
    pair = pair_of(client, server_with(identities=identities))
    assert pair.client.peer_certificates == certified(curve).certificates
    assert pair.client.group is NamedGroup.x25519


def test_an_edwards_key_needs_no_curve_of_its_own() -> None:
    client = client_with(groups=["x25519"])
    server = server_with(identities=[certified("ecdsa"), certified("ed448")])
    assert pair_of(client, server).client.peer_certificates == certified("ed448").certificates


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ({"groups": ["x25519"]}, {"identities": [certified("ecdsa")]}),
        ({"cipher_suites": RSA}, {"identities": [certified("ecdsa")]}),
        ({"cipher_suites": ECDSA}, {"identities": [certified("rsa")]}),
        ({"cipher_suites": ECDSA[:1]}, {"cipher_suites": ECDSA[1:]}),
        ({"groups": ["x25519"]}, {"groups": ["secp256r1"]}),
        ({"signature_schemes": ["ecdsa_secp256r1_sha256"]}, {}),
    ],
    ids=["curve", "ECDSA key", "RSA key", "suites", "groups", "schemes"],
)
def test_nothing_in_common_is_refused(client: dict[str, Any], server: dict[str, Any]) -> None:
    error = refusal_of(any_client(**client), server_with(**server), by_server=True)
    assert error.alert is AlertDescription.handshake_failure


AUTHORITIES = [pki.make_ca(key_type="ed25519") for _ in range(3)]
LEAVES = [pki.make_leaf([HOST], issuer=issuer, key_type="ed25519") for issuer in AUTHORITIES]
OF_AUTHORITIES = [Identity.from_pem(leaf.chain_pem, leaf.key_pem) for leaf in LEAVES]
SUBJECTS = [issuer.certificate.subject.public_bytes() for issuer in AUTHORITIES]
SUBJECTS.append(pki.name("unknown").public_bytes())


@pytest.mark.parametrize(
    ("named", "expected"), [((), 0), ((0,), 0), ((1,), 1), ((2,), 2), ((2, 1), 1), ((3,), 0)]
)
def test_the_server_s_authorities_choose_the_client_s_identity(
    named: tuple[int, ...], expected: int
) -> None:
    """RFC 5246, 7.4.4."""
    server = server_with(
        verify=Verify.REQUIRED,
        trust=TrustStore.from_pem(b"".join(issuer.pem for issuer in AUTHORITIES)),
        certificate_authorities=[SUBJECTS[each] for each in named],
    )
    pair = pair_of(client_with(identities=OF_AUTHORITIES), server)
    assert pair.server.peer_certificates == OF_AUTHORITIES[expected].certificates


def test_identities_of_both_versions() -> None:
    """RSA keys that sign with PKCS #1 v1.5 alone are for TLS 1.2, and the version decides."""
    schemes = ["rsa_pkcs1_sha256", "ed25519"]
    server = server_context(
        identities=[certified("rsa"), certified("ed25519")], signature_schemes=schemes
    )
    old = pair_of(client_with(), server)
    assert old.client.peer_certificates == certified("rsa").certificates
    assert old.client.signature_scheme is SignatureScheme.rsa_pkcs1_sha256
    new = pair_of(fasths.Context(trust=TrustStore.from_pem(authority().pem)), server)
    assert new.client.version is fasths.TLSVersion.TLSv1_3
    assert new.client.peer_certificates == certified("ed25519").certificates


# --- Staples (RFC 6066, 8) and SCTs (RFC 6962, 3.3.1)

LEAF = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")
STAPLES = {
    "none": None,
    "good": pki.ocsp_response(LEAF),
    "revoked": pki.ocsp_response(LEAF, status=pki.REVOKED),
    "expired": pki.ocsp_response(LEAF, next_update=pki.timedelta(minutes=30)),
    "junk": b"junk",
}
BAD = AlertDescription.bad_certificate_status_response
REFUSED = {
    (StaplePolicy.CHECK, "revoked"): AlertDescription.certificate_revoked,
    (StaplePolicy.CHECK, "expired"): BAD,
    (StaplePolicy.CHECK, "junk"): BAD,
    (StaplePolicy.REQUIRE, "none"): BAD,
    (StaplePolicy.REQUIRE, "revoked"): AlertDescription.certificate_revoked,
    (StaplePolicy.REQUIRE, "expired"): BAD,
    (StaplePolicy.REQUIRE, "junk"): BAD,
}


def shown_with(staple: bytes | None, timestamps: Sequence[bytes] = ()) -> fasths.Context:
    shown = Identity.from_pem(
        LEAF.chain_pem,
        LEAF.key_pem,
        ocsp_response=staple,
        signed_certificate_timestamps=timestamps,
    )
    return server_with(identities=[shown])


@pytest.mark.parametrize("name", STAPLES)
@pytest.mark.parametrize("policy", StaplePolicy)
def test_staple(policy: StaplePolicy, name: str) -> None:
    client, server = client_with(staple_policy=policy), shown_with(STAPLES[name])
    alert = REFUSED.get((policy, name))
    if alert is not None:
        error = refusal_of(client, server, by_server=False)
        assert isinstance(error, CertificateError)
        assert error.alert is alert
        return
    pair = pair_of(client, server)
    # A client that does not look at it does not ask for it.
    asked = policy is not StaplePolicy.IGNORE
    assert pair.client.ocsp_response == (STAPLES[name] if asked else None)
    assert_resumed(pair, False)


def test_certificate_that_must_have_a_staple() -> None:
    """RFC 7633."""
    feature = pki.x509.TLSFeature([pki.x509.TLSFeatureType.status_request])
    leaf = pki.make_leaf(
        [HOST], issuer=authority(), key_type="ed25519", extensions=[(feature, False)]
    )
    with_staple, without = (
        server_with(
            identities=[Identity.from_pem(leaf.chain_pem, leaf.key_pem, ocsp_response=staple)]
        )
        for staple in (pki.ocsp_response(leaf), None)
    )
    assert pair_of(client_with(), with_staple).client.ocsp_response is not None
    assert refusal_of(client_with(), without, by_server=False).alert is BAD
    assert pair_of(client_with(staple_policy=StaplePolicy.IGNORE), without).client.established


@pytest.mark.parametrize("policy", StaplePolicy)
@pytest.mark.parametrize("timestamps", [(), (b"one",), (b"one", bytes(1000))])
def test_timestamps(policy: StaplePolicy, timestamps: tuple[bytes, ...]) -> None:
    client, server = client_with(staple_policy=policy), shown_with(STAPLES["good"], timestamps)
    pair = pair_of(client, server)
    asked = policy is not StaplePolicy.IGNORE
    assert pair.client.signed_certificate_timestamps == (timestamps if asked else ())


def test_a_client_has_neither_staple_nor_timestamps_to_show() -> None:
    shown = Identity.from_pem(
        LEAF.chain_pem,
        LEAF.key_pem,
        ocsp_response=STAPLES["good"],
        signed_certificate_timestamps=[b"timestamp"],
    )
    server = server_with(verify=Verify.REQUIRED)
    pair = pair_of(client_with(identities=[shown]), server)
    assert pair.server.ocsp_response is None
    assert pair.server.signed_certificate_timestamps == ()


def test_a_server_that_requires_staples_does_not_ask_its_clients() -> None:
    """RFC 6066, 8: in TLS 1.2 only servers have any."""
    server = server_with(verify=Verify.REQUIRED, staple_policy=StaplePolicy.CHECK)
    pair = pair_of(client_with(identities=[identity()]), server)
    assert pair.server.peer_certificates == identity().certificates


# --- Raw public keys (RFC 7250)


@functools.cache
def raw(key_type: str, whose: str) -> tuple[Identity, bytes]:
    """(an identity that is a key alone, the key)."""
    leaf = pki.make_leaf([whose], key_type=key_type)
    return Identity.from_raw_public_key(leaf.key_pem), public_key_of(leaf.key)


@pytest.mark.parametrize("key_type", [each for each in KEY_TYPES if each != "rsa-pss"])
def test_raw_public_keys_of_both_sides(key_type: str) -> None:
    server_identity, server_key = raw(key_type, "server")
    client_identity, client_key = raw(key_type, "client")
    client = any_client(identities=[client_identity], trust=None, trusted_public_keys=[server_key])
    server = server_with(
        identities=[server_identity],
        verify=Verify.REQUIRED,
        trust=None,
        trusted_public_keys=[client_key],
    )
    pair = pair_of(client, server)
    assert pair.client.peer_raw_public_key == server_key
    assert pair.server.peer_raw_public_key == client_key
    for conn in (pair.client, pair.server):
        assert conn.peer_certificates == ()
        assert conn.verified_chain is None
    assert_resumed(pair, False)


@BOTH_ROLES
def test_raw_public_key_that_is_not_trusted_is_refused(by_server: bool) -> None:
    """by_server: whether the server refuses that of its client."""
    server_identity, server_key = raw("ed25519", "server")
    client_identity, client_key = raw("ed25519", "client")
    other = raw("ed25519", "other")[1]
    client = client_with(
        identities=[client_identity],
        trust=None,
        trusted_public_keys=[server_key if by_server else other],
    )
    server = server_with(
        identities=[server_identity],
        verify=Verify.REQUIRED,
        trust=None,
        trusted_public_keys=[other if by_server else client_key],
    )
    error = refusal_of(client, server, by_server)
    assert isinstance(error, CertificateError)
    assert error.alert is AlertDescription.certificate_unknown


@pytest.mark.parametrize("raw_first", [True, False])
def test_client_that_takes_both_types_of_certificate(raw_first: bool) -> None:
    server_identity, server_key = raw("ed25519", "server")
    identities = [server_identity, identity()][:: 1 if raw_first else -1]
    server = server_with(identities=identities)
    client = client_with(trusted_public_keys=[server_key])
    pair = pair_of(client, server, hostname="other.test" if raw_first else HOST)
    assert (pair.client.peer_raw_public_key == server_key) is raw_first
    assert (pair.client.peer_certificates == identity().certificates) is not raw_first


def test_no_type_in_common_is_refused() -> None:
    server_identity, server_key = raw("ed25519", "server")
    keyed = client_with(trust=None, trusted_public_keys=[server_key])
    for client, server in (
        (keyed, server_with()),
        (client_with(), server_with(identities=[server_identity])),
    ):
        error = refusal_of(client, server, by_server=True)
        assert error.alert in (
            AlertDescription.unsupported_certificate,
            AlertDescription.handshake_failure,
        )


@pytest.mark.parametrize("verify", [Verify.OPTIONAL, Verify.REQUIRED])
def test_client_that_has_a_raw_key_and_no_certificate(verify: Verify) -> None:
    """A server that takes certificates alone gets none of it, or refuses the type."""
    client = client_with(identities=[raw("ed25519", "client")[0]])
    error = refusal_of(client, server_with(verify=verify), by_server=True)
    assert error.alert is AlertDescription.unsupported_certificate


def test_raw_public_key_of_a_client_of_a_server_with_certificates() -> None:
    client_identity, client_key = raw("ed25519", "client")
    client = client_with(identities=[client_identity, identity()])
    server = server_with(verify=Verify.REQUIRED, trusted_public_keys=[client_key])
    pair = pair_of(client, server)
    assert pair.server.peer_raw_public_key == client_key
    assert pair.client.peer_certificates == identity().certificates
    plain = pair_of(client, server_with(verify=Verify.REQUIRED))
    assert plain.server.peer_certificates == identity().certificates


def test_identity_of_a_callback_that_the_server_does_not_take() -> None:
    """RFC 5246, 7.4.6: of a type that CertificateRequest has."""
    peer = client_of(
        {"identity_callback": lambda request: certified("ecdsa")},
        request_certificate=True,
        certificate_types=bytes((ClientCertificateType.rsa_sign,)),
    )
    assert_refuses(peer, HandshakeFailure, peer.handshake)


def test_identity_of_a_callback_that_the_client_does_not_take() -> None:
    server = server_with(identities=(), identity_callback=lambda request: certified("rsa"))
    client = any_client(cipher_suites=[CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256])
    error = refusal_of(client, server, True)
    assert isinstance(error, HandshakeFailure)
    assert "has a key" in error.reason
