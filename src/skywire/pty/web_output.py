"""Terminal output on its way to a browser: few frames, and never more than the page can parse.

Coalescing (pty.md §7.1): the first output after a pause goes out at once, then at most one frame
every 16 ms. Input makes the output "idle" again, once, so that the echo of a key never waits.

Back-pressure: a page that acknowledges what it parsed gets at most `HIGH_WATER` bytes ahead of
that. It is what keeps Ctrl-C quick: a socket's buffers would take megabytes of `yes`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

FRAME_INTERVAL = 0.016  # seconds between frames while output is steady
HIGH_WATER = 100_000  # bytes sent and not acknowledged: above, the shell is not read
LOW_WATER = 5_000  # below, it is read again
PENDING_LIMIT = 256 * 1024  # bytes waiting for the next frame


class Output:
    """`send` puts one binary frame on the websocket and waits while the socket is full."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        flow: bool,
        frame_interval: float = FRAME_INTERVAL,
    ) -> None:
        self._send = send
        self._flow = flow
        self._interval = frame_interval
        self._clock = asyncio.get_running_loop().time
        self._pending = bytearray()
        self._last = -frame_interval  # when the last frame went out
        self._echo_due = False
        self._unacknowledged = 0
        self._over = False  # above HIGH_WATER and not yet below LOW_WATER
        self._deaf = False  # acknowledgements cannot arrive: the websocket is not being read
        self._sending = asyncio.Lock()
        self._waiting = asyncio.Event()
        self._urgent = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def unacknowledged(self) -> int:
        return self._unacknowledged

    async def room(self) -> None:
        """Wait until more output is wanted."""
        await self._room.wait()

    async def write(self, data: bytes) -> None:
        """Queue `data`; it goes out now or with the next frame. Call `room` before."""
        self._pending += data
        if self._flow:
            self._unacknowledged += len(data)
            self._over = self._over or self._unacknowledged > HIGH_WATER
        self._check_room()
        idle = not self._sending.locked() and len(self._pending) == len(data)
        if self._echo_due or (idle and self._clock() - self._last >= self._interval):
            self._echo_due = False
            self._urgent.set()
            if idle:
                await self.flush()
                return
        self._waiting.set()

    async def flush(self) -> None:
        """Send all that waits, in order with every other frame."""
        async with self._sending:
            data = bytes(self._pending)
            self._pending.clear()
            self._waiting.clear()
            self._urgent.clear()
            self._check_room()
            if data:
                self._last = self._clock()
                await self._send(data)

    async def run(self) -> None:
        """Send what waits, one frame per interval; ends by cancellation."""
        while True:
            await self._waiting.wait()
            wait = self._last + self._interval - self._clock()
            if wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._urgent.wait()
            await self.flush()

    def input_arrived(self) -> None:
        """The next output answers a key: do not hold it back."""
        self._echo_due = True

    def acknowledge(self, chars: int) -> None:
        self._unacknowledged = max(0, self._unacknowledged - chars)
        if self._unacknowledged < LOW_WATER:
            self._over = False
        self._check_room()

    def set_deaf(self, deaf: bool) -> None:
        """While input is full the websocket is not read, so no acknowledgement can come.

        Holding the output then could hold the input for ever: `cat` takes no more input before
        somebody takes its echo. The socket's own back-pressure still applies.
        """
        self._deaf = deaf
        self._check_room()

    def _check_room(self) -> None:
        held = self._over and not self._deaf
        if held or len(self._pending) >= PENDING_LIMIT:
            self._room.clear()
        else:
            self._room.set()
