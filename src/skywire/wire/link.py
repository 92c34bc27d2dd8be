"""What a link sees of the packets it carries: their number, and the transport pings of 2026.

A ping is packet type 8 on route id 0 with 8 bytes, which come back in a packet of type 9; nodes of
2024 drop both. Source: transport.md §9, routing.md §1, §9.
"""

import struct
from typing import NamedTuple

HEADER_SIZE = 7
PING = 8
PONG = 9
PAYLOAD_SIZE = 8
FIRST_PINGS = 3  # sent to a peer that never answered; a 2024 node logs each
PING_INTERVAL = 10.0  # seconds
SILENCE_LIMIT = 30.0  # seconds without a byte from a peer that has answered pings: it is gone

_header = struct.Struct(">BIH")
_SIZE = HEADER_SIZE + PAYLOAD_SIZE


class Control(NamedTuple):
    kind: int  # PING or PONG
    payload: bytes


def control_packet(kind: int, payload: bytes) -> bytes:
    return _header.pack(kind, 0, len(payload)) + payload


class Observer:
    """Follows the headers in a byte stream of packets; copies nothing but a split header."""

    __slots__ = ("_begun", "_skip", "packets")

    def __init__(self) -> None:
        self.packets = 0  # headers seen
        self._skip = 0  # bytes of a payload that are still to come
        self._begun = b""  # of a header or control packet that has not arrived whole

    def receive_data(self, data: bytes) -> list[Control]:
        """Any bytes are accepted: what they mean is for others to judge."""
        found: list[Control] = []
        position, size = self._skip, len(data)
        if self._begun:
            data = self._begun + data
            size = len(data)
            self._begun = b""
        packets = 0
        while position + HEADER_SIZE <= size:
            kind = data[position]
            end = position + HEADER_SIZE + (data[position + 5] << 8 | data[position + 6])
            if kind >= PING and end - position == _SIZE:
                if end > size:
                    break
                if kind <= PONG and data[position + 1 : position + 5] == b"\0\0\0\0":
                    found.append(Control(kind, bytes(data[position + HEADER_SIZE : end])))
            packets += 1
            position = end
        if position < size:
            self._begun = bytes(data[position:])
            position = size
        self._skip = position - size
        self.packets += packets
        return found


class Pulse:
    """When to ping a peer and what its answers tell; times are seconds on one monotonic clock."""

    __slots__ = ("_asked", "_next", "_sent", "heard", "latency", "latency_at")

    def __init__(self, now: float) -> None:
        self.latency: float | None = None  # seconds, round trip; None: unknown
        self.latency_at: float | None = None  # when it was measured
        self.heard = now  # when something arrived the last time, pongs or not
        self._asked: tuple[bytes, float] | None = None  # the ping under way
        self._sent = 0  # pings
        self._next = now

    def ping(self, now: float, *, at_once: bool = False) -> bytes | None:
        """The packet to send now, if it is time for one."""
        if not at_once and (
            now < self._next or (self.latency is None and self._sent >= FIRST_PINGS)
        ):
            return None
        self._next = now + PING_INTERVAL
        self._sent += 1
        payload = (int(now * 1e6) & (1 << 63) - 1).to_bytes(PAYLOAD_SIZE, "big")
        self._asked = (payload, now)
        return control_packet(PING, payload)

    def receive(self, control: Control, now: float) -> bytes | None:
        """Take a ping, and return the answer to send, or a pong."""
        if control.kind == PING:
            return control_packet(PONG, control.payload)
        if self._asked is not None and self._asked[0] == control.payload:
            self.latency = max(0.0, now - self._asked[1])
            self.latency_at = now
            self._asked = None
        return None

    def is_silent(self, now: float) -> bool:
        """A peer that answers pings and has sent nothing for SILENCE_LIMIT."""
        return self.latency is not None and now - self.heard > SILENCE_LIMIT
