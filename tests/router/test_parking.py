"""Parked packets: the acceptance rows of update-2026-06-12.md 3085, and the order guarantee."""

import asyncio

from skywire.crypto.generate import deterministic_key_pair
from skywire.router.parking import (
    KINDS,
    LIFETIME,
    MAX_PARKED,
    MAX_PER_DESCRIPTOR,
    SWEEP_INTERVAL,
    Parking,
)
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.testing.route_network import RouteNetwork, line
from skywire.testing.wait import eventually
from skywire.wire.packet import Packet, PacketType, encode
from skywire.wire.rule import RouteDescriptor, Rule

A = deterministic_key_pair(b"a")[0]
B = deterministic_key_pair(b"b")[0]
X = RouteDescriptor(A, B, 49153, 80)
Y = RouteDescriptor(A, B, 49154, 80)
PAUSE = 0.2  # seconds between rules and registration


def data(number: int) -> Packet:
    return Packet(PacketType.DATA, 1, number.to_bytes(2, "big"))


def taken(parking: Parking, descriptor: RouteDescriptor, now: float = 1.0) -> list[Packet]:
    got: list[Packet] = []
    parking.release(descriptor, now, got.append)
    return got


class Late(RouteNetwork):
    """Rules are there at once, the responder's group only `PAUSE` later."""

    async def set_up(self, route: BidirectionalRoute) -> EdgeRules:
        responder = self.routers[-1]
        register = responder.add_edge_rules

        def late(rules: EdgeRules) -> None:
            responder.rules.save((Rule.parse(rules.forward), Rule.parse(rules.reverse)))
            asyncio.get_running_loop().call_later(PAUSE, register, rules)

        responder.add_edge_rules = late  # type: ignore[method-assign]
        try:
            return await super().set_up(route)
        finally:
            responder.add_edge_rules = register  # type: ignore[method-assign]


async def test_a_the_responder_registers_late_and_nothing_is_sent_twice() -> None:
    net = Late(2, {})
    net.join(0, 1)
    sent = net.link(0, 1).sent = []
    begin = asyncio.get_running_loop().time()
    listener = net.routers[1].listen(80)
    try:
        stream = await net.routers[0].dial(net.keys[1], 80)
        assert PAUSE <= asyncio.get_running_loop().time() - begin < 0.5  # no repeated handshake
        await stream.write(b"x")
        assert await (await listener.accept()).read() == b"x"
        assert sum(packet[0] == PacketType.HANDSHAKE for packet in sent) == 1
    finally:
        for router in net.routers:
            await router.close()
        await net.tasks.close()


async def test_b_the_initiator_registers_late_and_the_responders_packet_waits() -> None:
    async with line(2) as net:
        initiator, link = net.routers[0], net.link(1, 0)
        net.routers[1].listen(80)
        rules = await net.set_up(
            BidirectionalRoute(
                RouteDescriptor(net.keys[0], net.keys[1], 49153, 80).encode(),
                30_000_000_000,
                net.path(0, 1),
                net.path(1, 0),
            )
        )
        consume = Rule.parse(rules.reverse)
        initiator.rules.save((Rule.parse(rules.forward), consume))
        link.send(encode(PacketType.HANDSHAKE, consume.key_route_id, b"\x01"))
        await asyncio.sleep(PAUSE)
        assert len(initiator.parking) == 1
        begin = asyncio.get_running_loop().time()
        async with asyncio.timeout(5):
            group = await initiator.open_group(rules, net.path(0, 1))
        assert group.encrypted
        assert asyncio.get_running_loop().time() - begin < 0.5
        assert len(initiator.parking) == 0


async def test_c_a_packet_whose_group_never_comes_is_gone_after_three_seconds() -> None:
    async with line(2) as net:
        router = net.routers[1]
        router.rules.save([Rule.consume(9, 30_000_000_000, X._replace(dst_pk=net.keys[1]))])
        net.link(0, 1).send(encode(PacketType.DATA, 9, b"x"))
        await eventually(lambda: len(router.parking) == 1)
        await eventually(lambda: len(router.parking) == 0, limit=LIFETIME + SWEEP_INTERVAL)
        assert router.parking.descriptors == 0


async def test_d_seventeen_packets_of_one_descriptor() -> None:
    async with line(2) as net:
        router = net.routers[1]
        router.rules.save([Rule.consume(9, 30_000_000_000, X._replace(dst_pk=net.keys[1]))])
        for number in range(17):
            net.link(0, 1).send(encode(PacketType.DATA, 9, bytes([number])))
        await eventually(lambda: len(router.parking) == MAX_PER_DESCRIPTOR)
        await eventually(lambda: router.dropped["no_group"] == 1)


def test_e_the_limit_for_all_and_room_after_a_sweep() -> None:
    parking = Parking()
    descriptors = [X._replace(src_port=port) for port in range(65)]
    for number in range(MAX_PARKED):
        assert parking.park(descriptors[number // 16], data(number), now=0.0)
    assert not parking.park(descriptors[64], data(0), now=0.0)
    assert parking.sweep(now=LIFETIME - 0.1) == 0
    assert parking.sweep(now=LIFETIME) == MAX_PARKED
    assert (len(parking), parking.descriptors) == (0, 0)
    assert parking.park(descriptors[64], data(0), now=LIFETIME)


def test_f_released_in_order_and_once() -> None:
    parking = Parking()
    packets = [data(number) for number in range(3)]
    for packet in packets:
        parking.park(X, packet, now=0.0)
    assert taken(parking, X) == packets
    assert taken(parking, X) == []


async def test_g_a_close_is_never_parked() -> None:
    parking = Parking()
    for kind in range(9):
        assert parking.park(X, Packet(kind, 1, b"\0" * 16), now=0.0) is (kind in KINDS)
    async with line(2) as net:
        router = net.routers[1]
        router.rules.save([Rule.consume(9, 30_000_000_000, X._replace(dst_pk=net.keys[1]))])
        net.link(0, 1).send(encode(PacketType.CLOSE, 9, b"\0"))
        await eventually(lambda: len(router.rules) == 0)  # handled as before
        assert len(router.parking) == 0


def test_h_other_descriptors_are_left_alone() -> None:
    parking = Parking()
    parking.park(X, data(1), now=0.0)
    assert taken(parking, Y) == []
    assert taken(parking, X) == [data(1)]


async def test_i_each_packet_is_delivered_once_or_refused() -> None:
    parking = Parking()
    delivered: list[Packet] = []
    refused: list[Packet] = []

    async def park(number: int) -> None:
        await asyncio.sleep(number % 7 / 1000)
        if not parking.park(X, data(number), now=0.0):
            refused.append(data(number))

    async def take(number: int) -> None:
        await asyncio.sleep(number % 5 / 1000)
        parking.release(X, 1.0, delivered.append)

    async with asyncio.TaskGroup() as tasks:
        for number in range(100):
            tasks.create_task(park(number))
            tasks.create_task(take(number))
    parking.release(X, 1.0, delivered.append)
    assert sorted(delivered + refused) == [data(number) for number in range(100)]


def test_packets_that_come_during_the_replay_do_not_overtake() -> None:
    parking = Parking()
    got: list[Packet] = []

    def deliver(packet: Packet) -> None:
        assert parking.holds_back(X)
        assert parking.release(X, 1.0, got.append) == 0, "one replay at a time"
        got.append(packet)
        if packet == data(1):  # delivering it makes the peer answer at once
            assert parking.park(X, data(4), now=1.0)

    for number in (1, 2, 3):
        parking.park(X, data(number), now=0.0)
    assert parking.release(X, 1.0, deliver) == 4
    assert got == [data(1), data(2), data(3), data(4)]
    assert not parking.holds_back(X)


def test_an_expired_packet_is_not_delivered() -> None:
    parking = Parking()
    parking.park(X, data(1), now=0.0)
    parking.park(X, data(2), now=1.0)
    assert taken(parking, X, now=LIFETIME) == [data(2)]
    assert len(parking) == 0


async def test_closing_the_router_drops_everything() -> None:
    async with line(2) as net:
        router = net.routers[1]
        router.parking.park(X, data(1), now=asyncio.get_running_loop().time())
        await router.close()
        assert len(router.parking) == 0
