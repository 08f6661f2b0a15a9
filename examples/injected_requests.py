"""requests over fasths, and nothing of it knows: python examples/injected_requests.py

The server takes X25519MLKEM768 alone, which OpenSSL has since 3.5. Explained in docs/ssl.md.
"""

import http.server
import tempfile
import threading
from pathlib import Path

import requests
from throwaway import make_certificates

import fasths.ssl


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.connection, fasths.ssl.SSLSocket)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello over {self.connection.group()}".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def start_server(chain: Path, key: Path) -> http.server.HTTPServer:
    context = fasths.ssl.SSLContext(fasths.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.set_groups("X25519MLKEM768")
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
        url = f"https://localhost:{server.server_port}/"

        fasths.ssl.inject()  # requests is imported already, and changed as well
        print(requests.get(url, verify=str(ca), timeout=10).text)
        try:
            requests.get(url, timeout=10)
        except requests.exceptions.SSLError as error:
            print("refused:", "CERTIFICATE_VERIFY_FAILED" in str(error))
        fasths.ssl.extract()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
