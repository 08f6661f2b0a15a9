"""The scripted peer against itself and against RFC 8448: resumption, early data and the rest.

It judges connections by what it computes itself. Here both of its roles have to agree, with the
published values and with each other, and to notice what is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import pki
import pytest
import rfc8448
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import x25519
from helpers import TLS13_SUITES
from refusals import changed, credential
from rfc8448 import RESUMED, SIMPLE
from scripted_certificates import (
    BROTLI,
    OCSP,
    RAW_PUBLIC_KEY,
    ZLIB,
    ZSTD,
    certificate_status,
    public_key_info,
    timestamp_list,
)
from scripted_keys import SUITES, TrafficKey
from scripted_messages import (
    Certificate,
    EncryptedExtensions,
    NewSessionTicket,
    parse_message,
    u16,
    u32,
    vector,
)
from scripted_pair import ScriptedPair
from scripted_peer import (
    MAX_PLAINTEXT,
    ScriptedClient,
    ScriptedServer,
    before,
    instead,
    put,
    with_extension,
)
from scripted_psk import (
    IMPORTED,
    PSK_DHE_KE,
    PSK_KE,
    OfferedPsks,
    external_psk,
    imported_psk,
    resumption_psk,
)

from fasths import CipherSuite, ContentType, ExtensionType, HandshakeType, NamedGroup

E = ExtensionType
P256 = NamedGroup.secp256r1
SHA256_SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_CHACHA20_POLY1305_SHA256)
KEY = bytes(range(32))
EARLY = [b"early ", b"", b"data", b"!" * MAX_PLAINTEXT]


def new_psk(**options):
    """The PSK of a ticket of another connection, on which both sides agree."""
    suite = options.pop("suite", None)
    pair = ScriptedPair({"suites": [suite] if suite else tuple(SUITES)}).handshake()
    psk = pair.server.send_ticket(**options)
    pair.settle()
    (of_client,) = pair.client.resumption_psks()
    assert replace(of_client, since=0) == replace(psk, since=0)
    return psk


def resumed(psk, client=None, server=None):
    """A pair after a handshake with this PSK."""
    pair = ScriptedPair({"psks": [psk], **(client or {})}, {"psks": [psk], **(server or {})})
    return pair.handshake()


def assert_used(pair, psk, selected_identity=0):
    for peer in (pair.client, pair.server):
        assert peer.psk == psk
        assert peer.selected_identity == selected_identity
        assert peer.peer_chain == []


# --- RFC 8448, 3 and 4


def trace_psk():
    first, second = rfc8448.traces()[SIMPLE], rfc8448.traces()[RESUMED]
    ticket = parse_message(first.message("server", HandshakeType.new_session_ticket))
    psk = resumption_psk(SUITES[0x1301], first.secret("res master"), ticket)
    return psk, ticket, first, second


def test_psk_of_the_trace():
    psk, ticket, first, second = trace_psk()
    assert psk.key == first.one('generate resumption secret "tls13 resumption"')["expanded"]
    assert psk.key == second.one('extract secret "early"')["IKM"]
    assert psk.early_secret() == second.extracted("early")
    assert psk.max_early_data_size == 1024
    assert psk.identity == ticket.ticket


def test_binder_of_the_trace():
    psk, _, _, trace = trace_psk()
    message = trace.message("client", HandshakeType.client_hello)
    hello = parse_message(message)
    assert hello.encode() == message
    offered = OfferedPsks.parse(hello.extension(E.pre_shared_key))
    assert offered.encode() == hello.extension(E.pre_shared_key)
    stated = trace.one("calculate PSK binder")
    truncated = offered.truncated(message)
    assert truncated == stated["ClientHello prefix"]
    assert [psk.binder(truncated)] == offered.binders == [stated["finished"]]
    ((identity, obfuscated_ticket_age),) = offered.identities
    assert identity == psk.identity
    # A few seconds.
    assert (obfuscated_ticket_age - psk.ticket_age_add) % (1 << 32) < 10_000


def test_early_secrets_of_the_trace():
    psk, _, _, trace = trace_psk()
    hello = trace.message("client", HandshakeType.client_hello)
    key = psk.client_early_traffic_key(hello)
    assert key.secret == trace.secret("c e traffic")
    assert psk.early_exporter_secret(hello) == trace.secret("e exp master")
    early = [each for each in trace.records() if each.epoch == "early application data"]
    assert [each.content_type for each in early] == [
        ContentType.application_data,
        ContentType.handshake,
    ]
    for record in early:
        assert key.seal(record.content_type, record.payload) == record.complete


class Played:
    """A connection and a BIO that say what one side of a trace says."""

    established = False

    def __init__(self, flights):
        self.flights = flights
        self.written = b""

    def write(self, data):
        self.written += data

    def read(self):
        return self.flights.pop(0) if self.flights else b""

    def do_handshake(self):
        return -1

    def get_error(self, result):
        return 2

    def read_early_data(self):
        return None


def sent(trace, side, *, handshake=True):
    """The records of one side of a trace; handshake: only those up to its Finished."""
    records = [each for each in trace.records() if each.side == side]
    if handshake:
        records = [each for each in records if each.epoch != "application data"]
    return b"".join(each.complete for each in records)


def test_scripted_client_says_what_the_trace_says():
    psk, _, _, trace = trace_psk()
    hello = trace.message("client", HandshakeType.client_hello)
    offered = parse_message(hello)
    private_key = trace.private_keys("client")[0]["private key"]
    early, *_ = trace.all("send application_data record", "client")

    def client_hello(peer, message):
        peer.hello = offered
        peer.private_keys[NamedGroup.x25519] = x25519.X25519PrivateKey.from_private_bytes(
            private_key
        )
        peer.transcript = hello
        peer.send_record(ContentType.handshake, hello, version=0x0301)
        return []

    played = Played([sent(trace, "server")])
    client = ScriptedClient(
        played,
        played,
        psks=[psk],
        early_data=[early["payload"]],
        compatibility=False,
        record_size_limit=int.from_bytes(offered.extension(E.record_size_limit), "big"),
        at={"client_hello": client_hello},
    )
    client.handshake()
    assert client.early_data_accepted is True
    assert client.early_exporter_secret == trace.secret("e exp master")
    assert client.exporter_secret == trace.secret("exp master")
    assert client.resumption_secret == trace.secret("res master")
    assert played.written == sent(trace, "client")
    (data,) = trace.all("send application_data record", "server")
    client.incoming += data["complete record"]
    client.take_records()
    assert client.data == data["payload"]


class TraceServer(ScriptedServer):
    """With the shared secret of the trace in the place of its own."""

    shared_secret: bytes

    def derive_handshake_keys(self, shared_secret):
        super().derive_handshake_keys(self.shared_secret)


def test_scripted_server_says_what_the_trace_says():
    psk, _, _, trace = trace_psk()
    flight = sent(trace, "client")
    hello = next(rfc8448.split_records(flight))
    # Early data comes along with ClientHello; EndOfEarlyData and Finished come later.
    early = next(rfc8448.split_records(flight[len(hello) :]))
    played = Played([hello + early, flight[len(hello + early) :]])
    server = TraceServer(
        played,
        played,
        psks=[psk],
        accept_early_data=True,
        compatibility=False,
        at={
            "server_hello": instead(trace.message("server", HandshakeType.server_hello)),
            "encrypted_extensions": instead(
                trace.message("server", HandshakeType.encrypted_extensions)
            ),
        },
    )
    server.shared_secret = trace.one('extract secret "handshake"')["IKM"]
    server.handshake()
    assert server.psk == psk
    assert server.early_data_accepted is True
    assert server.early_data_read == trace.all("send application_data record")[0]["payload"]
    assert server.exporter_secret == trace.secret("exp master")
    assert server.resumption_secret == trace.secret("res master")
    assert played.written == sent(trace, "server")


# --- Pre-shared keys


def test_full_handshake():
    pair = ScriptedPair().handshake()
    assert pair.client.psk is pair.server.psk is None
    assert pair.client.peer_chain == credential().chain_der
    assert pair.client.resumption_secret == pair.server.resumption_secret
    assert pair.client.exporter_secret == pair.server.exporter_secret


@pytest.mark.parametrize("suite", TLS13_SUITES, ids=lambda each: each.name)
@pytest.mark.parametrize("modes", [(PSK_DHE_KE,), (PSK_KE,), (PSK_KE, PSK_DHE_KE)])
def test_resumption(suite, modes):
    psk = new_psk(suite=suite)
    pair = resumed(psk, {"psk_modes": modes})
    assert_used(pair, psk)
    assert pair.server.psk_mode == modes[-1]
    # And once more, with a ticket of a resumed connection.
    again = pair.server.send_ticket()
    pair.settle()
    assert again.key != psk.key
    assert_used(resumed(again), again)


def test_mode_that_the_server_prefers():
    psk = new_psk()
    pair = resumed(psk, {"psk_modes": (PSK_DHE_KE, PSK_KE)}, {"psk_modes": (PSK_KE,)})
    assert pair.server.psk_mode == PSK_KE
    pair = resumed(psk, server={"psk_modes": (PSK_KE,)})
    assert pair.server.psk is None


def test_resumption_with_another_suite_of_the_same_hash():
    psk = new_psk(suite=SHA256_SUITES[0])
    pair = resumed(psk, {"suites": [SHA256_SUITES[1]]})
    assert_used(pair, psk)
    assert pair.client.suite.code == SHA256_SUITES[1]


def test_psk_of_another_hash_is_not_used():
    psk = new_psk(suite=CipherSuite.TLS_AES_256_GCM_SHA384)
    assert resumed(psk, {"suites": SHA256_SUITES}).client.psk is None


def test_unknown_psk_is_not_used():
    pair = ScriptedPair({"psks": [new_psk()]}, {"psks": [new_psk()]}).handshake()
    assert pair.client.psk is pair.server.psk is None
    assert pair.server.offered.identities


def test_several_identities():
    psks = [new_psk(), new_psk(suite=CipherSuite.TLS_AES_256_GCM_SHA384), new_psk()]
    for i, psk in enumerate(psks):
        pair = ScriptedPair({"psks": psks}, {"psks": [psk]}).handshake()
        assert_used(pair, psk, i)


def test_external_and_imported_psks():
    psks = [
        external_psk(b"external", KEY),
        external_psk(b"external of another hash", KEY, "sha384"),
        imported_psk(b"external", KEY, b"context"),
        imported_psk(b"external", KEY, b"context", target="sha384"),
        imported_psk(b"external", KEY, hash="sha384"),
    ]
    assert len({psk.identity for psk in psks}) == len({psk.key for psk in psks[2:]}) + 2 == 5
    for i, psk in enumerate(psks):
        pair = ScriptedPair({"psks": psks}, {"psks": [psk]}).handshake()
        assert_used(pair, psk, i)
        assert pair.server.offered.identities[i] == (psk.identity, 0)


def test_imported_identity():
    # RFC 9258, 5.1
    psk = imported_psk(b"external identity", KEY, b"context", target="sha384")
    assert psk.identity == bytes.fromhex("0011") + b"external identity" + bytes.fromhex(
        "0007"
    ) + b"context" + bytes.fromhex("03040002")
    assert len(psk.key) == 48
    assert psk.binder_label == IMPORTED
    assert psk.key != imported_psk(b"external identity", KEY, b"", target="sha384").key


def test_obfuscated_ticket_age():
    psk = new_psk(ticket_age_add=0xFFFFFFFF)
    pair = resumed(replace(psk, age=5))
    assert pair.server.offered.identities == [(psk.identity, 4)]
    psk = replace(psk, ticket_age_add=1_000_000, since=psk.since - 100)
    assert 1_100_000 <= psk.obfuscated_ticket_age() < 1_160_000


@pytest.mark.parametrize("options", [{"retry": P256}, {"cookie": b"c"}], ids=["group", "cookie"])
def test_resumption_after_hello_retry_request(options):
    psk = new_psk()
    pair = resumed(psk, server=options)
    assert_used(pair, psk)
    first, second = pair.server.first_hello, pair.server.hello
    assert first.extension(E.pre_shared_key) != second.extension(E.pre_shared_key)


def test_hello_retry_request_of_another_hash():
    psks = [new_psk(suite=suite) for suite in SUITES]
    suite = CipherSuite.TLS_AES_256_GCM_SHA384
    pair = ScriptedPair({"psks": psks}, {"psks": psks, "retry": P256, "suite": suite}).handshake()
    assert_used(pair, psks[1])
    assert len(pair.server.offered.identities) == 1


# --- Early data (RFC 8446, 4.2.10 and 4.5)


def early_pair(psk, client=None, server=None):
    return resumed(
        psk,
        {"early_data": EARLY, **(client or {})},
        {"accept_early_data": True, **(server or {})},
    )


@pytest.mark.parametrize("suite", TLS13_SUITES, ids=lambda each: each.name)
@pytest.mark.parametrize("mode", [PSK_DHE_KE, PSK_KE])
@pytest.mark.parametrize("compatibility", [True, False])
def test_early_data_is_accepted(suite, mode, compatibility):
    psk = new_psk(suite=suite, max_early_data_size=1 << 20)
    assert psk.max_early_data_size == 1 << 20
    pair = early_pair(psk, {"psk_modes": (mode,), "compatibility": compatibility})
    assert_used(pair, psk)
    assert pair.client.early_data_accepted is pair.server.early_data_accepted is True
    assert pair.server.early_data_read == b"".join(EARLY)
    assert pair.server.data == b"of the client"
    assert pair.client.early_exporter_secret == pair.server.early_exporter_secret
    assert pair.client.client_early.secret == pair.server.client_early.secret


def test_early_data_behind_the_servers_flight():
    late = before(lambda peer: peer.send_data(b"late", key=peer.client_early))
    pair = early_pair(new_psk(), {"early_data": [b"soon, "], "at": {"end_of_early_data": late}})
    assert pair.server.early_data_read == b"soon, late"


def test_data_of_the_server_before_the_clients_finished():
    psk = new_psk()
    pair = ScriptedPair(
        {"psks": [psk], "early_data": [b"question"]}, {"psks": [psk], "accept_early_data": True}
    )
    server = pair.server

    def script():
        server.read_client_hello()
        server.send_server_hello()
        server.send_encrypted_flight()
        server.send_data(b"answer")
        server.read_client_flight()
        server.settle()

    pair.play(pair.client.handshake, script)
    assert (server.early_data_read, pair.client.data) == (b"question", b"answer")


@pytest.mark.parametrize("known", [True, False], ids=["known PSK", "unknown PSK"])
@pytest.mark.parametrize(
    "server", [{}, {"retry": P256}, {"cookie": b"c"}], ids=["skipped", "retry", "cookie"]
)
def test_early_data_is_rejected(known, server):
    psk = new_psk()
    pair = early_pair(psk, server={"psks": [psk] * known, "accept_early_data": False, **server})
    assert pair.client.psk == pair.server.psk == (psk if known else None)
    assert pair.client.early_data_accepted is pair.server.early_data_accepted is False
    assert pair.server.early_data_read == b"".join(EARLY) * known
    assert pair.server.skipped_records == len(EARLY) * (not known)
    assert pair.server.data == b"of the client"


def test_early_data_is_for_the_first_psk_and_its_suite():
    psks = [new_psk(suite=SHA256_SUITES[0]), new_psk()]
    client = {"psks": psks, "early_data": [b"x"]}
    pair = ScriptedPair(client, {"psks": psks[1:], "accept_early_data": True}).handshake()
    assert_used(pair, psks[1], 1)
    assert pair.client.early_data_accepted is False
    pair = early_pair(psks[0], {"suites": [SHA256_SUITES[1]]})
    assert_used(pair, psks[0])
    assert pair.client.early_data_accepted is False


# --- What each notices of the other


def assert_noticed(words, client=None, server=None):
    with pytest.raises(AssertionError, match=words):
        ScriptedPair(client, server).handshake()


def test_wrong_binder_is_noticed():
    psk = new_psk()
    wrong = put(binders=lambda old: [changed(old[0])])
    words = "a binder is wrong"
    assert_noticed(words, {"psks": [psk], "at": {"binders": wrong}}, {"psks": [psk]})
    assert_noticed(
        words, {"psks": [psk], "at": {"second_binders": wrong}}, {"psks": [psk], "retry": P256}
    )
    external = external_psk(b"external", KEY)
    imported = replace(external, binder_label=IMPORTED)
    assert_noticed(words, {"psks": [imported]}, {"psks": [external]})


def test_changed_client_hello_is_noticed():
    psk = new_psk()

    def edit(peer, message):
        data = peer.with_binders(message)
        message.set(E.pre_shared_key, data.encode())
        message.random = bytes(32)

    assert_noticed(
        "a binder is wrong", {"psks": [psk], "at": {"client_hello": edit}}, {"psks": [psk]}
    )


def test_psk_that_is_not_the_last_extension_is_noticed():
    psk = new_psk()

    def edit(peer, message):
        message.extensions.append((0xFAFA, b""))

    words = "it must be the last"
    assert_noticed(words, {"psks": [psk], "at": {"client_hello": edit}}, {"psks": [psk]})


def test_wrong_keys_are_noticed():
    psk = new_psk()
    # Another key under the same name: the binder says so, where there is one to be seen.
    other = replace(psk, key=bytes(32))
    assert_noticed("a binder is wrong", {"psks": [other]}, {"psks": [psk]})
    select = with_extension(E.pre_shared_key, u16(0))
    with pytest.raises(InvalidTag):
        ScriptedPair({"psks": [psk]}, {"at": {"server_hello": select}}).handshake()
    junk = before(lambda peer: peer.send_data(b"x", key=TrafficKey(peer.suite, bytes(32))))
    with pytest.raises(InvalidTag):
        early_pair(psk, {"at": {"end_of_early_data": junk}})


def test_end_of_early_data_is_missed():
    with pytest.raises(AssertionError, match="Finished"):
        early_pair(new_psk(), {"at": {"end_of_early_data": instead()}})


# --- Authentication of the client, also after the handshake


def test_client_is_authenticated_in_the_handshake():
    leaf = credential("rsa")
    pair = ScriptedPair({"credential": leaf}, {"request_certificate": True}).handshake()
    assert pair.server.peer_chain == leaf.chain_der
    pair = ScriptedPair({}, {"request_certificate": True}).handshake()
    assert pair.server.peer_chain == []


def authenticate(pair, context=b"context"):
    pair.server.request_authentication(context)
    pair.settle()
    pair.client.answer_request()
    pair.client.settle()
    pair.server.read_authentication(context)
    pair.exchange()


@pytest.mark.parametrize("with_psk", [True, False], ids=["resumed", "full"])
@pytest.mark.parametrize("key_type", ["ecdsa", "ed25519", None])
def test_client_is_authenticated_after_the_handshake(with_psk, key_type):
    leaf = key_type and credential(key_type)
    psks = [new_psk()] if with_psk else []
    client = {"psks": psks, "post_handshake_auth": True, "credential": leaf}
    pair = ScriptedPair(client, {"psks": psks}).handshake()
    authenticate(pair)
    assert pair.server.peer_chain == (leaf.chain_der if leaf else [])
    assert pair.server.hello.extension(E.post_handshake_auth) == b""
    # What came in between is no part of it, but the keys are those of the moment.
    pair.server.send_ticket()
    pair.client.update_write_key()
    pair.exchange()
    authenticate(pair, b"another")
    ticket = pair.server.send_ticket()
    pair.settle()
    assert_used(resumed(ticket), ticket)


POST_HANDSHAKE = {
    "post_certificate": (put(certificate_request_context=b"?"), AssertionError),
    "post_certificate_verify": (put(signature=changed), InvalidSignature),
    "post_finished": (put(verify_data=changed), AssertionError),
}


@pytest.mark.parametrize("point", POST_HANDSHAKE)
def test_wrong_post_handshake_authentication_is_noticed(point):
    edit, error = POST_HANDSHAKE[point]
    client = {"post_handshake_auth": True, "credential": credential(), "at": {point: edit}}
    pair = ScriptedPair(client).handshake()
    with pytest.raises(error):
        authenticate(pair)


# --- What goes with certificates


@pytest.mark.parametrize("algorithm", [ZLIB, BROTLI, ZSTD])
def test_compressed_certificates(algorithm):
    if algorithm != ZLIB:
        pytest.importorskip("brotli" if algorithm == BROTLI else "zstandard")
    options = {"compress": algorithm, "compression": (ZLIB, BROTLI, ZSTD)}
    pair = ScriptedPair(
        {**options, "credential": credential("rsa")}, {**options, "request_certificate": True}
    ).handshake()
    for peer in (pair.client, pair.server):
        assert peer.peer_compression == algorithm
        assert peer.peer_chain
    assert pair.server.hello.extension(E.compress_certificate) == bytes.fromhex("06000100020003")
    assert pair.client.request.extension(E.compress_certificate) is not None


def test_wrong_compression_is_noticed():
    client = {"compression": (ZLIB,)}
    longer = {"compressed_certificate": put(uncompressed_length=lambda old: old + 1)}
    with pytest.raises(AssertionError):
        ScriptedPair(client, {"compress": ZLIB, "at": longer}).handshake()
    assert_noticed("not offered", {"compression": (BROTLI,)}, {"compress": ZLIB})


def test_raw_public_keys():
    leaf = credential("ed25519")
    pair = ScriptedPair(
        {
            "server_certificate_types": (RAW_PUBLIC_KEY,),
            "client_certificate_types": (RAW_PUBLIC_KEY,),
            "raw_public_key": True,
            "credential": leaf,
        },
        {
            "raw_public_key": True,
            "request_certificate": True,
            "client_certificate_type": RAW_PUBLIC_KEY,
        },
    ).handshake()
    assert pair.client.peer_chain == [public_key_info(credential())]
    assert pair.server.peer_chain == [public_key_info(leaf)]
    types = [(E.server_certificate_type, b"\2"), (E.client_certificate_type, b"\2")]
    assert pair.client.encrypted_extensions.extensions == types


def test_raw_public_keys_are_not_used_unasked():
    pair = ScriptedPair(server={"raw_public_key": True}).handshake()
    assert pair.client.peer_chain == credential().chain_der
    assert pair.client.encrypted_extensions == EncryptedExtensions()
    edit = {"encrypted_extensions": with_extension(E.server_certificate_type, b"\2")}
    with pytest.raises(AssertionError):
        ScriptedPair(server={"at": edit}).handshake()


def test_staples_and_timestamps():
    what = {"ocsp_response": b"response", "timestamps": (b"one", b"two")}
    ask = {"ask_status": True, "ask_timestamps": True}
    pair = ScriptedPair(
        {**what, **ask, "credential": credential()}, {**what, **ask, "request_certificate": True}
    ).handshake()
    expected = {
        E.status_request: certificate_status(b"response"),
        E.signed_certificate_timestamp: timestamp_list(b"one", b"two"),
    }
    assert expected[E.status_request] == bytes([OCSP, 0, 0, 8]) + b"response"
    assert expected[E.signed_certificate_timestamp] == b"\0\x0a\0\3one\0\3two"
    for peer in (pair.client, pair.server):
        assert peer.peer_entry_extensions[0] == expected
        assert not any(peer.peer_entry_extensions[1:])
    assert_noticed("not asked for", {}, {"ocsp_response": b"response"})
    assert_noticed("not asked for", {"ask_status": True}, {"timestamps": [b"timestamp"]})


def test_certificate_authorities():
    names = [pki.name(each).public_bytes() for each in ("one", "two")]
    options = {"certificate_authorities": names}
    pair = ScriptedPair(options, {**options, "request_certificate": True}).handshake()
    data = vector(2, *(vector(2, each) for each in names))
    assert pair.server.hello.extension(E.certificate_authorities) == data
    assert pair.client.request.extension(E.certificate_authorities) == data


# --- Record size limits (RFC 8449)


@pytest.mark.parametrize(("of_client", "of_server"), [(64, 16385), (16385, 64), (100, 100)])
def test_record_size_limits(of_client, of_server):
    options = {"credential": credential(), "padding": 3}
    pair = ScriptedPair(
        {**options, "record_size_limit": of_client},
        {**options, "record_size_limit": of_server, "request_certificate": True},
    ).handshake()
    for peer, limit in ((pair.client, of_client), (pair.server, of_server)):
        sizes = [each.size for each in peer.records if each.outer_type == 23]
        assert max(sizes) <= limit
        assert peer.read_limit == limit
    pair.server.send_data(b"x" * (of_client - 4))
    pair.settle()
    pair.server.send_data(b"x" * (of_client - 3))
    with pytest.raises(AssertionError):
        pair.settle()


@pytest.mark.parametrize(
    "options", [({"record_size_limit": 64}, {}), ({}, {"record_size_limit": 64})]
)
def test_record_size_limit_of_one_side_alone(options):
    pair = ScriptedPair(*options).handshake()
    assert pair.client.read_limit == pair.server.read_limit == MAX_PLAINTEXT + 1


def test_record_size_limit_is_for_the_whole_flight():
    # The records before EncryptedExtensions was read count as well.
    pair = ScriptedPair({"record_size_limit": 64}, {"record_size_limit": 64})
    pair.server.negotiate_record_size_limit = lambda own, other: None
    with pytest.raises(AssertionError, match="longer than the limit"):
        pair.handshake()


# --- Tickets


def test_tickets():
    pair = ScriptedPair().handshake()
    psks = [pair.server.send_ticket(max_early_data_size=i) for i in range(3)]
    pair.settle()
    assert [replace(psk, since=0) for psk in pair.client.resumption_psks()] == [
        replace(psk, since=0) for psk in psks
    ]
    assert len({psk.key for psk in psks}) == 3
    assert [psk.max_early_data_size for psk in psks] == [0, 1, 2]
    assert pair.client.tickets[2].extension(E.early_data) == u32(2)
    pair.server.queue(NewSessionTicket(ticket_lifetime=604801))
    with pytest.raises(AssertionError):
        pair.settle()


def test_server_takes_no_ticket():
    pair = ScriptedPair().handshake()
    pair.client.queue(NewSessionTicket())
    pair.client.settle()
    with pytest.raises(AssertionError):
        pair.server.settle()


def test_answer_to_nobody_is_noticed():
    pair = ScriptedPair({"credential": credential()}).handshake()
    pair.client.queue(Certificate())
    pair.client.settle()
    with pytest.raises(AssertionError):
        pair.server.settle()
