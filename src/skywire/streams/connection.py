"""A stream with what people expect of one: `async with`, `async for`, lines, exact counts.

    async with await node.dial(pk, 80) as connection:
        await connection.write(b"hello\\n")
        print(await connection.readline())

It is a `Stream` itself, and adds a buffer for what was read beyond a line. Deadlines are the
caller's: `async with asyncio.timeout(…)`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from skywire.errors import RemoteProtocolError, StreamReset
from skywire.streams.asyncio_adapter import StreamTransport
from skywire.streams.relay import close_within
from skywire.streams.serving import MAX_STREAMS, serve_each
from skywire.streams.stream import READ_SIZE, Address, Listener, Stream
from skywire.streams.supervise import Tasks

MAX_LINE = 64 * 1024  # bytes of a line, its end included
MAX_WHOLE = 16 * 1024 * 1024  # bytes `read_to_end` keeps


class Connection:
    """Owns `stream`. Leaving `async with` closes it in order, or aborts it after an exception."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = bytearray()

    @property
    def local(self) -> Address:
        return self.stream.local

    @property
    def remote(self) -> Address:
        """The other end; its `pk` is authenticated."""
        return self.stream.remote

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            await close_within(self)
        else:
            self.abort()

    # Reading

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        """Some bytes, as they come; b"" when the peer has finished. Raises StreamError."""
        if self._buffer:
            return self._take(min(max_bytes, len(self._buffer)))
        return await self.stream.read(max_bytes)

    async def readexactly(self, count: int) -> bytes:
        """Raises StreamReset when the peer finishes before; what came stays readable."""
        while len(self._buffer) < count:
            if not await self._fill():
                raise StreamReset(
                    f"{self.remote} finished after {len(self._buffer)} of {count} bytes"
                )
        return self._take(count)

    async def readline(self, limit: int = MAX_LINE) -> bytes:
        """One line with its newline; the last may have none; b"" when the peer has finished.

        Raises RemoteProtocolError for a line of more than `limit` bytes.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched) + 1) == 0:
            searched = len(self._buffer)
            if searched >= limit:
                break
            if not await self._fill():
                return self._take(searched)
        if end == 0 or end > limit:
            raise RemoteProtocolError(f"a line of {self.remote} is longer than {limit} bytes")
        return self._take(end)

    async def read_to_end(self, limit: int = MAX_WHOLE) -> bytes:
        """All that comes until the peer finishes. Raises RemoteProtocolError over `limit` bytes."""
        while len(self._buffer) <= limit:
            if not await self._fill():
                return self._take(len(self._buffer))
        raise RemoteProtocolError(f"{self.remote} sent more than {limit} bytes")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces as they come, until the peer finishes."""
        while data := await self.read():
            yield data

    async def lines(self, limit: int = MAX_LINE) -> AsyncIterator[bytes]:
        """Each line without its line end, LF or CR LF."""
        while line := await self.readline(limit):
            yield line.removesuffix(b"\n").removesuffix(b"\r")

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _fill(self) -> bool:
        """More into the buffer; False when there is no more."""
        data = await self.stream.read()
        self._buffer += data
        return bool(data)

    # Writing, and the end

    async def write(self, data: bytes) -> None:
        """Returns when it is accepted: a slow peer slows the writer. Raises StreamError."""
        await self.stream.write(data)

    async def write_eof(self) -> None:
        """Finish our direction only. Raises NotSupported where there is no half-close (dmsg)."""
        await self.stream.write_eof()

    async def close(self) -> None:
        """Orderly end; what was written still arrives. Idempotent, never raises."""
        self._buffer.clear()
        await self.stream.close()

    def abort(self) -> None:
        """End now. Idempotent, never raises."""
        self._buffer.clear()
        self.stream.abort()


class ConnectionListener:
    """Incoming connections to a port; leaving `async with` frees the port."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    @property
    def address(self) -> Address:
        return self._listener.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def accept(self) -> Connection:
        """The next one. Raises StreamClosed once the listener is closed."""
        return Connection(await self._listener.accept())

    async def __aiter__(self) -> AsyncIterator[Connection]:
        """Connection after connection, until cancelled. Raises StreamClosed as `accept` does."""
        while True:
            yield await self.accept()

    async def serve(
        self, handler: Callable[[Connection], Awaitable[object]], *, limit: int = MAX_STREAMS
    ) -> None:
        """Run `handler` for each, side by side, until the listener is closed; cancel to stop.

        A connection is closed when its handler returns, and aborted when it raises; a SkywireError
        or a time-out costs this connection only. One beyond `limit` is cut at once.
        """

        async def handle(stream: Stream) -> None:
            async with Connection(stream) as connection:
                await handler(connection)

        await serve_each(self._listener, handle, name=f"port {self.address}", limit=limit)

    async def close(self) -> None:
        """Free the port. Idempotent."""
        await self._listener.close()


def asyncio_streams(
    stream: Stream, tasks: Tasks, limit: int = MAX_LINE
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`stream` as asyncio's own pair; `tasks` runs what carries the bytes between them.

    `writer.get_extra_info("remote")` is the Address of the other end.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = StreamTransport(stream, protocol)
    tasks.spawn(transport.run(), str(stream.remote))
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
