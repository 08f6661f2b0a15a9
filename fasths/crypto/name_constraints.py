"""Name constraints: which names the certificates below an authority may have (RFC 5280, 4.2.1.10).

Every name of a certificate, its subject among them, is held against the constraints of every
authority above it. A name of a kind that a constraint speaks of must be inside one of the permitted
subtrees of that kind, and inside none of the excluded ones. What cannot be judged is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from cryptography import x509

from fasths.crypto.verify_errors import (
    EXCLUDED_VIOLATION,
    PERMITTED_VIOLATION,
    UNSPECIFIED,
    UNSUPPORTED_CONSTRAINT_SYNTAX,
    UNSUPPORTED_CONSTRAINT_TYPE,
    UNSUPPORTED_NAME_SYNTAX,
    Refusal,
)

# Comparisons of one certificate's names with one authority's constraints, at most.
MAX_COMPARISONS = 1 << 16

_NETWORKS = (IPv4Network, IPv6Network)

_LOOKS_LIKE_DNS_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")


def constrained_names(
    subject: x509.Name, alternative_names: Sequence[x509.GeneralName], *, is_leaf: bool
) -> list[x509.GeneralName]:
    """All names of a certificate that constraints apply to."""
    names = list(alternative_names)
    if subject.rdns:
        names.append(x509.DirectoryName(subject))
    mailboxes = map(_text, subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS))
    names.extend(map(x509.RFC822Name, mailboxes))
    if is_leaf and not any(isinstance(each, x509.DNSName) for each in alternative_names):
        # An application may know a client by its common name.
        for attribute in subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
            if _LOOKS_LIKE_DNS_NAME.fullmatch(str(attribute.value)):
                names.append(x509.DNSName(str(attribute.value)))  # noqa: PERF401
    return names


def check_name_constraints(
    names: Sequence[x509.GeneralName], constraints: x509.NameConstraints
) -> None:
    """Raise Refusal if one of the names is not allowed."""
    permitted = constraints.permitted_subtrees or []
    excluded = constraints.excluded_subtrees or []
    if len(names) * (len(permitted) + len(excluded)) > MAX_COMPARISONS:
        raise Refusal(UNSPECIFIED, "there are too many name constraints for so many names")
    for name in names:
        of_its_kind = [each for each in permitted if type(each) is type(name)]
        if of_its_kind and not any(_is_within(name, each) for each in of_its_kind):
            raise Refusal(
                PERMITTED_VIOLATION, "a name is outside of what an authority is permitted"
            )
        for each in excluded:
            if type(each) is type(name) and (_is_within(name, each) or _overlaps(name, each)):
                raise Refusal(EXCLUDED_VIOLATION, "a name is inside of what an authority is denied")


def _is_within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    match name, subtree:
        case x509.DNSName(), x509.DNSName():
            return _is_below(_dns(name.value), _dns(subtree.value), itself=True)
        case x509.IPAddress(), x509.IPAddress():
            return isinstance(subtree.value, _NETWORKS) and name.value in subtree.value
        case x509.DirectoryName(), x509.DirectoryName():
            prefix = _folded(subtree.value)
            return _folded(name.value)[: len(prefix)] == prefix
        case x509.RFC822Name(), x509.RFC822Name():
            return _mailbox_is_within(name.value, subtree.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _is_below(_uri_host(name.value), _dns(subtree.value), itself=False)
    raise Refusal(UNSUPPORTED_CONSTRAINT_TYPE, "a name constraint is of a kind not supported")


def _overlaps(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    """Whether a wildcard covers a name of the subtree without being inside: *.a.b and x.a.b."""
    if not isinstance(name, x509.DNSName) or not name.value.startswith("*."):
        return False
    return _dns(subtree.value).partition(".")[2] == _dns(name.value)[2:]


def _is_below(name: str, base: str, *, itself: bool) -> bool:
    """Whether a DNS name is in a subtree: below ".example.com", or for "example.com" also that.

    `itself`: a base without a leading dot stands for its subdomains too, as it does for DNS names,
    but for no other kind.
    """
    if not base:
        return True
    if base.startswith("."):
        return name.endswith(base)
    return name == base or (itself and name.endswith("." + base))


def _mailbox_is_within(mailbox: str, base: str) -> bool:
    local, at, host = mailbox.rpartition("@")
    if not at:
        raise Refusal(UNSUPPORTED_NAME_SYNTAX, "a constrained e-mail address has no @")
    base_local, at, base_host = base.rpartition("@")
    if at and base_local:
        return local == base_local and _dns(host) == _dns(base_host)
    return _is_below(_dns(host), _dns(base_host), itself=False)


def _uri_host(uri: str) -> str:
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        host = None
    if not host:
        raise Refusal(UNSUPPORTED_NAME_SYNTAX, "a constrained URI has no host")
    return _dns(host)


def _dns(name: str) -> str:
    return name.lower().removesuffix(".")


def _folded(name: x509.Name) -> list[frozenset[tuple[str, str | bytes]]]:
    """A distinguished name for comparison: without ASCII's case and with single spaces."""
    return [
        frozenset((each.oid.dotted_string, _folded_value(each.value)) for each in rdn)
        for rdn in name.rdns
    ]


def _folded_value(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return " ".join(value.split()).encode("utf-8", "surrogatepass").lower()


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    if isinstance(value, str) and value.isascii():
        return value
    raise Refusal(UNSUPPORTED_CONSTRAINT_SYNTAX, "a constrained name is not in ASCII")
