"""Pings over real routes: to nodes that answer, to those of 2024, hop by hop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, Refused, RemoteProtocolError, StreamReset
from skywire.ports import SKYNET_PING, SKYNET_PING_2024
from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from skywire.transport.service_directory import ServiceDirectory
from skywire.visor import ops_ping, pings
from skywire.visor.ops_ping import PingConfig, TracePingIn
from tests.visor.network import Node
from tests.visor.skynet import Skynet, key, listed, skynet
from tests.visor.test_skynet import rpc

LIMIT = 30.0


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


async def forget_echo(node: Node) -> None:
    """What makes it a node of 2024, as far as pings go."""
    listener = node.visor.routes.router.ports.listener(SKYNET_PING)
    assert listener is not None
    await listener.close()


async def test_each_hop_of_a_route_is_told(net: Skynet) -> None:
    a, b, c = await net.line()
    link = a.visor.transports.links[0]
    async with asyncio.timeout(LIMIT), rpc(a) as visor:
        trace = await visor.call(ops_ping.trace_ping, TracePingIn(pk=c.pk, tries=3, size=2))
        assert len(trace.taken) == 3
        assert min(trace.taken) > 0
        assert [(hop.from_pk, hop.to_pk) for hop in trace.hops] == [(a.pk, b.pk), (b.pk, c.pk)]
        assert [hop.type for hop in trace.hops] == ["stcp", "stcp"]
        first, second = trace.hops
        assert link.latency is not None
        assert first.latency_ms == pytest.approx(link.latency * 1000, abs=50)
        assert first.age_s > 0  # the transport's own figure
        assert (second.age_s, second.latency_ms >= 0) == (0, True)  # of now
        assert 0 < first.round_trip_ms < 1000
        await eventually(lambda: not a.visor.routes.router.groups)


async def test_a_route_leads_over_the_visor_that_is_asked_for(net: Skynet) -> None:
    a, b, c = await net.line()
    d = await net.visor("d", "a", "c")
    await listed(d)
    async with asyncio.timeout(LIMIT), rpc(a) as visor:
        for between in (b, d):
            asked = TracePingIn(pk=c.pk, via=between.pk)
            trace = await visor.call(ops_ping.trace_ping, asked)
            assert [hop.to_pk for hop in trace.hops] == [between.pk, c.pk]
        far = TracePingIn(pk=b.pk, via=c.pk)  # the long way round
        trace = await visor.call(ops_ping.trace_ping, far)
        assert [hop.to_pk for hop in trace.hops] == [d.pk, c.pk, b.pk]
        for via in (a.pk, c.pk):
            with pytest.raises(Refused, match="a visor between"):
                await visor.call(ops_ping.trace_ping, TracePingIn(pk=c.pk, via=via))
        with pytest.raises(Refused, match=str(key("nobody"))):
            await visor.call(ops_ping.trace_ping, TracePingIn(pk=c.pk, via=key("nobody")))


async def test_a_node_of_2024_is_pinged_by_a_route_that_leads_back(net: Skynet) -> None:
    a, b, c = await net.line()
    for node in (b, c):
        await forget_echo(node)
    async with asyncio.timeout(LIMIT), rpc(a) as visor:
        await visor.call(ops_ping.dial_ping, PingConfig(pk=c.pk))
        loops = [group for group in a.visor.routes.router.groups if group.is_open]
        assert {group.remote.pk for group in loops} == {a.pk}
        assert len(loops) == 2  # its two ends
        there = next(group for group in loops if group.initiator)
        assert [hop.to_pk for hop in there.path] == [b.pk, c.pk, b.pk, a.pk]
        taken = await visor.call(ops_ping.ping, PingConfig(pk=c.pk, tries=3, size=64))
        assert len(taken) == 3
        await visor.call(ops_ping.stop_ping, c.pk)
        await eventually(lambda: not a.visor.routes.router.groups)
        trace = await visor.call(ops_ping.trace_ping, TracePingIn(pk=c.pk))
        assert [hop.to_pk for hop in trace.hops] == [b.pk, c.pk]
        assert all(hop.round_trip_ms > 0 for hop in trace.hops)
    assert not a.visor.pings._far_ends


async def test_the_far_end_of_a_loop_is_for_ourselves_only(net: Skynet) -> None:
    a, b, _ = await net.line()
    async with asyncio.timeout(LIMIT):
        stream = await a.visor.network.dial(b.pk, SKYNET_PING_2024)
        with pytest.raises(StreamReset):
            await stream.read()


async def test_ones_own_key_is_refused_with_the_texts_of_2024(net: Skynet) -> None:
    a = await net.visor("a")
    async with asyncio.timeout(LIMIT), rpc(a) as visor:
        for call in (
            visor.call(ops_ping.dial_ping, PingConfig(pk=a.pk)),
            visor.call(ops_ping.trace_ping, TracePingIn(pk=a.pk)),
        ):
            with pytest.raises(Refused) as caught:
                await call
            assert caught.value.reason == "Visor cannot ping itself"


async def test_a_visor_that_answers_nothing_or_nonsense(
    net: Skynet, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = await net.line()
    await forget_echo(b)
    listener, tasks = b.visor.network.listen(SKYNET_PING), Tasks("bad echo")
    monkeypatch.setattr(pings, "ECHO_LIMIT", 0.3)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(DialFailed, match="answers no pings"):
            await a.visor.pings.dial(b.pk)

        async def lie() -> None:
            await (await listener.accept()).close()  # the silent one
            await (await listener.accept()).write(b"OK")

        tasks.spawn(lie())
        with pytest.raises(RemoteProtocolError, match="something else"):
            await a.visor.pings.dial(b.pk)
        await tasks.close()
        assert a.visor.pings._routes == {}


@pytest.mark.parametrize(("tries", "size"), [(101, 0), (-1, 0), (1, 65), (1, -1)])
async def test_too_much_is_refused(net: Skynet, tries: int, size: int) -> None:
    a = await net.visor("a")
    with pytest.raises(InvalidValue, match="expected 1 to 100 of 0 to 64"):
        await a.visor.pings.trace(key("b"), tries, size)


async def test_public_visors_are_tested(net: Skynet, monkeypatch: pytest.MonkeyPatch) -> None:
    b = await net.visor("b")
    a = await net.visor("a", "b", launcher={"service_discovery": net.urls["sd"]})
    await listed(a, b)
    asked = PingConfig(tries=2, public_visors=3)
    async with asyncio.timeout(LIMIT), rpc(a) as visor:
        assert await visor.call(ops_ping.test_visor, asked) == []
        with pytest.raises(Refused, match="0 visors to test"):
            await visor.call(ops_ping.test_visor, PingConfig())

        async def public(self: ServiceDirectory, quantity: int) -> list[PubKey]:
            assert quantity == 4  # one of them may be ourselves
            return [a.pk, b.pk, b.pk, key("nobody")]

        monkeypatch.setattr(ServiceDirectory, "public_visors", public)
        there, nobody = await visor.call(ops_ping.test_visor, asked)
        assert (there.pk, there.status) == (str(b.pk), "Success")
        assert 0 < float(there.min) <= float(there.mean) <= float(there.max)
        assert (nobody.pk, nobody.max) == (str(key("nobody")), "0")
        assert nobody.status.startswith("Failed: ")


async def test_a_visor_without_service_discovery_tests_none(net: Skynet) -> None:
    a = await net.visor("a")
    async with rpc(a) as visor:
        with pytest.raises(Refused, match="no service discovery"):
            await visor.call(ops_ping.test_visor, PingConfig(public_visors=3))
