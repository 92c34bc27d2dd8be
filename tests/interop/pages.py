"""A browser's part: the API of a hypervisor, and the websocket of a terminal."""

import asyncio
import re
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from skywire.crypto.keys import PubKey
from tests.interop.ours import SOON


async def get(http: ClientSession, url: str) -> Any:
    async with http.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.json(content_type=None)


async def until_known(http: ClientSession, base: str, *visors: PubKey, limit: float = SOON) -> None:
    """Wait until all `visors` are connected to the hypervisor at `base`.

    Ask for no summary before: in a Go hypervisor the list of summaries and a visor that connects
    at the same time can stop each other, and with them its whole API, for ever.
    """
    async with asyncio.timeout(limit):
        for public in visors:
            status = 0
            while status != 200:
                async with http.get(f"{base}/api/visors/{public}") as response:
                    status = response.status
                await asyncio.sleep(0.05)


async def row_of(http: ClientSession, base: str, public: PubKey, *, online: bool = True) -> Any:
    """The row of the list of visors for `public`, once it is in this state and has its health."""
    async with asyncio.timeout(SOON):
        while True:
            for row in await get(http, f"{base}/api/visors-summary"):
                mine = row["overview"]["local_pk"] == str(public)
                if mine and row["online"] is online and (row["health"] or not online):
                    return row
            await asyncio.sleep(0.05)


class WebTerminal:
    """What a page would show: `output`; `texts` are frames for the page itself.

    A Go hypervisor of 2024 sends output as text.
    """

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.texts: list[str] = []
        self._output = b""

    @property
    def output(self) -> str:
        return self._output.decode(errors="replace")

    async def until(self, pattern: str) -> "re.Match[str]":
        try:
            async with asyncio.timeout(SOON):
                while (found := re.search(pattern, self.output)) is None:
                    assert await self._receive(), f'closed before "{pattern}":\n{self.output}'
        except TimeoutError:
            raise AssertionError(f'no "{pattern}" within {SOON} s:\n{self.output}') from None
        return found

    async def until_closed(self) -> int | None:
        """The code of the close frame."""
        async with asyncio.timeout(SOON):
            while await self._receive():
                continue
        return self.socket.close_code

    async def _receive(self) -> bool:
        message = await self.socket.receive()
        if message.type is WSMsgType.BINARY:
            self._output += message.data
        elif message.type is WSMsgType.TEXT and message.data.startswith("{"):
            self.texts.append(message.data)
        elif message.type is WSMsgType.TEXT:
            self._output += message.data.encode()
        else:
            return False
        return True

    async def type(self, text: str) -> None:
        await self.socket.send_str(text)

    async def resize(self, rows: int, cols: int) -> None:
        await self.socket.send_json({"type": "resize", "cols": cols, "rows": rows})

    async def shell_pid(self) -> int:
        await self.type("echo pid-$$-\n")
        return int((await self.until(r"pid-(\d+)-"))[1])
