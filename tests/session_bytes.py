"""What Session.to_bytes() gives, made by hand.

Session.from_bytes(session_bytes(suite=0x1302, secret=bytes(48)))
"""

from __future__ import annotations

import time

from wire_format import Wire, join, u8, u16, u32, vector

FORMAT = 2
TLS12, TLS13 = 0x0303, 0x0304


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def session_bytes(
    *,
    format: int = FORMAT,
    version: int = TLS13,
    suite: int = 0x1301,
    secret: bytes = bytes(range(32)),
    created: float | None = None,
    authenticated: float | None = None,
    lifetime: int = 7200,
    ticket_age_add: int = 0x01020304,
    max_early_data_size: int = 0,
    server_name: bytes = b"localhost",
    protocol_name: bytes = b"",
    raw_public_key: int = 0,
    peer_certificates: tuple[bytes, ...] = (),
    ocsp_response: bytes = b"",
    identity_digest: bytes = b"",
    by_external_psk: int = 0,
    replay_scope: bytes = b"",
    session_id: bytes = b"",
    ticket: bytes = b"ticket",
) -> Wire:
    """created, authenticated: None for now, and for created."""
    created = time.time() if created is None else created
    authenticated = created if authenticated is None else authenticated
    return join(
        u8(format),
        u16(version, suite),
        vector(1, secret),
        u64(int(created * 1000)),
        u64(int(authenticated * 1000)),
        u32(lifetime),
        u32(ticket_age_add),
        u32(max_early_data_size),
        vector(1, server_name),
        vector(1, protocol_name),
        u8(raw_public_key),
        vector(3, *(vector(3, each) for each in peer_certificates)),
        vector(3, ocsp_response),
        vector(1, identity_digest),
        u8(by_external_psk),
        vector(1, replay_scope),
        vector(1, session_id),
        vector(2, ticket),
    )
