cimport cython


@cython.final
cdef class Configuration:
    cdef readonly tuple suites
    cdef readonly tuple groups
    cdef readonly tuple key_share_groups
    cdef readonly tuple signature_schemes
    cdef readonly tuple protocol_names
    # Identities, each with the schemes that it can sign with, in order of preference.
    cdef readonly tuple signers
    cdef readonly object chain_verifier
    cdef readonly int client_verify
    cdef readonly int server_verify
    cdef readonly bint retry_with_cookie
    cdef readonly object keylog
    # Limits (fasths/wire/limits.py).
    cdef int max_handshake_message_size
    cdef int max_certificate_chain_length
    cdef int max_empty_records
    cdef int max_warning_alerts
    cdef int max_change_cipher_specs
    cdef int max_key_updates
    cdef int max_session_tickets
    cdef int max_skipped_early_data
    cdef long long max_records_per_key
    # What never changes in messages, encoded once.
    cdef bytes hello_cipher_suites
    cdef bytes hello_extensions
    cdef dict encrypted_extensions
    cdef dict certificate_messages
    cdef bytes certificate_request
