"""Routes over real transports: managers, stcp, sockets on loopback."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.crypto.generate import random_bytes
from skywire.errors import StreamReset
from skywire.router.finder import LocalRoutes
from skywire.router.route_group import RouteGroup
from skywire.router.router import Router
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.testing.route_network import set_up_by_hand
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.wait import eventually
from skywire.wire.transport import STCP, Entry
from tests.transport import kit

TRAITS = Traits(half_close=False)


class Visors:
    """In a line, each joined to the next by stcp."""

    def __init__(self) -> None:
        self.nodes: list[kit.Node] = []
        self.routers: list[Router] = []

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        return set_up_by_hand({router.public: router for router in self.routers}, route)

    async def join(self, a: int, b: int) -> None:
        here, there = self.nodes[a], self.nodes[b]
        link = await here.manager.save(there.pk, STCP)
        await eventually(lambda: link.id in there.manager.links)

    async def connect(self, port: int = 80) -> tuple[RouteGroup, RouteGroup]:
        """From the first visor to the last one."""
        listener = self.routers[-1].listen(port)
        async with asyncio.timeout(10):
            ours = await self.routers[0].dial(self.nodes[-1].pk, port)
            theirs = await listener.accept()
        await listener.close()
        return ours, theirs


@asynccontextmanager
async def line(size: int) -> AsyncIterator[Visors]:
    visors = Visors()
    async with kit.net() as net:
        for _ in range(size):
            node = await net.node()

            async def entries() -> list[Entry]:
                return [signed.entry for signed in net.discovery.entries.values()]

            finder = LocalRoutes(entries)
            router = Router(
                node.pk, node.identity.secret, node.manager, finder=finder, setup=visors.set_up
            )
            node.manager.on_data = router.handle_data
            node.manager.on_change.append(router.link_changed)
            visors.nodes.append(node)
            visors.routers.append(await net.stack.enter_async_context(router))
        for number in range(size - 1):
            await visors.join(number, number + 1)
        await eventually(lambda: len(net.discovery.entries) == size - 1)
        yield visors


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    async with line(3) as visors:
        ours, theirs = await visors.connect()
        await check(ours, theirs, TRAITS)


async def test_bulk_over_three_hops_arrives_whole() -> None:
    data = random_bytes(1 << 20) * 24
    async with line(4) as visors:
        ours, theirs = await visors.connect()

        async def receive() -> bytes:
            digest, size = hashlib.sha256(), 0
            while size < len(data):
                part = await theirs.read()
                assert part
                digest.update(part)
                size += len(part)
            return digest.digest()

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            got = tasks.create_task(receive())
            await ours.write(data)
        assert got.result() == hashlib.sha256(data).digest()
        assert not any(sum(router.dropped.values()) for router in visors.routers)


async def test_a_hop_that_dies_in_the_middle_of_a_transfer_is_named_at_both_ends() -> None:
    async with line(4) as visors:
        ours, theirs = await visors.connect()

        async def send() -> None:
            while True:
                await ours.write(bytes(100_000))

        async def receive() -> None:
            while await theirs.read():
                pass

        sending, receiving = asyncio.ensure_future(send()), asyncio.ensure_future(receive())
        await eventually(lambda: visors.routers[2]._forwarded.value > 1000)
        dead = visors.nodes[2]
        await visors.routers[2].close()
        await dead.manager.close()
        async with asyncio.timeout(10):
            for end in (sending, receiving):
                with pytest.raises(StreamReset, match=str(dead.pk)):
                    await end


async def test_two_routes_of_one_transport_share_it() -> None:
    async with line(2) as visors:
        bulk, unread = await visors.connect(80)
        ours, theirs = await visors.connect(81)
        flooding = asyncio.ensure_future(bulk.write(bytes(64 << 20)))
        await eventually(lambda: len(unread._messages) >= 256)
        for number in range(50):
            await ours.write(b"%d" % number)
            async with asyncio.timeout(2):
                assert await theirs.read() == b"%d" % number
        assert not flooding.done()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
