"""Visors in a line on loopback, in this process, with a deployment's services in another one.

async with line(3) as visors:
    route = await visors[0].router.dial(visors[2].public, PORT)

Transports are stcp, registered at the transport discovery, so that paths come from the route finder
and routes from the setup node, which runs beside it (`skywire svc all`).
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.net import Network, child, network
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import NotFound
from skywire.http.auth import SignedSession
from skywire.router.finder import RouteFinder
from skywire.router.router import Router
from skywire.router.setup_client import SetupClient
from skywire.testing.wait import eventually
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.stcp import StcpNetwork
from skywire.wire.transport import STCP

START_LIMIT = 30.0  # seconds for a part to come up
PORT = 80


@dataclass
class Visor:
    public: PubKey
    dmsg: DmsgClient
    stcp: StcpNetwork
    transports: TransportManager
    router: Router
    finder: RouteFinder


async def _visor(
    stack: AsyncExitStack,
    net: Network,
    urls: dict[str, str],
    setup_node: PubKey,
    table: dict[PubKey, str],
) -> Visor:
    public, secret = key_pair()
    directory = await stack.enter_async_context(DiscoveryClient(net.discovery_url))
    dmsg = await stack.enter_async_context(DmsgClient(public, secret, directory))
    session = await stack.enter_async_context(SignedSession(urls["tpd"], public, secret))
    identity = Identity.of(public, secret)
    stcp = StcpNetwork(identity, table, listen="127.0.0.1:0")
    transports = TransportManager(identity, [stcp], TransportDiscoveryClient(session))
    finder = await stack.enter_async_context(RouteFinder(urls["rf"]))
    router = Router(
        public,
        secret,
        transports,
        setup_nodes=[setup_node],
        dmsg_listen=dmsg.listen,
        finder=finder,
        setup=SetupClient(dmsg.dial, [setup_node]).dial_route_group,
    )
    transports.on_data = router.handle_data
    transports.on_change.append(router.link_changed)
    await stack.enter_async_context(router)
    await stack.enter_async_context(transports)
    async with asyncio.timeout(START_LIMIT):
        await dmsg.ready()
    await eventually(lambda: stcp.port, START_LIMIT)
    table[public] = f"127.0.0.1:{stcp.port}"
    return Visor(public, dmsg, stcp, transports, router, finder)


@asynccontextmanager
async def line(length: int) -> AsyncIterator[Sequence[Visor]]:
    """Each visor has a transport to the next one; the finder knows the whole way."""
    async with AsyncExitStack() as stack:
        net = stack.enter_context(network())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skywire-bench-")))
        secret = key_pair()[1]
        services = stack.enter_context(
            child(
                *("-m", "skywire", "svc", "all", "--host", "127.0.0.1", "--any-port"),
                *("--store", "sqlite::memory:", "--allow-loopback", "--loglvl", "error"),
                *("--dmsg-disc", net.discovery_url, "--sk", secret.hex()),
                folder=folder,
            )
        )
        urls, setup_node = services.facts["urls"], PubKey.parse(services.facts["setup_node"])
        table: dict[PubKey, str] = {}
        visors = [await _visor(stack, net, urls, setup_node, table) for _ in range(length)]
        for one, other in pairwise(visors):
            await one.transports.save(other.public, STCP)
        async with asyncio.timeout(START_LIMIT):
            await _until_found(visors)
        yield visors


async def _until_found(visors: Sequence[Visor]) -> None:
    while True:
        try:
            await visors[0].finder.find(visors[0].public, visors[-1].public)
        except NotFound:
            await asyncio.sleep(0.05)
        else:
            return
