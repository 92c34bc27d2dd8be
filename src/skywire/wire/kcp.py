"""KCP: a reliable, ordered stream of messages over datagrams. Source: transport.md §5.2.

    conv u32 │ cmd u8 │ frg u8 │ wnd u16 │ ts u32 │ sn u32 │ una u32 │ len u32 │ data

All numbers are little-endian. Every segment carries `una` (all before it have arrived) and `wnd`
(how many more are welcome); PUSH has data, ACK answers one PUSH by its number and time, ASK and
TELL are about a closed window. A datagram holds one or more whole segments.

The format and the window are the reference's. When to send is each side's own business, and ours
does not wait for a clock of 100 ms:

* new data and acknowledgements leave with the next `data_to_send`;
* a segment is sent again when three later transmissions were sent and the last of them arrived,
  or after the retransmission time-out;
* the congestion window shrinks by half the fraction that was lost in a round trip, so random loss
  costs little; by 0.7 when round trips have grown, so a full queue costs much; a second time-out
  of one segment halves it.

KCP has no end and no reset. Between two of ours an empty message is the end of a direction and the
command RESET breaks the session; the reference ignores the latter, and reads nothing after the
former.
"""

import struct
from collections import deque

from skywire.errors import LocalProtocolError

HEADER = struct.Struct("<IBBHIIII")
HEADER_SIZE = HEADER.size  # 24
PUSH = 81
ACK = 82
ASK = 83
TELL = 84
RESET = 90  # ours

MTU = 1400  # bytes of the largest datagram we send
MSS = MTU - HEADER_SIZE  # 1376; bytes of the largest message
WINDOW = 32  # segments on their way, and segments kept for the reader
REORDER = 3  # later transmissions that overtake one before it counts as lost
FIRST_CWND = 10  # segments
MIN_CWND = 2  # segments
QUEUE_FACTOR = 1.25  # a round trip longer than the least by this factor …
QUEUE_TIME = 5  # … and so many milliseconds says that a queue fills: loss means too much

RTO_FIRST = 200  # milliseconds, as all times here
RTO_MIN = 100
RTO_MAX = 60_000
INTERVAL = 100  # least allowance for the peer's clock of acknowledgements
BACKOFF = 1.5  # growth of the time-out of one segment
BACKOFF_LIMIT = 2_000  # the time-out grows to this, or stays at a larger estimate
PROBE_FIRST = 500  # ours; the reference asks after 7 s
PROBE_LIMIT = 120_000
DEAD_LINK = 20  # transmissions of one segment
SILENCE_LIMIT = 8_000  # ours: nothing at all heard while an answer is due

_MASK = 0xFFFFFFFF
_HALF = 0x80000000
_ACKS = 4 * WINDOW  # acknowledgements kept until the next `data_to_send`


def _signed(difference: int) -> int:
    """A difference of two 32-bit numbers, the nearer way round."""
    return ((difference + _HALF) & _MASK) - _HALF


def conversation(datagram: bytes) -> int | None:
    """The conversation id when this is a KCP datagram, else None."""
    if len(datagram) < HEADER_SIZE or not (PUSH <= datagram[4] <= TELL or datagram[4] == RESET):
        return None
    return int.from_bytes(datagram[:4], "little")


def is_opening(datagram: bytes) -> bool:
    """Does this KCP datagram begin a session: the first segment of all, with data?"""
    return datagram[4] == PUSH and datagram[12:16] == b"\0\0\0\0"


def reset_datagram(conv: int) -> bytes:
    return HEADER.pack(conv, RESET, 0, 0, 0, 0, 0, 0)


class _Segment:
    __slots__ = ("data", "order", "resend_at", "rto", "sent_at", "times")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent_at = 0
        self.order = 0  # number of its last transmission
        self.times = 0  # transmissions
        self.rto = 0.0
        self.resend_at = 0


class Kcp:
    """One end of a session. `now` is in milliseconds of any clock that only moves forward.

    Segment numbers are kept as plain integers that never wrap; the wire carries their low 32 bits.
    """

    def __init__(self, conv: int, now: int = 0, *, first: int = 0) -> None:
        """`first` is the number of the first segment both ways; only tests want another than 0."""
        self.conv = conv
        self.dropped = 0  # datagrams or parts of them that were no business of ours
        self.resent = 0  # segments transmitted again
        self.lost: str | None = None  # why the session is over; nothing is sent or received then
        self.reset_by_peer = False
        self.rtt: float | None = None  # smoothed round trip
        self._rtt_variation = 0.0
        self._rtt_least = float(RTO_MAX)
        self._rto = RTO_FIRST
        # sending
        self._una = first  # the oldest segment not acknowledged
        self._next = first  # the next new segment
        self._waiting: deque[bytes] = deque()  # messages not sent yet
        self._flight: dict[int, _Segment] = {}  # sent, not acknowledged, in order of number
        self._order = 0  # transmissions so far
        self._arrived = 0  # the latest transmission known to have arrived
        self._overtaken = False  # `_arrived` changed: look for losses
        self._deadline: int | None = None  # no segment is due before this
        self._finished = False
        self._peer_window = WINDOW
        self._probe_at: int | None = None
        self._probe_wait: float = PROBE_FIRST
        self._quiet_since: int | None = None  # an answer is due since then
        # congestion
        self._cwnd: float = FIRST_CWND
        self._threshold: float = WINDOW
        self._round_end = first
        self._round_acked = 0
        self._round_lost = 0
        self._round_timed_out = False
        # receiving
        self._expected = first  # the next segment in order
        self._early: dict[int, tuple[int, bytes]] = {}  # beyond `_expected`
        self._ready: deque[tuple[int, bytes]] = deque()  # (fragments that follow, data), in order
        self._acks: list[tuple[int, int]] = []  # (number, time) to acknowledge
        self._ask = False
        self._tell = False

    # The user's side

    @property
    def waiting(self) -> int:
        """Messages that `send` accepted and that were not sent yet."""
        return len(self._waiting)

    @property
    def delivered(self) -> bool:
        """Has the peer acknowledged everything, the end included?"""
        return not self._waiting and not self._flight

    def send(self, data: bytes | memoryview) -> None:
        """Queue `data` as messages of at most MSS bytes. The caller bounds the queue."""
        if self._finished:
            raise LocalProtocolError("KCP: send after finish")
        if len(data) <= MSS:
            if data:
                self._waiting.append(bytes(data))
            return
        view = memoryview(data)
        self._waiting.extend(bytes(view[at : at + MSS]) for at in range(0, len(view), MSS))

    def finish(self) -> None:
        """End our direction, behind what was sent before."""
        if not self._finished:
            self._finished = True
            self._waiting.append(b"")

    def read_message(self) -> bytes | None:
        """The next message in order, b"" for the end, None when none is complete."""
        ready = self._ready
        if not ready:
            return None
        if ready[0][0] == 0:
            count = 1
        else:
            count = next((at for at, part in enumerate(ready, 1) if part[0] == 0), 0)
            if count == 0:
                if len(ready) >= WINDOW:
                    self._die("the peer sent a message larger than the window")
                return None
        if len(ready) >= WINDOW:
            self._tell = True
        data = b"".join(ready.popleft()[1] for _ in range(count))
        if self._early:
            self._take_early()
        return data

    # The network's side

    def receive_datagram(self, data: bytes, now: int) -> None:
        """Anything may come in; what makes no sense is dropped and counted."""
        offset, end = 0, len(data)
        if end < HEADER_SIZE or self.lost is not None:
            self.dropped += 1
            return
        before = self._una
        acked = 0
        while end - offset >= HEADER_SIZE:
            conv, cmd, frg, wnd, ts, number, una, length = HEADER.unpack_from(data, offset)
            offset += HEADER_SIZE
            below = self._una + _signed(una - self._una)
            if conv != self.conv or length > end - offset or below > self._next:
                self.dropped += 1
                break
            if cmd == PUSH:
                self._receive_push(number, ts, frg, data[offset : offset + length])
            elif cmd == ACK:
                acked += self._receive_ack(number, ts, now)
            elif cmd == ASK:
                self._tell = True
            elif cmd == RESET:
                self.reset_by_peer = True
                self._die("the peer broke the session")
                return
            elif cmd != TELL:
                self.dropped += 1
                break
            offset += length
            self._peer_window = wnd
            if below > self._una:
                acked += self._acknowledge_below(below)
            self._quiet_since = None
        if acked:
            flight = self._flight
            while self._una < self._next and self._una not in flight:
                self._una += 1
            self._grow(acked)
        if self._una != before and self._una >= self._round_end:
            self._end_round()
        if self._flight and self._quiet_since is None:
            self._quiet_since = now

    def _receive_push(self, number: int, ts: int, frg: int, data: bytes) -> None:
        ahead = _signed(number - self._expected)
        if ahead >= WINDOW or frg >= WINDOW:
            self.dropped += 1
            return
        number = self._expected + ahead
        if len(self._acks) < _ACKS:
            self._acks.append((number, ts))
        if ahead == 0 and len(self._ready) < WINDOW:
            self._ready.append((frg, data))
            self._expected += 1
            if self._early:
                self._take_early()
        elif ahead >= 0:
            self._early.setdefault(number, (frg, data))

    def _take_early(self) -> None:
        while len(self._ready) < WINDOW:
            part = self._early.pop(self._expected, None)
            if part is None:
                return
            self._ready.append(part)
            self._expected += 1

    def _receive_ack(self, number: int, ts: int, now: int) -> int:
        elapsed = _signed(now - ts)
        if 0 <= elapsed <= RTO_MAX:
            self._measure(elapsed)
        segment = self._flight.pop(self._una + _signed(number - self._una), None)
        if segment is None:
            return 0
        if segment.sent_at & _MASK == ts:
            self._has_arrived(segment.order)
        return 1

    def _acknowledge_below(self, below: int) -> int:
        acked = 0
        flight = self._flight
        while self._una < below:
            segment = flight.pop(self._una, None)
            self._una += 1
            if segment is not None:
                acked += 1
                if segment.times == 1:  # else: which of its transmissions was it?
                    self._has_arrived(segment.order)
        return acked

    def _has_arrived(self, order: int) -> None:
        if order > self._arrived:
            self._arrived = order
            self._overtaken = True

    def _measure(self, elapsed: int) -> None:
        self._rtt_least = min(self._rtt_least, elapsed)
        if self.rtt is None:
            self.rtt = float(elapsed)
            self._rtt_variation = elapsed / 2
        else:
            difference = abs(elapsed - self.rtt)
            self._rtt_variation += (difference - self._rtt_variation) / 4
            self.rtt += (elapsed - self.rtt) / 8
        rto = int(self.rtt + max(INTERVAL, 4 * self._rtt_variation))
        self._rto = min(max(rto, RTO_MIN), RTO_MAX)

    # Congestion

    def _grow(self, acked: int) -> None:
        self._round_acked += acked
        if self._cwnd < WINDOW:
            growth = acked if self._cwnd < self._threshold else acked / self._cwnd
            self._cwnd = min(WINDOW, self._cwnd + growth)

    def _end_round(self) -> None:
        if self._round_lost:
            if self.rtt is not None and self.rtt > QUEUE_FACTOR * self._rtt_least + QUEUE_TIME:
                self._shrink(0.7)
            else:
                fraction = self._round_lost / (self._round_lost + self._round_acked)
                self._shrink(1 - fraction / 2)
        self._round_end = self._next
        self._round_acked = self._round_lost = 0
        self._round_timed_out = False

    def _shrink(self, factor: float) -> None:
        self._cwnd = self._threshold = max(MIN_CWND, self._cwnd * factor)

    # What goes out, and when

    def data_to_send(self, now: int) -> list[bytes]:
        """The datagrams that are due now."""
        if self.lost is not None:
            return []
        out = _Packer()
        window = max(0, WINDOW - len(self._ready))
        if self._acks or self._tell or self._ask:
            self._pack_control(out, window)
        if self._flight and (
            self._overtaken or (self._deadline is not None and now >= self._deadline)
        ):
            self._pack_again(out, window, now)
        if self._waiting:
            self._pack_new(out, window, now)
        return out.datagrams()

    def _pack_control(self, out: "_Packer", window: int) -> None:
        una = self._expected & _MASK
        last = len(self._acks) - 1
        for at, (number, ts) in enumerate(self._acks):
            if number >= self._expected or at == last:  # `una` speaks for the others
                out.add(HEADER.pack(self.conv, ACK, 0, window, ts, number & _MASK, una, 0))
        self._acks.clear()
        if self._ask:
            out.add(HEADER.pack(self.conv, ASK, 0, window, 0, 0, una, 0))
        if self._tell:
            out.add(HEADER.pack(self.conv, TELL, 0, window, 0, 0, una, 0))
        self._ask = self._tell = False

    def _pack_again(self, out: "_Packer", window: int, now: int) -> None:
        """Retransmit what was overtaken or is late, and find the next deadline.

        Of the late ones only the oldest: often an acknowledgement was lost, not they, and `una` of
        the answer tells; if they were, the answer shows them overtaken.
        """
        deadline = None
        probed = False
        lost_before = self._arrived - REORDER
        for number, segment in self._flight.items():
            late = now >= segment.resend_at
            overtaken = segment.order <= lost_before
            if late and probed and not overtaken:
                segment.resend_at = now + int(segment.rto)
            elif late or overtaken:
                probed = True
                if segment.times >= DEAD_LINK:
                    self._die(f"no acknowledgement after {DEAD_LINK} transmissions")
                    return
                if late:
                    if segment.times > 1 and not self._round_timed_out:
                        self._round_timed_out = True
                        self._shrink(0.5)
                    segment.rto = min(segment.rto * BACKOFF, max(BACKOFF_LIMIT, self._rto))
                else:
                    segment.rto = self._rto
                self._round_lost += 1
                self.resent += 1
                self._transmit(out, number, segment, window, now)
            if deadline is None or segment.resend_at < deadline:
                deadline = segment.resend_at
        self._deadline = deadline
        self._overtaken = False

    def _pack_new(self, out: "_Packer", window: int, now: int) -> None:
        end = self._una + min(WINDOW, self._peer_window)
        cwnd = int(self._cwnd)
        waiting = self._waiting
        while waiting and self._next < end and len(self._flight) < cwnd:
            segment = _Segment(waiting.popleft())
            segment.rto = self._rto
            self._flight[self._next] = segment
            self._transmit(out, self._next, segment, window, now)
            self._next += 1
        if self._peer_window or not waiting:
            self._probe_at, self._probe_wait = None, PROBE_FIRST
        elif self._probe_at is None:
            self._probe_at = now + int(self._probe_wait)

    def _transmit(
        self, out: "_Packer", number: int, segment: _Segment, window: int, now: int
    ) -> None:
        self._order += 1
        segment.order = self._order
        segment.times += 1
        segment.sent_at = now
        segment.resend_at = now + int(segment.rto * 1.125)
        if self._deadline is None or segment.resend_at < self._deadline:
            self._deadline = segment.resend_at
        if self._quiet_since is None:
            self._quiet_since = now
        data = segment.data
        out.add(
            HEADER.pack(
                self.conv,
                PUSH,
                0,
                window,
                now & _MASK,
                number & _MASK,
                self._expected & _MASK,
                len(data),
            )
            + data
        )

    def next_timer(self) -> int | None:
        """When to call `handle_timer` and then `data_to_send`; it may turn out to be too early."""
        if self.lost is not None:
            return None
        times = []
        if self._flight and self._deadline is not None:
            times.append(self._deadline)
        if self._probe_at is not None:
            times.append(self._probe_at)
        if self._quiet_since is not None:
            times.append(self._quiet_since + SILENCE_LIMIT)
        return min(times, default=None)

    def handle_timer(self, now: int) -> None:
        """Notice a dead peer, ask about a closed window."""
        if self._quiet_since is not None and now >= self._quiet_since + SILENCE_LIMIT:
            self._die(f"nothing heard for {SILENCE_LIMIT / 1000:g} s")
        elif self._probe_at is not None and now >= self._probe_at:
            self._ask = True
            self._probe_wait = min(self._probe_wait * BACKOFF, PROBE_LIMIT)
            self._probe_at = now + int(self._probe_wait)
            if self._quiet_since is None:
                self._quiet_since = now

    def _die(self, reason: str) -> None:
        self.lost = reason
        self._waiting.clear()
        self._flight.clear()
        self._early.clear()
        self._acks.clear()
        self._deadline = self._probe_at = self._quiet_since = None


class _Packer:
    """Joins segments into datagrams of at most MTU bytes."""

    __slots__ = ("_done", "_parts", "_size")

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, segment: bytes) -> None:
        size = len(segment)
        if self._size + size > MTU:
            self._flush()
        self._parts.append(segment)
        self._size += size

    def _flush(self) -> None:
        if self._parts:
            self._done.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()
            self._size = 0

    def datagrams(self) -> list[bytes]:
        self._flush()
        return self._done
