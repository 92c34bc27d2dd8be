"""What setup nodes may ask: Go's bytes, trust, error texts, and rules that are stored at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Refused, StreamReset
from skywire.router.gateway import Gateway
from skywire.router.rules import MAX_ID
from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    ADD_INTERMEDIARY_RULES,
    RESERVE_IDS,
    SIGNATURES,
    EdgeRules,
)
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Address
from skywire.streams.supervise import Tasks
from skywire.testing import vectors
from skywire.testing.route_network import RouteNetwork, line
from skywire.testing.streams import stream_pair
from skywire.wire.gob import NEED_DATA, Decoder
from skywire.wire.gob_types import ANY
from skywire.wire.rule import RouteDescriptor, Rule

NODE = deterministic_key_pair(b"setup node")[0]
VISOR = deterministic_key_pair(b"visor")[0]
STRANGER = deterministic_key_pair(b"stranger")[0]
LIVE = vectors.load("routing/live_route_setup")
KEEP = 30_000_000_000


@asynccontextmanager
async def calling(gateway: Gateway, pk: PubKey = NODE) -> AsyncIterator[RpcClient]:
    ours, theirs = stream_pair(a=Address.dmsg(pk, 49153), b=Address.dmsg(VISOR, 136))
    tasks = Tasks("gateway")
    tasks.spawn(gateway.answer(theirs))
    try:
        async with RpcClient(ours) as rpc, asyncio.timeout(5):
            yield rpc
    finally:
        await tasks.close()


async def call(rpc: RpcClient, method: str, argument: Any) -> Any:
    kind, reply = SIGNATURES[method]
    return await rpc.call(method, kind, argument, reply)


def gateway_of(net: RouteNetwork) -> Gateway:
    return Gateway(net.routers[1], {NODE})


def edge_rules(net: RouteNetwork, *, me: int = 1, ids: tuple[int, int] = (1, 2)) -> EdgeRules:
    """Of a route from visor 0 to visor 1."""
    descriptor = RouteDescriptor(net.keys[0], net.keys[me], 49153, 80)
    return EdgeRules(
        descriptor.encode(),
        Rule.forward(ids[0], KEEP, descriptor.inverted(), 9, net.link(1, 0).id).encode(),
        Rule.consume(ids[1], KEEP, descriptor).encode(),
    )


class Recorder:
    """A router that takes everything, and gives out the ids it is told to."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.got: list[Any] = []

    def reserve_ids(self, count: int) -> list[int]:
        given, self.ids = self.ids[:count], self.ids[count:]
        return given

    def add_intermediary_rules(self, rules: Any) -> None:
        self.got.append(rules)

    def add_edge_rules(self, rules: EdgeRules) -> None:
        self.got.append(rules)


@pytest.mark.parametrize("number", [0, 1])
async def test_the_bytes_of_a_live_setup_node_are_answered_as_recorded(number: int) -> None:
    """The same values, that is: the ids of gob types differ from process to process."""
    case = LIVE[number]
    segments = case["setup_streams"][-1]["segments"]
    router = Recorder([1, 2] if number == 0 else [3, 4])
    ours, theirs = stream_pair(a=Address.dmsg(NODE, 1), b=Address.dmsg(VISOR, 136))
    tasks = Tasks("gateway")
    tasks.spawn(Gateway(router, {NODE}).answer(theirs))
    recorded, answers = Decoder(), Decoder()
    for way, data in segments:
        if way == "in":
            await ours.write(bytes.fromhex(data))
            continue
        recorded.receive_data(bytes.fromhex(data))
        wanted = [recorded.next(ANY), recorded.next(ANY)]
        got: list[Any] = []
        async with asyncio.timeout(5):
            while len(got) < len(wanted):
                answers.receive_data(await ours.read())
                while (value := answers.next(ANY)) is not NEED_DATA:
                    got.append(value)
        assert got == wanted
    if number == 0:
        (rules,) = router.got
        assert rules.forward.hex() == case["forward_rule"]
        assert rules.reverse.hex() == case["consume_rule"]
    await tasks.close()


async def test_strangers_are_cut_off_at_once() -> None:
    async with line(2) as net, calling(gateway_of(net), STRANGER) as rpc:
        with pytest.raises(StreamReset):
            await call(rpc, RESERVE_IDS, 1)
        assert net.routers[1].rules._next == 1


async def test_ids_are_reserved_and_run_out_with_gos_text() -> None:
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        assert await call(rpc, RESERVE_IDS, 3) == [1, 2, 3]
        assert await call(rpc, RESERVE_IDS, 0) == []
        net.routers[1].rules._next = MAX_ID - 5
        with pytest.raises(Refused) as caught:
            await call(rpc, RESERVE_IDS, 255)
        assert caught.value.reason == "failure code 4 (no available routeIDs)"


async def test_edge_rules_are_stored_before_the_answer() -> None:
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        assert await call(rpc, ADD_EDGE_RULES, edge_rules(net)) is True
        assert sorted(net.routers[1].rules.entries) == [1, 2]
        assert len(net.routers[1].groups) == 1


async def test_a_group_that_fails_does_not_stop_the_next_one() -> None:
    """The reference accepts nothing any more then."""
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        await call(rpc, ADD_EDGE_RULES, edge_rules(net))
        with pytest.raises(Refused, match=r"failure code 1 \(a route group is being set up"):
            await call(rpc, ADD_EDGE_RULES, edge_rules(net))
        net.routers[1].groups[0].abort()
        assert await call(rpc, ADD_EDGE_RULES, edge_rules(net)) is True
        listener = net.routers[1].listen(80)
        stream = await net.routers[0].dial(net.keys[1], 80)
        assert (await listener.accept()).remote.port == stream.local.port


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda net, r: setattr(r, "desc", r.desc[:66] + b"\0\1\0\2"), "not the consume rule"),
        (lambda net, r: setattr(r, "desc", bytes(70)), "not a point"),
        (lambda net, r: setattr(r, "forward", r.reverse), "not the forward rule"),
        (lambda net, r: setattr(r, "reverse", b""), "rule of 0 bytes"),
        (lambda net, r: setattr(r, "desc", edge_rules(net, me=0).desc), "this is"),
        (
            lambda net, r: setattr(r, "forward", r.forward[:87] + bytes(16) + bytes(17)),
            "no suitable transport",
        ),
    ],
)
async def test_edge_rules_that_do_not_fit_are_refused(change: Any, text: str) -> None:
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        rules = edge_rules(net)
        change(net, rules)
        with pytest.raises(Refused, match=r"failure code 1 \(.*" + text):
            await call(rpc, ADD_EDGE_RULES, rules)
        assert len(net.routers[1].rules) == 0
        assert net.routers[1].groups == []


async def test_intermediary_rules_are_stored_and_taken_back() -> None:
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        link = net.link(1, 0).id
        rules = [Rule.intermediary(n, KEEP, 7, link).encode() for n in (1, 2)]
        assert await call(rpc, ADD_INTERMEDIARY_RULES, rules) is True
        assert sorted(net.routers[1].rules.entries) == [1, 2]
        undo = [Rule.intermediary(n, 0, 0, UUID(int=0)).encode() for n in (1, 2)]
        assert await call(rpc, ADD_INTERMEDIARY_RULES, undo) is True
        assert len(net.routers[1].rules) == 0


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"x", "rule of 1 bytes"),
        (Rule.intermediary(1, KEEP, 7, UUID(int=5)).encode(), "no suitable transport"),
        (
            Rule.consume(1, KEEP, RouteDescriptor(NODE, STRANGER, 1, 2)).encode(),
            "no intermediary rule",
        ),
    ],
)
async def test_intermediary_rules_that_make_no_sense_are_refused(raw: bytes, text: str) -> None:
    async with line(2) as net, calling(gateway_of(net)) as rpc:
        good = Rule.intermediary(9, KEEP, 7, net.link(1, 0).id).encode()
        with pytest.raises(Refused, match=r"failure code 1 \(.*" + text):
            await call(rpc, ADD_INTERMEDIARY_RULES, [good, raw])
        assert len(net.routers[1].rules) == 0, "all or none"
