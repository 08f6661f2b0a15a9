"""The numbers of TLS, under the names that IANA's registries and the RFCs give them.

`constants.pxd` holds the few of these that compiled code compares with; a test holds the two
together.
"""

from enum import IntEnum


class TLSVersion(IntEnum):
    """Protocol versions (RFC 8446, 4.1.2 and 4.2.1)."""

    TLSv1_2 = 0x0303
    TLSv1_3 = 0x0304


class ContentType(IntEnum):
    """Record content types (RFC 8446, 5.1)."""

    change_cipher_spec = 20
    alert = 21
    handshake = 22
    application_data = 23


class HandshakeType(IntEnum):
    """Handshake message types (RFC 8446, 4)."""

    hello_request = 0
    client_hello = 1
    server_hello = 2
    new_session_ticket = 4
    end_of_early_data = 5
    encrypted_extensions = 8
    certificate = 11
    server_key_exchange = 12
    certificate_request = 13
    server_hello_done = 14
    certificate_verify = 15
    client_key_exchange = 16
    finished = 20
    certificate_status = 22
    key_update = 24
    compressed_certificate = 25
    message_hash = 254


class ExtensionType(IntEnum):
    """Extension types that fasths knows by name (RFC 8446, 4.2 and IANA's registry)."""

    server_name = 0
    max_fragment_length = 1
    status_request = 5
    supported_groups = 10
    ec_point_formats = 11
    signature_algorithms = 13
    use_srtp = 14
    heartbeat = 15
    application_layer_protocol_negotiation = 16
    signed_certificate_timestamp = 18
    client_certificate_type = 19
    server_certificate_type = 20
    padding = 21
    encrypt_then_mac = 22
    extended_master_secret = 23
    compress_certificate = 27
    record_size_limit = 28
    session_ticket = 35
    pre_shared_key = 41
    early_data = 42
    supported_versions = 43
    cookie = 44
    psk_key_exchange_modes = 45
    certificate_authorities = 47
    oid_filters = 48
    post_handshake_auth = 49
    signature_algorithms_cert = 50
    key_share = 51
    quic_transport_parameters = 57
    encrypted_client_hello = 65037
    renegotiation_info = 65281


class CipherSuite(IntEnum):
    """Cipher suites of TLS 1.3 (RFC 8446, B.4) and TLS 1.2 (RFC 5289, 3.2; RFC 7905, 2)."""

    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302
    TLS_CHACHA20_POLY1305_SHA256 = 0x1303
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xC02B
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xC02C
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xC02F
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xC030
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA8
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA9


class NamedGroup(IntEnum):
    """Key-exchange groups (RFC 8446, 4.2.7; X25519MLKEM768: IANA 4588)."""

    secp256r1 = 0x0017
    secp384r1 = 0x0018
    secp521r1 = 0x0019
    x25519 = 0x001D
    X25519MLKEM768 = 0x11EC


class SignatureScheme(IntEnum):
    """Signature schemes (RFC 8446, 4.2.3)."""

    rsa_pkcs1_sha256 = 0x0401
    rsa_pkcs1_sha384 = 0x0501
    rsa_pkcs1_sha512 = 0x0601
    ecdsa_secp256r1_sha256 = 0x0403
    ecdsa_secp384r1_sha384 = 0x0503
    ecdsa_secp521r1_sha512 = 0x0603
    rsa_pss_rsae_sha256 = 0x0804
    rsa_pss_rsae_sha384 = 0x0805
    rsa_pss_rsae_sha512 = 0x0806
    ed25519 = 0x0807
    ed448 = 0x0808
    rsa_pss_pss_sha256 = 0x0809
    rsa_pss_pss_sha384 = 0x080A
    rsa_pss_pss_sha512 = 0x080B


class PskKeyExchangeMode(IntEnum):
    """How a pre-shared key is used: alone, or with a key exchange (RFC 8446, 4.2.9)."""

    psk_ke = 0
    psk_dhe_ke = 1


class ClientCertificateType(IntEnum):
    """Kinds of keys that a TLS 1.2 server takes of its clients (RFC 5246, 7.4.4; RFC 8422, 5.5)."""

    rsa_sign = 1
    ecdsa_sign = 64


class CertificateType(IntEnum):
    """What stands in a Certificate message (RFC 7250, 3; IANA's registry)."""

    X509 = 0
    RawPublicKey = 2


class CertificateCompressionAlgorithm(IntEnum):
    """How a Certificate message may be compressed (RFC 8879, 3)."""

    zlib = 1
    brotli = 2
    zstd = 3


class AlertDescription(IntEnum):
    """Alerts (RFC 8446, 6; RFC 5246, 7.2; IANA's registry)."""

    close_notify = 0
    unexpected_message = 10
    bad_record_mac = 20
    decryption_failed = 21
    record_overflow = 22
    decompression_failure = 30
    handshake_failure = 40
    no_certificate = 41
    bad_certificate = 42
    unsupported_certificate = 43
    certificate_revoked = 44
    certificate_expired = 45
    certificate_unknown = 46
    illegal_parameter = 47
    unknown_ca = 48
    access_denied = 49
    decode_error = 50
    decrypt_error = 51
    export_restriction = 60
    protocol_version = 70
    insufficient_security = 71
    internal_error = 80
    inappropriate_fallback = 86
    user_canceled = 90
    no_renegotiation = 100
    missing_extension = 109
    unsupported_extension = 110
    certificate_unobtainable = 111
    unrecognized_name = 112
    bad_certificate_status_response = 113
    bad_certificate_hash_value = 114
    unknown_psk_identity = 115
    certificate_required = 116
    general_error = 117
    no_application_protocol = 120
    ech_required = 121


class SSLErrorCode(IntEnum):
    """What `Connection.get_error` answers; 0 to 12 are OpenSSL's SSL_ERROR_* values."""

    NONE = 0
    SSL = 1
    WANT_READ = 2
    WANT_WRITE = 3
    WANT_X509_LOOKUP = 4
    SYSCALL = 5
    ZERO_RETURN = 6
    WANT_CONNECT = 7
    WANT_ACCEPT = 8
    WANT_ASYNC = 9
    WANT_ASYNC_JOB = 10
    WANT_CLIENT_HELLO_CB = 11
    WANT_RETRY_VERIFY = 12
    PENDING_SESSION = 64
    EARLY_DATA_REJECTED = 65


class Verify(IntEnum):
    """Whether the peer's certificate chain is asked for and verified.

    NONE: a client takes any chain, a server asks for none. OPTIONAL: a server asks, and verifies
    what it gets; for a client the same as REQUIRED. REQUIRED: no verified chain, no connection.
    """

    NONE = 0
    OPTIONAL = 1
    REQUIRED = 2


class StaplePolicy(IntEnum):
    """What is done about stapled OCSP responses (RFC 6066, 8; RFC 8446, 4.4.2.1).

    IGNORE: none is asked for. CHECK: one is asked for, and must be good where there is one; and
    there must be one where the certificate says so (RFC 7633). REQUIRE: no good response, no
    connection.
    """

    IGNORE = 0
    CHECK = 1
    REQUIRE = 2
