"""Routes with everything real: dmsg, discoveries, setup nodes, stcp on loopback; and parts dying.

one ── upper ── two
  └─── lower ───┘
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import DialFailed, NotFound, Refused, StreamError
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession
from skywire.ports import DMSG_SETUP_NODE
from skywire.router.finder import LocalRoutes, RouteFinder, all_transports
from skywire.router.router import Router
from skywire.router.setup_client import SetupClient
from skywire.router.setup_node import SetupNode
from skywire.services.route_finder import RouteFinder as RouteFinderService
from skywire.services.transport_discovery import PREFIX, TransportDiscovery
from skywire.stores.open import open_stores
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing.deployment import Deployment, deployment
from skywire.testing.wait import eventually
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.stcp import StcpNetwork
from skywire.wire.transport import STCP
from tests.router.setup_kit import route

PORT = 80
LIMIT = 20.0  # seconds nothing here should need


@dataclass
class Node:
    """A visor. Leaving `stack` kills it."""

    public: PubKey
    transports: TransportManager
    router: Router
    finder: RouteFinder
    setup: SetupClient
    stack: AsyncExitStack


class Service:
    """An application that can be stopped."""

    def __init__(self, stack: AsyncExitStack, url: str) -> None:
        self.stop = stack.aclose
        self.url = url


class Whole:
    def __init__(self, net: Deployment, stack: AsyncExitStack) -> None:
        self.net = net
        self._stack = stack
        self._table: dict[PubKey, str] = {}
        self.setup_nodes: list[DmsgClient] = []
        self.tpd: Service
        self.rf: Service

    async def start(self) -> None:
        stores = await open_stores("sqlite::memory:")
        self._stack.push_async_callback(stores.close)
        discovery = TransportDiscovery(stores.transports(), stores.nonces(PREFIX))
        self.tpd = await self._service(discovery.app())
        self.rf = await self._service(RouteFinderService(stores.transports()).app())
        for _ in range(2):
            client = await self.net.client()
            node = SetupNode(client.dial)
            self._stack.push_async_callback(node.close)
            tasks = Tasks("setup node")
            self._stack.push_async_callback(tasks.close)
            tasks.spawn(node.serve_all(client.listen(DMSG_SETUP_NODE)))
            self.setup_nodes.append(client)

    async def _service(self, app: web.Application) -> Service:
        stack = await self._stack.enter_async_context(AsyncExitStack())
        runner = await stack.enter_async_context(running(app))
        port = await listen(runner, "127.0.0.1", 0, what="service")
        return Service(stack, f"http://127.0.0.1:{port}")

    async def node(self) -> Node:
        stack = await self._stack.enter_async_context(AsyncExitStack())
        dmsg = await self.net.client()
        public, secret = dmsg.public, dmsg._secret
        session = await stack.enter_async_context(SignedSession(self.tpd.url, public, secret))
        identity = Identity.of(public, secret)
        stcp = StcpNetwork(identity, self._table, listen="127.0.0.1:0")
        transports = TransportManager(identity, [stcp], TransportDiscoveryClient(session))
        local = LocalRoutes(
            lambda: all_transports(session.plain),
            lambda: [link.signed.entry for link in transports.links.values()],
        )
        finder = await stack.enter_async_context(RouteFinder(self.rf.url, local=local))
        trusted = [client.public for client in self.setup_nodes]
        setup = SetupClient(dmsg.dial, trusted)
        router = Router(
            public,
            secret,
            transports,
            setup_nodes=trusted,
            dmsg_listen=dmsg.listen,
            finder=finder,
            setup=setup.dial_route_group,
        )
        transports.on_data = router.handle_data
        transports.on_change.append(router.link_changed)
        await stack.enter_async_context(transports)
        await stack.enter_async_context(router)
        await eventually(lambda: stcp.port)
        self._table[public] = f"127.0.0.1:{stcp.port}"
        return Node(public, transports, router, finder, setup, stack)

    async def join(self, one: Node, other: Node) -> None:
        await one.transports.save(other.public, STCP)
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    await one.finder.find(one.public, other.public)
                except NotFound:
                    await asyncio.sleep(0.01)
                else:
                    return


@asynccontextmanager
async def whole() -> AsyncIterator[Whole]:
    async with deployment() as net, AsyncExitStack() as stack:
        made = Whole(net, stack)
        await made.start()
        yield made


async def echo(dialling: Node, listening: Node) -> Stream:
    """A route over which bytes go there and back."""
    listener = listening.router.listen(PORT)
    async with asyncio.timeout(LIMIT):
        ours = await dialling.router.dial(listening.public, PORT)
        theirs = await listener.accept()
        await ours.write(b"there")
        assert await theirs.read() == b"there"
        await theirs.write(b"back")
        assert await ours.read() == b"back"
    await listener.close()
    return ours


async def to_the_end(stream: Stream) -> None:
    async with asyncio.timeout(LIMIT):
        while await stream.read():
            pass


async def test_a_route_and_one_part_after_the_other_dying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.router.finder.RETRY_TIME", 0.2)
    monkeypatch.setattr("skywire.router.finder.RETRY_PAUSE", 0.1)
    async with whole() as made:
        one, upper, lower, two = [await made.node() for _ in range(4)]
        for here, there in ((one, upper), (upper, two), (one, lower), (lower, two)):
            await made.join(here, there)

        stream = await echo(one, two)

        # The visor in the middle dies: the stream ends, a new one goes over the other.
        (used,) = [node for node in (upper, lower) if len(node.router.rules)]
        left = lower if used is upper else upper
        await used.stack.aclose()
        with pytest.raises(StreamError):
            await to_the_end(stream)
        stream = await echo(one, two)
        assert len(left.router.rules)
        await stream.close()

        # The first setup node is gone: the second one is asked.
        first = one.setup.nodes[0]
        (dead,) = [client for client in made.setup_nodes if client.public == first]
        await dead.close()
        stream = await echo(one, two)
        assert one.setup.nodes[0] != first
        await stream.close()

        # No route finder: the route is calculated. No transport discovery: from what is known.
        await made.rf.stop()
        await (await echo(one, two)).close()
        await made.tpd.stop()
        await (await echo(one, two)).close()
        await (await echo(one, left)).close()

        # No setup node is left.
        (last,) = [client for client in made.setup_nodes if client is not dead]
        await last.close()
        with pytest.raises(DialFailed):
            async with asyncio.timeout(3 * LIMIT):
                await one.router.dial(two.public, PORT)


async def test_a_setup_node_that_nobody_trusts_sets_no_rules() -> None:
    async with whole() as made:
        one, two = await made.node(), await made.node()
        await made.join(one, two)
        stranger = SetupNode((await made.net.client()).dial)
        with pytest.raises(Refused, match="failed to"):
            await stranger.dial_route_group(one.public, route(one.public, two.public))
        await stranger.close()
        assert not len(one.router.rules)
