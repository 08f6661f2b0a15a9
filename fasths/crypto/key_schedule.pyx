# The key schedule of TLS 1.3 (RFC 8446, 7.1) as typed stages:
#
#     early = EarlySecret(hash, psk)
#     handshake = early.handshake_secret(shared_secret)
#     client = handshake.client_handshake_traffic_secret(transcript_hash)
#     master = handshake.master_secret()
#
# A stage can only be made from the one before it, so a wrong order cannot be written.
#
# Every output asked of HKDF-Expand here is at most one hash long, which makes it one HMAC over
# HkdfLabel and the octet 1. A secret keys an HMAC once; each label then works on a copy of it.

import hashlib

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA256 as sha256
from cryptography.hazmat.primitives.hashes import SHA384 as sha384
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


cdef bytes hkdf_label(Py_ssize_t length, bytes label, bytes context):
    """struct HkdfLabel (RFC 8446, 7.1)."""
    label = b"tls13 " + label
    return (
        length.to_bytes(2, "big") + bytes((len(label),)) + label + bytes((len(context),)) + context
    )


cdef bytes expand(object keyed, bytes info, Py_ssize_t length):
    """HKDF-Expand of at most one hash; info ends in the octet 1."""
    cdef object mac = keyed.copy()
    cdef bytes output
    mac.update(info)
    output = mac.finalize()
    if PyBytes_GET_SIZE(output) == length:
        return output
    if length < 0 or length > PyBytes_GET_SIZE(output):
        raise ValueError("the length of an output is negative or exceeds the hash")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(output), length)


cdef bytes derive_secret(object keyed, bytes prefix, bytes transcript_hash):
    """Derive-Secret (RFC 8446, 7.1) with the transcript's hash."""
    cdef Py_ssize_t head = PyBytes_GET_SIZE(prefix), size = PyBytes_GET_SIZE(transcript_hash)
    cdef bytes info = PyBytes_FromStringAndSize(NULL, head + size + 1)
    cdef char* at = PyBytes_AS_STRING(info)
    cdef object mac = keyed.copy()
    memcpy(at, PyBytes_AS_STRING(prefix), head)
    memcpy(at + head, PyBytes_AS_STRING(transcript_hash), size)
    at[head + size] = 1
    mac.update(info)
    return mac.finalize()


cdef class Hash:
    """A hash function with all that the key schedule can prepare for it."""

    def __cinit__(self, str name, object hmac_algorithm):
        cdef object early_secret
        self.name = name
        self.new = getattr(hashlib, name)
        self.hmac_algorithm = hmac_algorithm
        self.length = hmac_algorithm.digest_size
        self.zeros = bytes(self.length)
        self.empty_hash = self.new().digest()
        self.label_iv = self.label(b"iv", 12)
        self.label_key_16 = self.label(b"key", 16)
        self.label_key_32 = self.label(b"key", 32)
        self.label_finished = self.label(b"finished", self.length)
        self.label_traffic_update = self.label(b"traffic upd", self.length)
        self.prefix_client_handshake_traffic = self.prefix(b"c hs traffic")
        self.prefix_server_handshake_traffic = self.prefix(b"s hs traffic")
        self.prefix_client_application_traffic = self.prefix(b"c ap traffic")
        self.prefix_server_application_traffic = self.prefix(b"s ap traffic")
        self.prefix_exporter_master = self.prefix(b"exp master")
        self.prefix_resumption_master = self.prefix(b"res master")
        self.prefix_client_early_traffic = self.prefix(b"c e traffic")
        self.prefix_early_exporter_master = self.prefix(b"e exp master")
        self.prefix_derived = self.prefix(b"derived")
        self.binder_prefixes = {
            label: self.prefix(label) for label in (b"res binder", b"ext binder", b"imp binder")
        }
        self.early_extract = self.keyed(self.zeros)
        early_secret = self.keyed(self.mac(self.zeros, self.zeros))
        self.handshake_extract = self.keyed(
            derive_secret(early_secret, self.prefix_derived, self.empty_hash)
        )

    cdef object keyed(self, bytes key):
        return HMAC(key, self.hmac_algorithm)

    cdef bytes mac(self, bytes key, bytes data):
        cdef object mac = HMAC(key, self.hmac_algorithm)
        mac.update(data)
        return mac.finalize()

    cdef bytes digest(self, bytes data):
        return self.new(data).digest()

    cdef bytes label(self, bytes label, Py_ssize_t length):
        return hkdf_label(length, label, b"") + b"\x01"

    cdef bytes prefix(self, bytes label):
        return hkdf_label(self.length, label, self.zeros)[:-self.length]


SHA256 = Hash("sha256", sha256())
SHA384 = Hash("sha384", sha384())
HASHES = {"sha256": SHA256, "sha384": SHA384}


cdef Hash find_hash(str name):
    return HASHES[name]


cdef Hash find_hash_of_size(Py_ssize_t length):
    return SHA256 if length == SHA256.length else SHA384


cdef class Transcript:
    """The hash over all handshake messages so far (RFC 8446, 4.4.1)."""

    def __cinit__(self, Hash hash):
        self.hash = hash
        self.context = hash.new()

    cpdef int update(self, bytes message) except -1:
        self.context.update(message)
        return 0

    cpdef bytes digest(self):
        return self.context.digest()

    cpdef Transcript copy(self):
        cdef Transcript copy = Transcript.__new__(Transcript, self.hash)
        copy.context = self.context.copy()
        return copy


cdef class TrafficSecret:
    """A traffic secret: the keys of one direction at one level (RFC 8446, 7.2 and 7.3)."""

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.secret = secret

    cdef object expander(self):
        if self.keyed is None:
            self.keyed = self.hash.keyed(self.secret)
        return self.keyed

    cpdef bytes key(self, Py_ssize_t length):
        cdef bytes label = self.hash.label_key_16 if length == 16 else self.hash.label_key_32
        return expand(self.expander(), label, length)

    cpdef bytes iv(self):
        return expand(self.expander(), self.hash.label_iv, 12)

    cpdef bytes finished(self, bytes transcript_hash):
        """verify_data of Finished (RFC 8446, 4.4.4)."""
        cdef bytes key = expand(self.expander(), self.hash.label_finished, self.hash.length)
        return self.hash.mac(key, transcript_hash)

    cpdef TrafficSecret next(self):
        """application_traffic_secret_N+1 (RFC 8446, 7.2)."""
        return TrafficSecret(
            self.hash, expand(self.expander(), self.hash.label_traffic_update, self.hash.length)
        )

    def reveal(self):
        """The secret itself, for a key log."""
        return self.secret


cdef class EarlySecret:
    """The Early Secret, of a PSK or without one (psk None)."""

    def __cinit__(self, Hash hash, bytes psk=None):
        cdef object extract
        self.hash = hash
        if psk is not None:
            extract = hash.early_extract.copy()
            extract.update(psk)
            self.keyed = hash.keyed(extract.finalize())

    cpdef bytes binder(self, bytes label, bytes transcript_hash):
        """A PskBinderEntry (RFC 8446, 4.2.11.2): of the ClientHello up to its binders.

        label: b"res binder", b"ext binder", or b"imp binder" (RFC 9258, 5.2).
        """
        return TrafficSecret(
            self.hash,
            derive_secret(self.keyed, self.hash.binder_prefixes[label], self.hash.empty_hash),
        ).finished(transcript_hash)

    cpdef TrafficSecret client_early_traffic_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello."""
        return TrafficSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_client_early_traffic, transcript_hash
        ))

    cpdef ExporterSecret early_exporter_master_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello."""
        return ExporterSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_early_exporter_master, transcript_hash
        ))

    cpdef HandshakeSecret handshake_secret(self, bytes shared_secret):
        """shared_secret: of the key exchange, or None where a PSK is used alone."""
        cdef object extract
        if self.keyed is None:
            extract = self.hash.handshake_extract.copy()
        else:
            extract = self.hash.keyed(
                derive_secret(self.keyed, self.hash.prefix_derived, self.hash.empty_hash)
            )
        extract.update(self.hash.zeros if shared_secret is None else shared_secret)
        return HandshakeSecret(self.hash, extract.finalize())


cdef class HandshakeSecret:

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.keyed = hash.keyed(secret)

    cpdef TrafficSecret client_handshake_traffic_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to ServerHello."""
        return TrafficSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_client_handshake_traffic, transcript_hash
        ))

    cpdef TrafficSecret server_handshake_traffic_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to ServerHello."""
        return TrafficSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_server_handshake_traffic, transcript_hash
        ))

    cpdef MasterSecret master_secret(self):
        cdef bytes salt = derive_secret(
            self.keyed, self.hash.prefix_derived, self.hash.empty_hash
        )
        return MasterSecret(self.hash, self.hash.mac(salt, self.hash.zeros))


cdef class MasterSecret:

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.keyed = hash.keyed(secret)

    cpdef TrafficSecret client_application_traffic_secret_0(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to the server's Finished."""
        return TrafficSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_client_application_traffic, transcript_hash
        ))

    cpdef TrafficSecret server_application_traffic_secret_0(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to the server's Finished."""
        return TrafficSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_server_application_traffic, transcript_hash
        ))

    cpdef ExporterSecret exporter_master_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to the server's Finished."""
        return ExporterSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_exporter_master, transcript_hash
        ))

    cpdef ResumptionSecret resumption_master_secret(self, bytes transcript_hash):
        """transcript_hash: of ClientHello to the client's Finished."""
        return ResumptionSecret(self.hash, derive_secret(
            self.keyed, self.hash.prefix_resumption_master, transcript_hash
        ))


cdef class ResumptionSecret:
    """The resumption_master_secret (RFC 8446, 7.1)."""

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.secret = secret

    cpdef bytes psk(self, bytes ticket_nonce):
        """The PSK that goes with a ticket (RFC 8446, 4.6.1)."""
        return expand(
            self.hash.keyed(self.secret),
            hkdf_label(self.hash.length, b"resumption", ticket_nonce) + b"\x01",
            self.hash.length,
        )


cdef class ExporterSecret:
    """The exporter_master_secret or early_exporter_master_secret (RFC 8446, 7.5)."""

    def __cinit__(self, Hash hash, bytes secret):
        self.hash = hash
        self.secret = secret

    cpdef bytes export(self, bytes label, bytes context, Py_ssize_t length):
        """TLS-Exporter(label, context, length)."""
        cdef object keyed = self.hash.keyed(self.secret)
        cdef bytes secret = derive_secret(keyed, self.hash.prefix(label), self.hash.empty_hash)
        cdef bytes info = hkdf_label(length, b"exporter", self.hash.digest(context))
        return HKDFExpand(self.hash.hmac_algorithm, length, info).derive(secret)

    def reveal(self):
        """The secret itself, for a key log."""
        return self.secret


def equal_in_constant_time(bytes a, bytes b) -> bool:
    return bytes_eq(a, b)
