"""In-memory streams for tests: whole, chopped into chunks, and with back-pressure."""

import asyncio

from skywire.errors import StreamClosed, StreamReset
from skywire.streams.stream import READ_SIZE, Address, Stream

HIGH_WATER = 256 * 1024


class _Pipe:
    """One direction: bytes from a writer to a reader, at most `HIGH_WATER` in between."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False
        self.reset = False
        self.changed = asyncio.Condition()


class MemoryStream:
    """One end of `stream_pair`."""

    def __init__(
        self, local: Address, remote: Address, out: _Pipe, back: _Pipe, chunk: int
    ) -> None:
        self.local = local
        self.remote = remote
        self._out = out
        self._in = back
        self._chunk = chunk
        self.closed = False

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        pipe = self._in
        async with pipe.changed:
            await pipe.changed.wait_for(
                lambda: pipe.buffer or pipe.eof or pipe.reset or self.closed
            )
            if self.closed:
                raise StreamClosed("memory stream was closed")
            if pipe.buffer:
                size = min(max_bytes, self._chunk)
                data = bytes(pipe.buffer[:size])
                del pipe.buffer[:size]
                pipe.changed.notify_all()
                return data
            if pipe.reset:
                raise StreamReset("memory stream was reset by the peer")
            return b""

    async def write(self, data: bytes) -> None:
        pipe = self._out
        if self.closed:
            raise StreamClosed("memory stream was closed")
        async with pipe.changed:
            if pipe.eof or pipe.reset:
                raise StreamReset("memory stream: the peer is gone")
            pipe.buffer += data
            pipe.changed.notify_all()
            await pipe.changed.wait_for(
                lambda: len(pipe.buffer) < HIGH_WATER or pipe.reset or pipe.eof or self.closed
            )

    async def write_eof(self) -> None:
        async with self._out.changed:
            self._out.eof = True
            self._out.changed.notify_all()

    async def close(self) -> None:
        self.closed = True
        for pipe in (self._out, self._in):
            async with pipe.changed:
                pipe.eof = True
                pipe.changed.notify_all()

    def abort(self) -> None:
        self.closed = True
        loop = asyncio.get_running_loop()
        for pipe in (self._out, self._in):
            pipe.reset = True
            loop.call_soon(self._wake, pipe)

    @staticmethod
    def _wake(pipe: _Pipe) -> None:
        if not pipe.changed.locked():
            for waiter in pipe.changed._waiters:
                if not waiter.done():
                    waiter.set_result(True)


def stream_pair(
    chunk: int = READ_SIZE, a: Address | None = None, b: Address | None = None
) -> tuple[Stream, Stream]:
    """Two connected streams; each read returns at most `chunk` bytes."""
    one, two = _Pipe(), _Pipe()
    a = a or Address("memory", "a", 1)
    b = b or Address("memory", "b", 2)
    return MemoryStream(a, b, one, two, chunk), MemoryStream(b, a, two, one, chunk)
