"""Messages that may wait for company: order is kept, and they go out by themselves."""

import asyncio

import pytest

from skywire.errors import StreamReset
from skywire.rpc.writer import Writer
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair


async def test_a_held_message_goes_out_in_front_of_the_next() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    writer.hold(b"one ")
    writer.hold(b"two ")
    async with writer.lock:
        await writer.write(b"three")
    assert await theirs.read() == b"one two three"
    assert len(tasks) == 0
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
    async with writer.lock:
        await writer.write(b"only this")
    assert await theirs.read() == b"only this"
    await tasks.close()


async def test_a_write_that_fails_aborts_the_stream() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    writer = Writer(ours, tasks)
    theirs.abort()
    with pytest.raises(StreamReset):
        await writer.write(b"x")
    writer.hold(b"y")
    await asyncio.sleep(0.01)  # the held one meets the closed stream: quietly
    await tasks.close()
