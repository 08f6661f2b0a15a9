"""What every peer is tried with, in both roles; the modules of the peers derive their tests of it.

A class that derives from one of these has a fixture `peer`. What a peer cannot do is skipped, and
says so.
"""

import functools
import os

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

import fasths
from fasths import (
    AlertDescription,
    CipherSuite,
    NamedGroup,
    SignatureScheme,
    SSLErrorCode,
    TLSVersion,
    Verify,
)
from fasths.wire import errors

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, Served, connect, echo, echo_after
from .peers import GROUPS, ONLY_TLS12, SCHEMES, SUITES, Credential, Peer, Server, Settings

LINE = 64
MEBIBYTE = 1 << 20


def payload(size: int) -> bytes:
    """Random lines of text; gnutls-serv echoes only what ends with a line."""
    digits = os.urandom((size + 1) // 2).hex().encode()
    return b"".join(digits[at : at + LINE - 1] + b"\n" for at in range(0, size, LINE))


DATA = payload(10 * LINE)


@functools.cache  # it takes time to check an RSA key
def identity(credential: Credential) -> fasths.Identity:
    return fasths.Identity.from_pem(credential.chain, credential.key)


def public_key(credential: Credential) -> bytes:
    key = load_pem_private_key(credential.key, None).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def client_context(certificates: Certificates, **options) -> fasths.Context:
    trust = fasths.TrustStore.from_pem(certificates.authority.pem)
    return fasths.Context(
        **{"trust": trust, "minimum_version": TLSVersion.TLSv1_3, **options},
    )


def server_context(certificates: Certificates, kind: str = "ecdsa", **options) -> fasths.Context:
    identities = [identity(certificates.authority.leaf(kind))]
    return client_context(certificates, **{"identities": identities, **options})


def refused(endpoint: Endpoint) -> fasths.TLSError:
    """How the peer's refusal of a client's certificate arrives: after the client's own Finished."""
    try:
        endpoint.handshake()
        received = endpoint.receive(1)
    except fasths.TLSError as error:
        return error
    pytest.fail(f"the peer refused nothing, and sent {received!r}")


def assert_peer_alert(error: BaseException | None, *alerts: str) -> None:
    assert isinstance(error, fasths.PeerAlert), error
    assert error.origin == fasths.Origin.PEER
    assert error.alert in [AlertDescription[alert] for alert in alerts], error


def assert_refused_chain(error: BaseException | None, alert: str) -> None:
    assert isinstance(error, fasths.CertificateError), error
    assert error.origin == fasths.Origin.LOCAL
    assert error.alert == AlertDescription[alert]


def assert_truncated(endpoint: Endpoint) -> None:
    """What comes next is the end of the transport, without close_notify."""
    ret = endpoint.conn.read_into(bytearray(1))
    assert ret == -1
    assert endpoint.conn.get_error(ret) == SSLErrorCode.SSL
    error = endpoint.conn.last_error
    assert isinstance(error, fasths.TransportError)
    assert error.origin == fasths.Origin.TRANSPORT
    assert error.os_error is None
    assert endpoint.alerts("sent") == []


def visit(
    server: Server, context: fasths.Context, session: fasths.Session | None = None
) -> Endpoint:
    """A client's connection, with a session to resume, to a server of the peer."""
    with connect(context, server.port) as endpoint:
        if session is not None:
            endpoint.conn.set_session(session)
        endpoint.handshake()
        # The tickets come before the echo.
        assert endpoint.exchange(DATA, server.window) == DATA
        endpoint.close()
    assert endpoint.conn.last_error is None
    return endpoint


def talk_to(
    peer: Peer, settings: Settings, context: fasths.Context, data: bytes = DATA
) -> Endpoint:
    """A client's connection to the peer, which echoes."""
    with peer.server(settings) as server, connect(context, server.port) as endpoint:
        endpoint.handshake()
        assert endpoint.exchange(data, server.window) == data
        endpoint.close()
    assert endpoint.conn.version == settings.versions[1]
    assert endpoint.conn.last_error is None
    return endpoint


def serve(peer: Peer, settings: Settings, context: fasths.Context, data: bytes = DATA) -> Served:
    """A server's connection with the peer, which gets its data back."""
    with FasthsServer(context, echo_after(len(data))) as server:
        with peer.client(server.port, settings) as client:
            client.send(data)
            assert client.receive(len(data)) == data, client.log.text
            client.finish()
        served = server.served()
    assert served.error is None
    assert served.conn.version == settings.versions[1]
    return served


class FasthsClient:
    """fasths as the client, the peer as the server."""

    def settings(self, certificates: Certificates, kind: str = "ecdsa", **options) -> Settings:
        return Settings(credential=certificates.authority.leaf(kind), **options)

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: Peer, certificates: Certificates, suite: str) -> None:
        choose_here = {} if peer.can_choose_suite else {"cipher_suites": [suite]}
        settings = self.settings(certificates, suite=suite)
        endpoint = talk_to(peer, settings, client_context(certificates, **choose_here))
        assert endpoint.conn.cipher_suite == CipherSuite[suite]

    @pytest.mark.parametrize("group", GROUPS)
    def test_group(self, peer: Peer, certificates: Certificates, group: str) -> None:
        peer.need(group)
        settings = self.settings(certificates, groups=(group,))
        context = client_context(certificates, groups=[group], key_share_groups=[group])
        endpoint = talk_to(peer, settings, context)
        assert endpoint.conn.group == NamedGroup[group]
        assert not endpoint.hello_retried

    @pytest.mark.parametrize("group", GROUPS)
    def test_hello_retry_request(self, peer: Peer, certificates: Certificates, group: str) -> None:
        peer.need(group)
        first = "secp256r1" if group == "x25519" else "x25519"
        settings = self.settings(certificates, groups=(group,))
        context = client_context(certificates, groups=GROUPS, key_share_groups=[first])
        endpoint = talk_to(peer, settings, context)
        assert endpoint.conn.group == NamedGroup[group]
        assert endpoint.hello_retried
        assert endpoint.count("sent", "client_hello") == 2

    def test_hello_retry_request_for_no_share(self, peer: Peer, certificates: Certificates) -> None:
        context = client_context(certificates, key_share_groups=[])
        assert talk_to(peer, self.settings(certificates), context).hello_retried

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_server_certificate(self, peer: Peer, certificates: Certificates, scheme: str) -> None:
        peer.need(scheme)
        # The authority's own signatures must be acceptable too.
        schemes = dict.fromkeys([scheme, "ecdsa_secp256r1_sha256"])
        settings = self.settings(
            certificates, SCHEMES[scheme], scheme=scheme if peer.can_choose_scheme else None
        )
        choose_here = {} if peer.can_choose_scheme else {"signature_schemes": list(schemes)}
        endpoint = talk_to(peer, settings, client_context(certificates, **choose_here))
        assert endpoint.conn.signature_scheme == SignatureScheme[scheme]
        assert len(endpoint.conn.verified_chain) == 3

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_client_certificate(self, peer: Peer, certificates: Certificates, scheme: str) -> None:
        peer.need(scheme)
        settings = self.settings(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        context = client_context(
            certificates,
            identities=[identity(certificates.authority.leaf(SCHEMES[scheme]))],
            signature_schemes=list(dict.fromkeys([scheme, "ecdsa_secp256r1_sha256"])),
        )
        endpoint = talk_to(peer, settings, context)
        assert endpoint.count("received", "certificate_request") == 1
        (sent,) = [
            data
            for direction, _, data in endpoint.messages
            if direction == "sent" and data[0] == fasths.HandshakeType.certificate_verify
        ]
        assert int.from_bytes(sent[4:6]) == SignatureScheme[scheme]

    def test_peer_requires_a_certificate(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        with (
            peer.server(settings) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), "certificate_required")

    def test_peer_refuses_the_certificate(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(
            certificates, trust=certificates.authority.file, require_client_certificate=True
        )
        stranger = identity(certificates.stranger.leaf("ecdsa"))
        with (
            peer.server(settings) as server,
            connect(client_context(certificates, identities=[stranger]), server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), peer.server_refusal)

    def test_alpn(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, alpn=("second",))
        context = client_context(certificates, alpn=["first", "second"])
        assert talk_to(peer, settings, context).conn.alpn_protocol == "second"

    def test_alpn_without_overlap(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, alpn=("theirs",))
        context = client_context(certificates, alpn=["ours"])
        if not peer.alpn_mismatch_is_fatal:
            assert talk_to(peer, settings, context).conn.alpn_protocol is None
            return
        with peer.server(settings) as server, connect(context, server.port) as endpoint:
            assert_peer_alert(refused(endpoint), "no_application_protocol")

    def test_large_data(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, echo_after=MEBIBYTE)
        talk_to(peer, settings, client_context(certificates), payload(MEBIBYTE))

    def test_many_small_writes(self, peer: Peer, certificates: Certificates) -> None:
        pieces = [os.urandom(length // 2).hex().encode() + b"\n" for length in range(300)]
        with (
            peer.server(self.settings(certificates)) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            for piece in pieces:
                endpoint.send(piece)
            assert endpoint.receive(sum(map(len, pieces))) == b"".join(pieces)
            endpoint.close()

    @pytest.mark.parametrize("request_peer", [False, True])
    def test_key_update_sent(
        self, peer: Peer, certificates: Certificates, request_peer: bool
    ) -> None:
        with (
            peer.server(self.settings(certificates)) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            for times in (1, 2, 3):
                assert endpoint.conn.key_update(request_peer=request_peer) == 1
                assert endpoint.exchange(DATA, server.window) == DATA
                assert endpoint.count("sent", "key_update") == times
                assert endpoint.count("received", "key_update") == times * request_peer
            endpoint.close()

    def test_unknown_authority(self, peer: Peer, certificates: Certificates) -> None:
        trust = fasths.TrustStore.from_pem(certificates.stranger.pem)
        with peer.server(self.settings(certificates)) as server:
            context = client_context(certificates, trust=trust)
            with connect(context, server.port) as endpoint:
                assert_refused_chain(refused(endpoint), "unknown_ca")
            server.log.wait_for(peer.alert_pattern("unknown_ca"))

    def test_wrong_host_name(self, peer: Peer, certificates: Certificates) -> None:
        with peer.server(self.settings(certificates)) as server:
            context = client_context(certificates)
            with connect(context, server.port, "other.example") as endpoint:
                error = refused(endpoint)
                assert_refused_chain(error, "bad_certificate")
                assert error.verify_code == 62  # X509_V_ERR_HOSTNAME_MISMATCH
            server.log.wait_for(peer.alert_pattern("bad_certificate"))

    def test_peer_without_tls13(self, peer: Peer, certificates: Certificates) -> None:
        with (
            peer.server(self.settings(certificates, versions=ONLY_TLS12)) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            assert_peer_alert(refused(endpoint), peer.version_refusal)


class FasthsServes:
    """fasths as the server, the peer as the client."""

    def refuse(self, peer: Peer, settings: Settings, context: fasths.Context, *alerts: str):
        """The peer is refused, and sees one of the alerts."""
        with FasthsServer(context) as server, peer.client(server.port, settings) as client:
            client.send(DATA)
            assert client.receive(1) == b""
            client.log.wait_for("|".join(map(peer.alert_pattern, alerts)))
            return server.served().error

    def settings(self, certificates: Certificates, **options) -> Settings:
        return Settings(**{"trust": certificates.authority.file, **options})

    @pytest.mark.parametrize("suite", SUITES)
    def test_cipher_suite(self, peer: Peer, certificates: Certificates, suite: str) -> None:
        choose_here = {} if peer.can_choose_suite else {"cipher_suites": [suite]}
        settings = self.settings(certificates, suite=suite)
        served = serve(peer, settings, server_context(certificates, **choose_here))
        assert served.conn.cipher_suite == CipherSuite[suite]

    @pytest.mark.parametrize("group", GROUPS)
    def test_group(self, peer: Peer, certificates: Certificates, group: str) -> None:
        peer.need(group)
        settings = self.settings(certificates, groups=(group,))
        served = serve(peer, settings, server_context(certificates))
        assert served.conn.group == NamedGroup[group]
        assert not served.endpoint.hello_retried

    @pytest.mark.parametrize("group", GROUPS)
    def test_hello_retry_request(self, peer: Peer, certificates: Certificates, group: str) -> None:
        peer.need(group)
        first = "secp256r1" if group == "x25519" else "x25519"
        if group in peer.always_starts_with:
            pytest.skip(f"the client of {peer.name} always starts with {group}")
        settings = self.settings(certificates, groups=(first, group))
        served = serve(peer, settings, server_context(certificates, groups=[group]))
        assert served.conn.group == NamedGroup[group]
        assert served.endpoint.hello_retried
        assert served.endpoint.count("received", "client_hello") == 2

    @pytest.mark.parametrize("group", [None, "secp384r1"])
    def test_hello_retry_request_with_cookie(
        self, peer: Peer, certificates: Certificates, group: str | None
    ) -> None:
        """A cookie alone, and a cookie with another group than the client has begun with."""
        if group is None and not peer.takes_cookie_alone:
            pytest.skip(f"the client of {peer.name} refuses a HelloRetryRequest without a group")
        settings = self.settings(certificates, groups=("x25519", "secp384r1"))
        groups = GROUPS if group is None else [group]
        context = server_context(certificates, retry_with_cookie=True, groups=groups)
        served = serve(peer, settings, context)
        assert served.conn.group == NamedGroup[group or "x25519"]
        assert served.endpoint.hello_retried

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_server_certificate(self, peer: Peer, certificates: Certificates, scheme: str) -> None:
        peer.need(scheme)
        context = server_context(certificates, SCHEMES[scheme], signature_schemes=[scheme])
        served = serve(peer, self.settings(certificates), context)
        assert served.conn.signature_scheme == SignatureScheme[scheme]

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_client_certificate(self, peer: Peer, certificates: Certificates, scheme: str) -> None:
        peer.need(scheme)
        credential = certificates.authority.leaf(SCHEMES[scheme])
        # First this scheme; then that of the server's own certificate and of the authority.
        schemes = list(dict.fromkeys([scheme, "ecdsa_secp256r1_sha256"]))
        context = server_context(certificates, verify=Verify.REQUIRED, signature_schemes=schemes)
        served = serve(peer, self.settings(certificates, credential=credential), context)
        assert len(served.conn.verified_chain) == 3
        (verified,) = [
            data
            for direction, _, data in served.endpoint.messages
            if direction == "received" and data[0] == fasths.HandshakeType.certificate_verify
        ]
        assert int.from_bytes(verified[4:6]) == SignatureScheme[scheme]

    def test_client_certificate_is_required(self, peer: Peer, certificates: Certificates) -> None:
        context = server_context(certificates, verify=Verify.REQUIRED)
        error = self.refuse(peer, self.settings(certificates), context, "certificate_required")
        assert isinstance(error, errors.CertificateRequired), error

    def test_client_certificate_is_optional(self, peer: Peer, certificates: Certificates) -> None:
        context = server_context(certificates, verify=Verify.OPTIONAL)
        served = serve(peer, self.settings(certificates), context)
        assert served.endpoint.count("sent", "certificate_request") == 1
        assert served.conn.verified_chain is None

    def test_client_certificate_of_an_unknown_authority(
        self, peer: Peer, certificates: Certificates
    ) -> None:
        context = server_context(certificates, verify=Verify.REQUIRED)
        settings = self.settings(certificates, credential=certificates.stranger.leaf("ecdsa"))
        assert_refused_chain(self.refuse(peer, settings, context, "unknown_ca"), "unknown_ca")

    def test_alpn(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, alpn=("first", "second"))
        served = serve(peer, settings, server_context(certificates, alpn=["second"]))
        assert served.conn.alpn_protocol == "second"

    def test_alpn_without_overlap(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, alpn=("theirs",))
        context = server_context(certificates, alpn=["ours"])
        error = self.refuse(peer, settings, context, "no_application_protocol")
        assert isinstance(error, errors.NoApplicationProtocol), error

    def test_server_name(self, peer: Peer, certificates: Certificates) -> None:
        served = serve(peer, self.settings(certificates), server_context(certificates))
        assert served.conn.server_name == "localhost"

    def test_large_data(self, peer: Peer, certificates: Certificates) -> None:
        context = server_context(certificates)
        serve(peer, self.settings(certificates), context, payload(MEBIBYTE))

    def test_many_small_writes(self, peer: Peer, certificates: Certificates) -> None:
        data = payload(300 * LINE)

        def trickle(endpoint: Endpoint) -> None:
            received = endpoint.receive(len(data))
            for at in range(0, len(data), LINE - 1):
                endpoint.send(received[at : at + LINE - 1])
            echo(endpoint)

        with (
            FasthsServer(server_context(certificates), trickle) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            for at in range(0, len(data), LINE):
                client.send(data[at : at + LINE])
            assert client.receive(len(data)) == data
            client.finish()
            assert server.served().error is None

    @pytest.mark.parametrize("request_peer", [False, True])
    def test_key_update_sent(
        self, peer: Peer, certificates: Certificates, request_peer: bool
    ) -> None:
        def handler(endpoint: Endpoint) -> None:
            for _ in range(3):
                received = endpoint.receive(len(DATA))
                assert endpoint.conn.key_update(request_peer=request_peer) == 1
                endpoint.send(received)
            echo(endpoint)

        with (
            FasthsServer(server_context(certificates), handler) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            for _ in range(4):
                client.send(DATA)
                assert client.receive(len(DATA)) == DATA
            client.finish()
            served = server.served()
        assert served.error is None
        assert served.endpoint.count("sent", "key_update") == 3
        assert served.endpoint.count("received", "key_update") == 3 * request_peer

    def test_peer_does_not_know_the_authority(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, trust=certificates.stranger.file)
        with FasthsServer(server_context(certificates)) as server:
            with peer.client(server.port, settings) as client:
                client.finish()
            assert_peer_alert(server.served().error, peer.client_refusal)

    def test_peer_expects_another_host_name(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, server_name="other.example")
        with FasthsServer(server_context(certificates)) as server:
            with peer.client(server.port, settings) as client:
                client.finish()
            served = server.served()
        assert_peer_alert(served.error, "bad_certificate")
        assert served.conn.server_name == "other.example"

    def test_peer_without_tls13(self, peer: Peer, certificates: Certificates) -> None:
        settings = self.settings(certificates, versions=ONLY_TLS12)
        context = server_context(certificates)
        error = self.refuse(peer, settings, context, "protocol_version")
        assert isinstance(error, errors.ProtocolVersion), error
