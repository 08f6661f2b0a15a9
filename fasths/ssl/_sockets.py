"""SSLSocket and SSLObject: the standard library's, which work on a TLSConnection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, cast

from fasths.ssl._certificates import ENCODING_DER, Certificate

if TYPE_CHECKING:
    from fasths.ssl._connection import TLSConnection


def _encoded(chain: list[Certificate] | None) -> list[bytes]:
    return [cast(bytes, each.public_bytes(ENCODING_DER)) for each in chain or ()]


class SSLSocket(ssl.SSLSocket):
    """The standard library's SSLSocket over fasths; it comes from SSLContext.wrap_socket()."""

    _sslobj: TLSConnection | None

    def get_verified_chain(self) -> list[bytes]:
        """The peer's chain as far as the anchor, in DER; empty where nothing was verified
        (Python 3.13)."""
        return [] if self._sslobj is None else _encoded(self._sslobj.get_verified_chain())

    def get_unverified_chain(self) -> list[bytes]:
        """What the peer sent, in DER (Python 3.13)."""
        return [] if self._sslobj is None else _encoded(self._sslobj.get_unverified_chain())

    def group(self) -> str | None:
        """The group of the key exchange, or None (Python 3.15)."""
        return None if self._sslobj is None else self._sslobj.group()

    def client_sigalg(self) -> str | None:
        """The scheme that the client signed with, or None (Python 3.15)."""
        return None if self._sslobj is None else self._sslobj.client_sigalg()

    def server_sigalg(self) -> str | None:
        """The scheme that the server signed with, or None (Python 3.15)."""
        return None if self._sslobj is None else self._sslobj.server_sigalg()


class SSLObject(ssl.SSLObject):
    """The standard library's SSLObject over fasths; it comes from SSLContext.wrap_bio()."""

    _sslobj: TLSConnection

    def get_verified_chain(self) -> list[bytes]:
        """The peer's chain as far as the anchor, in DER; empty where nothing was verified
        (Python 3.13)."""
        return _encoded(self._sslobj.get_verified_chain())

    def get_unverified_chain(self) -> list[bytes]:
        """What the peer sent, in DER (Python 3.13)."""
        return _encoded(self._sslobj.get_unverified_chain())

    def group(self) -> str | None:
        """The group of the key exchange, or None (Python 3.15)."""
        return self._sslobj.group()

    def client_sigalg(self) -> str | None:
        """The scheme that the client signed with, or None (Python 3.15)."""
        return self._sslobj.client_sigalg()

    def server_sigalg(self) -> str | None:
        """The scheme that the server signed with, or None (Python 3.15)."""
        return self._sslobj.server_sigalg()
