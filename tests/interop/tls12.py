"""What the tests of TLS 1.2 share.

In most of them the peer has TLS 1.2 alone and fasths both versions, which is what it has by
default; test_tls12_versions.py has the others.
"""

import fasths
from fasths import AlertDescription, Origin, TLSVersion

from .conftest import Certificates
from .endpoints import FasthsServer
from .feature_peers import FeaturePeer, with_peers
from .matrix import DATA, client_context, server_context
from .peers import ONLY_TLS12, OPENSSL_CIPHERS, Settings

ALL_PEERS = with_peers("openssl", "gnutls", "go", "stdlib", "pyopenssl", "tlslite")
# The kinds of keys for the suites with ECDSA (RFC 8422, 5.1.1: EdDSA, too) and with RSA.
ECDSA_KINDS = ("ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448")
RSA_KINDS = ("rsa", "rsa-pss")
AUTHENTICATED_BY = {"ECDSA": ECDSA_KINDS, "RSA": RSA_KINDS}
CIPHERS = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
SUITES = {
    f"TLS_ECDHE_{name}_WITH_{cipher}": kinds
    for name, kinds in AUTHENTICATED_BY.items()
    for cipher in CIPHERS
}
# Those that peers have and fasths does not.
OTHER_SUITES = tuple(suite for suite in OPENSSL_CIPHERS if suite not in SUITES)
GROUPS = ("x25519", "secp256r1", "secp384r1", "secp521r1")
# RFC 5246, 7.4.1.4.1: a curve is not bound to a hash.
SCHEMES = {
    **dict.fromkeys(
        ("ecdsa", "ecdsa384", "ecdsa521"),
        ("ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"),
    ),
    "ed25519": ("ed25519",),
    "ed448": ("ed448",),
    "rsa": tuple(
        f"{scheme}_sha{size}"
        for scheme in ("rsa_pss_rsae", "rsa_pkcs1")
        for size in (256, 384, 512)
    ),
    "rsa-pss": tuple(f"rsa_pss_pss_sha{size}" for size in (256, 384, 512)),
}
KINDS_AND_SCHEMES = [(kind, scheme) for kind, schemes in SCHEMES.items() for scheme in schemes]


def peer_serves(certificates: Certificates, kind: str = "ecdsa", **options) -> Settings:
    """For a server of TLS 1.2."""
    credential = certificates.authority.leaf(kind)
    return Settings(**{"credential": credential, "versions": ONLY_TLS12, **options})


def peer_visits(certificates: Certificates, **options) -> Settings:
    """For a client of TLS 1.2."""
    return Settings(**{"trust": certificates.authority.file, "versions": ONLY_TLS12, **options})


def our_client(certificates: Certificates, **options) -> fasths.Context:
    return client_context(certificates, **{"minimum_version": TLSVersion.TLSv1_2, **options})


def our_server(certificates: Certificates, kind: str = "ecdsa", **options) -> fasths.Context:
    options = {"minimum_version": TLSVersion.TLSv1_2, **options}
    return server_context(certificates, kind, **options)


def assert_refused(error: BaseException | None, alert: str) -> None:
    assert isinstance(error, fasths.TLSError), error
    assert (error.origin, error.alert) == (Origin.LOCAL, AlertDescription[alert])


def refuse(
    peer: FeaturePeer, settings: Settings, context: fasths.Context, alert: str
) -> BaseException | None:
    """The error of a server that refuses the peer, which sees the alert."""
    with FasthsServer(context) as server, peer.client(server.port, settings) as client:
        client.send(DATA)
        assert client.receive(1) == b""
        client.log.wait_for(peer.alert_pattern(alert))
        return server.served().error
