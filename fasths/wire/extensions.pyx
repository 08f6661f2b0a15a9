# Extension blocks, and the extensions of TLS 1.3 (RFC 8446, 4.2) and TLS 1.2 (RFC 5246, 7.4.1.4).
#
# A block is walked with read_extensions() and next_extension(); duplicates and oversized blocks
# are refused there and nowhere else. Each decode_*() gets a reader of its own over one
# extension's data, and consumes all of it. Lists of 16-bit codes stay as their bytes on the wire:
# looking a code up in them costs less than making integers of them.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fasths.wire.constants cimport *
from fasths.wire.reader cimport (
    Reader,
    finish,
    read_u8,
    read_u16,
    read_u32,
    read_vector,
    read_vector8,
    read_vector16,
    read_vector24,
    reader_over_bytes,
    remaining,
    take_rest,
)
from fasths.wire.writer cimport Writer

from fasths.wire.errors import DecodeError, IllegalParameter, UnsupportedExtension


cdef int read_extensions(Reader* r, Extensions* extensions) except -1:
    """Begin the block at the cursor: Extension extensions<0..2^16-1>."""
    extensions.count = 0
    read_vector16(r, &extensions.block, 0)
    return 0


cdef int next_extension(Extensions* extensions) except -1:
    """Step to the next extension; 0 at the end of the block, else 1."""
    cdef int i
    if remaining(&extensions.block) == 0:
        return 0
    cdef int type = read_u16(&extensions.block)
    read_vector16(&extensions.block, &extensions.data, 0)
    # RFC 8446, 4.2: no more than one extension of the same type in a block.
    for i in range(extensions.count):
        if extensions.seen[i] == type:
            raise IllegalParameter(f"the extension {type} appears twice")
    if extensions.count == MAX_EXTENSIONS:
        raise DecodeError("a message has too many extensions")
    extensions.seen[extensions.count] = <uint16_t> type
    extensions.count += 1
    extensions.type = type
    return 1


cdef enum:
    # RFC 8449, 4.
    MIN_RECORD_SIZE_LIMIT = 64
    # RFC 6066, 8: CertificateStatusType.
    STATUS_TYPE_OCSP = 1
    # RFC 8422, 5.1.2: ECPointFormat.
    UNCOMPRESSED = 0


cdef int allowed_in(int type) noexcept:
    # RFC 8446, 4.2, the table, and what a server of TLS 1.2 may answer with; 0 stands for a type
    # that fasths does not recognise.
    if type in (
        EXTENSION_server_name,
        EXTENSION_max_fragment_length,
        # RFC 8446, 4.2.7: servers may send it as of TLS 1.3; some do in TLS 1.2.
        EXTENSION_supported_groups,
        EXTENSION_use_srtp,
        EXTENSION_heartbeat,
        EXTENSION_application_layer_protocol_negotiation,
        EXTENSION_client_certificate_type,
        EXTENSION_server_certificate_type,
        EXTENSION_record_size_limit,
    ):
        return IN_CLIENT_HELLO | IN_ENCRYPTED_EXTENSIONS | IN_SERVER_HELLO_12
    if type in (EXTENSION_status_request, EXTENSION_signed_certificate_timestamp):
        return IN_CLIENT_HELLO | IN_CERTIFICATE_REQUEST | IN_CERTIFICATE | IN_SERVER_HELLO_12
    if type in (
        EXTENSION_ec_point_formats,
        EXTENSION_encrypt_then_mac,
        EXTENSION_extended_master_secret,
        EXTENSION_session_ticket,
        EXTENSION_renegotiation_info,
    ):
        # A client offers these for TLS 1.2; in no other message of TLS 1.3 have they a place.
        return IN_CLIENT_HELLO | IN_SERVER_HELLO_12
    if type in (
        EXTENSION_signature_algorithms,
        EXTENSION_signature_algorithms_cert,
        EXTENSION_certificate_authorities,
        # RFC 8879, 3.
        EXTENSION_compress_certificate,
    ):
        return IN_CLIENT_HELLO | IN_CERTIFICATE_REQUEST
    if type in (EXTENSION_key_share, EXTENSION_supported_versions):
        return IN_CLIENT_HELLO | IN_SERVER_HELLO | IN_HELLO_RETRY_REQUEST
    if type == EXTENSION_pre_shared_key:
        return IN_CLIENT_HELLO | IN_SERVER_HELLO
    if type == EXTENSION_early_data:
        return IN_CLIENT_HELLO | IN_ENCRYPTED_EXTENSIONS | IN_NEW_SESSION_TICKET
    if type == EXTENSION_cookie:
        return IN_CLIENT_HELLO | IN_HELLO_RETRY_REQUEST
    if type in (
        EXTENSION_padding,
        EXTENSION_psk_key_exchange_modes,
        EXTENSION_post_handshake_auth,
    ):
        return IN_CLIENT_HELLO
    if type == EXTENSION_oid_filters:
        return IN_CERTIFICATE_REQUEST
    return 0


cdef int require_allowed(int type, int message) except -1:
    """RFC 8446, 4.2: a recognised extension in the wrong message is illegal_parameter."""
    cdef int allowed = allowed_in(type)
    if allowed and not allowed & message:
        raise IllegalParameter(f"the extension {type} does not belong into this message")
    return 0


cdef int require_offered(int type, int message, uint64_t offered) except -1:
    """RFC 8446, 4.2: an answer to an extension that was not offered is unsupported_extension.

    offered has the bit of each type that was sent. All that fasths sends are below 64 but
    renegotiation_info, whose answer the caller takes out.
    """
    require_allowed(type, message)
    if type >= 64 or not offered >> type & 1:
        raise UnsupportedExtension(f"the extension {type} was not offered")
    return 0


cdef bytes decode_u16_list(Reader* r, int length_size):
    """A vector of 16-bit codes, at least one: supported_versions, supported_groups, ..."""
    cdef Reader codes
    read_vector(r, &codes, read_u8(r) if length_size == 1 else read_u16(r), 2)
    finish(r)
    if remaining(&codes) & 1:
        raise DecodeError("a list of 16-bit codes has an odd length")
    return take_rest(&codes)


cdef bint contains_u16(bytes codes, int code) noexcept:
    cdef const uint8_t* at = <const uint8_t*> PyBytes_AS_STRING(codes)
    cdef Py_ssize_t i
    for i in range(0, PyBytes_GET_SIZE(codes) - 1, 2):
        if (at[i] << 8 | at[i + 1]) == code:
            return True
    return False


cdef str decode_server_name(Reader* r):
    """ServerNameList (RFC 6066, 3): its host_name in lower case, or None where it has none."""
    cdef Reader names, name
    cdef int name_type, i
    cdef bint found = False
    cdef uint8_t octet
    cdef str host_name = None
    read_vector16(r, &names, 1)
    finish(r)
    while remaining(&names):
        name_type = read_u8(&names)
        read_vector16(&names, &name, 1)
        if name_type != 0:
            continue
        # RFC 6066, 3: no more than one name of the same name_type.
        if found:
            raise IllegalParameter("server_name has two host names")
        found = True
        # RFC 6066, 3: ASCII, without a trailing dot; 255 is what the DNS can carry.
        if remaining(&name) > 255:
            raise IllegalParameter("server_name is too long")
        for i in range(remaining(&name)):
            octet = name.at[i]
            if octet <= 0x20 or octet >= 0x7F:
                raise IllegalParameter("server_name is not an ASCII host name")
        if name.end[-1] == c".":
            raise IllegalParameter("server_name ends in a dot")
        host_name = take_rest(&name).decode("ascii").lower()
    return host_name


cdef tuple decode_protocol_names(Reader* r):
    """ProtocolNameList (RFC 7301, 3.1)."""
    cdef Reader names, name
    cdef list result = []
    read_vector16(r, &names, 2)
    finish(r)
    while remaining(&names):
        read_vector8(&names, &name, 1)
        result.append(take_rest(&name))
    return tuple(result)


cdef bytes decode_key_shares(Reader* r):
    """KeyShareClientHello (RFC 8446, 4.2.8): the checked list, as it is on the wire."""
    cdef Reader shares, entry, key_exchange
    cdef uint16_t groups[MAX_KEY_SHARES]
    cdef int count = 0, group, i
    read_vector16(r, &shares, 0)
    finish(r)
    entry = shares
    while remaining(&entry):
        group = read_u16(&entry)
        read_vector16(&entry, &key_exchange, 1)
        if count == MAX_KEY_SHARES:
            raise DecodeError("key_share has too many entries")
        for i in range(count):
            # RFC 8446, 4.2.8: one KeyShareEntry for a group.
            if groups[i] == group:
                raise IllegalParameter("key_share has two entries for one group")
        groups[count] = <uint16_t> group
        count += 1
    return take_rest(&shares)


cdef bytes find_key_share(bytes key_shares, int group):
    """The key_exchange for a group in what decode_key_shares() returned, or None."""
    cdef Reader r, key_exchange
    cdef int entry_group
    reader_over_bytes(&r, key_shares, 0)
    while remaining(&r):
        entry_group = read_u16(&r)
        read_vector16(&r, &key_exchange, 1)
        if entry_group == group:
            return take_rest(&key_exchange)
    return None


cdef bytes decode_cookie(Reader* r):
    """Cookie (RFC 8446, 4.2.2)."""
    cdef Reader cookie
    read_vector16(r, &cookie, 1)
    finish(r)
    return take_rest(&cookie)


cdef bytes decode_psk_key_exchange_modes(Reader* r):
    """PskKeyExchangeModes (RFC 8446, 4.2.9)."""
    cdef Reader modes
    read_vector8(r, &modes, 1)
    finish(r)
    return take_rest(&modes)


cdef list decode_psk_identities(Reader* r):
    """The identities of OfferedPsks (RFC 8446, 4.2.11): (identity, obfuscated_ticket_age) pairs.

    The binders follow, for decode_psk_binders().
    """
    cdef Reader identities, identity
    cdef list result = []
    cdef bytes name
    read_vector16(r, &identities, 7)
    while remaining(&identities):
        read_vector16(&identities, &identity, 1)
        name = take_rest(&identity)
        result.append((name, read_u32(&identities)))
    return result


cdef list decode_psk_binders(Reader* r):
    """The binders of OfferedPsks (RFC 8446, 4.2.11)."""
    cdef Reader binders, binder
    cdef list result = []
    read_vector16(r, &binders, 33)
    finish(r)
    while remaining(&binders):
        read_vector8(&binders, &binder, 32)
        result.append(take_rest(&binder))
    return result


cdef bytes decode_certificate_types(Reader* r):
    """What a client has or takes (RFC 7250, 3): one octet for each type."""
    cdef Reader types
    read_vector8(r, &types, 1)
    finish(r)
    return take_rest(&types)


cdef int decode_certificate_type(Reader* r) except -1:
    """What a server chose (RFC 7250, 3)."""
    cdef int certificate_type = read_u8(r)
    finish(r)
    return certificate_type


cdef int decode_record_size_limit(Reader* r) except -1:
    cdef int limit = read_u16(r)
    finish(r)
    # RFC 8449, 4: smaller values are illegal_parameter. A greater one than the protocol allows is
    # none of a server's business; a client that gets it refuses it.
    if limit < MIN_RECORD_SIZE_LIMIT:
        raise IllegalParameter("record_size_limit is below 64")
    return limit


cdef int decode_status_request(Reader* r) except -1:
    """CertificateStatusRequest (RFC 6066, 8): whether it asks for an OCSP response."""
    cdef Reader responders, responder, request_extensions
    if read_u8(r) != STATUS_TYPE_OCSP:
        return 0
    read_vector16(r, &responders, 0)
    while remaining(&responders):
        read_vector16(&responders, &responder, 1)
    read_vector16(r, &request_extensions, 0)
    finish(r)
    return 1


cdef bytes decode_certificate_status(Reader* r):
    """CertificateStatus (RFC 6066, 8; RFC 8446, 4.4.2.1): the OCSP response."""
    cdef Reader response
    if read_u8(r) != STATUS_TYPE_OCSP:
        raise DecodeError("a certificate status is of an unknown type")
    read_vector24(r, &response, 1)
    finish(r)
    return take_rest(&response)


cdef tuple decode_signed_certificate_timestamps(Reader* r):
    """SignedCertificateTimestampList (RFC 6962, 3.3): each as it is."""
    cdef Reader timestamps, timestamp
    cdef list result = []
    read_vector16(r, &timestamps, 1)
    finish(r)
    while remaining(&timestamps):
        read_vector16(&timestamps, &timestamp, 1)
        result.append(take_rest(&timestamp))
    return tuple(result)


cdef bytes decode_certificate_authorities(Reader* r):
    """CertificateAuthoritiesExtension (RFC 8446, 4.2.4): the checked list, as on the wire."""
    cdef Reader authorities
    read_vector16(r, &authorities, 3)
    finish(r)
    return take_certificate_authorities(&authorities)


cdef bytes take_certificate_authorities(Reader* authorities):
    """The rest of a reader, which has to be a list of DistinguishedName."""
    cdef Reader at = authorities[0], name
    while remaining(&at):
        read_vector16(&at, &name, 1)
    return take_rest(authorities)


cdef tuple certificate_authority_names(bytes authorities):
    """The names in what decode_certificate_authorities() returned, in DER; none for None."""
    cdef Reader r, name
    cdef list names = []
    if authorities is None:
        return ()
    reader_over_bytes(&r, authorities, 0)
    while remaining(&r):
        read_vector16(&r, &name, 1)
        names.append(take_rest(&name))
    return tuple(names)


cdef bytes decode_ec_point_formats(Reader* r):
    """ECPointFormatList (RFC 8422, 5.1.2): one octet for each format."""
    cdef Reader formats
    read_vector8(r, &formats, 1)
    finish(r)
    return take_rest(&formats)


cdef bytes decode_renegotiation_info(Reader* r):
    """RenegotiationInfo (RFC 5746, 3.2): renegotiated_connection, empty in a first handshake."""
    cdef Reader renegotiated_connection
    read_vector8(r, &renegotiated_connection, 0)
    finish(r)
    return take_rest(&renegotiated_connection)


cdef int decode_empty(Reader* r) except -1:
    return finish(r)


cdef int write_u16_list(Writer w, int type, codes, int length_size) except -1:
    cdef Py_ssize_t extension, vector
    cdef int code
    w.u16(type)
    extension = w.open(2)
    vector = w.open(length_size)
    for code in codes:
        w.u16(code)
    w.close(vector, length_size)
    return w.close(extension, 2)


cdef int write_server_name(Writer w, bytes host_name) except -1:
    cdef Py_ssize_t extension, names
    w.u16(EXTENSION_server_name)
    extension = w.open(2)
    names = w.open(2)
    w.u8(0)
    w.vector(host_name, 2)
    w.close(names, 2)
    return w.close(extension, 2)


cdef int write_protocol_names(Writer w, names) except -1:
    cdef Py_ssize_t extension, vector
    w.u16(EXTENSION_application_layer_protocol_negotiation)
    extension = w.open(2)
    vector = w.open(2)
    for name in names:
        w.vector(name, 1)
    w.close(vector, 2)
    return w.close(extension, 2)


cdef int write_key_shares(Writer w, list shares) except -1:
    """shares: (group, key_exchange) pairs."""
    cdef Py_ssize_t extension, vector
    w.u16(EXTENSION_key_share)
    extension = w.open(2)
    vector = w.open(2)
    for group, key_exchange in shares:
        w.u16(group)
        w.vector(key_exchange, 2)
    w.close(vector, 2)
    return w.close(extension, 2)


cdef int write_cookie(Writer w, bytes cookie) except -1:
    cdef Py_ssize_t extension
    w.u16(EXTENSION_cookie)
    extension = w.open(2)
    w.vector(cookie, 2)
    return w.close(extension, 2)


cdef int write_empty(Writer w, int type) except -1:
    w.u16(type)
    return w.u16(0)


cdef int write_psk_key_exchange_modes(Writer w, modes) except -1:
    w.u16(EXTENSION_psk_key_exchange_modes)
    return write_octets(w, modes)


cdef int write_octets(Writer w, octets) except -1:
    cdef Py_ssize_t extension = w.open(2)
    w.vector(bytes(octets), 1)
    return w.close(extension, 2)


cdef Py_ssize_t write_offered_psks(Writer w, list identities, list binder_lengths) except -1:
    """OfferedPsks with (identity, obfuscated_ticket_age) pairs, and zeros for the binders.

    Returns how long the list of binders at its end is: what is cut off before they are computed
    (RFC 8446, 4.2.11.2).
    """
    cdef Py_ssize_t extension, vector, binders
    w.u16(EXTENSION_pre_shared_key)
    extension = w.open(2)
    vector = w.open(2)
    for identity, obfuscated_ticket_age in identities:
        w.vector(identity, 2)
        w.u32(obfuscated_ticket_age)
    w.close(vector, 2)
    binders = w.open(2)
    for length in binder_lengths:
        w.vector(bytes(length), 1)
    w.close(binders, 2)
    w.close(extension, 2)
    return w.length - binders + 2


cdef int write_certificate_types(Writer w, int type, types) except -1:
    w.u16(type)
    return write_octets(w, types)


cdef int write_certificate_type(Writer w, int type, int certificate_type) except -1:
    w.u16(type)
    w.u16(1)
    return w.u8(certificate_type)


cdef int write_record_size_limit(Writer w, int limit) except -1:
    w.u16(EXTENSION_record_size_limit)
    w.u16(2)
    return w.u16(limit)


cdef int write_status_request(Writer w) except -1:
    """A wish for an OCSP response, from any responder."""
    w.u16(EXTENSION_status_request)
    w.u16(5)
    w.u8(STATUS_TYPE_OCSP)
    w.u16(0)
    return w.u16(0)


cdef int write_ocsp_response(Writer w, bytes ocsp_response) except -1:
    """CertificateStatus (RFC 6066, 8), which in TLS 1.3 is an extension's data."""
    w.u8(STATUS_TYPE_OCSP)
    return w.vector(ocsp_response, 3)


cdef int write_certificate_status(Writer w, bytes ocsp_response) except -1:
    cdef Py_ssize_t extension
    w.u16(EXTENSION_status_request)
    extension = w.open(2)
    write_ocsp_response(w, ocsp_response)
    return w.close(extension, 2)


cdef int write_vectors(Writer w, int type, values) except -1:
    """A list of vectors with two octets of length each."""
    cdef Py_ssize_t extension, vector
    w.u16(type)
    extension = w.open(2)
    vector = w.open(2)
    for value in values:
        w.vector(value, 2)
    w.close(vector, 2)
    return w.close(extension, 2)


cdef int write_signed_certificate_timestamps(Writer w, timestamps) except -1:
    return write_vectors(w, EXTENSION_signed_certificate_timestamp, timestamps)


cdef int write_certificate_authorities(Writer w, names) except -1:
    return write_vectors(w, EXTENSION_certificate_authorities, names)


cdef int write_ec_point_formats(Writer w) except -1:
    """RFC 8422, 5.1.2: the uncompressed format alone is not deprecated."""
    w.u16(EXTENSION_ec_point_formats)
    w.u16(2)
    w.u8(1)
    return w.u8(UNCOMPRESSED)


cdef int write_renegotiation_info(Writer w, bytes renegotiated_connection) except -1:
    cdef Py_ssize_t extension
    w.u16(EXTENSION_renegotiation_info)
    extension = w.open(2)
    w.vector(renegotiated_connection, 1)
    return w.close(extension, 2)


cdef int write_session_ticket(Writer w, bytes ticket) except -1:
    """RFC 5077, 3.2: the ticket without a length of its own; b"" asks for a first one."""
    w.u16(EXTENSION_session_ticket)
    return w.vector(ticket, 2)
