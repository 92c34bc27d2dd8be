"""Slow readers, slow transports, hops that die, garbage: what a route makes of them."""

import asyncio
from typing import Any

import pytest

from skywire.errors import StreamReset, Unavailable
from skywire.metrics import Registry
from skywire.router.route_group import QUEUE, RouteGroup
from skywire.testing.route_network import MemoryLink, line, network
from skywire.testing.wait import eventually
from skywire.wire.packet import PacketType, encode
from skywire.wire.rule import RouteDescriptor, Rule
from tests.router.kit import connected, outcome

KEEP = 30_000_000_000
D = PacketType.DATA


# Slow readers


async def test_a_slow_reader_stalls_no_other_group_of_its_transport() -> None:
    """The sender knows no window, as Go's: it is cut when the queue is full for a second."""
    registry = Registry()
    async with line(2, registry=registry) as net:
        slow, unread = await connected(net, 80)
        other, reading = await connected(net, 81)
        for _ in range(QUEUE + 200):
            packets, count = slow._machine.data_packets(memoryview(b"x" * 10), unread_id(slow))
            net.link(0, 1).send(packets, count)
        await other.write(b"I am quick")
        async with asyncio.timeout(3):
            assert await reading.read() == b"I am quick"
        with pytest.raises(StreamReset, match="nobody reads them"):
            async with asyncio.timeout(3):
                await slow.read()
        assert unread.is_over
        assert net.routers[1]._slow.value == 1
        received = 0
        while received < QUEUE:
            received += len(await unread.read()) // 10
        await other.write(b"still here")
        assert await reading.read() == b"still here"


def unread_id(group: RouteGroup) -> int:
    return group.rules[0].next_route_id


async def test_a_reader_that_pauses_keeps_a_sender_of_ours_waiting() -> None:
    async with line(3) as net:
        ours, theirs = await connected(net)
        writing = asyncio.ensure_future(ours.write(bytes(4 * QUEUE * 4070)))
        await asyncio.sleep(0.3)
        assert not writing.done()
        assert len(theirs._messages) < QUEUE
        received = 0
        async with asyncio.timeout(20):
            while received < 4 * QUEUE * 4070:
                received += len(await theirs.read())
            await writing
        assert net.routers[2]._slow.value == 0


async def test_a_transport_waits_for_the_next_one_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sender without a window: the intermediary stops to read while its next hop is behind."""
    async with line(3) as net:
        net.routers[1].rules.save([Rule.intermediary(5, KEEP, 6, net.link(1, 2).id)])
        slow, held = net.link(1, 2), asyncio.Event()

        async def wait() -> None:
            await held.wait()

        received = 0

        def take(link: MemoryLink, data: bytes) -> Any:
            nonlocal received
            received += len(data)
            return None if held.is_set() else wait()

        monkeypatch.setattr(net.routers[2], "handle_data", take)
        packet = encode(D, 5, bytes(65_000))
        for _ in range(100):
            net.link(0, 1).send(packet)
        await eventually(lambda: slow.congested)
        await asyncio.sleep(0.05)
        assert slow.peer._size < 1_000_000, "most waits before the intermediary"
        held.set()
        await eventually(lambda: received == 100 * len(packet))


async def test_a_transport_that_takes_nothing_ends_its_routes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skywire.router.router.CONGESTION_LIMIT", 0.2)
    async with line(3) as net:
        ours, _ = await connected(net)
        blocked = asyncio.Event()

        async def wait() -> None:
            await blocked.wait()

        monkeypatch.setattr(net.routers[2], "handle_data", lambda link, data: wait())
        writing = asyncio.ensure_future(ours.write(bytes(1 << 20)))
        async with asyncio.timeout(3):
            assert f"to {net.keys[2]}: it took no data" in await outcome(ours.read())
        await asyncio.gather(writing, return_exceptions=True)


async def test_a_writer_waits_while_its_transport_is_behind() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        there = net.link(0, 1).peer
        size, there._size = there._size, 1 << 20
        writing = asyncio.ensure_future(ours.write(b"x"))
        await asyncio.sleep(0.02)
        assert not writing.done()
        there._size = size
        net.link(0, 1).wake()
        assert await theirs.read() == b"x"
        await writing


async def test_a_transport_that_refuses_ends_the_writer() -> None:
    async with line(2) as net:
        ours, _ = await connected(net)

        def full(data: bytes | memoryview, packets: int = 1) -> None:
            raise Unavailable("4 MB are waiting")

        net.link(0, 1).send = full  # type: ignore[method-assign]
        with pytest.raises(StreamReset, match="4 MB are waiting"):
            await ours.write(b"x")
        assert net.routers[0].groups == []


# Faults


async def test_our_own_transport_down_ends_the_stream_at_once_and_names_it() -> None:
    async with line(3) as net:
        ours, _ = await connected(net)
        reading = asyncio.ensure_future(outcome(ours.read()))
        await asyncio.sleep(0)
        transport, hop = net.link(0, 1).id, net.keys[1]
        net.cut(0, 1)
        async with asyncio.timeout(0.5):
            text = await reading
        assert f"transport {transport} (memory) to {hop}: it is down" in text
        with pytest.raises(StreamReset, match=str(transport)):
            await ours.write(b"x")


async def test_a_hop_in_the_middle_dies_and_both_ends_hear_which() -> None:
    """0 ── 1 ── 2 ── 3: visor 2 dies; 1 tells 0 over the route's other direction."""
    async with line(4) as net:
        ours, theirs = await connected(net)
        reading = asyncio.ensure_future(outcome(ours.read()))
        await asyncio.sleep(0)
        lost = net.link(1, 2).id
        net.kill(2)
        async with asyncio.timeout(1):
            text = await reading
        assert f"visor {net.keys[1]}: transport {lost} (memory) to {net.keys[2]}" in text
        assert isinstance(await outcome(theirs.read()), str)
        assert len(net.routers[1].rules) == 0


async def test_a_new_dial_avoids_the_visor_that_died() -> None:
    """Two ways from 0 to 3: by 1 and by 2. The finder does not know of the fault."""
    async with network(4, (0, 1), (1, 3), (0, 2), (2, 3)) as net:
        listener = net.routers[3].listen(80)
        first = await net.routers[0].dial(net.keys[3], 80)
        (middle,) = {hop.to_pk for hop in first.path[:-1]}
        dead = net.keys.index(middle)
        net.link(dead, 3).down()  # its own links to us stay, and the finder's list stays
        async with asyncio.timeout(1):
            await outcome(first.read())
        assert middle not in net.routers[0]._dialler.avoid().visors
        assert net.routers[0]._dialler.avoid().transports == {first.path[-1].tp_id}
        net.setups.clear()
        second = await net.routers[0].dial(net.keys[3], 80)
        assert middle not in {hop.to_pk for hop in second.path}
        assert len(net.setups) == 1
        await listener.close()


async def test_a_route_that_cannot_be_set_up_is_tried_over_others() -> None:
    async with network(4, (0, 1), (1, 3), (0, 2), (2, 3)) as net:
        net.routers[3].listen(80)
        net.dead.add(1)
        group = await net.routers[0].dial(net.keys[3], 80)
        assert net.keys[2] in {hop.to_pk for hop in group.path}
        again = await net.routers[0].dial(net.keys[3], 80)
        assert net.keys[2] in {hop.to_pk for hop in again.path}
        assert net.routers[0]._dialler.avoid().visors == {net.keys[1]}


async def test_a_path_that_delivers_nothing_is_tried_no_longer_than_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skywire.wire.route_group.HANDSHAKE_LIMIT", 0.3)
    async with network(4, (0, 1), (1, 3), (0, 2), (2, 3)) as net:
        net.routers[3].listen(80)
        net.link(1, 3).mute = True
        async with asyncio.timeout(5):
            group = await net.routers[0].dial(net.keys[3], 80)
        assert net.keys[2] in {hop.to_pk for hop in group.path}


async def test_silence_ends_a_stream_and_names_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.wire.liveness.SILENCE_LIMIT", 0.4)
    monkeypatch.setattr("skywire.wire.liveness.PING_INTERVAL", 0.1)
    async with line(3) as net:
        ours, theirs = await connected(net)
        await asyncio.sleep(0.6)
        assert not ours.is_over, "pings keep it alive"
        for a, b in ((1, 2), (2, 1)):
            net.link(a, b).mute = True
        async with asyncio.timeout(3):
            with pytest.raises(StreamReset, match="nothing came for") as caught:
                await ours.read()
            assert str(net.keys[1]) in str(caught.value)
            with pytest.raises(StreamReset, match="nothing came for"):
                await theirs.read()
        assert net.routers[0]._dialler.avoid().visors == {net.keys[1]}


async def test_latency_and_bandwidth_have_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.wire.liveness.PING_INTERVAL", 0.1)
    async with line(3) as net:
        ours, theirs = await connected(net)
        assert ours.latency is None
        await ours.write(bytes(100_000))
        for _ in range(25):
            await theirs.read()
        await eventually(lambda: ours.latency and ours.upload and theirs.download)
        assert ours.latency is not None
        latency, age = ours.latency
        assert 0 <= latency < 1
        assert 0 <= age < 1
        await asyncio.sleep(0.7)
        assert theirs.download is not None


async def test_a_cancelled_dial_leaves_nothing_behind() -> None:
    async with line(2) as net:
        net.link(0, 1).mute = True
        dialling = asyncio.ensure_future(net.routers[0].dial(net.keys[1], 80))
        await eventually(lambda: net.routers[0].groups)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        assert net.routers[0].groups == []
        assert len(net.routers[0].rules) == 0
        assert net.routers[0].ports._ephemeral == set()


async def test_any_bytes_on_a_transport_do_no_harm() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        descriptor = RouteDescriptor(net.keys[0], net.keys[1], 5, 6)
        net.routers[1].rules.save([Rule.consume(77, KEEP, descriptor)])
        for seed in range(300):
            kind, id = seed % 9, (77, 0, 2**32 - 1)[seed % 3]
            net.link(0, 1).send(encode(kind, id, bytes([seed % 256]) * (seed % 40)))
        await ours.write(b"fine")
        assert await theirs.read() == b"fine"


async def test_a_bad_frame_ends_one_group_only() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net, 80)
        other, well = await connected(net, 81)
        net.link(0, 1).send(encode(D, theirs.rules[1].key_route_id, bytes(50)))
        with pytest.raises(StreamReset, match="noise frame"):
            await theirs.read()
        with pytest.raises(StreamReset):
            await ours.read()
        await other.write(b"x")
        assert await well.read() == b"x"


async def test_closing_a_router_tells_its_peers() -> None:
    async with line(3) as net:
        ours, _ = await connected(net)
        await net.routers[2].close()
        async with asyncio.timeout(3):
            assert await ours.read() == b""
