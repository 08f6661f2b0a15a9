"""A PostgreSQL server with TLS, for as long as the tests run."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from interop.processes import Process, find_tool, free_port

from .contexts import ADDRESS, HOST, Certificates

USER = "someone"
PASSWORD = "a password"
# Each has its way to say who one is.
PASSWORD_DATABASE = "postgres"
CERTIFICATE_DATABASE = "template1"

_CONFIGURATION = """
listen_addresses = '{ADDRESS}'
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
ssl_ca_file = 'authority.pem'
ssl_min_protocol_version = 'TLSv1.2'
fsync = off
shared_buffers = 16MB
max_connections = 20
"""
_CLIENT_AUTHENTICATION = f"""
hostssl {PASSWORD_DATABASE} {USER} {ADDRESS}/32 scram-sha-256
hostssl {CERTIFICATE_DATABASE} {USER} {ADDRESS}/32 cert map=certificates
"""
_CERTIFICATE_NAMES = f'certificates "the client" {USER}\n'


@dataclass(frozen=True)
class PostgreSQL:
    """Its certificate is for localhost, and not for 127.0.0.1."""

    port: int
    process: Process


def _program(name: str) -> str:
    """Debian keeps it where no PATH leads, in a directory per version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(versions[-1]) if versions else find_tool(name)
    if path is None:
        if "CI" in os.environ:
            pytest.fail(f"{name} of PostgreSQL is not installed")
        pytest.skip(f"{name} of PostgreSQL is not installed")
    return path


def _owner() -> pwd.struct_passwd | None:
    """Who runs it, where root would: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@contextlib.contextmanager
def postgresql_server(certificates: Certificates) -> Iterator[PostgreSQL]:
    initdb, postgres = _program("initdb"), _program("postgres")
    owner = _owner()
    prefix: list[str] = []
    if owner is not None:
        ids = (f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
        prefix = ["setpriv", *ids, "--"]
    identity = certificates.identity("postgresql", (HOST,))
    # Not in a directory of pytest's, which are root's alone.
    with tempfile.TemporaryDirectory(prefix="fasths-postgresql-") as name:
        directory, data = Path(name), Path(name, "data")
        (directory / "password").write_text(PASSWORD)
        if owner is not None:
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                *(*prefix, initdb, "--pgdata", data, "--username", USER, "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={directory / 'password'}"),
                *("--encoding=UTF8", "--no-locale", "--no-instructions"),
            ],
            cwd=directory,
            check=True,
            capture_output=True,
            timeout=60,
        )
        for source, target in (
            (identity.chain, "server.pem"),
            (identity.key, "server.key"),
            (certificates.authority, "authority.pem"),
        ):
            copied = Path(shutil.copy(source, data / target))
            copied.chmod(0o600)
            if owner is not None:
                os.chown(copied, owner.pw_uid, owner.pw_gid)
        with open(data / "postgresql.conf", "a") as file:
            file.write(_CONFIGURATION.format(ADDRESS=ADDRESS))
        (data / "pg_hba.conf").write_text(_CLIENT_AUTHENTICATION)
        (data / "pg_ident.conf").write_text(_CERTIFICATE_NAMES)
        port = free_port()
        with Process(*prefix, postgres, "-D", data, "-p", str(port)) as process:
            process.log.wait_for("database system is ready to accept connections", 30)
            yield PostgreSQL(port, process)
