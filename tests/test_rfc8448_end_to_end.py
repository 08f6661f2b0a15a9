"""The example handshakes of RFC 8448 against the whole engine, as a client and as a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import rfc8448
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding
from rfc8448 import (
    CLIENT_AUTHENTICATION,
    COMPATIBILITY,
    FULL,
    RESUMED,
    RETRIED,
    SIMPLE,
    Record,
    Trace,
    of_traces,
)
from session_bytes import session_bytes

from fasths._core import Engine
from fasths.crypto import groups
from fasths.crypto.aead import find_suite
from fasths.crypto.certificates import signature_schemes
from fasths.crypto.key_schedule import HASHES, EarlySecret, TrafficSecret, Transcript
from fasths.crypto.signatures import verify
from fasths.handshake import server13
from fasths.handshake.configuration import Configuration
from fasths.handshake.session import Session
from fasths.record.protection import opening_key, sealing_key
from fasths.session_store import MemorySessionStore
from fasths.wire import messages
from fasths.wire.codes import (
    AlertDescription,
    CipherSuite,
    ContentType,
    HandshakeType,
    NamedGroup,
    PskKeyExchangeMode,
    SignatureScheme,
    SSLErrorCode,
    StaplePolicy,
    TLSVersion,
    Verify,
)
from fasths.wire.errors import BadRecordMac, DecryptError, IllegalParameter
from fasths.wire.limits import Limits

HANDSHAKE = ContentType.handshake
EARLY = "early application data"
SHA256 = HASHES["sha256"]
AES_128_GCM = find_suite(CipherSuite.TLS_AES_128_GCM_SHA256)
GROUPS = (NamedGroup.x25519, NamedGroup.secp256r1)
SCHEMES = (SignatureScheme.ecdsa_secp256r1_sha256, SignatureScheme.rsa_pss_rsae_sha256)


def open_records(trace: Trace, secret: str, data: bytes) -> list[tuple[int, bytes]]:
    """The content type and content of records under one of the trace's secrets."""
    key = opening_key(AES_128_GCM, TrafficSecret(SHA256, trace.secret(secret)))
    inner = [key.open_record(record) for record in rfc8448.split_records(data)]
    return [(plaintext[-1], plaintext[:-1]) for plaintext in inner]


def plaintext_records(data: bytes) -> list[tuple[int, bytes]]:
    return [(record[0], record[5:]) for record in rfc8448.split_records(data)]


# --- The client


class TraceKey:
    """Signs what the trace signed, with the trace's signature.

    Signatures are randomised and the key of the client's certificate is not published, so nothing
    can be signed again. That the content asked for is the one that the trace signed is checked with
    the certificate.
    """

    def __init__(self, trace: Trace, side: str) -> None:
        chain = messages.decode_certificate(
            trace.message(side, HandshakeType.certificate), 1
        ).certificates
        self.certificate = x509.load_der_x509_certificate(chain[0])
        self.schemes = signature_schemes(self.certificate)
        signed = messages.decode_certificate_verify(
            trace.message(side, HandshakeType.certificate_verify)
        )
        self.scheme, self.signature = signed.algorithm, signed.signature

    def sign(self, content: bytes, *_parameters: object) -> bytes:
        key = self.certificate.public_key()
        verify(key, self.schemes, self.scheme, self.signature, content)
        return self.signature


@dataclass(frozen=True)
class TraceIdentity:
    """What an Identity is to the handshake."""

    certificates: tuple[bytes, ...]
    private_key: object
    signature_schemes: tuple[int, ...]
    chain_signature_schemes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    wildcard_domains: tuple[str, ...] = ()
    is_raw_public_key: bool = False
    signer: None = None
    ocsp_response: None = None
    signed_certificate_timestamps: tuple[bytes, ...] = ()
    digest: bytes = b"digest"


def trace_identity(trace: Trace, side: str) -> TraceIdentity:
    key = TraceKey(trace, side)
    return TraceIdentity((key.certificate.public_bytes(Encoding.DER),), key, (key.scheme,))


def configuration(**changes: object) -> Configuration:
    """The parameters of the traces. No chain is verified: their certificates have expired."""
    parameters: dict[str, object] = {
        "versions": (TLSVersion.TLSv1_3,),
        "cipher_suites": (
            CipherSuite.TLS_AES_128_GCM_SHA256,
            CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
            CipherSuite.TLS_AES_256_GCM_SHA384,
        ),
        "groups": GROUPS,
        "key_share_groups": (NamedGroup.x25519,),
        "signature_schemes": SCHEMES,
        "certificate_signature_schemes": SCHEMES,
        "certificate_only_schemes": (),
        "protocol_names": (),
        "identities": (),
        "peer_verifier": None,
        "staple_checker": None,
        "staple_policy": StaplePolicy.IGNORE,
        "client_verify": Verify.NONE,
        "server_verify": Verify.NONE,
        "trusted_public_keys": (),
        "takes_certificates": True,
        "certificate_authorities": (),
        "certificate_compression": (),
        "post_handshake_auth": False,
        "retry_with_cookie": False,
        "keylog": None,
        "client_hello_callback": None,
        "identity_callback": None,
        "verify_callback": None,
        "psk_callback": None,
        "session_tickets": 0,
        "session_tickets_with_data": False,
        "ticket_keys": None,
        "session_store": MemorySessionStore(),
        "session_cache": None,
        "session_lifetime": 30,
        "external_psks": (),
        "psk_key_exchange_modes": (PskKeyExchangeMode.psk_dhe_ke,),
        "max_early_data_size": 0,
        "early_data_window": 10.0,
        "record_size_limit": 0,
        "record_padding": 0,
        "dynamic_record_sizing": False,
        "require_extended_master_secret": False,
        "limits": Limits(),
    }
    return Configuration(**(parameters | changes))


class Driver:
    """An engine, with the transport in the test's hands."""

    def __init__(self, config: Configuration, by_server: bool) -> None:
        name = None if by_server else "server"
        self.engine = Engine(config, by_server, name and name.encode(), name, None, None, None)
        self.output = b""

    def receive(self, data: bytes) -> None:
        space = memoryview(self.engine.space())
        space[: len(data)] = data
        space.release()
        self.engine.filled(len(data))

    def do_handshake(self) -> int:
        code = self.engine.do_handshake()
        self.take_output()
        return code

    def take_output(self) -> None:
        if self.engine.has_output():
            output = bytes(self.engine.output())
            self.engine.output_taken(len(output))
            self.output += output

    def send(self, record: Record) -> None:
        """Bring the engine to send what the record has, where it does not do so by itself."""
        if record.epoch == EARLY and record.content_type != HANDSHAKE:
            assert self.engine.write_early_data(record.payload)
        elif record.content_type == ContentType.application_data:
            assert self.engine.write(record.payload, 0) == len(record.payload)
        elif record.content_type == ContentType.alert:
            assert record.payload == b"\1\0"
            self.engine.send_close_notify()
        self.take_output()

    def read(self, record: Record) -> None:
        """Hand over a record that arrives after the handshake, and check what comes out."""
        self.receive(record.complete)
        if record.content_type == ContentType.application_data:
            assert self.engine.fetch() == SSLErrorCode.NONE
            assert self.engine.take(1 << 14) == record.payload
        elif record.content_type == ContentType.alert:
            assert self.engine.fetch() == SSLErrorCode.ZERO_RETURN
        else:
            assert self.engine.fetch() == SSLErrorCode.WANT_READ
        assert self.engine.error is None


def client_of(trace: Trace, **changes: object) -> Driver:
    """The client of a trace; that of section 4 with the session that section 3 gave it."""
    client = Driver(configuration(**changes), False)
    hellos = [
        message
        for _, message in trace.messages("client")
        if message[0] == HandshakeType.client_hello
    ]
    keys = {
        NamedGroup.x25519 if "x25519" in step.action else NamedGroup.secp256r1: step["private key"]
        for step in trace.private_keys("client")
    }
    session = trace_session() if trace.section == RESUMED else None
    client.engine.engine_handshake.start_with(hellos, keys, session)
    return client


def start_client(trace: Trace, **changes: object) -> Driver:
    client = client_of(trace, **changes)
    assert client.do_handshake() == SSLErrorCode.WANT_READ
    return client


def trace_session() -> Session:
    """What the client of section 3 keeps of the ticket that it gets."""
    trace = rfc8448.traces()[SIMPLE]
    client = start_client(trace)
    for record in server_records(trace):
        if not client.engine.established:
            client.receive(record.complete)
            client.do_handshake()
        else:
            client.read(record)
            if client.engine.outcome.sessions:
                break
    (session,) = client.engine.outcome.sessions
    return session


EARLY_SECRETS = (
    ("CLIENT_EARLY_TRAFFIC_SECRET", "c e traffic"),
    ("EARLY_EXPORTER_SECRET", "e exp master"),
)


def key_log(trace: Trace) -> list[str]:
    client_random = trace.message("client", HandshakeType.client_hello)[6:38].hex()
    return [
        f"{label} {client_random} {trace.secret(secret).hex()}"
        for label, secret in (
            *(EARLY_SECRETS if trace.section == RESUMED else ()),
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "c hs traffic"),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "s hs traffic"),
            ("CLIENT_TRAFFIC_SECRET_0", "c ap traffic"),
            ("SERVER_TRAFFIC_SECRET_0", "s ap traffic"),
            ("EXPORTER_SECRET", "exp master"),
        )
    ]


@pytest.mark.parametrize("cut", [False, True], ids=["records-at-once", "octet-by-octet"])
@of_traces(*FULL, RESUMED)
def test_client(trace: Trace, cut: bool) -> None:
    """From the same ClientHello and private key, the client sends the same records as the trace.

    The one thing that is given to it besides is the signature of its CertificateVerify (TraceKey).
    """
    log: list[str] = []
    certified = trace.section == CLIENT_AUTHENTICATION
    identities = (trace_identity(trace, "client"),) if certified else ()
    client = start_client(trace, identities=identities, keylog=log.append)
    engine = client.engine
    for record in trace.records():
        if record.side == "client":
            client.send(record)
            assert client.output[: len(record.complete)] == record.complete
            client.output = client.output[len(record.complete) :]
        elif engine.established:
            client.read(record)
        else:
            assert client.output == b""
            for size in range(len(record.complete)) if cut else ():
                client.receive(record.complete[size : size + 1])
                if size + 1 < len(record.complete):
                    assert client.do_handshake() == SSLErrorCode.WANT_READ
                    assert client.output == b""
            if not cut:
                client.receive(record.complete)
            assert client.do_handshake() in (SSLErrorCode.NONE, SSLErrorCode.WANT_READ)
    assert client.output == b""
    assert engine.error is None
    assert engine.established
    assert engine.close_notify_sent
    assert engine.close_notify_received
    assert engine.outcome.suite.code == CipherSuite.TLS_AES_128_GCM_SHA256
    group = NamedGroup.secp256r1 if trace.section == RETRIED else NamedGroup.x25519
    assert engine.outcome.group == group
    resumed = trace.section == RESUMED
    assert engine.outcome.resumed == resumed
    assert engine.outcome.early_data_accepted == engine.outcome.early_data_offered == resumed
    if resumed:
        # The certificate is the one of section 3; nobody signs anything.
        trace_of_the_server = rfc8448.traces()[SIMPLE]
        assert engine.outcome.signature_scheme == 0
        assert engine.outcome.early_exporter_secret == trace.secret("e exp master")
    else:
        trace_of_the_server = trace
        assert engine.outcome.signature_scheme == TraceKey(trace, "server").scheme
        assert engine.outcome.early_exporter_secret is None
    identity = trace_identity(trace_of_the_server, "server")
    assert engine.outcome.peer_certificates == identity.certificates
    assert engine.outcome.exporter_secret == trace.secret("exp master")
    assert engine.outcome.protocol_name is None
    assert log == key_log(trace)
    tickets = [m for _, m in trace.messages("server") if m[0] == HandshakeType.new_session_ticket]
    assert len(engine.outcome.sessions or ()) == len(tickets) == (trace.section == SIMPLE)


def test_session_of_the_client() -> None:
    """What the client keeps of the ticket of section 3, byte for byte."""
    first = rfc8448.traces()[SIMPLE]
    ticket = messages.decode_new_session_ticket(
        first.message("server", HandshakeType.new_session_ticket)
    )
    before = time.time()
    session = trace_session()
    assert before <= session.created <= time.time()
    assert session.authenticated == pytest.approx(session.created, abs=5)
    assert session.lifetime == 30
    assert session.expires == session.created + 30
    assert session.ticket == ticket.ticket
    assert session.ticket_age_add == 0xFAD6AAC5
    assert session.max_early_data_size == 1024
    assert session.server_name == "server"
    assert session.alpn_protocol is None
    assert session.cipher_suite == CipherSuite.TLS_AES_128_GCM_SHA256
    assert session.peer_certificates == trace_identity(first, "server").certificates
    psk = first.one('generate resumption secret "tls13 resumption"')["expanded"]
    assert session.to_bytes()[5:38] == bytes((32,)) + psk


def test_client_whose_early_data_is_more_than_the_ticket_permits() -> None:
    client = start_client(rfc8448.traces()[RESUMED])
    client.output = b""
    assert client.engine.early_data_room == 1024
    assert client.engine.write_early_data(bytes(1000))
    assert not client.engine.write_early_data(bytes(25))
    assert client.engine.write_early_data(bytes(24))
    assert not client.engine.write_early_data(b"x")
    client.take_output()
    opened = open_records(rfc8448.traces()[RESUMED], "c e traffic", client.output)
    assert opened == [(ContentType.application_data, bytes(n)) for n in (1000, 24)]


def test_client_without_a_certificate() -> None:
    """RFC 8446, 4.4.2: a client that is asked and has none says so, and finishes all the same."""
    trace = rfc8448.traces()[CLIENT_AUTHENTICATION]
    client = start_client(trace)
    for record in trace.records():
        if record.side == "server" and not client.engine.established:
            client.receive(record.complete)
            client.do_handshake()
    assert client.engine.established
    records = [r.complete for r in trace.records() if r.side == "client"]
    sent = client.output
    assert sent.startswith(records[0])
    ((content_type, payload),) = open_records(trace, "c hs traffic", sent[len(records[0]) :])
    assert content_type == ContentType.handshake
    certificate, finished = rfc8448.split_messages(payload)
    assert certificate == messages.encode_certificate(b"", ())
    assert messages.decode_finished(finished, SHA256.length)


def server_records(trace: Trace) -> list[Record]:
    return [record for record in trace.records() if record.side == "server"]


@of_traces(*FULL, RESUMED)
def test_client_refuses_a_changed_record(trace: Trace) -> None:
    """Each octet of the server's protected flight counts; the alert goes out once."""
    # While a client may send early data, that has the key that it writes with.
    secret = "c e traffic" if trace.section == RESUMED else "c hs traffic"
    flight = next(r for r in server_records(trace) if r.epoch == "handshake data")
    for at in (5, len(flight.complete) // 2, len(flight.complete) - 1):
        client = start_client(trace)
        for record in server_records(trace):
            if record == flight:
                break
            client.receive(record.complete)
            assert client.do_handshake() == SSLErrorCode.WANT_READ
        client.output = b""
        data = bytearray(flight.complete)
        data[at] ^= 0x40
        client.receive(bytes(data))
        assert client.do_handshake() == SSLErrorCode.SSL
        assert isinstance(client.engine.error, BadRecordMac)
        alert = bytes((2, AlertDescription.bad_record_mac))
        assert open_records(trace, secret, client.output) == [(ContentType.alert, alert)]
        client.output = b""
        assert client.do_handshake() == SSLErrorCode.SSL
        assert client.output == b""


@pytest.mark.parametrize(
    ("trace", "handshake_type"),
    [
        pytest.param(rfc8448.traces()[n], kind, id=f"{kind.name}-{n}")
        for n in (*FULL, RESUMED)
        for kind in (HandshakeType.certificate_verify, HandshakeType.finished)
        if n != RESUMED or kind == HandshakeType.finished
    ],
)
def test_client_refuses_a_changed_message(trace: Trace, handshake_type: int) -> None:
    """A flight that is sealed well, but whose signature or Finished is wrong."""
    client = start_client(trace)
    for record in server_records(trace):
        if record.epoch == "handshake data":
            changed = b"".join(
                message[:-1] + bytes((message[-1] ^ 1,))
                if message[0] == handshake_type
                else message
                for message in rfc8448.split_messages(record.payload)
            )
            secret = TrafficSecret(SHA256, trace.secret("s hs traffic"))
            key = sealing_key(AES_128_GCM, secret, 1)
            client.receive(key.seal_record(ContentType.handshake, changed))
            break
        client.receive(record.complete)
        assert client.do_handshake() == SSLErrorCode.WANT_READ
    assert client.do_handshake() == SSLErrorCode.SSL
    assert isinstance(client.engine.error, DecryptError)
    assert not client.engine.established


# --- The server
#
# Random and private keys are given to the server where it asks for them. EncryptedExtensions then
# differs: the server of the traces answers with extensions that ours does not send. So ServerHello
# and the secrets that follow from it are the trace's; what is signed or made later is not.


@pytest.fixture
def given_to_the_server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trace], None]:
    def give(trace: Trace) -> None:
        key = x25519.X25519PrivateKey.from_private_bytes(
            trace.private_keys("server")[0]["private key"]
        )
        random = trace.message("server", HandshakeType.server_hello)[6:38]
        generate = SimpleNamespace(generate=lambda: key)
        monkeypatch.setattr(groups, "X25519PrivateKey", generate)
        monkeypatch.setattr(server13, "os", SimpleNamespace(urandom=lambda size: random[:size]))

    return give


class TraceTickets:
    """Opens the ticket of section 3, whose real keys nobody knows."""

    def __init__(self, replay_scope: bytes) -> None:
        trace = rfc8448.traces()[SIMPLE]
        sent = messages.decode_new_session_ticket(
            trace.message("server", HandshakeType.new_session_ticket)
        )
        self.ticket = sent.ticket
        self.state = session_bytes(
            secret=trace.one('generate resumption secret "tls13 resumption"')["expanded"],
            # The ClientHello of section 4 claims that it is as old as that.
            created=time.time() - 0.006,
            lifetime=sent.ticket_lifetime,
            ticket_age_add=sent.ticket_age_add,
            max_early_data_size=sent.max_early_data_size,
            server_name=b"server",
            replay_scope=replay_scope,
            ticket=b"",
        )

    def open(self, ticket: bytes) -> tuple[bytes, bool] | None:
        return (bytes(self.state), False) if ticket == self.ticket else None


def server_identity(trace: Trace) -> TraceIdentity:
    return replace(trace_identity(trace, "server"), private_key=rfc8448.server_private_key())


@of_traces(SIMPLE, COMPATIBILITY)
def test_server(trace: Trace, given_to_the_server: Callable[[Trace], None]) -> None:
    given_to_the_server(trace)
    log: list[str] = []
    config = configuration(identities=(server_identity(trace),), keylog=log.append)
    server = Driver(config, True)
    server.receive(trace.records()[0].complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    assert log[:2] == key_log(trace)[:2]

    plain = b"".join(r.complete for r in server_records(trace) if r.epoch is None)
    assert server.output.startswith(plain)
    ((content_type, payload),) = open_records(trace, "s hs traffic", server.output[len(plain) :])
    assert content_type == ContentType.handshake
    sent = list(rfc8448.split_messages(payload))
    assert [message[0] for message in sent] == [
        HandshakeType.encrypted_extensions,
        HandshakeType.certificate,
        HandshakeType.certificate_verify,
        HandshakeType.finished,
    ]
    assert sent[1] == trace.message("server", HandshakeType.certificate)
    # The signature differs, but has the trace's scheme and length.
    assert sent[2][:8] == trace.message("server", HandshakeType.certificate_verify)[:8]


def test_server_of_the_resumed_trace(given_to_the_server: Callable[[Trace], None]) -> None:
    """The server resumes section 3's session from the ClientHello of section 4, takes its early
    data, and nothing when the same flight comes again.

    ServerHello differs in the order of its extensions, EncryptedExtensions in what there is. So
    the secrets of early data are the trace's; those that follow come from the same Early Secret.
    """
    trace = rfc8448.traces()[RESUMED]
    log: list[str] = []
    store = MemorySessionStore()
    config = configuration(
        identities=(server_identity(rfc8448.traces()[SIMPLE]),),
        ticket_keys=TraceTickets(store.scope),
        session_store=store,
        max_early_data_size=1024,
        keylog=log.append,
    )
    given_to_the_server(trace)
    hello, early_data, end_of_early_data = [
        r for r in trace.records() if r.side == "client" and r.epoch in (None, EARLY)
    ]

    server = Driver(config, True)
    server.receive(hello.complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    assert server.engine.outcome.resumed
    assert server.engine.outcome.early_data_accepted
    assert log[:2] == key_log(trace)[:2]
    assert server.engine.outcome.early_exporter_secret == trace.secret("e exp master")
    assert check_resumed_flight(trace, server.output, log[2:]).early_data
    server.receive(early_data.complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    assert server.engine.take_early_data_received(1024) == early_data.payload
    assert not server.engine.early_data_is_over
    server.receive(end_of_early_data.complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    assert server.engine.early_data_is_over

    # RFC 8446, 8: a replay.
    log.clear()
    server = Driver(config, True)
    server.receive(hello.complete + early_data.complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    assert server.engine.outcome.resumed
    assert not server.engine.outcome.early_data_accepted
    assert not check_resumed_flight(trace, server.output, log).early_data
    assert server.engine.take_early_data_received(1024) == b""
    assert server.engine.early_data_is_over


def check_resumed_flight(
    trace: Trace, output: bytes, log: list[str]
) -> messages.EncryptedExtensions:
    """ServerHello to Finished, under keys that follow from the trace's Early Secret."""
    hello, *protected = rfc8448.split_records(output)
    published = messages.decode_server_hello(trace.message("server", HandshakeType.server_hello))
    decoded = messages.decode_server_hello(hello[5:])
    for field in ("random", "cipher_suite", "group", "key_exchange", "selected_identity"):
        assert getattr(decoded, field) == getattr(published, field), field
    assert sorted(decoded.extension_types) == sorted(published.extension_types)

    transcript = Transcript(SHA256)
    transcript.update(trace.message("client", HandshakeType.client_hello))
    transcript.update(hello[5:])
    early = EarlySecret(SHA256, trace.one('extract secret "early"')["IKM"])
    handshake = early.handshake_secret(trace.one('extract secret "handshake"')["IKM"])
    client = handshake.client_handshake_traffic_secret(transcript.digest())
    server = handshake.server_handshake_traffic_secret(transcript.digest())
    assert [line.split()[2] for line in log[:2]] == [
        client.reveal().hex(),
        server.reveal().hex(),
    ]
    key = opening_key(AES_128_GCM, server)
    (payload,) = [key.open_record(record) for record in protected]
    assert payload[-1] == ContentType.handshake
    encrypted_extensions, finished = rfc8448.split_messages(payload[:-1])
    transcript.update(encrypted_extensions)
    verify_data = messages.decode_finished(finished, SHA256.length)
    assert verify_data == server.finished(transcript.digest())
    return messages.decode_encrypted_extensions(encrypted_extensions)


@of_traces(SIMPLE, RESUMED, CLIENT_AUTHENTICATION, COMPATIBILITY)
def test_server_with_the_clients_of_the_traces(trace: Trace) -> None:
    """A whole handshake between the trace's ClientHello and our server, with data and alerts.

    That of section 4 offers a PSK and early data: the server takes neither, and skips the latter.
    """
    simple = rfc8448.traces()[SIMPLE]
    logs: list[list[str]] = [[], []]
    client = start_client(trace, keylog=logs[0].append)
    assert client.output == trace.records()[0].complete
    config = configuration(identities=(server_identity(simple),), keylog=logs[1].append)
    server = Driver(config, True)
    early_data = [r.complete for r in trace.records() if r.epoch == EARLY]
    server.receive(client.output + b"".join(early_data))
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    client.output = b""
    client.receive(server.output)
    assert client.do_handshake() == SSLErrorCode.NONE
    server.output = b""
    server.receive(client.output)
    assert server.do_handshake() == SSLErrorCode.NONE
    # Early secrets are the client's alone: the server does not know the PSK.
    assert logs[0][-5:] == logs[1]
    assert logs[0][:-5] == (key_log(trace)[:2] if trace.section == RESUMED else [])
    assert not client.engine.outcome.resumed
    assert server.engine.outcome.server_name == "server"
    assert server.engine.outcome.signature_scheme == SignatureScheme.rsa_pss_rsae_sha256
    for sender, receiver in ((client, server), (server, client)):
        sender.output = b""
        assert sender.engine.write(b"payload", 0) == 7
        sender.engine.send_close_notify()
        sender.take_output()
        receiver.receive(sender.output)
        assert receiver.engine.fetch() == SSLErrorCode.NONE
        assert receiver.engine.take(100) == b"payload"
        assert receiver.engine.fetch() == SSLErrorCode.ZERO_RETURN


@pytest.mark.parametrize("retry_with_cookie", [False, True], ids=["without-cookie", "with-cookie"])
def test_server_asks_for_another_group(retry_with_cookie: bool) -> None:
    """Section 5: the server's answer to a share in a group that it does not have."""
    trace = rfc8448.traces()[RETRIED]
    config = configuration(
        identities=(server_identity(trace),),
        groups=(NamedGroup.secp256r1,),
        key_share_groups=(),
        retry_with_cookie=retry_with_cookie,
    )
    server = Driver(config, True)
    first, published, second, *_ = trace.records()
    server.receive(first.complete)
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    ((content_type, payload),) = plaintext_records(server.output)
    assert content_type == ContentType.handshake
    request = messages.decode_server_hello(payload)
    expected = messages.decode_server_hello(published.payload)
    for field in (
        "legacy_version",
        "random",
        "legacy_session_id_echo",
        "cipher_suite",
        "legacy_compression_method",
        "is_hello_retry_request",
        "selected_version",
        "group",
    ):
        assert getattr(request, field) == getattr(expected, field), field
    assert (request.cookie is not None) == retry_with_cookie
    # The cookie is the server's own matter; the published one is not the one that it sent.
    server.output = b""
    server.receive(second.complete)
    assert server.do_handshake() == SSLErrorCode.SSL
    assert isinstance(server.engine.error, IllegalParameter)
    alert = bytes((2, AlertDescription.illegal_parameter))
    assert plaintext_records(server.output) == [(ContentType.alert, alert)]
