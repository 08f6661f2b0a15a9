"""Rings of ticket keys: what they seal, for how long they open it, and how they are shared."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from fasths.crypto.tickets import MAX_KEYS, TicketKeys

STATE = b"the state of a session"
# Long enough for a slow machine to do what a test does in between.
SHORT = 0.4
HOUR = 3600
MAGIC = b"fasths ticket keys\x01"
FORMAT = b"fasths session ticket, version 1"


def name_of(ticket):
    return ticket[:16]


def export_of(*keys, magic=MAGIC, number=None, more=b""):
    """An export with a right checksum. keys: (name, secret, created, retired) in seconds ago."""
    now = time.time()

    def when(ago):
        return (0 if ago is None else round((now - ago) * 1000)).to_bytes(8, "big")

    body = b"".join(
        (
            magic,
            bytes((len(keys) if number is None else number,)),
            *(name + secret + when(made) + when(retired) for name, secret, made, retired in keys),
            more,
        )
    )
    return body + hashlib.sha256(body).digest()


def a_key(made=0.0, retired=None):
    return os.urandom(16), os.urandom(32), made, retired


def sealed_by_hand(key, plaintext=STATE, associated_data=None):
    name, secret = key[:2]
    nonce = os.urandom(12)
    associated_data = FORMAT + name if associated_data is None else associated_data
    return name + nonce + AESGCM(secret).encrypt(nonce, plaintext, associated_data)


def keys_in(export):
    """(name, secret) of each key."""
    at = len(MAGIC)
    size = 16 + 32 + 8 + 8
    return [
        (export[start : start + 16], export[start + 16 : start + 48])
        for start in range(at + 1, at + 1 + size * export[at], size)
    ]


# --- Tickets


@pytest.mark.parametrize("plaintext", [b"", b"x", STATE, bytes(20_000)], ids=len)
def test_what_is_sealed_can_be_opened(plaintext):
    ring = TicketKeys()
    assert ring.open(ring.seal(plaintext)) == (plaintext, False)


def test_a_ticket_is_a_key_name_a_nonce_and_a_ciphertext():
    ring = TicketKeys()
    ticket = ring.seal(STATE)
    assert len(ticket) == 16 + 12 + len(STATE) + 16
    [(name, secret)] = keys_in(ring.to_bytes())
    assert name_of(ticket) == name
    assert AESGCM(secret).decrypt(ticket[16:28], ticket[28:], FORMAT + name) == STATE
    key = a_key()
    assert TicketKeys.from_bytes(export_of(key)).open(sealed_by_hand(key)) == (STATE, False)


def test_no_two_tickets_have_the_same_nonce():
    ring = TicketKeys()
    assert len({ring.seal(STATE)[16:28] for _ in range(1000)}) == 1000


def test_a_ticket_of_another_ring_is_refused():
    assert TicketKeys().open(TicketKeys().seal(STATE)) is None


def test_a_ticket_with_any_bit_changed_is_refused():
    ring = TicketKeys()
    ring.rotate()
    ticket = ring.seal(STATE)
    for i in range(8 * len(ticket)):
        changed = bytearray(ticket)
        changed[i // 8] ^= 1 << i % 8
        assert ring.open(bytes(changed)) is None


def test_a_truncated_or_extended_ticket_is_refused():
    ring = TicketKeys()
    ticket = ring.seal(STATE)
    for length in range(len(ticket)):
        assert ring.open(ticket[:length]) is None
    assert ring.open(ticket + b"\0") is None


@pytest.mark.parametrize(
    "associated_data", [b"", FORMAT, b"another format" + bytes(16), FORMAT + bytes(16)]
)
def test_a_ciphertext_of_another_purpose_is_refused(associated_data):
    key = a_key()
    ring = TicketKeys.from_bytes(export_of(key))
    assert ring.open(sealed_by_hand(key, associated_data=associated_data)) is None


def test_a_ticket_under_the_name_of_another_key_is_refused():
    ring = TicketKeys()
    old = ring.seal(STATE)
    ring.rotate()
    new = ring.seal(STATE)
    assert ring.open(name_of(new) + old[16:]) is None


RING = TicketKeys()


@given(st.binary(max_size=200), st.booleans())
def test_whatever_a_peer_sends_is_no_error(data, of_known_key):
    assert RING.open(name_of(RING.seal(b"")) + data if of_known_key else data) is None


# --- Rotation


def test_after_a_rotation_old_tickets_are_accepted_and_renewed():
    ring = TicketKeys()
    old = ring.seal(STATE)
    ring.rotate()
    new = ring.seal(STATE)
    assert name_of(old) != name_of(new)
    assert ring.open(old) == (STATE, True)
    assert ring.open(new) == (STATE, False)


def test_a_key_is_rotated_when_its_time_is_over():
    ring = TicketKeys(rotate_every=SHORT, accept_for=20 * SHORT)
    old = ring.seal(STATE)
    assert ring.open(old) == (STATE, False)
    time.sleep(SHORT)
    # Also where nothing was sealed since.
    assert ring.open(old) == (STATE, True)
    new = ring.seal(STATE)
    assert name_of(old) != name_of(new)
    assert ring.open(new) == (STATE, False)
    assert ring.open(old) == (STATE, True)


def test_an_export_rotates_a_key_whose_time_is_over():
    ring = TicketKeys(rotate_every=SHORT, accept_for=20 * SHORT)
    old = ring.seal(STATE)
    assert keys_in(ring.to_bytes())[0][0] == name_of(old)
    time.sleep(SHORT)
    sealing, retired = keys_in(ring.to_bytes())
    assert sealing[0] != name_of(old)
    assert retired[0] == name_of(old)
    assert name_of(ring.seal(STATE)) == sealing[0]


def test_without_rotate_every_no_time_rotates():
    key = a_key(made=10_000 * HOUR)
    ring = TicketKeys.from_bytes(export_of(key))
    assert name_of(ring.seal(STATE)) == key[0]
    assert ring.open(sealed_by_hand(key)) == (STATE, False)


def test_a_ticket_of_a_key_retired_long_ago_is_refused():
    ring = TicketKeys(accept_for=SHORT, rotate_every=None)
    old = ring.seal(STATE)
    ring.rotate()
    assert ring.open(old) == (STATE, True)
    time.sleep(SHORT)
    assert ring.open(old) is None
    assert name_of(old) in dict(keys_in_ring(ring))
    ring.rotate()
    assert name_of(old) not in dict(keys_in_ring(ring))


def keys_in_ring(ring):
    return [(name, key.secret) for name, key in ring._keys.items()]


def test_an_unused_ring_refuses_tickets_as_if_it_had_rotated():
    ring = TicketKeys(rotate_every=SHORT, accept_for=SHORT)
    old = ring.seal(STATE)
    time.sleep(2 * SHORT)
    assert ring.open(old) is None
    ring.seal(STATE)
    assert ring.open(old) is None


def test_a_late_rotation_does_not_prolong_the_life_of_the_old_key():
    ring = TicketKeys(rotate_every=SHORT, accept_for=2 * SHORT)
    old = ring.seal(STATE)
    time.sleep(2 * SHORT)
    ring.seal(STATE)
    assert ring.open(old) == (STATE, True)
    follower = TicketKeys.from_bytes(ring.to_bytes(), accept_for=2 * SHORT)
    assert follower.open(old) == (STATE, True)
    time.sleep(SHORT)
    assert ring.open(old) is None
    assert follower.open(old) is None


def test_a_ring_has_a_bounded_number_of_keys():
    ring = TicketKeys()
    tickets = []
    for _ in range(2 * MAX_KEYS):
        tickets.append(ring.seal(STATE))
        ring.rotate()
    # One of the keys has sealed nothing yet.
    accepted = [ring.open(ticket) for ticket in tickets]
    assert accepted == [None] * (MAX_KEYS + 1) + [(STATE, True)] * (MAX_KEYS - 1)
    assert len(keys_in(ring.to_bytes())) == MAX_KEYS
    assert TicketKeys.from_bytes(ring.to_bytes()).open(tickets[-1]) == (STATE, True)


def test_a_key_seals_a_limited_number_of_tickets():
    ring = TicketKeys(rotate_every=None, seals_per_key=3)
    tickets = [ring.seal(STATE) for _ in range(7)]
    assert list(Counter(map(name_of, tickets)).values()) == [3, 3, 1]
    assert [ring.open(ticket) for ticket in tickets] == [(STATE, True)] * 6 + [(STATE, False)]


def test_the_default_limit_has_a_margin_to_that_of_nist():
    assert TicketKeys().seals_per_key * 16 == 2**32


# --- Export and import


def test_an_imported_ring_opens_what_the_exported_one_has_sealed():
    ring = TicketKeys()
    old = ring.seal(STATE)
    ring.rotate()
    new = ring.seal(STATE)
    other = TicketKeys.from_bytes(ring.to_bytes())
    assert other.open(old) == (STATE, True)
    assert other.open(new) == (STATE, False)
    assert name_of(other.seal(STATE)) == name_of(new)
    assert ring.open(other.seal(STATE)) == (STATE, False)
    assert other.to_bytes() == ring.to_bytes()
    assert other.rotate_every is None


def test_an_imported_key_is_as_old_as_it_is():
    key = a_key(made=11 * HOUR)
    ring = TicketKeys.from_bytes(export_of(key), rotate_every=12 * HOUR)
    assert name_of(ring.seal(STATE)) == key[0]
    ring = TicketKeys.from_bytes(export_of(key), rotate_every=10 * HOUR)
    assert ring.open(sealed_by_hand(key)) == (STATE, True)
    assert name_of(ring.seal(STATE)) != key[0]
    assert ring.open(sealed_by_hand(key)) == (STATE, True)


def test_an_imported_key_retired_long_ago_is_refused():
    sealing, young, old = a_key(), a_key(30 * HOUR, 23 * HOUR), a_key(30 * HOUR, 25 * HOUR)
    ring = TicketKeys.from_bytes(export_of(sealing, young, old))
    assert ring.open(sealed_by_hand(young)) == (STATE, True)
    assert ring.open(sealed_by_hand(old)) is None
    assert [name for name, _ in keys_in(ring.to_bytes())] == [sealing[0], young[0]]
    ring = TicketKeys.from_bytes(export_of(sealing, young, old), accept_for=26 * HOUR)
    assert ring.open(sealed_by_hand(old)) == (STATE, True)


def test_a_clock_that_is_ahead_elsewhere_prolongs_no_life():
    sealing, retired = a_key(-1000 * HOUR), a_key(-900 * HOUR, -1000 * HOUR)
    ring = TicketKeys.from_bytes(
        export_of(sealing, retired), rotate_every=SHORT, accept_for=2 * SHORT
    )
    assert name_of(ring.seal(STATE)) == sealing[0]
    assert ring.open(sealed_by_hand(retired)) == (STATE, True)
    time.sleep(SHORT)
    assert name_of(ring.seal(STATE)) != sealing[0]
    time.sleep(SHORT)
    assert ring.open(sealed_by_hand(retired)) is None
    # The times of the new export are in order, whatever the clocks say.
    TicketKeys.from_bytes(ring.to_bytes())


def test_times_beyond_any_clock_can_be_imported():
    name, secret = os.urandom(16), os.urandom(32)
    body = MAGIC + b"\x01" + name + secret + b"\xff" * 8 + bytes(8)
    ring = TicketKeys.from_bytes(body + hashlib.sha256(body).digest(), rotate_every=HOUR)
    ticket = ring.seal(STATE)
    assert name_of(ticket) == name
    ring.rotate()
    assert TicketKeys.from_bytes(ring.to_bytes()).open(ticket) == (STATE, True)


def an_export():
    ring = TicketKeys()
    ring.rotate()
    return ring.to_bytes()


def refuse(data):
    """Neither way to import takes the data, and a refused load() changes nothing."""
    with pytest.raises(ValueError, match="ticket key") as caught:
        TicketKeys.from_bytes(data)
    assert str(caught.value).isascii()
    ring = TicketKeys()
    ring.rotate()
    before = ring.to_bytes()
    with pytest.raises(ValueError, match="ticket key"):
        ring.load(data)
    assert ring.to_bytes() == before


def test_a_truncated_export_is_refused():
    export = an_export()
    for length in range(len(export)):
        refuse(export[:length])


def test_an_extended_export_is_refused():
    refuse(an_export() + b"\0")
    refuse(an_export() + an_export())


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_an_export_with_any_byte_changed_is_refused(change):
    export = an_export()
    for i in range(len(export)):
        changed = bytearray(export)
        changed[i] ^= change
        refuse(bytes(changed))


def test_an_export_of_an_unknown_version_is_refused():
    refuse(export_of(a_key(), magic=MAGIC[:-1] + b"\x02"))


def test_an_export_without_keys_is_refused():
    refuse(export_of())


def test_an_export_with_too_many_keys_is_refused():
    old = [a_key(2, 1) for _ in range(MAX_KEYS)]
    TicketKeys.from_bytes(export_of(a_key(), *old[1:]))
    refuse(export_of(a_key(), *old))


def test_an_export_with_a_wrong_number_of_keys_is_refused():
    for number in (0, 1, 3):
        refuse(export_of(a_key(), a_key(2, 1), number=number))


def test_an_export_with_part_of_a_key_is_refused():
    refuse(export_of(a_key(), more=bytes(10)))


def test_an_export_without_a_sealing_key_is_refused():
    refuse(export_of(a_key(2, 1)))
    refuse(export_of(a_key(2, 1), a_key()))


def test_an_export_with_two_sealing_keys_is_refused():
    refuse(export_of(a_key(), a_key()))


def test_an_export_with_a_name_twice_is_refused():
    key = a_key()
    refuse(export_of(key, (key[0], os.urandom(32), 2, 1)))


def test_an_export_with_a_key_retired_before_it_was_made_is_refused():
    refuse(export_of(a_key(), a_key(made=1, retired=2)))


@pytest.mark.parametrize(
    "data", [None, "text", 5, bytearray(an_export()), [1]], ids=lambda data: type(data).__name__
)
def test_an_export_that_is_not_bytes_is_refused(data):
    with pytest.raises(TypeError, match="must be bytes"):
        TicketKeys.from_bytes(data)
    with pytest.raises(TypeError, match="must be bytes"):
        TicketKeys().load(data)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_an_export_of_any_content_is_refused(content):
    for data in (content, MAGIC + content):
        refuse(data)
    body = MAGIC + content
    with pytest.raises(ValueError, match="ticket key"):
        TicketKeys.from_bytes(body + hashlib.sha256(body).digest())


# --- Following another ring


def test_a_ring_follows_another():
    leader = TicketKeys()
    follower = TicketKeys.from_bytes(leader.to_bytes())
    first = follower.seal(STATE)
    for _ in range(3):
        leader.rotate()
        follower.load(leader.to_bytes())
        ticket = follower.seal(STATE)
        assert name_of(ticket) == name_of(leader.seal(STATE))
        assert leader.open(ticket) == (STATE, False)
        assert follower.open(first) == leader.open(first) == (STATE, True)
    assert sorted(keys_in(follower.to_bytes())) == sorted(keys_in(leader.to_bytes()))


def test_keys_that_a_loaded_ring_lacks_still_open():
    ring = TicketKeys(rotate_every=None, accept_for=SHORT)
    older = ring.seal(STATE)
    ring.rotate()
    own = ring.seal(STATE)
    other = TicketKeys()
    ring.load(other.to_bytes())
    assert ring.open(older) == ring.open(own) == (STATE, True)
    assert ring.open(other.seal(STATE)) == (STATE, False)
    time.sleep(SHORT)
    ring.load(other.to_bytes())
    assert ring.open(older) is ring.open(own) is None
    assert ring.to_bytes() == other.to_bytes()


def test_a_ring_goes_back_to_the_key_of_an_older_export():
    ring = TicketKeys()
    before = ring.to_bytes()
    old = ring.seal(STATE)
    ring.rotate()
    new = ring.seal(STATE)
    ring.load(before)
    assert name_of(ring.seal(STATE)) == name_of(old)
    assert ring.open(old) == (STATE, False)
    assert ring.open(new) == (STATE, True)


def test_loading_does_not_forget_how_much_a_key_has_sealed():
    ring = TicketKeys(seals_per_key=3)
    export = ring.to_bytes()
    first = ring.seal(STATE)
    ring.seal(STATE)
    ring.load(export)
    assert name_of(ring.seal(STATE)) == name_of(first)
    ring.load(export)
    assert name_of(ring.seal(STATE)) != name_of(first)
    assert ring.open(first) == (STATE, True)


def test_loading_stays_within_the_bounded_number_of_keys():
    ring = TicketKeys()
    for _ in range(MAX_KEYS):
        ring.rotate()
    other = TicketKeys()
    ring.load(other.to_bytes())
    keys = keys_in(ring.to_bytes())
    assert len(keys) == MAX_KEYS
    assert keys[0] == keys_in(other.to_bytes())[0]


# --- Threads


def in_threads(*functions):
    """Run the functions at once; raises what one of them raises."""
    errors = []

    def run(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in functions]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for error in errors:
        raise error


def test_threads_seal_and_open_while_keys_change():
    ring = TicketKeys()
    other = TicketKeys()
    ends = threading.Event()

    def use():
        for i in range(3000):
            state = b"%d" % i
            ticket = ring.seal(state)
            opened = ring.open(ticket)
            assert opened is not None
            assert opened[0] == state

    def change():
        while not ends.is_set():
            # Slowly enough that no key falls out of a full ring before its ticket is opened.
            time.sleep(0.005)
            ring.rotate()
            other.load(ring.to_bytes())
            ring.load(other.to_bytes())

    changer = threading.Thread(target=change)
    changer.start()
    try:
        in_threads(*[use] * 4)
    finally:
        ends.set()
        changer.join()
    assert len(keys_in(ring.to_bytes())) > 2


def test_threads_keep_to_the_limit_of_a_key():
    ring = TicketKeys(rotate_every=None, seals_per_key=10)
    names = [[] for _ in range(4)]

    def seal_into(result):
        return lambda: result.extend(name_of(ring.seal(b"")) for _ in range(1000))

    in_threads(*map(seal_into, names))
    uses = Counter(name for each in names for name in each)
    # A full key for every ten tickets: no thread has changed a key that another had just changed.
    assert set(uses.values()) == {10}


def test_threads_rotate_once_when_the_time_is_over():
    ring = TicketKeys(rotate_every=SHORT, accept_for=20 * SHORT)
    ring.seal(STATE)
    time.sleep(SHORT)
    in_threads(*[lambda: ring.seal(STATE)] * 8)
    assert len(keys_in(ring.to_bytes())) == 2


# --- What is refused, and what is shown


def test_arguments_are_kept():
    ring = TicketKeys(rotate_every=60, accept_for=120, seals_per_key=5)
    assert (ring.rotate_every, ring.accept_for, ring.seals_per_key) == (60.0, 120.0, 5)
    ring = TicketKeys()
    assert (ring.rotate_every, ring.accept_for) == (12 * HOUR, 24 * HOUR)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rotate_every": 0},
        {"rotate_every": -1.0},
        {"rotate_every": float("inf")},
        {"rotate_every": float("nan")},
        {"accept_for": 0},
        {"accept_for": float("inf")},
        {"seals_per_key": 0},
        {"seals_per_key": 2**32 + 1},
        {"rotate_every": 60, "accept_for": 24 * HOUR},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        TicketKeys(**arguments)
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        TicketKeys.from_bytes(an_export(), **arguments)


@pytest.mark.parametrize("value", [True, "60", b"", [1]], ids=repr)
@pytest.mark.parametrize("name", ["rotate_every", "accept_for", "seals_per_key"])
def test_a_value_of_a_wrong_type_is_refused(name, value):
    with pytest.raises(TypeError, match=name):
        TicketKeys(**{name: value})


def test_no_secret_is_shown():
    ring = TicketKeys()
    ring.rotate()
    assert repr(ring) == "<fasths.TicketKeys with 2 keys>"
    shown = repr(ring) + repr(list(ring._keys.values()))
    shown += repr([key.export() for key in ring._keys.values()])
    for _, secret in keys_in(ring.to_bytes()):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
