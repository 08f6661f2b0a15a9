"""Certificates in the shapes of the standard library: getpeercert()'s dict, and objects."""

from __future__ import annotations

import re
import ssl
from functools import lru_cache
from operator import index
from typing import Any

from fasths.crypto.certificate_dict import decode_certificate, string_value, subject_of
from fasths.crypto.certificates import Element

# The standard library's own table of object identifiers, and numbers of formats.
_openssl = ssl._ssl  # type: ignore[attr-defined]
ENCODING_PEM = _openssl.ENCODING_PEM
ENCODING_DER = _openssl.ENCODING_DER


def certificate_dict(der: bytes) -> dict[str, Any]:
    """What getpeercert() gives for a certificate in DER. ssl.SSLError: it cannot be shown."""
    try:
        return decode_certificate(der, _long_name)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise ssl.SSLError(f"Error decoding the certificate: {error}") from error


class Certificate:
    """What get_verified_chain() and get_unverified_chain() give."""

    __slots__ = ("_der",)

    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, format: int = ENCODING_PEM) -> str | bytes:
        """The certificate in PEM, as str, or in DER, as bytes."""
        encoding = index(format)
        if encoding == ENCODING_PEM:
            return ssl.DER_cert_to_PEM_cert(self._der)
        if encoding == ENCODING_DER:
            return self._der
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """What getpeercert() gives for it."""
        return certificate_dict(self._der)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Certificate):
            return NotImplemented
        return self._der == other._der

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        return f"<fasths.ssl.Certificate '{_subject(self._der)}'>"


@lru_cache(maxsize=1024)
def _object(oid: str) -> tuple[str, str]:
    """The short and the long name of an object identifier; itself where it has none."""
    try:
        _, short, long, _ = _openssl.txt2obj(oid, name=False)
    except ValueError:
        return oid, oid
    return short or long, long or short


def _long_name(oid: str) -> str:
    return _object(oid)[1]


def _subject(der: bytes) -> str:
    """The subject as text (RFC 4514)."""
    try:
        rdns = ["+".join(map(_attribute, reversed(rdn))) for rdn in subject_of(der)]
    except ValueError:
        return "?"
    return ",".join(reversed(rdns))


def _attribute(attribute: tuple[str, Element]) -> str:
    oid, value = attribute
    name = _object(oid)[0]
    text = string_value(value)
    # RFC 4514, 2.4.
    if name == oid or isinstance(text, bytes):
        return f"{name}=#{value.encoded.hex().upper()}"
    text = re.sub(r'([,+"\\<>;]|^[# ]|(?<!^) $)', r"\\\1", text)
    escaped = "".join(
        each if " " <= each <= "~" else "".join(f"\\{octet:02X}" for octet in each.encode())
        for each in text
    )
    return f"{name}={escaped}"
