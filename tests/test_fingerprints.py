"""JA3 and JA4 against published fingerprints, and rule by rule."""

from __future__ import annotations

import hashlib

import pytest
from client_hellos import (
    GREASE,
    X,
    client_hello,
    key_share,
    protocol_names,
    server_name,
    supported_versions,
    u16_list,
    vectors,
)
from wire_format import extension, u8, vector

from fasths.wire import fingerprints
from fasths.wire.client_hello import parse_client_hello, parse_client_hello_message

VECTORS = list(vectors())
NOTHING = "000000000000"


def parse(*each, **fields):
    return parse_client_hello_message(bytes(client_hello(*each, **fields)))


def numbers(text):
    return [int(number) for number in text.split("-")] if text else []


def hello_of_ja3(text):
    """A ClientHello with this JA3 string."""
    (version,), suites, types, groups, formats = map(numbers, text.split(","))
    contents = {
        0: server_name(b"example.com"),
        10: u16_list(X.supported_groups, *groups),
        11: extension(X.ec_point_formats, vector(1, u8(*formats))),
    }
    return parse(
        *(contents[code] for code in types),
        legacy_version=version,
        cipher_suites=suites,
        block=None if types else b"",
    )


# --- Published


@pytest.mark.parametrize("published", VECTORS, ids=[each["name"] for each in VECTORS])
def test_published_fingerprints(published):
    hello = parse_client_hello(published["records"])
    compared = {name: getattr(hello, name) for name in ("ja3", "ja3_hash", "ja4", "ja4_raw")}
    expected = {name: published[name] for name in compared if name in published}
    assert {name: compared[name] for name in expected} == expected
    assert {"ja4", "ja4_raw"} <= set(expected)


def test_enough_is_published():
    assert sum("ja3_hash" in each for each in VECTORS) >= 4
    assert len({each["ja4"] for each in VECTORS}) >= 14


@pytest.mark.parametrize(
    ("text", "hash"),
    [
        (
            "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
            "ada70206e40642a3e4461f35503241d5",
        ),
        ("769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"),
    ],
)
def test_examples_of_ja3(text, hash):
    """README.md of salesforce/ja3."""
    hello = hello_of_ja3(text)
    assert hello.ja3 == text
    assert hello.ja3_hash == hash


def test_example_of_ja4():
    """technical_details/JA4.md of FoxIO-LLC/ja4."""
    types = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
    schemes = "0403,0804,0401,0503,0805,0501,0806,0601"
    suites = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
    data = {
        0x00: server_name(b"a"),
        0x0A: u16_list(X.supported_groups, 29),
        0x0B: extension(X.ec_point_formats, vector(1, u8(0))),
        0x0D: u16_list(X.signature_algorithms, *(int(each, 16) for each in schemes.split(","))),
        0x10: protocol_names(b"h2", b"http/1.1"),
        0x2B: supported_versions(0x0304, 0x0303),
        0x33: key_share((29, bytes(32))),
    }
    hello = parse(
        *(data.get(code, extension(code)) for code in (int(each, 16) for each in types.split(","))),
        cipher_suites=[int(each, 16) for each in suites.split(",")],
    )
    assert hello.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert hello.ja4_raw == (
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9"
        "_0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"
        "_0403,0804,0401,0503,0805,0501,0806,0601"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"\xab", "ab"),
        (b"\x20", "20"),
        (b"\xab\xcd", "ad"),
        (b"\x20\x61", "21"),
        (b"\x30\xab", "3b"),
        (b"\x61\x20", "60"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
        (b"x", "xx"),
        (b"Zz", "Zz"),
        ("ü".encode("latin-1") + b"a", "f1"),
    ],
)
def test_first_and_last_character_of_alpn(name, expected):
    """The examples of JA4.md, and a letter that is none of ASCII."""
    assert parse(protocol_names(name, b"other")).ja4[8:10] == expected


# --- Rule by rule


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (0x0304, "13"),
        (0x0303, "12"),
        (0x0302, "11"),
        (0x0301, "10"),
        (0x0300, "s3"),
        (0x0002, "s2"),
        (0xFEFF, "d1"),
        (0xFEFD, "d2"),
        (0xFEFC, "d3"),
        (0x0305, "00"),
        (0x0000, "00"),
    ],
)
def test_versions(version, expected):
    assert parse(legacy_version=version).ja4[1:3] == expected
    assert parse(supported_versions(version), legacy_version=0x0301).ja4[1:3] == expected


def test_the_highest_supported_version_counts():
    hello = parse(supported_versions(0x0302, GREASE[15], 0x0304, 0x0303))
    assert hello.ja4[1:3] == "13"
    assert parse(supported_versions(*GREASE)).ja4[1:3] == "00"


def test_server_name_is_a_letter():
    assert parse(server_name(b"a")).ja4[3] == "d"
    assert parse().ja4[3] == "i"


def test_counts_end_at_99():
    many = range(1, 121)
    hello = parse(*(extension(1000 + code) for code in many), cipher_suites=many)
    assert hello.ja4[4:8] == "9999"
    assert hello.ja4_raw.count(",") == 2 * 119
    assert parse(extension(99), cipher_suites=[1]).ja4[4:8] == "0101"


def test_repeated_cipher_suites_are_counted_each():
    hello = parse(cipher_suites=[0x1302, 0x1301, 0x1302])
    assert hello.ja4_raw == "t12i030000_1301,1302,1302_"
    assert hello.ja3.split(",")[1] == "4866-4865-4866"


def test_grease_is_left_out():
    plain = [
        u16_list(X.supported_groups, 29, 23),
        u16_list(X.signature_algorithms, 0x0804, 0x0403),
        supported_versions(0x0304),
    ]
    greased = [
        extension(GREASE[5]),
        u16_list(X.supported_groups, GREASE[0], 29, GREASE[1], 23),
        u16_list(X.signature_algorithms, 0x0804, 0x0403, GREASE[2]),
        supported_versions(GREASE[15], 0x0304),
        *(extension(code) for code in GREASE if code != GREASE[5]),
    ]
    one = parse(*plain, cipher_suites=[0x1301])
    other = parse(*greased, cipher_suites=[*GREASE, 0x1301])
    assert one.ja3 == other.ja3 == "771,4865,10-13-43,29-23,"
    assert one.ja4_raw == other.ja4_raw == "t13i010300_1301_000a,000d,002b_0804,0403"
    # Only these sixteen are GREASE.
    assert parse(cipher_suites=[0x0A1A, 0x0A0B, 0x1A0A]).ja4[4:6] == "03"


def test_order_matters_to_ja3_and_to_signature_algorithms_only():
    schemes = (0x0804, 0x0403)
    one = parse(extension(99), u16_list(13, *schemes), cipher_suites=[1, 2])
    other = parse(u16_list(13, *schemes), extension(99), cipher_suites=[2, 1])
    third = parse(extension(99), u16_list(13, *reversed(schemes)), cipher_suites=[1, 2])
    assert one.ja4 == other.ja4
    assert one.ja3 != other.ja3
    assert one.ja3 == third.ja3
    assert one.ja4 != third.ja4
    assert one.ja4.rpartition("_")[0] == third.ja4.rpartition("_")[0]


def test_no_signature_algorithms():
    """No underscore then: the hash is that of the extensions alone."""
    hello = parse(extension(0x17), extension(0x23))
    assert hello.ja4_raw.endswith("_0017,0023")
    assert hello.ja4.endswith("_" + hashlib.sha256(b"0017,0023").hexdigest()[:12])


def test_empty_lists():
    nothing = parse(block=b"", cipher_suites=[GREASE[0]])
    assert nothing.ja4 == f"t12i000000_{NOTHING}_{NOTHING}"
    assert nothing.ja4_raw == "t12i000000__"
    assert nothing.ja3 == "771,,,,"
    # server_name and ALPN are left out of the list, though counted.
    hello = parse(server_name(b"a"), protocol_names(b"h2"), cipher_suites=[0x1301])
    assert hello.ja4 == f"t12d0102h2_{hashlib.sha256(b'1301').hexdigest()[:12]}_{NOTHING}"


def test_transport():
    hello = parse()
    assert hello.ja4 == fingerprints.ja4(hello) == fingerprints.ja4(hello, "t")
    for transport in ("t", "q", "d"):
        assert fingerprints.ja4(hello, transport) == transport + hello.ja4[1:]
        assert fingerprints.ja4_raw(hello, transport) == transport + hello.ja4_raw[1:]


@pytest.mark.parametrize("transport", ["", "x", "tq", None])
def test_another_transport_is_refused(transport):
    for fingerprint in (fingerprints.ja4, fingerprints.ja4_raw):
        with pytest.raises(ValueError, match="transport"):
            fingerprint(parse(), transport)
