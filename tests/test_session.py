"""Sessions by themselves: what they say, and their form outside of the process."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import time
import weakref

import pytest
from helpers import HOST, TLS13_SUITES, client_context, identity, server_context
from hypothesis import example, given
from hypothesis import strategies as st
from resumed_pairs import assert_resumes, connected, offered, session_of
from session_bytes import FORMAT, TLS12, session_bytes
from wire_format import with_lengths_off_by_one

from fasths import (
    CipherSuite,
    ExtensionType,
    ExternalPSK,
    MemorySessionStore,
    Session,
    TLSVersion,
    Verify,
)

SECRET = bytes(range(100, 132))
TICKET = b"the ticket"
CERTIFICATES = (b"a certificate", b"another")
FULL = {
    "created": 1_700_000_000.123,
    "authenticated": 1_600_000_000.456,
    "lifetime": 3600,
    "ticket_age_add": 0xFFFFFFFE,
    "max_early_data_size": 0x10000,
    "protocol_name": b"h2",
    "peer_certificates": CERTIFICATES,
    "secret": SECRET,
    "ticket": TICKET,
}
SESSION_ID = b"\x5a" * 32
FULL12 = {
    "version": TLS12,
    "suite": 0xC02B,
    "secret": bytes(range(48)),
    "created": 1_700_000_000.123,
    "authenticated": 1_600_000_000.456,
    "lifetime": 3600,
    "ticket_age_add": 0,
    "protocol_name": b"h2",
    "peer_certificates": CERTIFICATES,
    "ocsp_response": b"a response",
    "identity_digest": b"a digest",
}
SESSIONS = {
    "full": FULL,
    "least": {
        "server_name": b"",
        "created": 0,
        "lifetime": 0,
        "ticket_age_add": 0,
        "ticket": b"",
    },
    "greatest": {
        "suite": 0x1302,
        "secret": bytes(48),
        "created": 4_000_000_000.999,
        "lifetime": 0xFFFFFFFF,
        "ticket_age_add": 0xFFFFFFFF,
        "max_early_data_size": 0xFFFFFFFF,
        "server_name": b"a" * 255,
        "protocol_name": b"\xff" * 255,
        "peer_certificates": (bytes(1 << 16), b"x"),
        "ticket": bytes(0xFFFF),
    },
    "raw public key": {"raw_public_key": 1, "peer_certificates": (b"a key",)},
    "TLS 1.2 ticket": {**FULL12, "session_id": b"", "ticket": TICKET},
    "TLS 1.2 session id": {**FULL12, "session_id": SESSION_ID, "ticket": b""},
    # As a server has it.
    "TLS 1.2 state": {**FULL12, "ticket": b"", "identity_digest": b""},
    "greatest of TLS 1.2": {
        **FULL12,
        "suite": 0xC030,
        "session_id": bytes(32),
        "identity_digest": bytes(255),
        "ticket": bytes(0xFFFF),
    },
}
each_session = pytest.mark.parametrize("name", SESSIONS)


def made(**fields):
    return Session.from_bytes(bytes(session_bytes(**fields)))


# --- What a session says


def test_attributes():
    session = made(**FULL)
    assert session.version is TLSVersion.TLSv1_3
    assert session.cipher_suite is CipherSuite.TLS_AES_128_GCM_SHA256
    assert session.server_name == HOST
    assert session.alpn_protocol == "h2"
    assert session.created == 1_700_000_000.123
    assert session.authenticated == 1_600_000_000.456
    assert session.lifetime == 3600
    assert session.expires == 1_700_003_600.123
    assert session.max_early_data_size == 0x10000
    assert session.ticket_age_add == 0xFFFFFFFE
    assert session.ticket == TICKET
    assert session.peer_certificates == CERTIFICATES
    assert session.raw_public_key is False


@pytest.mark.parametrize("suite", [each for each in CipherSuite if each not in TLS13_SUITES])
def test_attributes_of_a_tls12_session(suite):
    secret = bytes(range(48))
    for fields in ({"ticket": TICKET}, {"session_id": SESSION_ID, "ticket": b""}):
        session = made(**{**FULL12, "suite": suite, **fields})
        assert session.version is TLSVersion.TLSv1_2
        assert session.cipher_suite is suite
        # Whatever the suite's hash is (RFC 5246, 8.1).
        assert bytes(session_bytes(**{**FULL12, "suite": suite, **fields}))[5:54] == b"0" + secret
        assert session.ticket == (fields["ticket"] or None)
        assert session.session_id == fields.get("session_id")
        assert session.max_early_data_size == 0


def test_attributes_of_what_is_absent():
    session = made(**SESSIONS["least"])
    assert session.server_name is None
    assert session.alpn_protocol is None
    assert session.ticket is None
    assert session.session_id is None
    assert session.peer_certificates == ()
    assert session.max_early_data_size == 0
    assert session.expires == session.created == 0


@pytest.mark.parametrize("name", [b"h2", b"\x0a\x0a", b"\xff", b"\\"])
def test_protocol_name_as_text_is_that_of_the_connection(name):
    contexts = client_context(alpn=[name]), server_context(alpn=[name])
    pair = connected(*contexts)
    assert pair.client.session.alpn_protocol == pair.client.alpn_protocol
    assert pair.client.session.protocol_name == name


def test_attributes_of_a_connection():
    before = time.time()
    pair = connected(
        client_context(alpn=["h2"], cipher_suites=["TLS_CHACHA20_POLY1305_SHA256"]),
        server_context(alpn=["h2"], session_lifetime=1234, max_early_data_size=5678),
    )
    session = pair.client.session
    assert before <= session.created <= time.time()
    assert session.created - 1 <= session.authenticated <= session.created
    assert session.lifetime == 1234
    assert session.expires == session.created + 1234
    assert session.max_early_data_size == 5678
    assert session.server_name == HOST
    assert session.alpn_protocol == "h2"
    assert session.cipher_suite is pair.client.cipher_suite
    assert session.cipher_suite is CipherSuite.TLS_CHACHA20_POLY1305_SHA256
    assert session.peer_certificates == pair.client.peer_certificates == identity().certificates


def test_sessions_of_one_connection_differ():
    first, second = connected(client_context(), server_context()).client.sessions
    assert first != second
    assert first.ticket != second.ticket
    assert first.to_bytes()[5:38] != second.to_bytes()[5:38]
    assert first.ticket_age_add != second.ticket_age_add


@pytest.mark.parametrize(
    "attribute",
    [each for each in dir(Session) if not each.startswith("_") and each[-5:] != "bytes"],
)
def test_nothing_of_a_session_can_be_changed(attribute):
    session = made(**FULL)
    before = session.to_bytes()
    with pytest.raises(AttributeError):
        setattr(session, attribute, getattr(session, attribute))
    with pytest.raises(AttributeError):
        delattr(session, attribute)
    with pytest.raises(AttributeError):
        session.other = 1
    assert session.to_bytes() == before


def test_a_session_cannot_be_made_from_nothing():
    with pytest.raises(TypeError, match="from_bytes"):
        Session()
    with pytest.raises(TypeError):
        type("Mine", (Session,), {})


def shown_forms(data):
    return {data.hex(), repr(data)[2:-1], str(list(data))[1:-1]}


def test_repr_has_no_secrets():
    sessions = [made(**FULL), session_of(client_context(), server_context())]
    for session in sessions:
        secret = session.to_bytes()[6:38]
        for text in (repr(session), str(session), f"{session}", repr([session])):
            assert HOST in text
            assert "TLS_AES_128_GCM_SHA256" in text
            for data in (secret, session.ticket, secret[:8], session.ticket[:8]):
                assert not any(each in text for each in shown_forms(data))


@each_session
def test_repr_of_any_session(name):
    assert repr(made(**SESSIONS[name])).startswith("<fasths.Session ")


def test_errors_have_no_secrets():
    data = bytes(session_bytes(**FULL))
    for broken in (data[:-1], data + b"\0", data[:3] + b"\x13\x02" + data[5:]):
        with pytest.raises(ValueError, match="session") as caught:
            Session.from_bytes(broken)
        text = repr(caught.value) + repr(caught.value.__context__)
        assert not any(each in text for each in shown_forms(SECRET) | shown_forms(TICKET))


# --- to_bytes() and from_bytes()


@each_session
def test_encoding_byte_for_byte(name):
    data = bytes(session_bytes(**SESSIONS[name]))
    assert Session.from_bytes(data).to_bytes() == data


def test_session_of_a_connection_survives():
    client, server = client_context(alpn=["h2"]), server_context(alpn=["h2"])
    session = session_of(client, server)
    data = session.to_bytes()
    loaded = Session.from_bytes(data)
    assert loaded == session
    assert loaded.to_bytes() == session.to_bytes() == data
    # What it is for.
    assert_resumes(client, server, loaded)
    # And the one that was saved is as good as before.
    assert_resumes(client, server, session)


@pytest.mark.parametrize("kind", ["ticket", "session id"])
def test_session_of_a_tls12_connection_survives(kind):
    """By either of the two that a server may give."""
    client = client_context(alpn=["h2"], maximum_version=TLSVersion.TLSv1_2)
    store = {"session_store": MemorySessionStore()} if kind == "session id" else {}
    server = server_context(alpn=["h2"], **store)
    session = session_of(client, server)
    assert (session.ticket is None, session.session_id is None) == (
        (False, True) if kind == "ticket" else (True, False)
    )
    data = session.to_bytes()
    assert data[:3] == bytes((FORMAT, 3, 3))
    loaded = Session.from_bytes(data)
    assert loaded == session
    assert hash(loaded) == hash(session)
    assert loaded.to_bytes() == session.to_bytes() == data
    assert assert_resumes(client, server, loaded).client.version is TLSVersion.TLSv1_2
    assert_resumes(client, server, session)


def test_session_is_saved_before_and_after_it_was_used():
    client, server = client_context(), server_context()
    session = session_of(client, server)
    assert_resumes(client, server, session)
    assert Session.from_bytes(session.to_bytes()) == session


@pytest.mark.parametrize(
    "fields",
    [
        {"ticket": b""},
        # In TLS 1.3 an id resumes nothing.
        {"ticket": b"", "session_id": SESSION_ID},
        {**FULL12, "ticket": b"", "created": None, "authenticated": None},
    ],
    ids=["TLS 1.3", "TLS 1.3 with an id", "TLS 1.2"],
)
def test_session_without_a_name_is_not_offered(fields):
    """As a server has it of its own."""
    context = client_context(verify=Verify.NONE, alpn=["h2"])
    session = made(**fields)
    hello = offered(context, server_context(), session)
    assert not hello.pre_shared_key
    assert hello.legacy_session_id != SESSION_ID
    assert dict(hello.extensions)[ExtensionType.session_ticket] == b""
    assert_resumes(context, server_context(alpn=["h2"]), session, False)


def test_session_outlives_its_connection():
    client, server = client_context(), server_context()
    pair = connected(client, server)
    session = pair.client.session
    connection = weakref.ref(pair.client)
    del pair
    gc.collect()
    assert connection() is None
    assert Session.from_bytes(session.to_bytes()) == session
    assert_resumes(client, server, session)


def test_session_without_a_certificate():
    psk = ExternalPSK(b"identity", bytes(32))
    client, server = (client_context(external_psks=[psk]), server_context(external_psks=[psk]))
    session = connected(client, server).client.session
    assert session.peer_certificates == ()
    assert Session.from_bytes(session.to_bytes()) == session


@given(st.integers(0, 1 << 42))
# In 2038 a float of seconds loses a digit.
@example(2_174_954_756_186)
def test_times_survive_to_the_millisecond(milliseconds):
    data = bytes(session_bytes(**{**FULL, "created": 0, "authenticated": 0}))
    at = data.index(SECRET) + len(SECRET)
    data = data[:at] + 2 * milliseconds.to_bytes(8, "big") + data[at + 16 :]
    session = Session.from_bytes(data)
    assert session.created == session.authenticated == milliseconds / 1000
    assert session.to_bytes() == data


# --- What is no session


@each_session
def test_truncated_session_is_refused(name):
    data = bytes(session_bytes(**SESSIONS[name]))
    sizes = range(len(data)) if len(data) < 2000 else [*range(1000), *range(1000, len(data), 997)]
    for size in sizes:
        with pytest.raises(ValueError, match="not a session"):
            Session.from_bytes(data[:size])


@pytest.mark.parametrize("version", TLSVersion)
def test_session_of_a_connection_truncated_anywhere_is_refused(version):
    data = session_of(client_context(maximum_version=version), server_context()).to_bytes()
    for size in range(len(data)):
        with pytest.raises(ValueError, match="not a session"):
            Session.from_bytes(data[:size])


@each_session
@pytest.mark.parametrize("more", [b"\0", b"x" * 100])
def test_trailing_bytes_are_refused(name, more):
    data = bytes(session_bytes(**SESSIONS[name]))
    with pytest.raises(ValueError, match="not a session"):
        Session.from_bytes(data + more)


@each_session
def test_length_that_is_off_by_one_is_refused(name):
    data = session_bytes(**SESSIONS[name])
    assert len(data.lengths) >= 5
    for _, _, other in with_lengths_off_by_one(data):
        with pytest.raises(ValueError, match="not a session"):
            Session.from_bytes(other)


REFUSED = {
    "no format": {"format": 0},
    "an earlier format": {"format": FORMAT - 1},
    "a later format": {"format": FORMAT + 1},
    "another version": {"version": 0x0305},
    "TLS 1.1": {**FULL12, "version": 0x0302},
    "no version": {"version": 0},
    "a suite of TLS 1.2 in TLS 1.3": {"suite": 0xC02F},
    "a suite and a secret of TLS 1.2 in TLS 1.3": {"suite": 0xC02F, "secret": bytes(48)},
    "TLS 1.3 with all else of TLS 1.2": {**FULL12, "version": 0x0304},
    "a suite of TLS 1.3 in TLS 1.2": {**FULL12, "suite": 0x1302},
    "TLS 1.2 with all else of TLS 1.3": {"version": TLS12},
    "a suite of TLS 1.2 that is not supported": {**FULL12, "suite": 0xC013},
    "an unknown suite of TLS 1.2": {**FULL12, "suite": 0xC0FF},
    "a short master secret": {**FULL12, "secret": bytes(47)},
    "a long master secret": {**FULL12, "secret": bytes(49)},
    "a master secret of the length of SHA-256": {**FULL12, "secret": bytes(32)},
    "no master secret": {**FULL12, "secret": b""},
    "a session id of 33 bytes": {**FULL12, "session_id": bytes(33)},
    "a session id of 255 bytes": {**FULL12, "session_id": bytes(255), "ticket": b""},
    "a session id of 33 bytes in TLS 1.3": {"session_id": bytes(33)},
    "an empty certificate in TLS 1.2": {**FULL12, "peer_certificates": (b"",)},
    "a raw public key of two in TLS 1.2": {**FULL12, "raw_public_key": 1},
    "a name that is not ASCII in TLS 1.2": {**FULL12, "server_name": b"h\xc3\xb4te"},
    "an unknown suite": {"suite": 0x1304},
    "a suite that is not supported": {"suite": 0x1305},
    "a short secret": {"secret": bytes(31)},
    "a long secret": {"secret": bytes(33)},
    "a secret of SHA-384 for SHA-256": {"secret": bytes(48)},
    "a secret of SHA-256 for SHA-384": {"suite": 0x1302, "secret": bytes(32)},
    "no secret": {"secret": b""},
    "a name that is not ASCII": {"server_name": "hôte".encode()},
    "an empty certificate": {"peer_certificates": (b"x", b"")},
    "a raw public key that is neither there nor not": {"raw_public_key": 2},
    "a raw public key without the key": {"raw_public_key": 1},
    "two raw public keys": {"raw_public_key": 1, "peer_certificates": (b"a", b"b")},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_session_is_refused(name):
    data = bytes(session_bytes(**REFUSED[name]))
    with pytest.raises(ValueError, match="not a session"):
        Session.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"\1", b"\0" * 200, b"\xff" * 200, b"not a session"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="not a session"):
        Session.from_bytes(data)


@pytest.mark.parametrize("value", [None, "text", 7, bytearray(b"\1"), memoryview(b"\1"), [1]])
def test_a_value_of_a_wrong_type_is_refused(value):
    with pytest.raises(TypeError, match="bytes"):
        Session.from_bytes(value)


def use(session):
    """All that can be asked of a session."""
    for attribute in dir(Session):
        if not attribute.startswith("_"):
            getattr(session, attribute)
    repr(session)
    hash(session)
    return session.to_bytes()


@pytest.mark.parametrize("version", TLSVersion)
def test_any_changed_byte_makes_another_session_or_none(version):
    """from_bytes() raises ValueError and nothing else, and what it returns can be used."""
    data = session_of(
        client_context(alpn=["h2"], maximum_version=version),
        server_context(alpn=["h2"], max_early_data_size=1),
    ).to_bytes()
    original = Session.from_bytes(data)
    refused = 0
    for at in range(len(data)):
        for change in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[at] ^= change
            try:
                session = Session.from_bytes(bytes(changed))
            except ValueError:
                refused += 1
                continue
            use(session)
            assert session != original
    # Some bytes are lengths and codes; the others are as good with any value.
    assert 10 < refused < len(data)


@given(st.binary(max_size=300))
def test_random_bytes(data):
    heads = bytes((FORMAT, 3, 4, 0x13, 1, 32)), bytes((FORMAT, 3, 3, 0xC0, 0x2B, 48))
    for each in (data, *(head + data for head in heads)):
        try:
            session = Session.from_bytes(each)
        except ValueError:
            continue
        use(session)


@pytest.mark.parametrize("fields", [FULL, FULL12], ids=["TLS 1.3", "TLS 1.2"])
def test_random_corruptions(fields):
    random_ = random.Random(8446)
    data = bytes(session_bytes(**fields))
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(random_.randint(1, 4)):
            start = random_.randrange(len(changed))
            changed[start : start + random_.randrange(4)] = random_.randbytes(random_.randrange(4))
        try:
            session = Session.from_bytes(bytes(changed))
        except ValueError:
            continue
        use(session)


# --- Whether two sessions are one


def test_sessions_are_equal_by_what_they_hold():
    one, same = made(**FULL), made(**FULL)
    assert one is not same
    assert one == same
    assert hash(one) == hash(same)
    assert len({one, same}) == 1


CHANGES = {
    "suite": 0x1303,
    "secret": bytes(32),
    "created": 1_700_000_000.124,
    "authenticated": 1.0,
    "lifetime": 3601,
    "ticket_age_add": 0,
    "max_early_data_size": 0,
    "server_name": b"other",
    "protocol_name": b"",
    "peer_certificates": CERTIFICATES[:1],
    "ticket": b"another ticket",
}


@pytest.mark.parametrize("field", CHANGES)
def test_sessions_that_differ_in_one_field_are_not_equal(field):
    assert made(**FULL) != made(**{**FULL, field: CHANGES[field]})


CHANGES12 = {"suite": 0xC02C, "secret": bytes(48), "session_id": SESSION_ID, "ticket": b""}


@pytest.mark.parametrize("field", CHANGES12)
def test_tls12_sessions_that_differ_in_one_field_are_not_equal(field):
    assert made(**FULL12) != made(**{**FULL12, field: CHANGES12[field]})


def test_a_session_equals_nothing_else():
    session = made(**FULL)
    for other in (None, 1, session.to_bytes(), repr(session), object()):
        assert session != other
        assert not session == other  # noqa: SIM201


def test_a_loaded_session_is_found_where_the_original_was_kept():
    session = session_of(client_context(), server_context())
    loaded = Session.from_bytes(session.to_bytes())
    assert loaded == session
    assert hash(loaded) == hash(session)
    assert {session: "kept"}[loaded] == "kept"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("version", TLSVersion)
def test_pickling(version, protocol):
    client, server = client_context(maximum_version=version), server_context()
    session = session_of(client, server)
    loaded = pickle.loads(pickle.dumps(session, protocol))
    assert type(loaded) is Session
    assert loaded == session
    assert_resumes(client, server, loaded)


@pytest.mark.parametrize("copy_of", [copy.copy, copy.deepcopy])
def test_copies(copy_of):
    session = session_of(client_context(), server_context())
    assert copy_of(session) == session
    assert copy_of({"a": [session]}) == {"a": [session]}
