"""What a proxy wants of TLS: python examples/proxy.py

It looks at the first bytes of a client, passes some names through untouched, ends TLS for others,
and hands on what it learned. Explained in docs/proxies.md.
"""

from in_memory import connect
from throwaway import Authority

import fasths

CA = Authority()
TRUST = fasths.TrustStore.from_pem(CA.pem)
OURS = {"shop.example", "blog.example"}


def first_flight(name: str) -> bytes:
    """What a client sends first."""
    bio = fasths.MemoryBIO()
    fasths.Connection(fasths.Context(trust=TRUST), bio, server_hostname=name).connect()
    return bio.read()


def route(received: bytes) -> str:
    """Where a connection belongs, by the bytes that have arrived so far."""
    try:
        hello = fasths.parse_client_hello(received)
    except fasths.DecodeError as error:
        return f"this is not TLS: {error.reason}"
    if hello is None:
        return "incomplete: read more"
    if hello.server_name in OURS:
        return f"{hello.server_name}: ours, {hello.ja4[:10]}"
    return f"{hello.server_name}: pass it through"


def listener() -> fasths.Context:
    """One listener for many sites: the identity by its name, and more by a Context of its own."""
    identities = []
    for name in sorted(OURS):
        pem = CA.issue(name)
        identities.append(fasths.Identity.from_pem(pem.chain, pem.key))
    strict = fasths.Context(identities=identities, groups=["X25519MLKEM768"])
    return fasths.Context(
        identities=identities,
        client_hello_callback=lambda request: (
            strict if request.client_hello.server_name == "shop.example" else None
        ),
    )


def answer(received: bytes, context: fasths.Context) -> bytes:
    """Go on with a connection whose first bytes were already read; what is to be sent then."""
    bio = fasths.MemoryBIO()
    bio.write(received)
    connection = fasths.Connection(context, bio)
    connection.accept()
    return bio.read()


def hand_on(client: fasths.Context, server: fasths.Context) -> None:
    asking, serving = connect(client, server, "shop.example")
    # Both ends get the same bytes; nobody else can (RFC 8446, 7.5; RFC 9266).
    assert asking.channel_binding("tls-exporter") == serving.channel_binding("tls-exporter")
    token = serving.export_keying_material("EXPORTER-example proxy", b"shop.example", 32)
    print(f"a token of {len(token)} bytes, {serving.group!r}")


def traced(server: fasths.Context) -> None:
    secrets: list[str] = []
    events: list[str] = []
    client = fasths.Context(
        trust=TRUST,
        keylog=secrets.append,  # or a path; readable by its owner alone
        record_size_limit=4096,  # what the peer may send in one record
        record_padding=256,  # hides the exact length of what is sent here
        dynamic_record_sizing=True,
    )
    bio = fasths.MemoryBIO()
    connection = fasths.Connection(
        client,
        bio,
        server_hostname="blog.example",
        info_callback=lambda event, detail: events.append(f"{event} ({detail})"),
        message_callback=lambda way, kind, data: events.append(f"{way} {kind.name} {len(data)}"),
    )
    connection.connect()
    bio.write(answer(bio.read(), server))
    connection.connect()
    print("\n".join([*events, f"{len(secrets)} secrets"]))


def main() -> None:
    flight = first_flight("shop.example")
    print(route(flight[:100]))
    print(route(flight))
    print(route(first_flight("elsewhere.example")))
    print(route(b"GET / HTTP/1.1\r\n\r\n"))
    server = listener()
    hand_on(fasths.Context(trust=TRUST), server)
    traced(server)


if __name__ == "__main__":
    main()
