"""A server and a client, switched to fasths by one line: python examples/ssl_switch.py

Only the import is not what it was. Explained in docs/ssl.md.
"""

import http.server
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from throwaway import make_certificates

from fasths import ssl  # in place of: import ssl


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        assert isinstance(self.connection, ssl.SSLSocket)
        self.wfile.write(f"hello over {self.connection.version()}".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def start_server(chain: Path, key: Path) -> http.server.HTTPServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    certificates = make_certificates()
    with tempfile.TemporaryDirectory() as directory:
        ca, chain, key = (Path(directory, name) for name in ("ca.pem", "chain.pem", "key.pem"))
        ca.write_bytes(certificates.ca)
        chain.write_bytes(certificates.chain)
        key.write_bytes(certificates.key)
        server = start_server(chain, key)
        context = ssl.create_default_context(cafile=ca)
    url = f"https://localhost:{server.server_port}/"
    with urllib.request.urlopen(url, context=context, timeout=10) as response:
        print(response.read().decode())

    try:
        urllib.request.urlopen(url, context=ssl.create_default_context(), timeout=10)
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
        print(f"{error.reason.reason}: {error.reason.verify_message}")
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
