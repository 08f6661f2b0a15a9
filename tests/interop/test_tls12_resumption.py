"""Sessions of TLS 1.2 with every peer: by ticket (RFC 5077) and by session id (RFC 5246, 7.3)."""

import re

import pytest

import fasths
from fasths import CipherSuite, MemorySessionStore, TicketKeys, TLSVersion, Verify

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served
from .feature_peers import (
    SESSION_IDS,
    FeatureOpenSSL,
    FeaturePeer,
    FeatureStdlib,
    exchange_line,
)
from .matrix import DATA, identity, visit
from .peers import TLS12_OR_TLS13, Settings, StdlibEndpoint
from .processes import Log
from .tls12 import (
    ALL_PEERS,
    SUITES,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
)

pytestmark = pytest.mark.timeout(300)

TICKETS_OR_IDS = pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "session-id"])


def need(peer: FeaturePeer, tickets: bool) -> dict[str, int]:
    """The peer's settings."""
    if tickets:
        return {}
    peer.need(SESSION_IDS)
    return {"tickets": 0}


def assert_resumed(endpoint: Endpoint, resumed: bool = True) -> None:
    """An abbreviated handshake has no certificates and no keys."""
    assert endpoint.conn.session_reused is resumed
    for message in ("certificate", "server_key_exchange", "client_key_exchange"):
        count = endpoint.count("received", message) + endpoint.count("sent", message)
        assert (count == 0) is resumed
    assert endpoint.conn.extended_master_secret is True


@ALL_PEERS
class TestFasthsReturns:
    """fasths as the client that resumes, the peer as the server."""

    def return_to(
        self, peer: FeaturePeer, settings: Settings, context: fasths.Context
    ) -> tuple[Endpoint, Endpoint]:
        """A visit, and one that resumes its session."""
        with peer.server(settings) as server:
            first = visit(server, context)
            assert_resumed(first, False)
            assert first.conn.session.version == TLSVersion.TLSv1_2
            second = visit(server, context, first.conn.session)
        assert_resumed(second)
        assert second.conn.version == TLSVersion.TLSv1_2
        assert second.conn.cipher_suite == first.conn.cipher_suite
        return first, second

    @TICKETS_OR_IDS
    def test_resumption(self, peer: FeaturePeer, certificates: Certificates, tickets: bool) -> None:
        settings = peer_serves(certificates, **need(peer, tickets))
        first, second = self.return_to(peer, settings, our_client(certificates))
        assert first.count("received", "new_session_ticket") == tickets
        # Of the certificate that the session began with.
        assert second.conn.peer_certificates == first.conn.peer_certificates
        assert len(second.conn.verified_chain) == 3

    @TICKETS_OR_IDS
    def test_session_of_another_process(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        with peer.server(peer_serves(certificates, **need(peer, tickets))) as server:
            session = visit(server, our_client(certificates)).conn.session
            saved = fasths.Session.from_bytes(session.to_bytes())
            endpoint = visit(server, our_client(certificates), saved)
        assert_resumed(endpoint)

    @TICKETS_OR_IDS
    def test_sessions_follow_each_other(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        context = our_client(certificates)
        session = None
        with peer.server(peer_serves(certificates, **need(peer, tickets))) as server:
            for _ in range(4):
                endpoint = visit(server, context, session)
                assert_resumed(endpoint, session is not None)
                session = endpoint.conn.session

    @TICKETS_OR_IDS
    def test_session_cache(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        context = our_client(certificates, session_cache=fasths.MemorySessionCache())
        with peer.server(peer_serves(certificates, **need(peer, tickets))) as server:
            for resumed in (False, True, True):
                assert_resumed(visit(server, context), resumed)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: FeaturePeer, certificates: Certificates, suite: str) -> None:
        settings = peer_serves(certificates, SUITES[suite][0], suite=suite)
        _, endpoint = self.return_to(peer, settings, our_client(certificates))
        assert endpoint.conn.cipher_suite == CipherSuite[suite]

    @TICKETS_OR_IDS
    def test_client_certificate(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        """The server asks for it once."""
        settings = peer_serves(
            certificates,
            trust=certificates.authority.file,
            require_client_certificate=True,
            **need(peer, tickets),
        )
        _, endpoint = self.return_to(peer, settings, our_server(certificates))
        assert endpoint.count("received", "certificate_request") == 0

    def test_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_client(certificates, alpn=["first", "second"])
        _, endpoint = self.return_to(peer, peer_serves(certificates, alpn=("second",)), context)
        assert endpoint.conn.alpn_protocol == "second"

    @TICKETS_OR_IDS
    def test_server_that_has_forgotten(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        """Another server of the same name: there is a full handshake."""
        context = our_client(certificates)
        settings = peer_serves(certificates, **need(peer, tickets))
        with peer.server(settings) as server:
            session = visit(server, context).conn.session
        with peer.server(settings) as server:
            endpoint = visit(server, context, session)
        assert_resumed(endpoint, False)
        assert len(endpoint.conn.verified_chain) == 3

    def test_suite_that_is_no_longer_offered(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        first, second = (
            our_client(certificates, cipher_suites=[suite])
            for suite, kinds in list(SUITES.items())[:2]
        )
        with peer.server(peer_serves(certificates)) as server:
            session = visit(server, first).conn.session
            assert_resumed(visit(server, second, session), False)

    @pytest.mark.parametrize("upgraded", [True, False])
    def test_server_of_another_version(
        self, peer: FeaturePeer, certificates: Certificates, upgraded: bool
    ) -> None:
        """A session of TLS 1.2 is offered where there is TLS 1.3 by now, and the reverse."""
        versions = [peer_serves(certificates).versions, TLS12_OR_TLS13]
        if not upgraded:
            versions.reverse()
        context = our_client(certificates)
        with peer.server(peer_serves(certificates, versions=versions[0])) as server:
            session = visit(server, context).conn.session
        assert session.version == versions[0][1]
        with peer.server(peer_serves(certificates, versions=versions[1])) as server:
            endpoint = visit(server, context, session)
        assert not endpoint.conn.session_reused
        assert endpoint.conn.version == versions[1][1]


@ALL_PEERS
class TestFasthsServesAgain:
    """fasths as the server, the peer as a client that comes back."""

    def both(
        self,
        peer: FeaturePeer,
        settings: Settings,
        context: fasths.Context,
        later: fasths.Context | None = None,
    ) -> tuple[Served, Served]:
        """Two connections; the second has the Context `later`."""
        with (
            FasthsServer(context, later=later) as server,
            peer.returning(server.port, settings) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA, client.log.text
            client.finish()
            first, second = server.all_served(2)
        assert (first.error, second.error) == (None, None)
        assert_resumed(first.endpoint, False)
        return first, second

    def resumed(
        self,
        peer: FeaturePeer,
        settings: Settings,
        context: fasths.Context,
        later: fasths.Context | None = None,
    ) -> Served:
        served = self.both(peer, settings, context, later)[1]
        assert_resumed(served.endpoint)
        assert served.conn.version == TLSVersion.TLSv1_2
        return served

    def test_ticket(self, peer: FeaturePeer, certificates: Certificates) -> None:
        first, second = self.both(peer, peer_visits(certificates), our_server(certificates))
        assert_resumed(second.endpoint)
        assert first.endpoint.count("sent", "new_session_ticket") == 1
        assert second.conn.server_name == "localhost"

    def test_session_id_without_tickets(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        """The server could, the client does not offer the extension."""
        settings = peer_visits(certificates, **need(peer, False))
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng's client always offers tickets")
        context = our_server(
            certificates, ticket_keys=TicketKeys(), session_store=MemorySessionStore()
        )
        first, second = self.both(peer, settings, context)
        assert_resumed(second.endpoint)
        assert first.endpoint.count("sent", "new_session_ticket") == 0

    def test_session_id_of_a_store_alone(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        """The client could, the server has no keys of tickets."""
        need(peer, False)
        context = our_server(certificates, session_store=MemorySessionStore())
        first, second = self.both(peer, peer_visits(certificates), context)
        assert_resumed(second.endpoint)
        assert first.endpoint.count("sent", "new_session_ticket") == 0

    def test_no_sessions(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_server(certificates, session_tickets=0)
        for served in self.both(peer, peer_visits(certificates), context):
            assert_resumed(served.endpoint, False)
            assert served.endpoint.count("sent", "new_session_ticket") == 0

    @pytest.mark.parametrize("rotated", [False, True])
    def test_shared_ticket_keys(
        self, peer: FeaturePeer, certificates: Certificates, rotated: bool
    ) -> None:
        """Two servers, of which the second knows the keys of the first."""
        keys = TicketKeys()
        copied = TicketKeys.from_bytes(keys.to_bytes())
        if rotated:
            copied.rotate()
        contexts = [our_server(certificates, ticket_keys=each) for each in (keys, copied)]
        self.resumed(peer, peer_visits(certificates), *contexts)

    def test_unknown_ticket_keys(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """There is a full handshake."""
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng's client takes it that its tickets are taken")
        contexts = our_server(certificates), our_server(certificates)
        _, second = self.both(peer, peer_visits(certificates), *contexts)
        assert_resumed(second.endpoint, False)
        assert second.endpoint.count("sent", "new_session_ticket") == 1

    def test_unknown_session_id(self, peer: FeaturePeer, certificates: Certificates) -> None:
        need(peer, False)
        contexts = [our_server(certificates, session_store=MemorySessionStore()) for _ in range(2)]
        _, second = self.both(peer, peer_visits(certificates), *contexts)
        assert_resumed(second.endpoint, False)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: FeaturePeer, certificates: Certificates, suite: str) -> None:
        context = our_server(certificates, SUITES[suite][0])
        served = self.resumed(peer, peer_visits(certificates, suite=suite), context)
        assert served.conn.cipher_suite == CipherSuite[suite]

    def test_suite_that_the_server_no_longer_has(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng's client takes it that its tickets are taken")
        keys = TicketKeys()
        suites = list(SUITES)[:2]
        contexts = [
            our_server(certificates, ticket_keys=keys, cipher_suites=[suite]) for suite in suites
        ]
        _, second = self.both(peer, peer_visits(certificates), *contexts)
        assert_resumed(second.endpoint, False)
        assert second.conn.cipher_suite == CipherSuite[suites[1]]

    @TICKETS_OR_IDS
    def test_client_certificate(
        self, peer: FeaturePeer, certificates: Certificates, tickets: bool
    ) -> None:
        """The session has what the server knows of the client."""
        if not tickets:
            need(peer, False)
        credential = certificates.authority.leaf("ecdsa384")
        store = {} if tickets else {"session_store": MemorySessionStore()}
        context = our_server(certificates, verify=Verify.REQUIRED, **store)
        served = self.resumed(peer, peer_visits(certificates, credential=credential), context)
        assert served.endpoint.count("sent", "certificate_request") == 0
        assert served.conn.peer_certificates == identity(credential).certificates
        assert len(served.conn.verified_chain) == 3

    def test_session_without_a_required_certificate(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        """A session of a client that was not asked does not pass for one that was."""
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng's client takes it that its tickets are taken")
        keys = TicketKeys()
        credential = certificates.authority.leaf("ecdsa384")
        _, second = self.both(
            peer,
            peer_visits(certificates, credential=credential),
            our_server(certificates, ticket_keys=keys),
            our_server(certificates, ticket_keys=keys, verify=Verify.REQUIRED),
        )
        assert_resumed(second.endpoint, False)
        assert second.conn.peer_certificates == identity(credential).certificates

    def test_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, alpn=("first", "second"))
        served = self.resumed(peer, settings, our_server(certificates, alpn=["second"]))
        assert served.conn.alpn_protocol == "second"

    def test_another_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """RFC 7301, 3.2: it is agreed on anew for each connection."""
        keys = TicketKeys()
        contexts = [
            our_server(certificates, ticket_keys=keys, alpn=[protocol])
            for protocol in ("second", "first")
        ]
        settings = peer_visits(certificates, alpn=("first", "second"))
        served = self.resumed(peer, settings, *contexts)
        assert served.conn.alpn_protocol == "first"

    def test_server_that_now_has_tls13(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """A client of both versions offers its session of TLS 1.2 in vain."""
        if peer.name == "tlslite-ng":
            pytest.skip("tlslite-ng's client does not offer it")
        keys = TicketKeys()
        settings = peer_visits(certificates, versions=TLS12_OR_TLS13)
        first, second = self.both(
            peer,
            settings,
            our_server(certificates, ticket_keys=keys, maximum_version=TLSVersion.TLSv1_2),
            our_server(certificates, ticket_keys=keys),
        )
        assert first.conn.version == TLSVersion.TLSv1_2
        if second.conn.version == TLSVersion.TLSv1_3:
            assert not second.conn.session_reused
        else:
            # Some clients then offer no other version than the session's.
            assert_resumed(second.endpoint)


def test_another_server_name(stdlib: FeatureStdlib, certificates: Certificates) -> None:
    """RFC 6066, 3: no session is resumed for another name, nor for none."""
    names = ("localhost", "localhost", "127.0.0.1", "other.example")
    settings = peer_visits(certificates)
    context = stdlib.context(settings, server_side=False)
    context.check_hostname = False
    session = None
    with FasthsServer(our_server(certificates)) as server:
        for name in names:
            sock = stdlib.tcp(server.port)
            with StdlibEndpoint(context, sock, name, Log(), session) as client:
                exchange_line(client)
                session = session or client.socket.session
                client.finish()
        served = server.all_served(len(names))
    assert [each.error for each in served] == [None] * len(names)
    assert [each.conn.session_reused for each in served] == [False, True, False, False]


@pytest.mark.parametrize("options", [(), ("-no_ticket",)], ids=["ticket", "session-id"])
def test_reconnections(
    openssl: FeatureOpenSSL, certificates: Certificates, options: tuple[str, ...]
) -> None:
    """Six connections of one process, all with the session of the first."""
    context = our_server(certificates, ticket_keys=TicketKeys(), session_store=MemorySessionStore())
    settings = peer_visits(certificates, extra=("-reconnect", *options))
    with (
        FasthsServer(context) as server,
        openssl.client(server.port, settings, mode=("-nocommands",)) as client,
    ):
        text = client.wait_for_data(rb"(?s)(Reused, TLSv1.2.*){5}Verify return code")[0]
        client.finish()
        served = server.all_served(6)
    assert [each.conn.session_reused for each in served] == [False] + 5 * [True]
    assert len(set(re.findall(rb"Session-ID: (\w*)", text))) == 1
