"""Streams kept for commands: reuse, failure, idle time, limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, Refused, StreamError, Unavailable
from skywire.pty import exec_pool as module
from skywire.pty.exec_pool import ExecPool
from skywire.pty.types import CommandExecReq
from skywire.streams.stream import Stream
from skywire.testing.wait import eventually

from .kit import Node, node

US = key_pair()[0]
HELLO = CommandExecReq("/bin/echo", ["hello"])
SLEEP = CommandExecReq("/bin/sleep", ["1000"])


class Net:
    """Dials `there`, counts, and remembers its streams."""

    def __init__(self, there: Node) -> None:
        self.there = there
        self.streams: list[Stream] = []
        self.schemes: list[str] = []

    async def dial(self, pk: PubKey, port: int, scheme: str) -> Stream:
        await asyncio.sleep(0)
        if pk != self.there.key:
            raise DialFailed("nobody there")
        self.schemes.append(scheme)
        self.streams.append(self.there.stream_from(US))
        return self.streams[-1]


@asynccontextmanager
async def pool(**options: float) -> AsyncIterator[tuple[ExecPool, Net]]:
    async with node(US) as there:
        net = Net(there)
        async with ExecPool(net.dial, **options) as made:
            yield made, net
        await eventually(lambda: there.host._connections == 0)


async def test_commands_share_one_stream() -> None:
    async with pool() as (made, net):
        there = net.there.key
        results = await asyncio.gather(*(made.execute(there, 22, HELLO) for _ in range(5)))
        results.append(await made.execute(there, 22, HELLO))
        assert [one.stdout for one in results] == [b"hello\n"] * 6
        assert len(net.streams) == 1
        await made.execute(there, 22, HELLO, "dmsg")
        assert net.schemes == ["", "dmsg"], "another scheme is another stream"


async def test_a_bad_exit_code_and_a_refusal_keep_the_stream() -> None:
    async with pool() as (made, net):
        there = net.there.key
        assert (await made.execute(there, 22, CommandExecReq("/bin/false"))).exit_code == 1
        with pytest.raises(Refused, match="empty command name"):
            await made.execute(there, 22, CommandExecReq())
        await made.execute(there, 22, HELLO)
        assert len(net.streams) == 1


async def test_a_broken_stream_fails_its_commands_and_is_replaced() -> None:
    async with pool() as (made, net):
        there = net.there.key
        running = [asyncio.ensure_future(made.execute(there, 22, SLEEP)) for _ in range(2)]
        await eventually(lambda: net.streams)
        await asyncio.sleep(0.05)
        net.streams[0].abort()
        for command in running:
            with pytest.raises(StreamError):
                await command
        assert (await made.execute(there, 22, HELLO)).stdout == b"hello\n"
        assert len(net.streams) == 2


async def test_a_stream_that_ended_while_idle_is_not_used() -> None:
    async with pool() as (made, net):
        await made.execute(net.there.key, 22, HELLO)
        await net.there.cut()
        (kept,) = made._kept.values()
        await eventually(lambda: kept.client is None or kept.client.closed)
        await made.execute(net.there.key, 22, HELLO)
        assert len(net.streams) == 2


async def test_a_command_without_an_answer_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", -29.9)
    async with pool() as (made, net):
        with pytest.raises(TimeoutError):
            await made.execute(net.there.key, 22, SLEEP)
        assert not made._kept


async def test_an_unused_stream_is_closed() -> None:
    async with pool(idle_limit=0.05) as (made, net):
        await made.execute(net.there.key, 22, HELLO)
        assert net.there.host._connections == 1
        await eventually(lambda: net.there.host._connections == 0)
        await made.execute(net.there.key, 22, HELLO)
        assert len(net.streams) == 2


async def test_what_cannot_be_dialled_is_not_kept() -> None:
    async with pool() as (made, net):
        for _ in range(2):
            with pytest.raises(DialFailed):
                await made.execute(US, 22, HELLO)
        with pytest.raises(InvalidValue, match="unknown scheme"):
            await made.execute(net.there.key, 22, HELLO, "tor")
        net.there.host.whitelist.remove([US])
        with pytest.raises(Refused, match="request rejected"):
            await made.execute(net.there.key, 22, HELLO)
        assert not made._kept


async def test_streams_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS", 2)
    async with pool() as (made, net):
        there = net.there.key
        await made.execute(there, 1, HELLO)
        busy = asyncio.ensure_future(made.execute(there, 2, SLEEP))
        await eventually(lambda: len(net.streams) == 2)
        await made.execute(there, 3, HELLO)
        assert [key.port for key in made._kept] == [2, 3]
        also = asyncio.ensure_future(made.execute(there, 3, SLEEP))
        await asyncio.sleep(0.02)
        with pytest.raises(Unavailable, match="commands run on 2 nodes"):
            await made.execute(there, 4, HELLO)
        for command in (busy, also):
            command.cancel()
        await asyncio.gather(busy, also, return_exceptions=True)
