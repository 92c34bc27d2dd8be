"""Visors with real transports and routes: what they carry, and what they survive."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.visor.skynet import Skynet, exchange, skynet

PORT = 700


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


async def test_a_stream_to_a_visor_two_hops_away_is_one_call(net: Skynet) -> None:
    a, b, c = await net.line()
    listener = c.visor.network.listen(PORT)
    async with asyncio.timeout(10):
        here = await a.visor.network.dial(c.pk, PORT)
        there = await listener.accept()
    assert (here.remote.pk, there.remote.pk) == (c.pk, a.pk)
    assert a.pk not in {link.remote for link in c.visor.transports.links}
    (group,) = a.visor.routes.router.groups
    assert [hop.to_pk for hop in group.path] == [b.pk, c.pk]
    assert group.encrypted
    assert len(b.visor.routes.router.rules) == 2  # one each way
    await exchange(here, there, 2 * 1024 * 1024)
    await here.close()
    assert await there.read() == b""
