from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fasths.wire.constants cimport MAX_EXTENSIONS
from fasths.wire.reader cimport Reader
from fasths.wire.writer cimport Writer

# The messages that an extension may appear in (RFC 8446, 4.2); IN_SERVER_HELLO_12: that
# of TLS 1.2.
cdef enum:
    IN_CLIENT_HELLO = 1
    IN_SERVER_HELLO = 2
    IN_HELLO_RETRY_REQUEST = 4
    IN_ENCRYPTED_EXTENSIONS = 8
    IN_CERTIFICATE = 16
    IN_CERTIFICATE_REQUEST = 32
    IN_NEW_SESSION_TICKET = 64
    IN_SERVER_HELLO_12 = 128


cdef struct Extensions:
    # A block being read: the type and data of the current extension, and what was seen before.
    int type
    Reader data
    Reader block
    int count
    uint16_t seen[MAX_EXTENSIONS]


cdef int read_extensions(Reader* r, Extensions* extensions) except -1
cdef int next_extension(Extensions* extensions) except -1
cdef int require_allowed(int type, int message) except -1
cdef int require_offered(int type, int message, uint64_t offered) except -1

cdef bytes decode_u16_list(Reader* r, int length_size)
cdef bint contains_u16(bytes codes, int code) noexcept
cdef str decode_server_name(Reader* r)
cdef tuple decode_protocol_names(Reader* r)
cdef bytes decode_key_shares(Reader* r)
cdef bytes find_key_share(bytes key_shares, int group)
cdef bytes decode_cookie(Reader* r)
cdef bytes decode_psk_key_exchange_modes(Reader* r)
cdef list decode_psk_identities(Reader* r)
cdef list decode_psk_binders(Reader* r)
cdef bytes decode_certificate_types(Reader* r)
cdef int decode_certificate_type(Reader* r) except -1
cdef int decode_record_size_limit(Reader* r) except -1
cdef int decode_status_request(Reader* r) except -1
cdef bytes decode_certificate_status(Reader* r)
cdef tuple decode_signed_certificate_timestamps(Reader* r)
cdef bytes decode_certificate_authorities(Reader* r)
cdef bytes take_certificate_authorities(Reader* authorities)
cdef tuple certificate_authority_names(bytes authorities)
cdef bytes decode_ec_point_formats(Reader* r)
cdef bytes decode_renegotiation_info(Reader* r)
cdef int decode_empty(Reader* r) except -1

cdef int write_u16_list(Writer w, int type, codes, int length_size) except -1
cdef int write_server_name(Writer w, bytes host_name) except -1
cdef int write_protocol_names(Writer w, names) except -1
cdef int write_key_shares(Writer w, list shares) except -1
cdef int write_cookie(Writer w, bytes cookie) except -1
cdef int write_empty(Writer w, int type) except -1
cdef int write_psk_key_exchange_modes(Writer w, modes) except -1
cdef Py_ssize_t write_offered_psks(Writer w, list identities, list binder_lengths) except -1
cdef int write_certificate_types(Writer w, int type, types) except -1
cdef int write_certificate_type(Writer w, int type, int certificate_type) except -1
cdef int write_record_size_limit(Writer w, int limit) except -1
cdef int write_status_request(Writer w) except -1
cdef int write_ocsp_response(Writer w, bytes ocsp_response) except -1
cdef int write_certificate_status(Writer w, bytes ocsp_response) except -1
cdef int write_signed_certificate_timestamps(Writer w, timestamps) except -1
cdef int write_certificate_authorities(Writer w, names) except -1
cdef int write_ec_point_formats(Writer w) except -1
cdef int write_renegotiation_info(Writer w, bytes renegotiated_connection) except -1
cdef int write_session_ticket(Writer w, bytes ticket) except -1
