# What both roles of a TLS 1.2 handshake have in common (RFC 5246, 7.3), and what may come after it.
#
# change_cipher_spec is a step like those that messages take: the keys that it announces are made
# before, and it has a state of its own.

from fasths.crypto.aead cimport Suite
from fasths.crypto.key_schedule12 cimport (
    VERIFY_DATA_LENGTH,
    extended_master_secret,
    master_secret,
)
from fasths.crypto.signatures cimport tls12_schemes
from fasths.handshake.base cimport *
from fasths.wire.constants cimport *
from fasths.wire.messages cimport decode_finished, encode_finished
from fasths.wire.messages12 cimport decode_hello_request

from fasths.crypto.key_schedule import equal_in_constant_time
from fasths.wire.errors import DecryptError, UnexpectedMessage


cdef class Handshake12(Handshake):

    cdef int send(self, bytes message) except -1:
        self.add(message)
        self.output.append(message)
        return 0

    cdef int add(self, bytes message) except -1:
        """A message that was sent or received, in its order."""
        self.transcript.update(message)
        if self.messages is not None:
            self.messages.append(message)
        return 0

    cdef tuple signature_schemes_of(self, object identity_or_peer):
        return tls12_schemes(identity_or_peer.signature_schemes)

    cdef bytes signed_parameters(self, bytes params):
        """What the signature of ServerKeyExchange is over (RFC 5246, 7.4.3)."""
        return self.client_random + self.server_random + params

    # --- Keys

    cdef int derive_master_secret(self, bytes pre_master_secret) except -1:
        """Once the transcript ends in ClientKeyExchange."""
        cdef Suite suite = self.suite
        if self.outcome.extended_master_secret:
            # RFC 7627, 4.
            self.master = extended_master_secret(
                suite.hash, pre_master_secret, self.transcript.digest()
            )
        else:
            self.master = master_secret(
                suite.hash, pre_master_secret, self.client_random, self.server_random
            )
        return 0

    cdef int derive_keys(self) except -1:
        self.key_block = self.master.key_block(
            self.client_random, self.server_random, self.suite.key_length, self.suite.iv_length
        )
        if self.config.keylog is not None:
            self.log_secret("CLIENT_RANDOM", self.master.secret)
        return 0

    cdef int change_key_12(self, int direction) except -1:
        cdef KeyChange change = KeyChange.__new__(KeyChange)
        cdef int sender = <int> ((direction == WRITE_KEY) == self.by_server)
        change.direction = direction
        # It stays at this level: at LEVEL_APPLICATION a server may send before the client is done.
        change.level = LEVEL_HANDSHAKE
        change.suite = self.suite
        change.key = self.key_block[sender]
        change.iv = self.key_block[2 + sender]
        self.output.append(change)
        return 0

    # --- change_cipher_spec and Finished

    cdef int take_change_cipher_spec(self) except -1:
        # RFC 5246, 7.1 and 7.4.9: right before Finished, once.
        if self.state != WAIT_CHANGE_CIPHER_SPEC:
            raise UnexpectedMessage("change_cipher_spec does not belong here")
        self.change_key_12(READ_KEY)
        self.state = WAIT_FINISHED
        return WAIT_MESSAGE

    cdef int send_finished(self) except -1:
        """change_cipher_spec and Finished."""
        cdef bytes verify_data
        self.output.append(CHANGE_CIPHER_SPEC)
        self.change_key_12(WRITE_KEY)
        verify_data = self.master.finished(self.by_server, self.transcript.digest())
        if self.outcome.tls_unique is None:
            self.outcome.tls_unique = verify_data
        return self.send(encode_finished(verify_data))

    cdef int check_finished(self, bytes message) except -1:
        """Check Finished (RFC 5246, 7.4.9) against the transcript before it."""
        cdef bytes verify_data = decode_finished(message, VERIFY_DATA_LENGTH)
        if not equal_in_constant_time(
            self.master.finished(not self.by_server, self.transcript.digest()), verify_data
        ):
            raise DecryptError("the verify_data of Finished is wrong")
        if self.outcome.tls_unique is None:
            self.outcome.tls_unique = verify_data
        return self.add(message)

    cdef int conclude(self) except -1:
        """Both Finished are through."""
        cdef Outcome outcome = self.outcome
        if outcome.extended_master_secret:
            # RFC 7627, 5.4 and 6.1: without it other connections can have the same ones.
            outcome.exporter_secret = self.master.secret
            outcome.client_random = self.client_random
            outcome.server_random = self.server_random
        else:
            outcome.tls_unique = None
        self.state = CONNECTED_SERVER if self.by_server else CONNECTED_CLIENT
        return WAIT_NOTHING

    cdef Handshake successor(self):
        cdef Established12 after = Established12.__new__(Established12)
        after.config = self.config
        after.outcome = self.outcome
        after.by_server = self.by_server
        after.renegotiation_requests = self.renegotiation_requests
        after.session_key = self.session_key
        after.state = self.state
        after.transitions = TRANSITIONS
        after.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
        return after

    cdef int connection_failed(self) except -1:
        return forget_session(self, self.session_key)


cdef class Established12(Handshake):

    cdef int connection_failed(self) except -1:
        return forget_session(self, self.session_key)


cdef int forget_session(Handshake self, bytes session_key) except -1:
    """RFC 5246, 7.2.2: forget the secrets of what ended with a fatal alert, and do not resume it.

    That cannot be done about tickets, nor about what the application has already.
    """
    cdef Outcome outcome = self.outcome
    cdef object remove
    try:
        if session_key is not None:
            self.config.session_store.remove(session_key)
        elif outcome.sessions and outcome.hostname is not None:
            remove = getattr(self.config.session_cache, "remove", None)
            if remove is not None:
                for session in outcome.sessions:
                    remove(outcome.hostname, session)
    except Exception as error:
        report_unraisable(error)
    outcome.sessions = None
    outcome.exporter_secret = None
    outcome.tls_unique = None
    return 0


cdef int refuse_renegotiation(Handshake self) except -1:
    """RFC 5246, 7.4.1.1 and 7.2.2; RFC 5746, 5: the connection goes on as it is."""
    self.count_renegotiation_request()
    if self.output is None:
        self.output = []
    self.output.append(NO_RENEGOTIATION)
    return WAIT_NOTHING


cdef int read_hello_request(Handshake self, bytes message) except -1:
    decode_hello_request(message)
    return refuse_renegotiation(self)


cdef int read_client_hello(Handshake self, bytes message) except -1:
    return refuse_renegotiation(self)


cdef Transition[2] TRANSITIONS
TRANSITIONS[0] = Transition(
    CONNECTED_CLIENT, HANDSHAKE_hello_request, <Step> read_hello_request
)
TRANSITIONS[1] = Transition(
    CONNECTED_SERVER, HANDSHAKE_client_hello, <Step> read_client_hello
)
