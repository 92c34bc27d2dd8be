"""sudph between network namespaces: real NATs, loss, a cut link, a moved address.

Needs root, iproute2 and nftables.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import DialFailed, StreamReset
from skywire.streams.stream import Stream
from skywire.streams.udp import UdpSocket, open_udp
from skywire.testing.netns import Host, Internet, missing
from skywire.testing.resolver import UdpResolver, udp_resolver
from skywire.testing.stream_contract import pattern, read_exactly
from skywire.testing.wait import eventually
from skywire.transport import sudph
from skywire.transport.networks import Identity
from skywire.transport.sudph import SudphNetwork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
PATIENCE = 20.0


class Node:
    def __init__(self, host: Host, resolver: UdpResolver, keys: tuple[PubKey, SecKey]) -> None:
        self.host = host
        self.public, secret = keys
        self.incoming: asyncio.Queue[Stream] = asyncio.Queue()
        self.resolver = resolver
        self.network = SudphNetwork(
            Identity.of(self.public, secret),
            resolver.as_seen_by(self.public),
            resolver.udp,
            local_addresses=lambda: [host.ip],
            host=host.ip,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Node"]:
        serving = asyncio.get_running_loop().create_task(self.network.serve(self.incoming.put))
        try:
            async with asyncio.timeout(PATIENCE):
                await self.network.bound()
            await eventually(lambda: self.public in self.resolver.bound)
            yield self
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def dial(self, other: "Node") -> tuple[Stream, Stream]:
        async with asyncio.timeout(PATIENCE):
            ours = await self.network.dial(other.public)
            return ours, await other.incoming.get()


class Net:
    """`hosts` by their addresses, on which `open_udp` makes sockets."""

    def __init__(self, stack: AsyncExitStack, internet: Internet) -> None:
        self._stack = stack
        self._internet = internet
        self.resolver: UdpResolver
        self.hosts: dict[str, Host] = {internet.ip: internet}

    async def open_udp(self, host: str, port: int = 0) -> UdpSocket:
        with self.hosts[host].inside():
            return await open_udp(host, port)

    def made(self, *, nat: bool = False, keys: tuple[PubKey, SecKey] | None = None) -> Node:
        host = self._internet.host(nat=nat)
        self.hosts[host.ip] = host
        return Node(host, self.resolver, keys or key_pair())

    async def node(self, *, nat: bool = False) -> Node:
        return await self._stack.enter_async_context(self.made(nat=nat).running())


@pytest.fixture
async def net(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        internet = stack.enter_context(Internet())
        made = Net(stack, internet)
        monkeypatch.setattr(sudph, "open_udp", made.open_udp)
        monkeypatch.setattr("skywire.testing.resolver.open_udp", made.open_udp)
        made.resolver = await stack.enter_async_context(udp_resolver(internet.ip))
        yield made


async def carry(a: Stream, b: Stream, size: int) -> None:
    data = pattern(size)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.write(data))
        got = tasks.create_task(read_exactly(b, size))
    assert got.result() == data


@pytest.mark.parametrize(
    ("dialler", "target"),
    [(True, False), (False, True), (True, True)],
    ids=["ours", "theirs", "both"],
)
async def test_nats_are_passed(net: Net, dialler: bool, target: bool) -> None:
    a, b = await net.node(nat=dialler), await net.node(nat=target)
    assert net.resolver.address(b.public).startswith(f"{b.host.public}:")
    ours, theirs = await a.dial(b)
    await carry(ours, theirs, 300_000)
    await carry(theirs, ours, 300_000)


async def test_without_the_push_nobody_gets_in_through_a_nat(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.transport.networks.IDENTITY_TIMEOUT", 1.0)
    a, b = await net.node(), await net.node(nat=True)
    net.resolver.pushes = False
    with pytest.raises(DialFailed, match="in time"):
        await a.dial(b)


async def test_lost_datagrams_cost_time_and_nothing_else(net: Net) -> None:
    a, b = await net.node(), await net.node()
    for host in (a.host, b.host):
        host.lose(0.05)
    ours, theirs = await a.dial(b)
    await carry(ours, theirs, 1_000_000)
    await carry(theirs, ours, 1_000_000)


async def test_a_cut_link_is_noticed_within_ten_seconds(net: Net) -> None:
    a, b = await net.node(), await net.node()
    ours, theirs = await a.dial(b)
    await carry(ours, theirs, 100_000)
    b.host.cut()
    start = time.monotonic()

    async def write_on() -> None:
        while True:
            await ours.write(bytes(10_000))

    with pytest.raises(StreamReset, match="nothing heard"):
        async with asyncio.timeout(PATIENCE):
            await write_on()
    assert time.monotonic() - start < 10


async def test_a_visor_that_moved_is_dialled_at_its_new_address(net: Net) -> None:
    keys = key_pair()
    a = await net.node(nat=True)
    async with net.made(nat=True, keys=keys).running() as b:
        ours, _ = await a.dial(b)
        b.host.cut()  # it cannot say goodbye
        old = net.resolver.address(b.public)
    async with net.made(nat=True, keys=keys).running() as b:
        await eventually(lambda: net.resolver.address(b.public) != old)
        ours.abort()
        await carry(*await a.dial(b), 100_000)
