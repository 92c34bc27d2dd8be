import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.errors import StreamClosed, StreamError, StreamReset
from skywire.streams.stream import Address, Stream
from skywire.streams.yamux import MAX_STREAMS, YamuxSession
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually

HERE, THERE = Address("skynet", "a", 1), Address("skynet", "b", 2)
TRAITS = Traits(absorbs=2 << 20)


@asynccontextmanager
async def sessions(chunk: int = 5000) -> AsyncIterator[tuple[YamuxSession, YamuxSession]]:
    below, above = stream_pair(chunk, HERE, THERE)
    async with YamuxSession(below, client=True) as a, YamuxSession(above, client=False) as b:
        yield a, b


@asynccontextmanager
async def streams() -> AsyncIterator[tuple[Stream, Stream]]:
    async with sessions() as (a, b):
        one = await a.open()
        yield one, await b.accept()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    async with streams() as (a, b):
        await check(a, b, TRAITS)


async def test_streams_do_not_mix_and_one_that_is_not_read_stops_no_other() -> None:
    async with sessions() as (a, b), asyncio.timeout(10):
        stuck, free = await a.open(), await a.open()
        await b.accept()
        theirs = await b.accept()

        async def flood() -> None:
            while True:
                await stuck.write(bytes(65536))

        flooding = asyncio.ensure_future(flood())
        for number in range(20):
            await free.write(b"%03d" % number * 1000)
            got = b""
            while len(got) < 3000:
                got += await theirs.read()
            assert got == b"%03d" % number * 1000
        assert not flooding.done()
        flooding.cancel()


async def test_the_end_of_a_session_is_the_end_of_its_streams() -> None:
    async with sessions() as (a, b), asyncio.timeout(10):
        one = await a.open()
        await one.write(b"x")
        await b.close()
        with pytest.raises(StreamReset, match="closed"):
            await one.read()
        with pytest.raises(StreamError):
            await a.open()
        with pytest.raises(StreamClosed):
            await a.accept()
        with pytest.raises(StreamClosed):
            await a.accept()
        assert a.is_over
        assert b.is_over


async def test_a_broken_peer_costs_the_session() -> None:
    below, peer = stream_pair()
    async with YamuxSession(below, client=False) as session, asyncio.timeout(10):
        await peer.write(b"\xff" * 12)
        with pytest.raises(StreamClosed, match="version"):
            await session.accept()


async def test_a_peer_gets_only_so_many_streams() -> None:
    async with sessions() as (a, b), asyncio.timeout(10):
        opened = [await a.open() for _ in range(MAX_STREAMS + 1)]
        accepted = [await b.accept() for _ in range(MAX_STREAMS)]
        with pytest.raises(StreamReset, match="reset"):
            await opened[-1].read()
        await accepted[0].close()
        await opened[0].close()
        await eventually(lambda: b.streams < MAX_STREAMS)
        await a.open()
        await b.accept()
