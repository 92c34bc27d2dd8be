"""Settlement against the reference's transcripts, and against liars."""

from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import AuthenticationFailed, Refused, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import transport
from skywire.wire.settlement import MAX_ENTRY, Acceptor, Answer, Dialler
from skywire.wire.transport import Entry, SignedEntry

*GOOD, MISMATCH = vectors.load("routing/settlement")
SECRETS = {
    PubKey.parse(case["pk"]): SecKey.parse(case["sk"]) for case in vectors.load("routing/keys")
}
A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")
C, C_SECRET, _ = deterministic_key_pair(b"c")


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["type"])
def test_same_bytes_as_go(case: dict[str, Any]) -> None:
    initiator, responder = PubKey.parse(case["initiator_pk"]), PubKey.parse(case["responder_pk"])
    request, answer = (bytes.fromhex(write["hex"]) for write in case["writes"])
    acceptor = Acceptor(responder, SECRETS[responder], initiator, case["type"])
    signed = acceptor.receive_data(request)
    assert signed is not None
    transport.verify(signed)
    assert answer == Answer.OK.byte
    dialler = Dialler(initiator, SECRETS[initiator], responder, case["type"])
    ours = dialler.request()
    assert len(ours) == len(request) == (517 if len(case["type"]) == 5 else 516)
    assert transport.parse_signed(ours).entry == transport.parse_signed(request).entry
    assert dialler.receive_data(answer + b"packets") == b"packets"


def test_go_s_wrong_entry_is_refused() -> None:
    request, answer = (bytes.fromhex(write["hex"]) for write in MISMATCH["writes"])
    dialler = transport.parse_signed(request).entry
    a, b = dialler.edges
    acceptor = Acceptor(a, SECRETS[a], b, "stcpr")
    with pytest.raises(RemoteProtocolError, match="id is"):
        acceptor.receive_data(request)
    assert answer == Answer.INVALID_ENTRY.byte


@pytest.mark.parametrize("code", [0, 2, 3, 4, 0x7B, 255])
def test_any_answer_but_one_is_a_refusal(code: int) -> None:
    with pytest.raises(Refused, match=f"\\({code}\\)") as caught:
        Dialler(A, A_SECRET, B, "stcp").receive_data(bytes([code]))
    assert caught.value.reason == code


def accept(signed: SignedEntry | bytes, kind: str = "stcp") -> SignedEntry | None:
    data = signed if isinstance(signed, bytes) else signed.encode() + b"\n"
    return Acceptor(A, A_SECRET, B, kind).receive_data(data)


def by_b(entry: Entry) -> SignedEntry:
    return transport.sign(entry, B_SECRET)


RIGHT = Entry.of(A, B, "stcp")


def test_both_have_signed_in_the_end_and_the_label_is_user() -> None:
    signed = accept(by_b(msgspec.structs.replace(RIGHT, label="<other>")))
    assert signed is not None
    transport.verify(signed)
    assert signed.entry == RIGHT


def test_wrong_edges_order_type_id_and_signatures_are_refused() -> None:
    unsigned = SignedEntry(RIGHT)
    good = by_b(RIGHT)
    for wrong in (
        by_b(Entry.of(B, C, "stcp")),
        by_b(Entry.of(A, B, "stcpr")),
        by_b(msgspec.structs.replace(RIGHT, edges=RIGHT.edges[::-1])),
        by_b(msgspec.structs.replace(RIGHT, type="stcpr")),
        by_b(msgspec.structs.replace(RIGHT, id=Entry.of(A, C, "stcp").id)),
    ):
        with pytest.raises(RemoteProtocolError, match="settlement"):
            accept(wrong)
    forged = transport.sign(Entry.of(A, C, "stcp"), C_SECRET)
    for wrong in (
        unsigned,
        msgspec.structs.replace(good, signatures=good.signatures[::-1]),
        msgspec.structs.replace(good, signatures=forged.signatures),
        transport.sign(RIGHT, A_SECRET),
    ):
        with pytest.raises(AuthenticationFailed):
            accept(wrong)


def test_garbage_endless_entries_and_hasty_peers_are_refused() -> None:
    for wrong in (b"\n", b"{}\n", b"null\n", b"\xff\xfe\n", b"x" * MAX_ENTRY):
        with pytest.raises(RemoteProtocolError):
            accept(wrong)
    with pytest.raises(RemoteProtocolError, match="without having the answer"):
        accept(by_b(RIGHT).encode() + b"\n\0")


@given(st.sets(st.integers(1, 510), max_size=6))
def test_any_split_is_the_same(cuts: set[int]) -> None:
    raw = by_b(RIGHT).encode() + b"\n"
    acceptor = Acceptor(A, A_SECRET, B, "stcp")
    bounds = [0, *sorted(cuts), len(raw)]
    results = [acceptor.receive_data(raw[begin:end]) for begin, end in pairwise(bounds)]
    assert results[:-1] == [None] * (len(results) - 1)
    assert results[-1] is not None
    transport.verify(results[-1])


@given(st.binary(min_size=1, max_size=600), st.booleans())
def test_any_bytes_are_taken_or_refused(raw: bytes, line: bool) -> None:
    with suppress(RemoteProtocolError):
        assert accept(raw + b"\n" * line) is None
    with suppress(Refused):
        assert Dialler(A, A_SECRET, B, "stcp").receive_data(raw) == raw[1:]
