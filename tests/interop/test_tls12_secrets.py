"""What is made of TLS 1.2's master secret: that both sides have the same, and that it is extended.

RFC 7627 (extended master secret), RFC 5705 (exporters), RFC 5929 (channel bindings).
"""

import queue
from pathlib import Path
from typing import Any

import pytest

import fasths

from .conftest import Certificates
from .endpoints import FasthsServer, connect
from .feature_peers import FeatureGnuTLS, FeatureOpenSSL, FeaturePeer, FeatureStdlib, with_peers
from .in_process_peers import PyOpenSSL, Tlslite
from .matrix import DATA, refused, serve, talk_to
from .peers import Go, StdlibEndpoint, go_report
from .processes import TIMEOUT, Log
from .tls12 import (
    ALL_PEERS,
    CIPHERS,
    assert_refused,
    our_client,
    our_server,
    peer_serves,
    peer_visits,
    refuse,
)

pytestmark = pytest.mark.timeout(300)

LABEL = b"EXPORTER-fasths"
CONTEXTS = (None, b"", b"context")
UNIQUE = "tls-unique"


@with_peers("gnutls", "stdlib", "pyopenssl", "tlslite")
class TestWithoutExtendedMasterSecret:
    """Of the other peers, neither openssl's programs nor Go's crypto/tls can do without."""

    def assert_nothing_is_derived(self, conn: fasths.Connection) -> None:
        """RFC 7627, 5.4: neither sessions nor what binds to the connection."""
        assert conn.extended_master_secret is False
        assert conn.session is None
        with pytest.raises(RuntimeError):
            conn.export_keying_material(LABEL, None, 32)
        with pytest.raises((RuntimeError, ValueError)):
            conn.channel_binding(UNIQUE)

    def test_client(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_serves(certificates, extended_master_secret=False)
        endpoint = talk_to(peer, settings, our_client(certificates))
        self.assert_nothing_is_derived(endpoint.conn)

    def test_server(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, extended_master_secret=False)
        served = serve(peer, settings, our_server(certificates))
        self.assert_nothing_is_derived(served.conn)
        assert served.endpoint.count("sent", "new_session_ticket") == 0

    def test_server_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_serves(certificates, extended_master_secret=False)
        context = our_client(certificates, require_extended_master_secret=True)
        with peer.server(settings) as server:
            with connect(context, server.port) as endpoint:
                assert_refused(refused(endpoint), "handshake_failure")
            server.log.wait_for(peer.alert_pattern("handshake_failure"))

    def test_client_is_refused(self, peer: FeaturePeer, certificates: Certificates) -> None:
        settings = peer_visits(certificates, extended_master_secret=False)
        context = our_server(certificates, require_extended_master_secret=True)
        error = refuse(peer, settings, context, "handshake_failure")
        assert_refused(error, "handshake_failure")


@ALL_PEERS
class TestRequiredExtendedMasterSecret:
    def test_client(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_client(certificates, require_extended_master_secret=True)
        assert talk_to(peer, peer_serves(certificates), context).conn.extended_master_secret

    def test_server(self, peer: FeaturePeer, certificates: Certificates) -> None:
        context = our_server(certificates, require_extended_master_secret=True)
        assert serve(peer, peer_visits(certificates), context).conn.extended_master_secret


def exported(conn: fasths.Connection) -> list[bytes]:
    return [conn.export_keying_material(LABEL, context, 32) for context in CONTEXTS]


class TestExporters:
    """Suites of both hashes."""

    SUITES = pytest.mark.parametrize(
        "suite", [f"TLS_ECDHE_ECDSA_WITH_{cipher}" for cipher in CIPHERS]
    )

    @SUITES
    def test_client_of_openssl(
        self, openssl: FeatureOpenSSL, certificates: Certificates, suite: str
    ) -> None:
        extra = ("-keymatexport", LABEL.decode(), "-keymatexportlen", "32")
        settings = peer_serves(certificates, suite=suite, extra=extra)
        with (
            openssl.server_process(settings) as (port, process),
            connect(our_client(certificates), port) as endpoint,
        ):
            endpoint.handshake()
            theirs = process.wait_for_data(rb"Keying material: ([0-9A-F]+)")[1]
            assert exported(endpoint.conn)[0] == bytes.fromhex(theirs.decode())
            endpoint.close()

    @SUITES
    def test_server_of_openssl(
        self, openssl: FeatureOpenSSL, certificates: Certificates, suite: str
    ) -> None:
        extra = ("-keymatexport", LABEL.decode(), "-keymatexportlen", "32")
        settings = peer_visits(certificates, suite=suite, extra=extra)
        with (
            FasthsServer(our_server(certificates)) as server,
            openssl.client(server.port, settings, mode=()) as client,
        ):
            theirs = client.wait_for_data(rb"Keying material: ([0-9A-F]+)")[1]
            ours = exported(server.established().conn)[0]
            client.finish()
            assert server.served().error is None
        assert ours == bytes.fromhex(theirs.decode())

    @SUITES
    def test_server_of_gnutls(
        self, gnutls: FeatureGnuTLS, certificates: Certificates, suite: str
    ) -> None:
        extra = ("--keymatexport", LABEL.decode(), "--keymatexportsize", "32")
        settings = peer_visits(certificates, suite=suite, extra=extra)
        with (
            FasthsServer(our_server(certificates)) as server,
            gnutls.client(server.port, settings) as client,
        ):
            ours = exported(server.established().conn)[0]
            client.finish()
            theirs = client.log.wait_for(r"Key material: ([0-9a-f]+)")[1]
            assert server.served().error is None
        assert ours.hex() == theirs

    @SUITES
    def test_client_of_go(self, go: Go, certificates: Certificates, suite: str) -> None:
        settings = peer_serves(certificates, suite=suite)
        with (
            go.server(settings) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert go_report(server.log)["exported"] == exported(endpoint.conn)[2].hex()
            endpoint.close()

    @SUITES
    def test_server_of_go(self, go: Go, certificates: Certificates, suite: str) -> None:
        settings = peer_visits(certificates, suite=suite)
        with (
            FasthsServer(our_server(certificates)) as server,
            go.client(server.port, settings) as client,
        ):
            ours = exported(server.established().conn)[2]
            assert go_report(client.log)["exported"] == ours.hex()
            client.finish()
            assert server.served().error is None

    def their_exported(self, endpoint: Any) -> list[bytes]:
        """Without a context, with an empty one, and with another."""
        connection = endpoint.connection
        return [connection.export_keying_material(LABEL, 32, context) for context in CONTEXTS]

    @SUITES
    def test_client_of_pyopenssl(
        self, pyopenssl: PyOpenSSL, certificates: Certificates, suite: str
    ) -> None:
        told: queue.Queue[list[bytes]] = queue.Queue()

        def tell(endpoint: Any) -> None:
            told.put(self.their_exported(endpoint))
            endpoint.echo(settings)

        settings = peer_serves(certificates, suite=suite)
        with (
            pyopenssl.server(settings, tell) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            ours = exported(endpoint.conn)
            assert ours == told.get(timeout=TIMEOUT)
            assert len(set(ours)) == 3
            endpoint.close()

    @SUITES
    def test_server_of_pyopenssl(
        self, pyopenssl: PyOpenSSL, certificates: Certificates, suite: str
    ) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            pyopenssl.client(server.port, peer_visits(certificates, suite=suite)) as client,
        ):
            ours = exported(server.established().conn)
            assert ours == self.their_exported(client)
            client.finish()

    def test_server_of_tlslite(self, tlslite: Tlslite, certificates: Certificates) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            tlslite.client(server.port, peer_visits(certificates)) as client,
        ):
            theirs = client.connection.keyingMaterialExporter(bytearray(LABEL), 32)
            assert exported(server.established().conn)[0] == theirs
            client.finish()


class TestUnique:
    """The tls-unique of both sides; Finished of the server comes first in a resumed session."""

    def test_client_of_stdlib(self, stdlib: FeatureStdlib, certificates: Certificates) -> None:
        told: queue.Queue[bytes] = queue.Queue()

        def tell(endpoint: StdlibEndpoint) -> None:
            assert endpoint.socket is not None
            told.put(endpoint.socket.get_channel_binding(UNIQUE))
            endpoint.finish()

        session = None
        with stdlib.server(peer_serves(certificates), tell) as server:
            for resumed in (False, True):
                with connect(our_client(certificates), server.port) as endpoint:
                    if session is not None:
                        endpoint.conn.set_session(session)
                    endpoint.handshake()
                    assert endpoint.conn.session_reused is resumed
                    assert endpoint.conn.channel_binding(UNIQUE) == told.get(timeout=TIMEOUT)
                    endpoint.close()
                    session = endpoint.conn.session

    def test_server_of_stdlib(self, stdlib: FeatureStdlib, certificates: Certificates) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            stdlib.returning(server.port, peer_visits(certificates)) as client,
        ):
            assert not server.established().conn.session_reused
            conn = server.established().conn
            assert conn.session_reused
            assert client.socket.get_channel_binding(UNIQUE) == conn.channel_binding(UNIQUE)
            client.finish()

    def test_client_of_pyopenssl(self, pyopenssl: PyOpenSSL, certificates: Certificates) -> None:
        told: queue.Queue[bytes] = queue.Queue()

        def tell(endpoint: Any) -> None:
            told.put(endpoint.connection.get_peer_finished())
            endpoint.finish()

        with (
            pyopenssl.server(peer_serves(certificates), tell) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.conn.channel_binding(UNIQUE) == told.get(timeout=TIMEOUT)
            endpoint.close()

    def test_server_of_pyopenssl(self, pyopenssl: PyOpenSSL, certificates: Certificates) -> None:
        """The server's Finished is the first of a session that is resumed."""
        with (
            FasthsServer(our_server(certificates)) as server,
            pyopenssl.returning(server.port, peer_visits(certificates)) as client,
        ):
            server.established()
            conn = server.established().conn
            assert conn.session_reused
            assert client.connection.get_peer_finished() == conn.channel_binding(UNIQUE)
            client.finish()

    def test_client_of_go(self, go: Go, certificates: Certificates) -> None:
        with (
            go.server(peer_serves(certificates)) as server,
            connect(our_client(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert go_report(server.log)["unique"] == endpoint.conn.channel_binding(UNIQUE).hex()
            endpoint.close()

    def test_server_of_go(self, go: Go, certificates: Certificates) -> None:
        with (
            FasthsServer(our_server(certificates)) as server,
            go.returning(server.port, peer_visits(certificates)) as client,
        ):
            server.established()
            conn = server.established().conn
            assert conn.session_reused
            assert go_report(client.log)["unique"] == conn.channel_binding(UNIQUE).hex()
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA
            client.finish()

    @pytest.mark.parametrize("name", ["tls-unique", "tls-server-end-point", "tls-exporter"])
    def test_server_of_gnutls(
        self, gnutls: FeatureGnuTLS, certificates: Certificates, name: str
    ) -> None:
        """All the bindings that gnutls-cli shows."""
        settings = peer_visits(certificates, extra=("--verbose",))
        with (
            FasthsServer(our_server(certificates)) as server,
            gnutls.client(server.port, settings) as client,
        ):
            ours = server.established().conn.channel_binding(name)
            client.finish()
            theirs = client.log.wait_for(f"'{name}': ([0-9a-f]+)")[1]
            assert server.served().error is None
        assert ours.hex() == theirs


class TestKeyLog:
    """Lines with CLIENT_RANDOM, of a full handshake and of one that resumes its session."""

    def test_client(
        self, stdlib: FeatureStdlib, certificates: Certificates, tmp_path: Path
    ) -> None:
        lines: list[str] = []
        context = our_client(
            certificates, keylog=lines.append, session_cache=fasths.MemorySessionCache()
        )
        with stdlib.server(peer_serves(certificates)) as server:
            server.context.keylog_filename = str(tmp_path / "keys")
            for resumed in (False, True):
                with connect(context, server.port) as endpoint:
                    endpoint.handshake()
                    endpoint.close()
                assert endpoint.conn.session_reused is resumed
        self.check(lines, tmp_path)

    def test_server(
        self, stdlib: FeatureStdlib, certificates: Certificates, tmp_path: Path
    ) -> None:
        lines: list[str] = []
        context = stdlib.context(peer_visits(certificates), server_side=False)
        context.keylog_filename = str(tmp_path / "keys")
        session = None
        with FasthsServer(our_server(certificates, keylog=lines.append)) as server:
            for _ in range(2):
                sock = stdlib.tcp(server.port)
                with StdlibEndpoint(context, sock, "localhost", Log(), session) as client:
                    assert client.socket is not None
                    session = client.socket.session
                    client.finish()
            assert [each.conn.session_reused for each in server.all_served(2)] == [False, True]
        self.check(lines, tmp_path)

    def check(self, ours: list[str], directory: Path) -> None:
        theirs = [
            line.lower()
            for line in (directory / "keys").read_text().splitlines()
            if not line.startswith("#")
        ]
        assert len(theirs) == 2
        assert all(line.startswith("client_random ") for line in theirs)
        assert [line.lower() for line in ours] == theirs
