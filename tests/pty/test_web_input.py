import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import Refused, StreamReset
from skywire.pty.web_input import BUFFER_LIMIT, WRITE_SIZE, Input
from tests.pty.web_kit import eventually


class Host:
    """Takes Write calls one by one; fails the test when two are in flight."""

    def __init__(self, take: int = WRITE_SIZE) -> None:
        self.calls: list[bytes] = []
        self.take = take
        self.busy = False
        self.ready = asyncio.Event()
        self.ready.set()

    async def write(self, data: bytes) -> int:
        assert not self.busy, "two Write calls in flight"
        self.busy = True
        await self.ready.wait()
        await asyncio.sleep(0)
        self.busy = False
        self.calls.append(data[: self.take])
        return min(self.take, len(data))


async def drained(queue: Input) -> None:
    await eventually(lambda: not len(queue))


async def test_what_is_typed_during_a_write_is_merged_into_the_next() -> None:
    queue, host = Input(), Host()
    host.ready.clear()
    running = asyncio.ensure_future(queue.run(host.write))
    await queue.put(b"a")
    await asyncio.sleep(0.01)
    for key in b"bcd":
        await queue.put(bytes([key]))
    host.ready.set()
    await drained(queue)
    running.cancel()
    assert host.calls == [b"a", b"bcd"]


@given(st.lists(st.binary(max_size=9000), max_size=12), st.integers(1, WRITE_SIZE))
def test_order_and_content_survive_any_split(parts: list[bytes], take: int) -> None:
    async def scenario() -> list[bytes]:
        queue, host = Input(), Host(max(take, 64))
        running = asyncio.ensure_future(queue.run(host.write))
        async with asyncio.timeout(20):
            for part in parts:
                await queue.put(part)
            await drained(queue)
        running.cancel()
        return host.calls

    calls = asyncio.run(scenario())
    assert b"".join(calls) == b"".join(parts)
    assert all(len(call) <= WRITE_SIZE for call in calls)


async def test_a_full_buffer_makes_the_sender_wait() -> None:
    queue, host = Input(), Host()
    async with asyncio.timeout(5):
        await queue.put(bytes(BUFFER_LIMIT))
    more = asyncio.ensure_future(queue.put(b"more"))
    await asyncio.sleep(0.01)
    assert not more.done()
    assert len(queue) == BUFFER_LIMIT
    running = asyncio.ensure_future(queue.run(host.write))
    async with asyncio.timeout(5):
        await more
    await drained(queue)
    running.cancel()
    assert b"".join(host.calls) == bytes(BUFFER_LIMIT) + b"more"


async def test_a_write_without_an_answer_ends_it() -> None:
    queue, host = Input(write_time=0.05), Host()
    host.ready.clear()
    await queue.put(b"key")
    with pytest.raises(StreamReset, match=r"did not take 3 bytes of input within 0\.05 s"):
        await queue.run(host.write)


@pytest.mark.parametrize("count", [0, -1, 4])
async def test_an_impossible_count_ends_it(count: int) -> None:
    async def write(data: bytes) -> int:
        return count

    queue = Input()
    await queue.put(b"key")
    with pytest.raises(StreamReset, match=f"took {count} of 3"):
        await queue.run(write)


async def test_a_refused_write_ends_it() -> None:
    async def write(data: bytes) -> int:
        raise Refused("no active pty session", "no active pty session")

    queue = Input()
    await queue.put(b"key")
    with pytest.raises(Refused):
        await queue.run(write)
