"""A throw-away public-key infrastructure: authorities, leaves, and certificates gone wrong.

    root = make_ca()
    leaf = make_leaf(["localhost", "127.0.0.1"], issuer=root)
    leaf.chain_pem, leaf.key_pem, root.pem

`amended()` takes a certificate apart and signs it again with other fields, for what no builder
makes: version 1, unusual keys, broken extensions, wrong signatures.
"""

from __future__ import annotations

import functools
import itertools
from base64 import encodebytes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
ANY_USE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
BOTH_USES = (SERVER_AUTH, CLIENT_AUTH)

CA_USAGE = ("key_cert_sign", "crl_sign")

_DAY = timedelta(days=1)
_CURVES = {
    "ecdsa": ec.SECP256R1,
    "ecdsa384": ec.SECP384R1,
    "ecdsa521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
    "secp192r1": ec.SECP192R1,
}
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Credential:
    """A certificate with its key and the certificates above it, root last."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes
    key_type: str
    above: tuple[Credential, ...] = ()

    @property
    def pem(self) -> bytes:
        """This certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def chain(self) -> list[x509.Certificate]:
        """What a peer sends: this certificate and the intermediates, without the root."""
        return [self.certificate, *(each.certificate for each in self.above[:-1])]

    @property
    def full_chain(self) -> list[x509.Certificate]:
        return [self.certificate, *(each.certificate for each in self.above)]

    @property
    def chain_pem(self) -> bytes:
        return pem_of(self.chain)

    @property
    def chain_der(self) -> list[bytes]:
        return [each.public_bytes(serialization.Encoding.DER) for each in self.chain]

    @property
    def key_pem(self) -> bytes:
        der = self.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        if self.key_type == "rsa-pss":
            der = der.replace(RSA_ALGORITHM, RSA_PSS_ALGORITHM, 1)
            der = tlv(0x30, *elements(contents(der)))
        return _armoured("PRIVATE KEY", der)


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def make_key(key_type: str = "ecdsa") -> CertificateIssuerPrivateKeyTypes:
    """A new key of "ecdsa", "ecdsa384", "ecdsa521", "rsa", "rsa1024", "rsa-pss", "ed25519", ...

    "rsa-pss-sha256" and "rsa-pss-sha512" are for signatures with that hash alone.
    """
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type]())
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type == "ed448":
        return ed448.Ed448PrivateKey.generate()
    # RSA keys are slow to make: a few are made once, and used in turn.
    return _rsa_key(1024 if key_type == "rsa1024" else 2048, next(_numbers) % 3)


@functools.cache
def _rsa_key(size: int, _which: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, size)


def name(common_name: str | None, organization: str | None = None) -> x509.Name:
    attributes = []
    if organization is not None:
        attributes.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization))
    if common_name is not None:
        attributes.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def key_usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{each: each in usages for each in _USAGES})


def general_name(text: str) -> x509.GeneralName:
    """An IP address, an e-mail address, a URI or (else) a DNS name."""
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        if "://" in text:
            return x509.UniformResourceIdentifier(text)
        return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


def make_ca(
    common_name: str | None = None,
    *,
    issuer: Credential | None = None,
    key_type: str = "ecdsa",
    key: CertificateIssuerPrivateKeyTypes | None = None,
    subject: x509.Name | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    ku: Sequence[str] | None = CA_USAGE,
    is_ca: bool | None = True,
    path_length: int | None = None,
    name_constraints: x509.NameConstraints | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **others: object,
) -> Credential:
    """A root, or an intermediate of `issuer`. None for ku, eku or is_ca: no such extension."""
    all_extensions: list[tuple[x509.ExtensionType, bool]] = []
    if is_ca is not None:
        all_extensions.append((x509.BasicConstraints(is_ca, path_length), True))
    if name_constraints is not None:
        all_extensions.append((name_constraints, True))
    return _issue(
        subject or name(common_name or f"test authority {next(_numbers)}", "fasths tests"),
        key or make_key(key_type),
        key_type,
        issuer,
        ku,
        eku,
        [*all_extensions, *extensions],
        **others,  # type: ignore[arg-type]
    )


def make_leaf(
    names: Sequence[str | x509.GeneralName] = ("localhost",),
    *,
    issuer: Credential | None = None,
    intermediate: bool = False,
    key_type: str = "ecdsa",
    key: CertificateIssuerPrivateKeyTypes | None = None,
    subject: x509.Name | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = BOTH_USES,
    ku: Sequence[str] | None = ("digital_signature",),
    san_critical: bool = False,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **others: object,
) -> Credential:
    """A leaf of `issuer`, or self-signed. `intermediate` puts a new authority in between."""
    if intermediate:
        issuer = make_ca(issuer=issuer)
    all_extensions = list(extensions)
    if names:
        general_names = [general_name(each) if isinstance(each, str) else each for each in names]
        all_extensions.append((x509.SubjectAlternativeName(general_names), san_critical))
    return _issue(
        name(f"test leaf {next(_numbers)}") if subject is None else subject,
        key or make_key(key_type),
        key_type,
        issuer,
        ku,
        eku,
        all_extensions,
        **others,  # type: ignore[arg-type]
    )


def _issue(
    subject: x509.Name,
    key: CertificateIssuerPrivateKeyTypes,
    key_type: str,
    issuer: Credential | None,
    ku: Sequence[str] | None,
    eku: Sequence[x509.ObjectIdentifier] | None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    key_identifiers: bool = True,
    algorithm: hashes.HashAlgorithm | None = None,
    pss: bool = False,
) -> Credential:
    now = datetime.now(UTC)
    signer = key if issuer is None else issuer.key
    signer_type = key_type if issuer is None else issuer.key_type
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - _DAY)
        .not_valid_after(not_after or now + 30 * _DAY)
    )
    if key_identifiers:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    if ku is not None:
        builder = builder.add_extension(key_usage(*ku), critical=True)
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    is_edwards = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    chosen = None if is_edwards else algorithm or hashes.SHA256()
    rsa_padding = None
    if pss or signer_type.startswith("rsa-pss"):
        assert chosen is not None
        rsa_padding = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
    certificate = builder.sign(signer, chosen, rsa_padding=rsa_padding)
    above = () if issuer is None else (issuer, *issuer.above)
    made = Credential(certificate, key, key_type, above)
    if key_type in RSA_PSS_ALGORITHMS:
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        parts = elements(contents(spki.replace(RSA_ALGORITHM, RSA_PSS_ALGORITHMS[key_type], 1)))
        made = amended(made, public_key_info=tlv(0x30, *parts))
    return made


# Certificates that no builder makes.

RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")
RSA_PSS_ALGORITHM = bytes.fromhex("300b06092a864886f70d01010a")


def amended(
    made: Credential,
    *,
    version: int = 3,
    serial: int | None = None,
    validity_der: bytes | None = None,
    public_key_info: bytes | None = None,
    extra_extensions: Sequence[bytes] = (),
    sha1: bool = False,
    break_signature: bool = False,
) -> Credential:
    """The same certificate with some fields replaced, signed again by its issuer.

    version 1 drops the extensions. `extra_extensions` are whole Extension structures in DER.
    sha1: sign with that digest, as an EC key does it.
    """
    old_version, old_serial, algorithm, issuer, validity, subject, spki, *rest = elements(
        contents(made.certificate.tbs_certificate_bytes)
    )
    extensions = list(elements(contents(contents(rest[0])))) if rest else []
    if sha1:
        algorithm = tlv(0x30, _oid(x509.SignatureAlgorithmOID.ECDSA_WITH_SHA1))
    extensions += extra_extensions
    fields = [
        old_serial if serial is None else _integer(serial),
        algorithm,
        issuer,
        validity if validity_der is None else validity_der,
        subject,
        spki if public_key_info is None else public_key_info,
    ]
    if version == 3:
        fields = [old_version, *fields, tlv(0xA3, tlv(0x30, *extensions))]
    tbs = tlv(0x30, *fields)
    signature = _signature(made, tbs, hashes.SHA1() if sha1 else None)
    if break_signature:
        signature = signature[:-1] + bytes([signature[-1] ^ 1])
    der = tlv(0x30, tbs, algorithm, tlv(0x03, b"\0" + signature))
    certificate = x509.load_der_x509_certificate(der)
    return Credential(certificate, made.key, made.key_type, made.above)


def extension_der(oid: x509.ObjectIdentifier, value: bytes, critical: bool = False) -> bytes:
    parts = [_oid(oid)]
    if critical:
        parts.append(tlv(0x01, b"\xff"))
    return tlv(0x30, *parts, tlv(0x04, value))


def _signature(made: Credential, tbs: bytes, algorithm: hashes.HashAlgorithm | None) -> bytes:
    key = made.above[0].key if made.above else made.key
    algorithm = algorithm or made.certificate.signature_hash_algorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        assert algorithm is not None
        return key.sign(tbs, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        parameters = made.certificate.signature_algorithm_parameters
        assert isinstance(parameters, padding.PSS | padding.PKCS1v15)
        assert algorithm is not None
        return key.sign(tbs, parameters, algorithm)
    assert isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return key.sign(tbs)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    value = b"".join(parts)
    length = len(value)
    if length < 0x80:
        return bytes([tag, length]) + value
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + value


def _header(der: bytes) -> tuple[int, int]:
    """Where the value of the first element starts, and where it ends."""
    if der[1] < 0x80:
        return 2, 2 + der[1]
    size = der[1] & 0x7F
    return 2 + size, 2 + size + int.from_bytes(der[2 : 2 + size], "big")


def contents(der: bytes) -> bytes:
    """The value of an element. Its length field may be wrong if its end is the end of the data."""
    return der[_header(der)[0] :]


def elements(der: bytes) -> list[bytes]:
    """The elements that stand one after the other."""
    found = []
    while der:
        end = _header(der)[1]
        found.append(der[:end])
        der = der[end:]
    return found


def _pss_algorithm(hash_oid: str, salt_length: int) -> bytes:
    hash_algorithm = tlv(0x30, tlv(0x06, bytes.fromhex(hash_oid)), b"\x05\x00")
    mask = tlv(0x30, tlv(0x06, bytes.fromhex("2a864886f70d010108")), hash_algorithm)
    salt = _integer(salt_length)
    fields = (tlv(0xA0, hash_algorithm), tlv(0xA1, mask), tlv(0xA2, salt))
    return tlv(0x30, contents(RSA_PSS_ALGORITHM), tlv(0x30, *fields))


def _integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(oid: x509.ObjectIdentifier) -> bytes:
    first, second, *arcs = (int(each) for each in oid.dotted_string.split("."))
    encoded = b""
    for arc in (first * 40 + second, *arcs):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | (arc & 0x7F))
        encoded += bytes(reversed(digits))
    return tlv(0x06, encoded)


def _armoured(label: str, der: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (
        label.encode(),
        encodebytes(der),
        label.encode(),
    )


RSA_PSS_ALGORITHMS = {
    "rsa-pss": RSA_PSS_ALGORITHM,
    "rsa-pss-sha256": _pss_algorithm("608648016503040201", 32),
    "rsa-pss-sha512": _pss_algorithm("608648016503040203", 64),
}


# OCSP responses.

OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
GOOD, REVOKED, UNKNOWN = (
    ocsp.OCSPCertStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN,
)


def make_responder(issuer: Credential, **others: object) -> Credential:
    """What `issuer` has delegated its OCSP responses to."""
    options = {"eku": [OCSP_SIGNING], "extensions": [(x509.OCSPNoCheck(), False)], **others}
    made = make_leaf([], issuer=issuer, **options)  # type: ignore[arg-type]
    # There are few RSA keys, and the issuer's would make it another case.
    return make_responder(issuer, **others) if made.key is issuer.key else made


def ocsp_response(
    about: Credential,
    *,
    status: ocsp.OCSPCertStatus = GOOD,
    responder: Credential | None = None,
    issuer: Credential | None = None,
    by_name: bool = False,
    certificates: Sequence[x509.Certificate] | None = None,
    hash_algorithm: hashes.HashAlgorithm | None = None,
    digest: hashes.HashAlgorithm | None = None,
    this_update: datetime | None = None,
    next_update: timedelta | None = 7 * _DAY,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A signed response in DER about one certificate.

    responder: who signs, by default the issuer of the certificate; another one's certificate goes
    with the response unless `certificates` says what does. issuer: whose name and key are in the
    CertID. hash_algorithm: of the CertID. next_update: so long after this_update.
    """
    issuer = issuer or about.above[0]
    signer = responder or issuer
    this_update = this_update or datetime.now(UTC) - timedelta(hours=1)
    encoding = ocsp.OCSPResponderEncoding
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate,
            issuer.certificate,
            hash_algorithm or hashes.SHA1(),
            status,
            this_update,
            None if next_update is None else this_update + next_update,
            this_update if status is REVOKED else None,
            x509.ReasonFlags.key_compromise if status is REVOKED else None,
        )
        .responder_id(encoding.NAME if by_name else encoding.HASH, signer.certificate)
    )
    if certificates is None and responder is not None:
        certificates = [responder.certificate]
    if certificates:
        builder = builder.certificates(list(certificates))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    is_edwards = isinstance(signer.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    algorithm = None if is_edwards else digest or hashes.SHA256()
    return builder.sign(signer.key, algorithm).public_bytes(serialization.Encoding.DER)


def amended_ocsp_response(
    response: bytes,
    key: CertificateIssuerPrivateKeyTypes,
    *,
    fields: Callable[[list[bytes]], list[bytes]] = list,
    answers: Callable[[list[bytes]], list[bytes]] = list,
    algorithm: bytes | None = None,
    signature: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The same response with some fields replaced, signed again.

    fields: of ResponseData: responderID, producedAt, responses, ... answers: the SingleResponses.
    key signs as EC and Edwards keys do; `signature` another way, which `algorithm` tells.
    """
    status, response_bytes = elements(contents(response))
    response_type, octets = elements(contents(contents(response_bytes)))
    tbs, old_algorithm, _, *certificates = elements(contents(contents(octets)))
    responder_id, produced_at, responses, *rest = elements(contents(tbs))
    responses = tlv(0x30, *answers(elements(contents(responses))))
    tbs = tlv(0x30, *fields([responder_id, produced_at, responses, *rest]))
    if signature is not None:
        signed = signature(tbs)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        signed = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        signed = key.sign(tbs)
    basic = tlv(0x30, tbs, algorithm or old_algorithm, tlv(0x03, b"\0", signed), *certificates)
    octets = tlv(0x04, basic)
    return tlv(0x30, status, tlv(0xA0, tlv(0x30, response_type, octets)))
