"""The traces of RFC 8448 (vectors/rfc8448.json) as objects, for the tests that replay them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fasths.wire.codes import ContentType

SIMPLE, RESUMED, RETRIED, CLIENT_AUTHENTICATION, COMPATIBILITY = range(3, 8)
FULL = (SIMPLE, RETRIED, CLIENT_AUTHENTICATION, COMPATIBILITY)

CLIENT_HELLO = 1
SERVER_HELLO = 2
NEW_SESSION_TICKET = 4
ENCRYPTED_EXTENSIONS = 8
CERTIFICATE = 11
CERTIFICATE_REQUEST = 13
CERTIFICATE_VERIFY = 15
FINISHED = 20

VECTORS = Path(__file__).with_name("vectors") / "rfc8448.json"


@dataclass(frozen=True)
class Step:
    side: str
    action: str
    fields: dict[str, bytes]
    same_as: str | None = None

    def __getitem__(self, name: str) -> bytes:
        return self.fields[name]


@dataclass(frozen=True)
class Record:
    """One record of a trace; `epoch` and `sequence` say how it is protected, where it is."""

    side: str
    content_type: ContentType
    payload: bytes
    complete: bytes
    epoch: str | None  # "early application data", "handshake data", "application data"
    sequence: int


@dataclass(frozen=True)
class Trace:
    section: int
    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.title.lower().replace(" ", "-")

    def all(self, action: str, side: str | None = None) -> list[Step]:
        """The steps with this action that state values of their own."""
        return [
            step
            for step in self.steps
            if step.action == action and step.fields and side in (None, step.side)
        ]

    def one(self, action: str, side: str | None = None) -> Step:
        """The first step with this action. Where both sides state it, the values are the same."""
        return self.all(action, side)[0]

    def secret(self, label: str) -> bytes:
        """The secret that one of the traces' `derive secret "tls13 <label>"` steps gives."""
        return self.one(f'derive secret "tls13 {label}"')["expanded"]

    def extracted(self, name: str) -> bytes:
        """The early, handshake or master secret."""
        return self.one(f'extract secret "{name}"')["secret"]

    def traffic_secret(self, side: str, epoch: str) -> bytes:
        kind = {"early application data": "e", "handshake data": "hs", "application data": "ap"}
        return self.secret(f"{side[0]} {kind[epoch]} traffic")

    def private_keys(self, side: str) -> list[Step]:
        """The side's ephemeral key pairs in the order of their making."""
        return [
            step
            for step in self.steps
            if step.side == side and step.action.startswith("create an ephemeral ")
        ]

    def records(self) -> list[Record]:
        found = []
        epochs: dict[str, str | None] = {"client": None, "server": None}
        sequence = {"client": 0, "server": 0}
        for step in self.steps:
            side = step.side
            if step.action.startswith("derive write traffic keys for "):
                epochs[side] = step.action.removeprefix("derive write traffic keys for ")
                sequence[side] = 0
            elif step.action.startswith("send "):
                content_type = ContentType[step.action.split()[1]]
                # RFC 8446, D.4: change_cipher_spec is never protected.
                protected = (
                    epochs[side] is not None and content_type != ContentType.change_cipher_spec
                )
                found.append(
                    Record(
                        side,
                        content_type,
                        step["payload"],
                        step["complete record"],
                        epochs[side] if protected else None,
                        sequence[side] if protected else 0,
                    )
                )
                sequence[side] += protected
        return found

    def messages(self, side: str | None = None) -> list[tuple[str, bytes]]:
        """All handshake messages (with their headers) in order, and the side of each."""
        return [
            (record.side, message)
            for record in self.records()
            if record.content_type == ContentType.handshake and side in (None, record.side)
            for message in split_messages(record.payload)
        ]

    def message(self, side: str, handshake_type: int) -> bytes:
        return next(m for sender, m in self.messages(side) if m[0] == handshake_type)


def split_messages(payload: bytes) -> Iterator[bytes]:
    while payload:
        end = 4 + int.from_bytes(payload[1:4], "big")
        assert len(payload) >= end
        yield payload[:end]
        payload = payload[end:]


def split_records(data: bytes) -> Iterator[bytes]:
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        assert len(data) >= end
        yield data[:end]
        data = data[end:]


@cache
def _document() -> dict[str, object]:
    return json.loads(VECTORS.read_text())  # type: ignore[no-any-return]


@cache
def traces() -> dict[int, Trace]:
    """The traces by the number of their section."""
    return {
        trace["section"]: Trace(
            trace["section"],
            trace["title"],
            tuple(
                Step(
                    step["side"],
                    step["action"],
                    {name: bytes.fromhex(value) for name, value in step["fields"].items()},
                    step.get("same_as"),
                )
                for step in trace["steps"]
            ),
        )
        for trace in _document()["traces"]  # type: ignore[attr-defined]
    }


@cache
def server_private_key() -> rsa.RSAPrivateKey:
    """The key of the RSA certificate that the server has in sections 3, 5 and 7."""
    numbers = _document()["private_keys"]["server"]  # type: ignore[index]
    value = {name: int(digits, 16) for name, digits in numbers.items()}
    return rsa.RSAPrivateNumbers(
        value["prime1"],
        value["prime2"],
        value["private exponent"],
        value["exponent1"],
        value["exponent2"],
        value["coefficient"],
        rsa.RSAPublicNumbers(value["public exponent"], value["modulus"]),
    ).private_key()


def name(value: object) -> str:
    return str(value).replace('"', "").replace(" ", "-")


def of_traces(*sections: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("trace", [traces()[n] for n in sections], ids=name)
