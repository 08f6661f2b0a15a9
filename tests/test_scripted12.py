"""The scripted peer of TLS 1.2 against OpenSSL: what judges connections has to be right itself."""

from __future__ import annotations

import functools
import itertools
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.x509 import InvalidVersion
from helpers import HOST, authority
from OpenSSL import SSL
from refusals import assert_established, changed, credential
from scripted12_keys import SUITES12, authentication_of, schemes_of
from scripted12_messages import NewSessionTicket12
from scripted12_peer import DOWNGRADE_SENTINEL, ScriptedClient12, ScriptedServer12, signed
from scripted_messages import TLS12, TLS13
from scripted_peer import instead, put, with_extension
from scripted_records import FATAL, MAX_PLAINTEXT, Alert, Refused, Silence

from fasths import (
    AlertDescription,
    CipherSuite,
    ExtensionType,
    NamedGroup,
    SSLErrorCode,
)

E = ExtensionType
A = AlertDescription
# The names that OpenSSL has for them.
OPENSSL_GROUPS = {
    NamedGroup.x25519: "X25519",
    NamedGroup.secp256r1: "prime256v1",
    NamedGroup.secp384r1: "secp384r1",
    NamedGroup.secp521r1: "secp521r1",
}
KEY_TYPES = ("ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa-pss", "ed25519", "ed448")
# What ssl has no name for before Python 3.12.
OP_LEGACY_SERVER_CONNECT = 0x4

both_roles = pytest.mark.parametrize("role", ["client", "server"])
every_suite = pytest.mark.parametrize(
    "suite", [pytest.param(each, id=CipherSuite(each).name) for each in SUITES12]
)


# --- OpenSSL in the shape of a Connection and of its BIO


class Transport:
    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def write(self, data: bytes) -> int:
        return self.incoming.write(data)

    def read(self) -> bytes:
        return self.outgoing.read()


class StandardLibrary:
    """One ssl.SSLObject."""

    def __init__(self, context: ssl.SSLContext, bio: Transport, by_server: bool, session: Any):
        self.object = context.wrap_bio(
            bio.incoming,
            bio.outgoing,
            server_side=by_server,
            server_hostname=None if by_server else HOST,
            session=session,
        )
        self.established = False
        self.last_error: Exception | None = None

    def do_handshake(self) -> int:
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return -1
        except ssl.SSLError as error:
            self.last_error = error
            return -1
        self.established = True
        return 1

    def get_error(self, result: int) -> SSLErrorCode:
        return SSLErrorCode.WANT_READ if self.last_error is None else SSLErrorCode.SSL

    def read(self) -> bytes | None:
        try:
            return self.object.read(MAX_PLAINTEXT)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as error:
            self.last_error = error
            return None

    def write(self, data: bytes) -> int:
        return self.object.write(data)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that makes contexts: of a role, with the certificate of a type of key."""
    folder = tmp_path_factory.mktemp("credentials")

    @functools.cache
    def files(key_type: str) -> tuple[Path, Path]:
        leaf = credential(key_type)
        chain, key = folder / f"{key_type}.pem", folder / f"{key_type}.key"
        chain.write_bytes(leaf.chain_pem)
        key.write_bytes(leaf.key_pem)
        return chain, key

    def make(role: str, key_type: str | None = "ecdsa") -> ssl.SSLContext:
        protocol = ssl.PROTOCOL_TLS_CLIENT if role == "client" else ssl.PROTOCOL_TLS_SERVER
        context = ssl.SSLContext(protocol)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=authority().pem.decode())
        if key_type is not None:
            context.load_cert_chain(*files(key_type))
        return context

    return make


def peer_of(
    role: str,
    context: ssl.SSLContext,
    *,
    openssl_session: Any = None,
    bio: Transport | None = None,
    **options: Any,
) -> Any:
    """The scripted peer of an OpenSSL with this role; options: of the scripted peer."""
    bio = bio or Transport()
    connection = StandardLibrary(context, bio, role == "server", openssl_session)
    if role == "server":
        return ScriptedClient12(connection, bio, **options)
    return ScriptedServer12(connection, bio, **{"credential": credential(), **options})


def established(role: str, context: ssl.SSLContext, **options: Any) -> Any:
    peer = peer_of(role, context, **options)
    peer.handshake()
    assert_established(peer)
    assert peer.connection.object.version() == "TLSv1.2"
    assert peer.connection.object.get_channel_binding() == peer.tls_unique
    return peer


def key_type_for(suite: int, otherwise: str = "ecdsa") -> str:
    return "rsa" if SUITES12[suite].authentication == "rsa" else otherwise


# --- Full handshakes


@both_roles
@every_suite
@pytest.mark.parametrize("group", OPENSSL_GROUPS, ids=lambda each: each.name)
def test_every_suite_and_group(contexts, role, suite, group):
    # RFC 8422, 5.3: the curve of an ECDSA key would have to be among the groups as well.
    key_type = key_type_for(suite, "ed25519")
    if role == "server":
        options = {"suites": (suite,), "groups": (group,)}
    else:
        options = {"suite": suite, "group": group, "credential": credential(key_type)}
    context = contexts(role, key_type)
    context.set_ecdh_curve(OPENSSL_GROUPS[group])
    peer = established(role, context, **options)
    assert peer.suite.code == suite
    assert peer.group == group
    name, _, bits = peer.connection.object.cipher()
    assert bits == 8 * SUITES12[suite].key_length
    assert SUITES12[suite].authentication.upper() in name


def schemes():
    for key_type in KEY_TYPES:
        for scheme in schemes_of(key_type):
            yield pytest.param(key_type, scheme, id=f"{key_type}-{scheme.name}")


@pytest.mark.parametrize(("key_type", "scheme"), list(schemes()))
def test_every_scheme(contexts, key_type, scheme):
    """Each side signs with it: ServerKeyExchange or CertificateVerify."""
    suites = [
        code
        for code, suite in SUITES12.items()
        if suite.authentication == authentication_of(scheme)
    ]
    server = contexts("server", key_type)
    curve = {"ecdsa384": NamedGroup.secp384r1, "ecdsa521": NamedGroup.secp521r1}.get(key_type)
    if curve is not None:
        # RFC 8422, 5.3: that of an ECDSA key has to be among the groups.
        server.set_ecdh_curve(OPENSSL_GROUPS[curve])
    options = {"suites": suites, "groups": tuple(OPENSSL_GROUPS)}
    peer = established("server", server, schemes=(scheme,), **options)
    assert peer.peer_scheme is scheme
    own = {"credential": credential(key_type), "scheme": scheme}
    established("client", contexts("client"), **own)
    server.verify_mode = ssl.CERT_REQUIRED
    peer = established("server", server, **own, **options)
    assert peer.connection.object.getpeercert(True) == own["credential"].chain_der[0]
    asking = {"request_certificate": True, "schemes": (scheme,)}
    peer = established("client", contexts("client", key_type), **asking)
    # OpenSSL adds the root that it knows.
    assert peer.peer_chain[0] == own["credential"].chain_der[0]


@both_roles
@pytest.mark.parametrize("extended", [True, False])
@every_suite
def test_master_secrets(contexts, role, extended, suite):
    key_type = key_type_for(suite)
    options = {"credential": credential(key_type)} if role == "client" else {}
    options |= {"suites": (suite,)} if role == "server" else {"suite": suite}
    peer = established(role, contexts(role, key_type), extended_master_secret=extended, **options)
    assert peer.extended_master_secret is extended


@pytest.mark.parametrize("options", [{}, {"scsv": True}, {"renegotiation_info": False}], ids=str)
def test_renegotiation_info_of_a_client(contexts, options):
    peer = established("server", contexts("server"), **options)
    assert (peer.server_hello.extension(E.renegotiation_info) is None) is (
        "scsv" not in options and bool(options)
    )


def test_renegotiation_info_of_a_server(contexts):
    context = contexts("client")
    peer = peer_of("client", context, renegotiation_info=False)
    with pytest.raises(Refused):
        peer.handshake()
    context.options |= OP_LEGACY_SERVER_CONNECT
    established("client", context, renegotiation_info=False)


@both_roles
def test_client_without_certificate(contexts, role):
    context = contexts(role, "ecdsa" if role == "server" else None)
    if role == "server":
        context.verify_mode = ssl.CERT_OPTIONAL
        peer = established(role, context)
        assert peer.request is not None
        assert peer.connection.object.getpeercert(True) is None
    else:
        assert established(role, context, request_certificate=True).peer_chain == []


@both_roles
def test_application_protocol(contexts, role):
    context = contexts(role)
    context.set_alpn_protocols(["h2", "http/1.1"])
    options = {"alpn": b"http/1.1" if role == "client" else (b"h3", b"http/1.1")}
    peer = established(role, context, **options)
    assert peer.connection.object.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("versions", [None, (TLS12,), (0x7A7A, TLS13, TLS12)], ids=str)
def test_versions_of_a_client(contexts, versions):
    established("server", contexts("server"), versions=versions)


def test_client_of_both_versions(contexts):
    context = contexts("client")
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    established("client", context)
    # RFC 8446, 4.1.3: a client that has TLS 1.3 as well looks at it.
    edit = put(random=lambda old: old[:24] + DOWNGRADE_SENTINEL)
    peer = peer_of("client", context, at={"server_hello": edit})
    with pytest.raises(Refused):
        peer.handshake()
    assert peer.alerts == [Alert(FATAL, A.illegal_parameter)]


@both_roles
def test_server_of_both_versions(contexts, role):
    context = contexts("server")
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    peer = established("server", context)
    assert peer.server_random.endswith(DOWNGRADE_SENTINEL)


@both_roles
@pytest.mark.parametrize(
    ("fragment", "coalesce", "chunk"),
    list(itertools.product([1, 5, MAX_PLAINTEXT], [True, False], [None, 7])),
)
def test_fragments(contexts, role, fragment, coalesce, chunk):
    established(role, contexts(role), fragment=fragment, coalesce=coalesce, chunk=chunk)


@both_roles
@every_suite
def test_explicit_nonces(contexts, role, suite):
    key_type = key_type_for(suite)
    options = {"credential": credential(key_type)} if role == "client" else {}
    options |= {"suites": (suite,)} if role == "server" else {"suite": suite}
    peer = established(
        role,
        contexts(role, key_type),
        explicit_nonce=lambda number: bytes((7, 255 - number)) * 4,
        **options,
    )
    peer.send_data(b"with a nonce of its own", explicit_nonce=b"12345678")
    peer.settle()
    assert peer.delivered.endswith(b"with a nonce of its own")


# --- Resumption


def without_tickets(context):
    context.options |= ssl.OP_NO_TICKET
    return context


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("by_ticket", [True, False], ids=["ticket", "id"])
@every_suite
def test_client_resumes(contexts, suite, by_ticket, extended):
    options = {
        "suite": suite,
        "credential": credential(key_type_for(suite)),
        "extended_master_secret": extended,
    }
    options |= {"tickets": True} if by_ticket else {"session_id": b"x" * 32}
    context = contexts("client")
    first = established("client", context, **options)
    session = first.connection.object.session
    assert session.has_ticket is by_ticket
    second = established(
        "client", context, openssl_session=session, sessions=[first.session], **options
    )
    assert second.connection.object.session_reused
    assert second.resumed
    # With a ticket, a new one came.
    session = second.connection.object.session
    third = established(
        "client",
        context,
        openssl_session=session,
        sessions=[second.session],
        **{**options, "tickets": False},
    )
    assert third.resumed


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("by_ticket", [True, False], ids=["ticket", "id"])
@every_suite
def test_server_resumes(contexts, suite, by_ticket, extended):
    context = contexts("server", key_type_for(suite))
    if not by_ticket:
        without_tickets(context)
    options = {"extended_master_secret": extended, "tickets": True}
    first = established("server", context, suites=(suite,), **options)
    assert (first.session.ticket is not None) is by_ticket
    for _ in range(2):
        second = established("server", context, session=first.session, **options)
        assert second.resumed
        assert second.connection.object.session_reused
        assert second.suite.code == suite


def test_server_resumes_a_ticket_without_session_id(contexts):
    # RFC 5077, 3.4
    context = contexts("server")
    first = established("server", context, tickets=True)
    peer = established("server", context, session=first.session, session_id=b"")
    assert peer.connection.object.session_reused


def test_sessions_that_nobody_knows(contexts):
    first = established("server", contexts("server"), tickets=True)
    peer = established("server", contexts("server"), session=first.session)
    assert not peer.resumed
    context = contexts("client")
    first = established("client", context, tickets=True)
    session = first.connection.object.session
    peer = established("client", context, openssl_session=session, tickets=True)
    assert not peer.resumed
    assert not peer.connection.object.session_reused


# --- What the standard library has no words for: status and exporters


class PyOpenSSL:
    """One OpenSSL.SSL.Connection, and its BIO."""

    def __init__(self, context: SSL.Context, role: str) -> None:
        self.object = SSL.Connection(context)
        if role == "client":
            self.object.request_ocsp()
            self.object.set_connect_state()
        else:
            self.object.set_accept_state()
        self.established = False
        self.last_error: Exception | None = None
        self.bio = PyOpenSSLTransport(self.object)

    def do_handshake(self) -> int:
        try:
            self.object.do_handshake()
        except SSL.WantReadError:
            return -1
        self.established = True
        return 1

    def get_error(self, result: int) -> SSLErrorCode:
        return SSLErrorCode.WANT_READ

    def read(self) -> bytes | None:
        try:
            return self.object.read(MAX_PLAINTEXT)
        except SSL.WantReadError:
            return None

    def write(self, data: bytes) -> int:
        return self.object.write(data)


class PyOpenSSLTransport:
    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection

    def write(self, data: bytes) -> None:
        if data:
            self.connection.bio_write(data)

    def read(self) -> bytes:
        try:
            return self.connection.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""


# RFC 6960, 4.2.1: malformedRequest, which is all that OpenSSL wants to see here.
OCSP_RESPONSE = bytes.fromhex("30030a0101")


@both_roles
@pytest.mark.parametrize("response", [OCSP_RESPONSE, None], ids=["status", "none"])
@every_suite
def test_status_and_exporters(role, suite, response):
    leaf = credential(key_type_for(suite))
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    seen = []
    if role == "client":
        context.set_ocsp_client_callback(lambda *arguments: seen.append(arguments[1]) or True)
        options = {"credential": leaf, "suite": suite, "ocsp_response": response}
        peer_class = ScriptedServer12
    else:
        context.use_certificate(leaf.certificate)
        context.use_privatekey(leaf.key)
        context.set_ocsp_server_callback(lambda *arguments: response or b"")
        options = {"suites": (suite,), "ask_status": True}
        peer_class = ScriptedClient12
    connection = PyOpenSSL(context, role)
    peer = peer_class(connection, connection.bio, **options)
    peer.handshake()
    assert_established(peer)
    assert (seen == [response or b""]) if role == "client" else (peer.ocsp_response == response)
    for data in (None, b"", b"context"):
        expected = connection.object.export_keying_material(b"label", 50, data)
        assert peer.export(b"label", data, 50) == expected


NOTICED = (
    AssertionError,
    InvalidSignature,
    InvalidTag,
    InvalidVersion,
    UnsupportedAlgorithm,
    KeyError,
    Refused,
    Silence,
    StopIteration,
    ValueError,
)


# --- The points of the scripts, and what happens there instead


REFUSED = [
    ("client", "server_hello", put(cipher_suite=0x1301), A.illegal_parameter),
    ("client", "server_hello", put(legacy_compression_method=1), A.illegal_parameter),
    ("client", "server_hello", with_extension(E.post_handshake_auth), A.illegal_parameter),
    ("client", "certificate", instead(), A.unexpected_message),
    ("client", "certificate", put(certificate_list=[]), A.decode_error),
    ("client", "server_key_exchange", put(signature=changed), A.decrypt_error),
    ("client", "server_key_exchange", put(public=changed), A.decrypt_error),
    ("client", "server_key_exchange", signed(curve_type=1), A.illegal_parameter),
    ("client", "server_key_exchange", signed(group=NamedGroup.X25519MLKEM768), A.illegal_parameter),
    ("client", "certificate_request", put(trailing=b"x"), A.decode_error),
    ("client", "server_hello_done", put(trailing=b"x"), A.illegal_parameter),
    ("client", "new_session_ticket", put(trailing=b"x"), A.decode_error),
    ("client", "new_session_ticket", instead(), A.unexpected_message),
    ("client", "change_cipher_spec", put(content=b"\2"), A.unexpected_message),
    ("client", "change_cipher_spec", instead(), A.unexpected_message),
    ("client", "finished", put(verify_data=changed), A.decrypt_error),
    ("client", "finished", put(verify_data=b"x"), A.decode_error),
    ("server", "client_hello", put(legacy_session_id=bytes(33)), A.decode_error),
    ("server", "client_hello", put(cipher_suites=[0x1301]), A.handshake_failure),
    ("server", "certificate", instead(), A.unexpected_message),
    ("server", "client_key_exchange", put(public=b"x"), A.illegal_parameter),
    ("server", "certificate_verify", put(signature=changed), A.decrypt_error),
    ("server", "certificate_verify", instead(), A.unexpected_message),
    ("server", "change_cipher_spec", put(content=b"\2"), A.unexpected_message),
    ("server", "change_cipher_spec", instead(), A.unexpected_message),
    ("server", "finished", put(verify_data=changed), A.decrypt_error),
    ("server", "finished", instead(NewSessionTicket12()), A.unexpected_message),
]


@pytest.mark.parametrize(("role", "point", "edit", "alert"), REFUSED)
def test_openssl_refuses(contexts, role, point, edit, alert):
    """The alerts are OpenSSL's; where they are others than ours, the refusal is the same."""
    context = contexts(role)
    options = {"credential": credential()}
    if role == "server":
        context.verify_mode = ssl.CERT_REQUIRED
    else:
        options |= {"request_certificate": True, "tickets": True}
    peer = peer_of(role, context, at={point: edit}, **options)
    with pytest.raises(Refused):
        peer.handshake()
    assert peer.alerts[-1] == Alert(FATAL, alert)


class ChangingTransport(Transport):
    """Changes one byte of what OpenSSL sends."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def read(self) -> bytes:
        data = super().read()
        if 0 <= self.at < len(data):
            data = changed(data, self.at)
        self.at -= len(data)
        return data


@both_roles
@pytest.mark.parametrize("resumed", [False, True], ids=["full", "resumed"])
def test_changes_are_noticed(contexts, role, resumed):
    """Any byte that OpenSSL sends in a handshake; of ClientHello, by OpenSSL."""
    # Ed25519: its signatures all have the same length.
    context = contexts(role, "ed25519" if role == "server" else None)
    first = established(role, context, tickets=True)
    options = {"tickets": True}
    if resumed and role == "client":
        options |= {"sessions": [first.session]}
        options |= {"openssl_session": first.connection.object.session}
    elif resumed:
        options |= {"session": first.session}

    def play(at):
        peer = peer_of(role, context, bio=ChangingTransport(at), **options)
        peer.handshake()
        assert peer.resumed is resumed
        return peer

    size = -1 - play(-1).bio.at
    assert size > 100
    for at in range(size):
        with pytest.raises(NOTICED):
            play(at)
