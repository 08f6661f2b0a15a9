"""Asks a database: HOST:PORT, CERTIFICATES, USER, PASSWORD, DATABASE."""

import ssl
import sys

import pg8000.native

QUESTION = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def main(address, authority, user, password, database):
    host, port = address.split(":")
    context = ssl.create_default_context(cafile=authority)
    with pg8000.native.Connection(
        user,
        host=host,
        port=int(port),
        password=password,
        database=database,
        timeout=10,
        ssl_context=context,
    ) as connection:
        print(type(connection._usock._sslobj).__module__, *connection.run(QUESTION)[0])


main(*sys.argv[1:])
