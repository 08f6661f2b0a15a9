cimport cython

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule cimport TrafficSecret, Transcript
from fasths.handshake.configuration cimport Configuration, Signers
from fasths.handshake.outcome cimport Outcome
from fasths.handshake.session cimport Session
from fasths.wire.messages cimport Certificate, CertificateRequest

# What a step waits for next: numbers of SSLErrorCode. Any other one is the code of a Request that
# the application has still to answer.
cdef enum Wait:
    WAIT_NOTHING = 0
    WAIT_MESSAGE = 2

# Who protects with a secret, and from when on.
cdef enum:
    READ_KEY = 0
    WRITE_KEY = 1

cdef enum:
    LEVEL_PLAINTEXT = 0
    LEVEL_EARLY_DATA = 1
    LEVEL_HANDSHAKE = 2
    LEVEL_APPLICATION = 3


@cython.final
cdef class KeyChange:
    """An event: from here on one direction uses a new traffic secret, or none.

    In TLS 1.2 it is key and iv that are new.
    """

    cdef int direction
    cdef int level
    cdef Suite suite
    cdef TrafficSecret secret
    cdef bytes key
    cdef bytes iv


@cython.final
cdef class RecordSizeLimits:
    """An event: from here on records have no more content than this (RFC 8449)."""

    cdef int send
    cdef int receive


ctypedef int (*Step)(Handshake, bytes) except -1
# What goes on with the answer to a Request.
ctypedef int (*Continuation)(Handshake, object) except -1


cdef struct Transition:
    int state
    int message_type
    Step step


cdef class Handshake:
    cdef Configuration config
    cdef Outcome outcome
    cdef int state
    # Messages (bytes), KeyChange, RecordSizeLimits, and the events that are named at the end, for
    # the carrier to carry out in order.
    cdef list output
    # What a suspended step has queued; it waits for the rest of the step.
    cdef list held
    # What goes on in place of this one, once it is known which version that has to be.
    cdef Handshake heir
    # TLS 1.2: HelloRequests that a client got, or ClientHellos that a server got once it was done.
    cdef int renegotiation_requests
    # The table of this role's steps.
    cdef const Transition* transitions
    cdef int transition_count
    # What the application is asked while a step is suspended.
    cdef object request
    cdef Continuation continuation
    cdef object user_data
    cdef Suite suite
    cdef Transcript transcript
    cdef bytes client_random
    cdef bint by_server
    # What the peer shows in Certificate, until it has proved that it has the key; why it would be
    # refused.
    cdef object peer
    cdef object refusal
    cdef Certificate shown
    cdef bint shows_raw_public_key
    cdef tuple shown_chain
    # Where it goes on with the verdict on the peer, or on that of a session.
    cdef Continuation after_judgement
    # What this side signs with.
    cdef object identity
    cdef int signature_scheme
    # What a client is asked to authenticate itself with, and where it goes on when it has.
    cdef CertificateRequest certificate_request
    cdef Continuation after_authentication

    cdef int start(self) except -1
    cdef int step(self, bytes message) except -1
    cdef int ask(self, object request, object callback, Continuation continuation) except -1
    cdef int resume(self) except -1
    cdef int go_on(self) except -1
    cdef Handshake successor(self)
    cdef int go_on_in_place_of(self, Handshake before) except -1
    cdef int take_change_cipher_spec(self) except -1
    cdef int data_received(self, Py_ssize_t size) except -1
    cdef int output_taken(self) except -1
    cdef int connection_failed(self) except -1
    cdef int count_renegotiation_request(self) except -1
    cdef int send(self, bytes message) except -1
    cdef int limit_records(self, int send, int receive) except -1
    cdef int log_secret(self, str label, bytes secret) except -1
    cdef tuple signature_schemes_of(self, object identity_or_peer)
    cdef Signers client_signers(self, CertificateRequest request)
    cdef tuple choose_identity(
        self,
        Signers signers,
        str server_name,
        bytes signature_algorithms,
        bytes signature_algorithms_cert,
        tuple certificate_authorities,
        bint with_certificates,
        bint with_raw_public_keys,
    )
    cdef tuple choose_among(
        self,
        tuple signers,
        bytes signature_algorithms,
        bytes signature_algorithms_cert,
        tuple certificate_authorities,
        bint with_certificates,
        bint with_raw_public_keys,
    )
    cdef int use_identity(self, object identity, bytes signature_algorithms) except -1
    cdef int show_identity(self, object identity) except -1
    cdef int ask_for_signature(self, bytes content, Continuation continuation) except -1
    cdef int authenticate_client(
        self, CertificateRequest request, Continuation continuation
    ) except -1
    cdef object verify_peer(self, Certificate certificate)
    cdef int judge_peer(
        self, Certificate certificate, bint raw_public_key, Continuation continuation
    ) except -1
    cdef int judge_session(self, Session session, Continuation continuation) except -1
    cdef object verification_request(self, Certificate certificate, bint on_resumption)
    cdef int accept_peer(self) except -1
    cdef int resume_peer(self, Session session) except -1
    cdef int put_into_cache(self, Session session) except -1
    cdef int check_signature(self, int scheme, bytes signature, bytes content) except -1


cdef void report_unraisable(object error) noexcept
cdef int remember_peer(Session session, Outcome outcome) except -1
cdef int wait_for_message(Handshake self, object _) except -1

cdef object CHANGE_CIPHER_SPEC
cdef object SKIP_EARLY_DATA
cdef object NO_RENEGOTIATION
