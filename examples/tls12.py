"""TLS 1.2, and how to do without it: python examples/tls12.py

Explained in docs/tls12.md. Clients and servers are joined in memory, two by two.
"""

from in_memory import connect, establish, pair
from throwaway import Authority

import fasths
from fasths import TLSVersion

PEM = Authority().issue("localhost", "devices.example")
IDENTITY = fasths.Identity.from_pem(PEM.chain, PEM.key)
TRUST = fasths.TrustStore.from_pem(PEM.ca)


def old_client() -> fasths.Context:
    """What a client is like that has no TLS 1.3."""
    return fasths.Context(trust=TRUST, maximum_version=TLSVersion.TLSv1_2)


def both_versions() -> None:
    server = fasths.Context(identities=[IDENTITY])  # TLS 1.2 and 1.3, as by default
    for client in (fasths.Context(trust=TRUST), old_client()):
        connection, _ = connect(client, server)
        assert connection.version is not None
        assert connection.cipher_suite is not None
        print(f"{connection.version.name} with {connection.cipher_suite.name}")


def one_version() -> None:
    server = fasths.Context(identities=[IDENTITY], minimum_version=TLSVersion.TLSv1_3)
    try:
        connect(old_client(), server)
    except fasths.TLSError as error:
        print(f"without TLS 1.2: {error}")


def for_one_name() -> None:
    strict = fasths.Context(identities=[IDENTITY], minimum_version=TLSVersion.TLSv1_3)
    lenient = fasths.Context(identities=[IDENTITY])
    listening = fasths.Context(
        client_hello_callback=lambda request: (
            lenient if request.client_hello.server_name == "devices.example" else strict
        ),
    )
    connection, _ = connect(old_client(), listening, "devices.example")
    print(f"devices.example: {connection.version!r}")


def chosen_suites() -> None:
    server = fasths.Context(
        identities=[IDENTITY],
        cipher_suites=[
            "TLS_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        ],
        require_extended_master_secret=True,
    )
    connection, _ = connect(old_client(), server)
    print(f"256 bits: {connection.cipher_suite!r}, {connection.extended_master_secret}")


def resumed() -> None:
    server = fasths.Context(identities=[IDENTITY])
    client = old_client()
    first, _ = connect(client, server)
    session = first.session  # there at once: it came with the handshake
    assert session is not None
    for _ in range(2):
        again, serving = pair(client, server)
        again.set_session(session)
        establish(again, serving)
        print(f"resumed: {again.session_reused}, by the same session: {again.session == session}")


def bound() -> None:
    asking, serving = connect(old_client(), fasths.Context(identities=[IDENTITY]))
    if asking.extended_master_secret:
        assert asking.channel_binding("tls-unique") == serving.channel_binding("tls-unique")
        # RFC 5705, 4: no context is another than an empty one. In TLS 1.3 they are the same.
        without = asking.export_keying_material("EXPORTER-example", None, 32)
        assert without != asking.export_keying_material("EXPORTER-example", b"", 32)
        print("bound to this connection")


def not_there() -> None:
    asking, serving = connect(old_client(), fasths.Context(identities=[IDENTITY]))
    for call in (asking.key_update, serving.verify_client_post_handshake):
        try:
            call()
        except RuntimeError as error:
            print(f"not in TLS 1.2: {error}")


def main() -> None:
    both_versions()
    one_version()
    for_one_name()
    chosen_suites()
    resumed()
    bound()
    not_there()


if __name__ == "__main__":
    main()
