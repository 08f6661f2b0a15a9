cdef enum:
    # What receive() and send_from() return where the socket is not ready.
    NOT_READY = -1

cdef Py_ssize_t receive(int descriptor, char* buffer, Py_ssize_t size) except -2
cdef Py_ssize_t send_from(int descriptor, object data) except -2
cdef int close_for_writing(int descriptor) except -1
cdef bint wait_until_ready(
    int descriptor, bint for_reading, bint for_writing, double deadline
) except -1
