"""The messages of TLS 1.3 (RFC 8446, 4), to be made and taken apart by tests.

Any field of a message can have any value; nothing is checked on the way out.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fasths import CipherSuite, HandshakeType

TLS12, TLS13 = 0x0303, 0x0304
HELLO_RETRY_REQUEST = hashlib.sha256(b"HelloRetryRequest").digest()

# --- The presentation language (RFC 8446, 3)


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def u24(value: int) -> bytes:
    return value.to_bytes(3, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def vector(length_size: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(length_size, "big") + body


class Cursor:
    """Reads what a Connection sent; whatever does not parse is an AssertionError."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        assert len(self.data) >= size, "a message is cut short"
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> bytes:
        return self.take(self.number(length_size))

    def finish(self) -> None:
        assert not self.data, "a message has something behind its end"


def u16_list(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


# --- Extensions (RFC 8446, 4.2): a list of (type, data), in any order and number

Extensions = list[tuple[int, bytes]]


def encode_extensions(extensions: Extensions) -> bytes:
    return vector(2, *(u16(code) + vector(2, data) for code, data in extensions))


def parse_extensions(cursor: Cursor) -> Extensions:
    block = Cursor(cursor.vector(2))
    extensions = []
    while block.data:
        extensions.append((block.number(2), block.vector(2)))
    codes = [code for code, _ in extensions]
    assert len(set(codes)) == len(codes), "an extension appears twice"
    return extensions


def server_name(name: str | bytes, name_type: int = 0) -> bytes:
    data = name.encode() if isinstance(name, str) else name
    return vector(2, u8(name_type), vector(2, data))


def protocol_names(*names: bytes) -> bytes:
    return vector(2, *(vector(1, each) for each in names))


def key_share_entry(group: int, key_exchange: bytes) -> bytes:
    return u16(group) + vector(2, key_exchange)


def parse_key_shares(data: bytes) -> dict[int, bytes]:
    cursor, shares = Cursor(Cursor(data).vector(2)), {}
    while cursor.data:
        group = cursor.number(2)
        shares[group] = cursor.vector(2)
    return shares


def offered_psks(identities: int = 1, binders: int = 1, binder_length: int = 32) -> bytes:
    """OfferedPsks (RFC 8446, 4.2.11) that no server knows."""
    return vector(2, *[vector(2, b"identity") + bytes(4)] * identities) + vector(
        2, *[vector(1, bytes(binder_length))] * binders
    )


# --- Handshake messages (RFC 8446, 4)


@dataclass(kw_only=True)
class Message:
    """One handshake message; trailing: bytes behind the last field, counted by its length."""

    type: ClassVar[int]
    trailing: bytes = b""

    def body(self) -> bytes:
        return b""

    def encode(self) -> bytes:
        return u8(self.type) + vector(3, self.body(), self.trailing)

    @classmethod
    def parse(cls, cursor: Cursor) -> Any:
        return cls()


@dataclass(kw_only=True)
class WithExtensions(Message):
    """extensions: None leaves the whole block out."""

    extensions: Extensions | None = field(default_factory=list)

    def extension(self, code: int) -> bytes | None:
        return dict(self.extensions or ()).get(code)

    def set(self, code: int, data: bytes = b"") -> None:
        """Replace the extension where it stands, or add it at the end."""
        assert self.extensions is not None
        for i, (each, _) in enumerate(self.extensions):
            if each == code:
                self.extensions[i] = (code, data)
                return
        self.extensions.append((code, data))

    def remove(self, code: int) -> None:
        self.extensions = [each for each in self.extensions or () if each[0] != code]

    def block(self) -> bytes:
        return b"" if self.extensions is None else encode_extensions(self.extensions)


@dataclass
class Raw(Message):
    """A message of any type with any body."""

    code: int
    content: bytes = b""

    def encode(self) -> bytes:
        return u8(self.code) + vector(3, self.content)


@dataclass(kw_only=True)
class ClientHello(WithExtensions):
    type = HandshakeType.client_hello
    legacy_version: int = TLS12
    random: bytes = field(default_factory=lambda: os.urandom(32))
    legacy_session_id: bytes = b""
    cipher_suites: list[int] = field(default_factory=lambda: [0x1301, 0x1302, 0x1303])
    legacy_compression_methods: bytes = b"\0"

    def body(self) -> bytes:
        return b"".join(
            (
                u16(self.legacy_version),
                self.random,
                vector(1, self.legacy_session_id),
                vector(2, u16(*self.cipher_suites)),
                vector(1, self.legacy_compression_methods),
                self.block(),
            )
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> ClientHello:
        return cls(
            legacy_version=cursor.number(2),
            random=cursor.take(32),
            legacy_session_id=cursor.vector(1),
            cipher_suites=u16_list(cursor.vector(2)),
            legacy_compression_methods=cursor.vector(1),
            extensions=parse_extensions(cursor),
        )


@dataclass(kw_only=True)
class ServerHello(WithExtensions):
    """With the random HELLO_RETRY_REQUEST, a HelloRetryRequest."""

    type = HandshakeType.server_hello
    legacy_version: int = TLS12
    random: bytes = field(default_factory=lambda: os.urandom(32))
    legacy_session_id_echo: bytes = b""
    cipher_suite: int = CipherSuite.TLS_AES_128_GCM_SHA256
    legacy_compression_method: int = 0

    def body(self) -> bytes:
        return b"".join(
            (
                u16(self.legacy_version),
                self.random,
                vector(1, self.legacy_session_id_echo),
                u16(self.cipher_suite),
                u8(self.legacy_compression_method),
                self.block(),
            )
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> ServerHello:
        return cls(
            legacy_version=cursor.number(2),
            random=cursor.take(32),
            legacy_session_id_echo=cursor.vector(1),
            cipher_suite=cursor.number(2),
            legacy_compression_method=cursor.number(1),
            extensions=cls.parse_block(cursor),
        )

    @staticmethod
    def parse_block(cursor: Cursor) -> Extensions | None:
        return parse_extensions(cursor)


@dataclass(kw_only=True)
class EncryptedExtensions(WithExtensions):
    type = HandshakeType.encrypted_extensions

    def body(self) -> bytes:
        return self.block()

    @classmethod
    def parse(cls, cursor: Cursor) -> EncryptedExtensions:
        return cls(extensions=parse_extensions(cursor))


@dataclass(kw_only=True)
class CertificateRequest(WithExtensions):
    type = HandshakeType.certificate_request
    certificate_request_context: bytes = b""

    def body(self) -> bytes:
        return vector(1, self.certificate_request_context) + self.block()

    @classmethod
    def parse(cls, cursor: Cursor) -> CertificateRequest:
        return cls(
            certificate_request_context=cursor.vector(1), extensions=parse_extensions(cursor)
        )


@dataclass(kw_only=True)
class Certificate(Message):
    """certificate_list: (DER, extensions) of each entry."""

    type = HandshakeType.certificate
    certificate_request_context: bytes = b""
    certificate_list: list[tuple[bytes, Extensions]] = field(default_factory=list)

    def body(self) -> bytes:
        return vector(1, self.certificate_request_context) + vector(
            3,
            *(
                vector(3, der) + encode_extensions(extensions)
                for der, extensions in self.certificate_list
            ),
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> Certificate:
        message = cls(certificate_request_context=cursor.vector(1))
        entries = Cursor(cursor.vector(3))
        while entries.data:
            message.certificate_list.append((entries.vector(3), parse_extensions(entries)))
        return message


@dataclass(kw_only=True)
class CompressedCertificate(Message):
    """RFC 8879, 4."""

    type = HandshakeType.compressed_certificate
    algorithm: int = 1
    uncompressed_length: int = 0
    compressed_certificate_message: bytes = b"?"

    def body(self) -> bytes:
        return b"".join(
            (
                u16(self.algorithm),
                u24(self.uncompressed_length),
                vector(3, self.compressed_certificate_message),
            )
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> CompressedCertificate:
        return cls(
            algorithm=cursor.number(2),
            uncompressed_length=cursor.number(3),
            compressed_certificate_message=cursor.vector(3),
        )


@dataclass(kw_only=True)
class CertificateVerify(Message):
    type = HandshakeType.certificate_verify
    algorithm: int = 0
    signature: bytes = b""

    def body(self) -> bytes:
        return u16(self.algorithm) + vector(2, self.signature)

    @classmethod
    def parse(cls, cursor: Cursor) -> CertificateVerify:
        return cls(algorithm=cursor.number(2), signature=cursor.vector(2))


@dataclass(kw_only=True)
class Finished(Message):
    type = HandshakeType.finished
    verify_data: bytes = b""

    def body(self) -> bytes:
        return self.verify_data

    @classmethod
    def parse(cls, cursor: Cursor) -> Finished:
        return cls(verify_data=cursor.take(len(cursor.data)))


@dataclass(kw_only=True)
class EndOfEarlyData(Message):
    type = HandshakeType.end_of_early_data


@dataclass(kw_only=True)
class NewSessionTicket(WithExtensions):
    type = HandshakeType.new_session_ticket
    ticket_lifetime: int = 7200
    ticket_age_add: int = 1
    ticket_nonce: bytes = b"\0"
    ticket: bytes = b"ticket"

    def body(self) -> bytes:
        return b"".join(
            (
                u32(self.ticket_lifetime),
                u32(self.ticket_age_add),
                vector(1, self.ticket_nonce),
                vector(2, self.ticket),
                self.block(),
            )
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> NewSessionTicket:
        return cls(
            ticket_lifetime=cursor.number(4),
            ticket_age_add=cursor.number(4),
            ticket_nonce=cursor.vector(1),
            ticket=cursor.vector(2),
            extensions=parse_extensions(cursor),
        )


@dataclass(kw_only=True)
class KeyUpdate(Message):
    type = HandshakeType.key_update
    request_update: int = 0

    def body(self) -> bytes:
        return u8(self.request_update)

    @classmethod
    def parse(cls, cursor: Cursor) -> KeyUpdate:
        return cls(request_update=cursor.number(1))


MESSAGES: dict[int, Any] = {
    each.type: each
    for each in (
        ClientHello,
        ServerHello,
        EncryptedExtensions,
        CertificateRequest,
        Certificate,
        CompressedCertificate,
        CertificateVerify,
        EndOfEarlyData,
        Finished,
        NewSessionTicket,
        KeyUpdate,
    )
}


def parse_message(data: bytes) -> Any:
    cursor = Cursor(data[4:])
    message = MESSAGES[data[0]].parse(cursor)
    cursor.finish()
    return message
