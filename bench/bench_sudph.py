"""Bytes per second over sudph: the transport alone, and a route of one hop; two processes.

Wanted: 20 MB/s over the route, with the reference's window and segment size (two of the reference
reach 0.4).

The far process has the resolver's UDP side and answers for the route's setup, so that nothing else
has to run.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bench.figures import figure
from bench.net import child, report
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import StreamClosed, StreamError, StreamReset
from skywire.router.dialling import Avoid, Routes
from skywire.router.router import Router
from skywire.router.setup_rules import check, plan
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.streams.kcp import KcpStream
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.streams.udp import open_udp
from skywire.testing.resolver import udp_resolver
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.sudph import SudphNetwork
from skywire.wire import gob
from skywire.wire.resolver import Binding
from skywire.wire.routes import Bounds, Hop
from skywire.wire.transport import SUDPH

ROUNDS = 5
BULK = 32_000_000  # bytes of one run
WARM_UP = 8_000_000
CHUNK = 64 * 1024
PORT = 80
TIME_LIMIT = 30.0  # seconds for one run
TARGET = 20.0  # MB/s
LOOPBACK = "127.0.0.1"
COUNTED = b"counted"
NEAR, FAR = (deterministic_key_pair(name)[:2] for name in (b"near", b"far"))


async def count(stream: Stream) -> None:
    """Read as many bytes as the first eight say, answer, and so on."""
    try:
        while head := await stream.read(8):
            left = int.from_bytes(head, "big")
            while left:
                left -= len(await stream.read())
            await stream.write(COUNTED)
    except StreamError:
        pass  # the near process is done
    stream.abort()


async def bulk(stream: Stream, size: int) -> float:
    """MB/s, MB = 10^6 bytes."""
    size -= size % CHUNK
    chunk = bytes(CHUNK)
    async with asyncio.timeout(TIME_LIMIT):
        start = time.perf_counter()
        await stream.write(size.to_bytes(8, "big"))
        for _ in range(size // CHUNK):
            await stream.write(chunk)
        if await stream.read() != COUNTED:
            raise RuntimeError("the far process did not count what was sent")
    return size / (time.perf_counter() - start) / 1e6


class Resolver:
    """Knows one place."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, kind: str, remote: object) -> Binding:
        return Binding(f"{LOOPBACK}:{self._port}")


class Node:
    def __init__(
        self,
        keys: tuple[object, object],
        resolver_udp: tuple[str, int],
        port: int,
        **options: object,
    ) -> None:
        public, secret = keys
        identity = Identity.of(public, secret)  # type: ignore[arg-type]
        self.network = SudphNetwork(
            identity, Resolver(port), resolver_udp, local_addresses=list, host=LOOPBACK
        )
        self.manager = TransportManager(identity, [self.network], MemoryTransportDiscovery())
        self.router = Router(public, secret, self.manager, **options)  # type: ignore[arg-type]
        self.manager.on_data = self.router.handle_data
        self.manager.on_change.append(self.router.link_changed)


async def far() -> None:
    tasks = Tasks("far")
    control = await open_udp(LOOPBACK)
    raw = await open_udp(LOOPBACK)
    raw_listener, sessions, setups = raw.listen(), raw, control.listen()
    async with udp_resolver() as resolver:
        node = Node(FAR, resolver.udp, 0)
        async with node.manager, node.router:
            await node.network.bound()
            report(
                resolver=resolver.udp[1],
                port=node.network.port,
                control=control.address.port,
                raw=sessions.address.port,
                ids=node.router.reserve_ids(2),
            )
            routes = node.router.listen(PORT)
            tasks.spawn(each(raw_listener.accept, tasks))
            tasks.spawn(each(routes.accept, tasks))
            stream = await setups.accept()
            while True:
                message = await stream.read_message()
                node.router.add_edge_rules(gob.decode(EdgeRules, message))
                await stream.write(b"done")


async def each(accept: Callable[[], Awaitable[Stream]], tasks: Tasks) -> None:
    with suppress(StreamClosed):
        while True:
            tasks.spawn(count(await accept()))


class Near(Node):
    """Dials the far node over the one transport there is."""

    def __init__(self, facts: dict[str, object], control: KcpStream) -> None:
        super().__init__(
            NEAR,
            (LOOPBACK, facts["resolver"]),  # type: ignore[arg-type]
            facts["port"],  # type: ignore[arg-type]
            finder=self,
            setup=self.set_up,
        )
        self._ids = facts["ids"]
        self._control = control

    async def find(self, source: object, target: object, bounds: Bounds, avoid: Avoid) -> Routes:
        (link,) = self.manager.links.values()
        there, back = Hop(link.id, NEAR[0], FAR[0]), Hop(link.id, FAR[0], NEAR[0])
        return Routes([[there]], [[back]])

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        reserved = {NEAR[0]: self.router.reserve_ids(2), FAR[0]: self._ids}
        made = plan(route, check(route), reserved)  # type: ignore[arg-type]
        await self._control.write(gob.encode(EdgeRules, made.responder))
        await self._control.read_message()
        return made.initiator


async def measure(facts: dict[str, int]) -> tuple[list[float], list[float]]:
    sock = await open_udp(LOOPBACK)
    control = sock.dial((LOOPBACK, facts["control"]))
    node = Near(dict(facts), control)
    bare = sock.dial((LOOPBACK, facts["raw"]))
    async with node.manager, node.router:
        async with asyncio.timeout(TIME_LIMIT):
            await node.network.bound()
            await node.manager.save(FAR[0], SUDPH)
            group = await node.router.dial(FAR[0], PORT)
        await bulk(bare, WARM_UP)
        await bulk(group, WARM_UP)
        alone, route = [], []
        for _ in range(ROUNDS):
            alone.append(await bulk(bare, BULK))
            route.append(await bulk(group, BULK))
        await group.close()
    await sock.close()
    return alone, route


def main() -> None:
    with child("-m", "bench.bench_sudph", "far") as peer:
        bare, route = asyncio.run(measure(peer.facts))
    typical = sorted(bare)[ROUNDS // 2]
    figure(
        "sudph, bulk over a 1-hop route",
        route,
        "MB/s",
        target=f"≥ {TARGET:g} MB/s",
        met=sorted(route)[ROUNDS // 2] >= TARGET,
        calibration={"bare_kcp_mb_per_s": typical},
        ratio=sorted(route)[ROUNDS // 2] / typical,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["far"]:
        with suppress(StreamReset):  # the near process is done
            asyncio.run(far())
    else:
        main()
