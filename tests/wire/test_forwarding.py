from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import forwarding
from skywire.wire.forwarding import (
    MAX_REASON,
    encode_answer,
    encode_hello,
    parse_answer,
    parse_hello,
)
from skywire.wire.json_object import MAX_OBJECT, ObjectReader


def frames(name: str) -> list[tuple[str, bytes]]:
    (case,) = [case for case in vectors.load("apps/port_forward_47") if case["name"] == name]
    return [(side, bytes.fromhex(data)) for side, data in case["frames"]]


def test_the_same_objects_as_go() -> None:
    (_, hello), (_, answer), *_ = frames("Go client, hand-written server")
    assert (parse_hello(hello), parse_answer(answer)) == (8080, "")
    assert (encode_hello(8080), encode_answer()) == (hello, answer)
    (_, hello), (_, refusal) = frames("port not registered")
    assert parse_hello(hello) == 29957
    assert parse_answer(refusal) == "Port :29957 not registered"
    assert parse_answer(encode_answer("no")) == "no"


@given(st.integers(1, 65535), st.binary(), st.data())
def test_any_split_gives_the_object_and_what_follows(
    port: int, rest: bytes, data: st.DataObject
) -> None:
    raw = encode_hello(port) + rest
    cut = data.draw(st.integers(0, len(raw)))
    reader, found = ObjectReader(), None
    for piece in (raw[:cut], raw[cut:]):
        if found is None:
            found = reader.receive_data(piece)
        else:
            reader.rest += piece
    assert found is not None
    assert (parse_hello(found), reader.rest) == (port, rest)


@given(st.lists(st.binary(max_size=50)))
def test_any_bytes_are_an_object_or_refused(pieces: list[bytes]) -> None:
    reader = ObjectReader()
    try:
        for piece in pieces:
            if (raw := reader.receive_data(piece)) is not None:
                assert 0 < parse_hello(raw) < 65536
                break
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize(
    "text",
    ['{"port":1,"x":"}{\\"}"}', ' \n{"port": 1, "raw_tcp": true}', '{"a":{"b":{}},"port":1}'],
)
def test_braces_inside_texts_and_objects_do_not_end_it(text: str) -> None:
    reader = ObjectReader()
    assert [reader.receive_data(text[i : i + 1].encode()) for i in range(len(text) - 1)] == (
        [None] * (len(text) - 1)
    )
    raw = reader.receive_data(text[-1:].encode())
    assert raw is not None
    assert parse_hello(raw) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "port"),
        ('{"port":0}', "1 to 65535"),
        ('{"port":65536}', "1 to 65535"),
        ('{"port":"80"}', "expected"),
        ('{"port":1', None),
        ("{port}", "no such object"),
    ],
)
def test_other_hellos_are_refused(text: str, reason: str | None) -> None:
    raw = ObjectReader().receive_data(text.encode())
    if reason is None:
        assert raw is None
        return
    assert raw is not None
    with pytest.raises(RemoteProtocolError, match=reason):
        parse_hello(raw)


def test_what_cannot_be_an_object_is_refused_early() -> None:
    with pytest.raises(RemoteProtocolError, match="0x47 where"):
        ObjectReader().receive_data(b"GET / HTTP/1.1")
    reader = ObjectReader()
    assert reader.receive_data(b"{" * (MAX_OBJECT - 1)) is None
    with pytest.raises(RemoteProtocolError, match=str(MAX_OBJECT)):
        reader.receive_data(b"{")


def test_a_long_reason_is_cut() -> None:
    assert len(parse_answer(encode_answer("x" * 1000))) == MAX_REASON


def test_the_words_of_a_refusal() -> None:
    words: list[Any] = [forwarding.not_registered(80), forwarding.not_dialled(80)]
    assert words == ["port :80 not registered", "failed to dial port 80"]
