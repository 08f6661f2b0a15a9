"""0-RTT data between two fasths connections (RFC 8446, 2.3 and 4.2.10), and 0.5-RTT data.

Why it may be rejected is in test_early_data_rejections.py, transports are in
test_early_data_transports.py. What a server refuses is in test_early_data_refusals.py.
"""

from __future__ import annotations

import pytest
from early_data_pairs import (
    EARLY_DATA_REJECTED,
    MAXIMUM,
    assert_accepted,
    client_hello,
    early_contexts,
    early_pair,
    early_session,
    receive_early,
    rejected_handshake,
    send_early,
    shared,
)
from helpers import (
    BOTH_ROLES,
    HOST,
    NONE,
    SSL,
    TLS13_SUITES,
    WANT_READ,
    WANT_WRITE,
    ZERO_RETURN,
    client_context,
    outcome,
    records,
    server_context,
    transfer,
)
from resumed_pairs import (
    assert_resumed,
    client_identity,
    connected,
    joined,
    offered,
    take_tickets,
)

import fasths
from fasths import (
    Connection,
    ContentType,
    ExtensionType,
    HandshakeType,
    MemorySessionCache,
    MemorySessionStore,
    NamedGroup,
    Verify,
)

BIG = 1 << 20


# --- Accepted


@pytest.mark.parametrize("suite", TLS13_SUITES)
def test_early_data(suite):
    client, server = early_contexts({"cipher_suites": [suite]})
    session = early_session(client, server)
    assert session.max_early_data_size == MAXIMUM
    pair = early_pair(client, server, session)
    assert pair.client.early_data_accepted is None
    send_early(pair, b"early ", b"", b"data")
    assert client_hello(pair).early_data
    # Nothing of the server's is there yet.
    assert pair.client_bio.count("read") == 0
    assert pair.server.read_early_data() == b"early "
    assert pair.server.early_data_accepted is True
    assert pair.server.read_early_data() == b"data"
    assert pair.server.read_early_data() is None
    assert pair.server.get_error(-1) is WANT_READ
    assert not pair.server.established
    assert pair.client.do_handshake() == 1
    assert pair.client.early_data_accepted is True
    assert pair.server.read_early_data() == b""
    assert pair.server.get_error(0) is NONE
    assert pair.server.do_handshake() == 1
    assert pair.server.read_early_data() == b""
    assert_resumed(pair)


def test_early_data_is_sent_without_a_wait():
    """Each call hands its record to the transport; the first one ClientHello as well."""
    pair = early_pair(*early_contexts())
    send_early(pair, b"one")
    first = bytes(pair.client_bio.written)
    assert [kind for kind, _ in records(first)] == [
        ContentType.handshake,
        ContentType.change_cipher_spec,
        ContentType.application_data,
    ]
    send_early(pair, b"two")
    ((kind, fragment),) = records(pair.client_bio.written[len(first) :])
    assert kind == ContentType.application_data
    assert len(fragment) == len(b"two") + 1 + 16
    assert b"one" not in first
    assert b"two" not in fragment


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 16384])
def test_early_data_is_read_in_pieces(size):
    client, server = early_contexts()
    pair = early_pair(client, server)
    data = bytes(range(250)) * 2
    send_early(pair, data[:100], data[100:101], data[101:])
    assert receive_early(pair.server, size) == (data, False)
    assert pair.client.do_handshake() == 1
    assert receive_early(pair.server, size) == (b"", True)
    assert pair.server.do_handshake() == 1
    assert_resumed(pair)


def test_early_data_that_goes_on_behind_the_servers_flight():
    """Until it reads that flight, a client can send more."""
    pair = early_pair(*early_contexts())
    send_early(pair, b"one")
    assert receive_early(pair.server) == (b"one", False)
    send_early(pair, b"two")
    assert receive_early(pair.server) == (b"two", False)
    pair.handshake()
    assert receive_early(pair.server) == (b"", True)
    assert pair.server.early_data_accepted is True


def test_early_data_of_many_records():
    client, server = early_contexts(server={"max_early_data_size": BIG})
    pair = early_pair(client, server, size=2 * BIG)
    data = bytes(range(256)) * (BIG // 256)
    assert_accepted(pair, data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_early_data_of_any_buffer(kind):
    pair = early_pair(*early_contexts())
    assert pair.client.write_early_data(kind(b"early data")) == 10
    wide = memoryview(b"12345678").cast("I")
    assert pair.client.write_early_data(wide) == 8
    assert receive_early(pair.server) == (b"early data12345678", False)


def test_early_data_and_other_data_are_never_mixed():
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    assert pair.server.do_handshake() == -1
    assert pair.client.write(b"late") == 4
    assert pair.server.read(2) == b"la"
    assert pair.server.pending() == 2
    assert pair.server.read_early_data(3) == b"ear"
    assert pair.server.read() == b"te"
    assert pair.server.read_early_data() == b"ly"
    assert pair.server.read_early_data() == b""
    assert pair.server.read() is None


def test_server_that_does_not_look_at_early_data():
    """The handshake completes, read() has what came later, and the early data stays."""
    pair = early_pair(*early_contexts())
    send_early(pair, b"one", b"two")
    pair.handshake()
    assert_resumed(pair)
    assert pair.client.write(b"late") == 4
    assert pair.server.read() == b"late"
    assert pair.server.read() is None
    assert pair.server.early_data_accepted is True
    assert receive_early(pair.server) == (b"onetwo", True)
    # Also when the connection is over.
    pair = early_pair(*early_contexts())
    send_early(pair, b"kept")
    pair.handshake()
    assert pair.client.shutdown() == 0
    assert pair.server.read() == b""
    assert receive_early(pair.server) == (b"kept", True)


def test_tickets_of_a_connection_with_early_data_permit_it_again():
    client, server = early_contexts()
    session = early_session(client, server)
    for _ in range(4):
        pair = early_pair(client, server, session)
        assert_accepted(pair)
        session = pair.client.session
        assert session.max_early_data_size == MAXIMUM


@pytest.mark.parametrize("compatible", ["stateful", "psk_ke", "alpn", "padding", "limit"])
def test_early_data_together_with(compatible):
    both = {
        "stateful": {},
        "psk_ke": {"psk_key_exchange_modes": ["psk_ke"]},
        "alpn": {"alpn": ["h2", "http/1.1"]},
        "padding": {"record_padding": 512},
        "limit": {"record_size_limit": 100},
    }[compatible]
    store = {"session_store": MemorySessionStore()} if compatible == "stateful" else {}
    client, server = early_contexts(both, {**both, **store})
    pair = early_pair(client, server)
    # Neither padding nor its split into records counts.
    assert_accepted(pair, bytes(MAXIMUM))
    if compatible == "psk_ke":
        assert pair.client.group is None
    if compatible == "alpn":
        assert pair.server.alpn_protocol == "h2"


def test_early_data_of_a_client_that_has_shown_a_certificate():
    client, server = early_contexts(
        {"identities": [client_identity()]}, {"verify": Verify.REQUIRED}
    )
    pair = early_pair(client, server)
    send_early(pair, b"early")
    assert pair.server.read_early_data() == b"early"
    # Who it is, is known already; that it is no replay, is not.
    assert pair.server.peer_certificates == client_identity().certificates
    pair.handshake()
    assert_resumed(pair)


def test_early_data_by_a_session_of_the_cache():
    client, server = early_contexts({"session_cache": MemorySessionCache()})
    connected(client, server)
    assert_accepted(joined(client, server))
    assert_accepted(joined(client, server))


def test_early_data_before_a_role_or_by_connect():
    client, server = early_contexts()
    session = early_session(client, server)
    pair = joined(client, server, session, roles=False)
    assert outcome(pair.client, pair.client.write_early_data(b"x")) == (-1, SSL)
    assert pair.server.read_early_data() is None
    assert pair.server.get_error(-1) is SSL
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    assert_accepted(pair)


# --- Limits


def test_limit_of_the_session():
    pair = early_pair(*early_contexts())
    assert pair.client.max_early_data == 0
    send_early(pair, b"")
    assert pair.client.max_early_data == MAXIMUM
    send_early(pair, bytes(300))
    assert pair.client.max_early_data == MAXIMUM - 300
    # What does not fit is not sent at all.
    for _ in range(2):
        ret = pair.client.write_early_data(bytes(MAXIMUM - 299))
        assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert pair.client.max_early_data == MAXIMUM - 300
    send_early(pair, bytes(MAXIMUM - 300))
    assert pair.client.max_early_data == 0
    assert outcome(pair.client, pair.client.write_early_data(b"x")) == (-1, EARLY_DATA_REJECTED)
    send_early(pair, b"")
    assert receive_early(pair.server) == (bytes(MAXIMUM), False)
    # What was sent is accepted: do_handshake() has nothing to complain of.
    pair.handshake()
    assert pair.client.early_data_accepted is True
    assert pair.client.max_early_data == pair.server.max_early_data == 0


def test_too_much_at_once_is_not_sent():
    client, server = early_contexts()
    pair = early_pair(client, server)
    ret = pair.client.write_early_data(bytes(MAXIMUM + 1))
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    # The handshake has begun, and nothing but it.
    assert receive_early(pair.server) == (b"", False)
    pair.handshake()
    assert_resumed(pair)
    assert pair.client.write(bytes(MAXIMUM + 1)) == MAXIMUM + 1


def assert_hears_of_it(pair):
    """The client is done with the server's flight; behind it there is the alert."""
    assert pair.client.do_handshake() == 1
    assert pair.client.read() is None
    assert pair.client.get_error(-1) is SSL
    assert isinstance(pair.client.last_error, fasths.PeerAlert)


def test_more_than_the_server_permits_is_refused():
    """By a client that believes that it may."""
    client, server = early_contexts()
    for pieces in ([bytes(MAXIMUM + 1)], [bytes(MAXIMUM), b"x"], [bytes(600)] * 2):
        data = early_session(client, server).to_bytes()
        limit = MAXIMUM.to_bytes(4, "big")
        assert data.count(limit) == 1
        greedy = fasths.Session.from_bytes(data.replace(limit, BIG.to_bytes(4, "big")))
        pair = early_pair(client, server, greedy)
        send_early(pair, *pieces)
        received = 0
        while (piece := pair.server.read_early_data()) is not None:
            received += len(piece)
        assert received <= MAXIMUM
        assert pair.server.get_error(-1) is SSL
        assert pair.server.last_error.alert == fasths.AlertDescription.unexpected_message
        assert_hears_of_it(pair)


def test_server_whose_limit_is_lower_than_that_of_its_tickets():
    """RFC 8446, 4.6.1: the limit is the ticket's. It is accepted, or rejected, but no error."""
    servers = shared()
    client, issuer = early_contexts(server=servers)
    session = early_session(client, issuer)
    pair = early_pair(client, server_context(max_early_data_size=10, **servers), session)
    send_early(pair, bytes(MAXIMUM))
    received, _ = receive_early(pair.server)
    if received:
        pair.handshake()
        assert received == bytes(MAXIMUM)
    else:
        rejected_handshake(pair)
    assert_resumed(pair)


def test_server_whose_limit_is_higher_than_that_of_its_tickets():
    servers = shared()
    client, issuer = early_contexts(server=servers)
    session = early_session(client, issuer)
    pair = early_pair(client, server_context(max_early_data_size=BIG, **servers), session)
    assert_accepted(pair, bytes(MAXIMUM))


# --- Data of the server before the client is done


def test_data_of_the_server_in_front_of_the_clients_finished():
    pair = early_pair(*early_contexts())
    send_early(pair, b"question")
    assert receive_early(pair.server) == (b"question", False)
    assert pair.server.write_early_data(b"answer, ") == 8
    assert pair.server.write_early_data(b"at once") == 7
    assert not pair.server.established
    assert pair.client.do_handshake() == 1
    assert pair.client.read() == b"answer, "
    assert pair.client.read() == b"at once"
    pair.handshake()
    assert_resumed(pair)


@pytest.mark.parametrize("resumed", [False, True])
def test_data_of_the_server_without_early_data_of_the_client(resumed):
    """RFC 8446, 4.4.4: from its Finished on, a server may send. write_early_data() gets there."""
    client, server = early_contexts()
    pair = early_pair(client, server) if resumed else joined(client, server)
    # Nobody has said anything yet.
    assert outcome(pair.server, pair.server.write_early_data(b"hello")) == (-1, WANT_READ)
    assert pair.client.do_handshake() == -1
    assert pair.server.write_early_data(b"hello") == 5
    assert not pair.server.established
    assert pair.client.do_handshake() == 1
    assert pair.client.read() == b"hello"
    pair.handshake()
    # Once it is established, there is no difference to write().
    assert pair.server.write_early_data(b"as any other") == 12
    assert pair.client.read() == b"as any other"
    assert_resumed(pair, resumed)


def test_much_data_of_the_server_before_the_handshake_is_done():
    pair = early_pair(*early_contexts(), size=2 * BIG)
    send_early(pair, b"question")
    assert pair.server.write_early_data(bytes(BIG)) == BIG
    assert pair.client.do_handshake() == 1
    received = 0
    while received < BIG:
        received += len(pair.client.read(1 << 16))
    assert received == BIG
    pair.handshake()
    assert pair.server.read_early_data() == b"question"


def test_data_of_the_server_to_a_client_that_has_still_to_show_a_certificate():
    client, server = early_contexts(
        {"identities": [client_identity()]}, {"verify": Verify.REQUIRED}
    )
    pair = joined(client, server)
    assert pair.client.do_handshake() == -1
    assert pair.server.write_early_data(b"to whom it may concern") == 22
    assert pair.server.peer_certificates == ()
    assert pair.client.do_handshake() == 1
    assert pair.client.read() == b"to whom it may concern"
    pair.handshake()
    assert pair.server.peer_certificates == client_identity().certificates


# --- When there is no early data


def test_early_data_is_off_by_default():
    client, server = client_context(), server_context()
    session = connected(client, server).client.session
    assert session.max_early_data_size == 0
    pair = joined(client, server, session)
    assert outcome(pair.client, pair.client.write_early_data(b"x")) == (-1, EARLY_DATA_REJECTED)
    assert not client_hello(pair).early_data
    pair.handshake()
    assert_resumed(pair)
    for conn in (pair.client, pair.server):
        assert conn.early_data_accepted is None


def test_no_early_data_is_offered_unasked():
    client, server = early_contexts()
    session = early_session(client, server)
    hello = offered(client, server, session)
    assert hello.pre_shared_key
    assert not hello.early_data
    pair = early_pair(client, server, session)
    pair.handshake()
    assert pair.server.read_early_data() == b""
    for conn in (pair.client, pair.server):
        assert conn.early_data_accepted is None


def test_early_data_without_a_session():
    client, server = early_contexts()
    pair = joined(client, server)
    for _ in range(2):
        ret = pair.client.write_early_data(b"early")
        assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
        assert pair.client.max_early_data == 0
    assert not client_hello(pair).early_data
    # There was nothing to be rejected.
    pair.handshake()
    assert pair.client.early_data_accepted is None
    transfer(pair.client, pair.server, b"early")
    assert_resumed(pair, False)


def test_early_data_with_an_external_key_alone():
    """RFC 8446, 4.2.10: nothing says for which suite and protocol it would be."""
    psk = fasths.ExternalPSK(b"external", bytes(32))
    client, server = early_contexts({"external_psks": [psk]}, {"external_psks": [psk]})
    pair = joined(client, server)
    assert outcome(pair.client, pair.client.write_early_data(b"x")) == (-1, EARLY_DATA_REJECTED)
    assert not client_hello(pair).early_data
    pair.handshake()
    assert_resumed(pair)


def test_early_data_after_the_handshake():
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    assert receive_early(pair.server) == (b"early", False)
    assert pair.client.do_handshake() == 1
    ret = pair.client.write_early_data(b"too late")
    assert outcome(pair.client, ret) == (-1, EARLY_DATA_REJECTED)
    assert pair.server.do_handshake() == 1
    assert pair.client.early_data_accepted is True
    assert pair.client.do_handshake() == 1
    transfer(pair.client, pair.server, b"too late")
    assert receive_early(pair.server) == (b"", True)


@pytest.mark.parametrize("resumed", [False, True])
def test_read_early_data_where_there_is_none(resumed):
    client, server = early_contexts()
    pair = early_pair(client, server) if resumed else joined(client, server)
    assert pair.server.read_early_data() is None
    assert pair.server.get_error(-1) is WANT_READ
    assert pair.client.do_handshake() == -1
    # Known as soon as ClientHello is.
    assert pair.server.read_early_data() == b""
    assert pair.server.get_error(0) is NONE
    assert not pair.server.established
    pair.handshake()
    assert pair.server.read_early_data() == b""
    assert_resumed(pair, resumed)


# --- Wrong use


def test_wrong_arguments_are_refused():
    pair = early_pair(*early_contexts())
    for value in (None, "text", 7, [b"x"]):
        with pytest.raises(TypeError):
            pair.client.write_early_data(value)
    with pytest.raises(TypeError, match="contiguous"):
        pair.client.write_early_data(memoryview(b"123456")[::2])
    for size in (0, -1):
        with pytest.raises(ValueError, match="1 or more"):
            pair.server.read_early_data(size)
    with pytest.raises(RuntimeError, match="for servers"):
        pair.client.read_early_data()
    assert_accepted(pair)


@BOTH_ROLES
def test_early_data_after_shutdown_is_refused(by_server):
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    conn = pair.server if by_server else pair.client
    assert conn.shutdown() == 0
    with pytest.raises(RuntimeError, match="after shutdown"):
        conn.write_early_data(b"x")


def test_early_data_of_a_connection_that_failed():
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    pair.client_bio.inner.write(b"\x17\x03\x03\0\x20" + bytes(32))
    # What is there is given out before the error, as often as there is something.
    assert pair.server.read_early_data(3) == b"ear"
    assert pair.server.read_early_data() == b"ly"
    for _ in range(2):
        assert pair.server.read_early_data() is None
        assert pair.server.get_error(-1) is SSL
    assert outcome(pair.server, pair.server.write_early_data(b"x")) == (-1, SSL)
    assert_hears_of_it(pair)
    assert outcome(pair.client, pair.client.write_early_data(b"x")) == (-1, SSL)


def test_transport_that_ends_behind_early_data():
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    pair.end(by_server=False)
    assert pair.server.read_early_data() == b"early"
    assert pair.server.read_early_data() is None
    assert pair.server.get_error(-1) is SSL
    assert pair.server.last_error.origin is fasths.Origin.TRANSPORT


def test_client_that_gives_up_behind_early_data():
    """user_canceled and close_notify: what was sent before is read first, then its end."""
    pair = early_pair(*early_contexts())
    send_early(pair, b"early")
    assert pair.client.shutdown() == 0
    assert pair.server.read_early_data() == b"early"
    assert pair.server.read_early_data() == b""
    assert outcome(pair.server, pair.server.do_handshake()) == (0, ZERO_RETURN)


# --- What else is known of it


def test_early_exporter():
    pair = early_pair(*early_contexts())
    for conn in (pair.client, pair.server):
        with pytest.raises(RuntimeError, match="early"):
            conn.export_early_keying_material("label", b"", 32)
    send_early(pair, b"early")
    # A client can bind what it sends to it.
    exported = pair.client.export_early_keying_material("label", b"context", 40)
    assert receive_early(pair.server) == (b"early", False)
    assert pair.server.export_early_keying_material("label", b"context", 40) == exported
    pair.handshake()
    for conn in (pair.client, pair.server):
        assert conn.export_early_keying_material("label", b"context", 40) == exported
        assert conn.export_early_keying_material(b"label", b"context", 40) == exported
        assert conn.export_early_keying_material("other", b"context", 40) != exported
        assert conn.export_early_keying_material("label", b"other", 40) != exported
        assert conn.export_keying_material("label", b"context", 40) != exported
        for label, length in (("", 32), ("label", 0), ("label", 8161), ("x" * 250, 32)):
            with pytest.raises(ValueError, match="must"):
                conn.export_early_keying_material(label, b"", length)


def test_no_early_exporter_without_early_data():
    pair = early_pair(*early_contexts())
    pair.handshake()
    assert_resumed(pair)
    for conn in (pair.client, pair.server):
        with pytest.raises(RuntimeError, match="early"):
            conn.export_early_keying_material("label", b"", 32)


def test_key_log():
    logs = {"client": [], "server": []}
    client, server = early_contexts(
        {"keylog": logs["client"].append}, {"keylog": logs["server"].append}
    )
    session = early_session(client, server)
    full = set(logs["client"])
    for log in logs.values():
        log.clear()
    pair = early_pair(client, server, session)
    send_early(pair, b"early")
    early = ["CLIENT_EARLY_TRAFFIC_SECRET", "EARLY_EXPORTER_SECRET"]
    assert [line.split()[0] for line in logs["client"]] == early
    pair.handshake()
    assert logs["client"] == logs["server"]
    assert [line.split()[0] for line in logs["client"]] == [
        *early,
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    assert len({line.split()[1] for line in logs["client"]}) == 1
    assert len({line.split()[2] for line in logs["client"]}) == 7
    assert not full & set(logs["client"])


def test_messages_of_a_handshake_with_early_data():
    client, server = early_contexts()
    session = early_session(client, server)
    seen = []

    def watch(direction, content_type, data):
        if content_type == ContentType.handshake:
            seen.append((direction, HandshakeType(data[0]).name))
        else:
            seen.append((direction, ContentType(content_type).name))

    pair = joined(client, server, roles=False)
    pair.client = Connection(client, pair.client_bio, server_hostname=HOST, message_callback=watch)
    pair.client.set_session(session)
    pair.client.set_connect_state()
    pair.server.set_accept_state()
    send_early(pair, b"early")
    pair.handshake()
    take_tickets(pair)
    assert seen == [
        ("sent", "client_hello"),
        # RFC 8446, D.4: in front of early data, and not again.
        ("sent", "change_cipher_spec"),
        ("received", "server_hello"),
        ("received", "change_cipher_spec"),
        ("received", "encrypted_extensions"),
        ("received", "finished"),
        ("sent", "end_of_early_data"),
        ("sent", "finished"),
        ("received", "new_session_ticket"),
    ]
    assert pair.client.group is NamedGroup.x25519
    types = [kind for kind, _ in offered(client, server, session).extensions]
    assert types[-1] == ExtensionType.pre_shared_key


def test_output_that_waits_for_the_transport():
    """Nothing is lost or sent twice where a first call finds it full."""
    pair = early_pair(*early_contexts())
    pair.client_bio.blocked = True
    for _ in range(3):
        ret = pair.client.write_early_data(b"early")
        assert outcome(pair.client, ret) == (-1, WANT_WRITE)
    pair.client_bio.blocked = False
    pair.client_bio.block_after_write = True
    # Now ClientHello goes out, and then the data.
    while (ret := pair.client.write_early_data(b"early")) != 5:
        assert outcome(pair.client, ret) == (-1, WANT_WRITE)
        pair.client_bio.blocked = False
    pair.client_bio.blocked = pair.client_bio.block_after_write = False
    assert receive_early(pair.server) == (b"early", False)
    pair.handshake()
    assert receive_early(pair.server) == (b"", True)
    assert_resumed(pair)
