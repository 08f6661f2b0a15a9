# A ClientHello for whoever looks at one without a handshake of its own: a proxy that routes by
# server name, a filter, a collector of fingerprints.
#
# It is parsed in two steps. first_message() finds the handshake message in the records at the
# start of a connection; decode() checks all of it at once, so that no attribute can fail later.
# What the handshake asks beyond that (which extensions go together, what must be offered) is not
# asked here: a ClientHello of TLS 1.0 is as good as one of TLS 1.3. Only what most callers ask for
# is made into objects at once; lists of codes become tuples when they are asked for.

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fasths.wire.constants cimport (
    CONTENT_handshake,
    EXTENSION_application_layer_protocol_negotiation,
    EXTENSION_early_data,
    EXTENSION_key_share,
    EXTENSION_pre_shared_key,
    EXTENSION_server_name,
    EXTENSION_signature_algorithms,
    EXTENSION_supported_groups,
    EXTENSION_supported_versions,
    HANDSHAKE_client_hello,
    HANDSHAKE_HEADER,
    MAX_PLAINTEXT,
    RECORD_HEADER,
)
from fasths.wire.extensions cimport (
    Extensions,
    decode_empty,
    decode_key_shares,
    decode_protocol_names,
    decode_psk_binders,
    decode_psk_identities,
    decode_server_name,
    decode_u16_list,
    next_extension,
    read_extensions,
)
from fasths.wire.reader cimport (
    Reader,
    finish,
    read_u8,
    read_u16,
    read_u24,
    read_vector8,
    read_vector16,
    reader_over_bytes,
    remaining,
    take,
    take_rest,
)

from fasths.wire import fingerprints
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import DecodeError
from fasths.wire.limits import Limits

cdef enum:
    # RFC 8422, 5.1.2: it is not of TLS 1.3, so nothing else in fasths reads it.
    EXTENSION_ec_point_formats = 11

cdef Py_ssize_t MAX_MESSAGE_SIZE = Limits().max_handshake_message_size
# RFC 9110, 9 and RFC 5789; "PRI " begins HTTP/2 (RFC 9113, 3.4), "HTTP" an answer.
cdef tuple HTTP_BEGINNINGS = (
    b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ",
    b"PATCH ", b"PRI ", b"HTTP/",
)


# A pickled object could be changed by what restores it.
@cython.auto_pickle(False)
cdef class ClientHello:
    """What a client offers; parse_client_hello() makes these. Immutable.

    raw: the handshake message with its header. size: how many bytes of the parsed data it took,
    with record headers. legacy_version, random, legacy_session_id: as sent. server_name: the host
    name in lower case, or None. alpn_protocols: names in the client's order. pre_shared_key,
    early_data: whether the client offers them. Lists of codes are tuples of int in the client's
    order, with what fasths does not know and with GREASE (RFC 8701), and empty where absent.
    """

    def __init__(self):
        raise TypeError("parse_client_hello() makes ClientHello objects")

    @property
    def cipher_suites(self) -> tuple:
        """Cipher suites (RFC 8446, 4.1.2)."""
        return u16_tuple(self.wire_cipher_suites)

    @property
    def compression_methods(self) -> tuple:
        """Compression methods (RFC 5246, 7.4.1.2); (0,) in TLS 1.3."""
        return tuple(self.wire_compression_methods or ())

    @property
    def supported_versions(self) -> tuple:
        """Versions (RFC 8446, 4.2.1)."""
        return u16_tuple(self.wire_supported_versions)

    @property
    def supported_groups(self) -> tuple:
        """Key-exchange groups (RFC 8446, 4.2.7)."""
        return u16_tuple(self.wire_supported_groups)

    @property
    def signature_algorithms(self) -> tuple:
        """Signature schemes (RFC 8446, 4.2.3)."""
        return u16_tuple(self.wire_signature_algorithms)

    @property
    def ec_point_formats(self) -> tuple:
        """Point formats (RFC 8422, 5.1.2)."""
        return tuple(self.wire_ec_point_formats or ())

    @property
    def key_shares(self) -> tuple:
        """(group, key_exchange) pairs (RFC 8446, 4.2.8)."""
        cdef Reader r, key_exchange
        cdef int group
        cdef list result = []
        if self.wire_key_shares is None:
            return ()
        reader_over_bytes(&r, self.wire_key_shares, 0)
        while remaining(&r):
            group = read_u16(&r)
            read_vector16(&r, &key_exchange, 1)
            result.append((group, take_rest(&key_exchange)))
        return tuple(result)

    @property
    def extension_types(self) -> tuple:
        """The types of all extensions, in wire order."""
        cdef Reader block, data
        cdef list result = []
        self.over_extensions(&block)
        while remaining(&block):
            result.append(read_u16(&block))
            read_vector16(&block, &data, 0)
        return tuple(result)

    @property
    def extensions(self) -> tuple:
        """(type, data) pairs of all extensions, in wire order."""
        cdef Reader block, data
        cdef int type
        cdef list result = []
        self.over_extensions(&block)
        while remaining(&block):
            type = read_u16(&block)
            read_vector16(&block, &data, 0)
            result.append((type, take_rest(&data)))
        return tuple(result)

    cdef int over_extensions(self, Reader* block) except -1:
        """A reader over the extensions, which decode() has walked once."""
        block.at = block.end = NULL
        if self.extensions_start:
            reader_over_bytes(block, self.raw, self.extensions_start)
        return 0

    @property
    def ja3(self) -> str:
        """The JA3 string, as fingerprints.ja3() makes it."""
        return fingerprints.ja3(self)

    @property
    def ja3_hash(self) -> str:
        """The JA3 fingerprint: MD5 of the string, in hex."""
        return fingerprints.ja3_hash(self)

    @property
    def ja4(self) -> str:
        """The JA4 fingerprint of this ClientHello over TCP."""
        return fingerprints.ja4(self)

    @property
    def ja4_raw(self) -> str:
        """JA4 with lists in place of hashes (JA4_r)."""
        return fingerprints.ja4_raw(self)

    def __repr__(self):
        return (
            f"<ClientHello server_name={self.server_name!r} alpn_protocols={self.alpn_protocols!r}"
            f" {len(self.raw)} bytes>"
        )


cdef tuple u16_tuple(bytes codes):
    cdef Py_ssize_t i
    cdef const uint8_t* at
    if codes is None:
        return ()
    at = <const uint8_t*> PyBytes_AS_STRING(codes)
    return tuple([at[i] << 8 | at[i + 1] for i in range(0, PyBytes_GET_SIZE(codes), 2)])


cpdef ClientHello parse_client_hello(data):
    """The ClientHello at the start of a connection, or None where more bytes are needed.

    data: all that has arrived, any contiguous bytes-like object; nothing is taken out of it. What
    stands behind the ClientHello is not looked at. DecodeError: this can never become a
    ClientHello, however much arrives. IllegalParameter: an extension appears twice, or its content
    parses, but has no meaning (RFC 8446, 4.2). The error's alert is the one to answer with.
    """
    cdef Py_buffer view
    cdef Py_ssize_t size = 0
    cdef bytes message
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        message = first_message(<const uint8_t*> view.buf, view.len, &size)
    finally:
        PyBuffer_Release(&view)
    return None if message is None else decode(message, size)


cpdef ClientHello parse_client_hello_message(bytes message):
    """parse_client_hello() for one whole handshake message with its header; size is its length.

    Whoever has put the message together has limited it.
    """
    return decode(message, PyBytes_GET_SIZE(message))


# --- Records (RFC 8446, 5.1)

cdef bytes first_message(const uint8_t* data, Py_ssize_t size, Py_ssize_t* taken):
    """The first handshake message, or None where it is not whole; taken: where it ends in data."""
    cdef uint8_t header[HANDSHAKE_HEADER]
    # Bytes of the message that are there, and how many it has, as far as its header is known.
    cdef Py_ssize_t have = 0, need = HANDSHAKE_HEADER
    cdef Py_ssize_t at = 0, fragment, i
    while have < need:
        fragment = next_fragment(data, size, at)
        if fragment < 0:
            return None
        at += RECORD_HEADER
        for i in range(have, min(have + fragment, HANDSHAKE_HEADER)):
            header[i] = data[at + i - have]
        if have == 0:
            check_handshake_type(header[0])
        have += fragment
        at += fragment
        if have >= HANDSHAKE_HEADER and need == HANDSHAKE_HEADER:
            need += check_message_size(header[1] << 16 | header[2] << 8 | header[3])
    taken[0] = at - (have - need)
    if taken[0] == RECORD_HEADER + need:
        return PyBytes_FromStringAndSize(<const char*> data + RECORD_HEADER, need)
    return joined(data, size, need)


cdef Py_ssize_t next_fragment(const uint8_t* data, Py_ssize_t size, Py_ssize_t at) except -2:
    """How much content of the record at `at` is there; -1: none."""
    cdef Py_ssize_t length
    if size > at and data[at] != CONTENT_handshake:
        raise wrong_record(data + at, size - at, at == 0)
    if size - at < RECORD_HEADER:
        return -1
    # RFC 8446, 5.1: legacy_record_version (octets 1 and 2) is ignored for all purposes.
    length = data[at + 3] << 8 | data[at + 4]
    # RFC 8446, 5.1: no empty fragments of handshake messages.
    if length == 0:
        raise DecodeError(
            "a handshake record is empty", alert=AlertDescription.unexpected_message
        )
    if length > MAX_PLAINTEXT:
        raise DecodeError(
            f"a record of {length} bytes is longer than the protocol allows ({MAX_PLAINTEXT})",
            alert=AlertDescription.record_overflow,
        )
    size -= at + RECORD_HEADER
    return min(length, size) if size else -1


cdef bytes joined(const uint8_t* data, Py_ssize_t size, Py_ssize_t need):
    """The first `need` bytes of the contents of records that next_fragment() has seen."""
    cdef bytes message = PyBytes_FromStringAndSize(NULL, need)
    cdef char* to = PyBytes_AS_STRING(message)
    cdef Py_ssize_t at = 0, fragment
    while need:
        fragment = min(next_fragment(data, size, at), need)
        at += RECORD_HEADER
        memcpy(to, data + at, fragment)
        to += fragment
        at += fragment
        need -= fragment
    return message


cdef int check_handshake_type(int type) except -1:
    if type != HANDSHAKE_client_hello:
        raise DecodeError(
            f"a handshake message of type {type} instead of a ClientHello",
            alert=AlertDescription.unexpected_message,
        )
    return 0


cdef Py_ssize_t check_message_size(Py_ssize_t length) except -1:
    if length > MAX_MESSAGE_SIZE:
        raise DecodeError(
            f"a ClientHello of {length} bytes is longer than max_handshake_message_size"
            f" ({MAX_MESSAGE_SIZE})"
        )
    return length


cdef object wrong_record(const uint8_t* record, Py_ssize_t size, bint is_first):
    """The error for a record that is none of a handshake."""
    cdef bytes head = record[:min(size, 8)], beginning
    reason = f"a record of content type {record[0]} instead of a handshake record"
    if not is_first:
        reason = f"a record of content type {record[0]} in the middle of the ClientHello"
    elif size > 2 and record[0] & 0x80 and record[2] == HANDSHAKE_client_hello:
        reason = "a ClientHello of SSL 2.0, which no version of TLS accepts (RFC 6176)"
    else:
        for beginning in HTTP_BEGINNINGS:
            if head.startswith(beginning):
                reason = "this looks like plain HTTP instead of TLS"
    return DecodeError(reason, alert=AlertDescription.unexpected_message)


# --- The message (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2)

cdef ClientHello decode(bytes message, Py_ssize_t size):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef ClientHello hello = ClientHello.__new__(ClientHello)
    hello.raw = message
    hello.size = size
    hello.alpn_protocols = ()
    reader_over_bytes(&r, message, 0)
    check_handshake_type(read_u8(&r))
    if read_u24(&r) != remaining(&r):
        raise DecodeError("the length of a handshake message does not match")
    hello.legacy_version = read_u16(&r)
    hello.random = take(&r, 32)
    read_vector8(&r, &vector, 0)
    if remaining(&vector) > 32:
        raise DecodeError("legacy_session_id is too long")
    hello.legacy_session_id = take_rest(&vector)
    read_vector16(&r, &vector, 2)
    if remaining(&vector) & 1:
        raise DecodeError("cipher_suites has an odd length")
    hello.wire_cipher_suites = take_rest(&vector)
    read_vector8(&r, &vector, 1)
    hello.wire_compression_methods = take_rest(&vector)
    if remaining(&r) == 0:
        # RFC 5246, 7.4.1.2: there may be no extensions at all.
        return hello
    read_extensions(&r, &extensions)
    finish(&r)
    hello.extensions_start = PyBytes_GET_SIZE(message) - remaining(&extensions.block)
    while next_extension(&extensions):
        decode_extension(hello, extensions.type, &extensions.data)
    return hello


cdef int decode_extension(ClientHello hello, int type, Reader* data) except -1:
    if type == EXTENSION_server_name:
        hello.server_name = decode_server_name(data)
    elif type == EXTENSION_supported_groups:
        hello.wire_supported_groups = decode_u16_list(data, 2)
    elif type == EXTENSION_ec_point_formats:
        hello.wire_ec_point_formats = decode_ec_point_formats(data)
    elif type == EXTENSION_signature_algorithms:
        hello.wire_signature_algorithms = decode_u16_list(data, 2)
    elif type == EXTENSION_application_layer_protocol_negotiation:
        hello.alpn_protocols = decode_protocol_names(data)
    elif type == EXTENSION_supported_versions:
        hello.wire_supported_versions = decode_u16_list(data, 1)
    elif type == EXTENSION_key_share:
        hello.wire_key_shares = decode_key_shares(data)
    elif type == EXTENSION_pre_shared_key:
        decode_psk_identities(data)
        decode_psk_binders(data)
        hello.pre_shared_key = True
    elif type == EXTENSION_early_data:
        decode_empty(data)
        hello.early_data = True
    return 0


cdef bytes decode_ec_point_formats(Reader* r):
    """ECPointFormatList (RFC 8422, 5.1.2)."""
    cdef Reader formats
    read_vector8(r, &formats, 1)
    finish(r)
    return take_rest(&formats)
