"""Handshakes of TLS 1.2 that succeed, against a peer written from the RFCs alone (RFC 5246).

What a connection must accept stands here; what it sends, the scripted peer checks on the way.
"""

from __future__ import annotations

import itertools

import pytest
from refusals import assert_established, credential, identity
from refusals12 import BOTH_VERSIONS, context_of, established, peer_of, peer_with
from scripted12_keys import SUITES12, authentication_of, schemes_of
from scripted12_messages import ECDSA_SIGN, RSA_SIGN
from scripted_messages import TLS12, TLS13, vector
from scripted_peer import (
    all_of,
    before,
    followed_by,
    put,
    with_extension,
    without_extension,
)
from scripted_records import MAX_PLAINTEXT

import fasths
from fasths import (
    CipherSuite,
    ExtensionType,
    NamedGroup,
    SignatureScheme,
    StaplePolicy,
    TLSVersion,
    Verify,
)

E = ExtensionType
S = SignatureScheme
GROUPS = tuple(each for each in NamedGroup if each is not NamedGroup.X25519MLKEM768)
KEY_TYPES = ("ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa-pss", "ed25519", "ed448")
RESUMPTIONS = (None, "ticket", "id")
ALL_GROUPS = {"groups": GROUPS}
both_roles = pytest.mark.parametrize("role", ["client", "server"])
full_and_resumed = pytest.mark.parametrize("resumed", RESUMPTIONS, ids=str)
every_suite = pytest.mark.parametrize(
    "suite", [pytest.param(each, id=CipherSuite(each).name) for each in SUITES12]
)


def options_for(role, suite, key_type=None):
    """(context, options) of a handshake with this suite."""
    if key_type is None:
        key_type = "rsa" if SUITES12[suite].authentication == "rsa" else "ecdsa"
    if role == "client":
        return {}, {"suite": suite, "credential": credential(key_type)}
    return {"identities": [identity(key_type)]}, {"suites": (suite,)}


# --- Every suite, group and scheme


@both_roles
@full_and_resumed
@every_suite
def test_every_suite(role, resumed, suite):
    context, options = options_for(role, suite)
    connection = established(role, context, resumed=resumed, **options).connection
    assert connection.cipher_suite == suite
    assert connection.version is TLSVersion.TLSv1_2


@both_roles
@pytest.mark.parametrize("group", GROUPS, ids=lambda each: each.name)
@every_suite
def test_every_group(role, suite, group):
    # RFC 8422, 5.3: the curve of an ECDSA key would have to be among the groups as well.
    key_type = "rsa" if SUITES12[suite].authentication == "rsa" else "ed25519"
    context, options = options_for(role, suite, key_type)
    options |= {"group": group} if role == "client" else {"groups": (group,)}
    peer = established(role, {**context, "groups": (group,)}, **options)
    assert peer.connection.group is group


def schemes():
    for key_type in KEY_TYPES:
        for scheme in schemes_of(key_type):
            yield pytest.param(key_type, scheme, id=f"{key_type}-{scheme.name}")


@pytest.mark.parametrize(("key_type", "scheme"), list(schemes()))
def test_every_scheme_of_the_peer(key_type, scheme):
    own = {"credential": credential(key_type), "scheme": scheme}
    client = established("client", {"verify": Verify.REQUIRED, **ALL_GROUPS}, **own)
    assert client.connection.signature_scheme is scheme
    server = established("server", {"verify": Verify.REQUIRED, **ALL_GROUPS}, **own)
    assert server.connection.peer_certificates == tuple(credential(key_type).chain_der)


@pytest.mark.parametrize(("key_type", "scheme"), list(schemes()))
def test_every_scheme_of_ones_own(key_type, scheme):
    context = {"identities": [identity(key_type)], **ALL_GROUPS}
    server = established("server", context, schemes=(0x0203, scheme), groups=GROUPS)
    assert server.peer_scheme is server.connection.signature_scheme is scheme
    assert authentication_of(scheme) == server.suite.authentication
    client = established("client", context, request_certificate=True, schemes=(0x0203, scheme))
    assert client.peer_chain == credential(key_type).chain_der


@pytest.mark.parametrize(
    ("types", "key_type"),
    [((RSA_SIGN,), "ecdsa"), ((RSA_SIGN,), "ed25519"), ((ECDSA_SIGN,), "rsa"), ((3, 4), "rsa")],
    ids=str,
)
def test_certificate_that_the_server_does_not_take(types, key_type):
    # RFC 5246, 7.4.6, and RFC 8422, 5.5
    context = {"identities": [identity(key_type)]}
    options = {"request_certificate": True, "certificate_types": bytes(types)}
    assert established("client", context, **options).peer_chain == []


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
def test_certificate_is_chosen_by_type(key_type):
    context = {"identities": [identity(each) for each in ("ecdsa", "rsa", "ed25519")]}
    types = bytes((RSA_SIGN if key_type == "rsa" else ECDSA_SIGN,))
    options = {"request_certificate": True, "certificate_types": types}
    if key_type == "ed25519":
        options["schemes"] = (S.ed25519,)
    assert established("client", context, **options).peer_chain == credential(key_type).chain_der


@pytest.mark.parametrize(
    ("verify", "with_certificate"),
    [(Verify.OPTIONAL, False), (Verify.OPTIONAL, True), (Verify.REQUIRED, True)],
)
def test_server_asks_for_certificate(verify, with_certificate):
    leaf = credential("rsa") if with_certificate else None
    peer = established("server", {"verify": verify}, credential=leaf)
    assert set(peer.request.certificate_types) == {ECDSA_SIGN, RSA_SIGN}
    assert peer.connection.peer_certificates == tuple(leaf.chain_der if leaf else ())


# --- Master secrets and what is made from them (RFC 7627; RFC 5705; RFC 5929)


@both_roles
@every_suite
@full_and_resumed
def test_exporters_agree(role, suite, resumed):
    context, options = options_for(role, suite)
    peer = established(role, context, resumed=resumed, **options)
    connection = peer.connection
    assert connection.extended_master_secret is True
    for data in (None, b"", b"context"):
        expected = peer.export(b"label", data, 50)
        assert connection.export_keying_material("label", data, 50) == expected
    assert connection.channel_binding("tls-unique") == peer.tls_unique


@both_roles
@every_suite
def test_without_extended_master_secret(role, suite):
    context, options = options_for(role, suite)
    peer = established(role, context, extended_master_secret=False, tickets=True, **options)
    connection = peer.connection
    assert connection.extended_master_secret is False
    # RFC 7627, 5.4 and 6.1
    with pytest.raises(RuntimeError):
        connection.export_keying_material("label", None, 50)
    with pytest.raises((RuntimeError, ValueError)):
        connection.channel_binding("tls-unique")
    # RFC 7627, 5.3
    assert connection.session is None
    if role == "server":
        assert peer.session is None
        assert peer.server_hello.extension(E.session_ticket) is None
        assert peer.server_hello.legacy_session_id_echo == b""


# --- Resumption


@pytest.mark.parametrize("resumed", ["ticket", "id"])
@both_roles
def test_resumed_again_and_again(role, resumed):
    context = context_of(role)
    options = {"tickets": resumed == "ticket"}
    if role == "client":
        options["session_id"] = b"x" * 32 * (resumed == "id")
    peer = peer_with(role, context, **options)
    peer.handshake()
    for _ in range(4):
        if role == "client":
            session, known = peer.connection.session, [peer.session]
            peer = peer_with(role, context, session=session, sessions=known, **options)
        else:
            peer = peer_with(role, context, session=peer.session, **options)
        peer.handshake()
        assert peer.resumed
        assert_established(peer)


def test_server_resumes_a_ticket_without_session_id():
    # RFC 5077, 3.4
    assert established("server", resumed="ticket", session_id=b"").resumed


@pytest.mark.parametrize("resumed", ["ticket", "id"])
def test_new_ticket_of_a_resumption(resumed):
    # RFC 5077, 3.3
    peer = established("client", resumed=resumed, tickets=True)
    context = context_of("client")
    again = peer_with("client", context, session=peer.connection.session, sessions=[peer.session])
    again.handshake()
    assert again.hello.extension(E.session_ticket) == peer.session.ticket
    assert again.resumed


@pytest.mark.parametrize("session_id", [b"", b"x" * 32], ids=["", "session id"])
def test_empty_ticket(session_id):
    # RFC 5077, 3.3: the server has changed its mind.
    peer = established(
        "client",
        tickets=True,
        session_id=session_id,
        at={"new_session_ticket": put(ticket=b"")},
    )
    session = peer.connection.session
    assert (session is None) is (not session_id)


def resumable_after(action):
    """Whether a server still knows the session of a connection to which this happens."""
    context = context_of("server")
    first = peer_with("server", context)
    first.handshake()
    action(first)
    second = peer_with("server", context, session=first.session)
    second.offered_session = first.session

    def forget(peer, message):
        peer.was_offered = message.legacy_session_id

    second.at["client_hello"] = forget
    second.handshake()
    assert second.was_offered == first.session.session_id
    return second.resumed


def test_session_ends_with_a_fatal_alert():
    # RFC 5246, 7.2.2
    def received(peer):
        peer.send_alert(40)
        peer.turn()

    def sent(peer):
        peer.send_raw(b"\x17\3\3\0\x40" + bytes(64))
        peer.turn()
        assert peer.connection.last_error is not None

    def closed(peer):
        peer.send_alert(0, 1)
        peer.turn()

    assert not resumable_after(received)
    assert not resumable_after(sent)
    assert resumable_after(closed)
    assert resumable_after(lambda peer: None)


# --- Both versions


@full_and_resumed
def test_client_of_both_versions(resumed):
    peer = established("client", BOTH_VERSIONS, resumed=resumed)
    assert peer.hello.extension(E.supported_versions) is not None


@full_and_resumed
@pytest.mark.parametrize("versions", [None, (TLS12,), (0x7A7A, TLS12)], ids=str)
def test_server_of_both_versions(resumed, versions):
    established("server", BOTH_VERSIONS, resumed=resumed, versions=versions)


@full_and_resumed
def test_client_of_both_versions_at_a_server_of_this_one(resumed):
    established("server", resumed=resumed, versions=(TLS13, TLS12))


# --- Every way of cutting it into records


@both_roles
@full_and_resumed
@pytest.mark.parametrize(
    ("fragment", "coalesce", "chunk"),
    list(itertools.product([1, 3, 37, MAX_PLAINTEXT], [True, False], [None, 2, 6])),
)
def test_fragments(role, resumed, fragment, coalesce, chunk):
    context = {"verify": Verify.REQUIRED} if role == "server" else {}
    options = {"credential": credential()}
    if role == "client":
        options |= {"request_certificate": True, "tickets": True}
    established(
        role,
        context,
        resumed=resumed,
        fragment=fragment,
        coalesce=coalesce,
        chunk=chunk,
        **options,
    )


@both_roles
@pytest.mark.parametrize("suite", [0xC02B, 0xC02C], ids=["128", "256"])
def test_explicit_nonces(role, suite):
    context, options = options_for(role, suite)
    peer = established(
        role, context, explicit_nonce=lambda number: bytes((7, 255 - number)) * 4, **options
    )
    for explicit in (b"12345678", bytes(8), b"\xff" * 8, b"\0" * 7 + b"\1"):
        peer.send_data(b"x", explicit_nonce=explicit)
    peer.settle()
    assert peer.delivered.endswith(b"xxxx")


@both_roles
def test_largest_records(role):
    peer = established(role)
    peer.send_data(b"x" * MAX_PLAINTEXT)
    peer.settle()
    assert peer.delivered.endswith(b"x" * MAX_PLAINTEXT)
    data = b"y" * (MAX_PLAINTEXT * 2 + 1)
    assert peer.connection.write(data) > 0
    peer.settle()
    assert b"y" * MAX_PLAINTEXT in peer.data


@both_roles
@full_and_resumed
def test_data_behind_finished(role, resumed):
    """In the same flight, as soon as the connection has all that it needs."""

    def edit(peer, message):
        peer.send(message)
        peer.send_data(b"at once")
        return []

    if (role == "client") is (resumed is not None):
        # The connection has the last word, and data before it.
        peer = peer_of(role, resumed=resumed, at={"finished": edit})
        peer.handshake()
        assert peer.delivered == b"at once"
    else:
        peer = established(role, resumed=resumed, at={"finished": edit})
        assert peer.delivered.startswith(b"at once")


# --- What must be ignored or may differ


def reordered(peer, message):
    message.extensions.reverse()


SERVER_HELLOS = {
    "extensions reversed": reordered,
    "a session id": put(legacy_session_id_echo=b"id"),
    "supported_groups": with_extension(E.supported_groups, vector(2, b"\0\x17")),
    "compressed points as well": with_extension(E.ec_point_formats, b"\3\2\1\0"),
    "no point formats": without_extension(E.ec_point_formats),
    "server_name": with_extension(E.server_name),
    "no extended_master_secret": without_extension(E.extended_master_secret),
    "random of zeros": put(random=bytes(32)),
}


@pytest.mark.parametrize("name", SERVER_HELLOS)
def test_client_accepts_server_hello(name):
    established("client", at={"server_hello": SERVER_HELLOS[name]})


@both_roles
@pytest.mark.parametrize("protocol", ["h2", "http/1.1", None])
@full_and_resumed
def test_application_protocol(role, protocol, resumed):
    chosen = protocol and protocol.encode()
    if role == "client":
        context, options = {"alpn": ("h2", "http/1.1")}, {"alpn": chosen}
    else:
        context = {"alpn": (protocol,) if protocol else ("h2",)}
        options = {"alpn": (b"h3", b"h2", b"http/1.1") if protocol else ()}
    peer = established(role, context, resumed=resumed, **options)
    assert peer.connection.alpn_protocol == protocol


@pytest.mark.parametrize("options", [{}, {"scsv": True}, {"renegotiation_info": False}], ids=str)
def test_renegotiation_info_of_a_client(options):
    # RFC 5746, 3.6
    peer = established("server", **options)
    answered = peer.server_hello.extension(E.renegotiation_info) is not None
    assert answered is ("renegotiation_info" not in options)


@both_roles
@full_and_resumed
def test_record_size_limit(role, resumed):
    peer = established(
        role, {"record_size_limit": 500}, record_size_limit=64, resumed=resumed, fragment=5000
    )
    assert peer.read_limit == 64
    assert peer.fragment <= 500
    assert peer.connection.write(b"x" * 1000) == 1000
    before = len(peer.records)
    peer.settle()
    assert [record.size for record in peer.records[before:]] == [64] * 15 + [40]


def test_status_that_does_not_come():
    # RFC 6066, 8: a server may have announced one that it does not have then.
    peer = established(
        "client",
        {"staple_policy": StaplePolicy.CHECK},
        ocsp_response=b"response",
        at={"certificate_status": lambda peer, message: []},
    )
    assert peer.connection.established


@pytest.mark.parametrize("count", [1, 4])
def test_hello_requests_are_ignored(count):
    def ask(peer):
        peer.queue(b"\0\0\0\0" * count)

    established("client", at={"certificate": before(ask)})


def test_everything_at_once():
    peer = established(
        "client",
        {"identities": [identity("rsa")], "alpn": ("h2",), "record_size_limit": 1000},
        at={"certificate": followed_by(b"\0\0\0\0"), "server_hello": all_of(reordered)},
        request_certificate=True,
        tickets=True,
        ocsp_response=b"response",
        timestamps=(b"timestamp",),
        alpn=b"h2",
        record_size_limit=700,
        fragment=50,
        chunk=7,
    )
    assert peer.peer_chain == credential("rsa").chain_der
    assert isinstance(peer.connection.session, fasths.Session)
