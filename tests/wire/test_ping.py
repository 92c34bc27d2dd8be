import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import RemoteProtocolError
from skywire.wire.ping import (
    MAX_PAYLOAD,
    OK,
    PONG,
    PingReader,
    encode_payload,
    encode_size,
)

PK, *_ = deterministic_key_pair(b"sender")


def test_a_payload_says_when_from_whom_and_what() -> None:
    told = json.loads(encode_payload(PK, b"some data", "2023-11-14T22:13:20.25Z"))
    assert told["Timestamp"] == "2023-11-14T22:13:20.25Z"
    assert told["PingPk"] == str(PK)
    assert base64.b64decode(told["Data"]) == b"some data"
    assert encode_size(7) == b'{"Size":7}'


def test_64_kib_of_data_are_not_too_much() -> None:
    assert len(encode_payload(PK, bytes(64 * 1024), "")) <= MAX_PAYLOAD


@given(st.binary(min_size=1, max_size=100), st.booleans(), st.integers(1, 20))
def test_any_split_gets_the_same_answers(payload: bytes, echo: bool, step: int) -> None:
    size = json.dumps({"Size": len(payload)} | ({"EchoFull": True} if echo else {})).encode()
    raw = (size + payload) * 2
    reader, answer = PingReader(), b""
    for begin in range(0, len(raw), step):
        answer += reader.receive_data(raw[begin : begin + step])
    assert answer == (OK + (payload if echo else PONG)) * 2


@given(st.lists(st.binary(max_size=50)))
def test_any_bytes_are_taken_or_refused(pieces: list[bytes]) -> None:
    reader = PingReader()
    try:
        for piece in pieces:
            reader.receive_data(piece)
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize(
    "raw", [b'{"Size":0}', b'{"Size":-1}', b'{"Size":131073}', b"{}", b'{"Size":"1"}', b"[1]"]
)
def test_other_sizes_are_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        PingReader().receive_data(raw)
