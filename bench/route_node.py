"""A visor with nothing but stcp transports and a router, as a process: for figures of routes.

    python -m bench.route_node NAME [NEIGHBOUR STCP_PORT]

It joins its neighbour, counts what comes to the port SINK and sends back what comes to ECHO. Its
rules come over a TCP port, by the calls a setup node makes.
"""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import pairwise

from bench.net import report
from bench.peer import ECHO, SINK, echo, sink
from skywire.cli.runtime import serve
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.router.dialling import Avoid, Routes
from skywire.router.gateway import Gateway
from skywire.router.router import Router
from skywire.router.setup_node import SetupNode
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.stcp import StcpNetwork
from skywire.wire.routes import Bounds, Hop, Path
from skywire.wire.transport import STCP, transport_id

LOOPBACK = "127.0.0.1"
TIME_LIMIT = 20.0  # seconds


class RouteNode:
    """An async context manager. `controls` are the TCP ports of the visors on a dialled route."""

    def __init__(self, name: str, table: dict[PubKey, str]) -> None:
        self.public, secret = deterministic_key_pair(name.encode())[:2]
        identity = Identity.of(self.public, secret)
        self.stcp = StcpNetwork(identity, table, listen=f"{LOOPBACK}:0")
        self.manager = TransportManager(identity, [self.stcp], MemoryTransportDiscovery())
        self.router = Router(self.public, secret, self.manager, finder=self, setup=self._set_up)
        self.manager.on_data = self.router.handle_data
        self.manager.on_change.append(self.router.link_changed)
        self.controls: dict[PubKey, int] = {}
        self.way: list[PubKey] = []  # from here to the far end
        self._setup_node = SetupNode(self._dial_control)
        self._tasks = Tasks("route node")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "RouteNode":
        await self._stack.enter_async_context(self.manager)
        await self._stack.enter_async_context(self.router)
        listener = await listen_tcp(LOOPBACK, 0)
        self.controls[self.public] = listener.address.port
        server = Gateway(self.router, ())._server
        self._tasks.spawn(serve_each(listener, server.serve, name="control"))
        for port, handler in ((SINK, sink), (ECHO, echo)):
            routes = self.router.listen(port)
            self._tasks.spawn(serve_each(routes, handler, name="bench"))
        await eventually(lambda: self.stcp.port, TIME_LIMIT)
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._setup_node.close()
        await self._tasks.close()
        await self._stack.aclose()

    async def join(self, neighbour: PubKey) -> None:
        async with asyncio.timeout(TIME_LIMIT):
            await self.manager.save(neighbour, STCP)

    # Finder and setup node of the route `way`

    async def find(self, source: PubKey, target: PubKey, bounds: Bounds, avoid: Avoid) -> Routes:
        return Routes([_path(self.way)], [_path(list(reversed(self.way)))])

    async def _set_up(self, route: BidirectionalRoute) -> EdgeRules:
        return await self._setup_node.dial_route_group(self.public, route)

    async def _dial_control(self, pk: PubKey, port: int) -> Stream:
        return await dial_tcp(LOOPBACK, self.controls[pk])


def _path(keys: Iterable[PubKey]) -> Path:
    visors = list(keys)
    return [Hop(transport_id(a, b, STCP), a, b) for a, b in pairwise(visors)]


async def main(name: str, neighbour: str = "", port: str = "") -> None:
    table: dict[PubKey, str] = {}
    async with RouteNode(name, table) as node:
        if neighbour:
            key = PubKey.parse(neighbour)
            table[key] = f"{LOOPBACK}:{port}"
            await node.join(key)
        report(pk=str(node.public), stcp=node.stcp.port, control=node.controls[node.public])
        await asyncio.Event().wait()


if __name__ == "__main__":
    serve(main(*sys.argv[1:]))
