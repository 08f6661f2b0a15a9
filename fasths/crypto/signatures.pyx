# Signatures of CertificateVerify (RFC 8446, 4.2.3 and 4.4.3).

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import PublicKeyAlgorithmOID

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
cdef dict SCHEMES_OF_CURVE = {
    SECP256R1.name: (int(SignatureScheme.ecdsa_secp256r1_sha256),),
    SECP384R1.name: (int(SignatureScheme.ecdsa_secp384r1_sha384),),
    SECP521R1.name: (int(SignatureScheme.ecdsa_secp521r1_sha512),),
}
cdef tuple RSAE_SCHEMES = (
    int(SignatureScheme.rsa_pss_rsae_sha256),
    int(SignatureScheme.rsa_pss_rsae_sha384),
    int(SignatureScheme.rsa_pss_rsae_sha512),
)
cdef tuple PSS_SCHEMES = (
    int(SignatureScheme.rsa_pss_pss_sha256),
    int(SignatureScheme.rsa_pss_pss_sha384),
    int(SignatureScheme.rsa_pss_pss_sha512),
)
cdef object RSASSA_PSS = PublicKeyAlgorithmOID.RSASSA_PSS


cdef bytes certificate_verify_content(bint by_server, bytes transcript_hash):
    """What CertificateVerify signs (RFC 8446, 4.4.3)."""
    return (SERVER_CONTEXT if by_server else CLIENT_CONTEXT) + transcript_hash


cpdef tuple schemes_of_key(object public_key, bint pss_key):
    """The schemes that a key can make, by code; none for a type that TLS 1.3 cannot use.

    pss_key: the certificate names the key's algorithm as RSASSA-PSS rather than rsaEncryption.
    """
    if isinstance(public_key, EllipticCurvePublicKey):
        return SCHEMES_OF_CURVE.get(public_key.curve.name, ())
    if isinstance(public_key, RSAPublicKey):
        return PSS_SCHEMES if pss_key else RSAE_SCHEMES
    if isinstance(public_key, Ed25519PublicKey):
        return (int(SignatureScheme.ed25519),)
    if isinstance(public_key, Ed448PublicKey):
        return (int(SignatureScheme.ed448),)
    return ()


cpdef bytes sign(object private_key, int scheme, bytes content):
    return private_key.sign(content, *ARGUMENTS[scheme])


cpdef int verify(object certificate, int scheme, bytes signature, bytes content) except -1:
    """Check a signature by a certificate's key.

    IllegalParameter: the scheme is not one of the key's. DecryptError: the signature is wrong.
    CertificateError: the key is of a type that TLS 1.3 cannot use.
    """
    cdef object public_key
    cdef tuple schemes
    try:
        public_key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        public_key = None
    schemes = schemes_of_key(
        public_key,
        isinstance(public_key, RSAPublicKey) and certificate.public_key_algorithm_oid == RSASSA_PSS,
    )
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
