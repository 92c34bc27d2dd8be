import pytest

from skywire.errors import StreamClosed
from skywire.streams.unread import unread
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.streams import stream_pair

TRAITS = Traits()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    a, b = stream_pair()
    await b.write(b"x")
    first = await a.read()
    again = unread(a, first)
    assert await again.read() == b"x"
    await check(again, b, TRAITS)


async def test_what_was_put_back_comes_first_and_in_the_pieces_asked_for() -> None:
    a, b = stream_pair()
    stream = unread(a, b"hello ")
    await b.write(b"world")
    assert [await stream.read(4), await stream.read(4), await stream.read()] == [
        b"hell",
        b"o ",
        b"world",
    ]


async def test_nothing_to_put_back_is_the_stream_itself() -> None:
    a, _ = stream_pair()
    assert unread(a, b"") is a


async def test_a_closed_stream_gives_nothing_back() -> None:
    a, _ = stream_pair()
    stream = unread(a, b"hello")
    await stream.close()
    with pytest.raises(StreamClosed):
        await stream.read()
