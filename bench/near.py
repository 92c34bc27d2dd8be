"""This process's dmsg client, for a figure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.net import Network
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient

START_LIMIT = 20.0  # seconds


@asynccontextmanager
async def dmsg_client(
    net: Network, keys: tuple[PubKey, SecKey] | None = None
) -> AsyncIterator[DmsgClient]:
    """A client with a session."""
    async with (
        DiscoveryClient(net.discovery_url) as directory,
        DmsgClient(*(keys or key_pair()), directory) as client,
    ):
        async with asyncio.timeout(START_LIMIT):
            await client.connected()
        yield client
