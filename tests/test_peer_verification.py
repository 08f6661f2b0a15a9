"""Chains that were accepted are not verified again, as long as nothing at all is different.

A chain that is verified gives a new object, so a hit is seen by getting the same object again. The
certificates of each call are copies: no peer sends the same bytes objects twice.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa

from fasths.crypto import peer_verification
from fasths.crypto.peer_verification import (
    MAX_KEPT_CHAIN,
    PeerCertificate,
    PeerVerifier,
    VerifiedPeer,
    parse_peer,
)
from fasths.crypto.trust import TrustStore
from fasths.crypto.verification import ChainVerifier
from fasths.wire.codes import AlertDescription, SignatureScheme
from fasths.wire.errors import CertificateError

HOST = "peer.test"
NAMES = [f"n{number}.test" for number in range(8)]
ROOT = pki.make_ca()
LEAF = pki.make_leaf([HOST, *NAMES], issuer=ROOT, intermediate=True)
OTHER = pki.make_leaf([HOST], issuer=ROOT)
TRUST = TrustStore([ROOT.certificate])


def sent(made: pki.Credential, *more: pki.Credential) -> tuple[bytes, ...]:
    """What a peer sends: its chain, and others. Copies."""
    ders = [*made.chain_der, *(each.chain_der[0] for each in more)]
    return tuple(bytes(bytearray(der)) for der in ders)


def verifier_of(
    trust: TrustStore = TRUST, *, check_hostname: bool = True, **options: float
) -> PeerVerifier:
    chains = ChainVerifier(trust, check_hostname=check_hostname)
    return PeerVerifier(chains, **options)  # type: ignore[arg-type]


def ends(**options: timedelta) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {name: now + value for name, value in options.items()}


# What is known of a peer


def test_peer_has_what_the_handshake_needs() -> None:
    certificates = sent(LEAF)
    peer = verifier_of().verify_server(certificates, HOST)
    assert peer.certificates is certificates
    assert peer.public_key == LEAF.certificate.public_key()
    assert peer.signature_schemes == (SignatureScheme.ecdsa_secp256r1_sha256,)
    assert peer.path == tuple(LEAF.full_chain)
    assert not peer.requires_staple


def test_chain_has_what_was_sent_and_the_anchor() -> None:
    certificates = sent(LEAF)
    for peer in (
        verifier_of().verify_server(certificates, HOST),
        verifier_of().verify_client(certificates),
    ):
        assert peer.chain == (*certificates, ROOT.certificate)
        # The very objects, of which there is one for all connections.
        assert all(a is b for a, b in zip(peer.chain, certificates, strict=False))
        assert peer.chain[-1] is TRUST.certificates[0]


def test_chain_is_in_the_order_of_the_path() -> None:
    leaf, intermediate = sent(LEAF)
    (other,) = sent(OTHER)
    peer = verifier_of().verify_server((leaf, other, intermediate), HOST)
    assert peer.chain == (leaf, intermediate, ROOT.certificate)
    assert peer.certificates == (leaf, other, intermediate)


def test_anchor_that_was_sent_is_still_the_one_of_the_store() -> None:
    certificates = sent(LEAF, ROOT)
    peer = verifier_of().verify_server(certificates, HOST)
    assert peer.chain == (*certificates[:2], ROOT.certificate)
    assert peer.chain[-1] is TRUST.certificates[0]


def test_chain_of_an_authority_that_only_the_examination_knows() -> None:
    root = pki.make_ca(key_type="ed25519")
    leaf = pki.make_leaf([HOST], issuer=root)
    certificates = sent(leaf)
    peer = verifier_of(TrustStore([root.certificate])).verify_server(certificates, HOST)
    assert peer.chain == (*certificates, root.certificate)


def test_certificate_that_is_itself_trusted_is_a_path_of_one() -> None:
    own = pki.make_leaf([HOST])
    peer = verifier_of(TrustStore([own.certificate])).verify_server(sent(own), HOST)
    assert peer.path == (own.certificate,)
    assert len(peer.chain) == 1


@pytest.mark.parametrize("first", ["leaf", "intermediate", "root"])
def test_peer_expires_with_the_first_of_its_path(first: str) -> None:
    days = {name: timedelta(days=1 if name == first else 9) for name in ("leaf", "intermediate")}
    root = pki.make_ca(**ends(not_after=timedelta(days=1 if first == "root" else 9)))
    intermediate = pki.make_ca(issuer=root, **ends(not_after=days["intermediate"]))
    leaf = pki.make_leaf([HOST], issuer=intermediate, **ends(not_after=days["leaf"]))
    peer = verifier_of(TrustStore([root.certificate])).verify_server(sent(leaf), HOST)
    assert peer.expires == min(each.not_valid_after_utc.timestamp() for each in leaf.full_chain)
    assert abs(peer.expires - time.time() - 86400) < 60


def test_certificate_that_needs_a_staple_says_so() -> None:
    features = x509.TLSFeature([x509.TLSFeatureType.status_request])
    leaf = pki.make_leaf([HOST], issuer=ROOT, extensions=[(features, False)])
    assert verifier_of().verify_server(sent(leaf), HOST).requires_staple


# Peers that are not verified


def test_parse_peer_verifies_nothing() -> None:
    stranger = pki.make_leaf([], key_type="ed25519", **ends(not_after=-timedelta(hours=1)))
    certificates = sent(stranger, LEAF)
    peer = parse_peer(certificates)
    assert type(peer) is PeerCertificate
    assert peer.certificates is certificates
    assert peer.public_key == stranger.certificate.public_key()
    assert peer.signature_schemes == (SignatureScheme.ed25519,)


@pytest.mark.parametrize("key", ["secp256k1", "dsa"])
def test_key_that_cannot_sign_has_no_schemes(key: str) -> None:
    """It is refused by the check of the signature, with unsupported_certificate."""
    own = dsa.generate_private_key(2048) if key == "dsa" else pki.make_key(key)
    leaf = pki.make_leaf([HOST], issuer=ROOT, key=own)  # type: ignore[arg-type]
    peer = parse_peer(sent(leaf))
    assert peer.signature_schemes == ()
    assert peer.public_key is None


@pytest.mark.parametrize("position", [0, 1])
def test_certificate_that_cannot_be_parsed_is_refused(position: int) -> None:
    verifier = verifier_of()
    certificates = list(sent(LEAF))
    certificates[position] = certificates[position][:-1]
    for refuse in (parse_peer, verifier.verify_client):
        with pytest.raises(CertificateError, match="parsed") as caught:
            refuse(tuple(certificates))
        assert caught.value.alert is AlertDescription.bad_certificate
    with pytest.raises(CertificateError, match="parsed"):
        verifier.verify_server(tuple(certificates), HOST)


def test_peer_without_certificates_is_refused() -> None:
    verifier = verifier_of()
    for refuse in (parse_peer, verifier.verify_client):
        with pytest.raises(CertificateError, match="no certificate"):
            refuse(())
    with pytest.raises(CertificateError, match="no certificate"):
        verifier.verify_server((), HOST)


# Hits and misses


def test_same_chain_is_verified_once() -> None:
    verifier = verifier_of()
    server = verifier.verify_server(sent(LEAF), HOST)
    client = verifier.verify_client(sent(LEAF))
    assert type(server) is VerifiedPeer
    for _ in range(3):
        assert verifier.verify_server(sent(LEAF), HOST) is server
        assert verifier.verify_client(sent(LEAF)) is client


def test_another_name_is_another_chain() -> None:
    verifier = verifier_of()
    peers = {verifier.verify_server(sent(LEAF), name) for name in (HOST, *NAMES)}
    assert len(peers) == 1 + len(NAMES)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(sent(LEAF), "other.test")
    assert caught.value.verify_code == 62
    with pytest.raises(ValueError, match="host name"):
        verifier.verify_server(sent(LEAF), None)


def test_names_that_are_not_checked_may_be_absent() -> None:
    verifier = verifier_of(check_hostname=False)
    peer = verifier.verify_server(sent(LEAF), None)
    assert verifier.verify_server(sent(LEAF), None) is peer


def test_another_purpose_is_another_chain() -> None:
    verifier = verifier_of(check_hostname=False)
    assert verifier.verify_server(sent(LEAF), None) is not verifier.verify_client(sent(LEAF))
    for usage, accept, refuse in (
        (pki.SERVER_AUTH, lambda of: verifier.verify_server(of, None), verifier.verify_client),
        (pki.CLIENT_AUTH, verifier.verify_client, lambda of: verifier.verify_server(of, None)),
    ):
        leaf = pki.make_leaf([HOST], issuer=ROOT, eku=[usage])
        assert accept(sent(leaf)) is accept(sent(leaf))
        with pytest.raises(CertificateError, match=r"purpose|usage"):
            refuse(sent(leaf))


@pytest.mark.parametrize("position", [0, 1])
def test_one_changed_bit_is_another_chain(position: int) -> None:
    verifier = verifier_of()
    peer = verifier.verify_server(sent(LEAF), HOST)
    length = len(sent(LEAF)[position])
    refused = 0
    for byte in range(length):
        certificates = [bytearray(each) for each in sent(LEAF)]
        certificates[position][byte] ^= 1
        try:
            another = verifier.verify_server(tuple(bytes(each) for each in certificates), HOST)
        except CertificateError:
            refused += 1
        else:
            assert another is not peer
    # Not signed, and not looked at: how many bits of the signature's last byte are unused.
    assert refused >= length - 1
    assert verifier.verify_server(sent(LEAF), HOST) is peer


def test_other_order_and_other_number_are_other_chains() -> None:
    verifier = verifier_of()
    leaf, intermediate = sent(LEAF)
    (other,) = sent(OTHER)
    chains: list[Sequence[bytes]] = [
        (leaf, intermediate),
        (leaf, intermediate, other),
        (leaf, other, intermediate),
        (leaf, intermediate, intermediate),
        (other, leaf, intermediate),
        (other,),
    ]
    peers = [verifier.verify_server(tuple(each), HOST) for each in chains]
    assert len(set(peers)) == len(chains)
    assert [each.certificates for each in peers] == chains
    # Where one certificate ends and the next starts matters as well.
    with pytest.raises(CertificateError):
        verifier.verify_server((leaf + intermediate,), HOST)
    with pytest.raises(CertificateError):
        verifier.verify_server((leaf[:-1], leaf[-1:] + intermediate), HOST)


def test_another_verifier_remembers_nothing_of_this_one() -> None:
    """A trust store cannot change; another one makes another verifier."""
    verifier = verifier_of()
    peer = verifier.verify_server(sent(LEAF), HOST)
    stranger = verifier_of(TrustStore([pki.make_ca().certificate]))
    with pytest.raises(CertificateError) as caught:
        stranger.verify_server(sent(LEAF), HOST)
    assert caught.value.alert is AlertDescription.unknown_ca
    assert verifier_of().verify_server(sent(LEAF), HOST) is not peer


# Refusals


def test_refusals_are_not_kept() -> None:
    """A certificate that is too young is accepted when its time has come."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    leaf = pki.make_leaf([HOST], issuer=ROOT, not_before=start)
    verifier = verifier_of()
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(sent(leaf), HOST)
    assert caught.value.verify_code == 9
    while datetime.now(UTC) < start:
        time.sleep(0.05)
    peer = verifier.verify_server(sent(leaf), HOST)
    assert verifier.verify_server(sent(leaf), HOST) is peer


def test_refusals_take_no_place() -> None:
    verifier = verifier_of(maximum=1)
    peer = verifier.verify_server(sent(LEAF), HOST)
    stranger = pki.make_leaf([HOST], issuer=pki.make_ca())
    for _ in range(2):
        with pytest.raises(CertificateError):
            verifier.verify_server(sent(stranger), HOST)
        with pytest.raises(CertificateError):
            verifier.verify_server(sent(LEAF), "other.test")
    assert verifier.verify_server(sent(LEAF), HOST) is peer


# Time


def test_chain_is_verified_again_after_its_lifetime() -> None:
    verifier = verifier_of(lifetime=0.2)
    first = verifier.verify_server(sent(LEAF), HOST)
    assert verifier.verify_server(sent(LEAF), HOST) is first
    time.sleep(0.2)
    second = verifier.verify_server(sent(LEAF), HOST)
    assert second is not first
    assert verifier.verify_server(sent(LEAF), HOST) is second


def test_lifetime_is_not_prolonged_by_hits() -> None:
    verifier = verifier_of(lifetime=0.2)
    first = verifier.verify_server(sent(LEAF), HOST)
    deadline = time.monotonic() + 0.25
    while time.monotonic() < deadline:
        last = verifier.verify_server(sent(LEAF), HOST)
    assert last is not first


def test_lifetime_does_not_follow_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = verifier_of()
    peer = verifier.verify_server(sent(LEAF), HOST)
    later = time.time() + 1000
    monkeypatch.setattr(peer_verification.time, "time", lambda: later)
    assert verifier.verify_server(sent(LEAF), HOST) is peer
    now = time.monotonic() + 299
    monkeypatch.setattr(peer_verification.time, "monotonic", lambda: now)
    assert verifier.verify_server(sent(LEAF), HOST) is peer
    monkeypatch.setattr(peer_verification.time, "monotonic", lambda: now + 2)
    assert verifier.verify_server(sent(LEAF), HOST) is not peer


def test_expired_certificate_is_refused_although_it_was_accepted() -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    leaf = pki.make_leaf([HOST], issuer=ROOT, not_after=end)
    verifier = verifier_of()
    peer = verifier.verify_server(sent(leaf), HOST)
    assert verifier.verify_server(sent(leaf), HOST) is peer
    while datetime.now(UTC) <= end + timedelta(seconds=1):
        time.sleep(0.05)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(sent(leaf), HOST)
    assert caught.value.alert is AlertDescription.certificate_expired


def test_chain_is_verified_again_when_its_anchor_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    root = pki.make_ca(**ends(not_after=timedelta(hours=1)))
    leaf = pki.make_leaf([HOST], issuer=root)
    verifier = verifier_of(TrustStore([root.certificate]))
    peer = verifier.verify_server(sent(leaf), HOST)
    end = root.certificate.not_valid_after_utc.timestamp()
    monkeypatch.setattr(peer_verification.time, "time", lambda: end - 0.001)
    assert verifier.verify_server(sent(leaf), HOST) is peer
    monkeypatch.setattr(peer_verification.time, "time", lambda: end)
    assert verifier.verify_server(sent(leaf), HOST) is not peer


def test_chain_is_verified_again_when_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be before the start of a certificate's validity."""
    verifier = verifier_of()
    first = verifier.verify_server(sent(LEAF), HOST)
    earlier = time.time() - 3600
    monkeypatch.setattr(peer_verification.time, "time", lambda: earlier)
    second = verifier.verify_server(sent(LEAF), HOST)
    assert second is not first
    assert verifier.verify_server(sent(LEAF), HOST) is second


# Bounds


def kept(verifier: PeerVerifier) -> int:
    assert len(verifier._entries) == len(verifier._order) == len(set(verifier._order))
    assert set(verifier._entries) == set(verifier._order)
    return len(verifier._entries)


def test_oldest_chain_makes_room() -> None:
    verifier = verifier_of(maximum=3)
    peers = [verifier.verify_server(sent(LEAF), name) for name in NAMES[:3]]
    for name, peer in zip(NAMES, peers, strict=False):
        assert verifier.verify_server(sent(LEAF), name) is peer
    fourth = verifier.verify_server(sent(LEAF), NAMES[3])
    assert kept(verifier) == 3
    for name, peer in zip(NAMES[1:4], [*peers[1:], fourth], strict=True):
        assert verifier.verify_server(sent(LEAF), name) is peer
    assert verifier.verify_server(sent(LEAF), NAMES[0]) is not peers[0]
    assert kept(verifier) == 3


def test_bound_is_for_servers_and_clients_together() -> None:
    verifier = verifier_of(maximum=2)
    for _ in range(3):
        verifier.verify_client(sent(LEAF))
        verifier.verify_client(sent(OTHER))
        verifier.verify_server(sent(LEAF), HOST)
        assert kept(verifier) == 2


def test_expired_entries_are_dropped() -> None:
    verifier = verifier_of(lifetime=0.2)
    for name in NAMES:
        verifier.verify_server(sent(LEAF), name)
    assert kept(verifier) == len(NAMES)
    time.sleep(0.2)
    verifier.verify_server(sent(LEAF), HOST)
    assert kept(verifier) == 1


def test_long_chain_is_not_kept() -> None:
    (other,) = sent(OTHER)
    short = sent(LEAF)
    long = short + (other,) * (MAX_KEPT_CHAIN // len(other))
    verifier = verifier_of()
    peer = verifier.verify_server(long, HOST)
    assert peer.certificates == long
    assert verifier.verify_server(long, HOST) is not peer
    assert kept(verifier) == 0
    assert verifier.verify_server(short, HOST) is verifier.verify_server(short, HOST)


def test_longest_chain_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_KEPT_CHAIN == 16384
    length = sum(map(len, sent(LEAF)))
    for limit, count in ((length - 1, 0), (length, 1)):
        monkeypatch.setattr(peer_verification, "MAX_KEPT_CHAIN", limit)
        verifier = verifier_of()
        verifier.verify_server(sent(LEAF), HOST)
        assert kept(verifier) == count


def test_cache_can_be_off() -> None:
    verifier = verifier_of(maximum=0)
    assert verifier.verify_server(sent(LEAF), HOST) is not verifier.verify_server(sent(LEAF), HOST)
    assert verifier.verify_client(sent(LEAF)) is not verifier.verify_client(sent(LEAF))
    assert kept(verifier) == 0


def test_lifetime_of_zero_keeps_nothing_for_long() -> None:
    verifier = verifier_of(lifetime=0)
    assert verifier.verify_server(sent(LEAF), HOST) is not verifier.verify_server(sent(LEAF), HOST)
    assert kept(verifier) == 1


@pytest.mark.parametrize(
    "options", [{"maximum": -1}, {"lifetime": -1.0}, {"lifetime": float("nan")}]
)
def test_negative_bounds_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        verifier_of(**options)


# Threads


@pytest.fixture
def _often_switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


@pytest.mark.usefixtures("_often_switching")
@pytest.mark.parametrize(("maximum", "lifetime"), [(4, 300.0), (1024, 300.0), (1024, 0.001)])
def test_any_number_of_threads(maximum: int, lifetime: float) -> None:
    """Each gets the peer that it asked for, refusals included, and the cache stays whole."""
    verifier = verifier_of(maximum=maximum, lifetime=lifetime)
    stranger = pki.make_leaf([HOST], issuer=pki.make_ca())

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(200):
            certificates = sent(chance.choice((LEAF, OTHER, stranger)))
            accepted = certificates[0] != stranger.chain_der[0]
            try:
                if chance.random() < 0.2:
                    peer = verifier.verify_client(certificates)
                else:
                    named = certificates == sent(LEAF)
                    name = chance.choice(NAMES) if named else HOST
                    peer = verifier.verify_server(certificates, name)
            except CertificateError:
                assert not accepted
            else:
                assert accepted
                assert peer.certificates == certificates
                assert peer.chain == (*certificates, ROOT.certificate)

    in_threads(work)
    assert kept(verifier) <= maximum


class Believer(ChainVerifier):
    """Accepts at once, so that threads meet in the cache and not in a verification."""

    def verify_client(self, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        return [certificates[0]]


@pytest.mark.usefixtures("_often_switching")
def test_threads_that_crowd_the_cache_leave_it_whole() -> None:
    verifier = PeerVerifier(Believer(TRUST), maximum=2)
    chains = [sent(OTHER) * number for number in range(1, 6)]

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(4000):
            certificates = chance.choice(chains)
            assert verifier.verify_client(certificates).certificates == certificates

    in_threads(work)
    assert kept(verifier) == 2
