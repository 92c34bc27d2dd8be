"""An application that answers on an in-memory dmsg listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from skywire.crypto.generate import deterministic_key_pair
from skywire.http.over_stream import serve_http
from skywire.streams.stream import Address
from skywire.testing.listener import MemoryListener

SERVER = deterministic_key_pair(b"server")[0]  # fixed: they become part of test names
CLIENT = deterministic_key_pair(b"client")[0]


def listener_on(port: int = 80, chunk: int = 65536) -> MemoryListener:
    return MemoryListener(Address.dmsg(SERVER, port), Address.dmsg(CLIENT, 49152), chunk)


@asynccontextmanager
async def served(app: web.Application, port: int = 80) -> AsyncIterator[MemoryListener]:
    listener = listener_on(port)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        server = tasks.create_task(serve_http(app, listener))
        yield listener
        await listener.close()
        await server
