cimport cython
from libc.stdint cimport uint64_t

from fasths.wire.reader cimport Reader
from fasths.wire.writer cimport Writer


@cython.final
cdef class ClientHello:
    cdef readonly int legacy_version
    cdef readonly bytes random
    cdef readonly bytes legacy_session_id
    cdef readonly bytes cipher_suites
    cdef readonly bytes legacy_compression_methods
    # Extensions; None or False where absent.
    cdef readonly str server_name
    cdef readonly bytes supported_versions
    cdef readonly bytes supported_groups
    cdef readonly bytes signature_algorithms
    cdef readonly bytes signature_algorithms_cert
    cdef readonly bytes key_shares
    cdef readonly tuple protocol_names
    cdef readonly bytes cookie
    cdef readonly bytes psk_key_exchange_modes
    cdef readonly bytes certificate_authorities
    cdef readonly bytes compress_certificate
    cdef readonly bytes client_certificate_types
    cdef readonly bytes server_certificate_types
    cdef readonly int record_size_limit
    # Of TLS 1.2: a ticket (empty: for a first one), renegotiated_connection, point formats.
    cdef readonly bytes session_ticket
    cdef readonly bytes renegotiation_info
    cdef readonly bytes ec_point_formats
    cdef readonly bint extended_master_secret
    # OfferedPsks; how many bytes of binders end the message.
    cdef readonly list psk_identities
    cdef readonly list psk_binders
    cdef readonly Py_ssize_t psk_binders_size
    cdef readonly bint status_request
    cdef readonly bint signed_certificate_timestamp
    cdef readonly bint early_data
    cdef readonly bint post_handshake_auth
    cdef readonly uint64_t extension_types


@cython.final
cdef class ServerHello:
    cdef readonly int legacy_version
    cdef readonly bytes random
    cdef readonly bytes legacy_session_id_echo
    cdef readonly int cipher_suite
    cdef readonly int legacy_compression_method
    cdef readonly bint is_hello_retry_request
    # Extensions; -1 or None where absent.
    cdef readonly int selected_version
    cdef readonly int group
    cdef readonly bytes key_exchange
    cdef readonly bytes cookie
    cdef readonly int selected_identity
    cdef readonly list extension_types


@cython.final
cdef class EncryptedExtensions:
    cdef readonly bytes protocol_name
    cdef readonly bint server_name
    cdef readonly bytes supported_groups
    cdef readonly bint early_data
    cdef readonly int client_certificate_type
    cdef readonly int server_certificate_type
    cdef readonly int record_size_limit
    cdef readonly list extension_types


@cython.final
cdef class CertificateRequest:
    cdef readonly bytes certificate_request_context
    # None in TLS 1.3.
    cdef readonly bytes certificate_types
    cdef readonly bytes signature_algorithms
    cdef readonly bytes signature_algorithms_cert
    cdef readonly bytes certificate_authorities
    cdef readonly bytes compress_certificate
    cdef readonly bint status_request
    cdef readonly bint signed_certificate_timestamp


@cython.final
cdef class Certificate:
    cdef readonly bytes certificate_request_context
    cdef readonly tuple certificates
    cdef readonly list extension_types
    # Of the leaf.
    cdef readonly bytes ocsp_response
    cdef readonly tuple signed_certificate_timestamps


@cython.final
cdef class CompressedCertificate:
    cdef readonly int algorithm
    cdef readonly int uncompressed_length
    cdef readonly bytes compressed_certificate_message


@cython.final
cdef class CertificateVerify:
    cdef readonly int algorithm
    cdef readonly bytes signature


@cython.final
cdef class NewSessionTicket:
    cdef readonly long long ticket_lifetime
    cdef readonly long long ticket_age_add
    cdef readonly bytes ticket_nonce
    cdef readonly bytes ticket
    cdef readonly long long max_early_data_size


cdef int read_header(Reader* r, bytes message, int type) except -1
cdef Py_ssize_t begin_message(Writer w, int type) except -1
cdef bytes finish_message(Writer w, Py_ssize_t at)

cpdef ClientHello decode_client_hello(bytes message)
cpdef bytes constant_part(bytes client_hello)
cdef bytes encode_client_hello(
    bytes random, bytes legacy_session_id, bytes cipher_suites, bytes extensions
)
cpdef ServerHello decode_server_hello(bytes message)
cpdef bytes encode_server_hello(
    bytes random,
    bytes legacy_session_id_echo,
    int cipher_suite,
    int group,
    bytes key_exchange,
    int selected_identity=*,
)
cpdef bytes encode_hello_retry_request(
    bytes legacy_session_id_echo, int cipher_suite, int group, object cookie
)
cpdef EncryptedExtensions decode_encrypted_extensions(bytes message)
cpdef bytes encode_encrypted_extensions(
    object protocol_name,
    bint early_data=*,
    int client_certificate_type=*,
    int server_certificate_type=*,
    int record_size_limit=*,
)
cpdef CertificateRequest decode_certificate_request(bytes message)
cpdef bytes encode_certificate_request(
    bytes certificate_request_context,
    signature_algorithms,
    signature_algorithms_cert,
    certificate_authorities=*,
    compress_certificate=*,
    bint status_request=*,
)
cdef int read_certificate_data(Reader* entries, list certificates, int maximum) except -1
cpdef Certificate decode_certificate(bytes message, int maximum)
cpdef bytes encode_certificate(
    bytes certificate_request_context,
    certificates,
    bytes ocsp_response=*,
    signed_certificate_timestamps=*,
)
cpdef CompressedCertificate decode_compressed_certificate(bytes message)
cpdef bytes encode_compressed_certificate(
    int algorithm, int uncompressed_length, bytes compressed_certificate_message
)
cpdef bytes certificate_message(bytes body)
cpdef CertificateVerify decode_certificate_verify(bytes message)
cpdef bytes encode_certificate_verify(int algorithm, bytes signature)
cpdef bytes decode_finished(bytes message, int hash_length)
cpdef bytes encode_finished(bytes verify_data)
cpdef int decode_end_of_early_data(bytes message) except -1
cpdef bytes encode_end_of_early_data()
cpdef NewSessionTicket decode_new_session_ticket(bytes message)
cpdef bytes encode_new_session_ticket(
    long long ticket_lifetime,
    long long ticket_age_add,
    bytes ticket_nonce,
    bytes ticket,
    long long max_early_data_size,
)
cpdef int decode_key_update(bytes message) except -1
cpdef bytes encode_key_update(bint request_update)
cpdef bytes encode_message_hash(bytes hash_value)
