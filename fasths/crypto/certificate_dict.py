"""A certificate as the standard library's SSLSocket.getpeercert() shows it.

The fields are taken from the DER as they are, so that certificates can be shown that the library
does not parse to their end. Nothing here decides whether a certificate can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from fasths.crypto.certificates import Element, elements

Name = tuple[tuple[tuple[str, str | bytes], ...], ...]
# Gives the name of an object identifier in dotted form, or what it was given.
ObjectName = Callable[[str], str]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Tags (X.690, 8.1.2; RFC 5280, 4.1 and 4.2.1.6).
_BIT_STRING = 0x03
_UTF8_STRING = 0x0C
_IA5_STRING = 0x16
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_BMP_STRING = 0x1E
_SEQUENCE = 0x30
_VERSION = 0xA0
_EXTENSIONS = 0xA3
_OTHER_NAME = 0xA0
_RFC822_NAME = 0x81
_DNS_NAME = 0x82
_X400_ADDRESS = 0xA3
_DIRECTORY_NAME = 0xA4
_EDI_PARTY_NAME = 0xA5
_URI = 0x86
_IP_ADDRESS = 0x87
_REGISTERED_ID = 0x88
_DISTRIBUTION_POINT = 0xA0
_FULL_NAME = 0xA0

# X.680, 41: how the characters of each kind of string are encoded.
_ENCODINGS = {
    _UTF8_STRING: "utf-8",
    0x12: "latin-1",  # NumericString
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # T61String, as everybody means it
    _IA5_STRING: "latin-1",
    0x1C: "utf-32-be",  # UniversalString
    _BMP_STRING: "utf-16-be",
}

# RFC 5280, 4.1.2.5; a GeneralizedTime with a fraction is none of its, but shown.
_TIMES = {
    _UTC_TIME: re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)()Z"),
    _GENERALIZED_TIME: re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z"),
}

_SUBJECT_ALT_NAME = "2.5.29.17"
_CRL_DISTRIBUTION_POINTS = "2.5.29.31"
_AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1"
_OCSP = "1.3.6.1.5.5.7.48.1"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"
# Kinds of otherName whose value is shown (RFC 8398, 3; RFC 6120, 13.7.1.4; RFC 4985, 2; RFC 7585,
# 2.2; and Microsoft's user principal name).
_SRV_NAME = "1.3.6.1.5.5.7.8.7"
_OTHER_NAMES = {
    "1.3.6.1.5.5.7.8.9": "SmtpUTF8Mailbox",
    "1.3.6.1.5.5.7.8.5": "XmppAddr",
    _SRV_NAME: "SRVName",
    "1.3.6.1.4.1.311.20.2.3": "UPN",
    "1.3.6.1.5.5.7.8.8": "NAIRealm",
}
_NAME_KINDS = {_RFC822_NAME: "email", _DNS_NAME: "DNS", _URI: "URI"}


def decode_certificate(der: bytes, object_name: ObjectName) -> dict[str, Any]:
    """The fields of a certificate, as getpeercert() has them.

    ValueError: it is no certificate, or its subject or issuer cannot be shown; UnicodeDecodeError:
    an alternative name or URI cannot. An extension that is malformed otherwise, or is there twice,
    is left out.
    """
    (certificate,) = elements(der)
    tbs, *_ = elements(certificate.content)
    fields = list(elements(tbs.content))
    version = 1
    if fields and fields[0].tag == _VERSION:
        (number,) = elements(fields.pop(0).content)
        version = int.from_bytes(number.content, "big") + 1
    serial, _, issuer, validity, subject, *rest = fields
    not_before, not_after = elements(validity.content)
    shown: dict[str, Any] = {
        "subject": _name(subject, object_name),
        "issuer": _name(issuer, object_name),
        "version": version,
        "serialNumber": _serial_number(serial.content),
        "notBefore": _time(not_before),
        "notAfter": _time(not_after),
    }
    extensions = _extensions(rest)
    names = _general_names(extensions.get(_SUBJECT_ALT_NAME), object_name)
    if names is not None:
        shown["subjectAltName"] = names
    access = _access_locations(extensions.get(_AUTHORITY_INFO_ACCESS))
    uris = {
        "OCSP": tuple(uri for method, uri in access if method == _OCSP),
        "caIssuers": tuple(uri for method, uri in access if method == _CA_ISSUERS),
        "crlDistributionPoints": _distribution_points(extensions.get(_CRL_DISTRIBUTION_POINTS)),
    }
    return shown | {key: found for key, found in uris.items() if found}


def subject_of(der: bytes) -> list[list[tuple[str, Element]]]:
    """The RDNs of a certificate's subject, each with its attributes' types and values."""
    (certificate,) = elements(der)
    tbs, *_ = elements(certificate.content)
    fields = [each for each in elements(tbs.content) if each.tag != _VERSION]
    return [list(_attributes(rdn)) for rdn in elements(fields[4].content)]


def _attributes(rdn: Element) -> Iterator[tuple[str, Element]]:
    for attribute in elements(rdn.content):
        kind, value = elements(attribute.content)
        yield dotted(kind.content), value


def _name(name: Element, object_name: ObjectName) -> Name:
    return tuple(
        tuple((object_name(kind), string_value(value)) for kind, value in _attributes(rdn))
        for rdn in elements(name.content)
        if rdn.content
    )


def string_value(value: Element) -> str | bytes:
    """The text of an attribute's value; the bits of one that is a BIT STRING.

    ValueError: it is no string, or not encoded as it says.
    """
    if value.tag == _BIT_STRING and value.content:
        return _bits(value.content)
    if value.tag not in _ENCODINGS:
        raise ValueError(f"an attribute of a name is no string (tag {value.tag})")
    try:
        text = value.content.decode(_ENCODINGS[value.tag])
    except UnicodeDecodeError as error:
        raise ValueError(f"an attribute of a name cannot be decoded: {error}") from None
    # X.680, 41.9: a BMPString has no characters of other planes.
    if value.tag == _BMP_STRING and len(text) * 2 != len(value.content):
        raise ValueError("a BMPString has surrogates")
    return text


def _bits(content: bytes) -> bytes:
    """The octets of a BIT STRING (X.690, 8.6), its unused bits cleared."""
    unused, octets = content[0], content[1:]
    if unused > 7 or (unused and not octets):
        raise ValueError("a BIT STRING has more unused bits than it can")
    return (int.from_bytes(octets, "big") >> unused << unused).to_bytes(len(octets), "big")


def dotted(content: bytes) -> str:
    """An object identifier in dotted form (X.690, 8.19)."""
    arcs = []
    arc = 0
    for octet in content:
        if octet == 0x80 and arc == 0:
            raise ValueError("an object identifier has a padded arc")
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not content or content[-1] & 0x80:
        raise ValueError("an object identifier is cut off")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _serial_number(content: bytes) -> str:
    number = int.from_bytes(content, "big", signed=True)
    digits = f"{abs(number):X}"
    return ("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def _time(time: Element) -> str:
    match = _TIMES[time.tag].fullmatch(time.content) if time.tag in _TIMES else None
    if match is None:
        return "Bad time value"
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if time.tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1.
        year += 1900 if year >= 50 else 2000
    try:
        datetime(max(year, 1), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return "Bad time value"
    fraction = (match[7] or b"").decode()
    return f"{_MONTHS[month - 1]} {day:2} {hour:02}:{minute:02}:{second:02}{fraction} {year} GMT"


def _extensions(fields: list[Element]) -> dict[str, bytes | None]:
    """The value of each extension; None where there is more than one."""
    found: dict[str, bytes | None] = {}
    for field in fields:
        if field.tag == _EXTENSIONS:
            (extensions,) = elements(field.content)
            for extension in elements(extensions.content):
                kind, *_, value = elements(extension.content)
                oid = dotted(kind.content)
                found[oid] = None if oid in found else value.content
    return found


def _sequence(encoded: bytes) -> Iterator[Element]:
    # What stands behind it is nobody's business.
    for sequence in elements(encoded):
        return _content_of(sequence)
    raise ValueError("an extension is empty")


def _general_names(
    encoded: bytes | None, object_name: ObjectName
) -> tuple[tuple[str, str | Name], ...] | None:
    if encoded is None:
        return None
    try:
        return tuple(_general_name(each, object_name) for each in _sequence(encoded))
    except UnicodeDecodeError:
        raise
    except ValueError:
        return None


def _general_name(name: Element, object_name: ObjectName) -> tuple[str, str | Name]:
    content = name.content
    if name.tag in _NAME_KINDS:
        return _NAME_KINDS[name.tag], content.decode()
    if name.tag == _DIRECTORY_NAME:
        (directory_name,) = elements(content)
        return "DirName", _name(directory_name, object_name)
    if name.tag == _IP_ADDRESS:
        return "IP Address", _address(content)
    if name.tag == _REGISTERED_ID:
        return "Registered ID", object_name(dotted(content))
    if name.tag == _OTHER_NAME:
        return "othername", _other_name(content)
    if name.tag == _X400_ADDRESS:
        return "X400Name", "<unsupported>"
    if name.tag == _EDI_PARTY_NAME and content:
        return "EdiPartyName", "<unsupported>"
    raise ValueError("a GeneralName of an unknown kind")


def _address(content: bytes) -> str:
    if len(content) == 4:
        return ".".join(map(str, content))
    if len(content) == 16:
        return ":".join(f"{int.from_bytes(content[at : at + 2]):X}" for at in range(0, 16, 2))
    return "<invalid>"


def _other_name(content: bytes) -> str:
    kind, value = elements(content)
    (string,) = elements(value.content)
    oid = dotted(kind.content)
    expected = _IA5_STRING if oid == _SRV_NAME else _UTF8_STRING
    if oid in _OTHER_NAMES and string.tag == expected:
        return f"{_OTHER_NAMES[oid]}:{string.content.decode()}"
    return "<unsupported>"


def _access_locations(encoded: bytes | None) -> list[tuple[str, str]]:
    """The methods and URIs of an AuthorityInfoAccess (RFC 5280, 4.2.2.1)."""
    if encoded is None:
        return []
    try:
        descriptions = [tuple(elements(each.content)) for each in _sequence(encoded)]
        return [
            (dotted(method.content), location.content.decode())
            for method, location in descriptions
            if location.tag == _URI
        ]
    except UnicodeDecodeError:
        raise
    except ValueError:
        return []


def _distribution_points(encoded: bytes | None) -> tuple[str, ...]:
    """The URIs of CRLDistributionPoints (RFC 5280, 4.2.1.13)."""
    if encoded is None:
        return ()
    try:
        return tuple(
            name.content.decode()
            for point in _sequence(encoded)
            for field in _content_of(point)
            if field.tag == _DISTRIBUTION_POINT
            for full_name in elements(field.content)
            if full_name.tag == _FULL_NAME
            for name in elements(full_name.content)
            if name.tag == _URI
        )
    except UnicodeDecodeError:
        raise
    except ValueError:
        return ()


def _content_of(element: Element) -> Iterator[Element]:
    if element.tag != _SEQUENCE:
        raise ValueError("a SEQUENCE was expected")
    return elements(element.content)
