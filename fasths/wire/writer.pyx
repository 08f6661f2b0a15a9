cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    INITIAL_CAPACITY = 512


@cython.final
cdef class Writer:

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t capacity
        cdef uint8_t* data
        if self.length + size <= self.capacity:
            return 0
        capacity = max(2 * self.capacity, self.length + size, <Py_ssize_t> INITIAL_CAPACITY)
        data = <uint8_t*> realloc(self.data, capacity)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.capacity = capacity
        return 0

    cdef int u8(self, int value) except -1:
        self.reserve(1)
        self.data[self.length] = <uint8_t> value
        self.length += 1
        return 0

    cdef int u16(self, int value) except -1:
        self.reserve(2)
        self.data[self.length] = <uint8_t> (value >> 8)
        self.data[self.length + 1] = <uint8_t> value
        self.length += 2
        return 0

    cdef int u24(self, int value) except -1:
        self.u8(value >> 16)
        return self.u16(value & 0xFFFF)

    cdef int u32(self, long long value) except -1:
        self.u16(<int> (value >> 16) & 0xFFFF)
        return self.u16(<int> (value & 0xFFFF))

    cdef int raw(self, const uint8_t* data, Py_ssize_t size) except -1:
        self.reserve(size)
        memcpy(self.data + self.length, data, size)
        self.length += size
        return 0

    cdef int blob(self, bytes data) except -1:
        return self.raw(<const uint8_t*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef Py_ssize_t open(self, int size) except -1:
        """Begin a vector whose length field has `size` bytes; give the result to close()."""
        self.reserve(size)
        self.length += size
        return self.length

    cdef int close(self, Py_ssize_t at, int size) except -1:
        """Write the length of the vector that open() began. ValueError: it does not fit."""
        cdef Py_ssize_t length = self.length - at
        cdef int i
        if length >> (8 * size):
            raise ValueError("a vector is longer than its length field can say")
        for i in range(size):
            self.data[at - 1 - i] = <uint8_t> (length >> (8 * i))
        return 0

    cdef int vector(self, bytes data, int size) except -1:
        cdef Py_ssize_t at = self.open(size)
        self.blob(data)
        return self.close(at, size)

    cdef bytes finish(self):
        return PyBytes_FromStringAndSize(<const char*> self.data, self.length)
