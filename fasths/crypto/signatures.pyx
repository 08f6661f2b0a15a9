# Signatures in handshakes (RFC 8446, 4.2.3 and 4.4.3; RFC 5246, 7.4.3 and 7.4.8).

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from fasths.crypto.aead cimport AUTHENTICATION_ECDSA, AUTHENTICATION_RSA

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
    SignatureScheme.rsa_pkcs1_sha256: (PKCS1v15(), SHA256()),
    SignatureScheme.rsa_pkcs1_sha384: (PKCS1v15(), SHA384()),
    SignatureScheme.rsa_pkcs1_sha512: (PKCS1v15(), SHA512()),
}


cdef tuple schemes_named(str prefix):
    return tuple(int(scheme) for scheme in ARGUMENTS if scheme.name.startswith(prefix))


cdef tuple ECDSA_SCHEMES = schemes_named("ecdsa_")
cdef tuple PKCS1_SCHEMES = schemes_named("rsa_pkcs1_")
cdef frozenset RSAE_SCHEMES = frozenset(schemes_named("rsa_pss_rsae_"))
cdef frozenset RSA_SCHEMES = frozenset(schemes_named("rsa_"))

# What tls12_schemes() has answered; there are only as many kinds of keys.
cdef dict TLS12_SCHEMES = {}


cdef tuple find_tls12_schemes(tuple schemes):
    if schemes[0] in ECDSA_SCHEMES:
        return schemes + tuple(each for each in ECDSA_SCHEMES if each not in schemes)
    return schemes + PKCS1_SCHEMES if schemes[0] in RSAE_SCHEMES else schemes


cpdef tuple tls12_schemes(tuple schemes):
    """What a key that can make signatures of these schemes in TLS 1.3 can make in TLS 1.2.

    RFC 8446, 4.2.3: there, the curve is not bound to the hash, and PKCS #1 v1.5 is allowed.
    """
    cdef tuple found = TLS12_SCHEMES.get(schemes)
    if found is None:
        found = TLS12_SCHEMES[schemes] = find_tls12_schemes(schemes) if schemes else ()
    return found


cpdef int authentication_of(int scheme) except -1:
    """The kind of cipher suites of TLS 1.2 in which a server may sign with a scheme.

    RFC 8422, 2.1: EdDSA goes with the ECDSA suites.
    """
    return AUTHENTICATION_RSA if scheme in RSA_SCHEMES else AUTHENTICATION_ECDSA


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
    CertificateError: the key is of a type that TLS cannot use.
    """
    if not schemes:
        raise CertificateError(
            "the peer's certificate has a key that TLS cannot use",
            alert=AlertDescription.unsupported_certificate,
        )
    # RFC 8446, 4.4.3: the scheme must be compatible with the key.
    if scheme not in schemes:
        raise IllegalParameter("the signature scheme does not fit the certificate's key")
    try:
        public_key.verify(signature, content, *ARGUMENTS[scheme])
    except InvalidSignature:
        raise DecryptError("a signature of the handshake is wrong") from None
    return 0
