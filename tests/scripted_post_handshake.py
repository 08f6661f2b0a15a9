"""What a scripted peer does once the handshake is done (RFC 8446, 4.6): tickets, authentication
and changes of keys."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from scripted_certificates import CertificatePeer
from scripted_keys import ALL_SCHEMES, CLIENT_CONTEXT
from scripted_messages import (
    CertificateRequest,
    KeyUpdate,
    Message,
    NewSessionTicket,
    parse_message,
    u32,
)
from scripted_psk import Psk, resumption_psk
from scripted_records import FATAL, Refused

from fasths import ExtensionType


class PostHandshakePeer(CertificatePeer):
    """Points of the script: new_session_ticket and post_certificate_request of a server;
    post_certificate, post_certificate_verify and post_finished of a client."""

    # What may come of the other side by itself.
    post_handshake_messages: ClassVar[tuple[type[Message], ...]]
    # All messages up to the client's Finished, and what tickets are made from.
    handshake_transcript: bytes
    resumption_secret: bytes

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The request_update of each KeyUpdate, the session tickets, and requests for certificates.
        self.key_updates: list[int] = []
        self.tickets: list[NewSessionTicket] = []
        self.requests: list[CertificateRequest] = []
        # The requests that were sent, by their context.
        self.requested: dict[bytes, bytes] = {}
        self.tickets_sent = 0

    def settle(self) -> None:
        """Deliver what is left, and see what comes back. Refused: an alert."""
        self.turn()
        while (data := self.next_message()) is not None:
            message = parse_message(data)
            assert isinstance(message, self.post_handshake_messages)
            self.take_post_handshake(message)
        if any(alert.level == FATAL for alert in self.alerts):
            raise Refused

    def take_post_handshake(self, message: Message) -> None:
        if isinstance(message, KeyUpdate):
            assert self.read_key is not None
            self.set_read_key(self.read_key.next())
            self.key_updates.append(message.request_update)
        elif isinstance(message, NewSessionTicket):
            # RFC 8446, 4.6.1
            assert message.ticket_lifetime <= 604800
            assert all(message.ticket_nonce != each.ticket_nonce for each in self.tickets)
            self.tickets.append(message)
        elif isinstance(message, CertificateRequest):
            self.requests.append(message)

    def update_write_key(self, request_update: int = 0) -> None:
        """Send a KeyUpdate, and change the key."""
        assert self.write_key is not None
        self.queue(KeyUpdate(request_update=request_update))
        self.set_write_key(self.write_key.next())

    # --- Tickets (RFC 8446, 4.6.1)

    def psk_of(self, ticket: NewSessionTicket) -> Psk:
        return resumption_psk(self.suite, self.resumption_secret, ticket)

    def resumption_psks(self) -> list[Psk]:
        """Those of all tickets that came, oldest first."""
        return [self.psk_of(ticket) for ticket in self.tickets]

    def send_ticket(self, *, max_early_data_size: int = 0, **fields: Any) -> Psk:
        """fields: of NewSessionTicket."""
        self.tickets_sent += 1
        ticket = NewSessionTicket(
            **{
                "ticket_nonce": self.tickets_sent.to_bytes(2, "big"),
                "ticket": os.urandom(32),
                "ticket_age_add": int.from_bytes(os.urandom(4), "big"),
                **fields,
            }
        )
        if max_early_data_size:
            ticket.set(ExtensionType.early_data, u32(max_early_data_size))
        for each in self.edited("new_session_ticket", ticket):
            self.queue(each)
        return self.psk_of(ticket)

    # --- Authentication of the client (RFC 8446, 4.4 and 4.6.2)

    def request_authentication(self, context: bytes = b"context") -> None:
        """As a server."""
        for each in self.edited("post_certificate_request", self.certificate_request(context)):
            data = each if isinstance(each, bytes) else each.encode()
            self.queue(data)
            self.requested[context] = data

    def read_authentication(self, context: bytes = b"context") -> None:
        """The client's answer, which must be the next messages; peer_chain is what it showed."""
        assert self.read_key is not None
        transcript, self.transcript = self.transcript, self.handshake_transcript
        self.transcript += self.requested.pop(context)
        try:
            self.read_certificate(CLIENT_CONTEXT, ALL_SCHEMES, request_context=context)
            # RFC 8446, 4.4: the base key is client_application_traffic_secret_N.
            self.read_finished(self.read_key)
        finally:
            self.transcript = transcript

    def answer_request(
        self, request: CertificateRequest | None = None, *, context: bytes | None = None
    ) -> None:
        """As a client. request: None: the oldest one. context: None: what it said."""
        if request is None:
            request = self.requests.pop(0)
        assert self.write_key is not None
        if context is None:
            context = request.certificate_request_context
        transcript = self.transcript
        self.transcript = self.handshake_transcript + request.encode()
        self.send_certificate(CLIENT_CONTEXT, request_context=context, prefix="post_")
        self.send_finished(self.write_key, "post_finished")
        self.transcript = transcript
