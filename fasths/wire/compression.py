"""Compression of Certificate messages (RFC 8879).

A peer that sends a CompressedCertificate decides what a decompressor does, before it has proved who
it is. So a length that is too great is refused before anything is inflated, and what is inflated is
bounded by the announced length, not by what the stream would give: a decompressor is asked for that
and one byte more, which shows a stream that goes on. Only a whole stream of exactly the announced
length, with nothing behind it, is taken.

zlib is Python's own. brotli and zstd are there where a package for them is installed; they are
imported once, when first asked for.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from fasths.wire.codes import CertificateCompressionAlgorithm
from fasths.wire.errors import CertificateError

__all__ = ["available", "compress", "decompress"]

# zlib and brotli: the best that there is, because a chain is compressed once for many handshakes.
# zstd: the best but those that are for large inputs.
_ZLIB_LEVEL = 9
_ZSTD_LEVEL = 19

# RFC 8878, 3.1.1.1.2: the window that every decoder should support; a larger one is refused.
_ZSTD_WINDOW_LOG = 23

# The brotli package may give a whole block of its output buffer, however little it is asked for. It
# gives no more than this, the smallest block, if it is asked for no more.
_BROTLI_BLOCK = (1 << 15) - 16


class _Codec(Protocol):
    error: type[Exception]  # what a decompressor raises for malformed data

    def compress(self, data: bytes) -> bytes: ...

    def inflate(self, data: bytes, length: int) -> bytes | None:
        """The contents if they are no longer than `length`, else at least one byte more.

        None: the stream is not whole, or something follows it.
        """


def available() -> tuple[CertificateCompressionAlgorithm, ...]:
    """The algorithms that this installation has, by number. zlib is always among them."""
    return tuple(each for each in CertificateCompressionAlgorithm if _codec(each) is not None)


def compress(algorithm: int, data: bytes) -> bytes:
    """The compressed form of an encoded Certificate message.

    ValueError: the algorithm is not available.
    """
    return _required_codec(algorithm).compress(data)


def decompress(algorithm: int, data: bytes, uncompressed_length: int, maximum: int) -> bytes:
    """The Certificate message that a peer compressed, `uncompressed_length` bytes of it.

    uncompressed_length: what the peer said. maximum: bytes that are allowed, as for a message that
    is not compressed (RFC 8879, 5).
    CertificateError: more than that are announced, or the data is not one whole stream of that
    many bytes. ValueError: the algorithm is not available.
    """
    codec = _required_codec(algorithm)
    if not 0 < uncompressed_length <= maximum:
        raise CertificateError("the length of the compressed certificate message is out of range")
    try:
        message = codec.inflate(data, uncompressed_length)
    except codec.error:
        message = None
    # RFC 8879, 4: both are bad_certificate.
    if message is None:
        raise CertificateError("the compressed certificate message cannot be decompressed")
    if len(message) != uncompressed_length:
        raise CertificateError("the compressed certificate message is not as long as announced")
    return message


def _required_codec(algorithm: int) -> _Codec:
    codec = _codec(CertificateCompressionAlgorithm(algorithm))
    if codec is None:
        raise ValueError(f"no package for the compression algorithm {algorithm} is installed")
    return codec


@cache
def _codec(algorithm: CertificateCompressionAlgorithm) -> _Codec | None:
    for module, codec in _CANDIDATES[algorithm]:
        try:
            return codec(importlib.import_module(module))
        except ImportError:
            continue
    return None


class _Zlib:
    error: type[Exception] = zlib.error

    def __init__(self, module: Any) -> None:
        pass

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, _ZLIB_LEVEL)

    def inflate(self, data: bytes, length: int) -> bytes | None:
        return _inflate_whole(zlib.decompressobj(), data, length)


class _Brotli:
    """The brotli package, or brotlicffi, which has the same names."""

    def __init__(self, module: Any) -> None:
        # Added together with the limit of the output. Without it 15 bytes may give gigabytes.
        if not hasattr(module.Decompressor, "can_accept_more_data"):
            raise ImportError("brotli is older than 1.2")
        self.error: type[Exception] = module.error
        self._module = module

    def compress(self, data: bytes) -> bytes:
        compressed: bytes = self._module.compress(data)
        return compressed

    def inflate(self, data: bytes, length: int) -> bytes | None:
        decompressor = self._module.Decompressor()
        inflated = bytearray()
        rest = _with_less_window(data, length)
        while not decompressor.is_finished() and len(inflated) <= length:
            limit = min(length + 1 - len(inflated), _BROTLI_BLOCK)
            piece = decompressor.process(rest, output_buffer_limit=limit)
            rest = b""
            if not piece and not decompressor.is_finished():
                return None
            inflated += piece
        return bytes(inflated)


class _Zstandard:
    """The zstandard package."""

    def __init__(self, module: Any) -> None:
        self.error: type[Exception] = module.ZstdError
        self._module = module

    def compress(self, data: bytes) -> bytes:
        compressed: bytes = self._module.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)
        return compressed

    def inflate(self, data: bytes, length: int) -> bytes | None:
        # Where a frame says how long its contents are, so much memory is taken without a limit.
        if self._module.frame_content_size(data) not in (-1, length):
            return None
        decompressor = self._module.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG)
        inflated: bytes = decompressor.decompress(
            data, max_output_size=length + 1, allow_extra_data=False
        )
        return inflated


class _StandardZstd:
    """compression.zstd of Python 3.14, or backports.zstd, which has the same names."""

    def __init__(self, module: Any) -> None:
        self.error: type[Exception] = module.ZstdError
        self._module = module
        self._options = {module.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}

    def compress(self, data: bytes) -> bytes:
        compressed: bytes = self._module.compress(data, _ZSTD_LEVEL)
        return compressed

    def inflate(self, data: bytes, length: int) -> bytes | None:
        return _inflate_whole(self._module.ZstdDecompressor(options=self._options), data, length)


_CANDIDATES: dict[
    CertificateCompressionAlgorithm, tuple[tuple[str, Callable[[Any], _Codec]], ...]
] = {
    CertificateCompressionAlgorithm.zlib: (("zlib", _Zlib),),
    CertificateCompressionAlgorithm.brotli: (("brotli", _Brotli), ("brotlicffi", _Brotli)),
    CertificateCompressionAlgorithm.zstd: (
        ("compression.zstd", _StandardZstd),
        ("zstandard", _Zstandard),
        ("backports.zstd", _StandardZstd),
    ),
}


def _inflate_whole(decompressor: Any, data: bytes, length: int) -> bytes | None:
    """_Codec.inflate() with a decompressor of Python's own kind."""
    inflated: bytes = decompressor.decompress(data, length + 1)
    if len(inflated) <= length and (not decompressor.eof or decompressor.unused_data):
        return None
    return inflated


def _with_less_window(data: bytes, length: int) -> bytes:
    """A brotli stream with a window no larger than its contents ask for.

    A decoder fills its window before it gives anything, up to 16 MiB for a few bytes. As long as
    all that was produced fits into the window, a smaller one means the same (RFC 7932, 9.1: WBITS,
    whose values from 18 to 24 are three bits, 1 to 7, above a set bit).
    """
    if not data:
        return data
    first = data[0]
    code = first >> 1 & 7
    # RFC 7932, 9.1: a window of WBITS holds 2**WBITS - 16 bytes.
    enough = max((length + 15).bit_length() - 17, 1)
    if not first & 1 or code <= enough:
        return data
    return bytes([first & 0xF0 | enough << 1 | 1]) + data[1:]
