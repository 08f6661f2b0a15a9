cimport cython
from libc.stdint cimport uint8_t

from fasths.record.protection cimport SealingKey


@cython.final
cdef class RecordWriter:
    cdef SealingKey key
    cdef int legacy_record_version
    # How much content a protected record may have (RFC 8449), and the multiple of which it is
    # padded to (RFC 8446, 5.4), 0 for none.
    cdef Py_ssize_t max_content
    cdef Py_ssize_t padding
    # Dynamic record sizing: bytes of data since the connection was idle, and when the last went.
    cdef Py_ssize_t burst
    cdef double last_write
    # Handshake messages that are not yet in a record.
    cdef list flight
    # Records that are not yet taken by the transport: the bytes being sent, and those after them.
    cdef bytes outgoing
    cdef Py_ssize_t taken
    cdef list queued
    # They wait for others to go with.
    cdef bint held

    cdef int add_handshake(self, bytes message) except -1
    cdef int close_flight(self) except -1
    cdef int set_key(self, SealingKey key) except -1
    cdef Py_ssize_t record_size(self, Py_ssize_t size) except -1
    cdef int add_record(self, int content_type, const uint8_t* data, Py_ssize_t size) except -1
    cdef int add_records(
        self, int content_type, const uint8_t* data, Py_ssize_t size, Py_ssize_t max_content
    ) except -1
    cdef int add_padded_records(
        self, int content_type, const uint8_t* data, Py_ssize_t size, Py_ssize_t max_content
    ) except -1
    cdef int add_change_cipher_spec(self) except -1
    cdef int append(self, bytes records) except -1
    cdef int discard(self) except -1
    cdef int hold(self) except -1
    cdef bint is_empty(self) noexcept
    cdef object pending(self)
    cdef int take(self, Py_ssize_t size) except -1
