"""sudph between network namespaces: hosts on a small internet, and a resolver in its middle.

Needs root, iproute2 and nftables: `NEEDS` are the marks of such tests.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.streams.stream import Stream
from skywire.streams.udp import UdpSocket, open_udp
from skywire.testing.netns import Host, Internet, missing
from skywire.testing.resolver import UdpResolver, udp_resolver
from skywire.testing.stream_contract import pattern, read_exactly
from skywire.testing.wait import eventually
from skywire.transport import sudph
from skywire.transport.networks import Identity
from skywire.transport.sudph import SudphNetwork

NEEDS = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
PATIENCE = 20.0

Keys = tuple[PubKey, SecKey]


class Node:
    def __init__(self, host: Host, resolver: UdpResolver, keys: Keys) -> None:
        self.host = host
        self.identity = Identity.of(*keys)
        self.public = self.identity.public
        self.incoming: asyncio.Queue[Stream] = asyncio.Queue()
        self.resolver = resolver
        self.network = SudphNetwork(
            self.identity,
            resolver.as_seen_by(self.public),
            resolver.udp,
            local_addresses=lambda: [host.ip],
            host=host.ip,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Node"]:
        serving = asyncio.get_running_loop().create_task(self.network.serve(self.incoming.put))
        try:
            await self.bound()
            yield self
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def bound(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.network.bound()
        await eventually(lambda: self.public in self.resolver.bound)

    async def dial(self, other: "Node") -> tuple[Stream, Stream]:
        async with asyncio.timeout(PATIENCE):
            ours = await self.network.dial(other.public)
            return ours, await other.incoming.get()


class Net:
    """`hosts` by their addresses, on which `open_udp` makes sockets."""

    def __init__(self, stack: AsyncExitStack, internet: Internet) -> None:
        self.stack = stack
        self._internet = internet
        self.resolver: UdpResolver
        self.hosts: dict[str, Host] = {internet.ip: internet}

    async def open_udp(self, host: str, port: int = 0) -> UdpSocket:
        with self.hosts[host].inside():
            return await open_udp(host, port)

    def made(self, *, nat: bool = False, delay: float = 0.0, keys: Keys | None = None) -> Node:
        """Not running yet."""
        host = self._internet.host(nat=nat, delay=delay)
        self.hosts[host.ip] = host
        return Node(host, self.resolver, keys or key_pair())

    async def node(self, *, nat: bool = False, delay: float = 0.0) -> Node:
        return await self.stack.enter_async_context(self.made(nat=nat, delay=delay).running())


@asynccontextmanager
async def internet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        middle = stack.enter_context(Internet())
        made = Net(stack, middle)
        monkeypatch.setattr(sudph, "open_udp", made.open_udp)
        monkeypatch.setattr("skywire.testing.resolver.open_udp", made.open_udp)
        made.resolver = await stack.enter_async_context(udp_resolver(middle.ip))
        yield made


async def carry(a: Stream, b: Stream, size: int) -> None:
    data = pattern(size)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.write(data))
        got = tasks.create_task(read_exactly(b, size))
    assert got.result() == data
