"""The setup node against visors in memory. Source: routing.md §5.2."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import Refused, SkywireError
from skywire.metrics import Registry
from skywire.router import setup_node, setup_visors
from skywire.router.setup_node import SetupNode
from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    ADD_INTERMEDIARY_RULES,
    DIAL_ROUTE_GROUP,
    RESERVE_IDS,
    SIGNATURES,
)
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Address
from skywire.testing import vectors
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.wire.rule import Rule
from tests.router.setup_kit import NODE, Visors, key, route
from tests.router.test_setup_rules import as_route

A, B, C, D = (key(name) for name in "abcd")


@asynccontextmanager
async def node_of(*keys: PubKey) -> AsyncIterator[tuple[SetupNode, Visors]]:
    visors = Visors(*keys)
    node = SetupNode(visors.dial)
    try:
        yield node, visors
    finally:
        await node.close()
        await visors.close()


@pytest.mark.parametrize("case", vectors.load("routing/setup_node_flow"), ids=lambda c: c["name"])
async def test_same_calls_and_reply_as_go(case: dict[str, Any]) -> None:
    asked = as_route(case["request"])
    hops = case["request"]["Forward"]
    keys = [PubKey.parse(pk) for pk in [hops[0]["From"], *(hop["To"] for hop in hops)]]
    reachable = [pk for pk in keys if case["name"] != "intermediary unreachable" or pk != keys[1]]
    async with node_of(*reachable) as (node, visors):
        if case["name"] == "destination refuses":
            visors.visors[keys[-1]].refusal = "no place"
        if case["error"] == "<nil>":
            rules = await node.dial_route_group(keys[0], asked)
            assert {
                "Desc": rules.desc.hex(),
                "Forward": rules.forward.hex(),
                "Reverse": rules.reverse.hex(),
            } == case["reply"]
        else:
            with pytest.raises(SkywireError) as caught:
                await node.dial_route_group(keys[0], asked)
            assert str(caught.value) == case["error"]
        expected: dict[str, list[tuple[str, Any]]] = {}
        for call in case["calls_in_time_order"] or []:
            name, visor = call["call"], expected.setdefault(call["visor"], [])
            if name == "ReserveIDs":
                visor.append((RESERVE_IDS, call["n"]))
            elif name == "AddIntermediaryRules":
                visor.append((ADD_INTERMEDIARY_RULES, call["rules"]))
            elif name == "AddEdgeRules":
                fields = (call["desc"], call["forward"], call["reverse"])
                visor.append((ADD_EDGE_RULES, fields))
        for pk, fake in visors.visors.items():
            seen = [(method, _plain(argument)) for method, argument in fake.calls]
            if case["name"] == "destination refuses":  # then ours withdraws rules
                seen = seen[: len(expected[str(pk)])]
            assert seen == expected.get(str(pk), [])


def _plain(argument: Any) -> Any:
    if isinstance(argument, int):
        return argument
    if isinstance(argument, list):
        return [rule.hex() for rule in argument]
    return argument.desc.hex(), argument.forward.hex(), argument.reverse.hex()


async def test_rules_of_a_failed_set_up_are_withdrawn() -> None:
    async with node_of(A, B, C) as (node, visors):
        visors.visors[C].refusal = "no place"
        with pytest.raises(Refused, match=r"failure code 1 \(no place\)"):
            await node.dial_route_group(A, route(A, B, C))
        calls = visors.visors[B].calls
        await eventually(lambda: len(calls) == 3)
        told, withdrawn = ([Rule.parse(raw) for raw in rules] for _, rules in calls[1:])
        assert [rule.key_route_id for rule in told] == [rule.key_route_id for rule in withdrawn]
        assert {rule.keep_alive for rule in withdrawn} == {0}


async def test_a_refused_route_costs_no_visor_anything() -> None:
    async with node_of(A, B, C) as (node, visors):
        with pytest.raises(SkywireError, match="forward hops"):
            await node.dial_route_group(A, replace(route(A, B, C), forward=[]))
        assert not visors.dialled


async def test_too_few_ids_are_an_error() -> None:
    async with node_of(A, B) as (node, visors):
        visors.visors[B].short = True
        with pytest.raises(Refused, match=f"reserve routeID from {B} failed: 1 ids, expected 2"):
            await node.dial_route_group(A, route(A, B))


async def test_connections_are_kept_and_shared() -> None:
    async with node_of(A, B, C) as (node, visors):
        await asyncio.gather(*(node.dial_route_group(A, route(A, B, C)) for _ in range(20)))
        assert sorted(visors.dialled) == sorted([A, B, C])


async def test_a_kept_connection_that_broke_is_replaced() -> None:
    async with node_of(A, B) as (node, visors):
        await node.dial_route_group(A, route(A, B))
        await visors.streams[B].close()
        await node.dial_route_group(A, route(A, B))
        assert visors.dialled.count(B) == 2


async def test_a_kept_connection_that_is_silent_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup_visors, "STALE_TIME", 0.05)
    async with node_of(A, B) as (node, visors):
        await node.dial_route_group(A, route(A, B))
        silent = visors.visors[B].answers
        silent.clear()
        asking = asyncio.ensure_future(node.dial_route_group(A, route(A, B)))
        await eventually(lambda: visors.dialled.count(B) == 2)
        silent.set()
        await asking


async def test_connections_end_when_nobody_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    visors = Visors(A, B)
    kept = setup_visors.Visors(visors.dial, keep_time=0.01)
    held = await kept.hold([A, B])
    assert len(kept) == 2
    kept.release(held)
    await eventually(lambda: not len(kept))
    monkeypatch.setattr(setup_visors, "MAX_KEPT", 1)
    kept.release(await kept.hold([A, B]))
    assert len(kept) == 1
    await kept.close()
    await visors.close()


async def test_a_visor_that_says_nothing_costs_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup_visors, "CALL_TIME", 0.05)
    async with node_of(A, B) as (node, visors):
        visors.visors[B].answers.clear()
        with pytest.raises(Refused, match="no answer within"):
            await node.dial_route_group(A, route(A, B))
        monkeypatch.setattr(setup_node, "SETUP_TIME", 0.01)
        with pytest.raises(TimeoutError):
            await node.dial_route_group(A, route(A, B))


async def test_a_caller_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_node, "MAX_PENDING_OF_CALLER", 2)
    async with node_of(A, B, C) as (node, visors):
        visors.visors[B].answers.clear()
        busy = [asyncio.ensure_future(node.dial_route_group(A, route(A, B))) for _ in range(2)]
        await eventually(lambda: len(visors.visors[B].calls) == 2)
        with pytest.raises(Refused, match="too many"):
            await node.dial_route_group(A, route(A, B))
        await node.dial_route_group(C, route(C, A))
        visors.visors[B].answers.set()
        await asyncio.gather(*busy)
        await node.dial_route_group(A, route(A, B))


async def test_served_over_a_stream_and_counted() -> None:
    registry = Registry()
    visors = Visors(A, B)
    node = SetupNode(visors.dial, metrics=registry)
    ours, theirs = stream_pair(chunk=7, a=Address.dmsg(A, 1), b=Address.dmsg(NODE, 36))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.serve(theirs))
        async with RpcClient(ours) as rpc:
            types = SIGNATURES[DIAL_ROUTE_GROUP]
            reply = await rpc.call(DIAL_ROUTE_GROUP, types[0], route(A, B), types[1])
            assert Rule.parse(reply.forward).key_route_id == 1
            wrong = replace(route(A, B), reverse=route(A, B).forward)
            with pytest.raises(Refused, match="invalid route description"):
                await rpc.call(DIAL_ROUTE_GROUP, types[0], wrong, types[1])
    assert 'setup_node_routes_total{outcome="done"} 1' in registry.text()
    assert 'setup_node_routes_total{outcome="failed"} 1' in registry.text()
    await node.close()
    await visors.close()
