"""openssl s_client and s_server."""

import re

import pytest

import fasths
from fasths import Origin, SSLErrorCode

from .conftest import Certificates
from .endpoints import Endpoint, FasthsServer, connect
from .matrix import (
    DATA,
    MEBIBYTE,
    FasthsClient,
    FasthsServes,
    client_context,
    payload,
    serve,
    server_context,
    talk_to,
)
from .peers import OpenSSL

KEY_UPDATES = [
    pytest.param(b"k", False, id="not-requested"),
    pytest.param(b"K", True, id="requested"),
]


@pytest.fixture
def peer(openssl: OpenSSL) -> OpenSSL:
    return openssl


class TestFasthsClient(FasthsClient):
    @pytest.mark.parametrize(("command", "requested"), KEY_UPDATES)
    def test_key_update_received(
        self, peer: OpenSSL, certificates: Certificates, command: bytes, requested: bool
    ) -> None:
        settings = self.settings(certificates)
        with (
            peer.server_process(settings) as (port, process),
            connect(client_context(certificates), port) as endpoint,
        ):
            endpoint.handshake()
            endpoint.send(b"before\n")
            process.wait_for_data(b"before\n")
            for times in (1, 2):
                process.send(command + b"\n")
                endpoint.wait_for("key_update", times)
                process.send(b"after\n")
                assert endpoint.receive(6) == b"after\n"
                assert endpoint.count("received", "key_update") == times
                endpoint.send(f"after {times}\n".encode())
                process.wait_for_data(f"after {times}\n".encode())
                assert endpoint.count("sent", "key_update") == times * requested
            endpoint.close()

    @pytest.mark.parametrize("middlebox", [True, False])
    def test_compatibility_mode(
        self, peer: OpenSSL, certificates: Certificates, middlebox: bool
    ) -> None:
        settings = self.settings(certificates, middlebox=middlebox)
        endpoint = talk_to(peer, settings, client_context(certificates))
        assert endpoint.change_cipher_specs("sent") == 1
        assert endpoint.change_cipher_specs("received") == middlebox

    def test_server_name_is_seen(self, peer: OpenSSL, certificates: Certificates) -> None:
        credential = certificates.authority.leaf("ecdsa")
        names = ("-servername", "localhost")
        second = ("-cert2", str(credential.chain_file), "-key2", str(credential.key_file))
        settings = self.settings(certificates, extra=(*names, *second))
        with (
            peer.server_process(settings) as (port, process),
            # For a name, s_server takes its second certificate, without the chain of the first.
            connect(client_context(certificates, verify=fasths.Verify.NONE), port) as endpoint,
        ):
            endpoint.handshake()
            process.wait_for_data(rb'Hostname in TLS extension: "localhost"')
            endpoint.close()

    @pytest.mark.parametrize(
        "extra",
        [
            pytest.param(("-record_padding", "512"), id="padding"),
            pytest.param(("-max_send_frag", "512"), id="short-records"),
            pytest.param(("-no_ticket",), id="no-tickets"),
            pytest.param(("-num_tickets", "9"), id="many-tickets"),
        ],
    )
    def test_records(
        self, peer: OpenSSL, certificates: Certificates, extra: tuple[str, ...]
    ) -> None:
        settings = self.settings(certificates, "rsa", extra=extra)
        talk_to(peer, settings, client_context(certificates), payload(MEBIBYTE // 8))

    def test_peer_is_killed(self, peer: OpenSSL, certificates: Certificates) -> None:
        with (
            peer.server(self.settings(certificates)) as server,
            connect(client_context(certificates), server.port) as endpoint,
        ):
            endpoint.handshake()
            assert endpoint.exchange(DATA, server.window) == DATA
            server.process.kill()
            ret = endpoint.conn.read_into(bytearray(1))
            assert ret == -1
            assert endpoint.conn.get_error(ret) == SSLErrorCode.SSL
            assert endpoint.conn.last_error.origin == Origin.TRANSPORT

    def test_exporter(self, peer: OpenSSL, certificates: Certificates) -> None:
        extra = ("-keymatexport", "EXPORTER-fasths", "-keymatexportlen", "32")
        with (
            peer.server_process(self.settings(certificates, extra=extra)) as (port, process),
            connect(client_context(certificates), port) as endpoint,
        ):
            endpoint.handshake()
            exported = endpoint.conn.export_keying_material("EXPORTER-fasths", None, 32)
            theirs = process.wait_for_data(rb"Keying material: ([0-9A-F]+)")[1]
            assert exported == bytes.fromhex(theirs.decode())
            endpoint.close()


class TestFasthsServes(FasthsServes):
    @pytest.mark.parametrize(("command", "requested"), KEY_UPDATES)
    def test_key_update_received(
        self, peer: OpenSSL, certificates: Certificates, command: bytes, requested: bool
    ) -> None:
        with (
            FasthsServer(server_context(certificates)) as server,
            peer.client(server.port, self.settings(certificates), mode=()) as client,
        ):
            endpoint = server.established()
            for times in (1, 2):
                client.send(command + b"\n")
                client.log.wait_for(r"(?s)" + "KEYUPDATE\n.*" * times)
                client.send(f"after {times}\n".encode())
                client.wait_for_data(f"after {times}\n".encode())
                assert endpoint.count("received", "key_update") == times
                assert endpoint.count("sent", "key_update") == times * requested
            client.finish()
            assert server.served().error is None

    @pytest.mark.parametrize("middlebox", [True, False])
    def test_compatibility_mode(
        self, peer: OpenSSL, certificates: Certificates, middlebox: bool
    ) -> None:
        settings = self.settings(certificates, middlebox=middlebox)
        endpoint = serve(peer, settings, server_context(certificates)).endpoint
        # RFC 8446, D.4: the server does as the client, who asks with a session id.
        assert endpoint.change_cipher_specs("sent") == middlebox
        assert endpoint.change_cipher_specs("received") == middlebox

    @pytest.mark.parametrize(
        "extra",
        [
            pytest.param(("-record_padding", "512"), id="padding"),
            pytest.param(("-max_send_frag", "512"), id="short-records"),
        ],
    )
    def test_records(
        self, peer: OpenSSL, certificates: Certificates, extra: tuple[str, ...]
    ) -> None:
        settings = self.settings(
            certificates, credential=certificates.authority.leaf("rsa"), extra=extra
        )
        context = server_context(certificates, verify=fasths.Verify.REQUIRED)
        serve(peer, settings, context, payload(MEBIBYTE // 8))

    def test_server_closes_first(self, peer: OpenSSL, certificates: Certificates) -> None:
        def handler(endpoint: Endpoint) -> None:
            endpoint.send(DATA)
            endpoint.close()

        with (
            FasthsServer(server_context(certificates), handler) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            assert client.receive(len(DATA) + 1) == DATA
            assert client.wait() == 0
            assert server.served().error is None

    def test_peer_is_killed(self, peer: OpenSSL, certificates: Certificates) -> None:
        with (
            FasthsServer(server_context(certificates)) as server,
            peer.client(server.port, self.settings(certificates)) as client,
        ):
            client.send(DATA)
            assert client.receive(len(DATA)) == DATA
            client.kill()
            error = server.served().error
        assert isinstance(error, fasths.TransportError), error

    def test_what_the_peer_says(self, peer: OpenSSL, certificates: Certificates) -> None:
        """The session as s_client describes it, and the exporter."""
        extra = ("-keymatexport", "EXPORTER-fasths", "-keymatexportlen", "32")
        settings = self.settings(certificates, groups=("secp384r1",), extra=extra)
        with (
            FasthsServer(server_context(certificates, "ed25519")) as server,
            peer.client(server.port, settings, mode=()) as client,
        ):
            text = client.wait_for_data(rb"(?s).*Keying material: [0-9A-F]+\n")[0].decode()
            exported = server.established().conn.export_keying_material("EXPORTER-fasths", None, 32)
            client.finish()
            assert server.served().error is None
        assert re.search("(?i)Peer signature type: ed25519", text)
        assert re.search(r"Server Temp Key: ECDH, (P-384|secp384r1), 384 bits", text)
        assert "Verification: OK" in text
        assert exported.hex().upper() in text
