"""What fasths.ssl has beyond older ssl modules: python examples/ssl_additions.py

Groups, cipher suites of TLS 1.3, signature algorithms, pre-shared keys, and errors that say more.
Explained in docs/ssl.md.
"""

import tempfile
from pathlib import Path

from throwaway import Certificates, make_certificates

from fasths import ssl


def connect(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A client and a server in memory, once their handshake is done."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [asking, serving]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return asking, serving


def make_contexts(certificates: Certificates) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client = ssl.create_default_context(cadata=certificates.ca.decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "server.pem")
        path.write_bytes(certificates.chain + certificates.key)
        server.load_cert_chain(path)
    return client, server


def choices(certificates: Certificates) -> None:
    client, server = make_contexts(certificates)
    server.set_groups("X25519MLKEM768:x25519")
    server.set_ciphersuites("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256")
    client.set_server_sigalgs("ecdsa_secp256r1_sha256:ed25519")
    asking, _ = connect(client, server)
    print(f"{asking.group()}, {asking.cipher()}, {asking.server_sigalg()}")


def pre_shared_key() -> None:
    keys = {"sensor 7": bytes(range(32))}
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_psk_client_callback(lambda hint: ("sensor 7", keys["sensor 7"]))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_psk_server_callback(lambda identity: keys.get(identity or "", b""))
    asking, _ = connect(client, server)
    print(f"without certificates: {asking.version()}, {asking.getpeercert()}")


def told(certificates: Certificates) -> None:
    _, server = make_contexts(certificates)
    try:
        connect(ssl.create_default_context(), server)
    except ssl.SSLCertVerificationError as error:
        print(error.library, error.reason, error.verify_code, error.verify_message)
        print(f"because of {error.__cause__!r}")


def main() -> None:
    certificates = make_certificates()
    choices(certificates)
    pre_shared_key()
    told(certificates)


if __name__ == "__main__":
    main()
