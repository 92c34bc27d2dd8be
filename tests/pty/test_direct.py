"""Terminals over plain TCP. Source: pty.md §1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, SkywireError
from skywire.pty import direct
from skywire.pty.client import MAX_EXEC_MESSAGE, PtyClient
from skywire.pty.host import PtyHost
from skywire.pty.types import CommandExecReq
from skywire.pty.whitelist import Whitelist
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.wait import eventually

OURS, OUR_SK = key_pair()
HOST, HOST_SK = key_pair()
OTHER, OTHER_SK = key_pair()


@asynccontextmanager
async def listening(*allowed: PubKey) -> AsyncIterator[tuple[PtyHost, int]]:
    tasks = Tasks("direct")
    async with PtyHost(Whitelist(allowed), own=HOST) as host:
        listener = await listen_tcp("127.0.0.1", 0)
        tasks.spawn(host.accept_direct(listener, HOST_SK), "accept")
        try:
            yield host, listener.address.port
        finally:
            await listener.close()
            await tasks.close()


async def test_a_key_in_the_whitelist_has_a_shell() -> None:
    async with listening(OURS) as (_, port):
        stream = await direct.dial_direct(HOST, "127.0.0.1", port, OUR_SK)
        client = await PtyClient.connect(stream, max_message=MAX_EXEC_MESSAGE)
        async with client:
            done = await client.execute(CommandExecReq("echo", ["there"], [], b"", 5000))
        assert done.stdout == b"there\n"


async def test_another_key_gets_no_answer() -> None:
    async with listening(OURS) as (_, port):
        stream = await direct.dial_direct(HOST, "127.0.0.1", port, OTHER_SK)
        with pytest.raises(SkywireError):
            await PtyClient.connect(stream)


async def test_a_host_with_another_key_is_not_taken_for_the_one_that_is_meant() -> None:
    async with listening(OURS) as (_, port):
        with pytest.raises(DialFailed, match="is this its key"):
            await direct.dial_direct(OTHER, "127.0.0.1", port, OUR_SK)


async def test_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "HANDSHAKE_LIMIT", 0.05)
    async with listening(OURS) as (host, port):
        stream = await dial_tcp("127.0.0.1", port)
        async with asyncio.timeout(5):
            assert await stream.read() == b""
        await stream.close()
        await eventually(lambda: host._connections == 0)


async def test_garbage_is_let_go_and_the_next_one_is_served() -> None:
    async with listening(OURS) as (_, port):
        stream = await dial_tcp("127.0.0.1", port)
        await stream.write(b"GET / HTTP/1.1\r\n\r\n" * 20)
        async with asyncio.timeout(15):
            with suppress(SkywireError):
                assert await stream.read() == b""
        await stream.close()
        stream2 = await direct.dial_direct(HOST, "127.0.0.1", port, OUR_SK)
        async with await PtyClient.connect(stream2) as client:
            await client.ping()


async def test_nobody_there_is_told() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    port = listener.address.port
    await listener.close()
    with pytest.raises(DialFailed):
        await direct.dial_direct(HOST, "127.0.0.1", port, OUR_SK)


async def test_one_that_never_answers_costs_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct, "DIAL_LIMIT", 0.2)
    listener = await listen_tcp("127.0.0.1", 0)
    with pytest.raises(DialFailed, match=r"no answer within 0\.2 s"):
        await direct.dial_direct(HOST, "127.0.0.1", listener.address.port, OUR_SK)
    await listener.close()
