"""Sessions with every peer, in both roles."""

import pytest

import fasths
from fasths import CipherSuite, NamedGroup, Verify

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Handler, Served, echo
from .feature_peers import NO_TICKETS, PSK_KE, FeaturePeer, with_peers
from .matrix import DATA, GROUPS, client_context, identity, server_context, visit
from .peers import SUITES, Settings

# Go's program is built with its first use.
pytestmark = [
    pytest.mark.timeout(300),
    with_peers("openssl", "gnutls", "go", "stdlib", "pyopenssl", "tlslite"),
]


def assert_resumed(endpoint: Endpoint, resumed: bool = True) -> None:
    """Both sides took the session: the server shows no certificate."""
    assert endpoint.conn.session_reused is resumed
    certificates = endpoint.count("received", "certificate") + endpoint.count("sent", "certificate")
    assert (certificates == 0) is resumed


class TestFasthsReturns:
    """fasths as the client that resumes, the peer as the server."""

    def settings(self, certificates: Certificates, kind: str = "ecdsa", **options) -> Settings:
        return Settings(credential=certificates.authority.leaf(kind), **options)

    def return_to(self, peer: FeaturePeer, settings: Settings, context: fasths.Context) -> Endpoint:
        """A visit, and one that resumes its session."""
        with peer.server(settings) as server:
            first = visit(server, context)
            assert_resumed(first, False)
            second = visit(server, context, first.conn.session)
        assert_resumed(second)
        assert second.conn.cipher_suite == first.conn.cipher_suite
        return second

    def test_resumption(self, peer: FeaturePeer, certificates: Certificates) -> None:
        endpoint = self.return_to(peer, self.settings(certificates), client_context(certificates))
        # RFC 8446, 4.2.9: psk_dhe_ke.
        assert endpoint.conn.group is not None
        assert not endpoint.hello_retried

    def test_session_of_another_process(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        with peer.server(self.settings(certificates)) as server:
            session = visit(server, client_context(certificates)).conn.session
            saved = session.to_bytes()
            endpoint = visit(server, client_context(certificates), fasths.Session.from_bytes(saved))
        assert_resumed(endpoint)

    def test_sessions_follow_each_other(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        context = client_context(certificates)
        session = None
        with peer.server(self.settings(certificates)) as server:
            for _ in range(4):
                endpoint = visit(server, context, session)
                assert_resumed(endpoint, session is not None)
                session = endpoint.conn.session

    def test_session_cache(self, peer: FeaturePeer, certificates: Certificates) -> None:
        cache = fasths.MemorySessionCache()
        context = client_context(certificates, session_cache=cache)
        with peer.server(self.settings(certificates)) as server:
            for resumed in (False, True, True):
                assert_resumed(visit(server, context), resumed)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: FeaturePeer, certificates: Certificates, suite: str) -> None:
        choose_here = {} if peer.can_choose_suite else {"cipher_suites": [suite]}
        settings = self.settings(certificates, suite=suite)
        endpoint = self.return_to(peer, settings, client_context(certificates, **choose_here))
        assert endpoint.conn.cipher_suite == CipherSuite[suite]

    def test_hello_retry_request(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = self.settings(certificates, groups=("secp384r1",))
        context = client_context(certificates, groups=GROUPS, key_share_groups=["x25519"])
        endpoint = self.return_to(peer, settings, context)
        assert endpoint.conn.group == NamedGroup.secp384r1
        assert endpoint.hello_retried

    def test_client_certificate(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The server asks for it once."""
        settings = self.settings(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        endpoint = self.return_to(peer, settings, server_context(certificates))
        assert endpoint.count("received", "certificate_request") == 0

    def test_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = client_context(certificates, alpn=["first", "second"])
        endpoint = self.return_to(peer, self.settings(certificates, alpn=("second",)), context)
        assert endpoint.conn.alpn_protocol == "second"

    def test_server_that_has_forgotten(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Another server of the same name: there is a full handshake."""
        context = client_context(certificates)
        settings = self.settings(certificates)
        with peer.server(settings) as server:
            session = visit(server, context).conn.session
        with peer.server(settings) as server:
            endpoint = visit(server, context, session)
        assert_resumed(endpoint, False)
        assert len(endpoint.conn.verified_chain) == 3

    def test_server_without_tickets(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(NO_TICKETS)
        with peer.server(self.settings(certificates, tickets=0)) as server:
            endpoint = visit(server, client_context(certificates))
        assert endpoint.conn.session is None
        assert endpoint.conn.sessions == ()

    def test_psk_ke(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(PSK_KE)
        context = client_context(certificates, psk_key_exchange_modes=["psk_ke"])
        settings = self.settings(certificates, psk_ke=True)
        assert self.return_to(peer, settings, context).conn.group is None


class TestFasthsServesAgain:
    """fasths as the server, the peer as a client that comes back."""

    def settings(self, certificates: Certificates, **options) -> Settings:
        return Settings(**{"trust": certificates.authority.file, **options})

    def both(
        self,
        peer: FeaturePeer,
        settings: Settings,
        context: fasths.Context,
        later: fasths.Context | None = None,
        handler: Handler = echo,
    ) -> Served:
        """The second of two connections; it has the Context `later`."""
        with (
            FasthsServer(context, handler, later=later) as server,
            peer.returning(server.port, settings) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA, client.log.text
            client.finish()
            first, second = server.all_served(2)
        assert first.error is None
        assert second.error is None
        assert_resumed(first.endpoint, False)
        return second

    def resumed(
        self,
        peer: FeaturePeer,
        settings: Settings,
        context: fasths.Context,
        later: fasths.Context | None = None,
        handler: Handler = echo,
    ) -> Served:
        served = self.both(peer, settings, context, later, handler)
        assert_resumed(served.endpoint)
        return served

    def test_resumption(self, peer: FeaturePeer, certificates: Certificates) -> None:
        served = self.resumed(peer, self.settings(certificates), server_context(certificates))
        assert served.conn.group is not None
        assert served.conn.server_name == "localhost"

    def test_stateful_tickets(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = server_context(certificates, session_store=fasths.MemorySessionStore())
        self.resumed(peer, self.settings(certificates), context)

    def test_many_tickets(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = server_context(certificates, session_tickets=9)
        self.resumed(peer, self.settings(certificates), context)

    def test_shared_ticket_keys(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Two servers, of which the second knows the keys of the first."""
        keys = fasths.TicketKeys()
        first = server_context(certificates, ticket_keys=keys)
        copied = fasths.TicketKeys.from_bytes(keys.to_bytes())
        second = server_context(certificates, ticket_keys=copied)
        self.resumed(peer, self.settings(certificates), first, second)

    def test_rotated_ticket_keys(self, peer: FeaturePeer, certificates: Certificates) -> None:
        keys = fasths.TicketKeys()
        first = server_context(certificates, ticket_keys=keys)
        rotated = fasths.TicketKeys.from_bytes(keys.to_bytes())
        rotated.rotate()
        second = server_context(certificates, ticket_keys=rotated)
        self.resumed(peer, self.settings(certificates), first, second)

    def test_unknown_ticket_keys(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """There is a full handshake."""
        contexts = server_context(certificates), server_context(certificates)
        served = self.both(peer, self.settings(certificates), *contexts)
        assert_resumed(served.endpoint, False)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: FeaturePeer, certificates: Certificates, suite: str) -> None:
        choose_here = {} if peer.can_choose_suite else {"cipher_suites": [suite]}
        settings = self.settings(certificates, suite=suite)
        served = self.resumed(peer, settings, server_context(certificates, **choose_here))
        assert served.conn.cipher_suite == CipherSuite[suite]

    def test_another_cipher_suite(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """Of the same hash, which is what a session is bound to (RFC 8446, 4.6.1)."""
        served = self.both_suites(
            peer, certificates, "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"
        )
        assert_resumed(served.endpoint)

    def test_cipher_suite_of_another_hash(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        """There is a full handshake."""
        served = self.both_suites(
            peer, certificates, "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
        )
        assert_resumed(served.endpoint, False)

    def both_suites(self, peer: FeaturePeer, certificates: Certificates, *suites: str) -> Served:
        keys = fasths.TicketKeys()
        contexts = [
            server_context(certificates, ticket_keys=keys, cipher_suites=[suite])
            for suite in suites
        ]
        served = self.both(peer, self.settings(certificates), *contexts)
        assert served.conn.cipher_suite == CipherSuite[suites[1]]
        return served

    @pytest.mark.parametrize("retry_with_cookie", [False, True])
    def test_hello_retry_request(
        self, peer: FeaturePeer, certificates: Certificates, retry_with_cookie: bool
    ) -> None:
        settings = self.settings(certificates, groups=("x25519", "secp384r1"))
        keys = fasths.TicketKeys()
        contexts = [
            server_context(certificates, ticket_keys=keys, **options)
            for options in ({}, {"groups": ["secp384r1"], "retry_with_cookie": retry_with_cookie})
        ]
        served = self.resumed(peer, settings, *contexts)
        assert served.conn.group == NamedGroup.secp384r1
        assert served.endpoint.hello_retried

    def test_client_certificate(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """The session has what the server knows of the client."""
        credential = certificates.authority.leaf("ecdsa384")
        context = server_context(certificates, verify=Verify.REQUIRED)
        settings = self.settings(certificates, credential=credential)
        served = self.resumed(peer, settings, context)
        assert served.endpoint.count("sent", "certificate_request") == 0
        expected = tuple(identity(credential).certificates)
        assert served.conn.peer_certificates == expected
        assert len(served.conn.verified_chain) == 3

    def test_session_without_a_required_certificate(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        """A session of a client that was not asked does not pass for one that was."""
        keys = fasths.TicketKeys()
        credential = certificates.authority.leaf("ecdsa384")
        served = self.both(
            peer,
            self.settings(certificates, credential=credential),
            server_context(certificates, ticket_keys=keys),
            server_context(certificates, ticket_keys=keys, verify=Verify.REQUIRED),
        )
        assert_resumed(served.endpoint, False)
        assert served.conn.peer_certificates == identity(credential).certificates
        assert len(served.conn.verified_chain) == 3

    def test_tickets_that_are_sent_later(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        def handler(endpoint: Endpoint) -> None:
            assert endpoint.count("sent", "new_session_ticket") == 0
            assert endpoint.conn.send_session_tickets(2) == 1
            assert endpoint.count("sent", "new_session_ticket") == 2
            echo(endpoint)

        context = server_context(certificates, session_tickets=0)
        self.resumed(peer, self.settings(certificates), context, handler=handler)

    def test_alpn(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = self.settings(certificates, alpn=("first", "second"))
        served = self.resumed(peer, settings, server_context(certificates, alpn=["second"]))
        assert served.conn.alpn_protocol == "second"

    def test_psk_ke(self, peer: FeaturePeer, certificates: Certificates) -> None:
        peer.need(PSK_KE)
        context = server_context(certificates, psk_key_exchange_modes=["psk_ke"])
        served = self.resumed(peer, self.settings(certificates, psk_ke=True), context)
        assert served.conn.group is None
