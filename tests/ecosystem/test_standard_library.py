"""Modules of the standard library that take an SSLContext, over fasths.ssl.

http.client, urllib.request, http.server, socketserver, xmlrpc, logging: all that speaks HTTP, or
has a server. Mail and FTP are in test_standard_library_mail.py.
"""

from __future__ import annotations

import http.client
import json
import logging
import logging.handlers
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
import xmlrpc.server
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from interop.processes import TIMEOUT

from fasths import ssl as fasths_ssl

from .contexts import ADDRESS, HOST, OTHER_HOST, Certificates, Sides, View
from .http_servers import (
    LARGE,
    ChildWrappingServer,
    HTTPHandler,
    TLSServer,
    connect_to,
    https_server,
    running,
)

SERVER_CLASSES = pytest.mark.parametrize(
    "server_class", [TLSServer, ChildWrappingServer], ids=["listening", "children"]
)


def https_connection(sides: Sides, port: int, **settings: Any) -> http.client.HTTPSConnection:
    context = sides.client_context(**settings)
    return http.client.HTTPSConnection(ADDRESS, port, timeout=TIMEOUT, context=context)


@SERVER_CLASSES
def test_http_client_keeps_a_connection(sides: Sides, server_class: type[TLSServer]) -> None:
    with https_server(sides, server_class) as port:
        connection = https_connection(sides, port)
        try:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
            first = connection.sock
            sides.check_client(first)
            for method, body in (("GET", None), ("POST", LARGE)):
                connection.request(method, "/large", body)
                assert connection.getresponse().read() == LARGE
            assert connection.sock is first
        finally:
            connection.close()


def test_both_sides_see_the_same_certificates(sides: Sides, certificates: Certificates) -> None:
    with https_server(sides, wants_certificate=True) as port:
        connection = https_connection(sides, port, identity=certificates.client)
        try:
            connection.request("GET", "/peer")
            seen = json.loads(connection.getresponse().read())
            assert seen["subject"] == [[["commonName", "the client"]]]
            assert seen["subjectAltName"] == [["email", "client@example.com"]]
            own = connection.sock.getpeercert()
            assert own["subjectAltName"] == (("DNS", HOST), ("IP Address", ADDRESS))
            pem = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
            assert certificates.server.chain.read_text().startswith(pem)
        finally:
            connection.close()


def connect_and_read(context: Any, port: int) -> bytes:
    with (
        connect_to(ADDRESS, port) as tcp,
        context.wrap_socket(tcp, server_hostname=HOST) as sock,
    ):
        return sock.recv(1)


def test_a_server_refuses_a_client_without_a_certificate(sides: Sides) -> None:
    """In TLS 1.3 the client hears of it when it reads."""
    reasons = {
        "TLSv1.3": "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSv1.2": "SSLV3_ALERT_HANDSHAKE_FAILURE",
    }
    with running(TLSServer(sides.server_context(wants_certificate=True))) as port:
        with pytest.raises(ssl.SSLError) as caught:
            connect_and_read(sides.client_context(), port)
        assert caught.value.reason == reasons[sides.version_name]


def opener_for(sides: Sides, **settings: Any) -> urllib.request.OpenerDirector:
    context = sides.client_context(**settings)
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def test_urllib_request(sides: Sides) -> None:
    with https_server(sides) as port:
        opener = opener_for(sides)
        for path, expected in (("/", b"hello"), ("/large", LARGE)):
            with opener.open(f"https://{HOST}:{port}{path}", timeout=TIMEOUT) as response:
                assert response.read() == expected
        url = f"https://{ADDRESS}:{port}/"
        with opener.open(url, data=b"posted", timeout=TIMEOUT) as response:
            assert response.read() == b"posted"


def test_urllib_request_says_why_it_does_not_believe(
    sides: Sides, certificates: Certificates
) -> None:
    wrong_host = f"Hostname mismatch, certificate is not valid for '{HOST}'."
    unknown = "unable to get local issuer certificate"
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"identity": certificates.other_server}, {}, wrong_host),
        ({}, {"authority": certificates.other_authority}, unknown),
    ]
    for server_settings, client_settings, message in cases:
        with running(TLSServer(sides.server_context(**server_settings))) as port:
            opener = opener_for(sides, **client_settings)
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                opener.open(f"https://{HOST}:{port}/", timeout=TIMEOUT)
            reason = caught.value.reason
            assert isinstance(reason, ssl.SSLCertVerificationError)
            assert reason.verify_message == message


def test_urlopen_with_a_default_context(both: Sides, certificates: Certificates) -> None:
    """create_default_context() of fasths.ssl; the function itself gets the context."""
    context = fasths_ssl.create_default_context(cafile=str(certificates.authority))
    assert isinstance(context, fasths_ssl.SSLContext)
    with https_server(both) as port:
        url = f"https://{HOST}:{port}/large"
        with urllib.request.urlopen(url, timeout=TIMEOUT, context=context) as response:
            assert response.read() == LARGE


def test_get_server_certificate(sides: Sides, certificates: Certificates) -> None:
    with running(TLSServer(sides.server_context())) as port:
        pem = sides.client.get_server_certificate(
            (ADDRESS, port), ca_certs=str(certificates.authority), timeout=TIMEOUT
        )
    assert certificates.server.chain.read_text().startswith(pem)


def test_clients_at_the_same_time(sides: Sides) -> None:
    with https_server(sides, ChildWrappingServer) as port:
        context = sides.client_context()

        def fetch(number: int) -> bytes:
            connection = http.client.HTTPSConnection(HOST, port, timeout=TIMEOUT, context=context)
            try:
                body = b"%d" % number * 50_000
                connection.request("POST", "/", body)
                assert connection.getresponse().read() == body
                connection.request("GET", "/")
                return connection.getresponse().read()
            finally:
                connection.close()

        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(fetch, range(20))) == {b"hello"}


def test_a_client_that_is_slow_stops_no_other(sides: Sides) -> None:
    """The handshake belongs to the thread of the connection, where children are wrapped."""
    with (
        https_server(sides, ChildWrappingServer) as port,
        connect_to(ADDRESS, port),
        opener_for(sides).open(f"https://{HOST}:{port}/", timeout=TIMEOUT) as response,
    ):
        assert response.read() == b"hello"


def test_plain_http_to_a_tls_server(sides: Sides) -> None:
    """The server refuses it, and serves the next one."""
    with https_server(sides) as port:
        plain = http.client.HTTPConnection(ADDRESS, port, timeout=TIMEOUT)
        plain.request("GET", "/")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            plain.getresponse()
        plain.close()
        with opener_for(sides).open(f"https://{HOST}:{port}/", timeout=TIMEOUT) as response:
            assert response.read() == b"hello"


class EchoHandler(HTTPHandler):
    """Lines, back as they came, through the files that a StreamRequestHandler makes."""

    def handle(self) -> None:
        self.server.views.append(View.of(self.connection))
        for line in self.rfile:
            self.wfile.write(line)
        self.connection.unwrap()


def test_socketserver_and_makefile(sides: Sides) -> None:
    server = TLSServer(sides.server_context(), EchoHandler)
    with running(server) as port:
        context = sides.client_context()
        with (
            connect_to(ADDRESS, port) as tcp,
            context.wrap_socket(tcp, server_hostname=HOST) as sock,
            sock.makefile("rw", encoding="utf-8") as file,
        ):
            sides.check_client(sock)
            for number in range(20):
                file.write(f"line {number}\n")
            file.flush()
            assert [file.readline() for _ in range(20)] == [f"line {n}\n" for n in range(20)]
            # close_notify ends the server's loop over the lines, and it answers with its own.
            sock.unwrap()
    assert server.views == [sides.server_view]


@pytest.mark.parametrize("sides", ["client", "both"], indirect=True)
def test_one_thread_reads_while_another_one_writes(sides: Sides) -> None:
    """What comes back fills every buffer on the way, unless somebody reads.

    The client is never the real module's: before Python 3.13 nothing there keeps two threads apart.
    """
    server = TLSServer(sides.server_context(), EchoHandler)
    data = LARGE + b"\n"
    received = bytearray()

    def read_to_the_end(sock: Any) -> None:
        while len(received) < len(data) and (chunk := sock.recv(1 << 16)):
            received.extend(chunk)

    with (
        running(server) as port,
        connect_to(ADDRESS, port) as tcp,
        sides.client_context().wrap_socket(tcp, server_hostname=HOST) as sock,
        ThreadPoolExecutor(1) as pool,
    ):
        reading = pool.submit(read_to_the_end, sock)
        for start in range(0, len(data), 1 << 16):
            sock.sendall(data[start : start + (1 << 16)])
        reading.result(TIMEOUT)
        assert received == data
        sock.unwrap()


def test_xmlrpc(sides: Sides) -> None:
    class Handler(xmlrpc.server.SimpleXMLRPCRequestHandler):
        timeout = TIMEOUT

        def do_POST(self) -> None:
            views.append(View.of(self.connection))
            super().do_POST()

    views: list[View] = []
    server = xmlrpc.server.SimpleXMLRPCServer(
        (ADDRESS, 0), Handler, logRequests=False, allow_none=True
    )
    server.register_function(pow)
    server.register_function(lambda data: data, "echo")
    server.socket = sides.server_context().wrap_socket(server.socket, server_side=True)
    with running(server) as port:
        url = f"https://{HOST}:{port}/"
        with xmlrpc.client.ServerProxy(url, context=sides.client_context()) as proxy:
            assert proxy.pow(2, 10) == 1024
            large = xmlrpc.client.Binary(LARGE[: 1 << 20])
            assert proxy.echo(large) == large
            with pytest.raises(xmlrpc.client.Fault):
                proxy.unknown()
    assert views == [sides.server_view] * 3


def test_logging_over_https(sides: Sides) -> None:
    """logging.handlers.HTTPHandler posts each record as a form."""
    arrived: list[dict[str, list[str]]] = []
    received = threading.Event()

    class Handler(HTTPHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(urllib.parse.parse_qs(body.decode()))
            self._answer(b"")
            received.set()

    server = TLSServer(sides.server_context(), Handler)
    with running(server) as port:
        handler = logging.handlers.HTTPHandler(
            f"{HOST}:{port}", "/", method="POST", secure=True, context=sides.client_context()
        )
        handler.handle(logging.LogRecord("a", logging.INFO, "", 1, "the %s", ("message",), None))
        assert received.wait(TIMEOUT)
        handler.close()
    assert arrived[0]["args"] == ["('message',)"]
    assert server.views == [sides.server_view]


def test_a_program_that_asks_for_another_host(both: Sides) -> None:
    """server_hostname is what is checked, and what the server sees."""
    context = both.server_context(identity=both.certificates.other_server)
    names: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    with (
        running(TLSServer(context)) as port,
        connect_to(ADDRESS, port) as tcp,
        both.client_context().wrap_socket(tcp, server_hostname=OTHER_HOST) as sock,
    ):
        assert sock.getpeercert()["subjectAltName"] == (("DNS", OTHER_HOST),)
    assert names == [OTHER_HOST]
