# A cursor over bytes that somebody else keeps alive. Every read checks the end; finish() must be
# called at the end of each decode, so that nothing is left over unread.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t


cdef struct Reader:
    const uint8_t* at
    const uint8_t* end


cdef int truncated() except -1
cdef int trailing() except -1


cdef inline void reader_over(Reader* r, const uint8_t* data, Py_ssize_t size) noexcept:
    r.at = data
    r.end = data + size


cdef inline void reader_over_bytes(Reader* r, bytes data, Py_ssize_t start) noexcept:
    # start must not exceed the length of data.
    cdef const uint8_t* base = <const uint8_t*> PyBytes_AS_STRING(data)
    r.at = base + start
    r.end = base + PyBytes_GET_SIZE(data)


cdef inline Py_ssize_t remaining(const Reader* r) noexcept:
    return r.end - r.at


cdef inline int read_u8(Reader* r) except -1:
    if r.end - r.at < 1:
        return truncated()
    cdef int value = r.at[0]
    r.at += 1
    return value


cdef inline int read_u16(Reader* r) except -1:
    if r.end - r.at < 2:
        return truncated()
    cdef int value = (r.at[0] << 8) | r.at[1]
    r.at += 2
    return value


cdef inline int read_u24(Reader* r) except -1:
    if r.end - r.at < 3:
        return truncated()
    cdef int value = (r.at[0] << 16) | (r.at[1] << 8) | r.at[2]
    r.at += 3
    return value


cdef inline long long read_u32(Reader* r) except -1:
    if r.end - r.at < 4:
        return truncated()
    cdef long long value = (
        (<long long> r.at[0] << 24) | (<long long> r.at[1] << 16) | (r.at[2] << 8) | r.at[3]
    )
    r.at += 4
    return value


cdef inline int skip(Reader* r, Py_ssize_t size) except -1:
    if r.end - r.at < size:
        return truncated()
    r.at += size
    return 0


cdef inline bytes take(Reader* r, Py_ssize_t size):
    if r.end - r.at < size:
        truncated()
    cdef bytes value = PyBytes_FromStringAndSize(<const char*> r.at, size)
    r.at += size
    return value


cdef inline bytes take_rest(Reader* r):
    return take(r, r.end - r.at)


cdef inline int read_vector(
    Reader* r, Reader* vector, Py_ssize_t size, Py_ssize_t minimum
) except -1:
    # The body of a vector whose length field said `size`.
    vector.at = vector.end = r.at
    if size < minimum or r.end - r.at < size:
        return truncated()
    r.at += size
    vector.end = r.at
    return 0


cdef inline int read_vector8(Reader* r, Reader* vector, Py_ssize_t minimum) except -1:
    return read_vector(r, vector, read_u8(r), minimum)


cdef inline int read_vector16(Reader* r, Reader* vector, Py_ssize_t minimum) except -1:
    return read_vector(r, vector, read_u16(r), minimum)


cdef inline int read_vector24(Reader* r, Reader* vector, Py_ssize_t minimum) except -1:
    return read_vector(r, vector, read_u24(r), minimum)


cdef inline int finish(const Reader* r) except -1:
    if r.at != r.end:
        return trailing()
    return 0
