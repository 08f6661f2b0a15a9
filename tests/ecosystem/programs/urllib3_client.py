"""Gets a URL with urllib3, and says what the connection was: URL, CERTIFICATES."""

import sys

import urllib3


def main(url, authority):
    with urllib3.PoolManager(ca_certs=authority, timeout=10, retries=False) as manager:
        body = manager.request("GET", url).data
        (pool,) = (manager.pools[key] for key in manager.pools.keys())  # noqa: SIM118
        connection = next(each for each in list(pool.pool.queue) if each is not None)
        print(type(connection.sock._sslobj).__module__, connection.is_verified, len(body))


main(*sys.argv[1:])
