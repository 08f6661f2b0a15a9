"""Each setting of an SSLContext, and what it does to connections: as in the standard library."""

from __future__ import annotations

import os
import ssl
import sys

import pki
import pytest
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
    with_settings,
)

from fasths import ssl as fasths_ssl

REFUSED = ("SSLCertVerificationError", 1, "SSL", "CERTIFICATE_VERIFY_FAILED")
NO_CERTIFICATE = ("SSLError", 1, "SSL", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
TLSv1_2, TLSv1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def show(context, made=None):
    """Let a client have a certificate."""
    context.load_cert_chain(file_of(made or leaf("someone")))
    return context


def trusting(context, root=None):
    context.load_verify_locations(cadata=(root or authority()).pem.decode())
    return context


# --- Who is believed


@alike
def test_a_server_that_nobody_vouches_for(server, client):
    pair = Pair(server_context(server), client_context(client, pki.make_ca("another")))
    refused = pair.handshake()
    assert refused[0][:4] == REFUSED
    return refused


@alike
@pytest.mark.parametrize("name", ["LOCALHOST", "127.0.0.1", "::1"])
def test_the_name_of_the_server(server, client, name):
    outcome = Pair(server_context(server), client_context(client), name).handshake()
    assert outcome == (None, None)
    return outcome


@alike
@pytest.mark.parametrize("name", ["example.org", "127.0.0.2", "::2", "local", "a.localhost"])
def test_another_name(server, client, name):
    refused = Pair(server_context(server), client_context(client), name).handshake()
    assert refused[0][:4] == REFUSED
    return refused


@alike
def test_a_name_may_be_bytes_or_international(server, client):
    made = leaf("xn--mnchen-3ya.de")
    context = client_context(client)
    return [
        Pair(server_context(server, made), context, name).handshake()
        for name in ("münchen.de", b"xn--mnchen-3ya.de", "example.de", b"localhost")
    ]


@alike
def test_names_that_cannot_be_used(server, client):
    context = client_context(client)
    names = ("", ".localhost", "a\0b", b"", b".localhost")
    outcomes = [result_of(Pair, server_context(server), context, name) for name in names]
    return [each[0] if isinstance(each, tuple) else None for each in outcomes]


@alike
def test_without_check_hostname_any_name_will_do(server, client):
    context = client_context(client, check_hostname=False)
    outcomes = [Pair(server_context(server), context, name).handshake() for name in ("a.b", None)]
    context.check_hostname = True
    refused = Pair(server_context(server), context, "a.b").handshake()
    assert refused[0][:4] == REFUSED
    return outcomes, refused


def test_what_is_not_checked_need_not_be_a_name():
    context = client_context(fasths_ssl, check_hostname=False)
    for name in ("localhost:443", "*.example.org", "two words"):
        assert Pair(server_context(ssl), context, name).handshake() == (None, None)
        with pytest.raises(ValueError, match="not a host name"):
            Pair(server_context(ssl), client_context(fasths_ssl), name)


def test_a_name_that_is_to_be_checked_has_to_be_given():
    pair = Pair(server_context(ssl), client_context(fasths_ssl), None)
    with pytest.raises(ValueError, match="server_hostname"):
        pair.client.do_handshake()


@alike
def test_nobody_is_verified_where_the_context_says_so(server, client):
    context = client_context(client, pki.make_ca("another"), check_hostname=False)
    context.verify_mode = ssl.CERT_NONE
    pair = Pair(server_context(server), context).connect()
    return pair.client.getpeercert(), pair.client.getpeercert(binary_form=True)


@alike
@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
def test_a_client_does_not_know_optional(server, client, mode):
    context = client_context(client, pki.make_ca("another"), verify_mode=mode)
    refused = Pair(server_context(server), context).handshake()
    assert refused[0][:4] == REFUSED
    return refused


@alike
@pytest.mark.parametrize("mode", list(ssl.VerifyMode))
@pytest.mark.parametrize("shown", ["nothing", "good", "unknown"])
def test_a_server_asks_for_certificates(server, client, mode, shown):
    answering = client_context(client)
    if shown != "nothing":
        made = leaf("someone") if shown == "good" else pki.make_leaf(["someone"])
        show(answering, made)
    asking = trusting(server_context(server, verify_mode=mode))
    pair = Pair(asking, answering)
    outcome = pair.handshake()
    if mode == ssl.CERT_REQUIRED and shown == "nothing":
        assert outcome[1][:4] == NO_CERTIFICATE
    peer = pair.server.getpeercert() if outcome[1] is None else None
    assert bool(peer) == (mode != ssl.CERT_NONE and shown == "good")
    # OpenSSL 3.0 tells clients unknown_ca for what newer ones call bad_certificate.
    return outcome[1], (peer or {}).get("subjectAltName")


@alike
def test_check_hostname_needs_verification(server, client):
    context = client_context(client)
    refused = result_of(setattr, context, "verify_mode", ssl.CERT_NONE)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.check_hostname = True
    assert context.verify_mode == ssl.CERT_REQUIRED
    return refused, Pair(server_context(server), context, "a.b").handshake()


@alike
def test_settings_change_what_later_connections_do(server, client):
    """Whatever a context was used for before."""
    answering, asking = client_context(client), server_context(server)
    outcomes = [Pair(asking, answering).handshake()]
    asking.verify_mode = ssl.CERT_REQUIRED
    outcomes.append(Pair(asking, answering).handshake())
    show(answering)
    outcomes.append(Pair(asking, answering).handshake()[1][:4])
    trusting(asking)
    outcomes.append(Pair(asking, answering).handshake())
    answering.check_hostname = False
    outcomes.append(Pair(asking, answering, "example.org").handshake())
    answering.check_hostname = True
    outcomes.append(Pair(asking, answering, "example.org").handshake()[0])
    asking.load_cert_chain(file_of(leaf("example.org", "ecdsa384")))
    outcomes.append(Pair(asking, answering, "example.org").handshake())
    return outcomes


# --- verify_flags


@alike
def test_revocation_lists_that_are_not_there(server, client):
    outcomes = []
    for flag in (ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN):
        context = client_context(client)
        context.verify_flags |= flag
        outcomes.append(Pair(server_context(server), context).handshake())
        assert outcomes[-1][0][:4] == REFUSED
    return outcomes


def chain_of_three():
    root = pki.make_ca("root")
    middle = pki.make_ca("middle", issuer=root)
    return root, middle, pki.make_leaf([HOST], issuer=middle)


@alike
def test_partial_chains(server, client):
    """Without VERIFY_X509_PARTIAL_CHAIN a chain has to lead to a root."""
    root, middle, made = chain_of_three()
    context = client_context(client, middle)
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    refused = Pair(server_context(server, made), context).handshake()[0]
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    outcomes = [Pair(server_context(server, made), context).handshake()]
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting(context, root)
    outcomes.append(Pair(server_context(server, made), context).handshake())
    assert refused[:4] == REFUSED
    return refused[:4], outcomes


@alike
def test_an_expired_root_above_an_authority_that_is_trusted(server, client):
    day = pki._DAY
    now = made_at = pki.datetime.now(pki.UTC)
    root = pki.make_ca("root", not_before=now - 9 * day, not_after=made_at - day)
    middle = pki.make_ca("middle", issuer=root)
    context = trusting(client_context(client, middle), root)
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    refused = Pair(server_context(server, pki.make_leaf(issuer=middle)), context).handshake()[0]
    assert refused[:4] == REFUSED
    return refused


@alike
def test_a_leaf_that_is_trusted_itself(server, client):
    made = leaf()
    self_signed = pki.make_leaf()
    outcomes = []
    for each in (made, self_signed):
        context = client_context(client, each)
        for flags in (0, ssl.VERIFY_X509_PARTIAL_CHAIN):
            context.verify_flags = flags
            outcome = Pair(server_context(server, each), context).handshake()[0]
            outcomes.append(outcome and outcome[:4])
    assert outcomes == [REFUSED, None, None, None]
    return outcomes


# --- Versions, suites, groups, signature algorithms


@alike
def test_versions(server, client):
    return [
        (
            pair := Pair(
                server_context(server),
                client_context(client, minimum_version=low, maximum_version=high),
            )
        )
        and (pair.handshake(), pair.client.version())
        for low, high in (
            (TLSv1_2, TLSv1_2),
            (TLSv1_3, TLSv1_3),
            (TLSv1_2, TLSv1_3),
            (ssl.TLSVersion.MINIMUM_SUPPORTED, TLSv1_2),
            (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED),
            (TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
        )
    ]


@pytest.mark.filterwarnings("ignore:ssl.OP_NO:DeprecationWarning")
@alike
def test_versions_turned_off_by_options(server, client):
    outcomes = []
    for option in (ssl.OP_NO_TLSv1_3, ssl.OP_NO_TLSv1_2):
        for by_server in (False, True):
            contexts = server_context(server), client_context(client)
            contexts[not by_server].options |= option
            pair = Pair(*contexts)
            outcomes.append((pair.handshake(), pair.client.version(), pair.server.version()))
    assert [each[1] for each in outcomes] == ["TLSv1.2", "TLSv1.2", "TLSv1.3", "TLSv1.3"]
    return outcomes


@alike
def test_no_version_in_common(server, client):
    outcomes = []
    for low, high in ((TLSv1_3, TLSv1_2), (TLSv1_2, TLSv1_3)):
        pair = Pair(
            server_context(server, minimum_version=low, maximum_version=low),
            client_context(client, minimum_version=high, maximum_version=high),
        )
        outcomes.append(pair.handshake())
        assert None not in outcomes[-1]
    return outcomes


def test_versions_that_there_are_not():
    context = client_context(fasths_ssl)
    with pytest.warns(DeprecationWarning, match=r"TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"fasths has TLS 1\.2 and 1\.3") as caught:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=HOST)
    assert caught.value.reason == "NO_PROTOCOLS_AVAILABLE"


@alike
def test_cipher_strings(server, client):
    outcomes = []
    for ciphers in ("ECDHE+CHACHA20", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE+AESGCM:!AES128"):
        for by_server in (False, True):
            contexts = (
                server_context(server, maximum_version=TLSv1_2),
                client_context(client, maximum_version=TLSv1_2),
            )
            contexts[not by_server].set_ciphers(ciphers)
            pair = Pair(*contexts).connect()
            outcomes.append((pair.client.cipher(), pair.server.cipher()))
    return outcomes


@alike
def test_no_cipher_in_common(server, client):
    contexts = server_context(server), client_context(client, maximum_version=TLSv1_2)
    contexts[0].set_ciphers("ECDHE+AES256")
    contexts[1].set_ciphers("ECDHE+CHACHA20")
    outcome = Pair(*contexts).handshake()
    assert outcome[1][3] == "NO_SHARED_CIPHER"
    return outcome


def test_cipher_strings_that_select_nothing():
    context = client_context(fasths_ssl)
    before = context.get_ciphers()
    for ciphers in ("DHE-RSA-AES256-GCM-SHA384", "nothing at all"):
        with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
            context.set_ciphers(ciphers)
        assert context.get_ciphers() == before
    known = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_ciphers()
    assert [each for each in known if each in before] == before


def test_suites_of_tls13():
    suites = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]
    context = client_context(fasths_ssl)
    context.set_ciphersuites(":".join(suites))
    assert [each["name"] for each in context.get_ciphers()][:3][:2] == suites
    pair = Pair(server_context(ssl), context).connect()
    assert pair.client.cipher()[0] in suites
    offered = {each[0] for each in pair.server.shared_ciphers() if each[1] == "TLSv1.3"}
    assert offered == set(suites)
    for wrong in ("", "TLS_NULL", "TLS_AES_128_GCM_SHA256:"):
        with pytest.raises(ssl.SSLError):
            context.set_ciphersuites(wrong)


def test_groups():
    answering, asking = server_context(fasths_ssl), client_context(fasths_ssl)
    asking.set_groups("P-384:?unheard-of:x25519")
    answering.set_groups("secp384r1")
    pair = Pair(answering, asking).connect()
    assert pair.client.group() == pair.server.group() == "secp384r1"
    answering.set_groups("X25519")
    assert Pair(answering, asking).connect().client.group() == "x25519"
    answering.set_groups("P-521")
    assert Pair(answering, asking).handshake()[1][3] == "NO_SUITABLE_KEY_SHARE"
    with pytest.raises(ssl.SSLError, match="unheard-of"):
        asking.set_groups("unheard-of")
    assert set(asking.get_groups()) < set(asking.get_groups(include_aliases=True))


@alike
def test_the_curve_of_old(server, client):
    outcomes = []
    for by_server in (False, True):
        contexts = server_context(server), client_context(client)
        contexts[not by_server].set_ecdh_curve("secp384r1")
        outcomes.append(Pair(*contexts).handshake())
        contexts[by_server].set_ecdh_curve("prime256v1")
        outcomes.append(Pair(*contexts).handshake())
    assert outcomes[0] == outcomes[2] == (None, None)
    assert None not in (*outcomes[1], *outcomes[3])
    return outcomes[::2]


def test_signature_algorithms():
    answering = server_context(fasths_ssl, leaf(HOST, "rsa"))
    asking = client_context(fasths_ssl)
    asking.set_server_sigalgs("rsa_pss_rsae_sha384:ecdsa_secp256r1_sha256")
    pair = Pair(answering, asking).connect()
    assert pair.client.server_sigalg() == "rsa_pss_rsae_sha384"
    assert pair.client.client_sigalg() is None
    asking.set_server_sigalgs("ecdsa_secp256r1_sha256")
    assert Pair(answering, asking).handshake()[1][3] == "NO_SUITABLE_SIGNATURE_ALGORITHM"
    asking = show(client_context(fasths_ssl))
    answering = trusting(server_context(fasths_ssl, verify_mode=ssl.CERT_REQUIRED))
    answering.set_client_sigalgs("ECDSA+SHA256")
    pair = Pair(answering, asking).connect()
    assert pair.server.client_sigalg() == "ecdsa_secp256r1_sha256"
    with pytest.raises(ssl.SSLError, match="unheard-of"):
        answering.set_client_sigalgs("unheard-of")
    assert "ed25519" in fasths_ssl.get_sigalgs()


@alike
@pytest.mark.parametrize("offered", [None, ["h2", "http/1.1"], ["http/1.1"], ["other"]])
@pytest.mark.parametrize("known", [None, ["http/1.1", "h2"], ["h2"]])
def test_alpn(server, client, offered, known):
    contexts = server_context(server), client_context(client)
    for context, protocols in zip(contexts, (known, offered), strict=True):
        if protocols:
            context.set_alpn_protocols(iter(protocols))
    pair = Pair(*contexts).connect()
    chosen = pair.client.selected_alpn_protocol()
    assert chosen == pair.server.selected_alpn_protocol()
    return "nothing" if chosen is None else chosen


@alike
def test_a_context_can_be_asked(server, client):
    context = client_context(client)
    stats, certificates = context.cert_store_stats(), context.get_ca_certs()
    assert stats == {"x509": 1, "x509_ca": 1, "crl": 0}
    return stats, certificates, context.get_ca_certs(binary_form=True), context.session_stats()


@alike
def test_secrets_are_logged(server, client, tmp_path_factory):
    labels = []
    for version in (TLSv1_2, TLSv1_3):
        path = tmp_path_factory.mktemp("keys") / "log"
        context = client_context(client, maximum_version=version, keylog_filename=str(path))
        Pair(server_context(server), context).connect().exchange()
        lines = path.read_text().splitlines()
        labels.append(sorted(line.split()[0] for line in lines if not line.startswith("#")))
        context.keylog_filename = None
        Pair(server_context(server), context).connect()
        assert path.read_text().splitlines() == lines
    return [set(each) - {"EXPORTER_SECRET"} for each in labels]


def test_the_file_for_secrets_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "log"))
    context = fasths_ssl.create_default_context(cadata=authority().pem.decode())
    Pair(server_context(ssl), context).connect()
    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "log").read_text()


def test_the_class_and_where_it_is_found():
    context = fasths_ssl.create_default_context()
    assert isinstance(context, ssl.SSLContext)
    assert context.sslsocket_class is fasths_ssl.SSLSocket
    assert context.sslobject_class is fasths_ssl.SSLObject
    assert sys.modules["ssl"] is ssl
    assert os.environ.get("SSLKEYLOGFILE") == context.keylog_filename
    assert with_settings(context, {"options": 0}).options == 0
