"""What contexts load: certificates with keys, and authorities, from wherever they are."""

from __future__ import annotations

import os
import ssl
import subprocess

import pki
import pytest
from cryptography.hazmat.primitives import serialization
from interop.processes import require
from ssl_peers import (
    HOST,
    Pair,
    alike,
    authority,
    client_context,
    file_of,
    leaf,
    result_of,
    server_context,
)

from fasths import ssl as fasths_ssl

REFUSED = ("SSLCertVerificationError", 1, "SSL", "CERTIFICATE_VERIFY_FAILED")
MODULES = pytest.mark.parametrize("module", [ssl, fasths_ssl], ids=["ssl", "fasths"])


def plain_client(module):
    """It trusts nobody."""
    return module.SSLContext(module.PROTOCOL_TLS_CLIENT)


def plain_server(module):
    return module.SSLContext(module.PROTOCOL_TLS_SERVER)


def seen_by_a_client(context, root=None, **how):
    """The serial number of the certificate that a server shows."""
    client = client_context(ssl, root, **how)
    pair = Pair(context, client)
    outcome = pair.handshake()
    return pair.client.getpeercert()["serialNumber"] if outcome == (None, None) else outcome


def serial_of(made):
    digits = f"{made.certificate.serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


# --- Certificates with their keys


def encrypted_key(made, password):
    return made.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


class Counted:
    """A callable that gives a password."""

    def __init__(self, password):
        self.password, self.calls = password, 0

    def __call__(self):
        self.calls += 1
        return self.password


@MODULES
def test_passwords(module, tmp_path):
    chain, key, both = (tmp_path / each for each in ("chain", "key", "both"))
    chain.write_bytes(leaf().chain_pem)
    key.write_bytes(encrypted_key(leaf(), "pässword".encode()))
    both.write_bytes(encrypted_key(leaf(), "pässword".encode()) + leaf().chain_pem)
    for given in ("pässword", "pässword".encode(), bytearray("pässword".encode())):
        for password in (given, lambda given=given: given, Counted(given)):
            for files in ((chain, key), (both,), (os.fsencode(both),)):
                context = plain_server(module)
                context.load_cert_chain(*files, password=password)
                assert seen_by_a_client(context) == serial_of(leaf())
    counted = Counted("pässword")
    plain_server(module).load_cert_chain(chain, key, counted)
    assert counted.calls == 1


@alike
def test_passwords_that_are_wrong(server, client, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "both"
    path.write_bytes(leaf().chain_pem + encrypted_key(leaf(), b"password"))

    def fail():
        raise KeyError("password")

    outcomes = []
    for password in ("wrong", b"", lambda: "wrong", lambda: 5, fail, "x" * 2000, 5):
        outcome = result_of(plain_server(server).load_cert_chain, path, password=password)
        outcomes.append(outcome[0])
    assert len(outcomes) == 7
    return outcomes


@MODULES
def test_a_password_that_is_not_needed(module):
    counted = Counted("password")
    for password in ("password", counted):
        context = plain_server(module)
        context.load_cert_chain(file_of(leaf()), password=password)
        assert seen_by_a_client(context) == serial_of(leaf())
    assert counted.calls == 0


@alike
def test_files_that_cannot_be_loaded(server, client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "empty").write_bytes(b"")
    (folder / "certificate").write_bytes(leaf().chain_pem)
    (folder / "other").write_bytes(pki.make_leaf().key_pem)
    names = [("missing",), ("empty",), ("certificate",), ("certificate", "other")]
    context = server_context(server)
    outcomes = [
        result_of(context.load_cert_chain, *(folder / each for each in files)) for files in names
    ]
    assert outcomes[0][0] == "FileNotFoundError"
    return outcomes


@MODULES
def test_the_key_comes_first_or_last_in_a_file(module, tmp_path):
    made = pki.make_leaf(issuer=pki.make_ca(issuer=authority()))
    for content in (made.key_pem + made.chain_pem, made.chain_pem + b"text\n" + made.key_pem):
        path = tmp_path / "both"
        path.write_bytes(content)
        context = plain_server(module)
        context.load_cert_chain(path)
        assert seen_by_a_client(context) == serial_of(made)


@MODULES
@pytest.mark.parametrize(
    "key_types", [("ecdsa", "ecdsa384"), ("ecdsa384", "ecdsa"), ("rsa", "rsa")]
)
def test_the_certificate_that_was_loaded_last(module, key_types):
    """There is one for each kind of key, whatever its size or curve."""
    first, last = (pki.make_leaf(issuer=authority(), key_type=each) for each in key_types)
    context = server_context(module, first)
    assert seen_by_a_client(context) == serial_of(first)
    context.load_cert_chain(file_of(last))
    assert seen_by_a_client(context) == serial_of(last)


@MODULES
def test_two_kinds_of_keys(module):
    ecdsa, rsa = leaf(), leaf(HOST, "rsa")
    context = server_context(module, ecdsa)
    context.load_cert_chain(file_of(rsa))
    for ciphers, made in (("ECDHE-ECDSA-AES128-GCM-SHA256", ecdsa), ("aRSA", rsa)):
        client = client_context(ssl, maximum_version=ssl.TLSVersion.TLSv1_2)
        client.set_ciphers(ciphers)
        pair = Pair(context, client).connect()
        assert pair.client.getpeercert()["serialNumber"] == serial_of(made)


@MODULES
def test_issuers_that_are_trusted_are_sent(module):
    """As OpenSSL does for a certificate that comes alone."""
    middle = pki.make_ca(issuer=authority())
    made = pki.make_leaf(issuer=middle)
    alone = pki.Credential(made.certificate, made.key, made.key_type)
    context = server_context(module, alone)
    assert seen_by_a_client(context)[0][:4] == REFUSED
    context.load_verify_locations(cadata=middle.pem.decode())
    assert seen_by_a_client(context) == serial_of(made)


def test_expired_certificates_are_loaded_and_shown():
    """Their clients decide."""
    day = pki._DAY
    now = pki.datetime.now(pki.UTC)
    made = pki.make_leaf(issuer=authority(), not_before=now - 9 * day, not_after=now - day)
    outcome = seen_by_a_client(server_context(fasths_ssl, made))
    assert outcome[0][4] == 10
    assert outcome[1][3] == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


@alike
def test_a_server_without_a_certificate(server, client):
    outcome = Pair(plain_server(server), client_context(client)).handshake()
    assert None not in outcome
    return outcome[0]


# --- Authorities


def others():
    return pki.make_ca("another"), pki.make_ca("third")


def rehashed(folder):
    subprocess.run(
        [require("openssl"), "rehash", folder], check=True, capture_output=True, timeout=60
    )


@MODULES
def test_each_way_to_trust(module, tmp_path):
    pem = authority().pem
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    more = [each.pem for each in others()]
    bundle = tmp_path / "bundle"
    bundle.write_bytes(b"A text.\n" + b"\n".join([more[0], pem, more[1]]))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.pem").write_bytes(pem)
    rehashed(folder)
    ders = b"".join(ssl.PEM_cert_to_DER_cert(each.decode()) for each in more)
    for how in (
        {"cafile": bundle},
        {"cafile": os.fsencode(bundle)},
        {"capath": folder},
        {"capath": str(folder)},
        {"cadata": pem.decode()},
        {"cadata": bundle.read_text()},
        {"cadata": der},
        {"cadata": bytearray(der)},
        {"cadata": ders + der},
        {"cadata": der + ders},
        {"cafile": bundle, "capath": folder, "cadata": ders},
    ):
        context = plain_client(module)
        assert Pair(server_context(ssl), context).handshake()[0][:4] == REFUSED
        context.load_verify_locations(**how)
        pair = Pair(server_context(ssl), context)
        assert pair.handshake() == (None, None), how
        assert any(each["subject"][-1][0][1] == "authority" for each in context.get_ca_certs())


@alike
def test_what_cannot_be_trusted(server, client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "empty").write_bytes(b"")
    return [
        result_of(plain_client(client).load_verify_locations, **how)[:3]
        for how in (
            {},
            {"cafile": folder / "missing"},
            {"cafile": folder / "empty"},
            {"cafile": 5},
            {"capath": 5},
            {"cadata": "no certificate"},
            {"cadata": b"no certificate"},
            {"cadata": "nö certificate"},
            {"cadata": 5},
        )
    ]


@MODULES
def test_files_without_their_hash_are_not_looked_at(module, tmp_path):
    (tmp_path / "a.pem").write_bytes(authority().pem)
    context = plain_client(module)
    context.load_verify_locations(capath=tmp_path)
    assert Pair(server_context(ssl), context).handshake()[0][:4] == REFUSED
    # It was not there before.
    rehashed(tmp_path)
    assert Pair(server_context(ssl), context).handshake() == (None, None)


@MODULES
@pytest.mark.parametrize("missing", [False, True], ids=["empty", "missing"])
def test_directories_with_nothing_in_them(module, missing, tmp_path):
    context = plain_client(module)
    context.load_verify_locations(capath=tmp_path / "missing" if missing else tmp_path)
    assert Pair(server_context(ssl), context).handshake()[0][:4] == REFUSED


def test_one_that_cannot_be_read_leaves_the_others(tmp_path):
    """OpenSSL takes more than the library that fasths reads certificates with."""
    der = ssl.PEM_cert_to_DER_cert(pki.make_ca("odd").pem.decode())
    version_3, version_9 = (bytes.fromhex(f"a0030201{each:02x}") for each in (2, 8))
    odd = ssl.DER_cert_to_PEM_cert(der.replace(version_3, version_9, 1))
    bundle = tmp_path / "bundle"
    bundle.write_bytes(odd.encode() + authority().pem)
    for how in ({"cafile": bundle}, {"cadata": bundle.read_text()}):
        context = plain_client(fasths_ssl)
        context.load_verify_locations(**how)
        assert Pair(server_context(ssl), context).handshake() == (None, None)


# --- Those of the platform


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """The two variables, which name things that are not there."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing file"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing folder"))
    return monkeypatch


def defaults_of(module):
    context = plain_client(module)
    context.load_default_certs()
    return context


@MODULES
def test_the_file_that_the_environment_names(module, environment, tmp_path):
    (tmp_path / "file").write_bytes(authority().pem)
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "file"))
    for make in (module.create_default_context, lambda: defaults_of(module)):
        assert Pair(server_context(ssl), make()).handshake() == (None, None)
    # It is read when it is loaded.
    context = defaults_of(module)
    environment.delenv("SSL_CERT_FILE")
    assert Pair(server_context(ssl), context).handshake() == (None, None)


@MODULES
def test_directories_that_the_environment_names(module, environment, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.pem").write_bytes(authority().pem)
    rehashed(folder)
    environment.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}{os.pathsep}{folder}")
    assert Pair(server_context(ssl), defaults_of(module)).handshake() == (None, None)


@MODULES
def test_nothing_that_the_environment_names_is_there(module, environment):
    """Then nobody is believed."""
    assert Pair(server_context(ssl), defaults_of(module)).handshake()[0][:4] == REFUSED


def test_either_variable_replaces_one_of_two_places(environment):
    found = []
    for module in (ssl, fasths_ssl):
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            with environment.context() as patch:
                patch.delenv(name)
                context = defaults_of(module)
                if module is fasths_ssl:
                    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
                    found.append(len(context._in_directories[1]) > 0)
                else:
                    found.append(os.path.isdir(ssl.get_default_verify_paths().openssl_capath))
    # OpenSSL of Debian has a directory, and no file.
    assert found[2:] == [False, found[1]]


def test_the_platform_is_read_once(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    stores = [defaults_of(fasths_ssl)._trust_store() for _ in range(2)]
    assert stores[0] is stores[1]
    context = defaults_of(fasths_ssl)
    context.load_verify_locations(cadata=authority().pem.decode())
    assert len(context._trust_store()) == len(stores[0]) + 1
    assert Pair(server_context(ssl), context).handshake() == (None, None)
