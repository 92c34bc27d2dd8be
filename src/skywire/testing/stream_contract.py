"""What every Stream must do, as checks for two connected ends. Source: `skywire.streams.stream`.

    @pytest.mark.parametrize("check", checks(Traits(half_close=False)), ids=name)
    async def test_contract(check: Check) -> None:
        async with my_pair() as (a, b):
            await check(a, b, TRAITS)

Each check gets a fresh pair, both ends open; it may leave them in any state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from skywire.errors import NotSupported, StreamClosed, StreamError, StreamReset
from skywire.streams.stream import Stream

PATIENCE = 10.0  # seconds until something that must happen counts as missing
SETTLE = 0.05  # seconds in which something that must not happen would have happened
BULK = 1 << 20


@dataclass(frozen=True, slots=True)
class Traits:
    """Where streams may differ."""

    half_close: bool = True  # `write_eof` works and the other direction goes on
    reset_is_seen: bool = True  # the peer of an `abort` gets StreamReset; else it may see the end
    absorbs: int = 32 << 20  # bytes after which a writer without a reader waits at the latest


Check = Callable[[Stream, Stream, Traits], Awaitable[None]]


def name(check: Check) -> str:
    return getattr(check, "__name__", str(check))


def pattern(size: int) -> bytes:
    """Bytes in which a lost, doubled or swapped part shows."""
    return b"".join(i.to_bytes(4, "big") for i in range(size // 4 + 1))[:size]


async def read_exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.read(size - len(data))
        assert part, f"the stream ended after {len(data)} of {size} bytes"
        data += part
    return data


async def read_all(stream: Stream) -> bytes:
    data = bytearray()
    while part := await stream.read():
        data += part
    return bytes(data)


async def _send(stream: Stream, data: bytes, chunk: int) -> None:
    for start in range(0, len(data), chunk):
        await stream.write(data[start : start + chunk])


async def order_is_kept_in_both_directions(a: Stream, b: Stream, traits: Traits) -> None:
    there, back = pattern(BULK), pattern(BULK)[::-1]
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(_send(a, there, 70_001))
        tasks.create_task(_send(b, back, 999))
        got_there = tasks.create_task(read_exactly(b, BULK))
        got_back = tasks.create_task(read_exactly(a, BULK))
    assert got_there.result() == there
    assert got_back.result() == back


async def a_read_returns_at_most_what_was_asked(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await a.write(b"hello world")
        assert await b.read(1) == b"h"
        got = b""
        while len(got) < 10:
            part = await b.read(3)
            assert 1 <= len(part) <= 3
            got += part
    assert got == b"ello world"


async def one_large_write_arrives_whole(a: Stream, b: Stream, traits: Traits) -> None:
    data = pattern(BULK)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.write(data))
        got = tasks.create_task(read_exactly(b, BULK))
    assert got.result() == data


async def an_empty_write_does_nothing(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await a.write(b"")
        await a.write(b"x")
        await a.write(b"")
        assert await b.read() == b"x"
    await _stays_blocked(b.read())


async def close_ends_the_peers_read_after_all_data(a: Stream, b: Stream, traits: Traits) -> None:
    data = pattern(100_000)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        got = tasks.create_task(read_all(b))
        await a.write(data)
        await a.close()
    assert got.result() == data
    assert await b.read() == b"", "the end is repeated"


async def data_written_before_close_waits_for_a_late_reader(
    a: Stream, b: Stream, traits: Traits
) -> None:
    async with asyncio.timeout(PATIENCE):
        await a.write(b"last words")
        await a.close()
        assert await read_all(b) == b"last words"


async def close_wakes_our_own_read(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_outcome(a.read()))
        await asyncio.sleep(0)
        await a.close()
    assert isinstance(reading.result(), StreamClosed)


async def close_wakes_our_own_write(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(_outcome(_flood(a, traits)))
        await asyncio.sleep(SETTLE)
        assert not writing.done(), "a writer without a reader waits"
        closing = tasks.create_task(a.close())
        assert isinstance(await writing, StreamError)
        b.abort()
        await closing


async def the_peers_close_wakes_our_write(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(_outcome(_flood(a, traits)))
        await asyncio.sleep(SETTLE)
        closing = tasks.create_task(b.close())
        assert isinstance(await writing, StreamReset)
        a.abort()
        await closing


async def after_close_reading_and_writing_are_refused(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await b.write(b"never read")
        await a.close()
        for attempt in (a.read(), a.write(b"x")):
            assert isinstance(await _outcome(attempt), StreamClosed)


async def closing_again_is_harmless(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await a.close()
        await a.close()
        a.abort()
        a.abort()
        await a.close()
        b.abort()
        await b.close()


async def two_closes_at_once_are_harmless(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(a.close(), a.close(), b.close())


async def abort_ends_both_sides(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        ours = tasks.create_task(_outcome(a.read()))
        theirs = tasks.create_task(_outcome(b.read()))
        await asyncio.sleep(SETTLE)
        a.abort()
    assert isinstance(ours.result(), StreamError)
    if traits.reset_is_seen:
        assert isinstance(theirs.result(), StreamReset)
    else:
        assert theirs.result() == b"" or isinstance(theirs.result(), StreamReset)


async def a_writer_waits_for_a_slow_reader(a: Stream, b: Stream, traits: Traits) -> None:
    accepted = 0

    async def fill() -> None:
        nonlocal accepted
        block = pattern(16 * 1024)
        while True:
            await a.write(block)
            accepted += len(block)
            assert accepted <= traits.absorbs, "no back-pressure"

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        filling = tasks.create_task(fill())
        before = -1
        while before != accepted:  # until the writer stands still
            before = accepted
            await asyncio.sleep(SETTLE)
        assert not filling.done()
        await read_exactly(b, before)
        while accepted == before:  # reading set it going again
            await b.read()
        filling.cancel()


async def a_cancelled_read_loses_nothing(a: Stream, b: Stream, traits: Traits) -> None:
    data = pattern(20_000)
    got = b""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(_send(a, data, 997))
        while len(got) < len(data):
            reading = tasks.create_task(b.read(1_500))
            await asyncio.sleep(0)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                got += await reading
            if not reading.cancelled():
                continue
            got += await b.read(1_500)
    assert got == data


async def write_eof_ends_one_direction_only(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        await a.write(b"question")
        await a.write_eof()
        assert await read_all(b) == b"question"
        await b.write(b"answer")
        assert await a.read() == b"answer"
        assert isinstance(await _outcome(a.write(b"more")), StreamError)
        await b.close()
        assert await a.read() == b""


async def write_eof_is_refused_where_there_is_none(a: Stream, b: Stream, traits: Traits) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NotSupported):
            await a.write_eof()
        await a.write(b"still open")
        assert await b.read() == b"still open"


async def both_ends_have_addresses(a: Stream, b: Stream, traits: Traits) -> None:
    assert a.local.network == b.local.network == a.remote.network
    assert str(a.remote) or a.remote.network == "unix"


def checks(traits: Traits) -> list[Check]:
    """The checks for streams with these traits."""
    always: list[Check] = [
        order_is_kept_in_both_directions,
        a_read_returns_at_most_what_was_asked,
        one_large_write_arrives_whole,
        an_empty_write_does_nothing,
        close_ends_the_peers_read_after_all_data,
        data_written_before_close_waits_for_a_late_reader,
        close_wakes_our_own_read,
        close_wakes_our_own_write,
        the_peers_close_wakes_our_write,
        after_close_reading_and_writing_are_refused,
        closing_again_is_harmless,
        two_closes_at_once_are_harmless,
        abort_ends_both_sides,
        a_writer_waits_for_a_slow_reader,
        a_cancelled_read_loses_nothing,
        both_ends_have_addresses,
    ]
    if traits.half_close:
        return [*always, write_eof_ends_one_direction_only]
    return [*always, write_eof_is_refused_where_there_is_none]


async def _flood(stream: Stream, traits: Traits) -> None:
    block = pattern(64 * 1024)
    for _ in range(0, traits.absorbs + len(block), len(block)):
        await stream.write(block)


async def _outcome(work: Awaitable[bytes | None]) -> bytes | StreamError | None:
    """The result, or the stream error raised instead of it."""
    try:
        return await work
    except StreamError as error:
        return error


async def _stays_blocked(work: Awaitable[bytes]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SETTLE):
            await work
