cimport cython

from fasths.crypto.aead cimport Suite


@cython.final
cdef class Outcome:
    """What a handshake negotiated."""

    cdef readonly Suite suite
    # 0 until it is negotiated.
    cdef readonly int version
    cdef readonly int group
    cdef readonly int signature_scheme
    cdef readonly int client_signature_scheme
    cdef readonly bytes protocol_name
    cdef readonly str server_name
    cdef readonly str hostname
    # What the peer showed: a chain in DER, or one SubjectPublicKeyInfo.
    cdef readonly tuple peer_certificates
    cdef readonly bint raw_public_key
    # DER of what the peer sent, parsed certificates of the trust store.
    cdef readonly tuple verified_chain
    cdef readonly bytes ocsp_response
    cdef readonly tuple signed_certificate_timestamps
    # The identity that was shown to the peer, and the type of certificate that a client shows.
    cdef readonly object identity
    cdef readonly bytes identity_digest
    cdef readonly int client_certificate_type
    # The Context that a callback chose in place of the connection's own.
    cdef readonly object context
    cdef readonly bint resumed
    # Whether an external pre-shared key is what both sides are known by, in the handshake that all
    # comes from.
    cdef readonly bint by_external_psk
    # Whether a client can use tickets, and how much early data the one that it offered permits.
    cdef readonly bint takes_tickets
    cdef readonly long long max_early_data_size
    # When the handshake was that a resumed connection comes from, else 0.
    cdef readonly double authenticated
    # Whether the client can be asked to authenticate itself once the handshake is done.
    cdef readonly bint post_handshake_auth
    cdef readonly bytes exporter_secret
    cdef readonly bytes early_exporter_secret
    # TLS 1.2: whether the master secret is bound to the handshake (RFC 7627), and the first
    # Finished (RFC 5929, 3.1). The exporter works with the randoms.
    cdef readonly bint extended_master_secret
    cdef readonly bytes tls_unique
    cdef readonly bytes client_random
    cdef readonly bytes server_random
    # Whether early data was offered, and whether it was accepted.
    cdef readonly bint early_data_offered
    cdef readonly bint early_data_accepted
    # What can be resumed: a client's tickets, the newest last.
    cdef readonly list sessions
