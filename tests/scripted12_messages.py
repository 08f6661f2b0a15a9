"""The messages of TLS 1.2 that differ from those of TLS 1.3, to be made and taken apart by tests
(RFC 5246, 7.4; RFC 8422, 5.4 to 5.8; RFC 5077, 3.3; RFC 6066, 8).

As in scripted_messages, any field can have any value. ClientHello, CertificateVerify and Finished
are the same as there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from scripted_messages import (
    CertificateVerify,
    ClientHello,
    Cursor,
    Extensions,
    Finished,
    Message,
    Raw,
    ServerHello,
    parse_extensions,
    u8,
    u16,
    u16_list,
    u32,
    vector,
)

from fasths import CipherSuite, HandshakeType

NAMED_CURVE = 3
OCSP = 1
RSA_SIGN, ECDSA_SIGN = 1, 64


@dataclass
class ChangeCipherSpec:
    """No handshake message (RFC 5246, 7.1), but among them a step of the script.

    changes_key: whether what follows is under the new key.
    """

    type: ClassVar[str] = "change_cipher_spec"
    content: bytes = b"\1"
    changes_key: bool = True


@dataclass(kw_only=True)
class HelloRequest(Message):
    type = HandshakeType.hello_request


@dataclass(kw_only=True)
class ServerHello12(ServerHello):
    """Fields keep the names that RFC 8446 gives them; extensions may be left out as a whole."""

    cipher_suite: int = CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256

    @staticmethod
    def parse_block(cursor: Cursor) -> Extensions | None:
        return parse_extensions(cursor) if cursor.data else None


@dataclass(kw_only=True)
class Certificate12(Message):
    """certificate_list: DER."""

    type = HandshakeType.certificate
    certificate_list: list[bytes] = field(default_factory=list)

    def body(self) -> bytes:
        return vector(3, *(vector(3, der) for der in self.certificate_list))

    @classmethod
    def parse(cls, cursor: Cursor) -> Certificate12:
        entries = Cursor(cursor.vector(3))
        message = cls()
        while entries.data:
            message.certificate_list.append(entries.vector(3))
        return message


@dataclass(kw_only=True)
class RawPublicKey12(Message):
    """A Certificate with a SubjectPublicKeyInfo in place of a chain (RFC 7250, 3)."""

    type = HandshakeType.certificate
    public_key_info: bytes = b"?"

    def body(self) -> bytes:
        return vector(3, self.public_key_info)

    @classmethod
    def parse(cls, cursor: Cursor) -> RawPublicKey12:
        return cls(public_key_info=cursor.vector(3))


@dataclass(kw_only=True)
class CertificateStatus(Message):
    type = HandshakeType.certificate_status
    status_type: int = OCSP
    response: bytes = b"response"

    def body(self) -> bytes:
        return u8(self.status_type) + vector(3, self.response)

    @classmethod
    def parse(cls, cursor: Cursor) -> CertificateStatus:
        return cls(status_type=cursor.number(1), response=cursor.vector(3))


@dataclass(kw_only=True)
class ServerKeyExchange(Message):
    """params: what stands for ServerECDHParams, where the fields do not."""

    type = HandshakeType.server_key_exchange
    curve_type: int = NAMED_CURVE
    group: int = 0
    public: bytes = b""
    params: bytes | None = None
    algorithm: int = 0
    signature: bytes = b""

    def signed_params(self) -> bytes:
        if self.params is not None:
            return self.params
        return u8(self.curve_type) + u16(self.group) + vector(1, self.public)

    def body(self) -> bytes:
        return self.signed_params() + u16(self.algorithm) + vector(2, self.signature)

    @classmethod
    def parse(cls, cursor: Cursor) -> ServerKeyExchange:
        return cls(
            curve_type=cursor.number(1),
            group=cursor.number(2),
            public=cursor.vector(1),
            algorithm=cursor.number(2),
            signature=cursor.vector(2),
        )


@dataclass(kw_only=True)
class CertificateRequest12(Message):
    """certificate_authorities: names in DER."""

    type = HandshakeType.certificate_request
    certificate_types: bytes = bytes((RSA_SIGN, ECDSA_SIGN))
    supported_signature_algorithms: list[int] = field(default_factory=list)
    certificate_authorities: list[bytes] = field(default_factory=list)

    def body(self) -> bytes:
        return b"".join(
            (
                vector(1, self.certificate_types),
                vector(2, u16(*self.supported_signature_algorithms)),
                vector(2, *(vector(2, name) for name in self.certificate_authorities)),
            )
        )

    @classmethod
    def parse(cls, cursor: Cursor) -> CertificateRequest12:
        message = cls(
            certificate_types=cursor.vector(1),
            supported_signature_algorithms=u16_list(cursor.vector(2)),
        )
        names = Cursor(cursor.vector(2))
        while names.data:
            message.certificate_authorities.append(names.vector(2))
        return message


@dataclass(kw_only=True)
class ServerHelloDone(Message):
    type = HandshakeType.server_hello_done


@dataclass(kw_only=True)
class ClientKeyExchange(Message):
    type = HandshakeType.client_key_exchange
    public: bytes = b""

    def body(self) -> bytes:
        return vector(1, self.public)

    @classmethod
    def parse(cls, cursor: Cursor) -> ClientKeyExchange:
        return cls(public=cursor.vector(1))


@dataclass(kw_only=True)
class NewSessionTicket12(Message):
    type = HandshakeType.new_session_ticket
    ticket_lifetime_hint: int = 7200
    ticket: bytes = b"ticket"

    def body(self) -> bytes:
        return u32(self.ticket_lifetime_hint) + vector(2, self.ticket)

    @classmethod
    def parse(cls, cursor: Cursor) -> NewSessionTicket12:
        return cls(ticket_lifetime_hint=cursor.number(4), ticket=cursor.vector(2))


MESSAGES12: dict[int, Any] = {
    each.type: each
    for each in (
        HelloRequest,
        ClientHello,
        ServerHello12,
        NewSessionTicket12,
        Certificate12,
        ServerKeyExchange,
        CertificateRequest12,
        ServerHelloDone,
        CertificateVerify,
        ClientKeyExchange,
        Finished,
        CertificateStatus,
    )
}


def parse_message12(data: bytes, *expected: Any) -> Any:
    """expected: the classes of what may come, where a type has several."""
    assert data[0] in MESSAGES12, f"a message of type {data[0]} in TLS 1.2"
    cursor = Cursor(data[4:])
    fitting = [each for each in expected if each.type == data[0]]
    message = (fitting or [MESSAGES12[data[0]]])[0].parse(cursor)
    cursor.finish()
    return message


def any_message12(code: int) -> Message:
    """Some message of this type, as empty as it may be."""
    return MESSAGES12[code]() if code in MESSAGES12 else Raw(code)
