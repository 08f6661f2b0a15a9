"""What the application says of a peer, in the handshake and on resumption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pki
import pytest
from helpers import (
    BOTH_ROLES,
    HOST,
    client_context,
    identity,
    server_context,
)
from test_waits import (
    Application,
    Scene,
    Setup,
    sign,
)
from test_waits_together import refused_by

import fasths
from fasths import AlertDescription, Identity, Verify
from fasths.wire.errors import DecryptError


def verdict_scene(
    by_server: bool, verdict: object, valid: bool, signer: Callable[[Any], object] | None = None
) -> Scene:
    """A verify_callback of this side, and its verdict on a peer that is, or is not, trusted."""
    application = Application()
    application.reply = lambda request: verdict
    shown, asking = identity(), {"verify_callback": application}
    if not valid:
        stranger = pki.make_leaf([HOST], key_type="ed25519")
        shown = Identity.from_signer(
            stranger.chain_pem, signer or (lambda request: sign(stranger, request))
        )
    client = client_context(**({"identities": [shown]} if by_server else asking))
    if by_server:
        server = server_context(verify=Verify.REQUIRED, **asking)
    else:
        server = server_context(identities=[shown])
    scene = Scene(Setup(client, server))
    scene.application = application
    return scene


@BOTH_ROLES
@pytest.mark.parametrize(("verdict", "valid"), [(None, True), (True, True), (True, False)])
def test_a_peer_is_accepted(by_server: bool, verdict: Any, valid: bool) -> None:
    """By the engine, or by the application against it: then no chain was verified."""
    scene = verdict_scene(by_server, verdict, valid)
    scene.finish()
    [request] = scene.application.requests
    conn = scene.server if by_server else scene.client
    assert conn.peer_certificates == request.certificates
    assert conn.verified_chain == request.verified_chain
    assert (request.verified_chain is not None) is (request.error is None) is valid


STOLEN = fasths.CertificateError("it was stolen", alert=AlertDescription.certificate_revoked)


@BOTH_ROLES
@pytest.mark.parametrize(
    ("verdict", "valid"),
    [(False, True), (STOLEN, True), (None, False), (False, False), (STOLEN, False)],
)
def test_a_peer_is_refused(by_server: bool, verdict: Any, valid: bool) -> None:
    """With the application's error, else with the engine's, else as a bad_certificate."""
    scene = verdict_scene(by_server, verdict, valid)
    error = refused_by(by_server, scene, fasths.CertificateError)
    [request] = scene.application.requests
    if verdict is STOLEN:
        assert error is STOLEN
    elif not valid:
        assert error is request.error
        assert (error.alert, error.verify_code) == (AlertDescription.unknown_ca, 18)
        assert request.verified_chain is None
    else:
        assert error.alert is AlertDescription.bad_certificate


@BOTH_ROLES
def test_who_is_accepted_by_the_application_has_still_to_sign(by_server: bool) -> None:
    scene = verdict_scene(by_server, True, False, lambda request: bytes(64))
    refused_by(by_server, scene, DecryptError)
    conn = scene.server if by_server else scene.client
    assert conn.peer_certificates == ()


def resumed_scene(scene: Scene) -> Scene:
    """The same contexts again, with the session of that connection."""
    assert scene.client.session is not None
    again = Scene(scene.setup._replace(session=scene.client.session))
    again.finish()
    return again


@BOTH_ROLES
def test_the_verdict_is_asked_for_again_on_resumption(by_server: bool) -> None:
    scene = verdict_scene(by_server, True, True)
    scene.finish()
    again = resumed_scene(scene)
    assert again.client.session_reused
    first, second = scene.application.requests
    assert [first.on_resumption, second.on_resumption] == [False, True]
    assert (second.certificates, second.verified_chain) == (
        first.certificates,
        first.verified_chain,
    )
    assert second.error is None
    for conn in (again.server,) if by_server else (again.client,):
        assert conn.peer_certificates == first.certificates
        assert conn.verified_chain == first.verified_chain


@BOTH_ROLES
def test_a_peer_that_is_not_accepted_again_is_not_resumed(by_server: bool) -> None:
    """The engine would refuse it, the application accepts it but not on resumption."""
    scene = verdict_scene(by_server, True, False)
    scene.application.reply = lambda request: not request.on_resumption
    scene.finish()
    again = resumed_scene(scene)
    assert not again.client.session_reused
    assert not again.server.session_reused
    # Which side sees to that.
    hello = fasths.parse_client_hello(again.bio.written)
    assert hello is not None
    assert hello.pre_shared_key is by_server
    first, second, third = scene.application.requests
    assert first.certificates == second.certificates == third.certificates
    assert [each.on_resumption for each in (first, second, third)] == [False, True, False]
    assert isinstance(second.error, fasths.CertificateError)


@BOTH_ROLES
def test_a_peer_that_only_the_application_accepts_is_resumed(by_server: bool) -> None:
    scene = verdict_scene(by_server, True, False)
    scene.finish()
    again = resumed_scene(scene)
    assert again.client.session_reused
    conn = again.server if by_server else again.client
    assert conn.verified_chain is None
