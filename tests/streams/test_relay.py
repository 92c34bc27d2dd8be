import asyncio
import gc

import pytest

from skywire.errors import NotSupported, StreamClosed, StreamReset
from skywire.streams.relay import Copied, close_within, copy_both, has_half_close
from skywire.streams.stream import Address, Stream
from skywire.testing.streams import HIGH_WATER, MemoryStream, stream_pair

DMSG = Address("dmsg", "02" * 33, 80)


async def read_all(stream: Stream) -> bytes:
    data = bytearray()
    async with asyncio.timeout(10):
        while piece := await stream.read():
            data += piece
    return bytes(data)


def relayed(middle: Address | None = None) -> tuple[Stream, Stream, Stream, Stream]:
    """left ═ a, relay, b ═ right; b is on the network of `middle`."""
    left, a = stream_pair(chunk=1000)
    b, right = stream_pair(chunk=1000, a=middle, b=middle)
    return left, a, b, right


async def test_bytes_go_both_ways_and_each_direction_ends_on_its_own() -> None:
    left, a, b, right = relayed()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        await left.write(b"question" * 1000)
        await left.write_eof()
        assert await read_all(right) == b"question" * 1000
        await right.write(b"answer" * 500)  # after the other direction has ended
        await right.write_eof()
        assert await read_all(left) == b"answer" * 500
    assert relay.result() == Copied(8000, 3000)
    assert isinstance(a, MemoryStream)
    assert a.closed


@pytest.mark.parametrize("ends_at", ["left", "right"])
async def test_with_dmsg_on_one_side_the_first_end_ends_both(ends_at: str) -> None:
    left, a, b, right = relayed(DMSG)
    ending, other = (left, right) if ends_at == "left" else (right, left)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        await ending.write(b"last words")
        await ending.write_eof()
        assert await read_all(other) == b"last words"
        await relay
    assert not has_half_close(b)
    assert has_half_close(a)
    with pytest.raises(StreamReset):
        await other.write(b"too late")


@pytest.mark.parametrize("network", ["dmsg", "skynet"])
async def test_an_answer_may_still_come_where_the_end_cannot_be_told(network: str) -> None:
    left, a, b, right = relayed(DMSG._replace(network=network))
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b, drain=5.0))
        await left.write(b"question")
        await left.write_eof()
        assert await right.read() == b"question"
        await right.write(b"answer")
        await right.write_eof()
        assert await read_all(left) == b"answer"
    assert relay.result() == Copied(8, 6)


async def test_an_answer_is_not_awaited_for_ever() -> None:
    left, a, b, right = relayed(DMSG)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b, drain=0.05))
        await left.write_eof()
        assert await read_all(right) == b""
        await relay


async def test_a_reset_ends_both_and_is_no_error_of_the_relay() -> None:
    left, a, b, right = relayed()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        await left.write(b"x")
        assert await right.read() == b"x"
        left.abort()
        assert await right.read() == b""
        assert await relay == Copied(1, 0)


async def test_a_stream_without_half_close_that_nobody_told_us_about_ends_both() -> None:
    class OneFin(MemoryStream):
        async def write_eof(self) -> None:
            raise NotSupported("no half-close")

    left, a, b, right = relayed()
    b.__class__ = OneFin
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        await left.write_eof()
        assert await right.read() == b""
        await relay


async def test_a_slow_reader_slows_the_writer() -> None:
    left, a, b, right = relayed()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await left.write(bytes(64 * 1024))
            sent += 64 * 1024

    async with asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        flooding = tasks.create_task(flood())
        last = -1
        while sent != last:  # until nothing moves any more
            last = sent
            for _ in range(2000):
                await asyncio.sleep(0)
        assert sent <= 3 * HIGH_WATER  # two pipes and one read in between
        flooding.cancel()
        relay.cancel()
    right.abort()


async def test_cancel_aborts_both_and_leaves_no_task() -> None:
    left, a, b, right = relayed()
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(copy_both(a, b))
    await left.write(b"x")
    assert await right.read() == b"x"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    assert asyncio.all_tasks() == before
    for end in (left, right):
        with pytest.raises((StreamReset, StreamClosed)):
            await end.read()


async def test_an_end_in_the_middle_of_a_write_aborts_the_side_that_was_written() -> None:
    left, a, b, right = relayed(DMSG)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(copy_both(a, b))
        flooding = tasks.create_task(left.write(bytes(2 * HIGH_WATER)))
        await right.read()
        await right.write_eof()  # dmsg: both directions are over
        await relay
        flooding.cancel()
    with pytest.raises(StreamReset):
        await read_all(right)


async def test_a_close_that_takes_too_long_becomes_an_abort() -> None:
    class Stuck(MemoryStream):
        async def close(self) -> None:
            await asyncio.Event().wait()

    stream, peer = stream_pair()
    stream.__class__ = Stuck
    await close_within(stream, seconds=0.01)
    with pytest.raises(StreamReset):
        await peer.read()
