# The cold half of the cursor in reader.pxd.

from fasths.wire.errors import DecodeError


cdef int truncated() except -1:
    raise DecodeError("a length in a message is out of its range")


cdef int trailing() except -1:
    raise DecodeError("a message has bytes left over")
