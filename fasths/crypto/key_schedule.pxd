cimport cython


@cython.final
cdef class Hash:
    cdef readonly str name
    cdef readonly Py_ssize_t length
    cdef object new
    cdef object hmac_algorithm
    cdef bytes zeros
    cdef bytes empty_hash
    # HKDF labels without a context, ready to be hashed; key labels by length.
    cdef bytes label_iv
    cdef bytes label_key_16
    cdef bytes label_key_32
    cdef bytes label_finished
    cdef bytes label_traffic_update
    # What the labels with a transcript hash begin with.
    cdef bytes prefix_client_handshake_traffic
    cdef bytes prefix_server_handshake_traffic
    cdef bytes prefix_client_application_traffic
    cdef bytes prefix_server_application_traffic
    cdef bytes prefix_exporter_master
    cdef bytes prefix_resumption_master
    cdef bytes prefix_client_early_traffic
    cdef bytes prefix_early_exporter_master
    cdef bytes prefix_derived
    cdef dict binder_prefixes
    # Keyed with the zeros that stand for an absent salt.
    cdef object early_extract
    # Keyed with what an Early Secret without a PSK derives.
    cdef object handshake_extract

    cdef object keyed(self, bytes key)
    cdef bytes mac(self, bytes key, bytes data)
    cdef bytes digest(self, bytes data)
    cdef bytes label(self, bytes label, Py_ssize_t length)
    cdef bytes prefix(self, bytes label)


@cython.final
cdef class Transcript:
    cdef readonly Hash hash
    cdef object context

    cpdef int update(self, bytes message) except -1
    cpdef bytes digest(self)
    cpdef Transcript copy(self)


@cython.final
cdef class TrafficSecret:
    cdef readonly Hash hash
    cdef bytes secret
    cdef object keyed

    cdef object expander(self)
    cpdef bytes key(self, Py_ssize_t length)
    cpdef bytes iv(self)
    cpdef bytes finished(self, bytes transcript_hash)
    cpdef TrafficSecret next(self)


@cython.final
cdef class EarlySecret:
    cdef readonly Hash hash
    # None without a PSK.
    cdef object keyed

    cpdef bytes binder(self, bytes label, bytes transcript_hash)
    cpdef TrafficSecret client_early_traffic_secret(self, bytes transcript_hash)
    cpdef ExporterSecret early_exporter_master_secret(self, bytes transcript_hash)
    cpdef HandshakeSecret handshake_secret(self, bytes shared_secret)


@cython.final
cdef class HandshakeSecret:
    cdef Hash hash
    cdef object keyed

    cpdef TrafficSecret client_handshake_traffic_secret(self, bytes transcript_hash)
    cpdef TrafficSecret server_handshake_traffic_secret(self, bytes transcript_hash)
    cpdef MasterSecret master_secret(self)


@cython.final
cdef class MasterSecret:
    cdef Hash hash
    cdef object keyed

    cpdef TrafficSecret client_application_traffic_secret_0(self, bytes transcript_hash)
    cpdef TrafficSecret server_application_traffic_secret_0(self, bytes transcript_hash)
    cpdef ExporterSecret exporter_master_secret(self, bytes transcript_hash)
    cpdef ResumptionSecret resumption_master_secret(self, bytes transcript_hash)


@cython.final
cdef class ResumptionSecret:
    cdef Hash hash
    cdef bytes secret

    cpdef bytes psk(self, bytes ticket_nonce)


@cython.final
cdef class ExporterSecret:
    cdef Hash hash
    cdef bytes secret

    cpdef bytes export(self, bytes label, bytes context, Py_ssize_t length)


cdef Hash SHA256
cdef Hash SHA384


cdef Hash find_hash(str name)
cdef Hash find_hash_of_size(Py_ssize_t length)
