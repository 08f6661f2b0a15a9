"""Groups and signature algorithms under the names that OpenSSL has for them."""

from __future__ import annotations

import ssl
from typing import Any

import fasths

# OpenSSL's names, and its own choice among them.
GROUPS = {
    "X25519MLKEM768": "X25519MLKEM768",
    "x25519": "x25519",
    "X25519": "x25519",
    "secp256r1": "secp256r1",
    "prime256v1": "secp256r1",
    "P-256": "secp256r1",
    "secp384r1": "secp384r1",
    "P-384": "secp384r1",
    "secp521r1": "secp521r1",
    "P-521": "secp521r1",
}
_IN_LOWER_CASE = {name.lower(): group for name, group in GROUPS.items()}

# What "key+hash" stands for in OpenSSL's lists.
_KEYS_AND_HASHES = {
    "rsa+sha256": "rsa_pkcs1_sha256",
    "rsa+sha384": "rsa_pkcs1_sha384",
    "rsa+sha512": "rsa_pkcs1_sha512",
    "rsa-pss+sha256": "rsa_pss_rsae_sha256",
    "rsa-pss+sha384": "rsa_pss_rsae_sha384",
    "rsa-pss+sha512": "rsa_pss_rsae_sha512",
    "pss+sha256": "rsa_pss_rsae_sha256",
    "pss+sha384": "rsa_pss_rsae_sha384",
    "pss+sha512": "rsa_pss_rsae_sha512",
    "ecdsa+sha256": "ecdsa_secp256r1_sha256",
    "ecdsa+sha384": "ecdsa_secp384r1_sha384",
    "ecdsa+sha512": "ecdsa_secp521r1_sha512",
}


def groups_of(names: str) -> tuple[str, ...]:
    """The groups of a list joined by colons; unknown ones behind a question mark are left out.

    ssl.SSLError: there is another one that fasths does not have, or none is left.
    """
    return _members(names, _IN_LOWER_CASE, "group")


def signature_schemes_of(names: str) -> tuple[str, ...]:
    """The signature schemes of a list joined by colons, in the same way."""
    return _members(
        names,
        {**_KEYS_AND_HASHES, **{name: name for name in get_sigalgs()}},
        "signature algorithm",
    )


def get_sigalgs() -> list[str]:
    """The names of all signature algorithms (Python 3.15)."""
    return [scheme.name for scheme in fasths.SignatureScheme]


def _members(names: Any, known: dict[str, str], what: str) -> tuple[str, ...]:
    if not isinstance(names, str):
        raise TypeError(f"{what}s must be a str")
    members: dict[str, None] = {}
    for name in names.split(":"):
        member = known.get(name.removeprefix("?").lower())
        if member is not None:
            members[member] = None
        elif not name.startswith("?"):
            raise ssl.SSLError(f"fasths has no {what} {name!r}")
    if not members:
        raise ssl.SSLError(f"fasths has no {what} of {names!r}")
    return tuple(members)
