"""sudph between nodes on loopback, with a resolver's UDP side: bind, push, hole punch, dial."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import (
    AuthenticationFailed,
    DialFailed,
    NotFound,
    SkywireError,
    StreamError,
    Unavailable,
)
from skywire.streams.stream import Stream
from skywire.streams.udp import open_udp
from skywire.testing.resolver import UdpResolver, udp_resolver
from skywire.testing.stream_contract import pattern, read_exactly
from skywire.testing.wait import eventually
from skywire.transport import sudph
from skywire.transport.networks import Identity
from skywire.transport.sudph import SudphNetwork
from skywire.wire.resolver import Binding
from skywire.wire.sudph import HOLE_PUNCH

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0


class Node:
    def __init__(self, resolver: UdpResolver) -> None:
        self.public, secret = key_pair()
        self.identity = Identity.of(self.public, secret)
        self.resolver = resolver
        self.network = SudphNetwork(
            self.identity,
            resolver.as_seen_by(self.public),
            resolver.udp,
            local_addresses=lambda: [LOOPBACK],
            host=LOOPBACK,
        )
        self.incoming: asyncio.Queue[Stream] = asyncio.Queue()

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

    async def accepted(self) -> Stream:
        async with asyncio.timeout(PATIENCE):
            return await self.incoming.get()


class Net:
    def __init__(self, stack: AsyncExitStack, resolver: UdpResolver) -> None:
        self._stack = stack
        self.resolver = resolver

    async def node(self) -> Node:
        return await self._stack.enter_async_context(Node(self.resolver).running())


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        resolver = await stack.enter_async_context(udp_resolver())
        yield Net(stack, resolver)


async def talk(a: Stream, b: Stream) -> None:
    data = pattern(100_000)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.write(data))
        got = tasks.create_task(read_exactly(b, len(data)))
    assert got.result() == data
    async with asyncio.timeout(PATIENCE):
        await b.write(b"thanks")
        assert await a.read() == b"thanks"


async def test_a_dial_gives_an_encrypted_stream_between_the_two_keys(net: Net) -> None:
    a, b = await net.node(), await net.node()
    ours = await a.network.dial(b.public)
    theirs = await b.accepted()
    assert (ours.local.network, ours.remote.pk, theirs.remote.pk) == ("sudph", b.public, a.public)
    await talk(ours, theirs)
    await ours.close()
    async with asyncio.timeout(PATIENCE):
        assert await theirs.read() == b""
    await theirs.close()


async def test_both_may_dial_each_other_at_once(net: Net) -> None:
    a, b = await net.node(), await net.node()
    async with asyncio.timeout(PATIENCE):
        one, two = await asyncio.gather(a.network.dial(b.public), b.network.dial(a.public))
    await talk(one, await b.accepted())
    await talk(two, await a.accepted())


async def test_visors_are_bound_and_send_heartbeats_and_unbind(net: Net) -> None:
    node = Node(net.resolver)
    async with node.running():
        assert net.resolver.bound[node.public].port == str(node.network.port)
        assert net.resolver.bound[node.public].addresses == (LOOPBACK,)
        await eventually(lambda: net.resolver.heartbeats.get(node.public))
    assert node.network.port == 0
    await eventually(lambda: node.public not in net.resolver.bound)
    with pytest.raises(Unavailable):
        await node.network.dial(key_pair()[0])


async def test_a_push_makes_the_target_punch_a_hole(net: Net) -> None:
    node = await net.node()
    dialler = await open_udp(LOOPBACK)
    punches: list[tuple[bytes, tuple[str, int]]] = []
    dialler.on_other = lambda data, source: punches.append((data, source))
    try:
        await net.resolver.push(node.public, key_pair()[0], str(dialler.address))
        await eventually(lambda: punches)
        assert punches[0] == (HOLE_PUNCH, (LOOPBACK, node.network.port))
    finally:
        await dialler.close()


async def test_a_resolver_that_lies_is_left_and_found_again(net: Net) -> None:
    node = await net.node()
    before = net.resolver.sessions[node.public]
    await before.write(b'{"PK":"x","Addr":"localhost:http"}')
    async with asyncio.timeout(PATIENCE):
        await eventually(lambda: net.resolver.sessions[node.public] is not before)
        await node.network.bound()


async def test_a_lost_session_with_the_resolver_is_renewed(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sudph, "REBIND_FIRST", 0.01)
    node = await net.node()
    before = net.resolver.sessions[node.public]
    before.abort()
    await eventually(lambda: net.resolver.sessions[node.public] is not before)
    async with asyncio.timeout(PATIENCE):
        await node.network.bound()


async def test_nobody_of_that_key_is_bound(net: Net) -> None:
    a = await net.node()
    with pytest.raises(NotFound):
        await a.network.dial(key_pair()[0])


async def test_another_key_at_the_address_is_found_out(net: Net) -> None:
    a, b = await net.node(), await net.node()
    stranger, _ = key_pair()
    net.resolver.bound[stranger] = net.resolver.bound[b.public]
    net.resolver.sessions[stranger] = net.resolver.sessions[b.public]
    with pytest.raises((AuthenticationFailed, DialFailed, StreamError)):
        await a.network.dial(stranger)
    ours = await a.network.dial(b.public)  # the listener goes on
    await talk(ours, await b.accepted())


async def test_a_silent_address_fails_within_the_handshake_time(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.transport.networks.IDENTITY_TIMEOUT", 0.2)
    a, b = await net.node(), await net.node()
    silent = sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM)
    silent.bind((LOOPBACK, 0))

    async def resolve(kind: str, remote: PubKey) -> Binding:
        return Binding(f"{LOOPBACK}:{silent.getsockname()[1]}")

    monkeypatch.setattr(a.network._resolver, "resolve", resolve)
    with pytest.raises(DialFailed, match="in time"):
        await a.network.dial(b.public)
    silent.close()


async def test_behind_the_same_nat_the_own_addresses_come_first(net: Net) -> None:
    a, b = await net.node(), await net.node()
    net.resolver.is_local = True
    net.resolver.address = lambda pk: "203.0.113.1:9"  # type: ignore[method-assign]
    net.resolver.pushes = False
    ours = await a.network.dial(b.public)
    await talk(ours, await b.accepted())


async def test_garbage_and_broken_handshakes_cost_nobody_else(net: Net) -> None:
    a, b = await net.node(), await net.node()
    stranger = await open_udp(LOOPBACK)
    to = (LOOPBACK, b.network.port)
    try:
        for datagram in (b"", b"x", b"\xff" * 23, b"\x51" * 24, bytes(1400), b"\x51" * 1500):
            stranger.send(datagram, to)
        streams = [stranger.dial(to) for _ in range(3)]
        await streams[0].write(b"GET / HTTP/1.0\r\n\r\n")
        with suppress(SkywireError):
            async with asyncio.timeout(PATIENCE):
                await streams[0].read()
        ours = await a.network.dial(b.public)
        await talk(ours, await b.accepted())
    finally:
        await stranger.close()


class Firewall:
    """A socket behind a port-restricted NAT: in comes only what answers to what went out."""

    def __init__(self, node: Node) -> None:
        udp = node.network._socket
        assert udp is not None
        self._sock = udp._sock
        self.known = {node.resolver.udp}
        self.turned_away = 0
        udp._sock = self  # type: ignore[assignment]

    def sendto(self, data: bytes, to: tuple[str, int]) -> int:
        self.known.add(to)
        return self._sock.sendto(data, to)

    def sendmsg(self, parts: list[bytes], notes: Any, flags: int, to: tuple[str, int]) -> int:
        self.known.add(to)
        return self._sock.sendmsg(parts, notes, flags, to)

    def recvmsg_into(self, buffers: list[bytearray], space: int) -> Any:
        while True:
            received = self._sock.recvmsg_into(buffers, space)
            if received[3] in self.known:
                return received
            self.turned_away += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def fileno(self) -> int:
        return self._sock.fileno()


async def test_the_push_lets_a_dialler_through_nats_on_both_sides(net: Net) -> None:
    a, b = await net.node(), await net.node()
    walls = [Firewall(a), Firewall(b)]
    async with asyncio.timeout(PATIENCE):
        ours = await a.network.dial(b.public)
        await talk(ours, await b.accepted())
    assert (LOOPBACK, a.network.port) in walls[1].known, "b has punched a hole"


async def test_without_the_push_a_nat_keeps_the_dialler_out(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.transport.networks.IDENTITY_TIMEOUT", 1.0)
    a, b = await net.node(), await net.node()
    wall = Firewall(b)
    net.resolver.pushes = False
    with pytest.raises(DialFailed, match="in time"):
        await a.network.dial(b.public)
    assert wall.turned_away >= 3, "hole punch, first segment, its repetitions"
    net.resolver.pushes = True
    async with asyncio.timeout(PATIENCE):
        await talk(await a.network.dial(b.public), await b.accepted())


async def test_a_resolver_that_says_nothing_or_goodbye_is_tried_again(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sudph, "BIND_TIMEOUT", 0.1)
    monkeypatch.setattr(sudph, "REBIND_FIRST", 0.01)
    silent = await open_udp(LOOPBACK)
    listener = silent.listen()
    node = Node(net.resolver)
    node.network._resolver_udp = (LOOPBACK, silent.address.port)
    serving = asyncio.get_running_loop().create_task(node.network.serve(node.incoming.put))
    try:
        async with asyncio.timeout(PATIENCE):
            first = await listener.accept()
            await first.read()  # and no answer
            second = await listener.accept()
            await second.close()
            await listener.accept()
        assert not node.network._bound.is_set()
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await silent.close()


async def test_heartbeats_go_on(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.wire.sudph.HEARTBEAT_INTERVAL", 20)
    node = await net.node()
    await eventually(lambda: net.resolver.heartbeats.get(node.public, 0) >= 4)


async def test_unbound_dials_go_out_as_well(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudph, "WAIT_BOUND", 0.01)
    a, b = await net.node(), await net.node()
    a.network._bound.clear()
    await talk(await a.network.dial(b.public), await b.accepted())


async def test_a_local_address_that_is_silent_gives_way_to_the_public_one(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sudph, "LOCAL_TIMEOUT", 0.1)
    a, b = await net.node(), await net.node()
    silent = await open_udp(LOOPBACK)

    async def resolve(kind: str, remote: PubKey) -> Binding:
        port = str(silent.address.port)
        return Binding(f"{LOOPBACK}:{b.network.port}", True, port, (LOOPBACK,))

    monkeypatch.setattr(a.network._resolver, "resolve", resolve)
    await talk(await a.network.dial(b.public), await b.accepted())
    await silent.close()
