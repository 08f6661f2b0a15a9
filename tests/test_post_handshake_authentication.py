"""Authentication of clients after the handshake, and what is refused of it (RFC 8446, 4.6.2)."""

from __future__ import annotations

from typing import Any

import pki
import pytest
from refusals import (
    Case,
    assert_established,
    assert_refuses,
    case,
    changed,
    credential,
    established,
    identity,
    in_certificate,
)
from resumptions import assert_resumed, client_context, client_with, server_with, session_with
from scripted_keys import CLIENT_CONTEXT, SERVER_CONTEXT
from scripted_messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    NewSessionTicket,
    key_share_entry,
    u16,
    vector,
)
from scripted_peer import (
    all_of,
    before,
    cut,
    instead,
    put,
    twice,
    with_extension,
    without_extension,
)
from scripted_psk import PSK_DHE_KE

from fasths import AlertDescription, ExtensionType, Limits, Verify
from fasths.wire.errors import (
    CertificateError,
    CertificateRequired,
    DecodeError,
    DecryptError,
    IllegalParameter,
    MissingExtension,
    UnexpectedMessage,
    UnsupportedExtension,
)

E = ExtensionType
UNKNOWN = 0xFAFA


# --- A server that asks

SERVER = {"verify": Verify.REQUIRED, "post_handshake_auth": True}


def asking_server(context: dict[str, Any] | None = None, **options: Any) -> Any:
    """A scripted client that was asked for its certificate once."""
    settings = {**SERVER, **(context or {})}
    peer = established(
        "server",
        settings,
        **{
            "post_handshake_auth": True,
            "credential": credential(),
            "psk_modes": (PSK_DHE_KE,),
            **options,
        },
    )
    assert peer.connection.peer_certificates == ()
    ask(peer)
    return peer


def ask(peer: Any) -> None:
    requests = len(peer.requests)
    assert peer.connection.verify_client_post_handshake() == 1
    peer.settle()
    assert len(peer.requests) == requests + 1


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
def test_server_takes_the_answer(key_type):
    leaf = credential(key_type)
    peer = asking_server(credential=leaf)
    peer.answer_request()
    assert_established(peer)
    assert peer.connection.peer_certificates == tuple(leaf.chain_der)


def test_server_takes_an_answer_under_another_key():
    # RFC 8446, 4.4: client_application_traffic_secret_N, and other messages come first.
    peer = asking_server()
    peer.send_data(b"not yet")
    peer.update_write_key()
    peer.answer_request()
    assert_established(peer)
    assert peer.connection.peer_certificates == tuple(credential().chain_der)


def test_server_takes_answers_in_another_order():
    # RFC 8446, 4.6.2
    peer = asking_server()
    ask(peer)
    one, other = peer.requests
    contexts = {each.certificate_request_context for each in (one, other)}
    assert len(contexts) == 2
    assert b"" not in contexts
    peer.answer_request(other)
    peer.answer_request(one)
    assert_established(peer)


def test_server_that_wants_a_certificate_goes_on_without_one():
    peer = asking_server({"verify": Verify.OPTIONAL}, credential=None)
    peer.answer_request()
    assert_established(peer)
    assert peer.connection.peer_certificates == ()


def signed(transcript: Any = None, context: bytes = CLIENT_CONTEXT, **options: Any) -> Any:
    """CertificateVerify over another transcript, in another context or with another key."""

    def edit(peer: Any, message: Any) -> None:
        whole = peer.transcript
        if transcript is not None:
            peer.transcript = transcript(peer)
        message.signature = peer.sign(message.algorithm, context, **options)
        peer.transcript = whole

    return edit


def finished_with(key: Any) -> Any:
    def edit(peer: Any, message: Any) -> None:
        message.verify_data = key(peer).finished(peer.transcript)

    return edit


def without_the_request(peer: Any) -> bytes:
    """The handshake and the Certificate."""
    start = len(peer.handshake_transcript)
    size = 4 + int.from_bytes(peer.transcript[start + 1 : start + 4], "big")
    return peer.transcript[:start] + peer.transcript[start + size :]


def doubled(peer: Any, message: Any) -> Any:
    return [message, message]


UPDATED = {"post_certificate": before(lambda peer: peer.update_write_key())}
OTHER = pki.make_leaf(["localhost"])
ANSWERS = [
    case("CertificateVerify changed", DecryptError, "post_certificate_verify",
         put(signature=changed)),
    case("CertificateVerify of a server", DecryptError, "post_certificate_verify",
         signed(context=SERVER_CONTEXT)),
    case("CertificateVerify without the request", DecryptError, "post_certificate_verify",
         signed(without_the_request)),
    case("CertificateVerify over the handshake alone", DecryptError, "post_certificate_verify",
         signed(lambda peer: peer.handshake_transcript)),
    case("CertificateVerify by another key", DecryptError, "post_certificate_verify",
         signed(credential=OTHER)),
    case("CertificateVerify with an unknown scheme", IllegalParameter, "post_certificate_verify",
         put(algorithm=UNKNOWN)),
    case("CertificateVerify cut", DecodeError, "post_certificate_verify", cut(3)),
    case("Finished changed", DecryptError, "post_finished", put(verify_data=changed)),
    case("Finished of zeros", DecryptError, "post_finished", put(verify_data=bytes(32))),
    case("Finished cut", DecodeError, "post_finished", cut(31)),
    case("Finished with the handshake key", DecryptError, "post_finished",
         finished_with(lambda peer: peer.client_handshake)),
    case("Finished with the server's key", DecryptError, "post_finished",
         finished_with(lambda peer: peer.server_application)),
    case("Finished with the next key", DecryptError, "post_finished",
         finished_with(lambda peer: peer.write_key.next())),
    # RFC 8446, 4.4.2: the context is that of a request.
    case("another context", UnexpectedMessage, "post_certificate",
         put(certificate_request_context=changed)),
    case("no context", UnexpectedMessage, "post_certificate",
         put(certificate_request_context=b"")),
    case("context cut", UnexpectedMessage, "post_certificate",
         put(certificate_request_context=lambda old: old[:-1])),
    case("Certificate cut", DecodeError, "post_certificate", cut(20)),
    case("Certificate with a trailing byte", DecodeError, "post_certificate",
         put(trailing=b"\0")),
    case("timestamps", UnsupportedExtension, "post_certificate",
         in_certificate((E.signed_certificate_timestamp, b"\0\3\0\1x"))),
    case("unknown extension", UnsupportedExtension, "post_certificate",
         in_certificate((UNKNOWN, b""))),
    case("compressed unasked", UnexpectedMessage, compress=1),
    # RFC 8446, 4.6.2: consecutive, with no messages of other types in between.
    case("Certificate left out", UnexpectedMessage, "post_certificate", instead()),
    case("CertificateVerify left out", UnexpectedMessage, "post_certificate_verify", instead()),
    case("Certificate twice", UnexpectedMessage, "post_certificate", doubled),
    case("CertificateVerify twice", UnexpectedMessage, "post_certificate_verify", doubled),
    case("Finished twice", UnexpectedMessage, "post_finished", doubled),
    *(
        case(f"{type(message).__name__} in place of {point}", UnexpectedMessage, point,
             instead(message))
        for point in ("post_certificate_verify", "post_finished")
        for message in (Certificate(), KeyUpdate(), NewSessionTicket(), CertificateRequest(),
                        CompressedCertificate(), EndOfEarlyData())
    ),
    *(
        case(f"data before {point}", UnexpectedMessage, point,
             before(lambda peer: peer.send_data(b"data")))
        for point in ("post_certificate_verify", "post_finished")
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_answer(case: Case):
    peer = asking_server(at=case.at, **case.options)
    peer.answer_request()
    assert_refuses(peer, case.error)


UNPROVED = {
    "Certificate alone": {"post_certificate_verify": instead(), "post_finished": instead()},
    "no Finished": {"post_finished": instead()},
}


@pytest.mark.parametrize("name", UNPROVED)
def test_certificate_without_its_proof_is_nobodys(name):
    """Anybody can send a certificate; it is the client's once Finished is there."""
    peer = asking_server(at=UNPROVED[name])
    peer.answer_request()
    peer.settle()
    assert peer.connection.peer_certificates == ()
    assert peer.connection.verified_chain is None
    # Nor is it for a later connection.
    assert peer.connection.send_session_tickets() == 1
    peer.settle()
    again = server_with(peer.connection.context, psks=peer.resumption_psks()[-1:])
    again.handshake()
    assert_established(again)
    assert again.connection.peer_certificates == ()


def test_finished_with_an_old_key_is_refused():
    old = {"post_finished": finished_with(lambda peer: peer.client_application)}
    peer = asking_server(at=old)
    peer.update_write_key()
    peer.answer_request()
    assert_refuses(peer, DecryptError)


def test_answer_to_nothing_is_refused():
    peer = established("server", SERVER, post_handshake_auth=True, credential=credential())
    peer.answer_request(CertificateRequest(certificate_request_context=b"context"))
    assert_refuses(peer, UnexpectedMessage)


def test_answer_of_a_client_that_cannot_be_asked_is_refused():
    peer = established("server", SERVER, credential=credential())
    peer.answer_request(CertificateRequest())
    assert_refuses(peer, UnexpectedMessage)


def test_second_answer_is_refused():
    peer = asking_server()
    (request,) = peer.requests
    peer.answer_request(request)
    assert_established(peer)
    peer.answer_request(request)
    assert_refuses(peer, UnexpectedMessage)


def test_answer_to_one_request_with_the_context_of_another_is_refused():
    peer = asking_server()
    ask(peer)
    one, other = peer.requests
    peer.answer_request(one, context=other.certificate_request_context)
    assert_refuses(peer, DecryptError)


def test_client_without_a_certificate_is_refused():
    peer = asking_server(credential=None)
    peer.answer_request()
    assert_refuses(peer, CertificateRequired)


def test_certificate_that_is_not_trusted_is_refused():
    peer = asking_server(credential=pki.make_leaf(issuer=pki.make_ca()))
    peer.answer_request()
    assert_refuses(peer, CertificateError, alert=AlertDescription.unknown_ca)


def test_certificate_that_is_none_is_refused():
    junk = {"post_certificate": put(certificate_list=[(b"certificate", [])])}
    peer = asking_server(at=junk)
    peer.answer_request()
    assert_refuses(peer, CertificateError)


def test_server_has_a_limit_of_requests():
    peer = asking_server({"limits": Limits(max_certificate_requests=2)})
    ask(peer)
    with pytest.raises(RuntimeError):
        peer.connection.verify_client_post_handshake()
    peer.answer_request()
    assert_established(peer)
    ask(peer)


@pytest.mark.parametrize(
    ("settings", "offers"),
    [(SERVER, False), ({"verify": Verify.OPTIONAL}, True), ({}, True)],
    ids=["not offered", "not in the Context", "nothing is verified"],
)
def test_server_does_not_ask_without_leave(settings, offers):
    # RFC 8446, 4.6.2: only a client that sent post_handshake_auth.
    peer = established("server", settings, post_handshake_auth=offers, credential=credential())
    with pytest.raises(RuntimeError):
        peer.connection.verify_client_post_handshake()
    assert_established(peer)


# --- A client that is asked

CLIENT = {"post_handshake_auth": True}


def asked_client(context: dict[str, Any] | None = None, **options: Any) -> Any:
    settings = {**CLIENT, "identities": [identity()], **(context or {})}
    peer = established("client", settings, **options)
    assert peer.hello.extension(E.post_handshake_auth) == b""
    return peer


@pytest.mark.parametrize("context", [b"c", b"context", bytes(255)])
def test_client_answers(context):
    peer = asked_client()
    peer.request_authentication(context)
    peer.read_authentication(context)
    assert peer.peer_chain == credential("ecdsa").chain_der
    assert_established(peer)


def test_client_without_a_certificate_answers():
    peer = asked_client({"identities": ()})
    peer.request_authentication()
    peer.read_authentication()
    assert peer.peer_chain == []
    assert_established(peer)


def test_client_answers_under_another_key():
    peer = asked_client()
    peer.update_write_key(1)
    peer.settle()
    assert peer.key_updates == [0]
    peer.send_ticket()
    peer.request_authentication()
    peer.read_authentication()
    assert peer.peer_chain == credential("ecdsa").chain_der
    assert_established(peer)


def test_client_answers_several_requests():
    peer = asked_client()
    contexts = [b"one", b"two", b"three"]
    for context in contexts:
        peer.request_authentication(context)
    for context in contexts:
        peer.read_authentication(context)
    assert_established(peer)


def test_resumed_client_answers():
    context = client_context(**CLIENT, identities=[identity()])
    session, psk = session_with(context)
    peer = client_with(context, session, psks=[psk])
    peer.handshake()
    assert_resumed(peer)
    peer.request_authentication()
    peer.read_authentication()
    assert peer.peer_chain == credential("ecdsa").chain_der
    assert_established(peer)


def request(name: str, error: Any, *edits: Any) -> Any:
    return case(name, error, "post_certificate_request", all_of(*edits))


REQUESTS = [
    request("no signature_algorithms", MissingExtension,
            without_extension(E.signature_algorithms)),
    request("no extensions", DecodeError, put(extensions=None)),
    request("an extension twice", IllegalParameter, twice(E.signature_algorithms)),
    request("no scheme", DecodeError, with_extension(E.signature_algorithms, b"\0\0")),
    request("key_share", IllegalParameter,
            with_extension(E.key_share, key_share_entry(29, bytes(32)))),
    request("early_data", IllegalParameter, with_extension(E.early_data)),
    request("trailing byte", DecodeError, put(trailing=b"\0")),
    *(request(f"cut to {size}", DecodeError, cut(size)) for size in (0, 1, 5, 9, 12)),
]  # fmt: skip


@pytest.mark.parametrize("case", REQUESTS)
def test_request(case: Case):
    peer = asked_client(at=case.at)
    peer.request_authentication()
    assert_refuses(peer, case.error)


@pytest.mark.parametrize("answered", [True, False])
def test_context_that_was_used_before_is_refused(answered):
    # RFC 8446, 4.3.2: unique within the connection.
    peer = asked_client()
    peer.request_authentication(b"once")
    if answered:
        peer.read_authentication(b"once")
        peer.request_authentication(b"once")
        assert_refuses(peer, IllegalParameter)
        return
    peer.request_authentication(b"once")
    peer.turn()
    assert type(peer.connection.last_error) is IllegalParameter


@pytest.mark.parametrize("context", [b"", b"context"])
def test_request_that_was_not_offered_is_refused(context):
    peer = established("client", {"identities": [identity()]})
    assert peer.hello.extension(E.post_handshake_auth) is None
    peer.request_authentication(context)
    assert_refuses(peer, UnexpectedMessage)


def test_too_many_requests_are_refused():
    peer = asked_client({"limits": Limits(max_certificate_requests=3)})
    for i in range(3):
        context = b"%d" % i
        peer.request_authentication(context)
        peer.read_authentication(context)
    peer.request_authentication(b"more")
    assert_refuses(peer, UnexpectedMessage)


@pytest.mark.parametrize(
    "message",
    [Certificate(), CertificateVerify(), CompressedCertificate(), Finished(), EndOfEarlyData()],
    ids=lambda each: type(each).__name__,
)
def test_answer_of_a_server_is_refused(message):
    peer = asked_client()
    peer.queue(message)
    assert_refuses(peer, UnexpectedMessage)


def test_request_for_a_scheme_that_the_client_has_not():
    only_ed448 = {
        "post_certificate_request": with_extension(E.signature_algorithms, vector(2, u16(0x0808)))
    }
    peer = asked_client(at=only_ed448)
    peer.request_authentication()
    peer.read_authentication()
    assert peer.peer_chain == []
