"""The example handshakes of RFC 8448 against keys, signatures, messages and records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import rfc8448
from cryptography import x509
from rfc8448 import (
    CLIENT_AUTHENTICATION,
    COMPATIBILITY,
    FULL,
    RESUMED,
    RETRIED,
    SIMPLE,
    Step,
    Trace,
    name,
    of_traces,
)

from fasths.crypto.aead import find_suite
from fasths.crypto.certificates import signature_schemes
from fasths.crypto.groups import KeyExchange
from fasths.crypto.key_schedule import (
    HASHES,
    EarlySecret,
    ExporterSecret,
    MasterSecret,
    ResumptionSecret,
    TrafficSecret,
    Transcript,
)
from fasths.crypto.signatures import verify
from fasths.record.protection import opening_key, sealing_key
from fasths.wire import messages
from fasths.wire.codes import (
    CipherSuite,
    HandshakeType,
    NamedGroup,
    SignatureScheme,
    TLSVersion,
)
from fasths.wire.errors import BadRecordMac, DecodeError, DecryptError, UnexpectedMessage

SHA256 = HASHES["sha256"]


def of_steps(beginning: str | tuple[str, ...], *sections: int) -> pytest.MarkDecorator:
    """One case for each step that has values of its own, and whose action begins like this."""
    return pytest.mark.parametrize(
        ("trace", "step"),
        [
            pytest.param(trace, step, id=name(f"{trace} {step.side} {step.action}"))
            for trace in (rfc8448.traces()[n] for n in sections)
            for step in trace.steps
            if step.fields and step.action.startswith(beginning)
        ],
    )


def of_messages(handshake_type: int) -> pytest.MarkDecorator:
    """One case for each handshake message of this type in any trace."""
    return pytest.mark.parametrize(
        "message",
        [
            pytest.param(message, id=name(f"{trace} {side}"))
            for trace in rfc8448.traces().values()
            for side, message in trace.messages()
            if message[0] == handshake_type
        ],
    )


def transcript_hashes(trace: Trace) -> dict[tuple[str, int], bytes]:
    """The hash of the transcript up to each message, by its side and type."""
    transcript = Transcript(SHA256)
    found = {}
    for side, message in trace.messages():
        transcript.update(message)
        if (
            message[0] == HandshakeType.server_hello
            and messages.decode_server_hello(message).cookie
        ):
            # RFC 8446, 4.4.1: a HelloRetryRequest turns the first ClientHello into its hash.
            transcript = Transcript(SHA256)
            first = Transcript(SHA256)
            first.update(trace.message("client", HandshakeType.client_hello))
            transcript.update(messages.encode_message_hash(first.digest()))
            transcript.update(message)
        if message[0] != HandshakeType.new_session_ticket:
            found[side, message[0]] = transcript.digest()
    return found


def u16s(*codes: int) -> bytes:
    return b"".join(code.to_bytes(2, "big") for code in codes)


def extensions_of(block: bytes) -> dict[int, bytes]:
    """An extension block, with its length in front, as its types and data, in order."""
    assert int.from_bytes(block[:2], "big") == len(block) - 2
    found = {}
    at = 2
    while at < len(block):
        end = at + 4 + int.from_bytes(block[at + 2 : at + 4], "big")
        found[int.from_bytes(block[at : at + 2], "big")] = block[at + 4 : end]
        at = end
    assert at == len(block)
    return found


# --- The vectors


@of_traces(3, 4, 5, 6, 7)
def test_steps_construct_what_the_records_carry(trace: Trace) -> None:
    """Holds the extracted steps together: the messages made are those that are sent."""
    constructed = [
        (step.side, value)
        for step in trace.steps
        if step.action.startswith("construct ")
        for value in step.fields.values()
    ]
    sent = trace.messages()
    if trace.section == RESUMED:
        # The RFC constructs this ClientHello without its PSK binder.
        assert sent[0][1].startswith(constructed[0][1])
        constructed[0], sent[0] = sent[0], sent[0]
    assert sorted(constructed) == sorted(sent)


# --- Key schedule


@of_traces(*FULL, RESUMED)
def test_key_schedule(trace: Trace) -> None:
    hashes = transcript_hashes(trace)
    shared_secret = trace.one('extract secret "handshake"')["IKM"]
    early = psk_secret() if trace.section == RESUMED else EarlySecret(SHA256)
    handshake = early.handshake_secret(shared_secret)
    to_server_hello = hashes["server", HandshakeType.server_hello]
    client = handshake.client_handshake_traffic_secret(to_server_hello)
    server = handshake.server_handshake_traffic_secret(to_server_hello)
    assert client.reveal() == trace.secret("c hs traffic")
    assert server.reveal() == trace.secret("s hs traffic")

    master = handshake.master_secret()
    to_finished = hashes["server", HandshakeType.finished]
    client = master.client_application_traffic_secret_0(to_finished)
    server = master.server_application_traffic_secret_0(to_finished)
    assert client.reveal() == trace.secret("c ap traffic")
    assert server.reveal() == trace.secret("s ap traffic")
    exporter = master.exporter_master_secret(to_finished)
    assert exporter.reveal() == trace.secret("exp master")
    resumption = master.resumption_master_secret(hashes["client", HandshakeType.finished])
    # It shows only in what comes from it.
    expected = ResumptionSecret(SHA256, trace.secret("res master"))
    assert resumption.psk(b"\0\0") == expected.psk(b"\0\0")


# --- The pre-shared key: made in section 3, used in section 4


def psk_secret() -> EarlySecret:
    return EarlySecret(SHA256, rfc8448.traces()[RESUMED].one('extract secret "early"')["IKM"])


def test_psk_of_the_ticket() -> None:
    first, second = rfc8448.traces()[SIMPLE], rfc8448.traces()[RESUMED]
    ticket = messages.decode_new_session_ticket(
        first.message("server", HandshakeType.new_session_ticket)
    )
    step = first.one('generate resumption secret "tls13 resumption"')
    assert step["PRK"] == first.secret("res master")
    psk = ResumptionSecret(SHA256, step["PRK"]).psk(ticket.ticket_nonce)
    assert psk == step["expanded"]
    assert psk == second.one('extract secret "early"')["IKM"]
    # Another nonce, another key.
    assert ResumptionSecret(SHA256, step["PRK"]).psk(ticket.ticket_nonce + b"\0") != psk


def test_early_secrets() -> None:
    """The Early Secret shows only in what comes from it."""
    trace = rfc8448.traces()[RESUMED]
    hello = Transcript(SHA256)
    hello.update(trace.message("client", HandshakeType.client_hello))
    for label in ("c e traffic", "e exp master"):
        assert trace.one(f'derive secret "tls13 {label}"')["hash"] == hello.digest()
        assert trace.one(f'derive secret "tls13 {label}"')["PRK"] == trace.extracted("early")
    early = psk_secret()
    client = early.client_early_traffic_secret(hello.digest())
    exporter = early.early_exporter_master_secret(hello.digest())
    assert client.reveal() == trace.secret("c e traffic")
    assert exporter.reveal() == trace.secret("e exp master")


def test_psk_binder() -> None:
    trace = rfc8448.traces()[RESUMED]
    step = trace.one("calculate PSK binder")
    hello = trace.message("client", HandshakeType.client_hello)
    decoded = messages.decode_client_hello(hello)
    # RFC 8446, 4.2.11.2: over what stands before the binders.
    truncated = hello[: len(hello) - decoded.psk_binders_size]
    assert truncated == step["ClientHello prefix"]
    transcript = Transcript(SHA256)
    transcript.update(truncated)
    assert transcript.digest() == step["binder hash"]
    binder = psk_secret().binder(b"res binder", step["binder hash"])
    assert binder == step["finished"]
    assert decoded.psk_binders == [binder]
    # The binder_key itself, which is used as any other secret for Finished.
    assert TrafficSecret(SHA256, step["PRK"]).finished(step["binder hash"]) == binder
    for label in (b"ext binder", b"imp binder"):
        assert psk_secret().binder(label, step["binder hash"]) != binder


@pytest.mark.parametrize(
    ("label", "handshake_type"),
    [
        ("c hs traffic", HandshakeType.server_hello),
        ("s hs traffic", HandshakeType.server_hello),
        ("c ap traffic", HandshakeType.finished),
        ("s ap traffic", HandshakeType.finished),
        ("exp master", HandshakeType.finished),
    ],
)
@of_traces(*FULL, RESUMED)
def test_transcript_hash(trace: Trace, label: str, handshake_type: int) -> None:
    stated = trace.one(f'derive secret "tls13 {label}"')["hash"]
    assert transcript_hashes(trace)["server", handshake_type] == stated


@of_traces(*FULL, RESUMED)
def test_transcript_hash_of_the_whole_handshake(trace: Trace) -> None:
    stated = trace.one('derive secret "tls13 res master"')["hash"]
    assert transcript_hashes(trace)["client", HandshakeType.finished] == stated


@of_steps(("derive write traffic keys", "derive read traffic keys"), *FULL, RESUMED)
def test_traffic_keys(trace: Trace, step: Step) -> None:
    secret = TrafficSecret(SHA256, step["PRK"])
    assert secret.key(16) == step["key expanded"]
    assert secret.iv() == step["iv expanded"]


@of_steps("calculate finished", *FULL, RESUMED)
def test_finished(trace: Trace, step: Step) -> None:
    before = {
        "server": ("server", HandshakeType.certificate_verify),
        "client": ("client", HandshakeType.certificate_verify),
    }[step.side]
    hashes = transcript_hashes(trace)
    if before not in hashes:
        # Without a certificate of this side's own.
        resumed = ("server", HandshakeType.encrypted_extensions)
        before = ("server", HandshakeType.finished) if step.side == "client" else resumed
    if trace.section == RESUMED and step.side == "client":
        before = ("client", HandshakeType.end_of_early_data)
    assert TrafficSecret(SHA256, step["PRK"]).finished(hashes[before]) == step["finished"]


@of_traces(*FULL)
def test_exporter_begins_with_the_exporter_master_secret(trace: Trace) -> None:
    """The RFC exports nothing; that both ways to the secret export the same is still to hold."""
    step = trace.one('derive secret "tls13 exp master"')
    master = MasterSecret(SHA256, step["PRK"])
    exporter = ExporterSecret(SHA256, step["expanded"])
    exported = master.exporter_master_secret(step["hash"]).export(b"label", b"context", 48)
    assert len(exported) == 48
    assert exporter.export(b"label", b"context", 48) == exported


@of_traces(SIMPLE, CLIENT_AUTHENTICATION, COMPATIBILITY)
def test_x25519(trace: Trace) -> None:
    (own,), (peer,) = trace.private_keys("client"), trace.private_keys("server")
    shared_secret = trace.one('extract secret "handshake"')["IKM"]
    for one, other in ((own, peer), (peer, own)):
        exchange = KeyExchange()
        exchange.use_private_key(NamedGroup.x25519, one["private key"])
        assert exchange.generate(NamedGroup.x25519) == one["public key"]
        secret = exchange.shared_secret(NamedGroup.x25519, other["public key"])
        assert secret == shared_secret


def test_secp256r1() -> None:
    trace = rfc8448.traces()[RETRIED]
    own, peer = trace.private_keys("client")[1], trace.private_keys("server")[0]
    exchange = KeyExchange()
    exchange.use_private_key(NamedGroup.secp256r1, own["private key"])
    assert exchange.generate(NamedGroup.secp256r1) == own["public key"]
    shared_secret = trace.one('extract secret "handshake"')["IKM"]
    assert exchange.shared_secret(NamedGroup.secp256r1, peer["public key"]) == shared_secret


# --- Signatures


@pytest.mark.parametrize(
    ("section", "side"),
    [(n, "server") for n in FULL] + [(CLIENT_AUTHENTICATION, "client")],
)
def test_certificate_verify(section: int, side: str) -> None:
    trace = rfc8448.traces()[section]
    chain = messages.decode_certificate(
        trace.message(side, HandshakeType.certificate), 1
    ).certificates
    certificate = x509.load_der_x509_certificate(chain[0])
    signed = messages.decode_certificate_verify(
        trace.message(side, HandshakeType.certificate_verify)
    )
    content = certificate_verify_content(trace, side)
    key = certificate.public_key(), signature_schemes(certificate)
    verify(*key, signed.algorithm, signed.signature, content)
    # RFC 8446, 4.4.3: the other side's context string does not do.
    other = content.replace(side.encode(), b"client" if side == "server" else b"server")
    with pytest.raises(DecryptError):
        verify(*key, signed.algorithm, signed.signature, other)


def certificate_verify_content(trace: Trace, side: str) -> bytes:
    context = f"TLS 1.3, {side} CertificateVerify".encode()
    return b" " * 64 + context + b"\0" + transcript_hashes(trace)[side, HandshakeType.certificate]


# --- Messages: decoded, compared with what stands on the wire, and encoded again


@of_messages(HandshakeType.client_hello)
def test_client_hello(message: bytes) -> None:
    hello = messages.decode_client_hello(message)
    session_end = 39 + message[38]
    extensions = extensions_of(message[session_end + 10 :])
    assert hello.legacy_version == TLSVersion.TLSv1_2
    assert hello.random == message[6:38]
    assert hello.legacy_session_id == message[39:session_end]
    assert hello.cipher_suites == u16s(
        CipherSuite.TLS_AES_128_GCM_SHA256,
        CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
        CipherSuite.TLS_AES_256_GCM_SHA384,
    )
    assert hello.legacy_compression_methods == b"\0"
    assert hello.server_name == "server"
    assert hello.supported_versions == u16s(TLSVersion.TLSv1_3)
    assert hello.supported_groups == extensions[10][2:]
    assert hello.signature_algorithms == extensions[13][2:]
    assert hello.signature_algorithms_cert is None
    assert hello.key_shares == extensions[51][2:]
    assert hello.protocol_names is None
    assert hello.cookie == (extensions[44][2:] if 44 in extensions else None)
    assert hello.psk_key_exchange_modes == b"\1"  # psk_dhe_ke
    assert (hello.psk_identities is not None) == (41 in extensions)
    assert hello.early_data == (42 in extensions)
    assert hello.record_size_limit == int.from_bytes(extensions[28], "big")
    assert not hello.post_handshake_auth
    assert {n for n in range(64) if hello.extension_types >> n & 1} == set(extensions) - {0xFF01}


def test_offered_psks() -> None:
    message = rfc8448.traces()[RESUMED].message("client", HandshakeType.client_hello)
    hello = messages.decode_client_hello(message)
    ticket = messages.decode_new_session_ticket(
        rfc8448.traces()[SIMPLE].message("server", HandshakeType.new_session_ticket)
    )
    ((identity, obfuscated_ticket_age),) = hello.psk_identities
    assert identity == ticket.ticket
    # RFC 8446, 4.2.11.1: 6 milliseconds.
    assert (obfuscated_ticket_age - ticket.ticket_age_add) % (1 << 32) == 6
    assert hello.psk_binders == [message[-32:]]
    assert hello.psk_binders_size == 2 + 1 + 32
    # It is the last extension.
    assert list(extensions_of(message[39 + message[38] + 10 :]))[-1] == 41


@of_messages(HandshakeType.server_hello)
def test_server_hello(message: bytes) -> None:
    hello = messages.decode_server_hello(message)
    session_end = 39 + message[38]
    extensions = extensions_of(message[session_end + 3 :])
    key_share = extensions[51]
    assert hello.legacy_version == TLSVersion.TLSv1_2
    assert hello.random == message[6:38]
    assert hello.legacy_session_id_echo == message[39:session_end]
    assert hello.cipher_suite == CipherSuite.TLS_AES_128_GCM_SHA256
    assert hello.legacy_compression_method == 0
    assert hello.selected_version == TLSVersion.TLSv1_3
    assert hello.group == int.from_bytes(key_share[:2], "big")
    assert hello.selected_identity == (0 if 41 in extensions else -1)
    assert hello.extension_types == list(extensions)
    assert hello.is_hello_retry_request == (len(key_share) == 2)
    if hello.is_hello_retry_request:
        assert hello.group == NamedGroup.secp256r1
        assert hello.key_exchange is None
        assert hello.cookie == extensions[44][2:]
        encoded = messages.encode_hello_retry_request(
            hello.legacy_session_id_echo, hello.cipher_suite, hello.group, hello.cookie
        )
    else:
        assert hello.key_exchange == key_share[4:]
        assert hello.cookie is None
        encoded = messages.encode_server_hello(
            hello.random,
            hello.legacy_session_id_echo,
            hello.cipher_suite,
            hello.group,
            hello.key_exchange,
            hello.selected_identity,
        )
    # The server of section 4 has pre_shared_key in another place.
    assert encoded[: session_end + 3] == message[: session_end + 3]
    assert extensions_of(encoded[session_end + 3 :]) == extensions
    assert (encoded == message) == (hello.selected_identity < 0)


@of_messages(HandshakeType.encrypted_extensions)
def test_encrypted_extensions(message: bytes) -> None:
    """Not encoded again: the server of the traces answers with extensions that ours does not."""
    decoded = messages.decode_encrypted_extensions(message)
    extensions = extensions_of(message[4:])
    assert decoded.extension_types == list(extensions)
    assert decoded.server_name
    assert decoded.supported_groups == extensions[10][2:]
    assert decoded.protocol_name is None


@of_messages(HandshakeType.certificate_request)
def test_certificate_request(message: bytes) -> None:
    request = messages.decode_certificate_request(message)
    schemes = request.signature_algorithms
    assert request.certificate_request_context == b""
    assert schemes[:2] == u16s(SignatureScheme.ecdsa_secp256r1_sha256)
    assert schemes == extensions_of(message[5:])[13][2:]
    assert request.signature_algorithms_cert is None
    assert request.certificate_authorities is None
    codes = [int.from_bytes(schemes[i : i + 2], "big") for i in range(0, len(schemes), 2)]
    assert messages.encode_certificate_request(b"", codes, ()) == message


@of_messages(HandshakeType.certificate)
def test_certificate(message: bytes) -> None:
    decoded = messages.decode_certificate(message, 1)
    assert decoded.certificate_request_context == b""
    assert decoded.extension_types == []
    (certificate,) = decoded.certificates
    assert certificate == message[11:-2]
    common_name = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    assert common_name in {"CN=rsa", "CN=ecdsa256", "CN=client"}
    assert messages.encode_certificate(b"", decoded.certificates) == message


@of_messages(HandshakeType.certificate_verify)
def test_certificate_verify_message(message: bytes) -> None:
    decoded = messages.decode_certificate_verify(message)
    assert decoded.algorithm in {
        SignatureScheme.rsa_pss_rsae_sha256,
        SignatureScheme.ecdsa_secp256r1_sha256,
    }
    assert decoded.signature == message[8:]
    assert messages.encode_certificate_verify(decoded.algorithm, decoded.signature) == message


@of_messages(HandshakeType.finished)
def test_finished_message(message: bytes) -> None:
    verify_data = messages.decode_finished(message, SHA256.length)
    assert verify_data == message[4:]
    assert messages.encode_finished(verify_data) == message


@of_messages(HandshakeType.new_session_ticket)
def test_new_session_ticket(message: bytes) -> None:
    ticket = messages.decode_new_session_ticket(message)
    assert ticket.ticket_lifetime == 30
    assert ticket.ticket_age_add == 0xFAD6AAC5
    assert ticket.ticket_nonce == b"\0\0"
    assert ticket.ticket == message[17:-10]
    assert len(ticket.ticket) == 178
    assert ticket.max_early_data_size == 1024
    encoded = messages.encode_new_session_ticket(
        ticket.ticket_lifetime,
        ticket.ticket_age_add,
        ticket.ticket_nonce,
        ticket.ticket,
        ticket.max_early_data_size,
    )
    assert encoded == message


def test_end_of_early_data() -> None:
    message = rfc8448.traces()[RESUMED].message("client", HandshakeType.end_of_early_data)
    assert messages.encode_end_of_early_data() == message
    messages.decode_end_of_early_data(message)


@pytest.mark.parametrize(
    ("handshake_type", "decode"),
    [
        (HandshakeType.client_hello, messages.decode_client_hello),
        (HandshakeType.server_hello, messages.decode_server_hello),
        (HandshakeType.new_session_ticket, messages.decode_new_session_ticket),
        (HandshakeType.encrypted_extensions, messages.decode_encrypted_extensions),
        (HandshakeType.certificate, lambda message: messages.decode_certificate(message, 1)),
        (HandshakeType.certificate_request, messages.decode_certificate_request),
        (HandshakeType.certificate_verify, messages.decode_certificate_verify),
        (HandshakeType.end_of_early_data, messages.decode_end_of_early_data),
        (HandshakeType.finished, lambda message: messages.decode_finished(message, SHA256.length)),
    ],
)
def test_cut_or_lengthened_message_is_refused(
    handshake_type: int, decode: Callable[[bytes], object]
) -> None:
    """Whole or nothing: no message that ends early or late is decoded, and none of another type."""
    for trace in rfc8448.traces().values():
        for _, message in trace.messages():
            if message[0] != handshake_type:
                with pytest.raises(UnexpectedMessage):
                    decode(message)
                continue
            with pytest.raises(DecodeError):
                decode(message + b"\0")
            for size in range(len(message)):
                with pytest.raises(DecodeError):
                    decode(message[:size])
                if size >= 4 and not ends_well(handshake_type, message, size):
                    # The same with a header that has the length of what is left.
                    with pytest.raises(DecodeError):
                        decode(message[:1] + (size - 4).to_bytes(3, "big") + message[4:size])


def ends_well(handshake_type: int, message: bytes, size: int) -> bool:
    """Whether hello messages may end here: before TLS 1.3 they could be without extensions."""
    after_session_id = 39 + message[38] if len(message) > 38 else 0
    return (handshake_type == HandshakeType.client_hello and size == after_session_id + 10) or (
        handshake_type == HandshakeType.server_hello and size == after_session_id + 3
    )


# --- Records


def protected_directions() -> list[object]:
    """One case for each side and epoch of each trace, with its records in order."""
    return [
        pytest.param(trace, side, epoch, id=name(f"{trace} {side} {epoch}"))
        for trace in rfc8448.traces().values()
        for side in ("client", "server")
        for epoch in ("early application data", "handshake data", "application data")
        if any(r.side == side and r.epoch == epoch for r in trace.records())
    ]


@pytest.mark.parametrize(("trace", "side", "epoch"), protected_directions())
def test_protected_records(trace: Trace, side: str, epoch: str) -> None:
    """Each record opens to its payload and is sealed to the same bytes, in one sequence."""
    suite = find_suite(CipherSuite.TLS_AES_128_GCM_SHA256)
    secret = TrafficSecret(SHA256, trace.traffic_secret(side, epoch))
    opening, sealing = opening_key(suite, secret), sealing_key(suite, secret, 1 << 24)
    for record in trace.records():
        if (record.side, record.epoch) == (side, epoch):
            inner_plaintext = record.payload + bytes((record.content_type,))
            assert opening.open_record(record.complete) == inner_plaintext
            assert sealing.seal_record(record.content_type, record.payload) == record.complete


@pytest.mark.parametrize("at", [0, 2, 4, 5, -16, -1, None])
def test_changed_record_does_not_open(at: int | None) -> None:
    """Header, ciphertext and tag count, and (None) the record's place in the sequence."""
    trace = rfc8448.traces()[SIMPLE]
    secret = TrafficSecret(SHA256, trace.secret("s hs traffic"))
    record = next(r for r in trace.records() if r.epoch == "handshake data").complete
    key = opening_key(find_suite(CipherSuite.TLS_AES_128_GCM_SHA256), secret)
    changed = bytearray(record)
    if at is None:
        key.open_record(record)
    else:
        changed[at] ^= 1
    with pytest.raises(BadRecordMac):
        key.open_record(bytes(changed))
