# How a server finds the version (RFC 8446, 4.2.1; RFC 5246, E.1), and with it who goes on.

from fasths.handshake.base cimport *
from fasths.handshake.configuration cimport Configuration
from fasths.handshake.server12 cimport go_on_as_server_12
from fasths.handshake.server13 cimport go_on_as_server_13
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport contains_u16
from fasths.wire.messages cimport ClientHello, decode_client_hello

from fasths.handshake.requests import ClientHelloRequest
from fasths.wire.errors import InappropriateFallback, ProtocolVersion

cdef enum State:
    WAIT_CLIENT_HELLO

cdef enum:
    # RFC 7507, 2: TLS_FALLBACK_SCSV.
    FALLBACK_SCSV = 0x5600


cdef class VersionNegotiation(Handshake):

    cdef int negotiate(self) except -1:
        """Go on in the highest version that both sides have."""
        cdef ClientHello hello = self.hello
        cdef bint has_tls12, has_tls13 = False
        if hello.supported_versions is not None:
            # RFC 8446, 4.2.1: then only this list counts.
            has_tls13 = contains_u16(hello.supported_versions, VERSION_TLSv1_3)
            has_tls12 = contains_u16(hello.supported_versions, VERSION_TLSv1_2)
        else:
            has_tls12 = hello.legacy_version >= VERSION_TLSv1_2
        # RFC 8446, D.5.
        if hello.legacy_version == VERSION_SSLv3:
            raise ProtocolVersion("the client speaks SSL 3.0")
        if has_tls13 and self.config.has_tls13:
            return go_on_as_server_13(self, hello, self.message)
        # RFC 7507, 3: a client that was made to try again with less than both sides have.
        if contains_u16(hello.cipher_suites, FALLBACK_SCSV) and (
            (self.config.has_tls13 and not has_tls13)
            or (self.config.has_tls12 and not has_tls12 and not has_tls13)
        ):
            raise InappropriateFallback("the client could have used a higher version")
        if has_tls12 and self.config.has_tls12:
            return go_on_as_server_12(self, hello, self.message)
        raise ProtocolVersion("the client has no version that is allowed here")


cdef Handshake server_handshake(Configuration config, object user_data):
    cdef VersionNegotiation handshake = VersionNegotiation.__new__(VersionNegotiation)
    handshake.config = config
    handshake.user_data = user_data
    handshake.by_server = True
    handshake.outcome = Outcome.__new__(Outcome)
    handshake.output = []
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.state = WAIT_CLIENT_HELLO
    return handshake


cdef int read_client_hello(VersionNegotiation self, bytes message) except -1:
    self.hello = decode_client_hello(message)
    self.message = message
    if self.config.client_hello_callback is not None:
        return self.ask(
            ClientHelloRequest(self.user_data, message),
            self.config.client_hello_callback,
            <Continuation> context_chosen,
        )
    return self.negotiate()


cdef int context_chosen(VersionNegotiation self, object context) except -1:
    if context is not None:
        self.config = context._configuration
        self.outcome.context = context
    return self.negotiate()


cdef Transition[1] TRANSITIONS
TRANSITIONS[0] = Transition(
    WAIT_CLIENT_HELLO, HANDSHAKE_client_hello, <Step> read_client_hello
)
