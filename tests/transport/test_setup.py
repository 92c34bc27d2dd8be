"""Transports opened by trusted nodes, against calls recorded from Go."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Refused, StreamReset
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing import vectors
from skywire.testing.listener import MemoryListener
from skywire.testing.streams import stream_pair
from skywire.testing.transports import MemoryNetworks, MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.setup import (
    ADD,
    LIST,
    REMOVE,
    BoolResponse,
    TransportGateway,
    TransportRequest,
    TransportResponse,
    UUIDRequest,
)
from skywire.wire import gob
from skywire.wire.gob_types import ANY, EMPTY, GoType, Slice
from skywire.wire.netrpc import Request, Response
from skywire.wire.transport import DMSG, SKYCOIN, STCPR

NODE = deterministic_key_pair(b"setup node")[0]
STRANGER = deterministic_key_pair(b"stranger")[0]
TYPES: dict[str, tuple[GoType, GoType]] = {
    ADD: (TransportRequest, TransportResponse),
    REMOVE: (UUIDRequest, BoolResponse),
    LIST: (EMPTY, Slice(TransportResponse)),
}


class Visor:
    def __init__(self, stack: AsyncExitStack, where: MemoryNetworks) -> None:
        public, secret = key_pair()
        networks = [where.of(public, kind) for kind in (STCPR, DMSG)]
        self.manager = TransportManager(
            Identity.of(public, secret), networks, MemoryTransportDiscovery()
        )
        self.pk = public
        self.gateway = TransportGateway(self.manager, [NODE])
        self._tasks = Tasks("test")
        stack.push_async_callback(self._tasks.close)

    def call_from(self, pk: PubKey) -> Stream:
        ours, theirs = stream_pair(a=Address.dmsg(pk, 50000), b=Address.dmsg(self.pk, 47))
        self._tasks.spawn(self.gateway.answer(theirs), "answer")
        return ours


async def two(stack: AsyncExitStack) -> tuple[Visor, Visor]:
    where = MemoryNetworks()
    visors = Visor(stack, where), Visor(stack, where)
    for visor in visors:
        await stack.enter_async_context(visor.manager)
    await eventually(lambda: len(where.serving) == 4)
    return visors


async def test_open_list_and_close() -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        await one.manager.save(other.pk, DMSG)
        rpc = await stack.enter_async_context(RpcClient(one.call_from(NODE)))
        async with asyncio.timeout(10):
            assert await rpc.call(LIST, EMPTY, None, Slice(TransportResponse)) == []
            added = await rpc.call(
                ADD, TransportRequest, TransportRequest(other.pk, STCPR), TransportResponse
            )
            assert (added.local, added.remote, added.type) == (one.pk, other.pk, STCPR)
            assert one.manager.links[added.id].label == SKYCOIN
            assert await rpc.call(LIST, EMPTY, None, Slice(TransportResponse)) == [added]
            removed = await rpc.call(REMOVE, UUIDRequest, UUIDRequest(added.id), BoolResponse)
            assert removed == BoolResponse(True)
            assert added.id not in one.manager.links


async def test_go_s_error_texts() -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack)
        link = await one.manager.save(other.pk, DMSG)
        rpc = await stack.enter_async_context(RpcClient(one.call_from(NODE)))
        for id, text in (
            (link.id, "transport was not created by skycoin"),
            (UUID(int=5), "transport not found"),
        ):
            with pytest.raises(Refused) as caught:
                await rpc.call(REMOVE, UUIDRequest, UUIDRequest(id), BoolResponse)
            assert caught.value.reason == text
        for pk, kind, text in (
            (other.pk, "xyz", "save transport: unknown network type"),
            (NODE, STCPR, "save transport: stcpr transport to"),
        ):
            with pytest.raises(Refused) as caught:
                await rpc.call(ADD, TransportRequest, TransportRequest(pk, kind), TransportResponse)
            assert str(caught.value.reason).startswith(text)


@pytest.mark.parametrize("trusted", [[NODE], []])
async def test_a_caller_that_is_not_listed_is_cut(trusted: list[PubKey]) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack)
        one.gateway = TransportGateway(one.manager, trusted)
        rpc = await stack.enter_async_context(RpcClient(one.call_from(STRANGER)))
        with pytest.raises(StreamReset):
            await rpc.call(LIST, EMPTY, None, Slice(TransportResponse))


async def test_a_refused_caller_does_not_end_the_serving() -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack)
        tasks = Tasks("test")
        stack.push_async_callback(tasks.close)
        for caller, served in ((STRANGER, False), (NODE, True)):
            listener = MemoryListener(Address.dmsg(one.pk, 47), Address.dmsg(caller, 50000))
            tasks.spawn(one.gateway.serve(listener), "serve")
            rpc = RpcClient(await listener.dial(one.pk, 47))
            await stack.enter_async_context(rpc)
            if served:
                assert await rpc.call(LIST, EMPTY, None, Slice(TransportResponse)) == []
            else:
                with pytest.raises(StreamReset):
                    await rpc.call(LIST, EMPTY, None, Slice(TransportResponse))


(LIVE,) = vectors.load("routing/live_transport_setup")


def test_what_go_sent_is_read_as_what_it_means() -> None:
    requests, replies = gob.Decoder(), gob.Decoder()
    calls: list[Any] = []
    for side, raw in LIVE["stream"]:
        if side == "setup->visor":
            requests.receive_data(bytes.fromhex(raw))
            request = requests.next(Request)
            argument = requests.next(TYPES[request.service_method][0])
        else:
            replies.receive_data(bytes.fromhex(raw))
            response = replies.next(Response)
            if response.error:
                replies.next(ANY)
                calls.append((response.service_method, argument, response.error))
            else:
                reply = replies.next(TYPES[response.service_method][1])
                calls.append((response.service_method, argument, reply))
    names = [name.partition(".")[2] for name, _, _ in calls]
    assert names == [
        "GetTransports", "AddTransport", "GetTransports", "RemoveTransport", "RemoveTransport",
        "RemoveTransport", "AddTransport",
    ]  # fmt: skip
    added = calls[1][2]
    assert (added.type, added.remote) == (DMSG, calls[1][1].remote)
    assert calls[0][2] == []
    assert calls[2][2] == [added]
    assert calls[3][2] == "transport was not created by skycoin"
    assert calls[4][2] == "transport not found"
    assert (calls[5][1].id, calls[5][2]) == (added.id, BoolResponse(True))
    assert calls[6][2] == "save transport: unknown network type"


@pytest.mark.parametrize("value", [TransportRequest(NODE, STCPR), UUIDRequest(UUID(int=9))])
def test_ours_is_read_back(value: Any) -> None:
    assert gob.decode(type(value), gob.encode(type(value), value)) == value
