import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from skywire.errors import (
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
    StreamClosed,
    StreamReset,
)
from skywire.rpc import writer
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Stream
from skywire.testing.streams import HIGH_WATER, stream_pair
from skywire.wire import gob
from skywire.wire.gob_types import BYTES, EMPTY, INT, STRING, GoTypes
from skywire.wire.netrpc import Call, ServerSide

METHODS: dict[str, GoTypes] = {"t.Double": INT, "t.Write": BYTES}


class Peer:
    """The far end, answered by hand."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.wire = ServerSide(METHODS)

    async def calls(self, count: int) -> list[Call]:
        found: list[Call] = []
        while len(found) < count:
            self.wire.receive_data(await self.stream.read())
            while (call := self.wire.next_call()) is not None:
                found.append(call)
        return found

    async def reply(self, call: Call, value: Any) -> None:
        await self.stream.write(self.wire.reply(call, INT, value))


@asynccontextmanager
async def connected(chunk: int = 65536) -> AsyncIterator[tuple[RpcClient, Peer]]:
    ours, theirs = stream_pair(chunk)
    async with asyncio.timeout(10), RpcClient(ours) as rpc:
        yield rpc, Peer(theirs)


def double(rpc: RpcClient, value: int) -> "asyncio.Task[Any]":
    return asyncio.ensure_future(rpc.call("t.Double", INT, value, INT))


@pytest.mark.parametrize("chunk", [1, 65536])
async def test_a_call_returns_the_reply(chunk: int) -> None:
    async with connected(chunk) as (rpc, peer):
        task = double(rpc, 21)
        (call,) = await peer.calls(1)
        await peer.reply(call, 2 * call.argument)
        assert await task == 42


async def test_replies_may_come_in_any_order() -> None:
    async with connected() as (rpc, peer):
        tasks = [double(rpc, n) for n in range(5)]
        calls = await peer.calls(5)
        assert [call.argument for call in calls] == list(range(5))
        for call in reversed(calls):
            await peer.reply(call, 2 * call.argument)
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8]


async def test_an_error_reply_carries_the_peers_text() -> None:
    async with connected() as (rpc, peer):
        task = double(rpc, 1)
        (call,) = await peer.calls(1)
        await peer.stream.write(peer.wire.refuse(call, "EOF"))
        with pytest.raises(Refused, match="EOF") as caught:
            await task
        assert caught.value.reason == "EOF"
        assert not rpc.closed


async def test_a_reply_of_another_kind_costs_only_the_call() -> None:  # hypervisor.md §6.3 no. 1
    async with connected() as (rpc, peer):
        tasks = [double(rpc, 1), double(rpc, 2)]
        one, two = await peer.calls(2)
        await peer.stream.write(peer.wire.reply(one, STRING, "two"))
        await peer.reply(two, 4)
        with pytest.raises(RemoteProtocolError, match="received remote type string"):
            await tasks[0]
        assert await tasks[1] == 4


async def test_when_the_peer_ends_calls_fail_as_in_go() -> None:
    async with connected() as (rpc, peer):
        tasks = [double(rpc, 1), double(rpc, 2)]
        await peer.calls(2)
        await peer.stream.close()
        await rpc.wait_closed()
        for task in tasks:
            with pytest.raises(StreamReset, match=r"^unexpected EOF$"):
                await task
        with pytest.raises(StreamReset, match=r"^connection is shut down$"):
            await double(rpc, 3)
        assert rpc.closed


async def test_when_we_close_calls_fail_as_in_go() -> None:
    async with connected() as (rpc, peer):
        task = double(rpc, 1)
        await peer.calls(1)
        await rpc.close()
        with pytest.raises(StreamClosed, match=r"^connection is shut down$"):
            await task
        with pytest.raises(StreamClosed, match=r"^connection is shut down$"):
            await double(rpc, 2)
        assert await peer.stream.read() == b""
        await rpc.close()


async def test_a_peer_that_resets_fails_the_calls() -> None:
    async with connected() as (rpc, peer):
        task = double(rpc, 1)
        await peer.calls(1)
        peer.stream.abort()
        with pytest.raises(StreamReset):
            await task


@pytest.mark.parametrize("garbage", [b"\0", b"\xf7", gob.encode(STRING, "hello"), b"\xf8" * 20])
async def test_a_peer_that_breaks_the_protocol_ends_the_connection(garbage: bytes) -> None:
    async with connected() as (rpc, peer):
        task = double(rpc, 1)
        await peer.calls(1)
        await peer.stream.write(garbage)
        with pytest.raises(StreamReset, match="unexpected EOF"):
            await task
        assert await peer.stream.read() == b""


async def test_a_reply_over_the_limit_ends_the_connection() -> None:
    ours, theirs = stream_pair()
    async with asyncio.timeout(10), RpcClient(ours, max_message=100) as rpc:
        peer = Peer(theirs)
        task = double(rpc, 1)
        (call,) = await peer.calls(1)
        await theirs.write(peer.wire.reply(call, BYTES, bytes(200)))
        with pytest.raises(StreamReset):
            await task


async def test_the_late_reply_to_a_cancelled_call_is_dropped() -> None:
    async with connected() as (rpc, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await rpc.call("t.Double", INT, 1, INT)
        task = double(rpc, 2)
        late, call = await peer.calls(2)
        await peer.reply(late, 2)
        await peer.reply(call, 4)
        assert await task == 4


async def test_calls_cancelled_while_they_wait_to_be_written_cost_only_themselves() -> None:
    async with connected() as (rpc, peer):
        big = asyncio.ensure_future(rpc.call("t.Write", BYTES, bytes(2 * HIGH_WATER), INT))
        waiting, third = double(rpc, 1), double(rpc, 2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in (big, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        one, two, call = await peer.calls(3)  # all of them are out, whole and in order
        assert (one.method, two.argument, call.argument) == ("t.Write", 1, 2)
        await peer.reply(one, 0)
        await peer.reply(call, 4)
        assert await third == 4


async def test_a_peer_that_takes_nothing_is_cut_off_when_too_much_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "MAX_QUEUE", 3)
    async with connected() as (rpc, _):
        calls = [
            asyncio.ensure_future(rpc.call("t.Write", BYTES, bytes(HIGH_WATER), INT))
            for _ in range(8)
        ]
        for call in calls:
            with pytest.raises(StreamReset):
                await call
        assert rpc.closed


async def test_a_wrong_argument_is_our_fault_and_costs_only_the_call() -> None:
    async with connected() as (rpc, peer):
        with pytest.raises(LocalProtocolError):
            await rpc.call("t.Double", INT, "text", INT)
        task = double(rpc, 2)
        (call,) = await peer.calls(1)
        await peer.reply(call, 4)
        assert await task == 4


async def test_a_client_that_does_not_read_is_a_mistake() -> None:
    ours, _ = stream_pair()
    with pytest.raises(LocalProtocolError, match="async with"):
        await RpcClient(ours).call("t.Double", EMPTY, None, INT)
