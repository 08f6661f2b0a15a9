"""Which hosts an identity is for, and chains that are not fit to be sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pki
import pytest
from cryptography import x509
from pki import Credential, general_name, tlv

from fasths.crypto.host_names import host_matches
from fasths.crypto.identity_names import check_usable, names_of

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)

ROOT = pki.make_ca("the root")
CA = pki.make_ca("the authority", issuer=ROOT)
LEAF = pki.make_leaf(["localhost"], issuer=CA, subject=pki.name("the leaf"))


# names_of


def names_in(*names: str | x509.GeneralName) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return names_of(pki.make_leaf(names).certificate)


def with_value(value: bytes) -> x509.Certificate:
    """A certificate with this subjectAltName."""
    extension = pki.extension_der(x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value)
    return pki.amended(pki.make_leaf([]), extra_extensions=[extension]).certificate


def dns(name: bytes) -> bytes:
    return tlv(0x82, name)


def test_names_of_a_certificate() -> None:
    names = ["www.example.com", "*.example.com", "localhost", "a_b.example.org", "*.example.org"]
    assert names_in(*names) == (
        ("www.example.com", "localhost", "a_b.example.org"),
        ("example.com", "example.org"),
    )


def test_names_are_in_lower_case_and_told_once() -> None:
    assert names_in("WWW.Example.com", "www.example.COM", "*.EXAMPLE.com", "*.example.com") == (
        ("www.example.com",),
        ("example.com",),
    )


def test_a_labels_stay() -> None:
    names = names_in("XN--bcher-kva.example", "*.xn--bcher-kva.example")
    assert names == (("xn--bcher-kva.example",), ("xn--bcher-kva.example",))


def test_names_of_other_kinds_are_left_out() -> None:
    others = [general_name(each) for each in ("10.0.0.1", "::1", "a@b.test", "https://c.test/")]
    others.append(x509.DirectoryName(pki.name("d.test")))
    others.append(x509.RegisteredID(x509.ObjectIdentifier("1.2.3")))
    others.append(x509.OtherName(x509.ObjectIdentifier("1.2.3"), dns(b"e.test")))
    assert names_in(*others, "f.test") == (("f.test",), ())


def test_common_name_is_not_looked_at() -> None:
    leaf = pki.make_leaf([], subject=pki.name("www.example.com"))
    assert names_of(leaf.certificate) == ((), ())


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"*",
        b"*.",
        b"*.com",
        b"*.*.example.com",
        b"*www.example.com",
        b"www*.example.com",
        b"www.*.example.com",
        b"*.-example.com",
        b"*.exa_mple.com",
        b"*..example.com",
        b"www..example.com",
        b".example.com",
        b"www.example.com.",
        b"*.example.com.",
        b"www.example.com\0",
        b"www.example.com\0.attacker.test",
        b"www example.com",
        b"10.0.0.1",
        b"::1",
        b"[::1]",
        b"b\xc3\xbccher.example",
        "\N{KELVIN SIGN}elvin.example".encode(),
        b"www." + b"x" * 64 + b".com",
        b"x." * 126 + b"xx",
        b"*." + b"x." * 125 + b"xx",
    ],
)
def test_name_that_no_client_takes_is_left_out(name: bytes) -> None:
    sequence = tlv(0x30, dns(b"one.test"), dns(name), dns(b"two.test"))
    assert names_of(with_value(sequence)) == (("one.test", "two.test"), ())


@pytest.mark.parametrize(
    "name",
    ["www.example.com", "*.example.com", "*.com", "*", "w*.example.com", "*.a_b.example.com"],
)
def test_names_are_those_that_match(name: str) -> None:
    """The parents are of one label less than the hosts that a wildcard is for."""
    exact, parents = names_in(name)
    for host in ("www.example.com", "example.com", "a.www.example.com", "www.a_b.example.com"):
        found = host in exact or host.partition(".")[2] in parents
        assert found == host_matches(host, [x509.DNSName(name)])


def test_certificates_without_names() -> None:
    assert names_of(pki.make_leaf([]).certificate) == ((), ())
    assert names_of(pki.amended(pki.make_leaf(["one.test"]), version=1).certificate) == ((), ())


@pytest.mark.parametrize(
    "other",
    [
        tlv(0x87, b"\1\2\3"),  # an address of three bytes
        tlv(0xA0, b"junk"),
        tlv(0xA4, b"junk"),
        tlv(0x88, b""),
        tlv(0x81, b"\xff"),
        tlv(0x8A, b"a kind that there is not"),
    ],
)
def test_names_beside_one_that_cannot_be_read(other: bytes) -> None:
    certificate = with_value(tlv(0x30, other, dns(b"one.test"), other, dns(b"*.two.test")))
    with pytest.raises(Exception, match=r".+"):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names_of(certificate) == (("one.test",), ("two.test",))


def test_names_beside_a_malformed_extension() -> None:
    junk = pki.extension_der(x509.ExtensionOID.POLICY_CONSTRAINTS, b"junk")
    leaf = pki.amended(pki.make_leaf(["one.test"]), extra_extensions=[junk])
    assert names_of(leaf.certificate) == (("one.test",), ())


@pytest.mark.parametrize(
    "value", [b"", b"\x30", b"\x30\5\x82", b"junk", tlv(0x30) * 2, tlv(0x30, b"\x82\x84\xff")]
)
def test_names_that_cannot_be_read_are_none(value: bytes) -> None:
    assert names_of(with_value(value)) == ((), ())


def test_names_before_the_end_of_what_can_be_read() -> None:
    assert names_of(with_value(tlv(0x30, dns(b"one.test"), b"\x82\x70"))) == (("one.test",), ())


# check_usable


def usable(*chain: Credential) -> None:
    check_usable([each.certificate for each in chain])


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "rsa-pss", "ed25519", "ed448"])
def test_usable_chains(key_type: str) -> None:
    root = pki.make_ca(key_type=key_type)
    issuer = pki.make_ca(issuer=root, key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    usable(leaf)
    usable(leaf, issuer)
    usable(leaf, issuer, root)
    usable(pki.make_leaf())


def test_now_may_be_another_time() -> None:
    chain = LEAF.full_chain
    check_usable(chain, NOW)
    with pytest.raises(ValueError, match="has expired"):
        check_usable(chain, NOW + timedelta(days=365))
    with pytest.raises(ValueError, match="not valid before"):
        check_usable(chain, NOW - timedelta(days=365))


def test_limits_of_validity_are_valid() -> None:
    chain = LEAF.full_chain
    check_usable(chain, max(each.not_valid_before_utc for each in chain))
    check_usable(chain, min(each.not_valid_after_utc for each in chain))


def test_expired_certificate_is_refused() -> None:
    ended = (NOW - HOUR).replace(microsecond=0)
    leaf = pki.make_leaf(issuer=CA, subject=pki.name("old"), not_after=ended)
    with pytest.raises(ValueError, match="has expired") as refusal:
        usable(leaf, CA)
    assert str(refusal.value) == (
        f"certificate 1 of the identity's chain ('CN=old') has expired: it was valid until {ended}"
    )


def test_certificate_that_is_not_yet_valid_is_refused() -> None:
    starts = (NOW + HOUR).replace(microsecond=0)
    leaf = pki.make_leaf(issuer=CA, subject=pki.name("new"), not_before=starts)
    with pytest.raises(ValueError, match="not valid before") as refusal:
        usable(leaf, CA)
    assert str(refusal.value) == (
        f"certificate 1 of the identity's chain ('CN=new') is not valid before {starts}"
    )


def test_expired_issuer_is_refused() -> None:
    issuer = pki.make_ca("old authority", issuer=ROOT, not_after=NOW - HOUR)
    leaf = pki.make_leaf(issuer=issuer)
    with pytest.raises(ValueError, match=r"certificate 2 .*old authority.* has expired"):
        usable(leaf, issuer, ROOT)


def test_issuer_that_is_not_yet_valid_is_refused() -> None:
    root = pki.make_ca("new root", not_before=NOW + HOUR)
    issuer = pki.make_ca(issuer=root)
    leaf = pki.make_leaf(issuer=issuer)
    with pytest.raises(ValueError, match=r"certificate 3 .*new root.* is not valid before"):
        usable(leaf, issuer, root)


@pytest.mark.parametrize(
    ("chain", "place"),
    [
        ((LEAF, ROOT), 1),
        ((LEAF, CA, CA), 2),
        ((LEAF, ROOT, CA), 1),
        ((LEAF, CA, LEAF), 2),
        ((LEAF, CA, ROOT, CA), 3),
        ((LEAF, CA, ROOT, pki.make_ca("unrelated")), 3),
        ((LEAF, CA, pki.make_ca("unrelated")), 2),
        ((CA, LEAF), 1),
        ((pki.make_leaf(), CA), 1),
    ],
    ids=[
        "missing",
        "twice",
        "another order",
        "the leaf again",
        "behind the root",
        "unrelated behind the root",
        "unrelated in place of the root",
        "upside down",
        "unrelated behind a self-signed leaf",
    ],
)
def test_chain_that_is_none_is_refused(chain: tuple[Credential, ...], place: int) -> None:
    with pytest.raises(ValueError, match=f"certificate {place} .* is not issued by the one behind"):
        usable(*chain)


def test_issuer_of_the_same_name_with_another_key_is_refused() -> None:
    other = pki.make_ca("the authority", issuer=ROOT)
    with pytest.raises(ValueError, match="is not signed with the key of the one behind it"):
        usable(LEAF, other, ROOT)
    other = pki.make_ca("the authority", issuer=ROOT, key_type="rsa")
    with pytest.raises(ValueError, match=r"'CN=the leaf'.*not signed.*CN=the authority"):
        usable(LEAF, other)


def test_broken_signature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"certificate 1 .* is not signed with the key"):
        usable(pki.amended(LEAF, break_signature=True), CA, ROOT)


def test_signature_of_an_unknown_kind_is_left_to_the_peers() -> None:
    tbs, _, signature = pki.elements(pki.contents(LEAF.chain_der[0]))
    algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a0304")))
    version, serial, _, *rest = pki.elements(pki.contents(tbs))
    der = tlv(0x30, tlv(0x30, version, serial, algorithm, *rest), algorithm, signature)
    check_usable([x509.load_der_x509_certificate(der), CA.certificate])


def test_key_of_an_unknown_kind_is_left_to_the_peers() -> None:
    algorithm = tlv(
        0x30, bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030106")
    )
    info = tlv(0x30, algorithm, tlv(3, b"\0\4", bytes(56)))
    usable(LEAF, pki.amended(CA, public_key_info=info), ROOT)


def test_sha1_is_left_to_the_peers() -> None:
    """The library does not verify it."""
    usable(pki.amended(LEAF, sha1=True), CA)
    with pytest.raises(ValueError, match="not issued by the one behind"):
        usable(pki.amended(LEAF, sha1=True), ROOT)


def test_names_are_told_so_that_they_can_be_printed() -> None:
    leaf = pki.make_leaf(subject=pki.name("\x1b[31m\N{KELVIN SIGN}"), not_after=NOW - HOUR)
    with pytest.raises(ValueError, match="has expired") as refusal:
        usable(leaf)
    assert str(refusal.value).isprintable()
    assert str(refusal.value).isascii()


def test_name_that_cannot_be_read() -> None:
    fields = pki.elements(pki.contents(LEAF.certificate.tbs_certificate_bytes))
    attribute = tlv(0x30, bytes.fromhex("0603550403"), tlv(0x0C, b"\xff"))
    fields[5] = tlv(0x30, tlv(0x31, attribute))
    _, algorithm, signature = pki.elements(pki.contents(LEAF.chain_der[0]))
    der = tlv(0x30, tlv(0x30, *fields), algorithm, signature)
    certificate = x509.load_der_x509_certificate(der)
    with pytest.raises(ValueError, match="a name that cannot be read"):
        check_usable([certificate], NOW + timedelta(days=365))
