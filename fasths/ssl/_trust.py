"""Whom a context trusts: the anchors where OpenSSL finds them, and the demands of verify_flags."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import fasths
from fasths.crypto.certificates import encode_chain
from fasths.crypto.peer_verification import PeerVerifier
from fasths.crypto.strict_profile import strict_profile_error
from fasths.crypto.trust import fingerprint_of, readable_certificates
from fasths.crypto.verification import ChainVerifier
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

_CRL_CHECKS = ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN
# What OpenSSL looks for in a directory: the hash of a subject, and a number.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")

Demand = Callable[[Any], CertificateError | None]


@lru_cache(maxsize=8)
def anchors_in(pem: bytes) -> tuple[Any, ...]:
    """The certificates of a text that can be read; programs load one file into many contexts."""
    return tuple(readable_certificates(pem))


def certificates_in_directory(path: str) -> tuple[Any, ...]:
    """The certificates of the files that `openssl rehash` has named; none where it is missing."""
    try:
        return _certificates_in_directory(path, fingerprint_of(Path(path)))
    except OSError:
        return ()


@lru_cache(maxsize=8)
def _certificates_in_directory(path: str, _state: object) -> tuple[Any, ...]:
    found = []
    for file in sorted(Path(path).iterdir()):
        if _HASHED_NAME.fullmatch(file.name):
            with suppress(OSError):  # a link that leads nowhere
                found += readable_certificates(file.read_bytes())
    return tuple(found)


def default_anchors() -> tuple[fasths.TrustStore | None, tuple[Any, ...], list[str]]:
    """The platform's store, and anchors and directories that the environment names.

    As with OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR each replace one of its own two places.
    """
    paths = ssl.get_default_verify_paths()
    file = os.environ.get(paths.openssl_cafile_env)
    directories = os.environ.get(paths.openssl_capath_env)
    if file is None and directories is None:
        return fasths.TrustStore.system(), (), []
    try:
        anchors = anchors_in(Path(paths.openssl_cafile if file is None else file).read_bytes())
    except OSError:
        anchors = ()
    named = paths.openssl_capath if directories is None else directories
    return None, anchors, [each for each in named.split(os.pathsep) if each]


def demands_beyond_validity(
    flags: int, trust: fasths.TrustStore, *, check_hostname: bool
) -> Demand | None:
    """What verify_flags ask of a peer, as a verify_callback: it refuses, and accepts nobody."""
    if flags & _CRL_CHECKS:
        return _refuse_without_crl
    demands: list[Demand] = []
    if not flags & ssl.VERIFY_X509_PARTIAL_CHAIN:
        roots = [each for each in trust if _is_root(each)]
        if len(roots) < len(trust):
            demands.append(_whole_chain(trust, fasths.TrustStore(roots), check_hostname))
    if flags & ssl.VERIFY_X509_STRICT:
        demands.append(_strict_profile)
    if not demands:
        return None

    def demand(request: Any) -> CertificateError | None:
        error: CertificateError | None = request.error
        for each in demands:
            error = error or each(request)
        return error

    return demand


@lru_cache(maxsize=1024)
def _is_root(certificate: Any) -> bool:
    try:
        return bool(certificate.issuer == certificate.subject)
    except (ValueError, TypeError):
        return False  # a name that cannot be decoded


def _refuse_without_crl(request: Any) -> CertificateError | None:
    """fasths has no revocation lists, so what asks for them gets what OpenSSL says without any."""
    error: CertificateError | None = request.error
    return error or CertificateError(
        "there are no certificate revocation lists",
        alert=AlertDescription.unknown_ca,
        verify_code=3,
        verify_message="unable to get certificate CRL",
    )


def _strict_profile(request: Any) -> CertificateError | None:
    """VERIFY_X509_STRICT."""
    return strict_profile_error(request.verified_chain or ())


def _whole_chain(
    trust: fasths.TrustStore, roots: fasths.TrustStore, check_hostname: bool
) -> Demand:
    """Without VERIFY_X509_PARTIAL_CHAIN a chain leads to a root: other anchors are helpers only."""
    of_roots = set(encode_chain(list(roots)))
    helpers = tuple(each for each in encode_chain(list(trust)) if each not in of_roots)
    verifier = PeerVerifier(ChainVerifier(roots, check_hostname=check_hostname))

    def demand(request: Any) -> CertificateError | None:
        chain = request.verified_chain
        if not chain or chain[-1] in of_roots:
            return None
        shown = (*request.certificates, *helpers)
        try:
            if request.by_server:
                verifier.verify_client(shown)
            else:
                verifier.verify_server(shown, request.hostname)
        except CertificateError as error:
            return error
        return None

    return demand
