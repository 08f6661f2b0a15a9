"""smtplib, poplib, imaplib and ftplib over fasths.ssl: TLS at once, and after a command."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import ftplib
import imaplib
import io
import poplib
import smtplib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interop.processes import TIMEOUT

from .contexts import ADDRESS, HOST, Certificates, Sides, View, library
from .http_servers import running
from .injected_programs import EACH_WAY, HOW, output_of
from .line_servers import (
    MESSAGE,
    PASSWORD,
    FTPHandler,
    IMAPHandler,
    LineHandler,
    LineServer,
    POP3Handler,
)

aiosmtpd_smtp = library("aiosmtpd.smtp")
pyftpdlib_authorizers = library("pyftpdlib.authorizers")
pyftpdlib_handlers = library("pyftpdlib.handlers")
pyftpdlib_servers = library("pyftpdlib.servers")

IMPLICIT = pytest.mark.parametrize("is_implicit", [True, False], ids=["implicit", "starttls"])


class Inbox:
    """What aiosmtpd hands its messages to."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.views: list[View] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.contents.append(envelope.content)
        self.views.append(View.of(server.transport.get_extra_info("ssl_object")))
        return "250 OK"


@contextlib.contextmanager
def smtp_server(inbox: Inbox, context: Any, *, is_implicit: bool) -> Iterator[int]:
    """aiosmtpd, on an event loop of its own in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    after_command = None if is_implicit else context

    async def start() -> asyncio.Server:
        return await loop.create_server(
            lambda: aiosmtpd_smtp.SMTP(
                inbox,
                hostname=HOST,
                tls_context=after_command,
                require_starttls=not is_implicit,
                loop=loop,
            ),
            ADDRESS,
            0,
            ssl=context if is_implicit else None,
        )

    async def stop() -> None:
        server.close()
        await server.wait_closed()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(TIMEOUT)
        yield server.sockets[0].getsockname()[1]
        asyncio.run_coroutine_threadsafe(stop(), loop).result(TIMEOUT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT)
        loop.close()


def a_message() -> email.message.EmailMessage:
    message = email.message.EmailMessage()
    message["From"], message["To"] = "sender@example.com", "recipient@example.com"
    message["Subject"] = "over fasths"
    message.set_content("A line of it.\n" * 5_000)
    return message


@IMPLICIT
def test_smtplib(sides: Sides, is_implicit: bool) -> None:
    inbox = Inbox()
    context = sides.client_context()
    with smtp_server(inbox, sides.server_context(), is_implicit=is_implicit) as port:
        if is_implicit:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                HOST, port, timeout=TIMEOUT, local_hostname=HOST, context=context
            )
        else:
            client = smtplib.SMTP(HOST, port, timeout=TIMEOUT, local_hostname=HOST)
        with client:
            if not is_implicit:
                assert client.starttls(context=context)[0] == 220
            sides.check_client(client.sock)
            for _ in range(2):
                assert client.send_message(a_message()) == {}
    assert inbox.views == [sides.server_view] * 2
    assert inbox.contents[0].count(b"A line of it.\r\n") == 5_000


def test_smtplib_does_not_believe_another_authority(
    sides: Sides, certificates: Certificates
) -> None:
    context = sides.client_context(authority=certificates.other_authority)
    with (
        smtp_server(Inbox(), sides.server_context(), is_implicit=False) as port,
        smtplib.SMTP(HOST, port, timeout=TIMEOUT, local_hostname=HOST) as client,
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
            client.starttls(context=context)
        client.close()


@EACH_WAY
def test_smtplib_in_a_program_that_does_not_know(
    how: str, both: Sides, certificates: Certificates
) -> None:
    with smtp_server(Inbox(), both.server_context(), is_implicit=False) as port:
        arguments = (f"{HOST}:{port}", certificates.authority)
        printed = output_of(how, "smtplib", "smtplib_client.py", *arguments)
    assert printed == [HOW[how], "True", "250"]


@contextlib.contextmanager
def line_server(sides: Sides, handler: type[LineHandler], *, is_implicit: bool) -> Iterator[Any]:
    server = LineServer(handler, sides.server_context(), is_implicit=is_implicit)
    with running(server):
        yield server
    assert server.errors == []
    assert set(server.views) == {sides.server_view}


@IMPLICIT
def test_poplib(sides: Sides, is_implicit: bool) -> None:
    context = sides.client_context()
    with line_server(sides, POP3Handler, is_implicit=is_implicit) as server:
        port = server.server_address[1]
        if is_implicit:
            client: poplib.POP3 = poplib.POP3_SSL(HOST, port, timeout=TIMEOUT, context=context)
        else:
            client = poplib.POP3(HOST, port, timeout=TIMEOUT)
            client.stls(context=context)
        sides.check_client(client.sock)
        client.user("someone")
        client.pass_(PASSWORD)
        _, lines, _ = client.retr(1)
        assert b"\r\n".join(lines) + b"\r\n" == MESSAGE
        client.quit()


@IMPLICIT
def test_imaplib(sides: Sides, is_implicit: bool) -> None:
    context = sides.client_context()
    with line_server(sides, IMAPHandler, is_implicit=is_implicit) as server:
        port = server.server_address[1]
        if is_implicit:
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                HOST, port, timeout=TIMEOUT, ssl_context=context
            )
        else:
            client = imaplib.IMAP4(HOST, port, timeout=TIMEOUT)
            client.starttls(context)
        sides.check_client(client.sock)
        client.login("someone", PASSWORD)
        client.select()
        _, (found, *_) = client.fetch("1", "(RFC822)")
        assert found[1] == MESSAGE
        client.logout()


def connected_ftp(context: Any, port: int) -> ftplib.FTP_TLS:
    client = ftplib.FTP_TLS(context=context, timeout=TIMEOUT)
    client.connect(HOST, port)
    client.login("someone", PASSWORD)
    client.prot_p()
    return client


def retrieve(client: ftplib.FTP_TLS, name: str) -> bytes:
    received = io.BytesIO()
    client.retrbinary(f"RETR {name}", received.write)
    return received.getvalue()


def test_ftplib(sides: Sides) -> None:
    """Each transfer has a connection of its own, which ends with close_notify from both sides."""
    with (
        line_server(sides, FTPHandler, is_implicit=False) as server,
        connected_ftp(sides.client_context(), server.server_address[1]) as client,
    ):
        sides.check_client(client.sock)
        assert retrieve(client, "message") == MESSAGE
        client.storbinary("STOR message", io.BytesIO(MESSAGE))
    assert server.uploads == [MESSAGE]
    assert len(server.views) == 3


def test_ftplib_goes_on_without_tls(sides: Sides) -> None:
    """The clear command channel: unwrap() takes no byte of what comes after it."""
    with (
        line_server(sides, FTPHandler, is_implicit=False) as server,
        connected_ftp(sides.client_context(), server.server_address[1]) as client,
    ):
        assert client.ccc().startswith("200")
        assert client.sock.version() is None
        assert client.sendcmd("NOOP").startswith("200")
        assert retrieve(client, "message") == MESSAGE


@pytest.fixture
def ftp_directory(tmp_path: Path) -> Path:
    (tmp_path / "message").write_bytes(MESSAGE)
    return tmp_path


def test_ftplib_and_pyftpdlib(both: Sides, certificates: Certificates, ftp_directory: Path) -> None:
    """A server over pyOpenSSL, which is none of the ssl module."""
    authorizer = pyftpdlib_authorizers.DummyAuthorizer()
    authorizer.add_user("someone", PASSWORD, str(ftp_directory), perm="elrw")

    class Handler(pyftpdlib_handlers.TLS_FTPHandler):  # type: ignore[misc, name-defined]
        certfile, keyfile = str(certificates.server.chain), str(certificates.server.key)
        tls_control_required = tls_data_required = True

    Handler.authorizer = authorizer
    server = pyftpdlib_servers.FTPServer((ADDRESS, 0), Handler)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            server.serve_forever(timeout=0.02, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with connected_ftp(both.client_context(), server.address[1]) as client:
            both.check_client(client.sock)
            assert client.nlst() == ["message"]
            assert retrieve(client, "message") == MESSAGE
            client.storbinary("STOR copy", io.BytesIO(MESSAGE))
        assert (ftp_directory / "copy").read_bytes() == MESSAGE
    finally:
        stopping.set()
        thread.join(TIMEOUT)
        server.close_all()
