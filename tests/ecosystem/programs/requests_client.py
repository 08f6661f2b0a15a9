"""Gets a URL with requests, and says what the connection was: URL, CERTIFICATES."""

import sys

import requests


def main(url, authority):
    with requests.Session() as session:
        session.trust_env = False
        body = session.get(url, verify=authority, timeout=10).content
        manager = session.get_adapter(url).poolmanager
        (pool,) = (manager.pools[key] for key in manager.pools.keys())  # noqa: SIM118
        connection = next(each for each in list(pool.pool.queue) if each is not None)
        inside = type(connection.sock._sslobj)
    print(inside.__module__, connection.is_verified, len(body))


main(*sys.argv[1:])
