"""A stream of an app, at its visor: deadlines that move, and figures. Source: apps.md §3.2."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.router.route_group import RouteGroup
from skywire.streams.stream import READ_SIZE, Stream
from skywire.wire.gob_types import ZERO_TIME, GoTime

NS = 1_000_000_000


class Deadline:
    """A moment on the loop's clock, for what waits now and for what will; None: no limit."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._running: set[asyncio.Timeout] = set()

    def set(self, moment: GoTime) -> None:
        """Go's zero time removes it. What waits just now is held to the new one, as in Go."""
        self._at = None
        if moment != ZERO_TIME:
            left = moment.unix_ns() / NS - time.time()
            self._at = asyncio.get_running_loop().time() + left
        for limit in self._running:
            if not limit.expired():
                limit.reschedule(self._at)

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Raises TimeoutError out of the block, or before it when the moment has passed."""
        if self._at is not None and asyncio.get_running_loop().time() >= self._at:
            raise TimeoutError
        async with asyncio.timeout_at(self._at) as limit:
            self._running.add(limit)
            try:
                yield
            finally:
                self._running.discard(limit)


class Connection:
    """Calls of an app may come side by side: they take turns, in the order of their coming."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.read_deadline = Deadline()
        self.write_deadline = Deadline()
        self.received = 0  # bytes
        self.sent = 0
        self.error = ""  # how it broke
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def read(self, size: int) -> bytes:
        """At most `size` bytes, of one message of the far end; b"" at its end. Raises as a Stream;
        TimeoutError at the deadline, which loses nothing.
        """
        async with self.read_deadline.limit(), self._reading:
            data = await self.stream.read(max(1, min(size, READ_SIZE)))
        self.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Raises as a Stream; TimeoutError at the deadline, which ends the stream."""
        async with self.write_deadline.limit(), self._writing:
            try:
                await self.stream.write(data)
            except asyncio.CancelledError:
                self.stream.abort()  # a part of it may be on the way
                raise
        self.sent += len(data)

    def reason(self, error: Exception) -> str:
        """What an app is told: of a route, the words of the far end alone."""
        if isinstance(self.stream, RouteGroup) and self.stream.error:
            return self.stream.error
        return str(error)

    @property
    def is_alive(self) -> bool:
        return not (isinstance(self.stream, RouteGroup) and self.stream.is_over)
