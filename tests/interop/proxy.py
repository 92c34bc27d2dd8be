"""A proxy in front of a dmsg server: announces where a connection comes from (PROXY protocol)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.streams.supervise import Tasks
from tests.interop.processes import LOOPBACK

SOURCE = "203.0.113.7"  # a documentation address: nobody's, and to Go a public one


class Front:
    """Listens on `port`; connections go on to `target`, a port that may be set later."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self._tasks = Tasks("proxy")

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection(LOOPBACK, self.target)
        onward.write(f"PROXY TCP4 {SOURCE} {LOOPBACK} 4000 {self.target}\r\n".encode())
        self._tasks.spawn(_copy(reader, onward), "in")
        self._tasks.spawn(_copy(onward_reader, writer), "out")

    async def close(self) -> None:
        await self._tasks.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy_front() -> AsyncIterator[Front]:
    front = Front()
    server = await asyncio.start_server(front.connected, LOOPBACK, 0)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
        await front.close()
