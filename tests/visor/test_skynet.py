"""Visors with real transports and routes: what they carry, and what they survive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skywire.errors import NotFound, Refused
from skywire.pty.types import CommandExecReq
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_info, ops_ping, ops_routes, ops_transports
from skywire.visor.client import RemoteVisor
from skywire.visor.ops_ping import PingConfig
from skywire.visor.ops_transports import AddTransportIn, TransportsIn
from skywire.visor.types import PersistentTransport, to_json
from skywire.wire.rule import Rule, RuleType
from tests.visor.network import Node
from tests.visor.skynet import Skynet, exchange, key, listed, reason_of_end, reason_of_stop, skynet

PORT = 700


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


@asynccontextmanager
async def rpc(node: Node) -> AsyncIterator[RemoteVisor]:
    host, _, port = node.fact("rpc", "rpc").rpartition(":")
    async with asyncio.timeout(30), RpcClient(await dial_tcp(host, int(port))) as client:
        yield RemoteVisor(client)


async def test_a_stream_to_a_visor_two_hops_away_is_one_call(net: Skynet) -> None:
    a, b, c = await net.line()
    listener = c.visor.network.listen(PORT)
    async with asyncio.timeout(10):
        here = await a.visor.network.dial(c.pk, PORT)
        there = await listener.accept()
    assert (here.remote.pk, there.remote.pk) == (c.pk, a.pk)
    assert a.pk not in {link.remote for link in c.visor.transports.links}
    (group,) = a.visor.routes.router.groups
    assert [hop.to_pk for hop in group.path] == [b.pk, c.pk]
    assert group.encrypted
    assert len(b.visor.routes.router.rules) == 2  # one each way
    await exchange(here, there, 2 * 1024 * 1024)
    await here.close()
    assert await there.read() == b""


async def test_what_the_line_says_of_itself(net: Skynet) -> None:
    a, b, c = await net.line()
    c.visor.network.listen(PORT)
    async with asyncio.timeout(10):
        await a.visor.network.dial(c.pk, PORT)
    async with rpc(a) as visor, rpc(b) as middle:
        (shown,) = await visor.call(ops_transports.transports, TransportsIn())
        assert (shown.local_pk, shown.remote_pk, shown.type) == (a.pk, b.pk, "stcp")
        assert (shown.label, shown.is_setup, shown.log) == ("user", False, None)
        assert await visor.call(ops_transports.transport, shown.id) is not None
        only = TransportsIn(types=["dmsg"]), TransportsIn(keys=[c.pk])
        assert [await visor.call(ops_transports.transports, each) for each in only] == [[], []]
        (logged,) = await visor.call(
            ops_transports.transports, TransportsIn(["stcp"], [b.pk], True)
        )
        assert logged.log is not None
        assert logged.log.sent > 0
        assert await visor.call(ops_transports.transport_types) == ["dmsg", "stcp"]
        kept = await visor.call(ops_transports.persistent_transports)
        assert kept == [PersistentTransport(b.pk, "stcp")]

        (group,) = await visor.call(ops_routes.route_groups)
        assert [(hop.from_, hop.to) for hop in group.hops] == [
            (str(a.pk), str(b.pk)),
            (str(b.pk), str(c.pk)),
        ]
        assert (group.initiator, group.desc.src_pk, group.desc.src_port) == (True, c.pk, PORT)
        assert group.hops[0].tp_type == "stcp"
        raw = await visor.call(ops_routes.routing_rules)
        kinds = sorted(Rule.parse(rule).type for rule in raw)
        assert kinds == [RuleType.CONSUME, RuleType.FORWARD]
        passing = [Rule.parse(rule) for rule in await middle.call(ops_routes.routing_rules)]
        assert {rule.type for rule in passing} == {RuleType.INTERMEDIARY}
        one = await middle.call(ops_routes.routing_rule, passing[0].key_route_id)
        assert Rule.parse(one) == passing[0]

        summary = await visor.call(ops_info.summary)
        assert summary.overview is not None
        assert [each.id for each in summary.overview.transports] == [shown.id]
        assert summary.overview.routes_count == 2
        assert {row.rule_summary.rule_type for row in summary.routes if row.rule_summary} == {0, 1}
        assert {bytes.fromhex(row.rule) for row in summary.routes} == set(raw)
        assert to_json(summary)["routes"][0]["rule_summary"]["keep_alive"] == 30_000_000_000

        await visor.call(ops_ping.dial_ping, PingConfig(pk=c.pk))
        taken = await visor.call(ops_ping.ping, PingConfig(pk=c.pk, tries=3, size=2))
        assert len(taken) == 3
        assert all(0 < each < 5e9 for each in taken)
        await visor.call(ops_ping.stop_ping, c.pk)
        with pytest.raises(Refused, match="no route"):
            await visor.call(ops_ping.ping, PingConfig(pk=c.pk))
        with pytest.raises(Refused, match="cannot ping itself"):
            await visor.call(ops_ping.dial_ping, PingConfig(pk=a.pk))


async def test_transports_are_opened_and_closed_by_rpc(net: Skynet) -> None:
    a, b, c = await net.line()
    async with rpc(a) as visor:
        made = await visor.call(ops_transports.add_transport, AddTransportIn(c.pk, "dmsg"))
        assert (made.remote_pk, made.type, made.label) == (c.pk, "dmsg", "user")
        assert made.id in c.visor.transports.manager.links
        again = await visor.call(ops_transports.add_transport, AddTransportIn(c.pk, "dmsg"))
        assert again.id == made.id
        with pytest.raises(Refused, match="save transport: unknown network type"):
            await visor.call(ops_transports.add_transport, AddTransportIn(c.pk, "smoke"))
        with pytest.raises(Refused, match=r"save transport: .*pk_table"):
            await visor.call(ops_transports.add_transport, AddTransportIn(c.pk, "stcp"))
        await visor.call(ops_transports.remove_transport, made.id)
        await visor.call(ops_transports.remove_transport, made.id)  # no error, as in Go
        with pytest.raises(Refused, match=r"^not found$"):
            await visor.call(ops_transports.transport, made.id)
        await eventually(lambda: made.id not in c.visor.transports.manager.links)
        await visor.call(ops_transports.set_persistent_transports, [])
        await visor.call(ops_transports.remove_all_transports)
        assert await visor.call(ops_transports.transports, TransportsIn()) == []
        with pytest.raises(Refused, match="expected one of stcp"):
            await visor.call(
                ops_transports.set_persistent_transports, [PersistentTransport(b.pk, "smoke")]
            )


async def test_a_terminal_is_reached_over_the_route(net: Skynet) -> None:
    a, _, c = await net.line()
    assert c.visor.terminals is not None
    c.visor.allow_terminals([a.pk])
    request = CommandExecReq("echo", ["hello"])
    async with asyncio.timeout(20):
        for scheme in ("", "skynet"):
            result = await a.visor.execute_remotely(c.pk, 22, request, scheme)
            assert result.stdout == b"hello\n"
        assert a.visor.routes.router.groups
        before = len(a.visor.routes.router.groups)
        result = await a.visor.execute_remotely(c.pk, 22, request, "dmsg")
        assert result.stdout == b"hello\n"
        assert len(a.visor.routes.router.groups) == before


async def test_a_killed_hop_is_named_and_the_next_dial_goes_round_it(net: Skynet) -> None:
    """The hop is a process of its own, and gets SIGKILL in the middle of a transfer."""
    async with net.process("b") as b:
        a, c = await net.visor("a", "b"), await net.visor("c", "b")
        await listed(a, c)
        listener = c.visor.network.listen(PORT)
        here = await dial(a, c)
        there = await listener.accept()
        d = await net.visor("d", "a", "c")
        await listed(d)
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            written = tasks.create_task(reason_of_stop(here))
            read = tasks.create_task(there.read())
            assert await read
            ended = tasks.create_task(reason_of_end(there))
            begin = clock()
            b.kill()
        assert clock() - begin < 10
    for reason in (written.result(), ended.result()):
        assert str(key("b")) in reason
    again = await dial(a, c)
    (group,) = [each for each in a.visor.routes.router.groups if each.is_open]
    assert [hop.to_pk for hop in group.path] == [d.pk, c.pk]
    await again.close()


async def dial(here: Node, there: Node) -> Stream:
    """Tries as long as the services have not heard of everything."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await here.visor.network.dial(there.pk, PORT)
            except NotFound:
                await asyncio.sleep(0.05)


async def test_without_a_finder_the_way_is_calculated(net: Skynet) -> None:
    _, b, c = await net.line()
    routing = {
        "route_finder": "http://127.0.0.1:9",  # nobody is there
        "route_setup_nodes": net.setup_nodes,
        "automatic_transports": False,
    }
    e = await net.visor("e", "b", routing=routing)
    await listed(e)
    c.visor.network.listen(PORT)
    async with asyncio.timeout(20):
        await e.visor.network.dial(c.pk, PORT)
    (group,) = e.visor.routes.router.groups
    assert [hop.to_pk for hop in group.path] == [b.pk, c.pk]


async def test_without_any_list_the_neighbours_are_still_reached(net: Skynet) -> None:
    b = await net.visor("b")
    memory = {"discovery": "http://127.0.0.1:9", "log_store": {"type": "memory"}}
    routing = {"route_finder": "http://127.0.0.1:9", "route_setup_nodes": net.setup_nodes}
    e = await net.visor("e", "b", routing=routing, transport=memory)
    await listed(e, b)
    b.visor.network.listen(PORT)
    async with asyncio.timeout(20):
        await e.visor.network.dial(b.pk, PORT)


async def test_a_dead_setup_node_is_passed_over(tmp_path: Path) -> None:
    async with skynet(tmp_path, setup_nodes=2) as net:
        a, _, c = await net.line()
        c.visor.network.listen(PORT)
        async with asyncio.timeout(20):
            await a.visor.network.dial(c.pk, PORT)
