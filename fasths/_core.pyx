# The engine of one connection: bytes in, bytes out, no I/O.
#
# It feeds the record layer, hands whole messages to the current step, carries out what the step
# queued, and turns an error into exactly one alert. Whatever ends a connection is kept in `error`
# and raised nowhere: the methods below answer with a number of SSLErrorCode.
#
# A step that the application has a Request to answer for is suspended: nothing of it is carried
# out, and no message is taken, until a call finds the answer.

from collections import deque

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from fasths.handshake.base cimport *
from fasths.handshake.client13 cimport ClientHandshake, client_handshake
from fasths.handshake.configuration cimport Configuration
from fasths.handshake.negotiation cimport server_handshake
from fasths.handshake.post_handshake cimport PostHandshake
from fasths.handshake.server13 cimport ServerHandshake
from fasths.handshake.session cimport Session
from fasths.record.handshake_framing cimport HandshakeFraming
from fasths.record.protection cimport (
    opening_key,
    opening_key_12,
    sealing_key,
    sealing_key_12,
)
from fasths.record.reading cimport RecordReader
from fasths.record.writing cimport RecordWriter
from fasths.wire.constants cimport *

from fasths.wire.codes import AlertDescription, ContentType, SSLErrorCode
from fasths.wire.errors import (
    DecodeError,
    InternalError,
    Origin,
    PeerAlert,
    TLSError,
    TransportError,
    UnexpectedMessage,
    forget_places,
)

# SSLErrorCode.
cdef enum:
    NONE = 0
    SSL = 1
    WANT_READ = 2
    ZERO_RETURN = 6

# RFC 8446, 6: AlertLevel.
cdef enum:
    WARNING = 1
    FATAL = 2

cdef enum:
    # How much application data one write() seals before it is handed to the transport.
    WRITE_SIZE = 4 * MAX_PLAINTEXT
    # RFC 8446, 5.1: what the record of a first ClientHello may say.
    VERSION_TLSv1_0 = 0x0301


cdef str alert_name(int description):
    try:
        return AlertDescription(description).name
    except ValueError:
        return str(description)


cdef class Engine:
    """One connection, from its role on."""

    def __cinit__(
        self,
        Configuration config,
        bint by_server,
        bytes server_name or None,
        str hostname or None,
        object message_callback,
        object info_callback=None,
        object user_data=None,
    ):
        """server_name and hostname: see client_handshake(); a server has none."""
        self.config = config
        self.by_server = by_server
        self.message_callback = message_callback
        self.info_callback = info_callback
        self.reader = RecordReader(config.max_empty_records)
        self.writer = RecordWriter()
        self.framing = HandshakeFraming(config.max_handshake_message_size)
        if by_server:
            self.handshake = server_handshake(config, user_data)
        else:
            self.handshake = client_handshake(config, server_name, hostname, user_data)
            self.writer.legacy_record_version = VERSION_TLSv1_0
        self.outcome = self.handshake.outcome

    # --- The handshake

    cpdef int do_handshake(self) except -1:
        """Go on as far as the received bytes reach.

        NONE, SSL, WANT_READ, ZERO_RETURN, or the code of a Request that is open.
        """
        cdef int code
        self.require_idle()
        if self.established:
            return NONE if self.error is None else SSL
        if self.error is not None:
            return SSL
        self.busy = True
        try:
            if not self.started:
                self.started = True
                self.inform("handshake started", "client" if not self.by_server else "server")
                code = self.go_on(self.handshake.start())
                if code != NONE:
                    return code
            while not self.established:
                if self.close_notify_received:
                    return ZERO_RETURN
                code = self.process()
                if code != NONE:
                    return code
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise
            return SSL
        finally:
            self.busy = False
        self.reader.release()
        return NONE

    cdef int process(self) except -1:
        """Take one message or record.

        NONE, WANT_READ where neither is complete, or the code of a Request that is open.
        """
        cdef bytes message
        cdef int content_type
        if self.suspended:
            return self.go_on(self.handshake.resume())
        message = self.framing.next_message()
        if message is not None:
            return self.take_message(message)
        content_type = self.reader.next_record()
        if content_type == 0:
            return WANT_READ
        self.take_record(content_type)
        return NONE

    cdef int take_record(self, int content_type) except -1:
        if content_type == CONTENT_handshake:
            # Early data ends where another message begins.
            self.reader.skip = False
            return self.framing.feed(self.reader.content, self.reader.content_size)
        # RFC 8446, 5.1: no other record between the parts of a handshake message.
        if not self.framing.is_empty():
            raise UnexpectedMessage("a record stands between the parts of a handshake message")
        if content_type == CONTENT_alert:
            return self.take_alert()
        if content_type == CONTENT_change_cipher_spec:
            return self.take_change_cipher_spec()
        if not self.complete:
            if self.read_level != LEVEL_EARLY_DATA:
                raise UnexpectedMessage("application data arrived before the handshake was done")
            return self.take_early_data()
        self.handshake.data_received(self.reader.content_size)
        if self.reader.content_size and not self.canceled:
            self.data = self.reader.content
            self.data_size = self.reader.content_size
        return 0

    cdef int take_early_data(self) except -1:
        """RFC 8446, 4.2.10: as much as was permitted, and kept apart from other data."""
        self.early_data_room -= self.reader.content_size
        if self.early_data_room < 0:
            raise UnexpectedMessage("more early data than was permitted")
        if self.reader.content_size:
            if self.early_data is None:
                self.early_data = deque()
            self.early_data.append(
                PyBytes_FromStringAndSize(<char*> self.reader.content, self.reader.content_size)
            )
        return 0

    cdef int take_message(self, bytes message) except -1:
        """Let the handshake take a message; as process()."""
        if self.message_callback is not None:
            self.report("received", CONTENT_handshake, message)
        self.received_message = True
        return self.go_on(self.handshake.step(message))

    cdef int go_on(self, int wait) except -1:
        """Carry out what a step, or its end, asks for; NONE, or the code it is suspended with."""
        cdef bint has_sent_all
        cdef bint was_suspended = self.suspended
        if self.handshake.heir is not None:
            self.begin_version()
        self.suspended = wait != WAIT_NOTHING and wait != WAIT_MESSAGE
        if self.suspended:
            if not was_suspended and self.info_callback is not None:
                self.inform("suspended", SSLErrorCode(wait).name)
            return wait
        if was_suspended:
            self.inform("resumed", "")
        if self.config is not self.handshake.config:
            # A callback has chosen another Context.
            self.config = self.handshake.config
            self.framing.max_message_size = self.config.max_handshake_message_size
            self.reader.max_empty_records = self.config.max_empty_records
        self.carry_out()
        if wait == WAIT_NOTHING and not self.complete:
            self.complete = True
            self.established = not self.canceled
            self.handshake = self.handshake.successor()
            has_sent_all = self.writer.is_empty()
            self.carry_out()
            if has_sent_all and self.config.session_tickets_with_data:
                # A server's tickets go with what it sends next. A client that wants neither may
                # have closed, and would answer with a reset.
                self.writer.hold()
            self.inform("handshake done", "resumed" if self.outcome.resumed else "full")
        return NONE

    cdef int begin_version(self) except -1:
        """Go on with the handshake of the version that was negotiated."""
        self.handshake = self.handshake.heir
        if self.outcome.version != VERSION_TLSv1_2:
            return 0
        # RFC 5246, 7.1: there it means something, and this was not the place for it.
        if self.change_cipher_specs:
            raise UnexpectedMessage("change_cipher_spec arrived before ServerHello")
        self.reader.requires_tls12 = True
        return 0

    cdef int take_alert(self) except -1:
        cdef int level
        cdef int description
        # RFC 8446, 5.1: one alert is one record.
        if self.reader.content_size != 2:
            raise DecodeError("an alert record does not hold exactly one alert")
        level = self.reader.content[0]
        description = self.reader.content[1]
        if self.message_callback is not None:
            self.report("received", CONTENT_alert, self.reader.content[:2])
        if self.info_callback is not None:
            self.inform("alert received", alert_name(description))
        # RFC 5246, 7.2: two levels, which mean nothing in TLS 1.3 (RFC 8446, 6).
        if self.outcome.version == VERSION_TLSv1_2 and level != WARNING and level != FATAL:
            raise DecodeError("an alert has an unknown level")
        if description == ALERT_close_notify:
            self.close_notify_received = True
            # RFC 8446, 6.1: whatever comes behind it is ignored.
            self.reader.discard()
        elif self.is_warning(level, description):
            self.warning_alerts += 1
            if self.warning_alerts > self.config.max_warning_alerts:
                raise UnexpectedMessage("too many warning alerts")
        else:
            # RFC 8446, 6.2: the level is of no importance; any other alert is an error.
            raise PeerAlert(description)
        return 0

    cdef bint is_warning(self, int level, int description) noexcept:
        """Whether the connection goes on after an alert (RFC 5246, 7.2).

        In TLS 1.3 only user_canceled is a warning (RFC 8446, 6.1 and 6.2). Servers of TLS 1.2 send
        some before their ServerHello, as unrecognized_name (RFC 6066, 3).
        """
        if self.outcome.version == VERSION_TLSv1_2:
            return level == WARNING
        if description == ALERT_user_canceled:
            return True
        return (
            level == WARNING
            and not self.by_server
            and self.outcome.version == 0
            and self.config.has_tls12
        )

    cdef int take_change_cipher_spec(self) except -1:
        """RFC 8446, 5: the octet 1, dropped from the first ClientHello to the peer's Finished.

        In TLS 1.2 it is the handshake's.
        """
        if self.message_callback is not None:
            self.report(
                "received",
                CONTENT_change_cipher_spec,
                self.reader.content[:self.reader.content_size],
            )
        if self.reader.content_size != 1 or self.reader.content[0] != 1:
            raise UnexpectedMessage("change_cipher_spec is not the one octet that it must be")
        if self.outcome.version == VERSION_TLSv1_2:
            return self.go_on(self.handshake.take_change_cipher_spec())
        if (
            self.complete
            or (self.by_server and not self.received_message)
            or not self.config.has_tls13
        ):
            raise UnexpectedMessage("change_cipher_spec does not belong here")
        self.change_cipher_specs += 1
        if self.change_cipher_specs > self.config.max_change_cipher_specs:
            raise UnexpectedMessage("too many change_cipher_spec records")
        return 0

    cdef int carry_out(self) except -1:
        """Do what the last step queued, in order, and close the flight."""
        cdef list output = self.handshake.output
        if output is None:
            return 0
        self.handshake.output = []
        for event in output:
            if self.close_notify_sent and (
                type(event) is bytes or event is CHANGE_CIPHER_SPEC
            ):
                # RFC 8446, 6.1: nothing follows a close_notify.
                continue
            if type(event) is bytes:
                self.writer.add_handshake(event)
            elif type(event) is KeyChange:
                self.carry_out_key_change(event)
            elif event is CHANGE_CIPHER_SPEC:
                self.writer.add_change_cipher_spec()
            elif type(event) is RecordSizeLimits:
                self.carry_out_limits(event)
            elif event is NO_RENEGOTIATION:
                if not self.close_notify_sent:
                    self.send_alert(WARNING, ALERT_no_renegotiation)
            elif event is SKIP_EARLY_DATA:
                self.reader.skip = True
                # RFC 8446, 4.2.10: as much as the client may have been permitted to send.
                self.reader.skippable = max(
                    self.config.max_skipped_early_data,
                    self.config.max_early_data_size,
                    self.outcome.max_early_data_size,
                )
        self.writer.close_flight()
        self.writer.legacy_record_version = VERSION_TLSv1_2
        if self.message_callback is not None and not self.close_notify_sent:
            # Only now: whatever a callback raises, keys and messages fit each other.
            self.report_sent(output)
        return 0

    cdef int report_sent(self, list output) except -1:
        for event in output:
            if type(event) is bytes:
                self.report("sent", CONTENT_handshake, event)
            elif event is CHANGE_CIPHER_SPEC:
                self.report("sent", CONTENT_change_cipher_spec, b"\x01")
        return 0

    cdef int carry_out_key_change(self, KeyChange change) except -1:
        if change.direction == READ_KEY:
            # RFC 8446, 5.1: the key changes at a record boundary, with no message cut by it.
            if not self.framing.is_empty():
                raise UnexpectedMessage("a handshake message reaches over a change of keys")
            if change.key is not None:
                self.reader.key = opening_key_12(change.suite, change.key, change.iv)
                self.read_level = change.level
                return self.limit_received_records()
            self.reader.key = opening_key(change.suite, change.secret)
            self.reader.allow_plaintext_alert = (
                self.by_server and change.level <= LEVEL_HANDSHAKE
            )
            self.read_level = change.level
            if change.level == LEVEL_EARLY_DATA:
                self.early_data_room = (<ServerHandshake> self.handshake).early_data_limit()
            self.limit_received_records()
        else:
            self.write_level = change.level
            if change.key is not None:
                self.writer.set_key(sealing_key_12(change.suite, change.key, change.iv))
                return 0
            if change.level == LEVEL_PLAINTEXT:
                self.writer.set_key(None)
                return 0
            self.writer.set_key(
                sealing_key(change.suite, change.secret, self.config.max_records_per_key)
            )
            self.writer.padding = self.config.record_padding
            if change.level == LEVEL_EARLY_DATA:
                self.early_data_room = (<ClientHandshake> self.handshake).early_data_limit()
        return 0

    cdef int carry_out_limits(self, RecordSizeLimits limits) except -1:
        self.writer.max_content = limits.send
        # With the type of the content.
        self.receive_limit = limits.receive + 1
        return self.limit_received_records()

    cdef int limit_received_records(self) except -1:
        # A client sends early data before it knows of a limit.
        if self.receive_limit and self.read_level >= LEVEL_HANDSHAKE:
            self.reader.max_inner_plaintext = self.receive_limit
        return 0

    # --- Alerts and errors

    cdef int send_alert(self, int level, int description) except -1:
        cdef uint8_t[2] alert
        alert[0] = <uint8_t> level
        alert[1] = <uint8_t> description
        self.writer.add_record(CONTENT_alert, alert, 2)
        if description == ALERT_close_notify:
            self.close_notify_sent = True
        if self.message_callback is not None:
            self.report("sent", CONTENT_alert, alert[:2])
        if self.info_callback is not None:
            self.inform("alert sent", alert_name(description))
        return 0

    cdef int report(self, str direction, int content_type, bytes data) except -1:
        """Tell the message_callback, which must not use the connection meanwhile."""
        cdef bint busy = self.busy
        self.busy = True
        try:
            self.message_callback(direction, ContentType(content_type), data)
        finally:
            self.busy = busy
        return 0

    cdef int inform(self, str event, str detail) except -1:
        """Tell the info_callback what happens."""
        cdef bint busy = self.busy
        if self.info_callback is None:
            return 0
        self.busy = True
        try:
            self.info_callback(event, detail)
        finally:
            self.busy = busy
        return 0

    cdef int require_idle(self) except -1:
        if self.busy:
            raise RuntimeError(
                "the connection is in use, by another thread or by the caller of this callback"
            )
        return 0

    cdef int fail(self, object error) except -1:
        """Keep an error for good, and queue the alert that tells the peer; at most once."""
        cdef object cause
        if self.error is not None:
            return 0
        if isinstance(error, TLSError):
            forget_places(error)
        else:
            cause = error
            # Its text may hold anything; it stays with the cause.
            error = InternalError(f"internal error ({type(cause).__name__})")
            error.__cause__ = cause
        self.error = error
        self.data_size = 0
        self.reader.discard()
        self.framing = None
        if self.handshake is not None and self.handshake.heir is not None:
            # It failed in its first step.
            self.handshake = self.handshake.heir
        if error.origin is not Origin.TRANSPORT and self.handshake is not None:
            self.handshake.connection_failed()
        self.end_handshake()
        if error.origin is not Origin.LOCAL:
            # Nobody is left who waits for it.
            self.writer.discard()
        elif not self.close_notify_sent:
            try:
                self.send_alert(
                    FATAL, ALERT_internal_error if error.alert is None else error.alert
                )
            except Exception as failure:
                # The alert is queued; what failed is a message_callback.
                error.add_note(f"the message_callback raised {type(failure).__name__}")
        return 0

    cdef int end_handshake(self) except -1:
        """Nobody will ask for the answer of an open Request any more."""
        if self.handshake is not None and self.handshake.request is not None:
            self.handshake.request._end()
        self.handshake = None
        return 0

    # --- What the transport brings and takes

    cpdef object space(self):
        """A writable buffer for received bytes; tell filled() how many arrived."""
        return self.reader.space()

    cdef Py_ssize_t room_at(self, char** at) except -1:
        """How much space() there is, and where, for who receives without a view."""
        cdef Py_ssize_t room = self.reader.room()
        at[0] = PyByteArray_AS_STRING(self.reader.buffer) + self.reader.end
        return room

    cpdef Py_ssize_t room(self) except -1:
        """How many bytes space() has, and append() takes."""
        return self.reader.room()

    cpdef Py_ssize_t missing(self) except -1:
        """How many of them belong to the record that is awaited: to its header, if that is not
        whole, or to its content. At least 1."""
        return self.reader.missing()

    cpdef Py_ssize_t missing_content(self) except -1:
        """The same where the header is whole, and 0 where it is not."""
        return self.reader.missing_content()

    cpdef int append(self, object data) except -1:
        """The transport brought these bytes; in place of space() and filled()."""
        return self.reader.append(data)

    cpdef int filled(self, Py_ssize_t size) except -1:
        """The transport brought `size` bytes, at least one, into space()."""
        return self.reader.filled(size)

    cpdef int nothing_arrived(self) except -1:
        """The transport has nothing for space() now."""
        return self.reader.release()

    cpdef int end_of_transport(self) except -1:
        """No more bytes will arrive. Without the peer's close_notify that is an error."""
        if not self.close_notify_received:
            self.fail(TransportError(
                "the transport ended without close_notify" if self.established
                else "the transport ended during the handshake"
            ))
        return 0

    cpdef int transport_raised(self, object error) except -1:
        """The transport raised this OSError."""
        return self.fail(TransportError(f"the transport failed: {error}", error))

    cpdef int transport_takes_no_more(self) except -1:
        """The transport ended for what is written."""
        return self.fail(TransportError("the transport takes no more data"))

    cpdef bint has_output(self):
        return not self.writer.is_empty()

    cpdef object output(self):
        """The bytes that the transport is to take, in one piece, or None."""
        return self.writer.pending()

    cpdef int output_taken(self, Py_ssize_t size) except -1:
        """The transport took that many bytes of output()."""
        self.writer.take(size)
        if self.complete and self.error is None and self.writer.is_empty():
            self.handshake.output_taken()
        return 0

    cpdef int drop_output(self) except -1:
        """The transport takes no more, but may have something to be read."""
        return self.writer.discard()

    # --- Application data

    cpdef int fetch(self) except -2:
        """Make application data available.

        NONE, SSL, WANT_READ, ZERO_RETURN, or the code of a Request that is open.
        """
        cdef int code
        self.require_idle()
        if self.data_size:
            return NONE
        self.busy = True
        try:
            while self.error is None:
                if self.close_notify_received:
                    return ZERO_RETURN
                code = self.process()
                if code != NONE:
                    return code
                if self.data_size:
                    return NONE
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self.busy = False
        return SSL

    cpdef Py_ssize_t available(self):
        """Bytes of application data that can be taken now."""
        return self.data_size

    cpdef Py_ssize_t copy_into(self, object buffer, bint peek) except -1:
        """Copy application data, once fetch() said NONE; returns how many bytes.

        Without peek, further records that have already arrived are copied too, as far as the
        buffer reaches.
        """
        cdef Py_buffer view
        cdef Py_ssize_t size, copied = 0
        cdef uint8_t* at
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            at = <uint8_t*> view.buf
            while True:
                size = min(self.data_size, view.len - copied)
                memcpy(at + copied, self.data, size)
                copied += size
                if peek:
                    break
                self.consume(size)
                if (
                    copied == view.len
                    or self.reader.buffered() == 0
                    or self.fetch() != NONE
                ):
                    break
        finally:
            PyBuffer_Release(&view)
        return copied

    cdef int consume(self, Py_ssize_t size) except -1:
        self.data += size
        self.data_size -= size
        if self.data_size == 0:
            self.reader.release()
        return 0

    cpdef bytes take(self, Py_ssize_t size):
        """At most `size` bytes of application data, once fetch() said NONE."""
        cdef bytes result
        size = min(size, self.data_size)
        result = PyBytes_FromStringAndSize(<const char*> self.data, size)
        self.consume(size)
        return result

    cpdef Py_ssize_t write(self, object data, Py_ssize_t start) except -1:
        """Protect application data from `start` on; returns how many bytes were taken.

        The caller makes sure that the connection is established and open for writing.
        """
        cdef Py_buffer view
        cdef Py_ssize_t size, done = 0
        cdef uint64_t records
        self.require_idle()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            while start + done < view.len and done < WRITE_SIZE:
                size = min(view.len - start, <Py_ssize_t> WRITE_SIZE) - done
                # RFC 8446, 5.5: the next key comes before the limit of this one.
                records = self.writer.key.remaining()
                if records == 0:
                    if self.outcome.version == VERSION_TLSv1_2:
                        raise InternalError("the key is spent, and TLS 1.2 has no KeyUpdate")
                    self.update_write_key(False)
                    if self.error is not None:
                        break
                    continue
                if records < <uint64_t> (WRITE_SIZE // self.writer.max_content):
                    size = min(size, <Py_ssize_t> (records * self.writer.max_content))
                if self.config.dynamic_record_sizing:
                    size = self.writer.record_size(size)
                self.writer.add_record(
                    CONTENT_application_data, <const uint8_t*> view.buf + start + done, size
                )
                done += size
        except Exception as error:
            # Sequence numbers are spent: nothing can be sent under this key any more.
            self.fail(error)
        finally:
            PyBuffer_Release(&view)
        return done

    def write_early_data(self, object data):
        """Protect early data (RFC 8446, 4.2.10), or a server's data before the client is done.

        False: the connection is not at a point where it can be sent, or it is too much.
        """
        cdef Py_buffer view
        self.require_idle()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if self.error is not None or self.close_notify_sent or self.writer.key is None:
                return False
            if <uint64_t> (view.len // self.writer.max_content + 1) > self.writer.key.remaining():
                return False
            if self.by_server:
                if self.write_level != LEVEL_APPLICATION:
                    return False
            elif self.write_level != LEVEL_EARLY_DATA or view.len > self.early_data_room:
                return False
            else:
                self.early_data_room -= view.len
                self.early_data_sent = self.early_data_sent or view.len > 0
            if view.len:
                self.writer.add_record(
                    CONTENT_application_data, <const uint8_t*> view.buf, view.len
                )
        except Exception as error:
            self.fail(error)
        finally:
            PyBuffer_Release(&view)
        return True

    def want_early_data(self):
        """Offer early data (RFC 8446, 4.2.10), if the session permits; before the handshake."""
        if self.error is None:
            (<ClientHandshake> self.handshake).wants_early_data = True

    def set_session(self, Session session):
        """What a client offers to resume; before the handshake."""
        if self.error is None:
            (<ClientHandshake> self.handshake).session = session

    def take_early_data_received(self, Py_ssize_t size):
        """At most `size` bytes of the early data that a server received; empty: none is here."""
        cdef bytes first
        if not self.early_data:
            return b""
        first = self.early_data[0]
        if len(first) > size:
            self.early_data[0] = first[size:]
            return first[:size]
        return self.early_data.popleft()

    @property
    def can_send_early_data(self):
        """Whether write_early_data() is of any use now."""
        if self.error is not None or self.complete:
            return False
        return self.write_level == (LEVEL_APPLICATION if self.by_server else LEVEL_EARLY_DATA)

    @property
    def has_early_data(self):
        """Whether take_early_data_received() has something."""
        return bool(self.early_data)

    @property
    def early_data_is_over(self):
        """Whether no more early data will arrive at a server."""
        return self.write_level == LEVEL_APPLICATION and self.read_level != LEVEL_EARLY_DATA

    def send_session_tickets(self, int count):
        """Queue tickets (RFC 8446, 4.6.1); a server's, once it is established."""
        self.require_idle()
        try:
            (<PostHandshake> self.handshake).send_session_tickets(count)
            self.carry_out()
        except Exception as error:
            self.fail(error)

    def request_certificate(self):
        """Queue a CertificateRequest (RFC 8446, 4.6.2); False: too many are unanswered."""
        cdef PostHandshake handshake = <PostHandshake> self.handshake
        self.require_idle()
        if len(handshake.certificate_requests) >= self.config.max_certificate_requests:
            return False
        try:
            handshake.request_certificate()
            self.carry_out()
        except Exception as error:
            self.fail(error)
        return True

    def update_write_key(self, bint request_update):
        """Queue a KeyUpdate (RFC 8446, 4.6.3)."""
        self.require_idle()
        try:
            (<PostHandshake> self.handshake).update_write_key(request_update)
            self.carry_out()
        except Exception as error:
            self.fail(error)

    def send_close_notify(self):
        """Queue close_notify, once; during a handshake behind user_canceled (RFC 8446, 6.1)."""
        self.require_idle()
        if self.close_notify_sent or self.error is not None:
            return
        try:
            if not self.complete:
                self.canceled = True
                self.send_alert(WARNING, ALERT_user_canceled)
            self.send_alert(WARNING, ALERT_close_notify)
        except Exception as error:
            self.fail(error)

    @property
    def request(self):
        """The Request that is open, or None."""
        cdef Handshake handshake = self.handshake
        if handshake is not None and handshake.heir is not None:
            handshake = handshake.heir
        return None if handshake is None else handshake.request

    @property
    def engine_handshake(self):
        """The state machine itself, for tests that reproduce published traces."""
        return self.handshake
