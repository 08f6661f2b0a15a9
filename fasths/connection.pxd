from fasths._core cimport Engine


cdef class Connection:
    cdef object __weakref__
    cdef object _context
    cdef object _read_bio
    cdef object _write_bio
    cdef object _hostname
    cdef object _message_callback
    cdef Engine _engine
    # The code of the last call, and an error that is the program's own and does not stick.
    cdef object _code
    cdef object _misuse
    # Written to the BIO but not flushed; taken by write() but not reported yet.
    # Why the BIO cannot be written to, where that showed while reading.
    cdef object _broken
    cdef bint _flushing
    cdef bint _unflushed
    # Whether the BIO may hold what is written until it is flushed.
    cdef bint _holds_writes
    cdef Py_ssize_t _write_pending
    cdef bint _key_update_unsent
    cdef bint _close_notify_flushed

    cdef _require_no_role(self)
    cdef int _copy_into(self, object buffer, bint peek) except -2
    cdef int _nothing(self) except -2
    cdef int _fetch(self) except -2
    cdef bint _flush(self, bint reading=*) except -1
    cdef bint _fill(self) except -1
    cdef _want(self, bio, otherwise)
    cdef bint _write_failed(self, error, bint reading) except -1
    cdef _look_for_alert(self)
    cdef _set_error_code(self)
    cdef int _failed(self) except -2
    cdef int _without_role(self) except -2
