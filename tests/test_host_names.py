"""The form that a host's name is brought to, and what is no host's name."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.x509 import DNSName

from fasths.crypto.host_names import host_matches
from fasths.crypto.verification import normalize_hostname


@pytest.mark.parametrize(
    ("name", "normal", "is_address"),
    [
        ("example.com", "example.com", False),
        (b"example.com", "example.com", False),
        ("EXAMPLE.Com", "example.com", False),
        ("example.com.", "example.com", False),
        ("localhost", "localhost", False),
        ("_dmarc.example.com", "_dmarc.example.com", False),
        ("r3---sn-a.example.com", "r3---sn-a.example.com", False),
        ("worker.1", "worker.1", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", False),
        ("B\u00dcCHER\u3002example", "xn--bcher-kva.example", False),
        ("fa\u00df.example", "xn--fa-hia.example", False),
        ("_x.b\u00fccher.example", "_x.xn--bcher-kva.example", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", False),
        ("127.0.0.1", "127.0.0.1", True),
        (b"127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1.", "127.0.0.1", True),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("FD00:0::000a", "fd00::a", True),
        ("[::1]", "::1", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("a" * 63 + ".example", "a" * 63 + ".example", False),
    ],
)
def test_normal_forms(name: str | bytes, normal: str, is_address: bool) -> None:
    assert normalize_hostname(name) == (normal, is_address)
    assert normalize_hostname(normal) == (normal, is_address)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (".", "empty"),
        (".example.com", "empty"),
        ("example..com", "empty"),
        ("example.com..", "empty"),
        ("*.example.com", "'[*]'"),
        ("a b.example.com", "' '"),
        ("example.com\0.evil.test", "x00"),
        ("example.com\n", "n'"),
        ("https://example.com", "':'"),
        ("example.com:443", "':'"),
        ("user@example.com", "'@'"),
        ("[example.com]", "'.'"),
        ("[127.0.0.1]", "'.'"),
        ("a" * 64 + ".example", "63"),
        ("a." * 126 + "ab", "253"),
        ("\u2603.example", "2603"),
        ("b\u00fccher.-a\u00fc.example", "host name"),
        ("\ud800.example", "host name"),
        (b"b\xc3\xbccher.example", "ASCII"),
    ],
)
def test_what_is_no_host_name(name: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalize_hostname(name)


@pytest.mark.parametrize("name", [None, 1, ["example.com"]])
def test_a_host_name_is_text(name: Any) -> None:
    with pytest.raises(TypeError):
        normalize_hostname(name)


@pytest.mark.parametrize("name", ["ban\u212a.com", "*.ban\u212a.com", "www.ban\u212a.com"])
def test_a_name_that_is_not_ascii_matches_no_host(name: str) -> None:
    """Lower case makes a k of the Kelvin sign."""
    pattern = DNSName._init_without_validation(name)
    assert not host_matches("bank.com", [pattern])
    assert not host_matches("www.bank.com", [pattern])
