"""The records of a scripted TLS 1.2 peer (RFC 5246, 6), which ChangeCipherSpec stands among.

What arrives is checked, as in scripted_records: under which key, how large, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripted12_keys import RecordKey
from scripted12_messages import ChangeCipherSpec, parse_message12
from scripted_messages import TLS12, Message, u8, u16, vector
from scripted_records import MAX_PLAINTEXT, Record, RecordPeer, Refused, Silence

from fasths import ContentType


class RecordPeer12(RecordPeer):
    """A peer without a handshake; the options are those of RecordPeer, but for padding.

    explicit_nonce: makes the explicit parts of its nonces from sequence numbers. record_version:
    of what is sent without protection.
    """

    write_key: RecordKey | None
    read_key: RecordKey | None

    def __init__(
        self,
        *arguments: Any,
        explicit_nonce: Callable[[int], bytes] | None = None,
        record_version: int = TLS12,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.explicit_nonce = explicit_nonce
        self.record_version = record_version
        self.read_limit = MAX_PLAINTEXT
        # What ChangeCipherSpec changes to.
        self.next_write_key: RecordKey | None = None
        self.next_read_key: RecordKey | None = None
        # The script waits for ChangeCipherSpec.
        self.awaits_change_cipher_spec = False

    # --- Sending

    def send(self, *messages: Message | ChangeCipherSpec | bytes) -> None:
        for message in messages:
            if isinstance(message, ChangeCipherSpec):
                self.send_change_cipher_spec(message.content)
                if message.changes_key:
                    self.change_write_key()
            else:
                super().send(message)

    def change_write_key(self) -> None:
        key, self.next_write_key = self.next_write_key, None
        if key is not None:
            if self.explicit_nonce is not None:
                key.explicit_nonce = self.explicit_nonce
            self.set_write_key(key)

    def send_record(
        self,
        content_type: int,
        content: bytes = b"",
        *,
        key: RecordKey | str | None = "current",
        version: int | None = None,
        explicit_nonce: bytes | None = None,
    ) -> None:
        """One record. key: None for an unprotected one."""
        self.end_flight()
        used = self.write_key if isinstance(key, str) else key
        if used is None:
            number = self.record_version if version is None else version
            self.outgoing += u8(content_type) + u16(number) + vector(2, content)
        else:
            self.outgoing += used.seal(
                content_type,
                content,
                version=TLS12 if version is None else version,
                explicit_nonce=explicit_nonce,
            )

    def send_change_cipher_spec(self, content: bytes = b"\1", **options: Any) -> None:
        self.send_record(ContentType.change_cipher_spec, content, **options)

    def negotiate_record_size_limit(self, own: int, other: int) -> None:
        """RFC 8449, 4: in TLS 1.2 the limits are those of the plaintext."""
        assert 64 <= other <= MAX_PLAINTEXT
        self.read_limit = min(self.read_limit, own)
        self.fragment = min(self.fragment, other)

    # --- Receiving

    def opened(self, record: bytes) -> tuple[int, bytes, int, bool]:
        content_type, content = record[0], record[5:]
        assert content_type in tuple(ContentType)
        if self.read_key is None:
            assert content_type != ContentType.application_data
        else:
            content_type, content = self.read_key.open(record)
            assert len(content) <= self.read_limit, "a record is longer than the limit"
        return content_type, content, len(content), False

    def check_size(self, record: Record) -> None:
        """The limit is one of what was protected, which only opened() knows."""

    def take_change_cipher_spec(self, record: Record) -> bool:
        super().take_change_cipher_spec(record)
        assert self.awaits_change_cipher_spec, "ChangeCipherSpec out of place"
        self.awaits_change_cipher_spec = False
        assert self.next_read_key is not None
        self.set_read_key(self.next_read_key)
        return True

    def receive_change_cipher_spec(self) -> None:
        """It must be next. Refused: an alert came instead. Silence: nothing came."""
        assert not self.messages, "a message before ChangeCipherSpec"
        self.awaits_change_cipher_spec = True
        self.take_records()
        if self.awaits_change_cipher_spec:
            self.turn()
            self.take_records()
        assert not self.awaits_change_cipher_spec or not self.messages
        if self.awaits_change_cipher_spec:
            self.awaits_change_cipher_spec = False
            raise Refused if self.alerts else Silence

    def parse(self, data: bytes, *expected: type[Message]) -> Any:
        return parse_message12(data, *expected)
