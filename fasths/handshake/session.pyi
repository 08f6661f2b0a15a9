from fasths.wire.codes import CipherSuite, TLSVersion

class Session:
    created: float
    lifetime: int
    max_early_data_size: int
    server_name: str | None
    protocol_name: bytes | None
    peer_certificates: tuple[bytes, ...]
    raw_public_key: bool
    ocsp_response: bytes | None
    identity_digest: bytes
    by_external_psk: bool
    replay_scope: bytes
    ticket: bytes | None
    session_id: bytes | None
    ticket_age_add: int
    @property
    def version(self) -> TLSVersion: ...
    @property
    def cipher_suite(self) -> CipherSuite: ...
    @property
    def alpn_protocol(self) -> str | None: ...
    @property
    def expires(self) -> float: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Session: ...
