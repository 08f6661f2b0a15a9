from collections.abc import Callable, Iterable

from fasths.crypto.aead import Suite
from fasths.crypto.external_psk import ExternalPSK
from fasths.crypto.identity import Identity
from fasths.crypto.ocsp import StapleChecker
from fasths.crypto.peer_verification import PeerVerifier
from fasths.crypto.tickets import TicketKeys
from fasths.handshake.requests import (
    ClientHelloRequest,
    IdentityRequest,
    PSKRequest,
    VerificationRequest,
)
from fasths.session_store import SessionCache, SessionStore
from fasths.wire.limits import Limits

class Configuration:
    versions: tuple[int, ...]
    suites: tuple[Suite, ...]
    suites12: tuple[Suite, ...] | None
    groups: tuple[int, ...]
    groups12: tuple[int, ...] | None
    key_share_groups: tuple[int, ...]
    signature_schemes: tuple[int, ...]
    protocol_names: tuple[bytes, ...]
    identities: tuple[Identity, ...]
    peer_verifier: Callable[[], PeerVerifier]
    staple_checker: StapleChecker
    client_verify: int
    server_verify: int
    staple_policy: int
    trusted_public_keys: frozenset[bytes]
    post_handshake_auth: bool
    retry_with_cookie: bool
    keylog: Callable[[str], None] | None
    client_hello_callback: Callable[[ClientHelloRequest], object] | None
    identity_callback: Callable[[IdentityRequest], object] | None
    verify_callback: Callable[[VerificationRequest], object] | None
    psk_callback: Callable[[PSKRequest], object] | None
    session_tickets: int
    session_tickets_with_data: bool
    ticket_keys: TicketKeys | None
    session_store: SessionStore
    session_cache: SessionCache | None
    session_lifetime: int
    external_psks: tuple[ExternalPSK, ...]
    psk_modes: bytes
    max_early_data_size: int
    early_data_window: float
    record_size_limit: int
    record_padding: int
    dynamic_record_sizing: bool
    require_extended_master_secret: bool
    certificate_compression: tuple[int, ...]
    def __init__(
        self,
        *,
        versions: Iterable[int],
        cipher_suites: Iterable[int],
        groups: Iterable[int],
        key_share_groups: Iterable[int],
        signature_schemes: Iterable[int],
        certificate_signature_schemes: Iterable[int],
        certificate_only_schemes: Iterable[int],
        protocol_names: Iterable[bytes],
        identities: Iterable[Identity],
        peer_verifier: Callable[[], PeerVerifier],
        staple_checker: StapleChecker,
        staple_policy: int,
        client_verify: int,
        server_verify: int,
        trusted_public_keys: Iterable[bytes],
        takes_certificates: bool,
        certificate_authorities: Iterable[bytes],
        certificate_compression: Iterable[int],
        post_handshake_auth: bool,
        retry_with_cookie: bool,
        keylog: Callable[[str], None] | None,
        client_hello_callback: Callable[[ClientHelloRequest], object] | None,
        identity_callback: Callable[[IdentityRequest], object] | None,
        verify_callback: Callable[[VerificationRequest], object] | None,
        psk_callback: Callable[[PSKRequest], object] | None,
        session_tickets: int,
        session_tickets_with_data: bool,
        ticket_keys: TicketKeys | None,
        session_store: SessionStore,
        session_cache: SessionCache | None,
        session_lifetime: int,
        external_psks: Iterable[ExternalPSK],
        psk_key_exchange_modes: Iterable[int],
        max_early_data_size: int,
        early_data_window: float,
        record_size_limit: int,
        record_padding: int,
        dynamic_record_sizing: bool,
        require_extended_master_secret: bool,
        limits: Limits,
    ) -> None: ...
