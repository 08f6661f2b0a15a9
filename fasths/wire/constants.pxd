# The numbers that compiled code compares with, named as in codes.py (tests/test_codes.py holds
# the two together).

cdef enum:
    VERSION_SSLv3 = 0x0300
    VERSION_TLSv1_2 = 0x0303
    VERSION_TLSv1_3 = 0x0304

    CONTENT_change_cipher_spec = 20
    CONTENT_alert = 21
    CONTENT_handshake = 22
    CONTENT_application_data = 23

    HANDSHAKE_hello_request = 0
    HANDSHAKE_client_hello = 1
    HANDSHAKE_server_hello = 2
    HANDSHAKE_new_session_ticket = 4
    HANDSHAKE_end_of_early_data = 5
    HANDSHAKE_encrypted_extensions = 8
    HANDSHAKE_certificate = 11
    HANDSHAKE_server_key_exchange = 12
    HANDSHAKE_certificate_request = 13
    HANDSHAKE_server_hello_done = 14
    HANDSHAKE_certificate_verify = 15
    HANDSHAKE_client_key_exchange = 16
    HANDSHAKE_finished = 20
    HANDSHAKE_certificate_status = 22
    HANDSHAKE_key_update = 24
    HANDSHAKE_compressed_certificate = 25
    HANDSHAKE_message_hash = 254

    EXTENSION_server_name = 0
    EXTENSION_max_fragment_length = 1
    EXTENSION_status_request = 5
    EXTENSION_supported_groups = 10
    EXTENSION_ec_point_formats = 11
    EXTENSION_signature_algorithms = 13
    EXTENSION_use_srtp = 14
    EXTENSION_heartbeat = 15
    EXTENSION_application_layer_protocol_negotiation = 16
    EXTENSION_signed_certificate_timestamp = 18
    EXTENSION_client_certificate_type = 19
    EXTENSION_server_certificate_type = 20
    EXTENSION_padding = 21
    EXTENSION_encrypt_then_mac = 22
    EXTENSION_extended_master_secret = 23
    EXTENSION_compress_certificate = 27
    EXTENSION_record_size_limit = 28
    EXTENSION_session_ticket = 35
    EXTENSION_pre_shared_key = 41
    EXTENSION_early_data = 42
    EXTENSION_supported_versions = 43
    EXTENSION_cookie = 44
    EXTENSION_psk_key_exchange_modes = 45
    EXTENSION_certificate_authorities = 47
    EXTENSION_oid_filters = 48
    EXTENSION_post_handshake_auth = 49
    EXTENSION_signature_algorithms_cert = 50
    EXTENSION_key_share = 51
    EXTENSION_encrypted_client_hello = 65037
    EXTENSION_renegotiation_info = 65281

    GROUP_secp256r1 = 0x0017
    GROUP_secp384r1 = 0x0018
    GROUP_secp521r1 = 0x0019
    GROUP_x25519 = 0x001D
    GROUP_X25519MLKEM768 = 0x11EC

    CLIENTCERTIFICATETYPE_rsa_sign = 1
    CLIENTCERTIFICATETYPE_ecdsa_sign = 64

    CERTIFICATETYPE_X509 = 0
    CERTIFICATETYPE_RawPublicKey = 2

    PSKMODE_psk_ke = 0
    PSKMODE_psk_dhe_ke = 1

    ALERT_close_notify = 0
    ALERT_internal_error = 80
    ALERT_user_canceled = 90
    ALERT_no_renegotiation = 100

    # RFC 8446, 5.1 and 5.2 (limits.py has them for Python).
    MAX_PLAINTEXT = 1 << 14
    MAX_CIPHERTEXT = (1 << 14) + 256
    MAX_EXTENSIONS = 128
    MAX_KEY_SHARES = 16
    RECORD_HEADER = 5
    HANDSHAKE_HEADER = 4
    TAG_LENGTH = 16
