"""Which paths a dial takes, and what it makes of failures."""

import asyncio
import uuid
from collections.abc import Sequence
from itertools import pairwise

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, NotFound, Refused
from skywire.router import dialling
from skywire.router.dialling import Avoid, Dialler, Routes, text
from skywire.router.links import Link
from skywire.router.ports import route_ports
from skywire.router.route_group import RouteGroup
from skywire.router.setup_client import NO_NODE
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.testing.route_network import MemoryLink
from skywire.wire.routes import Bounds, Hop, Path
from skywire.wire.rule import RouteDescriptor

US, M, N, FAR, OTHER = (deterministic_key_pair(name)[0] for name in (b"u", b"m", b"n", b"f", b"o"))
BOUNDS = Bounds(0, 50)


def path(*keys: PubKey) -> Path:
    """One transport for each pair of keys, in either direction."""
    return [
        Hop(uuid.uuid5(uuid.NAMESPACE_OID, str(sorted((a, b)))), a, b) for a, b in pairwise(keys)
    ]


class Opened(Exception):
    """What `open_group` gives here: the forward path of the route that worked."""


class World:
    """A finder, a setup node and a router; `refusals` are the setup node's, then all goes well."""

    def __init__(
        self, forward: Sequence[Path], reverse: Sequence[Path], refusals: Sequence[str] = ()
    ) -> None:
        self.routes = Routes(list(forward), list(reverse))
        self.refusals = list(refusals)
        self.asked: list[Avoid] = []
        self.tried: list[tuple[Path, Path]] = []
        self.descriptors: list[RouteDescriptor] = []
        self.links: dict[uuid.UUID, Link] = {uuid.UUID(int=1): MemoryLink(uuid.UUID(int=1), M)}
        self.ports = route_ports()
        self.dialler = Dialler(
            US, self, self.ports, self.open, finder=self, setup=self.set_up, bounds=BOUNDS
        )

    async def find(self, source: PubKey, target: PubKey, bounds: Bounds, avoid: Avoid) -> Routes:
        assert (source, target, bounds) == (US, FAR, BOUNDS)
        self.asked.append(avoid)
        kept = Routes(*([p for p in paths if not avoid.faults(p)] for paths in self.routes))
        if not kept.forward or not kept.reverse:
            raise NotFound("no path")
        return kept

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        self.tried.append((route.forward, route.reverse))
        self.descriptors.append(RouteDescriptor.parse(route.desc))
        if self.refusals:
            raise Refused(self.refusals.pop(0))
        return EdgeRules()

    async def open(self, rules: EdgeRules, way: Path) -> RouteGroup:
        raise Opened

    async def dial(self, port: int = 80) -> None:
        with pytest.raises(Opened):
            await self.dialler.dial(FAR, port)


async def test_the_first_path_is_taken_with_a_port_counted_up() -> None:
    world = World([path(US, FAR), path(US, M, FAR)], [path(FAR, US)])
    await world.dial()
    await world.dial()
    assert world.tried == [(path(US, FAR), path(FAR, US))] * 2
    assert world.descriptors[0] == RouteDescriptor(US, FAR, 49153, 80)
    assert world.descriptors[1].src_port == 49154
    assert world.ports._ephemeral == set()


async def test_the_way_back_prefers_the_visors_of_the_way_there() -> None:
    world = World([path(US, M, FAR)], [path(FAR, N, US), path(FAR, M, US)])
    await world.dial()
    assert world.tried == [(path(US, M, FAR), path(FAR, M, US))]


async def test_another_path_is_tried_when_one_fails_and_the_next_dial_begins_with_it() -> None:
    ways = [path(US, M, FAR), path(US, N, FAR)], [path(FAR, M, US), path(FAR, N, US)]
    world = World(*ways, refusals=[f"dial {M}@136: no such visor"])
    await world.dial()
    assert [forward[0].to_pk for forward, _ in world.tried] == [M, N]
    assert world.dialler.avoid() == Avoid(frozenset({M}), frozenset())
    await world.dial()
    assert world.tried[-1] == (path(US, N, FAR), path(FAR, N, US))
    assert world.asked[-1].visors == {M}


async def test_the_only_path_is_tried_twice_although_it_is_to_be_avoided() -> None:
    world = World([path(US, M, FAR)], [path(FAR, M, US)], refusals=["no"])
    await world.dial()
    assert len(world.tried) == 2
    assert world.asked[-1] == Avoid(), "with nothing to avoid there is one"
    world.refusals = ["no", "never"]
    with pytest.raises(DialFailed, match="no; never"):
        await world.dialler.dial(FAR, 80)


async def test_no_more_than_four_routes_are_tried() -> None:
    others = [deterministic_key_pair(b"%d" % n)[0] for n in range(9)]
    world = World(
        [path(US, other, FAR) for other in others],
        [path(FAR, other, US) for other in others],
        refusals=["no"] * 9,
    )
    with pytest.raises(DialFailed, match=r"no; no; no; no$"):
        await world.dialler.dial(FAR, 80)
    assert len(world.tried) == 4


async def test_without_a_setup_node_no_other_path_is_tried() -> None:
    ways = [path(US, M, FAR), path(US, N, FAR)], [path(FAR, M, US), path(FAR, N, US)]
    world = World(*ways, refusals=[NO_NODE])
    with pytest.raises(DialFailed, match=NO_NODE):
        await world.dialler.dial(FAR, 80)
    assert world.dialler.avoid() == Avoid()


async def test_a_far_end_that_is_away_is_not_the_fault_of_the_way() -> None:
    world = World([path(US, M, FAR)], [path(FAR, M, US)], refusals=[f"dial {FAR}@136: no"] * 2)
    with pytest.raises(DialFailed):
        await world.dialler.dial(FAR, 80)
    assert world.dialler.avoid() == Avoid()


async def test_what_a_reason_names_is_avoided_and_else_everything_but_the_ends() -> None:
    world = World([], [])
    way = path(US, M, N, FAR)
    world.dialler.failed((way,), f"visor {M}: transport {way[1].tp_id} (stcp) to {N}: it is down")
    assert world.dialler.avoid() == Avoid(frozenset({N}), frozenset({way[1].tp_id}))
    world = World([], [])
    world.dialler.failed((way, path(FAR, OTHER, US)), "nothing came for 9 s")
    assert world.dialler.avoid().visors == {M, N, OTHER}
    assert len(world.dialler.avoid().transports) == 5


async def test_what_failed_is_forgiven_and_the_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialling, "MAX_AVOIDED", 2)
    world = World([], [])
    world.dialler.failed((path(US, M, N, FAR),), "?")
    assert len(world.dialler.avoid().transports) == 2
    now = world.dialler._clock()
    world.dialler._clock = lambda: now + dialling.AVOID_TIME + 1
    assert world.dialler.avoid() == Avoid()


async def test_a_dial_has_a_limit_and_tells_what_failed_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialling, "DIAL_LIMIT", 0.1)
    world = World([path(US, M, FAR)], [path(FAR, M, US)], refusals=["first no"])

    async def hang(rules: EdgeRules, way: Path) -> RouteGroup:
        await asyncio.sleep(60)
        raise AssertionError

    world.dialler._open_group = hang
    with pytest.raises(DialFailed, match=r"not open within .*; first no"):
        await world.dialler.dial(FAR, 80)
    assert world.ports._ephemeral == set()


async def test_transports_may_be_opened_before_a_dial() -> None:
    world = World([path(US, FAR)], [path(FAR, US)])
    link, world.links = world.links, {}
    prepared: list[PubKey] = []

    async def prepare(remote: PubKey) -> None:
        prepared.append(remote)
        world.links = link

    world.dialler._prepare = prepare
    await world.dial()
    assert prepared == [FAR]


async def test_a_visor_without_finder_or_setup_node_cannot_dial() -> None:
    world = World([], [])
    world.dialler._finder = None
    with pytest.raises(DialFailed, match="see its config"):
        await world.dialler.dial(FAR, 80)


def test_a_path_in_words() -> None:
    assert text(path(US, FAR)).startswith(f"{US} → {FAR} (transport ")
