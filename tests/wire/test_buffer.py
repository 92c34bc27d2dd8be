import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import RemoteProtocolError
from skywire.wire.buffer import Buffer


def test_pieces_come_out_when_they_have_arrived() -> None:
    buffer = Buffer(b"ab")
    assert buffer.take(3) is None
    buffer.append(b"cde")
    assert buffer.peek(9) == b"abcde"
    assert buffer.take(3) == b"abc"
    assert (len(buffer), buffer.take_all(), buffer.take_all()) == (2, b"de", b"")


def test_a_line_has_an_end_within_the_limit() -> None:
    buffer = Buffer(b"one\ntw")
    assert buffer.take_line(4) == b"one\n"
    assert buffer.take_line(4) is None
    buffer.append(b"o!")
    with pytest.raises(RemoteProtocolError, match="no line end within 4 bytes"):
        buffer.take_line(4)
    assert buffer.take_line(5) is None


@given(st.lists(st.tuples(st.binary(max_size=50_000), st.integers(0, 60_000)), max_size=20))
def test_bytes_keep_their_order(steps: list[tuple[bytes, int]]) -> None:
    buffer, fed, taken = Buffer(), b"", b""
    for data, size in steps:
        buffer.append(data)
        fed += data
        taken += buffer.take(size) or b""
        assert len(buffer) == len(fed) - len(taken)
    assert taken + buffer.take_all() == fed
