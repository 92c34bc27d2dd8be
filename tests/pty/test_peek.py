"""What a list of sessions shows of their output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.pty.peek import MAX_LINE, last_lines


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"", []),
        (b"\r\n\r\n", []),
        (b"$ ls\r\na  b\r\n$ ", ["$ ls", "a  b", "$"]),
        (b"one\r\n\r\nthree", ["one", "", "three"]),
        (b"\x1b[1;32muser@host\x1b[0m:~$ ", ["user@host:~$"]),
        (b"\x1b]0;a title\x07$ \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["$ link"]),
        (b"10%\r20%\r100%\r\n", ["100%"]),
        (b"exut\b\bit\r\n", ["exit"]),
        (b"a\tb", ["a       b"]),
        (b"old\r\n\x1b[H\x1b[2Jnew", ["new"]),
        (b"old\x1bcnew", ["new"]),
        (b"shell\r\n\x1b[?1049hfile\x1b[2;1Hmore", ["file", "more"]),
        ("grün 漢字".encode(), ["grün 漢字"]),
        (b"bell\x07 \x00\x1b", ["bell"]),
        (b"\x1b]0;a title that is cut", []),
    ],
)
def test_the_last_lines_are_plain_text(output: bytes, shown: list[str]) -> None:
    assert last_lines(output, 10) == shown


def test_only_as_many_as_wanted_and_the_newest() -> None:
    output = "".join(f"line {number}\r\n" for number in range(9)).encode()
    assert last_lines(output, 2) == ["line 7", "line 8"]
    assert last_lines(output, 0) == []


def test_the_end_of_a_cut_line_is_left_out_unless_it_is_all_there_is() -> None:
    assert last_lines(b"38;5;1mred\r\nwhole\r\n", 5, cut=True) == ["whole"]
    assert last_lines(b"no line end", 5, cut=True) == ["no line end"]


@given(st.binary(max_size=2000), st.integers(0, 20), st.booleans())
def test_any_output_gives_short_printable_lines(output: bytes, count: int, cut: bool) -> None:
    lines = last_lines(output, count, cut=cut)
    assert len(lines) <= count
    for line in lines:
        assert line == "" or line.isprintable()
        assert len(line.encode()) <= MAX_LINE


@given(st.text(alphabet="\x1b[]0;Hm\x07\x1b\\\r\nab", max_size=400))
def test_sequences_in_any_order_leave_no_escape(text: str) -> None:
    assert all("\x1b" not in line for line in last_lines(text.encode(), 50))
