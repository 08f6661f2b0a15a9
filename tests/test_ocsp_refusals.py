"""Stapled OCSP responses: each reason to refuse one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from ocsp_cases import (
    CA,
    CERT_REVOKED,
    CERT_UNKNOWN,
    HAS_EXPIRED,
    HOUR,
    INVALID,
    LEAF,
    NO_RESPONSE,
    NOT_YET_VALID,
    NOW,
    OID_OF_HASH,
    PATH,
    RESPONDER,
    ROOT,
    SECOND,
    SIGNATURE,
    UNKNOWN_OID,
    answers_of,
    assert_refused,
    generalized_time,
    pss_response,
    staple,
    with_answers,
    with_cert_id,
    with_fields,
)
from pki import Credential, elements, ocsp_response, tlv

from fasths.crypto.ocsp import (
    LIFETIME_WITHOUT_NEXT_UPDATE,
    MAX_CLOCK_SKEW,
    MAX_RESPONSE,
    MAX_RESPONSE_CERTIFICATES,
    StapleChecker,
    check_staple,
)

# What it is


def successful(response_type: bytes, basic: bytes) -> bytes:
    return tlv(0x30, b"\x0a\1\0", tlv(0xA0, tlv(0x30, tlv(0x06, response_type), tlv(0x04, basic))))


BASIC = bytes.fromhex("2b0601050507300101")


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"\0",
        b"junk",
        staple()[:-1],
        staple() + b"\0",
        staple()[:2] + staple()[4:],
        tlv(0x30, b"\x0a\1\0"),  # successful, with nothing in it
        tlv(0x30, b"\x0a\1\4"),  # a status that there is not
        successful(BASIC, b""),
        successful(BASIC, tlv(0x30)),
        successful(BASIC[:-1] + b"\2", pki.contents(staple())),
    ],
    ids=range(11),
)
def test_malformed_response_is_refused(response: bytes) -> None:
    assert_refused(response, INVALID, "cannot be read")


@pytest.mark.parametrize(
    "status",
    [each for each in ocsp.OCSPResponseStatus if each.value],
    ids=lambda status: status.name,
)
def test_unsuccessful_response_is_refused(status: ocsp.OCSPResponseStatus) -> None:
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
    der = response.public_bytes(serialization.Encoding.DER)
    assert_refused(der, INVALID, status.name)


def test_response_that_is_too_long_is_refused() -> None:
    junk = [pki.extension_der(UNKNOWN_OID, bytes(MAX_RESPONSE - 1000))]
    fits = with_fields(lambda fields: [*fields, tlv(0xA1, tlv(0x30, *junk))])
    assert MAX_RESPONSE - 1000 < len(fits) <= MAX_RESPONSE
    check_staple(fits, PATH)
    junk.append(pki.extension_der(x509.ObjectIdentifier("1.2.3.5"), bytes(1000)))
    longer = with_fields(lambda fields: [*fields, tlv(0xA1, tlv(0x30, *junk))])
    assert_refused(longer, INVALID, "longer than")


def test_response_of_another_version_is_refused() -> None:
    response = with_fields(lambda fields: [tlv(0xA0, b"\2\1\1"), *fields])
    assert_refused(response, INVALID, "version")


def test_version_1_that_is_encoded_is_refused() -> None:
    response = with_fields(lambda fields: [tlv(0xA0, b"\2\1\0"), *fields])
    assert_refused(response, INVALID, "cannot be read")


# Whom it is about


def test_response_of_no_answers_is_refused() -> None:
    assert_refused(with_answers(lambda _: []), NO_RESPONSE, "other certificates")


def test_another_serial_number_is_refused() -> None:
    response = ocsp_response(pki.make_leaf(issuer=CA))
    assert_refused(response, NO_RESPONSE, "other certificates")


def test_same_serial_number_of_another_issuer_is_refused() -> None:
    other = pki.make_ca(issuer=ROOT)
    assert_refused(staple(issuer=other), NO_RESPONSE, "other certificates")


def test_another_issuer_name_hash_is_refused() -> None:
    response = with_cert_id(lambda each: [each[0], tlv(4, bytes(20)), each[2], each[3]])
    assert_refused(response, NO_RESPONSE, "other certificates")


def test_another_issuer_key_hash_is_refused() -> None:
    response = with_cert_id(lambda each: [each[0], each[1], tlv(4, bytes(20)), each[3]])
    assert_refused(response, NO_RESPONSE, "other certificates")


def test_hashes_that_are_cut_off_are_refused() -> None:
    response = with_cert_id(lambda each: [each[0], b"\4\0", b"\4\0", each[3]])
    assert_refused(response, NO_RESPONSE, "other certificates")


def test_same_cert_id_is_accepted() -> None:
    check_staple(with_cert_id(lambda each: each), PATH)


@pytest.mark.parametrize("oid", ["2a864886f70d0205", "608648016503040208", "2a0304"])
def test_cert_id_with_another_hash_is_refused(oid: str) -> None:
    """MD5, SHA3-256 and an unknown one."""
    name = pki.elements(pki.contents(LEAF.certificate.tbs_certificate_bytes))[3]
    key = x509.SubjectKeyIdentifier.from_public_key(CA.key.public_key()).digest
    digest = "md5" if oid.endswith("05") else "sha3_256"
    hashed = [tlv(4, hashlib.new(digest, each).digest()) for each in (name, key)]
    algorithm = tlv(0x30, tlv(6, bytes.fromhex(oid)), b"\5\0")
    response = with_cert_id(lambda each: [algorithm, *hashed, each[3]])
    assert_refused(response, NO_RESPONSE, "other certificates")


def test_response_about_the_issuer_is_refused() -> None:
    """That would be for another one than the leaf (RFC 6066, 8)."""
    assert_refused(ocsp_response(CA), NO_RESPONSE, "other certificates")


# A path of one


def test_self_issued_certificate_that_is_trusted() -> None:
    """It is its own issuer, and nobody else can say anything about it."""
    leaf = pki.make_leaf()
    check_staple(ocsp_response(leaf, issuer=leaf), leaf.full_chain)
    assert_refused(
        ocsp_response(leaf, issuer=leaf, status=pki.REVOKED),
        CERT_REVOKED,
        "revoked",
        path=leaf.full_chain,
    )


def test_response_of_another_issuer_of_a_trusted_certificate_is_refused() -> None:
    leaf = pki.make_leaf()
    response = ocsp_response(leaf, issuer=ROOT)
    assert_refused(response, NO_RESPONSE, "other certificates", path=leaf.full_chain)


@pytest.mark.parametrize("issuer", [CA, LEAF], ids=["the issuer", "itself"])
def test_response_for_a_trusted_leaf_of_an_issuer_that_is_not_is_refused(
    issuer: Credential,
) -> None:
    assert_refused(staple(issuer=issuer), NO_RESPONSE, "itself trusted", path=PATH[:1])


def test_no_path_is_an_error_of_the_caller() -> None:
    for check in (check_staple, StapleChecker().check):
        with pytest.raises(ValueError, match="leaf"):
            check(staple(), [])


# Who signed it


def test_wrong_signature_is_refused() -> None:
    response = staple()
    changed = response[:-1] + bytes((response[-1] ^ 1,))
    assert_refused(changed, SIGNATURE, "signature is wrong")


def test_signature_of_a_broken_octet_is_refused() -> None:
    """The library would take the unused bits for used ones."""
    for _ in range(64):
        response = staple()
        if response[-1] & 1 == 0:
            break
    der = ocsp.load_der_ocsp_response(response)
    at = response.rindex(tlv(3, b"\0", der.signature)) + 2
    changed = response[:at] + b"\1" + response[at + 1 :]
    assert ocsp.load_der_ocsp_response(changed).signature == der.signature
    assert_refused(changed, INVALID, "broken octet")


def test_response_of_a_stranger_is_refused() -> None:
    stranger = pki.make_ca()
    assert_refused(staple(responder=stranger), SIGNATURE, "not one for OCSP")
    assert_refused(staple(responder=stranger, certificates=[]), SIGNATURE, "neither")


def test_stranger_with_the_name_of_the_issuer_is_refused() -> None:
    stranger = pki.make_ca(subject=CA.certificate.subject)
    response = staple(responder=stranger, by_name=True)
    assert_refused(response, SIGNATURE, "not one for OCSP")
    response = staple(responder=stranger, by_name=True, certificates=[])
    assert_refused(response, SIGNATURE, "signature is wrong")


def test_response_of_the_root_is_refused() -> None:
    """Whoever issued the certificate speaks of it, and nobody above."""
    assert_refused(staple(responder=ROOT), SIGNATURE, "not one for OCSP")


def test_response_of_the_leaf_about_itself_is_refused() -> None:
    assert_refused(staple(responder=LEAF), SIGNATURE, "not one for OCSP")


def test_responder_without_its_certificate_is_refused() -> None:
    assert_refused(staple(responder=RESPONDER, certificates=[]), SIGNATURE, "neither")


def test_certificate_of_another_responder_is_refused() -> None:
    other = pki.make_responder(CA)
    response = staple(responder=RESPONDER, certificates=[other.certificate])
    assert_refused(response, SIGNATURE, "neither")


def test_responder_that_signs_in_the_name_of_another_is_refused() -> None:
    other = pki.make_responder(CA, subject=RESPONDER.certificate.subject)
    response = staple(responder=other, by_name=True, certificates=[RESPONDER.certificate])
    assert_refused(response, SIGNATURE, "signature is wrong")


@pytest.mark.parametrize("eku", [None, pki.BOTH_USES, [pki.ANY_USE]], ids=["none", "TLS", "any"])
def test_responder_without_its_extended_key_usage_is_refused(
    eku: Sequence[x509.ObjectIdentifier] | None,
) -> None:
    responder = pki.make_responder(CA, eku=eku)
    assert_refused(staple(responder=responder), SIGNATURE, "not one for OCSP")


def test_responder_without_a_key_usage_for_signatures_is_refused() -> None:
    responder = pki.make_responder(CA, ku=["key_agreement"])
    assert_refused(staple(responder=responder), SIGNATURE, "not for signatures")


def test_responder_of_another_issuer_is_refused() -> None:
    for issuer in (ROOT, pki.make_ca()):
        responder = pki.make_responder(issuer)
        assert_refused(staple(responder=responder), SIGNATURE, "did not make")


def test_responder_below_another_authority_of_the_issuer_is_refused() -> None:
    """Issued directly, says RFC 6960, 4.2.2.2: an authority in between speaks for its own only."""
    below = pki.make_ca(issuer=CA)
    responder = pki.make_responder(below)
    certificates = [responder.certificate, below.certificate]
    response = staple(responder=responder, certificates=certificates)
    assert_refused(response, SIGNATURE, "did not make")


def test_responder_of_another_key_of_the_issuer_is_refused() -> None:
    """RFC 6960, 4.2.2.2: with the key that signed the certificate itself."""
    renewed = pki.make_ca(issuer=ROOT, subject=CA.certificate.subject)
    responder = pki.make_responder(renewed)
    assert_refused(staple(responder=responder), SIGNATURE, "did not make")


def test_responder_with_a_wrong_signature_is_refused() -> None:
    responder = pki.amended(RESPONDER, break_signature=True)
    assert_refused(staple(responder=responder), SIGNATURE, "did not make")


@pytest.mark.parametrize(
    "times",
    [{"not_after": NOW - SECOND}, {"not_before": NOW + SECOND}],
    ids=["expired", "not yet valid"],
)
def test_responder_that_is_not_valid_now_is_refused(times: dict[str, datetime]) -> None:
    responder = pki.make_responder(CA, **times)
    response = staple(responder=responder, this_update=NOW - 2 * HOUR)
    assert_refused(response, SIGNATURE, "not valid now")


def test_responder_with_an_unknown_critical_extension_is_refused() -> None:
    extension = x509.UnrecognizedExtension(UNKNOWN_OID, b"\5\0")
    check_staple(staple(responder=pki.make_responder(CA, extensions=[(extension, False)])), PATH)
    responder = pki.make_responder(CA, extensions=[(extension, True)])
    assert_refused(staple(responder=responder), SIGNATURE, "unknown critical")


def test_responder_with_a_weak_key_is_refused() -> None:
    responder = pki.make_responder(CA, key_type="rsa1024")
    assert_refused(staple(responder=responder), SIGNATURE, "the key of the certificate")


def test_responder_with_sha1_in_its_certificate_is_refused() -> None:
    responder = pki.amended(RESPONDER, sha1=True)
    assert_refused(staple(responder=responder), SIGNATURE, "weak digest")


def test_responder_of_a_pss_issuer_that_signs_otherwise_is_refused() -> None:
    issuer = pki.make_ca(key_type="rsa-pss")
    leaf = pki.make_leaf(issuer=issuer)
    responder = pki.make_responder(issuer)
    check_staple(ocsp_response(leaf, responder=responder), leaf.full_chain)
    plain = Credential(issuer.certificate, issuer.key, "rsa")
    responder = pki.make_responder(plain)
    response = ocsp_response(leaf, responder=responder)
    assert_refused(response, SIGNATURE, "the key of the issuer", path=leaf.full_chain)


def test_responder_that_cannot_be_read_is_refused() -> None:
    key_usage = pki.extension_der(x509.ExtensionOID.KEY_USAGE, b"junk")
    broken = pki.amended(pki.make_responder(CA, ku=None), extra_extensions=[key_usage])
    assert_refused(staple(responder=broken), INVALID, "cannot be read")


def test_too_many_certificates_are_refused() -> None:
    certificates = [pki.make_ca().certificate for _ in range(MAX_RESPONSE_CERTIFICATES - 1)]
    certificates.append(RESPONDER.certificate)
    check_staple(staple(responder=RESPONDER, certificates=certificates), PATH)
    certificates.append(CA.certificate)
    response = staple(responder=RESPONDER, certificates=certificates)
    assert_refused(response, INVALID, "more than 8 certificates")


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_signature_with_sha1_is_refused(key_type: str) -> None:
    issuer = pki.make_ca(key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    key = issuer.key
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010105")), b"\5\0")

        def sign(tbs: bytes) -> bytes:
            return key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    else:
        algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a8648ce3d0401")))

        def sign(tbs: bytes) -> bytes:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return key.sign(tbs, ec.ECDSA(hashes.SHA1()))

    response = pki.amended_ocsp_response(
        ocsp_response(leaf), key, algorithm=algorithm, signature=sign
    )
    assert_refused(response, SIGNATURE, "not supported", path=leaf.full_chain)


def test_signature_with_an_unknown_algorithm_is_refused() -> None:
    algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a0304")))
    response = pki.amended_ocsp_response(staple(), CA.key, algorithm=algorithm)
    assert_refused(response, SIGNATURE, "not supported")


def test_signature_of_another_kind_than_the_key_is_refused() -> None:
    ed25519 = tlv(0x30, tlv(6, bytes.fromhex("2b6570")))
    response = pki.amended_ocsp_response(staple(), CA.key, algorithm=ed25519)
    assert_refused(response, SIGNATURE, "no such signatures")


# RSASSA-PSS


@pytest.mark.parametrize("with_hash", [False, True], ids=["both", "mask"])
def test_pss_with_sha1_is_refused(with_hash: bool) -> None:
    """It is the default of both fields."""
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa"))
    key = leaf.above[0].key
    assert isinstance(key, rsa.RSAPrivateKey)
    sha256 = tlv(0x30, tlv(6, bytes.fromhex(OID_OF_HASH["sha256"])), b"\5\0")
    parameters = tlv(0x30, tlv(0xA0, sha256)) if with_hash else tlv(0x30)
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 20)
    digest = hashes.SHA256() if with_hash else hashes.SHA1()
    response = pki.amended_ocsp_response(
        ocsp_response(leaf),
        key,
        algorithm=tlv(0x30, pki.contents(pki.RSA_PSS_ALGORITHM), parameters),
        signature=lambda tbs: key.sign(tbs, pss, digest),
    )
    assert_refused(response, SIGNATURE, "RSASSA-PSS with SHA-1", path=leaf.full_chain)


def test_pss_with_another_hash_for_the_mask_is_refused() -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa"))
    response = pss_response(leaf, hashes.SHA256(), hashes.SHA384())
    assert_refused(response, SIGNATURE, "unsupported hashes", path=leaf.full_chain)


def test_wrong_pss_signature_is_refused() -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa"))
    response = pss_response(leaf, hashes.SHA256())
    assert_refused(
        response[:-1] + bytes((response[-1] ^ 1,)), SIGNATURE, "wrong", path=leaf.full_chain
    )


def test_pkcs1_signature_of_a_pss_key_is_refused() -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa-pss"))
    assert_refused(ocsp_response(leaf), SIGNATURE, "no such signatures", path=leaf.full_chain)


# What it says


def test_revoked_certificate_is_refused() -> None:
    for options in ({}, {"responder": RESPONDER}):
        response = staple(status=pki.REVOKED, **options)
        assert_refused(response, CERT_REVOKED, r"revoked: since .* \(keyCompromise\)")


def test_revocation_counts_whatever_else_is_wrong() -> None:
    options = {"status": pki.REVOKED, "extensions": [(x509.OCSPNonce(bytes(16)), True)]}
    assert_refused(staple(this_update=NOW - timedelta(days=99), **options), CERT_REVOKED, "since")
    good = answers_of(staple())
    revoked = with_answers(lambda own: [*good, *own, *good], status=pki.REVOKED)
    assert_refused(revoked, CERT_REVOKED, "since")


def test_revocation_without_a_reason_is_refused() -> None:
    def change(answers: list[bytes]) -> list[bytes]:
        cert_id, revoked, *rest = elements(pki.contents(answers[0]))
        time, _reason = elements(pki.contents(revoked))
        return [tlv(0x30, cert_id, tlv(0xA1, time), *rest)]

    response = with_answers(change, status=pki.REVOKED)
    assert_refused(response, CERT_REVOKED, r"\+00:00$|\+00:00 \[")


def test_revocation_by_a_stranger_is_not_believed() -> None:
    response = staple(status=pki.REVOKED, responder=pki.make_ca(), certificates=[])
    assert_refused(response, SIGNATURE, "neither")


def test_unknown_certificate_is_refused() -> None:
    assert_refused(staple(status=pki.UNKNOWN), CERT_UNKNOWN, "does not know")


def test_unknown_besides_good_is_refused() -> None:
    good = answers_of(staple())
    for order in (1, -1):
        response = with_answers(lambda own, n=order: [*own, *good][::n], status=pki.UNKNOWN)
        assert_refused(response, CERT_UNKNOWN, "does not know")


def test_answer_of_the_future_is_refused() -> None:
    check_staple(staple(this_update=NOW + MAX_CLOCK_SKEW), PATH, now=NOW)
    response = staple(this_update=NOW + MAX_CLOCK_SKEW + SECOND)
    assert_refused(response, NOT_YET_VALID, "thisUpdate")


def test_answer_that_is_too_old_is_refused() -> None:
    response = staple(next_update=HOUR)
    assert check_staple(response, PATH, now=NOW) == NOW
    assert check_staple(response, PATH, now=NOW + MAX_CLOCK_SKEW) == NOW
    too_late = NOW + MAX_CLOCK_SKEW + SECOND
    assert_refused(response, HAS_EXPIRED, "valid until", now=too_late)


def test_answer_without_next_update_that_is_too_old_is_refused() -> None:
    response = staple(next_update=None)
    until = NOW - HOUR + LIFETIME_WITHOUT_NEXT_UPDATE
    assert check_staple(response, PATH, now=NOW) == until
    assert_refused(response, HAS_EXPIRED, "valid until", now=until + MAX_CLOCK_SKEW + SECOND)


def test_next_update_before_this_update_is_refused() -> None:
    def change(answers: list[bytes]) -> list[bytes]:
        *rest, _this_update, next_update = elements(pki.contents(answers[0]))
        return [tlv(0x30, *rest, generalized_time(NOW + 4 * SECOND), next_update)]

    response = with_answers(change, next_update=HOUR + 2 * SECOND)
    assert_refused(response, INVALID, "before its thisUpdate")


def test_next_update_at_the_end_of_time() -> None:
    def change(answers: list[bytes]) -> list[bytes]:
        *rest, _next_update = elements(pki.contents(answers[0]))
        return [tlv(0x30, *rest, tlv(0xA0, tlv(0x18, b"99991231235959Z")))]

    last = CA.certificate.not_valid_after_utc
    assert check_staple(with_answers(change), PATH) == last


@pytest.mark.parametrize("time", [b"20261399000000Z", b"2026", b"", b"20260101000000+0100"])
def test_times_that_are_none_are_refused(time: bytes) -> None:
    def change(answers: list[bytes]) -> list[bytes]:
        cert_id, status, _this_update, next_update = elements(pki.contents(answers[0]))
        return [tlv(0x30, cert_id, status, tlv(0x18, time), next_update)]

    assert_refused(with_answers(change), INVALID, "cannot be read")


@pytest.mark.parametrize(
    "extension",
    [x509.OCSPNonce(bytes(16)), x509.UnrecognizedExtension(UNKNOWN_OID, b"\5\0")],
    ids=["nonce", "unknown"],
)
def test_critical_extension_is_refused(extension: x509.ExtensionType) -> None:
    check_staple(staple(extensions=[(extension, False)]), PATH)
    assert_refused(staple(extensions=[(extension, True)]), INVALID, "critical extension")


@pytest.mark.parametrize("next_update", [HOUR * 2, None], ids=["with nextUpdate", "without"])
def test_critical_extension_of_the_answer_is_refused(next_update: timedelta | None) -> None:
    def change(answers: list[bytes], critical: bool) -> list[bytes]:
        extension = pki.extension_der(UNKNOWN_OID, b"\5\0", critical)
        return [tlv(0x30, pki.contents(answers[0]), tlv(0xA1, tlv(0x30, extension)))]

    check_staple(with_answers(lambda own: change(own, False), next_update=next_update), PATH)
    response = with_answers(lambda own: change(own, True), next_update=next_update)
    assert_refused(response, INVALID, "critical extension")


def test_critical_extension_of_another_answer_does_not_matter() -> None:
    other = answers_of(ocsp_response(pki.make_leaf(issuer=CA)))[0]
    extension = pki.extension_der(UNKNOWN_OID, b"\5\0", True)
    other = tlv(0x30, pki.contents(other), tlv(0xA1, tlv(0x30, extension)))
    check_staple(with_answers(lambda own: [other, *own]), PATH)
