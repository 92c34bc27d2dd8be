"""Which local port belongs to whom, and the streams waiting on it; for dmsg and for routes.

Each network has a name space of its own. Source: dmsg.md §6, §7; routing.md §5.1, §6.5.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from skywire.errors import Conflict, InvalidValue, StreamClosed, Unavailable
from skywire.ports import EPHEMERAL_FIRST, EPHEMERAL_LAST
from skywire.streams.stream import Address, Stream

AnyStream = TypeVar("AnyStream", bound=Stream)


class PortListener(Generic[AnyStream]):
    """Streams from any key to one port. Made by `PortTable.listen`."""

    def __init__(self, ports: "PortTable[AnyStream]", address: Address, backlog: int) -> None:
        self.address = address
        self._ports = ports
        self._backlog = backlog
        self._waiting: deque[AnyStream] = deque()
        self._acceptors: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._backlog

    def offer(self, stream: AnyStream) -> None:
        """Hand over a new stream; the caller has asked `is_full`."""
        self._waiting.append(stream)
        self._wake()

    def _wake(self) -> None:
        while self._acceptors:
            acceptor = self._acceptors.popleft()
            if not acceptor.done():
                acceptor.set_result(None)
                return

    async def accept(self) -> AnyStream:
        while not self._waiting:
            if self._closed:
                raise StreamClosed(f"the listener on {self.address} was closed")
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
        """Free the port; streams nobody accepted are ended. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._ports.forget(self.address.port)
        while self._waiting:
            self._waiting.popleft().abort()
        for acceptor in self._acceptors:
            if not acceptor.done():
                acceptor.set_result(None)


class PortTable(Generic[AnyStream]):
    """The ports of one node in one network: listeners, and the local ports of dialled streams.

    At most `backlog` streams wait for `accept`. `in_use` says that a port is taken.
    """

    def __init__(self, backlog: int, in_use: str) -> None:
        self._backlog = backlog
        self._in_use = in_use
        self._listeners: dict[int, PortListener[AnyStream]] = {}
        self._ephemeral: set[int] = set()
        self._last = EPHEMERAL_FIRST

    def listen(self, address: Address) -> PortListener[AnyStream]:
        """Raises Conflict when the port is taken, InvalidValue when it is no port."""
        port = address.port
        if not 0 < port < 65536:
            raise InvalidValue(
                f"{address.network} port {port} cannot be listened on: expected 1 to 65535"
            )
        if port in self._listeners or port in self._ephemeral:
            raise Conflict(f"{address.network} port {port}: {self._in_use}")
        listener = self._listeners[port] = PortListener(self, address, self._backlog)
        return listener

    def listener(self, port: int) -> PortListener[AnyStream] | None:
        return self._listeners.get(port)

    @property
    def in_use(self) -> list[int]:
        """In order."""
        return sorted(self._ephemeral | set(self._listeners))

    def forget(self, port: int) -> None:
        self._listeners.pop(port, None)

    def reserve(self) -> int:
        """A free local port, counting up from 49153 and round again. Raises Unavailable."""
        for _ in range(EPHEMERAL_LAST - EPHEMERAL_FIRST + 1):
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
