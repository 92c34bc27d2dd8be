"""Many streams over one: a yamux session on any Stream. Source: apps.md §6, §9.2; dmsg.md §5.

    async with YamuxSession(stream, client=True) as session:
        one = await session.open()

A session is a Listener, too: `serve_each(session, …)`. Keep-alive pings are answered and not sent:
the routes below have their own. Dmsg has its own shell around the same machine (dmsg/session.py).
"""

import asyncio
import logging
from collections import deque
from time import monotonic

from skywire.errors import (
    RemoteProtocolError,
    SkywireError,
    StreamClosed,
    StreamReset,
)
from skywire.streams.relay import close_within
from skywire.streams.stream import READ_SIZE, Stream
from skywire.streams.supervise import Tasks
from skywire.wire.yamux import DISCARD, WINDOW, Yamux, YamuxStream

log = logging.getLogger(__name__)

NETWORK = "yamux"  # of the addresses of its streams
HIGH_WATER = 64 * 1024  # bytes waiting for the stream below: above, writers wait
MAX_STREAMS = 64  # opened by the peer at a time; a further one is reset
CLOSE_LIMIT = 2.0  # seconds for what is queued when a session is closed
LINGER = 30.0  # seconds from our end of a stream to the peer's, then it is reset


class YamuxConnection:
    """One stream of a session: a Stream for its user, the `Receiver` of its data.

    Received bytes wait in `_chunks`, at most the window of 256 KiB.
    """

    __slots__ = (
        "_chunks",
        "_closed",
        "_eof",
        "_eof_sent",
        "_lost",
        "_reader",
        "_session",
        "_stream",
        "_thrown_away",
        "_writer",
        "local",
        "remote",
    )

    def __init__(self, session: "YamuxSession", stream: YamuxStream) -> None:
        self.local = session.address
        self.remote = session.remote
        self._session = session
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._eof = False
        self._eof_sent = False
        self._closed = False
        self._lost = ""
        self._thrown_away = 0
        stream.receiver = self

    # What the machine tells

    def data_received(self, data: bytes | memoryview) -> None:
        if self._closed:
            self._throw_away(len(data))
            return
        self._chunks.append(bytes(data))
        _wake(self._reader)

    def window_opened(self) -> None:
        _wake(self._writer)

    def eof_received(self) -> None:
        self._eof = True
        _wake(self._reader)

    def stream_lost(self, reason: str) -> None:
        self._lost = reason
        self.wake()

    def wake(self) -> None:
        _wake(self._reader)
        _wake(self._writer)

    # The Stream

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        while not self._chunks:
            if self._closed:
                raise StreamClosed(f"stream to {self.remote} was closed")
            if self._eof:
                return b""
            if self._lost:
                raise StreamReset(f"stream to {self.remote}: {self._lost}")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._chunks.popleft()
        if len(data) > max_bytes:
            self._chunks.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        if not self._lost:
            self._stream.consume(len(data))
        return data

    async def write(self, data: bytes) -> None:
        self._check_writable()
        view = memoryview(bytes(data))
        while view:
            if self._session.has_room:
                taken = self._stream.send(view)
                self._session.queued += taken
                view = view[taken:]
            if view:
                await self._until_writable()

    async def _until_writable(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        self._session.waiting.add(self)
        try:
            await self._writer
        finally:
            self._writer = None
            self._session.waiting.discard(self)
        self._check_writable()

    def _check_writable(self) -> None:
        if self._closed or self._eof_sent:
            raise StreamClosed(f"stream to {self.remote} was closed")
        if self._lost:
            raise StreamReset(f"stream to {self.remote}: {self._lost}")

    async def write_eof(self) -> None:
        if self._closed:
            raise StreamClosed(f"stream to {self.remote} was closed")
        if not self._eof_sent and not self._lost:
            self._eof_sent = True
            self._stream.close()

    async def close(self) -> None:
        if self._closed:
            return
        self._shut()
        if not self._lost:
            self._stream.close()
            self._session.linger(self._stream)

    def abort(self) -> None:
        self._shut()
        if not self._lost:
            self._stream.reset()

    def _shut(self) -> None:
        self._closed = True
        left = sum(map(len, self._chunks))
        self._chunks.clear()
        if left and not self._lost:
            self._throw_away(left)
        self.wake()

    def _throw_away(self, size: int) -> None:
        """What the peer sends to one who has closed: some is on its way, more is not wanted."""
        self._thrown_away += size
        if self._thrown_away > WINDOW:
            self._stream.reset()
        else:
            self._stream.consume(size)


class YamuxSession:
    """Owns `stream`; an async context manager. A `client` opens odd stream ids."""

    def __init__(self, stream: Stream, *, client: bool, max_streams: int = MAX_STREAMS) -> None:
        self.address = stream.local._replace(network=NETWORK)
        self.remote = stream.remote._replace(network=NETWORK)
        self.queued = 0  # bytes not given to the stream below
        self.waiting: set[YamuxConnection] = set()  # writers
        self._stream = stream
        self._max_streams = max_streams
        self._output = asyncio.Event()
        self._turn = asyncio.Lock()  # of who writes to the stream below
        self._yamux = Yamux(
            client=client, now=monotonic(), on_stream=self._on_stream, on_output=self._output.set
        )
        self._accepted: asyncio.Queue[YamuxConnection | None] = asyncio.Queue()
        self._lingering: set[asyncio.TimerHandle] = set()
        self._tasks = Tasks("yamux")
        self._ended = ""  # why; "" while it runs
        self._closed = False

    async def __aenter__(self) -> "YamuxSession":
        self._tasks.spawn(self._read_loop(), "reader")
        self._tasks.spawn(self._write_loop(), "writer")
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    @property
    def is_over(self) -> bool:
        return bool(self._ended)

    @property
    def has_room(self) -> bool:
        return self.queued < HIGH_WATER

    @property
    def streams(self) -> int:
        return len(self._yamux.streams)

    async def open(self) -> YamuxConnection:
        """Raises StreamReset when the session is over, Unavailable at a limit."""
        if self._ended:
            raise StreamReset(f"session with {self.remote}: {self._ended}")
        return YamuxConnection(self, self._yamux.open())

    async def accept(self) -> YamuxConnection:
        """Raises StreamClosed once the session is over."""
        connection = await self._accepted.get()
        if connection is None:
            self._accepted.put_nowait(None)  # for the next one who asks
            raise StreamClosed(f"session with {self.remote}: {self._ended}")
        return connection

    async def close(self) -> None:
        """Say goodbye, then close the stream below. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if not self._ended:
            self._yamux.go_away()
            try:
                async with asyncio.timeout(CLOSE_LIMIT):
                    await self._write_out()
            except (SkywireError, TimeoutError) as error:
                log.debug("session not ended in order remote=%s error=%s", self.remote, error)
                self._stream.abort()
        self._end("it was closed")
        await self._tasks.close()
        await close_within(self._stream)

    def linger(self, stream: YamuxStream) -> None:
        """Reset `stream`, which our side has ended, unless the peer ends it soon, too."""
        if len(self._lingering) > self._max_streams:
            stream.reset()
            return

        def cut() -> None:
            self._lingering.discard(timer)
            stream.reset()

        timer = asyncio.get_running_loop().call_later(LINGER, cut)
        self._lingering.add(timer)

    def _on_stream(self, stream: YamuxStream) -> None:
        crowded = self._accepted.qsize() >= self._max_streams  # nobody accepts them
        if crowded or len(self._yamux.streams) > self._max_streams:
            log.info("stream refused remote=%s limit=%d", self.remote, self._max_streams)
            stream.receiver = DISCARD
            stream.reset()
            return
        connection = YamuxConnection(self, stream)
        stream.accept()
        self._accepted.put_nowait(connection)

    async def _read_loop(self) -> None:
        try:
            while data := await self._stream.read():
                self._yamux.receive_data(data, monotonic())
            self._end("the peer has closed it")
        except RemoteProtocolError as error:
            log.info("session ended remote=%s reason=%s", self.remote, error)
            self._end(str(error))
            self._stream.abort()
        except SkywireError as error:
            self._end(str(error))

    async def _write_loop(self) -> None:
        try:
            while True:
                await self._output.wait()
                await self._write_out()
        except SkywireError as error:
            self._end(str(error))

    async def _write_out(self) -> None:
        async with self._turn:
            self._output.clear()
            pieces, taken = self._yamux.data_to_send(), self.queued
            if pieces:
                await self._stream.write(b"".join(pieces))
            self.queued -= taken
        for connection in tuple(self.waiting):
            connection.wake()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = reason
        for timer in self._lingering:
            timer.cancel()
        self._lingering.clear()
        self._yamux.terminate(reason)
        self._accepted.put_nowait(None)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
