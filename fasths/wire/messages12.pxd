cimport cython

from fasths.wire.messages cimport Certificate, CertificateRequest


@cython.final
cdef class ServerHello12:
    cdef readonly int server_version
    cdef readonly bytes random
    cdef readonly bytes session_id
    cdef readonly int cipher_suite
    cdef readonly int compression_method
    # Extensions: the types of all, in wire order, and what they hold; -1, None or False: absent.
    cdef readonly list extension_types
    cdef readonly bytes protocol_name
    cdef readonly bint status_request
    cdef readonly bint extended_master_secret
    cdef readonly bint session_ticket
    cdef readonly bytes renegotiation_info
    cdef readonly bytes ec_point_formats
    cdef readonly tuple signed_certificate_timestamps
    cdef readonly int record_size_limit
    cdef readonly int client_certificate_type
    cdef readonly int server_certificate_type


@cython.final
cdef class ServerKeyExchange:
    cdef readonly int curve_type
    # -1 where curve_type is not named_curve; then nothing behind it is decoded.
    cdef readonly int group
    cdef readonly bytes public
    # ServerECDHParams as it is on the wire, which is what is signed.
    cdef readonly bytes params
    cdef readonly int algorithm
    cdef readonly bytes signature


cpdef ServerHello12 decode_server_hello_12(bytes message)
cpdef bytes encode_server_hello_12(
    bytes random, bytes session_id, int cipher_suite, bytes extensions
)
cpdef Certificate decode_certificate_12(bytes message, int maximum)
cpdef bytes encode_certificate_12(certificates)
cpdef Certificate decode_raw_public_key_12(bytes message)
cpdef bytes encode_raw_public_key_12(bytes public_key_info)
cpdef bytes decode_certificate_status_message(bytes message)
cpdef bytes encode_certificate_status_message(bytes ocsp_response)
cpdef bytes encode_server_ecdh_params(int group, bytes public)
cpdef ServerKeyExchange decode_server_key_exchange(bytes message)
cpdef bytes encode_server_key_exchange(bytes params, int algorithm, bytes signature)
cpdef CertificateRequest decode_certificate_request_12(bytes message)
cpdef bytes encode_certificate_request_12(
    bytes certificate_types, signature_algorithms, certificate_authorities
)
cpdef int decode_server_hello_done(bytes message) except -1
cpdef bytes encode_server_hello_done()
cpdef bytes decode_client_key_exchange(bytes message)
cpdef bytes encode_client_key_exchange(bytes public)
cpdef tuple decode_new_session_ticket_12(bytes message)
cpdef bytes encode_new_session_ticket_12(long long ticket_lifetime_hint, bytes ticket)
cpdef int decode_hello_request(bytes message) except -1
cpdef bytes encode_hello_request()
