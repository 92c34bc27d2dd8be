"""Early packets of a route group that is not there yet. Source: update-2026-06-12.md 3085.

Rules are stored before their route group is registered. What arrives in between waits here, by
descriptor, until the group is registered or two seconds have passed.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from skywire.wire.packet import Packet, PacketType
from skywire.wire.rule import RouteDescriptor

log = logging.getLogger(__name__)

MAX_PER_DESCRIPTOR = 16
MAX_PARKED = 1024
LIFETIME = 2.0  # seconds
SWEEP_INTERVAL = 1.0  # seconds
KINDS = frozenset(
    {
        PacketType.DATA,
        PacketType.HANDSHAKE,
        PacketType.PING,
        PacketType.PONG,
        PacketType.ERROR,
    }
)


class _Parked(NamedTuple):
    packet: Packet
    deadline: float


class Parking:
    """Times are seconds on one monotonic clock. Not for several threads."""

    def __init__(self) -> None:
        self._parked: dict[RouteDescriptor, deque[_Parked]] = {}
        self._replaying: set[RouteDescriptor] = set()
        self._count = 0

    def __len__(self) -> int:
        """Packets parked."""
        return self._count

    @property
    def descriptors(self) -> int:
        return len(self._parked)

    def park(self, descriptor: RouteDescriptor, packet: Packet, now: float) -> bool:
        """Keep `packet`, which owns its bytes; False when its kind or a limit forbids it."""
        queue = self._parked.get(descriptor)
        if packet.type not in KINDS or self._count >= MAX_PARKED:
            return False
        if queue is not None and len(queue) >= MAX_PER_DESCRIPTOR:
            return False
        if queue is None:
            queue = self._parked[descriptor] = deque()
        queue.append(_Parked(packet, now + LIFETIME))
        self._count += 1
        return True

    def holds_back(self, descriptor: RouteDescriptor) -> bool:
        """Parked packets are being delivered: what arrives now has to queue behind them."""
        return descriptor in self._replaying

    def release(
        self, descriptor: RouteDescriptor, now: float, deliver: Callable[[Packet], None]
    ) -> int:
        """Deliver what is parked for a group just registered, in order of arrival; how many.

        Packets parked by `deliver` itself come after those before them. Expired ones are dropped.
        """
        if descriptor in self._replaying:
            return 0
        self._replaying.add(descriptor)
        delivered = 0
        try:
            while parked := self._pop(descriptor):
                if parked.deadline > now:
                    delivered += 1
                    deliver(parked.packet)
        finally:
            self._replaying.discard(descriptor)
        return delivered

    def _pop(self, descriptor: RouteDescriptor) -> _Parked | None:
        queue = self._parked.get(descriptor)
        if queue is None:
            return None
        parked = queue.popleft()
        self._count -= 1
        if not queue:
            del self._parked[descriptor]
        return parked

    def sweep(self, now: float) -> int:
        """Drop what is past its time; how many packets that were."""
        swept = 0
        for descriptor, queue in list(self._parked.items()):
            before = self._count
            while queue and queue[0].deadline <= now:
                queue.popleft()
                self._count -= 1
            if not queue:
                del self._parked[descriptor]
            if before != self._count:
                swept += before - self._count
                log.debug(
                    "parked packets expired count=%d descriptor=%s",
                    before - self._count,
                    descriptor,
                )
        return swept

    def clear(self) -> None:
        self._parked.clear()
        self._count = 0
