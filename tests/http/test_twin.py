"""A service by its URL, or over its twin when that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.http.app import listen, running
from skywire.http.over_stream import serve_http
from skywire.http.twin import TwinConnector
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.listener import MemoryListener

TWIN = deterministic_key_pair(b"twin")[0]
CLIENT = deterministic_key_pair(b"client")[0]
NOWHERE = "http://127.0.0.1:1"


def site(name: str) -> web.Application:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=f"{name} {request.path_qs} {request.host}")

    app = web.Application()
    app.router.add_get("/{path:.*}", tell)
    return app


class Dmsg:
    """The twin, as a dial; `fails` makes it one that cannot be reached."""

    def __init__(self, listener: MemoryListener) -> None:
        self._listener = listener
        self.dialled: list[tuple[PubKey, int]] = []
        self.fails = False

    async def dial(self, pk: PubKey, port: int) -> Stream:
        self.dialled.append((pk, port))
        if self.fails:
            raise DialFailed("no way over dmsg")
        return await self._listener.dial(pk, port)


@asynccontextmanager
async def both() -> AsyncIterator[tuple[str, Dmsg]]:
    """URL of the service, and its twin."""
    listener = MemoryListener(Address.dmsg(TWIN, 80), Address.dmsg(CLIENT, 49152))
    tasks = Tasks("twin")
    tasks.spawn(serve_http(site("dmsg"), listener))
    try:
        async with running(site("http")) as runner, asyncio.timeout(20):
            port = await listen(runner, "127.0.0.1", 0, what="site")
            yield f"http://127.0.0.1:{port}", Dmsg(listener)
    finally:
        await tasks.close()


def session(dmsg: Dmsg) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=TwinConnector(dmsg.dial, TWIN, 80))


async def text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


async def test_http_is_used_while_it_works() -> None:
    async with both() as (url, dmsg), session(dmsg) as client:
        assert (await text(client, f"{url}/a?b=c")).startswith("http /a?b=c")
        assert dmsg.dialled == []


async def test_what_cannot_be_reached_is_asked_over_dmsg() -> None:
    async with both() as (_, dmsg), session(dmsg) as client:
        assert await text(client, f"{NOWHERE}/a?b=c") == "dmsg /a?b=c 127.0.0.1:1"
        assert dmsg.dialled == [(TWIN, 80)]


async def test_a_name_that_is_not_found_is_no_end() -> None:
    async with both() as (_, dmsg), session(dmsg) as client:
        assert (await text(client, "http://no-such-host.invalid/")).startswith("dmsg /")


async def test_the_way_that_worked_is_first_and_the_other_one_is_there_again() -> None:
    async with both() as (url, dmsg):
        connector = TwinConnector(dmsg.dial, TWIN, 80)
        async with aiohttp.ClientSession(
            connector=connector, headers={"Connection": "close"}
        ) as client:
            await text(client, NOWHERE)
            assert (await text(client, url)).startswith("dmsg")
            dmsg.fails = True
            assert (await text(client, url)).startswith("http")
            dmsg.fails = False
            assert (await text(client, url)).startswith("http")


async def test_both_causes_are_told() -> None:
    async with both() as (_, dmsg), session(dmsg) as client:
        dmsg.fails = True
        with pytest.raises(aiohttp.ClientConnectionError, match="no way over dmsg") as caught:
            await text(client, NOWHERE)
        assert "127.0.0.1" in str(caught.value)
