# The handshake messages of TLS 1.3 (RFC 8446, 4). A decode_*() takes one whole message with its
# header and returns all of it, valid in itself, or raises; what depends on the connection's state
# is the handshake's to check. decode and encode of a message stand together, in wire order.

from libc.stdint cimport uint64_t

from fasths.wire.constants cimport *
from fasths.wire.extensions cimport *
from fasths.wire.reader cimport (
    Reader,
    finish,
    read_u8,
    read_u16,
    read_u24,
    read_u32,
    read_vector8,
    read_vector16,
    read_vector24,
    reader_over_bytes,
    remaining,
    take,
    take_rest,
)
from fasths.wire.writer cimport Writer

from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    IllegalParameter,
    MissingExtension,
    UnexpectedMessage,
)

# RFC 8446, 4.1.3: the random of a ServerHello that is a HelloRetryRequest.
cdef bytes HELLO_RETRY_REQUEST_RANDOM = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)


cdef int read_header(Reader* r, bytes message, int type) except -1:
    reader_over_bytes(r, message, 0)
    if read_u8(r) != type:
        raise UnexpectedMessage("a handshake message of another type was expected")
    if read_u24(r) != remaining(r):
        raise DecodeError("the length of a handshake message does not match")
    return 0


cdef Py_ssize_t begin_message(Writer w, int type) except -1:
    w.u8(type)
    return w.open(3)


cdef bytes finish_message(Writer w, Py_ssize_t at):
    w.close(at, 3)
    return w.finish()


# --- ClientHello (RFC 8446, 4.1.2)

cdef class ClientHello:
    """What a client offers. Lists of codes are kept as on the wire, two bytes each."""


cpdef ClientHello decode_client_hello(bytes message):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef int type
    cdef ClientHello hello = ClientHello.__new__(ClientHello)
    hello.record_size_limit = -1
    read_header(&r, message, HANDSHAKE_client_hello)
    hello.legacy_version = read_u16(&r)
    hello.random = take(&r, 32)
    read_vector8(&r, &vector, 0)
    if remaining(&vector) > 32:
        raise DecodeError("legacy_session_id is too long")
    hello.legacy_session_id = take_rest(&vector)
    read_vector16(&r, &vector, 2)
    if remaining(&vector) & 1:
        raise DecodeError("cipher_suites has an odd length")
    hello.cipher_suites = take_rest(&vector)
    read_vector8(&r, &vector, 1)
    hello.legacy_compression_methods = take_rest(&vector)
    if remaining(&r) == 0:
        # A ClientHello of TLS 1.2 and earlier may end here.
        return hello
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        type = extensions.type
        # RFC 8446, 4.2.11: pre_shared_key must be the last extension.
        if hello.psk_identities is not None:
            raise IllegalParameter("pre_shared_key is not the last extension")
        require_allowed(type, IN_CLIENT_HELLO)
        if type < 64:
            hello.extension_types |= <uint64_t> 1 << type
        decode_client_hello_extension(hello, type, &extensions.data)
    return hello


cdef int decode_client_hello_extension(ClientHello hello, int type, Reader* data) except -1:
    if type == EXTENSION_server_name:
        hello.server_name = decode_server_name(data)
    elif type == EXTENSION_supported_groups:
        hello.supported_groups = decode_u16_list(data, 2)
    elif type == EXTENSION_signature_algorithms:
        hello.signature_algorithms = decode_u16_list(data, 2)
    elif type == EXTENSION_signature_algorithms_cert:
        hello.signature_algorithms_cert = decode_u16_list(data, 2)
    elif type == EXTENSION_application_layer_protocol_negotiation:
        hello.protocol_names = decode_protocol_names(data)
    elif type == EXTENSION_supported_versions:
        hello.supported_versions = decode_u16_list(data, 1)
    elif type == EXTENSION_key_share:
        hello.key_shares = decode_key_shares(data)
    elif type == EXTENSION_cookie:
        hello.cookie = decode_cookie(data)
    elif type == EXTENSION_psk_key_exchange_modes:
        hello.psk_key_exchange_modes = decode_psk_key_exchange_modes(data)
    elif type == EXTENSION_certificate_authorities:
        hello.certificate_authorities = decode_certificate_authorities(data)
    elif type == EXTENSION_compress_certificate:
        hello.compress_certificate = decode_u16_list(data, 1)
    elif type == EXTENSION_client_certificate_type:
        hello.client_certificate_types = decode_certificate_types(data)
    elif type == EXTENSION_server_certificate_type:
        hello.server_certificate_types = decode_certificate_types(data)
    elif type == EXTENSION_record_size_limit:
        hello.record_size_limit = decode_record_size_limit(data)
    elif type == EXTENSION_session_ticket:
        # RFC 5077, 3.2: the data is the ticket, without a length of its own.
        hello.session_ticket = take_rest(data)
    elif type == EXTENSION_extended_master_secret:
        decode_empty(data)
        hello.extended_master_secret = True
    elif type == EXTENSION_renegotiation_info:
        hello.renegotiation_info = decode_renegotiation_info(data)
    elif type == EXTENSION_ec_point_formats:
        hello.ec_point_formats = decode_ec_point_formats(data)
    elif type == EXTENSION_pre_shared_key:
        hello.psk_identities = decode_psk_identities(data)
        hello.psk_binders_size = remaining(data)
        hello.psk_binders = decode_psk_binders(data)
        # RFC 8446, 4.2.11: one binder for each identity, in the same order.
        if len(hello.psk_identities) != len(hello.psk_binders):
            raise IllegalParameter("pre_shared_key has not one binder for each identity")
    elif type == EXTENSION_status_request:
        hello.status_request = decode_status_request(data)
    elif type == EXTENSION_signed_certificate_timestamp:
        decode_empty(data)
        hello.signed_certificate_timestamp = True
    elif type == EXTENSION_early_data:
        decode_empty(data)
        hello.early_data = True
    elif type == EXTENSION_post_handshake_auth:
        decode_empty(data)
        hello.post_handshake_auth = True
    # RFC 8446, 4.2: what is not recognised is ignored.
    return 0


cpdef bytes constant_part(bytes client_hello):
    """What a second ClientHello repeats of the first (RFC 8446, 4.1.2).

    encrypted_client_hello is encrypted anew, so it differs as well.
    """
    cdef Reader r, vector
    cdef Extensions extensions
    cdef Writer w = Writer.__new__(Writer)
    read_header(&r, client_hello, HANDSHAKE_client_hello)
    w.blob(take(&r, 34))
    read_vector8(&r, &vector, 0)
    w.vector(take_rest(&vector), 1)
    read_vector16(&r, &vector, 2)
    w.vector(take_rest(&vector), 2)
    read_vector8(&r, &vector, 1)
    w.vector(take_rest(&vector), 1)
    read_extensions(&r, &extensions)
    while next_extension(&extensions):
        if extensions.type not in (
            EXTENSION_key_share,
            EXTENSION_early_data,
            EXTENSION_cookie,
            EXTENSION_pre_shared_key,
            EXTENSION_padding,
            EXTENSION_encrypted_client_hello,
        ):
            w.u16(extensions.type)
            w.vector(take_rest(&extensions.data), 2)
    return w.finish()


cdef bytes encode_client_hello(
    bytes random, bytes legacy_session_id, bytes cipher_suites, bytes extensions
):
    """cipher_suites and extensions: the bodies of their vectors."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_client_hello)
    w.u16(VERSION_TLSv1_2)
    w.blob(random)
    w.vector(legacy_session_id, 1)
    w.vector(cipher_suites, 2)
    w.u16(0x0100)
    w.vector(extensions, 2)
    return finish_message(w, message)


# --- ServerHello and HelloRetryRequest (RFC 8446, 4.1.3 and 4.1.4)

cdef class ServerHello:
    """A server's choice, or its HelloRetryRequest (is_hello_retry_request)."""


cpdef ServerHello decode_server_hello(bytes message):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef ServerHello hello = ServerHello.__new__(ServerHello)
    hello.selected_version = hello.group = hello.selected_identity = -1
    hello.extension_types = []
    read_header(&r, message, HANDSHAKE_server_hello)
    hello.legacy_version = read_u16(&r)
    hello.random = take(&r, 32)
    hello.is_hello_retry_request = hello.random == HELLO_RETRY_REQUEST_RANDOM
    read_vector8(&r, &vector, 0)
    if remaining(&vector) > 32:
        raise DecodeError("legacy_session_id_echo is too long")
    hello.legacy_session_id_echo = take_rest(&vector)
    hello.cipher_suite = read_u16(&r)
    hello.legacy_compression_method = read_u8(&r)
    if remaining(&r) == 0:
        # A ServerHello of TLS 1.2 and earlier may end here.
        return hello
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        hello.extension_types.append(extensions.type)
        if extensions.type == EXTENSION_supported_versions:
            hello.selected_version = read_u16(&extensions.data)
            finish(&extensions.data)
        elif extensions.type == EXTENSION_key_share:
            hello.group = read_u16(&extensions.data)
            if not hello.is_hello_retry_request:
                read_vector16(&extensions.data, &vector, 1)
                hello.key_exchange = take_rest(&vector)
            finish(&extensions.data)
        elif extensions.type == EXTENSION_cookie:
            hello.cookie = decode_cookie(&extensions.data)
        elif extensions.type == EXTENSION_pre_shared_key:
            hello.selected_identity = read_u16(&extensions.data)
            finish(&extensions.data)
    return hello


cdef Py_ssize_t begin_server_hello(
    Writer w, bytes random, bytes legacy_session_id_echo, int cipher_suite
) except -1:
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_server_hello)
    w.u16(VERSION_TLSv1_2)
    w.blob(random)
    w.vector(legacy_session_id_echo, 1)
    w.u16(cipher_suite)
    w.u8(0)
    return message


cdef int write_selected_version(Writer w) except -1:
    w.u16(EXTENSION_supported_versions)
    w.u16(2)
    return w.u16(VERSION_TLSv1_3)


cpdef bytes encode_server_hello(
    bytes random,
    bytes legacy_session_id_echo,
    int cipher_suite,
    int group,
    bytes key_exchange,
    int selected_identity=-1,
):
    """group: 0 where a PSK is used alone. selected_identity: -1 where there is no PSK."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_server_hello(w, random, legacy_session_id_echo, cipher_suite)
    cdef Py_ssize_t extensions = w.open(2), key_share
    if group:
        w.u16(EXTENSION_key_share)
        key_share = w.open(2)
        w.u16(group)
        w.vector(key_exchange, 2)
        w.close(key_share, 2)
    write_selected_version(w)
    if selected_identity >= 0:
        w.u16(EXTENSION_pre_shared_key)
        w.u16(2)
        w.u16(selected_identity)
    w.close(extensions, 2)
    return finish_message(w, message)


cpdef bytes encode_hello_retry_request(
    bytes legacy_session_id_echo, int cipher_suite, int group, object cookie
):
    """group: the one asked for, or 0. cookie: bytes, or None."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_server_hello(
        w, HELLO_RETRY_REQUEST_RANDOM, legacy_session_id_echo, cipher_suite
    )
    cdef Py_ssize_t extensions = w.open(2)
    if group:
        w.u16(EXTENSION_key_share)
        w.u16(2)
        w.u16(group)
    if cookie is not None:
        write_cookie(w, cookie)
    write_selected_version(w)
    w.close(extensions, 2)
    return finish_message(w, message)


# --- EncryptedExtensions (RFC 8446, 4.3.1)

cdef class EncryptedExtensions:
    """Answers to ClientHello's extensions that need no key."""


cpdef EncryptedExtensions decode_encrypted_extensions(bytes message):
    cdef Reader r
    cdef Extensions extensions
    cdef tuple names
    cdef EncryptedExtensions result = EncryptedExtensions.__new__(EncryptedExtensions)
    result.extension_types = []
    result.client_certificate_type = result.server_certificate_type = -1
    result.record_size_limit = -1
    read_header(&r, message, HANDSHAKE_encrypted_extensions)
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        result.extension_types.append(extensions.type)
        if extensions.type == EXTENSION_application_layer_protocol_negotiation:
            names = decode_protocol_names(&extensions.data)
            # RFC 7301, 3.1: the answer holds exactly one name.
            if len(names) != 1:
                raise DecodeError("the server chose more than one application protocol")
            result.protocol_name = names[0]
        elif extensions.type == EXTENSION_server_name:
            decode_empty(&extensions.data)
            result.server_name = True
        elif extensions.type == EXTENSION_supported_groups:
            result.supported_groups = decode_u16_list(&extensions.data, 2)
        elif extensions.type == EXTENSION_early_data:
            decode_empty(&extensions.data)
            result.early_data = True
        elif extensions.type == EXTENSION_client_certificate_type:
            result.client_certificate_type = decode_certificate_type(&extensions.data)
        elif extensions.type == EXTENSION_server_certificate_type:
            result.server_certificate_type = decode_certificate_type(&extensions.data)
        elif extensions.type == EXTENSION_record_size_limit:
            result.record_size_limit = decode_record_size_limit(&extensions.data)
    return result


cpdef bytes encode_encrypted_extensions(
    object protocol_name,
    bint early_data=False,
    int client_certificate_type=-1,
    int server_certificate_type=-1,
    int record_size_limit=-1,
):
    """protocol_name: the chosen application protocol, or None. The numbers: -1 for none."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_encrypted_extensions)
    cdef Py_ssize_t extensions = w.open(2)
    if protocol_name is not None:
        write_protocol_names(w, (protocol_name,))
    if early_data:
        write_empty(w, EXTENSION_early_data)
    if client_certificate_type >= 0:
        write_certificate_type(w, EXTENSION_client_certificate_type, client_certificate_type)
    if server_certificate_type >= 0:
        write_certificate_type(w, EXTENSION_server_certificate_type, server_certificate_type)
    if record_size_limit >= 0:
        write_record_size_limit(w, record_size_limit)
    w.close(extensions, 2)
    return finish_message(w, message)


# --- CertificateRequest (RFC 8446, 4.3.2)

cdef class CertificateRequest:
    """A server's wish for a client certificate."""


cpdef CertificateRequest decode_certificate_request(bytes message):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef CertificateRequest result = CertificateRequest.__new__(CertificateRequest)
    read_header(&r, message, HANDSHAKE_certificate_request)
    read_vector8(&r, &vector, 0)
    result.certificate_request_context = take_rest(&vector)
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        require_allowed(extensions.type, IN_CERTIFICATE_REQUEST)
        if extensions.type == EXTENSION_signature_algorithms:
            result.signature_algorithms = decode_u16_list(&extensions.data, 2)
        elif extensions.type == EXTENSION_signature_algorithms_cert:
            result.signature_algorithms_cert = decode_u16_list(&extensions.data, 2)
        elif extensions.type == EXTENSION_certificate_authorities:
            result.certificate_authorities = decode_certificate_authorities(&extensions.data)
        elif extensions.type == EXTENSION_compress_certificate:
            result.compress_certificate = decode_u16_list(&extensions.data, 1)
        elif extensions.type == EXTENSION_status_request:
            # RFC 8446, 4.4.2.1: an empty one asks for an OCSP response.
            decode_empty(&extensions.data)
            result.status_request = True
        elif extensions.type == EXTENSION_signed_certificate_timestamp:
            decode_empty(&extensions.data)
            result.signed_certificate_timestamp = True
    if result.signature_algorithms is None:
        # RFC 8446, 4.3.2: signature_algorithms MUST be specified.
        raise MissingExtension("CertificateRequest has no signature_algorithms")
    return result


cpdef bytes encode_certificate_request(
    bytes certificate_request_context,
    signature_algorithms,
    signature_algorithms_cert,
    certificate_authorities=(),
    compress_certificate=(),
    bint status_request=False,
):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate_request), extensions
    w.vector(certificate_request_context, 1)
    extensions = w.open(2)
    write_u16_list(w, EXTENSION_signature_algorithms, signature_algorithms, 2)
    if signature_algorithms_cert:
        write_u16_list(w, EXTENSION_signature_algorithms_cert, signature_algorithms_cert, 2)
    if certificate_authorities:
        write_certificate_authorities(w, certificate_authorities)
    if compress_certificate:
        write_u16_list(w, EXTENSION_compress_certificate, compress_certificate, 1)
    if status_request:
        write_empty(w, EXTENSION_status_request)
    w.close(extensions, 2)
    return finish_message(w, message)


# --- Certificate (RFC 8446, 4.4.2)

cdef class Certificate:
    """A chain in DER, leaf first; extension_types has those of all its entries."""


cpdef Certificate decode_certificate(bytes message, int maximum):
    """maximum: how many certificates a chain may have."""
    cdef Reader r, entries, vector
    cdef Extensions extensions
    cdef Certificate result = Certificate.__new__(Certificate)
    cdef list certificates = []
    result.extension_types = []
    read_header(&r, message, HANDSHAKE_certificate)
    read_vector8(&r, &vector, 0)
    result.certificate_request_context = take_rest(&vector)
    read_vector24(&r, &entries, 0)
    finish(&r)
    while remaining(&entries):
        read_certificate_data(&entries, certificates, maximum)
        read_extensions(&entries, &extensions)
        while next_extension(&extensions):
            result.extension_types.append(extensions.type)
            decode_certificate_extension(result, &extensions, len(certificates) == 1)
    result.certificates = tuple(certificates)
    return result


cdef int read_certificate_data(Reader* entries, list certificates, int maximum) except -1:
    """The next certificate of a chain that may have so many."""
    cdef Reader vector
    if len(certificates) == maximum:
        raise CertificateError(
            "the peer's certificate chain is too long",
            verify_code=22,
            verify_message="certificate chain too long",
        )
    read_vector24(entries, &vector, 1)
    certificates.append(take_rest(&vector))
    return 0


cdef int decode_certificate_extension(
    Certificate certificate, Extensions* extensions, bint of_leaf
) except -1:
    cdef bytes ocsp_response
    cdef tuple timestamps
    if extensions.type == EXTENSION_status_request:
        ocsp_response = decode_certificate_status(&extensions.data)
        if of_leaf:
            certificate.ocsp_response = ocsp_response
    elif extensions.type == EXTENSION_signed_certificate_timestamp:
        timestamps = decode_signed_certificate_timestamps(&extensions.data)
        if of_leaf:
            certificate.signed_certificate_timestamps = timestamps
    return 0


cpdef bytes encode_certificate(
    bytes certificate_request_context,
    certificates,
    bytes ocsp_response=None,
    signed_certificate_timestamps=(),
):
    """certificates: DER, leaf first. What goes with the leaf: None or () for nothing."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate), entries, extensions
    cdef bint is_leaf = True
    w.vector(certificate_request_context, 1)
    entries = w.open(3)
    for certificate in certificates:
        w.vector(certificate, 3)
        extensions = w.open(2)
        if is_leaf and ocsp_response is not None:
            write_certificate_status(w, ocsp_response)
        if is_leaf and signed_certificate_timestamps:
            write_signed_certificate_timestamps(w, signed_certificate_timestamps)
        w.close(extensions, 2)
        is_leaf = False
    w.close(entries, 3)
    return finish_message(w, message)


# --- CompressedCertificate (RFC 8879, 4)

cdef class CompressedCertificate:
    """A Certificate message, compressed."""


cpdef CompressedCertificate decode_compressed_certificate(bytes message):
    cdef Reader r, vector
    cdef CompressedCertificate result = CompressedCertificate.__new__(CompressedCertificate)
    read_header(&r, message, HANDSHAKE_compressed_certificate)
    result.algorithm = read_u16(&r)
    result.uncompressed_length = read_u24(&r)
    read_vector24(&r, &vector, 1)
    finish(&r)
    result.compressed_certificate_message = take_rest(&vector)
    return result


cpdef bytes encode_compressed_certificate(
    int algorithm, int uncompressed_length, bytes compressed_certificate_message
):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_compressed_certificate)
    w.u16(algorithm)
    w.u24(uncompressed_length)
    w.vector(compressed_certificate_message, 3)
    return finish_message(w, message)


cpdef bytes certificate_message(bytes body):
    """The Certificate message with this body, which is what was compressed."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate)
    w.blob(body)
    return finish_message(w, message)


# --- CertificateVerify (RFC 8446, 4.4.3)

cdef class CertificateVerify:
    """The signature over the transcript."""


cpdef CertificateVerify decode_certificate_verify(bytes message):
    cdef Reader r, vector
    cdef CertificateVerify result = CertificateVerify.__new__(CertificateVerify)
    read_header(&r, message, HANDSHAKE_certificate_verify)
    result.algorithm = read_u16(&r)
    read_vector16(&r, &vector, 0)
    finish(&r)
    result.signature = take_rest(&vector)
    return result


cpdef bytes encode_certificate_verify(int algorithm, bytes signature):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_certificate_verify)
    w.u16(algorithm)
    w.vector(signature, 2)
    return finish_message(w, message)


# --- Finished (RFC 8446, 4.4.4)

cpdef bytes decode_finished(bytes message, int hash_length):
    """The verify_data, which has the length of the hash."""
    cdef Reader r
    cdef bytes verify_data
    read_header(&r, message, HANDSHAKE_finished)
    verify_data = take(&r, hash_length)
    finish(&r)
    return verify_data


cpdef bytes encode_finished(bytes verify_data):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_finished)
    w.blob(verify_data)
    return finish_message(w, message)


# --- EndOfEarlyData (RFC 8446, 4.5)

cpdef int decode_end_of_early_data(bytes message) except -1:
    cdef Reader r
    read_header(&r, message, HANDSHAKE_end_of_early_data)
    return finish(&r)


cpdef bytes encode_end_of_early_data():
    cdef Writer w = Writer.__new__(Writer)
    return finish_message(w, begin_message(w, HANDSHAKE_end_of_early_data))


# --- NewSessionTicket (RFC 8446, 4.6.1)

cdef class NewSessionTicket:
    """A ticket for resumption."""


cpdef NewSessionTicket decode_new_session_ticket(bytes message):
    cdef Reader r, vector
    cdef Extensions extensions
    cdef NewSessionTicket result = NewSessionTicket.__new__(NewSessionTicket)
    read_header(&r, message, HANDSHAKE_new_session_ticket)
    result.ticket_lifetime = read_u32(&r)
    result.ticket_age_add = read_u32(&r)
    read_vector8(&r, &vector, 0)
    result.ticket_nonce = take_rest(&vector)
    read_vector16(&r, &vector, 1)
    result.ticket = take_rest(&vector)
    read_extensions(&r, &extensions)
    finish(&r)
    while next_extension(&extensions):
        require_allowed(extensions.type, IN_NEW_SESSION_TICKET)
        if extensions.type == EXTENSION_early_data:
            result.max_early_data_size = read_u32(&extensions.data)
            finish(&extensions.data)
    return result


cpdef bytes encode_new_session_ticket(
    long long ticket_lifetime,
    long long ticket_age_add,
    bytes ticket_nonce,
    bytes ticket,
    long long max_early_data_size,
):
    """max_early_data_size: 0 for no early data."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_new_session_ticket), extensions
    w.u32(ticket_lifetime)
    w.u32(ticket_age_add)
    w.vector(ticket_nonce, 1)
    w.vector(ticket, 2)
    extensions = w.open(2)
    if max_early_data_size:
        w.u16(EXTENSION_early_data)
        w.u16(4)
        w.u32(max_early_data_size)
    w.close(extensions, 2)
    return finish_message(w, message)


# --- KeyUpdate (RFC 8446, 4.6.3)

cpdef int decode_key_update(bytes message) except -1:
    """request_update: 1 where the peer asks for a KeyUpdate in return, else 0."""
    cdef Reader r
    cdef int request_update
    read_header(&r, message, HANDSHAKE_key_update)
    request_update = read_u8(&r)
    finish(&r)
    if request_update > 1:
        raise IllegalParameter("KeyUpdate has an unknown request_update")
    return request_update


cpdef bytes encode_key_update(bint request_update):
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_key_update)
    w.u8(request_update)
    return finish_message(w, message)


# --- message_hash (RFC 8446, 4.4.1)

cpdef bytes encode_message_hash(bytes hash_value):
    """The synthetic message that stands for the first ClientHello after a HelloRetryRequest."""
    cdef Writer w = Writer.__new__(Writer)
    cdef Py_ssize_t message = begin_message(w, HANDSHAKE_message_hash)
    w.blob(hash_value)
    return finish_message(w, message)
