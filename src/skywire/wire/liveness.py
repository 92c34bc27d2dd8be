"""Is the far end of a route alive, how far away is it, and may it be sent more?

    ALIVE ──── nothing at all for 9 s, or no pong for 30 s ───▶ LOST

A clock goes in, decisions come out. Source: routing.md §6.2; the limits are ours, the reference
keeps a silent route. Ours, too: pings mark how far the peer has got. Packets keep their order, so a
pong says that everything sent before its ping has arrived. At most `WINDOW` data packets are on the
way, and a peer of ours whose application reads slowly holds its pong back (it repeats an older one
meanwhile). A reference peer answers at once; then this only keeps queues on the path short.
"""

from collections import deque
from enum import Enum
from typing import NamedTuple

from skywire.wire.packet import parse_ping, ping_payload, pong_payload

PING_INTERVAL = 3.0  # seconds; Go: defaultPingInterval
KEEP_ALIVE_INTERVAL = 15.0  # seconds without data; Go: half of the keep-alive of rules
SILENCE_LIMIT = 9.0  # seconds
PONG_LIMIT = 30.0  # seconds, while other packets still come
FIRST_PONG_LIMIT = 2.0  # seconds that data waits for a peer that may never answer pings
WINDOW = 704  # data packets; with the quarter of 1024 places that a peer may be behind: no overflow
PING_EVERY = 176  # data packets
MIN_SPAN = 0.5  # seconds over which a throughput is measured


class State(Enum):
    ALIVE = "alive"
    LOST = "lost"


class Figure(NamedTuple):
    """Something measured, and when, on the clock of `Liveness`."""

    value: float
    at: float


class _Ping(NamedTuple):
    timestamp: int
    sent_at: float
    before: int  # data packets sent before it


class Liveness:
    """Times are seconds on one monotonic clock; `epoch` is that clock's zero in Unix time."""

    __slots__ = (
        "_answered",
        "_answers",
        "_busy_seen",
        "_confirmed",
        "_data_sent",
        "_epoch",
        "_heard",
        "_last_data",
        "_last_ping",
        "_last_pong",
        "_measured",
        "_next_ping",
        "_owed",
        "_pinged_at",
        "_pings",
        "_received",
        "_throughput",
        "download",
        "latency",
        "reason",
        "state",
        "upload",
    )

    def __init__(self, now: float, epoch: float = 0.0) -> None:
        self.state = State.ALIVE
        self.reason = ""  # why it is lost
        self.latency: Figure | None = None  # seconds, round trip; None before the first pong
        self.upload: Figure | None = None  # bytes/s that the peer says it receives
        self.download: Figure | None = None  # bytes/s that we receive
        self._epoch = epoch
        self._pings: deque[_Ping] = deque()  # not answered yet, oldest first
        self._last_ping = 0  # timestamp
        self._next_ping = now + PING_INTERVAL
        self._heard = now
        self._last_pong = now
        self._last_data = now
        self._data_sent = 0
        self._pinged_at = 0  # `_data_sent` at the last ping
        self._confirmed = 0  # data packets the peer surely has
        self._answers: bool | None = None  # whether the peer answers pings; None: not known
        self._busy_seen = False
        self._answered = -1  # timestamp of the ping answered last
        self._owed = -1  # timestamp of a ping whose pong is held back
        self._received = 0  # bytes since `_measured`
        self._measured = now
        self._throughput = 0

    # Time

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None when there is nothing left to wait for."""
        if self.state is State.LOST:
            return None
        when = min(self._next_ping, self._heard + SILENCE_LIMIT)
        if self._pings and self._answers is not False:
            limit = FIRST_PONG_LIMIT if self._answers is None else PONG_LIMIT
            when = min(when, max(self._pings[0].sent_at, self._last_pong) + limit)
        return min(when, self._last_data + KEEP_ALIVE_INTERVAL)

    def handle_timer(self, now: float) -> tuple[bytes | None, bool]:
        """The ping payload to send now, and whether a keep-alive is due. May end in LOST."""
        self._look_for_loss(now)
        if self.state is State.LOST:
            return None, False
        keep_alive = now >= self._last_data + KEEP_ALIVE_INTERVAL
        if keep_alive:
            self._last_data = now
        if now < self._next_ping:
            return None, keep_alive
        self._next_ping = now + PING_INTERVAL
        return self.ping(now), keep_alive

    def _look_for_loss(self, now: float) -> None:
        if now >= self._heard + SILENCE_LIMIT:
            self._lose(f"nothing came for {SILENCE_LIMIT:.0f} s")
        elif self._pings and self._answers is not False:
            waiting = now - max(self._pings[0].sent_at, self._last_pong)
            if self._answers is None and waiting >= FIRST_PONG_LIMIT:
                self._answers = False  # for now: such a peer is sent data without a window
            elif self._answers and waiting >= PONG_LIMIT:
                self._lose(f"no ping was answered for {PONG_LIMIT:.0f} s")

    def _lose(self, reason: str) -> None:
        self.state = State.LOST
        self.reason = reason

    # Sending

    def ping(self, now: float) -> bytes:
        """A ping's payload; its timestamp is larger than the last one's."""
        self._last_ping = max(self._last_ping + 1, int((now + self._epoch) * 1000))
        if self._answers is False:
            self._pings.clear()  # never more than one is remembered
        self._pings.append(_Ping(self._last_ping, now, self._data_sent))
        self._pinged_at = self._data_sent
        self._measure(now)
        return ping_payload(self._last_ping, self._throughput)

    def _measure(self, now: float) -> None:
        span = now - self._measured
        if span >= MIN_SPAN:
            self._throughput = int(self._received / span)
            self.download = Figure(self._throughput, now)
            self._received, self._measured = 0, now

    @property
    def room(self) -> int:
        """Data packets that may be sent now."""
        if self._answers is False:
            return WINDOW
        return max(0, WINDOW - (self._data_sent - self._confirmed))

    def data_sent(self, packets: int, now: float) -> bytes | None:
        """Count data packets; a ping's payload when one should follow them."""
        self._data_sent += packets
        self._last_data = now
        if self._data_sent - self._pinged_at >= PING_EVERY and self._answers is not False:
            return self.ping(now)
        return None

    # Receiving

    def heard(self, now: float) -> None:
        """Any packet came."""
        self._heard = now

    def data_received(self, size: int) -> None:
        self._received += size

    def receive_ping(self, payload: bytes, now: float, *, busy: bool = False) -> bytes:
        """The pong to send. While `busy`, it is an older one and this ping's is owed."""
        timestamp, throughput = parse_ping(payload)
        self.upload = Figure(max(0, throughput), now)
        if busy and self._answered >= 0:
            self._owed = timestamp
            return pong_payload(self._answered)
        self._answered, self._owed = timestamp, -1
        return pong_payload(timestamp)

    def pay(self) -> bytes | None:
        """No longer busy: the pong that is owed, if there is one."""
        if self._owed < 0:
            return None
        self._answered, self._owed = self._owed, -1
        return pong_payload(self._answered)

    def receive_pong(self, payload: bytes, now: float) -> None:
        timestamp = parse_ping(payload).timestamp
        self._last_pong = now
        self._answers = True
        if not any(ping.timestamp == timestamp for ping in self._pings):
            self._busy_seen = True  # a repeated one
            return
        while True:
            ping = self._pings.popleft()
            if ping.timestamp == timestamp:
                break
        self._confirmed = ping.before
        if not self._busy_seen:
            self.latency = Figure(max(0.0, now - ping.sent_at), now)
        self._busy_seen = False
