"""Trust anchors, and where they are found.

A trust store is an immutable set of certificates that are believed without a signature. Any
certificate can be one: a root, an intermediate, or a server's own self-signed certificate.

Searching them by name, and the form that the library's verifier wants, are made once per store
and only when asked for, so that a store costs little more than its parsing.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import Store

from fasths.crypto.certificates import certificate_fields

# One file with all roots, per platform; the first that exists is taken.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL 7 and later
    "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL 6
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, OpenBSD, FreeBSD, Alpine
    "/usr/local/etc/ssl/cert.pem",  # FreeBSD
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD, older
    "/etc/openssl/certs/ca-certificates.crt",  # NetBSD
    "/data/data/com.termux/files/usr/etc/tls/cert.pem",  # Termux
)
# Directories of single certificates, where there is no such file.
SYSTEM_DIRECTORIES = (
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/openssl/certs",
    "/system/etc/security/cacerts",  # Android
)

_PEM_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----.+?-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)
# What `openssl rehash` makes: the hash of the subject and a number.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")

# The place of a subject among certificate_fields(), and a Name without attributes (RFC 5280, 4.1).
_SUBJECT = 4
_EMPTY_NAME = b"\x30\x00"

# Stores by path, with the identity, time and size that the file, or the directory and each of its
# entries, had.
_Stat = tuple[int, int, int, int]
_Fingerprint = tuple[_Stat, ...]
_loaded: dict[str, tuple[_Fingerprint, TrustStore]] = {}
_loading = threading.Lock()
# Python's filters of warnings belong to the process.
_quietly = threading.Lock()


@final
class TrustStore:
    """An immutable set of trust anchors.

    Made by system(), certifi(), from_pem(), from_file() or from_directory(), or of certificates:
    TrustStore([*TrustStore.system().certificates, *TrustStore.from_file(path).certificates]).
    An empty one trusts nobody.
    """

    certificates: tuple[x509.Certificate, ...]

    def __init__(self, certificates: Iterable[x509.Certificate] = ()) -> None:
        unique = dict.fromkeys(certificates)
        for certificate in unique:
            if not isinstance(certificate, x509.Certificate):
                raise TypeError(
                    f"a trust store is made of x509.Certificate objects, not {type(certificate)}"
                )
        self.__dict__["certificates"] = tuple(unique)

    @classmethod
    def from_pem(cls, data: bytes | str) -> TrustStore:
        """From PEM text with at least one certificate. ValueError: none, or one does not parse."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        try:
            return cls(x509.load_pem_x509_certificates(data))
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from None

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> TrustStore:
        """From a file of PEM text, or of one certificate in DER. OSError, and as from_pem()."""
        data = Path(path).read_bytes()
        try:
            if b"-----BEGIN" in data:
                return cls.from_pem(data)
            return cls([x509.load_der_x509_certificate(data)])
        except (ValueError, x509.InvalidVersion) as error:
            raise ValueError(f"{os.fspath(path)}: no certificate can be read: {error}") from error

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> TrustStore:
        """From the files of a directory, one or more certificates each, in PEM or DER.

        The files named *.pem, *.crt or *.cer, or as `openssl rehash` names them, are read, each
        once even if several links lead to it. What does not parse is left out.
        ValueError: there is no certificate at all. OSError: the directory cannot be read.
        """
        store = cls(_certificates_in_directory(Path(path)))
        if not store.certificates:
            raise ValueError(f"{os.fspath(path)}: no certificate in this directory")
        return store

    @classmethod
    def certifi(cls) -> TrustStore:
        """Mozilla's roots, as the certifi package ships them."""
        import certifi

        return _cached(Path(certifi.where()))

    @classmethod
    def system(cls) -> TrustStore:
        """The platform's roots, and certifi's where the platform has none.

        The environment variables SSL_CERT_FILE and SSL_CERT_DIR (directories separated as in
        PATH) replace the platform's places: no others are looked at if one of them is set.
        ValueError or OSError: what they name cannot be read or holds no certificate.
        A certificate that does not parse is left out. Read again only when a file changed.
        """
        file = os.environ.get("SSL_CERT_FILE")
        directories = os.environ.get("SSL_CERT_DIR")
        if file or directories:
            return cls._of_environment(file, directories)
        for place in (*SYSTEM_BUNDLES, *SYSTEM_DIRECTORIES):
            path = Path(place)
            try:
                return _cached(path)
            except (OSError, ValueError):
                continue  # not on this platform, or nothing in it
        return cls.certifi()

    @classmethod
    def _of_environment(cls, file: str | None, directories: str | None) -> TrustStore:
        stores = []
        if file:
            try:
                stores.append(_cached(Path(file)))
            except OSError as error:
                raise type(error)(error.errno, f"SSL_CERT_FILE: {error.strerror}", file) from None
        for directory in directories.split(os.pathsep) if directories else ():
            try:
                stores.append(_cached(Path(directory)))
            except (OSError, ValueError):
                continue  # of several directories some may be missing or empty
        if not stores:
            raise ValueError("SSL_CERT_DIR: no certificate in these directories")
        return _union(stores)

    def __len__(self) -> int:
        return len(self.certificates)

    def __iter__(self) -> Iterator[x509.Certificate]:
        return iter(self.certificates)

    def __contains__(self, certificate: object) -> bool:
        return certificate in self._as_set

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrustStore) and self._as_set == other._as_set

    def __hash__(self) -> int:
        return hash(self._as_set)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a trust store cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a trust store cannot be changed")

    def __repr__(self) -> str:
        return f"<fasths.TrustStore of {len(self)} certificates>"

    @cached_property
    def _as_set(self) -> frozenset[x509.Certificate]:
        return frozenset(self.certificates)

    @cached_property
    def library_store(self) -> Store | None:
        """The same for cryptography's verifier, which has no empty store: None then."""
        return Store(list(self.certificates)) if self.certificates else None

    def fingerprint(self) -> bytes:
        """32 bytes that are the same for equal stores, whatever the order of their anchors.

        SHA-256 of the sorted SHA-256 digests of the anchors' DER.
        """
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        digests = sorted(each.fingerprint(hashes.SHA256()) for each in self.certificates)
        return hashlib.sha256(b"".join(digests)).digest()

    def subjects(self) -> tuple[bytes, ...]:
        """The anchors' subjects, each once and in their order: the DER of each Name.

        They are as encoded in the certificates, and what certificate_authorities lists (RFC 8446,
        4.2.4). The empty name, which names no issuer, is left out.
        """
        names = (certificate_fields(each)[_SUBJECT].encoded for each in self.certificates)
        return tuple(dict.fromkeys(name for name in names if name != _EMPTY_NAME))

    def issuers_named(self, name: x509.Name) -> tuple[x509.Certificate, ...]:
        """The anchors whose subject is this name."""
        return self._by_subject.get(name, ())

    @cached_property
    def _by_subject(self) -> dict[x509.Name, tuple[x509.Certificate, ...]]:
        found: dict[x509.Name, tuple[x509.Certificate, ...]] = {}
        for certificate in self.certificates:
            try:
                subject = certificate.subject
            except (ValueError, TypeError):
                continue  # a name that cannot be decoded names no issuer
            found[subject] = (*found.get(subject, ()), certificate)
        return found


def _cached(path: Path) -> TrustStore:
    """The store of a file or directory, leaving out what does not parse; read when it changed."""
    fingerprint = fingerprint_of(path)
    key = str(path.absolute())
    with _loading:
        known = _loaded.get(key)
        if known is None or known[0] != fingerprint:
            if path.is_dir():
                store = TrustStore.from_directory(path)
            else:
                store = TrustStore(readable_certificates(path.read_bytes()))
                if not store.certificates:
                    raise ValueError(f"{path}: no certificate in this file")
            known = _loaded[key] = (fingerprint, store)
        return known[1]


def fingerprint_of(path: Path) -> _Fingerprint:
    found = [_stat(path)]
    if path.is_dir():
        for entry in path.iterdir():
            with suppress(OSError):  # a dangling link, or just deleted
                found.append(_stat(entry))
    return (found[0], *sorted(found[1:]))


def _stat(path: Path) -> _Stat:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _union(stores: list[TrustStore]) -> TrustStore:
    global _last_union
    if len(stores) == 1:
        return stores[0]
    parts, union = _last_union
    if len(parts) != len(stores) or any(a is not b for a, b in zip(parts, stores, strict=True)):
        union = TrustStore(certificate for store in stores for certificate in store.certificates)
        _last_union = (stores, union)
    return union


def _certificates_in_directory(directory: Path) -> Iterator[x509.Certificate]:
    seen = set()
    for path in sorted(directory.iterdir()):
        if path.suffix not in {".pem", ".crt", ".cer"} and not _HASHED_NAME.fullmatch(path.name):
            continue
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen or not path.is_file():
                continue
            seen.add((status.st_dev, status.st_ino))
            data = path.read_bytes()
        except OSError:
            continue  # a dangling link, or a file of somebody else
        yield from readable_certificates(data)


def readable_certificates(data: bytes) -> list[x509.Certificate]:
    # Widely trusted roots have a serial number of zero, of which the library warns.
    with _quietly, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            if b"-----BEGIN" not in data:
                return [x509.load_der_x509_certificate(data)]
            return x509.load_pem_x509_certificates(data)
        except (ValueError, x509.InvalidVersion):
            pass  # one of them is bad, or there is none: take them one by one
        certificates = []
        for match in _PEM_CERTIFICATE.finditer(data):
            try:
                certificates.append(x509.load_pem_x509_certificate(match.group()))
            except (ValueError, x509.InvalidVersion):
                continue
        return certificates


# What SSL_CERT_FILE and SSL_CERT_DIR gave together when last asked for, and of what.
_last_union: tuple[list[TrustStore], TrustStore] = ([], TrustStore())
