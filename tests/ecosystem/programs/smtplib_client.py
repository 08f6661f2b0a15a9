"""Greets a mail server, with STARTTLS: HOST:PORT, CERTIFICATES."""

import smtplib
import ssl
import sys


def main(address, authority):
    host, port = address.split(":")
    context = ssl.create_default_context(cafile=authority)
    with smtplib.SMTP(host, int(port), timeout=10, local_hostname="localhost") as client:
        client.starttls(context=context)
        inside = type(client.sock._sslobj).__module__
        code, _ = client.ehlo()
    print(inside, context.check_hostname, code)


main(*sys.argv[1:])
