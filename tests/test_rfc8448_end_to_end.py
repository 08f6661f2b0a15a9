"""The example handshakes of RFC 8448 against the whole engine, as a client and as a server."""

from __future__ import annotations

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

from fasths._core import Engine
from fasths.crypto import groups
from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule import HASHES, TrafficSecret
from fasths.crypto.signatures import verify
from fasths.handshake import server13
from fasths.handshake.configuration import Configuration
from fasths.record.protection import opening_key, sealing_key
from fasths.wire import messages
from fasths.wire.codes import (
    AlertDescription,
    CipherSuite,
    ContentType,
    HandshakeType,
    NamedGroup,
    SignatureScheme,
    SSLErrorCode,
    Verify,
)
from fasths.wire.errors import BadRecordMac, DecryptError, IllegalParameter
from fasths.wire.limits import Limits

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
        signed = messages.decode_certificate_verify(
            trace.message(side, HandshakeType.certificate_verify)
        )
        self.scheme, self.signature = signed.algorithm, signed.signature

    def sign(self, content: bytes, *_parameters: object) -> bytes:
        verify(self.certificate, self.scheme, self.signature, content)
        return self.signature


@dataclass(frozen=True)
class TraceIdentity:
    """What an Identity is to the handshake."""

    certificates: tuple[bytes, ...]
    private_key: object
    signature_schemes: tuple[int, ...]
    chain_signature_schemes: tuple[int, ...] = ()


def trace_identity(trace: Trace, side: str) -> TraceIdentity:
    key = TraceKey(trace, side)
    return TraceIdentity((key.certificate.public_bytes(Encoding.DER),), key, (key.scheme,))


def configuration(**changes: object) -> Configuration:
    """The parameters of the traces. No chain is verified: their certificates have expired."""
    parameters: dict[str, object] = {
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
        "chain_verifier": None,
        "client_verify": Verify.NONE,
        "server_verify": Verify.NONE,
        "retry_with_cookie": False,
        "keylog": None,
        "limits": Limits(),
    }
    return Configuration(**(parameters | changes))


class Driver:
    """An engine, with the transport in the test's hands."""

    def __init__(self, config: Configuration, by_server: bool) -> None:
        name = None if by_server else "server"
        self.engine = Engine(config, by_server, name and name.encode(), name, None)
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
        if record.content_type == ContentType.application_data:
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


def start_client(trace: Trace, **changes: object) -> Driver:
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
    client.engine.engine_handshake.start_with(hellos, keys)
    assert client.do_handshake() == SSLErrorCode.WANT_READ
    return client


def key_log(trace: Trace) -> list[str]:
    client_random = trace.message("client", HandshakeType.client_hello)[6:38].hex()
    return [
        f"{label} {client_random} {trace.secret(secret).hex()}"
        for label, secret in (
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "c hs traffic"),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "s hs traffic"),
            ("CLIENT_TRAFFIC_SECRET_0", "c ap traffic"),
            ("SERVER_TRAFFIC_SECRET_0", "s ap traffic"),
            ("EXPORTER_SECRET", "exp master"),
        )
    ]


@pytest.mark.parametrize("cut", [False, True], ids=["records-at-once", "octet-by-octet"])
@of_traces(*FULL)
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
    assert engine.cipher_suite == CipherSuite.TLS_AES_128_GCM_SHA256
    assert engine.group == (NamedGroup.secp256r1 if trace.section == RETRIED else NamedGroup.x25519)
    assert engine.signature_scheme == TraceKey(trace, "server").scheme
    assert engine.peer_certificates == trace_identity(trace, "server").certificates
    assert engine.protocol_name is None
    assert log == key_log(trace)


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


@of_traces(*FULL)
def test_client_refuses_a_changed_record(trace: Trace) -> None:
    """Each octet of the server's protected flight counts; the alert goes out once."""
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
        opened = open_records(trace, "c hs traffic", client.output)
        assert opened == [(ContentType.alert, alert)]
        client.output = b""
        assert client.do_handshake() == SSLErrorCode.SSL
        assert client.output == b""


@of_traces(*FULL)
@pytest.mark.parametrize(
    "handshake_type", [HandshakeType.certificate_verify, HandshakeType.finished]
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
    early_data = [r.complete for r in trace.records() if r.epoch == "early application data"]
    server.receive(client.output + b"".join(early_data))
    assert server.do_handshake() == SSLErrorCode.WANT_READ
    client.output = b""
    client.receive(server.output)
    assert client.do_handshake() == SSLErrorCode.NONE
    server.output = b""
    server.receive(client.output)
    assert server.do_handshake() == SSLErrorCode.NONE
    assert logs[0] == logs[1]
    assert server.engine.server_name == "server"
    assert server.engine.signature_scheme == SignatureScheme.rsa_pss_rsae_sha256
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
