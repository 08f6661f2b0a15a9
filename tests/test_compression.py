"""Compressed certificate messages: what is taken, what is refused, and how much memory it costs.

Each package that can be asked for is tested where it is installed.
"""

from __future__ import annotations

import subprocess
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pki
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasths.wire import compression
from fasths.wire.codes import AlertDescription
from fasths.wire.codes import CertificateCompressionAlgorithm as Algorithm
from fasths.wire.compression import available, compress, decompress
from fasths.wire.errors import CertificateError

MAXIMUM = 1 << 17
MESSAGE = b"".join(pki.make_leaf(["localhost", "example.com"], intermediate=True).chain_der)
ZEROS = 1 << 26
PACKAGES = {
    Algorithm.zlib: ["zlib"],
    Algorithm.brotli: ["brotli", "brotlicffi"],
    Algorithm.zstd: ["zstandard", "compression.zstd", "backports.zstd"],
}
OPTIONAL = [*PACKAGES[Algorithm.brotli], *PACKAGES[Algorithm.zstd]]


@dataclass(frozen=True)
class Provider:
    """A package that is the only one for its algorithm."""

    algorithm: Algorithm
    name: str
    module: Any

    def decompress(self, data: bytes, length: int = len(MESSAGE), maximum: int = MAXIMUM) -> bytes:
        return decompress(self.algorithm, data, length, maximum)

    def refuses(self, data: bytes, length: int = len(MESSAGE), maximum: int = MAXIMUM) -> str:
        """The reason. RFC 8879, 4: the alert is bad_certificate, whatever is wrong."""
        with pytest.raises(CertificateError) as caught:
            self.decompress(data, length, maximum)
        assert caught.value.alert is AlertDescription.bad_certificate
        return caught.value.reason


def installed(*algorithms: Algorithm) -> list[Any]:
    """A parameter for each package that is here."""
    found = []
    for algorithm in algorithms:
        for name in PACKAGES[algorithm]:
            with suppress(ImportError):
                found.append(pytest.param((algorithm, name, import_module(name)), id=name))
    return found


def only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    algorithm, name, module = request.param
    for other in OPTIONAL:
        if other != name:
            monkeypatch.setitem(sys.modules, other, None)
    compression._codec.cache_clear()
    return Provider(algorithm, name, module)


@pytest.fixture(params=installed(*Algorithm))
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return only(request, monkeypatch)


@pytest.fixture(params=installed(Algorithm.brotli))
def brotli(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return only(request, monkeypatch)


@pytest.fixture(params=installed(Algorithm.zstd))
def zstd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return only(request, monkeypatch)


@pytest.fixture(autouse=True)
def _no_codec_stays() -> Iterator[None]:
    yield
    compression._codec.cache_clear()


# Streams that no compressor makes


def zstd_frame(
    *blocks: bytes, content_size: int | None = None, window: int = 0x38, single: bool = False
) -> bytes:
    """A frame (RFC 8878, 3.1.1). window: its descriptor, 0x38 for 128 KiB."""
    descriptor = 0x80 * (content_size is not None) | 0x20 * single
    header = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + bytes([window]) * (not single)
    if content_size is not None:
        header += content_size.to_bytes(4, "little")
    return header + b"".join(blocks)


def zstd_run(length: int, *, last: bool = False, byte: bytes = b"\0") -> bytes:
    """A block of one repeated byte: four bytes for up to 128 KiB."""
    return (length << 3 | 1 << 1 | last).to_bytes(3, "little") + byte


SKIPPABLE = bytes.fromhex("502a4d1800000000")


def zlib_bomb() -> bytes:
    compressor = zlib.compressobj(9)
    return b"".join(compressor.compress(bytes(1 << 20)) for _ in range(64)) + compressor.flush()


# What is taken


def test_available_algorithms_are_those_of_the_test_environment() -> None:
    assert available() == (Algorithm.zlib, Algorithm.brotli, Algorithm.zstd)


def test_what_was_compressed_comes_back(provider: Provider) -> None:
    compressed = compress(provider.algorithm, MESSAGE)
    assert len(compressed) < len(MESSAGE)
    assert provider.decompress(compressed) == MESSAGE
    assert provider.decompress(compressed, maximum=len(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("length", [1, 2, 32752, 32753, 98272, 98273, MAXIMUM])
def test_messages_of_every_length_come_back(provider: Provider, length: int) -> None:
    """Also around the sizes of the blocks in which a package gives its output."""
    message = (MESSAGE * (MAXIMUM // len(MESSAGE) + 1))[:length]
    assert provider.decompress(compress(provider.algorithm, message), length) == message


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_numbers_are_enough(algorithm: Algorithm) -> None:
    assert decompress(int(algorithm), compress(int(algorithm), b"abc"), 3, 3) == b"abc"


@pytest.mark.parametrize("window", range(10, 25))
def test_brotli_of_every_window_is_read(brotli: Provider, window: int) -> None:
    for quality in (1, 5, 9, 11):
        compressed = brotli.module.compress(MESSAGE, lgwin=window, quality=quality)
        assert brotli.decompress(compressed) == MESSAGE


@pytest.mark.parametrize("length", [(1 << 18) - 16, (1 << 18) - 1, 1 << 18, 1 << 20, 1 << 24])
def test_brotli_with_less_window_means_the_same(brotli: Provider, length: int) -> None:
    """Where the end refers to the very start, and around the sizes of windows."""
    for quality in (5, 9):
        message = MESSAGE[:6] + bytes(length - 12) + MESSAGE[:6]
        compressed = brotli.module.compress(message, lgwin=24, quality=quality)
        assert brotli.decompress(compressed, length, maximum=length) == message


def test_zstd_without_the_size_of_its_contents_is_read(zstd: Provider) -> None:
    frame = zstd_frame(zstd_run(100), zstd_run(23, last=True, byte=b"x"))
    assert zstd.decompress(frame, 123) == bytes(100) + b"x" * 23
    assert zstd.decompress(zstd_frame(zstd_run(5), zstd_run(0, last=True)), 5) == bytes(5)


def test_zstd_with_the_recommended_window_is_read(zstd: Provider) -> None:
    # RFC 8878, 3.1.1.1.2: decoders should support 8 MiB.
    assert zstd.decompress(zstd_frame(zstd_run(9, last=True), window=0x68), 9) == bytes(9)


# What is refused


def test_length_beyond_the_maximum_is_refused(provider: Provider) -> None:
    compressed = compress(provider.algorithm, MESSAGE)
    assert "out of range" in provider.refuses(compressed, maximum=len(MESSAGE) - 1)
    # Before anything is inflated: it does not matter that nothing can be.
    assert "out of range" in provider.refuses(b"", MAXIMUM + 1)


def test_length_of_zero_is_refused(provider: Provider) -> None:
    assert "out of range" in provider.refuses(compress(provider.algorithm, b""), 0)


@pytest.mark.parametrize(
    "announced",
    [1, len(MESSAGE) - 1, len(MESSAGE) + 1, MAXIMUM],
    ids=["1", "one less", "one more", "maximum"],
)
def test_wrong_length_is_refused(provider: Provider, announced: int) -> None:
    provider.refuses(compress(provider.algorithm, MESSAGE), announced)


def test_truncated_stream_is_refused(provider: Provider) -> None:
    compressed = compress(provider.algorithm, MESSAGE)
    for length in range(len(compressed)):
        assert "cannot be decompressed" in provider.refuses(compressed[:length])


@pytest.mark.parametrize("length", [len(MESSAGE), MAXIMUM], ids=["message", "maximum"])
def test_trailing_data_is_refused(provider: Provider, length: int) -> None:
    message = (MESSAGE * (MAXIMUM // len(MESSAGE) + 1))[:length]
    compressed = compress(provider.algorithm, message)
    for rest in (b"\0", b"x" * 1000, compressed, compress(provider.algorithm, b"")):
        assert "cannot be decompressed" in provider.refuses(compressed + rest, length)


def test_stream_in_two_parts_is_refused(provider: Provider) -> None:
    """One stream for one message, also where the parts together have its length."""
    parts = MESSAGE[:300], MESSAGE[300:]
    provider.refuses(b"".join(compress(provider.algorithm, each) for each in parts))


def test_malformed_stream_is_refused(provider: Provider) -> None:
    for data in (b"", b"\0", b"\xff" * 64, MESSAGE):
        assert "cannot be decompressed" in provider.refuses(data)


def test_stream_of_another_algorithm_is_refused(provider: Provider) -> None:
    frame = zstd_frame(zstd_run(len(MESSAGE), last=True))
    other = frame if provider.algorithm is Algorithm.zlib else zlib.compress(MESSAGE)
    assert "cannot be decompressed" in provider.refuses(other)


@pytest.mark.parametrize("wbits", [-15, 31], ids=["deflate", "gzip"])
def test_deflate_in_another_wrapping_is_refused(wbits: int) -> None:
    compressor = zlib.compressobj(9, wbits=wbits)
    data = compressor.compress(MESSAGE) + compressor.flush()
    with pytest.raises(CertificateError, match="cannot be decompressed"):
        decompress(Algorithm.zlib, data, len(MESSAGE), MAXIMUM)


def test_zlib_with_a_wrong_checksum_is_refused() -> None:
    data = zlib.compress(MESSAGE)
    with pytest.raises(CertificateError, match="cannot be decompressed"):
        decompress(Algorithm.zlib, data[:-1] + bytes([data[-1] ^ 1]), len(MESSAGE), MAXIMUM)


def test_zlib_with_a_dictionary_is_refused() -> None:
    compressor = zlib.compressobj(zdict=MESSAGE)
    data = compressor.compress(MESSAGE) + compressor.flush()
    with pytest.raises(CertificateError, match="cannot be decompressed"):
        decompress(Algorithm.zlib, data, len(MESSAGE), MAXIMUM)


def test_brotli_with_a_large_window_is_refused(brotli: Provider) -> None:
    # The escape in place of WBITS, and 30: not in RFC 7932.
    brotli.refuses(b"\x11\x1e" + brotli.module.compress(MESSAGE)[1:])


def test_zstd_with_a_larger_window_is_refused(zstd: Provider) -> None:
    frame = zstd_frame(zstd_run(9, last=True), window=0x69)
    assert "cannot be decompressed" in zstd.refuses(frame, 9)


def test_zstd_with_a_skippable_frame_is_refused(zstd: Provider) -> None:
    compressed = compress(Algorithm.zstd, MESSAGE)
    zstd.refuses(SKIPPABLE)
    zstd.refuses(SKIPPABLE + compressed)
    zstd.refuses(compressed + SKIPPABLE)


@pytest.mark.parametrize("size", [4, 10, 100, 1 << 31])
def test_zstd_that_says_another_size_is_refused(zstd: Provider, size: int) -> None:
    for blocks in ([zstd_run(4), zstd_run(1, last=True)], [zstd_run(100, last=True)]):
        for single in (False, True):
            zstd.refuses(zstd_frame(*blocks, content_size=size, single=single), 5)


def test_zstd_with_a_wrong_checksum_is_refused(zstd: Provider) -> None:
    frame = bytearray(zstd_frame(zstd_run(5, last=True)))
    frame[4] |= 0x04
    zstd.refuses(bytes(frame) + b"\1\2\3\4", 5)


@given(st.data())
def test_changed_streams_are_refused_or_have_the_length(data: st.DataObject) -> None:
    algorithm = data.draw(st.sampled_from(Algorithm))
    stream = bytearray(compress(algorithm, MESSAGE))
    positions = st.integers(0, len(stream) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(positions)] = data.draw(st.integers(0, 255))
    length = data.draw(st.sampled_from([len(MESSAGE), 1, MAXIMUM]))
    # Another error than this one fails the test.
    with suppress(CertificateError):
        assert len(decompress(algorithm, bytes(stream), length, MAXIMUM)) == length


@given(st.sampled_from(Algorithm), st.binary(max_size=200))
def test_any_bytes_are_refused(algorithm: Algorithm, stream: bytes) -> None:
    # No 200 bytes make this length but with intent.
    with pytest.raises(CertificateError):
        decompress(algorithm, stream, 65521, MAXIMUM)


# Bombs

ANNOUNCED = 4000

MEASURE = """
import sys
from importlib import import_module
from pathlib import Path
from fasths.wire import compression
from fasths.wire.errors import CertificateError

def peak():
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index("VmHWM:") + 1])

algorithm, name, bomb, announced, bounded = sys.argv[1:]
algorithm, announced = int(algorithm), int(announced)
bomb = Path(bomb).read_bytes()
for other, _ in compression._CANDIDATES[algorithm]:
    if other != name:
        sys.modules[other] = None
small = compression.compress(algorithm, b"a message" * 100)
compression.decompress(algorithm, small, 900, 1 << 17)
Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
before = peak()
if bounded == "bounded":
    for _ in range(20):
        try:
            compression.decompress(algorithm, bomb, announced, 1 << 17)
        except CertificateError:
            continue
        raise AssertionError("the bomb was taken")
else:
    compression.decompress(algorithm, bomb, announced, announced)
print(peak() - before)
"""


def growth(provider: Provider, bomb: bytes, path: Path, announced: int, bounded: bool) -> int:
    """KiB by which the most memory of a process rises when it inflates a bomb."""
    path.write_bytes(bomb)
    arguments = [int(provider.algorithm), provider.name, path, announced]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, arguments), "bounded" if bounded else "all"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def bomb_of(provider: Provider) -> bytes:
    """64 MiB of zeros."""
    if provider.algorithm is Algorithm.zlib:
        return zlib_bomb()
    if provider.algorithm is Algorithm.brotli:
        bomb: bytes = provider.module.compress(bytes(ZEROS), quality=9, lgwin=24)
        return bomb
    runs = [zstd_run(1 << 17)] * (ZEROS >> 17)
    return zstd_frame(*runs, zstd_run(0, last=True), window=0x68)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by /proc"
)


@needs_proc
@pytest.mark.parametrize("announced", [1, ANNOUNCED, MAXIMUM])
def test_bomb_takes_no_memory(provider: Provider, tmp_path: Path, announced: int) -> None:
    """About a thousandth of what it would take, whatever is announced."""
    bomb = bomb_of(provider)
    assert len(bomb) < 1 << 17
    assert growth(provider, bomb, tmp_path / "bomb", announced, True) < 1024
    if announced == 1:
        # That it would take that much, and that this measurement sees it.
        assert growth(provider, bomb, tmp_path / "bomb", ZEROS, False) > ZEROS >> 10


@needs_proc
@pytest.mark.parametrize("size", [ANNOUNCED, ZEROS, 0xFFFFFFF0])
def test_zstd_bomb_that_lies_takes_no_memory(zstd: Provider, tmp_path: Path, size: int) -> None:
    """The size that a frame has for its contents is as little to be believed as any other."""
    runs = [zstd_run(1 << 17)] * (ZEROS >> 17)
    for single in (False, True):
        bomb = zstd_frame(*runs, content_size=size, single=single)
        assert growth(zstd, bomb, tmp_path / "bomb", ANNOUNCED, True) < 1024


# Packages


def test_without_packages_there_is_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTIONAL:
        monkeypatch.setitem(sys.modules, name, None)
    compression._codec.cache_clear()
    assert available() == (Algorithm.zlib,)
    for algorithm in (Algorithm.brotli, Algorithm.zstd):
        with pytest.raises(ValueError, match="no package"):
            compress(algorithm, b"abc")
        with pytest.raises(ValueError, match="no package"):
            decompress(algorithm, b"abc", 3, 3)


@pytest.mark.parametrize("algorithm", [0, 4, 16384])
@pytest.mark.parametrize("call", [compress, lambda *of: decompress(*of, 3, 3)])
def test_unknown_algorithm_is_refused(call: Callable[..., bytes], algorithm: int) -> None:
    with pytest.raises(ValueError, match=str(algorithm)):
        call(algorithm, b"abc")


def test_brotli_that_cannot_be_limited_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the package was before 1.2."""
    old = types.ModuleType("brotli")
    old.Decompressor = type("Decompressor", (), {"process": None, "is_finished": None})
    old.error = type("error", (Exception,), {})
    monkeypatch.setitem(sys.modules, "brotli", old)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    compression._codec.cache_clear()
    assert Algorithm.brotli not in available()


def test_packages_are_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compression._codec.cache_clear()
    before = available()
    for name in OPTIONAL:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError):
            import_module(name)
    assert available() == before
