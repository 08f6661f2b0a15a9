"""The comparison as plain text."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator

from bench.cases import GROUP_NAMES, SUITE, Row
from bench.results import FLOOR, Column, Result

_UNITS = {
    "us": "microseconds",
    "GB/s": "GB/s through both ends",
    "KB": "KB",
    "/s": "handshakes per second",
    "trips/s": "round trips per second",
    "conn/s": "connections per second",
}
_WIDTH = 98


def preamble(environment: dict[str, str], warning: str | None) -> str:
    """What was measured, on what, under which settings."""
    facts = [
        f"fasths beside its peers: {environment['machine']}",
        f"{environment['python']}; cryptography {environment['cryptography']}; "
        f"ssl with {environment['ssl']}; pyOpenSSL {environment['pyOpenSSL']}; "
        f"uvloop {environment['uvloop']}; aiofastnet {environment['aiofastnet']}; "
        f"fasths {environment['fasths']}",
    ]
    settings = (
        f"Settings, the same for everyone, but for what a row names: TLS 1.3, {SUITE}, one group "
        "(X25519 where none is named), the same certificates, each chain verified afresh in every "
        "handshake, the server's with its host name checked, no client certificate, no session "
        "tickets (OpenSSL's default of two is turned off), no ALPN."
    )
    figures = (
        "Figures: stacks take turns; each figure is the best of all rounds, with the median in "
        "brackets; ratios and percentages compare best with best, and in brackets round by round. "
        "Client and server times are those around each side's own calls, making the connection "
        "included; freeing both is in the time of both."
    )
    return "\n".join([*_wrapped(facts), "", *_wrapped([settings, figures, warning or ""])])


def table(row: Row, result: Result, known: set[str]) -> str:
    """One row's figures, and those of its notes that are not in `known`, which they join."""
    unit = _UNITS[result.columns[0].unit]
    named = GROUP_NAMES[row.group] in row.title
    if row.kind == "handshake" and row.key_exchange and not named:
        title = f"{row.title}, {GROUP_NAMES[row.group]}"
    else:
        title = row.title
    differs = [f"  {row.differs}"] if row.differs else []
    return "\n".join(
        [
            title,
            "-" * len(title),
            *_wrapped(differs, hanging="  "),
            *_grid(result, unit),
            *_remarks(result, known),
        ]
    )


def _grid(result: Result, unit: str) -> Iterator[str]:
    if not result.samples:
        return
    columns = result.columns
    heading = [unit] if len(columns) == 1 else [column.name for column in columns]
    references = [name for name in result.references if name in result.samples]
    compared = len(result.samples) > 1
    lines = [["", *heading, *(f"{name} is" if compared else "" for name in references)]]
    for stack in result.samples:
        figures = [_figure(result, stack, column) for column in columns]
        ratios = [_advantages(result, stack, name) for name in references]
        lines.append([stack, *figures, *ratios])
    over = [result.over_floor(column.name) for column in columns]
    if any(over):
        lines.append(["fasths over floor", *map(_percent, over), *("" for _ in references)])
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    if len(columns) > 1:
        yield " " * (widths[0] + 5) + unit
    for name, *cells in lines:
        padded = [
            cell.rjust(width) if number < len(columns) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths[1:], strict=True))
        ]
        yield ("  " + "   ".join([name.ljust(widths[0]), *padded])).rstrip()


def _figure(result: Result, stack: str, column: Column) -> str:
    if column.name not in result.samples[stack]:
        return ""
    best, median = result.best(stack, column.name), result.median(stack, column.name)
    digits = {"us": 1, "GB/s": 2, "KB": 1, "/s": 0, "trips/s": 0, "conn/s": 0}[column.unit]
    return f"{best:,.{digits}f} ({median:,.{digits}f})"


def _advantages(result: Result, stack: str, reference: str) -> str:
    if stack in (*result.references, FLOOR):
        return ""
    ratios = [result.advantage(column.name, stack, reference) for column in result.columns]
    words = "as small" if result.columns[0].unit == "KB" else "as fast"
    shown = [f"{ratio['best']:.2f}x" for ratio in ratios if ratio is not None]
    return " ".join([*shown, words]) if shown else ""


def _percent(over: dict[str, float] | None) -> str:
    return "" if over is None else f"{over['best']:+.1f}% ({over['median']:+.1f}%)"


def _remarks(result: Result, known: set[str]) -> Iterator[str]:
    for stack, reason in result.skipped.items():
        yield from _wrapped([f"  {stack}: {reason}"], hanging="    ")
    for note in result.notes:
        if note in known:
            continue
        known.add(note)
        yield from _wrapped([f"  note: {note}"], hanging="    ")


def _wrapped(paragraphs: Iterable[str], hanging: str = "") -> Iterator[str]:
    width = min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    for paragraph in paragraphs:
        yield from textwrap.wrap(paragraph, width, subsequent_indent=hanging)
