"""The records and messages of a scripted peer: what goes out, what comes in, and the transcript.

What arrives is checked as well: a Connection that breaks the rules of the record layer makes an
AssertionError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from scripted_keys import SUITES, TrafficKey
from scripted_messages import TLS12, Message, parse_message, u8, u16, vector

from fasths import CipherSuite, ContentType, SSLErrorCode

MAX_PLAINTEXT = 1 << 14
WARNING, FATAL = 1, 2
TAG_SIZE = 16


class Alert(NamedTuple):
    level: int
    description: int


class Record(NamedTuple):
    """A record that the connection sent; content_type is the inner one where it was protected.

    size: of TLSInnerPlaintext, or of an unprotected fragment. early: under the early traffic key.
    """

    outer_type: int
    version: int
    content_type: int
    content: bytes
    size: int
    early: bool


class Refused(Exception):
    """The connection sent an alert."""


class Silence(Exception):
    """The connection sends nothing although the script waits for something."""


At = Callable[[Any, Any], Any]


class RecordPeer:
    """A peer without a handshake.

    fragment: how many bytes of handshake messages one record holds at most. coalesce: whether
    messages of a flight share records. padding: zeros in each protected record. chunk: how many
    bytes reach the connection at a time. record_size_limit: what the peer says of itself, and then
    insists on (RFC 8449).
    """

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        at: dict[str, At] | None = None,
        fragment: int = MAX_PLAINTEXT,
        coalesce: bool = True,
        padding: int = 0,
        chunk: int | None = None,
        compatibility: bool = True,
        record_size_limit: int | None = None,
    ) -> None:
        self.connection = connection
        self.bio = bio
        self.at = dict(at or {})
        self.fragment = fragment
        self.coalesce = coalesce
        self.padding = padding
        self.chunk = chunk
        self.compatibility = compatibility
        self.record_size_limit = record_size_limit
        # What goes out: gathered messages, then records that were not delivered.
        self.flight: list[bytes] = []
        self.outgoing = b""
        self.write_key: TrafficKey | None = None
        # What comes in: bytes of records, then bytes of handshake messages.
        self.incoming = b""
        self.messages = b""
        self.read_key: TrafficKey | None = None
        self.records: list[Record] = []
        self.alerts: list[Alert] = []
        self.data = b""
        # Early data that comes in: under a key that is known, or skipped because it is not.
        self.early_read_key: TrafficKey | None = None
        self.early_data_read = b""
        self.skipping = False
        self.skipped_records = 0
        # The greatest TLSInnerPlaintext that may come in.
        self.read_limit = MAX_PLAINTEXT + 1
        # What the application behind the connection has read, and whether up to close_notify.
        self.delivered = b""
        self.closed = False
        # The same of early data, where the application is to read some, and how often it heard
        # that its own was not taken.
        self.delivers_early_data = False
        self.early_data_delivered = b""
        self.early_data_rejections = 0
        # All messages so far, and all but the one that was received last.
        self.transcript = b""
        self.before = b""
        self.suite = SUITES[CipherSuite.TLS_AES_128_GCM_SHA256]

    # --- Sending

    def edited(self, name: str, message: Message) -> list[Any]:
        """What comes out of a message that passes its point in the script."""
        edit = self.at.get(name)
        result = None if edit is None else edit(self, message)
        if result is None:
            return [message]
        return list(result) if isinstance(result, list | tuple) else [result]

    def step(self, name: str, message: Message) -> None:
        """Pass a message through its point in the script, and send what comes out of it."""
        self.send(*self.edited(name, message))

    def send(self, *messages: Message | bytes) -> None:
        """Put messages, or bytes of messages, into the transcript and the current flight."""
        for message in messages:
            self.queue(message)
            self.transcript += self.flight[-1]

    def queue(self, message: Message | bytes) -> None:
        """Put a message into the current flight alone: not all belong to the transcript."""
        self.flight.append(message if isinstance(message, bytes) else message.encode())

    def end_flight(self) -> None:
        flight, self.flight = self.flight, []
        if self.coalesce:
            flight = [b"".join(flight)]
        for data in flight:
            for i in range(0, len(data), self.fragment):
                self.send_record(ContentType.handshake, data[i : i + self.fragment])

    def set_write_key(self, key: TrafficKey | None) -> None:
        self.end_flight()
        self.write_key = key

    def set_read_key(self, key: TrafficKey) -> None:
        # RFC 8446, 5.1: keys change at record boundaries.
        assert not self.messages, "a handshake message reaches over a change of keys"
        self.read_key = key

    def negotiate_record_size_limit(self, own: int, other: int) -> None:
        """Both sides have said their limits (RFC 8449, 4); other: the connection's."""
        assert 64 <= other <= MAX_PLAINTEXT + 1
        self.read_limit = min(self.read_limit, own)
        self.fragment = max(1, min(self.fragment, other - 1 - self.padding))
        for record in self.records:
            self.check_size(record)

    def check_size(self, record: Record) -> None:
        if record.outer_type == ContentType.application_data:
            assert record.size <= self.read_limit, "a record is longer than the limit"

    def send_record(
        self,
        content_type: int,
        content: bytes = b"",
        *,
        key: TrafficKey | str | None = "current",
        padding: int | None = None,
        version: int = TLS12,
    ) -> None:
        """One record. key: None for an unprotected one."""
        self.end_flight()
        used = self.write_key if isinstance(key, str) else key
        if used is None:
            self.outgoing += u8(content_type) + u16(version) + vector(2, content)
        else:
            self.outgoing += used.seal(
                content_type, content, self.padding if padding is None else padding
            )

    def send_raw(self, data: bytes) -> None:
        self.end_flight()
        self.outgoing += data

    def send_alert(self, description: int, level: int = FATAL, **options: Any) -> None:
        self.send_record(ContentType.alert, u8(level) + u8(description), **options)

    def send_change_cipher_spec(self, content: bytes = b"\1") -> None:
        self.send_record(ContentType.change_cipher_spec, content, key=None)

    def send_data(self, data: bytes, **options: Any) -> None:
        self.send_record(ContentType.application_data, data, **options)

    # --- Receiving

    def turn(self) -> None:
        """Give the connection what was sent, let it work, and take what it has to say."""
        self.end_flight()
        data, self.outgoing = self.outgoing, b""
        size = self.chunk or max(len(data), 1)
        for i in range(0, max(len(data), 1), size):
            self.bio.write(data[i : i + size])
            self.work()
        self.incoming += self.bio.read()

    def work(self) -> None:
        connection = self.connection
        self.go_on()
        while self.delivers_early_data and (data := connection.read_early_data()):
            self.early_data_delivered += data
            self.go_on()
        while connection.established:
            data = connection.read()
            if not data:
                self.closed = self.closed or data == b""
                break
            self.delivered += data

    def go_on(self) -> None:
        """One call of do_handshake(), or two: rejected early data is said once."""
        connection = self.connection
        if connection.established:
            return
        result = connection.do_handshake()
        if result < 0 and connection.get_error(result) is SSLErrorCode.EARLY_DATA_REJECTED:
            self.early_data_rejections += 1
            connection.do_handshake()

    def read_records(self) -> Iterator[Record]:
        """The records that have arrived, opened with the key of the moment and checked."""
        while len(self.incoming) >= 5:
            size = 5 + int.from_bytes(self.incoming[3:5], "big")
            assert len(self.incoming) >= size, "the connection stopped inside a record"
            record, self.incoming = self.incoming[:size], self.incoming[size:]
            opened = self.opened(record)
            if opened is None:
                continue
            content_type, content, inner_size, early = opened
            assert len(content) <= MAX_PLAINTEXT
            assert content or content_type == ContentType.application_data
            version = int.from_bytes(record[1:3], "big")
            assert version == TLS12 or (not self.records and version == 0x0301)
            result = Record(record[0], version, content_type, content, inner_size, early)
            self.check_size(result)
            self.records.append(result)
            yield result

    def opened(self, record: bytes) -> tuple[int, bytes, int, bool] | None:
        """(content type, content, size, early) as in Record; None for what is skipped."""
        if record[0] != ContentType.application_data:
            plain = (ContentType.change_cipher_spec,) if self.protects() else range(20, 23)
            assert record[0] in plain, "a record should be protected"
            return record[0], record[5:], len(record) - 5, False
        opened = self.open_record(record)
        if opened is None:
            return None
        content_type, content, early = opened
        assert content_type != ContentType.change_cipher_spec
        return content_type, content, len(record) - 5 - TAG_SIZE, early

    def protects(self) -> bool:
        """Whether the connection has begun to protect what it sends.

        RFC 8446, 4.2.10: behind early data and a HelloRetryRequest, a ClientHello is not.
        """
        return any(
            record.outer_type == ContentType.application_data
            and not (record.early and self.read_key is None)
            for record in self.records
        )

    def open_record(self, record: bytes) -> tuple[int, bytes, bool] | None:
        """(content type, content, whether it is early); None for what is skipped."""
        if self.early_read_key is not None:
            try:
                return *self.early_read_key.open(record), True
            except InvalidTag:
                assert self.read_key is not None, "early data under a wrong key"
        if self.read_key is None:
            assert self.skipping, "a protected record without keys"
            self.skipped_records += 1
            return None
        try:
            result = self.read_key.open(record)
        except InvalidTag:
            if not self.skipping:
                raise
            self.skipped_records += 1
            return None
        # RFC 8446, 4.2.10: the first record that opens ends early data.
        self.early_read_key, self.skipping = None, False
        return *result, False

    def take_records(self) -> None:
        """Sort what has arrived, up to the first whole handshake message, or a change of keys."""
        for record in self.read_records():
            if record.content_type == ContentType.handshake:
                self.messages += record.content
                if self.has_message():
                    return
                continue
            assert not self.messages, "a record inside a handshake message"
            if record.content_type == ContentType.alert:
                assert len(record.content) == 2
                self.alerts.append(Alert(*record.content))
            elif record.content_type == ContentType.application_data:
                if record.early:
                    self.early_data_read += record.content
                else:
                    self.data += record.content
            elif self.take_change_cipher_spec(record):
                return

    def take_change_cipher_spec(self, record: Record) -> bool:
        """Whether the key changes with it."""
        assert record.content == b"\1"
        return False

    def has_message(self) -> bool:
        size = 4 + int.from_bytes(self.messages[1:4], "big")
        return len(self.messages) >= 4 and len(self.messages) >= size

    def next_message(self) -> bytes | None:
        if not self.has_message():
            self.take_records()
        if not self.has_message():
            return None
        size = 4 + int.from_bytes(self.messages[1:4], "big")
        data, self.messages = self.messages[:size], self.messages[size:]
        return data

    def receive(self, *expected: type[Message]) -> Any:
        """The next handshake message, one of those expected; into the transcript as well.

        Refused: an alert came instead. Silence: nothing came.
        """
        data = self.next_message()
        if data is None:
            self.turn()
            data = self.next_message()
        if data is None:
            raise Refused if self.alerts else Silence
        message = self.parse(data, *expected)
        assert isinstance(message, expected), f"{message} instead of {expected}"
        self.before = self.transcript
        self.transcript += data
        return message

    def parse(self, data: bytes, *_expected: type[Message]) -> Any:
        return parse_message(data)
