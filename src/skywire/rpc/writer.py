"""What one end of an RPC connection writes, in order, and what may wait for company.

A message nobody waits for (the answer to a key, whose echo follows; the request for the next
output) is held back for a moment, and goes out in front of the next message if there is one. On a
terminal that halves the messages per key, each of which costs every process on the way a wake-up.
"""

import asyncio

from skywire.errors import StreamError
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks

HOLD = 0.001  # seconds a message waits for company at most


class Writer:
    """Take `lock` around encoding and `write` or `hold`, so that messages keep their order."""

    def __init__(self, stream: Stream, tasks: Tasks) -> None:
        self.lock = asyncio.Lock()
        self._stream = stream
        self._tasks = tasks
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None

    async def write(self, data: bytes) -> None:
        """Raises what the stream raises; it is aborted then, for a part may be out."""
        data = self._take() + data
        try:
            await self._stream.write(data)
        except BaseException:
            self._stream.abort()
            raise

    def hold(self, data: bytes) -> None:
        """Write `data` with what comes next, or by itself after HOLD seconds."""
        self._held += data
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HOLD, self._release)

    def _take(self) -> bytes:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, b""
        return held

    def _release(self) -> None:
        self._timer = None
        self._tasks.spawn(self._write_held(), "held message")

    async def _write_held(self) -> None:
        async with self.lock:
            if self._held:
                try:
                    await self.write(b"")
                except StreamError:
                    return  # the connection's reader tells

    def close(self) -> None:
        self._take()
