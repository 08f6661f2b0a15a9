from fasths.negotiated cimport Negotiated


cdef class Connection(Negotiated):
    cdef object _read_bio
    cdef object _write_bio
    # What gives bytes, where it is not a BIO that fills a buffer.
    cdef object _stream
    cdef object _message_callback
    cdef object _info_callback
    cdef object _user_data
    cdef object _session
    # The code of the last call, and an error that is the program's own and does not stick.
    cdef object _code
    cdef object _misuse
    # Written to the BIO but not flushed; taken by write() but not reported yet.
    # Why the BIO cannot be written to, where that showed while reading.
    cdef object _broken
    cdef bint _flushing
    cdef bint _read_ahead
    cdef bint _unflushed
    # Whether the BIO may hold what is written until it is flushed.
    cdef bint _holds_writes
    cdef Py_ssize_t _write_pending
    # The method whose message or data is queued, but was not taken by the BIO.
    cdef object _unsent
    cdef bint _early_data_settled
    cdef bint _close_notify_flushed

    cdef _make_engine(self, bint by_server, server_name, hostname)
    cdef _require_no_role(self)
    cdef int _progress(self) except -2
    cdef bint _may_send(self, method) except -1
    cdef int _send(self, method) except -2
    cdef _take_in(self)
    cdef int _copy_into(self, object buffer, bint peek) except -2
    cdef int _nothing(self) except -2
    cdef int _fetch(self) except -2
    cdef bint _flush(self, bint reading=*) except -1
    cdef bint _fill(self) except -1
    cdef _space(self)
    cdef bint _fill_from_stream(self) except -1
    cdef _want(self, bio, otherwise)
    cdef bint _write_failed(self, error, bint reading) except -1
    cdef _look_for_alert(self)
    cdef _set_error_code(self)
    cdef int _failed(self) except -2
    cdef int _without_role(self) except -2
