"""asyncpg and pg8000 over fasths.ssl, against a PostgreSQL server with OpenSSL.

psycopg is none of them: it is libpq, which has OpenSSL of its own and takes no context.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from interop.processes import TIMEOUT

from .contexts import ADDRESS, HOST, MODULES, Certificates, Sides, library
from .http_servers import LARGE
from .injected_programs import HOW, output_of
from .postgresql import (
    CERTIFICATE_DATABASE,
    PASSWORD,
    PASSWORD_DATABASE,
    USER,
    PostgreSQL,
    postgresql_server,
)

asyncpg = library("asyncpg")
pg8000 = library("pg8000")
uvloop = library("uvloop")

# What the server knows of the connection that asks.
HOW_ENCRYPTED = "SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
CLIENT_NAME = "/CN=the client"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HOST_MISMATCH = f"IP address mismatch, certificate is not valid for '{ADDRESS}'"
UNKNOWN_AUTHORITY = "unable to get local issuer certificate"


@pytest.fixture(scope="module")
def database(certificates: Certificates) -> Iterator[PostgreSQL]:
    with postgresql_server(certificates) as running:
        yield running


@pytest.fixture
def client(version: ssl.TLSVersion, certificates: Certificates) -> Sides:
    """fasths is the client; the server is what it is."""
    return Sides(*MODULES["client"], version, certificates)


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on a new loop."""

    def run_on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(main, 3 * TIMEOUT))

    return run_on_loop


def asyncpg_settings(server: PostgreSQL, **others: Any) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": server.port,
        "user": USER,
        "password": PASSWORD,
        "database": PASSWORD_DATABASE,
        "timeout": TIMEOUT,
        "command_timeout": TIMEOUT,
        **others,
    }


def test_asyncpg(database: PostgreSQL, client: Sides, run: Any) -> None:
    async def main() -> None:
        settings = asyncpg_settings(database, ssl=client.client_context())
        connection = await asyncpg.connect(**settings)
        try:
            client.check_client(connection._transport.get_extra_info("ssl_object"))
            row = await connection.fetchrow(HOW_ENCRYPTED)
            assert tuple(row) == (True, client.version_name, None)
            assert await connection.fetchval("SELECT $1::bytea", LARGE) == LARGE
            await connection.execute("CREATE TEMPORARY TABLE numbers (n integer)")
            numbers = [(number,) for number in range(20_000)]
            await connection.copy_records_to_table("numbers", records=numbers)
            assert await connection.fetchval("SELECT sum(n) FROM numbers") == sum(range(20_000))
        finally:
            await connection.close()

    run(main())


def test_asyncpg_pool(database: PostgreSQL, client: Sides, run: Any) -> None:
    async def main() -> None:
        settings = asyncpg_settings(database, ssl=client.client_context())
        async with asyncpg.create_pool(min_size=5, max_size=5, **settings) as pool:

            async def ask(number: int) -> int:
                async with pool.acquire() as connection:
                    return await connection.fetchval("SELECT $1::integer * 2", number)

            assert await asyncio.gather(*map(ask, range(50))) == [2 * n for n in range(50)]

    run(main())


def test_asyncpg_cancels_over_a_connection_of_its_own(
    database: PostgreSQL, client: Sides, run: Any
) -> None:
    async def main() -> None:
        settings = asyncpg_settings(database, ssl=client.client_context())
        connection = await asyncpg.connect(**settings)
        try:
            with pytest.raises(asyncio.TimeoutError):
                await connection.execute("SELECT pg_sleep(60)", timeout=0.1)
            # It comes only once the server has let go of the other one.
            assert await connection.fetchval("SELECT 1") == 1
        finally:
            await connection.close()

    run(main())


def test_asyncpg_shows_a_certificate(
    database: PostgreSQL, client: Sides, certificates: Certificates, run: Any
) -> None:
    async def main() -> None:
        context = client.client_context(identity=certificates.client)
        settings = asyncpg_settings(database, database=CERTIFICATE_DATABASE, ssl=context)
        connection = await asyncpg.connect(**{**settings, "password": None})
        try:
            assert (await connection.fetchrow(HOW_ENCRYPTED))["client_dn"] == CLIENT_NAME
        finally:
            await connection.close()

    run(main())


def without_belief(client: Sides, what: str) -> tuple[str, Any, str]:
    """The host, the context and the message for a server that is not to be believed."""
    if what == "host":
        return ADDRESS, client.client_context(), HOST_MISMATCH
    authority = client.certificates.other_authority
    return HOST, client.client_context(authority=authority), UNKNOWN_AUTHORITY


@pytest.mark.parametrize("what", ["host", "authority"])
def test_asyncpg_says_why_it_does_not_believe(
    database: PostgreSQL, client: Sides, run: Any, what: str
) -> None:
    async def main() -> None:
        host, context, message = without_belief(client, what)
        settings = asyncpg_settings(database, host=host, ssl=context)
        with pytest.raises(ssl.SSLCertVerificationError, match=message):
            await asyncpg.connect(**settings)

    run(main())


def pg8000_connection(server: PostgreSQL, context: Any, host: str = HOST, **others: Any) -> Any:
    settings: dict[str, Any] = {"password": PASSWORD, "database": PASSWORD_DATABASE, **others}
    return pg8000.connect(
        USER, host=host, port=server.port, ssl_context=context, timeout=TIMEOUT, **settings
    )


def test_pg8000(database: PostgreSQL, client: Sides) -> None:
    """It logs in with SCRAM bound to the server's certificate (RFC 5929, 4)."""
    with pg8000_connection(database, client.client_context()) as connection:
        client.check_client(connection._usock)
        assert connection.auth.mechanism_name == "SCRAM-SHA-256-PLUS"
        cursor = connection.cursor()
        cursor.execute(HOW_ENCRYPTED)
        assert tuple(cursor.fetchone()) == (True, client.version_name, None)
        cursor.execute("SELECT %s::bytea", (LARGE,))
        assert cursor.fetchone() == [LARGE]


def test_pg8000_shows_a_certificate(
    database: PostgreSQL, client: Sides, certificates: Certificates
) -> None:
    context = client.client_context(identity=certificates.client)
    others = {"password": None, "database": CERTIFICATE_DATABASE}
    with pg8000_connection(database, context, **others) as connection:
        cursor = connection.cursor()
        cursor.execute(HOW_ENCRYPTED)
        assert tuple(cursor.fetchone()) == (True, client.version_name, CLIENT_NAME)


def test_pg8000_hears_that_it_needs_a_certificate(database: PostgreSQL, client: Sides) -> None:
    """The server asks for one, and goes on without, up to its own answer."""
    with pytest.raises(pg8000.InterfaceError, match="requires a valid client certificate"):
        pg8000_connection(database, client.client_context(), database=CERTIFICATE_DATABASE)


@pytest.mark.parametrize("what", ["host", "authority"])
def test_pg8000_says_why_it_does_not_believe(
    database: PostgreSQL, client: Sides, what: str
) -> None:
    host, context, message = without_belief(client, what)
    with pytest.raises((ssl.SSLError, pg8000.InterfaceError)) as caught:
        pg8000_connection(database, context, host)
    reasons = [caught.value, caught.value.__cause__, caught.value.__context__]
    (reason,) = [each for each in reasons if isinstance(each, ssl.SSLCertVerificationError)]
    assert message in str(reason)


@pytest.mark.parametrize("how", HOW)
def test_asyncpg_in_a_program_that_does_not_know(
    how: str, database: PostgreSQL, certificates: Certificates
) -> None:
    """It makes its own context, out of sslmode=verify-full."""
    dsn = f"postgresql://{USER}:{quote(PASSWORD)}@{HOST}:{database.port}/{PASSWORD_DATABASE}"
    printed = output_of(how, "asyncpg", "asyncpg_client.py", dsn, certificates.authority)
    assert printed == [HOW[how], "True", "TLSv1.3"]


@pytest.mark.parametrize("how", HOW)
def test_pg8000_in_a_program_that_does_not_know(
    how: str, database: PostgreSQL, certificates: Certificates
) -> None:
    printed = output_of(
        how,
        "pg8000.native",
        "pg8000_client.py",
        f"{HOST}:{database.port}",
        certificates.authority,
        USER,
        PASSWORD,
        PASSWORD_DATABASE,
    )
    assert printed == [HOW[how], "True", "TLSv1.3"]
