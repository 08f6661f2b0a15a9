# What a server decides in the same way in all versions.

import time

from fasths.handshake.base cimport *
from fasths.handshake.configuration cimport Signers
from fasths.handshake.session cimport MAX_TICKET_LIFETIME, Session
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport certificate_authority_names
from fasths.wire.messages cimport ClientHello

from fasths.handshake.requests import IdentityRequest
from fasths.wire.codes import AlertDescription, Verify
from fasths.wire.errors import CertificateError, HandshakeFailure, NoApplicationProtocol

cdef int VERIFY_NONE = Verify.NONE
cdef int VERIFY_REQUIRED = Verify.REQUIRED


cdef bytes choose_protocol(Handshake self, ClientHello hello):
    """The application protocol (RFC 7301, 3.2), or None where either side has none."""
    cdef bytes name
    if hello.protocol_names is None or not self.config.protocol_names:
        return None
    for name in self.config.protocol_names:
        if name in hello.protocol_names:
            return name
    raise NoApplicationProtocol("no application protocol in common with the client")


cdef bint may_resume(Handshake self, Session session, ClientHello hello, bint asks_later) except -1:
    """Whether a session can be resumed, as far as it is not for its client's certificate.

    asks_later: whether clients are asked for their certificate after the handshake.
    """
    cdef double now = time.time()
    cdef int verify = self.config.server_verify
    if not (
        session.created - MAX_CLOCK_SKEW <= now < session.created + session.lifetime
        and now < session.authenticated + MAX_TICKET_LIFETIME
    ):
        return False
    # RFC 6066, 3; RFC 8446, 4.2.11: for the same name.
    if session.server_name != hello.server_name:
        return False
    # A server without an identity knows its clients by external keys, and they know it.
    if not session.by_external_psk and not (
        self.config.identities or self.config.identity_callback is not None
    ):
        return False
    if session.peer_certificates:
        return verify != VERIFY_NONE
    return verify != VERIFY_REQUIRED or asks_later


cdef int choose_client_certificate_type(Handshake self, ClientHello hello) except -1:
    """RFC 7250, 4.2: one that the client has, and that is trusted here."""
    cdef bytes types = hello.client_certificate_types
    if types is None:
        return 0
    if CERTIFICATETYPE_RawPublicKey in types and self.config.trusted_public_keys:
        self.outcome.client_certificate_type = CERTIFICATETYPE_RawPublicKey
    elif CERTIFICATETYPE_X509 not in types:
        raise CertificateError(
            "the client has no certificate of a type that is taken here",
            alert=AlertDescription.unsupported_certificate,
        )
    return 0


cdef int choose_server_identity(
    Handshake self,
    ClientHello hello,
    bytes message,
    Signers signers,
    Continuation continuation,
) except -1:
    """Choose whom to be, and go on with the identity; the application may be asked.

    Where it is, its answer is still to be taken by use_chosen_identity().
    """
    cdef tuple choice, authorities = certificate_authority_names(hello.certificate_authorities)
    cdef bytes types = hello.server_certificate_types
    cdef bint with_certificates = True, with_raw_public_keys = False
    if types is not None:
        with_certificates = CERTIFICATETYPE_X509 in types
        with_raw_public_keys = CERTIFICATETYPE_RawPublicKey in types
    if self.config.identity_callback is not None:
        return self.ask(
            IdentityRequest(
                self.user_data,
                by_server=True,
                server_name=hello.server_name,
                signature_schemes=hello.signature_algorithms,
                certificate_authorities=authorities,
                client_hello=message,
            ),
            self.config.identity_callback,
            continuation,
        )
    choice = self.choose_identity(
        signers,
        hello.server_name,
        hello.signature_algorithms,
        hello.signature_algorithms_cert,
        authorities,
        with_certificates,
        with_raw_public_keys,
    )
    if choice is None:
        # RFC 7250, 4.2.
        if not with_certificates or with_raw_public_keys:
            raise CertificateError(
                "no identity of a type that the client takes",
                alert=AlertDescription.unsupported_certificate,
            )
        raise HandshakeFailure("no certificate that the client can check signatures of")
    self.identity, self.signature_scheme = choice
    return continuation(self, self.identity)


cdef int use_chosen_identity(Handshake self, ClientHello hello, object identity) except -1:
    """Be whom the application chose, if the client can take it."""
    cdef bytes types = hello.server_certificate_types
    if identity is None:
        raise HandshakeFailure("the application has no identity for this client")
    if certificate_type_of(identity) not in (b"\x00" if types is None else types):
        raise HandshakeFailure("the identity that was chosen is of a type that the client lacks")
    return self.use_identity(identity, hello.signature_algorithms)


cdef int certificate_type_of(object identity) except -1:
    return CERTIFICATETYPE_RawPublicKey if identity.is_raw_public_key else CERTIFICATETYPE_X509
