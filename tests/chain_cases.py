"""Certificate chains, right and wrong, with the verdict that each deserves.

A case is made with a kind of key for its authorities, so that the same chain can be built of keys
that the library's verifier judges, and of others. `difference` says why the standard library's
verdict is not the same, where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pki
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import DNSName, ObjectIdentifier
from pki import ANY_USE, CLIENT_AUTH, SERVER_AUTH, Credential

HOST = "host.example.com"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
EXPIRED = {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}
NOT_YET = {"not_before": NOW + DAY, "not_after": NOW + 3 * DAY}
FOREIGN_OID = ObjectIdentifier("1.3.6.1.4.1.55555.1")
FOREIGN = x509.UnrecognizedExtension(FOREIGN_OID, b"\x05\x00")


@dataclass(frozen=True)
class Chain:
    """What a peer sends and what is trusted."""

    leaf: Credential
    sent: Sequence[x509.Certificate]
    anchors: Sequence[x509.Certificate]


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

# Netscape's certificate type: object signing.
_CERTIFICATE_TYPE = x509.UnrecognizedExtension(
    ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x04\x10"
)

PURPOSES: list[Case] = [
    Case(
        "leaf of a certificate type for something else",
        lambda a: a.leaf(eku=None, extensions=[(_CERTIFICATE_TYPE, False)]),
        difference="Netscape's certificate type is not looked at",
    ),
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
    Case(
        f"{place} with RSASSA-PSS for {kind} alone, signing with {algorithm.name}",
        lambda a, kind=kind, place=place, algorithm=algorithm: a.leaf(
            issuer=pki.make_ca(key_type=kind, issuer=a.root if place == "intermediate" else None),
            algorithm=algorithm,
        ),
        0 if kind.endswith(algorithm.name[3:]) else 7,
    )
    for place in ("root", "intermediate")
    for kind in ("rsa-pss-sha256", "rsa-pss-sha512")
    for algorithm in (hashes.SHA256(), hashes.SHA512())
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
    Case(
        "a name that is encoded in another way",
        lambda a: a.leaf(issuer=reencoded(a.ca("authority"))),
        7,
        difference="the library compares names as they are encoded",
    ),
]


def reencoded(issuer: Credential) -> Credential:
    """The issuer under the same name as another type of string, for the certificates it issues."""
    attributes = [
        x509.NameAttribute(each.oid, each.value, x509.name._ASN1Type.PrintableString)
        for each in issuer.certificate.subject
    ]
    twin = pki.make_ca(subject=x509.Name(attributes), key=issuer.key, key_type=issuer.key_type)
    return Credential(twin.certificate, issuer.key, issuer.key_type, (issuer,))


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


def unicode_mailbox(address: str) -> x509.OtherName:
    """SmtpUTF8Mailbox (RFC 9598)."""
    return x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.9"), pki.tlv(0x0C, address.encode()))


def dns_names(*names: str) -> bytes:
    """An extension of alternative names that may be other than ASCII, which no builder makes."""
    values = [pki.tlv(0x82, each.encode()) for each in names]
    return pki.extension_der(x509.SubjectAlternativeName.oid, pki.tlv(0x30, *values))


def with_constraints(a: Authorities, tag: int, name: str, more: bytes = b"") -> Credential:
    """An intermediate with one subtree of DNS names, permitted (0xA0) or excluded (0xA1)."""
    subtree = pki.tlv(0x30, pki.tlv(0x82, name.encode()), more)
    value = pki.tlv(0x30, pki.tlv(tag, subtree))
    extension = pki.extension_der(x509.NameConstraints.oid, value, critical=True)
    return pki.amended(a.sub(), extra_extensions=[extension])


def constraint_cases() -> list[Case]:
    """Permitted, excluded, the names of the leaf, and the verdict."""
    mail, uri = x509.RFC822Name, x509.UniformResourceIdentifier
    base, inner = DNSName("example.com"), DNSName(HOST)
    not_compared = "e-mail addresses and URIs are refused where they are constrained"
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
        ("mailbox permitted", [mail("example.com")], [], [HOST, "a@example.com"], 51, not_compared),
        ("mailbox not excluded", [], [mail("b.test")], [HOST, "a@example.com"], 51, not_compared),
        (
            "mailbox in Unicode",
            [mail("example.com")],
            [],
            [HOST, unicode_mailbox("a@example.com")],
            53,
            not_compared,
        ),
        ("mailbox, no constraint on it", [base], [], [HOST, unicode_mailbox("a@b.test")], 0, ""),
        ("URI permitted", [uri("b.test")], [], [HOST, "https://b.test/x"], 51, not_compared),
        ("URI not excluded", [], [uri("b.test")], [HOST, "https://c.test"], 51, not_compared),
        ("only mailboxes and URIs permitted", [mail("b.test"), uri("b.test")], [], [HOST], 0, ""),
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
                ("client.other.test\0.example.com", [], 53),
            )
        ),
        Case(
            "a subject's mailbox",
            constrained(
                [mail("example.com")],
                [],
                [HOST],
                subject=x509.Name(
                    [x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "a@example.com")]
                ),
            ),
            51,
            difference=not_compared,
        ),
        *(
            Case(
                f"{kind} subtree with {field}",
                lambda a, tag=tag, der=der: a.leaf(
                    issuer=with_constraints(a, tag, "example.com", der)
                ),
                49,
            )
            for kind, tag in (("permitted", 0xA0), ("excluded", 0xA1))
            for field, der in (("minimum", b"\x80\x01\x01"), ("maximum", b"\x81\x01\x00"))
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

# The Kelvin sign is a k in lower case.
KELVIN = [
    Case(
        f"{name} for {host}",
        lambda a, name=name: pki.amended(a.leaf([]), extra_extensions=[dns_names(name)]),
        62,
        host=host,
    )
    for name, host in (
        ("ban\u212a.com", "bank.com"),
        ("www.ban\u212a.com", "www.bank.com"),
        ("*.ban\u212a.com", "www.bank.com"),
    )
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
    *(("host", case) for case in KELVIN),
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
