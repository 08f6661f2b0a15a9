"""Flags that the client and the server share, and how they become a Context.

Names of suites, groups and signature schemes are the IANA ones in any case. What is wrong with
a flag, or with a file that a flag names, ends the program with exit code 2 and one sentence.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import fasths

DEFAULT_PORT = 443
DEFAULT_SERVER_PORT = 4433
KEYLOG_VARIABLE = "SSLKEYLOGFILE"

# By what argparse calls them, flags of what TLS 1.3 has alone: the flag, and what it is about.
TLS13_FLAGS = {
    "early_data": ("--early-data", "early data (0-RTT)"),
    "psk": ("--psk", "pre-shared keys here"),
    "key_share_groups": ("--key-share-groups", "key shares in its first message"),
    "post_handshake_auth": ("--post-handshake-auth", "authentication after the handshake"),
    "certificate_compression": ("--certificate-compression", "compressed certificates"),
    "padding": ("--padding", "padding of records"),
}

Member = TypeVar("Member", bound=IntEnum)


# What a single value looks like


def name_list(kind: type[Member], what: str) -> Callable[[str], tuple[Member, ...]]:
    """A parser of comma-separated member names of `kind`, in any case."""
    by_name = {member.name.lower(): member for member in kind}

    def parse(text: str) -> tuple[Member, ...]:
        found: list[Member] = []
        for name in (part.strip() for part in text.split(",")):
            member = by_name.get(name.lower())
            if member is None:
                valid = ", ".join(each.name for each in kind)
                raise argparse.ArgumentTypeError(
                    f"unknown {what} {name!r}; the valid ones are: {valid}"
                )
            if member not in found:
                found.append(member)
        return tuple(found)

    return parse


def tls_version(text: str) -> fasths.TLSVersion:
    """`TLSv1.3`, `tls1.3` or `1.3`."""
    wanted = text.strip().lower().removeprefix("tls").removeprefix("v").replace("_", ".")
    for version in fasths.TLSVersion:
        if version_name(version) == f"TLSv{wanted}":
            return version
    valid = ", ".join(version_name(version) for version in fasths.TLSVersion)
    raise argparse.ArgumentTypeError(f"unknown version {text!r}; the valid ones are: {valid}")


def version_name(version: fasths.TLSVersion) -> str:
    return version.name.replace("_", ".")


def protocol_list(text: str) -> tuple[str, ...]:
    protocols = tuple(part.strip() for part in text.split(","))
    if not all(protocols):
        raise argparse.ArgumentTypeError("a protocol name is empty")
    return protocols


def port_number(text: str) -> int:
    """0 to 65535."""
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0 to 65535)")
    return int(text)


def target(text: str) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; an IPv6 address alone may go without []."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise argparse.ArgumentTypeError(f"{text!r} is not [IPV6] or [IPV6]:PORT")
        port = rest[1:] if rest else str(DEFAULT_PORT)
    elif text.count(":") > 1:
        host, port = text, str(DEFAULT_PORT)
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else str(DEFAULT_PORT)
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} names no host")
    number = port_number(port)
    if number == 0:
        raise argparse.ArgumentTypeError("nothing can be reached on port 0")
    return host, number


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds (above 0)")
    return value


def whole(text: str) -> int:
    """0 or more; what is too much for a setting, the Context says."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


# The flags


def add_protocol_flags(parser: argparse.ArgumentParser, *, client: bool) -> None:
    group = parser.add_argument_group(
        "what is negotiated",
        "Lists are comma-separated and in order of preference. Names are the IANA ones;\n"
        "a wrong one gets the list of the valid ones.",
    )
    group.add_argument(
        "--min-version",
        type=tls_version,
        metavar="V",
        help="oldest version to use, 1.2 or 1.3 (default: 1.2)",
    )
    group.add_argument(
        "--max-version",
        type=tls_version,
        metavar="V",
        help="newest version to use, 1.2 or 1.3 (default: 1.3)",
    )
    group.add_argument(
        "--cipher-suites",
        "--ciphers",
        type=name_list(fasths.CipherSuite, "cipher suite"),
        metavar="LIST",
        help="of all versions in one list, for example "
        "TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; a version that none of "
        "them is for is turned off",
    )
    group.add_argument(
        "--groups",
        type=name_list(fasths.NamedGroup, "group"),
        metavar="LIST",
        help="key exchange groups, for example x25519,secp256r1",
    )
    if client:
        group.add_argument(
            "--key-share-groups",
            type=name_list(fasths.NamedGroup, "group"),
            metavar="LIST",
            help="groups to send a key share for at once; a server that wants another one "
            "has to ask for it (HelloRetryRequest); TLS 1.3",
        )
    group.add_argument(
        "--signature-schemes",
        type=name_list(fasths.SignatureScheme, "signature scheme"),
        metavar="LIST",
        help="for example ed25519,ecdsa_secp256r1_sha256; rsa_pkcs1_* sign in TLS 1.2 only",
    )
    group.add_argument(
        "--require-extended-master-secret",
        action="store_true",
        help="refuse a peer that has TLS 1.2 without extended_master_secret (RFC 7627)",
    )
    group.add_argument(
        "--alpn",
        type=protocol_list,
        default=(),
        metavar="LIST",
        help="application protocols, for example h2,http/1.1",
    )
    group.add_argument(
        "--certificate-compression",
        type=name_list(fasths.CertificateCompressionAlgorithm, "algorithm"),
        default=(),
        metavar="LIST",
        help="how certificates may be compressed: zlib, and brotli and zstd if they are "
        "installed; TLS 1.3",
    )
    group.add_argument(
        "--record-size-limit",
        type=whole,
        metavar="BYTES",
        help="the most that the peer may put into a record, 64 to 16385 (RFC 8449)",
    )
    group.add_argument(
        "--padding",
        type=whole,
        default=0,
        metavar="BYTES",
        help="pad each record to a multiple of so many bytes; TLS 1.3 (default: no padding)",
    )


def add_identity_flags(parser: argparse.ArgumentParser, *, client: bool) -> None:
    group = parser.add_argument_group("own certificate")
    group.add_argument(
        "--cert",
        action="append",
        default=[],
        metavar="FILE",
        help="certificate chain, PEM, own certificate first"
        + ("; sent if the server asks for one" if client else "")
        + ". Repeat --cert and --key for several identities"
        + ("" if client else "; the name that a client asks for decides"),
    )
    group.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="FILE",
        help="private key of the --cert at the same place, PEM; without any --key, the key is "
        "looked for in the --cert file",
    )
    password = group.add_mutually_exclusive_group()
    password.add_argument(
        "--password-file", metavar="FILE", help="the first line is the password of the keys"
    )
    password.add_argument(
        "--password-env", metavar="NAME", help="environment variable with the password of the keys"
    )
    if client:
        group.add_argument(
            "--post-handshake-auth",
            action="store_true",
            help="let the server ask for the certificate after the handshake as well; TLS 1.3",
        )
    else:
        group.add_argument(
            "--status-file",
            action="append",
            default=[],
            metavar="FILE",
            help="OCSP response, DER, to be stapled to the --cert at the same place",
        )


def add_trust_flags(parser: argparse.ArgumentParser, *, client: bool) -> None:
    group = parser.add_argument_group("verification of the peer")
    store = group.add_mutually_exclusive_group()
    store.add_argument(
        "--ca-file", metavar="FILE", help="trust the certificates in this PEM file and no others"
    )
    store.add_argument(
        "--ca-directory", metavar="DIR", help="trust the certificates in this directory's PEM files"
    )
    store.add_argument(
        "--certifi",
        action="store_true",
        help="trust what the certifi package lists, instead of the system's roots",
    )
    if client:
        group.add_argument(
            "--server-name",
            metavar="NAME",
            help="name to ask for and to find in the certificate (default: HOST)",
        )
        group.add_argument(
            "--no-server-name",
            action="store_true",
            help="send no server name; there is no name to check then, so this needs "
            "--no-check-hostname or --insecure",
        )
        group.add_argument(
            "--no-check-hostname",
            action="store_true",
            help="verify the chain, but not the name in the certificate",
        )
        group.add_argument(
            "--insecure", action="store_true", help="accept any certificate: for debugging only"
        )
        group.add_argument(
            "--staple-policy",
            choices=tuple(policy.name.lower() for policy in fasths.StaplePolicy),
            default="check",
            help="what to do about stapled OCSP responses: ask for none; check what comes; insist "
            "on a good one (default: check)",
        )
    else:
        group.add_argument(
            "--verify",
            choices=("none", "optional", "required"),
            default="none",
            help="whether to ask for a client certificate, and to insist on one (default: none)",
        )
        group.add_argument(
            "--client-ca-names",
            action="store_true",
            help="tell clients the names of the authorities that their certificates may be from",
        )


def add_output_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("what is shown")
    group.add_argument("--quiet", "-q", action="store_true", help="say nothing but errors")
    group.add_argument(
        "--trace", action="store_true", help="show every handshake message and alert"
    )
    group.add_argument(
        "--trace-bytes", action="store_true", help="like --trace, with the bytes of each message"
    )
    group.add_argument(
        "--keylog",
        metavar="FILE",
        help="append the secrets of each connection to FILE, for Wireshark and the like (default: "
        f"the environment's {KEYLOG_VARIABLE}). Who has this file can read the traffic",
    )
    return group


# From flags to a Context


def build_context(arguments: argparse.Namespace, *, client: bool, **others: Any) -> fasths.Context:
    """The Context that the flags, and others, describe; what is wrong with it is a usage error."""
    if not may_use_tls13(arguments):
        check_for_tls12(arguments)
    defaults = {
        "minimum_version": arguments.min_version,
        "maximum_version": arguments.max_version,
        "cipher_suites": arguments.cipher_suites,
        "groups": arguments.groups,
        "signature_schemes": arguments.signature_schemes,
    }
    settings = {name: value for name, value in defaults.items() if value is not None}
    try:
        trust = load_trust(arguments)
        if client:
            settings |= client_settings(arguments)
        else:
            settings |= server_settings(arguments, trust)
        return fasths.Context(
            identities=load_identities(arguments, () if client else arguments.status_file),
            trust=trust,
            alpn=arguments.alpn,
            certificate_compression=arguments.certificate_compression,
            record_size_limit=arguments.record_size_limit,
            record_padding=arguments.padding,
            require_extended_master_secret=arguments.require_extended_master_secret,
            keylog=arguments.keylog or os.environ.get(KEYLOG_VARIABLE) or None,
            **settings,
            **others,
        )
    except OSError as error:
        usage_error(arguments, describe_os_error(error))
    except (TypeError, ValueError) as error:
        usage_error(arguments, str(error))


def may_use_tls13(arguments: argparse.Namespace) -> bool:
    if arguments.max_version not in (None, fasths.TLSVersion.TLSv1_3):
        return False
    # RFC 8446, B.4: the names of its suites say nothing of a key exchange, and so have no WITH.
    suites: Sequence[fasths.CipherSuite] | None = arguments.cipher_suites
    return suites is None or any("_WITH_" not in suite.name for suite in suites)


def check_for_tls12(arguments: argparse.Namespace) -> None:
    """A flag that could do nothing is a usage error."""
    for name, (flag, what) in TLS13_FLAGS.items():
        if getattr(arguments, name, None):
            usage_error(
                arguments, f"{flag} needs TLS 1.3, which is turned off: TLS 1.2 has no {what}"
            )


def client_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "check_hostname": not (arguments.no_check_hostname or arguments.insecure),
        "verify": fasths.Verify.NONE if arguments.insecure else fasths.Verify.REQUIRED,
        "post_handshake_auth": arguments.post_handshake_auth,
        "staple_policy": fasths.StaplePolicy[arguments.staple_policy.upper()],
    }
    if arguments.key_share_groups is not None:
        settings["key_share_groups"] = arguments.key_share_groups
    return settings


def server_settings(
    arguments: argparse.Namespace, trust: fasths.TrustStore | None
) -> dict[str, Any]:
    verify = fasths.Verify[arguments.verify.upper()]
    settings: dict[str, Any] = {"verify": verify}
    if not (arguments.cert or arguments.psk):
        usage_error(arguments, "a server needs --cert, or --psk")
    if arguments.client_ca_names:
        if verify is fasths.Verify.NONE:
            usage_error(arguments, "--client-ca-names needs --verify optional or required")
        trust = fasths.TrustStore.system() if trust is None else trust
        settings["certificate_authorities"] = trust.subjects()
    return settings


def load_identities(
    arguments: argparse.Namespace, status_files: Sequence[str]
) -> list[fasths.Identity]:
    chains: list[str] = arguments.cert
    keys: list[str] = arguments.key or chains
    if len(chains) != len(keys):
        usage_error(
            arguments,
            f"each --cert needs its --key: there are {len(chains)} of one and "
            f"{len(keys)} of the other",
        )
    if len(status_files) > len(chains):
        usage_error(arguments, "there are more --status-file than --cert")
    password = load_password(arguments)
    identities = []
    for chain, key, status_file in zip_longest(chains, keys, status_files):
        try:
            identities.append(
                fasths.Identity.from_files(
                    chain,
                    key,
                    password=password,
                    ocsp_response=Path(status_file).read_bytes() if status_file else None,
                )
            )
        except (TypeError, ValueError) as error:
            files = chain if chain == key else f"{chain} and {key}"
            usage_error(arguments, f"{files}: {error}")
    return identities


def load_password(arguments: argparse.Namespace) -> bytes | None:
    if arguments.password_env is not None:
        value = os.environ.get(arguments.password_env)
        if value is None:
            usage_error(arguments, f"the environment has no {arguments.password_env}")
        return os.fsencode(value)
    if arguments.password_file is not None:
        with open(arguments.password_file, "rb") as file:
            return file.readline().rstrip(b"\r\n")
    return None


def load_trust(arguments: argparse.Namespace) -> fasths.TrustStore | None:
    """None leaves it to the Context, which loads the system's roots when it first needs them."""
    try:
        if arguments.ca_file is not None:
            return fasths.TrustStore.from_file(arguments.ca_file)
        if arguments.ca_directory is not None:
            return fasths.TrustStore.from_directory(arguments.ca_directory)
        if arguments.certifi:
            return fasths.TrustStore.certifi()
    except ImportError as error:
        usage_error(arguments, str(error))
    except ValueError as error:
        usage_error(arguments, f"{arguments.ca_file or arguments.ca_directory}: {error}")
    return None


def describe_os_error(error: OSError) -> str:
    """`FILE: No such file or directory`, without the number."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def usage_error(arguments: argparse.Namespace, reason: str) -> NoReturn:
    """End with exit code 2, the command's usage and `reason`."""
    parser: argparse.ArgumentParser = arguments.parser
    parser.error(reason)
