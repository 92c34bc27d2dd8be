"""Route groups as streams: the contract, over one hop and over two."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.streams.stream import Stream
from skywire.testing.route_network import line
from skywire.testing.stream_contract import Check, Traits, checks, name
from tests.router.kit import connected

TRAITS = Traits(half_close=False)


@asynccontextmanager
async def pair(visors: int) -> AsyncIterator[tuple[Stream, Stream]]:
    async with line(visors) as net:
        yield await connected(net)


@pytest.mark.parametrize("visors", [2, 3], ids=["one hop", "two hops"])
@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check, visors: int) -> None:
    async with pair(visors) as (a, b):
        await check(a, b, TRAITS)
