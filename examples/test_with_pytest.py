"""Tests of your own program: `pytest test_with_pytest.py`.

The fixtures are there once Skywire and pytest-asyncio are installed. Each test has a network of
its own, on 127.0.0.1 only, in some tenths of a second.
"""

import pytest

import skywire
from skywire.testing import TestNetwork

pytestmark = pytest.mark.asyncio
Nodes = tuple[skywire.Node, ...]


async def test_a_line_there_and_back(skywire_nodes: Nodes) -> None:
    here, there = skywire_nodes
    async with there.listen(2000) as listener:
        async with await here.dial(there.pk, 2000) as ours, await listener.accept() as theirs:
            await ours.write(b"hello\n")
            assert await theirs.readline() == b"hello\n"
            assert theirs.remote.pk == here.pk


@pytest.mark.skywire(nodes=3, links=[(0, 1), (1, 2)])
async def test_a_route_over_the_node_between(skywire_network: TestNetwork) -> None:
    first, _, last = skywire_network
    async with last.listen(2000), await first.dial(last.pk, 2000, network="skynet") as ours:
        assert ours.remote.network == "skynet"


async def test_nobody_listens(skywire_nodes: Nodes) -> None:
    here, there = skywire_nodes
    with pytest.raises(skywire.Refused):
        await here.dial(there.pk, 2000)
