"""Which local dmsg port belongs to whom, and the streams waiting on it. Source: dmsg.md §6, §7."""

import asyncio
from collections import deque

from skywire.dmsg.stream import DmsgStream
from skywire.errors import Conflict, InvalidValue, StreamClosed, Unavailable
from skywire.ports import DMSG_EPHEMERAL_FIRST, DMSG_EPHEMERAL_LAST
from skywire.streams.stream import Address
from skywire.wire.dmsg import Code, error_text

# Streams waiting for `accept`; a further one is refused with code 401. Go has 20, and its acceptors
# run at once; here one turn of the loop brings as many requests as fit in a read.
ACCEPT_BACKLOG = 256


class DmsgListener:
    """Streams from any key to one port."""

    def __init__(self, ports: "PortTable", address: Address) -> None:
        self.address = address
        self._ports = ports
        self._waiting: deque[DmsgStream] = deque()
        self._acceptors: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= ACCEPT_BACKLOG

    def offer(self, stream: DmsgStream) -> None:
        """Hand over a new stream; the caller has asked `is_full`."""
        self._waiting.append(stream)
        self._wake()

    def _wake(self) -> None:
        while self._acceptors:
            acceptor = self._acceptors.popleft()
            if not acceptor.done():
                acceptor.set_result(None)
                return

    async def accept(self) -> DmsgStream:
        while not self._waiting:
            if self._closed:
                raise StreamClosed(f"listener on dmsg port {self.address.port} was closed")
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
        """Free the port; streams nobody accepted are closed. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._ports.forget(self.address.port)
        while self._waiting:
            self._waiting.popleft().abort()
        for acceptor in self._acceptors:
            if not acceptor.done():
                acceptor.set_result(None)


class PortTable:
    """The ports of one client: listeners, and the ephemeral ports of streams it dialled."""

    def __init__(self) -> None:
        self._listeners: dict[int, DmsgListener] = {}
        self._ephemeral: set[int] = set()
        self._last = DMSG_EPHEMERAL_FIRST

    def listen(self, address: Address) -> DmsgListener:
        """Raises Conflict when the port is taken, InvalidValue when it is no port."""
        port = address.port
        if not 0 < port < 65536:
            raise InvalidValue(f"dmsg port {port} cannot be listened on: expected 1 to 65535")
        if port in self._listeners or port in self._ephemeral:
            raise Conflict(f"dmsg port {port}: {error_text(Code.PORT_OCCUPIED)}")
        listener = self._listeners[port] = DmsgListener(self, address)
        return listener

    def listener(self, port: int) -> DmsgListener | None:
        return self._listeners.get(port)

    def forget(self, port: int) -> None:
        self._listeners.pop(port, None)

    def reserve(self) -> int:
        """An ephemeral port, counting up from 49153 and round again. Raises Unavailable."""
        for _ in range(DMSG_EPHEMERAL_LAST - DMSG_EPHEMERAL_FIRST + 1):
            self._last += 1
            if self._last > DMSG_EPHEMERAL_LAST:
                self._last = DMSG_EPHEMERAL_FIRST
            if self._last not in self._ephemeral and self._last not in self._listeners:
                self._ephemeral.add(self._last)
                return self._last
        raise Unavailable("no free dmsg port: all ephemeral ports are in use")

    def release(self, port: int) -> None:
        self._ephemeral.discard(port)

    async def close(self) -> None:
        for listener in list(self._listeners.values()):
            await listener.close()
