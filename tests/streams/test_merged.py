import asyncio

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import StreamClosed, StreamReset
from skywire.streams.merged import MergedListener
from skywire.streams.stream import Address
from skywire.testing.listener import MemoryListener

PK = deterministic_key_pair(b"listener")[0]


def listeners() -> tuple[MemoryListener, MemoryListener]:
    here = Address.dmsg(PK, 49152)
    return (
        MemoryListener(Address.dmsg(PK, 80), here),
        MemoryListener(Address.skynet(PK, 80), here),
    )


async def test_streams_of_both_and_none_is_lost_by_a_cancelled_accept() -> None:
    dmsg, skynet = listeners()
    merged = MergedListener([dmsg, skynet])
    assert merged.address == dmsg.address
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await merged.accept()
    for listener in (dmsg, skynet, dmsg):
        await listener.dial(PK, 80)
    accepted = [await merged.accept() for _ in range(3)]
    assert sorted(stream.local.network for stream in accepted) == ["dmsg", "dmsg", "skynet"]
    await merged.close()


async def test_closing_aborts_what_waits_and_ends_every_accept() -> None:
    dmsg, skynet = listeners()
    merged = MergedListener([dmsg, skynet])
    waiting = await dmsg.dial(PK, 80)
    more = await dmsg.dial(PK, 80)
    for _ in range(5):
        await asyncio.sleep(0)
    await merged.close()
    await merged.close()
    assert merged.closed
    for _ in range(2):
        with pytest.raises(StreamClosed):
            await merged.accept()
    for stream in (waiting, more):
        with pytest.raises(StreamReset):
            await stream.read()


async def test_a_waiting_accept_ends_when_it_is_closed() -> None:
    merged = MergedListener(listeners())
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        accepting = tasks.create_task(_closed(merged))
        await asyncio.sleep(0)
        await merged.close()
        assert await accepting


async def _closed(merged: MergedListener) -> bool:
    try:
        await merged.accept()
    except StreamClosed:
        return True
    return False


async def test_it_ends_with_the_last_of_them() -> None:
    dmsg, skynet = listeners()
    merged = MergedListener([dmsg, skynet])
    await dmsg.close()
    await skynet.dial(PK, 80)
    assert (await merged.accept()).local.network == "skynet"
    await skynet.close()
    with pytest.raises(StreamClosed):
        await merged.accept()
    await merged.close()
