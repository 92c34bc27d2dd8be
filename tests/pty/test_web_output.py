import asyncio
from contextlib import suppress

import pytest

from skywire.pty import web_output
from skywire.pty.web_output import HIGH_WATER, LOW_WATER, PENDING_LIMIT, Output
from tests.pty.web_kit import eventually


class Browser:
    """Takes frames; `blocked` makes it stop taking them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.times: list[float] = []
        self.ready = asyncio.Event()
        self.ready.set()

    async def send(self, data: bytes) -> None:
        self.frames.append(data)
        self.times.append(asyncio.get_running_loop().time())
        await self.ready.wait()

    async def received(self, size: int) -> None:
        await eventually(lambda: sum(map(len, self.frames)) >= size)


async def test_the_first_output_goes_at_once_and_the_rest_in_few_frames() -> None:
    browser = Browser()
    output = Output(browser.send, flow=False)
    async with asyncio.timeout(10):
        running = asyncio.ensure_future(output.run())
        await output.write(b"first")
        assert browser.frames == [b"first"]
        for _ in range(100):
            await output.write(b"x")
        await browser.received(105)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert b"".join(browser.frames) == b"first" + b"x" * 100
    assert len(browser.frames) == 2
    assert browser.times[1] - browser.times[0] >= web_output.FRAME_INTERVAL * 0.9


async def test_steady_output_makes_at_most_one_frame_per_interval() -> None:
    browser = Browser()
    output = Output(browser.send, flow=False)
    running = asyncio.ensure_future(output.run())
    for _ in range(60):
        await output.write(b"y\n" * 10)
        await asyncio.sleep(0.002)
    await browser.received(1200)
    running.cancel()
    gaps = [after - before for before, after in zip(browser.times, browser.times[1:], strict=False)]
    assert min(gaps) >= web_output.FRAME_INTERVAL * 0.9
    assert b"".join(browser.frames) == b"y\n" * 600


async def test_an_echo_is_not_held_back() -> None:
    browser = Browser()
    output = Output(browser.send, flow=False, frame_interval=60)
    await output.write(b"$ ")
    for key in (b"a", b"b", b"c"):
        output.input_arrived()
        await output.write(key)
    assert browser.frames == [b"$ ", b"a", b"b", b"c"]
    await output.write(b"later")
    assert len(browser.frames) == 4  # no key: the interval holds it


async def test_an_echo_takes_along_what_waits_before_it() -> None:
    browser = Browser()
    output = Output(browser.send, flow=False, frame_interval=60)
    running = asyncio.ensure_future(output.run())
    await output.write(b"1")
    await output.write(b"2")
    output.input_arrived()
    await output.write(b"3")
    await browser.received(3)
    running.cancel()
    assert browser.frames == [b"1", b"23"]


def has_room(output: Output) -> bool:
    return output._room.is_set()


async def test_reading_pauses_above_the_high_mark_and_resumes_below_the_low_one() -> None:
    output = Output(Browser().send, flow=True, frame_interval=0)
    await output.write(b"x" * HIGH_WATER)
    assert has_room(output)
    await output.write(b"x")
    assert not has_room(output)
    output.acknowledge(HIGH_WATER + 1 - LOW_WATER)
    assert not has_room(output)
    output.acknowledge(1)
    assert has_room(output)


async def test_without_acknowledgements_only_the_socket_holds_back() -> None:
    output = Output(Browser().send, flow=False, frame_interval=0)
    for _ in range(10):
        await output.write(b"x" * HIGH_WATER)
    assert has_room(output)


async def test_more_acknowledged_than_sent_counts_as_all() -> None:
    output = Output(Browser().send, flow=True, frame_interval=0)
    output.acknowledge(10**9)
    await output.write(b"x" * (HIGH_WATER + 1))
    assert not has_room(output)


async def test_a_browser_that_takes_nothing_bounds_what_waits() -> None:
    browser = Browser()
    browser.ready.clear()
    output = Output(browser.send, flow=False)
    sending = asyncio.ensure_future(output.write(b"x"))
    await asyncio.sleep(0)
    while has_room(output):
        await output.write(b"y" * 32768)
    assert sum(map(len, browser.frames)) == 1
    assert len(output._pending) == PENDING_LIMIT
    browser.ready.set()
    await sending
    await output.flush()
    assert has_room(output)


async def test_deaf_to_acknowledgements_the_output_goes_on() -> None:
    """Otherwise a paste into `cat` could wait for its own echo for ever."""
    output = Output(Browser().send, flow=True, frame_interval=0)
    await output.write(b"x" * (HIGH_WATER + 1))
    output.set_deaf(True)
    assert has_room(output)
    output.set_deaf(False)
    assert not has_room(output)


async def test_room_waits() -> None:
    output = Output(Browser().send, flow=True, frame_interval=0)
    await output.write(b"x" * (HIGH_WATER + 1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await output.room()
    output.acknowledge(HIGH_WATER + 1)
    async with asyncio.timeout(1):
        await output.room()
