# What a Context allows, in the form that the state machines work with: checked, in order of
# preference, and with every message part that is the same for each connection already encoded.

from fasths.wire.constants cimport *
from fasths.wire.extensions cimport write_protocol_names, write_u16_list
from fasths.wire.messages cimport (
    encode_certificate,
    encode_certificate_request,
    encode_encrypted_extensions,
)
from fasths.wire.writer cimport Writer

from fasths.crypto.aead import find_suite


cdef class Configuration:
    """Shared by all connections of a Context, and by any number of threads; never changed."""

    def __cinit__(
        self,
        *,
        cipher_suites,
        groups,
        key_share_groups,
        signature_schemes,
        certificate_signature_schemes,
        certificate_only_schemes,
        protocol_names,
        identities,
        chain_verifier,
        client_verify,
        server_verify,
        retry_with_cookie,
        keylog,
        limits,
    ):
        """chain_verifier: called without arguments where a chain is to be verified.

        signature_schemes are those of CertificateVerify; certificate_signature_schemes those that
        are accepted inside of certificates as well.
        """
        self.suites = tuple(find_suite(code) for code in cipher_suites)
        self.groups = tuple(groups)
        self.key_share_groups = tuple(key_share_groups)
        self.signature_schemes = tuple(signature_schemes)
        self.protocol_names = tuple(protocol_names)
        self.signers = tuple(
            (identity, tuple(s for s in signature_schemes if s in identity.signature_schemes))
            for identity in identities
        )
        self.chain_verifier = chain_verifier
        self.client_verify = client_verify
        self.server_verify = server_verify
        self.retry_with_cookie = retry_with_cookie
        self.keylog = keylog
        self.max_handshake_message_size = limits.max_handshake_message_size
        self.max_certificate_chain_length = limits.max_certificate_chain_length
        self.max_empty_records = limits.max_empty_records
        self.max_warning_alerts = limits.max_warning_alerts
        self.max_change_cipher_specs = limits.max_change_cipher_specs
        self.max_key_updates = limits.max_key_updates
        self.max_session_tickets = limits.max_session_tickets
        self.max_skipped_early_data = limits.max_skipped_early_data
        self.max_records_per_key = limits.max_records_per_key
        # RFC 8446, 4.2.3: the schemes that only certificates may use stand in the same list, for
        # peers that do not know signature_algorithms_cert. No others do: the peer would sign its
        # CertificateVerify with them.
        self.encode_constant_parts(
            (*signature_schemes, *certificate_only_schemes), tuple(certificate_signature_schemes)
        )

    def encode_constant_parts(self, signature_algorithms, signature_algorithms_cert):
        cdef Writer w = Writer.__new__(Writer)
        self.hello_cipher_suites = b"".join(
            [suite.code.to_bytes(2, "big") for suite in self.suites]
        )
        write_u16_list(w, EXTENSION_supported_versions, (VERSION_TLSv1_3,), 1)
        write_u16_list(w, EXTENSION_supported_groups, self.groups, 2)
        write_u16_list(w, EXTENSION_signature_algorithms, signature_algorithms, 2)
        write_u16_list(w, EXTENSION_signature_algorithms_cert, signature_algorithms_cert, 2)
        if self.protocol_names:
            write_protocol_names(w, self.protocol_names)
        self.hello_extensions = w.finish()
        self.encrypted_extensions = {
            name: encode_encrypted_extensions(name) for name in (None, *self.protocol_names)
        }
        self.certificate_messages = {
            identity: encode_certificate(b"", identity.certificates)
            for identity, _ in self.signers
        }
        self.certificate_request = encode_certificate_request(
            b"", signature_algorithms, signature_algorithms_cert
        )
