"""Visors with nothing but transports, over sockets on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.link import Link
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.stcp import StcpNetwork

SOON = 10.0  # seconds no condition here should need


@dataclass
class Node:
    identity: Identity
    manager: TransportManager
    network: StcpNetwork
    data: dict[Link, bytearray] = field(default_factory=dict)

    @property
    def pk(self) -> PubKey:
        return self.identity.public

    def take(self, link: Link, data: bytes) -> None:
        self.data.setdefault(link, bytearray()).extend(data)

    @property
    def received(self) -> bytes:
        return b"".join(bytes(data) for data in self.data.values())


class Net:
    """`table` has the address of every node."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.table: dict[PubKey, str] = {}
        self.discovery = MemoryTransportDiscovery()
        self.redial_pause = 0.0

    async def node(self) -> Node:
        public, secret = key_pair()
        identity = Identity.of(public, secret)
        network = StcpNetwork(identity, self.table, listen="127.0.0.1:0")
        manager = TransportManager(
            identity, [network], self.discovery, redial_pause=self.redial_pause
        )
        node = Node(identity, manager, network)
        manager.on_data = node.take
        await self.stack.enter_async_context(manager)
        await eventually(lambda: network.port)
        self.table[public] = f"127.0.0.1:{network.port}"
        return node

    async def pair(self) -> tuple[Node, Node]:
        """Edge 0 and edge 1."""
        nodes = [await self.node(), await self.node()]
        first, second = sorted(nodes, key=lambda node: node.pk)
        return first, second


@asynccontextmanager
async def net() -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        yield Net(stack)


async def other_end(node: Node, link: Link) -> Link:
    async with asyncio.timeout(SOON):
        await eventually(lambda: link.id in node.manager.links)
    return node.manager.links[link.id]
