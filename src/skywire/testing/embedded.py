"""A whole network in this process, on free ports of 127.0.0.1, for tests of what uses it.

    async with skywire.testing.network(nodes=3) as net:
        connection = await net[0].dial(net[1].pk, 80)

There is a dmsg discovery, a dmsg server, a transport discovery, an address resolver, a route
finder, a service discovery, a setup node and the nodes: the real ones, with stores in memory. All
of it is up on entering and gone on leaving.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from skywire.config.deployment import Deployment
from skywire.config.values import HostPort
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue
from skywire.node import Node
from skywire.services.base import Common
from skywire.services.everything import AR, CONF, PORTS, RF, SD, SETUP_NODE, TPD, start_all
from skywire.services.host import Host
from skywire.stores.open import open_stores
from skywire.testing import deployment as dmsg
from skywire.testing.wait import eventually

MAX_NODES = 64
LOOPBACK = "127.0.0.1"


class TestNetwork:
    """`net[0]` is the first node. `deployment` is for nodes and programs of your own."""

    __test__ = False  # for pytest: this is no test

    def __init__(
        self, deployment: Deployment, urls: Mapping[str, str], stack: AsyncExitStack
    ) -> None:
        self.deployment = deployment
        self.urls = urls
        """Of the services: "discovery", "tpd", "ar", "rf", "sd", "conf"."""
        self.nodes: list[Node] = []
        self._stack = stack
        self._table: dict[PubKey, str] = {}  # where nodes take stcp transports

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    async def node(
        self, config: Mapping[str, Any] | None = None, *, secret_key: SecKey | None = None
    ) -> Node:
        """One more, which ends with the network; `config` has what is not as usual."""
        secret = secret_key or key_pair()[1]
        self._give_place(secret.public())
        return await self._start(secret, config or {})

    def _give_place(self, pk: PubKey) -> None:
        self._table[pk] = f"{LOOPBACK}:{free_port()}"

    async def _start(self, secret: SecKey, config: Mapping[str, Any]) -> Node:
        table = {str(pk): place for pk, place in self._table.items()}
        stcp = {"listening_address": self._table[secret.public()], "pk_table": table}
        node = Node({"skywire-tcp": stcp, **config}, secret_key=secret, deployment=self.deployment)
        self.nodes.append(await self._stack.enter_async_context(node))
        return node

    async def _start_all(self, count: int, links: Sequence[tuple[int, int]]) -> None:
        """`count` nodes; with `links`, they have those transports and open no others."""
        pairs = [key_pair() for _ in range(count)]
        for pk, _ in pairs:
            self._give_place(pk)
        wanted: dict[int, list[dict[str, str]]] = {number: [] for number in range(count)}
        for one, other in links:
            if not (0 <= one < count and 0 <= other < count and one != other):
                raise InvalidValue(f"link {one}, {other}: expected two of nodes 0 to {count - 1}")
            wanted[one].append({"pk": str(pairs[other][0]), "type": "stcp"})
        routing = {"routing": {"automatic_transports": False}} if links else {}
        async with asyncio.TaskGroup() as tasks:
            starting = [
                tasks.create_task(
                    self._start(secret, {"persistent_transports": wanted[number], **routing})
                )
                for number, (_, secret) in enumerate(pairs)
            ]
        self.nodes = [task.result() for task in starting]
        await eventually(lambda: all(self._is_linked(one, other) for one, other in links))

    def _is_linked(self, one: int, other: int) -> bool:
        a, b = self.nodes[one], self.nodes[other]
        return all(x.visor.transports.manager.links_to(y.pk) for x, y in ((a, b), (b, a)))


@asynccontextmanager
async def network(
    nodes: int = 2, *, links: Sequence[tuple[int, int]] = ()
) -> AsyncIterator[TestNetwork]:
    """`nodes` nodes that reach each other over dmsg, and over routes.

    Without `links` a node opens a transport when it dials with `network="skynet"`. With them there
    are these transports and no others: `links=[(0, 1), (1, 2)]` makes the way from 0 to 2 two hops.
    """
    if not 0 <= nodes <= MAX_NODES:
        raise InvalidValue(f"{nodes} nodes: expected 0 to {MAX_NODES}")
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(dmsg.deployment())
        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        host = await stack.enter_async_context(Host(relay.url))
        urls = await start_all(
            stack,
            host,
            stores,
            {name: HostPort(f"{LOOPBACK}:0") for name in PORTS},
            Common(allow_loopback=True),
            secret=key_pair()[1],
            dmsg_discovery=relay.url,
        )
        known = Deployment(
            dmsg_discovery=relay.url,
            transport_discovery=urls[TPD],
            route_finder=urls[RF],
            route_setup_nodes=(urls.pop(SETUP_NODE),),
            service_discovery=urls[SD],
            conf=urls[CONF],
        )
        shown = {name: urls[name] for name in (TPD, AR, RF, SD, CONF)}
        net = TestNetwork(known, {"discovery": relay.url, **shown}, stack)
        await net._start_all(nodes, links)
        yield net


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
