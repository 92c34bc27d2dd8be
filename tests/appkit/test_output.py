"""What a process prints, in lines: any pieces, no end, too much."""

import asyncio
import itertools
import os

from hypothesis import given
from hypothesis import strategies as st

from skywire.appkit import output
from skywire.appkit.output import MAX_LINE, Lines, Output
from skywire.testing.wait import eventually


def test_lines_have_no_end_and_a_bounded_length() -> None:
    lines = Lines()
    assert lines.receive_data(b"one\r\ntw") == ["one"]
    assert lines.receive_data(b"o\n\nthree") == ["two", ""]
    assert lines.receive_eof() == ["three"]
    assert lines.receive_eof() == []
    assert [len(line) for line in lines.receive_data(b"x" * (2 * MAX_LINE + 5))] == [
        MAX_LINE,
        MAX_LINE,
    ]
    assert lines.receive_eof() == ["x" * 5]
    assert lines.receive_data(b"\xff\n") == ["\ufffd"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    def read(parts: list[bytes]) -> list[str]:
        lines = Lines()
        return [line for part in parts for line in lines.receive_data(part)] + lines.receive_eof()

    places = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    parts = [data[begin:end] for begin, end in itertools.pairwise(places)]
    assert read(parts) == read([data])


async def test_the_last_words_are_read_and_a_flood_is_slowed_down() -> None:
    reading, writing = os.pipe()
    said: list[str] = []
    pump = Output(reading, said.append)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pump.run())
        os.write(writing, b"hello\nlast words")
        await eventually(lambda: said)
        assert said == ["hello"]
        os.set_blocking(writing, False)
        written = 0
        for _ in range(400):
            await asyncio.sleep(0)
            try:
                written += os.write(writing, b"y\n" * 2000)
            except BlockingIOError:  # whoever prints so much waits
                break
        assert written < 400_000
        os.close(writing)
        await asyncio.wait([running])
    pump.close()
    pump.close()
    assert any("more lines)" in line for line in said)
    assert len(said) <= 3 * output.MAX_LINES
    assert said[1] == "last wordsy"
