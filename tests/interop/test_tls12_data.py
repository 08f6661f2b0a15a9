"""What goes over an established connection of TLS 1.2: data, ends, and wishes to renegotiate."""

import os
from typing import Any

import pytest
from helpers import records

import fasths
from fasths import AlertDescription, CipherSuite, SSLErrorCode

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect, echo, echo_after
from .feature_peers import (
    LINE,
    FeatureGnuTLS,
    FeatureGo,
    FeatureOpenSSL,
    FeaturePeer,
    FeatureStdlib,
    with_peers,
)
from .in_process_peers import PyOpenSSL, Tlslite
from .matrix import (
    DATA,
    MEBIBYTE,
    assert_peer_alert,
    assert_truncated,
    payload,
    serve,
    talk_to,
)
from .peers import StdlibEndpoint
from .relay import Relay
from .tls12 import (
    ALL_PEERS,
    CIPHERS,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
)

pytestmark = pytest.mark.timeout(300)

EXECUTED = b"Successfully executed command\n"
NO_RENEGOTIATION = AlertDescription.no_renegotiation
LARGE = payload(MEBIBYTE)
BY_CIPHER = pytest.mark.parametrize("cipher", CIPHERS)


@ALL_PEERS
class TestData:
    def size(self, peer: FeaturePeer) -> int:
        """tlslite-ng encrypts in Python alone."""
        return MEBIBYTE // 32 if peer.name == "tlslite-ng" else MEBIBYTE

    @BY_CIPHER
    def test_client(self, peer: FeaturePeer, certificates: Certificates, cipher: str) -> None:
        data = LARGE[: self.size(peer)]
        suite = f"TLS_ECDHE_ECDSA_WITH_{cipher}"
        settings = peer_serves(certificates, suite=suite, echo_after=len(data))
        endpoint = talk_to(peer, settings, our_client(certificates), data)
        assert endpoint.conn.cipher_suite == CipherSuite[suite]

    @BY_CIPHER
    def test_server(self, peer: FeaturePeer, certificates: Certificates, cipher: str) -> None:
        data = LARGE[: self.size(peer)]
        suite = f"TLS_ECDHE_ECDSA_WITH_{cipher}"
        settings = peer_visits(certificates, suite=suite)
        served = serve(peer, settings, our_server(certificates), data)
        assert served.conn.cipher_suite == CipherSuite[suite]

    def test_many_small_writes_of_a_client(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        pieces = [os.urandom(length // 2).hex().encode() + b"\n" for length in range(200)]
        with (
            peer.server(peer_serves(certificates)) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            for piece in pieces:
                endpoint.send(piece)
            assert endpoint.receive(sum(map(len, pieces))) == b"".join(pieces)
            endpoint.close()

    def test_many_small_writes_of_a_server(
        self, peer: FeaturePeer, certificates: Certificates
    ) -> None:
        def trickle(endpoint: Endpoint) -> None:
            received = endpoint.receive(len(DATA))
            for at in range(len(received)):
                endpoint.send(received[at : at + 1])
            echo(endpoint)

        with (
            FasthsServer(our_server(certificates), trickle) as server,
            peer.client(server.port, peer_visits(certificates)) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA
            client.finish()
            assert server.served().error is None


class TestShortRecords:
    """That the peer makes, handshake and all."""

    EXTRA = ("-max_send_frag", "512")

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_client(self, openssl: FeatureOpenSSL, certificates: Certificates, kind: str) -> None:
        settings = peer_serves(
            certificates,
            kind,
            extra=self.EXTRA,
            trust=certificates.authority.file,
            require_client_certificate=True,
        )
        talk_to(openssl, settings, our_server(certificates), LARGE[: MEBIBYTE // 8])

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_server(self, openssl: FeatureOpenSSL, certificates: Certificates, kind: str) -> None:
        credential = certificates.authority.leaf(kind)
        settings = peer_visits(certificates, extra=self.EXTRA, credential=credential)
        context = our_server(certificates, verify=fasths.Verify.REQUIRED)
        serve(openssl, settings, context, LARGE[: MEBIBYTE // 8])

    def test_max_fragment_length(self, openssl: FeatureOpenSSL, certificates: Certificates) -> None:
        """RFC 6066, 4, which is offered in vain."""
        settings = peer_visits(certificates, extra=("-maxfraglen", "512"))
        serve(openssl, settings, our_server(certificates), LARGE[: MEBIBYTE // 16])

    @pytest.mark.parametrize("size", [512, 1000])
    def test_client_of_tlslite(
        self, tlslite: Tlslite, certificates: Certificates, size: int
    ) -> None:
        def serve_shortly(endpoint: Any) -> None:
            endpoint.connection.recordSize = size
            endpoint.echo(settings)

        data = LARGE[: MEBIBYTE // 64]
        settings = peer_serves(certificates)
        with (
            tlslite.server(settings, serve_shortly) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.exchange(data, 4096) == data
            endpoint.close()


def test_dynamic_record_sizing(openssl: FeatureOpenSSL, certificates: Certificates) -> None:
    """The first records of a server are short."""
    data = LARGE[: MEBIBYTE // 16]
    context = our_server(certificates, dynamic_record_sizing=True)
    with (
        FasthsServer(context, echo_after(len(data))) as server,
        Relay(server.port) as relay,
        openssl.client(relay.port, peer_visits(certificates)) as client,
    ):
        client.send(data)
        assert client.receive(len(data)) == data, client.log.text
        client.finish()
        assert server.served().error is None
        lengths = [len(fragment) for kind, fragment in records(relay.streams[0][1]) if kind == 23]
    assert max(lengths) < 1500


class TestHalfClose:
    """close_notify ends one direction (RFC 5246, 7.2.1, as RFC 8446 and these peers see it)."""

    def assert_answered(self, endpoint: Endpoint) -> None:
        endpoint.handshake()
        endpoint.send(LARGE)
        assert endpoint.shutdown() == 0
        assert endpoint.receive(len(LARGE) + 1) == LARGE
        assert endpoint.shutdown() == 1

    def test_client_of_stdlib(self, stdlib: FeatureStdlib, certificates: Certificates) -> None:
        def answer_at_the_end(endpoint: StdlibEndpoint) -> None:
            received = endpoint.receive(len(LARGE) + 1)
            endpoint.send(received)
            endpoint.finish()

        with (
            stdlib.server(peer_serves(certificates), answer_at_the_end) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            self.assert_answered(endpoint)

    def test_client_of_go(self, go: FeatureGo, certificates: Certificates) -> None:
        with (
            go.server(peer_serves(certificates)) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            self.assert_answered(endpoint)

    def test_server_that_has_ended(self, stdlib: FeatureStdlib, certificates: Certificates) -> None:
        """The client goes on sending after it has read the server's close_notify."""

        def handler(endpoint: Endpoint) -> None:
            endpoint.send(DATA)
            assert endpoint.shutdown() == 0
            assert endpoint.receive(len(LARGE) + 1) == LARGE
            assert endpoint.shutdown() == 1

        with (
            FasthsServer(our_server(certificates), handler) as server,
            stdlib.client(server.port, peer_visits(certificates)) as client,
        ):
            assert client.receive(len(DATA) + 1) == DATA
            client.send(LARGE)
            client.finish()
            assert server.served().error is None

    @with_peers("gnutls", "go")
    def test_client_that_has_ended(self, peer: FeaturePeer, certificates: Certificates) -> None:
        """It goes on reading."""

        def handler(endpoint: Endpoint) -> None:
            received = endpoint.receive(len(DATA) + 1)
            endpoint.send(received)
            endpoint.close()

        with (
            FasthsServer(our_server(certificates), handler) as server,
            peer.client(server.port, peer_visits(certificates)) as client,
        ):
            client.send(DATA)
            client.end_input()
            assert client.receive(len(DATA) + 1) == DATA
            assert client.wait() == 0
            assert server.served().error is None


class TestEnds:
    def test_client(self, stdlib: FeatureStdlib, certificates: Certificates) -> None:
        def serve_and_close(endpoint: StdlibEndpoint) -> None:
            endpoint.send(DATA)
            endpoint.finish()

        with stdlib.server(peer_serves(certificates), serve_and_close) as server:
            with connect(our_client(certificates), server.port) as endpoint:
                endpoint.handshake()
                assert endpoint.receive(len(DATA) + 1) == DATA
                assert endpoint.conn.get_error(0) == SSLErrorCode.ZERO_RETURN
                assert endpoint.shutdown() == 1
            assert server.log.text == ""

    def test_server(self, openssl: FeatureOpenSSL, certificates: Certificates) -> None:
        def handler(endpoint: Endpoint) -> None:
            endpoint.send(DATA)
            endpoint.close()

        with (
            FasthsServer(our_server(certificates), handler) as server,
            openssl.client(server.port, peer_visits(certificates)) as client,
        ):
            assert client.receive(len(DATA) + 1) == DATA
            assert client.wait() == 0
            assert server.served().error is None

    def test_truncation_at_a_client(
        self, stdlib: FeatureStdlib, certificates: Certificates
    ) -> None:
        def serve_and_go(endpoint: StdlibEndpoint) -> None:
            endpoint.send(DATA)
            endpoint.truncate()

        with (
            stdlib.server(peer_serves(certificates), serve_and_go) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.receive(len(DATA)) == DATA
            assert_truncated(endpoint)

    def test_truncation_at_a_server(
        self, stdlib: FeatureStdlib, certificates: Certificates
    ) -> None:
        def handler(endpoint: Endpoint) -> None:
            assert endpoint.receive(len(DATA)) == DATA
            assert_truncated(endpoint)

        with (
            FasthsServer(our_server(certificates), handler) as server,
            stdlib.client(server.port, peer_visits(certificates)) as client,
        ):
            client.send(DATA)
            client.truncate()
            assert server.served().error is None


class TestRenegotiationOfAServer:
    """A HelloRequest (RFC 5246, 7.4.1.1) is answered with no_renegotiation."""

    def test_connection_survives(self, tlslite: Tlslite, certificates: Certificates) -> None:
        messages = pytest.importorskip("tlslite.messages")

        def ask_and_echo(endpoint: Any) -> None:
            for _ in range(2):
                data = endpoint.receive(len(DATA))
                send_message(endpoint, messages.HelloRequest().create())
                # The client reads the request before the data, and then it sends more.
                endpoint.send(data)
                endpoint.log.add(f"{receive_alert(endpoint)!r}\n")
            endpoint.echo(settings)

        settings = peer_serves(certificates)
        with (
            tlslite.server(settings, ask_and_echo) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            for times in (1, 2, 2):
                assert endpoint.exchange(DATA, len(DATA)) == DATA
                assert endpoint.alerts("sent") == [NO_RENEGOTIATION] * times
            endpoint.close()
        assert server.log.text == "Alert(level=1, description=100)\n" * 2

    @pytest.mark.parametrize("command", [b"r\n", b"R\n"])
    def test_openssl_gives_up(
        self, openssl: FeatureOpenSSL, certificates: Certificates, command: bytes
    ) -> None:
        """It makes a fatal alert of the refusal. R: with a request for a certificate."""
        with (
            openssl.server_process(peer_serves(certificates)) as (port, process),
            connect(our_client(certificates), port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(LINE)
            process.wait_for_data(LINE)
            process.send(command)
            with pytest.raises(fasths.TLSError) as ended:
                endpoint.receive(1)
            process.log.wait_for("no renegotiation")
        assert endpoint.alerts("sent") == [NO_RENEGOTIATION]
        assert_peer_alert(ended.value, "handshake_failure")

    def test_gnutls_gives_up(self, gnutls: FeatureGnuTLS, certificates: Certificates) -> None:
        with (
            gnutls.server(peer_serves(certificates)) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(b"**REHANDSHAKE**\n")
            assert endpoint.receive(len(EXECUTED)) == EXECUTED
            server.log.wait_for(r"Alert\[1\|100\] - No renegotiation is allowed - was received")
            with pytest.raises(fasths.TransportError):
                endpoint.receive(1)
        assert endpoint.alerts("sent") == [NO_RENEGOTIATION]


class TestRenegotiationOfAClient:
    """Another ClientHello is answered with no_renegotiation (RFC 5746, 4.5)."""

    def test_connection_survives(self, tlslite: Tlslite, certificates: Certificates) -> None:
        messages = pytest.importorskip("tlslite.messages")
        hello = messages.ClientHello().create((3, 3), bytearray(32), bytearray(), [0xC02B])
        with (
            FasthsServer(our_server(certificates)) as server,
            tlslite.client(server.port, peer_visits(certificates)) as client,
        ):
            for _ in range(2):
                send_message(client, hello)
                alert = receive_alert(client)
                assert (alert.level, alert.description) == (1, NO_RENEGOTIATION)
                client.send(DATA)
                assert client.receive(len(DATA)) == DATA
            client.finish()
            served = server.served()
        assert served.error is None
        assert served.endpoint.alerts("sent")[:2] == [NO_RENEGOTIATION] * 2

    def test_openssl_gives_up(self, openssl: FeatureOpenSSL, certificates: Certificates) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            openssl.client(server.port, peer_visits(certificates), mode=()) as client,
        ):
            client.send(LINE)
            client.wait_for_data(LINE)
            client.send(b"R\n")
            client.log.wait_for(r"(?s)RENEGOTIATING.*no renegotiation")
            served = server.served()
        assert served.endpoint.alerts("sent") == [NO_RENEGOTIATION]
        assert_peer_alert(served.error, "handshake_failure")

    def test_pyopenssl_gives_up(self, pyopenssl: PyOpenSSL, certificates: Certificates) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            pyopenssl.client(server.port, peer_visits(certificates)) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA
            assert client.connection.renegotiate()
            with client.logged():
                client.connection.do_handshake()
            assert "no renegotiation" in client.log.text
            served = server.served()
        assert served.endpoint.alerts("sent") == [NO_RENEGOTIATION]
        assert_peer_alert(served.error, "handshake_failure")

    def test_gnutls_insists(self, gnutls: FeatureGnuTLS, certificates: Certificates) -> None:
        settings = peer_visits(certificates, extra=("--inline-commands",))
        with (
            FasthsServer(our_server(certificates)) as server,
            gnutls.client(server.port, settings) as client,
        ):
            client.send(LINE)
            assert client.receive(len(LINE)) == LINE
            client.send(b"^renegotiate^\n")
            client.log.wait_for("No renegotiation is allowed")
            served = server.served()
        assert served.endpoint.alerts("sent")[0] == NO_RENEGOTIATION


def send_message(endpoint: Any, message: Any) -> None:
    """A handshake message by tlslite-ng, whatever its state is."""
    for _ in endpoint.connection._sendMsg(message):
        pass


def receive_alert(endpoint: Any) -> Any:
    """tlslite-ng closes for a warning that it does not wait for."""
    alert_type = fasths.ContentType.alert
    return next(
        message for message in endpoint.connection._getMsg(alert_type) if message not in (0, 1)
    )
