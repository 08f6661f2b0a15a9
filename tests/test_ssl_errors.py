"""The exceptions of fasths.ssl beside those of the standard library, in the same situations."""

from __future__ import annotations

import functools
import re
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pki
import pytest
from helpers import BOTH_ROLES, CLOSE_NOTIFY, NOT_TLS, RESET, SpyBIO, outcome

import fasths
from fasths.ssl import _errors
from fasths.ssl._errors import failure

TLSv1_2, TLSv1_3 = fasths.TLSVersion.TLSv1_2, fasths.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLSv1_2, TLSv1_3], ids=["1.2", "1.3"])
HOST = "localhost"
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@functools.cache
def authority():
    return pki.make_ca("authority")


LEAVES = {
    "good": lambda: pki.make_leaf([HOST], issuer=authority()),
    "self-signed": lambda: pki.make_leaf([HOST]),
    "unknown authority": lambda: pki.make_leaf([HOST], issuer=pki.make_ca("another")),
    "expired": lambda: pki.make_leaf(
        [HOST], issuer=authority(), not_before=NOW - 9 * DAY, not_after=NOW - DAY
    ),
    "not yet valid": lambda: pki.make_leaf(
        [HOST], issuer=authority(), not_before=NOW + DAY, not_after=NOW + 9 * DAY
    ),
    "other name": lambda: pki.make_leaf(["example.org"], issuer=authority()),
    "no name": lambda: pki.make_leaf([], issuer=authority()),
    "other purpose": lambda: pki.make_leaf([HOST], issuer=authority(), eku=[pki.CLIENT_AUTH]),
}
REFUSED = [each for each in LEAVES if each != "good"]


@functools.cache
def leaf(kind="good"):
    return LEAVES[kind]()


def stdlib_context(by_server, version=None, *, shown=None, suites=None, demand=False, root=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if by_server else ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().pem.decode())
    if version is not None:
        context.minimum_version = context.maximum_version = ssl.TLSVersion(version)
    if by_server or shown:
        with tempfile.NamedTemporaryFile() as file:
            made = shown if isinstance(shown, pki.Credential) else leaf(shown or "good")
            file.write((pki.pem_of(made.full_chain) if root else made.chain_pem) + made.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    if suites:
        context.set_ciphers(suites)
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def fasths_context(by_server, version=None, *, shown=None, demand=False, **options):
    if by_server or shown:
        made = leaf(shown or "good")
        options["identities"] = [fasths.Identity.from_pem(made.chain_pem, made.key_pem)]
    if version is not None:
        options |= {"minimum_version": version, "maximum_version": version}
    if demand:
        options["verify"] = fasths.Verify.REQUIRED
    return fasths.Context(trust=fasths.TrustStore.from_pem(authority().pem), **options)


class Side:
    """One end of a connection in memory; error: the first exception that is no wait."""

    def __init__(self, hostname):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.hostname = hostname
        self.error = None

    def attempt(self, method):
        if self.error is None or isinstance(self.error, ssl.SSLWantReadError):
            self.error = self.failure_of(method)
        return self.error


class Stdlib(Side):
    def __init__(self, context, by_server, hostname=HOST):
        super().__init__(hostname)
        self.object = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=by_server,
            server_hostname=None if by_server else hostname,
        )

    def failure_of(self, method):
        calls = {
            "handshake": self.object.do_handshake,
            "read": lambda: self.object.read(100),
            "write": lambda: self.object.write(b"x"),
            "shutdown": self.object.unwrap,
        }
        try:
            calls[method]()
        except OSError as error:
            return error
        return None


class Fasths(Side):
    def __init__(self, context, by_server, hostname=HOST):
        super().__init__(hostname)
        self.connection = fasths.Connection(
            context,
            self.incoming,
            self.outgoing,
            server_hostname=None if by_server else hostname,
        )
        if by_server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def failure_of(self, method):
        conn = self.connection
        if method == "handshake":
            ret = conn.do_handshake()
        elif method == "read":
            ret = conn.read_into(bytearray(100))
        elif method == "write":
            ret = conn.write(b"x")
        else:
            ret = conn.shutdown()
            if ret == 0:
                ret = conn.shutdown()
        if ret > 0:
            return None
        return failure(conn, ret, server_hostname=self.hostname)


def both(by_server, version, **options):
    """The standard library's end and ours, with the same settings."""
    return (
        Stdlib(stdlib_context(by_server, version, **options), by_server),
        Fasths(fasths_context(by_server, version, **options), by_server),
    )


def exchange(left, right):
    for side, other in ((left, right), (right, left)):
        other.incoming.write(side.outgoing.read())


def handshake(client, server):
    """The handshake, and what a client learns of it with its first read."""
    for _ in range(6):
        client.attempt("handshake")
        server.attempt("handshake")
        exchange(client, server)
    for side in (server, client):
        if side.error is None:
            side.attempt("read")
            exchange(client, server)


def described(error):
    """All that programs look at, without the line of the source."""
    if not isinstance(error, ssl.SSLError):
        return type(error), str(error)
    return (
        type(error),
        type(error.errno),
        error.errno,
        error.reason,
        error.library,
        getattr(error, "verify_code", None),
        getattr(error, "verify_message", None),
        [re.sub(r"_ssl\.c:\d+", "_ssl.c", str(each)) for each in (error, *error.args)],
        error.strerror == str(error),
    )


def check_alike(theirs, ours):
    assert theirs is not None
    assert described(ours) == described(theirs)


# --- Certificates


@VERSIONS
@pytest.mark.parametrize("kind", REFUSED)
def test_certificate_of_a_server_that_is_refused(version, kind):
    server = stdlib_context(True, shown=kind)
    clients = both(False, version)
    for client in clients:
        handshake(client, Stdlib(server, True))
    theirs, ours = (client.error for client in clients)
    assert isinstance(theirs, ssl.SSLCertVerificationError)
    check_alike(theirs, ours)


@VERSIONS
def test_root_that_is_sent_but_not_trusted(version):
    server = stdlib_context(True, shown="unknown authority", root=True)
    clients = both(False, version)
    for client in clients:
        handshake(client, Stdlib(server, True))
    assert clients[0].error.verify_code == 19
    check_alike(*(client.error for client in clients))


@VERSIONS
@pytest.mark.parametrize("hostname", ["127.0.0.2", "::1", "Example.COM", "xn--knig-5qa.org"])
def test_name_that_does_not_match_is_told_as_it_was_given(version, hostname):
    clients = (
        Stdlib(stdlib_context(False, version), False, hostname),
        Fasths(fasths_context(False, version), False, hostname),
    )
    for client in clients:
        handshake(client, Stdlib(stdlib_context(True), True))
    assert hostname in clients[0].error.verify_message
    check_alike(*(client.error for client in clients))


def test_name_that_does_not_match_is_told_as_it_was_looked_for_by_default():
    client = Fasths(fasths_context(False), False, "Example.COM")
    handshake(client, Stdlib(stdlib_context(True), True))
    error = failure(client.connection, -1)
    assert error.verify_message == "Hostname mismatch, certificate is not valid for 'example.com'."


@VERSIONS
@pytest.mark.parametrize("kind", ["self-signed", "unknown authority", "other name"])
def test_alert_of_a_client_that_refuses_the_certificate(version, kind):
    client = stdlib_context(False, version)
    servers = both(True, None, shown=kind)
    for server in servers:
        handshake(Stdlib(client, False), server)
    check_alike(*(server.error for server in servers))


@VERSIONS
@pytest.mark.parametrize("kind", [None, "unknown authority", "self-signed", "expired"])
def test_certificate_of_a_client_that_is_refused(version, kind):
    client = stdlib_context(False, version, shown=kind)
    servers = both(True, None, demand=True)
    for server in servers:
        handshake(Stdlib(client, False), server)
    check_alike(*(server.error for server in servers))


@VERSIONS
def test_alert_of_a_server_that_demands_a_certificate(version):
    server = stdlib_context(True, version, demand=True)
    clients = both(False, version)
    for client in clients:
        handshake(client, Stdlib(server, True))
    check_alike(*(client.error for client in clients))


def test_refusal_by_the_application_tells_its_sentence():
    context = fasths_context(False, verify_callback=lambda request: False)
    client = Fasths(context, False)
    handshake(client, Stdlib(stdlib_context(True), True))
    error = client.error
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert (error.verify_code, error.reason) == (1, "CERTIFICATE_VERIFY_FAILED")
    assert "failed: the application refused the peer's certificate (" in str(error)


# --- What cannot be agreed on


@VERSIONS
def test_no_version_in_common(version):
    other = TLSv1_2 if version == TLSv1_3 else TLSv1_3
    servers = both(True, other)
    for server in servers:
        handshake(Stdlib(stdlib_context(False, version), False), server)
    check_alike(*(server.error for server in servers))
    clients = both(False, version)
    for client in clients:
        handshake(client, Stdlib(stdlib_context(True, other), True))
    check_alike(*(client.error for client in clients))


@pytest.mark.parametrize("suite", ["ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_no_cipher_suite_in_common(suite):
    client = stdlib_context(False, TLSv1_2, suites=suite)
    servers = both(True, None)
    for server in servers:
        handshake(Stdlib(client, False), server)
    assert servers[0].error.reason == "NO_SHARED_CIPHER"
    check_alike(*(server.error for server in servers))


def test_alert_of_a_server_without_a_cipher_suite_in_common():
    clients = (
        Stdlib(stdlib_context(False, TLSv1_2, suites="ECDHE-RSA-AES128-GCM-SHA256"), False),
        Fasths(
            fasths_context(False, TLSv1_2, cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]),
            False,
        ),
    )
    for client in clients:
        handshake(client, Stdlib(stdlib_context(True), True))
    check_alike(*(client.error for client in clients))


# --- What a peer sends


def record(content_type, fragment):
    return bytes((content_type, 3, 3)) + len(fragment).to_bytes(2, "big") + fragment


FIRST_BYTES = {
    "an HTTP request": NOT_TLS,
    "an HTTP response": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMTP": b"220 mail.example ESMTP\r\n",
    "other bytes": b"\x99" * 40,
    "a record that is too long": b"\x16\x03\x03\xff\xff",
    "application data": record(23, b"hello"),
    "a message out of place": record(22, b"\x0e\x00\x00\x00"),
    "a message of an unknown type": record(22, b"\x63\x00\x00\x00"),
    "the end": None,
}


@VERSIONS
@BOTH_ROLES
@pytest.mark.parametrize("what", FIRST_BYTES)
def test_first_bytes(version, by_server, what):
    sides = both(by_server, version)
    for side in sides:
        if not by_server:
            side.attempt("handshake")
        if FIRST_BYTES[what] is None:
            side.incoming.write_eof()
        else:
            side.incoming.write(FIRST_BYTES[what])
        side.attempt("handshake")
    check_alike(*(side.error for side in sides))


@VERSIONS
@pytest.mark.parametrize("alert", list(fasths.AlertDescription), ids=lambda alert: alert.name)
def test_alert(version, alert):
    sides = both(False, version)
    for side in sides:
        side.attempt("handshake")
        side.incoming.write(record(21, bytes((2, alert))))
        side.attempt("handshake")
    theirs, ours = (side.error for side in sides)
    if alert == fasths.AlertDescription.close_notify:
        # Of whatever level.
        assert isinstance(ours, ssl.SSLZeroReturnError)
    elif alert == fasths.AlertDescription.user_canceled:
        # RFC 8446, 6.1: a close_notify follows.
        assert isinstance(ours, ssl.SSLWantReadError)
    elif theirs.reason is not None:
        check_alike(theirs, ours)
    else:
        # The tables of the standard library are older than these alerts.
        assert type(ours) is type(theirs)
        assert (ours.errno, ours.library) == (theirs.errno, theirs.library)
        assert ours.reason is not None or f"[SSL] the peer sent the alert {alert.name} (" in str(
            ours
        )


def test_close_notify_in_the_handshake():
    sides = both(False, None)
    for side in sides:
        side.attempt("handshake")
        side.incoming.write(CLOSE_NOTIFY)
        side.attempt("handshake")
    check_alike(*(side.error for side in sides))


LATER_EVENTS = {
    "nothing to read": lambda side: side.attempt("read"),
    "the end": lambda side: (side.incoming.write_eof(), side.attempt("read")),
    "a record that does not decrypt": lambda side: (
        side.incoming.write(record(23, bytes(32))),
        side.attempt("read"),
    ),
    "a record that is too short": lambda side: (
        side.incoming.write(record(23, bytes(5))),
        side.attempt("read"),
    ),
    "a record that is too long": lambda side: (
        side.incoming.write(b"\x17\x03\x03\xff\xff"),
        side.attempt("read"),
    ),
    "plain text": lambda side: (
        side.incoming.write(b"HTTP/1.1 400 Bad Request\r\n"),
        side.attempt("read"),
    ),
    "an alert that is not protected": lambda side: (
        side.incoming.write(record(21, b"\x02\x28")),
        side.attempt("read"),
    ),
    "the end instead of close_notify": lambda side: (
        side.attempt("shutdown"),
        side.incoming.write_eof(),
        side.attempt("shutdown"),
    ),
}


@VERSIONS
@BOTH_ROLES
@pytest.mark.parametrize("what", LATER_EVENTS)
def test_established(version, by_server, what):
    sides = both(by_server, version)
    for side in sides:
        other = Stdlib(stdlib_context(not by_server, version), not by_server)
        handshake(*((other, side) if by_server else (side, other)))
        assert isinstance(side.error, ssl.SSLWantReadError), side.error
        side.error = None
        LATER_EVENTS[what](side)
    check_alike(*(side.error for side in sides))


@VERSIONS
def test_data_where_close_notify_is_awaited(version):
    clients = both(False, version)
    for client in clients:
        server = Stdlib(stdlib_context(True, version), True)
        handshake(client, server)
        client.error = server.error = None
        client.attempt("shutdown")
        server.attempt("write")
        exchange(client, server)
        client.attempt("shutdown")
    assert clients[0].error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
    check_alike(*(client.error for client in clients))


# --- What the standard library has no like of


def test_error_of_the_transport_is_like_itself():
    bio = SpyBIO(fasths.MemoryBIO())
    conn = fasths.Connection(fasths_context(False), bio, server_hostname=HOST)
    bio.read_error = RESET
    assert outcome(conn, conn.connect()) == (-1, fasths.SSLErrorCode.SYSCALL)
    for _ in range(3):
        with pytest.raises(ConnectionResetError) as raised:
            raise failure(conn, -1)
        assert raised.value is not RESET
        assert raised.value.args == RESET.args
        # Here and in pytest alone, however often it was raised before.
        assert len(raised.traceback) == 1


def test_transport_that_takes_nothing_is_waited_for():
    bio = SpyBIO(fasths.MemoryBIO())
    bio.blocked = True
    conn = fasths.Connection(fasths_context(False), bio, server_hostname=HOST)
    error = failure(conn, conn.connect())
    assert isinstance(error, ssl.SSLWantWriteError)
    assert (error.errno, error.reason, error.library) == (ssl.SSL_ERROR_WANT_WRITE, None, None)
    assert str(error).startswith("The operation did not complete (write) (_ssl.c:")


def test_error_of_the_engine_is_the_cause():
    side = both(False, None)[1]
    side.attempt("handshake")
    side.incoming.write(NOT_TLS)
    error = side.attempt("handshake")
    assert error.__cause__ is side.connection.last_error
    assert error.__cause__.reason == "the peer speaks plain HTTP instead of TLS"


def test_connection_without_a_role():
    conn = fasths.Connection(fasths_context(False), fasths.MemoryBIO(), server_hostname=HOST)
    error = failure(conn, conn.do_handshake())
    assert (error.errno, error.reason) == (ssl.SSL_ERROR_SSL, "CONNECTION_TYPE_NOT_SET")


def test_error_of_the_program_tells_its_sentence():
    def broken(request):
        raise LookupError("no idea")

    server = Fasths(fasths_context(True, client_hello_callback=broken), True)
    handshake(Stdlib(stdlib_context(False), False), server)
    error = server.error
    assert (error.errno, error.reason, error.library) == (ssl.SSL_ERROR_SSL, None, "SSL")
    assert str(error).startswith(f"[SSL] {error.__cause__.reason} (_ssl.c:")


@pytest.mark.parametrize(
    ("callback", "number", "what"),
    [
        ("identity_callback", ssl.SSL_ERROR_WANT_X509_LOOKUP, "X509 lookup"),
        ("client_hello_callback", ssl.SSL_ERROR_INVALID_ERROR_CODE, "WANT_CLIENT_HELLO_CB"),
    ],
)
def test_answer_of_the_application_is_waited_for(callback, number, what):
    options = {callback: lambda request: fasths.LATER}
    server = Fasths(fasths_context(True, **options), True)
    handshake(Stdlib(stdlib_context(False), False), server)
    error = failure(server.connection, -1)
    assert (type(error), error.errno, error.reason) == (ssl.SSLError, number, None)
    assert f"The operation did not complete ({what})" in str(error)


# --- The tables


def test_every_sentence_is_one_that_is_told():
    package = Path(fasths.__file__).parent
    sources = [*package.glob("*.py*"), *package.glob("[!s]*/*.py*"), package / "ssl/_context.py"]
    told = "".join(path.read_text() for path in sources if path.suffix in {".py", ".pyx"})
    for sentence in {*_errors._SENTENCES, *_errors._NO_SHARED_CIPHER}:
        assert f'"{sentence}"' in told, sentence


def test_every_kind_of_error_is_told_by_its_own_name():
    assert all(issubclass(kind, fasths.TLSError) for kind in _errors._KINDS)
    assert len(set(_errors._KINDS.values())) >= len(_errors._KINDS) - 1
