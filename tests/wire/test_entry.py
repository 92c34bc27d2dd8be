"""Vectors: entries, entries_parse, entries_iteration."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.crypto.keys import NULL_KEY, SecKey
from skywire.errors import AuthenticationFailed, Conflict, InvalidValue
from skywire.testing import vectors
from skywire.wire import entry as wire
from skywire.wire.entry import Entry, ServerInfo

PK, SK, _ = deterministic_key_pair(b"entry")
OTHER, _, _ = deterministic_key_pair(b"other")
NOW = 1_729_800_000_000_000_000
SECOND = 10**9


def client_entry() -> Entry:
    return wire.sign(Entry.of_client(PK, [OTHER], "visor", now=NOW), SK)


def server_entry(timestamp: int = NOW) -> Entry:
    return wire.sign(Entry.of_server(PK, "192.0.2.1:8081", 5, now=timestamp), SK)


@pytest.mark.parametrize("vector", vectors.load("dmsg/entries"), ids=lambda v: v["note"])
def test_the_bytes_that_go_signs(vector: dict[str, Any]) -> None:
    entry = wire.parse(vector["entry_json"].encode())
    assert entry.signed_bytes().hex() == vector["signed_bytes"]
    assert entry.signed_bytes().decode() == vector["signed_text"]
    assert entry.encode().decode() == vector["entry_json"]
    assert wire.verified(entry) == entry
    assert wire.parse(entry.encode()) == entry
    ours = wire.sign(msgspec.structs.replace(entry, signature=""), SecKey.parse(vector["seckey"]))
    assert wire.verified(ours) == ours
    assert ours.signed_bytes() == entry.signed_bytes()


@pytest.mark.parametrize("vector", vectors.load("dmsg/entries"), ids=lambda v: v["note"])
def test_structure_is_checked_as_in_go(vector: dict[str, Any]) -> None:
    entry = wire.parse(vector["entry_json"].encode())
    if vector["validate_error"] is None:
        wire.validate(entry)
    else:
        with pytest.raises(InvalidValue) as caught:
            wire.validate(entry)
        assert str(caught.value) == vector["validate_error"]


@pytest.mark.parametrize("vector", vectors.load("dmsg/entries_parse"), ids=lambda v: v["json"][:60])
def test_documents_read_as_in_go(vector: dict[str, Any]) -> None:
    document = vector["json"].encode()
    if not vector["parses"]:
        with pytest.raises(InvalidValue):
            wire.parse(document)
        return
    entry = wire.parse(document)
    assert entry.without_newer_keys().signed_bytes().decode() == vector["canonical"]
    if vector["signature_error"] is None:
        wire.verified(entry)
    else:
        with pytest.raises(AuthenticationFailed) as refused:
            wire.verified(entry)
        assert str(refused.value) == vector["signature_error"]
    if vector["validate_error"] is None:
        wire.validate(entry)
    else:
        with pytest.raises(InvalidValue) as caught:
            wire.validate(entry)
        assert str(caught.value) == vector["validate_error"]


@pytest.mark.parametrize("vector", vectors.load("dmsg/entries_iteration"))
def test_an_entry_is_replaced_as_in_go(vector: dict[str, Any]) -> None:
    old, new = (
        msgspec.structs.replace(
            client_entry(), sequence=vector[f"{age}_sequence"], timestamp=vector[f"{age}_timestamp"]
        )
        for age in ("old", "new")
    )
    if vector["error"] is None:
        wire.check_iteration(old, new)
    else:
        with pytest.raises(Conflict) as caught:
            wire.check_iteration(old, new)
        assert str(caught.value) == vector["error"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": ""}, "entry has no version"),
        ({"signature": ""}, "entry has no signature"),
        ({"static": NULL_KEY}, "entry Keys is nil"),
        ({"client": None}, "entry has neither client or server field"),
        (
            {"client": None, "server": ServerInfo(address="", available_sessions=1)},
            "server address",
        ),
        ({"version": "", "signature": "", "client": None}, "entry has no version"),
    ],
)
def test_structural_checks_and_their_order(changes: dict[str, Any], reason: str) -> None:
    wire.validate(client_entry(), now=NOW)
    with pytest.raises(InvalidValue, match=f"^entry validation error: {reason}"):
        wire.validate(msgspec.structs.replace(client_entry(), **changes), now=NOW)


@pytest.mark.parametrize("age", [-5 * SECOND, 0, 60 * SECOND])
def test_a_server_may_be_a_little_late_or_early(age: int) -> None:
    wire.validate(server_entry(NOW - age), now=NOW)


@pytest.mark.parametrize("age", [-5 * SECOND - 1, 60 * SECOND + 1])
def test_a_server_with_a_clock_far_off_is_refused(age: int) -> None:
    with pytest.raises(InvalidValue, match="advertised entry has outdated timestamp"):
        wire.validate(server_entry(NOW - age), now=NOW)
    wire.validate(server_entry(NOW - age))  # unless nobody asks for the time


def test_a_client_may_be_of_any_age() -> None:
    wire.validate(client_entry(), now=NOW * 2)


def test_only_the_owner_signs() -> None:
    with pytest.raises(InvalidValue, match="cannot be signed with the key of"):
        wire.sign(client_entry(), key_pair()[1])


def test_a_changed_entry_does_not_verify() -> None:
    entry = client_entry()
    assert wire.verified(entry) == entry
    for changed in (
        msgspec.structs.replace(entry, sequence=entry.sequence + 1),
        msgspec.structs.replace(entry, client_type="visor "),
        msgspec.structs.replace(entry, static=OTHER),
        msgspec.structs.replace(entry, signature=entry.signature[:-2] + "04"),
        msgspec.structs.replace(entry, signature="nonsense"),
    ):
        with pytest.raises(AuthenticationFailed):
            wire.verified(changed)


def test_a_list_of_no_servers_and_no_list_are_signed_differently() -> None:
    documents = {
        wire.parse(b'{"client":%s}' % part).signed_bytes()
        for part in (b'{"delegated_servers":[]}', b'{"delegated_servers":null}', b"{}", b"null")
    }
    assert len(documents) == 3  # an absent list is null, an absent client is none


def test_keys_of_2026_are_signed_in_their_places() -> None:
    """dmsg.md §15: server addresses before availableSessions, `protocol` last."""
    server = ServerInfo(
        address="192.0.2.1:8081",
        address_v6="[2001:db8::1]:8081",
        address_udp="192.0.2.1:8082",
        address_udp_v6="[2001:db8::1]:8082",
        address_ws="wss://example.com",
        available_sessions=7,
        server_type="official",
        dht_bootstrap=True,
    )
    plain = Entry.of_server(PK, "", 0, now=NOW)
    newer = wire.sign(msgspec.structs.replace(plain, server=server, protocol="smux"), SK)
    text = newer.signed_bytes().decode()
    assert text.endswith(
        '"server":{"address":"192.0.2.1:8081","address_v6":"[2001:db8::1]:8081",'
        '"address_udp":"192.0.2.1:8082","address_udp_v6":"[2001:db8::1]:8082",'
        '"address_ws":"wss://example.com","availableSessions":7,"serverType":"official",'
        '"dht_bootstrap":true},"protocol":"smux"}'
    )
    assert wire.verified(wire.parse(newer.encode())) == newer
    for value, kept in ((["pk", "pk"], ("pk", "pk")), ("pk", "pk"), (False, None), ([], None)):
        part = wire.from_json({"server": {"dht_bootstrap": value}}).server
        assert part
        assert part.dht_bootstrap == kept
    deep = wire.parse(b'{"server":{"dht_bootstrap":' + b"[" * 400 + b"]" * 400 + b"}}")
    assert deep.server == ServerInfo(address="", available_sessions=0)
    assert b"smux" not in newer.without_newer_keys().encode()
    assert b"_v6" not in newer.without_newer_keys().encode()


def test_keys_of_2026_that_were_not_signed_are_dropped() -> None:
    smuggled = msgspec.structs.replace(client_entry(), protocol="smux")
    assert wire.verified(wire.parse(smuggled.encode())) == client_entry()


@pytest.mark.parametrize(
    "document",
    [
        b'{"version":1}',
        b'{"sequence":-1}',
        b'{"sequence":18446744073709551616}',
        b'{"sequence":1.0}',
        b'{"sequence":true}',
        b'{"timestamp":9223372036854775808}',
        b'{"static":5}',
        b'{"static":"020000000000000000000000000000000000000000000000000000000000000005"}',
        b'{"client":[]}',
        b'{"client":{"delegated_servers":"x"}}',
        b'{"client":{"delegated_servers":["x"]}}',
        b'{"server":"x"}',
        b'{"server":{"availableSessions":"many"}}',
        b'{"client_type":"\xff"}',
        b"[" * 100_000,
        b"{}x",
        b" " * (wire.MAX_SIZE + 1),
    ],
    ids=lambda document: document[:40],
)
def test_what_is_no_entry_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidValue):
        wire.parse(document)


def test_lists_of_entries() -> None:
    entries = [client_entry(), server_entry()]
    document = b"[" + b",".join(entry.encode() for entry in entries) + b"]"
    assert wire.parse_list(document) == entries
    assert wire.parse_list(b"null") == wire.parse_list(b"[]") == []
    for bad in (b"{}", b"[1]", b"[", b"[" * 100_000, b"\xff"):
        with pytest.raises(InvalidValue):
            wire.parse_list(bad)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["version", "SEQUENCE", "timestamp", "static", "client", "client_type", "server"]
NAMES += ["signature", "protocol"]
SERVER_NAMES = ["address", "address_WS", "availableSessions", "serverType", "dht_bootstrap"]


@given(st.binary(max_size=200) | json_values.map(msgspec.json.encode))
def test_any_bytes_are_parsed_or_refused(document: bytes) -> None:
    with suppress(InvalidValue):
        wire.parse(document)
    with suppress(InvalidValue):
        wire.parse_list(document)


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        json_values | st.dictionaries(st.sampled_from(SERVER_NAMES), json_values),
    )
)
def test_any_values_of_the_right_keys_are_parsed_or_refused(value: dict[str, Any]) -> None:
    with suppress(InvalidValue):
        entry = wire.from_json(value)
        assert wire.parse(entry.encode()) == entry
        with suppress(InvalidValue):
            wire.validate(entry, now=NOW)
        with suppress(AuthenticationFailed):
            wire.verified(entry)
