"""Several listeners as one: a port on more than one network."""

import asyncio
from collections.abc import Sequence

from skywire.errors import StreamClosed
from skywire.streams.stream import Address, Listener, Stream
from skywire.streams.supervise import Tasks


class MergedListener:
    """Owns `listeners`, at least one. Ends once it is closed, or all of them are.

    One stream at a time waits here; others wait in their listener, with its limit.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.closed = False
        self._listeners = listeners
        self._ready: asyncio.Queue[Stream | None] = asyncio.Queue(1)  # None: the end
        self._tasks = Tasks(f"listener {listeners[0].address}")
        self._open = len(listeners)
        for listener in listeners:
            self._tasks.spawn(self._move(listener), listener.address.network)

    @property
    def address(self) -> Address:
        """On the first network."""
        return self._listeners[0].address

    async def _move(self, listener: Listener) -> None:
        try:
            while True:
                stream = await listener.accept()
                try:
                    await self._ready.put(stream)
                except BaseException:
                    stream.abort()
                    raise
        except StreamClosed:
            self._open -= 1
            if not self._open:
                await self._ready.put(None)

    async def accept(self) -> Stream:
        stream = await self._ready.get()
        if stream is None:
            self._ready.put_nowait(None)  # for the next who asks
            raise StreamClosed(f"the listener on {self.address} was closed")
        return stream

    async def close(self) -> None:
        """Free the ports; what nobody accepted is aborted. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for listener in self._listeners:
            await listener.close()
        await self._tasks.close()
        while not self._ready.empty():
            waiting = self._ready.get_nowait()
            if waiting is not None:
                waiting.abort()
        self._ready.put_nowait(None)
