# What a Context allows, in the form that the state machines work with: checked, in order of
# preference, and with every message part that is the same for each connection already encoded.

from libc.stdint cimport uint64_t

from fasths.wire.constants cimport *
from fasths.wire.extensions cimport (
    write_certificate_types,
    write_ec_point_formats,
    write_empty,
    write_protocol_names,
    write_psk_key_exchange_modes,
    write_record_size_limit,
    write_renegotiation_info,
    write_status_request,
    write_u16_list,
)
from fasths.wire.messages cimport (
    encode_certificate,
    encode_certificate_request,
    encode_compressed_certificate,
    encode_encrypted_extensions,
)
from fasths.wire.messages12 cimport encode_certificate_12, encode_certificate_request_12
from fasths.wire.writer cimport Writer

from fasths.crypto.aead import find_suite
from fasths.crypto.signatures import tls12_schemes
from fasths.wire.codes import CertificateType, SignatureScheme, StaplePolicy
from fasths.wire.compression import compress

cdef int STAPLE_IGNORE = StaplePolicy.IGNORE


# The kind of key that a scheme of an identity is for, where it is not RSA.
cdef dict KINDS = {
    SignatureScheme.ecdsa_secp256r1_sha256: KIND_SECP256R1,
    SignatureScheme.ecdsa_secp384r1_sha384: KIND_SECP384R1,
    SignatureScheme.ecdsa_secp521r1_sha512: KIND_SECP521R1,
    SignatureScheme.ed25519: KIND_EDDSA,
    SignatureScheme.ed448: KIND_EDDSA,
}


cdef uint64_t bit(int extension_type) noexcept:
    return <uint64_t> 1 << extension_type


cdef class Signers:

    def __cinit__(self, tuple signers):
        self.all = signers
        self.by_name = {}
        self.by_domain = {}
        for signer in signers:
            for index, names in (
                (self.by_name, signer[0].names),
                (self.by_domain, signer[0].wildcard_domains),
            ):
                for name in names:
                    index[name] = (*index.get(name, ()), signer)


cdef class Configuration:
    """Shared by all connections of a Context, and by any number of threads; never changed, but for
    the messages that it keeps."""

    def __cinit__(
        self,
        *,
        versions,
        cipher_suites,
        groups,
        key_share_groups,
        signature_schemes,
        certificate_signature_schemes,
        certificate_only_schemes,
        protocol_names,
        identities,
        peer_verifier,
        staple_checker,
        staple_policy,
        client_verify,
        server_verify,
        trusted_public_keys,
        takes_certificates,
        certificate_authorities,
        certificate_compression,
        post_handshake_auth,
        retry_with_cookie,
        keylog,
        client_hello_callback,
        identity_callback,
        verify_callback,
        psk_callback,
        session_tickets,
        session_tickets_with_data,
        ticket_keys,
        session_store,
        session_cache,
        session_lifetime,
        external_psks,
        psk_key_exchange_modes,
        max_early_data_size,
        early_data_window,
        record_size_limit,
        record_padding,
        dynamic_record_sizing,
        require_extended_master_secret,
        limits,
    ):
        """peer_verifier: called without arguments where a chain is to be verified.

        signature_schemes are those of handshakes; certificate_signature_schemes those that
        are accepted inside of certificates as well. takes_certificates: whether a client that has
        trusted_public_keys takes certificates, too. ticket_keys: None where sessions are kept in
        the session_store. record_size_limit: 0 for none.
        """
        suites = [find_suite(code) for code in cipher_suites]
        self.has_tls13 = VERSION_TLSv1_3 in versions
        self.has_tls12 = VERSION_TLSv1_2 in versions
        self.versions = tuple(versions)
        if self.has_tls13:
            self.suites = tuple([suite for suite in suites if suite.version == VERSION_TLSv1_3])
        else:
            self.suites = ()
        self.groups = tuple(groups)
        self.key_share_groups = tuple(key_share_groups)
        self.signature_schemes = tuple(signature_schemes)
        self.protocol_names = tuple(protocol_names)
        self.identities = tuple(identities)
        self.identity_digests = frozenset([identity.digest for identity in self.identities])
        self.signers = Signers(
            signers_with(self.identities, self.signature_schemes, for_tls13)
            if self.has_tls13 else ()
        )
        if self.has_tls12:
            self.suites12 = tuple([suite for suite in suites if suite.version == VERSION_TLSv1_2])
            self.groups12 = tuple([each for each in groups if each != GROUP_X25519MLKEM768])
            self.signers12 = {}
        self.peer_verifier = peer_verifier
        self.staple_checker = staple_checker
        self.staple_policy = staple_policy
        self.client_verify = client_verify
        self.server_verify = server_verify
        self.trusted_public_keys = frozenset(trusted_public_keys)
        self.certificate_compression = tuple(certificate_compression)
        self.post_handshake_auth = post_handshake_auth
        self.retry_with_cookie = retry_with_cookie
        self.keylog = keylog
        self.client_hello_callback = client_hello_callback
        self.identity_callback = identity_callback
        self.verify_callback = verify_callback
        self.psk_callback = psk_callback
        self.session_tickets = session_tickets
        self.session_tickets_with_data = session_tickets_with_data
        self.ticket_keys = ticket_keys
        self.session_store = session_store
        self.session_cache = session_cache
        self.session_lifetime = session_lifetime
        self.external_psks = tuple(external_psks)
        self.external_psk_by_identity = {psk.identity: psk for psk in external_psks}
        self.psk_modes = bytes(psk_key_exchange_modes)
        self.max_early_data_size = max_early_data_size
        self.early_data_window = early_data_window
        self.record_size_limit = record_size_limit
        self.record_padding = record_padding
        self.dynamic_record_sizing = dynamic_record_sizing
        self.require_extended_master_secret = require_extended_master_secret
        self.max_handshake_message_size = limits.max_handshake_message_size
        self.max_certificate_chain_length = limits.max_certificate_chain_length
        self.max_empty_records = limits.max_empty_records
        self.max_warning_alerts = limits.max_warning_alerts
        self.max_change_cipher_specs = limits.max_change_cipher_specs
        self.max_key_updates = limits.max_key_updates
        self.max_session_tickets = limits.max_session_tickets
        self.max_skipped_early_data = limits.max_skipped_early_data
        self.max_psk_identities = limits.max_psk_identities
        self.max_certificate_requests = limits.max_certificate_requests
        self.max_renegotiation_requests = limits.max_renegotiation_requests
        self.max_records_per_key = limits.max_records_per_key
        self.certificate_messages = {}
        self.choose_certificate_types(takes_certificates)
        # RFC 8446, 4.2.3: the schemes that only certificates may use stand in the same list, for
        # peers that do not know signature_algorithms_cert. No others do: the peer would sign its
        # CertificateVerify with them.
        self.encode_constant_parts(
            (*signature_schemes, *certificate_only_schemes),
            tuple(certificate_signature_schemes),
            tuple(certificate_authorities),
        )

    def choose_certificate_types(self, takes_certificates):
        """What a client says of the certificates that it has and takes (RFC 7250, 4.1)."""
        x509, raw = CertificateType.X509, CertificateType.RawPublicKey
        if self.trusted_public_keys:
            self.server_certificate_types = bytes((raw, x509) if takes_certificates else (raw,))
        has = {raw if identity.is_raw_public_key else x509 for identity in self.identities}
        if raw in has:
            self.client_certificate_types = bytes(sorted(has, reverse=True))

    def encode_constant_parts(
        self, signature_algorithms, signature_algorithms_cert, certificate_authorities
    ):
        cdef bint with_staple = self.staple_policy != STAPLE_IGNORE
        self.encode_hello_extensions(signature_algorithms, signature_algorithms_cert)
        if self.has_tls12:
            self.certificate_request_12 = encode_certificate_request_12(
                bytes((CLIENTCERTIFICATETYPE_ecdsa_sign, CLIENTCERTIFICATETYPE_rsa_sign)),
                signature_algorithms,
                certificate_authorities,
            )
        if not self.has_tls13:
            return
        self.encrypted_extensions = {
            name: encode_encrypted_extensions(name) for name in (None, *self.protocol_names)
        }
        self.certificate_request_parts = (
            signature_algorithms,
            signature_algorithms_cert,
            certificate_authorities,
            self.certificate_compression,
            with_staple,
        )
        self.certificate_request = self.post_handshake_certificate_request(b"")

    def encode_hello_extensions(self, signature_algorithms, signature_algorithms_cert):
        cdef Writer w = Writer.__new__(Writer)
        cdef uint64_t types = (
            bit(EXTENSION_supported_groups)
            | bit(EXTENSION_signature_algorithms)
            | bit(EXTENSION_signature_algorithms_cert)
        )
        groups = self.groups if self.has_tls13 else self.groups12
        write_u16_list(w, EXTENSION_supported_groups, groups, 2)
        write_u16_list(w, EXTENSION_signature_algorithms, signature_algorithms, 2)
        write_u16_list(w, EXTENSION_signature_algorithms_cert, signature_algorithms_cert, 2)
        if self.has_tls13:
            write_u16_list(w, EXTENSION_supported_versions, self.versions, 1)
            write_psk_key_exchange_modes(w, self.psk_modes)
            types |= (
                bit(EXTENSION_key_share)
                | bit(EXTENSION_supported_versions)
                | bit(EXTENSION_psk_key_exchange_modes)
            )
        if self.has_tls12:
            write_ec_point_formats(w)
            write_empty(w, EXTENSION_extended_master_secret)
            write_renegotiation_info(w, b"")
            types |= (
                bit(EXTENSION_ec_point_formats)
                | bit(EXTENSION_extended_master_secret)
                | bit(EXTENSION_session_ticket)
            )
        if self.protocol_names:
            write_protocol_names(w, self.protocol_names)
            types |= bit(EXTENSION_application_layer_protocol_negotiation)
        if self.staple_policy != STAPLE_IGNORE:
            write_status_request(w)
            write_empty(w, EXTENSION_signed_certificate_timestamp)
            types |= bit(EXTENSION_status_request) | bit(EXTENSION_signed_certificate_timestamp)
        if self.certificate_compression and self.has_tls13:
            write_u16_list(w, EXTENSION_compress_certificate, self.certificate_compression, 1)
            types |= bit(EXTENSION_compress_certificate)
        if self.client_certificate_types is not None:
            write_certificate_types(
                w, EXTENSION_client_certificate_type, self.client_certificate_types
            )
            types |= bit(EXTENSION_client_certificate_type)
        if self.server_certificate_types is not None:
            write_certificate_types(
                w, EXTENSION_server_certificate_type, self.server_certificate_types
            )
            types |= bit(EXTENSION_server_certificate_type)
        if self.record_size_limit:
            write_record_size_limit(w, self.record_size_limit)
            types |= bit(EXTENSION_record_size_limit)
        if self.post_handshake_auth and self.has_tls13:
            write_empty(w, EXTENSION_post_handshake_auth)
            types |= bit(EXTENSION_post_handshake_auth)
        self.hello_cipher_suites = b"".join(
            [suite.code.to_bytes(2, "big") for suite in (*self.suites, *(self.suites12 or ()))]
        )
        self.hello_extensions = w.finish()
        self.hello_extension_types = types

    cdef Signers signers_of_kinds(self, int kinds):
        """The identities for TLS 1.2 with keys of these kinds (KIND_RSA, ...)."""
        cdef Signers signers = self.signers12.get(kinds)
        if signers is None:
            identities = [each for each in self.identities if kind_of(each) & kinds]
            signers = Signers(signers_with(identities, self.signature_schemes, tls12_schemes))
            self.signers12[kinds] = signers
        return signers

    cdef bytes certificate_message_12(self, object identity):
        """Certificate of TLS 1.2."""
        cdef tuple key = (identity,)
        cdef bytes message = self.certificate_messages.get(key)
        if message is None:
            message = encode_certificate_12(identity.certificates)
            self.keep_message(key, message)
        return message

    cdef int keep_message(self, tuple key, bytes message) except -1:
        if len(self.certificate_messages) >= MAX_KEPT_MESSAGES:
            self.certificate_messages.clear()
        self.certificate_messages[key] = message
        return 0

    cdef bytes certificate_message(
        self, object identity, bint with_ocsp_response, bint with_timestamps, int algorithm
    ):
        """Certificate in the handshake, or CompressedCertificate where algorithm is not 0."""
        cdef tuple key = (identity, with_ocsp_response, with_timestamps, algorithm)
        cdef bytes message = self.certificate_messages.get(key)
        if message is not None:
            return message
        message = encode_certificate(
            b"",
            identity.certificates,
            identity.ocsp_response if with_ocsp_response else None,
            identity.signed_certificate_timestamps if with_timestamps else (),
        )
        if algorithm:
            message = encode_compressed_certificate(
                algorithm,
                len(message) - HANDSHAKE_HEADER,
                compress(algorithm, message[HANDSHAKE_HEADER:]),
            )
        self.keep_message(key, message)
        return message

    cdef bytes post_handshake_certificate_request(self, bytes certificate_request_context):
        schemes, certificate_schemes, authorities, algorithms, with_staple = (
            self.certificate_request_parts
        )
        return encode_certificate_request(
            certificate_request_context,
            schemes,
            certificate_schemes,
            authorities,
            algorithms,
            with_staple,
        )


cdef enum:
    # Certificate messages that a Context keeps encoded.
    MAX_KEPT_MESSAGES = 1024


cdef int kind_of(object identity) except -1:
    return KINDS.get(identity.signature_schemes[0], KIND_RSA)


def for_tls13(schemes):
    return schemes


def signers_with(identities, signature_schemes, schemes_in_version):
    """Identities, each with the schemes that it can sign with, in order of preference."""
    return tuple([
        (identity, tuple([s for s in signature_schemes if s in possible]))
        for identity in identities
        for possible in (schemes_in_version(identity.signature_schemes),)
    ])
