cimport cython
from libc.stdint cimport uint64_t


# Kinds of keys, of which TLS 1.2 asks in its own ways.
cdef enum:
    KIND_RSA = 1
    KIND_EDDSA = 2
    KIND_SECP256R1 = 4
    KIND_SECP384R1 = 8
    KIND_SECP521R1 = 16


cdef int kind_of(object identity) except -1


@cython.final
cdef class Signers:
    """Identities, each with the schemes that it can sign with, in order of preference: all of
    them, and those that have a certain name, or a name under a certain domain."""

    cdef readonly tuple all
    cdef dict by_name
    cdef dict by_domain


@cython.final
cdef class Configuration:
    cdef readonly tuple versions
    cdef bint has_tls13
    cdef bint has_tls12
    # Of TLS 1.3.
    cdef readonly tuple suites
    cdef readonly tuple groups
    cdef readonly tuple key_share_groups
    cdef readonly tuple signature_schemes
    cdef readonly tuple protocol_names
    cdef readonly tuple identities
    cdef frozenset identity_digests
    # Of TLS 1.3.
    cdef Signers signers
    # Of TLS 1.2; the identities by kinds of keys, as connections need them.
    cdef readonly tuple suites12
    cdef readonly tuple groups12
    cdef dict signers12
    cdef readonly bint require_extended_master_secret
    cdef readonly object peer_verifier
    cdef readonly object staple_checker
    cdef readonly int client_verify
    cdef readonly int server_verify
    cdef readonly int staple_policy
    cdef readonly frozenset trusted_public_keys
    cdef readonly bint post_handshake_auth
    cdef readonly bint retry_with_cookie
    cdef readonly object keylog
    # What the application is asked through; None where it is not.
    cdef readonly object client_hello_callback
    cdef readonly object identity_callback
    cdef readonly object verify_callback
    cdef readonly object psk_callback
    # Resumption and pre-shared keys.
    cdef readonly int session_tickets
    cdef readonly bint session_tickets_with_data
    cdef readonly object ticket_keys
    cdef readonly object session_store
    cdef readonly object session_cache
    cdef readonly long long session_lifetime
    cdef readonly tuple external_psks
    cdef dict external_psk_by_identity
    cdef readonly bytes psk_modes
    cdef readonly long long max_early_data_size
    cdef readonly double early_data_window
    # Records.
    cdef readonly int record_size_limit
    cdef readonly int record_padding
    cdef readonly bint dynamic_record_sizing
    # Certificate types (RFC 7250) and compression (RFC 8879).
    cdef readonly tuple certificate_compression
    cdef bytes client_certificate_types
    cdef bytes server_certificate_types
    # Limits (fasths/wire/limits.py).
    cdef int max_handshake_message_size
    cdef int max_certificate_chain_length
    cdef int max_empty_records
    cdef int max_warning_alerts
    cdef int max_change_cipher_specs
    cdef int max_key_updates
    cdef int max_session_tickets
    cdef int max_skipped_early_data
    cdef int max_psk_identities
    cdef int max_certificate_requests
    cdef int max_renegotiation_requests
    cdef long long max_records_per_key
    # What never changes in messages, encoded once.
    cdef bytes hello_cipher_suites
    cdef bytes hello_extensions
    cdef uint64_t hello_extension_types
    cdef dict encrypted_extensions
    # By identity, what goes with it, and algorithm; filled as connections need them.
    cdef dict certificate_messages
    cdef bytes certificate_request
    cdef tuple certificate_request_parts
    cdef bytes certificate_request_12

    cdef Signers signers_of_kinds(self, int kinds)
    cdef int keep_message(self, tuple key, bytes message) except -1
    cdef bytes certificate_message_12(self, object identity)
    cdef bytes certificate_message(
        self, object identity, bint with_ocsp_response, bint with_timestamps, int algorithm
    )
    cdef bytes post_handshake_certificate_request(self, bytes certificate_request_context)
