"""Chain verification: the same chains through the standard library's ssl and through fasths.

Every case is made twice, under an ECDSA root and under an Ed25519 root. Under the first the
library's verifier decides, under the second it cannot, so that each rule is held against both
ways to a verdict. The standard library verifies with X509_V_FLAG_PARTIAL_CHAIN, the default of
`ssl.create_default_context()` since Python 3.13, and without X509_V_FLAG_X509_STRICT.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pki
import pytest
import trustme
from chain_cases import (
    ALL,
    EXPIRED,
    HOST,
    HOSTS,
    Authorities,
    Case,
    Chain,
    as_chain,
    dns_names,
    unicode_mailbox,
    with_constraints,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.x509 import DNSName
from pki import Credential

from fasths.crypto import name_constraints
from fasths.crypto.chain_examination import MAX_TRIED_SIGNATURES
from fasths.crypto.host_names import host_matches
from fasths.crypto.trust import TrustStore
from fasths.crypto.verification import ChainVerifier, normalize_hostname
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError


@pytest.fixture(scope="module", params=["ecdsa", "ed25519"])
def authorities(request: pytest.FixtureRequest) -> Authorities:
    return Authorities(request.param)


@pytest.fixture(scope="module")
def plain() -> Authorities:
    return Authorities("ecdsa")


@pytest.fixture(scope="module")
def own() -> Credential:
    return pki.make_leaf(["peer.test"])


@dataclass(frozen=True)
class Verdict:
    """0, or OpenSSL's number with its words and the alert that was sent."""

    code: int
    message: str = ""
    alert: str = ""


def fasths_verdict(chain: Chain, role: str, host: str | None) -> Verdict:
    verifier = ChainVerifier(TrustStore(chain.anchors), check_hostname=host is not None)
    try:
        if role == "client":
            verifier.verify_client(chain.sent)
        else:
            normal = None if host is None else normalize_hostname(host)[0]
            verifier.verify_server(chain.sent, normal)
    except CertificateError as error:
        alert = "" if error.alert is None else error.alert.name
        return Verdict(error.verify_code, error.verify_message, alert)
    return Verdict(0)


def stdlib_context(
    protocol: Any, own: bytes | None, anchors: Sequence[x509.Certificate] | None
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags = (
        ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    )
    # What a peer sends may be as weak as it likes; what verifies it has the usual level.
    context.set_ciphers("ALL:@SECLEVEL=0" if anchors is None else "DEFAULT:@SECLEVEL=2")
    if own is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(own)
            file.flush()
            context.load_cert_chain(file.name)
    if anchors is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        if anchors:
            context.load_verify_locations(cadata=pki.pem_of(anchors).decode())
    return context


def stdlib_verdict(chain: Chain, role: str, host: str | None, own: Credential) -> Verdict:
    credential = pki.pem_of(chain.sent) + chain.leaf.key_pem
    if role == "server":
        server_context = stdlib_context(ssl.PROTOCOL_TLS_SERVER, credential, None)
        client_context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, None, chain.anchors)
        client_context.check_hostname = host is not None
    else:
        own_pem = own.pem + own.key_pem
        server_context = stdlib_context(ssl.PROTOCOL_TLS_SERVER, own_pem, chain.anchors)
        client_context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, credential, None)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    errors: dict[str, ssl.SSLError] = {}
    for _ in range(4):
        for name, side in (("client", client), ("server", server)):
            try:
                side.do_handshake()
                if name == "client":
                    side.read(1)  # the alert of a server that refuses
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                errors.setdefault(name, error)
    refusal = errors.get("client" if role == "server" else "server")
    if refusal is None:
        return Verdict(0)
    assert isinstance(refusal, ssl.SSLCertVerificationError), refusal
    alert = errors["server" if role == "server" else "client"].reason
    return Verdict(
        refusal.verify_code, refusal.verify_message, alert.partition("ALERT_")[2].lower()
    )


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{kind}: {case.name}") for kind, case in ALL]
)
def test_the_standard_library_comes_to_the_same_verdict(
    authorities: Authorities, own: Credential, case: Case
) -> None:
    chain = as_chain(case.make(authorities))
    ours = fasths_verdict(chain, case.role, case.host)
    theirs = stdlib_verdict(chain, case.role, case.host, own)
    assert ours.code == case.code
    if case.difference:
        assert (ours.code == 0) != (theirs.code == 0), "no difference any more"
        return
    assert (ours.code == 0) == (theirs.code == 0), theirs
    if ssl.OPENSSL_VERSION_INFO >= (3,):
        assert ours.code == theirs.code
        if ours.code != 9:  # its words are not the same in all versions
            assert ours.message == theirs.message
        if ours.code == 7:  # OpenSSL: decrypt_error, which is for handshake signatures
            assert ours.alert == "bad_certificate"
        else:
            assert ours.alert == theirs.alert


def test_trustme_certificates_verify(own: Credential) -> None:
    authority = trustme.CA()
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    for issuer in (authority, authority.create_child_ca()):
        issued = issuer.issue_cert("localhost", "127.0.0.1", "*.example.com")
        sent = [x509.load_pem_x509_certificate(each.bytes()) for each in issued.cert_chain_pems]
        verifier = ChainVerifier(TrustStore([root]))
        assert verifier.verify_server(sent, "localhost") == [*sent, root]
        assert verifier.verify_server(sent, "127.0.0.1") == [*sent, root]
        assert verifier.verify_server(sent, "a.example.com") == [*sent, root]
        assert verifier.verify_client(sent) == [*sent, root]


# The verifier's own interface


def test_the_path_is_returned_from_the_leaf_to_the_anchor(authorities: Authorities) -> None:
    leaf = authorities.leaf(issuer=authorities.ca(issuer=authorities.sub()))
    path = leaf.full_chain
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    sent = [path[0], path[2], path[1], path[3], authorities.ca().certificate]
    assert verifier.verify_server(sent, HOST) == path
    assert verifier.verify_client(tuple(sent)) == path


def test_names_that_only_fasths_takes(authorities: Authorities) -> None:
    """The standard library cannot be asked for these: its IDNA or its SNI refuses them."""
    leaf = authorities.leaf(["host.example.com", "xn--fa-hia.example", "fe80::1"])
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    for name in ("host.example.com.", "FA\u00df.example", "[fe80::1]", "fe80::1%eth0"):
        assert verifier.verify_server(leaf.chain, normalize_hostname(name)[0])


def test_a_name_is_needed_unless_it_is_not_checked(plain: Authorities) -> None:
    trust = TrustStore([plain.root.certificate])
    leaf = plain.leaf(["other.test"])
    with pytest.raises(ValueError, match="host name"):
        ChainVerifier(trust).verify_server(leaf.chain, None)
    unchecked = ChainVerifier(trust, check_hostname=False)
    assert unchecked.verify_server(leaf.chain, None)
    assert unchecked.verify_server(leaf.chain, HOST)


def test_no_certificate_is_refused(plain: Authorities) -> None:
    verifier = ChainVerifier(TrustStore([plain.root.certificate]))
    for verify in (lambda: verifier.verify_server([], HOST), lambda: verifier.verify_client([])):
        with pytest.raises(CertificateError):
            verify()


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_no_more_authorities_than_the_limit(authorities: Authorities, depth: int) -> None:
    def below(count: int) -> Credential:
        issuer = authorities.root
        for _ in range(count):
            issuer = authorities.ca(issuer=issuer)
        return authorities.leaf(issuer=issuer)

    trust = TrustStore([authorities.root.certificate])
    verifier = ChainVerifier(trust, max_chain_depth=depth)
    assert len(verifier.verify_server(below(depth).chain, HOST)) == depth + 2
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(below(depth + 1).chain, HOST)
    assert caught.value.verify_code == 22
    assert caught.value.alert is AlertDescription.unknown_ca


def test_any_limit_can_be_given(plain: Authorities) -> None:
    trust = TrustStore([plain.root.certificate])
    assert ChainVerifier(trust, max_chain_depth=2**31 - 1).verify_server(plain.leaf().chain, HOST)


def test_the_error_names_what_the_certificate_is_for(plain: Authorities) -> None:
    verifier = ChainVerifier(TrustStore([plain.root.certificate]))
    names = ["a.test", DNSName("b\n.test"), "10.0.0.1", "mail@c.test", *"defgh"]
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(plain.leaf(names).chain, HOST)
    assert caught.value.reason == (
        "Hostname mismatch, certificate is not valid for 'host.example.com': "
        "it is for 'a.test', 'b\\n.test', '10.0.0.1', 'd', 'e' and 3 more"
    )
    with pytest.raises(CertificateError, match="it names no host"):
        verifier.verify_server(plain.leaf(["mail@c.test"]).chain, HOST)


def test_threads_share_a_verifier(authorities: Authorities) -> None:
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    good, bad = authorities.leaf(), authorities.leaf(**EXPIRED)
    failures = []

    def work() -> None:
        for _ in range(20):
            if len(verifier.verify_server(good.chain, HOST)) != 2:
                failures.append("path")
            try:
                verifier.verify_server(bad.chain, HOST)
                failures.append("accepted")
            except CertificateError as error:
                if error.verify_code != 10:
                    failures.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures


# Certificates made to do harm


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_no_changed_byte_is_accepted(authorities: Authorities, bit: int) -> None:
    leaf = authorities.leaf(issuer=authorities.sub())
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    for victim in range(2):
        der = leaf.chain_der[victim]
        for position in range(0, len(der), 2):
            changed = bytearray(der)
            changed[position] ^= bit
            try:
                certificate = x509.load_der_x509_certificate(bytes(changed))
            except (ValueError, x509.InvalidVersion):
                continue
            if certificate.signature == leaf.chain[victim].signature and (
                certificate.tbs_certificate_bytes == leaf.chain[victim].tbs_certificate_bytes
            ):
                continue  # the count of unused bits of the signature, which stands for nothing
            sent = leaf.chain
            sent[victim] = certificate
            with pytest.raises(CertificateError):
                verifier.verify_server(sent, HOST)


EMPTY_NAMES = pki.extension_der(x509.SubjectAlternativeName.oid, b"\x30\x00")


@pytest.mark.parametrize(
    "extension",
    [
        pki.extension_der(x509.SubjectAlternativeName.oid, b""),
        pki.extension_der(x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x01\xff"),
        pki.extension_der(x509.SubjectAlternativeName.oid, b"\x30\x05\x87\x03\x01\x02\x03"),
        pki.extension_der(x509.SubjectAlternativeName.oid, b"\x30\x04\xa3\x02\x30\x00"),
        pki.extension_der(x509.ExtendedKeyUsage.oid, b"\x04\x00"),
        pki.extension_der(x509.KeyUsage.oid, b"\x03\x00"),
        pki.extension_der(x509.NameConstraints.oid, b"\xff"),
    ],
)
def test_an_extension_that_cannot_be_read_is_refused(
    authorities: Authorities, extension: bytes
) -> None:
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    leaf = pki.amended(authorities.leaf([], ku=None, eku=None), extra_extensions=[extension])
    with pytest.raises(CertificateError) as caught:
        verifier.verify_client(leaf.chain)
    assert caught.value.verify_code == 41
    issuer = authorities.sub(ku=None, is_ca=None)
    below = authorities.leaf(issuer=pki.amended(issuer, extra_extensions=[extension]))
    with pytest.raises(CertificateError):
        verifier.verify_server(below.chain, HOST)


def test_basic_constraints_that_cannot_be_read_are_refused(authorities: Authorities) -> None:
    broken = pki.extension_der(x509.BasicConstraints.oid, b"\x30\x03\x01\x01\x01")
    issuer = pki.amended(authorities.sub(is_ca=None), extra_extensions=[broken])
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(authorities.leaf(issuer=issuer).chain, HOST)
    assert caught.value.verify_code == 41


def test_an_extension_twice_is_refused(authorities: Authorities) -> None:
    leaf = pki.amended(authorities.leaf(), extra_extensions=[EMPTY_NAMES])
    with pytest.raises(CertificateError) as caught:
        ChainVerifier(TrustStore([authorities.root.certificate])).verify_server(leaf.chain, HOST)
    assert caught.value.verify_code == 41
    assert caught.value.alert is AlertDescription.bad_certificate


UNKNOWN_KEY = pki.tlv(
    0x30, pki.tlv(0x30, pki.tlv(0x06, b"\x2a\x03\x04")), pki.tlv(0x03, b"\x00key")
)


def test_a_key_of_an_unknown_kind_is_refused(authorities: Authorities) -> None:
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    leaf = pki.amended(authorities.leaf(), public_key_info=UNKNOWN_KEY)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(leaf.chain, HOST)
    assert caught.value.alert is AlertDescription.unsupported_certificate
    assert caught.value.verify_code == 66
    issuer = pki.amended(authorities.sub(), public_key_info=UNKNOWN_KEY)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(authorities.leaf(issuer=issuer).chain, HOST)
    assert caught.value.alert is AlertDescription.unsupported_certificate
    assert caught.value.verify_code == 6


def test_a_signature_of_an_unknown_kind_is_refused(plain: Authorities) -> None:
    leaf = plain.leaf(algorithm=hashes.SHA3_256())
    with pytest.raises(CertificateError) as caught:
        ChainVerifier(TrustStore([plain.root.certificate])).verify_server(leaf.chain, HOST)
    assert caught.value.alert is AlertDescription.unsupported_certificate
    assert caught.value.verify_code == 7


def test_a_key_for_pss_only_makes_no_other_signatures(own: Credential) -> None:
    root = pki.make_ca(key_type="rsa-pss")
    plain_key = Credential(root.certificate, root.key, "rsa")
    leaf = pki.make_leaf([HOST], issuer=plain_key)  # signed with PKCS #1
    chain = Chain(leaf, leaf.chain, [root.certificate])
    assert fasths_verdict(chain, "server", HOST).code == 7
    assert stdlib_verdict(chain, "server", HOST, own).code != 0


def test_many_issuers_of_one_name_cost_little(authorities: Authorities) -> None:
    """Each of them could be the issuer of each, and none of them is."""
    name = pki.name("everybody")
    crowd = [authorities.ca(subject=name, key_identifiers=False).certificate for _ in range(40)]
    leaf = authorities.leaf(issuer=authorities.ca(subject=name), key_identifiers=False)
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    start = time.perf_counter()
    with pytest.raises(CertificateError):
        verifier.verify_server([leaf.certificate, *crowd], HOST)
    # 128 signatures of the library, 32 of the examination: some 10 ms.
    assert time.perf_counter() - start < 2
    assert MAX_TRIED_SIGNATURES <= 64


def test_too_many_constraints_are_refused(
    plain: Authorities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_constraints, "MAX_COMPARISONS", 100)
    trees = [DNSName(f"d{number}.test") for number in range(60)]
    root = plain.ca(name_constraints=x509.NameConstraints(None, trees))
    verifier = ChainVerifier(TrustStore([root.certificate]))
    assert verifier.verify_server(plain.leaf(issuer=root, subject=x509.Name([])).chain, HOST)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(plain.leaf([HOST, "a.test"], issuer=root).chain, HOST)
    assert caught.value.verify_code == 1


def test_one_budget_for_the_constraints_of_a_chain(
    plain: Authorities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_constraints, "MAX_COMPARISONS", 100)
    trees = [DNSName(f"d{number}.test") for number in range(30)]
    issuer = plain.root
    for depth in range(4):
        issuer = plain.ca(issuer=issuer, name_constraints=x509.NameConstraints(None, trees))
        chain = plain.leaf(issuer=issuer, subject=x509.Name([])).chain
        code = fasths_verdict(Chain(issuer, chain, [plain.root.certificate]), "server", HOST).code
        assert code == (0 if depth < 3 else 1)


def test_constraints_made_to_be_slow_are_not(plain: Authorities) -> None:
    """Of 130 KiB at most, with up to 17 million attributes to compare."""

    def directory(number: int, more: int) -> x509.DirectoryName:
        values = [str(number), *["x"] * more]
        common = x509.NameOID.COMMON_NAME
        return x509.DirectoryName(x509.Name([x509.NameAttribute(common, each) for each in values]))

    hosts = [DNSName(f"h{number}") for number in range(4000)]
    for excluded, names, depth in (
        ([directory(number, 0) for number in range(550)], [directory(9999, 3000)] * 2, 5),
        ([directory(number, 0) for number in range(900)], [directory(9999, 150)] * 20, 5),
        ([directory(number, 8) for number in range(100)], [directory(9999, 8)] * 300, 5),
        ([DNSName(f"v{number}") for number in range(16)], hosts, 8),
    ):
        issuer = plain.root
        for _ in range(depth):
            issuer = plain.ca(issuer=issuer, name_constraints=x509.NameConstraints(None, excluded))
        leaf = plain.leaf([HOST, *names], issuer=issuer)
        verifier = ChainVerifier(TrustStore([plain.root.certificate]))
        sent = [x509.load_der_x509_certificate(each) for each in leaf.chain_der]
        start = time.process_time()
        with pytest.raises(CertificateError, match="too many name constraints"):
            verifier.verify_server(sent, HOST)
        assert time.process_time() - start < 1  # some 50 ms, most of it parsing
    assert name_constraints.MAX_COMPARISONS <= 1 << 14


@pytest.mark.parametrize(
    ("tag", "subtree", "name", "code"),
    [
        (0xA0, ".", HOST, 52),
        (0xA1, ".", HOST, 52),
        (0xA0, "ban\u212a.com", HOST, 52),
        (0xA0, "bank.com", "ban\u212a.com", 53),
        (0xA1, "bank.com", "ban\u212a.com", 53),
        (0xA0, "example.com", ".", 53),
        (0xA0, "example.com", HOST + ".", 0),
        (0xA0, "example.com.", HOST, 0),
        (0xA1, "example.com.", HOST, 48),
    ],
)
def test_unusual_dns_names_under_constraints(
    authorities: Authorities, tag: int, subtree: str, name: str, code: int
) -> None:
    leaf = authorities.leaf([], issuer=with_constraints(authorities, tag, subtree))
    leaf = pki.amended(leaf, extra_extensions=[dns_names(name)])
    assert fasths_verdict(as_chain(leaf), "client", None).code == code


def test_an_address_is_constrained_by_networks_only(authorities: Authorities) -> None:
    """An address as a subtree, or a network as a name, is malformed. Some libraries refuse it."""
    address, network = pki.tlv(0x87, b"\x0a\0\0\x01"), pki.tlv(0x87, b"\x0a\0\0\0\xff\0\0\0")
    for subtree, name, codes in (
        (network, address, {48}),
        (network, network, {41, 53}),
        (address, address, {41, 53}),
    ):
        value = pki.tlv(0x30, pki.tlv(0xA1, pki.tlv(0x30, subtree)))
        constraints = pki.extension_der(x509.NameConstraints.oid, value)
        issuer = pki.amended(authorities.sub(), extra_extensions=[constraints])
        names = pki.extension_der(x509.SubjectAlternativeName.oid, pki.tlv(0x30, name))
        leaf = pki.amended(authorities.leaf([], issuer=issuer), extra_extensions=[names])
        assert fasths_verdict(as_chain(leaf), "client", None).code in codes


def test_a_mailbox_in_unicode_does_not_escape(authorities: Authorities) -> None:
    mailbox = unicode_mailbox("a@evil.test")
    for constraints in (
        x509.NameConstraints([x509.RFC822Name("example.com")], None),
        x509.NameConstraints(None, [x509.RFC822Name("evil.test")]),
    ):
        issuer = authorities.ca(name_constraints=constraints)
        leaf = authorities.leaf([HOST, mailbox], issuer=issuer)
        assert fasths_verdict(as_chain(leaf), "server", HOST).code == 53


def test_dsa_keys_are_refused(authorities: Authorities) -> None:
    key = dsa.generate_private_key(1024)
    for place in (authorities.ca(key=key), authorities.sub(key=key)):
        issuer = Credential(place.certificate, key, "dsa", place.above)
        verdict = fasths_verdict(as_chain(authorities.leaf(issuer=issuer)), "server", HOST)
        assert (verdict.code, verdict.alert) == (6, "unsupported_certificate")
    verdict = fasths_verdict(as_chain(authorities.leaf(key=key)), "server", HOST)
    assert (verdict.code, verdict.alert) == (66, "unsupported_certificate")


def test_what_the_library_can_judge_it_decides(
    plain: Authorities, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An examination that finds nothing wrong does not overrule it."""
    monkeypatch.setattr(
        "fasths.crypto.chain_examination.ChainExamination._check_signatures_and_times",
        lambda self: None,
    )
    verifier = ChainVerifier(TrustStore([plain.root.certificate]))
    with pytest.raises(CertificateError) as caught:
        verifier.verify_server(pki.amended(plain.leaf(), break_signature=True).chain, HOST)
    assert caught.value.verify_code == 1
    assert "signature does not match" in caught.value.reason


def test_wildcards_are_compared_alike_by_library_and_examination(plain: Authorities) -> None:
    """Names that the library compares, compared by host_matches() as well."""
    verifier = ChainVerifier(TrustStore([plain.root.certificate]))
    for names, host, code in HOSTS:
        leaf = plain.leaf(names)
        normal = normalize_hostname(host)[0]
        extension = leaf.certificate.extensions
        found = [each.value for each in extension if each.oid == x509.SubjectAlternativeName.oid]
        assert host_matches(normal, [each for names in found for each in names]) == (code == 0)
        if code:
            with pytest.raises(CertificateError):
                verifier.verify_server(leaf.chain, normal)
        else:
            verifier.verify_server(leaf.chain, normal)
