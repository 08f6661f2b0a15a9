"""What a connection has negotiated, and what can be derived from it: the readable side of it."""

from __future__ import annotations

from fasths._core import Engine
from fasths.context import Context
from fasths.crypto.certificates import encode_chain
from fasths.crypto.channel_bindings import tls_server_end_point
from fasths.handshake.session import Session
from fasths.wire.codes import CipherSuite, NamedGroup, SignatureScheme, TLSVersion


class Negotiated:
    """The base of Connection; see there."""

    _engine: Engine | None
    _context: Context
    # The normalised name that a client connects to, and whether it is an address.
    _hostname: tuple[str, bool] | None

    @property
    def established(self) -> bool:
        """Whether the handshake is complete."""
        return self._engine is not None and self._engine.established

    def pending(self) -> int:
        """Bytes that a read returns without asking the BIO."""
        return 0 if self._engine is None else self._engine.available()

    @property
    def version(self) -> TLSVersion | None:
        """The protocol version, once it is negotiated."""
        code = 0 if self._engine is None else self._engine.outcome.version
        return TLSVersion(code) if code else None

    @property
    def extended_master_secret(self) -> bool | None:
        """Whether the secrets are bound to the whole handshake: in TLS 1.3, and in TLS 1.2 with
        RFC 7627; None until it is negotiated."""
        if self._engine is None or not self._engine.outcome.version:
            return None
        return (
            self._engine.outcome.version != TLSVersion.TLSv1_2
            or self._engine.outcome.extended_master_secret
        )

    @property
    def cipher_suite(self) -> CipherSuite | None:
        """The cipher suite, once it is negotiated."""
        suite = None if self._engine is None else self._engine.outcome.suite
        return None if suite is None else CipherSuite(suite.code)

    @property
    def group(self) -> NamedGroup | None:
        """The group of the key exchange, once it is negotiated; None where there was no exchange,
        as where TLS 1.2 resumes."""
        code = 0 if self._engine is None else self._engine.outcome.group
        return NamedGroup(code) if code else None

    @property
    def signature_scheme(self) -> SignatureScheme | None:
        """The scheme of the server's signature; None in a resumed handshake, which has none."""
        code = 0 if self._engine is None else self._engine.outcome.signature_scheme
        return SignatureScheme(code) if code else None

    @property
    def client_signature_scheme(self) -> SignatureScheme | None:
        """The scheme of the client's last signature, or None where it has made none."""
        code = 0 if self._engine is None else self._engine.outcome.client_signature_scheme
        return SignatureScheme(code) if code else None

    @property
    def alpn_protocol(self) -> str | None:
        """The application protocol (RFC 7301), or None."""
        name = None if self._engine is None else self._engine.outcome.protocol_name
        return None if name is None else name.decode("ascii", "backslashreplace")

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The peer's chain as it was sent, in DER, leaf first; empty where there is none."""
        if self._engine is None or self._engine.outcome.raw_public_key:
            return ()
        return self._engine.outcome.peer_certificates or ()

    @property
    def peer_raw_public_key(self) -> bytes | None:
        """The SubjectPublicKeyInfo that the peer showed in place of certificates (RFC 7250)."""
        outcome = None if self._engine is None else self._engine.outcome
        if outcome is None or not outcome.raw_public_key or outcome.peer_certificates is None:
            return None
        return outcome.peer_certificates[0]

    @property
    def ocsp_response(self) -> bytes | None:
        """The stapled OCSP response for the peer's certificate (RFC 6066, 8), in DER, or None."""
        return None if self._engine is None else self._engine.outcome.ocsp_response

    @property
    def signed_certificate_timestamps(self) -> tuple[bytes, ...]:
        """The SCTs that came with the peer's certificate (RFC 6962, 3.3); nobody checked them."""
        return (
            () if self._engine is None else self._engine.outcome.signed_certificate_timestamps or ()
        )

    @property
    def verified_chain(self) -> tuple[bytes, ...] | None:
        """The peer's chain as it was verified, in DER, leaf to anchor; None where it was not."""
        chain = None if self._engine is None else self._engine.outcome.verified_chain
        return None if chain is None else encode_chain(chain)

    @property
    def server_name(self) -> str | None:
        """The server_name (RFC 6066, 3): what a client sends, or what a server received."""
        if self._engine is not None and self._engine.by_server:
            name: str | None = self._engine.outcome.server_name
            return name
        if self._hostname is None or self._hostname[1]:
            return None
        return self._hostname[0]

    def export_keying_material(
        self, label: str | bytes, context: bytes | None, length: int
    ) -> bytes:
        """TLS-Exporter (RFC 8446, 7.5; RFC 5705): `length` bytes bound to this connection.

        In TLS 1.2 context None is another than an empty one. RuntimeError: the handshake is not
        that far, or has no extended_master_secret in TLS 1.2. ValueError: a label or length that
        cannot be used.
        """
        engine = self._engine
        if engine is None or not self.established:
            raise RuntimeError("export_keying_material() before the connection is established")
        encoded = _label(label, length)
        if encoded in _LABELS_OF_THE_PRF:
            raise ValueError("the label is one of the protocol's own")
        exported: bytes | None = engine.outcome.export(encoded, context, length)
        if exported is None:
            if engine.error is not None:
                raise RuntimeError("the connection has failed")
            raise RuntimeError("without extended_master_secret nothing is bound to a connection")
        return exported

    def export_early_keying_material(
        self, label: str | bytes, context: bytes | None, length: int
    ) -> bytes:
        """The early exporter (RFC 8446, 7.5), which 0-RTT data can be bound to.

        RuntimeError: no early data was offered, or the server did not accept it. ValueError: as
        export_keying_material().
        """
        exported: bytes | None = None
        encoded = _label(label, length)
        if self._engine is not None:
            exported = self._engine.outcome.export_early(encoded, context, length)
        if exported is None:
            raise RuntimeError("there is no early exporter without early data")
        return exported

    def channel_binding(self, kind: str) -> bytes:
        """ "tls-exporter" (RFC 9266), "tls-server-end-point" (RFC 5929, 4) or, of TLS 1.2 alone,
        "tls-unique" (RFC 5929, 3) of this connection.

        RuntimeError: the connection is not established, the server's certificate is not known
        here, or there is no extended_master_secret, without which the other two bind nothing.
        ValueError: another kind, or tls-unique in TLS 1.3, for which it is not defined.
        """
        if kind == "tls-exporter":
            return self.export_keying_material("EXPORTER-Channel-Binding", b"", 32)
        if kind == "tls-unique":
            return self._tls_unique()
        if kind != "tls-server-end-point":
            raise ValueError(f"{kind!r} is no channel binding that is known here")
        if not self.established:
            raise RuntimeError("channel_binding() before the connection is established")
        assert self._engine is not None
        certificates = self.peer_certificates
        if self._engine.by_server:
            identity = self._engine.outcome.identity
            certificates = ()
            if identity is not None and not identity.is_raw_public_key:
                certificates = identity.certificates
        if not certificates:
            raise RuntimeError("the server's certificate is not known to this connection")
        return tls_server_end_point(certificates[0])

    def _tls_unique(self) -> bytes:
        engine = self._engine
        if engine is None or not self.established:
            raise RuntimeError("channel_binding() before the connection is established")
        if engine.outcome.version != TLSVersion.TLSv1_2:
            raise ValueError("tls-unique is not defined for TLS 1.3")
        finished: bytes | None = engine.outcome.tls_unique
        if finished is None and engine.error is not None:
            raise RuntimeError("the connection has failed")
        if finished is None:
            raise RuntimeError("without extended_master_secret tls-unique binds nothing")
        return finished

    @property
    def context(self) -> Context:
        """The Context: the one that the connection was made with, or that a callback chose."""
        chosen: Context | None = None if self._engine is None else self._engine.outcome.context
        return self._context if chosen is None else chosen

    @property
    def sessions(self) -> tuple[Session, ...]:
        """What a client can resume this connection with, the newest last.

        In TLS 1.3 tickets, to be used once each: they arrive after the handshake, with the first
        data that is read, and up to four are kept. In TLS 1.2 one session, there with the end of
        the handshake, that can be used again and again.
        """
        return () if self._engine is None else tuple(self._engine.outcome.sessions or ())

    @property
    def session(self) -> Session | None:
        """The newest of sessions, or None."""
        sessions = None if self._engine is None else self._engine.outcome.sessions
        return sessions[-1] if sessions else None

    @property
    def session_reused(self) -> bool:
        """Whether the handshake was by a session or another pre-shared key."""
        return self._engine is not None and self._engine.outcome.resumed

    @property
    def early_data_accepted(self) -> bool | None:
        """Whether the server took the client's early data; None where none was offered."""
        engine = self._engine
        if engine is None or not engine.outcome.early_data_offered:
            return None
        return bool(engine.outcome.early_data_accepted)

    @property
    def max_early_data(self) -> int:
        """How many bytes of early data a client can send now."""
        engine = self._engine
        if engine is None or engine.by_server or not engine.can_send_early_data:
            return 0
        return engine.early_data_room


# RFC 5246, 6.3, 7.4.9 and 8.1; RFC 7627, 4; RFC 5705, 4 keeps exporters from them.
_LABELS_OF_THE_PRF = frozenset(
    (
        b"client finished",
        b"server finished",
        b"master secret",
        b"extended master secret",
        b"key expansion",
    )
)


def _label(label: str | bytes, length: int) -> bytes:
    encoded = label.encode() if isinstance(label, str) else label
    # RFC 8446, 7.1: HkdfLabel holds "tls13 " and the label in 255 bytes.
    if not 1 <= len(encoded) <= 249:
        raise ValueError("a label must have 1 to 249 bytes")
    if not 1 <= length <= 8160:
        raise ValueError("length must be 1 to 8160 bytes")
    return encoded
