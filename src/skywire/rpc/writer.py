"""What one end of an RPC connection writes, in the order in which it was given.

A message is taken at once, so encoding and writing need no lock; what the stream does not take at
once waits in a queue, and the future that `write` gives then is the back-pressure.

A message nobody waits for (the answer to a key, whose echo follows; the request for the next
output) is held back for a moment, and goes out in front of the next message if there is one. On a
terminal that halves the messages per key, each of which costs every process on the way a wake-up.
"""

import asyncio
import logging
from collections.abc import Callable

from skywire.errors import StreamError
from skywire.streams.stream import Stream, WritesNow
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

HOLD = 0.001  # seconds a message waits for company at most
MAX_QUEUE = 1024  # messages behind a write that waits; a peer that takes no more is cut off


class Writer:
    """`on_failure` is called, once, when the stream cannot be written; it has been aborted."""

    def __init__(
        self, stream: Stream, tasks: Tasks, on_failure: Callable[[], None] = lambda: None
    ) -> None:
        self._stream = stream
        self._takes_now = stream if isinstance(stream, WritesNow) else None
        self._tasks = tasks
        self._on_failure = on_failure
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None
        self._queue: list[bytes] = []
        self._drained: asyncio.Future[None] | None = None  # there while a write waits
        self._over = False

    def write(self, data: bytes) -> "asyncio.Future[None] | None":
        """None: `data` is out. Otherwise it is once the future is done; shield it, it is shared."""
        data = self._take() + data
        if self._over:
            return None
        if self._drained is None:
            try:
                if self._takes_now is not None and self._takes_now.write_now(data):
                    return None
            except StreamError:
                self._fail()
                return None
            self._drained = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._drain(), "write")
        self._queue.append(data)
        if len(self._queue) > MAX_QUEUE:
            log.warning(
                "rpc peer takes no data peer=%s messages=%d", self._stream.remote, len(self._queue)
            )
            self._fail()
        return self._drained

    async def _drain(self) -> None:
        try:
            while self._queue:
                data = b"".join(self._queue)
                self._queue.clear()
                await self._stream.write(data)
        except StreamError:
            self._fail()
        except BaseException:
            self._stream.abort()  # a part may be out
            raise
        finally:
            self._wake()

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
        if self._held:
            self.write(b"")

    def _fail(self) -> None:
        self.close()
        self._stream.abort()
        self._on_failure()

    def close(self) -> None:
        """What is held or queued is dropped. Idempotent."""
        self._over = True
        self._take()
        self._queue.clear()
        self._wake()

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
