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
    cdef readonly bint pre_shared_key
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
    cdef readonly list extension_types


@cython.final
cdef class CertificateRequest:
    cdef readonly bytes certificate_request_context
    cdef readonly bytes signature_algorithms
    cdef readonly bytes signature_algorithms_cert
    cdef readonly bytes certificate_authorities


@cython.final
cdef class Certificate:
    cdef readonly bytes certificate_request_context
    cdef readonly tuple certificates
    cdef readonly list extension_types


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


cdef Py_ssize_t begin_message(Writer w, int type) except -1
cdef bytes finish_message(Writer w, Py_ssize_t at)

cpdef ClientHello decode_client_hello(bytes message)
cpdef bytes constant_part(bytes client_hello)
cdef bytes encode_client_hello(
    bytes random, bytes legacy_session_id, bytes cipher_suites, bytes extensions
)
cpdef ServerHello decode_server_hello(bytes message)
cpdef bytes encode_server_hello(
    bytes random, bytes legacy_session_id_echo, int cipher_suite, int group, bytes key_exchange
)
cpdef bytes encode_hello_retry_request(
    bytes legacy_session_id_echo, int cipher_suite, int group, object cookie
)
cpdef EncryptedExtensions decode_encrypted_extensions(bytes message)
cpdef bytes encode_encrypted_extensions(object protocol_name)
cpdef CertificateRequest decode_certificate_request(bytes message)
cpdef bytes encode_certificate_request(
    bytes certificate_request_context, signature_algorithms, signature_algorithms_cert
)
cpdef Certificate decode_certificate(bytes message, int maximum)
cpdef bytes encode_certificate(bytes certificate_request_context, certificates)
cpdef CertificateVerify decode_certificate_verify(bytes message)
cpdef bytes encode_certificate_verify(int algorithm, bytes signature)
cpdef bytes decode_finished(bytes message, int hash_length)
cpdef bytes encode_finished(bytes verify_data)
cpdef NewSessionTicket decode_new_session_ticket(bytes message)
cpdef int decode_key_update(bytes message) except -1
cpdef bytes encode_key_update(bint request_update)
cpdef bytes encode_message_hash(bytes hash_value)
