"""Keyboard input on its way to a shell: in order, one Write in flight. Source: pty.md §3.2, §7.2.

Go hosts run calls in any order, so a second Write waits for the answer to the first; what is typed
meanwhile is merged into the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable

from skywire.errors import StreamReset

WRITE_SIZE = 4096  # bytes of one Write call
BUFFER_LIMIT = 64 * 1024  # bytes typed and not yet written; beyond, the websocket is not read
WRITE_TIME = 10.0  # seconds for the answer to one Write


class Input:
    def __init__(self, write_time: float = WRITE_TIME) -> None:
        self._write_time = write_time
        self._buffer = bytearray()
        self._typed = asyncio.Event()  # something is in the buffer
        self._room = asyncio.Event()  # the buffer is not full, or was not a moment ago

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def full(self) -> bool:
        return len(self._buffer) >= BUFFER_LIMIT

    async def put(self, data: bytes) -> None:
        """Queue all of `data`; waits while the buffer is full."""
        view = memoryview(data)
        while view:
            while self.full:
                self._room.clear()
                await self._room.wait()
            taken = view[: BUFFER_LIMIT - len(self._buffer)]
            self._buffer += taken
            view = view[len(taken) :]
            self._typed.set()

    async def run(self, write: Callable[[bytes], Awaitable[int]]) -> None:
        """Hand the input to `write`, which answers how many bytes it took; ends by raising.

        Raises what `write` raises, and StreamReset when it took nothing or did not answer in time.
        """
        while True:
            await self._typed.wait()
            chunk = bytes(self._buffer[:WRITE_SIZE])
            try:
                async with asyncio.timeout(self._write_time):
                    count = await write(chunk)
            except TimeoutError:
                raise StreamReset(
                    f"the shell did not take {len(chunk)} bytes of input within "
                    f"{self._write_time:g} s"
                ) from None
            if not 0 < count <= len(chunk):
                raise StreamReset(f"the shell took {count} of {len(chunk)} bytes of input")
            del self._buffer[:count]
            if not self._buffer:
                self._typed.clear()
            self._room.set()
