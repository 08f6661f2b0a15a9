"""Name constraints: which names the certificates below an authority may have (RFC 5280, 4.2.1.10).

Every name of a certificate, its subject among them, is held against the constraints of every
authority above it. A name of a kind that a constraint speaks of must be inside one of the permitted
subtrees of that kind, and inside none of the excluded ones. What cannot be judged is refused.

Compared are DNS names, addresses and directory names. A name of any other kind is refused where an
authority constrains that kind at all. OpenSSL compares e-mail addresses and the hosts of URIs too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509

from fasths.crypto.verify_errors import (
    EXCLUDED_VIOLATION,
    PERMITTED_VIOLATION,
    SUBTREE_MINMAX,
    UNSPECIFIED,
    UNSUPPORTED_CONSTRAINT_SYNTAX,
    UNSUPPORTED_CONSTRAINT_TYPE,
    UNSUPPORTED_NAME_SYNTAX,
    Refusal,
)

# Names compared with subtrees in one chain, at most. Of a directory name each attribute counts.
MAX_COMPARISONS = 1 << 14

_COMPARED = (x509.DNSName, x509.IPAddress, x509.DirectoryName)
_ADDRESSES = (IPv4Address, IPv6Address)
_NETWORKS = (IPv4Network, IPv6Network)

# RFC 9598: an e-mail address in Unicode, which constraints on e-mail addresses bind.
_SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")

_LOOKS_LIKE_DNS_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")

# A name or subtree in the form that it is compared in. None: there is none.
_Rdn = frozenset[tuple[str, str | bytes]]
_Normal = str | IPv4Address | IPv6Address | IPv4Network | IPv6Network | tuple[_Rdn, ...] | None
_ByKind = dict[type[x509.GeneralName], list[_Normal]]


class ChainConstraints:
    """What the authorities of one chain, added from the anchor down, demand of the names below."""

    def __init__(self) -> None:
        self._authorities: list[tuple[_ByKind, _ByKind]] = []  # permitted, excluded
        self._comparisons_left = MAX_COMPARISONS

    def add(self, authority: x509.Certificate, constraints: x509.NameConstraints) -> None:
        """Let the constraints of the next authority bind what is checked from now on."""
        # The library drops the fields that it does not know what to do with.
        if constraints.public_bytes() not in authority.tbs_certificate_bytes:
            raise Refusal(SUBTREE_MINMAX, "a name constraint has a minimum or maximum")
        permitted = _by_kind(constraints.permitted_subtrees or ())
        excluded = _by_kind(constraints.excluded_subtrees or ())
        self._authorities.append((permitted, excluded))

    def check(
        self, subject: x509.Name, alternative_names: Sequence[x509.GeneralName], *, is_leaf: bool
    ) -> None:
        """Raise Refusal if one of the names of a certificate is not allowed."""
        if not self._authorities:
            return
        names = _by_kind(_constrained_names(subject, alternative_names, is_leaf=is_leaf))
        if subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS):
            names.setdefault(x509.RFC822Name, []).append("")  # that there is one is enough
        for name in alternative_names:
            if isinstance(name, x509.OtherName) and name.type_id == _SMTP_UTF8_MAILBOX:
                names.setdefault(x509.RFC822Name, []).append(None)
        for kind, of_kind in names.items():
            for permitted, excluded in self._authorities:
                self._compare(kind, of_kind, permitted.get(kind, []), excluded.get(kind, []))

    def _compare(
        self,
        kind: type[x509.GeneralName],
        names: list[_Normal],
        permitted: list[_Normal],
        excluded: list[_Normal],
    ) -> None:
        if not permitted and not excluded:
            return
        if None in names:
            raise Refusal(UNSUPPORTED_NAME_SYNTAX, "a constrained name cannot be compared")
        if kind not in _COMPARED:
            raise Refusal(
                UNSUPPORTED_CONSTRAINT_TYPE, "a name constraint is of a kind not supported"
            )
        self._comparisons_left -= len(names) * sum(map(_cost, (*permitted, *excluded)))
        if self._comparisons_left < 0:
            raise Refusal(UNSPECIFIED, "there are too many name constraints for so many names")
        if None in permitted or None in excluded:
            raise Refusal(UNSUPPORTED_CONSTRAINT_SYNTAX, "a name constraint cannot be compared")
        for name in names:
            if permitted and not any(_is_within(name, each) for each in permitted):
                raise Refusal(
                    PERMITTED_VIOLATION, "a name is outside of what an authority is permitted"
                )
            if any(_is_within(name, each) or _overlaps(name, each) for each in excluded):
                raise Refusal(EXCLUDED_VIOLATION, "a name is inside of what an authority is denied")


def _constrained_names(
    subject: x509.Name, alternative_names: Sequence[x509.GeneralName], *, is_leaf: bool
) -> list[x509.GeneralName]:
    """All names of a certificate that constraints apply to."""
    names = list(alternative_names)
    if subject.rdns:
        names.append(x509.DirectoryName(subject))
    if is_leaf and not any(isinstance(each, x509.DNSName) for each in alternative_names):
        # An application may know a client by its common name.
        for attribute in subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
            name = str(attribute.value)
            if "\0" in name:
                raise Refusal(UNSUPPORTED_NAME_SYNTAX, "a constrained common name has a NUL")
            if _LOOKS_LIKE_DNS_NAME.fullmatch(name):
                names.append(x509.DNSName(name))
    return names


def _by_kind(names: Iterable[x509.GeneralName]) -> _ByKind:
    found: _ByKind = {}
    for name in names:
        found.setdefault(type(name), []).append(_normal(name))
    return found


def _normal(name: x509.GeneralName) -> _Normal:
    match name:
        case x509.DNSName(value=text):
            # Without its dot, "." would be the subtree of all names.
            return text.lower().removesuffix(".") if text.isascii() and text != "." else None
        case x509.IPAddress(value=address):
            return address
        case x509.DirectoryName(value=directory_name):
            return tuple(
                frozenset((each.oid.dotted_string, _folded(each.value)) for each in rdn)
                for rdn in directory_name.rdns
            )
    return ""  # of a kind that is not compared


def _folded(value: str | bytes) -> str | bytes:
    """A value for comparison: without ASCII's case and with single spaces."""
    if isinstance(value, bytes):
        return value
    return " ".join(value.split()).encode("utf-8", "surrogatepass").lower()


def _cost(subtree: _Normal) -> int:
    return 1 + sum(map(len, subtree)) if isinstance(subtree, tuple) else 1


def _is_within(name: _Normal, subtree: _Normal) -> bool:
    if isinstance(name, str) and isinstance(subtree, str):
        return _is_below(name, subtree)
    if isinstance(name, tuple) and isinstance(subtree, tuple):
        return name[: len(subtree)] == subtree
    if isinstance(name, _ADDRESSES) and isinstance(subtree, _NETWORKS):
        return name in subtree
    raise Refusal(UNSUPPORTED_NAME_SYNTAX, "a constrained address is none, or its network is none")


def _is_below(name: str, base: str) -> bool:
    """Whether a DNS name is below ".example.com", or for "example.com" also that name itself."""
    if not base:
        return True
    if base.startswith("."):
        return name.endswith(base)
    return name == base or name.endswith("." + base)


def _overlaps(name: _Normal, subtree: _Normal) -> bool:
    """Whether a wildcard covers a name of the subtree without being inside: *.a.b and x.a.b."""
    if not isinstance(name, str) or not isinstance(subtree, str) or not name.startswith("*."):
        return False
    return subtree.partition(".")[2] == name[2:]
