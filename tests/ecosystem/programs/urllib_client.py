"""Gets a URL with http.client and with urllib.request: URL, CERTIFICATES."""

import http.client
import os
import ssl
import sys
import urllib.parse
import urllib.request


def main(url, authority):
    parts = urllib.parse.urlsplit(url)
    # The context that urlopen() makes itself finds its certificates where the environment says.
    os.environ["SSL_CERT_FILE"] = authority
    with urllib.request.urlopen(url, timeout=10) as response:
        body = response.read()
    context = ssl.create_default_context(cafile=authority)
    is_verified = context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=10, context=context
    )
    connection.request("GET", parts.path)
    assert connection.getresponse().read() == body
    assert isinstance(connection.sock, ssl.SSLSocket)
    print(type(connection.sock._sslobj).__module__, is_verified, len(body))
    connection.close()


main(*sys.argv[1:])
