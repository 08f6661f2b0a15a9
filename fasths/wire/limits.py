"""Named limits for everything whose amount a peer decides."""

from dataclasses import dataclass, fields

# RFC 8446, 5.1 and 5.2: what a record may hold, in bytes.
MAX_PLAINTEXT = 1 << 14
MAX_CIPHERTEXT = MAX_PLAINTEXT + 256

# How many extensions one block may have, and how many entries a key_share.
MAX_EXTENSIONS = 128
MAX_KEY_SHARES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a Context. A peer that exceeds one is refused; each is a whole number of 1 or more.

    max_handshake_message_size: bytes of one handshake message, without its header.
    max_certificate_chain_length: certificates in a Certificate message.
    max_chain_depth: issuing certificates between a leaf and its trust anchor.
    max_empty_records: records without content, in a row.
    max_warning_alerts: alerts in a connection that are no more than a warning.
    max_renegotiation_requests: in TLS 1.2, HelloRequests or ClientHellos that would start another
        handshake; each is answered with no_renegotiation.
    max_change_cipher_specs: compatibility-mode change_cipher_spec records in a handshake.
    max_key_updates: KeyUpdate messages received without application data between them.
    max_session_tickets: NewSessionTicket messages received in a connection.
    max_skipped_early_data: bytes of early data skipped by a server that does not accept it.
    max_psk_identities: pre-shared keys that a server looks at in a ClientHello; at most 64.
    max_certificate_requests: requests for authentication after the handshake: that a server has
        open at once, or that a client gets in a connection.
    max_records_per_key: records sent under one key before a KeyUpdate is sent by itself
        (RFC 8446, 5.5). The suite's own limit applies where it is lower. TLS 1.2 has no KeyUpdate.
    """

    max_handshake_message_size: int = 1 << 17
    max_certificate_chain_length: int = 16
    max_chain_depth: int = 10
    max_empty_records: int = 32
    max_warning_alerts: int = 4
    max_renegotiation_requests: int = 4
    max_change_cipher_specs: int = 4
    max_key_updates: int = 32
    max_session_tickets: int = 64
    max_skipped_early_data: int = 1 << 16
    max_psk_identities: int = 8
    max_certificate_requests: int = 8
    max_records_per_key: int = 1 << 24

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an int")
            if not 1 <= value <= 0x7FFFFFFF:
                raise ValueError(f"{field.name} must be between 1 and 2**31 - 1")
        if self.max_psk_identities > 64:
            raise ValueError("max_psk_identities must be at most 64")
        if self.max_handshake_message_size >= 1 << 24:
            raise ValueError("max_handshake_message_size must be below 2**24")
