"""Messages that may wait for company: order is kept, and they go out by themselves."""

import asyncio

import pytest

from skywire.errors import StreamClosed
from skywire.rpc.writer import Writer
from skywire.streams.supervise import Tasks
from skywire.testing.streams import HIGH_WATER, stream_pair


async def out(written: asyncio.Future[None] | None) -> None:
    if written is not None:
        async with asyncio.timeout(5):
            await written


async def test_a_held_message_goes_out_in_front_of_the_next() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    writer.hold(b"one ")
    writer.hold(b"two ")
    await out(writer.write(b"three"))
    assert await theirs.read() == b"one two three"
    await tasks.close()


async def test_a_held_message_without_company_goes_out_soon() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    writer.hold(b"alone")
    async with asyncio.timeout(5):
        assert await theirs.read() == b"alone"
    await tasks.close()


async def test_nothing_is_written_after_close() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    writer.hold(b"never")
    writer.close()
    assert writer.write(b"nor this") is None
    await ours.close()
    assert await theirs.read() == b""
    await tasks.close()


async def test_what_the_stream_does_not_take_waits_in_order() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    waits = [writer.write(bytes((number,)) * HIGH_WATER) for number in range(4)]
    assert waits[-1] is not None
    received = b""
    while len(received) < 4 * HIGH_WATER:
        received += await theirs.read()
    assert received == b"".join(bytes((number,)) * HIGH_WATER for number in range(4))
    await out(waits[-1])
    await out(writer.write(b"x"))
    assert await theirs.read() == b"x"
    await tasks.close()


async def test_a_write_that_fails_aborts_the_stream_and_is_told_once() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    told = 0

    def failed() -> None:
        nonlocal told
        told += 1

    writer = Writer(ours, tasks, failed)
    theirs.abort()
    await out(writer.write(b"x"))
    assert told == 1
    writer.hold(b"y")
    assert writer.write(b"z") is None
    with pytest.raises(StreamClosed):
        await ours.read()
    await tasks.close()
    assert told == 1
