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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pki
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import DNSName, ObjectIdentifier
from pki import ANY_USE, CLIENT_AUTH, SERVER_AUTH, Credential

from fasths.crypto import name_constraints
from fasths.crypto.chain_examination import MAX_TRIED_SIGNATURES
from fasths.crypto.host_names import host_matches
from fasths.crypto.trust import TrustStore
from fasths.crypto.verification import ChainVerifier, normalize_hostname
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

HOST = "host.example.com"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
EXPIRED = {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}
NOT_YET = {"not_before": NOW + DAY, "not_after": NOW + 3 * DAY}
FOREIGN_OID = ObjectIdentifier("1.3.6.1.4.1.55555.1")
FOREIGN = x509.UnrecognizedExtension(FOREIGN_OID, b"\x05\x00")


@dataclass(frozen=True)
class Verdict:
    """0, or OpenSSL's number with its words and the alert that was sent."""

    code: int
    message: str = ""
    alert: str = ""


@dataclass(frozen=True)
class Chain:
    """What a peer sends and what is trusted."""

    leaf: Credential
    sent: Sequence[x509.Certificate]
    anchors: Sequence[x509.Certificate]


def fasths_verdict(chain: Chain, role: str, host: str | None) -> Verdict:
    verifier = ChainVerifier(TrustStore(chain.anchors), check_hostname=host is not None)
    try:
        if role == "client":
            verifier.verify_client(chain.sent)
        else:
            normal = None if host is None else normalize_hostname(host)[0]
            verifier.verify_server(chain.sent, normal)
    except CertificateError as error:
        assert error.alert is not None
        assert error.reason
        return Verdict(error.verify_code, error.verify_message, error.alert.name)
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


# The authorities of the cases


@dataclass
class Authorities:
    """Makes the certificates of a case, with one kind of key for all authorities."""

    key_type: str
    root: Credential = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.ca()

    def ca(self, *args: Any, **fields: Any) -> Credential:
        return pki.make_ca(*args, **{"key_type": self.key_type, **fields})

    def sub(self, **fields: Any) -> Credential:
        return self.ca(issuer=self.root, **fields)

    def leaf(self, names: Sequence[Any] = (HOST,), **fields: Any) -> Credential:
        return pki.make_leaf(names, **{"issuer": self.root, **fields})

    def lone(self, names: Sequence[Any] = (HOST,), **fields: Any) -> Credential:
        """A self-signed leaf."""
        return pki.make_leaf(names, **{"key_type": self.key_type, **fields})


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
class Case:
    """A chain, the verdict of fasths, and why the standard library's is another, if it is."""

    name: str
    make: Callable[[Authorities], Chain | Credential]
    code: int = 0
    role: str = "server"
    host: str | None = HOST
    difference: str = ""


def as_chain(made: Chain | Credential) -> Chain:
    if isinstance(made, Chain):
        return made
    return Chain(made, made.chain, [made.full_chain[-1]])


def extended(leaf: Credential, *more: x509.Certificate) -> Chain:
    return Chain(leaf, [*leaf.chain, *more], [leaf.full_chain[-1]])


def anchored(leaf: Credential, *anchors: Credential) -> Chain:
    return Chain(leaf, leaf.chain, [each.certificate for each in anchors])


def both_roles(name: str, code_server: int, code_client: int, make: Any, why: str = "") -> Any:
    return (
        Case(f"{name}, server", make, code_server, difference=why),
        Case(f"{name}, client", make, code_client, role="client", host=None, difference=why),
    )


def any_use_cases() -> list[Case]:
    why = "RFC 5280, 4.2.1.12: any use is any use; OpenSSL does not take it for TLS"
    return [
        *both_roles("leaf for any use", 0, 0, lambda a: a.leaf(eku=[ANY_USE]), why),
        *both_roles(
            "intermediate for any use",
            0,
            0,
            lambda a: a.leaf(issuer=a.sub(eku=[ANY_USE])),
            why,
        ),
    ]


def usage_cases() -> list[Case]:
    why = "RFC 8446, 4.4.2.2: a key usage must have digitalSignature; OpenSSL takes others too"
    taken_by_openssl = {
        ("key_encipherment", "server"),
        ("key_agreement", "server"),
        ("key_agreement", "client"),
    }
    return [
        Case(
            f"leaf with key usage {usage}, {role}",
            lambda a, usage=usage: a.leaf(ku=[usage]),
            26,
            role,
            HOST if role == "server" else None,
            why if (usage, role) in taken_by_openssl else "",
        )
        for usage in ("key_encipherment", "key_agreement", "key_cert_sign", "content_commitment")
        for role in ("server", "client")
    ]


def critical(extension: x509.ExtensionType) -> dict[str, Any]:
    return {"extensions": [(extension, True)]}


def policies() -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(FOREIGN_OID, None)])


def distribution_points() -> x509.CRLDistributionPoints:
    place = [x509.UniformResourceIdentifier("http://crl.example.com")]
    return x509.CRLDistributionPoints([x509.DistributionPoint(place, None, None, None)])


def renewed_root(a: Authorities, **fields: Any) -> Credential:
    """Another certificate with the name of the root, and another key."""
    return a.ca(subject=a.root.certificate.subject, **fields)


def rolled_over(a: Authorities) -> Chain:
    """A root whose new key is certified by its old one: an intermediate issued by itself."""
    old = a.ca(path_length=0)
    new = a.ca(issuer=old, subject=old.certificate.subject)
    leaf = a.leaf(issuer=new)
    return Chain(leaf, [leaf.certificate, new.certificate], [old.certificate])


def twins(a: Authorities) -> Chain:
    """Two intermediates of one name and without key identifiers: only the signature tells."""
    right = a.sub(key_identifiers=False)
    wrong = a.sub(subject=right.certificate.subject, key_identifiers=False)
    leaf = a.leaf(issuer=right, key_identifiers=False)
    sent = [leaf.certificate, wrong.certificate, right.certificate]
    return Chain(leaf, sent, [a.root.certificate])


def cross_signed(a: Authorities) -> Chain:
    """The trusted root is also sent as signed by another authority, which nobody knows."""
    crossed = a.ca(
        issuer=a.ca(), key=a.root.key, subject=a.root.certificate.subject, key_type=a.key_type
    )
    return extended(a.leaf(), crossed.certificate)


def expired_cross_signature(a: Authorities) -> Chain:
    current = a.sub()
    old = a.sub(key=current.key, subject=current.certificate.subject, **EXPIRED)
    leaf = a.leaf(issuer=current)
    sent = [leaf.certificate, old.certificate, current.certificate]
    return Chain(leaf, sent, [a.root.certificate])


PARTIES: list[Case] = [
    Case("one authority", lambda a: a.leaf()),
    Case("an intermediate", lambda a: a.leaf(issuer=a.sub())),
    Case("three intermediates", lambda a: a.leaf(issuer=a.ca(issuer=a.ca(issuer=a.sub())))),
    Case("self-signed and trusted", lambda a: a.lone()),
    Case("self-signed as `openssl req -x509` does", lambda a: a.ca(ku=None, eku=None), host=None),
    Case("no check of the name", lambda a: a.leaf(["other.test"]), host=None),
    Case("client without names", lambda a: a.leaf([]), role="client", host=None),
    Case("client with names", lambda a: a.leaf(["a@b.example"]), role="client", host=None),
    Case("client self-signed", lambda a: a.lone([]), role="client", host=None),
    Case("no key identifiers", lambda a: a.leaf(key_identifiers=False)),
    Case("leaf without usages", lambda a: a.leaf(eku=None, ku=None)),
    Case("root without key usage", lambda a: a.leaf(issuer=a.ca(ku=None))),
    Case("no subject", lambda a: a.leaf(subject=x509.Name([]))),
    Case("no subject, critical names", lambda a: a.leaf(subject=x509.Name([]), san_critical=True)),
    Case("subject and critical names", lambda a: a.leaf(san_critical=True)),
    Case("self-signed without any name", lambda a: a.lone(subject=x509.Name([]))),
    Case("root sent too", lambda a: extended(a.leaf(issuer=a.sub()), a.root.certificate)),
    Case(
        "sent in another order, twice, and with one that is of no use",
        lambda a: (
            lambda leaf: Chain(
                leaf,
                [leaf.certificate, *reversed(leaf.full_chain * 2), a.ca().certificate],
                [a.root.certificate],
            )
        )(a.leaf(issuer=a.ca(issuer=a.sub()))),
    ),
    Case("leaf itself trusted", lambda a: (lambda leaf: anchored(leaf, leaf))(a.leaf())),
    Case(
        "intermediate trusted, root not",
        lambda a: (lambda sub: anchored(a.leaf(issuer=sub), sub))(a.sub()),
    ),
    Case("cross-signed root", cross_signed),
    Case("expired cross signature beside a good one", expired_cross_signature),
    Case("root certified by its old key", rolled_over),
    Case(
        "two intermediates of one name",
        twins,
        difference="OpenSSL takes the first and does not look at its signature",
    ),
]

NO_PATH: list[Case] = [
    Case("unknown authority", lambda a: anchored(a.leaf(), a.ca()), 20),
    Case("nothing trusted", lambda a: anchored(a.leaf()), 20),
    Case("self-signed, nothing trusted", lambda a: anchored(a.lone()), 18),
    Case("self-signed, another trusted", lambda a: anchored(a.lone(), a.root), 18),
    Case(
        "root sent, not trusted",
        lambda a: (lambda leaf: Chain(leaf, leaf.full_chain, [a.ca().certificate]))(a.leaf()),
        19,
    ),
    Case(
        "intermediate not sent",
        lambda a: (lambda leaf: Chain(leaf, leaf.chain[:1], [a.root.certificate]))(
            a.leaf(issuer=a.sub())
        ),
        20,
    ),
    Case("root of the same name", lambda a: anchored(a.leaf(), renewed_root(a)), 20),
    Case(
        "root of the same name, no key identifiers",
        lambda a: anchored(a.leaf(), renewed_root(a, key_identifiers=False)),
        7,
    ),
    Case("broken signature", lambda a: pki.amended(a.leaf(), break_signature=True), 7),
    Case(
        "broken signature of an intermediate",
        lambda a: a.leaf(issuer=pki.amended(a.sub(), break_signature=True)),
        7,
    ),
    Case(
        "broken signature of the root",
        lambda a: a.leaf(issuer=pki.amended(a.ca(), break_signature=True)),
    ),
    Case(
        "broken signature of a trusted leaf", lambda a: pki.amended(a.lone(), break_signature=True)
    ),
]

TIMES: list[Case] = [
    Case(f"{which} {name}", make, code)
    for which, code, times in (("expired", 10, EXPIRED), ("not yet valid", 9, NOT_YET))
    for name, make in (
        ("leaf", lambda a, times=times: a.leaf(**times)),
        ("intermediate", lambda a, times=times: a.leaf(issuer=a.sub(**times))),
        ("root", lambda a, times=times: a.leaf(issuer=a.ca(**times))),
        ("self-signed leaf", lambda a, times=times: a.lone(**times)),
    )
]

PURPOSES: list[Case] = [
    *both_roles("leaf for clients", 26, 0, lambda a: a.leaf(eku=[CLIENT_AUTH])),
    *both_roles("leaf for servers", 0, 26, lambda a: a.leaf(eku=[SERVER_AUTH])),
    *both_roles("leaf for something else", 26, 26, lambda a: a.leaf(eku=[FOREIGN_OID])),
    *both_roles(
        "leaf for servers and more", 0, 26, lambda a: a.leaf(eku=[FOREIGN_OID, SERVER_AUTH])
    ),
    *both_roles(
        "intermediate for clients", 26, 0, lambda a: a.leaf(issuer=a.sub(eku=[CLIENT_AUTH]))
    ),
    *both_roles(
        "intermediate for servers", 0, 26, lambda a: a.leaf(issuer=a.sub(eku=[SERVER_AUTH]))
    ),
    *both_roles("root for clients", 26, 0, lambda a: a.leaf(issuer=a.ca(eku=[CLIENT_AUTH]))),
    *both_roles("trusted leaf for clients", 26, 0, lambda a: a.lone(eku=[CLIENT_AUTH])),
    *any_use_cases(),
    *usage_cases(),
    Case(
        "leaf that is an authority too",
        lambda a: a.leaf(
            ku=["digital_signature", "key_cert_sign"],
            extensions=[(x509.BasicConstraints(True, None), True)],
        ),
    ),
]

AUTHORITIES: list[Case] = [
    Case("root must not sign", lambda a: a.leaf(issuer=a.ca(ku=["crl_sign"])), 79),
    Case("intermediate must not sign", lambda a: a.leaf(issuer=a.sub(ku=["crl_sign"])), 79),
    Case("root is no authority", lambda a: a.leaf(issuer=a.ca(is_ca=False)), 79),
    Case("intermediate is no authority", lambda a: a.leaf(issuer=a.sub(is_ca=False)), 79),
    Case("a leaf as an issuer", lambda a: a.leaf(issuer=a.leaf(["evil.test"])), 79),
    Case("root with key usage alone", lambda a: a.leaf(issuer=a.ca(is_ca=None))),
    Case("root without extensions", lambda a: a.leaf(issuer=a.ca(is_ca=None, ku=None)), 79),
    Case("intermediate with key usage alone", lambda a: a.leaf(issuer=a.sub(is_ca=None)), 79),
    Case(
        "intermediate without extensions", lambda a: a.leaf(issuer=a.sub(is_ca=None, ku=None)), 79
    ),
    Case("version 1 root", lambda a: a.leaf(issuer=pki.amended(a.ca(), version=1))),
    Case("version 1 intermediate", lambda a: a.leaf(issuer=pki.amended(a.sub(), version=1)), 79),
    Case(
        "version 1 client",
        lambda a: pki.amended(a.leaf([]), version=1),
        role="client",
        host=None,
    ),
    Case("version 1 server", lambda a: pki.amended(a.leaf([]), version=1), host=None),
    Case("path length kept", lambda a: a.leaf(issuer=a.ca(path_length=0))),
    Case(
        "path length of the root exceeded",
        lambda a: a.leaf(issuer=a.ca(issuer=a.ca(path_length=0))),
        25,
    ),
    Case(
        "path length of an intermediate exceeded",
        lambda a: a.leaf(issuer=a.ca(issuer=a.sub(path_length=0))),
        25,
    ),
    Case("path length of 1 kept", lambda a: a.leaf(issuer=a.ca(issuer=a.ca(path_length=1)))),
]

_STRICTER = (
    "OpenSSL does not know these as critical; RFC 5280 forbids it, but their checks are done"
)

CRITICAL: list[Case] = [
    Case("unknown in the leaf", lambda a: a.leaf(**critical(FOREIGN)), 34),
    Case("unknown in a trusted leaf", lambda a: a.lone(**critical(FOREIGN)), 34),
    Case("unknown in an intermediate", lambda a: a.leaf(issuer=a.sub(**critical(FOREIGN))), 34),
    Case("unknown in the root", lambda a: a.leaf(issuer=a.ca(**critical(FOREIGN))), 34),
    Case("unknown, not critical", lambda a: a.leaf(extensions=[(FOREIGN, False)])),
    Case("policies", lambda a: a.leaf(**critical(policies()))),
    Case("policies of a root", lambda a: a.leaf(issuer=a.ca(**critical(policies())))),
    Case(
        "policy constraints",
        lambda a: a.leaf(issuer=a.sub(**critical(x509.PolicyConstraints(0, None)))),
    ),
    Case("inhibited policy", lambda a: a.leaf(issuer=a.sub(**critical(x509.InhibitAnyPolicy(0))))),
    Case("CRL distribution points", lambda a: a.leaf(**critical(distribution_points()))),
    Case("no OCSP check", lambda a: a.leaf(**critical(x509.OCSPNoCheck()))),
    Case(
        "TLS feature",
        lambda a: a.leaf(**critical(x509.TLSFeature([x509.TLSFeatureType.status_request]))),
        34,
    ),
    Case(
        "issuer's names",
        lambda a: a.leaf(**critical(x509.IssuerAlternativeName([DNSName("a")]))),
        34,
    ),
    Case(
        "subject key identifier",
        lambda a: a.leaf(key_identifiers=False, **critical(x509.SubjectKeyIdentifier(b"1" * 20))),
        difference=_STRICTER,
    ),
]

STRENGTH: list[Case] = [
    Case(f"authority with {kind}", lambda a, kind=kind: a.leaf(issuer=pki.make_ca(key_type=kind)))
    for kind in ("ecdsa384", "ecdsa521", "secp256k1", "rsa", "rsa-pss", "ed25519", "ed448")
]
STRENGTH += [
    Case(f"leaf with {kind}", lambda a, kind=kind: a.leaf(key_type=kind))
    for kind in ("ecdsa384", "ecdsa521", "rsa", "rsa-pss", "ed25519", "ed448")
]
STRENGTH += [
    Case("leaf with RSA of 1024 bits", lambda a: a.leaf(key_type="rsa1024"), 66),
    Case("trusted leaf with RSA of 1024 bits", lambda a: a.lone(key_type="rsa1024"), 66),
    Case(
        "root with RSA of 1024 bits", lambda a: a.leaf(issuer=pki.make_ca(key_type="rsa1024")), 67
    ),
    Case(
        "intermediate with RSA of 1024 bits", lambda a: a.leaf(issuer=a.sub(key_type="rsa1024")), 67
    ),
    Case(
        "RSASSA-PSS signature of a plain key",
        lambda a: a.leaf(issuer=pki.make_ca(key_type="rsa"), pss=True),
    ),
    *(
        Case(
            f"signed with {algorithm.name}",
            lambda a, algorithm=algorithm: a.leaf(issuer=pki.make_ca(), algorithm=algorithm),
        )
        for algorithm in (hashes.SHA224(), hashes.SHA384(), hashes.SHA512())
    ),
    Case(
        "signed with SHA-1",
        lambda a: pki.amended(pki.make_leaf([HOST], issuer=pki.make_ca()), sha1=True),
        68,
    ),
    Case(
        "root signed with SHA-1",
        lambda a: a.leaf(issuer=pki.amended(pki.make_ca(), sha1=True)),
    ),
]

ORDER: list[Case] = [
    Case("name before time", lambda a: a.leaf(["other.test"], **EXPIRED), 62),
    Case("purpose before time", lambda a: a.leaf(eku=[CLIENT_AUTH], **EXPIRED), 26),
    Case("purpose before name", lambda a: a.leaf(["other.test"], eku=[CLIENT_AUTH]), 26),
    Case("path before all", lambda a: anchored(a.leaf(["other.test"], **EXPIRED), a.ca()), 20),
]

_BOTH_MUST_AGREE = "malformed by RFC 5280: the library refuses it, and what it can judge it decides"

MALFORMED: list[Case] = [
    Case(
        "dates before 2050 as GeneralizedTime",
        lambda a: pki.amended(
            pki.make_leaf([HOST], issuer=pki.make_ca()),
            validity_der=pki.tlv(
                0x30, pki.tlv(0x18, b"20200101000000Z"), pki.tlv(0x18, b"20400101000000Z")
            ),
        ),
        1,
        difference=_BOTH_MUST_AGREE,
    ),
    Case(
        "a serial number of 22 bytes",
        lambda a: pki.amended(pki.make_leaf([HOST], issuer=pki.make_ca()), serial=1 << 175),
        1,
        difference=_BOTH_MUST_AGREE,
    ),
]


def named(name: str) -> x509.Name:
    return pki.name(None, name)


def directory(name: str) -> x509.GeneralName:
    return x509.DirectoryName(named(name))


def network(text: str) -> x509.GeneralName:
    return x509.IPAddress(ip_network(text))


def constrained(
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
    names: Sequence[Any],
    **fields: Any,
) -> Callable[[Authorities], Credential]:
    constraints = x509.NameConstraints(permitted or None, excluded or None)
    return lambda a: a.leaf(names, issuer=a.ca(name_constraints=constraints), **fields)


def constraint_cases() -> list[Case]:
    """Permitted, excluded, the names of the leaf, and the verdict."""
    mail, uri = x509.RFC822Name, x509.UniformResourceIdentifier
    base, inner = DNSName("example.com"), DNSName(HOST)
    rows: list[tuple[str, list[Any], list[Any], list[Any], int, str]] = [
        ("inside", [base], [], [HOST], 0, ""),
        ("exactly", [inner], [], [HOST], 0, ""),
        ("in other letters", [DNSName("EXAMPLE.com")], [], [HOST], 0, ""),
        ("outside", [base], [], [HOST, "other.test"], 47, ""),
        ("no label of its own", [DNSName("ple.com")], [], [HOST], 47, ""),
        ("one of two", [DNSName("other.test"), base], [], [HOST], 0, ""),
        ("leading dot", [DNSName(".example.com")], [], [HOST], 0, ""),
        ("leading dot, name itself", [DNSName(".example.com")], [], [HOST, "example.com"], 47, ""),
        ("everything permitted", [DNSName("")], [], [HOST], 0, ""),
        ("excluded", [], [base], [HOST], 48, ""),
        ("everything excluded", [], [DNSName("")], [HOST], 48, ""),
        ("excluded, leading dot", [], [DNSName(".example.com")], [HOST], 48, ""),
        ("another excluded", [], [DNSName("other.test")], [HOST], 0, ""),
        ("excluded inside permitted", [base], [inner], [HOST], 48, ""),
        ("wildcard inside", [base], [], ["*.example.com"], 0, ""),
        ("wildcard wider than permitted", [inner], [], ["*.example.com"], 47, ""),
        (
            "wildcard that covers the excluded",
            [],
            [DNSName("other.example.com")],
            ["*.example.com"],
            48,
            "OpenSSL takes the asterisk for a letter",
        ),
        ("underscore inside", [base], [], [HOST, "_x.example.com"], 0, ""),
        ("address inside", [network("10.0.0.0/8")], [], [HOST, "10.1.2.3"], 0, ""),
        ("address outside", [network("10.0.0.0/8")], [], [HOST, "11.1.2.3"], 47, ""),
        ("address excluded", [], [network("10.0.0.0/8")], [HOST, "10.1.2.3"], 48, ""),
        ("address of the other family", [network("fd00::/8")], [], [HOST, "10.1.2.3"], 47, ""),
        ("only addresses permitted", [network("10.0.0.0/8")], [], [HOST], 0, ""),
        ("mailbox on the host", [mail("example.com")], [], [HOST, "a@example.com"], 0, ""),
        ("mailbox below the host", [mail("example.com")], [], [HOST, "a@b.example.com"], 47, ""),
        ("mailbox below a dot", [mail(".example.com")], [], [HOST, "a@b.example.com"], 0, ""),
        ("that mailbox", [mail("a@example.com")], [], [HOST, "a@example.com"], 0, ""),
        ("another mailbox", [mail("a@example.com")], [], [HOST, "b@example.com"], 47, ""),
        ("URI on the host", [uri("example.com")], [], [HOST, "https://example.com:1/x"], 0, ""),
        ("URI elsewhere", [uri("example.com")], [], [HOST, "spiffe://other.test/x"], 47, ""),
        ("URI below a dot", [uri(".example.com")], [], [HOST, "https://a.example.com/"], 0, ""),
        ("URI excluded", [], [uri("other.test")], [HOST, "https://other.test"], 48, ""),
        ("a kind that is not there", [x509.RegisteredID(FOREIGN_OID)], [], [HOST], 0, ""),
        (
            "a kind that is not known",
            [x509.RegisteredID(FOREIGN_OID)],
            [],
            [HOST, x509.RegisteredID(FOREIGN_OID)],
            51,
            "",
        ),
    ]
    cases = [
        Case(
            name,
            constrained(permitted, excluded, names),
            code,
            host=None if names[0] != HOST else HOST,
            difference=why,
        )
        for name, permitted, excluded, names, code, why in rows
    ]
    cases += [
        Case(
            f"{name} subject",
            constrained(permitted, excluded, [HOST], subject=pki.name("x", organization)),
            code,
        )
        for name, permitted, excluded, organization, code in (
            ("permitted", [directory("Acme Inc")], [], "Acme Inc", 0),
            ("permitted folded", [directory("Acme Inc")], [], "acme  inc", 0),
            ("other", [directory("Acme Inc")], [], "Other", 47),
            ("excluded", [], [directory("Acme Inc")], "ACME Inc", 48),
        )
    ]
    cases += [
        Case(
            "no subject under a directory name",
            constrained([directory("Acme")], [], [HOST], subject=x509.Name([])),
        ),
        *(
            Case(
                f"client known as {common_name}",
                constrained([base], [], names, subject=pki.name(common_name)),
                code,
                role="client",
                host=None,
            )
            for common_name, names, code in (
                ("a client", [], 0),
                (HOST, [], 0),
                ("client.other.test", [], 47),
                ("client.other.test", ["a@other.test"], 47),
                ("client.other.test", [HOST], 0),
            )
        ),
        Case(
            "an intermediate's names are constrained too",
            lambda a: a.leaf(
                issuer=a.ca(
                    issuer=a.ca(name_constraints=x509.NameConstraints([base], None)),
                    extensions=[(x509.SubjectAlternativeName([DNSName("other.test")]), False)],
                )
            ),
            47,
        ),
        Case(
            "an intermediate's constraints",
            lambda a: a.leaf(
                issuer=a.ca(issuer=a.root, name_constraints=x509.NameConstraints(None, [inner]))
            ),
            48,
        ),
        Case(
            "constraints of a leaf bind nobody",
            lambda a: a.leaf(extensions=[(x509.NameConstraints([DNSName("a.test")], None), True)]),
            difference="",
        ),
    ]
    return cases


HOSTS: list[tuple[list[Any], str, int]] = [
    (["host.example.com"], "HOST.Example.com", 0),
    (["HOST.Example.com"], "host.example.com", 0),
    (["other.test", "host.example.com"], "host.example.com", 0),
    (["example.com"], "host.example.com", 62),
    (["host.example.com"], "example.com", 62),
    (["localhost"], "localhost", 0),
    (["example.com"], "example.com", 0),
    (["*.example.com"], "host.example.com", 0),
    (["*.EXAMPLE.com"], "host.example.com", 0),
    (["*.example.com"], "a.host.example.com", 62),
    (["*.example.com"], "example.com", 62),
    (["*.com"], "example.com", 62),
    (["*"], "localhost", 62),
    (["*.localhost"], "a.localhost", 62),
    (["a*.example.com"], "ab.example.com", 62),
    (["*a.example.com"], "ba.example.com", 62),
    (["host.*.com"], "host.example.com", 62),
    (["*.*.com"], "host.example.com", 62),
    (["*.example.com"], "xn--bcher-kva.example.com", 0),
    (["xn--bcher-kva.example"], "b\u00fccher.example", 0),
    (["_host.example.com"], "_host.example.com", 0),
    (["_host.example"], "_host.example", 0),
    (["*.example.com"], "_host.example.com", 62),
    (["*.ex_ample.com"], "host.ex_ample.com", 62),
    (["-host.example.com"], "-host.example.com", 0),
    (["*.example.com"], "-host.example.com", 0),
    (["*.-example.com"], "host.-example.com", 62),
    (["host.example.com."], "host.example.com", 62),
    ([DNSName(".example.com")], "host.example.com", 62),
    ([DNSName("example.com\0.evil.test")], "example.com", 62),
    (["10.0.0.1"], "10.0.0.1", 0),
    (["10.0.0.1"], "10.0.0.2", 64),
    (["host.example.com"], "10.0.0.1", 64),
    (["10.0.0.1"], "host.example.com", 62),
    ([DNSName("10.0.0.1")], "10.0.0.1", 64),
    ([DNSName("*.0.0.1")], "10.0.0.1", 64),
    (["fd00::1"], "fd00:0:0:0:0:0:0:1", 0),
    (["fd00::1"], "FD00::0001", 0),
    (["fd00::1"], "fd00::2", 64),
    (["::ffff:10.0.0.1"], "10.0.0.1", 64),
    (["a@host.example.com"], "example.test", 62),
    ([], "example.test", 62),
]

ALL = [
    *(("party", case) for case in PARTIES),
    *(("path", case) for case in NO_PATH),
    *(("time", case) for case in TIMES),
    *(("purpose", case) for case in PURPOSES),
    *(("authority", case) for case in AUTHORITIES),
    *(("critical", case) for case in CRITICAL),
    *(("strength", case) for case in STRENGTH),
    *(("order", case) for case in ORDER),
    *(("malformed", case) for case in MALFORMED),
    *(("constraint", case) for case in constraint_cases()),
    *(
        (
            "host",
            Case(f"{names} for {host}", lambda a, names=names: a.leaf(names), code, host=host),
        )
        for names, host, code in HOSTS
    ),
    (
        "host",
        Case(
            "common name",
            lambda a: a.leaf([], subject=pki.name(HOST)),
            62,
            difference="RFC 9525, 2: a common name is no host name; ssl still falls back to it",
        ),
    ),
]


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
            except ValueError:
                continue
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
        pki.extension_der(x509.BasicConstraints.oid, b"\x30\x03\x01\x01\x01"),
        pki.extension_der(x509.NameConstraints.oid, b"\xff"),
    ],
)
def test_an_extension_that_cannot_be_read_is_refused(
    authorities: Authorities, extension: bytes
) -> None:
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]))
    leaf = authorities.leaf([], ku=None, eku=None)
    with pytest.raises(CertificateError) as caught:
        verifier.verify_client(pki.amended(leaf, extra_extensions=[extension]).chain)
    assert caught.value.verify_code in (1, 41)
    issuer = authorities.sub(ku=None, is_ca=None)
    below = authorities.leaf(issuer=pki.amended(issuer, extra_extensions=[extension]))
    with pytest.raises(CertificateError):
        verifier.verify_server(below.chain, HOST)


def test_an_extension_twice_is_refused(authorities: Authorities) -> None:
    leaf = pki.amended(authorities.leaf(), extra_extensions=[EMPTY_NAMES])
    with pytest.raises(CertificateError) as caught:
        ChainVerifier(TrustStore([authorities.root.certificate])).verify_server(leaf.chain, HOST)
    assert caught.value.verify_code == 41
    assert caught.value.alert is AlertDescription.bad_certificate


def test_version_2_is_refused(authorities: Authorities) -> None:
    leaf = pki.amended(authorities.leaf(), version=2)
    verifier = ChainVerifier(TrustStore([authorities.root.certificate]), check_hostname=False)
    with pytest.raises(CertificateError):
        verifier.verify_server(leaf.chain, None)


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


# Names of hosts


@pytest.mark.parametrize(
    ("name", "normal", "is_address"),
    [
        ("example.com", "example.com", False),
        (b"example.com", "example.com", False),
        ("EXAMPLE.Com", "example.com", False),
        ("example.com.", "example.com", False),
        ("localhost", "localhost", False),
        ("_dmarc.example.com", "_dmarc.example.com", False),
        ("r3---sn-a.example.com", "r3---sn-a.example.com", False),
        ("worker.1", "worker.1", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", False),
        ("B\u00dcCHER\u3002example", "xn--bcher-kva.example", False),
        ("fa\u00df.example", "xn--fa-hia.example", False),
        ("_x.b\u00fccher.example", "_x.xn--bcher-kva.example", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", False),
        ("127.0.0.1", "127.0.0.1", True),
        (b"127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1.", "127.0.0.1", True),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("FD00:0::000a", "fd00::a", True),
        ("[::1]", "::1", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("a" * 63 + ".example", "a" * 63 + ".example", False),
    ],
)
def test_normal_forms(name: str | bytes, normal: str, is_address: bool) -> None:
    assert normalize_hostname(name) == (normal, is_address)
    assert normalize_hostname(normal) == (normal, is_address)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (".", "empty"),
        (".example.com", "empty"),
        ("example..com", "empty"),
        ("example.com..", "empty"),
        ("*.example.com", "'[*]'"),
        ("a b.example.com", "' '"),
        ("example.com\0.evil.test", "x00"),
        ("example.com\n", "n'"),
        ("https://example.com", "':'"),
        ("example.com:443", "':'"),
        ("user@example.com", "'@'"),
        ("[example.com]", "'.'"),
        ("[127.0.0.1]", "'.'"),
        ("a" * 64 + ".example", "63"),
        ("a." * 126 + "ab", "253"),
        ("\u2603.example", "2603"),
        ("b\u00fccher.-a\u00fc.example", "host name"),
        ("\ud800.example", "host name"),
        (b"b\xc3\xbccher.example", "ASCII"),
    ],
)
def test_what_is_no_host_name(name: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalize_hostname(name)


@pytest.mark.parametrize("name", [None, 1, ["example.com"]])
def test_a_host_name_is_text(name: Any) -> None:
    with pytest.raises(TypeError):
        normalize_hostname(name)


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
