cimport cython

from fasths.crypto.key_schedule12 cimport MasterSecret12
from fasths.handshake.base cimport Handshake, Outcome
from fasths.handshake.session cimport Session

# The states of both roles.
cdef enum State12:
    WAIT_CERTIFICATE
    WAIT_CERTIFICATE_STATUS
    WAIT_SERVER_KEY_EXCHANGE
    WAIT_CERTIFICATE_REQUEST_OR_DONE
    WAIT_SERVER_HELLO_DONE
    WAIT_CLIENT_KEY_EXCHANGE
    WAIT_CERTIFICATE_VERIFY
    WAIT_NEW_SESSION_TICKET
    WAIT_CHANGE_CIPHER_SPEC
    WAIT_FINISHED
    CONNECTED_CLIENT
    CONNECTED_SERVER


cdef class Handshake12(Handshake):
    # All messages so far, for as long as a CertificateVerify may have to sign them.
    cdef list messages
    cdef bytes server_random
    cdef MasterSecret12 master
    cdef tuple key_block
    # The session that is resumed, or None.
    cdef Session session
    # The key of a server's session in its store.
    cdef bytes session_key

    cdef int add(self, bytes message) except -1
    cdef bytes signed_parameters(self, bytes params)
    cdef int derive_master_secret(self, bytes pre_master_secret) except -1
    cdef int derive_keys(self) except -1
    cdef int change_key_12(self, int direction) except -1
    cdef int send_finished(self) except -1
    cdef int check_finished(self, bytes message) except -1
    cdef int conclude(self) except -1


@cython.final
cdef class Established12(Handshake):
    cdef bytes session_key
