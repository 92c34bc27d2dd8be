"""Runs commands on other nodes over streams that are kept for a while. Source: pty.md §5."""

import asyncio
from typing import NamedTuple, Self

from skywire.crypto.keys import PubKey
from skywire.errors import Refused, StreamClosed, Unavailable
from skywire.pty.client import MAX_EXEC_MESSAGE, PtyClient
from skywire.pty.dialing import Dial, check_scheme, dial_host
from skywire.pty.execute import time_limit
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.streams.supervise import Tasks

IDLE_LIMIT = 90.0  # seconds an unused stream is kept; less than the peer's 2 minutes
MAX_STREAMS = 64
DIAL_LIMIT = 20.0  # seconds until a stream has been accepted
SLACK = 15.0  # seconds an answer may take beyond the command's own limit


class _Key(NamedTuple):
    pk: PubKey
    port: int
    scheme: str


class _Kept:
    """One stream, its users now, and the timer that ends it."""

    def __init__(self) -> None:
        self.connecting = asyncio.Lock()
        self.client: PtyClient | None = None
        self.users = 0
        self.timer: asyncio.TimerHandle | None = None


class ExecPool:
    """`async with` it: leaving closes all streams. One per key, port and scheme, for any number of
    commands side by side.
    """

    def __init__(self, dial: Dial, *, idle_limit: float = IDLE_LIMIT) -> None:
        self._dial = dial
        self._idle_limit = idle_limit
        self._kept: dict[_Key, _Kept] = {}
        self._leaving: set[PtyClient] = set()  # being closed
        self._tasks = Tasks("exec pool")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for key, kept in list(self._kept.items()):
            self._retire(key, kept)
            if kept.client is not None:
                self._leaving.add(kept.client)
        await asyncio.gather(*(client.close() for client in self._leaving))
        await self._tasks.close()

    async def execute(
        self, pk: PubKey, port: int, request: CommandExecReq, scheme: str = ""
    ) -> CommandExecResult:
        """Raises what dialling raises, Refused with the host's text, StreamError or TimeoutError.

        Never tries again: the command may have run. A stream that failed is not used again.
        """
        key = _Key(pk, port, check_scheme(scheme))
        kept = self._kept.get(key) or self._add(key)
        kept.users += 1
        if kept.timer is not None:
            kept.timer.cancel()
        good = False
        try:
            client = await self._connected(key, kept)
            async with asyncio.timeout(time_limit(request) + SLACK):
                result = await client.execute(request)
            good = True
            return result
        except Refused:
            good = kept.client is not None
            raise
        finally:
            kept.users -= 1
            self._left(key, kept, good)

    def _add(self, key: _Key) -> _Kept:
        if len(self._kept) >= MAX_STREAMS:
            for other, kept in self._kept.items():
                if not kept.users:
                    self._retire(other, kept)
                    break
            else:
                raise Unavailable(f"commands run on {MAX_STREAMS} nodes already; wait for some")
        kept = self._kept[key] = _Kept()
        return kept

    async def _connected(self, key: _Key, kept: _Kept) -> PtyClient:
        async with kept.connecting:
            if kept.client is not None and not kept.client.closed:
                return kept.client
            if self._kept.get(key) is not kept:
                raise StreamClosed("the stream failed while this command waited for it")
            kept.client = None
            async with asyncio.timeout(DIAL_LIMIT):
                client = await dial_host(self._dial, *key, max_message=MAX_EXEC_MESSAGE)
            await client.__aenter__()
            kept.client = client
            return client

    def _left(self, key: _Key, kept: _Kept, good: bool) -> None:
        if self._kept.get(key) is kept:
            if not good:
                self._retire(key, kept)
            elif not kept.users:
                loop = asyncio.get_running_loop()
                kept.timer = loop.call_later(self._idle_limit, self._retire, key, kept)
        elif not kept.users and kept.client is not None:
            self._close_later(kept.client)

    def _retire(self, key: _Key, kept: _Kept) -> None:
        """Nobody gets this stream any more; it is closed when its last user has left."""
        del self._kept[key]
        if kept.timer is not None:
            kept.timer.cancel()
        if not kept.users and kept.client is not None:
            self._close_later(kept.client)

    def _close_later(self, client: PtyClient) -> None:
        self._leaving.add(client)
        closing = self._tasks.spawn(client.close(), f"close {client.stream.remote}")
        closing.add_done_callback(lambda _: self._leaving.discard(client))
