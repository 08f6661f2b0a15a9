"""Sessions, tickets and early data: python examples/resumption.py

Explained in docs/resumption.md. Clients and servers are joined in memory, two by two.
"""

import tempfile
from pathlib import Path

from in_memory import connect, establish, pair
from throwaway import make_certificates

import fasths

PEM = make_certificates()
IDENTITY = fasths.Identity.from_pem(PEM.chain, PEM.key)
TRUST = fasths.TrustStore.from_pem(PEM.ca)


def how(connection: fasths.Connection) -> str:
    return "resumed" if connection.session_reused else "full"


def with_a_cache() -> None:
    server = fasths.Context(identities=[IDENTITY])  # tickets are on by default
    client = fasths.Context(trust=TRUST, session_cache=fasths.MemorySessionCache())
    for _ in range(2):
        connection, _ = connect(client, server)
        print(f"with a cache: {how(connection)}, {len(connection.sessions)} tickets")


def by_hand() -> None:
    server = fasths.Context(identities=[IDENTITY])
    client = fasths.Context(trust=TRUST)
    first, _ = connect(client, server)
    assert first.session is not None  # the newest ticket; they come with the first read
    kept = first.session.to_bytes()  # holds secrets: keep it as you keep a private key

    again, serving = pair(client, server)
    again.set_session(fasths.Session.from_bytes(kept))
    establish(again, serving)
    print("by hand:", how(again))


def two_processes() -> None:
    leader = fasths.TicketKeys()
    follower = fasths.TicketKeys.from_bytes(leader.to_bytes())  # over a channel that is secret
    one = fasths.Context(identities=[IDENTITY], ticket_keys=leader)
    other = fasths.Context(identities=[IDENTITY], ticket_keys=follower)
    client = fasths.Context(trust=TRUST, session_cache=fasths.MemorySessionCache())
    connect(client, one)
    print("at the other server:", how(connect(client, other)[0]))

    leader.rotate()  # or by itself, every rotate_every seconds
    follower.load(leader.to_bytes())  # in use meanwhile; its old keys still open tickets
    print("after a rotation:", how(connect(client, one)[0]))


def in_a_file(path: Path) -> None:
    store = fasths.SQLiteSessionStore(path)  # for all processes of this machine
    server = fasths.Context(identities=[IDENTITY], session_store=store)
    client = fasths.Context(trust=TRUST, session_cache=fasths.MemorySessionCache(per_name=1))
    for _ in range(2):
        print("with a store:", how(connect(client, server)[0]))
    store.close()


def early_data() -> None:
    server = fasths.Context(identities=[IDENTITY], max_early_data_size=16384)
    client = fasths.Context(trust=TRUST)
    first, _ = connect(client, server)
    session = first.session
    assert session is not None

    asking, serving = pair(client, server)
    asking.set_session(session)
    asking.write_early_data(b"GET /weather")  # goes out with the ClientHello
    request = serving.read_early_data()  # before the handshake is done
    serving.write_early_data(b"sunny")  # to whom, is not proved yet
    establish(asking, serving)
    print(f"early data: {request!r}, {asking.read()!r}, accepted: {asking.early_data_accepted}")

    asking, serving = pair(client, server)
    asking.set_session(session)  # a second time: to the server this is a replay
    asking.write_early_data(b"GET /weather")
    while (result := asking.do_handshake()) != 1:
        if asking.get_error(result) == fasths.SSLErrorCode.EARLY_DATA_REJECTED:
            asking.write(b"GET /weather")  # once more, as ordinary data
        else:
            serving.do_handshake()
    print(f"the same again: {serving.read_early_data()!r}, then {serving.read()!r}")


def main() -> None:
    with_a_cache()
    by_hand()
    two_processes()
    with tempfile.TemporaryDirectory() as directory:
        in_a_file(Path(directory, "sessions"))
    early_data()


if __name__ == "__main__":
    main()
