"""Parsing a ClientHello, as a proxy does that routes by its server name.

fasths alone: ssl and pyOpenSSL have no call for it.
"""

import gc
import struct
from collections.abc import Callable
from time import perf_counter_ns

from bench.cases import X25519, X25519MLKEM768
from bench.job import Job
from bench.results import Column, Result
from fasths import ClientHello, parse_client_hello

_NOTE = (
    "server_name, all fields: parse_client_hello() and then that; JA4: the fingerprint alone, of a "
    "ClientHello that was parsed before"
)
_FIELDS = (
    "raw",
    "size",
    "legacy_version",
    "random",
    "legacy_session_id",
    "cipher_suites",
    "compression_methods",
    "server_name",
    "alpn_protocols",
    "supported_versions",
    "supported_groups",
    "signature_algorithms",
    "ec_point_formats",
    "key_shares",
    "pre_shared_key",
    "early_data",
    "extensions",
)
_GREASE = 0x2A2A
_KEY_SIZES = {_GREASE: 1, X25519: 32, X25519MLKEM768: 1216}


def measure(job: Job) -> Result:
    """Microseconds for one ClientHello."""
    data = browser_hello(job.row.group)
    turns = {
        "server_name": lambda: _parsed(data).server_name,
        "all fields": lambda: _all_fields(data),
        "JA4": _fingerprint(data),
    }
    columns = [Column(name, "us", lower_is_better=True) for name in turns]
    result = Result(job.row_name, columns, notes=[_NOTE])
    if "fasths" not in job.stacks:
        return result
    for turn in turns.values():
        _time(turn, job.batch)  # warm up
    for _ in range(job.rounds):
        gc.collect()
        result.add("fasths", **{name: _time(turn, job.batch) for name, turn in turns.items()})
    return result


def _parsed(data: bytes) -> ClientHello:
    hello = parse_client_hello(data)
    assert hello is not None
    return hello


def _all_fields(data: bytes) -> list[object]:
    hello = _parsed(data)
    return [getattr(hello, name) for name in _FIELDS]


def _fingerprint(data: bytes) -> Callable[[], str]:
    hello = _parsed(data)
    return lambda: hello.ja4


def _time(turn: Callable[[], object], count: int) -> float:
    start = perf_counter_ns()
    for _ in range(count):
        turn()
    return (perf_counter_ns() - start) / 1000 / count


def browser_hello(group: int) -> bytes:
    """What a browser sends: GREASE, shuffled extensions, a key share for `group` and x25519."""
    groups = [_GREASE, *dict.fromkeys((group, X25519))]
    shares = b"".join(
        struct.pack("!HH", each, _KEY_SIZES[each]) + bytes(_KEY_SIZES[each]) for each in groups
    )
    suites = "2a2a130113021303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035"
    schemes = "04030804040105030805050108060601"
    names = b"".join(_vector(name, 1) for name in (b"h2", b"http/1.1"))
    extensions = {
        0x4A4A: b"",
        0x002B: _vector(bytes.fromhex("2a2a03040303"), 1),
        0x0023: b"",
        0x0000: _vector(b"\0" + _vector(b"www.example.com", 2), 2),
        0x001B: bytes.fromhex("020002"),
        0x000D: _vector(bytes.fromhex(schemes), 2),
        0x0033: _vector(shares, 2),
        0x0010: _vector(names, 2),
        0x0005: bytes.fromhex("0100000000"),
        0x44CD: _vector(_vector(b"h2", 1), 2),
        0x000A: _vector(struct.pack(f"!{len(groups) + 2}H", *groups, 23, 24), 2),
        0x0012: b"",
        0x0017: b"",
        0x002D: b"\x01\x01",
        0x000B: b"\x01\x00",
        0xFF01: b"\x00",
        0x5A5A: b"\x00",
        # encrypted_client_hello, or what older browsers fill up their 517 bytes with.
        **({0xFE0D: bytes(282)} if group == X25519MLKEM768 else {0x0015: bytes(200)}),
    }
    block = b"".join(
        struct.pack("!H", code) + _vector(content, 2) for code, content in extensions.items()
    )
    body = b"\x03\x03" + bytes(32) + _vector(bytes(32), 1) + _vector(bytes.fromhex(suites), 2)
    message = b"\x01" + _vector(body + b"\x01\x00" + _vector(block, 2), 3)
    return b"\x16\x03\x01" + _vector(message, 2)


def _vector(content: bytes, length_size: int) -> bytes:
    return len(content).to_bytes(length_size, "big") + content
