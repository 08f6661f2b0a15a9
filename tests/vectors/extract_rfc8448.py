"""Turns the text of RFC 8448 into rfc8448.json, which stands beside this file.

The RFC is plain text whose indentation carries the structure: a section's heading starts in
column 0, a step ("{client}  send handshake record:") in column 3, a field of the step in column 6,
and the lines that continue a field in column 9. Page breaks may fall anywhere, also inside a value,
so running headers, footers and blank lines are dropped before anything else; none of them carries
meaning. A line that fits nothing is an error, never skipped, and each octet count that the RFC
states is checked against the octets found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

FOOTER = re.compile(r"Thomson +Informational +\[Page \d+\]")
HEADER = re.compile(r"RFC 8448 +TLS 1\.3 Traces +January 2019")
HEADING = re.compile(r"(\d+)\.  (\S.*)")
STEP = re.compile(r" {3}\{(client|server)\}  (\S.*)")
FIELD = re.compile(r" {6}([A-Za-z][A-Za-z0-9 ]*) \((\d+) octets\):  (\S.*)")
ZERO_SALT = "      salt:  0 (all zero octets)"
CONTINUATION = re.compile(r" {9}([0-9a-f]{2}(?: [0-9a-f]{2})*)")
KEY_FIELD = re.compile(r" {3}([a-z]+[a-z0-9 ]*)(?: \(public\))?:  ([0-9a-f]{2}(?: [0-9a-f]{2})*)")
KEY_CONTINUATION = re.compile(r" {6}([0-9a-f]{2}(?: [0-9a-f]{2})*)")
SAME_AS = re.compile(r"(.+) \(same as (.+)\):?")

PRIVATE_KEYS_SECTION = 2
TRACE_SECTIONS = range(3, 8)
HASH_LENGTH = 32  # every trace uses TLS_AES_128_GCM_SHA256

Step = dict[str, object]


class Malformed(Exception):
    """The text does not have the structure that this script relies on."""


def content_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that carry content, with their numbers in the file."""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip("\f\r").rstrip()
        if line and not FOOTER.fullmatch(line) and not HEADER.fullmatch(line):
            yield number, line


def sections(text: str) -> dict[int, tuple[str, list[tuple[int, str]]]]:
    """Each numbered top-level section: its title and its lines."""
    found: dict[int, tuple[str, list[tuple[int, str]]]] = {}
    lines: list[tuple[int, str]] | None = None
    for number, line in content_lines(text):
        heading = HEADING.fullmatch(line)
        if heading:
            lines = []
            found[int(heading[1])] = (heading[2], lines)
        elif not line.startswith(" "):
            lines = None  # a heading without a number, or of a subsection
        elif lines is not None:
            lines.append((number, line))
    return found


def octets(digits: str) -> str:
    return bytes.fromhex(digits).hex()


def private_key(lines: Iterable[tuple[int, str]]) -> dict[str, str]:
    """Section 2: the RSA key of the server's certificate, checked by its arithmetic."""
    fields: dict[str, str] = {}
    name = None
    for number, line in lines:
        if match := KEY_FIELD.fullmatch(line):
            name = match[1]
            fields[name] = octets(match[2])
        elif name and (match := KEY_CONTINUATION.fullmatch(line)):
            fields[name] += octets(match[1])
        elif name:
            raise Malformed(f"line {number} is no part of the private key: {line!r}")
    value = {name: int(digits, 16) for name, digits in fields.items()}
    p, q, d = value["prime1"], value["prime2"], value["private exponent"]
    consistent = (
        value["modulus"] == p * q
        and value["exponent1"] == d % (p - 1)
        and value["exponent2"] == d % (q - 1)
        and value["coefficient"] * q % p == 1
        and value["public exponent"] * d % (p - 1) == 1
        and value["public exponent"] * d % (q - 1) == 1
    )
    if not consistent:
        raise Malformed("the numbers of the RSA key do not belong together")
    return fields


def steps(lines: Iterable[tuple[int, str]]) -> list[Step]:
    """The steps of one trace. What stands before the first one is prose."""
    found: list[Step] = []
    fields: dict[str, str] = {}
    title = ""  # of a step whose title goes on in the next line
    side = name = ""
    declared: dict[tuple[int, str], int] = {}
    for number, line in lines:
        if title:
            title += " " + line.strip()
        elif match := STEP.fullmatch(line):
            side, title = match[1], match[2]
        elif not found:
            continue
        elif match := FIELD.fullmatch(line):
            name = match[1]
            if name in fields:
                raise Malformed(f"line {number} repeats the field {name!r}")
            declared[len(found) - 1, name] = int(match[2])
            fields[name] = "" if match[3] == "(empty)" else octets(match[3])
            continue
        elif line == ZERO_SALT:
            name, fields["salt"] = "", "00" * HASH_LENGTH
            continue
        elif name and (match := CONTINUATION.fullmatch(line)):
            fields[name] += octets(match[1])
            continue
        else:
            raise Malformed(f"line {number} is no part of a step: {line!r}")
        if title.count("(") > title.count(")"):
            continue
        step: Step = {"side": side}
        if match := SAME_AS.fullmatch(title):
            step |= {"action": match[1], "same_as": match[2]}
        elif title.endswith(":"):
            step["action"] = title[:-1]
        else:
            raise Malformed(f"line {number} ends no title of a step: {title!r}")
        title = name = ""
        fields = {}
        step["fields"] = fields
        found.append(step)
    for (index, name), count in declared.items():
        values = found[index]["fields"]
        assert isinstance(values, dict)
        if len(values[name]) != 2 * count:
            raise Malformed(f"{found[index]['action']}: {name!r} does not have {count} octets")
    for step in found:
        if bool(step["fields"]) == ("same_as" in step):
            raise Malformed(f"{step['action']}: either fields or a reference is expected")
    return found


def extract(text: str) -> dict[str, object]:
    found = sections(text)
    return {
        "source": "RFC 8448, Example Handshake Traces for TLS 1.3",
        "private_keys": {"server": private_key(found[PRIVATE_KEYS_SECTION][1])},
        "traces": [
            {"section": number, "title": found[number][0], "steps": steps(found[number][1])}
            for number in TRACE_SECTIONS
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Regenerates rfc8448.json from the RFC's text.")
    parser.add_argument("text", type=Path, help="path of rfc8448.txt")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    target = Path(__file__).with_name("rfc8448.json")
    result = json.dumps(extract(arguments.text.read_text("utf-8-sig")), indent=1) + "\n"
    if arguments.check:
        if target.read_text() != result:
            print(f"{target} is not what {arguments.text} gives", file=sys.stderr)
            return 1
    else:
        target.write_text(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
