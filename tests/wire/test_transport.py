"""Transport ids and entries against the reference's."""

import uuid
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey, Signature
from skywire.errors import AuthenticationFailed, InvalidValue
from skywire.testing import vectors
from skywire.wire import transport
from skywire.wire.transport import NO_SIGNATURE, STCPR, USER, Entry, SignedEntry

IDS = vectors.load("routing/transport_ids")
ENTRIES = vectors.load("routing/transport_entries")
SECRETS = {
    PubKey.parse(case["pk"]): SecKey.parse(case["sk"]) for case in vectors.load("routing/keys")
}
A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")
C, C_SECRET, _ = deterministic_key_pair(b"c")


@pytest.mark.parametrize("case", vectors.load("routing/keys"), ids=lambda case: case["name"])
def test_same_keys_as_go(case: dict[str, Any]) -> None:
    public, secret, _ = deterministic_key_pair(case["seed_ascii"].encode())
    assert (str(public), secret.hex()) == (case["pk"], case["sk"])


@pytest.mark.parametrize("case", IDS, ids=lambda case: f"{case['type']}-{case['id'][:8]}")
def test_same_ids_as_go(case: dict[str, Any]) -> None:
    a, b = PubKey.parse(case["pk_a"]), PubKey.parse(case["pk_b"])
    found = transport.transport_id(a, b, case["type"])
    assert (str(found), found.bytes.hex()) == (case["id"], case["id_bytes"])
    assert found == transport.transport_id(b, a, case["type"])
    assert [str(edge) for edge in transport.sort_edges(a, b)] == case["sorted_edges"]


@pytest.mark.parametrize("case", ENTRIES, ids=lambda case: f"{case['type']}-{case['id'][:8]}")
def test_same_entries_as_go(case: dict[str, Any]) -> None:
    initiator, responder = PubKey.parse(case["initiator_pk"]), PubKey.parse(case["responder_pk"])
    entry = Entry.of(initiator, responder, case["type"], case["label"])
    assert entry.signed_bytes().hex() == case["signed_bytes"]
    assert entry.index(initiator) == case["initiator_signature_index"]
    assert entry.index(responder) == case["responder_signature_index"]
    once = transport.parse_signed(case["json_after_initiator"].encode())
    both = transport.parse_signed(case["json_after_responder"].encode())
    assert once.entry == both.entry == entry
    assert once.encode().decode() == case["json_after_initiator"]
    assert both.encode().decode() == case["json_after_responder"]
    transport.verify(both)
    transport.verify_edge(once, initiator)
    if initiator != responder:
        with pytest.raises(AuthenticationFailed):
            transport.verify(once)
    ours = transport.sign(transport.sign(entry, SECRETS[initiator]), SECRETS[responder])
    transport.verify(ours)


def test_registered_is_written_when_it_is_known() -> None:
    signed = SignedEntry(Entry.of(A, B, STCPR), registered=7)
    assert signed.encode().endswith(b',"registered":7}')
    assert transport.parse_signed(signed.encode()) == signed


def test_go_s_escapes_are_kept() -> None:
    entry = Entry.of(A, B, STCPR, 'a<b>&"c"')
    assert b'"label":"a\\u003cb\\u003e\\u0026\\"c\\""' in entry.encode()
    assert transport.parse_entry(entry.encode()) == entry


def test_a_signature_of_a_stranger_is_refused() -> None:
    entry = Entry.of(A, B, STCPR)
    with pytest.raises(InvalidValue, match="not an edge"):
        transport.sign(entry, C_SECRET)
    signed = transport.sign(transport.sign(entry, A_SECRET), B_SECRET)
    first, second = signed.signatures
    for forged in ((second, first), (first, first), (first, NO_SIGNATURE)):
        with pytest.raises(AuthenticationFailed, match=str(entry.id)):
            transport.verify(msgspec.structs.replace(signed, signatures=forged))


def test_an_id_that_is_not_the_edges_is_refused() -> None:
    entry = Entry.of(A, B, STCPR)
    for wrong in (
        msgspec.structs.replace(entry, id=uuid.uuid4()),
        msgspec.structs.replace(entry, type="stcp"),
        msgspec.structs.replace(entry, edges=entry.edges[::-1]),
        msgspec.structs.replace(entry, type=""),
        msgspec.structs.replace(entry, type="x" * 100),
    ):
        with pytest.raises(InvalidValue):
            wrong.check()
    entry.check()


def test_the_other_edge() -> None:
    entry = Entry.of(A, B, STCPR)
    assert (entry.other(A), entry.other(B), entry.label) == (B, A, USER)
    assert Entry.of(A, A, STCPR).other(A) == A
    with pytest.raises(InvalidValue):
        entry.other(C)


def test_lists_are_read_back() -> None:
    entries = [Entry.of(A, B, STCPR), Entry.of(B, C, "squicr")]
    assert transport.parse_entries(transport.encode_list(entries)) == entries
    assert transport.parse_entries(b"null") == []
    signed = [transport.sign(entry, B_SECRET) for entry in entries]
    assert transport.parse_signed_entries(transport.encode_list(signed)) == signed
    for wrong in (b"{}", b"[null]", b"[{}]", b"", b"\xff", b"[" * 5000):
        with pytest.raises(InvalidValue):
            transport.parse_signed_entries(wrong)
    with pytest.raises(InvalidValue, match="at most"):
        transport.parse_entries(b" " * (transport.MAX_DOCUMENT + 1))


GOOD = transport.sign(Entry.of(A, B, STCPR), A_SECRET).encode()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for parse in (transport.parse_signed, transport.parse_entry, transport.parse_entries):
        with suppress(InvalidValue):
            parse(raw)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_leaves_the_signature_s_meaning(at: int, value: int) -> None:
    raw = bytearray(GOOD)
    raw[at] = value
    with suppress(InvalidValue, AuthenticationFailed):
        changed = transport.parse_signed(bytes(raw))
        changed.entry.check()
        transport.verify_edge(changed, A)
        assert changed.entry.signed_bytes() == Entry.of(A, B, STCPR).signed_bytes()
        assert isinstance(changed.signatures[0], Signature)
