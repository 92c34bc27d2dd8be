"""Ports of route groups: listeners, and the local ports of dialled groups. Source: routing.md §6.5.

A name space of its own, apart from dmsg's ports.
"""

import asyncio
from collections import deque

from skywire.errors import Conflict, InvalidValue, StreamClosed, Unavailable
from skywire.router.route_group import RouteGroup
from skywire.streams.stream import Address

EPHEMERAL_FIRST = 49153
EPHEMERAL_LAST = 65535
BACKLOG = 64  # groups waiting for `accept`; a further one is refused
APPS = {1: "skychat", 3: "skysocks", 13: "skysocks-client", 43: "vpn-client", 44: "vpn-server"}


def offline(port: int) -> str:
    """What a dialler is told when nobody listens; reference apps compare this text."""
    return f"no listener on port {port}, {APPS.get(port, 'service')} offline"


class RouteListener:
    """Established route groups to one port."""

    def __init__(self, ports: "Ports", address: Address) -> None:
        self.address = address
        self._ports = ports
        self._waiting: deque[RouteGroup] = deque()
        self._acceptors: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= BACKLOG

    def offer(self, group: RouteGroup) -> None:
        """Hand over a new group; the caller has asked `is_full`."""
        self._waiting.append(group)
        self._wake()

    def _wake(self) -> None:
        while self._acceptors:
            acceptor = self._acceptors.popleft()
            if not acceptor.done():
                acceptor.set_result(None)
                return

    async def accept(self) -> RouteGroup:
        while not self._waiting:
            if self._closed:
                raise StreamClosed(f"listener on port {self.address.port} was closed")
            acceptor: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._acceptors.append(acceptor)
            try:
                await acceptor
            except asyncio.CancelledError:
                if self._waiting:
                    self._wake()
                raise
        return self._waiting.popleft()

    async def close(self) -> None:
        """Free the port; groups nobody accepted are ended. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._ports.forget(self.address.port)
        while self._waiting:
            self._waiting.popleft().abort()
        for acceptor in self._acceptors:
            if not acceptor.done():
                acceptor.set_result(None)


class Ports:
    def __init__(self) -> None:
        self._listeners: dict[int, RouteListener] = {}
        self._ephemeral: set[int] = set()
        self._last = EPHEMERAL_FIRST - 1

    def listen(self, address: Address) -> RouteListener:
        """Raises Conflict when the port is taken, InvalidValue when it is no port."""
        port = address.port
        if not 0 < port < 65536:
            raise InvalidValue(f"port {port} cannot be listened on: expected 1 to 65535")
        if port in self._listeners or port in self._ephemeral:
            raise Conflict(f"port {port} is in use on this visor")
        listener = self._listeners[port] = RouteListener(self, address)
        return listener

    def listener(self, port: int) -> RouteListener | None:
        return self._listeners.get(port)

    def forget(self, port: int) -> None:
        self._listeners.pop(port, None)

    def reserve(self) -> int:
        """A free local port, counting up so that none is used again soon. Raises Unavailable."""
        for _ in range(EPHEMERAL_FIRST, EPHEMERAL_LAST + 1):
            self._last += 1
            if self._last > EPHEMERAL_LAST:
                self._last = EPHEMERAL_FIRST
            if self._last not in self._ephemeral and self._last not in self._listeners:
                self._ephemeral.add(self._last)
                return self._last
        raise Unavailable("no free port: all ephemeral ports are in use")

    def release(self, port: int) -> None:
        self._ephemeral.discard(port)

    async def close(self) -> None:
        for listener in list(self._listeners.values()):
            await listener.close()
