"""The streams of this package, and the in-memory ones of the test kit, against the contract."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from skywire.streams.stream import Listener, Stream
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.streams.unix import dial_unix, listen_unix
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.streams import stream_pair

TRAITS = Traits()
NO_RESET = Traits(reset_is_seen=False)  # the kernel knows none on unix sockets


@asynccontextmanager
async def connected(listener: Listener, ours: Stream) -> AsyncIterator[tuple[Stream, Stream]]:
    theirs = await listener.accept()
    try:
        yield ours, theirs
    finally:
        for stream in (ours, theirs):
            stream.abort()
            await stream.close()
        await listener.close()


@asynccontextmanager
async def tcp(_: Path) -> AsyncIterator[tuple[Stream, Stream]]:
    listener = await listen_tcp("127.0.0.1", 0)
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    async with connected(listener, ours) as pair:
        yield pair


@asynccontextmanager
async def unix(directory: Path) -> AsyncIterator[tuple[Stream, Stream]]:
    path = str(directory / "socket")
    listener = await listen_unix(path)
    async with connected(listener, await dial_unix(path)) as pair:
        yield pair


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[tuple[Stream, Stream]]:
    yield stream_pair()


@asynccontextmanager
async def memory_in_chunks(_: Path) -> AsyncIterator[tuple[Stream, Stream]]:
    yield stream_pair(chunk=1000)


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
@pytest.mark.parametrize("pair", [tcp, unix, memory, memory_in_chunks])
async def test_contract(
    pair: Callable[[Path], AbstractAsyncContextManager[tuple[Stream, Stream]]],
    check: Check,
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as (a, b):
        await check(a, b, NO_RESET if pair is unix else TRAITS)
