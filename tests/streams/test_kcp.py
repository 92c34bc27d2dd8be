"""KcpStream on loopback against the stream contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.streams.stream import Stream
from skywire.streams.udp import open_udp
from skywire.testing.stream_contract import Check, Traits, checks, name

TRAITS = Traits()
LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def kcp_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    """A session whose first message has been exchanged: before it the listener knows nothing."""
    here, there = await open_udp(LOOPBACK), await open_udp(LOOPBACK)
    try:
        listener = there.listen()
        ours = here.dial((LOOPBACK, there.address.port))
        await ours.write(b"!")
        theirs = await listener.accept()
        assert await theirs.read() == b"!"
        yield ours, theirs
    finally:
        await here.close()
        await there.close()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
@pytest.mark.parametrize("turned", [False, True], ids=["dialler", "listener"])
async def test_contract(check: Check, turned: bool) -> None:
    async with kcp_pair() as (a, b):
        await (check(b, a, TRAITS) if turned else check(a, b, TRAITS))
