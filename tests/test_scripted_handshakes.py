"""Handshakes that succeed, against a peer written from the RFC alone (RFC 8446).

What a connection must accept stands here; what it sends, the scripted peer checks on the way.
"""

from __future__ import annotations

import functools
import itertools

import pytest
from helpers import TLS13_SUITES
from refusals import assert_established, client_of, credential, established, identity, server_of
from scripted_keys import ALL_SCHEMES, DEFAULT_SCHEMES, SUITES
from scripted_messages import (
    TLS13,
    NewSessionTicket,
    offered_psks,
    parse_key_shares,
    protocol_names,
    u8,
    u16,
    vector,
)
from scripted_peer import (
    MAX_PLAINTEXT,
    all_of,
    before,
    put,
    with_extension,
    without_extension,
)

from fasths import (
    ContentType,
    ExtensionType,
    NamedGroup,
    SignatureScheme,
    Verify,
)

ROLES = ("client", "server")
GREASE = (0x0A0A, 0xFAFA)
both_roles = pytest.mark.parametrize("role", ROLES)


# --- Every suite, group and scheme


@both_roles
@pytest.mark.parametrize("suite", TLS13_SUITES, ids=lambda each: each.name)
@pytest.mark.parametrize("group", NamedGroup, ids=lambda each: each.name)
def test_every_suite_and_group(role, suite, group):
    context = {"groups": (group,), "key_share_groups": (group,), "cipher_suites": (suite,)}
    options = {"group": group} if role == "client" else {"groups": (group,), "shares": (group,)}
    connection = established(role, context, **options).connection
    assert (connection.cipher_suite, connection.group) == (suite, group)


@both_roles
@pytest.mark.parametrize("group", NamedGroup, ids=lambda each: each.name)
@pytest.mark.parametrize("shares", [(), ("x25519", "secp256r1")], ids=["no-share", "others"])
def test_every_group_by_hello_retry_request(role, group, shares):
    shares = tuple(NamedGroup[each] for each in shares if NamedGroup[each] is not group)
    if role == "client":
        peer = established(
            "client",
            {"groups": tuple(NamedGroup), "key_share_groups": shares},
            group=group,
            retry=group,
        )
    else:
        peer = established("server", {"groups": (group,)}, groups=tuple(NamedGroup), shares=shares)
    assert peer.connection.group is group


def scheme_cases():
    for key_type, scheme in DEFAULT_SCHEMES.items():
        if key_type in ("rsa", "rsa-pss"):
            family = scheme.name.removesuffix("256")
            for size in ("256", "384", "512"):
                yield pytest.param(key_type, SignatureScheme[family + size], id=family + size)
        elif key_type != "rsa1024":
            yield pytest.param(key_type, scheme, id=scheme.name)


@pytest.mark.parametrize(("key_type", "scheme"), list(scheme_cases()))
def test_every_scheme_of_the_peer(key_type, scheme):
    options = {"credential": credential(key_type), "scheme": scheme}
    client = established("client", {"verify": Verify.REQUIRED}, **options)
    assert client.connection.signature_scheme is scheme
    established("server", {"verify": Verify.REQUIRED}, **options)


@pytest.mark.parametrize(("key_type", "scheme"), list(scheme_cases()))
def test_every_scheme_of_ones_own(key_type, scheme):
    context = {"identities": [identity(key_type)], "signature_schemes": (scheme,)}
    server = established("server", context)
    assert server.connection.signature_scheme is scheme
    client = established(
        "client",
        {**context, "signature_schemes": ALL_SCHEMES[:-1]},
        request_certificate=True,
        at={
            "certificate_request": with_extension(
                ExtensionType.signature_algorithms, vector(2, u16(scheme))
            )
        },
    )
    assert client.peer_chain == credential(key_type).chain_der


@both_roles
def test_exporters_agree(role):
    peer = established(role)
    suite = peer.suite
    secret = suite.derive_secret(peer.exporter_secret, b"label", b"")
    expected = suite.expand_label(secret, b"exporter", suite.digest(b"context"), 50)
    assert peer.connection.export_keying_material("label", b"context", 50) == expected


# --- Every way of cutting it into records


@both_roles
@pytest.mark.parametrize("fragment", [1, 2, 3, 4, 5, 37, 100])
@pytest.mark.parametrize("coalesce", [True, False], ids=["coalesced", "apart"])
def test_fragments(role, fragment, coalesce):
    established(role, fragment=fragment, coalesce=coalesce)


@both_roles
@pytest.mark.parametrize("chunk", [1, 4, 5, 6, 100])
def test_transport_in_pieces(role, chunk):
    established(role, chunk=chunk)


@both_roles
@pytest.mark.parametrize("padding", [1, 100, MAX_PLAINTEXT - 4000])
def test_padding(role, padding):
    established(role, padding=padding)


@both_roles
@pytest.mark.parametrize(
    ("size", "padding"), [(MAX_PLAINTEXT, 0), (MAX_PLAINTEXT - 1, 1), (1, MAX_PLAINTEXT - 1)]
)
def test_largest_records(role, size, padding):
    peer = established(role)
    peer.send_data(b"x" * size, padding=padding)
    peer.settle()
    assert peer.delivered.endswith(b"x" * size)


@both_roles
@pytest.mark.parametrize("version", [0x0000, 0x0300, 0x0301, 0x0304, 0xFFFF])
def test_legacy_record_version_is_ignored(role, version):
    # RFC 8446, 5.1
    def edit(peer, message):
        data = message.encode()
        peer.transcript += data
        peer.send_record(ContentType.handshake, data, version=version)
        return []

    established(role, at={"client_hello" if role == "client" else "server_hello": edit})


@both_roles
def test_empty_application_data_is_ignored(role):
    peer = established(role)
    for _ in range(3):
        peer.send_data(b"", padding=100)
    assert_established(peer)


# --- What must be ignored or may differ (RFC 8446, 4.1.2, 4.2 and 9.3)


def many_extensions(peer, message):
    message.extensions[:0] = [(0x4000 + i, b"x" * i) for i in range(100)]


def reordered(peer, message):
    message.extensions.reverse()


def grease(peer, message):
    message.cipher_suites = [GREASE[0], *message.cipher_suites, GREASE[1]]
    message.set(ExtensionType.supported_versions, vector(1, u16(GREASE[0], TLS13, 0x0303)))
    groups = message.extension(ExtensionType.supported_groups)[2:]
    message.set(ExtensionType.supported_groups, vector(2, u16(GREASE[0]), groups))
    schemes = message.extension(ExtensionType.signature_algorithms)[2:]
    message.set(ExtensionType.signature_algorithms, vector(2, u16(GREASE[0]), schemes))
    shares = message.extension(ExtensionType.key_share)[2:]
    grease_share = u16(GREASE[0]) + vector(2, b"\0")
    message.set(ExtensionType.key_share, vector(2, grease_share, shares))
    message.extensions[:0] = [(GREASE[0], b"")]
    message.extensions.append((GREASE[1], b"\0"))


CLIENT_HELLOS = {
    "grease": grease,
    "many extensions": many_extensions,
    "extensions reversed": reordered,
    "legacy_version of TLS 1.0": put(legacy_version=0x0301),
    "legacy_version of TLS 1.3": put(legacy_version=TLS13),
    "unknown legacy_version": put(legacy_version=0x7F00),
    "short session id": put(legacy_session_id=b"x"),
    "no session id": put(legacy_session_id=b""),
    "server_name of an unknown type": with_extension(
        ExtensionType.server_name, vector(2, u8(9), vector(2, b"?"))
    ),
    "status_request": with_extension(ExtensionType.status_request, bytes.fromhex("0100000000")),
    "unknown PSK": all_of(
        with_extension(ExtensionType.psk_key_exchange_modes, vector(1, b"\1")),
        with_extension(ExtensionType.pre_shared_key, offered_psks(2, 2)),
    ),
    "PSK modes alone": with_extension(ExtensionType.psk_key_exchange_modes, vector(1, b"\1\x7f")),
    "post_handshake_auth": with_extension(ExtensionType.post_handshake_auth),
    "padding": with_extension(ExtensionType.padding, bytes(300)),
    "certificate_authorities": with_extension(
        ExtensionType.certificate_authorities, vector(2, vector(2, b"\x30\0"))
    ),
    "signature_algorithms_cert": with_extension(
        ExtensionType.signature_algorithms_cert, vector(2, u16(0x0403))
    ),
    "record_size_limit": with_extension(ExtensionType.record_size_limit, u16(16385)),
    "extended_master_secret": with_extension(ExtensionType.extended_master_secret),
    "protocols where the server has none": with_extension(
        ExtensionType.application_layer_protocol_negotiation, protocol_names(b"h2")
    ),
}


@pytest.mark.parametrize("name", CLIENT_HELLOS)
def test_server_accepts_client_hello(name):
    established("server", at={"client_hello": CLIENT_HELLOS[name]})


SECOND_CLIENT_HELLOS = {
    "padding added": with_extension(ExtensionType.padding, bytes(10)),
    "padding removed": without_extension(ExtensionType.padding),
    "PSK removed": without_extension(ExtensionType.pre_shared_key),
    "encrypted_client_hello anew": with_extension(ExtensionType.encrypted_client_hello, b"anew"),
    "PSK changed": with_extension(ExtensionType.pre_shared_key, offered_psks(2, 2)),
}


@pytest.mark.parametrize("name", SECOND_CLIENT_HELLOS)
@pytest.mark.parametrize("cookie", [True, False], ids=["cookie", "no cookie"])
def test_server_accepts_second_client_hello(name, cookie):
    # RFC 8446, 4.1.2: what may change.
    first = all_of(
        with_extension(ExtensionType.padding, bytes(5)),
        with_extension(ExtensionType.encrypted_client_hello, b"once"),
        with_extension(ExtensionType.psk_key_exchange_modes, vector(1, b"\1")),
        with_extension(ExtensionType.pre_shared_key, offered_psks()),
    )

    def psk_last(peer, message):
        psk = message.extension(ExtensionType.pre_shared_key)
        if psk is not None:
            message.remove(ExtensionType.pre_shared_key)
            message.set(ExtensionType.pre_shared_key, psk)

    peer = established(
        "server",
        {"retry_with_cookie": cookie},
        shares=(NamedGroup.secp256r1,) if cookie else (),
        at={
            "client_hello": first,
            "second_client_hello": all_of(SECOND_CLIENT_HELLOS[name], psk_last),
        },
    )
    assert (peer.retry.extension(ExtensionType.cookie) is not None) is cookie
    assert (peer.retry.extension(ExtensionType.key_share) is not None) is not cookie


@pytest.mark.parametrize("shares", [(), (NamedGroup.x25519,)], ids=["group too", "cookie alone"])
@pytest.mark.parametrize("compatibility", [True, False])
def test_server_sends_cookie(shares, compatibility):
    peer = established(
        "server", {"retry_with_cookie": True}, shares=shares, compatibility=compatibility
    )
    assert peer.retry.extension(ExtensionType.cookie)


@pytest.mark.parametrize("retry", [0, NamedGroup.secp256r1])
def test_client_returns_cookie(retry):
    cookie = bytes(range(256)) * 4
    peer = established("client", cookie=cookie, retry=retry)
    assert peer.hello.extension(ExtensionType.cookie) == vector(2, cookie)


@pytest.mark.parametrize("cookie", [None, b"cookie"])
@pytest.mark.parametrize("alpn", [(), ("h2", "http/1.1")])
def test_client_repeats_its_client_hello(cookie, alpn):
    # RFC 8446, 4.1.2
    peer = established("client", {"alpn": alpn}, cookie=cookie, retry=NamedGroup.secp256r1)
    first, second = peer.first_hello, peer.hello
    shares = parse_key_shares(second.extension(ExtensionType.key_share))
    assert list(shares) == [NamedGroup.secp256r1]
    second.remove(ExtensionType.cookie)
    second.set(ExtensionType.key_share, first.extension(ExtensionType.key_share))
    assert second == first


def server_groups(peer, message):
    message.set(ExtensionType.supported_groups, vector(2, u16(GREASE[0], 25, 23)))


REQUEST = {
    GREASE[0]: b"",
    ExtensionType.signature_algorithms_cert: vector(2, u16(0x0403)),
    ExtensionType.certificate_authorities: vector(2, vector(2, b"\x30\0")),
    ExtensionType.status_request: b"",
    ExtensionType.signed_certificate_timestamp: b"",
    ExtensionType.oid_filters: vector(2),
}
SERVER_MESSAGES = {
    # RFC 8446, 4.1.3: the sentinels have a meaning for TLS 1.2 and below only.
    "random like a sentinel": {"server_hello": put(random=bytes(24) + b"DOWNGRD\1")},
    "extensions reversed": {"server_hello": reordered},
    "supported_groups": {"encrypted_extensions": server_groups},
    "server_name": {"encrypted_extensions": with_extension(ExtensionType.server_name)},
    "certificate_request": {
        "certificate_request": all_of(*(with_extension(*each) for each in REQUEST.items()))
    },
}


@pytest.mark.parametrize("name", SERVER_MESSAGES)
def test_client_accepts(name):
    established("client", at=SERVER_MESSAGES[name], request_certificate=True)


@both_roles
@pytest.mark.parametrize("protocol", ["h2", "http/1.1", None])
def test_application_protocol(role, protocol):
    offered = ("h2", "http/1.1")
    names = tuple(each.encode() for each in offered)
    chosen = protocol and protocol.encode()
    if role == "client":
        peer = established("client", {"alpn": offered}, alpn=chosen)
        assert peer.hello.extension(16) == protocol_names(*names)
    else:
        peer = established(
            "server",
            {"alpn": offered if protocol is None else (protocol,)},
            alpn=names * bool(chosen),
        )
        answer = peer.encrypted_extensions.extension(16)
        assert answer == (chosen and protocol_names(chosen))
    assert peer.connection.alpn_protocol == protocol


# --- Middlebox compatibility mode (RFC 8446, 5 and D.4)


def types_of(peer):
    return "".join("?" if key == 22 else "C" if key == 20 else "." for key, *_ in peer.records)


@pytest.mark.parametrize("retry", [0, NamedGroup.secp256r1])
def test_client_change_cipher_spec(retry):
    peer = client_of(retry=retry)
    peer.handshake()
    assert len(peer.hello.legacy_session_id) == 32
    # One, before the second flight.
    assert types_of(peer) == ("?C?." if retry else "?C.")
    versions = [record.version for record in peer.records]
    assert versions[0] in (0x0301, 0x0303)
    assert set(versions[1:]) == {0x0303}


@pytest.mark.parametrize("compatibility", [True, False])
@pytest.mark.parametrize("shares", [(NamedGroup.x25519,), ()], ids=["share", "retry"])
def test_server_change_cipher_spec(compatibility, shares):
    peer = server_of(compatibility=compatibility, shares=shares)
    peer.handshake()
    kinds = types_of(peer).rstrip(".")
    # One, behind the first message, for a client that asks for it with a legacy_session_id.
    ccs = "C" if compatibility else ""
    assert kinds == ("?" + ccs if shares else "?" + ccs + "?")
    assert {record.version for record in peer.records} == {0x0303}


def send_change_cipher_spec(peer):
    peer.send_change_cipher_spec()


POINTS = {
    "client": (
        "server_hello",
        "encrypted_extensions",
        "certificate_request",
        "certificate",
        "certificate_verify",
        "finished",
    ),
    "server": ("second_client_hello", "certificate", "certificate_verify", "finished"),
}
PLACES = [(role, point) for role, points in POINTS.items() for point in points]


@pytest.mark.parametrize(("role", "point"), PLACES)
@pytest.mark.parametrize("compatibility", [True, False])
def test_change_cipher_spec_is_dropped(role, point, compatibility):
    options = {"at": {point: before(send_change_cipher_spec)}, "compatibility": compatibility}
    if role == "client":
        established("client", request_certificate=True, **options)
    else:
        established(
            "server",
            {"verify": Verify.REQUIRED, "retry_with_cookie": True},
            credential=credential(),
            **options,
        )


# --- Client certificates (RFC 8446, 4.3.2 and 4.4.2)


@pytest.mark.parametrize(
    ("verify", "with_certificate"),
    [(Verify.OPTIONAL, False), (Verify.OPTIONAL, True), (Verify.REQUIRED, True)],
)
def test_server_asks_for_certificate(with_certificate, verify):
    leaf = credential() if with_certificate else None
    peer = established("server", {"verify": verify}, credential=leaf)
    assert peer.request is not None
    assert peer.connection.peer_certificates == tuple(leaf.chain_der if leaf else ())


@pytest.mark.parametrize("with_certificate", [True, False])
def test_client_is_asked_for_certificate(with_certificate):
    identities = [identity("rsa")] if with_certificate else []
    peer = established("client", {"identities": identities}, request_certificate=True)
    assert peer.peer_chain == (credential("rsa").chain_der if with_certificate else [])


def test_client_has_no_fitting_certificate():
    # RFC 8446, 4.4.2: it sends an empty Certificate.
    only_ed448 = with_extension(ExtensionType.signature_algorithms, vector(2, u16(0x0808)))
    peer = established(
        "client",
        {"identities": [identity("rsa")]},
        request_certificate=True,
        at={"certificate_request": only_ed448},
    )
    assert peer.peer_chain == []


# --- Early data that is not taken (RFC 8446, 4.2.10)


@pytest.mark.parametrize("shares", [(NamedGroup.x25519,), ()], ids=["skipped", "retry"])
@pytest.mark.parametrize("compatibility", [True, False])
@pytest.mark.parametrize("early_data", [[b"x"], [b"x" * MAX_PLAINTEXT] * 3, [b"", b"abc"] * 9])
@pytest.mark.parametrize("chunk", [None, 500])
def test_early_data_is_skipped(shares, compatibility, early_data, chunk):
    peer = established(
        "server",
        {"verify": Verify.OPTIONAL},
        shares=shares,
        compatibility=compatibility,
        early_data=early_data,
        chunk=chunk,
    )
    assert peer.connection.cipher_suite in SUITES
    assert peer.delivered == b"to the connection"


# --- What follows in the same flight


def test_tickets_and_data_behind_the_servers_finished():
    peer = client_of()
    peer.read_client_hello()
    peer.send_server_hello()
    peer.send_encrypted_flight()
    # RFC 8446, 4.6.1: before the client's Finished, even.
    peer.queue(NewSessionTicket())
    peer.queue(NewSessionTicket(extensions=[(GREASE[0], b"")]))
    peer.send_data(b"at once")
    peer.read_client_flight()
    peer.settle()
    assert peer.delivered == b"at once"
    assert_established(peer)


@functools.cache
def combinations():
    return list(itertools.product([1, 50, MAX_PLAINTEXT], [0, 20], [None, 3]))


@both_roles
def test_everything_at_once(role):
    """HelloRetryRequest, client certificates, padding and fragments together."""
    for fragment, padding, chunk in combinations():
        options = {"fragment": fragment, "padding": padding, "chunk": chunk}
        if role == "client":
            context = {"identities": [identity()], "verify": Verify.REQUIRED}
            options |= {"retry": NamedGroup.secp256r1, "request_certificate": True, "cookie": b"c"}
        else:
            context = {"verify": Verify.REQUIRED, "retry_with_cookie": True}
            options |= {"shares": (), "credential": credential("rsa")}
        established(role, context, **options)
