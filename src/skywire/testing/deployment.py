"""A dmsg deployment in this process: a real discovery over HTTP, and real servers.

async with deployment() as net:
    client = await net.client()
    … a command with "--dmsg-disc", net.url …
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from skywire.crypto.generate import key_pair
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.dmsg.server import DmsgServer
from skywire.http.app import listen, running
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.open import open_discovery

START_LIMIT = 15.0  # seconds for one part to come up


class Deployment:
    """`url` is the discovery's. What is made here ends with the deployment."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self._stack = stack
        self.servers: list[DmsgServer] = []

    async def server(self) -> DmsgServer:
        """A dmsg server that is registered."""
        public, secret = key_pair()
        directory = await self._stack.enter_async_context(DiscoveryClient(self.url))
        server = DmsgServer(public, secret, directory, public_address="127.0.0.1:0")
        await self._stack.enter_async_context(server)
        async with asyncio.timeout(START_LIMIT):
            await server.serve("127.0.0.1", 0)
            await server.posted()
        self.servers.append(server)
        return server

    async def client(self, min_sessions: int = 1) -> DmsgClient:
        """A client that dials and can be dialled."""
        public, secret = key_pair()
        directory = await self._stack.enter_async_context(DiscoveryClient(self.url))
        client = DmsgClient(public, secret, directory, min_sessions=min_sessions)
        await self._stack.enter_async_context(client)
        async with asyncio.timeout(START_LIMIT):
            await client.ready()
        return client


@asynccontextmanager
async def deployment(servers: int = 1) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        store = await open_discovery("sqlite::memory:")
        stack.push_async_callback(store.close)
        discovery = DmsgDiscovery(store, Settings(test_mode=True))
        runner = await stack.enter_async_context(running(discovery.app()))
        port = await listen(runner, "127.0.0.1", 0, what="discovery")
        made = Deployment(f"http://127.0.0.1:{port}", stack)
        for _ in range(servers):
            await made.server()
        yield made
