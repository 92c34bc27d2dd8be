"""One transport that is up: packets in and out, counted. Source: transport.md §6.

Packets are queued by `send` and written by a task of the link, so a peer that takes nothing delays
nobody else. Who sends much asks `congested` first and waits with `drained` or `when_drained`.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Protocol

from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported, SkywireError, StreamError, StreamReset, Unavailable
from skywire.streams.stream import Stream, WritesNow
from skywire.wire.link import HEADER_SIZE, Observer, Pulse
from skywire.wire.transport import SignedEntry

log = logging.getLogger(__name__)

READ_SIZE = 256 * 1024  # bytes handed on at once, at most
BATCH = 65120  # bytes written at once; 16 full Noise frames
HIGH_WATER = 256 * 1024  # queued bytes from which a link is congested …
LOW_WATER = 64 * 1024  # … until so few are left
MAX_QUEUED = 4 * 1024 * 1024  # bytes; more are refused
MERGE_WITHIN = 50e-6  # seconds after a packet that went out at once in which others are collected
STALL_LIMIT = 60.0  # seconds for a peer to take a batch
FLUSH_LIMIT = 2.0  # seconds `close` gives the peer to take what is queued
CLOSED = "closed by us"
RATE_TIME = 1.0  # seconds over which throughput is taken, at least

OnData = Callable[["Link", bytes], Awaitable[object] | None]


class Owner(Protocol):
    """`transport.manager.TransportManager`."""

    on_data: OnData | None

    def link_ended(self, link: "Link") -> None: ...


class Link:
    """Made by the manager, which runs it. Closing is `manager.remove(link.id)`."""

    __slots__ = (
        "_closing",
        "_drained",
        "_flushed",
        "_idle",
        "_last_now",
        "_loop",
        "_observer",
        "_owner",
        "_pulse",
        "_queue",
        "_queued",
        "_rate_base",
        "_stream",
        "_takes_now",
        "_writing_since",
        "bandwidth",
        "bandwidth_at",
        "dialled",
        "dropped",
        "id",
        "is_up",
        "label",
        "opened_at",
        "packets_sent",
        "proven",
        "reason",
        "received",
        "remote",
        "sent",
        "signed",
        "type",
    )

    def __init__(
        self, stream: Stream, signed: SignedEntry, label: str, *, dialled: bool, owner: Owner
    ) -> None:
        remote = stream.remote.pk
        assert remote is not None, "networks authenticate"  # noqa: S101 - a type guard
        self._loop = asyncio.get_running_loop()
        now = monotonic()
        self.id: uuid.UUID = signed.entry.id
        self.remote: PubKey = remote
        self.type = signed.entry.type
        self.label = label
        self.signed = signed  # by both edges when we accepted; else by us only
        self.dialled = dialled
        self.is_up = True
        self.reason = ""  # why it is down
        self.opened_at = now  # on the monotonic clock, as all times here
        self.sent = 0  # bytes taken by `send`, headers included
        self.received = 0
        self.packets_sent = 0
        self.dropped = 0  # bytes refused because the queue was full
        self.bandwidth: float | None = None  # bytes/s, the busier direction; None: unknown
        self.bandwidth_at: float | None = None
        self.proven: asyncio.Future[None] = self._loop.create_future()  # first byte, or the end
        self._owner = owner
        self._stream = stream
        self._queue: deque[bytes | memoryview] = deque()
        self._queued = 0
        self._takes_now = stream if isinstance(stream, WritesNow) else None
        self._last_now = 0.0  # when a packet went out without the writer
        self._writing_since: float | None = None  # a write that is not done; `tick` has the limit
        self._idle: asyncio.Future[None] | None = None  # what the writer waits for
        self._flushed: asyncio.Future[None] | None = None  # what `close` waits for
        self._closing = False
        self._drained: list[Callable[[], None]] = []
        self._observer = Observer()
        self._pulse = Pulse(now)
        self._rate_base = (now, 0, 0)  # when, and sent and received then

    def __repr__(self) -> str:
        return f"Link({self.type} {self.remote!r} {self.id})"

    # Figures

    @property
    def latency(self) -> float | None:
        """Seconds, round trip to a peer that answers transport pings; None: unknown."""
        return self._pulse.latency

    @property
    def latency_age(self) -> float | None:
        """Seconds since `latency` was measured; None: never."""
        at = self._pulse.latency_at
        return None if at is None else monotonic() - at

    @property
    def bandwidth_age(self) -> float | None:
        return None if self.bandwidth_at is None else monotonic() - self.bandwidth_at

    @property
    def payload_sent(self) -> int:
        """Bytes without the packets' headers."""
        return self.sent - HEADER_SIZE * self.packets_sent

    @property
    def payload_received(self) -> int:
        return max(0, self.received - HEADER_SIZE * self._observer.packets)

    # Sending

    @property
    def queued(self) -> int:
        """Bytes that wait to be written."""
        return self._queued

    @property
    def congested(self) -> bool:
        return self._queued > HIGH_WATER

    def send(self, data: bytes | memoryview, packets: int = 1) -> None:
        """Queue `packets` whole packets; `data` must not change afterwards.

        Raises StreamReset when the link is down, Unavailable when MAX_QUEUED is reached: then
        nothing of `data` is sent, and the streams it belongs to have lost something.
        """
        if not self.is_up:
            raise StreamReset(f"transport {self.id} to {self.remote} is down: {self.reason}")
        size = len(data)
        if self._queued + size > MAX_QUEUED:
            self.dropped += size
            raise Unavailable(
                f"transport {self.id} to {self.remote} takes nothing: "
                f"{self._queued} bytes are waiting"
            )
        self.sent += size
        self.packets_sent += packets
        if self._queue or self._writing_since is not None or not self._sent_now(data):
            self._queue.append(data)
            self._queued += size
            _finish(self._idle)

    def _sent_now(self, data: bytes | memoryview) -> bool:
        """A single packet does not wait for the writer's turn; what follows closely is merged."""
        now = monotonic()
        if self._takes_now is None or len(data) > BATCH or now - self._last_now < MERGE_WITHIN:
            return False
        self._last_now = now
        try:
            return self._takes_now.write_now(bytes(data))
        except StreamError as error:
            self.end(str(error))
            raise StreamReset(f"transport {self.id} to {self.remote} is down: {error}") from error

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call once when the link is not congested any more, or down; soon if that is so now."""
        if self.is_up and self.congested:
            self._drained.append(call)
        else:
            self._loop.call_soon(call)

    async def drained(self) -> None:
        """Wait for the same; the deadline is the caller's."""
        if self.is_up and self.congested:
            done = self._loop.create_future()
            self._drained.append(lambda: _finish(done))
            await done

    # What the manager calls

    async def run(self) -> None:
        """Until either end closes, the peer breaks something or the task is cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(), name=f"link writer {self.id}")
                await self._read()
                writer.cancel()
        finally:
            self.end("broken by an error of ours")

    async def _read(self) -> None:
        try:
            while data := await self._stream.read(READ_SIZE):
                self._pulse.heard = now = monotonic()
                self.received += len(data)
                _finish(self.proven)
                for control in self._observer.receive_data(data):
                    if (answer := self._pulse.receive(control, now)) is not None:
                        self._send_control(answer)
                if self._owner.on_data is not None:
                    hold = self._owner.on_data(self, data)
                    if hold is not None:
                        await hold
            self.end("closed by the peer")
        except (SkywireError, TimeoutError) as error:
            self.end(str(error) or "no time left")
        except asyncio.CancelledError:
            self.end(CLOSED)
            raise

    async def _write(self) -> None:
        """Ends with the link only; never raises, for then reading would be cancelled."""
        queue = self._queue
        try:
            while self.is_up:
                if not queue:
                    _finish(self._flushed)
                    self._idle = self._loop.create_future()
                    await self._idle
                    continue
                batch = [queue.popleft()]
                size = len(batch[0])
                while queue and size < BATCH:
                    size += len(queue[0])
                    batch.append(queue.popleft())
                self._writing_since = monotonic()
                await self._stream.write(b"".join(batch))
                self._writing_since = None
                self._queued = max(0, self._queued - size)
                if self._queued <= LOW_WATER and self._drained:
                    self._wake_drained()
        except SkywireError as error:
            self.end(str(error))

    def _send_control(self, packet: bytes) -> None:
        if self.is_up and not self.congested:
            self.send(packet)

    def _wake_drained(self) -> None:
        calls, self._drained = self._drained, []
        for call in calls:
            call()

    def tick(self, now: float) -> None:
        """About once a second: pings, figures, and the end of a silent peer."""
        if self._writing_since is not None and now - self._writing_since > STALL_LIMIT:
            self.end(f"it took no data for {STALL_LIMIT:.0f} s")
            return
        if self._pulse.is_silent(now):
            self.end(f"silent for {now - self._pulse.heard:.0f} s")
            return
        if (packet := self._pulse.ping(now)) is not None:
            self._send_control(packet)
        then, sent, received = self._rate_base
        if now - then >= RATE_TIME:
            most = max(self.sent - sent, self.received - received)
            if most >= LOW_WATER:  # less says nothing about what the link can carry
                self.bandwidth = most / (now - then)
                self.bandwidth_at = now
            self._rate_base = (now, self.sent, self.received)

    def probe(self) -> None:
        """Ask for a sign of life at once: a peer that has gone answers with a reset."""
        packet = self._pulse.ping(monotonic(), at_once=True)
        if packet is not None:
            self._send_control(packet)

    def heard_since(self, time: float) -> bool:
        return self._pulse.heard > time

    def end(self, reason: str) -> None:
        """The link is down, the stream cut, waiting senders are woken. Idempotent."""
        if not self.is_up:
            return
        self.is_up = False
        self.reason = CLOSED if self._closing else reason
        if not self._closing:
            self._stream.abort()
        self._queue.clear()
        self._queued = 0
        for waiting in (self.proven, self._idle, self._flushed):
            _finish(waiting)
        self._wake_drained()
        self._owner.link_ended(self)

    async def close(self) -> None:
        """Orderly: what is queued is still written, as far as the peer takes it soon.

        Where a connection has two directions ours is finished first: one that is closed with the
        peer's packets on their way would be reset, and what we sent with it.
        """
        self._closing = True
        try:
            async with asyncio.timeout(FLUSH_LIMIT):
                if self.is_up and self._queued:
                    await self._until_flushed()
                if self.is_up:
                    with suppress(NotSupported):
                        await self._stream.write_eof()
                        await self._until_flushed()  # the end flushes, too
                await self._stream.close()
        except (SkywireError, TimeoutError):
            self._stream.abort()
        self.end(CLOSED)

    async def _until_flushed(self) -> None:
        self._flushed = self._loop.create_future()
        await self._flushed


def _finish(waiting: "asyncio.Future[None] | None") -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
