"""Names, client certificates, staples, raw public keys: python examples/authentication.py

Explained in docs/authentication.md. Clients and servers are joined in memory, two by two.
"""

import hashlib

from in_memory import connect, establish, pair
from throwaway import Authority, Certificates

import fasths

CA = Authority()
TRUST = fasths.TrustStore.from_pem(CA.pem)


def identity_of(pem: Certificates) -> fasths.Identity:
    return fasths.Identity.from_pem(pem.chain, pem.key)


SERVER = identity_of(CA.issue("localhost"))
SOMEBODY = identity_of(CA.issue("somebody.example"))


def by_name() -> None:
    blogs, shop = CA.issue("*.blogs.example"), CA.issue("shop.example")
    server = fasths.Context(identities=[identity_of(blogs), identity_of(shop)])
    client = fasths.Context(trust=TRUST)
    for name in ("shop.example", "anna.blogs.example"):
        connection, _ = connect(client, server, name)
        leaf = hashlib.sha256(connection.peer_certificates[0]).hexdigest()
        print(f"{name}: certificate {leaf[:8]}")


def client_certificates() -> None:
    people = fasths.TrustStore.from_pem(CA.pem)
    server = fasths.Context(
        identities=[SERVER],
        trust=people,
        verify=fasths.Verify.REQUIRED,
        certificate_authorities=people.subjects(),
    )
    client = fasths.Context(trust=TRUST, identities=[SOMEBODY])
    _, serving = connect(client, server)
    assert serving.verified_chain is not None
    print(f"the client's chain: {len(serving.verified_chain)} certificates")


def after_the_handshake() -> None:
    server = fasths.Context(
        identities=[SERVER], trust=TRUST, verify=fasths.Verify.OPTIONAL, post_handshake_auth=True
    )
    client = fasths.Context(trust=TRUST, identities=[SOMEBODY], post_handshake_auth=True)
    asking, serving = connect(client, server)
    asking.write(b"GET /private")
    print(f"{serving.read()!r} by {len(serving.peer_certificates)} certificates")
    serving.verify_client_post_handshake()
    asking.read()  # the client answers where it reads
    serving.read()  # and the server takes the answer where it reads
    print(f"it is by {len(serving.peer_certificates)} certificate after all")


def stapled() -> None:
    pem = CA.issue("localhost")
    identity = fasths.Identity.from_pem(
        pem.chain, pem.key, ocsp_response=CA.ocsp_response(pem.chain)
    )
    server = fasths.Context(identities=[identity])
    client = fasths.Context(trust=TRUST, staple_policy=fasths.StaplePolicy.REQUIRE)
    connection, _ = connect(client, server)
    assert connection.ocsp_response is not None
    print(f"stapled: {len(connection.ocsp_response) > 0}")
    try:
        connect(client, fasths.Context(identities=[SERVER]))
    except fasths.CertificateError as error:
        print(f"without: {error}")


class Site:
    """A certificate whose staple is renewed while connections come in."""

    def __init__(self, pem: Certificates) -> None:
        self.pem = pem
        self.ticket_keys = fasths.TicketKeys()  # one ring, so that renewals end no session
        self.renew()
        self.listening = fasths.Context(client_hello_callback=lambda request: self.current)

    def renew(self) -> None:
        """Call this once a day, or an hour before the response's nextUpdate."""
        response = CA.ocsp_response(self.pem.chain)  # ask the responder here
        identity = fasths.Identity.from_pem(self.pem.chain, self.pem.key, ocsp_response=response)
        self.current = fasths.Context(identities=[identity], ticket_keys=self.ticket_keys)


def renewed_staple() -> None:
    site = Site(CA.issue("localhost"))
    client = fasths.Context(trust=TRUST, session_cache=fasths.MemorySessionCache())
    connect(client, site.listening)
    site.renew()
    connection, _ = connect(client, site.listening)
    print(f"after a renewal, resumed: {connection.session_reused}")


def raw_public_keys() -> None:
    identity = fasths.Identity.from_raw_public_key(CA.issue("localhost").key)
    server = fasths.Context(identities=[identity])
    (known,) = identity.certificates  # its SubjectPublicKeyInfo: give it to the clients
    client = fasths.Context(trusted_public_keys=[known])
    connection, _ = connect(client, server)
    print(f"a raw public key: {connection.peer_raw_public_key == known}")


def compressed() -> None:
    server = fasths.Context(identities=[SERVER], certificate_compression=["zlib"])
    client = fasths.Context(trust=TRUST, certificate_compression=["zlib"])
    asking, serving = pair(client, server)
    establish(asking, serving)
    print(f"compressed: {len(asking.peer_certificates)} certificate")


def main() -> None:
    by_name()
    client_certificates()
    after_the_handshake()
    stapled()
    renewed_staple()
    raw_public_keys()
    compressed()


if __name__ == "__main__":
    main()
