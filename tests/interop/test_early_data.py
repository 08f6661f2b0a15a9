"""0-RTT data (RFC 8446, 2.3) with the peers that have it, in both roles."""

import pytest

import fasths
from fasths import NamedGroup, SSLErrorCode

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served, connect
from .feature_peers import EARLY_DATA_REFUSAL, RETRIED_EARLY_DATA, FeaturePeer, with_peers
from .matrix import DATA, client_context, payload, server_context
from .peers import SUITES, Server, Settings

pytestmark = with_peers("openssl", "gnutls", "pyopenssl")


EARLY = b"early data\n"
MAXIMUM = 4096
# Of all servers that share ticket keys here.
STORE = fasths.MemorySessionStore()
# OpenSSL's servers do not take more than 16384 bytes, in all, unless they are told to.
MUCH = 16000


def assert_rejected(endpoint: Endpoint) -> None:
    """The client is told so once, and the handshake is complete."""
    ret = endpoint.conn.do_handshake()
    assert ret == -1
    assert endpoint.conn.get_error(ret) == SSLErrorCode.EARLY_DATA_REJECTED
    assert endpoint.conn.early_data_accepted is False
    assert endpoint.conn.do_handshake() == 1


class TestFasthsSends:
    """fasths as the client."""

    def settings(self, certificates: Certificates, **options) -> Settings:
        credential = certificates.authority.leaf("ecdsa")
        return Settings(**{"credential": credential, "max_early_data": MAXIMUM, **options})

    def first_visit(self, server: Server, context: fasths.Context) -> fasths.Session:
        with connect(context, server.port) as endpoint:
            endpoint.handshake()
            assert endpoint.exchange(DATA, server.window) == DATA
            endpoint.close()
        session = endpoint.conn.session
        assert session is not None
        assert session.max_early_data_size in (MAXIMUM, MUCH)
        return session

    def finish(self, endpoint: Endpoint, server: Server, early_echo: bytes = b"") -> None:
        if early_echo:
            assert endpoint.receive(len(early_echo)) == early_echo
        assert endpoint.exchange(DATA, server.window) == DATA
        endpoint.close()

    @pytest.mark.parametrize("suite", SUITES)
    def test_early_data(self, peer: FeaturePeer, certificates: Certificates, suite: str) -> None:
        context = client_context(certificates)
        with peer.server(self.settings(certificates, suite=suite)) as server:
            session = self.first_visit(server, context)
            with connect(context, server.port) as endpoint:
                endpoint.conn.set_session(session)
                endpoint.send_early(EARLY)
                endpoint.handshake()
                assert endpoint.conn.early_data_accepted is True
                self.finish(endpoint, server, EARLY if peer.echoes_early_data else b"")
            if pattern := peer.received_early_data(EARLY):
                server.log.wait_for(pattern)
        assert endpoint.conn.session_reused
        assert endpoint.count("sent", "end_of_early_data") == 1

    def test_all_that_is_permitted(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """In two writes, and no byte more."""
        context = client_context(certificates)
        with peer.server(self.settings(certificates)) as server:
            session = self.first_visit(server, context)
            with connect(context, server.port) as endpoint:
                endpoint.conn.set_session(session)
                rest = bytes(MAXIMUM - len(EARLY))
                endpoint.send_early(EARLY)
                assert endpoint.conn.max_early_data == len(rest)
                endpoint.send_early(rest)
                assert endpoint.conn.max_early_data == 0
                assert endpoint.conn.write_early_data(b".") == -1
                assert endpoint.conn.get_error(-1) == SSLErrorCode.EARLY_DATA_REJECTED
                endpoint.handshake()
                assert endpoint.conn.early_data_accepted is True
                self.finish(endpoint, server, EARLY + rest if peer.echoes_early_data else b"")

    @pytest.mark.parametrize("accepted", [True, False])
    def test_many_records(
        self, peer: FeaturePeer, certificates: Certificates, accepted: bool
    ) -> None:
        if not accepted:
            peer.need(EARLY_DATA_REFUSAL)
        context = client_context(certificates)
        data = payload(MUCH)
        settings = self.settings(certificates, max_early_data=MUCH, refuse_early_data=not accepted)
        with peer.server(settings) as server:
            session = self.first_visit(server, context)
            with connect(context, server.port) as endpoint:
                endpoint.conn.set_session(session)
                for start in range(0, MUCH, 4000):
                    endpoint.send_early(data[start : start + 4000])
                if accepted:
                    endpoint.handshake()
                else:
                    assert_rejected(endpoint)
                echoed = accepted and peer.echoes_early_data
                self.finish(endpoint, server, data if echoed else b"")

    def test_server_that_refuses(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The session is taken, and the data that was sent with it is not."""
        peer.need(EARLY_DATA_REFUSAL)
        context = client_context(certificates)
        with peer.server(self.settings(certificates, refuse_early_data=True)) as server:
            session = self.first_visit(server, context)
            with connect(context, server.port) as endpoint:
                endpoint.conn.set_session(session)
                endpoint.send_early(EARLY)
                assert_rejected(endpoint)
                self.finish(endpoint, server)
        assert endpoint.conn.session_reused
        assert endpoint.count("sent", "end_of_early_data") == 0

    def test_hello_retry_request(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Which always means that the data is not taken (RFC 8446, 4.2.10)."""
        peer.need(RETRIED_EARLY_DATA)
        context = client_context(certificates)
        with peer.server(self.settings(certificates, groups=("secp384r1",))) as server:
            session = self.first_visit(server, context)
            with connect(context, server.port) as endpoint:
                endpoint.conn.set_session(session)
                endpoint.send_early(EARLY)
                assert_rejected(endpoint)
                self.finish(endpoint, server)
        assert endpoint.hello_retried
        # A server that takes a ticket once takes it with the first ClientHello.
        assert endpoint.conn.session_reused is not peer.single_use_tickets
        assert endpoint.conn.group == NamedGroup.secp384r1

    def test_server_that_has_forgotten(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """It cannot read the data, and skips it (RFC 8446, 4.2.10)."""
        context = client_context(certificates)
        settings = self.settings(certificates)
        with peer.server(settings) as server:
            session = self.first_visit(server, context)
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            endpoint.conn.set_session(session)
            endpoint.send_early(EARLY)
            assert_rejected(endpoint)
            self.finish(endpoint, server)
        assert not endpoint.conn.session_reused

    def test_session_that_was_used(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """A server that takes a ticket once takes no second data either."""
        if not peer.single_use_tickets:
            pytest.skip(f"{peer.name} recognizes a replay by the ClientHello alone")
        context = client_context(certificates)
        with peer.server(self.settings(certificates)) as server:
            session = self.first_visit(server, context)
            for accepted in (True, False):
                with connect(context, server.port) as endpoint:
                    endpoint.conn.set_session(session)
                    endpoint.send_early(EARLY)
                    if accepted:
                        endpoint.handshake()
                    else:
                        assert_rejected(endpoint)
                    echoed = accepted and peer.echoes_early_data
                    self.finish(endpoint, server, EARLY if echoed else b"")
                assert endpoint.conn.session_reused is accepted


class TestFasthsReceives:
    """fasths as the server."""

    def both(
        self,
        peer: FeaturePeer,
        certificates: Certificates,
        context: fasths.Context,
        later: fasths.Context | None = None,
        read_first: bool = True,
        much: bool = False,
        **options,
    ) -> Served:
        """The second of two connections. read_first: early data, before the handshake is done."""
        early = payload(MUCH) if much else EARLY

        def before(endpoint: Endpoint) -> None:
            self.received.append(endpoint.receive_early())

        settings = Settings(trust=certificates.authority.file, **options)
        self.received: list[bytes] = []
        with (
            FasthsServer(context, later=later, before=before if read_first else None) as server,
            peer.returning(server.port, settings, early) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA, client.log.text
            client.finish()
            first, second = server.all_served(2)
        assert first.error is None
        assert second.error is None
        assert first.conn.early_data_accepted is None
        if not read_first:
            self.received += [served.endpoint.receive_early() for served in (first, second)]
        assert self.received[0] == b""
        assert self.received[1] in (b"", early)
        return second

    def rejected(self, *arguments, **options) -> Served:
        served = self.both(*arguments, **options)
        assert served.conn.early_data_accepted is False
        assert self.received[1] == b""
        return served

    @pytest.mark.parametrize("suite", SUITES)
    @pytest.mark.parametrize("read_first", [True, False])
    def test_early_data(
        self, peer: FeaturePeer, certificates: Certificates, suite: str, read_first: bool
    ) -> None:
        context = server_context(certificates, max_early_data_size=MAXIMUM)
        served = self.both(peer, certificates, context, read_first=read_first, suite=suite)
        assert served.conn.early_data_accepted is True
        assert served.conn.session_reused
        assert self.received[1] == EARLY
        assert served.endpoint.count("received", "end_of_early_data") == 1

    def test_many_records(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = server_context(certificates, max_early_data_size=MUCH)
        served = self.both(peer, certificates, context, much=True)
        assert served.conn.early_data_accepted is True
        assert len(self.received[1]) == MUCH

    def test_many_records_are_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        keys = fasths.TicketKeys()
        contexts = [
            server_context(
                certificates, max_early_data_size=maximum, ticket_keys=keys, session_store=STORE
            )
            for maximum in (MUCH, 0)
        ]
        assert self.rejected(peer, certificates, *contexts, much=True).conn.session_reused

    def test_stateful_tickets(self, peer: FeaturePeer, certificates: Certificates) -> None:
        store = fasths.MemorySessionStore()
        context = server_context(certificates, max_early_data_size=MAXIMUM, session_store=store)
        served = self.both(peer, certificates, context)
        assert served.conn.early_data_accepted is True
        assert self.received[1] == EARLY

    def test_early_data_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """By a server that knows the session, and takes no early data any more."""
        keys = fasths.TicketKeys()
        contexts = [
            server_context(
                certificates, max_early_data_size=maximum, ticket_keys=keys, session_store=STORE
            )
            for maximum in (MAXIMUM, 0)
        ]
        assert self.rejected(peer, certificates, *contexts).conn.session_reused

    def test_hello_retry_request(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(RETRIED_EARLY_DATA)
        keys = fasths.TicketKeys()
        contexts = [
            server_context(
                certificates,
                max_early_data_size=MAXIMUM,
                ticket_keys=keys,
                session_store=STORE,
                groups=[group],
            )
            for group in ("x25519", "secp384r1")
        ]
        served = self.rejected(peer, certificates, *contexts, groups=("x25519", "secp384r1"))
        assert served.endpoint.hello_retried
        assert served.conn.session_reused

    def test_unknown_ticket_keys(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The server skips what it cannot read."""
        contexts = [server_context(certificates, max_early_data_size=MAXIMUM) for _ in range(2)]
        assert not self.rejected(peer, certificates, *contexts).conn.session_reused

    def test_another_alpn_protocol(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Early data is for the protocol of its session (RFC 8446, 4.2.10)."""
        keys = fasths.TicketKeys()
        contexts = [
            server_context(
                certificates,
                max_early_data_size=MAXIMUM,
                ticket_keys=keys,
                session_store=STORE,
                alpn=[protocol],
            )
            for protocol in ("first", "second")
        ]
        served = self.rejected(peer, certificates, *contexts, alpn=("first", "second"))
        assert served.conn.alpn_protocol == "second"

    def test_answer_to_early_data(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """0.5-RTT data: the server answers what it has, and the client goes on with its flight."""

        def before(endpoint: Endpoint) -> None:
            if data := endpoint.conn.read_early_data():
                endpoint.send_early(data.upper())
                assert not endpoint.conn.established

        context = server_context(certificates, max_early_data_size=MAXIMUM)
        settings = Settings(trust=certificates.authority.file)
        with (
            FasthsServer(context, before=before) as server,
            peer.returning(server.port, settings, EARLY) as client,
        ):
            assert client.receive(len(EARLY)) == EARLY.upper(), client.log.text
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA
            client.finish()
            assert [server.served().error for _ in range(2)] == [None, None]
