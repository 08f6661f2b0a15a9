# What a handshake has found out, for the connection to tell.

from fasths.crypto.key_schedule cimport ExporterSecret, find_hash_of_size
from fasths.crypto.key_schedule12 cimport master_secret_of
from fasths.wire.constants cimport VERSION_TLSv1_2


cdef class Outcome:

    def __cinit__(self):
        self.identity_digest = b""

    def export(self, bytes label, bytes context or None, Py_ssize_t length):
        """Keying material (RFC 8446, 7.5; RFC 5705, 4); None where there is no secret for it."""
        if self.exporter_secret is None:
            return None
        if self.version == VERSION_TLSv1_2:
            return master_secret_of(self.suite.hash, self.exporter_secret).export(
                label, context, self.client_random, self.server_random, length
            )
        return ExporterSecret(self.suite.hash, self.exporter_secret).export(
            label, context or b"", length
        )

    def export_early(self, bytes label, bytes context or None, Py_ssize_t length):
        """The same, with what early data is protected by."""
        if self.early_exporter_secret is None:
            return None
        return ExporterSecret(
            find_hash_of_size(len(self.early_exporter_secret)), self.early_exporter_secret
        ).export(label, context or b"", length)
