"""Visors' routers in one process, joined by links in memory: no dmsg, no sockets.

    async with line(3) as net:                       # 0 ── 1 ── 2
        listener = net.routers[2].listen(80)
        stream = await net.routers[0].dial(net.keys[2], 80)
        net.cut(0, 1)

Rules come from the setup node's own plan, put in by hand, so a route is set up without one.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Any

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, Refused, StreamReset
from skywire.router.dialling import Avoid, Routes
from skywire.router.links import Link
from skywire.router.router import Router
from skywire.router.setup_rules import check, id_counts, plan
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.streams.supervise import Tasks
from skywire.wire.routes import Bounds, Hop, Path

HIGH_WATER = 256 * 1024
CHUNK = 256 * 1024  # bytes handed to a router at once, at most


class MemoryLink:
    """One end. What is sent waits in the other end's `_inbox`, whose task hands it on."""

    def __init__(self, id: uuid.UUID, remote: PubKey) -> None:
        self.id = id
        self.remote = remote
        self.type = "memory"
        self.is_up = True
        self.mute = False  # takes everything and delivers nothing, like a path that is dead
        self.sent: list[bytes] | None = None  # set to a list to record
        self.peer: MemoryLink
        self.router: Router
        self._inbox: deque[bytes] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._drained: list[Callable[[], None]] = []

    @property
    def congested(self) -> bool:
        return self.peer._size > HIGH_WATER

    def send(self, data: bytes | memoryview, packets: int = 1) -> None:
        if not self.is_up:
            raise StreamReset(f"transport {self.id} is down")
        if self.sent is not None:
            self.sent.append(bytes(data))
        if not self.mute:
            self.peer._inbox.append(bytes(data))
            self.peer._size += len(data)
            self.peer._filled.set()

    def when_drained(self, call: Callable[[], None]) -> None:
        if self.congested and self.is_up:
            self._drained.append(call)
        else:
            asyncio.get_running_loop().call_soon(call)

    async def deliver(self) -> None:
        while True:
            await self._filled.wait()
            data = b""
            while self._inbox and len(data) < CHUNK:
                data += self._inbox.popleft()
            self._size -= len(data)
            if not self._inbox:
                self._filled.clear()
            if not self.peer.congested:
                self.peer.wake()
            if self.is_up and (hold := self.router.handle_data(self, data)) is not None:
                await hold

    def wake(self) -> None:
        calls, self._drained = self._drained, []
        for call in calls:
            call()

    def down(self) -> None:
        if self.is_up:
            self.is_up = False
            self._inbox.clear()
            self._size = 0
            self._filled.clear()
            self.wake()
            self.router.link_changed(self)


class MemoryTransports:
    def __init__(self) -> None:
        self.links: dict[uuid.UUID, Link] = {}


class RouteNetwork:
    """Made by `line` or `network`. `setups` counts routes set up."""

    def __init__(self, size: int, options: dict[str, Any]) -> None:
        pairs = [deterministic_key_pair(f"visor {number}".encode())[:2] for number in range(size)]
        self.keys: list[PubKey] = [public for public, _ in pairs]
        self.transports = [MemoryTransports() for _ in pairs]
        self.setups: list[BidirectionalRoute] = []
        self.dead: set[int] = set()
        self._ends: dict[tuple[int, int], MemoryLink] = {}
        self.tasks = Tasks("route network")
        self.routers = [
            Router(public, secret, transports, finder=self, setup=self.set_up, **options)
            for (public, secret), transports in zip(pairs, self.transports, strict=True)
        ]

    def join(self, a: int, b: int) -> None:
        id = uuid.uuid5(uuid.NAMESPACE_OID, f"{a} {b} {len(self._ends)}")
        for here, there in ((a, b), (b, a)):
            link = self._ends[here, there] = MemoryLink(id, self.keys[there])
            link.router = self.routers[here]
            self.transports[here].links[id] = link
        self.link(a, b).peer, self.link(b, a).peer = self.link(b, a), self.link(a, b)
        for link in (self.link(a, b), self.link(b, a)):
            self.tasks.spawn(link.deliver(), "link")

    def link(self, here: int, there: int) -> MemoryLink:
        return self._ends[here, there]

    def cut(self, a: int, b: int) -> None:
        for here, there in ((a, b), (b, a)):
            link = self._ends.pop((here, there))
            self.transports[here].links.pop(link.id)
            link.down()

    def kill(self, number: int) -> None:
        """The visor is gone, as its neighbours see it."""
        self.dead.add(number)
        for here, there in list(self._ends):
            if here == number:
                self.cut(here, there)

    # Finder

    async def find(self, source: PubKey, target: PubKey, bounds: Bounds, avoid: Avoid) -> Routes:
        a, b = self.keys.index(source), self.keys.index(target)
        forward, reverse = self._paths(a, b, avoid), self._paths(b, a, avoid)
        if not forward or not reverse:
            raise NotFound(f"no path from {source} to {target}")
        return Routes(forward, reverse)

    def _paths(self, source: int, target: int, avoid: Avoid) -> list[Path]:
        """All without loops, the shortest first."""
        found: list[Path] = []
        waiting: deque[tuple[list[int], Path]] = deque([([source], [])])
        while waiting:
            visors, path = waiting.popleft()
            if visors[-1] == target:
                found.append(path)
                continue
            for (here, there), link in self._ends.items():
                if here == visors[-1] and there not in visors:
                    hop = Hop(link.id, self.keys[here], self.keys[there])
                    waiting.append(([*visors, there], [*path, hop]))
        return [path for path in found if not avoid.faults(path)]

    def path(self, *numbers: int) -> Path:
        return [Hop(self.link(a, b).id, self.keys[a], self.keys[b]) for a, b in pairwise(numbers)]

    # Setup node

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        for key in id_counts(route):
            if self.keys.index(key) in self.dead:
                raise Refused(f"dial {key}@136: no such visor")
        self.setups.append(route)
        return set_up_by_hand(dict(zip(self.keys, self.routers, strict=True)), route)


def set_up_by_hand(routers: Mapping[PubKey, Router], route: BidirectionalRoute) -> EdgeRules:
    """What a setup node does, by calling the routers."""
    descriptor = check(route)
    reserved = {key: routers[key].reserve_ids(n) for key, n in id_counts(route).items()}
    made = plan(route, descriptor, reserved)
    for key, rules in made.intermediaries.items():
        routers[key].add_intermediary_rules(rules)
    routers[descriptor.dst_pk].add_edge_rules(made.responder)
    return made.initiator


@asynccontextmanager
async def network(
    size: int, *pairs: tuple[int, int], **options: Any
) -> AsyncIterator[RouteNetwork]:
    """`size` visors, of which `pairs` are joined; `options` are those of `Router`."""
    net = RouteNetwork(size, options)
    for a, b in pairs:
        net.join(a, b)
    try:
        async with asyncio.TaskGroup() as entering:
            for router in net.routers:
                entering.create_task(router.__aenter__())
        yield net
    finally:
        await asyncio.gather(*(router.close() for router in net.routers))
        await net.tasks.close()


def line(size: int, **options: Any) -> AbstractAsyncContextManager[RouteNetwork]:
    return network(size, *((n, n + 1) for n in range(size - 1)), **options)
