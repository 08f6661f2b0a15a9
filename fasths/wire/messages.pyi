from collections.abc import Iterable

class ClientHello:
    legacy_version: int
    random: bytes
    legacy_session_id: bytes
    cipher_suites: bytes
    legacy_compression_methods: bytes
    server_name: str | None
    supported_versions: bytes | None
    supported_groups: bytes | None
    signature_algorithms: bytes | None
    signature_algorithms_cert: bytes | None
    key_shares: bytes | None
    protocol_names: tuple[bytes, ...] | None
    cookie: bytes | None
    psk_key_exchange_modes: bytes | None
    certificate_authorities: bytes | None
    compress_certificate: bytes | None
    client_certificate_types: bytes | None
    server_certificate_types: bytes | None
    record_size_limit: int
    session_ticket: bytes | None
    renegotiation_info: bytes | None
    ec_point_formats: bytes | None
    extended_master_secret: bool
    psk_identities: list[tuple[bytes, int]] | None
    psk_binders: list[bytes] | None
    psk_binders_size: int
    status_request: bool
    signed_certificate_timestamp: bool
    early_data: bool
    post_handshake_auth: bool
    extension_types: int

class ServerHello:
    legacy_version: int
    random: bytes
    legacy_session_id_echo: bytes
    cipher_suite: int
    legacy_compression_method: int
    is_hello_retry_request: bool
    selected_version: int
    group: int
    key_exchange: bytes | None
    cookie: bytes | None
    selected_identity: int
    extension_types: list[int]

class EncryptedExtensions:
    protocol_name: bytes | None
    server_name: bool
    supported_groups: bytes | None
    early_data: bool
    client_certificate_type: int
    server_certificate_type: int
    record_size_limit: int
    extension_types: list[int]

class CertificateRequest:
    certificate_request_context: bytes
    certificate_types: bytes | None
    signature_algorithms: bytes
    signature_algorithms_cert: bytes | None
    certificate_authorities: bytes | None
    compress_certificate: bytes | None
    status_request: bool
    signed_certificate_timestamp: bool

class Certificate:
    certificate_request_context: bytes
    certificates: tuple[bytes, ...]
    extension_types: list[int]
    ocsp_response: bytes | None
    signed_certificate_timestamps: tuple[bytes, ...] | None

class CompressedCertificate:
    algorithm: int
    uncompressed_length: int
    compressed_certificate_message: bytes

class CertificateVerify:
    algorithm: int
    signature: bytes

class NewSessionTicket:
    ticket_lifetime: int
    ticket_age_add: int
    ticket_nonce: bytes
    ticket: bytes
    max_early_data_size: int

def decode_client_hello(message: bytes) -> ClientHello: ...
def constant_part(client_hello: bytes) -> bytes: ...
def decode_server_hello(message: bytes) -> ServerHello: ...
def encode_server_hello(
    random: bytes,
    legacy_session_id_echo: bytes,
    cipher_suite: int,
    group: int,
    key_exchange: bytes,
    selected_identity: int = -1,
) -> bytes: ...
def encode_hello_retry_request(
    legacy_session_id_echo: bytes, cipher_suite: int, group: int, cookie: bytes | None
) -> bytes: ...
def decode_encrypted_extensions(message: bytes) -> EncryptedExtensions: ...
def encode_encrypted_extensions(
    protocol_name: bytes | None,
    early_data: bool = False,
    client_certificate_type: int = -1,
    server_certificate_type: int = -1,
    record_size_limit: int = -1,
) -> bytes: ...
def decode_certificate_request(message: bytes) -> CertificateRequest: ...
def encode_certificate_request(
    certificate_request_context: bytes,
    signature_algorithms: Iterable[int],
    signature_algorithms_cert: Iterable[int],
    certificate_authorities: Iterable[bytes] = (),
    compress_certificate: Iterable[int] = (),
    status_request: bool = False,
) -> bytes: ...
def decode_certificate(message: bytes, maximum: int) -> Certificate: ...
def encode_certificate(
    certificate_request_context: bytes,
    certificates: Iterable[bytes],
    ocsp_response: bytes | None = None,
    signed_certificate_timestamps: Iterable[bytes] = (),
) -> bytes: ...
def decode_compressed_certificate(message: bytes) -> CompressedCertificate: ...
def encode_compressed_certificate(
    algorithm: int, uncompressed_length: int, compressed_certificate_message: bytes
) -> bytes: ...
def certificate_message(body: bytes) -> bytes: ...
def decode_certificate_verify(message: bytes) -> CertificateVerify: ...
def encode_certificate_verify(algorithm: int, signature: bytes) -> bytes: ...
def decode_finished(message: bytes, hash_length: int) -> bytes: ...
def encode_finished(verify_data: bytes) -> bytes: ...
def decode_end_of_early_data(message: bytes) -> int: ...
def encode_end_of_early_data() -> bytes: ...
def decode_new_session_ticket(message: bytes) -> NewSessionTicket: ...
def encode_new_session_ticket(
    ticket_lifetime: int,
    ticket_age_add: int,
    ticket_nonce: bytes,
    ticket: bytes,
    max_early_data_size: int,
) -> bytes: ...
def decode_key_update(message: bytes) -> int: ...
def encode_key_update(request_update: bool) -> bytes: ...
def encode_message_hash(hash_value: bytes) -> bytes: ...
