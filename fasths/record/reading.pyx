# The inbound half: received bytes to records to contents.
#
# Bytes are received into one bytearray that always has room for the largest record, and records
# are opened where they lie. A content is valid until the next call of next_record() or space().
# When everything in it was read, the buffer is given up: an idle connection holds none.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport (
    PyByteArray_AS_STRING,
    PyByteArray_FromStringAndSize,
    PyByteArray_GET_SIZE,
)
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memmove

from fasths.wire.constants cimport *

from fasths.wire.errors import BadRecordMac, ProtocolVersion, RecordOverflow, UnexpectedMessage

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* object)

cdef enum:
    # The largest protected record fits, and a little of what follows it.
    BUFFER_SIZE = 17 * 1024

# One buffer that was given up, for the next connection that receives: allocating as much for each
# flight costs microseconds.
cdef bytearray spare = None


cdef class RecordReader:

    def __cinit__(self, int max_empty_records):
        self.max_empty_records = max_empty_records
        self.max_inner_plaintext = MAX_PLAINTEXT + 1

    cdef Py_ssize_t room(self) except -1:
        """Make room behind the received bytes; how much there is."""
        cdef uint8_t* base
        self.check_buffer()
        if self.buffer is None:
            self.take_buffer()
        elif self.start:
            base = <uint8_t*> PyByteArray_AS_STRING(self.buffer)
            memmove(base, base + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        return BUFFER_SIZE - self.end

    cdef int check_buffer(self) except -1:
        # A BIO got a view of the buffer; a program that is set on it can shrink what it views.
        if self.buffer is not None and self.end > PyByteArray_GET_SIZE(self.buffer):
            raise ValueError("a BIO changed the size of the receive buffer")
        return 0

    cdef object space(self):
        """A writable buffer for received bytes; say with filled() how many arrived.

        It is a view, so that its size stays as it is.
        """
        self.room()
        if self.end == 0:
            return memoryview(self.buffer)
        return memoryview(self.buffer)[self.end:]

    cdef Py_ssize_t missing(self) except -1:
        """How many bytes are missing of the header of the record that is awaited, or else of its
        content; at least 1, and no more than there is room for."""
        cdef Py_ssize_t room = self.room()
        if self.end < RECORD_HEADER:
            return RECORD_HEADER - self.end
        return min(max(self.missing_content(), 1), room)

    cdef Py_ssize_t missing_content(self) except -1:
        """How many bytes are missing of a record whose header is there; 0 where it is not."""
        cdef uint8_t* record
        if self.buffer is None or self.start or self.end < RECORD_HEADER:
            return 0
        record = <uint8_t*> PyByteArray_AS_STRING(self.buffer)
        return min(
            max(RECORD_HEADER + ((record[3] << 8) | record[4]) - self.end, 0),
            BUFFER_SIZE - self.end,
        )

    cdef int append(self, object data) except -1:
        """Take bytes that arrived outside of space()."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len > self.room():
                raise ValueError("a BIO returned more than it was asked for")
            memcpy(PyByteArray_AS_STRING(self.buffer) + self.end, view.buf, view.len)
            self.end += view.len
        finally:
            PyBuffer_Release(&view)
        return 0

    cdef int filled(self, Py_ssize_t size) except -1:
        if (
            size < 0
            or self.buffer is None
            or self.end + size > PyByteArray_GET_SIZE(self.buffer)
        ):
            raise ValueError("a BIO returned more than it was asked for")
        self.end += size
        return 0

    cdef Py_ssize_t buffered(self) noexcept:
        return 0 if self.buffer is None else self.end - self.start

    cdef int take_buffer(self) except -1:
        global spare
        if spare is None:
            self.buffer = PyByteArray_FromStringAndSize(NULL, BUFFER_SIZE)
        else:
            self.buffer, spare = spare, None
        self.start = self.end = 0
        return 0

    cdef int release(self) except -1:
        """Give up the buffer if there is nothing in it."""
        global spare
        if self.start != self.end or self.buffer is None:
            return 0
        # One that somebody else still looks into must not be used by another connection.
        # (Given as an object, it would be counted once more.)
        if (
            Py_REFCNT(<PyObject*> self.buffer) == 1
            and PyByteArray_GET_SIZE(self.buffer) == BUFFER_SIZE
        ):
            spare = self.buffer
        self.buffer = None
        self.start = self.end = 0
        return 0

    cdef int discard(self) except -1:
        """Drop everything that was received; nothing more will be read."""
        self.start = self.end = 0
        return self.release()

    cdef int next_record(self) except -1:
        """The content type of the next record, with content and content_size set; 0: needs more.

        Raises what a peer did wrong with its record.
        """
        cdef uint8_t* record
        cdef int content_type
        cdef Py_ssize_t length
        self.check_buffer()
        while True:
            if self.end - self.start < RECORD_HEADER:
                break
            record = <uint8_t*> PyByteArray_AS_STRING(self.buffer) + self.start
            content_type = record[0]
            length = (record[3] << 8) | record[4]
            if content_type < CONTENT_change_cipher_spec or content_type > CONTENT_application_data:
                # RFC 8446, 5: an unknown type ends the connection.
                raise UnexpectedMessage(not_tls(record))
            # RFC 8446, 5.1: octets 1 and 2 are ignored; but in TLS 1.2 they are the version.
            if self.requires_tls12 and (record[1] != 3 or record[2] != 3):
                self.check_version(content_type)
            # RFC 8446, 5.1 and 5.2: the length limits, before waiting for the rest.
            if length > MAX_CIPHERTEXT or (
                length > MAX_PLAINTEXT
                and (
                    self.key is None
                    or (content_type != CONTENT_application_data and self.key.has_inner_type)
                )
                and not (self.skip and content_type == CONTENT_application_data)
            ):
                raise RecordOverflow("a record is longer than the protocol allows")
            if self.end - self.start < RECORD_HEADER + length:
                break
            self.start += RECORD_HEADER + length
            self.content = record + RECORD_HEADER
            self.content_size = length
            content_type = self.open_record(content_type, record, length)
            if content_type:
                return content_type
        self.release()
        return 0

    cdef int check_version(self, int content_type) except -1:
        """RFC 5246, 6.2.1: the version of a record is the one that was negotiated.

        But a peer that fails in the middle of that may say so in a version of its own.
        """
        if content_type != CONTENT_alert or self.key is not None:
            raise ProtocolVersion("a record is not of the version that was negotiated")
        return 0

    cdef int open_record(self, int content_type, uint8_t* record, Py_ssize_t length) except -1:
        """Remove the protection, if any; 0 where the record has nothing for anybody."""
        if content_type == CONTENT_change_cipher_spec:
            # Never protected in TLS 1.3, and never welcome where it is protected in TLS 1.2;
            # otherwise the engine decides whether it is.
            return content_type
        if self.key is None:
            if content_type == CONTENT_application_data:
                if self.skip:
                    return self.skip_early_data(length)
                raise UnexpectedMessage("application data arrived before there were keys")
            return self.count_empty(content_type)
        if not self.key.has_inner_type:
            return self.open_record_12(content_type, record, length)
        if content_type != CONTENT_application_data:
            if content_type == CONTENT_alert and self.allow_plaintext_alert:
                return self.count_empty(content_type)
            raise UnexpectedMessage("a record that should be protected is not")
        try:
            length = self.key.open(record, length)
        except BadRecordMac:
            # RFC 8446, 4.2.10: a server that does not take early data skips what does not open.
            if self.skip:
                return self.skip_early_data(length)
            raise
        self.skip = False
        self.allow_plaintext_alert = False
        # RFC 8446, 5.4: the limit holds for content, type and padding together.
        if length > self.max_inner_plaintext:
            raise RecordOverflow("a record is longer than is allowed")
        # RFC 8446, 5.4: the content type is the last octet that is not zero.
        while length and self.content[length - 1] == 0:
            length -= 1
        if length == 0:
            raise UnexpectedMessage("a protected record has no content type")
        content_type = self.content[length - 1]
        self.content_size = length - 1
        if content_type < CONTENT_alert or content_type > CONTENT_application_data:
            raise UnexpectedMessage("a protected record has an unexpected content type")
        return self.count_empty(content_type)

    cdef int open_record_12(self, int content_type, uint8_t* record, Py_ssize_t length) except -1:
        length = self.key.open(record, length)
        # RFC 5246, 6.2.1; RFC 8449, 4: here the limit is for the content alone.
        if length >= self.max_inner_plaintext:
            raise RecordOverflow("a record is longer than is allowed")
        self.content = record + RECORD_HEADER + self.key.prefix
        self.content_size = length
        return self.count_empty(content_type)

    cdef int count_empty(self, int content_type) except -1:
        if self.content_size:
            self.empty_records = 0
            return content_type
        # RFC 8446, 5.1: no empty fragments but of application data.
        if content_type != CONTENT_application_data:
            raise UnexpectedMessage("an empty record of a type that must have content")
        self.empty_records += 1
        if self.empty_records > self.max_empty_records:
            raise UnexpectedMessage("too many empty records")
        return content_type

    cdef int skip_early_data(self, Py_ssize_t length) except -1:
        # What is counted is the data, as far as a record of this length can have any.
        self.content_size = max(length - 1 - TAG_LENGTH, <Py_ssize_t> 0)
        self.skippable -= self.content_size
        if self.content_size == 0:
            self.count_empty(CONTENT_application_data)
        if self.skippable < 0:
            raise UnexpectedMessage("more early data than is skipped")
        return 0


cdef str not_tls(const uint8_t* record):
    """A sentence for what a record that is none looks like."""
    cdef bytes head = record[:5]
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI") or head == b"CONNE":
        return "the peer speaks plain HTTP instead of TLS"
    if head == b"HTTP/":
        return "the peer answers in plain HTTP instead of TLS"
    return "a record has an unknown content type; the peer may not speak TLS"
