cimport cython
from libc.stdint cimport uint8_t

from fasths.handshake.base cimport Handshake, KeyChange, RecordSizeLimits
from fasths.handshake.configuration cimport Configuration
from fasths.handshake.outcome cimport Outcome
from fasths.record.handshake_framing cimport HandshakeFraming
from fasths.record.reading cimport RecordReader
from fasths.record.writing cimport RecordWriter


@cython.final
cdef class Engine:
    cdef Configuration config
    cdef readonly object error
    cdef object message_callback
    cdef object info_callback
    cdef RecordReader reader
    cdef RecordWriter writer
    cdef HandshakeFraming framing
    # The handshake; once it is done, what takes the messages after it.
    cdef Handshake handshake
    cdef readonly Outcome outcome
    # Application data of the current record that was not read yet; it lies in the reader's buffer.
    cdef uint8_t* data
    cdef Py_ssize_t data_size
    # What a server received as early data (RFC 8446, 4.2.10).
    cdef object early_data
    # How much early data a client may still send, and whether it sent any.
    cdef readonly long long early_data_room
    cdef readonly bint early_data_sent
    # Levels of the keys; what limits protected records that arrive (RFC 8449), 0 for nothing.
    cdef int read_level
    cdef int write_level
    cdef int receive_limit
    cdef int warning_alerts
    cdef int change_cipher_specs
    cdef readonly bint by_server
    # Inside of a call that works on messages; a second one must not begin meanwhile.
    cdef bint busy
    cdef readonly bint started
    # The step of the handshake waits for an answer of the application.
    cdef bint suspended
    cdef bint received_message
    # The last step of the handshake is done; established, unless it was canceled before that.
    cdef bint complete
    cdef bint canceled
    cdef readonly bint established
    cdef readonly bint close_notify_received
    cdef readonly bint close_notify_sent

    cpdef int do_handshake(self) except -1
    cdef int process(self) except -1
    cdef int take_record(self, int content_type) except -1
    cdef int take_message(self, bytes message) except -1
    cdef int go_on(self, int wait) except -1
    cdef int take_early_data(self) except -1
    cdef int begin_version(self) except -1
    cdef int take_alert(self) except -1
    cdef bint is_warning(self, int level, int description) noexcept
    cdef int take_change_cipher_spec(self) except -1
    cdef int carry_out(self) except -1
    cdef int report_sent(self, list output) except -1
    cdef int carry_out_key_change(self, KeyChange change) except -1
    cdef int carry_out_limits(self, RecordSizeLimits limits) except -1
    cdef int limit_received_records(self) except -1
    cdef int send_alert(self, int level, int description) except -1
    cdef int require_idle(self) except -1
    cdef int report(self, str direction, int content_type, bytes data) except -1
    cdef int inform(self, str event, str detail) except -1
    cdef int fail(self, object error) except -1
    cdef int end_handshake(self) except -1
    cpdef object space(self)
    cdef Py_ssize_t room_at(self, char** at) except -1
    cpdef Py_ssize_t room(self) except -1
    cpdef Py_ssize_t missing(self) except -1
    cpdef Py_ssize_t missing_content(self) except -1
    cpdef int append(self, object data) except -1
    cpdef int filled(self, Py_ssize_t size) except -1
    cpdef int nothing_arrived(self) except -1
    cdef int consume(self, Py_ssize_t size) except -1
    cpdef int end_of_transport(self) except -1
    cpdef int transport_raised(self, object error) except -1
    cpdef int transport_takes_no_more(self) except -1
    cpdef bint has_output(self)
    cpdef object output(self)
    cpdef int output_taken(self, Py_ssize_t size) except -1
    cpdef int drop_output(self) except -1
    cpdef Py_ssize_t available(self)
    cpdef int fetch(self) except -2
    cpdef Py_ssize_t copy_into(self, object buffer, bint peek) except -1
    cpdef bytes take(self, Py_ssize_t size)
    cpdef Py_ssize_t write(self, object data, Py_ssize_t start) except -1
