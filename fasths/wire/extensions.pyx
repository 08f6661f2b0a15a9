# Extension blocks and the extensions of TLS 1.3 (RFC 8446, 4.2).
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
    read_vector,
    read_vector8,
    read_vector16,
    reader_over_bytes,
    remaining,
    skip,
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


cdef int allowed_in(int type) noexcept:
    # RFC 8446, 4.2, the table; 0 stands for a type that fasths does not recognise.
    if type in (
        EXTENSION_server_name,
        EXTENSION_max_fragment_length,
        EXTENSION_supported_groups,
        EXTENSION_use_srtp,
        EXTENSION_heartbeat,
        EXTENSION_application_layer_protocol_negotiation,
        EXTENSION_client_certificate_type,
        EXTENSION_server_certificate_type,
        EXTENSION_record_size_limit,
    ):
        return IN_CLIENT_HELLO | IN_ENCRYPTED_EXTENSIONS
    if type in (EXTENSION_status_request, EXTENSION_signed_certificate_timestamp):
        return IN_CLIENT_HELLO | IN_CERTIFICATE_REQUEST | IN_CERTIFICATE
    if type in (
        EXTENSION_signature_algorithms,
        EXTENSION_signature_algorithms_cert,
        EXTENSION_certificate_authorities,
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

    offered has the bit of each type that was sent; all that fasths sends are below 64.
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


cdef int decode_offered_psks(Reader* r) except -1:
    """OfferedPsks (RFC 8446, 4.2.11); no PSK is accepted yet, so it is only checked."""
    cdef Reader identities, identity, binders, binder
    cdef int count = 0
    read_vector16(r, &identities, 7)
    read_vector16(r, &binders, 33)
    finish(r)
    while remaining(&identities):
        read_vector16(&identities, &identity, 1)
        skip(&identities, 4)
        count += 1
    while remaining(&binders):
        read_vector8(&binders, &binder, 32)
        count -= 1
    if count != 0:
        raise IllegalParameter("pre_shared_key has not one binder for each identity")
    return 0


cdef bytes decode_certificate_authorities(Reader* r):
    """CertificateAuthoritiesExtension (RFC 8446, 4.2.4): the checked list, as on the wire."""
    cdef Reader authorities, at, name
    read_vector16(r, &authorities, 3)
    finish(r)
    at = authorities
    while remaining(&at):
        read_vector16(&at, &name, 1)
    return take_rest(&authorities)


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
