"""Routes over sudph between network namespaces: a NAT, loss, delay, a cut link, a moved address.

one ── upper ── two
  └─── lower ───┘
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import DialFailed, StreamReset
from skywire.router.finder import LocalRoutes
from skywire.router.route_group import RouteGroup
from skywire.router.router import Router
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.testing.route_network import set_up_by_hand
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.manager import TransportManager
from skywire.wire.liveness import PING_EVERY
from skywire.wire.transport import SUDPH, Entry
from tests.transport.internet import NEEDS, PATIENCE, Net, Node, carry, internet

pytestmark = [*NEEDS, pytest.mark.timeout(90)]
PORT = 80


class Visor:
    def __init__(self, net: "Routes", node: Node) -> None:
        self.node = node
        self.public = node.public
        self.transports = TransportManager(node.identity, [node.network], net.discovery)
        secret = node.identity.secret
        finder = LocalRoutes(net.entries)
        self.router = Router(self.public, secret, self.transports, finder=finder, setup=net.set_up)
        self.transports.on_data = self.router.handle_data
        self.transports.on_change.append(self.router.link_changed)


class Routes:
    """Visors and their transports; rules are set by hand."""

    def __init__(self, internet: Net) -> None:
        self.internet = internet
        self.discovery = MemoryTransportDiscovery()
        self.visors: list[Visor] = []

    async def entries(self) -> list[Entry]:
        return [signed.entry for signed in self.discovery.entries.values()]

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        return set_up_by_hand({visor.public: visor.router for visor in self.visors}, route)

    async def start(self, node: Node) -> Visor:
        visor = Visor(self, node)
        for part in (visor.transports, visor.router):
            await self.internet.stack.enter_async_context(part)
        await node.bound()
        self.visors.append(visor)
        return visor

    async def visor(self, *, nat: bool = False, delay: float = 0.0) -> Visor:
        return await self.start(self.internet.made(nat=nat, delay=delay))

    async def join(self, one: Visor, other: Visor) -> None:
        """Tries again when `other` has to find out first that an older link is dead."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    link = await one.transports.save(other.public, SUDPH)
                    break
                except DialFailed:
                    await asyncio.sleep(0.2)
        await eventually(lambda: link.id in other.transports.links)


async def connect(one: Visor, other: Visor) -> tuple[RouteGroup, RouteGroup]:
    listener = other.router.listen(PORT)
    try:
        async with asyncio.timeout(PATIENCE):
            return await one.router.dial(other.public, PORT), await listener.accept()
    finally:
        await listener.close()


def way(group: RouteGroup) -> list[str]:
    return [str(hop.to_pk) for hop in group.path]


@pytest.fixture
async def net(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Routes]:
    async with internet(monkeypatch) as made:
        yield Routes(made)


async def test_a_route_between_two_that_are_behind_nats(net: Routes) -> None:
    one, upper, two = [await net.visor(nat=nat) for nat in (True, False, True)]
    await net.join(one, upper)
    await net.join(two, upper)
    ours, theirs = await connect(one, two)
    await carry(ours, theirs, 300_000)
    await carry(theirs, ours, 300_000)


async def test_a_route_over_long_and_lossy_ways(net: Routes) -> None:
    one, upper, two = await net.visor(delay=0.04), await net.visor(), await net.visor(delay=0.06)
    for visor in (one, upper, two):
        visor.node.host.lose(0.02)
    await net.join(one, upper)
    await net.join(upper, two)
    ours, theirs = await connect(one, two)
    for _ in range(2):
        await carry(ours, theirs, PING_EVERY * 1024)
        await carry(theirs, ours, PING_EVERY * 1024)
    await eventually(lambda: ours.latency)
    assert ours.latency is not None
    assert ours.latency[0] > 2 * (0.04 + 0.06)


async def ended(stream: RouteGroup) -> str:
    """Write and read for as long as it goes; what ended it."""
    work = (_write_on(stream), _read_on(stream))
    async with asyncio.timeout(PATIENCE):
        errors = await asyncio.gather(*work, return_exceptions=True)
    assert [type(error) for error in errors] == [StreamReset, StreamReset]
    return str(errors[0])


async def _write_on(stream: RouteGroup, size: int = 50_000, pause: float = 0.0) -> None:
    while True:
        await stream.write(bytes(size))
        await asyncio.sleep(pause)


async def _read_on(stream: RouteGroup) -> None:
    while await stream.read():
        pass


async def test_a_hop_whose_link_is_cut_is_named_and_avoided(net: Routes) -> None:
    one, upper, lower, two = [await net.visor() for _ in range(4)]
    for middle in (upper, lower):
        await net.join(one, middle)
        await net.join(middle, two)
    ours, theirs = await connect(one, two)
    (cut,) = [middle for middle in (upper, lower) if str(middle.public) in way(ours)]
    (left,) = {upper, lower} - {cut}
    reading = asyncio.gather(ended(ours), ended(theirs))
    await eventually(lambda: cut.router._forwarded.value > 500)
    cut.node.host.cut()
    begin = time.monotonic()
    for reason in await reading:
        assert str(cut.public) in reason
    assert time.monotonic() - begin < 10
    ours, theirs = await connect(one, two)
    assert way(ours) == [str(left.public), str(two.public)]
    await carry(ours, theirs, 100_000)


async def test_a_visor_that_has_moved_is_reached_again(net: Routes) -> None:
    keys = key_pair()
    one, upper = await net.visor(nat=True), await net.visor()
    old = await net.start(net.internet.made(nat=True, keys=keys))
    await net.join(one, upper)
    await net.join(upper, old)
    ours, theirs = await connect(one, old)
    await carry(ours, theirs, 100_000)
    old.node.host.cut()  # it cannot say goodbye
    net.visors.remove(old)
    net.internet.resolver.bound.pop(old.public)
    begin = time.monotonic()
    new = await net.start(net.internet.made(nat=True, keys=keys))
    await net.join(new, upper)
    with pytest.raises(StreamReset):
        await asyncio.wait_for(_write_on(ours, 1000, 0.05), PATIENCE)
    assert time.monotonic() - begin < 10
    ours, theirs = await connect(one, new)
    await carry(ours, theirs, 100_000)
