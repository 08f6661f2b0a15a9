"""Cipher suites under the names that OpenSSL has for them."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fasths.wire.codes import CipherSuite


class _Cipher(NamedTuple):
    name: str
    protocol: str
    secret_bits: int


# RFC 8446, B.4: the suites of TLS 1.3 have one name everywhere.
_CIPHERS: dict[int, _Cipher] = {
    CipherSuite.TLS_AES_128_GCM_SHA256: _Cipher("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128),
    CipherSuite.TLS_AES_256_GCM_SHA384: _Cipher("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256),
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: _Cipher(
        "TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", 256
    ),
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: _Cipher(
        "ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2", 128
    ),
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: _Cipher(
        "ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256
    ),
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: _Cipher(
        "ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128
    ),
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: _Cipher(
        "ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2", 256
    ),
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: _Cipher(
        "ECDHE-RSA-CHACHA20-POLY1305", "TLSv1.2", 256
    ),
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: _Cipher(
        "ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", 256
    ),
}
_SUITES = {cipher.name: CipherSuite(suite) for suite, cipher in _CIPHERS.items()}


def openssl_name(suite: int) -> str:
    """OpenSSL's name of a cipher suite, "ECDHE-RSA-AES128-GCM-SHA256" for example."""
    return _CIPHERS[suite].name


def cipher_tuple(suite: int) -> tuple[str, str, int]:
    """What SSLSocket.cipher() gives: OpenSSL's name, the version of the suite, the secret bits."""
    name, protocol, secret_bits = _CIPHERS[suite]
    return name, protocol, secret_bits


def is_known(cipher: Mapping[str, Any]) -> bool:
    """Whether fasths has a suite of SSLContext.get_ciphers()."""
    return cipher["name"] in _SUITES


def tls13_names() -> tuple[str, ...]:
    """The names of the suites of TLS 1.3."""
    return tuple(each.name for each in _CIPHERS.values() if each.protocol == "TLSv1.3")


def cipher_suites(ciphers: Iterable[Mapping[str, Any]]) -> tuple[CipherSuite, ...]:
    """The suites out of what SSLContext.get_ciphers() gives, in its order.

    Those that this engine does not have are left out. ssl.SSLError: none is left.
    """
    suites = tuple(_SUITES[each["name"]] for each in ciphers if each["name"] in _SUITES)
    if not suites:
        raise ssl.SSLError("No cipher can be selected.")
    return suites
