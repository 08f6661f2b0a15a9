"""A TLS 1.2 peer that does what a test tells it to, right or wrong (RFC 5246).

It is the scripted peer of TLS 1.3 (scripted_peer) once more, for the other version: written from
the RFCs, in plain Python, sharing nothing with fasths but the names of the numbers.

    server = ScriptedServer12(connection, bio, credential=leaf)
    server.handshake()

`at` says what happens at the points of the script, and is made of the same parts. ChangeCipherSpec
is a step of its own, which changes the key of what follows:

    at={"change_cipher_spec": instead()}               # left out, and no key changes
    at={"change_cipher_spec": put(content=b"\2")}
    at={"server_key_exchange": signed(public=b"?")}    # with a signature that fits

What arrives is checked as well: a Connection that breaks a rule makes an AssertionError.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from scripted12_keys import (
    CLIENT,
    SERVER,
    SUITES12,
    Suite12,
    authentication_of,
)
from scripted12_messages import (
    NAMED_CURVE,
    OCSP,
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ChangeCipherSpec,
    ClientKeyExchange,
    NewSessionTicket12,
    RawPublicKey12,
    ServerHello12,
    ServerHelloDone,
    ServerKeyExchange,
)
from scripted12_records import RecordPeer12
from scripted_certificates import RAW_PUBLIC_KEY, X509, public_key_info, timestamp_list
from scripted_keys import DEFAULT_SCHEMES, exchange, generate, respond, signature_arguments
from scripted_messages import (
    TLS12,
    TLS13,
    CertificateVerify,
    ClientHello,
    Finished,
    key_share_entry,
    protocol_names,
    server_name,
    u8,
    u16,
    u16_list,
    vector,
)
from scripted_records import FATAL, At, Refused

from fasths import ExtensionType, HandshakeType, NamedGroup, SignatureScheme

E = ExtensionType
ALL_SCHEMES12 = tuple(SignatureScheme)
RENEGOTIATION_SCSV = 0x00FF
# RFC 8446, 4.1.3: what a server that has TLS 1.3 must say about this one.
DOWNGRADE_SENTINEL = b"DOWNGRD\1"


@dataclass(frozen=True)
class Session12:
    """What can be resumed, by its ticket or by its id."""

    suite: int
    master_secret: bytes
    extended_master_secret: bool = True
    session_id: bytes = b""
    ticket: bytes | None = None


def signed(**fields: Any) -> At:
    """A ServerKeyExchange with other fields, and a signature over them."""

    def edit(peer: Peer12, message: ServerKeyExchange) -> None:
        for name, value in fields.items():
            setattr(message, name, value(getattr(message, name)) if callable(value) else value)
        message.signature = peer.sign_key_exchange(message)

    return edit


class Peer12(RecordPeer12):
    """What both roles have in common.

    credential: what it shows; None: nothing. scheme: what it signs with. raw_public_key: whether it
    shows the key alone where that may be negotiated. extended_master_secret, renegotiation_info:
    whether it has these extensions.
    """

    role: bytes
    other_role: bytes
    suite: Suite12
    hello: ClientHello
    client_random: bytes
    server_random: bytes
    master_secret: bytes

    def __init__(
        self,
        *arguments: Any,
        credential: Any = None,
        scheme: int | None = None,
        raw_public_key: bool = False,
        extended_master_secret: bool = True,
        renegotiation_info: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.credential = credential
        if scheme is None and credential is not None:
            scheme = DEFAULT_SCHEMES[credential.key_type]
        self.scheme = scheme
        self.raw_public_key = raw_public_key
        # As negotiated by the hellos.
        self.own_certificate_type = self.peer_certificate_type = X509
        self.extended_master_secret = extended_master_secret
        self.renegotiation_info = renegotiation_info
        self.resumed = False
        # What the other side showed, in DER.
        self.peer_chain: list[bytes] = []
        # What can be resumed later.
        self.session: Session12 | None = None
        # RFC 5929, 3: of the first Finished.
        self.tls_unique: bytes | None = None

    # --- Keys

    def derive_master_secret(self, premaster: bytes) -> None:
        """Once the transcript ends in ClientKeyExchange."""
        if self.extended_master_secret:
            self.master_secret = self.suite.extended_master_secret(premaster, self.transcript)
        else:
            self.master_secret = self.suite.master_secret(
                premaster, self.client_random, self.server_random
            )
        self.derive_record_keys()

    def derive_record_keys(self) -> None:
        keys = self.suite.record_keys(self.master_secret, self.client_random, self.server_random)
        if self.role == SERVER:
            keys = keys[::-1]
        self.next_write_key, self.next_read_key = keys

    def export(self, label: bytes, context: bytes | None, length: int) -> bytes:
        return self.suite.export(
            self.master_secret, label, context, self.client_random, self.server_random, length
        )

    # --- Authentication

    def sign(self, content: bytes, scheme: int | None = None, credential: Any = None) -> bytes:
        arguments = signature_arguments(self.scheme if scheme is None else scheme)
        return bytes((credential or self.credential).key.sign(content, *arguments))

    def sign_key_exchange(self, message: ServerKeyExchange, **options: Any) -> bytes:
        """RFC 8422, 5.4."""
        randoms = self.client_random + self.server_random
        return self.sign(randoms + message.signed_params(), message.algorithm, **options)

    def verify_peer(self, algorithm: int, signature: bytes, content: bytes) -> None:
        key: Any
        if self.peer_certificate_type == RAW_PUBLIC_KEY:
            key = load_der_public_key(self.peer_chain[0])
        else:
            key = x509.load_der_x509_certificate(self.peer_chain[0]).public_key()
        key.verify(signature, content, *signature_arguments(algorithm))

    def send_certificate(self) -> None:
        if self.own_certificate_type == RAW_PUBLIC_KEY and self.credential:
            info = public_key_info(self.credential)
            self.step("certificate", RawPublicKey12(public_key_info=info))
            return
        chain = self.credential.chain_der if self.credential else []
        self.step("certificate", Certificate12(certificate_list=list(chain)))

    def read_certificate(self) -> None:
        if self.peer_certificate_type == RAW_PUBLIC_KEY:
            self.peer_chain = [self.receive(RawPublicKey12).public_key_info]
        else:
            self.peer_chain = self.receive(Certificate12).certificate_list

    # --- ChangeCipherSpec and Finished

    def send_finished(self) -> None:
        """With ChangeCipherSpec before it."""
        self.step("change_cipher_spec", ChangeCipherSpec())  # type: ignore[arg-type]
        verify_data = self.suite.verify_data(self.master_secret, self.role, self.transcript)
        self.tls_unique = self.tls_unique or verify_data
        self.step("finished", Finished(verify_data=verify_data))
        self.end_flight()

    def read_finished(self) -> None:
        """With ChangeCipherSpec before it."""
        self.receive_change_cipher_spec()
        message = self.receive(Finished)
        expected = self.suite.verify_data(self.master_secret, self.other_role, self.before)
        assert message.verify_data == expected, "Finished is wrong"
        self.tls_unique = self.tls_unique or expected

    def settle(self) -> None:
        """Deliver what is left, and see what comes back. Refused: a fatal alert."""
        self.turn()
        data = self.next_message()
        assert data is None, f"a message of type {(data or b'?')[0]} after the handshake"
        if any(alert.level == FATAL for alert in self.alerts):
            raise Refused


class ScriptedServer12(Peer12):
    """The server of a Connection that is a client. Points of the script, in their order:
    server_hello, certificate, certificate_status, server_key_exchange, certificate_request,
    server_hello_done, new_session_ticket, change_cipher_spec, finished.

    suite: the one it chooses; None: the client's first that the credential fits. group: of the key
    exchange. session_id: of a new session. tickets: whether it sends a NewSessionTicket to a client
    that can use one, also when a session is resumed. sessions: those that it knows.

    ocsp_response, timestamps: what it has for a client that asks. request_certificate,
    certificate_types, schemes, certificate_authorities: what it asks a client for.
    client_certificate_type: what it wants of those that the client has (RFC 7250, 4.2). alpn: the
    protocol that it chooses. point_formats: what it answers to a client that has some.
    """

    role, other_role = SERVER, CLIENT

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        suite: int | None = None,
        group: int = NamedGroup.x25519,
        session_id: bytes = b"",
        tickets: bool = False,
        sessions: Sequence[Session12] = (),
        ocsp_response: bytes | None = None,
        timestamps: Sequence[bytes] = (),
        request_certificate: bool = False,
        certificate_types: bytes = CertificateRequest12.certificate_types,
        schemes: Sequence[int] = ALL_SCHEMES12,
        certificate_authorities: Sequence[bytes] = (),
        client_certificate_type: int | None = None,
        alpn: bytes | None = None,
        point_formats: bytes | None = b"\0",
        **options: Any,
    ) -> None:
        super().__init__(connection, bio, **options)
        self.chosen_suite = suite
        self.group = group
        self.session_id = session_id
        self.tickets = tickets
        self.sessions = sessions
        self.ocsp_response = ocsp_response
        self.timestamps = timestamps
        self.request_certificate = request_certificate
        self.certificate_types = certificate_types
        self.schemes = schemes
        self.certificate_authorities = certificate_authorities
        self.client_certificate_type = client_certificate_type
        self.alpn = alpn
        self.point_formats = point_formats

    def handshake(self) -> None:
        """The whole script; Refused or Silence where the connection does not go along."""
        self.read_client_hello()
        self.send_server_hello()
        if self.resumed:
            self.send_last_flight()
            self.read_finished()
        else:
            self.send_first_flight()
            self.read_client_flight()
            self.send_last_flight()
        self.settle()

    # --- ClientHello

    def read_client_hello(self) -> None:
        self.hello = self.receive(ClientHello)
        self.check_client_hello()
        self.client_random = self.hello.random
        self.choose_session()
        if self.resumed:
            assert self.session is not None
            self.suite = SUITES12[self.chosen_suite or self.session.suite]
            self.master_secret = self.session.master_secret
        else:
            self.suite = SUITES12[self.chosen_suite or self.first_fitting_suite()]

    def check_client_hello(self) -> None:
        hello = self.hello
        assert hello.legacy_version == TLS12
        assert hello.legacy_compression_methods == b"\0"
        assert len(hello.legacy_session_id) <= 32
        versions = hello.extension(E.supported_versions)
        assert versions is None or TLS12 in u16_list(versions[1:])
        assert u16_list((hello.extension(E.signature_algorithms) or b"\0\0")[2:])
        assert u16_list((hello.extension(E.supported_groups) or b"\0\0")[2:])
        formats = hello.extension(E.ec_point_formats)
        # RFC 8422, 5.1.2
        assert formats is None or 0 in formats[1:]
        # RFC 5746, 3.4: one or the other.
        renegotiation_info = hello.extension(E.renegotiation_info)
        assert renegotiation_info in (None, b"\0")
        assert renegotiation_info or RENEGOTIATION_SCSV in hello.cipher_suites

    def first_fitting_suite(self) -> int:
        key_type = self.credential.key_type if self.credential else "ecdsa"
        authentication = "rsa" if key_type.startswith("rsa") else "ecdsa"
        return next(
            code
            for code in self.hello.cipher_suites
            if code in SUITES12 and SUITES12[code].authentication == authentication
        )

    def choose_session(self) -> None:
        ticket = self.hello.extension(E.session_ticket)
        for session in self.sessions:
            if ticket:
                known = session.ticket == ticket
            else:
                known = bool(session.session_id)
                known = known and session.session_id == self.hello.legacy_session_id
            if known:
                self.session = session
                self.resumed = True

    # --- ServerHello

    def make_server_hello(self) -> ServerHello12:
        hello = self.hello
        message = ServerHello12(
            legacy_session_id_echo=hello.legacy_session_id if self.resumed else self.session_id,
            cipher_suite=self.suite.code,
        )
        offered = {code for code, _ in hello.extensions or ()}
        if self.renegotiation_info:
            message.set(E.renegotiation_info, b"\0")
        if self.extended_master_secret and E.extended_master_secret in offered:
            message.set(E.extended_master_secret)
        if self.tickets and E.session_ticket in offered:
            message.set(E.session_ticket)
        if self.point_formats is not None and E.ec_point_formats in offered and not self.resumed:
            message.set(E.ec_point_formats, vector(1, self.point_formats))
        if self.alpn is not None:
            message.set(E.application_layer_protocol_negotiation, protocol_names(self.alpn))
        if not self.resumed:
            if self.ocsp_response is not None and E.status_request in offered:
                message.set(E.status_request)
            if self.timestamps and E.signed_certificate_timestamp in offered:
                message.set(E.signed_certificate_timestamp, timestamp_list(*self.timestamps))
            self.choose_certificate_types(message)
        limit = hello.extension(E.record_size_limit)
        if limit is not None and self.record_size_limit is not None:
            message.set(E.record_size_limit, u16(self.record_size_limit))
            other = min(int.from_bytes(limit, "big"), 1 << 14)
            self.negotiate_record_size_limit(self.record_size_limit, other)
        return message

    def choose_certificate_types(self, message: ServerHello12) -> None:
        """RFC 7250, 4.2."""
        types = self.hello.extension(E.server_certificate_type) or b"\0"
        if self.raw_public_key and RAW_PUBLIC_KEY in types[1:]:
            self.own_certificate_type = RAW_PUBLIC_KEY
            message.set(E.server_certificate_type, u8(RAW_PUBLIC_KEY))
        types = self.hello.extension(E.client_certificate_type) or b"\0"
        wanted = self.client_certificate_type
        if wanted is not None and wanted in types[1:]:
            self.peer_certificate_type = wanted
            message.set(E.client_certificate_type, u8(wanted))

    def send_server_hello(self) -> None:
        message = self.server_hello = self.make_server_hello()
        self.server_random = message.random
        self.step("server_hello", message)
        # What was said counts.
        self.server_random = message.random
        self.extended_master_secret = message.extension(E.extended_master_secret) is not None
        if self.resumed:
            self.derive_record_keys()

    # --- The flights

    def send_first_flight(self) -> None:
        self.send_certificate()
        if self.server_hello.extension(E.status_request) is not None:
            self.step("certificate_status", CertificateStatus(response=self.ocsp_response or b"?"))
        self.send_server_key_exchange()
        if self.request_certificate:
            self.step(
                "certificate_request",
                CertificateRequest12(
                    certificate_types=self.certificate_types,
                    supported_signature_algorithms=list(self.schemes),
                    certificate_authorities=list(self.certificate_authorities),
                ),
            )
        self.step("server_hello_done", ServerHelloDone())

    def send_server_key_exchange(self) -> None:
        self.private_key, public = generate(self.group)
        message = ServerKeyExchange(group=self.group, public=public, algorithm=self.scheme or 0)
        message.signature = self.sign_key_exchange(message)
        self.step("server_key_exchange", message)

    def read_client_flight(self) -> None:
        if self.request_certificate:
            self.read_certificate()
        message = self.receive(ClientKeyExchange)
        self.derive_master_secret(exchange(self.group, self.private_key, message.public))
        if self.peer_chain:
            message = self.receive(CertificateVerify)
            assert message.algorithm in self.schemes
            self.verify_peer(message.algorithm, message.signature, self.before)
        self.read_finished()
        self.session = Session12(
            self.suite.code, self.master_secret, self.extended_master_secret, self.session_id
        )

    def send_last_flight(self) -> None:
        if self.server_hello.extension(E.session_ticket) is not None:
            ticket = NewSessionTicket12(ticket=os.urandom(48))
            self.step("new_session_ticket", ticket)
            self.session = Session12(
                self.suite.code,
                self.master_secret,
                self.extended_master_secret,
                ticket=ticket.ticket,
            )
        self.send_finished()


class ScriptedClient12(Peer12):
    """The client of a Connection that is a server. Points of the script, in their order:
    client_hello, certificate, client_key_exchange, certificate_verify, change_cipher_spec,
    finished.

    versions: what supported_versions has; None: no such extension. suites, groups, schemes, alpn,
    name, server_certificate_types, client_certificate_types: what ClientHello offers. scsv: whether
    it says by a suite that it has renegotiation_info, which it does not send then. tickets: whether
    it has the session_ticket extension.

    session: what it wants to resume, by its ticket or else by its id. session_id: what it sends
    where that is not the session's; None: random bytes with a ticket or TLS 1.3, else none.
    """

    role, other_role = CLIENT, SERVER

    def __init__(
        self,
        connection: Any,
        bio: Any,
        *,
        versions: Sequence[int] | None = None,
        suites: Sequence[int] = tuple(SUITES12),
        groups: Sequence[int] = (NamedGroup.x25519, NamedGroup.secp256r1),
        schemes: Sequence[int] = ALL_SCHEMES12,
        alpn: Sequence[bytes] = (),
        name: str | None = None,
        server_certificate_types: Sequence[int] = (),
        client_certificate_types: Sequence[int] = (),
        scsv: bool = False,
        tickets: bool = False,
        session: Session12 | None = None,
        session_id: bytes | None = None,
        ask_status: bool = False,
        ask_timestamps: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(connection, bio, **options)
        self.versions = versions
        self.suites = suites
        self.groups = groups
        self.schemes = schemes
        self.alpn = alpn
        self.name = name
        self.server_certificate_types = server_certificate_types
        self.client_certificate_types = client_certificate_types
        self.scsv = scsv
        self.tickets = tickets
        self.offered_session = session
        if session_id is None:
            session_id = b""
            if session is not None and session.ticket is None:
                session_id = session.session_id
            elif session is not None or TLS13 in (versions or ()):
                session_id = os.urandom(32)
        self.session_id = session_id
        self.ask_status = ask_status
        self.ask_timestamps = ask_timestamps
        self.request: CertificateRequest12 | None = None
        self.ocsp_response: bytes | None = None
        self.ticket: NewSessionTicket12 | None = None

    def handshake(self) -> None:
        """The whole script; Refused or Silence where the connection does not go along."""
        self.send_client_hello()
        self.read_server_hello()
        if self.resumed:
            self.read_last_flight()
            self.send_finished()
        else:
            self.read_first_flight()
            self.send_client_flight()
            self.read_last_flight()
        self.keep_session()
        self.settle()

    # --- ClientHello

    def make_client_hello(self) -> ClientHello:
        suites = list(self.suites)
        if TLS13 in (self.versions or ()):
            suites[:0] = [0x1301, 0x1302, 0x1303]
        if self.scsv:
            suites.append(RENEGOTIATION_SCSV)
        hello = ClientHello(legacy_session_id=self.session_id, cipher_suites=suites)
        if self.name is not None:
            hello.set(E.server_name, server_name(self.name))
        if self.renegotiation_info and not self.scsv:
            hello.set(E.renegotiation_info, b"\0")
        if self.extended_master_secret:
            hello.set(E.extended_master_secret)
        hello.set(E.supported_groups, vector(2, u16(*self.groups)))
        hello.set(E.ec_point_formats, b"\1\0")
        hello.set(E.signature_algorithms, vector(2, u16(*self.schemes)))
        session = self.offered_session
        if self.tickets or (session is not None and session.ticket is not None):
            hello.set(E.session_ticket, session.ticket or b"" if session is not None else b"")
        if self.alpn:
            hello.set(E.application_layer_protocol_negotiation, protocol_names(*self.alpn))
        if self.ask_status:
            hello.set(E.status_request, u8(OCSP) + vector(2) + vector(2))
        if self.ask_timestamps:
            hello.set(E.signed_certificate_timestamp)
        for code, types in (
            (E.server_certificate_type, self.server_certificate_types),
            (E.client_certificate_type, self.client_certificate_types),
        ):
            if types:
                hello.set(code, vector(1, bytes(types)))
        if self.record_size_limit is not None:
            hello.set(E.record_size_limit, u16(self.record_size_limit))
        if self.versions is not None:
            hello.set(E.supported_versions, vector(1, u16(*self.versions)))
        if TLS13 in (self.versions or ()):
            _, share = generate(self.groups[0])
            hello.set(E.key_share, vector(2, key_share_entry(self.groups[0], share)))
        return hello

    def send_client_hello(self) -> None:
        self.hello = self.make_client_hello()
        self.step("client_hello", self.hello)
        self.client_random = self.hello.random

    # --- ServerHello

    def read_server_hello(self) -> None:
        message = self.server_hello = self.receive(ServerHello12)
        assert message.legacy_version == TLS12
        assert message.legacy_compression_method == 0
        assert message.cipher_suite in self.hello.cipher_suites
        self.suite = SUITES12[message.cipher_suite]
        self.server_random = message.random
        if TLS13 in (self.versions or ()):
            assert not message.random.endswith(DOWNGRADE_SENTINEL)
        self.check_extensions(message)
        echo = message.legacy_session_id_echo
        session = self.offered_session
        if session is None:
            assert not echo or echo != self.hello.legacy_session_id
        elif echo and echo == self.hello.legacy_session_id:
            self.resumed = True
        elif not echo and session.ticket is not None:
            # RFC 5077, 3.4: what follows tells.
            self.resumed = not self.next_is(HandshakeType.certificate)
        if self.resumed:
            self.resume(session)

    def check_extensions(self, message: ServerHello12) -> None:
        offered = {code for code, _ in self.hello.extensions or ()}
        if RENEGOTIATION_SCSV in self.hello.cipher_suites:
            offered.add(E.renegotiation_info)
        answered = {code for code, _ in message.extensions or ()}
        assert answered <= offered, "an extension that was not offered"
        # RFC 5746, 3.6, and RFC 7627, 5.2: whoever has these answers with them.
        for code in (E.renegotiation_info, E.extended_master_secret):
            assert code in answered or code not in offered
        assert message.extension(E.renegotiation_info) in (None, b"\0")
        for code in (E.extended_master_secret, E.session_ticket, E.status_request):
            assert message.extension(code) in (None, b"")
        self.extended_master_secret = E.extended_master_secret in answered
        self.peer_certificate_type = (message.extension(E.server_certificate_type) or b"\0")[0]
        assert self.peer_certificate_type in (*self.server_certificate_types, X509)
        self.own_certificate_type = (message.extension(E.client_certificate_type) or b"\0")[0]
        assert self.own_certificate_type in (*self.client_certificate_types, X509)
        limit = message.extension(E.record_size_limit)
        if limit is not None:
            assert self.record_size_limit is not None
            own = min(self.record_size_limit, 1 << 14)
            self.negotiate_record_size_limit(own, int.from_bytes(limit, "big"))

    def next_is(self, code: int) -> bool:
        """Whether this message comes next, and not ChangeCipherSpec or another one."""
        data = self.next_message() if self.messages or self.incoming[:1] == b"\x16" else None
        if data is None:
            return False
        self.messages = data + self.messages
        return data[0] == code

    def resume(self, session: Session12 | None) -> None:
        assert session is not None
        assert self.suite.code == session.suite
        # RFC 7627, 5.3
        assert self.extended_master_secret == session.extended_master_secret
        self.session = session
        self.master_secret = session.master_secret
        self.derive_record_keys()

    # --- The flights

    def read_first_flight(self) -> None:
        self.read_certificate()
        assert self.peer_chain
        if self.server_hello.extension(E.status_request) is not None:
            status = self.receive(CertificateStatus)
            assert status.status_type == OCSP
            self.ocsp_response = status.response
        self.read_server_key_exchange()
        message = self.receive(CertificateRequest12, ServerHelloDone)
        if isinstance(message, CertificateRequest12):
            self.request = message
            assert message.certificate_types
            assert message.supported_signature_algorithms
            self.receive(ServerHelloDone)

    def read_server_key_exchange(self) -> None:
        message = self.receive(ServerKeyExchange)
        assert message.curve_type == NAMED_CURVE
        assert message.group in self.groups
        assert message.algorithm in self.schemes
        assert authentication_of(message.algorithm) == self.suite.authentication
        content = self.client_random + self.server_random + message.signed_params()
        self.verify_peer(message.algorithm, message.signature, content)
        self.group = NamedGroup(message.group)
        self.peer_scheme = SignatureScheme(message.algorithm)
        self.public, self.premaster = respond(message.group, message.public)

    def send_client_flight(self) -> None:
        if self.request is not None:
            self.send_certificate()
        self.step("client_key_exchange", ClientKeyExchange(public=self.public))
        self.derive_master_secret(self.premaster)
        if self.request is not None and self.credential is not None:
            self.step("certificate_verify", self.certificate_verify())
        self.send_finished()

    def certificate_verify(self) -> CertificateVerify:
        """RFC 5246, 7.4.8: over all messages so far."""
        scheme = self.scheme or 0
        return CertificateVerify(algorithm=scheme, signature=self.sign(self.transcript))

    def read_last_flight(self) -> None:
        if self.server_hello.extension(E.session_ticket) is not None:
            self.ticket = self.receive(NewSessionTicket12)
        self.read_finished()

    def keep_session(self) -> None:
        session_id = self.server_hello.legacy_session_id_echo
        if self.ticket is not None and self.ticket.ticket:
            kept: dict[str, Any] = {"ticket": self.ticket.ticket}
        elif self.resumed or not session_id:
            return
        else:
            kept = {"session_id": session_id}
        self.session = Session12(
            self.suite.code, self.master_secret, self.extended_master_secret, **kept
        )
