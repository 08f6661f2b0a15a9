"""Key exchange, signatures and identities, against other ways to the same."""

from __future__ import annotations

from base64 import b64encode

import pki
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, x448, x25519
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fasths import Identity
from fasths.crypto import groups, signatures
from fasths.crypto.certificates import load_certificate, signature_schemes
from fasths.crypto.groups import KeyExchange, respond
from fasths.crypto.peer_verification import parse_peer
from fasths.wire.codes import AlertDescription, NamedGroup, SignatureScheme
from fasths.wire.errors import CertificateError, DecryptError, IllegalParameter

# --- Groups

SHARE_LENGTHS = {
    NamedGroup.secp256r1: (65, 65, 32),
    NamedGroup.secp384r1: (97, 97, 48),
    NamedGroup.secp521r1: (133, 133, 66),
    NamedGroup.x25519: (32, 32, 32),
    NamedGroup.X25519MLKEM768: (1216, 1120, 64),
}
CURVES = {
    NamedGroup.secp256r1: ec.SECP256R1(),
    NamedGroup.secp384r1: ec.SECP384R1(),
    NamedGroup.secp521r1: ec.SECP521R1(),
}
of_groups = pytest.mark.parametrize("group", NamedGroup, ids=lambda group: group.name)
of_curves = pytest.mark.parametrize("group", CURVES, ids=lambda group: group.name)
# Points of small order: whatever the private key is, the result is zero (RFC 7748, 6.1).
PRIME = 2**255 - 19
SMALL_ORDER_POINTS = [
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    (PRIME - 1).to_bytes(32, "little"),
    PRIME.to_bytes(32, "little"),
    (PRIME + 1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def uncompressed(key):
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@of_groups
def test_both_sides_have_the_same_secret(group):
    exchange = KeyExchange()
    client_share = exchange.generate(group)
    server_share, secret = respond(group, client_share)
    assert (len(client_share), len(server_share), len(secret)) == SHARE_LENGTHS[group]
    assert exchange.shared_secret(group, server_share) == secret
    assert exchange.generate(group) == client_share
    assert respond(group, client_share) != (server_share, secret)
    assert KeyExchange().generate(group) != client_share
    assert groups.is_supported(group)


@of_curves
def test_elliptic_curve_exchange_is_that_of_cryptography(group):
    key = ec.generate_private_key(CURVES[group])
    share, secret = respond(group, uncompressed(key))
    peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], share)
    assert secret == key.exchange(ec.ECDH(), peer)
    exchange = KeyExchange()
    peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], exchange.generate(group))
    assert exchange.shared_secret(group, uncompressed(key)) == key.exchange(ec.ECDH(), peer)


def test_x25519_exchange_is_that_of_cryptography():
    key = x25519.X25519PrivateKey.generate()
    share, secret = respond(NamedGroup.x25519, key.public_key().public_bytes_raw())
    assert secret == key.exchange(x25519.X25519PublicKey.from_public_bytes(share))


def test_hybrid_exchange_is_ml_kem_and_then_x25519():
    key, kem_key = x25519.X25519PrivateKey.generate(), MLKEM768PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    share, secret = respond(
        NamedGroup.X25519MLKEM768, kem_key.public_key().public_bytes_raw() + raw
    )
    x25519_secret = key.exchange(x25519.X25519PublicKey.from_public_bytes(share[1088:]))
    assert secret == kem_key.decapsulate(share[:1088]) + x25519_secret
    exchange = KeyExchange()
    client_share = exchange.generate(NamedGroup.X25519MLKEM768)
    # One X25519 key serves both groups.
    assert client_share[1184:] == exchange.generate(NamedGroup.x25519)
    kem_secret, ciphertext = MLKEM768PublicKey.from_public_bytes(client_share[:1184]).encapsulate()
    x25519_secret = key.exchange(x25519.X25519PublicKey.from_public_bytes(client_share[1184:]))
    made = exchange.shared_secret(NamedGroup.X25519MLKEM768, ciphertext + raw)
    assert made == kem_secret + x25519_secret


def refused_by_both_sides(group, share, server_share=None):
    """server_share: where a server's share differs from a client's."""
    with pytest.raises(IllegalParameter):
        respond(group, share)
    exchange = KeyExchange()
    exchange.generate(group)
    with pytest.raises(IllegalParameter):
        exchange.shared_secret(group, share if server_share is None else server_share)


@of_groups
@pytest.mark.parametrize("change", [-1, 1, -1000, 1000])
def test_share_of_a_wrong_length_is_refused(group, change):
    exchange = KeyExchange()
    client_share = exchange.generate(group)
    server_share, _ = respond(group, client_share)

    def changed(share):
        return share + bytes(change) if change > 0 else share[:change]

    with pytest.raises(IllegalParameter):
        respond(group, changed(client_share))
    with pytest.raises(IllegalParameter):
        exchange.shared_secret(group, changed(server_share))


@of_groups
def test_empty_share_is_refused(group):
    refused_by_both_sides(group, b"")


@of_curves
def test_compressed_point_is_refused(group):
    key = ec.generate_private_key(CURVES[group]).public_key()
    compressed = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    refused_by_both_sides(group, compressed)
    refused_by_both_sides(group, compressed + bytes(len(compressed) - 1))


@of_curves
@pytest.mark.parametrize("form", [0, 1, 2, 3, 5, 6, 7, 255])
def test_point_of_another_form_is_refused(group, form):
    """6 and 7 are the hybrid form of X9.62, whose point is on the curve."""
    point = uncompressed(ec.generate_private_key(CURVES[group]))
    refused_by_both_sides(group, bytes((form,)) + point[1:])


@of_curves
def test_point_that_is_not_on_its_curve_is_refused(group):
    point = uncompressed(ec.generate_private_key(CURVES[group]))
    size = len(point) // 2
    for wrong in (
        point[:-1] + bytes((point[-1] ^ 1,)),
        b"\4" + bytes(2 * size),
        b"\4" + b"\xff" * (2 * size),
        b"\4" + point[1 + size :] + point[1 : 1 + size],
    ):
        refused_by_both_sides(group, wrong)


@of_curves
def test_point_at_infinity_is_refused(group):
    refused_by_both_sides(group, b"\0")


@pytest.mark.parametrize("point", SMALL_ORDER_POINTS, ids=lambda point: point[:4].hex())
@pytest.mark.parametrize("group", [NamedGroup.x25519, NamedGroup.X25519MLKEM768])
def test_x25519_share_of_small_order_is_refused(group, point):
    kem_key = kem_ciphertext = b""
    if group == NamedGroup.X25519MLKEM768:
        public_key = MLKEM768PrivateKey.generate().public_key()
        kem_key, kem_ciphertext = public_key.public_bytes_raw(), public_key.encapsulate()[1]
    refused_by_both_sides(group, kem_key + point, kem_ciphertext + point)


def test_encapsulation_key_that_is_not_reduced_is_refused():
    """FIPS 203, 7.2: the modulus check."""
    raw = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    for wrong in (
        b"\xff" * 1184,
        b"\xff" * 3 + MLKEM768PrivateKey.generate().public_key().public_bytes_raw()[3:],
    ):
        with pytest.raises(IllegalParameter):
            respond(NamedGroup.X25519MLKEM768, wrong + raw)


def test_wrong_ciphertext_gives_another_secret():
    """FIPS 203, 6.3: implicit rejection; the handshake then fails in its first record."""
    exchange = KeyExchange()
    share, secret = respond(NamedGroup.X25519MLKEM768, exchange.generate(NamedGroup.X25519MLKEM768))
    changed = bytes((share[0] ^ 1,)) + share[1:]
    assert exchange.shared_secret(NamedGroup.X25519MLKEM768, changed)[:32] != secret[:32]


# --- Signatures

S = SignatureScheme
PSS_SCHEMES = (S.rsa_pss_pss_sha256, S.rsa_pss_pss_sha384, S.rsa_pss_pss_sha512)
RSAE_SCHEMES = (S.rsa_pss_rsae_sha256, S.rsa_pss_rsae_sha384, S.rsa_pss_rsae_sha512)
PKCS1_SCHEMES = (S.rsa_pkcs1_sha256, S.rsa_pkcs1_sha384, S.rsa_pkcs1_sha512)
SCHEMES = {
    "ecdsa": (S.ecdsa_secp256r1_sha256,),
    "ecdsa384": (S.ecdsa_secp384r1_sha384,),
    "ecdsa521": (S.ecdsa_secp521r1_sha512,),
    "rsa": RSAE_SCHEMES,
    "rsa-pss": PSS_SCHEMES,
    "ed25519": (S.ed25519,),
    "ed448": (S.ed448,),
}
CONTENT = b"content"
ALGORITHMS = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@pytest.fixture(scope="module")
def leaves():
    return {key_type: pki.make_leaf(key_type=key_type) for key_type in SCHEMES}


def signed_by_hand(key, scheme, content):
    algorithm = ALGORITHMS.get(scheme.name[-3:])
    if scheme in PSS_SCHEMES + RSAE_SCHEMES:
        salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        return key.sign(content, salt, algorithm)
    if scheme in PKCS1_SCHEMES:
        return key.sign(content, padding.PKCS1v15(), algorithm)
    if "ecdsa" in scheme.name:
        return key.sign(content, ec.ECDSA(algorithm))
    return key.sign(content)


def verify(certificate, scheme, signature):
    """Verify what the peer with this certificate signed."""
    peer = parse_peer((certificate.public_bytes(Encoding.DER),))
    return signatures.verify(peer.public_key, peer.signature_schemes, scheme, signature, CONTENT)


@pytest.mark.parametrize(
    ("key_type", "scheme"),
    [(key_type, scheme) for key_type, schemes in SCHEMES.items() for scheme in schemes],
)
def test_signature(leaves, key_type, scheme):
    leaf = leaves[key_type]
    signature = signatures.sign(leaf.key, scheme, CONTENT)
    for each in (signature, signed_by_hand(leaf.key, scheme, CONTENT)):
        assert verify(leaf.certificate, scheme, each) == 0


@pytest.mark.parametrize(
    ("key_type", "scheme"),
    [(key_type, scheme) for key_type in SCHEMES for scheme in S if scheme not in SCHEMES[key_type]],
)
def test_scheme_that_does_not_fit_the_key_is_refused(leaves, key_type, scheme):
    """Also a curve that is not the scheme's, PKCS #1 v1.5, and the wrong one of rsae and pss."""
    with pytest.raises(IllegalParameter):
        verify(leaves[key_type].certificate, scheme, bytes(64))


@pytest.mark.parametrize("code", [0, 0x0A0A, 0x0203, 0xFFFF, -1])
def test_unknown_scheme_is_refused(leaves, code):
    with pytest.raises(IllegalParameter):
        verify(leaves["ecdsa"].certificate, code, bytes(64))


@pytest.mark.parametrize("key_type", SCHEMES)
def test_wrong_signature_is_refused(leaves, key_type):
    leaf, scheme = leaves[key_type], SCHEMES[key_type][0]
    signature = signatures.sign(leaf.key, scheme, CONTENT)
    another_key = pki.make_key(key_type)
    while another_key.public_key() == leaf.key.public_key():
        another_key = pki.make_key(key_type)
    wrong = [b"", b"\0", signature[:-1], signature + b"\0", bytes(len(signature)), bytes(1 << 16)]
    wrong += [signature[:-1] + bytes((signature[-1] ^ 1,)), b"\xff" * len(signature)]
    wrong += [signatures.sign(another_key, scheme, CONTENT)]
    wrong += [signatures.sign(leaf.key, scheme, CONTENT + b"\0")]
    for each in wrong:
        with pytest.raises(DecryptError) as refusal:
            verify(leaf.certificate, scheme, each)
        assert refusal.value.alert == AlertDescription.decrypt_error


@pytest.mark.parametrize("scheme", RSAE_SCHEMES)
@pytest.mark.parametrize("salt_length", [0, 20, padding.PSS.MAX_LENGTH])
def test_pss_signature_with_a_salt_of_another_length_is_refused(leaves, scheme, salt_length):
    """RFC 8446, 4.2.3: the salt is as long as the digest."""
    leaf = leaves["rsa"]
    algorithm = ALGORITHMS[scheme.name[-3:]]
    salt = padding.PSS(padding.MGF1(algorithm), salt_length)
    signature = leaf.key.sign(CONTENT, salt, algorithm)
    with pytest.raises(DecryptError):
        verify(leaf.certificate, scheme, signature)


def test_pss_signature_with_another_mgf1_hash_is_refused(leaves):
    leaf = leaves["rsa"]
    salt = padding.PSS(padding.MGF1(hashes.SHA512()), 32)
    signature = leaf.key.sign(CONTENT, salt, hashes.SHA256())
    with pytest.raises(DecryptError):
        verify(leaf.certificate, S.rsa_pss_rsae_sha256, signature)


def test_signature_by_a_key_too_small_for_its_scheme_is_refused():
    leaf = pki.make_leaf(key_type="rsa1024")
    with pytest.raises(IllegalParameter):
        verify(leaf.certificate, S.rsa_pss_rsae_sha512, bytes(128))


# Keys of certificates that TLS cannot use, as SubjectPublicKeyInfo.


def public_key_info(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def algorithm_identifier(oid, *parameters):
    return pki.tlv(0x30, bytes.fromhex(oid), *parameters)


def bit_string(value):
    return pki.tlv(0x03, b"\0", value)


P256 = bytes.fromhex("06082a8648ce3d030107")
EC_PUBLIC_KEY = "06072a8648ce3d0201"
POINT = uncompressed(ec.generate_private_key(ec.SECP256R1()))


def rsa_key_info(modulus, exponent):
    key = pki.tlv(0x30, *(pki.tlv(0x02, number) for number in (modulus, exponent)))
    return pki.tlv(0x30, pki.RSA_ALGORITHM, bit_string(key))


VERSION_3 = bytes.fromhex("a003020102")
UNUSABLE_KEYS = {
    "x25519": lambda: public_key_info(x25519.X25519PrivateKey.generate()),
    "x448": lambda: public_key_info(x448.X448PrivateKey.generate()),
    "dsa": lambda: public_key_info(dsa.generate_private_key(1024)),
    "secp256k1": lambda: public_key_info(ec.generate_private_key(ec.SECP256K1())),
    "secp192r1": lambda: public_key_info(ec.generate_private_key(ec.SECP192R1())),
    "brainpool": lambda: public_key_info(ec.generate_private_key(ec.BrainpoolP256R1())),
    "unknown curve": lambda: pki.tlv(
        0x30,
        algorithm_identifier(EC_PUBLIC_KEY, bytes.fromhex("06082a8648ce3d030106")),
        bit_string(POINT),
    ),
    "point not on its curve": lambda: pki.tlv(
        0x30,
        algorithm_identifier(EC_PUBLIC_KEY, P256),
        bit_string(POINT[:-1] + bytes((POINT[-1] ^ 1,))),
    ),
    "unknown algorithm": lambda: pki.tlv(
        0x30, algorithm_identifier("06032a0304"), bit_string(b"x")
    ),
    "short ed25519": lambda: pki.tlv(
        0x30, algorithm_identifier("06032b6570"), bit_string(bytes(31))
    ),
    "tiny rsa": lambda: rsa_key_info(b"\x0c\xa1", b"\1\0\1"),
    "negative modulus": lambda: rsa_key_info(b"\x81" * 256, b"\1\0\1"),
    "no key": lambda: pki.tlv(0x30, algorithm_identifier(EC_PUBLIC_KEY, P256), bit_string(b"")),
}


@pytest.mark.parametrize("make", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS)
def test_certificate_with_a_key_of_no_use_is_refused(leaves, make):
    certificate = pki.amended(leaves["ecdsa"], public_key_info=make()).certificate
    for scheme in (S.ecdsa_secp256r1_sha256, S.rsa_pss_rsae_sha256, S.ed25519):
        with pytest.raises(CertificateError) as refusal:
            verify(certificate, scheme, bytes(64))
        assert refusal.value.alert == AlertDescription.unsupported_certificate


def test_pss_key_for_one_hash_is_refused_with_another():
    """RFC 8446, 4.2.3: the parameters in the public key and in the signature are identical."""
    leaf = pki.make_leaf(key_type="rsa-pss")
    sha256 = algorithm_identifier("0609608648016503040201", b"\5\0")
    mgf1 = algorithm_identifier("06092a864886f70d010108", sha256)
    fields = (pki.tlv(0xA0, sha256), pki.tlv(0xA1, mgf1), pki.tlv(0xA2, b"\2\1\x20"))
    rsassa_pss = algorithm_identifier("06092a864886f70d01010a", pki.tlv(0x30, *fields))
    key = pki.elements(pki.contents(public_key_info(leaf.key)))[1]
    certificate = pki.amended(leaf, public_key_info=pki.tlv(0x30, rsassa_pss, key)).certificate
    for scheme in PSS_SCHEMES:
        signature = signatures.sign(leaf.key, scheme, CONTENT)
        if scheme == S.rsa_pss_pss_sha256:
            assert verify(certificate, scheme, signature) == 0
            continue
        with pytest.raises((IllegalParameter, CertificateError)):
            verify(certificate, scheme, signature)


@pytest.mark.parametrize("key_type", SCHEMES)
def test_schemes_of_key(leaves, key_type):
    assert signature_schemes(leaves[key_type].certificate) == SCHEMES[key_type]


# --- Signatures in TLS 1.2

P256_SHA256, P384_SHA384, P521_SHA512 = (
    S.ecdsa_secp256r1_sha256,
    S.ecdsa_secp384r1_sha384,
    S.ecdsa_secp521r1_sha512,
)
SCHEMES_12 = {
    **SCHEMES,
    "ecdsa": (P256_SHA256, P384_SHA384, P521_SHA512),
    "ecdsa384": (P384_SHA384, P256_SHA256, P521_SHA512),
    "ecdsa521": (P521_SHA512, P256_SHA256, P384_SHA384),
    "rsa": RSAE_SCHEMES + PKCS1_SCHEMES,
}
of_schemes_12 = pytest.mark.parametrize(
    ("key_type", "scheme"),
    [(key_type, scheme) for key_type, schemes in SCHEMES_12.items() for scheme in schemes],
)


def verify_12(leaf, scheme, signature, content=CONTENT):
    schemes = signatures.tls12_schemes(signature_schemes(leaf.certificate))
    return signatures.verify(leaf.key.public_key(), schemes, scheme, signature, content)


@pytest.mark.parametrize("key_type", SCHEMES_12)
def test_schemes_of_key_in_tls_1_2(leaves, key_type):
    """RFC 8446, 4.2.3: curves are not bound to hashes, and PKCS #1 v1.5 may sign."""
    schemes = signature_schemes(leaves[key_type].certificate)
    assert signatures.tls12_schemes(schemes) == SCHEMES_12[key_type]
    # A connection does not make the answer again.
    assert signatures.tls12_schemes(tuple(schemes)) is signatures.tls12_schemes((*schemes,))


def test_key_of_no_use_has_no_schemes_in_tls_1_2_either():
    assert signatures.tls12_schemes(()) == ()
    with pytest.raises(CertificateError, match="TLS cannot use"):
        signatures.verify(None, (), S.rsa_pkcs1_sha256, bytes(64), CONTENT)


@of_schemes_12
def test_signature_in_tls_1_2(leaves, key_type, scheme):
    leaf = leaves[key_type]
    signature = signatures.sign(leaf.key, scheme, CONTENT)
    for each in (signature, signed_by_hand(leaf.key, scheme, CONTENT)):
        assert verify_12(leaf, scheme, each) == 0
        with pytest.raises(DecryptError):
            verify_12(leaf, scheme, each, CONTENT + b"\0")


@pytest.mark.parametrize(
    ("key_type", "scheme"),
    [
        (key_type, scheme)
        for key_type in SCHEMES_12
        for scheme in S
        if scheme not in SCHEMES_12[key_type]
    ],
)
def test_scheme_that_does_not_fit_the_key_in_tls_1_2_is_refused(leaves, key_type, scheme):
    with pytest.raises(IllegalParameter):
        verify_12(leaves[key_type], scheme, bytes(64))


@of_schemes_12
def test_signature_under_the_name_of_another_scheme_is_refused(leaves, key_type, scheme):
    """Another hash, or another padding."""
    leaf = leaves[key_type]
    signature = signatures.sign(leaf.key, scheme, CONTENT)
    for other in SCHEMES_12[key_type]:
        if other != scheme:
            with pytest.raises(DecryptError):
                verify_12(leaf, other, signature)


@pytest.mark.parametrize("scheme", PKCS1_SCHEMES)
def test_wrong_pkcs1_signature_is_refused(leaves, scheme):
    leaf = leaves["rsa"]
    signature = signatures.sign(leaf.key, scheme, CONTENT)
    wrong = [b"", b"\0", signature[:-1], signature + b"\0", b"\0" + signature]
    wrong += [bytes(len(signature)), b"\xff" * len(signature), bytes(1 << 16)]
    wrong += [signature[:-1] + bytes((signature[-1] ^ 1,))]
    wrong += [leaf.key.sign(CONTENT, padding.PKCS1v15(), hashes.SHA1())]
    for each in wrong:
        with pytest.raises(DecryptError) as refusal:
            verify_12(leaf, scheme, each)
        assert refusal.value.alert == AlertDescription.decrypt_error


def test_rsa_key_too_small_for_a_salt_may_sign_with_pkcs1():
    leaf = pki.make_leaf(key_type="rsa1024")
    schemes = signatures.tls12_schemes(signature_schemes(leaf.certificate))
    assert schemes == (*RSAE_SCHEMES[:2], *PKCS1_SCHEMES)
    for scheme in schemes:
        assert verify_12(leaf, scheme, signatures.sign(leaf.key, scheme, CONTENT)) == 0


@pytest.mark.parametrize("scheme", S)
def test_authentication_of_a_scheme(scheme):
    """RFC 8422, 2.1 and 2.2: suites with ECDSA are also for EdDSA; 1 is ECDSA, and 2 RSA."""
    expected = 2 if scheme.name.startswith("rsa_") else 1
    assert signatures.authentication_of(scheme) == expected


# --- Certificates of a peer


def test_certificate_of_a_peer(leaves):
    assert load_certificate(leaves["ecdsa"].chain_der[0]) == leaves["ecdsa"].certificate


@pytest.mark.parametrize(
    "change",
    [
        lambda der: b"",
        lambda der: b"junk",
        lambda der: der[:-1],
        lambda der: der + b"\0",
        lambda der: der[:1] + b"\x80" + der[4:],
        lambda der: b"-----BEGIN CERTIFICATE-----",
        # Versions 1 and 3 are all that there is.
        lambda der: der.replace(VERSION_3, VERSION_3[:-1] + b"\0", 1),
        lambda der: der.replace(VERSION_3, VERSION_3[:-1] + b"\1", 1),
        lambda der: der.replace(VERSION_3, VERSION_3[:-1] + b"\3", 1),
    ],
    ids=["empty", "junk", "truncated", "trailing", "indefinite", "PEM", "v1", "v2", "v4"],
)
def test_what_is_no_certificate_is_refused(leaves, change):
    with pytest.raises(CertificateError) as refusal:
        load_certificate(change(leaves["ecdsa"].chain_der[0]))
    assert refusal.value.alert == AlertDescription.bad_certificate


# --- Identities


def encrypted(leaf, password):
    return leaf.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )


@pytest.mark.parametrize("key_type", SCHEMES)
def test_identity(leaves, key_type):
    leaf = leaves[key_type]
    for chain in (leaf.chain_pem, leaf.chain_pem.decode()):
        identity = Identity.from_pem(chain, leaf.key_pem)
        assert identity.certificates == tuple(leaf.chain_der)
        assert identity.signature_schemes == SCHEMES[key_type]
        assert identity.chain_signature_schemes == ()


def test_identity_with_a_chain():
    root = pki.make_ca(key_type="rsa")
    leaf = pki.make_leaf(issuer=pki.make_ca(issuer=root, key_type="ed25519"))
    identity = Identity.from_pem(leaf.chain_pem, leaf.key_pem.decode())
    assert identity.certificates == tuple(leaf.chain_der)
    assert len(identity.certificates) == 2
    assert set(identity.chain_signature_schemes) == {S.ed25519, S.rsa_pkcs1_sha256}
    # What signs the root itself is nobody's concern.
    full = Identity.from_pem(pki.pem_of(leaf.full_chain), leaf.key_pem)
    assert set(full.chain_signature_schemes) == set(identity.chain_signature_schemes)


def test_text_around_the_certificates_of_an_identity(leaves):
    leaf = leaves["ecdsa"]
    chain = b"Subject: a leaf\n" + leaf.chain_pem + b"\ntrailing text\n"
    assert Identity.from_pem(chain, leaf.key_pem).certificates == tuple(leaf.chain_der)


def test_identity_from_files(leaves, tmp_path):
    leaf = leaves["ecdsa"]
    chain, key, both = (tmp_path / name for name in ("chain.pem", "key.pem", "both.pem"))
    chain.write_bytes(leaf.chain_pem)
    key.write_bytes(encrypted(leaf, b"secret"))
    both.write_bytes(leaf.key_pem + leaf.chain_pem)
    for identity in (
        Identity.from_files(chain, str(key), password="secret"),
        Identity.from_files(str(both), both),
    ):
        assert identity.certificates == tuple(leaf.chain_der)
    with pytest.raises(FileNotFoundError):
        Identity.from_files(tmp_path / "absent.pem", key)
    with pytest.raises(FileNotFoundError):
        Identity.from_files(chain, tmp_path / "absent.pem")


@pytest.mark.parametrize("password", [b"secret", "secret", "pässwörd"])
def test_identity_with_an_encrypted_key(leaves, password):
    leaf = leaves["ecdsa"]
    key_pem = encrypted(leaf, password.encode() if isinstance(password, str) else password)
    assert Identity.from_pem(leaf.chain_pem, key_pem, password).certificates


def test_wrong_password_is_refused(leaves):
    leaf = leaves["ecdsa"]
    # What a wrong password makes of the key is noise, so the library's words differ.
    with pytest.raises(ValueError):  # noqa: PT011
        Identity.from_pem(leaf.chain_pem, encrypted(leaf, b"secret"), "other")


def test_missing_password_is_refused(leaves):
    leaf = leaves["ecdsa"]
    with pytest.raises(TypeError, match=r"[Pp]assword"):
        Identity.from_pem(leaf.chain_pem, encrypted(leaf, b"secret"))


def test_password_for_a_key_without_one_is_refused(leaves):
    leaf = leaves["ecdsa"]
    with pytest.raises(TypeError, match=r"[Pp]assword"):
        Identity.from_pem(leaf.chain_pem, leaf.key_pem, "secret")


BROKEN_PEM = b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n"


@pytest.mark.parametrize(
    "chain",
    [b"", b"junk", BROKEN_PEM.replace(b"%s", b"CERTIFICATE"), BROKEN_PEM.replace(b"%s", b"X")],
)
def test_chain_without_a_certificate_is_refused(leaves, chain):
    with pytest.raises(ValueError, match=r"PEM|pars"):
        Identity.from_pem(chain, leaves["ecdsa"].key_pem)


def test_empty_chain_is_refused(leaves):
    with pytest.raises(ValueError, match="at least one certificate"):
        Identity([], leaves["ecdsa"].key)


def test_broken_certificate_behind_a_good_one_is_refused(leaves):
    leaf = leaves["ecdsa"]
    with pytest.raises(ValueError, match="pars"):
        Identity.from_pem(leaf.chain_pem + BROKEN_PEM.replace(b"%s", b"CERTIFICATE"), leaf.key_pem)


def key_on_a_curve_that_is_not_supported():
    key = pki.make_key("ecdsa").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    encoded = b64encode(key.replace(P256, P256[:-1] + b"\6"))
    return b"-----BEGIN PRIVATE KEY-----\n" + encoded + b"\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"junk",
        BROKEN_PEM.replace(b"%s", b"PRIVATE KEY"),
        pki.make_leaf().pem,
        pki.make_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key_on_a_curve_that_is_not_supported(),
    ],
    ids=["empty", "junk", "broken", "certificate", "public", "curve"],
)
def test_text_that_is_no_private_key_is_refused(leaves, key):
    with pytest.raises(ValueError, match=r"PEM|pars|deserialize|not supported"):
        Identity.from_pem(leaves["ecdsa"].chain_pem, key)


@pytest.mark.parametrize("key_type", SCHEMES)
def test_key_of_another_certificate_is_refused(leaves, key_type):
    chain = pki.make_leaf(key_type="ecdsa").chain_pem
    with pytest.raises(ValueError, match="not the one of the first certificate"):
        Identity.from_pem(chain, leaves[key_type].key_pem)


def test_key_of_the_second_certificate_is_refused(leaves):
    first, second = pki.make_leaf(), leaves["ecdsa"]
    with pytest.raises(ValueError, match="not the one of the first certificate"):
        Identity.from_pem(first.chain_pem + second.chain_pem, second.key_pem)


@pytest.mark.parametrize("private_key", [None, "key", b"key", ec])
def test_object_that_is_no_private_key_is_refused(leaves, private_key):
    with pytest.raises(ValueError, match="not the one of the first certificate"):
        Identity([leaves["ecdsa"].certificate], private_key)


@pytest.mark.parametrize(
    "generate",
    [
        lambda: x25519.X25519PrivateKey.generate(),
        lambda: dsa.generate_private_key(1024),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ec.generate_private_key(ec.SECP224R1()),
    ],
    ids=["x25519", "dsa", "secp256k1", "secp224r1"],
)
def test_identity_with_a_key_of_no_use_is_refused(leaves, generate):
    key = generate()
    made = pki.amended(leaves["ecdsa"], public_key_info=public_key_info(key))
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="no signature scheme"):
        Identity.from_pem(made.pem, key_pem)


def test_identity_with_a_certificate_whose_key_cannot_be_read_is_refused(leaves):
    made = pki.amended(leaves["ecdsa"], public_key_info=UNUSABLE_KEYS["unknown curve"]())
    with pytest.raises(ValueError, match="key cannot be used"):
        Identity.from_pem(made.pem, leaves["ecdsa"].key_pem)


@pytest.mark.parametrize("arguments", [(5, "key"), ("chain", 5), (None, None)])
def test_identity_from_what_is_no_text_is_refused(leaves, arguments):
    leaf = leaves["ecdsa"]
    given = {"chain": leaf.chain_pem, "key": leaf.key_pem}
    with pytest.raises(TypeError):
        Identity.from_pem(*(given.get(each, each) for each in arguments))


@pytest.mark.parametrize("key_type", SCHEMES)
def test_identity_with_a_signer(leaves, key_type):
    """It needs no key, and is asked for nothing yet."""
    leaf = leaves[key_type]
    identity = Identity.from_signer(leaf.chain_pem, lambda request: pytest.fail("asked"))
    assert identity.certificates == tuple(leaf.chain_der)
    assert identity.signature_schemes == SCHEMES[key_type]
    assert identity.private_key is None


@pytest.mark.parametrize("wrong", [None, b"key", 5])
def test_signer_that_cannot_be_called_is_refused(leaves, wrong):
    with pytest.raises(TypeError, match="signer must be callable"):
        Identity.from_signer(leaves["ecdsa"].chain_pem, wrong)


def test_signer_without_a_certificate_is_refused():
    with pytest.raises(ValueError, match="PEM"):
        Identity.from_signer(b"", lambda request: b"")


def test_signer_for_a_key_of_no_use_is_refused():
    leaf = pki.make_leaf(key_type="secp256k1")
    with pytest.raises(ValueError, match="no signature scheme"):
        Identity.from_signer(leaf.chain_pem, lambda request: b"")


def test_what_goes_with_an_identity(leaves, tmp_path):
    leaf = leaves["ecdsa"]
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(leaf.chain_pem)
    key.write_bytes(leaf.key_pem)
    given = {"ocsp_response": b"response", "signed_certificate_timestamps": [b"1", bytes(0xFFFF)]}
    for identity in (
        Identity.from_pem(leaf.chain_pem, leaf.key_pem, **given),
        Identity.from_files(chain, key, **given),
        Identity.from_signer(leaf.chain_pem, lambda request: b"", **given),
    ):
        assert identity.ocsp_response == b"response"
        assert identity.signed_certificate_timestamps == (b"1", bytes(0xFFFF))
    identity = Identity.from_pem(leaf.chain_pem, leaf.key_pem)
    assert identity.ocsp_response is None
    assert identity.signed_certificate_timestamps == ()


@pytest.mark.parametrize("wrong", ["response", 5, bytearray(b"response"), [b"response"]])
def test_ocsp_response_that_is_not_bytes_is_refused(leaves, wrong):
    leaf = leaves["ecdsa"]
    with pytest.raises(TypeError, match="ocsp_response must be bytes or None"):
        Identity.from_pem(leaf.chain_pem, leaf.key_pem, ocsp_response=wrong)


@pytest.mark.parametrize(
    "wrong", [b"", bytes(1 << 16), "timestamp", None], ids=["empty", "long", "str", "None"]
)
def test_timestamp_without_1_to_65535_bytes_is_refused(leaves, wrong):
    """RFC 6962, 3.3."""
    leaf = leaves["ecdsa"]
    with pytest.raises(ValueError, match="1 to 65535 bytes"):
        Identity.from_pem(
            leaf.chain_pem, leaf.key_pem, signed_certificate_timestamps=[b"good", wrong]
        )
