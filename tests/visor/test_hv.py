"""Hypervisors in a line, A → B → C: lists, and what A does to C. Source: hypervisor.md §7, §10."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, WSMsgType

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import NotFound, NotSupported, Refused, SkywireError, Unavailable
from skywire.testing.wait import eventually
from skywire.visor import managed, ops_hv, ops_transports
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
from tests.visor.network import Node, network
from tests.visor.test_skynet_api import api_of

A, B, C, D = (deterministic_key_pair(name.encode())[0] for name in "abcd")
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


class Line(NamedTuple):
    a: Node
    b: Node
    c: Node


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        a = await net.start(net.hypervisor_config("a"))
        section = net.hypervisor_section() | {"db_path": str(tmp_path / "b.db")}
        b = await net.start(net.config("b", hypervisor=section, hypervisors=[str(a.pk)]))
        c = await net.start(
            net.config("c", hypervisors=[str(b.pk)], local_path=str(tmp_path / "c"))
        )
        await eventually(lambda: online(a) == [b.pk])
        await eventually(lambda: online(b) == [c.pk])
        yield Line(a, b, c)


def online(node: Node) -> list[Any]:
    return [] if node.visor.managed is None else node.visor.managed.online()


async def test_all_are_listed_from_afar(line: Line) -> None:
    async with asyncio.timeout(20):
        direct = await ops_hv.list_direct_visors(line.a.visor)
        assert [(entry.pk, entry.is_local, entry.online) for entry in direct] == [
            (A, True, True),
            (B, False, True),
        ]
        assert direct[1].load is not None
        flat = await ops_hv.list_visors(line.a.visor)
        assert [(entry.pk, entry.proxied_via) for entry in flat] == [(A, None), (B, None), (C, B)]
        tree = await ops_hv.list_visors_tree(line.a.visor)
    assert [(section.hypervisor_pk, section.via_chain) for section in tree.sections] == [
        (A, []),
        (B, [A]),
    ]
    assert [entry.pk for entry in tree.sections[1].visors] == [B, C]


async def test_what_is_asked_of_one_behind_takes_effect_there(line: Line) -> None:
    visor, far = line.a.visor, line.c.visor
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
            await ops_hv.summary_of(line.a.visor, D)
        with pytest.raises(NotSupported, match="hypervisor not running"):
            await ops_hv.list_visors(line.c.visor)


class Answering:
    """A visor that answers everything with `answer`, or fails with it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def call(self, function: Callable[..., Awaitable[Any]], *request: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        if self._answer is None:
            await asyncio.Event().wait()
        return self._answer

    async def close(self) -> None:
        """Nothing to close."""


class Few:
    def __init__(self, **visors: Any) -> None:
        self._visors = {globals()[name]: Answering(answer) for name, answer in visors.items()}

    def online(self) -> list[Any]:
        return [pk for pk in self._visors if pk != A]

    def connected(self, pk: Any) -> Answering:
        return self._visors[pk]


@pytest.mark.parametrize(
    "error",
    [
        Refused("no", reason="hypervisor not running"),
        Refused("hypervisor not running", reason="x"),
        Refused("hypervisor not enabled"),
        Refused("rpc: can't find method app-visor.HVListDirectVisors"),
    ],
)
async def test_visors_that_are_no_hypervisors_are_passed_over(error: Exception) -> None:
    subs = await managed.sub_lists(Few(B=error, C=[HVVisorEntry(D)]), ops_hv.list_direct_visors)
    assert (B in subs) is (str(error) == "no")  # the text counts
    assert subs[C] == [HVVisorEntry(D)]


async def test_other_failures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed, "SUB_LIMIT", 0.05)
    few = Few(B=Unavailable("busy"), C=None)
    subs = await managed.sub_lists(few, ops_hv.list_direct_visors)
    tree = managed.tree(A, [HVVisorEntry(A)], subs)
    assert [section.sub_error for section in tree.sections] == [
        "",
        "busy",
        "no answer within 0.05 s",
    ]
    assert managed.flat([HVVisorEntry(A)], subs) == [HVVisorEntry(A)]


async def test_a_visor_that_does_not_answer_is_listed_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(managed, "SUMMARY_LIMIT", 0.05)
    few = Few(A=full(), B=Unavailable("busy"), C=None)
    entries = await managed.direct_entries(few, A, ops_hv.summary_of)
    assert [(entry.pk, entry.online, entry.error) for entry in entries] == [
        (A, True, ""),
        (B, False, "busy"),
        (C, False, "no answer within 0.05 s"),
    ]


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
    async with api_of(line.a, line.c) as api:
        assert (await api.get("/summary"))["overview"]["local_pk"] == str(C)
        assert (await api.get(""))["local_pk"] == str(C)
        assert await api.get("/apps") == []
        assert await api.get("/routes") == []
        assert await api.get("/transports") == []
        assert await api.ask("POST", "/min-hops", {"min_hops": 1}) == (200, {})
        assert line.c.visor.config.routing.min_hops == 1
        refused = await api.ask("PUT", "/persistent-transports", [])
        assert refused[1] == {"error": "operation not supported on proxied visor"}
    async with asyncio.timeout(20), ClientSession(line.a.fact("hypervisor", "url")) as session:
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
