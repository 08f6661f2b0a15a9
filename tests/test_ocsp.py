"""Stapled OCSP responses: good ones, damaged ones, openssl's, and what is remembered of them."""

from __future__ import annotations

import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from ocsp_cases import (
    CA,
    CERT_UNKNOWN,
    HOUR,
    INVALID,
    KEY_TYPES,
    LEAF,
    NO_RESPONSE,
    NOW,
    PATH,
    RESPONDER,
    ROOT,
    SECOND,
    SIGNATURE,
    answers_of,
    assert_refused,
    pss_response,
    staple,
    with_answers,
)
from pki import Credential, ocsp_response, tlv

from fasths.crypto import ocsp as module
from fasths.crypto.ocsp import (
    MAX_CLOCK_SKEW,
    MAX_REMEMBERED,
    StapleChecker,
    check_staple,
    missing_staple,
    requires_staple,
)
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

# What is accepted


@pytest.mark.parametrize("by_name", [False, True], ids=["by key", "by name"])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_response_of_the_issuer(key_type: str, by_name: bool) -> None:
    issuer = pki.make_ca(issuer=ROOT, key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    response = ocsp_response(leaf, by_name=by_name, this_update=NOW)
    assert check_staple(response, leaf.full_chain) == NOW + timedelta(days=7)


@pytest.mark.parametrize("by_name", [False, True], ids=["by key", "by name"])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_response_of_a_delegated_responder(key_type: str, by_name: bool) -> None:
    issuer = pki.make_ca(issuer=ROOT, key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    responder = pki.make_responder(issuer, key_type=key_type)
    response = ocsp_response(leaf, responder=responder, by_name=by_name, this_update=NOW)
    assert check_staple(response, leaf.full_chain) == NOW + timedelta(days=7)


@pytest.mark.parametrize("digest", [hashes.SHA224(), hashes.SHA384(), hashes.SHA512()])
@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_response_signed_with_another_digest(key_type: str, digest: hashes.HashAlgorithm) -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type=key_type))
    check_staple(ocsp_response(leaf, digest=digest), leaf.full_chain)


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],
    ids=lambda algorithm: algorithm.name,
)
def test_hash_of_the_cert_id(algorithm: hashes.HashAlgorithm) -> None:
    check_staple(staple(hash_algorithm=algorithm), PATH)


def test_issuer_that_is_the_anchor() -> None:
    leaf = pki.make_leaf(issuer=ROOT)
    check_staple(ocsp_response(leaf), leaf.full_chain)


def test_issuer_with_a_name_in_another_encoding() -> None:
    """The name is hashed as it is encoded (RFC 6960, 4.1.1)."""
    attribute = x509.NameAttribute(x509.NameOID.COMMON_NAME, "BMP", x509.name._ASN1Type.BMPString)
    issuer = pki.make_ca(subject=x509.Name([attribute]))
    leaf = pki.make_leaf(issuer=issuer)
    for by_name in (False, True):
        check_staple(ocsp_response(leaf, by_name=by_name), leaf.full_chain)


def test_other_certificates_and_extensions_do_not_matter() -> None:
    unrelated = pki.make_ca().certificate
    responder = pki.make_responder(CA, ku=None)
    certificates = [unrelated, responder.certificate, CA.certificate]
    extensions = [(x509.OCSPNonce(bytes(16)), False)]
    check_staple(
        staple(responder=responder, certificates=certificates, extensions=extensions), PATH
    )


def test_responder_for_content_commitment() -> None:
    check_staple(staple(responder=pki.make_responder(CA, ku=["content_commitment"])), PATH)


def test_one_of_two_responders_of_one_name() -> None:
    """As an authority has them that is about to change one for the other."""
    subject = pki.name("responder")
    old, new = (pki.make_responder(CA, subject=subject) for _ in range(2))
    certificates = [old.certificate, new.certificate]
    check_staple(staple(responder=new, by_name=True, certificates=certificates), PATH)
    expired = pki.make_responder(CA, subject=subject, not_after=NOW - HOUR)
    certificates = [expired.certificate, new.certificate]
    check_staple(staple(responder=new, by_name=True, certificates=certificates), PATH)


def test_answer_among_others() -> None:
    others = [answers_of(ocsp_response(pki.make_leaf(issuer=CA), status=pki.REVOKED))[0]]
    response = with_answers(lambda own: [*others, *own, *others])
    assert check_staple(response, PATH, now=NOW) == NOW - HOUR + timedelta(days=7)


def test_earliest_of_two_answers_counts() -> None:
    sooner = answers_of(staple(next_update=2 * HOUR, hash_algorithm=hashes.SHA256()))
    assert check_staple(with_answers(lambda own: [*own, *sooner]), PATH, now=NOW) == NOW + HOUR


def test_answer_is_no_longer_valid_than_its_responder() -> None:
    responder = pki.make_responder(CA, not_after=NOW + HOUR)
    assert check_staple(staple(responder=responder), PATH, now=NOW) == NOW + HOUR


# RSASSA-PSS, which the library's builder does not make


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
@pytest.mark.parametrize("key_type", ["rsa", "rsa-pss"])
def test_response_signed_with_pss(key_type: str, digest: hashes.HashAlgorithm) -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type=key_type))
    check_staple(pss_response(leaf, digest), leaf.full_chain)
    check_staple(pss_response(leaf, digest, salt_length=10), leaf.full_chain)


def test_pss_key_of_one_hash() -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa-pss-sha512"))
    check_staple(pss_response(leaf, hashes.SHA512()), leaf.full_chain)
    assert_refused(pss_response(leaf, hashes.SHA256()), SIGNATURE, "no such", path=leaf.full_chain)


# Damage


@pytest.mark.parametrize("change", [0x01, 0x20, 0x80, 0xFF])
@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
def test_every_corrupted_byte_is_refused(key_type: str, change: int) -> None:
    """No byte of a response is outside of what is checked."""
    issuer = pki.make_ca(key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    responder = pki.make_responder(issuer, key_type=key_type)
    # The library takes the last bits of a certificate's signature for used ones in any case.
    unused_bits = tlv(3, b"\0", responder.certificate.signature)
    for signer in (None, responder):
        response = ocsp_response(leaf, responder=signer)
        check_staple(response, leaf.full_chain)
        left_out = None if signer is None else response.index(unused_bits) + unused_bits.index(0, 1)
        for at in range(len(response)):
            if at == left_out:
                continue
            changed = bytearray(response)
            changed[at] ^= change
            with pytest.raises(CertificateError) as refusal:
                check_staple(bytes(changed), leaf.full_chain)
            assert refusal.value.alert == AlertDescription.bad_certificate_status_response, at


def test_every_truncation_is_refused() -> None:
    response = staple(responder=RESPONDER)
    for length in range(len(response)):
        assert_refused(response[:length], INVALID, "cannot be read")


def test_bytes_of_certificates_that_are_not_needed_are_not_covered() -> None:
    """They may be anything that is a certificate; the signature is not over them."""
    response = staple(certificates=[pki.make_ca().certificate])
    changed = bytearray(response)
    changed[-1] ^= 1  # the end of that certificate's signature
    check_staple(bytes(changed), PATH)


# The TLS feature extension


@pytest.mark.parametrize(
    ("features", "required"),
    [
        ([x509.TLSFeatureType.status_request], True),
        ([x509.TLSFeatureType.status_request_v2], False),
        ([x509.TLSFeatureType.status_request_v2, x509.TLSFeatureType.status_request], True),
        (None, False),
    ],
    ids=["status_request", "status_request_v2", "both", "none"],
)
def test_requires_staple(features: list[x509.TLSFeatureType] | None, required: bool) -> None:
    extensions = [] if features is None else [(x509.TLSFeature(features), False)]
    assert requires_staple(pki.make_leaf(extensions=extensions).certificate) is required


@pytest.mark.parametrize("value", [b"\x30\5\2\1\5", b"\x30\3\2\1\5\0", b"", b"\x30"])
def test_tls_feature_that_cannot_be_read_requires_a_staple(value: bytes) -> None:
    oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24")
    broken = pki.amended(pki.make_leaf(), extra_extensions=[pki.extension_der(oid, value)])
    assert requires_staple(broken.certificate)


def test_tls_feature_beside_a_malformed_extension() -> None:
    feature = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)
    leaf = pki.make_leaf(extensions=[feature])
    junk = pki.extension_der(x509.ExtensionOID.POLICY_CONSTRAINTS, b"junk")
    assert requires_staple(pki.amended(leaf, extra_extensions=[junk]).certificate)


def test_certificate_without_extensions_requires_no_staple() -> None:
    assert not requires_staple(pki.amended(pki.make_leaf(), version=1).certificate)


def test_tls_feature_elsewhere_requires_no_staple() -> None:
    """The bytes of the identifier alone are no extension."""
    subject = pki.name("\x2b\x06\x01\x05\x05\x07\x01\x18")
    for version in (1, 3):
        leaf = pki.amended(pki.make_leaf(subject=subject), version=version)
        assert not requires_staple(leaf.certificate)


def test_missing_staple() -> None:
    error = missing_staple()
    assert error.alert == AlertDescription.bad_certificate_status_response
    assert (error.verify_code, error.verify_message) == (
        NO_RESPONSE,
        "no OCSP response available for certificate",
    )


# What is remembered


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The responses that were checked in earnest."""
    checked: list[bytes] = []

    def counted(response: bytes, *arguments, **options) -> datetime:
        checked.append(response)
        return check_staple(response, *arguments, **options)

    monkeypatch.setattr(module, "check_staple", counted)
    return checked


def test_good_answer_is_remembered(checks: list[bytes]) -> None:
    checker = StapleChecker()
    response = staple()
    for _ in range(3):
        assert checker.check(response, PATH) == NOW - HOUR + timedelta(days=7)
        # Parsed again, as it comes with the next connection.
        again = [x509.load_der_x509_certificate(each) for each in LEAF.chain_der]
        assert checker.check(bytes(bytearray(response)), [*again, *PATH[2:]])
    assert len(checks) == 1


def test_bad_answer_is_checked_again(checks: list[bytes]) -> None:
    checker = StapleChecker()
    for _ in range(2):
        with pytest.raises(CertificateError, match="since"):
            checker.check(staple(status=pki.REVOKED), PATH)
    assert len(checks) == 2


def test_answer_is_remembered_for_one_certificate_of_one_issuer() -> None:
    """Same names, same serial number, and another key of the issuer or the leaf."""
    checker = StapleChecker()
    response = staple()
    checker.check(response, PATH)
    other_issuer = pki.make_ca(issuer=ROOT, subject=CA.certificate.subject)
    with pytest.raises(CertificateError, match="other certificates"):
        checker.check(response, [PATH[0], other_issuer.certificate, PATH[2]])
    other_leaf = pki.amended(LEAF, serial=LEAF.certificate.serial_number + 1)
    with pytest.raises(CertificateError, match="other certificates"):
        checker.check(response, [other_leaf.certificate, *PATH[1:]])
    with pytest.raises(CertificateError, match="wrong"):
        checker.check(response[:-1] + bytes((response[-1] ^ 1,)), PATH)
    with pytest.raises(CertificateError, match="itself trusted"):
        checker.check(response, PATH[:1])


def test_answer_is_forgotten_after_an_hour(checks: list[bytes]) -> None:
    checker = StapleChecker()
    response = staple()
    checker.check(response, PATH, now=NOW)
    checker.check(response, PATH, now=NOW + MAX_REMEMBERED - SECOND)
    assert len(checks) == 1
    checker.check(response, PATH, now=NOW + MAX_REMEMBERED)
    assert len(checks) == 2


def test_answer_is_forgotten_when_it_ends() -> None:
    checker = StapleChecker()
    response = staple(next_update=HOUR + 60 * SECOND)
    checker.check(response, PATH, now=NOW)
    with pytest.raises(CertificateError, match="valid until"):
        checker.check(response, PATH, now=NOW + MAX_CLOCK_SKEW + 61 * SECOND)


def test_what_was_of_use_last_is_remembered(checks: list[bytes]) -> None:
    checker = StapleChecker(maximum=2)
    one, two, three = (staple(next_update=2 * HOUR + n * SECOND) for n in range(3))
    for response in (one, two, one, three, one, three):
        checker.check(response, PATH)
    assert checks == [one, two, three]
    checker.check(two, PATH)
    checker.check(three, PATH)
    assert checks == [one, two, three, two]


def test_checker_that_remembers_nothing(checks: list[bytes]) -> None:
    checker = StapleChecker(maximum=0)
    response = staple()
    for _ in range(2):
        checker.check(response, PATH)
    assert len(checks) == 2


def test_checker_of_many_threads() -> None:
    checker = StapleChecker(maximum=3)
    responses = [staple(next_update=2 * HOUR + n * SECOND) for n in range(5)]
    bad = staple(status=pki.UNKNOWN)
    wrong: list[object] = []

    def work(seed: int) -> None:
        try:
            for n in range(200):
                which = (n * seed) % 5
                until = checker.check(responses[which], PATH)
                if until != NOW + HOUR + which * SECOND:
                    wrong.append(until)
            with pytest.raises(CertificateError):
                checker.check(bad, PATH)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(checker._good) == 3


# Responses of the openssl command

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the openssl command is not installed"
)


@needs_openssl
@pytest.mark.parametrize("key_type", ["ecdsa", "rsa", "ed25519"])
@pytest.mark.parametrize("delegated", [False, True], ids=["issuer", "delegated"])
@pytest.mark.parametrize("status", ["V", "R", None], ids=["good", "revoked", "unknown"])
def test_response_of_openssl(
    tmp_path: Path, status: str | None, delegated: bool, key_type: str
) -> None:
    issuer = pki.make_ca(issuer=ROOT, key_type=key_type)
    leaf = pki.make_leaf(issuer=issuer)
    signer = pki.make_responder(issuer, key_type=key_type) if delegated else issuer
    response = response_of_openssl(tmp_path, leaf, signer, status)
    if status == "V":
        until = check_staple(response, leaf.full_chain)
        assert timedelta(0) < until - datetime.now(UTC) <= timedelta(days=2)
    elif status == "R":
        with pytest.raises(CertificateError, match="keyCompromise") as refusal:
            check_staple(response, leaf.full_chain)
        assert refusal.value.alert == AlertDescription.certificate_revoked
    else:
        with pytest.raises(CertificateError) as refusal:
            check_staple(response, leaf.full_chain)
        assert refusal.value.verify_code == CERT_UNKNOWN


@needs_openssl
def test_pss_response_of_openssl(tmp_path: Path) -> None:
    leaf = pki.make_leaf(issuer=pki.make_ca(key_type="rsa"))
    options = ["-rsigopt", "rsa_padding_mode:pss", "-rmd", "sha384"]
    response = response_of_openssl(tmp_path, leaf, leaf.above[0], "V", *options)
    parsed = ocsp.load_der_ocsp_response(response)
    assert parsed.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSASSA_PSS
    check_staple(response, leaf.full_chain)


@needs_openssl
def test_responses_of_openssl_for_two_certificates(tmp_path: Path) -> None:
    issuer = pki.make_ca()
    leaf, other = (pki.make_leaf(issuer=issuer) for _ in range(2))
    (tmp_path / "other.pem").write_bytes(other.pem)
    also = ["-cert", str(tmp_path / "other.pem"), "-sha256", "-cert", str(tmp_path / "leaf.pem")]
    response = response_of_openssl(tmp_path, leaf, issuer, "V", *also)
    assert len(list(ocsp.load_der_ocsp_response(response).responses)) == 3
    check_staple(response, leaf.full_chain)
    # The index does not have the other one.
    with pytest.raises(CertificateError) as refusal:
        check_staple(response, other.full_chain)
    assert refusal.value.verify_code == CERT_UNKNOWN


def response_of_openssl(
    folder: Path, leaf: Credential, signer: Credential, status: str | None, *options: str
) -> bytes:
    """What a responder answers whose index has the leaf with that status."""
    issuer = leaf.above[0]
    serial = f"{leaf.certificate.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    ends = leaf.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
    revoked = NOW.strftime("%y%m%d%H%M%SZ") + ",keyCompromise" if status == "R" else ""
    entry = "" if status is None else f"{status}\t{ends}\t{revoked}\t{serial}\tunknown\t/CN=x\n"
    files = {
        "index.txt": entry.encode(),
        "ca.pem": issuer.pem,
        "leaf.pem": leaf.pem,
        "signer.pem": signer.pem,
        "signer.key": signer.key_pem,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-issuer", "ca.pem"]
    command += ["-cert", "leaf.pem", "-rsigner", "signer.pem", "-rkey", "signer.key"]
    command += ["-ndays", "2", "-respout", "out.der", "-noverify"]
    subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True, timeout=30)
    return (folder / "out.der").read_bytes()
