from typing import Any

from fasths.context import Context
from fasths.crypto.aead import Suite
from fasths.crypto.identity import Identity
from fasths.handshake.session import Session

class Outcome:
    suite: Suite | None
    version: int
    group: int
    signature_scheme: int
    client_signature_scheme: int
    protocol_name: bytes | None
    server_name: str | None
    # None until the peer has shown something.
    peer_certificates: tuple[bytes, ...] | None
    raw_public_key: bool
    # Of x509.Certificate and DER, or None.
    verified_chain: Any
    ocsp_response: bytes | None
    signed_certificate_timestamps: tuple[bytes, ...] | None
    identity: Identity | None
    context: Context | None
    resumed: bool
    takes_tickets: bool
    post_handshake_auth: bool
    exporter_secret: bytes | None
    early_exporter_secret: bytes | None
    extended_master_secret: bool
    tls_unique: bytes | None
    early_data_offered: bool
    early_data_accepted: bool
    sessions: list[Session] | None
    def export(self, label: bytes, context: bytes | None, length: int) -> bytes | None: ...
    def export_early(self, label: bytes, context: bytes | None, length: int) -> bytes | None: ...
