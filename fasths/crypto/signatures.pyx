# Signatures of CertificateVerify (RFC 8446, 4.2.3 and 4.4.3).

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from fasths.wire.codes import AlertDescription, SignatureScheme
from fasths.wire.errors import CertificateError, DecryptError, IllegalParameter

cdef bytes SERVER_CONTEXT = b" " * 64 + b"TLS 1.3, server CertificateVerify\x00"
cdef bytes CLIENT_CONTEXT = b" " * 64 + b"TLS 1.3, client CertificateVerify\x00"


cdef tuple pss(object algorithm):
    # RFC 8446, 4.2.3: the salt is as long as the digest, and MGF1 uses the same hash.
    return PSS(mgf=MGF1(algorithm), salt_length=algorithm.digest_size), algorithm


# What sign() and verify() of a key take behind the content, for each scheme.
cdef dict ARGUMENTS = {
    SignatureScheme.ecdsa_secp256r1_sha256: (ECDSA(SHA256()),),
    SignatureScheme.ecdsa_secp384r1_sha384: (ECDSA(SHA384()),),
    SignatureScheme.ecdsa_secp521r1_sha512: (ECDSA(SHA512()),),
    SignatureScheme.rsa_pss_rsae_sha256: pss(SHA256()),
    SignatureScheme.rsa_pss_rsae_sha384: pss(SHA384()),
    SignatureScheme.rsa_pss_rsae_sha512: pss(SHA512()),
    SignatureScheme.rsa_pss_pss_sha256: pss(SHA256()),
    SignatureScheme.rsa_pss_pss_sha384: pss(SHA384()),
    SignatureScheme.rsa_pss_pss_sha512: pss(SHA512()),
    SignatureScheme.ed25519: (),
    SignatureScheme.ed448: (),
}


cdef bytes certificate_verify_content(bint by_server, bytes transcript_hash):
    """What CertificateVerify signs (RFC 8446, 4.4.3)."""
    return (SERVER_CONTEXT if by_server else CLIENT_CONTEXT) + transcript_hash


cpdef bytes sign(object private_key, int scheme, bytes content):
    return private_key.sign(content, *ARGUMENTS[scheme])


cpdef int verify(
    object public_key, tuple schemes, int scheme, bytes signature, bytes content
) except -1:
    """Check a signature by a peer's key, which can make signatures of these schemes.

    IllegalParameter: the scheme is not one of the key's. DecryptError: the signature is wrong.
    CertificateError: the key is of a type that TLS 1.3 cannot use.
    """
    if not schemes:
        raise CertificateError(
            "the peer's certificate has a key that TLS 1.3 cannot use",
            alert=AlertDescription.unsupported_certificate,
        )
    # RFC 8446, 4.4.3: the scheme must be compatible with the key.
    if scheme not in schemes:
        raise IllegalParameter("the signature scheme does not fit the certificate's key")
    try:
        public_key.verify(signature, content, *ARGUMENTS[scheme])
    except InvalidSignature:
        raise DecryptError("the signature of CertificateVerify is wrong") from None
    return 0
