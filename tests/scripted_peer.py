"""A TLS 1.3 peer that does what a test tells it to, right or wrong (RFC 8446).

It is written from the RFC, in plain Python, and shares nothing with fasths but the names of the
numbers. A peer faces one Connection over a MemoryBIO, in the same thread:

    server = ScriptedServer(connection, bio, credential=leaf)
    server.handshake()

`handshake()` is the honest script. Each message passes a point named after it, and `at` says what
happens there instead: a function of the peer and the message, which may change the message, send
or change anything of the peer, and return what takes the message's place (a message, bytes, or a
list of them; None: the message itself).

    at={"server_hello": put(cipher_suite=0x1304)}
    at={"certificate": instead()}                      # left out
    at={"finished": before(lambda peer: peer.send_record(20, b"\1"))}

Below that, `send()` takes any message, `send_record()` any content under any key or none, and
`send_raw()` any bytes. What arrives is checked as well: a Connection that breaks the rules of the
record layer makes an AssertionError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

from cryptography import x509
from scripted_keys import (
    ALL_SCHEMES,
    CLIENT_CONTEXT,
    DEFAULT_SCHEMES,
    SERVER_CONTEXT,
    SUITES,
    TrafficKey,
    exchange,
    generate,
    respond,
    signature_arguments,
)
from scripted_messages import (
    HELLO_RETRY_REQUEST,
    TLS12,
    TLS13,
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    Cursor,
    EncryptedExtensions,
    Finished,
    KeyUpdate,
    Message,
    NewSessionTicket,
    Raw,
    ServerHello,
    key_share_entry,
    offered_psks,
    parse_key_shares,
    parse_message,
    protocol_names,
    server_name,
    u8,
    u16,
    u16_list,
    vector,
)

from fasths import CipherSuite, ContentType, ExtensionType, HandshakeType, NamedGroup

MAX_PLAINTEXT = 1 << 14
WARNING, FATAL = 1, 2


class Alert(NamedTuple):
    level: int
    description: int


class Record(NamedTuple):
    """A record that the connection sent; content_type is the inner one where it was protected."""

    outer_type: int
    version: int
    content_type: int
    content: bytes


class Refused(Exception):
    """The connection sent an alert."""


class Silence(Exception):
    """The connection sends nothing although the script waits for something."""


At = Callable[["Peer", Any], Any]


class Peer:
    """What both roles have in common: records, the transcript, keys, and the points of the script.

    fragment: how many bytes of handshake messages one record holds at most. coalesce: whether
    messages of a flight share records. padding: zeros in each protected record. chunk: how many
    bytes reach the connection at a time.
    """

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        credential: Any = None,
        scheme: int | None = None,
        at: dict[str, At] | None = None,
        fragment: int = MAX_PLAINTEXT,
        coalesce: bool = True,
        padding: int = 0,
        chunk: int | None = None,
        compatibility: bool = True,
    ) -> None:
        self.connection = connection
        self.bio = bio
        self.credential = credential
        if scheme is None and credential is not None:
            scheme = DEFAULT_SCHEMES[credential.key_type]
        self.scheme = scheme
        self.at = dict(at or {})
        self.fragment = fragment
        self.coalesce = coalesce
        self.padding = padding
        self.chunk = chunk
        self.compatibility = compatibility
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
        # The request_update of each KeyUpdate, and the session tickets.
        self.key_updates: list[int] = []
        self.tickets: list[NewSessionTicket] = []
        # What the application behind the connection has read, and whether up to close_notify.
        self.delivered = b""
        self.closed = False
        # All messages so far, and all but the one that was received last.
        self.transcript = b""
        self.before = b""
        self.suite = SUITES[CipherSuite.TLS_AES_128_GCM_SHA256]
        self.peer_chain: list[bytes] = []

    # --- Sending

    def step(self, name: str, message: Message) -> None:
        """Pass a message through its point in the script, and send what comes out of it."""
        edit = self.at.get(name)
        result = None if edit is None else edit(self, message)
        if result is None:
            result = message
        self.send(*(result if isinstance(result, list | tuple) else [result]))

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
        if not connection.established:
            connection.do_handshake()
        while connection.established:
            data = connection.read()
            if not data:
                self.closed = self.closed or data == b""
                break
            self.delivered += data

    def read_records(self) -> Iterator[Record]:
        """The records that have arrived, opened with the key of the moment and checked."""
        while len(self.incoming) >= 5:
            size = 5 + int.from_bytes(self.incoming[3:5], "big")
            assert len(self.incoming) >= size, "the connection stopped inside a record"
            record, self.incoming = self.incoming[:size], self.incoming[size:]
            content_type, content = record[0], record[5:]
            if content_type == ContentType.application_data:
                assert self.read_key is not None, "a protected record without keys"
                content_type, content = self.read_key.open(record)
                assert content_type != ContentType.change_cipher_spec
            else:
                protected = any(each.outer_type == 23 for each in self.records)
                plain = (ContentType.change_cipher_spec,) if protected else range(20, 23)
                assert content_type in plain, "a record should be protected"
            assert len(content) <= MAX_PLAINTEXT
            assert content or content_type == ContentType.application_data
            result = Record(record[0], int.from_bytes(record[1:3], "big"), content_type, content)
            assert result.version == TLS12 or (not self.records and result.version == 0x0301)
            self.records.append(result)
            yield result

    def take_records(self) -> None:
        """Sort what has arrived, up to the first whole handshake message."""
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
                self.data += record.content
            else:
                assert record.content == b"\1"

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
        message = parse_message(data)
        assert isinstance(message, expected), f"{message} instead of {expected}"
        self.before = self.transcript
        self.transcript += data
        return message

    def settle(self) -> None:
        """Deliver what is left, and see what comes back. Refused: an alert."""
        self.turn()
        while (data := self.next_message()) is not None:
            message = parse_message(data)
            assert isinstance(message, KeyUpdate | NewSessionTicket)
            self.take_post_handshake(message)
        if any(alert.level == FATAL for alert in self.alerts):
            raise Refused

    def take_post_handshake(self, message: Message) -> None:
        if isinstance(message, KeyUpdate):
            assert self.read_key is not None
            self.set_read_key(self.read_key.next())
            self.key_updates.append(message.request_update)
        elif isinstance(message, NewSessionTicket):
            self.tickets.append(message)

    # --- Keys

    def derive_handshake_keys(self, shared_secret: bytes) -> None:
        """Once the transcript ends in ServerHello."""
        suite = self.suite
        zeros = bytes(suite.hash_length)
        early_secret = suite.hmac(zeros, zeros)
        self.handshake_secret = suite.hmac(
            suite.derive_secret(early_secret, b"derived", b""), shared_secret
        )
        self.client_handshake = self._traffic_key(self.handshake_secret, b"c hs traffic")
        self.server_handshake = self._traffic_key(self.handshake_secret, b"s hs traffic")

    def derive_application_keys(self) -> None:
        """Once the transcript ends in the server's Finished."""
        suite = self.suite
        zeros = bytes(suite.hash_length)
        self.master_secret = suite.hmac(
            suite.derive_secret(self.handshake_secret, b"derived", b""), zeros
        )
        self.client_application = self._traffic_key(self.master_secret, b"c ap traffic")
        self.server_application = self._traffic_key(self.master_secret, b"s ap traffic")
        self.exporter_secret = suite.derive_secret(
            self.master_secret, b"exp master", self.transcript
        )

    def _traffic_key(self, secret: bytes, label: bytes) -> TrafficKey:
        return TrafficKey(self.suite, self.suite.derive_secret(secret, label, self.transcript))

    def restart_transcript(self, client_hello: bytes) -> None:
        """RFC 8446, 4.4.1: with the hash of the first ClientHello."""
        self.transcript = Raw(HandshakeType.message_hash, self.suite.digest(client_hello)).encode()

    def update_write_key(self, request_update: int = 0) -> None:
        """Send a KeyUpdate, and change the key."""
        assert self.write_key is not None
        self.queue(KeyUpdate(request_update=request_update))
        self.set_write_key(self.write_key.next())

    # --- Authentication (RFC 8446, 4.4)

    def sign(
        self, scheme: int, context: bytes, *, credential: Any = None, salt_length: int | None = None
    ) -> bytes:
        """A signature over the transcript so far."""
        content = b" " * 64 + context + b"\0" + self.suite.digest(self.transcript)
        key = (credential or self.credential).key
        return key.sign(content, *signature_arguments(scheme, salt_length))

    def send_certificate(self, context: bytes) -> None:
        entries = [(der, []) for der in self.credential.chain_der] if self.credential else []
        self.step("certificate", Certificate(certificate_list=entries))
        if self.credential:
            assert self.scheme is not None
            signature = self.sign(self.scheme, context)
            self.step(
                "certificate_verify",
                CertificateVerify(algorithm=self.scheme, signature=signature),
            )

    def read_certificate(self, context: bytes, allowed: Sequence[int]) -> None:
        """Certificate and, where it is not empty, CertificateVerify."""
        certificate = self.receive(Certificate)
        assert certificate.certificate_request_context == b""
        self.peer_chain = [der for der, _ in certificate.certificate_list]
        if not self.peer_chain:
            return
        message = self.receive(CertificateVerify)
        assert message.algorithm in allowed
        content = b" " * 64 + context + b"\0" + self.suite.digest(self.before)
        key: Any = x509.load_der_x509_certificate(self.peer_chain[0]).public_key()
        key.verify(message.signature, content, *signature_arguments(message.algorithm))

    def read_finished(self, key: TrafficKey) -> None:
        message = self.receive(Finished)
        assert message.verify_data == key.finished(self.before), "Finished is wrong"


class ScriptedServer(Peer):
    """The server of a Connection that is a client. Points of the script, in their order:
    hello_retry_request, server_hello, encrypted_extensions, certificate_request, certificate,
    certificate_verify, finished.

    retry: the group that a HelloRetryRequest asks for; 0 for none. cookie: what it has as a cookie.
    Either makes the script send one. alpn: the protocol that EncryptedExtensions chooses.
    """

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        suite: int | None = None,
        group: int = NamedGroup.x25519,
        retry: int = 0,
        cookie: bytes | None = None,
        alpn: bytes | None = None,
        request_certificate: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(connection, bio, **options)
        self.chosen_suite = suite
        self.group = group
        self.retry = retry
        self.cookie = cookie
        self.alpn = alpn
        self.request_certificate = request_certificate

    def handshake(self) -> None:
        """The whole script; Refused or Silence where the connection does not go along."""
        self.read_client_hello()
        if self.retry or self.cookie is not None:
            self.send_hello_retry_request()
        self.send_server_hello()
        self.send_encrypted_flight()
        self.read_client_flight()
        self.settle()

    def read_client_hello(self) -> None:
        self.hello = self.receive(ClientHello)
        code = self.chosen_suite or self.hello.cipher_suites[0]
        self.suite = SUITES[code]

    def send_hello_retry_request(self) -> None:
        self.restart_transcript(self.transcript)
        message = ServerHello(
            random=HELLO_RETRY_REQUEST,
            legacy_session_id_echo=self.hello.legacy_session_id,
            cipher_suite=self.suite.code,
            extensions=[(ExtensionType.supported_versions, u16(TLS13))],
        )
        if self.retry:
            message.set(ExtensionType.key_share, u16(self.retry))
            self.group = self.retry
        if self.cookie is not None:
            message.set(ExtensionType.cookie, vector(2, self.cookie))
        self.step("hello_retry_request", message)
        if self.compatibility:
            self.send_change_cipher_spec()
        self.first_hello = self.hello
        self.hello = self.receive(ClientHello)

    def send_server_hello(self) -> None:
        shares = parse_key_shares(self.hello.extension(ExtensionType.key_share) or b"\0\0")
        share, secret = (
            respond(self.group, shares[self.group]) if self.group in shares else (b"?", b"")
        )
        self.step(
            "server_hello",
            ServerHello(
                legacy_session_id_echo=self.hello.legacy_session_id,
                cipher_suite=self.suite.code,
                extensions=[
                    (ExtensionType.supported_versions, u16(TLS13)),
                    (ExtensionType.key_share, key_share_entry(self.group, share)),
                ],
            ),
        )
        self.derive_handshake_keys(secret)
        self.end_flight()
        if self.compatibility and not self.retry and self.cookie is None:
            self.send_change_cipher_spec()
        self.set_write_key(self.server_handshake)

    def send_encrypted_flight(self) -> None:
        extensions = EncryptedExtensions()
        if self.alpn is not None:
            extensions.set(
                ExtensionType.application_layer_protocol_negotiation, protocol_names(self.alpn)
            )
        self.step("encrypted_extensions", extensions)
        if self.request_certificate:
            algorithms = vector(2, u16(*ALL_SCHEMES))
            self.step(
                "certificate_request",
                CertificateRequest(extensions=[(ExtensionType.signature_algorithms, algorithms)]),
            )
        self.send_certificate(SERVER_CONTEXT)
        verify_data = self.server_handshake.finished(self.transcript)
        self.step("finished", Finished(verify_data=verify_data))
        self.derive_application_keys()
        self.set_write_key(self.server_application)

    def read_client_flight(self) -> None:
        self.set_read_key(self.client_handshake)
        if self.request_certificate:
            self.read_certificate(CLIENT_CONTEXT, ALL_SCHEMES)
        self.read_finished(self.client_handshake)
        self.set_read_key(self.client_application)


class ScriptedClient(Peer):
    """The client of a Connection that is a server. Points of the script, in their order:
    client_hello, second_client_hello, certificate, certificate_verify, finished.

    early_data: contents of records that are sent as early data, with keys that the server does not
    have. The other options are what ClientHello offers.
    """

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        suites: Sequence[int] = tuple(SUITES),
        groups: Sequence[int] = (NamedGroup.x25519, NamedGroup.secp256r1),
        shares: Sequence[int] = (NamedGroup.x25519,),
        schemes: Sequence[int] = tuple(ALL_SCHEMES),
        alpn: Sequence[bytes] = (),
        name: str | None = None,
        early_data: Sequence[bytes] = (),
        **options: Any,
    ) -> None:
        super().__init__(connection, bio, **options)
        self.suites = suites
        self.groups = groups
        self.shared_groups = shares
        self.schemes = schemes
        self.alpn = alpn
        self.name = name
        self.early_data = early_data
        self.private_keys: dict[int, Any] = {}
        self.request: CertificateRequest | None = None
        self.retry: ServerHello | None = None

    def handshake(self) -> None:
        """The whole script; Refused or Silence where the connection does not go along."""
        self.send_client_hello()
        hello = self.receive(ServerHello)
        self.suite = SUITES[hello.cipher_suite]
        if hello.random == HELLO_RETRY_REQUEST:
            hello = self.answer_hello_retry_request(hello)
        self.read_server_hello(hello)
        self.read_encrypted_flight()
        self.send_client_flight()
        self.settle()

    def make_key_shares(self, groups: Sequence[int]) -> bytes:
        entries = []
        for group in groups:
            self.private_keys[group], share = generate(group)
            entries.append(key_share_entry(group, share))
        return vector(2, *entries)

    def make_client_hello(self) -> ClientHello:
        hello = ClientHello(
            legacy_session_id=os.urandom(32) if self.compatibility else b"",
            cipher_suites=list(self.suites),
        )
        if self.name is not None:
            hello.set(ExtensionType.server_name, server_name(self.name))
        hello.set(ExtensionType.supported_groups, vector(2, u16(*self.groups)))
        hello.set(ExtensionType.signature_algorithms, vector(2, u16(*self.schemes)))
        if self.alpn:
            names = protocol_names(*self.alpn)
            hello.set(ExtensionType.application_layer_protocol_negotiation, names)
        hello.set(ExtensionType.supported_versions, vector(1, u16(TLS13)))
        hello.set(ExtensionType.key_share, self.make_key_shares(self.shared_groups))
        if self.early_data:
            hello.set(ExtensionType.psk_key_exchange_modes, vector(1, b"\1"))
            hello.set(ExtensionType.early_data)
            hello.set(ExtensionType.pre_shared_key, offered_psks())
        return hello

    def send_client_hello(self) -> None:
        self.hello = self.make_client_hello()
        self.step("client_hello", self.hello)
        self.first_message = self.transcript
        if self.early_data:
            self.send_early_data(*self.early_data)

    def send_early_data(self, *contents: bytes) -> None:
        if self.compatibility:
            self.send_change_cipher_spec()
        key = TrafficKey(self.suite, os.urandom(32))
        for content in contents:
            self.send_data(content, key=key)

    def answer_hello_retry_request(self, retry: ServerHello) -> ServerHello:
        self.retry = retry
        request = self.transcript[len(self.first_message) :]
        self.restart_transcript(self.first_message)
        self.transcript += request
        hello = deepcopy(self.hello)
        hello.remove(ExtensionType.early_data)
        key_share = retry.extension(ExtensionType.key_share)
        if key_share is not None:
            hello.set(ExtensionType.key_share, self.make_key_shares(u16_list(key_share)))
        cookie = retry.extension(ExtensionType.cookie)
        if cookie is not None:
            hello.extensions.insert(0, (ExtensionType.cookie, cookie))
        if self.compatibility and not self.early_data:
            self.send_change_cipher_spec()
        self.hello = hello
        self.step("second_client_hello", hello)
        result: ServerHello = self.receive(ServerHello)
        assert result.random != HELLO_RETRY_REQUEST, "a second HelloRetryRequest"
        assert result.cipher_suite == retry.cipher_suite
        return result

    def read_server_hello(self, hello: ServerHello) -> None:
        assert hello.legacy_version == TLS12
        assert hello.legacy_session_id_echo == self.hello.legacy_session_id
        assert hello.legacy_compression_method == 0
        assert hello.cipher_suite in self.suites
        assert hello.extension(ExtensionType.supported_versions) == u16(TLS13)
        codes = {code for code, _ in hello.extensions or ()}
        assert codes == {ExtensionType.supported_versions, ExtensionType.key_share}
        cursor = Cursor(hello.extension(ExtensionType.key_share) or b"")
        self.group, share = cursor.number(2), cursor.vector(2)
        cursor.finish()
        self.derive_handshake_keys(exchange(self.group, self.private_keys[self.group], share))
        self.set_read_key(self.server_handshake)
        self.write_key = self.client_handshake

    def read_encrypted_flight(self) -> None:
        self.encrypted_extensions = self.receive(EncryptedExtensions)
        data = self.next_message()
        if data is not None and data[0] == CertificateRequest.type:
            self.request = parse_message(data)
            self.transcript += data
        elif data is not None:
            self.messages = data + self.messages
        self.read_certificate(SERVER_CONTEXT, self.schemes)
        self.read_finished(self.server_handshake)
        self.derive_application_keys()
        self.set_read_key(self.server_application)

    def send_client_flight(self) -> None:
        if self.compatibility and self.retry is None and not self.early_data:
            self.send_change_cipher_spec()
        if self.request is not None:
            self.send_certificate(CLIENT_CONTEXT)
        verify_data = self.client_handshake.finished(self.transcript)
        self.step("finished", Finished(verify_data=verify_data))
        self.set_write_key(self.client_application)


# --- What `at` is made of


def put(**fields: Any) -> At:
    """Set fields of the message; a function stands for what it makes of the old value."""

    def edit(peer: Peer, message: Any) -> None:
        for name, value in fields.items():
            old = getattr(message, name)
            setattr(message, name, value(old) if callable(value) else value)

    return edit


def with_extension(code: int, data: bytes | Callable[[bytes], bytes] = b"") -> At:
    """Replace an extension of the message, or add it; a function makes it from the old data."""

    def edit(peer: Peer, message: Any) -> None:
        message.set(code, data(message.extension(code)) if callable(data) else data)

    return edit


def without_extension(*codes: int) -> At:
    def edit(peer: Peer, message: Any) -> None:
        for code in codes:
            message.remove(code)

    return edit


def twice(code: int) -> At:
    """The extension a second time."""

    def edit(peer: Peer, message: Any) -> None:
        message.extensions.append((code, message.extension(code) or b""))

    return edit


def all_of(*edits: At) -> At:
    """Several changes of one message."""

    def edit(peer: Peer, message: Any) -> Any:
        result = None
        for each in edits:
            assert result is None, "only the last change may replace the message"
            result = each(peer, message)
        return result

    return edit


def instead(*messages: Message | bytes) -> At:
    """Other messages, or none, in the place of this one."""
    return lambda peer, message: list(messages)


def followed_by(*messages: Message | bytes) -> At:
    """Other messages, or parts of some, behind this one and in its record."""

    def edit(peer: Peer, message: Any) -> Any:
        peer.send(message)
        for each in messages:
            peer.queue(each)
        return []

    return edit


def cut(size: int) -> At:
    """The message without the bytes behind `size` of its body; its length says so."""

    def edit(peer: Peer, message: Any) -> bytes:
        data: bytes = message.encode()
        return data[:1] + vector(3, data[4:][:size])

    return edit


def mutated(seed: int) -> At:
    """The message with a few bytes changed, left out or put in; its length fits."""
    random = Random(seed)

    def edit(peer: Peer, message: Any) -> bytes:
        body = bytearray(message.encode()[4:])
        for _ in range(random.choice((1, 1, 2, 4))):
            at = random.randrange(len(body) + 1)
            body[at : at + random.randrange(2)] = random.randbytes(random.randrange(2))
        return u8(message.type) + vector(3, body)

    return edit


def before(action: Callable[[Any], Any]) -> At:
    """Something that the peer does before the message."""

    def edit(peer: Peer, message: Any) -> None:
        action(peer)

    return edit


def inside(action: Callable[[Any], Any]) -> At:
    """Something that the peer does in the middle of the message, between two records of it."""

    def edit(peer: Peer, message: Any) -> bytes:
        data: bytes = message.encode()
        peer.send(data[:3])
        action(peer)
        return data[3:]

    return edit
