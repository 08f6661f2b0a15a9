cimport cython
from libc.stdint cimport uint8_t

from fasths.record.protection cimport OpeningKey


@cython.final
cdef class RecordReader:
    cdef OpeningKey key
    # What has been received and not been read: buffer[start:end].
    cdef bytearray buffer
    cdef Py_ssize_t start
    cdef Py_ssize_t end
    # The content of the current record, inside buffer.
    cdef uint8_t* content
    cdef Py_ssize_t content_size
    # Whether early data is skipped until a record opens, and how many bytes of it still may be.
    cdef bint skip
    cdef Py_ssize_t skippable
    # Whether records have to be of TLS 1.2.
    cdef bint requires_tls12
    # RFC 8449: content, type and padding of a protected record.
    cdef Py_ssize_t max_inner_plaintext
    cdef int empty_records
    cdef int max_empty_records
    # Whether the peer may still fail before it has keys, and say so in an alert without any.
    cdef bint allow_plaintext_alert

    cdef object space(self)
    cdef Py_ssize_t missing(self) except -1
    cdef Py_ssize_t missing_content(self) except -1
    cdef int append(self, object data) except -1
    cdef int filled(self, Py_ssize_t size) except -1
    cdef int check_buffer(self) except -1
    cdef Py_ssize_t room(self) except -1
    cdef int next_record(self) except -1
    cdef int open_record(self, int content_type, uint8_t* record, Py_ssize_t length) except -1
    cdef int check_version(self, int content_type) except -1
    cdef int open_record_12(self, int content_type, uint8_t* record, Py_ssize_t length) except -1
    cdef int count_empty(self, int content_type) except -1
    cdef int skip_early_data(self, Py_ssize_t length) except -1
    cdef int take_buffer(self) except -1
    cdef int release(self) except -1
    cdef int discard(self) except -1
    cdef Py_ssize_t buffered(self) noexcept
