"""parse_client_hello(): what it reads out of the start of a connection, and what it refuses."""

from __future__ import annotations

import array
import contextlib
import copy
import pickle
import random

import pytest
import rfc8448
from client_hellos import (
    CIPHER_SUITES,
    EXTENSION_TYPES,
    FULL,
    GREASE,
    MLKEM_SHARE,
    PRE_SHARED_KEY,
    RANDOM,
    SESSION_ID,
    X,
    client_hello,
    key_share,
    protocol_names,
    record,
    records,
    server_name,
    supported_versions,
    u16_list,
    vectors,
)
from hypothesis import example, given
from hypothesis import strategies as st
from wire_format import (
    extension,
    extensions,
    join,
    message,
    refitted,
    u8,
    u16,
    u32,
    vector,
    with_lengths_off_by_one,
)

from fasths import AlertDescription, Limits
from fasths.wire.client_hello import ClientHello, parse_client_hello, parse_client_hello_message
from fasths.wire.errors import DecodeError, IllegalParameter, TLSError
from fasths.wire.limits import MAX_EXTENSIONS, MAX_KEY_SHARES, MAX_PLAINTEXT

MAX_MESSAGE = Limits().max_handshake_message_size
FIELDS = [name for name in dir(ClientHello) if not name.startswith("_")]
VECTORS = list(vectors())
of_vectors = pytest.mark.parametrize(
    "stream", [each["records"] for each in VECTORS], ids=[each["name"] for each in VECTORS]
)


def parse(*each, **fields):
    """The ClientHello with these extensions and fields, in one record."""
    hello = parse_client_hello(record(client_hello(*each, **fields)))
    assert hello is not None
    return hello


def fields(hello):
    return {name: getattr(hello, name) for name in FIELDS}


def refused(data, error=DecodeError):
    with pytest.raises(error) as caught:
        parse_client_hello(data)
    assert type(caught.value) is error
    return caught.value


# --- What is read


def test_every_field():
    hello = parse_client_hello(records(FULL, 1000))
    values = fields(hello)
    data = dict(values.pop("extensions"))
    assert tuple(data) == values["extension_types"] == EXTENSION_TYPES
    assert data[0x4A4B] == b"unknown"
    assert data[X.server_name] == b"\0\x0e\0\0\x0bExample.COM"
    assert values.pop("ja3").startswith("771,4865-49195-255,13-43-0-11-42-10-16-51-19019-41,")
    assert len(values.pop("ja3_hash")) == 32
    assert values.pop("ja4").startswith("t13d0310h2_")
    assert values.pop("ja4_raw").startswith("t13d0310h2_00ff,1301,c02b_")
    assert values == {
        "raw": FULL,
        "size": len(FULL) + 2 * 5,
        "legacy_version": 0x0303,
        "random": RANDOM,
        "legacy_session_id": SESSION_ID,
        "cipher_suites": CIPHER_SUITES,
        "compression_methods": (0,),
        "server_name": "example.com",
        "alpn_protocols": (b"h2", b"http/1.1"),
        "supported_versions": (GREASE[2], 0x0304, 0x0303),
        "supported_groups": (GREASE[3], 0x11EC, 0x001D),
        "signature_algorithms": (0x0403, 0x0804),
        "ec_point_formats": (0, 1),
        "key_shares": ((GREASE[3], b"\0"), (0x11EC, MLKEM_SHARE), (0x001D, RANDOM)),
        "pre_shared_key": True,
        "early_data": True,
        "extension_types": EXTENSION_TYPES,
    }
    assert type(hello.raw) is bytes


@pytest.mark.parametrize("block", [b"", extensions()], ids=["none", "empty"])
def test_no_extensions(block):
    hello = parse(block=block, session_id=b"")
    absent = fields(hello)
    for name in ("raw", "size", "legacy_version", "random", "cipher_suites", "compression_methods"):
        assert absent.pop(name)
    for name in ("ja3", "ja3_hash", "ja4", "ja4_raw"):
        assert absent.pop(name)
    assert absent.pop("server_name") is None
    assert absent.pop("legacy_session_id") == b""
    assert absent.pop("pre_shared_key") is False
    assert absent.pop("early_data") is False
    assert set(absent.values()) == {()}


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x7F1C])
def test_any_version(version):
    hello = parse(legacy_version=version, compression=b"\1\0", cipher_suites=(0x000A,))
    assert hello.legacy_version == version
    assert hello.compression_methods == (1, 0)
    assert hello.cipher_suites == (0x000A,)


@of_vectors
def test_published_client_hello(stream):
    hello = parse_client_hello(stream)
    published = next(each for each in VECTORS if each["records"] == stream)
    assert hello.server_name == published["server_name"]
    assert hello.size == len(stream)
    assert (
        join(*(extension(*each) for each in hello.extensions))
        == hello.raw[len(hello.raw) - sum(4 + len(data) for _, data in hello.extensions) :]
    )


@pytest.mark.parametrize("section", [3, 4, 5, 6, 7])
def test_client_hellos_of_rfc_8448(section):
    messages = [each for _, each in rfc8448.traces()[section].messages("client") if each[0] == 1]
    assert len(messages) == 1 + (section == rfc8448.RETRIED)
    for each in messages:
        hello = parse_client_hello_message(each)
        assert hello.server_name == "server"
        assert hello.supported_versions == (0x0304,)
        assert hello.cipher_suites == (0x1301, 0x1303, 0x1302)
        assert hello.pre_shared_key == hello.early_data == (section == rfc8448.RESUMED)


def test_what_the_handshake_judges_is_accepted():
    """Where an extension may stand, and which go together, is no matter of syntax."""
    hello = parse(PRE_SHARED_KEY, extension(X.oid_filters, b"?"), extension(X.early_data))
    assert hello.pre_shared_key
    assert hello.early_data
    assert hello.extension_types == (41, 48, 42)


def test_grease_everywhere():
    hello = parse(
        *(extension(code, b"anything") for code in GREASE),
        u16_list(X.supported_groups, *GREASE),
        u16_list(X.signature_algorithms, *GREASE),
        supported_versions(*GREASE),
        protocol_names(u16(GREASE[0])),
        key_share(*((code, b"\0") for code in GREASE)),
        cipher_suites=GREASE,
    )
    assert hello.extension_types[:16] == hello.cipher_suites == hello.supported_versions == GREASE
    assert hello.supported_groups == hello.signature_algorithms == GREASE
    assert [group for group, _ in hello.key_shares] == list(GREASE)


def test_extensions_that_are_not_decoded_may_hold_anything():
    unread = set(range(60)) - {0, 10, 11, 13, 16, 41, 42, 43, 51}
    hello = parse(*(extension(code, b"\xff") for code in sorted(unread)))
    assert dict(hello.extensions) == dict.fromkeys(unread, b"\xff")


def test_server_name_without_a_host_name():
    """RFC 6066, 3: other types of name may come."""
    hello = parse(extension(X.server_name, vector(2, u8(7), vector(2, b"\xff"))))
    assert hello.server_name is None
    assert hello.extension_types == (0,)


def test_protocol_names_of_any_octets():
    assert parse(protocol_names(b"\0\xff", b"x" * 255)).alpn_protocols == (b"\0\xff", b"x" * 255)


def test_empty_key_share():
    """RFC 8446, 4.2.8: an empty list asks for a HelloRetryRequest."""
    assert parse(key_share()).key_shares == ()


def test_message_alone():
    whole, alone = parse_client_hello(record(FULL)), parse_client_hello_message(bytes(FULL))
    assert fields(alone) | {"size": len(FULL) + 5} == fields(whole)
    assert alone.size == len(FULL)


# --- The object


def test_it_cannot_be_changed():
    hello = parse(server_name(b"a"))
    for name in [*FIELDS, "another"]:
        with pytest.raises(AttributeError):
            setattr(hello, name, None)
        with pytest.raises(AttributeError):
            delattr(hello, name)
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(hello)


def test_nobody_else_makes_one():
    with pytest.raises(TypeError, match="parse_client_hello"):
        ClientHello()
    with pytest.raises(TypeError):
        type("Derived", (ClientHello,), {})


def test_an_empty_one_does_no_harm():
    empty = ClientHello.__new__(ClientHello)
    assert empty.cipher_suites == empty.extensions == empty.key_shares == ()
    with pytest.raises(TypeError):
        repr(empty)


def test_repr():
    hello = parse(server_name(b"a.example"), protocol_names(b"h2"))
    assert repr(hello) == (
        f"<ClientHello server_name='a.example' alpn_protocols=(b'h2',) {len(hello.raw)} bytes>"
    )


# --- What it is read from


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(b"x" + data + b"x")[1:-1],
        lambda data: array.array("B", data),
    ],
    ids=["bytes", "bytearray", "memoryview", "slice", "array"],
)
def test_bytes_like(make):
    data = make(record(FULL))
    assert parse_client_hello(data).raw == FULL


def test_a_buffer_is_given_back():
    """A bytearray can be resized only while nobody looks into it."""
    for content in (record(FULL), record(FULL)[:-1], b"GET / HTTP/1.1\r\n", record(FULL[:-1])):
        data = bytearray(content)
        with contextlib.suppress(TLSError):
            parse_client_hello(data)
        assert data == content
        data += b"more"


@pytest.mark.parametrize("data", [None, "text", 5, [22]])
def test_other_types_are_refused(data):
    with pytest.raises(TypeError):
        parse_client_hello(data)
    with pytest.raises(TypeError):
        parse_client_hello_message(data)


def test_data_that_is_not_contiguous_is_refused():
    with pytest.raises(BufferError):
        parse_client_hello(memoryview(record(FULL))[::2])


# --- Records


def test_nothing_is_not_enough():
    assert parse_client_hello(b"") is None


@of_vectors
def test_every_truncation_needs_more(stream):
    for size in range(len(stream)):
        assert parse_client_hello(stream[:size]) is None


def test_every_truncation_of_small_records_needs_more():
    stream = records(FULL, *[1] * 20, 100, 1, 50)
    for size in range(len(stream)):
        assert parse_client_hello(stream[:size]) is None
    assert parse_client_hello(stream).raw == FULL


def test_a_record_for_each_byte():
    stream = records(FULL, *[1] * len(FULL))
    hello = parse_client_hello(stream)
    assert hello.raw == FULL
    assert hello.size == len(stream) == 6 * len(FULL)


@pytest.mark.parametrize(
    "behind", [b"\0", record(b"next"), record(b"", 23), b"GET /", bytes(70000)]
)
def test_what_follows_is_not_looked_at(behind):
    stream = records(FULL, 3, 200)
    hello = parse_client_hello(stream + behind)
    assert hello.raw == FULL
    assert hello.size == len(stream)


@pytest.mark.parametrize("first", [len(FULL), 100, 1])
def test_a_message_that_ends_within_a_record(first):
    stream = records(FULL + b"\x0b\0\0\0", first)
    end = parse_client_hello(records(FULL, first)).size
    assert parse_client_hello(stream).size == end == parse_client_hello(stream[:end]).size
    assert parse_client_hello(stream[: end - 1]) is None


@pytest.mark.parametrize("version", [0x0000, 0x0300, 0x0303, 0x0304, 0xFFFF])
def test_the_version_of_a_record_is_ignored(version):
    """RFC 8446, 5.1."""
    stream = u8(22) + u16(version) + vector(2, FULL)
    assert parse_client_hello(stream).raw == FULL


def test_the_largest_record():
    padding = MAX_PLAINTEXT - len(client_hello(extension(X.padding)))
    hello = client_hello(extension(X.padding, bytes(padding)))
    assert len(hello) == MAX_PLAINTEXT
    assert parse_client_hello(record(hello)).size == MAX_PLAINTEXT + 5


def test_a_record_that_is_too_long_is_refused():
    header = u8(22) + u16(0x0301) + u16(MAX_PLAINTEXT + 1)
    error = refused(header)
    assert error.alert is AlertDescription.record_overflow
    assert str(MAX_PLAINTEXT) in error.reason
    assert refused(record(FULL[:10]) + header).alert is AlertDescription.record_overflow


def test_an_empty_record_is_refused():
    """RFC 8446, 5.1."""
    for stream in (record(b""), record(FULL[:10]) + record(b"")):
        assert refused(stream).alert is AlertDescription.unexpected_message


@pytest.mark.parametrize("content_type", [0, 20, 21, 23, 24, 128, 255])
def test_another_content_type_is_refused(content_type):
    error = refused(u8(content_type))
    assert error.alert is AlertDescription.unexpected_message
    assert f"type {content_type} instead of" in error.reason
    error = refused(record(FULL[:10]) + u8(content_type))
    assert error.alert is AlertDescription.unexpected_message
    assert f"type {content_type} in the middle" in error.reason


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HEAD /",
        b"POST /",
        b"PUT /",
        b"DELETE /",
        b"CONNECT example.com:443",
        b"OPTIONS *",
        b"TRACE /",
        b"PATCH /",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_plain_http_is_refused_by_name(words):
    error = refused(words)
    assert "plain HTTP" in error.reason
    assert error.alert is AlertDescription.unexpected_message
    # The first byte is enough to know that it is no TLS.
    assert "content type" in refused(words[:1]).reason


def test_ssl_2_is_refused_by_name():
    assert "SSL 2.0" in refused(bytes.fromhex("802e0100020015")).reason


# --- The message


@pytest.mark.parametrize("code", [0, 2, 4, 11, 16, 20, 254])
def test_another_handshake_message_is_refused(code):
    for stream in (record(u8(code)), record(message(code, FULL[4:]))):
        error = refused(stream)
        assert error.alert is AlertDescription.unexpected_message
        assert f"type {code} " in error.reason
    with pytest.raises(DecodeError, match=f"type {code} "):
        parse_client_hello_message(bytes(message(code, FULL[4:])))


def test_the_largest_message():
    """As far as extensions go, which is less than the limit."""
    block = extensions(extension(X.padding, bytes(0xFFFF - 4)))
    hello = client_hello(block=block, cipher_suites=[0x1301] * 0x7000)
    stream = records(hello, *[MAX_PLAINTEXT] * 8)
    assert parse_client_hello(stream).raw == hello
    assert parse_client_hello(record(u8(1) + MAX_MESSAGE.to_bytes(3, "big"))) is None


def test_a_message_that_is_too_long_is_refused():
    """Before it arrives, and with the name of the limit."""
    header = u8(1) + (MAX_MESSAGE + 1).to_bytes(3, "big")
    for stream in (record(header), records(header, 1, 1, 1)):
        error = refused(stream)
        assert "max_handshake_message_size" in error.reason
        assert str(MAX_MESSAGE) in error.reason
        assert parse_client_hello(stream[:-1]) is None


def test_a_message_alone_has_no_limit_of_its_own():
    block = extensions(extension(X.padding, bytes(0xFFFF - 4)))
    hello = client_hello(block=block, cipher_suites=[0x1301] * 0x7FFF)
    assert len(hello) - 4 > MAX_MESSAGE
    assert parse_client_hello_message(bytes(hello)).raw == hello
    refused(records(hello, *[MAX_PLAINTEXT] * 8))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_message_alone_of_another_length_is_refused(change):
    data = bytes(FULL[:-1] if change < 0 else FULL + b"\0")
    with pytest.raises(DecodeError):
        parse_client_hello_message(data)


def test_every_truncation_of_a_message_alone_is_refused():
    for size in range(len(FULL)):
        with pytest.raises(DecodeError):
            parse_client_hello_message(bytes(FULL[:size]))


def test_a_message_that_is_cut_short_is_refused():
    """Its header says so itself: more will not come."""
    whole = parse_client_hello_message(bytes(FULL))
    without_extensions = len(FULL) - 2 - sum(4 + len(data) for _, data in whole.extensions)
    for size in range(4, len(FULL)):
        if size != without_extensions:
            refused(record(refitted(FULL[:size])))


def test_lengths_off_by_one_are_refused():
    count = 0
    for at, change, data in with_lengths_off_by_one(FULL):
        with pytest.raises((DecodeError, IllegalParameter)):
            parse_client_hello_message(data)
        count += 1
        assert data != FULL, (at, change)
    assert count > 40


def test_bytes_behind_the_extensions_are_refused():
    refused(record(refitted(FULL + b"\0")))


def test_long_session_id_is_refused():
    assert parse(session_id=bytes(32)).legacy_session_id == bytes(32)
    refused(record(client_hello(session_id=bytes(33))))


def test_no_cipher_suites_are_refused():
    refused(record(client_hello(cipher_suites=())))


def test_half_a_cipher_suite_is_refused():
    body = u16(0x0303) + RANDOM + vector(1) + vector(2, b"\x13\x01\x13") + vector(1, b"\0")
    refused(record(message(1, body)))


def test_no_compression_methods_are_refused():
    refused(record(client_hello(compression=b"")))


def test_duplicate_extension_is_refused():
    """RFC 8446, 4.2."""
    for each in (server_name(b"a"), extension(0x4A4B), extension(GREASE[0])):
        error = refused(record(client_hello(each, extension(99), each)), IllegalParameter)
        assert "twice" in error.reason


def test_too_many_extensions_are_refused():
    codes = range(1000, 1000 + MAX_EXTENSIONS)
    assert parse(*map(extension, codes)).extension_types == tuple(codes)
    refused(record(client_hello(*map(extension, codes), extension(99))))


def test_too_many_key_shares_are_refused():
    shares = [(code, b"\0") for code in range(1, MAX_KEY_SHARES + 2)]
    assert len(parse(key_share(*shares[1:])).key_shares) == MAX_KEY_SHARES
    refused(record(client_hello(key_share(*shares))))


KNOWN = {
    "server_name": server_name(b"a"),
    "supported_groups": u16_list(X.supported_groups, 29),
    "ec_point_formats": extension(X.ec_point_formats, vector(1, u8(0))),
    "signature_algorithms": u16_list(X.signature_algorithms, 0x0403),
    "ALPN": protocol_names(b"h2"),
    "supported_versions": supported_versions(0x0304),
    "key_share": key_share((29, b"share")),
    "pre_shared_key": PRE_SHARED_KEY,
}


@pytest.mark.parametrize("valid", KNOWN.values(), ids=KNOWN)
def test_malformed_known_extension_is_refused(valid):
    code, data = int.from_bytes(valid[:2], "big"), valid[4:]
    assert parse(valid).extensions == ((code, data),)
    for size in range(len(data)):
        refused(record(client_hello(extension(code, data[:size]))))
    refused(record(client_hello(extension(code, data, b"\0"))))


def test_early_data_with_content_is_refused():
    refused(record(client_hello(extension(X.early_data, b"\0"))))


@pytest.mark.parametrize("code", [X.supported_groups, X.signature_algorithms])
def test_an_odd_list_of_codes_is_refused(code):
    refused(record(client_hello(extension(code, vector(2, b"\0\x1d\0")))))


def test_an_empty_protocol_name_is_refused():
    refused(record(client_hello(protocol_names(b"h2", b""))))


def test_an_empty_key_exchange_is_refused():
    refused(record(client_hello(key_share((29, b"")))))


def test_two_key_shares_for_a_group_are_refused():
    refused(record(client_hello(key_share((29, b"a"), (29, b"b")))), IllegalParameter)


def test_a_short_psk_binder_is_refused():
    psk = extension(
        X.pre_shared_key, vector(2, vector(2, b"identity"), u32(7)), vector(2, vector(1, bytes(31)))
    )
    refused(record(client_hello(psk)))


@pytest.mark.parametrize(
    "name", [b"a\0b", b"b\xc3\xbccher.example", b"a b", b"a.example.", b"a" * 256, b"\x7f"]
)
def test_a_server_name_that_is_none_is_refused(name):
    """RFC 6066, 3."""
    refused(record(client_hello(server_name(name))), IllegalParameter)


def test_two_host_names_are_refused():
    names = extension(X.server_name, vector(2, *[join(u8(0), vector(2, b"a"))] * 2))
    refused(record(client_hello(names)), IllegalParameter)


# --- Whatever arrives


def outcome(data):
    """None, all fields, or the class of the refusal; any other exception is a failure."""
    try:
        hello = parse_client_hello(data)
    except TLSError as error:
        return type(error)
    return None if hello is None else fields(hello) | {"repr": repr(hello)}


@given(st.binary(max_size=300))
def test_any_bytes(data):
    outcome(data)


@given(st.binary(max_size=300))
def test_any_content_of_a_record(data):
    outcome(record(data))


@given(st.binary(max_size=300))
def test_any_body_of_a_message(data):
    assert outcome(record(message(1, data))) is not None


@given(st.lists(st.tuples(st.sampled_from([*range(60), *GREASE]), st.binary(max_size=30))))
def test_any_extensions(each):
    assert outcome(record(client_hello(*(extension(*pair) for pair in each)))) is not None


@given(st.sampled_from(VECTORS), st.randoms(use_true_random=False), st.integers(1, 8))
def test_any_damage(vector, source, count):
    data = bytearray(vector["records"])
    for _ in range(count):
        data[source.randrange(len(data))] = source.randrange(256)
    outcome(data)


@given(st.sampled_from([FULL, *(each["records"][5:] for each in VECTORS)]), st.data())
def test_any_fragmentation_gives_the_same(hello, data):
    sizes = data.draw(st.lists(st.integers(1, 400), max_size=50))
    stream = records(hello, *sizes)
    parsed = parse_client_hello(stream + data.draw(st.binary(max_size=10)))
    assert fields(parsed) == fields(parse_client_hello(record(hello))) | {"size": len(stream)}


@example([1] * 9)
@given(st.lists(st.integers(1, 400), max_size=50))
def test_any_truncation_needs_more(sizes):
    stream = records(FULL, *sizes)
    for size in random.Random(len(stream)).sample(range(len(stream)), 50):
        assert parse_client_hello(stream[:size]) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_is_refused_stays_refused(data, size):
    """No answer but None changes when more arrives."""
    before = outcome(data[:size])
    if isinstance(before, type):
        assert outcome(data) is before
