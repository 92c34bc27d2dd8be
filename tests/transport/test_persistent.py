"""Transports that come back, and the ones a visor opens by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.streams.supervise import Tasks
from skywire.testing.transports import MemoryNetwork, MemoryNetworks, MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.autoconnect import MAX_FAILURES, Autoconnect
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.persistent import PersistentTransports, Wanted
from skywire.wire.transport import AUTOMATIC, DMSG, STCPR


@asynccontextmanager
async def managers(
    count: int, kinds: tuple[str, ...] = (STCPR,)
) -> AsyncIterator[list[tuple[TransportManager, MemoryNetwork]]]:
    where, discovery = MemoryNetworks(), MemoryTransportDiscovery()
    made = []
    for _ in range(count):
        public, secret = key_pair()
        networks = [where.of(public, kind) for kind in kinds]
        made.append(
            (
                TransportManager(
                    Identity.of(public, secret), networks, discovery, redial_pause=0.0
                ),
                networks[0],
            )
        )
    for manager, _ in made:
        await manager.__aenter__()
    await eventually(lambda: len(where.serving) == count * len(kinds))
    try:
        yield made
    finally:
        for manager, _ in made:
            await manager.close()


async def test_a_lost_transport_is_dialled_again() -> None:
    async with managers(2) as ((one, _), (two, _)):
        tasks, keeper = Tasks("test"), PersistentTransports(one, [Wanted(two.public, STCPR)])
        tasks.spawn(keeper.run(), "keeper")
        try:
            await eventually(lambda: one.links)
            (link,) = one.links.values()
            link.end("cut")
            await eventually(lambda: one.links and link not in one.links.values())
            assert not keeper.errors
            await eventually(lambda: two.links)
            keeper.set([])
            assert keeper.wanted == []
            await one.remove(link.id)
            await asyncio.sleep(0.3)
            assert not one.links
        finally:
            await tasks.close()


async def test_one_that_is_away_is_tried_with_growing_pauses() -> None:
    async with managers(1) as ((one, network),):
        stranger = key_pair()[0]
        tasks, keeper = Tasks("test"), PersistentTransports(one, [Wanted(stranger, STCPR)])
        tasks.spawn(keeper.run(), "keeper")
        try:
            await eventually(lambda: keeper.errors)
            assert "does not listen" in keeper.errors[Wanted(stranger, STCPR)]
            await asyncio.sleep(0.3)
            assert network.dialled == 1
        finally:
            await tasks.close()


async def test_autoconnect_opens_as_many_as_wanted_and_gives_up_on_the_dead() -> None:
    async with managers(5) as made:
        one, network = made[0]
        dead = [key_pair()[0] for _ in range(2)]
        alive = [manager.public for manager, _ in made[1:]]

        async def listed(count: int) -> list[PubKey]:
            assert count == 3
            return [one.public, *dead, *alive]

        auto = Autoconnect(one, listed)
        await auto.once()
        assert {link.label for link in one.links.values()} == {AUTOMATIC}
        assert len(one.links) == 3
        dialled = network.dialled
        await auto.once()
        assert network.dialled == dialled
        for _ in range(5):
            for link in list(one.links.values()):
                link.end("cut")
            await auto.once()
        assert network.dialled == dialled + 5 * 3 + (MAX_FAILURES - 1) * len(dead)


async def test_autoconnect_survives_a_service_discovery_that_is_away() -> None:
    async with managers(2) as ((one, _), (two, _)):
        away = True

        async def listed(count: int) -> list[PubKey]:
            if away:
                raise Unavailable("the service discovery is away")
            return [two.public]

        tasks, auto = Tasks("test"), Autoconnect(one, listed, interval=0.02)
        tasks.spawn(auto.run(), "auto")
        try:
            await eventually(lambda: auto.error)
            away = False
            await eventually(lambda: one.links)
            assert not auto.error
        finally:
            await tasks.close()


async def test_connect_takes_what_there_is_and_else_the_best_type_that_works() -> None:
    async with managers(2, kinds=(DMSG, STCPR)) as ((one, _), (two, _)):
        link = await one.connect(two.public)
        assert (link.type, link.label) == (STCPR, AUTOMATIC)
        assert await one.connect(two.public) is link
        await one.remove(link.id)
        slow = await one.save(two.public, DMSG)
        assert await one.connect(two.public) is slow
