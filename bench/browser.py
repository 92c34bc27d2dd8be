"""What a browser is to the hypervisor of the demo: a login, and websockets of terminals."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

TIME_LIMIT = 20.0  # seconds for a terminal to open or to show something


class Terminal:
    """A terminal of our page: acknowledges what it shows."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.received = 0  # bytes of output
        self._tail = b""

    async def type(self, keys: bytes) -> None:
        await self.ws.send_bytes(keys)

    async def receive(self) -> bytes:
        """The next output, not acknowledged. Raises RuntimeError when the terminal has ended."""
        while True:
            message = await self.ws.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                data: bytes = message.data
                self.received += len(data)
                return data
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise RuntimeError(f"the terminal ended: {message.type.name} {message.extra}")

    async def output(self) -> bytes:
        """The next output, acknowledged."""
        data = await self.receive()
        await self.acknowledge(len(data))
        return data

    async def acknowledge(self, count: int) -> None:
        await self.ws.send_str(json.dumps({"type": "ack", "chars": count}, separators=(",", ":")))

    async def until(self, text: bytes) -> None:
        """Read until `text` was shown, split in any way."""
        seen = self._tail
        async with asyncio.timeout(TIME_LIMIT):
            while text not in seen:
                seen = seen[-len(text) :] + await self.output()
        self._tail = seen.partition(text)[2][-64:]


@asynccontextmanager
async def logged_in(demo: dict[str, Any]) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the demo's page."""
    account = {"username": demo["user"], "password": demo["password"]}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(demo["url"], cookie_jar=jar) as session:
        async with session.post("api/login", json=account) as answer:
            answer.raise_for_status()
        yield session


@asynccontextmanager
async def terminal(session: aiohttp.ClientSession, node: str) -> AsyncIterator[Terminal]:
    """A shell on `node`, once it answers."""
    async with session.ws_connect(f"pty/{node}?flow=1&scheme=dmsg", max_msg_size=0) as ws:
        opened = Terminal(ws)
        await opened.type(b"echo up$((40+2))\r")
        await opened.until(b"up42")
        yield opened


def part(demo: dict[str, Any], name: str) -> dict[str, Any]:
    """What the demo says about one of its processes."""
    (found,) = (part for part in demo["parts"] if part["name"] == name)
    return dict(found)
