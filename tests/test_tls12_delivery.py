"""TLS 1.2 in any pieces: in records of any size (RFC 5246, 6.2.1), of every cipher suite.

Conversations cut, damaged and cut off at each byte are in test_delivery, beside those of TLS 1.3.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import pki
import pytest
from helpers import (
    HOST,
    PLENTY,
    WANT_READ,
    ConnectionPair,
    authority,
    client_context,
    outcome,
    records,
    server_context,
    transfer,
    turns,
)
from refusals12 import TLS12_ALONE
from resumed_pairs import assert_resumed
from test_delivery import VARIANTS, Conversation, every, flights_of, record_bounds

import fasths
from fasths import AlertDescription, CipherSuite, ContentType, Identity, Limits, Verify
from fasths.bio import as_bio

TLS12 = [name for name, variant in VARIANTS.items() if variant.is_tls12]
VARIANT = pytest.mark.parametrize("variant", TLS12)
SUITES = [suite for suite in CipherSuite if "_ECDHE_" in suite.name]
EVERY_SUITE = pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])

# Takes handshake messages of one flight that follow each other; yields what is in their records.
Cutting = Callable[[list[bytes]], Iterator[bytes]]


# --- Handshake messages in records of any size


def messages_of(content: bytes) -> list[bytes]:
    messages = []
    while content:
        size = 4 + int.from_bytes(content[1:4], "big")
        messages.append(content[:size])
        content = content[size:]
    return messages


def record(content: bytes) -> bytes:
    return bytes((ContentType.handshake, 3, 3)) + len(content).to_bytes(2, "big") + content


class Recut:
    """Delivers a flight with its unprotected handshake messages in other records.

    at_once: whether a flight arrives as a whole, or else record by record.
    """

    def __init__(self, cut: Cutting, at_once: bool = True) -> None:
        self.cut = cut
        self.at_once = at_once
        # Behind its change_cipher_spec a side's records are protected.
        self.protected = [False, False]

    def __call__(self, number: int, flight: bytes) -> Iterator[bytes]:
        pieces = list(self.pieces(number % 2, flight))
        if self.at_once:
            yield b"".join(pieces)
        else:
            yield from pieces

    def pieces(self, side: int, flight: bytes) -> Iterator[bytes]:
        content = b""
        for start, end in record_bounds(flight):
            if flight[start] == ContentType.handshake and not self.protected[side]:
                content += flight[start + 5 : end]
                continue
            yield from map(record, self.cut(messages_of(content)))
            content = b""
            if flight[start] == ContentType.change_cipher_spec:
                self.protected[side] = True
            yield flight[start:end]
        yield from map(record, self.cut(messages_of(content)))


def pieces_of(size: int) -> Cutting:
    def cut(messages: list[bytes]) -> Iterator[bytes]:
        content = b"".join(messages)
        yield from (content[at : at + size] for at in range(0, len(content), size))

    return cut


def apart(messages: list[bytes]) -> Iterator[bytes]:
    yield from messages


def together(messages: list[bytes]) -> Iterator[bytes]:
    if messages:
        yield b"".join(messages)


def over_the_edge(messages: list[bytes]) -> Iterator[bytes]:
    """Each record ends in the middle of the next message's header."""
    content, at = b"".join(messages), 0
    for end in itertools.accumulate(map(len, messages)):
        yield content[at : end + 2]
        at = end + 2


CUTTINGS: dict[str, Cutting] = {
    "1 byte": pieces_of(1),
    "2 bytes": pieces_of(2),
    "3 bytes": pieces_of(3),
    "5 bytes": pieces_of(5),
    "100 bytes": pieces_of(100),
    "a message": apart,
    "all messages": together,
    "a message and a half header": lambda messages: filter(None, over_the_edge(messages)),
}


@VARIANT
@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
def test_handshake_messages_in_other_records(variant: str, cutting: str, at_once: bool) -> None:
    Conversation(variant, Recut(CUTTINGS[cutting], at_once)).check_end()


@VARIANT
def test_handshake_messages_cut_at_every_offset(variant: str) -> None:
    """Each run cuts what is together in each flight into two records, at one offset."""

    def run(offset: int) -> None:
        def cut(messages: list[bytes]) -> Iterator[bytes]:
            content = b"".join(messages)
            yield from filter(None, (content[:offset], content[offset:]))

        Conversation(variant, Recut(cut)).check_end()

    longest = max(map(len, flights_of(variant)))
    every(((offset,) for offset in range(1, longest)), run)


@VARIANT
def test_a_byte_less_in_the_handshake_is_noticed(variant: str) -> None:
    """One byte of the messages is missing, and the lengths of the records fit."""
    first, second, *_ = flights_of(variant)

    def run(side: int, offset: int) -> None:
        removed = False

        def cut(messages: list[bytes]) -> Iterator[bytes]:
            content = b"".join(messages)
            nonlocal removed
            if delivery.current == side and not removed and offset < len(content):
                removed = True
                content = content[:offset] + content[offset + 1 :]
            if content:
                yield content

        class Delivery(Recut):
            def __call__(self, number: int, flight: bytes) -> Iterator[bytes]:
                self.current = number
                yield from super().__call__(number, flight)

        delivery = Delivery(cut)
        conversation = Conversation(variant, delivery)
        assert removed
        assert not conversation.ended
        conversation.check_failure()

    lengths = []
    for flight in (first, second):
        content = 0
        for start, end in record_bounds(flight):
            if flight[start] != ContentType.handshake:
                break
            content += end - start - 5
        lengths.append(content)
    every(((side, at) for side in (0, 1) for at in range(0, lengths[side], 3)), run)


# --- Messages that are longer than a record


def large_identity(size: int) -> Identity:
    """One whose Certificate has more than `size` bytes."""
    names = [HOST, *(f"{number:060}.test" for number in range(size // 65))]
    leaf = pki.make_leaf(names, issuer=authority(), key_type="ed25519")
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


@pytest.mark.parametrize("size", [1, 1000, PLENTY])
def test_certificates_of_several_records(size: int) -> None:
    large, limits = large_identity(40_000), Limits(max_handshake_message_size=1 << 17)
    client = client_context(limits=limits, identities=[large], **TLS12_ALONE)
    server = server_context(
        limits=limits, identities=[large], verify=Verify.REQUIRED, **TLS12_ALONE
    )
    pair = ConnectionPair(contexts=(client, server))
    pair.client_bio.max_read = pair.server_bio.max_read = size
    turns(pair.client.do_handshake, pair.server.do_handshake)
    assert pair.client.peer_certificates == pair.server.peer_certificates == large.certificates
    assert_resumed(pair, False)


def test_a_message_that_is_longer_than_permitted_is_refused() -> None:
    client = client_context(limits=Limits(max_handshake_message_size=10_000), **TLS12_ALONE)
    server = server_context(identities=[large_identity(10_000)], **TLS12_ALONE)
    pair = ConnectionPair(contexts=(client, server))
    for _ in range(3):
        pair.client.do_handshake()
        pair.server.do_handshake()
    assert pair.client.last_error.alert is AlertDescription.illegal_parameter
    assert pair.server.last_error.alert is AlertDescription.illegal_parameter


# --- Records of every suite


@functools.cache
def identity_for(suite: CipherSuite) -> Identity:
    key_type = "rsa" if "_RSA_" in suite.name else "ecdsa"
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type=key_type)
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


def pair_of(suite: CipherSuite) -> ConnectionPair:
    server = server_context(identities=[identity_for(suite)], **TLS12_ALONE)
    client = client_context(
        cipher_suites=[suite],
        groups=("x25519", "secp256r1"),
        **TLS12_ALONE,
    )
    return ConnectionPair(contexts=(client, server)).handshake()


@EVERY_SUITE
def test_data_of_every_length(suite: CipherSuite) -> None:
    pair = pair_of(suite)
    assert pair.client.cipher_suite is pair.server.cipher_suite is suite
    for size in (*range(1, 40), 16383, 16384, 16385, 40_000):
        data = bytes(at % 251 for at in range(size))
        transfer(pair.client, pair.server, data)
        transfer(pair.server, pair.client, data)


@EVERY_SUITE
def test_records_are_as_long_as_the_suite_makes_them(suite: CipherSuite) -> None:
    """RFC 5288, 3: 8 bytes of nonce with AES-GCM; RFC 7905, 2: none with ChaCha20-Poly1305."""
    overhead = 16 if "CHACHA20" in suite.name else 8 + 16
    pair = pair_of(suite)
    transfer(pair.client, pair.server, bytes(100))
    assert [(kind, len(fragment)) for kind, fragment in records(pair.client_bio.written)] == [
        (ContentType.application_data, 100 + overhead)
    ]


@EVERY_SUITE
def test_data_byte_by_byte(suite: CipherSuite) -> None:
    pair = pair_of(suite)
    for bio in (pair.client_bio, pair.server_bio):
        bio.max_read = bio.max_write = 1
    transfer(pair.client, pair.server, bytes(range(200)))
    transfer(pair.server, pair.client, bytes(range(200)))


@EVERY_SUITE
def test_every_byte_of_a_record_damaged(suite: CipherSuite) -> None:
    """The bytes of a length that grows wait for more, which is an end in the middle."""

    def run(offset: int) -> None:
        pair = pair_of(suite)
        pair.client_bio.inner, written = as_bio(fasths.MemoryBIO()), pair.client_bio.inner
        assert pair.client.write(b"data") == 4
        changed = bytearray(pair.client_bio.written)
        changed[offset] ^= 1 << offset % 8
        written.write(changed)
        written.shutdown_write()
        assert pair.server.read() is None
        error = pair.server.last_error
        if offset in (1, 2):
            expected = AlertDescription.protocol_version
        elif offset in (3, 4) and changed[offset] > pair.client_bio.written[offset]:
            # More is to come, which does not.
            expected = None
        else:
            expected = AlertDescription.bad_record_mac
        assert error.alert is expected, error

    size = 5 + 4 + (16 if "CHACHA20" in suite.name else 24)
    every(((offset,) for offset in range(size)), run)


@EVERY_SUITE
def test_a_record_of_one_direction_is_none_of_the_other(suite: CipherSuite) -> None:
    """RFC 5246, 6.3: each side writes with keys of its own."""
    pair = pair_of(suite)
    # The same sequence number in both directions.
    assert pair.client.write(b"data") == 4
    pair.server_bio.inner.write(bytes(pair.client_bio.written))
    assert outcome(pair.client, -1 if pair.client.read() is None else 1)[0] == -1
    assert pair.client.last_error.alert is AlertDescription.bad_record_mac


@EVERY_SUITE
def test_a_record_that_is_repeated_much_later_is_refused(suite: CipherSuite) -> None:
    pair = pair_of(suite)
    transfer(pair.client, pair.server, b"first")
    first = bytes(pair.client_bio.written)
    for _ in range(300):
        transfer(pair.client, pair.server, b"other")
    pair.client_bio.inner.write(first)
    assert pair.server.read() is None
    assert pair.server.last_error.alert is AlertDescription.bad_record_mac


def test_data_that_waits_behind_the_finished_of_a_server() -> None:
    """A client reads it once it has seen the Finished, in one piece with it or not."""
    for size in (PLENTY, 1, 7):
        pair = ConnectionPair(contexts=(client_context(**TLS12_ALONE), server_context()))
        pair.client.do_handshake()
        pair.server.do_handshake()
        assert outcome(pair.client, pair.client.do_handshake()) == (-1, WANT_READ)
        assert pair.server.do_handshake() == 1
        assert pair.server.write(b"at once") == 7
        pair.client_bio.max_read = size
        assert pair.client.read() == b"at once"


def test_data_behind_the_finished_of_a_client_that_resumes() -> None:
    """RFC 5246, 7.3: the server hears of the client's Finished last, and of its data then."""
    contexts = client_context(**TLS12_ALONE), server_context()
    first = ConnectionPair(contexts=contexts).handshake()
    pair = ConnectionPair(contexts=contexts, roles=False)
    pair.client.set_session(first.client.session)
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    pair.client.do_handshake()
    assert outcome(pair.server, pair.server.do_handshake()) == (-1, WANT_READ)
    assert pair.client.do_handshake() == 1
    assert pair.client.write(b"at once") == 7
    assert pair.server.read() == b"at once"
    assert pair.server.session_reused
