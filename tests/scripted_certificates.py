"""Authentication by a scripted peer, and what goes with it (RFC 8446, 4.3.2 and 4.4).

Certificate may be compressed (RFC 8879), be a raw public key (RFC 7250), and have an OCSP response
and signed certificate timestamps with its first entry (RFC 8446, 4.4.2.1).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from scripted_keys import ALL_SCHEMES, DEFAULT_SCHEMES, TrafficKey, signature_arguments
from scripted_messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    Cursor,
    Extensions,
    Finished,
    WithExtensions,
    u8,
    u16,
    vector,
)
from scripted_records import RecordPeer

from fasths import ExtensionType

X509, RAW_PUBLIC_KEY = 0, 2
ZLIB, BROTLI, ZSTD = 1, 2, 3
OCSP = 1


def compress(algorithm: int, data: bytes) -> bytes:
    if algorithm == ZLIB:
        return zlib.compress(data)
    if algorithm == BROTLI:
        import brotli

        return bytes(brotli.compress(data))
    assert algorithm == ZSTD
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def decompress(algorithm: int, data: bytes) -> bytes:
    if algorithm == ZLIB:
        return zlib.decompress(data)
    if algorithm == BROTLI:
        import brotli

        return bytes(brotli.decompress(data))
    assert algorithm == ZSTD
    import zstandard

    return zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 24)


def compressed(algorithm: int, message: Certificate) -> CompressedCertificate:
    data = message.body() + message.trailing
    return CompressedCertificate(
        algorithm=algorithm,
        uncompressed_length=len(data),
        compressed_certificate_message=compress(algorithm, data),
    )


def certificate_status(response: bytes) -> bytes:
    """CertificateStatus (RFC 6066, 8)."""
    return u8(OCSP) + vector(3, response)


def timestamp_list(*timestamps: bytes) -> bytes:
    """SignedCertificateTimestampList (RFC 6962, 3.3)."""
    return vector(2, *(vector(2, each) for each in timestamps))


def public_key_info(credential: Any) -> bytes:
    """SubjectPublicKeyInfo of a credential's key."""
    key = credential.key.public_key()
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


class CertificatePeer(RecordPeer):
    """A peer that authenticates itself, and has the other side do so.

    credential: what it shows; None: nothing. scheme: what it signs with. raw_public_key: whether
    it shows the key alone where that may be negotiated. ocsp_response, timestamps: what goes with
    the first entry. compress: the algorithm that it compresses its Certificate with.

    What it asks of the other side, in ClientHello or CertificateRequest: compression, the
    algorithms it takes; ask_status, ask_timestamps; certificate_authorities, names in DER.
    """

    def __init__(
        self,
        *arguments: Any,
        credential: Any = None,
        scheme: int | None = None,
        raw_public_key: bool = False,
        ocsp_response: bytes | None = None,
        timestamps: Sequence[bytes] = (),
        compress: int | None = None,
        compression: Sequence[int] = (),
        ask_status: bool = False,
        ask_timestamps: bool = False,
        certificate_authorities: Sequence[bytes] = (),
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.credential = credential
        if scheme is None and credential is not None:
            scheme = DEFAULT_SCHEMES[credential.key_type]
        self.scheme = scheme
        self.raw_public_key = raw_public_key
        self.ocsp_response = ocsp_response
        self.timestamps = timestamps
        self.compress = compress
        self.compression = compression
        self.ask_status = ask_status
        self.ask_timestamps = ask_timestamps
        self.certificate_authorities = certificate_authorities
        # As negotiated in EncryptedExtensions.
        self.own_certificate_type = X509
        self.peer_certificate_type = X509
        # What the other side showed: DER, and the extensions of each entry.
        self.peer_chain: list[bytes] = []
        self.peer_entry_extensions: list[dict[int, bytes]] = []
        self.peer_compression: int | None = None

    # --- What is asked of the other side

    def ask(self, message: WithExtensions, status_request: bytes) -> None:
        """Into a ClientHello or a CertificateRequest."""
        if self.ask_status:
            message.set(ExtensionType.status_request, status_request)
        if self.ask_timestamps:
            message.set(ExtensionType.signed_certificate_timestamp)
        if self.compression:
            message.set(ExtensionType.compress_certificate, vector(1, u16(*self.compression)))
        if self.certificate_authorities:
            names = vector(2, *(vector(2, each) for each in self.certificate_authorities))
            message.set(ExtensionType.certificate_authorities, names)

    def certificate_request(self, context: bytes = b"") -> CertificateRequest:
        message = CertificateRequest(certificate_request_context=context)
        message.set(ExtensionType.signature_algorithms, vector(2, u16(*ALL_SCHEMES)))
        # RFC 8446, 4.4.2.1: a server asks with an empty extension.
        self.ask(message, b"")
        return message

    # --- Certificate, CertificateVerify and Finished

    def sign(
        self, scheme: int, context: bytes, *, credential: Any = None, salt_length: int | None = None
    ) -> bytes:
        """A signature over the transcript so far."""
        content = b" " * 64 + context + b"\0" + self.suite.digest(self.transcript)
        key = (credential or self.credential).key
        return key.sign(content, *signature_arguments(scheme, salt_length))

    def certificate_entries(self) -> list[tuple[bytes, Extensions]]:
        if not self.credential:
            return []
        if self.own_certificate_type == RAW_PUBLIC_KEY:
            entries: list[tuple[bytes, Extensions]] = [(public_key_info(self.credential), [])]
        else:
            entries = [(der, []) for der in self.credential.chain_der]
        if self.ocsp_response is not None:
            status = certificate_status(self.ocsp_response)
            entries[0][1].append((ExtensionType.status_request, status))
        if self.timestamps:
            timestamps = timestamp_list(*self.timestamps)
            entries[0][1].append((ExtensionType.signed_certificate_timestamp, timestamps))
        return entries

    def send_certificate(
        self, context: bytes, *, request_context: bytes = b"", prefix: str = ""
    ) -> None:
        """Certificate and, where it is not empty, CertificateVerify.

        prefix: of the points in the script. A Certificate passes "certificate", and is compressed
        then; that passes "compressed_certificate".
        """
        message = Certificate(
            certificate_request_context=request_context,
            certificate_list=self.certificate_entries(),
        )
        for each in self.edited(f"{prefix}certificate", message):
            if self.compress is not None and isinstance(each, Certificate):
                self.step(f"{prefix}compressed_certificate", compressed(self.compress, each))
            else:
                self.send(each)
        if self.credential:
            assert self.scheme is not None
            signature = self.sign(self.scheme, context)
            self.step(
                f"{prefix}certificate_verify",
                CertificateVerify(algorithm=self.scheme, signature=signature),
            )

    def read_certificate(
        self, context: bytes, allowed: Sequence[int], *, request_context: bytes = b""
    ) -> None:
        """Certificate and, where it is not empty, CertificateVerify."""
        certificate = self.receive(Certificate, CompressedCertificate)
        self.peer_compression = None
        if isinstance(certificate, CompressedCertificate):
            certificate = self.decompressed(certificate)
        assert certificate.certificate_request_context == request_context
        self.peer_chain = [der for der, _ in certificate.certificate_list]
        self.peer_entry_extensions = [dict(each) for _, each in certificate.certificate_list]
        asked = set()
        if self.ask_status:
            asked.add(ExtensionType.status_request)
        if self.ask_timestamps:
            asked.add(ExtensionType.signed_certificate_timestamp)
        for extensions in self.peer_entry_extensions:
            assert set(extensions) <= asked, "an extension that was not asked for"
        if not self.peer_chain:
            return
        message = self.receive(CertificateVerify)
        assert message.algorithm in allowed
        content = b" " * 64 + context + b"\0" + self.suite.digest(self.before)
        key: Any
        if self.peer_certificate_type == RAW_PUBLIC_KEY:
            assert len(self.peer_chain) == 1
            key = load_der_public_key(self.peer_chain[0])
        else:
            key = x509.load_der_x509_certificate(self.peer_chain[0]).public_key()
        key.verify(message.signature, content, *signature_arguments(message.algorithm))

    def decompressed(self, message: CompressedCertificate) -> Certificate:
        assert message.algorithm in self.compression, "an algorithm that was not offered"
        data = decompress(message.algorithm, message.compressed_certificate_message)
        assert len(data) == message.uncompressed_length
        cursor = Cursor(data)
        certificate = Certificate.parse(cursor)
        cursor.finish()
        self.peer_compression = message.algorithm
        return certificate

    def send_finished(self, key: TrafficKey, name: str = "finished") -> None:
        self.step(name, Finished(verify_data=key.finished(self.transcript)))

    def read_finished(self, key: TrafficKey) -> None:
        message = self.receive(Finished)
        assert message.verify_data == key.finished(self.before), "Finished is wrong"
