"""The packets of routes: a 7-byte header and a payload. Source: routing.md §1, §4.

    type(1) ‖ route id(4) ‖ payload size(2) ‖ payload        big-endian, nothing in between

The route id is that of the receiver's rule. An intermediary changes nothing but the id: its fast
path (`PacketReader.route_data`) rewrites ids in place and hands on whole runs of packets.
"""

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple, Protocol

from skywire.errors import LocalProtocolError, RemoteProtocolError

HEADER = struct.Struct(">BIH")
HEADER_SIZE = HEADER.size
MAX_PAYLOAD = 65535
CLOSE_REQUESTED = 0  # the only close code of 2024; 2026 adds 1, a leg retired

_ID = struct.Struct(">I")
_PING = struct.Struct(">qq")
_PONG_TAIL = bytes(8)


class PacketType(IntEnum):
    """What a packet carries. Types from 7 on are of 2026 and dropped."""

    DATA = 0
    CLOSE = 1
    KEEP_ALIVE = 2
    HANDSHAKE = 3
    PING = 4
    PONG = 5
    ERROR = 6


# Shortest payload by type. A 2024 router dies of less, and its reader takes empty data for the end:
# so such packets are neither taken nor passed on.
MIN_PAYLOAD = (1, 1, 0, 1, 16, 16, 0)
TYPES = len(MIN_PAYLOAD)


class Packet(NamedTuple):
    """`type` is a PacketType where it is known, else the number."""

    type: int
    route_id: int
    payload: bytes

    def encode(self) -> bytes:
        return encode(*self)


class Ping(NamedTuple):
    timestamp: int  # milliseconds; of a ping: Unix time at the sender
    throughput: int  # bytes/s that the sender received since its ping before


def encode(type: int, route_id: int, payload: bytes = b"") -> bytes:
    """Raises LocalProtocolError ("packet size exceeded") for a payload over 65535 bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise LocalProtocolError(
            f"packet size exceeded: payload of {len(payload)} bytes, at most {MAX_PAYLOAD}"
        )
    return HEADER.pack(type, route_id, len(payload)) + payload


def ping_payload(timestamp: int, throughput: int) -> bytes:
    return _PING.pack(timestamp, throughput)


def pong_payload(timestamp: int) -> bytes:
    return timestamp.to_bytes(8, "big", signed=True) + _PONG_TAIL


def parse_ping(payload: bytes) -> Ping:
    """Of a ping or a pong. Raises RemoteProtocolError for less than 16 bytes."""
    if len(payload) < _PING.size:
        raise RemoteProtocolError(f"ping payload of {len(payload)} bytes, expected {_PING.size}")
    return Ping(*_PING.unpack_from(payload))


class Hop(Protocol):
    """Where packets of one route id go; `target` None: not by the fast path."""

    next_id: int
    target: object | None
    expires: float


class Run(NamedTuple):
    """Adjacent packets to the same target, ids rewritten: `data` can be sent as it is."""

    target: object
    data: memoryview
    hops: list[Hop]  # whose packets these are; repeated when they take turns
    packets: int


class PacketReader:
    """Packets out of a byte stream, in any pieces; holds at most one unfinished packet."""

    __slots__ = ("_rest", "malformed", "unknown")

    def __init__(self) -> None:
        self._rest = b""
        self.malformed = 0  # packets dropped by `route_data`: shorter than their type needs
        self.unknown = 0  # the same: types of later versions; those to id 0 are the transport's own

    def receive_data(self, data: bytes | memoryview) -> list[Packet]:
        """Every packet completed by `data`, also unknown and malformed ones."""
        data = self._rest + data if self._rest else bytes(data)
        size, position = len(data), 0
        packets = []
        while size - position >= HEADER_SIZE:
            kind, route_id, length = HEADER.unpack_from(data, position)
            end = position + HEADER_SIZE + length
            if end > size:
                break
            packets.append(Packet(kind, route_id, data[position + HEADER_SIZE : end]))
            position = end
        self._rest = data[position:]
        return packets

    def route_data(
        self, data: bytes, hops: Mapping[int, Hop], now: float
    ) -> Iterator[Packet | Run]:
        """As `receive_data`, but packets of living hops come as runs, ready to be sent.

        Order is kept. Close packets come singly, for they end their rule: `hops` may change while
        this is iterated, which must be done to the end. A run's memory is never reused.
        """
        buffer = bytearray(self._rest + data if self._rest else data)
        view = memoryview(buffer)
        size, position = len(buffer), 0
        unpack, write_id = HEADER.unpack_from, _ID.pack_into
        begin, count = 0, 0  # the run being gathered: `count` packets from `begin` to `position`
        members: list[Hop] = []
        target: object | None = None  # of that run
        last_id, hop, next_id = -1, None, 0
        while size - position >= HEADER_SIZE:
            kind, route_id, length = unpack(buffer, position)
            end = position + HEADER_SIZE + length
            if end > size:
                break
            if route_id != last_id:
                last_id = route_id
                hop = hops.get(route_id)
                if hop is not None:
                    if hop.target is None or hop.expires < now:
                        hop = None
                    else:
                        next_id = hop.next_id
            if kind >= TYPES:
                good = False
                self.unknown += route_id != 0
            elif length < MIN_PAYLOAD[kind]:
                good = False
                self.malformed += 1
            else:
                good = True
            if good and hop is not None and kind != 1:
                if hop.target is not target or not count:
                    if count:
                        yield Run(target, view[begin:position], members, count)
                    begin, count, target, members = position, 0, hop.target, [hop]
                elif members[-1] is not hop:
                    members.append(hop)
                write_id(buffer, position + 1, next_id)
                count += 1
            else:
                if count:
                    yield Run(target, view[begin:position], members, count)
                    count = 0
                if good:
                    yield Packet(kind, route_id, bytes(view[position + HEADER_SIZE : end]))
                    last_id = -1
            position = end
        if count:
            yield Run(target, view[begin:position], members, count)
        self._rest = bytes(view[position:])
