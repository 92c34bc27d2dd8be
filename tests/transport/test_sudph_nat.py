"""sudph between network namespaces: real NATs, loss, delay, a cut link, a moved address."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import DialFailed, StreamReset
from skywire.testing.wait import eventually
from tests.transport.internet import NEEDS, PATIENCE, Net, carry, internet

pytestmark = NEEDS


@pytest.fixture
async def net(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Net]:
    async with internet(monkeypatch) as made:
        yield made


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


async def test_a_long_way_costs_time_and_nothing_else(net: Net) -> None:
    a, b = await net.node(nat=True, delay=0.05), await net.node()
    for host in (a.host, b.host):
        host.lose(0.02)
    begin = time.monotonic()
    ours, theirs = await a.dial(b)
    assert time.monotonic() - begin > 0.3  # hole punch, identity, Noise: three times there and back
    await carry(ours, theirs, 500_000)
    await carry(theirs, ours, 500_000)


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
