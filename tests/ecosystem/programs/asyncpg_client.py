"""Asks a database with sslmode=verify-full: DSN, CERTIFICATES."""

import asyncio
import sys

import asyncpg

QUESTION = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def main(dsn, authority):
    connection = await asyncpg.connect(
        f"{dsn}?sslmode=verify-full&sslrootcert={authority}", timeout=10
    )
    try:
        inside = type(connection._transport.get_extra_info("ssl_object")._sslobj).__module__
        print(inside, *await connection.fetchrow(QUESTION))
    finally:
        await connection.close()


asyncio.run(main(*sys.argv[1:]))
