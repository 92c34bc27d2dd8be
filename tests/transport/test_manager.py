"""Transports between visors in one process: dialled, accepted, replaced, withdrawn."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from skywire.errors import DialFailed, InvalidValue, NotFound
from skywire.testing.wait import eventually
from skywire.transport.link import Link
from skywire.transport.networks import in_order_of_preference
from skywire.wire import transport
from skywire.wire.packet import encode
from skywire.wire.transport import DMSG, STCP, STCPR
from tests.transport.kit import Node, net, other_end


async def test_both_ends_have_the_link_and_packets_pass_both_ways() -> None:
    async with net() as made:
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        back = await other_end(second, link)
        there, here = encode(0, 7, b"there" * 900), encode(0, 8, b"and back")
        link.send(there)
        back.send(here)
        await eventually(lambda: there in second.received and here in first.received)
        assert (link.id, link.remote, link.type) == (back.id, second.pk, STCP)
        assert link.is_up
        assert back.is_up
        assert (link.dialled, back.dialled) == (True, False)


async def test_the_acceptor_registers_it_with_both_signatures_before_the_dialler_has_it() -> None:
    async with net() as made:
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        (signed,) = made.discovery.entries.values()
        transport.verify(signed)
        assert signed.entry.id == link.id
        assert made.discovery.registrations == 1


async def test_a_second_save_gives_the_same_link() -> None:
    async with net() as made:
        first, second = await made.pair()
        links = await asyncio.gather(*(first.manager.save(second.pk, STCP) for _ in range(5)))
        assert len(set(links)) == 1
        assert await first.manager.save(second.pk, STCP) is links[0]


@pytest.mark.parametrize("dialler", [0, 1])
async def test_removing_ends_both_sides_and_the_listing(dialler: int) -> None:
    async with net() as made:
        nodes = await made.pair()
        link = await nodes[dialler].manager.save(nodes[1 - dialler].pk, STCP)
        await other_end(nodes[1 - dialler], link)
        await nodes[dialler].manager.remove(link.id)
        await eventually(
            lambda: not any(node.manager.links for node in nodes) and not made.discovery.entries
        )
        with pytest.raises(NotFound):
            await nodes[dialler].manager.remove(link.id)


async def test_what_was_sent_before_a_removal_still_arrives() -> None:
    async with net() as made:
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        packet = encode(0, 1, bytes(60_000))
        for _ in range(20):
            link.send(packet)
        await first.manager.remove(link.id)
        await eventually(lambda: len(second.received) >= 20 * len(packet))


async def _dial_both_ways(first: Node, second: Node) -> None:
    one, two = await asyncio.gather(
        first.manager.save(second.pk, STCP), second.manager.save(first.pk, STCP)
    )
    assert one.id == two.id
    marker = encode(0, 3, b"marker")

    def passes() -> bool:
        for node in (first, second):
            for link in node.manager.links.values():
                link.send(marker)
        return marker in second.received and marker in first.received

    await eventually(passes)
    assert len(first.manager.links) == len(second.manager.links) == 1
    first.data.clear()
    second.data.clear()
    await first.manager.remove(one.id)
    await eventually(lambda: not second.manager.links)


async def test_dials_from_both_sides_at_once_leave_one_link() -> None:
    async with net() as made:
        first, second = await made.pair()
        for _ in range(5):
            await _dial_both_ways(first, second)


async def test_unknown_types_our_own_key_and_nobody_there_are_refused() -> None:
    async with net() as made:
        node = await made.node()
        stranger = (await made.node()).pk
        with pytest.raises(InvalidValue, match="unknown network type"):
            await node.manager.save(stranger, "xyz")
        with pytest.raises(InvalidValue, match="this visor itself"):
            await node.manager.save(node.pk, STCP)
        del made.table[stranger]
        with pytest.raises(DialFailed, match="pk_table"):
            await node.manager.save(stranger, STCP)
        made.table[stranger] = "127.0.0.1:1"
        with pytest.raises(DialFailed, match="cannot connect"):
            await node.manager.save(stranger, STCP)
        assert not node.manager.links


async def test_a_discovery_that_is_away_stops_nothing() -> None:
    async with net() as made:
        made.discovery.away = True
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        assert link.is_up
        assert not made.discovery.entries
        await other_end(second, link)
        made.discovery.away = False
        await second.manager._registrar.check()
        assert link.id in made.discovery.entries


async def test_changes_are_told() -> None:
    async with net() as made:
        first, second = await made.pair()
        seen: list[tuple[Link, bool]] = []
        first.manager.on_change.append(lambda link: seen.append((link, link.is_up)))
        link = await first.manager.save(second.pk, STCP)
        assert seen == [(link, True)]
        await first.manager.remove(link.id)
        assert seen == [(link, True), (link, False)]


async def test_a_peer_that_dies_ends_the_link() -> None:
    async with net() as made:
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        back = await other_end(second, link)
        back._stream.abort()
        await eventually(lambda: not link.is_up and not first.manager.links)
        assert link.reason
        await eventually(lambda: not made.discovery.entries)
        again = await first.manager.save(second.pk, STCP)
        assert again.is_up
        assert again is not link


async def test_a_peer_that_answers_no_pings_is_not_dialled_again_at_once() -> None:
    async with net() as made:
        made.redial_pause = 0.5
        first, second = await made.pair()
        clock = asyncio.get_running_loop().time
        link = await first.manager.save(second.pk, STCP)
        await eventually(lambda: link.latency is not None)
        await first.manager.remove(link.id)
        begin = clock()
        link = await first.manager.save(second.pk, STCP)
        assert clock() - begin < 0.4
        link._pulse.latency = None  # as if it were a node of 2024
        link.end("cut")
        begin = clock()
        await first.manager.save(second.pk, STCP)
        assert clock() - begin >= 0.45


async def test_pongs_give_a_latency_and_its_age() -> None:
    async with net() as made:
        first, second = await made.pair()
        link = await first.manager.save(second.pk, STCP)
        assert link.bandwidth is None
        assert link.bandwidth_age is None
        await eventually(lambda: link.latency is not None)
        assert link.latency is not None
        assert 0 <= link.latency < 5
        assert link.latency_age is not None


async def test_closing_the_manager_withdraws_everything() -> None:
    async with net() as made:
        first, second = await made.pair()
        async with AsyncExitStack():
            link = await first.manager.save(second.pk, STCP)
            await first.manager.close()
        assert not link.is_up
        assert not made.discovery.entries
        await eventually(lambda: not second.manager.links)


def test_preference_is_stcpr_sudph_dmsg() -> None:
    assert in_order_of_preference({DMSG, "squicr", STCP, STCPR}) == [STCPR, DMSG]
