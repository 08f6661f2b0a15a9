"""Certificates as the standard library shows them, beside what it makes of the same ones."""

from __future__ import annotations

import contextlib
import functools
import ssl
import sysconfig
from pathlib import Path

import certifi
import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pki import tlv
from test_ssl_errors import HOST, Stdlib, authority, handshake, leaf, stdlib_context

from fasths.ssl._certificates import Certificate, certificate_dict

_ssl = ssl._ssl
OF_THE_TESTS = sorted(Path(sysconfig.get_path("stdlib"), "test").rglob("*.pem"))


def standard_dict(path, pem):
    path.write_text(pem)
    return _ssl._test_decode_cert(str(path))


def certificates_in(text):
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return [f"{begin}{each.partition(end)[0]}{end}\n" for each in text.split(begin)[1:]]


def compare_all(pems, path):
    compared = 0
    for pem in pems:
        try:
            expected = standard_dict(path, pem)
        except ssl.SSLError:
            continue
        assert certificate_dict(ssl.PEM_cert_to_DER_cert(pem)) == expected
        compared += 1
    return compared


@pytest.mark.skipif(not OF_THE_TESTS, reason="Python's own tests are not installed")
def test_certificates_of_the_tests_of_the_standard_library(tmp_path):
    pems = []
    for path in OF_THE_TESTS:
        pems += certificates_in(path.read_text("latin-1"))
    assert compare_all(pems, tmp_path / "certificate.pem") >= 10


def test_certificates_of_public_authorities(tmp_path):
    pems = certificates_in(Path(certifi.where()).read_text())
    assert compare_all(pems, tmp_path / "certificate.pem") > 100


# --- Certificates that no builder makes


def oid(dotted):
    # The library refuses long arcs.
    return pki._oid(x509.ObjectIdentifier(dotted))


def attribute(kind, tag, value):
    return tlv(0x30, oid(kind), tlv(tag, value))


def dn(*rdns):
    return tlv(0x30, *(tlv(0x31, *rdn) for rdn in rdns))


def common_name(tag, value):
    return {"subject": dn([attribute("2.5.4.3", tag, value)])}


def extension(kind, value):
    return {"extensions": [pki.extension_der(x509.ObjectIdentifier(kind), value)]}


def names(*general_names):
    return extension("2.5.29.17", tlv(0x30, *general_names))


def other_name(kind, tag, value):
    return tlv(0xA0, oid(kind), tlv(0xA0, tlv(tag, value)))


def access(*descriptions):
    return extension("1.3.6.1.5.5.7.1.1", tlv(0x30, *(tlv(0x30, *each) for each in descriptions)))


def points(*distribution_points):
    return extension("2.5.29.31", tlv(0x30, *distribution_points))


def not_before(tag, value):
    return {"validity": tlv(0x30, tlv(tag, value), tlv(0x17, b"491231235959Z"))}


def serial(value):
    return {"serial": tlv(0x02, value)}


URI = tlv(0x86, b"http://a.example/")
DNS = tlv(0x82, b"a.example")
FULL_NAME = tlv(0x30, tlv(0xA0, tlv(0xA0, URI, DNS, URI)))
OCSP, CA_ISSUERS = oid("1.3.6.1.5.5.7.48.1"), oid("1.3.6.1.5.5.7.48.2")
UPN = "1.3.6.1.4.1.311.20.2.3"
SRV = "1.3.6.1.5.5.7.8.7"
KINDS = [
    "0.9.2342.19200300.100.1.25",
    "0.9.2342.19200300.100.1.1",
    "1.2.840.113549.1.9.8",
    "1.3.6.1.4.1.311.60.2.1.3",
    "2.5.4.5",
    "2.5.4.15",
    "2.5.4.97",
    "2.999.1",
    "1.2.3.4.5",
]

SHOWN = {
    "an empty subject": {"subject": dn()},
    "an empty RDN": {"subject": dn([])},
    "an RDN of two attributes": {
        "subject": dn(
            [attribute("2.5.4.3", 0x0C, "ü".encode()), attribute("2.5.4.10", 0x13, b"b")],
            [attribute("2.5.4.3", 0x0C, b"c")],
        )
    },
    "attributes with and without a name": {
        "subject": dn(*([attribute(kind, 0x0C, b"x")] for kind in KINDS))
    },
    "a BMPString": common_name(0x1E, "aé€".encode("utf-16-be")),
    "a UniversalString": common_name(0x1C, "a😀".encode("utf-32-be")),
    "a T61String": common_name(0x14, b"\x80\x9f\xe9\x00x"),
    "a PrintableString with other characters": common_name(0x13, b"\xe9*"),
    "an IA5String with other characters": common_name(0x16, b"\xe9"),
    "a NumericString": common_name(0x12, b"12"),
    "an empty string": common_name(0x0C, b""),
    "a BIT STRING": {"subject": dn([attribute("2.5.4.45", 0x03, b"\x00\x12\x34")])},
    "a BIT STRING with unused bits": {
        "subject": dn([attribute("2.5.4.45", 0x03, b"\x04\x12\x3f")])
    },
    "the serial number 0": serial(b"\x00"),
    "the serial number 128": serial(b"\x00\x80"),
    "the serial number -1": serial(b"\xff"),
    "the serial number -129": serial(b"\xff\x7f"),
    "a serial number of 20 octets": serial(b"\x7f" * 20),
    "version 1": {"version": b""},
    "version 2": {"version": tlv(0xA0, tlv(0x02, b"\x01"))},
    "no alternative names": names(),
    "alternative names twice": {
        "extensions": names(DNS)["extensions"] + names(tlv(0x82, b"b"))["extensions"]
    },
    "alternative names that are cut off": extension("2.5.29.17", b"\x30\x05\x82"),
    "alternative names with something behind": extension("2.5.29.17", tlv(0x30, DNS) + b"\x00"),
    "alternative names that are no SEQUENCE": extension("2.5.29.17", b"\x04\x00"),
    "an alternative name that is cut off": extension("2.5.29.17", tlv(0x30, b"\x82\x05a")),
    "an alternative name of an unknown kind": names(DNS, tlv(0x89, b"a")),
    "alternative names with a NUL": names(tlv(0x82, b"a\x00b"), tlv(0x81, b"a@b\x00c")),
    "IP addresses": names(tlv(0x87, b"\x01\x02\x03\x04"), tlv(0x87, bytes(range(16)))),
    "IP addresses of wrong lengths": names(
        tlv(0x87, b""), tlv(0x87, b"12345"), tlv(0x87, b"8" * 8)
    ),
    "a URI in UTF-8": names(tlv(0x86, "http://ü/".encode())),
    "directory names": names(tlv(0xA4, dn([attribute("2.5.4.3", 0x0C, b"x")])), tlv(0xA4, dn())),
    "a directory name that is none": names(tlv(0xA4, b"")),
    "a directory name without a string": names(
        DNS, tlv(0xA4, dn([attribute("2.5.4.3", 0x04, b"x")]))
    ),
    "registered IDs": names(
        *(tlv(0x88, pki.contents(oid(each))) for each in ("2.5.4.3", "1.2.3.4", "2.999.3"))
    ),
    "a registered ID with a long arc": names(tlv(0x88, b"\x2a" + b"\xff" * 40 + b"\x01")),
    "an empty registered ID": names(tlv(0x88, b"")),
    "a registered ID with padding": names(tlv(0x88, b"\x80\x01")),
    "a registered ID that is cut off": names(tlv(0x88, b"\x2a\x81")),
    "an X.400 address": names(tlv(0xA3, tlv(0x30, b""))),
    "an EDI party name": names(tlv(0xA5, tlv(0xA1, tlv(0x0C, b"p")))),
    "an empty EDI party name": names(tlv(0xA5, b"")),
    "a user principal name": names(other_name(UPN, 0x0C, "ü@x".encode())),
    "a user principal name of another type": names(other_name(UPN, 0x16, b"u@x")),
    "an XMPP address": names(other_name("1.3.6.1.5.5.7.8.5", 0x0C, b"j@x")),
    "a service name": names(other_name(SRV, 0x16, b"_x.y")),
    "a service name of another type": names(other_name(SRV, 0x0C, b"_x.y")),
    "a mailbox in UTF-8": names(other_name("1.3.6.1.5.5.7.8.9", 0x0C, "ü@x".encode())),
    "a realm": names(other_name("1.3.6.1.5.5.7.8.8", 0x0C, b"realm")),
    "an other name of a known OID": names(other_name("2.5.4.3", 0x0C, b"x")),
    "an other name of an unknown OID": names(other_name("1.2.3.4", 0x0C, b"x")),
    "an other name that is no string": names(other_name("1.2.3.4", 0x30, tlv(0x0C, b"x"))),
    "an other name without a value": names(DNS, tlv(0xA0, oid("1.2.3.4"))),
    "an other name with an empty value": names(tlv(0xA0, oid("1.2.3.4"), tlv(0xA0, b""))),
    "ways to an authority": access(
        (OCSP, URI), (OCSP, DNS), (CA_ISSUERS, URI), (CA_ISSUERS, URI), (oid("1.2.3"), URI)
    ),
    "no way to an authority": access(),
    "a way to an authority without a place": access((OCSP, URI), (OCSP,)),
    "ways to an authority with something else": extension(
        "1.3.6.1.5.5.7.1.1", tlv(0x30, tlv(0x30, OCSP, URI), tlv(0x04, b""))
    ),
    "distribution points": points(FULL_NAME, FULL_NAME),
    "no distribution point": points(),
    "an empty distribution point": points(tlv(0x30)),
    "a distribution point of reasons": points(tlv(0x30, tlv(0x81, b"\x00\x01"))),
    "a distribution point without a name": points(tlv(0x30, tlv(0xA0, tlv(0xA0)))),
    "a distribution point without a URI": points(tlv(0x30, tlv(0xA0, tlv(0xA0, DNS)))),
    "a distribution point with an issuer": points(
        tlv(0x30, tlv(0xA0, tlv(0xA0, URI)), tlv(0xA2, tlv(0xA4, dn())))
    ),
    "a distribution point of a relative name": points(
        tlv(0x30, tlv(0xA0, tlv(0xA1, attribute("2.5.4.3", 0x0C, b"x"))))
    ),
    "distribution points with something else": points(FULL_NAME, tlv(0x04, b"")),
    "the last UTCTime": not_before(0x17, b"491231235959Z"),
    "the first UTCTime": not_before(0x17, b"500101000000Z"),
    "a GeneralizedTime": not_before(0x18, b"20500101000000Z"),
    "the last GeneralizedTime": not_before(0x18, b"99991231235959Z"),
    "the year 0": not_before(0x18, b"00000101000000Z"),
    "a GeneralizedTime with a fraction": not_before(0x18, b"20500101000000.125Z"),
    "a UTCTime with a fraction": not_before(0x17, b"250101000000.5Z"),
    "a leap day": not_before(0x17, b"240229000000Z"),
    "a leap day in another year": not_before(0x17, b"250229000000Z"),
    "a month 13": not_before(0x17, b"251301000000Z"),
    "an hour 24": not_before(0x17, b"250101240000Z"),
    "a second 60": not_before(0x17, b"250101235960Z"),
    "a UTCTime of GeneralizedTime's length": not_before(0x17, b"20250101000000Z"),
    "a GeneralizedTime of UTCTime's length": not_before(0x18, b"250101000000Z"),
    "a local time": not_before(0x17, b"250101000000"),
    "a time that is none": not_before(0x17, b"x"),
}
REFUSED = {
    "a GeneralString": common_name(0x1B, b"x"),
    "a VisibleString": common_name(0x1A, b"x"),
    "an OCTET STRING": common_name(0x04, b"x"),
    "an INTEGER": common_name(0x02, b"x"),
    "a time as a name": common_name(0x17, b"250101000000Z"),
    "a UTF8String that is not UTF-8": common_name(0x0C, b"\xff"),
    "a UTF8String with a surrogate": common_name(0x0C, b"\xed\xa0\x80"),
    "a BMPString of odd length": common_name(0x1E, b"abc"),
    "a BMPString with surrogates": common_name(0x1E, "😀".encode("utf-16-be")),
}
NOT_UTF8 = {
    "a DNS name": names(tlv(0x82, b"\xff")),
    "a user principal name": names(other_name(UPN, 0x0C, b"\xff")),
    "a way to an authority": access((OCSP, tlv(0x86, b"\xff"))),
    "a distribution point": points(tlv(0x30, tlv(0xA0, tlv(0xA0, tlv(0x86, b"\xff"))))),
}


@functools.cache
def parts():
    der = leaf().certificate.public_bytes(Encoding.DER)
    tbs, *signature = pki.elements(pki.contents(der))
    return pki.elements(pki.contents(tbs)), signature


def with_parts(*, extensions=(), **replaced):
    """A certificate with other fields; nobody looks at its signature."""
    fields, signature = parts()
    keys = ("version", "serial", "algorithm", "issuer", "validity", "subject", "key")
    fields = [replaced.get(key, field) for key, field in zip(keys, fields, strict=False)]
    if extensions:
        fields.append(tlv(0xA3, tlv(0x30, *extensions)))
    return tlv(0x30, tlv(0x30, *fields), *signature)


@pytest.mark.parametrize("what", SHOWN)
def test_shown_as_by_the_standard_library(what, tmp_path):
    der = with_parts(**SHOWN[what])
    expected = standard_dict(tmp_path / "certificate.pem", ssl.DER_cert_to_PEM_cert(der))
    assert certificate_dict(der) == expected
    assert list(certificate_dict(der)) == list(expected)


@pytest.mark.parametrize("what", REFUSED)
def test_name_that_cannot_be_shown(what, tmp_path):
    der = with_parts(**REFUSED[what])
    with pytest.raises(ssl.SSLError):
        standard_dict(tmp_path / "certificate.pem", ssl.DER_cert_to_PEM_cert(der))
    with pytest.raises(ssl.SSLError, match="Error decoding the certificate"):
        certificate_dict(der)
    assert repr(Certificate(der)) == "<fasths.ssl.Certificate '?'>"


@pytest.mark.parametrize("what", NOT_UTF8)
def test_text_that_is_not_utf8(what, tmp_path):
    der = with_parts(**NOT_UTF8[what])
    with pytest.raises(UnicodeDecodeError):
        standard_dict(tmp_path / "certificate.pem", ssl.DER_cert_to_PEM_cert(der))
    with pytest.raises(UnicodeDecodeError):
        certificate_dict(der)


def test_all_of_a_user_principal_name_is_shown():
    # The standard library shows it up to the first NUL or the end of a line.
    der = with_parts(**names(other_name(UPN, 0x0C, b"u\x00\n@x")))
    assert certificate_dict(der)["subjectAltName"] == (("othername", "UPN:u\x00\n@x"),)


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 20, -1])
def test_what_is_no_certificate(cut):
    der = with_parts()
    with pytest.raises(ssl.SSLError):
        certificate_dict(der[:cut])


def test_every_cut_of_a_certificate_is_refused():
    der = with_parts(**SHOWN["distribution points"])
    for size in range(0, len(der), 7):
        with pytest.raises(ssl.SSLError):
            certificate_dict(der[:size])


def test_every_change_of_an_octet_is_borne():
    der = with_parts(
        extensions=[
            *SHOWN["ways to an authority"]["extensions"],
            *SHOWN["distribution points"]["extensions"],
            *SHOWN["directory names"]["extensions"],
        ]
    )
    for at in range(len(der)):
        for change in (0x01, 0x80, 0xFF):
            changed = bytearray(der)
            changed[at] ^= change
            with contextlib.suppress(ssl.SSLError, UnicodeDecodeError):
                certificate_dict(bytes(changed))


# --- Certificate objects


@functools.cache
def sent_chain():
    """What the standard library's client gives for a server's certificate."""
    client, server = Stdlib(stdlib_context(False), False, HOST), Stdlib(stdlib_context(True), True)
    handshake(client, server)
    return client.object._sslobj.get_unverified_chain()[0]


def test_certificate_gives_what_the_standard_one_gives():
    theirs = sent_chain()
    ours = Certificate(theirs.public_bytes(_ssl.ENCODING_DER))
    for arguments in ((), (_ssl.ENCODING_PEM,), (_ssl.ENCODING_DER,)):
        assert ours.public_bytes(*arguments) == theirs.public_bytes(*arguments)
    assert ours.public_bytes(format=_ssl.ENCODING_DER) == theirs.public_bytes(_ssl.ENCODING_DER)
    assert ours.get_info() == theirs.get_info()


@pytest.mark.parametrize("format", [3, -1, "x", None])
def test_format_that_there_is_not(format):
    certificate = Certificate(leaf().chain_der[0])
    with pytest.raises((TypeError, ValueError)) as theirs:
        sent_chain().public_bytes(format)
    with pytest.raises(theirs.type) as ours:
        certificate.public_bytes(format)
    assert str(ours.value) == str(theirs.value)


def test_certificates_are_equal_if_their_bytes_are():
    der, other = leaf().chain_der[0], authority().chain_der[0]
    assert Certificate(der) == Certificate(bytes(der))
    assert hash(Certificate(der)) == hash(Certificate(bytes(der)))
    assert Certificate(der) != Certificate(other)
    assert Certificate(der) != der


@pytest.mark.parametrize(
    "subject",
    [
        [[("2.5.4.6", "DE")], [("2.5.4.10", 'a,b+"c\\<>;#d=')], [("2.5.4.3", " ü x ")]],
        [
            [("2.5.4.3", "#a"), ("1.2.840.113549.1.9.1", "a@b")],
            [("1.2.3.4.5", "x\ny")],
            [("0.9.2342.19200300.100.1.25", "com")],
        ],
        [[("2.5.4.3", " ")], [("2.5.4.3", "😀 ")], [("2.5.4.3", "  ")]],
    ],
    ids=["to be escaped", "two in one", "spaces"],
)
def test_certificate_is_shown_by_its_subject(subject):
    made = pki.make_leaf(
        [HOST],
        issuer=authority(),
        subject=x509.Name(
            x509.RelativeDistinguishedName(
                x509.NameAttribute(x509.ObjectIdentifier(kind), value, _validate=False)
                for kind, value in rdn
            )
            for rdn in subject
        ),
    )
    client = Stdlib(stdlib_context(False), False, HOST)
    handshake(client, Stdlib(stdlib_context(True, shown=made), True))
    (theirs, *_) = client.object._sslobj.get_unverified_chain()
    ours = Certificate(made.chain_der[0])
    assert repr(ours) == repr(theirs).replace("_ssl.", "fasths.ssl.")


def test_certificate_without_a_subject_is_shown():
    der = with_parts(subject=dn())
    assert repr(Certificate(der)) == "<fasths.ssl.Certificate ''>"
