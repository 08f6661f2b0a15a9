"""What contexts ask the application, sessions, and authentication after the handshake."""

from __future__ import annotations

import ssl
import sys

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
)

from fasths import ssl as fasths_ssl

TLSv1_2, TLSv1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLSv1_2, TLSv1_3], ids=["1.2", "1.3"])
OTHER = "other.example"
NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def of_version(version):
    return {"minimum_version": version, "maximum_version": version}


def demanding(context):
    context.load_verify_locations(cadata=authority().pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def showing(context):
    context.load_cert_chain(file_of(leaf("someone")))
    return context


@pytest.fixture
def unraisable(monkeypatch):
    """The exceptions that nobody could be raised to, and whose."""
    told = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda each: told.append((each.exc_type, each.object))
    )
    return told


# --- server_name


def choosing(server, chosen):
    """A context that gives connections to `chosen`."""
    context = server_context(server)

    def choose(sslobject, name, initial):
        assert initial is context
        assert type(sslobject) is server.SSLObject
        if name == OTHER:
            sslobject.context = chosen
            assert sslobject.context is chosen

    context.sni_callback = choose
    return context


@alike
@BOTH_VERSIONS
def test_the_certificate_of_a_chosen_context(server, client, version):
    context = choosing(server, server_context(server, leaf(OTHER)))
    asking = client_context(client, **of_version(version))
    outcomes = [Pair(context, asking, name).handshake() for name in (HOST, OTHER, "third.example")]
    assert outcomes[:2] == [(None, None)] * 2
    context.sni_callback = None
    outcomes.append(Pair(context, asking, OTHER).handshake())
    assert outcomes[3][0] is not None
    return outcomes


@alike
def test_what_the_callback_is_given(server, client):
    seen = []
    context = server_context(server)
    context.sni_callback = lambda sslobject, name, initial: seen.append(
        (sslobject is pair.server, name, initial is context, sslobject.version())
    )
    for name in (HOST, "127.0.0.1", "münchen.de"):
        pair = Pair(context, client_context(client, check_hostname=False), name)
        pair.connect()
    context.sni_callback = None
    context.set_servername_callback(lambda *given: seen.append(given[1]))
    pair = Pair(
        context, client_context(client, check_hostname=False), "xn--mnchen-3ya.de"
    ).connect()
    assert len(seen) == 4
    return seen


@alike
@BOTH_VERSIONS
def test_a_chosen_context_does_not_verify_less(server, client, version):
    """As with OpenSSL the context of the beginning decides; but the chosen one says whom to
    believe."""
    chosen = server_context(server, leaf(OTHER))
    context = demanding(choosing(server, chosen))
    asking = client_context(client, **of_version(version))
    refused = [Pair(context, asking, OTHER).handshake()[1]]
    showing(asking)
    refused.append(Pair(context, asking, OTHER).handshake()[1])
    assert [each[3] for each in refused] == [NO_CERTIFICATE, "CERTIFICATE_VERIFY_FAILED"]
    chosen.load_verify_locations(cadata=authority().pem.decode())
    assert Pair(context, asking, OTHER).handshake() == (None, None)
    return refused


@BOTH_VERSIONS
def test_a_chosen_context_may_verify_more(version):
    """Where it demands a certificate, it gets one; with OpenSSL nobody would be asked."""
    context = choosing(fasths_ssl, demanding(server_context(fasths_ssl, leaf(OTHER))))
    asking = client_context(ssl, **of_version(version))
    assert Pair(context, asking, HOST).handshake() == (None, None)
    assert Pair(context, asking, OTHER).handshake()[1][3] == NO_CERTIFICATE
    showing(asking)
    pair = Pair(context, asking, OTHER).connect()
    assert ("DNS", "someone") in pair.server.getpeercert()["subjectAltName"]


@alike
def test_what_a_chosen_context_does_not_decide(server, client):
    """Versions stay those of the beginning; certificates, ALPN and suites change."""
    chosen = server_context(server, leaf(OTHER))
    chosen.set_alpn_protocols(["chosen"])
    context = choosing(server, chosen)
    context.set_alpn_protocols(["initial"])
    context.minimum_version = TLSv1_3
    asking = client_context(client)
    asking.set_alpn_protocols(["initial", "chosen"])
    protocols = [
        Pair(context, asking, name).connect().server.selected_alpn_protocol()
        for name in (HOST, OTHER)
    ]
    assert protocols == ["initial", "chosen"]
    asking.maximum_version = TLSv1_2
    refused = Pair(context, asking, OTHER).handshake()
    assert refused[1][3] == "UNSUPPORTED_PROTOCOL"
    context.minimum_version = TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    chosen.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    return protocols, refused, Pair(context, asking, OTHER).connect().server.cipher()


def test_settings_of_a_chosen_context_change():
    """And those of the context of the beginning."""
    chosen = server_context(fasths_ssl, leaf(OTHER))
    context = choosing(fasths_ssl, chosen)
    asking = client_context(ssl)
    assert Pair(context, asking, OTHER).handshake() == (None, None)
    demanding(chosen)
    assert Pair(context, asking, OTHER).handshake()[1][3] == NO_CERTIFICATE
    chosen.verify_mode = ssl.CERT_NONE
    assert Pair(context, asking, OTHER).handshake() == (None, None)
    demanding(context)
    assert Pair(context, asking, OTHER).handshake()[1][3] == NO_CERTIFICATE


@alike
@pytest.mark.parametrize(
    "answer",
    [ssl.ALERT_DESCRIPTION_ACCESS_DENIED, ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME, 80, "no", 2.5],
)
def test_a_callback_that_refuses(server, client, answer, unraisable):
    context = server_context(server)
    context.sni_callback = lambda *_: answer
    outcome = Pair(context, client_context(client)).handshake()
    assert outcome[1][3] == "CALLBACK_FAILED"
    kinds = [kind for kind, _ in unraisable]
    unraisable.clear()
    return outcome, kinds


@alike
def test_a_callback_that_raises(server, client, unraisable):
    def fail(*_):
        raise KeyError("callback")

    context = server_context(server)
    context.sni_callback = fail
    outcome = Pair(context, client_context(client)).handshake()
    assert outcome[1][3] == "CALLBACK_FAILED"
    told = [(kind, whose is fail) for kind, whose in unraisable]
    unraisable.clear()
    return outcome, told


def test_a_number_that_is_no_alert(unraisable):
    context = server_context(fasths_ssl)
    context.sni_callback = lambda *_: 1000
    outcome = Pair(context, client_context(ssl)).handshake()
    assert outcome[0][3] == "TLSV1_ALERT_INTERNAL_ERROR"
    assert [kind for kind, _ in unraisable] == [TypeError]


@alike
def test_what_cannot_be_a_callback(server, client):
    context = server_context(server)
    return [
        result_of(setattr, context, "sni_callback", 5),
        result_of(context.set_servername_callback, "text"),
    ]


def test_a_context_of_the_standard_library_cannot_be_chosen(unraisable):
    context = choosing(fasths_ssl, server_context(ssl, leaf(OTHER)))
    assert Pair(context, client_context(ssl), OTHER).handshake()[1][3] == "CALLBACK_FAILED"
    assert [kind for kind, _ in unraisable] == [TypeError]


def test_a_callback_that_uses_the_connection():
    """It sees what there is, and cannot go on with it."""
    seen = []

    def look(sslobject, *_):
        seen.append(sslobject.shared_ciphers()[0][0])
        methods = (
            sslobject.do_handshake,
            sslobject.read,
            sslobject.unwrap,
            sslobject.getpeercert,
            lambda: sslobject.write(b"x"),
        )
        seen.extend(result_of(each)[0] for each in methods)

    context = server_context(fasths_ssl)
    context.sni_callback = look
    Pair(context, client_context(ssl)).connect().exchange()
    in_use, too_early = "RuntimeError", "SSLError"
    assert seen[1:] == [in_use, in_use, too_early, "ValueError", in_use]


# --- Pre-shared keys


def psk_contexts(version=TLSv1_3):
    server = fasths_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = fasths_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    for each in (server, client):
        each.minimum_version = each.maximum_version = version
    return server, client


def test_pre_shared_keys():
    asked = []
    keys = {"someone": b"k" * 32, "other": b"o" * 32}
    server, client = psk_contexts()

    def of_client(hint):
        asked.append(hint)
        return "someone", keys["someone"]

    client.set_psk_client_callback(of_client)
    server.set_psk_server_callback(
        lambda identity: asked.append(identity) or keys[identity], "hint"
    )
    for _ in range(2):
        pair = Pair(server, client).connect().exchange()
        assert pair.client.getpeercert() is None
    assert asked == [None, "someone", None, "someone"]
    # Another key than the server's.
    client.set_psk_client_callback(lambda hint: ("someone", keys["other"]))
    assert Pair(server, client).handshake()[1][3] == "BINDER_DOES_NOT_VERIFY"
    client.set_psk_client_callback(None)
    assert None not in Pair(server, client).handshake()


@pytest.mark.parametrize("answer", [(None, b""), ("someone", b""), None, 5, ("someone", "text")])
def test_a_client_without_a_key(answer, unraisable):
    server, client = psk_contexts()
    client.set_psk_client_callback(lambda hint: answer)
    server.set_psk_server_callback(lambda identity: b"k" * 32)
    assert None not in Pair(server, client).handshake()
    assert bool(unraisable) == (answer is None or answer == 5 or answer[1] == "text")


def test_a_server_that_does_not_know_the_key(unraisable):
    server, client = psk_contexts()
    client.set_psk_client_callback(lambda hint: ("someone", b"k" * 32))

    def fail(identity):
        raise KeyError(identity)

    for callback in (lambda identity: b"", lambda identity: None, fail):
        server.set_psk_server_callback(callback)
        assert None not in Pair(server, client).handshake()
    assert unraisable == [(KeyError, fail)]


def test_who_has_which_callback():
    server, client = psk_contexts()
    with pytest.raises(ssl.SSLError, match="PSK client callback"):
        server.set_psk_client_callback(lambda hint: None)
    with pytest.raises(ssl.SSLError, match="PSK server callback"):
        client.set_psk_server_callback(lambda identity: None)
    for method in (server.set_psk_server_callback, client.set_psk_client_callback):
        with pytest.raises(TypeError):
            method(5)


# --- Sessions


@alike
@BOTH_VERSIONS
def test_sessions(server, client, version):
    answering = server_context(server, **of_version(version))
    asking = client_context(client, **of_version(version))
    first = Pair(answering, asking).connect().exchange()
    session = first.client.session
    second = Pair(answering, asking, session=session).connect().exchange()
    assert second.client.session_reused
    assert second.server.session_reused
    assert second.client.getpeercert() == first.client.getpeercert() != {}
    stats = answering.session_stats(), asking.session_stats()
    others = client_context(client)
    return (
        first.client.session_reused,
        session.has_ticket,
        len(session.id),
        second.client.session == session,
        result_of(Pair, answering, others, session=session),
        result_of(setattr, second.client, "session", session),
        result_of(setattr, second.client, "session", 5),
        [each["connect"] + each["accept"] for each in stats],
        [each["hits"] for each in stats],
        result_of(type(session)),
    )


@BOTH_VERSIONS
@pytest.mark.parametrize("client", [ssl, fasths_ssl], ids=["ssl", "fasths"])
def test_a_server_judges_resumed_clients_again(version, client):
    answering = server_context(fasths_ssl, **of_version(version))
    asking = client_context(client, **of_version(version))
    session = Pair(answering, asking).connect().exchange().client.session
    demanding(answering)
    assert Pair(answering, asking, session=session).handshake()[1][3] == NO_CERTIFICATE
    pair = Pair(answering, showing(asking), session=session).connect()
    assert pair.server.getpeercert()


@BOTH_VERSIONS
def test_a_client_judges_resumed_servers_again(version):
    answering = server_context(ssl, **of_version(version))
    asking = fasths_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    session = Pair(answering, asking).connect().exchange().client.session
    assert Pair(answering, asking, session=session).connect().client.session_reused
    asking.verify_mode = ssl.CERT_REQUIRED
    assert Pair(answering, asking, session=session).handshake()[0][0] == "SSLCertVerificationError"
    asking.load_verify_locations(cadata=authority().pem.decode())
    asking.check_hostname = True
    assert Pair(answering, asking, OTHER, session=session).handshake()[0] is not None


@BOTH_VERSIONS
def test_sessions_of_a_server_that_sends_none(version):
    for setting, value in (("options", ssl.OP_NO_TICKET), ("num_tickets", 0)):
        answering = server_context(fasths_ssl, **of_version(version), **{setting: value})
        pair = Pair(answering, client_context(fasths_ssl)).connect().exchange()
        assert pair.client.session is None


@alike
def test_how_many_tickets(server, client):
    context = server_context(server, **of_version(TLSv1_3))
    outcomes = [context.num_tickets, result_of(setattr, context, "num_tickets", -1)]
    outcomes.append(result_of(setattr, client_context(client), "num_tickets", 3))
    for number in (1, 5):
        context.num_tickets = number
        pair = Pair(context, client_context(client)).connect().exchange()
        outcomes.append(pair.client.session is not None)
    return outcomes


def test_no_more_tickets_than_there_can_be():
    context = server_context(fasths_ssl, num_tickets=300)
    assert Pair(context, client_context(ssl)).connect().exchange().client.session


# --- After the handshake


@alike
def test_a_client_is_asked_later(server, client):
    answering = demanding(server_context(server, post_handshake_auth=True))
    asking = showing(client_context(client, post_handshake_auth=True))
    pair = Pair(answering, asking).connect()
    seen = [pair.server.getpeercert()]
    pair.server.verify_client_post_handshake()
    pair.server.write(b"ask")
    pair.client.read()
    pair.exchange()
    seen.append(pair.server.getpeercert()["subjectAltName"])
    return seen


@alike
def test_who_cannot_be_asked(server, client):
    answering = demanding(server_context(server, post_handshake_auth=True))
    outcomes = []
    for asking in (
        client_context(client),
        client_context(client, post_handshake_auth=True, maximum_version=TLSv1_2),
    ):
        pair = Pair(answering, showing(asking)).connect()
        outcomes.append(result_of(pair.server.verify_client_post_handshake))
        outcomes.append(result_of(pair.client.verify_client_post_handshake))
    assert [each[3] for each in outcomes] == [
        "EXTENSION_NOT_RECEIVED",
        "NOT_SERVER",
        "WRONG_SSL_VERSION",
        "WRONG_SSL_VERSION",
    ]
    return outcomes


@alike
def test_a_client_that_has_nothing_to_show_later(server, client):
    answering = demanding(server_context(server, post_handshake_auth=True))
    asking = client_context(client, post_handshake_auth=True)
    pair = Pair(answering, asking).connect()
    pair.server.verify_client_post_handshake()
    pair.server.write(b"ask")
    pair.client.read()
    pair.client.write(b"nothing")
    refused = result_of(pair.server.read)
    assert refused[3] == NO_CERTIFICATE
    return refused
