"""The visor's RPC on a TCP port: many idle connections, garbage, the way to other visors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import pytest

from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair, random_bytes
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, Refused, StreamReset
from skywire.rpc.client import RpcClient
from skywire.rpc.server import Method, RpcServer
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff, Tasks
from skywire.streams.tcp import dial_tcp
from skywire.testing.streams import stream_pair
from skywire.visor import local_rpc
from skywire.visor.local_rpc import LocalRpc
from skywire.visor.modules import Report
from skywire.wire.gob_types import EMPTY, STRING
from skywire.wire.rpc_bridge import Bridge

PK = deterministic_key_pair(b"far")[0]
METHOD = "app-visor.Name"
Dial = Callable[[], Awaitable[Stream]]


def named(name: str) -> RpcServer:
    async def handler(_: None) -> Annotated[str, STRING]:
        return name

    return RpcServer({METHOD: Method(EMPTY, STRING, handler)})


async def nobody(pk: PubKey, port: int, scheme: str) -> Stream:
    raise DialFailed(f"nobody at {pk}:{port}")


@asynccontextmanager
async def serving(dial: local_rpc.Dial = nobody) -> AsyncIterator[Dial]:
    tasks = Tasks("test")
    report = Report(asyncio.Event(), Backoff(1, 1))
    rpc = LocalRpc(HostPort("127.0.0.1:0"), named("near"), dial)
    tasks.spawn(rpc.serve(report))
    async with asyncio.timeout(10):
        await report.ran.wait()
    _, _, port = report.facts["rpc"].rpartition(":")

    async def connect() -> Stream:
        async with asyncio.timeout(10):
            return await dial_tcp("127.0.0.1", int(port))

    try:
        yield connect
    finally:
        await tasks.close()


async def ask(stream: Stream) -> str:
    async with asyncio.timeout(10), RpcClient(stream) as rpc:
        answer: str = await rpc.call(METHOD, EMPTY, None, STRING)
        return answer


async def test_a_thousand_idle_connections_leave_room() -> None:
    async with serving() as connect:
        idle = [await connect() for _ in range(1000)]
        assert await ask(await connect()) == "near"
        assert await ask(idle[500]) == "near"  # none of them was ended
        for stream in idle:
            stream.abort()


async def test_when_full_the_most_silent_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_rpc, "MAX_CONNECTIONS", 3)
    async with serving() as connect:
        first, silent = await connect(), await connect()
        async with RpcClient(first) as rpc:
            assert await rpc.call(METHOD, EMPTY, None, STRING) == "near"
            third = await connect()
            assert await ask(await connect()) == "near"
            with pytest.raises(StreamReset):
                async with asyncio.timeout(10):
                    await silent.read()
            assert await rpc.call(METHOD, EMPTY, None, STRING) == "near"
        third.abort()


@pytest.mark.parametrize(
    "data", [b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"SKYBRX", b"S"]
)
async def test_garbage_harms_nobody_else(data: bytes) -> None:
    async with serving() as connect:
        bad = await connect()
        await bad.write(data)
        assert await ask(await connect()) == "near"
        bad.abort()
        half = await connect()
        await half.write(random_bytes(50))
        await half.write_eof()
        assert await ask(await connect()) == "near"
        half.abort()


async def test_unknown_methods_are_refused_and_the_connection_goes_on() -> None:
    async with serving() as connect, RpcClient(await connect()) as rpc:
        for _ in range(100):
            with pytest.raises(Refused, match=r"can't find method app-visor\.NoSuch"):
                await rpc.call("app-visor.NoSuch", STRING, "x", EMPTY)
        with pytest.raises(Refused, match=r"can't find service other\.Name"):
            await rpc.call("other.Name", EMPTY, None, EMPTY)
        assert await rpc.call(METHOD, EMPTY, None, STRING) == "near"


@pytest.mark.parametrize("split", [1, 6, 20, 42])
@pytest.mark.parametrize("scheme", ["dmsg", "skynet"])
async def test_a_bridge_leads_to_another_visor(scheme: str, split: int) -> None:
    tasks, asked = Tasks("far"), []

    async def dial(pk: PubKey, port: int, scheme: str) -> Stream:
        asked.append((pk, port, scheme))
        ours, theirs = stream_pair()
        tasks.spawn(named("far").serve(theirs))
        return ours

    async with serving(dial) as connect:
        stream = await connect()
        header = Bridge(scheme, PK, 44).encode()
        await stream.write(header[:split])
        await asyncio.sleep(0)
        if header[split:]:
            await stream.write(header[split:])
        assert await ask(stream) == "far"
    assert asked == [(PK, 44, scheme)]
    await tasks.close()


@pytest.mark.parametrize("header", [Bridge("dmsg", PK, 44).encode(), b"SKYBRI" + bytes(36)])
async def test_a_bridge_to_nowhere_ends(header: bytes) -> None:
    async with serving() as connect:
        stream = await connect()
        await stream.write(header)
        with pytest.raises(StreamReset):
            await ask(stream)
        assert await ask(await connect()) == "near"


async def test_a_header_must_be_complete_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_rpc, "HEADER_LIMIT", 0.05)
    async with serving() as connect:
        stream = await connect()
        await stream.write(Bridge("dmsg", PK, 44).encode()[:30])
        with pytest.raises(StreamReset):
            async with asyncio.timeout(10):
                await stream.read()
