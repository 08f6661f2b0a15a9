"""Trust stores: what they are made of, where the platform's roots are found, and what is cached."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

import certifi
import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.name import _ASN1Type

from fasths.crypto import trust
from fasths.crypto.trust import TrustStore

ONE, TWO, THREE = (pki.make_ca() for _ in range(3))
BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def der_of(made: pki.Credential) -> bytes:
    return made.certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


# from_pem and from_file


@pytest.mark.parametrize("convert", [bytes, bytearray, lambda data: data.decode()])
def test_from_pem_takes_every_certificate_once(convert) -> None:
    store = TrustStore.from_pem(convert(ONE.pem + b"some words\n" + TWO.pem + ONE.pem))
    assert store.certificates == (ONE.certificate, TWO.certificate)
    assert len(store) == 2
    assert list(store) == [ONE.certificate, TWO.certificate]
    assert ONE.certificate in store
    assert THREE.certificate not in store


def test_from_pem_passes_over_keys() -> None:
    assert len(TrustStore.from_pem(ONE.key_pem + ONE.pem)) == 1


@pytest.mark.parametrize("data", [b"", b"words", ONE.key_pem, BROKEN, ONE.pem + BROKEN])
def test_from_pem_refuses_what_is_not_all_certificates(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TrustStore.from_pem(data)


@pytest.mark.parametrize("data", [ONE.pem, der_of(ONE)])
def test_from_file_reads_pem_and_der(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "root"
    path.write_bytes(data)
    assert TrustStore.from_file(path).certificates == (ONE.certificate,)
    assert TrustStore.from_file(str(path)) == TrustStore.from_pem(ONE.pem)


def test_from_file_says_which_file_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TrustStore.from_file(tmp_path / "missing.pem")
    for data in (b"", b"words", ONE.pem + BROKEN):
        (tmp_path / "bad.pem").write_bytes(data)
        with pytest.raises(ValueError, match=r"bad\.pem"):
            TrustStore.from_file(tmp_path / "bad.pem")


# from_directory


def test_from_directory_reads_hashed_and_named_files_once(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_bytes(ONE.pem)
    (tmp_path / "two.crt").write_bytes(der_of(TWO))
    (tmp_path / "0a1b2c3d.0").symlink_to("one.pem")
    (tmp_path / "0a1b2c3d.1").write_bytes(THREE.pem)
    (tmp_path / "ffffffff.0").symlink_to("gone.pem")
    (tmp_path / "broken.pem").write_bytes(BROKEN)
    (tmp_path / "README.txt").write_bytes(pki.make_ca().pem)
    (tmp_path / "sub.pem").mkdir()
    store = TrustStore.from_directory(tmp_path)
    assert set(store.certificates) == {ONE.certificate, TWO.certificate, THREE.certificate}
    assert len(store) == 3


def test_from_directory_takes_what_parses_of_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "bundle.crt").write_bytes(ONE.pem + BROKEN + TWO.pem)
    assert len(TrustStore.from_directory(tmp_path)) == 2


def test_from_directory_without_certificates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        TrustStore.from_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        TrustStore.from_directory(tmp_path / "missing")
    (tmp_path / "file").write_bytes(ONE.pem)
    with pytest.raises(NotADirectoryError):
        TrustStore.from_directory(tmp_path / "file")


# system and certifi


def test_certifi_is_its_bundle() -> None:
    store = TrustStore.certifi()
    assert len(store) == Path(certifi.where()).read_bytes().count(b"BEGIN CERTIFICATE")
    assert TrustStore.certifi() is store


def test_system_finds_roots() -> None:
    assert len(TrustStore.system()) > 20


def test_system_takes_the_first_place_that_has_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "bundle.pem").write_bytes(BROKEN + ONE.pem)
    places = [str(tmp_path / each) for each in ("missing.pem", "empty.pem", "bundle.pem")]
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", places)
    assert TrustStore.system().certificates == (ONE.certificate,)


def test_system_reads_a_directory_where_there_is_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.pem").write_bytes(ONE.pem)
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", [])
    monkeypatch.setattr(trust, "SYSTEM_DIRECTORIES", [str(tmp_path / "no"), str(tmp_path)])
    assert TrustStore.system().certificates == (ONE.certificate,)


def test_system_is_certifi_where_the_platform_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", [])
    monkeypatch.setattr(trust, "SYSTEM_DIRECTORIES", [])
    assert TrustStore.system() is TrustStore.certifi()


def test_the_environment_replaces_the_places_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.pem").write_bytes(ONE.pem)
    for name, made in (("a", TWO), ("b", THREE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "root.pem").write_bytes(made.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))
    assert TrustStore.system().certificates == (ONE.certificate,)
    directories = os.pathsep.join(str(tmp_path / each) for each in ("a", "missing", "b"))
    monkeypatch.setenv("SSL_CERT_DIR", directories)
    both = TrustStore.system()
    assert both.certificates == (ONE.certificate, TWO.certificate, THREE.certificate)
    assert TrustStore.system() is both
    monkeypatch.delenv("SSL_CERT_FILE")
    assert TrustStore.system().certificates == (TWO.certificate, THREE.certificate)


def test_an_environment_that_leads_nowhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a silent return to the platform's roots, which the user wanted to replace."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(FileNotFoundError, match="SSL_CERT_FILE"):
        TrustStore.system()
    (tmp_path / "missing.pem").write_bytes(BROKEN)
    with pytest.raises(ValueError, match="no certificate"):
        TrustStore.system()
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="SSL_CERT_DIR"):
        TrustStore.system()


def test_system_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(ONE.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    first = TrustStore.system()
    assert TrustStore.system() is first
    path.write_bytes(ONE.pem + TWO.pem)
    second = TrustStore.system()
    assert len(second) == 2
    assert len(first) == 1


def test_a_directory_is_read_again_when_one_of_its_files_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "one.pem").write_bytes(ONE.pem)
    (tmp_path / "certs" / "two.pem").write_bytes(TWO.pem)
    (tmp_path / "certs" / "link.pem").symlink_to(tmp_path / "one.pem")
    (tmp_path / "certs" / "gone.pem").symlink_to(tmp_path / "missing.pem")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))
    first = TrustStore.system()
    assert TrustStore.system() is first
    (tmp_path / "certs" / "two.pem").write_bytes(TWO.pem + THREE.pem)  # in place
    assert THREE.certificate in TrustStore.system()
    (tmp_path / "one.pem").write_bytes(b"")
    assert ONE.certificate not in TrustStore.system()
    assert ONE.certificate in first


def test_widely_trusted_roots_do_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_loaded", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TrustStore.certifi()


# The object


def test_a_store_cannot_be_changed() -> None:
    store = TrustStore([ONE.certificate])
    with pytest.raises(AttributeError):
        store.certificates = ()
    with pytest.raises(AttributeError):
        del store.certificates
    with pytest.raises(AttributeError):
        store.other = 1  # type: ignore[attr-defined]


def test_stores_compare_by_what_they_hold() -> None:
    store = TrustStore([ONE.certificate, TWO.certificate])
    same = TrustStore(iter([TWO.certificate, ONE.certificate]))
    assert store == same
    assert hash(store) == hash(same)
    assert store != TrustStore([ONE.certificate])
    assert store != "store"
    assert repr(store) == "<fasths.TrustStore of 2 certificates>"


def test_only_certificates_can_be_trusted() -> None:
    with pytest.raises(TypeError, match=r"x509\.Certificate"):
        TrustStore([ONE.pem])  # type: ignore[list-item]


def test_an_empty_store_is_possible() -> None:
    assert len(TrustStore()) == 0
    assert TrustStore().library_store is None


def test_issuers_are_found_by_name() -> None:
    twin = pki.make_ca(subject=ONE.certificate.subject)
    store = TrustStore([ONE.certificate, TWO.certificate, twin.certificate])
    found = store.issuers_named(ONE.certificate.subject)
    assert found == (ONE.certificate, twin.certificate)
    assert store.issuers_named(THREE.certificate.subject) == ()


# What a store is known by


def test_fingerprint_is_of_the_anchors_and_not_of_their_order() -> None:
    digests = sorted(hashlib.sha256(der_of(each)).digest() for each in (ONE, TWO))
    store = TrustStore([ONE.certificate, TWO.certificate])
    assert store.fingerprint() == hashlib.sha256(b"".join(digests)).digest()
    assert TrustStore([TWO.certificate, ONE.certificate]).fingerprint() == store.fingerprint()
    others = [TrustStore(), TrustStore([ONE.certificate]), TrustStore([ONE.certificate] * 2)]
    others.append(TrustStore([ONE.certificate, TWO.certificate, THREE.certificate]))
    assert len({each.fingerprint() for each in [store, *others]}) == 4
    assert store.fingerprint() is store.fingerprint()


def test_subjects_are_names_as_they_are_encoded() -> None:
    """Two that say the same in other types of strings are two names."""
    text = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "One \u00e9", kind)])
        for kind in (_ASN1Type.UTF8String, _ASN1Type.BMPString)
    ]
    first, second = (pki.make_ca(subject=each) for each in text)
    store = TrustStore([ONE.certificate, second.certificate, first.certificate])
    name = ONE.certificate.subject.public_bytes()
    assert store.subjects() == (name, text[1].public_bytes(), text[0].public_bytes())
    assert len(set(store.subjects())) == 3


def test_subjects_are_each_there_once() -> None:
    twin = pki.make_ca(subject=ONE.certificate.subject)
    store = TrustStore([ONE.certificate, TWO.certificate, twin.certificate])
    assert store.subjects() == tuple(each.certificate.subject.public_bytes() for each in (ONE, TWO))


def test_empty_subject_is_not_among_them() -> None:
    nameless = pki.make_leaf(["localhost"], subject=x509.Name([]))
    assert TrustStore([nameless.certificate]).subjects() == ()
    assert TrustStore().subjects() == ()


def test_subjects_of_widely_trusted_roots_are_all_there() -> None:
    store = TrustStore.certifi()
    assert set(store.subjects()) == {each.subject.public_bytes() for each in store}
