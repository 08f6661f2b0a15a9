cimport cython

from fasths.wire.reader cimport Reader


@cython.final
cdef class ClientHello:
    cdef readonly bytes raw
    cdef readonly Py_ssize_t size
    cdef readonly int legacy_version
    cdef readonly bytes random
    cdef readonly bytes legacy_session_id
    # Extensions; None, () or False where absent.
    cdef readonly str server_name
    cdef readonly tuple alpn_protocols
    cdef readonly bint pre_shared_key
    cdef readonly bint early_data
    # Lists as they are on the wire, or None where absent: made into tuples when asked for.
    cdef bytes wire_cipher_suites
    cdef bytes wire_compression_methods
    cdef bytes wire_supported_versions
    cdef bytes wire_supported_groups
    cdef bytes wire_signature_algorithms
    cdef bytes wire_ec_point_formats
    cdef bytes wire_key_shares
    # Where the block of extensions begins in raw; 0 where there is none.
    cdef Py_ssize_t extensions_start

    cdef int over_extensions(self, Reader* block) except -1


cpdef ClientHello parse_client_hello(data)
cpdef ClientHello parse_client_hello_message(bytes message)
