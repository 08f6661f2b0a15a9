"""What is known of a peer's certificate, and chains that need not be verified a second time.

Most of what a client's handshake costs is the verification of the server's chain, and the same
chain comes with each connection. A PeerVerifier keeps the verdict on a chain that was accepted: for
the very certificates, byte for byte and in their order, the very name and purpose, and for one
ChainVerifier, whose trust and policy never change. Refusals are not kept: they would serve only who
is refused, and a peer could fill the cache with them.

A hit takes no lock. An entry is an immutable tuple that is complete before it is in the dictionary,
and whether it still counts is in the entry. A lookup is one operation of a dictionary whose keys
are tuples, strings and bytes, so it runs no Python code in between: it sees a change by another
thread as done or not done, with the interpreter's lock and, because dictionaries guard themselves,
without it. A hit writes nothing, so entries leave in the order in which they came. They also expire
in that order: what is lost to a new entry is the one with the least time to live.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from fasths.crypto.certificates import load_certificate, signature_schemes
from fasths.crypto.ocsp import requires_staple
from fasths.crypto.verification import ChainVerifier
from fasths.wire.errors import CertificateError

__all__ = ["PeerCertificate", "PeerVerifier", "VerifiedPeer", "parse_peer"]

# Bytes of DER in a chain that is kept, so that not only the number of entries is bounded.
MAX_KEPT_CHAIN = 1 << 14

# The OID of the extension that asks for a staple (RFC 7633, 6), in DER. Nearly no certificate has
# it, and the library takes microseconds to hand out the fields in which to look for it.
_TLS_FEATURE = bytes.fromhex("2b06010505070118")


class PeerCertificate:
    """What the handshake needs of a peer's certificate, the first one of those it sent.

    certificates: the DER of all that were sent. public_key: the certificate's key, or None where
    TLS cannot use it. signature_schemes: codes of the schemes that the key can make, none for
    such a key.
    """

    __slots__ = ("certificates", "public_key", "signature_schemes")

    def __init__(
        self,
        certificates: tuple[bytes, ...],
        public_key: CertificatePublicKeyTypes | None,
        signature_schemes: tuple[int, ...],
    ) -> None:
        self.certificates = certificates
        self.public_key = public_key
        self.signature_schemes = signature_schemes


class VerifiedPeer(PeerCertificate):
    """A peer whose chain was accepted.

    path: from its certificate to the anchor. chain: the same for the application, the peer's
    certificates in DER and others, the anchor as a rule, as objects. Parsed certificates are many
    times as large; a connection keeps those of anchors only, which all connections share.
    requires_staple: whether the peer's certificate is only good with a stapled OCSP response
    (RFC 7633).
    """

    __slots__ = ("chain", "path", "requires_staple")

    def __init__(
        self,
        certificates: tuple[bytes, ...],
        public_key: CertificatePublicKeyTypes | None,
        signature_schemes: tuple[int, ...],
        path: tuple[x509.Certificate, ...],
        chain: tuple[bytes | x509.Certificate, ...],
        requires_staple: bool,
    ) -> None:
        super().__init__(certificates, public_key, signature_schemes)
        self.path = path
        self.chain = chain
        self.requires_staple = requires_staple

    @property
    def expires(self) -> float:
        """When the first certificate of the path expires, as time.time() counts."""
        return min([each.not_valid_after_utc for each in self.path]).timestamp()


# For servers True, the name, and the certificates; for clients False and None.
_Key = tuple[bool, str | None, tuple[bytes, ...]]
# The peer, since when, until when its certificates are valid, by time.time(), and until when it is
# kept, by time.monotonic().
_Entry = tuple[VerifiedPeer, float, float, float]


class PeerVerifier:
    """A ChainVerifier that remembers whom it accepted. Used by any number of threads."""

    def __init__(
        self, verifier: ChainVerifier, *, maximum: int = 1024, lifetime: float = 300.0
    ) -> None:
        """maximum: chains that are kept, none with 0. lifetime: seconds for which one is kept.

        ValueError: one of them is negative.
        """
        if maximum < 0 or not lifetime >= 0:
            raise ValueError("the size of the cache and the lifetime of its entries are 0 or more")
        self._verifier = verifier
        self._maximum = maximum
        self._lifetime = lifetime
        self._entries: dict[_Key, _Entry] = {}
        # The keys of all entries, each once, oldest first.
        self._order: deque[_Key] = deque()
        self._changing = Lock()

    def verify_server(self, certificates: tuple[bytes, ...], hostname: str | None) -> VerifiedPeer:
        """The server that sent these certificates (DER, its own first).

        hostname: as for ChainVerifier.verify_server(). CertificateError: refused, or a certificate
        cannot be parsed.
        """
        key = (True, hostname, certificates)
        peer = self._find(key)
        if peer is None:
            now = time.time()
            sent = _parse(certificates)
            path = self._verifier.verify_server(sent, hostname)
            peer = self._keep(key, now, _verified_peer(certificates, sent, path))
        return peer

    def verify_client(self, certificates: tuple[bytes, ...]) -> VerifiedPeer:
        """The client that sent these certificates (DER, its own first).

        CertificateError: refused, or a certificate cannot be parsed.
        """
        key = (False, None, certificates)
        peer = self._find(key)
        if peer is None:
            now = time.time()
            sent = _parse(certificates)
            path = self._verifier.verify_client(sent)
            peer = self._keep(key, now, _verified_peer(certificates, sent, path))
        return peer

    def _find(self, key: _Key) -> VerifiedPeer | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        peer, since, expires, deadline = entry
        # A clock that was set back may be at a time when not all certificates were valid yet.
        if time.monotonic() < deadline and since <= time.time() < expires:
            return peer
        return None

    def _keep(self, key: _Key, since: float, peer: VerifiedPeer) -> VerifiedPeer:
        if not self._maximum or sum(map(len, peer.certificates)) > MAX_KEPT_CHAIN:
            return peer
        now, expires = time.monotonic(), peer.expires
        entries, order = self._entries, self._order
        with self._changing:
            while order and entries[order[0]][3] <= now:
                del entries[order.popleft()]
            if key not in entries:
                if len(order) >= self._maximum:
                    del entries[order.popleft()]
                order.append(key)
            entries[key] = (peer, since, expires, now + self._lifetime)
        return peer


def parse_peer(certificates: tuple[bytes, ...]) -> PeerCertificate:
    """The peer that sent these certificates (DER, its own first), which are not verified.

    A key that TLS cannot use is not refused here: there are no schemes for it.
    CertificateError: there is no certificate, or one cannot be parsed.
    """
    return PeerCertificate(certificates, *_key_and_schemes(_parse(certificates)[0]))


def _parse(certificates: tuple[bytes, ...]) -> list[x509.Certificate]:
    if not certificates:
        raise CertificateError("the peer sent no certificate")
    return [load_certificate(der) for der in certificates]


def _key_and_schemes(
    leaf: x509.Certificate,
) -> tuple[CertificatePublicKeyTypes | None, tuple[int, ...]]:
    schemes = signature_schemes(leaf)
    return (leaf.public_key() if schemes else None), schemes


def _verified_peer(
    certificates: tuple[bytes, ...], sent: list[x509.Certificate], path: list[x509.Certificate]
) -> VerifiedPeer:
    leaf = path[0]
    public_key, schemes = _key_and_schemes(leaf)
    chain: list[bytes | x509.Certificate] = list(path)
    for position, certificate in enumerate(path):
        for i, each in enumerate(sent):
            # By identity: an anchor of the trust store may be equal to a certificate that was sent.
            if each is certificate:
                chain[position] = certificates[i]
                break
    return VerifiedPeer(
        certificates,
        public_key,
        schemes,
        tuple(path),
        tuple(chain),
        _TLS_FEATURE in certificates[0] and requires_staple(leaf),
    )
