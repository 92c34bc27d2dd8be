"""Scenarios T1, T2 and the ring against a plain byte string."""

from hypothesis import given
from hypothesis import strategies as st

from skywire.pty.ring import Ring


def test_t01_the_ring_keeps_the_newest_bytes() -> None:
    ring = Ring(8)
    ring.append(b"abc")
    ring.append(b"defghij")
    assert ring.read(0, 100) == (b"cdefghij", 10)
    assert ring.read(ring.oldest + 5, 100) == (b"hij", 10)


def test_t02_one_write_larger_than_the_ring() -> None:
    ring = Ring(4)
    ring.append(b"12345678")
    assert ring.read(0, 100) == (b"5678", 8)


def test_a_read_is_limited_and_says_where_to_go_on() -> None:
    ring = Ring(8)
    ring.append(b"abcdef")
    assert ring.read(0, 4) == (b"abcd", 4)
    assert ring.read(4, 4) == (b"ef", 6)
    assert ring.read(6, 4) == (b"", 6)


@given(st.integers(1, 9), st.lists(st.binary(max_size=20), max_size=12), st.data())
def test_like_a_byte_string(capacity: int, chunks: list[bytes], data: st.DataObject) -> None:
    ring, everything = Ring(capacity), b""
    for chunk in chunks:
        ring.append(chunk)
        everything += chunk
        position = data.draw(st.integers(0, len(everything)))
        size = data.draw(st.integers(0, 12))
        start = max(position, len(everything) - capacity)
        expected = everything[start:][:size]
        assert ring.read(position, size) == (expected, start + len(expected))
    assert ring.total == len(everything)
    assert ring.oldest == max(0, len(everything) - capacity)
