# What a client does in the same way in all versions.

from fasths.handshake.base cimport Handshake
from fasths.wire.constants cimport CERTIFICATETYPE_X509, CERTIFICATETYPE_RawPublicKey

from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError, IllegalParameter


cdef int choose_certificate_types(
    Handshake self, int client_type, int server_type, bint server_shows=True
) except -1:
    """RFC 7250, 4: what the server chose of the types that were offered, -1 where it said nothing.

    server_shows: whether it shows anything. Returns whether it shows a raw public key.
    """
    cdef bytes offered = self.config.client_certificate_types
    if offered is not None and client_type >= 0:
        if client_type not in offered:
            raise IllegalParameter("the server chose a certificate type that was not offered")
        self.outcome.client_certificate_type = client_type
    offered = self.config.server_certificate_types
    if offered is None or not server_shows:
        return 0
    if server_type < 0:
        if CERTIFICATETYPE_X509 not in offered:
            raise CertificateError(
                "the server has no raw public key",
                alert=AlertDescription.unsupported_certificate,
            )
    elif server_type not in offered:
        raise IllegalParameter("the server chose a certificate type that was not offered")
    return server_type == CERTIFICATETYPE_RawPublicKey
