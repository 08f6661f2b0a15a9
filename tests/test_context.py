"""Context and Limits: every argument, what it becomes, and what is refused."""

from __future__ import annotations

import os
import re
import stat
import threading
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pki
import pytest
from helpers import TLS13_ALONE, TLS13_SUITES

import fasths
from fasths import (
    CipherSuite,
    Context,
    Identity,
    Limits,
    NamedGroup,
    SignatureScheme,
    TLSVersion,
    TrustStore,
    Verify,
)
from fasths.crypto.peer_verification import PeerVerifier


@pytest.fixture(scope="module")
def authority():
    return pki.make_ca()


@pytest.fixture(scope="module")
def identity(authority):
    leaf = pki.make_leaf(issuer=authority)
    return Identity.from_pem(leaf.chain_pem, leaf.key_pem)


@pytest.fixture(scope="module")
def trust(authority):
    return TrustStore.from_pem(authority.pem)


def test_defaults():
    context = Context()
    assert context.identities == ()
    assert context.trust is None
    assert context.verify is None
    assert context.alpn == ()
    assert context.minimum_version is TLSVersion.TLSv1_2
    assert context.maximum_version is TLSVersion.TLSv1_3
    assert set(context.cipher_suites) == set(CipherSuite)
    # The suites of a version are chosen from among themselves; TLS 1.3's stand first.
    assert context.cipher_suites[:3] == TLS13_SUITES
    assert set(context.groups) == set(NamedGroup)
    assert context.groups[:2] == (NamedGroup.X25519MLKEM768, NamedGroup.x25519)
    assert context.key_share_groups == (NamedGroup.X25519MLKEM768, NamedGroup.x25519)
    assert set(context.signature_schemes) == set(SignatureScheme)
    # What both versions can sign with comes first.
    assert all("pkcs1" in scheme.name for scheme in context.signature_schemes[-3:])
    assert context.check_hostname is True
    assert context.limits == Limits()


def test_all_arguments_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        Context(())
    with pytest.raises(TypeError, match="unexpected keyword"):
        Context(ciphers="ALL")


def test_arguments_are_kept(identity, trust):
    limits = Limits(max_key_updates=5)
    context = Context(
        identities=[identity, identity],
        trust=trust,
        verify=Verify.OPTIONAL,
        alpn=["h2", b"\xff\x00"],
        cipher_suites=[CipherSuite.TLS_CHACHA20_POLY1305_SHA256],
        groups=[NamedGroup.secp384r1, NamedGroup.x25519],
        key_share_groups=[NamedGroup.secp384r1],
        signature_schemes=["ed25519", SignatureScheme.ecdsa_secp256r1_sha256],
        check_hostname=False,
        limits=limits,
    )
    assert context.identities == (identity, identity)
    assert context.trust is trust
    assert context.verify is Verify.OPTIONAL
    assert context.alpn == (b"h2", b"\xff\x00")
    assert context.cipher_suites == (CipherSuite.TLS_CHACHA20_POLY1305_SHA256,)
    assert context.groups == (NamedGroup.secp384r1, NamedGroup.x25519)
    assert context.key_share_groups == (NamedGroup.secp384r1,)
    assert context.signature_schemes == (
        SignatureScheme.ed25519,
        SignatureScheme.ecdsa_secp256r1_sha256,
    )
    assert context.check_hostname is False
    assert context.limits is limits


def test_repr_names_no_secret(identity):
    assert repr(Context(identities=[identity])) == "<fasths.Context with 1 identities>"


# --- Immutability


@pytest.mark.parametrize("name", [*(n for n in Context.__slots__), "anything"])
def test_context_does_not_change(name):
    context = Context()
    before = getattr(context, name, None)
    with pytest.raises(AttributeError):
        setattr(context, name, before)
    with pytest.raises(AttributeError):
        delattr(context, name)
    assert getattr(context, name, None) == before


def test_iterables_are_taken_once(identity):
    groups, names = [NamedGroup.x25519], ["h2"]
    context = Context(
        identities=iter([identity]), groups=groups, alpn=names, cipher_suites=iter(CipherSuite)
    )
    groups.append(NamedGroup.secp256r1)
    names.clear()
    assert context.identities == (identity,)
    assert context.groups == (NamedGroup.x25519,)
    assert context.alpn == (b"h2",)
    assert context.cipher_suites == tuple(CipherSuite)


# --- Lists of codes

CODES = {
    "cipher_suites": CipherSuite,
    "groups": NamedGroup,
    "key_share_groups": NamedGroup,
    "signature_schemes": SignatureScheme,
}
of_codes = pytest.mark.parametrize(("argument", "kind"), CODES.items(), ids=CODES)


def usable(kind):
    return [member for member in kind if "pkcs1" not in member.name]


@of_codes
@pytest.mark.parametrize("spelling", [str, str.lower, str.upper, str.title, str.swapcase])
def test_names_in_any_case(argument, kind, spelling):
    for member in usable(kind):
        context = Context(**{argument: [spelling(member.name)]})
        assert getattr(context, argument) == (member,)
        assert type(getattr(context, argument)[0]) is kind


@of_codes
def test_members_and_names_together(argument, kind):
    first, second, third = usable(kind)[:3]
    context = Context(**{argument: [third, first.name, int(second)]})
    if argument == "key_share_groups":
        # RFC 8446, 4.2.8: in the order of groups.
        assert set(context.key_share_groups) == {first, second, third}
    else:
        assert getattr(context, argument) == (third, first, second)


@of_codes
@pytest.mark.parametrize("unknown", ["", "unknown", " x25519", "TLS_AES_128_CCM_SHA256", "P-256"])
def test_unknown_name_is_refused(argument, kind, unknown):
    with pytest.raises(ValueError, match=rf"{re.escape(repr(unknown))} is not a {kind.__name__}"):
        Context(**{argument: [unknown]})


@of_codes
@pytest.mark.parametrize("unknown", [-1, 0, 0x0A0A, 0xC013, 1 << 40])
def test_unknown_code_is_refused(argument, kind, unknown):
    with pytest.raises(ValueError, match=f"is not a valid {kind.__name__}"):
        Context(**{argument: [unknown]})


@of_codes
@pytest.mark.parametrize("wrong", [5, 1.0, object()], ids=lambda each: type(each).__name__)
def test_argument_that_is_no_sequence_is_refused(argument, kind, wrong):
    with pytest.raises(TypeError):
        Context(**{argument: wrong})


@of_codes
@pytest.mark.parametrize("wrong", [None, 1.0, b"x25519", ("x25519",)], ids=str)
def test_element_that_is_no_code_and_no_name_is_refused(argument, kind, wrong):
    with pytest.raises(TypeError, match=f"neither a {kind.__name__} nor a name"):
        Context(**{argument: [wrong]})


@of_codes
def test_one_name_instead_of_a_sequence_is_refused(argument, kind):
    with pytest.raises(TypeError, match="not one str"):
        Context(**{argument: usable(kind)[0].name})


@of_codes
def test_duplicate_code_is_refused(argument, kind):
    member = usable(kind)[0]
    for other in (member, member.name, member.name.lower(), int(member)):
        with pytest.raises(ValueError, match=f"{member.name} is listed twice"):
            Context(**{argument: [member, usable(kind)[1], other]})


@of_codes
def test_empty_list_of_codes_is_refused(argument, kind):
    if argument == "key_share_groups":
        # Then the server has to ask for a share.
        assert Context(key_share_groups=[]).key_share_groups == ()
        return
    with pytest.raises(ValueError, match=f"at least one {kind.__name__}"):
        Context(**{argument: []})


@pytest.mark.parametrize("scheme", [s for s in SignatureScheme if "pkcs1" in s.name])
@pytest.mark.parametrize(
    "without_tls12",
    [
        TLS13_ALONE,
        {"cipher_suites": TLS13_SUITES},
        {"groups": ["X25519MLKEM768"]},
    ],
    ids=["version", "suites", "groups"],
)
def test_scheme_that_signs_in_tls12_alone(scheme, without_tls12):
    """RFC 8446, 4.2.3: allowed where TLS 1.2 is; without it such schemes are for certificates."""
    for value in (scheme, scheme.name):
        schemes = [SignatureScheme.ed25519, value]
        assert Context(signature_schemes=schemes).signature_schemes == (schemes[0], scheme)
        with pytest.raises(ValueError, match=r"cannot sign a TLS 1\.3 handshake"):
            Context(signature_schemes=schemes, **without_tls12)
    # By default they are there as far as they are of use.
    assert scheme not in Context(**without_tls12).signature_schemes


def test_default_schemes_without_tls12():
    schemes = {scheme for scheme in SignatureScheme if "pkcs1" not in scheme.name}
    assert set(Context(**TLS13_ALONE).signature_schemes) == schemes


def test_another_enum_with_the_same_numbers_is_refused():
    with pytest.raises(ValueError, match="CipherSuite"):
        Context(cipher_suites=[NamedGroup.x25519])


# --- Groups and shares


def test_key_share_groups_by_default_are_among_groups():
    x25519, p256, p384 = NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1
    assert Context(groups=[p256, x25519]).key_share_groups == (x25519,)
    assert Context(groups=[p384, p256]).key_share_groups == (p384,)


def test_key_share_groups_are_in_the_order_of_groups():
    context = Context(
        groups=["secp256r1", "x25519", "secp384r1"], key_share_groups=["secp384r1", "secp256r1"]
    )
    assert context.key_share_groups == (NamedGroup.secp256r1, NamedGroup.secp384r1)


def test_key_share_group_that_is_not_among_groups_is_refused():
    with pytest.raises(ValueError, match="secp256r1 is among key_share_groups, but not among"):
        Context(groups=["x25519"], key_share_groups=["x25519", "secp256r1"])


def test_group_that_the_installation_lacks_is_refused(monkeypatch):
    hybrid = NamedGroup.X25519MLKEM768
    monkeypatch.setattr("fasths.context.is_supported", lambda group: group != hybrid)
    with pytest.raises(ValueError, match="does not have all of these groups"):
        Context(groups=["x25519", "X25519MLKEM768"])
    with pytest.raises(ValueError, match="not among groups"):
        Context(key_share_groups=["X25519MLKEM768"])
    # By default it is left out.
    context = Context()
    assert hybrid not in context.groups
    assert context.key_share_groups == (NamedGroup.x25519,)


# --- Versions


TLS12, TLS13 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
TLS12_SUITES = tuple(suite for suite in CipherSuite if suite not in TLS13_SUITES)


def versions(**arguments):
    """Those that connections can have, the highest first."""
    return Context(**arguments)._configuration.versions


@pytest.mark.parametrize("argument", ["minimum_version", "maximum_version"])
def test_version(argument):
    for version in (*TLSVersion, 0x0303, 0x0304):
        context = Context(**{argument: version})
        assert getattr(context, argument) is TLSVersion(version)
    for unknown in (0x0300, 0x0301, 0x0302, 0x0305, 0, -1):
        with pytest.raises(ValueError, match="TLSVersion"):
            Context(**{argument: unknown})


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
    [
        (TLS12, TLS13, (TLS13, TLS12)),
        (TLS12, TLS12, (TLS12,)),
        (TLS13, TLS13, (TLS13,)),
    ],
)
def test_versions_between_the_two(minimum, maximum, expected):
    assert versions(minimum_version=minimum, maximum_version=maximum) == expected


def test_minimum_version_above_the_maximum_is_refused():
    with pytest.raises(ValueError, match="minimum_version is above maximum_version"):
        Context(minimum_version=TLS13, maximum_version=TLS12)


ONE_VERSION = {
    "suites of TLS 1.2": (TLS12, {"cipher_suites": TLS12_SUITES}),
    "a suite of TLS 1.2": (TLS12, {"cipher_suites": TLS12_SUITES[-1:]}),
    "suites of TLS 1.3": (TLS13, {"cipher_suites": TLS13_SUITES}),
    "a suite of TLS 1.3": (TLS13, {"cipher_suites": TLS13_SUITES[-1:]}),
    # It is not defined for TLS 1.2.
    "a group of TLS 1.3": (TLS13, {"groups": ["X25519MLKEM768"]}),
}


@pytest.mark.parametrize("name", ONE_VERSION)
def test_version_without_a_suite_or_group_is_off(name):
    version, arguments = ONE_VERSION[name]
    context = Context(**arguments)
    assert context._configuration.versions == (version,)
    # That is what was allowed, and not what comes of it.
    assert (context.minimum_version, context.maximum_version) == (TLS12, TLS13)
    assert versions(**arguments, minimum_version=version, maximum_version=version) == (version,)
    other = TLS13 if version == TLS12 else TLS12
    with pytest.raises(ValueError, match="no version is left"):
        Context(**arguments, minimum_version=other, maximum_version=other)


def test_suites_of_one_version_and_a_group_of_the_other_are_refused():
    with pytest.raises(ValueError, match="no version is left"):
        Context(cipher_suites=TLS12_SUITES, groups=["X25519MLKEM768"])


@pytest.mark.parametrize("first", [TLS12_SUITES[:1], TLS13_SUITES[:1]], ids=["TLS 1.2", "TLS 1.3"])
def test_one_suite_and_one_group_for_each_version_are_enough(first):
    last = TLS13_SUITES[-1:] if first == TLS12_SUITES[:1] else TLS12_SUITES[-1:]
    arguments = {"cipher_suites": first + last, "groups": ["X25519MLKEM768", "x25519"]}
    assert versions(**arguments) == (TLS13, TLS12)
    assert Context(**arguments).cipher_suites == first + last


# --- Verification and trust


@pytest.mark.parametrize("verify", [None, *Verify, 0, 1, 2])
def test_verify(verify):
    assert Context(verify=verify).verify == verify
    assert verify is None or type(Context(verify=verify).verify) is Verify


@pytest.mark.parametrize("wrong", [3, -1])
def test_unknown_verify_is_refused(wrong):
    with pytest.raises(ValueError, match="Verify"):
        Context(verify=wrong)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("verify", "REQUIRED"),
        ("verify", 1.5),
        ("verify", True),
        ("verify", False),
        ("minimum_version", "TLSv1_3"),
        ("maximum_version", None),
        ("check_hostname", "no"),
        ("check_hostname", None),
        ("retry_with_cookie", "no"),
    ],
)
def test_value_of_a_wrong_type_is_refused(argument, wrong):
    """Above all, verify=True must not silently mean OPTIONAL, nor False NONE."""
    with pytest.raises(TypeError):
        Context(**{argument: wrong})


@pytest.mark.parametrize("wrong", ["system", b"pem", 1, (), object(), TrustStore])
def test_trust_that_is_no_trust_store_is_refused(wrong):
    with pytest.raises(TypeError, match="trust must be a TrustStore or None"):
        Context(trust=wrong)


def test_system_trust_is_loaded_when_it_is_first_needed(monkeypatch, trust):
    loaded = []
    monkeypatch.setattr(TrustStore, "system", classmethod(lambda _: loaded.append(1) or trust))
    context = Context(limits=Limits(max_chain_depth=3))
    assert not loaded
    make = fasths.context._LazyPeerVerifier(None, True, context.limits, 10)
    verifiers = []
    threads = [threading.Thread(target=lambda: verifiers.append(make())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert loaded == [1]
    assert len(verifiers) == 8
    assert len(set(map(id, verifiers))) == 1
    assert isinstance(verifiers[0], PeerVerifier)


# --- Identities


@pytest.mark.parametrize("wrong", [None, "identity", ("chain", "key"), 5])
def test_identity_of_a_wrong_type_is_refused(identity, wrong):
    with pytest.raises(TypeError, match="identities must be Identity objects"):
        Context(identities=[identity, wrong])


def test_one_identity_instead_of_a_sequence_is_refused(identity):
    with pytest.raises(TypeError):
        Context(identities=identity)
    with pytest.raises(TypeError):
        Context(identities=None)


def identity_of(*certificates, key):
    """An Identity with a chain that nobody has looked at."""
    return Identity.from_pem(pki.pem_of(certificates), key.key_pem)


def signer_of(*certificates, key):
    return Identity.from_signer(pki.pem_of(certificates), lambda request: b"")


of_makers = pytest.mark.parametrize("make", [identity_of, signer_of], ids=["key", "signer"])
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@of_makers
def test_expired_identity_is_refused(authority, identity, make):
    leaf = pki.make_leaf(issuer=authority, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    broken = make(leaf.certificate, key=leaf)
    with pytest.raises(ValueError, match=r"certificate 1 .* has expired"):
        Context(identities=[identity, broken])


@of_makers
def test_identity_that_is_not_yet_valid_is_refused(authority, identity, make):
    leaf = pki.make_leaf(issuer=authority, not_before=NOW + DAY, not_after=NOW + 9 * DAY)
    broken = make(leaf.certificate, key=leaf)
    with pytest.raises(ValueError, match=r"certificate 1 .* is not valid before"):
        Context(identities=[identity, broken])


@of_makers
def test_identity_with_an_expired_issuer_is_refused(authority, make):
    issuer = pki.make_ca(issuer=authority, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    leaf = pki.make_leaf(issuer=issuer)
    broken = make(*leaf.chain, key=leaf)
    with pytest.raises(ValueError, match=r"certificate 2 .* has expired"):
        Context(identities=[broken])


@of_makers
def test_identity_with_another_issuer_behind_it_is_refused(authority, make):
    leaf = pki.make_leaf(issuer=authority)
    broken = make(leaf.certificate, pki.make_ca().certificate, key=leaf)
    with pytest.raises(ValueError, match="is not issued by the one behind it"):
        Context(identities=[broken])


@of_makers
def test_identity_with_an_issuer_of_another_key_is_refused(make):
    one, other = (pki.make_ca("the same name") for _ in range(2))
    leaf = pki.make_leaf(issuer=one)
    broken = make(leaf.certificate, other.certificate, key=leaf)
    with pytest.raises(ValueError, match="is not signed with the key of the one behind it"):
        Context(identities=[broken])


def test_chain_in_the_wrong_order_is_refused(authority):
    leaf = pki.make_leaf(issuer=pki.make_ca(issuer=pki.make_ca(issuer=authority)))
    first, second, third = leaf.chain
    assert Context(identities=[identity_of(first, second, third, key=leaf)])
    broken = identity_of(first, third, second, key=leaf)
    with pytest.raises(ValueError, match="is not issued by the one behind it"):
        Context(identities=[broken])


def test_identity_whose_schemes_are_not_among_those_of_the_context_is_refused(identity):
    assert identity.signature_schemes == (SignatureScheme.ecdsa_secp256r1_sha256,)
    raw = Identity.from_raw_public_key(pki.make_leaf().key_pem)
    for each in (identity, raw):
        for fitting in ("ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384"):
            # RFC 8446, 4.2.3: in TLS 1.2 the hash is not bound to the curve.
            alone = TLS13_ALONE if fitting == "ecdsa_secp256r1_sha256" else {}
            assert Context(identities=[each], signature_schemes=["ed25519", fitting], **alone)
        for alone, other in (
            (TLS13_ALONE, "ecdsa_secp384r1_sha384"),
            ({}, "rsa_pkcs1_sha256"),
            ({"maximum_version": TLSVersion.TLSv1_2}, "rsa_pss_rsae_sha256"),
        ):
            with pytest.raises(ValueError, match="can sign with none of the signature_schemes"):
                Context(identities=[each], signature_schemes=["ed25519", other], **alone)


# --- Application protocols


@pytest.mark.parametrize("name", ["h", "h2", b"h2", "x" * 255, b"\0", b"\xff" * 255])
def test_protocol_name(name):
    expected = name.encode() if isinstance(name, str) else name
    assert Context(alpn=[name]).alpn == (expected,)


@pytest.mark.parametrize("name", ["", b"", "x" * 256, bytes(256)], ids=len)
def test_protocol_name_without_1_to_255_bytes_is_refused(name):
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        Context(alpn=["h2", name])


def test_protocol_name_beyond_ascii_is_refused_as_str():
    with pytest.raises(ValueError, match="ascii"):
        Context(alpn=["h²"])


@pytest.mark.parametrize("wrong", ["h2", b"h2"])
def test_one_protocol_name_instead_of_a_sequence_is_refused(wrong):
    with pytest.raises(TypeError, match="not one name"):
        Context(alpn=wrong)


@pytest.mark.parametrize("wrong", [None, 5, ["h2", None], ["h2", 5], [["h2"]], [bytearray(b"h2")]])
def test_protocol_names_of_a_wrong_type_are_refused(wrong):
    with pytest.raises(TypeError):
        Context(alpn=wrong)


def test_more_protocol_names_than_an_extension_can_hold_are_refused():
    names = [b"%0254d" % number for number in range(258)]
    assert len(Context(alpn=names[:200]).alpn) == 200
    with pytest.raises(ValueError, match="longer than its length field"):
        Context(alpn=names)


# --- Key log


@pytest.fixture
def umask():
    before = os.umask(0)
    yield
    os.umask(before)


def logged(context):
    """One handshake between two connections of this context."""
    one, other = fasths.bio_pair()
    client = fasths.Connection(context, one, server_hostname="localhost")
    server = fasths.Connection(context, other)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        client.do_handshake(), server.do_handshake()
    assert client.established
    assert server.established


LABELS = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
]


def require_lines(lines):
    """Both connections wrote the same secrets, one on each line."""
    assert len(lines) == 10
    assert len(set(lines)) == 5
    assert sorted(line.split()[0] for line in set(lines)) == sorted(LABELS)
    for line in lines:
        assert re.fullmatch(r"[A-Z_0]+ [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96})", line)
    assert len({line.split()[1] for line in lines}) == 1


@pytest.mark.parametrize("kind", [str, Path, os.fsencode], ids=["str", "Path", "bytes"])
def test_key_log_file_is_for_its_owner_alone(tmp_path, identity, trust, umask, kind):
    path = tmp_path / "keys.log"
    context = Context(identities=[identity], trust=trust, keylog=kind(path))
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    logged(context)
    require_lines(path.read_text().splitlines())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_key_log_file_is_appended_to(tmp_path, identity, trust):
    path = tmp_path / "keys.log"
    path.write_text("# before\n")
    for _ in range(2):
        logged(Context(identities=[identity], trust=trust, keylog=path))
    first, *lines = path.read_text().splitlines()
    assert first == "# before"
    assert len(lines) == 20


def test_key_log_function_gets_each_line(identity, trust):
    lines = []
    logged(Context(identities=[identity], trust=trust, keylog=lines.append))
    require_lines(lines)


def test_environment_says_nothing_about_the_key_log(tmp_path, monkeypatch, identity, trust):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    logged(Context(identities=[identity], trust=trust))
    assert not list(tmp_path.iterdir())


def test_key_log_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        Context(keylog=tmp_path / "absent" / "keys.log")
    with pytest.raises(IsADirectoryError):
        Context(keylog=tmp_path)


@pytest.mark.parametrize("wrong", [5, 1.0, [], object()], ids=lambda each: type(each).__name__)
def test_key_log_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError):
        Context(keylog=wrong)


# --- Limits

NAMES = [field.name for field in fields(Limits)]
of_limits = pytest.mark.parametrize("name", NAMES)


@of_limits
def test_limit(name):
    largest = {"max_handshake_message_size": (1 << 24) - 1, "max_psk_identities": 64}
    for value in (1, 2, 64, largest.get(name, (1 << 31) - 1)):
        assert getattr(Limits(**{name: value}), name) == value
    assert Limits(**{name: getattr(Limits(), name)}) == Limits()


@of_limits
@pytest.mark.parametrize("wrong", [0, -1, 1 << 31, 1 << 64])
def test_limit_out_of_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be between 1 and"):
        Limits(**{name: wrong})


def test_message_size_beyond_its_length_field_is_refused():
    with pytest.raises(ValueError, match=r"max_handshake_message_size must be below 2\*\*24"):
        Limits(max_handshake_message_size=1 << 24)


@of_limits
@pytest.mark.parametrize("wrong", [None, "5", 5.0, True, b"5"], ids=repr)
def test_limit_of_a_wrong_type_is_refused(name, wrong):
    with pytest.raises(TypeError, match=f"{name} must be an int"):
        Limits(**{name: wrong})


def test_more_psk_identities_than_can_be_looked_at_are_refused():
    with pytest.raises(ValueError, match="max_psk_identities must be at most 64"):
        Limits(max_psk_identities=65)


def test_limits_are_keywords_and_do_not_change():
    with pytest.raises(TypeError):
        Limits(5)
    with pytest.raises(TypeError):
        Limits(max_everything=5)
    limits = Limits()
    for name in NAMES:
        with pytest.raises(FrozenInstanceError):
            setattr(limits, name, 5)
    assert limits == Limits()
    assert hash(limits) == hash(Limits())


@pytest.mark.parametrize("wrong", [{}, 5, "limits", Limits], ids=repr)
def test_limits_of_a_wrong_type_are_refused(wrong):
    with pytest.raises(TypeError, match="limits must be a"):
        Context(limits=wrong)
    assert Context(limits=None).limits == Limits()
