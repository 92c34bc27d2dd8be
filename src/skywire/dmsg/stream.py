"""A dmsg stream: Noise KK frames end to end inside a yamux stream. Source: dmsg.md §3, §6.

There is no half-close: one FIN ends both directions. Frame borders carry no meaning to a reader.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from skywire.dmsg.session import Session
from skywire.errors import NotSupported, RemoteProtocolError, StreamClosed, StreamError, StreamReset
from skywire.streams.stream import READ_SIZE, Address
from skywire.wire.noise_frames import MAX_PLAIN, OVERHEAD, Opener, Sealer
from skywire.wire.yamux import DISCARD, HEADER_SIZE, YamuxStream

BATCH = 16 * MAX_PLAIN  # plaintext bytes sealed at once: 64 KiB of frames in one yamux frame
CLOSE_TIMEOUT = 5.0  # seconds `close` waits for the peer to take what was written


class DmsgStream:
    """Both a `Stream` for its user and the yamux `Receiver` of its data.

    Received bytes wait in `_chunks`, at most the yamux window of 256 KiB; the window is granted
    again when they are read. At most one batch that did not fit the peer's window waits in
    `_unsent`.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_closed",
        "_eof",
        "_error",
        "_flushed",
        "_loop",
        "_on_end",
        "_opener",
        "_raw",
        "_reader",
        "_sealer",
        "_session",
        "_stream",
        "_unsent",
        "_writer",
        "local",
        "remote",
    )

    def __init__(
        self,
        session: Session,
        stream: YamuxStream,
        *,
        local: Address,
        remote: Address,
        send_key: bytes,
        receive_key: bytes,
        on_end: Callable[["DmsgStream"], None],
    ) -> None:
        self.local = local
        self.remote = remote
        self._session = session
        self._stream = stream
        self._sealer = Sealer(send_key)
        self._opener = Opener(receive_key)
        self._on_end: Callable[[DmsgStream], None] | None = on_end
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._buffered = 0  # plaintext bytes in `_chunks`
        self._raw = 0  # bytes received and not granted again
        self._unsent: memoryview | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._flushed: asyncio.Future[None] | None = None  # what `close` waits for
        self._eof = False
        self._closed = False
        self._error: StreamError | None = None
        stream.receiver = self

    @property
    def server(self) -> str:
        """The key of the relaying server, in hexadecimal."""
        return self._session.remote.hex()

    # Stream

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        while not self._chunks:
            if self._closed:
                raise StreamClosed(f"stream to {self.remote} was closed")
            if self._error is not None:
                raise self._error
            if self._eof:
                return b""
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._take(max_bytes)
        self._buffered -= len(data)
        self._grant()
        return data

    def _take(self, max_bytes: int) -> bytes:
        chunks = self._chunks
        first = chunks.popleft()
        if not chunks and len(first) <= max_bytes:
            return first
        parts, size = [], 0
        while True:
            room = max_bytes - size
            if len(first) > room:
                parts.append(first[:room])
                chunks.appendleft(first[room:])
                break
            parts.append(first)
            size += len(first)
            if not chunks or size == max_bytes:
                break
            first = chunks.popleft()
        return b"".join(parts)

    def _grant(self) -> None:
        free = self._raw - self._buffered
        if free > 0:
            self._raw -= free
            self._stream.consume(free)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), BATCH):
            if self._unsent is not None or self._session.paused:
                await self._until_writable()
            self._check_writable()
            sealed = self._sealer.seal(view[begin : begin + BATCH], HEADER_SIZE)
            at_once = self._session.flusher.begin()
            taken = self._stream.send_framed(sealed)
            if at_once:
                self._session.flusher.end()
            if taken < len(sealed) - HEADER_SIZE:
                self._unsent = memoryview(sealed)[HEADER_SIZE + taken :]
        if not data:
            self._check_writable()

    def write_now(self, data: bytes) -> bool:
        """Take all of `data` without waiting, or nothing."""
        self._check_writable()
        room = len(data) + OVERHEAD * (1 + len(data) // MAX_PLAIN)
        if self._unsent is not None or self._session.paused or room > self._stream.send_window:
            return False
        if data:
            at_once = self._session.flusher.begin()
            self._stream.send_framed(self._sealer.seal(data, HEADER_SIZE))
            if at_once:
                self._session.flusher.end()
        return True

    def _check_writable(self) -> None:
        if self._closed:
            raise StreamClosed(f"stream to {self.remote} was closed")
        if self._error is not None:
            raise self._error
        if self._eof:
            raise StreamReset(f"stream to {self.remote}: the peer has closed it")

    async def _until_writable(self) -> None:
        """Wait until nothing is unsent and the connection takes data; raises when it is over."""
        while self._unsent is not None or self._session.paused:
            self._check_writable()
            self._writer = self._loop.create_future()
            if self._unsent is None:
                self._session.when_resumed(self._wake_writer)
            try:
                await self._writer
            finally:
                self._writer = None

    async def write_eof(self) -> None:
        raise NotSupported("a dmsg stream has no half-close: use close()")

    async def close(self) -> None:
        if self._closed:
            return
        self._shut()
        if self._unsent is not None and self._stream.can_send:
            self._flushed = self._loop.create_future()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._flushed
            except TimeoutError:
                pass  # the peer takes nothing: what is unsent is lost
            except asyncio.CancelledError:
                self._leave()
                self._stream.reset()
                raise
        lost = self._unsent is not None
        self._leave()
        if lost:
            self._stream.reset()
        else:
            self._stream.close()

    def abort(self) -> None:
        self._shut()
        self._leave()
        self._stream.reset()

    def _shut(self) -> None:
        """From now on reading and writing are refused, waiting ones too."""
        self._closed = True
        self._chunks.clear()
        self._buffered = 0
        self._grant()
        self._wake_reader()
        self._wake_writer()

    def _leave(self) -> None:
        """Nothing is left to do for this stream: let go of yamux and the port."""
        self._unsent = None
        self._stream.receiver = DISCARD
        self._wake_flush()
        self._gone()

    def _gone(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _wake_flush(self) -> None:
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    # What yamux tells its receiver

    def data_received(self, data: bytes | memoryview) -> None:
        if self._closed:
            self._stream.consume(len(data))
            return
        self._raw += len(data)
        try:
            plain = self._opener.receive_data(data)
        except RemoteProtocolError as error:
            self._stream.reset()
            self.stream_lost(str(error))
            return
        if plain:
            self._chunks.extend(plain)
            for chunk in plain:
                self._buffered += len(chunk)
            self._wake_reader()
        self._grant()

    def window_opened(self) -> None:
        if self._unsent is not None:
            taken = self._stream.send(self._unsent)
            self._unsent = self._unsent[taken:] if taken < len(self._unsent) else None
            if self._unsent is None:
                self._wake_writer()
                self._wake_flush()

    def eof_received(self) -> None:
        if self._opener.unfinished:
            self.stream_lost("closed by the peer in the middle of a frame")
        self._eof = True
        self._over()
        self._stream.close()

    def stream_lost(self, reason: str) -> None:
        self._error = self._error or StreamReset(f"stream to {self.remote}: {reason}")
        self._over()

    def _over(self) -> None:
        """The peer or the session is gone: wake everybody, free the port."""
        self._unsent = None
        self._wake_reader()
        self._wake_writer()
        self._wake_flush()
        self._gone()
