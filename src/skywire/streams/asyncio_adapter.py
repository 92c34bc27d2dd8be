"""Any Stream as an `asyncio.Transport`, so that asyncio protocols (aiohttp's) speak over it.

    protocol ──write──▶ buffer ──▶ stream    pause_writing over HIGH_WATER, resume at LOW_WATER
    protocol ◀──data_received──── stream     pause_reading stops the next read

The owner runs it: `StreamTransport(stream, protocol)` connects the protocol at once, `run` pumps
until the connection is over and closes the stream on every way out.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Any

from skywire.errors import SkywireError
from skywire.streams.relay import close_within, has_half_close
from skywire.streams.stream import Stream

log = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024  # bytes waiting to be written before the protocol is paused; asyncio's own
LOW_WATER = 16 * 1024
MAX_BUFFERED = 4 * 1024 * 1024  # bytes already waiting when a protocol that ignores it is cut off
WRITE_SIZE = 256 * 1024  # bytes given to the stream at once
WRITE_TIMEOUT = 120.0  # seconds for the peer to take one such piece
FLUSH_TIMEOUT = 30.0  # seconds for what is left once the protocol has closed


class StreamTransport(asyncio.Transport):
    """`get_extra_info` knows `peername` and `sockname`, (host, port) as TCP has them, and `remote`
    and `local` (an `Address` with the authenticated key) and `stream`.
    """

    def __init__(self, stream: Stream, protocol: asyncio.Protocol) -> None:
        super().__init__(
            {
                "peername": (stream.remote.host, stream.remote.port),
                "sockname": (stream.local.host, stream.local.port),
                "remote": stream.remote,
                "local": stream.local,
                "stream": stream,
            }
        )
        self._stream = stream
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._low, self._high = LOW_WATER, HIGH_WATER
        self._buffer: deque[memoryview] = deque()
        self._buffered = 0  # bytes in `_buffer` and in the write under way
        self._protocol_paused = False
        self._wake_writer = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._finish = False  # half-close once the buffer is empty
        self._closing = False
        self._aborted = False
        self._flush_deadline: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self._pumps: tuple[asyncio.Task[None], ...] = ()
        protocol.connection_made(self)

    async def run(self) -> None:
        """Pump until either side ends the connection, then tell the protocol. Cancel to abort."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read_loop(), name="transport reader")
                writer = tasks.create_task(self._write_loop(), name="transport writer")
                self._pumps = (reader, writer)
                if self._aborted:
                    self._stop_pumps()
                await asyncio.wait((writer,))
                reader.cancel()
        except BaseException:
            self._aborted = True
            raise
        finally:
            self._closing = True
            self._pumps = ()
            if self._flush_deadline is not None:
                self._flush_deadline.cancel()
            await self._end()

    async def _end(self) -> None:
        try:
            if self._aborted:
                self._stream.abort()
            else:
                await close_within(self._stream)
        finally:
            self._protocol.connection_lost(self._error)

    async def _read_loop(self) -> None:
        try:
            while True:
                await self._may_read.wait()
                data = await self._stream.read()
                await self._may_read.wait()  # paused meanwhile: the protocol takes nothing now
                if self._closing:
                    return
                if not data:
                    break
                self._protocol.data_received(data)
            if not self._protocol.eof_received():
                self.close()
        except SkywireError as error:
            self._fail(error)

    async def _write_loop(self) -> None:
        try:
            while True:
                await self._wake_writer.wait()
                self._wake_writer.clear()
                while self._buffer:
                    await self._write_piece()
                if self._finish:
                    self._finish = False
                    async with asyncio.timeout(WRITE_TIMEOUT):
                        await self._stream.write_eof()
                if self._closing:
                    return
        except SkywireError as error:
            self._fail(error)
        except TimeoutError:
            self._cut(f"did not read for {WRITE_TIMEOUT:.0f} s")

    async def _write_piece(self) -> None:
        first = self._buffer.popleft()
        pieces, size = [first], len(first)
        while self._buffer and size + len(self._buffer[0]) <= WRITE_SIZE:
            pieces.append(self._buffer.popleft())
            size += len(pieces[-1])
        async with asyncio.timeout(WRITE_TIMEOUT):
            await self._stream.write(b"".join(pieces))
        self._buffered -= size
        if self._protocol_paused and self._buffered <= self._low:
            self._protocol_paused = False
            self._protocol.resume_writing()

    def _cut(self, why: str) -> None:
        log.info("peer cut off remote=%s reason=%s", self._stream.remote, why)
        self._fail(TimeoutError(f"{self._stream.remote} was cut off: it {why}"))

    def _fail(self, error: Exception) -> None:
        """End with `error`, as the OSError that protocols written for sockets expect."""
        if not self._aborted:
            lost = ConnectionResetError(str(error))
            lost.__cause__ = error
            self._error = lost
            self.abort()

    def _stop_pumps(self) -> None:
        for task in self._pumps:
            task.cancel()

    # the reading side of asyncio.Transport

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    def is_reading(self) -> bool:
        return self._may_read.is_set() and not self._closing

    # the writing side

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue `data`; dropped once closing, as asyncio's own transports do."""
        if self._closing or not data:
            return
        if self._buffered > MAX_BUFFERED:
            self._cut("does not read, and the protocol ignores its pause")
            return
        view = memoryview(bytes(data))
        for start in range(0, len(view), WRITE_SIZE):
            self._buffer.append(view[start : start + WRITE_SIZE])
        self._buffered += len(view)
        self._wake_writer.set()
        if self._buffered > self._high and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return has_half_close(self._stream)

    def write_eof(self) -> None:
        self._finish = True
        self._wake_writer.set()

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._low, self._high = low, high

    @property
    def _sendfile_compatible(self) -> Any:
        """Asked by `loop.sendfile`; this answer makes aiohttp send files piece by piece."""
        raise NotImplementedError("a stream has no kernel sendfile")

    # the end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Take no more; what is buffered still goes out. `connection_lost` follows from `run`."""
        if not self._closing:
            self._closing = True
            self._wake_writer.set()
            late = f"did not take the rest within {FLUSH_TIMEOUT:.0f} s"
            self._flush_deadline = self._loop.call_later(FLUSH_TIMEOUT, self._cut, late)

    def abort(self) -> None:
        """Drop what is buffered and end now. `connection_lost` follows from `run`."""
        self._closing = True
        self._aborted = True
        self._stream.abort()
        self._stop_pumps()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - BufferedProtocol has no use here
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
