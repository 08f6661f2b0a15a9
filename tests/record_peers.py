"""An engine with the transport in the test's hands, and record protection made by hand.

`Peers()` makes an established pair with its secrets known, so that a test can protect records with
whatever inside by the text of RFC 8446, 5.2 and 5.3 alone (`Sealer`).
"""

from __future__ import annotations

import functools

import pki
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from wire_format import join, message, u8, u16, vector

import fasths
from fasths._core import Engine
from fasths.crypto.aead import find_suite
from fasths.crypto.key_schedule import TrafficSecret
from fasths.wire import messages
from fasths.wire.codes import (
    CipherSuite,
    ContentType,
    HandshakeType,
    SSLErrorCode,
)
from fasths.wire.limits import MAX_PLAINTEXT

SUITE = find_suite(CipherSuite.TLS_AES_128_GCM_SHA256)
HANDSHAKE, ALERT = ContentType.handshake, ContentType.alert
DATA, CHANGE_CIPHER_SPEC = ContentType.application_data, ContentType.change_cipher_spec
CLOSE_NOTIFY = b"\1\0"
TICKET = bytes(
    message(HandshakeType.new_session_ticket, bytes(8), vector(1), vector(2, b"ticket"), vector(2))
)
KEY_UPDATE = messages.encode_key_update(False)


def record(content_type, content, version=0x0303):
    return bytes(join(u8(content_type), u16(version), vector(2, content)))


def split(data):
    """(content type, body, whole) of each record."""
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        assert len(data) >= end
        yield data[0], data[5:end], data[:end]
        data = data[end:]


class Sealer:
    """Record protection, independent of the product's but for the keys."""

    def __init__(self, secret, suite=SUITE):
        keys = TrafficSecret(suite.hash, secret)
        is_chacha = suite.code == CipherSuite.TLS_CHACHA20_POLY1305_SHA256
        self.aead = (ChaCha20Poly1305 if is_chacha else AESGCM)(keys.key(suite.key_length))
        self.iv = int.from_bytes(keys.iv(), "big")
        self.sequence_number = 0

    def nonce(self):
        self.sequence_number += 1
        return (self.iv ^ (self.sequence_number - 1)).to_bytes(12, "big")

    def seal(self, content_type, content, padding=0):
        return self.seal_inner(content + u8(content_type) + bytes(padding))

    def seal_inner(self, inner):
        header = b"\x17\3\3" + u16(len(inner) + 16)
        return header + self.aead.encrypt(self.nonce(), inner, header)

    def open(self, whole):
        """(content type, content) of a record without padding."""
        inner = self.aead.decrypt(self.nonce(), whole[5:], whole[:5])
        return inner[-1], inner[:-1]


class Endpoint:
    """An engine, with the transport in the test's hands."""

    def __init__(self, context, by_server):
        self.engine = Engine(context._configuration, by_server, None, None, None)
        self.engine.do_handshake()

    def receive(self, data):
        """Take bytes of the peer; returns the application data that is in them."""
        received = [self.read()]
        while data and self.engine.error is None:
            with memoryview(self.engine.space()) as space:
                count = min(len(space), len(data))
                space[:count] = data[:count]
            self.engine.filled(count)
            data = data[count:]
            received.append(self.read())
        return b"".join(received)

    def read(self):
        received = []
        if self.engine.established or self.engine.do_handshake() == SSLErrorCode.NONE:
            while self.engine.fetch() == SSLErrorCode.NONE:
                received.append(self.engine.take(MAX_PLAINTEXT))
        return b"".join(received)

    def sent(self):
        data = self.engine.output() or b""
        if data:
            self.engine.output_taken(len(data))
        return bytes(data)

    def require_alert(self, error, opener=None):
        """The engine ended with this error, said so in one last record, and stays so."""
        assert type(self.engine.error) is error, self.engine.error
        *_, (content_type, body, whole) = split(self.sent())
        if opener is not None:
            content_type, body = opener.open(whole)
        assert (content_type, body) == (ALERT, u8(2, error.default_alert))
        assert self.engine.fetch() == SSLErrorCode.SSL
        assert self.engine.do_handshake() == SSLErrorCode.SSL
        assert self.sent() == b""


@functools.cache
def identity():
    leaf = pki.make_leaf(["localhost"])
    return fasths.Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def context(keylog=None, suite="TLS_AES_128_GCM_SHA256", **limits):
    return fasths.Context(
        identities=[identity()],
        verify=fasths.Verify.NONE,
        cipher_suites=[suite],
        groups=["x25519"],
        keylog=keylog,
        session_tickets=0,
        limits=fasths.Limits(**limits),
    )


def secrets_in(lines):
    return {label: bytes.fromhex(secret) for label, _, secret in map(str.split, lines)}


class Peers:
    """An established pair. `ours` and `theirs` protect and open what the test sends and gets."""

    def __init__(self, by_server=False, **limits):
        lines = []
        both = context(lines.append, **limits)
        client, server = Endpoint(both, False), Endpoint(both, True)
        for _ in range(2):
            server.receive(client.sent())
            client.receive(server.sent())
        assert client.engine.established
        assert server.engine.established
        secrets = secrets_in(lines)
        own, other = ("SERVER", "CLIENT") if by_server else ("CLIENT", "SERVER")
        self.endpoint, self.other = (server, client) if by_server else (client, server)
        self.engine = self.endpoint.engine
        self.receive, self.sent = self.endpoint.receive, self.endpoint.sent
        self.opener = Sealer(secrets[f"{own}_TRAFFIC_SECRET_0"])
        self.sealer = Sealer(secrets[f"{other}_TRAFFIC_SECRET_0"])

    def require_alert(self, error):
        self.endpoint.require_alert(error, self.opener)


def waiting_client(**limits):
    client = Endpoint(context(**limits), False)
    client.hello = client.sent()
    return client


def waiting_server(**limits):
    return Endpoint(context(**limits), True)
