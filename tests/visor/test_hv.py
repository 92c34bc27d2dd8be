"""Hypervisors in a line, A → B → C: lists, and what A does to C. Source: hypervisor.md §7, §10."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, NotSupported, SkywireError
from skywire.visor import ops_hv, ops_transports
from skywire.visor.ops_hv import (
    HVAddTransport,
    HVRemoveRoutingRule,
    HVRemoveTransport,
    HVSetBool,
    HVSetDmsgSessionsCount,
    HVSetMinHops,
    HVSetMuxRoutes,
    HVSetRewardAddress,
)
from skywire.visor.types import BuildInfo, HealthInfo, LoadStats, Overview, Summary, to_json
from skywire.visor.types_managed import HVVisorEntry, HVVisorTree
from tests.visor.lines import Line, key
from tests.visor.lines import line as make_line
from tests.visor.test_skynet_api import api_of

A, B, C, D = map(key, "abcd")
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with make_line(tmp_path, "a", "b", "c") as made:
        yield made


async def test_all_are_listed_from_afar(line: Line) -> None:
    async with asyncio.timeout(20):
        direct = await ops_hv.list_direct_visors(line["a"].visor)
        assert [(entry.pk, entry.is_local, entry.online) for entry in direct] == [
            (A, True, True),
            (B, False, True),
        ]
        assert direct[1].load is not None
        flat = await until_listed(line, C)
        assert [(entry.pk, entry.proxied_via) for entry in flat] == [(A, None), (B, None), (C, B)]
        tree = await ops_hv.list_visors_tree(line["a"].visor)
    assert [(section.hypervisor_pk, section.via_chain) for section in tree.sections] == [
        (A, []),
        (B, [A]),
    ]
    assert [entry.pk for entry in tree.sections[1].visors] == [B, C]


async def until_listed(line: Line, pk: PubKey) -> list[HVVisorEntry]:
    """The flat list of A once `pk` is on it."""
    while True:
        flat = await ops_hv.list_visors(line["a"].visor)
        if any(entry.pk == pk for entry in flat):
            return flat
        await asyncio.sleep(0.1)


async def test_what_is_asked_of_one_behind_takes_effect_there(line: Line) -> None:
    visor, far = line["a"].visor, line["c"].visor
    async with asyncio.timeout(30):
        summary = await ops_hv.summary_of(visor, C)
        assert summary.overview is not None
        assert summary.overview.local_pk == C
        await ops_hv.set_min_hops_of(visor, HVSetMinHops(C, 2))
        assert far.config.routing.min_hops == 2
        await ops_hv.set_calculate_routes_of(visor, HVSetBool(C, True))
        assert far.config.routing.calculate_routes
        await ops_hv.set_public_autoconnect_of(visor, HVSetBool(C, False))
        assert not far.config.transport.public_autoconnect
        await ops_hv.set_dmsg_sessions_of(visor, HVSetDmsgSessionsCount(C, 3))
        assert far.config.dmsg.sessions_count == 3
        await ops_hv.dmsg_connect_all_of(visor, C)
        assert len(await ops_hv.dmsg_sessions_of(visor, C)) == 1
        assert await ops_hv.set_reward_address_of(visor, HVSetRewardAddress(C, ADDRESS)) == ADDRESS
        assert far.reward.get() == ADDRESS
        made = await ops_hv.add_transport_of(visor, HVAddTransport(C, A, "dmsg", "user"))
        assert (made.local_pk, made.remote_pk) == (C, A)
        assert len(await ops_transports.transports(far, ops_transports.TransportsIn())) == 1
        await ops_hv.remove_transport_of(visor, HVRemoveTransport(C, made.id))
        assert far.transports.links == []
        await ops_hv.remove_routing_rule_of(visor, HVRemoveRoutingRule(C, 5))
        await ops_hv.set_mux_routes_of(visor, HVSetMuxRoutes(C, 1))
        with pytest.raises(SkywireError, match="always uses 1"):
            await ops_hv.set_mux_routes_of(visor, HVSetMuxRoutes(C, 4))
        (health,) = await ops_hv.service_health_of(visor, C)
        assert (health.name, health.status) == ("dmsg.discovery", "healthy")


async def test_one_that_nobody_knows_is_not_reachable(line: Line) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(NotFound, match=f"visor {D} not reachable"):
            await ops_hv.summary_of(line["a"].visor, D)
        with pytest.raises(NotSupported, match="hypervisor not running"):
            await ops_hv.list_visors(line["c"].visor)


def full() -> Summary:
    return Summary(
        overview=Overview(A, BuildInfo("v1"), hostname="here", is_symmetic_nat=True),
        health=HealthInfo("healthy"),
        uptime=3.5,
        load=LoadStats(1.0),
    )


def test_the_json_is_that_of_the_specification() -> None:
    entry = HVVisorEntry.of(A, full())
    assert to_json(entry) == {
        "pk": str(A),
        "online": True,
        "version": "v1",
        "uptime_seconds": 3.5,
        "symmetric_nat": True,
        "transports": 0,
        "apps": 0,
        "services_health": "healthy",
        "hostname": "here",
        "load": to_json(LoadStats(1.0)),
    }
    assert "load" not in to_json(HVVisorEntry.of(A, Summary()))
    assert to_json(HVVisorTree()) == {"sections": []}


async def test_over_http_one_behind_is_as_one_that_is_connected(line: Line) -> None:
    """hypervisor.md §10 no. 11."""
    async with api_of(line["a"], line["c"]) as api:
        assert (await api.get("/summary"))["overview"]["local_pk"] == str(C)
        assert (await api.get(""))["local_pk"] == str(C)
        assert await api.get("/apps") == []
        assert await api.get("/routes") == []
        assert await api.get("/transports") == []
        assert await api.ask("POST", "/min-hops", {"min_hops": 1}) == (200, {})
        assert line["c"].visor.config.routing.min_hops == 1
        refused = await api.ask("PUT", "/persistent-transports", [])
        assert refused[1] == {"error": "operation not supported on proxied visor"}
    async with asyncio.timeout(20), ClientSession(line.url("a")) as session:
        async with session.get("/api/visors-tree-summary") as response:
            sections = (await response.json())["sections"]
        assert [section["hypervisor_pk"] for section in sections] == [str(A), str(B)]
        assert [row["overview"]["local_pk"] for row in sections[0]["visors"]] == [str(A)]
        assert [row["overview"]["local_pk"] for row in sections[1]["visors"]] == [str(B), str(C)]
        async with session.get(f"/pty/{C}") as response:
            assert response.status == 200
        for path in (f"/pty/{D}", f"/api/visors/{D}/summary"):
            async with session.get(path) as response:
                assert response.status == 404
        async with session.ws_connect(f"/pty/{C}?scheme=dmsg") as terminal:
            output = b""
            while b"PTY-HOST" not in output:  # C lets A in, for B has told it A's key
                message = await terminal.receive()
                assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), output
                output += message.data if message.type is WSMsgType.BINARY else b""
