cimport cython


cdef enum:
    # RFC 8446, 4.6.1: seven days, in seconds; for a ticket, and for all that comes from one full
    # handshake.
    MAX_TICKET_LIFETIME = 604800


@cython.final
cdef class Session:
    cdef readonly int version_code
    cdef readonly int suite_code
    # The PSK, or the master secret of TLS 1.2. A PSK is derived from the other two where it is not
    # there yet.
    cdef bytes secret
    cdef bytes resumption_secret
    cdef bytes ticket_nonce
    # Seconds since the epoch, and seconds.
    cdef readonly double created
    cdef readonly long long lifetime
    # When the handshake was that all the keys come from.
    cdef readonly double authenticated
    cdef readonly long long ticket_age_add
    cdef readonly long long max_early_data_size
    cdef readonly str server_name
    cdef readonly bytes protocol_name
    cdef readonly tuple peer_certificates
    # peer_certificates is one SubjectPublicKeyInfo (RFC 7250).
    cdef readonly bint raw_public_key
    # The staple that came with them, if any was asked for.
    cdef readonly bytes ocsp_response
    # Whom a client showed itself as (Identity.digest), empty for nobody.
    cdef readonly bytes identity_digest
    # Whether an external pre-shared key is what the connection was authenticated by.
    cdef readonly bint by_external_psk
    # Whose marks tell that early data is no replay (SessionStore.scope).
    cdef readonly bytes replay_scope
    # What a client offers: a ticket, or in TLS 1.2 a session id. A server's own has none.
    cdef readonly bytes ticket
    cdef readonly bytes session_id

    cdef bytes psk(self)
    cdef bytes encode(self)


cdef Session decode_session(bytes data)
cdef Session session_of(bytes state)
