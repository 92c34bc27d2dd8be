"""Clocks that are far off, jump or are coarse do a route no harm."""

import asyncio
import time

import pytest

from skywire.router.route_group import RouteGroup
from skywire.testing.route_network import line
from skywire.testing.wait import eventually
from skywire.wire.liveness import PING_EVERY
from skywire.wire.packet import PacketReader, PacketType, parse_ping
from tests.router.kit import connected

YEARS = 50 * 365 * 86400.0


async def measured(ours: RouteGroup, theirs: RouteGroup) -> float:
    """The latency that the pings among many data packets give, in seconds."""
    for _ in range(PING_EVERY + 1):
        await ours.write(b"x")
        assert await theirs.read() == b"x"
    await eventually(lambda: ours.latency)
    assert ours.latency is not None
    return ours.latency[0]


@pytest.mark.parametrize("wrong", [YEARS, -YEARS, -1e12], ids=["fast", "slow", "negative"])
async def test_a_peer_whose_clock_is_far_off_is_a_peer_as_any_other(
    wrong: float,
) -> None:
    async with line(3) as net:
        net.routers[-1]._epoch += wrong
        ours, theirs = await connected(net)
        sent = net.link(2, 1).sent = []
        assert 0 < await measured(ours, theirs) < 5
        assert 0 < await measured(theirs, ours) < 5
        packets = PacketReader().receive_data(b"".join(sent))
        pings = [parse_ping(one.payload) for one in packets if one.type == PacketType.PING]
        assert pings
        assert all(abs(ping.timestamp / 1000 - time.time()) > YEARS / 2 for ping in pings)
        await ours.close()
        assert await theirs.read() == b""


async def test_latencies_are_finer_than_the_loops_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    exact = loop.time
    monkeypatch.setattr(loop, "time", lambda: int(exact() * 1000) / 1000)  # as uvloop's
    async with line(2) as net:
        latency = await measured(*await connected(net))
    assert latency > 0
    assert latency * 1000 % 1 > 1e-6


async def test_a_computers_clock_that_is_set_back_ends_no_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert 0 < await measured(ours, theirs) < 5
        more = await connected(net, 81)
        assert 0 < await measured(*more) < 5
        assert ours.is_open
        assert theirs.is_open
