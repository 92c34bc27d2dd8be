from hypothesis import given
from hypothesis import strategies as st

from skywire.wire.buffer import Buffer


def test_pieces_come_out_when_they_have_arrived() -> None:
    buffer = Buffer()
    buffer.append(b"ab")
    assert buffer.take(3) is None
    buffer.append(b"cde")
    assert buffer.peek(9) == b"abcde"
    assert buffer.take(2, skip=1) == b"bc"
    assert buffer.take(1, skip=2) is None
    assert (len(buffer), buffer.take(2), len(buffer)) == (2, b"de", 0)


@given(st.lists(st.tuples(st.binary(max_size=50_000), st.integers(0, 60_000)), max_size=20))
def test_bytes_keep_their_order(steps: list[tuple[bytes, int]]) -> None:
    buffer, fed, taken = Buffer(), b"", b""
    for data, size in steps:
        buffer.append(data)
        fed += data
        taken += buffer.take(size) or b""
        assert len(buffer) == len(fed) - len(taken)
    assert taken + bytes(buffer.peek(len(fed))) == fed
