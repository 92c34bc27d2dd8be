"""A dmsg network in one process, over real sockets on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.server import DmsgServer
from skywire.errors import Unavailable
from skywire.wire.entry import Entry

SOON = 10.0  # seconds no condition here should need


async def until(condition: Callable[[], object], seconds: float = SOON) -> None:
    """Wait for a condition, looking again every few milliseconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, nobody signals it
            await asyncio.sleep(0.005)


class Directory(StaticDirectory):
    """A discovery in memory that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    def known(self, pk: PubKey) -> Entry | None:
        return self._entries.get(pk)

    async def entry(self, pk: PubKey) -> Entry:
        self._check()
        return await super().entry(pk)

    async def post(self, entry: Entry) -> None:
        self._check()
        await super().post(entry)

    async def all_servers(self) -> list[Entry]:
        self._check()
        return await super().all_servers()

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the discovery is away")


@dataclass
class Net:
    stack: AsyncExitStack
    directory: Directory = field(default_factory=lambda: Directory())
    servers: list[DmsgServer] = field(default_factory=list)

    async def server(self, max_sessions: int = 2048) -> DmsgServer:
        pk, sk = generate.key_pair()
        server = DmsgServer(
            pk, sk, self.directory, public_address="127.0.0.1:0", max_sessions=max_sessions
        )
        await self.stack.enter_async_context(server)
        await server.serve("127.0.0.1", 0)
        async with asyncio.timeout(SOON):
            await server.posted()
        self.servers.append(server)
        return server

    async def client(self, min_sessions: int = 1, ready: bool = True) -> DmsgClient:
        pk, sk = generate.key_pair()
        client = DmsgClient(pk, sk, self.directory, min_sessions=min_sessions)
        await self.stack.enter_async_context(client)
        if ready:
            async with asyncio.timeout(SOON):
                await client.ready()
        return client


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    """One server; more on demand. Everything is closed after the test."""
    async with AsyncExitStack() as stack:
        made = Net(stack)
        await made.server()
        yield made


T = TypeVar("T")


async def soon(work: Awaitable[T]) -> T:
    async with asyncio.timeout(SOON):
        return await work


def address_port(server: DmsgServer) -> int:
    return int(server.public_address.rpartition(":")[2])
