"""KcpStream: a KCP session on a shared UDP socket as a Stream. Source: transport.md §5.2.

    write ──▶ messages of ≤ 1376 B ──▶ window ──▶ UdpSocket ──▶ … ──▶ window ──▶ chunks ──▶ read

Each write begins a new message, as the reference's does. The end of a direction and a reset are
seen by peers of our kind only: the reference has neither, there a closed session falls silent.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from skywire.errors import LocalProtocolError, StreamClosed, StreamReset
from skywire.streams.stream import READ_SIZE, Address
from skywire.wire.kcp import MSS, Kcp, reset_datagram

READ_LIMIT = 64 * 1024  # received bytes that wait for `read`; above, the window closes
SEND_LIMIT = 64  # messages that wait for the window; above, `write` waits
SEND_PIECE = 32 * MSS  # bytes of a large write that are queued at once
CLOSE_WAIT = 2.0  # seconds `close` waits until the peer has everything
LINGER = 30.0  # seconds a closed stream goes on delivering what was written, then it is cut

SendDatagrams = Callable[[Sequence[bytes]], None]


class KcpStream:
    """Made by `UdpSocket`, which feeds it and is told by `on_end` when the session is over."""

    __slots__ = (
        "_chunks",
        "_closed",
        "_eof",
        "_eof_sent",
        "_kcp",
        "_linger",
        "_loop",
        "_on_end",
        "_over",
        "_reader",
        "_send",
        "_size",
        "_timer",
        "_timer_at",
        "_unread",
        "_writer",
        "local",
        "remote",
    )

    def __init__(
        self,
        conv: int,
        *,
        local: Address,
        remote: Address,
        send: SendDatagrams,
        on_end: Callable[["KcpStream"], None],
    ) -> None:
        self.local = local
        self.remote = remote
        self._loop = asyncio.get_running_loop()
        self._kcp = Kcp(conv, self._now())
        self._send = send
        self._on_end: Callable[[KcpStream], None] | None = on_end
        self._chunks: deque[bytes] = deque()
        self._size = 0  # bytes in `_chunks`
        self._eof = False  # the peer has finished its direction
        self._eof_sent = False
        self._closed = False
        self._unread = False  # something came that nobody read before, or after, `close`
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._over: asyncio.Future[None] | None = None  # `close` waits for it
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._linger: asyncio.TimerHandle | None = None

    @property
    def conv(self) -> int:
        return self._kcp.conv

    @property
    def round_trip(self) -> float | None:
        """Seconds, smoothed; None before the first acknowledgement."""
        return None if self._kcp.rtt is None else self._kcp.rtt / 1000

    @property
    def resent(self) -> int:
        """Segments that had to be transmitted again."""
        return self._kcp.resent

    def _now(self) -> int:
        return int(self._loop.time() * 1000)

    # Stream

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        while not self._chunks:
            if not await self._until_readable():
                return b""
        return self._taken(self._take(max_bytes))

    async def read_message(self) -> bytes:
        """One whole message of the peer, b"" at the end; raises as `read` does."""
        while not self._chunks:
            if not await self._until_readable():
                return b""
        data = self._chunks.popleft()
        self._size -= len(data)
        return self._taken(data)

    async def _until_readable(self) -> bool:
        """False when nothing will come."""
        if self._closed:
            raise StreamClosed(f"KCP session with {self.remote} was closed by us")
        if self._eof:
            return False
        if self._kcp.lost is not None:
            raise self._reset()
        if self._reader is not None:
            raise LocalProtocolError("a stream has one reader at a time")
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None
        return True

    def _take(self, max_bytes: int) -> bytes:
        chunks = self._chunks
        if len(chunks) == 1 and len(chunks[0]) <= max_bytes:
            self._size = 0
            return chunks.popleft()
        parts, room = [], max_bytes
        while chunks and room:
            first = chunks.popleft()
            if len(first) > room:
                chunks.appendleft(first[room:])
                first = first[:room]
            parts.append(first)
            room -= len(first)
        self._size -= max_bytes - room
        return b"".join(parts)

    def _taken(self, data: bytes) -> bytes:
        if self._size < READ_LIMIT // 2 and self._drain():
            self.flush()  # tells the peer that the window is open
        return data

    def _drain(self) -> bool:
        """Take what KCP has for us; was there something?"""
        taken = False
        kcp = self._kcp
        while self._size < READ_LIMIT or self._closed or kcp.lost is not None:
            message = kcp.read_message()
            if message is None:
                break
            taken = True
            if self._closed:
                self._unread = self._unread or bool(message)
                self._eof = self._eof or not message
            elif message:
                self._chunks.append(message)
                self._size += len(message)
            else:
                self._eof = True
        return taken

    async def write(self, data: bytes) -> None:
        self._check_writable()
        if len(data) <= SEND_PIECE:
            await self._write(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), SEND_PIECE):
            await self._write(view[at : at + SEND_PIECE])

    async def _write(self, piece: bytes | memoryview) -> None:
        self._kcp.send(piece)
        self.flush()
        while self._kcp.waiting > SEND_LIMIT:
            if self._writer is not None:
                raise LocalProtocolError("a stream has one writer at a time")
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
            self._check_writable()
        self._check_writable()

    def _check_writable(self) -> None:
        if self._closed:
            raise StreamClosed(f"KCP session with {self.remote} was closed by us")
        if self._kcp.lost is not None:
            raise self._reset()
        if self._eof_sent:
            raise StreamClosed(f"our direction to {self.remote} was finished by write_eof")

    def _reset(self) -> StreamReset:
        return StreamReset(f"KCP session with {self.remote} broke: {self._kcp.lost}")

    async def write_eof(self) -> None:
        """Only a peer of our kind sees it."""
        if self._closed:
            raise StreamClosed(f"KCP session with {self.remote} was closed by us")
        self._finish()
        self.flush()

    def _finish(self) -> None:
        self._eof_sent = True
        if self._kcp.lost is None:
            self._kcp.finish()

    async def close(self) -> None:
        if not self._closed:
            self._shut()
            self._drain()
            self._finish()
            self._linger = self._loop.call_later(LINGER, self._end)
            self.flush()
        if self._on_end is not None and not self._kcp.delivered:
            if self._over is None:
                self._over = self._loop.create_future()
            await asyncio.wait([self._over], timeout=CLOSE_WAIT)

    def abort(self) -> None:
        self._shut()
        self._end()

    def _shut(self) -> None:
        self._closed = True
        self._unread = self._unread or bool(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._wake(self._reader)
        self._wake(self._writer)

    def _end(self) -> None:
        """Forget the session; the peer learns it if it might still say something."""
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        if self._kcp.lost is None and not (self._eof and self._kcp.delivered):
            self._send([reset_datagram(self._kcp.conv)])
        self._stop_timers()
        self._wake(self._over)
        on_end(self)

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._linger):
            if timer is not None:
                timer.cancel()
        self._timer = self._linger = None

    # What the socket calls

    def receive_datagram(self, data: bytes) -> None:
        """Followed by one `batch_done` after several."""
        self._kcp.receive_datagram(data, self._now())

    def batch_done(self) -> None:
        if self._drain():
            self._wake(self._reader)
        self.flush()

    def lose(self, reason: str) -> None:
        """The socket has no place for the session any more."""
        if self._kcp.lost is None:
            self._kcp.lost = reason
        self._after()

    def flush(self) -> None:
        """Send what is due, set the timer, wake who waits."""
        if self._on_end is None:
            return
        kcp = self._kcp
        if datagrams := kcp.data_to_send(self._now()):
            self._send(datagrams)
        self._after()

    def _after(self) -> None:
        kcp = self._kcp
        if kcp.lost is not None:
            self._drain()
            self._wake(self._reader)
            self._wake(self._writer)
            self._end()
            return
        if self._closed and kcp.delivered:
            self._wake(self._over)
            if self._eof or self._unread:
                self._end()
                return
        when = kcp.next_timer()
        if when is not None and (self._timer is None or when < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = when
            self._timer = self._loop.call_at(when / 1000, self._on_timer)
        if self._writer is not None and kcp.waiting <= SEND_LIMIT // 2:
            self._wake(self._writer)

    def _on_timer(self) -> None:
        self._timer = None
        self._kcp.handle_timer(self._now())
        self.flush()

    @staticmethod
    def _wake(waiter: "asyncio.Future[None] | None") -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
