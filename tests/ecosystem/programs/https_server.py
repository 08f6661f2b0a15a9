"""An HTTPS server that answers one request with what its connection is: CHAIN, KEY.

Its port is the first line of what it prints.
"""

import http.server
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        body = type(self.connection._sslobj).__module__.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


def main(chain, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.timeout = 10
        server.handle_request()


main(*sys.argv[1:])
