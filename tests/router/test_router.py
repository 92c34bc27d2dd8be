"""Packets and routes over one and more hops, in one process: forwarding, closing, faults."""

import asyncio

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
from skywire.router.ports import BACKLOG, offline
from skywire.testing import vectors
from skywire.testing.route_network import RouteNetwork, line, network
from skywire.testing.wait import eventually
from skywire.wire.packet import Packet, PacketReader, PacketType, encode
from skywire.wire.rule import Rule
from tests.router.kit import connected, outcome

KEEP = 30_000_000_000
D, C, K = PacketType.DATA, PacketType.CLOSE, PacketType.KEEP_ALIVE


def sent(net: RouteNetwork, here: int, there: int) -> list[Packet]:
    """Packets that go over the link from now on; read again to see more."""
    link = net.link(here, there)
    link.sent = link.sent or []
    return PacketReader().receive_data(b"".join(link.sent))


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
