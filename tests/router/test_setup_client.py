"""A visor asks setup nodes, one after the other. Source: routing.md §5.1."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, Refused, StreamReset
from skywire.ports import DMSG_SETUP_NODE
from skywire.router.setup_client import NO_NODE, SetupClient
from skywire.router.setup_node import SetupNode
from skywire.router.setup_types import (
    DIAL_ROUTE_GROUP,
    NO_FORWARD_HOPS,
    SIGNATURES,
    BidirectionalRoute,
    EdgeRules,
)
from skywire.rpc.server import GoError, Method, RpcServer
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.wire.rule import Rule
from tests.router.setup_kit import Visors, key, route

A, B, C = (key(name) for name in "abc")
ONE, TWO = key("node one"), key("node two")
ROUTE = route(A, B, C)


@dataclass
class Nodes:
    """What each setup node does: an answer, an error text, or None for no answer at all."""

    answers: dict[PubKey, EdgeRules | str | None]
    asked: list[PubKey] = field(default_factory=list)
    tasks: Tasks = field(default_factory=lambda: Tasks("fake nodes"))

    async def dial(self, pk: PubKey, port: int) -> Stream:
        assert port == DMSG_SETUP_NODE
        self.asked.append(pk)
        if pk not in self.answers:
            raise DialFailed("no such node")
        ours, theirs = stream_pair(a=Address.dmsg(A, 49152), b=Address.dmsg(pk, port))

        async def answer(_: BidirectionalRoute) -> EdgeRules:
            given = self.answers[pk]
            if given is None:
                await asyncio.Event().wait()
            if isinstance(given, EdgeRules):
                return given
            raise GoError(given or "never")

        method = Method(*SIGNATURES[DIAL_ROUTE_GROUP], answer, for_peer=True)
        self.tasks.spawn(RpcServer({DIAL_ROUTE_GROUP: method}).serve(theirs))
        return ours


@asynccontextmanager
async def nodes_with(answers: dict[PubKey, EdgeRules | str | None]) -> AsyncIterator[Nodes]:
    nodes = Nodes(answers)
    try:
        yield nodes
    finally:
        await nodes.tasks.close()


async def good_rules(asked: BidirectionalRoute = ROUTE) -> EdgeRules:
    """As our own setup node makes them."""
    visors = Visors(A, B, C)
    node = SetupNode(visors.dial)
    try:
        return await node.dial_route_group(A, asked)
    finally:
        await node.close()
        await visors.close()


async def test_the_first_node_that_works_is_used_and_remembered() -> None:
    rules = await good_rules()
    async with nodes_with({TWO: rules}) as nodes:
        client = SetupClient(nodes.dial, [ONE, TWO])
        assert await client.dial_route_group(ROUTE) == rules
        assert nodes.asked == [ONE, TWO]
        assert client.nodes == (TWO, ONE)
        await client.dial_route_group(ROUTE)
        assert nodes.asked == [ONE, TWO, TWO]


@pytest.mark.parametrize("answer", ["failed to reserve route ids: …", None])
async def test_the_next_node_is_asked_when_one_fails(answer: str | None) -> None:
    rules = await good_rules()
    async with nodes_with({ONE: answer, TWO: rules}) as nodes:
        client = SetupClient(nodes.dial, [ONE, TWO], call_time=0.1)
        assert await client.dial_route_group(ROUTE) == rules


async def test_the_last_refusal_is_told() -> None:
    async with nodes_with({ONE: "no place"}) as nodes:
        client = SetupClient(nodes.dial, [ONE, TWO])
        with pytest.raises(Refused, match=r"^route setup: no place$"):
            await client.dial_route_group(ROUTE)
        assert nodes.asked == [ONE, TWO]


async def test_no_other_node_is_asked_about_a_route_that_makes_no_sense() -> None:
    async with nodes_with({ONE: NO_FORWARD_HOPS, TWO: "never"}) as nodes:
        with pytest.raises(Refused, match=NO_FORWARD_HOPS):
            await SetupClient(nodes.dial, [ONE, TWO]).dial_route_group(ROUTE)
        assert nodes.asked == [ONE]


@pytest.mark.parametrize("nodes", [[], [ONE, TWO]])
async def test_no_node_that_can_be_reached(nodes: list[PubKey]) -> None:
    async with nodes_with({}) as none:
        with pytest.raises(DialFailed, match=NO_NODE):
            await SetupClient(none.dial, nodes).dial_route_group(ROUTE)


async def test_the_whole_has_an_end() -> None:
    async with nodes_with({ONE: None}) as nodes:
        with pytest.raises(TimeoutError, match="no route within"):
            await SetupClient(nodes.dial, [ONE], total_time=0.1).dial_route_group(ROUTE)


async def test_a_node_that_hangs_up_is_passed_over() -> None:
    rules = await good_rules()
    async with nodes_with({TWO: rules}) as nodes:

        async def dial(pk: PubKey, port: int) -> Stream:
            if pk == TWO:
                return await nodes.dial(pk, port)
            ours, theirs = stream_pair()
            await theirs.close()
            return ours

        assert await SetupClient(dial, [ONE, TWO]).dial_route_group(ROUTE) == rules

        async def reset(pk: PubKey, port: int) -> Stream:
            raise StreamReset("gone")

        with pytest.raises(DialFailed, match="gone"):
            await SetupClient(reset, [ONE]).dial_route_group(ROUTE)


async def test_rules_of_another_route_are_refused() -> None:
    rules = await good_rules()
    forward = Rule.parse(rules.forward)
    elsewhere = replace(forward, descriptor=Rule.parse(rules.reverse).descriptor)
    for wrong in (
        replace(rules, desc=ROUTE.desc),
        replace(rules, forward=rules.reverse),
        replace(rules, reverse=rules.forward),
        replace(rules, forward=b""),
        replace(rules, forward=rules.forward[:40]),
        replace(rules, forward=elsewhere.encode()),
        replace(rules, forward=replace(forward, next_transport_id=uuid.UUID(int=9)).encode()),
    ):
        async with nodes_with({ONE: wrong}) as nodes:
            with pytest.raises(Refused, match="setup node answered with"):
                await SetupClient(nodes.dial, [ONE]).dial_route_group(ROUTE)
