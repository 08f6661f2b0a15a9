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
`send_raw()` any bytes. What arrives is checked as well: a Connection that breaks a rule makes an
AssertionError.

The records are in scripted_records, authentication in scripted_certificates, what comes after the
handshake in scripted_post_handshake, pre-shared keys in scripted_psk, and what `at` is made of in
scripted_edits. Here are the key schedule and the scripts of both roles.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from scripted_certificates import OCSP, RAW_PUBLIC_KEY, X509
from scripted_edits import all_of as all_of
from scripted_edits import before as before
from scripted_edits import cut as cut
from scripted_edits import followed_by as followed_by
from scripted_edits import inside as inside
from scripted_edits import instead as instead
from scripted_edits import mutated as mutated
from scripted_edits import put as put
from scripted_edits import twice as twice
from scripted_edits import with_extension as with_extension
from scripted_edits import without_extension as without_extension
from scripted_keys import (
    ALL_SCHEMES,
    CLIENT_CONTEXT,
    SERVER_CONTEXT,
    SUITES,
    TrafficKey,
    exchange,
    generate,
    respond,
)
from scripted_messages import (
    HELLO_RETRY_REQUEST,
    TLS12,
    TLS13,
    CertificateRequest,
    ClientHello,
    Cursor,
    EncryptedExtensions,
    EndOfEarlyData,
    KeyUpdate,
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
from scripted_post_handshake import PostHandshakePeer
from scripted_psk import PSK_DHE_KE, PSK_KE, OfferedPsks, Psk
from scripted_records import FATAL as FATAL
from scripted_records import MAX_PLAINTEXT as MAX_PLAINTEXT
from scripted_records import WARNING as WARNING
from scripted_records import Alert as Alert
from scripted_records import At as At
from scripted_records import Record as Record
from scripted_records import Refused as Refused
from scripted_records import Silence as Silence

from fasths import ExtensionType, HandshakeType, NamedGroup


class Peer(PostHandshakePeer):
    """What both roles have in common; the options are those of the classes below this one.

    psk: the one that this connection uses, and selected_identity its place in ClientHello.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.psk: Psk | None = None
        self.selected_identity: int | None = None
        # None: there was none to be accepted.
        self.early_data_accepted: bool | None = None

    # --- Keys

    def derive_handshake_keys(self, shared_secret: bytes | None) -> None:
        """Once the transcript ends in ServerHello. shared_secret: None with psk_ke."""
        suite = self.suite
        # RFC 8446, 7.1: zeros for what there is not.
        zeros = bytes(suite.hash_length)
        early_secret = suite.hmac(zeros, zeros if self.psk is None else self.psk.key)
        self.handshake_secret = suite.hmac(
            suite.derive_secret(early_secret, b"derived", b""),
            zeros if shared_secret is None else shared_secret,
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

    def derive_resumption_secret(self) -> None:
        """Once the transcript ends in the client's Finished."""
        self.handshake_transcript = self.transcript
        self.resumption_secret = self.suite.derive_secret(
            self.master_secret, b"res master", self.transcript
        )

    def derive_early_keys(self, psk: Psk) -> None:
        """Once the transcript ends in the first ClientHello."""
        self.client_early = psk.client_early_traffic_key(self.transcript)
        self.early_exporter_secret = psk.early_exporter_secret(self.transcript)

    def _traffic_key(self, secret: bytes, label: bytes) -> TrafficKey:
        return TrafficKey(self.suite, self.suite.derive_secret(secret, label, self.transcript))

    def restart_transcript(self, client_hello: bytes) -> None:
        """RFC 8446, 4.4.1: with the hash of the first ClientHello."""
        self.transcript = Raw(HandshakeType.message_hash, self.suite.digest(client_hello)).encode()


class ScriptedServer(Peer):
    """The server of a Connection that is a client. Points of the script, in their order:
    hello_retry_request, server_hello, encrypted_extensions, certificate_request, certificate,
    compressed_certificate, certificate_verify, finished.

    retry: the group that a HelloRetryRequest asks for; 0 for none. cookie: what it has as a cookie.
    Either makes the script send one. alpn: the protocol that EncryptedExtensions chooses.
    client_certificate_type: what it wants of those that the client has, in EncryptedExtensions.

    psks: those that the server knows. psk_modes: how it would use one, the best first.
    accept_early_data: whether it takes any that comes with the first of the client's PSKs.
    """

    post_handshake_messages = (KeyUpdate,)

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
        client_certificate_type: int | None = None,
        psks: Sequence[Psk] = (),
        psk_modes: Sequence[int] = (PSK_DHE_KE, PSK_KE),
        accept_early_data: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(connection, bio, **options)
        self.chosen_suite = suite
        self.group = group
        self.retry = retry
        self.cookie = cookie
        self.alpn = alpn
        self.request_certificate = request_certificate
        self.client_certificate_type = client_certificate_type
        self.psks = psks
        self.psk_modes = psk_modes
        self.psk_mode: int | None = None
        self.accept_early_data = accept_early_data
        self.offered: OfferedPsks | None = None

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
        known = self.read_offered_psks()
        suites = self.hello.cipher_suites
        preferred = [psk.suite.code for psk in known.values() if psk.suite.code in suites]
        self.suite = SUITES[self.chosen_suite or (preferred or suites)[0]]
        self.choose_psk(known)
        self.read_early_data_indication(known)

    def read_offered_psks(self) -> dict[int, Psk]:
        """The known ones among those that ClientHello offers, by their place."""
        self.offered = None
        data = self.hello.extension(ExtensionType.pre_shared_key)
        if data is None:
            return {}
        # RFC 8446, 4.2.9 and 4.2.11
        assert self.hello.extensions[-1][0] == ExtensionType.pre_shared_key, "it must be the last"
        assert self.hello.extension(ExtensionType.psk_key_exchange_modes) is not None
        self.offered = OfferedPsks.parse(data)
        truncated = self.before + self.offered.truncated(self.transcript[len(self.before) :])
        by_identity = {psk.identity: psk for psk in self.psks}
        known = {}
        for i, (identity, _) in enumerate(self.offered.identities):
            if identity in by_identity:
                psk = known[i] = by_identity[identity]
                assert self.offered.binders[i] == psk.binder(truncated), "a binder is wrong"
        return known

    def choose_psk(self, known: dict[int, Psk]) -> None:
        """The first one that fits the cipher suite."""
        self.psk = self.psk_mode = self.selected_identity = None
        modes = self.hello.extension(ExtensionType.psk_key_exchange_modes) or b"\0"
        fitting = [mode for mode in self.psk_modes if mode in modes[1:]]
        for i, psk in known.items():
            if fitting and psk.suite.hash == self.suite.hash:
                self.psk, self.psk_mode, self.selected_identity = psk, fitting[0], i
                return

    def read_early_data_indication(self, known: dict[int, Psk]) -> None:
        if self.hello.extension(ExtensionType.early_data) is None:
            return
        assert self.offered is not None, "early_data without pre_shared_key"
        if 0 in known:
            self.derive_early_keys(known[0])
            self.early_read_key = self.client_early
        else:
            self.skipping = True
        self.early_data_accepted = (
            self.accept_early_data
            and self.selected_identity == 0
            and self.suite.code == known[0].suite.code
        )

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
        # RFC 8446, 4.2.10: early data ends here.
        assert self.hello.extension(ExtensionType.early_data) is None
        self.early_read_key, self.skipping = None, False
        if self.early_data_accepted is not None:
            self.early_data_accepted = False
        self.choose_psk(self.read_offered_psks())

    def send_server_hello(self) -> None:
        shares = parse_key_shares(self.hello.extension(ExtensionType.key_share) or b"\0\0")
        share, secret = (
            respond(self.group, shares[self.group]) if self.group in shares else (b"?", b"")
        )
        message = ServerHello(
            legacy_session_id_echo=self.hello.legacy_session_id,
            cipher_suite=self.suite.code,
            extensions=[(ExtensionType.supported_versions, u16(TLS13))],
        )
        if self.psk_mode != PSK_KE:
            message.set(ExtensionType.key_share, key_share_entry(self.group, share))
        if self.selected_identity is not None:
            message.set(ExtensionType.pre_shared_key, u16(self.selected_identity))
        self.step("server_hello", message)
        self.derive_handshake_keys(None if self.psk_mode == PSK_KE else secret)
        self.end_flight()
        if self.compatibility and not self.retry and self.cookie is None:
            self.send_change_cipher_spec()
        self.set_write_key(self.server_handshake)

    def make_encrypted_extensions(self) -> EncryptedExtensions:
        message = EncryptedExtensions()
        if self.alpn is not None:
            message.set(
                ExtensionType.application_layer_protocol_negotiation, protocol_names(self.alpn)
            )
        if self.early_data_accepted:
            message.set(ExtensionType.early_data)
        types = self.hello.extension(ExtensionType.server_certificate_type) or b"\0"
        # RFC 7250, 4.2
        if self.raw_public_key and RAW_PUBLIC_KEY in types[1:]:
            self.own_certificate_type = RAW_PUBLIC_KEY
            message.set(ExtensionType.server_certificate_type, u8(RAW_PUBLIC_KEY))
        types = self.hello.extension(ExtensionType.client_certificate_type) or b"\0"
        wanted = self.client_certificate_type
        if wanted is not None and wanted in types[1:] and self.request_certificate:
            self.peer_certificate_type = wanted
            message.set(ExtensionType.client_certificate_type, u8(wanted))
        limit = self.hello.extension(ExtensionType.record_size_limit)
        if limit is not None and self.record_size_limit is not None:
            message.set(ExtensionType.record_size_limit, u16(self.record_size_limit))
            self.negotiate_record_size_limit(self.record_size_limit, int.from_bytes(limit, "big"))
        return message

    def send_encrypted_flight(self) -> None:
        self.step("encrypted_extensions", self.make_encrypted_extensions())
        # RFC 8446, 4.3.2 and 4.4.2: a PSK authenticates instead.
        if self.psk is None:
            if self.request_certificate:
                self.step("certificate_request", self.certificate_request())
            self.send_certificate(SERVER_CONTEXT)
        self.send_finished(self.server_handshake)
        self.derive_application_keys()
        self.set_write_key(self.server_application)

    def read_client_flight(self) -> None:
        self.set_read_key(self.client_handshake)
        if self.early_data_accepted:
            self.receive(EndOfEarlyData)
            assert self.records[-1].early, "EndOfEarlyData under the wrong key"
            assert not self.messages, "a handshake message reaches over a change of keys"
            self.early_read_key = None
        if self.request_certificate and self.psk is None:
            self.read_certificate(CLIENT_CONTEXT, ALL_SCHEMES)
        self.read_finished(self.client_handshake)
        self.derive_resumption_secret()
        self.early_read_key, self.skipping = None, False
        self.set_read_key(self.client_application)


class ScriptedClient(Peer):
    """The client of a Connection that is a server. Points of the script, in their order:
    client_hello, binders, second_client_hello, second_binders, end_of_early_data, certificate,
    compressed_certificate, certificate_verify, finished.

    A ClientHello passes its point with binders of zeros; then they are computed, and pass theirs
    as OfferedPsks. Where no binders of zeros are left, none are computed.

    psks: what is offered, and psk_modes how it may be used; None: psk_dhe_ke, where there is
    something to be used. early_data: contents of records that are sent as early data, with the
    first PSK; without one, with keys that the server does not have. post_handshake_auth,
    server_certificate_types, client_certificate_types and the others are what ClientHello offers.
    """

    post_handshake_messages = (KeyUpdate, NewSessionTicket, CertificateRequest)

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
        psks: Sequence[Psk] = (),
        psk_modes: Sequence[int] | None = None,
        post_handshake_auth: bool = False,
        server_certificate_types: Sequence[int] = (),
        client_certificate_types: Sequence[int] = (),
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
        self.psks = list(psks)
        if psk_modes is None:
            psk_modes = (PSK_DHE_KE,) if psks or early_data else ()
        self.psk_modes = psk_modes
        self.post_handshake_auth = post_handshake_auth
        self.server_certificate_types = server_certificate_types
        self.client_certificate_types = client_certificate_types
        self.delivers_early_data = bool(self.psks and early_data)
        self.private_keys: dict[int, Any] = {}
        self.request: CertificateRequest | None = None
        self.retry: ServerHello | None = None

    def handshake(self) -> None:
        """The whole script; Refused or Silence where the connection does not go along."""
        self.send_client_hello()
        self.finish_handshake()

    def finish_handshake(self) -> None:
        """The script behind the first ClientHello."""
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
        # RFC 6066, 8: of any responder, without extensions.
        self.ask(hello, u8(OCSP) + vector(2) + vector(2))
        if self.server_certificate_types:
            types = vector(1, bytes(self.server_certificate_types))
            hello.set(ExtensionType.server_certificate_type, types)
        if self.client_certificate_types:
            types = vector(1, bytes(self.client_certificate_types))
            hello.set(ExtensionType.client_certificate_type, types)
        if self.record_size_limit is not None:
            hello.set(ExtensionType.record_size_limit, u16(self.record_size_limit))
        if self.post_handshake_auth:
            hello.set(ExtensionType.post_handshake_auth)
        if self.psk_modes:
            hello.set(ExtensionType.psk_key_exchange_modes, vector(1, bytes(self.psk_modes)))
        if self.early_data:
            hello.set(ExtensionType.early_data)
        if self.psks:
            hello.set(ExtensionType.pre_shared_key, OfferedPsks.of(self.psks).encode())
        elif self.early_data:
            hello.set(ExtensionType.pre_shared_key, offered_psks())
        return hello

    def send_client_hello(self) -> None:
        self.hello = self.make_client_hello()
        self.step_client_hello("client_hello", "binders", self.hello)
        self.first_message = self.transcript
        if self.psks:
            self.derive_early_keys(self.psks[0])
        if self.early_data:
            self.send_early_data(*self.early_data)

    def step_client_hello(self, name: str, binders: str, hello: ClientHello) -> None:
        for each in self.edited(name, hello):
            if each is hello and self.lacks_binders(hello):
                offered = self.edited(binders, self.with_binders(hello))[0]
                hello.set(ExtensionType.pre_shared_key, offered.encode())
            self.send(each)

    def lacks_binders(self, hello: ClientHello) -> bool:
        """Whether it ends in the identities of our PSKs, and in zeros for their binders."""
        code, data = (hello.extensions or [(0, b"")])[-1]
        if not self.psks or code != ExtensionType.pre_shared_key or hello.trailing:
            return False
        offered = OfferedPsks.parse(data)
        return offered.binders == OfferedPsks.of(self.psks).binders

    def truncated_client_hello(self, hello: ClientHello) -> bytes:
        offered = OfferedPsks.parse(hello.extension(ExtensionType.pre_shared_key) or b"")
        return offered.truncated(hello.encode())

    def with_binders(self, hello: ClientHello) -> OfferedPsks:
        offered = OfferedPsks.parse(hello.extension(ExtensionType.pre_shared_key) or b"")
        transcript = self.transcript + self.truncated_client_hello(hello)
        offered.binders = [psk.binder(transcript) for psk in self.psks]
        return offered

    def send_early_data(self, *contents: bytes) -> None:
        if self.compatibility:
            self.send_change_cipher_spec()
        key = self.client_early if self.psks else TrafficKey(self.suite, os.urandom(32))
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
        if self.psks:
            # RFC 8446, 4.1.2: those that do not fit the cipher suite go.
            self.psks = [psk for psk in self.psks if psk.suite.hash == self.suite.hash]
            hello.remove(ExtensionType.pre_shared_key)
            if self.psks:
                hello.set(ExtensionType.pre_shared_key, OfferedPsks.of(self.psks).encode())
        if self.compatibility and not self.early_data:
            self.send_change_cipher_spec()
        self.hello = hello
        self.step_client_hello("second_client_hello", "second_binders", hello)
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
        codes = {ExtensionType.supported_versions, ExtensionType.key_share}
        selected = hello.extension(ExtensionType.pre_shared_key)
        if selected is not None:
            codes.add(ExtensionType.pre_shared_key)
            self.read_selected_identity(hello, selected)
        key_share = hello.extension(ExtensionType.key_share)
        shared_secret = None
        if self.psk is None or PSK_KE not in self.psk_modes or key_share is not None:
            assert self.psk is None or PSK_DHE_KE in self.psk_modes
            cursor = Cursor(key_share or b"")
            self.group, share = cursor.number(2), cursor.vector(2)
            cursor.finish()
            shared_secret = exchange(self.group, self.private_keys[self.group], share)
        else:
            codes.remove(ExtensionType.key_share)
        assert {code for code, _ in hello.extensions or ()} == codes
        self.derive_handshake_keys(shared_secret)
        self.set_read_key(self.server_handshake)
        self.write_key = self.client_handshake

    def read_selected_identity(self, hello: ServerHello, selected: bytes) -> None:
        assert len(selected) == 2
        self.selected_identity = int.from_bytes(selected, "big")
        assert self.selected_identity < len(self.psks)
        self.psk = self.psks[self.selected_identity]
        assert self.psk.suite.hash == SUITES[hello.cipher_suite].hash

    def read_encrypted_extensions(self) -> None:
        message = self.encrypted_extensions = self.receive(EncryptedExtensions)
        if self.early_data:
            accepted = message.extension(ExtensionType.early_data)
            self.early_data_accepted = accepted is not None
        if self.early_data_accepted:
            assert accepted == b""
            assert self.retry is None
            # RFC 8446, 4.2.10
            assert self.selected_identity == 0
            assert self.suite.code == self.psks[0].suite.code
            self.write_key = self.client_early
        self.peer_certificate_type = self.negotiated_type(
            ExtensionType.server_certificate_type, self.server_certificate_types
        )
        self.own_certificate_type = self.negotiated_type(
            ExtensionType.client_certificate_type, self.client_certificate_types
        )
        limit = message.extension(ExtensionType.record_size_limit)
        if limit is not None:
            own = self.hello.extension(ExtensionType.record_size_limit)
            assert own is not None, "record_size_limit was not offered"
            assert len(limit) == 2
            self.negotiate_record_size_limit(
                int.from_bytes(own, "big"), int.from_bytes(limit, "big")
            )

    def negotiated_type(self, code: int, offered: Sequence[int]) -> int:
        data = self.encrypted_extensions.extension(code)
        if data is None:
            return X509
        assert len(data) == 1
        assert data[0] in offered
        return data[0]

    def read_encrypted_flight(self) -> None:
        self.read_encrypted_extensions()
        if self.psk is None:
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
        if self.early_data_accepted:
            self.step("end_of_early_data", EndOfEarlyData())
            self.set_write_key(self.client_handshake)
        if self.request is not None:
            self.send_certificate(CLIENT_CONTEXT)
        self.send_finished(self.client_handshake)
        self.derive_resumption_secret()
        self.set_write_key(self.client_application)
