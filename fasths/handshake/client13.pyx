# The client's side of a TLS 1.3 handshake (RFC 8446, 2 and A.1), with pre-shared keys and early
# data; and the ClientHello of all versions, as it offers all that are allowed at once. Where the
# server has no TLS 1.3, client12 goes on.

import os
import time
from functools import partial

from libc.stdint cimport uint64_t

from fasths.crypto.aead cimport Suite, find_suite
from fasths.crypto.groups cimport KeyExchange
from fasths.crypto.key_schedule cimport EarlySecret, TrafficSecret, Transcript, find_hash
from fasths.handshake.base cimport *
from fasths.handshake.handshake13 cimport *
from fasths.handshake.client cimport choose_certificate_types
from fasths.handshake.client12 cimport go_on_as_client_12
from fasths.handshake.post_handshake cimport PostHandshake
from fasths.handshake.session cimport MAX_TICKET_LIFETIME, Session
from fasths.wire.constants cimport *
from fasths.wire.extensions cimport *
from fasths.wire.messages cimport *
from fasths.wire.messages12 cimport decode_hello_request
from fasths.wire.writer cimport Writer

from fasths.handshake.requests import SessionCacheRequest
from fasths.wire.errors import (
    DecodeError,
    IllegalParameter,
    MissingExtension,
    ProtocolVersion,
    UnexpectedMessage,
)

cdef enum State:
    START
    WAIT_SERVER_HELLO
    WAIT_ENCRYPTED_EXTENSIONS
    WAIT_CERTIFICATE_OR_REQUEST
    WAIT_CERTIFICATE
    WAIT_CERTIFICATE_VERIFY
    WAIT_FINISHED
    CONNECTED

cdef enum:
    # Identities of external keys are offered as far as they fit into a ClientHello, each with its
    # age, its binder and their lengths.
    MAX_PSK_IDENTITIES_SIZE = 62000
    PSK_OVERHEAD = 2 + 4 + 1 + 48

# RFC 8446, 4.1.3: how the random of a server ends that can do more than it negotiates.
cdef tuple DOWNGRADE_SENTINELS = (b"DOWNGRD\x01", b"DOWNGRD\x00")


cdef class OfferedPsk:
    pass


cdef class ClientHandshake(Handshake13):

    cdef int start(self) except -1:
        cdef str name = self.outcome.hostname
        cdef object cache = self.config.session_cache
        if self.session is None and cache is not None and name is not None:
            return self.ask(
                SessionCacheRequest(self.user_data, name),
                partial(cache.take, name),
                <Continuation> session_found,
            )
        return self.begin()

    cdef int begin(self) except -1:
        """Queue the first flight, once it is known what to resume."""
        self.psks = []
        if self.session is not None and self.may_resume(self.session):
            return self.judge_session(self.session, <Continuation> server_judged)
        return self.send_first_flight()

    cdef bint may_resume(self, Session session) except -1:
        """Whether a session can be offered here, as far as it is not for the server's certificate.

        RFC 8446, 4.2.11 and 4.6.1: with a suite of its hash, in its lifetime, at its server.
        """
        cdef Suite session_suite = find_suite(session.suite_code)
        cdef bytes types = self.config.server_certificate_types
        cdef Suite suite
        cdef double now = time.time()
        # Only in TLS 1.2 an id is enough.
        if session.ticket is None and (
            session.session_id is None or session.version_code != VERSION_TLSv1_2
        ):
            return False
        if (
            session.server_name != self.outcome.hostname
            or not session.created <= now < session.created + session.lifetime
            or now >= session.authenticated + MAX_TICKET_LIFETIME
        ):
            return False
        # What this client would show of itself, and take of the server, in a full handshake.
        if session.identity_digest and session.identity_digest not in self.config.identity_digests:
            return False
        if types is not None and session.peer_certificates and (
            CERTIFICATETYPE_RawPublicKey if session.raw_public_key else CERTIFICATETYPE_X509
        ) not in types:
            return False
        # RFC 5246, 7.4.1.2: there with the very suite.
        if session.version_code == VERSION_TLSv1_2:
            return self.config.has_tls12 and session_suite in self.config.suites12
        for suite in self.config.suites:
            if suite.hash is session_suite.hash:
                return True
        return False

    cdef int offer_session(self, Session session) except -1:
        cdef OfferedPsk offered
        if session.version_code == VERSION_TLSv1_2:
            self.session12 = session
            self.session12_chain = self.shown_chain
            return 0
        offered = OfferedPsk.__new__(OfferedPsk)
        offered.identity = session.ticket
        offered.early_secret = EarlySecret(find_suite(session.suite_code).hash, session.psk())
        offered.binder_label = b"res binder"
        offered.session = session
        offered.verified_chain = self.shown_chain
        self.psks.append(offered)
        return 0

    cdef int send_first_flight(self) except -1:
        cdef OfferedPsk offered
        cdef Py_ssize_t room = MAX_PSK_IDENTITIES_SIZE
        for offered in self.psks:
            room -= len(offered.identity) + PSK_OVERHEAD
        for external_psk in self.config.external_psks if self.config.has_tls13 else ():
            room -= len(external_psk.identity) + PSK_OVERHEAD
            if room < 0:
                break
            offered = OfferedPsk.__new__(OfferedPsk)
            offered.identity = external_psk.identity
            offered.early_secret = EarlySecret(find_hash(external_psk.hash), external_psk.key)
            offered.binder_label = b"imp binder" if external_psk.imported else b"ext binder"
            self.psks.append(offered)
        self.send_client_hello(None)
        self.state = WAIT_SERVER_HELLO
        return WAIT_MESSAGE

    cdef bint permits_early_data(self, OfferedPsk psk) except -1:
        """RFC 8446, 4.2.10: with the suite and the application protocol of the session."""
        cdef Session session = psk.session
        if session is None or session.max_early_data_size == 0:
            return False
        if session.protocol_name is not None and (
            session.protocol_name not in self.config.protocol_names
        ):
            return False
        return find_suite(session.suite_code) in self.config.suites

    cdef int send_client_hello(self, bytes cookie) except -1:
        """Queue a ClientHello; a second one repeats the first but for shares, cookie and PSKs."""
        cdef Writer w = Writer.__new__(Writer)
        cdef list shares = []
        cdef bytes entropy
        cdef int group
        cdef Py_ssize_t binders_size = 0
        cdef bint with_early_data = (
            self.wants_early_data
            and not self.retried
            and bool(self.psks)
            and self.permits_early_data(self.psks[0])
        )
        if self.given:
            self.client_hello = self.given.pop(0)
        else:
            if not self.retried:
                # One draw for random and for legacy_session_id.
                entropy = os.urandom(64)
                self.client_random = entropy[:32]
                self.legacy_session_id = self.choose_session_id(entropy[32:])
            w.blob(self.config.hello_extensions)
            if self.server_name is not None:
                write_server_name(w, self.server_name)
            if self.config.has_tls12:
                # RFC 5077, 3.2: without one, an empty ticket asks for one.
                write_session_ticket(
                    w,
                    b"" if self.session12 is None or self.session12.ticket is None
                    else self.session12.ticket,
                )
            if self.config.has_tls13:
                for group in self.shared_groups:
                    shares.append((group, self.key_exchange.generate(group)))
                write_key_shares(w, shares)
            if cookie is not None:
                write_cookie(w, cookie)
            self.offered &= ~(
                (<uint64_t> 1 << EXTENSION_early_data)
                | (<uint64_t> 1 << EXTENSION_pre_shared_key)
            )
            if with_early_data:
                write_empty(w, EXTENSION_early_data)
                self.offered |= <uint64_t> 1 << EXTENSION_early_data
            if self.psks:
                # RFC 8446, 4.2.11: pre_shared_key is the last extension.
                binders_size = self.write_psks(w)
                self.offered |= <uint64_t> 1 << EXTENSION_pre_shared_key
            self.client_hello = encode_client_hello(
                self.client_random,
                self.legacy_session_id,
                self.config.hello_cipher_suites,
                w.finish(),
            )
            if binders_size:
                self.client_hello = self.with_binders(self.client_hello, binders_size)
        self.output.append(self.client_hello)
        if with_early_data:
            self.outcome.early_data_offered = True
            self.send_change_cipher_spec()
            self.send_early_data_key()
        return 0

    cdef bytes choose_session_id(self, bytes random):
        """legacy_session_id of the first ClientHello; random: what it is where nothing else is due.

        Nobody wonders about it, and so not about TLS 1.3 (RFC 8446, D.4); a server of TLS 1.2
        that takes a ticket repeats it (RFC 5077, 3.4).
        """
        cdef Session session = self.session12
        if session is not None and session.session_id is not None:
            return session.session_id
        return random if session is not None or self.config.has_tls13 else b""

    cdef Py_ssize_t write_psks(self, Writer w) except -1:
        """The identities (RFC 8446, 4.2.11), with room for the binders; how much room."""
        cdef OfferedPsk psk
        cdef list identities = [], lengths = []
        cdef long long age
        cdef double now = time.time()
        for psk in self.psks:
            age = 0
            if psk.session is not None:
                # RFC 8446, 4.2.11.1: milliseconds, obfuscated.
                age = <long long> ((now - psk.session.created) * 1000)
                age = (age + psk.session.ticket_age_add) & 0xFFFFFFFF
            identities.append((psk.identity, age))
            lengths.append(psk.early_secret.hash.length)
        return write_offered_psks(w, identities, lengths)

    cdef bytes with_binders(self, bytes client_hello, Py_ssize_t size):
        """RFC 8446, 4.2.11.2: each binder covers the transcript as far as the identities."""
        cdef bytes truncated = client_hello[:len(client_hello) - size]
        cdef Writer w = Writer.__new__(Writer)
        cdef Py_ssize_t binders
        cdef Transcript transcript
        cdef OfferedPsk psk
        w.blob(truncated)
        binders = w.open(2)
        for psk in self.psks:
            if self.retried:
                transcript = self.transcript.copy()
            else:
                transcript = Transcript(psk.early_secret.hash)
            transcript.update(truncated)
            w.vector(psk.early_secret.binder(psk.binder_label, transcript.digest()), 1)
        w.close(binders, 2)
        return w.finish()

    cdef int send_early_data_key(self) except -1:
        cdef OfferedPsk psk = self.psks[0]
        self.suite = find_suite(psk.session.suite_code)
        self.early_secret = psk.early_secret
        self.derive_early_secrets(self.suite.hash.digest(self.client_hello))
        return self.change_key(WRITE_KEY, LEVEL_EARLY_DATA, self.client_secret)

    cdef long long early_data_limit(self) except -1:
        """How many bytes of early data the offered session permits."""
        return (<OfferedPsk> self.psks[0]).session.max_early_data_size

    cdef int send_change_cipher_spec(self) except -1:
        """RFC 8446, D.4: once, and only with the legacy_session_id that asks for it."""
        if self.legacy_session_id and not self.sent_change_cipher_spec:
            self.sent_change_cipher_spec = True
            self.output.append(CHANGE_CIPHER_SPEC)
        return 0

    cdef Handshake successor(self):
        cdef TrafficSecret client, server
        cdef PostHandshake after = PostHandshake.__new__(PostHandshake)
        client, server = self.application_secrets
        after.take_over(self, server, client)
        return after

    def start_with(self, list client_hellos, dict private_keys, Session session=None):
        """Send these ClientHellos (a second one after HelloRetryRequest) instead of one's own, as
        published traces do. private_keys: those of their shares, by group. session: what they
        resume."""
        cdef ClientHello hello = decode_client_hello(client_hellos[0])
        for group, private_key in private_keys.items():
            self.key_exchange.use_private_key(group, private_key)
        self.shared_groups = tuple(
            [group for group in private_keys if find_key_share(hello.key_shares, group) is not None]
        )
        self.client_random = hello.random
        self.legacy_session_id = hello.legacy_session_id
        self.offered = hello.extension_types
        self.wants_early_data = hello.early_data
        self.given = list(client_hellos)
        self.session = session

    cdef int check_lower_version(self, ServerHello hello) except -1:
        """What holds for a ServerHello without supported_versions, which is not of TLS 1.3."""
        # RFC 8446, 4.1.3: a server that negotiates less but can do more was tampered with.
        if self.config.has_tls13 and hello.random[24:] in DOWNGRADE_SENTINELS:
            raise IllegalParameter("the server was made to downgrade the version")
        if not self.config.has_tls12 or hello.is_hello_retry_request:
            raise ProtocolVersion("the server has no version that is allowed here")
        # RFC 8446, 4.1.4: the version stays what HelloRetryRequest said.
        if self.retried:
            raise IllegalParameter("the version changed after HelloRetryRequest")
        # RFC 8446, D.3: such a server does not know what to do with early data.
        if self.outcome.early_data_offered:
            raise ProtocolVersion("the server that has to take early data has no TLS 1.3")
        return 0

    cdef int check_server_hello(self, ServerHello hello) except -1:
        """What holds for ServerHello and HelloRetryRequest (RFC 8446, 4.1.3 and 4.1.4)."""
        cdef int where, type
        # RFC 8446, 4.2.1: a version that was offered, and legacy_version stays that of TLS 1.2.
        if hello.selected_version != VERSION_TLSv1_3 or hello.legacy_version != VERSION_TLSv1_2:
            raise IllegalParameter("the server selected a version that was not offered")
        if hello.legacy_session_id_echo != self.legacy_session_id:
            raise IllegalParameter("legacy_session_id_echo is not what was sent")
        if hello.legacy_compression_method != 0:
            raise IllegalParameter("the server selected a compression method")
        where = IN_HELLO_RETRY_REQUEST if hello.is_hello_retry_request else IN_SERVER_HELLO
        for type in hello.extension_types:
            # RFC 8446, 4.2: a cookie is the one extension that comes without having been offered.
            if type == EXTENSION_cookie:
                require_allowed(type, where)
            else:
                require_offered(type, where, self.offered)
        if not contains_u16(self.config.hello_cipher_suites, hello.cipher_suite):
            raise IllegalParameter("the server selected a cipher suite that was not offered")
        # RFC 8446, 4.1.4: the suite stays what HelloRetryRequest said.
        if self.retried and hello.cipher_suite != self.suite.code:
            raise IllegalParameter("the cipher suite changed after HelloRetryRequest")
        self.suite = find_suite(hello.cipher_suite)
        if self.suite.version != VERSION_TLSv1_3:
            raise IllegalParameter("the server selected a cipher suite of TLS 1.2 in TLS 1.3")
        return 0

    cdef int check_selected_psk(self, ServerHello hello) except -1:
        """What the server says of pre-shared keys (RFC 8446, 4.2.11)."""
        cdef int mode = PSKMODE_psk_ke if hello.key_exchange is None else PSKMODE_psk_dhe_ke
        if hello.selected_identity >= len(self.psks):
            raise IllegalParameter("the server selected a pre-shared key that was not offered")
        self.selected_psk = self.psks[hello.selected_identity]
        if self.selected_psk.early_secret.hash is not self.suite.hash:
            raise IllegalParameter("the server selected a pre-shared key of another hash")
        # RFC 8446, 4.2.9: in a mode that was offered.
        if mode not in self.config.psk_modes:
            raise IllegalParameter("the server uses a PSK in a mode that was not offered")
        return 0

    cdef int retry(self, ServerHello hello, bytes message) except -1:
        """Answer a HelloRetryRequest (RFC 8446, 4.1.4)."""
        if self.retried:
            raise UnexpectedMessage("a second HelloRetryRequest")
        if hello.group >= 0:
            # RFC 8446, 4.2.8: a group that was offered, and has no share yet.
            if hello.group not in self.config.groups or hello.group in self.shared_groups:
                raise IllegalParameter("HelloRetryRequest asks for a group that it must not")
            self.shared_groups = (hello.group,)
        elif hello.cookie is None:
            raise IllegalParameter("HelloRetryRequest changes nothing")
        self.retried = True
        # RFC 8446, 4.1.4: it stays at this version.
        self.outcome.version = VERSION_TLSv1_3
        self.retry_group = max(hello.group, 0)
        self.restart_transcript(self.client_hello, message)
        # RFC 8446, 4.2.10: that rejects early data; the next ClientHello is not protected.
        if self.outcome.early_data_offered:
            self.outcome.early_exporter_secret = None
            self.change_key(WRITE_KEY, LEVEL_PLAINTEXT, None)
        # RFC 8446, 4.1.4: without the keys whose hash is not that of the suite.
        self.psks = [
            psk for psk in self.psks if (<OfferedPsk> psk).early_secret.hash is self.suite.hash
        ]
        self.early_secret = None
        self.send_change_cipher_spec()
        try:
            self.send_client_hello(hello.cookie)
        except ValueError:
            raise IllegalParameter("the cookie does not fit into a ClientHello") from None
        self.transcript.update(self.client_hello)
        self.client_hello = None
        return WAIT_MESSAGE

    cdef int read_early_data_answer(self, EncryptedExtensions extensions) except -1:
        """Whether the server accepts early data (RFC 8446, 4.2.10)."""
        cdef Session session
        if not extensions.early_data:
            self.outcome.early_exporter_secret = None
            return self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.client_secret)
        # Only with the first key that was offered, and all that belongs to it.
        if self.selected_psk is None or self.selected_psk is not self.psks[0]:
            raise IllegalParameter("the server accepts early data without its pre-shared key")
        session = self.selected_psk.session
        if self.suite.code != session.suite_code:
            raise IllegalParameter("the server accepts early data with another cipher suite")
        if extensions.protocol_name != session.protocol_name:
            raise IllegalParameter("the server accepts early data with another protocol")
        self.outcome.early_data_accepted = True
        return 0


cdef Handshake client_handshake(
    Configuration config, bytes server_name, str hostname, object user_data
):
    """server_name: what the extension says, or None. hostname: what the chain is verified for."""
    cdef ClientHandshake handshake = ClientHandshake.__new__(ClientHandshake)
    handshake.config = config
    handshake.user_data = user_data
    handshake.outcome = Outcome.__new__(Outcome)
    handshake.outcome.hostname = hostname
    handshake.outcome.post_handshake_auth = config.post_handshake_auth
    handshake.output = []
    handshake.transitions = TRANSITIONS
    handshake.transition_count = sizeof(TRANSITIONS) // sizeof(Transition)
    handshake.server_name = server_name
    handshake.key_exchange = KeyExchange.__new__(KeyExchange)
    handshake.shared_groups = handshake.config.key_share_groups
    handshake.offered = config.hello_extension_types
    if server_name is not None:
        handshake.offered |= <uint64_t> 1 << EXTENSION_server_name
    return handshake


cdef int server_judged(ClientHandshake self, object is_believed) except -1:
    if is_believed:
        self.offer_session(self.session)
    return self.send_first_flight()


cdef int session_found(ClientHandshake self, object session) except -1:
    self.session = session
    return self.begin()


cdef int read_hello_request(ClientHandshake self, bytes message) except -1:
    # RFC 5246, 7.4.1.1: a client that negotiates already ignores it.
    if not self.config.has_tls12 or self.retried:
        raise UnexpectedMessage("a HelloRequest in a handshake of TLS 1.3")
    decode_hello_request(message)
    self.count_renegotiation_request()
    return WAIT_MESSAGE


cdef int read_server_hello(ClientHandshake self, bytes message) except -1:
    cdef ServerHello hello = decode_server_hello(message)
    cdef bytes shared_secret = None
    # RFC 8446, D.5.
    if hello.legacy_version == VERSION_SSLv3:
        raise ProtocolVersion("the server speaks SSL 3.0")
    if hello.selected_version < 0 or not self.config.has_tls13:
        self.check_lower_version(hello)
        return go_on_as_client_12(
            self,
            self.client_hello,
            self.legacy_session_id,
            self.offered,
            self.session12,
            self.session12_chain,
            message,
        )
    self.check_server_hello(hello)
    if hello.is_hello_retry_request:
        return self.retry(hello, message)
    if hello.selected_identity >= 0:
        self.check_selected_psk(hello)
    elif hello.key_exchange is None:
        raise MissingExtension("ServerHello has no key_share")
    if hello.key_exchange is not None:
        # RFC 8446, 4.2.8: the share is in a group that has a share here, after HelloRetryRequest
        # the one that it named.
        if hello.group not in self.shared_groups or (
            self.retry_group and hello.group != self.retry_group
        ):
            raise IllegalParameter("the server's key share is in a group without one of ours")
        shared_secret = self.key_exchange.shared_secret(hello.group, hello.key_exchange)
        self.outcome.group = hello.group
    if not self.retried:
        self.transcript = Transcript(self.suite.hash)
        self.transcript.update(self.client_hello)
        self.client_hello = None
    self.transcript.update(message)
    self.early_secret = None if self.selected_psk is None else self.selected_psk.early_secret
    self.derive_handshake_secrets(shared_secret)
    self.key_exchange = None
    self.outcome.suite = self.suite
    self.outcome.version = VERSION_TLSv1_3
    # With early data it goes on under its key, until the server's answer to it is known.
    if not self.outcome.early_data_offered or self.retried:
        self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.client_secret)
    self.change_key(READ_KEY, LEVEL_HANDSHAKE, self.server_secret)
    self.state = WAIT_ENCRYPTED_EXTENSIONS
    return WAIT_MESSAGE


cdef int read_encrypted_extensions(ClientHandshake self, bytes message) except -1:
    cdef EncryptedExtensions extensions = decode_encrypted_extensions(message)
    cdef int type
    for type in extensions.extension_types:
        require_offered(type, IN_ENCRYPTED_EXTENSIONS, self.offered)
    # RFC 7301, 3.2: the choice is one of what was offered.
    if (
        extensions.protocol_name is not None
        and extensions.protocol_name not in self.config.protocol_names
    ):
        raise IllegalParameter("the server chose an application protocol that was not offered")
    self.outcome.protocol_name = extensions.protocol_name
    if extensions.record_size_limit >= 0:
        # RFC 8449, 4: no more than the protocol allows.
        if extensions.record_size_limit > MAX_PLAINTEXT + 1:
            raise IllegalParameter("the server's record_size_limit is above the protocol's")
        # It counts the type of the content.
        self.limit_records(extensions.record_size_limit - 1, self.config.record_size_limit - 1)
    if self.outcome.early_data_offered and not self.retried:
        self.read_early_data_answer(extensions)
    self.transcript.update(message)
    self.psks = None
    self.server_sends_raw_public_key = choose_certificate_types(
        self,
        extensions.client_certificate_type,
        extensions.server_certificate_type,
        self.selected_psk is None,
    )
    if self.selected_psk is not None:
        self.state = WAIT_FINISHED
        resume_session(self, self.selected_psk)
    else:
        self.state = WAIT_CERTIFICATE_OR_REQUEST
    return WAIT_MESSAGE


cdef int resume_session(ClientHandshake self, OfferedPsk psk) except -1:
    """Take over what the session knows of the server."""
    cdef Outcome outcome = self.outcome
    outcome.resumed = True
    if psk.session is not None:
        self.resume_peer(psk.session)
        outcome.verified_chain = psk.verified_chain
    else:
        outcome.by_external_psk = True
    return 0


cdef int read_certificate_request(ClientHandshake self, bytes message) except -1:
    self.certificate_request = decode_certificate_request(message)
    # RFC 8446, 4.3.2: the context is empty in the handshake.
    if self.certificate_request.certificate_request_context:
        raise IllegalParameter("CertificateRequest has a context in the handshake")
    self.transcript.update(message)
    self.state = WAIT_CERTIFICATE
    return WAIT_MESSAGE


cdef int read_certificate(ClientHandshake self, bytes message) except -1:
    cdef Certificate certificate = self.read_certificate_message(message)
    cdef int type
    self.transcript.update(message)
    if certificate.certificate_request_context:
        raise IllegalParameter("the server's Certificate has a context")
    # RFC 8446, 4.4.2.4: a server's chain is never empty.
    if not certificate.certificates:
        raise DecodeError("the server sent no certificate")
    for type in certificate.extension_types:
        require_offered(type, IN_CERTIFICATE, self.offered)
    self.state = WAIT_CERTIFICATE_VERIFY
    return self.judge_peer(
        certificate, self.server_sends_raw_public_key, <Continuation> wait_for_message
    )


cdef int read_certificate_verify(ClientHandshake self, bytes message) except -1:
    self.outcome.signature_scheme = self.read_peer_signature(message)
    self.accept_peer()
    self.state = WAIT_FINISHED
    return WAIT_MESSAGE


cdef int read_finished(ClientHandshake self, bytes message) except -1:
    self.read_peer_finished(message, self.server_secret)
    self.application_secrets = self.derive_application_secrets()
    self.change_key(READ_KEY, LEVEL_APPLICATION, self.application_secrets[1])
    if self.outcome.early_data_accepted:
        # RFC 8446, 4.5: the last under the key of early data.
        self.send(encode_end_of_early_data())
        self.change_key(WRITE_KEY, LEVEL_HANDSHAKE, self.client_secret)
    # RFC 8446, D.4: before the second flight, unless it was sent earlier.
    self.send_change_cipher_spec()
    self.state = CONNECTED
    if self.certificate_request is not None:
        return self.authenticate_client(self.certificate_request, <Continuation> send_finished)
    return send_finished(self, None)


cdef int send_finished(ClientHandshake self, object _) except -1:
    self.send(encode_finished(self.client_secret.finished(self.transcript.digest())))
    self.change_key(WRITE_KEY, LEVEL_APPLICATION, self.application_secrets[0])
    return WAIT_NOTHING


cdef Transition[10] TRANSITIONS
TRANSITIONS[0] = Transition(
    WAIT_SERVER_HELLO, HANDSHAKE_server_hello, <Step> read_server_hello
)
TRANSITIONS[1] = Transition(
    WAIT_ENCRYPTED_EXTENSIONS, HANDSHAKE_encrypted_extensions, <Step> read_encrypted_extensions
)
TRANSITIONS[2] = Transition(
    WAIT_CERTIFICATE_OR_REQUEST, HANDSHAKE_certificate_request, <Step> read_certificate_request
)
TRANSITIONS[3] = Transition(
    WAIT_CERTIFICATE_OR_REQUEST, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[4] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_certificate, <Step> read_certificate
)
TRANSITIONS[5] = Transition(
    WAIT_CERTIFICATE_VERIFY, HANDSHAKE_certificate_verify, <Step> read_certificate_verify
)
TRANSITIONS[6] = Transition(
    WAIT_FINISHED, HANDSHAKE_finished, <Step> read_finished
)
TRANSITIONS[7] = Transition(
    WAIT_CERTIFICATE_OR_REQUEST, HANDSHAKE_compressed_certificate, <Step> read_certificate
)
TRANSITIONS[8] = Transition(
    WAIT_CERTIFICATE, HANDSHAKE_compressed_certificate, <Step> read_certificate
)
TRANSITIONS[9] = Transition(
    WAIT_SERVER_HELLO, HANDSHAKE_hello_request, <Step> read_hello_request
)
