"""Cipher suites under OpenSSL's names, as the standard library gives them."""

import ssl

import pytest
from test_ssl_errors import HOST, Fasths, Stdlib, fasths_context, handshake, stdlib_context

from fasths import CipherSuite
from fasths.ssl._ciphers import cipher_suites, cipher_tuple, openssl_name

SUITES = list(CipherSuite)


def suite_id(suite):
    return suite.name


def openssl_ciphers(names="ALL:COMPLEMENTOFALL"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(names)
    return context.get_ciphers()


@pytest.mark.parametrize("suite", SUITES, ids=suite_id)
def test_cipher_is_described_as_openssl_does(suite):
    (cipher,) = (each for each in openssl_ciphers() if each["id"] & 0xFFFF == suite)
    assert openssl_name(suite) == cipher["name"]
    assert cipher_tuple(suite) == (cipher["name"], cipher["protocol"], cipher["strength_bits"])


@pytest.mark.parametrize(
    "suite",
    [suite for suite in SUITES if "RSA" not in suite.name],
    ids=suite_id,
)
def test_cipher_of_a_connection(suite):
    client = Fasths(fasths_context(False, cipher_suites=[suite]), False, HOST)
    server = Stdlib(stdlib_context(True), True)
    handshake(client, server)
    assert cipher_tuple(client.connection.cipher_suite) == server.object.cipher()


def test_a_tuple_is_a_plain_one():
    assert type(cipher_tuple(CipherSuite.TLS_AES_128_GCM_SHA256)) is tuple


def test_suites_stand_in_the_order_of_the_context():
    names = "ECDHE-RSA-CHACHA20-POLY1305:AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256"
    suites = cipher_suites(openssl_ciphers(names))
    # OpenSSL puts those of TLS 1.3 first.
    assert suites == (
        CipherSuite.TLS_AES_256_GCM_SHA384,
        CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
        CipherSuite.TLS_AES_128_GCM_SHA256,
        CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    )
    assert all(isinstance(suite, CipherSuite) for suite in suites)


def test_all_suites_are_among_those_of_openssl():
    assert set(cipher_suites(openssl_ciphers())) == set(SUITES)


def test_no_suite_left_is_an_error():
    ciphers = [each for each in openssl_ciphers("AES128-SHA") if each["protocol"] != "TLSv1.3"]
    assert ciphers
    with pytest.raises(ssl.SSLError) as ours:
        cipher_suites(ciphers)
    with pytest.raises(ssl.SSLError) as theirs:
        openssl_ciphers("there is none")
    assert ours.value.args == theirs.value.args
