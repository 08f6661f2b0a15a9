# Key exchange: the (EC)DHE groups of RFC 8446, 4.2.8.2 and 7.4.2, and the hybrid X25519MLKEM768.
#
# In the hybrid, a client's share is the ML-KEM-768 encapsulation key and an X25519 key, a server's
# share the ciphertext and an X25519 key, and the shared secret both secrets in the same order.

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fasths.wire.constants cimport (
    GROUP_secp256r1,
    GROUP_secp384r1,
    GROUP_secp521r1,
    GROUP_x25519,
    GROUP_X25519MLKEM768,
)
from fasths.wire.errors import IllegalParameter

cdef enum:
    X25519_SHARE = 32
    MLKEM768_ENCAPSULATION_KEY = 1184
    MLKEM768_CIPHERTEXT = 1088

cdef object ECDH_EXCHANGE = ECDH()
cdef object X962 = Encoding.X962
cdef object UNCOMPRESSED = PublicFormat.UncompressedPoint
# The curve, and the length of an uncompressed point on it.
cdef dict CURVES = {
    GROUP_secp256r1: (SECP256R1(), 65),
    GROUP_secp384r1: (SECP384R1(), 97),
    GROUP_secp521r1: (SECP521R1(), 133),
}


cpdef bint is_supported(int group):
    """Whether the group works with the installed `cryptography`."""
    if group != GROUP_X25519MLKEM768:
        return True
    try:
        MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        return False
    return True


cdef bytes x25519_exchange(object private_key, bytes peer):
    # RFC 8446, 7.4.2: an all-zero result is refused, which exchange() does with a ValueError.
    try:
        return private_key.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise IllegalParameter("the x25519 key share is invalid") from None


cdef bytes elliptic_curve_exchange(object private_key, int group, bytes peer):
    curve, length = CURVES[group]
    # RFC 8446, 4.2.8.2: uncompressed points only; that it is on the curve, the library checks.
    if len(peer) != length or peer[0] != 4:
        raise IllegalParameter("the key share is not an uncompressed point of its curve")
    try:
        return private_key.exchange(
            ECDH_EXCHANGE, EllipticCurvePublicKey.from_encoded_point(curve, peer)
        )
    except ValueError:
        raise IllegalParameter("the key share is not a point on its curve") from None


cdef class KeyExchange:
    """A client's ephemeral private keys, one for each share that it sent.

    x25519 and X25519MLKEM768 use one X25519 key, as the hybrid's specification allows.
    """

    cpdef bytes generate(self, int group):
        """Make a key and return its share. The same key for the same group."""
        if group == GROUP_x25519:
            if self.x25519 is None:
                self.x25519 = X25519PrivateKey.generate()
            return self.x25519.public_key().public_bytes_raw()
        if group == GROUP_X25519MLKEM768:
            if self.mlkem768 is None:
                self.mlkem768 = MLKEM768PrivateKey.generate()
            return self.mlkem768.public_key().public_bytes_raw() + self.generate(GROUP_x25519)
        if self.elliptic_curve is None:
            self.elliptic_curve = {}
        if group not in self.elliptic_curve:
            self.elliptic_curve[group] = generate_private_key(CURVES[group][0])
        return self.elliptic_curve[group].public_key().public_bytes(X962, UNCOMPRESSED)

    cpdef bytes shared_secret(self, int group, bytes server_share):
        """The secret that the server's share for this group makes. IllegalParameter: invalid."""
        if group == GROUP_x25519:
            return x25519_exchange(self.x25519, server_share)
        if group == GROUP_X25519MLKEM768:
            if len(server_share) != MLKEM768_CIPHERTEXT + X25519_SHARE:
                raise IllegalParameter("the X25519MLKEM768 key share has a wrong length")
            return self.mlkem768.decapsulate(server_share[:MLKEM768_CIPHERTEXT]) + x25519_exchange(
                self.x25519, server_share[MLKEM768_CIPHERTEXT:]
            )
        return elliptic_curve_exchange(self.elliptic_curve[group], group, server_share)

    def use_private_key(self, int group, bytes private_key):
        """Take a given private key (raw, or a scalar), to reproduce published traces."""
        if group == GROUP_x25519:
            self.x25519 = X25519PrivateKey.from_private_bytes(private_key)
            return
        if self.elliptic_curve is None:
            self.elliptic_curve = {}
        self.elliptic_curve[group] = derive_private_key(
            int.from_bytes(private_key, "big"), CURVES[group][0]
        )


cpdef tuple respond(int group, bytes client_share):
    """A server's answer to a share: (its own share, the shared secret).

    IllegalParameter: the client's share is invalid.
    """
    cdef object private_key
    if group == GROUP_x25519:
        private_key = X25519PrivateKey.generate()
        return (
            private_key.public_key().public_bytes_raw(), x25519_exchange(private_key, client_share)
        )
    if group == GROUP_X25519MLKEM768:
        return respond_x25519mlkem768(client_share)
    private_key = generate_private_key(CURVES[group][0])
    secret = elliptic_curve_exchange(private_key, group, client_share)
    return private_key.public_key().public_bytes(X962, UNCOMPRESSED), secret


cdef tuple respond_x25519mlkem768(bytes client_share):
    if len(client_share) != MLKEM768_ENCAPSULATION_KEY + X25519_SHARE:
        raise IllegalParameter("the X25519MLKEM768 key share has a wrong length")
    try:
        encapsulation_key = MLKEM768PublicKey.from_public_bytes(
            client_share[:MLKEM768_ENCAPSULATION_KEY]
        )
    except ValueError:
        raise IllegalParameter("the ML-KEM-768 encapsulation key is invalid") from None
    mlkem_secret, ciphertext = encapsulation_key.encapsulate()
    x25519_share, x25519_secret = respond(
        GROUP_x25519, client_share[MLKEM768_ENCAPSULATION_KEY:]
    )
    return ciphertext + x25519_share, mlkem_secret + x25519_secret
