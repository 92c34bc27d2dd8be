import asyncio
import time

import pytest

from skywire.errors import InvalidValue, NotFound
from skywire.testing import network
from skywire.visor import ops_routes


async def test_it_is_up_within_two_seconds() -> None:
    begin = time.process_time()  # the machine may be busy
    async with asyncio.timeout(20), network(nodes=4) as net:
        assert time.process_time() - begin < 2
        assert len(net) == 4
        assert len({node.pk for node in net}) == 4
        assert set(net.urls) == {"discovery", "tpd", "ar", "rf", "sd", "conf"}
        assert all(url.startswith("http://127.0.0.1:") for url in net.urls.values())


async def test_a_way_of_two_hops() -> None:
    async with (
        asyncio.timeout(20),
        network(3, links=[(0, 1), (1, 2)]) as net,
        net[2].listen(80) as listener,
        await net[0].dial(net[2].pk, 80, network="skynet"),
        await listener.accept(),
    ):
        groups = await net[0].call(ops_routes.route_groups)
        (group,) = [group for group in groups if group.desc.src_port == 80]
        assert [str(hop.to) for hop in group.hops] == [str(net[1].pk), str(net[2].pk)]


async def test_one_more_node_with_its_own_settings() -> None:
    async with asyncio.timeout(20), network(nodes=0) as net:
        node = await net.node({"hostname": "extra"})
        assert net.nodes == [node]
        assert node.visor.config.hostname == "extra"
        other = await net.node()
        await other.dial(node.pk, 7)  # the control port answers


async def test_all_of_it_is_gone_in_the_end() -> None:
    before = len(asyncio.all_tasks())
    async with asyncio.timeout(20), network(nodes=2) as net:
        first = net[0].pk
    async with asyncio.timeout(20), network(nodes=1) as net:
        with pytest.raises(NotFound):
            await net[0].dial(first, 80)
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(("nodes", "links"), [(-1, ()), (65, ()), (2, [(0, 2)]), (2, [(1, 1)])])
async def test_what_makes_no_network_is_refused(nodes: int, links: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidValue, match="expected"):
        async with network(nodes, links=links):
            pass
