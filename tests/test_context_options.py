"""Context: its options of authentication, resumption, records and callbacks, and their refusals."""

from __future__ import annotations

import pki
import pytest

from fasths import (
    CertificateCompressionAlgorithm,
    Connection,
    Context,
    ExternalPSK,
    Identity,
    MemoryBIO,
    MemorySessionCache,
    MemorySessionStore,
    PskKeyExchangeMode,
    SQLiteSessionStore,
    StaplePolicy,
    TicketKeys,
    TrustStore,
    Verify,
)


def configured(name, **arguments):
    """What the engine is given for the option."""
    return getattr(Context(**arguments)._configuration, name)


def of_options(*names):
    return pytest.mark.parametrize("option", names)


# --- Defaults


DEFAULTS = {
    "require_extended_master_secret": False,
    "post_handshake_auth": False,
    "staple_policy": StaplePolicy.CHECK,
    "certificate_compression": (),
    "trusted_public_keys": frozenset(),
    "session_tickets": 2,
    "session_tickets_with_data": False,
    "session_lifetime": 7200,
    "session_cache": None,
    "external_psks": (),
    "psk_modes": b"\1",
    "max_early_data_size": 0,
    "early_data_window": 10.0,
    "record_size_limit": 0,
    "record_padding": 0,
    "dynamic_record_sizing": False,
    "client_hello_callback": None,
    "identity_callback": None,
    "verify_callback": None,
    "psk_callback": None,
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_default(name, value):
    assert configured(name) == value


# --- Whole numbers

NUMBERS = {
    "session_tickets": (0, 255),
    "session_lifetime": (1, 7 * 24 * 3600),
    "max_early_data_size": (0, 0xFFFFFFFF),
    "record_size_limit": (64, 16385),
    "record_padding": (0, 16385),
}
RANGES = {**NUMBERS, "verified_chain_cache": (0, 1 << 24)}
of_ranges = pytest.mark.parametrize(("option", "ends"), RANGES.items(), ids=RANGES)


@pytest.mark.parametrize(("option", "ends"), NUMBERS.items(), ids=NUMBERS)
def test_whole_number(option, ends):
    for value in (*ends, sum(ends) // 2):
        # An older ring of ticket keys would end long sessions early.
        keys = TicketKeys(accept_for=7 * 24 * 3600)
        store = MemorySessionStore()
        assert configured(option, ticket_keys=keys, session_store=store, **{option: value}) == value


@of_ranges
def test_whole_number_out_of_range_is_refused(option, ends):
    for wrong in (ends[0] - 1, ends[1] + 1, -1, 1 << 64):
        with pytest.raises(ValueError, match=f"{option} must be between {ends[0]} and {ends[1]}"):
            Context(**{option: wrong})


@of_ranges
@pytest.mark.parametrize("wrong", [1000.0, "1000", b"1000", True, False, [1000]], ids=repr)
def test_whole_number_of_a_wrong_type_is_refused(option, ends, wrong):
    with pytest.raises(TypeError, match=f"{option} must be an int"):
        Context(**{option: wrong})


@of_options(*(name for name in RANGES if name != "record_size_limit"))
def test_no_number_is_refused(option):
    with pytest.raises(TypeError, match=f"{option} must be an int"):
        Context(**{option: None})
    # A limit is the one thing that there may be none of.
    assert configured("record_size_limit", record_size_limit=None) == 0


@pytest.mark.parametrize("maximum", [0, 1, 1 << 24])
def test_verified_chain_cache(maximum):
    leaf = pki.make_leaf()
    trust = TrustStore.from_pem(leaf.pem)
    verifier = configured("peer_verifier", trust=trust, verified_chain_cache=maximum)()
    first, again = (verifier.verify_server(tuple(leaf.chain_der), "localhost") for _ in range(2))
    # A chain that is remembered is the same object.
    assert (first is again) is (maximum > 0)


# --- Seconds


@pytest.mark.parametrize("value", [0.001, 1, 10, 60.5, 604800])
def test_early_data_window(value):
    assert configured("early_data_window", early_data_window=value) == value


@pytest.mark.parametrize("wrong", [0, 0.0, -1, 604801, float("inf"), float("nan")])
def test_early_data_window_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="early_data_window must be above 0"):
        Context(early_data_window=wrong)


@pytest.mark.parametrize("wrong", [None, "10", True, [10]], ids=repr)
def test_early_data_window_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError, match="early_data_window must be a number"):
        Context(early_data_window=wrong)


# --- Flags and callbacks

of_flags = of_options(
    "post_handshake_auth",
    "dynamic_record_sizing",
    "require_extended_master_secret",
    "session_tickets_with_data",
)


@of_flags
def test_flag(option):
    for value in (True, False):
        assert configured(option, **{option: value}) is value


@of_flags
@pytest.mark.parametrize("wrong", [None, 1, 0, "yes"], ids=repr)
def test_flag_of_a_wrong_type_is_refused(option, wrong):
    with pytest.raises(TypeError, match=f"{option} must be a bool"):
        Context(**{option: wrong})


of_callbacks = of_options(
    "client_hello_callback", "identity_callback", "verify_callback", "psk_callback"
)


@of_callbacks
def test_callback(option):
    for function in (print, lambda request: None, dict):
        assert configured(option, **{option: function}) is function


@of_callbacks
@pytest.mark.parametrize("wrong", [5, "print", True, [print]], ids=repr)
def test_callback_that_cannot_be_called_is_refused(option, wrong):
    with pytest.raises(TypeError, match=f"{option} must be callable"):
        Context(**{option: wrong})


@pytest.mark.parametrize(
    "options",
    [
        {"client_hello_callback": print},
        {"identity_callback": print},
        {"psk_callback": print},
        {"external_psks": [ExternalPSK(b"identity", bytes(32))]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_server_without_an_identity_has_something_else(options):
    Connection(Context(**options), MemoryBIO()).set_accept_state()


def test_server_with_nothing_to_show_is_refused():
    for context in (Context(), Context(verify_callback=print, ticket_keys=TicketKeys())):
        with pytest.raises(ValueError, match="identity"):
            Connection(context, MemoryBIO()).set_accept_state()


# --- Authentication


@pytest.mark.parametrize("policy", [*StaplePolicy, 0, 1, 2])
def test_staple_policy(policy):
    assert configured("staple_policy", staple_policy=policy) == policy


@pytest.mark.parametrize("wrong", [-1, 3])
def test_unknown_staple_policy_is_refused(wrong):
    with pytest.raises(ValueError, match="StaplePolicy"):
        Context(staple_policy=wrong)


@pytest.mark.parametrize("wrong", [None, "CHECK", True, False, 1.0], ids=repr)
def test_staple_policy_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError, match=r"staple_policy must be a fasths\.StaplePolicy"):
        Context(staple_policy=wrong)


@of_options("certificate_authorities", "trusted_public_keys")
@pytest.mark.parametrize("wrong", [None, 5, b"DER", "DER", ["DER"], [5], [None], [bytearray(b"x")]])
def test_what_is_no_sequence_of_bytes_is_refused(option, wrong):
    with pytest.raises(TypeError):
        Context(**{option: wrong})


def test_certificate_authority_without_1_to_65535_bytes_is_refused():
    """RFC 8446, 4.2.4."""
    good = pki.name("an authority").public_bytes()
    assert Context(certificate_authorities=[good, good])
    for wrong in (b"", bytes(1 << 16)):
        with pytest.raises(ValueError, match="certificate_authorities must have 1 to 65535 bytes"):
            Context(certificate_authorities=[good, wrong])


def test_more_authorities_than_an_extension_can_hold_are_refused():
    with pytest.raises(ValueError, match="longer than its length field"):
        Context(certificate_authorities=[bytes(1 << 15)] * 2)


@pytest.mark.parametrize("key_type", ["ecdsa", "ecdsa521", "rsa", "ed25519", "ed448"])
def test_trusted_public_key(key_type):
    (key,) = Identity.from_raw_public_key(pki.make_leaf(key_type=key_type).key_pem).certificates
    keys = configured("trusted_public_keys", trusted_public_keys=iter([key, key]))
    assert keys == {key}


@pytest.mark.parametrize(
    "wrong",
    [b"", b"key", pki.make_leaf().chain_der[0]],
    ids=["empty", "no DER", "certificate"],
)
def test_trusted_key_that_is_no_public_key_is_refused(wrong):
    with pytest.raises(ValueError, match="trusted_public_keys: "):
        Context(trusted_public_keys=[wrong])


def test_trusted_key_with_more_behind_it_is_refused():
    (key,) = Identity.from_raw_public_key(pki.make_leaf().key_pem).certificates
    for wrong in (key + b"\0", key[:-1]):
        with pytest.raises(ValueError, match="trusted_public_keys: "):
            Context(trusted_public_keys=[key, wrong])


ZLIB, BROTLI = CertificateCompressionAlgorithm.zlib, CertificateCompressionAlgorithm.brotli


@pytest.mark.parametrize(
    ("given", "algorithms"),
    [
        ((), ()),
        (["zlib"], (ZLIB,)),
        ([ZLIB], (ZLIB,)),
        (["BROTLI", 1], (BROTLI, ZLIB)),
        (iter([ZLIB, "brotli"]), (ZLIB, BROTLI)),
    ],
)
def test_certificate_compression(given, algorithms):
    assert configured("certificate_compression", certificate_compression=given) == algorithms


@pytest.mark.parametrize("wrong", [["gzip"], [""], [0], [4], [ZLIB, 1], ["zlib", "ZLIB"]], ids=repr)
def test_unknown_or_repeated_compression_is_refused(wrong):
    with pytest.raises(ValueError, match=r"CertificateCompressionAlgorithm|listed twice"):
        Context(certificate_compression=wrong)


@pytest.mark.parametrize("wrong", [None, 1, "zlib", [None], [b"zlib"], [1.0]], ids=repr)
def test_compression_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError):
        Context(certificate_compression=wrong)


def test_compression_that_the_installation_lacks_is_refused(monkeypatch):
    monkeypatch.setattr("fasths.context.available", lambda: (ZLIB,))
    assert Context(certificate_compression=["zlib"])
    with pytest.raises(ValueError, match="no library for brotli is installed"):
        Context(certificate_compression=["zlib", "brotli"])


# --- Resumption


def test_tickets_are_sealed_unless_there_is_a_store_alone(tmp_path):
    keys = TicketKeys()
    lasting = SQLiteSessionStore(tmp_path / "sessions")
    for store in (MemorySessionStore(), lasting):
        for sealing in (None, keys):
            context = Context(session_store=store, ticket_keys=sealing)
            assert context.ticket_keys is sealing is context._configuration.ticket_keys
            assert context.session_store is store is context._configuration.session_store
    lasting.close()
    context = Context(ticket_keys=keys)
    assert context.ticket_keys is keys
    assert isinstance(context.session_store, MemorySessionStore)


def test_contexts_have_keys_and_stores_of_their_own():
    one, other = Context(), Context()
    assert isinstance(one.ticket_keys, TicketKeys)
    assert one.ticket_keys is not other.ticket_keys
    assert one.session_store is not other.session_store
    assert other.ticket_keys.open(one.ticket_keys.seal(b"session")) is None


@pytest.mark.parametrize("wrong", [b"key", "keys", 5, True, TicketKeys, ()])
def test_ticket_keys_of_a_wrong_type_are_refused(wrong):
    with pytest.raises(TypeError, match="ticket_keys must be a TicketKeys or None"):
        Context(ticket_keys=wrong)


def test_ticket_keys_that_forget_before_sessions_end_are_refused():
    keys = TicketKeys(accept_for=3600)
    assert Context(ticket_keys=keys, session_lifetime=3600)
    with pytest.raises(ValueError, match="accept_for is shorter than session_lifetime"):
        Context(ticket_keys=keys, session_lifetime=3601)


@pytest.mark.parametrize("wrong", [5, "store", {}, object(), MemorySessionCache()])
def test_session_store_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError, match="session_store"):
        Context(session_store=wrong)


@pytest.mark.parametrize("wrong", [5, "cache", {}, object()])
def test_session_cache_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError, match="session_cache"):
        Context(session_cache=wrong)


def test_session_cache():
    cache = MemorySessionCache()
    context = Context(session_cache=cache)
    assert context.session_cache is cache is context._configuration.session_cache


KE, DHE_KE = PskKeyExchangeMode.psk_ke, PskKeyExchangeMode.psk_dhe_ke


@pytest.mark.parametrize(
    ("given", "modes"),
    [
        (["psk_dhe_ke"], b"\1"),
        (["psk_ke"], b"\0"),
        (["PSK_KE", DHE_KE], b"\0\1"),
        (iter([1, KE]), b"\1\0"),
    ],
)
def test_psk_key_exchange_modes(given, modes):
    assert configured("psk_modes", psk_key_exchange_modes=given) == modes


@pytest.mark.parametrize("wrong", [[], ["psk"], [2], [-1], [0, "psk_ke"]], ids=repr)
def test_unknown_repeated_or_no_psk_mode_is_refused(wrong):
    with pytest.raises(ValueError, match=r"PskKeyExchangeMode|listed twice"):
        Context(psk_key_exchange_modes=wrong)


@pytest.mark.parametrize("wrong", [1, "psk_ke", [None], [b"psk_ke"]], ids=repr)
def test_psk_modes_of_a_wrong_type_are_refused(wrong):
    with pytest.raises(TypeError):
        Context(psk_key_exchange_modes=wrong)


def test_external_psks():
    one = ExternalPSK(b"one", bytes(32))
    imported = ExternalPSK.import_key(b"imported", bytes(32))
    psks = configured("external_psks", external_psks=iter([one, *imported]))
    assert psks == (one, *imported)


def test_two_external_psks_with_one_identity_are_refused():
    one, same = ExternalPSK(b"one", bytes(32)), ExternalPSK(b"one", bytes(16), hash="sha384")
    with pytest.raises(ValueError, match="two external_psks have one identity"):
        Context(external_psks=[one, ExternalPSK(b"other", bytes(32)), same])


@pytest.mark.parametrize(
    "wrong",
    [None, 5, ExternalPSK(b"one", bytes(32)), [b"key"], [(b"one", bytes(32))], [None]],
    ids=["None", "int", "one", "bytes", "tuple", "of None"],
)
def test_external_psks_of_a_wrong_type_are_refused(wrong):
    with pytest.raises(TypeError):
        Context(external_psks=wrong)


def test_no_option_weakens_the_verification():
    """A client with a key or a pin still verifies certificates."""
    (key,) = Identity.from_raw_public_key(pki.make_leaf().key_pem).certificates
    for options in (
        {"external_psks": [ExternalPSK(b"one", bytes(32))]},
        {"trusted_public_keys": [key]},
        {"verify_callback": print},
    ):
        assert configured("client_verify", **options) == Verify.REQUIRED
