# Bytes on their way in memory, in one direction: what BIO pairs and memory BIOs are made of.
#
# Chunks stay the objects that were written. An empty pipe holds nothing but itself.

import sys
from collections import deque

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef Py_ssize_t UNBOUNDED = sys.maxsize


cdef class Pipe:

    def __cinit__(self, Py_ssize_t capacity):
        """capacity: how many bytes it takes; 0: any number."""
        self.capacity = capacity if capacity else UNBOUNDED
        self.chunk = b""

    cpdef Py_ssize_t room(self) noexcept:
        return self.capacity - self.size

    cpdef int write(self, bytes data) except -1:
        """The caller sees to it that there is room."""
        if PyBytes_GET_SIZE(data) == 0:
            return 0
        if self.size == 0:
            self.chunk = data
        elif self.more is None:
            self.more = deque((data,))
        else:
            self.more.append(data)
        self.size += PyBytes_GET_SIZE(data)
        self.requested = 0
        return 0

    cdef int next_chunk(self) except -1:
        self.start = 0
        if self.more is None:
            self.chunk = b""
            return 0
        self.chunk = self.more.popleft()
        if not self.more:
            self.more = None
        return 0

    cpdef bytes read(self, Py_ssize_t size):
        """At most `size` bytes; all of them where it is negative."""
        cdef bytes result
        if size < 0 or size > self.size:
            size = self.size
        if self.start == 0 and size == PyBytes_GET_SIZE(self.chunk):
            result = self.chunk
            self.size -= size
            self.next_chunk()
            return result
        result = PyBytes_FromStringAndSize(NULL, size)
        self.move(PyBytes_AS_STRING(result), size)
        return result

    cpdef Py_ssize_t read_into(self, object buffer) except -1:
        """As many bytes as there are and the buffer has room for."""
        cdef Py_buffer view
        cdef Py_ssize_t size
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            size = min(view.len, self.size)
            # What a reader gets nothing of is what it asks the writer for.
            self.requested = 0 if size or self.eof else min(view.len, self.capacity)
            self.move(<char*> view.buf, size)
        finally:
            PyBuffer_Release(&view)
        return size

    cdef int move(self, char* target, Py_ssize_t size) except -1:
        """Copy out and drop that many bytes; there must be as many."""
        cdef Py_ssize_t count
        self.size -= size
        while size:
            count = min(size, PyBytes_GET_SIZE(self.chunk) - self.start)
            memcpy(target, PyBytes_AS_STRING(self.chunk) + self.start, count)
            self.start += count
            target += count
            size -= count
            if self.start == PyBytes_GET_SIZE(self.chunk):
                self.next_chunk()
        return 0
