# What a protocol has written and the engine has not protected yet.
#
# Small pieces are joined, so that they share a record; what is large stays the object it was.

from collections import deque

from cpython.bytes cimport PyBytes_GET_SIZE

from fasths._core cimport Engine


cdef class Backlog:

    cdef int add(self, bytes data) except -1:
        if PyBytes_GET_SIZE(data) == 0:
            return 0
        if self.chunk is None:
            self.chunk = data
        elif self.more is None:
            self.more = deque((data,))
        else:
            self.more.append(data)
        self.size += PyBytes_GET_SIZE(data)
        return 0

    cdef int add_rest(self, object data, Py_ssize_t start) except -1:
        """data[start:], bytes or a memoryview that may change; nothing is here yet."""
        if type(data) is bytes:
            self.chunk = data
            self.start = start
        else:
            self.chunk = bytes(data.cast("B")[start:])
        self.size = PyBytes_GET_SIZE(self.chunk) - self.start
        return 0

    cdef int protect(self, Engine engine) except -1:
        """Let the engine take some of it, at most WRITE_SIZE."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.chunk) - self.start
        cdef list parts
        if self.more is not None and size + len(self.more[0]) <= WRITE_SIZE:
            parts = [self.chunk[self.start:] if self.start else self.chunk]
            while self.more and size + len(self.more[0]) <= WRITE_SIZE:
                parts.append(self.more.popleft())
                size += len(parts[-1])
            self.chunk = b"".join(parts)
            self.start = 0
        size = engine.write(self.chunk, self.start)
        self.start += size
        self.size -= size
        if self.start == PyBytes_GET_SIZE(self.chunk):
            self.start = 0
            self.chunk = self.more.popleft() if self.more else None
        if not self.more:
            self.more = None
        return 0

    cdef int clear(self) except -1:
        self.chunk = self.more = None
        self.start = self.size = 0
        return 0
