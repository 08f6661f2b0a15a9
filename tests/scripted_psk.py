"""Pre-shared keys, their binders and early keys (RFC 8446, 4.2.11, 4.6.1 and 7.1; RFC 9258).

A Psk is one key under one name. resumption_psk(), external_psk() and imported_psk() make one; a
scripted client offers some, and a scripted server knows some:

    ScriptedClient(..., psks=[psk])
    ScriptedServer(..., psks=[psk])
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from scripted_keys import SUITES, Suite, TrafficKey
from scripted_messages import TLS13, Cursor, NewSessionTicket, u16, u32, vector

from fasths import CipherSuite, ExtensionType

PSK_KE, PSK_DHE_KE = 0, 1
RESUMPTION, EXTERNAL, IMPORTED = b"res binder", b"ext binder", b"imp binder"
_SUITE_OF_HASH = {
    "sha256": SUITES[CipherSuite.TLS_AES_128_GCM_SHA256],
    "sha384": SUITES[CipherSuite.TLS_AES_256_GCM_SHA384],
}
# RFC 9258, 10
_KDFS = {"sha256": 1, "sha384": 2}


@dataclass
class Psk:
    """suite: that of early data; for all else its hash counts alone.

    age: milliseconds since the ticket came, as the client says; None: the truth.
    """

    identity: bytes
    key: bytes
    suite: Suite
    binder_label: bytes = RESUMPTION
    ticket_age_add: int = 0
    max_early_data_size: int = 0
    age: int | None = None
    since: float = field(default_factory=time.time)

    def obfuscated_ticket_age(self) -> int:
        # RFC 8446, 4.2.11: 0 for an external identity.
        if self.binder_label != RESUMPTION:
            return 0
        age = int(1000 * (time.time() - self.since)) if self.age is None else self.age
        return (age + self.ticket_age_add) % (1 << 32)

    def early_secret(self) -> bytes:
        return self.suite.hmac(bytes(self.suite.hash_length), self.key)

    def binder(self, transcript: bytes) -> bytes:
        """transcript: it ends in a truncated ClientHello (RFC 8446, 4.2.11.2)."""
        binder_key = self.suite.derive_secret(self.early_secret(), self.binder_label, b"")
        return TrafficKey(self.suite, binder_key).finished(transcript)

    def client_early_traffic_key(self, client_hello: bytes) -> TrafficKey:
        secret = self.suite.derive_secret(self.early_secret(), b"c e traffic", client_hello)
        return TrafficKey(self.suite, secret)

    def early_exporter_secret(self, client_hello: bytes) -> bytes:
        return self.suite.derive_secret(self.early_secret(), b"e exp master", client_hello)


def resumption_psk(suite: Suite, resumption_secret: bytes, ticket: NewSessionTicket) -> Psk:
    """What a ticket stands for (RFC 8446, 4.6.1)."""
    early_data = ticket.extension(ExtensionType.early_data)
    return Psk(
        ticket.ticket,
        suite.expand_label(
            resumption_secret, b"resumption", ticket.ticket_nonce, suite.hash_length
        ),
        suite,
        ticket_age_add=ticket.ticket_age_add,
        max_early_data_size=int.from_bytes(early_data or b"", "big"),
    )


def external_psk(identity: bytes, key: bytes, hash: str = "sha256") -> Psk:
    return Psk(identity, key, _SUITE_OF_HASH[hash], EXTERNAL)


def imported_psk(
    identity: bytes,
    key: bytes,
    context: bytes = b"",
    *,
    hash: str = "sha256",
    target: str = "sha256",
) -> Psk:
    """RFC 9258, 5.1. hash: that of the key itself; target: that of the suites it is made for."""
    imported = vector(2, identity) + vector(2, context) + u16(TLS13, _KDFS[target])
    suite = _SUITE_OF_HASH[hash]
    secret = suite.hmac(bytes(suite.hash_length), key)
    length = _SUITE_OF_HASH[target].hash_length
    derived = suite.expand_label(secret, b"derived psk", suite.digest(imported), length)
    return Psk(imported, derived, _SUITE_OF_HASH[target], IMPORTED)


@dataclass
class OfferedPsks:
    """pre_shared_key of a ClientHello; identities: (identity, obfuscated_ticket_age) of each."""

    identities: list[tuple[bytes, int]]
    binders: list[bytes]

    @classmethod
    def of(cls, psks: Sequence[Psk]) -> OfferedPsks:
        """With binders of zeros."""
        return cls(
            [(psk.identity, psk.obfuscated_ticket_age()) for psk in psks],
            [bytes(psk.suite.hash_length) for psk in psks],
        )

    def encode(self) -> bytes:
        identities = (vector(2, identity) + u32(age) for identity, age in self.identities)
        return vector(2, *identities) + self.encode_binders()

    def encode_binders(self) -> bytes:
        return vector(2, *(vector(1, binder) for binder in self.binders))

    @classmethod
    def parse(cls, data: bytes) -> OfferedPsks:
        cursor = Cursor(data)
        identities, binders = Cursor(cursor.vector(2)), Cursor(cursor.vector(2))
        cursor.finish()
        offered = cls([], [])
        while identities.data:
            offered.identities.append((identities.vector(2), identities.number(4)))
        while binders.data:
            offered.binders.append(binders.vector(1))
        assert offered.identities, "pre_shared_key without an identity"
        assert len(offered.identities) == len(offered.binders)
        assert all(identity for identity, _ in offered.identities)
        return offered

    def truncated(self, client_hello: bytes) -> bytes:
        """The ClientHello without the binders that it ends in (RFC 8446, 4.2.11.2)."""
        binders = self.encode_binders()
        assert client_hello.endswith(binders)
        return client_hello[: -len(binders)]
