"""Host names and addresses: the one form they are compared in, and what a certificate covers.

The rules of a match are those of RFC 9525, 6.3 as OpenSSL applies them: DNS names without regard
to case, a wildcard only as the whole leftmost label, for exactly one label, and never directly
under a top-level domain; addresses by value, only against iPAddress entries. The common name is
not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

Address = IPv4Address | IPv6Address

# Underscores are no part of host names, but of names that hosts have.
_DNS_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LABEL_OF_WILDCARD = re.compile(r"[a-z0-9-]+")
_BASE_OF_WILDCARD = re.compile(r"(?!-)[a-z0-9-]+(?<!-)(?:\.(?!-)[a-z0-9-]+(?<!-))+")
MAX_DNS_NAME = 253


def normalize_hostname(name: str | bytes) -> tuple[str, bool]:
    """The form of a host's name that certificates are checked against, and if it is an address.

    DNS names become lower-case A-labels without a trailing dot, addresses their canonical text
    (brackets and a zone of IPv6 are dropped). ValueError: it cannot be the name of a host.
    """
    if isinstance(name, bytes | bytearray):
        try:
            name = bytes(name).decode("ascii")
        except UnicodeDecodeError:
            raise ValueError("a host name given as bytes must be ASCII (A-labels)") from None
    elif not isinstance(name, str):
        raise TypeError(f"a host name is a str or bytes, not {type(name).__name__}")
    return _normalize(name)


@lru_cache(maxsize=4096)
def _normalize(name: str) -> tuple[str, bool]:
    normal = (name if name.isascii() else _to_a_labels(name)).lower().removesuffix(".")
    address = parse_address(normal)
    if address is not None:
        return str(address), True
    if not normal:
        raise ValueError("a host name must not be empty")
    if len(normal) > MAX_DNS_NAME:
        raise ValueError(f"a host name must not be longer than {MAX_DNS_NAME} characters")
    if not _DNS_NAME.fullmatch(normal):
        raise ValueError(f"not a host name or address: {name!r} ({_what_is_wrong(normal)})")
    return normal, False


@lru_cache(maxsize=4096)
def parse_address(name: str) -> Address | None:
    """The address that a text stands for, without a zone; None: it is none."""
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
        if ":" not in name:
            return None
    try:
        return ip_address(name.partition("%")[0] if ":" in name else name)
    except ValueError:
        return None


def host_matches(host: str, names: Iterable[x509.GeneralName]) -> bool:
    """Whether one of the names covers the host, in the form of normalize_hostname()."""
    address = parse_address(host)
    if address is not None:
        return any(isinstance(each, x509.IPAddress) and each.value == address for each in names)
    return any(isinstance(each, x509.DNSName) and _dns_matches(host, each.value) for each in names)


def _dns_matches(host: str, pattern: str) -> bool:
    if not pattern.isascii():
        return False  # the Kelvin sign would be a k in lower case
    pattern = pattern.lower()
    if not pattern.startswith("*."):
        return pattern == host
    label, _, rest = host.partition(".")
    return (
        pattern[2:] == rest
        and _BASE_OF_WILDCARD.fullmatch(rest) is not None
        and _LABEL_OF_WILDCARD.fullmatch(label) is not None
    )


def _to_a_labels(name: str) -> str:
    import idna

    try:
        # UTS #46, non-transitional. Labels that are ASCII stay what they are: an underscore or
        # two hyphens in one are no concern of IDNA.
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode("ascii")
            for label in mapped.split(".")
        )
    except idna.IDNAError as error:
        raise ValueError(f"not a host name: {name!r} ({error})") from None


def _what_is_wrong(name: str) -> str:
    labels = name.split(".")
    if "" in labels:
        return "a label is empty"
    if any(len(label) > 63 for label in labels):
        return "a label is longer than 63 characters"
    bad = next(char for char in name if not re.fullmatch(r"[a-z0-9_.-]", char))
    return f"the character {bad!r} is not allowed"
