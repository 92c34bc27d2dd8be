"""Many rules and many routes at once."""

import asyncio
import time

import pytest

from skywire.crypto.keys import PubKey
from skywire.router.router import Router
from skywire.testing.route_network import line, network
from skywire.testing.wait import eventually
from skywire.wire.packet import Packet, PacketReader, PacketType, encode
from skywire.wire.rule import Rule
from tests.router.kit import connected
from tests.router.test_whole import PORT, whole

KEEP = 30_000_000_000
ROUTES = 5_000  # of others, with two rules each
AT_ONCE = 200


async def test_ten_thousand_rules_of_others() -> None:
    async with line(3) as net:
        router, left, right = net.routers[1], net.link(1, 0), net.link(1, 2)
        for _ in range(ROUTES):
            there, back = router.reserve_ids(2)
            rules = (
                Rule.intermediary(there, KEEP, there, right.id),
                Rule.intermediary(back, KEEP, back, left.id),
            )
            router.add_intermediary_rules([rule.encode() for rule in rules])
        assert len(router.rules) == 2 * ROUTES

        # They are in nobody's way.
        begin = time.monotonic()
        ours, theirs = await connected(net)
        for number in range(100):
            await ours.write(b"%d" % number)
            assert await theirs.read() == b"%d" % number
        router.collect_rules()
        assert time.monotonic() - begin < 5
        assert len(router.rules) == 2 * ROUTES + 2

        # Each of them works.
        right.sent = []
        data = b"".join(encode(PacketType.DATA, id, b"x") for id in range(1, 2 * ROUTES, 2))
        net.link(0, 1).send(data, ROUTES)
        await eventually(lambda: router._forwarded.value >= ROUTES)
        passed = PacketReader().receive_data(b"".join(right.sent))
        assert [one.route_id for one in passed if one.payload == b"x"] == [*range(1, 2 * ROUTES, 2)]

        # All end with their transport, and every other end is told.
        left.sent = []
        begin = time.monotonic()
        net.cut(1, 2)
        assert not len(router.rules)
        assert time.monotonic() - begin < 5
        told = PacketReader().receive_data(b"".join(left.sent))
        assert len(closes(told) & {*range(2, 2 * ROUTES + 1, 2)}) == ROUTES


def closes(packets: list[Packet]) -> set[int]:
    return {packet.route_id for packet in packets if packet.type == PacketType.CLOSE}


async def test_two_hundred_routes_in_memory_at_once() -> None:
    async with network(3, (0, 1), (1, 2)) as net:
        listener = net.routers[2].listen(PORT)

        async def take() -> None:
            for _ in range(AT_ONCE):
                stream = await listener.accept()
                assert await stream.read() == b"hello"

        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(take())
            for _ in range(AT_ONCE):
                tasks.create_task(hello(net.routers[0], net.keys[2]))


async def hello(router: Router, target: PubKey) -> None:
    await (await router.dial(target, PORT)).write(b"hello")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_two_hundred_set_ups_at_once_through_one_setup_node() -> None:
    """Dialled from both ends; `bench_setup` has the times."""
    async with whole() as made:
        one, middle, two = [await made.node() for _ in range(3)]
        await made.join(one, middle)
        await made.join(middle, two)
        await made.setup_nodes.pop().close()  # the second one
        ends = ((one, two), (two, one))
        listeners = [node.router.listen(PORT) for node in (one, two)]

        async def take(number: int) -> None:
            for _ in range(AT_ONCE // 2):
                await listeners[number].accept()

        async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
            for number, (here, there) in enumerate(ends):
                tasks.create_task(take(number))
                for _ in range(AT_ONCE // 2):
                    tasks.create_task(here.router.dial(there.public, PORT))
        groups = [*one.router.groups, *two.router.groups]
        assert (len(groups), all(group.is_open for group in groups)) == (2 * AT_ONCE, True)
        assert len(middle.router.rules) == 2 * AT_ONCE
