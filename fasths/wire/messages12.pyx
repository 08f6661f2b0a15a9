# The handshake messages that TLS 1.2 has alone, or has in another form than TLS 1.3 (RFC 5246, 7.4;
# RFC 8422, 5). ClientHello, CertificateVerify and Finished serve both and are in messages.pyx,
# whose rules hold here: decode_*() takes one whole message with its header and returns all of it,
# or raises.

from fasths.wire.constants cimport *
from fasths.wire.extensions cimport *
from fasths.wire.messages cimport (
    Certificate,
    CertificateRequest,
    begin_message,
    finish_message,
    read_certificate_data,
    read_header,
)
from fasths.wire.reader cimport (
    Reader,
    finish,
    read_u8,
    read_u16,
    read_u32,
    read_vector8,
    read_vector16,
    read_vector24,
    remaining,
    take,
    take_rest,
)
from fasths.wire.writer cimport Writer

from fasths.wire.errors import DecodeError

cdef enum:
    # RFC 8422, 5.4: ECCurveType.
    CURVE_TYPE_NAMED_CURVE = 3


# --- ServerHello (RFC 5246, 7.4.1.3)

cdef class ServerHello12:
    """A server's choice."""


cpdef ServerHello12 decode_server_hello_12(bytes message):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef ServerHello12 hello = ServerHello12.__new__(ServerHello12)
    hello.extension_types = []
    hello.record_size_limit = -1
    hello.client_certificate_type = hello.server_certificate_type = -1
    read_header(&r, message, HANDSHAKE_server_hello)
    hello.server_version = read_u16(&r)
    hello.random = take(&r, 32)
    read_vector8(&r, &vector, 0)
    if remaining(&vector) > 32:
        raise DecodeError("session_id is too long")
    hello.session_id = take_rest(&vector)
    hello.cipher_suite = read_u16(&r)
    hello.compression_method = read_u8(&r)
    if remaining(&r) == 0:
        # RFC 5246, 7.4.1.3: there may be no extensions at all.
        return hello
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        hello.extension_types.append(extensions.type)
        decode_server_hello_12_extension(hello, extensions.type, &extensions.data)
    return hello


cdef int decode_server_hello_12_extension(
    ServerHello12 hello, int type, Reader* data
) except -1:
    cdef tuple names
    if type == EXTENSION_application_layer_protocol_negotiation:
        names = decode_protocol_names(data)
        # RFC 7301, 3.1: the answer holds exactly one name.
        if len(names) != 1:
            raise DecodeError("the server chose more than one application protocol")
        hello.protocol_name = names[0]
    elif type == EXTENSION_server_name:
        # RFC 6066, 3.
        decode_empty(data)
    elif type == EXTENSION_status_request:
        # RFC 6066, 8: the response itself is in a CertificateStatus message.
        decode_empty(data)
        hello.status_request = True
    elif type == EXTENSION_extended_master_secret:
        # RFC 7627, 5.1.
        decode_empty(data)
        hello.extended_master_secret = True
    elif type == EXTENSION_session_ticket:
        # RFC 5077, 3.2: the ticket itself is in a NewSessionTicket message.
        decode_empty(data)
        hello.session_ticket = True
    elif type == EXTENSION_renegotiation_info:
        hello.renegotiation_info = decode_renegotiation_info(data)
    elif type == EXTENSION_ec_point_formats:
        hello.ec_point_formats = decode_ec_point_formats(data)
    elif type == EXTENSION_signed_certificate_timestamp:
        hello.signed_certificate_timestamps = decode_signed_certificate_timestamps(data)
    elif type == EXTENSION_record_size_limit:
        hello.record_size_limit = decode_record_size_limit(data)
    elif type == EXTENSION_client_certificate_type:
        hello.client_certificate_type = decode_certificate_type(data)
    elif type == EXTENSION_server_certificate_type:
        hello.server_certificate_type = decode_certificate_type(data)
    return 0


cpdef bytes encode_server_hello_12(
    bytes random, bytes session_id, int cipher_suite, bytes extensions
):
    """extensions: the body of their vector; b"" for no such field."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_server_hello)
    w.u16(VERSION_TLSv1_2)
    w.blob(random)
    w.vector(session_id, 1)
    w.u16(cipher_suite)
    w.u8(0)
    if extensions:
        w.vector(extensions, 2)
    return finish_message(w, message)


# --- Certificate (RFC 5246, 7.4.2)

cpdef Certificate decode_certificate_12(bytes message, int maximum):
    """maximum: how many certificates a chain may have."""
    cdef Reader r, entries
    cdef list certificates = []
    read_header(&r, message, HANDSHAKE_certificate)
    read_vector24(&r, &entries, 0)
    finish(&r)
    while remaining(&entries):
        read_certificate_data(&entries, certificates, maximum)
    return certificate_of(tuple(certificates))


cdef Certificate certificate_of(tuple certificates):
    cdef Certificate result = Certificate.__new__(Certificate)
    result.certificate_request_context = b""
    result.certificates = certificates
    result.extension_types = []
    return result


cpdef bytes encode_certificate_12(certificates):
    """certificates: DER, leaf first; () where a client has none."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate), entries = w.open(3)
    for certificate in certificates:
        w.vector(certificate, 3)
    w.close(entries, 3)
    return finish_message(w, message)


# --- Certificate that holds a raw public key (RFC 7250, 3)

cpdef Certificate decode_raw_public_key_12(bytes message):
    """One SubjectPublicKeyInfo where a chain would be; nothing of a client that has none."""
    cdef Reader r, vector
    read_header(&r, message, HANDSHAKE_certificate)
    read_vector24(&r, &vector, 0)
    finish(&r)
    return certificate_of((take_rest(&vector),) if remaining(&vector) else ())


cpdef bytes encode_raw_public_key_12(bytes public_key_info):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate)
    w.vector(public_key_info, 3)
    return finish_message(w, message)


# --- CertificateStatus (RFC 6066, 8)

cpdef bytes decode_certificate_status_message(bytes message):
    """The OCSP response."""
    cdef Reader r
    read_header(&r, message, HANDSHAKE_certificate_status)
    return decode_certificate_status(&r)


cpdef bytes encode_certificate_status_message(bytes ocsp_response):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate_status)
    write_ocsp_response(w, ocsp_response)
    return finish_message(w, message)


# --- ServerKeyExchange (RFC 8422, 5.4)

cdef class ServerKeyExchange:
    """A server's share of the key exchange, signed."""


cpdef bytes encode_server_ecdh_params(int group, bytes public):
    """ServerECDHParams: what is signed, behind the two randoms."""
    cdef Writer w = Writer.__new__(Writer)
    w.u8(CURVE_TYPE_NAMED_CURVE)
    w.u16(group)
    w.vector(public, 1)
    return w.finish()


cpdef ServerKeyExchange decode_server_key_exchange(bytes message):
    cdef Reader r, params, vector
    cdef ServerKeyExchange result = ServerKeyExchange.__new__(ServerKeyExchange)
    result.group = result.algorithm = -1
    read_header(&r, message, HANDSHAKE_server_key_exchange)
    params = r
    result.curve_type = read_u8(&r)
    if result.curve_type != CURVE_TYPE_NAMED_CURVE:
        # RFC 8422, 5.4: the others are deprecated, and what follows depends on the type.
        return result
    result.group = read_u16(&r)
    read_vector8(&r, &vector, 1)
    result.public = take_rest(&vector)
    result.params = take(&params, r.at - params.at)
    result.algorithm = read_u16(&r)
    read_vector16(&r, &vector, 0)
    finish(&r)
    result.signature = take_rest(&vector)
    return result


cpdef bytes encode_server_key_exchange(bytes params, int algorithm, bytes signature):
    """params: what encode_server_ecdh_params() made."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_server_key_exchange)
    w.blob(params)
    w.u16(algorithm)
    w.vector(signature, 2)
    return finish_message(w, message)


# --- CertificateRequest (RFC 5246, 7.4.4)

cpdef CertificateRequest decode_certificate_request_12(bytes message):
    cdef Reader r, vector
    cdef CertificateRequest result = CertificateRequest.__new__(CertificateRequest)
    result.certificate_request_context = b""
    read_header(&r, message, HANDSHAKE_certificate_request)
    read_vector8(&r, &vector, 1)
    result.certificate_types = take_rest(&vector)
    read_vector16(&r, &vector, 2)
    if remaining(&vector) & 1:
        raise DecodeError("supported_signature_algorithms has an odd length")
    result.signature_algorithms = take_rest(&vector)
    read_vector16(&r, &vector, 0)
    finish(&r)
    if remaining(&vector):
        result.certificate_authorities = take_certificate_authorities(&vector)
    return result


cpdef bytes encode_certificate_request_12(
    bytes certificate_types, signature_algorithms, certificate_authorities
):
    """certificate_authorities: names in DER; () for any."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate_request), vector
    cdef int algorithm
    w.vector(certificate_types, 1)
    vector = w.open(2)
    for algorithm in signature_algorithms:
        w.u16(algorithm)
    w.close(vector, 2)
    vector = w.open(2)
    for name in certificate_authorities:
        w.vector(name, 2)
    w.close(vector, 2)
    return finish_message(w, message)


# --- ServerHelloDone (RFC 5246, 7.4.5)

cpdef int decode_server_hello_done(bytes message) except -1:
    cdef Reader r
    read_header(&r, message, HANDSHAKE_server_hello_done)
    return finish(&r)


cpdef bytes encode_server_hello_done():
    cdef Writer w = Writer.__new__(Writer)
    return finish_message(w, begin_message(w, HANDSHAKE_server_hello_done))


# --- ClientKeyExchange (RFC 8422, 5.7)

cpdef bytes decode_client_key_exchange(bytes message):
    """The client's point."""
    cdef Reader r, vector
    read_header(&r, message, HANDSHAKE_client_key_exchange)
    read_vector8(&r, &vector, 1)
    finish(&r)
    return take_rest(&vector)


cpdef bytes encode_client_key_exchange(bytes public):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_client_key_exchange)
    w.vector(public, 1)
    return finish_message(w, message)


# --- NewSessionTicket (RFC 5077, 3.3)

cpdef tuple decode_new_session_ticket_12(bytes message):
    """(ticket_lifetime_hint, ticket); an empty ticket is none."""
    cdef Reader r, vector
    cdef long long ticket_lifetime_hint
    read_header(&r, message, HANDSHAKE_new_session_ticket)
    ticket_lifetime_hint = read_u32(&r)
    read_vector16(&r, &vector, 0)
    finish(&r)
    return ticket_lifetime_hint, take_rest(&vector)


cpdef bytes encode_new_session_ticket_12(long long ticket_lifetime_hint, bytes ticket):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_new_session_ticket)
    w.u32(ticket_lifetime_hint)
    w.vector(ticket, 2)
    return finish_message(w, message)


# --- HelloRequest (RFC 5246, 7.4.1.1)

cpdef int decode_hello_request(bytes message) except -1:
    cdef Reader r
    read_header(&r, message, HANDSHAKE_hello_request)
    return finish(&r)


cpdef bytes encode_hello_request():
    cdef Writer w = Writer.__new__(Writer)
    return finish_message(w, begin_message(w, HANDSHAKE_hello_request))
