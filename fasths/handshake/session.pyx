# What both sides keep of a connection in order to resume it (RFC 8446, 2.2 and 4.6.1; RFC 5246,
# F.1.4; RFC 5077).
#
# A client keeps it with the ticket or session id that it got. A server seals the same fields into
# the ticket, or puts them into a store under ticket or id; its own Session has neither.

from libc.stdint cimport uint64_t

from fasths.crypto.key_schedule cimport ResumptionSecret
from fasths.crypto.key_schedule12 cimport MASTER_SECRET_LENGTH
from fasths.wire.reader cimport (
    Reader,
    finish,
    read_u8,
    read_u16,
    read_u32,
    read_vector8,
    read_vector16,
    read_vector24,
    reader_over_bytes,
    remaining,
    take_rest,
)
from fasths.wire.constants cimport VERSION_TLSv1_2
from fasths.wire.writer cimport Writer

from fasths.crypto.aead import find_suite
from fasths.wire.codes import CipherSuite, TLSVersion
from fasths.wire.errors import DecodeError

cdef enum:
    FORMAT = 2


cdef class Session:
    """What is needed to resume a connection; immutable.

    created: when the session was made or its ticket received, as time.time() gives it. lifetime:
    seconds from then on. peer_certificates: the peer's chain in DER, or its public key
    (raw_public_key).
    max_early_data_size: bytes of 0-RTT data that may be sent with it; 0: none.
    """

    def __init__(self):
        raise TypeError("a Session comes from a connection, or from Session.from_bytes()")

    @property
    def version(self):
        """The protocol version."""
        return TLSVersion(self.version_code)

    @property
    def cipher_suite(self):
        """The cipher suite of the connection."""
        return CipherSuite(self.suite_code)

    @property
    def alpn_protocol(self):
        """The application protocol of the connection, or None."""
        if self.protocol_name is None:
            return None
        return self.protocol_name.decode("ascii", "backslashreplace")

    @property
    def expires(self):
        """Until when it can be used, as time.time() gives it."""
        return self.created + self.lifetime

    def to_bytes(self):
        """Everything, in a form that Session.from_bytes() takes. It holds secrets."""
        return self.encode()

    @staticmethod
    def from_bytes(data):
        """The Session that to_bytes() was called of.

        TypeError: data is not bytes. ValueError: it is not a session.
        """
        if not isinstance(data, bytes):
            raise TypeError("a session is loaded from bytes")
        try:
            return decode_session(data)
        except DecodeError as error:
            raise ValueError(f"this is not a session: {error.reason}") from None

    cdef bytes psk(self):
        if self.secret is None:
            hash = find_suite(self.suite_code).hash
            self.secret = ResumptionSecret(hash, self.resumption_secret).psk(self.ticket_nonce)
            self.resumption_secret = None
        return self.secret

    cdef bytes encode(self):
        cdef Writer w = Writer.__new__(Writer)
        cdef Py_ssize_t certificates
        w.u8(FORMAT)
        w.u16(self.version_code)
        w.u16(self.suite_code)
        w.vector(self.psk(), 1)
        write_time(w, self.created)
        write_time(w, self.authenticated)
        w.u32(self.lifetime)
        w.u32(self.ticket_age_add)
        w.u32(self.max_early_data_size)
        w.vector(b"" if self.server_name is None else self.server_name.encode("ascii"), 1)
        w.vector(b"" if self.protocol_name is None else self.protocol_name, 1)
        w.u8(self.raw_public_key)
        certificates = w.open(3)
        for certificate in self.peer_certificates:
            w.vector(certificate, 3)
        w.close(certificates, 3)
        w.vector(b"" if self.ocsp_response is None else self.ocsp_response, 3)
        w.vector(self.identity_digest, 1)
        w.u8(self.by_external_psk)
        w.vector(self.replay_scope, 1)
        w.vector(b"" if self.session_id is None else self.session_id, 1)
        w.vector(b"" if self.ticket is None else self.ticket, 2)
        return w.finish()

    def __eq__(self, other):
        return isinstance(other, Session) and self.to_bytes() == other.to_bytes()

    def __hash__(self):
        return hash((self.ticket, self.session_id))

    def __reduce__(self):
        return Session.from_bytes, (self.to_bytes(),)

    def __repr__(self):
        return f"<fasths.Session with {self.server_name}, {self.cipher_suite.name}>"


cdef int write_time(Writer w, double time) except -1:
    # Cut to milliseconds; but what was read here before stays the same.
    cdef uint64_t milliseconds = <uint64_t> (time * 1000 + 0.01)
    w.u32(<long long> (milliseconds >> 32))
    return w.u32(<long long> (milliseconds & 0xFFFFFFFF))


cdef double read_time(Reader* r) except -1:
    cdef long long high = read_u32(r)
    return <double> (high * 0x100000000 + read_u32(r)) / 1000


cdef Session decode_session(bytes data):
    """DecodeError: it is not a session of this version of fasths."""
    cdef Reader r, vector, certificate
    cdef Session session = Session.__new__(Session)
    cdef list certificates = []
    cdef int raw_public_key
    cdef Py_ssize_t secret_length
    reader_over_bytes(&r, data, 0)
    if read_u8(&r) != FORMAT:
        raise DecodeError("its version is unknown")
    session.version_code = read_u16(&r)
    session.suite_code = read_u16(&r)
    read_vector8(&r, &vector, 1)
    session.secret = take_rest(&vector)
    try:
        suite = find_suite(session.suite_code)
    except KeyError:
        raise DecodeError("its cipher suite is unknown") from None
    if suite.version != session.version_code:
        raise DecodeError("its cipher suite is of another version")
    secret_length = suite.hash.length
    if session.version_code == VERSION_TLSv1_2:
        secret_length = MASTER_SECRET_LENGTH
    if len(session.secret) != secret_length:
        raise DecodeError("its secret has a wrong length")
    session.created = read_time(&r)
    session.authenticated = read_time(&r)
    session.lifetime = read_u32(&r)
    session.ticket_age_add = read_u32(&r)
    session.max_early_data_size = read_u32(&r)
    read_vector8(&r, &vector, 0)
    if remaining(&vector):
        try:
            session.server_name = take_rest(&vector).decode("ascii")
        except UnicodeDecodeError:
            raise DecodeError("its server name is not ASCII") from None
    read_vector8(&r, &vector, 0)
    if remaining(&vector):
        session.protocol_name = take_rest(&vector)
    raw_public_key = read_u8(&r)
    session.raw_public_key = raw_public_key
    read_vector24(&r, &vector, 0)
    while remaining(&vector):
        read_vector24(&vector, &certificate, 1)
        certificates.append(take_rest(&certificate))
    session.peer_certificates = tuple(certificates)
    if raw_public_key > 1 or (raw_public_key and len(certificates) != 1):
        raise DecodeError("its peer has not one raw public key")
    read_vector24(&r, &vector, 0)
    if remaining(&vector):
        session.ocsp_response = take_rest(&vector)
    read_vector8(&r, &vector, 0)
    session.identity_digest = take_rest(&vector)
    session.by_external_psk = read_u8(&r) != 0
    read_vector8(&r, &vector, 0)
    session.replay_scope = take_rest(&vector)
    read_vector8(&r, &vector, 0)
    if remaining(&vector) > 32:
        raise DecodeError("its session id is too long")
    if remaining(&vector):
        session.session_id = take_rest(&vector)
    read_vector16(&r, &vector, 0)
    if remaining(&vector):
        session.ticket = take_rest(&vector)
    finish(&r)
    return session


cdef Session session_of(bytes state):
    """A stored session, or None where it is of another version of fasths."""
    try:
        return decode_session(state)
    except DecodeError:
        return None
