"""A Listener in memory, with the dial function that reaches it."""

import asyncio

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, StreamClosed
from skywire.streams.stream import Address, Stream
from skywire.testing.streams import stream_pair


class MemoryListener:
    """`await listener.dial(pk, port)` gives the other end of what `accept` returns next."""

    def __init__(self, address: Address, dialler: Address, chunk: int = 65536) -> None:
        self.address = address
        self._dialler = dialler
        self._chunk = chunk
        self._waiting: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._closed = False
        self.dialled = 0

    async def dial(self, pk: PubKey, port: int) -> Stream:
        """Raises DialFailed for any address but the listener's, and once it is closed."""
        if self._closed or (pk, port) != (self.address.pk, self.address.port):
            raise DialFailed(f"nobody listens on {pk}:{port}")
        self.dialled += 1
        from_port = self._dialler.port + self.dialled
        dialler = self._dialler._replace(port=from_port)
        here, there = stream_pair(chunk=self._chunk, a=dialler, b=self.address)
        await self._waiting.put(there)
        return here

    async def accept(self) -> Stream:
        if self._closed:
            raise StreamClosed(f"listener {self.address} is closed")
        stream = await self._waiting.get()
        if stream is None:
            raise StreamClosed(f"listener {self.address} is closed")
        return stream

    async def close(self) -> None:
        self._closed = True
        await self._waiting.put(None)
