"""VERIFY_X509_STRICT: what it refuses is what OpenSSL refuses, for the same reason."""

from __future__ import annotations

import functools
import ssl

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from ssl_peers import Pair, alike, client_context, file_of, server_context

from fasths.crypto.strict_profile import strict_profile_error

HOST = "localhost"
KEY_IDS = {"key_identifiers": False}


def subject_key(key):
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def authority_key(key):
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def ca(
    *, constraints=None, critical=True, key_ids=("SKI",), critical_ids=False, issuer=None, **how
):
    """An authority, or nearly one."""
    key = pki.make_key()
    extensions = [(constraints or x509.BasicConstraints(True, None), critical)]
    if "SKI" in key_ids:
        extensions.append((subject_key(key), critical_ids))
    if "AKI" in key_ids:
        extensions.append((authority_key(key if issuer is None else issuer.key), critical_ids))
    return pki.make_ca(key=key, is_ca=None, extensions=extensions, issuer=issuer, **KEY_IDS, **how)


def leaf(issuer, *extensions, names=(HOST,), key_ids=("AKI",), critical=(), key=None, **how):
    key = key or pki.make_key()
    extensions = list(extensions)
    if "SKI" in key_ids:
        extensions.append((subject_key(key), "SKI" in critical))
    if "AKI" in key_ids:
        extensions.append((authority_key(issuer.key), "AKI" in critical))
    return pki.make_leaf(names, key=key, issuer=issuer, extensions=extensions, **KEY_IDS, **how)


def without_v3(made):
    return pki.amended(made, version=1)


def leaf_of(**how):
    return leaf(ca(**how))


def no_constraints(**how):
    return leaf(pki.make_ca(is_ca=None, **how))


def leaf_with_issuer_name(issuer):
    """Its authority key identifier has the issuer's name and serial number instead of a key."""
    names = [x509.DirectoryName(issuer.certificate.issuer)]
    number = issuer.certificate.serial_number
    identifier = x509.AuthorityKeyIdentifier(None, names, number)
    return leaf(issuer, (identifier, False), key_ids=())


def nameless():
    key = pki.make_key()
    extensions = [(x509.BasicConstraints(True, None), True), (subject_key(key), False)]
    how = {"ku": pki.CA_USAGE, "eku": None, "extensions": extensions, **KEY_IDS}
    return pki.make_leaf([], subject=EMPTY, key=key, **how)


EMPTY = x509.Name([])
END = x509.BasicConstraints(False, None)

# What is shown, and OpenSSL's number for what is wrong with it; None: nothing is.
CASES = {
    "as it should be": (lambda: leaf(ca()), None),
    "through an intermediate": (lambda: leaf(ca(issuer=ca(), key_ids=("SKI", "AKI"))), None),
    "path length": (lambda: leaf_of(constraints=x509.BasicConstraints(True, 0)), None),
    "path length without usage": (
        lambda: leaf_of(constraints=x509.BasicConstraints(True, 0), ku=None),
        81,
    ),
    "constraints not critical": (lambda: leaf_of(critical=False), 89),
    "constraints not critical, and no usage": (lambda: leaf_of(critical=False, ku=None), 89),
    "authority without usage": (lambda: leaf_of(ku=None), 92),
    "intermediate without usage": (
        lambda: leaf(ca(issuer=ca(), key_ids=("SKI", "AKI"), ku=None)),
        92,
    ),
    "leaf with a usage of authorities": (
        lambda: leaf(ca(), (END, False), ku=("digital_signature", "key_cert_sign")),
        82,
    ),
    "leaf that seems an authority": (
        lambda: leaf(ca(), ku=("digital_signature", "key_cert_sign")),
        79,
    ),
    "leaf without usage": (lambda: leaf(ca(), ku=None), None),
    "leaf that says that it is none": (lambda: leaf(ca(), (END, False)), None),
    "authority without a name": (lambda: leaf(nameless()), 83),
    "leaf without a name": (lambda: leaf(ca(), subject=EMPTY, san_critical=True), None),
    "leaf without a name, not critical": (lambda: leaf(ca(), subject=EMPTY), 88),
    "leaf without a name that signs lists": (
        lambda: leaf(ca(), subject=EMPTY, san_critical=True, ku=("digital_signature", "crl_sign")),
        84,
    ),
    "no authority key identifier": (lambda: leaf(ca(), key_ids=()), 85),
    "intermediate without authority key identifier": (lambda: leaf(ca(issuer=ca())), 85),
    "authority key identifier without a key": (lambda: leaf_with_issuer_name(ca()), 85),
    "authority without subject key identifier": (lambda: leaf_of(key_ids=()), 86),
    "root of version 1": (lambda: leaf(without_v3(ca())), 79),
}
# OpenSSL 3.0 refuses these in any case, as it does not know that they can be critical.
CRITICAL_IDENTIFIERS = {
    "authority": (lambda: leaf(ca(), critical=("AKI",)), 90),
    "subject": (lambda: leaf(ca(), key_ids=("SKI", "AKI"), critical=("SKI",)), 91),
    "subject of an authority": (lambda: leaf_of(critical_ids=True), 91),
    "both of an authority": (lambda: leaf_of(critical_ids=True, key_ids=("SKI", "AKI")), 90),
}
UNHANDLED_CRITICAL_EXTENSION = 34


@functools.cache
def case(name):
    return CASES[name][0]()


def der_of_one(made):
    return made.certificate.public_bytes(serialization.Encoding.DER)


def der_of(made):
    return map(der_of_one, (made, *made.above))


def root_of(made):
    return made.above[-1]


def handshake(server, client, made, root, *, name=HOST, strict=True):
    context = client_context(client, root, check_hostname=name is not None)
    # As with Python 3.13; a chain may end before its root.
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return Pair(server_context(server, made), context, name).handshake()


@alike
@pytest.mark.parametrize("name", list(CASES))
def test_chains(server, client, name):
    made = case(name)
    outcome = handshake(server, client, made, root_of(made))
    expected = CASES[name][1]
    if expected is None:
        assert outcome == (None, None)
    else:
        assert outcome[0][4] == expected
    return outcome


@alike
@pytest.mark.parametrize("name", list(CRITICAL_IDENTIFIERS))
def test_critical_identifiers(server, client, name):
    make, expected = CRITICAL_IDENTIFIERS[name]
    made = make()
    refused = handshake(server, client, made, root_of(made))[0]
    assert refused[4] in (expected, UNHANDLED_CRITICAL_EXTENSION)
    return refused[:4]


def test_it_is_the_number_of_newer_versions():
    for make, expected in CRITICAL_IDENTIFIERS.values():
        assert strict_profile_error(tuple(der_of(make()))).verify_code == expected


@pytest.mark.parametrize("names", [(HOST,), ()], ids=["names", "no names"])
def test_extensions_need_version_3(names):
    """What has them in another version, the library does not parse; but versions 1 need no key
    identifiers."""
    made = leaf(ca(), names=names, key_ids=())
    chain = (without_v3(made), *made.above)
    assert strict_profile_error(tuple(map(der_of_one, chain))) is None


@alike
@pytest.mark.parametrize("name", ["authority without usage", "no authority key identifier"])
def test_others_are_not_so_strict(server, client, name):
    made = case(name)
    outcome = handshake(server, client, made, root_of(made), strict=False)
    assert outcome == (None, None)
    return outcome


@alike
def test_a_certificate_that_is_trusted_itself_is_beyond_criticism(server, client):
    """RFC 5280 does not apply to it (RFC 6818, 2); but an authority is what it says."""
    usage = ("digital_signature", "key_cert_sign")
    shown = [
        leaf(ca(), (END, False), key_ids=(), ku=usage),
        pki.make_leaf([HOST], ku=usage, extensions=[(END, False)], **KEY_IDS),
        pki.make_leaf([HOST], ku=usage),
    ]
    outcomes = [handshake(server, client, made, made) for made in shown]
    assert outcomes[:2] == [(None, None)] * 2
    assert outcomes[2][0][4] == 79
    return outcomes


@alike
def test_clients_too(server, client):
    outcomes = []
    for name in ("as it should be", "authority without usage"):
        made = case(name)
        answering = client_context(client, root_of(made))
        answering.load_cert_chain(file_of(made))
        asking = server_context(server, made, verify_mode=ssl.CERT_REQUIRED)
        asking.load_verify_locations(cadata=root_of(made).pem.decode())
        asking.verify_flags |= ssl.VERIFY_X509_STRICT
        outcomes.append(Pair(asking, answering).handshake())
    assert outcomes[0] == (None, None)
    assert outcomes[1][1][4] == 92
    return outcomes
