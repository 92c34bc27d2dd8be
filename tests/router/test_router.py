"""Packets and routes over one and more hops, in one process: forwarding, closing, faults."""

import asyncio
from typing import Any

import pytest

from skywire.errors import (
    Conflict,
    DialFailed,
    InvalidValue,
    NotFound,
    StreamClosed,
    StreamReset,
    Unavailable,
)
from skywire.metrics import Registry
from skywire.router.ports import BACKLOG, offline
from skywire.router.route_group import QUEUE, RouteGroup
from skywire.testing import vectors
from skywire.testing.route_network import MemoryLink, RouteNetwork, line, network
from skywire.testing.wait import eventually
from skywire.wire.packet import Packet, PacketReader, PacketType, encode
from skywire.wire.rule import RouteDescriptor, Rule
from tests.router.kit import connected

KEEP = 30_000_000_000
D, C, K = PacketType.DATA, PacketType.CLOSE, PacketType.KEEP_ALIVE


def sent(net: RouteNetwork, here: int, there: int) -> list[Packet]:
    """Packets that go over the link from now on; read again to see more."""
    link = net.link(here, there)
    link.sent = link.sent or []
    return PacketReader().receive_data(b"".join(link.sent))


async def outcome(work: Any) -> Any:
    try:
        return await work
    except StreamReset as error:
        return str(error)


# Streams


@pytest.mark.parametrize("visors", [2, 3, 5])
async def test_an_encrypted_stream_over_hops(visors: int) -> None:
    async with line(visors) as net:
        ours, theirs = await connected(net)
        assert ours.encrypted
        assert (ours.remote, ours.local) == (theirs.local, theirs.remote)
        assert ours.remote.pk == net.keys[-1]
        await ours.write(b"hello")
        assert await theirs.read() == b"hello"
        await theirs.write(b"world")
        assert await ours.read() == b"world"
        await ours.close()
        assert await theirs.read() == b""
        await eventually(lambda: not any(len(router.rules) for router in net.routers))
        assert not any(router.groups for router in net.routers)


async def test_one_write_is_one_read_and_reads_never_join_two() -> None:
    async with line(3) as net:
        ours, theirs = await connected(net)
        for size in (1, 4070, 100, 4069):
            await ours.write(b"x" * size)
        assert [len(await theirs.read()) for _ in range(4)] == [1, 4070, 100, 4069]
        await ours.write(b"y" * 5000)
        assert [len(await theirs.read()) for _ in range(2)] == [4070, 930]
        await ours.write(b"abcdef")
        assert [await theirs.read(4), await theirs.read(4)] == [b"abcd", b"ef"]


async def test_nobody_reads_what_is_said_in_between() -> None:
    async with line(3) as net:
        ours, theirs = await connected(net)
        sent(net, 1, 2)
        await ours.write(b"a secret of ours")
        await theirs.read()
        (packet,) = sent(net, 1, 2)
        assert packet.type == D
        assert b"secret" not in packet.payload


async def test_many_routes_at_once() -> None:
    async with line(3) as net:
        listener = net.routers[2].listen(80)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            dials = [
                tasks.create_task(net.routers[0].dial(net.keys[2], 80)) for _ in range(BACKLOG)
            ]
        groups = [dial.result() for dial in dials]
        assert len({group.local.port for group in groups}) == BACKLOG
        for group in groups:
            await group.write(group.local.port.to_bytes(2, "big"))
        for _ in groups:
            theirs = await listener.accept()
            assert int.from_bytes(await theirs.read(), "big") == theirs.remote.port


# Refusals


@pytest.mark.parametrize(
    ("port", "text"),
    [(44, "no listener on port 44, vpn-server offline"), (77, offline(77))],
)
async def test_a_port_without_listener_is_told_after_a_pause(port: int, text: str) -> None:
    async with line(3) as net:
        sent(net, 2, 1)
        begin = asyncio.get_running_loop().time()
        group = await net.routers[0].dial(net.keys[2], port)
        with pytest.raises(StreamReset, match=text):
            await group.read()
        assert asyncio.get_running_loop().time() - begin >= 0.1
        assert [packet.type for packet in sent(net, 2, 1)][-2:] == [PacketType.ERROR, C]
        with pytest.raises(StreamReset, match=text):
            await group.write(b"x")
        await eventually(lambda: not any(router.groups for router in net.routers))
        assert net.routers[0].rules.all() == net.routers[2].rules.all() == []


async def test_a_full_backlog_is_told() -> None:
    async with line(2) as net:
        net.routers[1].listen(80)
        for _ in range(BACKLOG):
            await net.routers[0].dial(net.keys[1], 80)
        group = await net.routers[0].dial(net.keys[1], 80)
        with pytest.raises(StreamReset, match="too many wait"):
            await group.read()


async def test_listeners_and_their_ports() -> None:
    async with line(2) as net:
        router = net.routers[1]
        listener = router.listen(80)
        with pytest.raises(Conflict, match="80"):
            router.listen(80)
        for port in (0, 65536):
            with pytest.raises(InvalidValue):
                router.listen(port)
        accepting = asyncio.ensure_future(listener.accept())
        group = await net.routers[0].dial(net.keys[1], 80)
        await accepting
        waiting = asyncio.ensure_future(listener.accept())
        left = await net.routers[0].dial(net.keys[1], 80)
        await waiting
        unheard = await net.routers[0].dial(net.keys[1], 80)
        await asyncio.sleep(0.01)
        more = asyncio.ensure_future(listener.accept())
        assert (await more).remote.port == unheard.local.port
        await listener.close()
        await listener.close()
        with pytest.raises(StreamClosed):
            await listener.accept()
        router.listen(80)
        assert group.local.port + 2 == left.local.port + 1 == unheard.local.port


async def test_dials_that_cannot_be() -> None:
    async with network(3, (0, 1)) as net:
        router = net.routers[0]
        with pytest.raises(InvalidValue, match="oneself"):
            await router.dial(net.keys[0], 80)
        with pytest.raises(InvalidValue, match="65536"):
            await router.dial(net.keys[1], 65536)
        with pytest.raises(NotFound, match="no path"):
            await router.dial(net.keys[2], 80)
        with pytest.raises(DialFailed, match="no transport found"):
            await net.routers[2].dial(net.keys[0], 80)
        net.dead.add(1)
        with pytest.raises(DialFailed, match="no such visor"):
            await router.dial(net.keys[1], 80)
        assert router.ports._ephemeral == set()


# Packets, one by one


async def test_what_the_recorded_intermediary_did() -> None:
    """Key 70 → next 77, back over the same transport."""
    case = vectors.load("routing/route_group_session")[-1]
    async with line(2) as net:
        net.routers[1].rules.save([Rule.intermediary(70, KEEP, 77, net.link(1, 0).id)])
        sent(net, 1, 0)
        packets = [event for event in case["events"] if "dir" in event]
        for together in (False, True):
            for event in packets:
                if event["dir"] == "peer->reference" and not together:
                    net.link(0, 1).send(bytes.fromhex(event["packet"]))
            wanted = b"".join(
                bytes.fromhex(event["packet"])
                for event in packets
                if event["dir"] == "reference->peer"
            )
            await eventually(lambda: b"".join(net.link(1, 0).sent or []) == wanted)  # noqa: B023
        assert len(net.routers[1].rules) == 0
        assert net.routers[1].dropped["no_rule"] == 1


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (encode(D, 99, b"x"), "no_rule"),
        (encode(D, 1, b""), "malformed"),
        (encode(PacketType.HANDSHAKE, 1, b""), "malformed"),
        (encode(C, 1, b""), "malformed"),
        (encode(PacketType.PING, 1, bytes(15)), "malformed"),
        (encode(PacketType.PONG, 1, bytes(8)), "malformed"),
        (encode(17, 1, bytes(8)), "unknown_type"),
        (encode(255, 1, b""), "unknown_type"),
    ],
)
async def test_packets_that_make_no_sense_cost_nothing_but_a_count(
    packet: bytes, reason: str
) -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        consume = theirs.rules[1].key_route_id
        raw = bytearray(packet)
        if raw[1:5] == b"\0\0\0\1":
            raw[1:5] = consume.to_bytes(4, "big")
        net.link(0, 1).send(bytes(raw))
        await eventually(lambda: net.routers[1].dropped[reason] == 1)
        await ours.write(b"still there")
        assert await theirs.read() == b"still there"


async def test_a_dead_rule_forwards_nothing_and_packets_keep_it_alive() -> None:
    async with line(3) as net:
        keep = 150_000_000
        net.routers[1].rules.save([Rule.intermediary(5, keep, 6, net.link(1, 2).id)])
        sent(net, 1, 2)
        for _ in range(6):
            net.link(0, 1).send(encode(K, 5))
            await asyncio.sleep(0.05)
        assert len(sent(net, 1, 2)) == 6
        await asyncio.sleep(0.2)
        net.link(0, 1).send(encode(K, 5))
        await eventually(lambda: net.routers[1].dropped["no_rule"] == 1)
        net.routers[1].collect_rules()
        assert len(net.routers[1].rules) == 0


async def test_packets_that_cannot_be_sent_end_their_route() -> None:
    async with line(3) as net:
        rules = net.routers[1].rules
        rules.save([Rule.intermediary(5, KEEP, 6, net.link(1, 2).id)])
        net.link(1, 2).is_up = False
        net.link(0, 1).send(encode(C, 5, b"\0"))
        await eventually(lambda: net.routers[1].dropped["no_transport"] == 1)
        rules.save([Rule.intermediary(5, KEEP, 6, net.link(1, 2).id)])
        net.link(0, 1).send(encode(D, 5, b"x"))
        await eventually(lambda: net.routers[1].dropped["no_transport"] == 2)
        assert len(rules) == 0, "a route does not go on with a hole in it"


async def test_a_route_whose_packets_are_lost_ends_and_its_ends_are_told() -> None:
    async with line(3) as net:
        ours, _ = await connected(net)
        reading = asyncio.ensure_future(outcome(ours.read()))

        def full(data: bytes | memoryview, packets: int = 1) -> None:
            raise Unavailable("4 MB are waiting")

        net.link(1, 2).send = full  # type: ignore[method-assign]
        await ours.write(b"lost")
        async with asyncio.timeout(1):
            assert f"visor {net.keys[1]}: transport {net.link(1, 2).id} took no data" in (
                await reading
            )
        assert len(net.routers[1].rules) == 0


async def test_a_dead_consume_rule_closes_its_group() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        net.routers[1].rules.entries[theirs.rules[1].key_route_id].expires = 0.0
        net.routers[1].collect_rules()
        async with asyncio.timeout(5):
            assert await ours.read() == b""
        await eventually(lambda: theirs.is_over)


async def test_a_close_for_a_forward_rule_removes_it_and_nothing_else() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        rules = net.routers[1].rules
        forward = theirs.rules[0].key_route_id
        net.link(0, 1).send(encode(K, forward))
        net.link(0, 1).send(encode(C, forward, b"\0"))
        await eventually(lambda: forward not in rules.entries)
        await theirs.write(b"the group has its own copy")
        assert await ours.read() == b"the group has its own copy"


async def test_a_close_reaches_a_group_that_is_still_set_up() -> None:
    async with line(2) as net:
        net.link(0, 1).mute = True  # our handshake never arrives
        dialling = asyncio.ensure_future(net.routers[0].dial(net.keys[1], 80))
        await eventually(lambda: net.routers[0].groups)
        (group,) = net.routers[0].groups
        net.link(1, 0).send(encode(C, group.rules[1].key_route_id, b"\0"))
        await eventually(lambda: group.is_over)
        assert "while it was set up" in group.error
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)


async def test_a_new_group_replaces_the_old_one_of_its_descriptor() -> None:
    """The initiator has restarted and counts its ports from the start again."""
    async with line(2) as net:
        listener = net.routers[1].listen(80)
        old = await net.routers[0].dial(net.keys[1], 80)
        theirs = await listener.accept()
        net.link(0, 1).mute = True
        old.abort()
        net.link(0, 1).mute = False
        net.routers[0].ports._last -= 1
        new = await net.routers[0].dial(net.keys[1], 80)
        assert new.local == old.local
        fresh = await listener.accept()
        assert theirs.is_over
        await new.write(b"x")
        assert await fresh.read() == b"x"
        assert net.routers[1].groups == [fresh]


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
