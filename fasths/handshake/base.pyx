# What the state machines of all versions and of both roles share.
#
# A handshake takes whole messages and answers with `output`: messages to send, changes of keys, and
# the place of change_cipher_spec, in the order in which they are to happen. It
# knows no records, so another carrier (QUIC's CRYPTO frames) could drive it.
#
# A step is found in the role's table by (state, message type). What the table omits is
# unexpected_message.

from fasths.crypto.signatures cimport sign, verify
from fasths.wire.constants cimport CERTIFICATETYPE_X509, CERTIFICATETYPE_RawPublicKey
from fasths.wire.extensions cimport certificate_authority_names, contains_u16
from fasths.wire.messages cimport Certificate, CertificateRequest

from fasths.crypto.certificates import encode_chain
from fasths.crypto.ocsp import missing_staple
from fasths.crypto.peer_verification import parse_peer
from fasths.crypto.raw_public_keys import RawPublicKey
from fasths.handshake.requests import (
    LATER,
    IdentityRequest,
    SignatureRequest,
    VerificationRequest,
)
from fasths.wire.codes import AlertDescription, HandshakeType, StaplePolicy
from fasths.wire.errors import (
    CertificateError,
    DecodeError,
    HandshakeFailure,
    IllegalParameter,
    InternalError,
    Origin,
    TLSError,
    UnexpectedMessage,
)

cdef int STAPLE_IGNORE = StaplePolicy.IGNORE
cdef int STAPLE_REQUIRE = StaplePolicy.REQUIRE


# Events: the place of the change_cipher_spec record (RFC 8446, D.4; RFC 5246, 7.1), the news that
# the client may send early data that is not accepted (RFC 8446, 4.2.10), and a warning to a peer
# that asks for another handshake (RFC 5246, 7.2.2).
CHANGE_CIPHER_SPEC = "change_cipher_spec"
SKIP_EARLY_DATA = "skip early data"
NO_RENEGOTIATION = "no renegotiation"


cdef class KeyChange:
    pass


cdef class RecordSizeLimits:
    pass


cdef void report_unraisable(object error) noexcept:
    """Give an error that nobody can be told of to sys.unraisablehook."""
    raise error


cdef int remember_peer(Session session, Outcome outcome) except -1:
    """What a session keeps of the peer, so that it can be judged again."""
    session.peer_certificates = outcome.peer_certificates or ()
    session.raw_public_key = outcome.raw_public_key
    session.ocsp_response = outcome.ocsp_response
    session.by_external_psk = outcome.by_external_psk
    session.replay_scope = b""
    session.identity_digest = b""
    return 0


cdef str message_name(int type):
    try:
        return HandshakeType(type).name
    except ValueError:
        return f"of type {type}"


cdef class Handshake:

    cdef int start(self) except -1:
        """The first step of this role; returns what is awaited (Wait)."""
        return WAIT_MESSAGE

    cdef int step(self, bytes message) except -1:
        """Take one whole message; returns what is awaited next (Wait)."""
        cdef int message_type = message[0], i
        for i in range(self.transition_count):
            if (
                self.transitions[i].state == self.state
                and self.transitions[i].message_type == message_type
            ):
                return self.transitions[i].step(self, message)
        raise UnexpectedMessage(
            f"the handshake message {message_name(message_type)} does not belong here"
        )

    cdef int ask(self, object request, object callback, Continuation continuation) except -1:
        """Put a request to the application; go on with its answer, or suspend the step.

        A suspended step returns the request's code, and leaves its output where it is.
        """
        cdef object answer
        self.request = request
        self.continuation = continuation
        try:
            answer = callback(request)
            if answer is not LATER:
                request.answer(answer)
        except Exception as error:
            if request.answered:
                raise
            request.fail(error)
        if not request.answered:
            self.held, self.output = self.output, []
            return request.code
        return self.go_on()

    cdef int resume(self) except -1:
        """Go on with a suspended step if the request is answered; returns as step() does."""
        if not self.request.answered:
            return self.request.code
        self.held, self.output = None, self.held
        return self.go_on()

    cdef int go_on(self) except -1:
        """Go on with the answer to the request."""
        cdef object request = self.request, answer
        self.request = None
        try:
            answer = request._result()
        except Exception as error:
            if not request.is_optional:
                if isinstance(error, TLSError) and error.origin is not Origin.LOCAL:
                    # Another connection's: here nobody else is at fault.
                    raise InternalError("the application has no answer") from error
                raise
            # A store that is out of order costs a full handshake, and does not go unnoticed.
            report_unraisable(error)
            answer = request.nothing
        return self.continuation(self, answer)

    cdef Handshake successor(self):
        """What takes the messages that arrive after this one is done: by default itself."""
        return self

    cdef int go_on_in_place_of(self, Handshake before) except -1:
        """Take over from the handshake that has found the version."""
        self.config = before.config
        self.user_data = before.user_data
        self.by_server = before.by_server
        self.outcome = before.outcome
        self.client_random = before.client_random
        self.renegotiation_requests = before.renegotiation_requests
        self.output = []
        before.heir = self
        return 0

    cdef int take_change_cipher_spec(self) except -1:
        """A change_cipher_spec of TLS 1.2, which is a message there (RFC 5246, 7.1)."""
        raise UnexpectedMessage("change_cipher_spec does not belong here")

    cdef int count_renegotiation_request(self) except -1:
        self.renegotiation_requests += 1
        if self.renegotiation_requests > self.config.max_renegotiation_requests:
            raise UnexpectedMessage("too many requests to renegotiate")
        return 0

    cdef int data_received(self, Py_ssize_t size) except -1:
        """Application data has arrived, after the handshake."""
        return 0

    cdef int output_taken(self) except -1:
        """All that was to be sent is with the transport, after the handshake."""
        return 0

    cdef int connection_failed(self) except -1:
        """The connection ended with a fatal alert, sent or received."""
        return 0

    cdef int send(self, bytes message) except -1:
        self.transcript.update(message)
        self.output.append(message)
        return 0

    cdef int limit_records(self, int send, int receive) except -1:
        cdef RecordSizeLimits limits = RecordSizeLimits.__new__(RecordSizeLimits)
        limits.send = send
        limits.receive = receive
        self.output.append(limits)
        return 0

    cdef int log_secret(self, str label, bytes secret) except -1:
        """One line of the key log (SSLKEYLOGFILE), if the Context asks for it."""
        self.config.keylog(f"{label} {self.client_random.hex()} {secret.hex()}")
        return 0

    # --- This side's identity

    cdef tuple signature_schemes_of(self, object identity_or_peer):
        """What its key can sign with in this version."""
        return identity_or_peer.signature_schemes

    cdef Signers client_signers(self, CertificateRequest request):
        """The identities that a client may choose from."""
        return self.config.signers

    cdef tuple choose_identity(
        self,
        Signers signers,
        str server_name,
        bytes signature_algorithms,
        bytes signature_algorithms_cert,
        tuple certificate_authorities,
        bint with_certificates,
        bint with_raw_public_keys,
    ):
        """(the best identity that can sign for the peer, the scheme for it), or None.

        One with the name that the peer asked for comes before others, a name before a wildcard;
        then one of an authority that the peer named (RFC 8446, 4.2.4).
        """
        cdef tuple choice, named, candidates
        cdef list rounds = []
        if server_name is not None:
            named = signers.by_name.get(server_name)
            if named is not None:
                rounds.append(named)
            named = signers.by_domain.get(server_name.partition(".")[2])
            if named is not None:
                rounds.append(named)
        rounds.append(signers.all)
        for candidates in rounds:
            for authorities in (certificate_authorities, ()) if certificate_authorities else ((),):
                choice = self.choose_among(
                    candidates,
                    signature_algorithms,
                    signature_algorithms_cert,
                    authorities,
                    with_certificates,
                    with_raw_public_keys,
                )
                if choice is not None:
                    return choice
        return None

    cdef tuple choose_among(
        self,
        tuple signers,
        bytes signature_algorithms,
        bytes signature_algorithms_cert,
        tuple certificate_authorities,
        bint with_certificates,
        bint with_raw_public_keys,
    ):
        """RFC 8446, 4.4.2.2: one whose chain is also signed in ways that the peer accepts comes
        before one whose chain is not, and such a chain is better than none."""
        cdef int scheme, chain_scheme
        cdef tuple fallback = None
        cdef bytes for_chain = signature_algorithms_cert
        if for_chain is None:
            for_chain = signature_algorithms
        for identity, schemes in signers:
            if not (with_raw_public_keys if identity.is_raw_public_key else with_certificates):
                continue
            if certificate_authorities and not identity.is_issued_by(certificate_authorities):
                continue
            for scheme in schemes:
                if contains_u16(signature_algorithms, scheme):
                    break
            else:
                continue
            for chain_scheme in identity.chain_signature_schemes:
                if not contains_u16(for_chain, chain_scheme):
                    break
            else:
                return identity, scheme
            if fallback is None:
                fallback = identity, scheme
        return fallback

    cdef int use_identity(self, object identity, bytes signature_algorithms) except -1:
        """Sign with an identity that the application chose."""
        cdef int scheme
        cdef tuple schemes = self.signature_schemes_of(identity)
        for scheme in self.config.signature_schemes:
            if scheme in schemes and contains_u16(signature_algorithms, scheme):
                self.identity = identity
                self.signature_scheme = scheme
                return 0
        raise HandshakeFailure("the peer cannot verify signatures of the identity that was chosen")

    cdef int authenticate_client(
        self, CertificateRequest request, Continuation continuation
    ) except -1:
        """Show an identity, as a server asked (show_identity()); then go on."""
        cdef tuple authorities, choice
        authorities = certificate_authority_names(request.certificate_authorities)
        self.certificate_request = request
        self.after_authentication = continuation
        if self.config.identity_callback is not None:
            return self.ask(
                IdentityRequest(
                    self.user_data,
                    by_server=False,
                    server_name=self.outcome.hostname,
                    signature_schemes=request.signature_algorithms,
                    certificate_authorities=authorities,
                    client_hello=None,
                ),
                self.config.identity_callback,
                <Continuation> client_identity_chosen,
            )
        choice = self.choose_identity(
            self.client_signers(request),
            None,
            request.signature_algorithms,
            request.signature_algorithms_cert,
            authorities,
            self.outcome.client_certificate_type == CERTIFICATETYPE_X509,
            self.outcome.client_certificate_type == CERTIFICATETYPE_RawPublicKey,
        )
        if choice is None:
            return self.show_identity(None)
        self.identity, self.signature_scheme = choice
        self.outcome.client_signature_scheme = self.signature_scheme
        return self.show_identity(self.identity)

    cdef int show_identity(self, object identity) except -1:
        """Certificate and CertificateVerify of a client, in the way of its version; None: an empty
        Certificate."""
        # Abstract: each version's clients have one.
        raise NotImplementedError

    cdef int ask_for_signature(self, bytes content, Continuation continuation) except -1:
        """Sign with the chosen identity; then go on with the signature."""
        self.outcome.identity = self.identity
        self.outcome.identity_digest = self.identity.digest
        if self.identity.signer is None:
            return continuation(
                self, sign(self.identity.private_key, self.signature_scheme, content)
            )
        return self.ask(
            SignatureRequest(self.user_data, self.identity, self.signature_scheme, content),
            self.identity.signer,
            continuation,
        )

    # --- The peer's

    cdef object verify_peer(self, Certificate certificate):
        """The peer that may be believed, as far as this Context asks. CertificateError: refused."""
        cdef object peer, verifier
        if self.shows_raw_public_key:
            peer = RawPublicKey(certificate.certificates[0])
            if (self.by_server or self.config.client_verify) and (
                peer.der not in self.config.trusted_public_keys
            ):
                raise CertificateError(
                    "the peer's raw public key is not among those that are trusted",
                    alert=AlertDescription.certificate_unknown,
                    verify_code=95,
                    verify_message="raw public key untrusted, no trusted keys configured",
                )
            return peer
        if not self.by_server and not self.config.client_verify:
            return parse_peer(certificate.certificates)
        verifier = self.config.peer_verifier()
        if self.by_server:
            peer = verifier.verify_client(certificate.certificates)
        else:
            peer = verifier.verify_server(certificate.certificates, self.outcome.hostname)
        if self.config.staple_policy != STAPLE_IGNORE:
            # A certificate that is itself trusted has no issuer who could say that it is revoked.
            if certificate.ocsp_response is not None and len(peer.path) > 1:
                self.config.staple_checker.check(certificate.ocsp_response, peer.path)
            elif self.config.staple_policy == STAPLE_REQUIRE or peer.requires_staple:
                raise missing_staple()
        self.shown_chain = peer.chain
        # The same bytes; where the chain was verified before, connections share them.
        certificate.certificates = peer.certificates
        return peer

    cdef int judge_peer(
        self, Certificate certificate, bint raw_public_key, Continuation continuation
    ) except -1:
        """Whether the peer may be whom it shows; where the application wants to, it decides.

        Goes on where it may.
        """
        if raw_public_key and len(certificate.certificates) != 1:
            raise DecodeError("a Certificate with a raw public key has not exactly one entry")
        self.shown = certificate
        self.shows_raw_public_key = raw_public_key
        self.shown_chain = None
        if self.config.verify_callback is None:
            self.peer = self.verify_peer(certificate)
            return continuation(self, None)
        self.refusal = None
        self.after_judgement = continuation
        try:
            self.peer = self.verify_peer(certificate)
        except CertificateError as error:
            self.refusal = error
            if raw_public_key:
                self.peer = RawPublicKey(certificate.certificates[0])
            else:
                self.peer = parse_peer(certificate.certificates)
        return self.ask(
            self.verification_request(certificate, False),
            self.config.verify_callback,
            <Continuation> judged,
        )

    cdef int judge_session(self, Session session, Continuation continuation) except -1:
        """Whether the peer of a session would be believed now; goes on with True or False.

        Names, trust, staples and the time may have changed since, and the application may know
        more; where it wants to, it decides.
        """
        cdef Certificate shown = Certificate.__new__(Certificate)
        self.shown_chain = None
        if not session.peer_certificates:
            # A client may have shown nothing; a server has, or was known by another key.
            return continuation(self, self.by_server or not self.config.client_verify)
        if (
            self.config.verify_callback is None
            and not self.by_server
            and not self.config.client_verify
        ):
            return continuation(self, True)
        shown.certificates = session.peer_certificates
        shown.ocsp_response = session.ocsp_response
        self.shows_raw_public_key = session.raw_public_key
        self.refusal = None
        try:
            self.verify_peer(shown)
        except CertificateError as error:
            self.refusal = error
        if self.config.verify_callback is None:
            return continuation(self, self.refusal is None)
        self.after_judgement = continuation
        return self.ask(
            self.verification_request(shown, True),
            self.config.verify_callback,
            <Continuation> session_judged,
        )

    cdef object verification_request(self, Certificate certificate, bint on_resumption):
        cdef bint raw_public_key = self.shows_raw_public_key
        return VerificationRequest(
            self.user_data,
            by_server=self.by_server,
            hostname=self.outcome.hostname,
            certificates=() if raw_public_key else certificate.certificates,
            raw_public_key=certificate.certificates[0] if raw_public_key else None,
            verified_chain=None if self.shown_chain is None else encode_chain(self.shown_chain),
            error=self.refusal,
            on_resumption=on_resumption,
        )

    cdef int accept_peer(self) except -1:
        """The peer has proved to be who it shows: this is known of it from now on."""
        cdef Outcome outcome = self.outcome
        outcome.peer_certificates = self.shown.certificates
        outcome.raw_public_key = self.shows_raw_public_key
        outcome.ocsp_response = self.shown.ocsp_response
        outcome.signed_certificate_timestamps = self.shown.signed_certificate_timestamps
        outcome.verified_chain = self.shown_chain
        self.shown = None
        self.shown_chain = None
        return 0

    cdef int resume_peer(self, Session session) except -1:
        """The peer has proved to be whom it was in the session."""
        cdef Outcome outcome = self.outcome
        outcome.resumed = True
        outcome.peer_certificates = session.peer_certificates
        outcome.raw_public_key = session.raw_public_key
        outcome.ocsp_response = session.ocsp_response
        outcome.by_external_psk = session.by_external_psk
        outcome.authenticated = session.authenticated
        outcome.identity_digest = session.identity_digest
        return 0

    cdef int put_into_cache(self, Session session) except -1:
        """Give a client's session to the Context's cache, if it has one."""
        if self.config.session_cache is not None and self.outcome.hostname is not None:
            try:
                self.config.session_cache.put(self.outcome.hostname, session)
            except Exception as error:
                report_unraisable(error)
        return 0

    cdef int check_signature(self, int scheme, bytes signature, bytes content) except -1:
        """Whether the peer has the key that it shows."""
        # RFC 8446, 4.4.3; RFC 5246, 7.4.3 and 7.4.8: the scheme is one that was offered.
        if scheme not in self.config.signature_schemes:
            raise IllegalParameter("the peer signed with a scheme that was not offered")
        verify(
            self.peer.public_key,
            self.signature_schemes_of(self.peer),
            scheme,
            signature,
            content,
        )
        self.peer = None
        return 0

cdef int client_identity_chosen(Handshake self, object identity) except -1:
    if identity is not None:
        if identity.is_raw_public_key != (
            self.outcome.client_certificate_type == CERTIFICATETYPE_RawPublicKey
        ):
            raise HandshakeFailure("the chosen identity is of a type that was not negotiated")
        self.use_identity(identity, self.certificate_request.signature_algorithms)
    return self.show_identity(identity)


cdef int wait_for_message(Handshake self, object _) except -1:
    return WAIT_MESSAGE


cdef int session_judged(Handshake self, object verdict) except -1:
    cdef object refusal = self.refusal
    self.refusal = None
    return self.after_judgement(self, verdict is True or (verdict is None and refusal is None))


cdef int judged(Handshake self, object verdict) except -1:
    """Go on with the application's verdict on the peer (VerificationRequest)."""
    cdef object refusal = self.refusal
    self.refusal = None
    if isinstance(verdict, CertificateError):
        raise verdict
    if verdict is None and refusal is not None:
        raise refusal
    if verdict is False:
        if refusal is None:
            refusal = CertificateError("the application refused the peer's certificate")
        raise refusal
    return self.after_judgement(self, None)
