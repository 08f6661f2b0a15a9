"""Each room of the corridor knows only the rooms below it (docs/architecture.md)."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fasths"
# What each room may import, besides itself.
ALLOWED = {
    "wire": set(),
    "crypto": {"wire"},
    "record": {"crypto", "wire"},
    "handshake": {"crypto", "wire"},
    "_core": {"handshake", "record", "crypto", "wire"},
    "_pipe": set(),
    "_socket_calls": set(),
    "bio": {"_pipe"},
    "session_store": {"handshake"},
    "context": {"session_store", "handshake", "crypto", "wire"},
    "negotiated": {"_core", "context", "handshake", "crypto", "wire"},
    "connection": {"negotiated", "_core", "bio", "context", "handshake", "crypto", "wire"},
    "ssl": {"", "_socket_calls", "connection", "crypto", "wire"},
    "aio": {
        "ssl",
        "_socket_calls",
        "connection",
        "_core",
        "bio",
        "context",
        "handshake",
        "wire",
    },
    "cli": {"", "crypto"},
    "__main__": {"cli"},
    "__init__": {"bio", "connection", "context", "session_store", "handshake", "crypto", "wire"},
}
IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<from>[\w.]+)\s+c?import\b|c?import\s+(?P<import>[\w.]+))", re.MULTILINE
)


def sources():
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in {".py", ".pyx", ".pxd"}:
            yield path


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.split(".")[0]


def imported_modules(path):
    for match in IMPORT.finditer(path.read_text()):
        yield match["from"] or match["import"]


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    for module in imported_modules(path):
        top, _, rest = module.partition(".")
        if top != "fasths":
            continue
        target = rest.split(".")[0]
        assert target == room or target in ALLOWED[room], f"{room} imports {module}"


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_crypto_imports_cryptography(path):
    if room_of(path) != "crypto":
        for module in imported_modules(path):
            assert module.partition(".")[0] != "cryptography"


def test_every_room_is_known():
    assert {room_of(path) for path in sources()} == set(ALLOWED)
