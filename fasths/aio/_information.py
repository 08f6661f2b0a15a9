"""What get_extra_info() says of TLS, in the shapes of the standard library."""

from __future__ import annotations

from typing import Any

from fasths.connection import Connection
from fasths.context import Context
from fasths.wire.codes import TLSVersion

ABOUT_TLS = frozenset(("ssl_object", "sslcontext", "peercert", "cipher", "compression"))
_VERSIONS = {TLSVersion.TLSv1_2: "TLSv1.2", TLSVersion.TLSv1_3: "TLSv1.3"}


class SSLObject:
    """The readable side of an ssl.SSLObject, over a Connection. It cannot read, write or unwrap."""

    def __init__(
        self, connection: Connection, server_side: bool, server_hostname: str | None
    ) -> None:
        self._connection = connection
        self.server_side = server_side
        # What a client connects to.
        self.server_hostname = server_hostname

    @property
    def context(self) -> Context:
        return self._connection.context

    @property
    def session_reused(self) -> bool:
        return self._connection.session_reused

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: DER, or a dict, which is empty where nobody verified it."""
        certificates = self._connection.peer_certificates
        if not certificates:
            return None
        if binary_form:
            return certificates[0]
        if self._connection.verified_chain is None:
            return {}
        # Needs the standard library's ssl.
        from fasths.ssl._certificates import certificate_dict

        return certificate_dict(certificates[0])

    def selected_alpn_protocol(self) -> str | None:
        return self._connection.alpn_protocol

    def selected_npn_protocol(self) -> None:
        return None

    def version(self) -> str | None:
        version = self._connection.version
        return None if version is None else _VERSIONS[version]

    def cipher(self) -> tuple[str, str, int] | None:
        """(OpenSSL's name, the version, the bits of the key)."""
        suite = self._connection.cipher_suite
        if suite is None:
            return None
        from fasths.ssl._ciphers import cipher_tuple

        return cipher_tuple(suite)

    def compression(self) -> str | None:
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes:
        """As Connection.channel_binding()."""
        return self._connection.channel_binding(cb_type)

    def pending(self) -> int:
        return self._connection.pending()


def about_tls(
    name: str, connection: Connection, server_side: bool, server_hostname: str | None
) -> Any:
    """What one of ABOUT_TLS is for a connection."""
    view = SSLObject(connection, server_side, server_hostname)
    match name:
        case "ssl_object":
            return view
        case "sslcontext":
            return view.context
        case "peercert":
            return view.getpeercert()
        case "cipher":
            return view.cipher()
        case _:
            return view.compression()
